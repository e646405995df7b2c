"""The order of rows in time, by which the last ones are held out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .._hold_out import places_from_last
from ._column import Column, RawColumn, errors_naming, is_list, is_string
from ._reading import learn_reading
from ._table import read_one_column


def places_in_time(hold_out: str, X: Any, names: Sequence[str]) -> np.ndarray | None:
    """Places of the rows of a table by the parameter `hold_out` of the encoder.

    Parameters
    ----------
    hold_out : "random", "last" or a name
        The rule, or the column of times.
    X : {dataframe, ndarray} of shape (n_samples, n_features)
        The table.
    names : sequence of str
        Names of its columns.

    Returns
    -------
    ndarray of shape (n_samples,) or None
        Places; None for the rule at random.
    """
    if hold_out == "random":
        return None
    if hold_out == "last":
        return places_from_last(np.arange(len(X)))
    if hold_out not in names:
        raise ValueError(
            f"hold_out={hold_out!r} is neither 'random' nor 'last' nor a column of times. The columns are "
            f"{list(names)}."
        )
    column = read_times("hold_out", X, names, hold_out)
    order = pc.array_sort_indices(column.values, null_placement="at_start").to_numpy()
    ranks = np.empty(len(order), np.int64)
    ranks[order] = np.arange(len(order))
    return places_from_last(ranks)


def read_times(parameter: str, X: Any, names: Sequence[str], name: str) -> Column:
    """The values of a column as times, or as numbers such as seconds; missing ones are null.

    Parameters
    ----------
    parameter : str
        The parameter that names the column, for messages.
    X : {dataframe, ndarray} of shape (n_samples, n_features)
        The table.
    names : sequence of str
        Names of its columns.
    name : str
        Name of the column.

    Returns
    -------
    Column
    """
    with errors_naming(name):
        return _as_times(read_one_column(X, names, name), parameter)


def _as_times(raw: RawColumn, parameter: str) -> Column:
    reading = learn_reading(raw)
    if is_string(reading.like):
        reading = reading.as_times(raw)
    elif reading.lists or is_list(reading.like) or pa.types.is_boolean(reading.like):
        raise TypeError(f"it has no order in time, so `{parameter}` can't tell which rows are the last. Name another.")
    return reading.read(raw)
