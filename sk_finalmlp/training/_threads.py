"""On which threads a step on the CPU runs: a thread for each member of an ensemble, or torch's for large products."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import Any, Protocol

import torch
from threadpoolctl import ThreadpoolController
from torch import nn

from ..nn import Ensemble, FieldEmbedding

# Torch's threads wait for each other after each product, which pays where one takes a millisecond or more.
_FEW_MULTIPLICATIONS = 2**27


class Map(Protocol):
    """Calls a function for each of several values, as the built-in `map` does."""

    def __call__(self, function: Callable[[Any], Any], values: Iterable[Any], /) -> Iterator[Any]: ...


@contextmanager
def threads_of_steps(network: nn.Module, batch_size: int) -> Iterator[Map]:
    """Take as many threads as torch may have and steps on the CPU pay for; what is yielded maps over the members.

    Torch's threads spin while they wait for each other, and wait long where another process has the core of one. With
    a thread for each member they meet once in a step. Each member's arithmetic stays in one thread, so that the
    results are those of one member after the other.

    The number of threads of torch is OpenMP's, and each thread of a process has a number of its own: what is set here
    is that of the calling thread and of those made here, until the end. A user's own `torch.set_num_threads` is
    respected.
    """
    n_threads = torch.get_num_threads()
    n_workers = min(n_threads, len(members_apart(network)))
    if n_threads == 1 or (n_workers < n_threads and _is_large(network, batch_size)) or _is_set_by_the_caller():
        yield map
        return
    with _openmp().limit(limits=1), _workers(n_workers) as each:
        yield each


@contextmanager
def threads_of_batches(n_batches: int) -> Iterator[Map]:
    """Take as many threads as torch may have for several batches on the CPU; what is yielded maps over them."""
    n_workers = min(torch.get_num_threads(), n_batches)
    if n_workers == 1 or _is_set_by_the_caller():
        yield map
        return
    with _workers(n_workers) as each:
        yield each


@contextmanager
def _workers(n_workers: int) -> Iterator[Map]:
    """So many threads, each with one of torch; for one, the calling thread does the work."""
    if n_workers == 1:
        yield map
        return
    with ThreadPoolExecutor(n_workers, "sk_finalmlp", _take_one_thread) as pool:
        yield pool.map


def _is_set_by_the_caller() -> bool:
    """Whether `torch.set_num_threads` was called: products then have so many threads, whatever OpenMP's number is."""
    with _openmp().limit(limits=1):
        of_products = re.search(r"mkl_get_max_threads\(\) : (\d+)", torch.__config__.parallel_info())
    return of_products is not None and int(of_products[1]) > 1


def members_apart(network: nn.Module) -> Sequence[nn.Module]:
    """The networks that can take their gradients apart from each other: the members of an ensemble, or it alone."""
    if not isinstance(network, Ensemble):
        return [network]
    parameters = [id(parameter) for member in network.members for parameter in member.parameters()]
    return [*network.members] if len(parameters) == len(set(parameters)) else [network]


def _is_large(network: nn.Module, batch_size: int) -> bool:
    tables = {id(module.table) for module in network.modules() if isinstance(module, FieldEmbedding)}
    n_weights = sum(parameter.numel() for parameter in network.parameters() if id(parameter) not in tables)
    return batch_size * n_weights > _FEW_MULTIPLICATIONS


def _take_one_thread() -> None:
    """For the life of the calling thread."""
    # Torch sets the number when it is first asked in a thread.
    torch.get_num_threads()
    _openmp().limit(limits=1)


@cache
def _openmp() -> ThreadpoolController:
    # Found by a search of all libraries of the process, which takes as long as a prediction.
    return ThreadpoolController().select(user_api="openmp")
