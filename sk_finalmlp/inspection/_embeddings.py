"""The vectors that a network has learned of the values of a field."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from ..estimators import FieldReader, FinalMLPClassifier, TableReader
from ..preprocessing import CTREncoder
from ..schema import UNKNOWN_CODE, Field, pretrained_name
from ._model import classifier_of, encoder_of, weighted_members_of


def embeddings(estimator: Any, field: str) -> pd.DataFrame:
    """The vector of each value of a field.

    Values that are shown to much the same users, and clicked by much the same of them, have similar vectors: the
    cosine of two vectors says how similar. As columns of a table they are features for any other model.

    Parameters
    ----------
    estimator : estimator
        A fitted classifier of this library, a pipeline that ends in one, or a search for one of both.
    field : str
        Name of a categorical or multi-valued field, such as `item` or `genres`; or `item@vector` for vectors that
        `CTREncoder(vectors=...)` was given, as the network projects them, of all ids that have one.

    Returns
    -------
    DataFrame of shape (n_values, n_members * embedding_dim)
        A row of float32 for each value that the network was trained on, in the order of the codes: the most frequent
        value of `CTREncoder` first. The index holds the values, and is named after the field; it holds codes where no
        `CTREncoder` in the pipeline knows the values, be it that the classifier stands alone or that the values were
        hashed. The columns are `item_0`, `item_1`, ...: the vectors of all networks of an ensemble side by side, the
        first network's `embedding_dim` numbers first.

    Raises
    ------
    ValueError
        If the network has no field of this name, or it has no vectors of its own: numbers, statistics, histories.
    TypeError
        If there is no classifier of this library.
    NotFittedError
        If it isn't fitted.

    Notes
    -----
    The vectors are the input of the streams (section 3.1 of the paper); gates that depend on a context field have
    a table of their own for it. Each network of an ensemble has axes of its own: compare two values by all columns, or
    by the columns of one network, but never the columns of two networks.

    Where ids have vectors from elsewhere, their projections are part of the ids' own.

    Values with few rows have short vectors, since `embedding_regularizer` outweighs the evidence of so few rows.

    References
    ----------
    Mao et al., "FinalMLP: An Enhanced Two-Stream MLP Model for CTR Prediction", AAAI 2023, section 3.1.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sk_finalmlp import CTREncoder, FinalMLPClassifier
    >>> from sk_finalmlp.datasets import make_click_data
    >>> from sk_finalmlp.inspection import embeddings
    >>> X, y, _ = make_click_data(1_000, n_items=10, random_state=0)
    >>> model = make_pipeline(
    ...     CTREncoder(), FinalMLPClassifier(max_epochs=2, random_state=0)
    ... ).fit(X, y)
    >>> vectors = embeddings(model, "item")
    >>> vectors.shape
    (10, 20)
    >>> X.join(vectors, on="item").columns[-1]
    'item_19'
    """
    classifier = classifier_of(estimator, of_several_labels=True)
    reader = _reader_of(classifier.table_reader_, field)
    encoder = encoder_of(estimator)
    values, codes = _values_and_codes(encoder, reader)
    rows = reader.row_of_code[codes]
    known = rows != UNKNOWN_CODE
    values, rows = values[known], rows[known]
    vectors = _look_up(classifier, field, rows)
    for other in classifier.table_reader_:
        if other.field.of == field and other.field.is_added:
            vectors += _look_up(classifier, other.field.name, _rows_of_vectors(encoder, other.field.name, values))
    return pd.DataFrame(
        vectors,
        index=pd.Index(values, name=field),
        columns=[f"{field}_{position}" for position in range(vectors.shape[1])],
    )


def _reader_of(readers: TableReader, name: str) -> FieldReader:
    coded = {
        reader.field.name: reader for reader in readers if reader.field.has_codes and reader.field.kind != "history"
    }
    if name not in coded:
        field = next((reader.field for reader in readers if reader.field.name == name), None)
        fact = "isn't a field of the network" if field is None else _why_no_vectors(field)
        raise ValueError(f"{name!r} {fact}; those with vectors are {list(coded)}.")
    if coded[name].is_replaced:
        raise ValueError(f"{name!r} has no embeddings of its own: ask for {pretrained_name(name)!r}.")
    return coded[name]


def _why_no_vectors(field: Field) -> str:
    if field.of:
        return f"is a history, which shares the vectors of {field.of!r}"
    return f"is of kind {field.kind!r}: its values have no vectors"


def _values_and_codes(encoder: CTREncoder | None, reader: FieldReader) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """Values of a field and their codes as the classifier gets them."""
    beyond = len(reader.row_of_code) - 1
    if encoder is None or reader.field.name not in encoder.categories_:
        codes = np.arange(beyond)
        return codes, codes
    values = encoder.categories_[reader.field.name]
    # Code 0 of the encoder is no value: it stands for all that are missing, unseen or rare.
    return values, np.minimum(np.arange(1, len(values) + 1), beyond)


def _rows_of_vectors(encoder: CTREncoder | None, field: str, values: NDArray[Any]) -> NDArray[np.intp]:
    """Which of its vectors each value has."""
    if encoder is None:
        raise ValueError(
            f"Vectors, {field!r}, are part of these embeddings, and only CTREncoder knows which value has which: give "
            "the pipeline of both."
        )
    return pd.Index(encoder.categories_[field]).get_indexer(pd.Index(values)) + 1


@torch.inference_mode()
def _look_up(classifier: FinalMLPClassifier, field: str, rows: NDArray[Any]) -> NDArray[np.float32]:
    members = [member for _, member in weighted_members_of(classifier)]
    layers = [layer for member in members for layer in member.embeddings]
    vectors = [layer.table[layer.first_row[field] + rows] for layer in layers if field in layer.first_row]
    pretrained = [vectors for layer in layers for vectors in layer.pretrained if vectors.field.name == field]
    vectors += [vectors_of(torch.from_numpy(rows).long().to(vectors_of.table.device)) for vectors_of in pretrained]
    return np.concatenate([of_layer.numpy(force=True) for of_layer in vectors], axis=1)
