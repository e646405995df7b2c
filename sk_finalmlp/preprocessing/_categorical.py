"""Categorical columns: a code per value, new ones admitted by their counts, or a number of hash buckets."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ..schema import UNKNOWN_CODE, Field
from ._column import Column
from ._vocabulary import Vocabulary, by_frequency, count_values, is_frequent, most_frequent

_NO_CODES = np.empty(0, np.int64)


class Counted(NamedTuple):
    """Distinct values of some rows, how often they occur, and the number of rows."""

    values: pa.Array
    counts: np.ndarray
    n_rows: int


@dataclass(frozen=True)
class Admission:
    """Counts of values so far: plain sums, whatever the number of calls; where `max_categories` limits the codes, they
    decay. Waiting values are marks in ascending order, and known counts are empty without a limit.
    """

    n_rows: float
    waiting: np.ndarray
    waiting_counts: np.ndarray
    known_counts: np.ndarray

    @classmethod
    def start(cls, rule: VocabularyRule, vocabulary: Vocabulary, counted: Counted) -> Admission:
        """What the rows of `fit` tell."""
        known = np.empty(0)
        rest = counted
        if rule.keeps_waiting:
            codes = vocabulary.encode(counted.values)
            is_waiting = codes == UNKNOWN_CODE
            rest = Counted(counted.values.filter(pa.array(is_waiting)), counted.counts[is_waiting], counted.n_rows)
            if rule.max_categories is not None:
                known = np.zeros(len(vocabulary.values))
                known[codes[~is_waiting] - 1] = counted.counts[~is_waiting]
        waiting = _Waiting.none() if not rule.keeps_waiting else _Waiting(_marks(rest.values), rest.counts).sorted()
        waiting = waiting.most_frequent(rule.max_categories)
        return cls(counted.n_rows, waiting.marks, waiting.counts, known)


class Grown(NamedTuple):
    """A vocabulary and its counts after more rows, and the codes that stand for other values than before."""

    vocabulary: Vocabulary | HashBuckets
    admission: Admission | None
    fresh: np.ndarray


def grow(
    rule: VocabularyRule,
    vocabulary: Vocabulary | HashBuckets,
    admission: Admission | None,
    more: Counted,
    decay: float,
) -> Grown:
    """Admit values of more rows: new ones get the next codes by descending count, ties broken by value. Beyond
    `max_categories` they take the codes of the rarest known ones, which are evicted.
    """
    if not isinstance(vocabulary, Vocabulary):
        return Grown(vocabulary, admission, _NO_CODES)
    if admission is None:
        raise ValueError(
            "it was fitted by an earlier version of sk_finalmlp, which kept no counts to go on with. Fit the encoder "
            "again."
        )
    faded = 1.0 if rule.max_categories is None else decay
    codes = vocabulary.encode(more.values)
    is_new = codes == UNKNOWN_CODE
    values, counts = more.values.filter(pa.array(is_new)), more.counts[is_new].astype(np.float64)
    n_rows = faded * admission.n_rows + more.n_rows
    waiting = _Waiting(admission.waiting, faded * admission.waiting_counts)
    if rule.keeps_waiting:
        marks = _marks(values)
        counts += waiting.counts_of(marks)
    admitted = is_frequent(counts, rule.min_rows(n_rows))
    if rule.keeps_waiting:
        waiting = waiting.without(marks).and_(_Waiting(marks[~admitted], counts[~admitted]))
    order = by_frequency(values, counts, admitted)
    values, counts = values.take(pa.array(order)), counts[order]
    if rule.max_categories is None:
        grown = vocabulary.extended(values) if len(values) else vocabulary
        return Grown(grown, Admission(n_rows, waiting.marks, waiting.counts, admission.known_counts), _NO_CODES)
    known = faded * admission.known_counts
    known[codes[~is_new] - 1] += more.counts[~is_new]
    grown, known, evicted, fresh = _make_room(vocabulary, known, values, counts, rule.max_categories)
    waiting = waiting.and_(evicted).most_frequent(rule.max_categories)
    return Grown(grown, Admission(n_rows, waiting.marks, waiting.counts, known), fresh)


def _make_room(
    vocabulary: Vocabulary, known: np.ndarray, values: pa.Array, counts: np.ndarray, most: int
) -> tuple[Vocabulary, np.ndarray, _Waiting, np.ndarray]:
    """Append new values while there are codes, and evict rarer known ones for the rest. Returns the vocabulary, its
    counts, values without a code, and reused codes.
    """
    n_free = max(most - len(known), 0)
    vocabulary, known = vocabulary.extended(values[:n_free]), np.concatenate([known, counts[:n_free]])
    values, counts = values[n_free:], counts[n_free:]
    rarest = np.argsort(known, kind="stable")[: len(values)]
    # The most frequent new value against the rarest known one, and so on.
    n_taken = int(np.count_nonzero(counts[: len(rarest)] > known[rarest]))
    places = np.sort(rarest[:n_taken])
    left = _Waiting(_marks(vocabulary.values.take(pa.array(places))), known[places])
    left = left.and_(_Waiting(_marks(values[n_taken:]), counts[n_taken:]))
    if n_taken:
        taken = np.arange(len(known))
        taken[places] = len(known) + np.arange(n_taken)
        vocabulary = Vocabulary(pa.concat_arrays([vocabulary.values, values[:n_taken]]).take(pa.array(taken)))
        known[places] = counts[:n_taken]
    return vocabulary, known, left, places + 1


class _Waiting:
    """Values that wait for a code, and their counts."""

    def __init__(self, marks: np.ndarray, counts: np.ndarray) -> None:
        self.marks = marks
        self.counts = counts.astype(np.float64)

    @classmethod
    def none(cls) -> _Waiting:
        return cls(np.empty(0, np.uint64), np.empty(0))

    def counts_of(self, marks: np.ndarray) -> np.ndarray:
        """The counts of some values, 0 for one that doesn't wait."""
        positions = np.searchsorted(self.marks, marks)
        if not len(self.marks):
            return np.zeros(len(marks))
        found = self.marks.take(positions, mode="clip") == marks
        return np.where(found, self.counts.take(positions, mode="clip"), 0.0)

    def without(self, marks: np.ndarray) -> _Waiting:
        # NumPy 2.0 fails for marks beyond int64 where it considers a table of all between the least and the largest.
        kept = ~np.isin(self.marks, marks, kind="sort")
        return self if kept.all() else _Waiting(self.marks[kept], self.counts[kept])

    def and_(self, others: _Waiting) -> _Waiting:
        if not len(others.marks):
            return self
        together = np.concatenate([self.marks, others.marks]), np.concatenate([self.counts, others.counts])
        return _Waiting(*together).sorted()

    def sorted(self) -> _Waiting:
        order = np.argsort(self.marks)
        return _Waiting(self.marks[order], self.counts[order])

    def most_frequent(self, most: int | None) -> _Waiting:
        """So many of them at most, and all of them if that is None."""
        if most is None or len(self.marks) <= most:
            return self
        kept = np.sort(np.argsort(-self.counts, kind="stable")[:most])
        return _Waiting(self.marks[kept], self.counts[kept])


def _marks(values: pa.Array) -> np.ndarray:
    """64 bits for each value: an integer itself, the hash of another value's text."""
    if pa.types.is_int64(values.type) or pa.types.is_uint64(values.type):
        bits: np.ndarray = values.to_numpy(zero_copy_only=False).view(np.uint64)
        return bits
    if pa.types.is_duration(values.type):
        return _marks(values.cast(pa.int64()))
    texts = pc.cast(values, pa.large_string()).to_numpy(zero_copy_only=False)
    return pd.util.hash_array(texts, categorize=False)


@dataclass(frozen=True)
class VocabularyRule:
    """Which values are learned, and how."""

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
