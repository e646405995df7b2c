"""The inputs of an exported graph: which tensor stands for a column, and how a Python value is put into it."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

import numpy as np

from .._warnings import WRITTEN_LIST, shown
from ._values import (
    as_bool,
    as_integer,
    as_number,
    as_text,
    as_time,
    is_list,
    is_missing,
    microseconds_of,
    plain,
    present_elements,
    zone_of_offset,
)

#: Stands for a missing value in a tensor of integers.
MISSING: Final = np.iinfo(np.int64).min

InputKind = Literal["text", "integer", "boolean", "number", "time", "elements", "history", "vector"]
_WRITTEN_LIST: Final = re.compile(WRITTEN_LIST)


@dataclass(frozen=True)
class Input:
    """One column of the raw table as a tensor: `separator` stands between elements, and a vector has a `length`.

    `like` is the type that fit saw, `words` how its text spells False and True; `required` says whether a value of
    another type is an error, `exact` whether a rounded integer is one, and `splits` whether fit split text.
    """

    name: str
    kind: InputKind
    like: str = ""
    words: tuple[str, str] = ("false", "true")
    required: bool = False
    exact: bool = False
    separator: str = ""
    splits: bool = False
    has_hours: bool = False
    length: int = 1

    @property
    def element_type(self) -> str:
        """The type of the tensor's elements."""
        return _KINDS[self.kind].element_type

    @property
    def has_zone(self) -> bool:
        """Whether its times have a time zone."""
        return "tz=" in self.like

    @property
    def zone(self) -> datetime.tzinfo | None:
        """The time zone of its times, of a fixed offset."""
        zone = self.like.partition("tz=")[2].rstrip("]")
        if zone.startswith(("+", "-")):
            return zone_of_offset(zone)
        return datetime.UTC if zone else None

    @property
    def is_text(self) -> bool:
        """Whether its values, or its elements, are text."""
        return self.like == "large_string"

    def tensor(self, values: Sequence[Any]) -> np.ndarray:
        """Convert values to a tensor of shape (n, length)."""
        element_type, _, fast = _KINDS[self.kind]
        dtype, _ = _TENSORS[element_type]
        try:
            converted = [value if type(value) is fast else self._convert(value) for value in values]
            try:
                return np.array(converted, dtype).reshape(-1, self.length)
            except OverflowError:
                # Integers that no value of fit can be.
                return np.array([self._convert(value) for value in values], dtype).reshape(-1, self.length)
        except (TypeError, ValueError) as error:
            raise ValueError(f"Column {self.name!r}: {error}") from error

    def _convert(self, value: Any) -> Any:
        """Return what stands for a value: for an unknown one, what stands for a missing one."""
        element_type, convert, _ = _KINDS[self.kind]
        converted = None if is_missing(value) else convert(value, self)
        if converted is not None:
            return converted
        _, missing = _TENSORS[element_type]
        return [missing] * self.length if self.kind == "vector" else missing


class _Kind(NamedTuple):
    """Type of a tensor's elements, the conversion of a present value, and the Python type that needs none."""

    element_type: str
    convert: Callable[[Any, Input], Any]
    fast: type | None = None


#: NumPy's type of a tensor, and what stands for a missing value; a missing vector is a row of it.
_TENSORS: Final[dict[str, tuple[Any, Any]]] = {
    "string": (object, ""),
    "int64": (np.int64, MISSING),
    "double": (np.float64, np.nan),
}


def _text(value: Any, column: Input) -> str:
    return as_text(value, column.words)


def _integer(value: Any, column: Input) -> int | None:
    number = as_integer(value, column.exact)
    return None if number is None or not MISSING <= number < -MISSING else number


def _boolean(value: Any, column: Input) -> int | None:
    return as_bool(value)


def _number(value: Any, column: Input) -> float | None:
    number = as_number(value, of_durations=column.like.startswith("duration"))
    if number is None and column.required:
        raise ValueError(f"{shown(value)} is not a number, but fit saw numbers.")
    return number


def _time(value: Any, column: Input) -> int | None:
    time = as_time(value)
    if time is None:
        if column.required:
            raise ValueError(f"{shown(value)} is not a time. Write a date or time by ISO 8601, or give None.")
        return None
    if not isinstance(time, datetime.datetime):
        if column.has_hours:
            raise TypeError(f"{shown(value)} is a date, but fit saw times of day. Give a datetime.")
        # A date is one of local time, unless it is a value of its own.
        time = datetime.datetime.combine(time, datetime.time(), column.zone if column.required else None)
    if (time.tzinfo is not None) != column.has_zone:
        has, saw = ("a", "without one") if time.tzinfo else ("no", "with one")
        raise ValueError(f"{str(value)!r} has {has} time zone, where fit saw times {saw}.")
    return microseconds_of(time)


def _history(value: Any, column: Input) -> str:
    if not is_list(value):
        if column.is_text or isinstance(plain(value), str):
            raise TypeError(
                f"{shown(value)} is not a list, but fit saw lists: give the values of the history, the most recent "
                "last."
            )
        return _element(value, column)
    return _joined(value, column)


def _elements(value: Any, column: Input) -> str:
    if is_list(value):
        return _joined(value, column)
    value = as_text(value, column.words) if column.is_text else plain(value)
    if not isinstance(value, str):
        return _element(value, column)
    if _WRITTEN_LIST.search(value):
        raise ValueError(f"{shown(value)} is a list that was written as text: give the list itself.")
    return column.separator.join(_element(text.strip(), column) for text in value.split(column.separator))


def _joined(value: Any, column: Input) -> str:
    if column.is_text and not column.splits and set(map(type, value)) <= {str}:
        joined = column.separator.join(value)
        if joined.count(column.separator) < max(len(value), 1):
            return joined
    elements = present_elements(value)
    return column.separator.join("" if element is None else _element(element, column) for element in elements)


def _element(value: Any, column: Input) -> str:
    """Return an element as text, an unknown one as an empty text."""
    if not column.is_text:
        number = as_integer(value, column.exact)
        return "" if number is None else str(number)
    text = as_text(value, column.words)
    # The graph would split it, or read it without spaces.
    return "" if column.separator in text or (column.splits and text != text.strip()) else text


def _vector(value: Any, column: Input) -> list[float] | None:
    if not is_list(value):
        raise TypeError(f"{shown(value)} is not an array of numbers, but fit saw arrays.")
    numbers = [None if element is None else _number(element, column) for element in present_elements(value)]
    present = [number for number in numbers if number is not None]
    if not present:
        return None
    if len(present) < len(numbers):
        raise ValueError(f"{shown(value)} holds NaN or an infinite number.")
    if len(numbers) != column.length:
        raise ValueError(f"an array has length {len(numbers)}; in fit, arrays had length {column.length}.")
    return present


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
