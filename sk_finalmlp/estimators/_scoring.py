"""Early stopping by any scorer of scikit-learn, or a function like one."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from torch import Tensor

from ..schema import Field, by_kind, column_names
from ..training import Impressions

if TYPE_CHECKING:
    from ._labels import OneLabel


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
        logits: NDArray[np.float64] = self.logits[X.index]
        return logits

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
