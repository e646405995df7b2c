"""From a history, the vectors of what came before, to the one vector of its field.

Histories differ in length, so the vectors of all rows of a batch lie one after the other, without padding: what is
computed of them costs what the histories are long, and no mask is needed.
"""

from __future__ import annotations

from math import sqrt
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ._layers import ROW_MULTIPLE, Linear, draw_normal

HistoryPooling = Literal["mean", "attention", "transformer"]

_HIDDEN_UNITS = 32
_POSITION_STD = 0.02


class Histories(NamedTuple):
    """The known values in the histories of a batch, row by row.

    Attributes
    ----------
    rows : Tensor of int64, shape (n,)
        The row of the batch that each of them is from, in ascending order.
    positions : Tensor of int64, shape (n,)
        Their positions in its history; 0 is the most recent.
    lengths : Tensor of int64, shape (B,)
        How many there are in each row.

    Examples
    --------
    >>> import torch
    >>> from sk_finalmlp.nn import Histories
    >>> histories = Histories(
    ...     torch.tensor([0, 0, 2]), torch.tensor([0, 1, 0]), torch.tensor([2, 0, 1])
    ... )
    >>> histories.sum(torch.tensor([[1.0], [2.0], [5.0]]))
    tensor([[3.],
            [0.],
            [5.]])
    """

    rows: Tensor
    positions: Tensor
    lengths: Tensor

    def sum(self, values: Tensor) -> Tensor:
        """Sums over each history: (n, d) -> (B, d), zero for an empty one."""
        return _SumOfRows.apply(values, self.rows, self.lengths)  # type: ignore[no-untyped-call]

    def spread(self, of_rows: Tensor) -> Tensor:
        """What each value's row has: (B, d) -> (n, d)."""
        return _Spread.apply(of_rows, self.rows, self.lengths)  # type: ignore[no-untyped-call]

    def largest(self, values: Tensor) -> Tensor:
        """Largest over each history, without gradient: (n, d) -> (B, d), minus infinity for an empty one."""
        return _reduced(values.detach(), self.lengths, "max")


class _SumOfRows(torch.autograd.Function):
    """Each of the two is the gradient of the other, and faster than the gradient that torch has for it."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, rows: Tensor, lengths: Tensor) -> Tensor:
        ctx.save_for_backward(rows)
        return _reduced(values, lengths, "sum")

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (rows,) = ctx.saved_tensors
        return gradient.index_select(0, rows), None, None


class _Spread(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, of_rows: Tensor, rows: Tensor, lengths: Tensor) -> Tensor:
        ctx.save_for_backward(lengths)
        return of_rows.index_select(0, rows)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (lengths,) = ctx.saved_tensors
        return _reduced(gradient, lengths, "sum"), None, None


def _reduced(values: Tensor, lengths: Tensor, by: str) -> Tensor:
    return torch.segment_reduce(values.contiguous(), by, lengths=lengths, axis=0, unsafe=True)


def _apart(values: Tensor, training: bool) -> Tensor:
    """The same padded with rows of zeros, so that products don't depend on the number of rows; not in training."""
    return values if training else F.pad(values, (0, 0, 0, -len(values) % ROW_MULTIPLE))


class MeanPooling(nn.Module):
    """Mean over a history; zero for an empty one.

    Examples
    --------
    >>> import torch
    >>> from sk_finalmlp.nn import Histories, MeanPooling
    >>> histories = Histories(torch.tensor([0, 0]), torch.tensor([0, 1]), torch.tensor([2, 0]))
    >>> MeanPooling()(torch.zeros(2, 1), torch.tensor([[1.0], [2.0]]), histories)
    tensor([[1.5000],
            [0.0000]])
    """

    def forward(self, query: Tensor, keys: Tensor, histories: Histories) -> Tensor:
        """Vector of each row's history.

        Parameters
        ----------
        query : Tensor of float32, shape (B, d)
            Vector of the value at hand, of the history's field.
        keys : Tensor of float32, shape (n, d)
            Vectors of the values in the histories.
        histories : Histories
            Where these values are.

        Returns
        -------
        Tensor of float32, shape (B, d)
        """
        return histories.sum(keys) / histories.lengths.clamp(min=1).unsqueeze(1)


