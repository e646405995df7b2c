"""FuxiCTR's DIN beside our attention over histories, on the same rows: scores, and seconds per epoch in turns.

    FUXICTR_HOME=... python examples/benchmarks/fuxictr_din.py --beauty DATA --seeds 0 1 2

`fuxictr.py` says which environment it wants, here with "numpy<2", "pandas<3" and "pyarrow<19" for the histories, and
`histories.py` which data. Both have the same dimension, hidden layers, batches and penalty of embeddings, and the same
columns: user, item, category, and the histories of the latter two, without statistics. Each
stops by the same validation rows, at most after `--epochs`. Ours has two streams of these layers where DIN has one, and
its seconds are those of whole epochs; theirs leave the scores of the validation rows out.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from fuxictr import run, write_config
from histories import Split, beauty
from sklearn.metrics import log_loss, roc_auc_score

from sk_finalmlp import CTREncoder, FinalMLPClassifier
from sk_finalmlp.streams import MLP

_DIM, _WIDTHS, _ATTENTION_WIDTH = 16, (200, 80), 32
_IDS = ("user", "item", "category")


def theirs(split: Split, seed: int, options: argparse.Namespace) -> dict[str, float]:
    """Scores of the test rows, and the median of the epochs' seconds."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write_rows(split, folder)
        write_config(folder, _columns(split, options.length), _experiment(seed, options))
        config = folder / "model_config.yaml"
        # JSON has no tuples, by which DIN takes fields together.
        config.write_text(re.sub(r"\[(\[[^][]*\])\]", r"[!!python/tuple \1]", config.read_text()))
        log = list(run(folder, "DIN"))
    return {**_last_scores(log), "seconds": float(np.median(_seconds_of_epochs(log)))}


def _write_rows(split: Split, folder: Path) -> None:
    table = split.X.drop(columns=split.counts).assign(click=split.y)
    for history in split.histories:
        table[history] = ["^".join(map(str, values)) for values in table[history].to_numpy()]
    for name, part in (("train", "training"), ("valid", "validation"), ("test", "test")):
        table[split.part(part)].to_csv(folder / f"{name}.csv", index=False)


def _columns(split: Split, length: int) -> list[dict[str, Any]]:
    ids = [{"name": name, "active": True, "dtype": "str", "type": "categorical"} for name in _IDS]
    common = {"active": True, "dtype": "str", "type": "sequence", "splitter": "^", "max_len": length, "padding": "pre"}
    histories = [
        {"name": history, "share_embedding": of, "feature_encoder": None, **common}
        for history, of in split.histories.items()
    ]
    return [*ids, *histories]


def _experiment(seed: int, options: argparse.Namespace) -> dict[str, Any]:
    return {
        "model": "DIN",
        # Its AUC within users takes longer than an epoch.
        "metrics": ["AUC", "logloss"],
        "embedding_dim": _DIM,
        "dnn_hidden_units": list(_WIDTHS),
        "dnn_activations": "relu",
        "attention_hidden_units": [_ATTENTION_WIDTH],
        "attention_hidden_activations": "Dice",
        "attention_output_activation": None,
        "attention_dropout": 0,
        "din_target_field": [["item", "category"]],
        "din_sequence_field": [["history", "history_category"]],
        "din_use_softmax": options.softmax,
        "net_dropout": options.dropout,
        "batch_norm": True,
        "embedding_regularizer": options.penalty,
        "net_regularizer": 0,
        "learning_rate": 1e-3,
        "batch_size": options.batch_size,
        "epochs": options.epochs,
        "seed": seed,
    }


def _seconds_of_epochs(log: list[tuple[float, str]]) -> list[float]:
    starts = [time for time, line in log if "Epoch=1 start" in line or (" end **" in line and "Epoch=" in line)]
    ends = [time for time, line in log if "Train loss" in line]
    return [end - start for start, end in zip(starts, ends, strict=False)]


def _last_scores(log: list[tuple[float, str]]) -> dict[str, float]:
    """Those of validation and test rows, which are written in the end."""
    lines = [line.split("[Metrics]")[1] for _, line in log if "[Metrics]" in line][-2:]
    names = {"AUC": "auc", "logloss": "log_loss"}
    return {
        f"{part}_{names[name]}": float(value)
        for part, line in zip(("validation", "test"), lines, strict=True)
        for name, value in (score.split(":") for score in line.replace(" ", "").strip().split("-"))
    }


def ours(split: Split, seed: int, options: argparse.Namespace) -> dict[str, float]:
    """The same of one network with attention."""
    X = split.X.drop(columns=split.counts)
    encoder = CTREncoder(histories=split.histories, categorical=list(_IDS), statistics=None, max_length=options.length)
    classifier = FinalMLPClassifier(
        embedding_dim=_DIM,
        stream1=MLP(_WIDTHS),
        stream2=MLP(_WIDTHS),
        history_pooling="attention" if options.softmax else "din",
        n_members=1,
        embedding_regularizer=options.penalty,
        batch_size=options.batch_size,
        final_epoch=False,
        random_state=seed,
        device="cpu",
    )
    training, validation = (split.part(name) for name in ("training", "validation"))
    encoded = encoder.fit_transform(X[training], split.y[training])
    classifier.fit(encoded, split.y[training], X_val=encoder.transform(X[validation]), y_val=split.y[validation])
    found = {"seconds": float(np.median([epoch["seconds"] for epoch in classifier.history_]))}
    for part in ("validation", "test"):
        rows, y = X[split.part(part)], split.y[split.part(part)]
        p = classifier.predict_proba(encoder.transform(rows))[:, 1]
        found |= {f"{part}_auc": float(roc_auc_score(y, p)), f"{part}_log_loss": float(log_loss(y, p))}
    return found


def main() -> None:
    """A line for each network and seed, and the ratio of their epochs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--beauty", type=Path, required=True, help="folder of the data")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--only", choices=["theirs", "ours"], help="one of the two")
    parser.add_argument("--length", type=int, default=50, help="largest length of a history (%(default)s)")
    parser.add_argument("--batch-size", type=int, default=2048, help="rows of a step (%(default)s)")
    parser.add_argument("--epochs", type=int, default=10, help="of theirs, at most (%(default)s)")
    parser.add_argument("--penalty", type=float, default=1e-2, help="embedding_regularizer (%(default)s)")
    parser.add_argument("--dropout", type=float, default=0.2, help="their net_dropout (%(default)s)")
    parser.add_argument("--softmax", action=argparse.BooleanOptionalAction, default=True, help="of the weights")
    options = parser.parse_args()
    split = beauty(options, np.random.default_rng(0))
    contestants = {"FuxiCTR": theirs, "sk_finalmlp": ours}
    if options.only:
        contestants = {name: fit for name, fit in contestants.items() if fit.__name__ == options.only}
    for seed in options.seeds:
        seconds = {}
        for name, fit in contestants.items():
            found = fit(split, seed, options)
            seconds[name] = found["seconds"]
            print(json.dumps({"model": name, "seed": seed, "load": round(os.getloadavg()[0], 1), **found}), flush=True)
        if len(seconds) == 2:
            print(json.dumps({"seed": seed, "epoch of FuxiCTR / ours": seconds["FuxiCTR"] / seconds["sk_finalmlp"]}))


if __name__ == "__main__":
    main()
