"""Whether an exported graph answers as the model does, on rows of the kinds that the training table had."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd

from ..schema import column_names
from ._encoder import known_values, zone_of
from ._export import Exported, exportable
from ._to_onnx import make_session

#: Largest difference of a probability, or of a number that an encoder writes, and of a probability as part of it.
_TOLERANCE: Final = 1e-5
_RELATIVE_TOLERANCE: Final = 1e-4
#: Smaller probabilities lose their digits as floats.
_SMALLEST: Final = 1e-30
_N_ROWS: Final = 256
_UNSEEN: Final = "\u2603 never seen"
_EXTREMES: Final = (np.nan, np.inf, -np.inf, 1e300, -1e300, 0.0, 2.5, -7.0)
_FIRST_TIME, _LAST_TIME = (int(pd.Timestamp(year).value // 1_000) for year in ("1900", "2100"))


def check(exported: Exported, model: Any) -> None:
    """Raise a RuntimeError if graph and model differ on rows of known, missing, unseen and extreme values."""
    session = make_session(exported.model.SerializeToString())
    rng = np.random.default_rng(0)
    table, tensors = _encoded_rows(exported, rng) if exported.encoder is None else _raw_rows(exported, rng)
    X: Any = table if hasattr(model, "feature_names_in_") else table.to_numpy()
    if exported.classifier is None:
        _check_columns(session, tensors, exported.encoder, X)
    else:
        labels, probabilities = session.run(["label", "probabilities"], tensors)
        _check_predictions(labels, probabilities, model, X, table)


def _check_predictions(labels: np.ndarray, probabilities: np.ndarray, model: Any, X: Any, table: pd.DataFrame) -> None:
    expected = model.predict_proba(X)
    differences = np.abs(probabilities - expected)
    relative = differences / np.maximum(expected, _SMALLEST)
    # Where two classes are as likely, rounding decides.
    second, first = np.sort(expected, axis=1)[:, -2:].T
    is_other = (labels != exportable(model.predict(X))) & (first - second > _TOLERANCE)
    _refuse_beyond(_TOLERANCE, differences, "a probability", "{:.2e}", table)
    _refuse_beyond(_RELATIVE_TOLERANCE, relative, "a probability", "{:.2e} times its value", table)
    _refuse_beyond(0, is_other, "a label", "another class", table)


def _check_columns(session: Any, tensors: dict[str, np.ndarray], encoder: Any, X: Any) -> None:
    names = column_names(encoder.fields_)
    encoded = encoder.transform(X)
    columns = [encoded[name] for name in names] if isinstance(encoded, pd.DataFrame) else encoded.T
    for name, outputs, column in zip(names, session.run(None, tensors), columns, strict=True):
        differences = np.abs(outputs.ravel() - np.asarray(column))
        _refuse_beyond(_TOLERANCE, differences, f"column {name!r}", "{:.2e}", pd.DataFrame(X))


def _refuse_beyond(most: float, differences: np.ndarray, what: str, by: str, table: pd.DataFrame) -> None:
    of_rows = differences.reshape(len(table), -1).max(axis=1)
    if (worst := float(of_rows.max())) > most:
        row = table.iloc[int(of_rows.argmax())].to_dict()
        raise RuntimeError(
            f"The exported graph and the model differ in {what} by {by.format(worst)} on the row {row}. Please report "
            "it; serve the model in Python until it is fixed."
        )


def _raw_rows(exported: Exported, rng: np.random.Generator) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Draw rows of a raw table, and their tensors."""
    kinds = {column.name: column.kind for column in exported.inputs}
    columns = {}
    for name, (reading, part) in exported.columns.items():
        # A dropped column may hold anything.
        values = [None] if part is None else _values(kinds[name], reading["like"], part, rng)
        drawn = [values[position % len(values)] for position in rng.permutation(_N_ROWS)]
        columns[name] = pd.Series(drawn, dtype=None if kinds.get(name) == "time" else object)
    tensors = {column.name: column.tensor(columns[column.name].tolist()) for column in exported.inputs}
    return pd.DataFrame(columns), tensors


def _values(kind: str, like: str, part: Any, rng: np.random.Generator) -> list[Any]:
    """Return values of a column by the kind of its tensor: first missing, unseen and extreme ones, then known ones."""
    known = _chosen(known_values(part["vocabulary"]), rng) if "vocabulary" in part else []
    if kind == "boolean" or like == "bool":
        return [None, False, True]
    if kind == "text":
        return [None, _UNSEEN, *known]
    if kind == "integer":
        return [None, -1, max(known, default=0) // 2 + 1, *known]
    if kind == "time":
        return _times(like, rng)
    if kind == "number":
        return _numbers(known, part, rng)
    if kind == "vector":
        mean = part["scale"]["mean"]
        return [None, *(part["scale"]["unit"] * (mean + rng.normal(size=(_N_ROWS, len(mean))))).tolist()]
    return _lists(kind, [_UNSEEN if like == "large_string" else -1, *known], part, rng)


def _chosen(values: np.ndarray, rng: np.random.Generator) -> list[Any]:
    return values[rng.permutation(len(values))[:_N_ROWS]].tolist()


def _times(like: str, rng: np.random.Generator) -> list[Any]:
    times = pd.to_datetime(rng.integers(_FIRST_TIME, _LAST_TIME, _N_ROWS), unit="us").as_unit("us")
    zone = zone_of(like)
    return [pd.NaT, *(times.tz_localize("UTC").tz_convert(zone) if zone else times)]


def _numbers(known: list[Any], part: Any, rng: np.random.Generator) -> list[Any]:
    scale = float(part.get("unit", 1.0))
    inner = np.asarray(known or part.get("edges", part.get("values", [])), float) * scale
    between = rng.normal(size=_N_ROWS) * (scale + np.abs(inner).max(initial=1.0))
    return [*_EXTREMES, *_chosen(np.array([*_chosen(inner, rng), *between]), rng)]


def _lists(kind: str, elements: list[Any], part: Any, rng: np.random.Generator) -> list[Any]:
    if kind == "history":
        elements = [None, *elements]
    lengths = rng.integers(0, part["n_columns"] + 2, _N_ROWS)
    lists = [[elements[position] for position in rng.integers(0, len(elements), length)] for length in lengths]
    if kind == "elements" and part["splits_strings"]:
        return [None, *(part["separator"].join(map(str, values)) for values in lists)]
    return [None, *lists]


def _encoded_rows(exported: Exported, rng: np.random.Generator) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Draw rows of an encoded table, and their tensors."""
    classifier, columns = exported.classifier, {}
    for reader in classifier.table_reader_:
        for position in reader.positions:
            codes = rng.integers(0, len(reader.row_of_code) + 2, _N_ROWS)
            columns[position] = codes if reader.field.has_codes else rng.normal(size=_N_ROWS).astype(np.float32)
    names = getattr(classifier, "feature_names_in_", range(len(columns)))
    tensors = {value.name: columns[i].reshape(-1, 1) for i, value in enumerate(exported.model.graph.input)}
    return pd.DataFrame({name: columns[i] for i, name in enumerate(names)}), tensors
