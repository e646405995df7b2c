"""The other models, on the defaults of their libraries, as in the accuracy comparison."""

from __future__ import annotations

from _models import (
    Model,
    catboost,
    finalmlp,
    is_installed,
    lightgbm,
    logistic_regression,
    mlp,
    realmlp,
    tabm,
)

PEERS: dict[str, Model] = {
    "finalmlp_defaults": finalmlp,
    "lightgbm": lightgbm,
    "logistic_regression": logistic_regression,
    "mlp": mlp,
    "catboost": catboost,
    "realmlp": realmlp,
    "tabm": tabm,
}


def installed() -> list[str]:
    """Names of the peers whose packages are there."""
    return [name for name in PEERS if is_installed(name)]
