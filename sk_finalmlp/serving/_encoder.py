"""A fitted encoder as nodes of a graph, made from its description: the tables, and the operations that they name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from itertools import accumulate
from math import prod
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..schema import UNKNOWN_CODE, cross_name, statistic_name
from ._graph import Graph, Unsupported, Value, count_below, find
from ._inputs import MISSING, Input, InputKind

_MAX_DEVIATIONS: Final = 10.0
_MAX_DEVIATIONS_OF_VECTORS: Final = 100.0
_LARGEST_WHOLE: Final = 2.0**53
_HOUR: Final = 3_600_000_000
_DAY: Final = 24 * _HOUR
_UTC: Final = ("", "UTC", "GMT", "Etc/UTC")
_LIST_SEPARATOR: Final = "|"
_KINDS_OF_TYPES: Final[dict[str, InputKind]] = {
    "large_string": "text",
    "int64": "integer",
    "bool": "boolean",
    "double": "number",
}
_NO_HASH: Final = (
    "its values are hashed (n_hash_buckets), and ONNX compares text, but can't read its characters to compute a hash. "
    "Fit with `max_categories` or `min_frequency` in place of n_hash_buckets."
)


def input_of(name: str, reading: Any, encoder: Any) -> Input:
    """Return the tensor of a column, from the descriptions of how it is read and encoded."""
    part, separator = encoder["$part"], _separator(encoder)
    make = partial(
        Input,
        name,
        like=reading["like"],
        words=reading["texts_of_bools"],
        required=bool(reading["required"]),
        exact=reading["exact"],
    )
    if part == "VectorEncoder":
        return make("vector", length=len(encoder["scale"]["mean"]))
    if part == "MultiValuedEncoder":
        return make("elements", separator=separator, splits=encoder["splits_strings"])
    if part == "HistoryEncoder":
        return make("history", separator=separator)
    kind = _kind_of_input(name, reading["like"], part)
    return make(kind, has_hours=kind == "time" and "hour" in encoder.get("encoders", ()))


def _kind_of_input(name: str, like: str, part: str) -> InputKind:
    if part in ("Standardizer", "NormalScorer", "QuantileBinner", "LogBucketer"):
        _require_numbers(name, like)
        return "number"
    if like.startswith(("timestamp", "date")):
        return "time"
    if like in _KINDS_OF_TYPES:
        return _KINDS_OF_TYPES[like]
    raise Unsupported(
        f"Column {name!r} holds {like} as categories, which ONNX has no look-up for. Turn it into strings before fit, "
        "for example by `X[column].astype(str)`."
    )


def _require_numbers(name: str, like: str) -> None:
    if like == "large_string":
        raise Unsupported(
            f"Column {name!r} holds numbers as text. Turn them into numbers before fit, for example by "
            "`pandas.to_numeric`."
        )
    if like.startswith(("timestamp", "date")):
        raise Unsupported(
            f"Column {name!r} holds times that are taken as a number. Give seconds as a number in fit, for example "
            "`X[column].astype('int64')`."
        )


def _separator(encoder: Any) -> str:
    """Return what joins elements; a history has no separator of its own."""
    return encoder.get("separator", _LIST_SEPARATOR)


def add_column(graph: Graph, column: Input, reading: Any, encoder: Any) -> list[Value]:
    """Return the output columns, each of shape (n, 1), int64 or float32, of one input column."""
    # Each has a number of rows of its own: one row may stand for all.
    values = graph.input(column.name, column.element_type, f"n of {column.name}", column.length)
    try:
        return _PARTS[encoder["$part"]](values, reading, encoder)
    except Unsupported as error:
        raise Unsupported(f"Column {column.name!r} can't be exported: {error}") from error


def known_values(vocabulary: Any) -> np.ndarray:
    """Return known values as strings, int64 or doubles."""
    if vocabulary["$part"] == "HashBuckets":
        raise Unsupported(_NO_HASH)
    values = vocabulary["values"]
    if pa.types.is_large_string(values.type):
        return _text(values)
    if pa.types.is_boolean(values.type) or pa.types.is_timestamp(values.type):
        values = values.cast(pa.int64())
    elif pa.types.is_date(values.type):
        values = pc.multiply(values.cast(pa.int32()).cast(pa.int64()), _DAY)
    known: np.ndarray = values.to_numpy(zero_copy_only=False)
    if known.dtype == np.int64 and MISSING in known:
        raise Unsupported(f"it holds {MISSING}, which stands for a missing value in ONNX. Make it missing before fit.")
    return known


def _text(values: pa.Array) -> np.ndarray:
    if pc.any(pc.equal(values, "")).as_py():
        raise Unsupported("it holds empty strings, which stand for missing ones in ONNX. Make them missing before fit.")
    if pc.any(pc.match_substring(values, "\0")).as_py():
        raise Unsupported("it holds text with NUL characters. Remove them before fit.")
    return values.to_numpy(zero_copy_only=False)


def _look_up(values: Value, vocabulary: Any) -> Value:
    known = known_values(vocabulary)
    return find(values, known, np.arange(1, len(known) + 1), UNKNOWN_CODE)


def _categorical(values: Value, reading: Any, encoder: Any) -> list[Value]:
    return [_look_up(_floor(values, _DAY) if reading["like"].startswith("date") else values, encoder["vocabulary"])]


def _pretrained(values: Value, reading: Any, encoder: Any) -> list[Value]:
    """Return codes of ids, and rows of the table of their vectors."""
    return [*_categorical(values, reading, encoder["ids"]), *_categorical(values, reading, encoder)]


def _vector(values: Value, reading: Any, encoder: Any) -> list[Value]:
    scale = encoder["scale"]
    return values.graph.split(_standardize(values, scale, _MAX_DEVIATIONS_OF_VECTORS), len(scale["mean"]))


def _standardized(values: Value, reading: Any, encoder: Any) -> list[Value]:
    return [_standardize(values, encoder, _MAX_DEVIATIONS)]


def _standardize(values: Value, scale: Any, most: float) -> Value:
    if scale["deviation"] == 0:
        return _missing_as_zero(values, 0.0)
    deviations = (values / scale["unit"] - scale["mean"]) / scale["deviation"]
    return _missing_as_zero(values, deviations.clip(-most, most))


def _is_present(values: Value) -> Value:
    """Whether doubles are finite."""
    return values.graph.node("Abs", values) < np.inf


def _present_or_zero(values: Value) -> Value:
    return values.where(_is_present(values), 0.0)


def _missing_as_zero(values: Value, outputs: Any) -> Value:
    return values.graph.node("Where", _is_present(values), outputs, 0.0).cast("float")


def _normal_scores(values: Value, reading: Any, encoder: Any) -> list[Value]:
    knots, scores, unit = encoder["values"], encoder["scores"], encoder["unit"]
    if not len(knots) or (scores == scores[0]).all():
        return [_missing_as_zero(values, scores[0] if len(scores) else 0.0)]
    scaled = (_present_or_zero(values).clip(-unit, unit) / unit).clip(knots[0], knots[-1])
    # The last knot ends the last interval and begins none.
    n_reached, gather = count_below(scaled, knots, or_equal=True), values.graph.gather
    interval = values.graph.node("Min", n_reached, len(knots) - 1) - 1
    beyond = scaled - gather(knots[:-1], interval)
    slopes = np.diff(scores) / np.diff(knots)
    return [_missing_as_zero(values, beyond * gather(slopes, interval) + gather(scores[:-1], interval))]


def _bins(values: Value, reading: Any, encoder: Any) -> list[Value]:
    codes = count_below(_present_or_zero(values), encoder["edges"], or_equal=False) + 1
    return [codes.where(_is_present(values), UNKNOWN_CODE)]


def _log_buckets(values: Value, reading: Any, encoder: Any) -> list[Value]:
    present, node = _present_or_zero(values), values.graph.node
    logarithms = node("Log", node("Max", present, 2.0))
    small = node("Max", node("Min", present, 2.0), -_LARGEST_WHOLE)
    buckets = node("Floor", logarithms * logarithms).where(present > 2.0, small)
    # Casts cut the fraction, as the encoder does.
    codes = _look_up(buckets.cast("int64"), encoder["vocabulary"])
    return [codes.where(_is_present(values), UNKNOWN_CODE)]


def _floor(values: Value, unit: int) -> Value:
    """Round down to multiples of a unit; a plain division rounds towards 0."""
    return values - values % unit


def _days(times: Value) -> Value:
    return _floor(times, _DAY) / _DAY


def _weekday(times: Value) -> Value:
    # 1970 began on a Thursday.
    return (_days(times) + 3) % 7


def _day(times: Value) -> Value:
    day_of_year, month = _date_from_march(times)
    return day_of_year - (month * 153 + 2) / 5 + 1


def _date_from_march(times: Value) -> tuple[Value, Value]:
    """Day and month from 0 in years from March (Hinnant, "chrono-compatible low-level date algorithms")."""
    day_of_era = (_days(times) + 719_468) % 146_097
    leap = day_of_era / 1_460 + day_of_era / 146_096 - day_of_era / 36_524
    year = (day_of_era - leap) / 365
    day_of_year = day_of_era - (year * 365 + year / 4 - year / 100)
    return day_of_year, (day_of_year * 5 + 2) / 153


_TIME_PARTS: Final[dict[str, Callable[[Value], Value]]] = {
    "hour": lambda times: times % _DAY / _HOUR,
    "weekday": _weekday,
    "weekend": lambda times: (_weekday(times) >= 5).cast("int64"),
    "day": _day,
    "month": lambda times: (_date_from_march(times)[1] + 2) % 12 + 1,
}


def _datetime(values: Value, reading: Any, encoder: Any) -> list[Value]:
    is_present = values > MISSING
    local = values.where(is_present, 0) + _offset(reading["type"])
    if reading["type"].startswith("date"):
        local = _floor(local, _DAY)
    outputs = []
    for part, of_part in encoder["encoders"].items():
        if part == "elapsed":
            outputs.append(_elapsed(local, is_present, of_part))
            continue
        if part not in _TIME_PARTS:
            raise Unsupported(f"its part {part!r} has no operations in ONNX yet.")
        outputs.append(_look_up(_TIME_PARTS[part](local), of_part["vocabulary"]).where(is_present, UNKNOWN_CODE))
    return outputs


def _elapsed(times: Value, is_present: Value, encoder: Any) -> Value:
    """Return the standardised time since the first row of fit."""
    first, last = int(encoder["first"]), int(encoder["last"])
    elapsed = (times.clip(first, last) - first).cast("double")
    return ((elapsed - encoder["mean"]) / (encoder["deviation"] or np.inf)).where(is_present, 0.0).cast("float")


def _offset(dtype: str) -> int:
    """Return the offset of local time, in microseconds."""
    zone = zone_of(dtype)
    try:
        offset = None if zone in _UTC else datetime.strptime(zone, "%z").utcoffset()
    except ValueError as error:
        raise Unsupported(
            f"it has type {dtype}, and only zones of a fixed offset go into a graph. Convert it before fit, such as by "
            "`X[column].dt.tz_convert('+05:30')`, or to local times by `X[column].dt.tz_localize(None)`."
        ) from error
    return 0 if offset is None else offset // timedelta(microseconds=1)


def zone_of(dtype: str) -> str:
    """Return the time zone of a type; empty if it has none."""
    return dtype.partition("tz=")[2].rstrip("]")


def _multi_valued(values: Value, reading: Any, encoder: Any) -> list[Value]:
    graph, n_columns = values.graph, encoder["n_columns"]
    codes, n_elements = _codes_of_elements(values, encoder)
    is_known = codes > 0
    places = graph.node("CumSum", is_known.cast("int64"), np.array(1)) - 1
    # The place behind the last column takes unknown and surplus elements.
    places = graph.node("Min", places, n_columns).where(is_known, n_columns)
    empty = graph.node("Expand", np.zeros((1, n_columns + 1), np.int64), graph.node("Shape", n_elements))
    filled = graph.node("ScatterElements", empty, places, codes, axis=1)
    return graph.split(graph.columns(filled, 0, n_columns), n_columns)


def _history(values: Value, reading: Any, encoder: Any) -> list[Value]:
    """Return codes of the last elements, the last one first."""
    graph = values.graph
    codes, n_elements = _codes_of_elements(values, encoder)
    # The number of elements counts an empty one behind the last separator.
    places = n_elements - (np.arange(encoder["n_columns"])[np.newaxis] + 2)
    found = graph.node("GatherElements", codes, graph.node("Max", places, 0), axis=1)
    return graph.split(found * (places >= 0).cast("int64"), encoder["n_columns"])


def _codes_of_elements(values: Value, encoder: Any) -> tuple[Value, Value]:
    """Return codes, (n, number of elements), and the number of elements of each row, (n, 1)."""
    separator, graph = _separator(encoder), values.graph
    known, codes = _elements(encoder)
    # With a separator behind the last one there is always one, if an empty.
    ended = graph.node("StringConcat", values, np.array([[separator]], object))
    elements, n_elements = graph.nodes("StringSplit", ended, n_outputs=2, delimiter=separator)
    found = find(elements, known, codes, UNKNOWN_CODE)
    return graph.node("Squeeze", found, np.array([1])), n_elements


def _elements(encoder: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return known elements as text, and their codes; strings also with a space before or behind."""
    known, separator = known_values(encoder["vocabulary"]), _separator(encoder)
    dtype = encoder["vocabulary"]["values"].type
    if not (pa.types.is_large_string(dtype) or pa.types.is_integer(dtype)):
        raise Unsupported(f"its elements are {dtype}. Turn them into strings before fit.")
    texts = np.array([str(element) for element in known], object)
    if torn := [text for text in texts if separator in text]:
        raise Unsupported(
            f"its element {torn[0]!r} contains {separator!r}, which joins the elements in ONNX. Replace it before fit."
        )
    variants = [texts]
    if encoder.get("splits_strings") and separator != " ":
        variants += [" " + texts, texts + " ", " " + texts + " "]
    return np.concatenate(variants), np.tile(np.arange(1, len(texts) + 1), len(variants))


