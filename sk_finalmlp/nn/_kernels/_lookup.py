"""Look-up in an embedding table."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from .._workspace import Workspace


def look_up(table: Tensor, rows: Tensor, workspace: Workspace) -> Tensor:
    """`torch.nn.functional.embedding` with `padding_idx=0`, (n, d) and (B, F) -> (B, F, d)."""
    vectors: Tensor = _LookUp.apply(table, rows, workspace)
    return vectors


class _LookUp(Function):
    @staticmethod
    def forward(ctx: Any, table: Tensor, rows: Tensor, workspace: Workspace) -> Tensor:
        ctx.save_for_backward(rows)
        ctx.n_rows = len(table)
        vectors = workspace.empty("vectors", (rows.numel(), table.shape[1]), table.dtype)
        return torch.index_select(table, 0, rows.flatten(), out=vectors).view(*rows.shape, -1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        (rows,) = ctx.saved_tensors
        to_table = _segment_sums(gradient.flatten(end_dim=1), rows.flatten(), ctx.n_rows)
        to_table[0] = 0
        return to_table, None, None


def _segment_sums(vectors: Tensor, segments: Tensor, n_segments: int) -> Tensor:
    """Sum of the vectors of each segment, (N, d) and (N,) -> (n_segments, d)."""
    order = torch.from_numpy(_stable_order(segments.numpy(), n_segments))
    sizes = torch.bincount(segments, minlength=n_segments)
    return F.embedding_bag(order, vectors, sizes.cumsum(0) - sizes, mode="sum")


def _stable_order(keys: NDArray[np.int64], n_keys: int) -> NDArray[np.int64]:
    """Positions in ascending order of keys, 16 bits at a time: NumPy has a radix sort for those, torch has none."""
    order = np.argsort(keys.astype(np.uint16), kind="stable")
    for shift in range(16, (n_keys - 1).bit_length(), 16):
        order = order[np.argsort((keys[order] >> shift).astype(np.uint16), kind="stable")]
    return order
