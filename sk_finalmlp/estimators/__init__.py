"""FinalMLP and DualMLP as scikit-learn classifiers: validation, classes, conventions."""

from ._dualmlp import DualMLPClassifier
from ._finalmlp import FinalMLPClassifier
from ._published import finalmlp_configs

__all__ = ["DualMLPClassifier", "FinalMLPClassifier", "finalmlp_configs"]
