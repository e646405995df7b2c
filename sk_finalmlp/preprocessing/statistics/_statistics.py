"""Smoothed click rates and log-counts of keys, learned without leakage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ...fields import MAX_STATISTIC, Field, Measure, statistic_name
from ._keys import Key, KeyIndex
from ._sums import Cells, Sums
from ._target import Target
from ._unknown import UnknownRows

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


def cross_fitted_log_odds(rows: Sums, clicks: Sequence[Sums], priors: Sequence[float]) -> list[np.ndarray]:
    """For each label, the log-odds of each cell's key, from the rows of other folds.

    Parameters
    ----------
    rows : Sums
        Over all rows.
    clicks : sequence of Sums
        For each label, over its rows.
    priors : sequence of float
        For each label, its share of all rows.

    Returns
    -------
    list of ndarray of shape (n_cells,)
    """
    pairs = zip(clicks, priors, strict=True)
    return [log_odds(of_label.of_others, rows.of_others, prior) for of_label, prior in pairs]


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

    def fit_transform(
        self, codes: Mapping[str, np.ndarray], target: Target, unknown: UnknownRows
    ) -> dict[str, np.ndarray]:
        """Learn from training rows, and return their own statistics, learned from the other folds.

        Parameters
        ----------
        codes : mapping of str to ndarray of shape (n_samples,)
            Codes of each field.
        target : Target
            Labels and weights of the rows.
        unknown : UnknownRows
            Rows whose statistics are those of a value without rows.

        Returns
        -------
        dict of {str: ndarray of shape (n_samples,)}
            Cross-fitted statistics by name, as float32.
        """
        cells = Cells(self.key.combine(codes), self.key.n_possible, target)
        rows, clicks = cells.sums_of(target)
        is_known = rows.of_keys > 0
        self._index = KeyIndex(cells.keys[is_known])
        self._columns: list[StatisticColumn] = []
        outputs = {}
        is_unknown = unknown.of(self.key, target)
        for measure, label, of_keys, of_cells in self._measured(rows, clicks, cells.folds, target):
            least = _MIN_DEVIATION_OF_COUNTS if measure == "count" else 0.0
            standardize = _Standardization(of_cells, rows.of_cells, least)
            of_known, of_unknown = of_keys[:-1][is_known], of_keys[-1:]
            self._columns.append(StatisticColumn(measure, label, standardize(np.append(of_known, of_unknown))))
            of_rows = cells.to_rows(standardize(of_cells))
            if is_unknown is not None:
                of_rows = np.where(is_unknown, standardize(of_unknown), of_rows)
            outputs[statistic_name(measure, self.key.name, label)] = of_rows
        return outputs

    def _measured(
        self, rows: Sums, clicks: Sequence[Sums], folds: np.ndarray, target: Target
    ) -> Iterator[tuple[Measure, str | None, np.ndarray, np.ndarray]]:
        """Measure, label, values by key and of an unknown one, and cross-fitted values by cell of each statistic."""
        n_of_keys = np.append(rows.of_keys, 0.0)
        if self.rate:
            # The prior is that of all folds: a number that all rows share tells none of them its label.
            of_cells = cross_fitted_log_odds(rows, clicks, target.priors)
            for label, of_label, prior, values in zip(target.labels, clicks, target.priors, of_cells, strict=True):
                yield "rate", label, log_odds(np.append(of_label.of_keys, 0.0), n_of_keys, prior), values
        if self.count:
            yield "count", None, log_counts(n_of_keys, 1.0), log_counts(rows.of_others, target.seen_shares[folds])

    def transform(self, codes: Mapping[str, np.ndarray]) -> Iterator[tuple[str, np.ndarray]]:
        """Statistics of rows by name, learned from all training rows."""
        positions = self._index.find(self.key.combine(codes))
        for measure, label, table in self._columns:
            yield statistic_name(measure, self.key.name, label), table.take(positions)

    def output_fields(self, key: Key) -> list[Field]:
        """One field per statistic, for a key that may have been renamed."""
        return [Field(statistic_name(measure, key.name, label), "statistic") for measure, label, _ in self._columns]


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
