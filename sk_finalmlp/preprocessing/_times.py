"""Times of rows, read in one way wherever they are needed, and what follows from them: order, ages and weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from .._checks import errors_about
from .._warnings import shown, warn
from ._column import is_number, is_string, read_column
from ._order import ToldOrder
from ._reading import as_floats, as_times, learn_reading
from ._table import position_for, raw_columns
from ._target import effective_n_rows

#: A date of ISO 8601 in its basic form, which reads as a number, too.
_BASIC_DATE = r"^\s*\d{8}\s*$"
#: Half-lives after which a row counts next to nothing; weight 0 would mean that it isn't there.
_OLDEST = 60.0
#: Rows that count as fewer than both, by their effective number, hint at a wrong clock.
_FEW_ROWS, _SMALL_SHARE = 100, 0.01


def read_times(values: pa.Array, parameter: str) -> pa.Array:
    """Read values as numbers or times, null where missing; 20240131 in text is a date if all of it is so."""
    if is_string(values.type):
        return _read_text(values)
    if pa.types.is_decimal(values.type):
        return values.cast(pa.float64(), safe=False)
    if not (is_number(values.type) or pa.types.is_temporal(values.type) or pa.types.is_null(values.type)):
        raise TypeError(f"it has no order in time, so `{parameter}` can't go by it. Give dates, times or numbers.")
    return values


def _read_column(X: Any, names: Sequence[str], name: str, parameter: str) -> pa.Array:
    return _read_raw(name, next(islice(raw_columns(X), list(names).index(name), None)), parameter)


def _read_raw(name: str, values: Any, parameter: str) -> pa.Array:
    raw = read_column(name, values)
    with errors_about(f"Column {name!r}"):
        return read_times(learn_reading(raw).read(raw).values, parameter)


def _read_text(texts: pa.Array) -> pa.Array:
    numbers = as_floats(texts)
    if numbers.null_count == texts.null_count:
        if not pc.all(pc.match_substring_regex(texts, _BASIC_DATE), min_count=0).as_py():
            return numbers
        dates = as_times(texts)
        return dates if dates.null_count == texts.null_count else numbers
    return _read_dates(texts)


def _read_dates(texts: pa.Array) -> pa.Array:
    times = as_times(texts)
    if times.null_count > texts.null_count:
        unread = texts.filter(pc.and_(times.is_null(), texts.is_valid()))[0].as_py()
        raise ValueError(
            f"{shown(unread)} is not an ISO 8601 date or time. Convert the column with `pandas.to_datetime` "
            "and its `format`, without which it may take 05.12. for May 12."
        )
    return times


def as_numbers(times: pa.Array) -> np.ndarray:
    """Numbers as they are, other times in microseconds, NaN if missing; else integers stay, too large for floats."""
    if pa.types.is_date(times.type):
        times = times.cast(pa.timestamp("us"))
    if not is_number(times.type):
        is_duration, zone = pa.types.is_duration(times.type), getattr(times.type, "tz", None)
        times = times.cast(pa.duration("us") if is_duration else pa.timestamp("us", zone), safe=False).cast(pa.int64())
    dtype = pa.float64() if pa.types.is_floating(times.type) else pa.int64()
    return times.cast(dtype).to_numpy(zero_copy_only=False)


def read_age(where: str, age: Any, is_number: bool) -> float:
    """An age as a user writes it, as a number in the units of the column, or in microseconds."""
    read = np.nan
    # pandas would read 7 and "7" as nanoseconds.
    if has_no_unit(age) == is_number:
        with suppress(TypeError, ValueError):
            read = float(age if is_number else pd.Timedelta(age) // pd.Timedelta(microseconds=1))
    if not 0 < read < np.inf:
        of_number, of_time = "a number, such as 7, in the units of the column", "with a unit, such as '7D' or '12h'"
        raise ValueError(f"{where}: the age must be positive, and {of_number if is_number else of_time}.")
    return read


def has_no_unit(age: Any) -> bool:
    """Whether an age is a plain number."""
    try:
        float(age)
    except (TypeError, ValueError):
        return False
    return not isinstance(age, np.timedelta64)


def times_of(told: ToldOrder, X: Any, names: Sequence[str]) -> np.ndarray:
    """Return the times of the rows by the column that tells their order; a missing one comes first."""
    check_tells_order(told, names)
    position = list(names).index(told.column)  # type: ignore[arg-type]
    return read_order(told, next(islice(raw_columns(X), position, None)))


def read_order(told: ToldOrder, values: Any) -> np.ndarray:
    """Return the times of a raw column that tells the order; a missing one comes first."""
    assert told.column is not None
    times = as_numbers(_read_raw(told.column, values, told.parameter))
    return np.nan_to_num(times, nan=-np.inf, posinf=np.inf, neginf=-np.inf)


def check_tells_order(told: ToldOrder, names: Sequence[str]) -> None:
    """Refuse what is no column."""
    if told.column not in names:
        words = "'random' nor 'last'" if told.parameter == "hold_out" else "'auto' nor 'rows'"
        raise ValueError(
            f"{told.parameter}={told.column!r} is neither {words} nor a column of times. The columns are {list(names)}."
        )


def weights_by_age(
    half_life: Mapping[Any, Any], X: Any, names: Sequence[str], weights: np.ndarray | None
) -> np.ndarray:
    """Weights of rows by `half_life`, a column and an age: 1 for the last row, least without a time."""
    if len(half_life) != 1:
        raise ValueError(
            f"half_life={dict(half_life)!r} must name one column of times, such as half_life={{'time': '7D'}}."
        )
    ((column, age),) = half_life.items()
    position = position_for("half_life", column, names)
    times = _read_column(X, names, names[position], "half_life")
    half = read_age(f"half_life={dict(half_life)!r}", age, is_number(times.type))
    weights = np.ones(len(times)) if weights is None else weights
    numbers = as_numbers(times).astype(np.float64, copy=False)
    dated = np.flatnonzero((weights > 0) & ~np.isnan(numbers))
    if not len(dated):
        return np.ones(len(times))
    last = dated[np.argmax(numbers[dated])]
    ages = np.maximum(numbers[last] - numbers, 0.0)
    ages = np.where(np.isnan(ages), np.nanmax(ages), ages)
    shares: np.ndarray = np.exp2(-np.minimum(ages / half, _OLDEST))
    _check_many_count(shares * weights, dict(half_life), names[position], times[int(last)].as_py())
    return shares


def _check_many_count(weights: np.ndarray, half_life: Any, column: str, last: Any) -> None:
    """Warn where one late row takes the weight of all others."""
    effective = effective_n_rows(weights)
    if effective < min(_FEW_ROWS, _SMALL_SHARE * np.count_nonzero(weights)):
        warn(
            f"half_life={half_life!r}: the last time in column {column!r}, {last}, is so much later than others that "
            f"all rows together count as {effective:.1f} of equal weight. Leave out rows with a wrong time, or give a "
            "longer half-life."
        )
