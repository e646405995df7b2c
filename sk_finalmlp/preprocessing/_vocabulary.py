"""Vocabularies: known values and their codes, hash tables to look them up, and counts that admit new ones."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple, Self

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ..schema import UNKNOWN_CODE, Field
from ._column import Column, is_string

#: Odd, so that products modulo 2**64 stay distinct (the golden ratio's digits).
_FACTOR = np.uint64(0x9E3779B97F4A7C15)
#: Fewer keys than this are found by bisection: each step of a search in buckets takes its microsecond.
_FEW_KEYS = 64


class HashTable:
    """Positions of keys among known ones, of equal ones the first; 20 to 28 bytes for each, shared by threads."""

    def __init__(self, known: np.ndarray) -> None:
        hashes = _scattered(known)
        order = np.argsort(hashes, kind="stable")
        n_bits = len(known).bit_length() + 1
        self._shift = np.uint64(64 - n_bits)
        n_in_bucket = np.bincount((hashes >> self._shift).view(np.int64), minlength=2**n_bits)
        dtype = np.int32 if len(known) < 2**31 else np.int64
        self._first = (np.cumsum(n_in_bucket) - n_in_bucket).astype(dtype)
        # One entry more, which ends each search.
        self._hashes = np.append(hashes[order], np.iinfo(np.uint64).max)
        self._order = np.append(order, -1).astype(dtype)

    def find(self, keys: np.ndarray) -> np.ndarray:
        """Return positions (int64) of keys; -1 for a key that isn't known."""
        hashes = _scattered(keys)
        at = np.searchsorted(self._hashes, hashes) if len(keys) < _FEW_KEYS else self._from_buckets(hashes)
        positions: np.ndarray = self._order.take(at).astype(np.int64)
        positions[self._hashes.take(at) != hashes] = -1
        return positions

    def _from_buckets(self, hashes: np.ndarray) -> np.ndarray:
        """Return how many known hashes are less, from the first of those with the same first bits on."""
        at: np.ndarray = self._first.take((hashes >> self._shift).view(np.int64)).astype(np.int64)
        before = np.flatnonzero(self._hashes.take(at) < hashes)
        while len(before):
            at[before] += 1
            before = before[self._hashes.take(at[before]) < hashes[before]]
        return at


