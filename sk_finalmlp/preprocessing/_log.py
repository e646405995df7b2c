"""What a log says of the time before each row, for `add_history` and `add_recency`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
import pyarrow as pa

from .._checks import check_is_table
from ._column import errors_naming, is_string
from ._reading import as_floats, as_times

#: Units of times, from the longest.
_UNITS = ("s", "ms", "us", "ns")


class Spans(NamedTuple):
    """The part of a sorted log that is the past of each row.

    Attributes
    ----------
    order : ndarray of int, shape (n_entries,)
        Rows of the log that count, by key and time.
    first, last : ndarray of int, shape (n_rows,)
        Where the past of each row begins in that order, and the place after its end.
    """

    order: np.ndarray
    first: np.ndarray
    last: np.ndarray

    def lists(self, values: pa.Array) -> pa.Array:
        """The past of each row, as these values of the log."""
        lengths = self.last - self.first
        ends = np.cumsum(lengths)
        places = np.arange(lengths.sum()) + np.repeat(self.last - ends, lengths)
        offsets = np.concatenate([[0], ends])
        return pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), values.take(pa.array(self.order[places])))


class Times(NamedTuple):
    """The times of the rows and of the log.

    Attributes
    ----------
    of_rows, of_log : pyarrow.Array
        The times; the same array where the rows are their own log.
    ranks : ndarray of int
        Rank of each time of the rows, and behind them of the log if that is another frame.
    n_ranks : int
        Number of distinct times.
    """

    of_rows: pa.Array
    of_log: pa.Array
    ranks: np.ndarray
    n_ranks: int


def read_times_of_past(rows: nw.DataFrame[Any], log: nw.DataFrame[Any], time: str) -> Times:
    """Times of the rows and the log, which is the same frame where the rows are their own log.

    Raises
    ------
    ValueError
        If a time is missing or can't be read, or if those of rows and log can't be compared.
    """
    of_rows = _as_moments(rows[time])
    of_log = of_rows if log is rows else _as_moments(log[time])
    ranks, n_ranks = _ranks(of_rows, None if log is rows else of_log, time)
    if (ranks < 0).any():
        n_rows = len(rows)
        name, frame = ("X", ranks[:n_rows]) if (ranks[:n_rows] < 0).any() else ("log", ranks[n_rows:])
        raise ValueError(
            f"{name}: column {time!r} is missing in {int((frame < 0).sum())} rows, of which nobody can say what came "
            "before. Leave these rows out."
        )
    return Times(of_rows, of_log, ranks, n_ranks)


def find_spans(
    rows: nw.DataFrame[Any],
    log: nw.DataFrame[Any],
    key: Sequence[str],
    times: Times,
    enters: np.ndarray,
    max_length: int,
) -> Spans:
    """The last entries of a log before each row that have its key, and an earlier time.

    Parameters
    ----------
    rows, log : dataframe of narwhals
        The rows, and the log: the same frame where the rows are their own log.
    key : sequence of str
        Columns whose values are those of the row.
    times : Times
        Their times.
    enters : ndarray of bool, shape (n_log,)
        Which rows of the log count.
    max_length : int
        How many entries at most.

    Raises
    ------
    ValueError
        If columns of rows and log can't be compared.
    """
    keys, n_keys = _ranks_of_key(rows, log, key)
    n_rows = len(rows)
    of_log = slice(0, n_rows) if log is rows else slice(n_rows, None)
    # One number by key, then time. Keys that are missing are before all others, and have no past.
    places = keys * times.n_ranks + times.ranks
    entries = np.flatnonzero(enters & (keys[of_log] >= 0))
    order = entries[np.argsort(places[of_log][entries], kind="stable")]
    in_order = places[of_log][order]
    # The first of each key, and 0 for a missing one, whose place is below all others.
    first_of_key = np.append(np.searchsorted(in_order, np.arange(n_keys) * times.n_ranks), 0)
    last = np.searchsorted(in_order, places[:n_rows])
    return Spans(order, np.maximum(first_of_key[keys[:n_rows]], last - max_length), last)


def _ranks_of_key(rows: nw.DataFrame[Any], log: nw.DataFrame[Any], key: Sequence[str]) -> tuple[np.ndarray, int]:
    """A number of each combination of values, -1 where any is missing, and how many numbers there are."""
    found, n_found = np.zeros(len(rows) + (0 if log is rows else len(log)), np.int64), 1
    for column in key:
        ranks, n = _ranks(as_arrow(rows[column]), None if log is rows else as_arrow(log[column]), column)
        combined = np.where((found < 0) | (ranks < 0), -1, found * n + ranks)
        # Combinations that occur, since the product of three columns of ids may be too large a number.
        values, found = np.unique(combined, return_inverse=True)
        n_missing = int(values[0] < 0) if len(values) else 0
        found, n_found = found - n_missing, max(1, len(values) - n_missing)
    return found, n_found


def _ranks(values: pa.Array, more: pa.Array | None, name: str) -> tuple[np.ndarray, int]:
    """Rank of each value among the distinct ones of both arrays, -1 for a missing one, and the number of these."""
    together = values if more is None else _as_one(values, more, name)
    try:
        encoded = together.dictionary_encode()
        by_rank = pa.compute.sort_indices(encoded.dictionary).to_numpy()
    except pa.ArrowNotImplementedError as error:
        raise ValueError(
            f"Column {name!r} is {together.type}, whose values can't be compared: give single values, such as ids, "
            "text or times."
        ) from error
    rank = np.empty(len(by_rank) + 1, np.int64)
    rank[by_rank] = np.arange(len(by_rank))
    rank[-1] = -1
    return rank[encoded.indices.fill_null(len(by_rank)).to_numpy()], max(1, len(by_rank))


def _as_one(values: pa.Array, of_log: pa.Array, name: str) -> pa.Array:
    """Both in the type of the log, or in the finer unit of times."""
    dtype = values.type if _is_void(of_log) else of_log.type
    if pa.types.is_timestamp(dtype) and pa.types.is_timestamp(values.type):
        dtype = pa.timestamp(max(dtype.unit, values.type.unit, key=_UNITS.index), dtype.tz)
    return pa.concat_arrays([_as_type(array, dtype, name) for array in (values, of_log)])


def _is_void(array: pa.Array) -> bool:
    """Whether no value is there: what type it would have, nobody knows."""
    return bool(array.null_count == len(array))


def _as_type(array: pa.Array, dtype: pa.DataType, name: str) -> pa.Array:
    """Values as another type, where that changes none: ids as floats are what missing ones make of them."""
    if _is_void(array):
        return pa.nulls(len(array), dtype)
    try:
        if _what_it_holds(array.type) != _what_it_holds(dtype):
            raise pa.ArrowInvalid(f"{_what_it_holds(array.type)} and {_what_it_holds(dtype)}")
        return array.cast(dtype)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise ValueError(
            f"Column {name!r} is {array.type} in X and {dtype} in log, which can't be compared ({error}): give both "
            "one type."
        ) from error


def _what_it_holds(dtype: pa.DataType) -> str:
    """Arrow would read a time as a number, and an instant as a local time."""
    if is_string(dtype):
        return "text"
    if pa.types.is_timestamp(dtype) and dtype.tz is not None:
        return "times with a zone"
    return "times without a zone" if pa.types.is_temporal(dtype) else "numbers"


def _as_moments(values: nw.Series[Any]) -> pa.Array:
    """Times in an order: text would be sorted by its letters."""
    array = as_arrow(values)
    if not is_string(array.type):
        return array
    with errors_naming(values.name):
        numbers = as_floats(array)
        moments = numbers if numbers.null_count == array.null_count else as_times(array)
        unread = pa.compute.and_(moments.is_null(), array.is_valid())
        if pa.compute.any(unread).as_py():
            raise ValueError(
                f"{array.filter(unread)[0].as_py()!r} is not an ISO 8601 date or time. Convert the column with "
                "`pandas.to_datetime`."
            )
    return moments


def as_arrow(values: nw.Series[Any]) -> pa.Array:
    """Values of a column in one array, in which NaN is a missing one."""
    with errors_naming(values.name):
        array = values.to_arrow()
    array = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_floating(array.type):
        array = pa.compute.if_else(pa.compute.is_nan(array), pa.scalar(None, array.type), array)
    return array.cast(pa.large_string()) if is_string(array.type) else array


def read_frame(X: Any, name: str) -> nw.DataFrame[Any]:
    """A dataframe of any library; `name` is the argument, for the message of an error."""
    check_is_table(X)
    frame = nw.from_native(X, eager_only=True, pass_through=True)
    if not isinstance(frame, nw.DataFrame):
        raise TypeError(
            f"{name} is {type(X).__name__}, but the past is found by the names of columns: give a dataframe."
        )
    return frame


def check_columns(
    rows: nw.DataFrame[Any], log: nw.DataFrame[Any], of_rows: Sequence[str], of_log: Sequence[str]
) -> None:
    """Raise a ValueError that names the first of these columns that the rows or the log lack."""
    for name, frame, needed in (("X", rows, of_rows), ("X" if log is rows else "log", log, of_log)):
        missing = next((column for column in needed if column not in frame.columns), None)
        if missing is not None:
            raise ValueError(f"{name} has no column {missing!r}. The columns are {list(frame.columns)}.")


def read_mask(where: Any, log: nw.DataFrame[Any]) -> np.ndarray:
    """Which rows of the log count, by a mask or by the column of one; all for None."""
    if where is None:
        return np.ones(len(log), bool)
    if isinstance(where, str):
        if where not in log.columns:
            raise ValueError(f"where={where!r} is not a column of the log, which has {list(log.columns)}.")
        mask = log[where].to_numpy()
    else:
        series = nw.from_native(where, series_only=True, pass_through=True)
        mask = series.to_numpy() if isinstance(series, nw.Series) else np.asarray(where)
    if mask.shape != (len(log),) or pd.isna(mask).any() or not np.isin(mask, (0, 1)).all():
        missing = f", {int(pd.isna(mask).sum())} missing" if pd.isna(mask).any() else ""
        raise ValueError(
            f"where must hold True or False, or 1 or 0, for each of the {len(log)} rows of the log, such as y == 1; it "
            f"has shape {mask.shape} and dtype {mask.dtype}{missing}."
        )
    return mask.astype(bool)
