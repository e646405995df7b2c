"""A fitted encoder as nodes of a graph, made from its description: the tables, and the operations that they name."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from math import prod
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..schema import UNKNOWN_CODE, cross_name, statistic_name
from ._graph import Graph, Unsupported, count_below, find
from ._inputs import MISSING, Input

_MAX_DEVIATIONS: Final = 10.0
_MAX_DEVIATIONS_OF_VECTORS: Final = 100.0
_LARGEST_WHOLE: Final = 2.0**53
_HOUR: Final = 3_600_000_000
_DAY: Final = 24 * _HOUR
_FIXED_ZONE: Final = re.compile(
    r"timestamp\[us, tz=(?:UTC|GMT|Etc/UTC|(?P<sign>[+-])(?P<hours>\d\d):(?P<minutes>\d\d))\]"
)
_LIST_SEPARATOR: Final = "|"
_NO_HASH: Final = (
    "its values are hashed (n_hash_buckets), and ONNX compares text, but can't read its characters to compute a hash. "
    "Fit with `max_categories` or `min_frequency` in place of n_hash_buckets."
)


def input_of(name: str, reading: Any, encoder: Any) -> Input:
    """Return the tensor of a column, from the descriptions of how it is read and encoded."""
    like, part = reading["like"], encoder["$part"]
    if part == "VectorEncoder":
        return Input(name, "vector", length=len(encoder["scale"]["mean"]))
    if part == "MultiValuedEncoder":
        return Input(name, "elements", separator=_separator(encoder))
    if part == "HistoryEncoder":
        return Input(name, "history", separator=_LIST_SEPARATOR)
    if part in ("Standardizer", "NormalScorer", "QuantileBinner", "LogBucketer"):
        return _input_of_numbers(name, like)
    if like.startswith(("timestamp", "date")):
        return Input(name, "time", has_zone="tz=" in like)
    if like == "large_string":
        return Input(name, "text")
    if like in ("int64", "bool"):
        return Input(name, "integer" if like == "int64" else "boolean")
    if like == "double":
        return Input(name, "number")
    raise Unsupported(
        f"Column {name!r} holds {like} as categories, which ONNX has no look-up for. Turn it into strings before fit, "
        "for example by `X[column].astype(str)`."
    )


def _input_of_numbers(name: str, like: str) -> Input:
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
    return Input(name, "number")


def _separator(encoder: Any) -> str:
    return encoder["separator"] if encoder["splits_strings"] else _LIST_SEPARATOR


def add_column(graph: Graph, column: Input, reading: Any, encoder: Any) -> list[str]:
    """Return the output columns, each of shape (n, 1), int64 or float32, of one input column."""
    # Each has a number of rows of its own: one row may stand for all.
    values = graph.input(column.name, column.element_type, f"n of {column.name}", column.length)
    try:
        return _PARTS[encoder["$part"]](graph, values, reading, encoder)
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


def _codes_of(known: np.ndarray) -> np.ndarray:
    return np.arange(1, len(known) + 1)


def _look_up(graph: Graph, values: str, vocabulary: Any) -> str:
    known = known_values(vocabulary)
    return find(graph, values, known, _codes_of(known), UNKNOWN_CODE)


def _categorical(graph: Graph, values: str, reading: Any, encoder: Any) -> list[str]:
    if reading["like"].startswith("date"):
        values = _floor(graph, values, _DAY)
    return [_look_up(graph, values, encoder["vocabulary"])]


def _pretrained(graph: Graph, values: str, reading: Any, encoder: Any) -> list[str]:
    """Return codes of ids, and rows of the table of their vectors."""
    return [
        *_categorical(graph, values, reading, encoder["ids"]),
        *_categorical(graph, values, reading, {"vocabulary": encoder["vocabulary"]}),
    ]


def _vector(graph: Graph, values: str, reading: Any, encoder: Any) -> list[str]:
    scale = encoder["scale"]
    length = len(scale["mean"])
    # Without a deviation, all are at the mean.
    deviation = scale["deviation"] or np.inf
    centred = graph.node("Sub", _scaled(graph, values, scale["unit"]), graph.constant(scale["mean"][np.newaxis]))
    deviations = _clip(graph, graph.node("Div", centred, graph.constant([[deviation]])), _MAX_DEVIATIONS_OF_VECTORS)
    outputs = graph.cast(graph.node("Where", _is_present(graph, values), deviations, graph.constant([[0.0]])), "float")
    return [graph.columns_of(outputs, position) for position in range(length)]


def _is_present(graph: Graph, values: str) -> str:
    """Whether doubles are finite."""
    return graph.node("Less", graph.node("Abs", values), graph.constant([[np.inf]]))


def _present_or(graph: Graph, values: str, otherwise: float) -> str:
    return graph.node("Where", _is_present(graph, values), values, graph.constant([[otherwise]]))


def _scaled(graph: Graph, values: str, unit: float) -> str:
    return graph.node("Div", values, graph.constant([[unit]]))


def _clip(graph: Graph, values: str, limit: float) -> str:
    return graph.node("Min", graph.node("Max", values, graph.constant([[-limit]])), graph.constant([[limit]]))


def _standardized(graph: Graph, values: str, reading: Any, encoder: Any) -> list[str]:
    if encoder["deviation"] == 0:
        return [_constant(graph, values, 0.0)]
    present = _present_or(graph, values, encoder["mean"] * encoder["unit"])
    centred = graph.node("Sub", _scaled(graph, present, encoder["unit"]), graph.constant([[encoder["mean"]]]))
    deviations = _clip(graph, _scaled(graph, centred, encoder["deviation"]), _MAX_DEVIATIONS)
    return [graph.cast(_missing_as_zero(graph, values, deviations), "float")]


def _constant(graph: Graph, values: str, output: float) -> str:
    """Return one number for all values but missing ones."""
    return graph.cast(_missing_as_zero(graph, values, graph.constant([[output]])), "float")


def _missing_as_zero(graph: Graph, values: str, outputs: str) -> str:
    return graph.node("Where", _is_present(graph, values), outputs, graph.constant([[0.0]]))


def _normal_scores(graph: Graph, values: str, reading: Any, encoder: Any) -> list[str]:
    knots, scores = encoder["values"], encoder["scores"]
    if not len(knots) or (scores == scores[0]).all():
        return [_constant(graph, values, scores[0] if len(scores) else 0.0)]
    scaled = _scaled(graph, _clip(graph, _present_or(graph, values, 0.0), encoder["unit"]), encoder["unit"])
    scaled = graph.node("Min", graph.node("Max", scaled, graph.constant([[knots[0]]])), graph.constant([[knots[-1]]]))
    n_reached = count_below(graph, scaled, knots, or_equal=True)
    # The last knot ends the last interval and begins none.
    interval = graph.node("Min", n_reached, graph.constant([[len(knots) - 1]], np.int64))
    interval = graph.node("Sub", interval, graph.constant([[1]], np.int64))
    slopes = np.diff(scores) / np.diff(knots)
    beyond = graph.node("Sub", scaled, graph.gather(knots[:-1], interval))
    outputs = graph.node(
        "Add", graph.node("Mul", beyond, graph.gather(slopes, interval)), graph.gather(scores[:-1], interval)
    )
    return [graph.cast(_missing_as_zero(graph, values, outputs), "float")]


def _bins(graph: Graph, values: str, reading: Any, encoder: Any) -> list[str]:
    n_below = count_below(graph, _present_or(graph, values, 0.0), encoder["edges"], or_equal=False)
    codes = graph.node("Add", n_below, graph.constant([[1]], np.int64))
    return [_known_or_zero(graph, _is_present(graph, values), codes)]


def _known_or_zero(graph: Graph, is_known: str, codes: str) -> str:
    return graph.node("Where", is_known, codes, graph.constant([[UNKNOWN_CODE]], np.int64))


def _log_buckets(graph: Graph, values: str, reading: Any, encoder: Any) -> list[str]:
    present = _present_or(graph, values, 0.0)
    two = graph.constant([[2.0]])
    logarithms = graph.node("Log", graph.node("Max", present, two))
    large = graph.node("Floor", graph.node("Mul", logarithms, logarithms))
    small = graph.node("Max", graph.node("Min", present, two), graph.constant([[-_LARGEST_WHOLE]]))
    buckets = graph.node("Where", graph.node("Greater", present, two), large, small)
    # Casts cut the fraction, as the encoder does.
    codes = _look_up(graph, graph.cast(buckets, "int64"), encoder["vocabulary"])
    return [_known_or_zero(graph, _is_present(graph, values), codes)]


def _whole(number: int) -> Any:
    return np.array([[number]], np.int64)


def _floor(graph: Graph, values: str, unit: int) -> str:
    """Round down to multiples of a unit; a plain division rounds towards 0."""
    return graph.node("Sub", values, graph.node("Mod", values, graph.constant(_whole(unit))))


def _div(graph: Graph, values: str, divisor: int) -> str:
    """Divide values that aren't negative."""
    return graph.node("Div", values, graph.constant(_whole(divisor)))


