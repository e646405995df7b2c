"""What is saved of an estimator: plain data with the version of this library."""

from __future__ import annotations

import warnings
from typing import Any, ClassVar

from sklearn.exceptions import InconsistentVersionWarning

from ._plain import Parts, describe, restore
from ._version import __version__

VERSION_KEY = "_sk_finalmlp_version"


class VersionedState:
    """Mixin that makes plain data of a saved estimator, stamps the version on it and warns where it differs at load.

    Plain data are dicts, lists, numbers, text and numpy arrays, so that formats without pickle can hold them. Only
    parameters stay what the user gave. `sklearn.base.BaseEstimator` stamps scikit-learn's own estimators alone.
    """

    #: The parts that fitted attributes may hold.
    _parts: ClassVar[Parts]

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()  # type: ignore[assignment]
        return {**{name: self._describe(name, value) for name, value in state.items()}, VERSION_KEY: __version__}

    def _describe(self, name: str, value: Any) -> Any:
        return value if name in self._parameter_names() else describe(value, self._parts)

    def _parameter_names(self: Any) -> list[str]:
        names: list[str] = type(self)._get_param_names()
        return names

    def __setstate__(self, state: dict[str, Any]) -> None:
        saved_by = state.get(VERSION_KEY, "an unknown version")
        if saved_by != __version__:
            warnings.warn(
                InconsistentVersionWarning(
                    estimator_name=type(self).__name__,
                    current_sklearn_version=f"{__version__} of sk_finalmlp",
                    original_sklearn_version=f"{saved_by} of sk_finalmlp",
                ),
                stacklevel=2,
            )
        try:
            self._restore({key: value for key, value in state.items() if key != VERSION_KEY})
        except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
            if saved_by == __version__:
                raise
            raise ValueError(
                f"This {type(self).__name__} was saved by version {saved_by} of sk_finalmlp, and version {__version__} "
                f"can't read it. Install version {saved_by} to load it, or fit it again."
            ) from error

    def _restore(self, state: dict[str, Any]) -> None:
        parameters = self._parameter_names()
        restored = {name: value if name in parameters else restore(value, self._parts) for name, value in state.items()}
        super().__setstate__(restored)  # type: ignore[misc]
