"""Rows that come after the training rows, with many more unknown ids."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .._warnings import warn
from ..schema import UNKNOWN_CODE
from ._column import Column
from ._datetime import DatetimeEncoder
from ._vocabulary import CategoricalEncoder, ColumnEncoder

#: Ids are values of a column with at least so many.
_MANY_CODES = 100
#: Least number of rows to warn.
_MANY_ROWS = 1_000
#: Least difference of the shares of unknown rows to warn.
_MANY_MORE = 0.25


class LaterRows:
    """Watches a table that is encoded."""

    def __init__(self) -> None:
        self._time = ""
        self._unknown: list[tuple[float, float, str]] = []

    def look(self, encoder: ColumnEncoder, column: Column, outputs: Sequence[np.ndarray]) -> None:
        """Remember whether most rows come after the training rows, and how many have an unknown value."""
        n_present = len(column) - column.n_missing
        if n_present < _MANY_ROWS:
            return
        if isinstance(encoder, DatetimeEncoder) and 2 * encoder.count_later(column) > n_present:
            self._time = column.name
        if not isinstance(encoder, CategoricalEncoder) or encoder.admission is None:
            return
        if encoder.vocabulary.n_codes > _MANY_CODES:
            share = (np.count_nonzero(outputs[0] == UNKNOWN_CODE) - column.n_missing) / n_present
            self._unknown.append((share, encoder.admission.share_new, column.name))

    def warn(self) -> None:
        """Say which column has how many more unknown ids than rows of the time of the training rows."""
        share, expected, name = max(self._unknown, key=lambda column: column[0] - column[1], default=(0.0, 0.0, ""))
        if self._time and share > expected + _MANY_MORE:
            warn(
                f"{share:.0%} of these rows, which come after the training rows, have values of {name!r} that fit "
                f"didn't see; among the training rows, about {expected:.0%} were new in this way. Probabilities of "
                f"such rows can be too sure. If you predict later rows, fit with CTREncoder(hold_out={self._time!r})."
            )
