"""Smoothed click rates and log-counts of keys, learned without leakage."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from scipy.special import logit

from .._hold_out import places
from ..schema import Field, Measure, kind_of_statistic, statistic_name
from ._keys import Changes, Key, KeyIndex
from ._sums import Cells, CodedRows, KeyedRows, Sums, factorize, make_room
from ._target import NEW_ROWS, LabelledRows, Target
from ._vocabulary import bisect

#: Weight of the overall rate, in rows, in the rate of a key.
SMOOTHING = 3.0
#: From about so many rows on, cross-fitted counts are scaled up to all rows.
_MANY_ROWS = 10
#: Log-counts that vary by less, a fifth of a count or so, hardly tell frequent values from rare ones.
_MIN_DEVIATION_OF_COUNTS = 0.2
#: Counts below it are small, and rare where they make up less than this share of the training rows.
_SMALL_COUNT, _RARE = 7.0, 0.001
#: Cells that are computed with at a time.
_SLICE = 2**20
#: Keeps the log-odds finite where all rows, or none, are of a class.
_MIN_PRIOR = 1e-6
_ALL_TIME: tuple[Measure, Measure] = ("rate", "count")
_RECENT: tuple[Measure, Measure] = ("recent_rate", "recent_count")
#: Statistics are cut at so many standard deviations.
_MOST_DEVIATIONS = 5.0


def log_odds(clicks: np.ndarray, rows: np.ndarray, prior: float | np.ndarray) -> np.ndarray:
    """Log-odds of a rate that is drawn towards the prior, as if there had been 3 more rows (Micci-Barreca 2001)."""
    prior = np.clip(prior, _MIN_PRIOR, 1 - _MIN_PRIOR)
    # Differences of weights of very different sizes are rounded.
    clicks = np.minimum(clicks, rows)
    misses = rows - clicks
    # In place, since these arrays have as many elements as there are rows.
    clicks += SMOOTHING * prior
    misses += SMOOTHING * (1 - prior)
    clicks /= misses
    return np.log(clicks, out=clicks)


def log_counts(rows: np.ndarray, log_share: np.ndarray | float) -> np.ndarray:
    """Logarithm of 1 and a number of rows, counted in a share of all rows with this logarithm."""
    # Large counts are scaled up to all rows, as new rows have them; small ones stay, since 1 has to be 1 in both.
    logarithms: np.ndarray = np.log1p(rows)
    scaled = rows * log_share
    scaled /= rows + _MANY_ROWS
    logarithms -= scaled
    return logarithms


def log_odds_of_labels(sums: Sums, priors: Sequence[float | np.ndarray], recent: bool = False) -> Iterator[np.ndarray]:
    """For each label, the log-odds of its rates; of recent rows above the overall rate, which changes with time."""
    for clicks, rows, prior in zip(sums.clicks, sums.known, priors, strict=True):
        rates = log_odds(clicks, rows, prior)
        yield rates - logit(np.clip(prior, _MIN_PRIOR, 1 - _MIN_PRIOR)) if recent else rates


class UnknownRows:
    """Draws training rows, per field, that get the statistics of an unknown value, as many later rows will have."""

    def __init__(self, share: float, random_state: np.random.RandomState) -> None:
        self._share = share
        self._seed = int(random_state.randint(np.iinfo(np.int32).max))

    def among(self, key: Key, is_training: np.ndarray, first: int) -> np.ndarray:
        """Where a field of the key is unknown in training rows, from this number on."""
        rows = np.arange(first, first + len(is_training))
        drawn = [places(rows, self._seed + zlib.crc32(name.encode())) < self._share for name in key.fields]
        return np.logical_or.reduce(drawn) & is_training


class KeyStatistics:
    """Rate and count of each value of a key."""

    _memory: Memory

    def __init__(self, key: Key, rate: bool, count: bool, recent: bool = False) -> None:
        self.key = key
        self.rate = rate
        self.count = count
        self.recent = recent

    def fit(self, rows: CodedRows, unknown: UnknownRows | None) -> Iterator[dict[str, np.ndarray]]:
        """Learn from training rows, and give their own statistics, learned from other rows, chunk by chunk."""
        assert isinstance(rows.target, Target)
        keyed = KeyedRows(self.key, rows, [rows.target.walk_forward(1)] if self.recent else rows.target.groupings)
        return self._of_rows(keyed, self._learn(keyed, rows.target), unknown)

    def _learn(self, keyed: KeyedRows, target: Target) -> list[np.ndarray]:
        """Keep each statistic of all keys, and return it of the cells of all groupings, one after the other."""
        known, sums = keyed.of_keys()
        self._index = KeyIndex(known)
        totals = [float(of_keys.sum()) for of_keys in (sums.rows, *sums.clicks)]
        half_life = totals[0] / keyed.cells[0].grouping.n_blocks_now if self.recent else np.inf
        self._memory = Memory([sums.rows, *sums.clicks], totals, half_life)
        of_keys = self._of_keys(sums, target.priors_of(NEW_ROWS, self.recent))
        parts = [self._evaluate(cells, target) for cells in keyed.cells]
        total = sum(float(part.weights.sum()) for part in parts)
        # Rare small counts are replaced by the mean.
        least = float(np.log1p(_SMALL_COUNT)) if sum(part.small for part in parts) < _RARE * total else -np.inf
        self._columns, tables = [], []
        for (measure, label), table in zip(self._measures(target.labels), of_keys, strict=True):
            bounds = (_MIN_DEVIATION_OF_COUNTS, least) if measure.endswith("count") else (0.0, -np.inf)
            slices = [values for part in parts for values in part.pop_slices()]
            standardize = _standardization(slices, total, *bounds)
            self._columns.append(StatisticColumn(measure, label, standardize(table), standardize))
            tables.append(np.concatenate([standardize(values) for values, _ in slices]))
        return tables

    def _evaluate(self, cells: Cells, target: Target) -> _OutOfGroup:
        """Each statistic of the cells, learned from rows of other groups, not yet standardised."""
        weights, *of_labels = cells.weights
        # Rates take the memory of the clicks that they are made of.
        columns = of_labels[: len(target.labels)] if self.rate else []
        columns += [np.empty(len(weights))] if self.count else []
        small = 0.0
        for of, sums in cells.blocks():
            small += float(sums.own.rows[sums.others.rows < _SMALL_COUNT].sum())
            # In blocks, a later row may have a short past, too.
            log_shares = np.log(target.seen_shares)[sums.groups] if cells.grouping.n_blocks == 1 else 0.0
            priors = target.priors_of(sums.groups, self.recent)
            for values, own in zip(columns, self._evaluate_sums(sums.others, priors, log_shares), strict=True):
                values[of] = own
        cells.weights, share = [], cells.grouping.share
        if share < 1:
            weights, small = weights * share, small * share
        return _OutOfGroup(columns, weights, small)

    def _measures(self, labels: Sequence[str | None]) -> list[tuple[Measure, str | None]]:
        """Measure and label of each statistic."""
        rate, count = _RECENT if self.recent else _ALL_TIME
        rates: list[tuple[Measure, str | None]] = [(rate, label) for label in labels] if self.rate else []
        return [*rates, (count, None)] if self.count else rates

    def _evaluate_sums(
        self, sums: Sums, priors: Sequence[float | np.ndarray], log_shares: np.ndarray | float = 0.0
    ) -> Iterator[np.ndarray]:
        """Each statistic, not yet standardised, of what cells or keys know."""
        if self.rate:
            yield from log_odds_of_labels(sums, priors, self.recent)
        if self.count:
            yield log_counts(sums.rows, log_shares)

    def _of_keys(self, sums: Sums, priors: Sequence[float | np.ndarray]) -> Iterator[np.ndarray]:
        """Each statistic of some keys, and behind them of an unknown key, not yet standardised."""
        nothing = [np.zeros(1)] * len(priors)
        of_unknown = self._evaluate_sums(Sums(nothing[0], nothing, nothing), priors)
        for known, unknown in zip(self._evaluate_sums(sums, priors), of_unknown, strict=True):
            yield np.append(known, unknown)

    def _of_rows(
        self, keyed: KeyedRows, tables: Sequence[np.ndarray], unknown: UnknownRows | None
    ) -> Iterator[dict[str, np.ndarray]]:
        for first, is_training, positions in keyed.chunks():
            columns = [table.take(positions) for table in tables]
            if unknown is not None:
                is_unknown = unknown.among(self.key, is_training, first)
                for column, values in zip(self._columns, columns, strict=True):
                    values[is_unknown] = column.table[-1]
            yield dict(zip(self._names(), columns, strict=True))

    def _names(self) -> list[str]:
        return [field.name for field in self.output_fields(self.key)]

    def transform(self, codes: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Statistics of rows by name, learned from all training rows."""
        return self._take(self._index.find(self.key.combine(codes)))

    def _take(self, positions: np.ndarray) -> dict[str, np.ndarray]:
        columns = (column.table.take(positions) for column in self._columns)
        return dict(zip(self._names(), columns, strict=True))

    def grow(
        self, codes: Mapping[str, np.ndarray], labels: LabelledRows, changes: Changes
    ) -> tuple[KeyStatistics, dict[str, np.ndarray]]:
        """The statistics after more rows, and these rows' statistics from before, which don't know their labels."""
        before = self._translated(changes)
        keys = before.key.combine(codes)
        # A table to find them in would cost what all known keys cost.
        return before._after(keys, labels, changes.decay), before._take(bisect(before._index.known, keys))

    def _translated(self, changes: Changes) -> KeyStatistics:
        """The same statistics by wider keys, without reused codes."""
        known = self._index.known
        kept = ~self.key.holds_any(known, changes.fresh)
        translated, translated.key = copy(self), self.key.widened(changes.n_codes)
        if kept.all() and translated.key == self.key:
            return translated
        translated._index = KeyIndex(self.key.translate(known[kept], translated.key))
        translated._memory = replace(self._memory, sums=[of_keys[kept] for of_keys in self._memory.sums])
        translated._columns = [column._replace(table=column.table[np.append(kept, True)]) for column in self._columns]
        return translated

    def _after(self, keys: np.ndarray, labels: LabelledRows, decay: float) -> KeyStatistics:
        """The statistics after rows of these keys."""
        present = np.flatnonzero(labels.weights > 0)
        ranks, distinct = factorize(keys.take(present), self.key.n_possible)
        new = [np.bincount(at, weights, len(distinct)) for at, weights in labels.take(present).terms(ranks)]
        columns = [*self._memory.sums, *(column.table for column in self._columns)]
        known, columns, positions = make_room(self._index.known, distinct, [column.copy() for column in columns])
        sums, tables = columns[: len(new)], columns[len(new) :]
        touched = positions
        if self.recent:
            # Keys without rows become less recent, too.
            touched, decay = np.arange(len(known)), 0.5 ** (new[0].sum() / self._memory.half_life)
        for of_keys, more in zip(sums, new, strict=True):
            of_keys[touched] *= decay
            of_keys[positions] += more
        totals = [decay * total + float(more.sum()) for total, more in zip(self._memory.totals, new, strict=True)]
        after = copy(self)
        after._index = KeyIndex(known)
        after._memory = Memory(sums, totals, self._memory.half_life)
        n_rows, *clicks = (of_keys[touched] for of_keys in sums)
        priors = [total / totals[0] for total in totals[1:]]
        of_touched = self._of_keys(Sums(n_rows, [n_rows] * len(clicks), clicks), priors)
        after._columns = []
        for column, table, values in zip(self._columns, tables, of_touched, strict=True):
            table[np.append(touched, len(known))] = column.standardize(values)
            after._columns.append(column._replace(table=table))
        return after

    def output_fields(self, key: Key) -> list[Field]:
        """One field per statistic, for a key that may have been renamed."""
        return [
            Field(statistic_name(measure, key.name, label), kind_of_statistic(measure))
            for measure, label, *_ in self._columns
        ]


