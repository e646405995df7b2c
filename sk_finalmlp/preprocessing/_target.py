"""Weights, labels and groups of the training rows for out-of-fold statistics, in memory or on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.utils import check_consistent_length

from .._checks import refuse_name_as_labels
from .._hold_out import Fraction, HoldOut, Place, places, rows_to_choose, share_held_out
from .._labels import BASE, MISSING, has_tasks, label_classes, label_columns, label_digits, patterns_of
from .._sources import StoredArray, sizes
from .._warnings import shown

_N_FOLDS = 10
#: Keeps logarithms finite where all rows with weight are held out.
_MIN_SHARE = 1e-12

#: The group of rows behind all others.
NEW_ROWS = -1

#: A column of all rows, in memory or on disk.
Array = np.ndarray | StoredArray


#: Draws the folds, given the number of each row's label, how many labels there are, and the weights.
DrawFolds = Callable[[Array, int, Array | None], "Folds"]


class NoLabels(ValueError):
    """No statistics can be learned from this y."""


#: What `LabelledRows` hold of each row.
_OF_ROWS = "weights", "digits", "folds", "groups_in_time"


@dataclass(frozen=True)
class LabelledRows:
    """Weights, labels and folds of some rows."""

    weights: np.ndarray
    #: Number of the class of each row; of several columns of labels 0, 1 or MISSING, of shape (n_labels, n_samples).
    digits: np.ndarray
    #: `n_folds` for rows that are held out, `n_folds + 1` for rows without weight.
    folds: np.ndarray
    #: The number of each row's group in blocks of time where their order is known, else its fold.
    groups_in_time: np.ndarray
    #: Labels that have a rate: of two classes, the greater has the only one.
    n_labels: int

    @cached_property
    def is_unweighted(self) -> bool:
        """Whether each row has weight 1, so that sums are counts, which are faster."""
        return bool((self.weights == 1).all())

    def terms(self, positions: np.ndarray) -> list[tuple[np.ndarray, np.ndarray | None]]:
        """Positions and weights of all rows, of each label's, and of those where it is known, if not all."""
        terms = [(positions, None if self.is_unweighted else self.weights)]
        terms += [(positions.take(own), weights) for own, weights in self.rows_of_labels]
        return terms + [(positions, weights) for weights in self.known_weights or ()]

    @cached_property
    def rows_of_labels(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """For each label, the numbers and the weights of its rows, which may be few."""
        if self.digits.ndim == 2 or self.n_labels == 1:
            numbers = [np.flatnonzero(self.has(label)) for label in range(self.n_labels)]
        else:
            order = np.argsort(self.digits, kind="stable")
            numbers = np.split(order, np.searchsorted(self.digits.take(order), np.arange(1, self.n_labels)))
        return [(own, self.weights.take(own)) for own in numbers]

    def has(self, label: int) -> np.ndarray:
        """Which rows have a label."""
        return self.digits[label] == 1 if self.digits.ndim == 2 else self.digits == (label if self.n_labels > 1 else 1)

    @property
    def patterns(self) -> np.ndarray:
        """The number of each row's class, of several columns of labels of its combination of them."""
        return self.digits if self.digits.ndim == 1 else patterns_of(list(self.digits))

    @cached_property
    def known_weights(self) -> list[np.ndarray] | None:
        """For each of several columns of labels, weights of the rows where it is known; else None."""
        if self.digits.ndim == 1:
            return None
        return [np.where(digits != MISSING, self.weights, 0.0) for digits in self.digits]

    def weights_of(self, label: int) -> tuple[np.ndarray, np.ndarray]:
        """Weights of the rows where a label is known, and of the rows with it; other rows have weight 0."""
        known = self.weights if self.known_weights is None else self.known_weights[label]
        return known, np.where(self.has(label), self.weights, 0.0)

    def take(self, rows: Any) -> Self:
        """Some of the rows, given by their numbers or a slice."""
        return replace(self, **{name: getattr(self, name)[..., rows] for name in _OF_ROWS})


@dataclass(frozen=True)
class Grouping:
    """Groups of rows that share out-of-fold statistics: random folds, or, with several blocks, the order of time."""

    # A row knows the other folds, in a later block the blocks before its own; rows held out know all that aren't, but
    # with halvings the blocks before theirs alone. A key and a group make a cell; cells are sorted by key, then group.
    n_folds: int
    n_blocks: int = 1
    #: The share of the training rows with the statistics of this grouping.
    share: float = 1.0
    #: How often a block's weight is halved until the next one.
    halvings: int | None = None

    @property
    def n_groups(self) -> int:
        """Number of groups, in the order of time."""
        # Of the first block the folds and the rows held out, of each later one those held out and the others; last come
        # the rows without weight.
        return self.n_folds + 2 * self.n_blocks

    def groups(self, folds: np.ndarray, blocks: np.ndarray) -> np.ndarray:
        """The group of each row, by its fold and its block."""
        of_blocks = np.where(blocks == 0, folds, self.n_folds + 2 * blocks - (folds == self.n_folds))
        return np.where(folds > self.n_folds, self.n_groups - 1, of_blocks)

    def blocks_of(self, groups: np.ndarray) -> np.ndarray:
        """The block of each group; rows without weight are behind the last."""
        return np.maximum(groups - self.n_folds + 1, 0) // 2

    def others(self, of_cells: np.ndarray, groups: np.ndarray, key_of_cell: np.ndarray) -> np.ndarray:
        """Sums over the rows of the same key that each cell knows."""
        others_of = self._other_folds if self.n_blocks == 1 else self._earlier_blocks
        others = others_of(of_cells, groups, key_of_cell)
        # Differences of fractional weights may be a little below 0.
        return np.maximum(others, 0.0, out=others)

    def _earlier_blocks(self, of_cells: np.ndarray, groups: np.ndarray, key_of_cell: np.ndarray) -> np.ndarray:
        is_learned = (groups < self.n_folds) | ((groups > self.n_folds) & ((groups - self.n_folds) % 2 == 0))
        learned = np.where(is_learned, of_cells, 0.0)
        if self.halvings is not None:
            # By powers of two, nothing is rounded.
            blocks = self.blocks_of(groups)
            before = self._before(np.ldexp(learned, self.halvings * blocks), groups, key_of_cell)
            return np.ldexp(before, self.halvings * (1 - np.maximum(blocks, 1)))
        others = self._before(learned, groups, key_of_cell)
        rest = np.flatnonzero(~is_learned)
        others[rest] = np.bincount(key_of_cell, learned).take(key_of_cell.take(rest))
        return others

    def _other_folds(self, of_cells: np.ndarray, groups: np.ndarray, key_of_cell: np.ndarray) -> np.ndarray:
        held_out = np.flatnonzero(groups == self.n_folds)
        of_keys = np.bincount(key_of_cell, of_cells)
        # Few cells are held out.
        keys_held_out = key_of_cell.take(held_out)
        others = of_keys - np.bincount(keys_held_out, of_cells.take(held_out), minlength=len(of_keys))
        of_others: np.ndarray = others.take(key_of_cell)
        of_others[held_out] = of_keys.take(keys_held_out)
        of_others -= of_cells
        return of_others

    def _before(self, learned: np.ndarray, groups: np.ndarray, key_of_cell: np.ndarray) -> np.ndarray:
        """Sums over the blocks before each cell's, in the first block over the others of that block."""
        before: np.ndarray = np.cumsum(learned)
        before -= learned
        before -= before[np.r_[True, key_of_cell[1:] != key_of_cell[:-1]]].take(key_of_cell)
        first = np.flatnonzero(groups <= self.n_folds)
        keys, of_first = key_of_cell.take(first), learned.take(first)
        before[first] = np.bincount(keys, of_first, 1).take(keys) - of_first
        return before

    def now(self, of_cells: np.ndarray, groups: np.ndarray) -> np.ndarray:
        """What cells add to the statistics of new rows."""
        if not self.halvings:
            return of_cells
        return np.ldexp(of_cells, self.halvings * (self.blocks_of(groups) - self.n_blocks + 1))

    @property
    def n_blocks_now(self) -> float:
        """The number of last blocks with the weight of all blocks in the statistics of new rows."""
        return float(np.ldexp(1.0, -(self.halvings or 0) * np.arange(self.n_blocks)).sum())


@dataclass(eq=False)
class Target:
    """The labels of all rows; `labels` names the ones that have a rate, None for the rate of two classes."""

    labels: Sequence[str | None]
    classes: np.ndarray
    n_folds: int
    n_rows: int
    read: Callable[[int, int], LabelledRows]
    has_tasks: bool = False
    #: Blocks in time, where the order is known.
    blocks: Grouping | None = None

    def in_blocks(
        self, blocks_of: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]], n_blocks: int, share: float
    ) -> Target:
        """The target of the same rows in blocks of time, about this share with walk-forward statistics.

        `blocks_of` gives the blocks of rows by their numbers, and how far each is from the end of its block, in [0, 1).
        """
        grouping = Grouping(self.n_folds, n_blocks, round(share * self.n_folds) / self.n_folds)

        def read(start: int, stop: int) -> LabelledRows:
            rows = self.read(start, stop)
            blocks, positions = blocks_of(np.arange(start, start + len(rows.folds)))
            # In the first block, folds are parts of the time: rows of one session know none of each other.
            parts = (positions * self.n_folds).astype(np.int64)
            folds = np.where(rows.folds < self.n_folds, parts, rows.folds)
            return replace(rows, groups_in_time=grouping.groups(folds, blocks))

        return replace(self, read=read, blocks=grouping)

    def all_in_blocks(self) -> Target:
        """The target of the same rows, all with walk-forward statistics."""
        return replace(self, blocks=self.walk_forward())

    def of(self, rows: LabelledRows) -> Target:
        """The target of other rows, which are in memory."""
        return replace(self, n_rows=len(rows.weights), read=lambda start, stop: rows.take(slice(start, stop)))

    @cached_property
    def rows(self) -> LabelledRows:
        """All rows at once."""
        return self.read(0, self.n_rows)

    def chunks(self) -> Iterator[tuple[int, LabelledRows]]:
        """All rows, some at a time, with the number of the first."""
        for start in range(0, self.n_rows, sizes.CHUNK):
            yield start, self.read(start, start + sizes.CHUNK)

    @property
    def n_patterns(self) -> int:
        """Number of classes, or of combinations of several columns of labels."""
        return int(BASE ** len(self.labels)) if self.has_tasks else len(self.classes)

    @cached_property
    def priors(self) -> list[float]:
        """Overall share of each label in the rows where it is known."""
        sums = np.zeros((2, len(self.labels)))
        # The same slices in memory and on disk, so that sums of fractions are rounded alike.
        for _, rows in self.chunks():
            for label in range(len(self.labels)):
                sums[:, label] += [weights.sum() for weights in rows.weights_of(label)]
        return (sums[1] / sums[0]).tolist()

    @property
    def groupings(self) -> list[Grouping]:
        """The groupings of the training rows: random folds, and blocks where the order in time is known."""
        if self.blocks is None:
            return [Grouping(self.n_folds)]
        # Rows held out have the statistics of the folds, whatever the share.
        return [Grouping(self.n_folds, share=1 - self.blocks.share), self.blocks]

    def walk_forward(self, halvings: int | None = None) -> Grouping:
        """The grouping for statistics of rows that all know earlier blocks alone; with a halving, of recent rows."""
        assert self.blocks is not None
        return replace(self.blocks, share=1.0, halvings=halvings)

    @cached_property
    def recent_priors(self) -> list[np.ndarray]:
        """For each label, its share in the recent rows that each group knows, and last the `NEW_ROWS`."""
        recent = self.walk_forward(halvings=1)
        sums = np.zeros((len(self.labels), 2, recent.n_groups))
        for _, rows in self.chunks():
            for label, of_label in enumerate(sums):
                for of_groups, weights in zip(of_label, rows.weights_of(label), strict=True):
                    of_groups += np.bincount(rows.groups_in_time, weights, recent.n_groups)
        groups = np.arange(recent.n_groups)
        of_one_key = np.zeros_like(groups)
        known = [
            np.append(recent.others(of_groups, groups, of_one_key), recent.now(of_groups, groups).sum())
            for of_groups in sums.reshape(-1, len(groups))
        ]
        pairs = zip(known[::2], known[1::2], self.priors, strict=True)
        return [(own + prior) / (n_rows + 1) for n_rows, own, prior in pairs]

    def priors_of(self, groups: np.ndarray | int, recent: bool) -> Sequence[float | np.ndarray]:
        """For each label, its overall share; in recent rows, those that each of these groups knows."""
        # The overall share is of all folds: a number that all rows share tells none of them its label.
        return [of_groups[groups] for of_groups in self.recent_priors] if recent else self.priors

    @cached_property
    def seen_shares(self) -> np.ndarray:
        """For each random fold, the share of all weight, about, that the statistics of its rows are learned from."""
        total = kept = 0.0
        for _, rows in self.chunks():
            total += rows.weights.sum()
            kept += rows.weights[rows.folds < self.n_folds].sum()
        shares: np.ndarray = np.full(self.n_folds + 2, max(kept / total, _MIN_SHARE))
        shares[: self.n_folds] *= 1 - 1 / self.n_folds
        return shares

    @property
    def mean_weight(self) -> float:
        """Mean weight of the rows with weight."""
        sums = np.sum([(rows.weights.sum(), np.count_nonzero(rows.weights)) for _, rows in self.chunks()], axis=0)
        return float(sums[0] / sums[1])

    def take(self, numbers: np.ndarray) -> Target:
        """The target of some rows, given by their numbers in ascending order, as if there were no others."""
        starts = np.arange(0, self.n_rows, sizes.CHUNK)
        parts = [
            self.read(start, start + sizes.CHUNK).take(own - start)
            for start, own in zip(starts.tolist(), np.split(numbers, np.searchsorted(numbers, starts[1:])), strict=True)
        ]
        columns = {name: np.concatenate([getattr(part, name) for part in parts], axis=-1) for name in _OF_ROWS}
        return self.of(LabelledRows(n_labels=len(self.labels), **columns))


