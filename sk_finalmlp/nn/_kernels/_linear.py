"""Affine map."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from .._workspace import Workspace


def linear(x: Tensor, weight: Tensor, bias: Tensor | None, workspace: Workspace) -> Tensor:
    """`torch.nn.functional.linear` of a matrix, (B, n) -> (B, m)."""
    output: Tensor = _Linear.apply(x, weight, bias, workspace)
    return output


class _Linear(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, workspace: Workspace) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.workspace = workspace
        output = workspace.empty("output", (len(x), len(weight)), x.dtype)
        if bias is None:
            return torch.mm(x, weight.t(), out=output)
        return torch.addmm(bias, x, weight.t(), out=output)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        to_x = to_weight = to_bias = None
        # Where x is narrow, BLAS is up to six times as fast with the other operand or the result transposed.
        is_narrow = x.shape[1] < gradient.shape[1]
        if ctx.needs_input_grad[0]:
            by_columns = weight.t().contiguous().t() if is_narrow else weight
            to_x = torch.mm(gradient, by_columns, out=ctx.workspace.empty_like("to_x", x))
        if ctx.needs_input_grad[1]:
            to_weight = torch.mm(x.t(), gradient).t() if is_narrow else torch.mm(gradient.t(), x)
        if ctx.needs_input_grad[2]:
            to_bias = gradient.sum(dim=0)
        return to_x, to_weight, to_bias, None
