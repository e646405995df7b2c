"""`partial_fit` of a classifier: one pass over new rows, which may have new codes.

New rows change only the vectors of their codes. So the network of an update has tables of these codes and no others, an
excerpt of the full ones: the cost of training depends on the rows, however large the full tables are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .._checks import check_widths
from .._sklearn import check_first_call, fit_context, fit_task
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
    from ..training import TrainingResult, TrainingSettings

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


class Learned(NamedTuple):
    """A network, and the moments of its weights."""

    network: nn.Module
    moments: Moments

    @classmethod
    def by(cls, network: nn.Module) -> Learned:
        """Return a network before its first step."""
        return cls(network, Moments.zeros(network))

    def copy(self) -> Learned:
        """Return a copy."""
        return Learned(copy_network(self.network), deepcopy(self.moments))


@fit_context
def learn_more(
    estimator: Any, X: Any, y: Any, classes: Any, sample_weight: Any, schema: Schema | None, as_served: Any = None
) -> None:
    """Let a classifier learn from more rows, in one pass; after an error it is as before.

    It is scored on the rows as they were encoded before an update, or on `X`.
    """
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
        read = partial(read_rows, estimator, read_labels=labels.read_more, reset=is_first, called={"y": "y"})
        served = None if as_served is None else read(as_served, y, sample_weight)
        if is_first:
            check_widths(estimator, "fs_hidden_units", 0)
            labels.check(estimator)
            estimator._seed = draw_seed(estimator.random_state)
        else:
            _follow_encoder(estimator, schema)
        rows = read(X, y, sample_weight, schema=schema)
        start, new, generator = _begin(estimator, rows, is_first)
        scores = score(start.network, new) if is_first else _score_as_served(estimator, served or rows)
        fresh = _rows_of_fresh_codes(rows.schema, start.readers)
        settings = _settings(estimator, new, start.network)
        fitted = _train_excerpt(start, new, fresh, scores, settings, generator, partial(EpochTasks.of, task, data))
        estimator.__dict__.update(fitted.attributes())


def _begin(estimator: Any, rows: Rows, is_first: bool) -> tuple[Fitted, Impressions, torch.Generator]:
    """Give the network so far room for the new rows, or make one; `estimator` stays as it is."""
    if is_first:
        readers = learn_fields(rows, estimator.categorical_features)
    else:
        # Their codes are known from now on, and tables that they outgrow get room for more.
        readers = learn_codes([with_more_vectors(reader, rows) for reader in estimator.table_reader_], rows, _GROWTH)
    new = _impressions(estimator, rows, readers)
    start, generator = start_training(estimator, new, readers, rows, not is_first)
    so_far = Learned.by(start.network.eval()) if is_first else _with_room(estimator, start.arguments, generator)
    return replace(start, **so_far._asdict()), new, generator


def _impressions(estimator: Any, rows: Rows, readers: list[FieldReader]) -> Impressions:
    weights = rows.labels.weights(estimator.class_weight, None)
    new = rows.impressions(rows.chunk, readers, weights).with_mean_weight_one()
    return replace(new, negatives_kept=estimator.negatives_kept)


def _score_as_served(estimator: Any, rows: Rows) -> dict[str, float]:
    """Score the network so far, to which codes that are new or stand for other values than before are unknown."""
    readers = [*estimator.table_reader_]
    seen = _impressions(estimator, rows, readers)
    fresh = _rows_of_fresh_codes(rows.schema, readers)
    codes = seen.codes.numpy().copy()
    for field, columns in _columns_of_fields([reader.field for reader in readers], codes):
        if field.name in fresh:
            columns[np.isin(columns, fresh[field.name])] = UNKNOWN_CODE
    return score(estimator.network_, replace(seen, codes=torch.from_numpy(codes)))


def _columns_of_fields(fields: Sequence[Field], codes: NDArray[np.int32]) -> Iterator[tuple[Field, NDArray[np.int32]]]:
    """Yield fields that have codes, in the order of their columns, and these columns, to write to."""
    coded = [field for field in by_kind(fields) if field.has_codes]
    ends = np.cumsum([field.n_columns for field in coded])
    yield from zip(coded, np.split(codes, ends, axis=1), strict=False)


def _follow_encoder(estimator: Any, schema: Schema | None) -> None:
    """Rows that were encoded just before mean the same, unless codes have been given to other values."""
    if schema is not None and estimator._encoders[:1] == (schema.previous,):
        estimator._encoders = (schema.encoder,) if schema.fresh else (schema.encoder, schema.previous)


def _with_room(estimator: Any, arguments: Mapping[str, Any], generator: torch.Generator) -> Learned:
    """Return a copy of the network so far, with larger tables where there are more codes."""
    before = estimator._network_arguments
    # What the rows say of fields and their vectors isn't a parameter.
    own = {name: value for name, value in arguments.items() if name not in ("fields", "vectors")}
    check_same_arguments(own, before, "In partial_fit")
    # A fit keeps none: only updates need them, and they are twice as large as the network.
    so_far = Learned(estimator.network_, estimator._moments or Moments.zeros(estimator.network_))
    if arguments["fields"] == before["fields"]:
        # Another thread may predict by the network so far, and an interrupt may come while weights are written.
        return so_far.copy()
    grown = Learned.by(make_network(estimator._network_class, arguments, generator).eval())
    _put(grown, {field.name: np.arange(field.n_codes) for field in before["fields"] if field.has_table}, so_far)
    grown.network.to(next(estimator.network_.parameters()).device)
    return grown


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


def _train_excerpt(
    start: Fitted,
    new: Impressions,
    fresh: RowsOf,
    scores: Mapping[str, float],
    settings: TrainingSettings,
    generator: torch.Generator,
    observe: Callable[[Callable[..., Fitted]], EpochTasks | None],
) -> Fitted:
    """Train a network that has tables of the new rows' codes only, and return the whole with what it learned.

    `fresh` are the table rows of reused codes.
    """
    from ..training import train

    assert start.moments is not None
    whole = Learned(start.network, start.moments)
    fields, rows, codes = _take_excerpt(start.arguments["fields"], new.codes.numpy(), fresh)
    own = Learned.by(make_network(start.network_class, {**start.arguments, "fields": fields}, generator).eval())
    _take(whole, rows, own)
    _draw_again(own, {name: np.searchsorted(rows[name], again) for name, again in fresh.items()}, generator)
    new = replace(new, codes=torch.from_numpy(codes))

    def fitted(to: Learned, result: TrainingResult) -> Fitted:
        _put(to, rows, own)
        return replace(start, **to._asdict()).after(result, "partial_fit", **scores)

    observer = observe(lambda _, result: fitted(whole.copy(), result))
    result = train(own.network, new, None, settings, generator, observer, own.moments)
    correct_mean(own.network, new, doubt=_DOUBT)
    return fitted(whole, result)


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


def _take_excerpt(
    fields: Sequence[Field], codes: NDArray[np.int32], others: RowsOf
) -> tuple[list[Field], RowsOf, NDArray[np.int32]]:
    """Return fields with tables of the rows that occur in codes or `others`, which rows these are, and the new codes.

    The codes are as the network takes them. The rows are in ascending order, with row 0.
    """
    renumbered = codes.copy()
    columns_of: dict[str, list[NDArray[np.int32]]] = {}
    for field, columns in _columns_of_fields(fields, renumbered):
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
    return smaller, rows, renumbered


def _take(whole: Learned, rows: RowsOf, excerpt: Learned) -> None:
    """Copy some rows of each field's table, and all else, to a network that has tables of these rows alone."""
    for tensor, place, own in _shared(whole, rows, excerpt):
        own.copy_(tensor[place])
    excerpt.moments.n_steps = whole.moments.n_steps