_PARTS: Final[dict[str, Callable[[Value, Any, Any], list[Value]]]] = {
    "CategoricalEncoder": _categorical,
    "PretrainedEncoder": _pretrained,
    "VectorEncoder": _vector,
    "Standardizer": _standardized,
    "NormalScorer": _normal_scores,
    "QuantileBinner": _bins,
    "LogBucketer": _log_buckets,
    "DatetimeEncoder": _datetime,
    "MultiValuedEncoder": _multi_valued,
    "HistoryEncoder": _history,
}


def add_crosses(graph: Graph, crosses: list[Any], codes: Mapping[str, Value]) -> dict[str, Value]:
    """Return codes of combinations, by name."""
    return {cross_name(cross["key"]["fields"]): _add_cross(graph, cross, codes) for cross in crosses}


def _add_cross(graph: Graph, cross: Any, codes: Mapping[str, Value]) -> Value:
    vocabulary = cross["_encoder"]["vocabulary"]
    key = cross["key"]
    if vocabulary["$part"] == "HashBuckets":
        raise Unsupported(f"The cross {cross_name(key['fields'])!r} can't be exported: {_NO_HASH}")
    found = _look_up(_combine(graph, [key], codes), vocabulary)
    least = graph.node("ReduceMin", graph.concat([codes[part] for part in key["parts"]]), np.array([1]), keepdims=1)
    return found.where(least > 0, UNKNOWN_CODE)


