"""The first pass over rows in batches tallies the values of each column, and writes labels and weights to disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .._sources import Batch, Parts, Passes, Source, StoredArray, TemporaryFolder, column_of, in_file
from ._kinds import Kind
from ._raw_column import read_column
from ._tally import ColumnTally, RowSample
from ._weights import check_range, range_of_positive

#: Labels of more kinds than this are no classes.
_MAX_LABELS = 10_000


@dataclass(frozen=True)
class ColumnsToRead:
    """The columns of a table, by what they are for."""

    names: Sequence[str]
    chosen: Mapping[int, Kind]
    label: str | None
    weight: str | None

    def tallies(self) -> list[ColumnTally | None]:
        """A tally for each column to encode; None for one that is dropped."""
        return [
            None
            if (kind := self.chosen.get(position)) == "dropped"
            else ColumnTally(name, _are_times(kind), kind == "vector")
            for position, name in enumerate(self.names)
        ]

    def to_read(self) -> list[str]:
        """Names of all columns that aren't dropped."""
        used = [name for position, name in enumerate(self.names) if self.chosen.get(position) != "dropped"]
        return [*used, *(name for name in (self.label, self.weight) if name is not None)]


def _are_times(chosen: Kind | None) -> bool:
    return chosen in (None, "datetime")


def first_pass(parts: Parts, columns: ColumnsToRead, folder: TemporaryFolder, passes: Passes) -> FirstPass:
    """Look at all rows once; several workers look at parts of them."""
    found = FirstPass(columns, folder)
    with passes.over("values", parts.n_rows) as advance:
        if parts.are_parallel:
            for more in parts.map(_look_at_part, columns, folder):
                found.merge(more)
                advance(more.n_rows)
        else:
            for batch in parts.source.batches(columns.to_read()):
                advance(found.add(batch))
    found.finish()
    return found


def _look_at_part(part: Source, first: int, columns: ColumnsToRead, folder: TemporaryFolder) -> FirstPass:
    """Look at the rows of a part, of which the first has this number."""
    found = FirstPass(columns, folder, first, name=f"-{first}")
    for batch in part.batches(columns.to_read()):
        found.add(batch)
    return found


class FirstPass:
    """What a pass over all rows tells: tallies and a sample in memory; numbers of labels and weights on disk."""

    classes: np.ndarray | None = None
    y: StoredArray | None = None

    def __init__(self, columns: ColumnsToRead, folder: TemporaryFolder, first: int = 0, name: str = "") -> None:
        self._columns = columns
        self._first = first
        self.tallies = columns.tallies()
        self.sample = RowSample()
        self._labels = None if columns.label is None else _Labels(columns.label, folder, f"labels{name}")
        self.weight = None if columns.weight is None else folder.array(f"weight{name}", np.float64)
        self._range_of_weights = np.inf, 0.0
        self.n_rows = 0

    def finish(self) -> None:
        """Check what was found in all rows, and sort the labels."""
        if not self.n_rows:
            raise ValueError("Found array with 0 sample(s): the files or frames of X have no rows.")
        if self.weight is not None:
            check_range(*self._range_of_weights)
        for tally in self.tallies:
            if tally is not None:
                tally.finish()
        if self._labels is not None:
            self.classes, self.y = self._labels.sorted()

    def forget(self) -> None:
        """Release what the columns have been learned from."""
        self.tallies = []
        self.sample.forget()

    def add(self, batch: Batch) -> int:
        """Look at more rows, and return their number."""
        with in_file(batch):
            return self._add(batch)

    def _add(self, batch: Batch) -> int:
        n_rows = len(batch.table)
        weights = None if self._columns.weight is None else self._read_weights(batch)
        present = None if weights is None or weights.all() else weights > 0
        own = weights if weights is None or present is None else weights[present]
        raw_columns = []
        for name, tally in zip(self._columns.names, self.tallies, strict=True):
            if tally is None:
                continue
            raw = read_column(name, column_of(batch.table, name))
            raw = raw if present is None else raw.filter(present)
            tally.add(raw, own)
            raw_columns.append(raw)
        first = self._first + self.n_rows
        numbers = np.arange(first, first + n_rows)
        self.sample.add(numbers if present is None else numbers[present], raw_columns, own)
        if self._labels is not None:
            self._labels.add(batch)
        self.n_rows += n_rows
        return n_rows

    def _read_weights(self, batch: Batch) -> np.ndarray:
        assert self.weight is not None
        assert self._columns.weight is not None
        name = self._columns.weight
        values = pa.array(_as_array(column_of(batch.table, name)), from_pandas=True)
        weights: np.ndarray = values.cast(pa.float64()).to_numpy(zero_copy_only=False)
        if not (np.isfinite(weights) & (weights >= 0)).all():
            wrong = weights[~(np.isfinite(weights) & (weights >= 0))][0]
            raise ValueError(f"sample_weight: column {name!r} holds {wrong}; weights must be 0 or more.")
        self.weight.append(weights)
        self._widen_range(range_of_positive(weights))
        return weights

    def _widen_range(self, of_others: tuple[float, float]) -> None:
        (least, largest), (own_least, own_largest) = self._range_of_weights, of_others
        self._range_of_weights = min(least, own_least), max(largest, own_largest)

    def merge(self, others: FirstPass) -> None:
        """Take in what the rows behind these tell."""
        for tally, more in zip(self.tallies, others.tallies, strict=True):
            if tally is not None and more is not None:
                tally.merge(more)
        self.sample.merge(others.sample)
        if self._labels is not None and others._labels is not None:
            self._labels.merge(others._labels)
        if self.weight is not None and others.weight is not None:
            self.weight.take(others.weight)
        self._widen_range(others._range_of_weights)
        self.n_rows += others.n_rows


