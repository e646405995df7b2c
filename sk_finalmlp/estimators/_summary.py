"""A fitted classifier in a few lines."""

from __future__ import annotations

from collections import Counter
from typing import Any

from torch import nn

from .._html import FittedSummary, Summary
from ..fields import Field, by_kind
from ..nn import Ensemble


class NetworkSummary(FittedSummary):
    """Mixin that shows network, training and fields of a classifier."""

    def _summaries(self: Any) -> list[Summary]:
        lines = [
            ("network", _describe_network(self.network_)),
            ("weights", _describe_size(self.network_)),
            ("input", _describe_fields(self.fields_)),
            ("training", _describe_training(self.history_)),
            ("best epoch", _describe_epoch(self.history_[self.best_epoch_ - 1])),
        ]
        fields = [(field.name, field.kind, f"{field.n_codes:,}" if field.has_codes else "") for field in self.fields_]
        return [
            Summary("Network", (), lines, is_open=True),
            Summary("Fields", ("field", "kind", "codes"), fields),
        ]


def _describe_network(network: nn.Module) -> str:
    if not isinstance(network, Ensemble):
        return type(network).__name__
    votes = ", ".join(f"{weight:.2f}" for weight in network.weights.tolist())
    return f"{len(network.members)} x {type(network.members[0]).__name__}, voting by {votes}"


def _describe_size(network: nn.Module) -> str:
    sizes = {name: weight.numel() for name, weight in network.named_parameters()}
    of_tables = sum(size for name, size in sizes.items() if "embedding" in name)
    return f"{sum(sizes.values()):,}, of which {of_tables:,} are embeddings"


def _describe_fields(fields: list[Field]) -> str:
    counts = Counter(field.kind for field in by_kind(fields))
    return ", ".join(f"{count} {kind}" for kind, count in counts.items())


def _describe_training(history: list[dict[str, Any]]) -> str:
    n_epochs = len(history)
    seconds = sum(epoch["seconds"] for epoch in history)
    return f"{n_epochs} epoch{'s' if n_epochs > 1 else ''}, {seconds:.1f} s"


def _describe_epoch(epoch: dict[str, Any]) -> str:
    if "valid_loss" not in epoch:
        return f"{epoch['epoch']}, the last: there were no validation rows"
    return (
        f"{epoch['epoch']}, with log-loss {epoch['valid_loss']:.4f} and AUC {epoch['valid_auc']:.4f} on validation rows"
    )
