"""Model cards of fitted models."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from numbers import Real
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from . import __version__
from ._sklearn import steps_of

__all__ = ["model_card"]

_LIBRARIES = ("scikit-learn", "torch", "numpy", "pandas", "pyarrow")


def model_card(
    model: BaseEstimator,
    *,
    title: str = "Click model",
    notes: str = "",
    data: Mapping[str, tuple[Any, Any]] | None = None,
    scores: Mapping[str, float] | None = None,
) -> str:
    """Describe a fitted model in Markdown: its data, columns, network, scores, and what it was made with.

    Parameters
    ----------
    model : estimator
        A fitted `CTREncoder`, a fitted classifier of this library, or a pipeline with any of them.
    title : str, default="Click model"
        The heading.
    notes : str, default=""
        Markdown that follows the heading: what the model is for, and where it should not be used.
    data : dict of str to (X, y), default=None
        Raw tables with their labels, by name, such as ``{"training": (X_train, y_train), "test": (X_test, y_test)}``.
        The card says how many rows each has, its click rate, and its first and last day by the columns that the
        encoder reads as datetimes.
    scores : dict of str to float, default=None
        Scores on test rows, by name, such as ``{"test AUC": 0.803}``. They follow those that `fit` measured on held-out
        rows, and are what the Hugging Face Hub shows of the model.

    Returns
    -------
    str
        Markdown with front matter for the Hugging Face Hub, for a `README.md` beside the file of the model. It holds no
        value of any row but the first and last days.

    Raises
    ------
    TypeError
        If `data` holds no pair of a table and labels, or `scores` no number.
    NotFittedError
        If the model isn't fitted.

    Examples
    --------
    >>> from sk_finalmlp import CTREncoder, model_card
    >>> from sk_finalmlp.datasets import make_click_data
    >>> X, y, _ = make_click_data(1000, random_state=0)
    >>> encoder = CTREncoder(statistics=None).fit(X[["user", "time"]], y)
    >>> card = model_card(encoder, data={"training": (X, y)})
    >>> print(*card[card.index("| rows of") :].splitlines()[:3], sep="\\n")
    | rows of | number | click rate | time: first day | time: last day |
    | --- | --- | --- | --- | --- |
    | training | 1,000 | 0.0840 | 2024-01-01 | 2024-01-28 |
    """
    check_is_fitted(model)
    _check(data or {}, scores or {})
    steps = steps_of(model)
    encoders = [step for step in steps if hasattr(step, "feature_kinds_")]
    # A classifier of several labels holds the one that was trained.
    classifier = getattr(steps[-1], "classifier_", steps[-1])
    is_ours = hasattr(classifier, "history_")
    lines = [*_front_matter(title, scores or {}), f"# {title}", *(["", notes.strip()] if notes else [])]
    lines += _how_to_use(model, takes_raw_rows=hasattr(steps[0], "feature_kinds_"))
    if data:
        lines += _data(data, encoders)
    for encoder in encoders:
        lines += _columns(encoder)
    if is_ours:
        lines += _network(classifier, _classes(steps[-1]))
    measured = _scores(classifier) if is_ours else []
    if found := [*measured, *(scores or {}).items()]:
        lines += _section("Scores", ("score", "value"), ((name, f"{value:.4f}") for name, value in found))
    if measured:
        lines += ["", "Those that begin with `valid_` are of rows held out of the training, after its best epoch."]
    lines += _versions()
    return "\n".join(lines) + "\n"


def _check(data: Mapping[str, Any], scores: Mapping[str, Any]) -> None:
    for name, rows in data.items():
        if not (isinstance(rows, tuple | list) and len(rows) == 2):
            raise TypeError(f"data[{name!r}] must be a pair (X, y), not {type(rows).__name__}.")
    for name, score in scores.items():
        if not isinstance(score, Real):
            raise TypeError(f"scores[{name!r}] must be a number, not {score!r}.")


def _result(scores: Mapping[str, float]) -> dict[str, Any]:
    return {
        "task": {"type": "tabular-classification"},
        "dataset": {"type": "tabular", "name": "test rows"},
        "metrics": [{"type": name, "value": float(value)} for name, value in scores.items()],
    }


def _front_matter(title: str, scores: Mapping[str, float]) -> list[str]:
    # The Hub reads YAML, and JSON is YAML.
    about: dict[str, Any] = {
        "library_name": "sk_finalmlp",
        "pipeline_tag": "tabular-classification",
        "tags": ["sklearn", "click-through-rate"],
    }
    if scores:
        about["model-index"] = [{"name": title, "results": [_result(scores)]}]
    return ["---", *(f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in about.items()), "---", ""]


def _how_to_use(model: Any, *, takes_raw_rows: bool) -> list[str]:
    names = ("probabilities", "predict_proba") if hasattr(model, "predict_proba") else ("encoded", "transform")
    table = "a raw table with the columns below" if takes_raw_rows else "a table of codes and numbers"
    return [
        "",
        "## How to use",
        "",
        f"`sk_finalmlp.save` writes the file, here `clicks.model`; `X` is {table}.",
        "",
        "```python",
        "import sk_finalmlp",
        "",
        'model = sk_finalmlp.load("clicks.model")',
        f"{names[0]} = model.{names[1]}(X)",
        "```",
    ]


def _data(data: Mapping[str, tuple[Any, Any]], encoders: Sequence[Any]) -> list[str]:
    kinds = [item for encoder in encoders for item in encoder.feature_kinds_["kind"].items()]
    datetimes = [name for name, kind in kinds if kind == "datetime"]
    days = [f"{name}: {which} day" for name in datetimes for which in ("first", "last")]
    rows = (
        (name, f"{len(X):,}", _rate(y), *(day for column in datetimes for day in _first_and_last_day(X, column)))
        for name, (X, y) in data.items()
    )
    return _section("Data", ("rows of", "number", "click rate", *days), rows)


def _rate(y: Any) -> str:
    """Tell the share of each class but the first, by task where there are several labels of a row."""
    labels = y if isinstance(y, pd.DataFrame) else pd.DataFrame(np.asarray(y))
    return "; ".join(
        f"{task} {shares}" if len(labels.columns) > 1 else shares
        for task, shares in ((name, _shares(labels[name].dropna())) for name in labels)
    )


def _shares(labels: pd.Series) -> str:
    shares = labels.value_counts(normalize=True).sort_index()
    if len(shares) <= 2:
        return f"{shares.iloc[-1]:.4f}"
    return ", ".join(f"{label}: {share:.4f}" for label, share in shares.items())


def _first_and_last_day(X: Any, column: str) -> Iterable[str]:
    values = nw.from_native(X, eager_only=True)[column].to_pandas()
    if not isinstance(values.dtype, pd.DatetimeTZDtype):
        values = pd.to_datetime(values, format="ISO8601", errors="coerce", utc=True)
    return (f"{day:%Y-%m-%d}" for day in (values.min(), values.max()))


def _section(heading: str, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    lines = [header, ["---"] * len(header), *rows]
    return ["", f"## {heading}", "", *(f"| {' | '.join(_cell(value) for value in line)} |" for line in lines)]


def _cell(value: Any) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")


def _columns(encoder: Any) -> list[str]:
    kinds = encoder.feature_kinds_
    found = ((name, row.kind, row.n_missing, row.n_codes, row.why) for name, row in kinds.iterrows())
    lines = _section("Columns", ("column", "kind", "missing", "codes", "why"), found)
    made = [field.name for field in encoder.fields_ if field.kind == "statistic"]
    return [*lines, "", f"Statistics: {', '.join(map(_cell, made))}."] if made else lines


def _network(classifier: Any, classes: str) -> list[str]:
    n_parameters = sum(parameter.numel() for parameter in classifier.network_.parameters())
    facts = {
        "class": type(classifier).__name__,
        "parameters other than the defaults": ", ".join(_changed(classifier)) or "none",
        "classes": classes,
        "fields": len(classifier.fields_),
        "weights": f"{n_parameters:,}",
        "epochs": f"{classifier.n_iter_}, the best was {classifier.best_epoch_}",
    }
    return _section("Network", ("what", "value"), facts.items())


def _scores(classifier: Any) -> list[tuple[str, float]]:
    """Return the scores of the best epoch."""
    best = classifier.history_[classifier.best_epoch_ - 1]
    return [(name, best[name]) for name in best if name.startswith(("train_", "valid_"))]


def _classes(classifier: Any) -> str:
    """Tell the classes, by task where there are several labels of a row."""
    if not hasattr(classifier, "tasks_"):
        return ", ".join(map(str, classifier.classes_))
    of_tasks = zip(classifier.tasks_, classifier.classes_, strict=True)
    return "; ".join(f"{task}: {', '.join(map(str, classes))}" for task, classes in of_tasks)


def _changed(estimator: Any) -> list[str]:
    defaults = type(estimator)().get_params(deep=False)
    return [
        f"{name}={value!r}"
        for name, value in estimator.get_params(deep=False).items()
        if repr(value) != repr(defaults[name])
    ]


def _versions() -> list[str]:
    made_with = {"sk_finalmlp": __version__, "Python": platform.python_version()}
    made_with |= {library: version(library) for library in _LIBRARIES}
    return _section("Made with", ("library", "version"), made_with.items())
