"""scikit-learn's own checks, and those that its generator leaves out."""

import pytest
from sklearn.utils.estimator_checks import (
    check_dataframe_column_names_consistency,
    check_param_validation,
    parametrize_with_checks,
)

from sk_finalmlp import FinalMLPClassifier
from sk_finalmlp.streams import MLP

SMALL = FinalMLPClassifier(
    stream1=MLP((16,)), stream2=MLP((16,)), fs_hidden_units=(8,), embedding_dim=4, n_members=1, max_epochs=2
)
EXPECTED_FAILURES = {
    "check_sample_weight_equivalence_on_dense_data": "Weights and repeated rows make different batches; "
    "test_classifier.py shows the equivalence in one full batch.",
}


# Some checks have columns of whole floats, as numbers.
@pytest.mark.filterwarnings("ignore:.*columns of floats contain only whole numbers")
@parametrize_with_checks([SMALL], expected_failed_checks=lambda estimator: EXPECTED_FAILURES)
def test_estimator_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("check", [check_param_validation, check_dataframe_column_names_consistency])
def test_checks_that_the_generator_leaves_out(check):
    check("FinalMLPClassifier", SMALL)
