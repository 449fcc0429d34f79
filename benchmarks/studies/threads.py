"""Two threads: what they gain, and what they cost beside a program that takes one of the CPUs."""

from __future__ import annotations

import multiprocessing
import os
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing.synchronize import Event
from typing import Any

import numpy as np

from engines import installed
from race import Times, compare, engine, geometric_mean, judgement
from report import Report
from shapes import Problem, shapes_of
from workers import last_cpu


def add_options(parser: ArgumentParser) -> None:
    """Add what is too short to be worth a second thread."""
    parser.add_argument(
        "--at-least-ms", type=float, default=5.0, help="leave out shapes with shorter steps"
    )


def spin(cpu: int, parent: int, ready: Event) -> None:
    """Keep a CPU busy for as long as the parent lives."""
    os.sched_setaffinity(0, {cpu})
    ready.set()
    while os.getppid() == parent:
        for _ in range(100_000):
            pass


@contextmanager
def hog() -> Iterator[None]:
    """A busy program on the CPU that is not the last."""
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    cpu = min(os.sched_getaffinity(0))
    process = context.Process(target=spin, args=(cpu, os.getpid(), ready), daemon=True)
    process.start()
    ready.wait()
    try:
        yield
    finally:
        process.terminate()
        process.join()


def same_bits(one: dict[str, Any], two: dict[str, Any]) -> bool:
    """Whether two engines computed the same numbers to the last bit."""
    return all(np.array_equal(value, two[name]) for name, value in one.items())


def measure(problem: Problem, options: Namespace) -> dict[str, Any] | None:
    """Return the rounds of each engine and number of threads, quiet and beside a hog."""
    rounds: dict[str, list[float]] = {}
    with ExitStack() as stack:
        single = stack.enter_context(engine("cbptt", problem, options.dtype, 1))
        computed = {"cbptt 1": single.call("computed")}
        if single.seconds("step", options.seconds) < options.at_least_ms / 1e3:
            return None
        workers = {"cbptt 1": single}
        for name in ("cbptt", "torch"):
            for n_threads in (1, 2):
                label = f"{name} {n_threads}"
                if label in workers or not installed(name):
                    continue
                worker = engine(name, problem, options.dtype, n_threads)
                workers[label] = stack.enter_context(worker)
                computed[label] = worker.call("computed")
        expected = judgement(problem, options.dtype)
        differences = {
            label: compare(f"{label} on {problem.name}", found, expected, options.dtype)
            for label, found in computed.items()
        }
        for _ in range(options.rounds):
            for label, worker in workers.items():
                rounds.setdefault(label, []).append(worker.seconds("step", options.seconds))
            with hog():
                for label, worker in workers.items():
                    if label.endswith("2"):
                        hogged = worker.seconds("step", options.seconds)
                        rounds.setdefault(f"{label} hogged", []).append(hogged)
    return {
        "problem": problem.described(),
        "seconds": rounds,
        "differences": differences,
        "same bits": same_bits(computed["cbptt 1"], computed["cbptt 2"]),
    }


def run(report: Report, options: Namespace) -> None:
    """Time one thread and two, quiet and beside a hog."""
    if len(os.sched_getaffinity(0)) != 2:
        raise SystemExit("this study takes a machine of two CPUs, or `taskset` to two of them")
    report.line(f"ms of a training step. With one thread: on CPU {last_cpu()}, nothing beside it.")
    report.line("With two: on both; hogged: a busy program is pinned to the other CPU.")
    report.line("gain: one thread's time over two threads'; hogged gain: the same beside the hog.")
    names = [name for name in ("cbptt", "torch") if installed(name)]
    problems = [p for p in shapes_of(options.cells, options.shapes) if not p.is_ragged]
    width = max(len(problem.name) for problem in problems)
    report.line(
        f"{'shape':{width}}"
        + "".join(
            f"{f'{name} 1':>10} {f'{name} 2':>9} {'gain':>5} {'hogged':>10} {'gain':>5}"
            for name in names
        )
        + "  same bits"
    )
    gains: dict[str, list[float]] = {}
    skipped = []
    results = report.raw["problems"] = []
    for problem in problems:
        found = measure(problem, options)
        if found is None:
            skipped.append(problem.name)
            continue
        results.append(found)
        times = {label: Times(tuple(values)) for label, values in found["seconds"].items()}
        text, spread = f"{problem.name:{width}}", []
        for name in names:
            one, two, hogged = (
                times[label] for label in (f"{name} 1", f"{name} 2", f"{name} 2 hogged")
            )
            quiet_gain, hogged_gain = one.median / two.median, one.median / hogged.median
            gains.setdefault(f"{name}, two threads", []).append(quiet_gain)
            gains.setdefault(f"{name}, two threads beside a hog", []).append(hogged_gain)
            text += (
                f"{1e3 * one.median:10.2f} {1e3 * two.median:9.2f} {quiet_gain:4.2f}x "
                f"{1e3 * hogged.median:10.2f} {hogged_gain:4.2f}x"
            )
        for label, time in times.items():
            spread.append(f"{label} {1e3 * time.least:.2f} to {1e3 * time.greatest:.2f}")
        report.line(f"{text}  {'yes' if found['same bits'] else 'no'}")
        report.line(f"    rounds: {', '.join(spread)}")
    report.line()
    if skipped:
        report.line(f"shorter than {options.at_least_ms:g} ms: {', '.join(skipped)}")
    for name, values in gains.items():
        mean, worst = geometric_mean(values), min(values)
        report.line(f"{name}: geometric mean {mean:.2f}x, worst {worst:.2f}x")
