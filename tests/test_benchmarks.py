"""The benchmarks run, on sizes at which their numbers mean nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "examples" / "benchmarks"


@pytest.mark.parametrize("name", ["encoding", "prediction"])
def test_a_benchmark_writes_its_results(name, tmp_path):
    command = [sys.executable, BENCHMARKS, "--size", "tiny", "--only", name, "--no-plot", "--out", tmp_path]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"})
    results = json.loads((tmp_path / "results.json").read_text())["results"]
    assert {result["benchmark"] for result in results} == {name}
    assert all(result["median"] >= 0 for result in results)
