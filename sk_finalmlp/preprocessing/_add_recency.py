"""How long ago each key was last seen, as columns of ages, from a log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import ArrayLike

from .._sklearn import validate_params
from ._ages import are_numbers, as_numbers, read_age
from ._log import check_columns, find_spans, read_frame, read_mask, read_times_of_past

Key = str | tuple[str, ...]


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

    Only rows of a strictly earlier time count. Rows of the same time, such as impressions of one page, know nothing of
    each other, since nobody can say which came first.

    Parameters
    ----------
    X : dataframe of shape (n_samples, n_features)
        Rows, of pandas, polars or any other library that narwhals knows, in any order.
    key : str, tuple of str or list of these
        Column whose value was seen before, columns whose values were seen together, or several of these, such as
        `["user", "item", ("user", "category")]`.
    time : str
        Column of the time: dates, times or numbers, also as text (ISO 8601).
    longest : str, timedelta or float
        Longest age, such as `"30D"`, or a number in the units of `time` where that is one. A key that was seen longer
        ago, never, or is missing, has this age. So the log need not reach further back, and a key without a past is
        one that hasn't been seen for long.
    where : str or array-like of bool, default=None
        Which rows of the log count, such as those that were clicked, for the time since the last click: a mask, or the
        column of one. None for all.
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
    days and `longest="30D"`, the first 30 days are better left out of the training rows, since a user who is new to
    the log has the same age as one who is new. A split at random is no problem by itself, as ages hold no labels;
    with `where=y == 1` they do, and training and test rows must be split by time.

    Where `time` is a number, the encoder may take whole ages for ids: name the column in its parameter `numeric`.

    Time and memory grow with the number of rows; there is no loop over rows.

    Examples
    --------
    >>> import pandas as pd
    >>> from sk_finalmlp.preprocessing import add_recency
    >>> X = pd.DataFrame({
    ...     "user": ["ann", "bob", "ann", "ann"],
    ...     "item": ["a", "a", "b", "a"],
    ...     "time": pd.to_datetime(["2026-01-01 09:00", "2026-01-01 10:00", "2026-01-01 10:30", "2026-03-01 09:00"]),
    ... })
    >>> X = add_recency(X, key=["item", ("user", "item")], time="time", longest="30D")
    >>> print(X[["recency(item)", "recency(user & item)"]].to_string())
         recency(item) recency(user & item)
    0 30 days 00:00:00              30 days
    1  0 days 01:00:00              30 days
    2 30 days 00:00:00              30 days
    3 30 days 00:00:00              30 days

    What a server knows of a user whose past is in a log:

    >>> now = pd.DataFrame({"user": ["ann", "eve"], "time": pd.Timestamp("2026-03-02 12:00")})
    >>> add_recency(now, key="user", time="time", longest="30D", log=X)["recency(user)"].tolist()
    [Timedelta('1 days 03:00:00'), Timedelta('30 days 00:00:00')]
    """
    rows = read_frame(X, "X")
    of_log = rows if log is None else read_frame(log, "log")
    keys = _read_keys(key)
    needed = [time, *(column for columns in keys.values() for column in columns)]
    check_columns(rows, of_log, needed, needed)
    taken = next((name for name in keys if name in rows.columns), None)
    if taken is not None:
        raise ValueError(f"X has a column {taken!r} already: drop or rename it.")
    times = read_times_of_past(rows, of_log, time)
    is_number = are_numbers(times.of_rows.type)
    if not (is_number or _is_time(times.of_rows.type)):
        raise ValueError(f"Column {time!r} is {times.of_rows.type}, which has no ages: give dates, times or numbers.")
    bound = read_age(f"longest={longest!r}", longest, is_number)
    enters = read_mask(where, of_log)
    moments, moments_of_log = as_numbers(times.of_rows), as_numbers(times.of_log)
    new: dict[str, Any] = {}
    for name, columns in keys.items():
        spans = find_spans(rows, of_log, columns, times, enters, max_length=1)
        has_past = spans.last > spans.first
        before = spans.order[spans.last[has_past] - 1]
        ages = np.full(len(rows), bound)
        ages[has_past] = moments[has_past] - moments_of_log[before]
        new[name] = _as_ages(np.minimum(ages, bound), is_number)
    if isinstance(X, pd.DataFrame):
        return X.assign(**{name: own.to_numpy() for name, own in new.items()})
    return rows.with_columns(*nw.from_arrow(pa.table(new), backend=rows.implementation).iter_columns()).to_native()


def _read_keys(key: Key | Sequence[Key]) -> dict[str, tuple[str, ...]]:
    """The new columns, and the columns of the key of each."""
    keys: list[Any] = [(one,) if isinstance(one, str) else one for one in (key if isinstance(key, list) else [key])]
    if not keys or not all(map(_are_columns, keys)):
        raise ValueError(
            f"key={key!r} must name a column, a tuple of columns whose values were seen together, or be a list of "
            "these, such as ['user', ('user', 'item')]."
        )
    return {f"recency({' & '.join(columns)})": tuple(columns) for columns in keys}


def _are_columns(columns: Any) -> bool:
    return isinstance(columns, tuple | list) and 0 < len(columns) == sum(isinstance(name, str) for name in columns)


def _is_time(dtype: pa.DataType) -> bool:
    checks = (pa.types.is_timestamp, pa.types.is_date, pa.types.is_duration, pa.types.is_null)
    return any(check(dtype) for check in checks)


def _as_ages(ages: np.ndarray, is_number: bool) -> pa.Array:
    return pa.array(ages) if is_number else pa.array(np.rint(ages).astype(np.int64)).cast(pa.duration("us"))
