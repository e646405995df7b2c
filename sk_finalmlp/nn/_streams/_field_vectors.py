"""One vector per field and statistic, from the flat input of a stream."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .._start_weights import draw_normal

_START_STD = 1e-4


class FieldVectors(nn.Module):
    """One vector for each field and each statistic, for streams that work field by field.

    A statistic is a single number and has no embedding. Here it gets a vector like a numeric field: a learned vector
    times its value.

    Parameters
    ----------
    n_fields : int
        Number F of fields.
    embedding_dim : int
        Embedding dimension d.
    n_statistics : int, default=0
        Number S of statistics.
    generator : torch.Generator, default=None
        Random generator of the initial weights, N(0, 1e-4); torch's global one if None.

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
