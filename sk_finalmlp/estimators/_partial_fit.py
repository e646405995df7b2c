"""`partial_fit` of a classifier: one pass over new rows, which may have new codes.

New rows change only the vectors of their codes. So the network of an update has tables of these codes and no others, an
excerpt of the full ones: the cost of training depends on the rows, however large the full tables are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .._checks import check_widths, errors_about
from .._sklearn import check_first_call, fit_context, fit_task, has_callbacks
from .._sources import EncodedBatches
from ..nn import BatchNorm, FieldEmbedding, copy_network, modules_of
from ..schema import UNKNOWN_CODE, Field, Schema, by_kind, unpack_codes
from ..training import Impressions, Moments, correct_mean, n_rows_of_pass, score
from ._field_readers import FieldReader, learn_codes, learn_fields, with_more_vectors
from ._fit import EpochTasks, Fitted, data_of_callbacks, penalties_of_tables, start_training, training_settings
from ._labels import OneLabel
from ._network import check_same_arguments, make_network
from ._parameters import draw_seed
from ._rows import Rows, read_rows

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
#: A table that is too small grows to this many times its size, so that growing costs little per code.
_GROWTH = 1.5

#: Rows of the table of each field that has codes.
RowsOf = Mapping[str, NDArray[np.int64]]
#: A network, and the moments of its weights.
Learned = tuple[nn.Module, Moments]


@fit_context
def learn_more(estimator: Any, X: Any, y: Any, classes: Any, sample_weight: Any, schema: Schema | None) -> None:
    """Let a classifier learn from more rows, in one pass; after an error it is as before."""
    if isinstance(X, EncodedBatches):
        raise TypeError(
            f"X is {type(X).__name__}, rows that come in batches, and partial_fit takes a table in memory. Begin "
            "with fit, which takes rows on disk, and let sk_finalmlp.update take in the rows of a day."
        )
    if estimator._tasks is not None:
        raise TypeError("A classifier of several labels has no partial_fit: fit it again to all rows.")
    data = data_of_callbacks(estimator, X, y, sample_weight)
    with fit_task(**data, max_subtasks=1) as task:
        is_first = check_first_call(estimator, classes)
        labels = OneLabel(estimator.classes_)
        if is_first:
            check_widths(estimator, "fs_hidden_units", 0)
            labels.check(estimator)
            estimator._seed = draw_seed(estimator.random_state)
        else:
            _follow_encoder(estimator, schema)
        rows = read_rows(estimator, X, y, sample_weight, labels.read_more, schema, reset=is_first, about=_about)
        update = _begin(estimator, rows, is_first)
        observer = EpochTasks(task, data, update.fitted_so_far) if has_callbacks(estimator) else None
        result = update.train(_settings(estimator, update.new, update.start.network), observer)
        estimator.__dict__.update(update.fitted(result).attributes())


def _about(argument: str) -> errors_about:
    return errors_about("y" if argument == "y" else "")


def _begin(estimator: Any, rows: Rows, is_first: bool) -> NetworkUpdate:
    """Give the network so far room for the new rows, or make one; `estimator` stays as it is."""
    weights = rows.labels.weights(estimator.class_weight, None)
    if is_first:
        readers = learn_fields(rows, estimator.categorical_features)
    else:
        # Their codes are known from now on, and tables that they outgrow get room for more.
        readers = learn_codes([with_more_vectors(reader, rows) for reader in estimator._readers], rows, _GROWTH)
    new = rows.impressions(rows.chunk, readers, weights).with_mean_weight_one()
    new = replace(new, negatives_kept=estimator.negatives_kept)
    start, generator = start_training(estimator, new, readers, rows.labels, estimator._seed, not is_first)
    if is_first:
        network, moments = start.network.eval(), Moments.zeros(start.network)
    else:
        network, moments = _network_with_room(estimator, start.arguments, generator)
    start = replace(start, network=network, moments=moments)
    return NetworkUpdate(start, new, _rows_of_fresh_codes(rows.schema, readers), generator)


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
        return copy_network(estimator.network_), deepcopy(moments)
    network = make_network(estimator._network_class, arguments, generator)
    grown = Moments.zeros(network)
    rows = {field.name: np.arange(field.n_codes) for field in before["fields"] if field.has_table}
    _put((network, grown), rows, (estimator.network_, moments))
    return network.to(next(estimator.network_.parameters()).device).eval(), grown


def _settings(estimator: Any, new: Impressions, network: nn.Module) -> TrainingSettings:
    """One pass at a constant rate: without validation rows, "plateau" never lowers it."""
    n_rows = n_rows_of_pass(new.counts, estimator.negative_sampling)
    settings: TrainingSettings = training_settings(estimator, (), n_rows, max_epochs=1, final_epoch=False)
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
        self.start, self._moments, self._generator = start, start.moments, generator
        self._excerpt = excerpt = _take_excerpt(start.arguments["fields"], new.codes.numpy(), fresh)
        self._own = make_network(start.network_class, {**start.arguments, "fields": excerpt.fields}, generator)
        self._own_moments = Moments.zeros(self._own)
        _take((start.network, start.moments), excerpt.rows, (self._own, self._own_moments))
        _draw_again(self._own, self._own_moments, excerpt.places_of(fresh), generator)
        self.new = replace(new, codes=torch.from_numpy(excerpt.codes))
        self.scores = score(self._own.eval(), self.new)

    def train(self, settings: TrainingSettings, observer: EpochObserver | None) -> TrainingResult:
        """Learn from the new rows."""
        from ..training import train

        result = train(self._own, self.new, None, settings, self._generator, observer, self._own_moments)
        correct_mean(self._own, self.new, doubt=_DOUBT)
        return result

    def fitted(self, result: TrainingResult) -> Fitted:
        """Write what was learned into network and moments, and return them."""
        return self._written_to(self.start.network, self._moments, result)

    def fitted_so_far(self, _: nn.Module, result: TrainingResult) -> Fitted:
        """Return a copy of the model so far."""
        return self._written_to(copy_network(self.start.network), deepcopy(self._moments), result)

    def _written_to(self, network: nn.Module, moments: Moments, result: TrainingResult) -> Fitted:
        _put((network, moments), self._excerpt.rows, (self._own, self._own_moments))
        return replace(self.start, network=network, moments=moments).after(result, "partial_fit", **self.scores)


def _have_settled(network: nn.Module) -> bool:
    """Whether the running moments of batch norm come from many batches."""
    n_batches = [norm.num_batches_tracked for norm in modules_of(network, BatchNorm)]
    return all(n is not None and int(n) >= _SETTLED for n in n_batches)


def _rows_of_fresh_codes(schema: Schema | None, readers: list[FieldReader]) -> dict[str, NDArray[np.int64]]:
    """Rows of the tables with codes that stand for other values, as the encoder says."""
    if schema is None or not schema.fresh:
        return {}
    # The classifier may have been given some of the fields alone, and may not have seen each code of a list.
    rows = {}
    for reader in readers:
        if reader.field.has_codes and reader.field.name in schema.fresh:
            own = reader.rows_of(unpack_codes(schema.fresh[reader.field.name])).astype(np.int64)
            rows[reader.field.name] = own[own != UNKNOWN_CODE]
    return rows


@dataclass(frozen=True)
class _Excerpt:
    """The table rows of some impressions' codes, in ascending order with row 0, and the codes renumbered."""

    fields: list[Field]
    rows: RowsOf
    codes: NDArray[np.int32]

    def places_of(self, some: RowsOf) -> RowsOf:
        """Some of the rows as they are numbered in the excerpt."""
        return {name: np.searchsorted(self.rows[name], rows) for name, rows in some.items()}


