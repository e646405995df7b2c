"""Scores of a network on validation rows."""

from __future__ import annotations

from functools import partial
from typing import Literal, NamedTuple

from torch import Tensor, nn

from ..nn import members_of
from ._batches import Impressions
from ._calibration import ROUGHLY, correct_mean
from ._inference import predict_logits
from ._loss import sampled_logits
from ._objective import Scores
from ._processes import ALONE, Alone
from ._stored import StoredImpressions
from ._weighting import weigh_members

Scoring = Literal["neg_log_loss", "roc_auc"]


class Evaluation(NamedTuple):
    """Scores on validation rows.

    Attributes
    ----------
    scores : Scores
        Loss and AUC.
    shift : Tensor of float32, shape (C,), or None
        Constant that was added to the network's logits before scoring.
    """

    scores: Scores
    shift: Tensor | None

    def monitored(self, scoring: Scoring) -> float:
        """The score that decides the best epoch; higher is better."""
        return self.scores.auc if scoring == "roc_auc" else -self.scores.loss


def evaluate(
    network: nn.Module,
    impressions: Impressions,
    training: Impressions | StoredImpressions,
    processes: Alone = ALONE,
) -> Evaluation:
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
    processes : Alone or Group, default=ALONE
        The processes that score the same network, each some of the rows.

    Returns
    -------
    Evaluation
    """
    network.eval()
    if len(members_of(network)) > 1:
        logits = weigh_members(network, impressions, processes)
    else:
        logits = processes.map_rows(partial(predict_logits, network), impressions.codes, impressions.values)
    shift = correct_mean(network, training, ROUGHLY)
    if shift is not None:
        logits = logits + shift
    return Evaluation(_scores(logits, impressions), shift)


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
        is missing. Of several tasks also those of each.

    Examples
    --------
    >>> import torch
    >>> from sk_finalmlp.schema import Field
    >>> from sk_finalmlp.nn import FinalMLP
    >>> from sk_finalmlp.training import Impressions, score
    >>> codes = torch.tensor([[1], [2]], dtype=torch.int32)
    >>> rows = Impressions(codes, torch.empty(2, 0), target=torch.tensor([1, 0]), weight=torch.ones(2))
    >>> sorted(score(FinalMLP([Field("user", "categorical", n_codes=3)]).eval(), rows))
    ['valid_auc', 'valid_loss']
    """
    return _scores(predict_logits(network, impressions.codes, impressions.values), impressions).as_records()


def _scores(logits: Tensor, impressions: Impressions) -> Scores:
    sampled = sampled_logits(logits, impressions.negatives_kept)
    return impressions.objective.scores(sampled, impressions.target, impressions.weight)
