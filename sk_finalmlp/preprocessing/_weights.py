"""Sample weights of the training rows: which of them can be computed with."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._checks import refuse_name_as_weights
from .._sklearn import check_sample_weight

_LEAST_WEIGHT = 1e-100


def check_weights(sample_weight: Any, X: Any) -> np.ndarray:
    """Weights of the rows of a table, as float64."""
    refuse_name_as_weights(sample_weight)
    weights: np.ndarray = check_sample_weight(sample_weight, X, ensure_non_negative=True)
    check_range(*range_of_positive(weights))
    return weights


def range_of_positive(weights: np.ndarray) -> tuple[float, float]:
    """The least positive weight and the largest; infinity and 0 where none is positive."""
    present = weights[weights > 0]
    return float(present.min(initial=np.inf)), float(present.max(initial=0.0))


def check_range(least: float, largest: float) -> None:
    """Refuse weights none of which is positive, or that are too small or too large."""
    if not largest:
        raise ValueError("Sample weights must contain at least one non-zero number.")
    for weight in (least, largest):
        if not _LEAST_WEIGHT <= weight <= 1 / _LEAST_WEIGHT:
            raise ValueError(
                f"sample_weight holds {weight}, but sums and squares of weights can only be computed if each is 0 or "
                f"between {_LEAST_WEIGHT} and {1 / _LEAST_WEIGHT}. Divide them by their mean, and make the smallest "
                "ones 0."
            )
