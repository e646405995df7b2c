"""How the values of a column are read: decided once, in fit, row by row, never by the values beside one."""

from __future__ import annotations

import decimal
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from .._warnings import shown
from ._column import (
    Column,
    RawColumn,
    finite,
    is_all_missing,
    is_list,
    is_number,
    is_string,
    is_time,
    list_lengths,
    lists_of,
    show_first,
    with_values,
)

_INTEGER_TEXT = r"^[+-]?\d+(\.0*)?$"
_NUMBER_TEXT = r"^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$"
#: A time of day, in the extended or the basic form of ISO 8601, and behind it what it is away from UTC.
_OFFSET = r"[T ]\d\d(?::?\d\d(?::?\d\d(?:[.,]\d+)?)?)?\s?(?P<offset>Z|[+-]\d\d:?(?:\d\d)?)$"
#: Words for the current time, years before Christ, and one digit of an offset, which pandas subtracts and forgets.
_OTHER_FORMS = r"^(now|today|\s*-.*|.*[T ].*[+-]\d)$"
#: Beyond it a double can't hold every integer, so that an integral double need not have been an integer.
LARGEST_EXACT_INTEGER = 2**53
_SECOND = 1_000_000
#: Units of time since 1970, and the largest number that is taken for one of them.
_UNITS = (("s", 1e11), ("ms", 1e14), ("us", 1e17), ("ns", np.inf))


def convert(values: pa.Array, dtype: pa.DataType) -> pa.Array:
    """Return values as a canonical type."""
    if values.type == dtype:
        return values
    if is_all_missing(values):
        return pa.nulls(len(values), dtype)
    if pa.types.is_large_list(values.type):
        raise TypeError(
            f"{show_first(values)} is a list, where single values are expected. Name it in `multi_valued` or `drop`, "
            "also in fit."
        )
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
    words = pc.if_else(pc.is_in(texts, pa.array(["true", "false"], texts.type)), pc.equal(texts, "true"), None)
    return pc.coalesce(bools, words)


def as_integers(values: pa.Array, dtype: pa.DataType) -> pa.Array:
    """Return values as int64 or uint64; null where a value is no such integer."""
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
    floats = values.to_numpy(zero_copy_only=False)
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
    """Return values as doubles, times in seconds; null where a value is no number."""
    dtype = values.type
    if is_time(dtype):
        values = values.cast(pa.timestamp("us"))
    if pa.types.is_temporal(dtype):
        return pc.divide(values.cast(pa.int64()).cast(pa.float64(), safe=False), float(_SECOND))
    if is_string(dtype):
        return finite(pc.utf8_ltrim(_parse(values, _NUMBER_TEXT), "+").cast(pa.float64()))
    return values.cast(pa.float64(), safe=False)


def _parse(values: pa.Array, pattern: str) -> pa.Array:
    texts = pc.utf8_trim_whitespace(values)
    return pc.if_else(pc.match_substring_regex(texts, pattern), texts, pa.scalar(None, texts.type))


def as_strings(values: pa.Array) -> pa.Array:
    """Return values as canonical text: equal numbers have equal text."""
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
    """Return instants in UTC, local times as Python writes them."""
    texts = values.cast(pa.timestamp("us")).cast(pa.large_string())
    texts = pc.replace_substring_regex(texts, r"\.000000$", "")
    if values.type.tz is None:
        return texts
    offset, separator = (pa.scalar(text, texts.type) for text in ("+00:00", ""))
    return pc.binary_join_element_wise(texts, offset, separator)


def as_times(values: pa.Array) -> pa.Array:
    """Return values as timestamps or dates; null where a string is no ISO 8601 time."""
    if is_time(values.type):
        return values
    if is_all_missing(values):
        return pa.nulls(len(values), pa.timestamp("us"))
    if is_string(values.type):
        return _parse_times(values)
    example = values.drop_null()[0].as_py()
    raise TypeError(
        f"values of type {values.type}, such as {shown(example)}, are not dates or times. Convert the column first, "
        f"for example with `pandas.to_datetime(X[column], unit={_likely_unit(example)!r})`."
    )


