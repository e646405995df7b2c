"""How a classifier goes on learning: one pass over new rows, whose codes may be new, too."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from .._origin import Origin, read_origin, unpacked_codes
from .._sklearn import check_first_call, fit_context, fit_task, has_callbacks
from .._sources import EncodedBatches
from ..fields import UNKNOWN_CODE
from ..nn import copy_network, norms_of
from ..training import EpochHistory, Impressions, Moments, TrainingResult, correct_mean
from ._epoch_tasks import EpochTasks
from ._field_readers import FieldReader, learn_fields
from ._growth import (
    RowsOf,
    Weights,
    copy_moments,
    copy_rows,
    draw_again,
    grown_moments,
    grown_network,
    grown_readers,
    take_excerpt,
)
from ._network import NetworkClass, arguments_of_network, check_same_arguments, make_network, start_network
from ._parameters import check_hidden_units, draw_seed, n_rows_of_epoch
from ._rows import check_labels_known, check_rows, make_impressions, weight_without_counts

if TYPE_CHECKING:
    from ..training import EpochObserver, TrainingSettings

#: Share of `learning_rate` at which new rows are learned from, and the penalty of embeddings, where it is "auto": what
#: the vectors know of earlier rows isn't in the loss of these. Both were chosen on streams of synthetic clicks.
_RATE: Final = 0.03
_REGULARIZER: Final = 0.1
#: After so many batches the running moments of batch norm have settled, and a small batch could only spoil them.
_SETTLED: Final = 500
#: A day with so many clicks moves the mean prediction half of the way to its click rate.
_DOUBT: Final = 400.0


class OnlineLearner:
    """Mixin that lets a classifier go on learning after `fit`, or begin with its first rows."""

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Learn from more rows, such as those of a new day, in one pass.

        Codes that are new get vectors of their own; those of codes that don't occur stay as they are, so that a call
        costs what its rows cost, not what the tables cost. The learning rate is constant, 0.03 of `learning_rate`.
        Nothing is held out: the rows are scored before they are learned from, and `history_` gets these scores as
        `valid_loss` and `valid_auc`, those of an honest test on the next day.

        Rows that `CTREncoder` encodes come from its `partial_fit_transform`; :func:`sk_finalmlp.update` calls both.

        Parameters
        ----------
        X : dataframe or array-like of shape (n_samples, n_features)
            Impressions with the columns of the first call, or of `fit`.
        y : array-like of shape (n_samples,)
            Labels, not necessarily of all classes.
        classes : array-like of shape (n_classes,), default=None
            All labels there are. Needed in the first call, if `fit` came not before.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each impression in the loss. A row of weight 0 is left out.

        Returns
        -------
        self : object
            The classifier. After an error it is as it was before.

        Raises
        ------
        ValueError
            If a column, a label or a parameter can't be used; the message names it.
        FloatingPointError
            If the loss becomes NaN.
        """
        self._take_in(X, y, classes, sample_weight, read_origin(X))
        return self

    @fit_context
    def _take_in(self: Any, X: Any, y: Any, classes: Any, sample_weight: Any, origin: Origin | None) -> None:
        """Learn from rows of which their encoder says so much."""
        if isinstance(X, EncodedBatches):
            raise TypeError(
                f"X is {type(X).__name__}, rows that come in batches, and partial_fit takes a table in memory. Begin "
                "with fit, which takes rows on disk, and let sk_finalmlp.update take in the rows of a day."
            )
        data = {"X": X, "y": y, "metadata": None if sample_weight is None else {"sample_weight": sample_weight}}
        with fit_task(self, max_subtasks=1, **data) as task:
            is_first = check_first_call(self, classes)
            if is_first:
                self._begin()
            elif origin is not None and self._origin is not None and origin.previous == self._origin.encoder:
                # Rows that were encoded just before mean the same, unless codes have been given to other values.
                previous = None if origin.fresh else origin.previous
                self._origin = replace(self._origin, encoder=origin.encoder, previous=previous)
            rows = check_rows(self, X, y, sample_weight, reset=is_first, holds_out=False)
            check_labels_known(rows.y, self.classes_)
            class_weight = weight_without_counts(self.class_weight, self.classes_, rows)
            if is_first:
                self._readers = learn_fields(rows.columns, self.categorical_features, rows.origin)
            readers = grown_readers(self._readers, rows.columns, origin)
            new = make_impressions(rows, readers, self.classes_, class_weight).with_mean_weight_one()
            new = replace(new, negatives_kept=self.negatives_kept)
            self._learn(new, readers, _rows_of_fresh_codes(origin, readers), partial(EpochTasks, task, self, data))

    def _begin(self: Any) -> None:
        check_hidden_units(self)
        self._check_classes(self.classes_)
        self._seed = draw_seed(self.random_state)
        self.history_: EpochHistory = []

    def _learn(
        self: Any,
        new: Impressions,
        readers: list[FieldReader],
        fresh: RowsOf,
        tasks: Callable[[Any], EpochObserver],
    ) -> None:
        before = self.history_
        generator = torch.Generator().manual_seed(self._seed + len(before))
        parameters = self._network_parameters(len(new), hasattr(self, "network_"))
        arguments = arguments_of_network(self._network_class, parameters, readers, self._n_outputs(self.classes_))
        network, moments = self._network_to_update(arguments, new, generator)
        update = NetworkUpdate(self._network_class, arguments, network, moments, new, fresh, generator)

        def fitted(network: nn.Module, result: TrainingResult) -> dict[str, Any]:
            return {
                "fields_": [*arguments["fields"]],
                "network_": network,
                "_moments": moments,
                "_network_arguments": arguments,
                "_readers": readers,
                **_history_after(before, result, update.scores),
            }

        def fitted_copy(_: nn.Module, result: TrainingResult) -> dict[str, Any]:
            return fitted(update.applied_to_copy(), result)

        settings = self._settings_of_update(new, network)
        result = update.train(settings, tasks(fitted_copy) if has_callbacks(self) else None)
        update.apply()
        self.__dict__.update(fitted(network, result))

    def _network_to_update(
        self: Any, arguments: Mapping[str, Any], new: Impressions, generator: torch.Generator
    ) -> tuple[nn.Module, Moments]:
        """The network with room for all codes, and its moments."""
        if not hasattr(self, "network_"):
            network = start_network(self._network_class, arguments, new, generator).eval()
            return network, Moments.zeros(network)
        before = self._network_arguments
        # What the rows say of fields and their vectors isn't a parameter.
        own = {name: value for name, value in arguments.items() if name not in ("fields", "vectors")}
        check_same_arguments(own, before, "In partial_fit")
        # A fit keeps none: without updates nobody needs them, and they are twice as large as the network.
        moments = self._moments or Moments.zeros(self.network_)
        if arguments["fields"] == before["fields"]:
            # Another thread may predict by the network so far, and an interrupt may come while weights are written.
            return copy_network(self.network_), moments.copy()
        network = grown_network(self._network_class, arguments, self.network_, generator)
        return network, grown_moments(moments, self.network_, network)

    def _settings_of_update(self: Any, new: Impressions, network: nn.Module) -> TrainingSettings:
        """One pass at a constant rate; without validation rows, that of a plateau is constant."""
        n_rows = n_rows_of_epoch(new.counts, self.negative_sampling)
        settings: TrainingSettings = self._settings(n_rows, max_epochs=1, final_epoch=False)
        has_negatives = bool((new.target == 0).any())
        is_auto = self.embedding_regularizer == "auto"
        return replace(
            settings,
            schedule="plateau",
            learning_rate=_RATE * settings.learning_rate,
            embedding_regularizer=_REGULARIZER if is_auto else settings.embedding_regularizer,
            freeze_norms=n_rows == 1 or _have_settled(network),
            negative_sampling=settings.negative_sampling if has_negatives else 1.0,
            # Those of a day are few: processes that were started together all learn the same by themselves.
            joins_processes=False,
        )


