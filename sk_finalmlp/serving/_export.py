"""From a fitted pipeline to an ONNX file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted

from .._plain import with_tables
from .._version import __version__
from ..estimators import DualMLPClassifier, FinalMLPClassifier, TwoStreamClassifier
from ..fields import column_names
from ..preprocessing import CTREncoder
from ._encoder import Unsupported, add_column, add_crosses, add_statistics, input_of
from ._graph import Graph
from ._inputs import Input
from ._network import add_logits

_CLASSIFIERS = (DualMLPClassifier, FinalMLPClassifier, TwoStreamClassifier)


@dataclass(frozen=True)
class Exported:
    """A model as ONNX, and what its inputs are.

    Parameters
    ----------
    model : onnx.ModelProto
        The model.
    inputs : list of Input
        The columns of the raw table that it reads; empty for a classifier alone.
    encoder : CTREncoder or None
        The first step.
    classifier : estimator or None
        The last step.
    """

    model: onnx.ModelProto
    inputs: list[Input]
    encoder: CTREncoder | None
    classifier: Any


def export(model: BaseEstimator) -> Exported:
    """Make the graph of a fitted pipeline, encoder or classifier."""
    encoder, classifier = _steps(model)
    graph = Graph()
    if encoder is None:
        inputs, names, columns = [], [], _columns_of_classifier(graph, classifier)
    else:
        inputs, columns_by_name = _add_encoder(graph, encoder)
        names, columns = list(columns_by_name), list(columns_by_name.values())
    if classifier is None:
        _give_columns(graph, encoder, names, columns)
    else:
        _give_probabilities(graph, classifier, columns)
    metadata = {"sk_finalmlp": __version__}
    if encoder is not None:
        metadata["columns"] = ", ".join(f"{column.name}: {column.kind}" for column in inputs)
    return Exported(graph.model(metadata), inputs, encoder, classifier)


def _steps(model: BaseEstimator) -> tuple[CTREncoder | None, Any]:
    steps = [step for _, step in model.steps] if isinstance(model, Pipeline) else [model]
    steps = [step.estimator if isinstance(step, FrozenEstimator) else step for step in steps]
    kinds = [_kind_of(step) for step in steps]
    if kinds not in (["encoder"], ["classifier"], ["encoder", "classifier"]):
        raise Unsupported(
            f"{[type(step).__name__ for step in steps]} can't be exported: a CTREncoder, a classifier of this library, "
            "or a pipeline of one and the other can. Export the rest by its own tools, such as skl2onnx."
        )
    for step in steps:
        check_is_fitted(step)
    return steps[0] if kinds[0] == "encoder" else None, steps[-1] if kinds[-1] == "classifier" else None


def _kind_of(step: Any) -> str:
    if type(step) is CTREncoder:
        return "encoder"
    return "classifier" if type(step) in _CLASSIFIERS else "other"


def _add_encoder(graph: Graph, encoder: CTREncoder) -> tuple[list[Input], dict[str, str]]:
    """Inputs, and output columns by name."""
    state = with_tables(encoder.__getstate__())
    names = [str(name) for name in _check_feature_names_in(encoder)]
    inputs, columns = [], []
    for name, reading, part in zip(names, state["_readings"], state["_encoders"], strict=True):
        if part is not None:
            inputs.append(input_of(name, reading, part))
            columns += add_column(graph, inputs[-1], reading, part)
    derived = state["_derived"]
    by_name = dict(zip(column_names(encoder.fields_), columns, strict=False))
    crosses = add_crosses(graph, derived["_crosses"], by_name)
    by_name.update(crosses)
    by_name.update(add_statistics(graph, derived["_statistics"], by_name))
    return inputs, by_name


def _columns_of_classifier(graph: Graph, classifier: Any) -> list[str]:
    names = [str(name) for name in _check_feature_names_in(classifier)]
    has_codes = {position: reader.field.has_codes for reader in classifier._readers for position in reader.positions}
    return [graph.input(name, "int64" if has_codes[i] else "float") for i, name in enumerate(names)]


def _give_columns(graph: Graph, encoder: Any, names: Sequence[str], columns: Sequence[str]) -> None:
    is_float = {name: not field.has_codes for field in encoder.fields_ for name in column_names([field])}
    for name, column in zip(names, columns, strict=True):
        graph.output(column, f"{name}:out" if name in encoder_inputs(encoder) else name, _element_type(is_float[name]), 1)


def encoder_inputs(encoder: Any) -> set[str]:
    """Names of the raw columns; an output that has one of them gets `:out` behind it."""
    return {str(name) for name in _check_feature_names_in(encoder)}


def _element_type(is_float: bool) -> str:
    return "float" if is_float else "int64"


def _give_probabilities(graph: Graph, classifier: Any, columns: Sequence[str]) -> None:
    logits = add_logits(graph, classifier.network_, classifier._readers, columns)
    classes = _exportable(classifier.classes_)
    if len(classes) == 2:
        probability = graph.node("Sigmoid", logits)
        other = graph.node("Sigmoid", graph.node("Neg", logits))
        probabilities = graph.concat([other, probability])
        position = graph.cast(graph.node("Greater", logits, graph.constant([[0]], np.float32)), "int64")
        position = graph.node("Squeeze", position, graph.constant([1], np.int64))
    else:
        probabilities = graph.node("Softmax", logits, axis=1)
        position = graph.node("ArgMax", logits, axis=1, keepdims=0)
    element_type = {"i": "int64", "f": "double", "O": "string"}[classes.dtype.kind]
    graph.output(graph.gather(classes, position), "label", element_type)
    graph.output(probabilities, "probabilities", "float", len(classes))


def _exportable(classes: np.ndarray) -> np.ndarray:
    if classes.dtype.kind in "biu":
        return classes.astype(np.int64)
    if classes.dtype.kind == "f":
        return classes.astype(np.float64)
    return np.array([str(label) for label in classes], object)


def write(exported: Exported, path: str | os.PathLike[str]) -> None:
    """Write the model to a file."""
    onnx.checker.check_model(exported.model)
    onnx.save_model(exported.model, os.fspath(path))
