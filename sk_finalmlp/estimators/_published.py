"""The configurations that were published with their scores, of FinalMLP and of the family."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from sklearn.base import clone

from ..streams import CIN, FM, MLP, CrossNet, MaskNet, SelfAttention
from ..streams import Final as FinalBlock

# What all of them share; each parameter is set, so that other defaults change nothing here.
_COMMON: dict[str, Any] = {
    "mlp1_fields": None,
    "mlp2_fields": None,
    "mlp1_batch_norm": True,
    "mlp2_batch_norm": True,
    "feature_selection": True,
    "fs1_context": None,
    "fs2_context": None,
    "stream_embeddings": "shared",
    "stream_loss": 0.0,
    "n_members": 1,
    "net_regularizer": 0.0,
    "gate_regularizer": None,
    "schedule": "plateau",
    "precision": "float32",
    "learning_rate": 1e-3,
    "max_epochs": 100,
    "early_stopping": True,
    "scoring": "roc_auc",
    "final_epoch": False,
    "n_iter_no_change": 2,
    "class_weight": None,
    "negatives_kept": 1.0,
    "negative_sampling": 1.0,
}

_CONFIGS: dict[str, dict[str, Any]] = {
    "criteo_x1": {
        "embedding_dim": 10,
        "mlp1_hidden_units": (400, 400, 400),
        "mlp2_hidden_units": (1000,),
        "mlp1_dropout": 0.2,
        "mlp2_dropout": 0.3,
        "fs_hidden_units": (800,),
        "fs1_context": tuple(f"I{number}" for number in range(1, 14)),
        "fs2_context": ("C6",),
        "num_heads": 200,
        "embedding_regularizer": 1e-5,
        "batch_size": 4096,
    },
    "criteo_x4": {
        "embedding_dim": 16,
        "mlp1_hidden_units": (1000,) * 5,
        "mlp2_hidden_units": (500,),
        "mlp1_dropout": 0.2,
        "mlp2_dropout": 0.1,
        "mlp1_batch_norm": False,
        "mlp2_batch_norm": False,
        "feature_selection": False,
        "fs_hidden_units": (),
        "num_heads": 50,
        "embedding_regularizer": 1e-5,
        "batch_size": 10_000,
    },
    "avazu_x1": {
        "embedding_dim": 10,
        "mlp1_hidden_units": (400, 400, 400),
        "mlp2_hidden_units": (800,),
        "mlp1_dropout": 0.3,
        "mlp2_dropout": 0.3,
        "fs_hidden_units": (800,),
        "num_heads": 10,
        "embedding_regularizer": 0.05,
        "batch_size": 4096,
    },
    "avazu_x4": {
        "embedding_dim": 16,
        "mlp1_hidden_units": (2000, 2000, 2000),
        "mlp2_hidden_units": (500,),
        "mlp1_dropout": 0.0,
        "mlp2_dropout": 0.0,
        "mlp2_batch_norm": False,
        "feature_selection": False,
        "fs_hidden_units": (),
        "num_heads": 20,
        "embedding_regularizer": 1e-9,
        "batch_size": 10_000,
        # The published run monitors the AUC minus the log-loss; the first epoch was the best by both.
        "n_iter_no_change": 1,
    },
    "frappe": {
        "embedding_dim": 10,
        "mlp1_hidden_units": (400,),
        "mlp2_hidden_units": (100,),
        "mlp1_dropout": 0.4,
        "mlp2_dropout": 0.4,
        "fs_hidden_units": (400,),
        "fs1_context": ("user",),
        "fs2_context": ("item",),
        "num_heads": 5,
        "embedding_regularizer": 0.05,
        "batch_size": 4096,
    },
    "movielens": {
        "embedding_dim": 10,
        "mlp1_hidden_units": (400,),
        "mlp2_hidden_units": (800,),
        "mlp1_dropout": 0.4,
        "mlp2_dropout": 0.2,
        "fs_hidden_units": (800,),
        "num_heads": 10,
        "embedding_regularizer": 0.01,
        "batch_size": 4096,
    },
}

#: Published parameters of `FinalMLPClassifier`, by the name of the benchmark: "criteo_x1", "criteo_x4", "avazu_x1",
#: "avazu_x4", "frappe" and "movielens" (MovieLens tags). Each sets every parameter that decides about the model, so
#: that it stays what was published when defaults change. They go with plain codes: `CTREncoder(statistics=None)`,
#: with `numeric_encoding="log"` and `min_frequency=10` for "criteo_x4", whose missing numbers count as 0, and
#: `min_frequency=2` for "avazu_x4"; `examples/benchmarks/published.py` trains them on the public files.
#:
#: Source: table of published configurations of FinalMLP in the BARS benchmark, and Mao et al., "FinalMLP: An Enhanced
#: Two-Stream MLP Model for CTR Prediction", AAAI 2023, section 4.1.
#:
#: >>> from sk_finalmlp import FinalMLPClassifier, finalmlp_configs
#: >>> FinalMLPClassifier(**finalmlp_configs["frappe"]).num_heads
#: 5
finalmlp_configs: Final = MappingProxyType(
    {name: MappingProxyType({**_COMMON, **own}) for name, own in _CONFIGS.items()}
)

# What all of the family share: plain networks, without what FinalMLP adds.
_FAMILY: dict[str, Any] = {
    "stream2": None,
    "fusion": "sum",
    "embedding_dim": 10,
    "stream1_fields": None,
    "stream2_fields": None,
    "feature_selection": False,
    "fs_hidden_units": (),
    "fs1_context": None,
    "fs2_context": None,
    "num_heads": 1,
    "linear_term": False,
    "batch_size": 4096,
    **{name: value for name, value in _COMMON.items() if not name.startswith(("mlp", "feature", "fs"))},
}


def _mlp(dropout: float, batch_norm: bool = True) -> MLP:
    return MLP((400, 400, 400), dropout, batch_norm)


_FAMILY_CONFIGS: dict[str, dict[str, Any]] = {
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


class _Configurations(Mapping[str, Mapping[str, Any]]):
    """Configurations with streams, which are copied, so that whoever sets their parameters changes nothing here."""

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


#: Published models of the two-stream family as parameters of `TwoStreamClassifier`, by the name of model and benchmark,
#: such as "dcnv2_frappe". Each sets every parameter that decides about the model. They go with plain codes,
#: `CTREncoder(statistics=None)`. FinalNet of two blocks was trained with a loss between the blocks that isn't here.
#:
#: Source: configurations and logs of the BARS benchmark, https://github.com/reczoo/BARS.
#:
#: >>> from sk_finalmlp import TwoStreamClassifier, two_stream_configs
#: >>> TwoStreamClassifier(**two_stream_configs["dcnv2_frappe"]).stream2
#: CrossNet(n_layers=4, units=None)
two_stream_configs: Final = _Configurations({name: {**_FAMILY, **own} for name, own in _FAMILY_CONFIGS.items()})
