"""The known values of a field and their codes."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...fields import UNKNOWN_CODE

#: Fewer rows than this are looked up in an index: calling Arrow costs more than that.
_FEW_ROWS = 256
#: Arrow hashes all known values in each call, which costs about as much as looking up a tenth as many rows in an index.
_KNOWN_VALUES_PER_ROW = 10
#: A dict of no more values than this is small.
_FEW_VALUES = 10_000
#: Values that are turned into Python objects at a time.
_CHUNK = 1_000_000


class Vocabulary:
    """Known values in the order of their codes: value k - 1 has code k, code 0 is left for all others.

    Parameters
    ----------
    values : pyarrow.Array
        Distinct known values.
    """

    def __init__(self, values: pa.Array) -> None:
        self.values = values

    @property
    def n_codes(self) -> int:
        """Number of codes, code 0 included."""
        return len(self.values) + 1

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_index"}

    @cached_property
    def _index(self) -> _Dict | _HashIndex:
        values = _without_times(self.values)
        return _Dict(values) if len(values) <= _FEW_VALUES else _HashIndex(values)

    def encode(self, values: pa.Array) -> np.ndarray:
        """Codes (int64) of values of the same type."""
        if len(values) < max(_FEW_ROWS, self.n_codes // _KNOWN_VALUES_PER_ROW):
            return self._index.find(_without_times(values)) + 1
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
    """Where values stand among known ones, by a dict.

    Parameters
    ----------
    values : pyarrow.Array
        Distinct known values.
    """

    def __init__(self, values: pa.Array) -> None:
        self._position_of = {value: position for position, value in enumerate(values.to_pylist())}

    def find(self, values: pa.Array) -> np.ndarray:
        """Positions (int64) of values of the same type; -1 for one that isn't known."""
        return np.array([self._position_of.get(value, -1) for value in values.to_pylist()], np.int64)


class _HashIndex:
    """Where values stand among known ones, by their sorted hashes: a fraction of the memory of a dict.

    Parameters
    ----------
    values : pyarrow.Array
        Distinct known values.
    """

    def __init__(self, values: pa.Array) -> None:
        self._values = values
        chunks = range(0, len(values), _CHUNK)
        hashes = np.concatenate([_hashes(values.slice(start, _CHUNK).to_pylist()) for start in chunks])
        order = np.argsort(hashes, kind="stable")
        self._hashes = hashes[order]
        self._order = order.astype(np.int32) if len(order) < 2**31 else order
        twins = self._order[1:][self._hashes[1:] == self._hashes[:-1]]
        # Seldom any: values that have the hash of another one.
        self._twins = {values[int(position)].as_py(): int(position) for position in twins}

    def find(self, values: pa.Array) -> np.ndarray:
        """Positions (int64) of values of the same type; -1 for one that isn't known."""
        keys = values.to_pylist()
        places = np.searchsorted(self._hashes, _hashes(keys))
        positions = self._order.take(places, mode="clip").tolist()
        if self._twins:
            positions = [self._twins.get(key, position) for key, position in zip(keys, positions, strict=True)]
        known = self._values.take(pa.array(positions, pa.int64())).to_pylist()
        found = zip(keys, known, positions, strict=True)
        return np.array([position if key == value else -1 for key, value, position in found], np.int64)


def _hashes(values: list[Any]) -> np.ndarray:
    return np.fromiter(map(hash, values), np.int64, len(values))


def count_values(dictionary: pa.DictionaryArray, repeats: np.ndarray | None = None) -> np.ndarray:
    """Number of rows that hold each value of the dictionary, where each row stands for so many."""
    indices = dictionary.indices
    if indices.null_count:
        present = indices.is_valid()
        repeats = None if repeats is None else repeats[present.to_numpy(zero_copy_only=False)]
        indices = indices.drop_null()
    return np.bincount(indices.to_numpy(), repeats, minlength=len(dictionary.dictionary))


def most_frequent(values: pa.Array, counts: np.ndarray, threshold: float, max_values: int | None) -> pa.Array:
    """Values with at least the threshold's count, by descending count and then by value."""
    # Less a little, because a share of the rows is rounded: 0.07 * 100 > 7.
    frequent = counts >= threshold * (1 - 1e-9)
    values, counts = values.filter(pa.array(frequent)), counts[frequent]
    by_value = pc.array_sort_indices(values).to_numpy()
    order = by_value[np.argsort(-counts[by_value], kind="stable")][:max_values]
    return values.take(pa.array(order))
