"""Rows that were repeated before the training, so that held-out rows are copies of training rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .._warnings import warn
from ..training import Impressions

#: Fewer held-out rows of the rarer classes say nothing.
_MIN_ROWS = 20
#: Share of them that may have copies in training.
_MAX_SHARE = 0.2
#: Where rows just look alike, fewer have the same label as the rare rows that they are like.
_MIN_SAME_LABEL = 0.95
#: Where rows just look alike, because columns have few values, fewer of all rows are distinct.
_MIN_DISTINCT = 0.3


def warn_about_copies(rows: Impressions, n_floats: int, is_held_out: NDArray[np.bool_]) -> None:
    """Warn if many held-out rows of the rarer classes are exact copies of training rows.

    Parameters
    ----------
    rows : Impressions
        All rows.
    n_floats : int
        Number of leading columns of `values` that aren't statistics, in which copies differ.
    is_held_out : ndarray of bool, shape (n,)
        Which of them are held out.
    """
    target = rows.target.numpy()
    is_rare = target != np.bincount(target).argmax()
    if np.count_nonzero(is_rare & is_held_out) < _MIN_ROWS:
        return
    hashes = _hashes(rows, n_floats)
    labelled = hashes * np.uint64(target.max() + 1) + target.astype(np.uint64)
    held_out, training = is_rare & is_held_out, ~is_held_out
    share = pd.Series(labelled[held_out]).isin(labelled[training]).mean()
    if share < _MAX_SHARE:
        return
    alike = training & pd.Series(hashes).isin(hashes[held_out]).to_numpy()
    has_same_label = pd.Series(labelled[alike]).isin(labelled[held_out]).mean()
    if has_same_label > _MIN_SAME_LABEL and len(pd.unique(hashes)) > _MIN_DISTINCT * len(hashes):
        warn(
            f"{share:.0%} of the held-out rows of the rarer classes are exact copies of training rows: early "
            "stopping relies on rows that the network memorises, and the target statistics of CTREncoder contain their "
            "labels. If rows were repeated, as by RandomOverSampler or bootstrap samples, give sample_weight instead, "
            "or sample without replacement, for example by BaggingClassifier(bootstrap=False, max_samples=0.8).",
        )


def _hashes(rows: Impressions, n_floats: int) -> NDArray[np.uint64]:
    hashes = np.zeros(len(rows), np.uint64)
    values = rows.values[:, :n_floats].contiguous().numpy().view(np.int32)
    for matrix in (rows.codes.numpy(), values):
        for column in matrix.T:
            hashes = (hashes ^ column.astype(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
            hashes ^= hashes >> np.uint64(29)
    return hashes
