"""An ONNX graph in the making."""

from __future__ import annotations

import hashlib
from typing import Any, Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

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


class Graph:
    """Nodes and constants; what is asked for twice is made once.

    Names of what is inside begin with "/", so that no column has one of them.
    """

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
        """A column of the table, shape (n_rows, width); runtimes take what goes by one name for one number."""
        self._inputs.append(helper.make_tensor_value_info(name, _ELEMENT_TYPES[element_type], [n_rows, width]))
        return name

    def output(self, value: str, name: str, element_type: str, *width: int) -> None:
        """Give a tensor of shape (n, *width) to whoever runs the graph."""
        self._nodes.append(helper.make_node("Identity", [value], [name]))
        self._outputs.append(helper.make_tensor_value_info(name, _ELEMENT_TYPES[element_type], ["n", *width]))

    def constant(self, array: Any, dtype: Any = None) -> str:
        """A tensor that all rows share."""
        array = np.ascontiguousarray(array, dtype)
        content = array.tolist() if array.dtype == object else hashlib.sha256(array.tobytes()).hexdigest()
        key = ("constant", str(array.dtype), array.shape, str(content))
        if key not in self._made:
            name = self._made[key] = f"/constant_{len(self._constants)}"
            self._constants[name] = numpy_helper.from_array(array, name)
        return self._made[key]

    def node(self, operation: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """Name of the output of an operation."""
        key = (operation, inputs, tuple(sorted((name, str(value)) for name, value in attributes.items())))
        if domain == ML_DOMAIN or key not in self._made:
            return self._add(key, operation, inputs, domain, attributes, 1)[0]
        return self._made[key]

    def nodes(self, operation: str, *inputs: str, n_outputs: int, **attributes: Any) -> list[str]:
        """Names of the outputs of an operation that has several."""
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
        """The same values as another type."""
        return self.node("Cast", value, to=_ELEMENT_TYPES[element_type])

    def concat(self, values: list[str]) -> str:
        """Columns side by side; what lies side by side in one matrix is taken from there in one piece."""
        pieces: list[str] = []
        for value in values:
            joined = self._joined(pieces[-1], value) if pieces else None
            pieces[-1:] = [joined] if joined else [*pieces[-1:], value]
        return pieces[0] if len(pieces) == 1 else self.node("Concat", *pieces, axis=1)

    def _joined(self, left: str, right: str) -> str | None:
        """Columns of a matrix with those that come next in it; None where they don't."""
        if left not in self._parts or right not in self._parts:
            return None
        (matrix, first, middle), (other, begin, last) = self._parts[left], self._parts[right]
        return self.columns(matrix, first, last) if (matrix, middle) == (other, begin) else None

    def affine(self, values: str, weight: np.ndarray, bias: np.ndarray) -> str:
        """Rows times a matrix, plus a row; factors of the columns become part of the matrix."""
        if values in self._scaled:
            unscaled, factors = self._scaled[values]
            return self.affine(unscaled, factors[:, np.newaxis] * weight, bias)
        output = self.node("Gemm", values, self.constant(weight, np.float32), self.constant(bias, np.float32))
        self._affine[output] = values, weight, bias
        return output

    def scaled(self, values: str, factors: np.ndarray) -> str:
        """Columns times a factor each; those of an affine map become part of it."""
        if values in self._affine:
            inputs, weight, bias = self._affine[values]
            return self.affine(inputs, weight * factors, bias * factors)
        output = self.node("Mul", values, self.constant(factors[np.newaxis], np.float32))
        self._scaled[output] = values, factors
        return output

    def shifted(self, values: str, row: np.ndarray) -> str:
        """Rows plus a row; that of an affine map becomes part of it."""
        if values in self._affine:
            inputs, weight, bias = self._affine[values]
            return self.affine(inputs, weight, bias + row)
        return self.node("Add", values, self.constant(row[np.newaxis], np.float32))

    def gather(self, table: Any, rows: str) -> str:
        """Entries, or rows, of a constant table."""
        return self.node("Gather", self.constant(table), rows, axis=0)

    def columns(self, value: str, first: int, last: int) -> str:
        """Columns of a matrix, from the first to the one before the last."""
        bounds = [self.constant([number], np.int64) for number in (first, last, 1)]
        part = self.node("Slice", value, *bounds)
        self._parts[part] = (value, first, last)
        return part

    def columns_of(self, value: str, position: int) -> str:
        """One column of a matrix, shape (n, 1)."""
        return self.columns(value, position, position + 1)

    def model(self, metadata: dict[str, str]) -> onnx.ModelProto:
        """The finished model, without what no output needs."""
        nodes, needed = self._needed()
        constants = [constant for name, constant in self._constants.items() if name in needed]
        graph = helper.make_graph(nodes, "sk_finalmlp", self._inputs, self._outputs, constants)
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(ML_DOMAIN, ML_OPSET)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="sk_finalmlp")
        helper.set_model_props(model, metadata)
        return model

    def _needed(self) -> tuple[list[onnx.NodeProto], set[str]]:
        """The nodes that outputs need, and all that these read."""
        needed = {output.name for output in self._outputs}
        nodes: list[onnx.NodeProto] = []
        for node in reversed(self._nodes):
            if needed.intersection(node.output):
                needed.update(node.input)
                nodes.append(node)
        return nodes[::-1], needed
