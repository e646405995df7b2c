"""Which crosses and statistics an encoder makes: those that the user names, or those that are worth it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from .._hold_out import Fraction, places, share_held_out
from .._sources import StoredArray
from ..schema import Field
from ._choice import Choice, choose, why_no_choice
from ._derived import CrossEncoder
from ._keys import find_keys, has_key, key_of
from ._statistics import KeyStatistics
from ._target import NoLabels, Place, Target, check_labels, make_target, read_target
from ._vocabulary import VocabularyRule

#: Bounds of crosses that nobody asked for one by one.
_MIN_AUTO_FREQUENCY = 5
_MAX_AUTO_CATEGORIES = 100_000

#: A value of the two parameters.
Combinations = Literal["auto"] | Sequence[str | int | Sequence[str | int]] | None
FieldsOf = Mapping[str, Sequence[Field]]
Codes = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Plan:
    """What to make, and what each candidate was kept or left out for.

    Parameters
    ----------
    crosses : list of CrossEncoder
        Crosses, not yet fitted.
    statistics : list of KeyStatistics
        Statistics, not yet fitted.
    choices : list of Choice
        All candidates for statistics.
    """

    crosses: list[CrossEncoder]
    statistics: list[KeyStatistics]
    choices: list[Choice]


class Planner:
    """Makes the plan that two parameters of the encoder ask for.

    Parameters
    ----------
    crosses, statistics : None, "auto" or list of (str or tuple of str)
        The parameters.
    rule : VocabularyRule
        Which combinations of a cross get codes of their own.
    validation_fraction : float or "auto"
        Share of the rows that the classifier holds out.
    random_state : RandomState
        Draws folds and samples rows.
    """

    def __init__(
        self,
        crosses: Combinations,
        statistics: Combinations,
        rule: VocabularyRule,
        validation_fraction: Fraction,
        random_state: np.random.RandomState,
    ) -> None:
        self.crosses = crosses
        self.statistics = statistics
        self.rule = rule
        self.validation_fraction = validation_fraction
        self.random_state = random_state

    @property
    def is_auto(self) -> bool:
        """Whether anything is chosen by itself."""
        return "auto" in (self.crosses, self.statistics)

    def read_target(
        self, y: object, X: object, weights: np.ndarray | None, place: np.ndarray | None
    ) -> Target | NoLabels:
        """The labels, or why there are none."""
        try:
            return read_target(y, X, weights, self.validation_fraction, place, self.random_state)
        except NoLabels as reason:
            return self._without(reason)

    def _without(self, reason: NoLabels) -> NoLabels:
        if self.statistics == "auto" or self.statistics is None:
            return reason
        raise ValueError(
            f"Statistics need class labels, but {reason}. Give labels as y, or leave `statistics` out."
        ) from reason

    def for_statistics(self, target: Target | NoLabels) -> Target | NoLabels:
        """The labels that statistics are learned from; kinds of columns are found with labels in any case."""
        is_wanted = self.statistics is not None or self.is_auto
        return target if is_wanted else NoLabels("no statistics are wanted")

    def needs_codes(self, target: Target | NoLabels) -> bool:
        """Whether anything will be made of codes."""
        return isinstance(target, Target) or (bool(self.crosses) and self.crosses != "auto")

    def read_stored_target(
        self, labels: np.ndarray | None, y: StoredArray | None, weight: StoredArray | None, place: Place
    ) -> Target | NoLabels:
        """The labels of rows on disk, or why there are none."""
        try:
            if labels is None or y is None:
                raise NoLabels("there is no y")
            check_labels(labels)
            share = share_held_out(self.validation_fraction, len(y), at_random=place is places)
            return make_target(y, labels, weight, share, place, self.random_state)
        except NoLabels as reason:
            return self._without(reason)

    def plan(
        self,
        fields_of: FieldsOf,
        codes: Codes,
        target: Target | NoLabels,
        date_parts: Collection[str],
        n_rows: int | None = None,
    ) -> Plan:
        """Choose what is to be chosen; fields that are parts of dates get no counts by themselves.

        Codes and target are those of a sample where the number of all rows with weight is given.
        """
        choices = self._choose(fields_of, codes, target, date_parts) if self.is_auto else []
        if n_rows is None:
            n_rows = 0 if isinstance(target, NoLabels) else int(np.count_nonzero(target.rows.weights))
        crosses = self._crosses(fields_of, choices, n_rows)
        if self.statistics != "auto":
            keys = find_keys(self.statistics or [], fields_of, "statistics")
            choices = [Choice(key, rate=True, count=True, why="chosen by the user") for key in keys]
        kept = [choice for choice in choices if choice.rate or choice.count]
        return Plan(crosses, [KeyStatistics(choice.key, choice.rate, choice.count) for choice in kept], choices)

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
            rule = self._bounded_rule(n_rows)
            keys = [choice.key for choice in choices if choice.rate]
            return [CrossEncoder(key, rule) for key in keys if key.is_combination and not key.holds_lists]
        keys = find_keys(self.crosses or [], fields_of, "crosses")
        single = next((key.name for key in keys if not key.is_combination), None)
        if single is not None:
            raise ValueError(f"crosses: {single!r} is a single field: a cross takes a tuple of two or more.")
        return [CrossEncoder(key, self.rule) for key in keys]

    def _bounded_rule(self, n_rows: int) -> VocabularyRule:
        return VocabularyRule(
            max(self.rule.min_rows(n_rows), _MIN_AUTO_FREQUENCY),
            min(self.rule.max_categories or _MAX_AUTO_CATEGORIES, _MAX_AUTO_CATEGORIES),
            self.rule.n_hash_buckets,
        )
