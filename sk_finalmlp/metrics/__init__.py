"""CTR metrics that scikit-learn lacks, as functions and as scorers."""

from ._delong import delong_test, roc_auc_interval
from ._grouped_auc import auc_per_group, grouped_auc
from ._probabilities import expected_calibration_error, normalized_entropy, relative_information_gain
from ._scorers import get_scorer, make_grouped_auc_scorer

__all__ = [
    "auc_per_group",
    "delong_test",
    "expected_calibration_error",
    "get_scorer",
    "grouped_auc",
    "make_grouped_auc_scorer",
    "normalized_entropy",
    "relative_information_gain",
    "roc_auc_interval",
]
