"""Initial weights, drawn from a generator of the caller's.

On the meta device, where a network is built before its weights come from a file, nothing is drawn: there is nothing to
fill, and torch would import its compiler for it, which takes more than a second.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def draw_normal(tensor: Tensor, std: float, generator: torch.Generator | None) -> Tensor:
    """Fill a tensor in place from N(0, std^2); do nothing on the meta device.

    Parameters
    ----------
    tensor : Tensor
        The weights.
    std : float
        Standard deviation.
    generator : torch.Generator or None
        Random generator; torch's global one if None.

    Returns
    -------
    Tensor
        The same tensor.

    Examples
    --------
    >>> import torch
    >>> from sk_finalmlp.nn import draw_normal
    >>> draw_normal(torch.empty(3, 2), 0.01, torch.Generator().manual_seed(0)).abs().max() < 0.1
    tensor(True)
    """
    return tensor if tensor.is_meta else nn.init.normal_(tensor, std=std, generator=generator)


def draw_xavier(tensor: Tensor, generator: torch.Generator | None) -> Tensor:
    """Fill a matrix in place by Xavier's rule, from a normal distribution; do nothing on the meta device.

    Parameters
    ----------
    tensor : Tensor
        The weights.
    generator : torch.Generator or None
        Random generator; torch's global one if None.

    Returns
    -------
    Tensor
        The same tensor.

    Examples
    --------
    >>> import torch
    >>> from sk_finalmlp.nn import draw_xavier
    >>> draw_xavier(torch.empty(100, 100), torch.Generator().manual_seed(0)).std().round(decimals=2)
    tensor(0.1000)
    """
    return tensor if tensor.is_meta else nn.init.xavier_normal_(tensor, generator=generator)
