"""Labels in a fit: each row's number, the weights of labels, the network's objective, and scores by any scorer."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any, ClassVar, Final, NamedTuple

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import assert_all_finite, column_or_1d, compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length
from torch import Tensor

from .._checks import check_detached
from .._labels import has_tasks
from .._warnings import shown
from ..schema import Field, by_kind, column_names
from ..training import ClassObjective, Impressions

#: Smaller weights, in units of the largest, count as zero: single precision doesn't know them.
MIN_WEIGHT = 1e-30


#: More classes than these are refused where they are more than this share of the rows.
_MOST_CLASSES: Final = 20
_MAX_SHARE: Final = 0.2


class LabelCounts(NamedTuple):
    """Of the rows of each label that have a weight: how many, how many of them are held out, and the sum of weights."""

    n_rows: NDArray[np.int64]
    n_held_out: NDArray[np.int64]
    weights: NDArray[np.float64]


@dataclass(frozen=True)
class OneLabel:
    """One label of two or more classes."""

    classes: NDArray[Any]
    objective: ClassVar[ClassObjective] = ClassObjective()

    @classmethod
    def read(cls, y: Any, X: Any) -> tuple[OneLabel, NDArray[np.int64]]:
        """Return the labels of training rows, and the number of each row's label."""
        classes, numbers = np.unique(_checked(y, X), return_inverse=True)
        if len(classes) > max(_MOST_CLASSES, _MAX_SHARE * len(numbers)):
            raise ValueError(
                f"y has {len(classes)} classes in {len(numbers)} rows, such as {shown(classes[:3].tolist())}: each "
                "would have a logit and too few rows to learn from. If they are ids or amounts, predict something "
                "else, such as whether there was a click; if they are classes, merge the rare ones."
            )
        return cls(classes), numbers

    @property
    def n_labels(self) -> int:
        """Number of classes."""
        return len(self.classes)

    @property
    def n_outputs(self) -> int:
        """Number of logits."""
        return 1 if len(self.classes) == 2 else len(self.classes)

    def read_more(self, y: Any, X: Any) -> tuple[OneLabel, NDArray[np.int64]]:
        """Return the same labels, and the number of each row's."""
        labels = _checked(y, X)
        unseen = np.setdiff1d(labels, self.classes)
        if unseen.size:
            raise ValueError(
                f"the classes {shown(unseen.tolist())} are new: fit saw {shown(self.classes.tolist())}. Leave out "
                "such rows, or fit to rows of all classes."
            )
        return self, np.searchsorted(self.classes, labels)

    def having_rows(self, n_rows: NDArray[np.int64]) -> tuple[OneLabel, NDArray[np.bool_]]:
        """Return the classes that have rows, and which of the former they are."""
        mask = n_rows > 0
        return replace(self, classes=self.classes[mask]), mask

    def check(self, estimator: Any) -> None:
        """Refuse a single class, more than two where negatives are sampled, and a change of classes in a warm start."""
        if len(self.classes) < 2:
            raise ValueError(
                "A classifier needs rows of at least two classes with a positive weight (weights below 1e-30 of the "
                f"largest count as zero); y has one class, {shown(self.classes.tolist())}."
            )
        for name in ("negatives_kept", "negative_sampling"):
            if len(self.classes) > 2 and getattr(estimator, name) < 1:
                raise ValueError(
                    f"{name}={getattr(estimator, name):g} is for two classes, the first in sorted order the "
                    f"negative one; y has the {len(self.classes)} classes {shown(self.classes.tolist())}. Set "
                    f"{name}=1.0, or weigh the kept rows of each class by sample_weight."
                )
        if estimator._continues() and not np.array_equal(self.classes, estimator.classes_):
            raise ValueError(
                "With warm_start=True, y must have the classes of the first fit, "
                f"{shown(estimator.classes_.tolist())}; it has {shown(self.classes.tolist())}."
            )

    def weights(self, class_weight: Any, counts: LabelCounts | None) -> NDArray[np.float64]:
        """Return the weight of each class; only ratios count, and the largest is between a half and 1."""
        if not isinstance(class_weight, str):
            if isinstance(class_weight, dict):
                self._check_weights(class_weight)
            weights = self._scaled(compute_class_weight(class_weight, classes=self.classes, y=self.classes))
        elif counts is not None:
            weights = self._scaled(counts.n_rows.sum() / (len(self.classes) * counts.n_rows))
        else:
            raise ValueError(
                "class_weight='balanced' weighs by the frequencies in all rows, which partial_fit doesn't see. Compute "
                "the weights by sklearn.utils.class_weight.compute_class_weight, and give them as a dict."
            )
        shares = np.ones(1) if counts is None else counts.weights * weights / (counts.weights * weights).sum()
        if shares.min() < MIN_WEIGHT:
            raise ValueError(
                f"class_weight and sample_weight leave class {shown(self.classes.tolist()[shares.argmin()])} a share "
                f"of {shares.min():.1e} of all weight, too little to learn from. Give weights closer to each other."
            )
        return weights

    def _scaled(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        is_wrong = ~((weights > 0) & np.isfinite(weights))
        if is_wrong.any():
            label, weight = self.classes[is_wrong].tolist()[0], weights[is_wrong][0]
            raise ValueError(f"class_weight must be positive and finite, but class {shown(label)} has {weight}.")
        # A power of two changes no digit.
        return np.ldexp(weights, -np.frexp(weights.max())[1])

    def _check_weights(self, class_weight: dict[Any, Any]) -> None:
        if self.classes.dtype.kind in "mM":
            raise ValueError(
                f"class_weight can't name classes of dtype {self.classes.dtype}. Give y as strings, for example by "
                "y.astype(str), and name these."
            )
        for label, weight in class_weight.items():
            if not isinstance(weight, Real):
                raise ValueError(f"class_weight must be numbers, but class {shown(label)} has {shown(weight)}.")

    def held_out_by_label(self, counts: LabelCounts) -> list[tuple[Any, int, int]]:
        """Return each class, its number of rows, and how many of them are held out."""
        return list(zip(self.classes.tolist(), counts.n_rows.tolist(), counts.n_held_out.tolist(), strict=True))

    def check_validation(self, n_rows: NDArray[np.int64], scoring: Any) -> None:
        """Refuse validation rows without a class, which have no AUC."""
        missing = self.classes[n_rows == 0].tolist()
        if scoring == "roc_auc" and missing:
            raise ValueError(
                f"scoring='roc_auc' needs validation rows of every class, but y_val has none of {missing}. Add such "
                "rows, or set scoring='neg_log_loss'."
            )

    def attributes(self) -> dict[str, Any]:
        """Return the classes."""
        return {"classes_": self.classes, "_tasks": None}

    def log_odds(self, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return log-odds of the second class, or a logit of each of more."""
        return logits.ravel() if logits.shape[1] == 1 else logits

    def probabilities(self, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the probability of each class."""
        if logits.shape[1] == 1:
            return np.stack([expit(-logits.ravel()), expit(logits.ravel())], axis=1)
        return softmax(logits, axis=1)

    def most_probable(self, logits: NDArray[np.float64]) -> NDArray[Any]:
        """Return the most probable class."""
        positions = (logits.ravel() > 0).astype(int) if logits.shape[1] == 1 else logits.argmax(axis=1)
        return self.classes[positions]


def _checked(y: Any, X: Any) -> NDArray[Any]:
    """Return a label for each row; scikit-learn's usual errors where there isn't."""
    check_detached(y, "y")
    if isinstance(y, pd.api.extensions.ExtensionArray):
        # NumPy would make floats of nullable bools and integers.
        y = pd.Series(y)
    values = nw.from_native(y, eager_only=True, allow_series=True, pass_through=True)
    if isinstance(values, nw.Series):
        y = values.to_numpy()
    elif isinstance(values, nw.DataFrame) and len(values.columns) == 1:
        y = values.get_column(values.columns[0]).to_numpy()[:, np.newaxis]
    elif isinstance(y, list | tuple) and len(set(map(_shape, y))) > 1:
        # NumPy would make strings of the numbers, and nothing of lists of several lengths.
        y = np.array(y, dtype=object)
    if has_tasks(y):
        raise ValueError(
            f"y should be a 1d array, got an array of shape {np.shape(y)} instead, and this classifier has one label. "
            "Choose a column of y, or take FunnelClassifier for several labels."
        )
    y = column_or_1d(y, warn=True)
    if pd.isna(y).any():
        raise ValueError("Input y contains NaN: some labels are missing. Leave those rows out.")
    labels: NDArray[Any] = y
    assert_all_finite(labels, input_name="y")
    _check_one_type(labels)
    check_classification_targets(labels)
    check_consistent_length(X, labels)
    return labels


def _shape(label: Any) -> int | None:
    """Return the length of a list, -1 of a string."""
    return -1 if isinstance(label, str) else len(label) if isinstance(label, list | tuple) else None


def _check_one_type(y: NDArray[Any]) -> None:
    """Refuse labels as objects, which scikit-learn calls unknown, unless they are strings."""
    if y.dtype.kind != "O" or all(isinstance(label, str) for label in y):
        return
    several = next((label for label in y if isinstance(label, Collection) and not isinstance(label, str)), None)
    if several is not None:
        raise ValueError(
            f"Unknown label type: y holds {shown(several)}, and a label is a single value. For several labels of a "
            "row take FunnelClassifier, with a column of two labels each, such as MultiLabelBinarizer makes."
        )
    types = sorted({type(label).__name__ for label in y})
    raise ValueError(
        f"Unknown label type: y holds objects, of type {' and '.join(types)}. Give them one type, for example by "
        "np.asarray(y, dtype=int) or np.asarray(y, dtype=str)."
    )


class ValidationRows(ClassifierMixin, BaseEstimator):
    """Stands for the fitted classifier in a scorer, with known predictions for the validation rows."""

    def __init__(self, labels: OneLabel, logits: NDArray[np.float64]) -> None:
        self.labels = labels
        self.logits = logits
        self.classes_ = labels.classes

    def _of(self, X: Any) -> NDArray[np.float64]:
        if not isinstance(X, pd.DataFrame):
            raise TypeError(
                f"scoring: the function asks for predictions of {type(X).__name__}, and only the rows of the frame X "
                "that it was given have some. Pass X, or some of its rows."
            )
        return self.logits[X.index]

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Return log-odds of rows."""
        return self.labels.log_odds(self._of(X))

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return probabilities of the classes."""
        return self.labels.probabilities(self._of(X))

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the most probable classes."""
        return self.labels.most_probable(self._of(X))


class RowScorer:
    """Scores validation rows by the logits of a network, as a scorer does it by a fitted classifier."""

    def __init__(self, scorer: Callable[..., float], name: str, labels: OneLabel, fields: Sequence[Field]) -> None:
        self.name = name
        self._scorer, self._labels, self._fields = scorer, labels, by_kind(fields)
        parameters = inspect.signature(scorer).parameters.values()
        self._takes_weights = any(p.name == "sample_weight" or p.kind is p.VAR_KEYWORD for p in parameters)
        self._X: pd.DataFrame | None = None

    def __call__(self, logits: Tensor, rows: Impressions) -> tuple[str, float]:
        """Return the name and the score; the higher, the better."""
        if self._X is None:
            self._X, self._weights = self._table(rows), self._weights_of(rows)
        labels = self._labels.classes[rows.target.numpy()]
        estimator = ValidationRows(self._labels, logits.double().numpy())
        try:
            score = float(self._scorer(estimator, self._X, labels, **self._weights))
        except ValueError as error:
            raise ValueError(f"scoring={self.name!r} can't score the validation rows: {error}") from error
        if not math.isfinite(score):
            raise ValueError(
                f"scoring={self.name!r} gives {score} for the validation rows, so no epoch can be the best. Give rows "
                "of every class as X_val, or choose another score."
            )
        return self.name, score

    def _table(self, rows: Impressions) -> pd.DataFrame:
        """Return the rows with the codes of the user's table, -1 for one that `fit` didn't see."""
        with_codes = [field for field in self._fields if field.has_codes]
        others = [field for field in self._fields if not field.has_codes]
        moved = [field.kind in ("categorical", "history") for field in with_codes for _ in range(field.n_columns)]
        lowest = [-1 if field.kind == "categorical" else 0 for field in with_codes for _ in range(field.n_columns)]
        codes = np.maximum(rows.codes.numpy(force=True) - np.array(moved, np.int32), np.array(lowest, np.int32))
        tables = (codes, with_codes), (rows.values.numpy(force=True), others)
        return pd.concat([pd.DataFrame(values, columns=column_names(fields)) for values, fields in tables], axis=1)

    def _weights_of(self, rows: Impressions) -> dict[str, NDArray[np.float32]]:
        weight = rows.weight.numpy()
        if (weight == weight[0]).all():
            return {}
        if not self._takes_weights:
            raise ValueError(
                f"scoring={self.name!r} takes no sample_weight, but the validation rows have weights, by sample_weight "
                "or class_weight. Add the argument sample_weight=None to the function."
            )
        return {"sample_weight": weight}
