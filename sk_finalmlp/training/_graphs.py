"""How a step is launched: operator by operator, or on CUDA devices as a graph that was recorded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol, TypeAlias

import torch
from torch import Tensor
from torch.optim import Optimizer

from ._batches import Inputs, Labels

Batch: TypeAlias = tuple[Inputs, Labels]
#: Takes a step on a batch, and returns the loss.
Step: TypeAlias = Callable[[Batch], Tensor]
#: Calls a step with a batch, in one way or another.
Launch: TypeAlias = Callable[[Step, Batch], Tensor]

#: Steps before the first one is recorded: the optimizer makes its state, and libraries choose their algorithms.
_N_BEFORE = 3


def operator_by_operator(step: Step, batch: Batch) -> Tensor:
    """Take a step as it is written."""
    return step(batch)


class Recorder(Protocol):
    """What records the work of a device."""

    def beside(self, function: Callable[[], Tensor]) -> Tensor:
        """Call a function where a recording may follow."""
        ...

    def record(self, function: Callable[[], Tensor], generators: Sequence[torch.Generator]) -> Callable[[], Tensor]:
        """Record what a function launches, without doing it; what is returned does it, with new random numbers."""
        ...


class CudaRecorder:
    """Records the work of a CUDA device as graphs, which share their memory, and so the stream of the recordings.

    Parameters
    ----------
    device : torch.device
        The device, which needn't be the current one.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._pool = torch.cuda.graph_pool_handle()
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def beside(self, function: Callable[[], Tensor]) -> Tensor:
        """Call a function on the stream of the recordings: where the default one takes part, none can be made."""
        current = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            result = function()
        current.wait_stream(self._stream)
        return result

    def record(self, function: Callable[[], Tensor], generators: Sequence[torch.Generator]) -> Callable[[], Tensor]:
        """Record what a function launches."""
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.device(self._device):
            for generator in generators:
                # Else each replay would repeat the random numbers of the recording.
                graph.register_generator_state(generator)
            with torch.cuda.graph(graph, pool=self._pool, stream=self._stream):
                result = function()

        def replay() -> Tensor:
            graph.replay()
            return result

        return replay


class _Rates:
    """The learning rates of an optimizer, in tensors that recorded steps read.

    A schedule goes on to write numbers: torch's own replace a tensor by a number, or scale one that several groups
    share several times.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self._groups = optimizer.param_groups
        # The type that the fused kernel of Adam reads.
        self._tensors = [torch.empty((), dtype=torch.float32, device=g["params"][0].device) for g in self._groups]

    def write(self) -> None:
        """Let the next replay take the rates of now."""
        for group, tensor in zip(self._groups, self._tensors, strict=True):
            tensor.fill_(group["lr"])

    def read_by(self, step: Step) -> Step:
        """The step, in which the optimizer reads the tensors."""

        def reading(batch: Batch) -> Tensor:
            with self._lent():
                return step(batch)

        return reading

    @contextmanager
    def _lent(self) -> Iterator[None]:
        before = [{"lr": group["lr"], "capturable": group["capturable"]} for group in self._groups]
        for group, tensor in zip(self._groups, self._tensors, strict=True):
            group.update(lr=tensor, capturable=True)
        try:
            yield
        finally:
            for group, numbers in zip(self._groups, before, strict=True):
                group.update(numbers)


class Graphs:
    """Launches steps as graphs, one for each size of a batch, after a few steps as they are written.

    To launch the hundreds of operators of a small step takes the CPU longer than a GPU takes to run them. A graph
    is launched at once. It reads the batch and the learning rates from memory of its own, and works on the same
    parameters and moments as any other step.

    Parameters
    ----------
    recorder : Recorder
        Records steps.
    generators : sequence of torch.Generator
        Sources of the random numbers of a step, on its device.
    optimizer : torch.optim.Adam
        The optimizer of the steps: a fused one.

    References
    ----------
    https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs
    """

    def __init__(self, recorder: Recorder, generators: Sequence[torch.Generator], optimizer: Optimizer) -> None:
        self._recorder = recorder
        self._generators = generators
        self._rates = _Rates(optimizer)
        self._n_taken: Counter[tuple[torch.Size, ...]] = Counter()
        self._recordings: dict[tuple[torch.Size, ...], _Recording] = {}
        self._draws = False

    def __call__(self, step: Step, batch: Batch) -> Tensor:
        """Take a step; the loss is overwritten by the next one.

        Raises
        ------
        RuntimeError
            If the steps draw random numbers, and a replay doesn't draw new ones.
        """
        sizes = tuple(tensor.shape for part in batch for tensor in part)
        if sizes in self._recordings:
            return self._replay(self._recordings[sizes], batch)
        if self._n_taken[sizes] < _N_BEFORE:
            self._n_taken[sizes] += 1
            return self._take(step, batch)
        recording = _Recording(self._recorder, self._rates.read_by(step), batch, self._generators)
        loss = self._replay_first(recording, batch)
        self._recordings[sizes] = recording
        return loss

    def _take(self, step: Step, batch: Batch) -> Tensor:
        """Take a step as it is written, and notice whether it draws random numbers."""
        before = self._random_states()
        loss = self._recorder.beside(lambda: step(batch))
        self._draws = self._draws or before != self._random_states()
        return loss

    def _replay_first(self, recording: _Recording, batch: Batch) -> Tensor:
        before = self._random_states()
        loss = self._replay(recording, batch)
        if self._draws and before == self._random_states():
            raise RuntimeError("A recorded step repeats its random numbers on this device: set cuda_graph=False.")
        return loss

    def _replay(self, recording: _Recording, batch: Batch) -> Tensor:
        self._rates.write()
        return recording.replay(batch)

    def _random_states(self) -> list[list[int]]:
        # Known to the CPU: it needn't wait for the device.
        return [generator.get_state().tolist() for generator in self._generators]


class _Recording:
    """A recorded step, and the memory in which it finds its batch."""

    def __init__(self, recorder: Recorder, step: Step, batch: Batch, generators: Sequence[torch.Generator]) -> None:
        inputs, labels = batch
        self._own: Batch = _copies(*inputs), _copies(*labels)
        self._launch = recorder.record(lambda: step(self._own), generators)

    def replay(self, batch: Batch) -> Tensor:
        """The same on another batch."""
        for own_part, part in zip(self._own, batch, strict=True):
            for own, given in zip(own_part, part, strict=True):
                own.copy_(given)
        return self._launch()


def _copies(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    return first.clone(), second.clone()
