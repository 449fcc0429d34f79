"""Memory of a training step beyond X, theta and the gradient."""

from __future__ import annotations

import tracemalloc
from argparse import ArgumentParser, Namespace
from collections.abc import Callable

import cbptt
from engines.compiled import Prepared
from report import Report
from shapes import shapes_of


def add_options(parser: ArgumentParser) -> None:
    """Nothing beyond the common options."""


def peak(function: Callable[[], object]) -> int:
    """Return the most bytes that Python and NumPy held at one time while the function ran."""
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    result = function()
    most = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    del result
    return most


def work_memory(network: cbptt.RNN, call: Callable[[cbptt.RNN], object]) -> int:
    """Return the bytes of work memory that a call takes, which a network keeps between calls."""
    fresh = network.astype(network.dtype)
    call(fresh)
    with fresh.engine.memory(1) as memory:
        return memory.nbytes


def run(report: Report, options: Namespace) -> None:
    """Print the work memory of a step, with all states kept and with some, and what is traced."""
    report.line("Work memory of a training step with one thread: a copy of x, states, packed")
    report.line("matrices and gradients of parts; also in units of N x M numbers and of theta, and")
    report.line('with checkpoint="auto". Traced: what Python and NumPy allocate in a step whose')
    report.line("work memory is there, beyond the gradient, in kB.")
    problems = shapes_of(options.cells, options.shapes)
    width = max(len(problem.name) for problem in problems)
    report.line(
        f"{'shape':{width}} {'N':>6} {'M':>5} {'MB':>9} {'/ N x M':>8} {'/ theta':>8} "
        f"{'auto, MB':>9} {'traced, kB':>10}"
    )
    results = report.raw["problems"] = []
    for problem in problems:
        prepared = Prepared(problem, options.dtype, 1)
        network, shard = prepared.network, prepared.shard
        kept, auto = (
            work_memory(
                network,
                lambda net, which=which: net.engine.gradient(shard, checkpoint=which),  # noqa: B023
            )
            for which in (None, "auto")
        )
        prepared.step()
        traced = peak(prepared.step) - network.theta.nbytes
        unit = problem.N * problem.M * network.dtype.itemsize
        results.append(
            {
                "problem": problem.described(),
                "bytes": kept,
                "bytes, auto": auto,
                "unit": unit,
                "theta": network.theta.nbytes,
                "traced": traced,
            }
        )
        report.line(
            f"{problem.name:{width}} {problem.N:6} {problem.M:5} {kept / 1e6:9.3f} "
            f"{kept / unit:8.2f} {kept / network.theta.nbytes:8.2f} {auto / 1e6:9.3f} "
            f"{traced / 1e3:10.1f}"
        )
