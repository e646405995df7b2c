"""How the values of a column are read: decided once, in fit, and the same in every later table.

A code or number of a row follows from its own value and this reading, never from the values beside it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ._column import Column, is_list, is_string, list_lengths, lists_of, text_of_first
from ._conversions import LARGEST_EXACT_INTEGER, as_strings, as_times, convert, in_zone, require_no_times
from ._raw_column import RawColumn

_SPELLINGS_OF_BOOLS = (("false", "true"), ("False", "True"), ("FALSE", "TRUE"))
_LONG_INTEGER_TEXT = r"^-?[1-9]\d{15,}$"
_LENGTH_OF_LONG_INTEGERS = 16
_REFUSALS = {
    "number": "is not a number. Correct the value or make it missing, or take the column as another kind in fit.",
    "ISO 8601 date or time": (
        "is not an ISO 8601 date or time. Convert the column with `pandas.to_datetime`, or make the value missing."
    ),
}


@dataclass(frozen=True)
class Reading:
    """The type as which values, or the elements of lists, are read.

    Parameters
    ----------
    like : pyarrow.DataType
        The canonical type that suits the values of fit.
    type : pyarrow.DataType
        The canonical type that they are given: the same one, or double where they are read as numbers, or large_string
        where they are hashed. A hashed value has the text of what it reads as in the type of fit, if it reads as
        anything.
    lists : bool, default=False
        Whether a row holds several elements. Strings stay whole then, for whoever splits them.
    required : str, default=""
        What every value must be, where another one is an error and not an unknown value.
    exact : bool, default=False
        Whether fit saw integers that a double can't hold, and no doubles.
    texts_of_bools : (str, str), default=("false", "true")
        What False and True read as in text.
    """

    like: pa.DataType
    type: pa.DataType
    lists: bool = False
    required: str = ""
    exact: bool = False
    texts_of_bools: tuple[str, str] = _SPELLINGS_OF_BOOLS[0]

    def read(self, raw: RawColumn) -> Column:
        """The values of any table."""
        return Column(raw.name, raw.read(self._read_part), raw.tally)

    def _read_part(self, values: pa.Array) -> pa.Array:
        if is_list(values.type) and self.lists:
            if values.type.value_type == self.type:
                return values
            elements = self.read_elements(values.flatten())
            return lists_of(elements, list_lengths(values), missing=values.is_null())
        if not self.lists or is_string(self.like):
            return self.read_elements(values)
        if is_string(values.type):
            return values
        return lists_of(self.read_elements(values), np.ones(len(values), int))

    def read_elements(self, values: pa.Array) -> pa.Array:
        """Values of one canonical type, row by row."""
        if self.exact:
            _require_exact(values)
        read = self._convert(values)
        if self.required:
            self._require_read(values, read)
        return read

    def _convert(self, values: pa.Array) -> pa.Array:
        if _is_time(self.type) and self.required:
            return _read_times(values, self.like)
        if pa.types.is_floating(self.type):
            return convert(self._convert_like(values), self.type)
        if not is_string(self.type):
            return convert(values, self.type)
        if is_string(self.like):
            return self._as_text(values)
        return pc.coalesce(as_strings(convert(values, self.like)), self._as_text(values))

    def _convert_like(self, values: pa.Array) -> pa.Array:
        """Values of which the number means what it meant in fit."""
        if _is_time(self.like):
            return convert(values, self.like)
        if not pa.types.is_duration(self.like) and values.null_count < len(values):
            require_no_times(values)
        return values

    def _as_text(self, values: pa.Array) -> pa.Array:
        if pa.types.is_boolean(values.type):
            return pc.if_else(values, *reversed(self.texts_of_bools)).cast(pa.large_string())
        return convert(values, pa.large_string())

    def _require_read(self, values: pa.Array, read: pa.Array) -> None:
        if read.null_count > values.null_count:
            value = values.filter(pc.and_(read.is_null(), values.is_valid()))[0].as_py()
            raise ValueError(f"{value!r} {_REFUSALS[self.required]}")

    def as_numbers(self) -> Reading:
        """Read every value as a double."""
        return replace(self, type=pa.float64(), lists=False, required="number", exact=False)

    def as_vectors(self) -> Reading:
        """Read every element of a list as a double."""
        return replace(self.as_numbers(), lists=True)

    def as_times(self, raw: RawColumn) -> Reading:
        """Read every value as a time, in the zone of fit."""
        parts = _with_values([as_times(part.values) for part in raw.parts])
        dtype = _suitable_type(parts)
        like = pa.null() if parts[0].null_count == len(parts[0]) else dtype
        return Reading(like, dtype, required="ISO 8601 date or time")

    def with_lists(self, lists: bool) -> Reading:
        """Read several elements per row, or refuse them."""
        return replace(self, lists=lists)

    def as_text(self) -> Reading:
        """Read every value as text."""
        return replace(self, type=pa.large_string())


def learn_reading(raw: RawColumn) -> Reading:
    """The reading that suits the values of fit, whatever the kind of the column.

    Parameters
    ----------
    raw : RawColumn
        The column.

    Returns
    -------
    Reading
        It gives all values one canonical type: integers if all of them are whole numbers that a double or an integer
        can hold, and strings if they are of several types.
    """
    parts = [part.values for part in raw.parts]
    lists = [is_list(values.type) for values in parts]
    if any(lists) and not all(lists):
        raise TypeError("it holds lists beside single values. Give each row a list, or none of them.")
    elements = [values.flatten() if is_list(values.type) else values for values in parts]
    elements = _with_values(elements)
    like = _suitable_type(elements)
    return Reading(like, like, lists=any(lists), exact=_need_exact(elements), texts_of_bools=_texts_of_bools(elements))


def _with_values(parts: list[pa.Array]) -> list[pa.Array]:
    return [values for values in parts if values.null_count < len(values)] or parts[:1]


def _suitable_type(parts: list[pa.Array]) -> pa.DataType:
    if all(_is_number(values.type) for values in parts):
        return _suitable_number(parts)
    types = {values.type for values in parts}
    if len(types) == 1:
        return types.pop()
    if all(map(_is_time, types)):
        return _suitable_time(parts)
    return pa.large_string()


def _suitable_number(parts: list[pa.Array]) -> pa.DataType:
    if any(values.null_count < len(values) for values in parts):
        for dtype in (pa.int64(), pa.uint64()):
            if all(convert(values, dtype).null_count == values.null_count for values in parts):
                return dtype
    has_doubles = any(pa.types.is_floating(values.type) for values in parts)
    if has_doubles and not (len(parts) > 1 and any(map(_exceeds_doubles, parts))):
        return pa.float64()
    return pa.large_string() if has_doubles or all(map(_is_whole, parts)) else pa.float64()


def _suitable_time(parts: list[pa.Array]) -> pa.DataType:
    """UTC for instants of several zones."""
    if any(pa.types.is_date(values.type) for values in parts):
        first, second = map(text_of_first, parts[:2])
        raise TypeError(
            f"it holds dates beside times of day, such as {first!r} and {second!r}. Make them one type with "
            "`pandas.to_datetime`."
        )
    for values in parts:
        in_zone(values, parts[0].type.tz)
    return pa.timestamp("us", "UTC")


def _is_number(dtype: pa.DataType) -> bool:
    return any(check(dtype) for check in (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal))


def _is_time(dtype: pa.DataType) -> bool:
    return any(check(dtype) for check in (pa.types.is_timestamp, pa.types.is_date))


def _is_whole(values: pa.Array) -> bool:
    if pa.types.is_integer(values.type):
        return True
    # The precision must leave room for rounding.
    values = values.cast(pa.decimal256(76, values.type.scale))
    return bool(pc.all(pc.equal(pc.floor(values), values)).as_py())


def _read_times(values: pa.Array, dtype: pa.DataType) -> pa.Array:
    """Times in the zone of fit; dates stay dates, since they have no time of day."""
    times = as_times(values)
    if pa.types.is_null(dtype):
        # Where fit saw no time, it saw no zone either.
        return times.cast(pa.timestamp("us"))
    return times if pa.types.is_date(times.type) else convert(times, dtype)


def _need_exact(parts: list[pa.Array]) -> bool:
    has_doubles = any(pa.types.is_floating(values.type) for values in parts)
    return not has_doubles and any(map(_exceeds_doubles, parts))


def _exceeds_doubles(values: pa.Array) -> bool:
    """Whether there are integers that a double can't hold."""
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


def _texts_of_bools(parts: list[pa.Array]) -> tuple[str, str]:
    """How strings of fit spell bools."""
    words = pa.array(chain.from_iterable(_SPELLINGS_OF_BOOLS), pa.large_string())
    texts = [_short(values) for values in parts if is_string(values.type)]
    found = {word for values in texts for word in values.filter(pc.is_in(values, words)).unique().to_pylist()}
    return next((spelling for spelling in _SPELLINGS_OF_BOOLS if found.intersection(spelling)), _SPELLINGS_OF_BOOLS[0])


def _short(texts: pa.Array) -> pa.Array:
    """Texts that are as short as "false": looking for words among all of them would cost more."""
    return texts.filter(pc.less_equal(pc.binary_length(texts), len("false")))
