"""Datetime columns: the parts of a time by which clicking habits differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..fields import Field
from ._categorical import CategoricalEncoder, HashBuckets, VocabularyRule
from ._column import Column
from ._vocabulary import Vocabulary

_SATURDAY = 5

_PARTS: dict[str, Callable[[pa.Array], pa.Array]] = {
    "hour": pc.hour,
    "weekday": pc.day_of_week,
    "weekend": lambda times: pc.greater_equal(pc.day_of_week(times), _SATURDAY),
    "day": pc.day,
}


class DatetimeEncoder:
    """Hour, weekday (0 is Monday), weekend and day of the month, each as a categorical field.

    A column of dates has no hour, nor has one of times that are all at midnight.
    """

    def __init__(self, rule: VocabularyRule) -> None:
        self.rule = rule

    def fit(self, column: Column, weights: np.ndarray | None) -> Self:
        """Learn which hours, weekdays and days occur."""
        times = column.values
        parts = [part for part in _PARTS if part != "hour" or has_time_of_day(times)]
        self.encoders = {part: CategoricalEncoder(self.rule) for part in parts}
        for part, encoder in self.encoders.items():
            encoder.fit(_part(part, times), weights)
        return self

    def transform(self, column: Column) -> list[np.ndarray]:
        """Codes of each part."""
        times = column.values
        return [encoder.transform(_part(part, times))[0] for part, encoder in self.encoders.items()]

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
    return bool(pc.any(pc.not_equal(times, pc.floor_temporal(times, unit="day"))).as_py())


def _part(part: str, times: pa.Array) -> Column:
    if part == "hour" and pa.types.is_date(times.type):
        return Column(part, pa.nulls(len(times), pa.int64()))
    return Column(part, _PARTS[part](times))
