"""What later rows won't know: columns that go with time, and tables with values that `fit` hardly saw."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .._warnings import warn
from ..schema import UNKNOWN_CODE
from ._column import Column, is_string
from ._datetime import DatetimeEncoder
from ._vocabulary import CategoricalEncoder, ColumnEncoder, Vocabulary, VocabularyRule

#: Least number of rows to warn.
_MANY_ROWS = 1_000
#: Ids are values of a column with at least so many.
_MANY_CODES = 100
#: Least difference of the shares of unknown rows to warn.
_MANY_MORE = 0.25


@dataclass(frozen=True)
class _Unit:
    """A part of a date that an integer column may hold."""

    name: str
    aliases: frozenset[str]
    smallest: int
    largest: int
    n_values: int | None
    most_values: int | None = None


_UNITS = [
    _Unit("a month", frozenset({"month", "mnth", "monthofyear"}), 0, 12, 12),
    _Unit("a quarter", frozenset({"quarter", "qtr", "quarterofyear"}), 0, 4, 4),
    _Unit("a week", frozenset({"week", "weekofyear", "weeknumber", "weeknum", "isoweek"}), 0, 53, 52),
    _Unit("a day of the year", frozenset({"dayofyear", "yearday", "yday"}), 0, 366, 365),
    _Unit("a day of the month", frozenset({"day", "dayofmonth", "monthday", "mday"}), 0, 31, None),
    # Years of birth or of release are many, years in a log few.
    _Unit("a year", frozenset({"year", "yr"}), 1900, 2200, None, most_values=20),
]
_DAYS_OF_A_WEEK = 7
#: Words before the unit that make it the time of the row. Others make it a property: `birth_month`.
_TIME_WORD = re.compile(
    "time|date|datetime|timestamp|ts|event|click|impression|view|visit|session|request|log|departure|dep|arrival|arr|"
    "sched|scheduled|pickup|dropoff|purchase|order|local|utc"
)
#: Share of the rows that are the last ones.
_LAST = 0.1
#: Share of the rows of a clock that may be out of turn, as in logs that were put together.
_OUT_OF_TURN = 0.01
#: No unit has so many values.
_MANY_DISTINCT = 400


def why_left_out(column: Column) -> str:
    """Say why an integer column is left out unless the user names its kind, if there is a reason."""
    unit = _find_unit(column.name)
    if unit is None:
        return ""
    values = _integers(column.dictionary.dictionary)
    if not _suits(unit, values):
        return ""
    remedy = "name the column in `categorical` or `numeric` to keep it"
    if unit.n_values is None:
        return f"named like {unit.name}, which doesn't come again or says nothing of later days: {remedy}"
    if len(values) >= unit.n_values:
        return ""
    return (
        f"named like {unit.name}, with only {len(values)} of its {unit.n_values} values, so later days would have "
        f"unknown ones: {remedy}"
    )


def why_behind(column: Column, places: np.ndarray) -> str:
    """Say why a column of categories that goes with time is left out: its values in later rows are unknown."""
    indices, distinct = column.dictionary.indices, column.dictionary.dictionary
    rank = np.argsort(pc.array_sort_indices(distinct).to_numpy())
    values = rank[indices.drop_null().to_numpy()]
    places = places[indices.is_valid().to_numpy(zero_copy_only=False)]
    last, others = values[places < _LAST], values[places >= _LAST]
    n_new = np.count_nonzero(~np.isin(last, others))
    if 2 * n_new <= len(last):
        return ""
    in_time = values[np.argsort(-places, kind="stable")]
    # But for a few that are out of turn, the values never fall, or never rise.
    out_of_turn = (np.mean(ordered < np.maximum.accumulate(ordered)) for ordered in (in_time, -in_time))
    if min(out_of_turn) > _OUT_OF_TURN:
        return ""
    return (
        f"goes with time: {n_new / len(last):.0%} of the last rows have new values, and later rows would, too; name "
        "the column in `categorical` or `numeric` to keep it"
    )


def date_parts(name: str, encoder: ColumnEncoder | None) -> list[str]:
    """Return the names of the fields of a column that are parts of a date."""
    if isinstance(encoder, DatetimeEncoder):
        return [field.name for field in encoder.output_fields(name) if field.has_codes]
    if not isinstance(encoder, CategoricalEncoder) or not isinstance(encoder.vocabulary, Vocabulary):
        return []
    unit = _find_unit(name)
    return [name] if unit is not None and _suits(unit, _integers(encoder.vocabulary.values)) else []


def rare_dates(encoder: ColumnEncoder | None, column: Column) -> dict[str, pa.Array]:
    """Return what `fit` saw of dates and gave no code."""
    if not isinstance(encoder, CategoricalEncoder | DatetimeEncoder) or encoder.rule == VocabularyRule():
        return {}
    if not date_parts(column.name, encoder):
        return {}
    parts = zip(_values_of_parts(encoder, column), encoder.vocabularies(column.name).items(), strict=True)
    rare = {
        part: (distinct := values.dictionary.dictionary).filter(pc.invert(pc.is_in(distinct, vocabulary.values)))
        for values, (part, vocabulary) in parts
        if isinstance(vocabulary, Vocabulary)
    }
    return {part: values for part, values in rare.items() if 0 < len(values) <= _MANY_DISTINCT}


def _values_of_parts(encoder: ColumnEncoder, column: Column) -> list[Column]:
    """Return the values of the parts that have codes, which come first."""
    if not isinstance(encoder, DatetimeEncoder):
        return [column]
    return encoder.part_columns(column)[: len(encoder.vocabularies(column.name))]


def _find_unit(name: str) -> _Unit | None:
    # `PickupMonth` is two words, and `DAY_OF_MONTH` three.
    words = re.split(r"[ _.-]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower())
    while len(words) > 1 and _TIME_WORD.fullmatch(words[0]):
        words = words[1:]
    return next((unit for unit in _UNITS if "".join(words) in unit.aliases), None)


def _integers(distinct: pa.Array) -> pa.Array:
    """Return the distinct values as integers; none if they are no integers, or more than any unit has."""
    if len(distinct) > _MANY_DISTINCT:
        return distinct[:0]
    if is_string(distinct.type):
        are_integers = pc.all(pc.match_substring_regex(distinct, r"^[0-9]{1,4}$")).as_py()
        return distinct.cast(pa.int64()) if are_integers else distinct[:0]
    return distinct if pa.types.is_integer(distinct.type) else distinct[:0]


def _suits(unit: _Unit, values: pa.Array) -> bool:
    """Return whether a column of such a name holds what the name says."""
    if not len(values) or (unit.most_values is not None and len(values) > unit.most_values):
        return False
    smallest, largest = (bound.as_py() for bound in pc.min_max(values).values())
    if "day" in unit.aliases and largest - smallest + 1 == len(values) == _DAYS_OF_A_WEEK and smallest <= 1:
        return False  # as likely a day of the week
    return bool(unit.smallest <= smallest and largest <= unit.largest)


class Watch:
    """Watches a table that is encoded for parts of dates that `fit` hardly saw, and for many more unknown ids in rows
    that come after the training rows, unless the user expects these.
    """

    def __init__(self, rare: Mapping[str, pa.Array], expects_later_rows: bool) -> None:
        self._rare = rare
        self._expects_later_rows = expects_later_rows
        self._dates: list[str] = []
        self._time = ""
        self._unknown: list[tuple[float, float, str]] = []

    def look(self, encoder: ColumnEncoder, column: Column, outputs: Sequence[np.ndarray]) -> None:
        """Look at the values of a column, and at their codes."""
        n_present = len(column) - column.n_missing
        if n_present and len(column) >= _MANY_ROWS:
            self._look_at_dates(encoder, column, outputs)
        if n_present < _MANY_ROWS:
            return
        if isinstance(encoder, DatetimeEncoder) and 2 * encoder.count_later(column) > n_present:
            self._time = column.name
        if not isinstance(encoder, CategoricalEncoder) or encoder.admission is None:
            return
        if encoder.vocabulary.n_codes > _MANY_CODES:
            share = (np.count_nonzero(outputs[0] == UNKNOWN_CODE) - column.n_missing) / n_present
            self._unknown.append((share, encoder.admission.share_new, column.name))

    def _look_at_dates(self, encoder: ColumnEncoder, column: Column, outputs: Sequence[np.ndarray]) -> None:
        """Remember the parts of dates that are unknown in most rows that have a value."""
        for place, part in enumerate(date_parts(column.name, encoder)):
            n_unknown = np.count_nonzero(outputs[place] == UNKNOWN_CODE) - column.n_missing
            if part in self._rare:
                values = _values_of_parts(encoder, column)[place].values
                n_unknown -= pc.sum(pc.is_in(values, value_set=self._rare[part])).as_py()
            if 2 * n_unknown > len(column) - column.n_missing:
                self._dates.append(part)

    def warn(self) -> None:
        """Say which parts of dates are unknown, and which column has how many more unknown ids."""
        if self._dates:
            names = ", ".join(map(repr, dict.fromkeys(self._dates)))
            warn(
                f"Most rows hold parts of dates that fit didn't see: {names}. The probabilities of these rows can be "
                "far off. Leave these columns out (by `drop` or `datetime_parts`), or fit to rows of a full period.",
            )
        share, expected, name = max(self._unknown, key=lambda column: column[0] - column[1], default=(0.0, 0.0, ""))
        if self._time and share > expected + _MANY_MORE and not self._expects_later_rows:
            warn(
                f"{share:.0%} of these rows, which come after the training rows, have values of {name!r} that fit "
                f"didn't see; among the training rows, about {expected:.0%} were new in this way. Probabilities of "
                f"such rows can be too sure. If you predict later rows, fit with CTREncoder(hold_out={self._time!r})."
            )
