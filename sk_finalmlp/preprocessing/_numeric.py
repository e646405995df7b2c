"""Numeric columns: normal scores, standardised, quantile bins, or logarithmic buckets; missing values become 0."""

from __future__ import annotations

from typing import Self

import numpy as np
import pyarrow as pa
from scipy.special import ndtri

from ..schema import UNKNOWN_CODE, Field
from ._column import Column
from ._vocabulary import CategoricalEncoder, ColumnEncoder, Counted, Vocabulary

#: Farther outliers would only saturate the network, and overflow its floats in the end.
MAX_DEVIATIONS = 10.0
#: A spread below this share of the largest value is rounding, not variation.
MIN_RELATIVE_SPREAD = 1e-13
_LEAST_RANK = np.finfo(np.float64).epsneg
#: With a smaller deviation of normal scores, one value has nearly all of the weight: the column counts as constant.
_MIN_DEVIATION_OF_SCORES = 1e-6
#: Values that a distribution is remembered by.
_N_KNOTS = 1_000
#: Values that are sorted within the cache.
_SORTED_AT_ONCE = 16_384
#: Beside the largest value of a column, smaller ones than this share of it are 0.
_LEAST_SCALED = 1e-280
_LARGEST_LOGARITHM = np.log(np.finfo(np.float64).max)


