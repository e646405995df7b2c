"""The order of the training rows in time: what tells it, and the place of each row in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .._hold_out import Place, PlaceAmongCounted, place_from_last, place_of_last
from ._target import Array

#: Blocks of about as many rows, one after the other in time.
N_BLOCKS = 5
#: Share of the rows that count as the last ones.
_LAST = 0.1
#: More new values among the last rows than a random order gives, by so many standard deviations and this share of
#: the last rows, tell that the order is that of time. Random orders stay below 2 deviations.
_MANY_DEVIATIONS, _LEAST_SHARE = 10.0, 0.01
#: Fields with fewer values have no new ones; those with many are ids.
_LEAST_VALUES, _MANY_VALUES = 20, 100
#: An id determines a date if it has at most so many dates on average, and at least so many rows.
_MOST_DATES, _LEAST_ROWS = 1.01, 2.0
#: Above this rank correlation, two columns of times tell the same order.
_SAME_ORDER = 0.95
#: Times that a clock keeps apart.
_MOST_TIMES = 2**20


class ToldOrder(NamedTuple):
    """What a parameter says tells the order: a column, or the rows if `column` is None."""

    column: str | None
    parameter: str


def told_order(hold_out: str, order: str | None) -> ToldOrder | None:
    """Return what two parameters of the encoder say of the order, None if it is to be found, or isn't used."""
    if hold_out not in ("random", "last"):
        if order not in ("auto", hold_out):
            raise ValueError(
                f"hold_out={hold_out!r} names the column that tells the order, and order={order!r} says otherwise. "
                f"Leave order at 'auto', or set hold_out='last' with order={order!r}."
            )
        return ToldOrder(hold_out, "hold_out")
    if order in ("auto", "rows", None):
        is_told = hold_out == "last" or order == "rows"
        return ToldOrder(None, "hold_out") if is_told else None
    return ToldOrder(order, "order")


