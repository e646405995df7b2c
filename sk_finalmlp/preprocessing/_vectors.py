"""Vectors: columns of arrays of one length, such as embeddings of texts, and vectors given for ids."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any, NamedTuple, Self

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from .._warnings import shown
from ..schema import UNKNOWN_CODE, Field, VectorTable, pretrained_name
from ._column import Column, RawColumn, is_all_missing, list_lengths, list_rows, lists_of, read_column, show_first
from ._numeric import MIN_RELATIVE_SPREAD, unit_of
from ._reading import Reading
from ._vocabulary import CategoricalEncoder, ColumnEncoder, HashBuckets, Vocabulary, WithoutCaches

#: Farther outliers would overflow the floats of the network in the end.
_MAX_DEVIATIONS = 100.0
#: Number of vectors to scale at a time.
_PART = 4096


class VectorScale:
    """Centres vectors and divides them by one number: a deviation for each coordinate would blow up noisy ones."""

    def fit(self, vectors: np.ndarray, weights: np.ndarray | None = None) -> Self:
        """Learn from vectors, shape (n, length), and their weights."""
        self.unit = unit_of(vectors)
        self.mean: np.ndarray = _average(vectors, lambda part: part / self.unit, weights)
        deviation = float(_average(vectors, lambda part: (part / self.unit - self.mean) ** 2, weights).mean()) ** 0.5
        self.deviation = deviation if deviation > MIN_RELATIVE_SPREAD else 0.0
        return self

    @property
    def length(self) -> int:
        """Length of the vectors."""
        return len(self.mean)

    def transform(self, vectors: np.ndarray) -> np.ndarray:
        """Return vectors as float32, of mean 0 and mean square 1."""
        scaled = np.zeros(vectors.shape, np.float32)
        if self.deviation == 0:
            return scaled
        for part in _parts(len(vectors)):
            with np.errstate(over="ignore"):
                deviations = (vectors[part].astype(np.float64, copy=False) / self.unit - self.mean) / self.deviation
            scaled[part] = np.clip(deviations, -_MAX_DEVIATIONS, _MAX_DEVIATIONS)
        return scaled

    def inverse_transform(self, vectors: np.ndarray) -> np.ndarray:
        """Return vectors on the original scale."""
        return (vectors.astype(np.float64) * self.deviation + self.mean) * self.unit


def _average(
    vectors: np.ndarray, function: Callable[[np.ndarray], np.ndarray], weights: np.ndarray | None
) -> np.ndarray:
    """Return the average of a function over the vectors, a part at a time to save memory."""
    weights = np.ones(len(vectors)) if weights is None else weights
    total = np.zeros(vectors.shape[1])
    for part in _parts(len(vectors)):
        total += weights[part] @ function(vectors[part].astype(np.float64, copy=False))
    return total / weights.sum()


def _parts(n_rows: int) -> Iterator[slice]:
    return (slice(start, start + _PART) for start in range(0, n_rows, _PART))


class VectorEncoder(ColumnEncoder):
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
        vectors, is_present = read_vectors(column.values, self.scale.length)
        outputs = np.zeros((self.scale.length, len(is_present)), np.float32)
        outputs[:, is_present] = self.scale.transform(vectors).T
        return list(outputs)

    def inverse_transform(self, outputs: list[np.ndarray]) -> pa.Array:
        vectors = np.column_stack(outputs)
        is_present = vectors.any(axis=1)
        elements = self.scale.inverse_transform(vectors[is_present]).ravel()
        lengths = np.where(is_present, self.scale.length, 0)
        return lists_of(pa.array(elements), lengths, missing=pa.array(~is_present))

    def output_fields(self, name: str) -> list[Field]:
        return [Field(name, "vector", n_columns=self.scale.length)]


HOW_TO_READ_ARRAYS = (
    "Arrays that a CSV file holds as text can be read back, for example by `column.map(json.loads, "
    "na_action='ignore')`."
)


def read_vectors(values: pa.Array, length: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return vectors out of lists of doubles."""
    if not pa.types.is_large_list(values.type):
        if not is_all_missing(values):
            raise TypeError(f"it holds {show_first(values)} where fit saw arrays of numbers. {HOW_TO_READ_ARRAYS}")
        return np.empty((0, length or 0)), np.zeros(len(values), bool)
    lengths = list_lengths(values)
    numbers = values.flatten().to_numpy(zero_copy_only=False).astype(np.float64, copy=False)
    is_known = ~np.isnan(numbers)
    n_known = lengths
    if not is_known.all():
        n_known = np.bincount(list_rows(values)[is_known], minlength=len(lengths))
    is_present = n_known > 0
    incomplete = np.flatnonzero(is_present & (n_known < lengths))
    if len(incomplete):
        row = int(incomplete[0])
        raise ValueError(
            f"the vector of row {row}, {shown(values[row].as_py())}, holds NaN or an infinite number. Correct it, or "
            "make the whole vector missing."
        )
    if not is_present.any():
        return np.empty((0, length or 0)), is_present
    expected = int(lengths[is_present.argmax()]) if length is None else length
    others = np.flatnonzero(is_present & (lengths != expected))
    if len(others):
        row = int(others[0])
        source = f"row {int(is_present.argmax())} has" if length is None else "vectors in fit have"
        raise ValueError(
            f"the vector of row {row}, {shown(values[row].as_py())}, has length {lengths[row]}, but {source} length "
            f"{expected}. All vectors of a column come from one model and have one length."
        )
    return numbers[np.repeat(is_present, lengths)].reshape(-1, expected), is_present


