"""`fit` in steps: read the rows, hold some out, start the network, train it and keep the results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial, wraps
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

import joblib
import torch
from torch import nn

from .._checks import check_widths
from .._sklearn import InvalidParameterError, fit_context, fit_task, has_callbacks, num_samples
from .._sources import EncodedBatches, EncodedRows
from ..nn import copy_network
from ..training import AnyImpressions, Moments, correct_mean, digest_of, n_rows_of_pass, resolve_device
from ._definitions import definition_of
from ._field_readers import FieldReader, learn_fields
from ._input_columns import refuse_raw_rows
from ._labels import RowScorer
from ._network import (
    NetworkClass,
    Served,
    arguments_of_network,
    check_same_arguments,
    make_network,
    network_of_arrays,
    weights_as_arrays,
)
from ._parameters import BUILT_IN, automatic_max_epochs, automatic_settings, draw_seed, find_scorer, name_of_scorer
from ._rows import VALIDATION, ReadLabels, Rows, check_hold_out, check_out_of_fold, open_rows, read_rows
from ._tasks import Labels

if TYPE_CHECKING:
    from ..schema import Field
    from ..training import EpochHistory, TrainingResult, TrainingSettings
    from ._finalmlp import FinalMLPClassifier

Fit = TypeVar("Fit", bound=Callable[..., Any])

#: Penalty of the tables of the gates' contexts.
_OF_CONTEXTS: Final = 0.001
#: Where a fit is stored, shown and computed doesn't make it another one.
_OF_NO_FIT: Final = dict.fromkeys(("checkpoint", "verbose", "device"))


@dataclass(frozen=True)
class Fitted:
    """A trained network with all that its classifier knows; before the training, with the history of earlier ones."""

    network_class: NetworkClass
    network: nn.Module
    arguments: dict[str, Any]
    readers: list[FieldReader]
    labels: Labels
    history: EpochHistory
    moments: Moments | None = None
    best_epoch: int = 0
    best_score: float | None = None

    def after(self, result: TrainingResult, method: str = "fit", **scores: float) -> Fitted:
        """Return it with the epochs of a training by `fit` or `partial_fit`, and scores that it doesn't have."""
        n_before = len(self.history)
        epochs = [{**e, **scores, "epoch": n_before + e["epoch"], "method": method} for e in result.history]
        best_epoch = n_before + result.best_epoch
        return replace(self, history=[*self.history, *epochs], best_epoch=best_epoch, best_score=result.best_score)

    def copied_after(self, rows: AnyImpressions | None, network: nn.Module, result: TrainingResult) -> Fitted:
        """Return it with a copy of the network, moved to the click rate of rows, and the epochs so far."""
        copy = network_of_arrays(self.network_class, self.arguments, weights_as_arrays(network))
        if rows is not None:
            correct_mean(copy, rows)
        return replace(self, network=copy).after(result)

    def attributes(self) -> dict[str, Any]:
        """Return the attributes of the classifier."""
        return {
            **self.labels.attributes(),
            "fields_": [*self.arguments["fields"]],
            "history_": self.history,
            "n_iter_": len(self.history),
            "best_epoch_": self.best_epoch,
            "best_score_": self.best_score,
            "_network_arguments": self.arguments,
            "_served": Served.folded(self.network, self.readers),
            "_moments": self.moments,
        }


@dataclass
class EpochTasks:
    """Makes each epoch a subtask of `fit` for scikit-learn's callbacks; `fitted` gives the model so far."""

    fit_context: Any
    data: dict[str, Any]
    fitted: Callable[[nn.Module, TrainingResult], Fitted]

    @classmethod
    def of(cls, task: Any, data: dict[str, Any], fitted: Callable[[nn.Module, TrainingResult], Fitted]) -> Self | None:
        """Return it where the classifier has callbacks."""
        return cls(task, data, fitted) if has_callbacks(data["estimator"]) else None

    def begin_epoch(self, final: bool) -> None:
        """Begin a subtask."""
        self._task = self.fit_context.subcontext(task_name="final epoch" if final else "epoch")
        self._task.call_on_fit_task_begin(**self.data)

    def end_epoch(self, network: nn.Module, result: TrainingResult) -> bool:
        """End the subtask; True where a callback wants the training to end."""
        stop: bool = self._task.call_on_fit_task_end(
            **self.data, reconstruction_attributes=lambda: self.fitted(network, result).attributes()
        )
        return stop


