"""MaskNet: layers multiplied by masks computed from the input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..nn import Dropout, Linear, Stream
from ._base import Graph, Reads, StreamParameters, Value


@dataclass(eq=False, repr=False)
class MaskNet(StreamParameters):
    """MaskNet: an MLP with layers multiplied by masks computed from the input. Short name "masknet".

    A block maps h to ReLU(LN(W (mask * h))) with mask = W2 ReLU(W1 x + b1) + b2. Serial blocks follow one another.
    Parallel blocks all read the input, and an MLP reads their concatenated outputs.

    Parameters
    ----------
    hidden_units : array-like of int, default=(128,)
        Width of each serial block; with `n_blocks`, width of each layer of the MLP after the parallel blocks.
    n_blocks : int, default=0
        Number of parallel blocks; 0 for serial ones.
    block_units : int, default=64
        Width of a parallel block.
    reduction_ratio : float, default=1.0
        Width of a mask's hidden layer, as a multiple of the mask's width.
    dropout : float, default=0.2
        Dropout rate of each block or layer, in [0, 1).
    layer_norm : bool, default=True
        Whether blocks have layer norm.
    embedding_norm : bool, default=True
        Whether to apply layer norm to each field's embedding first.
    units : int or None, default=None
        Width of a linear layer after the stream; None for no such layer.

    References
    ----------
    Wang et al., "MaskNet: Introducing Feature-Wise Multiplication to CTR Ranking Models by Instance-Guided Mask",
    DLP-KDD 2021, arXiv:2102.07619.

    Examples
    --------
    >>> from sk_finalmlp.streams import MaskNet
    >>> MaskNet(hidden_units=(64, 32)).build(
    ...     n_fields=3, embedding_dim=10, n_statistics=1
    ... ).out_features
    32
    """

    hidden_units: Sequence[int] = (128,)
    n_blocks: int = 0
    block_units: int = 64
    reduction_ratio: float = 1.0
    dropout: float = 0.2
    layer_norm: bool = True
    embedding_norm: bool = True
    units: int | None = None

    def _make(self, reads: Reads) -> nn.Module:
        return MaskNetStream(self, reads)


class MaskNetStream(nn.Module):
    """Module of `MaskNet`."""

    def __init__(self, parameters: MaskNet, reads: Reads) -> None:
        super().__init__()
        self.norm = _FieldNorm(reads) if parameters.embedding_norm else None
        n_features, hidden_units = reads.n_features, parameters.hidden_units
        side_by_side = [(n_features, parameters.block_units)] * parameters.n_blocks
        shapes = side_by_side or pairwise([n_features, *hidden_units])
        self.blocks = nn.ModuleList(_MaskBlock(*shape, parameters, reads) for shape in shapes)
        self.mlp: Stream | None = None
        if side_by_side:
            width = parameters.n_blocks * parameters.block_units
            self.mlp = Stream(width, hidden_units, parameters.dropout, generator=reads.generator)
        self.out_features = hidden_units[-1]

    def forward(self, x: Tensor) -> Tensor:
        """(B, F * d + S) -> (B, u)."""
        hidden = x if self.norm is None else self.norm(x)
        if self.mlp is not None:
            return self.mlp(torch.cat([block(x, hidden) for block in self.blocks], dim=1))
        for block in self.blocks:
            hidden = block(x, hidden)
        return hidden

    def add_nodes(self, graph: Graph, x: Value) -> Value:
        hidden = x if self.norm is None else self.norm.add_nodes(graph, x)
        blocks: Any = self.blocks
        if self.mlp is not None:
            return graph.layer(graph.concat([block.add_nodes(graph, x, hidden) for block in blocks]), self.mlp)
        for block in blocks:
            hidden = block.add_nodes(graph, x, hidden)
        return hidden


class _MaskBlock(nn.Module):
    def __init__(self, width: int, out_features: int, parameters: MaskNet, reads: Reads) -> None:
        super().__init__()
        n_hidden, generator = max(1, int(width * parameters.reduction_ratio)), reads.generator
        to_hidden = Linear(reads.n_features, n_hidden, generator=generator)
        self.mask = nn.Sequential(to_hidden, nn.ReLU(), Linear(n_hidden, width, generator=generator))
        self.hidden = Linear(width, out_features, bias=False, generator=generator)
        self.norm = nn.LayerNorm(out_features) if parameters.layer_norm else None
        self.dropout = Dropout(parameters.dropout)

    def forward(self, x: Tensor, hidden: Tensor) -> Tensor:
        masked = self.hidden(self.mask(x) * hidden)
        return self.dropout(F.relu(masked if self.norm is None else self.norm(masked)))

    def add_nodes(self, graph: Graph, x: Value, hidden: Value) -> Value:
        masked = graph.layer(graph.layer(x, self.mask) * hidden, self.hidden)
        return graph.node("Relu", masked if self.norm is None else graph.layer(masked, self.norm))


class _FieldNorm(nn.Module):
    """Layer norm of each field's vector, with scales and shifts of its own; statistics pass as they are."""

    def __init__(self, reads: Reads) -> None:
        super().__init__()
        self.reads = reads._replace(generator=None)
        self.weight = nn.Parameter(torch.ones(reads.n_fields, reads.embedding_dim))
        self.bias = nn.Parameter(torch.zeros(reads.n_fields, reads.embedding_dim))

    def forward(self, x: Tensor) -> Tensor:
        vectors, statistics = self.reads.split(x)
        normalised = F.layer_norm(vectors, vectors.shape[2:]) * self.weight + self.bias
        return torch.cat([normalised.flatten(start_dim=1), statistics], dim=1)

    def add_nodes(self, graph: Graph, x: Value) -> Value:
        if not self.reads.n_fields:
            return x
        vectors, statistics = self.reads.split_nodes(graph, x)
        ones = torch.ones(self.reads.embedding_dim)
        normalised = graph.node("LayerNormalization", vectors, ones, axis=-1, epsilon=1e-5)
        scaled = normalised * self.weight[None] + self.bias[None]
        return graph.concat([graph.node("Flatten", scaled, axis=1), *statistics])
