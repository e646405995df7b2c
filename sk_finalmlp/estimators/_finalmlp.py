"""The classifier of the paper, and of its family: two streams, each behind a gate, and a fusion."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from os import PathLike
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from numpy.random import RandomState
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted
from torch import nn

from .._checks import refuse_name_as_labels
from .._description import Parts, VersionedState, declared
from .._hold_out import Fraction
from .._sklearn import CallbackSupportMixin, FittedSummary, Summary
from .._sources import EncodedBatches
from ..nn import StreamBuilder, TwoStreamNetwork
from ..schema import Field, read_schema
from ..streams import stream_of_name
from ..training import EpochHistory, Moments, predict_logits
from ._field_readers import FieldReader, TableReader
from ._fit import explaining_foreign_arguments, fit_classifier
from ._labels import OneLabel
from ._network import NetworkClass, Served, network_of_arrays, network_summaries, weights_as_arrays
from ._parameters import CONSTRAINTS
from ._partial_fit import learn_more
from ._tasks import Labels, Tasks

FieldChoice = Sequence[str] | Sequence[int] | None
Penalty = float | Literal["auto"]
StreamFields = FieldChoice | Literal["auto"]


class FinalMLPClassifier(FittedSummary, CallbackSupportMixin, VersionedState, ClassifierMixin, BaseEstimator):
    """Click prediction by FinalMLP: two gated streams and a multi-head bilinear fusion.

    Each column of the table is a field and gets an embedding. Two streams, multi-layer perceptrons in the paper, read
    the embeddings, each through a gate of its own that weighs them; a bilinear form of both streams, split into heads,
    gives the logit. Other streams and fusions make the other two-stream models: DualMLP is `fusion="sum"` without
    gates, DCN-V2 has a cross network as its second stream, and so on (:ref:`family`).

    Integer columns are categorical and float columns numeric, ideally with mean 0 and standard deviation 1;
    `CTREncoder` makes such columns from a raw table.

    Parameters
    ----------
    stream1, stream2 : str or stream, default="mlp"
        The streams that read the embeddings: objects of `sk_finalmlp.streams`, such as `MLP((400, 400), dropout=0.1)`
        or `CrossNet(3)`, short names for their defaults ("cin", "crossnet", "final", "fm", "gatedcrossnet", "masknet",
        "mlp", "product", "qnn" or "selfattention"), or objects with the method `build` of
        `sk_finalmlp.nn.StreamBuilder`. `stream2=None` is a network of the first stream alone, without fusion.
    fusion : {"bilinear", "sum", "concat", "product"}, default="bilinear"
        Logit of the streams' outputs. "bilinear": linear in each, and bilinear in both by heads. "sum": linear in each.
        "concat": the same with the initial weights of one layer on both. "product": linear in the elementwise product.
    num_heads : int, default=8
        Heads of the bilinear fusion; it must divide the widths of both streams.
    feature_selection : bool or {"stream1", "stream2"}, default=True
        Which streams have a gate: both, none, or one.
    fs_hidden_units : array-like of int, default=(64,)
        Widths of the gates' hidden layers.
    fs1_context, fs2_context : array-like or None, default=None
        Context fields of each stream's gate, such as a user's and an item's: names of fields, positions of columns or
        a boolean mask. None for one learned vector that all rows share.
    embedding_dim : int or "auto", default="auto"
        Length of the vector of each field; statistics have none. "auto" takes 10, and 16 for more than 400,000
        training rows.
    stream_fields : "auto", None or pair of array-like, default="auto"
        Fields that each stream reads, such as `(["user"], ["user", "item"])`: for each names, positions of columns or
        a boolean mask, None for all fields or "auto". "auto": where the table has statistics, such as `CTREncoder`
        writes, the first stream reads all other fields, the second all; the second member of an ensemble reads no
        statistics, and the second stream of the third only statistics and numeric fields; and so on in turn. A single
        stream reads the second one's fields.
    stream_embeddings : {"shared", "own"}, default="shared"
        Whether the streams share their embedding tables, or each has its own.
    stream_loss : float, default=0.0
        Weight of a loss of each stream by itself, next to the network's with weight 1. Each stream then has a linear
        output of its own, used only in training; `train_loss` in `history_` is the sum of all.
    history_pooling : {"mean", "attention", "din", "transformer"}, default="mean"
        Pooling of the vectors of a history (`histories` of `CTREncoder`). "mean": their mean. "din": their sum,
        weighted by an MLP of each vector and the vector of the row's own value: the target attention of DIN.
        "attention": the same with a softmax over the history. "transformer": a layer of self-attention over the
        history and the row's own value, with positions. An empty history has the zero vector.
    linear_term : bool, default=False
        Whether to add a weight of each code, and of each number times its value, to the logit: the wide part of Wide &
        Deep, the first order of a factorization machine. Statistics have none.
    n_members : int, default=2
        Number of networks trained side by side from different initial weights. The prediction is the mean of their
        logits, weighted to minimise the validation loss; time grows in proportion. 1 is the paper's network.

    embedding_regularizer : float, pair of float or "auto", default="auto"
        Weight lambda of the penalty lambda/2 * (sum of squares) on the embedding tables, added to the mean loss of
        each batch. "auto" takes 10,000 / (number of training rows), within 0.1 and 4, and 0.02 for more than 400,000
        rows; for "plateau" 14,000 / (number of rows), within 0.2 and 4. With statistics of recent rows it takes 0.5 at
        least, since embeddings of ids say less of later rows. The tables of the gates' contexts have 0.001: they start
        near zero, and the penalty of the other tables would keep them there. The second value of a pair sets it; "auto"
        is the same as for the other tables, as in the published configurations.
    net_regularizer : float, default=0.0
        The same for all other weights.

    schedule : {"one_cycle", "plateau"}, default="one_cycle"
        "one_cycle": the learning rate rises to `learning_rate` in the first 15% of all steps of `max_epochs`, and
        falls to 0 in the others. "plateau": it starts at `learning_rate` and falls to a tenth whenever half of
        `n_iter_no_change` epochs don't improve the validation score, which takes more epochs.
    learning_rate : float or "auto", default="auto"
        Highest learning rate of Adam. "auto" takes 5e-3, but 3e-3 between 50,000 and 150,000 training rows and 1.5e-3
        for more than 400,000; for "plateau" 1e-3.
    batch_size : int or "auto", default="auto"
        Rows per step, 2 or more. "auto" takes a 32nd of the training rows, within 32 and 1024, for more than 150,000
        rows 2048, for more than 400,000 rows 4096; for "plateau" twice the square root of the number of rows, within
        16 and 4096.
    max_epochs : int or "auto", default="auto"
        Most passes over the data in each `fit`. "auto" takes 8 up to 50,000 rows, but 10,000 / (number of rows)
        where that is more, at most 100; for more rows 10, for more than 150,000 rows 6; for "plateau" 100.
    precision : {"float32", "bfloat16", "auto"}, default="auto"
        Type of the products' factors and results in training. "bfloat16" is faster with wide layers and large
        batches, and rounds to three digits; it needs a CPU with AVX512-BF16 or AMX, or a CUDA device. "auto" is
        "float32".
    class_weight : dict, "balanced" or None, default=None
        Weight of each class in the loss; "balanced" weighs by inverse frequency. It shifts the probabilities.
    negatives_kept : float, default=1.0
        Share, in (0, 1], of the negatives (rows of the first of two classes) that down-sampling before `fit` left in
        `X`. The network predicts for the full table: its logits are moved by the logarithm of the share. `X_val`
        counts as a full table; if it is such a sample too, give its negatives `sample_weight_val=1/negatives_kept`.
    negative_sampling : float, default=1.0
        Share, in (0, 1], of the negatives of `X` in each epoch; epochs take turns until all negatives were used.
        `train_loss` is the sample's; validation rows stay complete, and probabilities are corrected to all rows.

    early_stopping : bool, default=True
        Whether to score validation rows after each epoch, to stop when the score doesn't improve, and to keep the
        weights of the best epoch. Before each score, and at the end of every fit, a constant shifts the logits so that
        the mean prediction over the training rows is their click rate.
    scoring : str or callable, default="neg_log_loss"
        The score for early stopping: the name of a scorer of scikit-learn, such as "average_precision", or a function
        of (estimator, X, y), higher for better. Its `estimator` predicts for the validation rows, and `X` is a
        DataFrame of them, columns of codes (-1 for one that `fit` didn't see) before columns of floats; a function
        that takes `sample_weight` gets it where weights differ. "neg_log_loss" and "roc_auc" (the mean of
        one class against the rest for more than two) cost nothing; "roc_auc" gives overconfident probabilities on
        small data.
    validation_fraction : float or "auto", default="auto"
        Share of the rows to hold out if `fit` gets no `X_val`; at least one row of each class. "auto" takes the share
        of the `CTREncoder` that wrote the pandas DataFrame, else a tenth, at random about 10,000 rows at most. Give a
        larger share to `CTREncoder` as well, which leaves the labels of these rows out of its statistics.
    hold_out : {"auto", "random", "last"}, default="auto"
        Which rows are held out: pseudo-random ones, by a hash of the row number, or the last ones of the table.
        "auto": as the `CTREncoder` that wrote the pandas DataFrame, else random.
    final_epoch : bool, default=True
        Whether to train one more epoch after early stopping, on all rows including the held-out ones, at a tenth of
        the highest learning rate. It isn't in `history_`. Rows given as `X_val` stay out, and with `warm_start` so do
        all held-out rows.
    n_iter_no_change : int or "auto", default="auto"
        End the training after this number of epochs without improvement. "auto" takes 4; for "plateau" 2.

    categorical_features : "auto", None or array-like, default="auto"
        Which columns hold codes. "auto": columns of integers or bools; columns named `tags@0`, `tags@1`, ... are one
        multi-valued field, with code 0 as padding. A list of names, positions or a boolean mask: those columns, each a
        field of its own; the name `tags` stands for all columns of the multi-valued field. None: no column.
    warm_start : bool, default=False
        Whether `fit` continues from the weights of the last `fit`, for more epochs on the same rows, with the whole
        `schedule` again. Fields, network and held-out rows stay as in the first `fit`; codes that it didn't see stay
        unknown. Fit the encoder once and go on with the classifier alone, not with a pipeline, which would refit the
        encoder. For new rows, see `partial_fit`.
    random_state : int, RandomState instance or None, default=None
        Seed of the initial weights, the order of rows and dropout. With the same seed, machine and number of torch
        threads, the predictions are the same to the last bit.
    device : str or torch.device, default="auto"
        Where to train: "auto" takes the first available of "cuda", "mps" and "cpu".
    checkpoint : str or path, default=None
        Folder for a file with the state of the training after each epoch, removed when `fit` is done. If the process
        is killed, the same `fit` to the same rows continues after the last epoch, with bit-for-bit the same result;
        `random_state` must be an integer.
    verbose : int, default=0
        0 is silent; 1 or more writes a line per epoch to the standard output. The log "sk_finalmlp.training" has the
        lines in any case, and scikit-learn's callbacks draw bars (:ref:`progress`).

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels in sorted order, as the columns of `predict_proba`.
    fields_ : list of Field
        The input fields, in the order of the columns. A categorical field has one code more than its column: codes
        are shifted by one, and row 0 of its table is for codes that `fit` didn't see.
    table_reader_ : TableReader
        Reads a table as the two matrices that the network takes.
    network_ : torch.nn.Module
        The trained network: `sk_finalmlp.nn.Ensemble` of several members, or the single one. Gates and batch norm are
        folded into its first layers: call its `eval` after writing to weights by other means than `load_state_dict`.
    history_ : list of dict
        One record per epoch: `epoch`, `train_loss`, `valid_loss`, `valid_auc` (both with validation rows
        only), the score of another `scoring`, such as `valid_average_precision`, `learning_rate` (in its last step),
        `seconds`, and `method`, which is "fit" or "partial_fit".
    n_iter_ : int
        Number of epochs.
    best_epoch_ : int
        The epoch (from 1) with the best score; without validation rows, the last epoch. The network has its weights;
        with `final_epoch`, the final epoch started from them.
    best_score_ : float or None
        Score of that epoch by `scoring`, the log-loss with a minus sign; None without validation rows.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, where they are all strings.

    See Also
    --------
    published_configs : Published models of the family, as parameters.
    FunnelClassifier : The same network for several labels, such as click and conversion.
    sk_finalmlp.preprocessing.CTREncoder : Codes and floats from a raw table.

    Notes
    -----
    Streams that work field by field (`FM`, `Product`, `CIN`, `SelfAttention`) give each statistic a learned vector,
    times its value, as numeric fields have; the others take statistics as they are.

    The members of an ensemble learn on all of torch's threads (`OMP_NUM_THREADS`, `torch.set_num_threads`). In parallel
    searches use joblib's default backend, loky: processes that are forked after torch has used its threads hang.

    A row's probability doesn't depend on other rows in the batch: to the last bit where widths of layers and heads are
    multiples of 16, else to rounding.

    References
    ----------
    Mao et al., "FinalMLP: An Enhanced Two-Stream MLP Model for CTR Prediction", AAAI 2023, arXiv:2304.00902.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_finalmlp import FinalMLPClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = rng.integers(0, 20, size=(1000, 3))
    >>> y = (X[:, 0] + X[:, 1]) % 2
    >>> clf = FinalMLPClassifier(random_state=0).fit(X, y)
    >>> clf.predict_proba(X[:2]).shape
    (2, 2)

    A search over streams and their parameters:

    >>> from sklearn.model_selection import GridSearchCV
    >>> from sk_finalmlp.streams import CrossNet
    >>> small = FinalMLPClassifier(n_members=1, max_epochs=1, random_state=0)
    >>> grid = [
    ...     {"stream1__hidden_units": [(64,), (128,)]},
    ...     {"stream2": [CrossNet()], "stream2__n_layers": [1, 2]},
    ... ]
    >>> len(GridSearchCV(small, grid, cv=2).fit(X, y).cv_results_["params"])
    4

    On a raw table, with validation rows of one's own:

    >>> import sklearn
    >>> from sklearn.pipeline import Pipeline
    >>> from sk_finalmlp import CTREncoder
    >>> from sk_finalmlp.datasets import make_click_data
    >>> X, y, _ = make_click_data(3000, random_state=0)
    >>> clf = FinalMLPClassifier(random_state=0)
    >>> with sklearn.config_context(enable_metadata_routing=True):
    ...     clf = clf.set_fit_request(X_val=True, y_val=True)
    ...     model = Pipeline([("enc", CTREncoder()), ("clf", clf)], transform_input=["X_val"])
    ...     model = model.fit(X[:2000], y[:2000], X_val=X[2000:], y_val=y[2000:])
    """

    _network_class: ClassVar[NetworkClass] = TwoStreamNetwork
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = CONSTRAINTS
    _parts: ClassVar[Parts] = declared(Field, FieldReader, Moments, Tasks)

    best_epoch_: int
    best_score_: float | None
    classes_: NDArray[Any]
    feature_names_in_: NDArray[Any]
    fields_: list[Field]
    history_: EpochHistory
    n_features_in_: int
    n_iter_: int
    #: Hashes of the encoder that wrote the rows of `fit`, and of the same encoder before an update.
    _encoders: tuple[str, ...]
    _seed: int
    _served: Served
    #: Rows of the first training, which "auto" goes by: a network that goes on is as they made it.
    _n_rows: int
    #: The share of the last of these rows with new ids.
    _new_ids: float
    _network_arguments: dict[str, Any]
    _moments: Moments | None = None
    _tasks: Tasks | None = None

    def __init__(
        self,
        *,
        stream1: str | StreamBuilder = "mlp",
        stream2: str | StreamBuilder | None = "mlp",
        fusion: Literal["bilinear", "sum", "concat", "product"] = "bilinear",
        num_heads: int = 8,
        feature_selection: bool | Literal["stream1", "stream2"] = True,
        fs_hidden_units: Sequence[int] = (64,),
        fs1_context: FieldChoice = None,
        fs2_context: FieldChoice = None,
        embedding_dim: int | Literal["auto"] = "auto",
        stream_fields: tuple[StreamFields, StreamFields] | Literal["auto"] | None = "auto",
        stream_embeddings: Literal["shared", "own"] = "shared",
        stream_loss: float = 0.0,
        history_pooling: Literal["mean", "attention", "din", "transformer"] = "mean",
        linear_term: bool = False,
        n_members: int = 2,
        embedding_regularizer: float | tuple[Penalty, Penalty] | Literal["auto"] = "auto",
        net_regularizer: float = 0.0,
        schedule: Literal["one_cycle", "plateau"] = "one_cycle",
        learning_rate: float | Literal["auto"] = "auto",
        batch_size: int | Literal["auto"] = "auto",
        max_epochs: int | Literal["auto"] = "auto",
        precision: Literal["float32", "bfloat16", "auto"] = "auto",
        class_weight: dict[Any, float] | Literal["balanced"] | None = None,
        negatives_kept: float = 1.0,
        negative_sampling: float = 1.0,
        early_stopping: bool = True,
        scoring: str | Callable[..., float] = "neg_log_loss",
        validation_fraction: Fraction = "auto",
        hold_out: Literal["auto", "random", "last"] = "auto",
        final_epoch: bool = True,
        n_iter_no_change: int | Literal["auto"] = "auto",
        categorical_features: Any = "auto",
        warm_start: bool = False,
        random_state: int | RandomState | None = None,
        device: str | torch.device = "auto",
        checkpoint: str | PathLike[str] | None = None,
        verbose: int = 0,
    ) -> None:
        self.stream1 = stream1
        self.stream2 = stream2
        self.fusion = fusion
        self.num_heads = num_heads
        self.feature_selection = feature_selection
        self.fs_hidden_units = fs_hidden_units
        self.fs1_context = fs1_context
        self.fs2_context = fs2_context
        self.embedding_dim = embedding_dim
        self.stream_fields = stream_fields
        self.stream_embeddings = stream_embeddings
        self.stream_loss = stream_loss
        self.history_pooling = history_pooling
        self.linear_term = linear_term
        self.n_members = n_members
        self.embedding_regularizer = embedding_regularizer
        self.net_regularizer = net_regularizer
        self.schedule = schedule
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.precision = precision
        self.class_weight = class_weight
        self.negatives_kept = negatives_kept
        self.negative_sampling = negative_sampling
        self.early_stopping = early_stopping
        self.scoring = scoring
        self.validation_fraction = validation_fraction
        self.hold_out = hold_out
        self.final_epoch = final_epoch
        self.n_iter_no_change = n_iter_no_change
        self.categorical_features = categorical_features
        self.warm_start = warm_start
        self.random_state = random_state
        self.device = device
        self.checkpoint = checkpoint
        self.verbose = verbose

    def set_params(self, **params: Any) -> Self:
        """Set parameters, also of the streams.

        Parameters
        ----------
        **params : dict
            Parameters. One of a stream, such as `stream1__hidden_units`, makes a stream of its short name first.

        Returns
        -------
        self : object
            The classifier.

        Raises
        ------
        ValueError
            If a parameter doesn't exist.
        """
        for stream in {name.partition("__")[0] for name in params if name.startswith(("stream1__", "stream2__"))}:
            chosen = params.get(stream, getattr(self, stream))
            if chosen is None:
                raise ValueError(
                    f"{stream}=None has no parameters. Set it to a stream of sk_finalmlp.streams first, such as "
                    f"{stream}=CrossNet()."
                )
            params[stream] = stream_of_name(chosen) if isinstance(chosen, str) else chosen
        super().set_params(**params)
        return self

    @explaining_foreign_arguments
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Self:
        """Train the network.

        Parameters
        ----------
        X : dataframe or array-like of shape (n_samples, n_features)
            Impressions: columns of codes and of floats, such as `CTREncoder` writes; also the rows on disk that it
            makes of more rows than memory holds.
        y : array-like of shape (n_samples,), or str
            Labels of any type, of two or more classes; the name of their column where the rows are on disk.
        sample_weight : array-like of shape (n_samples,), or str, default=None
            Weight of each impression in the loss, or the name of the column of weights. A row of weight 0 is left out.
        X_val : dataframe or array-like of shape (n_val, n_features), default=None
            Validation rows for early stopping, encoded like `X`; without them, a part of `X` is held out. A pipeline
            encodes them if its last step requests them, as in the example of `FinalMLPClassifier`. Note that a
            search by cross-validation slices fit parameters that are as long as `X`.
        y_val : array-like of shape (n_val,), default=None
            Labels of the validation rows.
        sample_weight_val : array-like of shape (n_val,), default=None
            Weights of the validation rows.

        Returns
        -------
        self : object
            The fitted classifier.

        Raises
        ------
        ValueError
            If a column, a label or a parameter can't be used; the message names it.
        FloatingPointError
            If the loss becomes NaN.
        """
        fit_classifier(self, X, y, sample_weight, X_val, y_val, sample_weight_val, OneLabel.read)
        return self

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Learn from more rows, such as a new day, in one pass.

        New codes get vectors of their own; vectors of codes that don't occur stay as they are, so the cost of a call
        depends on its rows, not on the tables. The learning rate is constant, 0.03 of `learning_rate`. Nothing is
        held out: the rows are scored before they are learned from, an honest test on the next day, and `history_`
        gets these scores as `valid_loss` and `valid_auc`.

        Rows that `CTREncoder` encodes come from its `partial_fit_transform`; :func:`sk_finalmlp.update` calls both.

        Parameters
        ----------
        X : dataframe or array-like of shape (n_samples, n_features)
            Impressions with the columns of the first call, or of `fit`.
        y : array-like of shape (n_samples,)
            Labels, not necessarily of all classes.
        classes : array-like of shape (n_classes,), default=None
            All labels there are. Needed in the first call, unless `fit` was called.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each impression in the loss. A row of weight 0 is left out.

        Returns
        -------
        self : object
            The classifier. After an error it is as it was before.

        Raises
        ------
        ValueError
            If a column, a label or a parameter can't be used; the message names it.
        FloatingPointError
            If the loss becomes NaN.
        """
        self._take_in(X, y, classes, sample_weight, read_schema(X))
        return self

    _take_in = learn_more

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Logits.

        Parameters
        ----------
        X : dataframe or array-like of shape (n_samples, n_features)
            Impressions with the columns of `fit`. A code that `fit` didn't see is taken as unknown.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
            Log-odds of `classes_[1]` for two classes; for more, a logit per class, defined up to a constant.
        """
        return self._labels.log_odds(self._logits(X))

    def _logits(self, X: Any) -> NDArray[np.float64]:
        """Logits of the network, shape (n, C)."""
        check_is_fitted(self)
        # Read once, as another thread may put the next one in its place.
        network, readers = self._served
        read = TableReader(self, readers).read
        tables = X.batches() if isinstance(X, EncodedBatches) else [X]
        rows = (map(torch.from_numpy, read(table)) for table in tables)
        return torch.cat([predict_logits(network, *matrices) for matrices in rows]).double().numpy()

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Probability of each class.

        Parameters
        ----------
        X : dataframe or array-like of shape (n_samples, n_features)
            Impressions, as for :meth:`decision_function`.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Probabilities, in the order of `classes_`.
        """
        return self._labels.probabilities(self._logits(X))

    def predict(self, X: Any) -> NDArray[Any]:
        """The most probable class.

        Parameters
        ----------
        X : dataframe or array-like of shape (n_samples, n_features)
            Impressions, as for :meth:`decision_function`.

        Returns
        -------
        ndarray of shape (n_samples,)
            Labels.
        """
        return self._labels.most_probable(self._logits(X))

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Share of rows with a correct prediction.

        For clicks, prefer a score of the probabilities, such as :func:`sklearn.metrics.log_loss`.

        Parameters
        ----------
        X : dataframe or array-like of shape (n_samples, n_features)
            Impressions with the columns of `fit`.
        y : array-like of shape (n_samples,), or str
            True labels; the name of their column for rows that are read in batches.
        sample_weight : array-like of shape (n_samples,) or str, default=None
            Weight of each row; the name of their column for rows that are read in batches.

        Returns
        -------
        float
            Accuracy, from 0 to 1.
        """
        if isinstance(X, EncodedBatches):
            y, sample_weight = X.in_memory(y), X.in_memory(sample_weight)
        refuse_name_as_labels(X, y)
        return float(super().score(X, y, sample_weight))

    @property
    def network_(self) -> nn.Module:
        """The network."""
        check_is_fitted(self)
        return self._served.network

    @network_.setter
    def network_(self, network: nn.Module) -> None:
        self._served = Served.folded(network, self._served.readers)

    @property
    def table_reader_(self) -> TableReader:
        """How tables are read."""
        check_is_fitted(self)
        return TableReader(self, self._served.readers)

    @property
    def _labels(self) -> Labels:
        check_is_fitted(self)
        return self._tasks or OneLabel(self.classes_)

    def _continues(self) -> bool:
        return self.warm_start and hasattr(self, "_served")

    def _summaries(self) -> list[Summary]:
        return network_summaries(self)

    def _describe(self, name: str, value: Any) -> Any:
        if name != "_served":
            return super()._describe(name, value)
        return {"network": weights_as_arrays(value.network), "readers": super()._describe(name, value.readers)}

    def _restore(self, state: dict[str, Any]) -> None:
        super()._restore(state)
        if "_served" in state:
            # Arrays of a file may be views of it.
            self._moments = deepcopy(self._moments)
            plain: Any = self._served
            network = network_of_arrays(self._network_class, self._network_arguments, plain["network"])
            self._served = Served.folded(network, plain["readers"])
