"""An ONNX graph in the making: values with operators, layers of networks, searches in tables."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
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

#: Single precision, as the weights of networks have it.
ONE: Final = np.ones((1, 1), np.float32)

_LAYERS: Final = ["BatchNorm1d", "Dropout", "LayerNorm", "Linear", "ReLU", "Sequential", "sk_finalmlp.streams"]


class Unsupported(ValueError):
    """A column or a part that can't be exported; the message says what to do."""


def _operator(operation: str) -> Callable[[Value, Any], Value]:
    return lambda value, other: value.graph.node(operation, value, other)


@dataclass(frozen=True)
class Value:
    """A tensor of a graph, with the operators of NumPy; a number is a constant of shape (1, 1), int64 or double."""

    graph: Graph
    name: str

    __add__ = _operator("Add")
    __sub__ = _operator("Sub")
    __mul__ = _operator("Mul")
    #: The quotient of integers is rounded towards 0.
    __truediv__ = _operator("Div")
    __mod__ = _operator("Mod")
    __lt__ = _operator("Less")
    __gt__ = _operator("Greater")
    __ge__ = _operator("GreaterOrEqual")

    def clip(self, low: Any, high: Any) -> Value:
        """Replace what is out of bounds by the bound."""
        return self.graph.node("Min", self.graph.node("Max", self, low), high)

    def where(self, condition: Value, otherwise: Any) -> Value:
        """Keep values where a condition holds."""
        return self.graph.node("Where", condition, self, otherwise)

    def cast(self, element_type: str) -> Value:
        """Convert to another type."""
        return self.graph.node("Cast", self, to=_type_of(element_type))


def _type_of(element_type: str) -> int:
    return TensorProto.DataType.Value(element_type.upper())


class Graph:
    """Nodes and constants, each made once, with names that begin with "/", unlike columns."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}
        self._made: dict[Any, Value] = {}
        self._parts: dict[Value, tuple[Value, int, int]] = {}
        self._widths: dict[Value, int] = {}
        self._scaled: dict[Value, tuple[Value, np.ndarray]] = {}
        self._affine: dict[Value, tuple[Value, np.ndarray, np.ndarray]] = {}
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []

    def input(self, name: str, element_type: str, n_rows: str = "n", width: int = 1) -> Value:
        """Add a column of the table, shape (n_rows, width); runtimes take equal names of `n_rows` for equal numbers."""
        self._inputs.append(helper.make_tensor_value_info(name, _type_of(element_type), [n_rows, width]))
        return Value(self, name)

    def output(self, value: Value, name: str, element_type: str, *width: int) -> None:
        """Make a tensor of shape (n, *width) an output."""
        self._nodes.append(helper.make_node("Identity", [value.name], [name]))
        self._outputs.append(helper.make_tensor_value_info(name, _type_of(element_type), ["n", *width]))

    def constant(self, array: Any, dtype: Any = None) -> Value:
        """Add an array, or a parameter of a network."""
        array = np.ascontiguousarray(as_array(array) if isinstance(array, Tensor) else array, dtype)
        content = array.tolist() if array.dtype == object else hashlib.sha256(array.tobytes()).hexdigest()
        key = ("constant", str(array.dtype), array.shape, str(content))
        if key not in self._made:
            name = f"/constant_{len(self._constants)}"
            self._constants[name] = numpy_helper.from_array(array, name)
            self._made[key] = Value(self, name)
        return self._made[key]

    def node(self, operation: str, *inputs: Any, **attributes: Any) -> Value:
        """Return the output of an operation on values, numbers and arrays."""
        values = tuple(self._value(value) for value in inputs)
        key = (operation, values, tuple(sorted((name, str(value)) for name, value in attributes.items())))
        if key not in self._made:
            (self._made[key],) = self.nodes(operation, *values, **attributes)
        return self._made[key]

    def nodes(self, operation: str, *inputs: Any, n_outputs: int = 1, **attributes: Any) -> list[Value]:
        """Return the outputs of a new operation; large tables as attributes make no keys to find it again."""
        names = [f"/{operation}_{len(self._nodes)}_{position}" for position in range(n_outputs)]
        values = [self._value(value).name for value in inputs]
        self._nodes.append(helper.make_node(operation, values, names, **attributes))
        return [Value(self, name) for name in names]

    def _value(self, given: Any) -> Value:
        if isinstance(given, Value):
            return given
        return self.constant(np.reshape(given, (1, 1)) if np.isscalar(given) else given)

    def reshape(self, value: Value, *shape: int) -> Value:
        """Reshape; 0 keeps a size and -1 follows from the others."""
        return self.node("Reshape", value, np.array(shape))

    def unsqueeze(self, value: Value, axis: int) -> Value:
        """Insert an axis of size 1."""
        return self.node("Unsqueeze", value, np.array([axis]))

    def sum(self, value: Value, *axes: int, keepdims: int = 0) -> Value:
        """Sum over axes."""
        return self.node("ReduceSum", value, np.array(axes), keepdims=keepdims)

    def concat(self, values: list[Value]) -> Value:
        """Concatenate columns; neighbours in one matrix are sliced in one piece."""
        pieces: list[Value] = []
        for value in values:
            joined = self._joined(pieces[-1], value) if pieces else None
            pieces[-1:] = [joined] if joined else [*pieces[-1:], value]
        return pieces[0] if len(pieces) == 1 else self.node("Concat", *pieces, axis=1)

    def _joined(self, left: Value, right: Value) -> Value | None:
        """Join columns of a matrix with the next ones in it; None if they aren't the next ones."""
        if left not in self._parts or right not in self._parts:
            return None
        (matrix, first, middle), (other, begin, last) = self._parts[left], self._parts[right]
        if (matrix, middle) != (other, begin):
            return None
        return matrix if (first, last) == (0, self._widths.get(matrix)) else self.columns(matrix, first, last)

    def affine(self, values: Value, weight: np.ndarray, bias: np.ndarray) -> Value:
        """Multiply rows by a matrix and add a row; factors of the columns become part of the matrix."""
        if values in self._scaled:
            unscaled, factors = self._scaled[values]
            return self.affine(unscaled, factors[:, np.newaxis] * weight, bias)
        output = self.node("Gemm", values, weight.astype(np.float32), bias.astype(np.float32))
        self._affine[output] = values, weight, bias
        return output

    def scaled(self, values: Value, factors: np.ndarray, shift: np.ndarray | None = None) -> Value:
        """Multiply columns by a factor each, and add a row; in an affine map, both become part of it."""
        if values in self._affine:
            inputs, weight, bias = self._affine[values]
            return self.affine(inputs, weight * factors, bias * factors + (0 if shift is None else shift))
        output = self.node("Mul", values, factors[np.newaxis].astype(np.float32))
        if shift is not None:
            return output + shift[np.newaxis].astype(np.float32)
        self._scaled[output] = values, factors
        return output

    def gather(self, table: Any, rows: Value) -> Value:
        """Look up entries, or rows, of a constant table."""
        return self.node("Gather", table, rows, axis=0)

    def columns(self, value: Value, first: int, last: int) -> Value:
        """Slice a matrix from column `first` to the one before `last`."""
        part = self.node("Slice", value, *(np.array([number]) for number in (first, last, 1)))
        self._parts[part] = (value, first, last)
        return part

    def split(self, matrix: Value, n_columns: int) -> list[Value]:
        """Slice a matrix into its columns, each of shape (n, 1)."""
        self._widths[matrix] = n_columns
        return [matrix] if n_columns == 1 else [self.columns(matrix, i, i + 1) for i in range(n_columns)]

    def linear(self, values: Value, layer: nn.Linear) -> Value:
        """Add a linear layer of rows."""
        bias = np.zeros(layer.out_features) if layer.bias is None else as_array(layer.bias).astype(np.float64)
        return self.affine(values, as_array(layer.weight).T.astype(np.float64), bias)

    def layer(self, values: Value, layer: nn.Module) -> Value:
        """Add a module in evaluation mode, (n, D) -> (n, D'); streams add their own nodes."""
        if hasattr(layer, "add_nodes"):
            output: Value = layer.add_nodes(self, values)  # type: ignore[operator]
            return output
        if isinstance(layer, nn.Linear):
            return self.linear(values, layer)
        if isinstance(layer, Activation):
            return self.node("Relu", values if layer.norm is None else self._batch_norm(values, layer.norm))
        if isinstance(layer, nn.BatchNorm1d):
            return self._batch_norm(values, layer)
        if isinstance(layer, nn.LayerNorm):
            return self.node("LayerNormalization", values, layer.weight, layer.bias, axis=-1, epsilon=layer.eps)
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

    def _batch_norm(self, values: Value, norm: nn.BatchNorm1d) -> Value:
        assert norm.running_var is not None
        assert norm.running_mean is not None
        scale = as_array(norm.weight) / np.sqrt(as_array(norm.running_var).astype(np.float64) + norm.eps)
        shift = as_array(norm.bias) - as_array(norm.running_mean) * scale
        return self.scaled(values, scale, shift)

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


