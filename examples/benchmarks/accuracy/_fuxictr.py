"""Epochs of the reference implementation, FuxiCTR, as points of seconds and AUC.

`fuxictr.py` in the folder above says how to install it, and which variables of the environment name it. It has the
configuration that was published for Frappe, and takes tables of which all columns are strings.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pandas as pd

from sk_finalmlp import finalmlp_configs

HOME = "FUXICTR_HOME"
_EXPERIMENT, _DATASET, _LABEL = "time_to_score", "table", "label_of_the_row"
_AUC = re.compile(r"\[Metrics\] AUC: ([\d.]+)")
_PUBLISHED = finalmlp_configs["frappe"]
# Parameters that both have, by the same name.
_NAMED_ALIKE = (
    *("embedding_dim", "mlp1_hidden_units", "mlp2_hidden_units", "mlp1_dropout", "mlp2_dropout"),
    *("mlp1_batch_norm", "mlp2_batch_norm", "fs_hidden_units", "num_heads"),
    *("fs1_context", "fs2_context", "embedding_regularizer", "net_regularizer", "learning_rate", "batch_size"),
)


def can_read(X: pd.DataFrame) -> bool:
    """Whether it is there, and takes the table."""
    contexts = {*_PUBLISHED["fs1_context"], *_PUBLISHED["fs2_context"]}
    are_strings = all(pd.api.types.is_string_dtype(dtype) for dtype in X.dtypes)
    return HOME in os.environ and are_strings and contexts <= set(X)


def points(
    X: pd.DataFrame, y: pd.Series, X_val: pd.DataFrame, y_val: pd.Series, n_epochs: int, seed: int
) -> Iterator[tuple[float, float]]:
    """Seconds of processor time at the end of each epoch, reading and encoding included, and AUC of validation rows."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        X.assign(**{_LABEL: y}).to_csv(folder / "train.csv", index=False)
        X_val.assign(**{_LABEL: y_val}).to_csv(folder / "valid.csv", index=False)
        for file, content in _config(folder, list(X), n_epochs, seed).items():
            # JSON is YAML too.
            (folder / f"{file}.yaml").write_text(json.dumps(content), encoding="utf-8")
        home = Path(os.environ[HOME]).resolve()
        command = [
            os.environ.get("FUXICTR_PYTHON", str(home / "venv/bin/python")),
            str(home / "model_zoo/FinalMLP/run_expid.py"),
            *("--config", str(folder), "--expid", _EXPERIMENT, "--gpu", "-1"),
        ]
        environment = {**os.environ, "PYTHONPATH": str(home)}
        with subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        ) as process:
            assert process.stderr is not None
            yield from _epochs(process.stderr, process.pid)
        if process.returncode:
            raise RuntimeError(f"FuxiCTR ended with status {process.returncode}: run {' '.join(command)} to see why.")


def _epochs(log: IO[str], pid: int) -> Iterator[tuple[float, float]]:
    """What the log tells; its first line comes when all is imported, the last score is that of the best epoch again."""
    start, trains, in_evaluation = None, True, 0.0
    for line in log:
        now = _processor_seconds(pid)
        start = now if start is None else start
        trains = trains and "Training finished" not in line
        if "Evaluation @epoch" in line:
            began = now
        elif trains and (found := _AUC.search(line)):
            # Scoring isn't counted.
            in_evaluation += now - began
            yield now - start - in_evaluation, float(found[1])


def _processor_seconds(pid: int) -> float:
    """Those of a process that runs, which Linux tells."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _config(folder: Path, columns: list[str], n_epochs: int, seed: int) -> dict[str, Any]:
    dataset = {
        "data_root": f"{folder}/",
        "data_format": "csv",
        "train_data": f"{folder}/train.csv",
        "valid_data": f"{folder}/valid.csv",
        "test_data": f"{folder}/valid.csv",
        "min_categr_count": 1,
        "feature_cols": [{"name": columns, "active": True, "dtype": "str", "type": "categorical"}],
        "label_col": {"name": _LABEL, "dtype": "float"},
    }
    base = {
        "model_root": f"{folder}/checkpoints/",
        "num_workers": 0,
        "verbose": 1,
        "early_stop_patience": n_epochs,
        "pickle_feature_encoder": True,
        "save_best_only": True,
        "eval_steps": None,
        "debug_mode": False,
        "group_id": None,
        "use_features": None,
        "feature_specs": None,
        "feature_config": None,
    }
    published = {name: list(v) if isinstance(v := _PUBLISHED[name], tuple) else v for name in _NAMED_ALIKE}
    experiment = {
        **published,
        "model": "FinalMLP",
        "dataset_id": _DATASET,
        "loss": "binary_crossentropy",
        "metrics": ["AUC", "logloss"],
        "task": "binary_classification",
        "optimizer": "adam",
        "use_fs": True,
        "epochs": n_epochs,
        "shuffle": True,
        "mlp1_hidden_activations": "relu",
        "mlp2_hidden_activations": "relu",
        "seed": seed,
        "monitor": "AUC",
        "monitor_mode": "max",
    }
    return {"dataset_config": {_DATASET: dataset}, "model_config": {"Base": base, _EXPERIMENT: experiment}}
