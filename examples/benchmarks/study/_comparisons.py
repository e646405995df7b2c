"""Paired comparisons of what the study fitted, on the same rows with the same seeds.

Two things are left to chance: the training, of which the seeds are a sample, and the scored rows. Obuchowski and
Rockette (1995) estimate the first by an analysis of variance of models by seeds, and the second by the covariances
between seeds that the rows cause: DeLong's (1988) of the AUC, those of the row losses of the log-loss. The degrees of
freedom are Hillis's (2007). The variance of the training is pooled over the models that are compared with the same
reference, so that two or three seeds that happen to agree don't pass for certainty.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from _data import load
from _family import FAMILY, FINALMLP, HEADS_OF_OTHER_WIDTHS, PAIRS, PUBLISHED, name_of_pair
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


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A model minus its reference on the same scored rows, mean over seeds, with a 95% interval.

    `pvalue_holm` is corrected for all comparisons of the same family and score. `delong_higher` and `delong_lower`
    count the seeds on which DeLong's test finds the AUC higher or lower at the 5% level.
    """

    family: str
    data: str
    n_train: int
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
    """A seed: which rows of the table are scored, and what each of them gains by each model over the reference."""

    rows: npt.NDArray[np.intp]
    clicks: npt.NDArray[np.bool_]
    gains: dict[Score, Floats]
    delong: list[Any]

    def differences(self, score: Score) -> Floats:
        """Differences, one per model."""
        rows = self.clicks if score == "auc" else slice(None)
        return self.gains[score][rows].mean(axis=0)

    def influence(self, score: Score) -> Floats:
        """What each row moves the differences by, shape (n_rows, n_models); the sum of squares is their variance."""
        gains = self.gains[score]
        classes = (self.clicks, ~self.clicks) if score == "auc" else (np.ones(len(gains), dtype=bool),)
        influence = np.empty_like(gains)
        for rows in classes:
            influence[rows] = (gains[rows] - gains[rows].mean(axis=0)) / rows.sum()
        return influence


def compare(results: Results) -> pd.DataFrame:
    """All comparisons of the records."""
    records = results.records()
    found = [
        comparison
        for rows, of_rows in records.groupby("rows")
        for comparison in _compare_of_rows(int(rows), of_rows, results)
    ]
    names = [field.name for field in fields(Comparison)]
    return _corrected(pd.DataFrame([asdict(comparison) for comparison in found], columns=names))


