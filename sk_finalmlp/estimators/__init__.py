"""FinalMLP and DualMLP as scikit-learn classifiers: validation, classes, conventions."""

from ._dualmlp import DualMLPClassifier
from ._finalmlp import FinalMLPClassifier

__all__ = ["DualMLPClassifier", "FinalMLPClassifier"]
