"""Tables of integers that are made once and searched in many calls, without Python objects."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: Odd, so that products with it, modulo 2**64, are as distinct as what is multiplied (the golden ratio's digits).
_FACTOR = np.uint64(0x9E3779B97F4A7C15)
#: Fewer keys than this are found by bisection: each step of a search in buckets takes its microsecond.
_FEW_KEYS = 64


class HashTable:
    """Where keys stand among known ones; threads can share it.

    It takes 20 to 28 bytes for each known key.

    Parameters
    ----------
    known : ndarray of int64 or uint64
        Known keys. Of equal ones, the first is found.
    """

    def __init__(self, known: np.ndarray) -> None:
        hashes = _hashes(known)
        order = np.argsort(hashes, kind="stable")
        n_bits = len(known).bit_length() + 1
        self._shift = np.uint64(64 - n_bits)
        n_in_bucket = np.bincount((hashes >> self._shift).view(np.int64), minlength=2**n_bits)
        dtype = np.int32 if len(known) < 2**31 else np.int64
        self._first = (np.cumsum(n_in_bucket) - n_in_bucket).astype(dtype)
        # One entry more, which ends each search.
        self._hashes = np.append(hashes[order], np.iinfo(np.uint64).max)
        self._order = np.append(order, -1).astype(dtype)

    def find(self, keys: np.ndarray) -> np.ndarray:
        """Positions (int64) of keys; -1 for a key that isn't known."""
        hashes = _hashes(keys)
        at = self._bisected(hashes) if len(keys) < _FEW_KEYS else self._from_buckets(hashes)
        positions: np.ndarray = self._order.take(at).astype(np.int64)
        positions[self._hashes.take(at) != hashes] = -1
        return positions

    def _bisected(self, hashes: np.ndarray) -> NDArray[np.int64]:
        """How many known hashes are less."""
        return np.searchsorted(self._hashes, hashes)

    def _from_buckets(self, hashes: np.ndarray) -> NDArray[np.int64]:
        """The same, from the first of the hashes with the same first bits on."""
        at: NDArray[np.int64] = self._first.take((hashes >> self._shift).view(np.int64)).astype(np.int64)
        before = np.flatnonzero(self._hashes.take(at) < hashes)
        while len(before):
            at[before] += 1
            before = before[self._hashes.take(at[before]) < hashes[before]]
        return at


def _hashes(keys: np.ndarray) -> np.ndarray:
    """A permutation of all keys of 64 bits, whose first bits depend on all bits of a key."""
    hashes: np.ndarray = np.ascontiguousarray(keys).view(np.uint64) * _FACTOR
    hashes ^= hashes >> np.uint64(32)
    hashes *= _FACTOR
    return hashes
