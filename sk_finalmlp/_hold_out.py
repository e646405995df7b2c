"""Which rows are held out from a training to stop it in time: the same rules for the encoder and the classifier.

Statistics of the clicks are learned from labels. Where those of the training rows knew the labels of the held-out rows,
the network could learn how one misses the other, and the held-out rows would call that progress. So the encoder leaves
the rows out of the statistics that the classifier will hold out.

A row's part follows from its place. By default that is drawn at random from the row's number in the table alone, which
both know: not from weights, which may reach only one of them, nor from labels, which the classifier may see recoded.
Where the model will be used on later rows, places follow the order of rows, or the times in a column that only the
encoder knows: it says then which rows it held out.
"""

from __future__ import annotations

import base64
import zlib
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

#: Share of the rows that is held out, or "auto".
Fraction = float | Literal["auto"]

#: By default a tenth of the rows is held out. At random it is no more rows than are needed to tell epochs apart, so
#: that the others learn more; the last rows must cover some time.
_SHARE = 0.1
_MOST_ROWS_AT_RANDOM = 10_000


def share_held_out(fraction: Fraction, n_rows: int, at_random: bool = True) -> float:
    """Share of the rows that is held out.

    Parameters
    ----------
    fraction : float or "auto"
        The share; "auto" for a tenth of the rows, and at random for at most 10,000 of them, or so.
    n_rows : int
        Number of rows of the table.
    at_random : bool, default=True
        Whether rows are held out at random, rather than the last ones.

    Returns
    -------
    float
    """
    if not isinstance(fraction, str):
        return fraction
    return min(_SHARE, _MOST_ROWS_AT_RANDOM / max(1, n_rows)) if at_random else _SHARE


def places(rows: NDArray[np.integer], seed: int = 0) -> NDArray[np.float64]:
    """A place in [0, 1) for each row number, pseudo-random, and the same in every process.

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


def places_from_last(ranks: NDArray[np.integer]) -> NDArray[np.float64]:
    """Places by which the last rows are held out.

    Parameters
    ----------
    ranks : ndarray of int, shape (n,)
        Where each row stands in order of time: 0 is the first, n - 1 the last.

    Returns
    -------
    ndarray of float64, shape (n,)
        Places in [0, 1): the last row has the lowest.
    """
    return place_from_last(ranks, len(ranks))


def place_from_last(ranks: NDArray[np.integer], n_rows: int) -> NDArray[np.float64]:
    """Places by which the last rows are held out, of some of the rows.

    Parameters
    ----------
    ranks : ndarray of int, shape (n,)
        Where the rows stand in order of time.
    n_rows : int
        Number of all rows.

    Returns
    -------
    ndarray of float64, shape (n,)
        Places in [0, 1): the last row has the lowest.
    """
    last_places: NDArray[np.float64] = (n_rows - 1 - ranks) / n_rows
    return last_places


def places_of_choice(is_held_out: NDArray[np.bool_], fraction: float) -> NDArray[np.float64]:
    """Places by which these rows are held out, and then the last of the others.

    Parameters
    ----------
    is_held_out : ndarray of bool, shape (n,)
        Rows that are held out.
    fraction : float
        Share of the rows; the places of these are below it.

    Returns
    -------
    ndarray of float64, shape (n,)
        Places in [0, 1).
    """
    place = places_from_last(np.arange(len(is_held_out)))
    return np.where(is_held_out, place * fraction, fraction + place * (1 - fraction))


def held_out_rows(
    y: NDArray[Any], fraction: Fraction = "auto", place: NDArray[np.float64] | None = None
) -> NDArray[np.bool_]:
    """Choose a part of the rows: at least one row of each class, and never all.

    Those with the lowest places are chosen, so that the choice of a smaller fraction is part of that of a larger one.
    Labels matter only where a class would have no row, or no other.

    Parameters
    ----------
    y : ndarray of shape (n,)
        Labels of all rows of the table, those without weight among them.
    fraction : float or "auto", default="auto"
        Share of the rows; see `share_held_out`.
    place : ndarray of float64, shape (n,), default=None
        Places of the rows, by default pseudo-random.

    Returns
    -------
    ndarray of bool, shape (n,)
        Whether a row is held out.
    """
    share = share_held_out(fraction, len(y), at_random=place is None)
    place = places(np.arange(len(y))) if place is None else place
    classes, labels = pd.factorize(y)
    first, last = np.full(len(labels), np.inf), np.full(len(labels), -np.inf)
    np.minimum.at(first, classes, place)
    np.maximum.at(last, classes, place)
    is_held_out: NDArray[np.bool_] = ((place < share) | (place == first[classes])) & (place < last[classes])
    return is_held_out


def packed(is_held_out: NDArray[np.bool_]) -> str:
    """A choice of rows as a short text, for a note that a table carries.

    Parameters
    ----------
    is_held_out : ndarray of bool, shape (n,)
        Whether a row is held out.

    Returns
    -------
    str
    """
    return base64.b64encode(zlib.compress(np.packbits(is_held_out).tobytes())).decode()


def unpacked(text: str, n_rows: int) -> NDArray[np.bool_]:
    """The choice of rows that a text tells.

    Parameters
    ----------
    text : str
        From `packed`.
    n_rows : int
        Number of rows.

    Returns
    -------
    ndarray of bool, shape (n_rows,)
        Whether a row is held out.
    """
    bits = np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8)
    return np.unpackbits(bits, count=n_rows).astype(bool)
