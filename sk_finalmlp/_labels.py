"""Several binary labels of each row: the same rules for the encoder, the classifier and the loss.

All number a row by its pattern of labels, missing ones among them, and so hold out the same rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils import assert_all_finite

from ._checks import check_detached
from ._warnings import shown

#: The digit of a missing label; known ones have 0 or 1.
MISSING: Final = 2
#: Number of digits: patterns are numbers in base 3.
BASE: Final = 3
#: There are 3 to the power of it patterns.
_MAX_TASKS: Final = 10


def has_tasks(y: Any) -> bool:
    """Whether y has two or more columns."""
    shape = getattr(y, "shape", None)
    if shape is None:
        shape = np.shape(np.asarray(y, dtype=object)) if isinstance(y, list | tuple) else ()
    return len(shape) == 2 and shape[1] > 1


def label_columns(y: Any, names: Sequence[str] | None = None) -> dict[str, NDArray[Any]]:
    """Return the labels of each task, in the order of `names`; arrays without names have task_0, task_1, ..."""
    check_detached(y, "y")
    frame = nw.from_native(y, eager_only=True, pass_through=True)
    if isinstance(frame, nw.DataFrame):
        columns = {str(name): frame[name].to_numpy() for name in frame.columns}
        if names is not None and set(names) != set(columns):
            raise ValueError(
                f"tasks={list(names)}, but y has the columns {list(columns)}. Give y with the columns of the tasks "
                "alone, such as y[tasks]."
            )
        return {name: columns[name] for name in (columns if names is None else names)}
    # NumPy would make a string of a missing label among strings.
    matrix = y if isinstance(y, np.ndarray) else np.asarray(y, dtype=object)
    if matrix.ndim != 2:
        raise ValueError(
            f"y has the shape {matrix.shape}, but several labels are a column each, of shape (n_samples, n_tasks). For "
            "a single label use FinalMLPClassifier."
        )
    if names is None:
        names = [f"task_{task}" for task in range(matrix.shape[1])]
    if len(names) != matrix.shape[1]:
        raise ValueError(f"tasks={list(names)} names {len(names)} tasks, but y has {matrix.shape[1]} columns.")
    return dict(zip(names, matrix.T, strict=True))


def label_classes(columns: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
    """Return the two labels of each task in ascending order; refuse more or fewer."""
    if len(columns) > _MAX_TASKS:
        raise ValueError(f"y has {len(columns)} columns of labels, and there may be {_MAX_TASKS} at most.")
    return [_classes_of(name, labels) for name, labels in columns.items()]


def _classes_of(name: str, labels: NDArray[Any]) -> NDArray[Any]:
    several = next((label for label in labels if isinstance(label, list | tuple | set | dict | np.ndarray)), None)
    if several is not None:
        raise ValueError(
            f"{name!r} holds {shown(several)}, and a label is a single value. Make a column of each label."
        )
    known = _as_one_type(labels[~pd.isna(labels)])
    if known.dtype.kind == "f":
        assert_all_finite(known, input_name="y")
        if (known != np.floor(known)).any():
            raise ValueError(f"Unknown label type: continuous. {name!r} holds numbers, such as {known[0]}, not labels.")
    classes: NDArray[Any] = np.unique(known)
    if len(classes) > 2:
        raise ValueError(
            f"Only binary classification is supported. The type of the target is multiclass: {name!r} has the "
            f"{len(classes)} classes {shown(classes[:5].tolist())}{', ...' if len(classes) > 5 else ''}. Make a "
            "column of two labels of each class."
        )
    if len(classes) < 2:
        found = f"one class, {shown(classes.tolist())}" if len(classes) else "no label"
        raise ValueError(
            f"Each task needs rows of two classes, but {name!r} has {found}. Leave the task out, or add rows."
        )
    return classes


def label_digits(name: str, classes: NDArray[Any], labels: NDArray[Any]) -> NDArray[np.int64]:
    """Return the position of each row's label among the classes, or `MISSING`."""
    digits = np.full(len(labels), MISSING)
    is_known = ~pd.isna(labels)
    known = _as_one_type(labels[is_known])
    unseen = np.setdiff1d(known, classes)
    if unseen.size:
        raise ValueError(
            f"{name!r} has labels that fit didn't see, {shown(unseen.tolist())}; it saw {shown(classes.tolist())}. "
            "Leave out such rows."
        )
    digits[is_known] = np.searchsorted(classes, known)
    return digits


def patterns_of(digits: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Return one number per row from the digits of all tasks, the first task's the lowest."""
    return np.stack(digits, axis=1) @ BASE ** np.arange(len(digits))


def implied(digits: Any) -> Any:
    """Return the digits of a funnel, array or tensor, completed: 0 after a 0, and 1 before a 1."""
    filled, n_tasks = digits + 0, digits.shape[1]
    for task in range(1, n_tasks):
        filled[:, task][filled[:, task - 1] == 0] = 0
    for task in reversed(range(n_tasks - 1)):
        filled[:, task][filled[:, task + 1] == 1] = 1
    return filled


def _as_one_type(labels: NDArray[Any]) -> NDArray[Any]:
    """Return labels by their own type, which missing ones among them may have made objects."""
    if labels.dtype.kind != "O" or all(isinstance(label, str) for label in labels):
        return labels
    return np.array(labels.tolist())
