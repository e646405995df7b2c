"""Datetime columns: the parts of a time by which clicking habits differ."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...fields import Field
from ..tables._column import Column
from ._categorical import CategoricalEncoder, HashBuckets, VocabularyRule
from ._vocabulary import Vocabulary

_SATURDAY = 5

_PARTS: dict[str, Callable[[pa.Array], pa.Array]] = {
    "hour": pc.hour,
    "weekday": pc.day_of_week,
    "weekend": lambda times: pc.greater_equal(pc.day_of_week(times), _SATURDAY),
    "day": pc.day,
    "month": pc.month,
}
DATETIME_PARTS = tuple(_PARTS)

#: Parts that come again within a week: how many hours or days a full period has.
_HOURS_OF_A_DAY, _DAYS_OF_A_WEEK = 24, 7

_OFFSET = re.compile(r"([+-])(\d\d):?(\d\d)")
_MICROSECONDS_OF_A_MINUTE = 60_000_000


class DatetimeEncoder:
    """Parts of a time, each as a categorical field: weekday 0 is Monday.

    A column of dates has no hour, nor has one of times that are all at midnight.

    Parameters
    ----------
    rule : VocabularyRule
        Which values get codes of their own.
    parts : sequence of str or None
        The parts; None for hour, weekday and weekend where the rows of fit cover a full period.

    Attributes
    ----------
    left_out : str
        Which parts these rows don't cover, for a reader; empty if there are none.
    """

    def __init__(self, rule: VocabularyRule, parts: Sequence[str] | None) -> None:
        self.rule = rule
        self.parts = parts

    def fit(self, column: Column, weights: np.ndarray | None) -> Self:
        """Learn which hours, weekdays and so on occur."""
        times = _local_times(column.values)
        too_few, self.left_out = _too_short_for(times) if self.parts is None else ((), "")
        parts = [part for part in self.parts or ("hour", "weekday", "weekend") if part not in too_few]
        parts = [part for part in parts if part != "hour" or has_time_of_day(times)]
        self.encoders = {part: CategoricalEncoder(self.rule) for part in parts}
        for part, encoder in self.encoders.items():
            encoder.fit(_part(part, times), weights)
        return self

    def grow(self, column: Column, decay: float) -> tuple[Self, list[np.ndarray]]:
        """The encoder after more rows, and for each part the codes that stand for other values now."""
        times = _local_times(column.values)
        grown = {part: encoder.grow(_part(part, times), decay) for part, encoder in self.encoders.items()}
        encoder = copy(self)
        encoder.encoders = {part: of_part for part, (of_part, _) in grown.items()}
        return encoder, [codes for _, fresh in grown.values() for codes in fresh]

    def transform(self, column: Column) -> list[np.ndarray]:
        """Codes of each part."""
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
        """One categorical field per part."""
        return [field for part, encoder in self.encoders.items() for field in encoder.output_fields(f"{name}_{part}")]

    def vocabularies(self, name: str) -> Mapping[str, Vocabulary | HashBuckets]:
        """The vocabulary of each part."""
        return {f"{name}_{part}": encoder.vocabulary for part, encoder in self.encoders.items()}


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
        return (
            "hour",
            "weekday",
            "weekend",
        ), "without hour, weekday and weekend, since the rows are of less than 24 h"
    if _n_touched(pc.days_between(first, last)) < _DAYS_OF_A_WEEK:
        return ("weekday", "weekend"), "without weekday and weekend, since the rows are of less than 7 days"
    return (), ""


def _n_touched(n_between: pa.Scalar) -> int:
    """Number of hours or days from the first to the last, both counted as a whole; 0 without any."""
    return n_between.as_py() + 1 if n_between.is_valid else 0


def _part(part: str, times: pa.Array) -> Column:
    if part == "hour" and pa.types.is_date(times.type):
        return Column(part, pa.nulls(len(times), pa.int64()))
    return Column(part, _PARTS[part](times))
