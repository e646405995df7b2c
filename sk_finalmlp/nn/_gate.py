"""What a stream reads: some fields, and a gate on their features (section 3.2 of the paper, equations 4 to 6)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..schema import Field, by_kind
from ._embedding import FieldEmbedding, slices_of, take_columns
from ._layers import Activation, Linear, draw_normal

_CONTEXT_START_STD = 0.01


class FieldSelection(nn.Module):
    """Select the features of some fields.

    A field with an embedding has `embedding_dim` features, a statistic has one.

    Parameters
    ----------
    fields : sequence of Field
        All fields of the input.
    embedding_dim : int
        Length d of an embedding.
    names : sequence of str, default=None
        The chosen fields; all if None.

    Attributes
    ----------
    sizes : dict of str to int
        Number of features of each chosen field, in the order of the features.
    parts : list of slice
        Positions of the chosen features among all features.
    n_features : int
        Number D of features of the chosen fields.
    n_inputs : int
        Number of features of all fields.
    n_statistics : int
        Number of statistics among them; their features are the last ones.

    Raises
    ------
    ValueError
        If no field has a name, or no name is given.

    Examples
    --------
    >>> import torch
    >>> from sk_finalmlp.schema import Field
    >>> from sk_finalmlp.nn import FieldSelection
    >>> fields = [Field("user", "categorical", n_codes=944), Field("user@rate", "statistic")]
    >>> FieldSelection(fields, embedding_dim=10, names=["user"])(torch.ones(2, 11)).shape
    torch.Size([2, 10])
    """

    def __init__(self, fields: Sequence[Field], embedding_dim: int, names: Sequence[str] | None = None) -> None:
        super().__init__()
        check_chosen(names, fields)
        with_features = [field for field in by_kind(fields) if not field.is_added]
        widths = {field.name: 1 if field.kind == "statistic" else embedding_dim for field in with_features}
        self.sizes = {name: width for name, width in widths.items() if names is None or name in names}
        self.parts = slices_of((width, name in self.sizes) for name, width in widths.items())
        self.n_statistics = sum(field.kind == "statistic" and field.name in self.sizes for field in with_features)
        self.n_features = sum(self.sizes.values())
        self.n_inputs = sum(widths.values())

    def forward(self, e: Tensor) -> Tensor:
        """Features of the chosen fields: (B, all features) -> (B, D)."""
        return take_columns(e, self.parts)

    def spread(self, weight: Tensor, n_features: int) -> Tensor:
        """Spread weights of the chosen features over all features, (n, D) -> (n, all features); the others have 0."""
        if weight.shape[1] == n_features:
            return weight
        spread = weight.new_zeros(len(weight), n_features)
        widths = [part.stop - part.start for part in self.parts]
        for part, own in zip(self.parts, torch.split(weight, widths, dim=1), strict=True):
            spread[:, part] = own
        return spread

    def extra_repr(self) -> str:
        return f"n_features={self.n_features}"


def check_chosen(names: Sequence[str] | None, fields: Sequence[Field]) -> None:
    """Raise a ValueError if a name isn't a field's, or none is given."""
    if names is None:
        return
    known = [field.name for field in fields if not field.is_added]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(f"A stream is to read the field {unknown[0]!r}, but the fields are {known}.")
    if len(names) == 0:
        raise ValueError("A stream needs a field to read, but none is chosen.")


class Gate(nn.Module):
    """Gate weights between 0 and 2, from a context: 2 * sigmoid(MLP(context)).

    Parameters
    ----------
    context_dim : int
        Width c of the context.
    n_features : int
        Number D of features that the gate multiplies.
    hidden_units : sequence of int
        Widths of the hidden layers.
    generator : torch.Generator, default=None
        Random generator of the initial weights; torch's global one if None.

    Examples
    --------
    A gate on a stream of any network, conditioned on any tensor:

    >>> import torch
    >>> from sk_finalmlp.nn import Gate
    >>> stream, context = torch.ones(4, 30), torch.zeros(4, 8)
    >>> (stream * Gate(context_dim=8, n_features=30, hidden_units=[16])(context)).shape
    torch.Size([4, 30])
    """

    def __init__(
        self, context_dim: int, n_features: int, hidden_units: Sequence[int], generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        widths = [context_dim, *hidden_units]
        hidden = [
            layer
            for before, after in pairwise(widths)
            for layer in (Linear(before, after, generator=generator), Activation(after))
        ]
        self.mlp = nn.Sequential(*hidden, Linear(widths[-1], n_features, generator=generator))

    def forward(self, context: Tensor) -> Tensor:
        """Gate of each context: (n, c) -> (n, D)."""
        return 2 * torch.sigmoid(self.mlp(context))


class FeatureGate(nn.Module):
    """Gate on the features of a stream of FinalMLP.

    The context is either the embeddings of some fields, from the gate's own tables, or one learned vector that all
    rows share. Initially, gates are close to 1.

    Parameters
    ----------
    fields : sequence of Field
        All fields of the input.
    context : sequence of str or None
        Names of the fields that the gate depends on; None or empty for one learned vector. A history counts by its
        mean.
    n_features : int
        Number D of features that the gate multiplies.
    hidden_units : sequence of int
        Widths of the hidden layers.
    embedding_dim : int, default=10
        Embedding dimension of the context fields.
    generator : torch.Generator, default=None
        Random generator of the initial weights; torch's global one if None.

    Notes
    -----
    In the reference implementation, the learned vector and the hidden bias start at zero, where ReLU has no gradient,
    so a gate without context fields stays constant. Here the initial vector isn't zero.

    References
    ----------
    Mao et al., "FinalMLP: An Enhanced Two-Stream MLP Model for CTR Prediction", AAAI 2023, section 3.2.

    Examples
    --------
    >>> import torch
    >>> from sk_finalmlp.schema import Field
    >>> from sk_finalmlp.nn import FeatureGate
    >>> gate = FeatureGate(
    ...     [Field("user", "categorical", n_codes=944)],
    ...     ["user"],
    ...     n_features=30,
    ...     hidden_units=[16],
    ... )
    >>> gate(codes=torch.tensor([[3], [7]]), values=torch.empty(2, 0)).shape
    torch.Size([2, 30])
    """

    def __init__(
        self,
        fields: Sequence[Field],
        context: Sequence[str] | None,
        n_features: int,
        hidden_units: Sequence[int],
        embedding_dim: int = 10,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        names = [] if context is None else list(context)
        known = [field.name for field in fields if not field.is_added and field.kind != "statistic"]
        if unknown := [name for name in names if name not in known]:
            raise ValueError(
                f"A gate's context (fs1_context, fs2_context) names {unknown[0]!r}, but the fields are {known}."
            )
        self.context_embedding = None
        if names:
            self.context_embedding = FieldEmbedding(fields, embedding_dim, names, generator)
        else:
            self.context_vector = nn.Parameter(torch.empty(1, embedding_dim))
            draw_normal(self.context_vector, _CONTEXT_START_STD, generator)
        self.gate = Gate(max(1, len(set(names))) * embedding_dim, n_features, hidden_units, generator)

    def forward(self, codes: Tensor, values: Tensor) -> Tensor:
        """Gate of a batch.

        Parameters
        ----------
        codes, values : Tensor
            The batch, as for `FieldEmbedding`.

        Returns
        -------
        Tensor of float32, shape (B, D) or (1, D)
            A single row for the whole batch if the gate has no context fields.
        """
        if self.context_embedding is None:
            return self.of_all_rows()
        # Accelerators would have to wait until it is known how many contexts there are.
        of_each_row = self.context_embedding.reads_values or self.context_embedding.histories
        if of_each_row or codes.device.type != "cpu":
            return self.gate(self.context_embedding(codes, values).flatten(start_dim=1))
        # Rows of one context share their gate, and a batch has far fewer users than rows.
        contexts, context_of_row = self.context_embedding.distinct(codes)
        return F.embedding(context_of_row, self.gate(contexts.flatten(start_dim=1)))

    def of_all_rows(self) -> Tensor:
        """The one gate, shape (1, D), of a gate without context fields."""
        return self.gate(self.context_vector)
