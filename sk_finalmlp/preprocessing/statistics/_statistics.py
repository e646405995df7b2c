"""Smoothed click rates and log-counts of keys, learned without leakage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from ...schema import MAX_STATISTIC, Field, Measure, statistic_name
from ._changes import Changes
from ._keys import Key, KeyIndex
from ._sums import Cells, LabelSums
from ._target import MoreLabels, Target

#: Weight of the overall rate, in rows, in the rate of a key.
SMOOTHING = 3.0
#: From about so many rows on, cross-fitted counts are scaled up to all rows.
_MANY_ROWS = 10
#: Log-counts that vary by less, a fifth of a count or so, hardly tell frequent values from rare ones.
_MIN_DEVIATION_OF_COUNTS = 0.2
#: Counts below it are small, and rare where they make up less than this share of the training rows.
_SMALL_COUNT, _RARE = 7.0, 0.001
#: Keeps the log-odds finite where all rows, or none, are of a class.
_MIN_PRIOR = 1e-6


def log_odds(clicks: np.ndarray, rows: np.ndarray, prior: float) -> np.ndarray:
    """Log-odds of a rate that is drawn towards the prior, as if there had been 3 more rows (Micci-Barreca 2001)."""
    prior = min(max(prior, _MIN_PRIOR), 1 - _MIN_PRIOR)
    # Differences of weights of very different sizes are rounded.
    clicks = np.minimum(clicks, rows)
    misses = rows - clicks
    # In place, since these arrays have as many elements as there are rows.
    clicks += SMOOTHING * prior
    misses += SMOOTHING * (1 - prior)
    clicks /= misses
    logarithms: np.ndarray = np.log(clicks, out=clicks)
    return logarithms


def log_counts(rows: np.ndarray, log_share: np.ndarray | float) -> np.ndarray:
    """Logarithm of 1 and a number of rows that were counted among a share of all rows, whose logarithm is given.

    Large counts are scaled up to all rows: those of new rows are of all, and would be outliers else. Small ones are
    left as they are, since a network tells them apart one by one, and 1 has to be 1 in both.
    """
    logarithms: np.ndarray = np.log1p(rows)
    scaled = rows * log_share
    scaled /= rows + _MANY_ROWS
    logarithms -= scaled
    return logarithms


def least_learned(small: float, total: float) -> float:
    """The smallest log-count that tells something, by the weight of the training rows with small counts, and of all.

    Where each user has many rows, no network learns what a user of few is like, and what it makes of larger counts
    misleads where a user is new: small counts stand for the mean there. Where some users have few rows, counts tell.
    """
    return float(np.log1p(_SMALL_COUNT)) if small < _RARE * total else -np.inf


def cross_fitted_log_odds(sums: LabelSums, priors: Sequence[float]) -> list[np.ndarray]:
    """For each label, the log-odds of each cell's key, from the rows of other folds.

    Parameters
    ----------
    sums : LabelSums
        Over the rows.
    priors : sequence of float
        For each label, its share of the rows of which it is known.

    Returns
    -------
    list of ndarray of shape (n_cells,)
    """
    of_labels = zip(sums.clicks, sums.labelled, priors, strict=True)
    return [log_odds(clicks.of_others, rows.of_others, prior) for clicks, rows, prior in of_labels]


class KeyStatistics:
    """Rate and count of each value of a key.

    Parameters
    ----------
    key : Key
        The field or combination of fields.
    rate, count : bool
        Which of the two are wanted.
    """

    #: Files of earlier versions have none.
    _memory: Memory | None = None

    def __init__(self, key: Key, rate: bool, count: bool) -> None:
        self.key = key
        self.rate = rate
        self.count = count

    def fit(self, codes: Mapping[str, np.ndarray], target: Target) -> CrossFitted:
        """Learn from training rows, and return what tells their own statistics, learned from the other folds.

        Parameters
        ----------
        codes : mapping of str to ndarray of shape (n_samples,)
            Codes of each field.
        target : Target
            Labels and weights of the rows.

        Returns
        -------
        CrossFitted
        """
        cells = Cells(self.key.combine(codes), self.key.n_possible, target)
        measured = self.measure(cells, target)
        learned = self.learn([measured], measured.moments)
        return CrossFitted(cells, learned, measured.of_cells)

    def measure(self, cells: Cells, target: Target) -> MeasuredKeys:
        """Statistics of the keys of some rows, which are all rows of these keys, not yet standardised."""
        sums = cells.sums_of(target)
        rows, _, clicks = sums
        is_known = rows.of_keys > 0
        measured = list(self._measured(sums, cells.folds, target))
        return MeasuredKeys(
            cells.keys[is_known],
            [(measure, label) for measure, label, _, _ in measured],
            [of_keys[np.append(is_known, True)] for _, _, of_keys, _ in measured],
            [of_cells for _, _, _, of_cells in measured],
            [RowMoments.of(of_cells, rows.of_cells) for _, _, _, of_cells in measured],
            [of_label.of_keys[is_known] for of_label in (rows, *clicks)],
            float(rows.of_cells[rows.of_others < _SMALL_COUNT].sum()),
        )

    def learn(self, parts: Sequence[MeasuredKeys], moments: Sequence[RowMoments]) -> dict[str, LearnedStatistic]:
        """Keep the statistics of the keys of all parts; by name, how those of rows are standardised.

        Parameters
        ----------
        parts : sequence of MeasuredKeys
            Parts without a key in common.
        moments : sequence of RowMoments
            Of each statistic, over the rows of all parts.
        """
        known = np.concatenate([part.known for part in parts])
        order = np.argsort(known) if len(parts) > 1 else np.arange(len(known))
        self._index = KeyIndex(known[order])
        self._columns: list[StatisticColumn] = []
        learned = {}
        for position, (measure, label) in enumerate(parts[0].measures):
            if measure == "count":
                standardize = moments[position].standardization(_MIN_DEVIATION_OF_COUNTS)
                small = sum(part.small for part in parts)
                standardize = replace(standardize, least=least_learned(small, moments[position].weight))
            else:
                standardize = moments[position].standardization(0.0)
            of_known = np.concatenate([part.of_keys[position][:-1] for part in parts])[order]
            table = standardize(np.append(of_known, parts[0].of_keys[position][-1]))
            self._columns.append(StatisticColumn(measure, label, table))
            learned[statistic_name(measure, self.key.name, label)] = LearnedStatistic(standardize, table[-1:])
        n_rows, *clicks = (np.concatenate(sums)[order] for sums in zip(*(part.sums for part in parts), strict=True))
        standardizations = [statistic.standardize for statistic in learned.values()]
        all_clicks = [float(sums.sum()) for sums in clicks]
        self._memory = Memory(n_rows, clicks, float(n_rows.sum()), all_clicks, standardizations)
        return learned

    def grow(
        self, codes: Mapping[str, np.ndarray], more: MoreLabels, changes: Changes
    ) -> tuple[KeyStatistics, dict[str, np.ndarray]]:
        """Take in more rows.

        Parameters
        ----------
        codes : mapping of str to ndarray of shape (n_samples,)
            Codes of each field.
        more : MoreLabels
            Labels and weights of the rows.
        changes : Changes
            What has become of the codes.

        Returns
        -------
        statistics : KeyStatistics
            Those of all rows so far; these stay as they are.
        outputs : dict of {str: ndarray of shape (n_samples,)}
            Statistics of the new rows as they were before, which don't know the labels of these rows.
        """
        if self._memory is None:
            raise ValueError(
                f"The statistics of {self.key.name!r} were learned by an earlier version of sk_finalmlp, which kept no "
                "sums to go on with. Fit the encoder again."
            )
        before = self._translated(changes)
        keys = before.key.combine(codes)
        positions = before._index.bisect(keys)
        outputs = {
            statistic_name(measure, self.key.name, label): table.take(positions)
            for measure, label, table in before._columns
        }
        return before._learned(keys, more, changes.decay), outputs

    def _translated(self, changes: Changes) -> KeyStatistics:
        """The same statistics by wider keys, without those of codes that stand for other values now."""
        assert self._memory is not None
        known = self._index.known
        kept = ~self.key.holds_any(known, changes.fresh)
        translated, translated.key = copy(self), self.key.widened(changes.n_codes)
        if kept.all() and translated.key == self.key:
            return translated
        translated._index = KeyIndex(self.key.translate(known[kept], translated.key))
        translated._memory = self._memory.take(kept)
        columns = [(measure, label, table[np.append(kept, True)]) for measure, label, table in self._columns]
        translated._columns = [StatisticColumn(*column) for column in columns]
        return translated

    def _learned(self, keys: np.ndarray, more: MoreLabels, decay: float) -> KeyStatistics:
        """The statistics after rows of these keys."""
        assert self._memory is not None
        has_weight = more.weights > 0
        distinct, rows = np.unique(keys[has_weight], return_inverse=True)
        places = np.searchsorted(self._index.known, distinct)
        is_new = (
            self._index.known.take(places, mode="clip") != distinct
            if len(self._index)
            else np.ones(len(distinct), bool)
        )
        new = places[is_new]
        learned = copy(self)
        learned._index = KeyIndex(np.insert(self._index.known, new, distinct[is_new]))
        positions = places + np.cumsum(is_new) - is_new
        n_rows = np.bincount(rows, more.weights[has_weight], minlength=len(distinct))
        clicks = [np.bincount(rows, weights[has_weight], minlength=len(distinct)) for weights in more.weights_of]
        learned._memory = self._memory.with_room(new).after(positions, n_rows, clicks, decay)
        touched = np.append(positions, len(learned._index))
        learned._columns = [
            StatisticColumn(measure, label, _replaced(np.insert(table, new, 0), touched, values))
            for (measure, label, table), values in zip(
                self._columns, learned._memory.values(touched, self.rate, self.count), strict=True
            )
        ]
        return learned

    def _measured(
        self, sums: LabelSums, folds: np.ndarray, target: Target
    ) -> Iterator[tuple[Measure, str | None, np.ndarray, np.ndarray]]:
        """Measure, label, values by key and of an unknown one, and cross-fitted values by cell of each statistic."""
        if self.rate:
            # The prior is that of all folds: a number that all rows share tells none of them its label.
            of_cells = cross_fitted_log_odds(sums, target.priors)
            of_labels = zip(target.labels, sums.clicks, sums.labelled, target.priors, of_cells, strict=True)
            for label, clicks, known, prior, values in of_labels:
                n_clicks, n_rows = np.append(clicks.of_keys, 0.0), np.append(known.of_keys, 0.0)
                yield "rate", label, log_odds(n_clicks, n_rows, prior), values
        if self.count:
            n_of_keys, of_others = np.append(sums.rows.of_keys, 0.0), sums.rows.of_others
            yield "count", None, log_counts(n_of_keys, 0.0), log_counts(of_others, np.log(target.seen_shares)[folds])

    def transform(self, codes: Mapping[str, np.ndarray]) -> Iterator[tuple[str, np.ndarray]]:
        """Statistics of rows by name, learned from all training rows."""
        positions = self._index.find(self.key.combine(codes))
        for measure, label, table in self._columns:
            yield statistic_name(measure, self.key.name, label), table.take(positions)

    def output_fields(self, key: Key) -> list[Field]:
        """One field per statistic, for a key that may have been renamed."""
        return [Field(statistic_name(measure, key.name, label), "statistic") for measure, label, _ in self._columns]


def _replaced(table: np.ndarray, positions: np.ndarray, values: np.ndarray) -> np.ndarray:
    table[positions] = values
    return table


class StatisticColumn(NamedTuple):
    """A statistic, and its value for each known key and for unknown ones."""

    measure: Measure
    label: str | None
    table: np.ndarray


@dataclass(frozen=True)
class Standardization:
    """Deviation from the mean of training rows in standard deviations, of a least size, cut at 5, as float32.

    Parameters
    ----------
    mean : float
        The mean.
    scale : float
        One over the standard deviation; 0 where all values are equal.
    least : float, default=-inf
        Values below it count as the mean.
    """

    mean: float
    scale: float
    least: float = -np.inf

    def __call__(self, values: np.ndarray) -> np.ndarray:
        deviations = values - self.mean
        deviations *= self.scale
        if self.least > -np.inf:
            deviations[values < self.least] = 0.0
        cut: np.ndarray = np.clip(deviations, -MAX_STATISTIC, MAX_STATISTIC, out=deviations).astype(np.float32)
        return cut


@dataclass(frozen=True)
class Memory:
    """The sums from which statistics go on when more rows come.

    Rows and clicks of a key lose weight whenever new rows of it come, so that rates follow the clicks of late; those of
    a key that doesn't come stay, since nobody knows better.

    Parameters
    ----------
    n_rows : ndarray of float64, shape (n_keys,)
        Weight of the rows of each key.
    clicks : list of ndarray of float64, shape (n_keys,)
        Weight of those of each label.
    n_all_rows : float
        Weight of all rows.
    all_clicks : list of float
        Weight of those of each label.
    standardizations : list of Standardization
        Those of `fit` for each statistic, which stay: the network has learned what its numbers mean.
    """

    n_rows: np.ndarray
    clicks: list[np.ndarray]
    n_all_rows: float
    all_clicks: list[float]
    standardizations: list[Standardization]

    def take(self, kept: np.ndarray) -> Memory:
        """That of the keys of a mask."""
        return replace(self, n_rows=self.n_rows[kept], clicks=[clicks[kept] for clicks in self.clicks])

    def with_room(self, places: np.ndarray) -> Memory:
        """The same with keys without rows before these places."""
        n_rows, *clicks = (np.insert(sums, places, 0.0) for sums in (self.n_rows, *self.clicks))
        return replace(self, n_rows=n_rows, clicks=clicks)

    def after(self, positions: np.ndarray, n_rows: np.ndarray, clicks: list[np.ndarray], decay: float) -> Memory:
        """That after rows and clicks of the keys at these positions, written into the sums of this one."""
        for sums, new in zip((self.n_rows, *self.clicks), (n_rows, *clicks), strict=True):
            sums[positions] = decay * sums[positions] + new
        all_clicks = [decay * old + float(new.sum()) for old, new in zip(self.all_clicks, clicks, strict=True)]
        return replace(self, n_all_rows=decay * self.n_all_rows + float(n_rows.sum()), all_clicks=all_clicks)

    def values(self, positions: np.ndarray, rate: bool, count: bool) -> Iterator[np.ndarray]:
        """The statistics of the keys at these positions, of which the last is that of an unknown key."""
        n_rows, *clicks = (np.append(sums[positions[:-1]], 0.0) for sums in (self.n_rows, *self.clicks))
        standardizations = iter(self.standardizations)
        if rate:
            for of_label, in_all in zip(clicks, self.all_clicks, strict=True):
                yield next(standardizations)(log_odds(of_label, n_rows, in_all / self.n_all_rows))
        if count:
            yield next(standardizations)(log_counts(n_rows, 0.0))


class RowMoments(NamedTuple):
    """Weight, mean and variance of rows, known of all rows where they are known of all parts.

    Parameters
    ----------
    weight, mean, variance : float
        The three.
    """

    weight: float
    mean: float
    variance: float

    @classmethod
    def of(cls, values: np.ndarray, weights: np.ndarray) -> RowMoments:
        """Those of rows with weights."""
        weight = float(weights.sum())
        if not weight:
            return cls(0.0, 0.0, 0.0)
        mean = float((values * weights).sum()) / weight
        squares = np.square(values - mean)
        squares *= weights
        return cls(weight, mean, float(squares.sum()) / weight)

    def and_(self, other: RowMoments) -> RowMoments:
        """Those of both (Chan, Golub and LeVeque 1983, "Algorithms for computing the sample variance")."""
        if not self.weight or not other.weight:
            return self if self.weight else other
        weight, away = self.weight + other.weight, other.mean - self.mean
        share = other.weight / weight
        variance = (1 - share) * self.variance + share * other.variance + share * (1 - share) * away**2
        return RowMoments(weight, self.mean + away * share, variance)

    def standardization(self, least: float) -> Standardization:
        """Standardisation by them, where a smaller deviation counts as the least one."""
        deviation = self.variance**0.5
        # A smaller deviation is rounding.
        scale = 1 / max(deviation, least) if deviation > 1e-9 * max(abs(self.mean), 1) else 0.0
        return Standardization(self.mean, scale)


class MeasuredKeys(NamedTuple):
    """Statistics of some keys, not yet standardised.

    Parameters
    ----------
    known : ndarray of int64, shape (n_keys,)
        The keys in ascending order.
    measures : list of (str, str or None)
        Measure and label of each statistic.
    of_keys : list of ndarray of shape (n_keys + 1,)
        Its value for each key, and one for unknown keys.
    of_cells : list of ndarray of shape (n_cells,)
        Its cross-fitted value for each cell.
    moments : list of RowMoments
        Its moments over the rows.
    sums : list of ndarray of shape (n_keys,)
        Weight of the rows of each key, and of those of each label.
    small : float
        Weight of the rows whose cross-fitted count is small.
    """

    known: np.ndarray
    measures: list[tuple[Measure, str | None]]
    of_keys: list[np.ndarray]
    of_cells: list[np.ndarray]
    moments: list[RowMoments]
    sums: list[np.ndarray]
    small: float


class CrossFitted(NamedTuple):
    """Cross-fitted statistics of training rows by name.

    Parameters
    ----------
    cells : Cells
        The rows by key and fold.
    learned : mapping of str to LearnedStatistic
        How each statistic is standardised.
    of_cells : list of ndarray of shape (n_cells,)
        Its value for each cell, not yet standardised.
    """

    cells: Cells
    learned: Mapping[str, LearnedStatistic]
    of_cells: list[np.ndarray]

    def to_rows(self, is_unknown: np.ndarray | None) -> Iterator[tuple[str, np.ndarray]]:
        """Name and values (float32) of each, where some rows have the statistics of a value without rows."""
        for (name, standard), of_cells in zip(self.learned.items(), self.of_cells, strict=True):
            of_rows = self.cells.to_rows(standard(of_cells))
            yield name, of_rows if is_unknown is None else np.where(is_unknown, standard.of_unknown, of_rows)


class LearnedStatistic(NamedTuple):
    """How the values of a statistic are standardised, and that of unknown keys, shape (1,)."""

    standardize: Standardization
    of_unknown: np.ndarray

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Standardised values."""
        return self.standardize(values)
