"""torch's names that aren't public, in one place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn


def multiply_all(tensors: Sequence[Tensor], factor: Tensor) -> None:
    """Multiply tensors by a factor in place, on a GPU in one kernel."""
    torch._foreach_mul_(list(tensors), factor)


def fused_adam(
    tables: Sequence[Sequence[Tensor]], gradients: list[Tensor], n_steps: Sequence[int], options: dict[str, Any]
) -> None:
    """Take Adam's step of several parameters in one call, each given with its two moments, the `n_steps`-th for it."""
    if not gradients:
        return
    counters = {n: torch.full((), float(n), device=gradients[0].device) for n in set(n_steps)}
    parameters, *moments = zip(*tables, strict=True)
    beta1, beta2 = options["betas"]
    hyper = {"beta1": beta1, "beta2": beta2, **{name: options[name] for name in ("lr", "weight_decay", "eps")}}
    fused: Any = torch._fused_adam_
    fused(parameters, gradients, *moments, [], [counters[n] for n in n_steps], **hyper, amsgrad=False, maximize=False)


def cpu_has_bfloat16() -> bool:
    """Whether the CPU multiplies matrices of bfloat16 by instructions of its own."""
    # oneDNN says yes to any AVX512, where it converts each factor to float32.
    if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return False
    checks = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return any(check is not None and check() for check in checks)


def has_hooks(module: nn.Module) -> bool:
    """Whether a hook waits for a call of a module or of one of its parts."""
    hooks = (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks)
    return any(hooks) or any(has_hooks(part) for part in module._modules.values() if part is not None)
