"""Dropout that draws from the caller's generator."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ._random_bits import RandomBits


class Dropout(nn.Module):
    """Set elements to zero with probability `p` and scale the others by 1 / (1 - p); the identity in evaluation.

    `torch.nn.Dropout` draws from the global generator, which concurrent fits would share. This one draws from the
    generator that `dropout_generator` sets during training.

    Parameters
    ----------
    p : float
        Dropout rate: the probability that an element is set to zero, in [0, 1).

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
        self.bits: RandomBits | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Drop elements of `x`, any shape, in training mode."""
        if not self.training or self.p == 0:
            return x
        return x * self._keep_mask(x) * (1 / (1 - self.p))

    def extra_repr(self) -> str:
        return f"p={self.p}"

    def draw(self, numbers: Tensor) -> Tensor:
        """Fill a tensor on the CPU with random numbers; those above `threshold` stand for what is kept."""
        return (self.bits or RandomBits(None)).fill(numbers)

    @property
    def threshold(self) -> float:
        """Between two whole numbers; the rate is exact to 1 / 65536."""
        return round(self.p * 2**16) - 0.5

    def _keep_mask(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu":
            return torch.empty_like(x, dtype=torch.bool).bernoulli_(1 - self.p, generator=self.generator)
        # On the CPU bernoulli_ draws one element at a time, which is a third of a training step.
        return self.draw(torch.empty(x.shape)) > self.threshold


@contextmanager
def dropout_generator(network: nn.Module, generator: torch.Generator) -> Iterator[None]:
    """Let all dropout layers of a network draw from one generator, within the context.

    Parameters
    ----------
    network : torch.nn.Module
        Network, on the device of the generator.
    generator : torch.Generator
        Source of the dropout masks.

    Examples
    --------
    >>> import torch
    >>> from sk_finalmlp.nn import Dropout, dropout_generator
    >>> layer = Dropout(0.5)
    >>> with dropout_generator(layer, torch.Generator().manual_seed(0)):
    ...     first = layer(torch.ones(100))
    >>> with dropout_generator(layer, torch.Generator().manual_seed(0)):
    ...     again = layer(torch.ones(100))
    >>> torch.equal(first, again)
    True
    """
    layers = [module for module in network.modules() if isinstance(module, Dropout)]
    bits = RandomBits(generator) if generator.device.type == "cpu" else None
    for layer in layers:
        layer.generator, layer.bits = generator, bits
    try:
        yield
    finally:
        for layer in layers:
            layer.generator = layer.bits = None


def dropout_state(network: nn.Module) -> list[Tensor]:
    """State on which the next dropout masks of a network depend.

    Parameters
    ----------
    network : torch.nn.Module
        Network that `dropout_generator` has lent something to draw from.

    Returns
    -------
    list of Tensor
        A state for each layer of dropout.

    Examples
    --------
    >>> import torch
    >>> from sk_finalmlp.nn import Dropout, dropout_generator, dropout_state, restore_dropout
    >>> layer = Dropout(0.5)
    >>> with dropout_generator(layer, torch.Generator().manual_seed(0)):
    ...     state = dropout_state(layer)
    ...     first = layer(torch.ones(100))
    ...     restore_dropout(layer, state)
    ...     again = layer(torch.ones(100))
    >>> torch.equal(first, again)
    True
    """
    return [layer.bits.state if layer.bits else layer.generator.get_state() for layer in _drawing(network)]


def restore_dropout(network: nn.Module, state: list[Tensor]) -> None:
    """Restore the state of the dropout of a network in training.

    Parameters
    ----------
    network : torch.nn.Module
        Network that `dropout_generator` has lent something to draw from.
    state : list of Tensor
        From `dropout_state` of such a network.

    Examples
    --------
    >>> import torch
    >>> from sk_finalmlp.nn import Dropout, dropout_generator, dropout_state, restore_dropout
    >>> layer = Dropout(0.5)
    >>> with dropout_generator(layer, torch.Generator().manual_seed(0)):
    ...     restore_dropout(layer, dropout_state(layer))
    """
    for layer, saved in zip(_drawing(network), state, strict=True):
        if layer.bits:
            layer.bits.state = saved
        else:
            layer.generator.set_state(saved)


def _drawing(network: nn.Module) -> list[Any]:
    """Layers with something to draw from, which is the same for all."""
    layers = [module for module in network.modules() if isinstance(module, Dropout)]
    return [layer for layer in layers if layer.generator is not None]
