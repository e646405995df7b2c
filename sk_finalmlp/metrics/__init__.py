"""CTR metrics that scikit-learn lacks, as functions and as scorers."""

from ._calibration import expected_calibration_error
from ._delong import AUCInterval, DeLongResult, delong_test, roc_auc_interval
from ._grouped_auc import auc_per_group, grouped_auc
from ._normalized_entropy import normalized_entropy, relative_information_gain
from ._scorers import get_scorer, get_scorer_names, make_grouped_auc_scorer

__all__ = [
    "AUCInterval",
    "DeLongResult",
    "auc_per_group",
    "delong_test",
    "expected_calibration_error",
    "get_scorer",
    "get_scorer_names",
    "grouped_auc",
    "make_grouped_auc_scorer",
    "normalized_entropy",
    "relative_information_gain",
    "roc_auc_interval",
]
