"""The task of fitting, reported to scikit-learn's callbacks (`sklearn.callback`, from version 1.9 on)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["CallbackSupportMixin", "fit_task"]

try:
    from sklearn.callback import CallbackSupportMixin
except ModuleNotFoundError:  # pragma: no cover

    class _NobodyToTell:
        """Context of a fit in versions of scikit-learn that have no callbacks."""

        def call_on_fit_task_begin(self, **kwargs: Any) -> None:
            pass

        def call_on_fit_task_end(self, **kwargs: Any) -> None:
            pass

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stands for the mixin of later versions; there is no `set_callbacks`."""

        def _init_callback_context(self, **kwargs: Any) -> _NobodyToTell:
            return _NobodyToTell()


@contextmanager
def fit_task(estimator: Any, max_subtasks: int = 0, **data: Any) -> Iterator[Any]:
    """The task of fitting an estimator: its callbacks are notified when it begins, and when it ends without an error.

    After an error the estimator is as it was before.

    Parameters
    ----------
    estimator : estimator
        What is fitted; its `fit` is decorated with `_fit_context`, which tears the callbacks down.
    max_subtasks : int, default=0
        Number of subtasks at most.
    **data : object
        What callbacks may ask for: `X`, `y`, `metadata`.

    Yields
    ------
    sklearn.callback.CallbackContext
        Context that makes the contexts of subtasks. Ask for none where the estimator has no callbacks.
    """
    task = estimator._init_callback_context(max_subtasks=max_subtasks)
    task.call_on_fit_task_begin(estimator=estimator, **data)
    # Not earlier: scikit-learn keeps in the attributes which callbacks to tear down.
    before = dict(vars(estimator))
    try:
        yield task
    except BaseException:
        estimator.__dict__ = before
        raise
    # A fitted estimator is a copy of this one with no attribute to add.
    task.call_on_fit_task_end(estimator=estimator, **data, reconstruction_attributes={})
