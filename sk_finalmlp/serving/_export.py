"""From a fitted pipeline to an ONNX file."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

import numpy as np
import onnx
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from .. import __version__
from .._description import with_tables
from .._sklearn import check_feature_names_in, steps_of
from ..estimators import FinalMLPClassifier, FunnelClassifier
from ..model_files import replace_file
from ..preprocessing import CTREncoder
from ..schema import Field, column_names
from ._encoder import add_column, add_crosses, add_statistics, input_of
from ._graph import Graph, Unsupported, Value, sigmoid
from ._inputs import Input
from ._network import add_logits

_OUTPUTS = ("label", "probabilities")
_BEYOND_ANY_TABLE = 2**62


@dataclass(frozen=True)
class Exported:
    """A model as ONNX and its steps; `inputs` are raw columns, `columns` how each is encoded, None if dropped."""

    model: onnx.ModelProto
    inputs: list[Input]
    columns: dict[str, tuple[Any, Any]]
    encoder: CTREncoder | None
    classifier: Any


def export(model: BaseEstimator) -> Exported:
    """Make the graph of a fitted pipeline, encoder or classifier."""
    encoder, classifier = _steps(model)
    graph = Graph()
    described: dict[str, tuple[Any, Any]] = {}
    inputs: list[Input] = []
    if encoder is None:
        encoded = _columns_of_classifier(graph, classifier)
    else:
        state = with_tables(encoder.__getstate__())
        described = _with_vocabularies({c["name"]: (c["reading"], c["encoder"]) for c in state["_columns"]})
        inputs = _inputs(described)
        encoded = _add_encoder(graph, inputs, described, state["_derived"], encoder.fields_)
    if classifier is None:
        assert encoder is not None
        _give_columns(graph, encoder, encoded)
    else:
        _give_probabilities(graph, classifier, list(encoded.values()))
    return Exported(graph.model(_metadata(inputs, classifier)), inputs, described, encoder, classifier)


def _steps(model: BaseEstimator) -> tuple[CTREncoder | None, Any]:
    steps = steps_of(model)
    # A derived class may do more than its fitted parts say.
    types = [type(step) for step in steps]
    if any(isinstance(step, FunnelClassifier) for step in steps):
        raise Unsupported(
            "A FunnelClassifier can't be exported, since the graph has the probabilities of one label. Save the model "
            "by sk_finalmlp.save, or export a FinalMLPClassifier for each label."
        )
    if types not in ([CTREncoder], [FinalMLPClassifier], [CTREncoder, FinalMLPClassifier]):
        raise Unsupported(
            f"{[cls.__name__ for cls in types]} can't be exported: a CTREncoder, a classifier of this library, "
            "or a pipeline of one and the other can. Export the rest by its own tools, such as skl2onnx."
        )
    for step in steps:
        check_is_fitted(step)
    return steps[0] if types[0] is CTREncoder else None, steps[-1] if types[-1] is FinalMLPClassifier else None


def _with_vocabularies(described: Mapping[str, tuple[Any, Any]]) -> dict[str, tuple[Any, Any]]:
    """Descriptions of readings and encoders, with a history's vocabulary from its column."""
    whole = dict(described)
    for name, (reading, encoder) in described.items():
        if encoder and "of" in encoder:
            _, of = described[encoder["of"]]
            # Ids that have vectors have an encoder within the encoder of both.
            whole[name] = reading, {**encoder, "vocabulary": of.get("ids", of)["vocabulary"]}
    return whole


def _inputs(described: Mapping[str, tuple[Any, Any]]) -> list[Input]:
    inputs = [input_of(name, *description) for name, description in described.items() if description[1] is not None]
    for column in inputs:
        if column.name in _OUTPUTS or not column.name or column.name.startswith("/"):
            raise Unsupported(f"A column can't be called {column.name!r} in ONNX: rename it before fit.")
    return inputs