class NetworkUpdate:
    """The training of a network on new rows.

    What is trained is a network of the rows' own codes; only when all is done, the weights go back.

    Parameters
    ----------
    network_class : type
        Class of a single network.
    arguments : mapping of {str: object}
        Arguments of the network.
    network : torch.nn.Module
        The network so far, with room for all codes.
    moments : Moments
        Adam's moments of it.
    new : Impressions
        The new rows.
    fresh : mapping of {str: ndarray of int}
        Rows of the tables whose codes stand for other values than before.
    generator : torch.Generator
        Source of initial weights, order of rows and dropout.

    Attributes
    ----------
    scores : dict of {str: float}
        Scores of the new rows before anything was learned from them.
    """

    def __init__(
        self,
        network_class: NetworkClass,
        arguments: Mapping[str, Any],
        network: nn.Module,
        moments: Moments,
        new: Impressions,
        fresh: RowsOf,
        generator: torch.Generator,
    ) -> None:
        from ..training import score

        self._network, self._moments, self._generator = network, moments, generator
        self._excerpt = excerpt = take_excerpt(arguments["fields"], new.codes.numpy(), fresh)
        self._own = make_network(network_class, {**arguments, "fields": excerpt.fields}, generator)
        self._own_moments = Moments.zeros(self._own)
        copy_rows(Weights.of(network), excerpt.rows, Weights.of(self._own), excerpt.own_rows)
        copy_moments(moments, network, excerpt.rows, self._own_moments, self._own, excerpt.own_rows)
        draw_again(self._own, self._own_moments, excerpt.places_of(fresh), generator)
        self._new = replace(new, codes=torch.from_numpy(excerpt.codes))
        self.scores = score(self._own.eval(), self._new)

    def train(self, settings: TrainingSettings, observer: EpochObserver | None) -> TrainingResult:
        """Learn from the new rows."""
        from ..training import train

        result = train(self._own, self._new, None, settings, self._generator, observer, self._own_moments)
        correct_mean(self._own, self._new, doubt=_DOUBT)
        return result

    def apply(self) -> None:
        """Write what was learned into network and moments."""
        self._write_to(self._network)
        excerpt = self._excerpt
        copy_moments(self._own_moments, self._own, excerpt.own_rows, self._moments, self._network, excerpt.rows)

    def applied_to_copy(self) -> nn.Module:
        """A copy of the network with what has been learned so far."""
        network = copy_network(self._network)
        self._write_to(network)
        return network

    def _write_to(self, network: nn.Module) -> None:
        copy_rows(Weights.of(self._own), self._excerpt.own_rows, Weights.of(network), self._excerpt.rows)


