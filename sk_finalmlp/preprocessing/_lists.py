"""Lists: multi-valued columns of elements, and histories of the values of another column."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable
from contextlib import suppress
from copy import copy
from dataclasses import replace
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .._warnings import ELEMENT, WRITTEN_LIST, shown
from ..schema import UNKNOWN_CODE, Field
from ._column import (
    Column,
    RawColumn,
    is_all_missing,
    is_list,
    is_string,
    list_lengths,
    list_rows,
    lists_of,
    show_first,
)
from ._reading import Reading, learn_reading
from ._vectors import PretrainedEncoder
from ._vocabulary import (
    CategoricalEncoder,
    ColumnEncoder,
    Counted,
    HashBuckets,
    Vocabulary,
    VocabularyEncoder,
    VocabularyRule,
    count_values,
)

_CANDIDATE_SEPARATORS = ("|", ";", ",", " ")
_LIST_OF_NUMPY = re.compile(rf"\[\s*{ELEMENT}\s+{ELEMENT}")
_LIST_READERS: dict[str, Callable[[str], Any]] = {"json.loads": json.loads, "ast.literal_eval": ast.literal_eval}


class MultiValuedEncoder(VocabularyEncoder):
    """Codes of the first known elements of each row, in order, padded with 0; unknown elements are left out."""

    def __init__(self, rule: VocabularyRule, separator: str | None, max_length: int | None, reading: Reading) -> None:
        self.rule = rule
        self.separator = separator
        self.max_length = max_length
        self.reading = reading

    def fit(self, column: Column, weights: np.ndarray | None) -> Self:
        """Learn the vocabulary of the elements and the number of output columns; rows count alike."""
        self.splits_strings = is_string(column.values.type)
        if self.separator is None:
            self.separator = _find_separator(column) if self.splits_strings else _CANDIDATE_SEPARATORS[0]
        lists, n_rows = self._counted_lists(column)
        self.vocabulary, self.admission = self.rule.fit(_count_elements(lists, n_rows, len(column)))
        self.n_columns = self._longest(lists)
        return self

    def widen(self, column: Column) -> None:
        """Make room for rows that `fit` saw only as a tally of their elements."""
        self.n_columns = max(self.n_columns, self._longest(self._lists(column)))

    def _count(self, column: Column) -> Counted:
        return _count_elements(*self._counted_lists(column), len(column))

    def _counted_lists(self, column: Column) -> tuple[Column, np.ndarray | None]:
        """Return lists to learn from, and numbers of rows of each, None for one; strings that repeat are split once."""
        if is_string(column.values.type):
            return self._distinct_lists(column), count_values(column.dictionary, column.repeats)
        return self._lists(column), column.repeats

    def _distinct_lists(self, column: Column) -> Column:
        """Return lists of the elements of the distinct strings."""
        return self._lists(Column(column.name, _without_written_lists(column.dictionary.dictionary)))

    def _lists(self, column: Column) -> Column:
        values = column.values
        if pa.types.is_large_list(values.type):
            return column
        lists = split(values, self.separator) if is_string(values.type) else lists_of(values, np.ones(len(values), int))
        elements = self.reading.read_elements(lists.flatten())
        return Column(column.name, lists_of(elements, list_lengths(lists)))

    def _longest(self, lists: Column) -> int:
        known = lists.elements.codes(self.vocabulary.encode) != UNKNOWN_CODE
        longest = int(np.bincount(list_rows(lists.values)[known]).max(initial=1))
        return longest if self.max_length is None else min(longest, self.max_length)

    def transform(self, column: Column) -> list[np.ndarray]:
        if not is_string(column.values.type):
            return list(self._codes(self._lists(column)))
        distinct = self._codes(self._distinct_lists(column))
        # One row more, for missing strings.
        distinct = np.pad(distinct, ((0, 0), (0, 1)), constant_values=UNKNOWN_CODE)
        rows = column.dictionary.indices.fill_null(distinct.shape[1] - 1).to_numpy()
        return [codes[rows] for codes in distinct]

    def _codes(self, lists: Column) -> np.ndarray:
        """Return codes, of shape (n_columns, n_lists)."""
        flat = lists.elements.codes(self.vocabulary.encode)
        known = flat != UNKNOWN_CODE
        rows = list_rows(lists.values)[known]
        n_known = np.bincount(rows, minlength=len(lists))
        positions = np.arange(len(rows)) - (np.cumsum(n_known) - n_known)[rows]
        kept = positions < self.n_columns
        codes = np.full((self.n_columns, len(lists)), UNKNOWN_CODE)
        codes[positions[kept], rows[kept]] = flat[known][kept]
        return codes

    def inverse_transform(self, outputs: list[np.ndarray]) -> pa.Array:
        lists = _decode(self.vocabulary, outputs)
        if not (self.splits_strings and is_list(lists.type)):
            return lists
        return pc.binary_join(lists.cast(pa.list_(pa.string())), self.separator).cast(pa.large_string())

    def output_fields(self, name: str) -> list[Field]:
        return [Field(name, "multi-valued", n_codes=self.vocabulary.n_codes, n_columns=self.n_columns)]


def _find_separator(column: Column) -> str:
    """Return the first candidate that occurs in a column of strings."""
    strings = column.dictionary.dictionary
    found = (sep for sep in _CANDIDATE_SEPARATORS if pc.any(pc.match_substring(strings, sep)).as_py())
    return next(found, _CANDIDATE_SEPARATORS[0])


def _decode(vocabulary: Vocabulary | HashBuckets, outputs: list[np.ndarray]) -> pa.Array:
    """Return lists of the values of codes, null without any; all null where a hash can't be inverted."""
    if isinstance(vocabulary, HashBuckets):
        return pa.nulls(len(outputs[0]))
    codes = np.column_stack(outputs)
    known = codes != UNKNOWN_CODE
    return lists_of(vocabulary.decode(codes[known]), known.sum(axis=1), missing=pa.array(~known.any(axis=1)))


