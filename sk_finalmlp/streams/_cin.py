"""The compressed interaction network of xDeepFM."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import Tensor, nn

from ..nn import Linear
from ._base import FieldVectors, Graph, Reads, StreamParameters, Value


@dataclass(eq=False, repr=False)
class CIN(StreamParameters):
    """Compressed interaction network of xDeepFM, which multiplies and mixes the fields' embeddings layer by layer.
    Short name "cin".

    With X^0 the embeddings of the fields, row h of layer k is the vector X^k_h = sum over i and j of
    W^{k,h}_ij X^{k-1}_i * X^0_j + b^{k,h}. The output is the sum over the elements of each row of each layer.

    Parameters
    ----------
    hidden_units : array-like of int, default=(64, 64)
        Number of rows of each layer. Products have up to one more factor than there are layers.
    units : int, "auto" or None, default="auto"
        Width of a linear layer after the stream; None for no such layer. "auto": 128 if the fusion needs matching
        widths ("bilinear" and "product"), else None.

    Notes
    -----
    Each layer multiplies all rows of the previous layer with all fields, which takes much time and memory. As in the
    paper's equations 6 and 8, there is no activation, and all rows of a layer enter the next one; the authors' code
    has an activation and passes on half of the rows.

    References
    ----------
    Lian et al., "xDeepFM: Combining Explicit and Implicit Feature Interactions for Recommender Systems", KDD 2018,
    arXiv:1803.05170.

    Examples
    --------
    >>> from sk_finalmlp.streams import CIN
    >>> CIN(hidden_units=(16, 8)).build(
    ...     n_fields=3, embedding_dim=10, n_statistics=1
    ... ).out_features
    24
    """

    hidden_units: Sequence[int] = (64, 64)
    units: int | Literal["auto"] | None = "auto"

    def _make(self, reads: Reads) -> nn.Module:
        return CINStream(reads, self.hidden_units)


class CINStream(nn.Module):
    """Module of `CIN`."""

    def __init__(self, reads: Reads, hidden_units: Sequence[int]) -> None:
        super().__init__()
        self.vectors = FieldVectors(reads)
        self.layers = nn.ModuleList()
        n_rows = self.vectors.n_vectors
        for width in hidden_units:
            self.layers.append(Linear(n_rows * self.vectors.n_vectors, width, generator=reads.generator))
            n_rows = width
        self.out_features = sum(hidden_units)

    def forward(self, x: Tensor) -> Tensor:
        """(B, F * d + S) -> (B, sum of H_k)."""
        # An element of the vectors is a row here: (B * d, F).
        x0 = self.vectors(x).transpose(1, 2).flatten(end_dim=1)
        rows, pooled = x0, []
        for layer in self.layers:
            # As a product of matrices, to avoid another matrix of this size in the derivative.
            rows = layer(torch.bmm(rows.unsqueeze(2), x0.unsqueeze(1)).flatten(start_dim=1))
            pooled.append(rows.view(len(x), -1, rows.shape[1]).sum(dim=1))
        return torch.cat(pooled, dim=1)

    def add_nodes(self, graph: Graph, x: Value) -> Value:
        vectors = graph.node("Transpose", self.vectors.add_nodes(graph, x), perm=[0, 2, 1])
        x0 = graph.reshape(vectors, -1, self.vectors.n_vectors)
        rows, pooled = x0, []
        for layer in self.layers:
            pairs = graph.unsqueeze(rows, 2) * graph.unsqueeze(x0, 1)
            rows = graph.layer(graph.node("Flatten", pairs, axis=1), layer)
            by_row = graph.reshape(rows, -1, self.vectors.reads.embedding_dim, cast(Linear, layer).out_features)
            pooled.append(graph.sum(by_row, 1))
        return graph.concat(pooled)
