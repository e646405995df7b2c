"""Impressions as tensors, and batches of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Generic, Protocol, TypeVar

import torch
from numpy.typing import NDArray
from torch import Tensor

from ._device import kept_on, sent
from ._objective import ONE_LABEL, Objective
from ._processes import ALONE, Alone

Inputs = tuple[Tensor, Tensor]
Labels = tuple[Tensor, Tensor]

_SEED = 0


@dataclass(frozen=True)
class Impressions:
    """Rows in the form that the network takes, with their labels.

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
    negatives_kept : float, default=1.0
        Share of the rows of the first class that a sample kept, in (0, 1]. The loss is computed on the sample, while
        the network's logits are those of the full table.
    objective : Objective, default=ClassObjective()
        What logits say of the labels.

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
    negatives_kept: float = 1.0
    objective: Objective = ONE_LABEL

    def __len__(self) -> int:
        return len(self.target)

    def take(self, rows: Tensor) -> Impressions:
        """Some of the rows, by position."""
        return self._each(lambda column: column.index_select(0, rows))

    def and_(self, others: Impressions) -> Impressions:
        """These rows and then the others, of the same sample."""
        codes, values, target, weight = map(torch.cat, zip(self._columns, others._columns, strict=True))
        return replace(self, codes=codes, values=values, target=target, weight=weight)

    def with_mean_weight_one(self) -> Impressions:
        """The same rows with weights of mean 1, so that the scale of the weights doesn't change the loss."""
        return replace(self, weight=self.weight / self.weight.mean())

    def head(self, n_rows: int) -> Impressions:
        """The first rows."""
        return self._each(lambda column: column[:n_rows])

    def arrays(self) -> list[NDArray[Any]]:
        """Codes, values, classes and weights as arrays, by whose hash rows are told apart."""
        return [column.numpy() for column in self._columns]

    def some(self, n_rows: int) -> Impressions:
        """So many rows at random, or all where there are no more."""
        if len(self) <= n_rows:
            return self
        # A stream of its own, always the same: what is drawn here changes nothing else, and epochs can be compared.
        generator = torch.Generator().manual_seed(_SEED)
        return self.take(torch.randint(len(self), (n_rows,), generator=generator))

    def for_scores(self) -> Impressions:
        """Rows to score a network on: all."""
        return self

    def class_weights(self, n_classes: int) -> Tensor:
        """Sum of the weights of the rows of each class, of so many at least."""
        return torch.bincount(self.target, self.weight.double(), minlength=n_classes)

    @property
    def counts(self) -> Tensor:
        """Number of rows of each class."""
        return torch.bincount(self.target)

    def batches(
        self,
        batch_size: int,
        generator: torch.Generator,
        device: torch.device,
        negative_sampling: float,
        processes: Alone,
    ) -> Batches:
        """Batches of the rows."""
        return Batches(self, batch_size, generator, device, negative_sampling, processes)

    def to(self, device: torch.device) -> Impressions:
        """The same rows on another device."""
        return self._each(lambda column: sent(column, device))

    def kept_on(self, device: torch.device) -> Impressions:
        """The same rows, on a device where they fit."""
        codes, values, target, weight = kept_on(device, self._columns)
        return replace(self, codes=codes, values=values, target=target, weight=weight)

    def with_inputs_kept_on(self, device: torch.device) -> Impressions:
        """The same rows, codes and values on a device where they fit; scores take the others on the CPU."""
        codes, values = kept_on(device, (self.codes, self.values))
        return replace(self, codes=codes, values=values)

    @property
    def _columns(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return self.codes, self.values, self.target, self.weight

    def _each(self, change: Callable[[Tensor], Tensor]) -> Impressions:
        codes, values, target, weight = map(change, self._columns)
        return replace(self, codes=codes, values=values, target=target, weight=weight)


class _Draws(Protocol):
    """Which negatives the passes take."""

    def state(self) -> dict[str, Tensor]: ...

    def restore(self, state: dict[str, Tensor]) -> None: ...


class _Rows(Protocol):
    """Impressions, wherever they are."""

    @property
    def negatives_kept(self) -> float: ...

    @property
    def objective(self) -> Objective: ...

    def __len__(self) -> int: ...


Rows = TypeVar("Rows", bound=_Rows)
Draws = TypeVar("Draws", bound=_Draws)


class BatchesOfRows(ABC, Generic[Rows, Draws]):
    """What batches of rows in memory and on disk have in common.

    Parameters
    ----------
    impressions, batch_size, generator, device, negative_sampling, processes
        As for `Batches`.
    """

    def __init__(
        self,
        impressions: Rows,
        batch_size: int,
        generator: torch.Generator,
        device: torch.device,
        negative_sampling: float = 1.0,
        processes: Alone = ALONE,
    ) -> None:
        self.impressions = impressions
        self.batch_size = batch_size
        self.generator = generator
        self.device = device
        self.processes = processes
        self.n_rows = len(impressions)
        self.negatives_kept = impressions.negatives_kept
        self.objective = impressions.objective
        self._draws = self._sample_negatives(negative_sampling) if negative_sampling < 1 else None

    @abstractmethod
    def _sample_negatives(self, share: float) -> Draws:
        """Make a pass take a share of the rows of the first class."""

    @abstractmethod
    def __iter__(self) -> Iterator[tuple[Inputs, Labels]]:
        """The batches of a pass."""

    def __len__(self) -> int:
        # A batch of one row has no variance to normalise by, nor has the slice of a process.
        return max(1, min(-(-self.n_rows // self.batch_size), self.n_rows // (2 * self.processes.size)))

    @property
    def n_rows_of_step(self) -> float:
        """Number of rows of a batch that this process takes."""
        return self.n_rows / len(self) / self.processes.size

    def _weight(self, own: Tensor, n_rows: int) -> Tensor:
        """Weights of the own rows of a batch of so many, by which the means of all slices add up to that of it."""
        return own if len(own) == n_rows else own * (len(own) / n_rows)

    def state(self) -> dict[str, Tensor]:
        """What the next passes depend on, beside the generator."""
        return {} if self._draws is None else self._draws.state()

    def restore(self, state: dict[str, Tensor]) -> None:
        """Go on where other batches were."""
        if self._draws is not None:
            self._draws.restore(state)


class Batches(BatchesOfRows[Impressions, "_NegativeDraws"]):
    """Batches of impressions, each a slice of a permutation that is drawn anew for each pass.

    All batches have the same number of rows but for one, so that none is too small for batch norm. Where several
    processes train, each takes a slice of each batch.

    On an accelerator, the rows are copied to the device once, if they take at most half of its free memory, and batches
    are taken there; else they are copied batch by batch. The batches are the same as on the CPU.

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
    negative_sampling : float, default=1.0
        Share of the rows of the first class that a pass takes, one at least, in (0, 1]. Each pass takes others until
        all have had their turn.
    processes : Alone or Group, default=ALONE
        The processes that train together; their generators are in the same state.

    Attributes
    ----------
    n_rows : int
        Number of rows of a pass.
    negatives_kept : float
        Share of the rows of the first class that are in a pass: of those of the table from which the impressions may
        be a sample.

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

    def _sample_negatives(self, share: float) -> _NegativeDraws:
        is_negative = self.impressions.target == 0
        positives, negatives = (torch.nonzero(mask)[:, 0] for mask in (~is_negative, is_negative))
        n_drawn = max(1, round(share * len(negatives)))
        self.n_rows = len(positives) + n_drawn
        self.negatives_kept *= n_drawn / len(negatives)
        # So that the loss of a sample has the same size, whatever the weights of the classes are.
        weight = self.impressions.weight
        mean = (weight[positives].sum() + weight[negatives].mean() * n_drawn) / self.n_rows
        self.impressions = replace(self.impressions, weight=weight / mean)
        return _NegativeDraws(positives, negatives, n_drawn, self.generator)

    def __iter__(self) -> Iterator[tuple[Inputs, Labels]]:
        order = torch.randperm(self.n_rows, generator=self.generator)
        if self._draws is not None:
            order = self._draws.next()[order]
        for rows in order.to(self._rows.target.device).tensor_split(len(self)):
            own = self.processes.own(rows)
            batch = self._rows.take(own).to(self.device)
            yield (batch.codes, batch.values), (batch.target, self._weight(batch.weight, len(rows)))

    @cached_property
    def _rows(self) -> Impressions:
        """The rows where batches are taken; others read `impressions`, on the CPU."""
        return self.impressions.kept_on(self.device)


class _NegativeDraws:
    """The rows of each pass: all positives, and negatives in turn, so that each is taken as often as the others.

    Its random numbers come from a stream of their own, which leaves those of initial weights and dropout as they are.
    """

    def __init__(self, positives: Tensor, negatives: Tensor, n_drawn: int, generator: torch.Generator) -> None:
        self._positives = positives
        self._negatives = negatives
        self._n_drawn = n_drawn
        self._generator = torch.Generator().manual_seed(int(torch.randint(2**62, (), generator=generator)))
        self._waiting = negatives[:0]

    def state(self) -> dict[str, Tensor]:
        """What the next draws depend on."""
        return {"waiting": self._waiting, "generator": self._generator.get_state()}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Go on where others were."""
        self._waiting = state["waiting"]
        self._generator.set_state(state["generator"])

    def next(self) -> Tensor:
        """Positions of the rows of the next pass."""
        if len(self._waiting) < self._n_drawn:
            again = self._negatives[torch.randperm(len(self._negatives), generator=self._generator)]
            self._waiting = torch.cat([self._waiting, again])
        drawn, self._waiting = self._waiting.tensor_split([self._n_drawn])
        return torch.cat([self._positives, drawn])
