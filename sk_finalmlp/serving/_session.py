"""onnxruntime and the other packages of the extra `onnx`."""

from __future__ import annotations

import importlib
from typing import Any


def require_extra(*names: str) -> None:
    """Raise an ImportError that says how to install the missing package."""
    for name in names:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            raise ImportError(
                f"sk_finalmlp.serving needs the package {name!r}. Install the extra: pip install 'sk-finalmlp[onnx]'."
            ) from error


def make_session(model: bytes | str) -> Any:
    """Make a session of one thread, the fastest for a few rows, of a model or a path."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
