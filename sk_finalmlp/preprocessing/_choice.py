"""Which crosses and statistics an encoder makes: those that the user names, or those that predict the training rows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import expit
from scipy.stats import chi2

from .._hold_out import Fraction, Place
from .._warnings import warn
from ..schema import Field
from ._derived import CrossEncoder, DerivedFields
from ._keys import Key, find_keys, has_key, key_of
from ._order import ToldOrder, told_order
from ._statistics import KeyStatistics, log_odds_of_labels
from ._sums import Cells, CellSums, CodedRows, KeyedRows
from ._target import Array, Folds, Grouping, NoLabels, Target, effective_n_rows
from ._vocabulary import VocabularyRule

#: With fewer rows than this, nothing is chosen.
MIN_ROWS = 1_000
#: With more classes than this, nothing is chosen: each would add a rate of each key.
MAX_CLASSES = 20
#: Fields that are combined in pairs.
_MAX_FIELDS = 16
#: Pairs that get a rate.
_MAX_PAIRS = 12
#: Number of fields that count as ids: pairs with them get a count.
_N_IDS = 2
#: Least mean number of rows per combination for a count of a pair of an id.
_MIN_REPEATS = 2
#: A field with at most so many combinations with a list per value tells the list.
_MOST_LISTS_PER_VALUE = 1.1
#: Of so many blocks in time, one is predicted by two earlier ones.
_LEAST_BLOCKS = 4
#: Weights with a smaller share are rounding.
_ROUNDING = 1e-9
#: Smallest mean improvement of the last blocks' mean log-loss for recent statistics, and for pairs of ids.
_MIN_GAIN_IN_TIME = 1e-3
#: Fields with so many values have recent statistics where any field has.
_MANY_VALUES = 100
#: Smallest improvement of the mean log-loss that counts.
_MIN_GAIN = 1e-4
#: Probability that chance alone lifts any of all candidates above the least gain.
_SIGNIFICANCE = 0.01
#: Limit of sampled rows times labels, and the number of rows that are sampled at least.
_MAX_SAMPLED_VALUES = 150_000
_MIN_SAMPLED_ROWS = 20_000
#: Of Newton's method.
_MAX_ITERATIONS = 30
#: Least improvement of the mean log-loss for another iteration.
_TOLERANCE = 1e-7
#: Keeps the solution finite where columns are collinear or separate the classes.
_RIDGE = 1e-7
#: Limit of the log-odds, far below overflow.
_MAX_LOGIT = 500.0
#: Groups of rows computed at a time, to stay in the cache.
_BLOCK = 8192
#: Bounds of crosses that "auto" chose.
_MIN_AUTO_FREQUENCY = 5
_MAX_AUTO_CATEGORIES = 100_000
#: Weights with a smaller mean are taken for shares of all rows.
_SMALL_MEAN_WEIGHT = 0.1

_UNLABELLED = (
    "y holds -1 next to 0 and 1. scikit-learn marks rows without a label so; here -1 is a class like the others, with "
    "a rate of its own. If it marks such rows, give them no weight: sample_weight=(y != -1), in a pipeline "
    "enc__sample_weight, where 'enc' is the name of the step. If -1 is a class, give the classes names, for example by "
    "y.astype(str)."
)

#: A value of the two parameters.
Combinations = Literal["auto"] | Sequence[str | int | Sequence[str | int]] | None
FieldsOf = Mapping[str, Sequence[Field]]
Codes = Mapping[str, np.ndarray]
#: Numbers of cells, for each label.
Columns = list[list[np.ndarray]]


@dataclass
class Choice:
    """A candidate, and the decision about it."""

    key: Key
    rate: bool = False
    count: bool = False
    #: Whether rate and count are of recent rows, beside those of all rows.
    recent: bool = False
    #: By how much the rate lowers the mean log-loss of the sampled rows; NaN where it wasn't tried.
    gain: float = np.nan
    #: The rate's in the logistic regression: negative where it predicts against its own direction.
    coefficient: float = np.nan
    why: str = ""


def _report(choices: Sequence[Choice]) -> pd.DataFrame:
    """Choices as a table, one row per key."""
    names = [f"{choice.key.name} (recent)" if choice.recent else choice.key.name for choice in choices]
    index = pd.Index(names, name="key", dtype=object)
    columns = ["rate", "count", "gain", "coefficient", "why"]
    return pd.DataFrame({name: [getattr(choice, name) for choice in choices] for name in columns}, index=index)


@dataclass
class Planner:
    """Chooses the crosses and statistics that two parameters of the encoder ask for."""

    crosses: Combinations
    statistics: Combinations
    rule: VocabularyRule
    validation_fraction: Fraction
    random_state: np.random.RandomState
    hold_out: str
    order: str | None
    #: Whether the training rows are encoded.
    transforms: bool
    _mean_weight = 1.0

    @property
    def told_order(self) -> ToldOrder | None:
        """What the user says of the order of the rows."""
        return told_order(self.hold_out, self.order)

    def read_target(
        self, read: Callable[..., Target], y: object, of: object, weights: Array | None, place: Place
    ) -> Target | NoLabels:
        """The labels of rows in memory or on disk, or why there are none."""
        try:
            draw = partial(Folds, fraction=self.validation_fraction, place=place, random_state=self.random_state)
            target = read(y, of, weights, draw)
        except NoLabels as reason:
            if self.statistics == "auto" or self.statistics is None:
                return reason
            raise ValueError(
                f"Statistics need class labels, but {reason}. Give labels as y, or leave `statistics` out."
            ) from reason
        self._mean_weight = 1.0 if weights is None else target.mean_weight
        return target

    def for_statistics(self, target: Target | NoLabels) -> Target | NoLabels:
        """The labels that statistics are learned from; kinds of columns are found with labels in any case."""
        if self.statistics is None and self.crosses != "auto":
            return NoLabels("no statistics are wanted")
        if isinstance(target, Target) and not target.has_tasks:
            classes, n_classes = target.classes, len(target.classes)
            if n_classes > 2 and classes.dtype.kind in "if" and np.array_equal(classes, np.arange(-1, n_classes - 1)):
                warn(_UNLABELLED)
        return target

    def needs_codes(self, target: Target | NoLabels) -> bool:
        """Whether crosses or statistics will be made."""
        return isinstance(target, Target) or (bool(self.crosses) and self.crosses != "auto")

    def plan(
        self,
        fields_of: FieldsOf,
        codes: Codes,
        target: Target | NoLabels,
        date_parts: Collection[str],
        n_rows: int | None = None,
    ) -> tuple[DerivedFields, pd.DataFrame]:
        """Return crosses and statistics to learn, and why; with `n_rows`, codes and target are a sample."""
        is_auto = "auto" in (self.crosses, self.statistics)
        choices = self._choose(fields_of, codes, target, date_parts) if is_auto else []
        if n_rows is None:
            n_rows = 0 if isinstance(target, NoLabels) else int(np.count_nonzero(target.rows.weights))
        crosses = self._crosses(fields_of, choices, n_rows)
        if self.statistics != "auto":
            keys = find_keys(self.statistics or [], fields_of, "statistics")
            choices = [Choice(key, rate=True, count=True, why="chosen by the user") for key in keys]
        kept = [choice for choice in choices if choice.rate or choice.count]
        if kept and self._mean_weight < _SMALL_MEAN_WEIGHT:
            warn(
                f"sample_weight has a mean of {self._mean_weight:.2g}. A row counts as its weight in rates and counts, "
                "and rates are smoothed as by 3 more rows, so hardly any differs from the overall one. Divide the "
                "weights by their mean."
            )
        statistics = [KeyStatistics(choice.key, choice.rate, choice.count, choice.recent) for choice in kept]
        return DerivedFields(crosses, statistics), _report(choices)

    def _choose(
        self, fields_of: FieldsOf, codes: Codes, target: Target | NoLabels, date_parts: Collection[str]
    ) -> list[Choice]:
        keys = [key_of([field]) for fields in fields_of.values() for field in fields if has_key(field)]
        reason = str(target) if isinstance(target, NoLabels) else why_no_choice(target)
        if isinstance(target, NoLabels) or reason:
            return [Choice(key, why=f"no statistics: {reason}") for key in keys]
        return choose(keys, codes, target, self.random_state, date_parts)

    def _crosses(self, fields_of: FieldsOf, choices: Sequence[Choice], n_rows: int) -> list[CrossEncoder]:
        if self.crosses == "auto":
            fewest = max(self.rule.min_rows(n_rows), _MIN_AUTO_FREQUENCY)
            most = min(self.rule.max_categories or _MAX_AUTO_CATEGORIES, _MAX_AUTO_CATEGORIES)
            rule = VocabularyRule(fewest, most, self.rule.n_hash_buckets)
            keys = [choice.key for choice in choices if choice.rate and not choice.recent]
            return [CrossEncoder(key, rule) for key in keys if len(key.fields) > 1 and not key.holds_lists]
        keys = find_keys(self.crosses or [], fields_of, "crosses")
        single = next((key.name for key in keys if len(key.fields) == 1), None)
        if single is not None:
            raise ValueError(f"crosses: {single!r} is a single field: a cross takes a tuple of two or more.")
        return [CrossEncoder(key, self.rule) for key in keys]


def why_no_choice(target: Target) -> str:
    """Why nothing should be chosen for these labels, if there is a reason."""
    n_rows = np.count_nonzero(target.rows.weights)
    if n_rows < MIN_ROWS:
        return f"{n_rows} rows are too few to choose by, {MIN_ROWS} would be enough"
    if len(target.labels) > MAX_CLASSES:
        return f"y has {len(target.labels)} classes, more than {MAX_CLASSES}"
    return ""


def least_gain(target: Target, n_candidates: int) -> float:
    """Improvement of the mean log-loss that is worth a statistic, and more than the best candidate gets by chance."""
    # The loss is summed over the labels.
    chance = float(chi2.isf(_SIGNIFICANCE / max(n_candidates, 1), df=len(target.labels)))
    return max(_MIN_GAIN, chance / (2 * effective_n_rows(target.rows.weights)))


def choose(
    fields: Sequence[Key],
    codes: Mapping[str, np.ndarray],
    target: Target,
    random_state: np.random.RandomState,
    uncounted: Collection[str] = (),
) -> list[Choice]:
    """Choose among single fields and pairs of them; those with `uncounted` columns, parts of dates, get no counts."""
    n_fields = min(len(fields), _MAX_FIELDS)
    n_candidates = len(fields) + n_fields * (n_fields - 1) // 2
    rows = np.flatnonzero(target.rows.weights)
    # As many as time allows.
    most = max(_MAX_SAMPLED_VALUES // len(target.labels), _MIN_SAMPLED_ROWS)
    if len(rows) > most:
        rows = np.sort(random_state.choice(rows, most, replace=False))
    trial = _Trial({name: values[rows] for name, values in codes.items()}, target.take(rows), n_candidates)
    singles = [trial.try_key(key) for key in fields]
    _leave_out_told_lists(singles, trial)
    entering = combinations(_entering_pairs(singles, trial), 2)
    pairs = [trial.try_key(pair) for a, b in entering if (pair := a.key.and_(b.key))]
    _keep_best(pairs)
    _take_pairs_of_ids(singles, pairs, trial, uncounted)
    for choice in singles + pairs:
        if choice.count and not set(choice.key.parts).isdisjoint(uncounted):
            choice.count = False
            choice.why += "; no count of a part of dates"
    return singles + pairs + _recent([choice.key for choice in singles if choice.count], trial)


def _leave_out_told_lists(singles: Sequence[Choice], trial: _Trial) -> None:
    """An item tells its tags: their statistics would repeat its own, and take the places of other pairs."""
    for choice in singles:
        if not choice.key.holds_lists:
            continue
        tellers = (other.key for other in singles if not other.key.holds_lists)
        if teller := next((key for key in tellers if trial.tells(key, choice.key)), None):
            choice.rate = choice.count = False
            choice.why = f"{teller.name} says all about it"


def _entering_pairs(singles: Sequence[Choice], trial: _Trial) -> list[Choice]:
    """The fields with the most values: combinations with ids are the most informative."""
    worth = [choice for choice in singles if choice.count]
    chosen = sorted(worth, key=lambda choice: -trial.n_values(choice.key))[:_MAX_FIELDS]
    return [choice for choice in singles if choice in chosen]


def _keep_best(pairs: Sequence[Choice]) -> None:
    """Keep the pairs with the largest gains among rates that passed, with their counts."""
    passed = sorted((choice for choice in pairs if choice.rate), key=lambda choice: -choice.gain)
    for choice in passed[:_MAX_PAIRS]:
        choice.count = True
    for choice in passed[_MAX_PAIRS:]:
        choice.rate = False
        choice.why = f"not among the {_MAX_PAIRS} pairs with the largest gain"


def _take_pairs_of_ids(
    singles: Sequence[Choice], pairs: Sequence[Choice], trial: _Trial, uncounted: Collection[str]
) -> None:
    """Other pairs with an id: how often it occurs with values that repeat, or where that predicts later rows."""
    # Whoever was shown an item once may click on it tomorrow, or never again.
    worth = {choice.key.fields[0]: choice.key for choice in singles if choice.count}
    ids = sorted(worth, key=lambda name: -trial.n_values(worth[name]))[:_N_IDS]
    for choice in pairs:
        own = sorted(set(ids).intersection(choice.key.fields))
        if choice.count or not own or np.isnan(choice.gain):
            continue
        if trial.repeats(choice.key):
            choice.count = True
            choice.why += f"; counted as a pair of {' and '.join(own)}"
        elif (
            set(choice.key.parts).isdisjoint(uncounted)
            and trial.gain_of_pair(choice.key, [worth[name] for name in choice.key.fields]) > _MIN_GAIN_IN_TIME
        ):
            choice.rate = choice.count = True
            choice.why += "; rate and count predict later rows"


def _recent(keys: Sequence[Key], trial: _Trial) -> list[Choice]:
    """Where recent rows tell more of later ones for any field, those of all fields with many values."""
    gains = {key: trial.gain_of_recent(key) for key in keys}
    drifting = [key for key, gain in gains.items() if gain > _MIN_GAIN_IN_TIME]
    chosen = [key for key in keys if key in drifting or (drifting and trial.n_values(key) >= _MANY_VALUES)]
    whys = {key: "recent rows predict later ones" if key in drifting else "recent rows of others do" for key in chosen}
    return [Choice(key, True, True, recent=True, gain=gains[key], why=why) for key, why in whys.items()]


class _Trial:
    """Logistic regressions on cross-fitted log-odds of sampled rows; coefficients of useful rates are positive."""

    def __init__(self, codes: Mapping[str, np.ndarray], target: Target, n_candidates: int) -> None:
        self._codes, self._target = codes, target
        self._rows = CodedRows(codes, None, target)
        # For each label, regressions on the rates of kept fields, none or one of them.
        self._fits: dict[tuple[str, ...], list[Fit]] = {}
        self._fits[()] = [
            fit_logistic([], *(weights.sum(keepdims=True) for weights in target.rows.weights_of(label)))
            for label in range(len(target.labels))
        ]
        self._min_gain = least_gain(target, n_candidates)
        self._n_distinct: dict[tuple[str, ...], int] = {}
        # Log-odds of the rows by the fields with a kept rate, for each label.
        self._kept: dict[str, list[np.ndarray]] = {}

    def try_key(self, key: Key) -> Choice:
        """Whether the rate of a field predicts better than the overall rate, of a pair than the rates of its fields."""
        cells, positions = self._cells(key, Grouping(self._target.n_folds))
        self._n_distinct[key.fields] = cells.n_keys
        if why := self._why_useless(key):
            return Choice(key, why=why)
        choice, rates, fits = self._regress(key, cells, positions)
        if len(key.fields) == 1:
            choice.count = True
            if choice.rate:
                self._kept[key.name] = [column.take(positions) for column in rates]
                self._fits[key.fields] = fits
        return choice

    def _why_useless(self, key: Key) -> str:
        """Why a key can't predict, if it never or always repeats; a pair must say more than each of its fields."""
        n_distinct, is_single = self._n_distinct[key.fields], len(key.fields) == 1
        if n_distinct == 1 and is_single:
            return "a single value"
        if n_distinct == self._target.n_rows:
            return f"each row has another {'value' if is_single else 'combination'}"
        if not is_single and n_distinct <= max(self._n_distinct[field,] for field in key.fields):
            return "one field says all about the other"
        return ""

    def n_values(self, key: Key) -> int:
        """Number of values: of a list, those that occur are few of those that are possible."""
        return self._n_distinct[key.fields] if key.holds_lists else key.n_possible

    def tells(self, key: Key, other: Key) -> bool:
        """Whether a field that repeats leaves hardly a choice of the values of another."""
        n_values, pair = self._n_distinct[key.fields], key.and_(other)
        if n_values < self._n_distinct[other.fields] or not self.repeats(key) or pair is None:
            return False
        n_together = len(pd.unique(pair.combine(self._codes)))
        return n_together <= _MOST_LISTS_PER_VALUE * n_values

    def repeats(self, key: Key) -> bool:
        """Whether values repeat often enough for a count to be worth the memory."""
        return _MIN_REPEATS * self._n_distinct[key.fields] <= self._target.n_rows

    def gain_of_recent(self, key: Key) -> float:
        """The gain in time of rates and counts of recent rows beside those of all rows."""
        if not self._is_ordered(key):
            return 0.0
        cells, _ = self._cells(key, self._target.walk_forward(halvings=0))
        all_time, recent = cells.sums(), cells.sums(self._target.walk_forward(halvings=1))
        return self._gain_in_time(
            all_time, self._rates_and_counts(all_time), self._rates_and_counts(recent, recent=True)
        )

    def gain_of_pair(self, key: Key, fields: Sequence[Key]) -> float:
        """The gain in time of rate and count of a pair beside those of its fields."""
        if not self._is_ordered(key):
            return 0.0
        in_time = self._target.walk_forward(halvings=0)
        cells, positions = self._cells(key, in_time)
        sums = cells.sums()
        of_pair = self._rates_and_counts(sums)
        beside: Columns = [[] for _ in of_pair]
        for field in fields:
            of_cells, positions_of_field = self._cells(field, in_time)
            for own, columns in zip(beside, self._rates_and_counts(of_cells.sums()), strict=True):
                own += [cells.from_rows(column.take(positions_of_field), positions) for column in columns]
        return self._gain_in_time(sums, beside, of_pair)

    def _is_ordered(self, key: Key) -> bool:
        """Whether later rows can tell what a key gains."""
        blocks = self._target.blocks
        return blocks is not None and blocks.n_blocks >= _LEAST_BLOCKS and not key.holds_lists

    def _rates_and_counts(self, sums: CellSums, recent: bool = False) -> Columns:
        counts, priors = np.log1p(sums.others.rows), self._target.priors_of(sums.groups, recent)
        return [[rates, counts] for rates in log_odds_of_labels(sums.others, priors, recent)]

    def _gain_in_time(self, sums: CellSums, beside: Columns, added: Columns) -> float:
        """By how much columns beside others lower the mean log-loss of the last blocks, predicted by earlier ones."""
        # It is 0 if the very last isn't predicted better, or a block has one label.
        blocks = self._target.blocks
        assert blocks is not None
        numbers, gains = blocks.blocks_of(sums.groups), np.zeros(blocks.n_blocks - 3)
        for rows, clicks, without, more in zip(sums.own.known, sums.own.clicks, beside, added, strict=True):
            n_rows, n_clicks = (np.bincount(numbers, of, blocks.n_blocks)[1:] for of in (rows, clicks))
            if (np.minimum(n_clicks, n_rows - n_clicks)[: blocks.n_blocks - 1] <= _ROUNDING * n_rows.sum()).any():
                return 0.0
            # For the second block, all rows are recent.
            for block in range(3, blocks.n_blocks):
                earlier, later = (numbers >= 1) & (numbers < block), numbers == block
                losses = [_later_loss(own, rows, clicks, earlier, later) for own in (without, [*without, *more])]
                gains[block - 3] += losses[0] - losses[1]
        return float(gains.mean()) if gains[-1] > 0 else 0.0

    def _cells(self, key: Key, grouping: Grouping) -> tuple[Cells, np.ndarray]:
        keyed = KeyedRows(key, self._rows, [grouping])
        return keyed.cells[0], keyed.positions[0]

    def _regress(self, key: Key, cells: Cells, positions: np.ndarray) -> tuple[Choice, list[np.ndarray], list[Fit]]:
        """Whether a rate predicts better than its fields' rates; with its log-odds and regression for each label."""
        sums = cells.sums()
        log_odds = list(log_odds_of_labels(sums.others, self._target.priors))
        beside = tuple(field for field in key.fields if field in self._kept)
        gain, fits = 0.0, []
        for label, (rows, clicks, column) in enumerate(zip(sums.own.known, sums.own.clicks, log_odds, strict=True)):
            others = [cells.from_rows(self._kept[field][label], positions) for field in beside]
            if beside in self._fits:
                without = self._fits[beside][label]
            else:
                constant = self._fits[()][label].coefficients
                without = fit_logistic(others, rows, clicks, constant)
            fits.append(fit_logistic([*others, column], rows, clicks, without.coefficients))
            # Cross-fitted rates of noise speak against themselves a little, which adds up over many labels.
            if fits[-1].coefficients[-1] > 0:
                gain += without.loss - fits[-1].loss
        coefficient = float(np.mean([fit.coefficients[-1] for fit in fits]))
        kept, why = self._judge(gain, coefficient)
        return Choice(key, rate=kept, gain=gain, coefficient=coefficient, why=why), log_odds, fits

    def _judge(self, gain: float, coefficient: float) -> tuple[bool, str]:
        if coefficient <= 0:
            return False, "rate predicts against its own direction"
        if gain <= self._min_gain:
            return False, f"rate gains less than {self._min_gain:.1e}"
        return True, "rate predicts"


