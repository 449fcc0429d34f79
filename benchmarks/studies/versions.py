"""Two versions of cbptt, this one and one that is installed in another environment: time and bits.

Only the public interface is used, so that any two versions can be compared. They run in processes
of their own and take turns, so that a busy machine slows both. Each call is repeated for some time,
and the quickest one counts.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import warnings
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

if __name__ == "__main__":  # a process that serves one version
    sys.path.insert(0, str(Path(__file__).parents[1]))

import cbptt
from report import Report
from shapes import SHAPES, chosen
from studies.cases import GROUPS, digest
from workers import surroundings

THINGS = ("gradients", "forward", "epoch")


class Version:
    """One version on a problem: calls with the arrays of a user."""

    def __init__(self, name: str, dtype: str) -> None:
        self.problem = problem = next(shape for shape in SHAPES if shape.name == name)
        X, Y = problem.data(dtype)
        shape = (problem.B, problem.T)
        self.X = X.reshape(*shape, problem.D)
        self.Y = Y.reshape(shape) if problem.readout == "every" else Y
        self.network = problem.network(dtype)

    def gradients(self) -> object:
        """Loss and gradients."""
        return self.network.loss_and_gradients(self.X, self.Y)

    def forward(self) -> object:
        """Hidden states and outputs."""
        return self.network.forward(self.X)

    def epoch(self) -> object:
        """One pass over the data in one mini-batch, with its update."""
        return self.model.partial_fit(self.X, self.Y)

    @cached_property
    def model(self) -> Any:
        """The estimator of the problem, which has seen the data once."""
        kind = "Classifier" if self.problem.K > 1 else "Regressor"
        name = f"RNNSequence{kind}" if self.problem.readout == "every" else f"RNN{kind}"
        model = getattr(cbptt, name)(self.problem.M, batch_size=self.problem.B, random_state=0)
        classes = {"classes": np.arange(self.problem.K)} if self.problem.K > 1 else {}
        return model.partial_fit(self.X, self.Y, **classes)


def least(function: Any, at_least: float) -> float:
    """Return the time of the quickest call."""
    best, started = float("inf"), time.perf_counter()
    while best == float("inf") or time.perf_counter() - started < at_least:
        before = time.perf_counter()
        function()
        best = min(best, time.perf_counter() - before)
    return best


def computed(case: Any) -> str:
    """Return the digest of a case, or the error that it ends in."""
    try:
        return digest(case())
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def serve() -> None:
    """Answer requests, one on a line: [shape, dtype, what, seconds], or [group of cases]."""
    warnings.simplefilter("ignore")  # of fits that are meant to be short
    current: tuple[tuple[str, str], Version] | None = None
    for line in sys.stdin:
        match json.loads(line):
            case [group]:
                answer: Any = {name: computed(case) for name, case in GROUPS[group]()}
            case [name, dtype, what, at_least]:
                if current is None or current[0] != (name, dtype):
                    current = (name, dtype), Version(name, dtype)
                if what == "epoch":
                    current[1].model  # noqa: B018  (the first call makes it)
                answer = least(getattr(current[1], what), at_least)
        print(json.dumps(answer), flush=True)


@contextmanager
def started(python: str) -> Iterator[Any]:
    """Start a version; what is yielded sends it a request and returns the answer."""
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
    """Add the options that only this study has."""
    parser.add_argument("--other", required=True, help="the Python of the other environment")
    parser.add_argument(
        "--cases", default=",".join(GROUPS), help="groups of cases whose bits are compared"
    )


def run(report: Report, options: Namespace) -> None:
    """Print the times of both versions on each shape, and which cases have the same bits."""
    groups = [group for group in options.cases.split(",") if group]
    for group in groups:
        if group not in GROUPS:
            raise SystemExit(f"no cases are called {group!r}; there are {', '.join(GROUPS)}")
    with started(options.other) as other, started(sys.executable) as this:
        compare_times(report, options, other, this)
        report.line()
        compare_bits(report, groups, other, this)


def compare_times(report: Report, options: Namespace, other: Any, this: Any) -> None:
    """Print the times of the public calls on each shape."""
    report.line("Times in ms, of the quickest call; ratio: this version over the other one.")
    report.line(f"{'shape':12} {'what':10} {'other':>10} {'this':>10} {'ratio':>7}")
    results = report.raw["problems"] = []
    for problem in chosen(SHAPES, options.shapes):
        for thing in THINGS:
            request = (problem.name, options.dtype, thing, options.seconds)
            times = []  # of the other version, and of this one
            for i in range(options.rounds):
                turns = (other, this) if i % 2 == 0 else (this, other)
                found = [ask(*request) for ask in turns]
                times.append(found if i % 2 == 0 else found[::-1])
            before, now = (min(pair[i] for pair in times) for i in (0, 1))
            results.append({"shape": problem.name, "what": thing, "times": times})
            report.line(
                f"{problem.name:12} {thing:10} {1e3 * before:10.4f} {1e3 * now:10.4f} "
                f"{now / before:7.3f}"
            )


def compare_bits(report: Report, groups: list[str], other: Any, this: Any) -> None:
    """Print how many cases of each group have the same bits, and the names of the others."""
    report.line("Bits of every loss, gradient, output and weight of the cases.")
    results = report.raw["cases"] = {}
    for group in groups:
        digests = [ask(group) for ask in (other, this)]
        names = list(dict.fromkeys([*digests[0], *digests[1]]))
        different = []
        for name in names:
            found = [of.get(name, "no such case") for of in digests]
            errors = [text for text in found if " " in text]
            if errors or found[0] != found[1]:
                different.append(f"{name} {' | '.join(errors)}".strip())
        verdict = f"{len(different)} differ" if different else "the same"
        results[group] = {"cases": len(names), "different": different}
        report.line(f"{group:12} {len(names):4} cases: {verdict}")
        for name in different:
            report.line(f"    {name}")


if __name__ == "__main__":
    serve()
