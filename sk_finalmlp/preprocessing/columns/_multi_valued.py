"""Multi-valued columns: lists, or strings of several elements with a separator between them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from copy import copy
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...fields import UNKNOWN_CODE, Field
from ..tables._column import Column, is_string, list_lengths, lists_of
from ..tables._reading import Reading
from ._admission import Admission, Counted, grow
from ._categorical import HashBuckets, VocabularyRule
from ._vocabulary import Vocabulary, count_values

_CANDIDATE_SEPARATORS = ("|", ";", ",", " ")
#: Two elements without a comma between them.
_LIST_OF_NUMPY = re.compile(r"\[\s*[^\s,]+\s+[^\s,]+")
#: A list of strings or integers as `str` writes it, and so `DataFrame.to_csv`.
_WRITTEN_LIST = r"^\[((np\.str_\()?['\"].*['\"]\)?|\d+(, \d+)*)\]$"


class MultiValuedEncoder:
    """Codes of the known elements of each row, in order, padded with 0.

    Unknown elements take no place. Where a row has more known elements than there are output columns, the first ones
    are kept.
    """

    #: Files of earlier versions have none.
    admission: Admission | None = None

    def __init__(self, rule: VocabularyRule, separator: str | None, max_values: int | None, reading: Reading) -> None:
        self.rule = rule
        self.separator = separator
        self.max_values = max_values
        self.reading = reading

    def fit(self, column: Column, weights: np.ndarray | None) -> Self:
        """Learn the vocabulary of the elements and the number of output columns; rows count alike."""
        self.splits_strings = is_string(column.values.type)
        if self.splits_strings and self.separator is None:
            self.separator = find_separator(column.dictionary.dictionary)
        lists, n_rows = self._counted_lists(column)
        self.vocabulary, self.admission = self.rule.fit(_count(lists, n_rows, len(column)))
        self.n_columns = self._longest(lists.elements, list_lengths(lists.values))
        return self

    def widen(self, column: Column) -> None:
        """Make room for rows that `fit` saw only as a tally of their elements."""
        lists = self._lists(column)
        self.n_columns = max(self.n_columns, self._longest(lists.elements, list_lengths(lists.values)))

    def grow(self, column: Column, decay: float) -> tuple[Self, list[np.ndarray]]:
        """The encoder after more rows, with as many columns, and the codes that stand for other elements now."""
        more = _count(*self._counted_lists(column), len(column))
        grown = grow(self.rule, self.vocabulary, self.admission, more, decay)
        encoder = copy(self)
        encoder.vocabulary, encoder.admission = grown.vocabulary, grown.admission
        return encoder, [grown.fresh]

    def _counted_lists(self, column: Column) -> tuple[Column, np.ndarray | None]:
        """Lists to learn from, and the number of rows of each, None for one; a string that repeats is split once."""
        if self.splits_strings:
            return self._distinct_lists(column), count_values(column.dictionary, column.repeats)
        return self._lists(column), column.repeats

    def _distinct_lists(self, column: Column) -> Column:
        """Lists of the elements of the distinct strings."""
        return self._lists(Column(column.name, _without_written_lists(column.dictionary.dictionary)))

    def _lists(self, column: Column) -> Column:
        values = column.values
        if pa.types.is_large_list(values.type):
            return column
        lists = lists_of(values, np.ones(len(values), int)) if self.separator is None else split(values, self.separator)
        elements = self.reading.read_elements(lists.flatten())
        return Column(column.name, lists_of(elements, list_lengths(lists)))

    def _longest(self, elements: Column, lengths: np.ndarray) -> int:
        known = self._encode(elements) != UNKNOWN_CODE
        rows = np.repeat(np.arange(len(lengths)), lengths)[known]
        longest = int(np.bincount(rows).max(initial=1))
        return longest if self.max_values is None else min(longest, self.max_values)

    def _encode(self, elements: Column) -> np.ndarray:
        return elements.map(self.vocabulary.encode, missing=UNKNOWN_CODE)

    def transform(self, column: Column) -> list[np.ndarray]:
        """Codes, as one array per position."""
        if not is_string(column.values.type):
            return list(self._codes(self._lists(column)))
        distinct = self._codes(self._distinct_lists(column))
        # One row more, for missing strings.
        distinct = np.pad(distinct, ((0, 0), (0, 1)), constant_values=UNKNOWN_CODE)
        rows = column.dictionary.indices.fill_null(distinct.shape[1] - 1).to_numpy()
        return [codes[rows] for codes in distinct]

    def _codes(self, lists: Column) -> np.ndarray:
        """Codes, of shape (n_columns, n_lists)."""
        flat = self._encode(lists.elements)
        known = flat != UNKNOWN_CODE
        rows = np.repeat(np.arange(len(lists)), list_lengths(lists.values))[known]
        n_known = np.bincount(rows, minlength=len(lists))
        positions = np.arange(len(rows)) - (np.cumsum(n_known) - n_known)[rows]
        kept = positions < self.n_columns
        codes = np.full((self.n_columns, len(lists)), UNKNOWN_CODE)
        codes[positions[kept], rows[kept]] = flat[known][kept]
        return codes

    def inverse_transform(self, outputs: list[np.ndarray]) -> pa.Array:
        """Lists of elements, or strings where fit saw strings; null where a row has no known element."""
        if isinstance(self.vocabulary, HashBuckets):
            return pa.nulls(len(outputs[0]))
        codes = np.column_stack(outputs)
        known = codes != UNKNOWN_CODE
        elements = self.vocabulary.decode(codes[known])
        lists = lists_of(elements, known.sum(axis=1), missing=pa.array(~known.any(axis=1)))
        if not self.splits_strings:
            return lists
        return pc.binary_join(lists.cast(pa.list_(pa.string())), self.separator).cast(pa.large_string())

    def output_fields(self, name: str) -> list[Field]:
        """One multi-valued field."""
        return [Field(name, "multi-valued", n_codes=self.vocabulary.n_codes, n_columns=self.n_columns)]

    def vocabularies(self, name: str) -> Mapping[str, Vocabulary | HashBuckets]:
        """The vocabulary of the elements."""
        return {name: self.vocabulary}


def _count(lists: Column, n_rows: np.ndarray | None, n_all_rows: int) -> Counted:
    """Distinct elements of lists, each of which stands for so many rows."""
    dictionary = lists.elements.dictionary
    counts = count_values(dictionary, None if n_rows is None else np.repeat(n_rows, list_lengths(lists.values)))
    return Counted(dictionary.dictionary, counts, n_all_rows)


def find_separator(values: pa.Array) -> str:
    """The first of the usual separators that occurs in any of the strings."""
    found = (sep for sep in _CANDIDATE_SEPARATORS if pc.any(pc.match_substring(values, sep)).as_py())
    return next(found, _CANDIDATE_SEPARATORS[0])


def split(values: pa.Array, separator: str | None) -> pa.Array:
    """Elements of each string, without the white space around them; empty ones are null."""
    lists = pc.split_pattern(values, separator)
    elements = pc.utf8_trim_whitespace(lists.flatten())
    elements = pc.if_else(pc.equal(elements, ""), pa.scalar(None, elements.type), elements)
    return lists_of(elements, list_lengths(lists), missing=values.is_null())


def _without_written_lists(strings: pa.Array) -> pa.Array:
    """Refuse strings such as "['a', 'b']", each of which would pass for an unknown element."""
    written = strings.filter(pc.match_substring_regex(strings, _WRITTEN_LIST))
    if len(written):
        raise ValueError(
            f"{written[0].as_py()!r} is a list that was written as text, as CSV files hold it. "
            f"{how_to_read_lists(written[0].as_py())}, or write the elements joined by '|' and fit with separator='|'."
        )
    return strings


def how_to_read_lists(text: str) -> str:
    """What turns lists that are written like this one into lists again."""
    if "np." in text or _LIST_OF_NUMPY.match(text):
        # Python would make one string of 'a' 'b'.
        return "NumPy has written it, which can't be read back: keep the table as Parquet"
    function = "json.loads" if "'" not in text else "ast.literal_eval"
    return f"Read it back, for example by `column.map({function}, na_action='ignore')`"
