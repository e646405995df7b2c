"""What scorers and streams of a user's own do, as plain data that changes with their code."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from types import CodeType, FunctionType, MethodType
from typing import Any

import joblib

_LIBRARIES = {"numpy", "pandas", "scipy", "sk_finalmlp", "sklearn", "torch", *sys.stdlib_module_names} - {"__main__"}


def definition_of(value: Any) -> Any:
    """Return the code of functions and classes, what they use of their module, and the state of objects."""
    return _Definitions().of(value)


class _Definitions:
    """Describes each function, class and object once, since they may refer to each other."""

    def __init__(self) -> None:
        self._seen: dict[int, Any] = {}

    def of(self, value: Any) -> Any:
        """Return plain data."""
        if isinstance(value, dict):
            return {str(name): self.of(item) for name, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.of(item) for item in value]
        if isinstance(value, CodeType):
            return value.co_code, value.co_names, self.of(value.co_consts)
        if id(value) in self._seen:
            return type(value).__name__
        # Kept, so that no other object takes its number.
        self._seen[id(value)] = value
        if isinstance(value, FunctionType | type):
            return f"{value.__module__}.{value.__qualname__}" if _is_of_a_library(value) else self._of_code(value)
        if isinstance(value, MethodType):
            return self.of(value.__func__), self.of(value.__self__)
        if isinstance(value, partial):
            return self.of([value.func, value.args, value.keywords])
        if isinstance(value, property | staticmethod | classmethod):
            return self.of([getattr(value, name, None) for name in ("fget", "__func__")])
        if hasattr(value, "__dict__") and not hasattr(value, "__array__"):
            return self.of(type(value)), self.of(vars(value))
        return _hashed(value)

    def _of_code(self, value: Any) -> Any:
        if isinstance(value, type):
            written = {name: item for name, item in vars(value).items() if name not in ("__dict__", "__weakref__")}
            return self.of(value.__bases__), self.of(written)
        cells = [cell.cell_contents for cell in value.__closure__ or ()]
        used = [value.__globals__.get(name) for name in _names(value.__code__)]
        of_its_module = [item for item in used if getattr(item, "__module__", None) == value.__module__]
        constants = [item for item in used if isinstance(item, bool | int | float | str)]
        return self.of([value.__code__, value.__defaults__, value.__kwdefaults__, cells, of_its_module, constants])


def _is_of_a_library(value: Any) -> bool:
    return str(value.__module__).partition(".")[0] in _LIBRARIES


def _names(code: CodeType) -> Iterator[str]:
    """Yield the global names in code and in the functions within it."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _hashed(value: Any) -> str:
    """Return a hash of data; anything else, such as a lock or a module, counts by its type."""
    try:
        return str(joblib.hash(value))
    except Exception:  # noqa: BLE001  (pickling calls anybody's code)
        return type(value).__qualname__
