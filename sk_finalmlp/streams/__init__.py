"""Parameters of streams: `FinalMLPClassifier` builds its streams from them, and a search can set them.

Each has a short name, its class name in lower case, which stands for its defaults.
"""

from ._attention import SelfAttention
from ._cin import CIN
from ._cross import CrossNet, GatedCrossNet
from ._final import Final
from ._mask import MaskNet
from ._mlp import MLP
from ._products import FM, Product
from ._quadratic import QNN
from ._registry import as_stream as as_stream
from ._registry import stream_names
from ._registry import stream_of_name as stream_of_name

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
