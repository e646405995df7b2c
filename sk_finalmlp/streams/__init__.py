"""Parameters of streams: `FinalMLPClassifier` builds its streams from them, and a search can set them.

Each has a short name, its class name in lower case, which stands for its defaults.
"""

from __future__ import annotations

from copy import copy
from typing import Any

from sklearn.base import clone

from ..nn import StreamBuilder
from ._attention import SelfAttention
from ._base import StreamParameters
from ._cin import CIN
from ._cross import CrossNet, GatedCrossNet
from ._final import Final
from ._mask import MaskNet
from ._mlp import MLP
from ._products import FM, Product
from ._quadratic import QNN

__all__ = [
    "CIN",
    "FM",
    "MLP",
    "QNN",
    "CrossNet",
    "Final",
    "GatedCrossNet",
    "MaskNet",
    "Product",
    "SelfAttention",
    "stream_names",
]

_STREAMS: dict[str, type[StreamParameters]] = {
    stream.__name__.lower(): stream
    for stream in (CIN, CrossNet, FM, Final, GatedCrossNet, MLP, MaskNet, Product, QNN, SelfAttention)
}

# Heads cut both streams into equal parts, and a product takes them element by element.
_AUTOMATIC_UNITS = 128
_NEED_MATCHING_WIDTHS = ("bilinear", "product")


def stream_names() -> list[str]:
    """The short names of streams; each stands for a stream with default parameters.

    Returns
    -------
    list of str

    Examples
    --------
    >>> from sk_finalmlp.streams import stream_names
    >>> stream_names()[:5]
    ['cin', 'crossnet', 'final', 'fm', 'gatedcrossnet']
    """
    return sorted(_STREAMS)


def stream_of_name(name: str) -> StreamParameters:
    """Return the stream of default parameters that a short name stands for."""
    if name not in _STREAMS:
        raise ValueError(f"There is no stream named {name!r}; there are {stream_names()}.")
    return _STREAMS[name]()


def as_stream(stream: Any) -> StreamBuilder:
    """Return a copy of a stream, given by itself or its short name."""
    if isinstance(stream, str):
        stream = stream_of_name(stream)
    if isinstance(stream, type):
        raise ValueError(f"The stream {stream.__name__} is a class. Give an instance, {stream.__name__}().")
    cloned: StreamBuilder = clone(stream, safe=False)
    return cloned


def without_auto(stream: Any, fusion: str, dropout: float) -> Any:
    """Return a stream with `units` as the fusion needs them and this dropout rate, where these are "auto"."""
    if not isinstance(stream, StreamParameters):
        return stream
    # A subclass may have other parameters, and set these itself.
    chosen = copy(stream)
    if chosen.units == "auto":
        chosen.units = chosen._automatic_units(_AUTOMATIC_UNITS) if fusion in _NEED_MATCHING_WIDTHS else None
    if isinstance(chosen, MLP) and chosen.dropout == "auto":
        chosen.dropout = dropout
    return chosen
