"""Weights of the members of an ensemble."""

from __future__ import annotations

import torch
from torch import Tensor

from ..nn import Ensemble
from ._batches import Impressions
from ._inference import predict_logits
from ._loss import cross_entropy

_MAX_ITERATIONS = 50


def weigh_members(ensemble: Ensemble, impressions: Impressions) -> None:
    """Give the members the weights, none negative and 1 in all, by which their mean has the lowest log-loss.

    Parameters
    ----------
    ensemble : Ensemble
        Trained networks, in evaluation mode.
    impressions : Impressions
        Rows that they weren't trained on.
    """
    logits = [predict_logits(member, impressions.codes, impressions.values) for member in ensemble.members]
    weights = _best_weights(torch.stack(logits).double(), impressions.target, impressions.weight.double())
    ensemble.weights.copy_(weights)


def _best_weights(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Weights of logits, shape (M, n, C)."""
    scores = torch.zeros(len(logits), dtype=logits.dtype, requires_grad=True)
    optimizer = torch.optim.LBFGS([scores], max_iter=_MAX_ITERATIONS, line_search_fn="strong_wolfe")

    def loss_with_gradient() -> float:
        optimizer.zero_grad()
        mean = torch.tensordot(scores.softmax(dim=0), logits, dims=1)
        loss = (cross_entropy(mean, target) * weight).sum() / weight.sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return float(loss)

    optimizer.step(loss_with_gradient)
    return scores.detach().softmax(dim=0)
