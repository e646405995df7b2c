"""Counts of the distinct values of a column of many rows, and a sample of the rows; both can be merged."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from .._hold_out import places
from .._sources import sizes
from ._column import RawColumn, Tally, is_all_missing, is_list, is_number, list_rows, lists_of, one_after_another

#: Of more values than this, integers and strings are no longer counted if they hardly repeat.
_MAX_VALUES = 2**24
_HARDLY_REPEATS = 0.98
#: Size of the buffer of values to count together.
_MIN_WAITING = 2**16
#: Vectors of more numbers than this are sampled.
_MAX_NUMBERS_OF_VECTORS = 2**22
_VECTORS = pa.large_list(pa.float64())
_SEED = 1
#: A quarter of an hour, in microseconds.
_SLOT = 15 * 60 * 10**6


class ColumnTally:
    """Counts of the distinct values of a column, of the kind that the user has chosen, if any."""

    def __init__(self, name: str, chosen: str | None, is_hashed: bool) -> None:
        self.name = name
        self._chosen = chosen
        self._is_hashed = is_hashed and chosen in (None, "categorical", "multi-valued", "history")
        self._vectors = _Vectors(name, chosen == "vector")
        self.n_rows = 0
        self.n_missing = 0
        self.is_sampled = False
        #: Share of the distinct values that are counted, by their hash.
        self.share = 1.0
        self._type_of_missing: pa.DataType = None
        self._longest_row = 0
        self._is_coarse = False
        self._counts: dict[pa.DataType, _Counts] = {}
        self._longest = 0
        self._longest_list: pa.Array | None = None

    def add(self, raw: RawColumn, numbers: np.ndarray, weights: np.ndarray | None = None) -> None:
        """Count more rows of these numbers, all of them with a positive weight if there are any."""
        more = ColumnTally(self.name, self._chosen, self._is_hashed)
        more.n_rows, more.n_missing = len(raw), len(raw) - raw.n_present
        more._type_of_missing = raw.arrays[0].type
        more._vectors.are_meant = self._vectors.are_meant
        for values in raw.arrays:
            # What is missing, such as all of a file, says nothing of the type.
            if not is_all_missing(values):
                more._add_array(values, numbers, weights)
        self.merge(more)

    def can_sample(self, raw: RawColumn) -> bool:
        """Return whether some of the rows would tell enough, as of numbers."""
        return all(is_all_missing(values) or self._can_sample(values.type) for values in raw.arrays)

    def _can_sample(self, dtype: pa.DataType) -> bool:
        is_other_number = pa.types.is_duration(dtype) or pa.types.is_decimal(dtype)
        return self._chosen == "numeric" or is_number(dtype) or is_other_number

    def merge(self, others: ColumnTally) -> None:
        """Add another tally's counts, of later rows."""
        self.n_rows += others.n_rows
        self.n_missing += others.n_missing
        self._type_of_missing = self._type_of_missing or others._type_of_missing
        self._longest_row = max(self._longest_row, others._longest_row)
        self._vectors.merge(others._vectors)
        self._vectors.are_meant = self._vectors.are_meant or others._vectors.are_meant
        if self.is_sampled or others.is_sampled:
            self._join_sample([*self._counts, *others._counts, *([_VECTORS] if self._vectors.are_meant else [])])
            return
        if self._vectors.are_meant:
            self._counts = {}
            return
        if others._longest > self._longest:
            self._longest, self._longest_list = others._longest, others._longest_list
        self._keep(min(self.share, others.share))
        if self._is_coarse != others._is_coarse:
            (self if others._is_coarse else others)._make_coarse()
        for dtype, counts in others._counts.items():
            self._counts_of(dtype).merge(counts)
        self._end_counting()

    def _join_sample(self, types: Sequence[pa.DataType]) -> None:
        """Leave the column to the sample of rows, if it can hold these types."""
        other = next((dtype for dtype in types if not self._can_sample(dtype)), None)
        if other is not None:
            raise ValueError(
                f"Column {self.name!r} holds {other} here, and many numbers before. Write it with one type everywhere."
            )
        self.is_sampled, self._counts = True, {}

    def _make_coarse(self) -> None:
        self._is_coarse = True
        for dtype, counts in self._counts.items():
            if pa.types.is_timestamp(dtype):
                counts.map(_slots)

    def _add_array(self, values: pa.Array, numbers: np.ndarray, weights: np.ndarray | None) -> None:
        dtype = values.type
        if is_list(dtype):
            if self._vectors.take(values, numbers, weights):
                return
            self._look_for_longest(values)
            values, weights = values.flatten(), None
        self._counts_of(dtype).add(values, weights)

    def _counts_of(self, dtype: pa.DataType) -> _Counts:
        return self._counts.setdefault(dtype, _Counts(dtype.value_type if is_list(dtype) else dtype, self.share))

    def _look_for_longest(self, lists: pa.Array) -> None:
        rows, is_present = list_rows(lists), lists.flatten().is_valid().to_numpy(zero_copy_only=False)
        self._longest_row = max(self._longest_row, int(np.bincount(rows).max(initial=0)))
        n_present = np.bincount(rows[is_present], minlength=len(lists))
        if n_present.max(initial=0) > self._longest:
            self._longest = int(n_present.max())
            self._longest_list = lists.slice(int(n_present.argmax()), 1)

    @property
    def _n_distinct(self) -> int:
        return sum(counts.n_distinct for counts in self._counts.values())

    def _end_counting(self) -> None:
        """Where there are too many values, count a sample of them, or of the rows."""
        if self._n_distinct <= sizes.SAMPLE:
            return
        types = list(self._counts)
        if self._chosen in (None, "datetime") and not self._is_coarse and any(map(pa.types.is_timestamp, types)):
            self._make_coarse()
        elif all(map(self._can_sample, types)):
            if self._tells_by_rows():
                self.is_sampled, self._counts = True, {}
        elif self._is_hashed:
            while self._n_distinct > sizes.SAMPLE:
                self._keep(self.share / 2)
        elif not any(map(is_list, types)) and self._hardly_repeats():
            raise self._nothing_to_learn()

    def _tells_by_rows(self) -> bool:
        if self._chosen not in (None, "numeric"):
            if self._hardly_repeats() and not self._is_hashed:
                raise self._nothing_to_learn()
            return self._is_hashed
        return any(counts.has_fractions() for counts in self._counts.values()) or self._hardly_repeats()

    def _hardly_repeats(self) -> bool:
        n_present = self.n_rows - self.n_missing
        return self._n_distinct > _MAX_VALUES and self._n_distinct > _HARDLY_REPEATS * n_present

    def _nothing_to_learn(self) -> ValueError:
        return ValueError(
            f"Column {self.name!r} has a different value in nearly every row ({self._n_distinct:,} in the first "
            f"{self.n_rows:,} rows): there is nothing to learn, and they fill the memory. Name it in `drop`."
        )

    def _keep(self, share: float) -> None:
        if share < self.share:
            self.share = share
            for counts in self._counts.values():
                counts.keep(share)

    def finish(self) -> None:
        """Count the buffer, so that the sample depends on all rows, not on their batches."""
        for counts in self._counts.values():
            counts.count()
        self._end_counting()

    def short_column(self) -> tuple[RawColumn, np.ndarray | None]:
        """Return the column of distinct values, and the sum of the weights of each; of vectors, some of them."""
        if self._vectors.are_meant:
            vectors = self._vectors.column(self.name) or RawColumn(self.name, [pa.nulls(0, _VECTORS)])
            tally = Tally(np.ones(len(vectors), np.int64), self.n_rows, self.n_missing)
            return RawColumn(self.name, vectors.arrays, tally), self._vectors.weights
        if not self._counts:
            self._counts_of(self._type_of_missing or pa.float64())
        parts = [self._as_lists(own) if is_list(dtype) else own.result() for dtype, own in self._counts.items()]
        arrays, n_rows, sums = zip(*parts, strict=True)
        n_of_values, weights = np.concatenate(n_rows), [own for own in sums if own is not None]
        n_told = self.n_rows if self.share == 1 else self.n_missing + int(n_of_values.sum())
        tally = Tally(n_of_values, n_told, self.n_missing, self._longest_row)
        return RawColumn(self.name, one_after_another(arrays), tally), np.concatenate(weights) if weights else None

    def _as_lists(self, counts: _Counts) -> _Part:
        """Return a list for each element, and the longest list, which has been counted already."""
        elements, n_rows, _ = counts.result()
        lists = lists_of(elements, np.ones(len(elements), int))
        if self._longest_list is None or self._longest_list.type != lists.type:
            return lists, n_rows, None
        return pa.concat_arrays([lists, self._longest_list]), np.append(n_rows, 0), None


