"""Logistic regressions of few columns on the same rows, each started from the one before."""

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


class LogisticRegressions:
    """Newton's method for weighted rows of two classes.

    Parameters
    ----------
    y : ndarray of bool of shape (n_samples,)
        The class of each row.
    weights : ndarray of shape (n_samples,)
        Its weight.
    """

    def __init__(self, y: np.ndarray, weights: np.ndarray) -> None:
        self._signs = np.where(y, -1.0, 1.0)
        self._weights = weights / weights.sum()
        self.constant = self.fit([])

    def fit(self, columns: Sequence[np.ndarray], start: ArrayLike = (0.0,)) -> Fit:
        """Fit intercept and coefficients.

        Parameters
        ----------
        columns : sequence of ndarray of shape (n_samples,)
            What to predict from.
        start : array-like
            First guess of the intercept and of as many coefficients as it has; the others start at 0.
        """
        rows = np.vstack([np.ones(len(self._signs)), *columns])
        coefficients = np.pad(start, (0, len(rows) - np.size(start)))
        loss, errors = self._evaluate(rows, coefficients)
        for _ in range(_MAX_ITERATIONS):
            step, expected = self._step(rows, errors)
            new_loss, errors = self._evaluate(rows, coefficients - step)
            while new_loss > loss and expected > _TOLERANCE:
                step, expected = step / 2, expected / 2
                new_loss, errors = self._evaluate(rows, coefficients - step)
            coefficients, loss = coefficients - step, new_loss
            if expected <= _TOLERANCE:
                break
        return Fit(coefficients, loss)

    def _evaluate(self, rows: np.ndarray, coefficients: np.ndarray) -> tuple[float, np.ndarray]:
        """Mean log-loss, and the probability that each row has of being of the other class."""
        odds = np.exp(np.minimum(self._signs * (coefficients @ rows), _MAX_LOGIT))
        return float(self._weights @ np.log(1 + odds)), odds / (1 + odds)

    def _step(self, rows: np.ndarray, errors: np.ndarray) -> tuple[np.ndarray, float]:
        """Newton's step, and by about how much it lowers the loss."""
        gradient = rows @ (self._weights * self._signs * errors)
        hessian = (rows * (self._weights * errors * (1 - errors))) @ rows.T
        step = np.linalg.solve(hessian + _RIDGE * np.eye(len(rows)), gradient)
        return step, float(gradient @ step) / 2
