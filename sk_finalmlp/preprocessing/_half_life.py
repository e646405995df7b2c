"""What a row counts in statistics by its age."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ._ages import are_numbers, as_numbers, read_age
from ._table import select_for
from ._time_order import read_times

#: Half-lives after which a row counts as good as nothing; weight 0 would mean that it isn't there.
_OLDEST = 60.0


def weights_by_age(half_life: Mapping[Any, Any] | None, X: Any, names: Sequence[str]) -> np.ndarray | None:
    """Weights of the rows of a table by the parameter `half_life` of the encoder.

    Parameters
    ----------
    half_life : mapping of {str: str or float} or None
        A column of times, and the age at which a row counts half.
    X : {dataframe, ndarray} of shape (n_samples, n_features)
        The table.
    names : sequence of str
        Names of its columns.

    Returns
    -------
    ndarray of float64, shape (n_samples,), or None
        1 for the last row, and less for others; rows without a time are the oldest. None without the parameter.
    """
    if half_life is None:
        return None
    if len(half_life) != 1:
        raise ValueError(
            f"half_life={dict(half_life)!r} must name one column of times, such as half_life={{'time': '7D'}}."
        )
    ((column, age),) = half_life.items()
    (position,) = select_for("half_life", [column], None, names)
    values = read_times("half_life", X, names, names[position]).values
    half = read_age(f"half_life={dict(half_life)!r}", age, are_numbers(values.type))
    ages = as_numbers(values).astype(np.float64, copy=False)
    ages = np.nanmax(ages) - ages if np.isfinite(ages).any() else np.zeros(len(ages))
    ages = np.where(np.isnan(ages), np.nanmax(ages, initial=0.0), ages)
    weights: np.ndarray = np.exp2(-np.minimum(ages / half, _OLDEST))
    return weights
