"""Fusion of two streams."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from .._workspace import Workspace


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
