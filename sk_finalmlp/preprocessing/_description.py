"""What a fitted encoder consists of, as plain data, and in a few lines for a reader.

Pickles, model files and exports know an encoder by the table of its parts alone: a part that learns something new names
it here.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any, Final

import numpy as np
import pandas as pd

from .._description import Parts, declared
from .._sklearn import Summary
from ..schema import Field
from ._datetime import DatetimeEncoder, ElapsedTime
from ._derived import CrossEncoder, DerivedFields
from ._fitted_columns import FittedColumn
from ._keys import Key, KeyIndex
from ._lists import HistoryEncoder, MultiValuedEncoder
from ._numeric import LogBucketer, NormalScorer, QuantileBinner, Standardizer
from ._reading import Reading
from ._statistics import KeyStatistics, Memory, Standardization, StatisticColumn
from ._vectors import PretrainedEncoder, VectorEncoder, VectorScale
from ._vocabulary import Admission, CategoricalEncoder, HashBuckets, Vocabulary, VocabularyRule, Waiting

PARTS: Final[Parts] = {
    **declared(
        Field, FittedColumn, Reading, VocabularyRule, Admission, Waiting, Key, StatisticColumn, Standardization, Memory
    ),
    Vocabulary: ("values",),
    HashBuckets: ("n_codes",),
    CategoricalEncoder: ("rule", "vocabulary", "admission"),
    LogBucketer: ("rule", "vocabulary", "admission"),
    ElapsedTime: ("first", "last", "mean", "deviation"),
    DatetimeEncoder: ("rule", "parts", "encoders", "left_out", "latest"),
    MultiValuedEncoder: (
        "rule",
        "separator",
        "max_length",
        "reading",
        "splits_strings",
        "vocabulary",
        "admission",
        "n_columns",
    ),
    HistoryEncoder: ("of", "max_length", "n_columns"),
    Standardizer: ("unit", "mean", "deviation"),
    NormalScorer: ("unit", "values", "scores"),
    QuantileBinner: ("n_bins", "edges", "means"),
    VectorScale: ("unit", "mean", "deviation"),
    VectorEncoder: ("scale",),
    PretrainedEncoder: ("ids", "replaces", "is_tuned", "vocabulary", "scale", "table"),
    KeyIndex: ("known",),
    CrossEncoder: ("key", "_encoder"),
    KeyStatistics: ("key", "rate", "count", "recent", "_index", "_columns", "_memory"),
    DerivedFields: ("_crosses", "_statistics"),
}

_MAX_VALUES = 3
_MAX_LENGTH = 24


def summarize(kinds: pd.DataFrame, statistics: pd.DataFrame, known: Mapping[str, np.ndarray]) -> list[Summary]:
    """Return what the encoder found in each column, of these known values, and which statistics it makes."""
    columns = [
        (name, found["kind"], _describe_values(found, known.get(str(name))), found["why"])
        for name, found in kinds.iterrows()
    ]
    made = [
        (name, ", ".join(measure for measure in ("rate", "count") if choice[measure]), choice["why"])
        for name, choice in statistics.iterrows()
        if choice["rate"] or choice["count"]
    ]
    summaries = [Summary("Columns", ("column", "kind", "values", "why"), columns, is_open=True)]
    if made:
        summaries.append(Summary("Statistics", ("of", "statistic", "why"), made))
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
