"""What a value of one canonical type reads as in another: row by row, null where it reads as nothing."""

from __future__ import annotations

import decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ._column import is_string, text_of_first
from ._raw_column import finite

_INTEGER_TEXT = r"^[+-]?\d+(\.0*)?$"
_NUMBER_TEXT = r"^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$"
#: A time of day and, behind it, what it is away from UTC.
_OFFSET = r":\d\d(?:\.\d+)?\s?(?P<offset>Z|[+-]\d\d:?(?:\d\d)?)$"
#: Beyond it a double can't hold every integer, so that an integral double need not have been an integer.
LARGEST_EXACT_INTEGER = 2**53
_SECOND = 1_000_000
#: Units of time since 1970, and the largest number that is taken for one of them.
_UNITS = (("s", 1e11), ("ms", 1e14), ("us", 1e17), ("ns", np.inf))


def convert(values: pa.Array, dtype: pa.DataType) -> pa.Array:
    """Values as a canonical type.

    Parameters
    ----------
    values : pyarrow.Array
        Values of a canonical type, or decimals.
    dtype : pyarrow.DataType
        Another one: no list.

    Returns
    -------
    pyarrow.Array
        Values of type `dtype`; null where a value is missing or reads as nothing of this type.

    Raises
    ------
    TypeError
        If the values are lists, or numbers where times are asked for or the other way round.
    ValueError
        If times have a time zone and the type has none, or the other way round.
    """
    if values.type == dtype:
        return values
    if values.null_count == len(values):
        return pa.nulls(len(values), dtype)
    if pa.types.is_large_list(values.type):
        raise TypeError("lists are not single values; name the column in `multi_valued` or `drop`, also in fit.")
    if pa.types.is_boolean(dtype):
        return _as_bools(values)
    if pa.types.is_int64(dtype) or pa.types.is_uint64(dtype):
        return as_integers(values, dtype)
    if pa.types.is_floating(dtype):
        return as_floats(values)
    if pa.types.is_timestamp(dtype):
        return in_zone(as_times(values), dtype.tz).cast(dtype)
    if pa.types.is_date(dtype):
        return in_zone(as_times(values), None).cast(dtype, safe=False)
    if pa.types.is_duration(dtype):
        seconds = as_floats(values)
        return pc.round(pc.multiply(seconds, float(_SECOND))).cast(pa.int64(), safe=False).cast(dtype)
    return as_strings(values)


def _as_bools(values: pa.Array) -> pa.Array:
    numbers = as_integers(values, pa.int64())
    bools = pc.if_else(pc.is_in(numbers, pa.array([0, 1])), numbers, pa.scalar(None, pa.int64())).cast(pa.bool_())
    if not is_string(values.type):
        return bools
    texts = pc.utf8_lower(pc.utf8_trim_whitespace(values))
    return pc.case_when(
        pc.make_struct(pc.fill_null(pc.equal(texts, "true"), False), pc.fill_null(pc.equal(texts, "false"), False)),
        True,
        False,
        bools,
    )


def as_integers(values: pa.Array, dtype: pa.DataType) -> pa.Array:
    """Values as int64 or uint64; null where a value is no such integer."""
    require_no_times(values)
    if is_string(values.type):
        return _parse_integers(values, dtype)
    if pa.types.is_boolean(values.type):
        return values.cast(dtype)
    if pa.types.is_floating(values.type):
        return _whole_numbers(values, dtype)
    if pa.types.is_decimal(values.type):
        return _parse_integers(as_strings(values), dtype)
    limits = np.iinfo(dtype.to_pandas_dtype())
    bounds = np.iinfo(values.type.to_pandas_dtype())
    low, high = (pa.scalar(limit, values.type) for limit in (max(limits.min, bounds.min), min(limits.max, bounds.max)))
    fits = pc.and_(pc.less_equal(low, values), pc.less_equal(values, high))
    return pc.if_else(fits, values, pa.scalar(None, values.type)).cast(dtype)


