"""What a data set of the comparison is, and the rules by which its rows are split."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]
Part = Literal["train", "validation", "test"]

# Places in [0, 1) at which validation and test begin.
VALIDATION, TEST = 0.8, 0.9
# How `randomly` and `by_order` split, and the terms of GroupLens, in words.
RANDOM = "80/10/10 at random, drawn with the seed"
BY_TIME = "first 80% of the rows by time, next 10%, last 10%"
GROUPLENS = "research use, no redistribution (GroupLens)"
_PLACE_OF = {"train": 0.0, "validation": VALIDATION, "test": TEST}


@dataclass(frozen=True)
class Table:
    """Impressions, whether they were clicked, and where each row stands.

    Parameters
    ----------
    X : DataFrame of shape (n_rows, n_columns)
        Raw columns. Ids and names are strings, quantities are numbers; times and lists stay what they are.
    y : Series of shape (n_rows,)
        1 or 0.
    place : callable
        Given a seed, the place of each row in [0, 1): the first 80% are for training, the next 10% for validation,
        the last 10% for the test.
    refits : bool, default=False
        Whether a model for the test is fitted to validation rows, too.
    """

    X: pd.DataFrame
    y: pd.Series
    place: Callable[[int], Floats]
    refits: bool = False

    def fitted(self, scored: Part, seed: int) -> tuple[pd.DataFrame, pd.Series]:
        """The rows that a model is fitted to which is scored by a part."""
        rows = self.is_in("train", seed)
        if self.refits and scored == "test":
            rows |= self.is_in("validation", seed)
        return self._rows(rows)

    def part(self, name: Part, seed: int) -> tuple[pd.DataFrame, pd.Series]:
        """The rows of one part of the split."""
        return self._rows(self.is_in(name, seed))

    def _rows(self, rows: npt.NDArray[np.bool_]) -> tuple[pd.DataFrame, pd.Series]:
        return self.X[rows].reset_index(drop=True), self.y[rows].reset_index(drop=True)

    def is_in(self, name: Part, seed: int) -> npt.NDArray[np.bool_]:
        """Which rows are in a part of the split, shape (n_rows,)."""
        place = self.place(seed)
        return {
            "train": place < VALIDATION,
            "validation": (place >= VALIDATION) & (place < TEST),
            "test": place >= TEST,
        }[name]

    def thinned(self, n_rows: int | None) -> Table:
        """At most so many rows, evenly spaced, each in the place that it had."""
        if n_rows is None or n_rows >= len(self.X):
            return self
        rows = np.linspace(0, len(self.X) - 1, n_rows).astype(np.intp)
        return Table(self.X.iloc[rows], self.y.iloc[rows], lambda seed: self.place(seed)[rows], self.refits)


@dataclass(frozen=True)
class DataSet:
    """A table by name, with what a reader of the results has to know about it.

    Parameters
    ----------
    load : callable
        Gives the table; raises `OSError` where the data can't be had.
    role : {"tuning", "confirming", "later"}
        Whether defaults may be chosen by its validation rows, or only be confirmed by it; or "later", which has both.
    stands_for : str
        The kind of data that it stands for.
    split : str
        How its rows are split, in words.
    source : str
        Where it comes from.
    licence : str
        On what terms it may be used.
    """

    load: Callable[[], Table]
    role: Literal["tuning", "confirming", "later"]
    stands_for: str
    split: str
    source: str
    licence: str


def as_clicks(is_click: pd.Series) -> pd.Series:
    """Labels of a table."""
    return is_click.astype("int64").rename("click")


def randomly(X: pd.DataFrame, y: pd.Series) -> Table:
    """A table whose split is drawn anew with each seed."""
    return Table(X, y, partial(_random_place, len(X)))


def by_group(X: pd.DataFrame, y: pd.Series, groups: pd.Series) -> Table:
    """The same, with all rows of a group in one part."""
    codes, names = pd.factorize(groups)
    return Table(X, y, lambda seed: _random_place(len(names), seed)[codes])


def by_order(X: pd.DataFrame, y: pd.Series) -> Table:
    """A table in order of time: the past is for training, the future for validation and test, whatever the seed."""
    return Table(X, y, lambda _: np.arange(len(X)) / len(X))


def by_part(X: pd.DataFrame, y: pd.Series, parts: pd.Series) -> Table:
    """A table whose rows name the part that they belong to, whatever the seed."""
    place = parts.map(_PLACE_OF).to_numpy(dtype=np.float64)
    return Table(X, y, lambda _: place)


def _random_place(n: int, seed: int) -> Floats:
    return np.random.default_rng(seed).permutation(n) / n