def _put(whole: Learned, rows: RowsOf, excerpt: Learned) -> None:
    """Copy the same back."""
    for tensor, place, own in _shared(whole, rows, excerpt):
        tensor[place] = own.to(tensor.device)
    whole.moments.n_steps = excerpt.moments.n_steps


def _shared(whole: Learned, rows: RowsOf, excerpt: Learned) -> Iterator[tuple[Tensor, Any, Tensor]]:
    """Weights of a network and their moments, the place in each of what its excerpt has, and the excerpt's own."""
    # A table has the rows of its fields one after the other.
    places: dict[str, Any] = {
        f"{name}.table": torch.from_numpy(np.concatenate([first + rows[f] for f, first in layer.first_row.items()]))
        for name, layer in _embeddings(whole.network)
        if layer.first_row
    }
    sized = {
        f"{name}.{of_table}" for name, _ in _embeddings(whole.network) for of_table in ("_row_offsets", "_n_codes")
    }
    for tensors, of_excerpt in zip(_tensors(whole), _tensors(excerpt), strict=True):
        for name in of_excerpt.keys() - sized:
            own = of_excerpt[name]
            # Of vectors that are trained there may be more in the whole, with rows of their own.
            yield tensors[name], places.get(name, slice(len(own)) if own.ndim else ...), own


def _tensors(learned: Learned) -> list[Mapping[str, Tensor]]:
    """Weights of a network and both moments of them, by name, as views to write to."""
    of_weights = learned.moments.of_weights
    moments = [{name: torch.from_numpy(array[k]) for name, array in of_weights.items()} for k in range(2)]
    return [learned.network.state_dict(), *moments]


def _draw_again(learned: Learned, rows: RowsOf, generator: torch.Generator) -> None:
    """Give rows of the tables fresh initial weights, and no moments."""
    for name, embedding in _embeddings(learned.network):
        for field, first in embedding.first_row.items():
            if field in rows:
                embedding.draw_rows(torch.from_numpy(first + rows[field]), generator)
                learned.moments.of_weights[f"{name}.table"][:, first + rows[field]] = 0


def _embeddings(network: nn.Module) -> Iterator[tuple[str, FieldEmbedding]]:
    return ((name, module) for name, module in network.named_modules() if isinstance(module, FieldEmbedding))
