"""Memory that a training keeps from step to step is the system's again when it ends."""

import ctypes
from pathlib import Path

import numpy as np
import pytest
import torch

from sk_finalmlp import FinalMLPClassifier
from sk_finalmlp.training._device import kept_memory

MEBIBYTE = 2**20
STATUS = Path("/proc/self/statm")

glibc = pytest.mark.skipif(
    not STATUS.exists() or not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="the C library isn't glibc"
)


def resident():
    """Mebibytes of the process in memory."""
    return int(STATUS.read_text().split()[1]) * 4096 / MEBIBYTE


def use(mebibytes):
    """Take so many and free them."""
    blocks = [torch.ones(MEBIBYTE) for _ in range(mebibytes // 4)]
    del blocks


def use_wrongly(mebibytes):
    use(mebibytes)
    torch.ones(2).view(3)


@glibc
def test_what_a_step_frees_is_kept_for_the_next_one_and_freed_in_the_end():
    use(8)
    before = resident()
    with kept_memory():
        use(256)
        assert resident() > before + 128
    assert resident() < before + 64
    use(256)
    assert resident() < before + 128


@glibc
def test_is_freed_after_an_error():
    before = resident()
    with pytest.raises(RuntimeError, match="shape"), kept_memory():
        use_wrongly(256)
    assert resident() < before + 64


def test_another_c_library_trains_to_the_same_bits(monkeypatch):
    X = np.random.default_rng(0).integers(0, 9, (200, 2))
    classifier = FinalMLPClassifier(max_epochs=2, n_members=1, random_state=0, device="cpu")
    expected = classifier.fit(X, X[:, 0] > 4).predict_proba(X)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    assert np.array_equal(classifier.fit(X, X[:, 0] > 4).predict_proba(X), expected)
