"""scikit-learn's checks of parameters, as decorators that keep the types of what they decorate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from ._sklearn import InvalidParameterError, sklearn_fit_context, sklearn_validate_params

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
    decorator: Callable[[_Function], _Function] = sklearn_validate_params(
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
    checked: _Function = sklearn_fit_context(prefer_skip_nested_validation=True)(fit)
    return checked


def check_widths(owner: Any, name: str, fewest: int = 1) -> None:
    """Refuse widths of layers that aren't integers of at least 1.

    Parameters
    ----------
    owner : object
        Whose parameter it is.
    name : str
        Name of the parameter.
    fewest : int, default=1
        Fewest layers there may be.

    Raises
    ------
    InvalidParameterError
        If a width isn't an integer of at least 1, or there are fewer.
    """
    units = getattr(owner, name)
    if len(units) < fewest or not all(_is_width(width) for width in units):
        raise InvalidParameterError(
            f"The {name!r} parameter of {type(owner).__name__} must be the width of each layer, integers of "
            f"at least 1, such as (400, 200). Got {units!r} instead."
        )


def _is_width(width: Any) -> bool:
    return isinstance(width, int | np.integer) and not isinstance(width, bool) and bool(width >= 1)
