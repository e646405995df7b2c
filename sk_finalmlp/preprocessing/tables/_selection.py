"""Columns that the user picks out, by the same means as in scikit-learn's `ColumnTransformer`."""

from __future__ import annotations

import difflib
import numbers
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Selection = str | int | slice | Sequence[str] | Sequence[int] | Sequence[bool] | Callable[[Any], Any] | None


def select_columns(selection: Selection, X: Any, names: Sequence[str]) -> list[int]:
    """Positions of the selected columns.

    Parameters
    ----------
    selection : str, int, slice, list of str, int or bool, callable or None
        A name or position, several of them, a mask, or a function that is given X and returns one of these.
    X : dataframe or array
        The table that a callable is given.
    names : sequence of str
        Names of its columns.

    Returns
    -------
    list of int
        Positions, without repetition, in the order of the selection.
    """
    if callable(selection):
        return select_columns(selection(X), X, names)
    if selection is None:
        return []
    if isinstance(selection, slice):
        return list(range(len(names)))[selection]
    keys: list[Any] = [selection] if isinstance(selection, str | int | numbers.Integral) else list(selection)
    if keys and all(isinstance(key, bool | np.bool_) for key in keys):
        return _masked(keys, names)
    return list(dict.fromkeys(_position(key, names) for key in keys))


def select_for(parameter: str, selection: Selection, X: Any, names: Sequence[str]) -> list[int]:
    """What `select_columns` gives; an error begins with the parameter that selects."""
    try:
        return select_columns(selection, X, names)
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{parameter}: {error}") from error


def _masked(mask: list[bool], names: Sequence[str]) -> list[int]:
    if len(mask) != len(names):
        raise ValueError(f"A mask of {len(mask)} entries can't select among {len(names)} columns: give one per column.")
    return [position for position, selected in enumerate(mask) if selected]


def _position(key: Any, names: Sequence[str]) -> int:
    if isinstance(key, str):
        return _position_of_name(key, names)
    if not isinstance(key, numbers.Integral):
        raise TypeError(f"{key!r} selects no column: give names, positions or a boolean mask.")
    position = int(key)
    if not -len(names) <= position < len(names):
        raise ValueError(f"There is no column {position}: X has {len(names)} columns.")
    return position % len(names)


def _position_of_name(name: str, names: Sequence[str]) -> int:
    matches = [position for position, other in enumerate(names) if other == name]
    if not matches:
        meant = difflib.get_close_matches(name, names, n=1)
        question = f" Did you mean {meant[0]!r}?" if meant else ""
        raise ValueError(f"There is no column {name!r}. The columns are {list(names)}.{question}")
    return matches[0]
