"""Labels of training rows that are on disk: the same weights by class and the same folds as in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..._hold_out import Fraction, places, share_held_out
from ..._sources import StoredArray, sizes
from ._target import Target, classes_of, number_of_folds

Place = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class PartTarget(Target):
    """The target of a part of the rows, which knows what all rows have in common.

    Parameters
    ----------
    all_priors : list of float
        Overall share of each of the labels.
    all_share_of_folds : float
        Share of all weight that isn't held out.
    """

    all_priors: list[float]
    all_share_of_folds: float

    @cached_property
    def priors(self) -> list[float]:
        """Overall share of each of the labels, in all rows."""
        return self.all_priors

    @property
    def share_of_folds(self) -> float:
        """Share of all weight that isn't held out, in all rows."""
        return self.all_share_of_folds


class StoredTarget:
    """Labels and weights of all rows, on disk.

    Parameters
    ----------
    y : StoredArray of int32
        Position of each row's label among all labels.
    labels : ndarray
        All labels, sorted.
    weight : StoredArray of float64 or None
        Weights of the rows; None for 1.
    validation_fraction : float or "auto"
        Share of the rows that the classifier holds out.
    place : callable
        Places of rows, given by their numbers, by which they are held out.
    random_state : RandomState
        Draws the folds.

    Raises
    ------
    NoLabels
        If there are no labels of two or more classes.
    """

    def __init__(
        self,
        y: StoredArray,
        labels: np.ndarray,
        weight: StoredArray | None,
        validation_fraction: Fraction,
        place: Place,
        random_state: np.random.RandomState,
    ) -> None:
        self._y, self._weight, self._place = y, weight, place
        self._share = share_held_out(validation_fraction, len(y), at_random=place is places)
        n_labels = len(labels)
        self._find_ends_of_classes(n_labels)
        weights, kept_weights, n_present, n_kept = self._sums(n_labels)
        is_class = n_present > 0
        classes = classes_of(labels[is_class], "" if weight is None else " in the rows with a positive sample_weight")
        # Labels of rows without weight alone are as good as the first class, of which these rows have none.
        self._class_of_label = np.maximum(np.cumsum(is_class) - 1, 0) * is_class
        self.classes = classes
        self.labels: list[str | None] = [str(label) for label in classes] if len(classes) > 2 else [None]
        self._counted = list(range(len(classes))) if len(classes) > 2 else [1]
        self.n_folds = number_of_folds(n_kept[is_class])
        self._seed = int(random_state.randint(1, np.iinfo(np.int32).max))
        total = weights.sum()
        self._priors = [float(weights[is_class][position] / total) for position in self._counted]
        self._share_of_folds = max(float(kept_weights.sum() / total), 1e-12)
        self.n_rows_with_weight = int(n_present.sum())

    def __len__(self) -> int:
        return len(self._y)

    def _find_ends_of_classes(self, n_labels: int) -> None:
        """The first and the last place of each label, whose rows are held out, or kept, whatever the fraction."""
        self._first, self._last = np.full(n_labels, np.inf), np.full(n_labels, -np.inf)
        for start, y, _ in self._chunks():
            place = self._place(np.arange(start, start + len(y)))
            np.minimum.at(self._first, y, place)
            np.maximum.at(self._last, y, place)

    def _sums(self, n_labels: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """By label: weight, that of rows that aren't held out, number of rows with weight, of those not held out."""
        sums = np.zeros((4, n_labels))
        for start, y, weight in self._chunks():
            present = weight > 0
            held_out = self._is_held_out(np.arange(start, start + len(y)), y)
            for total, rows in zip(sums, (weight, weight * ~held_out, present, present & ~held_out), strict=True):
                total += np.bincount(y, rows, minlength=n_labels)
        return sums[0], sums[1], sums[2].astype(np.int64), sums[3].astype(np.int64)

    def _is_held_out(self, rows: np.ndarray, y: np.ndarray) -> np.ndarray:
        place = self._place(rows)
        held_out: np.ndarray = ((place < self._share) | (place == self._first[y])) & (place < self._last[y])
        return held_out

    def _chunks(self) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        for start in range(0, len(self._y), sizes.CHUNK):
            y = self._y.read(start, start + sizes.CHUNK)
            yield start, y, np.ones(len(y)) if self._weight is None else self._weight.read(start, start + sizes.CHUNK)

    def rows(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Fold, class and weight of the rows of a slice."""
        y = self._y.read(start, stop)
        weight = np.ones(len(y)) if self._weight is None else self._weight.read(start, stop)
        numbers = np.arange(start, start + len(y))
        folds = (places(numbers, self._seed) * self.n_folds).astype(np.int64)
        folds[self._is_held_out(numbers, y)] = self.n_folds
        folds[weight <= 0] = self.n_folds + 1
        return folds, self._class_of_label[y], weight

    def sample(self, numbers: np.ndarray) -> Target:
        """Target of rows given by their numbers, in ascending order: by itself, as if there were no others."""
        parts = []
        for start in range(0, len(self), sizes.CHUNK):
            own = numbers[np.searchsorted(numbers, start) : np.searchsorted(numbers, start + sizes.CHUNK)] - start
            parts.append([values[own] for values in self.rows(start, start + sizes.CHUNK)])
        folds, classes, weights = map(np.concatenate, zip(*parts, strict=True))
        weights_of = [np.where(classes == position, weights, 0.0) for position in self._counted]
        return Target(self.labels, weights, weights_of, folds, self.n_folds, self.classes)

    def of_cells(self, folds: np.ndarray, weights: np.ndarray, weights_of: list[np.ndarray]) -> PartTarget:
        """The target of cells, each of which stands for all rows of a key and a fold."""
        return PartTarget(
            self.labels,
            weights,
            weights_of,
            folds,
            self.n_folds,
            self.classes,
            self._priors,
            self._share_of_folds,
        )

    @property
    def counted_classes(self) -> list[int]:
        """Positions of the classes that get a rate."""
        return self._counted
