"""What each column of a raw table is, and why."""

from __future__ import annotations

from typing import Literal, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from ._column import Column, is_string
from ._datetime import has_time_of_day
from ._multi_valued import split

Kind = Literal["categorical", "numeric", "multi-valued", "datetime", "dropped"]

#: Integers of which a larger share is distinct are quantities.  Close to 1, because an id that is taken for a quantity
#: costs much more than a quantity that is taken for an id.
_QUANTITY_SHARE = 0.98
#: A separator in a smaller share of the distinct strings is an accident.
_MIN_SEPARATED_SHARE = 0.1
#: Elements that come less often than this on average, over distinct strings, are words of a text or parts of a key.
_MIN_ELEMENT_REUSE = 1.5


class Finding(NamedTuple):
    """What a column was found to be.

    Parameters
    ----------
    kind : {"categorical", "numeric", "multi-valued", "datetime", "dropped"}
        The kind.
    why : str
        The reason, for a reader.
    """

    kind: Kind
    why: str


def find_kind(column: Column, separator: str) -> Finding:
    """Find out what a column is from the type of its values and how often they repeat.

    Parameters
    ----------
    column : Column
        A column in which integral doubles are integers.
    separator : str
        What stands between the elements of a multi-valued string.

    Returns
    -------
    Finding
        The kind and the reason.
    """
    dtype = column.values.type
    if pa.types.is_large_list(dtype):
        return _find_list_kind(column)
    if column.n_missing == len(column):
        return Finding("numeric" if pa.types.is_floating(dtype) else "categorical", "no values")
    if is_string(dtype):
        return _find_string_kind(column, separator)
    if pa.types.is_uint64(dtype):
        return Finding("categorical", "integers beyond 63 bits, as hashes are")
    if pa.types.is_integer(dtype):
        return _find_integer_kind(column)
    if pa.types.is_floating(dtype):
        return Finding("numeric", "numbers with a fractional part")
    if pa.types.is_duration(dtype):
        return Finding("numeric", "durations, in seconds")
    if pa.types.is_timestamp(dtype) or pa.types.is_date(dtype):
        return Finding("datetime", "dates with a time of day" if has_time_of_day(column.values) else "dates")
    return Finding("categorical", "true or false")


def _find_list_kind(column: Column) -> Finding:
    if pa.types.is_floating(column.values.type.value_type):
        raise TypeError(
            "it holds lists of numbers with a fractional part, which are no elements of a set. Give each position a "
            "column of its own, or name the column in `drop`."
        )
    return Finding("multi-valued", "lists")


def _find_string_kind(column: Column, separator: str) -> Finding:
    if _is_separated(column.dictionary.dictionary, separator):
        return Finding("multi-valued", f"strings of recurring elements, separated by {separator!r}")
    repeating = "strings" if _repeats(column) else "strings that hardly repeat"
    return Finding("categorical", f"{repeating}: {facts(column)}")


def _is_separated(distinct: pa.Array, separator: str) -> bool:
    n_separated = pc.sum(pc.match_substring(distinct, separator)).as_py() or 0
    if n_separated == 0 or n_separated < _MIN_SEPARATED_SHARE * len(distinct):
        return False
    elements = split(distinct, separator).flatten().drop_null()
    n_distinct: int = pc.count_distinct(elements).as_py()
    return len(elements) >= _MIN_ELEMENT_REUSE * n_distinct


def _find_integer_kind(column: Column) -> Finding:
    if _repeats(column):
        return Finding("categorical", f"integers that repeat: {facts(column)}")
    return Finding("numeric", f"integers that hardly repeat: {facts(column)}")


def _repeats(column: Column) -> bool:
    return len(column.dictionary.dictionary) <= _QUANTITY_SHARE * (len(column) - column.n_missing)


def facts(column: Column) -> str:
    """How often values repeat, for a reader."""
    return f"{len(column.dictionary.dictionary)} distinct of {len(column) - column.n_missing}"
