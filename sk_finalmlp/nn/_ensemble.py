"""Several networks in one."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from ._protocol import embedding_parameters


class Ensemble(nn.Module):
    """Networks that train together on the same batches and predict by the weighted mean of their logits.

    They differ in their initial weights, their dropout masks, and perhaps the fields that their streams read.

    Parameters
    ----------
    members : iterable of torch.nn.Module
        The M networks, made for the same fields; see `ClickNetwork`.

    Attributes
    ----------
    weights : Tensor of float32, shape (M,)
        Weight of each member in the mean; equal until set otherwise.

    References
    ----------
    Lakshminarayanan et al., "Simple and Scalable Predictive Uncertainty Estimation using Deep Ensembles",
    NeurIPS 2017.

    Examples
    --------
    >>> import torch
    >>> from sk_finalmlp.schema import Field
    >>> from sk_finalmlp.nn import Ensemble, FinalMLP
    >>> fields = [Field("user", "categorical", n_codes=944), Field("item", "categorical", n_codes=1683)]
    >>> ensemble = Ensemble(FinalMLP(fields) for _ in range(4))
    >>> codes, values = torch.tensor([[3, 8], [0, 5]]), torch.empty(2, 0)
    >>> ensemble(codes, values).shape, ensemble.eval()(codes, values).shape
    (torch.Size([4, 2, 1]), torch.Size([2, 1]))
    """

    weights: Tensor

    def __init__(self, members: Iterable[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        n_members = len(self.members)
        self.register_buffer("weights", torch.full((n_members,), 1 / n_members))

    def start_at(self, logits: Tensor) -> None:
        """Let the output of each member start at these logits, shape (C,)."""
        for member in self.members:
            member.start_at(logits)  # type: ignore[operator]

    def shift_logits(self, by: Tensor) -> None:
        """Add a constant, shape (C,), to the logits of each member, and so to their mean."""
        for member in self.members:
            member.shift_logits(by)  # type: ignore[operator]

    def embedding_parameters(self) -> list[nn.Parameter]:
        """The embedding parameters of all members."""
        return [parameter for member in self.members for parameter in embedding_parameters(member)]

    @property
    def loss_weights(self) -> tuple[float, ...] | None:
        """Weights of the losses of a member's outputs; None where it has one."""
        weights: tuple[float, ...] | None = getattr(self.members[0], "loss_weights", None)
        return weights

    def forward(self, codes: Tensor, values: Tensor) -> Tensor:
        """Logits of a batch.

        Parameters
        ----------
        codes, values : Tensor
            The batch, as for the members.

        Returns
        -------
        Tensor of float32, shape (M, B, C) in training, (B, C) in evaluation
            In training, the logits of each member, since each has its own loss; with K such outputs per member, the
            shape is (M, K, B, C). In evaluation, their weighted mean.
        """
        logits = torch.stack([member(codes, values) for member in self.members])
        return logits if self.training else torch.tensordot(self.weights, logits, dims=1)