class _OutOfGroup(NamedTuple):
    """Statistics of cells, learned from other rows, weights of the cells, and the weight of those with small counts."""

    columns: list[np.ndarray]
    weights: np.ndarray
    small: float

    def pop_slices(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Values and weights of the next statistic, some cells at a time, without large arrays between them."""
        values = self.columns.pop(0)
        slices = (slice(start, start + _SLICE) for start in range(0, len(values), _SLICE))
        return [(values[own], self.weights[own]) for own in slices]


@dataclass(frozen=True)
class Standardization:
    """Deviation from the mean of training rows in standard deviations, cut at 5, as float32."""

    mean: float
    scale: float
    least: float = -np.inf

    def __call__(self, values: np.ndarray) -> np.ndarray:
        deviations = values - self.mean
        deviations *= self.scale
        if self.least > -np.inf:
            deviations[values < self.least] = 0.0
        return np.clip(deviations, -_MOST_DEVIATIONS, _MOST_DEVIATIONS, out=deviations).astype(np.float32)


def _standardization(
    slices: Sequence[tuple[np.ndarray, np.ndarray]], total: float, least_deviation: float, least: float
) -> Standardization:
    """Standardisation by mean and deviation of values with weights, where a smaller deviation counts as the least."""
    mean = sum(float((values * weights).sum()) for values, weights in slices) / total
    squares = sum(float((np.square(values - mean) * weights).sum()) for values, weights in slices)
    deviation = (squares / total) ** 0.5
    # A smaller deviation is rounding.
    scale = 1 / max(deviation, least_deviation) if deviation > 1e-9 * max(abs(mean), 1) else 0.0
    return Standardization(mean, scale, least)


class StatisticColumn(NamedTuple):
    """A statistic: its value for each known key and for unknown ones, standardised as in `fit`, also after updates."""

    measure: Measure
    label: str | None
    table: np.ndarray
    standardize: Standardization


@dataclass(frozen=True)
class Memory:
    """Decayed sums of weights that updates go on from: by key and in all, of all rows and then of each label's."""

    sums: list[np.ndarray]
    totals: list[float]
    #: The weight of rows after which sums count half.
    half_life: float
