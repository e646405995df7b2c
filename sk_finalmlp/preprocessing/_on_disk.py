"""Fitting the encoder to more rows than memory holds: pass by pass over them, with what is learned in memory.

The first pass tallies the values of each column, and writes labels and weights to disk. The second writes the codes,
from which crosses and statistics are made column by column.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .._sources import Batch, Passes, Source, StoredArray, TemporaryFolder, column_of, sizes
from ..fields import column_names
from ._weights import check_range, range_of_positive
from .columns._calendar import UnknownDates
from .columns._column_encoder import ColumnEncoder, errors_naming
from .columns._kinds import Kind
from .columns._multi_valued import MultiValuedEncoder
from .tables._column import rows_with_weight
from .tables._raw_column import read_column
from .tables._reading import Reading
from .tables._sample import RowSample
from .tables._tally import ColumnTally

#: Labels of more kinds than this are no classes.
_MAX_LABELS = 10_000


class FirstPass:
    """What a pass over all rows tells of them.

    Parameters
    ----------
    source : Source
        The rows.
    names : sequence of str
        Columns to encode.
    chosen : dict of {int: str}
        Kinds that the user has chosen, by position.
    label, weight : str or None
        Names of the columns of labels and of weights.
    folder : TemporaryFolder
        Where labels and weights go.
    passes : Passes
        Told of the progress.

    Attributes
    ----------
    tallies : list of (ColumnTally or None)
        What each column holds; None for a column that is dropped.
    labels : ndarray or None
        Distinct labels, sorted.
    y : StoredArray or None
        Position of each row's label among them.
    weight : StoredArray or None
        Weights of the rows.
    n_rows : int
        Number of rows.
    sample : RowSample
        Numbers of some of the rows.
    """

    def __init__(
        self,
        source: Source,
        names: Sequence[str],
        chosen: dict[int, Kind],
        label: str | None,
        weight: str | None,
        folder: TemporaryFolder,
        passes: Passes,
    ) -> None:
        self._names = names
        self.tallies = [
            None
            if chosen.get(position) == "dropped"
            else ColumnTally(name, _are_times(chosen.get(position)), chosen.get(position) == "vector")
            for position, name in enumerate(names)
        ]
        self._missing = np.zeros(len(names), np.int64)
        self._labels = None if label is None else _Labels(label, folder)
        self._weight_name = weight
        self.weight = None if weight is None else folder.array("weight", np.float64)
        self._range_of_weights = np.inf, 0.0
        self.n_rows = 0
        self.sample = RowSample()
        read = [name for name, tally in zip(names, self.tallies, strict=True) if tally is not None]
        columns = [*read, *(name for name in (label, weight) if name is not None)]
        with passes.over("values", source.n_rows) as advance:
            for batch in source.batches(columns):
                with in_file(batch):
                    advance(self._add(batch))
        if not self.n_rows:
            raise ValueError("Found array with 0 sample(s): the files or frames of X have no rows.")
        if weight is not None:
            check_range(*self._range_of_weights)
        self.labels: np.ndarray | None = None
        self.y: StoredArray | None = None
        if self._labels is not None:
            self.labels, self.y = self._labels.sorted()

    def forget(self) -> None:
        """Let go what the columns have been learned from."""
        self.tallies = []
        self.sample.forget()

    def _add(self, batch: Batch) -> int:
        n_rows = len(batch.table)
        weights = None if self._weight_name is None else self._read_weights(batch)
        present = None if weights is None or weights.all() else weights > 0
        raw_columns = []
        for name, tally in zip(self._names, self.tallies, strict=True):
            if tally is None:
                continue
            raw = read_column(name, column_of(batch.table, name))
            raw = raw if present is None else raw.filter(present)
            tally.add(raw, weights if weights is None or present is None else weights[present])
            raw_columns.append(raw)
        numbers = np.arange(self.n_rows, self.n_rows + n_rows)
        own = weights if weights is None or present is None else weights[present]
        self.sample.add(numbers if present is None else numbers[present], raw_columns, own)
        if self._labels is not None:
            self._labels.add(batch)
        self.n_rows += n_rows
        return n_rows

    def _read_weights(self, batch: Batch) -> np.ndarray:
        assert self.weight is not None
        assert self._weight_name is not None
        values = pa.array(_as_array(column_of(batch.table, self._weight_name)), from_pandas=True)
        weights: np.ndarray = values.cast(pa.float64()).to_numpy(zero_copy_only=False)
        if not (np.isfinite(weights) & (weights >= 0)).all():
            wrong = weights[~(np.isfinite(weights) & (weights >= 0))][0]
            raise ValueError(f"sample_weight: column {self._weight_name!r} holds {wrong}; weights must be 0 or more.")
        self.weight.append(weights)
        (least, largest), (own_least, own_largest) = self._range_of_weights, range_of_positive(weights)
        self._range_of_weights = min(least, own_least), max(largest, own_largest)
        return weights


def _are_times(chosen: Kind | None) -> bool:
    return chosen in (None, "datetime")


def _as_array(column: Any) -> Any:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


@contextmanager
def in_file(batch: Batch) -> Iterator[None]:
    """Say in an error which file it is about."""
    try:
        yield
    except (TypeError, ValueError) as error:
        if not batch.where:
            raise
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{batch.where}: {error}") from error


class _Labels:
    """Labels on disk, numbered as they appear."""

    def __init__(self, name: str, folder: TemporaryFolder) -> None:
        self._name = name
        self._folder = folder
        self._known: pa.Array | None = None
        self._appeared = folder.array("labels", np.int32)

    def add(self, batch: Batch) -> None:
        """Write the labels of more rows."""
        raw = read_column(self._name, column_of(batch.table, self._name))
        if len(raw.parts) != 1:
            raise ValueError(f"y: column {self._name!r} holds values of several types. Give all labels one type.")
        values = raw.parts[0].values
        if values.null_count:
            raise ValueError(f"y: column {self._name!r} has no label in {values.null_count} rows. Leave them out.")
        encoded = values.dictionary_encode()
        known = encoded.dictionary if self._known is None else self._with(encoded.dictionary)
        if len(known) > _MAX_LABELS:
            raise ValueError(
                f"y: column {self._name!r} has more than {_MAX_LABELS} different values, such as {known[0].as_py()!r}: "
                "these are not class labels."
            )
        self._known = known
        positions = pc.index_in(encoded.dictionary, known).to_numpy()
        self._appeared.append(positions[encoded.indices.to_numpy()])

    def _with(self, values: pa.Array) -> pa.Array:
        assert self._known is not None
        if values.type != self._known.type:
            raise ValueError(
                f"y: column {self._name!r} holds {values.type} here and {self._known.type} before. Give all labels one "
                "type."
            )
        return pa.concat_arrays([self._known, values]).unique()

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


def write_codes(
    source: Source,
    names: Sequence[str],
    readings: Sequence[Reading],
    encoders: Sequence[ColumnEncoder | None],
    n_rows: int,
    folder: TemporaryFolder,
    passes: Passes,
) -> dict[str, StoredArray]:
    """The second pass: codes and numbers of all columns, by the names of the output columns."""
    used = used_columns(names, readings, encoders)
    stored: dict[str, StoredArray] = {}
    with passes.over("codes", n_rows) as advance:
        for batch in source.batches([name for name, _, _ in used]):
            with in_file(batch):
                for name, reading, encoder in used:
                    for output_name, output in encode_column(batch.table, name, reading, encoder):
                        if output_name not in stored:
                            dtype = np.float32 if output.dtype.kind == "f" else np.int32
                            stored[output_name] = folder.array(f"column-{len(stored)}", dtype)
                        stored[output_name].append(output)
            advance(len(batch.table))
    n_second = len(next(iter(stored.values()))) if stored else 0
    if used and n_second != n_rows:
        raise ValueError(
            f"X gave {n_rows} rows in the first pass and {n_second} in the second: it must give the same rows each "
            "time. Give a function that starts again, not one that goes on."
        )
    return stored


def widen_lists(
    source: Source,
    names: Sequence[str],
    readings: Sequence[Reading],
    encoders: Sequence[ColumnEncoder | None],
    weight: StoredArray | None,
    n_rows: int,
    passes: Passes,
) -> None:
    """Find the largest number of known elements of a row with weight, where unknown ones hide it."""
    used = [
        (name, reading, encoder)
        for name, reading, encoder in used_columns(names, readings, encoders)
        if isinstance(encoder, MultiValuedEncoder) and not encoder.splits_strings and encoder.rule.keeps_waiting
    ]
    if not used:
        return
    n_read = 0
    with passes.over("lists", n_rows) as advance:
        for batch in source.batches([name for name, _, _ in used]):
            own = None if weight is None else weight.read(n_read, n_read + len(batch.table))
            for name, reading, encoder in used:
                raw, _ = rows_with_weight(read_column(name, column_of(batch.table, name)), own)
                encoder.widen(reading.read(raw))
            n_read += len(batch.table)
            advance(len(batch.table))


def used_columns(
    names: Sequence[str], readings: Sequence[Reading], encoders: Sequence[ColumnEncoder | None]
) -> list[tuple[str, Reading, ColumnEncoder]]:
    """The columns that aren't dropped."""
    columns = zip(names, readings, encoders, strict=True)
    return [(name, reading, encoder) for name, reading, encoder in columns if encoder is not None]


def encode_column(
    table: Any, name: str, reading: Reading, encoder: ColumnEncoder, unknown: UnknownDates | None = None
) -> list[tuple[str, np.ndarray]]:
    """Names and output columns of a column of a batch."""
    raw = read_column(name, column_of(table, name))
    with errors_naming(name):
        column = reading.read(raw)
        outputs = encoder.transform(column)
        if unknown is not None:
            unknown.look(encoder, column, outputs)
        return list(zip(column_names(encoder.output_fields(name)), outputs, strict=True))


def codes_of_rows(columns: dict[str, StoredArray], numbers: np.ndarray) -> dict[str, np.ndarray]:
    """Codes of some rows, given by their numbers in ascending order."""
    found = {}
    for name, column in columns.items():
        pieces = []
        for start in range(0, len(column), sizes.CHUNK):
            own = numbers[np.searchsorted(numbers, start) : np.searchsorted(numbers, start + sizes.CHUNK)] - start
            pieces.append(column.read(start, start + sizes.CHUNK)[own].astype(np.int64))
        found[name] = np.concatenate(pieces)
    return found
