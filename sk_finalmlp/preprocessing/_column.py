"""Columns: of any container as Arrow arrays, one for each type, and as they are read, of one canonical type."""

from __future__ import annotations

import datetime
import decimal
import numbers
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any, Self, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from .._warnings import shown
from ..schema import UNKNOWN_CODE

_STRINGS = {dtype.id for dtype in (pa.large_string(), pa.string(), pa.string_view())}
_READ_AS_STRINGS = _STRINGS | {dtype.id for dtype in (pa.binary(), pa.large_binary(), pa.null())}
_LISTS = {make(pa.null()).id for make in (pa.list_, pa.large_list, pa.list_view, pa.large_list_view)}
_LISTS.add(pa.list_(pa.null(), 1).id)


@dataclass(frozen=True)
class Tally:
    """Which rows the values of a short column stand for, where it is learned from instead of a long one."""

    repeats: np.ndarray
    n_rows: int
    n_missing: int
    #: Number of elements of the longest list, missing ones among them.
    longest: int = 0


class Column:
    """A named column in canonical form."""

    def __init__(self, name: str, values: pa.Array, tally: Tally | None = None) -> None:
        self.name = name
        self.values = values
        self.tally = tally
        self.n_missing: int = values.null_count if tally is None else tally.n_missing
        #: Number of rows that each value stands for; None for one.
        self.repeats = None if tally is None else tally.repeats

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.values) if self.tally is None else self.tally.n_rows

    @cached_property
    def dictionary(self) -> pa.DictionaryArray:
        """The distinct values and, for each row, which of them it holds."""
        return self.values.dictionary_encode()

    @cached_property
    def elements(self) -> Column:
        """The elements of lists, one after the other."""
        return Column(self.name, self.values.flatten())

    @cached_property
    def floats(self) -> np.ndarray:
        """Numbers, or microseconds since 1970, as doubles; NaN where a value is missing."""
        values = self.values
        if is_time(values.type):
            values = values.cast(pa.timestamp("us", getattr(values.type, "tz", None))).cast(pa.int64())
        floats: np.ndarray = values.to_numpy(zero_copy_only=False)
        return floats.astype(np.float64, copy=False)

    def codes(self, encode: Callable[[pa.Array], np.ndarray]) -> np.ndarray:
        """Return the codes of values, of the distinct ones alone where these are known already."""
        if "dictionary" not in vars(self):
            return encode(self.values)
        of_distinct = np.append(encode(self.dictionary.dictionary), UNKNOWN_CODE)
        rows: np.ndarray = self.dictionary.indices.fill_null(len(of_distinct) - 1).to_numpy()
        return of_distinct.take(rows)

    def with_values(self, values: pa.Array) -> Column:
        """Return other values of the same rows."""
        return self if values is self.values else Column(self.name, values, self.tally)

    def filter(self, rows: np.ndarray) -> Self:
        """Return the column of some of the rows, given by a mask."""
        return type(self)(self.name, self.values.filter(pa.array(rows)))


_AnyColumn = TypeVar("_AnyColumn", "Column", "RawColumn")


def rows_with_weight(column: _AnyColumn, weights: np.ndarray | None) -> tuple[_AnyColumn, np.ndarray | None]:
    """Return column and weights of the rows with weight: others count as absent in fit."""
    if weights is None or weights.all():
        return column, weights
    return column.filter(weights > 0), weights[weights > 0]


def is_string(dtype: pa.DataType) -> bool:
    """Return whether values of this type are strings."""
    return dtype.id in _STRINGS


def is_number(dtype: pa.DataType) -> bool:
    """Return whether values of this type are integers or floats."""
    return bool(pa.types.is_integer(dtype) or pa.types.is_floating(dtype))


def is_time(dtype: pa.DataType) -> bool:
    """Return whether values of this type are points in time: dates or timestamps."""
    return bool(pa.types.is_timestamp(dtype) or pa.types.is_date(dtype))


def is_list(dtype: pa.DataType) -> bool:
    """Return whether values of this type are lists."""
    return dtype.id in _LISTS


def is_all_missing(values: pa.Array) -> bool:
    """Return whether no value is present."""
    return values.null_count == len(values)


def with_values(arrays: Sequence[pa.Array]) -> Sequence[pa.Array]:
    """Return the arrays that hold any value, the first if none does."""
    return [values for values in arrays if not is_all_missing(values)] or arrays[:1]


