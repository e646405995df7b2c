"""The paper in torch: embedding, gate, stream, fusion, network.

The modules know tensors alone, no tables and no training, and each can be used on its own.
"""

from ._dropout import Dropout, dropout_generator
from ._embedding import ROW_MULTIPLE, FieldEmbedding
from ._fusion import MultiHeadBilinearFusion
from ._gate import FeatureGate, Gate
from ._network import DualMLP, FinalMLP
from ._stream import Stream

__all__ = [
    "ROW_MULTIPLE",
    "Dropout",
    "DualMLP",
    "FeatureGate",
    "FieldEmbedding",
    "FinalMLP",
    "Gate",
    "MultiHeadBilinearFusion",
    "Stream",
    "dropout_generator",
]
