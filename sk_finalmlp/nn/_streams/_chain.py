"""Several modules in sequence as one stream."""

from __future__ import annotations

from torch import nn


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
    >>> from sk_finalmlp.nn import CrossNetStream, Stream, StreamChain
    >>> chain = StreamChain(CrossNetStream(n_features=30, n_layers=3), Stream(n_features=30, hidden_units=[16]))
    >>> chain(torch.ones(5, 30)).shape, chain.out_features
    (torch.Size([5, 16]), 16)
    """

    def __init__(self, *modules: nn.Module) -> None:
        super().__init__(*modules)
        self.out_features = modules[-1].out_features
