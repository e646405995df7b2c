"""The paper in torch: embedding, gate, stream, fusion, network.

The modules know tensors alone, no tables and no training, and each can be used on its own.
"""

from ._activation import Activation
from ._dropout import Dropout, dropout_generator
from ._embedding import ROW_MULTIPLE, FieldEmbedding
from ._ensemble import Ensemble
from ._fields import FieldSelection
from ._fusion import MultiHeadBilinearFusion
from ._gate import FeatureGate, Gate
from ._network import DualMLP, FinalMLP
from ._stream import Stream
from ._workspace import lent_workspaces

__all__ = [
    "ROW_MULTIPLE",
    "Activation",
    "Dropout",
    "DualMLP",
    "Ensemble",
    "FeatureGate",
    "FieldEmbedding",
    "FieldSelection",
    "FinalMLP",
    "Gate",
    "MultiHeadBilinearFusion",
    "Stream",
    "dropout_generator",
    "lent_workspaces",
]
