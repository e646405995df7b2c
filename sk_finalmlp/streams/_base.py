"""Base class of the streams' parameters."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from numbers import Integral, Real
from typing import Any, ClassVar, Final

import torch
from sklearn.base import BaseEstimator
from torch import nn

from .._sklearn import Interval, StrOptions
from ..nn import Linear, StreamChain

AT_LEAST_ONE: Final = Interval(Integral, 1, None, closed="left")
FRACTION: Final = Interval(Real, 0, 1, closed="left")
ARRAY: Final = "array-like"


class StreamParameters(BaseEstimator, metaclass=ABCMeta):
    """Parameters of a stream, from which `build` makes the torch module."""

    units: Any = None

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {"units": [AT_LEAST_ONE, StrOptions({"auto"}), None]}

    def build(
        self, n_fields: int, embedding_dim: int, n_statistics: int, generator: torch.Generator | None = None
    ) -> nn.Module:
        """Make the stream.

        Parameters
        ----------
        n_fields : int
            Number F of fields with an embedding that the stream reads.
        embedding_dim : int
            Embedding dimension d.
        n_statistics : int
            Number S of statistics that it reads; these have no embedding.
        generator : torch.Generator, default=None
            Random generator of the initial weights; torch's global one if None.

        Returns
        -------
        torch.nn.Module
            Module that maps the concatenated embeddings and statistics, shape (B, F * d + S), to the stream's output,
            shape (B, out_features).
        """
        self._validate_params()
        stream = self._make(n_fields, embedding_dim, n_statistics, generator)
        if self.units is None or self.units == "auto":
            return stream
        return StreamChain(stream, Linear(_width(stream), int(self.units), generator=generator))

    def _automatic_units(self, width: int) -> int | None:
        """The value of `units="auto"` if the fusion needs a width."""
        return width

    @abstractmethod
    def _make(
        self, n_fields: int, embedding_dim: int, n_statistics: int, generator: torch.Generator | None
    ) -> nn.Module:
        """The stream in its own width."""


def _width(stream: nn.Module) -> int:
    width = stream.out_features
    assert isinstance(width, Integral)  # a sum of numpy's integers is one of them
    return int(width)
