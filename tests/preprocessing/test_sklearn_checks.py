"""scikit-learn's own checks, those that `check_estimator` leaves out included."""

import pytest
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks

from sk_finalmlp.preprocessing import CTREncoder

CONFIGURATIONS = [
    CTREncoder(),
    CTREncoder(min_frequency=2, max_categories=3),
    CTREncoder(n_hash_buckets=5),
    CTREncoder(numeric_encoding="bins", n_bins=4),
    CTREncoder(numeric_encoding="log", min_frequency=0.1),
    CTREncoder(numeric=slice(None)),
    CTREncoder(multi_valued=[0]),
    CTREncoder(categorical=slice(None), crosses="auto"),
    CTREncoder(categorical=slice(None), statistics=None),
    CTREncoder(categorical=slice(None), statistics=[0]),
]

_CROSS_FITTED = "the statistics of training rows are cross-fitted: fit_transform differs from transform"
_EXPECTED_TO_FAIL = {
    "check_transformer_general": _CROSS_FITTED,
    "check_transformer_data_not_an_array": _CROSS_FITTED,
    "check_sample_weight_equivalence_on_dense_data": "rows that are repeated are in other folds than a row of weight 2",
}


_COUNTS_ROWS = {"check_sample_weight_equivalence_on_dense_data": "frequencies are of rows, whatever their weights"}


def expected_to_fail(encoder):
    # "auto" makes no statistics of so few rows.
    if isinstance(encoder.statistics, list):
        return _EXPECTED_TO_FAIL
    has_vocabulary = encoder.multi_valued or encoder.categorical
    return _COUNTS_ROWS if has_vocabulary else {}


@parametrize_with_checks(CONFIGURATIONS, expected_failed_checks=expected_to_fail)
def test_scikit_learn_check(estimator, check):
    check(estimator)


@pytest.mark.parametrize("encoder", CONFIGURATIONS, ids=repr)
@pytest.mark.parametrize(
    "check",
    [
        estimator_checks.check_dataframe_column_names_consistency,
        estimator_checks.check_get_feature_names_out_error,
        estimator_checks.check_global_output_transform_pandas,
        estimator_checks.check_global_set_output_transform_polars,
        estimator_checks.check_n_features_in_after_fitting,
        estimator_checks.check_param_validation,
        estimator_checks.check_set_output_transform,
        estimator_checks.check_set_output_transform_pandas,
        estimator_checks.check_set_output_transform_polars,
        estimator_checks.check_transformer_get_feature_names_out,
        estimator_checks.check_transformer_get_feature_names_out_pandas,
    ],
)
@pytest.mark.filterwarnings("ignore:X (has|does not have valid) feature names:UserWarning")
def test_scikit_learn_check_that_check_estimator_leaves_out(encoder, check):
    check("CTREncoder", encoder)
