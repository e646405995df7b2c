"""The network of a classifier: the arguments that make it, its weights as arrays, and a summary of what it became."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import joblib
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from .._sklearn import Summary
from .._warnings import warn
from ..nn import Ensemble, TwoStreamNetwork, embedding_parameters, fold_streams, give_vectors, members_of, votes_of
from ..schema import by_kind
from ..streams import as_stream, without_auto
from ._field_readers import FieldReader, chosen_fields, fields_of_streams
from ._parameters import automatic_dropout, automatic_embedding_dim

if TYPE_CHECKING:
    from ._finalmlp import FinalMLPClassifier

_STREAMS = ("stream1", "stream2")

NetworkClass = type[TwoStreamNetwork]
Network = TwoStreamNetwork | Ensemble


class Served(NamedTuple):
    """What a prediction reads, so that all of it is of one training."""

    network: nn.Module
    readers: list[FieldReader]

    @classmethod
    def folded(cls, network: nn.Module, readers: list[FieldReader]) -> Served:
        """Return it with the streams of the network folded."""
        fold_streams(network)
        return cls(network, readers)


def arguments_of_network(
    classifier: FinalMLPClassifier, readers: Sequence[FieldReader], n_outputs: int
) -> dict[str, Any]:
    """Return copies of the network's arguments, "members" with each one's own, "vectors" for `give_vectors`."""
    fields = [reader.field for reader in readers]
    parameters = classifier.get_params(deep=False)
    if classifier.embedding_dim == "auto":
        parameters["embedding_dim"] = automatic_embedding_dim(classifier._n_rows)
    names = inspect.signature(classifier._network_class).parameters.keys() & parameters.keys() - {"history_pooling"}
    arguments = {name: _plain(name, parameters, readers) for name in sorted(names)}
    if any(field.kind == "history" for field in fields):
        # DIN's attention is the one without a softmax.
        pooling = parameters["history_pooling"]
        arguments |= {"history_pooling": pooling.replace("din", "attention"), "history_softmax": pooling != "din"}
    elif parameters["history_pooling"] != "mean":
        warn(
            f"history_pooling={parameters['history_pooling']!r} has no effect: no column is a history. Name those that "
            "are in CTREncoder, such as histories={'clicked_items': 'item'}, or leave it at 'mean'."
        )
    vectors = {reader.field.name: reader.vectors for reader in readers if reader.vectors is not None}
    members = _arguments_of_members(parameters, readers, classifier._n_rows, classifier._new_ids)
    return {"fields": fields, "n_outputs": n_outputs, "members": members, "vectors": vectors, **arguments}


def _arguments_of_members(
    parameters: Mapping[str, Any], readers: Sequence[FieldReader], n_rows: int, new_ids: float
) -> list[dict[str, Any]]:
    """Return what each member has for itself: the fields of its streams, and their dropout rate where it is "auto"."""
    fields = [reader.field for reader in readers]
    chosen = _chosen_for_streams(parameters["stream_fields"], readers)
    n_streams = 1 if parameters["stream2"] is None else 2
    members = []
    for member in range(parameters["n_members"]):
        first, second = fields_of_streams(fields, member, new_ids)
        automatic = (first, second) if n_streams == 2 else (second, None)
        pair = [auto if own == "auto" else own for own, auto in zip(chosen, automatic, strict=True)]
        read = [f for f in fields if any(names is None or f.name in names for names in pair[:n_streams])]
        dropout = automatic_dropout(n_rows, read)
        members.append({"stream1_fields": pair[0], "stream2_fields": pair[1], "dropout": dropout})
    return members


def _plain(name: str, parameters: Mapping[str, Any], readers: Sequence[FieldReader]) -> Any:
    """Return a parameter as the network takes it."""
    value = parameters[name]
    if name in _STREAMS:
        return None if value is None else as_stream(value)
    if name == "fs_hidden_units":
        return tuple(int(width) for width in value)
    return chosen_fields(value, readers, name) if name.endswith("_context") else value


def _chosen_for_streams(stream_fields: Any, readers: Sequence[FieldReader]) -> list[Any]:
    """Return the names of the fields that each stream reads; None for all, "auto" where the user chose none."""
    is_one = stream_fields is None or isinstance(stream_fields, str)
    pair = [stream_fields] * 2 if is_one else list(stream_fields)
    if len(pair) != 2 or any(np.ndim(chosen) != 1 and chosen not in (None, "auto") for chosen in pair):
        raise ValueError(
            "stream_fields must be a pair, the fields of the first and of the second stream, such as "
            f"(['user'], None); it is {stream_fields!r}."
        )
    return [own if isinstance(own, str) else chosen_fields(own, readers, "stream_fields") for own in pair]


def check_same_arguments(arguments: Mapping[str, Any], before: Mapping[str, Any], when: str) -> None:
    """Refuse to go on with a network that other arguments would make."""
    changed = [name for name, value in arguments.items() if _comparable(value) != _comparable(before[name])]
    if "members" in changed:
        changed[changed.index("members")] = "n_members or stream_fields"
    if changed:
        raise ValueError(
            f"{when} the network stays as it is, but these parameters have changed since the first fit: {changed}. Set "
            "them back, or fit again with warm_start=False."
        )


def _comparable(value: Any) -> Any:
    """A stream by its parameters, an array by its hash; anything else as it is."""
    if isinstance(value, dict):
        return {name: _comparable(part) for name, part in value.items()}
    if hasattr(value, "get_params"):
        return type(value), _comparable(value.get_params())
    # The network has a copy of it, which may be equal to nothing but itself.
    is_plain_stream = hasattr(value, "build")
    return joblib.hash(value) if is_plain_stream or isinstance(value, np.ndarray) else value


def weights_as_arrays(network: nn.Module) -> dict[str, NDArray[Any]]:
    """The weights as plain arrays on the CPU."""
    return {name: weight.numpy(force=True) for name, weight in network.state_dict().items()}


def network_of_arrays(
    network_class: NetworkClass, arguments: Mapping[str, Any], weights: Mapping[str, NDArray[Any]]
) -> Network:
    """The network that has these weights, in evaluation mode; it takes copies of the arrays."""
    with torch.device("meta"):
        network = make_network(network_class, arguments)
    tensors = {name: torch.from_numpy(np.array(weight)) for name, weight in weights.items()}
    network.load_state_dict(tensors, assign=True)
    give_vectors(network, arguments["vectors"], tuned=False)
    return network.eval()


def make_network(
    network_class: NetworkClass, arguments: Mapping[str, Any], generator: torch.Generator | None = None
) -> Network:
    """The network with initial weights: the single one, or an ensemble."""
    shared = {name: value for name, value in arguments.items() if name not in ("members", "vectors")}
    members = []
    for own in arguments["members"]:
        given = {**shared, **own}
        dropout = given.pop("dropout")
        given |= {name: without_auto(given[name], given["fusion"], dropout) for name in _STREAMS}
        members.append(network_class(**given, generator=generator))
    network = members[0] if len(members) == 1 else Ensemble(members)
    give_vectors(network, arguments["vectors"])
    return network


def network_summaries(classifier: FinalMLPClassifier) -> list[Summary]:
    """Return tables about the network, its training and the fields."""
    network, fields, history = classifier.network_, classifier.fields_, classifier.history_
    lines = [
        ("network", _describe_network(network)),
        ("weights", _describe_size(network)),
        ("input", ", ".join(f"{n} {kind}" for kind, n in Counter(field.kind for field in by_kind(fields)).items())),
        ("training", f"{len(history)} epoch{'s' * (len(history) > 1)}, {sum(e['seconds'] for e in history):.1f} s"),
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
    weights = network.parameters(), embedding_parameters(network)
    size, of_tables = (sum(parameter.numel() for parameter in part) for part in weights)
    return f"{size:,}, {of_tables:,} of them embeddings"


def _describe_epoch(epoch: dict[str, Any]) -> str:
    if "valid_loss" not in epoch:
        return f"{epoch['epoch']}, the last: there were no validation rows"
    return (
        f"{epoch['epoch']}, with log-loss {epoch['valid_loss']:.4f} and AUC {epoch['valid_auc']:.4f} on validation rows"
    )
