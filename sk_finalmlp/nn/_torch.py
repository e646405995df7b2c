"""torch's names that aren't public, in one place."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def multiply_all(tensors: Sequence[Tensor], factor: Tensor) -> None:
    """Multiply tensors by a factor in place, on a GPU in one kernel."""
    torch._foreach_mul_(list(tensors), factor)


def cpu_has_bfloat16() -> bool:
    """Whether the CPU multiplies matrices of bfloat16 by instructions of its own."""
    # oneDNN says yes to any AVX512, where it converts each factor to float32.
    if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return False
    checks = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return any(check is not None and check() for check in checks)
