"""The second pass over rows in batches encodes all columns to disk; crosses and statistics are made of their codes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import joblib
import numpy as np

from .._sources import Parts, Passes, Source, StoredArray, TemporaryFolder, column_of, in_file, sizes
from ..schema import column_names
from ._column import rows_with_weight
from ._column_encoder import errors_naming
from ._fitted_columns import FittedColumn, bind_histories
from ._lists import MultiValuedEncoder
from ._raw_column import read_column


def write_codes(
    parts: Parts, columns: Sequence[FittedColumn], n_rows: int, folder: TemporaryFolder, passes: Passes
) -> dict[str, StoredArray]:
    """Write codes and numbers of the columns that aren't dropped, by the names of the output columns."""
    used = [column for column in columns if column.encoder is not None]
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


def _arrays_of(used: Sequence[FittedColumn], n_rows: int, folder: TemporaryFolder) -> dict[str, StoredArray]:
    """Reserve room for the output columns, by name."""
    stored: dict[str, StoredArray] = {}
    for field in (field for column in used for field in column.fields()):
        for name in column_names([field]):
            stored[name] = folder.array(f"column-{len(stored)}", np.int32 if field.has_codes else np.float32)
            stored[name].reserve(n_rows)
    return stored


def _write_part(part: Source, first: int, path: Path, stored: Mapping[str, StoredArray]) -> int:
    """Encode the rows of a part, of which the first has this number, and return how many there are."""
    return sum(_write_batches(part, first, _load(path), stored))


@lru_cache(maxsize=1)
def _load(path: Path) -> list[FittedColumn]:
    return bind_histories(joblib.load(path))


def _write_batches(
    source: Source, first: int, used: Sequence[FittedColumn], stored: Mapping[str, StoredArray]
) -> Iterator[int]:
    """Encode rows batch by batch, and yield the number of rows of each."""
    for batch in source.batches([column.name for column in used]):
        with in_file(batch):
            for column in used:
                for name, output in column.encode_raw(column_of(batch.table, column.name)).items():
                    stored[name].write(first, output)
        first += len(batch.table)
        yield len(batch.table)


def widen_lists(
    source: Source, columns: Sequence[FittedColumn], weight: StoredArray | None, n_rows: int, passes: Passes
) -> None:
    """Find the largest number of known elements of a row with weight, which tallies don't tell if some are unknown."""
    used = [
        (column, column.encoder)
        for column in columns
        if isinstance(column.encoder, MultiValuedEncoder)
        and not column.encoder.splits_strings
        and column.encoder.rule.keeps_waiting
    ]
    if not used:
        return
    n_read = 0
    with passes.over("lists", n_rows) as advance:
        for batch in source.batches([column.name for column, _ in used]):
            own = None if weight is None else weight.read(n_read, n_read + len(batch.table))
            for column, encoder in used:
                raw, _ = rows_with_weight(read_column(column.name, column_of(batch.table, column.name)), own)
                with errors_naming(column.name):
                    encoder.widen(column.reading.read(raw))
            n_read += len(batch.table)
            advance(len(batch.table))


def codes_of_rows(columns: Mapping[str, StoredArray], numbers: np.ndarray) -> dict[str, np.ndarray]:
    """Return the codes of some rows, given by their numbers in ascending order."""
    found = {}
    for name, column in columns.items():
        pieces = []
        for start in range(0, len(column), sizes.CHUNK):
            own = numbers[np.searchsorted(numbers, start) : np.searchsorted(numbers, start + sizes.CHUNK)] - start
            pieces.append(column.read(start, start + sizes.CHUNK)[own].astype(np.int64))
        found[name] = np.concatenate(pieces)
    return found
