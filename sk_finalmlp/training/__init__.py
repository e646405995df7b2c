"""The training loop: batches, optimizer, learning-rate schedule, early stopping, on skorch.

It trains any network that maps a batch of codes and values to logits; it knows no estimator and no table.
"""

from ._batches import Batches, Impressions
from ._calibration import correct_mean
from ._callbacks import EpochObserver
from ._device import resolve_device
from ._evaluation import score
from ._history import EpochHistory, TrainingResult
from ._inference import predict_logits
from ._lazy_adam import LazyAdam
from ._moments import Moments
from ._objective import ClassObjective, Objective, TaskObjective
from ._stored import StoredImpressions
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
