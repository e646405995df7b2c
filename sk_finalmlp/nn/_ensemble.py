"""What training, estimators and inspection need of a network besides its logits, and several networks in one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Protocol

import torch
from torch import Tensor, nn

from ._gate import FeatureGate
from ._layers import modules_of


class ClickNetwork(Protocol):
    """A network as training, estimators and inspection see it.

    Any torch module with `forward(codes, values)` -> logits, shape (B, C), will do. The rest of this interface is
    optional and has defaults.

    Attributes
    ----------
    members : sequence of torch.nn.Module
        The networks to average the logits of. Default: the network itself.
    weights : Tensor of float32, shape (M,)
        Weight of each member in the average; training sets them if there are several members.
    loss_weights : tuple of float or None
        In training mode, a network may return several outputs: logits of shape (K, B, C), or (M, K, B, C) with members.
        The loss is the sum of the outputs' mean losses, weighted by these K weights. Default: None, the mean of all
        losses.

    Examples
    --------
    >>> from torch import nn
    >>> from sk_finalmlp.schema import Field
    >>> from sk_finalmlp.nn import FieldEmbedding, embedding_parameters
    >>> class LogisticRegression(nn.Module):
    ...     def __init__(self, fields):
    ...         super().__init__()
    ...         self.weight_of_code = FieldEmbedding(fields, embedding_dim=1)
    ...
    ...     def forward(self, codes, values):
    ...         return self.weight_of_code(codes, values).sum(dim=1)
    >>> network = LogisticRegression([Field("user", "categorical", n_codes=944)])
    >>> [parameter.shape for parameter in embedding_parameters(network)]
    [torch.Size([944, 1]), torch.Size([0, 1])]
    """

    members: Sequence[nn.Module]
    weights: Tensor
    loss_weights: tuple[float, ...] | None

    def forward(self, codes: Tensor, values: Tensor) -> Tensor:
        """Logits of a batch."""
        ...

    def embedding_parameters(self) -> Iterable[nn.Parameter]:
        """The parameters with the penalty of embeddings. Default: all layers that look up codes."""
        ...

    def start_at(self, logits: Tensor) -> None:
        """Set the initial output to these logits, shape (C,). A classifier of this library calls it before training."""
        ...

    def shift_logits(self, by: Tensor) -> None:
        """Add a constant, shape (C,), to the logits of all rows in each member.

        Training calls it to move the mean prediction to the click rate; without it, the mean isn't corrected.
        """
        ...


def members_of(network: nn.Module) -> Sequence[nn.Module]:
    """The members of a network; it averages their logits.

    Parameters
    ----------
    network : torch.nn.Module
        Any network.

    Returns
    -------
    sequence of torch.nn.Module
        `network.members` if there are any, else the network alone.

    Examples
    --------
    >>> from sk_finalmlp.schema import Field
    >>> from sk_finalmlp.nn import Ensemble, TwoStreamNetwork, members_of
    >>> network = TwoStreamNetwork([Field("user", "categorical", n_codes=944)])
    >>> len(members_of(network)), len(members_of(Ensemble([network, network])))
    (1, 2)
    """
    return getattr(network, "members", (network,))


def votes_of(network: nn.Module) -> list[float]:
    """Return the weights of the `members_of` a network in its mean logit; they sum to 1."""
    if not hasattr(network, "members"):
        return [1.0]
    return network.weights.tolist()  # type: ignore[operator]


def embedding_parameters(network: nn.Module) -> list[nn.Parameter]:
    """The parameters with the penalty of embeddings.

    Parameters
    ----------
    network : torch.nn.Module
        Any network.

    Returns
    -------
    list of torch.nn.Parameter
        The result of `network.embedding_parameters()` if there is such a method, else those of its parts, the last of
        which are layers that look up codes: `FieldEmbedding`, :class:`~torch.nn.Embedding` and
        :class:`~torch.nn.EmbeddingBag`.

    Examples
    --------
    >>> from sk_finalmlp.schema import Field
    >>> from sk_finalmlp.nn import TwoStreamNetwork, embedding_parameters
    >>> network = TwoStreamNetwork(
    ...     [Field("user", "categorical", n_codes=944)], fs1_context=["user"]
    ... )
    >>> sum(parameter.numel() for parameter in embedding_parameters(network))
    18880
    """
    own = getattr(network, "embedding_parameters", None)
    if own is None and isinstance(network, nn.Embedding | nn.EmbeddingBag):
        own = network.parameters
    of_parts = (embedding_parameters(part) for part in network.children()) if own is None else [own()]
    return list(dict.fromkeys(chain.from_iterable(of_parts)))


def context_parameters(network: nn.Module) -> list[nn.Parameter]:
    """Return the `embedding_parameters` that embed the contexts of gates."""
    contexts = [gate.context_embedding for gate in modules_of(network, FeatureGate)]
    tables = [context for context in contexts if context is not None]
    return [parameter for table in tables for parameter in table.embedding_parameters()]


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
    >>> from sk_finalmlp.nn import Ensemble, TwoStreamNetwork
    >>> fields = [
    ...     Field("user", "categorical", n_codes=944),
    ...     Field("item", "categorical", n_codes=1683),
    ... ]
    >>> ensemble = Ensemble(TwoStreamNetwork(fields) for _ in range(4))
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
        #: Weights of the losses of a member's outputs; None where it has one.
        self.loss_weights = getattr(self.members[0], "loss_weights", None)

    def start_at(self, logits: Tensor) -> None:
        """Let the output of each member start at these logits, shape (C,)."""
        for member in self.members:
            member.start_at(logits)  # type: ignore[operator]

    def shift_logits(self, by: Tensor) -> None:
        """Add a constant, shape (C,), to the logits of each member, and so to their mean."""
        for member in self.members:
            member.shift_logits(by)  # type: ignore[operator]

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
