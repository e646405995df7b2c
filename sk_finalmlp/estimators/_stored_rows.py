"""Training rows on disk: checked, brought into the form of the network, and shuffled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils.multiclass import check_classification_targets

from .._hold_out import place_from_last, places
from .._sources import EncodedRows, Passes, Piles, StoredArray, TemporaryFolder, check_space, sizes
from ..schema import UNKNOWN_CODE, Field, Origin, field_of_vectors
from ..training import StoredImpressions
from ._field_readers import FIRST_CODE, FieldReader, read_matrices, vector_table, with_histories_of
from ._input_columns import InputColumn
from ._rows import MIN_WEIGHT, fraction_held_out

Place = Callable[[NDArray[np.int64]], NDArray[np.float64]]


@dataclass(frozen=True)
class _Chunk:
    """Some rows.

    Parameters
    ----------
    start : int
        Number of the first.
    label : ndarray of int, shape (n,)
        Position of each row's label among all labels.
    weight : ndarray of float64, shape (n,)
        Weights, 1 at most.
    is_held_out : ndarray of bool, shape (n,)
        Which rows stop the training.
    """

    start: int
    label: NDArray[np.int32]
    weight: NDArray[np.float64]
    is_held_out: NDArray[np.bool_]

    @property
    def counts(self) -> NDArray[np.bool_]:
        """Which rows have a weight."""
        mask: NDArray[np.bool_] = self.weight > MIN_WEIGHT
        return mask


class StoredRows:
    """Encoded rows on disk as `fit` takes them.

    Parameters
    ----------
    estimator : estimator
        What is fitted.
    X : EncodedRows
        The rows.
    y : str
        Name of the column of labels.
    sample_weight : str or None
        Name of the column of weights.
    holds_out : bool
        Whether rows are held out.

    Attributes
    ----------
    classes : ndarray of shape (n_classes,)
        Labels of rows with a weight.
    n_rows, n_held_out : ndarray of int, shape (n_classes,)
        Number of rows of each class, and of those that are held out.
    weights : ndarray of float64, shape (n_classes,)
        Sums of the weights of each class.
    """

    def __init__(self, estimator: Any, X: EncodedRows, y: Any, sample_weight: Any, *, holds_out: bool) -> None:
        _check_names(X, y, sample_weight)
        assert X.classes is not None
        check_classification_targets(X.classes)
        self._rows = X
        self._weight = X.weight if sample_weight is not None else None
        self._largest_weight = 1.0 if self._weight is None else max(float(w.max()) for w in self._weight.chunks())
        if not self._largest_weight:
            raise ValueError("Sample weights must contain at least one non-zero number.")
        self.fraction = fraction_held_out(estimator, len(X), X.origin)
        self._place = _place(estimator.hold_out, X) if holds_out else None
        self._find_ends_of_classes()
        sums = np.zeros((3, len(X.classes)))
        for chunk in self._chunks():
            counts = chunk.counts
            for total, values in zip(sums, (counts, counts & chunk.is_held_out, chunk.weight * counts), strict=True):
                total += np.bincount(chunk.label, values, minlength=len(X.classes))
        self._is_class = sums[0] > 0
        self.classes = X.classes[self._is_class]
        n_rows, n_held_out, self.weights = sums[:, self._is_class]
        self.n_rows, self.n_held_out = n_rows.astype(np.int64), n_held_out.astype(np.int64)

    @property
    def origin(self) -> Origin:
        """Which encoder wrote the rows, and which it held out."""
        return self._rows.origin

    @property
    def n_given(self) -> int:
        """Number of rows, those without weight among them."""
        return len(self._rows)

    def classes_on_one_side(self) -> list[Any]:
        """Labels of which all rows, or none, are held out."""
        lacking: list[Any] = self.classes[(self.n_held_out == 0) | (self.n_held_out == self.n_rows)].tolist()
        return lacking

    def hold_none_out(self) -> None:
        """Train on all rows."""
        self._place = None
        self.n_held_out = np.zeros_like(self.n_held_out)

    def _find_ends_of_classes(self) -> None:
        """The first and the last place of each label, as `held_out_rows` has them."""
        assert self._rows.classes is not None
        self._first, self._last = np.full(len(self._rows.classes), np.inf), np.full(len(self._rows.classes), -np.inf)
        if self._place is None:
            return
        for start, label in self._labels():
            place = self._place(np.arange(start, start + len(label)))
            np.minimum.at(self._first, label, place)
            np.maximum.at(self._last, label, place)

    def _labels(self) -> Iterator[tuple[int, NDArray[np.int32]]]:
        assert self._rows.y is not None
        for start in range(0, len(self._rows), self._step):
            yield start, self._rows.y.read(start, start + self._step)

    @property
    def _step(self) -> int:
        # A row is in memory several times while it is shuffled.
        return max(1, sizes.CHUNK // 8)

    def _chunks(self) -> Iterator[_Chunk]:
        for start, label in self._labels():
            weight = np.ones(len(label)) if self._weight is None else self._read_weight(start)
            held_out = np.zeros(len(label), bool)
            if self._place is not None:
                place = self._place(np.arange(start, start + len(label)))
                held_out = ((place < self.fraction) | (place == self._first[label])) & (place < self._last[label])
            yield _Chunk(start, label, weight, held_out)

    def _read_weight(self, start: int) -> NDArray[np.float64]:
        assert self._weight is not None
        weight: NDArray[np.float64] = self._weight.read(start, start + self._step) / self._largest_weight
        return weight

    def learn_fields(self) -> list[FieldReader]:
        """The fields of the encoder, and which codes the rows hold."""
        readers: list[FieldReader] = []
        position = 0
        names = list(self._rows.columns)
        tables = {name: vector_table(name, table) for name, table in (self.origin.vectors or {}).items()}
        replaced = {field_of_vectors(name) for name, table in tables.items() if table.replaces}
        for field in self._rows.fields:
            positions = list(range(position, position + field.n_columns))
            position += field.n_columns
            if field.kind == "history":
                readers.append(FieldReader(field, positions, np.empty(0, np.int32)))
            elif field.kind == "pretrained":
                readers.append(FieldReader.of_vectors(field.name, positions, tables[field.name], field.of))
            elif field.name in replaced:
                readers.append(FieldReader.replaced(field.name, positions))
            elif field.has_codes:
                readers.append(self._learn_codes(field, positions, [names[p] for p in positions]))
            else:
                readers.append(FieldReader(field, positions, np.empty(0, np.int32)))
        return with_histories_of(readers, [reader for reader in readers if reader.field.kind != "history"])

    def _learn_codes(self, field: Field, positions: list[int], names: list[str]) -> FieldReader:
        is_known = np.zeros(field.n_codes + 1, dtype=bool)
        for name in names:
            for start in range(0, self.n_given, self._step):
                codes = self._rows.columns[name].read(start, start + self._step)
                is_known[codes if self._weight is None else codes[self._read_weight(start) > MIN_WEIGHT]] = True
        largest = int(np.flatnonzero(is_known)[-1])
        first = FIRST_CODE[field.kind]
        rows = np.arange(largest + 2, dtype=np.int32) + np.int32(first)
        known = np.where(is_known[: largest + 2], rows, np.int32(UNKNOWN_CODE))
        return FieldReader(Field(field.name, field.kind, largest + 1 + first, field.n_columns), positions, known)

    def shuffled(
        self,
        readers: list[FieldReader],
        weight_of_class: NDArray[np.float64],
        negatives_kept: float,
        seed: int,
        folder: TemporaryFolder,
        passes: Passes,
    ) -> tuple[StoredImpressions, StoredImpressions | None]:
        """Training rows and held-out rows as the network takes them, each in a random order."""
        fields = [reader.field for reader in readers]
        n_codes = sum(field.n_columns for field in fields if field.has_codes)
        width = sum(field.n_columns for field in fields) + 2
        check_space(folder, 4.0 * width * self.n_rows.sum())
        n_held_out = int(self.n_held_out.sum())
        mean_weight = float(self.weights @ weight_of_class) / self.n_rows.sum()
        sides = [_Side(folder, name, width, len(self.classes), seed + number) for number, name in enumerate(_SIDES)]
        for side, n_rows in zip(sides, (self.n_rows.sum() - n_held_out, n_held_out), strict=True):
            side.expect(int(n_rows))
        class_of_label = np.cumsum(self._is_class) - 1
        with passes.over("shuffle", self.n_given) as advance:
            for chunk in self._chunks():
                counts = chunk.counts
                columns = [
                    InputColumn(name, stored.read(chunk.start, chunk.start + self._step))
                    for name, stored in self._rows.columns.items()
                ]
                codes, values = read_matrices(readers, columns)
                target = class_of_label[chunk.label]
                weight = (chunk.weight * weight_of_class[target] / mean_weight).astype(np.float32)
                rows = StoredImpressions.rows_of(codes, values, target, weight)
                for side, mask in zip(sides, (counts & ~chunk.is_held_out, counts & chunk.is_held_out), strict=True):
                    side.add(rows, target, weight, mask)
                advance(len(rows))
        make = partial(StoredImpressions, n_codes=n_codes, n_values=width - 2 - n_codes, negatives_kept=negatives_kept)
        training, validation = (make([side.shuffled()], sums=side.sums, counts=side.n_rows) for side in sides)
        return training, validation if n_held_out else None


_SIDES = ("training", "validation")


class _Side:
    """Training rows, or those that are held out."""

    def __init__(self, folder: TemporaryFolder, name: str, width: int, n_classes: int, seed: int) -> None:
        self._make_piles = partial(Piles, folder, name, width, seed=seed)
        self.sums = torch.zeros(n_classes, dtype=torch.float64)
        self.n_rows = torch.zeros(n_classes, dtype=torch.int64)

    def expect(self, n_rows: int) -> None:
        """Get ready for so many rows."""
        self._piles = self._make_piles(n_rows=n_rows)

    def add(
        self, rows: NDArray[np.int32], target: NDArray[Any], weight: NDArray[np.float32], mask: NDArray[np.bool_]
    ) -> None:
        """Throw the rows of a mask on the piles."""
        self._piles.add(rows[mask])
        own, n_classes = torch.from_numpy(target[mask]), len(self.sums)
        self.sums += torch.bincount(own, torch.from_numpy(weight[mask]).double(), minlength=n_classes)
        self.n_rows += torch.bincount(own, minlength=n_classes)

    def shuffled(self) -> StoredArray:
        """All rows, in a random order."""
        return self._piles.shuffled()


def _check_names(X: EncodedRows, y: Any, sample_weight: Any) -> None:
    if X.y is None:
        raise ValueError("CTREncoder was fitted without y, the name of the column of labels, which training needs.")
    for argument, given, own in (("y", y, X.label), ("sample_weight", sample_weight, X.weight_name)):
        if given is not None and not isinstance(given, str):
            raise TypeError(
                f"X holds rows on disk, so {argument} must be the name of a column, not {type(given).__name__}."
            )
        if given is not None and given != own:
            raise ValueError(
                f"{argument}={given!r}, but CTREncoder was given {argument}={own!r}. Give both the same column; in a "
                f"pipeline enc__{argument} and clf__{argument}, where 'enc' and 'clf' are the names of the steps."
            )
    if y is None:
        raise ValueError("A classifier requires y to be passed, but the target y is None.")


def _place(hold_out: str, X: EncodedRows) -> Place:
    if hold_out == "auto":
        return X.place
    return places if hold_out == "random" else partial(place_from_last, n_rows=len(X))
