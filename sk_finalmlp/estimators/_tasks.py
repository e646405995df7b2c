"""Several binary labels of each row, as a classifier of several tasks takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, Final

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils import assert_all_finite

from .._sklearn import InvalidParameterError
from .._tables import check_detached
from ..training import Relation, TaskObjective

#: What a row's pattern says where a label is missing, and the base of its digits.
_MISSING: Final = 2
_BASE: Final = 3
#: There are 3 to the power of it patterns.
_MAX_TASKS: Final = 10


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
        return int(_BASE ** len(self.names))

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
        digits = [self._digits(*of_task) for of_task in zip(self.names, self.classes, columns, strict=True)]
        if self.relation == "funnel":
            self._check_funnel(digits)
        patterns: NDArray[np.int64] = np.stack(digits, axis=1) @ _BASE ** np.arange(len(digits))
        return patterns

    def digits(self, patterns: NDArray[np.int64]) -> NDArray[np.int64]:
        """Position of the label of each task, or 2 where it is missing, shape (n, T)."""
        digits: NDArray[np.int64] = patterns[:, None] // _BASE ** np.arange(len(self.names)) % _BASE
        return digits

    def _digits(self, name: str, classes: NDArray[Any], labels: NDArray[Any]) -> NDArray[np.int64]:
        digits = np.full(len(labels), _MISSING)
        known = ~pd.isna(labels)
        of_known = _as_one_type(labels[known])
        unseen = np.setdiff1d(of_known, classes)
        if unseen.size:
            raise ValueError(
                f"{name!r} has the labels {unseen.tolist()}, which aren't among those of fit, {classes.tolist()}. "
                "Leave out such rows."
            )
        digits[known] = np.searchsorted(classes, of_known)
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
    columns = read_label_columns(y, names)
    if len(columns) > _MAX_TASKS:
        raise ValueError(f"y has {len(columns)} columns, and this classifier takes {_MAX_TASKS} tasks at most.")
    classes = [_classes_of(name, labels) for name, labels in columns.items()]
    weights = _weights(task_weight, list(columns))
    tasks = Tasks(list(columns), classes, relation, weights)
    return tasks, tasks.patterns(list(columns.values()))


def read_label_columns(y: Any, names: Sequence[str] | None) -> dict[str, NDArray[Any]]:
    """Labels by the name of their task, in the order of the names.

    Parameters
    ----------
    y : dataframe or array-like of shape (n, T)
        Labels.
    names : sequence of str or None
        Names of the tasks; None for those of the columns, or "task_0", "task_1", ... where they have none.

    Returns
    -------
    dict of {str: ndarray of shape (n,)}
    """
    if y is None:
        raise ValueError("A classifier requires y to be passed, but the target y is None.")
    check_detached(y, "y")
    frame = nw.from_native(y, eager_only=True, pass_through=True)
    if isinstance(frame, nw.DataFrame):
        columns = {str(name): frame[name].to_numpy() for name in frame.columns}
        _check_names(columns, names)
        return {name: columns[name] for name in names or columns}
    # NumPy would make a string of a missing label among strings.
    matrix = y if isinstance(y, np.ndarray) else np.asarray(y, dtype=object)
    if matrix.ndim != 2:
        raise ValueError(
            f"y has the shape {matrix.shape}, but this classifier takes a column of labels for each task, of shape "
            "(n_samples, n_tasks). For a single label use FinalMLPClassifier."
        )
    if names is None:
        names = [f"task_{task}" for task in range(matrix.shape[1])]
    if len(names) != matrix.shape[1]:
        raise ValueError(f"tasks={list(names)} names {len(names)} tasks, but y has {matrix.shape[1]} columns.")
    return dict(zip(names, matrix.T, strict=True))


def _check_names(columns: Mapping[str, Any], names: Sequence[str] | None) -> None:
    if names is not None and set(names) != set(columns):
        raise ValueError(
            f"tasks={list(names)}, but y has the columns {list(columns)}. Give y with the columns of the tasks alone, "
            "such as y[tasks]."
        )


def check_task_names(names: Sequence[str] | None) -> None:
    """Refuse names of tasks that aren't strings, or that come twice."""
    if names is None:
        return
    if not len(names) or not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        raise InvalidParameterError(
            "The 'tasks' parameter of FunnelClassifier must be different names of columns of y, such as ['click', "
            f"'conversion']. Got {names!r} instead."
        )


def _classes_of(name: str, labels: NDArray[Any]) -> NDArray[Any]:
    known = _as_one_type(labels[~pd.isna(labels)])
    if known.dtype.kind == "f":
        assert_all_finite(known, input_name="y")
        if (known != np.floor(known)).any():
            raise ValueError(f"Unknown label type: continuous. {name!r} holds numbers, such as {known[0]}, not labels.")
    classes: NDArray[Any] = np.unique(known)
    if len(classes) > 2:
        raise ValueError(
            f"Only binary classification is supported. The type of the target is multiclass: {name!r} has the "
            f"{len(classes)} classes {classes[:5].tolist()}{', ...' if len(classes) > 5 else ''}. Make a column of "
            "two labels of each class."
        )
    if len(classes) < 2:
        found = f"one class, {classes.tolist()}" if len(classes) else "no label"
        raise ValueError(
            f"Each task needs rows of two classes, but {name!r} has {found}. Leave the task out, or add rows."
        )
    return classes


def _as_one_type(labels: NDArray[Any]) -> NDArray[Any]:
    """Labels among which there were missing ones, by their own type."""
    if labels.dtype.kind != "O" or all(isinstance(label, str) for label in labels):
        return labels
    return np.array(labels.tolist())


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
