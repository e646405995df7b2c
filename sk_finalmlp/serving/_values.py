"""What a single value is to a column: as the encoder reads tables, but without the libraries of tables.

A function returns None for a value of another type than the column's, which is unknown, and raises an error for one
that the encoder refuses.
"""

from __future__ import annotations

import datetime
import decimal
import math
import numbers
import re
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any, Final

import numpy as np

from .._warnings import shown

_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "bool": (bool, np.bool_),
    "duration": (datetime.timedelta, np.timedelta64),
    "integer": (numbers.Integral,),
    "float": (float, np.float32, np.float16),
    "decimal": (decimal.Decimal,),
    "number": (numbers.Real,),
    "text": (str,),
    "bytes": (bytes,),
    "id": (uuid.UUID,),
    "datetime64": (np.datetime64,),
    "datetime": (datetime.datetime,),
    "date": (datetime.date,),
    "time": (datetime.time,),
    "list": (list, tuple, np.ndarray),
}
_NO_ELEMENTS: Final = frozenset({"list", "stranger", "number", "id", "datetime64"})
_MISSING_OF_PANDAS: Final = ("NAType", "NaTType")
_LARGEST_EXACT_INTEGER: Final = 2**53
#: Digits of the longest decimal of Arrow.
_MAX_DIGITS: Final = 76
_MICROSECOND: Final = datetime.timedelta(microseconds=1)
_EPOCH: Final = datetime.datetime(1970, 1, 1)
_INTEGER: Final = re.compile(r"([+-]?)0*([0-9]{1,20})(\.0*)?")
_NUMBER: Final = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
#: The form that Python and pandas read alike, and the forms that pandas takes.
_ISO_TIME: Final = re.compile(
    r"\d{4}-\d\d-\d\d([T ]([01]\d|2[0-3]):\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)?)?", re.ASCII
)
_TIME: Final = re.compile(
    r"\s*(?P<date>\d{8}|\d{4}(?:(?P<sign>[-/.\\ ])\d\d?(?:(?P=sign)\d\d?)?)?)"
    r"(?:[T ](?P<time>\d{6}|\d{4}|\d\d?(?::\d\d?){0,2})(?:\.(?P<fraction>\d*))?"
    r"\s?(?P<offset>Z|[+-]\d\d(?::?\d\d)?)?\s*)?",
    re.ASCII,
)
_LENGTH_OF_DATE: Final = 3
_LENGTH_OF_TIME: Final = 3


@lru_cache(maxsize=256)
def _group_of(kind: type) -> str:
    return next((group for group, kinds in _TYPES.items() if issubclass(kind, kinds)), "stranger")


def _group(value: Any) -> str:
    return _group_of(type(value))  # type: ignore[arg-type]


def is_missing(value: Any) -> bool:
    """Whether a value is missing, as an infinite number is."""
    if value is None or type(value).__name__ in _MISSING_OF_PANDAS:
        return True
    if isinstance(value, str | list):
        return False
    if isinstance(value, decimal.Decimal):
        return not value.is_finite()
    if isinstance(value, float | np.floating):
        return not math.isfinite(value)
    # NumPy's NaT.
    return isinstance(value, np.generic) and bool(value != value)


def is_list(value: Any) -> bool:
    """Whether a value is a list of elements."""
    return isinstance(value, _TYPES["list"])


def plain(value: Any) -> Any:
    """Return a single value as one of Python's own types."""
    group = _group(value)
    if group == "list":
        raise TypeError(f"{shown(value)} is a list, where single values are expected.")
    if group == "stranger":
        raise TypeError(f"{shown(value)} is not a string, a number, a bool, a date or time, or a list of these.")
    return _READERS[group](value) if group in _READERS else value


def _duration(value: Any) -> datetime.timedelta:
    if isinstance(value, np.timedelta64):
        value = value.astype("timedelta64[us]").item()
    microseconds = value // _MICROSECOND
    if not -(2**63) <= microseconds < 2**63:
        raise ValueError(f"{shown(value)} is beyond 64 bits of microseconds.")
    return microseconds * _MICROSECOND


def _integer(value: Any) -> int | str:
    number = int(value)
    if -(2**63) <= number < 2**64:
        return number
    try:
        return str(number)
    except ValueError as error:
        raise ValueError(f"{shown(value)} has more digits than Python writes.") from error


def _decimal(value: decimal.Decimal) -> decimal.Decimal | str:
    digits, exponent = value.as_tuple()[1:]
    assert isinstance(exponent, int)
    return str(value) if max(len(digits), len(digits) + exponent, -exponent) > _MAX_DIGITS else value


