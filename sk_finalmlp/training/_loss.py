"""The loss: weighted cross-entropy of clicks, or of classes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
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


def filled(like: Tensor, values: Sequence[float]) -> Tensor:
    """A few numbers as a tensor like another; the CPU would wait for a device to copy them from a list."""
    return torch.stack([like.new_full((), value) for value in values])


def sampled_logits(logits: Tensor, negatives_kept: float) -> Tensor:
    """Logits in a sample that holds all clicks and a share of the other rows, in which clicks are as much likelier.

    Parameters
    ----------
    logits : Tensor, shape (..., 1)
        Logits in the table from which the sample was drawn; of more classes with a share of 1 only.
    negatives_kept : float
        Share of the rows of the first class that is in the sample.

    Returns
    -------
    Tensor, shape (..., 1)

    References
    ----------
    He et al., "Practical Lessons from Predicting Clicks on Ads at Facebook", ADKDD 2014, section 6.3.
    """
    return logits if negatives_kept == 1 else logits - math.log(negatives_kept)
