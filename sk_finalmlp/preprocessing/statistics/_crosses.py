"""Combinations of categorical fields as categorical fields of their own."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from ...fields import UNKNOWN_CODE, Field
from ..columns._categorical import CategoricalEncoder, VocabularyRule
from ..tables._column import Column, rows_with_weight
from ._keys import Key


class CrossEncoder:
    """Codes of combinations by descending frequency.

    A combination in which any field has code 0 has code 0 itself.

    Parameters
    ----------
    key : Key
        The fields.
    rule : VocabularyRule
        Which combinations are learned, and how.
    """

    def __init__(self, key: Key, rule: VocabularyRule) -> None:
        self.key = key
        self._encoder = CategoricalEncoder(rule)

    def fit(self, codes: Mapping[str, np.ndarray], weights: np.ndarray | None) -> None:
        """Learn the combinations of the rows with weight."""
        self._encoder.fit(*rows_with_weight(self._column(codes), weights))

    def transform(self, codes: Mapping[str, np.ndarray]) -> np.ndarray:
        """One code (int64) per row."""
        return self._encoder.transform(self._column(codes))[0]

    def output_fields(self, key: Key) -> list[Field]:
        """One categorical field, for a key that may have been renamed."""
        return self._encoder.output_fields(key.name)

    def _column(self, codes: Mapping[str, np.ndarray]) -> Column:
        unknown = np.logical_or.reduce([codes[part] == UNKNOWN_CODE for part in self.key.parts])
        return Column(self.key.name, pa.array(self.key.combine(codes), mask=unknown))