def lists_of(elements: pa.Array, lengths: np.ndarray, missing: pa.Array | None = None) -> pa.LargeListArray:
    """Return lists of the given lengths, filled with the elements in order."""
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int64())
    return pa.LargeListArray.from_arrays(offsets, elements, mask=missing)


def list_lengths(lists: pa.Array) -> np.ndarray:
    """Return the number of elements of each list, 0 for a missing one."""
    return pc.fill_null(pc.list_value_length(lists), 0).to_numpy().astype(np.int64)


def list_rows(lists: pa.Array) -> np.ndarray:
    """Return the row of each element of lists."""
    return np.repeat(np.arange(len(lists)), list_lengths(lists))


def show_first(values: pa.Array) -> str:
    """Return the first value that is present, for messages; Arrow has times that Python lacks."""
    first = values.drop_null()[0]
    try:
        value = first.as_py()
    except OverflowError:
        value = first.cast(pa.large_string()).as_py()
    return shown(value if isinstance(value, list) else str(value))


#: Types of objects, the first of those that fit; a bool is an integer to Python, a datetime a date, and to NumPy a
#: duration is an integer.
_TYPES: dict[str, tuple[type, ...]] = {
    "missing": (type(None), type(pd.NA), type(pd.NaT)),
    "bool": (bool, np.bool_),
    "duration": (datetime.timedelta, np.timedelta64),
    "integer": (numbers.Integral,),
    "float": (float, np.float32, np.float16),
    "decimal": (decimal.Decimal,),
    "number": (numbers.Real,),
    "text": (str,),
    "bytes": (bytes,),
    "id": (uuid.UUID,),
    "datetime": (datetime.datetime, np.datetime64),
    "date": (datetime.date,),
    "time": (datetime.time,),
    "list": (list, tuple, np.ndarray),
}
_WITH_NAN = (float, np.generic)
_LARGEST_INT64 = np.iinfo(np.int64).max
_FIRST_BEYOND_ASCII = 128
#: Arrow looks at fewer one by one in less time.
_FEW_TEXTS = 64


def one_after_another(arrays: Sequence[pa.Array]) -> list[pa.Array]:
    """Return arrays of different types as long as all of them together, each with its values where they come."""
    ends = np.cumsum(list(map(len, arrays)))
    return [
        pa.concat_arrays([pa.nulls(end - len(own), own.type), own, pa.nulls(ends[-1] - end, own.type)])
        for own, end in zip(arrays, ends.tolist(), strict=True)
    ]


class RawColumn:
    """A named column, not yet read as any type: an array for each type, missing where a value is of another one."""

    def __init__(self, name: str, arrays: Sequence[pa.Array], tally: Tally | None = None) -> None:
        self.name = name
        self.arrays = arrays
        self.tally = tally

    def __len__(self) -> int:
        return len(self.arrays[0])

    @property
    def n_present(self) -> int:
        """Number of values that aren't missing."""
        return sum(len(values) - values.null_count for values in self.arrays)

    def filter(self, rows: np.ndarray) -> Self:
        """Return the column of some of the rows, given by a mask; a type without any of them doesn't count."""
        return type(self)(self.name, with_values([values.filter(pa.array(rows)) for values in self.arrays]))

    def of_type(self, dtype: pa.DataType) -> pa.Array:
        """Return the values of one type."""
        return pc.coalesce(*(values for values in self.arrays if values.type == dtype), pa.nulls(len(self), dtype))


def read_column(name: str, raw: Any) -> RawColumn:
    """Bring a Series or array of any library to Arrow arrays."""
    try:
        return RawColumn(name, list(map(_canonical, _arrays_of(raw))))
    except UnicodeEncodeError as error:
        raise ValueError(
            f"Column {name!r} holds {shown(error.object)}, which is not valid text: {error.reason}. Replace "
            "such characters, for example by `value.encode('utf-8', 'replace').decode()`."
        ) from error
    except (pa.ArrowException, OverflowError) as error:
        raise TypeError(
            f"Column {name!r} can't be encoded: {_unsupported(f'Arrow says of it: {str(error)[:200]}')}"
        ) from error
    except TypeError as error:
        raise TypeError(f"Column {name!r} can't be encoded: {error}") from error


def mark_missing(name: str, raw: Any) -> RawColumn:
    """Return a column of anything as one that only says which values are missing."""
    if isinstance(raw, pa.Array | pa.ChunkedArray):
        missing = np.asarray(raw.is_null(nan_is_null=True))
    else:
        missing = np.array(list(map(_is_missing, raw))) if raw.dtype == object else np.asarray(pd.isna(raw))
    return RawColumn(name, [pa.array(np.zeros(len(missing), bool), mask=missing)])


