"""Synthetic impressions with known click probabilities."""

from __future__ import annotations

import math
from collections.abc import Iterator
from numbers import Integral, Real
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import brentq
from scipy.special import expit, logit

from .._sklearn import AT_LEAST_ONE, BETWEEN_0_AND_1, Interval, validate_params

_N_LATENT = 4
_N_SEGMENTS = 8
_N_CATEGORIES = 12
_N_CONTEXT_VALUES = 5
_MAX_TAGS = 3
_NO_TAG = -1
_START = np.datetime64("2024-01-01", "s")
_SECONDS_A_DAY = 86_400
_N_DAYS = 28

_Floats = npt.NDArray[np.float64]
_Codes = npt.NDArray[np.int64]

_PARAMETERS = {
    "n_samples": [AT_LEAST_ONE],
    "n_users": [AT_LEAST_ONE],
    "n_items": [AT_LEAST_ONE],
    "click_rate": [BETWEEN_0_AND_1],
    "logit_scale": [Interval(Real, 0, None, closed="left")],
    "random_state": ["random_state"],
}


@validate_params(
    _PARAMETERS
    | {
        "n_contexts": [AT_LEAST_ONE],
        "n_numeric": [Interval(Integral, 0, None, closed="left")],
        "n_tags": [Interval(Integral, _MAX_TAGS, None, closed="left")],
        "zipf_exponent": [Interval(Real, 0, None, closed="left")],
        "n_days": [AT_LEAST_ONE, None],
        "turnover": [Interval(Real, 0, 1, closed="both")],
        "drift": [Interval(Real, 0, 1, closed="both")],
    }
)
def make_click_data(
    n_samples: int = 10_000,
    *,
    n_users: int = 1_000,
    n_items: int = 500,
    n_contexts: int = 2,
    n_numeric: int = 2,
    n_tags: int = 20,
    zipf_exponent: float = 1.0,
    click_rate: float = 0.1,
    logit_scale: float = 1.5,
    n_days: int | None = None,
    turnover: float = 0.02,
    drift: float = 0.1,
    random_state: int | np.random.RandomState | None = None,
) -> tuple[pd.DataFrame, pd.Series, pd.Series]:
    """Generate impressions, their clicks and the true probabilities of a click.

    Few users and items make up most impressions, as Zipf's law says. Whether an impression is clicked depends on
    user and item alone and, mostly, on pairs of columns, so that a model that only adds up the effects of columns
    stays behind one that learns interactions. The true probabilities give the best score that any model can have.

    Parameters
    ----------
    n_samples : int, default=10_000
        Number of impressions (rows).
    n_users, n_items : int, default=1_000, 500
        Number of users and items; the rarest may not occur.
    n_contexts : int, default=2
        Number of context columns, with 5 values each.
    n_numeric : int, default=2
        Number of numeric columns.
    n_tags : int, default=20
        Number of different tags, at least 3.
    zipf_exponent : float, default=1.0
        The r-th most frequent user has a share of impressions proportional to `r ** -zipf_exponent`, and so has
        the r-th item; 0 makes all equally frequent.
    click_rate : float, default=0.1
        Mean of the true probabilities, between 0 and 1.
    logit_scale : float, default=1.5
        Standard deviation of the true log-odds, about; 0 makes all probabilities equal.
    n_days : int, default=None
        Number of days of a stream: users and items come and go, and items change. `None`: 28 days without change.
    turnover : float, default=0.02
        Share of the users, and of the items, that leave after each day of a stream; as many new ones come.
    drift : float, default=0.1
        How far items change from day to day of a stream: the correlation of an item's effects on two days in a row is
        the root of `1 - drift ** 2`.
    random_state : int, RandomState instance or None, default=None
        Seed. An int gives the same data each time.

    Returns
    -------
    X : DataFrame of shape (n_samples, 5 + n_contexts + n_numeric + 1)
        The impressions, in order of time:

        - `user`, `item`: strings, `user_0` and `item_0` the most frequent ones;
        - `segment`: string, a property of the user; `category`: string, a property of the item;
        - `context_0`, ...: strings;
        - `numeric_0`, ...: floats, normally distributed where the number is even, else log-normally;
        - `tags`: list of 1 to 3 strings, a property of the item; rows of one item share one list;
        - `time`: datetime, within 28 days;
        - `day`: integer, the number of the day from 0; in a stream only.
    y : Series of shape (n_samples,)
        `click`: 1 or 0, drawn with the true probability.
    probability : Series of shape (n_samples,)
        The true probability of a click of each impression.

    Notes
    -----
    The log-odds are an intercept, solved for the click rate, plus a sum of terms of equal expected variance: an
    effect of each user and of each item; inner products of latent vectors of user and item; segment x category;
    segment x tag (summed over the tags of the item, divided by the root of their number); numeric x context (a
    slope for each value of the context); and segment x hour of the day (a sine, with a phase for each segment).

    The global random state of numpy is neither used nor changed.

    Examples
    --------
    >>> from sk_finalmlp.datasets import make_click_data
    >>> X, y, probability = make_click_data(1_000, click_rate=0.2, random_state=0)
    >>> X.shape
    (1000, 10)
    >>> round(float(probability.mean()), 6)
    0.2

    A stream, day by day:

    >>> X, y, probability = make_click_data(3_000, n_days=30, random_state=0)
    >>> [len(rows) for day, rows in X.groupby("day")][:3]
    [103, 110, 102]
    """
    rng = _generator(random_state)
    shape = n_samples, n_users, n_items, n_contexts, n_numeric, n_tags
    impressions = _Impressions(rng, *shape, zipf_exponent, n_days, turnover, drift)
    log_odds = logit_scale * _unit_log_odds(rng, impressions)
    probability = _probability(log_odds, click_rate)
    clicks = (rng.random(n_samples) < probability).astype(np.int64)
    return _table(impressions), pd.Series(clicks, name="click"), pd.Series(probability, name="probability")