def read_target(y: Any, X: Any, weights: np.ndarray | None, draw: DrawFolds) -> Target:
    """Read the labels of a table in memory; raise NoLabels if y holds no labels of two or more classes."""
    if not has_tasks(y):
        numbers, labels = pd.factorize(_read_labels(y, X), sort=True)
        target = _make_target(numbers, labels, weights, draw)
        return target.of(target.rows)
    check_consistent_length(X, y)
    columns = label_columns(y)
    try:
        classes = label_classes(columns)
    except ValueError as error:
        raise NoLabels(f"y does not contain class labels (multilabel-indicator or multioutput: {error})") from error
    digits = np.stack([label_digits(*of_task) for of_task in zip(columns, classes, columns.values(), strict=True)])
    patterns = patterns_of(list(digits))
    folds = draw(patterns, int(patterns.max()) + 1, weights)
    weights = np.ones(len(patterns)) if weights is None else weights
    for name, of_task in zip(columns, digits, strict=True):
        if not all((weights[of_task == digit] > 0).any() for digit in (0, 1)):
            raise NoLabels(f"{name!r} has only one class in the rows with a positive sample_weight")
    of_rows = folds.of(0, patterns, weights)
    rows = LabelledRows(weights, digits, of_rows, of_rows, len(columns))
    names = np.array(list(columns), dtype=object)
    return Target(list(columns), names, folds.n_folds, len(patterns), lambda *_: rows, has_tasks=True).of(rows)


