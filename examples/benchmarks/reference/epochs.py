"""Training epochs of the family's models beside those of the reference implementation, FuxiCTR, on the same rows.

    FUXICTR_HOME=... python examples/benchmarks/reference/epochs.py --rows 100000

Each model in the shape that was published for Frappe, on rows of Frappe's shape, on one thread, both in turns.
`fuxictr.py` says what environment the reference needs.
"""

from __future__ import annotations

import argparse
import os
import sys
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

sys.path.append(str(Path(__file__).parents[1]))

_MLP = [400, 400, 400]

#: Name of ours, model of the reference, and the parameters that make it the same network.
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "dcnv2": ("DCNv2", {"parallel_dnn_hidden_units": _MLP, "num_cross_layers": 4, "net_dropout": 0.4}),
    "xdeepfm": ("xDeepFM", {"dnn_hidden_units": _MLP, "cin_hidden_units": [64], "net_dropout": 0}),
    "autoint_plus": (
        "AutoInt",
        {
            "dnn_hidden_units": _MLP,
            "attention_layers": 5,
            "num_heads": 4,
            "attention_dim": 128,
            "net_dropout": 0.1,
            "layer_norm": True,
            "use_scale": True,
        },
    ),
    "masknet": (
        "MaskNet",
        {
            "model_type": "ParallelMaskNet",
            "dnn_hidden_units": _MLP,
            "parallel_num_blocks": 3,
            "parallel_block_dim": 50,
            "reduction_ratio": 2,
            "net_dropout": 0.1,
            "emb_layernorm": False,
        },
    ),
    "finalnet_2b": (
        "FinalNet",
        {
            "block_type": "2B",
            "use_feature_gating": True,
            "block1_hidden_units": [400, 400],
            "block2_hidden_units": [400],
            "block1_dropout": 0.1,
            "block2_dropout": 0.1,
        },
    ),
}


def main() -> None:
    """Print seconds per epoch and their ratio for each model."""
    arguments = _parser().parse_args()
    # Libraries size their pools of threads when they are imported.
    os.environ["OMP_NUM_THREADS"] = "1"
    from _frappe import make_frappe_like
    from _timing import take_turns
    from fuxictr import written_inputs

    X, y = make_frappe_like(arguments.rows)
    print(f"{'model':16} {'reference, s':>13} {'ours, s':>9} {'ratio':>6}")
    for name in arguments.models:
        model, parameters = MODELS[name]
        configuration = _configuration(name)
        shared = {key: configuration[key] for key in ("embedding_dim", "embedding_regularizer", "batch_size")}
        with written_inputs(X, y, model, {**parameters, **shared, "learning_rate": 1e-3}) as reference_seconds:
            contestants = {"reference": reference_seconds, "ours": partial(_our_seconds, name, X, y)}
            seconds = take_turns(contestants, arguments.turns, n_warm_up=0)
        ratios = [theirs / ours for theirs, ours in zip(*seconds.values(), strict=True)]
        theirs, ours = (median(turns) for turns in seconds.values())
        print(f"{name:16} {theirs:13.2f} {ours:9.2f} {median(ratios):6.2f}", flush=True)


def _configuration(name: str) -> dict[str, Any]:
    from sk_finalmlp import published_configs

    return published_configs[f"{name}_frappe"]


def _our_seconds(name: str, X: Any, y: Any) -> float:
    from fuxictr import N_EPOCHS

    from sk_finalmlp import FinalMLPClassifier

    run = {"max_epochs": N_EPOCHS, "early_stopping": False, "random_state": 0, "device": "cpu"}
    classifier = FinalMLPClassifier(**{**_configuration(name), **run})
    return float(classifier.fit(X, y).history_[-1]["seconds"])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000, help="training rows (default: %(default)s)")
    parser.add_argument("--turns", type=int, default=3, help="runs of each (default: %(default)s)")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS), help="default: all")
    return parser


if __name__ == "__main__":
    main()
