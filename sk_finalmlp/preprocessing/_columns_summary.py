"""A fitted encoder in a few lines."""

from __future__ import annotations

from itertools import islice
from typing import Any

import numpy as np
import pandas as pd

from .._sklearn import FittedSummary, Summary

_MAX_VALUES = 3
_MAX_LENGTH = 24


class ColumnsSummary(FittedSummary):
    """Mixin that shows what the encoder found in each column, and which statistics it makes."""

    def _summaries(self: Any) -> list[Summary]:
        categories = self.categories_
        columns = [
            (name, found["kind"], _describe_values(found, categories.get(str(name))), found["why"])
            for name, found in self.feature_kinds_.iterrows()
        ]
        statistics = [
            (name, ", ".join(measure for measure in ("rate", "count") if choice[measure]), choice["why"])
            for name, choice in self.statistics_.iterrows()
            if choice["rate"] or choice["count"]
        ]
        summaries = [Summary("Columns", ("column", "kind", "values", "why"), columns, is_open=True)]
        if statistics:
            summaries.append(Summary("Statistics", ("of", "statistic", "why"), statistics))
        return summaries


def _describe_values(found: pd.Series[Any], values: np.ndarray | None) -> str:
    parts = []
    if values is not None:
        first = ", ".join(_shorten(str(value)) for value in islice(values, _MAX_VALUES))
        parts.append(f"{len(values):,}: {first}{', ...' * (len(values) > _MAX_VALUES)}")
    elif found["n_codes"]:
        parts.append(f"{found['n_codes']:,} codes{f' in {found.n_columns} columns' * (found['n_columns'] > 1)}")
    elif found["kind"] == "vector":
        parts.append(f"{found['n_columns']} numbers each")
    if found["n_missing"]:
        parts.append(f"{found['n_missing']:,} missing")
    return "; ".join(parts)


def _shorten(text: str) -> str:
    return text if len(text) <= _MAX_LENGTH else f"{text[: _MAX_LENGTH - 3]}..."
