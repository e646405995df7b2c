"""Sums of weights by key and fold, from which each row's statistics leave out its own fold."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ._keys import factorize
from ._target import Target

_MOST_KEYS = np.iinfo(np.int64).max


class Sums(NamedTuple):
    """Sums of weights.

    Parameters
    ----------
    of_keys : ndarray of shape (n_keys,)
        Over all rows of a key.
    of_cells : ndarray of shape (n_cells,)
        Over the rows of a key in one fold.
    of_others : ndarray of shape (n_cells,)
        Over the rows of the key in the other folds, the held-out one never among them.
    """

    of_keys: np.ndarray
    of_cells: np.ndarray
    of_others: np.ndarray


class LabelSums(NamedTuple):
    """Sums over rows.

    Parameters
    ----------
    rows : Sums
        Over all rows.
    labelled : list of Sums
        For each label, over the rows of which it is known.
    clicks : list of Sums
        For each label, over its rows.
    """

    rows: Sums
    labelled: list[Sums]
    clicks: list[Sums]


class Cells:
    """Training rows by key and fold: those that agree in both have the same statistics, computed once.

    Parameters
    ----------
    keys : ndarray of int64, shape (n_samples,)
        The key of each row.
    n_possible : int
        Keys are below it.
    target : Target
        Folds of the rows.

    Attributes
    ----------
    keys : ndarray of int64, shape (n_keys,)
        Distinct keys in ascending order.
    folds : ndarray of shape (n_cells,)
        The fold of each cell.
    """

    def __init__(self, keys: np.ndarray, n_possible: int, target: Target) -> None:
        # Rows that are held out, and those without weight, have folds of their own.
        n_folds = target.n_folds + 2
        numbers: np.ndarray | None = None
        if n_possible > _MOST_KEYS // n_folds:
            keys, numbers = factorize(keys, n_possible)
            n_possible = len(numbers)
        self._cell_of_row, cells = factorize(keys * n_folds + target.folds, n_possible * n_folds)
        key_of_cell, self.folds = np.divmod(cells, n_folds)
        is_first = np.diff(key_of_cell, prepend=-1) > 0
        self.keys = key_of_cell[is_first] if numbers is None else numbers
        self._key_of_cell = np.cumsum(is_first) - 1
        self._is_held_out = self.folds == target.n_folds

    def sums(self, weights: np.ndarray) -> Sums:
        """Sums of the weights of the rows."""
        of_cells = np.bincount(self._cell_of_row, weights, minlength=len(self.folds))
        of_keys = self._by_key(of_cells)
        others = of_keys - self._by_key(np.where(self._is_held_out, of_cells, 0.0))
        of_others = np.where(self._is_held_out, of_keys[self._key_of_cell], others[self._key_of_cell]) - of_cells
        # Differences of fractional weights may be a little below 0.
        return Sums(of_keys, of_cells, np.maximum(of_others, 0.0))

    def sums_of(self, target: Target) -> LabelSums:
        """Sums of all rows, and of those of each label."""
        rows, clicks = self.sums(target.weights), [self.sums(weights) for weights in target.weights_of]
        if target.labelled is None:
            return LabelSums(rows, [rows] * len(clicks), clicks)
        return LabelSums(rows, [self.sums(weights) for weights in target.labelled], clicks)

    def _by_key(self, of_cells: np.ndarray) -> np.ndarray:
        return np.bincount(self._key_of_cell, of_cells, minlength=len(self.keys))

    def to_rows(self, of_cells: np.ndarray) -> np.ndarray:
        """The value of each row's cell."""
        return of_cells.take(self._cell_of_row)

    def from_rows(self, of_rows: np.ndarray) -> np.ndarray:
        """The value of each cell, all rows of which have the same."""
        of_cells = np.empty(len(self.folds), of_rows.dtype)
        of_cells[self._cell_of_row] = of_rows
        return of_cells
