"""Ranks within groups: the share of weight that each score leaves below it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def share_below(
    scores: NDArray[np.floating], weights: NDArray[np.float64], groups: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Share of the weight of a row's group that has a lower score, and half of that with the same score.

    With weights of 1 it is a midrank of Sun and Xu (2014), less 1/2, over the number of rows. A row above all weight
    of its group has a share of exactly 1.

    Parameters
    ----------
    scores : ndarray of shape (n_samples,)
        Scores of the rows.
    weights : ndarray of shape (n_samples,)
        Weights of the rows.
    groups : ndarray of int of shape (n_samples,)
        Groups of the rows.

    Returns
    -------
    ndarray of shape (n_samples,)
        Between 0 and 1; NaN where the group has no weight.
    """
    order = np.lexsort((scores, groups))
    starts_group = _changes(groups[order])
    starts_tie = starts_group | _changes(scores[order])
    tie_of_row = np.cumsum(starts_tie) - 1
    tie_weight = np.bincount(tie_of_row, weights[order]).astype(np.float64, copy=False)
    shares = np.empty(len(weights))
    shares[order] = _share_below_ties(tie_weight, starts_group[starts_tie])[tie_of_row]
    return shares


def _share_below_ties(tie_weight: NDArray[np.float64], starts_group: NDArray[np.bool_]) -> NDArray[np.float64]:
    up_to = np.cumsum(tie_weight)
    before = up_to - tie_weight
    first = np.flatnonzero(starts_group)
    last = np.append(first[1:], len(tie_weight)) - 1
    group = np.cumsum(starts_group) - 1
    below = before - before[first][group] + tie_weight / 2
    total = (up_to[last] - before[first])[group]
    shares: NDArray[np.float64] = np.full(len(below), np.nan)
    np.divide(below, total, out=shares, where=total > 0)
    return shares


def _changes(values: NDArray[Any]) -> NDArray[np.bool_]:
    return np.concatenate([[True], values[1:] != values[:-1]])