class Order(NamedTuple):
    """The order in time, told by a column, or by the rows themselves if `column` is None."""

    column: str | None
    #: In [0, 1), the lowest for the last row; rows of one time share a place.
    place: Place
    #: Which of the blocks hold rows.
    blocks: np.ndarray = np.arange(N_BLOCKS)
    #: Whether a row's place follows from its number alone.
    is_of_numbers: bool = False

    def blocks_and_positions(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the block of each row, and how far it is from the end of its block, in [0, 1)."""
        from_end = N_BLOCKS * self.place(numbers)
        blocks = N_BLOCKS - 1 - from_end.astype(np.int64)
        return np.searchsorted(self.blocks, blocks), from_end % 1


def order_of_rows(weights: Array | None, n_rows: int) -> Order:
    """Return the order that the rows come in."""
    place = place_of_last(weights, n_rows)
    return Order(None, place, is_of_numbers=not isinstance(place, PlaceAmongCounted))


@dataclass(frozen=True)
class Clock:
    """Distinct times of the rows with weight, sorted, and the number of rows of each."""

    times: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, times: np.ndarray, counts: np.ndarray | None = None) -> Clock:
        """Return the clock of rows with these times, or of so many rows with each."""
        times, positions = np.unique(times, return_inverse=True)
        return cls(times, np.bincount(positions, counts).astype(np.int64))

    def merged(self, other: Clock) -> Clock:
        """Return the clock of all rows; beyond a million times, neighbours count as one."""
        both = Clock.of(np.r_[self.times, other.times], np.r_[self.counts, other.counts])
        while len(both.times) > _MOST_TIMES:
            firsts = np.arange(0, len(both.times), 2)
            both = Clock(both.times[firsts], np.add.reduceat(both.counts, firsts))
        return both

    @property
    def is_running(self) -> bool:
        """Whether some rows are later than others."""
        return len(self.times) > 1

    def places(self, times: np.ndarray) -> np.ndarray:
        """Return the places of rows with these times; those without a time come first."""
        before = np.cumsum(self.counts) - self.counts
        positions = np.searchsorted(self.times, np.nan_to_num(times, nan=-np.inf, posinf=np.inf, neginf=-np.inf))
        return place_from_last(before[np.minimum(positions, len(before) - 1)], int(self.counts.sum()))

    def order(self, column: str, times: Array) -> Order:
        """Return the order by a column with these times, in memory or on disk."""
        occupied = np.unique(Order(column, self.places).blocks_and_positions(self.times)[0])
        rows = times.__getitem__ if isinstance(times, np.ndarray) else times.rows
        return Order(column, lambda numbers: self.places(rows(numbers)), occupied)


def share_of_new_ids(codes: Mapping[str, np.ndarray], places: np.ndarray) -> float:
    """Return the share of the last rows that have a value of a field with many that no earlier row has."""
    is_last = places < _LAST
    is_new = np.zeros(np.count_nonzero(is_last), bool)
    for ids in codes.values():
        if ids.max(initial=0) >= _MANY_VALUES:
            is_new |= ~np.isin(ids[is_last], ids[~is_last])
    return float(is_new.mean()) if len(is_new) else 0.0


class FoundOrder(NamedTuple):
    """What tells the order, the rows if `column` is None; and what to report of which columns."""

    is_found: bool
    column: str | None
    reports: Mapping[str, str]
    doubt: str = ""


def find_order(times: Mapping[str, np.ndarray], codes: Mapping[str, np.ndarray]) -> FoundOrder:
    """Find out what tells the order of sampled rows, by their times, NaN if missing, and by their codes."""
    codes = {name: _compact(of_rows) for name, of_rows in codes.items() if of_rows.max(initial=0) >= _LEAST_VALUES}
    running = {
        name: np.nan_to_num(of_rows, nan=-np.inf)
        for name, of_rows in times.items()
        if len(np.unique(of_rows[~np.isnan(of_rows)])) > 1
    }
    reports, signs = {}, {}
    for name, of_rows in running.items():
        owner = next((field for field, ids in codes.items() if _determines(ids, of_rows)), None)
        needs_sign = owner is not None or len(running) > 1
        signs[name] = _strongest_sign(codes, of_rows) if needs_sign else _NO_SIGN
        if owner is not None and not signs[name].is_clear:
            del signs[name]
            reports[name] = f", one for each value of {owner!r}, so they don't tell the order of the rows"
    if not signs:
        sign = _strongest_sign(codes, None)
        if not sign.is_clear:
            return FoundOrder(False, None, reports)
        new = f"; {sign.share:.1%} of the last rows have new values, {sign.expected:.1%} if their order was random, so "
        return FoundOrder(True, None, {**reports, sign.field: f"{new}the rows come in the order of time"})
    chosen = max(signs, key=lambda name: (_are_sorted(running[name]), signs[name].strength))
    reports[chosen] = ", which tell the order of the rows"
    return FoundOrder(True, chosen, reports, _doubt(chosen, running, signs))


class _Sign(NamedTuple):
    """How many of the last rows have new values of a field, and how many a random order gives."""

    field: str
    share: float
    expected: float
    deviations: float

    @property
    def is_clear(self) -> bool:
        return self.deviations > _MANY_DEVIATIONS and self.share > self.expected + _LEAST_SHARE

    @property
    def strength(self) -> float:
        """Deviations where these can't be chance, else 0."""
        return self.deviations if self.is_clear else 0.0


_NO_SIGN = _Sign("", 0.0, 0.0, 0.0)


def _strongest_sign(codes: Mapping[str, np.ndarray], times: np.ndarray | None) -> _Sign:
    """Return the sign of the field that tells the order by these times most, or that of the rows."""
    if times is None:
        in_order, grouped = codes, [ids for ids in codes.values() if _are_grouped(ids)]
    else:
        # Within one time, rows with the same value come together.
        orders = {name: np.lexsort((ids, times)) for name, ids in codes.items()}
        in_order, grouped = {name: ids[orders[name]] for name, ids in codes.items()}, []
    signs = [
        min((_sign(name, _first_of_runs(ids, by)) for by in (ids, *grouped)), key=lambda sign: sign.deviations)
        for name, ids in in_order.items()
    ]
    return max(signs, key=lambda sign: (sign.is_clear, sign.deviations), default=_NO_SIGN)


def _sign(field: str, ids: np.ndarray) -> _Sign:
    """Return the sign of a field with these values in order."""
    ids = ids[ids > 0]
    n_last = int(_LAST * len(ids))
    if not n_last:
        return _NO_SIGN._replace(field=field)
    counts = np.bincount(ids)
    is_known = np.bincount(ids[:-n_last], minlength=len(counts)) > 0
    n_new = np.count_nonzero(~is_known[ids[-n_last:]])
    # All rows of a value are among the last.
    probability = _LAST ** counts.astype(np.float64)
    expected = float(counts @ probability)
    variance = float(np.square(counts) @ (probability * (1 - probability)))
    return _Sign(field, n_new / n_last, expected / n_last, (n_new - expected) / max(variance, 1.0) ** 0.5)


def _first_of_runs(ids: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return one row of each value in each run of a group, so that rows sorted by an id count as one."""
    runs = np.cumsum(_starts(groups))
    _, firsts = np.unique(runs * (int(ids.max()) + 1) + ids, return_index=True)
    return ids[np.sort(firsts)]


def _compact(codes: np.ndarray) -> np.ndarray:
    """Return codes that count the values of these rows alone, with 0 as it is."""
    distinct, ids = np.unique(codes, return_inverse=True)
    return ids if distinct[:1] == 0 else ids + 1


def _are_grouped(ids: np.ndarray) -> bool:
    """Return whether all rows of a value come one after the other."""
    return np.count_nonzero(_starts(ids)) == len(np.unique(ids)) < len(ids)


def _starts(values: np.ndarray) -> np.ndarray:
    return np.r_[True, values[1:] != values[:-1]]


def _determines(ids: np.ndarray, times: np.ndarray) -> bool:
    """Return whether each value of a field that repeats has one time, as a date of registration or of release."""
    known = ids > 0
    ids, ranks = ids[known], np.unique(times[known], return_inverse=True)[1]
    n_ids = len(np.unique(ids))
    if len(ids) < _LEAST_ROWS * max(n_ids, 1):
        return False
    return len(np.unique(ids.astype(np.int64) * (len(ranks) + 1) + ranks)) <= _MOST_DATES * n_ids


def _are_sorted(times: np.ndarray) -> bool:
    return bool((times[1:] >= times[:-1]).all())


def _doubt(chosen: str, times: Mapping[str, np.ndarray], signs: Mapping[str, _Sign]) -> str:
    """Say which other column may be the time of the rows, where nothing speaks for the chosen one alone."""
    if _are_sorted(times[chosen]):
        return ""
    ranks = {name: np.argsort(np.argsort(times[name], kind="stable"), kind="stable") for name in signs}
    least = signs[chosen].strength / 2
    others = [name for name, sign in signs.items() if name != chosen and sign.strength >= least]
    other = next((o for o in others if np.corrcoef(ranks[o], ranks[chosen])[0, 1] < _SAME_ORDER), None)
    if other is None:
        return ""
    return (
        f"Columns {chosen!r} and {other!r} hold times in different orders. {chosen!r} is taken for the time of the "
        f"rows. Name the right one by CTREncoder(order=...), or set order=None if neither is."
    )
