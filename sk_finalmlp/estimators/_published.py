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
# Shared by all but FinalMLP: plain networks, without its additions.
_FAMILY: dict[str, Any] = {
    "stream2": None,
    "fusion": "sum",
    "num_heads": 1,
    "feature_selection": False,
    "fs_hidden_units": (),
}

_FINALMLP: dict[str, dict[str, Any]] = {
    "finalmlp_criteo_x1": {
        "stream1": MLP((400, 400, 400), dropout=0.2),
        "stream2": MLP((1000,), dropout=0.3),
        "fs_hidden_units": (800,),
        "fs1_context": tuple(f"I{number}" for number in range(1, 14)),
        "fs2_context": ("C6",),
        "num_heads": 200,
        "embedding_regularizer": 1e-5,
    },
    "finalmlp_criteo_x4": {
        "stream1": MLP((1000,) * 5, dropout=0.2, batch_norm=False),
        "stream2": MLP((500,), dropout=0.1, batch_norm=False),
        "embedding_dim": 16,
        "feature_selection": False,
        "fs_hidden_units": (),
        "num_heads": 50,
        "embedding_regularizer": 1e-5,
        "batch_size": 10_000,
    },
    "finalmlp_avazu_x1": {
        "stream1": MLP((400, 400, 400), dropout=0.3),
        "stream2": MLP((800,), dropout=0.3),
        "fs_hidden_units": (800,),
        "num_heads": 10,
        "embedding_regularizer": 0.05,
    },
    "finalmlp_avazu_x4": {
        "stream1": MLP((2000, 2000, 2000), dropout=0.0),
        "stream2": MLP((500,), dropout=0.0, batch_norm=False),
        "embedding_dim": 16,
        "feature_selection": False,
        "fs_hidden_units": (),
        "num_heads": 20,
        "embedding_regularizer": 1e-9,
        "batch_size": 10_000,
        # The published run monitors the AUC minus the log-loss; the first epoch was the best by both.
        "n_iter_no_change": 1,
    },
    "finalmlp_frappe": {
        "stream1": MLP((400,), dropout=0.4),
        "stream2": MLP((100,), dropout=0.4),
        "fs_hidden_units": (400,),
        "fs1_context": ("user",),
        "fs2_context": ("item",),
        "num_heads": 5,
        "embedding_regularizer": 0.05,
    },
    "finalmlp_movielens": {
        "stream1": MLP((400,), dropout=0.4),
        "stream2": MLP((800,), dropout=0.2),
        "fs_hidden_units": (800,),
        "num_heads": 10,
        "embedding_regularizer": 0.01,
    },
}


def _mlp(dropout: float, batch_norm: bool = True) -> MLP:
    return MLP((400, 400, 400), dropout, batch_norm)


_OTHERS: dict[str, dict[str, Any]] = {
    "autoint_frappe": {"stream1": SelfAttention(6, 4, 128), "embedding_regularizer": 0.05},
    "autoint_movielens": {
        "stream1": SelfAttention(2, 4, 128, scaled=True, layer_norm=True),
        "linear_term": True,
        "embedding_regularizer": 0.01,
    },
    "autoint_plus_frappe": {
        "stream1": _mlp(0.1),
        "stream2": SelfAttention(5, 4, 128, scaled=True, layer_norm=True, dropout=0.1, units=None),
        "embedding_regularizer": 0.1,
    },
    "autoint_plus_movielens": {
        "stream1": _mlp(0.1),
        "stream2": SelfAttention(2, 4, 128, scaled=True, layer_norm=True, dropout=0.1, units=None),
        "linear_term": True,
        "embedding_regularizer": 0.01,
    },
    "cin_frappe": {"stream1": CIN((64, 64, 64)), "linear_term": True, "embedding_regularizer": 0.0005},
    "cin_movielens": {"stream1": CIN((32, 32, 32, 32)), "linear_term": True, "embedding_regularizer": 0.005},
    "crossnetv2_frappe": {"stream1": CrossNet(4), "embedding_regularizer": 0.001},
    "dcn_frappe": {
        "stream1": _mlp(0.2),
        "stream2": CrossNet(3, version="v1", units=None),
        "fusion": "concat",
        "embedding_regularizer": 0.05,
    },
    "dcnv2_frappe": {
        "stream1": _mlp(0.4),
        "stream2": CrossNet(4, units=None),
        "fusion": "concat",
        "embedding_regularizer": 0.05,
    },
    "dcnv2_movielens": {
        "stream1": _mlp(0.2),
        "stream2": CrossNet(5, units=None),
        "fusion": "concat",
        "embedding_regularizer": 0.01,
    },
    "finalnet_1b_frappe": {"stream1": FinalBlock((400, 400), 0.2), "embedding_regularizer": 0.1},
    "finalnet_1b_movielens": {"stream1": FinalBlock((400,), 0.1), "embedding_regularizer": 0.01},
    "finalnet_2b_frappe": {
        "stream1": FinalBlock((400, 400), 0.1, field_gate=True),
        "stream2": FinalBlock((400,), 0.1),
        "embedding_regularizer": 0.1,
    },
    "finalnet_2b_movielens": {
        "stream1": FinalBlock((400, 400), 0.0, field_gate=True),
        "stream2": FinalBlock((500,), 0.0),
        "embedding_regularizer": 0.01,
    },
    "masknet_frappe": {
        "stream1": MaskNet((400, 400, 400), 3, 50, 2.0, 0.1, embedding_norm=False),
        "embedding_regularizer": 0.1,
    },
    "masknet_movielens": {
        "stream1": MaskNet((400, 400, 400), reduction_ratio=4.0, dropout=0.5, embedding_norm=False),
        "embedding_regularizer": 0.005,
    },
    "nfm_frappe": {
        "stream1": FM((400, 400, 400), 0.4, batch_norm=False),
        "linear_term": True,
        "embedding_regularizer": 0.0001,
    },
    "xdeepfm_frappe": {
        "stream1": _mlp(0.2),
        "stream2": CIN((64,), units=None),
        "linear_term": True,
        "embedding_regularizer": 0.1,
    },
    "xdeepfm_movielens": {
        "stream1": _mlp(0.3, batch_norm=False),
        "stream2": CIN((64, 64, 64), units=None),
        "linear_term": True,
        "embedding_regularizer": 0.005,
    },
}


def _penalty(config: dict[str, Any]) -> dict[str, Any]:
    """All tables have one penalty, the gates' contexts included."""
    return {"embedding_regularizer": (config["embedding_regularizer"],) * 2}


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
published_configs: Final = _Configurations(
    {
        **{name: {**_COMMON, **own, **_penalty(own)} for name, own in _FINALMLP.items()},
        **{name: {**_COMMON, **_FAMILY, **own, **_penalty(own)} for name, own in _OTHERS.items()},
    }
)
