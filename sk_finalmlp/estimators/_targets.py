"""Labels and weights of training rows."""

from __future__ import annotations

from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import assert_all_finite, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_consistent_length

from ._columns import Column


def check_target(y: Any, columns: list[Column]) -> NDArray[Any]:
    """Labels as an array, one per row; scikit-learn's usual errors where they can't be."""
    if y is None:
        raise ValueError("A classifier requires y to be passed, but the target y is None.")
    labels: NDArray[Any] = column_or_1d(y, warn=True)
    assert_all_finite(labels, input_name="y")
    check_classification_targets(labels)
    check_consistent_length(columns[0].values, labels)
    return labels


def check_weight(sample_weight: Any, columns: list[Column]) -> NDArray[np.float64]:
    """Weights as an array, one per row; ones where there are none."""
    weight: NDArray[np.float64] = _check_sample_weight(
        sample_weight, columns[0].values, dtype=np.float64, ensure_non_negative=True
    )
    if not weight.any():
        raise ValueError("All sample weights are zero: there is nothing to learn from.")
    return weight


def drop_weightless(
    columns: list[Column], y: NDArray[Any], weight: NDArray[np.float64]
) -> tuple[list[Column], NDArray[Any], NDArray[np.float64]]:
    """The rows that count: a weight of 0 leaves a row out of everything, batch norm and known codes included."""
    counts = weight > 0
    if counts.all():
        return columns, y, weight
    return [Column(column.name, column.values[counts]) for column in columns], y[counts], weight[counts]


def positions_of(y: NDArray[Any], classes: NDArray[Any]) -> NDArray[np.int64]:
    """Position of each label of validation rows among the classes of the training rows."""
    unseen = np.setdiff1d(y, classes)
    if unseen.size:
        raise ValueError(
            f"y_val has the classes {unseen.tolist()}, which y lacks: y has {classes.tolist()}. Drop those "
            "validation rows, or add such rows to the training data."
        )
    return np.searchsorted(classes, y)


def hold_out(target: NDArray[np.int64], fraction: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Mask of a random part of each class: at least one row of it and never all."""
    mask = np.zeros(len(target), dtype=bool)
    for position in np.unique(target):
        rows = rng.permutation(np.flatnonzero(target == position))
        mask[rows[: min(ceil(fraction * len(rows)), len(rows) - 1)]] = True
    return mask
