"""Both MLP streams in one: their first layers are one matrix product if all rows share the gates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeGuard

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ._activation import Activation
from ._embedding import FieldEmbedding
from ._field_selection import FieldSelection
from ._gate import FeatureGate
from ._linear import Linear
from ._stream import Stream


class Path(Protocol):
    """A stream and what it reads."""

    @property
    def embedding(self) -> FieldEmbedding: ...
    @property
    def fields(self) -> FieldSelection: ...
    @property
    def gate(self) -> FeatureGate | None: ...
    @property
    def stream(self) -> nn.Module: ...


def can_join(paths: Sequence[Path]) -> bool:
    """Whether the streams are MLPs on one embedding with first layers alike but in width, and no gate has a context."""
    streams = [path.stream for path in paths if _is_mlp(path.stream)]
    return (
        len(streams) == len(paths) > 1
        and all(path.embedding is paths[0].embedding for path in paths)
        and all(path.gate is None or path.gate.context_embedding is None for path in paths)
        and all(stream.first_activation.is_like(streams[0].first_activation) for stream in streams)
    )


def _is_mlp(stream: nn.Module) -> TypeGuard[Stream]:
    # A class derived from it may have a forward of its own.
    return type(stream) is Stream


def joint_outputs(paths: Sequence[Path], features: Tensor) -> list[Tensor]:
    """Output of each stream, from the features that the embedding gives, (B, D) -> (B, n1), (B, n2).

    A gate scales the columns of the first layer's weights in place of the features, of which there are more.
    """
    streams = [path.stream for path in paths if _is_mlp(path.stream)]
    weights = [_weight(path, stream, features.shape[1]) for path, stream in zip(paths, streams, strict=True)]
    linears = [stream.first_linear for stream in streams]
    activations = [stream.first_activation for stream in streams]
    if streams[0].training:
        x = Activation.joint(activations, Linear.joint(linears, weights, features))
    else:
        maps = [a.folded(weight, layer.bias) for a, weight, layer in zip(activations, weights, linears, strict=True)]
        x = F.relu(F.linear(features, *map(torch.cat, zip(*maps, strict=True))))
    hidden = torch.split(x, [layer.out_features for layer in linears], dim=1)
    return [stream.after_first_layer(own) for stream, own in zip(streams, hidden, strict=True)]


def _weight(path: Path, stream: Stream, n_features: int) -> Tensor:
    """Weight of a stream's first layer onto all features of its embedding, the gate included."""
    weight = stream.first_linear.weight
    if path.gate is not None:
        weight = weight * path.gate.of_all_rows()
    return path.fields.spread(weight, n_features)
