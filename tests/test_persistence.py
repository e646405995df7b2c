"""Version stamp of every public estimator."""

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import InconsistentVersionWarning

import sk_finalmlp
from sk_finalmlp import CTREncoder, FinalMLPClassifier
from sk_finalmlp.streams import as_stream, stream_names

ESTIMATORS = [
    CTREncoder(),
    FinalMLPClassifier(fusion="sum", max_epochs=1),
    FinalMLPClassifier(max_epochs=1),
    FinalMLPClassifier(stream2="fm", max_epochs=1),
]


@pytest.fixture(params=ESTIMATORS, ids=lambda estimator: type(estimator).__name__)
def fitted(request):
    return fit(request.param)


def fit(estimator):
    return estimator.fit(pd.DataFrame({"user": [1, 1, 2, 2, 3, 3] * 5}), [0, 1, 1, 0, 1, 0] * 5)


def test_same_version_is_silent(fitted):
    assert vars(pickle.loads(pickle.dumps(fitted))).keys() == vars(fitted).keys()


def types_in(value):
    if isinstance(value, dict):
        return {dict}.union(*map(types_in, value.values()))
    if isinstance(value, (list, tuple)):
        return {type(value)}.union(*map(types_in, value))
    return {type(value)}


def test_state_is_plain_data(fitted):
    plain = {dict, list, tuple, str, int, float, bool, type(None), np.ndarray}
    # Streams are parameters, which stay what the user gave, as those of any estimator.
    streams = {type(stream) for stream in map(as_stream, stream_names())}
    assert types_in(fitted.__getstate__()) <= plain | streams


def test_another_version_warns(fitted, monkeypatch):
    monkeypatch.setattr("sk_finalmlp._description.__version__", "0.0.1")
    saved = pickle.dumps(fitted)
    monkeypatch.undo()
    name, version = type(fitted).__name__, sk_finalmlp.__version__
    with pytest.warns(InconsistentVersionWarning, match=rf"{name} from version 0\.0\.1 .* using version {version}"):
        pickle.loads(saved)


def test_loading_imports_no_compiler_and_no_training_loop(tmp_path):
    # All in one process, which takes seconds to import torch.
    paths = [str(tmp_path / f"{number}.pickle") for number in range(len(ESTIMATORS))]
    for path, estimator in zip(paths, ESTIMATORS, strict=True):
        Path(path).write_bytes(pickle.dumps(fit(estimator)))
    program = f"""
import pickle, sys, torch, sk_finalmlp.estimators
before = set(sys.modules)
for path in {paths}:
    with open(path, "rb") as file:
        pickle.load(file)
added = set(sys.modules) - before
assert not added & {{"torch._dynamo", "torch._inductor", "sympy"}}, added
assert not {{"skorch", "sklearn.metrics"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True)
