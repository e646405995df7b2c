"""The compressed interaction network of xDeepFM."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .._linear import Linear
from ._field_vectors import FieldVectors


class CINStream(nn.Module):
    """Compressed interaction network, which multiplies and mixes the fields' embeddings layer by layer.

    With X^0 the embeddings of the fields, row h of layer k is the vector X^k_h = sum over i and j of
    W^{k,h}_ij X^{k-1}_i * X^0_j + b^{k,h}. The output is the sum over the elements of each row of each layer.

    Parameters
    ----------
    n_fields : int
        Number F of fields.
    embedding_dim : int
        Embedding dimension d.
    n_statistics : int
        Number S of statistics.
    hidden_units : sequence of int
        Number H_k of rows of each layer.
    generator : torch.Generator, default=None
        Random generator of the initial weights; torch's global one if None.

    Notes
    -----
    As in the paper's equations, there is no activation, and all rows of a layer enter the next one. The authors' code
    has an activation and passes on half of the rows.

    References
    ----------
    Lian et al., "xDeepFM: Combining Explicit and Implicit Feature Interactions for Recommender Systems", KDD 2018,
    arXiv:1803.05170, equations 6 and 8.

    Examples
    --------
    >>> import torch
    >>> from sk_finalmlp.nn import CINStream
    >>> CINStream(n_fields=3, embedding_dim=10, n_statistics=0, hidden_units=[16, 8])(torch.ones(5, 30)).shape
    torch.Size([5, 24])
    """

    def __init__(
        self,
        n_fields: int,
        embedding_dim: int,
        n_statistics: int,
        hidden_units: Sequence[int],
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.vectors = FieldVectors(n_fields, embedding_dim, n_statistics, generator)
        self.layers = nn.ModuleList()
        n_rows = self.vectors.n_vectors
        for width in hidden_units:
            self.layers.append(Linear(n_rows * self.vectors.n_vectors, width, generator=generator))
            n_rows = width
        self.out_features = sum(hidden_units)

    def forward(self, x: Tensor) -> Tensor:
        """Interactions of a batch, (B, F * d + S) -> (B, sum of H_k)."""
        # An element of the vectors is a row here: (B * d, F).
        x0 = self.vectors(x).transpose(1, 2).flatten(end_dim=1)
        rows, pooled = x0, []
        for layer in self.layers:
            # As a product of matrices, whose derivative makes no other matrix of this size.
            rows = layer(torch.bmm(rows.unsqueeze(2), x0.unsqueeze(1)).flatten(start_dim=1))
            pooled.append(rows.view(len(x), -1, rows.shape[1]).sum(dim=1))
        return torch.cat(pooled, dim=1)
