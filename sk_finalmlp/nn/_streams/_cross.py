"""Cross networks: each layer multiplies the input with a linear map of the previous layer."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from .._linear import Linear
from .._start_weights import draw_xavier


class CrossNetStream(nn.Module):
    """Cross network of DCN and of DCN-V2.

    With x_0 the input, a layer of version "v1" is x_{l+1} = x_0 (w'x_l) + b + x_l, and one of version "v2" is
    x_{l+1} = x_0 * (W x_l + b) + x_l. With a `rank`, W = U V' has that rank.

    Parameters
    ----------
    n_features : int
        Width D of the input, and of the output.
    n_layers : int
        Number of layers.
    version : {"v1", "v2"}, default="v2"
        Which of the two layers to use.
    rank : int or None, default=None
        Rank of W, only for "v2"; None for a full matrix.
    generator : torch.Generator, default=None
        Random generator of the initial weights; torch's global one if None.

    References
    ----------
    Wang et al., "Deep & Cross Network for Ad Click Predictions", ADKDD 2017. Wang et al., "DCN V2: Improved Deep &
    Cross Network and Practical Lessons for Web-scale Learning to Rank Systems", WWW 2021, arXiv:2008.13535, equation 1.

    Examples
    --------
    >>> import torch
    >>> from sk_finalmlp.nn import CrossNetStream
    >>> CrossNetStream(n_features=30, n_layers=3)(torch.ones(5, 30)).shape
    torch.Size([5, 30])
    """

    def __init__(
        self,
        n_features: int,
        n_layers: int,
        version: Literal["v1", "v2"] = "v2",
        rank: int | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.out_features = n_features
        self.layers = nn.ModuleList()
        for _ in range(n_layers):
            if version == "v1":
                self.layers.append(_RankOneLayer(n_features, generator))
            elif rank is None:
                self.layers.append(_CrossLayer(Linear(n_features, n_features, generator=generator)))
            else:
                to_rank = Linear(n_features, rank, bias=False, generator=generator)
                self.layers.append(_CrossLayer(nn.Sequential(to_rank, Linear(rank, n_features, generator=generator))))

    def forward(self, x0: Tensor) -> Tensor:
        """Cross the features, (B, D) -> (B, D)."""
        x = x0
        for layer in self.layers:
            x = layer(x0, x)
        return x


class _RankOneLayer(nn.Module):
    def __init__(self, n_features: int, generator: torch.Generator | None) -> None:
        super().__init__()
        self.linear = Linear(n_features, 1, bias=False, generator=generator)
        self.bias = nn.Parameter(torch.zeros(n_features))

    def forward(self, x0: Tensor, x: Tensor) -> Tensor:
        crossed: Tensor = x0 * self.linear(x) + self.bias + x
        return crossed


class _CrossLayer(nn.Module):
    def __init__(self, linear: nn.Module) -> None:
        super().__init__()
        self.linear = linear

    def forward(self, x0: Tensor, x: Tensor) -> Tensor:
        crossed: Tensor = torch.addcmul(x, x0, self.linear(x))
        return crossed


class CrossNetMixStream(nn.Module):
    """Cross network of DCN-V2 whose layers are mixtures of K experts of a low rank r.

    E_i(x) = x_0 * (U_i tanh(C_i tanh(V_i' x)) + b) and x_{l+1} = sum over i of softmax_i(g_i' x_l) E_i(x_l) + x_l. The
    layers share the gates g_i, and the experts of a layer its b.

    Parameters
    ----------
    n_features : int
        Width D of the input, and of the output.
    n_layers : int
        Number of layers.
    rank : int
        Rank r.
    n_experts : int
        Number K of experts.
    generator : torch.Generator, default=None
        Random generator of the initial weights; torch's global one if None.

    References
    ----------
    Wang et al., "DCN V2: Improved Deep & Cross Network and Practical Lessons for Web-scale Learning to Rank Systems",
    WWW 2021, arXiv:2008.13535, section 4.

    Examples
    --------
    >>> import torch
    >>> from sk_finalmlp.nn import CrossNetMixStream
    >>> CrossNetMixStream(n_features=30, n_layers=3, rank=8, n_experts=4)(torch.ones(5, 30)).shape
    torch.Size([5, 30])
    """

    def __init__(
        self, n_features: int, n_layers: int, rank: int, n_experts: int, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        self.out_features = n_features
        self.gate = Linear(n_features, n_experts, bias=False, generator=generator)
        self.layers = nn.ModuleList(_ExpertLayer(n_features, rank, n_experts, generator) for _ in range(n_layers))

    def forward(self, x0: Tensor) -> Tensor:
        """Cross the features, (B, D) -> (B, D)."""
        x = x0
        for layer in self.layers:
            x = layer(x0, x, self.gate(x).softmax(dim=1))
        return x


class _ExpertLayer(nn.Module):
    def __init__(self, n_features: int, rank: int, n_experts: int, generator: torch.Generator | None) -> None:
        super().__init__()
        self.u, self.v = (_start_experts(n_experts, n_features, rank, generator) for _ in range(2))
        self.c = _start_experts(n_experts, rank, rank, generator)
        self.bias = nn.Parameter(torch.zeros(n_features))

    def forward(self, x0: Tensor, x: Tensor, gate: Tensor) -> Tensor:
        v = torch.tanh(torch.einsum("bd,kdr->bkr", x, self.v))
        c = torch.tanh(torch.einsum("bkr,ksr->bks", v, self.c))
        # The gates of a row add up to 1, so that b needn't be mixed.
        mixed = torch.einsum("bks,kds->bd", gate.unsqueeze(2) * c, self.u)
        return torch.addcmul(x, x0, mixed + self.bias)


def _start_experts(n_experts: int, n_out: int, n_in: int, generator: torch.Generator | None) -> nn.Parameter:
    experts = torch.empty(n_experts, n_out, n_in)
    for expert in experts:
        draw_xavier(expert, generator)
    return nn.Parameter(experts)


class GatedCrossNetStream(nn.Module):
    """Gated cross network of GDCN: c_{l+1} = c_0 * (W c_l + b) * sigmoid(G c_l) + c_l.

    Parameters
    ----------
    n_features : int
        Width D of the input, and of the output.
    n_layers : int
        Number of layers.
    generator : torch.Generator, default=None
        Random generator of the initial weights; torch's global one if None.

    Notes
    -----
    b starts at 0; the authors' code draws it from U(0, 1).

    References
    ----------
    Wang et al., "Towards Deeper, Lighter and Interpretable Cross Network for CTR Prediction", CIKM 2023,
    arXiv:2311.04635.

    Examples
    --------
    >>> import torch
    >>> from sk_finalmlp.nn import GatedCrossNetStream
    >>> GatedCrossNetStream(n_features=30, n_layers=3)(torch.ones(5, 30)).shape
    torch.Size([5, 30])
    """

    def __init__(self, n_features: int, n_layers: int, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.out_features = n_features
        self.crosses, self.gates = nn.ModuleList(), nn.ModuleList()
        for _ in range(n_layers):
            self.crosses.append(Linear(n_features, n_features, generator=generator))
            self.gates.append(Linear(n_features, n_features, bias=False, generator=generator))

    def forward(self, c0: Tensor) -> Tensor:
        """Cross the features, (B, D) -> (B, D)."""
        c = c0
        for cross, gate in zip(self.crosses, self.gates, strict=True):
            c = torch.addcmul(c, c0 * cross(c), torch.sigmoid(gate(c)))
        return c
