"""Imports, each in a Python process of its own."""

from __future__ import annotations

import compileall
import importlib
import sys
from functools import partial
from pathlib import Path
from time import perf_counter

from _results import Result
from _sizes import Size
from _timing import in_new_process, take_turns

import sk_finalmlp

_STANDS_ON = ("torch", "sklearn", "pandas")
_FIRST_FIT = "the same with the training loop, which the first fit loads"


def measure(size: Size) -> list[Result]:
    """What importing the package adds to importing what it stands on."""
    # As pip does: where Python may write no bytecode, it would compile each module in each process.
    compileall.compile_dir(Path(sk_finalmlp.__file__).parent, quiet=1)
    contestants = {
        "import sk_finalmlp": partial(in_new_process, seconds_added, ["sk_finalmlp"]),
        "first use of encoder and classifier": partial(
            in_new_process, seconds_added, ["sk_finalmlp.preprocessing", "sk_finalmlp.estimators"]
        ),
        _FIRST_FIT: partial(
            in_new_process,
            seconds_added,
            ["sk_finalmlp.preprocessing", "sk_finalmlp.estimators", "sk_finalmlp.training._train"],
        ),
    }
    seconds = take_turns(contestants, size.n_turns)
    modules = float(in_new_process(n_torch_modules_of_encoder))
    limits = dict.fromkeys(seconds, 0.2) | {_FIRST_FIT: None}
    return [
        *(Result("start", name, values, at_most=limits[name], unit="s") for name, values in seconds.items()),
        Result("start", "modules of torch that sk_finalmlp.preprocessing loads", [modules], at_most=0),
    ]


def seconds_added(names: list[str]) -> float:
    """Seconds of importing modules once torch, scikit-learn and pandas are there."""
    for name in _STANDS_ON:
        importlib.import_module(name)
    start = perf_counter()
    for name in names:
        importlib.import_module(name)
    return perf_counter() - start


def n_torch_modules_of_encoder() -> int:
    """How many modules of torch importing the encoder loads."""
    importlib.import_module("sk_finalmlp.preprocessing")
    return sum(name.split(".")[0] == "torch" for name in sys.modules)
