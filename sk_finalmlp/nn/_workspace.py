"""Memory that a training keeps from step to step."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import prod

import torch
from torch import Tensor, nn

# So few need no pages of their own.
_FEW_ELEMENTS = 16_384


class Workspace:
    """Hands out memory for the large tensors of a training step, the same in each step.

    The C library's allocator asks the system for fresh pages for each tensor of several megabytes and returns them
    when it is freed, which costs about as much time as to fill it.

    Memory is handed out again when nobody holds the tensor that had it before, or a view of that, as a graph that waits
    for its backward pass does: where a module is called twice before that, the second tensor is a new one. What shares
    the memory without being a view (`tensor.detach()`, `tensor.data`, an array) doesn't count as holding it, and
    changes with the next call: clone it.

    Examples
    --------
    >>> import torch
    >>> from sk_finalmlp.nn._workspace import Workspace
    >>> workspace = Workspace()
    >>> first = workspace.empty("output", (4096, 30), torch.float32)
    >>> address = first.data_ptr()
    >>> workspace.empty("output", (4096, 30), torch.float32).data_ptr() == address
    False
    >>> del first
    >>> workspace.empty("output", (4095, 30), torch.float32).data_ptr() == address
    True
    """

    def __init__(self) -> None:
        self._blocks: dict[str, Tensor] = {}
        self._holders: dict[str, weakref.ref[Tensor]] = {}

    def __reduce__(self) -> tuple[type[Workspace], tuple[()]]:
        """A copy of a network has memory of its own."""
        return Workspace, ()

    def empty(self, name: str, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """A tensor of any content, in the memory of this name."""
        size, block, holder = prod(shape), self._blocks.get(name), self._holders.get(name)
        if size < _FEW_ELEMENTS or (holder is not None and holder() is not None):
            return torch.empty(shape, dtype=dtype)
        if block is None or block.dtype != dtype or len(block) < size:
            block = self._blocks[name] = torch.empty(size, dtype=dtype)
        # Detached, so that what is made of the tensor has it as its base, not the block.
        tensor = block[:size].view(shape).detach()
        self._holders[name] = weakref.ref(tensor)
        return tensor

    def empty_like(self, name: str, tensor: Tensor) -> Tensor:
        """A tensor of the shape and type of another, in the memory of this name."""
        return self.empty(name, tensor.shape, tensor.dtype)


class WorkspaceUser(nn.Module):
    """Module that writes into a workspace of its own while it is lent one, in training mode."""

    _lent: Workspace | None = None

    @property
    def workspace(self) -> Workspace | None:
        """The workspace; None in evaluation, and outside of `lent_workspaces`."""
        return self._lent if self.training else None


@contextmanager
def lent_workspaces(network: nn.Module) -> Iterator[None]:
    """Let the modules of a network keep their memory from step to step, for the time of the context.

    Outputs and gradients are the same as without; second derivatives aren't available.

    Parameters
    ----------
    network : torch.nn.Module
        Network on the CPU.

    Examples
    --------
    >>> import torch
    >>> from sk_finalmlp.nn import Stream, lent_workspaces
    >>> stream = Stream(n_features=30, hidden_units=[64])
    >>> with lent_workspaces(stream):
    ...     for _ in range(10):
    ...         stream(torch.randn(4096, 30)).sum().backward()
    """
    users = [module for module in network.modules() if isinstance(module, WorkspaceUser)]
    for user in users:
        user._lent = Workspace()
    try:
        yield
    finally:
        for user in users:
            user._lent = None