#: Arguments of `fit` in other libraries, and their names here.
_FOREIGN: Final = {
    "eval_set": "Pass X_val and y_val, encoded like X",
    "validation_data": "Pass X_val and y_val, encoded like X",
    "eval_metric": "Set the parameter scoring",
    "early_stopping_rounds": "Set the parameter n_iter_no_change",
    "callbacks": "Call set_callbacks",
    "cat_features": "Set the parameter categorical_features",
    "categorical_feature": "Set the parameter categorical_features",
    "epochs": "Set the parameter max_epochs",
}


def explaining_foreign_arguments(fit: Fit) -> Fit:
    """Let a `fit` name the equivalent of another library's argument."""

    @wraps(fit)
    def explaining(self: Any, *args: Any, **kwargs: Any) -> Any:
        if foreign := next((name for name in kwargs if name in _FOREIGN), None):
            raise TypeError(f"{type(self).__name__}.fit has no argument {foreign!r}. {_FOREIGN[foreign]}.")
        return fit(self, *args, **kwargs)

    return explaining  # type: ignore[return-value]


@fit_context
def fit_classifier(
    classifier: FinalMLPClassifier,
    X: Any,
    y: Any,
    sample_weight: Any,
    X_val: Any,
    y_val: Any,
    sample_weight_val: Any,
    read_labels: ReadLabels,
) -> None:
    """Train a classifier; after an error it is as before."""
    from ..training import train  # loads skorch, which prediction doesn't need

    check_widths(classifier, "fs_hidden_units", 0)
    scorer = find_scorer(classifier.scoring)
    _check_arguments(classifier, X, X_val, y_val, sample_weight_val)
    # The user's validation rows are not for training, and neither are rows that a warm start goes on to validate with.
    final_epoch = classifier.final_epoch and X_val is None and not classifier.warm_start
    holds_out = classifier.early_stopping and X_val is None
    is_auto = classifier.max_epochs == "auto"
    max_epochs = automatic_max_epochs(num_samples(X), classifier.schedule) if is_auto else int(classifier.max_epochs)
    data = data_of_callbacks(classifier, X, y, sample_weight)
    with (
        fit_task(**data, max_subtasks=max_epochs + final_epoch) as task,
        open_rows(classifier, X, y, sample_weight, read_labels, holds_out=holds_out) as rows,
    ):
        start, generator, training, validation = _start(classifier, rows, (X_val, y_val, sample_weight_val), max_epochs)
        n_rows = n_rows_of_pass(training.counts, classifier.negative_sampling)
        fields = start.arguments["fields"]
        settings = training_settings(classifier, fields, n_rows, max_epochs, final_epoch)
        if scorer not in BUILT_IN:
            scorer = RowScorer(scorer, name_of_scorer(classifier.scoring), start.labels, fields)  # type: ignore[arg-type]  # tasks are refused
        file = None if classifier.checkpoint is None else _checkpoint_file(classifier, start, training, validation)
        settings = replace(settings, scoring=scorer, checkpoint=file)
        # With validation rows, the training itself moves the mean prediction to the click rate.
        unmoved = training if validation is None else None
        observer = EpochTasks.of(task, data, partial(start.copied_after, unmoved))
        result = train(start.network, training, validation, settings, generator, observer)
        if unmoved is not None:
            correct_mean(start.network, unmoved)
        classifier.__dict__.update(start.after(result).attributes())


def _start(
    classifier: FinalMLPClassifier, rows: Rows, given: tuple[Any, Any, Any], max_epochs: int
) -> tuple[Fitted, torch.Generator, AnyImpressions, AnyImpressions | None]:
    """Return what a fit begins with, its random numbers, the rows to train on, and the given or held-out rows."""
    continues, labels = classifier._continues(), rows.labels
    weights = labels.weights(classifier.class_weight, rows.count())
    readers = [*classifier.table_reader_] if continues else learn_fields(rows, classifier.categorical_features)
    check_out_of_fold(rows, readers)
    if not continues:
        classifier._seed = draw_seed(classifier.random_state)
    if rows.hold_out is not None:
        rows = check_hold_out(classifier, rows, readers, max_epochs)
    training, validation = rows.split(classifier, readers, weights)
    if given[0] is not None:
        read = read_rows(classifier, *given, labels.read_more, called=VALIDATION)
        labels.check_validation(read.count().n_rows, classifier.scoring)
        validation = read.impressions(read.chunk, readers, weights)
    start, generator = start_training(classifier, training, readers, rows, continues)
    if continues:
        check_same_arguments(start.arguments, classifier._network_arguments, "With warm_start=True")
        start = replace(start, network=copy_network(start.network))
    return start, generator, training, validation


