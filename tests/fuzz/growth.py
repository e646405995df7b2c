"""How time grows with rows, the length of lists, columns and bins: in proportion, or as a higher power."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from math import log
from time import process_time
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from sk_finalmlp import CTREncoder

from .columns import KINDS, draw_column
from .containers import build

#: Four times as much may take ten times as long: 1 is linear, 2 quadratic, and caches and other processes disturb.
LARGEST_POWER = 1.7
_N_ROWS = (8_000, 32_000)
_N_OTHERS = (16_000, 64_000)


class Growth(NamedTuple):
    """Processor time at two sizes.

    Parameters
    ----------
    name : str
        What grows.
    sizes : tuple of int
        The sizes.
    seconds : tuple of float
        Seconds of a fit and a transform at each.
    """

    name: str
    sizes: tuple[int, int]
    seconds: tuple[float, float]

    @property
    def power(self) -> float:
        """Power of the size with which time grows."""
        return log(self.seconds[1] / self.seconds[0]) / log(self.sizes[1] / self.sizes[0])


def measure() -> Iterator[Growth]:
    """Rows of each kind of column, then what else can be long."""
    for kind in KINDS:
        yield _growth(f"rows of {kind}", _N_ROWS, lambda n, kind=kind: (_rows(kind, n), {}))
    yield _growth("elements of a list", _N_OTHERS, lambda n: (_one_column([[str(i) for i in range(n)], [], []]), {}))
    yield _growth(
        "elements of delimited text",
        _N_OTHERS,
        lambda n: (_one_column(["|".join(map(str, range(n))), "0", "1"]), {"multi_valued": ["x"]}),
    )
    yield _growth("characters of a string", (10**6, 4 * 10**6), lambda n: (_one_column(["x" * n, "y", "z"]), {}))
    yield _growth("bins", (10**5, 4 * 10**5), lambda n: (_one_column([0.5, 1.5, 2.5]), _in_bins(n)))
    yield _growth("columns", (250, 1_000), lambda n: (pd.DataFrame({f"x{i}": ["a", "b", "a"] for i in range(n)}), {}))


def _rows(kind: str, n_rows: int) -> pd.DataFrame:
    column = draw_column(np.random.default_rng(0), n_rows, [kind])
    form = "objects" if column.type is None else "default"
    X: pd.DataFrame = build({"x": column}, slice(None), "pandas", [form])
    return X


def _one_column(values: list[Any]) -> pd.DataFrame:
    return pd.DataFrame({"x": pd.Series(values)})


def _in_bins(n_bins: int) -> dict[str, Any]:
    return {"numeric_encoding": "bins", "n_bins": n_bins}


def _growth(name: str, sizes: tuple[int, int], make: Callable[[int], tuple[pd.DataFrame, dict[str, Any]]]) -> Growth:
    small, large = (min(_seconds(*make(size)) for _ in range(3)) for size in sizes)
    return Growth(name, sizes, (small, large))


def _seconds(X: pd.DataFrame, parameters: dict[str, Any]) -> float:
    start = process_time()
    with warnings.catch_warnings():
        # What the library advises isn't asked here.
        warnings.simplefilter("ignore", UserWarning)
        CTREncoder(**parameters).fit(X).transform(X)
    # A fit of less is lost in the clock.
    return max(process_time() - start, 1e-3)