def _take_excerpt(fields: Sequence[Field], codes: NDArray[np.int32], others: RowsOf) -> _Excerpt:
    """Return the excerpt for codes as the network takes them; `others` are rows that are in it in any case."""
    renumbered = codes.copy()
    coded = [field for field in by_kind(fields) if field.has_codes]
    columns_of: dict[str, list[NDArray[np.int32]]] = {}
    views = np.split(renumbered, np.cumsum([field.n_columns for field in coded]), axis=1)
    for field, columns in zip(coded, views, strict=False):
        # Vectors of codes aren't weights, or their number stays. A history has the table of its field.
        if field.kind != "pretrained":
            columns_of.setdefault(field.table, []).append(columns)
    rows = {}
    for table, own in columns_of.items():
        parts = [[UNKNOWN_CODE], others.get(table, [UNKNOWN_CODE]), *map(np.ravel, own)]
        rows[table] = np.unique(np.concatenate(parts)).astype(np.int64)
        for columns in own:
            columns[:] = np.searchsorted(rows[table], columns)
    smaller = [replace(field, n_codes=len(rows[field.table])) if field.table in rows else field for field in fields]
    return _Excerpt(smaller, rows, renumbered)


def _take(whole: Learned, rows: RowsOf, excerpt: Learned) -> None:
    """Copy some rows of each field's table, and all else, to a network that has tables of these rows alone."""
    for tensor, place, own in _shared(whole, rows, excerpt):
        own.copy_(tensor[place])
    excerpt[1].n_steps = whole[1].n_steps


def _put(whole: Learned, rows: RowsOf, excerpt: Learned) -> None:
    """Copy the same back."""
    for tensor, place, own in _shared(whole, rows, excerpt):
        tensor[place] = own.to(tensor.device)
    whole[1].n_steps = excerpt[1].n_steps


def _shared(whole: Learned, rows: RowsOf, excerpt: Learned) -> Iterator[tuple[Tensor, Any, Tensor]]:
    """Weights of a network and their moments, the place in each of what its excerpt has, and the excerpt's own."""
    # A table has the rows of its fields one after the other.
    places: dict[str, Any] = {
        f"{name}.table": torch.from_numpy(np.concatenate([first + rows[f] for f, first in layer.first_row.items()]))
        for name, layer in _embeddings(whole[0])
        if layer.first_row
    }
    sized = {f"{name}.{of_table}" for name, _ in _embeddings(whole[0]) for of_table in ("_row_offsets", "_n_codes")}
    for tensors, of_excerpt in zip(_tensors(*whole), _tensors(*excerpt), strict=True):
        for name in of_excerpt.keys() - sized:
            own = of_excerpt[name]
            # Of vectors that are trained there may be more in the whole, with rows of their own.
            yield tensors[name], places.get(name, slice(len(own)) if own.ndim else ...), own


def _tensors(network: nn.Module, moments: Moments) -> list[Mapping[str, Tensor]]:
    """Weights of a network and both moments of them, by name, as views to write to."""
    views = [{name: torch.from_numpy(array[k]) for name, array in moments.of_weights.items()} for k in range(2)]
    return [network.state_dict(), *views]


def _draw_again(network: nn.Module, moments: Moments, rows: RowsOf, generator: torch.Generator) -> None:
    """Give rows of the tables fresh initial weights, and no moments."""
    for name, embedding in _embeddings(network):
        for field, first in embedding.first_row.items():
            if field in rows:
                embedding.draw_rows(torch.from_numpy(first + rows[field]), generator)
                moments.of_weights[f"{name}.table"][:, first + rows[field]] = 0


def _embeddings(network: nn.Module) -> Iterator[tuple[str, FieldEmbedding]]:
    return ((name, module) for name, module in network.named_modules() if isinstance(module, FieldEmbedding))
