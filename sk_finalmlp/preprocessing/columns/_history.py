"""Histories: lists of values of another column, in the order of time, that have the codes of that column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...fields import UNKNOWN_CODE, Field
from ..tables._column import Column, is_list, list_lengths, lists_of, text_of_first
from ..tables._raw_column import RawColumn
from ..tables._reading import Reading, learn_reading
from ._categorical import CategoricalEncoder, HashBuckets
from ._column_encoder import ColumnEncoder
from ._multi_valued import how_to_read_lists
from ._pretrained import PretrainedEncoder
from ._vocabulary import Vocabulary

#: How many values are looked at for one to show.
_SHOWN = 100


class HistoryEncoder:
    """Codes of the last values of each row, the most recent first, padded with 0.

    An unknown or missing value keeps its place, with code 0, so that histories in step, of items and of their genres,
    stay in step.

    Parameters
    ----------
    of : str
        Name of the column whose values it holds.
    max_length : int
        Largest number of output columns: how many of the last values of a row are kept.
    """

    #: What encodes that column. Whoever holds both sets it: files hold it once.
    target: CategoricalEncoder

    def __init__(self, of: str, max_length: int) -> None:
        self.of = of
        self.max_length = max_length

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "target"}

    def bound_to(self, target: ColumnEncoder | None) -> Self:
        """The same encoder with what encodes the column whose values it holds."""
        if isinstance(target, PretrainedEncoder):
            if target.replaces:
                raise ValueError(
                    f"`histories` says that it holds values of {self.of!r}, which have no embeddings with "
                    "vectors_mode='replace'. Set vectors_mode='sum', or leave the history out."
                )
            target = target.ids
        if not isinstance(target, CategoricalEncoder):
            raise ValueError(f"`histories` says that it holds values of {self.of!r}, which {_why_no_target(target)}")
        bound = copy(self)
        bound.target = target
        return bound

    def fit(self, column: Column, weights: np.ndarray | None) -> Self:
        """Learn the number of output columns."""
        self.n_columns = 1
        self.widen(int(list_lengths(_lists(column)).max(initial=0)))
        return self

    def find_doubt(self, column: Column) -> str | None:
        """What may be wrong with the values, for a warning: all of them are unknown, as where types or names differ."""
        elements = _lists(column).flatten().drop_null()
        vocabulary = self.target.vocabulary
        if isinstance(vocabulary, HashBuckets) or not len(elements) or not len(vocabulary.values):
            return None
        # A few will do where all is well.
        if any(vocabulary.encode(some).any() for some in (elements[:_SHOWN], elements)):
            return None
        return (
            f"holds no value that {self.of!r} has: it holds {text_of_first(elements)!r}, and {self.of!r} has values "
            f"such as {text_of_first(vocabulary.values)!r}. Write them alike, or the history says nothing."
        )

    def widen(self, length: int) -> None:
        """Make room for a row of so many values."""
        self.n_columns = min(max(self.n_columns, length), self.max_length)

    def grow(self, column: Column, decay: float) -> tuple[Self, list[np.ndarray]]:
        """The encoder itself, which has learned nothing from the rows but the number of columns."""
        return self, []

    def transform(self, column: Column) -> list[np.ndarray]:
        """Codes, as one array per position."""
        lists = _lists(column)
        lengths = list_lengths(lists)
        ends = np.repeat(np.cumsum(lengths), lengths)
        # 0 is the last one of the row.
        positions = ends - 1 - np.arange(len(ends))
        kept = positions < self.n_columns
        elements = lists.flatten()
        codes = np.full((self.n_columns, len(lists)), UNKNOWN_CODE)
        rows = np.repeat(np.arange(len(lists)), lengths)
        if not kept.all():
            elements, positions, rows = elements.filter(pa.array(kept)), positions[kept], rows[kept]
        codes[positions, rows] = self.target.vocabulary.encode(elements)
        return list(codes)

    def inverse_transform(self, outputs: list[np.ndarray]) -> pa.Array:
        """Lists of the known values, the most recent last; null where there is none."""
        if isinstance(self.target.vocabulary, HashBuckets):
            return pa.nulls(len(outputs[0]))
        codes = np.column_stack(outputs[::-1])
        known = codes != UNKNOWN_CODE
        values = self.target.vocabulary.decode(codes[known])
        return lists_of(values, known.sum(axis=1), missing=pa.array(~known.any(axis=1)))

    def output_fields(self, name: str) -> list[Field]:
        """One history."""
        return [Field(name, "history", self.target.vocabulary.n_codes, self.n_columns, self.of)]

    def vocabularies(self, name: str) -> Mapping[str, Vocabulary | HashBuckets]:
        """None of its own."""
        return {}


def _why_no_target(encoder: ColumnEncoder | None) -> str:
    if encoder is None:
        return "is dropped. Keep it: a history is looked up in its embedding table."
    if isinstance(encoder, HistoryEncoder):
        return "is a history itself. Name the column of single values."
    return (
        "isn't categorical: a history shares codes, and those of a single value per row. Name the column in "
        "`categorical`, or leave the history out."
    )


def read_history(raw: RawColumn, of: Reading) -> Reading:
    """How a column of histories is read: as lists of what the other column is read as.

    Raises
    ------
    TypeError
        If it holds something else than lists, or values that can't be values of the other column.
    """
    for part in raw.parts:
        if not is_list(part.values.type) and part.values.null_count < len(part.values):
            raise TypeError(f"`histories` names it, but {_no_list(part.values)}")
    learn_reading(raw)
    reading = of.with_lists(True)
    for part in raw.parts:
        if is_list(part.values.type):
            elements = part.values.flatten()
            _check_read(elements, reading.read_elements(elements))
    return reading


def _no_list(values: pa.Array) -> str:
    """What is said of values that are no lists, the longest of the first ones among them, which tells most."""
    value = max(values.drop_null()[:_SHOWN].to_pylist(), key=lambda value: len(str(value)))
    text = str(value)
    if text.startswith("["):
        return f"{value!r} is not a list, but the text of one. {how_to_read_lists(text)}."
    separator = next((separator for separator in "|,; " if separator in text), "|")
    return (
        f"{value!r} is not a list. Give each row a list of values, the oldest first: strings by "
        f"`column.str.split({separator!r})`, rows of a log by `sk_finalmlp.preprocessing.add_history`."
    )


def _check_read(elements: pa.Array, read: pa.Array) -> None:
    """In fit, what can't be read as a value of the other column is no unseen value, but of another kind."""
    if read.null_count > elements.null_count:
        value = elements.filter(pc.and_(read.is_null(), elements.is_valid()))[0].as_py()
        raise TypeError(
            f"it holds {value!r}, but the column whose values it should hold has values of type {read.type}. Give both "
            "the same type."
        )


def _lists(column: Column) -> pa.Array:
    values = column.values
    if pa.types.is_large_list(values.type):
        return values
    present = values.drop_null()
    if len(present):
        raise TypeError(_no_list(present))
    return lists_of(values.slice(0, 0), np.zeros(len(values), int))


def bind_histories(names: Sequence[str], encoders: Sequence[ColumnEncoder | None]) -> list[ColumnEncoder | None]:
    """The encoders, in which each history has that of the column whose values it holds."""
    by_name = dict(zip(names, encoders, strict=True))
    return [
        encoder.bound_to(by_name[encoder.of]) if isinstance(encoder, HistoryEncoder) else encoder
        for encoder in encoders
    ]
