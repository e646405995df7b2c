"""What has become of the codes of the fields when more rows have come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Changes:
    """What those must know who have learned from codes.

    Parameters
    ----------
    n_codes : mapping of {str: int}
        Number of codes of each column, code 0 included.
    fresh : mapping of {str: ndarray of int}
        Codes that stand for other values than before.
    decay : float
        What is left of the weight of earlier rows.
    """

    n_codes: Mapping[str, int]
    fresh: Mapping[str, np.ndarray]
    decay: float
