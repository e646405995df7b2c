"""What each column of a raw table is, and why."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ._choice import least_gain, why_no_choice
from ._column import Column, is_string, list_lengths
from ._datetime import has_time_of_day
from ._lists import how_to_read_lists, split
from ._numeric import QuantileBinner
from ._statistics import cross_fitted_log_odds
from ._sums import cells_of
from ._target import Target

Kind = Literal["categorical", "numeric", "multi-valued", "datetime", "history", "vector", "dropped"]

#: Integers of which a larger share is distinct are quantities.  Close to 1, because an id that is taken for a quantity
#: costs much more than a quantity that is taken for an id.
_QUANTITY_SHARE = 0.98
#: A separator in a smaller share of the distinct strings is an accident.
_MIN_SEPARATED_SHARE = 0.1
#: Elements that come less often than this on average, over distinct strings, are words of a text or parts of a key.
_MIN_ELEMENT_REUSE = 1.5


#: From so many distinct values or rows on, a doubtful finding is worth a warning.
_MANY_TIMES = 100
_MANY_ROWS = 1_000
#: Categories of which a larger share is distinct tell next to nothing.
_UNIQUE_SHARE = 0.9
_MANY_LISTS = 10
_LIST_TEXT = r"^\s*\[.*\]\s*$"
_TIME_TEXT = r"^\d{4}-\d\d-\d\d([T ]\d\d:\d\d.*)?$"


class Finding(NamedTuple):
    """What a column was found to be."""

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
        return _find_integer_kind(column)
    if pa.types.is_floating(dtype):
        why = "whole numbers too large for floats" if _are_rounded(column) else "numbers with a fractional part"
        return Finding("numeric", why)
    if pa.types.is_duration(dtype):
        return Finding("numeric", "durations, in seconds")
    if pa.types.is_timestamp(dtype) or pa.types.is_date(dtype):
        return Finding("datetime", "dates with a time of day" if has_time_of_day(column.values) else "dates")
    return Finding("categorical", "true or false")


def _find_list_kind(column: Column) -> Finding:
    elements = column.values.flatten()
    # Without a value in any list, their type says nothing. Whole numbers have been read as integers by now.
    if pa.types.is_floating(elements.type) and elements.null_count < len(elements):
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


def _find_integer_kind(column: Column) -> Finding:
    if _repeats(column):
        return Finding("categorical", f"integers that repeat: {facts(column)}")
    return Finding("numeric", f"integers that hardly repeat: {facts(column)}")


def _repeats(column: Column) -> bool:
    return len(column.dictionary.dictionary) <= _QUANTITY_SHARE * (len(column) - column.n_missing)


def find_doubt(column: Column, finding: Finding) -> str | None:
    """What may be wrong with a kind that was found, for a warning."""
    if pa.types.is_floating(column.values.type):
        if not (_are_rounded(column) and _repeats(column)):
            return None
        return (
            "holds whole numbers beyond 2**53 as floats, which round them, and is taken for a quantity. If they are "
            "ids, keep them as integers (`Int64` in pandas, where values are missing) or as strings."
        )
    if finding.kind != "categorical":
        return None
    if is_string(column.values.type) and _are_times(column.dictionary.dictionary):
        return (
            f"holds dates or times as text and is taken for categories ({facts(column)}). Name it in `datetime`, or in "
            "`categorical` if the categories are meant."
        )
    if is_string(column.values.type) and _are_lists(column.dictionary.dictionary):
        return (
            f"holds lists as text, such as {(text := _longest(column.values))!r}, and is taken for categories "
            f"({facts(column)}). {how_to_read_lists(text)}, or name it in `categorical` if the categories are meant."
        )
    n_present, n_distinct = len(column) - column.n_missing, len(column.dictionary.dictionary)
    if n_present < _MANY_ROWS or n_distinct <= _UNIQUE_SHARE * n_present:
        return None
    return (
        f"has a different value in nearly every row ({facts(column)}), from which nothing can be learned. Name it in "
        "`drop`, or in `categorical` if it shall stay."
    )


def _are_times(distinct: pa.Array) -> bool:
    return len(distinct) >= _MANY_TIMES and bool(pc.all(pc.match_substring_regex(distinct, _TIME_TEXT)).as_py())


def _longest(texts: pa.Array) -> str:
    longest: str = max(texts.drop_null()[:100].to_pylist(), key=len)
    return longest


def _are_lists(distinct: pa.Array) -> bool:
    return len(distinct) >= _MANY_LISTS and bool(pc.all(pc.match_substring_regex(distinct, _LIST_TEXT)).as_py())


def _are_rounded(column: Column) -> bool:
    """Whether doubles look like integers of 54 to 64 bits."""
    sizes = pc.abs(column.values)
    in_range = pc.less(pc.max(sizes), 2.0**64).as_py() and pc.greater(pc.max(sizes), 2.0**53).as_py()
    return bool(in_range) and bool(pc.all(pc.equal(pc.floor(sizes), sizes)).as_py())


def facts(column: Column) -> str:
    """How often values repeat, for a reader."""
    return f"{len(column.dictionary.dictionary)} distinct of {len(column) - column.n_missing}"


#: Integers of as few distinct values are well enough described by the values.
_N_BINS = 32
#: With fewer rows per value, rates of values can't show what an id says.
_MIN_ROWS_PER_VALUE = 20
#: Ids are numbered one after another: values that fill a larger share of their range may be ids.
_MAX_FILLED_SHARE = 0.5


def is_quantity(column: Column, target: Target) -> bool:
    """Whether click rates of quantile bins predict better than those of the values, and than the overall rate."""
    distinct = column.dictionary.dictionary
    if len(distinct) <= _N_BINS or _may_be_ids(distinct, len(column)) or why_no_choice(target):
        return False
    (bins,) = QuantileBinner(_N_BINS).fit(column, target.rows.weights).transform(column)
    overall = _log_loss(np.zeros(len(bins), np.int64), target)
    by_bin = _log_loss(bins, target)
    return by_bin < overall - least_gain(target, n_candidates=1) and by_bin < _log_loss(_codes(column), target)


def _may_be_ids(distinct: pa.Array, n_rows: int) -> bool:
    """Whether rows are too few to tell, and the values are numbered as ids are."""
    smallest, largest = pc.min_max(distinct).values()
    n_possible = largest.as_py() - smallest.as_py() + 1
    return n_rows < _MIN_ROWS_PER_VALUE * len(distinct) and len(distinct) > _MAX_FILLED_SHARE * n_possible


def _codes(column: Column) -> np.ndarray:
    """A number for each value, missing ones included."""
    indices = column.dictionary.indices.fill_null(pa.scalar(len(column.dictionary.dictionary), pa.int32()))
    codes: np.ndarray = indices.to_numpy().astype(np.int64)
    return codes


def _log_loss(codes: np.ndarray, target: Target) -> float:
    """Mean log-loss of the cross-fitted rates of these codes, summed over the labels."""
    cells, slots = cells_of(codes, int(codes.max()) + 1, target)
    cells.add(slots, target.rows)
    sums = cells.sums()
    loss = 0.0
    for of_label, rows, logits in zip(sums.clicks, sums.known, cross_fitted_log_odds(sums, target.priors), strict=True):
        loss += float(rows.of_cells @ np.logaddexp(0, logits) - of_label.of_cells @ logits)
    return loss / float(target.rows.weights.sum())
