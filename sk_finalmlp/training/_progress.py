"""How a training is followed: in the log, by a line per epoch, by bars of epochs and batches."""

from __future__ import annotations

import logging
import multiprocessing
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from skorch.callbacks import Callback

logger = logging.getLogger("sk_finalmlp.training")

_IN_THE_LINE = ("train_loss", "valid_loss", "valid_auc")


class EpochLines(Callback):
    """Logs a line per epoch, and writes it to the standard output where that is asked for.

    Parameters
    ----------
    written : bool
        Whether to write the lines, so that they are seen where nobody has configured a log.
    """

    def __init__(self, written: bool) -> None:
        self.written = written

    def on_train_begin(self, net: Any, final: bool, **kwargs: Any) -> None:
        self.final_ = final

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        record = net.history[-1]
        line = _line("final epoch" if self.final_ else f"epoch {record['epoch']:2d}", record)
        logger.info(line)
        if self.written:
            # In one piece, so that lines of several processes don't mix.
            sys.stdout.write(f"{_label()}{line}\n")
            sys.stdout.flush()


def _label() -> str:
    """Which of several trainings at the same time a line is of: the process and the thread, where they aren't main."""
    process, thread = multiprocessing.current_process(), threading.current_thread()
    names = [process.name] if process.name != "MainProcess" else []
    names += [thread.name] if thread is not threading.main_thread() else []
    return "".join(f"{name}: " for name in names)


def _line(title: str, record: Mapping[str, float]) -> str:
    # At most 80 characters, a terminal's width.
    losses = [f"{name} {record[name]:.4f}" for name in _IN_THE_LINE if name in record]
    return "  ".join([title, *losses, f"lr {record['learning_rate']:.0e}", f"{record['seconds']:.1f}s"])


@contextmanager
def progress_shown(verbose: int, monitored: str | None) -> Iterator[list[tuple[str, Callback]]]:
    """What follows a training, for the time of it.

    Parameters
    ----------
    verbose : int
        0: only the log. 1: a line per epoch. 2 or more: bars too, where they can be drawn: in a terminal or a notebook,
        in the main thread of the main process. Elsewhere they would be control characters in a file, or those of
        several trainings on one another.
    monitored : str or None
        Name of the validation score that decides about the end; None without validation rows.

    Yields
    ------
    list of (str, skorch.callbacks.Callback)

    Raises
    ------
    ImportError
        If bars are asked for and rich isn't installed.
    """
    lines = ("lines", EpochLines(written=verbose >= 1))
    if verbose < 2:
        yield [lines]
        return
    try:
        from ._bars import epoch_bars
    except ModuleNotFoundError as error:
        raise ImportError(
            f"verbose={verbose} shows progress bars, which need rich: pip install 'sk-finalmlp[progress]'. "
            "verbose=1 writes a line per epoch and needs nothing."
        ) from error
    if not _alone():
        yield [lines]
        return
    with epoch_bars(monitored) as bars:
        yield [lines, *bars]


def _alone() -> bool:
    """Whether no other training can write to the same screen at the same time."""
    return not _label()
