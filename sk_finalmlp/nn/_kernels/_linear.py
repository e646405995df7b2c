"""Affine map."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from .._workspace import Workspace

# Narrower maps gain nothing by it, and logits keep their digits.
_ROUNDED_FROM_WIDTH = 16


def linear(x: Tensor, weight: Tensor, bias: Tensor | None, workspace: Workspace) -> Tensor:
    """`torch.nn.functional.linear` of a matrix, (B, n) -> (B, m); products in the type that the workspace asks for."""
    is_rounded = workspace.product_dtype is not None and min(weight.shape) >= _ROUNDED_FROM_WIDTH
    function = _RoundedLinear if is_rounded else _Linear
    output: Tensor = function.apply(x, weight, bias, workspace)
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


class _RoundedLinear(Function):
    """The same with factors rounded to the workspace's `product_dtype`; all else stays as it was."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, workspace: Workspace) -> Tensor:
        rounded = workspace.rounded("x", x), workspace.rounded("weight", weight)
        ctx.save_for_backward(*rounded)
        ctx.workspace = workspace
        ctx.dtype = x.dtype
        output = workspace.product("output", rounded[0], rounded[1].t(), x.dtype)
        return output if bias is None else output.add_(bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        workspace: Workspace = ctx.workspace
        upstream = workspace.rounded("upstream", gradient)
        to_x = to_weight = to_bias = None
        if ctx.needs_input_grad[0]:
            to_x = workspace.product("to_x", upstream, weight, ctx.dtype)
        if ctx.needs_input_grad[1]:
            to_weight = torch.mm(upstream.t(), x).to(ctx.dtype)
        if ctx.needs_input_grad[2]:
            to_bias = gradient.sum(dim=0)
        return to_x, to_weight, to_bias, None
