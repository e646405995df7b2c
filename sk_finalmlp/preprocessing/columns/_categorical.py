"""Categorical columns: one code per value, or a fixed number of hash buckets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd
import pyarrow as pa

from ...fields import UNKNOWN_CODE, Field
from ..tables._column import Column
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

    def fit(self, values: pa.Array, counts: np.ndarray, n_rows: int) -> Vocabulary | HashBuckets:
        """Learn from distinct values, their counts, and the number of all rows."""
        if self.n_hash_buckets is not None:
            return HashBuckets(self.n_hash_buckets)
        return Vocabulary(most_frequent(values, counts, self.min_rows(n_rows), self.max_categories))

    def min_rows(self, n_rows: int) -> float:
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

    def __init__(self, rule: VocabularyRule) -> None:
        self.rule = rule

    def fit(self, column: Column, weights: np.ndarray | None) -> Self:
        """Learn the vocabulary of the column; rows count alike, for weights may know the labels."""
        dictionary = column.dictionary
        self.vocabulary = self.rule.fit(dictionary.dictionary, count_values(dictionary), len(column))
        return self

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
