"""Paired comparisons of what the study fitted: DeLong's test of each seed, and a bootstrap over seeds and rows.

Of n seeds n - 1 are drawn with replacement, which gives their variance without the bias of small n (Rao and Wu, 1988).
Each row of the table gets a random weight, the same for both models and for all seeds that it is scored with (Rubin's
Bayesian bootstrap, 1981). A difference of AUCs is that of mean placements (DeLong et al., 1988), so that a draw is a
weighted mean. The chance of the rows is then in both parts, the seeds' and the rows', where seeds have rows of their
own: the intervals err on the wide side. They are Student's, with degrees of freedom after Satterthwaite (1946): the
variance that comes from n seeds is known no better than that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from _data import load
from _peers import PEERS
from _runs import Results, row_losses
from _variants import ABLATIONS, HEADS_OF_WIDTH, REFERENCE, name_of_heads
from scipy.stats import rankdata, t

from sk_finalmlp.metrics import delong_test

Floats = npt.NDArray[np.float64]
Score = Literal["auc", "log_loss"]

#: What stands for the mean over data sets.
ALL = "all"
#: Probability of an error of the first kind, of a test and outside an interval.
LEVEL = 0.05

_SCORES: tuple[Score, ...] = ("auc", "log_loss")
_N_DRAWS = 1000
_DRAWS_AT_A_TIME = 50


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A model minus its reference on the same scored rows, mean over seeds, with a 95% interval.

    `rows` limits those to learn from. `pvalue_holm` is corrected for all comparisons of the same family and score.
    `delong_higher` and `delong_lower` count the seeds on which DeLong's test finds the AUC higher or lower at the 5%
    level.
    """

    family: str
    data: str
    rows: int
    model: str
    reference: str
    score: Score
    n_seeds: int
    difference: float
    standard_error: float
    freedom: float
    low: float
    high: float
    pvalue: float
    pvalue_holm: float = np.nan
    delong_higher: int = 0
    delong_lower: int = 0


@dataclass(frozen=True)
class _Sheet:
    """A seed: which rows of the table are scored, and what each of them adds to the differences of each model."""

    rows: npt.NDArray[np.intp]
    clicks: npt.NDArray[np.bool_]
    gains: dict[Score, Floats]
    delong: list[Any]

    def observed(self, score: Score) -> Floats:
        """Differences, one per model."""
        rows = self.clicks if score == "auc" else slice(None)
        return self.gains[score][rows].mean(axis=0)

    def drawn(self, weights: Floats) -> dict[Score, Floats]:
        """Differences under weights of all rows of the table, shape (n_draws, n_models)."""
        own = weights[:, self.rows]
        of_clicks, of_others = (_mean(self.gains["auc"], own, rows) for rows in (self.clicks, ~self.clicks))
        return {
            "auc": of_clicks + of_others - self.observed("auc"),
            "log_loss": _mean(self.gains["log_loss"], own, slice(None)),
        }


def compare(results: Results) -> pd.DataFrame:
    """All comparisons of the records."""
    records = results.records()
    found = [
        comparison
        for n_train, of_rows in records.groupby("rows")
        for comparison in _compare_of_rows(int(n_train), of_rows, results)
    ]
    names = [field.name for field in fields(Comparison)]
    return _corrected(pd.DataFrame([asdict(comparison) for comparison in found], columns=names))


def _compare_of_rows(n_train: int, records: pd.DataFrame, results: Results) -> list[Comparison]:
    found = [
        comparison
        for data in records["data"].unique()
        for family, reference, models in _families()
        for seeds, chosen in _by_seeds(records[records["data"] == data], reference, models)
        for comparison in _compare_on(data, family, reference, chosen, seeds, n_train, results)
    ]
    return found + _over_data_sets(found, n_data=records["data"].nunique())


def holm(pvalues: Iterable[float]) -> Floats:
    """P-values that hold for all of a family at once (Holm, 1979)."""
    values = np.asarray(list(pvalues))
    order = np.argsort(values)
    corrected = np.empty(len(values))
    corrected[order] = np.minimum(np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1)), 1)
    return corrected


def _families() -> Iterator[tuple[str, str, list[str]]]:
    """Name of a family, what its models are compared with, and the models."""
    yield "ablations", REFERENCE, [name for name in ABLATIONS if name != REFERENCE]
    for width, (fewest, *more) in HEADS_OF_WIDTH.items():
        yield "heads", name_of_heads(width, fewest), [name_of_heads(width, heads) for heads in more]
    yield "peers", REFERENCE, list(PEERS)


def _by_seeds(records: pd.DataFrame, reference: str, models: list[str]) -> Iterator[tuple[list[int], list[str]]]:
    """Models that have the same seeds in common with their reference, with these seeds."""
    seeds_of = {model: set(records.loc[records["model"] == model, "seed"]) for model in [reference, *models]}
    common = pd.Series({model: tuple(sorted(seeds_of[model] & seeds_of[reference])) for model in models})
    for seeds, group in common.groupby(common):
        if len(seeds) > 1:
            yield [int(seed) for seed in seeds], list(group.index)


