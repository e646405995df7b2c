"""Objectives of labels: the loss of each row, scores, initial logits, and the shift to the right mean prediction."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import brentq, minimize
from scipy.special import expit, log_expit, logit, logsumexp, softmax
from torch import Tensor
from torch.nn import functional as F

from .._labels import BASE, MISSING, implied

Relation = Literal["funnel", "independent"]

#: Most iterations to find rates with missing labels, and changes that end them.
_MAX_PASSES: Final = 200
_TOLERANCE: Final = 1e-9


#: Weighted mean cross-entropy in nats, `valid_loss`, and area under the ROC curve, `valid_auc`, NaN where a class is
#: missing; also of each task, as an epoch's record names them.
Scores = dict[str, float]


class ClassObjective:
    """One label of two or more classes."""

    def n_classes(self, n_outputs: int) -> int:
        """Number of classes."""
        return max(2, n_outputs)

    def losses(self, logits: Tensor, target: Tensor) -> Tensor:
        """Cross-entropy of each row: (..., B, C), (B,) -> (..., B); two classes have one logit, the second's."""
        target = target.expand(logits.shape[:-1])
        if logits.shape[-1] == 1:
            return F.binary_cross_entropy_with_logits(logits[..., 0], target.to(logits.dtype), reduction="none")
        losses = F.cross_entropy(logits.flatten(end_dim=-2), target.flatten(), reduction="none")
        return losses.view(target.shape)

    def scores(self, logits: Tensor, target: Tensor, weight: Tensor) -> Scores:
        """Scores of rows with weights; of more than two classes, the AUC is the mean of one against the rest."""
        loss = float((self.losses(logits, target) * weight).sum() / weight.sum())
        from sklearn.metrics import roc_auc_score  # loads dozens of modules that prediction doesn't need

        auc, labels, n_classes = math.nan, target.numpy(), self.n_classes(logits.shape[1])
        if len(np.unique(labels)) == n_classes and torch.isfinite(logits).all():
            of_rows = (logits[:, 0] if n_classes == 2 else logits.double().softmax(dim=1)).numpy()
            auc = float(roc_auc_score(labels, of_rows, sample_weight=weight.numpy(), multi_class="ovr"))
        return {"valid_loss": loss, "valid_auc": auc}

    def start(self, weight_of_class: Tensor, n_rows: int, n_outputs: int, negatives_kept: float) -> Tensor:
        """The logits, (C,), that predict the share of each class by weight: rare clicks need not be learned first."""
        share = weight_of_class
        # The first rows of a stream may lack a class: it is taken for rare, like one of a single row.
        log_share = torch.where(share > 0, share, share.sum() / n_rows).log()
        log_share[0] -= math.log(negatives_kept)
        return log_share[1:] - log_share[0] if n_outputs == 1 else log_share - log_share.mean()

    def shift(
        self, logits: NDArray[np.float64], target: Tensor, weight: NDArray[np.float64], weight_of_class: Tensor
    ) -> NDArray[np.float64]:
        """The constant, (C,), that makes mean predictions equal the shares of the classes.

        Where they differ, so does the gradient of the log-loss from 0, which is convex in the constant.
        """
        shares = (weight_of_class / weight_of_class.sum()).numpy()
        if shares.min() == 0 or not np.isfinite(logits).all():
            # No solution: a class is missing, or the training is about to end with an error.
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
        return minimize(loss, start, jac=True, method="L-BFGS-B", options={"gtol": 1e-5, "ftol": 0.0}).x


ONE_LABEL: Final = ClassObjective()


