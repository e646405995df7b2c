"""FinalMLP and its family as scikit-learn classifiers: validation, classes, conventions."""

from ._field_readers import FieldReader, TableReader
from ._finalmlp import FinalMLPClassifier
from ._funnel import FunnelClassifier
from ._published import published_configs

__all__ = ["FieldReader", "FinalMLPClassifier", "FunnelClassifier", "TableReader", "published_configs"]
