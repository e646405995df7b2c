"""What a training leaves of a classifier, at its end and after each epoch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from torch import nn

from ..training import Moments
from ._field_readers import FieldReader
from ._labels import Labels
from ._network import NetworkClass, network_of_arrays, weights_as_arrays

if TYPE_CHECKING:
    from ..training import EpochHistory, TrainingResult


@dataclass(frozen=True)
class Fitted:
    """A trained network with all that its classifier knows; before the training, with the history of earlier ones."""

    network_class: NetworkClass
    network: nn.Module
    arguments: dict[str, Any]
    readers: list[FieldReader]
    labels: Labels
    seed: int
    history: EpochHistory
    moments: Moments | None = None
    best_epoch: int = 0
    best_score: float | None = None

    def after(self, result: TrainingResult) -> Fitted:
        """Return it with the epochs of a training."""
        n_before = len(self.history)
        history = [*self.history, *({**epoch, "epoch": n_before + epoch["epoch"]} for epoch in result.history)]
        return replace(self, history=history, best_epoch=n_before + result.best_epoch, best_score=result.best_score)

    def after_update(self, result: TrainingResult, scores: Mapping[str, float]) -> Fitted:
        """Return it with one more epoch, which was scored before it began."""
        (epoch,), n_epochs = result.history, len(self.history) + 1
        losses = {"epoch": n_epochs, "train_loss": epoch["train_loss"]}
        record = {**losses, **scores, "learning_rate": epoch["learning_rate"], "seconds": epoch["seconds"]}
        return replace(self, history=[*self.history, record], best_epoch=n_epochs)

    def copied_after(self, network: nn.Module, result: TrainingResult) -> Fitted:
        """Return it with a copy of the network and the epochs so far."""
        copy = network_of_arrays(self.network_class, self.arguments, weights_as_arrays(network))
        return replace(self, network=copy).after(result)

    def attributes(self) -> dict[str, Any]:
        """Return the attributes of the classifier."""
        return {
            **self.labels.attributes(),
            "network_": self.network,
            "fields_": [*self.arguments["fields"]],
            "history_": self.history,
            "n_iter_": len(self.history),
            "best_epoch_": self.best_epoch,
            "best_score_": self.best_score,
            "_network_arguments": self.arguments,
            "_readers": self.readers,
            "_seed": self.seed,
            "_moments": self.moments,
        }


class EpochTasks:
    """Observer of a training that makes each epoch a subtask of the estimator's `fit`, for scikit-learn's callbacks.

    `fitted` gives what the training would leave if it ended there; it is called where a callback asks for it.
    """

    def __init__(
        self,
        fit_context: Any,
        estimator: Any,
        data: dict[str, Any],
        fitted: Callable[[nn.Module, TrainingResult], Fitted],
    ) -> None:
        self._fit_context = fit_context
        self._fitted = fitted
        self._of_fit = {"estimator": estimator, **data}

    def begin_epoch(self, final: bool) -> None:
        """Begin a subtask."""
        self._task = self._fit_context.subcontext(task_name="final epoch" if final else "epoch")
        self._task.call_on_fit_task_begin(**self._of_fit)

    def end_epoch(self, network: nn.Module, result: TrainingResult) -> bool:
        """End the subtask; True where a callback wants the training to end."""
        stop: bool = self._task.call_on_fit_task_end(
            **self._of_fit, reconstruction_attributes=lambda: self._fitted(network, result).attributes()
        )
        return stop
