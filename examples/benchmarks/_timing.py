"""How benchmarks measure: contestants take turns, and what counts is the ratio within a turn.

On a shared machine, seconds drift by tens of per cent from one minute to the next; the ratio of two measurements that
follow each other drifts far less.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from time import perf_counter
from typing import Any

Seconds = dict[str, list[float]]


def timed(function: Callable[[], Any], repeats: int = 1) -> Callable[[], float]:
    """A contestant for `take_turns`: seconds of one call, mean over a number of repeats."""

    def contestant() -> float:
        start = perf_counter()
        for _ in range(repeats):
            function()
        return (perf_counter() - start) / repeats

    return contestant


def take_turns(contestants: Mapping[str, Callable[[], float]], n_turns: int, n_warm_up: int | None = None) -> Seconds:
    """Seconds of each contestant in each turn, those of the first turns left out: of one, where there are several."""
    n_warm_up = int(n_turns > 1) if n_warm_up is None else n_warm_up
    turns = [{name: run() for name, run in contestants.items()} for _ in range(n_warm_up + n_turns)]
    return {name: [turn[name] for turn in turns[n_warm_up:]] for name in contestants}


def in_new_process(function: Callable[..., Any], *arguments: Any) -> Any:
    """What a function of a benchmark returns in a Python process of its own; all of it must go through JSON.

    For what a process can do only once or can't undo: the first import, the peak of its memory.
    """
    code = (
        f"import json, sys, {function.__module__} as module; "
        f"print(json.dumps(module.{function.__name__}(*json.loads(sys.argv[1]))))"
    )
    command = [sys.executable, "-c", code, json.dumps(arguments)]
    done = subprocess.run(command, cwd=Path(__file__).parent, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])
