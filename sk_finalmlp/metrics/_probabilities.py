"""Quality of predicted click probabilities: calibration error by bins, and log-loss in units of the clicks' entropy."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import entr
from sklearn.metrics import log_loss

from .._checks import Label, bin_edges, check_both_classes, check_clicks, check_probabilities, check_weights
from .._sklearn import AT_LEAST_ONE, StrOptions, validate_params


@validate_params({"n_bins": [AT_LEAST_ONE], "strategy": [StrOptions({"uniform", "quantile"})]})
def expected_calibration_error(
    y_true: ArrayLike,
    y_proba: ArrayLike,
    *,
    n_bins: int = 10,
    strategy: Literal["uniform", "quantile"] = "quantile",
    sample_weight: ArrayLike | None = None,
    pos_label: Label | None = None,
) -> float:
    r"""Expected calibration error (ECE) of the click probability.

    Rows are sorted into bins by their probability. In each bin the mean probability should be the click rate; the
    error is the mean of the absolute difference over the bins :math:`B`, each by its share of the rows:

    .. math::
        \mathrm{ECE} = \sum_B \frac{W_B}{W} \left|\bar p_B - \bar y_B\right|
                     = \frac{1}{W} \sum_B \left|\sum_{i \in B} w_i (p_i - y_i)\right|

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Labels of two classes, or of one.
    y_proba : array-like of shape (n_samples,)
        Probabilities of a click.
    n_bins : int, default=10
        Number of bins, at least 1. With 1, the error is the absolute difference of the mean probability and the click
        rate.
    strategy : {"uniform", "quantile"}, default="quantile"
        Bins of the same width, as in the references, or of about the same weight. Where clicks are rare, nearly all
        probabilities are small and nearly all rows fall into one bin of the same width, which hides every error
        within it. Equal probabilities always share a bin, and bins without rows don't count.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows, at least 0; an integer weight equals a row repeated as often.
    pos_label : bool, int, float or str, default=None
        Label of a click; by default the greater of the two, or 1 where the only label is -1, 0 or 1.

    Returns
    -------
    float
        Between 0 and 1, lower is better.

    Raises
    ------
    ValueError
        If the input isn't valid: labels of more than two classes, probabilities outside [0, 1], negative weights,
        different lengths.

    Notes
    -----
    Even true probabilities have an error above 0, because click rates in bins are random; it grows with the number of
    bins and falls with the number of rows. Compare errors on the same rows and with the same bins only.

    Guo et al. (2017) bin the confidence in the predicted class, whichever it is; here, as in Naeini et al. (2015), it
    is the probability of one class, the click.

    References
    ----------
    M. P. Naeini, G. F. Cooper, M. Hauskrecht. "Obtaining Well Calibrated Probabilities Using Bayesian Binning."
    AAAI 2015.
    C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger. "On Calibration of Modern Neural Networks." ICML 2017, equation 3.

    Examples
    --------
    >>> from sk_finalmlp.metrics import expected_calibration_error
    >>> clicked = [0, 0, 0, 1, 1, 1]
    >>> probability = [0.1, 0.1, 0.1, 0.1, 0.8, 0.8]
    >>> round(expected_calibration_error(clicked, probability, n_bins=2), 3)
    0.167
    """
    clicks = check_clicks(y_true, pos_label)
    probabilities = check_probabilities(y_proba, clicks).astype(np.float64)
    weights = check_weights(sample_weight, clicks)
    bins = np.searchsorted(bin_edges(probabilities, weights, n_bins, strategy), probabilities)
    gaps = np.bincount(bins, weights * (probabilities - clicks))
    return float(np.abs(gaps).sum() / weights.sum())


def normalized_entropy(
    y_true: ArrayLike,
    y_proba: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    pos_label: Label | None = None,
) -> float:
    r"""Normalised entropy (NE): log-loss divided by the entropy of the click rate.

    The log-loss of rare clicks is small for any model. Divided by the log-loss of the constant prediction
    :math:`\bar y`, it can be compared between data sets of different click rates:

    .. math::
        \mathrm{NE} = \frac{-\frac{1}{W} \sum_i w_i \left[y_i \log p_i + (1 - y_i) \log(1 - p_i)\right]}
                           {-\bar y \log \bar y - (1 - \bar y) \log(1 - \bar y)},
        \qquad \bar y = \frac{1}{W} \sum_i w_i y_i, \quad W = \sum_i w_i

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Labels of two classes.
    y_proba : array-like of shape (n_samples,)
        Probabilities of a click; 0 and 1 are moved inwards by the smallest step of their data type, as in
        :func:`sklearn.metrics.log_loss`.
    sample_weight, pos_label
        As for :func:`expected_calibration_error`.

    Returns
    -------
    float
        At least 0, lower is better; 1 for a model that knows the click rate and no more, above 1 for a worse one.

    Raises
    ------
    ValueError
        If only one class is present (its entropy is 0), or the rest isn't valid: labels of more than two classes,
        probabilities outside [0, 1], negative weights, different lengths.

    See Also
    --------
    relative_information_gain : One minus it.

    References
    ----------
    X. He et al. "Practical Lessons from Predicting Clicks on Ads at Facebook." ADKDD 2014, equation 1.

    Examples
    --------
    >>> from sk_finalmlp.metrics import normalized_entropy
    >>> normalized_entropy([0, 0, 0, 1], [0.25, 0.25, 0.25, 0.25])
    1.0
    >>> round(normalized_entropy([0, 0, 0, 1], [0.1, 0.2, 0.1, 0.7]), 3)
    0.351
    """
    clicks = check_clicks(y_true, pos_label)
    probabilities = check_probabilities(y_proba, clicks)
    weights = check_weights(sample_weight, clicks)
    check_both_classes(clicks, weights)
    click_rate = np.average(clicks, weights=weights)
    loss = log_loss(clicks, probabilities, sample_weight=weights, labels=[False, True])
    return float(loss / (entr(click_rate) + entr(1 - click_rate)))


def relative_information_gain(
    y_true: ArrayLike,
    y_proba: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    pos_label: Label | None = None,
) -> float:
    """Relative information gain (RIG): one minus the normalised entropy.

    It is the share of the entropy of clicks that the model explains, scikit-learn's
    :func:`~sklearn.metrics.d2_log_loss_score` for two classes.

    Parameters
    ----------
    y_true, y_proba, sample_weight, pos_label
        As for :func:`normalized_entropy`.

    Returns
    -------
    float
        At most 1, higher is better; 0 for a model that knows the click rate and no more, negative for a worse one.

    Raises
    ------
    ValueError
        As `normalized_entropy`.

    References
    ----------
    X. He et al. "Practical Lessons from Predicting Clicks on Ads at Facebook." ADKDD 2014, section 2.

    Examples
    --------
    >>> from sk_finalmlp.metrics import relative_information_gain
    >>> round(relative_information_gain([0, 0, 0, 1], [0.1, 0.2, 0.1, 0.7]), 3)
    0.649
    """
    return 1 - normalized_entropy(y_true, y_proba, sample_weight=sample_weight, pos_label=pos_label)