def _arrays_of(raw: Any) -> list[pa.Array | pa.ChunkedArray]:
    if isinstance(raw, pa.Array | pa.ChunkedArray):
        return [raw]
    if isinstance(raw.dtype, pd.CategoricalDtype) and raw.dtype.categories.dtype == object:
        raw = raw.astype(object)
    return _arrays_of_objects(np.asarray(raw)) if raw.dtype == object else [_to_arrow(raw)]


def _to_arrow(raw: Any) -> pa.Array:
    if isinstance(raw, pd.Series):
        # Arrow asks a Series for attributes that it lacks, which takes longer than to read a few rows.
        raw = raw.to_numpy() if isinstance(raw.dtype, np.dtype) else raw.array
    if isinstance(raw, pd.arrays.SparseArray):
        raw = raw.to_dense()
    if isinstance(raw, pd.arrays.PeriodArray):
        raise _stranger(raw[0] if len(raw) else pd.NaT)
    if isinstance(raw.dtype, np.dtype):
        raw = np.asarray(raw)
        if raw.dtype.kind == "c":
            raise TypeError(_unsupported("it holds complex numbers"))
        if raw.dtype == np.longdouble:
            raw = raw.astype(np.float64)
        if raw.dtype.kind in "SU":
            # Arrow ends the text of such an array at its first NUL.
            raw = raw.astype(object)
        raw = np.ascontiguousarray(raw, raw.dtype.newbyteorder("="))
    return pa.array(raw, from_pandas=True)


def _arrays_of_objects(objects: np.ndarray) -> list[pa.Array]:
    group_of = {kind: _group(kind) for kind in set(map(type, objects))}
    groups = set(group_of.values()) - {"missing"}
    if len(groups) <= 1:
        return _arrays_of_group(next(iter(groups), "missing"), objects)
    # Decimals and other objects of any group can be missing, too.
    group_of_row = np.array(["missing" if _is_missing(value) else group_of[type(value)] for value in objects])
    rows_of = {group: group_of_row == group for group in sorted(set(group_of_row) - {"missing"}) or ["float"]}
    return [
        _place(values, rows) for group, rows in rows_of.items() for values in _arrays_of_group(group, objects[rows])
    ]


def _group(kind: type) -> str:
    return next((group for group, kinds in _TYPES.items() if issubclass(kind, kinds)), "stranger")


def _is_missing(value: Any) -> bool:
    if value is None or value is pd.NA or value is pd.NaT:
        return True
    # A signalling NaN of a decimal can't be compared.
    return value.is_nan() if isinstance(value, decimal.Decimal) else isinstance(value, _WITH_NAN) and value != value


def _arrays_of_group(group: str, objects: np.ndarray) -> list[pa.Array]:
    """Return objects of one group, in an array for each type of Arrow that they need."""
    if group == "stranger":
        raise _stranger(next(value for value in objects if _group(type(value)) == group))
    return _READERS[group](objects) if group in _READERS else [pa.array(objects, from_pandas=True)]


def _map_to_arrow(objects: Iterable[Any], function: Callable[[Any], Any], dtype: pa.DataType) -> pa.Array:
    return pa.array([None if _is_missing(value) else function(value) for value in objects], dtype)


def _place(values: pa.Array, rows: np.ndarray) -> pa.Array:
    """Return values at the rows of a mask, missing at others."""
    return values.take(pa.array(np.cumsum(rows) - 1, mask=~rows))


def _split(
    objects: np.ndarray, type_of: Callable[[Any], str], to_arrow: Callable[[str, np.ndarray], pa.Array]
) -> list[pa.Array]:
    """Return an array for each type, for rows without weight, left out later, must not decide what the others are."""
    types = np.array([None if _is_missing(value) else type_of(value) for value in objects], dtype=object)
    rows_of = {kind: np.asarray(types == kind) for kind in sorted(set(types) - {None})}
    return [_place(to_arrow(kind, objects[rows]), rows) for kind, rows in rows_of.items()]


def _integers_to_arrow(objects: np.ndarray) -> list[pa.Array]:
    try:
        return [pa.array(objects, pa.int64(), from_pandas=True)]
    except (OverflowError, pa.ArrowInvalid):
        return _split(objects, _integer_type, lambda kind, own: _map_to_arrow(own, *_INTEGERS[kind]))


def _integer_type(value: Any) -> str:
    if -_LARGEST_INT64 - 1 <= int(value) <= _LARGEST_INT64:
        return "int64"
    return "uint64" if 0 <= int(value) < 2**64 else "text"


