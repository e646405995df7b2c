"""scikit-learn's private names, all in one place, since other versions may break them.

Its checks of parameters, its callbacks (`sklearn.callback`, from version 1.9 on) and its HTML of an estimator. Also the
steps of its pipelines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from importlib import metadata
from numbers import Integral, Real
from typing import Any, TypeVar

from sklearn.base import _fit_context
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    InvalidParameterError,
    RealNotInt,
    StrOptions,
)
from sklearn.utils._param_validation import validate_params as _validate_params
from sklearn.utils._set_output import _get_output_config as get_output_config
from sklearn.utils.multiclass import _check_partial_fit_first_call as check_first_call
from sklearn.utils.validation import _check_feature_names_in as check_feature_names_in
from sklearn.utils.validation import _check_sample_weight as check_sample_weight
from sklearn.utils.validation import _is_fitted as is_fitted
from sklearn.utils.validation import _num_samples as num_samples

try:
    from sklearn.callback import CallbackSupportMixin
except ModuleNotFoundError:  # pragma: no cover

    class _NoContext:
        """Context of a fit in versions of scikit-learn that have no callbacks."""

        def call_on_fit_task_begin(self, **kwargs: Any) -> None:
            pass

        def call_on_fit_task_end(self, **kwargs: Any) -> None:
            pass

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stands for the mixin of later versions; there is no `set_callbacks`."""

        def _init_callback_context(self, **kwargs: Any) -> _NoContext:
            return _NoContext()


__all__ = [
    "AT_LEAST_ONE",
    "BETWEEN_0_AND_1",
    "CallbackSupportMixin",
    "FittedSummary",
    "HasMethods",
    "Interval",
    "InvalidParameterError",
    "RealNotInt",
    "StrOptions",
    "Summary",
    "check_feature_names_in",
    "check_first_call",
    "check_sample_weight",
    "fit_context",
    "fit_task",
    "get_output_config",
    "has_callbacks",
    "is_fitted",
    "num_samples",
    "steps_of",
    "validate_params",
]

_Function = TypeVar("_Function", bound=Callable[..., Any])

AT_LEAST_ONE = Interval(Integral, 1, None, closed="left")
BETWEEN_0_AND_1 = Interval(Real, 0, 1, closed="neither")

_MAX_ROWS = 100


def steps_of(model: Any) -> list[Any]:
    """Return the steps of a pipeline, or the model as the only one; of a frozen step, what is frozen."""
    # Imported here: the encoder needs neither, and they load all of scikit-learn's preprocessing.
    from sklearn.frozen import FrozenEstimator
    from sklearn.pipeline import Pipeline

    steps = [step for _, step in model.steps] if isinstance(model, Pipeline) else [model]
    return [step.estimator if isinstance(step, FrozenEstimator) else step for step in steps]


def validate_params(constraints: dict[str, Any]) -> Callable[[_Function], _Function]:
    """Check the arguments of a function by constraints as in `_parameter_constraints`; its type stays known."""
    return _validate_params(constraints, prefer_skip_nested_validation=True)


def fit_context(fit: _Function) -> _Function:
    """Check the parameters of an estimator before the decorated method runs; its type stays known."""
    return _fit_context(prefer_skip_nested_validation=True)(fit)


def has_callbacks(estimator: Any) -> bool:
    """Whether callbacks are set on the estimator."""
    return hasattr(estimator, "_skl_callbacks")


@contextmanager
def fit_task(estimator: Any, max_subtasks: int = 0, **data: Any) -> Iterator[Any]:
    """Tell the estimator's callbacks when a fit begins and when it ends; an error leaves the estimator as it was."""
    # `data` are what callbacks may ask for. `fit_context`, around the fit, tears them down.
    task = estimator._init_callback_context(max_subtasks=max_subtasks)
    task.call_on_fit_task_begin(estimator=estimator, **data)
    # Not earlier: scikit-learn keeps in the attributes which callbacks to tear down.
    before = dict(vars(estimator))
    try:
        yield task
    except BaseException:
        estimator.__dict__ = before
        raise
    # A fitted estimator is a copy of this one with no attribute to add.
    task.call_on_fit_task_end(estimator=estimator, **data, reconstruction_attributes={})


@dataclass(frozen=True)
class Summary:
    """A table that unfolds, of named columns or of names and values alone."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[object]]
    is_open: bool = False

    def to_html(self) -> str:
        """Return the table in the style of scikit-learn's table of parameters."""
        lines = [_row(cells) for cells in self.rows[:_MAX_ROWS]]
        if self.header:
            lines.insert(0, _row(self.header, '<th style="color: black; text-align: left">{}</th>'))
        if len(self.rows) > _MAX_ROWS:
            lines.append(_row([f"... and {len(self.rows) - _MAX_ROWS:,} more"]))
        return (
            f'<div class="estimator-table"><details{" open" if self.is_open else ""}>'
            f"<summary>{escape(self.title)}</summary>"
            f'<table class="parameters-table"><tbody>{"".join(lines)}</tbody></table></details></div>'
        )


def _row(cells: Sequence[object], cell: str = "<td>{}</td>") -> str:
    # The class gives scikit-learn's black on white, in dark notebooks too.
    return f'<tr class="default">{"".join(cell.format(escape(str(content))) for content in cells)}</tr>'


class FittedSummary:
    """Mixin that shows fitted results before the parameters, and links to the documentation of this library."""

    _doc_link_module = __package__

    def _summaries(self) -> list[Summary]:
        """Return tables about the fitted estimator, the most useful first."""
        raise NotImplementedError

    @property
    def _doc_link_template(self) -> str:
        address = _documentation_address()
        return f"{address}/api/generated/{__package__}.{{estimator_name}}.html" if address else ""

    def _get_params_html(self, *args: Any, **kwargs: Any) -> Any:
        # scikit-learn asks for the parameters wherever it draws an estimator; its arguments differ between versions.
        parameters = super()._get_params_html(*args, **kwargs)  # type: ignore[misc]
        if is_fitted(self):
            before = "".join(summary.to_html() for summary in self._summaries())
            of_parameters = parameters._html_repr
            parameters._html_repr = lambda: before + of_parameters()
        return parameters


def _documentation_address() -> str:
    """Return the address of the documentation by the installed package; empty if it names none."""
    try:
        addresses = metadata.metadata("sk-finalmlp").get_all("Project-URL", [])
    except metadata.PackageNotFoundError:
        return ""
    named: dict[str, str] = dict(address.split(", ", maxsplit=1) for address in addresses)
    return named.get("Documentation", "").rstrip("/")
