"""Generated tables: columns, container, labels, weights and the parameters of the encoder that is to read them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from .columns import OBJECTS, Column, draw_column, pick
from .containers import build, possible_containers, possible_forms

#: Rows from which on `statistics="auto"` chooses.
MIN_ROWS = 1_000
#: One of so many tables has as many.
_ONE_IN_LARGE = 12
_N_SERVED = 40
_SURE_CATEGORIES = (
    "strings",
    "odd strings",
    "hashes as text",
    "bools",
    "uuids",
    "categories",
    "times of day",
    "binary",
)


@dataclass(frozen=True)
class Table:
    """What is fitted, what is served, and how.

    Parameters
    ----------
    seed, number : int
        What it was drawn from.
    columns : dict of {str: Column}
        Columns by name, the rows of `fit` first.
    n_fit : int
        Number of rows of `fit`.
    container : str
        The container of both tables.
    forms : list of str
        The dtype of each column, as `containers.build` takes it.
    X, X_new : table
        The rows of `fit` and those served.
    y : ndarray or None
        Labels of the rows of `fit`.
    labels : str
        What kind of labels they are.
    weights : ndarray or None
        Weights of the rows of `fit`.
    weighting : str
        What kind of weights they are.
    parameters : dict
        Parameters of the encoder.
    fault : str
        What was broken on purpose; empty if nothing was.
    expects : {"answer", "error", "either"}
        What the encoder is to do.
    named : str
        What an error has to name.
    """

    seed: int
    number: int
    columns: dict[str, Column]
    n_fit: int
    container: str
    forms: list[str]
    X: Any
    X_new: Any
    y: Any
    labels: str
    weights: Any
    weighting: str
    parameters: dict[str, Any] = field(default_factory=dict)
    fault: str = ""
    expects: str = "answer"
    named: str = ""

    @property
    def blank_columns(self) -> list[str]:
        """Columns of which `fit` saw no value."""
        rows = range(self.n_fit) if self.weighting == "none" else np.flatnonzero(self.weights)
        return [name for name, column in self.columns.items() if not column.has_values(rows)]

    def rebuilt(self, container: str, forms: list[str]) -> Table:
        """The same rows in another container, or with other dtypes."""
        fitted, served = slice(self.n_fit), slice(self.n_fit, None)
        X, X_new = (build(self.columns, rows, container, forms) for rows in (fitted, served))
        return replace(self, container=container, forms=forms, X=X, X_new=X_new)


def draw_sound_table(rng: np.random.Generator, seed: int, number: int) -> Table:
    """A table with nothing wrong."""
    large = rng.integers(_ONE_IN_LARGE) == 0
    n_fit = int(rng.integers(MIN_ROWS, 1_500)) if large else int(pick(rng, [1, 2, 5, 20, 60, 60, 150]))
    columns = {f"x{i}": draw_column(rng, n_fit + _N_SERVED) for i in range(int(rng.integers(1, 6)))}
    labels, y = _labels(rng, n_fit)
    weighting, weights = _weights(rng, n_fit)
    container = pick(rng, [*possible_containers(list(columns.values())), "pandas"])
    # What fit saw no value of, or values of one type alone, may be refused when another comes.
    rows = range(n_fit) if weights is None else np.flatnonzero(weights)
    is_plain = all(column.kind not in OBJECTS and column.has_values(rows) for column in columns.values())
    table = Table(
        seed,
        number,
        columns,
        n_fit,
        container,
        forms=[],
        X=None,
        X_new=None,
        y=y,
        labels=labels,
        weights=weights,
        weighting=weighting,
        expects="answer" if is_plain else "either",
        parameters=_parameters(rng, columns, has_labels=_has_classes(labels, y, weights)),
    )
    return table.rebuilt(container, [pick(rng, possible_forms(column)) for column in columns.values()])


def _labels(rng: np.random.Generator, n_rows: int) -> tuple[str, Any]:
    kind = pick(rng, ["none", "two", "two", "two", "strings", "bools", "three", "many", "rare", "one", "quantities"])
    clicked = rng.random(n_rows) < 0.3
    y = {
        "none": None,
        "two": clicked.astype(int),
        "strings": np.where(clicked, "yes", "no"),
        "bools": clicked,
        "three": rng.integers(0, 3, n_rows),
        "many": rng.integers(0, 25, n_rows).astype(str),
        "rare": np.arange(n_rows) == n_rows // 2,
        "one": np.ones(n_rows, int),
        "quantities": rng.normal(size=n_rows),
    }
    return kind, y[kind]


def _has_classes(labels: str, y: Any, weights: Any) -> bool:
    """Whether there are two classes among the rows with weight, without which no statistics can be asked for."""
    if labels in ("none", "quantities"):
        return False
    return len(np.unique(y if weights is None else y[weights > 0])) > 1


def _weights(rng: np.random.Generator, n_rows: int) -> tuple[str, Any]:
    kind = pick(rng, ["none", "none", "none", "equal", "uneven", "very uneven", "some zero", "whole numbers", "tiny"])
    uneven = rng.lognormal(0, 1, n_rows)
    some_zero = np.where(rng.random(n_rows) < 0.3, 0.0, uneven)
    some_zero[rng.integers(n_rows)] = 1.0
    weights = {
        "none": None,
        "equal": np.full(n_rows, 3.0),
        "uneven": uneven,
        "very uneven": 10.0 ** rng.uniform(-14, 14, n_rows),
        "some zero": some_zero,
        "whole numbers": rng.integers(1, 4, n_rows),
        "tiny": uneven * 1e-12,
    }
    return kind, weights[kind]


def _parameters(rng: np.random.Generator, columns: dict[str, Column], has_labels: bool) -> dict[str, Any]:
    parameters = {
        "min_frequency": pick(rng, [1, 1, 1, 2, 5, 0.05]),
        "max_categories": pick(rng, [None, None, None, 1, 3, 100]),
        "n_hash_buckets": pick(rng, [None, None, None, None, 1, 7, 1000, 2**31 - 2]),
        "numeric_encoding": pick(rng, ["normal", "normal", "standard", "bins", "log"]),
        "n_bins": pick(rng, [2, 32, 1000]),
        "separator": pick(rng, ["auto", "auto", "auto", "|", ","]),
        "max_length": pick(rng, [None, None, 1, 2]),
        "statistics": pick(rng, [None, "auto", "auto"]),
    }
    parameters |= _choices(rng, columns)
    named = parameters.get("categorical", [])
    chosen = {name for names in _choices_of(parameters).values() for name in names}
    if len(named) > 1 and rng.random() < 0.5:
        parameters["crosses"] = [tuple(named[:2])]
    elif rng.random() < 0.1:
        parameters["crosses"] = "auto"
    if named and has_labels and rng.random() < 0.5:
        parameters["statistics"] = [named[0], *([tuple(named[:2])] if len(named) > 1 else [])]
    if len(columns) > 1 and rng.random() < 0.1:
        parameters["drop"] = [name for name in columns if name not in chosen][:-1]
    return {name: value for name, value in parameters.items() if value != []}


def _choices_of(parameters: dict[str, Any]) -> dict[str, list[str]]:
    return {kind: parameters[kind] for kind in (*_CHOICES, "datetime") if kind in parameters}


def _choices(rng: np.random.Generator, columns: dict[str, Column]) -> dict[str, list[str]]:
    """Columns whose kind the user names."""
    chosen: dict[str, list[str]] = {}
    for name, column in columns.items():
        options = [kind for kind, kinds in _CHOICES.items() if column.kind in kinds]
        if column.kind == "datetimes as text" and rng.random() < 0.8:
            chosen.setdefault("datetime", []).append(name)
        elif options and rng.random() < 0.3:
            chosen.setdefault(pick(rng, options), []).append(name)
    return chosen


_NUMBERS = (
    "integers",
    "counts",
    "huge ids",
    "hashes",
    "nearly unique integers",
    "floats",
    "extreme floats",
    "integral floats",
    "few floats",
    "decimals",
    "whole decimals",
)
_CHOICES = {
    "categorical": (
        *_SURE_CATEGORIES,
        *_NUMBERS,
        "numbers as text",
        "delimited text",
        "dates",
        "datetimes",
        "durations",
    ),
    "numeric": (*_NUMBERS, "bools", "durations"),
    "multi_valued": ("strings", "integers", "delimited text", "lists of strings", "lists of integers"),
}
