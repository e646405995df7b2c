"""The arithmetic of a training step on the CPU, in few passes over memory that is kept from step to step.

Each function is a few plain lines of torch with its derivative; the module that calls it shows them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from ._torch import threshold_backward
from ._workspace import Workspace

if TYPE_CHECKING:
    from ._layers import Dropout

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


def normalised_activation(x: Tensor, norms: Sequence[nn.BatchNorm1d], dropout: Dropout, workspace: Workspace) -> Tensor:
    """`dropout(relu(norm(x)))` in training mode, (B, n) -> (B, n); the running statistics move as there.

    Several norms, alike but in width, are those of as many layers side by side.
    """
    if len(x) == 1:
        raise ValueError("Batch norm needs more than 1 value per channel: a batch of one row has no variance.")
    for norm in norms:
        assert norm.num_batches_tracked is not None
        norm.num_batches_tracked.add_(1)
    weight, bias = (torch.cat(parameters) for parameters in zip(*((n.weight, n.bias) for n in norms), strict=True))
    output: Tensor = _NormalisedActivation.apply(x, weight, bias, norms, dropout, workspace)
    return output


def activation(x: Tensor, dropout: Dropout, workspace: Workspace) -> Tensor:
    """`dropout(relu(x))` in training mode."""
    output: Tensor = _Activation.apply(x, dropout, workspace)
    return output


class _NormalisedActivation(Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        norms: Sequence[nn.BatchNorm1d],
        dropout: Dropout,
        workspace: Workspace,
    ) -> Tensor:
        standard = workspace.empty_like("standard", x)
        inverse_deviation = _standardise(x, norms, out=standard)
        # The scale of dropout is part of that of batch norm.
        ctx.scale = 1 / (1 - dropout.p)
        output = workspace.empty_like("output", x)
        torch.addcmul(bias * ctx.scale, standard, weight * ctx.scale, out=output)
        output.clamp_(min=0)
        _drop(output, dropout, workspace)
        ctx.workspace = workspace
        ctx.save_for_backward(output, standard, weight, inverse_deviation)
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        output, standard, weight, inverse_deviation = ctx.saved_tensors
        kept = ctx.workspace.empty_like("scratch", output)
        _keep_where_above(gradient, output, 0, out=kept)
        to_bias = ctx.scale * kept.sum(dim=0)
        to_x = torch.mul(kept, standard, out=ctx.workspace.empty_like("to_x", output))
        to_weight = ctx.scale * to_x.sum(dim=0)
        # What moves mean and deviation of the batch doesn't reach x.
        slope = weight * inverse_deviation
        torch.addcmul(-slope * to_bias / len(output), standard, -slope * to_weight / len(output), out=to_x)
        to_x.addcmul_(kept, ctx.scale * slope)
        return to_x, to_weight, to_bias, None, None, None


def _standardise(x: Tensor, norms: Sequence[nn.BatchNorm1d], out: Tensor) -> Tensor:
    """Normalise layers over the batch, move their running statistics, and return the inverse of their deviations."""
    running = [(norm.running_mean, norm.running_var) for norm in norms]
    means, variances = (torch.cat(moments) for moments in zip(*running, strict=True))
    momentum = norms[0].momentum
    assert momentum is not None
    mean, inverse_deviation = x.new_empty(0), x.new_empty(0)
    torch.native_batch_norm(
        x, None, None, means, variances, True, momentum, norms[0].eps, out=(out, mean, inverse_deviation)
    )
    widths = [norm.num_features for norm in norms]
    for moments, *moved in zip(running, means.split(widths), variances.split(widths), strict=True):
        for moment, value in zip(moments, moved, strict=True):
            assert moment is not None
            moment.copy_(value)
    return inverse_deviation


class _Activation(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, dropout: Dropout, workspace: Workspace) -> Tensor:
        ctx.scale = 1 / (1 - dropout.p)
        output = torch.clamp(x, min=0, out=workspace.empty_like("output", x))
        _drop(output, dropout, workspace)
        _scale(output, ctx.scale)
        ctx.workspace = workspace
        ctx.save_for_backward(output)
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        (output,) = ctx.saved_tensors
        to_x = ctx.workspace.empty_like("to_x", output)
        _keep_where_above(gradient, output, 0, out=to_x)
        return _scale(to_x, ctx.scale), None, None


def _drop(x: Tensor, dropout: Dropout, workspace: Workspace) -> None:
    """Set elements to zero in place; the others keep their scale."""
    if dropout.p:
        numbers = dropout.draw(workspace.empty_like("scratch", x))
        _keep_where_above(x, numbers, dropout.threshold, out=x)


def _scale(x: Tensor, scale: float) -> Tensor:
    return x if scale == 1 else x.mul_(scale)


def _keep_where_above(x: Tensor, other: Tensor, threshold: float, out: Tensor) -> None:
    """Write `x` into `out`, with zeros where `other` isn't above the threshold."""
    if threshold_backward is None:
        torch.mul(x, other > threshold, out=out)
    else:
        threshold_backward(x, other, threshold, grad_input=out)


