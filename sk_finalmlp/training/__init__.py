"""The training loop: batches, optimizer, learning-rate schedule, early stopping, on skorch.

It trains any network that maps a batch of codes and values to logits; it knows no estimator and no table.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ._adam import LazyAdam, Moments
from ._device import resolve_device
from ._objective import ClassObjective, Objective, TaskObjective
from ._rows import Batches, Impressions, StoredImpressions
from ._scores import correct_mean, predict_logits, score

# Loaded on first use (PEP 562), and skorch with them: prediction needs none of it.
_MODULE_OF = {
    "EpochHistory": "_callbacks",
    "EpochObserver": "_callbacks",
    "TrainingResult": "_callbacks",
    "TrainingSettings": "_train",
    "train": "_train",
}

if TYPE_CHECKING:
    from ._callbacks import EpochHistory, EpochObserver, TrainingResult
    from ._train import TrainingSettings, train

__all__ = [
    "Batches",
    "ClassObjective",
    "EpochHistory",
    "EpochObserver",
    "Impressions",
    "LazyAdam",
    "Moments",
    "Objective",
    "StoredImpressions",
    "TaskObjective",
    "TrainingResult",
    "TrainingSettings",
    "correct_mean",
    "predict_logits",
    "resolve_device",
    "score",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_MODULE_OF[name]}", __name__), name)
