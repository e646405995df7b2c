"""Multiplication of embeddings by their gates."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from .._workspace import Workspace


def gated(e: Tensor, gates: Tensor, gate_of_row: Tensor | None, workspace: Workspace) -> Tensor:
    """`e * gates[gate_of_row]`, (B, D), (n, D) and (B,) -> (B, D); `e * gates`, n being 1 or B, where that is None."""
    output: Tensor = _Gated.apply(e, gates, gate_of_row, workspace)
    return output


class _Gated(Function):
    @staticmethod
    def forward(ctx: Any, e: Tensor, gates: Tensor, gate_of_row: Tensor | None, workspace: Workspace) -> Tensor:
        own_gates = gates
        if gate_of_row is not None:
            own_gates = torch.index_select(gates, 0, gate_of_row, out=workspace.empty_like("own_gates", e))
        ctx.save_for_backward(e, own_gates, gate_of_row)
        ctx.workspace = workspace
        ctx.shape_of_gates = gates.shape
        return torch.mul(e, own_gates, out=workspace.empty_like("output", e))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        e, own_gates, gate_of_row = ctx.saved_tensors
        to_own_gates = torch.mul(gradient, e, out=ctx.workspace.empty_like("to_own_gates", e))
        if gate_of_row is None:
            to_gates = to_own_gates.sum_to_size(ctx.shape_of_gates)
        else:
            to_gates = gradient.new_zeros(ctx.shape_of_gates).index_add_(0, gate_of_row, to_own_gates)
        to_e = torch.mul(gradient, own_gates, out=ctx.workspace.empty_like("to_e", e))
        return to_e, to_gates, None, None
