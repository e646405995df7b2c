"""The packages of the extra `onnx`."""

from __future__ import annotations

import importlib


def require_extra(*names: str) -> None:
    """Raise an ImportError that says what to install, where one of these packages isn't."""
    for name in names:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            raise ImportError(
                f"sk_finalmlp.serving needs the package {name!r}. Install the extra: pip install 'sk-finalmlp[onnx]'."
            ) from error
