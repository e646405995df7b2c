"""The rows that an encoder is fitted to, of one protocol: a table in memory, or files that are read in batches.

The same code learns from both: from a column itself, or from a tally of it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from .._hold_out import Fraction, Place, places, share_held_out
from .._sources import EncodedRows, Parts, Passes, Source, StoredArray, TemporaryFolder, check_space
from .._warnings import warn
from ..schema import Field, Schema, carries_schema, column_names, read_names, write_schema
from ._choice import Codes, Planner
from ._column import Column, RawColumn, mark_missing, read_column
from ._datetime import DatetimeEncoder
from ._derived import DerivedFields
from ._fitted_columns import FittedColumn
from ._keys import has_key
from ._learn_columns import ColumnRules, Evidence, Kind, learn_columns
from ._numeric import present_values
from ._order import Clock, Order, find_order, order_of_rows, share_of_new_ids
from ._passes import ColumnsToRead, first_pass, widen_lists, write_codes
from ._statistics import UnknownRows
from ._sums import CodedRows
from ._table import are_numeric, raw_columns, write_table
from ._target import Array, NoLabels, Target, read_stored_target, read_target
from ._times import times_of, weights_by_age

#: Share of the training rows with walk-forward statistics, where the rows that are held out are the last ones, where a
#: column tells the order, and where the rows do.
_FORWARD_IF_USED_LATER, _FORWARD, _FORWARD_BY_ROWS = 1.0, 0.3, 0.5
#: Share of the earlier rows with the elapsed time of the last ones, about.
_AS_NOW = 0.15
#: Rows that are looked at to find out what tells the order.
_MOST_ROWS_IN_ORDER = 150_000


class TrainingRows(ABC):
    """Rows to learn from; outputs are their columns by name, in memory or on disk."""

    #: The order in time, told by the user or found.
    order: Order | None = None
    #: What to report of columns that tell the order, or don't.
    reports: Mapping[str, str] = MappingProxyType({})
    #: The share of the last rows that have ids which no earlier row has, where the order is known.
    share_of_new_ids = 0.0
    #: The elapsed time of the last rows, by the name of its column.
    elapsed_now: Mapping[str, np.float32]
    #: Told of the progress on rows on disk.
    _passes: Passes | None = None
    _weights: Array | None
    #: The labels, or why there are none.
    labels: Target | NoLabels
    n_rows: int

    def __init__(self, names: Sequence[str], chosen: Mapping[int, Kind], planner: Planner) -> None:
        self.names, self.chosen, self.planner = names, chosen, planner

    @cached_property
    def target(self) -> Target | NoLabels:
        """The labels that statistics are learned from, or why there are none."""
        return self.planner.for_statistics(self.labels)

    def learn(self, targets: Mapping[int, int], rules: ColumnRules) -> tuple[list[FittedColumn], pd.DataFrame]:
        """Learn the columns, and what to report of each."""
        columns: dict[str, FittedColumn] = {}
        reports: dict[str, dict[str, Any]] = {}
        for learned in learn_columns(self._evidence(), self.chosen, targets, rules):
            self._keep(learned.column, learned.values)
            columns[learned.column.name], reports[learned.column.name] = learned.column, learned.report
            del learned
        kinds = pd.DataFrame([reports[name] for name in self.names], index=pd.Index(self.names, name="column"))
        return [columns[name] for name in self.names], kinds

    @abstractmethod
    def _evidence(self) -> Iterator[Evidence]:
        """Yield the evidence of each column."""

    @abstractmethod
    def _keep(self, column: FittedColumn, values: Column) -> None:
        """Take note of a learned column and the values that it was learned from."""

    def encode(self, columns: Sequence[FittedColumn]) -> dict[str, Any]:
        """Return the output columns of the columns, and find the order of the rows in time."""
        outputs, times = self._encode(columns)
        if self.planner.needs_codes(self.target):
            self._look_at_order(columns, outputs, times)
        told_by = None if self.order is None else self.order.column
        clocks = [c for c in columns if isinstance(c.encoder, DatetimeEncoder) and told_by in (None, c.name)]
        self.elapsed_now = {
            field: now
            for column in clocks
            if isinstance(column.encoder, DatetimeEncoder)
            for field, now in column.encoder.elapsed_now(column.name).items()
        }
        return outputs

    def _look_at_order(
        self,
        columns: Sequence[FittedColumn],
        outputs: Mapping[str, Any],
        times: Mapping[str, Array],
    ) -> None:
        """Find the order by sampled rows, unless the user tells it, and how many of the last rows have new ids."""
        numbers = self._sampled_numbers()
        numbers = numbers[:: -(-len(numbers) // _MOST_ROWS_IN_ORDER) or 1]
        # Parts of dates are no ids.
        column_of = {
            field.name: column.name
            for column in columns
            if column.name not in times
            for field in column.fields()
            if field.kind == "categorical"
        }
        codes = {field: rows_of(outputs[field], numbers) for field in column_of}
        if self.order is None and self.planner.order == "auto":
            found = find_order({name: rows_of(times[name], numbers) for name in times}, codes)
            self.reports = {column_of.get(name, name): report for name, report in found.reports.items()}
            if found.doubt:
                warn(found.doubt)
            if found.is_found:
                self.order = self._order_by(found.column, times)
        if self.order is not None:
            self.share_of_new_ids = share_of_new_ids(codes, self.order.place(numbers))

    def _order_by(self, column: str | None, times: Mapping[str, Array]) -> Order:
        """Return the order by a column of times, or that of the rows."""
        if column is None:
            return order_of_rows(self._weights, self.n_rows)
        clock = self._clock(column, times[column])
        if not clock.is_running:
            raise ValueError(
                f"Column {column!r}, which tells the order of the rows, has a single time, so no row is later than "
                "another. Name a column of times, or set hold_out='random' and order='auto'."
            )
        return clock.order(column, times[column])

    @abstractmethod
    def _clock(self, column: str, times: Array) -> Clock:
        """Return the distinct times of the rows with weight by a column."""

    @abstractmethod
    def _sampled_numbers(self) -> np.ndarray:
        """Return the numbers of the rows with weight, or of a sample of them."""

    @abstractmethod
    def _encode(self, columns: Sequence[FittedColumn]) -> tuple[dict[str, Any], Mapping[str, Array]]:
        """Return the output columns, in the order of the columns, and the times of columns of times."""

    @abstractmethod
    def sample(self, outputs: Mapping[str, Any]) -> tuple[Codes, Target | NoLabels, int | None]:
        """Return codes and labels to choose statistics by, and of how many rows they are a sample, if of any."""

    def derive(self, derived: DerivedFields, outputs: Mapping[str, Any], unknown_dropout: float) -> dict[str, Any]:
        """Learn crosses and statistics, and return their columns of rows that are transformed."""
        columns: dict[str, Any] = {}
        target = self.target_in_time
        if derived.has_recent and isinstance(target, Target):
            target = target.all_in_blocks()
        rows = CodedRows(outputs, self._weights, target, self._passes)
        transforms = self.planner.transforms
        # No draw without a share, so that the folds stay the same.
        unknown = UnknownRows(unknown_dropout, self.planner.random_state) if transforms and unknown_dropout else None
        for chunks in derived.fit(rows, unknown):
            for chunk in chunks if transforms else ():
                for name, values in chunk.items():
                    self._append(columns, name, values)
        if transforms and derived.needs_labels and not derived.has_recent:
            for name, now in self.elapsed_now.items():
                self._draw_as_now(outputs[name], now)
        return columns

    def _draw_as_now(self, elapsed: Array, now: np.float32) -> None:
        """Give some earlier rows the elapsed time of the last ones, drawn by label so that they click as often."""
        # New rows have it, too: what the network knows of them comes from more rows, at the level of the last ones.
        assert isinstance(self.target, Target)
        shares = _shares_as_now(self.target, elapsed, now)
        seed = int(self.planner.random_state.randint(1, np.iinfo(np.int32).max))
        for start, rows in self.target.chunks():
            numbers = np.arange(start, start + len(rows.weights))
            times = elapsed[start : start + len(numbers)]
            are_drawn = _are_earlier(times, now) & (places(numbers, seed) < shares[rows.patterns])
            elapsed[start : start + len(numbers)] = np.where(are_drawn, now, times)

    @cached_property
    def target_in_time(self) -> Target | NoLabels:
        """The labels, and the blocks of the rows in time where their order is known."""
        if isinstance(self.target, NoLabels):
            return self.target
        if self.order is None:
            return self.target
        if self.holds_out_last:
            share = _FORWARD_IF_USED_LATER
        else:
            share = _FORWARD_BY_ROWS if self._is_ordered_by_rows else _FORWARD
        return self.target.in_blocks(self.order.blocks_and_positions, len(self.order.blocks), share)

    @property
    def holds_out_last(self) -> bool:
        """Whether the rows that are held out are the last in time."""
        return self.planner.hold_out != "random"

    @property
    def place_to_hold_out(self) -> Place:
        """The places of the rows, of which the lowest are held out."""
        return self.order.place if self.order is not None and self.holds_out_last else places

    @property
    def _is_ordered_by_rows(self) -> bool:
        """Whether the rows come in the order of time, and held-out rows are random ones."""
        return self.order is not None and self.order.column is None and not self.holds_out_last

    @abstractmethod
    def _append(self, columns: dict[str, Any], name: str, values: np.ndarray) -> None:
        """Append values of a chunk to a derived column."""

    @abstractmethod
    def write(
        self, fields: Sequence[Field], outputs: Mapping[str, Any], make_schema: Callable[[], Schema], library: str
    ) -> Any:
        """Return the encoded rows, with their schema where they can carry one."""


def rows_of(column: Array, numbers: np.ndarray) -> np.ndarray:
    """Return some rows of a column in memory or on disk, given by their numbers in ascending order."""
    return column[numbers] if isinstance(column, np.ndarray) else column.rows(numbers)


def _shares_as_now(target: Target, elapsed: Array, now: np.float32) -> np.ndarray:
    """For each label, the share of the earlier rows to draw, so that these click as often as the last ones."""
    earlier, last = np.zeros((2, target.n_patterns))
    for start, rows in target.chunks():
        times = elapsed[start : start + len(rows.weights)]
        for sums, which in ((earlier, _are_earlier(times, now)), (last, times == now)):
            sums += np.bincount(rows.patterns, rows.weights * which, len(sums))
    # A label that only the last rows have is in no other.
    shares = _AS_NOW * earlier.sum() / last.sum() * last / np.where(earlier, earlier, np.inf)
    # So few earlier rows have the label that all of them are drawn.
    return np.minimum(shares, 1.0)


def _are_earlier(elapsed: np.ndarray, now: np.float32) -> np.ndarray:
    """Which rows have a time before "now"; a missing one is 0."""
    return (elapsed < now) & (elapsed != 0)


class TableRows(TrainingRows):
    """A table in memory: a column is encoded before the next one is read."""

    _weights: np.ndarray | None

    def __init__(
        self,
        X: Any,
        names: Sequence[str],
        chosen: Mapping[int, Kind],
        y: Any,
        weights: np.ndarray | None,
        half_life: Mapping[Any, Any] | None,
        planner: Planner,
    ) -> None:
        super().__init__(names, chosen, planner)
        self._X, self._weights, self.n_rows = X, weights, len(X)
        self._outputs: dict[str, dict[str, np.ndarray]] = {}
        self._times: dict[str, np.ndarray] = {}
        if planner.told_order is not None:
            column = planner.told_order.column
            times = {} if column is None else {column: times_of(planner.told_order, X, names)}
            self.order = self._order_by(column, times)
        shares = None if half_life is None else weights_by_age(half_life, X, names, weights)
        self.labels = planner.read_target(read_target, y, X, weights, self.place_to_hold_out)
        if shares is not None and isinstance(self.labels, Target):
            rows = self.labels.rows
            self.labels = self.labels.of(replace(rows, weights=rows.weights * shares))

    def _evidence(self) -> Iterator[Evidence]:
        """Yield the columns themselves, each read when it is asked for."""
        labelled = self.labels if isinstance(self.labels, Target) else None
        if labelled is not None and self._weights is not None:
            labelled = labelled.take(np.flatnonzero(labelled.rows.weights))
        present = np.arange(self.n_rows) if self._weights is None else np.flatnonzero(self._weights > 0)
        places = None if self.order is None else self.order.place(present)
        for position, (name, raw) in enumerate(zip(self.names, raw_columns(self._X), strict=True)):
            read = mark_missing if self.chosen.get(position) == "dropped" else read_column
            yield Evidence(read(name, raw), self._weights, None, labelled, places)

    def _keep(self, column: FittedColumn, values: Column) -> None:
        """Encode the column, if it is to be transformed, or crosses and statistics may need it."""
        if isinstance(column.encoder, DatetimeEncoder):
            self._times[column.name] = values.floats
        needs_codes = self.planner.needs_codes(self.target)
        if self.planner.transforms or (needs_codes and any(map(has_key, column.fields()))):
            self._outputs[column.name] = column.encode(values)

    def _encode(self, columns: Sequence[FittedColumn]) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        in_order = (self._outputs.get(column.name, {}) for column in columns)
        return {name: output for of_column in in_order for name, output in of_column.items()}, self._times

    def _sampled_numbers(self) -> np.ndarray:
        return np.arange(self.n_rows) if self._weights is None else np.flatnonzero(self._weights)

    def _clock(self, column: str, times: Array) -> Clock:
        assert isinstance(times, np.ndarray)
        counts = ~np.isnan(times) if times.dtype.kind == "f" else np.ones(len(times), bool)
        return Clock.of(times[counts if self._weights is None else counts & (self._weights > 0)])

    def sample(self, outputs: Mapping[str, np.ndarray]) -> tuple[Codes, Target | NoLabels, None]:
        return outputs, self.target_in_time, None

    def _append(self, columns: dict[str, Any], name: str, values: np.ndarray) -> None:
        columns[name] = values

    def write(self, fields: Sequence[Field], outputs: Codes, make_schema: Callable[[], Schema], library: str) -> Any:
        encoded = write_table(iter(outputs.items()), fields, self._X, library)
        if carries_schema(encoded):
            return write_schema(encoded, make_schema().of_rows(outputs))
        if self.holds_out_last:
            assert self.order is not None
            _check_hold_out_is_told(self.planner.hold_out, self.order)
        if any(field.kind == "statistic" for field in fields):
            _check_share_is_told(self.planner.validation_fraction, self.n_rows)
        _check_vectors_are_told(fields)
        _check_names_are_told(fields)
        return encoded


def _check_hold_out_is_told(hold_out: str, order: Order) -> None:
    """Notice where the classifier can't be told which rows are held out."""
    if order.column is not None:
        raise ValueError(
            f"hold_out={hold_out!r}, but only a pandas DataFrame can tell the classifier which rows are the "
            f"last by {order.column!r}. Call set_output(transform='pandas'), or sort the rows by time and set "
            "hold_out='last' here and in the classifier."
        )
    warn(
        "hold_out='last', but only a pandas DataFrame can tell the classifier so. Call "
        "set_output(transform='pandas'), or set hold_out='last' in the classifier too.",
    )


