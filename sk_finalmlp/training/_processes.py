"""Several processes that train one network together, each on a slice of every batch.

Each has all rows and the whole network. They add up their gradients before the step, so that all take the same one, and
whatever is decided after an epoch is decided by the first of them.
"""

from __future__ import annotations

import os
import pickle
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from itertools import count
from typing import Any, Final, TypeVar

import torch
from joblib.parallel import get_active_backend
from torch import Tensor, nn

Value = TypeVar("Value")

# Type checkers know a part of it.
distributed: Any = torch.distributed
Store = Any

#: How often a waiting process looks for a failed one with an open connection.
_LOOK_AROUND: Final = timedelta(seconds=5)
#: No process is so much slower than the others.
_TIMEOUT: Final = timedelta(minutes=30)
#: A process that lives says within this time why it has left.
_SECONDS_TO_SAY_WHY: Final = 4.0

_numbers = count()


class Alone:
    """The process that trains by itself: a group of one."""

    rank = 0
    size = 1

    def own(self, rows: Tensor) -> Tensor:
        """The slice of this process."""
        return rows.tensor_split(self.size)[self.rank]

    def add_gradients(self, parameters: Sequence[nn.Parameter], loss: Tensor) -> Tensor:
        """Add the gradients of all processes up, and return the sum of their losses."""
        return loss

    def map_rows(self, function: Callable[..., Tensor], *columns: Tensor) -> Tensor:
        """What a function makes of all rows, where each row has a result of its own."""
        return function(*columns)

    def average_buffers(self, network: nn.Module) -> None:
        """Let all have the same buffers, such as the running moments of batch norm: their mean over processes."""

    def gathered(self, value: Value) -> list[Value]:
        """The values of all processes."""
        return [value]

    def told(self, value: Value) -> Value:
        """The value of the first process."""
        return self.gathered(value)[0]

    def leave(self, reason: str) -> None:
        """Take no further part, and let the others know why."""


#: The group of a training in one process.
ALONE: Final = Alone()


class LostProcess(RuntimeError):
    """Another process of the training has failed."""


