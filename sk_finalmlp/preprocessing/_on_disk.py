"""Encoding more rows than memory holds: the second pass over them writes the codes of all columns to disk.

Crosses and statistics are made of these codes, column by column.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import joblib
import numpy as np

from .._sources import Parts, Passes, Source, StoredArray, TemporaryFolder, column_of, in_file, sizes
from ..schema import column_names
from ._calendar import UnknownDates
from ._column import rows_with_weight
from ._column_encoder import ColumnEncoder, errors_naming
from ._lists import MultiValuedEncoder, bind_histories
from ._raw_column import read_column
from ._reading import Reading

_UsedColumn = tuple[str, Reading, ColumnEncoder]


def write_codes(
    parts: Parts,
    names: Sequence[str],
    readings: Sequence[Reading],
    encoders: Sequence[ColumnEncoder | None],
    n_rows: int,
    folder: TemporaryFolder,
    passes: Passes,
) -> dict[str, StoredArray]:
    """The second pass: codes and numbers of all columns, by the names of the output columns."""
    used = used_columns(names, readings, encoders)
    stored = _arrays_of(used, n_rows, folder)
    n_second = 0
    with passes.over("codes", n_rows) as advance:
        if parts.are_parallel:
            # Once for all tasks: a vocabulary may have millions of values.
            path = folder.path / "encoders"
            joblib.dump(used, path)
            for n in parts.map(_write_part, path, stored):
                n_second += n
                advance(n)
            path.unlink()
            # Threads have loaded it into this process.
            _load.cache_clear()
        else:
            for n in _write_batches(parts.source, 0, used, stored):
                n_second += n
                advance(n)
    if used and n_second != n_rows:
        raise ValueError(
            f"X gave {n_rows} rows in the first pass and {n_second} in the second: it must give the same rows each "
            "time. Give a function that starts again, not one that goes on."
        )
    return stored


def _arrays_of(used: Sequence[_UsedColumn], n_rows: int, folder: TemporaryFolder) -> dict[str, StoredArray]:
    """Room for the output columns, by name."""
    stored: dict[str, StoredArray] = {}
    for name, _, encoder in used:
        for field in encoder.output_fields(name):
            for output_name in column_names([field]):
                stored[output_name] = folder.array(f"column-{len(stored)}", np.int32 if field.has_codes else np.float32)
                stored[output_name].reserve(n_rows)
    return stored


def _write_part(part: Source, first: int, path: Path, stored: Mapping[str, StoredArray]) -> int:
    """Encode the rows of a part, of which the first has this number, and return how many there are."""
    return sum(_write_batches(part, first, _load(path), stored))


@lru_cache(maxsize=1)
def _load(path: Path) -> list[_UsedColumn]:
    names, readings, encoders = zip(*joblib.load(path), strict=True)
    # Files hold what encodes the values of a history once.
    return used_columns(names, readings, bind_histories(names, encoders))


def _write_batches(
    source: Source, first: int, used: Sequence[_UsedColumn], stored: Mapping[str, StoredArray]
) -> Iterator[int]:
    """Encode rows batch by batch, and give the number of rows of each."""
    for batch in source.batches([name for name, _, _ in used]):
        with in_file(batch):
            for name, reading, encoder in used:
                for output_name, output in encode_column(batch.table, name, reading, encoder):
                    stored[output_name].write(first, output)
        first += len(batch.table)
        yield len(batch.table)


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
) -> list[_UsedColumn]:
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
