"""The reference implementation, FuxiCTR, as an optional peer: its epochs against ours on the same rows.

It wants an environment of its own. In a clone of https://github.com/reczoo/FuxiCTR:

    python -m venv venv
    venv/bin/pip install torch numpy scipy pandas scikit-learn pyyaml h5py tqdm pyarrow packaging
    venv/bin/pip install keras_preprocessing "polars<2"

Then `FUXICTR_HOME` is the clone and `FUXICTR_PYTHON` the interpreter, `venv/bin/python` in the clone by default. None
of its code is used but by running its own script.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import pandas as pd
from _frappe import N_CODES, PUBLISHED, make_frappe_like
from _results import Result, ratio
from _sizes import Size
from _timing import take_turns

from sk_finalmlp import FinalMLPClassifier

HOME = "FUXICTR_HOME"
_EXPERIMENT, _DATASET = "benchmark", "frappe_like"
N_EPOCHS = 2
# Of what it wrote before it failed.
_LINES_SHOWN = 20

# Parameters that both have, by the same name.
_NAMED_ALIKE = (
    *("embedding_dim", "fs_hidden_units", "fs1_context", "fs2_context", "num_heads"),
    *("net_regularizer", "learning_rate", "batch_size"),
)


def measure(size: Size) -> list[Result]:
    """Epochs of both, in turns."""
    X, y = make_frappe_like(size.n_rows_training)
    with written_inputs(X, y, "FinalMLP", finalmlp_parameters()) as seconds_of_epoch:
        contestants = {"FuxiCTR": seconds_of_epoch, "sk_finalmlp": lambda: _our_seconds(X, y)}
        # A run takes a minute, and its first epoch is the warm-up.
        seconds = take_turns(contestants, max(1, size.n_turns // 3), n_warm_up=0)
    return [ratio("training epoch", seconds, *contestants, at_least=10)]


def _our_seconds(X: pd.DataFrame, y: pd.Series) -> float:
    classifier = FinalMLPClassifier(**{**PUBLISHED, "max_epochs": N_EPOCHS, "early_stopping": False})
    return float(classifier.fit(X, y).history_[-1]["seconds"])


@contextmanager
def written_inputs(
    X: pd.DataFrame, y: pd.Series, network: str, parameters: Mapping[str, Any]
) -> Iterator[Callable[[], float]]:
    """Write the rows and the parameters of a network for the reference, and give what trains and times it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write_inputs(folder, X, y, _experiment(network, parameters))
        yield partial(_seconds_of_epoch, folder, network)


def _seconds_of_epoch(folder: Path, network: str) -> float:
    """Seconds from the end of one epoch to the training loss of the next; its validation is not in them."""
    ends = dict(_ends_of_epochs(run(folder, network)))
    return ends["loss"] - ends["epoch"]


def run(
    folder: Path, network: str, clock: Callable[[int], float] = lambda _: perf_counter()
) -> Iterator[tuple[float, str]]:
    """Lines of the log of the experiment in a folder, each with the time at which it came.

    The clock gets the number of the process, whose time it may tell.
    """
    home = Path(os.environ[HOME]).resolve()
    command = [
        str(Path(os.environ.get("FUXICTR_PYTHON", home / "venv/bin/python")).absolute()),
        str(home / "model_zoo" / network / "run_expid.py"),
        *("--config", str(folder), "--expid", _EXPERIMENT, "--gpu", "-1"),
    ]
    environment = {**os.environ, "PYTHONPATH": str(home)}
    # It leaves a table of results where it runs.
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        last: deque[str] = deque(maxlen=_LINES_SHOWN)
        for line in process.stderr:
            last.append(line)
            yield clock(process.pid), line
    if process.returncode:
        raise RuntimeError(f"FuxiCTR ended with status {process.returncode}:\n{''.join(last)}")


def _ends_of_epochs(log: Iterator[tuple[float, str]]) -> Iterator[tuple[str, float]]:
    """When the log told of the end of the last epoch but one, and of the loss of the last."""
    for time, line in log:
        if f"Epoch={N_EPOCHS - 1} end" in line:
            yield "epoch", time
        elif "Train loss" in line:
            yield "loss", time


def _write_inputs(folder: Path, X: pd.DataFrame, y: pd.Series, experiment: dict[str, Any]) -> None:
    table = X.assign(click=y)
    table.to_csv(folder / "train.csv", index=False)
    for part in ("valid", "test"):
        table[: len(table) // 10].to_csv(folder / f"{part}.csv", index=False)
    columns = {"name": list(N_CODES), "active": True, "dtype": "str", "type": "categorical"}
    write_config(folder, [columns], experiment)


def write_config(folder: Path, columns: list[dict[str, Any]], experiment: dict[str, Any], label: str = "click") -> None:
    """Write what the run of an experiment wants, on train.csv, valid.csv and test.csv of this folder."""
    for name, content in _config(folder, columns, experiment, label).items():
        # JSON is YAML too.
        (folder / f"{name}.yaml").write_text(json.dumps(content), encoding="utf-8")


def _config(folder: Path, columns: list[dict[str, Any]], experiment: dict[str, Any], label: str) -> dict[str, Any]:
    dataset = {
        "data_root": f"{folder}/",
        "data_format": "csv",
        **{f"{part}_data": f"{folder}/{part}.csv" for part in ("train", "valid", "test")},
        "min_categr_count": 1,
        "feature_cols": columns,
        "label_col": {"name": label, "dtype": "float"},
    }
    common = {
        "dataset_id": _DATASET,
        "loss": "binary_crossentropy",
        "task": "binary_classification",
        "optimizer": "adam",
        "shuffle": True,
        "monitor": "AUC",
        "monitor_mode": "max",
    }
    model = {"Base": _base(folder), _EXPERIMENT: {**common, **experiment}}
    return {"dataset_config": {_DATASET: dataset}, "model_config": model}


def _base(folder: Path) -> dict[str, Any]:
    return {
        "model_root": f"{folder}/checkpoints/",
        "num_workers": 0,
        "verbose": 1,
        "early_stop_patience": 2,
        "pickle_feature_encoder": True,
        "save_best_only": True,
        "eval_steps": None,
        "debug_mode": False,
        "group_id": None,
        "use_features": None,
        "feature_specs": None,
        "feature_config": None,
    }


def finalmlp_parameters() -> dict[str, Any]:
    """Those of the configuration that was published for Frappe, by the reference's names."""
    published = {name: PUBLISHED[name] for name in _NAMED_ALIKE}
    published["embedding_regularizer"], _ = PUBLISHED["embedding_regularizer"]
    for theirs, ours in (("mlp1", "stream1"), ("mlp2", "stream2")):
        published |= {f"{theirs}_{name}": value for name, value in PUBLISHED[ours].get_params().items()}
        published[f"{theirs}_hidden_activations"] = "relu"
    lists = {name: list(value) for name, value in published.items() if isinstance(value, tuple)}
    return {**published, **lists, "use_fs": True}


def _experiment(network: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {**parameters, "model": network, "metrics": ["AUC", "logloss"], "epochs": N_EPOCHS, "seed": 2021}