def _duration(value: datetime.timedelta | np.timedelta64) -> Any:
    return value.astype("timedelta64[us]").item() if isinstance(value, np.timedelta64) else value


def _digits(value: Any) -> str:
    try:
        return str(int(value))
    except ValueError as error:
        n_digits = int(int(value).bit_length() * np.log10(2)) + 1
        raise TypeError(_unsupported(f"it holds an integer of about {n_digits:,} digits")) from error


_INTEGERS: dict[str, tuple[Callable[[Any], Any], pa.DataType]] = {
    "int64": (int, pa.int64()),
    "uint64": (int, pa.uint64()),
    "text": (_digits, pa.large_string()),
}


def _decimals_to_arrow(objects: np.ndarray) -> list[pa.Array]:
    decimals = [None if _is_missing(value) or not value.is_finite() else value for value in objects]
    try:
        return [pa.array(decimals, None if any(decimals) else pa.decimal128(38, 0))]
    except pa.ArrowInvalid:
        # Of more digits than Arrow has.
        return [_map_to_arrow(decimals, str, pa.large_string())]


def _datetimes_to_arrow(objects: np.ndarray) -> list[pa.Array]:
    times = np.empty(len(objects), dtype=object)
    present = (None if _is_missing(value) else value for value in objects)
    times[:] = [pd.Timestamp(value) if isinstance(value, np.datetime64) else value for value in present]
    aware = next((value for value in times if value is not None and value.tzinfo is not None), None)
    naive = next((value for value in times if value is not None and value.tzinfo is None), None)
    if aware is None:
        return [pa.array(times, pa.timestamp("us"))]
    if naive is not None:
        raise TypeError(
            f"it holds times with a time zone and without, such as {str(aware)!r} and {str(naive)!r}. Give all of them "
            "a zone, or none."
        )
    # Arrow would take the zone of the first.
    return _split(times, lambda time: str(time.tzinfo), lambda _, own: pa.array(own, from_pandas=True))


def _floats_to_arrow(objects: np.ndarray) -> pa.Array | None:
    """Return arrays of floats as lists, without a look at each number; None where there is anything else."""
    if np.ndarray not in set(map(type, objects)):
        return None
    is_array = np.array([type(value) is np.ndarray for value in objects], bool)
    arrays = objects[is_array]
    if not all(array.ndim == 1 and array.dtype.kind == "f" for array in arrays):
        return None
    if not all(_is_missing(value) for value in objects[~is_array]):
        return None
    lengths = np.zeros(len(objects), np.int64)
    lengths[is_array] = list(map(len, arrays))
    return lists_of(pa.array(np.concatenate(arrays)), lengths, missing=pa.array(~is_array))


def _lists_of(objects: np.ndarray) -> list[Any]:
    kinds = {kind for kind in set(map(type, objects)) if issubclass(kind, _TYPES["list"])}
    return [value for value in objects if type(value) in kinds]


def _groups_of_elements(objects: np.ndarray) -> set[str]:
    return {_group(kind) for kind in set(map(type, chain.from_iterable(_lists_of(objects))))} - {"missing"}


def _with_none(value: Any) -> Any:
    """Return a list with None for what is missing."""
    return None if _is_missing(value) else [None if _is_missing(element) else element for element in value]


def _lists_to_arrow(objects: np.ndarray) -> list[pa.Array]:
    if (arrays := _floats_to_arrow(objects)) is not None:
        return [arrays]
    groups = _groups_of_elements(objects)
    if "float" in groups and not groups <= {"integer", "float"}:
        # pandas marks a missing string by NaN, a float.
        objects = pd.Series(map(_with_none, objects), dtype=object).to_numpy()
        groups = _groups_of_elements(objects)
    if "list" in groups:
        raise TypeError(_unsupported(f"it holds lists of lists, such as {shown(_lists_of(objects)[0])}"))
    if len(groups) > 1 and groups != {"integer", "float"}:
        lists = _lists_of(objects)
        raise _stranger(next((value for value in lists if len(set(map(type, value))) > 1), lists[0]))
    # Arrow would infer the type of all elements once more.
    dtype = pa.large_list(pa.large_string()) if groups == {"text"} else None
    return [pa.array(objects, dtype, from_pandas=True)]


