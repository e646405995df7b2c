"""How a fitted classifier reads a table, for everything that looks at its network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._field_readers import FieldReader, read_matrices, split_matrix
from ._input_columns import read_columns, read_few_rows


class TableReader:
    """From a table to the two matrices that the network of a fitted classifier takes.

    A classifier has one as `table_reader_`. Iterating over it gives a `FieldReader` for each field.

    Parameters
    ----------
    classifier : FinalMLPClassifier or FunnelClassifier
        The fitted classifier, which knows the names of the columns.
    fields : sequence of FieldReader
        How each field is read, in the order of the table.

    Examples
    --------
    >>> from sk_finalmlp import FinalMLPClassifier
    >>> X, y = [[0, 3], [1, 3], [1, 4], [0, 4]], [0, 1, 1, 0]
    >>> clf = FinalMLPClassifier(early_stopping=False, max_epochs=1, random_state=0).fit(X, y)
    >>> [reader.field.n_codes for reader in clf.table_reader_]
    [3, 6]
    >>> codes, values = clf.table_reader_.read([[1, 4], [7, 3]])
    >>> codes
    array([[2, 5],
           [0, 4]], dtype=int32)
    """

    def __init__(self, classifier: Any, fields: Sequence[FieldReader]) -> None:
        self._classifier = classifier
        self._fields = list(fields)

    def __iter__(self) -> Iterator[FieldReader]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def read(self, X: Any) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Check a table and read it.

        Parameters
        ----------
        X : dataframe or array-like of shape (n_samples, n_features)
            Impressions with the columns of `fit`.

        Returns
        -------
        codes : ndarray of int32, shape (n_samples, n_code_columns)
            Codes of the categorical fields, then those of the multi-valued fields; 0 for a code that `fit` didn't see.
        values : ndarray of float32, shape (n_samples, n_values)
            Values of the numeric fields, then the statistics.

        Raises
        ------
        ValueError
            If the columns are others than in `fit`, or one of them can't be used; the message names it.
        """
        matrix = read_few_rows(self._classifier, X)
        matrices = None if matrix is None else split_matrix(self._fields, matrix)
        return matrices or read_matrices(self._fields, read_columns(self._classifier, X, reset=False))
