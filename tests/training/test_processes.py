"""Several processes train one network, as one process would."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import pytest

SCRIPT = Path(__file__).with_name("script_of_processes.py")


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What three processes of torchrun find."""
    folder = tmp_path_factory.mktemp("processes")
    command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=3", SCRIPT, folder]
    subprocess.run([sys.executable, *command], check=True, timeout=200)
    return [joblib.load(folder / str(rank)) for rank in range(3)]


def test_they_end_with_the_same_bits(found):
    first, *others = (of_process["weights"] for of_process in found)
    assert first.startswith("weights ")
    assert others == [first, first]


def test_they_learn_what_one_does(found):
    (together, on_disk), (alone, on_disk_alone) = (found[0][name] for name in ("histories", "histories alone"))
    for name in ("train_loss", "valid_loss", "valid_auc"):
        np.testing.assert_allclose([e[name] for e in together], [e[name] for e in alone], atol=1e-4)
    assert on_disk[0]["valid_loss"] == pytest.approx(on_disk_alone[0]["valid_loss"], abs=1e-4)


def test_the_gradients_of_the_first_step_are_those_of_one_process(found):
    for name, of_one in found[0]["gradients alone"].items():
        np.testing.assert_allclose(10 * found[0]["gradients"][name], 10 * of_one, atol=1e-6)


def test_vectors_stay_what_they_are(found):
    assert all(of_process["vectors"] for of_process in found)


def test_other_rows_are_refused(found):
    for of_process in found:
        message = "Processes that train together need the same rows, but process 1 of 3 has others"
        assert message in of_process["other rows"]


def test_too_few_rows_are_refused(found):
    assert "5 training rows are too few for 3 processes" in found[0]["few rows"]


def test_an_error_of_one_process_ends_the_others_and_names_it(found):
    lost, failed, also_lost = (of_process["error"] for of_process in found)
    assert failed == "OSError: the disk has burnt"
    assert lost == "RuntimeError: The training ended, because process 1 of 3 failed: OSError: the disk has burnt."
    assert also_lost == lost


def test_a_process_that_is_killed_is_named(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        variables = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    command = [sys.executable, SCRIPT, tmp_path, "killed"]
    started = [subprocess.Popen(command, env={**os.environ, **variables, "RANK": str(rank)}) for rank in range(2)]
    for process in started:
        process.wait(timeout=100)
    assert "process 1 of 2 died without a word" in joblib.load(tmp_path / "error")
