"""The steps of a fit, watched from outside."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from types import TracebackType
from typing import Any, Self

from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook

from sk_finalmlp.nn import TwoStreamNetwork


class WatchedSteps:
    """Times the steps of all fits in a `with` block, by the beginnings of the network's forward passes.

    A step lasts from one training batch to whatever the network is called for next: the slice of the batch, forward
    and backward pass, clipping, update and bookkeeping are all in it.

    Parameters
    ----------
    between : callable, default=None
        Called with the number of the coming step, from 0, before it begins, off its clock: a place where other
        contestants take their turn.

    Attributes
    ----------
    seconds : list of float
        Of each step.
    seconds_between : float
        Spent in `between`, all in all.
    """

    def __init__(self, between: Callable[[int], None] | None = None) -> None:
        self.seconds: list[float] = []
        self.seconds_between = 0.0
        self._between = between
        self._start: float | None = None

    def __enter__(self) -> Self:
        self._handle = register_module_forward_pre_hook(self._on_forward)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: Any, traceback: TracebackType | None) -> None:
        self._handle.remove()

    def _on_forward(self, module: nn.Module, inputs: Any) -> None:
        if not isinstance(module, TwoStreamNetwork):
            return
        now = perf_counter()
        if self._start is not None:
            self.seconds.append(now - self._start)
        self._start = None
        if module.training:
            self._call_between()
            self._start = perf_counter()

    def _call_between(self) -> None:
        if self._between is not None:
            start = perf_counter()
            self._between(len(self.seconds))
            self.seconds_between += perf_counter() - start