def _count_elements(lists: Column, n_rows: np.ndarray | None, n_all_rows: int) -> Counted:
    """Return distinct elements of lists; each list stands for so many rows."""
    dictionary = lists.elements.dictionary
    counts = count_values(dictionary, None if n_rows is None else np.repeat(n_rows, list_lengths(lists.values)))
    return Counted(dictionary.dictionary, counts, n_all_rows)


def split(values: pa.Array, separator: str | None) -> pa.Array:
    """Return elements of each string, without the white space around them; empty ones are null."""
    lists = pc.split_pattern(values, separator)
    elements = pc.utf8_trim_whitespace(lists.flatten())
    elements = pc.if_else(pc.equal(elements, ""), pa.scalar(None, elements.type), elements)
    return lists_of(elements, list_lengths(lists), missing=values.is_null())


def _without_written_lists(strings: pa.Array) -> pa.Array:
    """Refuse strings such as "['a', 'b']": each would pass for an unknown element."""
    written = strings.filter(pc.match_substring_regex(strings, WRITTEN_LIST))
    if len(written):
        raise ValueError(
            f"{shown(written[0].as_py())} is a list that was written as text, as CSV files hold it. "
            f"{how_to_read_lists(written[0].as_py())}, or write the elements joined by '|' and fit with separator='|'."
        )
    return strings


def how_to_read_lists(text: str) -> str:
    """Say how to turn lists that are written like this one into lists again."""
    if "np." in text or _LIST_OF_NUMPY.match(text):
        # Python would make one string of 'a' 'b'.
        return "NumPy has written it, which can't be read back: keep the table as Parquet"
    for name, read in _LIST_READERS.items():
        with suppress(ValueError, SyntaxError, RecursionError, MemoryError):
            read(text)
            return f"Read it back, for example by `column.map({name}, na_action='ignore')`"
    return "Neither json.loads nor ast.literal_eval reads it: keep the table as Parquet"


#: How many values are looked at for one to show.
_SHOWN = 100


