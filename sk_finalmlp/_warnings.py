"""Warnings that name the user's line, however deep the call that raises them, and values in messages."""

from __future__ import annotations

import reprlib
import sys
import warnings
from typing import Any, Final

#: Packages of the frames between the user's line and a warning: ours, our callers, and what they call through.
_PASSED: Final = frozenset(
    {"sk_finalmlp", "sklearn", "joblib", "skorch", "skops", "torch", "contextlib", "functools", "pickle"}
)

#: An element as Python, JSON or NumPy write it. No text matches in two ways, which would take Python long to rule out.
ELEMENT = (
    r"""('([^'\\]|\\.)*'|"([^"\\]|\\.)*"|[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?|true|false|null|True|False|None|NaN|nan"""
    r"""|np\.\w+\([^()]*\))"""
)
#: A list or tuple of them as text, as `DataFrame.to_csv` writes it; between strings there may be anything.
WRITTEN_LIST = (
    r"^\s*(\[(np\.str_\()?['\"].*['\"]\)?\]"
    rf"|\[\s*({ELEMENT}(\s*,\s*|\s+))*{ELEMENT}\s*(,\s*)?\]|\(({ELEMENT}\s*,\s*)+({ELEMENT}\s*)?\))\s*$"
)

_SHORT: Final = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxlong = _SHORT.maxother = 100
_SHORT.maxlist = 10


def warn(message: str | Warning, category: type[Warning] = UserWarning) -> None:
    """Warn at the first frame outside this library and scikit-learn, as `find_stack_level` of pandas does."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in _PASSED:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def shown(value: Any) -> str:
    """Return a value as messages show it: as Python writes it, a long one shortened."""
    try:
        return _SHORT.repr(value)
    except ValueError:  # Python writes no integer of more than 4,300 digits
        return f"<{type(value).__name__}>"
