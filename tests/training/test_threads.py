"""Threads of torch that wait for each other are seen, and the line that helps is said."""

import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from sklearn.base import clone
from threadpoolctl import threadpool_limits

from sk_finalmlp import FinalMLPClassifier
from sk_finalmlp.nn import Ensemble, TwoStreamNetwork
from sk_finalmlp.schema import Field
from sk_finalmlp.training import _callbacks, _scores, predict_logits
from sk_finalmlp.training._device import members_apart, threads_of_steps

X = np.random.default_rng(0).integers(0, 9, (200, 2))
FIELDS = [Field("user", "categorical", n_codes=9)]
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


@pytest.fixture
def several_threads():
    """As many threads as members, as on a machine of so many cores."""
    # Torch sets the number when it is first asked.
    torch.get_num_threads()
    with threadpool_limits(3, user_api="openmp"):
        yield


@pytest.mark.usefixtures("several_threads")
def test_members_beside_each_other_have_the_bits_of_one_after_the_other():
    beside = _probabilities(n_members=3)
    assert torch.get_num_threads() == 3
    with threadpool_limits(1, user_api="openmp"):
        np.testing.assert_array_equal(beside, _probabilities(n_members=3))


@pytest.mark.usefixtures("several_threads")
def test_a_small_network_takes_one_thread_in_training_and_leaves_the_setting_as_it_was():
    with threads_of_steps(TwoStreamNetwork(FIELDS), batch_size=64) as each:
        assert torch.get_num_threads() == 1
        assert list(each(abs, [-1, 2])) == [1, 2]
    assert torch.get_num_threads() == 3


@pytest.mark.usefixtures("several_threads")
def test_a_large_product_has_all_threads():
    with threads_of_steps(TwoStreamNetwork(FIELDS), batch_size=10**6):
        assert torch.get_num_threads() == 3


@pytest.mark.usefixtures("several_threads")
def test_what_the_caller_has_set_by_torch_holds(monkeypatch):
    monkeypatch.setattr(
        torch.__config__, "parallel_info", lambda: "omp_get_max_threads() : 1\nmkl_get_max_threads() : 2"
    )
    with threads_of_steps(TwoStreamNetwork(FIELDS), batch_size=64):
        assert torch.get_num_threads() == 3


@pytest.mark.usefixtures("several_threads")
def test_a_fit_changes_the_threads_of_no_other():
    with ThreadPoolExecutor(1) as other:
        before = other.submit(torch.get_num_threads).result()
    with threads_of_steps(TwoStreamNetwork(FIELDS), batch_size=64), ThreadPoolExecutor(1) as other:
        assert other.submit(torch.get_num_threads).result() == before


def test_batches_beside_each_other_have_the_logits_of_one_after_the_other(monkeypatch):
    monkeypatch.setattr(_scores, "_BATCH_SIZE", 64)
    network = TwoStreamNetwork(FIELDS).eval()
    codes = torch.randint(9, (200, 1), dtype=torch.int32)
    logits = []
    for n_threads in (1, 3):
        with threadpool_limits(n_threads, user_api="openmp"):
            logits.append(predict_logits(network, codes, torch.empty(200, 0)))
    assert torch.equal(*logits)
    assert not logits[1].requires_grad


def test_members_that_share_weights_learn_one_after_the_other():
    network = TwoStreamNetwork(FIELDS)
    assert members_apart(Ensemble([network, network])) != [network, network]
    assert len(members_apart(Ensemble([network, TwoStreamNetwork(FIELDS)]))) == 2


def _probabilities(**parameters):
    return clone(CLASSIFIER).set_params(**parameters).fit(X, X[:, 0] > 4).predict_proba(X)
