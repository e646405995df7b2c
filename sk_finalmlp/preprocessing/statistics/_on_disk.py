"""Crosses and statistics of rows whose codes are on disk, as many at a time as memory holds.

Sums are kept for cells, one for each key and fold: a key's rows of the same fold have the same statistics. Where there
are too many keys for that, rows are parted by a hash of their keys, and the parts follow one another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from ..._sources import Passes, StoredArray, TemporaryFolder, sizes, split_by
from .._column import Column
from .._raw_column import Part, RawColumn
from .._tally import ColumnTally
from ._crosses import CrossEncoder
from ._keys import Key
from ._statistics import KeyStatistics, LearnedStatistic, MeasuredKeys, RowMoments
from ._stored_target import StoredTarget
from ._sums import Cells
from ._unknown import UnknownRows

_MAX_PARTS = 500

Codes = Mapping[str, StoredArray]


def fit_cross(
    cross: CrossEncoder, codes: Codes, weight: StoredArray | None, folder: TemporaryFolder, passes: Passes
) -> StoredArray:
    """Learn a cross from codes on disk, and encode it."""
    n_rows = len(codes[cross.key.parts[0]])
    tally = ColumnTally(cross.key.name, as_times=False)
    with passes.over(f"combinations of {cross.key.name}", n_rows) as advance:
        for start in range(0, n_rows, sizes.CHUNK):
            values = cross.combinations(_read(codes, cross.key, start)).values
            if weight is not None:
                values = values.filter(pa.array(weight.read(start, start + sizes.CHUNK) > 0))
            tally.add(RawColumn(cross.key.name, [Part(values)], len(values)))
            advance(len(values))
    if tally.is_sampled:
        raise ValueError(f"crosses: {cross.key.name!r} has a different combination in nearly every row. Leave it out.")
    raw, _ = tally.short_column()
    cross.fit_tally(Column(raw.name, raw.parts[0].values, raw.tally))
    output = folder.array(f"cross-{id(cross)}", np.int32)
    with passes.over(f"codes of {cross.key.name}", n_rows) as advance:
        for start in range(0, n_rows, sizes.CHUNK):
            output.append(cross.transform(_read(codes, cross.key, start)))
            advance(sizes.CHUNK)
    return output


def _read(codes: Codes, key: Key, start: int) -> dict[str, np.ndarray]:
    return {part: codes[part].read(start, start + sizes.CHUNK).astype(np.int64) for part in key.parts}


def fit_statistics(
    statistics: KeyStatistics,
    codes: Codes,
    target: StoredTarget,
    unknown: UnknownRows,
    folder: TemporaryFolder,
    passes: Passes,
) -> dict[str, StoredArray]:
    """Learn the statistics of a key from codes on disk, and write those of the rows, by name."""
    key = statistics.key
    max_keys = max(1, sizes.CELLS // (target.n_folds + 2))
    n_parts = min(-(-min(key.n_possible, len(target)) // max_keys), _MAX_PARTS)
    if n_parts == 1:
        columns = _fit_in_one(statistics, _CodedRows(key, codes, target, max_keys), target, folder, passes)
    else:
        rows = _PartedRows(key, codes, target, folder, n_parts, passes)
        columns = _fit_in_parts(statistics, rows, target, folder, passes)
    for learned, column in columns.values():
        _hide_unknown(column, learned, key, target, unknown)
    return {name: column for name, (_, column) in columns.items()}


Columns = dict[str, tuple[LearnedStatistic, StoredArray]]


def _hide_unknown(
    column: StoredArray, learned: LearnedStatistic, key: Key, target: StoredTarget, unknown: UnknownRows
) -> None:
    """Give rows in which the key counts as unknown the statistic of unknown keys."""
    for start in range(0, len(column), sizes.CHUNK):
        folds, _, _ = target.rows(start, start + sizes.CHUNK)
        is_unknown = unknown.among(key, folds < target.n_folds, start)
        if is_unknown is None:
            return
        column.write(start, np.where(is_unknown, learned.of_unknown, column.read(start, start + sizes.CHUNK)))


def _fit_in_one(
    statistics: KeyStatistics, rows: _CodedRows, target: StoredTarget, folder: TemporaryFolder, passes: Passes
) -> Columns:
    with passes.over(f"statistics of {statistics.key.name}", len(target)) as advance:
        cells = _Cells(rows, target, folder, advance)
        measured = cells.measure(statistics)
        standardize = statistics.learn([measured], measured.moments)
        columns = _new_columns(standardize, folder, statistics)
        tables = [
            cells.table(standard(of_cells))
            for standard, of_cells in zip(standardize.values(), measured.of_cells, strict=True)
        ]
        for positions in cells.positions():
            for column, table in zip(columns.values(), tables, strict=True):
                column.append(table[positions])
        cells.remove()
    return {name: (standardize[name], column) for name, column in columns.items()}


def _fit_in_parts(
    statistics: KeyStatistics, rows: _PartedRows, target: StoredTarget, folder: TemporaryFolder, passes: Passes
) -> Columns:
    parts, of_rows = [], []
    with passes.over(f"statistics of {statistics.key.name}", len(target)) as advance:
        for number, part in enumerate(rows.parts):
            cells = _Cells(part, target, folder, advance)
            measured = cells.measure(statistics)
            tables = [cells.table(of_cells) for of_cells in measured.of_cells]
            files = [folder.array(f"part-{number}-{position}", np.float64) for position in range(len(tables))]
            for positions in cells.positions():
                for file, table in zip(files, tables, strict=True):
                    file.append(table[positions])
            of_rows.append(files)
            part.remove()
            cells.remove()
            parts.append(measured._replace(of_cells=[]))
        moments = zip(*(part.moments for part in parts), strict=True)
        standardize = statistics.learn(parts, [_sum(of_parts) for of_parts in moments])
        columns = _new_columns(standardize, folder, statistics)
        for position, (standard, column) in enumerate(zip(standardize.values(), columns.values(), strict=True)):
            _join_parts([files[position] for files in of_rows], rows, standard, column)
        # The next key writes a file of the same name.
        rows.part_of_row.remove()
    return {name: (standardize[name], column) for name, column in columns.items()}


def _sum(moments: Sequence[RowMoments]) -> RowMoments:
    total = moments[0]
    for more in moments[1:]:
        total = total.and_(more)
    return total


def _new_columns(
    standardize: Mapping[str, LearnedStatistic], folder: TemporaryFolder, statistics: KeyStatistics
) -> dict[str, StoredArray]:
    return {
        name: folder.array(f"statistic-{id(statistics)}-{position}", np.float32)
        for position, name in enumerate(standardize)
    }


def _join_parts(
    files: Sequence[StoredArray], rows: _PartedRows, standard: LearnedStatistic, column: StoredArray
) -> None:
    """Put the statistics of the parts into the order of the rows, in which each part has kept its own."""
    done = np.zeros(len(files), np.int64)
    for part_of_row in rows.part_of_row.chunks():
        n_rows = np.bincount(part_of_row, minlength=len(files))
        values = np.concatenate(
            [file.read(first, first + n) for file, first, n in zip(files, done.tolist(), n_rows.tolist(), strict=True)]
        )
        done += n_rows
        joined = np.empty(len(values))
        joined[np.argsort(part_of_row, kind="stable")] = values
        column.append(standard(joined))
    for file in files:
        file.remove()


class _CodedRows:
    """Rows in the order of the table, whose keys are made of the codes on disk."""

    def __init__(self, key: Key, codes: Codes, target: StoredTarget, max_keys: int) -> None:
        self._key, self._codes, self._target = key, codes, target
        self.possible = np.arange(key.n_possible) if key.n_possible <= max_keys else None

    def keys(self) -> Iterator[np.ndarray]:
        """Keys of the rows, chunk by chunk."""
        for start in range(0, len(self._target), sizes.CHUNK):
            yield self._key.combine(_read(self._codes, self._key, start))

    def chunks(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
        """Key, fold, class and weight of the rows, chunk by chunk."""
        for number, keys in enumerate(self.keys()):
            yield keys, *self._target.rows(number * sizes.CHUNK, (number + 1) * sizes.CHUNK)

    def place(self, keys: np.ndarray) -> np.ndarray:
        """Where keys stand among the possible ones."""
        return keys


class _PartedRows:
    """Rows in files by the remainder of their keys, or by that of a hash where few of the possible keys occur."""

    def __init__(
        self,
        key: Key,
        codes: Codes,
        target: StoredTarget,
        folder: TemporaryFolder,
        n_parts: int,
        passes: Passes,
    ) -> None:
        is_dense = key.n_possible <= len(target)
        self.parts = [
            _Part(folder, number, np.arange(number, key.n_possible, n_parts) if is_dense else None, n_parts)
            for number in range(n_parts)
        ]
        self.part_of_row = folder.array("part-of-row", np.uint16)
        with passes.over(f"parts of {key.name}", len(target)) as advance:
            for start in range(0, len(target), sizes.CHUNK):
                keys = key.combine(_read(codes, key, start))
                columns = (keys, *target.rows(start, start + sizes.CHUNK))
                hashes = keys.astype(np.uint64) if is_dense else _mixed(keys)
                part_of_row = (hashes % np.uint64(n_parts)).astype(np.uint16)
                split = [split_by(part_of_row, n_parts, column) for column in columns]
                for part, *own in zip(self.parts, *split, strict=True):
                    part.append(own)
                self.part_of_row.append(part_of_row)
                advance(len(keys))


def _mixed(keys: np.ndarray) -> np.ndarray:
    """Hashes of keys, by the finalizer of MurmurHash3."""
    hashes = keys.astype(np.uint64)
    hashes = (hashes ^ (hashes >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    return hashes ^ (hashes >> np.uint64(33))


class _Part:
    """Rows whose keys are in no other part, in the order of the table."""

    def __init__(self, folder: TemporaryFolder, number: int, possible: np.ndarray | None, n_parts: int) -> None:
        dtypes = {"key": np.int64, "fold": np.uint8, "class": np.int32, "weight": np.float64}
        self._files = [folder.array(f"part-{number}-{name}", dtype) for name, dtype in dtypes.items()]
        self._n_parts = n_parts
        self.possible = possible

    def append(self, columns: Sequence[np.ndarray]) -> None:
        """Write more rows."""
        for file, column in zip(self._files, columns, strict=True):
            file.append(column)

    def keys(self) -> Iterator[np.ndarray]:
        """Keys of the rows, chunk by chunk."""
        return self._files[0].chunks()

    def chunks(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
        """Key, fold, class and weight of the rows, chunk by chunk."""
        return zip(*(file.chunks() for file in self._files), strict=True)

    def place(self, keys: np.ndarray) -> np.ndarray:
        """Where keys stand among the possible ones."""
        return keys // self._n_parts

    def remove(self) -> None:
        """Give the space of the files back."""
        for file in self._files:
            file.remove()


class _Cells:
    """Sums of rows by key and fold.

    Parameters
    ----------
    rows : _CodedRows or _Part
        The rows.
    target : StoredTarget
        What the folds and classes are.
    folder : TemporaryFolder
        Where the cell of each row goes.
    advance : callable
        Told of the rows that are done.
    """

    def __init__(
        self, rows: _CodedRows | _Part, target: StoredTarget, folder: TemporaryFolder, advance: Callable[[int], None]
    ) -> None:
        self._target = target
        self._n_folds = target.n_folds + 2
        self._keys = _distinct(rows.keys()) if rows.possible is None else rows.possible
        index: Any = pd.Index(self._keys) if rows.possible is None else None
        n_cells = len(self._keys) * self._n_folds
        self._is_there = np.zeros(n_cells, bool)
        self._weights = np.zeros(n_cells)
        self._weights_of = [np.zeros(n_cells) for _ in target.counted_classes]
        self._cells = folder.array("cells", np.int32)
        for keys, folds, classes, weights in rows.chunks():
            cells = (rows.place(keys) if index is None else index.get_indexer(keys)) * self._n_folds + folds
            self._cells.append(cells)
            self._is_there[cells] = True
            np.add.at(self._weights, cells, weights)
            for sums, position in zip(self._weights_of, target.counted_classes, strict=True):
                own = classes == position
                np.add.at(sums, cells[own], weights[own])
            advance(len(keys))

    def measure(self, statistics: KeyStatistics) -> MeasuredKeys:
        """Statistics of the keys, and of the cells that have rows."""
        cells = np.flatnonzero(self._is_there)
        positions, folds = np.divmod(cells, self._n_folds)
        target = self._target.of_cells(folds, self._weights[cells], [sums[cells] for sums in self._weights_of])
        self._there, self._n_cells = cells, len(self._is_there)
        self._is_there, self._weights, self._weights_of = np.zeros(0, bool), np.zeros(0), []
        return statistics.measure(Cells(self._keys[positions], statistics.key.n_possible, target), target)

    def table(self, of_cells: np.ndarray) -> np.ndarray:
        """Values of the cells that have rows, at the places of all cells."""
        table = np.zeros(self._n_cells, of_cells.dtype)
        table[self._there] = of_cells
        return table

    def positions(self) -> Iterator[np.ndarray]:
        """The cell of each row, chunk by chunk."""
        return self._cells.chunks()

    def remove(self) -> None:
        """Give the space of the file back."""
        self._cells.remove()


def _distinct(chunks: Iterator[np.ndarray]) -> np.ndarray:
    """Distinct keys in ascending order."""
    known: np.ndarray = np.zeros(0, np.int64)
    for keys in chunks:
        known = np.union1d(known, pd.unique(keys))
    return known
