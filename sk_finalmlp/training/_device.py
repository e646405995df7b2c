"""Device, threads and precision of a training."""

from __future__ import annotations

import ctypes
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from typing import Any, Literal

import torch
from threadpoolctl import ThreadpoolController
from torch import Tensor, nn

from ..nn import Ensemble, FieldEmbedding, cpu_has_bfloat16, modules_of

Precision = Literal["float32", "bfloat16", "auto"]

# Options of mallopt, in malloc.h, and the largest block that glibc keeps.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
_LARGE = 2**25

# Torch's threads wait for each other after each product, which pays where one takes a millisecond or more.
_FEW_MULTIPLICATIONS = 2**27


def resolve_device(name: str | torch.device) -> torch.device:
    """Return the device of a name; "auto" is the first there is of cuda, mps and cpu."""
    found = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    available = [kind for kind, is_there in found.items() if is_there]
    if name == "auto":
        return torch.device(available[0])
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ValueError(f"device={name!r} isn't a name of a device. Use 'auto' or one of {available}.") from None
    if device.type not in available or (device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count()):
        raise ValueError(
            f"device={str(name)!r} was asked for, but torch {torch.__version__} finds no such device here. Use 'auto' "
            f"or one of {available}, or install the driver and a build of torch for that device."
        )
    return device


def kept_on(device: torch.device, tensors: Sequence[Tensor]) -> Sequence[Tensor]:
    """Tensors on a device if all of them take at most half of its free memory; else as they are."""
    fit = sum(tensor.nbytes for tensor in tensors) <= _free_memory(device) / 2
    return [tensor.to(device) for tensor in tensors] if fit else tensors


def _free_memory(device: torch.device) -> int:
    """Free bytes of an accelerator, as far as torch tells; 0 where it doesn't, and on the CPU."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    return 0


def sent(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor on a device, asynchronously from pinned memory; itself if it is there already."""
    if device.type == "cuda" and tensor.device.type == "cpu":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def product_dtype(precision: Precision, device: torch.device) -> torch.dtype | None:
    """Return the type that factors of products are rounded to; None for none, also for "auto"."""
    if precision != "bfloat16":
        return None
    if not (cpu_has_bfloat16() if device.type == "cpu" else device.type == "cuda"):
        raise ValueError(
            f"precision='bfloat16' needs a CUDA device, or a CPU with the instructions AVX512-BF16 or AMX; torch "
            f"{torch.__version__} finds none of them on device {str(device)!r}, and without them products would be "
            "many times slower. Set precision='float32', or 'auto'."
        )
    return torch.bfloat16


@contextmanager
def kept_memory() -> Iterator[None]:
    """Let glibc keep large blocks from step to step, not return them to the system each time; free them in the end."""
    libc: Any = ctypes.CDLL(None) if sys.platform == "linux" else None
    if not hasattr(libc, "malloc_trim"):
        yield
        return
    # glibc raises this threshold once a process frees so large a block.
    libc.mallopt(_MMAP_THRESHOLD, _LARGE)
    try:
        libc.mallopt(_TRIM_THRESHOLD, 2**31 - 1)
        libc.mallopt(_TOP_PAD, _LARGE)
        yield
    finally:
        libc.mallopt(_TRIM_THRESHOLD, 2 * _LARGE)
        libc.mallopt(_TOP_PAD, 2**17)
        libc.malloc_trim(0)


#: Calls a function for each of several values, as the built-in `map` does.
Map = Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]


@contextmanager
def threads_of_steps(network: nn.Module, batch_size: int) -> Iterator[Map]:
    """Take as many threads as torch may have and steps on the CPU pay for; yield a map over the members."""
    # A thread per member waits once a step, with the same bits. A user's `torch.set_num_threads` is respected.
    n_threads = torch.get_num_threads()
    n_workers = min(n_threads, len(members_apart(network)))
    if n_threads == 1 or (n_workers < n_threads and _is_large(network, batch_size)) or _is_set_by_the_caller():
        yield map
        return
    with _openmp().limit(limits=1), _workers(n_workers) as each:
        yield each


def threads_of_batches(n_batches: int) -> AbstractContextManager[Map]:
    """Take as many threads as torch may have for several batches on the CPU, for a map over them."""
    n_workers = min(torch.get_num_threads(), n_batches)
    return _workers(1 if n_workers > 1 and _is_set_by_the_caller() else n_workers)


@contextmanager
def _workers(n_workers: int) -> Iterator[Map]:
    """A pool of threads, each with one of torch; for one, the calling thread does the work."""
    if n_workers == 1:
        yield map
        return
    with ThreadPoolExecutor(n_workers, "sk_finalmlp", _take_one_thread) as pool:
        yield pool.map


def _is_set_by_the_caller() -> bool:
    """Whether `torch.set_num_threads` was called: it overrides OpenMP's number in products."""
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
    tables = {id(embedding.table) for embedding in modules_of(network, FieldEmbedding)}
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
