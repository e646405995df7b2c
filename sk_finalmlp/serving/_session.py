"""How graphs are run."""

from __future__ import annotations

import onnxruntime


def make_session(model: bytes | str) -> onnxruntime.InferenceSession:
    """A session of one thread, which for a few rows is the fastest, of a model or the path of its file."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
