"""What the output of an encoder says of its origin, so that the classifier notices what doesn't belong together.

Only containers that can carry a note do: those of pandas, in `DataFrame.attrs`, which selections and copies keep.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

_KEY = "sk_finalmlp"


@dataclass(frozen=True)
class Origin:
    """Where an encoded table comes from.

    Parameters
    ----------
    encoder : str
        What the encoder learned, as a hash: two fits that learned the same have the same.
    statistics : list of str, default=None
        Names of the columns that hold statistics; None where an earlier version didn't say so.
    n_rows : int, default=None
        Number of training rows, where the table is the output of `fit_transform`; None for that of `transform`.
    validation_fraction : float, default=None
        Share of the training rows whose labels are in no statistic of another row; None for `transform`.
    hold_out : str, default=None
        Which rows these are: "random", "last", or the name of a column of times; None for `transform`.
    held_out : str, default=None
        The rows, packed, where a column of times decided that the classifier doesn't see.
    """

    encoder: str
    statistics: list[str] | None = None
    n_rows: int | None = None
    validation_fraction: float | None = None
    hold_out: str | None = None
    held_out: str | None = None


def carries_origin(table: Any) -> bool:
    """Whether a table can carry a note of its origin.

    Parameters
    ----------
    table : dataframe or ndarray
        Output of an encoder.

    Returns
    -------
    bool
    """
    return isinstance(table, pd.DataFrame)


def write_origin(table: Any, origin: Origin) -> Any:
    """The same table with a note of its origin, if it can carry one.

    Parameters
    ----------
    table : dataframe or ndarray
        Output of an encoder.
    origin : Origin
        Where it comes from.

    Returns
    -------
    dataframe or ndarray
        The table that was given.
    """
    if carries_origin(table):
        # Plain values, since pandas copies them in each selection and writes them to Parquet as JSON.
        table.attrs[_KEY] = asdict(origin)
    return table


def read_origin(table: Any) -> Origin | None:
    """Where a table comes from, if it says so.

    Parameters
    ----------
    table : object
        What a classifier was given.

    Returns
    -------
    Origin or None
    """
    note = table.attrs.get(_KEY) if isinstance(table, pd.DataFrame) else None
    return None if note is None else Origin(**note)
