"""Two versions of cbptt, this one and one that is installed in another environment: time and bits.

The versions run in processes of their own and take turns, so that a busy machine slows both. Each
step or forward pass is called for some time, and the quickest call counts.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

if __name__ == "__main__":  # a process that serves one version
    sys.path.insert(0, str(Path(__file__).parents[1]))

from engines.compiled import Compiled
from report import Report
from shapes import SHAPES, chosen
from workers import surroundings

THINGS = ("step", "forward", "call")


class Version(Compiled):
    """One version on a problem; `call` is the public call, with its checks."""

    def __init__(self, name: str, dtype: str) -> None:
        problem = next(shape for shape in SHAPES if shape.name == name)
        super().__init__(problem, dtype, 1)
        X, Y = problem.data(dtype)
        shape = (problem.B, problem.T)
        self.X = X.reshape(*shape, problem.D)
        self.Y = Y.reshape(*shape, *Y.shape[1:]) if problem.readout == "every" else Y

    def call(self) -> object:
        """Loss and gradients from the arrays of a user."""
        return self.network.loss_and_gradients(self.X, self.Y)

    def digest(self) -> str:
        """Name the bits of the loss, the gradients and the outputs."""
        found = hashlib.sha256()
        for value in self.computed().values():
            found.update(np.ascontiguousarray(value).tobytes())
        return found.hexdigest()


def serve() -> None:
    """Answer requests, one on a line: [shape, dtype, what, seconds]."""
    current: tuple[tuple[str, str], Version] | None = None
    for line in sys.stdin:
        name, dtype, what, at_least = json.loads(line)
        if current is None or current[0] != (name, dtype):
            current = (name, dtype), Version(name, dtype)
        method = getattr(current[1], what)
        print(json.dumps(method() if what == "digest" else least(method, at_least)), flush=True)


def least(function: Any, at_least: float) -> float:
    """Return the time of the quickest call."""
    best, started = float("inf"), time.perf_counter()
    while best == float("inf") or time.perf_counter() - started < at_least:
        before = time.perf_counter()
        function()
        best = min(best, time.perf_counter() - before)
    return best


@contextmanager
def started(python: str) -> Iterator[Any]:
    """Start a version; what is yielded asks it."""
    with surroundings(1, {max(os.sched_getaffinity(0))}):
        process = subprocess.Popen(
            [python, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
    assert process.stdin is not None
    assert process.stdout is not None

    def ask(*request: Any) -> Any:
        process.stdin.write(json.dumps(request) + "\n")
        process.stdin.flush()
        if not (answer := process.stdout.readline()):
            raise SystemExit(f"{python} ended; is cbptt installed there?")
        return json.loads(answer)

    try:
        yield ask
    finally:
        process.stdin.close()
        process.wait()


def add_options(parser: ArgumentParser) -> None:
    """Add the option that only this study has."""
    parser.add_argument("--other", required=True, help="the Python of the other environment")


def run(report: Report, options: Namespace) -> None:
    """Print for each shape the times of both versions, their ratio, and whether bits agree."""
    report.line("Times in ms, of the quickest call; ratio: this version over the other one.")
    report.line(f"{'shape':12} {'what':8} {'other':>10} {'this':>10} {'ratio':>7}  bits")
    results = report.raw["problems"] = []
    with started(options.other) as other, started(sys.executable) as this:
        for problem in chosen(SHAPES, options.shapes):
            same = (
                len({ask(problem.name, options.dtype, "digest", 0) for ask in (other, this)}) == 1
            )
            for thing in THINGS:
                request = (problem.name, options.dtype, thing, options.seconds)
                times = []  # of the other version, and of this one
                for i in range(options.rounds):
                    turns = (other, this) if i % 2 == 0 else (this, other)
                    found = [ask(*request) for ask in turns]
                    times.append(found if i % 2 == 0 else found[::-1])
                before, now = (min(pair[i] for pair in times) for i in (0, 1))
                results.append({"shape": problem.name, "what": thing, "times": times, "same": same})
                report.line(
                    f"{problem.name:12} {thing:8} {1e3 * before:10.4f} {1e3 * now:10.4f} "
                    f"{now / before:7.3f}  {'the same' if same else 'differ'}"
                )


if __name__ == "__main__":
    serve()
