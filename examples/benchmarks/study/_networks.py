"""Networks that the library doesn't have, put together from its parts.

FinalMLP with a plainer fusion, FinalMLP with smaller initial weights, and a single stream.

Each is a classifier that differs from the library's in its network alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import wraps
from typing import Any

import torch
from torch import Tensor, nn

from sk_finalmlp import DualMLPClassifier, FinalMLPClassifier
from sk_finalmlp.nn import FieldEmbedding, FinalMLP, Linear, Stream, SumFusion
from sk_finalmlp.schema import Field


class Sum(nn.Module):
    """logit = w.(o1 + o2) + b: a linear layer on the sum of both streams, which are equally wide."""

    def __init__(self, x_dim: int, y_dim: int, n_outputs: int, generator: torch.Generator | None) -> None:
        super().__init__()
        self.linear_x = Linear(x_dim, n_outputs, generator=generator)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        logits: Tensor = self.linear_x(x + y)
        return logits

    @property
    def bias(self) -> Tensor:
        return self.linear_x.bias


class FinalMLPWithConcatenation(FinalMLP):
    """Gated streams with a linear layer on both side by side, the bilinear fusion without its form."""

    _fusion_class: type[SumFusion | Sum] = SumFusion

    # The classifier reads the signature to find out which parameters the network has.
    @wraps(FinalMLP.__init__)
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        widths = kwargs["mlp1_hidden_units"][-1], kwargs["mlp2_hidden_units"][-1]
        self.fusion = self._fusion_class(*widths, kwargs["n_outputs"], kwargs["generator"])


class FinalMLPWithSum(FinalMLPWithConcatenation):
    """Gated streams, fused by `Sum`."""

    _fusion_class = Sum


class OneStream(nn.Module):
    """A single MLP on the embeddings, that of the first stream, without gate."""

    def __init__(
        self,
        fields: Sequence[Field],
        *,
        embedding_dim: int,
        mlp1_fields: None,
        mlp2_fields: None,
        mlp1_hidden_units: Sequence[int],
        mlp1_dropout: float,
        mlp1_batch_norm: bool,
        n_outputs: int,
        generator: torch.Generator | None,
    ) -> None:
        super().__init__()
        self.embedding = FieldEmbedding(fields, embedding_dim, generator=generator)
        n_features = len(fields) * embedding_dim
        self.mlp = Stream(n_features, mlp1_hidden_units, mlp1_dropout, mlp1_batch_norm, generator)
        self.output = Linear(mlp1_hidden_units[-1], n_outputs, generator=generator)

    def start_at(self, logits: Tensor) -> None:
        """Let the output start at these logits."""
        with torch.no_grad():
            self.output.bias.copy_(logits)

    def forward(self, codes: Tensor, values: Tensor) -> Tensor:
        logits: Tensor = self.output(self.mlp(self.embedding.features(codes, values)))
        return logits


class OneStreamStartedAsTwo(OneStream):
    """The same with initial weights as large as those of two streams of half the width each.

    Two streams of one layer, without gates and fusion, are one stream whose units are dealt out to two: the start
    weights are all that sets them apart.
    """

    @wraps(OneStream.__init__)
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for layer, n_in, n_out in ((self.mlp[0], 1, 0.5), (self.output, 0.5, 1)):
            n_inputs, n_outputs = layer.in_features, layer.out_features
            # Xavier's variance is 2 / (inputs + outputs).
            ratio = (n_inputs + n_outputs) / (n_in * n_inputs + n_out * n_outputs)
            with torch.no_grad():
                layer.weight.mul_(ratio**0.5)


class FinalMLPFromSmallStart(FinalMLP):
    """FinalMLP whose fusion starts with a tenth of its initial weights."""

    @wraps(FinalMLP.__init__)
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        with torch.no_grad():
            for weight in (self.fusion.linear_x.weight, self.fusion.linear_y.weight, self.fusion.bilinear):
                weight.mul_(0.1)


class ConcatenationClassifier(FinalMLPClassifier):
    """`FinalMLPClassifier` with a linear layer on both streams side by side as its fusion."""

    _network_class = FinalMLPWithConcatenation


class SumClassifier(FinalMLPClassifier):
    """`FinalMLPClassifier` with `Sum` as its fusion."""

    _network_class = FinalMLPWithSum


class SmallStartClassifier(FinalMLPClassifier):
    """`FinalMLPClassifier` whose fusion starts small."""

    _network_class = FinalMLPFromSmallStart


class OneStreamClassifier(DualMLPClassifier):
    """`DualMLPClassifier` without its second stream."""

    _network_class = OneStream


class OneStreamStartedAsTwoClassifier(DualMLPClassifier):
    """`DualMLPClassifier` with a single stream, and the initial weights of two."""

    _network_class = OneStreamStartedAsTwo