def bilinear_fusion(
    x: Tensor, y: Tensor, weight_x: Tensor, weight_y: Tensor, bilinear: Tensor, workspace: Workspace
) -> Tensor:
    """Linear and bilinear terms, without a bias: `x @ weight_x.T + y @ weight_y.T + sum over h of x_h' W_h y_h`.

    Shapes are (B, X), (B, Y), (C, X), (C, Y) and (H, X/H, C, Y/H) -> (B, C).
    """
    logits: Tensor = _BilinearFusion.apply(x, y, weight_x, weight_y, bilinear, workspace)
    return logits


class _BilinearFusion(Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, y: Tensor, weight_x: Tensor, weight_y: Tensor, bilinear: Tensor, workspace: Workspace
    ) -> Tensor:
        ctx.workspace = workspace
        n_heads, _, n_outputs, y_head = bilinear.shape
        # The factor of y in the logit, for each output: W_h' x_h + weight_y.
        factor = workspace.empty("factor", (len(x), n_heads, n_outputs, y_head), x.dtype)
        torch.bmm(_heads(x, n_heads), bilinear.flatten(start_dim=2), out=_heads(factor, n_heads))
        factor += weight_y.view(n_outputs, n_heads, y_head).transpose(0, 1)
        ctx.save_for_backward(x, y, weight_x, bilinear, factor)
        terms = torch.mul(factor, y.view(-1, n_heads, 1, y_head), out=workspace.empty_like("terms", factor))
        return torch.addmm(terms.sum(dim=(1, 3)), x, weight_x.t())

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, y, weight_x, bilinear, factor = ctx.saved_tensors
        n_heads, _, n_outputs, y_head = bilinear.shape
        upstream = gradient.view(-1, 1, n_outputs, 1)
        y_by_output = ctx.workspace.empty_like("terms", factor)
        torch.mul(y.view(-1, n_heads, 1, y_head), upstream, out=y_by_output)
        y_heads = _heads(y_by_output, n_heads)
        to_x = ctx.workspace.empty_like("to_x", x)
        torch.bmm(y_heads, bilinear.flatten(start_dim=2).transpose(1, 2), out=_heads(to_x, n_heads))
        for to_logit, weight in zip(gradient.split(1, dim=1), weight_x, strict=True):
            to_x.addcmul_(to_logit, weight)
        to_bilinear = torch.bmm(_heads(x, n_heads).transpose(1, 2), y_heads).view_as(bilinear)
        to_y = torch.mul(factor, upstream, out=ctx.workspace.empty_like("to_y", factor))
        to_y = (to_y if n_outputs == 1 else to_y.sum(dim=2)).view_as(y)
        return to_x, to_y, gradient.t() @ x, gradient.t() @ y, to_bilinear, None


def _heads(tensor: Tensor, n_heads: int) -> Tensor:
    """Equal slices of the features, (B, ...) -> (H, B, n)."""
    return tensor.view(len(tensor), n_heads, -1).transpose(0, 1)


def look_up(rows: Tensor, table: Tensor) -> Tensor:
    """`torch.nn.functional.embedding` with `padding_idx=0`, on the CPU: the same bits, and a gradient in less time."""
    vectors: Tensor = _LookUp.apply(rows, table)
    return vectors


class _LookUp(Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, table: Tensor) -> Tensor:
        ctx.save_for_backward(rows)
        ctx.shape = table.shape
        return F.embedding(rows, table)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        (rows,) = ctx.saved_tensors
        rows, gradient = rows.flatten(), gradient.flatten(end_dim=-2)
        to_table = gradient.new_zeros(ctx.shape)
        # PyTorch's own takes three to six times as long. The faster one adds in any order where it has several threads.
        if torch.get_num_threads() == 1:
            to_table.index_put_((rows,), gradient, accumulate=True)
        else:
            to_table.index_add_(0, rows, gradient)
        to_table[0] = 0
        return None, to_table
