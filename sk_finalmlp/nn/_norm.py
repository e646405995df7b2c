"""Batch norm whose running statistics can be frozen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


class BatchNorm(nn.BatchNorm1d):
    """Batch norm that uses its running statistics while frozen, even in training.

    Parameters
    ----------
    num_features : int
        Width n of the input.

    Attributes
    ----------
    frozen : bool
        Whether the running statistics are frozen.

    Examples
    --------
    >>> from sk_finalmlp.nn import BatchNorm, frozen_norms
    >>> norm = BatchNorm(30)
    >>> with frozen_norms(norm):
    ...     norm.train().training
    False
    """

    frozen = False

    def train(self, mode: bool = True) -> BatchNorm:
        """Set the mode; a frozen layer is always in evaluation mode."""
        return super().train(mode and not self.frozen)


@contextmanager
def frozen_norms(network: nn.Module) -> Iterator[None]:
    """Freeze the running statistics of all batch norm layers, within the context.

    Parameters
    ----------
    network : torch.nn.Module
        Network built from the layers of this package.

    Examples
    --------
    >>> from sk_finalmlp.nn import Stream, frozen_norms
    >>> stream = Stream(n_features=30, hidden_units=[64], batch_norm=True)
    >>> with frozen_norms(stream):
    ...     stream.train()[1].norm.training
    False
    """
    norms = norms_of(network)
    for norm in norms:
        norm.frozen = True
    try:
        yield
    finally:
        for norm in norms:
            norm.frozen = False


def norms_of(network: nn.Module) -> list[BatchNorm]:
    """The batch norm layers of a network.

    Parameters
    ----------
    network : torch.nn.Module
        Any network.

    Returns
    -------
    list of BatchNorm

    Examples
    --------
    >>> from sk_finalmlp.nn import Stream, norms_of
    >>> len(norms_of(Stream(n_features=30, hidden_units=[64, 32], batch_norm=True)))
    2
    """
    return [module for module in network.modules() if isinstance(module, BatchNorm)]
