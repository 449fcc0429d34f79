"""Memory of a training step beyond X, theta and the packed x."""

from __future__ import annotations

import tracemalloc
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from functools import partial

from engines.compiled import Compiled
from report import Report
from shapes import SHAPES, chosen


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


THETA_SIZED = ("packed", "gradients")  # they do not grow with the batch


def run(report: Report, options: Namespace) -> None:
    """Print the sizes of the scratch, and what tracemalloc saw."""
    report.line("Beyond X, theta and the packed copy of x, of one shard at a time: activations in")
    report.line(
        "units of N x M numbers; gradients and packed matrices in units of theta. Traced: the"
    )
    report.line("peak of asking for the scratch and running in it, over the sum of its arrays; and")
    report.line("of a run alone, in kB.")
    report.line(
        f"{'shape':12} {'N':>6} {'M':>5} {'shards':>6} {'activations':>12} {'theta-sized':>12} "
        f"{'traced':>7} {'run, kB':>8}"
    )
    results = report.raw["problems"] = []
    for problem in chosen(SHAPES, options.shapes):
        engine = Compiled(problem, options.dtype, 1)
        network, shard = engine.network, engine.shard
        engine.step()
        alone = peak(engine.step)
        traced = peak(partial(network.run, shard))  # asks for the scratch itself
        plan, arrays = engine.scratch.plan, engine.scratch.arrays
        sizes = {name: array.nbytes for name, array in arrays.items()}
        itemsize = network.dtype.itemsize
        fixed = sum(sizes[name] for name in THETA_SIZED)
        copy_of_x = plan.n_rows * problem.D * itemsize
        activations = sum(sizes.values()) - fixed - copy_of_x
        unit = problem.N * problem.M * itemsize
        results.append(
            {
                "problem": problem.described(),
                "shards": plan.n_parts,
                "arrays": sizes,
                "activations": activations,
                "copy of x": copy_of_x,
                "theta-sized": fixed,
                "theta": network.theta.nbytes,
                "unit": unit,
                "traced": traced,
                "traced, run alone": alone,
            }
        )
        report.line(
            f"{problem.name:12} {problem.N:6} {problem.M:5} {plan.n_parts:6} "
            f"{activations / unit:12.2f} {fixed / network.theta.nbytes:12.2f} "
            f"{traced / sum(sizes.values()):7.3f} {alone / 1e3:8.1f}"
        )
