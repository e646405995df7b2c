"""Which device to train on."""

from __future__ import annotations

import torch


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


def _available_types() -> list[str]:
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    return [name for name, is_there in available.items() if is_there]
