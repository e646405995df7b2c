"""The classifier in a user's fitted model, its input table, its probabilities, and what its network computes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline
from sklearn.utils import gen_batches
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from .._checks import Label
from .._sklearn import steps_of
from ..estimators import FinalMLPClassifier, FunnelClassifier
from ..nn import FeatureGate, FieldSelection, MultiHeadBilinearFusion, TwoStreamNetwork, members_of, votes_of
from ..preprocessing import CTREncoder

Batch = tuple[Tensor, Tensor]

_BATCH_SIZE = 256


def classifier_of(estimator: Any, *, of_several_labels: bool = False) -> FinalMLPClassifier:
    """Return the fitted classifier: of a pipeline, of the best model of a search, or in a `FunnelClassifier`."""
    classifier = steps_of(best_of(estimator))[-1]
    if not isinstance(classifier, FinalMLPClassifier | FunnelClassifier):
        raise TypeError(
            f"{type(classifier).__name__} isn't a FinalMLPClassifier: pass one, a pipeline that ends in one, "
            "or a search for one."
        )
    if isinstance(classifier, FunnelClassifier) and not of_several_labels:
        raise TypeError(
            "FunnelClassifier has a logit for each label, and this looks at the logit of one. Fit a FinalMLPClassifier "
            "to the label that you want to look into."
        )
    check_is_fitted(classifier)
    return classifier.classifier_ if isinstance(classifier, FunnelClassifier) else classifier


def weighted_members_of(classifier: FinalMLPClassifier) -> list[tuple[float, Any]]:
    """Return the single networks with their weights in the vote, which sum to 1."""
    network = classifier.network_
    return list(zip(votes_of(network), members_of(network), strict=True))


def encoder_of(estimator: Any) -> CTREncoder | None:
    """Return the last `CTREncoder` of a pipeline, or None."""
    steps = steps_of(best_of(estimator))
    return next((step for step in reversed(steps) if isinstance(step, CTREncoder)), None)


def best_of(estimator: Any) -> Any:
    """The best estimator of a search; anything else as it is."""
    return getattr(estimator, "best_estimator_", estimator)


def click_probabilities(estimator: Any, X: Any, pos_label: Label | None) -> NDArray[np.float64]:
    """Return the probabilities of a click; refuse classifiers of more than two classes or of several labels."""
    if isinstance(estimator.classes_, list):
        raise ValueError(
            f"{type(estimator).__name__} has several labels, and a click is one: take the column of one label of "
            "predict_proba(X), and from_predictions(y, probability)."
        )
    probabilities = estimator.predict_proba(X)
    classes = estimator.classes_.tolist()
    if len(classes) != 2:
        raise ValueError(
            f"The classifier has the {len(classes)} classes {classes}, and a click is one of two: take the column of "
            "one class of predict_proba(X), and from_predictions(y == label, probability)."
        )
    if pos_label is not None and pos_label not in classes:
        raise ValueError(f"pos_label={pos_label!r} is not a valid label: it should be one of {classes}.")
    return probabilities[:, 1 if pos_label is None else classes.index(pos_label)]


def gated_classifier_of(estimator: Any) -> FinalMLPClassifier:
    """Return the fitted classifier of a model; refuse one without gates."""
    classifier = classifier_of(estimator)
    if any(path.gate for path in weighted_members_of(classifier)[0][1].paths):
        return classifier
    raise ValueError(
        f"The network has no gates: it was fitted with feature_selection={classifier.feature_selection!r}."
    )


def fused_classifier_of(estimator: Any) -> FinalMLPClassifier:
    """Return the fitted classifier of a model; refuse one without a bilinear fusion."""
    classifier = classifier_of(estimator)
    if isinstance(weighted_members_of(classifier)[0][1].fusion, MultiHeadBilinearFusion):
        return classifier
    raise ValueError(
        "This FinalMLPClassifier has no bilinear fusion: fit it with two streams and fusion='bilinear', or use "
        "pair_interactions, which takes any model."
    )


def read_rows(estimator: Any, classifier: FinalMLPClassifier, X: Any) -> Batch:
    """Return codes and values of a table, as the network takes them."""
    model = best_of(estimator)
    is_encoded = not isinstance(model, Pipeline) or len(model) == 1
    codes, values = classifier.table_reader_.read(X if is_encoded else model[:-1].transform(X))
    device = next(classifier.network_.parameters()).device
    return torch.from_numpy(codes).to(device), torch.from_numpy(values).to(device)


def batches(rows: Batch) -> Iterator[tuple[slice, Batch]]:
    """Yield batches of rows, and which rows they are."""
    codes, values = rows
    for part in gen_batches(len(codes), _BATCH_SIZE):
        yield part, (codes[part], values[part])


@torch.inference_mode()
def field_gates(gate: FeatureGate, fields: FieldSelection, rows: Batch) -> NDArray[np.float32]:
    """Return the mean gate of each field that a stream reads, shape (n, F)."""
    parts = _split(gate(*rows), fields)
    return torch.stack([part.mean(dim=1) for part in parts], dim=1).numpy(force=True)


@torch.inference_mode()
def head_terms(network: TwoStreamNetwork, rows: Batch) -> tuple[Tensor, Tensor]:
    """Return the terms of the logit: linear ones, shape (n, 2, C), and bilinear ones, shape (n, H, C)."""
    x = network.gated(network.features(*rows), *rows)
    o1, o2 = (path.stream(own) for path, own in zip(network.paths, x, strict=True))
    fusion: Any = network.fusion
    linear = torch.stack([o1 @ fusion.linear_x.weight.T, o2 @ fusion.linear_y.weight.T], dim=1)
    bilinear = torch.einsum(
        "nhx,hxcy,nhy->nhc", _heads(o1, fusion.num_heads), fusion.bilinear, _heads(o2, fusion.num_heads)
    )
    return linear, bilinear


@torch.inference_mode()
def interactions(network: TwoStreamNetwork, rows: Batch, donors: Batch) -> Tensor:
    """Second difference of the logit, (F, G, n, C), where a row takes over a field in each stream; its gates stay."""
    own = network.gated(network.features(*rows), *rows)
    others = network.gated(network.features(*donors), *rows)
    differences = []
    for path, mine, theirs in zip(network.paths, own, others, strict=True):
        swapped = torch.stack(list(_swap_each_field(mine, theirs, path.fields)))
        differences.append(path.stream(mine) - path.stream(swapped.flatten(end_dim=1)).view(*swapped.shape[:2], -1))
    fusion: Any = network.fusion
    x, y = (_heads(difference, fusion.num_heads) for difference in differences)
    projected = torch.einsum("fnhx,hxcy->fnhcy", x, fusion.bilinear)
    return torch.einsum("fnhcy,gnhy->fgnc", projected, y)


def _split(features: Tensor, fields: FieldSelection) -> tuple[Tensor, ...]:
    """Split features by field."""
    return torch.split(features, list(fields.sizes.values()), dim=1)


def _swap_each_field(own: Tensor, others: Tensor, fields: FieldSelection) -> Iterator[Tensor]:
    """The input of a stream with one field of the others, for each field in turn."""
    parts = _split(own, fields)
    for position, part in enumerate(_split(others, fields)):
        yield torch.cat([*parts[:position], part, *parts[position + 1 :]], dim=1)


def _heads(output: Tensor, n_heads: int) -> Tensor:
    """A stream's output in equal slices: (..., x) -> (..., H, x/H)."""
    return output.view(*output.shape[:-1], n_heads, -1)
