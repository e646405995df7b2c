"""The part of the input that a stream reads."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..schema import Field, by_kind


class FieldSelection(nn.Module):
    """Select the features of some fields from those of all fields.

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
    n_statistics : int
        Number of statistics among them; their features are the last ones.

    Raises
    ------
    ValueError
        If a name isn't that of a field, or none is given.

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
        self.parts: list[slice] = []
        self.sizes: dict[str, int] = {}
        self.n_statistics = 0
        end = 0
        for field in by_kind(fields):
            if field.is_added:
                continue
            start, end = end, end + (1 if field.kind == "statistic" else embedding_dim)
            if names is None or field.name in names:
                self.sizes[field.name] = end - start
                self.n_statistics += field.kind == "statistic"
                self._extend(start, end)
        self.n_features = sum(self.sizes.values())

    def _extend(self, start: int, end: int) -> None:
        """Add a range of features, to the last one where they lie side by side."""
        if self.parts and self.parts[-1].stop == start:
            start = self.parts.pop().start
        self.parts.append(slice(start, end))

    def forward(self, e: Tensor) -> Tensor:
        """Features of the chosen fields: (B, all features) -> (B, D)."""
        parts = [e[:, part] for part in self.parts]
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)

    def spread(self, weight: Tensor, n_features: int) -> Tensor:
        """Weights of all features from those of the chosen ones, (n, D) -> (n, all features): 0 of the others."""
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
    """Raise a ValueError where a name isn't that of a field, or none is given."""
    if names is None:
        return
    known = [field.name for field in fields if not field.is_added]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(f"A stream is to read the field {unknown[0]!r}, but the fields are {known}.")
    if len(names) == 0:
        raise ValueError("A stream needs a field to read, but none is chosen.")
