"""Epochs of the reference implementation, FuxiCTR, as points of seconds and AUC.

`fuxictr.py` in the folder above says how to install it, and which variables of the environment name it. It has the
configuration that was published for Frappe, and takes tables of which all columns are strings.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

sys.path.append(str(Path(__file__).parents[1]))

from _frappe import PUBLISHED
from fuxictr import HOME, finalmlp_parameters, run, write_config

_LABEL = "label_of_the_row"
_AUC = re.compile(r"\[Metrics\] AUC: ([\d.]+)")


def can_read(X: pd.DataFrame) -> bool:
    """Whether it is there, and takes the table."""
    contexts = {*PUBLISHED["fs1_context"], *PUBLISHED["fs2_context"]}
    are_strings = all(pd.api.types.is_string_dtype(dtype) for dtype in X.dtypes)
    return HOME in os.environ and are_strings and contexts <= set(X)


def points(
    X: pd.DataFrame, y: pd.Series, X_val: pd.DataFrame, y_val: pd.Series, n_epochs: int, seed: int
) -> Iterator[tuple[float, float]]:
    """Seconds of processor time at the end of each epoch, reading and encoding included, and AUC of validation rows."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        X.assign(**{_LABEL: y}).to_csv(folder / "train.csv", index=False)
        for part in ("valid", "test"):
            X_val.assign(**{_LABEL: y_val}).to_csv(folder / f"{part}.csv", index=False)
        columns = {"name": list(X), "active": True, "dtype": "str", "type": "categorical"}
        schedule = {"epochs": n_epochs, "early_stop_patience": n_epochs, "seed": seed}
        experiment = {**finalmlp_parameters(), **schedule, "model": "FinalMLP", "metrics": ["AUC", "logloss"]}
        write_config(folder, [columns], experiment, _LABEL)
        yield from _epochs(run(folder, "FinalMLP", _processor_seconds))


def _epochs(log: Iterator[tuple[float, str]]) -> Iterator[tuple[float, float]]:
    """What the log tells; its first line comes when all is imported, the last score is that of the best epoch again."""
    start, trains, in_evaluation = None, True, 0.0
    for now, line in log:
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
