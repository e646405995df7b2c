"""An ONNX graph in the making: nodes and constants, layers of networks, searches in tables."""

from __future__ import annotations

import hashlib
from math import isqrt
from typing import Any, Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from ..nn import Activation, Dropout

OPSET: Final = 20
ML_OPSET: Final = 4
IR_VERSION: Final = 9
ML_DOMAIN: Final = "ai.onnx.ml"

_ELEMENT_TYPES: Final = {
    "string": TensorProto.STRING,
    "int64": TensorProto.INT64,
    "float": TensorProto.FLOAT,
    "double": TensorProto.DOUBLE,
    "bool": TensorProto.BOOL,
}
_LAYERS: Final = ["BatchNorm1d", "Dropout", "LayerNorm", "Linear", "ReLU", "Sequential", "sk_finalmlp.streams"]


class Unsupported(ValueError):
    """A column or a part that can't be exported; the message says what to do."""


class Graph:
    """Nodes and constants, each made once, with names that begin with "/", unlike columns."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}
        self._made: dict[Any, str] = {}
        self._parts: dict[str, tuple[str, int, int]] = {}
        self._scaled: dict[str, tuple[str, np.ndarray]] = {}
        self._affine: dict[str, tuple[str, np.ndarray, np.ndarray]] = {}
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []

    def input(self, name: str, element_type: str, n_rows: str = "n", width: int = 1) -> str:
        """Add a column of the table, shape (n_rows, width); runtimes take equal names of `n_rows` for equal numbers."""
        self._inputs.append(helper.make_tensor_value_info(name, _ELEMENT_TYPES[element_type], [n_rows, width]))
        return name

    def output(self, value: str, name: str, element_type: str, *width: int) -> None:
        """Make a tensor of shape (n, *width) an output."""
        self._nodes.append(helper.make_node("Identity", [value], [name]))
        self._outputs.append(helper.make_tensor_value_info(name, _ELEMENT_TYPES[element_type], ["n", *width]))

    def constant(self, array: Any, dtype: Any = None) -> str:
        """Add an array, or a parameter of a network."""
        array = np.ascontiguousarray(as_array(array) if isinstance(array, Tensor) else array, dtype)
        content = array.tolist() if array.dtype == object else hashlib.sha256(array.tobytes()).hexdigest()
        key = ("constant", str(array.dtype), array.shape, str(content))
        if key not in self._made:
            name = self._made[key] = f"/constant_{len(self._constants)}"
            self._constants[name] = numpy_helper.from_array(array, name)
        return self._made[key]

    def node(self, operation: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """Return the name of an operation's output."""
        key = (operation, inputs, tuple(sorted((name, str(value)) for name, value in attributes.items())))
        if domain == ML_DOMAIN or key not in self._made:
            return self._add(key, operation, inputs, domain, attributes, 1)[0]
        return self._made[key]

    def nodes(self, operation: str, *inputs: str, n_outputs: int, **attributes: Any) -> list[str]:
        """Return the names of an operation's outputs."""
        return self._add(None, operation, inputs, "", attributes, n_outputs)

    def _add(
        self, key: Any, operation: str, inputs: tuple[str, ...], domain: str, attributes: dict[str, Any], n_outputs: int
    ) -> list[str]:
        outputs = [f"/{operation}_{len(self._nodes)}_{position}" for position in range(n_outputs)]
        self._nodes.append(helper.make_node(operation, list(inputs), outputs, domain=domain, **attributes))
        if key is not None:
            self._made[key] = outputs[0]
        return outputs

    def cast(self, value: str, element_type: str) -> str:
        """Convert to another type."""
        return self.node("Cast", value, to=_ELEMENT_TYPES[element_type])

    def reshape(self, value: str, *shape: int) -> str:
        """Reshape; 0 keeps a size and -1 follows from the others."""
        return self.node("Reshape", value, self.constant(shape, np.int64))

    def unsqueeze(self, value: str, axis: int) -> str:
        """Insert an axis of size 1."""
        return self.node("Unsqueeze", value, self.constant([axis], np.int64))

    def sum(self, value: str, *axes: int, keepdims: int = 0) -> str:
        """Sum over axes."""
        return self.node("ReduceSum", value, self.constant(axes, np.int64), keepdims=keepdims)

    def concat(self, values: list[str]) -> str:
        """Concatenate columns; neighbours in one matrix are sliced in one piece."""
        pieces: list[str] = []
        for value in values:
            joined = self._joined(pieces[-1], value) if pieces else None
            pieces[-1:] = [joined] if joined else [*pieces[-1:], value]
        return pieces[0] if len(pieces) == 1 else self.node("Concat", *pieces, axis=1)

    def _joined(self, left: str, right: str) -> str | None:
        """Join columns of a matrix with the next ones in it; None if they aren't the next ones."""
        if left not in self._parts or right not in self._parts:
            return None
        (matrix, first, middle), (other, begin, last) = self._parts[left], self._parts[right]
        return self.columns(matrix, first, last) if (matrix, middle) == (other, begin) else None

    def affine(self, values: str, weight: np.ndarray, bias: np.ndarray) -> str:
        """Multiply rows by a matrix and add a row; factors of the columns become part of the matrix."""
        if values in self._scaled:
            unscaled, factors = self._scaled[values]
            return self.affine(unscaled, factors[:, np.newaxis] * weight, bias)
        output = self.node("Gemm", values, self.constant(weight, np.float32), self.constant(bias, np.float32))
        self._affine[output] = values, weight, bias
        return output

    def scaled(self, values: str, factors: np.ndarray) -> str:
        """Multiply columns by a factor each; in an affine map, the factors become part of it."""
        if values in self._affine:
            inputs, weight, bias = self._affine[values]
            return self.affine(inputs, weight * factors, bias * factors)
        output = self.node("Mul", values, self.constant(factors[np.newaxis], np.float32))
        self._scaled[output] = values, factors
        return output

    def shifted(self, values: str, row: np.ndarray) -> str:
        """Add a row to all rows; in an affine map, it becomes part of it."""
        if values in self._affine:
            inputs, weight, bias = self._affine[values]
            return self.affine(inputs, weight, bias + row)
        return self.node("Add", values, self.constant(row[np.newaxis], np.float32))

    def gather(self, table: Any, rows: str) -> str:
        """Look up entries, or rows, of a constant table."""
        return self.node("Gather", self.constant(table), rows, axis=0)

    def columns(self, value: str, first: int, last: int) -> str:
        """Slice a matrix from column `first` to the one before `last`."""
        bounds = [self.constant([number], np.int64) for number in (first, last, 1)]
        part = self.node("Slice", value, *bounds)
        self._parts[part] = (value, first, last)
        return part

    def columns_of(self, value: str, position: int) -> str:
        """Slice one column, shape (n, 1)."""
        return self.columns(value, position, position + 1)

    def linear(self, values: str, layer: nn.Linear) -> str:
        """Add a linear layer of rows."""
        bias = np.zeros(layer.out_features) if layer.bias is None else as_array(layer.bias).astype(np.float64)
        return self.affine(values, as_array(layer.weight).T.astype(np.float64), bias)

    def layer(self, values: str, layer: nn.Module) -> str:
        """Add a module in evaluation mode, (n, D) -> (n, D'); streams add their own nodes."""
        if hasattr(layer, "add_nodes"):
            output: str = layer.add_nodes(self, values)  # type: ignore[operator]
            return output
        if isinstance(layer, nn.Linear):
            return self.linear(values, layer)
        if isinstance(layer, Activation):
            return self.node("Relu", values if layer.norm is None else self._batch_norm(values, layer.norm))
        if isinstance(layer, nn.BatchNorm1d):
            return self._batch_norm(values, layer)
        if isinstance(layer, nn.LayerNorm):
            weights = self.constant(layer.weight), self.constant(layer.bias)
            return self.node("LayerNormalization", values, *weights, axis=-1, epsilon=layer.eps)
        if isinstance(layer, nn.ReLU):
            return self.node("Relu", values)
        if isinstance(layer, (Dropout, nn.Dropout)):
            return values
        if isinstance(layer, nn.Sequential) and type(layer).forward is nn.Sequential.forward:
            for each in layer:
                values = self.layer(values, each)
            return values
        raise Unsupported(
            f"A layer {type(layer).__name__} can't be exported; these can: {_LAYERS}. Serve the pipeline in Python, "
            "build the stream of these, or give it a method add_nodes, as the streams of sk_finalmlp.streams have."
        )

    def _batch_norm(self, values: str, norm: nn.BatchNorm1d) -> str:
        assert norm.running_var is not None
        assert norm.running_mean is not None
        scale = as_array(norm.weight) / np.sqrt(as_array(norm.running_var).astype(np.float64) + norm.eps)
        shift = as_array(norm.bias) - as_array(norm.running_mean) * scale
        return self.shifted(self.scaled(values, scale), shift)

    def model(self, metadata: dict[str, str]) -> onnx.ModelProto:
        """Return the finished model, without unused nodes."""
        nodes, needed = self._needed()
        constants = [constant for name, constant in self._constants.items() if name in needed]
        graph = helper.make_graph(nodes, "sk_finalmlp", self._inputs, self._outputs, constants)
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(ML_DOMAIN, ML_OPSET)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="sk_finalmlp")
        helper.set_model_props(model, metadata)
        return model

    def _needed(self) -> tuple[list[onnx.NodeProto], set[str]]:
        """Return the nodes that outputs need, and all that these read."""
        needed = {output.name for output in self._outputs}
        nodes: list[onnx.NodeProto] = []
        for node in reversed(self._nodes):
            if needed.intersection(node.output):
                needed.update(node.input)
                nodes.append(node)
        return nodes[::-1], needed


