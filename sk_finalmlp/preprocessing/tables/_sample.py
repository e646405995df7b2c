"""Some rows of a table that is never in memory as a whole."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from ..._hold_out import places
from ..._sources import sizes
from ._raw_column import Part, RawColumn
from ._tally import is_number

_SEED = 1


class RowSample:
    """Some rows, as good as drawn at random by their numbers: all of them where there are few.

    Of columns that hold numbers the values are kept, too.

    Attributes
    ----------
    n_seen : int
        Number of the rows that it was drawn from.
    """

    def __init__(self) -> None:
        self.n_seen = 0
        self._share = 1.0
        self._numbers: list[np.ndarray] = []
        self._columns: dict[str, list[RawColumn]] = {}
        self._weights: list[np.ndarray] = []

    def add(self, numbers: np.ndarray, columns: Sequence[RawColumn], weights: np.ndarray | None) -> None:
        """Look at more rows."""
        self.n_seen += len(numbers)
        kept = places(numbers, _SEED) < self._share
        self._numbers.append(numbers[kept])
        for raw in columns:
            pieces = self._columns.setdefault(raw.name, [])
            if all(is_number(part.values.type) for part in raw.parts):
                pieces.append(raw if kept.all() else raw.filter(kept))
        if weights is not None:
            self._weights.append(weights[kept])
        while sum(map(len, self._numbers)) > sizes.SAMPLE:
            self._halve()

    def merge(self, others: RowSample) -> None:
        """Take in the sample of other rows, which have higher numbers."""
        while self._share > others._share:
            self._halve()
        while others._share > self._share:
            others._halve()
        self.n_seen += others.n_seen
        for name in self._columns.keys() | others._columns.keys():
            self._columns[name] = [*self._columns.get(name, []), *others._columns.get(name, [])]
        self._numbers += others._numbers
        self._weights += others._weights
        while sum(map(len, self._numbers)) > sizes.SAMPLE:
            self._halve()

    def _halve(self) -> None:
        self._share /= 2
        kept = [places(numbers, _SEED) < self._share for numbers in self._numbers]
        for name, pieces in self._columns.items():
            if len(pieces) == len(kept):
                self._columns[name] = [raw.filter(rows) for raw, rows in zip(pieces, kept, strict=True)]
            else:
                self._columns[name] = []
        self._weights = [values[rows] for values, rows in zip(self._weights, kept, strict=False)]
        self._numbers = [numbers[rows] for numbers, rows in zip(self._numbers, kept, strict=True)]

    def forget(self) -> None:
        """Keep nothing but the numbers of the rows."""
        self._columns, self._weights = {}, []

    @property
    def numbers(self) -> np.ndarray:
        """Numbers of the rows."""
        return np.concatenate(self._numbers)

    @property
    def weights(self) -> np.ndarray | None:
        """Weights of the rows."""
        return np.concatenate(self._weights) if self._weights else None

    def column(self, name: str) -> RawColumn | None:
        """The values of a column of numbers."""
        pieces = self._columns.get(name, [])
        if len(pieces) != len(self._numbers):
            return None
        values: dict[pa.DataType, list[pa.Array]] = {}
        rows: dict[pa.DataType, list[np.ndarray]] = {}
        n_rows = 0
        for piece in pieces:
            for part in piece.parts:
                own = np.arange(len(piece)) if part.rows is None else part.rows
                values.setdefault(part.values.type, []).append(part.values)
                rows.setdefault(part.values.type, []).append(n_rows + own)
            n_rows += len(piece)
        parts = [Part(pa.concat_arrays(values[dtype]), np.concatenate(rows[dtype])) for dtype in values]
        if len(parts) == 1:
            parts = [Part(parts[0].values)]
        return RawColumn(name, parts, n_rows)
