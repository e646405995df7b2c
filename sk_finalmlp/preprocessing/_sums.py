"""Codes of training rows, and sums of their weights by key and group, for out-of-fold statistics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from .._sources import Passes, sizes
from ._keys import BITS, MOST_KEYS, Key
from ._target import Array, Grouping, LabelledRows, NoLabels, Target

#: Up to so many, keys are found in an array with an element for each; beyond, by sorting.
_POSSIBLE_KEYS_PER_ROW = 8
#: About so many cells are summed by key at a time.
BLOCK = 2**18


class CodedRows:
    """Codes, sample weights and labels of all training rows, read in chunks; a table in memory is one chunk."""

    def __init__(
        self,
        codes: Mapping[str, Array],
        weights: Array | None,
        target: Target | NoLabels,
        passes: Passes | None = None,
    ) -> None:
        self._codes, self._weights, self.target, self._passes = codes, weights, target, passes
        self.n_rows = len(next(iter(codes.values()), ()))
        self._size = max(self.n_rows, 1) if passes is None else sizes.CHUNK
        self.is_one_chunk = self.n_rows <= self._size

    def chunks(self, names: Sequence[str], title: str) -> Iterator[tuple[slice, dict[str, np.ndarray]]]:
        """Some rows at a time, and their codes by column; the pass over them has a title."""
        over = nullcontext(lambda n: None) if self._passes is None else self._passes.over(title, self.n_rows)
        with over as advance:
            for start in range(0, self.n_rows, self._size):
                rows = slice(start, start + self._size)
                yield rows, {name: self._codes[name][rows].astype(np.int64, copy=False) for name in names}
                advance(min(self._size, self.n_rows - start))

    def weights(self, rows: slice) -> np.ndarray | None:
        """The sample weights of a chunk."""
        return None if self._weights is None else self._weights[rows]

    def labels(self, rows: slice) -> LabelledRows:
        """The labels of a chunk, where there are any."""
        assert isinstance(self.target, Target)
        return self.target.rows if self._passes is None else self.target.read(rows.start, rows.stop)


class Sums(NamedTuple):
    """Sums of weights of cells or keys: of all rows, of those where each label is known, and of those that have it."""

    rows: np.ndarray
    known: Sequence[np.ndarray]
    clicks: Sequence[np.ndarray]


class CellSums(NamedTuple):
    """The group of each cell, the sums of its own rows, and those of the rows of its key that it knows."""

    groups: np.ndarray
    own: Sums
    others: Sums


class Cells:
    """Training rows by key and group, which share statistics. A cell is key times number of groups plus group."""

    def __init__(self, n_keys: int, grouping: Grouping, n_labels: int) -> None:
        self.grouping = grouping
        self._n_labels = n_labels
        self._n_groups = grouping.n_groups
        self._n_possible = n_keys * self._n_groups
        self._cells: np.ndarray = np.empty(0, np.int64)
        #: Sums of weights by cell: of all rows, of each label's, and of the rows where it is known, if not all.
        self.weights: list[np.ndarray] = []

    def locate(self, keys: np.ndarray, labels: LabelledRows) -> np.ndarray:
        """The position of each row's cell among those that occur; new ones get one."""
        cells = keys * self._n_groups
        cells += labels.folds if self.grouping.n_blocks == 1 else labels.groups_in_time
        ranks, distinct = factorize(cells, self._n_possible)
        if not len(self._cells):
            self._cells = distinct
            return ranks
        self._cells, self.weights, positions = make_room(self._cells, distinct, self.weights)
        return positions.take(ranks)

    def add(self, positions: np.ndarray, labels: LabelledRows) -> None:
        """Add the weights of rows of cells at these positions."""
        terms = labels.terms(positions)
        if not self.weights:
            n_cells = len(self._cells)
            self.weights = [np.bincount(at, weights, n_cells).astype(np.float64, copy=False) for at, weights in terms]
            return
        for sums, (at, weights) in zip(self.weights, terms, strict=True):
            # One row after the other, as in a single chunk, so that sums of fractions are rounded alike.
            np.add.at(sums, at, 1.0 if weights is None else weights)

    def of_keys(self) -> tuple[np.ndarray, Sums]:
        """The keys of rows with weight, and the sums of weights that new rows know of each."""
        keys, groups, is_first, ranks = self._runs(self._cells)
        sums = [np.bincount(ranks, self.grouping.now(of_cells, groups)) for of_cells in self.weights]
        is_known = sums[0] > 0
        return keys[is_first][is_known], self._by_label([of_keys[is_known] for of_keys in sums])

    def blocks(self) -> Iterator[tuple[slice, CellSums]]:
        """The sums of all cells, some hundred thousand cells at a time, in ascending order of the keys."""
        first_of_keys = self._cells[BLOCK::BLOCK] // self._n_groups * self._n_groups
        bounds = np.searchsorted(self._cells, first_of_keys).tolist()
        # A key with many cells leaves blocks empty.
        for start, stop in pairwise(dict.fromkeys([0, *bounds, len(self._cells)])):
            yield slice(start, stop), self.sums(of=slice(start, stop))

    def sums(self, grouping: Grouping | None = None, of: slice = slice(None)) -> CellSums:
        """The sums of weights that cells have and know, also by another grouping in the same groups."""
        grouping = self.grouping if grouping is None else grouping
        _, groups, _, ranks = self._runs(self._cells[of])
        own = [weights[of] for weights in self.weights]
        others = [grouping.others(of_cells, groups, ranks) for of_cells in own]
        return CellSums(groups, self._by_label(own), self._by_label(others))

    def _by_label(self, sums: Sequence[np.ndarray]) -> Sums:
        """Sums in the order of `weights`; where no label is missing, each is known in all rows."""
        rows, *of_labels = sums
        return Sums(rows, of_labels[self._n_labels :] or [rows] * self._n_labels, of_labels[: self._n_labels])

    def _runs(self, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Key and group of each cell, which is the first of its key, and the number of the key among those here."""
        keys = cells // self._n_groups
        is_first = starts_of_runs(keys)
        return keys, cells - keys * self._n_groups, is_first, np.cumsum(is_first) - 1

    def __len__(self) -> int:
        return len(self._cells)

    @property
    def n_keys(self) -> int:
        """Number of keys that occur."""
        return int(starts_of_runs(self._cells // self._n_groups).sum())

    def from_rows(self, of_rows: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """The value of each cell; all its rows have the same."""
        values = np.empty(len(self._cells), of_rows.dtype)
        values[positions] = of_rows
        return values


class KeyedRows:
    """The cells of training rows by a key, of each grouping, and where each row stands among them."""

    def __init__(self, key: Key, rows: CodedRows, groupings: Sequence[Grouping]) -> None:
        self._key, self._rows = key, rows
        self._numbered: np.ndarray | None = None
        n_keys = key.n_possible
        if n_keys > MOST_KEYS // max(grouping.n_groups for grouping in groupings):
            # With a group, 63 bits are too few: the distinct keys are numbered.
            self._numbered = self._distinct()
            n_keys = len(self._numbered)
        assert isinstance(rows.target, Target)
        self.cells = [Cells(n_keys, grouping, len(rows.target.labels)) for grouping in groupings]
        for own, codes in rows.chunks(key.parts, f"statistics of {key.name}"):
            labels = rows.labels(own)
            #: Of all rows, where these are a single chunk.
            self.positions = self._locate(codes, labels)
            for cells, positions in zip(self.cells, self.positions, strict=True):
                cells.add(positions, labels)

    def _distinct(self) -> np.ndarray:
        known: np.ndarray = np.empty(0, np.int64)
        for _, codes in self._rows.chunks(self._key.parts, f"combinations of {self._key.name}"):
            known, _, _ = make_room(known, factorize(self._key.combine(codes), self._key.n_possible)[1], [])
        return known

    def _locate(self, codes: Mapping[str, np.ndarray], labels: LabelledRows) -> list[np.ndarray]:
        """The positions of rows among the cells of each grouping."""
        keys = self._key.combine(codes)
        if self._numbered is not None:
            distinct, ranks = np.unique(keys, return_inverse=True)
            keys = np.searchsorted(self._numbered, distinct).take(ranks)
        return [cells.locate(keys, labels) for cells in self.cells]

    def of_keys(self) -> tuple[np.ndarray, Sums]:
        """The keys of rows with weight, and sums of weights of the first grouping that new rows know."""
        keys, sums = self.cells[0].of_keys()
        return keys if self._numbered is None else self._numbered.take(keys), sums

    def chunks(self) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """The number of the first row, which rows are training rows, and their cells, chunk by chunk."""
        for own, codes in self._rows.chunks(self._key.parts, f"out-of-fold statistics of {self._key.name}"):
            labels = self._rows.labels(own)
            # A single chunk is not looked up again.
            positions = self.positions if self._rows.is_one_chunk else self._locate(codes, labels)
            cells, grouping = positions[0], self.cells[-1].grouping
            if len(positions) > 1:
                # Of two groupings, a row has the statistics of one; the cells of the second come behind the others.
                is_of_second = labels.folds < round(grouping.share * grouping.n_folds)
                cells = np.where(is_of_second, len(self.cells[0]) + positions[1], cells)
            yield own.start, labels.folds < grouping.n_folds, cells


def make_room(
    known: np.ndarray, keys: np.ndarray, columns: list[np.ndarray]
) -> tuple[np.ndarray, list[np.ndarray], np.ndarray]:
    """Insert keys into known ones, both distinct and sorted, and zeros into their columns; return positions, too."""
    positions = np.searchsorted(known, keys)
    is_new = known.take(positions, mode="clip") != keys if len(known) else np.ones(len(keys), bool)
    if not is_new.any():
        return known, columns, positions
    before = positions[is_new]
    # One after the other, so that only one is copied at a time.
    columns = [np.insert(columns.pop(0), before, 0) for _ in range(len(columns))]
    return np.insert(known, before, keys[is_new]), columns, positions + np.cumsum(is_new) - is_new


def factorize(keys: np.ndarray, n_possible: int) -> tuple[np.ndarray, np.ndarray]:
    """For each row which of the distinct keys it has, and these in ascending order; all are below `n_possible`."""
    if n_possible <= _POSSIBLE_KEYS_PER_ROW * len(keys):
        is_present = np.zeros(n_possible, bool)
        is_present[keys] = True
        distinct = np.flatnonzero(is_present)
        # Random access should fit into the cache.
        rank_of = np.empty(n_possible, np.int32 if 2**18 < n_possible < 2**31 else np.int64)
        rank_of[distinct] = np.arange(len(distinct))
        # Once here, and not in each sum and look-up.
        return rank_of.take(keys).astype(np.int64, copy=False), distinct
    n_bits = len(keys).bit_length()
    if n_possible.bit_length() + n_bits > BITS:
        distinct, ranks = np.unique(keys, return_inverse=True)
        return ranks, distinct
    # NumPy sorts integers several times as fast as it finds out their order.
    numbered = (keys << n_bits) | np.arange(len(keys))
    numbered.sort()
    in_order = numbered >> n_bits
    is_first = starts_of_runs(in_order)
    ranks = np.empty(len(keys), np.int64)
    ranks[numbered & ((1 << n_bits) - 1)] = np.cumsum(is_first) - 1
    return ranks, in_order[is_first]


def starts_of_runs(values: np.ndarray) -> np.ndarray:
    """Which values differ from the one before."""
    is_first = np.ones(len(values), bool)
    np.not_equal(values[1:], values[:-1], out=is_first[1:])
    return is_first
