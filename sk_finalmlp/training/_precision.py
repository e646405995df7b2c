"""In which type the products of a training are taken."""

from __future__ import annotations

from typing import Literal

import torch

from ..nn import cpu_has_bfloat16

Precision = Literal["float32", "bfloat16", "auto"]


def product_dtype(precision: Precision, device: torch.device) -> torch.dtype | None:
    """The type to which the factors of products are rounded.

    Parameters
    ----------
    precision : {"float32", "bfloat16", "auto"}
        "auto" is "float32", until measured accuracy says otherwise.
    device : torch.device
        Where the training runs.

    Returns
    -------
    torch.dtype or None
        None to leave the factors as they are.

    Raises
    ------
    ValueError
        If bfloat16 is asked for where products would be slower by it.
    """
    if precision != "bfloat16":
        return None
    if not (cpu_has_bfloat16() if device.type == "cpu" else device.type == "cuda"):
        raise ValueError(
            f"precision='bfloat16' needs a CUDA device, or a CPU with the instructions AVX512-BF16 or AMX; torch "
            f"{torch.__version__} finds none of them on device {str(device)!r}, and without them products would be "
            "many times slower. Set precision='float32', or 'auto'."
        )
    return torch.bfloat16
