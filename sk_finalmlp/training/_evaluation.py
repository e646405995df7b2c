"""Scores of a network on validation rows."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

from ..nn import members_of
from ._batches import Impressions
from ._calibration import ROUGHLY, correct_mean
from ._inference import predict_logits
from ._loss import cross_entropy, sampled_logits
from ._stored import StoredImpressions
from ._weighting import weigh_members

Scoring = Literal["neg_log_loss", "roc_auc"]


class Scores(NamedTuple):
    """Scores on validation rows.

    Attributes
    ----------
    loss : float
        Weighted mean cross-entropy, in nats.
    auc : float
        Area under the ROC curve (one-vs-rest mean for more than two classes); NaN if a class is missing.
    shift : Tensor of float32, shape (C,), or None
        Constant that was added to the network's logits before scoring.
    """

    loss: float
    auc: float
    shift: Tensor | None

    def monitored(self, scoring: Scoring) -> float:
        """The score that decides the best epoch; higher is better."""
        return self.auc if scoring == "roc_auc" else -self.loss


def evaluate(network: nn.Module, impressions: Impressions, training: Impressions | StoredImpressions) -> Scores:
    """Score a network on validation rows, as it would predict if the training ended.

    Parameters
    ----------
    network : torch.nn.Module
        Network that maps codes and values to logits; it is left in evaluation mode. The members of an ensemble are
        weighted anew by these rows.
    impressions : Impressions
        Validation rows.
    training : Impressions
        Training rows, to whose click rate the mean prediction is moved.

    Returns
    -------
    Scores
    """
    network.eval()
    if len(members_of(network)) > 1:
        logits = weigh_members(network, impressions)
    else:
        logits = predict_logits(network, impressions.codes, impressions.values)
    shift = correct_mean(network, training, ROUGHLY)
    if shift is not None:
        logits = logits + shift
    return Scores(_loss(logits, impressions), _auc(logits, impressions), shift)


def score(network: nn.Module, impressions: Impressions) -> dict[str, float]:
    """Score a network on rows as it is.

    Parameters
    ----------
    network : torch.nn.Module
        Network that maps codes and values to logits, in evaluation mode.
    impressions : Impressions
        The rows.

    Returns
    -------
    dict of {str: float}
        `valid_loss`, the weighted mean cross-entropy, and `valid_auc`, the area under the ROC curve; NaN where a class
        is missing.

    Examples
    --------
    >>> import torch
    >>> from sk_finalmlp.fields import Field
    >>> from sk_finalmlp.nn import FinalMLP
    >>> from sk_finalmlp.training import Impressions, score
    >>> codes = torch.tensor([[1], [2]], dtype=torch.int32)
    >>> rows = Impressions(codes, torch.empty(2, 0), target=torch.tensor([1, 0]), weight=torch.ones(2))
    >>> sorted(score(FinalMLP([Field("user", "categorical", n_codes=3)]).eval(), rows))
    ['valid_auc', 'valid_loss']
    """
    logits = predict_logits(network, impressions.codes, impressions.values)
    return {"valid_loss": _loss(logits, impressions), "valid_auc": _auc(logits, impressions)}


def _loss(logits: Tensor, impressions: Impressions) -> float:
    losses = cross_entropy(sampled_logits(logits, impressions.negatives_kept), impressions.target)
    return float((losses * impressions.weight).sum() / impressions.weight.sum())


def _auc(logits: Tensor, impressions: Impressions) -> float:
    target, weight = impressions.target.numpy(), impressions.weight.numpy()
    n_classes = max(2, logits.shape[1])
    if len(np.unique(target)) < n_classes or not torch.isfinite(logits).all():
        return float("nan")
    if n_classes == 2:
        return float(roc_auc_score(target, logits[:, 0].numpy(), sample_weight=weight))
    probabilities = logits.double().softmax(dim=1).numpy()
    return float(roc_auc_score(target, probabilities, sample_weight=weight, multi_class="ovr"))