@dataclass(frozen=True)
class TaskObjective:
    """Several binary labels of each row, with a weight of each one's loss; some may be missing.

    A row's class is its pattern of labels, a number with a digit to the base 3 for each task, the first task's the
    lowest: 0, 1, or 2 where the label is missing. Each task has a logit. In a funnel, a label of 1 implies a 1 before,
    and a logit is conditional on the label before: the probability of a label is the product of all up to it (Ma et
    al., "Entire Space Multi-Task Model", SIGIR 2018), and its loss is over all rows, also without a click. An unknown
    label is 1 before a 1 and 0 after a 0; else the loss takes the network's own estimate of it.
    """

    names: tuple[str, ...]
    relation: Relation
    weights: tuple[float, ...]

    def n_classes(self, n_outputs: int) -> int:
        """Number of patterns."""
        return int(BASE ** len(self.names))

    def losses(self, logits: Tensor, target: Tensor) -> Tensor:
        """Sum of each row's cross-entropies by the weights of the tasks: (..., B, T), (B,) -> (..., B)."""
        digits = self._digits(target)
        if self.relation == "independent":
            labels = digits.clamp(max=1).to(logits.dtype).expand(logits.shape)
            losses = F.binary_cross_entropy_with_logits(logits, labels, reduction="none") * (digits != MISSING)
        else:
            labels, counts = _expected_labels(logits.detach(), implied(digits))
            log_p, log_not = funnel_log_probabilities(logits)
            losses = -(labels * log_p + (counts - labels) * log_not)
        return (losses * filled(losses, self.weights)).sum(dim=-1)

    def scores(self, logits: Tensor, target: Tensor, weight: Tensor) -> Scores:
        """Scores of each task on the rows with a known label, and their means by the weights of the tasks."""
        marginal = self.marginal_logits(logits)
        of_tasks: Scores = {}
        known, weights = [], []
        for task, (label, own) in enumerate(self._known(target, weight)):
            is_known = own > 0
            scores = ClassObjective().scores(marginal[is_known, task : task + 1], label[is_known], own[is_known])
            of_tasks |= {f"{name}_{self.names[task]}": score for name, score in scores.items()}
            if is_known.any():
                known.append(scores)
                weights.append(self.weights[task])
        names = ("valid_loss", "valid_auc")
        means = {name: float(np.average([scores[name] for scores in known], weights=weights)) for name in names}
        return means | of_tasks

    def start(self, weight_of_class: Tensor, n_rows: int, n_outputs: int, negatives_kept: float) -> Tensor:
        """The logits, (T,), that predict the share of each label."""
        return torch.from_numpy(self._rates(weight_of_class)).clamp(1 / n_rows, 1 - 1 / n_rows).logit()

    def shift(
        self, logits: NDArray[np.float64], target: Tensor, weight: NDArray[np.float64], weight_of_class: Tensor
    ) -> NDArray[np.float64]:
        """The constant, (T,), that makes each mean prediction equal the share of its label, where labels are known."""
        shift = np.zeros(logits.shape[1])
        if not np.isfinite(logits).all():
            # A training that is about to end with an error.
            return shift
        stands, share = self._stands(weight_of_class)[target].numpy(), weight
        for task, rate in enumerate(self._rates(weight_of_class)):
            # Labels may be known of some kinds of rows alone.
            rows = stands[:, task] if task == 0 or self.relation == "independent" else True
            shift[task] = _constant(logits[:, task], share * rows, rate)
            if self.relation == "funnel":
                share = share * expit(logits[:, task] + shift[task])
        return shift

    def marginal_logits(self, logits: Tensor) -> Tensor:
        """Log-odds of each label, (..., T); the logits of a funnel are of each label given the one before."""
        if self.relation == "independent":
            return logits
        log_p, log_not = funnel_log_probabilities(logits)
        return log_p - log_not

    def _digits(self, target: Tensor) -> Tensor:
        powers = BASE ** torch.arange(len(self.names), device=target.device)
        return target[:, None] // powers % BASE

    def _patterns(self, weight_of_class: Tensor) -> tuple[Tensor, Tensor]:
        """Digits of all patterns with those that others imply, and which are known or, in a funnel, lost before a 0."""
        digits = self._digits(torch.arange(len(weight_of_class)))
        if self.relation == "independent":
            return digits, digits != MISSING
        return implied(digits), _is_told(implied(digits))

    def _rates(self, weight_of_class: Tensor) -> NDArray[np.float64]:
        """Share of each label of 1; in a funnel among the rows where the one before is 1, the most likely one (EM)."""
        digits, is_told = self._patterns(weight_of_class)
        labels, weight = torch.where(digits == MISSING, 0.5, digits.double()), weight_of_class[:, None] * is_told
        is_lost = (weight > 0) & (digits == MISSING)
        for _ in range(_MAX_PASSES):
            before = torch.ones_like(labels)
            if self.relation == "funnel":
                before[:, 1:] = labels[:, :-1]
            totals = (weight * before).sum(dim=0)
            rates: Tensor = (weight * labels).sum(dim=0) / torch.where(totals > 0, totals, 1)
            expected = _expected_labels(rates.logit().expand(digits.shape), digits)[0]
            if not is_lost.any() or (expected - labels)[is_lost].abs().max() < _TOLERANCE:
                break
            labels = expected
        return rates.numpy()

    def _stands(self, weight_of_class: Tensor) -> Tensor:
        """For how many rows one of each pattern stands in each task, shape (3 ** T, T); 0 where the label isn't known.

        A missing label before a later 0 isn't missing at random: known rows stand for it by the probability of a 0.
        """
        digits, is_told = self._patterns(weight_of_class)
        is_known, is_lost = digits != MISSING, (digits == MISSING) & is_told
        stands = is_known.double()
        if not (is_lost & (weight_of_class > 0)[:, None]).any():
            return stands
        logits = torch.from_numpy(self._rates(weight_of_class)).logit().expand(digits.shape)
        fails = 1 - _expected_labels(logits, digits)[0][:, -1]
        came_to = torch.cat([torch.ones_like(digits[:, :1]), digits[:, :-1]], dim=1) == 1
        for first, task in combinations_with_replacement(range(len(self.names)), 2):
            lost = is_lost[:, task] & is_lost[:, first] & came_to[:, first]
            donors = fails * (is_known[:, task] & came_to[:, first])
            if total := weight_of_class @ donors:
                stands[:, task] += donors * (weight_of_class[lost].sum() / total)
        return stands

    def _known(self, target: Tensor, weight: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Labels and weights of each task, 0 if unknown; in a funnel, known ones stand for unknown ones after a 1."""
        given = self._digits(target)
        if self.relation == "independent":
            yield from ((digit, weight * (digit != MISSING)) for digit in given.T)
            return
        digits = implied(given)
        weight_of_class = torch.bincount(target, weight.double(), minlength=self.n_classes(len(self.names)))
        stands = self._stands(weight_of_class)[target].to(weight.dtype)
        before, own = torch.ones_like(target), weight
        for task in range(len(self.names)):
            digit = torch.where(before == 0, 0, given[:, task])
            is_known, is_lost = digit != MISSING, (given[:, task:] == MISSING).all(dim=1)
            is_open = (before == 1) & (is_known | is_lost)
            if task and (is_open & is_known).any():
                own = torch.where(is_open, own * (own[is_open].sum() / own[is_open & is_known].sum()), own)
            own = torch.where(before == MISSING, weight, own)
            yield digits[:, task], own * stands[:, task]
            before = digit


#: What a training needs to know of labels.
Objective = ClassObjective | TaskObjective


def _is_told(digits: Tensor) -> Tensor:
    """Which labels of a funnel are known, or lost before a 0, shape (n, T)."""
    return (digits != MISSING) | (digits[:, -1:] == 0)


def funnel_log_probabilities(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Logarithms of the probability of each label of a funnel, and of its complement, by logits (..., T)."""
    log_p, log_fails = F.logsigmoid(logits).cumsum(dim=-1), F.logsigmoid(-logits)
    log_not = [log_fails[..., 0]]
    for task in range(1, logits.shape[-1]):
        log_not.append(torch.logaddexp(log_not[-1], log_p[..., task - 1] + log_fails[..., task]))
    return log_p, torch.stack(log_not, dim=-1)


def _expected_labels(logits: Tensor, digits: Tensor) -> tuple[Tensor, Tensor]:
    """The labels of a funnel, unknown ones as the network expects them, so that they have no effect; which count."""
    reached = torch.ones_like(logits[..., 0])
    # Probability of a 1 where the first 0 is.
    failed, is_over = torch.zeros_like(reached), torch.zeros_like(digits[:, 0], dtype=torch.bool)
    chain = []
    for task, digit in enumerate(digits.T):
        reached = torch.where(digit == 1, 1.0, reached * logits[..., task].sigmoid())
        failed = torch.where((digit == 0) & ~is_over, reached, failed)
        is_over = is_over | (digit == 0)
        chain.append(reached)
    failed = failed[..., None]
    expected = (torch.stack(chain, dim=-1) - failed) / (1 - failed).clamp(min=torch.finfo(logits.dtype).eps)
    counts = (_is_told(digits).cumsum(dim=1) > 0).to(logits.dtype)
    return torch.where(digits == MISSING, expected, digits.to(logits.dtype)) * counts, counts.expand(logits.shape)


def _constant(logits: NDArray[np.float64], weight: NDArray[np.float64], rate: float) -> float:
    """Return the shift that makes the mean probability equal the rate; 0 if none does."""
    if not 0 < rate < 1 or not weight.sum():
        return 0.0
    weight = weight / weight.sum()
    # These two constants bracket the rate.
    lowest, highest = logit(rate) - logits.max() - 1, logit(rate) - logits.min() + 1
    return brentq(lambda constant: weight @ expit(logits + constant) - rate, lowest, highest, xtol=1e-6)


def filled(like: Tensor, values: Sequence[float]) -> Tensor:
    """A few numbers as a tensor like another; the CPU would wait for a device to copy them from a list."""
    return torch.stack([like.new_full((), value) for value in values])


def sampled_logits(logits: Tensor, negatives_kept: float) -> Tensor:
    """Return logits in a sample of all clicks and a share of the other rows (He et al., ADKDD 2014, section 6.3)."""
    return logits if negatives_kept == 1 else logits - math.log(negatives_kept)
