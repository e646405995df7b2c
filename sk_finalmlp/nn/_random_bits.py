"""Random numbers of few bits, at the speed of memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

# Few enough to stay in the cache, and to need no pages of their own.
_NUMBERS_AT_ONCE = 32_768


class RandomBits:
    """Source of random 16-bit numbers on the CPU: four of them from each word of a generator of NumPy.

    Parameters
    ----------
    generator : torch.Generator or None
        Source of the seed, on the CPU; the global generator if None.

    Examples
    --------
    >>> import torch
    >>> from sk_finalmlp.nn._random_bits import RandomBits
    >>> bits = RandomBits(torch.Generator().manual_seed(0))
    >>> bits.fill(torch.empty(1000, 100)).max()
    tensor(65535.)
    """

    def __init__(self, generator: torch.Generator | None) -> None:
        self._words = np.random.SFC64(int(torch.randint(2**63 - 1, (), generator=generator)))

    @property
    def state(self) -> Tensor:
        """What the next numbers depend on."""
        words: Any = self._words.state["state"]
        return torch.from_numpy(words["state"].view(np.int64))

    @state.setter
    def state(self, state: Tensor) -> None:
        self._words.state = {**self._words.state, "state": {"state": state.numpy().view(np.uint64)}}

    def fill(self, numbers: Tensor) -> Tensor:
        """Write whole numbers, each of 0, ..., 65535 equally likely, into a contiguous tensor."""
        for part in torch.split(numbers.view(-1), _NUMBERS_AT_ONCE):
            words = np.asarray(self._words.random_raw(-(-len(part) // 4)))
            part.numpy()[:] = words.view(np.uint16)[: len(part)]
        return numbers
