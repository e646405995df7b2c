"""A small model of two days, and what state it is in after a fault."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from sklearn.pipeline import Pipeline

from sk_finalmlp import CTREncoder, FinalMLPClassifier
from sk_finalmlp.datasets import make_click_data
from sk_finalmlp.streams import MLP

MAX_EPOCHS = 4

Save = Callable[[Any, Path], None]


def make_model(**parameters: Any) -> Pipeline:
    """The pipeline, not yet fitted."""
    classifier = FinalMLPClassifier(
        stream1=MLP((32,)),
        stream2=MLP((32,)),
        num_heads=2,
        n_members=1,
        # So that a fit interrupted after some epochs is a fit of as many, and each epoch makes another model.
        schedule="plateau",
        early_stopping=False,
        random_state=0,
        **{"max_epochs": MAX_EPOCHS} | parameters,
    )
    return Pipeline([("enc", CTREncoder()), ("clf", classifier)])


def day(number: int) -> tuple[Any, Any]:
    """Rows and labels of a day; users and items of another day have other codes."""
    X, y, _ = make_click_data(1_200, n_users=100, n_items=50, random_state=number)
    return X, y


def predictions(model: Pipeline) -> np.ndarray:
    """Probabilities of rows of both days."""
    probabilities: np.ndarray = np.concatenate([model.predict_proba(day(number)[0])[:, 1] for number in (1, 2)])
    return probabilities


def prepare(folder: Path) -> str:
    """Write the models of both days, what they predict, and what the second does after each number of epochs."""
    for number in (1, 2):
        model = make_model().fit(*day(number))
        joblib.dump(model, folder / f"day{number}.joblib")
        np.save(folder / f"day{number}.npy", predictions(model))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for epochs in range(1, MAX_EPOCHS):
            model = make_model(max_epochs=epochs).fit(*day(2))
            np.save(folder / f"day2-{epochs}.npy", predictions(model))
    return "prepared"


def state_of_file(path: Path, folder: Path) -> str:
    """Which model a file holds."""
    try:
        found = predictions(joblib.load(path))
    except Exception as error:  # noqa: BLE001  (whatever it is, the model is lost)
        return f"lost: unreadable ({type(error).__name__})"
    for number in (1, 2):
        if np.array_equal(found, np.load(folder / f"day{number}.npy")):
            return "the old model" if number == 1 else "the new model"
    return "lost: other predictions"


def state_of_model(model: Pipeline, folder: Path) -> str:
    """Which model an object is after a fit that was interrupted."""
    try:
        found = predictions(model)
    except Exception as error:  # noqa: BLE001  (an error is an answer, a wrong number is none)
        return f"an error ({type(error).__name__})"
    for number, state in {1: "the old model", 2: "the new model"}.items():
        if np.array_equal(found, np.load(folder / f"day{number}.npy")):
            return state
    if np.array_equal(found, np.load(folder / f"day2-{model[-1].n_iter_}.npy")):
        return "the new model so far"
    return "lost: other predictions"


def save_in_place(model: Any, path: Path) -> None:
    """What everybody does."""
    joblib.dump(model, path)


def save_beside(model: Any, path: Path) -> None:
    """What a model in service needs: the old file stays until the new one is whole."""
    beside = path.with_suffix(".part")
    joblib.dump(model, beside)
    os.replace(beside, path)


SAVES: dict[str, Save] = {"save in place": save_in_place, "save beside, then replace": save_beside}
