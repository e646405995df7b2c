"""The parameters of the classifier: allowed values, and what follows from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from functools import partial
from inspect import signature
from numbers import Integral, Real
from os import PathLike
from typing import Any, Final

import numpy as np
import torch
from sklearn.utils import check_random_state

from .._sklearn import AT_LEAST_ONE, BETWEEN_0_AND_1, HasMethods, Interval, InvalidParameterError, StrOptions
from ..nn import DEFAULT_DROPOUT
from ..schema import Field, has_recent, is_statistic
from ..streams import stream_names

# Up to the first of these numbers of rows, one cycle takes a higher rate; from the others on, larger batches.
_SMALL_TABLE = 50_000
_LARGE_TABLE = 150_000
_HUGE_TABLE = 400_000

_LEAST_PENALTY_IN_TIME = 0.5

#: Scores that a training has in any case.
BUILT_IN = ("neg_log_loss", "roc_auc")

_SHARE = Interval(Real, 0, 1, closed="right")
_NON_NEGATIVE = Interval(Real, 0, None, closed="left")

CONSTRAINTS: Final[dict[str, list[Any]]] = {
    "stream1": [StrOptions(set(stream_names())), HasMethods("build")],
    "stream2": [StrOptions(set(stream_names())), HasMethods("build"), None],
    "fusion": [StrOptions({"bilinear", "sum", "concat", "product"})],
    "num_heads": [AT_LEAST_ONE],
    "feature_selection": ["boolean", StrOptions({"stream1", "stream2"})],
    "fs_hidden_units": ["array-like"],
    "fs1_context": ["array-like", None],
    "fs2_context": ["array-like", None],
    "embedding_dim": [AT_LEAST_ONE, StrOptions({"auto"})],
    "stream_fields": ["array-like", StrOptions({"auto"}), None],
    "stream_embeddings": [StrOptions({"shared", "own"})],
    "stream_loss": [_NON_NEGATIVE],
    "history_pooling": [StrOptions({"mean", "attention", "din", "transformer"})],
    "linear_term": ["boolean"],
    "n_members": [AT_LEAST_ONE],
    "embedding_regularizer": [_NON_NEGATIVE, tuple, StrOptions({"auto"})],
    "net_regularizer": [_NON_NEGATIVE],
    "schedule": [StrOptions({"one_cycle", "plateau"})],
    "learning_rate": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})],
    "batch_size": [Interval(Integral, 2, None, closed="left"), StrOptions({"auto"})],
    "max_epochs": [AT_LEAST_ONE, StrOptions({"auto"})],
    "precision": [StrOptions({"float32", "bfloat16", "auto"})],
    "class_weight": [dict, StrOptions({"balanced"}), None],
    "negatives_kept": [_SHARE],
    "negative_sampling": [_SHARE],
    "early_stopping": ["boolean"],
    "scoring": [str, callable],
    "validation_fraction": [BETWEEN_0_AND_1, StrOptions({"auto"})],
    "hold_out": [StrOptions({"auto", "random", "last"})],
    "final_epoch": ["boolean"],
    "n_iter_no_change": [AT_LEAST_ONE, StrOptions({"auto"})],
    "categorical_features": ["array-like", StrOptions({"auto"}), None],
    "warm_start": ["boolean"],
    "random_state": ["random_state"],
    "device": [str, torch.device],
    "checkpoint": [str, PathLike, None],
    "verbose": ["verbose"],
}


def find_scorer(scoring: Any) -> Any:
    """Return the scorer of a name; functions and built-in names as they are."""
    if callable(scoring):
        _refuse_metric(scoring)
        _refuse_other_arguments(scoring)
    if callable(scoring) or scoring in BUILT_IN:
        return scoring
    from sklearn.metrics import get_scorer, get_scorer_names  # loads dozens of modules that prediction doesn't need

    names = get_scorer_names()
    if scoring not in names:
        meant = get_close_matches(scoring, [*names, *BUILT_IN], n=1, cutoff=0.4)
        raise InvalidParameterError(
            "The 'scoring' parameter of FinalMLPClassifier must be the name of a scorer of scikit-learn, of those that "
            "sklearn.metrics.get_scorer_names() returns, or a function of (estimator, X, y), such as "
            "sk_finalmlp.metrics.get_scorer returns. Got "
            f"{scoring!r} instead.{f' Did you mean {meant[0]!r}?' if meant else ''}"
        )
    return get_scorer(scoring)


def _refuse_metric(scoring: Callable[..., float]) -> None:
    """Refuse a metric, known by the name of what it takes first."""
    if next(iter(signature(scoring).parameters), None) == "y_true":
        raise InvalidParameterError(
            f"scoring={name_of_scorer(scoring)} is a metric, a function of labels and predictions, where a scorer is "
            "needed, a function of (estimator, X, y): sklearn.metrics.make_scorer makes one of the other."
        )


def _refuse_other_arguments(scoring: Callable[..., float]) -> None:
    taken = signature(scoring)
    try:
        taken.bind(None, None, None)
    except TypeError as error:
        raise InvalidParameterError(
            f"scoring={name_of_scorer(scoring)} must be a function of (estimator, X, y), and it takes {taken}: {error}."
        ) from error


def name_of_scorer(scoring: Any) -> str:
    """Return the name that a scorer has in a history: its own, else the name of its function."""
    if isinstance(scoring, str):
        return scoring
    function = getattr(scoring, "_score_func", scoring)
    if isinstance(function, partial) and not hasattr(function, "__name__"):
        function = function.func
    name = getattr(function, "__name__", type(function).__name__)
    # The log-loss and the AUC have these names.
    return "score" if name in ("<lambda>", "loss", "auc") else name


def draw_seed(random_state: Any) -> int:
    """A seed for torch, drawn by the rules of `random_state`."""
    # Without a seed, fresh entropy: numpy's global generator stays as it was.
    rng = np.random.default_rng() if random_state is None else check_random_state(random_state)
    draw = rng.integers if isinstance(rng, np.random.Generator) else rng.randint
    return int(draw(np.iinfo(np.int32).max))


def automatic_embedding_dim(n_rows: int) -> int:
    """Many rows tell more of each id."""
    return 10 if n_rows <= _HUGE_TABLE else 16


def automatic_dropout(n_rows: int, fields: Sequence[Field]) -> float:
    """Few rows need more dropout, and so does a member that reads statistics; one of numbers doesn't."""
    if n_rows > _HUGE_TABLE:
        return 0.05
    n_numeric = sum(field.kind == "numeric" and not is_statistic(field.name) for field in fields)
    needs_more = n_rows <= _SMALL_TABLE or any(field.kind == "statistic" for field in fields)
    return 0.3 if needs_more and n_numeric <= sum(field.has_codes for field in fields) else DEFAULT_DROPOUT


