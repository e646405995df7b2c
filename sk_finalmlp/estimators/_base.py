"""What both classifiers share: scikit-learn's conventions around a network and its training."""

from __future__ import annotations

from abc import ABCMeta
from collections.abc import Callable
from dataclasses import replace
from os import PathLike
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
import torch
from numpy.random import RandomState
from numpy.typing import NDArray
from scipy.special import expit, softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted
from torch import nn

from .._description import Parts, VersionedState, declared
from .._hold_out import Fraction
from .._sklearn import CallbackSupportMixin, fit_context, fit_task, has_callbacks, num_samples
from .._sources import EncodedBatches, EncodedRows
from ..nn import copy_network
from ..schema import Field
from ..training import (
    Impressions,
    Moments,
    StoredImpressions,
    predict_logits,
    resolve_device,
)
from ._field_readers import FieldReader, TableReader
from ._fitted import EpochTasks, Fitted
from ._input_columns import refuse_raw_rows
from ._labels import Labels, OneLabel
from ._network import (
    NetworkClass,
    arguments_of_network,
    check_same_arguments,
    network_of_arrays,
    start_network,
    weights_as_arrays,
)
from ._network_summary import NetworkSummary
from ._parameters import (
    CONSTRAINTS,
    automatic_batch_size,
    automatic_embedding_dim,
    automatic_embedding_regularizer,
    automatic_learning_rate,
    automatic_max_epochs,
    automatic_n_iter_no_change,
    check_hidden_units,
    checkpoint_file,
    draw_seed,
    n_rows_of_epoch,
)
from ._rows import ReadLabels, check_hold_out, open_rows, read_validation_rows

if TYPE_CHECKING:
    from ..training import EpochHistory, TrainingSettings


