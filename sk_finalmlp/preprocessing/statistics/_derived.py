"""Fields made of the codes of other fields: crosses and statistics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from ..._sources import Passes, StoredArray, TemporaryFolder
from ...schema import Field
from ._changes import Changes
from ._crosses import CrossEncoder
from ._on_disk import fit_cross, fit_statistics
from ._statistics import KeyStatistics
from ._stored_target import StoredTarget
from ._target import MoreLabels, NoLabels, Target
from ._unknown import UnknownRows


class DerivedFields:
    """All crosses and statistics of an encoder.

    Parameters
    ----------
    crosses : sequence of CrossEncoder
        The crosses.
    statistics : sequence of KeyStatistics
        The statistics.
    """

    def __init__(self, crosses: Sequence[CrossEncoder], statistics: Sequence[KeyStatistics]) -> None:
        self._crosses = crosses
        self._statistics = statistics

    def fit(self, codes: Mapping[str, np.ndarray], weights: np.ndarray | None, target: Target | NoLabels) -> None:
        """Learn from training rows: `fit_transform` says how."""
        for cross in self._crosses:
            cross.fit(codes, weights)
        if isinstance(target, Target):
            for statistics in self._statistics:
                statistics.fit(codes, target)

    def fit_transform(
        self,
        codes: Mapping[str, np.ndarray],
        weights: np.ndarray | None,
        target: Target | NoLabels,
        unknown: UnknownRows,
    ) -> Iterator[tuple[str, np.ndarray]]:
        """Learn one after the other from training rows, and yield what those become.

        Parameters
        ----------
        codes : mapping of str to ndarray of shape (n_samples,)
            Codes of the categorical fields.
        weights : ndarray of shape (n_samples,) or None
            Weights of the rows.
        target : Target or NoLabels
            Labels of the rows, without which there are no statistics.
        unknown : UnknownRows
            Rows in which statistics are those of a value without rows.

        Yields
        ------
        (str, ndarray of shape (n_samples,))
            Names and columns; statistics are cross-fitted.
        """
        for cross in self._crosses:
            cross.fit(codes, weights)
            yield cross.key.name, cross.transform(codes)
        if isinstance(target, Target):
            for statistics in self._statistics:
                yield from statistics.fit(codes, target).to_rows(unknown.of(statistics.key, target))

    def fit_on_disk(
        self,
        codes: Mapping[str, StoredArray],
        weight: StoredArray | None,
        target: StoredTarget | NoLabels,
        unknown: UnknownRows,
        folder: TemporaryFolder,
        passes: Passes,
    ) -> dict[str, StoredArray]:
        """Learn one after the other from codes on disk, and write what the rows become, by name."""
        columns = {cross.key.name: fit_cross(cross, codes, weight, folder, passes) for cross in self._crosses}
        if isinstance(target, StoredTarget):
            for statistics in self._statistics:
                columns.update(fit_statistics(statistics, codes, target, unknown, folder, passes))
        return columns

    def transform(self, codes: Mapping[str, np.ndarray]) -> Iterator[tuple[str, np.ndarray]]:
        """Names and columns of rows."""
        for cross in self._crosses:
            yield cross.key.name, cross.transform(codes)
        for statistics in self._statistics:
            yield from statistics.transform(codes)

    def grow(
        self,
        codes: Mapping[str, np.ndarray],
        weights: np.ndarray | None,
        labels: MoreLabels | None,
        changes: Changes,
    ) -> tuple[DerivedFields, dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Take in more rows.

        Parameters
        ----------
        codes : mapping of str to ndarray of shape (n_samples,)
            Codes of the categorical fields, new ones included.
        weights : ndarray of shape (n_samples,) or None
            Weights of the rows.
        labels : MoreLabels or None
            Labels of the rows, where there are statistics.
        changes : Changes
            What has become of the codes.

        Returns
        -------
        derived : DerivedFields
            Those of all rows so far; these stay as they are.
        outputs : dict of {str: ndarray of shape (n_samples,)}
            Columns of the rows: crosses as they are now, statistics as they were before.
        fresh : dict of {str: ndarray of int}
            Codes of crosses that stand for other combinations now.
        """
        crosses, outputs, fresh = [], {}, {}
        for cross in self._crosses:
            grown, fresh[cross.key.name] = cross.grow(codes, weights, changes)
            crosses.append(grown)
            outputs[cross.key.name] = grown.transform(codes)
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

    def output_fields(self, names: Mapping[str, str]) -> list[Field]:
        """Fields in the order of the columns, where the fields they are made of have these names."""
        parts: list[CrossEncoder | KeyStatistics] = [*self._crosses, *self._statistics]
        return [field for part in parts for field in part.output_fields(part.key.renamed(names))]
