"""Two labels by one network, against a network for each: synthetic clicks and conversions, and Hillstrom's e-mails.

    python examples/benchmarks/two_labels.py funnel rare hillstrom --seeds 0 1 2

prints a row for each data set, seed and model: AUC and log-loss of each label on rows that no model has seen, the error
of the probabilities where the true ones are known, and seconds of one core. "two models" are a pipeline for each label.

Hillstrom's table (64,000 customers; visit, conversion) is "MineThatData E-Mail Analytics And Data Mining Challenge"
(2008); the environment variable HILLSTROM names the file `hillstrom.csv`.
"""

from __future__ import annotations

import argparse
import os
import time
from typing import Any, Literal

import numpy as np
import pandas as pd
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from sk_finalmlp import CTREncoder, FinalMLPClassifier, FunnelClassifier
from sk_finalmlp.datasets import make_funnel_data

HILLSTROM = "HILLSTROM"
Table = tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame | None]

#: Shares of impressions with a click, and of clicks with a conversion.
_RATES = {"funnel": (0.1, 0.1), "rare": (0.1, 0.05)}
_N_ROWS = 30_000


def read(name: str, seed: int) -> Table:
    """Rows, labels, and their true probabilities where these are known."""
    if name != "hillstrom":
        click_rate, conversion_rate = _RATES[name]
        return make_funnel_data(_N_ROWS, click_rate=click_rate, conversion_rate=conversion_rate, random_state=seed)
    if HILLSTROM not in os.environ:
        raise OSError(f"${HILLSTROM} doesn't name the file hillstrom.csv.")
    frame = pd.read_csv(os.environ[HILLSTROM])
    return frame.drop(columns=["visit", "conversion", "spend"]), frame[["visit", "conversion"]], None


class TwoModels:
    """An encoder and a network for each label."""

    def __init__(self, **parameters: Any) -> None:
        self.parameters = parameters

    def fit(self, X: pd.DataFrame, Y: pd.DataFrame) -> TwoModels:
        self.models = [make_pipeline(CTREncoder(), FinalMLPClassifier(**self.parameters)).fit(X, Y[task]) for task in Y]
        return self

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        return np.column_stack([model.predict_proba(X)[:, 1] for model in self.models])


def _one_model(relation: Literal["funnel", "independent"] = "funnel", **parameters: Any) -> Any:
    return make_pipeline(CTREncoder(), FunnelClassifier(FinalMLPClassifier(**parameters), relation=relation))


MODELS: dict[str, Any] = {
    "two models": TwoModels,
    "funnel": _one_model,
    "independent": lambda **parameters: _one_model(relation="independent", **parameters),
}


def measure(name: str, seed: int, model: str, part: str) -> dict[str, Any]:
    """Scores of a model on the validation or the test rows, a fifth each."""
    X, Y, truth = read(name, seed)
    rows = np.arange(len(X))
    training, rest = train_test_split(rows, test_size=0.4, random_state=seed, stratify=Y.sum(axis=1))
    validation, test = train_test_split(rest, test_size=0.5, random_state=seed, stratify=Y.iloc[rest].sum(axis=1))
    scored = {"validation": validation, "test": test}[part]
    started = time.process_time()
    fitted = MODELS[model](random_state=seed).fit(X.iloc[training], Y.iloc[training])
    result = {"data": name, "seed": seed, "model": model, "seconds": round(time.process_time() - started, 1)}
    probabilities = fitted.predict_proba(X.iloc[scored])
    for task, probability in zip(Y, probabilities.T, strict=True):
        label = Y[task].iloc[scored]
        result[f"auc {task}"] = round(roc_auc_score(label, probability), 4)
        result[f"loss {task}"] = round(log_loss(label, probability), 5)
        if truth is not None:
            excess = _divergence(truth[task].iloc[scored].to_numpy(), probability)
            result[f"error {task}"] = round(1e4 * excess, 1)
    result["mean / rate"] = round(probabilities[:, 1].mean() / Y.iloc[scored, 1].mean(), 3)
    return result


def _divergence(true: np.ndarray, predicted: np.ndarray) -> float:
    """By how much the expected log-loss is above that of the true probabilities."""
    gain = true * np.log(true / predicted) + (1 - true) * np.log((1 - true) / (1 - predicted))
    return float(gain.mean())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="*", default=["funnel", "rare"], help="funnel, rare or hillstrom")
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--models", nargs="*", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--part", default="validation", choices=["validation", "test"])
    arguments = parser.parse_args()
    results = [
        measure(name, seed, model, arguments.part)
        for name in arguments.data
        for seed in arguments.seeds
        for model in arguments.models
    ]
    print(pd.DataFrame(results).to_string(index=False))
