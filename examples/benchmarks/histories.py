"""What a user's history is worth, and what it costs.

    python examples/benchmarks/histories.py movielens beauty --seeds 0 1 2 --beauty DATA --out build/histories.jsonl
    python examples/benchmarks/histories.py tags --tags DATA
    python examples/benchmarks/histories.py cost add_history

`movielens`: MovieLens-100K in order of time, the last tenth for the test and the tenth before it for the validation;
histories of liked and of disliked films, 50 at most. `beauty`: Amazon Beauty as in S3-Rec's repository
(RUCAIBox/CIKM2020-S3Rec, folder `data`) by the protocol of the DIN paper: of each user's actions the last one is for
the test, those before it for training, each with one other item at random as the negative. `tags`: MovieLens-10M, the
next film that a user tags, with two others that someone tagged as negatives, in order of time as above; histories of
the films, genres and tags so far (`movies.dat` and `tags.dat` of GroupLens, or of woni-seo/SiReN-reco). All compare
models without and with histories, by each pooling, with CatBoost on counts of the history. `cost`: seconds per epoch
and peak memory by the length of histories. `add_history`: seconds for a million rows.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from time import perf_counter, process_time
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from _memory import peak_bytes
from _timing import in_new_process
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.pipeline import make_pipeline

from sk_finalmlp import CTREncoder, FinalMLPClassifier
from sk_finalmlp.datasets import fetch_movielens_100k
from sk_finalmlp.metrics import grouped_auc
from sk_finalmlp.preprocessing import add_history

MODELS: dict[str, dict[str, Any] | None] = {
    "without": None,
    "mean": {"history_pooling": "mean"},
    "attention": {"history_pooling": "attention"},
    "attention without softmax": {"history_pooling": "din"},
    "transformer": {"history_pooling": "transformer"},
}
_LENGTHS = (10, 50, 200)


class Split(NamedTuple):
    """Rows in the order of training, validation and test, of which `ends` says where each ends."""

    X: pd.DataFrame
    y: np.ndarray
    ends: tuple[int, int]
    histories: dict[str, str]
    counts: list[str]
    user: str = "user"

    def part(self, name: str) -> slice:
        """Rows of a part."""
        first, second = self.ends
        return {"training": slice(first), "validation": slice(first, second), "test": slice(second, None)}[name]


def movielens(options: argparse.Namespace, rng: np.random.Generator) -> Split:
    """Ratings in order of time."""
    X, y = fetch_movielens_100k(return_X_y=True)
    order = np.argsort(X["time"].to_numpy(), kind="stable")
    X, y = X.iloc[order].reset_index(drop=True), y.to_numpy()[order]
    for name, clicked in (("liked", 1), ("disliked", 0)):
        X = add_history(X, user="user", item={name: "item"}, time="time", where=y == clicked, max_length=options.length)
        X[f"n_{name}"] = X[name].list.len().astype(float)
    X["first_genre"] = X["genres"].str[0]
    X = X.drop(columns="zip_code")
    return Split(X, y, (80_000, 90_000), {"liked": "item", "disliked": "item"}, ["n_liked", "n_disliked"])


def beauty(options: argparse.Namespace, rng: np.random.Generator) -> Split:
    """Each action but a user's first two, and as many of other items."""
    lines = (options.beauty / "Beauty.txt").read_text().splitlines()
    attributes = json.loads((options.beauty / "Beauty_item2attributes.json").read_text())
    first = {int(item): values[0] for item, values in attributes.items() if values}
    users = {int(user): np.array(items, int) for user, *items in map(str.split, lines)}
    n_items = max(items.max() for items in users.values())
    log = pd.DataFrame(
        [
            (user, item, place, place == len(items) - 1)
            for user, items in users.items()
            for place, item in enumerate(items)
        ],
        columns=["user", "item", "place", "is_last"],
    )
    targets = log[log["place"] > 0]
    negative = targets.assign(item=rng.integers(1, n_items + 1, len(targets)))
    while (
        seen := [item in users[user] for user, item in zip(negative["user"], negative["item"], strict=True)]
    ) and any(seen):
        negative.loc[seen, "item"] = rng.integers(1, n_items + 1, sum(seen))
    rows = pd.concat([targets.assign(click=1), negative.assign(click=0)])
    rows["category"], log["category"] = (frame["item"].map(first).fillna(0).astype(int) for frame in (rows, log))
    rows = add_history(
        rows,
        user="user",
        item={"history": "item", "history_category": "category"},
        time="place",
        max_length=options.length,
        log=log,
    )
    rows["n_before"] = rows["history"].list.len().astype(float)
    rows["n_same_category"] = _n_equal(rows["history_category"], rows["category"])
    # Users are split between training and validation, as the test of a user's last action leaves no time between.
    is_validation = rows["user"].to_numpy() % 10 == 0
    part = np.where(rows["is_last"], 2, is_validation)
    order = np.lexsort([rng.permutation(len(rows)), part])
    rows, sizes = rows.iloc[order].reset_index(drop=True), np.bincount(part)
    ends = int(sizes[0]), int(sizes[:2].sum())
    X = rows.drop(columns=["click", "place", "is_last"])
    histories = {"history": "item", "history_category": "category"}
    return Split(X, rows["click"].to_numpy(), ends, histories, ["n_before", "n_same_category"])


