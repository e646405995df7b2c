"""Products of pairs of fields."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from ._field_vectors import FieldVectors


class FMStream(nn.Module):
    """Second order of a factorization machine, or bi-interaction: the sum of v_i * v_j over all pairs i < j.

    Parameters
    ----------
    n_fields : int
        Number F of fields.
    embedding_dim : int
        Embedding dimension d.
    n_statistics : int, default=0
        Number S of statistics.
    generator : torch.Generator, default=None
        Random generator of the initial vectors of statistics; torch's global one if None.

    Notes
    -----
    It is computed as .5 ((sum of v)^2 - sum of v^2), in time linear in the number of fields.

    References
    ----------
    Rendle, "Factorization Machines", ICDM 2010. He and Chua, "Neural Factorization Machines for Sparse Predictive
    Analytics", SIGIR 2017, equation 3.

    Examples
    --------
    >>> import torch
    >>> from sk_finalmlp.nn import FMStream
    >>> FMStream(n_fields=3, embedding_dim=10)(torch.ones(5, 30))[0, 0]
    tensor(3.)
    """

    def __init__(
        self, n_fields: int, embedding_dim: int, n_statistics: int = 0, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        self.vectors = FieldVectors(n_fields, embedding_dim, n_statistics, generator)
        self.out_features = embedding_dim

    def forward(self, x: Tensor) -> Tensor:
        """Interactions of a batch, (B, F * d + S) -> (B, d)."""
        v: Tensor = self.vectors(x)
        return 0.5 * (v.sum(dim=1).square() - v.square().sum(dim=1))


class ProductStream(nn.Module):
    """Products of all pairs of fields, without weights.

    "inner" outputs the input itself, followed by the inner products <v_i, v_j> of all pairs i < j. "elementwise"
    outputs the concatenated vectors v_i * v_j of all pairs i <= j.

    Parameters
    ----------
    n_fields : int
        Number F of fields.
    embedding_dim : int
        Embedding dimension d.
    n_statistics : int, default=0
        Number S of statistics.
    form : {"inner", "elementwise"}, default="inner"
        Which products to take.
    generator : torch.Generator, default=None
        Random generator of the initial vectors of statistics; torch's global one if None.

    References
    ----------
    Qu et al., "Product-based Neural Networks for User Response Prediction", ICDM 2016. Elementwise: as in CETN,
    Li et al., "CETN: Contrast-enhanced Through Network for Click-Through Rate Prediction", 2023.

    Examples
    --------
    >>> import torch
    >>> from sk_finalmlp.nn import ProductStream
    >>> ProductStream(n_fields=3, embedding_dim=10, form="inner")(torch.ones(5, 30)).shape
    torch.Size([5, 33])
    """

    first: Tensor
    second: Tensor

    def __init__(
        self,
        n_fields: int,
        embedding_dim: int,
        n_statistics: int = 0,
        form: Literal["inner", "elementwise"] = "inner",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.vectors = FieldVectors(n_fields, embedding_dim, n_statistics, generator)
        self.form = form
        n_vectors = self.vectors.n_vectors
        first, second = torch.triu_indices(n_vectors, n_vectors, offset=1 if form == "inner" else 0)
        self.register_buffer("first", first)
        self.register_buffer("second", second)
        n_features = n_fields * embedding_dim + n_statistics
        self.out_features = n_features + len(first) if form == "inner" else len(first) * embedding_dim

    def forward(self, x: Tensor) -> Tensor:
        """Products of a batch, (B, F * d + S) -> (B, out_features)."""
        v: Tensor = self.vectors(x)
        if self.form == "elementwise":
            return (v[:, self.first] * v[:, self.second]).flatten(start_dim=1)
        return torch.cat([x, torch.bmm(v, v.transpose(1, 2))[:, self.first, self.second]], dim=1)
