"""FinalMLP for several tasks: a head for each, and several pairs of streams as experts, which each task mixes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from ..schema import Field
from ._fusion import MultiHeadBilinearFusion
from ._history import HistoryPooling
from ._layers import Linear
from ._network import FinalMLP
from ._stream import Stream, StreamPath, can_join, joint_outputs


class ExpertFinalMLP(FinalMLP):
    """FinalMLP with a logit for each of several tasks, and with several pairs of streams.

    With one expert it is `FinalMLP`: the tasks share both streams, and each has its own weights in the fusion. With
    more, embeddings and feature gates are shared, each expert is a pair of streams, and the streams that a task fuses
    are the means of all experts' streams, weighted by a gate of its own, softmax(W e), linear in the features e.

    Parameters
    ----------
    fields : sequence of Field
        The F input fields.
    n_experts : int, default=1
        Number of pairs of streams.
    embedding_dim, mlp1_fields, mlp2_fields, mlp1_hidden_units, mlp2_hidden_units, mlp1_dropout, mlp2_dropout
        The fields and streams, as for `FinalMLP`.
    mlp1_batch_norm, mlp2_batch_norm, feature_selection, fs_hidden_units, fs1_context, fs2_context, num_heads
        Streams, gates and heads, as for `FinalMLP`.
    stream_embeddings, stream_loss, history_pooling, history_softmax, generator
        As for `FinalMLP`; several experts have no `stream_loss`.
    n_outputs : int, default=2
        Number T of tasks.

    References
    ----------
    Ma et al., "Modeling Task Relationships in Multi-task Learning with Multi-gate Mixture-of-Experts", KDD 2018,
    equations 5 to 7.

    Examples
    --------
    >>> import torch
    >>> from sk_finalmlp.schema import Field
    >>> from sk_finalmlp.nn import ExpertFinalMLP
    >>> network = ExpertFinalMLP([Field("user", "categorical", n_codes=944)], n_experts=3, n_outputs=2)
    >>> network(torch.tensor([[3], [0]]), torch.empty(2, 0)).shape
    torch.Size([2, 2])
    """

    def __init__(
        self,
        fields: Sequence[Field],
        *,
        n_experts: int = 1,
        embedding_dim: int = 10,
        mlp1_fields: Sequence[str] | None = None,
        mlp2_fields: Sequence[str] | None = None,
        mlp1_hidden_units: Sequence[int] = (128,),
        mlp2_hidden_units: Sequence[int] = (128,),
        mlp1_dropout: float = 0.2,
        mlp2_dropout: float = 0.2,
        mlp1_batch_norm: bool = True,
        mlp2_batch_norm: bool = True,
        feature_selection: bool = True,
        fs_hidden_units: Sequence[int] = (64,),
        fs1_context: Sequence[str] | None = None,
        fs2_context: Sequence[str] | None = None,
        num_heads: int = 8,
        stream_embeddings: Literal["shared", "own"] = "shared",
        stream_loss: float = 0.0,
        history_pooling: HistoryPooling = "mean",
        history_softmax: bool = True,
        n_outputs: int = 2,
        generator: torch.Generator | None = None,
    ) -> None:
        if n_experts > 1 and stream_loss:
            raise ValueError(
                f"stream_loss={stream_loss:g} is a loss of each of two streams, and n_experts={n_experts} are mixed "
                "for each task. Set stream_loss=0 or n_experts=1."
            )
        super().__init__(
            fields,
            embedding_dim=embedding_dim,
            mlp1_fields=mlp1_fields,
            mlp2_fields=mlp2_fields,
            mlp1_hidden_units=mlp1_hidden_units,
            mlp2_hidden_units=mlp2_hidden_units,
            mlp1_dropout=mlp1_dropout,
            mlp2_dropout=mlp2_dropout,
            mlp1_batch_norm=mlp1_batch_norm,
            mlp2_batch_norm=mlp2_batch_norm,
            feature_selection=feature_selection,
            fs_hidden_units=fs_hidden_units,
            fs1_context=fs1_context,
            fs2_context=fs2_context,
            num_heads=num_heads,
            stream_embeddings=stream_embeddings,
            stream_loss=stream_loss,
            history_pooling=history_pooling,
            history_softmax=history_softmax,
            n_outputs=n_outputs,
            generator=generator,
        )
        self.n_experts, self.n_tasks = n_experts, n_outputs
        if n_experts == 1:
            return
        n1, n2 = (path.fields.n_features for path in self.paths)
        others = range(n_experts - 1)
        self.more_stream1 = nn.ModuleList(
            Stream(n1, mlp1_hidden_units, mlp1_dropout, mlp1_batch_norm, generator) for _ in others
        )
        self.more_stream2 = nn.ModuleList(
            Stream(n2, mlp2_hidden_units, mlp2_dropout, mlp2_batch_norm, generator) for _ in others
        )
        n_statistics = sum(field.kind == "statistic" for field in fields)
        n_features = len(self.embedding.fields) * embedding_dim + n_statistics
        self.task_gates = Linear(n_features, n_outputs * n_experts, bias=False, generator=generator)
        widths = mlp1_hidden_units[-1], mlp2_hidden_units[-1]
        self.fusion = TaskFusion(*widths, n_outputs, num_heads, generator)  # type: ignore[assignment]

    def _outputs(self, codes: Tensor, values: Tensor) -> list[Tensor]:
        """Output of each stream; of several experts their mean for each task, shapes (T, B, n1) and (T, B, n2)."""
        if self.n_experts == 1:
            return super()._outputs(codes, values)
        e = self.embedding.features(codes, values)
        paths = self._paths_of_experts()
        if can_join(paths):
            o = joint_outputs(paths, e)
        else:
            x = self.gated(self.features(codes, values), codes, values)
            o = [path.stream(x[number % 2]) for number, path in enumerate(paths)]
        weights = self.task_gates(e).view(len(e), self.n_tasks, self.n_experts).softmax(dim=2)
        return [torch.einsum("bte,ebn->tbn", weights, torch.stack(o[stream::2])) for stream in (0, 1)]

    def _paths_of_experts(self) -> list[StreamPath]:
        """The two streams of the first expert, then those of the second, and so on."""
        first, second = self.paths
        paths = [first, second]
        for own, other in zip(self.more_stream1, self.more_stream2, strict=True):
            paths += [first._replace(stream=own), second._replace(stream=other)]
        return paths


class TaskFusion(nn.Module):
    """A bilinear fusion for each task, of streams of its own.

    Parameters
    ----------
    x_dim, y_dim : int
        Widths of the two streams.
    n_tasks : int
        Number T of tasks.
    num_heads : int
        Number of heads; must divide both widths.
    generator : torch.Generator, default=None
        Random generator of the initial weights; torch's global one if None.
    """

    def __init__(
        self, x_dim: int, y_dim: int, n_tasks: int, num_heads: int, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        self.of_tasks = nn.ModuleList(
            MultiHeadBilinearFusion(x_dim, y_dim, 1, num_heads, generator) for _ in range(n_tasks)
        )
        self.bias = nn.Parameter(torch.zeros(n_tasks))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Fuse the streams of each task: (T, B, x_dim), (T, B, y_dim) -> (B, T)."""
        logits = [fusion(*streams) for fusion, *streams in zip(self.of_tasks, x, y, strict=True)]
        return torch.cat(logits, dim=1) + self.bias
