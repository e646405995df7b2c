"""Ranks within groups: how much weight each score leaves below it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def weight_below(
    scores: NDArray[np.floating], weights: NDArray[np.float64], groups: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Weight of the rows of the same group with a lower score, and half of that with the same score.

    With weights of 1 it is the midrank of Sun and Xu (2014), less 1/2. Sums of integer weights are exact.

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
    """
    order = np.lexsort((scores, groups))
    starts_group = _changes(groups[order])
    starts_tie = starts_group | _changes(scores[order])
    tie = np.cumsum(starts_tie) - 1
    tie_weight = np.bincount(tie, weights[order])
    before = np.cumsum(tie_weight) - tie_weight
    is_first = starts_group[starts_tie]
    before_group = before[is_first][np.cumsum(is_first) - 1]
    below = np.empty(len(weights))
    below[order] = (before - before_group + tie_weight / 2)[tie]
    return below


def _changes(values: NDArray[Any]) -> NDArray[np.bool_]:
    return np.concatenate([[True], values[1:] != values[:-1]])
