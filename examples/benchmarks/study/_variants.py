"""What is compared: the reference network, and what each variant changes in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from _family import FAMILY, PUBLISHED
from _networks import SmallStartClassifier, StartedAsTwoClassifier, SumClassifier
from sklearn.pipeline import Pipeline

from sk_finalmlp import CTREncoder, FinalMLPClassifier
from sk_finalmlp.streams import MLP

Part = Literal["reference", "gates", "fusion", "streams", "baselines", "start", "heads"]

REFERENCE = "finalmlp"

# The columns that condition a gate as user and item; adult has neither, so that two of its columns stand for them.
CONTEXTS: Mapping[str, tuple[str, str]] = {
    "frappe": ("user", "item"),
    "movielens": ("user", "item"),
    "click_sparse": ("user", "item"),
    "click_dense": ("user", "item"),
    "movielens_1m": ("user", "item"),
    "adult": ("education", "occupation"),
}

HEADS_OF_WIDTH = {32: (1, 2, 4, 8, 16, 32), 128: (1, 2, 4, 8, 16, 32, 64, 128), 256: (1, 4, 16, 64, 256)}
REFERENCE_WIDTH, REFERENCE_HEADS = 128, 8


@dataclass(frozen=True)
class Variant:
    """A single network on plain codes.

    Parameters
    ----------
    part : str
        Part of the study that it belongs to.
    stands_for : str
        What it is, in words.
    parameters : mapping
        The classifier's parameters that aren't those of the reference.
    classifier : type, default=FinalMLPClassifier
        The classifier.
    contexts : pair of {"user", "item", None}
        What conditions the gate of each stream.
    """

    part: Part
    stands_for: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    classifier: type[FinalMLPClassifier] = FinalMLPClassifier
    contexts: tuple[str | None, str | None] = (None, None)

    def on(self, data: str) -> Callable[[int, int], Pipeline]:
        """Makes the pipeline for a data set, given a seed and a number of threads."""
        columns = dict(zip(("user", "item"), CONTEXTS[data], strict=True))
        names = ("fs1_context", "fs2_context")
        contexts = {name: [columns[of]] for name, of in zip(names, self.contexts, strict=True) if of is not None}

        def make(seed: int, n_threads: int) -> Pipeline:
            # One penalty for all numbers of rows, so that these compare.
            fixed = {"schedule": "plateau", "n_members": 1, "embedding_regularizer": 0.2}
            fixed = {**fixed, "random_state": seed, "device": "cpu"}
            classifier = self.classifier(**{**fixed, **self.parameters, **contexts})
            return Pipeline([("enc", CTREncoder(crosses=None, statistics=None)), ("clf", classifier)])

        return make


def name_of_heads(width: int, heads: int) -> str:
    """Name of the variant with so many heads on two streams of this width."""
    is_reference = (width, heads) == (REFERENCE_WIDTH, REFERENCE_HEADS)
    return REFERENCE if is_reference else f"width={width},heads={heads}"


def _streams(first: tuple[int, ...], second: tuple[int, ...]) -> dict[str, Any]:
    return {"stream1": MLP(first), "stream2": MLP(second)}


def _heads(width: int, heads: int, part: Part = "heads") -> dict[str, Variant]:
    stands_for = f"bilinear, {heads} head{'s' * (heads > 1)}" + (f", streams of {width}" if part == "heads" else "")
    variant = Variant(part, stands_for, {**_streams((width,), (width,)), "num_heads": heads})
    return {name_of_heads(width, heads): variant}


_ONE_STREAM = {"stream1": MLP((256,)), "stream2": None, "feature_selection": False}

ABLATIONS: dict[str, Variant] = {
    REFERENCE: Variant("reference", "gates without context, streams of 128 and 128, 8 heads"),
    "no_gates": Variant("gates", "no gates", {"feature_selection": False}),
    "gates_user_user": Variant("gates", "both gates by user", contexts=("user", "user")),
    "gates_item_item": Variant("gates", "both gates by item", contexts=("item", "item")),
    "gates_user_item": Variant("gates", "one gate by user, one by item", contexts=("user", "item")),
    "fusion_sum": Variant("fusion", "sum of the streams", classifier=SumClassifier),
    "fusion_concat": Variant("fusion", "concatenation of the streams", {"fusion": "sum"}),
    **_heads(REFERENCE_WIDTH, 1, "fusion"),
    **_heads(REFERENCE_WIDTH, REFERENCE_WIDTH, "fusion"),
    "streams_192_64": Variant("streams", "192 and 64 wide", _streams((192,), (64,))),
    "streams_deep_wide": Variant("streams", "128, 128 deep and 128 wide", _streams((128, 128), (128,))),
    "streams_deep_deep": Variant("streams", "both 128, 128 deep", _streams((128, 128), (128, 128))),
    "dualmlp": Variant("baselines", "DualMLP: no gates, no fusion", {"fusion": "sum", "feature_selection": False}),
    "one_stream": Variant("baselines", "one stream of 256", _ONE_STREAM),
    "one_stream_as_two": Variant(
        "start", "one stream, initial weights of two", _ONE_STREAM, classifier=StartedAsTwoClassifier
    ),
    "small_start": Variant("start", "fusion starts at a tenth", classifier=SmallStartClassifier),
}

# From one head, a full bilinear form, to as many as the streams are wide, products of their elements.
HEADS = {
    name: variant
    for width, all_heads in HEADS_OF_WIDTH.items()
    for heads in all_heads
    for name, variant in _heads(width, heads).items()
    if name not in ABLATIONS
}
VARIANTS: dict[str, Any] = {**ABLATIONS, **HEADS, **FAMILY, **PUBLISHED}
