"""Memory that training reuses from step to step."""

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
    """Memory for the large tensors of a training step, reused in each step.

    The C library's allocator requests new pages for each tensor of several megabytes and returns them when the tensor
    is freed, which takes about as long as to fill it. Memory is reused once nothing holds its previous tensor or a view
    of it, so a module called twice before its backward pass gets a new tensor the second time. `tensor.detach()` and
    arrays don't hold it, and change with the next call.
    """

    def __init__(self, product_dtype: torch.dtype | None = None) -> None:
        self.product_dtype = product_dtype
        self._blocks: dict[str, Tensor] = {}
        self._holders: dict[str, weakref.ref[Tensor]] = {}

    def __reduce__(self) -> tuple[type[Workspace], tuple[torch.dtype | None]]:
        """A copy of a network has memory of its own."""
        return Workspace, (self.product_dtype,)

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

    def rounded(self, name: str, tensor: Tensor) -> Tensor:
        """A tensor in the type of products, in the memory of this name."""
        assert self.product_dtype is not None
        return self.empty(name, tensor.shape, self.product_dtype).copy_(tensor)

    def product(self, name: str, a: Tensor, b: Tensor, dtype: torch.dtype) -> Tensor:
        """The product of two rounded matrices in another type, in the memory of this name."""
        shape = len(a), b.shape[1]
        rounded = torch.mm(a, b, out=self.empty(f"rounded {name}", shape, a.dtype))
        return self.empty(name, shape, dtype).copy_(rounded)


class WorkspaceUser(nn.Module):
    """Module that writes into a workspace of its own while it is lent one, in training mode."""

    _lent: Workspace | None = None

    @property
    def workspace(self) -> Workspace | None:
        """The workspace; None in evaluation, and outside of `lent_workspaces`."""
        return self._lent if self.training else None


@contextmanager
def lent_workspaces(network: nn.Module, product_dtype: torch.dtype | None = None) -> Iterator[None]:
    """Let the modules of a network on the CPU reuse their memory from step to step, within the context.

    Outputs and gradients stay the same, except for products whose factors are rounded to `product_dtype`.
    """
    users = [module for module in network.modules() if isinstance(module, WorkspaceUser)]
    for user in users:
        user._lent = Workspace(product_dtype)
    try:
        yield
    finally:
        for user in users:
            user._lent = None
