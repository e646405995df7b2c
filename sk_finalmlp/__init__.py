"""FinalMLP, the two-stream MLP for click prediction, as scikit-learn estimators."""

from __future__ import annotations

import importlib
import logging
import pkgutil
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# A library stays silent unless a log is configured.
logging.getLogger(__name__).addHandler(logging.NullHandler())

# Public names load on first use (PEP 562): the encoder needs no torch.
_MODULE_OF = {
    "CTREncoder": "sk_finalmlp.preprocessing",
    "FinalMLPClassifier": "sk_finalmlp.estimators",
    "FunnelClassifier": "sk_finalmlp.estimators",
    "ModelFileError": "sk_finalmlp.model_files",
    "load": "sk_finalmlp.model_files",
    "model_card": "sk_finalmlp.model_cards",
    "published_configs": "sk_finalmlp.estimators",
    "save": "sk_finalmlp.model_files",
    "update": "sk_finalmlp.updates",
}

# Modules load on first use, too: `import sk_finalmlp` and then `sk_finalmlp.serving.to_onnx`.
_MODULES = {module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_")}

__all__ = [
    "CTREncoder",
    "FinalMLPClassifier",
    "FunnelClassifier",
    "ModelFileError",
    "__version__",
    "load",
    "model_card",
    "published_configs",
    "save",
    "update",
]

if TYPE_CHECKING:
    from .estimators import FinalMLPClassifier, FunnelClassifier, published_configs
    from .model_cards import model_card
    from .model_files import ModelFileError, load, save
    from .preprocessing import CTREncoder
    from .updates import update


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULE_OF[name]), name)


def __dir__() -> list[str]:
    return sorted([*__all__, *_MODULES])