class BaseTwoStreamClassifier(
    NetworkSummary,
    CallbackSupportMixin,
    VersionedState,
    ClassifierMixin,
    BaseEstimator,
    metaclass=ABCMeta,
):
    """Base of the classifiers: everything but the network and the documentation of its parameters."""

    _network_class: ClassVar[NetworkClass]

    embedding_dim: int | Literal["auto"]
    stream_embeddings: Literal["shared", "own"]
    stream_loss: float
    history_pooling: Literal["mean", "attention", "din", "transformer"]
    history_softmax: bool
    n_members: int
    embedding_regularizer: float | Literal["auto"]
    net_regularizer: float
    #: A classifier without gates has none.
    gate_regularizer: float | None = None
    schedule: Literal["one_cycle", "plateau"]
    precision: Literal["float32", "bfloat16", "auto"]
    learning_rate: float | Literal["auto"]
    batch_size: int | Literal["auto"]
    max_epochs: int | Literal["auto"]
    early_stopping: bool
    hold_out: Literal["auto", "random", "last"]
    validation_fraction: Fraction
    scoring: Literal["neg_log_loss", "roc_auc"]
    final_epoch: bool
    n_iter_no_change: int | Literal["auto"]
    class_weight: dict[Any, float] | Literal["balanced"] | None
    negatives_kept: float
    negative_sampling: float
    categorical_features: Any
    warm_start: bool
    random_state: int | RandomState | None
    device: str | torch.device
    checkpoint: str | PathLike[str] | None
    verbose: int

    best_epoch_: int
    best_score_: float | None
    classes_: NDArray[Any]
    feature_names_in_: NDArray[Any]
    fields_: list[Field]
    history_: EpochHistory
    n_features_in_: int
    n_iter_: int
    network_: nn.Module
    #: Hashes of the encoder that wrote the rows of `fit`, and of the same encoder before an update.
    _encoders: tuple[str, ...]
    _readers: list[FieldReader]
    _seed: int
    _network_arguments: dict[str, Any]
    _moments: Moments | None = None

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = CONSTRAINTS
    _parts: ClassVar[Parts] = declared(Field, FieldReader, Moments)

    def _keep(self, parameters: dict[str, Any]) -> None:
        """Keep the parameters of the constructor as attributes of the same names, as scikit-learn asks."""
        self.__dict__.update({name: value for name, value in parameters.items() if name != "self"})

    def _network_parameters(self, n_rows: int, continues: bool) -> dict[str, Any]:
        """The parameters of which those of the network's names go to the network."""
        parameters: dict[str, Any] = self.get_params(deep=False)
        if self.embedding_dim == "auto":
            # A network that goes on is as large as its first rows made it.
            before = self._network_arguments["embedding_dim"] if continues else None
            parameters["embedding_dim"] = before or automatic_embedding_dim(n_rows)
        return parameters

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
        """Train the network.

        Parameters
        ----------
        X : dataframe or array-like of shape (n_samples, n_features)
            Impressions: columns of codes and of floats, such as `CTREncoder` writes; also the rows on disk that it
            makes of more rows than memory holds.
        y : array-like of shape (n_samples,), or str
            Labels of any type, of two or more classes; the name of their column where the rows are on disk.
        sample_weight : array-like of shape (n_samples,), or str, default=None
            Weight of each impression in the loss, or the name of the column of weights. A row of weight 0 is left out.
        X_val : dataframe or array-like of shape (n_val, n_features), default=None
            Validation rows for early stopping, encoded like `X`; without them, a part of `X` is held out. A pipeline
            encodes them if its last step requests them, as in the example of `FinalMLPClassifier`. Note that a
            search by cross-validation slices fit parameters that are as long as `X`.
        y_val : array-like of shape (n_val,), default=None
            Labels of the validation rows.
        sample_weight_val : array-like of shape (n_val,), default=None
            Weights of the validation rows.

        Returns
        -------
        self : object
            The fitted classifier.

        Raises
        ------
        ValueError
            If a column, a label or a parameter can't be used; the message names it.
        FloatingPointError
            If the loss becomes NaN.
        """
        return self._fit(X, y, sample_weight, X_val, y_val, sample_weight_val, OneLabel.read)

    @fit_context
    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        X_val: Any,
        y_val: Any,
        sample_weight_val: Any,
        read_labels: ReadLabels,
    ) -> Self:
        """Read the rows, hold some out, start the network, train it and keep it."""
        from ..training import train  # loads skorch, which prediction doesn't need

        self._check_validation_arguments(X_val, y_val, sample_weight_val)
        check_hidden_units(self)
        if not isinstance(X, EncodedRows):
            refuse_raw_rows(X)
        # Rows that the user gives for validation are not for training, nor those by which a next fit will stop.
        final_epoch = self.final_epoch and X_val is None and not self.warm_start
        holds_out = self.early_stopping and X_val is None
        max_epochs = self._max_epochs(X)
        data = self._data_of_callbacks(X, y, sample_weight)
        with (
            fit_task(self, max_subtasks=max_epochs + final_epoch, **data) as task,
            open_rows(self, X, y, sample_weight, read_labels, holds_out=holds_out) as rows,
        ):
            continues = self._continues()
            weights = rows.labels.weights(self.class_weight, rows.count())
            readers = self._readers if continues else rows.learn_fields(self.categorical_features)
            seed = self._seed if continues else draw_seed(self.random_state)
            if holds_out:
                rows = check_hold_out(self, rows, readers, max_epochs)
            training, validation = rows.split(readers, weights, self.negatives_kept, seed, int(self.verbose))
            if X_val is not None:
                given = read_validation_rows(self, X_val, y_val, sample_weight_val, rows.labels)
                validation = given.impressions(readers, weights)
            start, generator = self._start(training, readers, rows.labels, seed)
            n_rows = n_rows_of_epoch(training.counts, self.negative_sampling)
            settings = replace(
                self._settings(n_rows, max_epochs, final_epoch),
                checkpoint=checkpoint_file(self, start, training, validation),
            )
            observer = EpochTasks(task, self, data, start.copied_after) if has_callbacks(self) else None
            result = train(start.network, training, validation, settings, generator, observer)
            self.__dict__.update(start.after(result).attributes())
        return self

    def _start(
        self, training: Impressions | StoredImpressions, readers: list[FieldReader], labels: Labels, seed: int
    ) -> tuple[Fitted, torch.Generator]:
        """Return what a training begins with, and the generator of its random numbers."""
        continues = self._continues()
        before = self.history_ if continues else []
        generator = torch.Generator().manual_seed(seed + len(before))
        parameters = self._network_parameters(len(training), continues)
        arguments = arguments_of_network(self._network_class, parameters, readers, labels.n_outputs)
        if continues:
            check_same_arguments(arguments, self._network_arguments, "With warm_start=True")
            network = copy_network(self.network_)
        else:
            network = start_network(self._network_class, arguments, training, generator)
        return Fitted(self._network_class, network, arguments, readers, labels, seed, before), generator

    def _data_of_callbacks(self, X: Any, y: Any, sample_weight: Any) -> dict[str, Any]:
        if isinstance(X, EncodedRows) and has_callbacks(self):
            # Callbacks make scores of labels, not of the name of their column.
            y, sample_weight = X.in_memory(y), X.in_memory(sample_weight)
        return {"X": X, "y": y, "metadata": None if sample_weight is None else {"sample_weight": sample_weight}}

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Logits.

        Parameters
        ----------
        X : dataframe or array-like of shape (n_samples, n_features)
            Impressions with the columns of `fit`. A code that `fit` didn't see is taken as unknown.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
            Log-odds of `classes_[1]` for two classes; for more, a logit per class, defined up to a constant.
        """
        logits = self._logits(X)
        return logits.ravel() if logits.shape[1] == 1 else logits

    def _logits(self, X: Any) -> NDArray[np.float64]:
        """Logits of the network, shape (n, C)."""
        check_is_fitted(self)
        if isinstance(X, EncodedBatches):
            return np.concatenate([self._logits(batch) for batch in X.batches()])
        codes, values = self.table_reader_.read(X)
        logits: NDArray[np.float64] = (
            predict_logits(self.network_, torch.from_numpy(codes), torch.from_numpy(values)).double().numpy()
        )
        return logits

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Probability of each class.

        Parameters
        ----------
        X : dataframe or array-like of shape (n_samples, n_features)
            Impressions with the columns of `fit`. A code that `fit` didn't see is taken as unknown.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Probabilities, in the order of `classes_`.
        """
        logits = self.decision_function(X)
        if logits.ndim == 1:
            return np.stack([expit(-logits), expit(logits)], axis=1)
        probabilities: NDArray[np.float64] = softmax(logits, axis=1)
        return probabilities

    def predict(self, X: Any) -> NDArray[Any]:
        """The most probable class.

        Parameters
        ----------
        X : dataframe or array-like of shape (n_samples, n_features)
            Impressions with the columns of `fit`.

        Returns
        -------
        ndarray of shape (n_samples,)
            Labels.
        """
        logits = self.decision_function(X)
        positions = (logits > 0).astype(int) if logits.ndim == 1 else logits.argmax(axis=1)
        labels: NDArray[Any] = self.classes_[positions]
        return labels

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Share of rows whose class is predicted correctly.

        For clicks, prefer a score of the probabilities, such as :func:`sklearn.metrics.log_loss`.

        Parameters
        ----------
        X : dataframe or array-like of shape (n_samples, n_features)
            Impressions with the columns of `fit`.
        y : array-like of shape (n_samples,), or str
            True labels; the name of their column for rows that are read in batches.
        sample_weight : array-like of shape (n_samples,) or str, default=None
            Weight of each row; the name of their column for rows that are read in batches.

        Returns
        -------
        float
            Accuracy, from 0 to 1.
        """
        if isinstance(X, EncodedBatches):
            y, sample_weight = X.in_memory(y), X.in_memory(sample_weight)
        return float(super().score(X, y, sample_weight))

    @property
    def table_reader_(self) -> TableReader:
        """How tables are read."""
        check_is_fitted(self)
        return TableReader(self, self._readers)

    def _continues(self) -> bool:
        return self.warm_start and hasattr(self, "network_")

    def _check_validation_arguments(self, X_val: Any, y_val: Any, sample_weight_val: Any) -> None:
        if (X_val is None) != (y_val is None):
            given, missing = ("y_val", "X_val") if X_val is None else ("X_val", "y_val")
            raise ValueError(f"{given} is given but {missing} isn't: validation needs both.")
        if X_val is None and sample_weight_val is not None:
            raise ValueError("sample_weight_val is given without X_val and y_val. Give them too, or leave it out.")
        if isinstance(X_val, EncodedBatches):
            raise TypeError(
                f"X_val is {type(X_val).__name__}, rows that come in batches, and validation rows are a table in "
                "memory. Read them, for example by pandas.read_parquet, and encode that."
            )
        if X_val is not None and not self.early_stopping:
            raise ValueError(
                "X_val and y_val are for early stopping, but early_stopping=False. Set it to True or leave them out."
            )

    def _max_epochs(self, X: Any) -> int:
        if self.max_epochs != "auto":
            return int(self.max_epochs)
        return automatic_max_epochs(num_samples(X), self.schedule)

    def _settings(self, n_rows: int, max_epochs: int, final_epoch: bool) -> TrainingSettings:
        from ..training import TrainingSettings

        def chosen(value: Any, automatic: Callable[[int, str], Any]) -> Any:
            return automatic(n_rows, self.schedule) if value == "auto" else value

        return TrainingSettings(
            schedule=self.schedule,
            precision=self.precision,
            learning_rate=chosen(self.learning_rate, automatic_learning_rate),
            batch_size=chosen(self.batch_size, automatic_batch_size),
            max_epochs=max_epochs,
            n_iter_no_change=chosen(self.n_iter_no_change, automatic_n_iter_no_change),
            embedding_regularizer=chosen(self.embedding_regularizer, automatic_embedding_regularizer),
            net_regularizer=self.net_regularizer,
            gate_regularizer=self.gate_regularizer,
            device=resolve_device(self.device),
            scoring=self.scoring,
            final_epoch=final_epoch,
            verbose=int(self.verbose),
            negative_sampling=self.negative_sampling,
            joins_processes=True,
        )

    def _describe(self, name: str, value: Any) -> Any:
        return weights_as_arrays(value) if name == "network_" else super()._describe(name, value)

    def _restore(self, state: dict[str, Any]) -> None:
        super()._restore(state)
        if self._moments is not None:
            # Arrays of a file may be views of it.
            for moments in (self._moments.exp_avg, self._moments.exp_avg_sq):
                moments.update({name: np.array(array) for name, array in moments.items()})
        if "network_" in state:
            self.network_ = network_of_arrays(self._network_class, self._network_arguments, state["network_"])
