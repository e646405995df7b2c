"""Users or items of synthetic impressions: always the same ones, or ones that come, change and go."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

_Floats = npt.NDArray[np.float64]
_Codes = npt.NDArray[np.int64]


class Population:
    """Members that stay and don't change, each at a place of its own, by which it is more or less frequent.

    Parameters
    ----------
    n_places : int
        Number of members at a time.

    Attributes
    ----------
    n_members : int
        Number of all members.
    """

    def __init__(self, n_places: int) -> None:
        self.n_places = n_places
        self.n_members = n_places

    def members(self, places: _Codes, day: _Codes) -> _Codes:
        """Which member is at a place on a day."""
        return places

    def states(self, places: _Codes, day: _Codes) -> _Codes:
        """The state of that member on that day, which says where its effect stands among all effects."""
        return places

    def effects(self, rng: np.random.Generator) -> _Floats:
        """An effect of each state, normally distributed with variance 1."""
        return rng.standard_normal(self.n_places)


class ChangingPopulation(Population):
    """Members of which a share leaves after each day and makes place for new ones, and whose effects change.

    Parameters
    ----------
    rng : Generator
        Draws who leaves.
    n_places : int
        Number of members at a time.
    n_days : int
        Number of days.
    turnover : float
        Share of the members that leave after a day.
    drift : float
        The correlation of an effect on two days in a row is the root of `1 - drift ** 2`.
    """

    def __init__(self, rng: np.random.Generator, n_places: int, n_days: int, turnover: float, drift: float) -> None:
        super().__init__(n_places)
        self.drift = drift
        self._is_new = rng.random((n_days, n_places)) < turnover
        self._is_new[0] = False
        numbers = n_places - 1 + np.cumsum(self._is_new).reshape(self._is_new.shape)
        # The newest number at a place is its largest.
        self._member = np.maximum.accumulate(np.where(self._is_new, numbers, np.arange(n_places)), axis=0)
        self.n_members = n_places + int(self._is_new.sum())

    def members(self, places: _Codes, day: _Codes) -> _Codes:
        """Which member is at a place on a day."""
        members: _Codes = self._member[day, places]
        return members

    def states(self, places: _Codes, day: _Codes) -> _Codes:
        """The state of that member on that day: each has one per place and day."""
        return day * self.n_places + places

    def effects(self, rng: np.random.Generator) -> _Floats:
        """An effect of each state: an autoregressive process of variance 1 that begins anew with each member."""
        effects = rng.standard_normal(self._is_new.shape)
        kept = math.sqrt(1 - self.drift**2)
        for yesterday, today, is_new in zip(effects, effects[1:], self._is_new[1:], strict=False):
            today[:] = np.where(is_new, today, kept * yesterday + self.drift * today)
        return effects.ravel()
