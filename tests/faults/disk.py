"""A disk that is full at some byte of a save, and from the first on in a fit."""

from __future__ import annotations

import random
import resource
import shutil
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import joblib

from .children import run
from .models import SAVES, Save, day, make_model, state_of_file, state_of_model
from .results import Result


def examine(folder: Path, n_tries: int, rng: random.Random) -> Iterator[Result]:
    """Each way of saving, and a fit."""
    for how, save in SAVES.items():
        yield _in_a_save(how, save, folder, n_tries, rng)
    result = Result("a full disk in a fit")
    result.add(run(partial(_fit, folder), folder / "work"))
    yield result


def _fill_disk(n_bytes: int) -> None:
    """No file of this process grows beyond so many bytes."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, resource.RLIM_INFINITY))


def _save(save: Save, folder: Path, path: Path, n_bytes: int) -> str:
    model = joblib.load(folder / "day2.joblib")
    _fill_disk(n_bytes)
    try:
        save(model, path)
    except OSError:
        outcome = "an error"
    else:
        outcome = "lost: no error"
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    return outcome


def _in_a_save(how: str, save: Save, folder: Path, n_tries: int, rng: random.Random) -> Result:
    result = Result(f"a full disk in a {how}", loses=how == "save in place")
    work, path = folder / "work", folder / "served.joblib"
    size = (folder / "day2.joblib").stat().st_size
    for _ in range(n_tries):
        shutil.copy(folder / "day1.joblib", path)
        outcome = run(partial(_save, save, folder, path, rng.randrange(size)), work)
        found = run(partial(state_of_file, path, folder), work)
        result.add(found if outcome == "an error" else outcome)
    return result


def _fit(folder: Path) -> str:
    _fill_disk(0)
    model = make_model().fit(*day(2))
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    return state_of_model(model, folder)
