"""Logits of many rows, the same whatever batch a row comes in."""

from __future__ import annotations

from contextlib import nullcontext

import torch
from torch import Tensor, nn

from ..nn import ROW_MULTIPLE
from ._device import sent
from ._threads import threads_of_batches

_BATCH_SIZE = 8192


def predict_logits(network: nn.Module, codes: Tensor, values: Tensor) -> Tensor:
    """Logits of a network in evaluation mode.

    A row's logits don't depend on the rows beside it: to the last bit where widths of layers and heads are multiples
    of 16, else to rounding.

    Parameters
    ----------
    network : torch.nn.Module
        Network that maps codes and values to logits, in evaluation mode.
    codes : Tensor of int32, shape (n, n_code_columns)
        Codes of the categorical fields, then those of the multi-valued fields.
    values : Tensor of float32, shape (n, n_numeric)
        Values of the numeric fields.

    Returns
    -------
    Tensor of float32, shape (n, C)
        Logits, on the CPU.

    Examples
    --------
    >>> import torch
    >>> from sk_finalmlp.schema import Field
    >>> from sk_finalmlp.nn import FinalMLP
    >>> from sk_finalmlp.training import predict_logits
    >>> network = FinalMLP([Field("user", "categorical", n_codes=20)]).eval()
    >>> predict_logits(network, torch.tensor([[3], [7]], dtype=torch.int32), torch.empty(2, 0)).shape
    torch.Size([2, 1])
    """
    device = next(network.parameters()).device
    batches = list(zip(torch.split(codes, _BATCH_SIZE), torch.split(values, _BATCH_SIZE), strict=True))
    with threads_of_batches(len(batches)) if device.type == "cpu" else nullcontext(map) as each:
        return torch.cat([*each(lambda batch: _batch_logits(network, batch[0], batch[1], device), batches)]).cpu()


def _batch_logits(network: nn.Module, codes: Tensor, values: Tensor, device: torch.device) -> Tensor:
    # In the thread that computes: each has a mode of its own.
    with torch.inference_mode():
        logits: Tensor = network(_pad_rows(sent(codes, device)), _pad_rows(sent(values, device)))
    return logits[: len(codes)]


def _pad_rows(columns: Tensor) -> Tensor:
    missing = -len(columns) % ROW_MULTIPLE
    return torch.cat([columns, columns.new_zeros(missing, columns.shape[1])]) if missing else columns
