"""The other models, on the defaults of their libraries, as in the accuracy comparison, and RealMLP of pytabkit."""

from __future__ import annotations

from importlib.util import find_spec

from _features import Categories, Flattener
from _models import Model, catboost, finalmlp, lightgbm, logistic_regression, mlp
from sklearn.pipeline import Pipeline, make_pipeline


def realmlp(seed: int, n_threads: int) -> Pipeline:
    """RealMLP with tuned defaults."""
    from pytabkit import RealMLP_TD_Classifier

    network = RealMLP_TD_Classifier(device="cpu", random_state=seed, n_threads=n_threads)
    return make_pipeline(Flattener(), Categories(), network)


PEERS: dict[str, Model] = {
    "finalmlp_defaults": finalmlp,
    "lightgbm": lightgbm,
    "logistic_regression": logistic_regression,
    "mlp": mlp,
    "catboost": catboost,
    "realmlp": realmlp,
}

_PACKAGES = {"catboost": "catboost", "lightgbm": "lightgbm", "realmlp": "pytabkit"}


def installed() -> list[str]:
    """Names of the peers whose packages are there."""
    return [name for name in PEERS if find_spec(_PACKAGES.get(name, "sklearn"))]