def bisect(known: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Return positions of keys among known ones, distinct and in ascending order; -1 for a key that isn't known."""
    if not len(known):
        return np.full(len(keys), -1)
    positions = known.searchsorted(keys)
    positions[known.take(positions, mode="clip") != keys] = -1
    return positions


def _scattered(keys: np.ndarray) -> np.ndarray:
    """Permute all keys of 64 bits, so that the first bits depend on all bits of a key."""
    hashes: np.ndarray = np.ascontiguousarray(keys).view(np.uint64) * _FACTOR
    hashes ^= hashes >> np.uint64(32)
    hashes *= _FACTOR
    return hashes


#: Fewer rows than this are looked up in a dict, where there is one: calling Arrow costs more than that.
_FEW_ROWS = 256
#: Arrow hashes all known values in each call, which costs about as much as looking up a third as many rows in an index.
_KNOWN_VALUES_PER_ROW = 3
#: A dict of no more values than this is small.
_FEW_VALUES = 10_000


class WithoutCaches:
    """Mixin of what is described, hashed and copied without its cached properties."""

    def __getstate__(self) -> dict[str, Any]:
        cached = {
            name for cls in type(self).mro() for name, own in vars(cls).items() if isinstance(own, cached_property)
        }
        return {name: value for name, value in vars(self).items() if name not in cached}


class Vocabulary(WithoutCaches):
    """Known values in the order of their codes: value k - 1 has code k, code 0 is left for all others."""

    def __init__(self, values: pa.Array) -> None:
        self.values = values

    @property
    def n_codes(self) -> int:
        """Number of codes, code 0 included."""
        return len(self.values) + 1

    @cached_property
    def _dict(self) -> dict[Any, int]:
        return _positions(self.values, np.arange(1, self.n_codes))

    @cached_property
    def _index(self) -> _HashIndex:
        return _HashIndex(self.values)

    def extended(self, values: pa.Array) -> Vocabulary:
        """Return these values and more, with the next codes."""
        longer = Vocabulary(pa.concat_arrays([self.values, values]))
        if "_index" in vars(self):
            vars(longer)["_index"] = self._index.extended(len(self.values), values)
        return longer

    def encode(self, values: pa.Array) -> np.ndarray:
        """Return codes (int64) of values of the same type."""
        if len(values) < _FEW_ROWS and len(self.values) <= _FEW_VALUES:
            code_of, keys = self._dict, _without_times(values).to_pylist()
            return np.array([code_of.get(key, UNKNOWN_CODE) for key in keys], np.int64)
        if len(values) < self.n_codes // _KNOWN_VALUES_PER_ROW:
            return self._index.find(values) + 1
        positions = pc.fill_null(pc.index_in(values, value_set=self.values), UNKNOWN_CODE - 1)
        return np.add(positions.to_numpy(), 1, dtype=np.int64)

    def decode(self, codes: np.ndarray) -> pa.Array:
        """Return values of codes; null for code 0."""
        unknown = codes == UNKNOWN_CODE
        outside = (codes < 0) | (codes >= self.n_codes)
        if outside.any():
            raise ValueError(f"code {codes[outside][0]} is not between 0 and {self.n_codes - 1}")
        return self.values.take(pa.array(codes - 1, pa.int64(), mask=unknown))


def _without_times(values: pa.Array) -> pa.Array:
    """Return times as integers: Python lacks some times, and takes both hours of a clock change for one."""
    if not pa.types.is_temporal(values.type):
        return values
    return values.view(pa.int32() if pa.types.is_date32(values.type) else pa.int64())


class _HashIndex:
    """Where values stand among known ones, by their hashes: a fraction of the memory of a dict."""

    def __init__(self, values: pa.Array) -> None:
        self._values = values
        hashes = _hashes(values)
        self._table = HashTable(hashes)
        # Seldom any: hash collisions, which find another value.
        twins = np.flatnonzero(self._table.find(hashes) != np.arange(len(hashes)))
        self._others = _positions(values.take(pa.array(twins)), twins)

    def extended(self, n_known: int, values: pa.Array) -> _HashIndex:
        """Return the index of more values, behind the known ones; a new table would take time for all of them."""
        longer = copy(self)
        longer._others = self._others | _positions(values, n_known + np.arange(len(values)))
        return longer

    def find(self, values: pa.Array) -> np.ndarray:
        """Return positions (int64) of values of the same type; -1 for one that isn't known."""
        positions = self._table.find(_hashes(values))
        found = self._values.take(pa.array(positions, mask=positions < 0))
        is_known = pc.fill_null(pc.equal(found, values), False)
        positions[~is_known.to_numpy(zero_copy_only=False)] = -1
        if self._others:
            missing = np.flatnonzero(positions < 0)
            keys = _without_times(values.take(pa.array(missing))).to_pylist()
            positions[missing] = [self._others.get(key, -1) for key in keys]
        return positions


def _positions(values: pa.Array, positions: np.ndarray) -> dict[Any, int]:
    return dict(zip(_without_times(values).to_pylist(), positions.tolist(), strict=True))


def _hashes(values: pa.Array) -> np.ndarray:
    """Return 64 bits for each value of a canonical type, any for a missing one: a number itself, a hash of text."""
    if is_string(values.type):
        return pd.util.hash_array(values.to_numpy(zero_copy_only=False), categorize=False)
    if pa.types.is_boolean(values.type) or pa.types.is_date(values.type):
        values = values.cast(pa.int32()).cast(pa.int64())
    return values.view(pa.int64()).fill_null(0).to_numpy().view(np.uint64)


def count_values(dictionary: pa.DictionaryArray, repeats: np.ndarray | None = None) -> np.ndarray:
    """Return the number of rows of each value of the dictionary, with a count for each row."""
    indices = dictionary.indices
    if indices.null_count:
        present = indices.is_valid()
        repeats = None if repeats is None else repeats[present.to_numpy(zero_copy_only=False)]
        indices = indices.drop_null()
    return np.bincount(indices.to_numpy(), repeats, minlength=len(dictionary.dictionary))


def _by_frequency(values: pa.Array, counts: np.ndarray) -> tuple[pa.Array, np.ndarray]:
    """Return values and their counts, by descending count and then by value."""
    by_value = pc.array_sort_indices(values).to_numpy()
    order = by_value[np.argsort(-counts[by_value], kind="stable")]
    return values.take(pa.array(order)), counts[order]


_NO_CODES = np.empty(0, np.int64)


class Counted(NamedTuple):
    """Distinct values of some rows, how often they occur, and the number of rows."""

    values: pa.Array
    counts: np.ndarray
    n_rows: int


@dataclass(frozen=True)
class Waiting:
    """Values that wait for a code, by their hashes in ascending order, and their counts."""

    hashes: np.ndarray
    counts: np.ndarray

    def take_out(self, values: pa.Array) -> tuple[np.ndarray, Waiting]:
        """Return the counts of some values, 0 for one that doesn't wait, and the others."""
        if not len(self.hashes):
            return np.zeros(len(values)), self
        hashes = _hashes(values)
        counts = np.append(self.counts, 0.0).take(bisect(self.hashes, hashes))
        # NumPy 2.0 fails for hashes beyond int64 where it considers a table of all between the least and the largest.
        kept = ~np.isin(self.hashes, hashes, kind="sort")
        return counts, Waiting(self.hashes[kept], self.counts[kept])

    def and_(self, values: pa.Array, counts: np.ndarray) -> Waiting:
        """Return these values and more."""
        if not len(values):
            return self
        hashes = np.concatenate([self.hashes, _hashes(values)])
        order = np.argsort(hashes)
        return Waiting(hashes[order], np.concatenate([self.counts, counts])[order])

    def most_frequent(self, most: int | None) -> Waiting:
        """Return the first ones up to a limit, all if None."""
        if most is None or len(self.hashes) <= most:
            return self
        kept = np.sort(np.argsort(-self.counts, kind="stable")[:most])
        return Waiting(self.hashes[kept], self.counts[kept])


@dataclass(frozen=True)
class Admission:
    """Counts of values so far: plain sums, whatever the number of calls; where `max_categories` limits the codes, they
    decay. Known counts are empty without a limit.
    """

    n_rows: float
    waiting: Waiting
    known_counts: np.ndarray
    #: About the share of rows of the same time that have a value without a code (Good 1953).
    share_new: float


_NOTHING_COUNTED = Admission(0, Waiting(np.empty(0, np.uint64), np.empty(0)), np.empty(0), 0.0)


def _grow(
    rule: VocabularyRule, vocabulary: Vocabulary, admission: Admission, more: Counted, decay: float
) -> tuple[Vocabulary, Admission, np.ndarray]:
    """Admit values of more rows: new ones get the next codes by descending count, ties broken by value. Beyond
    `max_categories` they take the codes of the rarest known ones, which are evicted: return these codes, too.
    """
    faded = 1.0 if rule.max_categories is None else decay
    codes = vocabulary.encode(more.values)
    is_new = codes == UNKNOWN_CODE
    values, counts = more.values.filter(pa.array(is_new)), more.counts[is_new].astype(np.float64)
    n_rows = faded * admission.n_rows + more.n_rows
    waited, waiting = replace(admission.waiting, counts=faded * admission.waiting.counts).take_out(values)
    counts += waited
    # Less a little, because a share of the rows is rounded: 0.07 * 100 > 7.
    admitted = counts >= rule.min_rows(n_rows) * (1 - 1e-9)
    waiting = waiting.and_(values.filter(pa.array(~admitted)), counts[~admitted])
    values, counts = _by_frequency(values.filter(pa.array(admitted)), counts[admitted])
    if rule.max_categories is None:
        grown = vocabulary.extended(values) if len(values) else vocabulary
        return grown, replace(admission, n_rows=n_rows, waiting=waiting), _NO_CODES
    known = faded * admission.known_counts
    known[codes[~is_new] - 1] += more.counts[~is_new]
    grown, known, waiting, fresh = _make_room(vocabulary, known, values, counts, waiting, rule.max_categories)
    waiting = waiting.most_frequent(rule.max_categories)
    return grown, replace(admission, n_rows=n_rows, waiting=waiting, known_counts=known), fresh


def _make_room(
    vocabulary: Vocabulary, known: np.ndarray, values: pa.Array, counts: np.ndarray, waiting: Waiting, most: int
) -> tuple[Vocabulary, np.ndarray, Waiting, np.ndarray]:
    """Append new values, or evict rarer known ones; return vocabulary, counts, values without a code, reused codes."""
    n_free = max(most - len(known), 0)
    vocabulary, known = vocabulary.extended(values[:n_free]), np.concatenate([known, counts[:n_free]])
    values, counts = values[n_free:], counts[n_free:]
    rarest = np.argsort(known, kind="stable")[: len(values)]
    # The most frequent new value against the rarest known one, and so on.
    n_taken = int(np.count_nonzero(counts[: len(rarest)] > known[rarest]))
    places = np.sort(rarest[:n_taken])
    waiting = waiting.and_(vocabulary.values.take(pa.array(places)), known[places])
    waiting = waiting.and_(values[n_taken:], counts[n_taken:])
    if n_taken:
        taken = np.arange(len(known))
        taken[places] = len(known) + np.arange(n_taken)
        vocabulary = Vocabulary(pa.concat_arrays([vocabulary.values, values[:n_taken]]).take(pa.array(taken)))
        known[places] = counts[:n_taken]
    return vocabulary, known, waiting, places + 1


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
        nothing = Vocabulary(pa.nulls(0, counted.values.type))
        vocabulary, admission, _ = _grow(self, nothing, _NOTHING_COUNTED, counted, decay=1.0)
        is_new = counted.counts == 1
        if self.keeps_waiting:
            is_new |= vocabulary.encode(counted.values) == UNKNOWN_CODE
        share_new = float(counted.counts[is_new].sum() / max(counted.n_rows, 1))
        return vocabulary, replace(admission, share_new=share_new)

    @property
    def keeps_waiting(self) -> bool:
        """Whether values that occur may have to wait for a code."""
        return self.min_frequency != 1 or self.max_categories is not None

    def min_rows(self, n_rows: float) -> float:
        """Return the least number of rows, of so many, for a code."""
        return self.min_frequency if self.min_frequency >= 1 else self.min_frequency * n_rows


class HashBuckets:
    """Codes 1 to `n_buckets` by a hash of the value that is the same in every process."""

    def __init__(self, n_buckets: int) -> None:
        self.n_codes = n_buckets + 1

    def encode(self, values: pa.Array) -> np.ndarray:
        """Return codes (int64) of strings."""
        dictionary = values.dictionary_encode()
        texts = dictionary.dictionary.to_numpy(zero_copy_only=False)
        buckets = pd.util.hash_array(texts, categorize=False) % np.uint64(self.n_codes - 1)
        # One entry more, for missing values.
        code_of = np.append(buckets.astype(np.int64) + 1, UNKNOWN_CODE)
        return code_of[dictionary.indices.fill_null(len(buckets)).to_numpy()]

    def decode(self, codes: np.ndarray) -> pa.Array:
        """Return all null: a hash can't be inverted."""
        return pa.nulls(len(codes))


class ColumnEncoder(ABC):
    """One column of the raw table in, one or more columns of codes or floats out."""

    @abstractmethod
    def fit(self, column: Column, weights: np.ndarray | None) -> Self:
        """Learn from a column and the positive weights of its rows, if any, which only numeric columns use."""

    def grow(self, column: Column, decay: float) -> tuple[Self, list[np.ndarray]]:
        """Return the encoder after more rows, and for each field with codes those that stand for other values now. The
        encoder itself stays as it is; where the number of codes is limited, earlier counts are multiplied by `decay`.
        """
        return self, []

    @abstractmethod
    def transform(self, column: Column) -> list[np.ndarray]:
        """Return output columns, int64 for codes and float32 for numbers."""

    def inverse_transform(self, outputs: list[np.ndarray]) -> pa.Array:
        """Return values of output columns; null where nothing is known."""
        return pa.nulls(len(outputs[0]))

    @abstractmethod
    def output_fields(self, name: str) -> list[Field]:
        """Return fields that the output columns make up, for a column of this name."""

    def vocabularies(self, name: str) -> Mapping[str, Vocabulary | HashBuckets]:
        """Return the lookup of codes of each field that has one."""
        return {}


class VocabularyEncoder(ColumnEncoder):
    """A column with the codes of one vocabulary."""

    rule: VocabularyRule
    vocabulary: Vocabulary | HashBuckets
    admission: Admission | None

    @abstractmethod
    def _count(self, column: Column) -> Counted:
        """Count the values; rows count alike, for weights may know the labels."""

    def fit(self, column: Column, weights: np.ndarray | None) -> Self:
        self.vocabulary, self.admission = self.rule.fit(self._count(column))
        return self

    def grow(self, column: Column, decay: float) -> tuple[Self, list[np.ndarray]]:
        if self.admission is None:
            # The buckets of a hash stay.
            return self, [_NO_CODES]
        assert isinstance(self.vocabulary, Vocabulary)
        encoder = copy(self)
        encoder.vocabulary, encoder.admission, fresh = _grow(
            self.rule, self.vocabulary, self.admission, self._count(column), decay
        )
        return encoder, [fresh]

    def vocabularies(self, name: str) -> Mapping[str, Vocabulary | HashBuckets]:
        return {name: self.vocabulary}


class CategoricalEncoder(VocabularyEncoder):
    """A column as one column of codes."""

    def __init__(self, rule: VocabularyRule) -> None:
        self.rule = rule

    def _count(self, column: Column) -> Counted:
        counts = count_values(column.dictionary, column.repeats)
        return Counted(column.dictionary.dictionary, counts, len(column))

    def transform(self, column: Column) -> list[np.ndarray]:
        return [column.codes(self.vocabulary.encode)]

    def inverse_transform(self, outputs: list[np.ndarray]) -> pa.Array:
        return self.vocabulary.decode(outputs[0])

    def output_fields(self, name: str) -> list[Field]:
        return [Field(name, "categorical", n_codes=self.vocabulary.n_codes)]
