"""Which part encodes which column: by its kind, found or chosen, and the parameters of the encoder."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from ..schema import column_names
from ._calendar import rare_dates, why_behind, why_left_out
from ._categorical import CategoricalEncoder, VocabularyRule
from ._column import Column, is_string, rows_with_weight, text_of_first
from ._column_encoder import ColumnEncoder, errors_naming, n_codes_of
from ._datetime import DatetimeEncoder
from ._kinds import Finding, Kind, facts, find_doubt, find_kind, is_quantity
from ._lists import HistoryEncoder, MultiValuedEncoder, read_history
from ._numeric import LogBucketer, NormalScorer, QuantileBinner, Standardizer
from ._raw_column import Part, RawColumn
from ._reading import Reading, learn_reading
from ._table import Selection, select_for
from ._tally import ColumnTally, RowSample
from ._vectors import HOW_TO_READ_ARRAYS, GivenVectors, PretrainedEncoder, VectorEncoder
from .statistics._target import Target

_AUTO_SEPARATOR = "|"
#: Parameters that choose columns of a kind, where they aren't called like it.
_PARAMETERS: dict[Kind, str] = {"multi-valued": "multi_valued", "dropped": "drop", "history": "histories"}


@dataclass(frozen=True)
class ColumnRules:
    """The parameters that say how the columns of each kind are encoded."""

    vocabulary: VocabularyRule
    numeric_encoding: str
    n_bins: int
    separator: str | None
    max_values: int | None
    datetime_parts: Sequence[str] | None
    vectors: Mapping[str, GivenVectors]
    vectors_replace: bool
    train_vectors: bool

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
            encoder = PretrainedEncoder(CategoricalEncoder(self.vocabulary), self.vectors_replace, self.train_vectors)
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
            return MultiValuedEncoder(self.vocabulary, self.separator, self.max_values, reading)
        return self._make_numeric_encoder(unhashed)

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


class FittedColumn(NamedTuple):
    """What was learned of a column."""

    reading: Reading
    encoder: ColumnEncoder | None
    rare_dates: dict[str, pa.Array]
    report: dict[str, Any]
    column: Column

    def without_rows(self) -> FittedColumn:
        """The same without its rows."""
        return self._replace(column=Column(self.column.name, self.column.values[:0]))

    def transform(self, kinds: Collection[str]) -> dict[str, np.ndarray]:
        """Output columns of all rows by name, if they make up fields of these kinds."""
        fields = [] if self.encoder is None else self.encoder.output_fields(self.column.name)
        if self.encoder is None or not any(field.kind in kinds for field in fields):
            return {}
        with errors_naming(self.column.name):
            return dict(zip(column_names(fields), self.encoder.transform(self.column), strict=True))


def fit_tally(
    name: str,
    tally: ColumnTally | None,
    sample: RowSample,
    chosen: Kind | None,
    rules: ColumnRules,
    target: Target | None,
    is_in_histories: bool = False,
) -> FittedColumn:
    """What `fit_column` gives, from a tally of the column, and the sample of rows that the target is of."""
    if tally is None:
        return fit_column(RawColumn(name, [Part(pa.nulls(0, pa.bool_()))], 0), "dropped", rules, None, None)
    values = sample.column(name)
    if not tally.is_sampled:
        raw, weights = tally.short_column()
        return fit_column(raw, chosen, rules, weights, target, values, is_in_histories)
    assert values is not None
    fitted = fit_column(values, chosen, rules, sample.weights, target)
    return fitted._replace(report={**fitted.report, "n_missing": tally.n_missing})


def fit_column(
    raw: RawColumn,
    chosen: Kind | None,
    rules: ColumnRules,
    weights: np.ndarray | None,
    target: Target | None,
    sample: RawColumn | None = None,
    is_in_histories: bool = False,
    places: np.ndarray | None = None,
) -> FittedColumn:
    """Find out what a column is, how it is read, and what encodes it. The target is of the rows with weight, or of the
    sample, and tells quantities from ids; places in time tell what goes with time.
    """
    if places is not None and weights is not None:
        places = places[weights > 0]
    weighted, weights = rows_with_weight(raw, weights)
    with errors_naming(raw.name):
        reading = learn_reading(weighted)
        column = reading.read(weighted)
        if chosen is None and is_in_histories and not reading.lists:
            finding = Finding("categorical", "histories hold its values")
        elif chosen is None:
            finding = rules.find_kind(column, target, column if sample is None else reading.read(sample), places)
        else:
            finding = Finding(chosen, "chosen by the user")
        if chosen is None and (doubt := find_doubt(column, finding)):
            warnings.warn(f"Column {raw.name!r} {doubt}", stacklevel=2)
        n_missing = column.n_missing
        reading, learned_as = rules.make_reading(finding.kind, weighted, reading), reading
        if reading != learned_as:
            column = reading.read(weighted)
        encoder = rules.make_encoder(raw.name, finding.kind, reading)
        fields = [] if encoder is None else encoder.fit(column, weights).output_fields(raw.name)
        if isinstance(encoder, DatetimeEncoder) and encoder.left_out:
            finding = finding._replace(why=f"{finding.why}, {encoder.left_out}")
        report = {
            **finding._asdict(),
            "n_missing": n_missing,
            "n_codes": n_codes_of(fields),
            "n_columns": sum(field.n_columns for field in fields),
        }
        read = column if weighted is raw else reading.read(raw)
        return FittedColumn(reading, encoder, rare_dates(encoder, read), report, read)


def fit_history(
    raw: RawColumn, of: FittedColumn, of_name: str, max_length: int, weights: np.ndarray | None
) -> FittedColumn:
    """What `fit_column` gives, of a column that holds values of another one, which has been learned."""
    weighted, weights = rows_with_weight(raw, weights)
    with errors_naming(raw.name):
        encoder = HistoryEncoder(of_name, max_length).bound_to(of.encoder)
        reading = read_history(weighted, of.reading)
        column = reading.read(weighted)
        encoder.fit(column, weights)
        if doubt := encoder.find_doubt(column):
            warnings.warn(f"Column {raw.name!r} {doubt}", stacklevel=2)
        (field,) = encoder.output_fields(raw.name)
        report = {
            "kind": "history",
            "why": f"chosen by the user, of values of {of_name!r}",
            "n_missing": column.n_missing,
            "n_codes": field.n_codes,
            "n_columns": field.n_columns,
        }
        return FittedColumn(reading, encoder, {}, report, column if weighted is raw else reading.read(raw))


def fit_tallied_history(tally: ColumnTally, of: FittedColumn, of_name: str, max_length: int) -> FittedColumn:
    """What `fit_history` gives, from a tally of the column."""
    raw, _ = tally.short_column()
    fitted = fit_history(raw, of, of_name, max_length, None)
    assert isinstance(fitted.encoder, HistoryEncoder)
    fitted.encoder.widen(tally.longest_row)
    return fitted._replace(report={**fitted.report, "n_columns": fitted.encoder.n_columns})