def automatic_max_epochs(n_rows: int, schedule: str) -> int:
    """One cycle ends as planned, and small tables need more epochs for enough steps; a plateau ends by itself."""
    if schedule == "plateau":
        return 100
    if n_rows > _LARGE_TABLE:
        return 6
    # A table without rows is refused later, and by name.
    return 10 if n_rows > _SMALL_TABLE else int(np.clip(10_000 / max(1, n_rows), 8, 100))


def automatic_settings(n_rows: int, schedule: str, fields: Iterable[Field] = ()) -> dict[str, Any]:
    """Return what "auto" stands for in a training with so many rows in an epoch, all chosen by validation rows.

    Large tables want fast steps, small ones enough of them; the fewer rows, the less they say about a single id. Where
    the rate of one cycle is high, the score stands still for some epochs before it improves again.
    """
    patience = 4
    if schedule == "plateau":
        learning_rate, patience = 1e-3, 2
        batch_size, penalty = np.clip(2 * np.sqrt(n_rows), 16, 4096), np.clip(14_000 / n_rows, 0.2, 4)
    elif n_rows > _HUGE_TABLE:
        learning_rate, batch_size, penalty = 1.5e-3, 4096, 0.02
    else:
        learning_rate = 3e-3 if _SMALL_TABLE < n_rows <= _LARGE_TABLE else 5e-3
        batch_size = 2048 if n_rows > _LARGE_TABLE else np.clip(n_rows / 32, 32, 1024)
        penalty = np.clip(10_000 / n_rows, 0.1, 4)
    if has_recent(fields):
        # Statistics of earlier rows alone say less, so that embeddings of ids would learn what later rows don't repeat.
        penalty = max(penalty, _LEAST_PENALTY_IN_TIME)
    return {
        "learning_rate": learning_rate,
        "batch_size": int(batch_size),
        "n_iter_no_change": patience,
        "embedding_regularizer": float(penalty),
    }
