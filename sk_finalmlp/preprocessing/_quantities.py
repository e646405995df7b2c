"""Quantities among integers: their order predicts the clicks, although their values repeat as ids do."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ._choice import least_gain, why_no_choice
from ._column import Column
from ._statistics import log_odds
from ._sums import starts_of_runs
from ._target import Target

#: Integers of as few distinct values are well enough described by the values.
_N_BINS = 32
#: Of some fifty values, as of ages, random orders leave most in a bin of their own. Coarse bins tell order from none.
_N_COARSE_BINS = 8
#: With fewer rows per value, rates of values can't show what an id says.
_MIN_ROWS_PER_VALUE = 20
#: Ids are numbered one after another: values that fill a larger share of their range may be ids.
_MAX_FILLED_SHARE = 0.5
#: The order of the values must tell more than random orders, by so many of their standard deviations.
_N_RANDOM_ORDERS = 50
_MIN_DEVIATIONS = 4.0


def is_quantity(column: Column, target: Target) -> bool:
    """Whether rates of bins beat rates of values, the overall rate, and bins in a random order."""
    distinct = column.dictionary.dictionary
    if len(distinct) <= _N_BINS or _may_be_ids(distinct, len(column)) or why_no_choice(target):
        return False
    codes = column.dictionary.indices.fill_null(pa.scalar(len(distinct), pa.int32())).to_numpy().astype(np.int64)
    weights = np.bincount(codes, target.rows.weights, len(distinct) + 1)
    in_order = np.append(pc.sort_indices(distinct).to_numpy().astype(np.int64), len(distinct))
    starts = _starts_of_bins(weights.take(in_order))
    bin_of_value = np.empty(len(weights), np.int64)
    bin_of_value[in_order] = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(weights)))
    bins = _SumsByFold(bin_of_value.take(codes), len(starts), target)
    by_bin = bins.loss()
    if by_bin >= bins.loss(starts=np.zeros(1, np.int64)) - least_gain(target, n_candidates=1):
        return False
    values = _SumsByFold(codes, len(weights), target)
    if by_bin >= values.loss():
        return False
    return any(_beats_random_orders(values, in_order, weights, n_bins) for n_bins in (_N_BINS, _N_COARSE_BINS))


def _beats_random_orders(values: _SumsByFold, in_order: np.ndarray, weights: np.ndarray, n_bins: int) -> bool:
    """Whether bins of the values in order tell more than bins in random orders do."""
    rng = np.random.default_rng(0)
    orders = [np.append(rng.permutation(in_order[:-1]), in_order[-1]) for _ in range(_N_RANDOM_ORDERS)]
    own, *by_chance = (
        values.loss(order, _starts_of_bins(weights.take(order), n_bins)) for order in (in_order, *orders)
    )
    return bool(own < np.mean(by_chance) - _MIN_DEVIATIONS * np.std(by_chance, ddof=1))


def _may_be_ids(distinct: pa.Array, n_rows: int) -> bool:
    """Whether rows are too few to tell, and the values are numbered as ids are."""
    return n_rows < _MIN_ROWS_PER_VALUE * len(distinct) and fill_their_range(distinct)


def fill_their_range(distinct: pa.Array) -> bool:
    """Whether integers are numbered without large gaps, as ids are."""
    smallest, largest = pc.min_max(distinct).values()
    n_possible: int = largest.as_py() - smallest.as_py() + 1
    return len(distinct) > _MAX_FILLED_SHARE * n_possible


def _starts_of_bins(weights: np.ndarray, n_bins: int = _N_BINS) -> np.ndarray:
    """Where bins of about equal weight begin among values in an order; the last place, of missing values, is one."""
    weights = weights[:-1]
    middles = (np.cumsum(weights) - weights / 2) / max(weights.sum(), np.finfo(np.float64).tiny)
    return np.append(np.flatnonzero(starts_of_runs((n_bins * middles).astype(np.int64))), len(weights))


class _SumsByFold:
    """Weights of the rows and of the clicks of each label, by code and fold."""

    def __init__(self, codes: np.ndarray, n_codes: int, target: Target) -> None:
        self._held_out, self._priors, rows = target.n_folds, target.priors, target.rows
        self._total = rows.weights.sum()
        shape = n_codes, target.n_folds + 2
        cells = codes * shape[1] + rows.folds
        known = rows.known_weights or [rows.weights] * len(target.labels)
        self._known = [np.bincount(cells, weights, np.prod(shape)).reshape(shape) for weights in known]
        self._clicks = [
            np.bincount(cells.take(own), weights, np.prod(shape)).reshape(shape) for own, weights in rows.rows_of_labels
        ]

    def loss(self, order: np.ndarray | None = None, starts: np.ndarray | None = None) -> float:
        """Mean log-loss of the cross-fitted rates of the codes, or of bins that begin there in an order of them."""
        loss = 0.0
        for clicks, known, prior in zip(self._clicks, self._known, self._priors, strict=True):
            if order is not None:
                clicks, known = (sums.take(order, axis=0) for sums in (clicks, known))
            if starts is not None:
                clicks, known = (np.add.reduceat(sums, starts) for sums in (clicks, known))
            logits = log_odds(self._of_others(clicks), self._of_others(known), prior)
            loss += float((known * np.logaddexp(0, logits) - clicks * logits).sum())
        return loss / float(self._total)

    def _of_others(self, sums: np.ndarray) -> np.ndarray:
        """Sums of the other folds, the held-out one never among them."""
        own = sums.copy()
        own[:, self._held_out] = 0.0
        others: np.ndarray = sums.sum(axis=1, keepdims=True) - sums[:, [self._held_out]] - own
        return others.clip(0.0)
