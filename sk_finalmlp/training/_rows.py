"""Impressions as the network takes them, in memory or on disk, and their batches, in a new order for each pass."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import accumulate
from typing import Final, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .._sources import StoredArray
from ._device import kept_on, sent
from ._objective import ONE_LABEL, Objective
from ._processes import ALONE, Alone

Inputs = tuple[Tensor, Tensor]
Labels = tuple[Tensor, Tensor]

_SEED: Final = 0
#: Rows on disk that are read at once.
_BLOCK: Final = 2**13
#: Held-out rows on disk that are scored: more would hardly change the score.
_MAX_SCORED: Final = 2**20
#: Blocks to shuffle together.
_BLOCKS_OF_WINDOW: Final = 16
_GOLDEN_RATIO: Final = (5**0.5 - 1) / 2


#: What knows later rows, where the order of the rows is known and rows are held out at random.
Hindsight = Literal["statistics", "codes", "ids"]


class Block(NamedTuple):
    """Rows that are read at once: the number of the first, and a function that reads them."""

    start: int
    read: Callable[[], Impressions]


@dataclass(frozen=True, kw_only=True)
class _Sample:
    """What all rows of a training have in common, in memory or on disk."""

    negatives_kept: float = 1.0
    hindsight: Hindsight | None = None
    objective: Objective = ONE_LABEL


@dataclass(frozen=True)
class Impressions(_Sample):
    """Rows in the form that the network takes, with their labels.

    Parameters
    ----------
    codes : Tensor of int32, shape (n, n_code_columns)
        Codes of the categorical fields, then of the multi-valued fields.
    values : Tensor of float32, shape (n, n_numeric)
        Values of the numeric fields.
    target : Tensor of int64, shape (n,)
        Position of the row's class among the classes.
    weight : Tensor of float32, shape (n,)
        Weight of the row in the loss.
    negatives_kept : float, default=1.0
        Share of the rows of the first class that a sample kept, in (0, 1]. The loss is computed on the sample, while
        the network's logits are corrected to the full table.
    hindsight : {"statistics", "codes", "ids"} or None, default=None
        What knows more of these held-out rows than it will of later rows: the statistics of training rows, so that
        members that read them are trusted too much; the embeddings of codes alone, so that those are trusted too
        little; or embeddings of ids, many of which will be new, so that members weigh the same.
    objective : object, default=ClassObjective()
        What logits say of the labels: one label of each row by default.

    Examples
    --------
    >>> import torch
    >>> from sk_finalmlp.training import Impressions
    >>> codes = torch.tensor([[1, 4], [2, 4], [1, 0]], dtype=torch.int32)
    >>> rows = Impressions(
    ...     codes, torch.empty(3, 0), target=torch.tensor([1, 0, 0]), weight=torch.ones(3)
    ... )
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
        """Return some of the rows, by position."""
        return self._with(column.index_select(0, rows) for column in self._columns)

    def and_(self, *others: Impressions) -> Impressions:
        """Return these rows and then others, of the same sample."""
        return self._with(map(torch.cat, zip(self._columns, *(rows._columns for rows in others), strict=True)))

    def with_mean_weight_one(self) -> Impressions:
        """Return the rows with weights of mean 1, so that the scale of the weights doesn't change the loss."""
        return replace(self, weight=self.weight / self.weight.mean())

    def some(self, n_rows: int) -> Impressions:
        """Return `n_rows` rows at random, or all if there are no more."""
        if len(self) <= n_rows:
            return self
        # A generator of its own with a fixed seed: it changes no other draw, and epochs are comparable.
        generator = torch.Generator().manual_seed(_SEED)
        return self.take(torch.randint(len(self), (n_rows,), generator=generator))

    def for_scores(self, device: torch.device) -> Impressions:
        """Return the rows to score a network on, codes and values on a device where they fit; the CPU takes labels."""
        return self._with([*kept_on(device, self._columns[:2]), *self._columns[2:]])

    def class_weights(self, n_classes: int) -> Tensor:
        """Return the sum of the weights of each class, of so many classes at least."""
        return torch.bincount(self.target, self.weight.double(), minlength=n_classes)

    @property
    def counts(self) -> Tensor:
        """Number of rows of each class."""
        return torch.bincount(self.target)

    @property
    def blocks(self) -> Sequence[Block]:
        """The blocks: a single one."""
        return [Block(0, lambda: self)]

    def to(self, device: torch.device) -> Impressions:
        """Return the rows on another device."""
        return self._with(sent(column, device) for column in self._columns)

    @property
    def _columns(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return self.codes, self.values, self.target, self.weight

    def _with(self, columns: Iterable[Tensor]) -> Impressions:
        codes, values, target, weight = columns
        return replace(self, codes=codes, values=values, target=target, weight=weight)


#: Rows of int32: the codes, then the values, the position of the class, and the weight of each row.
RowFile = StoredArray | NDArray[np.int32]


@dataclass(frozen=True)
class StoredImpressions(_Sample):
    """Rows on disk, in a random order, with sums of weights and numbers of rows by class; floats are integers there."""

    files: Sequence[RowFile]
    n_codes: int
    sums: Tensor
    counts: Tensor

    def __len__(self) -> int:
        return sum(map(len, self.files))

    def and_(self, others: StoredImpressions) -> StoredImpressions:
        """Return these rows and others, of the same sample."""
        sums, counts = self.sums + others.sums, self.counts + others.counts
        return replace(self, files=[*self.files, *others.files], sums=sums, counts=counts)

    def some(self, n_rows: int) -> Impressions:
        """Return the first rows, in memory: a random sample, as their order is random."""
        return self._read(self.files[0], 0, n_rows)

    def for_scores(self, device: torch.device) -> Impressions:
        """Return rows to score a network on."""
        return self.some(_MAX_SCORED).for_scores(device)

    def class_weights(self, n_classes: int) -> Tensor:
        """Return the sum of the weights of each class."""
        return self.sums

    @property
    def blocks(self) -> Sequence[Block]:
        """The blocks of all files."""
        before = accumulate(map(len, self.files), initial=0)
        return [
            Block(first + start, partial(self._read, file, start, start + _BLOCK))
            for first, file in zip(before, self.files, strict=False)
            for start in range(0, len(file), _BLOCK)
        ]

    @staticmethod
    def rows_of(rows: Impressions) -> NDArray[np.int32]:
        """Return rows as the files hold them, shape (n, n_codes + n_numeric + 2)."""
        floats = rows.values, rows.weight[:, None]
        values, weight = (column.contiguous().view(torch.int32) for column in floats)
        return torch.cat([rows.codes, values, rows.target.int()[:, None], weight], dim=1).numpy()

    def _read(self, file: RowFile, start: int, stop: int) -> Impressions:
        codes, values, target, weight = torch.from_numpy(file[start:stop]).tensor_split([self.n_codes, -2, -1], dim=1)
        return Impressions(
            codes.contiguous(),
            values.contiguous().view(torch.float32),
            target[:, 0].long(),
            weight.contiguous().view(torch.float32)[:, 0],
            negatives_kept=self.negatives_kept,
            hindsight=self.hindsight,
            objective=self.objective,
        )


AnyImpressions = Impressions | StoredImpressions


def digest_of(impressions: AnyImpressions | None) -> str:
    """Return a hash of all rows; of none, nothing."""
    if impressions is None:
        return ""
    digest = hashlib.blake2b(digest_size=16)
    for block in impressions.blocks:
        for column in block.read()._columns:
            digest.update(column.contiguous().numpy().data)
    return digest.hexdigest()


def n_rows_of_pass(counts: Tensor, share: float) -> int:
    """Return the number of rows of a pass that takes a share of the first class, by the numbers of rows of classes."""
    n_rows, n_first = int(counts.sum()), int(counts[0])
    return n_rows - n_first + max(1, round(share * n_first)) if share < 1 and n_first else n_rows


class Batches:
    """Batches of impressions, slices of a permutation that is drawn anew for each pass, the same on all devices."""

    # All have the same number of rows but for one, so that none is too small for batch norm; each of several processes
    # takes a slice of each. Rows on disk are read in blocks, and some blocks permuted at a time. With
    # `negative_sampling`, a pass takes a share of the first class, others each time until all have had their turn.

    def __init__(
        self,
        impressions: AnyImpressions,
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
        self.n_passes = 0
        self._blocks = impressions.blocks
        self.n_rows, self._share, self._scale = len(impressions), 1.0, 1.0
        if negative_sampling < 1:
            counts = impressions.counts
            sums = impressions.class_weights(len(counts))
            self._share = share = max(negative_sampling, 1 / max(1, int(counts[0])))
            self.n_rows = n_rows_of_pass(counts, share)
            # Class weights don't change the size of a pass's loss.
            self._scale = self.n_rows / float(sums[1:].sum() + share * sums[0])
        self.negatives_kept = impressions.negatives_kept * self._share

    def __len__(self) -> int:
        # A batch of one row has no variance to normalise by, nor has the slice of a process.
        return max(1, min(-(-self.n_rows // self.batch_size), self.n_rows // (2 * self.processes.size)))

    def __iter__(self) -> Iterator[tuple[Inputs, Labels]]:
        n_left, left = len(self), None
        for rows, order, n_following in self._windows():
            if left is not None:
                waiting = left[0].take(left[1])
                rows, order = waiting.and_(rows), torch.cat([torch.arange(len(waiting)), order + len(waiting)])
            order = order.to(rows.target.device)
            while n_left > 1:
                size = -(-(len(order) + n_following) // n_left)
                if size > len(order) or (size == len(order) and not n_following):
                    break
                batch, order = order.tensor_split([size])
                n_left -= 1
                yield self._batch(rows, batch)
            left = rows, order
        assert left is not None
        yield self._batch(*left)

    def _batch(self, rows: Impressions, order: Tensor) -> tuple[Inputs, Labels]:
        own = self.processes.own(order)
        batch = rows.take(own).to(self.device)
        weight = batch.weight if self._scale == 1 else batch.weight * self._scale
        # The means of the slices of all processes add up to the batch's.
        weight = weight if len(own) == len(order) else weight * (len(own) / len(order))
        return (batch.codes, batch.values), (batch.target, weight)

    def _windows(self) -> Iterator[tuple[Impressions, Tensor, int]]:
        """Read some blocks at a time: their rows, the order of those in the pass, and about how many follow."""
        self.n_passes += 1
        order = torch.randperm(len(self._blocks), generator=self.generator).tolist()
        n_following, share = len(self.impressions), self.n_rows / len(self.impressions)
        for first in range(0, len(order), _BLOCKS_OF_WINDOW):
            blocks = [self._blocks[number] for number in order[first : first + _BLOCKS_OF_WINDOW]]
            read = [block.read() for block in blocks]
            rows = self._kept if len(self._blocks) == 1 else read[0].and_(*read[1:])
            n_following -= len(rows)
            taken = None
            if self._share < 1:
                masks = [self._are_taken(*of_block) for of_block in zip(blocks, read, strict=True)]
                taken = torch.nonzero(torch.cat(masks))[:, 0]
            mixed = torch.randperm(len(rows) if taken is None else len(taken), generator=self.generator)
            yield rows, mixed if taken is None else taken[mixed], round(n_following * share)

    @cached_property
    def _kept(self) -> Impressions:
        """The rows of the only block, where batches are taken; all others read `impressions`, on the CPU."""
        rows = self._blocks[0].read()
        return rows._with(kept_on(self.device, rows._columns))

    def _are_taken(self, block: Block, rows: Impressions) -> Tensor:
        """Say which rows of a block are in the pass: their phases, spread by the golden ratio, are in its interval."""
        is_negative = rows.target == 0
        numbers = torch.arange(block.start, block.start + len(rows), dtype=torch.float64)
        phase = numbers * _GOLDEN_RATIO % 1
        if len(self._blocks) == 1:
            # All are here: with phases of equal distances, each pass takes as many.
            own = phase[is_negative]
            phase[is_negative] = (own.argsort().argsort().double() + 0.5) / len(own)
        return ~is_negative | ((phase - (self.n_passes - 1) * self._share) % 1 < self._share)
