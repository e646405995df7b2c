"""The known values of a field and their codes, looked up by hash tables."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ..schema import UNKNOWN_CODE
from ._column import is_string

#: Odd, so that products with it, modulo 2**64, are as distinct as what is multiplied (the golden ratio's digits).
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
        """Positions (int64) of keys; -1 for a key that isn't known."""
        hashes = _scattered(keys)
        at = self._bisected(hashes) if len(keys) < _FEW_KEYS else self._from_buckets(hashes)
        positions: np.ndarray = self._order.take(at).astype(np.int64)
        positions[self._hashes.take(at) != hashes] = -1
        return positions

    def _bisected(self, hashes: np.ndarray) -> NDArray[np.int64]:
        """How many known hashes are less."""
        return np.searchsorted(self._hashes, hashes)

    def _from_buckets(self, hashes: np.ndarray) -> NDArray[np.int64]:
        """The same, from the first of the hashes with the same first bits on."""
        at: NDArray[np.int64] = self._first.take((hashes >> self._shift).view(np.int64)).astype(np.int64)
        before = np.flatnonzero(self._hashes.take(at) < hashes)
        while len(before):
            at[before] += 1
            before = before[self._hashes.take(at[before]) < hashes[before]]
        return at


def _scattered(keys: np.ndarray) -> np.ndarray:
    """A permutation of all keys of 64 bits, whose first bits depend on all bits of a key."""
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
#: Strings that are hashed at a time, which takes some 30 times their memory.
_CHUNK = 50_000
#: Odd, so that no power of it is 0 modulo 2**64 (the golden ratio's digits).
_BASE = np.uint64(0x9E3779B97F4A7C15)


class Vocabulary:
    """Known values in the order of their codes: value k - 1 has code k, code 0 is left for all others."""

    def __init__(self, values: pa.Array) -> None:
        self.values = values

    @property
    def n_codes(self) -> int:
        """Number of codes, code 0 included."""
        return len(self.values) + 1

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in ("_dict", "_index")}

    @cached_property
    def _dict(self) -> _Dict:
        return _Dict(_without_times(self.values))

    @cached_property
    def _index(self) -> _HashIndex | _Extended:
        return _HashIndex(self.values)

    def extended(self, values: pa.Array) -> Vocabulary:
        """These values and more, whose codes come after theirs."""
        longer = Vocabulary(pa.concat_arrays([self.values, values]))
        index = vars(self).get("_index")
        if isinstance(index, _HashIndex | _Extended):
            # To build it anew would cost what all known values cost.
            vars(longer)["_index"] = _Extended.of(index, len(self.values), values)
        return longer

    def encode(self, values: pa.Array) -> np.ndarray:
        """Codes (int64) of values of the same type."""
        if len(values) < _FEW_ROWS and len(self.values) <= _FEW_VALUES:
            return self._dict.find(_without_times(values)) + 1
        if len(values) < self.n_codes // _KNOWN_VALUES_PER_ROW:
            return self._index.find(values) + 1
        positions = pc.fill_null(pc.index_in(values, value_set=self.values), UNKNOWN_CODE - 1)
        codes: np.ndarray = np.add(positions.to_numpy(), 1, dtype=np.int64)
        return codes

    def decode(self, codes: np.ndarray) -> pa.Array:
        """Values of codes; null for code 0."""
        unknown = codes == UNKNOWN_CODE
        outside = (codes < 0) | (codes >= self.n_codes)
        if outside.any():
            raise ValueError(f"code {codes[outside][0]} is not between 0 and {self.n_codes - 1}")
        return self.values.take(pa.array(codes - 1, pa.int64(), mask=unknown))


def _without_times(values: pa.Array) -> pa.Array:
    """Times as the integers that Arrow holds: Python lacks some, and takes both hours of a clock change for one."""
    if not pa.types.is_temporal(values.type):
        return values
    return values.view(pa.int32() if pa.types.is_date32(values.type) else pa.int64())


class _Dict:
    """Where values stand among known ones, by a dict."""

    def __init__(self, values: pa.Array) -> None:
        self._position_of = {value: position for position, value in enumerate(values.to_pylist())}

    def find(self, values: pa.Array) -> np.ndarray:
        """Positions (int64) of values of the same type; -1 for one that isn't known."""
        return np.array([self._position_of.get(value, -1) for value in values.to_pylist()], np.int64)


