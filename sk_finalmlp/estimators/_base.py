"""What both classifiers share: scikit-learn's conventions around a network and its training."""

from __future__ import annotations

from abc import ABCMeta
from collections.abc import Callable
from dataclasses import replace
from functools import partial
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
from .._origin import Origin
from .._sklearn import CallbackSupportMixin, fit_context, fit_task, has_callbacks, num_samples
from .._sources import EncodedBatches, EncodedRows, Passes, TemporaryFolder, naming_full_disk
from .._warnings import warn
from ..fields import Field
from ..nn import copy_network
from ..training import (
    EpochHistory,
    Impressions,
    Moments,
    StoredImpressions,
    TrainingResult,
    predict_logits,
    resolve_device,
)
from ._copies import warn_about_copies
from ._epoch_tasks import EpochTasks, FittedAttributes
from ._field_readers import FieldReader, learn_fields
from ._input_columns import InputColumn, check_same_encoder, refuse_raw_rows
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
from ._rows import (
    LabelledRows,
    check_labels,
    check_rows,
    check_statistics,
    check_validation_rows,
    fraction_held_out,
    make_impressions,
    split_rows,
    weight_by_counts,
    weight_of_class,
)
from ._stored_rows import StoredRows
from ._table_reader import TableReader
from ._tasks import Tasks

if TYPE_CHECKING:
    from ..training import EpochObserver, TrainingSettings

