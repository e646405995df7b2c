"""MaskNet, whose layers are multiplied by masks computed from the input."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .._dropout import Dropout
from .._linear import Linear
from .._stream import Stream
from ._field_vectors import split_fields


class MaskNetStream(nn.Module):
    """MaskNet: hidden layers, whose inputs are multiplied by masks that small MLPs compute from the input.

    A block maps h to ReLU(LN(W (mask * h))) with mask = W2 ReLU(W1 x + b1) + b2. Serial blocks follow one
    another. Parallel blocks all read the input, and an MLP reads their concatenated outputs.

    Parameters
    ----------
    n_fields : int
        Number F of fields.
    embedding_dim : int
        Embedding dimension d.
    n_statistics : int
        Number S of statistics.
    hidden_units : sequence of int
        Width of each serial block; with parallel blocks, width of each layer of the MLP after them.
    n_blocks : int, default=0
        Number of parallel blocks; 0 for serial ones.
    block_units : int, default=64
        Width of a parallel block.
    reduction_ratio : float, default=1.0
        Width of the mask's hidden layer, as a multiple of the mask's width.
    dropout : float, default=0.0
        Dropout rate after each block and layer, in [0, 1).
    layer_norm : bool, default=True
        Whether layers have layer norm.
    embedding_norm : bool, default=True
        Whether to apply layer norm to each field's embedding before the first block.
    generator : torch.Generator, default=None
        Random generator of the initial weights; torch's global one if None.

    References
    ----------
    Wang et al., "MaskNet: Introducing Feature-Wise Multiplication to CTR Ranking Models by Instance-Guided Mask",
    DLP-KDD 2021, arXiv:2102.07619.

    Examples
    --------
    >>> import torch
    >>> from sk_finalmlp.nn import MaskNetStream
    >>> MaskNetStream(n_fields=3, embedding_dim=10, n_statistics=0, hidden_units=[64, 32])(torch.ones(5, 30)).shape
    torch.Size([5, 32])
    """

    def __init__(
        self,
        n_fields: int,
        embedding_dim: int,
        n_statistics: int,
        hidden_units: Sequence[int],
        n_blocks: int = 0,
        block_units: int = 64,
        reduction_ratio: float = 1.0,
        dropout: float = 0.0,
        layer_norm: bool = True,
        embedding_norm: bool = True,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        n_features = n_fields * embedding_dim + n_statistics
        self.norm = _FieldNorm(n_fields, embedding_dim) if embedding_norm else None

        def block(width: int, out_features: int) -> _MaskBlock:
            return _MaskBlock(n_features, width, out_features, reduction_ratio, dropout, layer_norm, generator)

        widths = [n_features, *hidden_units]
        self.mlp: Stream | None = None
        if n_blocks:
            self.blocks = nn.ModuleList(block(n_features, block_units) for _ in range(n_blocks))
            self.mlp = Stream(n_blocks * block_units, hidden_units, dropout, generator=generator)
        else:
            self.blocks = nn.ModuleList(map(block, widths[:-1], widths[1:]))
        self.out_features = widths[-1]

    def forward(self, x: Tensor) -> Tensor:
        """Mask and map a batch, (B, F * d + S) -> (B, u)."""
        hidden = x if self.norm is None else self.norm(x)
        if self.mlp is not None:
            parallel: Tensor = self.mlp(torch.cat([block(x, hidden) for block in self.blocks], dim=1))
            return parallel
        for block in self.blocks:
            hidden = block(x, hidden)
        return hidden


class _MaskBlock(nn.Module):
    def __init__(
        self,
        n_features: int,
        width: int,
        out_features: int,
        reduction_ratio: float,
        dropout: float,
        layer_norm: bool,
        generator: torch.Generator | None,
    ) -> None:
        super().__init__()
        n_hidden = max(1, int(width * reduction_ratio))
        self.mask = nn.Sequential(
            Linear(n_features, n_hidden, generator=generator), nn.ReLU(), Linear(n_hidden, width, generator=generator)
        )
        self.hidden = Linear(width, out_features, bias=False, generator=generator)
        self.norm = nn.LayerNorm(out_features) if layer_norm else None
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, hidden: Tensor) -> Tensor:
        masked = self.hidden(self.mask(x) * hidden)
        dropped: Tensor = self.dropout(F.relu(masked if self.norm is None else self.norm(masked)))
        return dropped


class _FieldNorm(nn.Module):
    """Layer norm of each field's vector, with scales and shifts of its own; statistics pass as they are."""

    def __init__(self, n_fields: int, embedding_dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(n_fields, embedding_dim))
        self.bias = nn.Parameter(torch.zeros(n_fields, embedding_dim))

    def forward(self, x: Tensor) -> Tensor:
        vectors, statistics = split_fields(x, *self.weight.shape)
        normalised = F.layer_norm(vectors, vectors.shape[2:]) * self.weight + self.bias
        return torch.cat([normalised.flatten(start_dim=1), statistics], dim=1)