#: Values, the number of rows of each, and the sums of their weights.
_Part = tuple[pa.Array, np.ndarray, np.ndarray | None]


class _Counts:
    """Distinct values of one type, the number of their rows, and the sums of their weights."""

    def __init__(self, dtype: pa.DataType, share: float) -> None:
        self._share = share
        self._values = pa.nulls(0, dtype)
        self._n_rows: np.ndarray = np.zeros(0, np.int64)
        self._sums: np.ndarray | None = None
        self._waiting: list[_Part] = []

    @property
    def n_distinct(self) -> int:
        """Number of values that have been counted so far."""
        return len(self._n_rows)

    def add(self, values: pa.Array, weights: np.ndarray | None) -> None:
        """Buffer values."""
        if values.null_count:
            weights = None if weights is None else weights[values.is_valid().to_numpy(zero_copy_only=False)]
            values = values.drop_null()
        self._waiting.append((values, np.ones(len(values)), weights))

    def keep(self, share: float) -> None:
        """Forget all values but a share, by a hash of them, now and later."""
        self.count()
        self._share = share
        kept = pd.util.hash_array(self._values.to_numpy(zero_copy_only=False), categorize=False) < share * 2.0**64
        self._values, self._n_rows = self._values.filter(pa.array(kept)), self._n_rows[kept]
        self._sums = None if self._sums is None else self._sums[kept]

    def merge(self, others: _Counts) -> None:
        """Buffer another tally's counts, and count the buffer once it is large, for values that hardly repeat."""
        self._waiting += others._parts()
        if sum(len(values) for values, _, _ in self._waiting) > max(2 * self.n_distinct, _MIN_WAITING):
            self.count()

    def _parts(self) -> list[_Part]:
        # Empty lists have no element.
        return [part for part in ((self._values, self._n_rows, self._sums), *self._waiting) if len(part[0])]

    def count(self) -> None:
        """Count the buffer."""
        parts = self._parts() if self._waiting else []
        self._waiting = []
        if not parts:
            return
        values, n_rows, weights = zip(*parts, strict=True)
        together = pa.chunked_array(values).dictionary_encode()
        positions = np.concatenate([chunk.indices.to_numpy() for chunk in together.chunks])
        self._values = together.chunks[-1].dictionary
        # Sums of integers are exact in doubles up to 2**53.
        self._n_rows = np.bincount(positions, np.concatenate(n_rows), len(self._values)).astype(np.int64)
        if weights[0] is not None:
            self._sums = np.bincount(positions, np.concatenate(weights), len(self._values))
        if self._share < 1:
            self.keep(self._share)

    def map(self, function: Callable[[pa.Array], pa.Array]) -> None:
        """Count a function of the values instead."""
        self._waiting = [(function(values), n_rows, sums) for values, n_rows, sums in self._parts()]
        self._values, self._n_rows, self._sums = self._values[:0], self._n_rows[:0], None

    def has_fractions(self) -> bool:
        """Return whether any number isn't whole, as durations in seconds."""
        self.count()
        dtype = self._values.type
        is_fraction = pa.types.is_floating(dtype) or pa.types.is_decimal(dtype)
        return bool(pa.types.is_duration(dtype)) or (bool(is_fraction) and have_fractions(self._values))

    def result(self) -> _Part:
        """Return values, rows and weights of all that was added."""
        self.count()
        return self._values, self._n_rows, self._sums


