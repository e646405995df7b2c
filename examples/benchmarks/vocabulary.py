"""A step with many codes against one with few: rows that a batch doesn't touch should cost nothing."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from _frappe import N_CODES, PUBLISHED, make_frappe_like
from _results import Result, ratio
from _sizes import Size
from _steps import WatchedSteps
from _timing import take_turns
from torch.optim.optimizer import register_optimizer_step_post_hook

from sk_finalmlp import FinalMLPClassifier

_FEW, _MANY = 10**4, 10**6


def measure(size: Size) -> list[Result]:
    """Step and optimizer state, with 100 times the codes."""
    X, y = make_frappe_like(size.n_rows_training)
    tables = {n_codes: _with_users(X, n_codes) for n_codes in (_FEW, _MANY)}
    contestants = {f"step with {n:.0e} codes": partial(_median_step, table, y) for n, table in tables.items()}
    seconds = take_turns(contestants, size.n_turns)
    many, few = f"step with {_MANY:.0e} codes", f"step with {_FEW:.0e} codes"
    sizes = [_optimizer_state_per_weight(table, y) for table in tables.values()]
    return [
        ratio("vocabulary", seconds, many, few, at_most=1.3),
        *(
            Result("vocabulary", f"optimizer state per weight, {n:.0e} codes", [value], unit="B")
            for n, value in zip(tables, sizes, strict=True)
        ),
    ]


def _with_users(X: pd.DataFrame, n_codes: int) -> pd.DataFrame:
    """The same impressions with other numbers for the users, so that a batch holds as many distinct ones as before."""
    codes = np.random.default_rng(0).permutation(n_codes)[: N_CODES["user"]]
    codes[0] = n_codes - 1
    return X.assign(user=codes[X["user"]])


def _median_step(X: pd.DataFrame, y: pd.Series) -> float:
    with WatchedSteps() as steps:
        _classifier().fit(X, y)
    # The first steps make the optimizer's state.
    return float(np.median(steps.seconds[2:]))


def _optimizer_state_per_weight(X: pd.DataFrame, y: pd.Series) -> float:
    """Bytes that the optimizer keeps, per weight of the network."""
    states: list[int] = []

    def weigh(optimizer: torch.optim.Optimizer, *_: Any) -> None:
        if not states:
            states.append(sum(_n_bytes(state) for state in optimizer.state.values()))

    hook = register_optimizer_step_post_hook(weigh)
    try:
        network = _classifier().fit(X[:10_000], y[:10_000]).network_
    finally:
        hook.remove()
    return max(states) / sum(parameter.numel() for parameter in network.parameters())


def _n_bytes(state: dict[str, Any]) -> int:
    return sum(value.nbytes for value in state.values() if isinstance(value, torch.Tensor))


def _classifier() -> FinalMLPClassifier:
    return FinalMLPClassifier(**{**PUBLISHED, "max_epochs": 1, "early_stopping": False})
