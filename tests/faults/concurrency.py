"""Eight threads, and four processes, that predict and fit at once."""

from __future__ import annotations

import random
import threading
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import joblib
import numpy as np
import torch

from .children import Child, run
from .models import day, make_model, predictions, state_of_model
from .results import Result

N_THREADS = 8
N_PROCESSES = 4
_BATCHES = (1, 7, 300, 1024, 1200)


def examine(folder: Path, n_tries: int, rng: random.Random) -> Iterator[Result]:
    """Threads of one process, then processes."""
    for name, action in {"predict": _predict_in_threads, "fit": _fit_in_threads}.items():
        result = Result(f"{N_THREADS} threads {name} at once")
        for _ in range(n_tries):
            result.add(run(partial(action, folder), folder / "work"))
        yield result
    result = Result(f"{N_PROCESSES} processes fit and predict at once")
    for _ in range(n_tries):
        children = [Child(partial(_fit_and_predict, folder), folder / f"work{i}") for i in range(N_PROCESSES)]
        for child in children:
            result.add(child.wait())
    yield result


def _at_once(action: Callable[[int], str]) -> str:
    """The worst of what threads say that start together."""
    barrier = threading.Barrier(N_THREADS)

    def wait_and_act(number: int) -> str:
        barrier.wait()
        try:
            return action(number)
        except Exception as error:  # noqa: BLE001  (an error in one thread alone is a loss)
            return f"lost: {type(error).__name__}"

    before = _state_of_process()
    with ThreadPoolExecutor(N_THREADS) as pool:
        outcomes = Counter(pool.map(wait_and_act, range(N_THREADS)))
    if _state_of_process() != before:
        return "lost: the state of the process is another one"
    return next((outcome for outcome in outcomes if outcome.startswith("lost")), "as alone")


def _state_of_process() -> tuple[object, ...]:
    """What fits and predictions must leave as it is."""
    state = np.random.get_state()  # noqa: NPY002  (the global one is what is asked about)
    return (
        list(warnings.filters),
        state[1].tobytes(),
        state[2],
        torch.get_rng_state().tolist(),
        torch.get_num_threads(),
    )


def _predict_in_threads(folder: Path) -> str:
    """A model that nobody has used yet, so that all that is built lazily is built by all at once."""
    model, expected = joblib.load(folder / "day1.joblib"), np.load(folder / "day1.npy")
    X, _ = day(1)

    def act(number: int) -> str:
        for n_rows in np.roll(_BATCHES, number):
            got = model.predict_proba(X[:n_rows])[:, 1]
            if not np.array_equal(got, expected[:n_rows]):
                return "lost: other predictions"
        return "as alone"

    return _at_once(act)


def _fit_in_threads(folder: Path) -> str:
    X, y = day(2)
    return _at_once(lambda number: _compared(state_of_model(make_model().fit(X, y), folder)))


def _fit_and_predict(folder: Path) -> str:
    served = joblib.load(folder / "day1.joblib")
    if not np.array_equal(predictions(served), np.load(folder / "day1.npy")):
        return "lost: other predictions"
    return _compared(state_of_model(make_model().fit(*day(2)), folder))


def _compared(state: str) -> str:
    return "as alone" if state == "the new model" else f"lost: {state}"
