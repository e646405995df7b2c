"""Correction of the mean prediction to the click rate."""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, log_expit, logsumexp, softmax
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
    >>> from sk_finalmlp.fields import Field
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
    shares = impressions.class_weights(max(2, logits.shape[1]))
    shift = torch.from_numpy(
        _shift(logits.double().numpy(), some.weight.double().numpy(), (shares / shares.sum()).numpy())
    ).float()
    if doubt:
        counts = impressions.counts
        n_rarer = float(counts.sum() - counts.max())
        shift *= n_rarer / (n_rarer + doubt)
    network.shift_logits(shift)  # type: ignore[operator]
    return shift


def _shift(
    logits: NDArray[np.float64], weight: NDArray[np.float64], shares: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The constant, shape (C,), by which the mean of the predictions is the shares, shape (max(2, C),).

    Where they differ, so does the gradient of the log-loss from 0, which is convex in the constant.
    """
    if shares.min() == 0 or not np.isfinite(logits).all():
        # No constant leads there: a class that isn't there, or a training that is about to end with an error.
        return np.zeros(logits.shape[1])
    weight = weight / weight.sum()
    is_binary = logits.shape[1] == 1
    # The tolerance is in units of the gradient, which is a difference of shares.
    unit = 1 / shares.min()

    def loss(shift: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        moved = logits + shift
        if is_binary:
            value = -weight @ log_expit(-moved[:, 0]) - shares[1] * shift[0]
            return unit * value, unit * (weight @ expit(moved) - shares[1:])
        value = weight @ logsumexp(moved, axis=1) - shares @ shift
        return unit * value, unit * (weight @ softmax(moved, axis=1) - shares)

    start = np.zeros(logits.shape[1])
    shift: NDArray[np.float64] = minimize(
        loss, start, jac=True, method="L-BFGS-B", options={"gtol": 1e-5, "ftol": 0.0}
    ).x
    return shift