def present_values(column: Column, weights: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the present values of a column, and their weights: by default the number of rows that each stands for."""
    weights = column.repeats if weights is None else weights
    present = ~np.isnan(column.floats)
    return column.floats[present], None if weights is None else weights[present]


def unit_of(values: np.ndarray) -> float:
    """Return the size of the largest value, to compute in units of it: squares and differences of doubles overflow."""
    return float(max(values.max(initial=0.0), -values.min(initial=0.0))) or 1.0


def mean_and_deviation(values: np.ndarray, weights: np.ndarray | None) -> tuple[float, float]:
    """Return mean and standard deviation of values, 0 without any."""
    if not len(values):
        return 0.0, 0.0
    mean = float(np.average(values, weights=weights))
    return mean, float(np.average((values - mean) ** 2, weights=weights)) ** 0.5


class FloatColumn(ColumnEncoder):
    """Encoder of a column of floats."""

    def output_fields(self, name: str) -> list[Field]:
        return [Field(name, "numeric")]


class Standardizer(FloatColumn):
    """Deviation from the mean in standard deviations, as float32."""

    def fit(self, column: Column, weights: np.ndarray | None) -> Self:
        """Learn mean and standard deviation."""
        floats, weights = present_values(column, weights)
        self.unit = unit_of(floats)
        self.mean, deviation = mean_and_deviation(floats / self.unit, weights)
        self.deviation = deviation if deviation > MIN_RELATIVE_SPREAD else 0.0
        return self

    def transform(self, column: Column) -> list[np.ndarray]:
        floats = column.floats
        if self.deviation == 0:
            return [np.zeros(len(floats), np.float32)]
        with np.errstate(over="ignore"):
            deviations = (floats / self.unit - self.mean) / self.deviation
        deviations = np.clip(deviations, -MAX_DEVIATIONS, MAX_DEVIATIONS)
        return [np.where(np.isnan(floats), 0.0, deviations).astype(np.float32)]

    def inverse_transform(self, outputs: list[np.ndarray]) -> pa.Array:
        return pa.array((outputs[0].astype(np.float64) * self.deviation + self.mean) * self.unit)


class NormalScorer(FloatColumn):
    """Standardised normal quantile at the rank of a value: the share of smaller values and half of the equal ones.
    Between the knots it is interpolated; beyond them, the nearest counts.
    """

    def fit(self, column: Column, weights: np.ndarray | None) -> Self:
        """Learn the scores of up to 1,000 values, evenly spread over the ranks."""
        floats, weights = present_values(column, weights)
        self.unit = unit_of(floats)
        scaled = floats / self.unit
        # Between values that lie closer, the slope of the scores would overflow.
        scaled[np.abs(scaled) < _LEAST_SCALED] = 0
        values, sums = _distinct(scaled, weights)
        shares = sums / sums.sum()
        scores = _normal_scores(shares)
        mean, deviation = mean_and_deviation(scores, shares)
        scale = 1 / deviation if deviation > _MIN_DEVIATION_OF_SCORES else 0.0
        knots = _evenly_spread(np.cumsum(shares) - shares / 2)
        self.values, self.scores = values[knots], (scores[knots] - mean) * scale
        return self

    def transform(self, column: Column) -> list[np.ndarray]:
        floats = column.floats
        present = ~np.isnan(floats)
        outputs = np.zeros(len(floats), np.float32)
        if len(self.values):
            values = np.clip(floats[present], -self.unit, self.unit) / self.unit
            outputs[present] = _interpolated(values, self.values, self.scores)
        return [outputs]

    def inverse_transform(self, outputs: list[np.ndarray]) -> pa.Array:
        if not len(self.values):
            return pa.array(np.zeros(len(outputs[0])))
        return pa.array(np.interp(outputs[0].astype(np.float64), self.scores, self.values) * self.unit)


def _interpolated(floats: np.ndarray, values: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """`np.interp` of sorted parts, a third of its time, the same bits: it first looks where it found the one before."""
    outputs = np.empty(len(floats))
    for start in range(0, len(floats), _SORTED_AT_ONCE):
        part = floats[start : start + _SORTED_AT_ONCE]
        order = np.argsort(part)
        outputs[start + order] = np.interp(part[order], values, scores)
    return outputs


def _distinct(floats: np.ndarray, weights: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return distinct values in order, and the sums of their weights."""
    if weights is None:
        return np.unique(floats, return_counts=True)
    values, positions = np.unique(floats, return_inverse=True)
    return values, np.bincount(positions, weights, minlength=len(values))


def _normal_scores(shares: np.ndarray) -> np.ndarray:
    """Return normal quantiles of the ranks, each computed from the nearer end, since 1 less a small rank is rounded."""
    below, above = (np.cumsum(part) - part / 2 for part in (shares, shares[::-1]))
    n_low = np.searchsorted(below, 0.5)
    # A rank of 0 has an infinite score.
    ranks = np.clip(np.append(below[:n_low], above[::-1][n_low:]), _LEAST_RANK, 0.5)
    # Taken from 0, the median isn't -0.
    return np.append(ndtri(ranks[:n_low]), 0 - ndtri(ranks[n_low:]))


def _evenly_spread(ranks: np.ndarray) -> np.ndarray:
    """Return the positions of the first, the last, and as many between them as are to be remembered."""
    if len(ranks) <= _N_KNOTS:
        return np.arange(len(ranks))
    inner = np.searchsorted(ranks, np.linspace(ranks[0], ranks[-1], _N_KNOTS)[1:-1])
    return np.unique([0, *inner, len(ranks) - 1])


def _quantiles(floats: np.ndarray, weights: np.ndarray | None, n_bins: int) -> np.ndarray:
    """Return the ends of bins: for each k, the first value at or above k / n_bins of all weight."""
    values, sums = _distinct(floats, weights)
    ends = np.cumsum(sums)
    # Sums of weights are rounded, and must not miss the end of a bin for it; sums of rows are exact.
    n_ended = np.floor(ends * n_bins / ends[-1:] * (1 + 1e-12))
    return values[np.diff(n_ended, prepend=0) > 0]


class QuantileBinner(ColumnEncoder):
    """Codes 1, 2, ... of bins that hold about as many rows each."""

    def __init__(self, n_bins: int) -> None:
        self.n_bins = n_bins

    def fit(self, column: Column, weights: np.ndarray | None) -> Self:
        """Learn the upper edges of all bins but the last, and the mean of each bin."""
        floats, weights = present_values(column, weights)
        edges = _quantiles(floats, weights, self.n_bins)
        self.edges = edges[edges < floats.max(initial=-np.inf)]
        self.means = self._bin_means(floats, weights)
        return self

    def _bin_means(self, floats: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
        bins = np.searchsorted(self.edges, floats)
        weights = np.ones(len(floats)) if weights is None else weights
        totals = np.bincount(bins, weights, minlength=self._n_bins_used)
        return np.bincount(bins, floats * (weights / totals[bins]), minlength=self._n_bins_used)

    @property
    def _n_bins_used(self) -> int:
        return len(self.edges) + 1

    def transform(self, column: Column) -> list[np.ndarray]:
        floats = column.floats
        bins = np.searchsorted(self.edges, floats)
        return [np.where(np.isnan(floats), UNKNOWN_CODE, bins + 1)]

    def inverse_transform(self, outputs: list[np.ndarray]) -> pa.Array:
        return Vocabulary(pa.array(self.means)).decode(outputs[0])

    def output_fields(self, name: str) -> list[Field]:
        return [Field(name, "categorical", n_codes=self._n_bins_used + 1)]


class LogBucketer(CategoricalEncoder):
    """Codes of the buckets used on Criteo: floor(ln(x)^2) above 2, else the integer part; rare buckets are unknown."""

    def _count(self, column: Column) -> Counted:
        return super()._count(_buckets(column))

    def transform(self, column: Column) -> list[np.ndarray]:
        return super().transform(_buckets(column))

    def inverse_transform(self, outputs: list[np.ndarray]) -> pa.Array:
        buckets = super().inverse_transform(outputs).cast(pa.float64()).to_numpy(zero_copy_only=False)
        logarithms = np.minimum(np.sqrt(np.abs(buckets)), _LARGEST_LOGARITHM)
        return pa.array(np.where(buckets > 2, np.exp(logarithms), buckets), from_pandas=True)


def _buckets(column: Column) -> Column:
    floats = column.floats
    present = ~np.isnan(floats)
    logarithms = np.log(np.where(present & (floats > 2), floats, 1.0))
    buckets = np.where(floats > 2, np.floor(logarithms**2), np.trunc(np.clip(floats, -(2.0**53), None)))
    return column.with_values(pa.array(np.where(present, buckets, 0).astype(np.int64), mask=~present))
