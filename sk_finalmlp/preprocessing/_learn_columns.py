"""Kind, reading and encoder of each column, by its values and the parameters of the encoder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .._checks import errors_about
from .._warnings import WRITTEN_LIST, shown, warn
from ._choice import least_gain, why_no_choice
from ._column import (
    Column,
    RawColumn,
    is_all_missing,
    is_string,
    is_time,
    list_lengths,
    rows_with_weight,
    show_first,
    with_values,
)
from ._datetime import DatetimeEncoder, has_time_of_day
from ._fitted_columns import FittedColumn
from ._later_rows import rare_dates, why_behind, why_left_out
from ._lists import HistoryEncoder, MultiValuedEncoder, how_to_read_lists, read_history, split
from ._numeric import LogBucketer, NormalScorer, QuantileBinner, Standardizer
from ._reading import Reading, learn_reading
from ._statistics import log_odds
from ._sums import starts_of_runs
from ._table import position_for, select_for
from ._target import Target
from ._vectors import HOW_TO_READ_ARRAYS, GivenVectors, PretrainedEncoder, VectorEncoder
from ._vocabulary import CategoricalEncoder, ColumnEncoder, VocabularyRule

Kind = Literal["categorical", "numeric", "multi-valued", "datetime", "history", "vector", "dropped"]

#: Integers with a larger share of distinct values are quantities. Close to 1, because to take an id for a quantity
#: costs much more than the reverse.
_QUANTITY_SHARE = 0.98
#: A separator in a smaller share of the distinct strings is an accident.
_MIN_SEPARATED_SHARE = 0.1
#: Elements that come less often than this on average, over distinct strings, are words of a text or parts of a key.
_MIN_ELEMENT_REUSE = 1.5


#: From so many rows on, a doubtful finding is worth a warning.
_MANY_LISTS = 10
_MANY_TIMES = 100
_MANY_ROWS = 1_000
#: Fewer distinct texts such as 1.12.24 may be versions.
_MANY_DATES = 20
#: Categories with a larger share of distinct values tell next to nothing.
_UNIQUE_SHARE = 0.9
#: Integers of more values than this that may be ids.
_MANY_VALUES = 200
_LIST_TEXT = rf"^\s*\[.*\]\s*$|{WRITTEN_LIST}"
_TIME_TEXT = r"^\d{4}-\d\d-\d\d([T ]\d\d:\d\d.*)?$"
#: The same with the year last, as in 31.12.2024 or 12/31/24.
_OTHER_TIME_TEXT = r"^\d{1,2}([./-])\d{1,2}([./-])\d{2}(\d{2})?(,? \d{1,2}:\d\d.*)?$"
_DAY_DIGITS = r"(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])"
_HOUR_DIGITS = r"([01]\d|2[0-3])"
#: What turns a column of integers into times, and the digits of each integer. Those since 1970 are of 2001 to 2033.
_TIME_DIGITS = {
    ".astype(str), format='%Y%m%d'": rf"^(19|20)\d\d{_DAY_DIGITS}$",
    ".astype(str), format='%y%m%d%H'": rf"^\d\d{_DAY_DIGITS}{_HOUR_DIGITS}$",
    ".astype(str), format='%Y%m%d%H'": rf"^(19|20)\d\d{_DAY_DIGITS}{_HOUR_DIGITS}$",
    ".astype(str), format='%Y%m%d%H%M%S'": rf"^(19|20)\d\d{_DAY_DIGITS}{_HOUR_DIGITS}([0-5]\d){{2}}$",
    ", unit='s'": r"^1\d{9}$",
    ", unit='ms'": r"^1\d{12}$",
}


class Finding(NamedTuple):
    """The kind found for a column."""

    kind: Kind
    why: str


def find_kind(column: Column, separator: str) -> Finding:
    """Find out what a column is from the type of its values and how often they repeat."""
    dtype = column.values.type
    if pa.types.is_large_list(dtype):
        return _find_list_kind(column)
    if column.n_missing == len(column):
        return Finding("numeric" if pa.types.is_floating(dtype) else "categorical", "no values")
    if is_string(dtype):
        return _find_string_kind(column, separator)
    if pa.types.is_uint64(dtype):
        return Finding("categorical", "integers beyond 63 bits, as hashes are")
    if pa.types.is_integer(dtype):
        if _repeats(column):
            return Finding("categorical", f"integers that repeat: {facts(column)}")
        return Finding("numeric", f"integers that hardly repeat: {facts(column)}")
    if pa.types.is_floating(dtype):
        why = "whole numbers too large for floats" if _are_rounded(column) else "numbers with a fractional part"
        return Finding("numeric", why)
    if pa.types.is_duration(dtype):
        return Finding("numeric", "durations, in seconds")
    if is_time(dtype):
        return Finding("datetime", "dates with a time of day" if has_time_of_day(column.values) else "dates")
    return Finding("categorical", "true or false")


def _find_list_kind(column: Column) -> Finding:
    elements = column.values.flatten()
    # Lists without any value have no type. Whole numbers have been read as integers by now.
    if pa.types.is_floating(elements.type) and not is_all_missing(elements):
        length = max(list_lengths(column.values))
        return Finding("vector", f"arrays of {length} numbers with a fractional part, which are not elements of a set")
    return Finding("multi-valued", "lists")


def _find_string_kind(column: Column, separator: str) -> Finding:
    if _is_separated(column.dictionary.dictionary, separator):
        return Finding("multi-valued", f"strings of recurring elements, separated by {separator!r}")
    repeating = "strings" if _repeats(column) else "strings that hardly repeat"
    return Finding("categorical", f"{repeating}: {facts(column)}")


def _is_separated(distinct: pa.Array, separator: str) -> bool:
    n_separated = pc.sum(pc.match_substring(distinct, separator)).as_py() or 0
    if n_separated == 0 or n_separated < _MIN_SEPARATED_SHARE * len(distinct):
        return False
    elements = split(distinct, separator).flatten().drop_null()
    n_distinct: int = pc.count_distinct(elements).as_py()
    return len(elements) >= _MIN_ELEMENT_REUSE * n_distinct


def _repeats(column: Column) -> bool:
    return len(column.dictionary.dictionary) <= _QUANTITY_SHARE * (len(column) - column.n_missing)


def find_doubt(column: Column, finding: Finding) -> str | None:
    """Say, for a warning, what may be wrong with a kind that was found."""
    if finding.kind == "dropped":
        # Only a user's `hold_out` says which rows are the last.
        is_named = finding.why.startswith("named")
        return f"is left out: {finding.why}, or in `drop`." if is_named else _doubt_text(column)
    if pa.types.is_floating(column.values.type):
        if not (_are_rounded(column) and _repeats(column)):
            return None
        return (
            "holds whole numbers beyond 2**53 as floats, which round them, and is taken for a quantity. If they are "
            "ids, keep them as integers (`Int64` in pandas, where values are missing) or as strings."
        )
    if finding.kind in ("categorical", "numeric") and (doubt := _doubt_integers(column)):
        return doubt
    if finding.kind == "numeric" and pa.types.is_integer(column.values.type):
        distinct = column.dictionary.dictionary
        if not _repeats(column) or len(distinct) <= _MANY_VALUES or not _fill_their_range(distinct):
            return None
        return (
            f"holds integers that repeat ({facts(column)}), and is taken for a quantity, as bins of neighbouring "
            "values tell more of y than the values. Name it in `categorical` if they are ids, else in `numeric`."
        )
    if finding.kind != "categorical":
        return None
    if doubt := _doubt_text(column):
        return doubt
    n_present = len(column) - column.n_missing
    if n_present < _MANY_ROWS or len(column.dictionary.dictionary) <= _UNIQUE_SHARE * n_present:
        return None
    return (
        f"has a different value in nearly every row ({facts(column)}), so there is nothing to learn. Name it in "
        "`drop`, or in `categorical` to keep it."
    )


def _doubt_text(column: Column) -> str | None:
    distinct, n_present = column.dictionary.dictionary, len(column) - column.n_missing
    if not is_string(distinct.type):
        return None
    if n_present >= _MANY_TIMES and _all_match(distinct, _TIME_TEXT):
        return (
            f"holds dates or times as text and is taken for categories ({facts(column)}). Name it in `datetime`, or in "
            "`categorical` if the categories are meant."
        )
    if len(distinct) >= _MANY_DATES and _all_match(distinct, _OTHER_TIME_TEXT):
        return (
            f"looks like dates in another form than ISO 8601, such as {shown(_longest(column.values))}, and is taken "
            f"for categories ({facts(column)}). Convert it, for example by pandas.to_datetime(column, "
            "format='%d.%m.%Y %H:%M'), or name it in `categorical` if the categories are meant."
        )
    if n_present >= _MANY_LISTS and _all_match(distinct, _LIST_TEXT):
        return (
            f"holds lists as text, such as {shown(text := _longest(column.values))}, and is taken for categories "
            f"({facts(column)}). {how_to_read_lists(text)}, or name it in `categorical` if the categories are meant."
        )
    return None


def _doubt_integers(column: Column) -> str | None:
    distinct = column.dictionary.dictionary
    if not pa.types.is_integer(distinct.type) or len(distinct) < _MANY_DATES:
        return None
    # Most columns fail by their smallest or largest value.
    ends = pa.array(pc.min_max(distinct).values(), distinct.type).cast(pa.large_string())
    how = next((how for how, digits in _TIME_DIGITS.items() if _all_match(ends, digits)), None)
    if how is None or not _all_match(distinct.cast(pa.large_string()), _TIME_DIGITS[how]):
        return None
    return (
        f"holds integers that look like times, such as {distinct[0]} ({facts(column)}). As categories or quantities "
        f"they tell nothing of later rows. Convert it by pandas.to_datetime(X[{column.name!r}]{how}), or name it in "
        "`categorical` or `numeric` if it holds none."
    )


def _all_match(texts: pa.Array, pattern: str) -> bool:
    return bool(pc.all(pc.match_substring_regex(texts, pattern)).as_py())


def _longest(texts: pa.Array) -> str:
    return max(texts.drop_null()[:100].to_pylist(), key=len)


def _are_rounded(column: Column) -> bool:
    """Return whether doubles look like integers of 54 to 64 bits."""
    sizes = pc.abs(column.values)
    in_range = pc.less(pc.max(sizes), 2.0**64).as_py() and pc.greater(pc.max(sizes), 2.0**53).as_py()
    return bool(in_range) and bool(pc.all(pc.equal(pc.floor(sizes), sizes)).as_py())


def facts(column: Column) -> str:
    """Say how often values repeat."""
    return f"{len(column.dictionary.dictionary)} distinct of {len(column) - column.n_missing}"


#: Integers of as few distinct values are well enough described by the values.
_N_BINS_OF_QUANTITIES = 32
#: Of some fifty values, as of ages, random orders leave most in a bin of their own. Coarse bins tell order from none.
_N_COARSE_BINS = 8
#: With fewer rows per value, rates of values can't show what an id says.
_MIN_ROWS_PER_VALUE = 20
#: Ids are numbered one after another: values that fill a larger share of their range may be ids.
_MAX_FILLED_SHARE = 0.5
#: The order of the values must tell more than random orders, by so many of their standard deviations.
_N_RANDOM_ORDERS = 50
_MIN_DEVIATIONS = 4.0


def _is_quantity(column: Column, target: Target) -> bool:
    """Whether rates of bins beat rates of values, the overall rate, and bins in a random order."""
    distinct = column.dictionary.dictionary
    # Rows are too few to tell, and the values are numbered as ids are.
    may_be_ids = len(column) < _MIN_ROWS_PER_VALUE * len(distinct) and _fill_their_range(distinct)
    if len(distinct) <= _N_BINS_OF_QUANTITIES or may_be_ids or why_no_choice(target):
        return False
    codes = column.dictionary.indices.fill_null(pa.scalar(len(distinct), pa.int32())).to_numpy().astype(np.int64)
    weights = np.bincount(codes, target.rows.weights, len(distinct) + 1)
    in_order = np.append(pc.sort_indices(distinct).to_numpy().astype(np.int64), len(distinct))
    starts = _starts_of_bins(weights.take(in_order))
    bin_of_value = np.empty(len(weights), np.int64)
    bin_of_value[in_order] = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(weights)))
    bins = _SumsByFold(bin_of_value.take(codes), len(starts), target)
    by_bin = bins.loss()
    if by_bin >= bins.loss(starts=np.zeros(1, np.int64)) - least_gain(target, n_candidates=1):
        return False
    values = _SumsByFold(codes, len(weights), target)
    if by_bin >= values.loss():
        return False
    return any(
        _beats_random_orders(values, in_order, weights, n_bins) for n_bins in (_N_BINS_OF_QUANTITIES, _N_COARSE_BINS)
    )


def _beats_random_orders(values: _SumsByFold, in_order: np.ndarray, weights: np.ndarray, n_bins: int) -> bool:
    """Whether bins of the values in order tell more than bins in random orders do."""
    rng = np.random.default_rng(0)
    orders = [np.append(rng.permutation(in_order[:-1]), in_order[-1]) for _ in range(_N_RANDOM_ORDERS)]
    own, *by_chance = (
        values.loss(order, _starts_of_bins(weights.take(order), n_bins)) for order in (in_order, *orders)
    )
    return bool(own < np.mean(by_chance) - _MIN_DEVIATIONS * np.std(by_chance, ddof=1))


def _fill_their_range(distinct: pa.Array) -> bool:
    """Whether integers are numbered without large gaps, as ids are."""
    smallest, largest = pc.min_max(distinct).values()
    n_possible: int = largest.as_py() - smallest.as_py() + 1
    return len(distinct) > _MAX_FILLED_SHARE * n_possible


def _starts_of_bins(weights: np.ndarray, n_bins: int = _N_BINS_OF_QUANTITIES) -> np.ndarray:
    """Where bins of about equal weight begin among values in an order; the last place, of missing values, is one."""
    weights = weights[:-1]
    middles = (np.cumsum(weights) - weights / 2) / max(weights.sum(), np.finfo(np.float64).tiny)
    return np.append(np.flatnonzero(starts_of_runs((n_bins * middles).astype(np.int64))), len(weights))


class _SumsByFold:
    """Weights of the rows and of the clicks of each label, by code and fold."""

    def __init__(self, codes: np.ndarray, n_codes: int, target: Target) -> None:
        self._held_out, self._priors, rows = target.n_folds, target.priors, target.rows
        self._total = rows.weights.sum()
        shape = n_codes, target.n_folds + 2
        cells = codes * shape[1] + rows.folds
        known = rows.known_weights or [rows.weights] * len(target.labels)
        self._known = [np.bincount(cells, weights, np.prod(shape)).reshape(shape) for weights in known]
        self._clicks = [
            np.bincount(cells.take(own), weights, np.prod(shape)).reshape(shape) for own, weights in rows.rows_of_labels
        ]

    def loss(self, order: np.ndarray | None = None, starts: np.ndarray | None = None) -> float:
        """Mean log-loss of the cross-fitted rates of the codes, or of bins that begin there in an order of them."""
        loss = 0.0
        for clicks, known, prior in zip(self._clicks, self._known, self._priors, strict=True):
            if order is not None:
                clicks, known = (sums.take(order, axis=0) for sums in (clicks, known))
            if starts is not None:
                clicks, known = (np.add.reduceat(sums, starts) for sums in (clicks, known))
            logits = log_odds(self._of_others(clicks), self._of_others(known), prior)
            loss += float((known * np.logaddexp(0, logits) - clicks * logits).sum())
        return loss / float(self._total)

    def _of_others(self, sums: np.ndarray) -> np.ndarray:
        """Sums of the other folds, the held-out one never among them."""
        own = sums.copy()
        own[:, self._held_out] = 0.0
        others: np.ndarray = sums.sum(axis=1, keepdims=True) - sums[:, [self._held_out]] - own
        return others.clip(0.0)


_AUTO_SEPARATOR = "|"
#: How many values of a history are kept by default.
_LENGTH_OF_HISTORIES = 50
#: Parameters that choose columns of a kind.
_PARAMETERS: dict[Kind, str] = {
    "categorical": "categorical",
    "numeric": "numeric",
    "multi-valued": "multi_valued",
    "datetime": "datetime",
    "vector": "vector",
    "dropped": "drop",
    "history": "histories",
}


@dataclass(frozen=True)
class ColumnRules:
    """The parameters that say how the columns of each kind are encoded."""

    vocabulary: VocabularyRule
    numeric_encoding: str
    n_bins: int
    separator: str | None
    #: Largest number of output columns of lists, by the name of the column.
    max_length: Mapping[str, int]
    datetime_parts: Sequence[str] | None
    vectors: Mapping[str, GivenVectors]
    vectors_mode: str

    def find_kind(self, column: Column, target: Target | None, sample: Column, places: np.ndarray | None) -> Finding:
        """Infer the kind from the values, for integers also from the name and the labels of the sample."""
        finding = find_kind(column, _AUTO_SEPARATOR if self.separator is None else self.separator)
        if finding.kind in ("categorical", "numeric") and (why := why_left_out(column)):
            return Finding("dropped", why)
        if finding.kind == "categorical" and places is not None and (why := why_behind(sample, places)):
            return Finding("dropped", why)
        is_id = finding.kind == "categorical" and pa.types.is_int64(column.values.type)
        if target is not None and is_id and _is_quantity(sample, target):
            return Finding("numeric", f"integers that predict y better by size than one by one: {facts(column)}")
        return finding

    def make_reading(self, kind: Kind, raw: RawColumn, reading: Reading) -> Reading:
        """Return how a column of this kind is read, where this reading suits its values."""
        if kind == "numeric":
            return reading.as_numbers()
        if kind == "datetime":
            return reading.as_times(raw)
        if kind == "vector":
            if not reading.lists and raw.n_present:
                raise TypeError(_why_no_vectors(raw))
            return replace(reading.as_numbers(), lists=True)
        reading = replace(reading, lists=kind == "multi-valued")
        return reading if self.vocabulary.n_hash_buckets is None else replace(reading, type=pa.large_string())

    def make_encoder(self, name: str, kind: Kind, reading: Reading) -> ColumnEncoder | None:
        """Return a part for a column of this kind, not yet fitted; None where the column is dropped."""
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
            return MultiValuedEncoder(self.vocabulary, self.separator, self.max_length.get(name), reading)
        if self.numeric_encoding == "bins":
            return QuantileBinner(self.n_bins)
        if self.numeric_encoding == "log":
            return LogBucketer(unhashed)
        return NormalScorer() if self.numeric_encoding == "normal" else Standardizer()


def _why_no_vectors(raw: RawColumn) -> str:
    values = with_values(raw.arrays)[0]
    remedy = HOW_TO_READ_ARRAYS if is_string(values.type) else "Name it in `numeric`."
    return f"it holds single values where arrays are expected, such as {show_first(values)}. {remedy}"


def chosen_kinds(parameters: Mapping[str, Any], X: Any, names: Sequence[str]) -> dict[int, Kind]:
    """Return the kinds of the columns that the user has chosen, by position."""
    chosen: dict[int, Kind] = {}
    for kind, parameter in _PARAMETERS.items():
        for position in select_for(parameter, parameters[parameter], X, names):
            other = chosen.setdefault(position, kind)
            if other != kind:
                raise ValueError(f"Column {names[position]!r} is chosen as {other} and as {kind}: choose one.")
    return chosen


def find_histories(histories: Mapping[Any, Any] | None, names: Sequence[str]) -> dict[int, int]:
    """Return the position of each history column and of the column that it is a history of."""
    targets: dict[int, int] = {}
    for history, of in (histories or {}).items():
        entry = f"histories={{{history!r}: {of!r}}}"
        position, target = (position_for(entry, key, names) for key in (history, of))
        if position == target:
            raise ValueError(f"{entry}: a column can't be a history of itself.")
        targets[position] = target
    for position, target in targets.items():
        if target in targets:
            raise ValueError(
                f"histories: {names[position]!r} can't hold values of {names[target]!r}, which is a history, too. Name "
                "the column of single values."
            )
    return targets


@dataclass(frozen=True)
class Evidence:
    """What tells of a column: its rows, or distinct values with a tally of them, and what is known of the same rows."""

    raw: RawColumn
    weights: np.ndarray | None
    #: Some of the rows, where `raw` is a tally of them.
    sample: RawColumn | None = None
    #: Labels of the rows with weight, or of the sample.
    target: Target | None = None
    #: Places of the same rows in time, where these are known.
    places: np.ndarray | None = None
    #: Number of missing values, where the rows are a sample.
    n_missing: int | None = None


class Learned(NamedTuple):
    """What was learned of a column, its row of `feature_kinds_`, and its values as they are read."""

    column: FittedColumn
    report: dict[str, Any]
    values: Column


def learn_columns(
    evidence: Iterable[Evidence], chosen: Mapping[int, Kind], targets: Mapping[int, int], rules: ColumnRules
) -> Iterator[Learned]:
    """Learn the columns one by one, each released before the next is read, and histories last."""
    waiting: dict[int, Evidence] = {}
    columns: dict[int, FittedColumn] = {}
    for position, of_column in enumerate(evidence):
        if position in targets:
            waiting[position] = of_column
        else:
            is_in_histories = position in targets.values()
            learned = learn_column(of_column, chosen.get(position), rules, is_in_histories)
            columns[position] = learned.column
            yield learned
            del learned
        del of_column
    for position, of_column in waiting.items():
        yield learn_history(of_column, columns[targets[position]], rules)


def learn_column(evidence: Evidence, chosen: Kind | None, rules: ColumnRules, is_in_histories: bool) -> Learned:
    """Find the kind, reading and encoder of a column; values of histories are categories."""
    raw = evidence.raw
    weighted, weights = rows_with_weight(raw, evidence.weights)
    with errors_about(f"Column {raw.name!r}"):
        reading = learn_reading(weighted)
        column = reading.read(weighted)
        if chosen is not None:
            finding = Finding(chosen, "chosen by the user")
        else:
            finding = _find(evidence, reading, column, rules, is_in_histories)
        reading, learned_as = rules.make_reading(finding.kind, weighted, reading), reading
        if reading != learned_as:
            column = reading.read(weighted)
        is_sampled = evidence.n_missing is not None
        if is_sampled and finding.kind == "categorical" and rules.vocabulary.n_hash_buckets is None:
            raise ValueError("it has more values than codes can be learned of. Name it in `drop`.")
        encoder = rules.make_encoder(raw.name, finding.kind, reading)
        if encoder is not None:
            encoder.fit(column, weights)
        if isinstance(encoder, DatetimeEncoder) and encoder.left_out:
            finding = finding._replace(why=f"{finding.why}, {encoder.left_out}")
        return _learned(evidence, finding, reading, encoder, column)


def _find(evidence: Evidence, reading: Reading, column: Column, rules: ColumnRules, is_in_histories: bool) -> Finding:
    """Find the kind of a column, and warn of a doubtful one."""
    if is_in_histories and not reading.lists:
        finding = Finding("categorical", "histories hold its values")
    else:
        sample = column if evidence.sample is None else reading.read(evidence.sample)
        finding = rules.find_kind(column, evidence.target, sample, evidence.places)
    if doubt := find_doubt(column, finding):
        warn(f"Column {column.name!r} {doubt}")
    return finding


def learn_history(evidence: Evidence, of: FittedColumn, rules: ColumnRules) -> Learned:
    """Learn a column of histories of the values of another one, which has been learned."""
    raw = evidence.raw
    weighted, weights = rows_with_weight(raw, evidence.weights)
    with errors_about(f"Column {raw.name!r}"):
        length = rules.max_length.get(raw.name, _LENGTH_OF_HISTORIES)
        encoder = HistoryEncoder(of.name, length).bound_to(of.encoder)
        reading = read_history(weighted, of.reading)
        column = reading.read(weighted)
        encoder.fit(column, weights)
        if doubt := encoder.find_doubt(column):
            warn(f"Column {raw.name!r} {doubt}")
        finding = Finding("history", f"chosen by the user, of values of {of.name!r}")
        return _learned(evidence, finding, reading, encoder, column)


def _learned(
    evidence: Evidence, finding: Finding, reading: Reading, encoder: ColumnEncoder | None, column: Column
) -> Learned:
    """Return what was learned of a column, whose values with weight have been read."""
    raw = evidence.raw
    read = column if len(column.values) == len(raw) else reading.read(raw)
    learned = FittedColumn(raw.name, reading, encoder, rare_dates(encoder, read))
    n_missing = column.n_missing if evidence.n_missing is None else evidence.n_missing
    n_columns = sum(field.n_columns for field in learned.fields())
    report = {**finding._asdict(), "n_missing": n_missing, "n_codes": learned.n_codes, "n_columns": n_columns}
    return Learned(learned, report, read)
