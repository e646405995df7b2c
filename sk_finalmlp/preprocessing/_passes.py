"""Two passes over rows in batches: the first tallies the columns, the second writes their codes to disk."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .._checks import errors_about
from .._sources import Batch, Parts, Passes, Source, StoredArray, TemporaryFolder
from ..schema import column_names
from ._column import read_column, rows_with_weight
from ._datetime import DatetimeEncoder
from ._fitted_columns import FittedColumn, bind_histories
from ._learn_columns import Kind
from ._lists import MultiValuedEncoder
from ._order import Clock, ToldOrder
from ._table import are_numeric, check_range
from ._tally import ColumnTally, RowSample, have_fractions
from ._times import read_order


def _ignore(n_rows: int) -> None:
    """Tell nobody of the progress."""


@dataclass(frozen=True)
class ColumnsToRead:
    """The columns of a table, by purpose."""

    names: Sequence[str]
    chosen: Mapping[int, Kind]
    label: str | None
    weight: str | None
    #: What tells the order of the rows, if the user says so.
    told_order: ToldOrder | None
    is_hashed: bool

    @property
    def time(self) -> str | None:
        """The column of times by which the rows are ordered, if the user names one."""
        return None if self.told_order is None else self.told_order.column


def first_pass(parts: Parts, columns: ColumnsToRead, folder: TemporaryFolder, passes: Passes) -> FirstPass:
    """Look at all rows once; several workers look at parts of them."""
    with passes.over("values", parts.source.n_rows) as advance:
        looks = parts.map(advance, _look_at_part, columns, folder)
        found = next(looks)
        for more in looks:
            found.merge(more)
    found.finish()
    return found


def _look_at_part(
    part: Source, first: int, columns: ColumnsToRead, folder: TemporaryFolder, advance: Callable[[int], None] = _ignore
) -> FirstPass:
    """Look at the rows of a part; the first has this number."""
    found = FirstPass(columns, folder, first)
    others = [name for name in (columns.label, columns.weight, columns.time) if name is not None]
    for batch in part.batches(list(dict.fromkeys([*found.tallies, *others]))):
        with errors_about(batch.where):
            advance(found.add(batch))
    return found


class FirstPass:
    """Result of a pass over all rows: tallies and a sample in memory; numbers of labels and weights on disk."""

    classes: np.ndarray | None = None
    y: StoredArray | None = None
    #: The distinct times by which the user orders the rows.
    clock: Clock | None = None

    def __init__(self, columns: ColumnsToRead, folder: TemporaryFolder, first: int) -> None:
        self._columns = columns
        self._first = first
        kinds = {name: columns.chosen.get(position) for position, name in enumerate(columns.names)}
        self.tallies = {
            name: ColumnTally(name, kind, columns.is_hashed) for name, kind in kinds.items() if kind != "dropped"
        }
        self.sample = RowSample()
        self._labels = None if columns.label is None else _Labels(columns.label, folder, f"labels-{first}")
        self.weight = None if columns.weight is None else StoredArray(folder, f"weight-{first}", np.float64)
        self.times = StoredArray(folder, f"told-times-{first}", np.float64)
        self.n_rows = 0

    def finish(self) -> None:
        """Check all rows together, and sort the labels."""
        if not self.n_rows:
            raise ValueError("Found array with 0 sample(s): the files or frames of X have no rows.")
        if self.weight is not None:
            check_range(self.weight.chunks())
        for tally in self.tallies.values():
            tally.finish()
        if self._labels is not None:
            self.classes, self.y = self._labels.sorted()

    def forget(self) -> None:
        """Release the data that the columns were learned from."""
        self.tallies = {}
        self.sample.forget()

    def add(self, batch: Batch) -> int:
        """Look at more rows, and return their number."""
        n_rows = len(batch.table)
        weights = None if self._columns.weight is None else self._read_weights(batch)
        numbers = self._first + self.n_rows + np.arange(n_rows)
        numbers = numbers if weights is None else numbers[weights > 0]
        own = None if weights is None else weights[weights > 0]
        raw_columns = []
        for name, tally in self.tallies.items():
            raw, _ = rows_with_weight(read_column(name, batch.table[name]), weights)
            tally.add(raw, numbers, own)
            if tally.can_sample(raw):
                raw_columns.append(raw)
        self.sample.add(numbers, raw_columns, own)
        if self._labels is not None:
            self._labels.add(batch)
        if self._columns.time is not None:
            self._add_times(batch.table[self._columns.time], weights)
        self.n_rows += n_rows
        return n_rows

    def _add_times(self, values: Any, weights: np.ndarray | None) -> None:
        told = self._columns.told_order
        assert told is not None
        times = read_order(told, values)
        self.times.append(times)
        clock = Clock.of(times if weights is None else times[weights > 0])
        self.clock = clock if self.clock is None else self.clock.merged(clock)

    def _read_weights(self, batch: Batch) -> np.ndarray:
        assert self.weight is not None
        assert self._columns.weight is not None
        name = self._columns.weight
        column = batch.table[name]
        values = pa.array(column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column, from_pandas=True)
        weights: np.ndarray = values.cast(pa.float64()).to_numpy(zero_copy_only=False)
        if not (np.isfinite(weights) & (weights >= 0)).all():
            wrong = weights[~(np.isfinite(weights) & (weights >= 0))][0]
            raise ValueError(f"sample_weight: column {name!r} holds {wrong}; weights must be 0 or more.")
        self.weight.append(weights)
        return weights

    def merge(self, others: FirstPass) -> None:
        """Add the results of the next rows."""
        for name, tally in self.tallies.items():
            tally.merge(others.tallies[name])
        self.sample.merge(others.sample)
        if self._labels is not None and others._labels is not None:
            self._labels.merge(others._labels)
        if self.weight is not None and others.weight is not None:
            self.weight.take(others.weight)
        self.times.take(others.times)
        if self.clock is not None and others.clock is not None:
            self.clock = self.clock.merged(others.clock)
        self.n_rows += others.n_rows


class _Labels:
    """Labels on disk, numbered as they appear; numbers with fractions are no classes, and aren't kept."""

    def __init__(self, name: str, folder: TemporaryFolder, file: str) -> None:
        self._name = name
        self._folder = folder
        self._known: pa.Array | None = None
        self._are_classes = True
        self._appeared = StoredArray(folder, file, np.int32)

    def add(self, batch: Batch) -> None:
        """Write the labels of more rows."""
        raw = read_column(self._name, batch.table[self._name])
        if len(raw.arrays) != 1:
            raise ValueError(f"y: column {self._name!r} holds values of several types. Give all labels one type.")
        values = raw.arrays[0]
        if values.null_count:
            raise ValueError(f"y: column {self._name!r} has no label in {values.null_count} rows. Leave them out.")
        if pa.types.is_floating(values.type) and have_fractions(values):
            self._are_classes, self._known = False, values[:1]
        if not self._are_classes:
            return
        encoded = values.dictionary_encode()
        self._appeared.append(self._positions(encoded.dictionary)[encoded.indices.to_numpy()])

    def merge(self, others: _Labels) -> None:
        """Take in the labels of the rows behind these."""
        if not others._are_classes:
            self._are_classes, self._known = False, others._known
        if others._known is not None and self._are_classes:
            positions = self._positions(others._known)
            for appeared in others._appeared.chunks():
                self._appeared.append(positions[appeared])
        others._appeared.remove()

    def _positions(self, values: pa.Array) -> np.ndarray:
        """Return numbers of distinct labels; some may be new."""
        known = values if self._known is None else self._known
        if values.type != known.type:
            raise ValueError(
                f"y: column {self._name!r} holds {values.type} here and {known.type} before. Give all labels one type."
            )
        self._known = pa.concat_arrays([known, values]).unique()
        return pc.index_in(values, self._known).to_numpy()

    def sorted(self) -> tuple[np.ndarray, StoredArray | None]:
        """Return the labels in sorted order, and the position of each row's among them; one of no classes."""
        assert self._known is not None
        labels = self._known.to_numpy(zero_copy_only=False)
        if not self._are_classes:
            return labels, None
        order = np.argsort(labels)
        place = np.argsort(order)
        y = StoredArray(self._folder, "y", np.int32)
        for appeared in self._appeared.chunks():
            y.append(place[appeared])
        self._appeared.remove()
        return labels[order], y


