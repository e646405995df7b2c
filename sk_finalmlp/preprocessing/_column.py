"""One column of a table as an Arrow array of a few canonical types; missing are nulls, and NaN and infinity."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, Self, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


@dataclass(frozen=True)
class Tally:
    """Which rows the values of a short column stand for, where it is learned from instead of a long one."""

    repeats: np.ndarray
    n_rows: int
    n_missing: int
    #: Number of elements of the longest list, missing ones among them.
    longest: int = 0


class Column:
    """A named column in canonical form."""

    def __init__(self, name: str, values: pa.Array, tally: Tally | None = None) -> None:
        self.name = name
        self.values = values
        self.tally = tally

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.values) if self.tally is None else self.tally.n_rows

    @cached_property
    def dictionary(self) -> pa.DictionaryArray:
        """The distinct values and, for each row, which of them it holds."""
        return self.values.dictionary_encode()

    @cached_property
    def elements(self) -> Column:
        """The elements of lists, one after the other."""
        return Column(self.name, self.values.flatten())

    def map(self, function: Callable[[pa.Array], np.ndarray], missing: int) -> np.ndarray:
        """Apply a function that goes value by value, to the distinct values alone where these are known already."""
        if "dictionary" not in vars(self):
            return function(self.values)
        of_distinct = np.append(function(self.dictionary.dictionary), missing)
        rows: np.ndarray = self.dictionary.indices.fill_null(len(of_distinct) - 1).to_numpy()
        return of_distinct.take(rows)

    @property
    def n_missing(self) -> int:
        """Number of missing values."""
        n_missing: int = self.values.null_count if self.tally is None else self.tally.n_missing
        return n_missing

    @property
    def repeats(self) -> np.ndarray | None:
        """Number of rows that each value stands for; None for one."""
        return None if self.tally is None else self.tally.repeats

    def with_values(self, values: pa.Array) -> Column:
        """Other values of the same rows."""
        return Column(self.name, values, self.tally)

    def filter(self, rows: np.ndarray) -> Self:
        """The column of some of the rows, given by a mask."""
        return type(self)(self.name, self.values.filter(pa.array(rows)))


class _Rows(Protocol):
    def filter(self, rows: np.ndarray) -> Self: ...


_AnyColumn = TypeVar("_AnyColumn", bound=_Rows)


def rows_with_weight(column: _AnyColumn, weights: np.ndarray | None) -> tuple[_AnyColumn, np.ndarray | None]:
    """Column and weights in fit: rows without weight are as good as absent."""
    if weights is None or weights.all():
        return column, weights
    return column.filter(weights > 0), weights[weights > 0]


def is_string(dtype: pa.DataType) -> bool:
    """Whether values of this type are strings."""
    return any(check(dtype) for check in (pa.types.is_large_string, pa.types.is_string, pa.types.is_string_view))


def is_list(dtype: pa.DataType) -> bool:
    """Whether values of this type are lists."""
    checks = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list, pa.types.is_list_view)
    return any(check(dtype) for check in (*checks, pa.types.is_large_list_view))


def lists_of(elements: pa.Array, lengths: np.ndarray, missing: pa.Array | None = None) -> pa.LargeListArray:
    """Lists of the given lengths, filled with the elements in order."""
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int64())
    return pa.LargeListArray.from_arrays(offsets, elements, mask=missing)


def list_lengths(lists: pa.Array) -> np.ndarray:
    """Number of elements of each list, 0 for a missing one."""
    lengths: np.ndarray = pc.fill_null(pc.list_value_length(lists), 0).to_numpy().astype(np.int64)
    return lengths


def text_of_first(values: pa.Array) -> str:
    """The first value that is present, for messages; Arrow has times that Python lacks."""
    first = values.drop_null()[0]
    try:
        return str(first.as_py())
    except OverflowError:
        return str(first.cast(pa.large_string()).as_py())
