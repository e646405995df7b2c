"""Which rows are held out from a training to stop it in time: one rule, for the encoder and the classifier.

Statistics of the clicks are learned from labels. Where those of the training rows knew the labels of the held-out rows,
the network could learn how one misses the other, and the held-out rows would call that progress. So the encoder leaves
the rows out of the statistics that the classifier will hold out, without either knowing the other.
"""

from __future__ import annotations

from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Share of each class that is held out by default.
VALIDATION_FRACTION = 0.1

_SEED = 0


def held_out_rows(y: NDArray[Any], fraction: float = VALIDATION_FRACTION) -> NDArray[np.bool_]:
    """Choose a part of each class, at least one row of it and never all.

    The choice depends on the labels alone. That of a smaller fraction is part of that of a larger one.

    Parameters
    ----------
    y : ndarray of shape (n,)
        Labels of the training rows, those with a positive weight.
    fraction : float, default=0.1
        Share of each class.

    Returns
    -------
    ndarray of bool, shape (n,)
        Whether a row is held out.
    """
    rng = np.random.default_rng(_SEED)
    is_held_out = np.zeros(len(y), dtype=bool)
    for label in np.unique(y):
        rows = rng.permutation(np.flatnonzero(y == label))
        is_held_out[rows[: min(ceil(fraction * len(rows)), len(rows) - 1)]] = True
    return is_held_out
