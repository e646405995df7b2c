"""One of the two streams: an MLP without output layer (section 3.1 of the paper)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ._activation import Activation
from ._linear import Linear


class Stream(nn.Sequential):
    """MLP; each layer is a linear map, optional batch norm, ReLU and dropout.

    Parameters
    ----------
    n_features : int
        Width of the input.
    hidden_units : sequence of int
        Width of each layer; the last one is the width of the output.
    dropout : float, default=0.0
        Dropout rate, in [0, 1).
    batch_norm : bool, default=False
        Whether each layer has batch norm.
    generator : torch.Generator, default=None
        Random generator of the initial weights; torch's global one if None.

    Attributes
    ----------
    out_features : int
        Width of the output.

    Notes
    -----
    Linear maps before batch norm have no bias: its true gradient is zero, and Adam would turn the rounding noise in it
    into a drift, which the running means would follow too late.

    Examples
    --------
    >>> import torch
    >>> from sk_finalmlp.nn import Stream
    >>> Stream(n_features=30, hidden_units=[64, 32], dropout=0.2)(torch.zeros(5, 30)).shape
    torch.Size([5, 32])
    """

    def __init__(
        self,
        n_features: int,
        hidden_units: Sequence[int],
        dropout: float = 0.0,
        batch_norm: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        if len(hidden_units) == 0:
            raise ValueError("A stream needs at least one layer: hidden_units is empty.")
        layers: list[nn.Module] = []
        for width in hidden_units:
            layers.append(Linear(n_features, width, bias=not batch_norm, generator=generator))
            layers.append(Activation(width, dropout, batch_norm))
            n_features = width
        super().__init__(*layers)
        self.out_features = n_features

    @property
    def first_linear(self) -> Linear:
        """The linear map of the first layer."""
        linear = self[0]
        assert isinstance(linear, Linear)
        return linear

    @property
    def first_activation(self) -> Activation:
        """What follows it."""
        activation = self[1]
        assert isinstance(activation, Activation)
        return activation

    def after_first_layer(self, x: Tensor) -> Tensor:
        """Output of the stream from that of its first layer."""
        for layer in list(self)[2:]:
            x = layer(x)
        return x


class StreamChain(nn.Sequential):
    """A stream followed by other modules, such as an MLP or a linear map to another width, as one stream.

    Parameters
    ----------
    *modules : torch.nn.Module
        The modules, the last of which has `out_features`.

    Attributes
    ----------
    out_features : int
        Width of the output.

    Examples
    --------
    >>> import torch
    >>> from sk_finalmlp.nn import Linear, Stream, StreamChain
    >>> chain = StreamChain(Stream(n_features=30, hidden_units=[64, 32]), Linear(32, 16))
    >>> chain(torch.ones(5, 30)).shape, chain.out_features
    (torch.Size([5, 16]), 16)
    """

    def __init__(self, *modules: nn.Module) -> None:
        super().__init__(*modules)
        self.out_features = modules[-1].out_features
