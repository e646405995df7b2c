"""Which rows are held out from a training to stop it in time: one rule, for the encoder and the classifier.

Statistics of the clicks are learned from labels. Where those of the training rows knew the labels of the held-out rows,
the network could learn how one misses the other, and the held-out rows would call that progress. So the encoder leaves
the rows out of the statistics that the classifier will hold out.

A row's part follows from its number in the table alone, which both know: not from weights, which may reach only one of
them, nor from labels, which the classifier may see recoded, nor from the number of rows, so that a table can grow, or
come in batches.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

#: Share of the rows that is held out by default.
VALIDATION_FRACTION = 0.1


def places(rows: NDArray[np.integer], seed: int = 0) -> NDArray[np.float64]:
    """A place in [0, 1) for each row number, as good as drawn at random, and the same in every process.

    Parameters
    ----------
    rows : ndarray of int, shape (n,)
        Numbers of rows, from 0.
    seed : int, default=0
        Another seed gives other places.

    Returns
    -------
    ndarray of float64, shape (n,)
        Places, by the generator splitmix64 (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number
        generators", OOPSLA).
    """
    start = _mixed(np.array([seed], np.uint64))
    states = _mixed(start + (rows.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15))
    return (states >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _mixed(states: NDArray[np.uint64]) -> NDArray[np.uint64]:
    states = (states ^ (states >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    states = (states ^ (states >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return states ^ (states >> np.uint64(31))


def held_out_rows(y: NDArray[Any], fraction: float = VALIDATION_FRACTION) -> NDArray[np.bool_]:
    """Choose a part of the rows: at least one row of each class, and never all.

    Those with the lowest places are chosen, so that the choice of a smaller fraction is part of that of a larger one.
    Labels matter only where a class would have no row, or no other.

    Parameters
    ----------
    y : ndarray of shape (n,)
        Labels of all rows of the table, those without weight among them.
    fraction : float, default=0.1
        Share of the rows.

    Returns
    -------
    ndarray of bool, shape (n,)
        Whether a row is held out.
    """
    place = places(np.arange(len(y)))
    classes, labels = pd.factorize(y)
    first, last = np.full(len(labels), np.inf), np.full(len(labels), -np.inf)
    np.minimum.at(first, classes, place)
    np.maximum.at(last, classes, place)
    is_held_out: NDArray[np.bool_] = ((place < fraction) | (place == first[classes])) & (place < last[classes])
    return is_held_out
