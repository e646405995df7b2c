"""Labelled rows as `fit` takes them: one chunk of a table in memory, many of rows on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import starmap
from typing import Any, Final

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from pandas.util import hash_pandas_object
from sklearn.utils.multiclass import check_classification_targets

from .._checks import check_detached, errors_about, refuse_name_as_labels, refuse_other_weights
from .._hold_out import (
    HoldOut,
    Place,
    place_of_last,
    places,
    places_of_choice,
    rows_to_choose,
    share_held_out,
    unpacked,
)
from .._sklearn import check_sample_weight
from .._sources import EncodedRows, Passes, Piles, StoredArray, TemporaryFolder, check_space, naming_full_disk, sizes
from .._warnings import shown, warn
from ..schema import Schema, VectorTable, carries_schema, checksum_of, has_recent, is_statistic, read_schema
from ..training import AnyImpressions, Hindsight, Impressions, StoredImpressions
from ._field_readers import FieldReader, Layout, read_matrices, trusts_statistics
from ._input_columns import InputColumn, note_encoder, read_columns
from ._labels import MIN_WEIGHT, LabelCounts, OneLabel
from ._tasks import Labels

#: Reads the labels of a table's rows: their values, and the number of each row's.
ReadLabels = Callable[[Any, Any], tuple[Labels, NDArray[Any]]]

#: A column, which is read in slices.
Readable = NDArray[Any] | StoredArray

#: Fewer held-out rows of the rarer classes say nothing.
_MIN_ROWS = 20
#: So many held-out rows of a label are enough to stop by, even if random ones would be more.
_FEW_HELD_OUT = 20
#: Share of them that may have copies in training.
_MAX_SHARE = 0.2
#: Where rows just look alike, fewer have the same label as the rare rows that they are like.
_MIN_SAME_LABEL = 0.95
#: Where rows just look alike, because columns have few values, fewer of all rows are distinct.
_MIN_DISTINCT = 0.3

#: What errors call the arguments that are validation rows.
VALIDATION: Final = {"X": "X_val", "y": "y_val", "sample_weight": "sample_weight_val"}
_HOW_TO_VALIDATE = (
    "It must be encoded like X, by the same fitted encoder; a Pipeline does so with transform_input=['X_val']."
)


@dataclass(frozen=True)
class Chunk:
    """Rows that are read at once: of a slice those that count, without rows of weight 0."""

    source: Sequence[InputColumn]
    given: slice
    counts: NDArray[np.bool_] | slice
    label: NDArray[Any]
    weight: NDArray[np.float64]
    is_held_out: NDArray[np.bool_]

    @cached_property
    def columns(self) -> list[InputColumn]:
        """Values of the columns."""
        return [self.column(position) for position in range(len(self.source))]

    def column(self, position: int) -> InputColumn:
        """Return the values of one column."""
        column = self.source[position]
        return InputColumn(column.name, column.values[self.given][self.counts])

    @property
    def sides(self) -> list[torch.Tensor]:
        """Positions of the rows to train on, and of those that are held out."""
        return [torch.from_numpy(np.flatnonzero(mask)) for mask in (~self.is_held_out, self.is_held_out)]


@dataclass(frozen=True)
class Rows:
    """Labelled rows, in memory or on disk."""

    # `number` is each row's label, `position` each label's place among labels with positive weight, None for the same.

    columns: Sequence[InputColumn]
    number: Readable
    weight: Readable | None
    labels: Labels
    schema: Schema | None
    #: The fields that the schema knows.
    layout: Layout
    #: Where rows on disk are shuffled; None in memory.
    folder: TemporaryFolder | None = None
    largest_weight: float = 1.0
    hold_out: HoldOut | None = None
    position: NDArray[np.int64] | None = None
    #: Whether the table could carry a schema.
    can_carry: bool = False

    @cached_property
    def beside_schema(self) -> list[int]:
        """Positions of the columns that the schema doesn't know."""
        known = {position for _, positions in self.layout for position in positions}
        return [position for position in range(len(self.columns)) if position not in known]

    @property
    def lost_statistics(self) -> list[str]:
        """Columns that are named like statistics, where the table could carry a schema that knows them."""
        columns = [self.columns[position] for position in self.beside_schema if self.can_carry]
        return [column.name for column in columns if column.values.dtype == np.float32 and is_statistic(column.name)]

    @property
    def vectors(self) -> Mapping[str, VectorTable]:
        """The vectors of each pretrained field of the schema."""
        return {} if self.schema is None else self.schema.vectors

    @property
    def new_ids(self) -> float:
        """The share of the last rows with new ids, if the schema knows it."""
        return 0.0 if self.schema is None else self.schema.new_ids

    @property
    def n_given(self) -> int:
        """Number of rows, those of weight 0 included."""
        return len(self.number)

    @cached_property
    def chunk(self) -> Chunk:
        """All rows of a table in memory."""
        (chunk,) = self._read_chunks()
        return chunk

    def chunks(self) -> Iterable[Chunk]:
        """Read the rows, from disk chunk by chunk."""
        return [self.chunk] if self.folder is None else self._read_chunks()

    def slices(self) -> list[slice]:
        """Return the slices in which they are read, with rows of weight 0."""
        # A row is in memory several times while it is shuffled.
        step = self.n_given if self.folder is None else max(1, sizes.CHUNK // 8)
        return [slice(start, min(start + step, self.n_given)) for start in range(0, self.n_given, step)]

    def _read_chunks(self) -> Iterator[Chunk]:
        for given in self.slices():
            label = self.number[given]
            weight = np.ones(len(label)) if self.weight is None else self.weight[given] / self.largest_weight
            is_held_out = np.zeros(len(label), bool)
            if self.hold_out is not None:
                is_held_out = self.hold_out.chooses(given.start, label)
            if self.position is not None:
                label = self.position[label]
            counts: Any = weight > MIN_WEIGHT
            if counts.any():
                counts = slice(None) if counts.all() else counts
                yield Chunk(self.columns, given, counts, label[counts], weight[counts], is_held_out[counts])

    def count(self) -> LabelCounts:
        """Count the rows of each label."""
        sums = np.zeros((3, self.labels.n_labels))
        for chunk in self.chunks():
            for total, values in zip(sums, (None, chunk.is_held_out, chunk.weight), strict=True):
                total += np.bincount(chunk.label, values, minlength=len(total))
        n_rows, n_held_out, weights = sums
        return LabelCounts(n_rows.astype(np.int64), n_held_out.astype(np.int64), weights)

    def impressions(
        self, chunk: Chunk, readers: Sequence[FieldReader], weight_of_label: NDArray[np.float64], unit: float = 1.0
    ) -> Impressions:
        """Return some rows as the network takes them, with weights in this unit."""
        codes, values = read_matrices(readers, chunk.columns)
        weight = (chunk.weight * weight_of_label[chunk.label] / unit).astype(np.float32)
        return Impressions(
            codes=torch.from_numpy(codes),
            values=torch.from_numpy(values),
            target=torch.from_numpy(chunk.label.astype(np.int64, copy=False)),
            weight=torch.from_numpy(weight),
            objective=self.labels.objective,
        )

    def split(
        self, estimator: Any, readers: Sequence[FieldReader], weight_of_label: NDArray[np.float64]
    ) -> tuple[AnyImpressions, AnyImpressions | None]:
        """Return training rows and held-out rows as the network takes them, with weights of mean 1."""
        hindsight: Hindsight | None = None
        if self.hold_out is not None and self.schema is not None and self.schema.hindsight:
            if trusts_statistics(self.schema.fields, self.schema.new_ids):
                hindsight = "ids"
            else:
                hindsight = "codes" if has_recent(self.schema.fields) else "statistics"
        sample: dict[str, Any] = {"negatives_kept": estimator.negatives_kept, "hindsight": hindsight}
        if self.folder is not None:
            training, validation = self._shuffle(self.folder, estimator, readers, weight_of_label)
            return replace(training, **sample), replace(validation, **sample) if len(validation) else None
        impressions = self.impressions(self.chunk, readers, weight_of_label).with_mean_weight_one()
        impressions = replace(impressions, **sample)
        if not self.chunk.is_held_out.any():
            return impressions, None
        n_floats = sum(reader.field.n_columns for reader in readers if reader.field.kind in ("numeric", "vector"))
        _warn_about_copies(impressions, n_floats, self.chunk.is_held_out)
        kept, held_out = self.chunk.sides
        return impressions.take(kept), impressions.take(held_out)

    def _shuffle(
        self,
        folder: TemporaryFolder,
        estimator: Any,
        readers: Sequence[FieldReader],
        weight_of_label: NDArray[np.float64],
    ) -> list[StoredImpressions]:
        """Write the rows to train on and those that are held out to files, each in a random order."""
        counts = self.count()
        n_rows = counts.n_rows.sum()
        n_codes = sum(reader.field.n_columns for reader in readers if reader.field.has_codes)
        width = len(self.columns) + 2
        check_space(folder, 4.0 * width * n_rows)
        of_sides = {"training": counts.n_rows - counts.n_held_out, "validation": counts.n_held_out}
        piles = [
            Piles(folder, name, width, int(n.sum()), estimator._seed + number)
            for number, (name, n) in enumerate(of_sides.items())
        ]
        sums = torch.zeros(2, self.labels.n_labels, dtype=torch.float64)
        mean_weight = float(counts.weights @ weight_of_label) / n_rows
        with Passes(int(estimator.verbose)).over("shuffle", self.n_given) as advance:
            for chunk in self.chunks():
                rows = self.impressions(chunk, readers, weight_of_label, mean_weight)
                for own, of_side, weights in zip(chunk.sides, piles, sums, strict=True):
                    taken = rows.take(own)
                    of_side.add(StoredImpressions.rows_of(taken))
                    weights += taken.class_weights(len(weights))
                advance(chunk.given.stop - chunk.given.start)
        return [
            StoredImpressions([of_side.shuffled()], n_codes, weights, torch.from_numpy(n))
            for of_side, weights, n in zip(piles, sums, of_sides.values(), strict=True)
        ]


@contextmanager
def open_rows(
    estimator: Any, X: Any, y: Any, sample_weight: Any, read_labels: ReadLabels, *, holds_out: bool
) -> Iterator[Rows]:
    """Check training rows, in memory or on disk, and give them with the labels that have a weight."""
    if not isinstance(X, EncodedRows):
        rows = read_rows(estimator, X, y, sample_weight, read_labels, reset=not estimator._continues())
        yield _ready(estimator, rows, holds_out)
        return
    folder = TemporaryFolder(X.folder.path.parent)
    with naming_full_disk(folder):
        yield _ready(estimator, _rows_on_disk(estimator, X, y, sample_weight, folder), holds_out)
    folder.remove()


def _ready(estimator: Any, rows: Rows, holds_out: bool) -> Rows:
    """Return the rows, some held out, with the labels that have rows of positive weight."""
    if holds_out:
        rows = replace(rows, hold_out=_hold_out(estimator, rows))
    labels, has_rows = rows.labels.having_rows(rows.count().n_rows)
    if not has_rows.all():
        rows = replace(rows, labels=labels, position=np.cumsum(has_rows) - 1)
    rows.labels.check(estimator)
    return rows


def read_rows(
    estimator: Any,
    X: Any,
    y: Any,
    sample_weight: Any,
    read_labels: ReadLabels,
    schema: Schema | None = None,
    *,
    reset: bool = False,
    called: Mapping[str, str] = {},
) -> Rows:
    """Check table, labels and weights of rows, by the schema of the table if no other is given.

    `called` says what errors call the arguments; scikit-learn's usual ones don't.
    """
    with errors_about(called.get("X", ""), _HOW_TO_VALIDATE):
        columns = read_columns(estimator, X, reset=reset)
    with errors_about(called.get("y", "")):
        _check_given(y)
        refuse_name_as_labels(X, y)
        labels, number = read_labels(y, columns[0].values)
    with errors_about(called.get("sample_weight", "")):
        weight, largest_weight = _check_weight(sample_weight, columns)
    schema, layout = _of_columns(read_schema(X) if schema is None else schema, columns)
    return Rows(columns, number, weight, labels, schema, layout, None, largest_weight, can_carry=carries_schema(X))


def _of_columns(schema: Schema | None, columns: Sequence[InputColumn]) -> tuple[Schema | None, Layout]:
    """Return the schema of a table with these columns, and the fields that it knows."""
    if schema is None:
        return None, []
    schema, positions = schema.of_columns([column.name for column in columns])
    return schema, list(zip(schema.fields, positions, strict=True))


def _rows_on_disk(estimator: Any, X: EncodedRows, y: Any, sample_weight: Any, folder: TemporaryFolder) -> Rows:
    if not isinstance(estimator.categorical_features, str):
        raise ValueError(
            f"categorical_features={estimator.categorical_features!r}, but X was written by CTREncoder, which knows "
            "its fields. Leave it at 'auto', and choose kinds of columns in CTREncoder."
        )
    if X.classes is not None:
        check_classification_targets(X.classes)
    _check_names(X, y, sample_weight)
    assert X.classes is not None
    assert X.y is not None
    weight = X.weight if sample_weight is not None else None
    largest_weight = 1.0 if weight is None else _largest(weight.chunks())
    _learn_columns(estimator, X)
    columns = list(starmap(InputColumn, X.columns.items()))
    schema, layout = _of_columns(X.schema, columns)
    return Rows(columns, X.y, weight, OneLabel(X.classes), schema, layout, folder, largest_weight)


def _learn_columns(estimator: Any, X: EncodedRows) -> None:
    names = np.asarray(list(X.columns), dtype=object)
    if estimator._continues() and list(estimator.feature_names_in_) != list(names):
        raise ValueError(f"X has the columns {list(names)}, fit saw {list(estimator.feature_names_in_)}.")
    estimator.feature_names_in_, estimator.n_features_in_ = names, len(names)
    note_encoder(estimator, X.schema, reset=not estimator._continues())


def _check_names(X: EncodedRows, y: Any, sample_weight: Any) -> None:
    if X.y is None:
        raise ValueError("CTREncoder was fitted without y, the name of the column of labels, which training needs.")
    for argument, given, own in (("y", y, X.label), ("sample_weight", sample_weight, X.weight_name)):
        if given is not None and not isinstance(given, str):
            raise TypeError(
                f"X holds rows on disk, so {argument} must be the name of a column, not {type(given).__name__}."
            )
        if given is not None and given != own:
            raise ValueError(
                f"{argument}={given!r}, but CTREncoder was given {argument}={own!r}. Give both the same column; in a "
                f"pipeline enc__{argument} and clf__{argument}, where 'enc' and 'clf' are the names of the steps."
            )
    _check_given(y)


def _check_given(y: Any) -> None:
    if y is None:
        raise ValueError("A classifier requires y to be passed, but the target y is None.")


def _check_weight(sample_weight: Any, columns: list[InputColumn]) -> tuple[NDArray[np.float64], float]:
    check_detached(sample_weight, "sample_weight")
    refuse_other_weights(sample_weight)
    weight: NDArray[np.float64] = check_sample_weight(
        sample_weight, columns[0].values, dtype=np.float64, ensure_non_negative=True
    )
    return weight, _largest([weight])


def _largest(weight: Iterable[NDArray[np.float64]]) -> float:
    largest = max(float(part.max()) for part in weight)
    if not largest:
        raise ValueError("Sample weights must contain at least one non-zero number.")
    return largest


def _hold_out(estimator: Any, rows: Rows) -> HoldOut:
    """Choose rows; weights don't matter, and "auto" asks the encoder, which may have been given other rows."""
    fraction, schema = estimator.validation_fraction, rows.schema
    if fraction == "auto" and schema is not None and schema.validation_fraction is not None:
        fraction = schema.validation_fraction
    else:
        fraction = share_held_out(fraction, rows.n_given, at_random=estimator.hold_out != "last")
    place = _place_of_rows(estimator.hold_out, fraction, rows)
    among = (
        rows_to_choose(given.start, rows.number[given], None if rows.weight is None else rows.weight[given], place)
        for given in rows.slices()
    )
    return HoldOut.among(among, rows.labels.n_labels, place, fraction)


def _place_of_rows(hold_out: str, fraction: float, rows: Rows) -> Place:
    """How rows get the places that decide whether they are held out."""
    schema, n_rows = rows.schema, rows.n_given
    if hold_out == "auto":
        hold_out = (schema and schema.hold_out) or "random"
    if hold_out == "random":
        return places
    if hold_out == "last" and (schema is None or schema.held_out is None or schema.n_rows != n_rows):
        return place_of_last(rows.weight, n_rows)
    assert schema is not None
    assert schema.held_out is not None
    if schema.n_rows != n_rows:
        raise ValueError(
            f"CTREncoder(hold_out={hold_out!r}) chose among {schema.n_rows} rows, but X has {n_rows}. Fit the encoder "
            "to these rows alone, in a pipeline that is searched or validated as a whole, or set hold_out='last' in "
            "both."
        )
    if fraction != schema.validation_fraction:
        raise ValueError(
            f"validation_fraction={fraction:g}, but CTREncoder(hold_out={hold_out!r}) held out "
            f"{schema.validation_fraction:g} of the rows. Set it to the same in both."
        )
    return places_of_choice(unpacked(schema.held_out, n_rows), fraction).__getitem__


def check_hold_out(estimator: Any, rows: Rows, readers: Sequence[FieldReader], max_epochs: int) -> Rows:
    """Return the rows, with none held out where a label would be on one side alone."""
    assert rows.hold_out is not None
    by_label = rows.labels.held_out_by_label(rows.count())
    if on_one_side := [(label, n_rows) for label, n_rows, n_held_out in by_label if n_held_out in (0, n_rows)]:
        label, n_rows = on_one_side[0]
        why = "a single row" if n_rows == 1 else f"{n_rows} rows with a weight, all of them held out or none"
        warn(
            f"The class {shown(label)} has {why}, so none is held out for early stopping and the training takes "
            f"all of max_epochs={max_epochs}. Give X_val and y_val, or set early_stopping=False."
        )
        return replace(rows, hold_out=None)
    if rows.hold_out.place is not places:
        _check_labels_of_last_rows(by_label, rows.hold_out.share)
    if rows.lost_statistics and estimator.hold_out == "auto":
        warn(
            f"The columns {rows.lost_statistics} are named like statistics of CTREncoder, but X doesn't say that they "
            "are, nor which rows were held out: a step in between made another table, as ColumnTransformer, "
            "FeatureUnion and samplers such as SMOTE do. If the statistics know labels of held-out rows, early "
            "stopping takes that for progress. Give the classifier what CTREncoder returns, or X_val and y_val; or set "
            "hold_out='random' here if the encoder holds out rows at random and none was added, dropped or moved."
        )
    if any(reader.field.kind == "statistic" for reader in readers):
        _check_statistics(rows.schema, rows.n_given, rows.hold_out.share, estimator.hold_out)
        _check_order(rows)
    return rows


def _check_labels_of_last_rows(by_label: Sequence[tuple[Any, int, int]], share: float) -> None:
    """Warn if the last rows have far fewer of a label than random ones would have, too few to stop by."""
    for label, n_rows, n_held_out in by_label:
        if n_held_out < _FEW_HELD_OUT and 4 * n_held_out < share * n_rows:
            warn(
                f"Of the {n_rows} rows with label {shown(label)}, only {n_held_out} are among the last rows, which are "
                "held out: they say little of when to stop. If labels come late, as those of conversions do, give "
                "the rows that wait for them sample_weight=0 in CTREncoder and here, or leave them out. If not, set "
                "hold_out='random'."
            )


def check_out_of_fold(rows: Rows, readers: Sequence[FieldReader]) -> None:
    """Notice training rows that `transform` wrote: their statistics know their own labels."""
    schema = rows.schema
    if schema is None or schema.n_fitted != rows.n_given:
        return
    by_transform = schema.n_rows is None and schema.previous is None
    if by_transform and any(reader.field.kind == "statistic" for reader in readers):
        warn(
            f"CTREncoder.transform wrote X, of as many rows as the encoder was fitted to, {rows.n_given}. If they are "
            "the same rows, each statistic knows the row's own label, and the network trusts it too much. Encode "
            "training rows by fit_transform(X, y), as a pipeline does."
        )


def _check_order(rows: Rows) -> None:
    """Notice where rows that were encoded together have been moved or changed since."""
    if rows.schema is None or rows.schema.n_rows != rows.n_given or not rows.schema.checksum:
        return
    ((statistic, checksum),) = rows.schema.checksum.items()
    column = next((column.values for column in rows.columns if column.name == statistic), None)
    if column is not None and checksum_of(column[: rows.n_given]) != checksum:
        warn(
            f"Column {statistic!r} isn't as CTREncoder.fit_transform wrote it: rows were moved or changed since, so "
            "the classifier holds out others than the encoder left out of the statistics, which know their "
            "labels. Sort or shuffle the rows before they are encoded, or give X_val and y_val."
        )


def _check_statistics(schema: Schema | None, n_given: int, fraction: float, hold_out: str) -> None:
    """Notice where statistics of training rows know labels of held-out rows."""
    if schema is None:
        if hold_out == "last":
            warn(
                "hold_out='last', and X holds statistics, but doesn't say which rows CTREncoder held out; by "
                "default, these are random. Set CTREncoder(hold_out='last').set_output(transform='pandas'), which "
                "passes it on."
            )
        if fraction > share_held_out("auto", n_given, at_random=hold_out != "last"):
            warn(
                "X holds statistics that leave out a tenth of the labels, or 10,000 at random, by default: "
                f"{_set_both(fraction)}"
            )
    elif schema.hold_out is not None and hold_out not in ("auto", schema.hold_out):
        raise ValueError(
            f"hold_out={hold_out!r}, but the encoder left the labels of other rows out of the statistics, by its "
            f"hold_out={schema.hold_out!r}. Set the intended one in CTREncoder, and hold_out='auto' here."
        )
    elif schema.validation_fraction is not None and fraction > schema.validation_fraction:
        raise ValueError(
            f"validation_fraction={fraction:g}, but the encoder left the labels of only {schema.validation_fraction:g} "
            f"of the rows out of the statistics of the others: {_set_both(fraction)}"
        )
    elif schema.n_rows is not None and schema.n_rows != n_given:
        warn(
            f"CTREncoder.fit_transform wrote statistics of {schema.n_rows} rows, and X has {n_given}: the "
            "statistics contain labels of held-out rows, so the scores of early stopping and of a cross-validation are "
            "too good. Fit the encoder to these rows alone, in a pipeline that is searched or validated as a whole."
        )


def _set_both(fraction: float) -> str:
    return (
        "held-out rows with labels that the others know leak into early stopping. Set "
        f"CTREncoder(validation_fraction={fraction:g}) too, or give X_val and y_val."
    )


def _warn_about_copies(rows: Impressions, n_floats: int, is_held_out: NDArray[np.bool_]) -> None:
    """Warn if many held-out rows of the rarer classes are copies of training rows but for statistics."""
    target = rows.target.numpy()
    is_rare = target != np.bincount(target).argmax()
    if np.count_nonzero(is_rare & is_held_out) < _MIN_ROWS:
        return
    floats = rows.values[:, :n_floats].contiguous().numpy().view(np.int32)
    hashes = hash_pandas_object(pd.DataFrame(np.hstack([rows.codes.numpy(), floats])), index=False).to_numpy()
    labelled = hashes * np.uint64(target.max() + 1) + target.astype(np.uint64)
    held_out, training = is_rare & is_held_out, ~is_held_out
    share = pd.Series(labelled[held_out]).isin(labelled[training]).mean()
    if share < _MAX_SHARE:
        return
    alike = training & pd.Series(hashes).isin(hashes[held_out]).to_numpy()
    has_same_label = pd.Series(labelled[alike]).isin(labelled[held_out]).mean()
    if has_same_label > _MIN_SAME_LABEL and len(pd.unique(hashes)) > _MIN_DISTINCT * len(hashes):
        warn(
            f"{share:.0%} of the held-out rows of the rarer classes are exact copies of training rows: early "
            "stopping relies on rows that the network memorises, and the target statistics of CTREncoder contain their "
            "labels. If rows were repeated, as by RandomOverSampler or bootstrap samples, give sample_weight instead, "
            "or sample without replacement, for example by BaggingClassifier(bootstrap=False, max_samples=0.8)."
        )
