"""kill -9 at random moments of a fit from files, which goes on from its checkpoint when it is run again."""

from __future__ import annotations

import random
import shutil
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from .children import Child, files_left, measured, run, seconds_of
from .models import day, make_model, predictions
from .results import Result


def examine(folder: Path, n_tries: int, rng: random.Random) -> Iterator[Result]:
    """Kill fits in all of their phases: passes over the files, shuffle, epochs."""
    write_files(folder / "clicks")
    work, expected = folder / "work", folder / "from_files.npy"
    seconds = seconds_of(partial(_fit_and_save, folder, folder / "first", expected), work)
    result = Result("kill -9 in a fit from files, then the same fit again")
    for _ in range(n_tries):
        checkpoint = folder / "checkpoint"
        shutil.rmtree(checkpoint, ignore_errors=True)
        killed = Child(partial(_fit_and_save, folder, checkpoint, folder / "killed.npy"), work)
        killed.interrupt(rng.uniform(0, seconds), signal.SIGKILL)
        killed.wait()
        result.add(_outcome(folder, checkpoint, work, expected))
    yield result


def write_files(folder: Path) -> None:
    """Write two days of clicks as two files."""
    folder.mkdir()
    for number in (1, 2):
        X, y = day(number)
        pq.write_table(pa.Table.from_pandas(X.assign(click=y)), folder / f"day{number}.parquet", row_group_size=400)


def _fit_and_save(folder: Path, checkpoint: Path, path: Path) -> str:
    encoder: dict[str, Any] = {"enc__temp_folder": str(folder / "temporary")}
    (folder / "temporary").mkdir(exist_ok=True)
    model = make_model(checkpoint=str(checkpoint)).set_params(**encoder)
    with measured():
        model.fit(folder / "clicks", "click")
    np.save(path, predictions(model))
    return "fitted"


def _outcome(folder: Path, checkpoint: Path, work: Path, expected: Path) -> str:
    went_on = any(checkpoint.glob("*"))
    path = folder / "resumed.npy"
    if (outcome := run(partial(_fit_and_save, folder, checkpoint, path), work)) != "fitted":
        return f"lost: {outcome}"
    if left := files_left(folder / "temporary") + files_left(checkpoint):
        return f"lost: {left[0]} was left behind"
    if not np.array_equal(np.load(path), np.load(expected)):
        return "lost: other predictions"
    return "went on, the same bits" if went_on else "began anew, the same bits"
