"""Tables that neither the encoder nor the classifier can read, refused by both with the same words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from os import PathLike
from typing import Any

import narwhals.stable.v2 as nw
import pandas as pd
import pyarrow as pa

#: What turns the lazy frames of some libraries into tables.
_METHODS = {
    "duckdb": "df",
    "ibis": "to_pandas",
    "dask": "compute",
    "pyspark": "toPandas",
    "sqlframe": "toPandas",
}


def check_is_table(X: Any) -> None:
    """Refuse what a newcomer may take for a table.

    Parameters
    ----------
    X : object
        What `fit` or a later method was given.

    Raises
    ------
    TypeError
        If it is a dict or a list of dicts, as JSON gives them, a list of file names, a generator, or a lazy frame.
    """
    if isinstance(X, pd.DataFrame):
        return
    if isinstance(X, Mapping) and not hasattr(X, "dtype"):  # SciPy's sparse arrays of keys are dicts, too
        raise TypeError("X is a dict. Make a table of it: pd.DataFrame([X]) if it is one row, else pd.DataFrame(X).")
    if isinstance(X, list | tuple) and X and isinstance(X[0], Mapping):
        raise TypeError("X is a list of dicts. Make a table of it: pd.DataFrame(X).")
    if isinstance(X, list | tuple) and X and all(isinstance(name, str | PathLike) for name in X):
        raise TypeError(
            f"X is a list of strings, such as {str(X[0])!r}. If they name files, pass pyarrow.dataset.dataset(X), or a "
            "pattern such as 'clicks/*.parquet'. If they are one row, pass pd.DataFrame([X], columns=...)."
        )
    if isinstance(X, pa.RecordBatchReader):
        raise TypeError("X is a RecordBatchReader, which can be read only once. Pass X.read_all(), the table itself.")
    if isinstance(X, pa.RecordBatch):
        raise TypeError("X is a RecordBatch. Pass pyarrow.Table.from_batches([X]).")
    if isinstance(X, Iterator):
        raise TypeError(
            f"X is a {type(X).__name__}, which can be read only once. Pass a function that returns one: CTREncoder "
            "calls it for each pass over the rows."
        )
    frame = nw.from_native(X, pass_through=True)
    if isinstance(frame, nw.LazyFrame):
        method = _METHODS.get(str(frame.implementation), "collect")
        raise TypeError(f"X is a lazy frame. Pass X.{method}(), the table itself.")


def refuse_name_as_labels(X: Any, y: Any) -> None:
    """Refuse the name of a column, or names of several, where labels are expected.

    Parameters
    ----------
    X : object
        A table in memory.
    y : object
        What was given as labels.

    Raises
    ------
    ValueError
        If it is a string, or a list of names of columns of X.
    """
    if isinstance(y, str) or _names_columns(X, y):
        columns = y if isinstance(y, str) else list(y)
        raise ValueError(
            f"y={columns!r} is a name, as rows in files take it, but X is a table in memory. Pass the labels "
            f"themselves: fit(X.drop(columns={columns!r}), X[{columns!r}])."
        )


def refuse_name_as_weights(weights: Any) -> None:
    """Refuse the name of a column where weights of rows in memory are expected.

    Parameters
    ----------
    weights : object
        What was given as weights.

    Raises
    ------
    ValueError
        If it is a string.
    """
    if isinstance(weights, str):
        raise ValueError(
            f"sample_weight={weights!r} is a name, as rows in files take it, but X is a table in memory. Pass the "
            f"weights themselves: X[{weights!r}]."
        )


def _names_columns(X: Any, y: Any) -> bool:
    if not isinstance(y, list | tuple) or not y or len(y) == len(X):
        return False
    names = {*getattr(X, "columns", ())}
    return all(isinstance(name, str) and name in names for name in y)


def check_unique_names(X: pd.DataFrame) -> None:
    """Refuse a frame with several columns of a name; only those of pandas can have them.

    Parameters
    ----------
    X : DataFrame
        The table.

    Raises
    ------
    ValueError
        If a name occurs twice.
    """
    if not X.columns.is_unique:
        name, n_columns = Counter(X.columns).most_common(1)[0]
        raise ValueError(
            f"X has {n_columns} columns named {name!r}, but a column is known by its name. Rename or drop all but one."
        )


def has_columns_of_fit(estimator: Any, X: Any) -> bool:
    """Whether a table is a frame of pandas with just the columns of `fit`, of which scikit-learn need not be asked.

    It takes as long to say that names agree as a network takes for a row.

    Parameters
    ----------
    estimator : estimator
        What was fitted.
    X : object
        The table.

    Returns
    -------
    bool
        False where it isn't so, or can't be told by the names alone.
    """
    if not isinstance(X, pd.DataFrame) or not hasattr(estimator, "feature_names_in_"):
        return False
    same: bool = X.columns.tolist() == estimator.feature_names_in_.tolist()
    return same


def check_not_empty(shape: tuple[int, ...]) -> None:
    """Refuse a table without rows or columns, as scikit-learn does.

    Parameters
    ----------
    shape : tuple of int
        Numbers of rows and columns.

    Raises
    ------
    ValueError
        If one of them is 0.
    """
    for size, what in zip(shape, ("sample", "feature"), strict=True):
        if size == 0:
            raise ValueError(f"Found array with 0 {what}(s) (shape={tuple(shape)}) while a minimum of 1 is required.")


def check_detached(values: Any, name: str) -> None:
    """Refuse a tensor that is part of a computation: NumPy can't read it.

    Parameters
    ----------
    values : object
        What may be such a tensor.
    name : str
        Name of the argument.

    Raises
    ------
    TypeError
        If it requires grad.
    """
    if getattr(values, "requires_grad", False):
        raise TypeError(f"{name} is a tensor that requires grad. Pass {name}.detach().")
