"""Memory of a training step beyond X, theta and the packed x."""

from __future__ import annotations

import tracemalloc
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from functools import partial

from engines.compiled import Compiled
from report import Report
from shapes import SHAPES, Problem, chosen


def add_options(parser: ArgumentParser) -> None:
    """Nothing beyond the common options."""


def peak(function: Callable[[], object]) -> int:
    """Return the most bytes that were allocated at one time while the function ran."""
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    result = function()
    most = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    del result
    return most


def parts(engine: Compiled, problem: Problem) -> tuple[dict[str, int], dict[str, int]]:
    """Return the bytes of the arrays that grow with the batch, and of those that do not."""
    arrays = engine.scratch.arrays
    doubled = engine.network.scratch(2 * problem.B, 2 * problem.N).arrays
    grows = {name: doubled[name].size > array.size for name, array in arrays.items()}
    return (
        {name: array.nbytes for name, array in arrays.items() if grows[name]},
        {name: array.nbytes for name, array in arrays.items() if array.size and not grows[name]},
    )


def run(report: Report, options: Namespace) -> None:
    """Print the sizes of the scratch, and what tracemalloc saw."""
    report.line("Activations in units of N x M numbers, the rest in units of theta. Traced: the")
    report.line("peak of asking for the scratch and running in it, over the sum of its arrays; and")
    report.line("of a run alone, in kB.")
    report.line(
        f"{'shape':12} {'N':>6} {'M':>5} {'MB':>8} {'activations':>12} {'other':>7} {'traced':>7} "
        f"{'run, kB':>8}  arrays"
    )
    results = report.raw["problems"] = []
    for problem in chosen(SHAPES, options.shapes):
        engine = Compiled(problem, options.dtype, 1)
        network, shard = engine.network, engine.shard
        engine.step()
        alone = peak(engine.step)
        traced = peak(partial(network.run, shard))  # asks for the scratch itself
        growing, fixed = parts(engine, problem)
        total = sum(growing.values()) + sum(fixed.values())
        unit = problem.N * problem.M * network.dtype.itemsize
        results.append(
            {
                "problem": problem.described(),
                "activations": growing,
                "other": fixed,
                "theta": network.theta.nbytes,
                "unit": unit,
                "traced": traced,
                "traced, run alone": alone,
            }
        )
        sizes = ", ".join(f"{name} {size / unit:.2f}" for name, size in growing.items())
        rest = ", ".join(f"{name} {s / network.theta.nbytes:.2f}" for name, s in fixed.items())
        report.line(
            f"{problem.name:12} {problem.N:6} {problem.M:5} {total / 1e6:8.2f} "
            f"{sum(growing.values()) / unit:12.2f} "
            f"{sum(fixed.values()) / network.theta.nbytes:7.2f} {traced / total:7.3f} "
            f"{alone / 1e3:8.1f}  {sizes} | {rest}"
        )
