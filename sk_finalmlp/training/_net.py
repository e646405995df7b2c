"""The skorch net: how impressions become a loss."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any

import torch
from skorch import NeuralNet
from skorch.callbacks import Callback
from torch import Tensor, nn

from ..nn import context_parameters, embedding_parameters, members_of, multiply_all
from ._device import Map, members_apart
from ._objective import filled, sampled_logits
from ._rows import Batches, Inputs, Labels

# Of a member's gradient, as published.
_LARGEST_NORM = 10.0


class ClickNet(NeuralNet):
    """skorch net that trains on `Batches`."""

    #: The type that factors of products are rounded to; None for none.
    autocast_dtype: torch.dtype | None = None
    #: Maps a function over the members, on threads that the training lends.
    map_members: Map = map

    def initialize_module(self) -> ClickNet:
        """Make the module, and find its members, which have separate gradients, and the parameters of all."""
        super().initialize_module()
        self.members_ = members_apart(self.module_)
        self.parameters_ = [list(member.parameters()) for member in members_of(self.module_)]
        self.all_parameters_ = list(self.module_.parameters())
        return self

    def get_default_callbacks(self) -> list[tuple[str, Callback]]:
        """None: this package's callbacks replace skorch's own."""
        return []

    def get_params_for_optimizer(self, prefix: str, named_parameters: Any) -> Any:
        """Arguments of the optimizer, one group per role, which saves calls: each has a penalty."""
        roles = {id(parameter): "embedding" for parameter in embedding_parameters(self.module_)}
        roles |= {id(parameter): "context" for parameter in context_parameters(self.module_) if id(parameter) in roles}
        by_role = [(roles.get(id(parameter), "other"), parameter) for _, parameter in named_parameters]
        return super().get_params_for_optimizer(prefix, by_role)

    @property
    def is_accelerated(self) -> bool:
        """Whether steps run on an accelerator, asynchronously unless the CPU waits for a number."""
        return torch.device(self.device).type != "cpu"

    def fit_loop(self, X: Batches, y: None = None, epochs: int = 1, **fit_params: Any) -> ClickNet:
        """Take epochs; unlike in skorch's, the CPU waits for an accelerator only at the end of each."""
        self.batches_ = X
        for _ in range(epochs):
            self.notify("on_epoch_begin", dataset_train=X)
            losses: list[Tensor] = []
            for batch in X:
                self.notify("on_batch_begin", batch=batch, training=True)
                loss = self.train_step(batch)["loss"]
                self.history.record_batch("train_batch_size", len(batch[1][0]))
                if self.is_accelerated:
                    # A copy, as it may be a view of all gradients.
                    losses.append(loss.clone())
                else:
                    self.history.record_batch("train_loss", loss.item())
                self.notify("on_batch_end", batch=batch, training=True)
            if losses:
                for record, loss in zip(self.history[-1]["batches"], torch.stack(losses).tolist(), strict=True):
                    record["train_loss"] = loss
            self.notify("on_epoch_end", dataset_train=X)
        return self

    def train_step(self, batch: tuple[Inputs, Labels], **fit_params: Any) -> dict[str, Tensor]:
        """Take a step: forward, loss and backward of each member, then clipping, and the optimizer's step."""
        if not self.module_.training:
            # Setting it on all modules in each step takes a tenth of a small step.
            self.module_.train()
        for parameter in self.all_parameters_:
            parameter.grad = None
        losses = [*self.map_members(partial(self._backward, *batch), self.members_)]
        loss = self.batches_.processes.add_gradients(self.all_parameters_, torch.stack(losses).sum())
        _clip_gradients(self.parameters_)
        self.optimizer_.step()
        return {"loss": loss}

    def _backward(self, inputs: Inputs, labels: Labels, member: nn.Module) -> Tensor:
        """Add the gradients of a member to its parameters, and return its share of the loss."""
        kind = torch.device(self.device).type
        with nullcontext() if self.autocast_dtype is None else torch.autocast(kind, self.autocast_dtype):
            logits = member(*inputs)
        loss = self.get_loss(logits.float(), labels) / len(self.members_)
        torch.autograd.backward(loss)
        return loss.detach()

    def get_loss(self, y_pred: Tensor, y_true: Labels, X: Inputs | None = None, training: bool = False) -> Tensor:
        """Mean of the weighted loss over the rows and members, summed over outputs by the network's `loss_weights`."""
        target, weight = y_true
        logits = sampled_logits(y_pred, self.batches_.negatives_kept)
        losses = self.batches_.impressions.objective.losses(logits, target) * weight
        loss_weights = getattr(self.module_, "loss_weights", None)
        if loss_weights is None:
            return losses.mean()
        return (losses.mean(dim=-1) * filled(losses, loss_weights)).sum(dim=-1).mean()


def _clip_gradients(members: Sequence[Sequence[nn.Parameter]]) -> None:
    """Scale the gradient of each member to the largest norm where it is longer; the loss is the members' mean."""
    for parameters in members:
        gradients = [_values(parameter) for parameter in parameters if parameter.grad is not None]
        norm = nn.utils.get_total_norm(gradients) * len(members)
        factor = (_LARGEST_NORM / (norm + 1e-6)).clamp(max=1)
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
