"""The classifier of any pair of streams."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal, Self

import torch
from numpy.random import RandomState

from .._hold_out import VALIDATION_FRACTION
from .._sklearn import HasMethods, StrOptions
from ..nn import StreamBuilder, TwoStreamNetwork
from ..streams import as_stream, stream_names
from ._base import BaseTwoStreamClassifier
from ._docstrings import with_shared_sections
from ._parameters import AT_LEAST_ONE

_STREAMS = ("stream1", "stream2")
_IS_STREAM = [StrOptions(set(stream_names())), HasMethods("build")]


@with_shared_sections
class TwoStreamClassifier(BaseTwoStreamClassifier):
    """Click prediction by two streams of any kind, each behind a gate, and a fusion of both.

    The gates and the fusion of the FinalMLP paper on any pair of streams: an MLP beside a cross network, a
    factorization machine, self-attention, ... With its defaults it is `FinalMLPClassifier`.

    Parameters
    ----------
    stream1 : str or stream, default="mlp"
        The first stream: one of `sk_finalmlp.streams`, such as `MLP(hidden_units=(400, 400))`, or its short name for
        its defaults: "cin", "crossnet", "final", "fm", "gatedcrossnet", "masknet", "mlp", "product", "qnn" or
        "selfattention". An object of yours can be a stream, too, if it has the method `build` of
        `sk_finalmlp.nn.StreamBuilder`.
    stream2 : str, stream or None, default="mlp"
        The second stream; None for a network of the first one alone, whose logit is linear in the stream's output.
    fusion : {"bilinear", "sum", "concat", "product"}, default="bilinear"
        How the logit is made of the outputs of both streams. "bilinear": linear in each, and bilinear in both by heads.
        "sum": the sum of a linear output of each. "concat": one linear output of both side by side, which differs from
        "sum" in its start weights alone. "product": linear in the elementwise product of both.
    embedding_dim : int, default=10
        Length of the vector that each field gets; statistics have none.
    stream1_fields, stream2_fields : "auto", None or array-like, default="auto"
        The fields that each stream reads: their names (`tags` for the columns `tags[0]`, `tags[1]`, ...), positions of
        columns or a boolean mask of them; None for all. "auto": where the table has statistics, such as `CTREncoder`
        writes, the first stream reads all else and the second all fields; the second member of an ensemble reads no
        statistics, and the second stream of the third only statistics and numeric fields; and so on in turn. A stream
        alone reads what the second one would.
    feature_selection : bool or {"stream1", "stream2"}, default=True
        Which streams have a gate that weighs their inputs: both, none, or one.
    fs_hidden_units : array-like of int, default=(64,)
        Widths of the gates' hidden layers.
    fs1_context, fs2_context : array-like or None, default=None
        The fields that condition the gate of each stream, a user's and an item's for example: their names (`tags` for
        the columns `tags[0]`, `tags[1]`, ...), positions of columns or a boolean mask of them; None for one learned
        vector that all rows share.
    num_heads : int, default=8
        Heads of the bilinear fusion; it must divide the widths of both streams. Other fusions have none.
    <parameters of all streams>
    linear_term : bool, default=False
        Whether to add a weight of each code, and of each number times its value, to the logit: the wide part of Wide &
        Deep, the first order of a factorization machine. Statistics have none.
    <parameters of every training>

    Attributes
    ----------
    <attributes of every classifier>

    See Also
    --------
    FinalMLPClassifier : Two MLPs, with the parameters of the paper.
    DualMLPClassifier : Two MLPs whose logits are added.
    two_stream_configs : Published models of this family, as parameters.

    Notes
    -----
    A short name has no parameters that a search could set: give the stream itself, `stream2=CrossNet()`, for
    `stream2__n_layers` to exist.

    Streams that work field by field (`FM`, `Product`, `CIN`, `SelfAttention`) give each statistic a learned vector,
    times its value, as numeric fields have; the others take statistics as they are. A gate weighs the input of either.

    References
    ----------
    Mao et al., "FinalMLP: An Enhanced Two-Stream MLP Model for CTR Prediction", AAAI 2023, arXiv:2304.00902.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_finalmlp import TwoStreamClassifier
    >>> from sk_finalmlp.streams import CrossNet
    >>> rng = np.random.default_rng(0)
    >>> X = rng.integers(0, 20, size=(1000, 3))
    >>> y = (X[:, 0] + X[:, 1]) % 2
    >>> clf = TwoStreamClassifier(stream2=CrossNet(n_layers=2), random_state=0).fit(X, y)
    >>> clf.predict_proba(X[:2]).shape
    (2, 2)

    A search over streams and their parameters:

    >>> from sklearn.model_selection import GridSearchCV
    >>> small = TwoStreamClassifier(n_members=1, max_epochs=2, random_state=0)
    >>> search = GridSearchCV(
    ...     small,
    ...     [
    ...         {"stream2": [CrossNet()], "stream2__n_layers": [1, 2]},
    ...         {"stream2": ["fm", "selfattention"], "fusion": ["sum", "bilinear"]},
    ...     ],
    ...     cv=2,
    ... )
    >>> len(search.fit(X, y).cv_results_["params"])
    6
    """

    _network_class = TwoStreamNetwork

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseTwoStreamClassifier._parameter_constraints,
        "stream1": _IS_STREAM,
        "stream2": [*_IS_STREAM, None],
        "fusion": [StrOptions({"bilinear", "sum", "concat", "product"})],
        "stream1_fields": ["array-like", StrOptions({"auto"}), None],
        "stream2_fields": ["array-like", StrOptions({"auto"}), None],
        "feature_selection": ["boolean", StrOptions({"stream1", "stream2"})],
        "fs_hidden_units": ["array-like"],
        "fs1_context": ["array-like", None],
        "fs2_context": ["array-like", None],
        "num_heads": [AT_LEAST_ONE],
        "linear_term": ["boolean"],
    }

    stream1: str | StreamBuilder
    stream2: str | StreamBuilder | None
    fusion: Literal["bilinear", "sum", "concat", "product"]
    stream1_fields: Sequence[str] | Sequence[int] | Literal["auto"] | None
    stream2_fields: Sequence[str] | Sequence[int] | Literal["auto"] | None
    feature_selection: bool | Literal["stream1", "stream2"]
    fs_hidden_units: Sequence[int]
    fs1_context: Sequence[str] | Sequence[int] | None
    fs2_context: Sequence[str] | Sequence[int] | None
    num_heads: int
    linear_term: bool

    def __init__(
        self,
        *,
        stream1: str | StreamBuilder = "mlp",
        stream2: str | StreamBuilder | None = "mlp",
        fusion: Literal["bilinear", "sum", "concat", "product"] = "bilinear",
        embedding_dim: int = 10,
        stream1_fields: Sequence[str] | Sequence[int] | Literal["auto"] | None = "auto",
        stream2_fields: Sequence[str] | Sequence[int] | Literal["auto"] | None = "auto",
        feature_selection: bool | Literal["stream1", "stream2"] = True,
        fs_hidden_units: Sequence[int] = (64,),
        fs1_context: Sequence[str] | Sequence[int] | None = None,
        fs2_context: Sequence[str] | Sequence[int] | None = None,
        num_heads: int = 8,
        stream_embeddings: Literal["shared", "own"] = "shared",
        stream_loss: float = 0.0,
        linear_term: bool = False,
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

    def set_params(self, **params: Any) -> Self:
        """Set parameters, those of the streams included, such as `stream2__n_layers`.

        Parameters
        ----------
        **params : dict
            Parameters.

        Returns
        -------
        self : object
            The classifier.

        Raises
        ------
        ValueError
            If a parameter doesn't exist, or it is one of a stream that is given by its short name.
        """
        for name in params:
            stream, _, nested = name.partition("__")
            chosen = params.get(stream, getattr(self, stream, None))
            if stream in _STREAMS and nested and (chosen is None or isinstance(chosen, str)):
                raise ValueError(
                    f"{name} can't be set, since {stream}={chosen!r} has no parameters: set {stream} to a stream of "
                    f"sk_finalmlp.streams first, for example {stream}=CrossNet()."
                )
        super().set_params(**params)
        return self

    def _network_parameters(self) -> dict[str, Any]:
        parameters = super()._network_parameters()
        for name in _STREAMS:
            if parameters[name] is not None:
                parameters[name] = as_stream(parameters[name], self.fusion)
        return parameters
