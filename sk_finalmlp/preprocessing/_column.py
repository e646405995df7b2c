"""One column of a raw table as an Arrow array of a few canonical types, whatever container it came from.

The canonical types are bool, int64, uint64 (only where int64 is too small), double, large_string, timestamp, date32,
duration, and large lists of these. Missing values are null, and so are NaN and infinite doubles.
"""

from __future__ import annotations

import datetime
import decimal
import numbers
import uuid
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

_SCALARS = (str, numbers.Real, np.bool_, decimal.Decimal, datetime.date, datetime.time, datetime.timedelta, uuid.UUID)
_READ_AS_STRINGS = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_time, pa.types.is_null)
# Not all of 19 digits fit int64; those from 9 * 10^18 on are left out.
_INTEGER_TEXT = r"^-?(\d{1,18}|[1-8]\d{18})(\.0*)?$"
_NUMBER_TEXT = r"^-?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$"
_LARGEST_INT64 = np.iinfo(np.int64).max
#: Beyond it a double can't hold every integer, so that an integral double need not have been an integer.
_LARGEST_EXACT_INTEGER = 2**53


class Column:
    """A named column in canonical form.

    Parameters
    ----------
    name : str
        Name of the column, for messages.
    values : pyarrow.Array
        Its values, of a canonical type; missing ones are null.
    """

    def __init__(self, name: str, values: pa.Array) -> None:
        self.name = name
        self.values = values

    def __len__(self) -> int:
        return len(self.values)

    @cached_property
    def dictionary(self) -> pa.DictionaryArray:
        """The distinct values and, for each row, which of them it holds."""
        return self.values.dictionary_encode()

    @property
    def n_missing(self) -> int:
        """Number of missing values."""
        n_missing: int = self.values.null_count
        return n_missing


