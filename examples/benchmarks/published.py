"""Trains a published configuration on the public files and holds it against the published scores.

    python examples/benchmarks/published.py criteo_x1 path/to/Criteo_x1 --device cuda
    python examples/benchmarks/published.py frappe path/to/Frappe_x1 --model dcnv2 --part valid

`--model` takes another model of the family than FinalMLP, as in `published_configs`; `--part valid` scores the rows
that stop the training, where the test rows aren't at hand.

The folder holds `train.csv`, `valid.csv` and `test.csv`, or the same as `.csv.gz`, as the BARS benchmark
(github.com/reczoo/BARS) splits and publishes them: Criteo_x1, Criteo_x4, Avazu_x1, Avazu_x4, Frappe_x1 and
MovielensLatest_x1. The large ones have 30 to 40 million training rows: count with hours on a GPU and 64 GB of memory.
`--rows` takes the first rows of each file alone, to see whether all is in place; the scores are not comparable then.

Encoded as in the reference implementation: each column of codes or strings is categorical, values below the published
count are unknown, the numbers of Criteo_x1 are left as they are, those of Criteo_x4 become logarithmic buckets, and of
the hour of Avazu_x4 are made hour, weekday and weekend.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import pandas as pd
from sklearn.metrics import log_loss

from sk_finalmlp import CTREncoder, FinalMLPClassifier, published_configs
from sk_finalmlp.metrics import roc_auc_interval

Columns = tuple[str, ...]


def with_calendar(X: pd.DataFrame) -> pd.DataFrame:
    """Avazu's hour, written 14102100 for midnight of 21 October 2014, as hour, weekday and weekend."""
    time = pd.to_datetime(X["hour"], format="%y%m%d%H")
    parts = {"hour": time.dt.hour, "weekday": time.dt.day_of_week, "weekend": time.dt.day_of_week >= 5}
    return X.assign(**{name: part.astype("str") for name, part in parts.items()})


def with_missing_as_zero(X: pd.DataFrame) -> pd.DataFrame:
    """Criteo's numbers, of which the missing ones count as 0."""
    return X.fillna(dict.fromkeys(_CRITEO_NUMBERS, 0.0))


@dataclass(frozen=True)
class Benchmark:
    """A public data set: its columns, how they are encoded, and what was published.

    Parameters
    ----------
    label : str
        Column of clicks.
    categorical : tuple of str
        Columns of ids and names.
    numbers : tuple of str
        Columns of numbers for the encoder.
    as_they_are : tuple of str
        Columns of numbers that go to the network as they are.
    encoder : dict
        Parameters of the encoder.
    prepare : callable
        What happens to a table before it is encoded.
    auc, log_loss : float
        Published scores on the test rows.
    """

    label: str
    categorical: Columns
    auc: float
    log_loss: float
    numbers: Columns = ()
    as_they_are: Columns = ()
    encoder: dict[str, Any] = field(default_factory=dict)
    prepare: Callable[[pd.DataFrame], pd.DataFrame] = pd.DataFrame.copy

    def read(self, path: Path, n_rows: int | None) -> tuple[pd.DataFrame, pd.Series]:
        """Raw columns and clicks of a file."""
        numbers = self.numbers + self.as_they_are
        dtypes = {self.label: "float64"} | dict.fromkeys(self.categorical, "str") | dict.fromkeys(numbers, "float64")
        frame = pd.read_csv(path, usecols=list(dtypes), dtype=dtypes, nrows=n_rows)
        return self.prepare(frame.drop(columns=self.label)), frame[self.label].astype("int64")

    def make_encoder(self) -> CTREncoder:
        """Plain codes, as published."""
        return CTREncoder(
            drop=list(self.as_they_are), numeric=list(self.numbers), crosses=None, statistics=None, **self.encoder
        )


_CRITEO_NUMBERS = tuple(f"I{number}" for number in range(1, 14))
_CRITEO_NAMES = tuple(f"C{number}" for number in range(1, 27))
_AVAZU_X4 = (
    "hour C1 banner_pos site_id site_domain site_category app_id app_domain app_category device_id device_ip "
    "device_model device_type device_conn_type C14 C15 C16 C17 C18 C19 C20 C21"
)
_FRAPPE = "user item daytime weekday isweekend homework cost weather country city"

