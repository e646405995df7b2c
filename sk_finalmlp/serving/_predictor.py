"""Fast predictions for servers in Python."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._inputs import Input
from ._to_onnx import make_session, require_extra


class Predictor:
    """Predict probabilities for rows given as plain dicts; :func:`make_predictor` makes one.

    Threads can share it.

    Parameters
    ----------
    session : onnxruntime.InferenceSession
        Session with the graph of a pipeline.

    Attributes
    ----------
    columns_ : list of str
        The keys that each row must have.
    kinds_ : dict of {str: str}
        What each of `columns_` holds: "text", "integer" (of ids), "boolean", "number", "time", "elements" (of a list)
        or "history" (a list in order, the most recent last).
    classes_ : ndarray of shape (n_classes,)
        The labels, in the order of the probabilities.

    Examples
    --------
    See :func:`make_predictor` for a full example. The rows have these keys:

    >>> from sklearn.pipeline import make_pipeline
    >>> from sk_finalmlp import CTREncoder, FinalMLPClassifier
    >>> from sk_finalmlp.serving import make_predictor
    >>> import pandas as pd
    >>> X = pd.DataFrame({"user": ["ann", "bob"] * 20, "item": [3, 15, 15, 3] * 10})
    >>> model = make_pipeline(CTREncoder(), FinalMLPClassifier(max_epochs=1)).fit(
    ...     X, ["no", "yes"] * 20
    ... )
    >>> predict = make_predictor(model)
    >>> predict.kinds_, predict.classes_.tolist()
    ({'user': 'text', 'item': 'integer'}, ['no', 'yes'])

    The candidates of a request share its user:

    >>> predict.score_candidates(
    ...     {"user": "ann"}, [{"item": 3}, {"item": 15}, {"item": 99}]
    ... ).shape
    (3, 2)
    """

    def __init__(self, session: Any) -> None:
        if not hasattr(session, "get_modelmeta"):
            raise TypeError(
                f"A Predictor needs a session of ONNX Runtime, and got {session!r}. Call make_predictor: it takes "
                "the name of a file, or a pipeline."
            )
        metadata = session.get_modelmeta().custom_metadata_map
        if "classes" not in metadata or metadata.get("inputs", "[]") == "[]":
            raise ValueError(
                "A predictor needs a graph that `to_onnx` made of a pipeline of an encoder and a classifier."
            )
        self._session = session
        self._inputs = [Input(**column) for column in json.loads(metadata["inputs"])]
        self.columns_ = [column.name for column in self._inputs]
        self.kinds_ = {column.name: column.kind for column in self._inputs}
        self.classes_ = np.array(json.loads(metadata["classes"]))

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> NDArray[np.float32]:
        """Probabilities of rows.

        Parameters
        ----------
        rows : sequence of dict
            One dict per row, with a value for each of `columns_`: strings, numbers, bools, :mod:`datetime` objects or
            ISO 8601 text, lists, and None for a missing value. Each means what it means to the pipeline. Other keys
            are ignored.

        Returns
        -------
        ndarray of shape (n_rows, n_classes)
            Probabilities in the order of `classes_`.

        Raises
        ------
        ValueError
            If a row lacks a column, or a value is one that the pipeline refuses; the message names the column.
        TypeError
            If the rows aren't dicts.
        """
        if not len(rows):
            return self._no_rows()
        _check_dicts("rows", rows)
        return self._run(_tensors(self._inputs, rows))

    def score_candidates(
        self, context: Mapping[str, Any], candidates: Sequence[Mapping[str, Any]]
    ) -> NDArray[np.float32]:
        """Probabilities of the candidates of a request, such as items for a user; the context is looked up only once.

        Parameters
        ----------
        context : dict
            Values of the `columns_` that all candidates share, such as the user and the hour.
        candidates : sequence of dict
            One dict per candidate, with a value for each of the other `columns_`, of the same types as in a call. In
            both, keys other than `columns_` are ignored.

        Returns
        -------
        ndarray of shape (n_candidates, n_classes)
            Probabilities in the order of the candidates and of `classes_`.

        Raises
        ------
        ValueError
            If a column is neither in the context nor in a candidate, or is in both, or if a value is one that the
            pipeline refuses; the message names the column.
        """
        if not len(candidates):
            return self._no_rows()
        _check_dicts("candidates", candidates)
        shared = [column for column in self._inputs if column.name in context]
        own = [column for column in self._inputs if column.name not in context]
        names = {column.name for column in shared}
        if twice := next((names.intersection(row) for row in candidates if not names.isdisjoint(row)), None):
            raise ValueError(f"Column {min(twice)!r} is in the context and in a candidate: leave it out of one.")
        tensors = _tensors(shared, [context]) | _tensors(own, candidates)
        probabilities = self._run(tensors)
        # Without a column of their own, all candidates are the same row.
        return probabilities if own else probabilities.repeat(len(candidates), axis=0)

    def _no_rows(self) -> NDArray[np.float32]:
        return np.empty((0, len(self.classes_)), np.float32)

    def _run(self, tensors: dict[str, np.ndarray]) -> NDArray[np.float32]:
        try:
            probabilities: NDArray[np.float32] = self._session.run(["probabilities"], tensors)[0]
        except UnicodeEncodeError as error:
            column = next(name for name, tensor in tensors.items() if (tensor == error.object).any())
            raise ValueError(f"Column {column!r}: {error.object[:50]!r} is not valid text: {error.reason}.") from error
        return probabilities


def _check_dicts(name: str, rows: Any) -> None:
    """Refuse a table, which yields names of columns, and a single dict; a row of a database will do."""
    if not hasattr(next(iter(rows)), "keys"):
        raise TypeError(
            f"{name} is {type(rows).__name__}, and a predictor takes a list of dicts, one per row: give [row] for a "
            "single dict, or frame.to_dict('records') for a DataFrame. The pipeline's own predict_proba takes tables."
        )


def _tensors(columns: Sequence[Input], rows: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    try:
        return {column.name: column.tensor([row[column.name] for row in rows]) for column in columns}
    except KeyError as error:
        raise ValueError(f"A row has no column {error.args[0]!r}; give None where its value is missing.") from error


def make_predictor(model: Any) -> Predictor:
    """Make a fast function from plain dicts to probabilities, for servers.

    A few rows take a small fraction of the pipeline's time.

    Parameters
    ----------
    model : Pipeline, str or path-like
        A fitted pipeline of `CTREncoder` and a classifier, checked as by :func:`to_onnx`; or the path of a file that
        :func:`to_onnx` wrote, which doesn't need torch.

    Returns
    -------
    Predictor
        A function of a list of rows.

    Raises
    ------
    ValueError
        If part of the model can't be expressed in ONNX, and the message names the column and the remedy, or if the file
        is damaged.
    FileNotFoundError
        If there is no such file.
    ImportError
        If the extra `onnx` isn't installed.

    See Also
    --------
    to_onnx : Write the same graph to a file.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sk_finalmlp import CTREncoder, FinalMLPClassifier
    >>> from sk_finalmlp.serving import make_predictor
    >>> import pandas as pd
    >>> X = pd.DataFrame({"user": ["ann", "bob"] * 20, "hour": [3, 15, 15, 3] * 10})
    >>> model = make_pipeline(
    ...     CTREncoder(), FinalMLPClassifier(max_epochs=1, random_state=0)
    ... ).fit(X, [0, 1] * 20)
    >>> predict = make_predictor(model)
    >>> predict([{"user": "ann", "hour": 15}, {"user": "somebody else", "hour": None}]).shape
    (2, 2)
    """
    require_extra("onnxruntime")
    if isinstance(model, str | os.PathLike):
        return Predictor(make_session(os.fspath(model)))
    require_extra("onnx")
    from ._check import check
    from ._export import export

    exported = export(model)
    check(exported, model)
    return Predictor(make_session(exported.model.SerializeToString()))
