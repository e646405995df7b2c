"""Quadratic neural network."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from torch import nn

from ..nn import QNNStream
from ._base import AT_LEAST_ONE, FRACTION, StreamParameters


class QNN(StreamParameters):
    """Quadratic neural network, QNN-alpha: each layer multiplies its input with linear maps of it. Short name "qnn".

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

    See Also
    --------
    sk_finalmlp.nn.QNNStream : The formula.

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

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **StreamParameters._parameter_constraints,
        "n_layers": [AT_LEAST_ONE],
        "n_terms": [AT_LEAST_ONE],
        "dropout": [FRACTION],
        "batch_norm": ["boolean"],
    }

    def __init__(
        self,
        n_layers: int = 2,
        n_terms: int = 2,
        dropout: float = 0.2,
        batch_norm: bool = True,
        units: int | Literal["auto"] | None = "auto",
    ) -> None:
        self.n_layers = n_layers
        self.n_terms = n_terms
        self.dropout = dropout
        self.batch_norm = batch_norm
        self.units = units

    def _make(
        self, n_fields: int, embedding_dim: int, n_statistics: int, generator: torch.Generator | None
    ) -> nn.Module:
        n_features = n_fields * embedding_dim + n_statistics
        return QNNStream(n_features, self.n_layers, self.n_terms, self.dropout, self.batch_norm, generator)
