"""The public encoder: validation, the order of the steps, and scikit-learn's conventions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from numbers import Integral, Real
from os import PathLike
from typing import Any, ClassVar, Literal, Self

import joblib
import numpy as np
import pandas as pd
import pyarrow as pa
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_is_fitted

from .._checks import errors_about
from .._description import Parts as PartsOfState
from .._description import VersionedState
from .._hold_out import Fraction, packed, share_held_out
from .._sklearn import (
    AT_LEAST_ONE,
    BETWEEN_0_AND_1,
    CallbackSupportMixin,
    FittedSummary,
    Interval,
    InvalidParameterError,
    RealNotInt,
    StrOptions,
    Summary,
    check_feature_names_in,
    fit_context,
    fit_task,
    get_output_config,
    is_fitted,
)
from .._sources import (
    EncodedBatches,
    Parts,
    Passes,
    Source,
    TemporaryFolder,
    column_in_memory,
    is_source,
    naming_full_disk,
    open_source,
    refuse_source,
)
from .._warnings import shown
from ..schema import Field, Schema, carries_schema, column_names, pack_codes, write_schema
from ._choice import Combinations, Planner
from ._datetime import DATETIME_PARTS
from ._derived import DerivedFields
from ._description import PARTS, summarize
from ._fitted_columns import (
    FittedColumn,
    bind_histories,
    changes_of,
    check_fields,
    check_unique,
    encoder_after,
    fields_named,
    grow_columns,
    known_values,
    read_vectors_to_come,
    vector_tables,
)
from ._later_rows import Watch, date_parts
from ._learn_columns import ColumnRules, Kind, chosen_kinds, find_histories
from ._passes import ColumnsToRead
from ._table import (
    Selection,
    check_weights,
    is_frame,
    position_for,
    raw_columns,
    read_outputs,
    validate_table,
    without_columns,
    write_table,
    write_values,
)
from ._target import NoLabels, Target, held_out_in_time, read_more_labels
from ._times import check_tells_order
from ._training_rows import StoredRows, TableRows, TrainingRows, check_names_of_columns, names_to_encode
from ._vectors import check_vectors
from ._vocabulary import VocabularyRule

#: Codes on disk are int32, and row 0 of an embedding table comes on top.
_MOST_BUCKETS = 2**31 - 2
_SINGLE = (str, bool, int, float, type(None))
#: Parameters that an update reads itself, and those that make no difference to it.
_READ_BY_UPDATES = {"vectors", "decay", "n_jobs", "verbose"}
_NOT_IN_UPDATES = {"temp_folder", "random_state", "hold_out", "validation_fraction", "unknown_dropout"}
_SELECTION = [str, Integral, slice, "array-like", callable, None]


class CTREncoder(FittedSummary, CallbackSupportMixin, VersionedState, TransformerMixin, BaseEstimator):
    """Encode a raw table of impressions as the codes and floats that a CTR network reads.

    Each column is of one kind, inferred from its values in `fit` unless you choose it:

    - *categorical*: strings, categories, bools, and integers that repeat. A column of codes: 0 for a value that is
      missing, unseen in `fit` or too rare, 1, 2, ... for known ones by descending frequency, ties broken by value.
    - *numeric*: floats with a fractional part, durations (in seconds), and integers that rarely repeat or that the
      labels show to be quantities (see :ref:`statistics_in_full`). A column of floats, or of codes of bins.
    - *datetime*: dates and times. Codes of the hour, the weekday (0 is Monday) and whether it is the weekend, as
      columns `time_hour`, ..., and in large tables `time_elapsed`, the time since the first row, as floats. Dates
      written as strings are categorical unless named in `datetime`.
    - *multi-valued*: lists, and strings like "Action|Comedy". Columns of codes `genres@0`, `genres@1`, ..., padded
      with 0; unknown elements are left out.
    - *vector*: arrays of numbers with a fractional part, all of one length. Columns of floats `text@0`, `text@1`, ...,
      centred and divided by one common scale; zeros for a missing vector.
    - *history*, which must be named in `histories`. Columns of codes `history@item@0`, `history@item@1`, ..., the most
      recent first, padded with 0, which the network looks up in the embedding table of `item`.

    After these come columns derived from the codes: *feature crosses* such as `user & item`, on request, and, if `y`
    holds class labels, *target statistics*: `item@rate`, the smoothed click rate of each item, `item@count`, how often
    it occurs, and the same of combinations, such as `user & item@rate`. In `fit_transform` they are cross-fitted. See
    :ref:`encoding`.

    Parameters
    ----------
    categorical, numeric, multi_valued, datetime, vector : column selection, default=None
        Columns to treat as this kind, regardless of their values: a name, a position, a list of either, a slice, a
        boolean mask, or a callable that is given `X` and returns one of these, such as
        :class:`~sklearn.compose.make_column_selector`. The kinds of all other columns are inferred.
    drop : column selection, default=None
        Columns to leave out.
    vectors : dict, default=None
        Vectors of the ids in columns, such as embeddings of their texts, by the name or position of the column: a
        DataFrame of floats or a Series of arrays, indexed by id, or a tuple of ids and a matrix. The column gets a
        second column of codes, `item@vector` for `item`, and a pandas DataFrame carries the table to the classifier.
        See :ref:`vectors`.
    vectors_mode : {"sum", "replace", "sum-trained", "replace-trained"}, default="sum"
        "sum" adds the projected vector of an id to its own embedding, "replace" uses the vector only. "-trained" also
        trains a copy of the vectors, which takes longer and helps if each id has many rows.
    histories : dict of {str or int: str or int}, default=None
        Columns that hold histories, and the categorical column that each is a history of, by name or position:
        `{"liked": "item", "liked_genre": "genre"}`. A row has a list of values, the most recent last, as
        :func:`~sk_finalmlp.preprocessing.add_history` builds from a log. See :ref:`histories`.
    max_length : int or dict of {str or int: int}, default=None
        Largest number of output columns of a multi-valued column or a history, for all of them or by name or position
        of the column. Histories keep the last values, 50 by default, other lists the first known elements, all by
        default; never more columns than the longest list in `fit` needs.
    min_frequency : int or float, default=1
        Least number (int) or share (float) of rows for a value, or of occurrences for an element of lists, to get a
        code of its own. All rows count the same, regardless of their sample weights.
    max_categories : int, default=None
        Largest number of values per column that get codes of their own, the most frequent ones. `None` sets no limit.
    n_hash_buckets : int, default=None
        Number of codes to hash the values of categorical and multi-valued columns into, in place of `min_frequency`
        and `max_categories`; only missing values have code 0 then.
    numeric_encoding : {"normal", "standard", "bins", "log"}, default="normal"
        How numeric columns are encoded. `fit` ignores missing and infinite values; they become 0.

        - "normal": the quantile of the normal distribution at the value's rank among the values of `fit`,
          standardised, as float32, so that neither outliers nor dense regions are hard to learn from.
        - "standard": deviation from the mean in standard deviations, clipped to [-10, 10], as float32.
        - "bins": codes of quantile bins 1, 2, ...; bins that would hold the same values are merged.
        - "log": codes of the buckets used on the Criteo data: floor(ln(x)^2) for x > 2, otherwise x cut to an
          integer. Rare buckets are unknown, as for a categorical column.
    n_bins : int, default=32
        Largest number of bins of `numeric_encoding="bins"`.
    separator : str, default="auto"
        Separator of the elements of multi-valued strings, which are read without the white space around them. "auto"
        looks for "|", and in columns named in `multi_valued` for the first of "|", ";", "," and space that occurs. A
        column is inferred as multi-valued if a tenth of its distinct strings contain the separator and their elements
        occur 1.5 times each on average.
    datetime_parts : "auto" or list of {"hour", "weekday", "weekend", "elapsed", "day", "month"}, default="auto"
        Parts of datetimes to encode. "auto": the hour if the rows span at least 24 hours; weekday, weekend and, from
        50,000 rows on, the elapsed time if they span 7 days. The last fifth of the rows of `fit` and all later ones
        have the same elapsed time, and so have some earlier training rows (see :ref:`encoding`).
    crosses : None, "auto" or list of tuple of (str or int), default=None
        Combinations of fields that get codes of their own, like the values of a column; code 0 if any of the fields
        has code 0. Refer to a field by the name or position of its column, or by its own name if a datetime makes
        several (`time_hour`). "auto" takes the pairs that get a rate by `statistics="auto"`, with codes for at most
        100,000 combinations of 5 rows or more.
    statistics : None, "auto" or list of (str, int or tuple of these), default="auto"
        Fields and combinations of fields that get a rate and a count. With 1,000 rows or more and class labels, "auto"
        chooses single fields and pairs by their gain in predicting `y` (see :ref:`statistics_in_full`), else none;
        `statistics_` lists the choice. `None`: plain codes.
    validation_fraction : float or "auto", default="auto"
        Share of the rows held out of the statistics of all other rows in `fit_transform`, because the classifier
        holds them out for early stopping: at least its `validation_fraction`. "auto" takes a tenth, at random about
        10,000 rows at most.
    hold_out : {"random", "last"} or the name of a column, default="random"
        Which rows to hold out: pseudo-random ones, the table's last ones, or the ones with the largest dates, times or
        numbers in a column, which may be in `drop` (a missing one is the smallest). Rows of one time stay together, so
        that none knows the labels of another; rows without weight don't count. A pandas DataFrame or encoded rows on
        disk tell the classifier, which holds out the same rows. Hold out the last rows if the model will be used on
        later ones: all statistics of training rows are walk-forward then. See :ref:`tomorrow`.
    order : {"auto", "rows"}, the name of a column or None, default="auto"
        What tells the order of the rows in time, by which a part of them gets walk-forward statistics: the rows
        themselves, or a column of dates, times or numbers. "auto" takes what `hold_out` names; else the column of
        datetimes that tells when a row occurred, if there is one; else the rows, if many more of the last ones have new
        values than in a random order. `feature_kinds_` tells what was found. None: no order. See :ref:`tomorrow`.
    half_life : dict of {str: str or float}, default=None
        A column of times, and the age at which a row counts half in the statistics of `fit`: `{"time": "7D"}`, or
        `{"day": 7}` for a column of numbers. A row without a time counts as the oldest. None: all rows count alike.
        Rows in files don't support it.
    decay : float, default=0.9
        Factor, between 0 and 1, for the weight of a value's earlier rows in its rate and count when :meth:`partial_fit`
        brings new ones, and for the counts that decide which values `max_categories` evicts.
    unknown_dropout : float, default=0.0
        For each field, the share of training rows, in [0, 1), that get the statistics of an unseen value, for the field
        and combinations with it. It helps if many ids or combinations are new in later rows.
    random_state : int, RandomState instance or None, default=0
        Draws the folds of the statistics and the sample for "auto". With an integer, two fits to the same rows agree.
    temp_folder : str or path, default=None
        Folder for temporary files of an out-of-core fit; None for the system's folder. Workers on other machines must
        share it.
    n_jobs : int or None, default=None
        Number of joblib workers that read and encode the files of an out-of-core fit; None for 1, or as in
        `joblib.parallel_config`. Results don't depend on it.
    verbose : int, default=0
        For an out-of-core fit: 0 is silent; 1 writes a line after each pass over the rows; 2 or more draws a progress
        bar for each pass, with the time left (needs rich).

    Attributes
    ----------
    feature_kinds_ : pandas.DataFrame
        For each input column (the index): `kind`, `why`, `n_missing` (values missing in `fit`), `n_codes` (of all its
        fields, code 0 included) and `n_columns` (of the output).
    statistics_ : pandas.DataFrame
        For each field and pair (the index) considered for target statistics, and for each field with statistics of
        recent rows: `rate` and `count` (whether they are made), `gain` (decrease of the log-loss by the rate),
        `coefficient` (of the rate, in a logistic regression) and `why`.
    fields_ : list of Field
        The fields of the output in order, ready for a network built by hand.
    cardinalities_ : dict of {str: int}
        Number of codes, code 0 included, of each field that has codes.
    categories_ : dict of {str: ndarray}
        Known values of each field with codes for values: code k is value k - 1.
    n_features_in_ : int
        Number of columns seen during `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns seen during `fit`, if all of them are strings.

    See Also
    --------
    sklearn.preprocessing.OrdinalEncoder : Codes by the order of values, for categorical columns only.
    sklearn.preprocessing.TargetEncoder : Smoothed means of the target, of single columns.
    sklearn.compose.ColumnTransformer : Different parameters for different columns. Codes stay codes only with
        `set_output(transform="pandas")`: an array of codes and floats would make quantities of the codes.

    Notes
    -----
    Encode training rows with `fit_transform`, as a :class:`~sklearn.pipeline.Pipeline` does, never with
    `fit(X, y).transform(X)`: there, a rate knows the row's own label, and a model that trusts it fails on new rows.
    See :ref:`fit_transform`.

    `X` can be rows of files that memory doesn't hold, and `y` and `sample_weight` names of their columns: a `pyarrow`
    data set or `RecordBatchReader`, the name of a Parquet file or folder or of several files (`clicks/*.parquet`), a
    polars LazyFrame, a function that gives frames and begins anew in each call, or, if `y` is a name, a
    `pyarrow.Table`. See :ref:`larger_than_memory`.

    Examples
    --------
    >>> import pandas as pd
    >>> from sk_finalmlp.preprocessing import CTREncoder
    >>> X = pd.DataFrame(
    ...     {
    ...         "user": [7, 7, 12, 7],
    ...         "genres": ["Action|Comedy", "Comedy", "Drama|Action", "Drama"],
    ...         "price": [1.5, 2.5, None, 3.5],
    ...     }
    ... )
    >>> encoder = CTREncoder().fit(X)
    >>> encoder.feature_kinds_["kind"].to_dict()
    {'user': 'categorical', 'genres': 'multi-valued', 'price': 'numeric'}
    >>> print(encoder.feature_kinds_.loc["user", "why"])
    integers that repeat: 2 distinct of 4
    >>> encoder.transform(X)
       user  genres@0  genres@1     price
    0     1         1         2 -1.224745
    1     1         2         0  0.000000
    2     2         3         1  0.000000
    3     1         3         0  1.224745
    >>> encoder.cardinalities_
    {'user': 3, 'genres': 4}

    With labels, and columns or combinations to watch:

    >>> encoder = CTREncoder(crosses=[("user", "item")], statistics=["item", ("user", "item")])
    >>> X = pd.DataFrame({"user": [1, 1, 2, 2] * 5, "item": ["a", "b", "b", "b"] * 5})
    >>> out = encoder.fit_transform(X, y=[1, 0, 0, 1] * 5)
    >>> list(out.columns)[2:]
    ['user & item', 'item@rate', 'item@count', 'user & item@rate', 'user & item@count']
    """

    feature_kinds_: pd.DataFrame
    feature_names_in_: np.ndarray
    n_features_in_: int
    statistics_: pd.DataFrame
    #: The schema of new rows: at most one, made on demand, since it hashes all that is learned; a list, so that
    #: `transform` doesn't set an attribute.
    _schema: list[Schema]
    #: That hash in an encoder that was saved: a later version may describe the same otherwise, and would hash that.
    _learned: str | None = None
    #: What scikit-learn's `set_output` keeps.
    _sklearn_output_config: dict[str, str]

    #: Two or more classes, where statistics might be made.
    _classes: Any = None
    #: Whether these are names of several columns of labels.
    _has_tasks: bool = False
    _n_rows: int | None = None
    #: The single values among the parameters of `fit`, which an update can't change.
    _given: dict[str, Any]
    #: Columns of labels and weights that `fit` was given by name; new rows may have them, too.
    _names_of_labels: tuple[str, ...] = ()
    _columns: list[FittedColumn]
    _derived: DerivedFields
    _fields: list[Field]

    _parts: ClassVar[PartsOfState] = PARTS

    _parameter_constraints: ClassVar[dict[str, list[Any] | str]] = {
        "categorical": _SELECTION,
        "numeric": _SELECTION,
        "multi_valued": _SELECTION,
        "datetime": _SELECTION,
        "vector": _SELECTION,
        # A message of scikit-learn would hold the whole frame that was given in place of a dict.
        "vectors": "no_validation",
        "vectors_mode": [StrOptions({"sum", "replace", "sum-trained", "replace-trained"})],
        "drop": _SELECTION,
        "histories": [dict, None],
        "max_length": [AT_LEAST_ONE, dict, None],
        "min_frequency": [AT_LEAST_ONE, Interval(RealNotInt, 0, 1, closed="neither")],
        "max_categories": [AT_LEAST_ONE, None],
        "n_hash_buckets": [Interval(Integral, 1, _MOST_BUCKETS, closed="both"), None],
        "numeric_encoding": [StrOptions({"normal", "standard", "bins", "log"})],
        "n_bins": [Interval(Integral, 2, None, closed="left")],
        "separator": [str],
        "datetime_parts": [list, tuple, StrOptions({"auto"})],
        "crosses": [list, tuple, StrOptions({"auto"}), None],
        "statistics": [list, tuple, StrOptions({"auto"}), None],
        "validation_fraction": [BETWEEN_0_AND_1, StrOptions({"auto"})],
        "hold_out": [str],
        "order": [str, None],
        "half_life": [dict, None],
        "decay": [Interval(Real, 0, 1, closed="both")],
        "unknown_dropout": [Interval(Real, 0, 1, closed="left")],
        "random_state": ["random_state"],
        "temp_folder": [str, PathLike, None],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        *,
        categorical: Selection = None,
        numeric: Selection = None,
        multi_valued: Selection = None,
        datetime: Selection = None,
        vector: Selection = None,
        vectors: Mapping[str | int, Any] | None = None,
        vectors_mode: Literal["sum", "replace", "sum-trained", "replace-trained"] = "sum",
        drop: Selection = None,
        histories: Mapping[str | int, str | int] | None = None,
        max_length: int | Mapping[str | int, int] | None = None,
        min_frequency: float = 1,
        max_categories: int | None = None,
        n_hash_buckets: int | None = None,
        numeric_encoding: str = "normal",
        n_bins: int = 32,
        separator: str = "auto",
        datetime_parts: Literal["auto"] | Sequence[str] = "auto",
        crosses: Combinations = None,
        statistics: Combinations = "auto",
        validation_fraction: Fraction = "auto",
        hold_out: str = "random",
        order: str | None = "auto",
        half_life: Mapping[str | int, str | float] | None = None,
        decay: float = 0.9,
        unknown_dropout: float = 0.0,
        random_state: int | np.random.RandomState | None = 0,
        temp_folder: str | PathLike[str] | None = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.categorical = categorical
        self.numeric = numeric
        self.multi_valued = multi_valued
        self.datetime = datetime
        self.vector = vector
        self.vectors = vectors
        self.vectors_mode = vectors_mode
        self.drop = drop
        self.histories = histories
        self.max_length = max_length
        self.min_frequency = min_frequency
        self.max_categories = max_categories
        self.n_hash_buckets = n_hash_buckets
        self.numeric_encoding = numeric_encoding
        self.n_bins = n_bins
        self.separator = separator
        self.datetime_parts = datetime_parts
        self.crosses = crosses
        self.statistics = statistics
        self.validation_fraction = validation_fraction
        self.hold_out = hold_out
        self.order = order
        self.half_life = half_life
        self.decay = decay
        self.unknown_dropout = unknown_dropout
        self.random_state = random_state
        self.temp_folder = temp_folder
        self.n_jobs = n_jobs
        self.verbose = verbose

    @fit_context
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Infer the kind of each column, and learn to encode it.

        Encode the rows themselves with :meth:`fit_transform`, not with :meth:`transform`, if there are statistics.

        Parameters
        ----------
        X : {dataframe, array-like} of shape (n_samples, n_features), or rows that are read in batches
            The raw table.
        y : array-like of shape (n_samples,), or str, default=None
            Labels of the rows, or the name of their column, for statistics. Without them, or if they are no class
            labels but numbers, `statistics="auto"` makes none.
        sample_weight : array-like of shape (n_samples,), or str, default=None
            Non-negative weights, or the name of their column, each 0 or between 1e-100 and 1e100: a row of weight 2
            counts like two rows in means, quantiles and statistics, a row of weight 0 not at all. Kinds and codes
            depend on which rows have weight, not on the weights, except where labels show integers to be quantities.

        Returns
        -------
        self : CTREncoder
            The fitted encoder.
        """
        with self._training_rows(X, y, sample_weight, transforms=False) as rows:
            self._learn_derived(rows, self._learn_columns(rows))
        return self

    @fit_context
    def fit_transform(self, X: Any, y: Any = None, sample_weight: Any = None) -> Any:
        """Fit, and encode the training table with statistics that are cross-fitted.

        Statistics of a row are learned from the rows of other folds, so that they don't give away its own label.
        This differs from `fit(X, y).transform(X)`: see the Notes of the class.

        Parameters
        ----------
        X : {dataframe, array-like} of shape (n_samples, n_features), or rows that are read in batches
            The raw table.
        y : array-like of shape (n_samples,), or str, default=None
            Labels of the rows, or the name of their column.
        sample_weight : array-like of shape (n_samples,), or str, default=None
            Non-negative weights, as in :meth:`fit`.

        Returns
        -------
        X_out : {dataframe, ndarray} of shape (n_samples, n_features_out), or encoded rows on disk
            What :meth:`transform` returns, but for the statistics.
        """
        with self._training_rows(X, y, sample_weight, transforms=True) as rows:
            outputs = self._learn_columns(rows)
            outputs |= self._learn_derived(rows, outputs)
            make_schema = partial(self._schema_of_training_rows, rows)
            return rows.write(self._fields, outputs, make_schema, self._library())

    @contextmanager
    def _training_rows(self, X: Any, y: Any, sample_weight: Any, transforms: bool) -> Iterator[TrainingRows]:
        """Open the rows to fit to, and perhaps to encode; after an error the encoder is as before, and no file left."""
        planner = Planner(
            self.crosses,
            self.statistics,
            VocabularyRule(self.min_frequency, self.max_categories, self.n_hash_buckets),
            self.validation_fraction,
            check_random_state(self.random_state),
            self.hold_out,
            self.order,
            transforms,
        )
        if isinstance(y, str) and is_frame(X) and not is_source(X, y):
            # A frame with named labels is read like a file.
            X = partial(iter, [X])
        if is_source(X, y):
            check_names_of_columns(y, sample_weight)
            self._check_fits_files()
            folder = TemporaryFolder(self.temp_folder)
            with naming_full_disk(folder), fit_task(self, X=X, y=y):
                yield self._stored_rows(open_source(X, folder), y, sample_weight, folder, planner)
                if not transforms:
                    folder.remove()
        else:
            with fit_task(self, X=X, y=y):
                yield self._table_rows(X, y, sample_weight, planner)

    def _table_rows(self, X: Any, y: Any, sample_weight: Any, planner: Planner) -> TableRows:
        self._names_of_labels = ()
        X = validate_table(self, X, reset=True)
        names = check_feature_names_in(self)
        weights = check_weights(sample_weight, X)
        chosen = self._chosen_kinds(X, names)
        return TableRows(X, names, chosen, y, weights, self.half_life, planner)

    def _stored_rows(
        self,
        source: Source,
        label: str | None,
        weight: str | None,
        folder: TemporaryFolder,
        planner: Planner,
    ) -> StoredRows:
        names = names_to_encode(source, label, weight)
        self._names_of_labels = tuple(name for name in (label, weight) if name is not None)
        self.feature_names_in_, self.n_features_in_ = np.asarray(names, dtype=object), len(names)
        chosen = self._chosen_kinds(source.empty(names), names)
        if planner.told_order is not None and planner.told_order.column is not None:
            check_tells_order(planner.told_order, names)
        columns = ColumnsToRead(
            names, chosen, label, weight, planner.told_order, is_hashed=self.n_hash_buckets is not None
        )
        parts, passes = Parts(source, self.n_jobs), Passes(int(self.verbose))
        return StoredRows(parts, columns, folder, passes, planner)

    def _check_fits_files(self) -> None:
        """Refuse parameters that rows in files can't have."""
        self._check_default_container()
        if self.half_life is not None:
            raise ValueError(
                f"half_life={dict(self.half_life)!r}: rows that are read in batches count alike in statistics. Fit to "
                "a table in memory, X and y apart, or give a column of weights by age as sample_weight."
            )

    def _check_default_container(self) -> None:
        if (asked := self._library()) != "default":
            raise ValueError(
                f"transform={asked!r} is asked for by set_output or set_config, but rows that are read in batches fit "
                "in no such table. Call set_output(transform='default')."
            )

    def _library(self) -> str:
        """Return the container that `set_output` or `set_config` asks for."""
        return get_output_config("transform", self)["dense"]

    def _learn_columns(self, rows: TrainingRows) -> dict[str, Any]:
        """Learn to encode each column alone, and return the output columns that are needed."""
        self._schema, self._learned = [], None
        targets = find_histories(self.histories, rows.names)
        rules = self._column_rules(rows.names, rows.planner.rule)
        self._columns, self.feature_kinds_ = rows.learn(targets, rules)
        return rows.encode(self._columns)

    def _learn_derived(self, rows: TrainingRows, outputs: Mapping[str, Any]) -> dict[str, Any]:
        """Choose and learn crosses and statistics, and return their columns of these rows if asked for."""
        fields_of = {column.name: column.fields() for column in self._columns}
        check_fields([field for fields in fields_of.values() for field in fields], self.feature_kinds_)
        codes, target, n_rows = rows.sample(outputs)
        dates = {part for column in self._columns for part in date_parts(column.name, column.encoder)}
        self._derived, self.statistics_ = rows.planner.plan(fields_of, codes, target, dates, n_rows)
        columns = rows.derive(self._derived, outputs, self.unknown_dropout)
        for name, report in rows.reports.items() if self._derived.needs_labels else ():
            self.feature_kinds_.loc[name, "why"] = f"{self.feature_kinds_['why'][name]}{report}"
        self._classes = None if isinstance(rows.target, NoLabels) else rows.target.classes
        self._has_tasks = isinstance(rows.target, Target) and rows.target.has_tasks
        self._n_rows = rows.n_rows
        self._given = self._parameters_of_fit()
        self._fields = self._output_fields(rows.names)
        check_unique(self._fields)
        return columns

    def _chosen_kinds(self, X: Any, names: Sequence[str]) -> dict[int, Kind]:
        """Return the kinds of the columns that the user has chosen, by position; those with vectors hold ids."""
        chosen = chosen_kinds(vars(self), X, names)
        for position in self._given_vectors_at(names):
            if chosen.setdefault(position, "categorical") != "categorical":
                raise ValueError(
                    f"Column {names[position]!r} is chosen as {chosen[position]}, and its values have `vectors`, as "
                    "ids do: choose one."
                )
        return chosen

    def _given_vectors_at(self, names: Sequence[str]) -> dict[int, Any]:
        """Return what `vectors` holds, by the position of the column."""
        if not isinstance(self.vectors, Mapping | None):
            raise TypeError(
                f"vectors is of type {type(self.vectors).__name__}. Give a dict from the names of columns to the "
                "vectors of their values, as in vectors={'item': frame}."
            )
        return {position_for("vectors", key, names): given for key, given in (self.vectors or {}).items()}

    def _column_rules(self, names: Sequence[str], vocabulary: VocabularyRule) -> ColumnRules:
        if self.separator == "":
            raise InvalidParameterError(
                "The 'separator' parameter of CTREncoder must not be empty. Give what stands between the elements, "
                "such as '|', or 'auto'."
            )
        vectors = self._given_vectors_at(names).items()
        return ColumnRules(
            vocabulary,
            self.numeric_encoding,
            self.n_bins,
            None if self.separator == "auto" else self.separator,
            self._max_length(names),
            self._datetime_parts(),
            {names[position]: check_vectors(names[position], given) for position, given in vectors},
            self.vectors_mode,
        )

    def _max_length(self, names: Sequence[str]) -> Mapping[str, int]:
        """Return the largest number of output columns of lists, by the name of the column, where there is a limit."""
        if not isinstance(self.max_length, Mapping):
            return {} if self.max_length is None else dict.fromkeys(names, self.max_length)
        wrong = next((n for n in self.max_length.values() if not isinstance(n, Integral) or n < 1), None)
        if wrong is not None:
            raise InvalidParameterError(
                "The 'max_length' parameter of CTREncoder must be integers of at least 1, for all lists or by column. "
                f"Got {wrong!r} instead."
            )
        return {names[position_for("max_length", key, names)]: n for key, n in self.max_length.items()}

    def _datetime_parts(self) -> list[str] | None:
        """Return the parts of datetimes that the user asks for, None for "auto"."""
        if isinstance(self.datetime_parts, str) and self.datetime_parts == "auto":
            return None
        parts = list(dict.fromkeys(self.datetime_parts))
        if not parts or not set(parts) <= set(DATETIME_PARTS):
            raise InvalidParameterError(
                "The 'datetime_parts' parameter of CTREncoder must be 'auto' or one or more names among "
                f"{list(DATETIME_PARTS)}. Got {self.datetime_parts!r} instead. To leave a datetime out, name its "
                "column in `drop`."
            )
        return parts

    def transform(self, X: Any) -> Any:
        """Encode a table, with statistics of all training rows.

        Parameters
        ----------
        X : {dataframe, array-like} of shape (n_samples, n_features), or rows that are read in batches
            A raw table with the columns seen in `fit`; in files there can be others beside them. Values that `fit`
            didn't see have code 0.

        Returns
        -------
        X_out : {dataframe, ndarray} of shape (n_samples, n_features_out)
            Codes as int64, numbers and statistics as float32.

        Raises
        ------
        ValueError
            If a value of a numeric column is no number, or one of a datetime column no date, or if it can't be read
            as `fit` read the column: times with a time zone where it saw none, ids that floats have rounded.
        TypeError
            If a column holds what no column can hold, or lists, times or numbers where `fit` saw none.
        """
        check_is_fitted(self)
        if is_source(X):
            return self._encode_source(X)
        watch = self._watch()
        encoded = self._encode_table(X, watch)
        watch.warn()
        return encoded

    def _encode_table(self, X: Any, watch: Watch) -> Any:
        X = validate_table(self, without_columns(X, self._names_of_labels), reset=False)
        encoded = write_table(self._encode(raw_columns(X), watch), self._fields, X, self._library())
        # The schema takes a hash of all that is learned.
        return write_schema(encoded, self._schema_of_new_rows()) if carries_schema(encoded) else encoded

    def _encode_as_served(self, X: Any) -> Any:
        """Encode rows before an update, which needs no warning of unknown ones."""
        return self._encode_table(X, self._watch())

    def _watch(self) -> Watch:
        rare = {part: values for column in self._columns for part, values in column.rare_dates.items()}
        return Watch(rare, expects_later_rows=self.hold_out != "random")

    def _encode(self, raws: Iterable[Any], watch: Watch) -> Iterator[tuple[str, np.ndarray]]:
        """Yield the output columns of a table, from one column at a time."""
        codes: dict[str, np.ndarray] = {}
        for column, raw in zip(self._columns, raws, strict=True):
            if column.encoder is not None:
                values = column.read(raw)
                outputs = column.encode(values)
                watch.look(column.encoder, values, list(outputs.values()))
                codes |= outputs
                yield from outputs.items()
        yield from self._derived.transform(codes)

    def _encode_source(self, X: Any) -> EncodedBatches:
        """Return rows that are encoded as they are read."""
        self._check_default_container()
        source = open_source(X)
        missing = [column.name for column in self._columns if column.name not in source.names]
        if missing:
            raise ValueError(f"X has no column {missing[0]!r}, which fit saw. It has {source.names}.")
        return EncodedBatches(partial(self._encode_batches, source), partial(column_in_memory, source))

    def _encode_batches(self, source: Source) -> Iterator[pd.DataFrame]:
        used = [column.name for column in self._columns if column.encoder is not None]
        watch = self._watch()
        for batch in source.batches(used):
            raws = (batch.table[column.name] if column.encoder else None for column in self._columns)
            with errors_about(batch.where):
                outputs = dict(self._encode(raws, watch))
            yield write_schema(pd.DataFrame(outputs, copy=False), self._schema_of_new_rows())
        watch.warn()

    def _schema_of_new_rows(self) -> Schema:
        if not self._schema:
            learned = self._learned or joblib.hash((self._columns, self._derived))
            self._schema.append(Schema(tuple(self._fields), learned, vector_tables(self._columns), self._n_rows))
        return self._schema[0]

    def _schema_of_training_rows(self, rows: TrainingRows) -> Schema:
        held_out = None
        if rows.holds_out_last and not (rows.order is None or rows.order.is_of_numbers):
            place = rows.order.place
            held_out = packed(held_out_in_time(place, self.validation_fraction, rows.target, rows.n_rows))
        return replace(
            self._schema_of_new_rows(),
            n_rows=rows.n_rows,
            validation_fraction=share_held_out(self.validation_fraction, rows.n_rows, self.hold_out == "random"),
            hold_out=self.hold_out,
            held_out=held_out,
            hindsight=rows.order is not None and not rows.holds_out_last and self._derived.needs_labels,
            new_ids=rows.share_of_new_ids,
        )

    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Learn more rows, such as a new day; the first call is a `fit`.

        Known values keep their codes, and new ones get the next codes once they have occurred `min_frequency` times in
        all rows so far. Beyond `max_categories`, values with the lowest counts are evicted, and new ones take their
        codes. Rates and counts learn the labels; earlier rows lose weight by `decay`. Ids that have come to `vectors`
        since, by `set_params(vectors=...)`, have their vectors from now on. All else stays as `fit` found it.

        The classifier must learn from the same rows: use :func:`sk_finalmlp.update`, or :meth:`partial_fit_transform`
        and the classifier's `partial_fit`.

        Parameters
        ----------
        X : {dataframe, array-like} of shape (n_samples, n_features)
            The rows, with the columns of `fit`.
        y : array-like of shape (n_samples,), default=None
            Their labels; `fit` has to have seen each. Needed where there are statistics.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights, as in :meth:`fit`.

        Returns
        -------
        self : CTREncoder
            The encoder of all rows so far. After an error it is as it was before.

        Raises
        ------
        ValueError
            If a parameter has changed since `fit`.
        """
        if not is_fitted(self):
            return self.fit(X, y, sample_weight)
        self._grow_and_tell(X, y, sample_weight)
        return self

    def partial_fit_transform(self, X: Any, y: Any = None, sample_weight: Any = None) -> Any:
        """Learn more rows, and encode them as the classifier should learn from them.

        New values have their new codes. Statistics come from the rows before, so that they don't give away the labels
        of these: this differs from `partial_fit(X, y).transform(X)`. The first call is a `fit_transform`.

        Parameters
        ----------
        X : {dataframe, array-like} of shape (n_samples, n_features)
            The rows, with the columns of `fit`.
        y : array-like of shape (n_samples,), default=None
            Their labels, as in :meth:`partial_fit`.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights, as in :meth:`fit`.

        Returns
        -------
        X_out : {dataframe, ndarray} of shape (n_samples, n_features_out)
            The encoded rows.

        Examples
        --------
        >>> import pandas as pd
        >>> from sk_finalmlp.preprocessing import CTREncoder
        >>> encoder = CTREncoder().fit(pd.DataFrame({"user": ["ann", "bob", "ann"]}))
        >>> encoder.partial_fit_transform(pd.DataFrame({"user": ["eve", "ann"]}))["user"].tolist()
        [3, 1]
        >>> encoder.categories_["user"].tolist()
        ['ann', 'bob', 'eve']
        """
        if not is_fitted(self):
            return self.fit_transform(X, y, sample_weight)
        return self._grow_and_tell(X, y, sample_weight)

    def _grow_and_tell(self, X: Any, y: Any, sample_weight: Any) -> Any:
        """Learn more rows, where the table alone can tell the classifier which codes have changed."""
        before, vectors = dict(vars(self)), vector_tables(self._columns)
        encoded, schema = self._grow(X, y, sample_weight)
        if carries_schema(encoded) or not (schema.fresh or schema.vectors != vectors):
            return encoded
        self.__dict__ = before
        change = "`vectors` has more ids than before"
        if schema.fresh:
            names = sorted(schema.fresh)
            change = f"max_categories={self.max_categories} makes codes of {names} stand for other values than before"
        raise ValueError(
            f"{change}, and only a pandas DataFrame can tell the classifier so. Call set_output(transform='pandas') "
            "before fit, or update the pipeline by sk_finalmlp.update."
        )

    @fit_context
    def _grow(self, X: Any, y: Any, sample_weight: Any) -> tuple[Any, Schema]:
        """Learn more rows, and return them as the classifier should learn from them, and their schema."""
        check_is_fitted(self)
        refuse_source(X)
        if self._has_tasks:
            raise ValueError(
                f"This encoder was fitted to several labels, {shown(self._classes.tolist())}, and keeps no sums of "
                "them that could go on. Fit it again to all rows, or take an encoder and a classifier for each label."
            )
        self._check_same_parameters()
        with fit_task(self, X=X, y=y):
            X = validate_table(self, X, reset=False)
            weights = check_weights(sample_weight, X)
            labels = read_more_labels(y, X, weights, self._classes) if self._derived.needs_labels else None
            before = self._schema_of_new_rows().encoder
            vectors = read_vectors_to_come(self._columns, self._given_vectors_at(check_feature_names_in(self)))
            columns, outputs, fresh = grow_columns(self._columns, raw_columns(X), weights, vectors, self.decay)
            fields = [field for column in columns for field in column.fields()]
            derived, more, of_crosses = self._derived.grow(
                outputs, weights, labels, changes_of(fields, fresh, self.decay)
            )
            outputs |= more
            self._columns, self._derived = columns, derived
            self._fields = self._output_fields(check_feature_names_in(self))
            self.feature_kinds_ = self.feature_kinds_.assign(n_codes=[column.n_codes for column in columns])
            self._schema, self._learned = [], encoder_after(before, outputs, labels)
            codes = {name: pack_codes(own) for name, own in {**fresh, **of_crosses}.items() if len(own)}
            schema = replace(self._schema_of_new_rows(), previous=before, fresh=codes)
            encoded = write_table(iter(outputs.items()), self._fields, X, self._library())
            return write_schema(encoded, schema), schema

    def _parameters_of_fit(self) -> dict[str, Any]:
        """Return the parameters that decide what `fit` finds, as far as they are single values."""
        free = _READ_BY_UPDATES | _NOT_IN_UPDATES
        parameters = self.get_params(deep=False).items()
        return {name: value for name, value in parameters if name not in free and isinstance(value, _SINGLE)}

    def _check_same_parameters(self) -> None:
        now = self._parameters_of_fit()
        changed = dict(sorted(self._given.items() - now.items()))
        if changed:
            raise ValueError(
                f"An update keeps what fit has found, but these parameters have changed since: {list(changed)}. Set "
                f"them to what they were, {changed}, or fit the encoder again."
            )

    def inverse_transform(self, X: Any) -> Any:
        """Turn codes back into values.

        Code 0 becomes a missing value. Normal scores and standardised values come back but for rounding, interpolation
        and clipping, binned ones as the mean of their bin and logarithmic buckets as their lower bound. Datetimes,
        hashed and dropped columns can't be brought back: all their values are missing. Crosses and
        statistics are ignored.

        Parameters
        ----------
        X : {dataframe, array-like} of shape (n_samples, n_features_out)
            A table as :meth:`transform` returns it.

        Returns
        -------
        X_original : {dataframe, ndarray} of shape (n_samples, n_features)
            Values in the container of `X`, under the names of the columns seen in `fit`.
        """
        check_is_fitted(self)
        # Crosses and statistics come last and aren't read.
        outputs = iter(read_outputs(X, list(self.get_feature_names_out())))
        values = {
            column.name: column.decode(outputs) if column.encoder and column.fields() else pa.nulls(len(X))
            for column in self._columns
        }
        return write_values(values, X)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the output columns.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the input columns, by default those seen in `fit`, or x0, x1, ... if it saw none.

        Returns
        -------
        feature_names_out : ndarray of str objects
            The names.
        """
        check_is_fitted(self)
        names = check_feature_names_in(self, input_features)
        return np.asarray(column_names(self._output_fields(names)), dtype=object)

    @property
    def fields_(self) -> list[Field]:
        """The fields of the output in order."""
        check_is_fitted(self)
        return list(self._fields)

    def _output_fields(self, names: Sequence[str]) -> list[Field]:
        """Return the fields of the output, for columns of these names."""
        learned = [field for column in self._columns for field in column.fields()]
        plain = fields_named(self._columns, names)
        new_names = {old.name: new.name for old, new in zip(learned, plain, strict=True)}
        new_names |= dict(zip(column_names(learned), column_names(plain), strict=True))
        return plain + self._derived.output_fields(new_names)

    @property
    def cardinalities_(self) -> dict[str, int]:
        """Number of codes, code 0 included, of each field that has codes."""
        return {field.name: field.n_codes for field in self.fields_ if field.has_codes}

    @property
    def categories_(self) -> dict[str, np.ndarray]:
        """Known values of each field with codes for values."""
        check_is_fitted(self)
        return known_values(self._columns)

    def _summaries(self) -> list[Summary]:
        return summarize(self.feature_kinds_, self.statistics_, self.categories_)

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        if hasattr(self, "_fields"):
            state.pop("_schema", None)
            state["_learned"] = self._schema_of_new_rows().encoder
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if hasattr(self, "_fields"):
            self._columns = bind_histories(self._columns)
            self._schema = []

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "statistics_")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.categorical = True
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = []
        return tags
