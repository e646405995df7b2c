"""Logits of many rows, scores of a network, weights of an ensemble's members and the mean prediction."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import softmax
from torch import Tensor, nn
from torch.nn import functional as F

from ..nn import ROW_MULTIPLE, members_of
from ._device import sent, threads_of_batches
from ._objective import Objective, Scores, sampled_logits
from ._processes import ALONE, Alone
from ._rows import AnyImpressions, Impressions, Inputs

#: What decides about epochs: a function gives its name and the score of validation rows by their logits, finite.
Scoring = Literal["neg_log_loss", "roc_auc"] | Callable[[Tensor, Impressions], tuple[str, float]]

_BATCH_SIZE = 8192
#: So many rows speak for equal weights, and so large a share of all rows on top: later rows differ from those that are
#: held out, and what is best for many rows of today isn't as surely best tomorrow. Least of all with hindsight: where
#: statistics know later rows, held-out rows trust them too much; and none is known where most of the later ids are new.
_ROWS_FOR_EQUAL_WEIGHTS = 10.0
_SHARES_FOR_EQUAL_WEIGHTS = {None: 0.002, "statistics": 0.05, "codes": 0.05, "ids": 100.0}
#: Where embeddings alone know later rows, held-out rows trust them too much: statistics tell still more of later rows.
_POWER_WITH_HINDSIGHT = 3
#: Rows for the mean prediction to a few hundredths, and to less than a hundredth.
ROUGHLY: Final = 2**12
CLOSELY: Final = 2**17


def predict_logits(network: nn.Module, codes: Tensor, values: Tensor) -> Tensor:
    """Logits of a network in evaluation mode.

    A row's logits don't depend on other rows: to the last bit where widths of layers and heads are multiples
    of 16, else to rounding.

    Parameters
    ----------
    network : torch.nn.Module
        Network that maps codes and values to logits, in evaluation mode.
    codes : Tensor of int32, shape (n, n_code_columns)
        Codes of the categorical fields, then of the multi-valued fields.
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
    >>> from sk_finalmlp.nn import TwoStreamNetwork
    >>> from sk_finalmlp.training import predict_logits
    >>> network = TwoStreamNetwork([Field("user", "categorical", n_codes=20)]).eval()
    >>> predict_logits(
    ...     network, torch.tensor([[3], [7]], dtype=torch.int32), torch.empty(2, 0)
    ... ).shape
    torch.Size([2, 1])
    """
    device = next(network.parameters()).device
    batches = list(zip(torch.split(codes, _BATCH_SIZE), torch.split(values, _BATCH_SIZE), strict=True))
    with threads_of_batches(len(batches)) if device.type == "cpu" else nullcontext(map) as each:
        return torch.cat([*each(partial(_batch_logits, network, device), batches)]).cpu()


def _batch_logits(network: nn.Module, device: torch.device, batch: Inputs) -> Tensor:
    n_rows = len(batch[0])
    # In the computing thread: inference mode is per thread.
    with torch.inference_mode():
        logits: Tensor = network(*(F.pad(sent(matrix, device), (0, 0, 0, -n_rows % ROW_MULTIPLE)) for matrix in batch))
    return logits[:n_rows]


def evaluate(
    network: nn.Module, impressions: Impressions, training: AnyImpressions, processes: Alone = ALONE
) -> tuple[Scores, Tensor, Tensor | None]:
    """Weigh the members, move the mean prediction to the click rate, and score; return scores, logits, constant."""
    network.eval()
    if len(members_of(network)) > 1:
        logits = weigh_members(network, impressions, processes)
    else:
        logits = processes.map_rows(partial(predict_logits, network), impressions.codes, impressions.values)
    shift = correct_mean(network, training, ROUGHLY)
    if shift is not None:
        logits = logits + shift
    return _scores(logits, impressions), sampled_logits(logits, impressions.negatives_kept), shift


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
        is missing. With several tasks, also of each.

    Examples
    --------
    >>> import torch
    >>> from sk_finalmlp.schema import Field
    >>> from sk_finalmlp.nn import TwoStreamNetwork
    >>> from sk_finalmlp.training import Impressions, score
    >>> codes = torch.tensor([[1], [2]], dtype=torch.int32)
    >>> rows = Impressions(
    ...     codes, torch.empty(2, 0), target=torch.tensor([1, 0]), weight=torch.ones(2)
    ... )
    >>> sorted(score(TwoStreamNetwork([Field("user", "categorical", n_codes=3)]).eval(), rows))
    ['valid_auc', 'valid_loss']
    """
    return _scores(predict_logits(network, impressions.codes, impressions.values), impressions)


def _scores(logits: Tensor, impressions: Impressions) -> Scores:
    sampled = sampled_logits(logits, impressions.negatives_kept)
    return impressions.objective.scores(sampled, impressions.target, impressions.weight)


def weigh_members(ensemble: nn.Module, impressions: Impressions, processes: Alone = ALONE) -> Tensor:
    """Weigh the members for the lowest log-loss of their mean on held-out rows; return its logits, (n, C)."""
    members, weights = members_of(ensemble), ensemble.weights
    assert isinstance(weights, Tensor)
    columns = impressions.codes, impressions.values
    logits = torch.stack([processes.map_rows(partial(predict_logits, member), *columns) for member in members])
    sampled = sampled_logits(logits.double(), impressions.negatives_kept)
    # A Dirichlet prior, n by Kish, keeps weights nearly equal where rows are few.
    of_rows = impressions.weight.double()
    n_rows = float(of_rows.sum() ** 2 / (of_rows @ of_rows))
    prior = _ROWS_FOR_EQUAL_WEIGHTS / n_rows + _SHARES_FOR_EQUAL_WEIGHTS[impressions.hindsight]
    scores = _best_scores(sampled, impressions.target, of_rows, impressions.objective, prior)
    power = _POWER_WITH_HINDSIGHT if impressions.hindsight == "codes" else 1
    weights.copy_(torch.from_numpy(softmax(power * scores)))
    weighted: Tensor = torch.tensordot(weights.cpu(), logits, dims=1)
    return weighted


def _best_scores(
    logits: Tensor, target: Tensor, weight: Tensor, objective: Objective, prior: float
) -> NDArray[np.float64]:
    """Logarithms of the best weights of logits, (M, n, C), up to a constant that is added to all."""
    # The constant of the logits is free, too: it is set by the training rows.
    n_members, n_outputs = len(logits), logits.shape[2]

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
    return found[:n_members]


def correct_mean(
    network: nn.Module, impressions: AnyImpressions, n_rows: int = CLOSELY, doubt: float = 0.0
) -> Tensor | None:
    """Move a network's logits by a constant, so that its mean prediction is the share of each class; return it.

    `n_rows` are predicted at most. With as many rows outside the largest class as `doubt` says, half of it is added.
    """
    # Minimising the loss does that by the output bias, but only in training mode and with each member by itself. Above
    # all, the mean of logits is the geometric mean of odds, which for rare clicks is less than that of probabilities.
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
