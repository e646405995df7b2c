"""The configurations that were published with their scores, of FinalMLP and of its family."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from sklearn.base import clone

from ..streams import CIN, FM, MLP, CrossNet, MaskNet, SelfAttention
from ..streams import Final as FinalBlock

# Shared by all; each parameter is set, so that new defaults change nothing here.
_COMMON: dict[str, Any] = {
    "fusion": "bilinear",
    "feature_selection": True,
    "fs1_context": None,
    "fs2_context": None,
    "embedding_dim": 10,
    "stream_fields": None,
    "stream_embeddings": "shared",
    "stream_loss": 0.0,
    "linear_term": False,
    "n_members": 1,
    "net_regularizer": 0.0,
    "schedule": "plateau",
    "learning_rate": 1e-3,
    "batch_size": 4096,
    "max_epochs": 100,
    "precision": "float32",
    "class_weight": None,
    "negatives_kept": 1.0,
    "negative_sampling": 1.0,
    "early_stopping": True,
    "scoring": "roc_auc",
    "final_epoch": False,
    "n_iter_no_change": 2,
}


def _finalmlp(penalty: float, stream1: MLP, stream2: MLP, num_heads: int, *gate: int, **others: Any) -> dict[str, Any]:
    """Return a FinalMLP with hidden layers of its gates, or without gates."""
    streams = {"stream1": stream1, "stream2": stream2, "num_heads": num_heads}
    gates = {"fs_hidden_units": gate, "feature_selection": bool(gate)}
    # All tables have one penalty, the gates' contexts included.
    return {**_COMMON, **streams, **gates, "embedding_regularizer": (penalty, penalty), **others}


def _other(penalty: float, stream1: Any, stream2: Any = None, **others: Any) -> dict[str, Any]:
    """Return another network of the family, a plain one without FinalMLP's additions."""
    return _finalmlp(penalty, stream1, stream2, 1, **{"fusion": "sum", **others})


def _mlp(dropout: float, batch_norm: bool = True) -> MLP:
    return MLP((400, 400, 400), dropout, batch_norm)


def _attention(n_layers: int) -> SelfAttention:
    return SelfAttention(n_layers, 4, 128, scaled=True, layer_norm=True, dropout=0.1, units=None)


_CRITEO_X4 = {"embedding_dim": 16, "batch_size": 10_000}
# The published run monitors the AUC minus the log-loss; the first epoch was the best by both.
_AVAZU_X4 = {**_CRITEO_X4, "n_iter_no_change": 1}
_NUMBERS = tuple(f"I{number}" for number in range(1, 14))

_CONFIGS: dict[str, dict[str, Any]] = {
    "finalmlp_criteo_x1": _finalmlp(
        1e-5, _mlp(0.2), MLP((1000,), 0.3), 200, 800, fs1_context=_NUMBERS, fs2_context=("C6",)
    ),
    "finalmlp_criteo_x4": _finalmlp(
        1e-5, MLP((1000,) * 5, 0.2, batch_norm=False), MLP((500,), 0.1, batch_norm=False), 50, **_CRITEO_X4
    ),
    "finalmlp_avazu_x1": _finalmlp(0.05, _mlp(0.3), MLP((800,), 0.3), 10, 800),
    "finalmlp_avazu_x4": _finalmlp(
        1e-9, MLP((2000, 2000, 2000), 0.0), MLP((500,), 0.0, batch_norm=False), 20, **_AVAZU_X4
    ),
    "finalmlp_frappe": _finalmlp(
        0.05, MLP((400,), 0.4), MLP((100,), 0.4), 5, 400, fs1_context=("user",), fs2_context=("item",)
    ),
    "finalmlp_movielens": _finalmlp(0.01, MLP((400,), 0.4), MLP((800,), 0.2), 10, 800),
    "autoint_frappe": _other(0.05, SelfAttention(6, 4, 128)),
    "autoint_movielens": _other(0.01, SelfAttention(2, 4, 128, scaled=True, layer_norm=True), linear_term=True),
    "autoint_plus_frappe": _other(0.1, _mlp(0.1), _attention(5)),
    "autoint_plus_movielens": _other(0.01, _mlp(0.1), _attention(2), linear_term=True),
    "cin_frappe": _other(0.0005, CIN((64, 64, 64)), linear_term=True),
    "cin_movielens": _other(0.005, CIN((32, 32, 32, 32)), linear_term=True),
    "crossnetv2_frappe": _other(0.001, CrossNet(4)),
    "dcn_frappe": _other(0.05, _mlp(0.2), CrossNet(3, version="v1", units=None), fusion="concat"),
    "dcnv2_frappe": _other(0.05, _mlp(0.4), CrossNet(4, units=None), fusion="concat"),
    "dcnv2_movielens": _other(0.01, _mlp(0.2), CrossNet(5, units=None), fusion="concat"),
    "finalnet_1b_frappe": _other(0.1, FinalBlock((400, 400), 0.2)),
    "finalnet_1b_movielens": _other(0.01, FinalBlock((400,), 0.1)),
    "finalnet_2b_frappe": _other(0.1, FinalBlock((400, 400), 0.1, field_gate=True), FinalBlock((400,), 0.1)),
    "finalnet_2b_movielens": _other(0.01, FinalBlock((400, 400), 0.0, field_gate=True), FinalBlock((500,), 0.0)),
    "masknet_frappe": _other(0.1, MaskNet((400, 400, 400), 3, 50, 2.0, 0.1, embedding_norm=False)),
    "masknet_movielens": _other(
        0.005, MaskNet((400, 400, 400), reduction_ratio=4.0, dropout=0.5, embedding_norm=False)
    ),
    "nfm_frappe": _other(0.0001, FM((400, 400, 400), 0.4, batch_norm=False), linear_term=True),
    "xdeepfm_frappe": _other(0.1, _mlp(0.2), CIN((64,), units=None), linear_term=True),
    "xdeepfm_movielens": _other(0.005, _mlp(0.3, batch_norm=False), CIN((64, 64, 64), units=None), linear_term=True),
}


class _Configurations(Mapping[str, Mapping[str, Any]]):
    """Configurations with streams, which are copied, so that setting their parameters changes nothing here."""

    def __init__(self, configurations: dict[str, dict[str, Any]]) -> None:
        self._configurations = configurations

    def __getitem__(self, name: str) -> Mapping[str, Any]:
        return MappingProxyType(
            {parameter: clone(value, safe=False) for parameter, value in self._configurations[name].items()}
        )

    def __iter__(self) -> Iterator[str]:
        return iter(self._configurations)

    def __len__(self) -> int:
        return len(self._configurations)


#: Published models as parameters of `FinalMLPClassifier`, by the name of model and benchmark; docs/api/estimators.rst
#: says what they go with and where they come from.
published_configs: Final = _Configurations(_CONFIGS)
