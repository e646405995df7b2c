"""Integers whose order predicts the clicks: quantities, although their values repeat as ids do."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ._choice import least_gain, why_no_choice
from ._column import Column
from ._numeric import QuantileBinner
from ._statistics import cross_fitted_log_odds, log_odds
from ._sums import cells_of, starts_of_runs
from ._target import Target

#: Integers of as few distinct values are well enough described by the values.
_N_BINS = 32
#: With fewer rows per value, rates of values can't show what an id says.
_MIN_ROWS_PER_VALUE = 20
#: Ids are numbered one after another: values that fill a larger share of their range may be ids.
_MAX_FILLED_SHARE = 0.5
#: The order of the values must tell more than random orders, by so many of their standard deviations.
_N_RANDOM_ORDERS = 50
_MIN_DEVIATIONS = 4.0


def is_quantity(column: Column, target: Target) -> bool:
    """Whether rates of bins predict better than those of the values, than the overall rate, and than bins of a random
    order, in which popular ids have a bin of their own as well.
    """
    distinct = column.dictionary.dictionary
    if len(distinct) <= _N_BINS or _may_be_ids(distinct, len(column)) or why_no_choice(target):
        return False
    (bins,) = QuantileBinner(_N_BINS).fit(column, target.rows.weights).transform(column)
    overall = _log_loss(np.zeros(len(bins), np.int64), target)
    by_bin = _log_loss(bins, target)
    if by_bin >= min(overall - least_gain(target, n_candidates=1), _log_loss(_codes(column), target)):
        return False
    return _order_tells(column, target)


def _may_be_ids(distinct: pa.Array, n_rows: int) -> bool:
    """Whether rows are too few to tell, and the values are numbered as ids are."""
    return n_rows < _MIN_ROWS_PER_VALUE * len(distinct) and fill_their_range(distinct)


def fill_their_range(distinct: pa.Array) -> bool:
    """Whether integers are numbered without large gaps, as ids are."""
    smallest, largest = pc.min_max(distinct).values()
    n_possible: int = largest.as_py() - smallest.as_py() + 1
    return len(distinct) > _MAX_FILLED_SHARE * n_possible


def _order_tells(column: Column, target: Target) -> bool:
    """Whether bins of neighbouring values predict clearly better than bins of the same values in random order."""
    distinct = column.dictionary.dictionary
    sums = _SumsByValue(_codes(column), len(distinct) + 1, target)
    in_order = pc.sort_indices(distinct).to_numpy().astype(np.int64)
    rng = np.random.default_rng(0)
    by_chance = [sums.loss_of_bins(rng.permutation(in_order)) for _ in range(_N_RANDOM_ORDERS)]
    return bool(sums.loss_of_bins(in_order) < np.mean(by_chance) - _MIN_DEVIATIONS * np.std(by_chance, ddof=1))


class _SumsByValue:
    """Weights of all rows by value, and of the rows and clicks of each label by value and fold."""

    def __init__(self, codes: np.ndarray, n_values: int, target: Target) -> None:
        self._held_out, self._priors, rows = target.n_folds, target.priors, target.rows
        shape = n_values, target.n_folds + 2
        cells = codes * shape[1] + rows.folds
        known = rows.known_weights or [rows.weights] * len(target.labels)
        self._known = [np.bincount(cells, weights, np.prod(shape)).reshape(shape) for weights in known]
        self._clicks = [
            np.bincount(cells.take(own), weights, np.prod(shape)).reshape(shape) for own, weights in rows.rows_of_labels
        ]
        self._weights = np.bincount(codes, rows.weights, n_values)

    def loss_of_bins(self, order: np.ndarray) -> float:
        """Log-loss, up to a factor, of rates of bins of about equal weight that follow this order of values."""
        weights = self._weights.take(order)
        middles = (np.cumsum(weights) - weights / 2) / max(weights.sum(), np.finfo(np.float64).tiny)
        starts = np.flatnonzero(starts_of_runs((_N_BINS * middles).astype(np.int64)))
        loss = 0.0
        for clicks, known, prior in zip(self._clicks, self._known, self._priors, strict=True):
            clicks, known = (np.add.reduceat(sums.take(order, axis=0), starts) for sums in (clicks, known))
            logits = log_odds(self._of_others(clicks), self._of_others(known), prior)
            loss += float((known * np.logaddexp(0, logits) - clicks * logits).sum())
        return loss

    def _of_others(self, sums: np.ndarray) -> np.ndarray:
        """Sums of the other folds, the held-out one never among them."""
        own = sums.copy()
        own[:, self._held_out] = 0.0
        others: np.ndarray = sums.sum(axis=1, keepdims=True) - sums[:, [self._held_out]] - own
        return others.clip(0.0)


def _codes(column: Column) -> np.ndarray:
    """A number for each value, missing ones included."""
    indices = column.dictionary.indices.fill_null(pa.scalar(len(column.dictionary.dictionary), pa.int32()))
    codes: np.ndarray = indices.to_numpy().astype(np.int64)
    return codes


def _log_loss(codes: np.ndarray, target: Target) -> float:
    """Mean log-loss of the cross-fitted rates of these codes, summed over the labels."""
    cells, slots = cells_of(codes, int(codes.max()) + 1, target)
    cells.add(slots, target.rows)
    sums = cells.sums()
    loss = 0.0
    for of_label, rows, logits in zip(sums.clicks, sums.known, cross_fitted_log_odds(sums, target.priors), strict=True):
        loss += float(rows.of_cells @ np.logaddexp(0, logits) - of_label.of_cells @ logits)
    return loss / float(target.rows.weights.sum())
