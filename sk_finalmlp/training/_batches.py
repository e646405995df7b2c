"""Batches of impressions, in memory or on disk, in an order that is drawn anew for each pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Final

import torch
from torch import Tensor

from ._processes import ALONE, Alone
from ._rows import AnyImpressions, Block, Impressions

Inputs = tuple[Tensor, Tensor]
Labels = tuple[Tensor, Tensor]

#: Blocks whose rows are mixed with each other.
_BLOCKS_OF_WINDOW: Final = 16
_GOLDEN_RATIO: Final = (5**0.5 - 1) / 2


class Batches:
    """Batches of impressions, slices of a permutation that is drawn anew for each pass.

    All batches have the same number of rows but for one, so that none is too small for batch norm. Where several
    processes train, each takes a slice of each batch. Rows on disk, whose order is random, are read in blocks; the rows
    of some blocks at a time are permuted.

    On an accelerator, the rows are copied to the device once, if they take at most half of its free memory, and batches
    are taken there; else they are copied batch by batch. The batches are the same as on the CPU.

    Parameters
    ----------
    impressions : Impressions or StoredImpressions
        The rows, on the CPU.
    batch_size : int
        Rows per batch, as nearly as equal batches allow.
    generator : torch.Generator
        Source of the permutations.
    device : torch.device
        Where the batches go.
    negative_sampling : float, default=1.0
        Share of the rows of the first class that a pass takes, in (0, 1]; in memory one at least. Each pass takes
        others until all have had their turn.
    processes : Alone or Group, default=ALONE
        The processes that train together; their generators are in the same state.

    Attributes
    ----------
    n_rows : int
        Number of rows of a pass; of rows on disk where negatives are drawn, about so many.
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
        self.objective = impressions.objective
        self.n_passes = 0
        self._share = 1.0
        self._count(negative_sampling)

    def _count(self, share: float) -> None:
        """Count the rows of a pass, and scale their weights so that class weights don't change the size of its loss."""
        self.n_rows, self._scale = len(self.impressions), 1.0
        if share < 1:
            counts = self.impressions.counts
            sums = self.impressions.class_weights(len(counts))
            self._share = share = max(share, 1 / max(1, int(counts[0])))
            self.n_rows = int(counts[1:].sum()) + round(share * float(counts[0]))
            self._scale = self.n_rows / float(sums[1:].sum() + share * sums[0])
        self.negatives_kept = self.impressions.negatives_kept * self._share

    def __len__(self) -> int:
        # A batch of one row has no variance to normalise by, nor has the slice of a process.
        return max(1, min(-(-self.n_rows // self.batch_size), self.n_rows // (2 * self.processes.size)))

    @property
    def n_rows_of_step(self) -> float:
        """Number of rows of a batch that this process takes."""
        return self.n_rows / len(self) / self.processes.size

    def state(self) -> dict[str, Tensor]:
        """Return what the next passes depend on, beside the generator."""
        return {"n_passes": torch.tensor(self.n_passes)}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Go on where other batches were."""
        self.n_passes = int(state["n_passes"])

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
        # The means of the slices of all processes add up to that of the batch.
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
    def _blocks(self) -> Sequence[Block]:
        return self.impressions.blocks

    @cached_property
    def _kept(self) -> Impressions:
        """The rows of the only block, where batches are taken; all others read `impressions`, on the CPU."""
        return self._blocks[0].read().kept_on(self.device)

    def _are_taken(self, block: Block, rows: Impressions) -> Tensor:
        """Say which rows of a block are in the pass.

        Each row has a phase by its number, and a pass takes an interval of phases, the next one where that of the last
        pass ended; multiples of the golden ratio are evenly spread.
        """
        is_negative = rows.target == 0
        numbers = torch.arange(block.start, block.start + len(rows), dtype=torch.float64)
        phase = numbers * _GOLDEN_RATIO % 1
        if len(self._blocks) == 1:
            # All are here: with phases of equal distances, each pass takes as many.
            own = phase[is_negative]
            phase[is_negative] = (own.argsort().argsort().double() + 0.5) / len(own)
        return ~is_negative | ((phase - (self.n_passes - 1) * self._share) % 1 < self._share)
