"""Labels of the training rows as statistics need them: weights by class, and folds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import check_consistent_length

from ..._checks import refuse_name_as_labels
from ..._hold_out import Fraction, held_out_rows, places, share_held_out
from ..._labels import MISSING, has_tasks, label_classes, label_columns, label_digits, patterns_of
from ..._warnings import warn

_N_FOLDS = 10
#: Keeps logarithms finite where all rows with weight are held out.
_MIN_SHARE = 1e-12
_UNLABELLED = (
    "y holds -1 beside 0 and 1, by which scikit-learn marks rows without a label. Here it is a class like the others, "
    "with a rate of its own. If it is such a mark, give these rows no weight, sample_weight=(y != -1); in a pipeline "
    "enc__sample_weight, where 'enc' is the name of the step. If -1 is a class, give the classes names, for example by "
    "y.astype(str)."
)


class NoLabels(ValueError):
    """No statistics can be learned from this y."""


@dataclass(frozen=True)
class Target:
    """What statistics are learned from: the weight of each training row, overall and by class.

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
    classes : ndarray of shape (n_classes,)
        The labels of y in ascending order; of several columns of labels their names.
    labelled : sequence of ndarray of shape (n_samples,), default=None
        For each of `labels`, the weights of the rows of which it is known; None where it is of all rows.
    """

    labels: Sequence[str | None]
    weights: np.ndarray
    weights_of: Sequence[np.ndarray]
    folds: np.ndarray
    n_folds: int
    classes: np.ndarray
    labelled: Sequence[np.ndarray] | None = field(default=None, kw_only=True)

    @property
    def weights_with_label(self) -> Sequence[np.ndarray]:
        """For each of the labels, the weights of the rows of which it is known."""
        return [self.weights] * len(self.labels) if self.labelled is None else self.labelled

    @cached_property
    def is_unweighted(self) -> bool:
        """Whether each row has weight 1."""
        return bool((self.weights == 1).all())

    @cached_property
    def rows_of(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """For each of the labels, the numbers and the weights of its rows, which may be few."""
        numbers = [np.flatnonzero(weights) for weights in self.weights_of]
        return [(own, weights.take(own)) for own, weights in zip(numbers, self.weights_of, strict=True)]

    @cached_property
    def priors(self) -> list[float]:
        """Overall share of each of the labels."""
        pairs = zip(self.weights_of, self.weights_with_label, strict=True)
        return [weights.sum() / known.sum() for weights, known in pairs]

    @property
    def effective_n_rows(self) -> float:
        """Number of rows of equal weights that carry as much information (Kish's effective sample size)."""
        shares = self.weights / self.weights.max()
        return float(shares.sum() ** 2 / (shares @ shares))

    @cached_property
    def seen_shares(self) -> np.ndarray:
        """For each fold, the share of all weight, about, that the statistics of its rows are learned from."""
        shares: np.ndarray = np.full(self.n_folds + 2, self.share_of_folds)
        shares[: self.n_folds] *= 1 - 1 / self.n_folds
        return shares

    @property
    def share_of_folds(self) -> float:
        """Share of all weight that isn't held out."""
        return float(max(self.weights[self.folds < self.n_folds].sum() / self.weights.sum(), _MIN_SHARE))

    def take(self, rows: np.ndarray) -> Target:
        """The target of some of the rows."""
        return replace(
            self,
            weights=self.weights[rows],
            weights_of=[weights[rows] for weights in self.weights_of],
            folds=self.folds[rows],
            labelled=None if self.labelled is None else [weights[rows] for weights in self.labelled],
        )

    def weighted_by(self, shares: np.ndarray) -> Target:
        """The target of rows that count so much of what they weigh."""
        return replace(
            self,
            weights=self.weights * shares,
            weights_of=[weights * shares for weights in self.weights_of],
            labelled=None if self.labelled is None else [weights * shares for weights in self.labelled],
        )


def read_target(
    y: Any,
    X: Any,
    weights: np.ndarray | None,
    validation_fraction: Fraction,
    place: np.ndarray | None,
    random_state: np.random.RandomState,
) -> Target:
    """Weights by class, and folds.

    Parameters
    ----------
    y : array-like of shape (n_samples,) or (n_samples, n_tasks)
        The labels.
    X : {dataframe, ndarray} of shape (n_samples, n_features)
        The table they belong to.
    weights : ndarray of shape (n_samples,) or None
        Weights of the rows.
    validation_fraction : float or "auto"
        Share of the rows that the classifier holds out.
    place : ndarray of shape (n_samples,) or None
        Places by which they are chosen; None for the rule at random.
    random_state : RandomState
        Draws the folds.

    Raises
    ------
    NoLabels
        If y is no labels of two or more classes.
    ValueError
        If y has missing values, or another length than X.
    """
    if has_tasks(y):
        check_consistent_length(X, y)
        return _target_of_tasks(y, weights, validation_fraction, place, random_state)
    labels = _read_labels(y, X)
    weights = np.ones(len(labels)) if weights is None else weights
    return _make_target(labels, weights, held_out_rows(labels, validation_fraction, place), random_state)


def held_out_with(place: np.ndarray, validation_fraction: Fraction, target: Target | NoLabels) -> np.ndarray:
    """Which rows are held out by their places, as far as labels don't ask for others: those without weight, too."""
    is_early: np.ndarray = place < share_held_out(validation_fraction, len(place), at_random=False)
    if isinstance(target, NoLabels):
        return is_early
    return np.where(target.folds > target.n_folds, is_early, target.folds == target.n_folds)


def _read_labels(y: Any, X: Any) -> np.ndarray:
    """A class per row."""
    if y is None:
        raise NoLabels("there is no y")
    refuse_name_as_labels(X, y)
    check_consistent_length(X, y)
    labels = np.asarray(y)
    if pd.isna(labels).any():
        raise ValueError("Input y contains NaN: leave out the rows without a label.")
    if (kind := what_but_labels(labels)) is not None:
        raise NoLabels(f"y does not contain class labels (Unknown label type: {kind})")
    return labels.ravel()


def what_but_labels(y: np.ndarray) -> str | None:
    """What y holds if it isn't a class per row, in scikit-learn's words.

    Its own function sets filters of warnings for the whole process, and threads leave them behind.
    """
    if y.ndim != 1 and y.shape[1:] != (1,):
        return "multilabel-indicator or multioutput"
    if y.dtype.kind == "f" and not (np.isfinite(y) & (y == np.floor(y))).all():
        return "continuous"
    if y.dtype.kind == "O" and not all(isinstance(label, str) for label in y.ravel()):
        return "unknown"
    return "unknown" if y.dtype.kind in "cSV" else None


def _make_target(
    labels: np.ndarray, weights: np.ndarray, is_held_out: np.ndarray, random_state: np.random.RandomState
) -> Target:
    present = weights > 0
    classes = classes_of(labels[present], "" if present.all() else " in the rows with a positive sample_weight")
    # Rows without weight may have other labels, and get the first class, of which they have none.
    y = np.zeros(len(labels), dtype=np.int64)
    y[present] = np.searchsorted(classes, labels[present])
    # One rate tells of both classes, so that two classes need one.
    counted = list(enumerate(classes)) if len(classes) > 2 else [(1, None)]
    folds, n_folds = _folds(y, present, is_held_out, random_state)
    return Target(
        labels=[None if label is None else str(label) for _, label in counted],
        weights=weights,
        weights_of=[np.where(y == position, weights, 0.0) for position, _ in counted],
        folds=folds,
        n_folds=n_folds,
        classes=classes,
    )


def _target_of_tasks(
    y: Any,
    weights: np.ndarray | None,
    validation_fraction: Fraction,
    place: np.ndarray | None,
    random_state: np.random.RandomState,
) -> Target:
    """The target of several columns of two labels, each of which has a rate, of the rows of which it is known."""
    columns = label_columns(y)
    try:
        classes = label_classes(columns)
    except ValueError as error:
        raise NoLabels(f"y does not contain class labels (multilabel-indicator or multioutput: {error})") from error
    digits = [label_digits(*of_task) for of_task in zip(columns, classes, columns.values(), strict=True)]
    patterns = patterns_of(digits)
    weights = np.ones(len(patterns)) if weights is None else weights
    is_held_out = held_out_rows(patterns, validation_fraction, place)
    folds, n_folds = _folds(patterns, weights > 0, is_held_out, random_state)
    for name, digit in zip(columns, digits, strict=True):
        if not all((weights[digit == label] > 0).any() for label in (0, 1)):
            raise NoLabels(f"{name!r} has only one class in the rows with a positive sample_weight")
    return Target(
        labels=list(columns),
        weights=weights,
        weights_of=[np.where(digit == 1, weights, 0.0) for digit in digits],
        folds=folds,
        n_folds=n_folds,
        classes=np.array(list(columns), dtype=object),
        labelled=[np.where(digit != MISSING, weights, 0.0) for digit in digits],
    )


@dataclass(frozen=True)
class MoreLabels:
    """The labels of rows that come later: `weights` and `weights_of` as in a target."""

    weights: np.ndarray
    weights_of: Sequence[np.ndarray]


def read_more_labels(y: Any, X: Any, weights: np.ndarray | None, classes: np.ndarray) -> MoreLabels:
    """Weights by class of rows that come later.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        The labels.
    X : {dataframe, ndarray} of shape (n_samples, n_features)
        The table they belong to.
    weights : ndarray of shape (n_samples,) or None
        Weights of the rows.
    classes : ndarray of shape (n_classes,)
        The labels of `fit`.

    Raises
    ------
    ValueError
        If y holds a label that `fit` didn't see, or no labels.
    """
    try:
        labels = _read_labels(y, X)
    except NoLabels as reason:
        raise ValueError(f"Statistics take in the labels of new rows, but {reason}. Give y as in fit.") from reason
    weights = np.ones(len(labels)) if weights is None else weights
    strange = np.setdiff1d(labels[weights > 0], classes)
    if len(strange):
        raise ValueError(
            f"y has the labels {strange.tolist()}, which aren't among those of fit, {classes.tolist()}. Leave out such "
            "rows, or fit again."
        )
    counted = range(len(classes)) if len(classes) > 2 else [1]
    return MoreLabels(weights, [np.where(labels == classes[position], weights, 0.0) for position in counted])


def classes_of(labels: np.ndarray, where: str) -> np.ndarray:
    """Distinct labels in ascending order; `where` they are, for the message of an error."""
    classes: np.ndarray = np.unique(labels)
    if len(classes) == 1:
        raise NoLabels(f"y has only one class{where}")
    if classes.dtype.kind in "if" and np.array_equal(classes, np.arange(-1, len(classes) - 1)) and len(classes) > 2:
        warn(_UNLABELLED)
    return classes


def _folds(
    y: np.ndarray, present: np.ndarray, is_held_out: np.ndarray, random_state: np.random.RandomState
) -> tuple[np.ndarray, int]:
    """Folds at random of all rows with weight that aren't held out."""
    n_folds = number_of_folds(np.bincount(y[present & ~is_held_out], minlength=1))
    seed = int(random_state.randint(1, np.iinfo(np.int32).max))
    folds = (places(np.arange(len(y)), seed) * n_folds).astype(np.int64)
    folds[is_held_out] = n_folds
    folds[~present] = n_folds + 1
    return folds, n_folds


def number_of_folds(n_rows: np.ndarray) -> int:
    """As many as there are rows outside the largest class, by numbers of rows of the classes, between 2 and 10."""
    # With more of them, the folds that hold a click would know of one click less than all others.
    n_outside = int(n_rows.sum() - n_rows.max(initial=0))
    return min(max(n_outside, 2), _N_FOLDS)
