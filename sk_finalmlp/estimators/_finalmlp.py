"""The classifier of the paper."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import Any, ClassVar, Literal

import torch
from numpy.random import RandomState

from .._hold_out import Fraction
from ..nn import FinalMLP
from ._base import BaseTwoStreamClassifier
from ._parameters import AT_LEAST_ONE, GATE_CONSTRAINTS, MLP_CONSTRAINTS
from ._partial_fit import OnlineLearner


class FinalMLPClassifier(OnlineLearner, BaseTwoStreamClassifier):
    """Click prediction by FinalMLP: two gated streams and a multi-head bilinear fusion.

    Each column of the table is a field and gets an embedding. Two multi-layer perceptrons, the streams, read the
    embeddings, each through a gate of its own that weighs them; a bilinear form of both streams, split into heads,
    gives the logit.

    Integer columns are categorical and float columns numeric, of mean 0 and standard deviation 1 at best;
    `CTREncoder` makes such columns of a raw table.

    Parameters
    ----------
    embedding_dim : int or "auto", default="auto"
        Length of the vector that each field gets; statistics have none. "auto" takes 10, and 16 for more than 400,000
        training rows.
    mlp1_fields, mlp2_fields : "auto", None or array-like, default="auto"
        The fields that each stream reads: their names (`tags` for the columns `tags@0`, `tags@1`, ...), positions of
        columns or a boolean mask of them; None for all.
        "auto": where the table has statistics, such as `CTREncoder` writes, the first stream reads all else and the
        second all fields; the second member of an ensemble reads no statistics, and the second stream of the third
        only statistics and numeric fields; and so on in turn.
    mlp1_hidden_units, mlp2_hidden_units : array-like of int, default=(128,)
        Width of each layer of the two streams.
    mlp1_dropout, mlp2_dropout : float, default=0.2
        Share of a layer's outputs that is dropped in training, in [0, 1).
    mlp1_batch_norm, mlp2_batch_norm : bool, default=True
        Whether the streams normalise their layers over the batch.
    feature_selection : bool, default=True
        Whether each stream has a gate that weighs its inputs.
    fs_hidden_units : array-like of int, default=(64,)
        Widths of the gates' hidden layers.
    fs1_context, fs2_context : array-like or None, default=None
        The fields that condition the gate of each stream, a user's and an item's for example: their names (`tags` for
        the columns `tags@0`, `tags@1`, ...), positions of columns or a boolean mask of them; None for one learned
        vector that all rows share.
    num_heads : int, default=8
        Heads of the bilinear fusion; it must divide the last width of both streams.
    stream_embeddings : {"shared", "own"}, default="shared"
        Whether both streams read the same embedding tables, or each has tables of its own.
    stream_loss : float, default=0.0
        Weight of a loss of each stream by itself, beside that of the network, whose weight is 1. If it isn't 0, each
        stream gets a linear output of its own, by which it learns to predict alone; predictions don't use it. The
        `train_loss` in `history_` is the sum of all.
    history_pooling : {"mean", "attention", "transformer"}, default="mean"
        How the vectors of a history (`histories` of `CTREncoder`), which are those of the field whose values it holds,
        become the vector of its field. "mean": their mean. "attention": a sum in which the value at hand weighs each of
        them, by an MLP, the target attention of DIN. "transformer": a layer of self-attention over them and the value
        at hand, with positions. An empty history has the vector zero. Each history is pooled by weights of its own.
    history_softmax : bool, default=True
        Whether the weights of "attention" sum to 1 over a history; False is as in the paper of DIN.
    n_members : int, default=2
        Number of networks that are trained side by side, from different initial weights, and vote: they predict by the
        mean of their logits, weighted by what is best for the validation rows (equally where there are none). A fit
        takes so many times as long. 1 is the single network of the paper.
    embedding_regularizer : float or "auto", default="auto"
        Weight lambda of the penalty lambda/2 * (sum of squares) on the complete embedding tables, added to the
        mean loss of each batch. "auto" takes 10,000 / (number of training rows), within 0.1 and 4, since fewer rows
        say less about a single id, and 0.02 for more than 400,000 rows; for the schedule "plateau" 14,000 / (number of
        rows), within 0.2 and 4.
    net_regularizer : float, default=0.0
        The same for all other weights.
    gate_regularizer : float or None, default=0.001
        The same for the embedding tables of the gates' contexts (`fs1_context`, `fs2_context`). They start next to
        nothing, and under the penalty of the other tables they stay there. None for that penalty all the same, as in
        the published configurations.
    schedule : {"one_cycle", "plateau"}, default="one_cycle"
        How the learning rate goes. "one_cycle": planned for `max_epochs`; step by step it rises to `learning_rate` in
        the first 15% of all steps, and falls to nothing in the others. "plateau": it begins at `learning_rate` and
        falls to a tenth whenever half of `n_iter_no_change` epochs don't improve the validation score, which takes more
        epochs; without early stopping it is constant.
    learning_rate : float or "auto", default="auto"
        Learning rate of Adam, at its highest. "auto" takes 5e-3, but 3e-3 between 50,000 and 150,000 training rows and
        1.5e-3 for more than 400,000; for "plateau" 1e-3.
    batch_size : int or "auto", default="auto"
        Rows per step, 2 or more. "auto" takes a 32nd of the number of training rows, within 32 and 1024, for more
        than 150,000 rows 2048, for more than 400,000 rows 4096; for "plateau" twice the square root of the number of
        rows, within 16 and 4096.
    max_epochs : int or "auto", default="auto"
        Passes over the data at most, in each `fit`. "auto" takes 8 up to 50,000 rows, but 10,000 / (number of rows)
        where that is more, at most 100; for more rows 10, for more than 150,000 rows 6; for "plateau" 100.
    precision : {"float32", "bfloat16", "auto"}, default="auto"
        Type of the factors of the linear layers' products in training; the rest, predictions included, is float32.
        "bfloat16" is faster with wide layers and large batches, and rounds to three digits; it needs a CPU with
        AVX512-BF16 or AMX, or a CUDA device, and is refused elsewhere. The model is the same kind of model and loads
        anywhere. "auto" is "float32".
    early_stopping : bool, default=True
        Whether to score the network on validation rows after each epoch, to end the training when the score
        doesn't improve, and to keep the weights of the best epoch. Before each score, and in the end, the logits are
        moved by a constant, so that the mean prediction over the training rows is their click rate (the share of each
        class). Without it there are `max_epochs` epochs, and no such step.
    validation_fraction : float or "auto", default="auto"
        Share of the rows that is held out for early stopping, where `fit` gets no `X_val`; at least one row of each
        class. "auto" takes what `CTREncoder` says in the pandas DataFrame that it wrote, and else a tenth; of rows at
        random no more than 10,000, or so. A larger share must be given to `CTREncoder` as well, which leaves the labels
        of these rows out of the statistics of all others.
    hold_out : {"auto", "random", "last"}, default="auto"
        Which rows are held out. "random": pseudo-random, by a hash of the row number. "last": those at
        the end of the table. "auto": those that `CTREncoder` says, by its parameter of the same name, in the pandas
        DataFrame that it wrote, and those at random if nothing is said.
    scoring : {"neg_log_loss", "roc_auc"}, default="neg_log_loss"
        The score on the validation rows by which the best epoch is chosen. "roc_auc" (the mean of one class against
        the rest where there are more than two) lets probabilities become too certain on small data.
    final_epoch : bool, default=True
        Whether, after early stopping, the rows that were held out join the others for one more epoch, at a tenth of
        the highest learning rate, so that they are learned from too. It isn't in `history_`. Rows given as `X_val` stay
        out, and with `warm_start` so do all held-out rows, by which the next `fit` will stop.
    n_iter_no_change : int or "auto", default="auto"
        Epochs without improvement after which the training ends. "auto" takes 4, as the score stands still for some
        epochs where the rate of one cycle is high; for "plateau" 2.
    class_weight : dict, "balanced" or None, default=None
        Weight of each class in the loss; "balanced" weighs by inverse frequency. It shifts the probabilities.
    negatives_kept : float, default=1.0
        Share of the negatives, the rows of the first of two classes, that `X` still holds where they were sampled
        before `fit` saw them, in (0, 1]. The network learns from the sample and predicts for the whole: its logits are
        moved by the logarithm of the share, in the output bias of every member. Rows given as `X_val` count as a whole
        table; where they are such a sample too, give their negatives `sample_weight_val=1/negatives_kept`. Held-out
        rows are scored as what they are, a part of the sample.
    negative_sampling : float, default=1.0
        Share of the negatives of `X` that each epoch takes, in (0, 1]: others in each, until all have had their turn.
        Epochs are shorter by as much; `train_loss` is that of the sample, while validation rows stay complete.
        Probabilities are those of all rows, as with `negatives_kept`.
    categorical_features : "auto", None or array-like, default="auto"
        Which columns hold codes. "auto": columns of integers or bools; columns named `tags@0`, `tags@1`, ...
        are one multi-valued field, in which code 0 is padding. A list of names, positions or a boolean mask: those
        columns, each a field of its own; the name `tags` stands for all columns of the multi-valued field. None: no
        column.
    warm_start : bool, default=False
        Whether `fit` goes on from the weights of the last `fit`, for more epochs on the same rows, by the whole
        `schedule` once more. Fields, network and held-out rows stay those of the first `fit`; codes that it didn't see
        stay unknown. Codes must mean what they meant in the first `fit`: fit the encoder once and go on with the
        classifier alone, not with a pipeline, which would number the values anew. To learn from new rows, fit anew:
        going on with them alone forgets the others, and what is "auto" follows from so few rows.
    random_state : int, RandomState instance or None, default=None
        Seed of the initial weights, the order of rows and dropout. With the same seed, machine and number
        of torch threads, the predictions are the same to the last bit.
    device : str or torch.device, default="auto"
        Where to train: "auto" takes the first there is of "cuda", "mps" and "cpu".
    checkpoint : str or path, default=None
        Folder in which the state of the training is kept after each epoch, in a file that is removed when `fit` is
        done. Where a `fit` was killed, the same `fit` to the same rows goes on after its last epoch, to the same bits;
        `random_state` must be an integer.
    verbose : int, default=0
        0 is silent; 1 or more writes a line per epoch to the standard output. The log "sk_finalmlp.training" has the
        lines in any case, and scikit-learn's callbacks draw bars (:ref:`progress`).

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels in sorted order, that of the columns of `predict_proba`.
    fields_ : list of Field
        The input fields, in the order of the columns. A categorical field has a code more than its column: the codes
        are moved up by one, and row 0 of its table is for those that `fit` didn't see.
    table_reader_ : TableReader
        How a table becomes the two matrices that the network takes.
    network_ : torch.nn.Module
        The trained network: `sk_finalmlp.nn.Ensemble` of several members, or the single one.
    history_ : list of dict
        One record per epoch: `epoch`, `train_loss`, `valid_loss`, `valid_auc` (both with validation rows
        only), `learning_rate` (that of its last step), `seconds`.
    n_iter_ : int
        Number of epochs.
    best_epoch_ : int
        The epoch, from 1, of the best score, without validation rows the last one. Its weights are those of the
        network, or, with `final_epoch`, those from which the final epoch began.
    best_score_ : float or None
        Score of that epoch by `scoring`, the log-loss with a minus sign; None without validation rows.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, where they are all strings.

    See Also
    --------
    DualMLPClassifier : The same without gates and fusion.
    TwoStreamClassifier : The same with streams of any kind.
    sk_finalmlp.preprocessing.CTREncoder : Codes and floats from a raw table.

    Notes
    -----
    The members of an ensemble learn on as many threads as torch may have; the environment variable `OMP_NUM_THREADS`
    and `torch.set_num_threads` say how many. In parallel searches use joblib's default backend, loky: processes that
    are forked after torch has used its threads hang.

    A row's probability doesn't depend on the rows beside it: to the last bit where widths of layers and heads are
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

    _network_class = FinalMLP

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseTwoStreamClassifier._parameter_constraints,
        **MLP_CONSTRAINTS,
        "feature_selection": ["boolean"],
        **GATE_CONSTRAINTS,
        "num_heads": [AT_LEAST_ONE],
    }

    mlp1_fields: Sequence[str] | Sequence[int] | Literal["auto"] | None
    mlp2_fields: Sequence[str] | Sequence[int] | Literal["auto"] | None
    mlp1_hidden_units: Sequence[int]
    mlp2_hidden_units: Sequence[int]
    mlp1_dropout: float
    mlp2_dropout: float
    mlp1_batch_norm: bool
    mlp2_batch_norm: bool
    feature_selection: bool
    fs_hidden_units: Sequence[int]
    fs1_context: Sequence[str] | Sequence[int] | None
    fs2_context: Sequence[str] | Sequence[int] | None
    num_heads: int

    def __init__(
        self,
        *,
        embedding_dim: int | Literal["auto"] = "auto",
        mlp1_fields: Sequence[str] | Sequence[int] | Literal["auto"] | None = "auto",
        mlp2_fields: Sequence[str] | Sequence[int] | Literal["auto"] | None = "auto",
        mlp1_hidden_units: Sequence[int] = (128,),
        mlp2_hidden_units: Sequence[int] = (128,),
        mlp1_dropout: float = 0.2,
        mlp2_dropout: float = 0.2,
        mlp1_batch_norm: bool = True,
        mlp2_batch_norm: bool = True,
        feature_selection: bool = True,
        fs_hidden_units: Sequence[int] = (64,),
        fs1_context: Sequence[str] | Sequence[int] | None = None,
        fs2_context: Sequence[str] | Sequence[int] | None = None,
        num_heads: int = 8,
        stream_embeddings: Literal["shared", "own"] = "shared",
        stream_loss: float = 0.0,
        history_pooling: Literal["mean", "attention", "transformer"] = "mean",
        history_softmax: bool = True,
        n_members: int = 2,
        embedding_regularizer: float | Literal["auto"] = "auto",
        net_regularizer: float = 0.0,
        gate_regularizer: float | None = 0.001,
        schedule: Literal["one_cycle", "plateau"] = "one_cycle",
        learning_rate: float | Literal["auto"] = "auto",
        batch_size: int | Literal["auto"] = "auto",
        max_epochs: int | Literal["auto"] = "auto",
        precision: Literal["float32", "bfloat16", "auto"] = "auto",
        early_stopping: bool = True,
        validation_fraction: Fraction = "auto",
        hold_out: Literal["auto", "random", "last"] = "auto",
        scoring: Literal["neg_log_loss", "roc_auc"] = "neg_log_loss",
        final_epoch: bool = True,
        n_iter_no_change: int | Literal["auto"] = "auto",
        class_weight: dict[Any, float] | Literal["balanced"] | None = None,
        negatives_kept: float = 1.0,
        negative_sampling: float = 1.0,
        categorical_features: Any = "auto",
        warm_start: bool = False,
        random_state: int | RandomState | None = None,
        device: str | torch.device = "auto",
        checkpoint: str | PathLike[str] | None = None,
        verbose: int = 0,
    ) -> None:
        self._keep(locals())
