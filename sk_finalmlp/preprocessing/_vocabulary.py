"""The known values of a field and their codes."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..fields import UNKNOWN_CODE
from ._column import as_floats, as_integers, as_strings

#: Fewer rows than this are looked up one by one: calling Arrow costs more than a few look-ups in a dict.
_FEW_ROWS = 256
#: Arrow hashes all known values in each call, which costs about as much as looking up a tenth as many rows in a dict.
_KNOWN_VALUES_PER_ROW = 10


class _CodeOf(dict[Any, int]):
    def __missing__(self, key: Any) -> int:
        return UNKNOWN_CODE


class Vocabulary:
    """Known values in the order of their codes: value k - 1 has code k, code 0 is left for all others.

    Values are looked up by what they read as, not by their type: 5, 5.0 and "5" are the same value.

    Parameters
    ----------
    values : pyarrow.Array
        Distinct known values.
    """

    def __init__(self, values: pa.Array) -> None:
        self.values = values
        self._keys = as_keys(values, values.type)

    @property
    def n_codes(self) -> int:
        """Number of codes, code 0 included."""
        return len(self.values) + 1

    @cached_property
    def _code_of(self) -> _CodeOf:
        return _CodeOf(zip(self._keys.to_pylist(), range(1, self.n_codes), strict=True))

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_code_of"}

    def encode(self, values: pa.Array) -> np.ndarray:
        """Codes (int64) of values of any canonical type."""
        keys = as_keys(values, self.values.type)
        if len(keys) < max(_FEW_ROWS, self.n_codes // _KNOWN_VALUES_PER_ROW):
            return np.fromiter(map(self._code_of.__getitem__, keys.to_pylist()), np.int64, len(keys))
        positions = pc.fill_null(pc.index_in(keys, value_set=self._keys), UNKNOWN_CODE - 1)
        codes: np.ndarray = np.add(positions.to_numpy(), 1, dtype=np.int64)
        return codes

    def decode(self, codes: np.ndarray) -> pa.Array:
        """Values of codes; null for code 0."""
        unknown = codes == UNKNOWN_CODE
        outside = (codes < 0) | (codes >= self.n_codes)
        if outside.any():
            raise ValueError(f"code {codes[outside][0]} is not between 0 and {self.n_codes - 1}")
        return self.values.take(pa.array(codes - 1, pa.int64(), mask=unknown))


def as_keys(values: pa.Array, dtype: pa.DataType) -> pa.Array:
    """Values in the form in which values of type `dtype` are compared."""
    if pa.types.is_int64(dtype) or pa.types.is_boolean(dtype):
        return as_integers(values)
    if pa.types.is_floating(dtype):
        return pa.array(as_floats(values), from_pandas=True)
    return as_strings(values)


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
