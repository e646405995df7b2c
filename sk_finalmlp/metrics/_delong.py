"""Confidence intervals of an AUC, and of a difference of two, by the method of DeLong et al. (1988)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm
from sklearn.exceptions import UndefinedMetricWarning

from .._checks import Label, check_both_classes, check_clicks, check_scores, check_weights
from .._sklearn import BETWEEN_0_AND_1, validate_params
from .._warnings import warn
from ._grouped_auc import share_below


class AUCInterval(NamedTuple):
    """An AUC with its confidence interval."""

    auc: float
    low: float
    high: float
    standard_error: float


class DeLongResult(NamedTuple):
    """A difference of two AUCs and its test."""

    difference: float
    low: float
    high: float
    standard_error: float
    statistic: float
    pvalue: float


@validate_params({"confidence_level": [BETWEEN_0_AND_1]})
def roc_auc_interval(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    confidence_level: float = 0.95,
    sample_weight: ArrayLike | None = None,
    pos_label: Label | None = None,
) -> AUCInterval:
    r"""AUC with DeLong's confidence interval.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Labels of two classes, at least two rows of each.
    y_score : array-like of shape (n_samples,)
        Scores that rise with the probability of a click.
    confidence_level : float, default=0.95
        Confidence level of the interval for the AUC, between 0 and 1.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows, at least 0, as weights of importance; see the notes.
    pos_label : bool, int, float or str, default=None
        Label of a click; by default the greater of the two.

    Returns
    -------
    named tuple of float
        `auc`; `low` and `high`, the ends of its confidence interval, between 0 and 1; and its `standard_error`.

    Raises
    ------
    ValueError
        If a class has fewer than two rows of weight above 0, or the input isn't valid: labels of more than two
        classes, scores that aren't finite, negative weights, different lengths.

    Warns
    -----
    UndefinedMetricWarning
        If the AUC is 0 or 1: its estimated standard error is 0 then, even for few rows.

    See Also
    --------
    delong_test : The difference of two AUCs on the same rows.

    Notes
    -----
    The placement of a click is the weighted share of other rows that score lower, ties by half, and the placement of
    another row the weighted share of clicks that score higher:

    .. math::
        V_i = \sum_{j \in N} v_j\,\psi(s_i, s_j), \quad V_j = \sum_{i \in C} u_i\,\psi(s_i, s_j), \quad
        u_i = \frac{w_i}{\sum_C w}, \quad v_j = \frac{w_j}{\sum_N w}

    Their weighted means are both the AUC :math:`A`, and each class adds to its variance

    .. math::
        \widehat{\mathrm{Var}}(A) = \frac{\sum_C u_i^2 (V_i - A)^2}{1 - \sum_C u_i^2}
                                  + \frac{\sum_N v_j^2 (V_j - A)^2}{1 - \sum_N v_j^2}

    Without weights this is the variance of DeLong et al. (1988), :math:`S_{10}/m + S_{01}/n`. With weights, it is the
    linearised variance of a weighted mean that surveys use, corrected by Kish's effective number of rows
    :math:`1/\sum u_i^2` in place of their number. The weights say how much a row stands for, not how often it was
    seen: only their ratios within a class matter. So where one in ten unclicked rows is kept with weight 10, the
    interval is as wide as the kept rows make it. Repeat rows that were really seen as often as they weigh.

    The interval is the AUC plus and minus a normal quantile times the standard error, cut at 0 and 1. It takes the
    rows as independent. The rows of one user are alike, so that new users would move the AUC by more than it says.

    Placements come from ranks, in time O(n log n), as in Sun and Xu (2014).

    References
    ----------
    E. R. DeLong, D. M. DeLong, D. L. Clarke-Pearson. "Comparing the Areas under Two or More Correlated Receiver
    Operating Characteristic Curves: A Nonparametric Approach." Biometrics 44 (1988), 837-845.
    X. Sun, W. Xu. "Fast Implementation of DeLong's Algorithm for Comparing the Areas Under Correlated Receiver
    Operating Characteristic Curves." IEEE Signal Processing Letters 21 (2014), 1389-1393.
    L. Kish. "Survey Sampling." Wiley 1965.

    Examples
    --------
    >>> from sk_finalmlp.metrics import roc_auc_interval
    >>> clicked = [0, 0, 1, 1, 0, 1, 0, 0, 1, 1]
    >>> score = [0.1, 0.3, 0.2, 0.8, 0.2, 0.9, 0.1, 0.5, 0.7, 0.6]
    >>> auc, low, high, standard_error = roc_auc_interval(clicked, score)
    >>> print(f"{auc:.2f} ({low:.2f} to {high:.2f})")
    0.90 (0.69 to 1.00)
    """
    clicks, weights = _check_classes(y_true, sample_weight, pos_label)
    placements = _placements(clicks, check_scores(y_score, "y_score", clicks), weights)
    auc, low, high, error = _mean_with_interval(placements, clicks, weights, confidence_level)
    if error == 0 and auc in (0, 1):
        warn(
            f"The AUC is {auc:.0f}, so DeLong's standard error is 0, even for few rows: the interval has no meaning.",
            UndefinedMetricWarning,
        )
    return AUCInterval(auc, max(low, 0.0), min(high, 1.0), error)


@validate_params({"confidence_level": [BETWEEN_0_AND_1]})
def delong_test(
    y_true: ArrayLike,
    y_score_1: ArrayLike,
    y_score_2: ArrayLike,
    *,
    confidence_level: float = 0.95,
    sample_weight: ArrayLike | None = None,
    pos_label: Label | None = None,
) -> DeLongResult:
    """DeLong's paired test: do two models have the same AUC on the same rows?

    Both models are right and wrong about much the same rows, so that the difference of their AUCs is far surer than
    each AUC: two confidence intervals that overlap prove nothing.

    Parameters
    ----------
    y_true, confidence_level, sample_weight, pos_label
        As for :func:`roc_auc_interval`; the interval is for the difference.
    y_score_1, y_score_2 : array-like of shape (n_samples,)
        Scores of the two models, which rise with the probability of a click; only their order matters.

    Returns
    -------
    named tuple of float
        `difference`, the first AUC minus the second; `low` and `high`, the ends of its confidence interval; its
        `standard_error`; `statistic`, the difference divided by its standard error; and `pvalue`, two-sided.

    Raises
    ------
    ValueError
        As :func:`roc_auc_interval`.

    See Also
    --------
    roc_auc_interval : An AUC with its confidence interval, and the formulas.

    Notes
    -----
    The variance is computed as in `roc_auc_interval`, from the differences of both models' placements. Scores that
    order the rows alike have a difference of 0 and a p-value of 1. The test takes both models as given and the rows as
    drawn at random: it isn't for models of several seeds or folds. Of many comparisons, correct the p-values
    (:func:`scipy.stats.false_discovery_control`).

    References
    ----------
    See `roc_auc_interval`.

    Examples
    --------
    >>> from sk_finalmlp.metrics import delong_test
    >>> clicked = [0, 0, 1, 1, 0, 1, 0, 0, 1, 1]
    >>> first = [0.1, 0.3, 0.2, 0.8, 0.2, 0.9, 0.1, 0.5, 0.7, 0.6]
    >>> second = [0.1, 0.7, 0.4, 0.3, 0.2, 0.9, 0.5, 0.8, 0.6, 0.5]
    >>> result = delong_test(clicked, first, second)
    >>> print(f"{result.difference:.2f}, p = {result.pvalue:.2f}")
    0.32, p = 0.10
    """
    clicks, weights = _check_classes(y_true, sample_weight, pos_label)
    first = _placements(clicks, check_scores(y_score_1, "y_score_1", clicks), weights)
    second = _placements(clicks, check_scores(y_score_2, "y_score_2", clicks), weights)
    gained = first - second
    # The same weights summed in another order differ in the last digits, which is no difference between models.
    gained[np.abs(gained) <= len(gained) * np.finfo(np.float64).eps] = 0
    difference, low, high, error = _mean_with_interval(gained, clicks, weights, confidence_level)
    with np.errstate(divide="ignore"):
        statistic = float(np.divide(difference, error)) if difference else 0.0
    pvalue = float(2 * norm.sf(abs(statistic)))
    return DeLongResult(difference, max(low, -1.0), min(high, 1.0), error, statistic, pvalue)


def _check_classes(
    y_true: ArrayLike, sample_weight: ArrayLike | None, pos_label: Label | None
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    clicks = check_clicks(y_true, pos_label)
    weights = check_weights(sample_weight, clicks)
    check_both_classes(clicks, weights)
    if any(_effective_share(weights[rows]) >= 1 for rows in (clicks, ~clicks)):
        raise ValueError("DeLong's variance needs at least two rows of each class, of weight above 0.")
    return clicks, weights


def _placements(
    clicks: NDArray[np.bool_], scores: NDArray[np.floating], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    one_group = np.zeros(len(clicks), dtype=np.intp)
    below = share_below(scores, weights * ~clicks, one_group)
    above = share_below(-scores, weights * clicks, one_group)
    return np.where(clicks, below, above)


def _mean_with_interval(
    values: NDArray[np.float64], clicks: NDArray[np.bool_], weights: NDArray[np.float64], confidence_level: float
) -> tuple[float, float, float, float]:
    """Return the mean over the clicks, which is the one over the others, with its interval and standard error."""
    mean = float(np.average(values[clicks], weights=weights[clicks]))
    error = float(np.sqrt(sum(_variance_of_mean(values[rows], weights[rows]) for rows in (clicks, ~clicks))))
    margin = float(norm.isf((1 - confidence_level) / 2)) * error
    return mean, mean - margin, mean + margin, error


def _variance_of_mean(values: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    shares = weights / weights.sum()
    deviations = shares * (values - np.average(values, weights=weights))
    return float(deviations @ deviations) / (1 - _effective_share(weights))


def _effective_share(weights: NDArray[np.float64]) -> float:
    """One over Kish's effective number of rows."""
    shares = weights / weights.sum()
    return float(shares @ shares)
