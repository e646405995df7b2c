"""The self-attention of AutoInt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from ..nn import Dropout, Linear
from ._base import FieldVectors, Graph, Reads, StreamParameters, Value


@dataclass(eq=False, repr=False)
class SelfAttention(StreamParameters):
    """Multi-head self-attention of AutoInt over the fields. Short name "selfattention".

    In each layer and head, the vector of a field becomes the mean of all fields' values, weighted by softmax(Q K').
    With the heads concatenated, the field's vector is then ReLU(heads + residual).

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

    References
    ----------
    Song et al., "AutoInt: Automatic Feature Interaction Learning via Self-Attentive Neural Networks", CIKM 2019,
    arXiv:1810.11921, section 4.4.

    Examples
    --------
    >>> from sk_finalmlp.streams import SelfAttention
    >>> SelfAttention(attention_dim=16).build(
    ...     n_fields=3, embedding_dim=10, n_statistics=1
    ... ).out_features
    64
    """

    n_layers: int = 2
    n_heads: int = 2
    attention_dim: int = 32
    scaled: bool = False
    layer_norm: bool = False
    dropout: float = 0.0
    units: int | Literal["auto"] | None = "auto"

    def _make(self, reads: Reads) -> nn.Module:
        if self.attention_dim % self.n_heads:
            raise ValueError(
                f"n_heads={self.n_heads} doesn't divide attention_dim={self.attention_dim}: each head needs an equal "
                "part of it."
            )
        return SelfAttentionStream(self, reads)


class SelfAttentionStream(nn.Module):
    """Module of `SelfAttention`."""

    def __init__(self, parameters: SelfAttention, reads: Reads) -> None:
        super().__init__()
        self.vectors = FieldVectors(reads)
        widths = [reads.embedding_dim, *[parameters.attention_dim] * parameters.n_layers]
        self.layers = nn.Sequential(*(_AttentionLayer(width, parameters, reads) for width in widths[:-1]))
        self.out_features = self.vectors.n_vectors * widths[-1]

    def forward(self, x: Tensor) -> Tensor:
        """(B, F * d + S) -> (B, (F + S) * a)."""
        attended: Tensor = self.layers(self.vectors(x))
        return attended.flatten(start_dim=1)

    def add_nodes(self, graph: Graph, x: Value) -> Value:
        attended = graph.layer(self.vectors.add_nodes(graph, x), self.layers)
        return graph.node("Flatten", attended, axis=1)


class _AttentionLayer(nn.Module):
    def __init__(self, n_features: int, parameters: SelfAttention, reads: Reads) -> None:
        super().__init__()
        self.n_vectors = reads.n_fields + reads.n_statistics
        self.n_heads, width, generator = parameters.n_heads, parameters.attention_dim, reads.generator
        self.scale = (width // self.n_heads) ** -0.5 if parameters.scaled else 1.0
        self.query, self.key, self.value = (
            Linear(n_features, width, bias=False, generator=generator) for _ in range(3)
        )
        # The residual is the input itself where the widths agree.
        self.residual = None if n_features == width else Linear(n_features, width, bias=False, generator=generator)
        self.norm = nn.LayerNorm(width) if parameters.layer_norm else None
        self.dropout = Dropout(parameters.dropout)

    def forward(self, v: Tensor) -> Tensor:
        """(B, F, n_features) -> (B, F, attention_dim)."""
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

    def add_nodes(self, graph: Graph, v: Value) -> Value:
        n_features, width = self.query.in_features, self.query.out_features
        flat = graph.reshape(v, -1, n_features)

        def heads(linear: Linear, *order: int) -> Value:
            cut = graph.reshape(graph.layer(flat, linear), -1, self.n_vectors, self.n_heads, width // self.n_heads)
            return graph.node("Transpose", cut, perm=list(order))

        scores = graph.node("MatMul", heads(self.query, 0, 2, 1, 3), heads(self.key, 0, 2, 3, 1))
        weights = graph.node("Softmax", scores * graph.constant(self.scale, "float32"), axis=3)
        means = graph.node("MatMul", weights, heads(self.value, 0, 2, 1, 3))
        attended = graph.reshape(graph.node("Transpose", means, perm=[0, 2, 1, 3]), -1, width)
        attended += flat if self.residual is None else graph.layer(flat, self.residual)
        if self.norm is not None:
            attended = graph.layer(attended, self.norm)
        return graph.reshape(graph.node("Relu", attended), -1, self.n_vectors, width)
