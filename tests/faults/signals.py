"""kill -9, SIGINT and SIGTERM at random moments of a fit and of a save."""

from __future__ import annotations

import random
import shutil
import signal
import warnings
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import joblib

from .children import Child, files_left, measured, run, seconds_of
from .models import SAVES, Save, day, state_of_file, state_of_model
from .results import Result

SIGNALS = {"kill -9": signal.SIGKILL, "SIGTERM": signal.SIGTERM, "SIGINT": signal.SIGINT}


def examine(folder: Path, n_tries: int, rng: random.Random) -> Iterator[Result]:
    """Each signal, in a fit and in each way of saving."""
    work, path = folder / "work", folder / "served.joblib"
    seconds = seconds_of(partial(_fit, folder), work)
    seconds_of_saves = {how: seconds_of(partial(_save, save, folder, path), work) for how, save in SAVES.items()}
    for name, number in SIGNALS.items():
        result = Result(f"{name} in a fit")
        for _ in range(n_tries):
            child = Child(partial(_fit, folder), work)
            child.interrupt(rng.uniform(0, seconds), number)
            outcome = child.wait()
            left = files_left(work)
            result.add(f"lost: {left[0]} was left behind" if left else outcome)
        yield result
        for how, save in SAVES.items():
            result = Result(f"{name} in a {how}", loses=how == "save in place")
            for _ in range(n_tries):
                shutil.copy(folder / "day1.joblib", path)
                child = Child(partial(_save, save, folder, path), work)
                child.interrupt(rng.uniform(0, seconds_of_saves[how]), number)
                child.wait()
                result.add(run(partial(state_of_file, path, folder), work))
            yield result


def _fit(folder: Path) -> str:
    """Fit the model of the first day to the second."""
    model = joblib.load(folder / "day1.joblib")
    X, y = day(2)
    # That it stopped early is what is to be seen.
    warnings.simplefilter("ignore")
    with suppress(KeyboardInterrupt), measured():
        model.fit(X, y)
    return state_of_model(model, folder)


def _save(save: Save, folder: Path, path: Path) -> str:
    model = joblib.load(folder / "day2.joblib")
    with measured():
        save(model, path)
    return "saved"
