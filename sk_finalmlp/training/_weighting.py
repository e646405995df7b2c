"""Weights of the members of an ensemble."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import softmax
from torch import Tensor, nn

from ..nn import members_of
from ._batches import Impressions
from ._inference import predict_logits
from ._loss import cross_entropy, sampled_logits


def weigh_members(ensemble: nn.Module, impressions: Impressions) -> Tensor:
    """Give the members the weights, none negative and 1 in all, by which their mean has the lowest log-loss.

    Parameters
    ----------
    ensemble : torch.nn.Module
        Network with several `members` and their `weights`, in evaluation mode.
    impressions : Impressions
        Rows that they weren't trained on.

    Returns
    -------
    Tensor of float32, shape (n, C)
        The weighted logits of the rows.
    """
    members, weights = members_of(ensemble), ensemble.weights
    assert isinstance(weights, Tensor)
    logits = torch.stack([predict_logits(member, impressions.codes, impressions.values) for member in members])
    sampled = sampled_logits(logits.double(), impressions.negatives_kept)
    weights.copy_(_best_weights(sampled, impressions.target, impressions.weight.double()))
    weighted: Tensor = torch.tensordot(weights.cpu(), logits, dims=1)
    return weighted


def _best_weights(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Weights of logits, shape (M, n, C)."""

    def loss(scores: NDArray[np.float64]) -> float:
        mean = torch.tensordot(torch.from_numpy(softmax(scores)), logits, dims=1)
        return float((cross_entropy(mean, target) * weight).sum() / weight.sum())

    scores = minimize(loss, np.zeros(len(logits)), method="L-BFGS-B").x
    return torch.from_numpy(softmax(scores))
