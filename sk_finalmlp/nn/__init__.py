"""The paper in torch: embedding, gate, stream, fusion, network.

The modules work on tensors only, know neither tables nor training, and can each be used alone::

    Ensemble
    `-- TwoStreamNetwork
        |-- FieldEmbedding         a vector per field; VectorProjection, AttentionPooling, ...
        |-- FieldSelection         the fields of a stream
        |-- FeatureGate, Gate      their weights
        |-- Stream                 an MLP of Linear and Activation; sk_finalmlp.streams has others
        `-- MultiHeadBilinearFusion, SumFusion, ConcatFusion, ProductFusion
"""

from ._embedding import FieldEmbedding
from ._ensemble import ClickNetwork, Ensemble, embedding_parameters, members_of
from ._ensemble import context_parameters as context_parameters
from ._ensemble import votes_of as votes_of
from ._fusion import ConcatFusion, MultiHeadBilinearFusion, ProductFusion, SumFusion
from ._gate import FeatureGate, FieldSelection, Gate
from ._history import AttentionPooling, Histories, MeanPooling, TransformerPooling
from ._layers import ROW_MULTIPLE as ROW_MULTIPLE
from ._layers import Activation, BatchNorm, Dropout, Linear, dropout_generator
from ._layers import draw_normal as draw_normal
from ._layers import draw_xavier as draw_xavier
from ._layers import dropout_sources as dropout_sources
from ._layers import lent as lent
from ._layers import modules_of as modules_of
from ._network import StreamBuilder, TwoStreamNetwork
from ._network import fold_streams as fold_streams
from ._stream import DEFAULT_DROPOUT as DEFAULT_DROPOUT
from ._stream import Stream, StreamChain
from ._torch import cpu_has_bfloat16 as cpu_has_bfloat16
from ._torch import fused_adam as fused_adam
from ._torch import multiply_all as multiply_all
from ._vectors import PretrainedVectors, VectorProjection, give_vectors
from ._vectors import copy_network as copy_network

__all__ = [
    "Activation",
    "AttentionPooling",
    "BatchNorm",
    "ClickNetwork",
    "ConcatFusion",
    "Dropout",
    "Ensemble",
    "FeatureGate",
    "FieldEmbedding",
    "FieldSelection",
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
    "dropout_generator",
    "embedding_parameters",
    "give_vectors",
    "members_of",
]