#: By so many rows another table is noticed.
_ROWS_OF_IDENTITY = 1_000


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
    _origin: Origin | None
    _readers: list[FieldReader]
    _seed: int
    _network_arguments: dict[str, Any]
    _moments: Moments | None = None

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = CONSTRAINTS
    _parts: ClassVar[Parts] = declared(Origin, Field, FieldReader, Moments)

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

    @fit_context
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
        self._check_validation_arguments(X_val, y_val, sample_weight_val)
        check_hidden_units(self)
        if isinstance(X, EncodedRows):
            return self._fit_stored(X, y, sample_weight, X_val, y_val, sample_weight_val)
        refuse_raw_rows(X)
        # Rows that the user gives for validation are not for training, nor those by which a next fit will stop.
        final_epoch = self.final_epoch and X_val is None and not self.warm_start
        data = {"X": X, "y": y, "metadata": None if sample_weight is None else {"sample_weight": sample_weight}}
        max_epochs = self._max_epochs(X)
        with fit_task(self, max_subtasks=max_epochs + final_epoch, **data) as task:
            holds_out = self.early_stopping and X_val is None
            continues = self._continues()
            rows = check_rows(self, X, y, sample_weight, reset=not continues, holds_out=holds_out)
            classes = self._classes_of(rows)
            class_weight = self._weight_of_class(classes, rows)
            readers = self._readers if continues else learn_fields(rows.columns, self.categorical_features, rows.origin)
            training = self._make_impressions(rows, readers, classes, class_weight).with_mean_weight_one()
            training = replace(training, negatives_kept=self.negatives_kept)
            seed = self._seed if continues else draw_seed(self.random_state)
            if X_val is not None:
                validation: Impressions | None = self._validation_rows(
                    X_val, y_val, sample_weight_val, readers, classes, class_weight, rows.tasks
                )
            else:
                training, validation = self._hold_out(training, rows, readers, max_epochs)
            n_rows = n_rows_of_epoch(training.counts, self.negative_sampling)
            settings = self._settings(n_rows, max_epochs, final_epoch)
            self._train(training, validation, readers, classes, settings, seed, partial(EpochTasks, task, self, data))
        return self

    def _fit_stored(
        self, X: EncodedRows, y: Any, sample_weight: Any, X_val: Any, y_val: Any, sample_weight_val: Any
    ) -> Self:
        """Train the network on rows on disk; rows for validation that the user gives are in memory."""
        self._check_stored_arguments(X_val)
        final_epoch = self.final_epoch and X_val is None and not self.warm_start
        # Callbacks make scores of labels, not of the name of their column.
        labels, weight = (X.in_memory(name) if has_callbacks(self) else name for name in (y, sample_weight))
        data = {"X": X, "y": labels, "metadata": None if weight is None else {"sample_weight": weight}}
        max_epochs = self._max_epochs(X)
        folder = TemporaryFolder(X.folder.path.parent)
        with fit_task(self, max_subtasks=max_epochs + final_epoch, **data) as task, naming_full_disk(folder):
            holds_out = self.early_stopping and X_val is None
            rows = StoredRows(self, X, y, sample_weight, holds_out=holds_out)
            self._learn_columns(X)
            classes = self._check_classes(rows.classes)
            class_weight = weight_by_counts(self.class_weight, classes, rows.n_rows, rows.weights)
            readers = self._readers if self._continues() else rows.learn_fields()
            seed = self._seed if self._continues() else draw_seed(self.random_state)
            if holds_out:
                self._check_stored_hold_out(rows, readers, max_epochs)
            passes = Passes(int(self.verbose))
            validation: Impressions | StoredImpressions | None
            training, validation = rows.shuffled(readers, class_weight, self.negatives_kept, seed, folder, passes)
            if X_val is not None:
                validation = self._validation_rows(X_val, y_val, sample_weight_val, readers, classes, class_weight)
            settings = self._settings(n_rows_of_epoch(training.counts, self.negative_sampling), max_epochs, final_epoch)
            self._train(training, validation, readers, classes, settings, seed, partial(EpochTasks, task, self, data))
        folder.remove()
        return self

    def _validation_rows(
        self,
        X_val: Any,
        y_val: Any,
        sample_weight_val: Any,
        readers: list[FieldReader],
        classes: NDArray[Any],
        class_weight: NDArray[np.float64],
        tasks: Tasks | None = None,
    ) -> Impressions:
        rows = check_validation_rows(self, X_val, y_val, sample_weight_val, tasks)
        self._check_validation_classes(rows.y, classes)
        return self._make_impressions(rows, readers, classes, class_weight)

    def _check_stored_arguments(self, X_val: Any) -> None:
        if isinstance(X_val, EncodedBatches):
            raise TypeError(
                f"X_val is {type(X_val).__name__}, rows that come in batches, and validation rows are a table in "
                "memory. Read them, for example by pandas.read_parquet, and encode that."
            )
        if not isinstance(self.categorical_features, str):
            raise ValueError(
                f"categorical_features={self.categorical_features!r}, but X was written by CTREncoder, which knows its "
                "fields. Leave it at 'auto', and choose kinds of columns in CTREncoder."
            )

    def _learn_columns(self, X: EncodedRows) -> None:
        names = np.asarray(list(X.columns), dtype=object)
        if self._continues():
            if list(self.feature_names_in_) != list(names):
                raise ValueError(f"X has the columns {list(names)}, fit saw {list(self.feature_names_in_)}.")
            check_same_encoder(self, X.origin)
            return
        self.feature_names_in_, self.n_features_in_, self._origin = names, len(names), X.origin.without_vectors()

    def _check_stored_hold_out(self, rows: StoredRows, readers: list[FieldReader], max_epochs: int) -> None:
        if lacking := rows.classes_on_one_side():
            self._warn_of_no_hold_out(lacking[0], int(rows.n_rows[rows.classes == lacking[0]][0]), max_epochs)
            rows.hold_none_out()
            return
        fields = [reader.field for reader in readers]
        check_statistics(rows.origin, rows.n_given, fields, rows.fraction, self.hold_out)

    def _warn_of_no_hold_out(self, label: Any, n_rows: int, max_epochs: int) -> None:
        why = "a single row" if n_rows == 1 else f"{n_rows} rows with a weight, all of them held out or none"
        warn(
            f"The class {label!r} has {why}, so none is held out for early stopping and the training takes "
            f"all of max_epochs={max_epochs}. Give X_val and y_val, or set early_stopping=False.",
        )

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
        if X_val is not None and not self.early_stopping:
            raise ValueError(
                "X_val and y_val are for early stopping, but early_stopping=False. Set it to True or leave them out."
            )

    def _check_validation_classes(self, y_val: NDArray[Any], classes: Any) -> None:
        missing = np.setdiff1d(classes, y_val)
        if self.scoring == "roc_auc" and missing.size:
            raise ValueError(
                f"scoring='roc_auc' needs validation rows of every class, but y_val has none of {missing.tolist()}. "
                "Add such rows, or set scoring='neg_log_loss'."
            )

    def _read_labels(
        self, y: Any, columns: list[InputColumn], tasks: Tasks | None = None
    ) -> tuple[NDArray[Any], Tasks | None]:
        """A label for each row; in a classifier of several tasks its pattern of labels, and the tasks."""
        return check_labels(y, columns), None

    def _classes_of(self, rows: LabelledRows) -> Any:
        """What there is to tell apart."""
        return self._check_classes(rows.y)

    def _weight_of_class(self, classes: Any, rows: LabelledRows) -> NDArray[np.float64]:
        return weight_of_class(self.class_weight, classes, rows)

    def _make_impressions(
        self, rows: LabelledRows, readers: list[FieldReader], classes: Any, class_weight: NDArray[np.float64]
    ) -> Impressions:
        return make_impressions(rows, readers, classes, class_weight)

    def _n_outputs(self, classes: Any) -> int:
        """Number of logits."""
        return 1 if len(classes) == 2 else len(classes)

    def _learned_of(self, classes: Any) -> dict[str, Any]:
        """The attributes about labels."""
        return {"classes_": classes}

    def _class_on_one_side(self, rows: LabelledRows) -> tuple[Any, int] | None:
        """A label of which all rows, or none, are held out, and the number of its rows."""
        lacking = rows.classes_on_one_side()
        return (lacking[0], int(np.count_nonzero(rows.y == lacking[0]))) if lacking else None

    def _check_classes(self, y: NDArray[Any]) -> NDArray[Any]:
        classes = np.unique(y)
        if len(classes) < 2:
            raise ValueError(
                "A classifier needs rows of at least two classes with a positive weight (less than 1e-30 of the "
                f"largest is as good as none); y has one class, {classes.tolist()}."
            )
        for name in ("negatives_kept", "negative_sampling"):
            if len(classes) > 2 and getattr(self, name) < 1:
                raise ValueError(
                    f"{name}={getattr(self, name):g} is for two classes, of which the first in sorted order is the "
                    f"negative one; y has the {len(classes)} classes {classes.tolist()}. Set {name}=1.0, or weigh the "
                    "kept rows of each class by sample_weight."
                )
        if self._continues() and not np.array_equal(classes, self.classes_):
            raise ValueError(
                f"With warm_start=True, y must have the classes of the first fit, {self.classes_.tolist()}; it has "
                f"{classes.tolist()}."
            )
        return classes

    def _hold_out(
        self, training: Impressions, rows: LabelledRows, readers: list[FieldReader], max_epochs: int
    ) -> tuple[Impressions, Impressions | None]:
        """Training rows and validation rows; None for the latter where there are none."""
        if not self.early_stopping:
            return training, None
        if lacking := self._class_on_one_side(rows):
            self._warn_of_no_hold_out(*lacking, max_epochs)
            return training, None
        fields = [reader.field for reader in readers]
        fraction = fraction_held_out(self, rows.n_given, rows.origin)
        check_statistics(rows.origin, rows.n_given, fields, fraction, self.hold_out)
        n_floats = sum(field.n_columns for field in fields if field.kind in ("numeric", "vector"))
        warn_about_copies(training, n_floats, rows.is_held_out)
        return split_rows(training, rows.is_held_out)

    def _train(
        self,
        training: Impressions | StoredImpressions,
        validation: Impressions | StoredImpressions | None,
        readers: list[FieldReader],
        classes: Any,
        settings: TrainingSettings,
        seed: int,
        tasks: Callable[[FittedAttributes], EpochObserver],
    ) -> None:
        from ..training import train  # loads skorch, which prediction doesn't need

        before = self.history_ if self._continues() else []
        generator = torch.Generator().manual_seed(seed + len(before))
        parameters = self._network_parameters(len(training), self._continues())
        arguments = arguments_of_network(self._network_class, parameters, readers, self._n_outputs(classes))
        network = self._network_to_train(arguments, training, generator)
        learned = {**self._learned_of(classes), "fields_": [*arguments["fields"]], "_readers": readers, "_seed": seed}

        def fitted(network: nn.Module, result: TrainingResult) -> dict[str, Any]:
            of_network = {"network_": network, "_network_arguments": arguments, "_moments": None}
            return {**learned, **of_network, **_epochs_so_far(before, result)}

        def fitted_copy(network: nn.Module, result: TrainingResult) -> dict[str, Any]:
            return fitted(network_of_arrays(self._network_class, arguments, weights_as_arrays(network)), result)

        some = training.head(_ROWS_OF_IDENTITY).arrays()
        identity = arguments["fields"], classes, len(before), len(training), training.class_weights(2).tolist()
        start = weights_as_arrays(network) if self._continues() else None
        settings = replace(settings, checkpoint=checkpoint_file(self, identity, self._origin, some, start))
        observer = tasks(fitted_copy) if has_callbacks(self) else None
        self.__dict__.update(fitted(network, train(network, training, validation, settings, generator, observer)))

    def _network_to_train(
        self, arguments: dict[str, Any], training: Impressions | StoredImpressions, generator: torch.Generator
    ) -> nn.Module:
        if not self._continues():
            return start_network(self._network_class, arguments, training, generator)
        check_same_arguments(arguments, self._network_arguments, "With warm_start=True")
        return copy_network(self.network_)

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


def _epochs_so_far(before: EpochHistory, result: TrainingResult) -> dict[str, Any]:
    """The attributes about epochs, those of earlier fits included."""
    history = [*before, *({**epoch, "epoch": len(before) + epoch["epoch"]} for epoch in result.history)]
    return {
        "history_": history,
        "n_iter_": len(history),
        "best_epoch_": len(before) + result.best_epoch,
        "best_score_": result.best_score,
    }
