"""Logistic regressions of few columns on grouped rows, each started from the one before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

_MAX_ITERATIONS = 30
#: Least improvement of the mean log-loss for which another iteration is worth while.
_TOLERANCE = 1e-7
#: Keeps the solution finite where columns are collinear or separate the classes.
_RIDGE = 1e-7
#: Limit of the log-odds, far below overflow.
_MAX_LOGIT = 500.0
#: Groups of rows that are computed at a time, so that what is computed of them stays in the cache.
_BLOCK = 8192


class Fit(NamedTuple):
    """A fitted logistic regression.

    Parameters
    ----------
    coefficients : ndarray of shape (1 + n_columns,)
        Intercept and coefficients.
    loss : float
        Mean log-loss of the rows it was fitted to.
    """

    coefficients: np.ndarray
    loss: float


def fit_logistic(
    columns: Sequence[np.ndarray], weights: np.ndarray, clicks: np.ndarray, start: ArrayLike = (0.0,)
) -> Fit:
    """Fit intercept and coefficients by Newton's method.

    Parameters
    ----------
    columns : sequence of ndarray of shape (n_groups,)
        What to predict from: the value that all rows of a group have.
    weights, clicks : ndarray of shape (n_groups,)
        Weight of all rows of each group, and of those that were clicked.
    start : array-like
        First guess of the intercept and of as many coefficients as it has; the others start at 0.

    Returns
    -------
    Fit
    """
    rows = np.vstack([np.ones(len(weights)), *columns])
    total = weights.sum()
    shares, click_shares = weights / total, clicks / total
    coefficients = np.pad(start, (0, len(rows) - np.size(start)))
    loss, gradient, hessian = _evaluate(rows, shares, click_shares, coefficients)
    for _ in range(_MAX_ITERATIONS):
        step = np.linalg.solve(hessian + _RIDGE * np.eye(len(rows)), gradient)
        expected = float(gradient @ step) / 2
        if expected <= _TOLERANCE:
            # So near the minimum, the loss falls by what a parabola says.
            return Fit(coefficients - step, loss - expected)
        new_loss, gradient, hessian = _evaluate(rows, shares, click_shares, coefficients - step)
        while new_loss > loss and expected > _TOLERANCE:
            step, expected = step / 2, expected / 2
            new_loss, gradient, hessian = _evaluate(rows, shares, click_shares, coefficients - step)
        coefficients, loss = coefficients - step, new_loss
    return Fit(coefficients, loss)


def _evaluate(
    rows: np.ndarray, shares: np.ndarray, click_shares: np.ndarray, coefficients: np.ndarray
) -> tuple[float, np.ndarray, np.ndarray]:
    """Mean log-loss, and its first and second derivatives."""
    loss, gradient, hessian = 0.0, np.zeros(len(rows)), np.zeros((len(rows), len(rows)))
    for start in range(0, len(shares), _BLOCK):
        block = slice(start, start + _BLOCK)
        x, share, click_share = rows[:, block], shares[block], click_shares[block]
        logits = np.clip(coefficients @ x, -_MAX_LOGIT, _MAX_LOGIT)
        odds = np.exp(logits)
        complement = 1 / (1 + odds)
        predicted = share * odds * complement
        loss += float(-(share @ np.log(complement)) - click_share @ logits)
        gradient += x @ (predicted - click_share)
        hessian += (x * (predicted * complement)) @ x.T
    return loss, gradient, hessian