_HOW_TO_GIVE = (
    "Give a DataFrame of floats indexed by id, a Series of arrays indexed by id, or a tuple of ids and a matrix."
)


class GivenVectors(NamedTuple):
    """Vectors as the user gives them, checked."""

    ids: RawColumn
    vectors: np.ndarray

    def of_ids(self, reading: Reading) -> tuple[pa.Array, np.ndarray]:
        """Return the ids as the column's values are read, and their vectors."""
        ids = reading.read(self.ids).values
        if ids.null_count:
            row = int(np.flatnonzero(ids.is_null().to_numpy(zero_copy_only=False))[0])
            raise TypeError(
                f"the id {shown(_ids_of(self.ids)[row])} of its `vectors` can't be one of its values, which are of "
                f"type {reading.like}. Index the vectors by the column's own values."
            )
        counts = pc.value_counts(ids)
        if len(counts) < len(ids):
            twice = next(count for count in counts if count["counts"].as_py() > 1)["values"].as_py()
            raise ValueError(
                f"the id {shown(twice)} has several `vectors`. Keep one for each, for example by "
                "`frame[~frame.index.duplicated()]`; 5, 5.0 and '5' are the same id."
            )
        return ids, self.vectors


def _ids_of(ids: RawColumn) -> list[Any]:
    of_types = zip(*(values.to_pylist() for values in ids.arrays), strict=True)
    return [next((value for value in values if value is not None), None) for values in of_types]


def check_vectors(name: str, given: Any) -> GivenVectors:
    """Return vectors of a column's ids as the user gives them."""
    raw_ids, vectors = _ids_and_vectors(name, given)
    ids = read_column(name, raw_ids)
    if len(ids) != len(vectors):
        raise ValueError(f"vectors: {name!r} has {len(ids)} ids and {len(vectors)} vectors. Give one for each id.")
    if not vectors.size:
        raise ValueError(f"vectors: the matrix of {name!r} has shape {vectors.shape}. {_HOW_TO_GIVE}")
    n_missing = len(ids) - ids.n_present
    if n_missing:
        raise ValueError(f"vectors: {n_missing} ids of {name!r} are missing. Leave their vectors out.")
    wrong = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(wrong):
        raise ValueError(
            f"vectors: the id {_ids_of(ids)[wrong[0]]!r} of {name!r} has a vector with NaN or infinity"
            f"{f', and so have {len(wrong) - 1} others' if len(wrong) > 1 else ''}. Leave out ids without a vector, "
            "for example by `frame.dropna()`: they get a learned one."
        )
    return GivenVectors(ids, vectors)


def vectors_to_come(name: str, given: Any, reading: Reading, known: Vocabulary) -> GivenVectors | None:
    """Check the vectors of ids that have come since; None without any. Only those are read of a frame or Series."""
    if isinstance(given, pd.DataFrame | pd.Series):
        _check_index(name, given.index)
        ids = reading.read(read_column(name, given.index)).values
        given = given[known.encode(ids) == UNKNOWN_CODE]
        if not len(given):
            return None
    return check_vectors(name, given)


def _ids_and_vectors(name: str, given: Any) -> tuple[Any, np.ndarray]:
    if isinstance(given, pd.DataFrame):
        _check_index(name, given.index)
        for label, dtype in given.dtypes.items():
            if not pd.api.types.is_numeric_dtype(dtype) or pd.api.types.is_complex_dtype(dtype):
                raise TypeError(
                    f"vectors: column {label!r} of the frame of {name!r} has dtype {dtype}, and vectors are of floats. "
                    "Leave it out, or make it the index by `frame.set_index` if it holds the ids."
                )
        # Vectors are seldom of doubles, and a copy as such would be large.
        is_single = all(dtype == np.float32 for dtype in given.dtypes)
        return given.index, given.to_numpy(np.float32 if is_single else np.float64, na_value=np.nan)
    if isinstance(given, pd.Series):
        _check_index(name, given.index)
        return given.index, _stacked(name, given.index, given.to_numpy())
    if isinstance(given, tuple) and len(given) == 2:
        ids, matrix = given[0], np.asarray(given[1])
        if matrix.ndim != 2 or matrix.dtype.kind not in "biuf":
            raise TypeError(
                f"vectors: the matrix of {name!r} has shape {matrix.shape} and dtype {matrix.dtype}, and must be of "
                "floats, with a row for each id."
            )
        return ids if hasattr(ids, "dtype") else pd.Series(list(ids)), matrix
    raise TypeError(f"vectors: the value for {name!r} is of type {type(given).__name__}. {_HOW_TO_GIVE}")


