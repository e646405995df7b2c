"""Labels of the training rows as statistics need them: weights by class, and folds."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import check_consistent_length, column_or_1d
from sklearn.utils.multiclass import type_of_target

from .._hold_out import held_out_rows

_N_FOLDS = 10


class NoLabels(ValueError):
    """No statistics can be learned from this y."""


@dataclass(frozen=True)
class Target:
    """What statistics are about: the weight of each training row, in all and as a row of each class.

    Parameters
    ----------
    labels : sequence of (str or None)
        Names of the classes that get a rate; one `None` for two classes, of which the greater gets the only one.
    weights : ndarray of shape (n_samples,)
        Non-negative weights of the rows.
    weights_of : sequence of ndarray of shape (n_samples,)
        For each of `labels`, the weights of its rows; other rows have weight 0.
    folds : ndarray of shape (n_samples,)
        The fold of each row. Rows that the classifier holds out for early stopping have the number `n_folds`, and
        rows without weight, which are in no fold, `n_folds + 1`.
    n_folds : int
        Number of folds.
    """

    labels: Sequence[str | None]
    weights: np.ndarray
    weights_of: Sequence[np.ndarray]
    folds: np.ndarray
    n_folds: int

    @property
    def priors(self) -> list[float]:
        """Overall share of each of the labels."""
        return [weights.sum() / self.weights.sum() for weights in self.weights_of]

    @property
    def effective_n_rows(self) -> float:
        """Number of rows of even weights that tell as much as these."""
        shares = self.weights / self.weights.max()
        return float(shares.sum() ** 2 / (shares @ shares))

    @property
    def seen_share(self) -> np.ndarray:
        """Share of all weight, about, that the cross-fitted statistics of each row are learned from."""
        share_of_folds = self.weights[self.folds < self.n_folds].sum() / self.weights.sum()
        share: np.ndarray = share_of_folds * np.where(self.folds < self.n_folds, 1 - 1 / self.n_folds, 1)
        return share

    def take(self, rows: np.ndarray) -> Target:
        """The target of some of the rows."""
        return replace(
            self,
            weights=self.weights[rows],
            weights_of=[weights[rows] for weights in self.weights_of],
            folds=self.folds[rows],
        )


def read_target(y: Any, X: Any, weights: np.ndarray | None, random_state: np.random.RandomState) -> Target:
    """Weights by class, and stratified, shuffled folds.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        The labels.
    X : {dataframe, ndarray} of shape (n_samples, n_features)
        The table they belong to.
    weights : ndarray of shape (n_samples,) or None
        Weights of the rows.
    random_state : RandomState
        Shuffles the folds.

    Raises
    ------
    NoLabels
        If y is no labels of two or more classes.
    ValueError
        If y has missing values, or another length than X.
    """
    classes, positions = _read_labels(y, X)
    return _make_target(classes, positions, weights, random_state)


def _read_labels(y: Any, X: Any) -> tuple[np.ndarray, np.ndarray]:
    """Classes in ascending order, and which of them each row has."""
    if y is None:
        raise NoLabels("there is no y")
    check_consistent_length(X, y)
    if pd.isna(np.asarray(y)).any():
        raise ValueError("Input y contains NaN: leave out the rows without a label.")
    with warnings.catch_warnings():
        # That there are many classes is found out below.
        warnings.simplefilter("ignore", UserWarning)
        kind = type_of_target(y, input_name="y")
    if kind not in ("binary", "multiclass"):
        raise NoLabels(f"y holds no class labels (Unknown label type: {kind})")
    classes, positions = np.unique(column_or_1d(y), return_inverse=True)
    if len(classes) == 1:
        raise NoLabels("y has only one class")
    return classes, positions


def _make_target(
    classes: np.ndarray, y: np.ndarray, weights: np.ndarray | None, random_state: np.random.RandomState
) -> Target:
    weights = np.ones(len(y)) if weights is None else weights
    # One rate tells of both classes, so that two classes need one.
    counted = list(enumerate(classes)) if len(classes) > 2 else [(1, None)]
    folds, n_folds = _stratified_folds(y, weights > 0, random_state)
    return Target(
        labels=[None if label is None else str(label) for _, label in counted],
        weights=weights,
        weights_of=[np.where(y == position, weights, 0.0) for position, _ in counted],
        folds=folds,
        n_folds=n_folds,
    )


def _stratified_folds(
    y: np.ndarray, present: np.ndarray, random_state: np.random.RandomState
) -> tuple[np.ndarray, int]:
    """Folds with equal shares of each class, but for one row, of all rows that aren't held out."""
    rows = np.flatnonzero(present)
    is_held_out = held_out_rows(y[rows])
    held_out, rows = rows[is_held_out], random_state.permutation(rows[~is_held_out])
    rows = rows[np.argsort(y[rows], kind="stable")]
    n_folds = _number_of_folds(y[rows])
    folds = np.full(len(y), n_folds + 1)
    folds[held_out] = n_folds
    folds[rows] = np.arange(len(rows)) % n_folds
    return folds, n_folds


def _number_of_folds(y: np.ndarray) -> int:
    """As many as there are rows outside the largest class, between 2 and 10."""
    # With more of them, the folds that hold a click would know of one click less than all others.
    n_outside: int = len(y) - np.bincount(y).max()
    return min(max(n_outside, 2), _N_FOLDS)
