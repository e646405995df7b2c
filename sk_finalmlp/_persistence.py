"""Version stamp of saved estimators."""

from __future__ import annotations

import warnings
from typing import Any

from sklearn.exceptions import InconsistentVersionWarning

from ._version import __version__

_VERSION_KEY = "_sk_finalmlp_version"


class VersionedState:
    """Mixin that stamps the version of this library on a pickled estimator and warns where it differs at load.

    `sklearn.base.BaseEstimator` does so for scikit-learn's own estimators alone.
    """

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()  # type: ignore[assignment]
        return {**state, _VERSION_KEY: __version__}

    def __setstate__(self, state: dict[str, Any]) -> None:
        saved_by = state.get(_VERSION_KEY, "an unknown version")
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
            self._restore({key: value for key, value in state.items() if key != _VERSION_KEY})
        except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
            if saved_by == __version__:
                raise
            raise ValueError(
                f"This {type(self).__name__} was saved by version {saved_by} of sk_finalmlp, and version {__version__} "
                f"can't read it. Install version {saved_by} to load it, or fit it again."
            ) from error

    def _restore(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[misc]
