"""Fields made of the codes of other fields: crosses and statistics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import replace

import numpy as np
import pyarrow as pa

from ..schema import UNKNOWN_CODE, Field
from ._column import Column, Tally, rows_with_weight
from ._keys import Changes, Key
from ._statistics import KeyStatistics, UnknownRows
from ._sums import CodedRows, make_room
from ._target import LabelledRows
from ._vocabulary import CategoricalEncoder, Vocabulary, VocabularyRule, Waiting, count_values

#: Of more combinations than this, those that hardly repeat are refused.
_MAX_COMBINATIONS = 2**24
_HARDLY_REPEATS = 0.98


class CrossEncoder:
    """Codes of combinations by descending frequency; code 0 if any field has code 0."""

    def __init__(self, key: Key, rule: VocabularyRule) -> None:
        self.key = key
        self._encoder = CategoricalEncoder(rule)

    def fit(self, rows: CodedRows) -> Iterator[dict[str, np.ndarray]]:
        """Learn the combinations of the rows with weight, and give the codes of all rows, chunk by chunk."""
        self._encoder.fit(self._counted(rows), None)
        chunks = rows.chunks(self.key.parts, f"codes of {self.key.name}")
        return (self.transform(codes) for _, codes in chunks)

    def _counted(self, rows: CodedRows) -> Column:
        """The combinations, each once for all rows that hold it if these come in several chunks."""
        known, counts = np.empty(0, np.int64), np.empty(0, np.int64)
        n_rows = n_missing = 0
        for own, codes in rows.chunks(self.key.parts, f"combinations of {self.key.name}"):
            column, _ = rows_with_weight(self._combinations(codes), rows.weights(own))
            if rows.is_one_chunk:
                return column
            combinations = column.dictionary.dictionary.to_numpy()
            order = np.argsort(combinations)
            known, (counts,), positions = make_room(known, combinations[order], [counts])
            counts[positions] += count_values(column.dictionary)[order]
            n_rows, n_missing = n_rows + len(column), n_missing + column.n_missing
        if len(known) > max(_MAX_COMBINATIONS, _HARDLY_REPEATS * n_rows):
            raise ValueError(
                f"crosses: {self.key.name!r} has a different combination in nearly every row. Leave it out."
            )
        return Column(self.key.name, pa.array(known), Tally(counts, n_rows, n_missing))

    def transform(self, codes: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """One code (int64) per row, by the name of the cross."""
        return {self.key.name: self._encoder.transform(self._combinations(codes))[0]}

    def grow(
        self, codes: Mapping[str, np.ndarray], weights: np.ndarray | None, changes: Changes
    ) -> tuple[CrossEncoder, np.ndarray]:
        """The encoder after more rows, and the codes that stand for other combinations now."""
        grown = copy(self)
        if isinstance(self._encoder.vocabulary, Vocabulary):
            grown.key = self.key.widened(changes.n_codes)
            grown._encoder = self._translated(self._encoder.vocabulary, grown.key, changes)
        column, _ = rows_with_weight(grown._combinations(codes), weights)
        grown._encoder, (fresh,) = grown._encoder.grow(column, changes.decay)
        return grown, fresh

    def _translated(self, vocabulary: Vocabulary, key: Key, changes: Changes) -> CategoricalEncoder:
        """What is known, by a wider key. A combination of a code that stands for another value now occurs no more."""
        known, admission = vocabulary.values.to_numpy(), self._encoder.admission
        is_gone = (known >= 0) & self.key.holds_any(known, changes.fresh)
        if admission is None or (key == self.key and not is_gone.any()):
            return self._encoder
        # Its code goes to the next one: a negative number is no key.
        known = np.where(known < 0, known, self.key.translate(known, key))
        known[is_gone] = -1 - np.flatnonzero(is_gone)
        keys = admission.waiting.hashes.view(np.int64)
        stays = ~self.key.holds_any(keys, changes.fresh)
        counts = admission.known_counts.copy()
        counts[is_gone[: len(counts)]] = -1.0
        translated = copy(self._encoder)
        translated.vocabulary = Vocabulary(pa.array(known))
        translated.admission = replace(
            admission,
            waiting=Waiting(self.key.translate(keys[stays], key).view(np.uint64), admission.waiting.counts[stays]),
            known_counts=counts,
        )
        return translated

    def output_fields(self, key: Key) -> list[Field]:
        """One categorical field, for a key that may have been renamed."""
        return self._encoder.output_fields(key.name)

    def _combinations(self, codes: Mapping[str, np.ndarray]) -> Column:
        """The combination of each row, missing where a field is unknown."""
        fields = zip(self.key.parts, self.key.cardinalities, strict=True)
        # The buckets of a hash stay, and have no room for codes that came later.
        unknown = np.logical_or.reduce([(codes[part] == UNKNOWN_CODE) | (codes[part] >= n) for part, n in fields])
        return Column(self.key.name, pa.array(self.key.combine(codes), mask=unknown))


class DerivedFields:
    """All crosses and statistics of an encoder."""

    def __init__(self, crosses: Sequence[CrossEncoder], statistics: Sequence[KeyStatistics]) -> None:
        self._crosses = crosses
        self._statistics = statistics

    def fit(self, rows: CodedRows, unknown: UnknownRows | None = None) -> Iterator[Iterator[dict[str, np.ndarray]]]:
        """Learn one after the other from training rows, and give the columns of each, chunk by chunk."""
        # Statistics are out-of-fold, and an unseen value's in rows that `unknown` draws.
        for cross in self._crosses:
            yield cross.fit(rows)
        for statistics in self._statistics:
            yield statistics.fit(rows, unknown)

    def transform(self, codes: Mapping[str, np.ndarray]) -> Iterator[tuple[str, np.ndarray]]:
        """Names and columns of rows."""
        for cross in self._crosses:
            yield from cross.transform(codes).items()
        for statistics in self._statistics:
            yield from statistics.transform(codes).items()

    def grow(
        self,
        codes: Mapping[str, np.ndarray],
        weights: np.ndarray | None,
        labels: LabelledRows | None,
        changes: Changes,
    ) -> tuple[DerivedFields, dict[str, np.ndarray], dict[str, np.ndarray]]:
        """The fields after more rows, these rows' columns (statistics from before), and reused codes of crosses."""
        crosses, outputs, fresh = [], {}, {}
        for cross in self._crosses:
            grown, fresh[cross.key.name] = cross.grow(codes, weights, changes)
            crosses.append(grown)
            outputs.update(grown.transform(codes))
        statistics = []
        for of_key in self._statistics:
            assert labels is not None
            after, before = of_key.grow(codes, labels, changes)
            statistics.append(after)
            outputs.update(before)
        return DerivedFields(crosses, statistics), outputs, fresh

    @property
    def needs_labels(self) -> bool:
        """Whether there are statistics."""
        return bool(self._statistics)

    @property
    def has_recent(self) -> bool:
        """Whether there are statistics of recent rows."""
        return any(statistics.recent for statistics in self._statistics)

    def output_fields(self, names: Mapping[str, str]) -> list[Field]:
        """Fields in the order of the columns, where the fields they are made of have these names."""
        parts: list[CrossEncoder | KeyStatistics] = [*self._crosses, *self._statistics]
        return [field for part in parts for field in part.output_fields(part.key.renamed(names))]
