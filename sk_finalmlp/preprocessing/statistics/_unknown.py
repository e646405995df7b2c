"""Training rows that know less than they could, so that the network learns what an unknown value is like."""

from __future__ import annotations

import zlib

import numpy as np

from ..._hold_out import places
from ._keys import Key
from ._target import Target


class UnknownRows:
    """Rows in which a field counts as unknown in the statistics that are made of it; each field has rows of its own.

    In a training table nearly every value has rows, while of tomorrow's rows some hold new values, and many hold
    combinations that never met.

    Parameters
    ----------
    share : float
        Share of the rows, for each field.
    random_state : RandomState
        Draws the rows.
    """

    def __init__(self, share: float, random_state: np.random.RandomState) -> None:
        self._share = share
        # Nothing is drawn for nothing, so that the folds stay what they are.
        self._seed = int(random_state.randint(np.iinfo(np.int32).max)) if share else 0

    def of(self, key: Key, target: Target) -> np.ndarray | None:
        """Whether a field of the key is unknown in each row, shape (n_samples,); None where none is."""
        return self.among(key, target.folds < target.n_folds, 0)

    def among(self, key: Key, is_training: np.ndarray, first: int) -> np.ndarray | None:
        """The same of some of the rows, the first of which has this number.

        Rows that are held out stay what they are, to be scored by all that is known.
        """
        if not self._share:
            return None
        rows = np.arange(first, first + len(is_training))
        drawn = [places(rows, self._seed + zlib.crc32(name.encode())) < self._share for name in key.fields]
        is_unknown: np.ndarray = np.logical_or.reduce(drawn) & is_training
        return is_unknown
