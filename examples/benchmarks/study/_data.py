"""The data sets of the study: those of the accuracy comparison, with fewer rows to learn from."""

from __future__ import annotations

from functools import cache

import numpy as np
from _folders import FOLDERS
from _real import REAL
from _synthetic import SYNTHETIC
from _tables import VALIDATION, Floats, Table
from _variants import CONTEXTS

DATA = {name: data_set for name, data_set in (REAL | FOLDERS | SYNTHETIC).items() if name in CONTEXTS}


@cache
def load(name: str, n_train: int) -> Table:
    """The table with at most so many training rows, evenly spaced; all others are for scoring.

    Nothing is chosen by the scores of this study, so that validation and test rows are scored together.
    """
    table = DATA[name].load()
    return Table(table.X, table.y, lambda seed: _place(table.place(seed), n_train))


def _place(place: Floats, n_train: int) -> Floats:
    for_training = np.flatnonzero(place < VALIDATION)
    kept = np.linspace(0, len(for_training) - 1, min(n_train, len(for_training))).astype(np.intp)
    # Rows that are left out stand in the part for the test, which is never asked for.
    thinned = np.where(place < VALIDATION, np.inf, VALIDATION)
    thinned[for_training[kept]] = 0
    return thinned
