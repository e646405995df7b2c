"""Vectors of ids: given once for each id, and looked up by the id itself."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from functools import cached_property
from typing import Any, NamedTuple, Self

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ..._origin import VectorTable
from ...fields import UNKNOWN_CODE, Field, pretrained_name
from ..tables._column import Column, text_of_first
from ..tables._raw_column import RawColumn, read_column
from ..tables._reading import Reading
from ._categorical import CategoricalEncoder, HashBuckets
from ._vector import VectorScale
from ._vocabulary import Vocabulary

_HOW_TO_GIVE = (
    "Give a DataFrame of floats indexed by id, a Series of arrays indexed by id, or a tuple of ids and a matrix."
)


class GivenVectors(NamedTuple):
    """Vectors as the user gives them, checked.

    Parameters
    ----------
    ids : RawColumn
        The ids, not yet read as any type.
    vectors : ndarray of float, shape (n, length)
        Their vectors.
    """

    ids: RawColumn
    vectors: np.ndarray

    def of_ids(self, reading: Reading) -> tuple[pa.Array, np.ndarray]:
        """The ids as the column's values are read, and their vectors.

        Raises
        ------
        TypeError
            If an id can't be a value of the column.
        ValueError
            If an id occurs twice.
        """
        ids = reading.read(self.ids).values
        if ids.null_count:
            row = int(np.flatnonzero(ids.is_null().to_numpy(zero_copy_only=False))[0])
            raise TypeError(
                f"the id {self._id(row)!r} of its `vectors` can't be one of its values, which are of type "
                f"{reading.like}. Index the vectors by the column's own values."
            )
        counts = pc.value_counts(ids)
        if len(counts) < len(ids):
            twice = next(count for count in counts if count["counts"].as_py() > 1)["values"].as_py()
            raise ValueError(
                f"the id {twice!r} has several `vectors`. Keep one for each, for example by "
                "`frame[~frame.index.duplicated()]`; 5, 5.0 and '5' are the same id."
            )
        return ids, self.vectors

    def _id(self, row: int) -> Any:
        return _ids_of(self.ids)[row]


def _ids_of(ids: RawColumn) -> list[Any]:
    found: list[Any] = [None] * len(ids)
    for values, rows in ids.parts:
        for row, value in zip(range(len(ids)) if rows is None else rows, values.to_pylist(), strict=True):
            found[row] = value
    return found


def check_vectors(name: str, given: Any) -> GivenVectors:
    """Vectors of a column's ids as the user gives them.

    Parameters
    ----------
    name : str
        Name of the column.
    given : DataFrame, Series or (array-like, array-like)
        Floats indexed by id, arrays indexed by id, or ids and a matrix.

    Returns
    -------
    GivenVectors

    Raises
    ------
    TypeError
        If it is none of these, or holds anything but numbers.
    ValueError
        If a vector has another length than the others, or holds NaN or an infinite number, or an id is missing.
    """
    raw_ids, vectors = _ids_and_vectors(name, given)
    ids = read_column(name, raw_ids)
    if len(ids) != len(vectors):
        raise ValueError(f"vectors: {name!r} has {len(ids)} ids and {len(vectors)} vectors. Give one for each id.")
    if not vectors.size:
        raise ValueError(f"vectors: that of {name!r} has shape {vectors.shape}. {_HOW_TO_GIVE}")
    n_missing = len(ids) - sum(len(values) - values.null_count for values, _ in ids.parts)
    if n_missing:
        raise ValueError(f"vectors: {n_missing} ids of {name!r} are missing. Leave their vectors out.")
    wrong = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(wrong):
        raise ValueError(
            f"vectors: that of the id {_ids_of(ids)[wrong[0]]!r} of {name!r} holds NaN or an infinite number"
            f"{f', and so do {len(wrong) - 1} others' if len(wrong) > 1 else ''}. Leave out ids without a vector, for "
            "example by `frame.dropna()`: they get a learned one."
        )
    return GivenVectors(ids, vectors)


def vectors_to_come(name: str, given: Any, reading: Reading, known: Vocabulary) -> GivenVectors | None:
    """Vectors as the user gives them in an update, checked; None if all of their ids are known.

    Of a frame or Series, which may be large, only those of other ids are read.
    """
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
    raise TypeError(f"vectors: that of {name!r} is {type(given).__name__}. {_HOW_TO_GIVE}")


def _check_index(name: str, index: pd.Index[Any]) -> None:
    if isinstance(index, pd.MultiIndex):
        raise TypeError(f"vectors: that of {name!r} has an index of several levels, and an id has one.")


def _stacked(name: str, ids: Any, arrays: np.ndarray) -> np.ndarray:
    vectors = [_as_vector(name, label, array) for label, array in zip(ids, arrays, strict=True)]
    lengths = [len(vector) for vector in vectors]
    other = next((row for row, length in enumerate(lengths) if length != lengths[0]), None)
    if other is not None:
        raise ValueError(
            f"vectors: that of the id {ids[other]!r} of {name!r} has length {lengths[other]}, and that of {ids[0]!r} "
            f"has length {lengths[0]}. All come from one model and have one length."
        )
    return np.stack(vectors) if vectors else np.empty((0, 0))


def _as_vector(name: str, label: Any, array: Any) -> np.ndarray:
    try:
        vector = np.asarray(array, np.float64)
    except (TypeError, ValueError):
        vector = np.empty(())
    if vector.ndim != 1:
        raise TypeError(
            f"vectors: that of the id {label!r} of {name!r} is {reprlib.repr(array)}, not an array of numbers."
        )
    return vector


class PretrainedEncoder:
    """A column of ids as one of codes, and one that says which vector of a table each id has.

    An id has a vector whether `fit` saw it or not.

    Parameters
    ----------
    ids : CategoricalEncoder
        What encodes the ids.
    replaces : bool
        Whether the vectors stand in place of embeddings of the ids, not beside them.
    is_tuned : bool
        Whether the network trains a copy of the vectors.
    """

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
        # Row 0 is that of ids without a vector.
        self.table[1:] = self.scale.transform(vectors)
        return self

    def learn_more_vectors(self, given: GivenVectors, reading: Reading) -> Self:
        """An encoder that has the vectors of more ids, too; those that it has stay as they are."""
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
        """A copy with other attributes, which keeps what is cached, too."""
        encoder = object.__new__(type(self))
        vars(encoder).update(vars(self) | changes)
        return encoder

    def fit(self, column: Column, weights: np.ndarray | None) -> Self:
        """Learn the codes of the ids."""
        self.ids.fit(column, weights)
        if not self._codes_of_vectors(column).any() and column.n_missing < len(column):
            raise ValueError(
                f"none of its values has a vector: it holds {text_of_first(column.values)!r}, and `vectors` has ids "
                f"such as {text_of_first(self.vocabulary.values)!r}. Index the vectors by the ids, for example by "
                "`frame.set_index`."
            )
        return self

    def grow(self, column: Column, decay: float) -> tuple[Self, list[np.ndarray]]:
        """The encoder after more rows; the vectors stay as they are."""
        ids, fresh = self.ids.grow(column, decay)
        return self._with(ids=ids), fresh

    def transform(self, column: Column) -> list[np.ndarray]:
        """Codes, and rows of the table of vectors."""
        return [*self.ids.transform(column), self._codes_of_vectors(column)]

    def _codes_of_vectors(self, column: Column) -> np.ndarray:
        return column.map(self.vocabulary.encode, missing=UNKNOWN_CODE)

    def inverse_transform(self, outputs: list[np.ndarray]) -> pa.Array:
        """Ids that fit saw, or that have a vector."""
        codes, rows = outputs
        return pc.coalesce(self.ids.inverse_transform([codes]), self.vocabulary.decode(rows))

    def output_fields(self, name: str) -> list[Field]:
        """A categorical field, and that of its vectors."""
        n_codes, length = self.table.shape
        vectors = Field(pretrained_name(name), "pretrained", n_codes, of=name, length=length, is_tuned=self.is_tuned)
        return [*self.ids.output_fields(name), vectors]

    def vocabularies(self, name: str) -> Mapping[str, Vocabulary | HashBuckets]:
        """The vocabulary of the ids that `fit` saw, and that of those with vectors."""
        return {**self.ids.vocabularies(name), pretrained_name(name): self.vocabulary}

    @cached_property
    def vector_table(self) -> VectorTable:
        """The vectors as a table carries them to the classifier."""
        return VectorTable.of(self.table, self.replaces, self.is_tuned)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "vector_table"}
