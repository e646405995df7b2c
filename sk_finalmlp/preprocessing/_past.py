"""Columns from a log before each row: `add_history` and `add_recency`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import ArrayLike

from .._checks import check_unique_names, errors_about, native_table
from .._sklearn import AT_LEAST_ONE, validate_params
from ._column import is_all_missing, is_list, is_number, is_string, lists_of
from ._table import is_frame
from ._times import as_numbers, has_no_unit, read_age, read_times

Key = str | tuple[str, ...]
#: Units of times, from the longest.
_UNITS = ("s", "ms", "us", "ns")


@validate_params(
    {
        "user": [str],
        "item": [str, Mapping],
        "time": [str],
        "where": [str, "array-like", None],
        "max_length": [AT_LEAST_ONE],
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

    Only rows of a strictly earlier time count. Rows of the same time, such as ratings that were sent together, don't
    count for each other, since their order is undefined.

    Parameters
    ----------
    X : dataframe of shape (n_samples, n_features)
        Rows, of pandas, polars or any other library that narwhals knows, in any order.
    user : str
        Column of the user. A row without one has no history.
    item : str or dict of {str: str}
        Column to collect, as a column `history`; or the new columns and the column of each, such as
        `{"history": "item", "history_genre": "genre"}`, which are in step.
    time : str
        Column of the time: dates, times or numbers, also as text (ISO 8601).
    where : str or array-like of bool, default=None
        Which rows of the log enter histories, such as those that were clicked: a mask, or the column of one. None for
        all. The rows of a mask are taken by position, whatever its index.
    max_length : int, default=50
        How many of the last values are kept.
    log : dataframe, default=None
        The log to read histories from, with the same columns for user, item and time; None for `X` itself. With a
        log, the rows of `X` know nothing of each other: so a server sees a user's past until now.

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
    add_recency : How long ago the last of these was, or the last row of any other key.
    CTREncoder : Its parameter `histories` takes such columns.

    Notes
    -----
    With `where`, labels of earlier rows are in the histories of later ones. In use they are known by then, so that
    training and test rows must be split by time: a random split would put labels of test rows in front of the model.
    See :ref:`histories`, also for how to write and read histories.

    Examples
    --------
    >>> import pandas as pd
    >>> from sk_finalmlp.preprocessing import add_history
    >>> X = pd.DataFrame(
    ...     {
    ...         "user": ["ann", "ann", "bob", "ann", "ann"],
    ...         "item": ["a", "b", "c", "d", "e"],
    ...         "time": [1, 2, 2, 3, 3],
    ...     }
    ... )
    >>> add_history(X, user="user", item="item", time="time")["history"].tolist()
    [[], ['a'], [], ['a', 'b'], ['a', 'b']]
    >>> clicked = [True, False, True, True, True]
    >>> add_history(X, user="user", item="item", time="time", where=clicked)["history"].tolist()
    [[], ['a'], [], ['a'], ['a']]

    What a server knows of a user with a past in a log:

    >>> now = pd.DataFrame({"user": ["ann", "eve"], "item": ["f", "f"], "time": [9, 9]})
    >>> add_history(now, user="user", item="item", time="time", max_length=2, log=X)[
    ...     "history"
    ... ].tolist()
    [['d', 'e'], []]
    """
    items = {"history": item} if isinstance(item, str) else dict(item)
    past = _Past(X, log, time, where, [user], [user, *items.values()])
    taken = next((column for column in items if column in past.rows.columns), None)
    if taken is not None:
        raise ValueError(
            f"X has a column {taken!r} already: drop it, or name the new one, for example item={{'past': "
            f"{items[taken]!r}}}."
        )
    spans = past.spans([user], max_length)
    return _with_columns(past.rows, {name: spans.lists(_single_values(past.log[of])) for name, of in items.items()})