def sigmoid(x: Value) -> Value:
    """Return 1 / (1 + exp(-x)): onnxruntime's own operator has a large relative error where it is small."""
    graph = x.graph
    return graph.node("Reciprocal", graph.node("Exp", graph.node("Neg", x)) + ONE)


def find(values: Value, known: np.ndarray, codes: Any, unknown: int) -> Value:
    """Return codes (int64) of known values, which are strings, int64 or doubles."""
    codes, graph = np.asarray(codes, np.int64), values.graph
    if not len(known):
        shape = graph.node("Shape", values)
        return graph.node("ConstantOfShape", shape, value=numpy_helper.from_array(np.array([unknown])))
    (found,) = graph.nodes("LabelEncoder", values, domain=ML_DOMAIN, **_look_up_tables(known, codes, unknown))
    return found.cast("int64") if known.dtype == np.float64 else found


def _look_up_tables(known: np.ndarray, codes: np.ndarray, unknown: int) -> dict[str, Any]:
    """Return the attributes of a look-up; onnxruntime finds no integers for doubles, but doubles."""
    if known.dtype != np.float64:
        keys = "keys_int64s" if known.dtype == np.int64 else "keys_strings"
        return {keys: known.tolist(), "values_int64s": codes.tolist(), "default_int64": unknown}
    tensors = {
        "keys_tensor": known,
        "values_tensor": codes.astype(np.float64),
        "default_tensor": np.array([unknown], np.float64),
    }
    return {name: numpy_helper.from_array(array, name) for name, array in tensors.items()}


def count_below(values: Value, ascending: np.ndarray, *, or_equal: bool) -> Value:
    """Count the numbers of an ascending table below (or not above) each value, (n, 1), by block and in the block."""
    graph = values.graph
    size = isqrt(max(len(ascending) - 1, 0)) + 1
    n_blocks = max(-(-len(ascending) // size), 1)
    padding = np.full(n_blocks * size - len(ascending), np.inf)
    blocks = np.concatenate([ascending, padding]).reshape(n_blocks, size)

    def count(limits: Any) -> Value:
        return graph.sum((values >= limits if or_equal else values > limits).cast("int64"), 1, keepdims=1)

    block = graph.node("Max", count(blocks[:, 0][np.newaxis]) - 1, 0)
    within = count(graph.gather(blocks, graph.node("Squeeze", block, np.array([1]))))
    return block * size + within
