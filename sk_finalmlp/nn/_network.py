"""The two networks of the paper, put together from its parts."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..fields import Field
from ._embedding import FieldEmbedding
from ._fields import FieldSelection
from ._fusion import MultiHeadBilinearFusion
from ._gate import FeatureGate
from ._linear import Linear
from ._stream import Stream


class DualMLP(nn.Module):
    """Two streams on the same embeddings, their logits added (section 3.1 of the paper).

    Parameters
    ----------
    fields : sequence of Field
        The F input fields.
    embedding_dim : int, default=10
        Length d of a field's vector.
    mlp1_fields, mlp2_fields : sequence of str, default=None
        Names of the fields that each stream reads; all if None.
    mlp1_hidden_units, mlp2_hidden_units : sequence of int, default=(128,)
        Width of each layer of the two streams.
    mlp1_dropout, mlp2_dropout : float, default=0.2
        Dropout of the two streams, in [0, 1).
    mlp1_batch_norm, mlp2_batch_norm : bool, default=True
        Whether the streams normalise their layers over the batch.
    n_outputs : int, default=1
        Number C of logits: 1 for two classes, the number of classes for more.
    generator : torch.Generator, default=None
        Source of the start weights; the global one if None.

    References
    ----------
    Mao et al., "FinalMLP: An Enhanced Two-Stream MLP Model for CTR Prediction", AAAI 2023.

    Examples
    --------
    >>> import torch
    >>> from sk_finalmlp.fields import Field
    >>> from sk_finalmlp.nn import DualMLP
    >>> network = DualMLP([Field("user", "categorical", n_codes=944), Field("age", "numeric")])
    >>> network(codes=torch.tensor([[3], [0]]), values=torch.tensor([[0.5], [1.5]])).shape
    torch.Size([2, 1])
    """

    def __init__(
        self,
        fields: Sequence[Field],
        *,
        embedding_dim: int = 10,
        mlp1_fields: Sequence[str] | None = None,
        mlp2_fields: Sequence[str] | None = None,
        mlp1_hidden_units: Sequence[int] = (128,),
        mlp2_hidden_units: Sequence[int] = (128,),
        mlp1_dropout: float = 0.2,
        mlp2_dropout: float = 0.2,
        mlp1_batch_norm: bool = True,
        mlp2_batch_norm: bool = True,
        n_outputs: int = 1,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.embedding = FieldEmbedding(fields, embedding_dim, generator=generator)
        self.fields1 = FieldSelection(fields, embedding_dim, mlp1_fields)
        self.fields2 = FieldSelection(fields, embedding_dim, mlp2_fields)
        self.mlp1 = Stream(self.fields1.n_features, mlp1_hidden_units, mlp1_dropout, mlp1_batch_norm, generator)
        self.mlp2 = Stream(self.fields2.n_features, mlp2_hidden_units, mlp2_dropout, mlp2_batch_norm, generator)
        self.output1 = Linear(mlp1_hidden_units[-1], n_outputs, generator=generator)
        self.output2 = Linear(mlp2_hidden_units[-1], n_outputs, generator=generator)

    def start_at(self, logits: Tensor) -> None:
        """Let the output start at these logits, shape (C,), for example the log-odds of the click rate."""
        with torch.no_grad():
            self.output1.bias.copy_(logits)

    def forward(self, codes: Tensor, values: Tensor) -> Tensor:
        """Logits of a batch.

        Parameters
        ----------
        codes : Tensor of int32 or int64, shape (B, n_code_columns)
            Codes of the categorical fields, then those of the multi-valued fields.
        values : Tensor of float32, shape (B, n_values)
            Values of the numeric fields, then the statistics.

        Returns
        -------
        Tensor of float32, shape (B, C)
        """
        e = self.embedding.features(codes, values)
        o1, o2 = self.mlp1(self.fields1(e)), self.mlp2(self.fields2(e))
        logits: Tensor = self.output1(o1) + self.output2(o2)
        return logits


class FinalMLP(nn.Module):
    """Two streams on gated embeddings, fused by bilinear heads (figure 1 of the paper).

    Parameters
    ----------
    fields : sequence of Field
        The F input fields.
    embedding_dim : int, default=10
        Length d of a field's vector.
    mlp1_fields, mlp2_fields : sequence of str, default=None
        Names of the fields that each stream reads; all if None.
    mlp1_hidden_units, mlp2_hidden_units : sequence of int, default=(128,)
        Width of each layer of the two streams.
    mlp1_dropout, mlp2_dropout : float, default=0.2
        Dropout of the two streams, in [0, 1).
    mlp1_batch_norm, mlp2_batch_norm : bool, default=True
        Whether the streams normalise their layers over the batch.
    feature_selection : bool, default=True
        Whether each stream has a gate on its input.
    fs_hidden_units : sequence of int, default=(64,)
        Widths of the gates' hidden layers.
    fs1_context, fs2_context : sequence of str, default=None
        Names of the fields that condition the gate of each stream; None or empty: one learned vector.
    num_heads : int, default=8
        Number of heads of the fusion; it divides the last width of both streams.
    n_outputs : int, default=1
        Number C of logits: 1 for two classes, the number of classes for more.
    generator : torch.Generator, default=None
        Source of the start weights; the global one if None.

    References
    ----------
    Mao et al., "FinalMLP: An Enhanced Two-Stream MLP Model for CTR Prediction", AAAI 2023.

    Examples
    --------
    Modules build on the meta device, where the parameters of any vocabulary can be counted:

    >>> import torch
    >>> from sk_finalmlp.fields import Field
    >>> from sk_finalmlp.nn import FinalMLP
    >>> fields = [Field("user", "categorical", n_codes=10**6), Field("item", "categorical", n_codes=10**5)]
    >>> with torch.device("meta"):
    ...     network = FinalMLP(fields, fs1_context=["user"], fs2_context=["item"])
    >>> sum(parameter.numel() for parameter in network.parameters())
    22011946
    """

    def __init__(
        self,
        fields: Sequence[Field],
        *,
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
        n_outputs: int = 1,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.embedding = FieldEmbedding(fields, embedding_dim, generator=generator)
        self.fields1 = FieldSelection(fields, embedding_dim, mlp1_fields)
        self.fields2 = FieldSelection(fields, embedding_dim, mlp2_fields)
        self.gate1 = self.gate2 = None
        if feature_selection:
            self.gate1 = FeatureGate(
                fields, fs1_context, self.fields1.n_features, fs_hidden_units, embedding_dim, generator
            )
            self.gate2 = FeatureGate(
                fields, fs2_context, self.fields2.n_features, fs_hidden_units, embedding_dim, generator
            )
        self.mlp1 = Stream(self.fields1.n_features, mlp1_hidden_units, mlp1_dropout, mlp1_batch_norm, generator)
        self.mlp2 = Stream(self.fields2.n_features, mlp2_hidden_units, mlp2_dropout, mlp2_batch_norm, generator)
        self.fusion = MultiHeadBilinearFusion(
            mlp1_hidden_units[-1], mlp2_hidden_units[-1], n_outputs, num_heads, generator
        )

    def start_at(self, logits: Tensor) -> None:
        """Let the output start at these logits, shape (C,), for example the log-odds of the click rate."""
        with torch.no_grad():
            self.fusion.linear_x.bias.copy_(logits)

    def forward(self, codes: Tensor, values: Tensor) -> Tensor:
        """Logits of a batch.

        Parameters
        ----------
        codes : Tensor of int32 or int64, shape (B, n_code_columns)
            Codes of the categorical fields, then those of the multi-valued fields.
        values : Tensor of float32, shape (B, n_values)
            Values of the numeric fields, then the statistics.

        Returns
        -------
        Tensor of float32, shape (B, C)
        """
        e = self.embedding.features(codes, values)
        e1, e2 = self.fields1(e), self.fields2(e)
        if self.gate1 is not None and self.gate2 is not None:
            e1, e2 = self.gate1.select(e1, codes, values), self.gate2.select(e2, codes, values)
        o1, o2 = self.mlp1(e1), self.mlp2(e2)
        logits: Tensor = self.fusion(o1, o2)
        return logits