@validate_params({"key": [str, tuple, list], "time": [str], "where": [str, "array-like", None]})
def add_recency(
    X: Any,
    *,
    key: Key | Sequence[Key],
    time: str,
    longest: Any,
    where: str | ArrayLike | None = None,
    log: Any = None,
) -> Any:
    """Add the recency of keys: the time since the row's user, item or combination of values was last seen.

    Only rows of a strictly earlier time count. Rows of the same time, such as impressions of one page, don't count for
    each other, since their order is undefined.

    Parameters
    ----------
    X : dataframe of shape (n_samples, n_features)
        Rows, of pandas, polars or any other library that narwhals knows, in any order.
    key : str, tuple of str or list of these
        Column to look up, a tuple of columns (values seen together), or a list of these, such as
        `["user", "item", ("user", "category")]`.
    time : str
        Column of the time: dates, times or numbers, also as text (ISO 8601).
    longest : str, timedelta or float
        Longest age, such as `"30D"`, or a number in the units of `time` where that is one. A key that was seen longer
        ago, never, or is missing, has this age. So the log need not reach further back, and a key without a past is
        one that hasn't been seen for long.
    where : str or array-like of bool, default=None
        Which rows of the log count, such as those that were clicked, for the time since the last click: a mask, or the
        column of one. None for all. The rows of a mask are taken by position, whatever its index.
    log : dataframe, default=None
        The log that tells when a key was seen, with the same columns for keys and time; None for `X` itself. With it,
        the rows of `X` know it alone, and nothing of each other: so a server sees the past until now.

    Returns
    -------
    dataframe of shape (n_samples, n_features + n_keys)
        `X` with a column for each key at its end, `recency(user)` or `recency(user & category)`: durations, or floats
        where `time` is a number.

    Raises
    ------
    ValueError
        If a column is missing or exists already, a time is missing or can't be read, `longest` is no age, or `where`
        is no mask of the log; the message names it.

    See Also
    --------
    add_history : The values that came before, not when.
    CTREncoder : It takes durations for numbers. Its part `elapsed` of `datetime_parts` is the time since the first row.

    Notes
    -----
    Choose `longest` so that the training rows know about as much of the past as later rows will: with a log of 60
    days and `longest="30D"`, the first 30 days are better left out of the training rows, since a user new to the log
    can't be told from a new user. A split at random is no problem by itself, as ages hold no labels;
    with `where=y == 1` they do, and training and test rows must be split by time.

    Where `time` is a number, the encoder may take whole ages for ids: name the column in its parameter `numeric`.

    Examples
    --------
    >>> import pandas as pd
    >>> from sk_finalmlp.preprocessing import add_recency
    >>> X = pd.DataFrame(
    ...     {"user": ["ann", "bob", "ann"], "item": ["a", "a", "a"], "day": [1, 2, 4]}
    ... )
    >>> add_recency(X, key=["item", ("user", "item")], time="day", longest=30)
      user item  day  recency(item)  recency(user & item)
    0  ann    a    1           30.0                  30.0
    1  bob    a    2            1.0                  30.0
    2  ann    a    4            2.0                   3.0

    What a server knows of a user with a past in a log:

    >>> now = pd.DataFrame({"user": ["ann", "eve"], "day": [9, 9]})
    >>> add_recency(now, key="user", time="day", longest=30, log=X)["recency(user)"].tolist()
    [5.0, 30.0]
    """
    keys = _read_keys(key)
    needed = [column for columns in keys.values() for column in columns]
    past = _Past(X, log, time, where, needed, needed)
    taken = next((name for name in keys if name in past.rows.columns), None)
    if taken is not None:
        raise ValueError(f"X has a column {taken!r} already: drop or rename it.")
    dtype = past.times.type
    of_number = is_number(dtype) or (pa.types.is_null(dtype) and has_no_unit(longest))
    bound = read_age(f"longest={longest!r}", longest, of_number)
    moments, moments_of_log = as_numbers(past.times), as_numbers(past.times_of_log)
    new: dict[str, pa.Array] = {}
    for name, columns in keys.items():
        ages = past.spans(columns, max_length=1).ages(moments, moments_of_log, bound)
        new[name] = pa.array(ages if of_number else np.rint(ages).astype("m8[us]"))
    return _with_columns(past.rows, new)


class _Spans(NamedTuple):
    """The part of a sorted log that is the past of each row."""

    #: Rows of the log that count, by key and time.
    order: np.ndarray
    #: Where the past of each row begins in that order, and one after its end.
    first: np.ndarray
    last: np.ndarray

    def lists(self, values: pa.Array) -> pa.Array:
        """The past of each row, as these values of the log."""
        lengths = self.last - self.first
        positions = np.arange(lengths.sum()) + np.repeat(self.last - np.cumsum(lengths), lengths)
        return lists_of(values.take(pa.array(self.order[positions])), lengths)

    def ages(self, moments: np.ndarray, moments_of_log: np.ndarray, longest: float) -> np.ndarray:
        """The time since the end of each row's past, the longest age without one."""
        has_past = self.last > self.first
        before = self.order[self.last[has_past] - 1]
        ages = np.full(len(moments), longest)
        ages[has_past] = np.minimum(moments[has_past] - moments_of_log[before], longest)
        return ages


