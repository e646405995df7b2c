"""The inputs of an exported graph: which tensor stands for a column, and how a Python value is put into it."""

from __future__ import annotations

import datetime
import decimal
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

import numpy as np

from .._warnings import shown

#: Stands for a missing value in a tensor of integers.
MISSING: Final = np.iinfo(np.int64).min

InputKind = Literal["text", "integer", "boolean", "number", "time", "elements", "history", "vector"]
_MICROSECOND: Final = datetime.timedelta(microseconds=1)
_EPOCH: Final = datetime.date(1970, 1, 1).toordinal()


@dataclass(frozen=True)
class Input:
    """One column of the raw table as a tensor: `separator` stands between elements, and a vector has a `length`."""

    name: str
    kind: InputKind
    separator: str = ""
    has_zone: bool = False
    has_hours: bool = False
    length: int = 1

    @property
    def element_type(self) -> str:
        """The type of the tensor's elements."""
        return _KINDS[self.kind].element_type

    def tensor(self, values: Sequence[Any]) -> np.ndarray:
        """Convert values to a tensor of shape (n, length)."""
        element_type, convert, plain = _KINDS[self.kind]
        dtype, missing = _TENSORS[element_type]
        if self.kind == "vector":
            missing = [missing] * self.length
        try:
            converted = [
                value if type(value) is plain else missing if _is_missing(value) else convert(value, self)
                for value in values
            ]
            return np.array(converted, dtype).reshape(-1, self.length)
        except OverflowError as error:
            numbers: list[Any] = [value for value in values if isinstance(value, _NUMBERS)]
            largest = max(numbers, key=abs, default=values[0])  # an array has its numbers inside
            raise ValueError(
                f"Column {self.name!r}: {shown(largest)} is beyond 64 bits. Give None for a value that fit can't have "
                "seen."
            ) from error
        except (TypeError, ValueError) as error:
            raise ValueError(f"Column {self.name!r}: {error}") from error


class _Kind(NamedTuple):
    """Type of a tensor's elements, the conversion of a present value, and the Python type that needs none."""

    element_type: str
    convert: Callable[[Any, Input], Any]
    plain: type | None = None


#: NumPy's type of a tensor, and what stands for a missing value; a missing vector is a row of it.
_TENSORS: Final[dict[str, tuple[Any, Any]]] = {
    "string": (object, ""),
    "int64": (np.int64, MISSING),
    "double": (np.float64, np.nan),
}
#: Made once: unions of types in the call would take as long as the test.
_NUMBERS: Final = (int, float, np.number, np.bool_, decimal.Decimal)
_INTEGERS: Final = (int, np.integer)
_BOOLS: Final = (bool, np.bool_)
_NOT_ALWAYS_THEMSELVES: Final = (float, np.generic, decimal.Decimal)
_LISTS: Final = (list, tuple, np.ndarray)
_NO_ELEMENTS: Final = (*_BOOLS, *_LISTS)
_MISSING_OF_PANDAS: Final = ("NAType", "NaTType")


def _is_missing(value: Any) -> bool:
    if value is None or type(value).__name__ in _MISSING_OF_PANDAS:
        return True
    # NaN and NumPy's NaT.
    return isinstance(value, _NOT_ALWAYS_THEMSELVES) and bool(value != value)


def _text(value: Any, column: Input) -> str:
    if isinstance(value, str):
        return value
    raise TypeError(f"{shown(value)} is not a string, but fit saw strings.")


def _integer(value: Any, column: Input) -> int:
    if isinstance(value, _NUMBERS) and not isinstance(value, _BOOLS) and math.isfinite(value) and value == int(value):
        return int(value)
    raise TypeError(f"{shown(value)} is not an integer, but fit saw integers.")


def _boolean(value: Any, column: Input) -> int:
    if isinstance(value, _NUMBERS) and value in (0, 1):
        return int(value)
    raise TypeError(f"{shown(value)} is not true or false, but fit saw bools.")


