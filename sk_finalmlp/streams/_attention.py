"""Self-attention over the fields."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from torch import nn

from ..nn import SelfAttentionStream
from ._base import AT_LEAST_ONE, FRACTION, StreamParameters


class SelfAttention(StreamParameters):
    """Multi-head self-attention of AutoInt: in each layer, a field becomes a weighted mean of all fields. Short name
    "selfattention".

    Parameters
    ----------
    n_layers : int, default=2
        Number of layers.
    n_heads : int, default=2
        Number of heads; must divide `attention_dim`.
    attention_dim : int, default=32
        Length of a field's vector after a layer, over all heads.
    scaled : bool, default=False
        Whether to divide the attention scores by the square root of a head's length; the paper doesn't.
    layer_norm : bool, default=False
        Whether to apply layer norm before the ReLU; the paper doesn't.
    dropout : float, default=0.0
        Dropout rate of the attention weights, in [0, 1).
    units : int, "auto" or None, default="auto"
        Width of a linear layer after the stream; None for no such layer. "auto": 128 if the fusion needs matching
        widths ("bilinear" and "product"), else None.

    See Also
    --------
    sk_finalmlp.nn.SelfAttentionStream : The formula.

    References
    ----------
    Song et al., "AutoInt: Automatic Feature Interaction Learning via Self-Attentive Neural Networks", CIKM 2019,
    arXiv:1810.11921.

    Examples
    --------
    >>> from sk_finalmlp.streams import SelfAttention
    >>> SelfAttention(attention_dim=16).build(n_fields=3, embedding_dim=10, n_statistics=1).out_features
    64
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **StreamParameters._parameter_constraints,
        "n_layers": [AT_LEAST_ONE],
        "n_heads": [AT_LEAST_ONE],
        "attention_dim": [AT_LEAST_ONE],
        "scaled": ["boolean"],
        "layer_norm": ["boolean"],
        "dropout": [FRACTION],
    }

    def __init__(
        self,
        n_layers: int = 2,
        n_heads: int = 2,
        attention_dim: int = 32,
        scaled: bool = False,
        layer_norm: bool = False,
        dropout: float = 0.0,
        units: int | Literal["auto"] | None = "auto",
    ) -> None:
        self.n_layers = n_layers
        self.n_heads = n_heads
        self.attention_dim = attention_dim
        self.scaled = scaled
        self.layer_norm = layer_norm
        self.dropout = dropout
        self.units = units

    def _make(
        self, n_fields: int, embedding_dim: int, n_statistics: int, generator: torch.Generator | None
    ) -> nn.Module:
        return SelfAttentionStream(
            n_fields,
            embedding_dim,
            n_statistics,
            self.n_layers,
            self.n_heads,
            self.attention_dim,
            self.scaled,
            self.layer_norm,
            self.dropout,
            generator,
        )
