"""Parts of rows in files that are read at the same time, as tasks of joblib."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import Any

from joblib import Parallel, delayed, effective_n_jobs
from joblib.parallel import get_active_backend

from .._sources import Source, parts_of


class Parts:
    """Rows that are read part by part, each part by a task, where there are several workers and parts.

    What the parts are depends on the files alone, not on the number of workers.

    Parameters
    ----------
    source : Source
        All rows.
    n_jobs : int or None
        Number of workers, as joblib has it.

    Attributes
    ----------
    are_parallel : bool
        Whether tasks read them.
    """

    def __init__(self, source: Source, n_jobs: int | None) -> None:
        self.source = source
        self._n_jobs = n_jobs
        self._parts = parts_of(source) if effective_n_jobs(n_jobs) > 1 else [source]
        self.are_parallel = len(self._parts) > 1

    @property
    def n_rows(self) -> int | None:
        """Number of rows, if it is known."""
        return self.source.n_rows

    def map(self, function: Callable[..., Any], *arguments: Any) -> Iterator[Any]:
        """What a function makes of each part, given the part, the number of its first row, and arguments."""
        firsts = accumulate((part.n_rows or 0 for part in self._parts[:-1]), initial=0)
        backend, _ = get_active_backend()
        # Where results come one by one, they are not all in memory.
        return_as = "generator" if backend.supports_return_generator else "list"
        tasks = (delayed(function)(part, first, *arguments) for part, first in zip(self._parts, firsts, strict=True))
        yield from Parallel(n_jobs=self._n_jobs, return_as=return_as)(tasks)