def tags(options: argparse.Namespace, rng: np.random.Generator) -> Split:
    """The first tag of each user for each film, and as often two other films that someone tagged."""
    log = _lines(options.tags / "tags.dat", r"^(?P<user>\d+);(?P<item>\d+);(?P<tag>.*);(?P<time>\d+)$")
    log = log.astype({"time": int}).sort_values("time", kind="stable").drop_duplicates(["user", "item"])
    films = _lines(options.tags / "movies.dat", r"^(?P<item>\d+);.*;(?P<genres>[^;]*)$").set_index("item")
    first_genre = films["genres"].str.split("|").str[0]
    log["genre"], log["tag"] = log["item"].map(first_genre), log["tag"].str.lower()
    negative = log.loc[log.index.repeat(2)].reset_index(drop=True)
    pairs = pd.MultiIndex.from_frame(log[["user", "item"]])
    seen = np.ones(len(negative), bool)
    while seen.any():
        negative.loc[seen, "item"] = rng.choice(log["item"], seen.sum())
        seen = pd.MultiIndex.from_frame(negative[["user", "item"]]).isin(pairs)
    negative["genre"] = negative["item"].map(first_genre)
    rows = pd.concat([log.assign(click=1), negative.assign(click=0)])
    rows = rows.iloc[np.lexsort([rng.permutation(len(rows)), rows["time"]])].reset_index(drop=True)
    histories = {"history": "item", "history_genre": "genre", "history_tag": "tag"}
    rows = add_history(rows, user="user", item=histories, time="time", max_length=options.length, log=log)
    rows["n_before"] = rows["history"].list.len().astype(float)
    for name in ("genre", "tag"):
        rows[f"n_same_{name}"] = _n_equal(rows[f"history_{name}"], rows[name])
    ends = int(0.8 * len(rows)), int(0.9 * len(rows))
    counts = ["n_before", "n_same_genre", "n_same_tag"]
    return Split(rows.drop(columns="click"), rows["click"].to_numpy(), ends, histories, counts)


def _lines(file: Path, pattern: str) -> pd.DataFrame:
    """What a pattern finds in the lines of a file of GroupLens, of which there are copies with one separator less."""
    lines = pd.Series(file.read_text(encoding="utf-8").replace("::", ";").splitlines())
    return lines.str.extract(pattern).dropna()


def _n_equal(lists: pd.Series, values: pd.Series) -> np.ndarray:
    lengths = lists.list.len().to_numpy()
    flat = lists.list.flatten().to_numpy()
    equal = flat == np.repeat(values.to_numpy(), lengths)
    return np.bincount(np.repeat(np.arange(len(lists)), lengths), equal, len(lists))


def fit_network(
    split: Split, parameters: dict[str, Any] | None, seed: int, n_members: int
) -> tuple[Callable[[str], np.ndarray], float]:
    """Probabilities of a part, and seconds per epoch."""
    X = split.X.drop(columns=split.counts)
    if parameters is None:
        X, histories = X.drop(columns=list(split.histories)), None
    else:
        histories = split.histories
    encoder = CTREncoder(histories=histories, categorical=["user", "item"], drop=_without_time(X))
    classifier = FinalMLPClassifier(
        n_members=n_members, final_epoch=False, random_state=seed, device="cpu", **(parameters or {})
    )
    training, validation = (split.part(name) for name in ("training", "validation"))
    encoded = encoder.fit_transform(X[training], split.y[training])
    classifier.fit(encoded, split.y[training], X_val=encoder.transform(X[validation]), y_val=split.y[validation])
    model = make_pipeline(encoder, classifier)
    seconds = np.median([epoch["seconds"] for epoch in classifier.history_])
    return lambda name: model.predict_proba(X[split.part(name)])[:, 1], float(seconds)


def _without_time(X: pd.DataFrame) -> list[str]:
    # Later days are unknown, whatever the model.
    return [column for column in ("time",) if column in X]


def fit_catboost(split: Split, seed: int) -> tuple[Callable[[str], np.ndarray], float]:
    """The same of CatBoost, on the columns and on counts of the history."""
    from catboost import CatBoostClassifier

    X = split.X.drop(columns=[*split.histories, *_without_time(split.X), *(c for c in ("genres",) if c in split.X)])
    texts = [column for column in X if column not in split.counts and X[column].dtype.kind != "f"]
    X = X.astype(dict.fromkeys(texts, str))
    training, validation = (split.part(name) for name in ("training", "validation"))
    model = CatBoostClassifier(
        iterations=1000, random_seed=seed, cat_features=texts, verbose=0, thread_count=1, allow_writing_files=False
    )
    start = perf_counter()
    model.fit(X[training], split.y[training], eval_set=(X[validation], split.y[validation]), early_stopping_rounds=50)
    return lambda name: model.predict_proba(X[split.part(name)])[:, 1], perf_counter() - start


