"""Networks that the library doesn't have, put together from its parts.

FinalMLP with a plainer fusion, FinalMLP with smaller initial weights, and a single stream with those of two.

Each is a classifier that differs from the library's in its network alone.
"""

from __future__ import annotations

from functools import wraps
from typing import Any

import torch
from torch import Tensor, nn

from sk_finalmlp import FinalMLPClassifier
from sk_finalmlp.nn import Linear, TwoStreamNetwork


class Sum(nn.Module):
    """logit = w.(o1 + o2) + b: a linear layer on the sum of both streams, which are equally wide."""

    def __init__(self, width: int, n_outputs: int, generator: torch.Generator | None) -> None:
        super().__init__()
        self.linear_x = Linear(width, n_outputs, generator=generator)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        logits: Tensor = self.linear_x(x + y)
        return logits

    @property
    def bias(self) -> Tensor:
        return self.linear_x.bias


class WithSum(TwoStreamNetwork):
    """Gated streams, fused by `Sum`."""

    # The classifier reads the signature to find out which parameters the network has.
    @wraps(TwoStreamNetwork.__init__)
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fusion = Sum(self.stream1.out_features, kwargs["n_outputs"], kwargs["generator"])


class StartedAsTwo(TwoStreamNetwork):
    """A stream of one layer with initial weights as large as those of two streams of half the width each.

    Two streams of one layer, without gates and fusion, are one stream whose units are dealt out to two: the start
    weights are all that sets them apart.
    """

    @wraps(TwoStreamNetwork.__init__)
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for layer, n_in, n_out in ((self.stream1[0], 1, 0.5), (self.fusion, 0.5, 1)):
            n_inputs, n_outputs = layer.in_features, layer.out_features
            # Xavier's variance is 2 / (inputs + outputs).
            ratio = (n_inputs + n_outputs) / (n_in * n_inputs + n_out * n_outputs)
            with torch.no_grad():
                layer.weight.mul_(ratio**0.5)


class FromSmallStart(TwoStreamNetwork):
    """FinalMLP whose fusion starts with a tenth of its initial weights."""

    @wraps(TwoStreamNetwork.__init__)
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        with torch.no_grad():
            for weight in (self.fusion.linear_x.weight, self.fusion.linear_y.weight, self.fusion.bilinear):
                weight.mul_(0.1)


class SumClassifier(FinalMLPClassifier):
    """`FinalMLPClassifier` with `Sum` as its fusion."""

    _network_class = WithSum


class SmallStartClassifier(FinalMLPClassifier):
    """`FinalMLPClassifier` whose fusion starts small."""

    _network_class = FromSmallStart


class StartedAsTwoClassifier(FinalMLPClassifier):
    """`FinalMLPClassifier` whose single stream starts as two."""

    _network_class = StartedAsTwo
