"""The classifier of several labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from .._labels import label_columns
from .._sklearn import FittedSummary, StrOptions, Summary
from .._sources import EncodedRows
from ._finalmlp import FinalMLPClassifier
from ._fit import explaining_foreign_arguments, fit_classifier
from ._tasks import Tasks, read_tasks


class FunnelClassifier(FittedSummary, MetaEstimatorMixin, ClassifierMixin, BaseEstimator):
    """Prediction of several labels of an impression, such as click and conversion, by one network.

    The tasks share the embeddings, the gates and the two streams of a `FinalMLPClassifier`, and each has a head of its
    own. So the label that is rare learns from what the frequent one has taught the embeddings.

    In a funnel, there is no purchase without a click: p(conversion) is p(click) times p(conversion | click), and each
    head learns its factor from all impressions, not from the clicked ones alone, as
    in ESMM [1]_. Without `relation="funnel"`, each label has a logit of its own.

    Parameters
    ----------
    classifier : FinalMLPClassifier, default=None
        Network and training; None for its defaults. A search sets its parameters as `classifier__num_heads`.
        `class_weight`, `negatives_kept` and `negative_sampling` work for a single label only: weight rows by
        `sample_weight`, and tasks by `task_weight`. `scoring` is "neg_log_loss" or "roc_auc", a mean over the tasks.
    tasks : list of str, default=None
        Names of the labels, for a funnel in its order: the columns of `y`, if that is a DataFrame, else names of them.
        None for the columns as they are. `fit` and `score` find the columns of a DataFrame by name, but scikit-learn's
        scorers by position: give `y[tasks]`.
    relation : {"funnel", "independent"}, default="funnel"
        Whether each label implies the one before, as a conversion implies a click; rows that contradict it are an
        error.
    task_weight : dict, array-like of shape (n_tasks,) or None, default=None
        Weight of each task's loss, 1 where it isn't named. The loss is the sum over all known labels.

    Attributes
    ----------
    classifier_ : FinalMLPClassifier
        The fitted classifier of all labels. Its `history_` has the weighted sum of the tasks' losses as `train_loss`,
        weighted means of the tasks as `valid_loss` and `valid_auc`, and each task's own, such as `valid_loss_click` and
        `valid_auc_click`.
    classes_ : list of ndarray of shape (2,)
        Labels of each task in sorted order.
    tasks_ : list of str
        Names of the tasks.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, where they are all strings.

    See Also
    --------
    FinalMLPClassifier : The same network for a single label.
    sk_finalmlp.preprocessing.CTREncoder : Codes and floats from a raw table, with rates of each task.

    Notes
    -----
    **Missing labels** are None or NaN, and count neither in the loss nor in a score. In a funnel, a missing
    conversion counts as 0 if there was no click, and a missing click as 1 if there was a conversion. If the conversion
    of a click isn't known (yet), or the click of a row without a conversion, the loss takes the network's own estimate
    as the label, so that the row is evidence neither for it nor against it. In scores, rows with known labels stand for
    all. Mean predictions are right if labels are missing at random among rows with the same known labels.

    References
    ----------
    .. [1] Ma et al., "Entire Space Multi-Task Model: An Effective Approach for Estimating Post-Click Conversion Rate",
       SIGIR 2018, arXiv:1804.07931.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_finalmlp import FinalMLPClassifier, FunnelClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = rng.integers(0, 20, size=(1000, 3))
    >>> click = rng.random(1000) < 0.2 + 0.02 * X[:, 0]
    >>> conversion = click & (rng.random(1000) < 0.05 * X[:, 1])
    >>> y = np.column_stack([click, conversion])
    >>> clf = FunnelClassifier(
    ...     FinalMLPClassifier(max_epochs=2, random_state=0), tasks=["click", "conversion"]
    ... )
    >>> clf.fit(X, y).predict_proba(X[:2]).shape
    (2, 2)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "classifier": [FinalMLPClassifier, None],
        "tasks": ["array-like", None],
        "relation": [StrOptions({"funnel", "independent"})],
        "task_weight": [dict, "array-like", None],
    }

    classifier_: FinalMLPClassifier

    def __init__(
        self,
        classifier: FinalMLPClassifier | None = None,
        *,
        tasks: Sequence[str] | None = None,
        relation: Literal["funnel", "independent"] = "funnel",
        task_weight: Mapping[str, float] | Sequence[float] | None = None,
    ) -> None:
        self.classifier = classifier
        self.tasks = tasks
        self.relation = relation
        self.task_weight = task_weight

    @explaining_foreign_arguments
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Self:
        """Train the network as :meth:`FinalMLPClassifier.fit` does, with the same errors.

        Parameters
        ----------
        X, X_val : dataframe or array-like of shape (n_samples, n_features)
            Impressions in memory to train on, and to validate by; without `X_val`, a part of `X` is held out.
        y, y_val : dataframe or array-like of shape (n_samples, n_tasks)
            Two labels per column, of any type; None or NaN where one is missing.
        sample_weight, sample_weight_val : array-like of shape (n_samples,), default=None
            Weight of each impression in the loss; a row of weight 0 is left out.

        Returns
        -------
        self : object
            The fitted classifier.
        """
        self._validate_params()
        if isinstance(X, EncodedRows):
            raise TypeError(
                "FunnelClassifier takes a table in memory, and X holds rows on disk, which have a single label. Encode "
                "a table in memory, or fit a FinalMLPClassifier to each label."
            )
        read = partial(read_tasks, names=self.tasks, relation=self.relation, task_weight=self.task_weight)
        classifier = self._classifier_to_fit()
        fit_classifier(classifier, X, y, sample_weight, X_val, y_val, sample_weight_val, read)
        self.classifier_ = classifier
        return self

    def _classifier_to_fit(self) -> FinalMLPClassifier:
        classifier = FinalMLPClassifier() if self.classifier is None else clone(self.classifier)
        if classifier.warm_start and hasattr(self, "classifier_"):
            return self.classifier_.set_params(**classifier.get_params(deep=False))
        return classifier

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Log-odds of each label.

        Parameters
        ----------
        X : dataframe or array-like of shape (n_samples, n_features)
            Impressions with the columns of `fit`. A code that `fit` didn't see is taken as unknown.

        Returns
        -------
        ndarray of shape (n_samples, n_tasks)
            Log-odds of the second of the two labels in `classes_`.
        """
        check_is_fitted(self)
        return self.classifier_.decision_function(X)

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Probability of each label.

        Parameters
        ----------
        X : dataframe or array-like of shape (n_samples, n_features)
            Impressions, as for :meth:`decision_function`.

        Returns
        -------
        ndarray of shape (n_samples, n_tasks)
            Probabilities of the second of the two labels in `classes_`, in the order of `tasks_`; as in
            :class:`~sklearn.neural_network.MLPClassifier`, they don't sum to 1. In a funnel, none is larger than the
            one before, and their quotient is the probability of a conversion given a click.
        """
        check_is_fitted(self)
        return self.classifier_.predict_proba(X)

    def predict(self, X: Any) -> NDArray[Any]:
        """The more probable label of each task.

        Parameters
        ----------
        X : dataframe or array-like of shape (n_samples, n_features)
            Impressions, as for :meth:`decision_function`.

        Returns
        -------
        ndarray of shape (n_samples, n_tasks)
            Labels.
        """
        check_is_fitted(self)
        return self.classifier_.predict(X)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Share of rows with a correct prediction of all labels.

        Parameters
        ----------
        X : dataframe or array-like of shape (n_samples, n_features)
            Impressions, as for :meth:`decision_function`.
        y : dataframe or array-like of shape (n_samples, n_tasks)
            True labels: columns of a DataFrame by their names, those of an array in the order of `tasks_`.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row.

        Returns
        -------
        float
            Accuracy, from 0 to 1.
        """
        check_is_fitted(self)
        return float(super().score(X, pd.DataFrame(label_columns(y, self.tasks_)), sample_weight))

    @property
    def classes_(self) -> list[NDArray[Any]]:
        """Labels of each task in sorted order."""
        return [classes.copy() for classes in self.classifier_.classes_]

    @property
    def tasks_(self) -> list[str]:
        """Names of the tasks."""
        return list(self._tasks.names)

    @property
    def n_features_in_(self) -> int:
        """Number of columns."""
        return self.classifier_.n_features_in_

    @property
    def feature_names_in_(self) -> NDArray[Any]:
        """Names of the columns, where they are all strings."""
        return self.classifier_.feature_names_in_

    @property
    def _tasks(self) -> Tasks:
        tasks = self.classifier_._tasks
        assert tasks is not None
        return tasks

    def _summaries(self) -> list[Summary]:
        best = self.classifier_.history_[self.classifier_.best_epoch_ - 1]
        scores = [[f"valid_{of}_{name}" for of in ("loss", "auc")] for name in self.tasks_]
        rows = [
            (name, *(f"{best[score]:.4f}" if score in best else "" for score in of_task))
            for name, of_task in zip(self.tasks_, scores, strict=True)
        ]
        title = "Tasks, in a funnel" if self._tasks.relation == "funnel" else "Tasks"
        return [*self.classifier_._summaries(), Summary(title, ("task", "log-loss", "AUC"), rows, is_open=True)]

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.single_output = False
        tags.target_tags.multi_output = True
        tags.classifier_tags.multi_class = False
        tags.classifier_tags.multi_label = True
        return tags