BENCHMARKS = {
    "criteo_x1": Benchmark("label", _CRITEO_NAMES, 0.814902, 0.437025, as_they_are=_CRITEO_NUMBERS),
    "criteo_x4": Benchmark(
        "Label",
        _CRITEO_NAMES,
        0.814584,
        0.437353,
        numbers=_CRITEO_NUMBERS,
        encoder={"numeric_encoding": "log", "min_frequency": 10},
        prepare=with_missing_as_zero,
    ),
    "avazu_x1": Benchmark("label", tuple(f"feat_{number}" for number in range(1, 23)), 0.766566, 0.365803),
    "avazu_x4": Benchmark(
        "click",
        tuple(_AVAZU_X4.split()),
        0.793537,
        0.371862,
        encoder={"min_frequency": 2},
        prepare=with_calendar,
    ),
    "frappe": Benchmark("label", tuple(_FRAPPE.split()), 0.986072, 0.148415),
    "movielens": Benchmark("label", ("user_id", "item_id", "tag_id"), 0.971968, 0.196645),
}

# AUC and log-loss on the test rows, by the logs of the BARS benchmark.
_OF_THE_FAMILY = {
    "autoint_plus_frappe": (0.984812, 0.149007),
    "dcnv2_frappe": (0.984478, 0.149149),
    "finalnet_1b_frappe": (0.985223, 0.136554),
    "finalnet_2b_frappe": (0.985744, 0.131070),
    "masknet_frappe": (0.983683, 0.169580),
    "xdeepfm_frappe": (0.984507, 0.146604),
}


def main() -> None:
    """Train, score the test rows, print the comparison."""
    arguments = _parser().parse_args()
    benchmark = BENCHMARKS[arguments.benchmark]
    encoder = benchmark.make_encoder()
    parts = {}
    for part in dict.fromkeys(("train", "valid", arguments.part)):
        X, y = benchmark.read(_file(arguments.folder, part), arguments.rows)
        encoded = encoder.fit_transform(X, y) if part == "train" else encoder.transform(X)
        parts[part] = encoded.join(X[list(benchmark.as_they_are)]), y
        print(f"{part}: {len(y)} rows, click rate {y.mean():.4f}", flush=True)
    published, classifier = _model(arguments)
    start = perf_counter()
    (X_val, y_val), (X_test, y_test) = parts["valid"], parts[arguments.part]
    classifier.fit(*parts["train"], X_val=X_val, y_val=y_val)
    print(f"fit: {perf_counter() - start:.0f} s, best epoch {classifier.best_epoch_} of {classifier.n_iter_}")
    _report(*published, y_test, classifier.predict_proba(X_test)[:, 1])


def _file(folder: Path, part: str) -> Path:
    plain = folder / f"{part}.csv"
    return plain if plain.exists() else folder / f"{part}.csv.gz"


def _model(arguments: argparse.Namespace) -> tuple[tuple[float, float], FinalMLPClassifier]:
    """Published AUC and log-loss of a model, and the model."""
    run = {"random_state": arguments.seed, "device": arguments.device, "verbose": 1}
    name = f"{arguments.model}_{arguments.benchmark}"
    benchmark = BENCHMARKS[arguments.benchmark]
    scores = (benchmark.auc, benchmark.log_loss) if arguments.model == "finalmlp" else _OF_THE_FAMILY[name]
    return scores, FinalMLPClassifier(**published_configs[name], **run)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("benchmark", choices=BENCHMARKS)
    parser.add_argument("folder", type=Path, help="folder of train.csv, valid.csv and test.csv")
    models = ["finalmlp", *sorted({name.rpartition("_")[0] for name in _OF_THE_FAMILY})]
    parser.add_argument("--model", choices=models, default="finalmlp", help="default: %(default)s")
    parser.add_argument("--part", choices=["valid", "test"], default="test", help="rows to score (default: test)")
    parser.add_argument("--rows", type=int, help="only the first rows of each file")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    parser.add_argument("--device", default="auto", help="where to train (default: %(default)s)")
    return parser


def _report(published_auc: float, published_loss: float, y: pd.Series, probability: Any) -> None:
    auc, loss = roc_auc_interval(y, probability), float(log_loss(y, probability))
    print("          published      here  difference")
    print(f"AUC       {published_auc:.6f}  {auc.auc:.6f}  {auc.auc - published_auc:+.6f}")
    print(f"log-loss  {published_loss:.6f}  {loss:.6f}  {loss - published_loss:+.6f}")
    print(f"Standard error of the AUC by the scored rows: {auc.standard_error:.6f}")


if __name__ == "__main__":
    main()