def _text(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{value[:50]!r} is not valid text: {error.reason}.") from error
    return value


def _datetime64(value: np.datetime64) -> datetime.datetime:
    time = value.astype("datetime64[us]").item()
    if not isinstance(time, datetime.datetime):
        raise ValueError(f"{shown(value)} is beyond the years 1 to 9999.")
    return time


_READERS: Final[dict[str, Callable[[Any], Any]]] = {
    "bool": bool,
    "duration": _duration,
    "integer": _integer,
    "float": float,
    "decimal": _decimal,
    "number": float,
    "text": _text,
    "bytes": bytes.decode,
    "id": str,
    "datetime64": _datetime64,
    "time": lambda value: value.replace(tzinfo=None).isoformat(),
}


def as_text(value: Any, words: Sequence[str]) -> str:
    """Return a value as text; `words` spell False and True."""
    value = plain(value)
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return words[value]
    if isinstance(value, datetime.datetime):
        time = _EPOCH + microseconds_of(value) * _MICROSECOND
        return time.isoformat(" ") + ("" if value.tzinfo is None else "+00:00")
    if isinstance(value, datetime.date):
        return value.isoformat()
    return _text_of_number(_seconds(value) if isinstance(value, datetime.timedelta) else value)


def _text_of_number(number: float | decimal.Decimal) -> str:
    return str(int(number)) if number == int(number) else str(float(number))


def _seconds(duration: datetime.timedelta) -> float:
    return (duration // _MICROSECOND) / 1e6


def as_integer(value: Any, exact: bool) -> int | None:
    """Return a value as an integer; if `exact`, a float that may be rounded is an error."""
    value = plain(value)
    _refuse_times(value)
    if isinstance(value, float):
        if abs(value) > _LARGEST_EXACT_INTEGER:
            if exact:
                raise ValueError(f"{value!r} is a float, and floats beyond 2**53 are rounded. Give the integer itself.")
            return None
        return int(value) if value.is_integer() else None
    if isinstance(value, decimal.Decimal):
        value = _text_of_number(value)
    if isinstance(value, str):
        match = _INTEGER.fullmatch(value.strip())
        return int(match[1] + match[2]) if match else None
    return int(value)


def as_bool(value: Any) -> int | None:
    """Return a value as 0 or 1."""
    value = plain(value)
    word = value.strip().lower() if isinstance(value, str) else ""
    number = int(word == "true") if word in ("true", "false") else as_integer(value, exact=False)
    return number if number in (0, 1) else None


def as_number(value: Any, of_durations: bool) -> float | None:
    """Return a value as a double, and durations in seconds where the column is one of durations."""
    value = plain(value)
    if isinstance(value, str):
        text = value.strip()
        number = float(text) if _NUMBER.fullmatch(text) else math.inf
        return number if math.isfinite(number) else None
    if of_durations and isinstance(value, datetime.timedelta):
        return _seconds(value)
    _refuse_times(value)
    return float(value)


def _refuse_times(value: Any) -> None:
    if isinstance(value, datetime.date | datetime.timedelta):
        raise TypeError(f"{str(value)!r} is a time, where fit saw numbers.")


def as_time(value: Any) -> datetime.datetime | datetime.date | None:
    """Return a value as a time or a date."""
    value = plain(value)
    if isinstance(value, str):
        return _parse_time(value)
    if not isinstance(value, datetime.date):
        raise TypeError(f"{shown(value)} is not a time, but fit saw times. Give a datetime, or text by ISO 8601.")
    return value


def _parse_time(text: str) -> datetime.datetime | None:
    """Read text by ISO 8601, and what pandas takes for it: a year or month, other signs within a date, one digit."""
    if _ISO_TIME.fullmatch(text):
        with suppress(ValueError):
            return datetime.datetime.fromisoformat(text)
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    date = _numbers(match["date"], 4)
    time = _numbers(match["time"] or "", 2)
    fraction = match["fraction"]
    if (time and len(date) < _LENGTH_OF_DATE) or (fraction is not None and len(time) < _LENGTH_OF_TIME):
        return None
    year, month, day = [*date, 1, 1][:_LENGTH_OF_DATE]
    hour, minute, second = [*time, 0, 0, 0][:_LENGTH_OF_TIME]
    microsecond = int((fraction or "")[:6].ljust(6, "0"))
    with suppress(ValueError):
        zone = zone_of_offset(match["offset"])
        return datetime.datetime(year, month, day, hour, minute, second, microsecond, zone)
    return None


def _numbers(text: str, length: int) -> list[int]:
    """Return the numbers of a date or time; without signs between them, the first has a given length."""
    if text.isdigit() and len(text) > length:
        return [int(text[:length]), *(int(text[place : place + 2]) for place in range(length, len(text), 2))]
    return [int(number) for number in re.split(r"\D", text) if number]


def zone_of_offset(offset: str | None) -> datetime.tzinfo | None:
    """Return the time zone of Z, +05, +0530 or +05:30."""
    if offset is None:
        return None
    return datetime.datetime.strptime(f"{offset}00" if len(offset) == len("+05") else offset, "%z").tzinfo


def microseconds_of(time: datetime.datetime) -> int:
    """Return microseconds since 1970, of UTC if there is a zone; arithmetic with pandas' times would take long."""
    days = time.toordinal() - _EPOCH.toordinal()
    seconds = days * 86_400 + time.hour * 3_600 + time.minute * 60 + time.second
    microseconds = seconds * 1_000_000 + time.microsecond
    offset = time.utcoffset()
    return microseconds if offset is None else microseconds - offset // _MICROSECOND


def present_elements(value: Any) -> list[Any]:
    """Return the elements of a list, None for a missing one; they are of one type, or integers and floats."""
    if isinstance(value, np.ndarray) and value.ndim != 1:
        raise TypeError(f"{shown(value)} is not an array of one dimension.")
    elements = [None if is_missing(element) else element for element in value]
    groups = {_group(element) for element in elements if element is not None}
    if groups & _NO_ELEMENTS or (len(groups) > 1 and groups != {"integer", "float"}):
        raise TypeError(f"{shown(value)} is not a list of strings or of numbers.")
    # Integers beside floats are read as floats.
    largest = _LARGEST_EXACT_INTEGER if len(groups) > 1 else 2**63 - 1
    if any(isinstance(element, int) and not -largest - 1 <= element <= largest for element in elements):
        raise ValueError(f"{shown(value)} holds an integer beyond {largest}.")
    return elements