def read_stored_target(
    y: StoredArray | None, labels: np.ndarray | None, weight: StoredArray | None, draw: DrawFolds
) -> Target:
    """Read the labels of rows on disk; raise NoLabels if they aren't labels of two or more classes."""
    if labels is None:
        raise NoLabels("there is no y")
    check_labels(labels)
    assert y is not None
    return _make_target(y, labels, weight, draw)


def _make_target(y: Array, labels: np.ndarray, weight: Array | None, draw: DrawFolds) -> Target:
    """The target of rows given by the positions of their labels among all labels, sorted."""
    folds = draw(y, len(labels), weight)
    is_class = folds.n_present > 0
    classes = labels[is_class]
    if len(classes) == 1:
        where = "" if weight is None or folds.n_present.sum() == len(y) else _WITH_WEIGHT
        raise NoLabels(f"y has only one class{where}")
    # One rate tells of both classes, so that two classes need one.
    names: list[str | None] = [str(label) for label in classes] if len(classes) > 2 else [None]
    # Labels of rows without weight alone count as the first class.
    class_of_label = np.maximum(np.cumsum(is_class) - 1, 0) * is_class

    def read(start: int, stop: int) -> LabelledRows:
        of_rows = y[start:stop]
        weights = np.ones(len(of_rows)) if weight is None else weight[start:stop]
        own = folds.of(start, of_rows, weights)
        return LabelledRows(weights, class_of_label[of_rows], own, own, len(names))

    return Target(names, classes, folds.n_folds, len(y), read)


