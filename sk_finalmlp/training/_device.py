"""Which device to train on, what goes there, and in which type its products are taken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from ..nn import cpu_has_bfloat16

Precision = Literal["float32", "bfloat16", "auto"]


def resolve_device(name: str | torch.device) -> torch.device:
    """The device of a name.

    Parameters
    ----------
    name : str or torch.device
        "auto" for the first there is of cuda, mps and cpu, or a name that torch knows, such as "cuda:1".

    Returns
    -------
    torch.device

    Raises
    ------
    ValueError
        If there is no such device on this machine.

    Examples
    --------
    >>> from sk_finalmlp.training import resolve_device
    >>> resolve_device("cpu")
    device(type='cpu')
    """
    available = _available_types()
    if name == "auto":
        return torch.device(available[0])
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ValueError(f"device={name!r} isn't a name of a device. Use 'auto' or one of {available}.") from None
    if device.type not in available or (device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count()):
        raise ValueError(
            f"device={str(name)!r} was asked for, but torch {torch.__version__} finds no such device here. Use 'auto' "
            f"or one of {available}, or install the driver and a build of torch for that device."
        )
    return device


def kept_on(device: torch.device, tensors: Sequence[Tensor]) -> Sequence[Tensor]:
    """Tensors on a device if all of them take at most half of its free memory; else as they are."""
    fit = sum(tensor.nbytes for tensor in tensors) <= _free_memory(device) / 2
    return [tensor.to(device) for tensor in tensors] if fit else tensors


def _free_memory(device: torch.device) -> int:
    """Free bytes of an accelerator, as far as torch tells; 0 where it doesn't, and on the CPU."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    return 0


def sent(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor on a device; itself if it is there already.

    A CUDA device copies by itself what is in pinned memory, while the CPU goes on.
    """
    if device.type == "cuda" and tensor.device.type == "cpu":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def _available_types() -> list[str]:
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    return [name for name, is_there in available.items() if is_there]


def product_dtype(precision: Precision, device: torch.device) -> torch.dtype | None:
    """Return the type to which the factors of products are rounded; None for none, also for "auto"."""
    if precision != "bfloat16":
        return None
    if not (cpu_has_bfloat16() if device.type == "cpu" else device.type == "cuda"):
        raise ValueError(
            f"precision='bfloat16' needs a CUDA device, or a CPU with the instructions AVX512-BF16 or AMX; torch "
            f"{torch.__version__} finds none of them on device {str(device)!r}, and without them products would be "
            "many times slower. Set precision='float32', or 'auto'."
        )
    return torch.bfloat16
