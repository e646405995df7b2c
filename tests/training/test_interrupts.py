"""Ctrl-C at every line of a training: an error, or a classifier whose weights are those of the epoch that it names."""

import inspect
import sys
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hold_out import held_out_rows
from sklearn.metrics import log_loss

import sk_finalmlp
from sk_finalmlp import FinalMLPClassifier
from sk_finalmlp.nn import Dropout, FieldEmbedding
from sk_finalmlp.streams import MLP
from sk_finalmlp.training import _train
from sk_finalmlp.training._callbacks import BestEpoch

PACKAGE = Path(sk_finalmlp.__file__).parent
LOOP = {
    *(str(path) for path in (PACKAGE / "training").glob("*.py")),
    *(str(PACKAGE / name) for name in ("_sklearn.py", "nn/_layers.py")),
}


def table():
    rng = np.random.default_rng(0)
    X = rng.integers(0, 4, size=(60, 2))
    return X, (X.sum(axis=1) + rng.integers(0, 2, 60) > 3).astype(int)


def make(**parameters):
    small = {"stream1": MLP((4,)), "stream2": MLP((4,)), "num_heads": 1, "feature_selection": False}
    parameters = {"n_members": 1, "max_epochs": 2, "batch_size": 30, **parameters}
    return FinalMLPClassifier(embedding_dim=2, random_state=0, device="cpu", **small, **parameters)


class Interrupting:
    """Counts the executed lines of the loop, and raises `KeyboardInterrupt` at the given time of one of them."""

    def __init__(self, line=None, at=0):
        self.counts = Counter()
        self.line = line
        self.at = at
        self.has_come = False

    def __enter__(self):
        self.before = sys.gettrace()
        sys.settrace(self.trace_call)
        return self

    def __exit__(self, *_):
        sys.settrace(self.before)

    def trace_call(self, frame, event, argument):
        return self.trace_line if frame.f_code.co_filename in LOOP else None

    def trace_line(self, frame, event, argument):
        if event == "line":
            line = frame.f_code.co_filename, frame.f_lineno
            self.counts[line] += 1
            if line == self.line and self.counts[line] == self.at:
                self.has_come = True
                sys.settrace(self.before)
                raise KeyboardInterrupt
        return self.trace_line


def fit_interrupted(line, at, **parameters):
    """The classifier, and whether the interrupt came out of the fit."""
    classifier = make(**parameters)
    with Interrupting(line, at) as interrupt, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            classifier.fit(*table())
        except KeyboardInterrupt:
            return classifier, True
    assert interrupt.has_come, (line, at)
    return classifier, False


def check_consistent(classifier):
    """Where the training went on to an end, weights, best epoch and history belong together."""
    X, y = table()
    losses = [record["valid_loss"] for record in classifier.history_]
    assert classifier.n_iter_ == len(losses)
    assert classifier.best_epoch_ == np.argmin(losses) + 1
    assert classifier.best_score_ == -losses[classifier.best_epoch_ - 1]
    held_out = held_out_rows(y, 0.1)
    loss = log_loss(y[held_out], classifier.predict_proba(X[held_out]))
    assert loss == pytest.approx(losses[classifier.best_epoch_ - 1], abs=1e-6)
    for module in classifier.network_.modules():
        assert not module.training
        assert not (isinstance(module, FieldEmbedding) and module.sparse_gradient)
        assert not (isinstance(module, Dropout) and (module.generator or module.bits))


def lines_of_a_fit(files, **parameters):
    """How often each line of the files is executed."""
    # What is made once in a process is made here.
    classifier = make(**parameters).fit(*table())
    with Interrupting() as lines:
        classifier.fit(*table())
    return {line: count for line, count in lines.counts.items() if line[0].endswith(files)}


@pytest.fixture(autouse=True)
def small_is_large(monkeypatch):
    """Lend the networks of these tests all that large ones are lent."""
    monkeypatch.setattr(_train, "_LAZY_FROM_ROWS", 0)


@pytest.mark.parametrize(("n_members", "files"), [(1, (".py",)), (2, ("_scores.py",))])
def test_an_interrupt_at_any_line_leaves_no_half_fitted_classifier(n_members, files):
    untouched, are_raised = vars(make()).keys(), []
    for line, count in lines_of_a_fit(files, n_members=n_members).items():
        # In the second epoch, or in the final one.
        at = min(count // 2 + 1, count) if len(are_raised) % 2 else count
        classifier, is_raised = fit_interrupted(line, at, n_members=n_members)
        are_raised.append(is_raised)
        if not is_raised:
            check_consistent(classifier)
        elif vars(classifier).keys() != untouched:
            # It came when all was done.
            assert classifier.n_iter_ == 2
            assert classifier.predict_proba(table()[0]).shape == (60, 2)
    assert False in are_raised


def test_an_interrupt_while_the_best_weights_are_copied_keeps_those_of_the_epoch_before():
    code, first = inspect.getsourcelines(BestEpoch.on_epoch_end)
    counts = {
        line: count
        for line, count in lines_of_a_fit(("training/_callbacks.py",), max_epochs=3).items()
        if first < line[1] < first + len(code)
    }
    assert len(counts) >= 4
    for line, count in counts.items():
        # In the second epoch and in the third.
        for at in (2 * count // 3, count):
            classifier, is_raised = fit_interrupted(line, at, max_epochs=3)
            assert not is_raised
            check_consistent(classifier)
