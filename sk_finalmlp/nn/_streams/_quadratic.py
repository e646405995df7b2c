"""QNN-alpha, whose layers multiply their input with a map of it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .._activation import Activation
from .._dropout import Dropout
from .._linear import Linear


class QNNStream(nn.Module):
    """Quadratic neural network: each layer is x + sum over r of x * ReLU(BN(W_r x + b_r)).

    Parameters
    ----------
    n_features : int
        Width D of the input, and of the output.
    n_layers : int
        Number of layers.
    n_terms : int, default=2
        Number R of terms of the sum.
    dropout : float, default=0.0
        Dropout of the factors, and of each layer, in [0, 1).
    batch_norm : bool, default=True
        Whether the factors have batch norm.
    generator : torch.Generator, default=None
        Random generator of the initial weights; torch's global one if None.

    Notes
    -----
    The reference implementation trains it with a loss between two passes of different dropout, which isn't here.

    References
    ----------
    Li et al., "Revisiting Feature Interactions from the Perspective of Quadratic Neural Networks for Click-through
    Rate Prediction", KDD 2025, arXiv:2505.17999.

    Examples
    --------
    >>> import torch
    >>> from sk_finalmlp.nn import QNNStream
    >>> QNNStream(n_features=30, n_layers=3)(torch.ones(5, 30)).shape
    torch.Size([5, 30])
    """

    def __init__(
        self,
        n_features: int,
        n_layers: int,
        n_terms: int = 2,
        dropout: float = 0.0,
        batch_norm: bool = True,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.out_features = n_features
        self.layers = nn.Sequential(
            *(_QuadraticLayer(n_features, n_terms, dropout, batch_norm, generator) for _ in range(n_layers))
        )

    def forward(self, x: Tensor) -> Tensor:
        """Multiply layer by layer, (B, D) -> (B, D)."""
        product: Tensor = self.layers(x)
        return product


class _QuadraticLayer(nn.Module):
    def __init__(
        self, n_features: int, n_terms: int, dropout: float, batch_norm: bool, generator: torch.Generator | None
    ) -> None:
        super().__init__()
        self.n_terms = n_terms
        self.linear = Linear(n_features, n_terms * n_features, generator=generator)
        self.activation = Activation(n_terms * n_features, dropout, batch_norm)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        factors = self.activation(self.linear(x)).view(len(x), self.n_terms, -1)
        product: Tensor = self.dropout(torch.addcmul(x, x, factors.sum(dim=1)))
        return product
