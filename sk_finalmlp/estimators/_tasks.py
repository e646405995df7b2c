"""Several binary labels of each row, as a classifier of several tasks takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .._labels import BASE, label_classes, label_columns, label_digits, patterns_of
from .._sklearn import InvalidParameterError
from ..training import TaskObjective

Relation = Literal["funnel", "independent"]


@dataclass(frozen=True)
class Tasks:
    """The tasks of a fit: their names, labels and relation.

    Parameters
    ----------
    names : list of str
        Names of the T tasks.
    classes : list of ndarray of shape (2,)
        Labels of each, in ascending order.
    relation : {"funnel", "independent"}
        Whether each label of the greater class implies that of the task before.
    weights : list of float
        Weight of the loss of each.
    """

    names: list[str]
    classes: list[NDArray[Any]]
    relation: Relation
    weights: list[float]

    @property
    def objective(self) -> TaskObjective:
        """What the training makes of them."""
        return TaskObjective(tuple(self.names), self.relation, tuple(self.weights))

    @property
    def n_patterns(self) -> int:
        """Number of patterns of labels, missing ones among them."""
        return int(BASE ** len(self.names))

    def is_like(self, other: Tasks) -> bool:
        """Whether the tasks and their labels are the same."""
        same = self.names == other.names and self.relation == other.relation
        return same and all(map(np.array_equal, self.classes, other.classes))

    def patterns(self, columns: Sequence[NDArray[Any]]) -> NDArray[np.int64]:
        """A number for each row: its labels as digits, the first task's the lowest.

        Parameters
        ----------
        columns : sequence of ndarray of shape (n,)
            Labels of each task; missing ones are None or NaN.

        Returns
        -------
        ndarray of int64, shape (n,)
        """
        digits = [label_digits(*of_task) for of_task in zip(self.names, self.classes, columns, strict=True)]
        if self.relation == "funnel":
            self._check_funnel(digits)
        return patterns_of(digits)

    def digits(self, patterns: NDArray[np.int64]) -> NDArray[np.int64]:
        """Position of the label of each task, or 2 where it is missing, shape (n, T)."""
        digits: NDArray[np.int64] = patterns[:, None] // BASE ** np.arange(len(self.names)) % BASE
        return digits

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
        return f"{self.names[task]}={self.classes[task].tolist()[digit]!r}"


def _others(n_rows: int) -> str:
    return f", and so have {n_rows - 1} others" if n_rows > 1 else ""


def read_tasks(
    y: Any, names: Sequence[str] | None, relation: Relation, task_weight: Any
) -> tuple[Tasks, NDArray[np.int64]]:
    """The tasks that labels are of, and the pattern of each row.

    Parameters
    ----------
    y : dataframe or array-like of shape (n, T)
        Labels.
    names : sequence of str or None
        Names of the tasks; None for those of the columns.
    relation : {"funnel", "independent"}
        How they are related.
    task_weight : mapping of {str: float}, array-like of shape (T,) or None
        Weights of the tasks.

    Returns
    -------
    tasks : Tasks
    patterns : ndarray of int64, shape (n,)
    """
    columns = label_columns(y, names)
    classes = label_classes(columns)
    weights = _weights(task_weight, list(columns))
    tasks = Tasks(list(columns), classes, relation, weights)
    return tasks, tasks.patterns(list(columns.values()))


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
