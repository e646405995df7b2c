"""Progress of a pass over all rows: a line for each pass, or a bar with the time left."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

logger = logging.getLogger("sk_finalmlp.sources")


class Passes:
    """Tells of the passes over the rows."""

    def __init__(self, verbose: int) -> None:
        self._verbose = verbose

    @contextmanager
    def over(self, what: str, n_rows: int | None) -> Iterator[Callable[[int], None]]:
        """Time a pass: call what this gives with the number of rows of each step."""
        start, done = time.perf_counter(), 0
        with self._bar(what, n_rows) as advance_bar:

            def advance(n: int) -> None:
                nonlocal done
                done += n
                advance_bar(n)

            yield advance
        seconds = time.perf_counter() - start
        line = f"{what}: {done:,} rows in {seconds:.1f}s, {done / max(seconds, 1e-9):,.0f} a second"
        logger.info(line)
        if self._verbose >= 1:
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()

    @contextmanager
    def _bar(self, what: str, n_rows: int | None) -> Iterator[Callable[[int], None]]:
        progress = self._start()
        if progress is None:
            yield lambda n: None
            return
        with progress:
            task = progress.add_task(what, total=n_rows)
            yield lambda n: progress.update(task, advance=n)

    def _start(self) -> Any:
        if self._verbose < 2:
            return None
        try:
            from rich.console import Console
            from rich.progress import Progress
        except ModuleNotFoundError as error:
            raise ImportError(
                f"verbose={self._verbose} shows progress bars, which need rich: pip install 'sk-finalmlp[progress]'. "
                "verbose=1 writes a line for each pass and needs nothing."
            ) from error
        console = Console()
        # Control characters in a file would only be in the way.
        return Progress(console=console, transient=True) if console.is_terminal else None
