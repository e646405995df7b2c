"""Datetime columns: the parts of a time by which clicking habits differ."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..schema import Field
from ._categorical import CategoricalEncoder, HashBuckets, VocabularyRule
from ._column import Column
from ._numeric import FloatColumn
from ._reading import to_numpy
from ._vocabulary import Vocabulary

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
_AUTOMATIC_PARTS = ("hour", "weekday", "weekend", _ELAPSED)

#: Parts that come again within a week: how many hours or days a full period has.
_HOURS_OF_A_DAY, _DAYS_OF_A_WEEK = 24, 7

_OFFSET = re.compile(r"([+-])(\d\d):?(\d\d)")
_MICROSECONDS_OF_A_MINUTE = 60_000_000


class ElapsedTime(FloatColumn):
    """Time since the first row of fit, standardised. The last tenth of the rows and all later ones stand at one time,
    so that no network extrapolates; a missing time counts as the mean.
    """

    def fit(self, column: Column, weights: np.ndarray | None) -> Self:
        """Learn first, last, mean and deviation."""
        times, is_present = _microseconds(column)
        present = times[is_present]
        repeats = None if column.repeats is None else column.repeats[is_present]
        weights = repeats if weights is None else weights[is_present]
        self.first = self.last = 0
        self.mean = self.deviation = 0.0
        if len(present):
            self.first, self.last = int(present.min()), _late_time(present, repeats)
            elapsed = self._elapsed(present)
            self.mean = float(np.average(elapsed, weights=weights))
            self.deviation = float(np.average((elapsed - self.mean) ** 2, weights=weights) ** 0.5)
        return self

    def transform(self, column: Column) -> list[np.ndarray]:
        """Deviation from the mean in standard deviations."""
        times, is_present = _microseconds(column)
        if self.deviation == 0:
            return [np.zeros(len(times), np.float32)]
        deviations = (self._elapsed(times) - self.mean) / self.deviation
        return [np.where(is_present, deviations, 0.0).astype(np.float32)]

    def _elapsed(self, times: np.ndarray) -> np.ndarray:
        elapsed: np.ndarray = (np.clip(times, self.first, self.last) - self.first).astype(np.float64)
        return elapsed


def _late_time(times: np.ndarray, repeats: np.ndarray | None) -> int:
    """The time behind which the last tenth of the rows is, where each time stands for so many rows."""
    if repeats is None:
        return int(np.quantile(times, _NOW, method="lower"))
    order = np.argsort(times)
    ends = np.cumsum(repeats[order])
    return int(times[order][np.searchsorted(ends, int(_NOW * (ends[-1] - 1)), side="right")])


class DatetimeEncoder:
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
        # Those with codes come first, whatever the order in which the user names them.
        parts.sort(key=lambda part: part == _ELAPSED)
        self.encoders = {part: self._make_encoder(part) for part in parts}
        for part, encoder in self.encoders.items():
            encoder.fit(Column(part, _part(part, times).values, column.tally), weights)
        return self

    def grow(self, column: Column, decay: float) -> tuple[Self, list[np.ndarray]]:
        """The encoder after more rows, and for each part the codes that stand for other values now."""
        times = _local_times(column.values)
        grown = {part: encoder.grow(_part(part, times), decay) for part, encoder in self.encoders.items()}
        encoder = copy(self)
        encoder.encoders = {part: of_part for part, (of_part, _) in grown.items()}
        return encoder, [codes for _, fresh in grown.values() for codes in fresh]

    def _make_encoder(self, part: str) -> CategoricalEncoder | ElapsedTime:
        return ElapsedTime() if part == _ELAPSED else CategoricalEncoder(self.rule)

    def transform(self, column: Column) -> list[np.ndarray]:
        """Codes of each part, and the elapsed time."""
        parts = zip(self.encoders.values(), self.part_columns(column), strict=True)
        return [encoder.transform(part)[0] for encoder, part in parts]

    def part_columns(self, column: Column) -> list[Column]:
        """The values of each part."""
        times = _local_times(column.values)
        return [_part(part, times) for part in self.encoders]

    def inverse_transform(self, outputs: list[np.ndarray]) -> pa.Array:
        """All null: the parts don't make up a time."""
        return pa.nulls(len(outputs[0]))

    def output_fields(self, name: str) -> list[Field]:
        """One field per part."""
        return [field for part, encoder in self.encoders.items() for field in encoder.output_fields(f"{name}_{part}")]

    def vocabularies(self, name: str) -> Mapping[str, Vocabulary | HashBuckets]:
        """The vocabulary of each part that has codes."""
        return {
            field: vocabulary
            for part, encoder in self.encoders.items()
            for field, vocabulary in encoder.vocabularies(f"{name}_{part}").items()
        }


def has_time_of_day(times: pa.Array) -> bool:
    """Whether timestamps are more than dates: not all of them at midnight."""
    if pa.types.is_date(times.type):
        return False
    times = _local_times(times)
    return bool(pc.any(pc.not_equal(times, pc.floor_temporal(times, unit="day"))).as_py())


def _local_times(times: pa.Array) -> pa.Array:
    """Times as the clocks showed them where the zone is a fixed offset, which older versions of Arrow don't know."""
    offset = _OFFSET.fullmatch(getattr(times.type, "tz", None) or "")
    if offset is None:
        return times
    sign, hours, minutes = offset.groups()
    microseconds = int(f"{sign}1") * (60 * int(hours) + int(minutes)) * _MICROSECONDS_OF_A_MINUTE
    return pc.add(times.cast(pa.int64()), microseconds).cast(pa.timestamp("us"))


def _too_short_for(times: pa.Array) -> tuple[tuple[str, ...], str]:
    """Parts of which the rows cover no full period, so that those of later rows would be unknown; and why."""
    first, last = pc.min_max(times).values()
    if has_time_of_day(times) and _n_touched(pc.hours_between(first, last)) < _HOURS_OF_A_DAY:
        return _AUTOMATIC_PARTS, "without hour, weekday and weekend, since the rows are of less than 24 h"
    if _n_touched(pc.days_between(first, last)) < _DAYS_OF_A_WEEK:
        # What differs between the days of a week can't be told from what changes with time.
        why = "without weekday and weekend, since the rows are of less than 7 days"
        return ("weekday", "weekend", _ELAPSED), why
    return (), ""


def _n_touched(n_between: pa.Scalar) -> int:
    """Number of hours or days from the first to the last, both counted as a whole; 0 without any."""
    return n_between.as_py() + 1 if n_between.is_valid else 0


def _part(part: str, times: pa.Array) -> Column:
    if part == "hour" and pa.types.is_date(times.type):
        return Column(part, pa.nulls(len(times), pa.int64()))
    return Column(part, times if part == _ELAPSED else _PARTS[part](times))


def _microseconds(column: Column) -> tuple[np.ndarray, np.ndarray]:
    """Times since 1970, and which of them are present."""
    is_present = column.values.is_valid().to_numpy(zero_copy_only=False)
    times = column.values.cast(pa.timestamp("us", getattr(column.values.type, "tz", None))).cast(pa.int64())
    return to_numpy(times.fill_null(0)), is_present