def _check_share_is_told(fraction: Fraction, n_rows: int) -> None:
    """Warn where the classifier may hold out rows with labels in other rows' statistics."""
    default = share_held_out("auto", n_rows)
    if share_held_out(fraction, n_rows) < default:
        warn(
            f"validation_fraction={fraction}, but only a pandas DataFrame can tell the classifier so, which holds out "
            f"{default:.3g} of these rows by default: statistics would know labels of its validation rows. Call "
            f"set_output(transform='pandas'), or set validation_fraction={fraction} in the classifier, too."
        )


def _check_vectors_are_told(fields: Sequence[Field]) -> None:
    """Notice where the classifier, which learns what codes stand for in `fit` alone, can't be told."""
    pretrained = [field.of for field in fields if field.kind == "pretrained"]
    if pretrained:
        raise ValueError(
            f"The values of {pretrained} have `vectors`, which only a pandas DataFrame can carry to the "
            "classifier. Call set_output(transform='pandas'), or give X a column of arrays in their place."
        )


def _check_names_are_told(fields: Sequence[Field]) -> None:
    """Refuse names of the user that a container without a schema would give a meaning."""
    dtypes = [np.dtype(np.float32 if numeric else np.int64) for numeric in are_numeric(fields)]
    read = {(field.name, field.kind) for field, _ in read_names(column_names(fields), dtypes)}
    misread = next((field for field in fields if (field.name, field.kind) not in read), None)
    if misread is not None:
        raise ValueError(
            f"{misread.name!r} is {misread.kind}, but the names of the output columns say otherwise, and only a pandas "
            "DataFrame tells the classifier more than names. Rename input columns with '@', or call "
            "set_output(transform='pandas')."
        )