def _whole_numbers(values: pa.Array, dtype: pa.DataType) -> pa.Array:
    floats = to_numpy(values)
    least = -LARGEST_EXACT_INTEGER if pa.types.is_int64(dtype) else 0
    whole = (floats >= least) & (floats <= LARGEST_EXACT_INTEGER) & (np.floor(floats) == floats)
    return pa.array(np.where(whole, floats, 0).astype(np.int64), dtype, mask=~whole)


def _parse_integers(texts: pa.Array, dtype: pa.DataType) -> pa.Array:
    digits = pc.replace_substring_regex(_parse(texts, _INTEGER_TEXT), r"\.0*$", "")
    negative = pc.starts_with(digits, "-")
    magnitudes = pc.utf8_ltrim(pc.utf8_ltrim(digits, "+-"), "0")
    limits = np.iinfo(dtype.to_pandas_dtype())
    limit = pc.if_else(negative, str(-limits.min), str(limits.max))
    # Numbers without leading zeros are in the order of their lengths, and then of their texts.
    shorter = pc.less(pc.utf8_length(magnitudes), pc.utf8_length(limit))
    as_long = pc.equal(pc.utf8_length(magnitudes), pc.utf8_length(limit))
    fits = pc.or_(shorter, pc.and_(as_long, pc.less_equal(magnitudes, limit.cast(magnitudes.type))))
    signs = pc.if_else(pc.and_(negative, pc.not_equal(magnitudes, "")), "-", "").cast(magnitudes.type)
    magnitudes = pc.if_else(pc.equal(magnitudes, ""), "0", magnitudes)
    numbers = pc.binary_join_element_wise(signs, magnitudes, pa.scalar("", magnitudes.type))
    return pc.if_else(fits, numbers, pa.scalar(None, numbers.type)).cast(dtype)


def as_floats(values: pa.Array) -> pa.Array:
    """Values as doubles, times in seconds; null where a value is no number."""
    dtype = values.type
    if pa.types.is_timestamp(dtype) or pa.types.is_date(dtype):
        return pc.divide(
            values.cast(pa.timestamp("us")).cast(pa.int64()).cast(pa.float64(), safe=False), float(_SECOND)
        )
    if pa.types.is_duration(dtype):
        return pc.divide(values.cast(pa.int64()).cast(pa.float64(), safe=False), float(_SECOND))
    if is_string(dtype):
        return finite(pc.utf8_ltrim(_parse(values, _NUMBER_TEXT), "+").cast(pa.float64()))
    return values.cast(pa.float64(), safe=False)


def to_numpy(values: pa.Array) -> np.ndarray:
    """Doubles as an array, NaN where a value is missing."""
    floats: np.ndarray = values.to_numpy(zero_copy_only=False)
    return floats.astype(np.float64, copy=False)


def _parse(values: pa.Array, pattern: str) -> pa.Array:
    texts = pc.utf8_trim_whitespace(values)
    return pc.if_else(pc.match_substring_regex(texts, pattern), texts, pa.scalar(None, texts.type))


def as_strings(values: pa.Array) -> pa.Array:
    """Values as the text they read as: what is the same number has the same text."""
    dtype = values.type
    if pa.types.is_floating(dtype) or pa.types.is_decimal(dtype):
        distinct = values.dictionary_encode()
        texts = pa.array(map(_text, distinct.dictionary.to_pylist()), pa.large_string())
        return texts.take(distinct.indices)
    if pa.types.is_timestamp(dtype):
        return _text_of_timestamps(values)
    if pa.types.is_duration(dtype):
        return as_strings(as_floats(values))
    return values.cast(pa.large_string())


def _text(number: float | decimal.Decimal | None) -> str | None:
    if number is None:
        return None
    return str(int(number)) if number == int(number) else str(float(number))


def _text_of_timestamps(values: pa.Array) -> pa.Array:
    """Instants in UTC, local times as Python writes them."""
    texts = values.cast(pa.timestamp("us")).cast(pa.large_string())
    texts = pc.replace_substring_regex(texts, r"\.000000$", "")
    if values.type.tz is None:
        return texts
    offset, separator = (pa.scalar(text, texts.type) for text in ("+00:00", ""))
    return pc.binary_join_element_wise(texts, offset, separator)