def _as_array(column: Any) -> Any:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


class _Labels:
    """Labels on disk, numbered as they appear."""

    def __init__(self, name: str, folder: TemporaryFolder, file: str) -> None:
        self._name = name
        self._folder = folder
        self._known: pa.Array | None = None
        self._appeared = folder.array(file, np.int32)

    def add(self, batch: Batch) -> None:
        """Write the labels of more rows."""
        raw = read_column(self._name, column_of(batch.table, self._name))
        if len(raw.parts) != 1:
            raise ValueError(f"y: column {self._name!r} holds values of several types. Give all labels one type.")
        values = raw.parts[0].values
        if values.null_count:
            raise ValueError(f"y: column {self._name!r} has no label in {values.null_count} rows. Leave them out.")
        encoded = values.dictionary_encode()
        self._appeared.append(self._positions(encoded.dictionary)[encoded.indices.to_numpy()])

    def merge(self, others: _Labels) -> None:
        """Take in the labels of the rows behind these."""
        if others._known is not None:
            positions = self._positions(others._known)
            for appeared in others._appeared.chunks():
                self._appeared.append(positions[appeared])
        others._appeared.remove()

    def _positions(self, values: pa.Array) -> np.ndarray:
        """Numbers of distinct labels, of which some may be new."""
        known = values if self._known is None else self._with(self._known, values)
        if len(known) > _MAX_LABELS:
            raise ValueError(
                f"y: column {self._name!r} has more than {_MAX_LABELS} different values, such as {known[0].as_py()!r}: "
                "these are not class labels."
            )
        self._known = known
        positions: np.ndarray = pc.index_in(values, known).to_numpy()
        return positions

    def _with(self, known: pa.Array, values: pa.Array) -> pa.Array:
        if values.type != known.type:
            raise ValueError(
                f"y: column {self._name!r} holds {values.type} here and {known.type} before. Give all labels one type."
            )
        return pa.concat_arrays([known, values]).unique()

    def sorted(self) -> tuple[np.ndarray, StoredArray]:
        """The labels in sorted order, and the position of each row's among them."""
        assert self._known is not None
        labels = self._known.to_numpy(zero_copy_only=False)
        order = np.argsort(labels)
        place = np.empty(len(order), np.int32)
        place[order] = np.arange(len(order))
        y = self._folder.array("y", np.int32)
        for appeared in self._appeared.chunks():
            y.append(place[appeared])
        self._appeared.remove()
        return labels[order], y
