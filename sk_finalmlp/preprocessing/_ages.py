"""Times as numbers, and ages as users write them: in the units of a column of numbers, or with a unit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa


def read_age(where: str, age: Any, is_number: bool) -> float:
    """The age as a number, or in microseconds.

    Parameters
    ----------
    where : str
        The argument that it is given by, for the message of an error.
    age : str, timedelta or float
        What the user gives.
    is_number : bool
        Whether times are numbers, so that an age is one too.

    Raises
    ------
    ValueError
        If it isn't positive, is less than a microsecond, or is without a unit where it needs one.
    """
    read = _read(age, is_number)
    if not 0 < read < np.inf:
        of_number, of_time = "a number, such as 7, in the units of the column", "with a unit, such as '7D' or '12h'"
        raise ValueError(f"{where}: the age must be positive, and {of_number if is_number else of_time}.")
    return read


def are_numbers(dtype: pa.DataType) -> bool:
    """Whether times of this type are numbers, whose unit nobody knows."""
    return bool(pa.types.is_integer(dtype) or pa.types.is_floating(dtype))


def as_numbers(times: pa.Array) -> np.ndarray:
    """Numbers as they are, dates, times and durations in microseconds, in 64 bits; NaN for a missing one.

    Integers stay such where none is missing: nanoseconds since 1970 are too many for a float.
    """
    if not are_numbers(times.type):
        times = _microseconds(times)
    dtype = pa.float64() if pa.types.is_floating(times.type) else pa.int64()
    numbers: np.ndarray = times.cast(dtype).to_numpy(zero_copy_only=False)
    return numbers


def _microseconds(times: pa.Array) -> pa.Array:
    if pa.types.is_date(times.type):
        times = times.cast(pa.timestamp("us"))
    is_duration = pa.types.is_duration(times.type)
    unit = pa.duration("us") if is_duration else pa.timestamp("us", getattr(times.type, "tz", None))
    return times.cast(unit, safe=False).cast(pa.int64())


def _read(age: Any, is_number: bool) -> float:
    """NaN for what is neither."""
    if _has_no_unit(age) != is_number:
        # pandas would read 7 and "7" as nanoseconds.
        return np.nan
    try:
        return float(age if is_number else pd.Timedelta(age) // pd.Timedelta(microseconds=1))
    except (TypeError, ValueError):
        return np.nan


def _has_no_unit(age: Any) -> bool:
    try:
        float(age)
    except (TypeError, ValueError):
        return False
    return not isinstance(age, np.timedelta64)
