"""Epochs as scikit-learn's callbacks see them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from ..training import TrainingResult

FittedAttributes = Callable[[nn.Module, TrainingResult], dict[str, Any]]


class EpochTasks:
    """Observer of a training for whom each epoch is a subtask of the estimator's `fit`.

    Parameters
    ----------
    fit_context : sklearn.callback.CallbackContext
        Context of the fit.
    estimator : estimator
        What is fitted.
    data : dict
        What callbacks may ask for: `X`, `y`, `metadata`.
    fitted_attributes : callable
        Makes the attributes of an estimator that has a copy of a network, and a result; called only where a callback
        asks for a fitted estimator.
    """

    def __init__(
        self,
        fit_context: Any,
        estimator: Any,
        data: dict[str, Any],
        fitted_attributes: FittedAttributes,
    ) -> None:
        self._fit_context = fit_context
        self._fitted_attributes = fitted_attributes
        self._of_fit = {"estimator": estimator, **data}

    def begin_epoch(self, final: bool) -> None:
        """Begin a subtask."""
        self._task = self._fit_context.subcontext(task_name="final epoch" if final else "epoch")
        self._task.call_on_fit_task_begin(**self._of_fit)

    def end_epoch(self, network: nn.Module, result: TrainingResult) -> bool:
        """End the subtask; True where a callback wants the training to end."""
        stop: bool = self._task.call_on_fit_task_end(
            **self._of_fit, reconstruction_attributes=lambda: self._fitted_attributes(network, result)
        )
        return stop
