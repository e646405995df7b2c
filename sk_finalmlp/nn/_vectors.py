"""Vectors that come from elsewhere, of texts, pictures or graphs, as embeddings of the network's length."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..schema import Field
from ._layers import draw_normal, modules_of

_START_STD = 1e-4


class VectorProjection(nn.Module):
    """A vector as an embedding: a linear map without bias, and a learned embedding of a missing vector.

    Parameters
    ----------
    length : int
        Length of the vectors.
    embedding_dim : int
        Embedding dimension d.
    generator : torch.Generator, default=None
        Random generator of the initial weights, N(0, 1e-4); torch's global one if None.

    Examples
    --------
    >>> import torch
    >>> from sk_finalmlp.nn import VectorProjection
    >>> VectorProjection(length=64, embedding_dim=10)(torch.ones(5, 64)).shape
    torch.Size([5, 10])
    """

    def __init__(self, length: int, embedding_dim: int, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.projection = nn.Parameter(torch.empty(embedding_dim, length))
        draw_normal(self.projection, _START_STD, generator)
        # Zero, as code 0: neutral where training saw no missing vector.
        self.missing = nn.Parameter(torch.zeros(embedding_dim))

    def forward(self, x: Tensor) -> Tensor:
        """Embeddings of vectors, (B, length) -> (B, d); a vector of zeros is a missing one."""
        is_missing = (x == 0).all(dim=1, keepdim=True)
        return F.linear(x, self.projection) + is_missing * self.missing


class PretrainedVectors(nn.Module):
    """Vectors that codes stand for, from a table that the network doesn't learn, as embeddings.

    The table isn't among the weights: `give_vectors` gives one table to all layers that read it, and to the members of
    an ensemble.

    Parameters
    ----------
    field : Field
        A pretrained field: row k of its table is the vector of code k, and row 0, zeros, a missing one.
    embedding_dim : int
        Embedding dimension d.
    generator : torch.Generator, default=None
        Random generator of the initial weights; torch's global one if None.

    Examples
    --------
    >>> import torch
    >>> from sk_finalmlp.schema import Field
    >>> from sk_finalmlp.nn import PretrainedVectors, give_vectors
    >>> vectors = PretrainedVectors(
    ...     Field("item", "pretrained", n_codes=3, length=64), embedding_dim=10
    ... )
    >>> give_vectors(vectors, {"item": torch.ones(3, 64)})
    >>> vectors(torch.tensor([2, 2, 1])).shape
    torch.Size([3, 10])
    """

    table: Tensor

    def __init__(self, field: Field, embedding_dim: int, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.field = field
        self.project = VectorProjection(field.length, embedding_dim, generator)
        shape = field.n_codes, field.length
        if field.is_tuned:
            self.table = nn.Parameter(torch.zeros(shape))
        else:
            # A view of a single zero, until the table is given.
            self.register_buffer("table", torch.zeros(1, 1).expand(shape), persistent=False)

    @torch.no_grad()
    def give(self, table: Any, tuned: bool = True) -> None:
        """Take over a table: a copy to train, unless that is to stay as it is, or the very table."""
        table = torch.as_tensor(table)
        if not self.field.is_tuned:
            self.table = table.to(self.project.missing.device)
        elif tuned:
            self.table.copy_(table)

    def forward(self, codes: Tensor) -> Tensor:
        """Embeddings of codes, (B,) -> (B, d)."""
        rows = torch.where(codes < self.field.n_codes, codes, 0)
        return self.project(F.embedding(rows, self.table, padding_idx=0))

    def extra_repr(self) -> str:
        return f"{self.field.n_codes} vectors of length {self.field.length}"


def copy_network(network: nn.Module) -> nn.Module:
    """Copy a network; the vectors that it doesn't train are shared."""
    vectors = modules_of(network, PretrainedVectors)
    return deepcopy(network, {id(shared.table): shared.table for shared in vectors if not shared.field.is_tuned})


def give_vectors(network: nn.Module, tables: Mapping[str, Any], *, tuned: bool = True) -> None:
    """Give tables of vectors to all layers of a network that read them.

    Parameters
    ----------
    network : torch.nn.Module
        A network, or a part of one.
    tables : mapping of {str: Tensor or ndarray of float32, shape (n_codes, length)}
        A table for each pretrained field, by its name. Its first row is zeros.
    tuned : bool, default=True
        Whether to overwrite what the network has made of the vectors that it trains.

    Examples
    --------
    >>> import torch
    >>> from sk_finalmlp.schema import Field
    >>> from sk_finalmlp.nn import TwoStreamNetwork, give_vectors
    >>> network = TwoStreamNetwork([Field("item", "pretrained", n_codes=3, length=64)])
    >>> give_vectors(network, {"item": torch.ones(3, 64)})
    >>> network(torch.tensor([[2], [0]]), torch.empty(2, 0)).shape
    torch.Size([2, 1])
    """
    for vectors in modules_of(network, PretrainedVectors):
        vectors.give(tables[vectors.field.name], tuned)