def _add(graph: Graph, values: str, number: int) -> str:
    return graph.node("Add", values, graph.constant(_whole(number)))


def _hour(graph: Graph, times: str) -> str:
    return _div(graph, graph.node("Mod", times, graph.constant(_whole(_DAY))), _HOUR)


def _days(graph: Graph, times: str) -> str:
    return _div(graph, _floor(graph, times, _DAY), _DAY)


def _weekday(graph: Graph, times: str) -> str:
    # 1970 began on a Thursday.
    return graph.node("Mod", _add(graph, _days(graph, times), 3), graph.constant(_whole(7)))


def _weekend(graph: Graph, times: str) -> str:
    return graph.cast(graph.node("GreaterOrEqual", _weekday(graph, times), graph.constant(_whole(5))), "int64")


def _day(graph: Graph, times: str) -> str:
    day_of_year, month = _date_from_march(graph, times)
    first = _div(graph, _add(graph, _times(graph, month, 153), 2), 5)
    return _add(graph, graph.node("Sub", day_of_year, first), 1)


def _month(graph: Graph, times: str) -> str:
    _, month = _date_from_march(graph, times)
    return _add(graph, graph.node("Mod", _add(graph, month, 2), graph.constant(_whole(12))), 1)


def _date_from_march(graph: Graph, times: str) -> tuple[str, str]:
    """Day and month from 0 in years from March (Hinnant, "chrono-compatible low-level date algorithms")."""
    day_of_era = graph.node("Mod", _add(graph, _days(graph, times), 719_468), graph.constant(_whole(146_097)))
    leap = graph.node(
        "Sub",
        graph.node("Add", _div(graph, day_of_era, 1_460), _div(graph, day_of_era, 146_096)),
        _div(graph, day_of_era, 36_524),
    )
    year = _div(graph, graph.node("Sub", day_of_era, leap), 365)
    days_before = graph.node(
        "Sub",
        graph.node("Add", _times(graph, year, 365), _div(graph, year, 4)),
        _div(graph, year, 100),
    )
    day_of_year = graph.node("Sub", day_of_era, days_before)
    return day_of_year, _div(graph, _add(graph, _times(graph, day_of_year, 5), 2), 153)


