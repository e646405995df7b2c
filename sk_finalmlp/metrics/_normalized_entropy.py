"""Log-loss in units of what is known without any feature: the click rate."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import entr
from sklearn.metrics import log_loss

from .._checks import Label, check_both_classes, check_clicks, check_probabilities, check_weights


def normalized_entropy(
    y_true: ArrayLike,
    y_proba: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    pos_label: Label | None = None,
) -> float:
    r"""Normalised entropy (NE): log-loss divided by the entropy of the click rate.

    The log-loss of rare clicks is small for any model. Divided by that of a model which predicts the same
    rate :math:`\bar y` for every row, it can be compared between data sets of different click rates:

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
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows, at least 0; an integer weight equals a row repeated as often.
    pos_label : bool, int, float or str, default=None
        Label of a click; by default the greater of the two.

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
    y_true : array-like of shape (n_samples,)
        Labels of two classes.
    y_proba : array-like of shape (n_samples,)
        Probabilities of a click.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows, at least 0.
    pos_label : bool, int, float or str, default=None
        Label of a click; by default the greater of the two.

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
