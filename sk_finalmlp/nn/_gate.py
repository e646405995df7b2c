"""Feature selection: a gate per stream (section 3.2 of the paper, equations 4 to 6)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from ..fields import Field
from ._embedding import FieldEmbedding
from ._linear import Linear

_CONTEXT_START_STD = 0.01


class FeatureGate(nn.Module):
    """Weights, between 0 and 2, that a stream gives to the elements of the flattened embeddings.

    The gate is 2 * sigmoid(MLP(context)). The context is either the embeddings of chosen fields, from tables of
    the gate's own, or one learned vector that all rows share. At the start the gate is near 1.

    Parameters
    ----------
    fields : sequence of Field
        All fields of the input.
    context : sequence of str
        Names of the fields that condition the gate; empty for one learned vector.
    n_features : int
        Width D of the gate: of what it is multiplied onto.
    hidden_units : sequence of int
        Widths of the hidden layers.
    embedding_dim : int
        Length d of a context vector.
    generator : torch.Generator, default=None
        Source of the start weights; the global one if None.

    Notes
    -----
    In the reference implementation the learned vector and the hidden bias start at zero, where ReLU has no
    gradient, so that a gate without context fields stays constant. Here the vector starts off zero.

    References
    ----------
    Mao et al., "FinalMLP: An Enhanced Two-Stream MLP Model for CTR Prediction", AAAI 2023, section 3.2.

    Examples
    --------
    >>> import torch
    >>> from sk_finalmlp.fields import Field
    >>> from sk_finalmlp.nn import FeatureGate
    >>> gate = FeatureGate([Field("user", "categorical", n_codes=944)], ["user"], n_features=30, hidden_units=[16])
    >>> gate(codes=torch.tensor([[3], [7]]), values=torch.empty(2, 0)).shape
    torch.Size([2, 30])
    """

    def __init__(
        self,
        fields: Sequence[Field],
        context: Sequence[str],
        n_features: int,
        hidden_units: Sequence[int],
        embedding_dim: int = 10,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        _check_context(context, fields)
        if context:
            self.context_embedding = FieldEmbedding(fields, embedding_dim, names=context, generator=generator)
        else:
            self.context_vector = nn.Parameter(torch.empty(1, embedding_dim))
            nn.init.normal_(self.context_vector, std=_CONTEXT_START_STD, generator=generator)
        n_vectors = len(self.context_embedding.fields) if context else 1
        widths = [n_vectors * embedding_dim, *hidden_units]
        hidden = [
            layer
            for before, after in pairwise(widths)
            for layer in (Linear(before, after, generator=generator), nn.ReLU())
        ]
        self.mlp = nn.Sequential(*hidden, Linear(widths[-1], n_features, generator=generator))

    def forward(self, codes: Tensor, values: Tensor) -> Tensor:
        """Gate of a batch.

        Parameters
        ----------
        codes, values : Tensor
            The batch, as for `FieldEmbedding`.

        Returns
        -------
        Tensor of float32, shape (B, D) or (1, D)
            One row for all of the batch where the gate has no context fields.
        """
        return 2 * torch.sigmoid(self.mlp(self._context(codes, values)))

    def _context(self, codes: Tensor, values: Tensor) -> Tensor:
        if hasattr(self, "context_embedding"):
            context: Tensor = self.context_embedding(codes, values).flatten(start_dim=1)
            return context
        return self.context_vector


def _check_context(context: Sequence[str], fields: Sequence[Field]) -> None:
    names = [field.name for field in fields]
    for name in context:
        if name not in names:
            raise ValueError(f"A gate's context (fs1_context, fs2_context) names {name!r}, but the fields are {names}.")
