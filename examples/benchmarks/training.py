"""Training in the published configuration for Frappe, against a plain PyTorch loop and against its own arithmetic.

With half precision, too, where the processor has instructions for it; the plain loop keeps float32.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Any

import pandas as pd
import torch
from _frappe import BATCH_SIZE, N_CODES, PUBLISHED, make_frappe_like
from _matrix_products import matrix_products, mean_n_distinct
from _results import Result, ratio
from _sizes import Size
from _steps import WatchedSteps
from _timing import Seconds, in_new_process, timed
from plain_loop import BroadcastFinalMLP, PlainFinalMLP, plain_steps

from sk_finalmlp import FinalMLPClassifier

_PLAIN, _OURS = "plain PyTorch loop", "sk_finalmlp"
_BROADCAST = "plain PyTorch loop, heads row by row"
_PUBLISHED, _DEDUPLICATED = "matrix products, gates row by row", "matrix products, gates per distinct context"
_NETWORKS = {_PLAIN: PlainFinalMLP, _BROADCAST: BroadcastFinalMLP}
# Steps in a row, so that each contestant runs in caches of its own making; the first is left out.
_BURST = 4
_EPOCH_GOALS = {"float32": 2.8, "bfloat16": 4}


def measure(size: Size) -> list[Result]:
    """Epoch, step and whole fit, each in a process of its own.

    Blocks of tens of MB that a process has freed teach the C allocator to keep memory, which spares later steps most
    of their page faults: what ran before decides about a quarter of a step's time.
    """
    arguments = size.n_rows_training, size.n_turns
    plain = in_new_process(seconds_of_steps, [_PLAIN], *arguments)
    broadcast = in_new_process(seconds_of_steps, [_BROADCAST], *arguments)
    fit = [in_new_process(fit_over_steps, size.n_rows_training) for _ in range(max(1, size.n_turns // 2))]
    return [
        *(result for precision in _precisions() for result in _of_precision(precision, *arguments)),
        ratio("training step", plain, _PLAIN, _OURS),
        ratio("training step", broadcast, _BROADCAST, _OURS),
        Result("training fit", "fit with validation / sum of its steps", fit, at_most=1.25),
    ]


def _precisions() -> list[str]:
    """Both, where the processor has instructions for half precision."""
    try:
        _classifier(max_epochs=1, precision="bfloat16").fit(*make_frappe_like(100))
    except ValueError:
        return ["float32"]
    return ["float32", "bfloat16"]


def _of_precision(precision: str, n_rows: int, n_turns: int) -> list[Result]:
    """Epoch and step of ours in a precision, against the plain loop in float32 and the products in the same one."""
    epoch = in_new_process(seconds_of_epochs, n_rows, n_turns, precision)
    products = in_new_process(seconds_of_steps, [_PUBLISHED, _DEDUPLICATED], n_rows, n_turns, precision)
    return [
        ratio(f"training epoch, {precision}", epoch, _PLAIN, _OURS, at_least=_EPOCH_GOALS[precision]),
        ratio(f"training step, {precision}", products, _OURS, _PUBLISHED, at_most=2),
        ratio(f"training step, {precision}", products, _OURS, _DEDUPLICATED, at_most=2),
    ]


def seconds_of_epochs(n_rows: int, n_turns: int, precision: str = "float32") -> Seconds:
    """An epoch of each in turn, within one fit: before each epoch of ours, one of the plain loop in float32."""
    X, y = make_frappe_like(n_rows)
    steps = _plain_steps(PlainFinalMLP, X, y)
    n_steps = -(-len(X) // BATCH_SIZE)
    plain: list[float] = []

    def plain_epoch(step: int) -> None:
        if step % n_steps == 0:
            plain.append(timed(lambda: next(steps), n_steps)() * n_steps)

    with WatchedSteps(plain_epoch):
        history = _classifier(max_epochs=1 + n_turns, precision=precision).fit(X, y).history_
    ours = [record["seconds"] - seconds for record, seconds in zip(history, plain, strict=True)]
    return {_PLAIN: plain[1:], _OURS: ours[1:]}


def seconds_of_steps(names: list[str], n_rows: int, n_turns: int, precision: str = "float32") -> Seconds:
    """A burst of steps of ours and of each other contestant in turn, within one fit."""
    X, y = make_frappe_like(n_rows)
    n_steps = -(-n_rows // BATCH_SIZE)
    others = {name: _contestant(name, X, y, precision) for name in names}
    seconds: Seconds = {name: [] for name in others}

    def burst_of_others(step: int) -> None:
        if step % _BURST == 0:
            for name, run in others.items():
                run()
                seconds[name].append(timed(run, _BURST - 1)())

    with WatchedSteps(burst_of_others) as ours:
        _classifier(max_epochs=-(-_BURST * 8 * n_turns // n_steps), precision=precision).fit(X, y)
    bursts = [ours.seconds[first + 1 : first + _BURST] for first in range(0, len(ours.seconds), _BURST)]
    complete = [burst for burst in bursts if len(burst) == _BURST - 1]
    seconds[_OURS] = [sum(burst) / len(burst) for burst in complete]
    # The first burst warms up.
    return {name: values[1 : len(complete)] for name, values in seconds.items()}


def _contestant(name: str, X: pd.DataFrame, y: pd.Series, precision: str) -> Callable[[], object]:
    if name in _NETWORKS:
        steps = _plain_steps(_NETWORKS[name], X, y)
        return lambda: next(steps)
    # Both loops make all batches of an epoch equal.
    n_rows = -(-len(X) // -(-len(X) // BATCH_SIZE))
    contexts = [n_rows, n_rows] if name == _PUBLISHED else mean_n_distinct(X[["user", "item"]], n_rows)
    return matrix_products(n_rows, contexts, backward=True, precision=precision)


def fit_over_steps(n_rows: int) -> float:
    """A whole fit, with held-out rows, bookkeeping and preparation, over the sum of its steps."""
    X, y = make_frappe_like(n_rows)
    # The first fit of a process loads it; the benchmark of imports has that.
    importlib.import_module("sk_finalmlp.training._train")
    with WatchedSteps() as steps:
        start = perf_counter()
        _classifier(early_stopping=True, max_epochs=4).fit(X, y)
        return (perf_counter() - start) / sum(steps.seconds)


def _classifier(*, max_epochs: int, **parameters: Any) -> FinalMLPClassifier:
    return FinalMLPClassifier(**{**PUBLISHED, "early_stopping": False, "max_epochs": max_epochs, **parameters})


def _plain_steps(kind: type[PlainFinalMLP], X: pd.DataFrame, y: pd.Series) -> Iterator[float]:
    # Code 0 of the plain network stands for nothing, as in the tables of the classifier.
    codes, clicks = torch.from_numpy(X.to_numpy() + 1).int(), torch.tensor(y.tolist(), dtype=torch.float32)
    network = kind([n_codes + 1 for n_codes in N_CODES.values()])
    return plain_steps(network, codes, clicks)
