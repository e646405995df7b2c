"""Other processes of this machine, started for one training: they take the same steps as the caller's."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import joblib
import torch
from joblib.externals.loky import ProcessPoolExecutor

from .._sources import TemporaryFolder
from ._batches import Impressions
from ._processes import Group, Store, distributed
from ._threads import limited_threads

_HOST: Final = "127.0.0.1"
_THREAD_VARIABLES: Final = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")

Work = Callable[..., Any]


class _Lent(NamedTuple):
    """Impressions whose columns are in a file, which all processes map into their memory."""

    path: Path
    others: dict[str, Any]


@contextmanager
def started_group(size: int, device: torch.device, work: Work, arguments: Sequence[Any]) -> Iterator[Group]:
    """Start processes for a training, of which this one is the first, and end them with it.

    They share the threads that torch may have here. Impressions among the arguments are written to a temporary file
    that all of them map into memory.

    Parameters
    ----------
    size : int
        Number of processes, this one included.
    device : torch.device
        Where the gradients are.
    work : callable
        What the others do, with their group and the arguments.
    arguments : sequence
        Goes to `work`.

    Yields
    ------
    Group
    """
    n_threads = max(1, torch.get_num_threads() // size)
    store = distributed.TCPStore(_HOST, 0, size, is_master=True, wait_for_workers=False)
    environment = dict.fromkeys(_THREAD_VARIABLES, str(n_threads))
    executor = ProcessPoolExecutor(size - 1, env=environment)
    folder = TemporaryFolder()
    try:
        with limited_threads(n_threads):
            lent = [_lend(argument, folder.path / str(number)) for number, argument in enumerate(arguments)]
            others = [
                executor.submit(_take_part, work, store.port, rank, size, device, lent) for rank in range(1, size)
            ]
            _wait_for(others, store)
            with Group(store, 0, size, device) as group:
                yield group
    finally:
        executor.shutdown(kill_workers=True)
        folder.remove()


def _wait_for(others: Sequence[Future[None]], store: Store) -> None:
    """Wait until the other processes have started; raise the error of one that can't."""
    started = [f"started {rank}" for rank in range(1, len(others) + 1)]
    while not store.check(started):
        for process in others:
            if process.done():
                process.result()
        time.sleep(0.05)


def _take_part(work: Work, port: int, rank: int, size: int, device: torch.device, lent: Sequence[Any]) -> None:
    """What another process does."""
    store = distributed.TCPStore(_HOST, port, size, is_master=False)
    arguments = [_borrow(argument) for argument in lent]
    store.set(f"started {rank}", "")
    with warnings.catch_warnings(), Group(store, rank, size, device) as group:
        # The first process says the same.
        warnings.simplefilter("ignore")
        work(group, *arguments)


def _lend(argument: Any, path: Path) -> Any:
    if not isinstance(argument, Impressions):
        return argument
    columns = {name: column.numpy() for name, column in vars(argument).items() if torch.is_tensor(column)}
    joblib.dump(columns, path)
    return _Lent(path, {name: value for name, value in vars(argument).items() if name not in columns})


def _borrow(argument: Any) -> Any:
    if not isinstance(argument, _Lent):
        return argument
    columns = joblib.load(argument.path, mmap_mode="c")
    tensors: dict[str, Any] = {name: torch.from_numpy(column) for name, column in columns.items()}
    return Impressions(**tensors, **argument.others)
