"""What logits say of labels: the loss of each row, scores, initial logits, and what makes the mean prediction right."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import brentq, minimize
from scipy.special import expit, log_expit, logit, logsumexp, softmax
from torch import Tensor
from torch.nn import functional as F

from .._labels import BASE, MISSING

Relation = Literal["funnel", "independent"]


class Scores(NamedTuple):
    """Weighted mean cross-entropy in nats and area under the ROC curve, NaN where a class is missing; of tasks, too."""

    loss: float
    auc: float
    of_tasks: dict[str, float]

    def as_records(self) -> dict[str, float]:
        """The scores as an epoch's record names them."""
        return {"valid_loss": self.loss, "valid_auc": self.auc, **self.of_tasks}


class Objective(Protocol):
    """What a training needs to know of labels.

    Examples
    --------
    >>> import torch
    >>> from sk_finalmlp.training import ClassObjective
    >>> ClassObjective().losses(torch.zeros(2, 1), target=torch.tensor([0, 1]))
    tensor([0.6931, 0.6931])
    """

    def n_classes(self, n_outputs: int) -> int:
        """Number of classes that a target may name, for a network of so many logits."""
        ...

    def losses(self, logits: Tensor, target: Tensor) -> Tensor:
        """Loss of each row, (..., B, C), (B,) -> (..., B)."""
        ...

    def scores(self, logits: Tensor, target: Tensor, weight: Tensor) -> Scores:
        """Scores of rows with weights."""
        ...

    def start(self, weight_of_class: Tensor, n_rows: int, n_outputs: int, negatives_kept: float) -> Tensor:
        """The logits, shape (C,), that predict the shares of the classes, by the sums of their weights."""
        ...

    def shift(
        self, logits: NDArray[np.float64], target: Tensor, weight: NDArray[np.float64], weight_of_class: Tensor
    ) -> NDArray[np.float64]:
        """The constant, shape (C,), by which the mean predictions of rows are the shares of the classes."""
        ...


class ClassObjective:
    """One label of two or more classes.

    Examples
    --------
    >>> import torch
    >>> from sk_finalmlp.training import ClassObjective
    >>> scores = ClassObjective().scores(
    ...     torch.tensor([[-1.0], [1.0]]), torch.tensor([0, 1]), torch.ones(2)
    ... )
    >>> round(scores.loss, 4), scores.auc
    (0.3133, 1.0)
    """

    def n_classes(self, n_outputs: int) -> int:
        """Number of classes."""
        return max(2, n_outputs)

    def losses(self, logits: Tensor, target: Tensor) -> Tensor:
        """Cross-entropy of each row.

        Parameters
        ----------
        logits : Tensor of float32, shape (..., B, C)
            Logits.
        target : Tensor of int64, shape (B,)
            Position of each row's class.

        Returns
        -------
        Tensor of float32, shape (..., B)
        """
        return cross_entropy(logits, target)

    def scores(self, logits: Tensor, target: Tensor, weight: Tensor) -> Scores:
        """Scores of rows with weights.

        Parameters
        ----------
        logits : Tensor of float32, shape (n, C)
            Logits.
        target : Tensor of int64, shape (n,)
            Position of each row's class.
        weight : Tensor of float32, shape (n,)
            Weights of the rows.

        Returns
        -------
        Scores
            For more than two classes, `auc` is the mean of one against the rest.
        """
        loss = float((self.losses(logits, target) * weight).sum() / weight.sum())
        n_classes = max(2, logits.shape[1])
        from sklearn.metrics import roc_auc_score  # loads dozens of modules, of which prediction needs none

        labels = target.numpy()
        if len(np.unique(labels)) < n_classes or not torch.isfinite(logits).all():
            return Scores(loss, math.nan, {})
        if n_classes == 2:
            return Scores(loss, float(roc_auc_score(labels, logits[:, 0].numpy(), sample_weight=weight.numpy())), {})
        probabilities = logits.double().softmax(dim=1).numpy()
        auc = roc_auc_score(labels, probabilities, sample_weight=weight.numpy(), multi_class="ovr")
        return Scores(loss, float(auc), {})

    def start(self, weight_of_class: Tensor, n_rows: int, n_outputs: int, negatives_kept: float) -> Tensor:
        """The logits that predict the share of each class, so that rare clicks need not be learned first.

        Parameters
        ----------
        weight_of_class : Tensor of float64, shape (max(2, C),)
            Sum of the weights of the rows of each class.
        n_rows : int
            Number of rows.
        n_outputs : int
            Number C of logits.
        negatives_kept : float
            Share of the rows of the first class that a sample kept.

        Returns
        -------
        Tensor of float64, shape (C,)
        """
        share = weight_of_class
        # The first rows of a stream may lack a class: it is taken for rare, like one of a single row.
        log_share = torch.where(share > 0, share, share.sum() / n_rows).log()
        log_share[0] -= math.log(negatives_kept)
        return log_share[1:] - log_share[0] if n_outputs == 1 else log_share - log_share.mean()

    def shift(
        self, logits: NDArray[np.float64], target: Tensor, weight: NDArray[np.float64], weight_of_class: Tensor
    ) -> NDArray[np.float64]:
        """The constant by which the mean of the predictions is the share of each class.

        Where they differ, so does the gradient of the log-loss from 0, which is convex in the constant.

        Parameters
        ----------
        logits : ndarray of float64, shape (n, C)
            Logits of some rows.
        target : Tensor of int64, shape (n,)
            Position of each row's class.
        weight : ndarray of float64, shape (n,)
            Weights of the rows.
        weight_of_class : Tensor of float64, shape (max(2, C),)
            Sum of the weights of each class, over all rows.

        Returns
        -------
        ndarray of float64, shape (C,)
        """
        shares = (weight_of_class / weight_of_class.sum()).numpy()
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


