"""Several binary labels of each row, as a classifier of several tasks takes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.utils.validation import check_consistent_length

from .._labels import BASE, implied, label_classes, label_columns, label_digits, patterns_of
from .._sklearn import InvalidParameterError
from .._warnings import shown
from ..training import TaskObjective
from ._labels import LabelCounts, OneLabel
from ._parameters import BUILT_IN, name_of_scorer

Relation = Literal["funnel", "independent"]


@dataclass(frozen=True)
class Tasks:
    """Tasks of a fit: names, the two labels of each in ascending order, relation, and weight of the loss of each."""

    names: list[str]
    classes: list[NDArray[Any]]
    relation: Relation
    task_weights: list[float]

    @property
    def objective(self) -> TaskObjective:
        """Loss and scores of the tasks."""
        return TaskObjective(tuple(self.names), self.relation, tuple(self.task_weights))

    @property
    def n_labels(self) -> int:
        """Number of patterns of labels, missing ones among them."""
        return int(BASE ** len(self.names))

    @property
    def n_outputs(self) -> int:
        """Number of logits."""
        return len(self.names)

    def read_more(self, y: Any, X: Any) -> tuple[Tasks, NDArray[np.int64]]:
        """Return the same tasks, and the pattern of each row."""
        return self, self.patterns(label_columns(y, self.names), X)

    def having_rows(self, n_rows: NDArray[np.int64]) -> tuple[Tasks, NDArray[np.bool_]]:
        """Return the same: patterns don't change."""
        for name, label, of_label in self._rows_of_labels(n_rows):
            if not of_label.sum():
                raise ValueError(
                    f"Each task needs rows of two classes with a positive weight, but {name!r} has none of class "
                    f"{shown(label)}."
                )
        return self, np.ones(self.n_labels, bool)

    def _rows_of_labels(self, *counts: NDArray[np.int64]) -> Iterator[tuple[str, Any, NDArray[np.int64]]]:
        """Name of each task, label, and its numbers of rows, summed over patterns."""
        digits = np.arange(self.n_labels)[:, None] // BASE ** np.arange(len(self.names)) % BASE
        digits = implied(digits) if self.relation == "funnel" else digits
        for name, classes, of_task in zip(self.names, self.classes, digits.T, strict=True):
            for digit, label in enumerate(classes.tolist()):
                yield name, label, np.array([of_patterns[of_task == digit].sum() for of_patterns in counts])

    def check(self, estimator: Any) -> None:
        """Refuse parameters of a single label, and a change of tasks in a warm start."""
        if estimator.scoring not in BUILT_IN:
            raise ValueError(
                f"scoring={name_of_scorer(estimator.scoring)!r} is for a single label: what a scorer makes of several, "
                "some of them missing, isn't defined. Set scoring='neg_log_loss' or 'roc_auc', which are means over "
                "the tasks by task_weight."
            )
        for name, default in {"class_weight": None, "negatives_kept": 1.0, "negative_sampling": 1.0}.items():
            if getattr(estimator, name) != default:
                raise ValueError(
                    f"{name}={getattr(estimator, name)!r} is for a single label: another share of clicks would be "
                    f"another product. Set {name}={default!r}; weigh rows by sample_weight, and tasks by task_weight."
                )
        if estimator._continues() and not self.is_like(estimator._tasks):
            before = estimator._tasks
            raise ValueError(
                f"With warm_start=True, y must have the tasks and labels of the first fit, {before.names} with "
                f"relation={before.relation!r}; it has {self.names} with relation={self.relation!r}."
            )

    def weights(self, class_weight: Any, counts: LabelCounts | None) -> NDArray[np.float64]:
        """Return equal weights."""
        return np.ones(self.n_labels)

    def held_out_by_label(self, counts: LabelCounts) -> list[tuple[Any, int, int]]:
        """Return each label of each task, its number of rows, and how many of them are held out."""
        of_labels = self._rows_of_labels(counts.n_rows, counts.n_held_out)
        return [(f"{name}={label}", int(n_rows), int(n_held_out)) for name, label, (n_rows, n_held_out) in of_labels]

    def check_validation(self, n_rows: NDArray[np.int64], scoring: Any) -> None:
        """Refuse validation rows without labels, and those without one of a task, which have no AUC."""
        if not n_rows[:-1].any():
            raise ValueError("y_val has no label, all are missing. Give rows with labels, or leave X_val out.")
        for name, _, of_label in self._rows_of_labels(n_rows):
            if scoring == "roc_auc" and not of_label.sum():
                raise ValueError(
                    "scoring='roc_auc' needs validation rows of both labels of each task, but y_val lacks one of "
                    f"{name!r}. Add such rows, or set scoring='neg_log_loss'."
                )

    def attributes(self) -> dict[str, Any]:
        """Return the tasks, and the labels of each."""
        return {"classes_": [classes.copy() for classes in self.classes], "_tasks": self}

    def log_odds(self, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the log-odds of each task's second label."""
        return self.objective.marginal_logits(torch.from_numpy(logits)).numpy()

    def probabilities(self, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the probability of each task's second label."""
        probabilities: NDArray[np.float64] = expit(logits)
        return probabilities.cumprod(axis=1) if self.relation == "funnel" else probabilities

    def most_probable(self, logits: NDArray[np.float64]) -> NDArray[Any]:
        """Return the more probable label of each task."""
        positions = (self.log_odds(logits) > 0).astype(int)
        labels = [classes[positions[:, task]] for task, classes in enumerate(self.classes)]
        if len({of_task.dtype.kind for of_task in labels}) > 1:
            # NumPy would make strings of the numbers.
            labels = [of_task.astype(object) for of_task in labels]
        return np.stack(labels, axis=1)

    def is_like(self, other: Tasks) -> bool:
        """Whether the tasks and their labels are the same."""
        same = self.names == other.names and self.relation == other.relation
        return same and all(map(np.array_equal, self.classes, other.classes))

    def patterns(self, columns: Mapping[str, NDArray[Any]], X: Any) -> NDArray[np.int64]:
        """Return a number for each row: its labels as digits, the first task's the lowest."""
        digits = [
            label_digits(name, classes, columns[name]) for name, classes in zip(self.names, self.classes, strict=True)
        ]
        if self.relation == "funnel":
            self._check_funnel(digits)
        patterns = patterns_of(digits)
        check_consistent_length(X, patterns)
        return patterns

    def _check_funnel(self, digits: Sequence[NDArray[np.int64]]) -> None:
        for later in range(1, len(digits)):
            for earlier in range(later):
                rows = np.flatnonzero((digits[later] == 1) & (digits[earlier] == 0))
                if rows.size:
                    raise ValueError(
                        f"Row {rows[0]} of y, counted from 0, has {self._label(later, 1)} but "
                        f"{self._label(earlier, 0)}{_others(rows.size)}: in a funnel, {self.names[later]!r} implies "
                        f"{self.names[earlier]!r}. Correct such rows, name the columns in the order of the funnel, or "
                        "set relation='independent'."
                    )

    def _label(self, task: int, digit: int) -> str:
        return f"{self.names[task]}={shown(self.classes[task].tolist()[digit])}"


#: The labels of a fit, numbered from 0.
Labels = OneLabel | Tasks


def _others(n_rows: int) -> str:
    return f", and so have {n_rows - 1} others" if n_rows > 1 else ""


def read_tasks(
    y: Any, X: Any, *, names: Sequence[str] | None, relation: Relation, task_weight: Any
) -> tuple[Tasks, NDArray[np.int64]]:
    """Return the tasks of labels and the pattern of each row; without `names`, tasks are named like columns."""
    check_task_names(names)
    columns = label_columns(y, names)
    tasks = Tasks(list(columns), label_classes(columns), relation, _weights(task_weight, list(columns)))
    return tasks, tasks.patterns(columns, X)


def check_task_names(names: Sequence[str] | None) -> None:
    """Refuse names of tasks that aren't strings, or that come twice."""
    if names is None:
        return
    if not len(names) or not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        raise InvalidParameterError(
            "The 'tasks' parameter of FunnelClassifier must be different names of columns of y, such as ['click', "
            f"'conversion']. Got {names!r} instead."
        )


def _weights(task_weight: Any, names: Sequence[str]) -> list[float]:
    if task_weight is None:
        return [1.0] * len(names)
    if isinstance(task_weight, Mapping):
        if strange := task_weight.keys() - set(names):
            raise ValueError(f"task_weight names {sorted(map(str, strange))}, but the tasks are {list(names)}.")
        task_weight = [task_weight.get(name, 1.0) for name in names]
    weights = list(task_weight)
    if len(weights) != len(names):
        raise ValueError(f"task_weight={task_weight!r} has {len(weights)} weights, but there are {len(names)} tasks.")
    for name, weight in zip(names, weights, strict=True):
        if not isinstance(weight, Real) or not 0 < float(weight) < np.inf:
            raise ValueError(f"task_weight must be positive and finite, but {name!r} has {weight!r}.")
    return [float(weight) for weight in weights]
