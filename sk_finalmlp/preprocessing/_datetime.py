"""Parts of datetimes, such as hour and weekday, and integer columns that hold such parts."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .._warnings import warn
from ..schema import UNKNOWN_CODE, Field
from ._column import Column, is_string
from ._numeric import FloatColumn
from ._reading import to_numpy
from ._vocabulary import CategoricalEncoder, ColumnEncoder, HashBuckets, Vocabulary, VocabularyRule

_SATURDAY = 5

_PARTS: dict[str, Callable[[pa.Array], pa.Array]] = {
    "hour": pc.hour,
    "weekday": pc.day_of_week,
    "weekend": lambda times: pc.greater_equal(pc.day_of_week(times), _SATURDAY),
    "day": pc.day,
    "month": pc.month,
}
_ELAPSED = "elapsed"
DATETIME_PARTS = (*_PARTS, _ELAPSED)
#: Rows after so large a share of all are as late as any later one.
_NOW = 0.9
#: In fewer rows, what the last tenth of them clicks is too much a matter of chance to be what is so "now".
_MIN_ROWS_TO_ELAPSE = 50_000
#: Blocks of about equal size, in time.
N_BLOCKS = 5
_AUTOMATIC_PARTS = ("hour", "weekday", "weekend", _ELAPSED)

#: Parts that come again within a week: how many hours or days a full period has.
_HOURS_OF_A_DAY, _DAYS_OF_A_WEEK = 24, 7

_OFFSET = re.compile(r"([+-])(\d\d):?(\d\d)")
_MICROSECONDS_OF_A_MINUTE = 60_000_000


class ElapsedTime(FloatColumn):
    """Standardised time since the first row, constant from the last tenth on; a missing time counts as the mean."""

    def fit(self, column: Column, weights: np.ndarray | None) -> Self:
        """Learn first, last, mean and deviation."""
        times, is_present = _microseconds(column)
        present = times[is_present]
        repeats = None if column.repeats is None else column.repeats[is_present]
        weights = repeats if weights is None else weights[is_present]
        self.first = self.last = 0
        self.mean = self.deviation = 0.0
        if len(present):
            self.first, self.last = int(present.min()), int(_quantiles(present, repeats, np.array([_NOW]))[0])
            elapsed = self._elapsed(present)
            self.mean = float(np.average(elapsed, weights=weights))
            self.deviation = float(np.average((elapsed - self.mean) ** 2, weights=weights) ** 0.5)
        return self

    def transform(self, column: Column) -> list[np.ndarray]:
        times, is_present = _microseconds(column)
        if self.deviation == 0:
            return [np.zeros(len(times), np.float32)]
        deviations = (self._elapsed(times) - self.mean) / self.deviation
        return [np.where(is_present, deviations, 0.0).astype(np.float32)]

    def _elapsed(self, times: np.ndarray) -> np.ndarray:
        elapsed: np.ndarray = (np.clip(times, self.first, self.last) - self.first).astype(np.float64)
        return elapsed


def _latest(column: Column) -> int:
    """Return the latest time; the smallest number if there is none."""
    times, is_present = _microseconds(column)
    return int(times[is_present].max(initial=np.iinfo(np.int64).min))


def _first_of_blocks(column: Column) -> np.ndarray:
    """Return the first time of each block but the first; rows of one time are in one block."""
    times, is_present = _microseconds(column)
    times = times[is_present]
    repeats = None if column.repeats is None else column.repeats[is_present]
    if not len(times):
        return np.empty(0, np.int64)
    firsts = _quantiles(times, repeats, np.arange(1, N_BLOCKS) / N_BLOCKS)
    distinct: np.ndarray = np.unique(firsts[firsts > times.min()])
    return distinct


def _quantiles(times: np.ndarray, repeats: np.ndarray | None, shares: np.ndarray) -> np.ndarray:
    """Return the times with these shares of the rows up to them, where each time stands for so many rows."""
    if repeats is None:
        quantiles: np.ndarray = np.quantile(times, shares, method="lower")
        return quantiles
    order = np.argsort(times)
    ends = np.cumsum(repeats[order])
    numbers = (shares * (ends[-1] - 1)).astype(np.int64)
    in_order: np.ndarray = times[order][np.searchsorted(ends, numbers, side="right")]
    return in_order


class DatetimeEncoder(ColumnEncoder):
    """Parts of a time, each as a categorical field (weekday 0 is Monday), and the elapsed time as a numeric one;
    `parts` is None for "auto", and `left_out` says which parts the rows don't cover.
    """

    def __init__(self, rule: VocabularyRule, parts: Sequence[str] | None) -> None:
        self.rule = rule
        self.parts = parts

    def fit(self, column: Column, weights: np.ndarray | None) -> Self:
        """Learn which hours, weekdays and so on occur."""
        times = _local_times(column.values)
        too_few, self.left_out = _too_short_for(times) if self.parts is None else ((), "")
        parts = [part for part in self.parts or _AUTOMATIC_PARTS if part not in too_few]
        if not has_time_of_day(times):
            parts = [part for part in parts if part != "hour"]
        if self.parts is None and len(column) < _MIN_ROWS_TO_ELAPSE:
            parts = [part for part in parts if part != _ELAPSED]
        # Parts with codes come first, in any order of the user's.
        parts.sort(key=lambda part: part == _ELAPSED)
        self.encoders: dict[str, CategoricalEncoder | ElapsedTime] = {
            part: ElapsedTime() if part == _ELAPSED else CategoricalEncoder(self.rule) for part in parts
        }
        for part, encoder in self.encoders.items():
            encoder.fit(Column(part, _part(part, times).values, column.tally), weights)
        self.first_of_blocks = _first_of_blocks(column)
        self.latest = _latest(column)
        return self

    def count_later(self, column: Column) -> int:
        """Return the number of rows after the training rows."""
        times, is_present = _microseconds(column)
        return int(np.count_nonzero(times[is_present] > self.latest))

    def blocks(self, column: Column) -> np.ndarray:
        """Return the number of each row's block in time; the first if the time is missing."""
        times, is_present = _microseconds(column)
        blocks: np.ndarray = np.searchsorted(self.first_of_blocks, times, side="right").astype(np.int32)
        blocks[~is_present] = 0
        return blocks

    @property
    def n_blocks(self) -> int:
        """Number of blocks in time."""
        return len(self.first_of_blocks) + 1

    @property
    def middle_time(self) -> int:
        """A time in the middle of the rows, in microseconds."""
        return int(self.first_of_blocks[len(self.first_of_blocks) // 2])

    def grow(self, column: Column, decay: float) -> tuple[Self, list[np.ndarray]]:
        times = _local_times(column.values)
        grown = {part: encoder.grow(_part(part, times), decay) for part, encoder in self.encoders.items()}
        encoder = copy(self)
        encoder.encoders = {part: of_part for part, (of_part, _) in grown.items()}
        encoder.latest = max(self.latest, _latest(column))
        return encoder, [codes for _, fresh in grown.values() for codes in fresh]

    def transform(self, column: Column) -> list[np.ndarray]:
        parts = zip(self.encoders.values(), self.part_columns(column), strict=True)
        return [encoder.transform(part)[0] for encoder, part in parts]

    def part_columns(self, column: Column) -> list[Column]:
        """Return the values of each part."""
        times = _local_times(column.values)
        return [_part(part, times) for part in self.encoders]

    def output_fields(self, name: str) -> list[Field]:
        return [field for part, encoder in self.encoders.items() for field in encoder.output_fields(f"{name}_{part}")]

    def vocabularies(self, name: str) -> Mapping[str, Vocabulary | HashBuckets]:
        return {
            field: vocabulary
            for part, encoder in self.encoders.items()
            for field, vocabulary in encoder.vocabularies(f"{name}_{part}").items()
        }


def has_time_of_day(times: pa.Array) -> bool:
    """Return whether timestamps are more than dates: not all of them at midnight."""
    if pa.types.is_date(times.type):
        return False
    times = _local_times(times)
    return bool(pc.any(pc.not_equal(times, pc.floor_temporal(times, unit="day"))).as_py())


def _local_times(times: pa.Array) -> pa.Array:
    """Return times as clocks showed them in a zone of a fixed offset, which older versions of Arrow don't know."""
    offset = _OFFSET.fullmatch(getattr(times.type, "tz", None) or "")
    if offset is None:
        return times
    sign, hours, minutes = offset.groups()
    microseconds = int(f"{sign}1") * (60 * int(hours) + int(minutes)) * _MICROSECONDS_OF_A_MINUTE
    return pc.add(times.cast(pa.int64()), microseconds).cast(pa.timestamp("us"))


def _too_short_for(times: pa.Array) -> tuple[tuple[str, ...], str]:
    """Return the parts that would be unknown in later rows, because these cover no full period; and why."""
    first, last = pc.min_max(times).values()
    if has_time_of_day(times) and _n_touched(pc.hours_between(first, last)) < _HOURS_OF_A_DAY:
        return _AUTOMATIC_PARTS, "without hour, weekday and weekend, since the rows are of less than 24 h"
    if _n_touched(pc.days_between(first, last)) < _DAYS_OF_A_WEEK:
        # Weekday and trend can't be told apart.
        why = "without weekday and weekend, since the rows are of less than 7 days"
        return ("weekday", "weekend", _ELAPSED), why
    return (), ""


def _n_touched(n_between: pa.Scalar) -> int:
    """Return the number of hours or days from the first to the last, both counted as a whole; 0 without any."""
    return n_between.as_py() + 1 if n_between.is_valid else 0


def _part(part: str, times: pa.Array) -> Column:
    if part == "hour" and pa.types.is_date(times.type):
        return Column(part, pa.nulls(len(times), pa.int64()))
    return Column(part, times if part == _ELAPSED else _PARTS[part](times))


def _microseconds(column: Column) -> tuple[np.ndarray, np.ndarray]:
    """Return times since 1970, and which of them are present."""
    is_present = column.values.is_valid().to_numpy(zero_copy_only=False)
    times = column.values.cast(pa.timestamp("us", getattr(column.values.type, "tz", None))).cast(pa.int64())
    return to_numpy(times.fill_null(0)), is_present


#: Least number of rows to warn that most are unknown.
_MANY_ROWS = 1_000


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
    if not any(_never_falls(ordered) for ordered in (in_time, -in_time)):
        return ""
    return (
        f"goes with time: {n_new / len(last):.0%} of the last rows have new values, and later rows would, too; name "
        "the column in `categorical` or `numeric` to keep it"
    )


def _never_falls(values: np.ndarray) -> bool:
    """Return whether values never fall, but for a few that are out of turn."""
    return bool(np.mean(values < np.maximum.accumulate(values)) <= _OUT_OF_TURN)


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
        part: _without(values.dictionary.dictionary, vocabulary.values)
        for values, (part, vocabulary) in parts
        if isinstance(vocabulary, Vocabulary)
    }
    return {part: values for part, values in rare.items() if 0 < len(values) <= _MANY_DISTINCT}


def _values_of_parts(encoder: ColumnEncoder, column: Column) -> list[Column]:
    """Return the values of the parts that have codes, which come first."""
    if not isinstance(encoder, DatetimeEncoder):
        return [column]
    return encoder.part_columns(column)[: len(encoder.vocabularies(column.name))]


def _without(values: pa.Array, others: pa.Array) -> pa.Array:
    return values.filter(pc.invert(pc.is_in(values, value_set=others)))


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


class UnknownDates:
    """Watches a table that is encoded for parts of dates that `fit` hardly saw."""

    def __init__(self, rare: Mapping[str, pa.Array]) -> None:
        self._rare = rare
        self._names: list[str] = []

    def look(self, encoder: ColumnEncoder, column: Column, outputs: Sequence[np.ndarray]) -> None:
        """Remember the parts of a column that are unknown in most rows that have a value."""
        n_present = len(column) - column.n_missing
        if len(column) < _MANY_ROWS or not n_present:
            return
        parts = date_parts(column.name, encoder)
        for place, part in enumerate(parts):
            n_unknown = np.count_nonzero(outputs[place] == UNKNOWN_CODE) - column.n_missing
            if part in self._rare:
                values = _values_of_parts(encoder, column)[place].values
                n_unknown -= pc.sum(pc.is_in(values, value_set=self._rare[part])).as_py()
            if 2 * n_unknown > n_present:
                self._names.append(part)

    def warn(self) -> None:
        """Say which they are."""
        if self._names:
            names = ", ".join(map(repr, dict.fromkeys(self._names)))
            warn(
                f"Most rows hold parts of dates that fit didn't see: {names}. The probabilities of these rows can be "
                "far off. Leave these columns out (by `drop` or `datetime_parts`), or fit to rows of a full period.",
            )