class _Past:
    """Rows, and the log that tells what came before them, which may be the same frame."""

    def __init__(
        self, X: Any, log: Any, time: str, where: Any, needed: Sequence[str], needed_of_log: Sequence[str]
    ) -> None:
        self.rows = _read_frame(X, "X")
        self.log = self.rows if log is None else _read_frame(log, "log")
        self._is_own = log is None
        for name, frame, columns in (
            ("X", self.rows, [time, *needed]),
            ("X" if self._is_own else "log", self.log, [time, *needed_of_log]),
        ):
            missing = next((column for column in columns if column not in frame.columns), None)
            if missing is not None:
                raise ValueError(f"{name} has no column {missing!r}. The columns are {list(frame.columns)}.")
        self._rank_times(time)
        self._enters = _read_mask(where, self.log)

    def _rank_times(self, time: str) -> None:
        """Read the times of the rows and of the log, and rank them together."""
        times = _read_times(self.rows[time])
        of_log = times if self._is_own else _read_times(self.log[time])
        # No row says nothing of the type.
        self.times, self.times_of_log = times if len(times) else of_log[:0], of_log if len(of_log) else times[:0]
        for name, read in (("X", self.times), ("log", self.times_of_log)):
            if read.null_count:
                raise ValueError(
                    f"{name}: column {time!r} is missing in {read.null_count} rows, so their past is undefined. Leave "
                    "these rows out."
                )
        together = self.times if self._is_own else _together(self.times, self.times_of_log, time)
        distinct, self._ranks = np.unique(together.to_numpy(zero_copy_only=False), return_inverse=True)
        self._n_ranks = max(1, len(distinct))

    def spans(self, key: Sequence[str], max_length: int) -> _Spans:
        """The last entries of the log that have the key of each row and an earlier time."""
        keys = self._number_keys(key)
        n_rows = len(self.rows)
        of_log = slice(0, n_rows) if self._is_own else slice(n_rows, None)
        # One number by key, then time. Keys that are missing are before all others, and have no past.
        ranks = keys * self._n_ranks + self._ranks
        entries = np.flatnonzero(self._enters & (keys[of_log] >= 0))
        order = entries[np.argsort(ranks[of_log][entries], kind="stable")]
        in_order = ranks[of_log][order]
        # The first of each key, and 0 for a missing one, numbered below all others.
        first_of_key = np.append(np.searchsorted(in_order, np.arange(keys.max(initial=0) + 1) * self._n_ranks), 0)
        # In ascending order: random positions of many rows miss the cache.
        by_rank = order if self._is_own and len(order) == n_rows else np.argsort(ranks[:n_rows])
        last = np.empty(n_rows, np.int64)
        last[by_rank] = np.searchsorted(in_order, ranks[by_rank])
        return _Spans(order, np.maximum(first_of_key[keys[:n_rows]], last - max_length), last)

    def _number_keys(self, key: Sequence[str]) -> np.ndarray:
        """A number of each combination of values, -1 where any is missing: of the rows, and then of another log."""
        found: np.ndarray = np.zeros(len(self._ranks), np.int64)
        for column in key:
            codes = self._number_values(column)
            is_known = (found >= 0) & (codes >= 0)
            # Combinations that occur, since the product of three columns of ids may be too large a number.
            combined, _ = pd.factorize(found[is_known] * (codes.max(initial=0) + 1) + codes[is_known])
            found = np.full(len(found), -1)
            found[is_known] = combined
        return found

    def _number_values(self, column: str) -> np.ndarray:
        """A number of each distinct value, -1 for a missing one."""
        values = _as_arrow(self.rows[column])
        if pa.types.is_floating(values.type):
            # The two zeros are one key.
            values = pc.add(values, pa.scalar(0, values.type))
        values = values if self._is_own else _together(values, _as_arrow(self.log[column]), column)
        try:
            numbers: np.ndarray = values.dictionary_encode().indices.fill_null(-1).to_numpy()
        except pa.ArrowNotImplementedError as error:
            raise ValueError(
                f"Column {column!r} is {values.type}, and such values can't be compared: give single values, such as "
                "ids, text or times."
            ) from error
        return numbers.astype(np.int64)


def _read_times(values: nw.Series[Any]) -> pa.Array:
    array = _as_arrow(values)
    with errors_about(f"Column {values.name!r}"):
        return read_times(array, "time") if len(array) or not is_string(array.type) else pa.nulls(0)


