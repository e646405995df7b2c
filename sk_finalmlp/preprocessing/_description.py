"""What a fitted encoder consists of: the parts that its description may hold, and the attributes of each.

Pickles, model files and exports know an encoder by this description alone. A part that learns something new names it
here.
"""

from __future__ import annotations

from typing import Final

from .._plain import Parts, declared
from ..schema import Field, Origin
from ._categorical import Admission, CategoricalEncoder, HashBuckets, VocabularyRule
from ._datetime import DatetimeEncoder, ElapsedTime
from ._lists import HistoryEncoder, MultiValuedEncoder
from ._numeric import LogBucketer, NormalScorer, QuantileBinner, Standardizer
from ._reading import Reading
from ._vectors import PretrainedEncoder, VectorEncoder, VectorScale
from ._vocabulary import Vocabulary
from .statistics._crosses import CrossEncoder
from .statistics._derived import DerivedFields
from .statistics._keys import Key, KeyIndex
from .statistics._statistics import KeyStatistics, Memory, Standardization, StatisticColumn

PARTS: Final[Parts] = {
    **declared(Origin, Field, Reading, VocabularyRule, Admission, Key, StatisticColumn, Standardization, Memory),
    Vocabulary: ("values",),
    HashBuckets: ("n_codes",),
    CategoricalEncoder: ("rule", "vocabulary", "admission"),
    LogBucketer: ("rule", "vocabulary", "admission"),
    ElapsedTime: ("first", "last", "mean", "deviation"),
    DatetimeEncoder: ("rule", "parts", "encoders", "left_out"),
    MultiValuedEncoder: (
        "rule",
        "separator",
        "max_values",
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
    KeyStatistics: ("key", "rate", "count", "_index", "_columns", "_memory"),
    DerivedFields: ("_crosses", "_statistics"),
}
