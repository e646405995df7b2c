"""Look-up in an embedding table."""

from __future__ import annotations

from typing import Any

import torch
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
    """Sum of the vectors of each segment, (N, d) and (N,) -> (n_segments, d); sorted, as keys of few bits sort fast."""
    dtype = torch.int16 if n_segments <= 2**15 else torch.int32
    order = torch.argsort(segments.to(dtype), stable=True)
    sizes = torch.bincount(segments, minlength=n_segments)
    return F.embedding_bag(order, vectors, sizes.cumsum(0) - sizes, mode="sum")
