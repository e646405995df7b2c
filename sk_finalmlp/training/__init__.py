"""The training loop: batches, optimizer, learning-rate schedule, early stopping, on skorch.

It trains any network that maps a batch of codes and values to logits; it knows no estimator and no table.
"""

from ._batches import Batches, Impressions
from ._device import resolve_device
from ._inference import predict_logits
from ._lazy_adam import LazyAdam
from ._train import EpochHistory, TrainingResult, TrainingSettings, train

__all__ = [
    "Batches",
    "EpochHistory",
    "Impressions",
    "LazyAdam",
    "TrainingResult",
    "TrainingSettings",
    "predict_logits",
    "resolve_device",
    "train",
]
