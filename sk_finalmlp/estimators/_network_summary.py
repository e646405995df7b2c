"""A fitted classifier in a few lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from torch import nn

from .._sklearn import Summary
from ..nn import embedding_parameters, members_of, votes_of
from ..schema import Field, by_kind

if TYPE_CHECKING:
    from ._finalmlp import FinalMLPClassifier


def network_summaries(classifier: FinalMLPClassifier) -> list[Summary]:
    """Return tables about the network, its training and the fields."""
    network, fields, history = classifier.network_, classifier.fields_, classifier.history_
    lines = [
        ("network", _describe_network(network)),
        ("weights", _describe_size(network)),
        ("input", _describe_fields(fields)),
        ("training", _describe_training(history)),
        ("best epoch", _describe_epoch(history[classifier.best_epoch_ - 1])),
    ]
    rows = [(field.name, field.kind, f"{field.n_codes:,}" if field.has_codes else "") for field in fields]
    return [Summary("Network", (), lines, is_open=True), Summary("Fields", ("field", "kind", "codes"), rows)]


def _describe_network(network: nn.Module) -> str:
    members = members_of(network)
    if len(members) == 1:
        return type(network).__name__
    votes = ", ".join(f"{weight:.2f}" for weight in votes_of(network))
    return f"{len(members)} x {type(members[0]).__name__}, voting by {votes}"


def _describe_size(network: nn.Module) -> str:
    size, of_tables = (_n_weights(part) for part in (network.parameters(), embedding_parameters(network)))
    return f"{size:,}, of which {of_tables:,} are embeddings"


def _n_weights(parameters: Iterable[nn.Parameter]) -> int:
    return sum(parameter.numel() for parameter in parameters)


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
