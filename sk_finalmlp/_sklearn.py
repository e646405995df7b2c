"""scikit-learn's private names, all in one place: what another version of it may break is here."""

from __future__ import annotations

from typing import Any

from sklearn.base import _fit_context as sklearn_fit_context
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    InvalidParameterError,
    RealNotInt,
    StrOptions,
)
from sklearn.utils._param_validation import validate_params as sklearn_validate_params
from sklearn.utils._set_output import _get_output_config as get_output_config
from sklearn.utils.multiclass import _check_partial_fit_first_call as check_first_call
from sklearn.utils.validation import _check_feature_names_in as check_feature_names_in
from sklearn.utils.validation import _check_sample_weight as check_sample_weight
from sklearn.utils.validation import _is_fitted as is_fitted
from sklearn.utils.validation import _num_samples as num_samples

__all__ = [
    "HasMethods",
    "HtmlRepresentation",
    "Interval",
    "InvalidParameterError",
    "RealNotInt",
    "StrOptions",
    "check_feature_names_in",
    "check_first_call",
    "check_sample_weight",
    "get_output_config",
    "has_callbacks",
    "is_fitted",
    "num_samples",
    "sklearn_fit_context",
    "sklearn_validate_params",
]


def has_callbacks(estimator: Any) -> bool:
    """Whether anybody is to be told of the estimator's fit."""
    return hasattr(estimator, "_skl_callbacks")


class HtmlRepresentation:
    """Mixin that puts HTML before the table of parameters, and links to the documentation of this library."""

    _doc_link_module = __package__

    def _html_before_parameters(self) -> str:
        """HTML to show before the table of parameters; empty for none."""
        raise NotImplementedError

    def _documentation_address(self) -> str:
        """Where the documentation is; empty if that isn't known."""
        raise NotImplementedError

    @property
    def _doc_link_template(self) -> str:
        address = self._documentation_address()
        return f"{address}/api/generated/{__package__}.{{estimator_name}}.html" if address else ""

    def _get_params_html(self, *args: Any, **kwargs: Any) -> Any:
        # scikit-learn asks for the parameters wherever it draws an estimator; its arguments differ between versions.
        parameters = super()._get_params_html(*args, **kwargs)  # type: ignore[misc]
        before = self._html_before_parameters()
        if before:
            of_parameters = parameters._html_repr
            parameters._html_repr = lambda: before + of_parameters()
        return parameters
