"""Correction of the mean prediction to the click rate."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn

from ..nn import members_of
from ._batches import Impressions
from ._inference import predict_logits
from ._loss import sampled_logits
from ._stored import StoredImpressions

#: So many rows tell the mean prediction to a few hundredths, and to less than a hundredth.
ROUGHLY: Final = 2**12
CLOSELY: Final = 2**17


def correct_mean(
    network: nn.Module, impressions: Impressions | StoredImpressions, n_rows: int = CLOSELY, doubt: float = 0.0
) -> Tensor | None:
    """Move the logits of a network by a constant, so that its mean prediction is the share of each class.

    Minimising the loss does that by the output bias, but only in training mode, with dropout, with batch statistics in
    batch norm, and with each member of an ensemble by itself. None of these holds in prediction. Above all, the mean of
    logits is the geometric mean of odds, which for rare clicks is less than the mean of probabilities.

    Parameters
    ----------
    network : torch.nn.Module
        Network in evaluation mode.
    impressions : Impressions
        Rows whose shares of classes are to be met, by weight.
    n_rows : int
        Rows to predict, at most; more than those are drawn from at random. The shares are those of all rows.
    doubt : float, default=0.0
        With so many rows outside the largest class, half of the constant is added, and less with fewer, whose share
        says little.

    Returns
    -------
    Tensor of float32, shape (C,), or None
        What was added to the logits; None where the network, or a member, has no `shift_logits`.

    Examples
    --------
    >>> import torch
    >>> from sk_finalmlp.schema import Field
    >>> from sk_finalmlp.nn import FinalMLP
    >>> from sk_finalmlp.training import Impressions, correct_mean, predict_logits
    >>> codes, target = torch.ones(4, 1, dtype=torch.int32), torch.tensor([1, 0, 0, 0])
    >>> rows = Impressions(codes, torch.empty(4, 0), target, weight=torch.ones(4))
    >>> network = FinalMLP([Field("user", "categorical", n_codes=3)]).eval()
    >>> shift = correct_mean(network, rows)
    >>> round(float(predict_logits(network, rows.codes, rows.values).sigmoid().mean()), 3)
    0.25
    """
    if not all(hasattr(module, "shift_logits") for module in (network, *members_of(network))):
        return None
    some = impressions.some(n_rows)
    logits = sampled_logits(predict_logits(network, some.codes, some.values), some.negatives_kept)
    weight_of_class = impressions.class_weights(some.objective.n_classes(logits.shape[1]))
    weight = some.weight.double().numpy()
    shift = torch.from_numpy(
        some.objective.shift(logits.double().numpy(), some.target, weight, weight_of_class)
    ).float()
    if doubt:
        counts = impressions.counts
        n_rarer = float(counts.sum() - counts.max())
        shift *= n_rarer / (n_rarer + doubt)
    network.shift_logits(shift)  # type: ignore[operator]
    return shift
