"""The block of FinalNet, in which each layer multiplies its two halves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from .._activation import Activation
from .._dropout import Dropout
from .._linear import Linear
from .._norm import BatchNorm
from ._field_vectors import split_fields


class FinalStream(nn.Module):
    """Block of FinalNet: layers of a linear map, products of its parts, batch norm, ReLU and dropout.

    A layer computes h = W x + b and splits h into two halves, h2 and h1. The form "concat" outputs [h2, h1 * h2]; the
    form "sum" outputs h2 + h1 * h2, for which W is twice as wide.

    Parameters
    ----------
    n_fields : int
        Number F of fields.
    embedding_dim : int
        Embedding dimension d.
    n_statistics : int
        Number S of statistics.
    hidden_units : sequence of int
        Width of each layer; even for the form "concat".
    dropout : float, default=0.0
        Dropout rate after each layer, in [0, 1).
    batch_norm : bool, default=True
        Whether each layer has batch norm.
    activation : {"relu"} or None, default="relu"
        Activation after the batch norm.
    form : {"concat", "sum"}, default="concat"
        How the halves are combined.
    field_gate : bool, default=False
        Whether to extend the input by itself times a gate linear in the fields: [E, E * (W E + b)], twice as wide.
    generator : torch.Generator, default=None
        Random generator of the initial weights; torch's global one if None.

    Raises
    ------
    ValueError
        If a width is odd, for the form "concat".

    Notes
    -----
    As in the reference implementation, the second factor has no sigmoid; the paper has one on all factors but the
    first.

    References
    ----------
    Zhu et al., "FINAL: Factorized Interaction Layer for CTR Prediction", SIGIR 2023.

    Examples
    --------
    >>> import torch
    >>> from sk_finalmlp.nn import FinalStream
    >>> FinalStream(n_fields=3, embedding_dim=10, n_statistics=0, hidden_units=[64, 32])(torch.ones(5, 30)).shape
    torch.Size([5, 32])
    """

    def __init__(
        self,
        n_fields: int,
        embedding_dim: int,
        n_statistics: int,
        hidden_units: Sequence[int],
        dropout: float = 0.0,
        batch_norm: bool = True,
        activation: Literal["relu"] | None = "relu",
        form: Literal["concat", "sum"] = "concat",
        field_gate: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        # Where there are only statistics, there is nothing to gate.
        self.gate = _FieldGate(n_fields, embedding_dim, generator) if field_gate and n_fields else None
        width = n_fields * embedding_dim * (2 if field_gate else 1) + n_statistics
        self.layers = nn.Sequential()
        for out_features in hidden_units:
            self.layers.append(_FinalLayer(width, out_features, form, generator))
            self.layers.append(_after_layer(out_features, dropout, batch_norm, activation))
            width = out_features
        self.out_features = width

    def forward(self, x: Tensor) -> Tensor:
        """Interactions of a batch, (B, F * d + S) -> (B, u)."""
        interactions: Tensor = self.layers(x if self.gate is None else self.gate(x))
        return interactions


class _FinalLayer(nn.Module):
    def __init__(self, n_features: int, width: int, form: str, generator: torch.Generator | None) -> None:
        super().__init__()
        if form == "concat" and width % 2:
            raise ValueError(f"A layer of the form 'concat' is split in half, so its width can't be odd, as {width}.")
        self.form = form
        self.linear = Linear(n_features, width if form == "concat" else 2 * width, generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        h2, h1 = self.linear(x).chunk(2, dim=1)
        return torch.cat([h2, h1 * h2], dim=1) if self.form == "concat" else torch.addcmul(h2, h1, h2)


def _after_layer(width: int, dropout: float, batch_norm: bool, activation: str | None) -> nn.Module:
    if activation == "relu":
        return Activation(width, dropout, batch_norm)
    return nn.Sequential(*([BatchNorm(width)] if batch_norm else []), Dropout(dropout))


class _FieldGate(nn.Module):
    """The vectors, and the vectors times gates that are linear in all fields; statistics pass as they are."""

    def __init__(self, n_fields: int, embedding_dim: int, generator: torch.Generator | None) -> None:
        super().__init__()
        self.n_fields = n_fields
        self.embedding_dim = embedding_dim
        self.linear = Linear(n_fields, n_fields, generator=generator)
        nn.init.zeros_(self.linear.weight)
        nn.init.ones_(self.linear.bias)

    def forward(self, x: Tensor) -> Tensor:
        vectors, statistics = split_fields(x, self.n_fields, self.embedding_dim)
        elements = vectors.transpose(1, 2).reshape(-1, self.n_fields)
        gates = self.linear(elements).view(len(x), self.embedding_dim, self.n_fields).transpose(1, 2)
        return torch.cat([vectors.flatten(start_dim=1), (vectors * gates).flatten(start_dim=1), statistics], dim=1)
