"""From the flat input of a stream to one vector per field and statistic."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .._start_weights import draw_normal

_START_STD = 1e-4


class FieldVectors(nn.Module):
    """One vector of each field and of each statistic, for streams that work field by field.

    A statistic has a width of 1 and no vector. Here it gets one as a numeric field does: its value times a learned
    vector.

    Parameters
    ----------
    n_fields : int
        Number F of fields.
    embedding_dim : int
        Length d of a vector.
    n_statistics : int, default=0
        Number S of statistics.
    generator : torch.Generator, default=None
        Source of the start weights, N(0, 1e-4); the global one if None.

    Attributes
    ----------
    n_vectors : int
        Number F + S of vectors of a row.

    Examples
    --------
    >>> import torch
    >>> from sk_finalmlp.nn import FieldVectors
    >>> FieldVectors(n_fields=3, embedding_dim=10, n_statistics=2)(torch.ones(5, 32)).shape
    torch.Size([5, 5, 10])
    """

    def __init__(
        self, n_fields: int, embedding_dim: int, n_statistics: int = 0, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        self.n_fields = n_fields
        self.embedding_dim = embedding_dim
        self.n_vectors = n_fields + n_statistics
        self.statistics = nn.Parameter(torch.empty(n_statistics, embedding_dim))
        draw_normal(self.statistics, _START_STD, generator)

    def forward(self, x: Tensor) -> Tensor:
        """Vectors of a batch, (B, F * d + S) -> (B, F + S, d)."""
        vectors, statistics = split_fields(x, self.n_fields, self.embedding_dim)
        if not len(self.statistics):
            return vectors
        return torch.cat([vectors, statistics.unsqueeze(2) * self.statistics], dim=1)


def split_fields(x: Tensor, n_fields: int, embedding_dim: int) -> tuple[Tensor, Tensor]:
    """Vectors of the fields, (B, F, d), and the statistics as they are, (B, S), of a stream's input."""
    n_features = n_fields * embedding_dim
    return x[:, :n_features].reshape(len(x), n_fields, embedding_dim), x[:, n_features:]