def _times(graph: Graph, values: str, factor: int) -> str:
    return graph.node("Mul", values, graph.constant(_whole(factor)))


_TIME_PARTS: Final[dict[str, Callable[[Graph, str], str]]] = {
    "hour": _hour,
    "weekday": _weekday,
    "weekend": _weekend,
    "day": _day,
    "month": _month,
}


def _datetime(graph: Graph, values: str, reading: Any, encoder: Any) -> list[str]:
    is_present = graph.node("Greater", values, graph.constant(_whole(MISSING)))
    present = graph.node("Where", is_present, values, graph.constant(_whole(0)))
    local = _add(graph, present, _offset(reading["type"]))
    if reading["type"].startswith("date"):
        local = _floor(graph, local, _DAY)
    outputs = []
    for part, of_part in encoder["encoders"].items():
        if part == "elapsed":
            outputs.append(_elapsed(graph, local, is_present, of_part))
            continue
        if part not in _TIME_PARTS:
            raise Unsupported(f"its part {part!r} has no operations in ONNX yet.")
        codes = _look_up(graph, _TIME_PARTS[part](graph, local), of_part["vocabulary"])
        outputs.append(_known_or_zero(graph, is_present, codes))
    return outputs


def _elapsed(graph: Graph, times: str, is_present: str, encoder: Any) -> str:
    """Return the standardised time since the first row of fit."""
    if encoder["deviation"] == 0:
        return graph.cast(_times(graph, times, 0), "float")
    first, last = (graph.constant(_whole(encoder[name])) for name in ("first", "last"))
    clipped = graph.node("Min", graph.node("Max", times, first), last)
    elapsed = graph.cast(graph.node("Sub", clipped, first), "double")
    centred = graph.node("Sub", elapsed, graph.constant([[encoder["mean"]]]))
    scaled = graph.node("Div", centred, graph.constant([[encoder["deviation"]]]))
    return graph.cast(graph.node("Where", is_present, scaled, graph.constant([[0.0]])), "float")


