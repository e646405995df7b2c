"""A server that has ONNX Runtime and NumPy alone, without sk_finalmlp: run in a process of its own."""

from __future__ import annotations

import sys
from time import perf_counter

import numpy as np
import onnxruntime


def seconds_of(model: str, requests: list[str], n_calls: list[int]) -> dict[str, float]:
    """Median seconds of a call for each file of tensors, and of loading the model."""
    start = perf_counter()
    session = _session(model)
    seconds = {"load": perf_counter() - start}
    for request, n in zip(requests, n_calls, strict=True):
        tensors = dict(np.load(request, allow_pickle=True))
        seconds[request] = float(np.median([_seconds_of_call(session, tensors) for _ in range(n)]))
    assert "sk_finalmlp" not in sys.modules
    return seconds


def _session(model: str) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _seconds_of_call(session: onnxruntime.InferenceSession, tensors: dict[str, np.ndarray]) -> float:
    start = perf_counter()
    session.run(["probabilities"], tensors)
    return perf_counter() - start
