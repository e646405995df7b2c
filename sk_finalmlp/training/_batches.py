"""Impressions as tensors, and batches of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

Inputs = tuple[Tensor, Tensor]
Labels = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Impressions:
    """Rows as the network takes them, with their labels.

    Parameters
    ----------
    codes : Tensor of int32, shape (n, n_code_columns)
        Codes of the categorical fields, then those of the multi-valued fields.
    values : Tensor of float32, shape (n, n_numeric)
        Values of the numeric fields.
    target : Tensor of int64, shape (n,)
        Position of the row's class among the classes.
    weight : Tensor of float32, shape (n,)
        Weight of the row in the loss.

    Examples
    --------
    >>> import torch
    >>> from sk_finalmlp.training import Impressions
    >>> codes = torch.tensor([[1, 4], [2, 4], [1, 0]], dtype=torch.int32)
    >>> rows = Impressions(codes, torch.empty(3, 0), target=torch.tensor([1, 0, 0]), weight=torch.ones(3))
    >>> len(rows)
    3
    >>> rows.take(torch.tensor([2, 0])).target
    tensor([0, 1])
    """

    codes: Tensor
    values: Tensor
    target: Tensor
    weight: Tensor

    def __len__(self) -> int:
        return len(self.target)

    def take(self, rows: Tensor) -> Impressions:
        """Some of the rows, by position."""
        return Impressions(*(column.index_select(0, rows) for column in vars(self).values()))

    def and_(self, others: Impressions) -> Impressions:
        """These rows and then the others."""
        return Impressions(*map(torch.cat, zip(vars(self).values(), vars(others).values(), strict=True)))

    def of_mean_weight_one(self) -> Impressions:
        """The same rows with weights scaled so that the loss is of one size whatever the weights' size."""
        return replace(self, weight=self.weight / self.weight.mean())

    def to(self, device: torch.device) -> Impressions:
        """The same rows on another device."""
        return Impressions(*(column.to(device) for column in vars(self).values()))


class Batches:
    """Batches of impressions, each a slice of a permutation that is drawn anew for each pass.

    All batches have the same number of rows but for one, so that none is too small for batch norm.

    Parameters
    ----------
    impressions : Impressions
        The rows, on the CPU.
    batch_size : int
        Rows per batch, as nearly as equal batches allow.
    generator : torch.Generator
        Source of the permutations.
    device : torch.device
        Where the batches go.

    Examples
    --------
    >>> import torch
    >>> from sk_finalmlp.training import Batches, Impressions
    >>> codes = torch.zeros(10, 2, dtype=torch.int32)
    >>> rows = Impressions(codes, torch.empty(10, 0), torch.zeros(10, dtype=torch.int64), torch.ones(10))
    >>> batches = Batches(rows, batch_size=4, generator=torch.Generator(), device=torch.device("cpu"))
    >>> [len(target) for _, (target, _) in batches]
    [4, 3, 3]
    """

    def __init__(
        self, impressions: Impressions, batch_size: int, generator: torch.Generator, device: torch.device
    ) -> None:
        self.impressions = impressions
        self.batch_size = batch_size
        self.generator = generator
        self.device = device

    def __len__(self) -> int:
        n_rows = len(self.impressions)
        # A batch of one row has no variance to normalise by.
        return max(1, min(-(-n_rows // self.batch_size), n_rows // 2))

    def __iter__(self) -> Iterator[tuple[Inputs, Labels]]:
        order = torch.randperm(len(self.impressions), generator=self.generator)
        for rows in order.tensor_split(len(self)):
            batch = self.impressions.take(rows).to(self.device)
            yield (batch.codes, batch.values), (batch.target, batch.weight)
