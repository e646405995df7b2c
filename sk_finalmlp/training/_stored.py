"""Impressions that are on disk, in a random order, and batches of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ._batches import BatchesOfRows, Impressions, Inputs, Labels
from ._objective import ONE_LABEL, Objective
from ._processes import Alone

#: Rows that are read at once, and blocks whose rows are mixed with each other.
_BLOCK: Final = 2**13
_BLOCKS_OF_WINDOW: Final = 16
#: Held-out rows that are scored: more would hardly change the score.
_MAX_SCORED: Final = 2**20
_GOLDEN_RATIO: Final = (5**0.5 - 1) / 2


class RowFile(Protocol):
    """Rows of int32 on disk: the codes, then the values, the position of the class, and the weight of each row."""

    def __len__(self) -> int: ...

    def read(self, start: int, stop: int) -> NDArray[np.int32]:
        """Rows of a slice, shape (n, width)."""
        ...


@dataclass(frozen=True)
class StoredImpressions:
    """Rows on disk, in a random order, with their labels.

    Parameters
    ----------
    files : sequence of RowFile
        The rows; floats are there bit by bit as integers.
    n_codes, n_values : int
        Numbers of columns of codes and of values.
    sums : Tensor of float64, shape (n_classes,)
        Sum of the weights of the rows of each class.
    counts : Tensor of int64, shape (n_classes,)
        Number of rows of each class.
    negatives_kept, objective
        As for `Impressions`.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from sk_finalmlp.training import StoredImpressions
    >>> rows = StoredImpressions.rows_of(
    ...     codes=np.array([[1, 4], [2, 4]], np.int32),
    ...     values=np.array([[0.5], [-1.5]], np.float32),
    ...     target=np.array([1, 0]),
    ...     weight=np.ones(2, np.float32),
    ... )
    >>> class InMemory:
    ...     def __len__(self):
    ...         return len(rows)
    ...
    ...     def read(self, start, stop):
    ...         return rows[start:stop]
    >>> stored = StoredImpressions([InMemory()], 2, 1, sums=torch.ones(2).double(), counts=torch.ones(2).long())
    >>> stored.head(1).values
    tensor([[0.5000]])
    """

    files: Sequence[RowFile]
    n_codes: int
    n_values: int
    sums: Tensor
    counts: Tensor
    negatives_kept: float = 1.0
    objective: Objective = ONE_LABEL

    def __len__(self) -> int:
        return sum(map(len, self.files))

    def and_(self, others: StoredImpressions) -> StoredImpressions:
        """These rows and the others, of the same sample."""
        return replace(
            self,
            files=[*self.files, *others.files],
            sums=self.sums + others.sums,
            counts=self.counts + others.counts,
        )

    def head(self, n_rows: int) -> Impressions:
        """The first rows, in memory; as their order is random, they are as good as any others."""
        return self.as_impressions(torch.from_numpy(self.files[0].read(0, n_rows)))

    def some(self, n_rows: int) -> Impressions:
        """So many rows at most."""
        return self.head(n_rows)

    def for_scores(self) -> Impressions:
        """Rows to score a network on."""
        return self.head(_MAX_SCORED)

    def class_weights(self, n_classes: int) -> Tensor:
        """Sum of the weights of the rows of each class."""
        return self.sums

    def batches(
        self,
        batch_size: int,
        generator: torch.Generator,
        device: torch.device,
        negative_sampling: float,
        processes: Alone,
    ) -> StoredBatches:
        """Batches of the rows."""
        return StoredBatches(self, batch_size, generator, device, negative_sampling, processes)

    @staticmethod
    def rows_of(
        codes: NDArray[np.int32], values: NDArray[np.float32], target: NDArray[Any], weight: NDArray[np.float32]
    ) -> NDArray[np.int32]:
        """Rows as the files hold them.

        Parameters
        ----------
        codes : ndarray of int32, shape (n, n_codes)
            Codes.
        values : ndarray of float32, shape (n, n_values)
            Values.
        target : ndarray of int, shape (n,)
            Position of each row's class.
        weight : ndarray of float32, shape (n,)
            Weights.

        Returns
        -------
        ndarray of int32, shape (n, n_codes + n_values + 2)
        """
        columns = [codes, values.view(np.int32), target.astype(np.int32)[:, None], weight.view(np.int32)[:, None]]
        return np.concatenate(columns, axis=1)

    def as_impressions(self, rows: Tensor) -> Impressions:
        """Rows of the files as the network takes them."""
        ends = [self.n_codes, self.n_codes + self.n_values, self.n_codes + self.n_values + 1]
        codes, values, target, weight = rows.tensor_split(ends, dim=1)
        return Impressions(
            codes.contiguous(),
            values.contiguous().view(torch.float32),
            target[:, 0].long(),
            weight.contiguous().view(torch.float32)[:, 0],
            self.negatives_kept,
            self.objective,
        )


class StoredBatches(BatchesOfRows[StoredImpressions, "_NegativeTurns"]):
    """Batches of impressions on disk, block by block in an order that is drawn anew for each pass.

    The rows of some blocks at a time are mixed; as the order of all rows on disk is random, that is as good as a
    permutation of all.

    Parameters
    ----------
    impressions : StoredImpressions
        The rows.
    batch_size, generator, device, negative_sampling, processes
        As for `Batches`.

    Attributes
    ----------
    n_rows : int
        Number of rows of a pass; where negatives are drawn, about so many.
    negatives_kept : float
        As for `Batches`.
    """

    _weight_scale = 1.0

    def _sample_negatives(self, share: float) -> _NegativeTurns:
        counts, sums = self.impressions.counts, self.impressions.sums
        n_drawn = share * float(counts[0])
        self.n_rows = max(2, int(counts[1:].sum()) + round(n_drawn))
        self.negatives_kept *= share
        # So that the loss of a sample has the same size, whatever the weights of the classes are.
        self._weight_scale = self.n_rows / float(sums[1:].sum() + share * sums[0])
        return _NegativeTurns(share)

    def __iter__(self) -> Iterator[tuple[Inputs, Labels]]:
        if self._draws is not None:
            self._draws.begin()
        n_left, waiting = len(self), torch.empty(0, self._width, dtype=torch.int32)
        for rows, n_following in self._windows():
            waiting = torch.cat([waiting, rows])
            while n_left > 1:
                size = -(-(len(waiting) + n_following) // n_left)
                if size > len(waiting) or (size == len(waiting) and not n_following):
                    break
                batch, waiting = waiting.tensor_split([size])
                n_left -= 1
                yield self._batch(batch)
        yield self._batch(waiting)

    @property
    def _width(self) -> int:
        return self.impressions.n_codes + self.impressions.n_values + 2

    def _batch(self, rows: Tensor) -> tuple[Inputs, Labels]:
        batch = self.impressions.as_impressions(self.processes.own(rows)).to(self.device)
        weight = batch.weight if self._weight_scale == 1 else batch.weight * self._weight_scale
        return (batch.codes, batch.values), (batch.target, self._weight(weight, len(rows)))

    def _windows(self) -> Iterator[tuple[Tensor, int]]:
        """Mixed rows of some blocks at a time, and about how many rows follow."""
        blocks = list(self._blocks())
        order = torch.randperm(len(blocks), generator=self.generator).tolist()
        n_following = len(self.impressions)
        for first in range(0, len(order), _BLOCKS_OF_WINDOW):
            chosen = [blocks[number] for number in order[first : first + _BLOCKS_OF_WINDOW]]
            read = [torch.from_numpy(file.read(start, start + _BLOCK)) for file, start, _ in chosen]
            n_following -= sum(map(len, read))
            if self._draws is not None:
                numbers = [number for _, _, number in chosen]
                read = [rows[self._draws.are_taken(rows[:, -2], at)] for rows, at in zip(read, numbers, strict=True)]
            rows = torch.cat(read)
            share = self.n_rows / len(self.impressions)
            yield rows[torch.randperm(len(rows), generator=self.generator)], round(n_following * share)

    def _blocks(self) -> Iterator[tuple[RowFile, int, int]]:
        """File, place in it, and number of the first row of each block."""
        before = 0
        for file in self.impressions.files:
            yield from ((file, start, before + start) for start in range(0, len(file), _BLOCK))
            before += len(file)


class _NegativeTurns:
    """Which negatives a pass takes: a share of them, others in each pass until all have had their turn.

    Each row has a phase by its number, and multiples of the golden ratio are evenly spread.
    """

    def __init__(self, share: float) -> None:
        self._share = share
        self.n_passes = 0

    def state(self) -> dict[str, Tensor]:
        """What the next turns depend on."""
        return {"n_passes": torch.tensor(self.n_passes)}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Go on where others were."""
        self.n_passes = int(state["n_passes"])

    def begin(self) -> None:
        """A pass begins."""
        self.n_passes += 1

    def are_taken(self, target: Tensor, number: int) -> Tensor:
        """Whether rows are taken, the first of which has this number."""
        numbers = torch.arange(number, number + len(target), dtype=torch.float64)
        phase = (numbers * _GOLDEN_RATIO - self.n_passes * self._share) % 1
        return (target != 0) | (phase < self._share)
