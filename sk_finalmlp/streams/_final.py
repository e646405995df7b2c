"""The block of FinalNet: each layer multiplies its two halves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from .._sklearn import StrOptions
from ..nn import Activation, BatchNorm, Dropout, Linear, StreamChain
from ._base import Graph, Reads, StreamParameters, Value


@dataclass(eq=False, repr=False)
class Final(StreamParameters):
    """Block of FinalNet: an MLP with layers that multiply their two halves. Short name "final".

    A layer computes h = W x + b and splits h into two halves, h2 and h1. The form "concat" outputs [h2, h1 * h2]; the
    form "sum" outputs h2 + h1 * h2, with W twice as wide. Batch norm, ReLU and dropout follow.

    Parameters
    ----------
    hidden_units : array-like of int, default=(128,)
        Width of each layer; even for the form "concat".
    dropout : float, default=0.2
        Dropout rate of each layer, in [0, 1).
    batch_norm : bool, default=True
        Whether layers have batch norm.
    activation : {"relu"} or None, default="relu"
        Activation after the batch norm.
    form : {"concat", "sum"}, default="concat"
        Whether a layer's output is one half concatenated with the product of both, or the sum of these.
    field_gate : bool, default=False
        Whether to extend the input by itself times a gate linear in the fields: [E, E * (W E + b)], twice as wide.
    units : int or None, default=None
        Width of a linear layer after the stream; None for no such layer.

    Notes
    -----
    As in the reference implementation, the second factor has no sigmoid; the paper has one on all factors but the
    first.

    References
    ----------
    Zhu et al., "FINAL: Factorized Interaction Layer for CTR Prediction", SIGIR 2023.

    Examples
    --------
    >>> from sk_finalmlp.streams import Final
    >>> Final(hidden_units=(64, 32)).build(
    ...     n_fields=3, embedding_dim=10, n_statistics=1
    ... ).out_features
    32
    """

    hidden_units: Sequence[int] = (128,)
    dropout: float = 0.2
    batch_norm: bool = True
    activation: Literal["relu"] | None = "relu"
    form: Literal["concat", "sum"] = "concat"
    field_gate: bool = False
    units: int | None = None

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {"form": [StrOptions({"concat", "sum"})]}

    def _make(self, reads: Reads) -> nn.Module:
        # Where there are only statistics, there is nothing to gate.
        gates = [_FieldGate(reads)] if self.field_gate and reads.n_fields else []
        widths = [gates[0].out_features if gates else reads.n_features, *self.hidden_units]
        layers = [_FinalLayer(before, after, self, reads.generator) for before, after in pairwise(widths)]
        return StreamChain(*gates, *layers)


class _FinalLayer(nn.Module):
    def __init__(
        self, n_features: int, out_features: int, parameters: Final, generator: torch.Generator | None
    ) -> None:
        super().__init__()
        self.form, self.out_features = parameters.form, out_features
        if self.form == "concat" and out_features % 2:
            raise ValueError(
                f"A layer of the form 'concat' is split in half, so its width can't be odd, as {out_features}."
            )
        self.linear = Linear(n_features, out_features * (1 if self.form == "concat" else 2), generator=generator)
        self.activation: nn.Module
        if parameters.activation == "relu":
            self.activation = Activation(out_features, parameters.dropout, parameters.batch_norm)
        else:
            norm = [BatchNorm(out_features)] if parameters.batch_norm else []
            self.activation = nn.Sequential(*norm, Dropout(parameters.dropout))

    def forward(self, x: Tensor) -> Tensor:
        """(B, D) -> (B, u)."""
        h2, h1 = self.linear(x).chunk(2, dim=1)
        products = torch.cat([h2, h1 * h2], dim=1) if self.form == "concat" else torch.addcmul(h2, h1, h2)
        return self.activation(products)

    def add_nodes(self, graph: Graph, x: Value) -> Value:
        hidden, width = graph.layer(x, self.linear), self.linear.out_features
        h2, h1 = graph.columns(hidden, 0, width // 2), graph.columns(hidden, width // 2, width)
        return graph.layer(graph.concat([h2, h1 * h2]) if self.form == "concat" else h2 + h1 * h2, self.activation)


class _FieldGate(nn.Module):
    """The vectors, and the vectors times gates that are linear in all fields; statistics pass as they are."""

    def __init__(self, reads: Reads) -> None:
        super().__init__()
        self.reads = reads._replace(generator=None)
        self.out_features = reads.n_features + reads.n_fields * reads.embedding_dim
        self.linear = Linear(reads.n_fields, reads.n_fields, generator=reads.generator)
        nn.init.zeros_(self.linear.weight)
        nn.init.ones_(self.linear.bias)

    def forward(self, x: Tensor) -> Tensor:
        vectors, statistics = self.reads.split(x)
        n_rows, n_fields, embedding_dim = vectors.shape
        elements = vectors.transpose(1, 2).reshape(-1, n_fields)
        gates = self.linear(elements).view(n_rows, embedding_dim, n_fields).transpose(1, 2)
        return torch.cat([vectors.flatten(start_dim=1), (vectors * gates).flatten(start_dim=1), statistics], dim=1)

    def add_nodes(self, graph: Graph, x: Value) -> Value:
        vectors, statistics = self.reads.split_nodes(graph, x)
        n_fields, embedding_dim = self.reads.n_fields, self.reads.embedding_dim
        elements = graph.reshape(graph.node("Transpose", vectors, perm=[0, 2, 1]), -1, n_fields)
        gates = graph.reshape(graph.layer(elements, self.linear), -1, embedding_dim, n_fields)
        gated = vectors * graph.node("Transpose", gates, perm=[0, 2, 1])
        return graph.concat([*(graph.node("Flatten", part, axis=1) for part in (vectors, gated)), *statistics])
