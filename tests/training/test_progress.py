"""What a training shows: nothing, or a line per epoch."""

import io
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from dataclasses import replace
from threading import Barrier

import numpy as np
import pytest
import torch
from joblib import Parallel, delayed
from small_models import SETTINGS

from sk_finalmlp import FinalMLPClassifier
from sk_finalmlp.nn import TwoStreamNetwork
from sk_finalmlp.schema import Field
from sk_finalmlp.streams import MLP
from sk_finalmlp.training import Impressions, train

LINE = r"epoch  \d  train_loss \d\.\d{4}  valid_loss \d\.\d{4}  valid_auc \d\.\d{4}  lr 1e-0\d  \d+\.\ds"
FINAL_LINE = r"final epoch  train_loss \d\.\d{4}  lr 1e-0\d  \d+\.\ds"


def fit(verbose, validated=True, network_class=TwoStreamNetwork):
    generator = torch.Generator().manual_seed(0)
    codes = torch.randint(1, 20, (400, 2), generator=generator, dtype=torch.int32)
    rows = Impressions(codes, torch.zeros(400, 0), codes[:, 0].long() % 2, torch.ones(400))
    settings = replace(SETTINGS, final_epoch=True, verbose=verbose)
    fields = [Field("user", "categorical", n_codes=20), Field("item", "categorical", n_codes=20)]
    network = network_class(fields, MLP((8,)), MLP((8,)), generator=generator)
    return train(network, rows, rows.take(torch.arange(100)) if validated else None, settings, generator)


def printed():
    with redirect_stdout(io.StringIO()) as screen:
        fit(verbose=1)
    return screen.getvalue()


def are_lines(output):
    lines = output.splitlines()
    return len(lines) == 3 and all(map(re.fullmatch, [LINE, LINE, FINAL_LINE], lines))


def without_labels(output):
    """The lines without what is before a colon, and all that was."""
    labels, lines = zip(*(line.split(": ") for line in output.splitlines()), strict=True)
    return "\n".join(lines), set(labels)


def test_is_silent_by_default(capfd):
    fit(verbose=0)
    assert capfd.readouterr() == ("", "")


def test_there_is_a_plain_line_per_epoch(capsys):
    fit(verbose=1)
    output = capsys.readouterr().out
    assert are_lines(output)
    assert max(map(len, output.splitlines())) <= 80


def test_without_validation_rows_the_line_has_no_score(capsys):
    fit(verbose=1, validated=False)
    lines = capsys.readouterr().out.splitlines()
    assert [re.sub(r"\d\.\d+", "#", line) for line in lines] == [
        f"epoch  {number}  train_loss #  lr 1e-02  #s" for number in (1, 2)
    ]


def test_the_log_has_the_lines_whatever_is_shown(caplog):
    with caplog.at_level("INFO", logger="sk_finalmlp"):
        result = fit(verbose=0)
    first, *lines, last = caplog.messages
    assert first == "Training on 400 rows, validation on 100, on device cpu"
    assert are_lines("\n".join(lines))
    assert last == f"The training ended after 2 epochs; epoch {result.best_epoch} is the best"
    assert {record.name for record in caplog.records} == {"sk_finalmlp.training"}


def test_lines_of_a_worker_process_begin_with_its_name():
    [output] = Parallel(n_jobs=2)([delayed(printed)()])
    lines, labels = without_labels(output)
    assert are_lines(lines)
    assert len(labels) == 1
    assert re.fullmatch(r"LokyProcess-\d+", labels.pop())


def test_lines_of_trainings_at_the_same_time_say_which_they_are_of(capsys):
    barrier = Barrier(2)

    def fit_beside_another(_):
        barrier.wait(timeout=60)
        fit(verbose=1)

    with ThreadPoolExecutor(2, thread_name_prefix="fold") as pool:
        list(pool.map(fit_beside_another, range(2)))
    output = capsys.readouterr().out.splitlines()
    for label in ("fold_0", "fold_1"):
        lines, _ = without_labels("\n".join(line for line in output if line.startswith(f"{label}: ")))
        assert are_lines(lines)


@pytest.mark.parametrize("verbose", [False, True])
def test_the_classifier_shows_what_its_parameter_says(capsys, verbose):
    X = np.arange(100).reshape(-1, 1) % 10
    classifier = FinalMLPClassifier(learning_rate=1e-2, schedule="plateau", max_epochs=2, random_state=0)
    classifier.set_params(verbose=verbose).fit(X, X.ravel() % 2)
    output = capsys.readouterr().out
    assert are_lines(output) if verbose else output == ""
