"""The loss: weighted cross-entropy of clicks, or of classes."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy of each row.

    Parameters
    ----------
    logits : Tensor of float32, shape (..., B, 1) or (..., B, C)
        One logit of the second of two classes, or one for each of more classes; of several networks if there is a
        dimension before the rows.
    target : Tensor of int64, shape (B,)
        Position of the row's class among the classes.

    Returns
    -------
    Tensor of float32, shape (..., B)
    """
    target = target.expand(logits.shape[:-1])
    if logits.shape[-1] == 1:
        return F.binary_cross_entropy_with_logits(logits[..., 0], target.to(logits.dtype), reduction="none")
    losses = F.cross_entropy(logits.flatten(end_dim=-2), target.flatten(), reduction="none")
    return losses.view(target.shape)
