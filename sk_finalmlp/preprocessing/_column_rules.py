"""Which part encodes which column: by its kind, found or chosen, and the parameters of the encoder."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from .._warnings import warn
from ..schema import Field
from ._calendar import rare_dates, why_behind, why_left_out
from ._categorical import CategoricalEncoder, VocabularyRule
from ._column import Column, is_string, rows_with_weight, text_of_first
from ._column_encoder import ColumnEncoder, errors_naming, n_codes_of
from ._datetime import DatetimeEncoder
from ._fitted_columns import FittedColumn
from ._kinds import Finding, Kind, facts, find_doubt, find_kind, is_quantity
from ._lists import HistoryEncoder, MultiValuedEncoder, read_history
from ._numeric import LogBucketer, NormalScorer, QuantileBinner, Standardizer
from ._raw_column import RawColumn
from ._reading import Reading, learn_reading
from ._table import Selection, select_for
from ._target import Target
from ._vectors import HOW_TO_READ_ARRAYS, GivenVectors, PretrainedEncoder, VectorEncoder

_AUTO_SEPARATOR = "|"
#: How many values of a history are kept by default.
_LENGTH_OF_HISTORIES = 50
#: Parameters that choose columns of a kind, where they aren't called like it.
_PARAMETERS: dict[Kind, str] = {"multi-valued": "multi_valued", "dropped": "drop", "history": "histories"}


@dataclass(frozen=True)
class ColumnRules:
    """The parameters that say how the columns of each kind are encoded."""

    vocabulary: VocabularyRule
    numeric_encoding: str
    n_bins: int
    separator: str | None
    max_length: int | Mapping[str, int] | None
    datetime_parts: Sequence[str] | None
    vectors: Mapping[str, GivenVectors]
    vectors_mode: str

    def find_kind(
        self, column: Column, target: Target | None, sample: Column, places: np.ndarray | None = None
    ) -> Finding:
        """Infer the kind from the values, and for integers from the name and from what they tell of the labels of the
        sample.
        """
        finding = find_kind(column, _AUTO_SEPARATOR if self.separator is None else self.separator)
        if finding.kind in ("categorical", "numeric") and (why := why_left_out(column)):
            return Finding("dropped", why)
        if finding.kind == "categorical" and places is not None and (why := why_behind(column, places)):
            return Finding("dropped", why)
        is_id = finding.kind == "categorical" and pa.types.is_int64(column.values.type)
        if target is not None and is_id and is_quantity(sample, target):
            return Finding("numeric", f"integers whose size tells more of y than their values: {facts(column)}")
        return finding

    def make_reading(self, kind: Kind, raw: RawColumn, reading: Reading) -> Reading:
        """How a column of this kind is read, where this reading suits its values."""
        if kind == "numeric":
            return reading.as_numbers()
        if kind == "datetime":
            return reading.as_times(raw)
        if kind == "vector":
            if not reading.lists and any(part.values.null_count < len(part.values) for part in raw.parts):
                raise TypeError(_why_no_vectors(raw))
            return reading.as_vectors()
        reading = reading.with_lists(kind == "multi-valued")
        return reading if self.vocabulary.n_hash_buckets is None else reading.as_text()

    def make_encoder(self, name: str, kind: Kind, reading: Reading) -> ColumnEncoder | None:
        """A part for a column of this kind, not yet fitted; None where the column is dropped."""
        if name in self.vectors:
            mode, is_tuned = self.vectors_mode.removesuffix("-trained"), self.vectors_mode.endswith("-trained")
            encoder = PretrainedEncoder(CategoricalEncoder(self.vocabulary), mode == "replace", is_tuned)
            return encoder.learn_vectors(self.vectors[name], reading)
        unhashed = VocabularyRule(self.vocabulary.min_frequency, self.vocabulary.max_categories)
        if kind == "dropped":
            return None
        if kind == "categorical":
            return CategoricalEncoder(self.vocabulary)
        if kind == "datetime":
            return DatetimeEncoder(unhashed, self.datetime_parts)
        if kind == "vector":
            return VectorEncoder()
        if kind == "multi-valued":
            return MultiValuedEncoder(self.vocabulary, self.separator, self.most_columns(name), reading)
        return self._make_numeric_encoder(unhashed)

    def most_columns(self, name: str) -> int | None:
        """Return the largest number of output columns of a column of lists; None without a limit."""
        return self.max_length.get(name) if isinstance(self.max_length, Mapping) else self.max_length

    def _make_numeric_encoder(self, rule: VocabularyRule) -> ColumnEncoder:
        if self.numeric_encoding == "bins":
            return QuantileBinner(self.n_bins)
        if self.numeric_encoding == "log":
            return LogBucketer(rule)
        return NormalScorer() if self.numeric_encoding == "normal" else Standardizer()


def _why_no_vectors(raw: RawColumn) -> str:
    values = next(part.values for part in raw.parts if part.values.null_count < len(part.values))
    remedy = HOW_TO_READ_ARRAYS if is_string(values.type) else "Name it in `numeric`."
    return f"it holds single values where arrays are expected, such as {text_of_first(values)!r}. {remedy}"


def chosen_kinds(selections: Mapping[Kind, Selection], X: Any, names: Sequence[str]) -> dict[int, Kind]:
    """Kinds of the columns that the user has chosen, by position."""
    chosen: dict[int, Kind] = {}
    for kind, selection in selections.items():
        for position in select_for(_PARAMETERS.get(kind, kind), selection, X, names):
            other = chosen.setdefault(position, kind)
            if other != kind:
                raise ValueError(f"Column {names[position]!r} is chosen as {other} and as {kind}: choose one.")
    return chosen


def find_histories(histories: Mapping[Any, Any] | None, names: Sequence[str]) -> dict[int, int]:
    """Positions of the columns that hold histories, and of the column whose values each of them holds."""
    targets: dict[int, int] = {}
    for history, of in (histories or {}).items():
        (position,), (target,) = (
            select_for(f"histories={{{history!r}: {of!r}}}", [key], None, names) for key in (history, of)
        )
        if position == target:
            raise ValueError(f"histories={{{history!r}: {of!r}}}: a column can't be a history of itself.")
        targets[position] = target
    nested = next((position for position, target in targets.items() if target in targets), None)
    if nested is not None:
        raise ValueError(
            f"histories: {names[nested]!r} can't hold values of {names[targets[nested]]!r}, which is a history, too. "
            "Name the column of single values."
        )
    return targets


@dataclass(frozen=True)
class Evidence:
    """What tells of a column: its rows, or distinct values with a tally of them, and what is known of the same rows."""

    raw: RawColumn
    weights: np.ndarray | None
    #: Labels of the rows with weight, or of those of `sample`.
    target: Target | None = None
    sample: RawColumn | None = None
    #: Places of the rows in time, where these are known.
    places: np.ndarray | None = None
    #: Number of missing values, where the rows are a sample.
    n_missing: int | None = None


class Learned(NamedTuple):
    """What was learned of a column, its row of `feature_kinds_`, and its values as they are read."""

    column: FittedColumn
    report: dict[str, Any]
    values: Column


def learn_columns(
    evidence: Iterable[Evidence],
    names: Sequence[str],
    chosen: Mapping[int, Kind],
    targets: Mapping[int, int],
    rules: ColumnRules,
    keep: Callable[[int, Learned], None],
) -> tuple[list[FittedColumn], pd.DataFrame]:
    """Learn the columns, each of which is released before the next one is read, and histories at last.

    `targets` are positions of the columns whose values histories hold; `keep` is told of each column that is learned.
    """
    waiting: dict[int, Evidence] = {}
    columns: dict[int, FittedColumn] = {}
    reports: dict[int, dict[str, Any]] = {}

    def take(position: int, learned: Learned) -> None:
        columns[position], reports[position] = learned.column, learned.report
        keep(position, learned)

    for position, of_column in enumerate(evidence):
        if position in targets:
            waiting[position] = of_column
        else:
            kind = chosen.get(position)
            take(position, learn_column(of_column, kind, rules, is_in_histories=position in targets.values()))
        del of_column
    for position, of_column in waiting.items():
        take(position, learn_history(of_column, columns[targets[position]], rules))
    order = range(len(names))
    kinds = pd.DataFrame([reports[position] for position in order], index=pd.Index(names, name="column"))
    return [columns[position] for position in order], kinds


def learn_column(evidence: Evidence, chosen: Kind | None, rules: ColumnRules, is_in_histories: bool) -> Learned:
    """Find out what a column is, how it is read, and what encodes it; values of histories are categories."""
    raw, places = evidence.raw, evidence.places
    if places is not None and evidence.weights is not None:
        places = places[evidence.weights > 0]
    weighted, weights = rows_with_weight(raw, evidence.weights)
    with errors_naming(raw.name):
        reading = learn_reading(weighted)
        column = reading.read(weighted)
        if chosen is None and is_in_histories and not reading.lists:
            finding = Finding("categorical", "histories hold its values")
        elif chosen is None:
            sample = column if evidence.sample is None else reading.read(evidence.sample)
            finding = rules.find_kind(column, evidence.target, sample, places)
        else:
            finding = Finding(chosen, "chosen by the user")
        if chosen is None and (doubt := find_doubt(column, finding)):
            warn(f"Column {raw.name!r} {doubt}")
        n_missing = column.n_missing if evidence.n_missing is None else evidence.n_missing
        reading, learned_as = rules.make_reading(finding.kind, weighted, reading), reading
        if reading != learned_as:
            column = reading.read(weighted)
        encoder = rules.make_encoder(raw.name, finding.kind, reading)
        if encoder is not None:
            encoder.fit(column, weights)
        if isinstance(encoder, DatetimeEncoder) and encoder.left_out:
            finding = finding._replace(why=f"{finding.why}, {encoder.left_out}")
        read = column if weighted is raw else reading.read(raw)
        learned = FittedColumn(raw.name, reading, encoder, rare_dates(encoder, read))
        return Learned(learned, _report(finding, n_missing, learned.fields()), read)


def learn_history(evidence: Evidence, of: FittedColumn, rules: ColumnRules) -> Learned:
    """Learn a column of histories of the values of another one, which has been learned."""
    raw = evidence.raw
    weighted, weights = rows_with_weight(raw, evidence.weights)
    with errors_naming(raw.name):
        encoder = HistoryEncoder(of.name, rules.most_columns(raw.name) or _LENGTH_OF_HISTORIES).bound_to(of.encoder)
        reading = read_history(weighted, of.reading)
        column = reading.read(weighted)
        encoder.fit(column, weights)
        if doubt := encoder.find_doubt(column):
            warn(f"Column {raw.name!r} {doubt}")
        finding = Finding("history", f"chosen by the user, of values of {of.name!r}")
        learned = FittedColumn(raw.name, reading, encoder, {})
        read = column if weighted is raw else reading.read(raw)
        return Learned(learned, _report(finding, column.n_missing, learned.fields()), read)


def _report(finding: Finding, n_missing: int, fields: Sequence[Field]) -> dict[str, Any]:
    n_columns = sum(field.n_columns for field in fields)
    return {**finding._asdict(), "n_missing": n_missing, "n_codes": n_codes_of(fields), "n_columns": n_columns}
