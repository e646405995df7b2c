"""Dropout that draws from a generator of the caller's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Dropout(nn.Module):
    """Set elements to zero with probability `p` and scale the others by 1 / (1 - p); the identity in evaluation.

    `torch.nn.Dropout` draws from the global generator, which concurrent fits would share. This one draws from
    the generator that `dropout_generator` lends to it for the time of a training.

    Parameters
    ----------
    p : float
        Probability of an element to be set to zero, in [0, 1).

    Examples
    --------
    >>> import torch
    >>> from sk_finalmlp.nn import Dropout, dropout_generator
    >>> dropout = Dropout(0.5)
    >>> with dropout_generator(dropout, torch.Generator().manual_seed(0)):
    ...     dropout(torch.ones(2, 4)).unique()
    tensor([0., 2.])
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise ValueError(f"dropout must be in [0, 1), got {p!r}.")
        self.p = p
        self.generator: torch.Generator | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Drop elements of `x`, any shape, in training mode."""
        if not self.training or self.p == 0:
            return x
        return x * _keep_mask(x, self.p, self.generator) * (1 / (1 - self.p))

    def extra_repr(self) -> str:
        return f"p={self.p}"


def _keep_mask(x: Tensor, p: float, generator: torch.Generator | None) -> Tensor:
    if x.device.type != "cpu":
        return torch.empty_like(x, dtype=torch.bool).bernoulli_(1 - p, generator=generator)
    # On the CPU bernoulli_ draws one element at a time, which is a third of a training step.
    return draw_bits(torch.empty(n_words(x), dtype=torch.int64), x, generator) > threshold(p)


def n_words(x: Tensor) -> int:
    """Number of words of 64 bits that serve the elements of `x`, four each."""
    return -(-x.numel() // 4)


def draw_bits(words: Tensor, x: Tensor, generator: torch.Generator | None) -> Tensor:
    """Fill words with random bits, and view them as one int16 per element of `x`."""
    return words.random_(-(2**63), None, generator=generator).view(torch.int16)[: x.numel()].view(x.shape)


def threshold(p: float) -> float:
    """What the bits of an element exceed where it is kept; the rate is exact to 1 / 65536."""
    return round(p * 2**16) - 2**15 - 0.5


@contextmanager
def dropout_generator(network: nn.Module, generator: torch.Generator) -> Iterator[None]:
    """Let all dropout of a network draw from one generator, for the time of the context.

    Parameters
    ----------
    network : torch.nn.Module
        Network, on the device of the generator.
    generator : torch.Generator
        Source of the dropout masks.
    """
    layers = [module for module in network.modules() if isinstance(module, Dropout)]
    for layer in layers:
        layer.generator = generator
    try:
        yield
    finally:
        for layer in layers:
            layer.generator = None
