"""AUC within groups, such as the impressions of one user."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_consistent_length, column_or_1d

from .._checks import Label, check_clicks, check_scores, check_weights
from .._sklearn import StrOptions, validate_params


@validate_params({"group_weight": [StrOptions({"rows", "clicks", "uniform"})]})
def grouped_auc(
    y_true: ArrayLike,
    y_score: ArrayLike,
    groups: ArrayLike | None = None,
    *,
    group_weight: Literal["rows", "clicks", "uniform"] = "rows",
    sample_weight: ArrayLike | None = None,
    pos_label: Label | None = None,
) -> float:
    r"""Grouped AUC (GAUC): the mean of the AUC within each group.

    A page shows one user's candidates, so that only the order within a user matters. The AUC of all rows also rewards
    a model for separating users who click often from those who rarely do; the mean of each user's own AUC does not:

    .. math:: \mathrm{GAUC} = \frac{\sum_g w_g\,\mathrm{AUC}_g}{\sum_g w_g}

    Groups without a click, or with nothing but clicks, have no AUC and are left out of both sums; `auc_per_group`
    shows which. On a small test set most users may be among them.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Labels of two classes.
    y_score : array-like of shape (n_samples,)
        Scores that rise with the probability of a click.
    groups : array-like of shape (n_samples,)
        Group of each row: numbers, strings or anything else that pandas can count. It has no usable default. Rows are
        taken by position, whatever the index.
    group_weight : {"rows", "clicks", "uniform"}, default="rows"
        Weight of a group: its rows (impressions, the usual choice), its clicks, or 1. Rows and clicks are counted by
        `sample_weight`.
    sample_weight, pos_label
        As for :func:`normalized_entropy`.

    Returns
    -------
    float
        Between 0 and 1; 1/2 for scores without any order.

    Raises
    ------
    ValueError
        If `groups` is None or holds missing values, no group has both classes, or the rest isn't valid: labels of
        more than two classes, scores that aren't finite, negative weights, different lengths.

    See Also
    --------
    auc_per_group : The AUC of each group.
    make_grouped_auc_scorer : A scorer that reads the groups from a column.

    References
    ----------
    H. Zhu et al. "Optimized Cost per Click in Taobao Display Advertising." KDD 2017.
    G. Zhou et al. "Deep Interest Network for Click-Through Rate Prediction." KDD 2018 (weighted by impressions).

    Examples
    --------
    >>> from sk_finalmlp.metrics import grouped_auc
    >>> clicked = [1, 0, 0, 1, 1, 0]
    >>> score = [0.2, 0.1, 0.3, 0.9, 0.8, 0.7]
    >>> grouped_auc(clicked, score, groups=["ann", "ann", "ann", "bob", "bob", "bob"])
    0.75
    """
    table = auc_per_group(y_true, y_score, groups, sample_weight=sample_weight, pos_label=pos_label)
    ranked = table[table["auc"].notna()]
    if ranked.empty:
        raise ValueError(
            f"Only one class is present in each of the {len(table)} groups: no group has both clicks and "
            "non-clicks, so none has an AUC. Score more rows at once, or use coarser groups."
        )
    weights = None if group_weight == "uniform" else ranked[group_weight]
    return float(np.average(ranked["auc"], weights=weights))


def auc_per_group(
    y_true: ArrayLike,
    y_score: ArrayLike,
    groups: ArrayLike | None = None,
    *,
    sample_weight: ArrayLike | None = None,
    pos_label: Label | None = None,
) -> pd.DataFrame:
    """AUC of each group.

    Parameters
    ----------
    y_true, y_score, groups, sample_weight, pos_label
        As for :func:`grouped_auc`.

    Returns
    -------
    DataFrame
        One row per group, in order of first appearance, with the columns `auc` (NaN for a group of one class), `rows`
        and `clicks` (sums of `sample_weight`).

    Raises
    ------
    ValueError
        If `groups` is None or holds missing values, or the rest isn't valid, as in `grouped_auc`.

    Examples
    --------
    >>> from sk_finalmlp.metrics import auc_per_group
    >>> auc_per_group([1, 0, 0, 1], [0.2, 0.1, 0.3, 0.9], groups=["ann", "ann", "ann", "bob"])
         auc  rows  clicks
    ann  0.5   3.0     1.0
    bob  NaN   1.0     1.0
    """
    clicks = check_clicks(y_true, pos_label)
    scores = check_scores(y_score, "y_score", clicks)
    weights = check_weights(sample_weight, clicks)
    codes, names = _group_codes(groups, clicks)
    of_clicks = weights * clicks
    share = share_below(scores, weights * ~clicks, codes)
    sums = {"auc": of_clicks * share, "rows": weights, "clicks": of_clicks}
    table = pd.DataFrame({name: np.bincount(codes, values) for name, values in sums.items()}, index=names)
    table["auc"] /= table["clicks"]
    return table


def _group_codes(groups: ArrayLike | None, clicks: NDArray[np.bool_]) -> tuple[NDArray[np.intp], pd.Index]:
    if groups is None:
        raise ValueError(
            "The 'groups' parameter should not be None: pass the user of each row. A scorer gets it by metadata "
            "routing, set_score_request(groups=True), or from a column of X, make_grouped_auc_scorer(column)."
        )
    shape = np.shape(groups)
    if len(shape) != 1 and shape[1:] != (1,):
        raise ValueError(f"groups has shape {shape}, but each row needs one group: pass a column, such as X['user'].")
    check_consistent_length(clicks, groups)
    try:
        codes, names = pd.factorize(column_or_1d(groups))
    except TypeError as error:
        raise TypeError(f"groups must be single values such as user ids, and holds others: {error}.") from error
    if (codes < 0).any():
        raise ValueError(
            f"groups is missing in {(codes < 0).sum()} rows: leave these rows out, or fill in a group of their own, "
            "such as groups.fillna('unknown')."
        )
    return codes, pd.Index(names)


def share_below(
    scores: NDArray[np.floating], weights: NDArray[np.float64], groups: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Return the share of the group's weight with a lower score, plus half of the weight with the same score."""
    # With weights of 1: midrank (Sun and Xu 2014) less 1/2, over the number of rows. It is exactly 1 above all others.
    order = np.lexsort((scores, groups))
    groups, scores = groups[order], scores[order]
    is_last = np.append(groups[1:] != groups[:-1], True)
    ends_tie = is_last | np.append(scores[1:] != scores[:-1], True)
    # Each group has a sum of its own, which the weights of other groups can't round.
    up_to = pd.Series(weights[order]).groupby(groups).cumsum().to_numpy()[ends_tie]
    ends_group = is_last[ends_tie]
    before = np.append(0.0, np.where(ends_group, 0.0, up_to)[:-1])
    with np.errstate(invalid="ignore"):
        shares = (before + (up_to - before) / 2) / up_to[ends_group][groups[ends_tie]]
    shares_of_rows = np.empty(len(order))
    shares_of_rows[order] = shares.repeat(np.diff(np.flatnonzero(ends_tie), prepend=-1))
    return shares_of_rows
