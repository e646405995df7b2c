"""What a row counts in statistics by its age."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from ._time_order import read_times
from .tables._selection import select_for

#: Half-lives after which a row counts as good as nothing; weight 0 would mean that it isn't there.
_OLDEST = 60.0


def weights_by_age(half_life: Mapping[Any, Any] | None, X: Any, names: Sequence[str]) -> np.ndarray | None:
    """Weights of the rows of a table by the parameter `half_life` of the encoder.

    Parameters
    ----------
    half_life : mapping of {str: str or float} or None
        A column of times, and the age at which a row counts half.
    X : {dataframe, ndarray} of shape (n_samples, n_features)
        The table.
    names : sequence of str
        Names of its columns.

    Returns
    -------
    ndarray of float64, shape (n_samples,), or None
        1 for the last row, and less for others; rows without a time are the oldest. None without the parameter.
    """
    if half_life is None:
        return None
    if len(half_life) != 1:
        raise ValueError(
            f"half_life={dict(half_life)!r} must name one column of times, such as half_life={{'time': '7D'}}."
        )
    ((column, age),) = half_life.items()
    (position,) = select_for("half_life", [column], None, names)
    values = read_times("half_life", X, names, names[position]).values
    are_numbers = pa.types.is_integer(values.type) or pa.types.is_floating(values.type)
    half = _read_age(age, are_numbers)
    if not 0 < half < np.inf:
        of_number, of_time = "a number, such as 7, in the units of the column", "with a unit, such as '7D' or '12h'"
        wanted = of_number if are_numbers else of_time
        raise ValueError(f"half_life={dict(half_life)!r}: the age must be positive, and {wanted}.")
    times = values.cast(pa.float64()) if are_numbers else _microseconds(values)
    ages = times.to_numpy(zero_copy_only=False)
    ages = np.nanmax(ages) - ages if np.isfinite(ages).any() else np.zeros(len(ages))
    ages = np.where(np.isnan(ages), np.nanmax(ages, initial=0.0), ages)
    weights: np.ndarray = np.exp2(-np.minimum(ages / half, _OLDEST))
    return weights


def _read_age(age: Any, is_number: bool) -> float:
    """The age as a number, or in microseconds; NaN for what is neither."""
    if not is_number and isinstance(age, Real):
        # pandas would read 7 as nanoseconds.
        return np.nan
    try:
        return float(age) if is_number else pd.Timedelta(age) / pd.Timedelta(microseconds=1)
    except (TypeError, ValueError):
        return np.nan


def _microseconds(values: pa.Array) -> pa.Array:
    if pa.types.is_date(values.type):
        values = values.cast(pa.timestamp("us"))
    unit = pa.timestamp("us", getattr(values.type, "tz", None))
    if pa.types.is_duration(values.type):
        unit = pa.duration("us")
    return values.cast(unit).cast(pa.int64()).cast(pa.float64())
