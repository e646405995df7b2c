"""Whether an exported graph answers as the model does, on rows of the kinds that the training table had."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd

from ..schema import column_names
from ._encoder import known_values
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
        values = [None] * _N_ROWS if part is None else _values(kinds[name], reading["like"], part, rng)
        is_time = part is not None and reading["like"].startswith(("timestamp", "date"))
        columns[name] = pd.Series(values, dtype=None if is_time else object)
    tensors = {column.name: column.tensor(columns[column.name].tolist()) for column in exported.inputs}
    return pd.DataFrame(columns), tensors


def _values(kind: str, like: str, part: Any, rng: np.random.Generator) -> list[Any]:
    """Draw values of a column by the kind of its tensor: known ones, unseen ones and missing ones."""
    known = _chosen(known_values(part["vocabulary"]), rng) if "vocabulary" in part else []
    unseen = _UNSEEN if like == "large_string" else -1
    if kind == "text":
        return _drawn([*known, None, _UNSEEN], rng)
    if kind == "boolean" or like == "bool":
        return _drawn([None, False, True], rng)
    if kind == "integer":
        return _drawn([*known, None, max(known, default=0) // 2 + 1, -1], rng)
    if kind == "time":
        return _times(like, rng)
    if kind == "vector":
        mean = part["scale"]["mean"]
        return [*(part["scale"]["unit"] * (mean + rng.normal(size=(_N_ROWS - 1, len(mean))))).tolist(), None]
    if kind == "number":
        return _numbers(known, part, rng)
    elements = [*known, unseen, *([None] if kind == "history" else [])]
    lengths = rng.integers(0, part["n_columns"] + 2, _N_ROWS - 1)
    lists = [[elements[position] for position in rng.integers(0, len(elements), length)] for length in lengths]
    if kind == "elements" and part["splits_strings"]:
        return [*(part["separator"].join(map(str, values)) for values in lists), None]
    return [*lists, None]


def _chosen(values: np.ndarray, rng: np.random.Generator) -> list[Any]:
    return values[rng.permutation(len(values))[:_N_ROWS]].tolist()


def _drawn(values: list[Any], rng: np.random.Generator) -> list[Any]:
    return [values[position] for position in rng.integers(0, len(values), _N_ROWS)]


def _numbers(known: list[Any], part: Any, rng: np.random.Generator) -> list[Any]:
    scale = float(part.get("unit", 1.0))
    inner = np.asarray(part.get("values", part.get("edges", [])), float) * (scale if "values" in part else 1.0)
    if part["$part"] in ("CategoricalEncoder", "PretrainedEncoder"):
        inner = np.asarray(known, float)
    between = rng.normal(size=_N_ROWS) * (scale + np.abs(inner).max(initial=1.0))
    return _drawn([*_chosen(inner, rng), *between.tolist(), *_EXTREMES], rng)


def _times(like: str, rng: np.random.Generator) -> list[Any]:
    zone = like.partition("tz=")[2].rstrip("]") or None
    times = pd.to_datetime(rng.integers(_FIRST_TIME, _LAST_TIME, _N_ROWS), unit="us").as_unit("us")
    if zone is not None:
        times = times.tz_localize("UTC").tz_convert(zone)
    return [*times[:-1], pd.NaT]


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