def _check_index(name: str, index: pd.Index[Any]) -> None:
    if isinstance(index, pd.MultiIndex):
        raise TypeError(f"vectors: {name!r} has an index of several levels; use one level, the ids.")


def _stacked(name: str, ids: Any, arrays: np.ndarray) -> np.ndarray:
    vectors = [_as_vector(name, label, array) for label, array in zip(ids, arrays, strict=True)]
    lengths = [len(vector) for vector in vectors]
    other = next((row for row, length in enumerate(lengths) if length != lengths[0]), None)
    if other is not None:
        raise ValueError(
            f"vectors: the id {ids[other]!r} of {name!r} has a vector of length {lengths[other]}, and {ids[0]!r} of "
            f"length {lengths[0]}. Give vectors of one model, all of one length."
        )
    return np.stack(vectors) if vectors else np.empty((0, 0))


def _as_vector(name: str, label: Any, array: Any) -> np.ndarray:
    try:
        vector = np.asarray(array, np.float64)
    except (TypeError, ValueError):
        vector = np.empty(())
    if vector.ndim != 1:
        raise TypeError(f"vectors: the id {shown(label)} of {name!r} has {shown(array)}, not an array of numbers.")
    return vector


class PretrainedEncoder(WithoutCaches, ColumnEncoder):
    """A column of ids as one of codes, and one that says which vector of a table each id has, seen in `fit` or not."""

    def __init__(self, ids: CategoricalEncoder, replaces: bool, is_tuned: bool) -> None:
        self.ids = ids
        self.replaces = replaces
        self.is_tuned = is_tuned

    def learn_vectors(self, given: GivenVectors, reading: Reading) -> Self:
        """Take over the vectors, in the order of the ids that are given."""
        ids, vectors = given.of_ids(reading)
        self.vocabulary = Vocabulary(ids)
        self.scale = VectorScale().fit(vectors)
        self.table = np.zeros((len(vectors) + 1, self.scale.length), np.float32)
        # Row 0 is for ids without a vector.
        self.table[1:] = self.scale.transform(vectors)
        return self

    def learn_more_vectors(self, given: GivenVectors, reading: Reading) -> Self:
        """Return an encoder that has the vectors of more ids, too; known ones stay as they are."""
        ids, vectors = given.of_ids(reading)
        is_new = self.vocabulary.encode(ids) == UNKNOWN_CODE
        if not is_new.any():
            return self
        if vectors.shape[1] != self.scale.length:
            raise ValueError(
                f"its `vectors` have length {vectors.shape[1]} now, and had length {self.scale.length} in fit. All "
                "come from one model and have one length; fit again to vectors of another one."
            )
        encoder = self._with(
            vocabulary=self.vocabulary.extended(ids.filter(pa.array(is_new))),
            table=np.concatenate([self.table, self.scale.transform(vectors[is_new])]),
        )
        vars(encoder).pop("vector_table", None)
        return encoder

    def _with(self, **changes: Any) -> Self:
        """Return a copy with other attributes, caches included."""
        encoder = object.__new__(type(self))
        vars(encoder).update(vars(self) | changes)
        return encoder

    def fit(self, column: Column, weights: np.ndarray | None) -> Self:
        """Learn the codes of the ids."""
        self.ids.fit(column, weights)
        if not column.codes(self.vocabulary.encode).any() and column.n_missing < len(column):
            raise ValueError(
                f"none of its values has a vector: it holds {show_first(column.values)}, and `vectors` has ids "
                f"such as {show_first(self.vocabulary.values)}. Index the vectors by the ids, for example by "
                "`frame.set_index`."
            )
        return self

    def grow(self, column: Column, decay: float) -> tuple[Self, list[np.ndarray]]:
        ids, fresh = self.ids.grow(column, decay)
        return self._with(ids=ids), fresh

    def transform(self, column: Column) -> list[np.ndarray]:
        return [*self.ids.transform(column), column.codes(self.vocabulary.encode)]

    def inverse_transform(self, outputs: list[np.ndarray]) -> pa.Array:
        codes, rows = outputs
        return pc.coalesce(self.ids.inverse_transform([codes]), self.vocabulary.decode(rows))

    def output_fields(self, name: str) -> list[Field]:
        n_codes, length = self.table.shape
        vectors = Field(pretrained_name(name), "pretrained", n_codes, of=name, length=length, is_tuned=self.is_tuned)
        return [*self.ids.output_fields(name), vectors]

    def vocabularies(self, name: str) -> Mapping[str, Vocabulary | HashBuckets]:
        return {**self.ids.vocabularies(name), pretrained_name(name): self.vocabulary}

    @cached_property
    def vector_table(self) -> VectorTable:
        """The vectors as a table carries them to the classifier."""
        return VectorTable.of(self.table, self.replaces)
