"""The MLP stream (section 3.1 of the paper), and two of them in one matrix product if all rows share the gates."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ._embedding import FieldEmbedding
from ._gate import FeatureGate, FieldSelection
from ._layers import Activation, Linear, linear_of_parts
from ._torch import has_hooks

#: Dropout rate of an MLP of which nothing else is known.
DEFAULT_DROPOUT: Final = 0.2

#: Weight and bias of a linear map.
WeightAndBias = tuple[Tensor, Tensor]


class Stream(nn.Sequential):
    """MLP; each layer is a linear map, optional batch norm, ReLU and dropout.

    Parameters
    ----------
    n_features : int
        Width of the input.
    hidden_units : sequence of int
        Width of each layer; the last one is the width of the output.
    dropout : float, default=0.0
        Dropout rate, in [0, 1).
    batch_norm : bool, default=False
        Whether each layer has batch norm.
    generator : torch.Generator, default=None
        Random generator of the initial weights; torch's global one if None.

    Attributes
    ----------
    out_features : int
        Width of the output.

    Notes
    -----
    Linear maps before batch norm have no bias: its true gradient is zero, and Adam would turn the rounding noise in it
    into a drift, which the running means would follow too late.

    Examples
    --------
    >>> import torch
    >>> from sk_finalmlp.nn import Stream
    >>> Stream(n_features=30, hidden_units=[64, 32], dropout=0.2)(torch.zeros(5, 30)).shape
    torch.Size([5, 32])
    """

    def __init__(
        self,
        n_features: int,
        hidden_units: Sequence[int],
        dropout: float = 0.0,
        batch_norm: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        if len(hidden_units) == 0:
            raise ValueError("A stream needs at least one layer: hidden_units is empty.")
        layers: list[nn.Module] = []
        for width in hidden_units:
            layers.append(Linear(n_features, width, bias=not batch_norm, generator=generator))
            layers.append(Activation(width, dropout, batch_norm))
            n_features = width
        super().__init__(*layers)
        self.out_features = n_features


class StreamChain(nn.Sequential):
    """A stream followed by other modules, such as an MLP or a linear map to another width, as one stream.

    Parameters
    ----------
    *modules : torch.nn.Module
        The modules; the last one has `out_features`.

    Attributes
    ----------
    out_features : int
        Width of the output.

    Examples
    --------
    >>> import torch
    >>> from sk_finalmlp.nn import Linear, Stream, StreamChain
    >>> chain = StreamChain(Stream(n_features=30, hidden_units=[64, 32]), Linear(32, 16))
    >>> chain(torch.ones(5, 30)).shape, chain.out_features
    (torch.Size([5, 16]), 16)
    """

    def __init__(self, *modules: nn.Module) -> None:
        super().__init__(*modules)
        self.out_features = modules[-1].out_features


class StreamPath(NamedTuple):
    """A stream and what it reads: an embedding, the choice of its fields, a gate or none."""

    embedding: FieldEmbedding
    fields: FieldSelection
    gate: FeatureGate | None
    stream: nn.Module


def can_join(paths: Sequence[StreamPath]) -> bool:
    """Whether the streams are MLPs on one embedding with first layers alike but in width, and no gate has a context."""
    # A class derived from the MLP may have a forward of its own.
    if len(paths) == 1 or any(type(path.stream) is not Stream for path in paths):
        return False
    activations = [activation for _, activation, *_ in _layers(paths)]
    return (
        all(path.embedding is paths[0].embedding for path in paths)
        and all(path.gate is None or path.gate.context_embedding is None for path in paths)
        and len({(activation.dropout.p, activation.norm is None) for activation in activations}) == 1
    )


def n_features_read(paths: Sequence[StreamPath]) -> int:
    """Return the number of features that streams on one embedding read: without the statistics if none reads any."""
    embedding, fields, *_ = paths[0]
    if any(path.fields.n_statistics for path in paths):
        return fields.n_inputs
    return len(embedding.fields) * embedding.embedding_dim


def are_watched(paths: Sequence[StreamPath]) -> bool:
    """Whether a hook waits for the output of a part that joined streams don't call."""
    return any(has_hooks(part) for path in paths for part in (path.fields, path.gate, path.stream) if part is not None)


def _layers(paths: Sequence[StreamPath]) -> list[Any]:
    """The layers of each stream, an MLP: a linear map, an activation, and so on."""
    streams: list[Any] = [path.stream for path in paths]
    return [[*stream] for stream in streams]


def joint_outputs(
    paths: Sequence[StreamPath], features: Sequence[Tensor], folded: WeightAndBias | None = None
) -> list[Tensor]:
    """Return the output of each stream, from parts of the features of the embedding, (B, D) -> (B, n1), (B, n2)."""
    # A gate scales the first layer's weights, which are fewer than the features.
    layers = _layers(paths)
    n_features = sum(part.shape[1] for part in features)
    if paths[0].stream.training:
        biases = [linear.bias for linear, *_ in layers if linear.bias is not None]
        weight = torch.cat([_weight(path, n_features) for path in paths])
        x = linear_of_parts(features, weight, torch.cat(biases) if biases else None)
        x = Activation.joint([activation for _, activation, *_ in layers], x)
    else:
        x = F.relu(linear_of_parts(features, *(folded or fold(paths, n_features))))
    hidden = torch.split(x, [linear.out_features for linear, *_ in layers], dim=1)
    return [
        reduce(lambda x, layer: layer(x), of_stream[2:], own) for own, of_stream in zip(hidden, layers, strict=True)
    ]


def fold(paths: Sequence[StreamPath], n_features: int) -> WeightAndBias:
    """Return weight and bias of the first layers side by side, with gates and batch norm in evaluation folded in."""
    maps = [
        activation.folded(_weight(path, n_features), linear.bias)
        for path, (linear, activation, *_) in zip(paths, _layers(paths), strict=True)
    ]
    weight, bias = map(torch.cat, zip(*maps, strict=True))
    return weight, bias


def _weight(path: StreamPath, n_features: int) -> Tensor:
    """Return the weight of a stream's first layer for all features of its embedding, times its gate."""
    weight: Tensor = path.stream[0].weight  # type: ignore[index]
    if path.gate is not None:
        weight = weight * path.gate.of_all_rows()
    return path.fields.spread(weight, n_features)