def compare(name: str, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Scores of each model and seed."""
    split = {"movielens": movielens, "beauty": beauty, "tags": tags}[name](options, np.random.default_rng(0))
    for seed in options.seeds:
        for model in options.models:
            probabilities, seconds = (
                fit_catboost(split, seed)
                if model == "catboost"
                else fit_network(split, MODELS[model], seed, options.members)
            )
            record = {
                "data": name,
                "model": model,
                "seed": seed,
                "length": options.length,
                "members": options.members,
                "seconds": seconds,
            }
            for part in ("validation", "test"):
                p, y, rows = probabilities(part), split.y[split.part(part)], split.X[split.part(part)]
                record |= {
                    f"{part}_auc": roc_auc_score(y, p),
                    f"{part}_log_loss": log_loss(y, p),
                    f"{part}_grouped_auc": grouped_auc(y, p, rows[split.user]),
                }
            yield record


def epoch_cost(pooling: str, length: int) -> tuple[list[float], float]:
    """Seconds of an epoch over 50,000 rows whose histories have 1 to `length` values, and peak memory in MB."""
    rng = np.random.default_rng(0)
    n_rows = 50_000
    item = rng.integers(1, 5_000, n_rows)
    X = pd.DataFrame({"item": item, "user": rng.integers(1, 2_000, n_rows)})
    if length:
        lengths = rng.integers(1, length + 1, n_rows)
        values = np.where(np.arange(length) < lengths[:, None], rng.integers(1, 5_000, (n_rows, length)), 0)
        columns = {f"history@item@{place}": values[:, place] for place in range(length)}
        X = pd.concat([X, pd.DataFrame(columns)], axis=1)
    classifier = FinalMLPClassifier(
        n_members=1, max_epochs=4, batch_size=1024, early_stopping=False, random_state=0, device="cpu"
    )
    classifier.set_params(history_pooling=pooling).fit(X, item % 2)
    return [epoch["seconds"] for epoch in classifier.history_[1:]], peak_bytes() / 1e6


def cost(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Of each pooling and length, beside a table without a history."""
    # By its name, which a new process can import.
    measure = import_module(Path(__file__).stem).epoch_cost
    for pooling, length in [("mean", 0), *((p, n) for n in _LENGTHS for p in ("mean", "attention", "transformer"))]:
        seconds, megabytes = in_new_process(measure, pooling, length)
        yield {"model": pooling, "length": length, "seconds": np.median(seconds), "megabytes": megabytes}


def time_of_log(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Processor seconds to add the history to each row of a log."""
    rng = np.random.default_rng(0)
    for n_rows in (100_000, 1_000_000):
        X = pd.DataFrame(
            {
                "user": rng.integers(0, n_rows // 20, n_rows).astype(str),
                "item": rng.integers(0, 20_000, n_rows),
                "time": pd.to_datetime(rng.integers(0, 10**9, n_rows), unit="s"),
            }
        )
        start = process_time()
        add_history(X, user="user", item="item", time="time")
        yield {"model": "add_history", "rows": n_rows, "seconds": process_time() - start}


def main() -> None:
    """Print a line per result, and write all of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="+", choices=["movielens", "beauty", "tags", "cost", "add_history"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--models", nargs="+", choices=[*MODELS, "catboost"], default=[*MODELS, "catboost"])
    parser.add_argument("--length", type=int, default=50, help="largest length of a history")
    parser.add_argument("--members", type=int, default=2, help="networks of an ensemble (%(default)s)")
    parser.add_argument("--beauty", type=Path, help="folder of Beauty.txt and Beauty_item2attributes.json")
    parser.add_argument("--tags", type=Path, help="folder of tags.dat and movies.dat")
    parser.add_argument("--out", type=Path, default=Path("build/histories.jsonl"), help="file to add to (%(default)s)")
    options = parser.parse_args()
    for name in ("beauty", "tags"):
        if name in options.what and getattr(options, name) is None:
            parser.error(f"--{name}: name the folder of the data")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    for what in options.what:
        results = {"cost": cost, "add_history": time_of_log}.get(what)
        for record in compare(what, options) if results is None else results(options):
            print(json.dumps({"what": what, "load": round(os.getloadavg()[0], 1), **record}, default=float), flush=True)
            with options.out.open("a") as lines:
                lines.write(json.dumps({"what": what, **record}, default=float) + "\n")


if __name__ == "__main__":
    main()
