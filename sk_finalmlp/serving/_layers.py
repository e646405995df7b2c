"""Layers of networks as nodes of a graph."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from ..nn import Activation, Dropout, Linear
from ._encoder import Unsupported
from ._graph import Graph


def as_array(tensor: torch.Tensor) -> Any:
    """The numbers of a parameter."""
    return tensor.detach().cpu().numpy()


def add_layer(graph: Graph, values: str, layer: nn.Module) -> str:
    """A layer of an MLP in evaluation, (n, D) -> (n, D')."""
    if isinstance(layer, Linear):
        return add_linear(graph, values, layer)
    if isinstance(layer, Activation):
        return graph.node("Relu", values if layer.norm is None else _normalised(graph, values, layer.norm))
    if isinstance(layer, nn.BatchNorm1d):
        return _normalised(graph, values, layer)
    if isinstance(layer, nn.ReLU):
        return graph.node("Relu", values)
    if isinstance(layer, nn.Sequential):
        return add_layers(graph, values, layer)
    if isinstance(layer, Dropout):
        return values
    raise Unsupported(f"A layer {type(layer).__name__} can't be exported.")


def add_layers(graph: Graph, values: str, layers: nn.Sequential) -> str:
    """One layer after the other."""
    for layer in layers:
        values = add_layer(graph, values, layer)
    return values


def add_linear(graph: Graph, values: str, layer: nn.Linear) -> str:
    """An affine map."""
    inputs = [values, graph.constant(as_array(layer.weight).T)]
    if layer.bias is not None:
        inputs.append(graph.constant(as_array(layer.bias)))
    return graph.node("Gemm", *inputs)


def _normalised(graph: Graph, values: str, norm: nn.BatchNorm1d) -> str:
    assert norm.running_var is not None
    assert norm.running_mean is not None
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    shift = norm.bias - norm.running_mean * scale
    scaled = graph.node("Mul", values, graph.constant(as_array(scale)[np.newaxis]))
    return graph.node("Add", scaled, graph.constant(as_array(shift)[np.newaxis]))
