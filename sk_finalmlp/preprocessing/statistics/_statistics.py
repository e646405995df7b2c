"""Smoothed click rates and log-counts of keys, learned without leakage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from ...fields import MAX_STATISTIC, Field, Measure, statistic_name
from ._keys import Key, KeyIndex
from ._target import Target

#: Weight of the overall rate, in rows, in the rate of a key.
SMOOTHING = 3.0
#: From about so many rows on, cross-fitted counts are scaled up to all rows.
_MANY_ROWS = 10
#: Log-counts that vary by less, a fifth of a count or so, hardly tell frequent values from rare ones.
_MIN_DEVIATION_OF_COUNTS = 0.2
#: Keeps the log-odds finite where all rows, or none, are of a class.
_MIN_PRIOR = 1e-6


def log_odds(clicks: np.ndarray, rows: np.ndarray, prior: float) -> np.ndarray:
    """Log-odds of a rate that is drawn towards the prior, as if there had been 3 more rows (Micci-Barreca 2001)."""
    prior = min(max(prior, _MIN_PRIOR), 1 - _MIN_PRIOR)
    # Differences of weights of very different sizes are rounded.
    clicks = np.minimum(clicks, rows)
    odds = (clicks + SMOOTHING * prior) / (rows - clicks + SMOOTHING * (1 - prior))
    logarithms: np.ndarray = np.log(odds)
    return logarithms


def log_counts(rows: np.ndarray, seen_share: np.ndarray | float) -> np.ndarray:
    """Logarithm of 1 and a number of rows that were counted among a share of all rows.

    Large counts are scaled up to all rows: those of new rows are of all, and would be outliers else. Small ones are
    left as they are, since a network tells them apart one by one, and 1 has to be 1 in both.
    """
    logarithms: np.ndarray = np.log1p(rows) - np.log(seen_share) * rows / (rows + _MANY_ROWS)
    return logarithms


class KeySums:
    """Weight of the training rows of each key, in all and by fold.

    Parameters
    ----------
    positions : ndarray of shape (n_samples,)
        The key of each training row.
    n_keys : int
        Positions are below it, or equal to it where a row without weight has a key of its own.
    target : Target
        Folds of the rows.
    """

    def __init__(self, positions: np.ndarray, n_keys: int, target: Target) -> None:
        n_cells = target.n_folds + 2
        self._shape = (n_keys + 1, n_cells)
        self._cells = positions * n_cells + target.folds
        self._cells_of_held_out = positions * n_cells + target.n_folds
        self._is_held_out = target.folds == target.n_folds
        self._positions = positions

    def sums(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Sums by key, and for each row that of its key over other folds, the held-out one never among them."""
        by_fold = np.bincount(self._cells, weights, minlength=self._shape[0] * self._shape[1])
        by_key = by_fold.reshape(self._shape).sum(axis=1)
        # Differences of fractional weights may be a little below 0.
        of_held_out = np.where(self._is_held_out, 0, by_fold[self._cells_of_held_out])
        return by_key, np.maximum(by_key[self._positions] - by_fold[self._cells] - of_held_out, 0)


def cross_fitted_log_odds(positions: np.ndarray, n_keys: int, target: Target) -> list[np.ndarray]:
    """For each label, the log-odds of each training row's key, from the rows of other folds.

    Parameters
    ----------
    positions : ndarray of shape (n_samples,)
        The key of each row.
    n_keys : int
        Positions are below it.
    target : Target
        Labels, weights and folds of the rows.

    Returns
    -------
    list of ndarray of shape (n_samples,)
    """
    sums = KeySums(positions, n_keys, target)
    _, n_rows = sums.sums(target.weights)
    pairs = zip(target.weights_of, target.priors, strict=True)
    return [log_odds(sums.sums(weights)[1], n_rows, prior) for weights, prior in pairs]


