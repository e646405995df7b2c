"""What a training shows: nothing, lines, bars, each where it belongs."""

import io
import re
import sys
import types
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from threading import Barrier

import numpy as np
import pytest
import rich
import torch
from joblib import Parallel, delayed
from rich.live import Live

from sk_finalmlp import FinalMLPClassifier
from sk_finalmlp.fields import Field
from sk_finalmlp.nn import DualMLP
from sk_finalmlp.training import Impressions, TrainingSettings, train
from sk_finalmlp.training._net import ClickNet

LINE = r"epoch  \d  train_loss \d\.\d{4}  valid_loss \d\.\d{4}  valid_auc \d\.\d{4}  lr 1e-0\d  \d+\.\ds"
FINAL_LINE = r"final epoch  train_loss \d\.\d{4}  lr 1e-0\d  \d+\.\ds"


class Terminal(io.StringIO):
    def isatty(self):
        return True


def fit(verbose, validated=True, network_class=DualMLP):
    generator = torch.Generator().manual_seed(0)
    codes = torch.randint(1, 20, (400, 2), generator=generator, dtype=torch.int32)
    rows = Impressions(codes, torch.zeros(400, 0), codes[:, 0].long() % 2, torch.ones(400))
    settings = TrainingSettings(
        schedule="plateau",
        precision="float32",
        learning_rate=1e-2,
        batch_size=64,
        max_epochs=2,
        n_iter_no_change=2,
        tol=1e-6,
        embedding_regularizer=0.0,
        net_regularizer=0.0,
        embedding_update="auto",
        device=torch.device("cpu"),
        scoring="neg_log_loss",
        final_epoch=True,
        verbose=verbose,
    )
    fields = [Field("user", "categorical", n_codes=20), Field("item", "categorical", n_codes=20)]
    network = network_class(fields, mlp1_hidden_units=(8,), mlp2_hidden_units=(8,), generator=generator)
    return train(network, rows, rows.take(torch.arange(100)) if validated else None, settings, generator)


def shown_in_a_terminal(train=fit):
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(Terminal()) as screen:
        patch.setenv("TERM", "xterm")
        # Rich's console, once made, remembers whether there was a terminal then.
        patch.setattr("rich._console", None)
        train(verbose=2)
    return screen.getvalue()


def without_control(output):
    return re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", output)


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


@pytest.mark.parametrize("verbose", [1, 2])
def test_outside_of_a_terminal_there_is_a_plain_line_per_epoch(capsys, monkeypatch, verbose):
    # Rich takes anything for a terminal then.
    monkeypatch.setenv("FORCE_COLOR", "1")
    fit(verbose)
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
    assert last == f"The training ended after 2 epochs, of which epoch {result.best_epoch} is the best"
    assert {record.name for record in caplog.records} == {"sk_finalmlp.training"}


def test_a_terminal_shows_bars_below_the_lines_and_takes_them_away():
    output = shown_in_a_terminal()
    plain = without_control(output)
    assert re.search(r"epoch 2/2 \S+ \S+ at most valid_loss \d\.\d{4}  lr 1e-02", plain)
    assert re.search(r"batch 7/7 \S+ \S+ left +train_loss \d\.\d{4}", plain)
    assert "final epoch" in plain
    assert all(re.search(line, plain) for line in (LINE, FINAL_LINE))
    # The bars' lines are erased and the cursor is back.
    assert output.endswith("\x1b[1A\x1b[2K")
    assert output.count("\x1b[?25l") == output.count("\x1b[?25h") == 1


def test_bars_have_no_loss_of_steps_that_nobody_waits_for(monkeypatch):
    monkeypatch.setattr(ClickNet, "is_accelerated", True)
    plain = without_control(shown_in_a_terminal())
    assert re.search(r"batch 7/7 \S+ \S+ left", plain)
    assert not re.search(r"left +train_loss", plain)
    assert all(re.search(line, plain) for line in (LINE, FINAL_LINE))


def test_an_error_takes_the_bars_away():
    class Fails(DualMLP):
        def forward(self, codes, values):
            raise RuntimeError("no memory")

    def fail(verbose):
        with pytest.raises(RuntimeError, match="no memory"):
            fit(verbose, network_class=Fails)

    output = shown_in_a_terminal(fail)
    assert output.count("\x1b[?25l") == output.count("\x1b[?25h") == 1


def test_another_live_display_is_left_alone():
    def fit_beside(verbose):
        with Live("another", console=rich.get_console()):
            fit(verbose)

    plain = without_control(shown_in_a_terminal(fit_beside))
    assert all(re.search(line, plain) for line in (LINE, FINAL_LINE))
    assert plain.rstrip().endswith("another")


def test_there_are_no_bars_in_a_thread():
    def fit_in_a_thread(verbose):
        with ThreadPoolExecutor(1) as pool:
            pool.submit(fit, verbose).result()

    lines, labels = without_labels(shown_in_a_terminal(fit_in_a_thread))
    assert are_lines(lines)
    (label,) = labels
    assert re.fullmatch(r"ThreadPoolExecutor-\d+_0", label)


def test_there_are_no_bars_in_a_worker_process():
    [output] = Parallel(n_jobs=2)([delayed(shown_in_a_terminal)()])
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


def test_a_notebook_shows_bars_by_ipython(monkeypatch, capsys):
    shown = []

    def show(bars, raw=False):
        shown.append(without_control((bars if raw else bars._repr_mimebundle_([], []))["text/plain"]))

    def display(bars, display_id):
        show(bars)
        return types.SimpleNamespace(update=show)

    monkeypatch.setitem(sys.modules, "IPython.display", types.SimpleNamespace(display=display))
    rich.reconfigure(force_jupyter=True)
    try:
        fit(verbose=2)
    finally:
        rich.reconfigure()
    assert any(re.search(r"epoch 2/2 .* at most valid_loss \d\.\d{4}  lr 1e-02\s+batch 7/7", text) for text in shown)
    assert shown[-1] == ""
    assert are_lines(capsys.readouterr().out)


def test_without_rich_bars_are_an_error_that_names_what_to_install(monkeypatch):
    monkeypatch.delitem(sys.modules, "sk_finalmlp.training._bars", raising=False)
    monkeypatch.setitem(sys.modules, "rich", None)
    with pytest.raises(ImportError, match=r"verbose=2 .* need rich: pip install 'sk-finalmlp\[progress\]'"):
        fit(verbose=2)
    fit(verbose=1)


@pytest.mark.parametrize("verbose", [False, True])
def test_the_classifier_shows_what_its_parameter_says(capsys, verbose):
    X = np.arange(100).reshape(-1, 1) % 10
    classifier = FinalMLPClassifier(learning_rate=1e-2, schedule="plateau", max_epochs=2, random_state=0)
    classifier.set_params(verbose=verbose).fit(X, X.ravel() % 2)
    output = capsys.readouterr().out
    assert are_lines(output) if verbose else output == ""