def _compare_on(
    data: str, family: str, reference: str, models: list[str], seeds: list[int], n_train: int, results: Results
) -> Iterator[Comparison]:
    sheets = [_sheet(data, reference, models, seed, n_train, results) for seed in seeds]
    errors = _bootstrap(sheets)
    for position, model in enumerate(models):
        tests = [sheet.delong[position] for sheet in sheets]
        signs = [np.sign(test.difference) * (test.pvalue < LEVEL) for test in tests]
        for score in _SCORES:
            of_seeds = np.array([sheet.observed(score)[position] for sheet in sheets])
            yield Comparison(
                family=family,
                data=data,
                rows=n_train,
                model=model,
                reference=reference,
                score=score,
                n_seeds=len(seeds),
                delong_higher=signs.count(1) if score == "auc" else 0,
                delong_lower=signs.count(-1) if score == "auc" else 0,
                **_inference(of_seeds.mean(), errors[score][position], _freedom(of_seeds, errors[score][position])),
            )


def _freedom(of_seeds: Floats, error: float) -> float:
    """Degrees of freedom of a variance of which a part comes from the seeds, and the rest from many rows."""
    from_seeds = of_seeds.var(ddof=1) / len(of_seeds)
    return float((len(of_seeds) - 1) * max(error**2 / from_seeds, 1) ** 2) if from_seeds else np.inf


def _inference(difference: float, error: float, freedom: float) -> dict[str, float]:
    margin = t.isf(LEVEL / 2, freedom) * error
    pvalue = 2 * t.sf(abs(difference) / error, freedom) if error > 0 else difference == 0
    return {
        "difference": float(difference),
        "standard_error": float(error),
        "freedom": freedom,
        "low": float(difference - margin),
        "high": float(difference + margin),
        "pvalue": float(pvalue),
    }


def _sheet(data: str, reference: str, models: list[str], seed: int, n_train: int, results: Results) -> _Sheet:
    table = load(data, n_train)
    rows = np.flatnonzero(table.is_in("validation", seed))
    run = {"data": data, "rows": n_train, "part": "validation", "seed": seed, "threads": 1}
    stored = {model: results.probabilities(run | {"model": model}) for model in [reference, *models]}
    clicks = stored[reference][0] == 1
    placements = {model: _placements(clicks, probability) for model, (_, probability) in stored.items()}
    losses = {model: row_losses(clicks.astype(np.int64), probability) for model, (_, probability) in stored.items()}
    gains = {
        score: np.stack([values[model] - values[reference] for model in models], axis=1)
        for score, values in {"auc": placements, "log_loss": losses}.items()
    }
    return _Sheet(rows, clicks, gains, [delong_test(clicks, stored[m][1], stored[reference][1]) for m in models])


def _placements(clicks: npt.NDArray[np.bool_], score: Floats) -> Floats:
    """Share of the other class that a row stands on the right side of, ties by half; the mean of a class is the AUC."""
    below = rankdata(score)
    for of_class in (clicks, ~clicks):
        below[of_class] -= rankdata(score[of_class])
    return np.where(clicks, below / (~clicks).sum(), 1 - below / clicks.sum())


def _mean(gains: Floats, weights: Floats, rows: Any) -> Floats:
    own = weights[:, rows]
    return (own @ gains[rows]) / own.sum(axis=1, keepdims=True)


def _bootstrap(sheets: list[_Sheet]) -> dict[Score, Floats]:
    """Standard errors of the mean differences over seeds, one per model."""
    rng = np.random.default_rng(0)
    n_rows = max(int(sheet.rows.max()) for sheet in sheets) + 1
    draws: dict[Score, list[Floats]] = {score: [] for score in _SCORES}
    for _ in range(_N_DRAWS // _DRAWS_AT_A_TIME):
        weights = rng.standard_exponential((_DRAWS_AT_A_TIME, n_rows))
        shares = rng.multinomial(len(sheets) - 1, [1 / len(sheets)] * len(sheets), _DRAWS_AT_A_TIME)
        shares = shares / (len(sheets) - 1)
        of_seeds = [sheet.drawn(weights) for sheet in sheets]
        for score, found in draws.items():
            found.append(np.einsum("ds,sdm->dm", shares, np.stack([of_seed[score] for of_seed in of_seeds])))
    return {score: np.concatenate(found).std(axis=0) for score, found in draws.items()}


def _over_data_sets(found: list[Comparison], n_data: int) -> list[Comparison]:
    """The mean over data sets of each model that was compared on all of them."""
    groups: dict[tuple[str, str, str, str], list[Comparison]] = {}
    for comparison in found:
        key = comparison.family, comparison.model, comparison.reference, comparison.score
        groups.setdefault(key, []).append(comparison)
    means = []
    for group in groups.values():
        if len(group) == n_data > 1:
            variances = np.array([comparison.standard_error**2 for comparison in group])
            freedom = variances.sum() ** 2 / sum(variances**2 / [comparison.freedom for comparison in group])
            difference = np.mean([comparison.difference for comparison in group])
            mean = _inference(difference, np.sqrt(variances.sum()) / n_data, float(freedom))
            counts = {name: sum(asdict(c)[name] for c in group) for name in ("delong_higher", "delong_lower")}
            n_seeds = min(comparison.n_seeds for comparison in group)
            means.append(replace(group[0], data=ALL, n_seeds=n_seeds, **mean, **counts))
    return means


def _corrected(comparisons: pd.DataFrame) -> pd.DataFrame:
    families = comparisons.groupby(["family", "score"], sort=False)["pvalue"]
    return comparisons.assign(pvalue_holm=families.transform(holm))