def _offset(dtype: str) -> int:
    """Return the offset of local time, in microseconds."""
    if "tz=" not in dtype:
        return 0
    zone = _FIXED_ZONE.fullmatch(dtype)
    if zone is None:
        raise Unsupported(
            f"it has type {dtype}, and only zones of a fixed offset go into a graph. Convert it before fit, such as by "
            "`X[column].dt.tz_convert('+05:30')`, or to local times by `X[column].dt.tz_localize(None)`."
        )
    if zone["sign"] is None:
        return 0
    minutes = int(zone["hours"]) * 60 + int(zone["minutes"])
    return (-1 if zone["sign"] == "-" else 1) * minutes * 60_000_000


def _multi_valued(graph: Graph, values: str, reading: Any, encoder: Any) -> list[str]:
    separator = _separator(encoder)
    known, codes = _elements(encoder, separator)
    # With a separator behind the last one there is always an element, if an empty one.
    ended = graph.node("StringConcat", values, graph.constant(np.array([[separator]], object)))
    elements, _ = graph.nodes("StringSplit", ended, n_outputs=2, delimiter=separator)
    # (n, 1, number of elements)
    codes_of_elements = find(graph, elements, known, codes, UNKNOWN_CODE)
    is_known = graph.cast(graph.node("Greater", codes_of_elements, graph.constant([[[0]]], np.int64)), "int64")
    places = graph.node("Mul", graph.node("CumSum", is_known, graph.constant(2, np.int64)), is_known)
    # (n, n_columns, 1), a place each, against (n, 1, number of elements)
    columns = np.arange(1, encoder["n_columns"] + 1).reshape(1, -1, 1)
    is_at = graph.cast(graph.node("Equal", places, graph.constant(columns)), "int64")
    chosen = graph.node("Mul", is_at, codes_of_elements)
    outputs = graph.sum(chosen, 2)
    return [graph.columns_of(outputs, position) for position in range(encoder["n_columns"])]


def _history(graph: Graph, values: str, reading: Any, encoder: Any) -> list[str]:
    """Return codes of the last elements, the last one first."""
    known, codes = _elements({**encoder, "splits_strings": False}, _LIST_SEPARATOR)
    # As above; the number of elements counts an empty one behind the last separator.
    ended = graph.node("StringConcat", values, graph.constant(np.array([[_LIST_SEPARATOR]], object)))
    elements, n_elements = graph.nodes("StringSplit", ended, n_outputs=2, delimiter=_LIST_SEPARATOR)
    found = find(graph, elements, known, codes, UNKNOWN_CODE)
    codes_of_elements = graph.node("Squeeze", found, graph.constant([1], np.int64))
    from_last = np.arange(encoder["n_columns"])[np.newaxis] + 2
    places = graph.node("Sub", n_elements, graph.constant(from_last, np.int64))
    is_there = graph.cast(graph.node("GreaterOrEqual", places, graph.constant([[0]], np.int64)), "int64")
    places = graph.node("Max", places, graph.constant([[0]], np.int64))
    outputs = graph.node("Mul", graph.node("GatherElements", codes_of_elements, places, axis=1), is_there)
    return [graph.columns_of(outputs, position) for position in range(encoder["n_columns"])]


def _elements(encoder: Any, separator: str) -> tuple[np.ndarray, np.ndarray]:
    """Return known elements as text, and their codes; strings also with a space before or behind."""
    known = known_values(encoder["vocabulary"])
    dtype = encoder["vocabulary"]["values"].type
    if not (pa.types.is_large_string(dtype) or pa.types.is_integer(dtype)):
        raise Unsupported(f"its elements are {dtype}. Turn them into strings before fit.")
    texts = np.array([str(element) for element in known], object)
    if torn := [text for text in texts if separator in text]:
        raise Unsupported(
            f"its element {torn[0]!r} contains {separator!r}, which joins the elements in ONNX. Replace it before fit."
        )
    codes = _codes_of(texts)
    if not encoder["splits_strings"] or separator == " ":
        return texts, codes
    variants = [texts, " " + texts, texts + " ", " " + texts + " "]
    return np.concatenate(variants), np.tile(codes, len(variants))


