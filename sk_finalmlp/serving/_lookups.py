"""Searches in tables: by value, and by order."""

from __future__ import annotations

from math import isqrt
from typing import Any

import numpy as np
import onnx.numpy_helper

from ._graph import ML_DOMAIN, Graph


def find(graph: Graph, values: str, known: np.ndarray, codes: Any, unknown: int) -> str:
    """Codes (int64) of known values, which are strings, int64 or doubles."""
    codes = np.asarray(codes, np.int64)
    if not len(known):
        shape = graph.node("Shape", values)
        return graph.node("ConstantOfShape", shape, value=onnx.numpy_helper.from_array(np.array([unknown])))
    if known.dtype == np.float64:
        return _find_doubles(graph, values, known, codes, unknown)
    attributes = {"keys_int64s" if known.dtype == np.int64 else "keys_strings": known.tolist()}
    return graph.node(
        "LabelEncoder",
        values,
        domain=ML_DOMAIN,
        values_int64s=codes.tolist(),
        default_int64=unknown,
        **attributes,
    )


def _find_doubles(graph: Graph, values: str, known: np.ndarray, codes: np.ndarray, unknown: int) -> str:
    tensors = {
        "keys_tensor": known,
        "values_tensor": codes.astype(np.float64),
        "default_tensor": np.array([unknown], np.float64),
    }
    attributes = {name: onnx.numpy_helper.from_array(array, name) for name, array in tensors.items()}
    return graph.cast(graph.node("LabelEncoder", values, domain=ML_DOMAIN, **attributes), "int64")


def count_below(graph: Graph, values: str, ascending: np.ndarray, *, or_equal: bool) -> str:
    """How many numbers of an ascending table are below each value, shape (n, 1), or not above it.

    ONNX has no search by order. Here it takes two steps, each a comparison with about the square root of all numbers:
    with the first of each block, and with those of the block that it must be in.
    """
    operation = "GreaterOrEqual" if or_equal else "Greater"
    size = isqrt(max(len(ascending) - 1, 0)) + 1
    n_blocks = max(-(-len(ascending) // size), 1)
    padding = np.full(n_blocks * size - len(ascending), np.inf)
    blocks = np.concatenate([ascending, padding]).reshape(n_blocks, size)

    def count(limits: str) -> str:
        above = graph.cast(graph.node(operation, values, limits), "int64")
        return graph.node("ReduceSum", above, graph.constant([1], np.int64), keepdims=1)

    n_begun = count(graph.constant(blocks[:, 0][np.newaxis]))
    block = graph.node(
        "Max", graph.node("Sub", n_begun, graph.constant([[1]], np.int64)), graph.constant([[0]], np.int64)
    )
    flat = graph.node("Squeeze", block, graph.constant([1], np.int64))
    within = count(graph.gather(blocks, flat))
    return graph.node("Add", graph.node("Mul", block, graph.constant([[size]], np.int64)), within)