#: Of the groups that Arrow doesn't read as they are.
_READERS: dict[str, Callable[[np.ndarray], list[pa.Array]]] = {
    "integer": _integers_to_arrow,
    "decimal": _decimals_to_arrow,
    "number": lambda objects: [_map_to_arrow(objects, float, pa.float64())],
    "id": lambda objects: [_map_to_arrow(objects, str, pa.large_string())],
    "datetime": _datetimes_to_arrow,
    "duration": lambda objects: [_map_to_arrow(objects, _duration, pa.duration("us"))],
    "list": _lists_to_arrow,
}


_REMEDY = "Turn it into one of these"
_REMEDIES = {
    "set": "Make lists of them by `column.map(sorted)`",
    "Period": "Make times of the periods by `column.dt.to_timestamp()`",
}


def _stranger(value: Any) -> TypeError:
    kind = type(value).__name__
    return TypeError(_unsupported(f"it holds {shown(value)} of type {kind}", _REMEDIES.get(kind, _REMEDY)))


def _unsupported(what: str, remedy: str = _REMEDY) -> str:
    return (
        f"{what}, but each argument must be a string, a number, a bool, a date or time, or else a list of strings or "
        f"numbers in every row. {remedy}, or leave the column out with `drop`."
    )


def _canonical(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    if isinstance(values, pa.ChunkedArray):
        if values.num_chunks == 1:
            return _canonical(values.chunk(0))
        # All chunks together can be too long for the 32-bit offsets of a plain string array.
        values = values.cast(pa.large_string()) if is_string(values.type) else values
        return _canonical(values.combine_chunks())
    dtype = values.type
    if pa.types.is_dictionary(dtype):
        return _canonical(values.dictionary_decode())
    if pa.types.is_run_end_encoded(dtype):
        return _canonical(pc.run_end_decode(values))
    if is_list(dtype):
        return _canonical_lists(values)
    if pa.types.is_time(dtype):
        # As Python writes them, whatever their unit.
        texts = values.cast(pa.time64("ns")).cast(pa.large_string())
        return pc.replace_substring_regex(texts, r"(\.000000)?000$", "")
    target = _canonical_type(values)
    # Unsafe casts round, which times need; they would let through invalid text too.
    values = values if target == dtype else values.cast(target, safe=is_string(target))
    if is_string(dtype) and not _is_ascii(values):
        try:
            values.validate(full=True)
        except pa.ArrowInvalid as error:
            raise TypeError(_unsupported(f"it holds text that is not valid UTF-8 ({error})")) from error
    return finite(values) if pa.types.is_floating(target) else values


def _is_ascii(texts: pa.Array) -> bool:
    """Return whether all bytes are ASCII, which is valid text wherever it is cut: one look at many all together."""
    _, offsets, data = texts.buffers()
    if len(texts) < _FEW_TEXTS or data is None:
        return False
    first, last = np.frombuffer(offsets, np.int64)[[texts.offset, texts.offset + len(texts)]]
    return int(np.frombuffer(data, np.uint8)[first:last].max(initial=0)) < _FIRST_BEYOND_ASCII


def finite(values: pa.Array) -> pa.Array:
    """Return doubles without infinite ones and NaN, which are missing instead, and with one zero instead of two."""
    is_finite, values = pc.is_finite(values), pc.add(values, 0.0)
    return values if pc.all(is_finite).as_py() else pc.if_else(is_finite, values, pa.scalar(None, values.type))


def _canonical_type(values: pa.Array) -> pa.DataType:
    dtype = values.type
    if pa.types.is_integer(dtype):
        largest = pc.max(values).as_py() if pa.types.is_uint64(dtype) else None
        return pa.uint64() if largest is not None and largest > _LARGEST_INT64 else pa.int64()
    if pa.types.is_floating(dtype):
        return pa.float64()
    if pa.types.is_date(dtype):
        return pa.date32()
    if pa.types.is_timestamp(dtype):
        return pa.timestamp("us", dtype.tz)
    if pa.types.is_duration(dtype):
        return pa.duration("us")
    if dtype.id in _READ_AS_STRINGS:
        return pa.large_string()
    if pa.types.is_boolean(dtype) or pa.types.is_decimal(dtype):
        return dtype
    example = next((value for value in values.to_pylist() if value is not None), None)
    raise TypeError(_unsupported(f"it holds values like {shown(example)} of type {dtype}"))


def _canonical_lists(values: pa.Array) -> pa.Array:
    elements = values.flatten()
    if is_list(elements.type):
        raise TypeError(_unsupported(f"it holds lists of lists, of type {values.type}"[:200]))
    return lists_of(_canonical(elements), list_lengths(values), missing=values.is_null())