class HistoryEncoder(ColumnEncoder):
    """Codes of the last values of each row, the most recent first, padded with 0; an unknown or missing value keeps its
    position, so that histories of items and of their genres stay aligned.
    """

    #: The encoder of that column, set by the holder of both: files hold it once.
    target: CategoricalEncoder

    def __init__(self, of: str, max_length: int) -> None:
        self.of = of
        self.max_length = max_length

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "target"}

    def bound_to(self, target: ColumnEncoder | None) -> Self:
        """Return the same encoder with the encoder of the column that it is a history of."""
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
        longest = 0 if column.tally is None else column.tally.longest
        self.n_columns = min(max(1, longest, int(list_lengths(_lists(column)).max(initial=0))), self.max_length)
        return self

    def find_doubt(self, column: Column) -> str | None:
        """Say, for a warning, if all values are unknown, as where types or names differ."""
        elements = _lists(column).flatten().drop_null()
        vocabulary = self.target.vocabulary
        if isinstance(vocabulary, HashBuckets) or not len(elements) or not len(vocabulary.values):
            return None
        # A few will do where all is well.
        if any(vocabulary.encode(some).any() for some in (elements[:_SHOWN], elements)):
            return None
        return (
            f"holds no value that {self.of!r} has: it holds {show_first(elements)}, and {self.of!r} has values "
            f"such as {show_first(vocabulary.values)}. Write them alike, or the history says nothing."
        )

    def transform(self, column: Column) -> list[np.ndarray]:
        lists = _lists(column)
        rows, elements = list_rows(lists), lists.flatten()
        # 0 is the last one of the row.
        positions = np.cumsum(list_lengths(lists))[rows] - 1 - np.arange(len(rows))
        kept = positions < self.n_columns
        codes = np.full((self.n_columns, len(lists)), UNKNOWN_CODE)
        if not kept.all():
            elements, positions, rows = elements.filter(pa.array(kept)), positions[kept], rows[kept]
        codes[positions, rows] = self.target.vocabulary.encode(elements)
        return list(codes)

    def inverse_transform(self, outputs: list[np.ndarray]) -> pa.Array:
        return _decode(self.target.vocabulary, outputs[::-1])

    def output_fields(self, name: str) -> list[Field]:
        return [Field(name, "history", self.target.vocabulary.n_codes, self.n_columns, self.of)]


def _why_no_target(encoder: ColumnEncoder | None) -> str:
    if encoder is None:
        return "is dropped. Keep it: a history is looked up in its embedding table."
    if isinstance(encoder, HistoryEncoder):
        return "is a history itself. Name the column of single values."
    return (
        "isn't categorical: a history shares the codes of a column with one value per row. Name the column in "
        "`categorical`, or leave the history out."
    )


def read_history(raw: RawColumn, of: Reading) -> Reading:
    """Return how a column of histories is read: as lists, their values like the other column's."""
    for values in raw.arrays:
        if not is_list(values.type) and not is_all_missing(values):
            raise TypeError(f"`histories` names it, but {_no_list(values)}")
    learn_reading(raw)
    reading = replace(of, lists=True)
    for values in raw.arrays:
        if is_list(values.type):
            elements = values.flatten()
            read = reading.read_elements(elements)
            if read.null_count > elements.null_count:
                # Values of another type than the other column's aren't merely unseen.
                value = elements.filter(pc.and_(read.is_null(), elements.is_valid()))[0].as_py()
                raise TypeError(
                    f"it holds {shown(value)}, but the column that it is a history of holds {read.type}. Give both the "
                    "same type."
                )
    return reading


def _no_list(values: pa.Array) -> str:
    """Say what is no list: the longest of the first values, which tells most."""
    value = max(values.drop_null()[:_SHOWN].to_pylist(), key=lambda value: len(str(value)))
    text = str(value)
    if text.startswith("["):
        return f"{shown(value)} is not a list, but the text of one. {how_to_read_lists(text)}."
    separator = next((separator for separator in "|,; " if separator in text), "|")
    return (
        f"{shown(value)} is not a list. Give each row a list of values, the oldest first: strings by "
        f"`column.str.split({separator!r})`, rows of a log by `sk_finalmlp.preprocessing.add_history`."
    )


def _lists(column: Column) -> pa.Array:
    values = column.values
    if pa.types.is_large_list(values.type):
        return values
    present = values.drop_null()
    if len(present):
        raise TypeError(_no_list(present))
    return lists_of(values.slice(0, 0), np.zeros(len(values), int))
