"""How a training is followed: a line per epoch, in the log and on the screen."""

from __future__ import annotations

import logging
import multiprocessing
import sys
import threading
from collections.abc import Mapping
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
