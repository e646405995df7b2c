"""What each user did before, as columns of lists, from a log."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral
from typing import Any, NamedTuple

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import ArrayLike

from .._sklearn import Interval
from .._tables import check_is_table
from .._validation import validate_params
from .tables._column import is_list, is_string
from .tables._conversions import as_floats, as_times


@validate_params(
    {
        "user": [str],
        "item": [str, Mapping],
        "time": [str],
        "where": [str, "array-like", None],
        "max_length": [Interval(Integral, 1, None, closed="left")],
    }
)
def add_history(
    X: Any,
    *,
    user: str,
    item: str | Mapping[str, str],
    time: str,
    where: str | ArrayLike | None = None,
    max_length: int = 50,
    log: Any = None,
) -> Any:
    """Add the history of each row's user: what came before the row, the most recent last.

    Only rows of a strictly earlier time count. Rows of the same time, such as ratings that were sent together, know
    nothing of each other, since nobody can say which came first.

    Parameters
    ----------
    X : dataframe of shape (n_samples, n_features)
        Rows, of pandas, polars or any other library that narwhals knows, in any order.
    user : str
        Column of the user. A row without one has no history.
    item : str or dict of {str: str}
        Column whose values are collected, as a column `history`; or the new columns and the column of each, such as
        `{"history": "item", "history_genre": "genre"}`, which are in step.
    time : str
        Column of the time: dates, times or numbers, also as text (ISO 8601).
    where : str or array-like of bool, default=None
        Which rows of the log enter histories, such as those that were clicked: a mask, or the column of one. None for
        all.
    max_length : int, default=50
        How many of the last values are kept.
    log : dataframe, default=None
        The log of which the histories are made, with the same columns for user, item and time; None for `X` itself.
        With it, the rows of `X` know it alone, and nothing of each other: so a server sees a user's past until now.

    Returns
    -------
    dataframe of shape (n_samples, n_features + n_histories)
        `X` with the new columns at its end, lists of Arrow in a pandas DataFrame.

    Raises
    ------
    ValueError
        If a column is missing or exists already, a time is missing or can't be read, the items are lists, or `where`
        is no mask of the log; the message names it.

    See Also
    --------
    CTREncoder : Its parameter `histories` takes such columns.

    Notes
    -----
    With `where`, labels of earlier rows are in the histories of later ones. In use they are known by then, so that
    training and test rows must be split by time: a random split would put labels of test rows in front of the model.

    A DataFrame of pandas with lists of Arrow, written by `to_parquet`, is read back by
    `pandas.read_parquet(path, dtype_backend="pyarrow")`. As CSV, write the lists as text,
    `X["history"].map("|".join)`, and split it after reading.

    Time and memory grow with the number of rows and the lengths of the histories; there is no loop over rows.

    Examples
    --------
    >>> import pandas as pd
    >>> from sk_finalmlp.preprocessing import add_history
    >>> X = pd.DataFrame({
    ...     "user": ["ann", "ann", "bob", "ann", "ann"],
    ...     "item": ["a", "b", "c", "d", "e"],
    ...     "time": [1, 2, 2, 3, 3],
    ... })
    >>> add_history(X, user="user", item="item", time="time")["history"].tolist()
    [[], ['a'], [], ['a', 'b'], ['a', 'b']]
    >>> clicked = [True, False, True, True, True]
    >>> add_history(X, user="user", item="item", time="time", where=clicked)["history"].tolist()
    [[], ['a'], [], ['a'], ['a']]

    What a server knows of a user whose past is in a log:

    >>> now = pd.DataFrame({"user": ["ann", "eve"], "item": ["f", "f"], "time": [9, 9]})
    >>> add_history(now, user="user", item="item", time="time", max_length=2, log=X)["history"].tolist()
    [['d', 'e'], []]
    """
    items = {"history": item} if isinstance(item, str) else dict(item)
    rows = _frame(X, "X")
    of_log = rows if log is None else _frame(log, "log")
    _check_columns(rows, of_log, user, time, items)
    spans = _find_spans(rows, of_log, user, time, _mask(where, of_log), max_length)
    new = {name: spans.lists(_single_values(of_log[column])) for name, column in items.items()}
    if isinstance(X, pd.DataFrame):
        return X.assign(**{name: pd.arrays.ArrowExtensionArray(pa.chunked_array([own])) for name, own in new.items()})
    columns = nw.from_arrow(pa.table(new), backend=rows.implementation)
    return rows.with_columns(*columns.iter_columns()).to_native()


class _Spans(NamedTuple):
    """The part of a sorted log that is the history of each row.

    Attributes
    ----------
    order : ndarray of int, shape (n_entries,)
        Rows of the log that enter histories, by user and time.
    first, last : ndarray of int, shape (n_rows,)
        Where the history of each row begins in that order, and the place after its end.
    """

    order: np.ndarray
    first: np.ndarray
    last: np.ndarray

    def lists(self, values: pa.Array) -> pa.Array:
        """The history of each row, of these values of the log."""
        lengths = self.last - self.first
        ends = np.cumsum(lengths)
        places = np.arange(lengths.sum()) + np.repeat(self.last - ends, lengths)
        offsets = np.concatenate([[0], ends])
        return pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), values.take(pa.array(self.order[places])))


def _find_spans(
    rows: nw.DataFrame[Any],
    log: nw.DataFrame[Any],
    user: str,
    time: str,
    enters: np.ndarray,
    max_length: int,
) -> _Spans:
    same = log is rows
    users, n_users = _ranks(_as_arrow(rows[user]), None if same else _as_arrow(log[user]), user)
    times, n_times = _ranks(_as_moments(rows[time]), None if same else _as_moments(log[time]), time)
    n_rows = len(rows)
    of_log = slice(0, n_rows) if same else slice(n_rows, None)
    if (times < 0).any():
        name, frame = ("X", times[:n_rows]) if (times[:n_rows] < 0).any() else ("log", times[n_rows:])
        raise ValueError(
            f"{name}: column {time!r} is missing in {int((frame < 0).sum())} rows, of which nobody can say what came "
            "before. Leave these rows out."
        )
    # One number by user, then time. Users that are missing are before all others, and have no history.
    keys = users * n_times + times
    entries = np.flatnonzero(enters & (users[of_log] >= 0))
    order = entries[np.argsort(keys[of_log][entries], kind="stable")]
    in_order = keys[of_log][order]
    # The first of each user, and 0 for a missing one, whose key is below all others.
    first_of_user = np.append(np.searchsorted(in_order, np.arange(n_users) * n_times), 0)
    last = np.searchsorted(in_order, keys[:n_rows])
    return _Spans(order, np.maximum(first_of_user[users[:n_rows]], last - max_length), last)


def _ranks(values: pa.Array, more: pa.Array | None, name: str) -> tuple[np.ndarray, int]:
    """Rank of each value among the distinct ones of both arrays, -1 for a missing one, and the number of these."""
    arrays = [values] if more is None else [_as_type(values, more.type, name), more]
    encoded = pa.concat_arrays(arrays).dictionary_encode()
    by_rank = pa.compute.sort_indices(encoded.dictionary).to_numpy()
    rank = np.empty(len(by_rank) + 1, np.int64)
    rank[by_rank] = np.arange(len(by_rank))
    rank[-1] = -1
    return rank[encoded.indices.fill_null(len(by_rank)).to_numpy()], max(1, len(by_rank))


def _as_type(array: pa.Array, dtype: pa.DataType, name: str) -> pa.Array:
    """Values as the type of the log, where that changes none: ids as floats are what missing ones make of them."""
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
    array = _as_arrow(values)
    if not is_string(array.type):
        return array
    numbers = as_floats(array)
    moments = numbers if numbers.null_count == array.null_count else as_times(array)
    unread = pa.compute.and_(moments.is_null(), array.is_valid())
    if pa.compute.any(unread).as_py():
        raise ValueError(
            f"Column {values.name!r}: {array.filter(unread)[0].as_py()!r} is not an ISO 8601 date or time. Convert the "
            "column with `pandas.to_datetime`."
        )
    return moments


def _single_values(values: nw.Series[Any]) -> pa.Array:
    array = _as_arrow(values)
    if is_list(array.type):
        raise ValueError(
            f"Column {values.name!r} holds lists, and a history is made of single values. Give its ids, or give each "
            "element a row of its own by `log.explode`."
        )
    return array


def _as_arrow(values: nw.Series[Any]) -> pa.Array:
    array = values.to_arrow()
    array = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_floating(array.type):
        # NaN of pandas.
        array = pa.compute.if_else(pa.compute.is_nan(array), pa.scalar(None, array.type), array)
    return array.cast(pa.large_string()) if pa.types.is_string(array.type) else array


def _frame(X: Any, name: str) -> nw.DataFrame[Any]:
    check_is_table(X)
    frame = nw.from_native(X, eager_only=True, pass_through=True)
    if not isinstance(frame, nw.DataFrame):
        raise TypeError(f"{name} is {type(X).__name__}, but add_history knows columns by name: give a dataframe.")
    return frame


def _check_columns(
    rows: nw.DataFrame[Any], log: nw.DataFrame[Any], user: str, time: str, items: Mapping[str, str]
) -> None:
    for name, frame, needed in (("X", rows, [user, time]), ("log", log, [user, time, *items.values()])):
        name = "X" if frame is rows else name
        missing = next((column for column in needed if column not in frame.columns), None)
        if missing is not None:
            raise ValueError(f"{name} has no column {missing!r}. The columns are {list(frame.columns)}.")
    taken = next((column for column in items if column in rows.columns), None)
    if taken is not None:
        raise ValueError(
            f"X has a column {taken!r} already: drop it, or name the new one, for example item={{'past': "
            f"{items[taken]!r}}}."
        )


def _mask(where: Any, log: nw.DataFrame[Any]) -> np.ndarray:
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
