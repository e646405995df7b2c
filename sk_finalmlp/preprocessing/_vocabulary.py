"""The known values of a field and their codes."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ..fields import UNKNOWN_CODE
from ._column import is_string

#: Arrow hashes all known values in each call, which costs more than bisection where there are many times more of them
#: than rows.
_KNOWN_VALUES_PER_ROW = 10
#: Fewer rows than this are found by bisection: calling Arrow costs more.
_FEW_ROWS = 256
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
    def _index(self) -> tuple[np.ndarray, np.ndarray]:
        """Sorted numbers of the values, and the positions of their values."""
        numbers = _as_numbers(self.values)
        order = np.argsort(numbers, kind="stable")
        return numbers[order], order.astype(np.min_scalar_type(len(order)))

    def encode(self, values: pa.Array) -> np.ndarray:
        """Codes (int64) of values of the same type."""
        if len(values) < max(_FEW_ROWS, self.n_codes // _KNOWN_VALUES_PER_ROW):
            return self._find(values)
        positions = pc.fill_null(pc.index_in(values, value_set=self.values), UNKNOWN_CODE - 1)
        codes: np.ndarray = np.add(positions.to_numpy(), 1, dtype=np.int64)
        return codes

    def _find(self, values: pa.Array) -> np.ndarray:
        """The same by bisection, which needs less memory than a hash table."""
        known, order = self._index
        codes = np.full(len(values), UNKNOWN_CODE)
        rows = np.flatnonzero(values.is_valid().to_numpy(zero_copy_only=False))
        numbers = _as_numbers(values if len(rows) == len(values) else values.take(pa.array(rows)))
        places = np.searchsorted(known, numbers)
        while len(rows):
            # Different texts may have the same number: the next place has it, too.
            same = known.take(places, mode="clip") == numbers if len(known) else np.zeros(len(rows), bool)
            same &= places < len(known)
            rows, places, numbers = rows[same], places[same], numbers[same]
            if not len(rows):
                break
            candidates = order[places]
            found = self._are_equal(candidates, values, rows)
            codes[rows[found]] = candidates[found].astype(np.int64) + 1
            rows, places, numbers = rows[~found], places[~found] + 1, numbers[~found]
        return codes

    def _are_equal(self, candidates: np.ndarray, values: pa.Array, rows: np.ndarray) -> np.ndarray:
        if not is_string(self.values.type):
            return np.ones(len(rows), bool)
        equal: np.ndarray = pc.equal(self.values.take(pa.array(candidates)), values.take(pa.array(rows))).to_numpy(
            zero_copy_only=False
        )
        return equal

    def decode(self, codes: np.ndarray) -> pa.Array:
        """Values of codes; null for code 0."""
        unknown = codes == UNKNOWN_CODE
        outside = (codes < 0) | (codes >= self.n_codes)
        if outside.any():
            raise ValueError(f"code {codes[outside][0]} is not between 0 and {self.n_codes - 1}")
        return self.values.take(pa.array(codes - 1, pa.int64(), mask=unknown))


def _as_numbers(values: pa.Array) -> np.ndarray:
    """A number for each value, none of them missing: a hash for a string, which another one may have, too."""
    if is_string(values.type):
        return hash_strings(values)
    if pa.types.is_boolean(values.type):
        return values.cast(pa.int64()).to_numpy()
    if pa.types.is_date(values.type):
        values = values.cast(pa.int32())
    elif not pa.types.is_floating(values.type) and not pa.types.is_uint64(values.type):
        values = values.cast(pa.int64())
    numbers: np.ndarray = values.to_numpy()
    return numbers


def hash_strings(values: pa.Array) -> np.ndarray:
    """A hash (uint64) of each string that is the same in every process; missing ones have any."""
    chunks = [values.slice(start, _CHUNK) for start in range(0, max(len(values), 1), _CHUNK)]
    return np.concatenate(
        [pd.util.hash_array(chunk.to_numpy(zero_copy_only=False), categorize=False) for chunk in chunks]
    )


def count_values(dictionary: pa.DictionaryArray, weights: np.ndarray | None) -> np.ndarray:
    """Total weight of the rows that hold each value of the dictionary."""
    indices = dictionary.indices
    if indices.null_count:
        present = indices.is_valid()
        weights = None if weights is None else weights[present.to_numpy(zero_copy_only=False)]
        indices = indices.drop_null()
    return np.bincount(indices.to_numpy(), weights, minlength=len(dictionary.dictionary))


def most_frequent(values: pa.Array, counts: np.ndarray, threshold: float, max_values: int | None) -> pa.Array:
    """Values with at least the threshold's count, by descending count and then by value."""
    # Less a little, because a share of the rows is rounded: 0.07 * 100 > 7.
    frequent = counts >= threshold * (1 - 1e-9)
    values, counts = values.filter(pa.array(frequent)), counts[frequent]
    by_value = pc.array_sort_indices(values).to_numpy()
    # Sums of fractional weights depend on the order of the rows in their last bits; ties must not.
    shares = np.round(counts[by_value] / counts.sum(), 12)
    order = by_value[np.argsort(-shares, kind="stable")][:max_values]
    return values.take(pa.array(order))
