"""Gradients of a limited norm."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from ..nn import multiply_all


def clip_gradients(members: Sequence[Sequence[nn.Parameter]], max_norm: float) -> None:
    """Scale the gradient of a network's own loss to a norm where it is longer, for each member of an ensemble apart.

    Parameters
    ----------
    members : sequence of sequence of Parameter
        The parameters of each member; their gradients are those of the mean of the members' losses.
    max_norm : float
        The longest gradient, over all parameters of a member, sparse ones included.
    """
    for parameters in members:
        gradients = [_values(parameter) for parameter in parameters if parameter.grad is not None]
        norm = nn.utils.get_total_norm(gradients) * len(members)
        factor = (max_norm / (norm + 1e-6)).clamp(max=1)
        # On a GPU it would take longer to look than to multiply by 1.
        if factor.device.type != "cpu" or factor < 1:
            multiply_all(gradients, factor)


def _values(parameter: nn.Parameter) -> Tensor:
    """The numbers of a parameter's gradient."""
    assert parameter.grad is not None
    if not parameter.grad.is_sparse:
        return parameter.grad
    parameter.grad = parameter.grad.coalesce()
    return parameter.grad.values()
