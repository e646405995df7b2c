"""scikit-learn's own checks of the classifier of several labels."""

import pytest
from sklearn.utils.estimator_checks import check_param_validation, parametrize_with_checks

from sk_finalmlp import FinalMLPClassifier, FunnelClassifier

_ONE_LABEL = "Its y has one dimension, and a single label is for FinalMLPClassifier."
_MADE_BOOL = "It turns labels of 1 and 2 into bools, which are all True."
EXPECTED_FAILURES = {
    "check_sample_weight_equivalence_on_dense_data": "Weights and repeated rows make different batches.",
    "check_sample_weights_pandas_series": _MADE_BOOL,
    "check_classifier_data_not_an_array": _MADE_BOOL,
    "check_classifiers_one_label": _ONE_LABEL,
    "check_classifiers_one_label_sample_weights": _ONE_LABEL,
    "check_classifiers_classes": _ONE_LABEL,
    "check_classifiers_train": "It expects the predictions of a single label, of one dimension.",
    "check_classifiers_regression_target": _ONE_LABEL,
    "check_decision_proba_consistency": _ONE_LABEL,
    "check_classifier_not_supporting_multiclass": _ONE_LABEL,
    "check_classifier_multioutput": "It takes classes_ for an array; scorers need a list, as ClassifierChain has.",
}


# Some checks have columns of whole floats, as numbers.
@pytest.mark.filterwarnings("ignore:.*columns of floats contain only whole numbers")
@parametrize_with_checks(
    [FunnelClassifier(FinalMLPClassifier(max_epochs=2, n_members=1, random_state=0), relation="independent")],
    expected_failed_checks=lambda estimator: EXPECTED_FAILURES,
)
def test_estimator_checks(estimator, check):
    check(estimator)


def test_parameters_are_validated():
    check_param_validation("FunnelClassifier", FunnelClassifier(FinalMLPClassifier(max_epochs=2)))