def _likely_unit(number: object) -> str:
    """Return the unit that makes a number since 1970 a date of these decades."""
    size = abs(float(number)) if isinstance(number, int | float) else 0.0
    return next(unit for unit, largest in _UNITS if size < largest)


def _parse_times(texts: pa.Array) -> pa.Array:
    """Return ISO 8601 text as timestamps; in UTC if offsets differ."""
    texts = _without_other_forms(texts)
    if pc.any(pc.match_substring(texts, ".")).as_py():
        # pandas refuses distant years next to nanoseconds.
        texts = pc.replace_substring_regex(texts, r"(\.\d{6})\d+", r"\1")
    offsets = pc.struct_field(pc.extract_regex(texts, _OFFSET), "offset")
    is_aware = offsets.is_valid().to_numpy(zero_copy_only=False)
    if not is_aware.any():
        times = pd.to_datetime(texts.to_pandas(), errors="coerce", format="ISO8601")
        return pa.array(times, from_pandas=True).cast(pa.timestamp("us"), safe=False)
    times = pd.to_datetime(texts.to_pandas().where(is_aware), errors="coerce", format="ISO8601", utc=True)
    naive = pd.to_datetime(texts.to_pandas().mask(is_aware), errors="coerce", format="ISO8601")
    if naive.notna().any():
        first, other = (texts[int(mask.argmax())].as_py() for mask in (is_aware, naive.notna().to_numpy()))
        raise ValueError(
            f"it holds times with a time zone and without, such as {shown(first)} and {shown(other)}. Give all of them "
            "a zone, or none."
        )
    zones = pc.unique(pc.replace_substring_regex(offsets.drop_null(), r"^Z$", "+00:00")).to_pylist()
    zone = _with_colon(zones[0]) if len(zones) == 1 else "UTC"
    return pa.array(times, from_pandas=True).cast(pa.timestamp("us", zone), safe=False)


def _without_other_forms(texts: pa.Array) -> pa.Array:
    """Return texts without those that pandas takes for times although they aren't ISO 8601."""
    return pc.if_else(pc.match_substring_regex(texts, _OTHER_FORMS), pa.scalar(None, texts.type), texts)


def _with_colon(offset: str) -> str:
    hours, minutes = offset[:3], offset[3:].lstrip(":") or "00"
    return "UTC" if (hours[1:], minutes) == ("00", "00") else f"{hours}:{minutes}"


def in_zone(times: pa.Array, zone: str | None) -> pa.Array:
    """Return timestamps in another time zone."""
    if is_all_missing(times):
        return pa.nulls(len(times), pa.timestamp("us", zone))
    has_zone = getattr(times.type, "tz", None) is not None
    if has_zone == (zone is not None):
        return times if zone is None else times.cast(pa.timestamp("us", zone))
    example = show_first(times)
    if has_zone:
        raise ValueError(
            f"{example} has a time zone, where fit saw times without one. Turn the instants into local times, "
            "for example with `X[column].dt.tz_convert(zone).dt.tz_localize(None)`."
        )
    raise ValueError(
        f"{example} has no time zone, where fit saw times of the zone {zone!r}. Say where it was measured, for "
        "example with `X[column].dt.tz_localize(zone)`."
    )


def require_no_times(values: pa.Array) -> None:
    """Refuse times where fit saw none."""
    if pa.types.is_temporal(values.type):
        raise TypeError(
            f"{show_first(values)} is a time, where fit saw numbers. Give the column the type that it had in fit."
        )


_SPELLINGS_OF_BOOLS = (("false", "true"), ("False", "True"), ("FALSE", "TRUE"))
_LONG_INTEGER_TEXT = r"^-?[1-9]\d{15,}$"
_LENGTH_OF_LONG_INTEGERS = 16
_REFUSALS = {
    "number": "is not a number. Correct the value or make it missing, or take the column as another kind in fit.",
    "ISO 8601 date or time": (
        "is not an ISO 8601 date or time. Convert the column with `pandas.to_datetime` and its `format`, without which "
        "it may take 05.12. for May 12, or make the value missing."
    ),
}