def _together(values: pa.Array, of_log: pa.Array, name: str) -> pa.Array:
    """The values of the rows and of another log in one array, of a type that changes none of them."""
    try:
        dtype = _common_type(values, of_log)
        arrays = (values, of_log)
        return pa.concat_arrays([pa.nulls(len(a), dtype) if is_all_missing(a) else a.cast(dtype) for a in arrays])
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise ValueError(
            f"Column {name!r} is {values.type} in X and {of_log.type} in log, which can't be compared ({error}): give "
            "both one type."
        ) from error


def _common_type(values: pa.Array, of_log: pa.Array) -> pa.DataType:
    types = [array.type for array in (values, of_log) if not is_all_missing(array)]
    if len(types) < 2 or types[0] == types[1]:
        return types[0] if types else pa.null()
    kinds = [_what_it_holds(dtype) for dtype in types]
    if kinds[0] != kinds[1]:
        raise pa.ArrowInvalid(" and ".join(kinds))
    if kinds[0] == "numbers":
        return pa.int64() if all(map(pa.types.is_integer, types)) else pa.float64()
    finest = max((getattr(dtype, "unit", "s") for dtype in types), key=_UNITS.index)
    if all(map(pa.types.is_duration, types)):
        return pa.duration(finest)
    if all(map(pa.types.is_time, types)):
        return pa.time64(finest if finest in ("us", "ns") else "us")
    # Dates begin at midnight.
    return pa.timestamp(finest, getattr(types[1], "tz", None))


def _what_it_holds(dtype: pa.DataType) -> str:
    """Arrow would read a time as a number, and an instant as a local time."""
    if is_string(dtype):
        return "text"
    if pa.types.is_timestamp(dtype) and dtype.tz is not None:
        return "times with a zone"
    return "times without a zone" if pa.types.is_temporal(dtype) else "numbers"


def _as_arrow(values: nw.Series[Any]) -> pa.Array:
    """Values of a column in one array; NaN is missing."""
    with errors_about(f"Column {values.name!r}"):
        try:
            array = values.to_arrow()
        except OverflowError as error:
            raise ValueError("it holds integers beyond 63 bits as objects. Make them uint64 or text.") from error
    array = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_floating(array.type):
        array = pa.compute.if_else(pa.compute.is_nan(array), pa.scalar(None, array.type), array)
    return array.cast(pa.large_string()) if is_string(array.type) else array


def _single_values(values: nw.Series[Any]) -> pa.Array:
    array = _as_arrow(values)
    if is_list(array.type):
        raise ValueError(
            f"Column {values.name!r} holds lists, and a history is made of single values. Give its ids, or give each "
            "element a row of its own by `log.explode`."
        )
    return array


def _read_keys(key: Key | Sequence[Key]) -> dict[str, tuple[str, ...]]:
    """The new columns, and the columns of the key of each."""
    keys: list[Any] = [(one,) if isinstance(one, str) else one for one in (key if isinstance(key, list) else [key])]
    are_names = (isinstance(names, tuple | list) and all(isinstance(name, str) for name in names) for names in keys)
    if not keys or not all(are_names) or () in map(tuple, keys):
        raise ValueError(
            f"key={key!r} must name a column, a tuple of columns (values seen together), or be a list of these, such "
            "as ['user', ('user', 'item')]."
        )
    return {f"recency({' & '.join(columns)})": tuple(columns) for columns in keys}


def _with_columns(rows: nw.DataFrame[Any], new: Mapping[str, pa.Array]) -> Any:
    """The table with new columns at its end; in a pandas DataFrame, lists of Arrow or arrays of NumPy."""
    X = rows.to_native()
    if isinstance(X, pd.DataFrame):
        return X.assign(**{name: _as_pandas(values) for name, values in new.items()})
    columns = nw.from_arrow(pa.table(dict(new)), backend=rows.implementation).iter_columns()
    return rows.with_columns(*columns).to_native()


def _as_pandas(values: pa.Array) -> Any:
    return pd.arrays.ArrowExtensionArray(pa.chunked_array([values])) if is_list(values.type) else values.to_numpy()


def _read_frame(X: Any, name: str) -> nw.DataFrame[Any]:
    """A dataframe of any library; `name` is the argument, for the message of an error."""
    X = native_table(X)
    if not is_frame(X):
        raise TypeError(
            f"{name} is {type(X).__name__}, but the past is found by the names of columns: give a dataframe."
        )
    check_unique_names(X, name)
    return nw.from_native(X, eager_only=True)


def _read_mask(where: Any, log: nw.DataFrame[Any]) -> np.ndarray:
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