ONE_LABEL: Final = ClassObjective()


@dataclass(frozen=True)
class TaskObjective:
    """Several binary labels of each row, some of which may be missing.

    A row's class is its pattern of labels, a number with a digit to the base 3 for each task, the first task's the
    lowest: 0, 1, or 2 where the label is missing. Each task has a logit. In a funnel, where a label of 1 implies that
    of the task before, it is that of the label given the one before: the probability of a label is the product of all
    up to it (Ma et al., "Entire Space Multi-Task Model", SIGIR 2018), and its loss is over all rows, those without a
    click included. Where the label before is known and a label isn't, the loss takes the network's own estimate of it.

    Parameters
    ----------
    names : tuple of str
        Names of the T tasks.
    relation : {"funnel", "independent"}
        Whether each label implies the one before.
    weights : tuple of float
        Weight of each task's loss.

    Examples
    --------
    >>> import torch
    >>> from sk_finalmlp.training import TaskObjective
    >>> objective = TaskObjective(("click", "conversion"), "funnel", (1.0, 1.0))
    >>> objective.losses(torch.zeros(2, 2), target=torch.tensor([1 + 3 * 0, 1 + 3 * 1]))
    tensor([0.9808, 2.0794])
    """

    names: tuple[str, ...]
    relation: Relation
    weights: tuple[float, ...]

    def n_classes(self, n_outputs: int) -> int:
        """Number of patterns."""
        return int(BASE ** len(self.names))

    def losses(self, logits: Tensor, target: Tensor) -> Tensor:
        """Sum of the cross-entropies of each row's labels, by the weights of the tasks.

        Parameters
        ----------
        logits : Tensor of float32, shape (..., B, T)
            Logits.
        target : Tensor of int64, shape (B,)
            Pattern of each row.

        Returns
        -------
        Tensor of float32, shape (..., B)
        """
        digits = self._digits(target)
        if self.relation == "independent":
            labels = digits.clamp(max=1).to(logits.dtype).expand(logits.shape)
            losses = F.binary_cross_entropy_with_logits(logits, labels, reduction="none") * (digits != MISSING)
        else:
            labels, counts = _expected_labels(logits.detach(), digits)
            log_p, log_not = funnel_log_probabilities(logits)
            losses = -(labels * log_p + (counts - labels) * log_not)
        return (losses * filled(losses, self.weights)).sum(dim=-1)

    def scores(self, logits: Tensor, target: Tensor, weight: Tensor) -> Scores:
        """Scores of each task on the rows of which its label is known, and their means by the weights of the tasks.

        Parameters
        ----------
        logits : Tensor of float32, shape (n, T)
            Logits.
        target : Tensor of int64, shape (n,)
            Pattern of each row.
        weight : Tensor of float32, shape (n,)
            Weights of the rows.

        Returns
        -------
        Scores
        """
        marginal = self.marginal_logits(logits)
        of_tasks: dict[str, float] = {}
        losses, aucs, weights = [], [], []
        for task, (label, own) in enumerate(self._known(target, weight)):
            is_known = own > 0
            scores = ClassObjective().scores(marginal[is_known, task : task + 1], label[is_known], own[is_known])
            of_tasks |= {f"valid_loss_{self.names[task]}": scores.loss, f"valid_auc_{self.names[task]}": scores.auc}
            if is_known.any():
                losses.append(scores.loss)
                aucs.append(scores.auc)
                weights.append(self.weights[task])
        return Scores(float(np.average(losses, weights=weights)), float(np.average(aucs, weights=weights)), of_tasks)

    def start(self, weight_of_class: Tensor, n_rows: int, n_outputs: int, negatives_kept: float) -> Tensor:
        """The logits that predict the share of each label.

        Parameters
        ----------
        weight_of_class : Tensor of float64, shape (3 ** T,)
            Sum of the weights of the rows of each pattern.
        n_rows : int
            Number of rows.
        n_outputs : int
            Number T of logits.
        negatives_kept : float
            1.

        Returns
        -------
        Tensor of float64, shape (T,)
        """
        return torch.from_numpy(self._rates(weight_of_class)).clamp(1 / n_rows, 1 - 1 / n_rows).logit()

    def shift(
        self, logits: NDArray[np.float64], target: Tensor, weight: NDArray[np.float64], weight_of_class: Tensor
    ) -> NDArray[np.float64]:
        """The constant by which the mean of each prediction is the share of its label, as far as labels are known.

        Parameters
        ----------
        logits : ndarray of float64, shape (n, T)
            Logits of some rows.
        target : Tensor of int64, shape (n,)
            Pattern of each row.
        weight : ndarray of float64, shape (n,)
            Weights of the rows.
        weight_of_class : Tensor of float64, shape (3 ** T,)
            Sum of the weights of each pattern, over all rows.

        Returns
        -------
        ndarray of float64, shape (T,)
        """
        shift = np.zeros(logits.shape[1])
        if not np.isfinite(logits).all():
            # A training that is about to end with an error.
            return shift
        is_known = (self._digits(target) != MISSING).numpy()
        share = weight
        for task, rate in enumerate(self._rates(weight_of_class)):
            # Labels may be known of some kinds of rows alone.
            rows = is_known[:, task] if task == 0 or self.relation == "independent" else True
            shift[task] = _constant(logits[:, task], share * rows, rate)
            if self.relation == "funnel":
                share = share * expit(logits[:, task] + shift[task])
        return shift

    def marginal_logits(self, logits: Tensor) -> Tensor:
        """Log-odds of each label.

        Parameters
        ----------
        logits : Tensor of float, shape (..., T)
            Logits; in a funnel those of each label given the one before.

        Returns
        -------
        Tensor of float, shape (..., T)
        """
        if self.relation == "independent":
            return logits
        log_p, log_not = funnel_log_probabilities(logits)
        return log_p - log_not

    def _digits(self, target: Tensor) -> Tensor:
        powers = BASE ** torch.arange(len(self.names), device=target.device)
        return target[:, None] // powers % BASE

    def _rates(self, weight_of_class: Tensor) -> NDArray[np.float64]:
        """Share of each label of 1; in a funnel among the rows where the one before is 1."""
        weight = weight_of_class.numpy()
        digits = self._digits(torch.arange(len(weight))).numpy()
        rates = np.empty(len(self.names))
        for task in range(len(self.names)):
            counts = digits[:, task] != MISSING
            if task and self.relation == "funnel":
                counts &= digits[:, task - 1] == 1
            total = weight[counts].sum()
            rates[task] = weight[counts & (digits[:, task] == 1)].sum() / total if total else 0.0
        return rates

    def _known(self, target: Tensor, weight: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Labels of each task, and weights of the rows; 0 where the label isn't known.

        In a funnel, there is no label of 1 after one of 0. The rows with a 1 before whose label is known stand for all
        with a 1 before: else rows with a 0 before would have too large a share.
        """
        digits = self._digits(target)
        before, own = torch.ones_like(target), weight
        for task, digit in enumerate(digits.T):
            if self.relation == "independent":
                yield digit, weight * (digit != MISSING)
                continue
            digit = torch.where(before == 0, 0, digit)
            is_known, is_open = digit != MISSING, before == 1
            if task and (is_open & is_known).any():
                own = torch.where(is_open, own * (own[is_open].sum() / own[is_open & is_known].sum()), own)
            own = torch.where(before == MISSING, weight, own)
            yield digit, own * is_known
            before = digit


def funnel_log_probabilities(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Logarithms of the probability of each label of a funnel, and of its complement, by logits (..., T)."""
    log_p, log_fails = F.logsigmoid(logits).cumsum(dim=-1), F.logsigmoid(-logits)
    log_not = [log_fails[..., 0]]
    for task in range(1, logits.shape[-1]):
        log_not.append(torch.logaddexp(log_not[-1], log_p[..., task - 1] + log_fails[..., task]))
    return log_p, torch.stack(log_not, dim=-1)


def _expected_labels(logits: Tensor, digits: Tensor) -> tuple[Tensor, Tensor]:
    """The labels of a funnel, where missing those that the network expects after the last known one; which count.

    So rows are no reason for or against a conversion where a click's conversion isn't known, and those without a click
    have none.
    """
    label, counts = torch.zeros_like(logits[..., 0]), torch.zeros_like(digits[:, 0], dtype=torch.bool)
    labels, are_known = [], []
    for task in range(digits.shape[1]):
        digit = digits[:, task]
        is_known = digit != MISSING
        label = torch.where(is_known, digit.to(logits.dtype), label * logits[..., task].sigmoid())
        counts = counts | is_known
        labels.append(label)
        are_known.append(counts.to(logits.dtype).expand(label.shape))
    return torch.stack(labels, dim=-1), torch.stack(are_known, dim=-1)


def _constant(logits: NDArray[np.float64], weight: NDArray[np.float64], rate: float) -> float:
    """Return the shift that makes the mean probability equal the rate; 0 if none does."""
    if not 0 < rate < 1 or not weight.sum():
        return 0.0
    weight = weight / weight.sum()
    # With these two constants every single probability is below, or above, the rate.
    lowest, highest = logit(rate) - logits.max() - 1, logit(rate) - logits.min() + 1
    root: float = brentq(lambda constant: weight @ expit(logits + constant) - rate, lowest, highest, xtol=1e-6)
    return root


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy of each row, (..., B, C), (B,) -> (..., B); of two classes, one logit is that of the second."""
    target = target.expand(logits.shape[:-1])
    if logits.shape[-1] == 1:
        return F.binary_cross_entropy_with_logits(logits[..., 0], target.to(logits.dtype), reduction="none")
    losses = F.cross_entropy(logits.flatten(end_dim=-2), target.flatten(), reduction="none")
    return losses.view(target.shape)


def filled(like: Tensor, values: Sequence[float]) -> Tensor:
    """A few numbers as a tensor like another; the CPU would wait for a device to copy them from a list."""
    return torch.stack([like.new_full((), value) for value in values])


def sampled_logits(logits: Tensor, negatives_kept: float) -> Tensor:
    """Return logits in a sample of all clicks and a share of the other rows, in which clicks are as much likelier.

    See He et al., "Practical Lessons from Predicting Clicks on Ads at Facebook", ADKDD 2014, section 6.3.
    """
    return logits if negatives_kept == 1 else logits - math.log(negatives_kept)
