"""Batch norm, ReLU and dropout of a layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from .._dropout import Dropout
from .._workspace import Workspace


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
    if _threshold_backward is None:
        torch.mul(x, other > threshold, out=out)
    else:
        _threshold_backward(x, other, threshold, grad_input=out)


# The derivative of torch.threshold, a fourth of the time of a product with a mask.
_threshold_backward = getattr(torch.ops.aten.threshold_backward, "grad_input", None)
