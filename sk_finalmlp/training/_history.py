"""What is kept of a training: a record per epoch, and which of them was the best."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

_BEFORE, _AFTER = ("epoch", "train_loss", "valid_loss", "valid_auc"), ("learning_rate", "seconds")
#: What the names of the scores of single tasks begin with.
_OF_TASK = ("valid_loss_", "valid_auc_")

EpochHistory = list[dict[str, float]]


@dataclass(frozen=True)
class TrainingResult:
    """What a training leaves beside the weights.

    Parameters
    ----------
    history : list of dict
        One record per finished epoch: epoch, train_loss, valid_loss, valid_auc, those of each task where there are
        several, learning_rate (that of its last step), seconds.
    best_epoch : int
        The epoch, from 1, of the best monitored score, without validation rows the last one. Its weights are those of
        the network, or those from which the final epoch began.
    best_score : float or None
        Its monitored score; None without validation rows.

    Examples
    --------
    >>> from sk_finalmlp.training import TrainingResult
    >>> history = [{"epoch": 1, "valid_auc": 0.71}, {"epoch": 2, "valid_auc": 0.74}]
    >>> result = TrainingResult(history, best_epoch=2, best_score=0.74)
    >>> result.history[result.best_epoch - 1]["valid_auc"]
    0.74
    """

    history: EpochHistory
    best_epoch: int
    best_score: float | None


def finished_epochs(history: Iterable[Mapping[str, Any]]) -> EpochHistory:
    """The complete records of a net's history, without those of its batches."""
    return [_record(epoch) for epoch in history if "seconds" in epoch]


def _record(epoch: Mapping[str, Any]) -> dict[str, float]:
    of_tasks = [name for name in epoch if name.startswith(_OF_TASK)]
    return {name: epoch[name] for name in (*_BEFORE, *of_tasks, *_AFTER) if name in epoch}