_PARTS: Final[dict[str, Callable[[Graph, str, Any, Any], list[str]]]] = {
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


def add_crosses(graph: Graph, crosses: list[Any], codes: Mapping[str, str]) -> dict[str, str]:
    """Return codes of combinations, by name."""
    return {cross_name(cross["key"]["fields"]): _add_cross(graph, cross, codes) for cross in crosses}


def _add_cross(graph: Graph, cross: Any, codes: Mapping[str, str]) -> str:
    vocabulary = cross["_encoder"]["vocabulary"]
    key = cross["key"]
    if vocabulary["$part"] == "HashBuckets":
        raise Unsupported(f"The cross {cross_name(key['fields'])!r} can't be exported: {_NO_HASH}")
    found = _look_up(graph, _combine(graph, [key], codes), vocabulary)
    parts = graph.concat([codes[part] for part in key["parts"]])
    least = graph.node("ReduceMin", parts, graph.constant([1], np.int64), keepdims=1)
    return _known_or_zero(graph, graph.node("Greater", least, graph.constant(_whole(0))), found)


def _within(graph: Graph, codes: Mapping[str, str], part: str, limit: int | None) -> str:
    if limit is None:
        return codes[part]
    return _known_or_zero(graph, graph.node("Less", codes[part], graph.constant(_whole(limit))), codes[part])


def _combine(graph: Graph, keys: list[Any], codes: Mapping[str, str]) -> str:
    """Return a column for each key, (n, number of keys), by one product; sums would take a row's time."""
    # A part, and the first of its codes that the key doesn't know; None if it knows all.
    parts_of = [
        [
            (part, size if key["is_full"] else None)
            for part, size in zip(key["parts"], key["cardinalities"], strict=True)
        ]
        for key in keys
    ]
    places = {name: place for place, name in enumerate(codes)}
    parts = sorted({part for own in parts_of for part in own}, key=lambda part: (places[part[0]], part[1] or 0))
    factors = np.zeros((len(parts), len(keys)), np.int64)
    for column, (key, own) in enumerate(zip(keys, parts_of, strict=True)):
        factor = 1
        for part, cardinality in zip(reversed(own), reversed(key["cardinalities"]), strict=True):
            factors[parts.index(part), column] = factor
            factor *= cardinality
    columns = graph.concat([_within(graph, codes, *part) for part in parts])
    return graph.node("MatMul", columns, graph.constant(factors))


def add_statistics(graph: Graph, statistics: list[Any], codes: Mapping[str, str]) -> dict[str, str]:
    """Return rates and counts, by name, from one search and one table for all keys that fit into 63 bits."""
    outputs: dict[str, str] = {}
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


def _add_group(graph: Graph, statistics: list[Any], codes: Mapping[str, str]) -> dict[str, str]:
    known, first_keys, tables, unknown_rows = [], [], [], []
    first_key = first_row = 0
    width = max(len(of_key["_columns"]) for of_key in statistics)
    for of_key in statistics:
        first_keys.append(first_key)
        known.append(of_key["_index"]["known"] + first_key)
        table = np.stack([column["table"] for column in of_key["_columns"]], axis=1)
        tables.append(np.pad(table, ((0, 0), (0, width - table.shape[1]))))
        # The last row is for all unknown keys.
        unknown_rows.append(first_row + len(table) - 1)
        first_key += _n_possible(of_key)
        first_row += len(table)
    rows = np.delete(np.arange(first_row), unknown_rows)
    keys = graph.node(
        "Add",
        _combine(graph, [of_key["key"] for of_key in statistics], codes),
        graph.constant([first_keys], np.int64),
    )
    found = find(graph, keys, np.concatenate(known), rows, -1)
    is_known = graph.node("GreaterOrEqual", found, graph.constant(_whole(0)))
    found = graph.node("Where", is_known, found, graph.constant([unknown_rows], np.int64))
    # (n, number of keys, width), and then a row of all in order
    gathered = graph.gather(np.concatenate(tables), found)
    flat = graph.node("Flatten", gathered, axis=1)
    return {
        statistic_name(column["measure"], cross_name(of_key["key"]["fields"]), column["label"]): graph.columns_of(
            flat, position * width + place
        )
        for position, of_key in enumerate(statistics)
        for place, column in enumerate(of_key["_columns"])
    }
