"""What both classifiers share: scikit-learn's conventions around a network and its training."""

from __future__ import annotations

import inspect
import warnings
from abc import ABCMeta
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit, softmax
from sklearn.base import BaseEstimator, ClassifierMixin, _fit_context
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, InvalidParameterError, StrOptions
from sklearn.utils.validation import check_is_fitted
from torch import nn

from .._persistence import VersionedState
from ..nn import DualMLP, Ensemble, FinalMLP
from ..training import EpochHistory, Impressions, TrainingSettings, predict_logits, resolve_device, train
from ._columns import read_columns
from ._fields import FieldReader, fields_of_streams, learn_fields, read_matrices
from ._rows import LabelledRows, check_rows, make_impressions, split_rows, weight_of_class

_FRACTION = Interval(Real, 0, 1, closed="left")
_NON_NEGATIVE = Interval(Real, 0, None, closed="left")
AT_LEAST_ONE = Interval(Integral, 1, None, closed="left")


class TwoStreamClassifier(VersionedState, ClassifierMixin, BaseEstimator, metaclass=ABCMeta):
    """Base of the classifiers: everything but the network and the documentation of its parameters."""

    _network_class: ClassVar[type[DualMLP | FinalMLP]]

    classes_: NDArray[Any]
    history_: EpochHistory

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "embedding_dim": [AT_LEAST_ONE],
        "mlp1_fields": ["array-like", StrOptions({"auto"}), None],
        "mlp2_fields": ["array-like", StrOptions({"auto"}), None],
        "mlp1_hidden_units": ["array-like"],
        "mlp2_hidden_units": ["array-like"],
        "mlp1_dropout": [_FRACTION],
        "mlp2_dropout": [_FRACTION],
        "mlp1_batch_norm": ["boolean"],
        "mlp2_batch_norm": ["boolean"],
        "n_members": [AT_LEAST_ONE],
        "embedding_regularizer": [_NON_NEGATIVE],
        "net_regularizer": [_NON_NEGATIVE],
        "embedding_update": [StrOptions({"auto", "dense", "lazy"})],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "batch_size": [Interval(Integral, 2, None, closed="left"), StrOptions({"auto"})],
        "max_epochs": [AT_LEAST_ONE],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "scoring": [StrOptions({"neg_log_loss", "roc_auc"})],
        "final_epoch": ["boolean"],
        "n_iter_no_change": [AT_LEAST_ONE],
        "tol": [_NON_NEGATIVE],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "categorical_features": ["array-like", StrOptions({"auto"}), None],
        "warm_start": ["boolean"],
        "random_state": ["random_state"],
        "device": [str, torch.device],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        *,
        embedding_dim: int,
        mlp1_fields: Any,
        mlp2_fields: Any,
        mlp1_hidden_units: Any,
        mlp2_hidden_units: Any,
        mlp1_dropout: float,
        mlp2_dropout: float,
        mlp1_batch_norm: bool,
        mlp2_batch_norm: bool,
        n_members: int,
        embedding_regularizer: float,
        net_regularizer: float,
        embedding_update: Any,
        learning_rate: float,
        batch_size: Any,
        max_epochs: int,
        early_stopping: bool,
        validation_fraction: float,
        scoring: Any,
        final_epoch: bool,
        n_iter_no_change: int,
        tol: float,
        class_weight: Any,
        categorical_features: Any,
        warm_start: bool,
        random_state: Any,
        device: str | torch.device,
        verbose: Any,
    ) -> None:
        self.embedding_dim = embedding_dim
        self.mlp1_fields = mlp1_fields
        self.mlp2_fields = mlp2_fields
        self.mlp1_hidden_units = mlp1_hidden_units
        self.mlp2_hidden_units = mlp2_hidden_units
        self.mlp1_dropout = mlp1_dropout
        self.mlp2_dropout = mlp2_dropout
        self.mlp1_batch_norm = mlp1_batch_norm
        self.mlp2_batch_norm = mlp2_batch_norm
        self.n_members = n_members
        self.embedding_regularizer = embedding_regularizer
        self.net_regularizer = net_regularizer
        self.embedding_update = embedding_update
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.scoring = scoring
        self.final_epoch = final_epoch
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
        self._check_hidden_units()
        with _all_or_nothing(self):
            rows = check_rows(self, X, y, sample_weight, reset=not self._continues())
            classes = self._check_classes(rows.y)
            class_weight = weight_of_class(self.class_weight, classes, rows.y)
            readers = self._readers if self._continues() else learn_fields(rows.columns, self.categorical_features)
            training = make_impressions(rows, readers, classes, class_weight).of_mean_weight_one()
            seed = self._seed if self._continues() else _draw_seed(self.random_state)
            if X_val is not None:
                rows_val = self._check_validation_rows(X_val, y_val, sample_weight_val)
                validation: Impressions | None = make_impressions(rows_val, readers, classes, class_weight)
            else:
                training, validation = self._hold_out(training, classes)
            # Rows that the user gives for validation are not for training, nor those by which a next fit will stop.
            final_epoch = self.final_epoch and X_val is None and not self.warm_start
            settings = self._settings(len(training), final_epoch)
            self._train(training, validation, readers, classes, settings, seed)
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
            if len(units) < fewest or not all(_is_width(width) for width in units):
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

    def _check_validation_rows(self, X_val: Any, y_val: Any, sample_weight_val: Any) -> LabelledRows:
        try:
            return check_rows(self, X_val, y_val, sample_weight_val, reset=False)
        except ValueError as error:
            raise ValueError(
                f"X_val, y_val: {error}\nX_val must be encoded like X, by the same fitted encoder."
            ) from error

    def _check_classes(self, y: NDArray[Any]) -> NDArray[Any]:
        classes = np.unique(y)
        if len(classes) < 2:
            raise ValueError(
                f"A classifier needs rows of at least two classes with a positive weight; y has one class, "
                f"{classes.tolist()}."
            )
        if self._continues() and not np.array_equal(classes, self.classes_):
            raise ValueError(
                f"With warm_start=True, y must have the classes of the first fit, {self.classes_.tolist()}; it has "
                f"{classes.tolist()}."
            )
        return classes

    def _hold_out(self, training: Impressions, classes: NDArray[Any]) -> tuple[Impressions, Impressions | None]:
        """Training rows and validation rows; None for the latter where there are none."""
        if not self.early_stopping:
            return training, None
        counts = np.bincount(training.target.numpy(), minlength=len(classes))
        if 1 in counts:
            warnings.warn(
                f"The class {classes.tolist()[int((counts == 1).argmax())]!r} has a single row, so none is held out "
                f"for early stopping and the training takes all of max_epochs={self.max_epochs}. Give X_val and "
                "y_val, or set early_stopping=False.",
                stacklevel=4,
            )
            return training, None
        return split_rows(training, self.validation_fraction)

    def _train(
        self,
        training: Impressions,
        validation: Impressions | None,
        readers: list[FieldReader],
        classes: NDArray[Any],
        settings: TrainingSettings,
        seed: int,
    ) -> None:
        before = self.history_ if self._continues() else []
        generator = torch.Generator().manual_seed(seed + len(before))
        arguments = self._arguments_of_network(readers, classes)
        if self._continues():
            network: nn.Module = self._network_to_continue(arguments)
        else:
            network = start = self._make_network(arguments, generator)
            start.start_at(_log_odds(training, arguments["n_outputs"]))
        result = train(network, training, validation, settings, generator)
        self.classes_ = classes
        self.fields_ = [reader.field for reader in readers]
        self.network_ = network
        self.history_ = [*before, *({**epoch, "epoch": len(before) + epoch["epoch"]} for epoch in result.history)]
        self.n_iter_ = len(self.history_)
        self.best_epoch_ = len(before) + result.best_epoch
        self.best_score_ = result.best_score
        self._readers = readers
        self._seed = seed
        self._network_arguments = arguments

    def _arguments_of_network(self, readers: list[FieldReader], classes: NDArray[Any]) -> dict[str, Any]:
        """Arguments that make the network; copies, so that the caller's lists can change."""
        names = inspect.signature(self._network_class).parameters.keys() & self.get_params(deep=False).keys()
        arguments = {name: getattr(self, name) for name in sorted(names)}
        for name, value in arguments.items():
            if name.endswith("_hidden_units"):
                arguments[name] = tuple(int(width) for width in value)
            elif name.endswith(("_context", "_fields")) and not isinstance(value, str):
                arguments[name] = None if value is None else tuple(str(field) for field in value)
        fields = [reader.field for reader in readers]
        chosen = {name: arguments.pop(name) for name in ("mlp1_fields", "mlp2_fields")}
        members = []
        for member in range(self.n_members):
            automatic = dict(zip(chosen, fields_of_streams(fields, member), strict=True))
            members.append({name: automatic[name] if value == "auto" else value for name, value in chosen.items()})
        n_outputs = 1 if len(classes) == 2 else len(classes)
        return {"fields": fields, "n_outputs": n_outputs, "members": members, **arguments}

    @classmethod
    def _make_network(
        cls, arguments: dict[str, Any], generator: torch.Generator | None = None
    ) -> DualMLP | FinalMLP | Ensemble:
        shared = {name: value for name, value in arguments.items() if name != "members"}
        members = [cls._network_class(**shared, **own, generator=generator) for own in arguments["members"]]
        return members[0] if len(members) == 1 else Ensemble(members)

    def _network_to_continue(self, arguments: dict[str, Any]) -> nn.Module:
        changed = [name for name, value in arguments.items() if value != self._network_arguments[name]]
        if "members" in changed:
            changed[changed.index("members")] = "n_members, mlp1_fields or mlp2_fields"
        if changed:
            raise ValueError(
                f"With warm_start=True the network stays as it is, but these parameters have changed since the first "
                f"fit: {changed}. Set them back, or set warm_start=False."
            )
        return deepcopy(self.network_)

    def _settings(self, n_rows: int, final_epoch: bool) -> TrainingSettings:
        return TrainingSettings(
            learning_rate=self.learning_rate,
            batch_size=_automatic_batch_size(n_rows) if self.batch_size == "auto" else self.batch_size,
            max_epochs=self.max_epochs,
            n_iter_no_change=self.n_iter_no_change,
            tol=self.tol,
            embedding_regularizer=self.embedding_regularizer,
            net_regularizer=self.net_regularizer,
            embedding_update=self.embedding_update,
            device=resolve_device(self.device),
            scoring=self.scoring,
            final_epoch=final_epoch,
            verbose=bool(self.verbose),
        )

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
                network = self._make_network(state["_network_arguments"])
            weights = {name: torch.from_numpy(np.array(weight)) for name, weight in state["network_"].items()}
            network.load_state_dict(weights, assign=True)
            state = {**state, "network_": network.eval()}
        super()._restore(state)


@contextmanager
def _all_or_nothing(estimator: Any) -> Iterator[None]:
    """Leave the estimator as it was if fitting fails."""
    before = dict(vars(estimator))
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise


def _is_width(width: Any) -> bool:
    return isinstance(width, int | np.integer) and not isinstance(width, bool) and bool(width >= 1)


def _draw_seed(random_state: Any) -> int:
    # Without a seed, fresh entropy: numpy's global generator stays as it was.
    rng = np.random.default_rng() if random_state is None else check_random_state(random_state)
    draw = rng.integers if isinstance(rng, np.random.Generator) else rng.randint
    return int(draw(np.iinfo(np.int32).max))


def _log_odds(training: Impressions, n_outputs: int) -> torch.Tensor:
    """The logits that predict the share of each class, so that rare clicks need not be learned first."""
    log_share = torch.bincount(training.target, weights=training.weight.double()).log()
    return log_share[1:] - log_share[0] if n_outputs == 1 else log_share - log_share.mean()


def _automatic_batch_size(n_rows: int) -> int:
    """Large tables want fast steps, small ones enough of them."""
    return int(np.clip(2 * np.sqrt(n_rows), 16, 4096))