def write_codes(
    parts: Parts, columns: Sequence[FittedColumn], n_rows: int, folder: TemporaryFolder, passes: Passes
) -> tuple[dict[str, StoredArray], dict[str, StoredArray]]:
    """Write the output columns of columns that aren't dropped, and the times of columns of times."""
    used = [column for column in columns if column.encoder is not None]
    stored, times = _reserve(used, n_rows, folder)
    path = folder.path / "encoders"
    if parts.are_parallel:
        # Once for all tasks: a vocabulary may have millions of values.
        joblib.dump(used, path)
    with passes.over("codes", n_rows) as advance:
        n_second = sum(parts.map(advance, _write_part, path if parts.are_parallel else used, stored, times))
    # Threads have loaded it into this process.
    _load.cache_clear()
    path.unlink(missing_ok=True)
    if used and n_second != n_rows:
        raise ValueError(
            f"X gave {n_rows} rows in the first pass and {n_second} in the second: it must give the same rows each "
            "time. Give a function that starts again, not one that goes on."
        )
    return stored, times


def _reserve(
    columns: Sequence[FittedColumn], n_rows: int, folder: TemporaryFolder
) -> tuple[dict[str, StoredArray], dict[str, StoredArray]]:
    """Make room for the output columns, by their names, and for the times, by the names of their columns."""
    fields = [field for column in columns for field in column.fields()]
    dtypes = [np.float32 if is_float else np.int32 for is_float in are_numeric(fields)]
    stored = {
        name: StoredArray(folder, f"column-{number}", dtype)
        for number, (name, dtype) in enumerate(zip(column_names(fields), dtypes, strict=True))
    }
    names = [column.name for column in columns if isinstance(column.encoder, DatetimeEncoder)]
    times = {name: StoredArray(folder, f"times-{number}", np.float64) for number, name in enumerate(names)}
    for array in (*stored.values(), *times.values()):
        array.reserve(n_rows)
    return stored, times