@validate_params(
    _PARAMETERS
    | {
        "conversion_rate": [BETWEEN_0_AND_1],
        "similarity": [Interval(Real, -1, 1, closed="both")],
    }
)
def make_funnel_data(
    n_samples: int = 10_000,
    *,
    n_users: int = 1_000,
    n_items: int = 500,
    click_rate: float = 0.1,
    conversion_rate: float = 0.1,
    similarity: float = 0.5,
    logit_scale: float = 1.5,
    random_state: int | np.random.RandomState | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Generate impressions, their clicks and conversions, and the true probabilities of both.

    The impressions come from :func:`make_click_data`. A click may be followed by a conversion; there is none without
    a click.

    Parameters
    ----------
    n_samples, n_users, n_items, click_rate, random_state
        As for :func:`make_click_data`.
    conversion_rate : float, default=0.1
        Mean of the true probabilities of a conversion after a click, over the impressions by their probability of a
        click: the share of the clicks that is followed by one.
    similarity : float, default=0.5
        Correlation between the log-odds of a click and of a conversion after a click.
    logit_scale : float, default=1.5
        Standard deviation of both, about.

    Returns
    -------
    X : DataFrame of shape (n_samples, 10)
        The impressions, as :func:`make_click_data` makes them.
    Y : DataFrame of shape (n_samples, 2)
        `click` and `conversion`: 1 or 0, drawn with the true probabilities.
    probability : DataFrame of shape (n_samples, 2)
        True probabilities of a `click` and of a `conversion`, p(click) times p(conversion | click).

    Examples
    --------
    >>> from sk_finalmlp.datasets import make_funnel_data
    >>> X, Y, probability = make_funnel_data(1_000, click_rate=0.2, random_state=0)
    >>> Y.groupby("click")["conversion"].max().tolist()
    [0, 1]
    >>> probability.mean().round(3).to_dict()
    {'click': 0.2, 'conversion': 0.02}
    """
    rng = _generator(random_state)
    impressions = _Impressions(rng, n_samples, n_users, n_items)
    of_click, own = (_unit_log_odds(rng, impressions) for _ in range(2))
    of_conversion = similarity * of_click + math.sqrt(1 - similarity**2) * own
    click = _probability(logit_scale * of_click, click_rate)
    after_click = _probability(logit_scale * of_conversion, conversion_rate, weight=click)
    draws = rng.random((2, n_samples))
    clicks = draws[0] < click
    labels = {"click": clicks, "conversion": clicks & (draws[1] < after_click)}
    probabilities = {"click": click, "conversion": click * after_click}
    return _table(impressions), pd.DataFrame(labels).astype(np.int64), pd.DataFrame(probabilities)


class _Impressions:
    """Codes and values of each impression, and the properties of users and items."""

    def __init__(
        self,
        rng: np.random.Generator,
        n_samples: int,
        n_users: int,
        n_items: int,
        n_contexts: int = 2,
        n_numeric: int = 2,
        n_tags: int = 20,
        zipf_exponent: float = 1.0,
        n_days: int | None = None,
        turnover: float = 0.0,
        drift: float = 0.0,
    ) -> None:
        user_places, item_places = (
            _zipf_codes(rng, n_codes, n_samples, zipf_exponent) for n_codes in (n_users, n_items)
        )
        users, self.items = (_Population(rng, n_places, n_days, turnover, drift) for n_places in (n_users, n_items))
        self.n_tags = n_tags
        self.segment_of_user = rng.integers(_N_SEGMENTS, size=users.n_members)
        self.category_of_item = rng.integers(_N_CATEGORIES, size=self.items.n_members)
        self.tags_of_item = _tag_codes(rng, self.items.n_members, n_tags)
        self.contexts = [rng.integers(_N_CONTEXT_VALUES, size=n_samples) for _ in range(n_contexts)]
        self.numeric = [rng.standard_normal(n_samples) for _ in range(n_numeric)]
        self.seconds = np.sort(rng.integers((n_days or _N_DAYS) * _SECONDS_A_DAY, size=n_samples))
        self.day = self.seconds // _SECONDS_A_DAY if n_days else None
        day = np.zeros_like(self.seconds) if self.day is None else self.day
        self.user, self.item = users.member[day, user_places], self.items.member[day, item_places]
        # Which of all effects of items, of each day and place, is the row's.
        self.item_state = day * n_items + item_places


def _generator(random_state: int | np.random.RandomState | None) -> np.random.Generator:
    if isinstance(random_state, np.random.RandomState):
        return np.random.default_rng(random_state.randint(2**31))
    return np.random.default_rng(random_state)


def _zipf_codes(rng: np.random.Generator, n_codes: int, n_samples: int, exponent: float) -> _Codes:
    share = np.arange(1, n_codes + 1) ** -float(exponent)
    return rng.choice(n_codes, size=n_samples, p=share / share.sum())


def _tag_codes(rng: np.random.Generator, n_items: int, n_tags: int) -> _Codes:
    # Steps around a circle of all tags, too short to come round again, give each item different tags.
    steps = rng.integers(1, (n_tags - 1) // (_MAX_TAGS - 1), endpoint=True, size=(n_items, _MAX_TAGS))
    tags = (np.cumsum(steps, axis=1) + rng.integers(n_tags, size=(n_items, 1))) % n_tags
    counts = rng.integers(1, _MAX_TAGS, endpoint=True, size=(n_items, 1))
    return np.where(np.arange(_MAX_TAGS) < counts, tags, _NO_TAG)


def _unit_log_odds(rng: np.random.Generator, impressions: _Impressions) -> _Floats:
    """Sum of all effects, without intercept; its variance is about 1."""
    total = np.zeros(len(impressions.user))
    n_terms = 0
    for term in _terms(rng, impressions):
        total += term
        n_terms += 1
    return total / math.sqrt(n_terms)


def _terms(rng: np.random.Generator, impressions: _Impressions) -> Iterator[_Floats]:
    """Effects of expected variance 1, one at a time because each has a number per row."""
    user, item = impressions.user, impressions.item
    n_users, state = len(impressions.segment_of_user), impressions.item_state
    segment = impressions.segment_of_user[user]
    yield rng.standard_normal(n_users)[user]
    yield impressions.items.effects(rng)[state]
    users = rng.standard_normal((_N_LATENT, n_users))
    yield _inner_products(users, np.stack([impressions.items.effects(rng) for _ in users]), user, state)
    yield rng.standard_normal((_N_SEGMENTS, _N_CATEGORIES))[segment, impressions.category_of_item[item]]
    yield _pooled(rng.standard_normal((_N_SEGMENTS, impressions.n_tags)), impressions.tags_of_item)[segment, item]
    for position, values in enumerate(impressions.numeric):
        context = impressions.contexts[position % len(impressions.contexts)]
        yield rng.standard_normal(_N_CONTEXT_VALUES)[context] * values
    phase = rng.uniform(0, 2 * np.pi, size=_N_SEGMENTS)[segment]
    yield math.sqrt(2) * np.sin(impressions.seconds * (2 * np.pi / _SECONDS_A_DAY) + phase)


def _inner_products(left: _Floats, right: _Floats, left_codes: _Codes, right_codes: _Codes) -> _Floats:
    # One latent dimension at a time: a tenth of the memory that the vectors of all rows would take.
    total = np.zeros(len(left_codes))
    for left_values, right_values in zip(left, right, strict=True):
        total += left_values[left_codes] * right_values[right_codes]
    return total / math.sqrt(len(left))


def _pooled(effects: _Floats, tags_of_item: _Codes) -> _Floats:
    """Effects (segments, tags) summed over the tags of each item and brought back to variance 1: (segments, items)."""
    is_tag = tags_of_item != _NO_TAG
    return (effects[:, tags_of_item] * is_tag).sum(axis=2) / np.sqrt(is_tag.sum(axis=1))


def _probability(log_odds: _Floats, rate: float, weight: _Floats | None = None) -> _Floats:
    """Probabilities of these log-odds plus the intercept that makes their mean the rate."""
    # These two intercepts bracket the rate.
    lowest, highest = logit(rate) - log_odds.max() - 1, logit(rate) - log_odds.min() + 1

    def excess(intercept: float) -> float:
        return float(np.average(expit(log_odds + intercept), weights=weight)) - rate

    return expit(log_odds + brentq(excess, lowest, highest))


def _table(impressions: _Impressions) -> pd.DataFrame:
    user, item = impressions.user, impressions.item
    columns: dict[str, Any] = {
        "user": _named("user", len(impressions.segment_of_user), user),
        "item": _named("item", len(impressions.category_of_item), item),
        "segment": _named("segment", _N_SEGMENTS, impressions.segment_of_user[user]),
        "category": _named("category", _N_CATEGORIES, impressions.category_of_item[item]),
    }
    for position, codes in enumerate(impressions.contexts):
        columns[f"context_{position}"] = _named("value", _N_CONTEXT_VALUES, codes)
    for position, values in enumerate(impressions.numeric):
        columns[f"numeric_{position}"] = np.exp(values) if position % 2 else values
    columns["tags"] = _tag_lists(impressions.tags_of_item)[item]
    columns["time"] = _START + impressions.seconds.astype("timedelta64[s]")
    if impressions.day is not None:
        columns["day"] = impressions.day
    return pd.DataFrame(columns)


def _named(prefix: str, n_codes: int, codes: _Codes) -> pd.api.extensions.ExtensionArray:
    return pd.Series([f"{prefix}_{code}" for code in range(n_codes)]).array.take(codes)


def _tag_lists(tags_of_item: _Codes) -> npt.NDArray[np.object_]:
    lists = np.empty(len(tags_of_item), dtype=object)
    lists[:] = [[f"tag_{tag}" for tag in tags if tag != _NO_TAG] for tags in tags_of_item]
    return lists


class _Population:
    """The `member` at each place on each day; after a day of a stream some leave, and effects have drifted."""

    def __init__(
        self, rng: np.random.Generator, n_places: int, n_days: int | None, turnover: float, drift: float
    ) -> None:
        self.drift = drift
        self._is_new = rng.random((n_days, n_places)) < turnover if n_days else np.zeros((1, n_places), bool)
        self._is_new[0] = False
        numbers = n_places - 1 + np.cumsum(self._is_new).reshape(self._is_new.shape)
        # The newest number at a place is its largest.
        self.member = np.maximum.accumulate(np.where(self._is_new, numbers, np.arange(n_places)), axis=0)
        self.n_members = n_places + int(self._is_new.sum())

    def effects(self, rng: np.random.Generator) -> _Floats:
        """Draw effects: an autoregressive process of variance 1 that begins anew with each member."""
        effects = rng.standard_normal(self._is_new.shape)
        kept = math.sqrt(1 - self.drift**2)
        for yesterday, today, is_new in zip(effects, effects[1:], self._is_new[1:], strict=False):
            today[:] = np.where(is_new, today, kept * yesterday + self.drift * today)
        return effects.ravel()
