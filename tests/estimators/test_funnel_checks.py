"""scikit-learn's own checks of the classifier of several labels."""

import pytest
from sklearn.utils.estimator_checks import (
    parametrize_with_checks,
)

from sk_finalmlp import FunnelClassifier

EXPECTED_FAILURES = {
    "check_sample_weight_equivalence_on_dense_data": "Weights and repeated rows make different batches.",
}


# Some checks have columns of whole floats, as numbers.
@pytest.mark.filterwarnings("ignore:.*columns of floats hold whole numbers alone")
@parametrize_with_checks(
    [FunnelClassifier(relation="independent")], expected_failed_checks=lambda estimator: EXPECTED_FAILURES
)
def test_estimator_checks(estimator, check):
    check(estimator)
