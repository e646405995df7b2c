"""Columns of vectors: arrays of numbers of one length, such as embeddings of texts, pictures or nodes of a graph."""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Iterator
from typing import Self

import numpy as np
import pyarrow as pa

from ...fields import Field
from ..tables._column import Column, list_lengths, lists_of, text_of_first
from ._numeric import FloatColumn

#: A deviation below this share of the largest number is rounding, not variation.
_MIN_RELATIVE_DEVIATION = 1e-13
#: Farther outliers would overflow the floats of the network in the end.
_MAX_DEVIATIONS = 100.0
#: So many vectors are scaled at a time.
_PART = 4096


class VectorScale:
    """Brings vectors to the size of standardised numbers: centred, and divided by one number for all coordinates.

    So distances stay in proportion. With a deviation for each coordinate, the least ones, noise in most embeddings,
    would count as much as the first.
    """

    def fit(self, vectors: np.ndarray, weights: np.ndarray | None = None) -> Self:
        """Learn from vectors, shape (n, length), and their weights."""
        # In units of the largest number, since squares of large doubles overflow.
        self.unit = float(max(vectors.max(initial=0.0), -vectors.min(initial=0.0))) or 1.0
        self.mean: np.ndarray = _average(vectors, lambda part: part / self.unit, weights)
        variance = float(_average(vectors, lambda part: (part / self.unit - self.mean) ** 2, weights).mean())
        self.deviation = variance**0.5 if variance**0.5 > _MIN_RELATIVE_DEVIATION else 0.0
        return self

    @property
    def length(self) -> int:
        """Length of the vectors."""
        return len(self.mean)

    def transform(self, vectors: np.ndarray) -> np.ndarray:
        """Vectors as float32, of mean 0 and mean square 1."""
        scaled = np.zeros(vectors.shape, np.float32)
        if self.deviation == 0:
            return scaled
        for part in _parts(len(vectors)):
            with np.errstate(over="ignore"):
                deviations = (_as_doubles(vectors[part]) / self.unit - self.mean) / self.deviation
            scaled[part] = np.clip(deviations, -_MAX_DEVIATIONS, _MAX_DEVIATIONS)
        return scaled

    def inverse_transform(self, vectors: np.ndarray) -> np.ndarray:
        """Vectors on the original scale."""
        original: np.ndarray = (vectors.astype(np.float64) * self.deviation + self.mean) * self.unit
        return original


def _average(
    vectors: np.ndarray, function: Callable[[np.ndarray], np.ndarray], weights: np.ndarray | None
) -> np.ndarray:
    """Average of what a function makes of the vectors, a part at a time, so that memory holds no copy of all."""
    weights = np.ones(len(vectors)) if weights is None else weights
    total = np.zeros(vectors.shape[1])
    for part in _parts(len(vectors)):
        total += weights[part] @ function(_as_doubles(vectors[part]))
    average: np.ndarray = total / weights.sum()
    return average


def _as_doubles(vectors: np.ndarray) -> np.ndarray:
    return vectors.astype(np.float64, copy=False)


def _parts(n_rows: int) -> Iterator[slice]:
    return (slice(start, start + _PART) for start in range(0, max(n_rows, 1), _PART))


class VectorEncoder(FloatColumn):
    """A column of arrays as a column of floats for each coordinate; a missing vector is one of zeros."""

    def fit(self, column: Column, weights: np.ndarray | None) -> Self:
        """Learn length and scale of the vectors."""
        vectors, is_present = read_vectors(column.values)
        if not len(vectors):
            raise ValueError(
                "it holds no vector, so that their length isn't known. Name the column in `drop`, or fit to rows with "
                "vectors."
            )
        weights = column.repeats if weights is None else weights
        self.scale = VectorScale().fit(vectors, None if weights is None else weights[is_present])
        return self

    def transform(self, column: Column) -> list[np.ndarray]:
        """The coordinates of the scaled vectors."""
        vectors, is_present = read_vectors(column.values, self.scale.length)
        outputs = np.zeros((self.scale.length, len(is_present)), np.float32)
        outputs[:, is_present] = self.scale.transform(vectors).T
        return list(outputs)

    def inverse_transform(self, outputs: list[np.ndarray]) -> pa.Array:
        """Vectors on the original scale."""
        vectors = np.column_stack(outputs)
        is_present = vectors.any(axis=1)
        elements = self.scale.inverse_transform(vectors[is_present]).ravel()
        lengths = np.where(is_present, self.scale.length, 0)
        return lists_of(pa.array(elements), lengths, missing=pa.array(~is_present))

    def output_fields(self, name: str) -> list[Field]:
        """One vector field."""
        return [Field(name, "vector", n_columns=self.scale.length)]


HOW_TO_READ_ARRAYS = (
    "Arrays that a CSV file holds as text can be read back, for example by `column.map(json.loads, "
    "na_action='ignore')`."
)


def read_vectors(values: pa.Array, length: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Vectors out of lists of doubles.

    Parameters
    ----------
    values : pyarrow.Array
        Lists; one that is null, empty or all null is a missing vector.
    length : int, default=None
        The length that they must have; None for that of the first.

    Returns
    -------
    vectors : ndarray of float64, shape (n_present, length)
        The vectors that aren't missing.
    is_present : ndarray of bool, shape (n,)
        Which ones these are.
    """
    if not pa.types.is_large_list(values.type):
        if values.null_count < len(values):
            raise TypeError(f"it holds {text_of_first(values)!r} where fit saw arrays of numbers. {HOW_TO_READ_ARRAYS}")
        return np.empty((0, length or 0)), np.zeros(len(values), bool)
    lengths = list_lengths(values)
    numbers = values.flatten().to_numpy(zero_copy_only=False).astype(np.float64, copy=False)
    n_known = lengths if not np.isnan(numbers).any() else _known_numbers(numbers, lengths)
    is_present = n_known > 0
    incomplete = np.flatnonzero(is_present & (n_known < lengths))
    if len(incomplete):
        row = int(incomplete[0])
        raise ValueError(
            f"the vector of row {row}, {_shown(values[row])}, holds NaN or an infinite number. Correct it, or make the "
            "whole vector missing."
        )
    if not is_present.any():
        return np.empty((0, length or 0)), is_present
    expected = int(lengths[is_present.argmax()]) if length is None else length
    others = np.flatnonzero(is_present & (lengths != expected))
    if len(others):
        row = int(others[0])
        source = f"that of row {int(is_present.argmax())} has" if length is None else "those of fit have"
        raise ValueError(
            f"the vector of row {row}, {_shown(values[row])}, has length {lengths[row]}, but {source} length "
            f"{expected}. All vectors of a column come from one model and have one length."
        )
    return numbers[np.repeat(is_present, lengths)].reshape(-1, expected), is_present


def _known_numbers(numbers: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    rows = np.repeat(np.arange(len(lengths)), lengths)
    return np.bincount(rows[~np.isnan(numbers)], minlength=len(lengths))


def _shown(vector: pa.Scalar) -> str:
    return reprlib.repr(vector.as_py())
