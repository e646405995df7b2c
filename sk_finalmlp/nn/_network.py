"""The two-stream network, built from its parts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from numbers import Integral
from typing import Any, Literal, Protocol, Self

import torch
from torch import Tensor, nn

from ..schema import Field
from ._embedding import FieldEmbedding
from ._fusion import Fusion, FusionName, make_fusion
from ._gate import FeatureGate, FieldSelection, check_chosen
from ._history import HistoryPooling
from ._layers import Linear, modules_of
from ._stream import (
    DEFAULT_DROPOUT,
    Stream,
    StreamPath,
    WeightAndBias,
    are_watched,
    can_join,
    fold,
    joint_outputs,
    n_features_read,
)


class StreamBuilder(Protocol):
    """Interface of an object that builds a stream, once it is known what the stream reads.

    Examples
    --------
    >>> import torch
    >>> from sk_finalmlp.schema import Field
    >>> from sk_finalmlp.nn import Stream, TwoStreamNetwork
    >>> class Wide:
    ...     def build(self, n_fields, embedding_dim, n_statistics, generator=None):
    ...         return Stream(
    ...             n_fields * embedding_dim + n_statistics, [512], generator=generator
    ...         )
    >>> network = TwoStreamNetwork(
    ...     [Field("user", "categorical", n_codes=944)], Wide(), Wide(), fusion="sum"
    ... )
    >>> network(torch.tensor([[3], [0]]), torch.empty(2, 0)).shape
    torch.Size([2, 1])
    """

    def build(
        self, n_fields: int, embedding_dim: int, n_statistics: int, generator: torch.Generator | None = None
    ) -> nn.Module:
        """Make a stream.

        Parameters
        ----------
        n_fields : int
            Number F of fields with an embedding that the stream reads.
        embedding_dim : int
            Embedding dimension d.
        n_statistics : int
            Number S of statistics that it reads; these have no embedding.
        generator : torch.Generator, default=None
            Random generator of the initial weights; torch's global one if None. Layers of torch draw from the global
            one in any case, so that no `random_state` decides about them; `Linear` of this package takes a generator.

        Returns
        -------
        torch.nn.Module
            Module that maps the gated input, the concatenated embeddings and statistics, shape (B, F * d + S), to the
            stream's output, shape (B, out_features), each row by itself. It has an attribute `out_features`.
        """
        ...


class _DefaultStream:
    """Builder of a stream with the default parameters of `streams.MLP`."""

    def build(
        self, n_fields: int, embedding_dim: int, n_statistics: int, generator: torch.Generator | None = None
    ) -> Stream:
        return Stream(n_fields * embedding_dim + n_statistics, (128,), DEFAULT_DROPOUT, True, generator)

    def __repr__(self) -> str:
        return "streams.MLP()"


_MLP = _DefaultStream()


class TwoStreamNetwork(nn.Module):
    """Network of two streams on the fields' embeddings, each behind its own gate, and a fusion of both.

    With two MLPs and the bilinear fusion, the default, it is FinalMLP (figure 1 of the paper), and with `fusion="sum"`
    and `feature_selection=False` the paper's DualMLP (section 3.1).

    Parameters
    ----------
    fields : sequence of Field
        The F input fields.
    stream1, stream2 : StreamBuilder, default=an MLP
        Builders of the streams, such as `streams.MLP`: by default, one layer of 128 units with batch norm and a dropout
        rate of .2. `stream2` may be None, for the first stream alone, with a logit linear in its output.
    fusion : {"bilinear", "sum", "concat", "product"}, default="bilinear"
        How the outputs of the streams become logits: `MultiHeadBilinearFusion`, `SumFusion`, `ConcatFusion` or
        `ProductFusion`.
    embedding_dim : int, default=10
        Embedding dimension d.
    stream1_fields, stream2_fields : sequence of str, default=None
        Names of the fields that each stream reads; all if None.
    feature_selection, fs_hidden_units, num_heads, stream_embeddings, stream_loss, linear_term
        As for :class:`sk_finalmlp.FinalMLPClassifier`.
    fs1_context, fs2_context : sequence of str, default=None
        Names of the fields that each stream's gate depends on; None or empty for one learned vector.
    history_pooling : {"mean", "attention", "transformer"}, default="mean"
        How the vectors of a history become one, as for `FieldEmbedding`.
    history_softmax : bool, default=True
        Whether the weights of "attention" are normalised.
    n_outputs : int, default=1
        Number C of logits: 1 for two classes, the number of classes for more.
    generator : torch.Generator, default=None
        Random generator of the initial weights; torch's global one if None.

    Attributes
    ----------
    stream1, stream2 : torch.nn.Module
        The streams; `stream2` is None if there is only one.
    gate1, gate2 : FeatureGate or None
        Their gates.
    fusion : torch.nn.Module
        The fusion.

    References
    ----------
    Mao et al., "FinalMLP: An Enhanced Two-Stream MLP Model for CTR Prediction", AAAI 2023.

    Examples
    --------
    >>> import torch
    >>> from sk_finalmlp.schema import Field
    >>> from sk_finalmlp.nn import TwoStreamNetwork
    >>> from sk_finalmlp.streams import MLP, CrossNet
    >>> fields = [Field("user", "categorical", n_codes=944), Field("age", "numeric")]
    >>> network = TwoStreamNetwork(fields, MLP(hidden_units=(64,)), CrossNet(), fusion="concat")
    >>> network(codes=torch.tensor([[3], [0]]), values=torch.tensor([[0.5], [1.5]])).shape
    torch.Size([2, 1])

    On the meta device, count the parameters of FinalMLP without allocating them:

    >>> fields = [
    ...     Field("user", "categorical", n_codes=10**6),
    ...     Field("item", "categorical", n_codes=10**5),
    ... ]
    >>> with torch.device("meta"):
    ...     network = TwoStreamNetwork(fields, fs1_context=["user"], fs2_context=["item"])
    >>> sum(parameter.numel() for parameter in network.parameters())
    22011946
    """

    _folded: WeightAndBias | None = None

    def __init__(
        self,
        fields: Sequence[Field],
        stream1: StreamBuilder = _MLP,
        stream2: StreamBuilder | None = _MLP,
        fusion: FusionName = "bilinear",
        *,
        embedding_dim: int = 10,
        stream1_fields: Sequence[str] | None = None,
        stream2_fields: Sequence[str] | None = None,
        feature_selection: bool | Literal["stream1", "stream2"] = True,
        fs_hidden_units: Sequence[int] = (64,),
        fs1_context: Sequence[str] | None = None,
        fs2_context: Sequence[str] | None = None,
        num_heads: int = 8,
        stream_embeddings: Literal["shared", "own"] = "shared",
        stream_loss: float = 0.0,
        linear_term: bool = False,
        history_pooling: HistoryPooling = "mean",
        history_softmax: bool = True,
        n_outputs: int = 1,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        check_chosen(stream1_fields, fields)
        check_chosen(stream2_fields, fields)
        has_own_tables = stream_embeddings == "own" and stream2 is not None
        tables1, tables2 = (stream1_fields, stream2_fields) if has_own_tables else (None, None)
        embed = partial(
            FieldEmbedding,
            fields,
            embedding_dim,
            generator=generator,
            history_pooling=history_pooling,
            history_softmax=history_softmax,
        )
        self.embedding = embed(tables1)
        self.embedding2 = embed(tables2) if has_own_tables else None
        self.fields1 = _select(self.embedding, fields, stream1_fields)
        self.fields2 = _select(self.embedding2 or self.embedding, fields, stream2_fields)
        make_gate = partial(
            FeatureGate, fields, hidden_units=fs_hidden_units, embedding_dim=embedding_dim, generator=generator
        )
        self.gate1 = self.gate2 = None
        if feature_selection in (True, "stream1"):
            self.gate1 = make_gate(fs1_context, self.fields1.n_features)
        if feature_selection in (True, "stream2") and stream2 is not None:
            self.gate2 = make_gate(fs2_context, self.fields2.n_features)
        self.stream1 = _build(stream1, self.fields1, embedding_dim, generator)
        self.stream2 = None if stream2 is None else _build(stream2, self.fields2, embedding_dim, generator)
        widths = [int(path.stream.out_features) for path in self.paths]  # type: ignore[arg-type]
        self.fusion: Fusion | Linear
        if len(widths) == 1:
            self.fusion = Linear(widths[0], n_outputs, generator=generator)
        else:
            self.fusion = make_fusion(fusion, widths[0], widths[1], n_outputs, num_heads, generator)
        # A value in a history says something else than the same value at hand, and would share its weight.
        with_weight = [field.name for field in fields if field.kind != "history"]
        self.linear_term = FieldEmbedding(fields, n_outputs, with_weight, generator) if linear_term else None
        with_loss = widths if stream_loss and len(widths) == 2 else []
        self.stream_outputs = nn.ModuleList(Linear(width, n_outputs, generator=generator) for width in with_loss)
        #: Weights of the losses of the network and of each stream; None where the network's is the only one.
        self.loss_weights = (1.0, stream_loss, stream_loss) if with_loss else None

    @property
    def paths(self) -> list[StreamPath]:
        """The streams, one or two, each with what it reads."""
        first = StreamPath(self.embedding, self.fields1, self.gate1, self.stream1)
        if self.stream2 is None:
            return [first]
        return [first, StreamPath(self.embedding2 or self.embedding, self.fields2, self.gate2, self.stream2)]

    @property
    def embeddings(self) -> list[FieldEmbedding]:
        """The embedding layers that the streams read: one that they share, or one of each."""
        return [self.embedding] if self.embedding2 is None else [self.embedding, self.embedding2]

    def fold(self) -> None:
        """Fold gates and batch norm into the first layers once, for the predictions to come, if the streams are joined.

        That holds until `train`, `eval`, `load_state_dict`, a conversion or a forward with gradients: call `eval` after
        writing to weights by other means.
        """
        if can_join(self.paths):
            with torch.no_grad():
                self._folded = fold(self.paths, n_features_read(self.paths))

    def train(self, mode: bool = True) -> Self:
        """Set the mode, of training or of evaluation."""
        self._folded = None
        return super().train(mode)

    def _apply(self, *args: Any, **kwargs: Any) -> Self:
        self._folded = None
        return super()._apply(*args, **kwargs)  # type: ignore[no-untyped-call]

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        self._folded = None
        super()._load_from_state_dict(*args, **kwargs)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_folded"}

    def start_at(self, logits: Tensor) -> None:
        """Set the initial output to these logits, shape (C,), for example the log-odds of the click rate."""
        with torch.no_grad():
            for output in (self.fusion, *self.stream_outputs):
                output.bias.copy_(logits)

    def shift_logits(self, by: Tensor) -> None:
        """Add a constant, shape (C,), to the logits of all rows."""
        with torch.no_grad():
            self.fusion.bias.add_(by.to(self.fusion.bias.device))

    def forward(self, codes: Tensor, values: Tensor) -> Tensor:
        """Logits of a batch.

        Parameters
        ----------
        codes : Tensor of int32 or int64, shape (B, n_code_columns)
            Codes of the categorical fields, then of the multi-valued fields and the histories.
        values : Tensor of float32, shape (B, n_values)
            Values of the numeric fields, then the statistics.

        Returns
        -------
        Tensor of float32, shape (B, C)
            In training with `stream_loss`, the shape is (3, B, C): the logits of the network and of each stream's own
            output, each with a loss.
        """
        o = self._outputs(codes, values)
        logits: Tensor = self.fusion(*o)
        if self.linear_term is not None:
            logits = logits + self.linear_term(codes, values).sum(dim=1)
        if not (self.training and self.stream_outputs):
            return logits
        return torch.stack([logits, *(output(own) for output, own in zip(self.stream_outputs, o, strict=True))])

    def _outputs(self, codes: Tensor, values: Tensor) -> list[Tensor]:
        """Output of each stream."""
        paths = self.paths
        if torch.is_grad_enabled():
            # Of a training in evaluation mode, for example, whose optimizer is about to change the weights.
            self._folded = None
        if can_join(paths) and not are_watched(paths):
            vectors, *statistics = self.embedding.feature_parts(codes, values)
            reads_statistics = any(path.fields.n_statistics for path in paths)
            return joint_outputs(paths, [vectors, *(statistics if reads_statistics else [])], self._folded)
        x = self.gated(self.features(codes, values), codes, values)
        return [_output(path, own) for path, own in zip(paths, x, strict=True)]

    def features(self, codes: Tensor, values: Tensor) -> list[Tensor]:
        """Features of the fields that each stream reads, before its gate.

        Parameters
        ----------
        codes, values : Tensor
            The batch, as for `forward`.

        Returns
        -------
        list of Tensor of float32, shapes (B, D1) and (B, D2)
        """
        e1 = self.embedding.features(codes, values)
        e2 = e1 if self.embedding2 is None else self.embedding2.features(codes, values)
        return [path.fields(e) for path, e in zip(self.paths, (e1, e2), strict=False)]

    def gated(self, features: Sequence[Tensor], codes: Tensor, values: Tensor) -> list[Tensor]:
        """The features of each stream, multiplied by its gate.

        Parameters
        ----------
        features : sequence of Tensor of float32, shapes (B, D1) and (B, D2)
            Output of `features`.
        codes, values : Tensor
            The batch; gates depend on it.

        Returns
        -------
        list of Tensor of float32, shapes (B, D1) and (B, D2)
        """
        return [
            own if path.gate is None else own * path.gate(codes, values)
            for path, own in zip(self.paths, features, strict=True)
        ]


def fold_streams(network: nn.Module) -> None:
    """Let the two-stream networks in a network `fold`."""
    for member in modules_of(network, TwoStreamNetwork):
        member.fold()


def _select(embedding: FieldEmbedding, fields: Sequence[Field], names: Sequence[str] | None) -> FieldSelection:
    """The chosen fields out of what an embedding layer gives: its own fields and all statistics."""
    statistics = [field for field in fields if field.kind == "statistic"]
    return FieldSelection([*embedding.fields, *statistics], embedding.embedding_dim, names)


def _build(
    builder: StreamBuilder, reads: FieldSelection, embedding_dim: int, generator: torch.Generator | None
) -> nn.Module:
    stream = builder.build(len(reads.sizes) - reads.n_statistics, embedding_dim, reads.n_statistics, generator)
    if not isinstance(stream, nn.Module):
        raise TypeError(
            f"build of {type(builder).__name__} must return the stream, a torch.nn.Module; it returned {stream!r}."
        )
    if not isinstance(getattr(stream, "out_features", None), Integral):
        raise TypeError(
            f"The stream {type(stream).__name__} has no integer attribute out_features: set it to the number of "
            "columns of its output."
        )
    return stream


def _output(path: StreamPath, x: Tensor) -> Tensor:
    """Output of a stream, which may be anybody's: of another shape, it would be broadcast."""
    try:
        output: Tensor = path.stream(x)
    except Exception as error:
        error.add_note(f"The input of the stream {type(path.stream).__name__} has the shape {tuple(x.shape)}.")
        raise
    expected = (len(x), int(path.stream.out_features))  # type: ignore[arg-type]
    if not isinstance(output, Tensor) or output.shape != expected:
        got = tuple(output.shape) if isinstance(output, Tensor) else f"a {type(output).__name__}"
        raise ValueError(
            f"The output of the stream {type(path.stream).__name__} must have the shape (number of rows, "
            f"out_features), here {expected}; it is {got}."
        )
    return output
