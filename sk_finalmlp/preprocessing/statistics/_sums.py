"""Sums of weights by key and fold, from which each row's statistics leave out its own fold."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ._keys import factorize, ranks_of_runs, starts_of_runs
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
        # Sums have places, which are those of all possible cells where these are few.
        self._place_of_row = keys * n_folds + target.folds
        self._n_places = n_possible * n_folds
        self._places: np.ndarray | None = None
        if self._n_places <= len(keys):
            cells = self._places = np.flatnonzero(self._bincount(self._place_of_row, None))
        else:
            self._place_of_row, cells = factorize(self._place_of_row, self._n_places)
            self._n_places = len(cells)
        key_of_cell = cells // n_folds
        self.folds = cells - key_of_cell * n_folds
        is_first = starts_of_runs(key_of_cell)
        self.keys = key_of_cell[is_first] if numbers is None else numbers
        self._key_of_cell = ranks_of_runs(is_first)
        self._held_out = np.flatnonzero(self.folds == target.n_folds)

    def sums_of(self, target: Target) -> LabelSums:
        """Sums of all rows, and of those of each label."""
        rows = self._sums(self._place_of_row, None if target.is_unweighted else target.weights)
        clicks = [self._sums(self._place_of_row.take(own), weights) for own, weights in target.rows_of]
        if target.labelled is None:
            return LabelSums(rows, [rows] * len(clicks), clicks)
        return LabelSums(rows, [self._sums(self._place_of_row, weights) for weights in target.labelled], clicks)

    def _sums(self, place_of_row: np.ndarray, weights: np.ndarray | None) -> Sums:
        """Sums of the weights of rows, each of which weighs 1 if there are no weights."""
        of_cells = self._from_places(self._bincount(place_of_row, weights).astype(np.float64, copy=False))
        of_keys = np.bincount(self._key_of_cell, of_cells, minlength=len(self.keys))
        # Few cells are held out.
        keys_held_out = self._key_of_cell.take(self._held_out)
        others = of_keys - np.bincount(keys_held_out, of_cells.take(self._held_out), minlength=len(of_keys))
        of_others = others.take(self._key_of_cell)
        of_others[self._held_out] = of_keys.take(keys_held_out)
        of_others -= of_cells
        # Differences of fractional weights may be a little below 0.
        return Sums(of_keys, of_cells, np.maximum(of_others, 0.0, out=of_others))

    def _bincount(self, place_of_row: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
        return np.bincount(place_of_row, weights, minlength=self._n_places)

    def _from_places(self, values: np.ndarray) -> np.ndarray:
        of_cells: np.ndarray = values if self._places is None else values.take(self._places)
        return of_cells

    def to_rows(self, of_cells: np.ndarray) -> np.ndarray:
        """The value of each row's cell."""
        values = of_cells
        if self._places is not None:
            values = np.empty(self._n_places, of_cells.dtype)
            values[self._places] = of_cells
        of_rows: np.ndarray = values.take(self._place_of_row)
        return of_rows

    def from_rows(self, of_rows: np.ndarray) -> np.ndarray:
        """The value of each cell, all rows of which have the same."""
        values = np.empty(self._n_places, of_rows.dtype)
        values[self._place_of_row] = of_rows
        return self._from_places(values)
