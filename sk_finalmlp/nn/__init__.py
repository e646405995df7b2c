"""The paper in torch: embedding, gate, stream, fusion, network.

The modules work on tensors only, know neither tables nor training, and can each be used alone.
"""

from ._activation import Activation
from ._dropout import Dropout, dropout_generator, dropout_state, restore_dropout
from ._embedding import FieldEmbedding
from ._ensemble import Ensemble
from ._experts import ExpertFinalMLP
from ._field_selection import FieldSelection
from ._fusion import ConcatFusion, MultiHeadBilinearFusion, ProductFusion, SumFusion
from ._gate import FeatureGate, Gate
from ._history_pooling import AttentionPooling, Histories, MeanPooling, TransformerPooling
from ._linear import ROW_MULTIPLE, Linear
from ._network import DualMLP, FinalMLP, StreamBuilder, TwoStreamNetwork
from ._norm import BatchNorm, frozen_norms, norms_of
from ._protocol import ClickNetwork, context_parameters, embedding_parameters, members_of, votes_of
from ._start_weights import draw_normal, draw_xavier
from ._stream import Stream, StreamChain
from ._vectors import PretrainedVectors, VectorProjection, copy_network, give_vectors
from ._workspace import lent_workspaces

__all__ = [
    "ROW_MULTIPLE",
    "Activation",
    "AttentionPooling",
    "BatchNorm",
    "ClickNetwork",
    "ConcatFusion",
    "Dropout",
    "DualMLP",
    "Ensemble",
    "ExpertFinalMLP",
    "FeatureGate",
    "FieldEmbedding",
    "FieldSelection",
    "FinalMLP",
    "Gate",
    "Histories",
    "Linear",
    "MeanPooling",
    "MultiHeadBilinearFusion",
    "PretrainedVectors",
    "ProductFusion",
    "Stream",
    "StreamBuilder",
    "StreamChain",
    "SumFusion",
    "TransformerPooling",
    "TwoStreamNetwork",
    "VectorProjection",
    "context_parameters",
    "copy_network",
    "draw_normal",
    "draw_xavier",
    "dropout_generator",
    "dropout_state",
    "embedding_parameters",
    "frozen_norms",
    "give_vectors",
    "lent_workspaces",
    "members_of",
    "norms_of",
    "restore_dropout",
    "votes_of",
]
