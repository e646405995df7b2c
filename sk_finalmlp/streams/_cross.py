"""Cross networks: each layer multiplies the input with a linear map of the previous layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from ..nn import Linear, draw_xavier
from ._base import Graph, Reads, StreamParameters, Value


@dataclass(eq=False, repr=False)
class CrossNet(StreamParameters):
    """Cross network of DCN and DCN-V2: each layer multiplies the input with a linear map of the previous layer. Short
    name "crossnet".

    With x_0 the input, a layer of version "v1" is x_{l+1} = x_0 (w'x_l) + b + x_l, and one of version "v2" is
    x_{l+1} = x_0 * (W x_l + b) + x_l. With a `rank`, W = U V' has that rank. With experts, a layer is the mean of
    x_0 * (U_i tanh(C_i tanh(V_i' x_l)) + b) weighted by softmax_i(g_i' x_l), plus x_l; the layers share the gates g_i,
    and the experts of a layer its b.

    Parameters
    ----------
    n_layers : int, default=3
        Number of layers; products have up to `n_layers` + 1 factors.
    version : {"v1", "v2"}, default="v2"
        Whether a layer maps to one number ("v1", DCN) or to all features ("v2", DCN-V2).
    rank : int or None, default=None
        Rank of the matrices of "v2"; None for full ones.
    n_experts : int, default=1
        Number of low-rank maps, the experts, that a layer mixes; more than 1 needs a `rank`.
    units : int, "auto" or None, default="auto"
        Width of a linear layer after the stream; None for no such layer. "auto": 128 if the fusion needs matching
        widths ("bilinear" and "product"), else None.

    See Also
    --------
    GatedCrossNet : Cross network with gated products.

    References
    ----------
    Wang et al., "Deep & Cross Network for Ad Click Predictions", ADKDD 2017. Wang et al., "DCN V2: Improved Deep &
    Cross Network and Practical Lessons for Web-scale Learning to Rank Systems", WWW 2021, arXiv:2008.13535.

    Examples
    --------
    >>> from sk_finalmlp.streams import CrossNet
    >>> CrossNet(n_layers=2, rank=8).build(
    ...     n_fields=3, embedding_dim=10, n_statistics=1
    ... ).out_features
    31
    """

    n_layers: int = 3
    version: Literal["v1", "v2"] = "v2"
    rank: int | None = None
    n_experts: int = 1
    units: int | Literal["auto"] | None = "auto"

    def _make(self, reads: Reads) -> nn.Module:
        if self.version == "v1" and (self.rank is not None or self.n_experts > 1):
            raise ValueError("CrossNet of version 'v1' has no matrices: leave rank=None and n_experts=1, or set 'v2'.")
        if self.n_experts == 1:
            layer = _RankOneLayer if self.version == "v1" else _CrossLayer
            return CrossNetStream(reads, [layer(reads, self.rank) for _ in range(self.n_layers)])
        if self.rank is None:
            raise ValueError(
                f"n_experts={self.n_experts} experts of a CrossNet need a rank, for example rank=32, but it is None."
            )
        return CrossNetMixStream(reads, self.n_layers, self.rank, self.n_experts)


@dataclass(eq=False, repr=False)
class GatedCrossNet(StreamParameters):
    """Gated cross network of GDCN: c_{l+1} = c_0 * (W c_l + b) * sigmoid(G c_l) + c_l. Short name "gatedcrossnet".

    Parameters
    ----------
    n_layers : int, default=3
        Number of layers.
    units : int, "auto" or None, default="auto"
        Width of a linear layer after the stream; None for no such layer. "auto": 128 if the fusion needs matching
        widths ("bilinear" and "product"), else None.

    See Also
    --------
    CrossNet : The same without gates.

    Notes
    -----
    b starts at 0; the authors' code draws it from U(0, 1).

    References
    ----------
    Wang et al., "Towards Deeper, Lighter and Interpretable Cross Network for CTR Prediction", CIKM 2023,
    arXiv:2311.04635.

    Examples
    --------
    >>> from sk_finalmlp.streams import GatedCrossNet
    >>> GatedCrossNet(units=64).build(n_fields=3, embedding_dim=10, n_statistics=1).out_features
    64
    """

    n_layers: int = 3
    units: int | Literal["auto"] | None = "auto"

    def _make(self, reads: Reads) -> nn.Module:
        return CrossNetStream(reads, [_GatedLayer(reads) for _ in range(self.n_layers)])


class CrossNetStream(nn.Module):
    """Module of `CrossNet` without experts, and of `GatedCrossNet`."""

    def __init__(self, reads: Reads, layers: Sequence[nn.Module]) -> None:
        super().__init__()
        self.out_features = reads.n_features
        self.layers = nn.ModuleList(layers)

    def forward(self, x0: Tensor) -> Tensor:
        """(B, D) -> (B, D)."""
        x = x0
        for layer in self.layers:
            x = layer(x0, x)
        return x

    def add_nodes(self, graph: Graph, x0: Value) -> Value:
        x = x0
        for layer in self.layers:
            x = layer.add_nodes(graph, x0, x)  # type: ignore[operator]
        return x


class _RankOneLayer(nn.Module):
    def __init__(self, reads: Reads, rank: int | None) -> None:
        super().__init__()
        self.linear = Linear(reads.n_features, 1, bias=False, generator=reads.generator)
        self.bias = nn.Parameter(torch.zeros(reads.n_features))

    def forward(self, x0: Tensor, x: Tensor) -> Tensor:
        return x0 * self.linear(x) + self.bias + x

    def add_nodes(self, graph: Graph, x0: Value, x: Value) -> Value:
        return x + x0 * graph.layer(x, self.linear) + self.bias[None]


class _CrossLayer(nn.Module):
    def __init__(self, reads: Reads, rank: int | None) -> None:
        super().__init__()
        width, generator = reads.n_features, reads.generator
        self.linear: nn.Module
        if rank is None:
            self.linear = Linear(width, width, generator=generator)
        else:
            to_rank = Linear(width, rank, bias=False, generator=generator)
            self.linear = nn.Sequential(to_rank, Linear(rank, width, generator=generator))

    def forward(self, x0: Tensor, x: Tensor) -> Tensor:
        return torch.addcmul(x, x0, self.linear(x))

    def add_nodes(self, graph: Graph, x0: Value, x: Value) -> Value:
        return x + x0 * graph.layer(x, self.linear)


class CrossNetMixStream(nn.Module):
    """Module of `CrossNet` with experts."""

    def __init__(self, reads: Reads, n_layers: int, rank: int, n_experts: int) -> None:
        super().__init__()
        self.out_features = reads.n_features
        self.gate = Linear(reads.n_features, n_experts, bias=False, generator=reads.generator)
        self.layers = nn.ModuleList(_ExpertLayer(reads, rank, n_experts) for _ in range(n_layers))

    def forward(self, x0: Tensor) -> Tensor:
        """(B, D) -> (B, D)."""
        x = x0
        for layer in self.layers:
            x = layer(x0, x, self.gate(x).softmax(dim=1))
        return x

    def add_nodes(self, graph: Graph, x0: Value) -> Value:
        x = x0
        for layer in self.layers:
            gate = graph.node("Softmax", graph.layer(x, self.gate), axis=1)
            x = layer.add_nodes(graph, x0, x, gate)  # type: ignore[operator]
        return x


class _ExpertLayer(nn.Module):
    def __init__(self, reads: Reads, rank: int, n_experts: int) -> None:
        super().__init__()
        width, generator = reads.n_features, reads.generator
        self.u, self.v = (_start_experts(n_experts, width, rank, generator) for _ in range(2))
        self.c = _start_experts(n_experts, rank, rank, generator)
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x0: Tensor, x: Tensor, gate: Tensor) -> Tensor:
        v = torch.tanh(torch.einsum("bd,kdr->bkr", x, self.v))
        c = torch.tanh(torch.einsum("bkr,ksr->bks", v, self.c))
        # The gates of a row add up to 1, so that b needn't be mixed.
        mixed = torch.einsum("bks,kds->bd", gate.unsqueeze(2) * c, self.u)
        return torch.addcmul(x, x0, mixed + self.bias)

    def add_nodes(self, graph: Graph, x0: Value, x: Value, gate: Value) -> Value:
        v = graph.node("Tanh", graph.node("Einsum", x, self.v, equation="bd,kdr->bkr"))
        c = graph.node("Tanh", graph.node("Einsum", v, self.c, equation="bkr,ksr->bks"))
        mixed = graph.node("Einsum", graph.unsqueeze(gate, 2) * c, self.u, equation="bks,kds->bd")
        return x + x0 * (mixed + self.bias[None])


def _start_experts(n_experts: int, n_out: int, n_in: int, generator: torch.Generator | None) -> nn.Parameter:
    experts = torch.empty(n_experts, n_out, n_in)
    for expert in experts:
        draw_xavier(expert, generator)
    return nn.Parameter(experts)


class _GatedLayer(nn.Module):
    def __init__(self, reads: Reads) -> None:
        super().__init__()
        width, generator = reads.n_features, reads.generator
        self.cross = Linear(width, width, generator=generator)
        self.gate = Linear(width, width, bias=False, generator=generator)

    def forward(self, c0: Tensor, c: Tensor) -> Tensor:
        return torch.addcmul(c, c0 * self.cross(c), torch.sigmoid(self.gate(c)))

    def add_nodes(self, graph: Graph, c0: Value, c: Value) -> Value:
        return c + c0 * (graph.layer(c, self.cross) * graph.node("Sigmoid", graph.layer(c, self.gate)))