def as_times(values: pa.Array) -> pa.Array:
    """Values as timestamps or dates; null where a string is no ISO 8601 time."""
    if pa.types.is_timestamp(values.type) or pa.types.is_date(values.type):
        return values
    if values.null_count == len(values):
        return pa.nulls(len(values), pa.timestamp("us"))
    if is_string(values.type):
        return _parse_times(values)
    example = values.drop_null()[0].as_py()
    raise TypeError(
        f"values of type {values.type}, such as {example!r}, are not dates or times. Convert the column first, for "
        f"example with `pandas.to_datetime(X[column], unit={_likely_unit(example)!r})`."
    )


def _likely_unit(number: object) -> str:
    """The unit in which a number of them since 1970 is a date of these decades."""
    size = abs(float(number)) if isinstance(number, int | float) else 0.0
    return next(unit for unit, largest in _UNITS if size < largest)


def _parse_times(texts: pa.Array) -> pa.Array:
    """ISO 8601 text as timestamps; in UTC if offsets differ."""
    offsets = pc.struct_field(pc.extract_regex(texts, _OFFSET), "offset")
    is_aware = offsets.is_valid().to_numpy(zero_copy_only=False)
    if not is_aware.any():
        times = pd.to_datetime(texts.to_pandas(), errors="coerce", format="ISO8601")
        return pa.array(times, from_pandas=True).cast(pa.timestamp("us"), safe=False)
    times = pd.to_datetime(texts.to_pandas().where(is_aware), errors="coerce", format="ISO8601", utc=True)
    naive = pd.to_datetime(texts.to_pandas().mask(is_aware), errors="coerce", format="ISO8601")
    if naive.notna().any():
        raise _two_kinds(texts[int(is_aware.argmax())].as_py(), texts[int(naive.notna().to_numpy().argmax())].as_py())
    zones = pc.unique(pc.replace_substring_regex(offsets.drop_null(), r"^Z$", "+00:00")).to_pylist()
    zone = _with_colon(zones[0]) if len(zones) == 1 else "UTC"
    return pa.array(times, from_pandas=True).cast(pa.timestamp("us", zone), safe=False)


def _with_colon(offset: str) -> str:
    hours, minutes = offset[:3], offset[3:].lstrip(":") or "00"
    return "UTC" if (hours[1:], minutes) == ("00", "00") else f"{hours}:{minutes}"


def _two_kinds(aware: str, naive: str) -> ValueError:
    return ValueError(
        f"it holds times with a time zone and without, such as {aware!r} and {naive!r}. Give all of them a zone, or "
        "none."
    )


def in_zone(times: pa.Array, zone: str | None) -> pa.Array:
    """Timestamps in another time zone."""
    if times.null_count == len(times):
        return pa.nulls(len(times), pa.timestamp("us", zone))
    has_zone = pa.types.is_timestamp(times.type) and times.type.tz is not None
    if has_zone == (zone is not None):
        return times if zone is None else times.cast(pa.timestamp("us", zone))
    example = text_of_first(times)
    if has_zone:
        raise ValueError(
            f"{example!r} has a time zone, where fit saw times without one. Turn the instants into local times, "
            "for example with `X[column].dt.tz_convert(zone).dt.tz_localize(None)`."
        )
    raise ValueError(
        f"{example!r} has no time zone, where fit saw times of the zone {zone!r}. Say where it was measured, for "
        "example with `X[column].dt.tz_localize(zone)`."
    )


def require_no_times(values: pa.Array) -> None:
    """Refuse times where fit saw none."""
    if any(check(values.type) for check in (pa.types.is_timestamp, pa.types.is_date, pa.types.is_duration)):
        raise TypeError(
            f"{text_of_first(values)!r} is a time, where fit saw numbers. Give the column the type that it had in fit."
        )
