"""FinalMLP, DualMLP and all pairs of streams as scikit-learn classifiers: validation, classes, conventions."""

from ._dualmlp import DualMLPClassifier
from ._field_readers import FieldReader, TableReader
from ._finalmlp import FinalMLPClassifier
from ._funnel import FunnelClassifier
from ._published import finalmlp_configs, two_stream_configs
from ._two_stream import TwoStreamClassifier

__all__ = [
    "DualMLPClassifier",
    "FieldReader",
    "FinalMLPClassifier",
    "FunnelClassifier",
    "TableReader",
    "TwoStreamClassifier",
    "finalmlp_configs",
    "two_stream_configs",
]

Classifier = FinalMLPClassifier | DualMLPClassifier | TwoStreamClassifier
