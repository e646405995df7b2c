"""scikit-learn's checks of parameters, as decorators that keep the types of what they decorate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from sklearn.base import _fit_context
from sklearn.utils import _param_validation

_Function = TypeVar("_Function", bound=Callable[..., Any])


def validate_params(constraints: dict[str, Any]) -> Callable[[_Function], _Function]:
    """Check the arguments of a function.

    Parameters
    ----------
    constraints : dict of {str: list}
        What each parameter may be, as in `_parameter_constraints` of an estimator.

    Returns
    -------
    callable
        The decorator.
    """
    decorator: Callable[[_Function], _Function] = _param_validation.validate_params(
        constraints, prefer_skip_nested_validation=True
    )
    return decorator


def fit_context(fit: _Function) -> _Function:
    """Check the parameters of an estimator before it is fitted.

    Parameters
    ----------
    fit : callable
        Method `fit` or `fit_transform`.

    Returns
    -------
    callable
        The method with the check.
    """
    checked: _Function = _fit_context(prefer_skip_nested_validation=True)(fit)
    return checked
