"""Some hundreds of generated tables with a fixed seed; `make fuzz` examines as many as time allows."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fuzz.properties import draw_table, examine
from sk_finalmlp import CTREncoder

SEED = 0
N_TABLES = 200
TESTS = Path(__file__).parents[1]


@pytest.mark.parametrize("number", range(N_TABLES))
def test_all_properties_hold_for_the_table(number):
    assert examine(draw_table(SEED, number)) == []


def test_a_table_is_drawn_from_its_number_alone():
    first, again = draw_table(SEED, 7), draw_table(SEED, 7)
    assert first.columns == again.columns
    assert first.parameters == again.parameters
    assert draw_table(SEED + 1, 7).columns != first.columns


def found_with(monkeypatch, method, planted):
    """Names of the properties that don't hold once a method of the encoder is another one."""
    original = getattr(CTREncoder, method)
    monkeypatch.setattr(CTREncoder, method, lambda self, *args, **kwargs: planted(original, self, *args, **kwargs))
    sound = [number for number in range(30) if not draw_table(SEED, number).fault]
    return {finding.name for number in sound for finding in examine(draw_table(SEED, number))}


def test_a_row_that_depends_on_its_neighbours_is_found(monkeypatch):
    def shifted(transform, self, X):
        out = transform(self, X)
        return out if len(X) == 40 or not isinstance(out, np.ndarray) else np.zeros_like(out)

    assert {"alone as beside others", "in parts as in whole"} <= found_with(monkeypatch, "transform", shifted)


def test_a_fit_that_depends_on_the_order_of_rows_is_found(monkeypatch):
    def of_first_half(fit, self, X, y=None, sample_weight=None):
        half = (len(X) + 1) // 2
        parts = [None if part is None else part[:half] for part in (y, sample_weight)]
        return fit(self, X[:half], *parts)

    assert "rows in another order" in found_with(monkeypatch, "fit", of_first_half)


def test_a_raw_error_is_found(monkeypatch):
    def raw(transform, self, X):
        return {}[len(X)]

    found = found_with(monkeypatch, "transform", raw)
    assert {"a sound table gets an answer", "an error is ours or scikit-learn's"} <= found


def test_the_report_counts_tables_and_names_those_with_findings():
    command = [sys.executable, "-m", "fuzz", "12"]
    report = subprocess.run(command, check=False, capture_output=True, text=True, cwd=TESTS).stdout
    assert report.startswith("12 tables of seed 0 in ")
    assert "broken on purpose: nothing 8" in report
    assert "0 findings, in 0 of 12 tables" in report