@dataclass(frozen=True)
class Reading:
    """The type as which values, or the elements of lists, are read."""

    like: pa.DataType
    type: pa.DataType
    lists: bool = False
    required: str = ""
    exact: bool = False
    texts_of_bools: tuple[str, str] = _SPELLINGS_OF_BOOLS[0]

    def read(self, raw: RawColumn) -> Column:
        """Return the values of any table, each type read row by row."""
        arrays = [self._read_array(values) for values in raw.arrays]
        if len({values.type for values in arrays}) > 1:
            first, second = map(show_first, arrays[:2])
            raise TypeError(f"it holds {first} beside {second}, which can't be read alike. Give it a single type.")
        return Column(raw.name, pc.coalesce(*arrays) if len(arrays) > 1 else arrays[0], raw.tally)

    def _read_array(self, values: pa.Array) -> pa.Array:
        if is_list(values.type) and self.lists:
            if values.type.value_type == self.type:
                return values
            elements = self.read_elements(values.flatten())
            return lists_of(elements, list_lengths(values), missing=values.is_null())
        if not self.lists or is_string(self.like):
            return self.read_elements(values)
        if is_string(values.type):
            return values
        return lists_of(self.read_elements(values), np.ones(len(values), int), missing=values.is_null())

    def read_elements(self, values: pa.Array) -> pa.Array:
        """Return values of one canonical type, row by row."""
        if self.exact:
            _require_exact(values)
        read = self._convert(values)
        if self.required and read.null_count > values.null_count:
            value = values.filter(pc.and_(read.is_null(), values.is_valid()))[0].as_py()
            raise ValueError(f"{shown(value)} {_REFUSALS[self.required]}")
        return read

    def _convert(self, values: pa.Array) -> pa.Array:
        if is_time(self.type) and self.required:
            return _read_times(values, self.like)
        if pa.types.is_floating(self.type):
            # The number means what it meant in fit.
            if is_time(self.like):
                values = convert(values, self.like)
            elif not is_all_missing(values) and not (values.type == self.like and pa.types.is_duration(self.like)):
                require_no_times(values)
            return convert(values, self.type)
        if not is_string(self.type):
            return convert(values, self.type)
        if is_string(self.like):
            return self._as_text(values)
        return pc.coalesce(as_strings(convert(values, self.like)), self._as_text(values))

    def _as_text(self, values: pa.Array) -> pa.Array:
        if pa.types.is_boolean(values.type):
            return pc.if_else(values, *reversed(self.texts_of_bools)).cast(pa.large_string())
        return convert(values, pa.large_string())

    def as_numbers(self) -> Reading:
        """Read every value as a double."""
        return replace(self, type=pa.float64(), lists=False, required="number", exact=False)

    def as_times(self, raw: RawColumn) -> Reading:
        """Read every value as a time, in the zone of fit."""
        arrays = with_values([as_times(values) for values in raw.arrays])
        dtype = _suitable_type(arrays)
        like = pa.null() if is_all_missing(arrays[0]) else dtype
        return Reading(like, dtype, required="ISO 8601 date or time")


def learn_reading(raw: RawColumn) -> Reading:
    """Return the reading that suits the values of fit, whatever the kind of the column."""
    lists = [is_list(values.type) for values in raw.arrays]
    if any(lists) and not all(lists):
        raise TypeError("it holds lists beside single values. Give each row a list, or none of them.")
    elements = with_values([values.flatten() if any(lists) else values for values in raw.arrays])
    like = _suitable_type(elements)
    has_doubles = any(pa.types.is_floating(values.type) for values in elements)
    exact = not has_doubles and any(map(_exceeds_doubles, elements))
    return Reading(like, like, lists=any(lists), exact=exact, texts_of_bools=_texts_of_bools(elements))


