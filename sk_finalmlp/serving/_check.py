"""Whether an exported graph answers as the model does, on rows of the kinds that the training table had."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pandas as pd

from ..schema import column_names
from ._encoder import known_values
from ._export import Exported, exportable
from ._inputs import Input
from ._session import make_session

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
    table = _encoded_rows(exported.classifier, rng) if exported.encoder is None else _raw_rows(exported, rng)
    tensors = _tensors_of_codes(exported, table) if exported.encoder is None else _tensors(exported.inputs, table)
    X: Any = table if hasattr(model, "feature_names_in_") else table.to_numpy()
    if exported.classifier is None:
        _check_columns(session, tensors, exported.encoder, X)
    else:
        labels, probabilities = session.run(["label", "probabilities"], tensors)
        _check_predictions(labels, probabilities, model, X, table)


def _check_predictions(labels: np.ndarray, probabilities: np.ndarray, model: Any, X: Any, table: pd.DataFrame) -> None:
    expected = model.predict_proba(X)
    _compare("a probability", probabilities, expected, table)
    relative = np.abs(probabilities - expected) / np.maximum(expected, _SMALLEST)
    if (worst := float(relative.max())) > _RELATIVE_TOLERANCE:
        _fail("a probability", f"{worst:.2e} times its value", table, relative.max(axis=1))
    # Where two classes are as likely, rounding decides.
    second, first = np.sort(expected, axis=1)[:, -2:].T
    is_other = (labels != exportable(model.predict(X))) & (first - second > _TOLERANCE)
    if is_other.any():
        _fail("a label", "another class", table, is_other)


def _check_columns(session: Any, tensors: dict[str, np.ndarray], encoder: Any, X: Any) -> None:
    names = column_names(encoder.fields_)
    encoded = encoder.transform(X)
    columns = [encoded[name] for name in names] if isinstance(encoded, pd.DataFrame) else encoded.T
    for name, outputs, column in zip(names, session.run(None, tensors), columns, strict=True):
        _compare(f"column {name!r}", outputs.ravel(), np.asarray(column), pd.DataFrame(X))


def _compare(what: str, outputs: np.ndarray, expected: np.ndarray, table: pd.DataFrame) -> None:
    differences = np.abs(outputs - expected).reshape(len(table), -1).max(axis=1)
    if (worst := float(differences.max())) > _TOLERANCE:
        _fail(what, f"{worst:.2e}", table, differences)


def _fail(what: str, by: str, table: pd.DataFrame, differences: np.ndarray) -> None:
    row = table.iloc[int(differences.argmax())].to_dict()
    raise RuntimeError(
        f"The exported graph and the model differ in {what} by {by} on the row {row}. Please report it; serve the "
        "model in Python until it is fixed."
    )


def _tensors(inputs: list[Input], table: pd.DataFrame) -> dict[str, np.ndarray]:
    return {column.name: column.tensor(table[column.name].tolist()) for column in inputs}


def _raw_rows(exported: Exported, rng: np.random.Generator) -> pd.DataFrame:
    inputs = {column.name: column for column in exported.inputs}
    columns = {}
    for name, (reading, part) in exported.columns.items():
        # A dropped column may hold anything.
        values = [None] * _N_ROWS if part is None else _ROWS[inputs[name].kind](reading, part, rng)
        columns[name] = pd.Series(values, dtype=None if _is_time(reading, part) else object)
    return pd.DataFrame(columns)


def _is_time(reading: Any, part: Any) -> bool:
    return part is not None and reading["like"].startswith(("timestamp", "date"))


def _drawn(values: list[Any], rng: np.random.Generator) -> list[Any]:
    return [values[position] for position in rng.integers(0, len(values), _N_ROWS)]


def _vocabulary(part: Any, rng: np.random.Generator) -> list[Any]:
    known = known_values(part["vocabulary"]).tolist()
    return [known[position] for position in rng.permutation(len(known))[:_N_ROWS]]


def _texts(reading: Any, part: Any, rng: np.random.Generator) -> list[Any]:
    return _drawn([*_vocabulary(part, rng), None, _UNSEEN], rng)


def _booleans(reading: Any, part: Any, rng: np.random.Generator) -> list[Any]:
    return _drawn([None, False, True], rng)


def _integers(reading: Any, part: Any, rng: np.random.Generator) -> list[Any]:
    known = _vocabulary(part, rng)
    return _drawn([*known, None, max(known, default=0) // 2 + 1, -1], rng)


def _numbers(reading: Any, part: Any, rng: np.random.Generator) -> list[Any]:
    if reading["like"] == "bool":
        return _booleans(reading, part, rng)
    scale = float(part.get("unit", 1.0))
    inner = np.asarray(part.get("values", part.get("edges", [])), float) * (scale if "values" in part else 1.0)
    if "vocabulary" in part and part["$part"] in ("CategoricalEncoder", "PretrainedEncoder"):
        inner = np.asarray(_vocabulary(part, rng), float)
    between = rng.normal(size=_N_ROWS) * (scale + np.abs(inner).max(initial=1.0))
    return _drawn([*inner[rng.permutation(len(inner))[:_N_ROWS]].tolist(), *between.tolist(), *_EXTREMES], rng)


def _times(reading: Any, part: Any, rng: np.random.Generator) -> list[Any]:
    zone = reading["like"].partition("tz=")[2].rstrip("]") or None
    times = pd.to_datetime(rng.integers(_FIRST_TIME, _LAST_TIME, _N_ROWS), unit="us").as_unit("us")
    if zone is not None:
        times = times.tz_localize("UTC").tz_convert(zone)
    return [*times[:-1], pd.NaT]


def _lists(reading: Any, part: Any, rng: np.random.Generator) -> list[Any]:
    elements = [*_vocabulary(part, rng), *([_UNSEEN] if reading["like"] == "large_string" else [-1])]
    lists = [
        [elements[position] for position in rng.integers(0, len(elements), length)]
        for length in rng.integers(0, part["n_columns"] + 2, _N_ROWS - 1)
    ]
    if part["splits_strings"]:
        return [*(part["separator"].join(map(str, values)) for values in lists), None]
    return [*lists, None]


def _vectors(reading: Any, part: Any, rng: np.random.Generator) -> list[Any]:
    scale = part["scale"]
    vectors = scale["unit"] * (scale["mean"] + rng.normal(size=(_N_ROWS - 1, len(scale["mean"]))))
    return [*vectors.tolist(), None]


def _histories(reading: Any, part: Any, rng: np.random.Generator) -> list[Any]:
    elements = [*_vocabulary(part, rng), None, _UNSEEN if reading["like"] == "large_string" else -1]
    lengths = rng.integers(0, part["n_columns"] + 2, _N_ROWS - 1)
    return [*([elements[place] for place in rng.integers(0, len(elements), length)] for length in lengths), None]


_ROWS: Final[dict[str, Callable[[Any, Any, np.random.Generator], list[Any]]]] = {
    "text": _texts,
    "integer": _integers,
    "boolean": _booleans,
    "number": _numbers,
    "time": _times,
    "elements": _lists,
    "vector": _vectors,
    "history": _histories,
}


def _encoded_rows(classifier: Any, rng: np.random.Generator) -> pd.DataFrame:
    columns: dict[int, np.ndarray] = {}
    for reader in classifier.table_reader_:
        for position in reader.positions:
            codes = rng.integers(0, len(reader.row_of_code) + 2, _N_ROWS)
            columns[position] = codes if reader.field.has_codes else rng.normal(size=_N_ROWS).astype(np.float32)
    names = getattr(classifier, "feature_names_in_", range(len(columns)))
    return pd.DataFrame({name: columns[position] for position, name in enumerate(names)})


def _tensors_of_codes(exported: Exported, table: pd.DataFrame) -> dict[str, np.ndarray]:
    names = [value.name for value in exported.model.graph.input]
    columns = (column.to_numpy() for _, column in table.items())
    return {name: column.reshape(-1, 1) for name, column in zip(names, columns, strict=True)}
