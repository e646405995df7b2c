"""The training loop: batches, optimizer, learning-rate schedule, early stopping, on skorch.

It trains any network that maps a batch of codes and values to logits; it knows no estimator and no table.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ._batches import Batches, Impressions
from ._calibration import correct_mean
from ._device import resolve_device
from ._history import EpochHistory, TrainingResult
from ._inference import predict_logits
from ._lazy_adam import LazyAdam
from ._moments import Moments
from ._objective import ClassObjective, Objective, TaskObjective
from ._stored import StoredImpressions

# Loaded on first use (PEP 562), and skorch with them: prediction needs none of it.
_MODULE_OF = {"EpochObserver": "_callbacks", "TrainingSettings": "_train", "score": "_evaluation", "train": "_train"}

if TYPE_CHECKING:
    from ._callbacks import EpochObserver
    from ._evaluation import score
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
