"""Groups of training rows for out-of-fold statistics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ._target import LabelledRows


@dataclass(frozen=True)
class Folds:
    """Random folds: a row knows the rows of all other folds, but for those held out."""

    n_folds: int

    @property
    def n_groups(self) -> int:
        """Number of groups of rows: the folds, the rows held out, and those without weight."""
        return self.n_folds + 2

    def of(self, labels: LabelledRows) -> np.ndarray:
        """The group of each row."""
        return labels.folds

    def others(
        self, of_keys: np.ndarray, of_cells: np.ndarray, groups: np.ndarray, key_of_cell: np.ndarray
    ) -> np.ndarray:
        """Sums over the rows of the same key that each cell knows."""
        held_out = np.flatnonzero(groups == self.n_folds)
        # Few cells are held out.
        keys_held_out = key_of_cell.take(held_out)
        others = of_keys - np.bincount(keys_held_out, of_cells.take(held_out), minlength=len(of_keys))
        of_others: np.ndarray = others.take(key_of_cell)
        of_others[held_out] = of_keys.take(keys_held_out)
        of_others -= of_cells
        return of_others


@dataclass(frozen=True)
class Blocks:
    """Blocks of rows in the order of time: a row knows the blocks before its own, in the first block other folds."""

    n_folds: int
    n_blocks: int

    @property
    def n_groups(self) -> int:
        """Number of groups: folds of the first block, later blocks, rows held out, rows without weight."""
        return self.n_folds + self.n_blocks + 1

    def groups(self, folds: np.ndarray, blocks: np.ndarray) -> np.ndarray:
        """The group of each row, by its fold and its block."""
        # What is held out or without weight comes last, whatever its block.
        later: np.ndarray = np.where(folds < self.n_folds, self.n_folds + blocks, folds + self.n_blocks) - 1
        return np.where((blocks == 0) & (folds < self.n_folds), folds, later)

    def of(self, labels: LabelledRows) -> np.ndarray:
        """The group of each row."""
        assert labels.groups_in_time is not None
        return labels.groups_in_time

    def others(
        self, of_keys: np.ndarray, of_cells: np.ndarray, groups: np.ndarray, key_of_cell: np.ndarray
    ) -> np.ndarray:
        """Sums over the rows of the same key that each cell knows."""
        learned = np.where(groups < self.n_groups - 2, of_cells, 0.0)
        before = np.cumsum(learned)
        before -= learned
        before -= before[np.r_[True, key_of_cell[1:] != key_of_cell[:-1]]].take(key_of_cell)
        first = np.flatnonzero(groups < self.n_folds)
        of_first = of_cells.take(first)
        before[first] = np.bincount(key_of_cell.take(first), of_first, 1).take(key_of_cell.take(first)) - of_first
        return before


Grouping = Folds | Blocks
