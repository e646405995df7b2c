"""The other models, on the defaults of their libraries, as in the accuracy comparison, and two networks of pytabkit."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from _features import Categories, Flattener
from _models import Model, catboost, finalmlp, lightgbm, logistic_regression, mlp
from sklearn.pipeline import Pipeline, make_pipeline


def realmlp(seed: int, n_threads: int) -> Pipeline:
    """RealMLP with tuned defaults."""
    from pytabkit import RealMLP_TD_Classifier

    return _pytabkit(RealMLP_TD_Classifier, seed, n_threads)


def tabm(seed: int, n_threads: int) -> Pipeline:
    """TabM with its defaults."""
    from pytabkit import TabM_D_Classifier

    return _pytabkit(TabM_D_Classifier, seed, n_threads)


_PACKAGES = {"catboost": "catboost", "lightgbm": "lightgbm", "realmlp": "pytabkit", "tabm": "pytabkit"}

PEERS: dict[str, Model] = {
    name: model
    for name, model in {
        "finalmlp_defaults": finalmlp,
        "lightgbm": lightgbm,
        "logistic_regression": logistic_regression,
        "mlp": mlp,
        "catboost": catboost,
        "realmlp": realmlp,
        "tabm": tabm,
    }.items()
    if find_spec(_PACKAGES.get(name, "sklearn"))
}


def _pytabkit(network: Any, seed: int, n_threads: int) -> Pipeline:
    return make_pipeline(Flattener(), Categories(), network(device="cpu", random_state=seed, n_threads=n_threads))