def _number(value: Any, column: Input) -> float:
    if isinstance(value, np.timedelta64):
        value = value.astype("timedelta64[us]").item()
    if isinstance(value, datetime.timedelta):
        return (value // _MICROSECOND) / 1e6
    if isinstance(value, _NUMBERS):
        return float(value)
    raise TypeError(f"{shown(value)} is not a number, but fit saw numbers.")


def _time(value: Any, column: Input) -> int:
    if isinstance(value, str):
        try:
            value = datetime.datetime.fromisoformat(value)
        except ValueError as error:
            message = f"Invalid isoformat string: {shown(value)}. Write a date or time by ISO 8601, or give None."
            raise ValueError(message) from error
    elif isinstance(value, np.datetime64):
        value = value.astype("datetime64[us]").item()
    elif isinstance(value, datetime.date) and not isinstance(value, datetime.datetime):
        if column.has_hours:
            raise TypeError(f"{shown(value)} is a date, but fit saw times of day. Give a datetime.")
        value = datetime.datetime.combine(value, datetime.time())
    if not isinstance(value, datetime.datetime):
        raise TypeError(f"{shown(value)} is not a time, but fit saw times. Give a datetime, or text by ISO 8601.")
    if (value.tzinfo is not None) != column.has_zone:
        has, saw = ("a", "without one") if value.tzinfo else ("no", "with one")
        raise ValueError(f"{str(value)!r} has {has} time zone, where fit saw times {saw}.")
    return _microseconds(value)


def _microseconds(time: datetime.datetime) -> int:
    """Return microseconds since 1970, of UTC if there is a zone; arithmetic with pandas' times would take long."""
    seconds = (time.toordinal() - _EPOCH) * 86_400 + time.hour * 3_600 + time.minute * 60 + time.second
    microseconds = seconds * 1_000_000 + time.microsecond
    offset = time.utcoffset()
    return microseconds if offset is None else microseconds - offset // _MICROSECOND


def _history(value: Any, column: Input) -> str:
    if not isinstance(value, _LISTS):
        raise TypeError(
            f"{shown(value)} is not a list, but fit saw lists: give the values of the history, the most recent last."
        )
    texts = ["" if _is_missing(element) else _text_of_element(element) for element in value]
    return _joined(texts, column.separator)


def _joined(texts: list[str], separator: str) -> str:
    joined = separator.join(texts)
    if joined.count(separator) >= max(len(texts), 1):
        torn = next(text for text in texts if separator in text)
        raise ValueError(f"{shown(torn)} contains {separator!r}, which separates elements.")
    return joined


def _text_of(element: Any) -> str:
    # A list with a missing number may hold floats.
    return str(int(element)) if isinstance(element, float | np.floating) and element == int(element) else str(element)


def _elements(value: Any, column: Input) -> str:
    if isinstance(value, str):
        if value.strip().startswith("[") and value.strip().endswith("]"):
            raise ValueError(f"{shown(value)} is a list that was written as text: give the list itself.")
        return column.separator.join(element.strip() for element in value.split(column.separator))
    if isinstance(value, _LISTS):
        present = [_text_of_element(element) for element in value if type(element) is str or not _is_missing(element)]
        return _joined(present, column.separator)
    if isinstance(value, _INTEGERS) and not isinstance(value, bool):
        return str(value)
    raise TypeError(f"{shown(value)} is not a list of elements, but fit saw lists.")


def _text_of_element(element: Any) -> str:
    if type(element) is str:
        return element
    if isinstance(element, _NO_ELEMENTS):
        raise TypeError(f"the list holds {shown(element)}, which is no element: give strings or integers.")
    return _text_of(element)


def _vector(value: Any, column: Input) -> np.ndarray:
    if not isinstance(value, _LISTS):
        raise TypeError(f"{shown(value)} is not an array of numbers, but fit saw arrays.")
    if not len(value):
        return np.full(column.length, np.nan)
    vector = np.array([np.nan if element is None else element for element in value], np.float64)
    if len(vector) != column.length:
        raise ValueError(f"an array has length {len(vector)}; in fit, arrays had length {column.length}.")
    is_number = np.isfinite(vector)
    if is_number.any() and not is_number.all():
        raise ValueError(f"{shown(value)} holds NaN or an infinite number.")
    return vector


_KINDS: Final[dict[InputKind, _Kind]] = {
    "text": _Kind("string", _text, str),
    "integer": _Kind("int64", _integer, int),
    "boolean": _Kind("int64", _boolean),
    "number": _Kind("double", _number, float),
    "time": _Kind("int64", _time),
    "elements": _Kind("string", _elements),
    "vector": _Kind("double", _vector),
    "history": _Kind("string", _history),
}
