"""Modules as nodes of a graph: they run on a few example rows, and each operation of torch adds its node."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import accumulate, pairwise
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from ._graph import Graph, Unsupported, as_array

#: Numbers of example rows. They are primes, so that only the axis of the rows has a multiple of them.
_PRIMES: Final = (97, 101, 103, 107)
#: What a module may ask of a tensor that depends on no value.
_OF_SHAPES: Final = ("get", "len", "size", "dim", "numel")


def add_module(graph: Graph, module: nn.Module, *inputs: tuple[str, int]) -> str:
    """Return the output of a module in evaluation mode, from values and their widths, (n, D) -> (n, D')."""
    if hasattr(module, "add_nodes"):
        return module.add_nodes(graph, *(value for value, _ in inputs))  # type: ignore[operator]
    device = next((weight.device for weight in module.parameters()), None)
    for n_rows in _PRIMES:
        rows = [_rows(torch.zeros(n_rows, width, device=device), graph, value, n_rows) for value, width in inputs]
        try:
            with torch.no_grad():
                result = module(*rows)
        except _AmbiguousAxisError:
            continue
        if isinstance(result, _Rows):
            return result.value
    raise Unsupported(f"A {type(module).__name__} can't be exported: the rows of its output aren't those of its input.")


class _AmbiguousAxisError(Exception):
    """Another axis than that of the rows has a multiple of the number of example rows."""


class _Rows(Tensor):
    """Example rows that stand for a value of a graph."""

    graph: Graph
    value: str
    n_rows: int

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation on the rows, and add it to the graph."""
        kwargs = kwargs or {}
        result = super().__torch_function__(func, types, args, kwargs)  # type: ignore[no-untyped-call]
        outputs = list(result) if isinstance(result, tuple | list) else [result]
        operation = func.__name__.strip("_")
        if operation in _OF_SHAPES and not any(isinstance(output, Tensor) for output in outputs):
            return result
        of = next(_rows_in([args, kwargs]))
        try:
            values = _OPERATIONS[operation](of.graph, result, *args, **kwargs)
        except (KeyError, TypeError) as error:
            raise Unsupported(
                f"The operation {operation!r} of torch can't be exported, or not in this form; these can: "
                f"{[*_OPERATIONS]}. Serve the pipeline in Python, build the stream of these, or give it a method "
                "add_nodes(graph, x)."
            ) from error
        for output, value in zip(outputs, [values] if isinstance(values, str) else values, strict=True):
            _rows(output, of.graph, value, of.n_rows)
        return result


def _rows(tensor: Tensor, graph: Graph, value: str, n_rows: int) -> _Rows:
    rows = tensor.as_subclass(_Rows) if type(tensor) is Tensor else tensor
    assert isinstance(rows, _Rows)
    rows.graph, rows.value, rows.n_rows = graph, value, n_rows
    return rows


def _rows_in(arguments: Any) -> Iterator[_Rows]:
    for argument in arguments.values() if isinstance(arguments, dict) else arguments:
        if isinstance(argument, _Rows):
            yield argument
        elif isinstance(argument, tuple | list | dict):
            yield from _rows_in(argument)


# Each operation gets the graph, the result on the example rows, and the arguments of torch's function.


def _operand(graph: Graph, value: Any) -> str:
    if isinstance(value, _Rows):
        return value.value
    return graph.constant(value, None if isinstance(value, Tensor) else np.float32)


def _node(operation: str) -> Callable[..., str]:
    def add(graph: Graph, result: Any, *operands: Any, inplace: bool = False) -> str:
        return graph.node(operation, *(_operand(graph, operand) for operand in operands))

    return add


def _reshape(graph: Graph, result: Any, x: _Rows, *shape: Any, **options: Any) -> str:
    if not result.numel():
        return ""  # an operand that a concatenation leaves out
    shape = tuple(-1 if size % x.n_rows == 0 else size for size in result.shape)
    if shape.count(-1) != 1:
        raise _AmbiguousAxisError
    return graph.reshape(x.value, *shape)


def _permute(graph: Graph, result: Any, x: _Rows, *order: int) -> str:
    return graph.node("Transpose", x.value, perm=list(order))


def _transpose(graph: Graph, result: Any, x: _Rows, dim0: int, dim1: int) -> str:
    order = [*range(len(result.shape))]
    order[dim0], order[dim1] = order[dim1], order[dim0]
    return _permute(graph, result, x, *order)


def _concat(graph: Graph, result: Any, tensors: Any, dim: int = 0) -> str:
    values = [_operand(graph, tensor) for tensor in tensors if tensor.numel()]
    return graph.concat(values) if dim == 1 else graph.node("Concat", *values, axis=dim)


def _split(graph: Graph, result: Any, x: _Rows, sizes: Any, *, dim: int) -> list[str]:
    if dim != 1:
        raise TypeError(f"dim={dim}")
    ends = accumulate((part.shape[1] for part in result), initial=0)
    return [graph.columns(x.value, *bounds) for bounds in pairwise(ends)]


def _item(graph: Graph, result: Any, x: _Rows, index: Any) -> str:
    rows, chosen, *others = index
    if rows != slice(None) or not isinstance(chosen, slice | Tensor):
        raise TypeError(str(index))
    if isinstance(chosen, slice):
        first, last, _ = chosen.indices(x.shape[1])
        return graph.columns(x.value, first, last) if result.numel() else ""
    value = x.value
    if others:
        value, chosen = graph.reshape(value, -1, x.shape[1] * x.shape[2]), chosen * x.shape[2] + others[0]
    return graph.node("Gather", value, graph.constant(chosen), axis=1)


def _linear(graph: Graph, result: Any, x: _Rows, weight: Tensor, bias: Tensor | None = None) -> str:
    if len(x.shape) > 2:
        product = graph.node("MatMul", x.value, graph.constant(weight.T))
        return product if bias is None else graph.node("Add", product, graph.constant(bias))
    shift = torch.zeros(len(weight)) if bias is None else bias
    return graph.affine(x.value, as_array(weight).T.astype(np.float64), as_array(shift).astype(np.float64))


def _batch_norm(
    graph: Graph, result: Any, x: _Rows, mean: Any, var: Any, *, weight: Any, bias: Any, eps: float, **options: Any
) -> str:
    scale = as_array(weight) / np.sqrt(as_array(var).astype(np.float64) + eps)
    return graph.shifted(graph.scaled(x.value, scale), as_array(bias) - as_array(mean) * scale)


def _layer_norm(graph: Graph, result: Any, x: _Rows, shape: Any, weight: Any, bias: Any, eps: float) -> str:
    weights = [torch.ones(shape) if weight is None else weight, *([] if bias is None else [bias])]
    return graph.node("LayerNormalization", x.value, *map(graph.constant, weights), axis=-len(shape), epsilon=eps)


def _sum(graph: Graph, result: Any, x: _Rows, dim: Any, keepdim: bool = False) -> str:
    return graph.sum(x.value, *np.atleast_1d(dim).tolist(), keepdims=int(keepdim))


def _einsum(graph: Graph, result: Any, equation: str, *operands: Any) -> str:
    return graph.node("Einsum", *(_operand(graph, operand) for operand in operands), equation=equation)


def _addcmul(graph: Graph, result: Any, x: Any, left: Any, right: Any) -> str:
    return graph.node("Add", _operand(graph, x), _node("Mul")(graph, result, left, right))


_OPERATIONS: Final[dict[str, Callable[..., Any]]] = {
    **dict.fromkeys(("view", "reshape", "flatten", "unflatten", "unsqueeze", "squeeze"), _reshape),
    **dict.fromkeys(("add", "radd"), _node("Add")),
    **dict.fromkeys(("mul", "rmul"), _node("Mul")),
    **dict.fromkeys(("matmul", "bmm"), _node("MatMul")),
    **dict.fromkeys(("div", "truediv"), _node("Div")),
    **dict.fromkeys(("split", "chunk"), _split),
    "addcmul": _addcmul,
    "batch_norm": _batch_norm,
    "cat": _concat,
    "dropout": lambda graph, result, x, **options: x.value,
    "einsum": _einsum,
    "getitem": _item,
    "layer_norm": _layer_norm,
    "linear": _linear,
    "permute": _permute,
    "relu": _node("Relu"),
    "rsub": lambda graph, result, x, left: _node("Sub")(graph, result, left, x),
    "sigmoid": _node("Sigmoid"),
    "softmax": lambda graph, result, x, dim, **options: graph.node("Softmax", x.value, axis=dim),
    "square": lambda graph, result, x: graph.node("Mul", x.value, x.value),
    "sub": _node("Sub"),
    "sum": _sum,
    "tanh": _node("Tanh"),
    "transpose": _transpose,
}
