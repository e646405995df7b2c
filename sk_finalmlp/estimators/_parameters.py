"""The parameters that all classifiers have: what each may be, and what is drawn or made of them."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, Final

import numpy as np
import torch
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions

from .._validation import check_widths

# From this number of rows on, one cycle takes twice the rows per step.
_LARGE_TABLE = 150_000

_FRACTION = Interval(Real, 0, 1, closed="left")
_NON_NEGATIVE = Interval(Real, 0, None, closed="left")
AT_LEAST_ONE = Interval(Integral, 1, None, closed="left")

CONSTRAINTS: Final[dict[str, list[Any]]] = {
    "embedding_dim": [AT_LEAST_ONE],
    "stream_embeddings": [StrOptions({"shared", "own"})],
    "stream_loss": [_NON_NEGATIVE],
    "n_members": [AT_LEAST_ONE],
    "embedding_regularizer": [_NON_NEGATIVE, StrOptions({"auto"})],
    "net_regularizer": [_NON_NEGATIVE],
    "embedding_update": [StrOptions({"auto", "dense", "lazy"})],
    "schedule": [StrOptions({"one_cycle", "plateau"})],
    "precision": [StrOptions({"float32", "bfloat16", "auto"})],
    "learning_rate": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})],
    "batch_size": [Interval(Integral, 2, None, closed="left"), StrOptions({"auto"})],
    "max_epochs": [AT_LEAST_ONE, StrOptions({"auto"})],
    "early_stopping": ["boolean"],
    "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
    "scoring": [StrOptions({"neg_log_loss", "roc_auc"})],
    "final_epoch": ["boolean"],
    "n_iter_no_change": [AT_LEAST_ONE],
    "tol": [_NON_NEGATIVE],
    "class_weight": [dict, StrOptions({"balanced"}), None],
    "categorical_features": ["array-like", StrOptions({"auto"}), None],
    "warm_start": ["boolean"],
    "random_state": ["random_state"],
    "device": [str, torch.device],
    "verbose": ["verbose"],
}


# Those of the classifiers whose streams are MLPs.
MLP_CONSTRAINTS: Final[dict[str, list[Any]]] = {
    "mlp1_fields": ["array-like", StrOptions({"auto"}), None],
    "mlp2_fields": ["array-like", StrOptions({"auto"}), None],
    "mlp1_hidden_units": ["array-like"],
    "mlp2_hidden_units": ["array-like"],
    "mlp1_dropout": [_FRACTION],
    "mlp2_dropout": [_FRACTION],
    "mlp1_batch_norm": ["boolean"],
    "mlp2_batch_norm": ["boolean"],
}


def check_hidden_units(estimator: Any) -> None:
    """Refuse widths of layers that aren't integers of at least 1."""
    for name, fewest in {"mlp1_hidden_units": 1, "mlp2_hidden_units": 1, "fs_hidden_units": 0}.items():
        if hasattr(estimator, name):
            check_widths(estimator, name, fewest)


def draw_seed(random_state: Any) -> int:
    """A seed for torch, drawn by the rules of `random_state`."""
    # Without a seed, fresh entropy: numpy's global generator stays as it was.
    rng = np.random.default_rng() if random_state is None else check_random_state(random_state)
    draw = rng.integers if isinstance(rng, np.random.Generator) else rng.randint
    return int(draw(np.iinfo(np.int32).max))


def automatic_max_epochs(n_rows: int, schedule: str) -> int:
    """One cycle ends as planned, and small tables need more epochs for enough steps; a plateau ends by itself."""
    # A table without rows is refused later, and by name.
    return int(np.clip(10_000 / max(1, n_rows), 10, 100)) if schedule == "one_cycle" else 100


def automatic_learning_rate(n_rows: int, schedule: str) -> float:
    """Larger batches bear larger steps."""
    if schedule == "plateau":
        return 1e-3
    return 3e-3 if n_rows <= _LARGE_TABLE else 5e-3


def automatic_batch_size(n_rows: int, schedule: str) -> int:
    """Large tables want fast steps, small ones enough of them."""
    if schedule == "plateau":
        return int(np.clip(2 * np.sqrt(n_rows), 16, 4096))
    return int(np.clip(n_rows / 64, 16, 1024)) if n_rows <= _LARGE_TABLE else 2048


def automatic_embedding_regularizer(n_rows: int, schedule: str) -> float:
    """The fewer rows there are, the less they say about a single id."""
    numerator, lowest = (7_000, 0.1) if schedule == "one_cycle" else (14_000, 0.2)
    return float(np.clip(numerator / n_rows, lowest, 4))
