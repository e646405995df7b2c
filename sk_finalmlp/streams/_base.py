"""What all streams share: the class of their parameters, and the vectors of fields and statistics."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from numbers import Integral, Real
from typing import Any, ClassVar, Final, NamedTuple, Protocol

import torch
from sklearn.base import BaseEstimator
from torch import Tensor, nn

from .._checks import check_widths
from .._sklearn import AT_LEAST_ONE, Interval, StrOptions
from ..nn import Linear, StreamChain, draw_normal

_BOOLEAN: Final = ["boolean"]

#: What parameters of streams may be; a name means the same in all of them.
_CONSTRAINTS: Final[dict[str, list[Any]]] = {
    "activation": [StrOptions({"relu"}), None],
    "attention_dim": [AT_LEAST_ONE],
    "batch_norm": _BOOLEAN,
    "block_units": [AT_LEAST_ONE],
    "dropout": [Interval(Real, 0, 1, closed="left")],
    "embedding_norm": _BOOLEAN,
    "field_gate": _BOOLEAN,
    "hidden_units": ["array-like"],
    "layer_norm": _BOOLEAN,
    "n_blocks": [Interval(Integral, 0, None, closed="left")],
    "n_experts": [AT_LEAST_ONE],
    "n_heads": [AT_LEAST_ONE],
    "n_layers": [AT_LEAST_ONE],
    "n_terms": [AT_LEAST_ONE],
    "rank": [AT_LEAST_ONE, None],
    "reduction_ratio": [Interval(Real, 0, None, closed="neither")],
    "scaled": _BOOLEAN,
    "units": [AT_LEAST_ONE, StrOptions({"auto"}), None],
    "version": [StrOptions({"v1", "v2"})],
}

_START_STD = 1e-4


#: A tensor of a graph, with the operators +, -, *, /, <, > for others, arrays and weights.
Value = Any


class Graph(Protocol):
    """The graph that a module's `add_nodes` adds ONNX nodes to, (n, D) -> (n, out_features)."""

    def node(self, operation: str, *inputs: Any, **attributes: Any) -> Value: ...
    def constant(self, array: Any, dtype: Any = None) -> Value: ...
    def concat(self, values: list[Value]) -> Value: ...
    def columns(self, value: Value, first: int, last: int) -> Value: ...
    def reshape(self, value: Value, *shape: int) -> Value: ...
    def unsqueeze(self, value: Value, axis: int) -> Value: ...
    def sum(self, value: Value, *axes: int) -> Value: ...
    def layer(self, values: Value, layer: nn.Module) -> Value: ...


class Reads(NamedTuple):
    """Input of a stream, F fields of length d and S statistics, and the generator of its initial weights."""

    n_fields: int
    embedding_dim: int
    n_statistics: int
    generator: torch.Generator | None

    @property
    def n_features(self) -> int:
        """Width of the input, F * d + S."""
        return self.n_fields * self.embedding_dim + self.n_statistics

    def split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Split the input into vectors of the fields, (B, F, d), and statistics, (B, S)."""
        n_embedded = self.n_fields * self.embedding_dim
        return x[:, :n_embedded].reshape(len(x), self.n_fields, self.embedding_dim), x[:, n_embedded:]

    def split_nodes(self, graph: Graph, x: Value) -> tuple[Value, list[Value]]:
        """Add the nodes of `split`: the vectors, and the statistics if there are any."""
        n_embedded = self.n_fields * self.embedding_dim
        vectors = graph.columns(x, 0, n_embedded) if self.n_statistics else x
        statistics = [graph.columns(x, n_embedded, self.n_features)] if self.n_statistics else []
        return graph.reshape(vectors, -1, self.n_fields, self.embedding_dim), statistics


class StreamParameters(BaseEstimator, metaclass=ABCMeta):
    """Parameters of a stream; `build` makes the torch module."""

    units: Any = None

    _fewest_layers: ClassVar[int] = 1
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        known = {name: _CONSTRAINTS[name] for name in cls.__annotations__ if name in _CONSTRAINTS}
        cls._parameter_constraints = known | vars(cls).get("_parameter_constraints", {})

    def build(
        self, n_fields: int, embedding_dim: int, n_statistics: int, generator: torch.Generator | None = None
    ) -> nn.Module:
        """Make the stream.

        Parameters
        ----------
        n_fields, embedding_dim, n_statistics, generator
            As for :meth:`sk_finalmlp.nn.StreamBuilder.build`.

        Returns
        -------
        torch.nn.Module
            The stream, as it is described there.
        """
        self._validate_params()
        if hasattr(self, "hidden_units"):
            check_widths(self, "hidden_units", self._fewest_layers)
        stream = self._make(Reads(n_fields, embedding_dim, n_statistics, generator))
        if self.units is None or self.units == "auto":
            return stream
        # A sum of NumPy's integers is a NumPy integer.
        width: Any = stream.out_features
        return StreamChain(stream, Linear(int(width), int(self.units), generator=generator))

    def _automatic_units(self, width: int) -> int | None:
        """Return what `units="auto"` means if the fusion needs a width."""
        return width

    @abstractmethod
    def _make(self, reads: Reads) -> nn.Module:
        """Make the stream in its own width."""


class FieldVectors(nn.Module):
    """A vector for each field, and for each statistic a learned vector times its value."""

    def __init__(self, reads: Reads) -> None:
        super().__init__()
        self.reads = reads._replace(generator=None)
        self.n_vectors = reads.n_fields + reads.n_statistics
        self.statistics = nn.Parameter(torch.empty(reads.n_statistics, reads.embedding_dim))
        draw_normal(self.statistics, _START_STD, reads.generator)

    def forward(self, x: Tensor) -> Tensor:
        """(B, F * d + S) -> (B, F + S, d)."""
        vectors, statistics = self.reads.split(x)
        if not len(self.statistics):
            return vectors
        return torch.cat([vectors, statistics.unsqueeze(2) * self.statistics], dim=1)

    def add_nodes(self, graph: Graph, x: Value) -> Value:
        """(n, F * d + S) -> (n, F + S, d)."""
        if not self.reads.n_fields:
            return graph.unsqueeze(x, 2) * self.statistics[None]
        vectors, statistics = self.reads.split_nodes(graph, x)
        return graph.concat([vectors, *(graph.unsqueeze(own, 2) * self.statistics[None] for own in statistics)])
