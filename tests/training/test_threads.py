"""Threads of torch that wait for each other are seen, and the line that helps is said."""

import time
import warnings

import numpy as np
import pytest
import torch

from sk_finalmlp import FinalMLPClassifier
from sk_finalmlp.training import _callbacks

X = np.random.default_rng(0).integers(0, 9, (200, 2))
CLASSIFIER = FinalMLPClassifier(max_epochs=3, n_members=1, random_state=0, device="cpu")


@pytest.fixture
def busy_cores(monkeypatch):
    """Two threads, and a clock by which the training never has a core."""
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    monkeypatch.setattr(time, "thread_time", lambda: 0.0)
    monkeypatch.setattr(_callbacks, "_SECONDS_WORTH_A_WARNING", 0)


def test_a_first_epoch_that_mostly_waits_warns_once_and_says_what_helps(busy_cores):
    with pytest.warns(UserWarning, match=r"first epoch took .* 2 threads .* OMP_NUM_THREADS=1") as caught:
        CLASSIFIER.fit(X, X[:, 0] > 4)
    assert len(caught) == 1


def test_one_thread_waits_for_none(busy_cores, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        CLASSIFIER.fit(X, X[:, 0] > 4)


def test_an_epoch_that_works_is_none(busy_cores, monkeypatch):
    monkeypatch.setattr(time, "thread_time", time.perf_counter)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        CLASSIFIER.fit(X, X[:, 0] > 4)
