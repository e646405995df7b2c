"""Combinations of categorical fields as categorical fields of their own."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import replace

import numpy as np
import pyarrow as pa

from ...schema import UNKNOWN_CODE, Field
from .._categorical import CategoricalEncoder, VocabularyRule
from .._column import Column, rows_with_weight
from .._vocabulary import Vocabulary
from ._changes import Changes
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
        self._encoder.fit(*rows_with_weight(self.combinations(codes), weights))

    def fit_tally(self, column: Column) -> None:
        """Learn from a tally of the combinations, which `combinations` gives."""
        self._encoder.fit(column, None)

    def transform(self, codes: Mapping[str, np.ndarray]) -> np.ndarray:
        """One code (int64) per row."""
        return self._encoder.transform(self.combinations(codes))[0]

    def grow(
        self, codes: Mapping[str, np.ndarray], weights: np.ndarray | None, changes: Changes
    ) -> tuple[CrossEncoder, np.ndarray]:
        """The encoder after more rows, and the codes that stand for other combinations now."""
        grown = copy(self)
        if isinstance(self._encoder.vocabulary, Vocabulary):
            grown.key = self.key.widened(changes.n_codes)
            grown._encoder = self._translated(self._encoder.vocabulary, grown.key, changes)
        column, _ = rows_with_weight(grown.combinations(codes), weights)
        grown._encoder, (fresh,) = grown._encoder.grow(column, changes.decay)
        return grown, fresh

    def _translated(self, vocabulary: Vocabulary, key: Key, changes: Changes) -> CategoricalEncoder:
        """What is known, by a wider key. A combination of a code that stands for another value now occurs no more."""
        known, admission = vocabulary.values.to_numpy(), self._encoder.admission
        is_gone = (known >= 0) & self.key.holds_any(known, changes.fresh)
        if admission is None or (key == self.key and not is_gone.any()):
            return self._encoder
        # Its code goes to the next one: the number of its place is no key.
        known = np.where(known < 0, known, self.key.translate(known, key))
        known[is_gone] = -1 - np.flatnonzero(is_gone)
        waiting = admission.waiting.view(np.int64)
        stays = ~self.key.holds_any(waiting, changes.fresh)
        counts = admission.known_counts.copy()
        counts[is_gone[: len(counts)]] = -1.0
        translated = copy(self._encoder)
        translated.vocabulary = Vocabulary(pa.array(known))
        translated.admission = replace(
            admission,
            waiting=self.key.translate(waiting[stays], key).view(np.uint64),
            waiting_counts=admission.waiting_counts[stays],
            known_counts=counts,
        )
        return translated

    def output_fields(self, key: Key) -> list[Field]:
        """One categorical field, for a key that may have been renamed."""
        return self._encoder.output_fields(key.name)

    def combinations(self, codes: Mapping[str, np.ndarray]) -> Column:
        """The combination of each row, missing where a field is unknown."""
        fields = zip(self.key.parts, self.key.cardinalities, strict=True)
        # The buckets of a hash stay, and have no place for codes that came later.
        unknown = np.logical_or.reduce([(codes[part] == UNKNOWN_CODE) | (codes[part] >= n) for part, n in fields])
        return Column(self.key.name, pa.array(self.key.combine(codes), mask=unknown))
