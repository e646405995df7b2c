"""Training in the published configuration for Frappe, against a plain PyTorch loop and against its own arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import perf_counter

import pandas as pd
import torch
from _frappe import BATCH_SIZE, N_CODES, PUBLISHED, make_frappe_like
from _matrix_products import matrix_products, mean_n_distinct
from _results import Result, ratio
from _sizes import Size
from _steps import WatchedSteps
from _timing import Seconds, take_turns, timed
from plain_loop import BroadcastFinalMLP, PlainFinalMLP, plain_steps

from sk_finalmlp import FinalMLPClassifier

_PLAIN, _OURS = "plain PyTorch loop", "sk_finalmlp"
_BROADCAST = "plain PyTorch loop, heads row by row"
_PUBLISHED, _DEDUPLICATED = "matrix products, gates row by row", "matrix products, gates per distinct context"
# Steps in a row, so that each contestant runs in caches of its own making; the first is left out.
_BURST = 4


def measure(size: Size) -> list[Result]:
    """Epoch, step and whole fit."""
    X, y = make_frappe_like(size.n_rows_training)
    epoch, step = _seconds_of_epochs(X, y, size.n_turns), _seconds_of_steps(X, y, size.n_turns)
    fit = take_turns({"fit": lambda: _fit_over_steps(X, y)}, max(1, size.n_turns // 2))
    return [
        ratio("training epoch", epoch, _PLAIN, _OURS, at_least=3),
        ratio("training step", step, _OURS, _PUBLISHED, at_most=2),
        ratio("training step", step, _OURS, _DEDUPLICATED, at_most=2),
        ratio("training step", step, _PLAIN, _OURS),
        ratio("training step", step, _BROADCAST, _OURS),
        Result("training fit", "fit with validation / sum of its steps", fit["fit"], at_most=1.25),
    ]


def _seconds_of_epochs(X: pd.DataFrame, y: pd.Series, n_turns: int) -> Seconds:
    """An epoch of each in turn, within one fit: before each epoch of ours, one of the plain loop."""
    steps = _plain_steps(PlainFinalMLP, X, y)
    n_steps = -(-len(X) // BATCH_SIZE)
    plain: list[float] = []

    def plain_epoch(step: int) -> None:
        if step % n_steps == 0:
            plain.append(timed(lambda: next(steps), n_steps)() * n_steps)

    with WatchedSteps(plain_epoch):
        history = _classifier(max_epochs=1 + n_turns).fit(X, y).history_
    ours = [record["seconds"] - seconds for record, seconds in zip(history, plain, strict=True)]
    return {_PLAIN: plain[1:], _OURS: ours[1:]}


def _seconds_of_steps(X: pd.DataFrame, y: pd.Series, n_turns: int) -> Seconds:
    """A burst of steps of each in turn, within one fit."""
    n_steps = -(-len(X) // BATCH_SIZE)
    # Both loops make all batches of an epoch equal.
    n_rows = -(-len(X) // n_steps)
    contexts = mean_n_distinct(X[["user", "item"]], n_rows)
    plain, broadcast = (_plain_steps(network, X, y) for network in (PlainFinalMLP, BroadcastFinalMLP))
    others: dict[str, Callable[[], object]] = {
        _PLAIN: lambda: next(plain),
        _BROADCAST: lambda: next(broadcast),
        _PUBLISHED: matrix_products(n_rows, [n_rows, n_rows], backward=True),
        _DEDUPLICATED: matrix_products(n_rows, contexts, backward=True),
    }
    seconds: Seconds = {name: [] for name in others}

    def burst_of_others(step: int) -> None:
        if step % _BURST == 0:
            for name, run in others.items():
                run()
                seconds[name].append(timed(run, _BURST - 1)())

    with WatchedSteps(burst_of_others) as ours:
        _classifier(max_epochs=-(-_BURST * 8 * n_turns // n_steps)).fit(X, y)
    bursts = [ours.seconds[first + 1 : first + _BURST] for first in range(0, len(ours.seconds), _BURST)]
    complete = [burst for burst in bursts if len(burst) == _BURST - 1]
    seconds[_OURS] = [sum(burst) / len(burst) for burst in complete]
    # The first burst warms up.
    return {name: values[1 : len(complete)] for name, values in seconds.items()}


def _fit_over_steps(X: pd.DataFrame, y: pd.Series) -> float:
    """A whole fit, with held-out rows, bookkeeping and preparation, over the sum of its steps."""
    with WatchedSteps() as steps:
        start = perf_counter()
        _classifier(early_stopping=True, max_epochs=4).fit(X, y)
        return (perf_counter() - start) / sum(steps.seconds)


def _classifier(*, max_epochs: int, early_stopping: bool = False) -> FinalMLPClassifier:
    return FinalMLPClassifier(**PUBLISHED, max_epochs=max_epochs, early_stopping=early_stopping)


def _plain_steps(kind: type[PlainFinalMLP], X: pd.DataFrame, y: pd.Series) -> Iterator[float]:
    # Code 0 of the plain network stands for nothing, as in the tables of the classifier.
    codes, clicks = torch.from_numpy(X.to_numpy() + 1).int(), torch.tensor(y.tolist(), dtype=torch.float32)
    network = kind([n_codes + 1 for n_codes in N_CODES.values()])
    return plain_steps(network, codes, clicks)
