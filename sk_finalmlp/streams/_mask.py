"""MaskNet."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, ClassVar

import torch
from torch import nn

from .._checks import check_widths
from .._sklearn import Interval
from ..nn import MaskNetStream
from ._base import ARRAY, AT_LEAST_ONE, FRACTION, StreamParameters


class MaskNet(StreamParameters):
    """MaskNet: an MLP whose layers are multiplied by masks computed from the input. Short name "masknet".

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

    See Also
    --------
    sk_finalmlp.nn.MaskNetStream : The formula.

    References
    ----------
    Wang et al., "MaskNet: Introducing Feature-Wise Multiplication to CTR Ranking Models by Instance-Guided Mask",
    DLP-KDD 2021, arXiv:2102.07619.

    Examples
    --------
    >>> from sk_finalmlp.streams import MaskNet
    >>> MaskNet(hidden_units=(64, 32)).build(n_fields=3, embedding_dim=10, n_statistics=1).out_features
    32
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **StreamParameters._parameter_constraints,
        "hidden_units": [ARRAY],
        "n_blocks": [Interval(Integral, 0, None, closed="left")],
        "block_units": [AT_LEAST_ONE],
        "reduction_ratio": [Interval(Real, 0, None, closed="neither")],
        "dropout": [FRACTION],
        "layer_norm": ["boolean"],
        "embedding_norm": ["boolean"],
    }

    def __init__(
        self,
        hidden_units: Sequence[int] = (128,),
        n_blocks: int = 0,
        block_units: int = 64,
        reduction_ratio: float = 1.0,
        dropout: float = 0.2,
        layer_norm: bool = True,
        embedding_norm: bool = True,
        units: int | None = None,
    ) -> None:
        self.hidden_units = hidden_units
        self.n_blocks = n_blocks
        self.block_units = block_units
        self.reduction_ratio = reduction_ratio
        self.dropout = dropout
        self.layer_norm = layer_norm
        self.embedding_norm = embedding_norm
        self.units = units

    def _make(
        self, n_fields: int, embedding_dim: int, n_statistics: int, generator: torch.Generator | None
    ) -> nn.Module:
        check_widths(self, "hidden_units")
        return MaskNetStream(
            n_fields,
            embedding_dim,
            n_statistics,
            self.hidden_units,
            self.n_blocks,
            self.block_units,
            self.reduction_ratio,
            self.dropout,
            self.layer_norm,
            self.embedding_norm,
            generator,
        )
