"""The network of a classifier: the arguments that make it, and its weights as arrays that any machine can read."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ..fields import Field
from ..nn import DualMLP, Ensemble, FinalMLP
from ..training import Impressions
from ._fields import fields_of_streams

NetworkClass = type[DualMLP | FinalMLP]
Network = DualMLP | FinalMLP | Ensemble


def arguments_of_network(
    network_class: NetworkClass, parameters: Mapping[str, Any], fields: list[Field], n_classes: int
) -> dict[str, Any]:
    """Arguments that make the network; copies, so that the caller's lists can change.

    Parameters
    ----------
    network_class : type
        Class of a single network.
    parameters : mapping of {str: object}
        Parameters of the classifier; those of the same names are the network's.
    fields : list of Field
        The input fields.
    n_classes : int
        Number of classes.

    Returns
    -------
    dict
        Arguments that all members share, and "members": those of each of its own.
    """
    names = inspect.signature(network_class).parameters.keys() & parameters.keys()
    arguments = {name: parameters[name] for name in sorted(names)}
    for name, value in arguments.items():
        if name.endswith("_hidden_units"):
            arguments[name] = tuple(int(width) for width in value)
        elif name.endswith(("_context", "_fields")) and not isinstance(value, str):
            arguments[name] = None if value is None else tuple(str(field) for field in value)
    chosen = {name: arguments.pop(name) for name in ("mlp1_fields", "mlp2_fields")}
    members = []
    for member in range(parameters["n_members"]):
        automatic = dict(zip(chosen, fields_of_streams(fields, member), strict=True))
        members.append({name: automatic[name] if value == "auto" else value for name, value in chosen.items()})
    n_outputs = 1 if n_classes == 2 else n_classes
    return {"fields": fields, "n_outputs": n_outputs, "members": members, **arguments}


def check_same_arguments(arguments: Mapping[str, Any], before: Mapping[str, Any]) -> None:
    """Refuse to go on with a network that other arguments would make."""
    changed = [name for name, value in arguments.items() if value != before[name]]
    if "members" in changed:
        changed[changed.index("members")] = "n_members, mlp1_fields or mlp2_fields"
    if changed:
        raise ValueError(
            f"With warm_start=True the network stays as it is, but these parameters have changed since the first "
            f"fit: {changed}. Set them back, or set warm_start=False."
        )


def start_network(
    network_class: NetworkClass, arguments: Mapping[str, Any], training: Impressions, generator: torch.Generator
) -> Network:
    """A network with start weights; before anything is learned, it predicts the share of each class."""
    network = _make_network(network_class, arguments, generator)
    network.start_at(_log_odds(training, arguments["n_outputs"]))
    return network


def weights_as_arrays(network: nn.Module) -> dict[str, NDArray[Any]]:
    """The weights as plain arrays on the CPU."""
    return {name: weight.numpy(force=True) for name, weight in network.state_dict().items()}


def network_of_arrays(
    network_class: NetworkClass, arguments: Mapping[str, Any], weights: Mapping[str, NDArray[Any]]
) -> Network:
    """The network that has these weights, in evaluation mode; it takes copies of the arrays."""
    with torch.device("meta"):
        network = _make_network(network_class, arguments)
    network.load_state_dict({name: torch.from_numpy(np.array(weight)) for name, weight in weights.items()}, assign=True)
    return network.eval()


def _make_network(
    network_class: NetworkClass, arguments: Mapping[str, Any], generator: torch.Generator | None = None
) -> Network:
    shared = {name: value for name, value in arguments.items() if name != "members"}
    members = [network_class(**shared, **own, generator=generator) for own in arguments["members"]]
    return members[0] if len(members) == 1 else Ensemble(members)


def _log_odds(training: Impressions, n_outputs: int) -> torch.Tensor:
    """The logits that predict the share of each class, so that rare clicks need not be learned first."""
    log_share = torch.bincount(training.target, weights=training.weight.double()).log()
    return log_share[1:] - log_share[0] if n_outputs == 1 else log_share - log_share.mean()
