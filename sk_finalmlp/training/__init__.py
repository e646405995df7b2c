"""The training loop: batches, optimizer, learning-rate schedule, early stopping, on skorch.

It trains any network that maps a batch of codes and values to logits; it knows no estimator and no table.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ._adam import LazyAdam
from ._adam import Moments as Moments
from ._device import resolve_device as resolve_device
from ._objective import ClassObjective as ClassObjective
from ._objective import TaskObjective as TaskObjective
from ._rows import AnyImpressions as AnyImpressions
from ._rows import Batches as Batches
from ._rows import Hindsight as Hindsight
from ._rows import Impressions
from ._rows import StoredImpressions as StoredImpressions
from ._rows import digest_of as digest_of
from ._rows import n_rows_of_pass as n_rows_of_pass
from ._scores import correct_mean as correct_mean
from ._scores import predict_logits, score
from ._settings import EpochHistory, EpochObserver, TrainingResult, TrainingSettings

if TYPE_CHECKING:
    from ._train import train

__all__ = [
    "EpochHistory",
    "EpochObserver",
    "Impressions",
    "LazyAdam",
    "TrainingResult",
    "TrainingSettings",
    "predict_logits",
    "score",
    "train",
]


def __getattr__(name: str) -> Any:
    # Loaded on first use (PEP 562), and skorch with it: prediction needs none of it.
    if name != "train":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return importlib.import_module("._train", __name__).train
