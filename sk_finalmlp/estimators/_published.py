"""The configurations that the authors of the paper published with their scores."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any, Final

# What all of them share; each parameter is set, so that other defaults change nothing here.
_COMMON: dict[str, Any] = {
    "mlp1_fields": None,
    "mlp2_fields": None,
    "mlp1_batch_norm": True,
    "mlp2_batch_norm": True,
    "feature_selection": True,
    "fs1_context": None,
    "fs2_context": None,
    "n_members": 1,
    "net_regularizer": 0.0,
    "embedding_update": "dense",
    "learning_rate": 1e-3,
    "max_epochs": 100,
    "early_stopping": True,
    "scoring": "roc_auc",
    "final_epoch": False,
    "n_iter_no_change": 2,
    "tol": 1e-6,
    "class_weight": None,
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