def _combine(graph: Graph, keys: list[Any], codes: Mapping[str, Value]) -> Value:
    """Return a column for each key, (n, number of keys), by one product; sums would take a row's time."""
    # By part, and the first of its codes that the key doesn't know; None if it knows all.
    factors: dict[tuple[str, int | None], np.ndarray] = {}
    for column, key in enumerate(keys):
        factor = 1
        for part, cardinality in zip(reversed(key["parts"]), reversed(key["cardinalities"]), strict=True):
            limit = cardinality if key["is_full"] else None
            factors.setdefault((part, limit), np.zeros(len(keys), np.int64))[column] = factor
            factor *= cardinality
    places = {name: place for place, name in enumerate(codes)}
    parts = sorted(factors, key=lambda part: (places[part[0]], part[1] or 0))
    columns = [
        codes[part] if limit is None else codes[part].where(codes[part] < limit, UNKNOWN_CODE) for part, limit in parts
    ]
    return graph.node("MatMul", graph.concat(columns), np.stack([factors[part] for part in parts]))


def add_statistics(graph: Graph, statistics: list[Any], codes: Mapping[str, Value]) -> dict[str, Value]:
    """Return rates and counts, by name, from one search and one table for all keys that fit into 63 bits."""
    outputs: dict[str, Value] = {}
    for group in _groups(statistics):
        outputs.update(_add_group(graph, group, codes))
    return outputs