class KeyStatistics:
    """Rate and count of each value of a key.

    Parameters
    ----------
    key : Key
        The field or combination of fields.
    rate, count : bool
        Which of the two are wanted.
    """

    def __init__(self, key: Key, rate: bool, count: bool) -> None:
        self.key = key
        self.rate = rate
        self.count = count

    def fit_transform(self, codes: Mapping[str, np.ndarray], target: Target) -> dict[str, np.ndarray]:
        """Learn from training rows, and return their own statistics, learned from the other folds.

        Parameters
        ----------
        codes : mapping of str to ndarray of shape (n_samples,)
            Codes of each field.
        target : Target
            Labels and weights of the rows.

        Returns
        -------
        dict of {str: ndarray of shape (n_samples,)}
            Cross-fitted statistics by name, as float32.
        """
        keys = self.key.combine(codes)
        self._index, positions = _learn_weighted(keys, target.weights > 0, self.key.n_possible)
        sums = KeySums(positions, len(self._index), target)
        self._columns: list[StatisticColumn] = []
        outputs = {}
        for measure, label, of_keys, of_rows in self._measured(sums, target):
            least = _MIN_DEVIATION_OF_COUNTS if measure == "count" else 0.0
            standardize = _Standardization(of_rows, target.weights, least)
            self._columns.append(StatisticColumn(measure, label, standardize(of_keys)))
            outputs[statistic_name(measure, self.key.name, label)] = standardize(of_rows)
        return outputs

    def _measured(self, sums: KeySums, target: Target) -> Iterator[tuple[Measure, str | None, np.ndarray, np.ndarray]]:
        """Measure, label, values by key, and cross-fitted values by row of each statistic."""
        n_keys, n_rows = sums.sums(target.weights)
        if self.rate:
            for label, weights, prior in zip(target.labels, target.weights_of, target.priors, strict=True):
                of_keys, of_rows = sums.sums(weights)
                # The prior is that of all folds: a number that all rows share tells none of them its label.
                yield "rate", label, log_odds(of_keys, n_keys, prior), log_odds(of_rows, n_rows, prior)
        if self.count:
            yield "count", None, log_counts(n_keys, 1.0), log_counts(n_rows, target.seen_share)

    def transform(self, codes: Mapping[str, np.ndarray]) -> Iterator[tuple[str, np.ndarray]]:
        """Statistics of rows by name, learned from all training rows."""
        positions = self._index.find(self.key.combine(codes))
        for measure, label, table in self._columns:
            yield statistic_name(measure, self.key.name, label), table.take(positions)

    def output_fields(self, key: Key) -> list[Field]:
        """One field per statistic, for a key that may have been renamed."""
        return [Field(statistic_name(measure, key.name, label), "statistic") for measure, label, _ in self._columns]


def _learn_weighted(keys: np.ndarray, has_weight: np.ndarray, n_possible: int) -> tuple[KeyIndex, np.ndarray]:
    """Know the keys of rows with weight, and say where all rows stand."""
    if has_weight.all():
        return KeyIndex.learn(keys, n_possible)
    index, _ = KeyIndex.learn(keys[has_weight], n_possible)
    positions = index.find(keys)
    return index, np.where(positions < 0, len(index), positions)


class StatisticColumn(NamedTuple):
    """A statistic, and its value for each known key and for unknown ones."""

    measure: Measure
    label: str | None
    table: np.ndarray


class _Standardization:
    """Deviation from the mean of training rows in standard deviations, of a least size, cut at 5, as float32."""

    def __init__(self, values: np.ndarray, weights: np.ndarray, least: float) -> None:
        self._mean = np.average(values, weights=weights)
        deviation = np.average((values - self._mean) ** 2, weights=weights) ** 0.5
        # A smaller deviation is rounding.
        self._scale = 1 / max(deviation, least) if deviation > 1e-9 * max(abs(self._mean), 1) else 0.0

    def __call__(self, values: np.ndarray) -> np.ndarray:
        deviations = (values - self._mean) * self._scale
        cut: np.ndarray = np.clip(deviations, -MAX_STATISTIC, MAX_STATISTIC).astype(np.float32)
        return cut
