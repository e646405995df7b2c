"""Integers whose order predicts the clicks: quantities, although their values repeat as ids do."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ._choice import least_gain, why_no_choice
from ._statistics import cross_fitted_log_odds
from ._sums import cells_of
from ._target import Target
from .columns._numeric import QuantileBinner
from .tables._column import Column

#: Integers of as few distinct values are well enough described by the values.
_N_BINS = 32
#: With fewer rows per value, rates of values can't show what an id says.
_MIN_ROWS_PER_VALUE = 20
#: Ids are numbered one after another: values that fill a larger share of their range may be ids.
_MAX_FILLED_SHARE = 0.5


def is_quantity(column: Column, target: Target) -> bool:
    """Whether click rates of quantile bins predict better than those of the values, and than the overall rate.

    Parameters
    ----------
    column : Column
        Integers.
    target : Target
        Labels and weights of the same rows, all of them with weight.

    Returns
    -------
    bool
        True for amounts and ages, False for ids, whose neighbours have nothing in common, and for few values.
    """
    distinct = column.dictionary.dictionary
    if len(distinct) <= _N_BINS or _may_be_ids(distinct, len(column)) or why_no_choice(target):
        return False
    (bins,) = QuantileBinner(_N_BINS).fit(column, target.rows.weights).transform(column)
    overall = _log_loss(np.zeros(len(bins), np.int64), target)
    by_bin = _log_loss(bins, target)
    return by_bin < overall - least_gain(target, n_candidates=1) and by_bin < _log_loss(_codes(column), target)


def _may_be_ids(distinct: pa.Array, n_rows: int) -> bool:
    """Whether rows are too few to tell, and the values are numbered as ids are."""
    smallest, largest = pc.min_max(distinct).values()
    n_possible = largest.as_py() - smallest.as_py() + 1
    return n_rows < _MIN_ROWS_PER_VALUE * len(distinct) and len(distinct) > _MAX_FILLED_SHARE * n_possible


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
