"""Weights of the members of an ensemble."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import softmax
from torch import Tensor, nn

from ..nn import members_of
from ._batches import Impressions
from ._inference import predict_logits
from ._loss import sampled_logits
from ._objective import Objective
from ._processes import ALONE, Alone

#: So many rows speak for equal weights, and so large a share of all rows on top: later rows differ from those that are
#: held out, and what is best for many rows of today isn't as surely best tomorrow.
_ROWS_FOR_EQUAL_WEIGHTS = 10.0
_SHARE_FOR_EQUAL_WEIGHTS = 0.002


def weigh_members(ensemble: nn.Module, impressions: Impressions, processes: Alone = ALONE) -> Tensor:
    """Give the members the weights, none negative and 1 in all, by which their mean has the lowest log-loss.

    The loss of n rows gets a penalty, k = 10 + n / 500 times the mean of -ln(M w_i) over the M members: the weights
    have a Dirichlet prior of so many rows, by which they stay nearly equal where rows are few or members hardly differ.
    Of rows of uneven weights, n is Kish's effective number.

    Parameters
    ----------
    ensemble : torch.nn.Module
        Network with several `members` and their `weights`, in evaluation mode.
    impressions : Impressions
        Rows that they weren't trained on.
    processes : Alone or Group, default=ALONE
        The processes that do the same, each for some of the rows.

    Returns
    -------
    Tensor of float32, shape (n, C)
        The weighted logits of the rows.
    """
    members, weights = members_of(ensemble), ensemble.weights
    assert isinstance(weights, Tensor)
    columns = impressions.codes, impressions.values
    logits = torch.stack([processes.map_rows(partial(predict_logits, member), *columns) for member in members])
    sampled = sampled_logits(logits.double(), impressions.negatives_kept)
    weights.copy_(_best_weights(sampled, impressions.target, impressions.weight.double(), impressions.objective))
    weighted: Tensor = torch.tensordot(weights.cpu(), logits, dims=1)
    return weighted


def _best_weights(logits: Tensor, target: Tensor, weight: Tensor, objective: Objective) -> Tensor:
    """Weights of logits, shape (M, n, C), whatever constant is added to all: that is set by the training rows."""
    n_members, n_outputs = len(logits), logits.shape[2]
    n_rows = float(weight.sum() ** 2 / (weight @ weight))
    prior = _ROWS_FOR_EQUAL_WEIGHTS / n_rows + _SHARE_FOR_EQUAL_WEIGHTS

    def loss(parameters: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        variables = torch.tensor(parameters, requires_grad=True)
        scores, constant = variables.tensor_split([n_members])
        mean = torch.tensordot(scores.softmax(dim=0), logits, dims=1) + constant
        of_rows = (objective.losses(mean, target) * weight).sum() / weight.sum()
        value = of_rows - prior * scores.log_softmax(dim=0).mean()
        (gradient,) = torch.autograd.grad(value, variables)
        return value.item(), gradient.numpy()

    options = {"ftol": 1e-12, "gtol": 1e-8}
    found = minimize(loss, np.zeros(n_members + n_outputs), jac=True, method="L-BFGS-B", options=options).x
    return torch.from_numpy(softmax(found[:n_members]))
