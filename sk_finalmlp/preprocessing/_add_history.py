"""What each user did before, as columns of lists, from a log."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral
from typing import Any

import narwhals.stable.v2 as nw
import pandas as pd
import pyarrow as pa
from numpy.typing import ArrayLike

from .._sklearn import Interval, validate_params
from ._column import is_list
from ._log import as_arrow, check_columns, find_spans, read_frame, read_mask, read_times_of_past


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
    add_recency : How long ago the last of these was, or the last row of any other key.
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
    rows = read_frame(X, "X")
    of_log = rows if log is None else read_frame(log, "log")
    check_columns(rows, of_log, [user, time], [user, time, *items.values()])
    taken = next((column for column in items if column in rows.columns), None)
    if taken is not None:
        raise ValueError(
            f"X has a column {taken!r} already: drop it, or name the new one, for example item={{'past': "
            f"{items[taken]!r}}}."
        )
    times = read_times_of_past(rows, of_log, time)
    spans = find_spans(rows, of_log, [user], times, read_mask(where, of_log), max_length)
    new = {name: spans.lists(_single_values(of_log[column])) for name, column in items.items()}
    if isinstance(X, pd.DataFrame):
        return X.assign(**{name: pd.arrays.ArrowExtensionArray(pa.chunked_array([own])) for name, own in new.items()})
    columns = nw.from_arrow(pa.table(new), backend=rows.implementation)
    return rows.with_columns(*columns.iter_columns()).to_native()


def _single_values(values: nw.Series[Any]) -> pa.Array:
    array = as_arrow(values)
    if is_list(array.type):
        raise ValueError(
            f"Column {values.name!r} holds lists, and a history is made of single values. Give its ids, or give each "
            "element a row of its own by `log.explode`."
        )
    return array