def _add_encoder(
    graph: Graph,
    inputs: Sequence[Input],
    described: Mapping[str, tuple[Any, Any]],
    derived: Any,
    fields: Sequence[Field],
) -> dict[str, Value]:
    """Output columns by name."""
    outputs = [add_column(graph, column, *described[column.name]) for column in inputs]
    shape = _shape_of_columns(graph, inputs)
    has_codes = iter([field.has_codes for field in fields for _ in range(field.n_columns)])
    plain: list[Value] = []
    for of_input in outputs:
        # A single row of an input stands for all rows, and is looked up once. One matrix has one type.
        for _, neighbours in groupby(of_input, key=lambda _: next(has_codes)):
            own = list(neighbours)
            plain += graph.split(graph.node("Expand", graph.concat(own), shape), len(own))
    columns = dict(zip(column_names(fields), plain, strict=False))
    columns |= add_crosses(graph, derived["_crosses"], columns)
    return columns | add_statistics(graph, derived["_statistics"], columns)


def _shape_of_columns(graph: Graph, inputs: Sequence[Input]) -> Value:
    """Shape of a column with as many rows as the longest input."""
    first = [graph.split(Value(graph, column.name), column.length)[0] for column in inputs]
    return graph.node("Max", *(graph.node("Shape", column) for column in first))


def _metadata(inputs: Sequence[Input], classifier: Any) -> dict[str, str]:
    """What a server must know in addition to the graph."""
    metadata = {"sk_finalmlp": __version__, "inputs": json.dumps([asdict(column) for column in inputs])}
    if classifier is not None:
        metadata["classes"] = json.dumps(exportable(classifier.classes_).tolist())
    return metadata


def _columns_of_classifier(graph: Graph, classifier: Any) -> dict[str, Value]:
    readers = classifier.table_reader_
    has_codes = {position: reader.field.has_codes for reader in readers for position in reader.positions}
    # A graph can't refuse negative codes as the classifier does: they are unknown.
    unknown = graph.constant([[_BEYOND_ANY_TABLE]])
    columns = {}
    for position, name in enumerate(map(str, check_feature_names_in(classifier))):
        column = graph.input(name, _element_type(has_codes[position]))
        columns[name] = unknown.where(column < 0, column) if has_codes[position] else column
    return columns


def _give_columns(graph: Graph, encoder: CTREncoder, columns: Mapping[str, Value]) -> None:
    for field in encoder.fields_:
        for name in column_names([field]):
            graph.output(columns[name], f"{name}:encoded", _element_type(field.has_codes), 1)


def _element_type(has_codes: bool) -> str:
    return "int64" if has_codes else "float"


def _give_probabilities(graph: Graph, classifier: Any, columns: Sequence[Value]) -> None:
    logits = add_logits(graph, classifier.network_, classifier.table_reader_, columns)
    classes = exportable(classifier.classes_)
    if len(classes) == 2:
        probabilities = sigmoid(graph.concat([graph.node("Neg", logits), logits]))
        position = graph.node("Squeeze", (logits > np.float32(0)).cast("int64"), np.array([1]))
    else:
        probabilities = graph.node("Softmax", logits, axis=1)
        position = graph.node("ArgMax", logits, axis=1, keepdims=0)
    element_type = {"i": "int64", "f": "double", "O": "string"}[classes.dtype.kind]
    graph.output(graph.gather(classes, position), "label", element_type)
    graph.output(probabilities, "probabilities", "float", len(classes))


def exportable(classes: np.ndarray) -> np.ndarray:
    """Return labels as integers, doubles or text."""
    if classes.dtype.kind in "biu":
        return classes.astype(np.int64)
    if classes.dtype.kind == "f":
        return classes.astype(np.float64)
    return np.array([str(label) for label in classes], object)


def write(exported: Exported, path: str | os.PathLike[str]) -> None:
    """Write the model to a file."""
    onnx.checker.check_model(exported.model)
    replace_file(path, exported.model.SerializeToString())