def have_fractions(values: pa.Array) -> bool:
    """Return whether any number isn't whole."""
    return bool(pc.any(pc.not_equal(pc.floor(values), values)).as_py())


def _slots(times: pa.Array) -> pa.Array:
    """Cut times to quarters of an hour, or a little later: hours, weekdays and dates without a time stay the same."""
    microseconds = times.cast(pa.int64()).fill_null(0).to_numpy()
    slots = microseconds - microseconds % _SLOT
    slots += slots < microseconds
    return pa.array(slots, mask=times.is_null().to_numpy(zero_copy_only=False)).cast(times.type)


class _Piece(NamedTuple):
    """Some rows of a sample: their numbers, the columns that can be sampled, by name, and weights."""

    numbers: np.ndarray
    columns: Mapping[str, RawColumn]
    weights: np.ndarray | None

    def sampled(self, share: float) -> _Piece:
        """Return about this share of all rows, always the same ones."""
        kept = places(self.numbers, _SEED) < share
        if kept.all():
            return self
        columns = {name: raw.filter(kept) for name, raw in self.columns.items()}
        return _Piece(self.numbers[kept], columns, None if self.weights is None else self.weights[kept])


class RowSample:
    """A pseudo-random sample of rows by their numbers, all if few, with the values of numeric columns."""

    def __init__(self) -> None:
        self.n_seen = 0
        self._share = 1.0
        self._pieces: list[_Piece] = []

    def add(self, numbers: np.ndarray, columns: Sequence[RawColumn], weights: np.ndarray | None) -> None:
        """Look at more rows."""
        self.n_seen += len(numbers)
        self._pieces.append(_Piece(numbers, {raw.name: raw for raw in columns}, weights).sampled(self._share))
        self._shrink()

    def merge(self, others: RowSample) -> None:
        """Take in the sample of other rows, which have higher numbers."""
        self.n_seen += others.n_seen
        self._share = min(self._share, others._share)
        self._pieces = [piece.sampled(self._share) for piece in (*self._pieces, *others._pieces)]
        self._shrink()

    def _shrink(self) -> None:
        while self._is_large():
            self._share /= 2
            self._pieces = [piece.sampled(self._share) for piece in self._pieces]

    def _is_large(self) -> bool:
        return sum(len(piece.numbers) for piece in self._pieces) > sizes.SAMPLE

    def forget(self) -> None:
        """Keep nothing but the numbers of the rows."""
        self._pieces = [_Piece(piece.numbers, {}, None) for piece in self._pieces]

    @property
    def numbers(self) -> np.ndarray:
        """Numbers of the rows."""
        return np.concatenate([piece.numbers for piece in self._pieces])

    @property
    def weights(self) -> np.ndarray | None:
        """Weights of the rows."""
        weights = [piece.weights for piece in self._pieces if piece.weights is not None]
        return np.concatenate(weights) if weights else None

    def column(self, name: str) -> RawColumn | None:
        """Return the values of a column that can be sampled."""
        if not self._pieces or not all(name in piece.columns for piece in self._pieces):
            return None
        raws = [piece.columns[name] for piece in self._pieces]
        present = (values for raw in raws for values in raw.arrays if not is_all_missing(values))
        types = dict.fromkeys(values.type for values in present) or [pa.float64()]
        return RawColumn(name, [pa.concat_arrays([raw.of_type(dtype) for raw in raws]) for dtype in types])


class _Vectors(RowSample):
    """A sample of the vectors of a column, smaller the longer they are."""

    def __init__(self, name: str, are_meant: bool) -> None:
        super().__init__()
        self._name = name
        self.are_meant = are_meant

    def take(self, lists: pa.Array, numbers: np.ndarray, weights: np.ndarray | None) -> bool:
        """Look at lists; whether lists of this column are known to be vectors by now."""
        dtype = lists.type.value_type
        if not is_number(dtype) or not (self.are_meant or pa.types.is_floating(dtype)):
            return False
        self.are_meant = self.are_meant or have_fractions(lists.flatten())
        present = lists.is_valid().to_numpy(zero_copy_only=False)
        vectors = lists.drop_null().cast(_VECTORS, safe=False)
        own = None if weights is None else weights[present]
        self.add(numbers[present], [RawColumn(self._name, [vectors])], own)
        return self.are_meant

    def _is_large(self) -> bool:
        vectors = [values for piece in self._pieces for values in piece.columns[self._name].arrays]
        n_numbers = sum(len(values.flatten()) for values in vectors)
        return n_numbers > _MAX_NUMBERS_OF_VECTORS and sum(map(len, vectors)) > 1
