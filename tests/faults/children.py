"""Processes of which each does one thing and says what came of it.

They are forks of a process that has imported everything and run nothing, so that one more costs no second.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_BEGUN, _ENDED = "begun", "ended"

Action = Callable[[], str]


class Child:
    """A process that runs an action and writes its outcome, a word or two, to a file.

    Parameters
    ----------
    action : callable
        What it does; it returns the outcome.
    folder : Path
        Its working and temporary folder.
    """

    def __init__(self, action: Action, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        self._folder = folder
        self._outcome = folder.with_suffix(".outcome")
        self._outcome.unlink(missing_ok=True)
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            self._run(action, folder)

    def _run(self, action: Action, folder: Path) -> None:
        try:
            os.chdir(folder)
            os.environ["TMPDIR"] = str(folder)
            outcome = action()
            self._outcome.write_text(outcome)
        except KeyboardInterrupt:
            self._outcome.write_text("interrupted")
        except BaseException:  # noqa: BLE001  (a child never returns into the parent's code)
            traceback.print_exc()
        finally:
            os._exit(0)

    def interrupt(self, moment: float, number: signal.Signals) -> None:
        """Send a signal so many seconds after the action has said that it begins."""
        while not (self._folder / _BEGUN).exists():
            time.sleep(0.001)
        time.sleep(moment)
        # A child that has ended stays known until it is waited for.
        os.kill(self.pid, number)

    def wait(self) -> str:
        """The outcome, or how the process ended without one."""
        _, status = os.waitpid(self.pid, 0)
        if self._outcome.exists():
            return self._outcome.read_text()
        return "killed" if os.WIFSIGNALED(status) else "died"


def run(action: Action, folder: Path) -> str:
    """Run an action in a process of its own."""
    return Child(action, folder).wait()


@contextmanager
def measured() -> Iterator[None]:
    """The part of an action in which it may be interrupted."""
    Path(_BEGUN).touch()
    try:
        yield
    finally:
        # A signal that comes late must not find the child on its way out.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        Path(_ENDED).touch()


def seconds_of(action: Action, folder: Path) -> float:
    """How long the measured part of an action takes when nothing comes between."""
    run(action, folder)
    return (folder / _ENDED).stat().st_mtime - (folder / _BEGUN).stat().st_mtime


def files_left(folder: Path) -> list[str]:
    """What an action has left in its folder."""
    return sorted({path.name for path in folder.iterdir()} - {_BEGUN, _ENDED})
