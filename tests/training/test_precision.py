"""Products in bfloat16: where they are taken, what they change, and what they leave as it was."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch

from sk_finalmlp import CTREncoder, FinalMLPClassifier
from sk_finalmlp.streams import MLP
from sk_finalmlp.training import _device

BFLOAT16 = {"precision": "bfloat16", "embedding_dim": 8, "num_heads": 4, "max_epochs": 2, "random_state": 0}


@pytest.fixture
def able_cpu(monkeypatch):
    """Torch can do it on any CPU, if slowly."""
    monkeypatch.setattr(_device, "cpu_has_bfloat16", lambda: True)


@pytest.fixture(scope="module")
def rows():
    X = np.random.default_rng(0).integers(0, 20, size=(1500, 3))
    return X, (np.sin(X).sum(axis=1) > 0).astype(int)


def test_a_model_learns_as_with_float32(able_cpu, rows):
    own = {"max_epochs": 8, "stream1": MLP(dropout=0.2), "stream2": MLP(dropout=0.2)}
    rounded, plain = (
        FinalMLPClassifier(**{**BFLOAT16, **own, "precision": precision}).fit(*rows)
        for precision in ("bfloat16", "float32")
    )
    assert rounded.best_score_ == pytest.approx(plain.best_score_, abs=0.02)
    assert not np.array_equal(rounded.predict_proba(rows[0]), plain.predict_proba(rows[0]))
    assert {weight.dtype for weight in rounded.network_.parameters()} == {torch.float32}


def test_numbers_without_an_embedding_are_rounded_too(able_cpu, rows):
    X, y = rows
    Z = CTREncoder(statistics=["a", "b"]).fit_transform(pd.DataFrame(X, columns=["a", "b", "c"]), y)
    rounded = FinalMLPClassifier(**{**BFLOAT16, "max_epochs": 8}).fit(Z, y)
    assert rounded.best_score_ > -0.5


def test_the_same_seed_gives_the_same_bits(able_cpu, rows):
    one, other = (FinalMLPClassifier(**BFLOAT16).fit(*rows).predict_proba(rows[0]) for _ in range(2))
    assert np.array_equal(one, other)


def test_auto_is_float32(rows):
    one, other = (
        FinalMLPClassifier(**{**BFLOAT16, "precision": precision}).fit(*rows).predict_proba(rows[0])
        for precision in ("auto", "float32")
    )
    assert np.array_equal(one, other)


def test_a_saved_model_predicts_the_same_where_there_are_no_such_instructions(able_cpu, rows, monkeypatch):
    classifier = FinalMLPClassifier(**BFLOAT16, warm_start=True).fit(*rows)
    saved = pickle.dumps(classifier)
    monkeypatch.setattr(_device, "cpu_has_bfloat16", lambda: False)
    loaded = pickle.loads(saved)
    assert np.array_equal(loaded.predict_proba(rows[0]), classifier.predict_proba(rows[0]))
    with pytest.raises(ValueError, match="precision='bfloat16' needs"):
        loaded.fit(*rows)
    loaded.set_params(precision="float32").fit(*rows)


def test_is_refused_on_a_cpu_that_would_be_slower_by_it(rows, monkeypatch):
    monkeypatch.setattr(_device, "cpu_has_bfloat16", lambda: False)
    with pytest.raises(ValueError, match=r"AVX512-BF16 or AMX; .* device 'cpu'.* Set precision='float32', or 'auto'"):
        FinalMLPClassifier(**BFLOAT16, device="cpu").fit(*rows)


@pytest.mark.parametrize("instructions", [[], ["_is_avx512_bf16_supported"], ["_is_amx_tile_supported"]])
def test_the_instructions_of_the_cpu_decide(monkeypatch, instructions):
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda name=name: name in instructions, raising=False)
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: True)
    assert _device.cpu_has_bfloat16() == bool(instructions)


def test_a_cuda_device_takes_it_and_others_do_not():
    assert _device.product_dtype("bfloat16", torch.device("cuda")) == torch.bfloat16
    assert _device.product_dtype("float32", torch.device("cuda")) is None
    with pytest.raises(ValueError, match="device 'mps'"):
        _device.product_dtype("bfloat16", torch.device("mps"))