def _compare_of_rows(rows: int, records: pd.DataFrame, results: Results) -> list[Comparison]:
    """Comparisons of models that had at most so many rows to learn from."""
    n_train = records.groupby("data")["n_train"].first()
    found = [
        replace(comparison, n_train=int(n_train[data]))
        for data in records["data"].unique()
        for family, reference, models in _families()
        for seeds, chosen in _by_seeds(records[records["data"] == data], reference, models)
        for comparison in _compare_on(data, family, reference, chosen, seeds, rows, results)
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
    for second, changes in PAIRS.items():
        yield "pairs", name_of_pair(second), [name for name in changes if name != name_of_pair(second)]
    yield "family", FINALMLP, [name for name in FAMILY if name != FINALMLP and name not in HEADS_OF_OTHER_WIDTHS]
    yield "family heads", name_of_pair("mlp"), [*HEADS_OF_OTHER_WIDTHS]
    yield "published", next(iter(PUBLISHED)), [*list(PUBLISHED)[1:], *PEERS]


def _by_seeds(records: pd.DataFrame, reference: str, models: list[str]) -> Iterator[tuple[list[int], list[str]]]:
    """Models that have the same seeds in common with their reference, with these seeds."""
    seeds_of = {model: set(records.loc[records["model"] == model, "seed"]) for model in [reference, *models]}
    common = pd.Series({model: tuple(sorted(seeds_of[model] & seeds_of[reference])) for model in models})
    for seeds, group in common.groupby(common):
        if len(seeds) > 1:
            yield [int(seed) for seed in seeds], list(group.index)


def _compare_on(
    data: str, family: str, reference: str, models: list[str], seeds: list[int], rows: int, results: Results
) -> Iterator[Comparison]:
    sheets = [_sheet(data, reference, models, seed, rows, results) for seed in seeds]
    differences = {score: np.stack([sheet.differences(score) for sheet in sheets]) for score in _SCORES}
    of_rows = {score: _covariance_by_rows(sheets, score) for score in _SCORES}
    for position, model in enumerate(models):
        tests = [sheet.delong[position] for sheet in sheets]
        signs = [np.sign(test.difference) * (test.pvalue < LEVEL) for test in tests]
        for score in _SCORES:
            of_training, freedom = _variance_by_training(differences[score])
            variance = of_training + of_rows[score][position]
            # The covariances are known from thousands of rows, so that all uncertainty is that of the other term.
            freedom *= (variance / of_training) ** 2
            yield Comparison(
                family=family,
                data=data,
                n_train=rows,
                model=model,
                reference=reference,
                score=score,
                n_seeds=len(seeds),
                delong_higher=signs.count(1) if score == "auc" else 0,
                delong_lower=signs.count(-1) if score == "auc" else 0,
                **_inference(differences[score][:, position].mean(), variance**0.5, freedom),
            )


def _variance_by_training(differences: Floats) -> tuple[float, float]:
    """Variance of a mean difference, pooled over models, and its degrees of freedom; from shape (n_seeds, n_models)."""
    n_seeds = len(differences)
    of_models = np.column_stack([np.zeros(n_seeds), differences])
    residuals = of_models - of_models.mean(axis=0) - of_models.mean(axis=1, keepdims=True) + of_models.mean()
    freedom = (of_models.shape[1] - 1) * (n_seeds - 1)
    return float(2 * (residuals**2).sum() / freedom / n_seeds), float(freedom)


def _covariance_by_rows(sheets: list[_Sheet], score: Score) -> Floats:
    """Mean covariance between the differences of two seeds, which rows that both are scored on cause; one per model."""
    n_rows, n_seeds = max(int(sheet.rows.max()) for sheet in sheets) + 1, len(sheets)
    total = np.zeros((n_rows, sheets[0].gains[score].shape[1]))
    for sheet in sheets:
        total[sheet.rows] += sheet.influence(score)
    own = sum((sheet.influence(score) ** 2).sum(axis=0) for sheet in sheets)
    return np.maximum(((total**2).sum(axis=0) - own) / (n_seeds * (n_seeds - 1)), 0)


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


def _sheet(data: str, reference: str, models: list[str], seed: int, rows: int, results: Results) -> _Sheet:
    table = load(data, rows)
    scored = np.flatnonzero(table.is_in("validation", seed))
    run = {"data": data, "rows": rows, "part": "validation", "seed": seed, "threads": 1}
    stored = {model: results.probabilities(run | {"model": model}) for model in [reference, *models]}
    clicks = stored[reference][0] == 1
    placements = {model: _placements(clicks, probability) for model, (_, probability) in stored.items()}
    losses = {model: row_losses(clicks.astype(np.int64), probability) for model, (_, probability) in stored.items()}
    gains = {
        score: np.stack([values[model] - values[reference] for model in models], axis=1)
        for score, values in {"auc": placements, "log_loss": losses}.items()
    }
    return _Sheet(scored, clicks, gains, [delong_test(clicks, stored[m][1], stored[reference][1]) for m in models])


def _placements(clicks: npt.NDArray[np.bool_], score: Floats) -> Floats:
    """Share of the other class that a row stands on the right side of, ties by half; the mean of a class is the AUC."""
    below = rankdata(score)
    for of_class in (clicks, ~clicks):
        below[of_class] -= rankdata(score[of_class])
    return np.where(clicks, below / (~clicks).sum(), 1 - below / clicks.sum())


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
