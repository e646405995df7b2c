"""The self-attention of AutoInt."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .._dropout import Dropout
from .._linear import Linear
from ._field_vectors import FieldVectors


class SelfAttentionStream(nn.Module):
    """Multi-head self-attention over the fields.

    In each layer and head, the vector of a field becomes the mean of all fields' values, weighted by softmax(Q K').
    With the heads concatenated, the field's vector is then ReLU(heads + residual).

    Parameters
    ----------
    n_fields : int
        Number F of fields.
    embedding_dim : int
        Embedding dimension d.
    n_statistics : int
        Number S of statistics.
    n_layers : int
        Number of layers.
    n_heads : int
        Number of heads; must divide `attention_dim`.
    attention_dim : int
        Length a of a field's vector after a layer, over all heads.
    scaled : bool, default=False
        Whether to divide the attention scores by the square root of a head's length; the paper doesn't.
    layer_norm : bool, default=False
        Whether to apply layer norm before the ReLU; the paper doesn't.
    dropout : float, default=0.0
        Dropout rate of the attention weights, in [0, 1).
    generator : torch.Generator, default=None
        Random generator of the initial weights; torch's global one if None.

    Raises
    ------
    ValueError
        If `n_heads` doesn't divide `attention_dim`.

    References
    ----------
    Song et al., "AutoInt: Automatic Feature Interaction Learning via Self-Attentive Neural Networks", CIKM 2019,
    arXiv:1810.11921, section 4.4.

    Examples
    --------
    >>> import torch
    >>> from sk_finalmlp.nn import SelfAttentionStream
    >>> stream = SelfAttentionStream(3, embedding_dim=10, n_statistics=0, n_layers=2, n_heads=2, attention_dim=16)
    >>> stream(torch.ones(5, 30)).shape
    torch.Size([5, 48])
    """

    def __init__(
        self,
        n_fields: int,
        embedding_dim: int,
        n_statistics: int,
        n_layers: int,
        n_heads: int,
        attention_dim: int,
        scaled: bool = False,
        layer_norm: bool = False,
        dropout: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if attention_dim % n_heads:
            raise ValueError(
                f"n_heads={n_heads} doesn't divide attention_dim={attention_dim}: each head needs an equal part of it."
            )
        self.vectors = FieldVectors(n_fields, embedding_dim, n_statistics, generator)
        widths = [embedding_dim, *[attention_dim] * n_layers]
        self.layers = nn.Sequential(
            *(
                _AttentionLayer(width, attention_dim, n_heads, scaled, layer_norm, dropout, generator)
                for width in widths[:-1]
            )
        )
        self.out_features = self.vectors.n_vectors * widths[-1]

    def forward(self, x: Tensor) -> Tensor:
        """Attend, (B, F * d + S) -> (B, (F + S) * a)."""
        attended: Tensor = self.layers(self.vectors(x))
        return attended.flatten(start_dim=1)


class _AttentionLayer(nn.Module):
    def __init__(
        self,
        n_features: int,
        attention_dim: int,
        n_heads: int,
        scaled: bool,
        layer_norm: bool,
        dropout: float,
        generator: torch.Generator | None,
    ) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.scale = (attention_dim // n_heads) ** -0.5 if scaled else 1.0
        self.query, self.key, self.value = (
            Linear(n_features, attention_dim, bias=False, generator=generator) for _ in range(3)
        )
        # The residual is the input itself where the widths agree.
        self.residual = (
            None if n_features == attention_dim else Linear(n_features, attention_dim, bias=False, generator=generator)
        )
        self.norm = nn.LayerNorm(attention_dim) if layer_norm else None
        self.dropout = Dropout(dropout)

    def forward(self, v: Tensor) -> Tensor:
        """(B, F, n_features) -> (B, F, attention_dim)"""
        n_rows, n_fields, n_features = v.shape
        flat = v.reshape(-1, n_features)
        query, key, value = (
            linear(flat).view(n_rows, n_fields, self.n_heads, -1).transpose(1, 2)
            for linear in (self.query, self.key, self.value)
        )
        weights = self.dropout((query @ key.transpose(2, 3) * self.scale).softmax(dim=3))
        heads = (weights @ value).transpose(1, 2).reshape(n_rows * n_fields, -1)
        attended = heads + (flat if self.residual is None else self.residual(flat))
        if self.norm is not None:
            attended = self.norm(attended)
        return F.relu(attended).view(n_rows, n_fields, -1)