def _n_possible(of_key: Any) -> int:
    return prod(map(int, of_key["key"]["cardinalities"]))


def _groups(statistics: list[Any]) -> list[list[Any]]:
    groups: list[list[Any]] = []
    room = 0
    for of_key in statistics:
        if not groups or _n_possible(of_key) > room:
            groups.append([])
            room = np.iinfo(np.int64).max
        groups[-1].append(of_key)
        room -= _n_possible(of_key)
    return groups


def _add_group(graph: Graph, statistics: list[Any], codes: Mapping[str, Value]) -> dict[str, Value]:
    every, unknown_rows = _joined_tables(statistics)
    rows = np.delete(np.arange(len(every)), unknown_rows)
    first_keys = list(accumulate(map(_n_possible, statistics[:-1]), initial=0))
    known = [of_key["_index"]["known"] + first for of_key, first in zip(statistics, first_keys, strict=True)]
    keys = _combine(graph, [of_key["key"] for of_key in statistics], codes) + np.array([first_keys])
    found = find(keys, np.concatenate(known), rows, -1)
    found = found.where(found >= 0, unknown_rows[np.newaxis])
    # (n, number of keys, width), and then a row of all in order
    flat = graph.node("Flatten", graph.gather(every, found), axis=1)
    columns = graph.split(flat, every.shape[1] * len(statistics))
    return {
        statistic_name(column["measure"], cross_name(of_key["key"]["fields"]), column["label"]): columns[
            position * every.shape[1] + place
        ]
        for position, of_key in enumerate(statistics)
        for place, column in enumerate(of_key["_columns"])
    }


def _joined_tables(statistics: list[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Return the tables of all keys, one below the other, and the last row of each, which is for unknown keys."""
    tables = [np.stack([column["table"] for column in of_key["_columns"]], axis=1) for of_key in statistics]
    width = max(table.shape[1] for table in tables)
    padded = [np.pad(table, ((0, 0), (0, width - table.shape[1]))) for table in tables]
    return np.concatenate(padded), np.cumsum([len(table) for table in tables]) - 1