class _HashIndex:
    """Where values stand among known ones, by their hashes: a fraction of the memory of a dict."""

    def __init__(self, values: pa.Array) -> None:
        self._values = values
        hashes = _hashes(values)
        self._table = HashTable(hashes)
        # Seldom any: values that have the hash of another one, which is found in their place.
        self._twins = np.flatnonzero(self._table.find(hashes) != np.arange(len(hashes)))

    def find(self, values: pa.Array) -> np.ndarray:
        """Positions (int64) of values of the same type; -1 for one that isn't known."""
        positions = self._table.find(_hashes(values))
        found = self._values.take(pa.array(positions, mask=positions < 0))
        is_known = pc.fill_null(pc.equal(found, values), False)
        positions[~is_known.to_numpy(zero_copy_only=False)] = -1
        if len(self._twins):
            twins = pc.index_in(values, value_set=self._values.take(pa.array(self._twins)), skip_nulls=True)
            is_twin = twins.is_valid().to_numpy(zero_copy_only=False)
            positions[is_twin] = self._twins[twins.drop_null().to_numpy()]
        return positions


class _Extended:
    """An index of many values and a dict of those that came later."""

    def __init__(self, first: _HashIndex, later: dict[Any, int]) -> None:
        self._first = first
        self._later = later

    @classmethod
    def of(cls, index: _HashIndex | Self, n_known: int, values: pa.Array) -> Self:
        """The index extended by values that come after so many known ones."""
        first, later = (index, {}) if isinstance(index, _HashIndex) else (index._first, index._later)
        new = {value: n_known + position for position, value in enumerate(_without_times(values).to_pylist())}
        return cls(first, {**later, **new})

    def find(self, values: pa.Array) -> np.ndarray:
        """Positions (int64) of values of the same type; -1 for one that isn't known."""
        positions = self._first.find(values)
        missing = np.flatnonzero(positions < 0)
        values = _without_times(values.take(pa.array(missing)))
        positions[missing] = [self._later.get(value, -1) for value in values.to_pylist()]
        return positions


def _hashes(values: pa.Array) -> np.ndarray:
    """Hashes (uint64) of values of a canonical type: equal ones for equal values, any for missing ones."""
    if not is_string(values.type):
        numbers = values.cast(pa.int32()) if pa.types.is_date(values.type) else values
        if pa.types.is_boolean(values.type) or pa.types.is_date(values.type):
            numbers = numbers.cast(pa.int64())
        return np.frombuffer(numbers.buffers()[1], np.uint64)[numbers.offset :][: len(numbers)]
    chunks = [values.slice(start, _CHUNK) for start in range(0, max(len(values), 1), _CHUNK)]
    return np.concatenate([_hashes_of_texts(chunk) for chunk in chunks])


def _hashes_of_texts(texts: pa.Array) -> np.ndarray:
    """Sum of byte times power of a base, modulo 2**64, over the bytes of each string."""
    _, offsets, data = texts.buffers()
    ends = np.frombuffer(offsets, np.int64)[texts.offset :][: len(texts) + 1]
    lengths = np.diff(ends)
    hashes = np.zeros(len(texts), np.uint64)
    if not lengths.any():
        return hashes
    letters = np.frombuffer(data, np.uint8)[ends[0] : ends[-1]]
    powers = np.multiply.accumulate(np.full(lengths.max(), _BASE))
    first = ends[:-1] - ends[0]
    terms = (letters + np.uint64(1)) * powers[np.arange(len(letters)) - np.repeat(first, lengths)]
    # An empty string would begin where the next one does.
    hashes[lengths > 0] = np.add.reduceat(terms, first[lengths > 0])
    return hashes


def count_values(dictionary: pa.DictionaryArray, repeats: np.ndarray | None = None) -> np.ndarray:
    """Number of rows that hold each value of the dictionary, where each row stands for so many."""
    indices = dictionary.indices
    if indices.null_count:
        present = indices.is_valid()
        repeats = None if repeats is None else repeats[present.to_numpy(zero_copy_only=False)]
        indices = indices.drop_null()
    return np.bincount(indices.to_numpy(), repeats, minlength=len(dictionary.dictionary))


def is_frequent(counts: np.ndarray, threshold: float) -> np.ndarray:
    """Which counts are at least the threshold."""
    # Less a little, because a share of the rows is rounded: 0.07 * 100 > 7.
    frequent: np.ndarray = counts >= threshold * (1 - 1e-9)
    return frequent


def by_frequency(values: pa.Array, counts: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Positions of the chosen values, by descending count and then by value."""
    positions = np.flatnonzero(chosen)
    by_value = positions[pc.array_sort_indices(values.take(pa.array(positions))).to_numpy()]
    order: np.ndarray = by_value[np.argsort(-counts[by_value], kind="stable")]
    return order


def most_frequent(values: pa.Array, counts: np.ndarray, threshold: float, max_values: int | None) -> pa.Array:
    """Values with at least the threshold's count, by descending count and then by value."""
    return values.take(pa.array(by_frequency(values, counts, is_frequent(counts, threshold))[:max_values]))
