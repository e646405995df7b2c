"""A try of each fault; `make faults` makes as many as time allows."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("resource", reason="signals and limits of POSIX")


def test_no_fault_loses_a_model_or_changes_its_numbers():
    command = [sys.executable, "-m", "faults", "--tries", "1"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=Path(__file__).parents[1])
    assert done.stdout.count("\n| ") == 16, done.stderr
    assert done.returncode == 0, done.stdout
