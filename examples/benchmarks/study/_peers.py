"""The other models, on the defaults of their libraries, as in the accuracy comparison."""

from __future__ import annotations

from _models import MODELS, Model, finalmlp, is_installed

_NAMES = ("lightgbm", "logistic_regression", "mlp", "catboost", "realmlp", "tabm")

PEERS: dict[str, Model] = {"finalmlp_defaults": finalmlp} | {name: MODELS[name] for name in _NAMES}


def installed() -> list[str]:
    """Names of the peers whose packages are there."""
    return [name for name in PEERS if is_installed(name)]
