"""Adam's moments, kept from one training to the next."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import nn


@dataclass
class Moments:
    """Adam's two moments of each weight of a network, and the number of steps.

    Parameters
    ----------
    exp_avg, exp_avg_sq : dict of {str: ndarray of float32}
        The moments by name of the parameter.
    n_steps : int, default=0
        Number of steps so far.

    Examples
    --------
    >>> from torch import nn
    >>> from sk_finalmlp.training import Moments
    >>> Moments.zeros(nn.Linear(3, 1)).exp_avg
    {'weight': array([[0., 0., 0.]], dtype=float32), 'bias': array([0.], dtype=float32)}
    """

    exp_avg: dict[str, NDArray[np.float32]]
    exp_avg_sq: dict[str, NDArray[np.float32]]
    n_steps: int = 0

    def copy(self) -> Moments:
        """The same numbers in other arrays."""
        first, second = (
            {name: array.copy() for name, array in of_network.items()} for of_network in (self.exp_avg, self.exp_avg_sq)
        )
        return Moments(first, second, self.n_steps)

    @classmethod
    def zeros(cls, network: nn.Module) -> Moments:
        """Those of a network before its first step."""
        # By numpy, for which the system hands out pages of zeros when they are first written to.
        first, second = (
            {name: np.zeros(tuple(parameter.shape), np.float32) for name, parameter in network.named_parameters()}
            for _ in range(2)
        )
        return cls(first, second)
