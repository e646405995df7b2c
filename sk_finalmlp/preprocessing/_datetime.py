"""Parts of datetimes, such as hour and weekday, and the order of rows in time."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..schema import Field
from ._column import Column, show_first
from ._numeric import FloatColumn, mean_and_deviation, present_values
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
_NOW = 0.8
#: In fewer rows, what the last fifth of them clicks is too much a matter of chance to be what is so "now".
_MIN_ROWS_TO_ELAPSE = 50_000
#: Times farther from this share of the earliest and latest ones than this many times the distance of the two between
#: them are outliers.
_TAIL, _REACH = 0.1, 2.0
_AUTOMATIC_PARTS = ("hour", "weekday", "weekend", _ELAPSED)

#: Parts that come again within a week: how many hours or days a full period has.
_HOURS_OF_A_DAY, _DAYS_OF_A_WEEK = 24, 7

_OFFSET = re.compile(r"([+-])(\d\d):?(\d\d)")
_MICROSECONDS_OF_A_MINUTE = 60_000_000


class ElapsedTime(FloatColumn):
    """Standardised time since the first row, constant from the last fifth on; a missing time counts as the mean."""

    def fit(self, column: Column, weights: np.ndarray | None) -> Self:
        """Learn first, last, mean and deviation."""
        present, repeats = present_values(column, None)
        _, weights = present_values(column, weights)
        self.first = self.last = 0
        if len(present):
            first, _ = _usual_range(present, repeats)
            self.first, self.last = int(first), int(_quantiles(present, repeats, np.array([_NOW]))[0])
        self.mean, self.deviation = mean_and_deviation(self._elapsed(present), weights)
        return self

    def transform(self, column: Column) -> list[np.ndarray]:
        times = column.floats
        if self.deviation == 0:
            return [np.zeros(len(times), np.float32)]
        return [np.where(np.isnan(times), 0.0, self._standardised(times)).astype(np.float32)]

    @property
    def now(self) -> np.float32:
        """The number of the last fifth of the rows, and of all later ones."""
        return np.float32(self._standardised(np.array(self.last)))

    def _standardised(self, times: np.ndarray) -> np.ndarray:
        return (self._elapsed(times) - self.mean) / self.deviation

    def _elapsed(self, times: np.ndarray) -> np.ndarray:
        return (np.clip(times, self.first, self.last) - self.first).astype(np.float64)


def _latest(column: Column) -> int:
    """Return the latest time; the smallest number if there is none."""
    times, repeats = present_values(column, None)
    return int(_usual_range(times, repeats)[1]) if len(times) else np.iinfo(np.int64).min


def _usual_range(times: np.ndarray, repeats: np.ndarray | None) -> tuple[float, float]:
    """Return the first and the last time but for outliers, such as 1970 in place of a missing time."""
    low, high = _quantiles(times, repeats, np.array([_TAIL, 1 - _TAIL])).astype(np.float64)
    reach = _REACH * (high - low) or np.inf
    usual = times[(low - reach <= times) & (times <= high + reach)]
    return float(usual.min()), float(usual.max())


def _quantiles(times: np.ndarray, repeats: np.ndarray | None, shares: np.ndarray) -> np.ndarray:
    """Return the times with these shares of the rows up to them, where each time stands for so many rows."""
    if repeats is None:
        return np.quantile(times, shares, method="lower")
    order = np.argsort(times)
    ends = np.cumsum(repeats[order])
    numbers = (shares * (ends[-1] - 1)).astype(np.int64)
    return times[order][np.searchsorted(ends, numbers, side="right")]


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
        unfit, self.left_out = _too_short_for(times) if self.parts is None else ((), "")
        if not has_time_of_day(times):
            unfit = (*unfit, "hour")
        if self.parts is None and len(column) < _MIN_ROWS_TO_ELAPSE:
            unfit = (*unfit, _ELAPSED)
        parts = [part for part in self.parts or _AUTOMATIC_PARTS if part not in unfit]
        # Parts with codes come first, in any order of the user's.
        parts.sort(key=lambda part: part == _ELAPSED)
        self.encoders: dict[str, CategoricalEncoder | ElapsedTime] = {
            part: ElapsedTime() if part == _ELAPSED else CategoricalEncoder(self.rule) for part in parts
        }
        for encoder, part_column in zip(self.encoders.values(), self.part_columns(column), strict=True):
            encoder.fit(part_column, weights)
        self.latest = _latest(column)
        return self

    def elapsed_now(self, name: str) -> dict[str, np.float32]:
        """Return the elapsed time of the last rows, by the name of its field, where time elapses."""
        encoders = ((part, encoder) for part, encoder in self.encoders.items() if isinstance(encoder, ElapsedTime))
        return {f"{name}_{part}": encoder.now for part, encoder in encoders if encoder.deviation}

    def count_later(self, column: Column) -> int:
        """Return the number of rows after the training rows."""
        return int(np.count_nonzero(column.floats > self.latest))

    def grow(self, column: Column, decay: float) -> tuple[Self, list[np.ndarray]]:
        parts = zip(self.encoders.values(), self.part_columns(column), strict=True)
        grown = [encoder.grow(part, decay) for encoder, part in parts]
        encoder = copy(self)
        encoder.encoders = {part: of_part for part, (of_part, _) in zip(self.encoders, grown, strict=True)}
        encoder.latest = max(self.latest, _latest(column))
        return encoder, [codes for _, fresh in grown for codes in fresh]

    def transform(self, column: Column) -> list[np.ndarray]:
        parts = zip(self.encoders.values(), self.part_columns(column), strict=True)
        return [encoder.transform(part)[0] for encoder, part in parts]

    def part_columns(self, column: Column) -> list[Column]:
        """Return the values of each part."""
        local = column.with_values(_local_times(column.values))
        return [local if part == _ELAPSED else local.with_values(_part(part, local.values)) for part in self.encoders]

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
    if times.type.tz is not None:
        # In some zones clocks skip midnight.
        times = pc.local_timestamp(times)
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


def _part(part: str, times: pa.Array) -> pa.Array:
    if part == "hour" and pa.types.is_date(times.type):
        raise TypeError(
            f"{show_first(times)} is a date, whose hour isn't known, but fit saw times of day. Give times, such as by "
            "`pandas.to_datetime`."
        )
    return _PARTS[part](times)
