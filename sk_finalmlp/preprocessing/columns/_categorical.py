"""Categorical columns: one code per value, or a fixed number of hash buckets."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd
import pyarrow as pa

from ...fields import UNKNOWN_CODE, Field
from ..tables._column import Column
from ._admission import Admission, Counted, grow
from ._vocabulary import Vocabulary, count_values, most_frequent


@dataclass(frozen=True)
class VocabularyRule:
    """Which values are learned, and how.

    Parameters
    ----------
    min_frequency : int or float
        Least number (int) or share (float) of rows in which a value must occur.
    max_categories : int or None
        How many of the most frequent values are learned at most.
    n_hash_buckets : int or None
        Number of buckets into which values are hashed instead.
    """

    min_frequency: float = 1
    max_categories: int | None = None
    n_hash_buckets: int | None = None

    def fit(self, counted: Counted) -> tuple[Vocabulary | HashBuckets, Admission | None]:
        """Learn from distinct values, their counts, and the number of all rows."""
        if self.n_hash_buckets is not None:
            return HashBuckets(self.n_hash_buckets), None
        values, counts, n_rows = counted
        vocabulary = Vocabulary(most_frequent(values, counts, self.min_rows(n_rows), self.max_categories))
        return vocabulary, Admission.start(self, vocabulary, counted)

    @property
    def keeps_waiting(self) -> bool:
        """Whether values that occur may have to wait for a code."""
        return self.min_frequency != 1 or self.max_categories is not None

    def min_rows(self, n_rows: float) -> float:
        """Least number of rows, of so many, in which a value must occur."""
        return self.min_frequency if self.min_frequency >= 1 else self.min_frequency * n_rows


class HashBuckets:
    """Codes 1 to `n_buckets` by a hash of the value that is the same in every process."""

    def __init__(self, n_buckets: int) -> None:
        self.n_codes = n_buckets + 1

    def encode(self, values: pa.Array) -> np.ndarray:
        """Codes (int64) of strings."""
        dictionary = values.dictionary_encode()
        texts = dictionary.dictionary.to_numpy(zero_copy_only=False)
        buckets = pd.util.hash_array(texts, categorize=False) % np.uint64(self.n_codes - 1)
        # One entry more, for missing values.
        code_of = np.append(buckets.astype(np.int64) + 1, UNKNOWN_CODE)
        codes: np.ndarray = code_of[dictionary.indices.fill_null(len(buckets)).to_numpy()]
        return codes

    def decode(self, codes: np.ndarray) -> pa.Array:
        """All null: a hash can't be inverted."""
        return pa.nulls(len(codes))


class CategoricalEncoder:
    """A column as one column of codes."""

    #: Files of earlier versions have none.
    admission: Admission | None = None

    def __init__(self, rule: VocabularyRule) -> None:
        self.rule = rule

    def fit(self, column: Column, weights: np.ndarray | None) -> Self:
        """Learn the vocabulary of the column; rows count alike, for weights may know the labels."""
        self.vocabulary, self.admission = self.rule.fit(_count(column))
        return self

    def grow(self, column: Column, decay: float) -> tuple[Self, list[np.ndarray]]:
        """The encoder after more rows, and the codes that stand for other values now, as a list of one array."""
        grown = grow(self.rule, self.vocabulary, self.admission, _count(column), decay)
        encoder = copy(self)
        encoder.vocabulary, encoder.admission = grown.vocabulary, grown.admission
        return encoder, [grown.fresh]

    def transform(self, column: Column) -> list[np.ndarray]:
        """Codes, as a list of one array."""
        return [column.map(self.vocabulary.encode, missing=UNKNOWN_CODE)]

    def inverse_transform(self, outputs: list[np.ndarray]) -> pa.Array:
        """Values of the codes."""
        return self.vocabulary.decode(outputs[0])

    def output_fields(self, name: str) -> list[Field]:
        """One categorical field."""
        return [Field(name, "categorical", n_codes=self.vocabulary.n_codes)]

    def vocabularies(self, name: str) -> Mapping[str, Vocabulary | HashBuckets]:
        """The vocabulary of the field."""
        return {name: self.vocabulary}


def _count(column: Column) -> Counted:
    return Counted(column.dictionary.dictionary, count_values(column.dictionary, column.repeats), len(column))