def _have_settled(network: nn.Module) -> bool:
    """Whether the running moments of batch norm are those of many batches."""
    n_batches = [norm.num_batches_tracked for norm in norms_of(network)]
    return all(n is not None and int(n) >= _SETTLED for n in n_batches)


def _rows_of_fresh_codes(origin: Origin | None, readers: list[FieldReader]) -> dict[str, NDArray[np.int64]]:
    """Rows of the tables whose codes stand for other values, as the encoder says."""
    if origin is None or not origin.fresh:
        return {}
    # The classifier may have been given some of the fields alone, and may not have seen each code of a list.
    rows = {
        reader.field.name: reader.rows_of(unpacked_codes(origin.fresh[reader.field.name])).astype(np.int64)
        for reader in readers
        if reader.field.has_codes and reader.field.name in origin.fresh
    }
    return {name: of_field[of_field != UNKNOWN_CODE] for name, of_field in rows.items()}


def _history_after(before: EpochHistory, result: TrainingResult, scores: Mapping[str, float]) -> dict[str, Any]:
    """The attributes that tell of the epochs after one more, which was scored before it began."""
    (epoch,) = result.history
    losses = {"epoch": len(before) + 1, "train_loss": epoch["train_loss"]}
    history = [*before, {**losses, **scores, "learning_rate": epoch["learning_rate"], "seconds": epoch["seconds"]}]
    return {"history_": history, "n_iter_": len(history), "best_epoch_": len(history), "best_score_": None}
