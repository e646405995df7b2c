"""Streams that multiply features explicitly, each from its paper's formula.

A stream maps its input, the concatenated embeddings of F fields and S statistics, shape (B, F * d + S), to its output,
shape (B, out_features).
"""

from ._attention import SelfAttentionStream
from ._chain import StreamChain
from ._cin import CINStream
from ._cross import CrossNetMixStream, CrossNetStream, GatedCrossNetStream
from ._field_vectors import FieldVectors
from ._final import FinalStream
from ._mask import MaskNetStream
from ._products import FMStream, ProductStream
from ._quadratic import QNNStream

__all__ = [
    "CINStream",
    "CrossNetMixStream",
    "CrossNetStream",
    "FMStream",
    "FieldVectors",
    "FinalStream",
    "GatedCrossNetStream",
    "MaskNetStream",
    "ProductStream",
    "QNNStream",
    "SelfAttentionStream",
    "StreamChain",
]
