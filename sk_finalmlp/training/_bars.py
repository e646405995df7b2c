"""Progress bars, drawn by rich, which is an extra."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich import get_console
from rich.console import Console
from rich.errors import LiveError
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from skorch.callbacks import Callback

from ._batches import Batches

_SECONDS_BETWEEN_UPDATES = 0.25


class EpochBars(Callback):
    """A bar of the epochs and one of the batches of an epoch.

    Parameters
    ----------
    progress : Progress
        Where the bars are.
    monitored : str or None
        Name of the validation score that decides about the end; None without validation rows.
    """

    def __init__(self, progress: Progress, monitored: str | None) -> None:
        self.progress = progress
        self.monitored = monitored

    def on_train_begin(self, net: Any, X: Batches, final: bool, **kwargs: Any) -> None:
        for task in self.progress.task_ids:
            self.progress.remove_task(task)
        self.final_ = final
        self.n_batches_ = len(X)
        bound = "at most" if self.monitored and not final else "left"
        # In batches, since a speed needs more measurements than the few epochs give.
        self.epochs_ = self._add(self._title(net, 1), net.max_epochs * self.n_batches_, bound)
        self.batches_ = self._add(_count("batch", 0, self.n_batches_), self.n_batches_, "left")
        self.score_ = ""

    def _add(self, title: str, total: int, bound: str) -> TaskID:
        return self.progress.add_task(title, total=total, bound=bound, note="")

    def _title(self, net: Any, number: int) -> str:
        return "final epoch" if self.final_ else _count("epoch", number, net.max_epochs)

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        self.progress.update(self.epochs_, description=self._title(net, len(net.history)), note=self._note(net))
        self.progress.reset(self.batches_, description=_count("batch", 0, self.n_batches_))

    def on_batch_end(self, net: Any, **kwargs: Any) -> None:
        batches = net.history[-1, "batches"]
        loss = "" if net.is_accelerated else f"train_loss {batches[-1]['train_loss']:.4f}"
        title = _count("batch", len(batches), self.n_batches_)
        self.progress.update(self.epochs_, advance=1)
        self.progress.update(self.batches_, advance=1, description=title, note=loss)

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        if self.monitored in net.history[-1]:
            self.score_ = f"{self.monitored} {net.history[-1][self.monitored]:.4f}  "
        self.progress.update(self.epochs_, note=self._note(net))
        self.progress.refresh()

    def _note(self, net: Any) -> str:
        return f"{self.score_}lr {net.optimizer_.param_groups[0]['lr']:.0e}"


def _count(what: str, number: int, total: int) -> str:
    return f"{what} {number:{len(str(total))}d}/{total}"


class NotebookProgress(Progress):
    """Bars below a notebook's cell, by IPython alone: rich's own need ipywidgets there."""

    def start(self) -> None:
        """Show the bars."""
        from IPython.display import display

        self._handle = display(self, display_id=True)
        self._shown_at = time.monotonic()

    def update(self, *arguments: Any, **changes: Any) -> None:
        """Change a bar, and show all of them if the last time is long enough ago."""
        super().update(*arguments, **changes)
        if time.monotonic() - self._shown_at > _SECONDS_BETWEEN_UPDATES:
            self.refresh()

    def refresh(self) -> None:
        """Show the bars as they are."""
        self._shown_at = time.monotonic()
        self._handle.update(self)

    def stop(self) -> None:
        """Take the bars away."""
        self._handle.update({"text/plain": "", "text/html": ""}, raw=True)


@contextmanager
def epoch_bars(monitored: str | None) -> Iterator[list[tuple[str, Callback]]]:
    """Bars in a terminal or a notebook, taken away in the end; none elsewhere.

    Parameters
    ----------
    monitored : str or None
        Name of the validation score that decides about the end; None without validation rows.

    Yields
    ------
    list of (str, skorch.callbacks.Callback)
    """
    progress = _start_bars(get_console())
    try:
        yield [("bars", EpochBars(progress, monitored))] if progress else []
    finally:
        if progress:
            progress.stop()


def _start_bars(console: Console) -> Progress | None:
    # Whether rich takes a file for a terminal is up to environment variables, too.
    if not console.is_jupyter and (not console.file.isatty() or console.is_dumb_terminal):
        return None
    kind = NotebookProgress if console.is_jupyter else Progress
    title, bound, note = map(TextColumn, ("{task.description}", "{task.fields[bound]}", "{task.fields[note]}"))
    progress = kind(title, BarColumn(16), TimeRemainingColumn(), bound, note, console=console, transient=True)
    try:
        progress.start()
    except LiveError:
        # Before version 14.1, rich has a single display at a time, and there is another, such as scikit-learn's.
        return None
    return progress
