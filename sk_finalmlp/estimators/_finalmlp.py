"""The classifier of the paper."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import torch
from numpy.random import RandomState

from .._hold_out import VALIDATION_FRACTION
from ..nn import FinalMLP
from ._base import BaseTwoStreamClassifier
from ._docstrings import with_shared_sections
from ._parameters import AT_LEAST_ONE, MLP_CONSTRAINTS


@with_shared_sections
class FinalMLPClassifier(BaseTwoStreamClassifier):
    """Click prediction by FinalMLP: two gated streams and a multi-head bilinear fusion.

    Each column of the table is a field and gets an embedding. Two multi-layer perceptrons, the streams, read the
    embeddings, each through a gate of its own that weighs them; a bilinear form of both streams, split into heads,
    gives the logit.

    Integer columns are categorical and float columns numeric, of mean 0 and standard deviation 1 at best;
    `CTREncoder` makes such columns of a raw table.

    Parameters
    ----------
    embedding_dim : int, default=10
        Length of the vector that each field gets; statistics have none.
    mlp1_fields, mlp2_fields : "auto", None or array-like, default="auto"
        The fields that each stream reads: their names (`tags` for the columns `tags[0]`, `tags[1]`, ...), positions of
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
        the columns `tags[0]`, `tags[1]`, ...), positions of columns or a boolean mask of them; None for one learned
        vector that all rows share.
    num_heads : int, default=8
        Heads of the bilinear fusion; it must divide the last width of both streams.
    <parameters of all streams>
    <parameters of every training>

    Attributes
    ----------
    <attributes of every classifier>

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
        "fs_hidden_units": ["array-like"],
        "fs1_context": ["array-like", None],
        "fs2_context": ["array-like", None],
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
        embedding_dim: int = 10,
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
        n_members: int = 2,
        embedding_regularizer: float | Literal["auto"] = "auto",
        net_regularizer: float = 0.0,
        embedding_update: Literal["auto", "dense", "lazy"] = "auto",
        schedule: Literal["one_cycle", "plateau"] = "one_cycle",
        learning_rate: float | Literal["auto"] = "auto",
        batch_size: int | Literal["auto"] = "auto",
        max_epochs: int | Literal["auto"] = "auto",
        precision: Literal["float32", "bfloat16", "auto"] = "auto",
        early_stopping: bool = True,
        validation_fraction: float = VALIDATION_FRACTION,
        hold_out: Literal["auto", "random", "last"] = "auto",
        scoring: Literal["neg_log_loss", "roc_auc"] = "neg_log_loss",
        final_epoch: bool = True,
        n_iter_no_change: int | Literal["auto"] = "auto",
        tol: float = 1e-6,
        class_weight: dict[Any, float] | Literal["balanced"] | None = None,
        negatives_kept: float = 1.0,
        negative_sampling: float = 1.0,
        categorical_features: Any = "auto",
        warm_start: bool = False,
        random_state: int | RandomState | None = None,
        device: str | torch.device = "auto",
        verbose: int = 0,
    ) -> None:
        self._keep(locals())
