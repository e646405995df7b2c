"""What the network computes on its way from rows to logits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from ..estimators import FinalMLPClassifier
from ..estimators._columns import read_columns
from ..estimators._fields import read_matrices
from ..nn import FeatureGate, FieldSelection, FinalMLP, MultiHeadBilinearFusion
from ._model import classifier_of, encoded_table

Batch = tuple[Tensor, Tensor]

_BATCH_SIZE = 256


def final_mlp_of(estimator: Any, what: str) -> FinalMLPClassifier:
    """The fitted classifier in a model, where it has gates and a fusion.

    Parameters
    ----------
    estimator : estimator
        A classifier of this library, or a pipeline or search of one.
    what : str
        What is looked for, for the error.

    Returns
    -------
    FinalMLPClassifier

    Raises
    ------
    ValueError
        If the classifier is a `DualMLPClassifier`.
    """
    classifier = classifier_of(estimator)
    if not isinstance(classifier, FinalMLPClassifier):
        raise ValueError(f"{type(classifier).__name__} has no {what}: fit FinalMLPClassifier.")
    return classifier


def read_rows(estimator: Any, classifier: FinalMLPClassifier, X: Any) -> Batch:
    """Codes and values of a table, as the network takes them.

    Parameters
    ----------
    estimator : estimator
        The model.
    classifier : FinalMLPClassifier
        The classifier in it.
    X : dataframe or array-like of shape (n, n_features)
        A table for the model.

    Returns
    -------
    codes : Tensor of int32, shape (n, n_code_columns)
    values : Tensor of float32, shape (n, n_values)
    """
    columns = read_columns(classifier, encoded_table(estimator, X), reset=False)
    codes, values = read_matrices(classifier._readers, columns)
    device = next(classifier.network_.parameters()).device
    return torch.from_numpy(codes).to(device), torch.from_numpy(values).to(device)


def batches(rows: Batch) -> Iterator[tuple[slice, Batch]]:
    """Rows in parts that leave memory for what is computed of them.

    Parameters
    ----------
    rows : (Tensor, Tensor)
        Codes and values.

    Yields
    ------
    slice
        Which rows they are.
    (Tensor, Tensor)
        Their codes and values.
    """
    codes, values = rows
    for start in range(0, len(codes), _BATCH_SIZE):
        part = slice(start, min(start + _BATCH_SIZE, len(codes)))
        yield part, (codes[part], values[part])


@torch.inference_mode()
def field_gates(network: FinalMLP, rows: Batch) -> list[dict[str, Tensor]]:
    """Gate of each field, the mean over the features of the field, for each of the two streams.

    Parameters
    ----------
    network : FinalMLP
        A network with gates, in evaluation mode.
    rows : (Tensor, Tensor)
        Codes and values.

    Returns
    -------
    list of dict of str to Tensor
        For each stream, the gates of each field that it reads, shape (n,), or (1,) where all rows share them.
    """
    return [
        {name: part.mean(dim=1) for name, part in zip(fields.sizes, _split(gate(*rows), fields), strict=True)}
        for fields, gate, _ in _streams(network)
        if gate is not None
    ]


@torch.inference_mode()
def head_terms(network: FinalMLP, rows: Batch) -> tuple[Tensor, Tensor]:
    """The terms whose sum is the logit, but for a constant.

    Parameters
    ----------
    network : FinalMLP
        A network in evaluation mode.
    rows : (Tensor, Tensor)
        Codes and values.

    Returns
    -------
    linear : Tensor of float32, shape (n, 2, C)
        The linear term of each stream.
    bilinear : Tensor of float32, shape (n, H, C)
        The bilinear term of each head.
    """
    e = network.embedding.features(*rows)
    o1, o2 = (mlp(_inputs(fields, gate, e, rows)) for fields, gate, mlp in _streams(network))
    fusion = network.fusion
    linear = torch.stack([o1 @ fusion.linear_x.weight.T, o2 @ fusion.linear_y.weight.T], dim=1)
    bilinear = torch.einsum("nhx,hxcy,nhy->nhc", _heads(o1, fusion), fusion.bilinear, _heads(o2, fusion))
    return linear, bilinear


@torch.inference_mode()
def interactions(network: FinalMLP, rows: Batch, donors: Batch) -> tuple[list[str], list[str], Tensor]:
    """How much the logit changes beyond the sum of two changes: of a field in each stream.

    Each row takes over the embedding of a field from another row, the gates being those of the row itself. The fusion
    is bilinear, so that the second difference of the logit is the bilinear term of both streams' differences.

    Parameters
    ----------
    network : FinalMLP
        A network in evaluation mode.
    rows, donors : (Tensor, Tensor)
        Codes and values of the rows, and of the rows that they take from.

    Returns
    -------
    names1, names2 : list of str
        The F1 and F2 fields of the streams.
    interactions : Tensor of float32, shape (F1, F2, n, C)
    """
    e, e_donors = network.embedding.features(*rows), network.embedding.features(*donors)
    differences = []
    for fields, gate, mlp in _streams(network):
        own, others = _inputs(fields, gate, e, rows), _inputs(fields, gate, e_donors, rows)
        swapped = torch.stack(list(_swap_each_field(own, others, fields)))
        differences.append(mlp(own) - mlp(swapped.flatten(end_dim=1)).view(*swapped.shape[:2], -1))
    fusion = network.fusion
    x, y = (_heads(difference, fusion) for difference in differences)
    projected = torch.einsum("fnhx,hxcy->fnhcy", x, fusion.bilinear)
    return list(network.fields1.sizes), list(network.fields2.sizes), torch.einsum("fnhcy,gnhy->fgnc", projected, y)


def _streams(network: FinalMLP) -> list[tuple[FieldSelection, FeatureGate | None, torch.nn.Module]]:
    return [(network.fields1, network.gate1, network.mlp1), (network.fields2, network.gate2, network.mlp2)]


def _inputs(fields: FieldSelection, gate: FeatureGate | None, e: Tensor, rows: Batch) -> Tensor:
    """What a stream reads: embeddings of some rows, through the gates of others."""
    own: Tensor = fields(e)
    return own if gate is None else gate.select(own, *rows)


def _split(features: Tensor, fields: FieldSelection) -> tuple[Tensor, ...]:
    """Features of each field."""
    return torch.split(features, list(fields.sizes.values()), dim=1)


def _swap_each_field(own: Tensor, others: Tensor, fields: FieldSelection) -> Iterator[Tensor]:
    """The input of a stream with one field of the others, for each field in turn."""
    parts = _split(own, fields)
    for position, part in enumerate(_split(others, fields)):
        yield torch.cat([*parts[:position], part, *parts[position + 1 :]], dim=1)


def _heads(output: Tensor, fusion: MultiHeadBilinearFusion) -> Tensor:
    """A stream's output in equal slices: (..., x) -> (..., H, x/H)."""
    return output.view(*output.shape[:-1], fusion.num_heads, -1)
