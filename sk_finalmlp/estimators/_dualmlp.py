"""The paper's baseline as a classifier."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import torch
from numpy.random import RandomState

from .._hold_out import VALIDATION_FRACTION
from ..nn import DualMLP
from ._base import BaseTwoStreamClassifier
from ._docstrings import with_shared_sections
from ._parameters import MLP_CONSTRAINTS


@with_shared_sections
class DualMLPClassifier(BaseTwoStreamClassifier):
    """Click prediction by DualMLP: two streams whose logits are added.

    The baseline of the FinalMLP paper: `FinalMLPClassifier` without gates and without the bilinear term.

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
    <parameters of all streams>
    <parameters of every training>

    Attributes
    ----------
    <attributes of every classifier>

    See Also
    --------
    FinalMLPClassifier : The same with gates and fusion.
    TwoStreamClassifier : The same with streams of any kind.

    References
    ----------
    Mao et al., "FinalMLP: An Enhanced Two-Stream MLP Model for CTR Prediction", AAAI 2023, arXiv:2304.00902.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_finalmlp import DualMLPClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = rng.integers(0, 20, size=(1000, 3))
    >>> y = (X[:, 0] + X[:, 1]) % 2
    >>> clf = DualMLPClassifier(random_state=0).fit(X, y)
    >>> clf.predict_proba(X[:2]).shape
    (2, 2)
    """

    _network_class = DualMLP

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseTwoStreamClassifier._parameter_constraints,
        **MLP_CONSTRAINTS,
    }

    mlp1_fields: Sequence[str] | Sequence[int] | Literal["auto"] | None
    mlp2_fields: Sequence[str] | Sequence[int] | Literal["auto"] | None
    mlp1_hidden_units: Sequence[int]
    mlp2_hidden_units: Sequence[int]
    mlp1_dropout: float
    mlp2_dropout: float
    mlp1_batch_norm: bool
    mlp2_batch_norm: bool

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
