"""Layers of networks as nodes of a graph."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import torch
from torch import nn

from ..nn import Activation, Dropout
from ._encoder import Unsupported
from ._graph import Graph

_LAYERS: Final = ["BatchNorm1d", "Dropout", "Linear", "ReLU", "Sequential"]


def as_array(tensor: torch.Tensor) -> Any:
    """The numbers of a parameter."""
    return tensor.detach().cpu().numpy()


def add_layer(graph: Graph, values: str, layer: nn.Module) -> str:
    """A layer of an MLP in evaluation, (n, D) -> (n, D')."""
    if isinstance(layer, nn.Linear):
        return add_linear(graph, values, layer)
    if isinstance(layer, Activation):
        return graph.node("Relu", values if layer.norm is None else _normalised(graph, values, layer.norm))
    if isinstance(layer, nn.BatchNorm1d):
        return _normalised(graph, values, layer)
    if isinstance(layer, nn.ReLU):
        return graph.node("Relu", values)
    if isinstance(layer, nn.Sequential):
        return add_layers(graph, values, layer)
    if isinstance(layer, (Dropout, nn.Dropout)):
        return values
    raise Unsupported(
        f"A layer {type(layer).__name__} can't be exported; these can: {_LAYERS}. Serve the pipeline in Python, or "
        "build the stream of these."
    )


def add_layers(graph: Graph, values: str, layers: nn.Sequential) -> str:
    """One layer after the other."""
    for layer in layers:
        values = add_layer(graph, values, layer)
    return values


def add_linear(graph: Graph, values: str, layer: nn.Linear) -> str:
    """A linear layer."""
    bias = np.zeros(layer.out_features) if layer.bias is None else as_array(layer.bias).astype(np.float64)
    return graph.affine(values, as_array(layer.weight).T.astype(np.float64), bias)


def _normalised(graph: Graph, values: str, norm: nn.BatchNorm1d) -> str:
    assert norm.running_var is not None
    assert norm.running_mean is not None
    scale = as_array(norm.weight) / np.sqrt(as_array(norm.running_var).astype(np.float64) + norm.eps)
    shift = as_array(norm.bias) - as_array(norm.running_mean) * scale
    return graph.shifted(graph.scaled(values, scale), shift)
