"""Groups of training rows for out-of-fold statistics."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ._target import LabelledRows


class Grouping(ABC):
    """Groups of rows. A key and a group make a cell; cells come in the order of the keys, then of the groups."""

    #: The share of the training rows with the statistics of this grouping.
    share: float

    @property
    @abstractmethod
    def n_groups(self) -> int:
        """Number of groups."""

    @abstractmethod
    def of(self, labels: LabelledRows) -> np.ndarray:
        """The group of each row."""

    @abstractmethod
    def others(self, of_cells: np.ndarray, groups: np.ndarray, key_of_cell: np.ndarray) -> np.ndarray:
        """Sums over the rows of the same key that each cell knows."""

    def now(self, of_cells: np.ndarray, groups: np.ndarray) -> np.ndarray:
        """What cells add to the statistics of new rows."""
        return of_cells


@dataclass(frozen=True)
class Folds(Grouping):
    """Random folds: a row knows the rows of all other folds, but for those held out."""

    n_folds: int
    share: float = 1.0

    @property
    def n_groups(self) -> int:
        """Number of groups of rows: the folds, the rows held out, and those without weight."""
        return self.n_folds + 2

    def of(self, labels: LabelledRows) -> np.ndarray:
        """The group of each row."""
        return labels.folds

    def others(self, of_cells: np.ndarray, groups: np.ndarray, key_of_cell: np.ndarray) -> np.ndarray:
        """Sums over the rows of the same key that each cell knows."""
        held_out = np.flatnonzero(groups == self.n_folds)
        of_keys = np.bincount(key_of_cell, of_cells)
        # Few cells are held out.
        keys_held_out = key_of_cell.take(held_out)
        others = of_keys - np.bincount(keys_held_out, of_cells.take(held_out), minlength=len(of_keys))
        of_others: np.ndarray = others.take(key_of_cell)
        of_others[held_out] = of_keys.take(keys_held_out)
        of_others -= of_cells
        return of_others


@dataclass(frozen=True)
class Blocks(Grouping):
    """Blocks of rows in the order of time: a row knows the blocks before its own, in the first block other folds; rows
    held out know all blocks.
    """

    n_folds: int
    n_blocks: int
    share: float

    @property
    def n_groups(self) -> int:
        """Number of groups: of each block the rows held out and the others, of the first by fold; rows without weight.

        They come in the order of time.
        """
        return self.n_folds + 2 * self.n_blocks

    def groups(self, folds: np.ndarray, blocks: np.ndarray) -> np.ndarray:
        """The group of each row, by its fold and its block."""
        is_held_out = folds == self.n_folds
        of_blocks = np.where(blocks == 0, 1 + folds, self.n_folds + 2 * blocks) - is_held_out
        of_blocks[is_held_out & (blocks == 0)] = 0
        return np.where(folds > self.n_folds, self.n_groups - 1, of_blocks)

    def of(self, labels: LabelledRows) -> np.ndarray:
        """The group of each row."""
        assert labels.groups_in_time is not None
        return labels.groups_in_time

    def blocks_of(self, groups: np.ndarray) -> np.ndarray:
        """The block of each group; rows without weight are behind the last."""
        return np.maximum(groups - self.n_folds + 1, 0) // 2

    def are_learned(self, groups: np.ndarray) -> np.ndarray:
        """Which groups are neither held out nor without weight."""
        in_first = (groups > 0) & (groups <= self.n_folds)
        return in_first | ((groups > self.n_folds) & ((groups - self.n_folds) % 2 == 0))

    def others(self, of_cells: np.ndarray, groups: np.ndarray, key_of_cell: np.ndarray) -> np.ndarray:
        """Sums over the rows of the same key that each cell knows."""
        are_learned = self.are_learned(groups)
        learned = np.where(are_learned, of_cells, 0.0)
        others = self._before(learned, groups, key_of_cell)
        rest = np.flatnonzero(~are_learned)
        others[rest] = np.bincount(key_of_cell, learned).take(key_of_cell.take(rest))
        return others

    def _before(self, learned: np.ndarray, groups: np.ndarray, key_of_cell: np.ndarray) -> np.ndarray:
        """Sums over the blocks before each cell's, in the first block over the others of that block."""
        before: np.ndarray = np.cumsum(learned)
        before -= learned
        before -= before[np.r_[True, key_of_cell[1:] != key_of_cell[:-1]]].take(key_of_cell)
        first = np.flatnonzero(groups <= self.n_folds)
        keys, of_first = key_of_cell.take(first), learned.take(first)
        before[first] = np.bincount(keys, of_first, 1).take(keys) - of_first
        return before


@dataclass(frozen=True)
class WalkForward(Blocks):
    """Blocks in the order of time, where rows held out know the blocks before theirs alone, too."""

    #: How often a block's weight is halved until the next one.
    halvings: int = 0

    @property
    def n_blocks_now(self) -> float:
        """The number of last blocks with the weight of all blocks in the statistics of new rows."""
        return float(np.ldexp(1.0, -self.halvings * np.arange(self.n_blocks)).sum())

    def known_sums(self, of_groups: np.ndarray) -> np.ndarray:
        """Sums over all rows that the rows of each group know, and, last, that new rows know."""
        groups = np.arange(self.n_groups)
        others = self.others(of_groups, groups, np.zeros(self.n_groups, np.int64))
        return np.append(others, self.now(of_groups, groups).sum())

    def others(self, of_cells: np.ndarray, groups: np.ndarray, key_of_cell: np.ndarray) -> np.ndarray:
        """Sums over the rows of the same key that each cell knows."""
        # By powers of two, nothing is rounded.
        blocks = self.blocks_of(groups)
        learned = np.ldexp(np.where(self.are_learned(groups), of_cells, 0.0), self.halvings * blocks)
        before = self._before(learned, groups, key_of_cell)
        return np.ldexp(before, self.halvings * (1 - np.maximum(blocks, 1)))

    def now(self, of_cells: np.ndarray, groups: np.ndarray) -> np.ndarray:
        """What cells add to the statistics of new rows."""
        return np.ldexp(of_cells, self.halvings * (self.blocks_of(groups) - self.n_blocks + 1))
