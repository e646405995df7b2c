"""Groups of rows by the values of a column, few enough to be looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

_OTHERS = "other values"
_MISSING = "missing"


@dataclass(frozen=True)
class Segments:
    """Groups of rows.

    Parameters
    ----------
    names : Index
        What each of the k groups has in common; its name is that of the column.
    codes : ndarray of int, shape (n,)
        Group of each row, from 0 to k - 1.
    """

    names: pd.Index[Any]
    codes: NDArray[np.intp]


def read_column(X: Any, by: Any) -> pd.Series[Any]:
    """A value for each row.

    Parameters
    ----------
    X : dataframe or array-like of shape (n, n_features)
        The table.
    by : str or array-like of shape (n,)
        Name of a column of the table, or a value for each row.

    Returns
    -------
    Series
        The values.

    Raises
    ------
    ValueError
        If `X` has no such column.
    """
    if not isinstance(by, str):
        return pd.Series(by, name=getattr(by, "name", None)).reset_index(drop=True)
    frame = nw.from_native(X, eager_only=True, pass_through=True)
    if not isinstance(frame, nw.DataFrame):
        raise ValueError(f"by={by!r} names a column, but X has no names: pass the values, one for each row.")
    if by not in frame.columns:
        raise ValueError(f"by={by!r} isn't a column of X; its columns are {frame.columns}.")
    return frame[by].to_pandas().reset_index(drop=True)


def group_rows(by: ArrayLike, max_values: int) -> Segments:
    """Group rows by a value that each has.

    Numbers, times and categories come in their order, other values by falling frequency; then what is left, and last
    the missing ones.

    Parameters
    ----------
    by : array-like of shape (n,)
        The values.
    max_values : int
        Largest number of groups, but for the last two. Floats of more values are cut at quantiles; of other columns,
        the most frequent values have groups of their own.

    Returns
    -------
    Segments

    Raises
    ------
    ValueError
        If there are several values in a row.
    """
    column = read_column(None, by)
    if pd.api.types.is_float_dtype(column) and column.nunique() > max_values:
        column = pd.qcut(column, max_values, duplicates="drop")
    codes, values = _factorize(column)
    own = _choose(codes, values, max_values)
    group_of_code = np.full(len(values) + 1, len(own))
    group_of_code[own] = np.arange(len(own))
    # Missing values have the code -1, so that theirs is the last entry.
    has_others = len(values) > len(own)
    group_of_code[-1] += has_others
    rest = [_OTHERS] * has_others + [_MISSING] * bool((codes < 0).any())
    return Segments(pd.Index([*values[own], *rest], name=column.name), group_of_code[codes])


def _factorize(column: pd.Series[Any]) -> tuple[NDArray[np.intp], pd.Index[Any]]:
    try:
        codes, values = pd.factorize(column)
    except TypeError as error:
        raise ValueError(f"by {column.name!r} must hold one value for each row: {error}.") from error
    return codes, pd.Index(values)


def _choose(codes: NDArray[np.intp], values: pd.Index[Any], max_values: int) -> NDArray[np.intp]:
    """Positions of the values that have a group of their own, in the order of the groups."""
    counts = np.bincount(codes[codes >= 0], minlength=len(values))
    frequent = np.argsort(-counts, kind="stable")[:max_values]
    if isinstance(values, pd.CategoricalIndex):
        return frequent[np.argsort(values.codes[frequent])]
    if pd.api.types.is_numeric_dtype(values) or pd.api.types.is_datetime64_any_dtype(values):
        return frequent[np.argsort(values[frequent])]
    return frequent
