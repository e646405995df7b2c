"""QNN-alpha: layers that multiply their input with a map of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from ..nn import Activation, Dropout, Linear, StreamChain
from ._base import Graph, Reads, StreamParameters, Value


@dataclass(eq=False, repr=False)
class QNN(StreamParameters):
    """Quadratic neural network, QNN-alpha: each layer is x + sum over r of x * ReLU(BN(W_r x + b_r)). Short name "qnn".

    Parameters
    ----------
    n_layers : int, default=2
        Number of layers.
    n_terms : int, default=2
        Number of products that a layer sums.
    dropout : float, default=0.2
        Dropout rate of the factors and of each layer, in [0, 1).
    batch_norm : bool, default=True
        Whether the factors have batch norm.
    units : int, "auto" or None, default="auto"
        Width of a linear layer after the stream; None for no such layer. "auto": 128 if the fusion needs matching
        widths ("bilinear" and "product"), else None.

    Notes
    -----
    The reference implementation trains it with a loss between two passes of different dropout, which isn't here.

    References
    ----------
    Li et al., "Revisiting Feature Interactions from the Perspective of Quadratic Neural Networks for Click-through
    Rate Prediction", KDD 2025, arXiv:2505.17999.

    Examples
    --------
    >>> from sk_finalmlp.streams import QNN
    >>> QNN(units=64).build(n_fields=3, embedding_dim=10, n_statistics=1).out_features
    64
    """

    n_layers: int = 2
    n_terms: int = 2
    dropout: float = 0.2
    batch_norm: bool = True
    units: int | Literal["auto"] | None = "auto"

    def _make(self, reads: Reads) -> nn.Module:
        return StreamChain(*(_QuadraticLayer(self, reads) for _ in range(self.n_layers)))


class _QuadraticLayer(nn.Module):
    def __init__(self, parameters: QNN, reads: Reads) -> None:
        super().__init__()
        self.n_terms, self.out_features = parameters.n_terms, reads.n_features
        width = self.n_terms * reads.n_features
        self.linear = Linear(reads.n_features, width, generator=reads.generator)
        self.activation = Activation(width, parameters.dropout, parameters.batch_norm)
        self.dropout = Dropout(parameters.dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(B, D) -> (B, D)."""
        factors = self.activation(self.linear(x)).view(len(x), self.n_terms, -1)
        return self.dropout(torch.addcmul(x, x, factors.sum(dim=1)))

    def add_nodes(self, graph: Graph, x: Value) -> Value:
        factors = graph.layer(graph.layer(x, self.linear), self.activation)
        factors = graph.reshape(factors, -1, self.n_terms, self.linear.in_features)
        return x + x * graph.sum(factors, 1)