def as_array(parameter: Tensor) -> Any:
    """Return the numbers of a parameter."""
    return parameter.detach().cpu().numpy()


def sigmoid(graph: Graph, x: str) -> str:
    """Return 1 / (1 + exp(-x)): onnxruntime's own operator has a large relative error where it is small."""
    return graph.node(
        "Reciprocal", graph.node("Add", graph.node("Exp", graph.node("Neg", x)), graph.constant([[1]], np.float32))
    )


def find(graph: Graph, values: str, known: np.ndarray, codes: Any, unknown: int) -> str:
    """Return codes (int64) of known values, which are strings, int64 or doubles."""
    codes = np.asarray(codes, np.int64)
    if not len(known):
        shape = graph.node("Shape", values)
        return graph.node("ConstantOfShape", shape, value=numpy_helper.from_array(np.array([unknown])))
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
    attributes = {name: numpy_helper.from_array(array, name) for name, array in tensors.items()}
    return graph.cast(graph.node("LabelEncoder", values, domain=ML_DOMAIN, **attributes), "int64")


def count_below(graph: Graph, values: str, ascending: np.ndarray, *, or_equal: bool) -> str:
    """Count the numbers of an ascending table below (or not above) each value, (n, 1), by block and in the block."""
    operation = "GreaterOrEqual" if or_equal else "Greater"
    size = isqrt(max(len(ascending) - 1, 0)) + 1
    n_blocks = max(-(-len(ascending) // size), 1)
    padding = np.full(n_blocks * size - len(ascending), np.inf)
    blocks = np.concatenate([ascending, padding]).reshape(n_blocks, size)

    def count(limits: str) -> str:
        above = graph.cast(graph.node(operation, values, limits), "int64")
        return graph.sum(above, 1, keepdims=1)

    n_begun = count(graph.constant(blocks[:, 0][np.newaxis]))
    block = graph.node(
        "Max", graph.node("Sub", n_begun, graph.constant([[1]], np.int64)), graph.constant([[0]], np.int64)
    )
    flat = graph.node("Squeeze", block, graph.constant([1], np.int64))
    within = count(graph.gather(blocks, flat))
    return graph.node("Add", graph.node("Mul", block, graph.constant([[size]], np.int64)), within)