class StoredRows(TrainingRows):
    """Rows that are read in batches: once to learn of the columns, and once more to encode them."""

    _weights: StoredArray | None
    _passes: Passes

    def __init__(
        self,
        parts: Parts,
        columns: ColumnsToRead,
        folder: TemporaryFolder,
        passes: Passes,
        planner: Planner,
    ) -> None:
        super().__init__(columns.names, columns.chosen, planner)
        self._columns, self._parts, self._folder, self._passes = columns, parts, folder, passes
        if parts.source.n_rows is not None:
            self._check_space(parts.source.n_rows, 2 * len(columns.names))
        self._first = first_pass(parts, columns, folder, passes)
        self._clocks: dict[str, Clock] = {}
        if columns.time is not None and self._first.clock is not None:
            self._clocks[columns.time] = self._first.clock
        self._weights, self.n_rows = self._first.weight, self._first.n_rows
        if planner.told_order is not None:
            column = planner.told_order.column
            self.order = self._order_by(column, {} if column is None else {column: self._first.times})
        self.labels = planner.read_target(
            read_stored_target, self._first.y, self._first.classes, self._weights, self.place_to_hold_out
        )

    def _check_space(self, n_rows: int, n_columns: int) -> None:
        # Once in the order of the table and once shuffled, four bytes each, and the labels.
        check_space(self._folder, n_rows * (8.0 * n_columns + 12))

    def _evidence(self) -> Iterator[Evidence]:
        """Yield tallies of the columns, and samples where there are labels or too many numbers to tally."""
        sample = self._first.sample
        target = self.labels.take(sample.numbers) if isinstance(self.labels, Target) else None
        in_time = None if self.order is None else self.order.place(sample.numbers)
        for name in self.names:
            tally, values = self._first.tallies.get(name), sample.column(name)
            if tally is None:
                yield Evidence(RawColumn(name, [pa.nulls(0, pa.bool_())]), None)
            elif tally.is_sampled:
                assert values is not None
                yield Evidence(values, sample.weights, None, target, in_time, tally.n_missing)
            else:
                # Only columns of numbers have a sample.
                yield Evidence(*tally.short_column(), values, target, None if values is None else in_time)

    def _keep(self, column: FittedColumn, values: Column) -> None:
        """Keep the distinct times of columns of times; all columns are encoded together, by `encode`."""
        if isinstance(column.encoder, DatetimeEncoder):
            self._clocks[column.name] = Clock.of(*present_values(values, None))

    def _sampled_numbers(self) -> np.ndarray:
        return self._first.sample.numbers

    def _clock(self, column: str, times: Array) -> Clock:
        return self._clocks[column]

    def _encode(self, columns: Sequence[FittedColumn]) -> tuple[dict[str, StoredArray], dict[str, StoredArray]]:
        sampled = {name for name, tally in self._first.tallies.items() if tally.share < 1}
        self._first.forget()
        widen_lists(self._parts.source, columns, sampled, self._weights, self.n_rows, self._passes)
        return write_codes(self._parts, columns, self.n_rows, self._folder, self._passes)

    def sample(self, outputs: Mapping[str, StoredArray]) -> tuple[Codes, Target | NoLabels, int]:
        sample = self._first.sample
        target = self.target_in_time
        if isinstance(target, NoLabels):
            return {}, target, sample.n_seen
        coded = {name: column for name, column in outputs.items() if column.dtype.kind == "i"}
        codes = {name: column.rows(sample.numbers).astype(np.int64) for name, column in coded.items()}
        return codes, target.take(sample.numbers), sample.n_seen

    def _append(self, columns: dict[str, Any], name: str, values: np.ndarray) -> None:
        if name not in columns:
            self._check_space(self.n_rows, 1)
            dtype = np.int32 if values.dtype.kind == "i" else np.float32
            columns[name] = StoredArray(self._folder, f"derived-{len(columns)}", dtype)
        columns[name].append(values)

    def write(
        self,
        fields: Sequence[Field],
        outputs: Mapping[str, StoredArray],
        make_schema: Callable[[], Schema],
        library: str,
    ) -> EncodedRows:
        first = self._first
        return EncodedRows(
            self._folder,
            make_schema(),
            outputs,
            self._columns.label,
            first.classes,
            first.y,
            self._columns.weight,
            self._weights,
        )


_SEVERAL_LABELS = (
    " Several labels, as FunnelClassifier takes them, go with a table in memory: read the rows, for example by "
    "pandas.read_parquet, or fit a FinalMLPClassifier to each label."
)


def check_names_of_columns(y: Any, sample_weight: Any) -> None:
    """Refuse labels and weights of rows in files that aren't names of columns."""
    is_list_of_names = isinstance(y, list | tuple) and all(isinstance(name, str) for name in y)
    are_several = is_list_of_names or len(getattr(y, "shape", ())) > 1
    for argument, value in {"y": y, "sample_weight": sample_weight}.items():
        if value is not None and not isinstance(value, str):
            raise TypeError(
                f"X is read in batches, so {argument} must be the name of one of its columns, not "
                f"{type(value).__name__}.{_SEVERAL_LABELS if argument == 'y' and are_several else ''}"
            )


def names_to_encode(source: Source, label: str | None, weight: str | None) -> list[str]:
    """Return the names of all columns but labels and weights."""
    for argument, name in {"y": label, "sample_weight": weight}.items():
        if name is not None and name not in source.names:
            raise ValueError(f"{argument}={name!r} is not a column of X, which has {source.names}.")
    return [name for name in source.names if name not in (label, weight)]
