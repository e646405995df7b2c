"""The two-stream family: a MLP beside each other stream, and what gates, fusion, tables and losses add to the pair."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from sklearn.pipeline import Pipeline

from sk_finalmlp import CTREncoder, FinalMLPClassifier, published_configs
from sk_finalmlp.streams import CIN, FM, MLP, CrossNet, Final, SelfAttention

# Small ones, since explicit products of all fields cost most.
_SECOND = {
    "mlp": MLP,
    "crossnet": CrossNet,
    "cin": partial(CIN, hidden_units=(32, 32)),
    "fm": FM,
    "selfattention": partial(SelfAttention, n_layers=1),
    "final": Final,
}
_HEADS = (1, 8, 32)
_WIDTH = 128
# Ten times the rows want longer vectors, and no wider streams (docs/trials.md).
_DIM, _DIM_OF = 10, {"movielens_1m": 16}
# Multiples of all numbers of heads.
_OTHER_WIDTHS = (96, 192)

_CHANGES: Mapping[str, Mapping[str, Any]] = {
    # The models of the literature: a linear output of each stream, without gates.
    "": {},
    "gates": {"feature_selection": True},
    "concat": {"fusion": "concat"},
    **{f"bilinear{heads}": {"fusion": "bilinear", "num_heads": heads} for heads in _HEADS},
    # What FinalMLP adds to two MLPs.
    "gates+bilinear8": {"feature_selection": True, "fusion": "bilinear", "num_heads": 8},
    "own": {"stream_embeddings": "own"},
    "losses": {"stream_loss": 0.5},
    "own+losses": {"stream_embeddings": "own", "stream_loss": 0.5},
}


@dataclass(frozen=True)
class Pair:
    """A MLP beside another stream: a single network on plain codes, of one cycle.

    Parameters
    ----------
    second : str
        Name of the other stream.
    parameters : mapping
        The classifier's parameters that aren't those of the plain pair.
    width : int, default=128
        Width of both streams.
    """

    second: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    width: int = _WIDTH

    def on(self, data: str) -> Callable[[int, int], Pipeline]:
        """Makes the pipeline for a data set, given a seed and a number of threads."""
        # The share of held-out rows is that of the first fits, when "auto" did not yet depend on the number of rows.
        plain = {"fusion": "sum", "feature_selection": False, "n_members": 1, "validation_fraction": 0.1}

        def make(seed: int, n_threads: int) -> Pipeline:
            classifier = FinalMLPClassifier(
                stream1=MLP(hidden_units=(self.width,)),
                stream2=self._second(),
                embedding_dim=_DIM_OF.get(data, _DIM),
                random_state=seed,
                device="cpu",
                **{**plain, **self.parameters},
            )
            return _on_codes(classifier)

        return make

    def _second(self) -> Any:
        stream = _SECOND[self.second]()
        if self.second in ("mlp", "final"):
            return stream.set_params(hidden_units=(self.width,))
        # Heads need both streams as wide; by itself a stream is as wide as its paper says.
        return stream.set_params(units=self.width) if self.parameters.get("fusion") == "bilinear" else stream


@dataclass(frozen=True)
class Published:
    """A model in the shape and with the schedule that it was published with, stopped by the rows that are scored.

    Parameters
    ----------
    model : str
        The part of the configuration's name before the data set.
    parameters : mapping
        The classifier's parameters that aren't the published ones.
    """

    model: str
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def on(self, data: str) -> Callable[[int, int], Pipeline]:
        """Makes the pipeline for a data set, given a seed and a number of threads."""
        # Shapes were published for Frappe and MovieLens; others take those of Frappe.
        home = data if data == "movielens" else "frappe"

        def make(seed: int, n_threads: int) -> Pipeline:
            classifier: Any = FinalMLPClassifier(**published_configs[f"{self.model}_{home}"])
            classifier.set_params(random_state=seed, device="cpu", **self.parameters)
            # The encoder turns X_val into codes as it does X.
            return _on_codes(classifier.set_fit_request(X_val=True, y_val=True)).set_params(transform_input=["X_val"])

        return make


def _on_codes(classifier: Any) -> Pipeline:
    return Pipeline([("enc", CTREncoder(crosses=None, statistics=None)), ("clf", classifier)])


def name_of_pair(second: str, change: str = "") -> str:
    """Name of the variant of a MLP beside this stream with this change."""
    return f"mlp+{second}" + (f":{change}" if change else "")


#: What the library calls FinalMLP, and what a user gets for the same cost by training it twice.
FINALMLP = name_of_pair("mlp", "gates+bilinear8")
TWICE = f"{FINALMLP}, twice"

#: Each second stream with its changes.
PAIRS: dict[str, dict[str, Pair]] = {
    second: {name_of_pair(second, change): Pair(second, parameters) for change, parameters in _CHANGES.items()}
    for second in _SECOND
}
HEADS_OF_OTHER_WIDTHS = {
    f"{name_of_pair('mlp', f'bilinear{heads}')}, width {width}": Pair(
        "mlp", {"fusion": "bilinear", "num_heads": heads}, width
    )
    for width in _OTHER_WIDTHS
    for heads in _HEADS
}
FAMILY: dict[str, Pair] = {
    **{name: pair for changes in PAIRS.values() for name, pair in changes.items()},
    TWICE: Pair("mlp", {**_CHANGES["gates+bilinear8"], "n_members": 2}),
    **HEADS_OF_OTHER_WIDTHS,
}
PUBLISHED: dict[str, Published] = {
    f"published {model}": Published(model)
    for model in ("finalmlp", "dcnv2", "xdeepfm", "autoint_plus", "masknet", "finalnet_2b")
} | {"published finalmlp, own tables": Published("finalmlp", _CHANGES["own"])}
