"""What both classifiers share: scikit-learn's conventions around a network and its training."""

from __future__ import annotations

import inspect
import warnings
from abc import ABCMeta
from copy import deepcopy
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit, softmax
from sklearn.base import BaseEstimator, ClassifierMixin, _fit_context
from sklearn.utils import check_random_state, compute_sample_weight
from sklearn.utils._param_validation import Interval, InvalidParameterError, StrOptions
from sklearn.utils.validation import check_is_fitted
from torch import nn

from .._persistence import VersionedState
from ..training import (
    EpochHistory,
    Impressions,
    TrainingResult,
    TrainingSettings,
    predict_logits,
    resolve_device,
    train,
)
from ._columns import Column, read_columns
from ._fields import FieldReader, learn_fields, read_matrices
from ._targets import check_target, check_weight, drop_weightless, hold_out, positions_of

_STEPS_PER_EPOCH = 64
_MIN_BATCH_SIZE, _MAX_BATCH_SIZE = 16, 4096

_FRACTION = Interval(Real, 0, 1, closed="left")
_NON_NEGATIVE = Interval(Real, 0, None, closed="left")
AT_LEAST_ONE = Interval(Integral, 1, None, closed="left")


class TwoStreamClassifier(VersionedState, ClassifierMixin, BaseEstimator, metaclass=ABCMeta):
    """Base of the classifiers: everything but the network and the documentation of its parameters."""

    _network_class: ClassVar[type[nn.Module]]

    classes_: NDArray[Any]
    history_: EpochHistory

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "embedding_dim": [AT_LEAST_ONE],
        "mlp1_hidden_units": ["array-like"],
        "mlp2_hidden_units": ["array-like"],
        "mlp1_dropout": [_FRACTION],
        "mlp2_dropout": [_FRACTION],
        "mlp1_batch_norm": ["boolean"],
        "mlp2_batch_norm": ["boolean"],
        "embedding_regularizer": [_NON_NEGATIVE],
        "net_regularizer": [_NON_NEGATIVE],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "batch_size": [AT_LEAST_ONE, StrOptions({"auto"})],
        "max_epochs": [AT_LEAST_ONE],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [AT_LEAST_ONE],
        "tol": [_NON_NEGATIVE],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "categorical_features": ["array-like", StrOptions({"auto"}), None],
        "warm_start": ["boolean"],
        "random_state": ["random_state"],
        "device": [str],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        *,
        embedding_dim: int,
        mlp1_hidden_units: Any,
        mlp2_hidden_units: Any,
        mlp1_dropout: float,
        mlp2_dropout: float,
        mlp1_batch_norm: bool,
        mlp2_batch_norm: bool,
        embedding_regularizer: float,
        net_regularizer: float,
        learning_rate: float,
        batch_size: Any,
        max_epochs: int,
        early_stopping: bool,
        validation_fraction: float,
        n_iter_no_change: int,
        tol: float,
        class_weight: Any,
        categorical_features: Any,
        warm_start: bool,
        random_state: Any,
        device: str,
        verbose: Any,
    ) -> None:
        self.embedding_dim = embedding_dim
        self.mlp1_hidden_units = mlp1_hidden_units
        self.mlp2_hidden_units = mlp2_hidden_units
        self.mlp1_dropout = mlp1_dropout
        self.mlp2_dropout = mlp2_dropout
        self.mlp1_batch_norm = mlp1_batch_norm
        self.mlp2_batch_norm = mlp2_batch_norm
        self.embedding_regularizer = embedding_regularizer
        self.net_regularizer = net_regularizer
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.class_weight = class_weight
        self.categorical_features = categorical_features
        self.warm_start = warm_start
        self.random_state = random_state
        self.device = device
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=True)
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
            Impressions: columns of codes and of floats, such as `CTREncoder` writes.
        y : array-like of shape (n_samples,)
            Labels of any type, of two or more classes.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each impression in the loss. A row of weight 0 is left out.
        X_val : dataframe or array-like of shape (n_val, n_features), default=None
            Validation rows for early stopping. In a pipeline, `Pipeline(..., transform_input=["X_val"])`
            transforms them like `X`. Without them, a part of `X` is held out. Note that a search by
            cross-validation slices fit parameters that are as long as `X`.
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
        self._check_hidden_units()
        device = resolve_device(self.device)
        columns = read_columns(self, X, reset=not self._continues())
        y, weight = check_target(y, columns), check_weight(sample_weight, columns)
        classes = self._check_classes(np.unique(y))
        columns, y, weight = drop_weightless(columns, y, weight)
        seed = _draw_seed(self.random_state)
        readers = self._readers if self._continues() else learn_fields(columns, self.categorical_features)
        rows = self._impressions(readers, classes, columns, y, weight)
        if X_val is not None:
            columns_val = read_columns(self, X_val, reset=False)
            y_val, weight_val = check_target(y_val, columns_val), check_weight(sample_weight_val, columns_val)
            validation: Impressions | None = self._impressions(readers, classes, columns_val, y_val, weight_val)
        else:
            rows, validation = self._hold_out(rows, classes, seed)
        generator = torch.Generator().manual_seed(seed)
        network, arguments = self._network_to_train(readers, classes, generator)
        result = train(network, rows.of_mean_weight_one(), validation, self._settings(len(rows), device), generator)
        self._keep(result, network, arguments, readers, classes)
        return self

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
        check_is_fitted(self)
        codes, values = read_matrices(self._readers, read_columns(self, X, reset=False))
        logits: NDArray[np.float64] = (
            predict_logits(self.network_, torch.from_numpy(codes), torch.from_numpy(values)).double().numpy()
        )
        return logits.ravel() if logits.shape[1] == 1 else logits

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

    def _continues(self) -> bool:
        return self.warm_start and hasattr(self, "network_")

    def _check_hidden_units(self) -> None:
        for name, fewest in {"mlp1_hidden_units": 1, "mlp2_hidden_units": 1, "fs_hidden_units": 0}.items():
            units = self.get_params(deep=False).get(name, (1,))
            if len(units) < fewest or not all(isinstance(width, int | np.integer) and width >= 1 for width in units):
                raise InvalidParameterError(
                    f"The {name!r} parameter of {type(self).__name__} must be the width of each layer, integers of "
                    f"at least 1, such as (400, 200). Got {units!r} instead."
                )

    def _check_validation_arguments(self, X_val: Any, y_val: Any, sample_weight_val: Any) -> None:
        if (X_val is None) != (y_val is None):
            given, missing = ("y_val", "X_val") if X_val is None else ("X_val", "y_val")
            raise ValueError(f"{given} is given but {missing} isn't: validation needs both.")
        if X_val is None and sample_weight_val is not None:
            raise ValueError("sample_weight_val is given without X_val and y_val.")
        if X_val is not None and not self.early_stopping:
            raise ValueError(
                "X_val and y_val are for early stopping, but early_stopping=False. Set it to True or leave them out."
            )

    def _check_classes(self, classes: NDArray[Any]) -> NDArray[Any]:
        if len(classes) < 2:
            raise ValueError(f"A classifier needs rows of at least two classes; y has one class, {classes.tolist()}.")
        if self._continues() and not np.array_equal(classes, self.classes_):
            raise ValueError(
                f"With warm_start=True, y must have the classes of the first fit, {self.classes_.tolist()}; it has "
                f"{classes.tolist()}."
            )
        return classes

    def _impressions(
        self,
        readers: list[FieldReader],
        classes: NDArray[Any],
        columns: list[Column],
        y: NDArray[Any],
        weight: NDArray[np.float64],
    ) -> Impressions:
        codes, values = read_matrices(readers, columns)
        target = positions_of(y, classes)
        weight = weight * compute_sample_weight(self.class_weight, y)
        return Impressions(*map(torch.from_numpy, (codes, values, target, weight.astype(np.float32))))

    def _hold_out(self, rows: Impressions, classes: NDArray[Any], seed: int) -> tuple[Impressions, Impressions | None]:
        """Training rows and validation rows; None for the latter where there can be none."""
        if not self.early_stopping:
            return rows, None
        target = rows.target.numpy()
        counts = np.bincount(target, minlength=len(classes))
        if 1 in counts:
            warnings.warn(
                f"The class {classes.tolist()[int((counts == 1).argmax())]!r} has a single row, so none is held out "
                f"for early stopping and the training takes all of max_epochs={self.max_epochs}. Give X_val and "
                "y_val, or set early_stopping=False.",
                stacklevel=3,
            )
            return rows, None
        held_out = hold_out(target, self.validation_fraction, np.random.default_rng(seed))
        train_rows, validation_rows = (torch.from_numpy(np.flatnonzero(mask)) for mask in (~held_out, held_out))
        return rows.take(train_rows), rows.take(validation_rows)

    def _network_to_train(
        self, readers: list[FieldReader], classes: NDArray[Any], generator: torch.Generator
    ) -> tuple[nn.Module, dict[str, Any]]:
        """The network and the arguments that made it."""
        if self._continues():
            # A copy: if the training fails, the classifier is as it was.
            return deepcopy(self.network_), self._network_arguments
        parameters = inspect.signature(self._network_class).parameters.keys() & self.get_params(deep=False).keys()
        arguments = {
            "fields": [reader.field for reader in readers],
            "n_outputs": 1 if len(classes) == 2 else len(classes),
            **{name: getattr(self, name) for name in sorted(parameters)},
        }
        return self._network_class(**arguments, generator=generator), arguments

    def _settings(self, n_rows: int, device: torch.device) -> TrainingSettings:
        automatic = int(np.clip(n_rows // _STEPS_PER_EPOCH, _MIN_BATCH_SIZE, _MAX_BATCH_SIZE))
        return TrainingSettings(
            learning_rate=self.learning_rate,
            batch_size=automatic if self.batch_size == "auto" else self.batch_size,
            max_epochs=self.max_epochs,
            n_iter_no_change=self.n_iter_no_change,
            tol=self.tol,
            embedding_regularizer=self.embedding_regularizer,
            net_regularizer=self.net_regularizer,
            device=device,
            verbose=bool(self.verbose),
        )

    def _keep(
        self,
        result: TrainingResult,
        network: nn.Module,
        arguments: dict[str, Any],
        readers: list[FieldReader],
        classes: NDArray[Any],
    ) -> None:
        before = self.history_ if self._continues() else []
        self.classes_ = classes
        self.fields_ = [reader.field for reader in readers]
        self.network_ = network
        self.history_ = [*before, *({**epoch, "epoch": len(before) + epoch["epoch"]} for epoch in result.history)]
        self.n_iter_ = len(self.history_)
        self.best_epoch_ = len(before) + result.best_epoch
        self.best_score_ = result.best_score
        self._readers = readers
        self._network_arguments = arguments

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        if "network_" in state:
            # Plain arrays on the CPU, from which any machine can build the network anew.
            weights = self.network_.state_dict()
            state["network_"] = {name: weight.numpy(force=True) for name, weight in weights.items()}
        return state

    def _restore(self, state: dict[str, Any]) -> None:
        if "network_" in state:
            with torch.device("meta"):
                network = self._network_class(**state["_network_arguments"])
            weights = {name: torch.from_numpy(np.array(weight)) for name, weight in state["network_"].items()}
            network.load_state_dict(weights, assign=True)
            state = {**state, "network_": network.eval()}
        super()._restore(state)


def _draw_seed(random_state: Any) -> int:
    # Without a seed, fresh entropy: numpy's global generator stays as it was.
    rng = np.random.default_rng() if random_state is None else check_random_state(random_state)
    draw = rng.integers if isinstance(rng, np.random.Generator) else rng.randint
    return int(draw(np.iinfo(np.int32).max))