class AttentionPooling(nn.Module):
    """Weighted sum over a history, with weights by the value at hand: the target attention of DIN.

    The weight of the key k under the query q is MLP([q, k, q - k, q * k]). An empty history has the vector zero.

    Parameters
    ----------
    embedding_dim : int
        Length d of the vectors.
    softmax : bool, default=True
        Whether the weights of a row are normalised by a softmax; as in the paper if not.
    generator : torch.Generator, default=None
        Random generator of the initial weights; torch's global one if None.

    References
    ----------
    Zhou et al., "Deep Interest Network for Click-Through Rate Prediction", KDD 2018, section 4.3.

    Examples
    --------
    >>> import torch
    >>> from sk_finalmlp.nn import AttentionPooling, Histories
    >>> histories = Histories(torch.tensor([0, 0]), torch.tensor([0, 1]), torch.tensor([2, 0]))
    >>> AttentionPooling(10).weights(
    ...     torch.randn(2, 10), torch.randn(2, 10), histories
    ... ).sum().round().item()
    1.0
    """

    def __init__(self, embedding_dim: int, softmax: bool = True, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.softmax = softmax
        self.hidden = Linear(4 * embedding_dim, _HIDDEN_UNITS, generator=generator)
        self.output = Linear(_HIDDEN_UNITS, 1, bias=not softmax, generator=generator)
        if not softmax:
            # Starts as a sum: weights of zero would give no gradient.
            nn.init.ones_(self.output.bias)

    def forward(self, query: Tensor, keys: Tensor, histories: Histories) -> Tensor:
        """Vector of each row's history, as for `MeanPooling`."""
        return histories.sum(self.weights(query, keys, histories) * keys)

    def weights(self, query: Tensor, keys: Tensor, histories: Histories) -> Tensor:
        """Weight of each value: (n, 1)."""
        # The part of q is the same for a whole history, and the part of q - k is one of q and one of k.
        of_q, of_k, of_difference, of_product = self.hidden.weight.chunk(4, dim=1)
        own = F.linear(query, of_q + of_difference, self.hidden.bias)
        widths = [query.shape[1], own.shape[1]]
        q, own = torch.split(histories.spread(torch.cat([query, own], dim=1)), widths, dim=1)
        features = _apart(torch.cat([keys, q * keys], dim=1), self.training)
        hidden = F.linear(features, torch.cat([of_k - of_difference, of_product], dim=1))
        # In place, as there are many more values than rows.
        hidden = hidden.add_(_apart(own, self.training)).relu_()
        scores = F.linear(hidden, self.output.weight, self.output.bias)[: len(keys)]
        if not self.softmax:
            return scores
        exponentials = (scores - histories.spread(histories.largest(scores))).exp()
        return exponentials / histories.spread(histories.sum(exponentials))

    def extra_repr(self) -> str:
        return f"softmax={self.softmax}"


class TransformerPooling(nn.Module):
    """A transformer layer over the history and the value at hand, read at the place of the latter.

    Each place has a learned position vector. Self-attention of the other places isn't read, and so isn't computed: the
    cost grows with the length of a history, not with its square. An empty history has the vector zero.

    Parameters
    ----------
    embedding_dim : int
        Length d of the vectors; two heads if it is even, else one.
    max_length : int
        Largest length of a history.
    generator : torch.Generator, default=None
        Random generator of the initial weights; torch's global one if None.

    References
    ----------
    Chen et al., "Behavior Sequence Transformer for E-commerce Recommendation in Alibaba", DLP-KDD 2019: the layer;
    position vectors are added here, and tell the place in the history.

    Examples
    --------
    >>> import torch
    >>> from sk_finalmlp.nn import Histories, TransformerPooling
    >>> histories = Histories(torch.tensor([0, 0]), torch.tensor([0, 1]), torch.tensor([2, 0]))
    >>> pooled = TransformerPooling(10, max_length=50)(
    ...     torch.randn(2, 10), torch.randn(2, 10), histories
    ... )
    >>> pooled.shape, bool(pooled[1].any())
    (torch.Size([2, 10]), False)
    """

    def __init__(self, embedding_dim: int, max_length: int, generator: torch.Generator | None = None) -> None:
        super().__init__()
        d = embedding_dim
        self.n_heads = 2 if d % 2 == 0 else 1
        self.head_dim = d // self.n_heads
        # The first one is for the value at hand.
        self.position = nn.Parameter(torch.empty(1 + max_length, d))
        draw_normal(self.position, _POSITION_STD, generator)
        self.query = Linear(d, d, generator=generator)
        self.key_and_value = Linear(d, 2 * d, generator=generator)
        self.heads = Linear(d, d, generator=generator)
        self.norm1 = nn.LayerNorm(d)
        self.feed_forward = nn.Sequential(
            Linear(d, 4 * d, generator=generator), nn.ReLU(), Linear(4 * d, d, generator=generator)
        )
        self.norm2 = nn.LayerNorm(d)

    def forward(self, query: Tensor, keys: Tensor, histories: Histories) -> Tensor:
        """Vector of each row's history, as for `MeanPooling`."""
        own = query + self.position[0]
        others = keys + F.embedding(1 + histories.positions, self.position)
        x: Tensor = self.norm1(own + self.heads(self._attend(own, others, histories)))
        x = self.norm2(x + self.feed_forward(x))
        return x * (histories.lengths > 0).unsqueeze(1)

    def _attend(self, own: Tensor, others: Tensor, histories: Histories) -> Tensor:
        """Mean of the values, the own one among them, by the softmax of the products of keys and query."""
        q = self.query(own)
        own_k, own_v = self.key_and_value(own).chunk(2, dim=1)
        k, v = self.key_and_value(_apart(others, self.training))[: len(others)].chunk(2, dim=1)
        own_score, score = self._scores(q, own_k), self._scores(histories.spread(q), k)
        largest = torch.maximum(own_score.detach(), histories.largest(score))
        own_weight, weight = (own_score - largest).exp(), (score - histories.spread(largest)).exp()
        total = own_weight + histories.sum(weight)
        summed = self._weighted(own_v, own_weight) + histories.sum(self._weighted(v, weight))
        return self._weighted(summed, 1 / total)

    def _scores(self, q: Tensor, k: Tensor) -> Tensor:
        """Scaled product of query and key in each head: (n, d), (n, d) -> (n, H)."""
        products = (q * k).view(len(q), self.n_heads, self.head_dim)
        return products.sum(dim=2) / sqrt(self.head_dim)

    def _weighted(self, v: Tensor, weight: Tensor) -> Tensor:
        """Values times the weight of their head: (n, d), (n, H) -> (n, d)."""
        return (v.reshape(len(v), self.n_heads, self.head_dim) * weight.unsqueeze(2)).flatten(start_dim=1)


def make_pooling(
    pooling: HistoryPooling, softmax: bool, embedding_dim: int, max_length: int, generator: torch.Generator | None
) -> nn.Module:
    """The pooling of a history by its name."""
    if pooling == "mean":
        return MeanPooling()
    if pooling == "attention":
        return AttentionPooling(embedding_dim, softmax, generator)
    if pooling == "transformer":
        return TransformerPooling(embedding_dim, max_length, generator)
    raise ValueError(f"history_pooling must be 'mean', 'attention' or 'transformer', got {pooling!r}.")
