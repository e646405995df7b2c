"""Cross networks."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from torch import nn

from .._sklearn import StrOptions
from ..nn import CrossNetMixStream, CrossNetStream, GatedCrossNetStream
from ._base import AT_LEAST_ONE, StreamParameters


class CrossNet(StreamParameters):
    """Cross network of DCN and DCN-V2: each layer multiplies the input with a linear map of the previous layer. Short
    name "crossnet".

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
    GatedCrossNet : Cross network whose products pass through gates.
    sk_finalmlp.nn.CrossNetStream : The formula.
    sk_finalmlp.nn.CrossNetMixStream : The formula with experts.

    References
    ----------
    Wang et al., "DCN V2: Improved Deep & Cross Network and Practical Lessons for Web-scale Learning to Rank Systems",
    WWW 2021, arXiv:2008.13535.

    Examples
    --------
    >>> from sk_finalmlp.streams import CrossNet
    >>> CrossNet(n_layers=2, rank=8).build(n_fields=3, embedding_dim=10, n_statistics=1).out_features
    31
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **StreamParameters._parameter_constraints,
        "n_layers": [AT_LEAST_ONE],
        "version": [StrOptions({"v1", "v2"})],
        "rank": [AT_LEAST_ONE, None],
        "n_experts": [AT_LEAST_ONE],
    }

    def __init__(
        self,
        n_layers: int = 3,
        version: Literal["v1", "v2"] = "v2",
        rank: int | None = None,
        n_experts: int = 1,
        units: int | Literal["auto"] | None = "auto",
    ) -> None:
        self.n_layers = n_layers
        self.version = version
        self.rank = rank
        self.n_experts = n_experts
        self.units = units

    def _make(
        self, n_fields: int, embedding_dim: int, n_statistics: int, generator: torch.Generator | None
    ) -> nn.Module:
        n_features = n_fields * embedding_dim + n_statistics
        if self.version == "v1" and (self.rank is not None or self.n_experts > 1):
            raise ValueError("CrossNet of version 'v1' has no matrices: leave rank=None and n_experts=1, or set 'v2'.")
        if self.n_experts == 1:
            return CrossNetStream(n_features, self.n_layers, self.version, self.rank, generator)
        if self.rank is None:
            raise ValueError(
                f"n_experts={self.n_experts} experts of a CrossNet need a rank, for example rank=32, but it is None."
            )
        return CrossNetMixStream(n_features, self.n_layers, self.rank, self.n_experts, generator)


class GatedCrossNet(StreamParameters):
    """Gated cross network of GDCN: a cross network whose products pass through gates. Short name "gatedcrossnet".

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
    sk_finalmlp.nn.GatedCrossNetStream : The formula.

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

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **StreamParameters._parameter_constraints,
        "n_layers": [AT_LEAST_ONE],
    }

    def __init__(self, n_layers: int = 3, units: int | Literal["auto"] | None = "auto") -> None:
        self.n_layers = n_layers
        self.units = units

    def _make(
        self, n_fields: int, embedding_dim: int, n_statistics: int, generator: torch.Generator | None
    ) -> nn.Module:
        return GatedCrossNetStream(n_fields * embedding_dim + n_statistics, self.n_layers, generator)