def _later_loss(
    columns: Sequence[np.ndarray], weights: np.ndarray, clicks: np.ndarray, earlier: np.ndarray, later: np.ndarray
) -> float:
    """Mean log-loss of later cells by a regression on earlier ones, but for the overall rate."""
    fit = fit_logistic([column[earlier] for column in columns], weights[earlier], clicks[earlier])
    rows = np.vstack([np.ones(later.sum()), *(column[later] for column in columns)])
    logits = np.clip(fit.coefficients @ rows, -_MAX_LOGIT, _MAX_LOGIT)
    shares, click_shares = (sums[later] / weights[later].sum() for sums in (weights, clicks))
    total = click_shares.sum()
    logits += brentq(lambda shift: shares @ expit(logits + shift) - total, -2 * _MAX_LOGIT, 2 * _MAX_LOGIT)
    return float(shares @ np.logaddexp(0, logits) - click_shares @ logits)


class Fit(NamedTuple):
    """Intercept and coefficients of a logistic regression, and its mean log-loss."""

    coefficients: np.ndarray
    loss: float


def fit_logistic(
    columns: Sequence[np.ndarray], weights: np.ndarray, clicks: np.ndarray, start: ArrayLike = (0.0,)
) -> Fit:
    """Fit intercept and coefficients, from a first guess of some of them, to groups of rows by Newton's method."""
    columns = [np.ones(len(weights)), *columns]
    total = weights.sum()
    shares, click_shares = weights / total, clicks / total
    coefficients = np.pad(start, (0, len(columns) - np.size(start)))
    loss, gradient, hessian = _evaluate(columns, shares, click_shares, coefficients)
    for _ in range(_MAX_ITERATIONS):
        step = np.linalg.solve(hessian + _RIDGE * np.eye(len(columns)), gradient)
        expected = float(gradient @ step) / 2
        if expected <= _TOLERANCE:
            # So near the minimum, the loss is a parabola.
            return Fit(coefficients - step, loss - expected)
        new_loss, gradient, hessian = _evaluate(columns, shares, click_shares, coefficients - step)
        while new_loss > loss and expected > _TOLERANCE:
            step, expected = step / 2, expected / 2
            new_loss, gradient, hessian = _evaluate(columns, shares, click_shares, coefficients - step)
        coefficients, loss = coefficients - step, new_loss
    return Fit(coefficients, loss)


def _evaluate(
    columns: Sequence[np.ndarray], shares: np.ndarray, click_shares: np.ndarray, coefficients: np.ndarray
) -> tuple[float, np.ndarray, np.ndarray]:
    """Mean log-loss, and its first and second derivatives."""
    loss, gradient, hessian = 0.0, np.zeros(len(columns)), np.zeros((len(columns), len(columns)))
    for start in range(0, len(shares), _BLOCK):
        block = slice(start, start + _BLOCK)
        x, share, click_share = np.stack([column[block] for column in columns]), shares[block], click_shares[block]
        logits = np.clip(coefficients @ x, -_MAX_LOGIT, _MAX_LOGIT)
        odds = np.exp(logits)
        complement = 1 / (1 + odds)
        predicted = share * odds * complement
        loss += float(-(share @ np.log(complement)) - click_share @ logits)
        gradient += x @ (predicted - click_share)
        hessian += (x * (predicted * complement)) @ x.T
    return loss, gradient, hessian
