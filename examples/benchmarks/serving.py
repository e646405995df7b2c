"""Answers to requests: one row, 500 candidates of one request, and many rows, by each way to serve a pipeline."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import _onnx_consumer
import joblib
import numpy as np
import pandas as pd
from _results import Result
from _sizes import Size
from _timing import Seconds, in_new_process, take_turns, timed
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OrdinalEncoder

import sk_finalmlp
from sk_finalmlp import CTREncoder, FinalMLPClassifier
from sk_finalmlp.datasets import make_click_data
from sk_finalmlp.serving import Predictor, make_predictor, to_onnx

_N_CANDIDATES = 500
_MANY_ROWS = 8192
_OF_THE_ITEM = ("item", "category", "tags")
_N_TREES = 300
_Call = Callable[[], Any]


def measure(size: Size) -> list[Result]:
    """Seconds of a request, sizes of the files, and seconds to load them."""
    X, y, _ = make_click_data(size.n_rows_prediction, random_state=0)
    # How well it is trained makes no difference to the time of a prediction.
    model = make_pipeline(CTREncoder(), FinalMLPClassifier(max_epochs=1, random_state=0, device="cpu")).fit(X, y)
    with TemporaryDirectory() as folder:
        files = _write(model, Path(folder))
        predictor = make_predictor(files["onnx"])
        seconds = _in_python(model, predictor, X, y, size)
        consumer = _elsewhere(predictor, files["onnx"], X, size)
        sizes = [
            Result("serving", f"size, {name}", [path.stat().st_size / 1e6], unit="MB") for name, path in files.items()
        ]
        load = {name: partial(in_new_process, seconds_to_load, name, str(path)) for name, path in files.items()}
        loads = take_turns(load, size.n_turns, n_warm_up=0)
    return [
        *(
            Result("serving", what, [s * 1e3 for s in values], unit="ms")
            for what, values in (seconds | consumer).items()
        ),
        *sizes,
        *(Result("serving", f"load, {name}", values, unit="s") for name, values in loads.items()),
    ]


def _write(model: Pipeline, folder: Path) -> dict[str, Path]:
    files = {"joblib": folder / "model.joblib", "save": folder / "model.sk", "onnx": folder / "model.onnx"}
    joblib.dump(model, files["joblib"])
    sk_finalmlp.save(model, files["save"])
    to_onnx(model, files["onnx"])
    return files


def seconds_to_load(name: str, path: str) -> float:
    """Seconds to load a file, once what it stands on is imported."""
    load = {"joblib": joblib.load, "save": sk_finalmlp.load, "onnx": make_predictor}[name]
    start = perf_counter()
    load(path)
    return perf_counter() - start


def _in_python(model: Pipeline, predictor: Predictor, X: pd.DataFrame, y: pd.Series, size: Size) -> Seconds:
    n_turns = 100 if size.n_turns > 1 else 1
    row, many = X[:1], X[:_MANY_ROWS]
    one = {"pipeline, frame": lambda: model.predict_proba(row), "predictor, dict": _of_dicts(predictor, row)}
    one |= {name: _of_trees(name, X, y) for name in ("scikit-learn", "catboost", "lightgbm") if _is_installed(name)}
    context, candidates = _candidates(X)
    table = X[:_N_CANDIDATES].assign(**{name: X[name].iloc[0] for name in context})
    some = {
        "pipeline, frame": lambda: model.predict_proba(table),
        "predictor, dicts": _of_dicts(predictor, table),
        "predictor, context and candidates": lambda: predictor.score_candidates(context, candidates),
    }
    batch = {"pipeline, frame": lambda: model.predict_proba(many), "predictor, dicts": _of_dicts(predictor, many)}
    return {
        **_turns("one row", one, n_turns),
        **_turns(f"{_N_CANDIDATES} candidates", some, n_turns),
        **_turns(f"{_MANY_ROWS} rows", batch, size.n_turns),
    }


def _turns(what: str, calls: dict[str, _Call], n_turns: int) -> Seconds:
    contestants = {f"{what}: {name}": timed(call) for name, call in calls.items()}
    return take_turns(contestants, n_turns, n_warm_up=5 if n_turns > 1 else 0)


def _of_dicts(predictor: Predictor, table: pd.DataFrame) -> _Call:
    rows = _as_json(table)
    return lambda: predictor(rows)


def _as_json(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as a server reads them, times as text."""
    return table.assign(time=table["time"].dt.strftime("%Y-%m-%dT%H:%M:%S")).to_dict("records")


def _candidates(X: pd.DataFrame) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    rows = _as_json(X[:_N_CANDIDATES])
    context = {name: value for name, value in rows[0].items() if name not in _OF_THE_ITEM}
    return context, [{name: row[name] for name in _OF_THE_ITEM} for row in rows]


def _is_installed(name: str) -> bool:
    return name == "scikit-learn" or importlib.util.find_spec(name) is not None


def _of_trees(name: str, X: pd.DataFrame, y: pd.Series) -> _Call:
    """One row by the prediction of the library itself, of what it takes: LightGBM takes codes, made before."""
    flat = X.assign(tags=X["tags"].map("|".join), time=X["time"].astype("int64"))
    texts = flat.select_dtypes(["object", "string"]).columns.tolist()
    if name == "catboost":
        from catboost import CatBoostClassifier

        model = CatBoostClassifier(
            _N_TREES, cat_features=texts, thread_count=1, verbose=False, allow_writing_files=False
        )
        return partial(model.fit(flat, y).predict_proba, flat[:1].to_numpy().tolist(), thread_count=1)
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    codes = flat.assign(**dict(zip(texts, encoder.fit_transform(flat[texts]).T, strict=True)))
    if name == "lightgbm":
        from lightgbm import LGBMClassifier

        model = LGBMClassifier(n_estimators=_N_TREES, n_jobs=1, verbose=-1).fit(codes.to_numpy(), y)
        return partial(model.booster_.predict, codes[:1].to_numpy(), num_threads=1)
    model = HistGradientBoostingClassifier(max_iter=_N_TREES, early_stopping=False).fit(codes, y)

    def predict() -> Any:
        row = flat[:1].copy()
        row[texts] = encoder.transform(row[texts])
        return model.predict_proba(row)

    return predict


def _elsewhere(predictor: Predictor, path: Path, X: pd.DataFrame, size: Size) -> Seconds:
    """ONNX Runtime alone, from another process, of tensors."""
    context, candidates = _candidates(X)
    requests = {
        "one row": _tensors(predictor, _as_json(X[:1])),
        f"{_N_CANDIDATES} candidates": _tensors(predictor, candidates, context),
        f"{_MANY_ROWS} rows": _tensors(predictor, _as_json(X[:_MANY_ROWS])),
    }
    files = []
    for number, tensors in enumerate(requests.values()):
        files.append(str(path.with_name(f"request_{number}.npz")))
        np.savez(files[-1], **tensors)
    n_calls = [2_000, 100, size.n_turns] if size.n_turns > 1 else [1, 1, 1]
    seconds = in_new_process(_onnx_consumer.seconds_of, str(path), files, n_calls)
    named = {f"{what}: ONNX Runtime alone": [seconds[file]] for what, file in zip(requests, files, strict=True)}
    return named | {"load, ONNX Runtime alone": [seconds["load"]]}


def _tensors(
    predictor: Predictor, rows: list[dict[str, Any]], context: dict[str, Any] | None = None
) -> dict[str, np.ndarray]:
    """Inputs of the graph; those of the context have one row."""
    context = context or {}
    return {
        column.name: column.tensor([row[column.name] for row in ([context] if column.name in context else rows)])
        for column in predictor._inputs
    }