def _write_part(
    part: Source,
    first: int,
    encoders: Path | Sequence[FittedColumn],
    stored: Mapping[str, StoredArray],
    times: Mapping[str, StoredArray],
    advance: Callable[[int], None] = _ignore,
) -> int:
    """Encode the rows of a part, the first with this number, batch by batch, and return how many there are."""
    used, n_rows = _load(encoders) if isinstance(encoders, Path) else encoders, 0
    for batch in part.batches([column.name for column in used]):
        rows = slice(first + n_rows, first + n_rows + len(batch.table))
        with errors_about(batch.where):
            for column in used:
                values = column.read(batch.table[column.name])
                for name, output in column.encode(values).items():
                    stored[name][rows] = output
                if isinstance(column.encoder, DatetimeEncoder):
                    times[column.name][rows] = values.floats
        n_rows += len(batch.table)
        advance(len(batch.table))
    return n_rows


@lru_cache(maxsize=1)
def _load(path: Path) -> list[FittedColumn]:
    return bind_histories(joblib.load(path))


def widen_lists(
    source: Source,
    columns: Sequence[FittedColumn],
    sampled: Collection[str],
    weight: StoredArray | None,
    n_rows: int,
    passes: Passes,
) -> None:
    """Find the largest number of known elements of a row with weight, where tallies don't tell."""
    used = [
        (column, column.encoder)
        for column in columns
        if isinstance(column.encoder, MultiValuedEncoder)
        and (column.name in sampled if column.encoder.splits_strings else column.encoder.rule.keeps_waiting)
    ]
    if not used:
        return
    n_read = 0
    with passes.over("lists", n_rows) as advance:
        for batch in source.batches([column.name for column, _ in used]):
            own = None if weight is None else weight.read(n_read, n_read + len(batch.table))
            for column, encoder in used:
                raw, _ = rows_with_weight(read_column(column.name, batch.table[column.name]), own)
                with errors_about(f"Column {column.name!r}"):
                    encoder.widen(column.reading.read(raw))
            n_read += len(batch.table)
            advance(len(batch.table))
