"""What a fitted model is, for a reader."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from typing import Any

from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from . import __version__

__all__ = ["model_card"]

_SCORES = ("train_loss", "valid_loss", "valid_auc")
_LIBRARIES = ("scikit-learn", "torch", "numpy", "pandas", "pyarrow")


def model_card(model: BaseEstimator, *, title: str = "Click model") -> str:
    """Describe a fitted model in Markdown: its columns, its network, its scores, and what it was made with.

    Parameters
    ----------
    model : estimator
        A fitted `CTREncoder`, a fitted classifier of this library, or a pipeline with any of them.
    title : str, default="Click model"
        The heading.

    Returns
    -------
    str
        Markdown, for a file beside that of the model. It holds no value of any row.

    Examples
    --------
    >>> from sk_finalmlp import CTREncoder, model_card
    >>> from sk_finalmlp.datasets import make_click_data
    >>> X, y, _ = make_click_data(1000, random_state=0)
    >>> card = model_card(CTREncoder(statistics=None).fit(X[["user", "numeric_0"]], y))
    >>> print(*card.splitlines()[4:8], sep="\\n")
    | column | kind | missing | codes | why |
    | --- | --- | --- | --- | --- |
    | user | categorical | 0 | 348 | strings: 347 distinct of 1000 |
    | numeric_0 | numeric | 0 | 0 | numbers with a fractional part |
    """
    check_is_fitted(model)
    lines = [f"# {title}"]
    for step in _steps(model):
        if hasattr(step, "feature_kinds_"):
            lines += _columns(step)
        if hasattr(step, "history_"):
            lines += _network(step, ", ".join(map(str, step.classes_)))
        if hasattr(step, "tasks_"):
            lines += _network(step.classifier_, _classes_of_tasks(step))
    lines += _versions()
    return "\n".join(lines) + "\n"


def _steps(model: Any) -> list[Any]:
    steps = [step for _, step in model.steps] if isinstance(model, Pipeline) else [model]
    return [step.estimator if isinstance(step, FrozenEstimator) else step for step in steps]


def _section(heading: str, header: Sequence[str], rows: Iterator[Sequence[Any]]) -> list[str]:
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
    best = classifier.history_[classifier.best_epoch_ - 1]
    n_parameters = sum(parameter.numel() for parameter in classifier.network_.parameters())
    facts = {
        "class": type(classifier).__name__,
        "parameters other than the defaults": ", ".join(_changed(classifier)) or "none",
        "classes": classes,
        "fields": len(classifier.fields_),
        "weights": f"{n_parameters:,}",
        "epochs": f"{classifier.n_iter_}, the best was {classifier.best_epoch_}",
        **{name: f"{best[name]:.4f}" for name in best if name.startswith(("train_", "valid_"))},
    }
    return _section("Network", ("what", "value"), iter(facts.items()))


def _classes_of_tasks(classifier: Any) -> str:
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
    return _section("Made with", ("library", "version"), iter(made_with.items()))
