"""The classifier of several labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from os import PathLike
from typing import Any, ClassVar, Literal, NoReturn, Self

import numpy as np
import torch
from numpy.random import RandomState
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.utils import Tags

from .._description import Parts, declared
from .._hold_out import Fraction
from .._sklearn import StrOptions, Summary
from .._sources import EncodedRows
from ..nn import ExpertFinalMLP
from ._base import BaseTwoStreamClassifier
from ._parameters import AT_LEAST_ONE, CONSTRAINTS, GATE_CONSTRAINTS, MLP_CONSTRAINTS
from ._tasks import Tasks, read_tasks

#: What is said of the classes of a single label.
_OF_ONE_LABEL = ("class_weight", "negatives_kept", "negative_sampling")


class FunnelClassifier(BaseTwoStreamClassifier):
    """Prediction of several labels of an impression, such as click and conversion, by one network.

    The tasks share the embeddings, the gates and the two streams of FinalMLP, and each has a head of its own. So the
    label that is rare learns from what the frequent one has taught the embeddings.

    In a funnel, nobody buys without a click: the probability of a conversion is that of a click times that of a
    conversion given a click, and each head learns its factor from all impressions, not from the clicked ones alone, as
    in ESMM [1]_. Without `relation="funnel"`, each label has a logit of its own.

    Parameters
    ----------
    tasks : list of str, default=None
        Names of the labels, for a funnel in its order: the columns of `y`, if that is a DataFrame, else names of them.
        None for the columns as they are.
    relation : {"funnel", "independent"}, default="funnel"
        Whether each label implies the one before, as a conversion implies a click; rows that contradict it are an
        error.
    task_weight : dict, array-like of shape (n_tasks,) or None, default=None
        Weight of each task's loss, 1 where it isn't named. The loss is the sum of those of all labels that are known.
    n_experts : int, default=1
        Number of pairs of streams. With more than one, each task mixes them by a gate of its own (MMoE [2]_); with one,
        the tasks share both streams.
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
    classes_ : list of ndarray of shape (2,)
        Labels of each task in sorted order, as in :class:`~sklearn.multioutput.ClassifierChain`; probabilities are
        those of the second.
    tasks_ : list of str
        Names of the tasks, in the order of the columns of `predict_proba`.
    fields_ : list of Field
        The input fields, in the order of the columns. A categorical field has a code more than its column: the codes
        are moved up by one, and row 0 of its table is for those that `fit` didn't see.
    table_reader_ : TableReader
        How a table becomes the two matrices that the network takes.
    network_ : torch.nn.Module
        The trained network: `sk_finalmlp.nn.Ensemble` of several members, or the single one.
    history_ : list of dict
        One record per epoch: `epoch`, `train_loss` (the weighted sum of the tasks), `valid_loss`, `valid_auc` (weighted
        means of the tasks) and those of each task, such as `valid_loss_click` and `valid_auc_click` (all with
        validation rows only), `learning_rate` (that of its last step), `seconds`.
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
    FinalMLPClassifier : The same network for a single label.
    sk_finalmlp.preprocessing.CTREncoder : Codes and floats from a raw table, with rates of each task.

    Notes
    -----
    **Missing labels** are None or NaN, and count neither in the loss nor in a score. In a funnel, a conversion may be
    missing where there was no click: it is taken for 0 there. Where the conversion of a click isn't known (yet), the
    loss over all impressions takes the network's own estimate for it, so that the row speaks neither for a conversion
    nor against one, and in scores the clicks with a known conversion stand for all.

    **Weights of classes** aren't a parameter: another share of clicks would be another product. Weigh rows by
    `sample_weight`, and tasks by `task_weight`.

    References
    ----------
    .. [1] Ma et al., "Entire Space Multi-Task Model: An Effective Approach for Estimating Post-Click Conversion Rate",
       SIGIR 2018, arXiv:1804.07931.
    .. [2] Ma et al., "Modeling Task Relationships in Multi-task Learning with Multi-gate Mixture-of-Experts", KDD 2018.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_finalmlp import FunnelClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = rng.integers(0, 20, size=(1000, 3))
    >>> click = rng.random(1000) < 0.2 + 0.02 * X[:, 0]
    >>> conversion = click & (rng.random(1000) < 0.05 * X[:, 1])
    >>> y = np.column_stack([click, conversion])
    >>> clf = FunnelClassifier(tasks=["click", "conversion"], max_epochs=2, random_state=0).fit(X, y)
    >>> clf.predict_proba(X[:2]).shape
    (2, 2)
    """

    _network_class = ExpertFinalMLP

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **{name: of for name, of in CONSTRAINTS.items() if name not in _OF_ONE_LABEL},
        **MLP_CONSTRAINTS,
        "tasks": ["array-like", None],
        "relation": [StrOptions({"funnel", "independent"})],
        "task_weight": [dict, "array-like", None],
        "feature_selection": ["boolean"],
        **GATE_CONSTRAINTS,
        "num_heads": [AT_LEAST_ONE],
        "n_experts": [AT_LEAST_ONE],
    }
    _parts: ClassVar[Parts] = {**BaseTwoStreamClassifier._parts, **declared(Tasks)}

    tasks: Sequence[str] | None
    relation: Literal["funnel", "independent"]
    task_weight: Mapping[str, float] | Sequence[float] | None
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
    n_experts: int

    #: What is a parameter of classifiers of a single label.
    class_weight = None
    negatives_kept = negative_sampling = 1.0

    _tasks: Tasks

    def __init__(
        self,
        tasks: Sequence[str] | None = None,
        *,
        relation: Literal["funnel", "independent"] = "funnel",
        task_weight: Mapping[str, float] | Sequence[float] | None = None,
        n_experts: int = 1,
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
        categorical_features: Any = "auto",
        warm_start: bool = False,
        random_state: int | RandomState | None = None,
        device: str | torch.device = "auto",
        checkpoint: str | PathLike[str] | None = None,
        verbose: int = 0,
    ) -> None:
        self._keep(locals())

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
            Impressions: columns of codes and of floats, such as `CTREncoder` writes.
        y : dataframe or array-like of shape (n_samples, n_tasks)
            Two labels per column, of any type; None or NaN where one is missing.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each impression in the loss. A row of weight 0 is left out.
        X_val : dataframe or array-like of shape (n_val, n_features), default=None
            Validation rows for early stopping, encoded like `X`; without them, a part of `X` is held out.
        y_val : dataframe or array-like of shape (n_val, n_tasks), default=None
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
        if isinstance(X, EncodedRows):
            raise TypeError(
                "FunnelClassifier takes a table in memory, and X holds rows on disk, which have a single label. Encode "
                "a table in memory, or fit a FinalMLPClassifier to each label."
            )
        read = partial(read_tasks, names=self.tasks, relation=self.relation, task_weight=self.task_weight)
        return self._fit(X, y, sample_weight, X_val, y_val, sample_weight_val, read)

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Log-odds of each label.

        Parameters
        ----------
        X : dataframe or array-like of shape (n_samples, n_features)
            Impressions with the columns of `fit`. A code that `fit` didn't see is taken as unknown.

        Returns
        -------
        ndarray of shape (n_samples, n_tasks)
            Log-odds of the second of the two labels in `classes_`.
        """
        logits = torch.from_numpy(self._logits(X))
        log_odds: NDArray[np.float64] = self._tasks.objective.marginal_logits(logits).numpy()
        return log_odds

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Probability of each label.

        Parameters
        ----------
        X : dataframe or array-like of shape (n_samples, n_features)
            Impressions with the columns of `fit`. A code that `fit` didn't see is taken as unknown.

        Returns
        -------
        ndarray of shape (n_samples, n_tasks)
            Probabilities of the second of the two labels in `classes_`, in the order of `tasks_`; as in
            :class:`~sklearn.neural_network.MLPClassifier`, they don't sum to 1. In a funnel, none is larger than the
            one before, and their quotient is the probability of a conversion given a click.
        """
        probabilities: NDArray[np.float64] = expit(self._logits(X))
        return probabilities.cumprod(axis=1) if self._tasks.relation == "funnel" else probabilities

    def predict(self, X: Any) -> NDArray[Any]:
        """The more probable label of each task.

        Parameters
        ----------
        X : dataframe or array-like of shape (n_samples, n_features)
            Impressions with the columns of `fit`.

        Returns
        -------
        ndarray of shape (n_samples, n_tasks)
            Labels.
        """
        positions = (self.decision_function(X) > 0).astype(int)
        labels = [classes[positions[:, task]] for task, classes in enumerate(self.classes_)]
        if len({of_task.dtype.kind for of_task in labels}) > 1:
            # NumPy would make strings of the numbers.
            labels = [of_task.astype(object) for of_task in labels]
        return np.stack(labels, axis=1)

    @property
    def classes_(self) -> list[NDArray[Any]]:  # type: ignore[override]
        """Labels of each task in sorted order."""
        return [classes.copy() for classes in self._tasks.classes]

    @property
    def tasks_(self) -> list[str]:
        """Names of the tasks."""
        return list(self._tasks.names)

    @property
    def partial_fit(self) -> NoReturn:
        """Not to be had: a funnel is fitted to all rows at once."""
        raise AttributeError(
            "FunnelClassifier has no partial_fit. Fit it again to all rows, or go on with a FinalMLPClassifier for "
            "each label."
        )

    def _summaries(self) -> list[Summary]:
        best = self.history_[self.best_epoch_ - 1]
        scores = [[f"valid_{of}_{name}" for of in ("loss", "auc")] for name in self.tasks_]
        rows = [
            (name, *(f"{best[score]:.4f}" if score in best else "" for score in of_task))
            for name, of_task in zip(self.tasks_, scores, strict=True)
        ]
        title = "Tasks, in a funnel" if self._tasks.relation == "funnel" else "Tasks"
        return [*super()._summaries(), Summary(title, ("task", "log-loss", "AUC"), rows, is_open=True)]

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.single_output = False
        tags.target_tags.multi_output = True
        tags.classifier_tags.multi_class = False
        tags.classifier_tags.multi_label = True
        return tags
