"""What a training is told, and what it tells."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
from torch import nn

from ._device import Precision
from ._scores import Scoring

_CPU = torch.device("cpu")


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """How to train; most names are parameters of `FinalMLPClassifier`.

    `freeze_norms` freezes the running statistics of batch norm; with None, `gate_regularizer` is
    `embedding_regularizer`. With `joins_processes`, the training is shared by the processes that were started together,
    as by `torchrun`.

    Examples
    --------
    >>> from sk_finalmlp.training import TrainingSettings
    >>> TrainingSettings(max_epochs=3).batch_size
    512
    """

    schedule: Literal["one_cycle", "plateau"] = "one_cycle"
    precision: Precision = "float32"
    learning_rate: float = 3e-3
    batch_size: int = 512
    max_epochs: int = 10
    n_iter_no_change: int = 4
    embedding_regularizer: float = 0.1
    net_regularizer: float = 0.0
    device: torch.device = _CPU
    scoring: Scoring = "neg_log_loss"
    final_epoch: bool = False
    verbose: int = 0
    negative_sampling: float = 1.0
    freeze_norms: bool = False
    checkpoint: Path | None = None
    joins_processes: bool = False
    gate_regularizer: float | None = None


EpochHistory = list[dict[str, Any]]


@dataclass(frozen=True)
class TrainingResult:
    """What a training leaves beside the weights.

    Parameters
    ----------
    history : list of dict
        One record per finished epoch: epoch, train_loss, valid_loss, valid_auc, the same of each of several tasks, the
        score of `scoring` if that is another one, learning_rate (in its last step), seconds.
    best_epoch : int
        The epoch, from 1, of the best monitored score, without validation rows the last one. The network has its
        weights, or the final epoch began from them.
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


class EpochObserver(Protocol):
    """Is notified of each epoch, and may end the training.

    Examples
    --------
    >>> class StopAt:
    ...     def __init__(self, valid_auc):
    ...         self.valid_auc = valid_auc
    ...
    ...     def begin_epoch(self, final):
    ...         pass
    ...
    ...     def end_epoch(self, network, result):
    ...         return result.history[-1]["valid_auc"] >= self.valid_auc

    An instance of it is given to `train` as `observer`.
    """

    def begin_epoch(self, final: bool) -> None:
        """An epoch begins; the final one learns from the validation rows, too."""

    def end_epoch(self, network: nn.Module, result: TrainingResult) -> bool:
        """An epoch has ended, with these weights and this result so far; True ends the training."""
        ...