_WITH_WEIGHT = " in the rows with a positive sample_weight"


class Folds:
    """Which rows are held out, and the folds of the others, drawn by their numbers."""

    def __init__(
        self,
        labels: Array,
        n_labels: int,
        weights: Array | None,
        *,
        fraction: Fraction,
        place: Place,
        random_state: np.random.RandomState,
    ) -> None:
        chunks = [slice(start, start + sizes.CHUNK) for start in range(0, len(labels), sizes.CHUNK)]
        share = share_held_out(fraction, len(labels), at_random=place is places)
        among = (
            rows_to_choose(rows.start, labels[rows], None if weights is None else weights[rows], place)
            for rows in chunks
        )
        self._hold_out = HoldOut.among(among, n_labels, place, share)
        self.n_present, n_kept = np.zeros((2, n_labels), np.int64)
        for rows in chunks:
            own = labels[rows]
            is_present = np.ones(len(own), bool) if weights is None else weights[rows] > 0
            is_held_out = self._hold_out.chooses(rows.start, own)
            self.n_present += np.bincount(own[is_present], minlength=n_labels)
            n_kept += np.bincount(own[is_present & ~is_held_out], minlength=n_labels)
        # At most the rows outside the largest class: with more folds, a fold with a click would stand out.
        self.n_folds = min(max(int(n_kept.sum() - n_kept.max(initial=0)), 2), _N_FOLDS)
        self._seed = int(random_state.randint(1, np.iinfo(np.int32).max))

    def of(self, start: int, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """The folds of consecutive rows, the first with this number."""
        folds: np.ndarray = (places(np.arange(start, start + len(labels)), self._seed) * self.n_folds).astype(np.int64)
        folds[self._hold_out.chooses(start, labels)] = self.n_folds
        folds[weights <= 0] = self.n_folds + 1
        return folds


def effective_n_rows(weights: np.ndarray) -> float:
    """Number of rows of equal weights that carry as much information: Kish's effective sample size (1965, 11.7)."""
    shares = weights / weights.max()
    return float(shares.sum() ** 2 / (shares @ shares))


def held_out_in_time(place: Place, fraction: Fraction, target: Target | NoLabels, n_rows: int) -> np.ndarray:
    """Which rows are held out by their places, as far as labels don't ask for others: those without weight, too."""
    is_held_out: np.ndarray = place(np.arange(n_rows)) < share_held_out(fraction, n_rows, at_random=False)
    if isinstance(target, NoLabels):
        return is_held_out
    for start, rows in target.chunks():
        own = slice(start, start + len(rows.folds))
        is_held_out[own] = np.where(rows.folds > target.n_folds, is_held_out[own], rows.folds == target.n_folds)
    return is_held_out


def _read_labels(y: Any, X: Any) -> np.ndarray:
    """A class per row."""
    if y is None:
        raise NoLabels("there is no y")
    if isinstance(y, str | list | tuple):
        refuse_name_as_labels(X, y)
    if np.isscalar(y) or getattr(y, "shape", None) == ():
        raise ValueError(f"y should be a 1d array, got {shown(y)}, a single value, instead.")
    check_consistent_length(X, y)
    labels = np.asarray(y)
    if pd.isna(labels).any():
        raise ValueError("Input y contains NaN: leave out the rows without a label.")
    if labels.dtype.kind == "O" and pd.api.types.infer_dtype(labels.ravel()) in ("integer", "boolean", "floating"):
        labels = np.array(labels.tolist())
    check_labels(labels)
    return labels.ravel()


def check_labels(y: np.ndarray) -> None:
    """Raise NoLabels, in scikit-learn's words, if y doesn't hold a class per row."""
    # scikit-learn's own function isn't thread-safe: it sets warning filters for the whole process.
    kind = None
    if y.ndim != 1 and y.shape[1:] != (1,):
        kind = "multilabel-indicator or multioutput"
    elif y.dtype.kind == "f" and not (np.isfinite(y) & (y == np.floor(y))).all():
        kind = "continuous"
    elif y.dtype.kind in "cSV" or (y.dtype.kind == "O" and not all(isinstance(label, str) for label in y.ravel())):
        kind = "unknown"
    if kind is not None:
        raise NoLabels(f"y does not contain class labels (Unknown label type: {kind})")


def read_more_labels(y: Any, X: Any, weights: np.ndarray | None, classes: np.ndarray) -> LabelledRows:
    """Read the labels of rows of an update; `fit` has to have seen each."""
    try:
        labels = _read_labels(y, X)
    except NoLabels as reason:
        raise ValueError(f"Statistics take in the labels of new rows, but {reason}. Give y as in fit.") from reason
    weights = np.ones(len(labels)) if weights is None else weights
    strange = np.setdiff1d(labels[weights > 0], classes)
    if len(strange):
        raise ValueError(
            f"y has labels that fit didn't see, {shown(strange.tolist())}; it saw {shown(classes.tolist())}. Leave "
            "out such rows, or fit again."
        )
    n_labels = len(classes) if len(classes) > 2 else 1
    folds = np.zeros(len(labels), np.int64)
    return LabelledRows(weights, np.searchsorted(classes, labels), folds, folds, n_labels)
