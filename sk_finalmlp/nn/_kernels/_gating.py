"""Multiplication of embeddings by their gates."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from .._workspace import Workspace


def gated(e: Tensor, gates: Tensor, gate_of_row: Tensor, workspace: Workspace) -> Tensor:
    """`e * gates[gate_of_row]`, (B, D), (n, D) and (B,) -> (B, D)."""
    output: Tensor = _Gated.apply(e, gates, gate_of_row, workspace)
    return output


class _Gated(Function):
    @staticmethod
    def forward(ctx: Any, e: Tensor, gates: Tensor, gate_of_row: Tensor, workspace: Workspace) -> Tensor:
        own_gates = torch.index_select(gates, 0, gate_of_row, out=workspace.empty_like("own_gates", e))
        ctx.save_for_backward(e, own_gates, gate_of_row)
        ctx.workspace = workspace
        ctx.n_gates = len(gates)
        return torch.mul(e, own_gates, out=workspace.empty_like("output", e))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        e, own_gates, gate_of_row = ctx.saved_tensors
        to_own_gates = torch.mul(gradient, e, out=ctx.workspace.empty_like("to_own_gates", e))
        to_gates = gradient.new_zeros(ctx.n_gates, e.shape[1]).index_add_(0, gate_of_row, to_own_gates)
        to_e = torch.mul(gradient, own_gates, out=ctx.workspace.empty_like("to_e", e))
        return to_e, to_gates, None, None
