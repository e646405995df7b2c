"""Which rows are held out from a training to stop it in time: the same rules for the encoder and the classifier.

The encoder leaves these rows out of its statistics, or early stopping would reward memorising. A row's part follows
from its place: a hash of its number, or its position in time, which the encoder tells where it goes by a column.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

#: Share of the rows that is held out, or "auto".
Fraction = float | Literal["auto"]

#: Gives numbers of rows places in [0, 1): the rows with the lowest are held out.
Place = Callable[[NDArray[np.int64]], NDArray[np.float64]]

#: By default a tenth of the rows is held out. At random it is no more rows than are needed to tell epochs apart, so
#: that the others learn more; the last rows must cover some time.
_SHARE = 0.1
_MOST_ROWS_AT_RANDOM = 10_000
#: Rows whose weights are read at a time.
_CHUNK = 2**20


def share_held_out(fraction: Fraction, n_rows: int, at_random: bool = True) -> float:
    """Return the held-out share: for "auto" a tenth, and at random at most some 10,000 rows."""
    if not isinstance(fraction, str):
        return fraction
    return min(_SHARE, _MOST_ROWS_AT_RANDOM / max(1, n_rows)) if at_random else _SHARE


def places(rows: NDArray[np.integer], seed: int = 0) -> NDArray[np.float64]:
    """Return a pseudo-random place in [0, 1) per row number by splitmix64 (Steele, Lea and Flood 2014, OOPSLA)."""
    start = _mixed(np.array([seed], np.uint64))
    states = _mixed(start + (rows.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15))
    return (states >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _mixed(states: NDArray[np.uint64]) -> NDArray[np.uint64]:
    states = (states ^ (states >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    states = (states ^ (states >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return states ^ (states >> np.uint64(31))


def place_from_last(ranks: NDArray[np.integer], n_rows: int | None = None) -> NDArray[np.float64]:
    """Return places in [0, 1), the lowest for the last in time, for some of `n_rows` rows, or all."""
    n_rows = len(ranks) if n_rows is None else n_rows
    return (n_rows - 1 - ranks) / n_rows


def place_of_last(weight: Any, n_rows: int) -> Place:
    """Return the places of rows that come in the order of time; `weight`, in memory or on disk, tells which count."""
    if weight is None:
        return partial(place_from_last, n_rows=n_rows)
    among = PlaceAmongCounted(weight, n_rows)
    return partial(place_from_last, n_rows=n_rows) if among.n_counted == n_rows else among


class PlaceAmongCounted:
    """Places of rows in time among those with weight, which is read in slices; others have that of the next one."""

    def __init__(self, weight: Any, n_rows: int) -> None:
        self._weight = weight
        counts = [np.count_nonzero(weight[start : start + _CHUNK]) for start in range(0, n_rows, _CHUNK)]
        self._before = np.cumsum([0, *counts])
        self.n_counted = int(self._before[-1])

    def __call__(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the places of some rows by their numbers."""
        chunks, ranks = rows // _CHUNK, np.empty(len(rows), np.int64)
        for chunk in np.unique(chunks):
            counts = self._weight[chunk * _CHUNK : (chunk + 1) * _CHUNK] > 0
            own = chunks == chunk
            ranks[own] = (self._before[chunk] + np.cumsum(counts) - counts)[rows[own] - chunk * _CHUNK]
        return place_from_last(np.minimum(ranks, self.n_counted - 1), self.n_counted)


def places_of_choice(is_held_out: NDArray[np.bool_], fraction: float) -> NDArray[np.float64]:
    """Return places that hold out these rows, a share of `fraction`, before the last of the others."""
    place = place_from_last(np.arange(len(is_held_out)))
    return np.where(is_held_out, place * fraction, fraction + place * (1 - fraction))


def rows_to_choose(
    start: int, label: NDArray[Any], weight: NDArray[Any] | None, place: Place
) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Return numbers and classes of the rows to choose among, of consecutive ones: in time, those with weight."""
    # At random, the encoder and the classifier choose alike whatever weights each was given.
    counts = np.arange(len(label)) if weight is None or place is places else np.flatnonzero(weight > 0)
    return start + counts, label[counts]


class HoldOut(NamedTuple):
    """Hold out the share of rows with the lowest places, at least one of each class, and never all of one."""

    place: Place
    share: float
    first: NDArray[np.float64]
    last: NDArray[np.float64]

    @classmethod
    def among(
        cls, rows: Iterable[tuple[NDArray[np.int64], NDArray[Any]]], n_classes: int, place: Place, share: float
    ) -> HoldOut:
        """Choose among rows, given their numbers and the number of each one's class, chunk by chunk."""
        first, last = np.full(n_classes, np.inf), np.full(n_classes, -np.inf)
        for numbers, label in rows:
            of_rows = place(numbers)
            np.minimum.at(first, label, of_rows)
            np.maximum.at(last, label, of_rows)
        return cls(place, share, first, last)

    def chooses(self, start: int, label: NDArray[Any]) -> NDArray[np.bool_]:
        """Return whether each of some consecutive rows is held out."""
        place = self.place(np.arange(start, start + len(label)))
        is_chosen: NDArray[np.bool_] = (place < self.share) | (place == self.first[label])
        is_chosen &= place < self.last[label]
        return is_chosen


def packed(is_held_out: NDArray[np.bool_]) -> str:
    """Return a mask of rows as short text."""
    return base64.b64encode(zlib.compress(np.packbits(is_held_out).tobytes())).decode()


def unpacked(text: str, n_rows: int) -> NDArray[np.bool_]:
    """Return the mask of rows that `packed` wrote."""
    bits = np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8)
    return np.unpackbits(bits, count=n_rows).astype(bool)