def read_column(name: str, raw: Any) -> Column:
    """Bring a Series or array of any library to canonical form."""
    try:
        return Column(name, _canonical(_to_arrow(raw)))
    except (TypeError, pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise TypeError(f"Column {name!r} can't be encoded: {error}") from error


def _to_arrow(raw: Any) -> pa.Array:
    if isinstance(raw, pa.Array | pa.ChunkedArray):
        return raw
    if raw.dtype == object:
        return _objects_to_arrow(np.asarray(raw))
    if raw.dtype.kind == "c":
        raise TypeError(_unsupported("it holds complex numbers"))
    if isinstance(raw.dtype, pd.SparseDtype):
        raw = raw.sparse.to_dense()
    if raw.dtype == np.longdouble:
        raw = raw.astype(np.float64)
    if isinstance(raw, np.ndarray):
        raw = np.ascontiguousarray(raw)
    return pa.array(raw, from_pandas=True)


def _objects_to_arrow(objects: np.ndarray) -> pa.Array:
    try:
        values = pa.array(objects, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
        return _mixed_to_strings(objects)
    return _mixed_to_strings(objects) if isinstance(values.type, pa.BaseExtensionType) else values


def _mixed_to_strings(objects: np.ndarray) -> pa.Array:
    """Objects of several types as the text they read as."""
    _check_scalars(objects)
    codes, distinct = pd.factorize(objects)
    texts = pa.array([_text(value) for value in distinct], pa.large_string())
    return texts.take(pa.array(codes, mask=codes < 0))


def _check_scalars(objects: np.ndarray) -> None:
    present = objects[~pd.isna(objects)]
    types = pd.unique(np.fromiter(map(type, present), object, len(present)))
    strangers = tuple(kind for kind in types if not issubclass(kind, _SCALARS))
    if strangers:
        value = next(value for value in present if isinstance(value, strangers))
        raise TypeError(_unsupported(f"it holds {value!r} of type {type(value).__name__}"))


def _unsupported(what: str) -> str:
    return (
        f"{what}, but each argument must be a string, a number, a bool, a date or time, or else a list of strings or "
        "numbers in every row. Turn it into one of these, or leave the column out with `drop`."
    )


def _text(value: Any) -> str | None:
    if isinstance(value, bool | np.bool_):
        return str(bool(value)).lower()
    if not isinstance(value, float | np.floating):
        return str(value)
    if not np.isfinite(value):
        return None
    return str(int(value)) if value.is_integer() else str(value)


def _canonical(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    if isinstance(values, pa.ChunkedArray):
        return _canonical(_one_chunk(values))
    dtype = values.type
    if pa.types.is_dictionary(dtype):
        return _canonical(values.dictionary_decode())
    if _is_list(dtype):
        return _canonical_lists(values)
    target = _canonical_type(values)
    # Unsafe casts round, which times and decimals need; they would let through invalid text too.
    values = values if target == dtype else values.cast(target, safe=is_string(target))
    return _finite(values) if pa.types.is_floating(target) else values


def _one_chunk(values: pa.ChunkedArray) -> pa.Array:
    if values.num_chunks == 1:
        return values.chunk(0)
    # All chunks together can be too long for the 32-bit offsets of a plain string array.
    return (values.cast(pa.large_string()) if is_string(values.type) else values).combine_chunks()


def _finite(values: pa.Array) -> pa.Array:
    finite = pc.is_finite(values)
    return values if pc.all(finite).as_py() else pc.if_else(finite, values, pa.scalar(None, values.type))


def _canonical_type(values: pa.Array) -> pa.DataType:
    dtype = values.type
    if pa.types.is_integer(dtype):
        return pa.uint64() if _exceeds_int64(values) else pa.int64()
    if pa.types.is_floating(dtype) or pa.types.is_decimal(dtype):
        return pa.float64()
    if pa.types.is_date(dtype):
        return pa.date32()
    if pa.types.is_timestamp(dtype):
        return pa.timestamp("us", dtype.tz)
    if pa.types.is_duration(dtype):
        return pa.duration("us")
    if is_string(dtype) or any(check(dtype) for check in _READ_AS_STRINGS):
        return pa.large_string()
    if pa.types.is_boolean(dtype):
        return dtype
    example = next((value for value in values.to_pylist() if value is not None), None)
    raise TypeError(_unsupported(f"it holds values like {example!r} of type {dtype}"))


def _exceeds_int64(values: pa.Array) -> bool:
    if not pa.types.is_uint64(values.type):
        return False
    largest: int | None = pc.max(values).as_py()
    return largest is not None and largest > _LARGEST_INT64


def is_string(dtype: pa.DataType) -> bool:
    """Whether values of this type are strings."""
    return any(check(dtype) for check in (pa.types.is_large_string, pa.types.is_string, pa.types.is_string_view))


def _is_list(dtype: pa.DataType) -> bool:
    checks = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list, pa.types.is_list_view)
    return any(check(dtype) for check in (*checks, pa.types.is_large_list_view))


def _canonical_lists(values: pa.Array) -> pa.Array:
    lengths = pc.fill_null(pc.list_value_length(values), 0).to_numpy().astype(np.int64)
    elements = _canonical(values.flatten())
    if _is_list(elements.type):
        raise TypeError(_unsupported(f"it holds lists of lists, such as {elements[0].as_py()!r}"))
    return lists_of(elements, lengths, missing=values.is_null())


def lists_of(elements: pa.Array, lengths: np.ndarray, missing: pa.Array | None = None) -> pa.LargeListArray:
    """Lists of the given lengths, filled with the elements in order."""
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int64())
    return pa.LargeListArray.from_arrays(offsets, elements, mask=missing)


def rows_with_weight(column: Column, weights: np.ndarray | None) -> tuple[Column, np.ndarray | None]:
    """Column and weights in fit: rows without weight are as good as absent."""
    if weights is None or weights.all():
        return column, weights
    return Column(column.name, column.values.filter(pa.array(weights > 0))), weights[weights > 0]


def integral_to_int64(values: pa.Array) -> pa.Array:
    """Doubles that are all integers as int64; other values as they are.

    An integer column turns into doubles as soon as a value is missing, and must mean the same afterwards.
    """
    if pa.types.is_large_list(values.type):
        lengths = pc.fill_null(pc.list_value_length(values), 0).to_numpy()
        return lists_of(integral_to_int64(values.flatten()), lengths, missing=values.is_null())
    if not pa.types.is_floating(values.type):
        return values
    floats = as_floats(values.drop_null())
    return as_integers(values) if len(floats) and _is_integral(floats).all() else values


def _is_integral(floats: np.ndarray) -> np.ndarray:
    integral: np.ndarray = (np.abs(floats) <= _LARGEST_EXACT_INTEGER) & (np.floor(floats) == floats)
    return integral


def require_scalars(values: pa.Array) -> None:
    """Refuse lists."""
    if pa.types.is_large_list(values.type):
        raise TypeError("lists are no single values; name the column in `multi_valued` or `drop`, also in fit.")


def as_integers(values: pa.Array) -> pa.Array:
    """Values as int64; null where a value is no integer."""
    require_scalars(values)
    if pa.types.is_int64(values.type):
        return values
    if pa.types.is_floating(values.type):
        floats = as_floats(values)
        integral = _is_integral(floats)
        return pa.array(np.where(integral, floats, 0).astype(np.int64), mask=~integral)
    if is_string(values.type):
        digits = _parse(values, _INTEGER_TEXT)
        return pc.replace_substring_regex(digits, r"\.0*$", "").cast(pa.int64())
    if pa.types.is_boolean(values.type):
        return values.cast(pa.int64())
    if pa.types.is_uint64(values.type):
        small = pc.less_equal(values, pa.scalar(_LARGEST_INT64, pa.uint64()))
        return pc.if_else(small, values, pa.scalar(None, pa.uint64())).cast(pa.int64())
    return pa.nulls(len(values), pa.int64())


def as_floats(values: pa.Array) -> np.ndarray:
    """Values as doubles; NaN where a value is missing or no number."""
    require_scalars(values)
    dtype = values.type
    if pa.types.is_timestamp(dtype) or pa.types.is_date(dtype):
        return as_floats(values.cast(pa.timestamp("us")).cast(pa.int64())) / 1e6
    if pa.types.is_duration(dtype):
        return as_floats(values.cast(pa.int64())) / 1e6
    if is_string(dtype):
        values = _finite(_parse(values, _NUMBER_TEXT).cast(pa.float64()))
    floats: np.ndarray = values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return floats


def _parse(values: pa.Array, pattern: str) -> pa.Array:
    texts = pc.utf8_ltrim(pc.utf8_trim_whitespace(values), "+")
    return pc.if_else(pc.match_substring_regex(texts, pattern), texts, pa.scalar(None, texts.type))


def as_strings(values: pa.Array) -> pa.Array:
    """Values as the text they read as; integral doubles read as integers."""
    require_scalars(values)
    return values.cast(pa.large_string())


def as_timestamps(values: pa.Array) -> pa.Array:
    """Values as timestamps or dates; null where a string is no ISO 8601 time."""
    if pa.types.is_timestamp(values.type) or pa.types.is_date(values.type):
        return values
    if values.null_count == len(values):
        return pa.nulls(len(values), pa.timestamp("us"))
    if is_string(values.type):
        times = pd.to_datetime(values.to_pandas(), errors="coerce", format="ISO8601")
        return pa.array(times, from_pandas=True)
    example = values.drop_null()[0].as_py()
    raise TypeError(
        f"values of type {values.type}, such as {example!r}, are no dates or times. Convert the column first, for "
        "example with `pandas.to_datetime(X[column], unit='s')`."
    )
