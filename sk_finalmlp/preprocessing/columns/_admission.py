"""Which values get codes when there are more rows: known ones keep theirs, new ones are appended.

Values that wait for a code are remembered by 64 bits each: integers are themselves, others their hash, the same in
every process.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ...fields import UNKNOWN_CODE
from ._vocabulary import Vocabulary, by_frequency, is_frequent

if TYPE_CHECKING:
    from ._categorical import HashBuckets, VocabularyRule

_NO_CODES = np.empty(0, np.int64)


class Counted(NamedTuple):
    """Distinct values of some rows, how often they occur, and the number of rows."""

    values: pa.Array
    counts: np.ndarray
    n_rows: int


@dataclass(frozen=True)
class Admission:
    """What has been counted so far of a field whose values get codes.

    Counts are plain sums, whatever the number of calls. Where `max_categories` limits the codes, they fade, so that
    values that come no more make room.

    Parameters
    ----------
    n_rows : float
        Number of rows.
    waiting : ndarray of uint64
        Values without a code, in ascending order.
    waiting_counts : ndarray of float64
        How often each of them occurred.
    known_counts : ndarray of float64
        How often each known value occurred; empty where nothing limits their number.
    """

    n_rows: float
    waiting: np.ndarray
    waiting_counts: np.ndarray
    known_counts: np.ndarray

    @classmethod
    def start(cls, rule: VocabularyRule, vocabulary: Vocabulary, counted: Counted) -> Admission:
        """What the rows of `fit` tell."""
        known = np.empty(0)
        rest = counted
        if rule.keeps_waiting:
            codes = vocabulary.encode(counted.values)
            is_waiting = codes == UNKNOWN_CODE
            rest = Counted(counted.values.filter(pa.array(is_waiting)), counted.counts[is_waiting], counted.n_rows)
            if rule.max_categories is not None:
                known = np.zeros(len(vocabulary.values))
                known[codes[~is_waiting] - 1] = counted.counts[~is_waiting]
        waiting = _Waiting.none() if not rule.keeps_waiting else _Waiting(_marks(rest.values), rest.counts).sorted()
        waiting = waiting.most_frequent(rule.max_categories)
        return cls(counted.n_rows, waiting.marks, waiting.counts, known)


class Grown(NamedTuple):
    """A vocabulary and its counts after more rows, and the codes that stand for other values than before."""

    vocabulary: Vocabulary | HashBuckets
    admission: Admission | None
    fresh: np.ndarray


def grow(
    rule: VocabularyRule,
    vocabulary: Vocabulary | HashBuckets,
    admission: Admission | None,
    more: Counted,
    decay: float,
) -> Grown:
    """Let a vocabulary take more rows.

    Values that are new get the next codes by descending count, ties broken by value, once they have occurred often
    enough. Beyond `max_categories`, those with the lowest counts leave, known ones after new ones of the same count,
    and the new ones take their codes.

    Parameters
    ----------
    rule : VocabularyRule
        Which values get codes.
    vocabulary : Vocabulary or HashBuckets
        The known values; buckets take any value and don't grow.
    admission : Admission or None
        What was counted so far; None for buckets.
    more : Counted
        What the new rows hold.
    decay : float
        What is left of earlier counts where `max_categories` limits the codes.

    Returns
    -------
    Grown
    """
    if not isinstance(vocabulary, Vocabulary):
        return Grown(vocabulary, admission, _NO_CODES)
    if admission is None:
        raise ValueError(
            "it was fitted by an earlier version of sk_finalmlp, which kept no counts to go on with. Fit the encoder "
            "again."
        )
    faded = 1.0 if rule.max_categories is None else decay
    codes = vocabulary.encode(more.values)
    is_new = codes == UNKNOWN_CODE
    values, counts = more.values.filter(pa.array(is_new)), more.counts[is_new].astype(np.float64)
    n_rows = faded * admission.n_rows + more.n_rows
    waiting = _Waiting(admission.waiting, faded * admission.waiting_counts)
    if rule.keeps_waiting:
        marks = _marks(values)
        counts += waiting.counts_of(marks)
    admitted = is_frequent(counts, rule.min_rows(n_rows))
    if rule.keeps_waiting:
        waiting = waiting.without(marks).and_(_Waiting(marks[~admitted], counts[~admitted]))
    order = by_frequency(values, counts, admitted)
    values, counts = values.take(pa.array(order)), counts[order]
    if rule.max_categories is None:
        grown = vocabulary.extended(values) if len(values) else vocabulary
        return Grown(grown, Admission(n_rows, waiting.marks, waiting.counts, admission.known_counts), _NO_CODES)
    known = faded * admission.known_counts
    known[codes[~is_new] - 1] += more.counts[~is_new]
    grown, known, evicted, fresh = _make_room(vocabulary, known, values, counts, rule.max_categories)
    waiting = waiting.and_(evicted).most_frequent(rule.max_categories)
    return Grown(grown, Admission(n_rows, waiting.marks, waiting.counts, known), fresh)


def _make_room(
    vocabulary: Vocabulary, known: np.ndarray, values: pa.Array, counts: np.ndarray, most: int
) -> tuple[Vocabulary, np.ndarray, _Waiting, np.ndarray]:
    """Append new values while there are codes, and let the others take those of rarer known ones.

    Returns the vocabulary, its counts, the values that are left without a code, and the codes that changed hands.
    """
    n_free = max(most - len(known), 0)
    vocabulary, known = vocabulary.extended(values[:n_free]), np.concatenate([known, counts[:n_free]])
    values, counts = values[n_free:], counts[n_free:]
    rarest = np.argsort(known, kind="stable")[: len(values)]
    # The most frequent new value against the rarest known one, and so on.
    n_taken = int(np.count_nonzero(counts[: len(rarest)] > known[rarest]))
    places = np.sort(rarest[:n_taken])
    left = _Waiting(_marks(vocabulary.values.take(pa.array(places))), known[places])
    left = left.and_(_Waiting(_marks(values[n_taken:]), counts[n_taken:]))
    if n_taken:
        taken = np.arange(len(known))
        taken[places] = len(known) + np.arange(n_taken)
        vocabulary = Vocabulary(pa.concat_arrays([vocabulary.values, values[:n_taken]]).take(pa.array(taken)))
        known[places] = counts[:n_taken]
    return vocabulary, known, left, places + 1


class _Waiting:
    """Values that wait for a code, and their counts.

    Parameters
    ----------
    marks : ndarray of uint64
        What stands for each value, in ascending order where it is searched.
    counts : ndarray of float64
        How often each occurred.
    """

    def __init__(self, marks: np.ndarray, counts: np.ndarray) -> None:
        self.marks = marks
        self.counts = counts.astype(np.float64)

    @classmethod
    def none(cls) -> _Waiting:
        return cls(np.empty(0, np.uint64), np.empty(0))

    def counts_of(self, marks: np.ndarray) -> np.ndarray:
        """The counts of some values, 0 for one that doesn't wait."""
        positions = np.searchsorted(self.marks, marks)
        if not len(self.marks):
            return np.zeros(len(marks))
        found = self.marks.take(positions, mode="clip") == marks
        return np.where(found, self.counts.take(positions, mode="clip"), 0.0)

    def without(self, marks: np.ndarray) -> _Waiting:
        # NumPy 2.0 fails for marks beyond int64 where it considers a table of all between the least and the largest.
        kept = ~np.isin(self.marks, marks, kind="sort")
        return self if kept.all() else _Waiting(self.marks[kept], self.counts[kept])

    def and_(self, others: _Waiting) -> _Waiting:
        if not len(others.marks):
            return self
        together = np.concatenate([self.marks, others.marks]), np.concatenate([self.counts, others.counts])
        return _Waiting(*together).sorted()

    def sorted(self) -> _Waiting:
        order = np.argsort(self.marks)
        return _Waiting(self.marks[order], self.counts[order])

    def most_frequent(self, most: int | None) -> _Waiting:
        """So many of them at most, and all of them if that is None."""
        if most is None or len(self.marks) <= most:
            return self
        kept = np.sort(np.argsort(-self.counts, kind="stable")[:most])
        return _Waiting(self.marks[kept], self.counts[kept])


def _marks(values: pa.Array) -> np.ndarray:
    """64 bits for each value: an integer itself, the hash of another value's text."""
    if pa.types.is_int64(values.type) or pa.types.is_uint64(values.type):
        bits: np.ndarray = values.to_numpy(zero_copy_only=False).view(np.uint64)
        return bits
    if pa.types.is_duration(values.type):
        return _marks(values.cast(pa.int64()))
    texts = pc.cast(values, pa.large_string()).to_numpy(zero_copy_only=False)
    return pd.util.hash_array(texts, categorize=False)