def start_training(
    classifier: Any, training: AnyImpressions, readers: list[FieldReader], rows: Rows, goes_on: bool
) -> tuple[Fitted, torch.Generator]:
    """Return what a training begins with, a new network or the one so far, and the generator of its random numbers."""
    labels, before = rows.labels, classifier.history_ if goes_on else []
    generator = torch.Generator().manual_seed(classifier._seed + len(before))
    network_class = classifier._network_class
    if not goes_on:
        classifier._n_rows, classifier._new_ids = len(training), rows.new_ids
    arguments = arguments_of_network(classifier, readers, labels.n_outputs)
    if goes_on:
        network = classifier.network_
    else:
        network = make_network(network_class, arguments, generator)
        # Before anything is learned, it predicts the share of each class.
        weight_of_label, kept = training.class_weights(labels.n_labels), training.negatives_kept
        network.start_at(labels.objective.start(weight_of_label, len(training), labels.n_outputs, kept))
    return Fitted(network_class, network, arguments, readers, labels, before), generator


def training_settings(
    classifier: FinalMLPClassifier, fields: Sequence[Field], n_rows: int, max_epochs: int, final_epoch: bool
) -> TrainingSettings:
    """Return the settings of a training, by the fields and the number of rows of an epoch where they are "auto"."""
    from ..training import TrainingSettings

    of_tables, of_contexts = penalties_of_tables(classifier)
    chosen = automatic_settings(n_rows, classifier.schedule, fields)
    for name in chosen:
        given = of_tables if name == "embedding_regularizer" else getattr(classifier, name)
        chosen[name] = chosen[name] if given == "auto" else given
    return TrainingSettings(
        schedule=classifier.schedule,
        precision=classifier.precision,
        max_epochs=max_epochs,
        net_regularizer=classifier.net_regularizer,
        gate_regularizer=of_contexts,
        device=resolve_device(classifier.device),
        final_epoch=final_epoch,
        verbose=int(classifier.verbose),
        negative_sampling=classifier.negative_sampling,
        joins_processes=True,
        **chosen,
    )


def penalties_of_tables(classifier: FinalMLPClassifier) -> tuple[Any, float | None]:
    """Return the penalties of the embedding tables, or "auto", and of the gates' contexts; None for the same."""
    given = classifier.embedding_regularizer
    if not isinstance(given, tuple):
        return given, _OF_CONTEXTS
    if len(given) != 2 or not all(p == "auto" or (isinstance(p, Real) and float(p) >= 0) for p in given):
        raise InvalidParameterError(
            "The 'embedding_regularizer' parameter of FinalMLPClassifier must be a number from 0 on, 'auto', or a pair "
            f"of such penalties, for the tables and the gates' contexts, such as ('auto', 0.001). Got {given!r}."
        )
    of_tables, of_contexts = given
    return of_tables, None if of_contexts == "auto" else of_contexts


def _checkpoint_file(
    classifier: FinalMLPClassifier, start: Fitted, training: AnyImpressions, validation: AnyImpressions | None
) -> Path:
    """Return the file of `checkpoint` for this fit alone: other rows, parameters, weights or scorers have another."""
    if not isinstance(classifier.random_state, Integral):
        raise ValueError(
            f"checkpoint={str(classifier.checkpoint)!r} needs an integer as random_state, so that a resumed fit "
            f"draws the same random numbers; it is {classifier.random_state!r}."
        )
    folder = Path(classifier.checkpoint)
    folder.mkdir(parents=True, exist_ok=True)
    parameters = classifier.get_params() | _OF_NO_FIT | {"scoring": name_of_scorer(classifier.scoring)}
    weights = weights_as_arrays(start.network) if start.history else None
    identity = parameters, start.arguments["fields"], start.labels, len(start.history), weights, classifier._encoders
    code = definition_of([classifier.scoring, classifier.stream1, classifier.stream2])
    rows = digest_of(training), digest_of(validation)
    return folder / f"training-{joblib.hash((identity, code, rows))}.pt"


def data_of_callbacks(classifier: FinalMLPClassifier, X: Any, y: Any, sample_weight: Any) -> dict[str, Any]:
    """Return what scikit-learn's callbacks may ask for, beside the classifier that is fitted."""
    if isinstance(X, EncodedRows) and has_callbacks(classifier):
        # Callbacks make scores of labels, not of the name of their column.
        y, sample_weight = X.in_memory(y), X.in_memory(sample_weight)
    metadata = None if sample_weight is None else {"sample_weight": sample_weight}
    return {"estimator": classifier, "X": X, "y": y, "metadata": metadata}


def _check_arguments(classifier: FinalMLPClassifier, X: Any, X_val: Any, y_val: Any, sample_weight_val: Any) -> None:
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
    if X_val is not None and not classifier.early_stopping:
        raise ValueError(
            "X_val and y_val are for early stopping, but early_stopping=False. Set it to True or leave them out."
        )
    refuse_raw_rows(X)