def _suitable_type(arrays: Sequence[pa.Array]) -> pa.DataType:
    if all(is_number(values.type) or pa.types.is_decimal(values.type) for values in arrays):
        return _suitable_number(arrays)
    types = {values.type for values in arrays}
    if len(types) == 1:
        return types.pop()
    if all(map(is_time, types)):
        return _suitable_time(arrays)
    return pa.large_string()


def _suitable_number(arrays: Sequence[pa.Array]) -> pa.DataType:
    if not is_all_missing(arrays[0]):
        for dtype in (pa.int64(), pa.uint64()):
            if all(convert(values, dtype).null_count == values.null_count for values in arrays):
                return dtype
    has_doubles = any(pa.types.is_floating(values.type) for values in arrays)
    if has_doubles and not (len(arrays) > 1 and any(map(_exceeds_doubles, arrays))):
        return pa.float64()
    return pa.large_string() if has_doubles or all(map(_is_whole, arrays)) else pa.float64()


def _suitable_time(arrays: Sequence[pa.Array]) -> pa.DataType:
    """Return the type of times of one zone, UTC for instants of several zones."""
    if any(pa.types.is_date(values.type) for values in arrays):
        first, second = map(show_first, arrays[:2])
        raise TypeError(
            f"it holds dates beside times of day, such as {first} and {second}. Make them one type with "
            "`pandas.to_datetime`."
        )
    for values in arrays:
        in_zone(values, arrays[0].type.tz)
    return pa.timestamp("us", "UTC")


def _is_whole(values: pa.Array) -> bool:
    if pa.types.is_integer(values.type):
        return True
    # The precision must leave room for rounding.
    values = values.cast(pa.decimal256(76, values.type.scale))
    return bool(pc.all(pc.equal(pc.floor(values), values)).as_py())


def _read_times(values: pa.Array, dtype: pa.DataType) -> pa.Array:
    """Return times in the zone of fit; dates stay dates, since they have no time of day."""
    times = as_times(values)
    if pa.types.is_null(dtype):
        # Where fit saw no time, it saw no zone either.
        return times.cast(pa.timestamp("us"))
    return times if pa.types.is_date(times.type) else convert(times, dtype)


def _exceeds_doubles(values: pa.Array) -> bool:
    """Return whether there are integers that a double can't hold."""
    if pa.types.is_integer(values.type):
        least, largest = (limit.as_py() or 0 for limit in pc.min_max(values).values())
        return bool(max(-least, largest) > LARGEST_EXACT_INTEGER)
    if is_string(values.type):
        long = values.filter(pc.greater_equal(pc.binary_length(values), _LENGTH_OF_LONG_INTEGERS))
        return bool(pc.any(pc.match_substring_regex(long, _LONG_INTEGER_TEXT)).as_py())
    return False


def _require_exact(values: pa.Array) -> None:
    if not pa.types.is_floating(values.type):
        return
    rounded = values.filter(pc.greater(pc.abs(values), float(LARGEST_EXACT_INTEGER)))
    if len(rounded):
        raise ValueError(
            f"{rounded[0].as_py()!r} is a float, and floats beyond 2**53 are rounded, where fit saw integers of that "
            "size. Keep them as integers where values are missing, for example with "
            "`X[column].astype('Int64')` as soon as the table is read, or as strings."
        )


def _texts_of_bools(arrays: Sequence[pa.Array]) -> tuple[str, str]:
    """Return how strings of fit spell bools."""
    words = pa.array(chain.from_iterable(_SPELLINGS_OF_BOOLS), pa.large_string())
    texts = [values for values in arrays if is_string(values.type)]
    # Looking for words among long texts, too, would cost more.
    short = [values.filter(pc.less_equal(pc.binary_length(values), len("false"))) for values in texts]
    found = {word for values in short for word in values.filter(pc.is_in(values, words)).unique().to_pylist()}
    return next((spelling for spelling in _SPELLINGS_OF_BOOLS if found.intersection(spelling)), _SPELLINGS_OF_BOOLS[0])
