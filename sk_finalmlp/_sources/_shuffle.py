"""One full shuffle of more rows than memory holds: over pile files, each of which is then shuffled by itself."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import sizes
from ._storage import StoredArray, TemporaryFolder


class Piles:
    """Rows that come in one order and leave in a random one, each order as probable as any other.

    Parameters
    ----------
    folder : TemporaryFolder
        Where the piles are.
    name : str
        What the files are called by.
    width : int
        Number of int32 columns.
    n_rows : int
        About how many rows will come.
    seed : int
        Of the order.
    """

    def __init__(self, folder: TemporaryFolder, name: str, width: int, n_rows: int, seed: int) -> None:
        self._folder = folder
        self._name = name
        self._width = width
        self._random = np.random.default_rng(seed)
        n_piles = min(max(1, -(-n_rows * width * 4 // sizes.PILE)), 500)
        self._piles = [folder.array(f"{name}-pile-{number}", np.int32, width) for number in range(n_piles)]

    def add(self, rows: NDArray[np.int32]) -> None:
        """Throw each row on a random pile."""
        if len(self._piles) == 1:
            self._piles[0].append(rows)
            return
        of_row = self._random.integers(len(self._piles), size=len(rows), dtype=np.uint16)
        for pile, own in zip(self._piles, split_by(of_row, len(self._piles), rows), strict=True):
            pile.append(own)

    def shuffled(self) -> StoredArray:
        """All rows; the piles are gone then."""
        shuffled = self._folder.array(self._name, np.int32, self._width)
        for pile in self._piles:
            rows = pile.read()
            pile.remove()
            shuffled.append(rows[self._random.permutation(len(rows))])
        return shuffled


def split_by(part: NDArray[np.unsignedinteger[Any]], n_parts: int, rows: NDArray[Any]) -> list[NDArray[Any]]:
    """Rows by the number of their part, in which they stay in order."""
    order = np.argsort(part, kind="stable")
    ends = np.cumsum(np.bincount(part, minlength=n_parts))
    return np.split(rows[order], ends[:-1])
