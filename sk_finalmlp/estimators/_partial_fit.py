"""`partial_fit` of a classifier: one pass over new rows, which may have new codes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from .._checks import check_widths
from .._sklearn import check_first_call, fit_task, has_callbacks
from .._sources import EncodedBatches
from ..nn import copy_network, norms_of
from ..schema import UNKNOWN_CODE, Schema, unpack_codes
from ..training import Impressions, Moments, correct_mean, score
from ._field_readers import FieldReader, learn_fields
from ._fit import EpochTasks, Fitted, penalties_of_tables, start_training, training_settings
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
from ._labels import OneLabel
from ._network import check_same_arguments, make_network
from ._parameters import draw_seed, n_rows_of_epoch
from ._rows import naming, read_rows

if TYPE_CHECKING:
    from ..training import EpochObserver, TrainingResult, TrainingSettings

#: Share of `learning_rate` in updates, and the penalty of embeddings in place of "auto", which would undo what vectors
#: learned from earlier rows. Both were chosen on streams of synthetic clicks.
_RATE: Final = 0.03
_REGULARIZER: Final = 0.1
#: Number of batches until the running moments of batch norm have settled: a small batch could only spoil them.
_SETTLED: Final = 500
#: Clicks in a day that move the mean prediction half of the way to its click rate.
_DOUBT: Final = 400.0


def learn_more(estimator: Any, X: Any, y: Any, classes: Any, sample_weight: Any, schema: Schema | None) -> None:
    """Let a classifier learn from more rows, in one pass; after an error it is as before."""
    if isinstance(X, EncodedBatches):
        raise TypeError(
            f"X is {type(X).__name__}, rows that come in batches, and partial_fit takes a table in memory. Begin "
            "with fit, which takes rows on disk, and let sk_finalmlp.update take in the rows of a day."
        )
    if estimator._tasks is not None:
        raise TypeError("A classifier of several labels has no partial_fit: fit it again to all rows.")
    data = {"X": X, "y": y, "metadata": None if sample_weight is None else {"sample_weight": sample_weight}}
    with fit_task(estimator, max_subtasks=1, **data) as task:
        is_first = check_first_call(estimator, classes)
        labels = OneLabel(estimator.classes_)
        if is_first:
            check_widths(estimator, "fs_hidden_units", 0)
            labels.check(estimator)
            estimator._seed = draw_seed(estimator.random_state)
        else:
            _follow_encoder(estimator, schema)
        rows = read_rows(estimator, X, y, sample_weight, partial(_read_labels, labels), reset=is_first)
        weights = labels.weights_without_counts(estimator.class_weight)
        readers = learn_fields(rows, estimator.categorical_features) if is_first else estimator._readers
        (chunk,) = rows.chunks()
        if schema is not None:
            schema, _ = schema.of_columns([name for name, _ in rows.columns])
        readers = grown_readers(readers, chunk.columns, schema)
        new = rows.impressions(readers, weights).with_mean_weight_one()
        new = replace(new, negatives_kept=estimator.negatives_kept)
        start, generator = start_training(estimator, new, readers, labels, estimator._seed, not is_first)
        if is_first:
            start = replace(start, network=start.network.eval(), moments=Moments.zeros(start.network))
        else:
            network, moments = _network_with_room(estimator, start.arguments, generator)
            start = replace(start, network=network, moments=moments)
        update = NetworkUpdate(start, new, _rows_of_fresh_codes(schema, readers), generator)
        observer = EpochTasks(task, estimator, data, update.fitted_so_far) if has_callbacks(estimator) else None
        result = update.train(_settings(estimator, new, start.network), observer)
        estimator.__dict__.update(update.fitted(result).attributes())


def _read_labels(labels: OneLabel, y: Any, X: Any) -> tuple[OneLabel, NDArray[np.int64]]:
    with naming("y"):
        return labels, labels.number(y, X)


def _follow_encoder(estimator: Any, schema: Schema | None) -> None:
    """Rows that were encoded just before mean the same, unless codes have been given to other values."""
    if schema is not None and estimator._encoders[:1] == (schema.previous,):
        estimator._encoders = (schema.encoder,) if schema.fresh else (schema.encoder, schema.previous)


def _network_with_room(
    estimator: Any, arguments: Mapping[str, Any], generator: torch.Generator
) -> tuple[nn.Module, Moments]:
    before = estimator._network_arguments
    # What the rows say of fields and their vectors isn't a parameter.
    own = {name: value for name, value in arguments.items() if name not in ("fields", "vectors")}
    check_same_arguments(own, before, "In partial_fit")
    # A fit keeps none: only updates need them, and they are twice as large as the network.
    moments = estimator._moments or Moments.zeros(estimator.network_)
    if arguments["fields"] == before["fields"]:
        # Another thread may predict by the network so far, and an interrupt may come while weights are written.
        return copy_network(estimator.network_), moments.copy()
    network = grown_network(estimator._network_class, arguments, estimator.network_, generator)
    return network, grown_moments(moments, estimator.network_, network)


def _settings(estimator: Any, new: Impressions, network: nn.Module) -> TrainingSettings:
    """One pass at a constant rate: without validation rows, "plateau" never lowers it."""
    n_rows = n_rows_of_epoch(new.counts, estimator.negative_sampling)
    settings: TrainingSettings = training_settings(estimator, n_rows, max_epochs=1, final_epoch=False)
    has_negatives = bool((new.target == 0).any())
    is_auto = penalties_of_tables(estimator)[0] == "auto"
    return replace(
        settings,
        schedule="plateau",
        learning_rate=_RATE * settings.learning_rate,
        embedding_regularizer=_REGULARIZER if is_auto else settings.embedding_regularizer,
        freeze_norms=n_rows == 1 or _have_settled(network),
        negative_sampling=settings.negative_sampling if has_negatives else 1.0,
        # The rows of a day are few: processes that were started together all learn the same by themselves.
        joins_processes=False,
    )


class NetworkUpdate:
    """The training of a network that has tables of the new rows' codes only."""

    # `fresh` are the table rows of reused codes, and `scores` the scores of the new rows before training.

    def __init__(self, start: Fitted, new: Impressions, fresh: RowsOf, generator: torch.Generator) -> None:
        assert start.moments is not None
        self._start, self._moments, self._generator = start, start.moments, generator
        self._excerpt = excerpt = take_excerpt(start.arguments["fields"], new.codes.numpy(), fresh)
        self._own = make_network(start.network_class, {**start.arguments, "fields": excerpt.fields}, generator)
        self._own_moments = Moments.zeros(self._own)
        copy_rows(Weights.of(start.network), excerpt.rows, Weights.of(self._own), excerpt.own_rows)
        copy_moments(start.moments, start.network, excerpt.rows, self._own_moments, self._own, excerpt.own_rows)
        draw_again(self._own, self._own_moments, excerpt.places_of(fresh), generator)
        self._new = replace(new, codes=torch.from_numpy(excerpt.codes))
        self.scores = score(self._own.eval(), self._new)

    def train(self, settings: TrainingSettings, observer: EpochObserver | None) -> TrainingResult:
        """Learn from the new rows."""
        from ..training import train

        result = train(self._own, self._new, None, settings, self._generator, observer, self._own_moments)
        correct_mean(self._own, self._new, doubt=_DOUBT)
        return result

    def fitted(self, result: TrainingResult) -> Fitted:
        """Write what was learned into network and moments, and return them."""
        self._write_to(self._start.network)
        excerpt, network = self._excerpt, self._start.network
        copy_moments(self._own_moments, self._own, excerpt.own_rows, self._moments, network, excerpt.rows)
        return self._start.after_update(result, self.scores)

    def fitted_so_far(self, _: nn.Module, result: TrainingResult) -> Fitted:
        """Return a copy of the model so far."""
        network = copy_network(self._start.network)
        self._write_to(network)
        return replace(self._start, network=network).after_update(result, self.scores)

    def _write_to(self, network: nn.Module) -> None:
        copy_rows(Weights.of(self._own), self._excerpt.own_rows, Weights.of(network), self._excerpt.rows)


def _have_settled(network: nn.Module) -> bool:
    """Whether the running moments of batch norm come from many batches."""
    n_batches = [norm.num_batches_tracked for norm in norms_of(network)]
    return all(n is not None and int(n) >= _SETTLED for n in n_batches)


def _rows_of_fresh_codes(schema: Schema | None, readers: list[FieldReader]) -> dict[str, NDArray[np.int64]]:
    """Rows of the tables with codes that stand for other values, as the encoder says."""
    if schema is None or not schema.fresh:
        return {}
    # The classifier may have been given some of the fields alone, and may not have seen each code of a list.
    rows = {
        reader.field.name: reader.rows_of(unpack_codes(schema.fresh[reader.field.name])).astype(np.int64)
        for reader in readers
        if reader.field.has_codes and reader.field.name in schema.fresh
    }
    return {name: of_field[of_field != UNKNOWN_CODE] for name, of_field in rows.items()}