class Group(Alone):
    """Processes that train together on one machine or many."""

    def __init__(self, store: Store, rank: int, size: int, device: torch.device) -> None:
        if device.type not in ("cpu", "cuda"):
            raise ValueError(f"Several processes train on CPUs or on CUDA devices, not on {str(device)!r}.")
        self.rank, self.size = rank, size
        self._store = store
        self._messages: Any = distributed.ProcessGroupGloo(store, rank, size, _TIMEOUT)
        self._tensors = self._messages
        if device.type == "cuda":
            nccl = distributed.PrefixStore("nccl", store)
            self._tensors = distributed.ProcessGroupNCCL(nccl, rank, size, _TIMEOUT)

    @contextmanager
    def sharing_errors(self) -> Iterator[None]:
        """Let the other processes know why this one ends, or say why another one has."""
        try:
            yield
            if self._messages is not None:
                # A process that closes its connections while others still read from them looks like one that fails.
                self.gathered(None)
        except LostProcess as error:
            self._close()
            self._say("lost", "")
            raise RuntimeError(f"The training ended, because {self._reason()}.") from error
        except BaseException as error:
            self.leave(f"{type(error).__name__}: {error}")
            raise
        self._close()

    def add_gradients(self, parameters: Sequence[nn.Parameter], loss: Tensor) -> Tensor:
        learned = [parameter for parameter in parameters if parameter.grad is not None]
        dense, sparse = ([p for p in learned if _gradient(p).is_sparse is kind] for kind in (False, True))
        total, *gradients = self._sums([loss, *map(_gradient, dense)])
        for parameter, gradient in zip(dense, gradients, strict=True):
            parameter.grad = gradient
        if sparse:
            self._add_rows(sparse)
        return total

    def _add_rows(self, tables: Sequence[nn.Parameter]) -> None:
        """Add up the gradients of tables; each process has some rows and sends only these."""
        packed = [_packed(_gradient(table).coalesce()) for table in tables]
        lengths = torch.tensor([len(numbers) for numbers in packed], device=tables[0].device)
        sizes = [own.tolist() for own in self._gather(lengths)]
        padded = torch.zeros(max(map(sum, sizes)), dtype=torch.int32, device=tables[0].device)
        torch.cat(packed, out=padded[: sum(sizes[self.rank])])
        received = self._gather(padded)
        parts = [torch.split(numbers[: sum(own)], own) for numbers, own in zip(received, sizes, strict=True)]
        for table, of_processes in zip(tables, zip(*parts, strict=True), strict=True):
            table.grad = _unpacked(of_processes, table)

    def map_rows(self, function: Callable[..., Tensor], *columns: Tensor) -> Tensor:
        """What a function makes of all rows, where each row has a result of its own; each process takes a slice."""
        n_rows = len(columns[0])
        if n_rows < self.size:
            return function(*columns)
        own = function(*(self.own(column) for column in columns))
        results = own.new_zeros(n_rows, *own.shape[1:])
        self.own(results).copy_(own)
        self._wait(self._messages.allreduce([results]))
        return results

    def average_buffers(self, network: nn.Module) -> None:
        # Buffers outside the weights are given vectors: they never change, and may be large.
        saved = network.state_dict()
        named = [(name, buffer) for name, buffer in network.named_buffers() if name in saved]
        buffers = [buffer for _, buffer in named if buffer.is_floating_point() and buffer.numel()]
        for buffer, total in zip(buffers, self._sums(buffers), strict=True):
            buffer.copy_(total / self.size)

    def start_alike(self, network: nn.Module, generator: torch.Generator) -> None:
        """Let all have the weights and the random numbers of the first."""
        generator.set_state(self.told(generator.get_state()))
        for tensor in network.state_dict().values():
            if tensor.numel():
                weights = tensor.detach().cpu().contiguous()
                self._wait(self._messages.broadcast([weights]))
                tensor.copy_(weights)

    def gathered(self, value: Value) -> list[Value]:
        own = torch.frombuffer(bytearray(pickle.dumps(value)), dtype=torch.uint8)
        lengths = [int(length) for length in self._gather(torch.tensor([len(own)]), self._messages)]
        padded = torch.cat([own, own.new_zeros(max(lengths) - len(own))])
        all_bytes = zip(self._gather(padded, self._messages), lengths, strict=True)
        return [pickle.loads(received[:length].numpy().tobytes()) for received, length in all_bytes]

    def leave(self, reason: str) -> None:
        self._say("failed", reason)
        self._close()

    def _sums(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """The sums of tensors over all processes, by one message."""
        if not tensors:
            return []
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        self._wait(self._tensors.allreduce([flat]))
        parts = torch.split(flat, [tensor.numel() for tensor in tensors])
        return [part.view_as(tensor) for part, tensor in zip(parts, tensors, strict=True)]

    def _gather(self, tensor: Tensor, group: Any = None) -> list[Tensor]:
        """Tensors of all processes, which have the same shape."""
        tensors = [torch.empty_like(tensor) for _ in range(self.size)]
        self._wait((group or self._tensors).allgather([tensors], [tensor]))
        return tensors

    def _wait(self, work: Any) -> None:
        """Wait until all processes have taken part."""
        deadline = time.monotonic() + _TIMEOUT.total_seconds()
        while True:
            try:
                work.wait(_LOOK_AROUND)
                return
            except RuntimeError as error:
                is_over = work.is_completed() or time.monotonic() > deadline
                if is_over or self._heard("failed") or self._heard("lost"):
                    raise LostProcess(str(error)) from error

    def _close(self) -> None:
        self._messages = self._tensors = None

    def _say(self, what: str, message: str) -> None:
        try:
            self._store.set(f"{what} {self.rank}", message)
        except RuntimeError:
            # The store was of the process that has failed.
            return

    def _heard(self, what: str) -> dict[int, str]:
        """What other processes have said, by rank."""
        others = [rank for rank in range(self.size) if rank != self.rank]
        return {
            rank: self._store.get(f"{what} {rank}").decode() for rank in others if self._store.check([f"{what} {rank}"])
        }

    def _reason(self) -> str:
        """Which process has failed, and why."""
        silent = set(range(self.size)) - {self.rank}
        try:
            end = time.monotonic() + _SECONDS_TO_SAY_WHY
            while time.monotonic() < end:
                if failed := self._heard("failed"):
                    return "; ".join(f"process {rank} of {self.size} failed: {said}" for rank, said in failed.items())
                silent = set(range(self.size)) - {self.rank, *self._heard("lost")}
                if not silent:
                    break
                time.sleep(0.1)
        except RuntimeError:
            return "the process that keeps the store of the group has gone, the first one as a rule"
        if not silent:
            return "the processes lost the connection to each other"
        ranks = " and ".join(f"process {rank} of {self.size}" for rank in sorted(silent))
        return f"{ranks} died without a word: killed, perhaps, for the lack of memory"


def _gradient(parameter: nn.Parameter) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad


def _packed(gradient: Tensor) -> Tensor:
    """Numbers of rows, and rows, bit by bit as integers."""
    rows = gradient.indices()[0].to(torch.int32)
    return torch.cat([rows, gradient.values().contiguous().view(torch.int32).view(-1)])


def _unpacked(packed: Sequence[Tensor], table: Tensor) -> Tensor:
    """The sum of sparse gradients of a table."""
    width = table.shape[1]
    rows, values = zip(*(part.tensor_split([len(part) // (1 + width)]) for part in packed), strict=True)
    values_of_rows = torch.cat(values).view(torch.float32).view(-1, width)
    numbers = torch.cat(rows).long().unsqueeze(0)
    return torch.sparse_coo_tensor(numbers, values_of_rows, table.shape, check_invariants=False).coalesce()


def is_started_with_others() -> bool:
    """Whether this process trains with others: in a process group or under torchrun, but not in a joblib task."""
    if get_active_backend()[0].nesting_level:
        return False
    if distributed.is_available() and distributed.is_initialized():
        return bool(distributed.get_world_size() > 1)
    variables = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
    return all(name in os.environ for name in variables) and int(os.environ["WORLD_SIZE"]) > 1


@contextmanager
def joined_group(device: torch.device) -> Iterator[Group]:
    """The group of the processes that were started with this one, for one training."""
    if distributed.is_initialized():
        rank, size = distributed.get_rank(), distributed.get_world_size()
        store = distributed.distributed_c10d._get_default_store()
    else:
        store, rank, size = _store_of_variables()
    # Each process takes part in the same trainings, so that their numbers agree.
    own_store = distributed.PrefixStore(f"sk_finalmlp {next(_numbers)}", store)
    group = Group(own_store, rank, size, device)
    with group.sharing_errors():
        yield group


@cache
def _store_of_variables() -> tuple[Store, int, int]:
    """The store that the variables of torchrun name, the number of this process, and how many there are."""
    store, rank, size = next(distributed.rendezvous("env://", timeout=_TIMEOUT))
    return store, rank, size
