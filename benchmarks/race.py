"""Engines on a problem: first the proof that all do the same work, then rounds of timing."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np

from engines import ENGINES, PRODUCTS, able
from engines.product import FLOPS
from shapes import Problem
from workers import Worker

TOLERANCE = {"float32": 1e-4, "float64": 1e-10}
Computed = dict[str, Any]
Differences = dict[str, float]


@dataclass(frozen=True)
class Times:
    """The medians of the rounds, in seconds."""

    rounds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The figure that is reported and that ratios are made of."""
        return statistics.median(self.rounds)

    @property
    def least(self) -> float:
        """The quietest round."""
        return min(self.rounds)

    @property
    def greatest(self) -> float:
        """The noisiest."""
        return max(self.rounds)


@dataclass(frozen=True)
class Outcome:
    """What a race gave, by engine.

    Attributes
    ----------
    times : of step and forward, for each label.
    differences : by which each quantity differs from the judge's, relative to its largest entry.
    """

    times: Mapping[str, Mapping[str, Times]]
    differences: Mapping[str, Differences]

    def timed(self, label: str, thing: str) -> Times | None:
        """The times of a thing; None if the engine does not have it, or did not take part."""
        return self.times.get(label, {}).get(thing)

    @property
    def peak(self) -> float:
        """Floating-point operations per second of the matrix product."""
        return FLOPS / self.times["product"]["step"].median

    @property
    def largest_difference(self) -> float:
        """Of all engines and quantities."""
        return max(d for found in self.differences.values() for d in found.values())

    def raw(self) -> dict[str, Any]:
        """Return all of it in plain types."""
        seconds = {
            label: {thing: list(times.rounds) for thing, times in things.items()}
            for label, things in self.times.items()
        }
        return {"seconds": seconds, "differences": dict(self.differences)}


def engine(name: str, problem: Problem, dtype: str, n_threads: int) -> Worker:
    """Start an engine."""
    label = f"{name} on {problem.name}"
    return Worker(label, ENGINES[name].path, (problem, dtype, n_threads), n_threads)


def judgement(problem: Problem, dtype: str) -> Computed:
    """Return what is right: by NumPy, or by cbptt if that cannot compute it."""
    judges = (name for name in ("numpy", "numpy-cells", "cbptt") if able(name, problem, dtype))
    with engine(next(judges), problem, dtype, 1) as judge:
        computed: Computed = judge.call("computed")
        return computed


def compare(label: str, computed: Computed, expected: Computed, dtype: str) -> Differences:
    """Return by how much each quantity differs; stop where that is too much."""
    differences = {}
    for name, array in computed.items():
        right = np.asarray(expected[name])
        if np.shape(array) != right.shape:
            raise SystemExit(f"{label}: {name} has shape {np.shape(array)}, not {right.shape}")
        difference = float(np.abs(array - right).max() / np.abs(right).max())
        if not difference <= TOLERANCE[dtype]:
            raise SystemExit(
                f"{label}: {name} differs by {difference:.1e}, more than {TOLERANCE[dtype]:.0e}"
            )
        differences[name] = difference
    return differences


def race(
    entries: Mapping[str, tuple[str, Problem]],
    *,
    dtype: str,
    n_threads: int,
    n_rounds: int,
    at_least: float,
) -> Outcome:
    """Time engines, `label: (engine, problem)`, beside the matrix product.

    Rounds are interleaved: in each, every engine takes its turn at the step, then at the forward
    pass. What an engine gives of a round is the median of its calls.
    """
    problems = {problem.name: problem for _, problem in entries.values()}
    expected = {name: judgement(problem, dtype) for name, problem in problems.items()}
    differences: dict[str, Differences] = {}
    rounds: dict[str, dict[str, list[float]]] = {}
    with ExitStack() as stack:
        workers = {}
        for label, (name, problem) in entries.items():
            worker = workers[label] = stack.enter_context(engine(name, problem, dtype, n_threads))
            computed = worker.call("computed")
            differences[label] = compare(worker.label, computed, expected[problem.name], dtype)
            rounds[label] = {thing: [] for thing in ENGINES[name].offers}
        product = Worker("product", PRODUCTS["numpy"].path, (None, dtype, n_threads), n_threads)
        workers["product"] = stack.enter_context(product)
        product.call("step")
        rounds["product"] = {"step": []}
        for _ in range(n_rounds):
            for thing in ("step", "forward"):
                for label, worker in workers.items():
                    if thing in rounds[label]:
                        rounds[label][thing].append(worker.seconds(thing, at_least))
    times = {
        label: {thing: Times(tuple(values)) for thing, values in things.items()}
        for label, things in rounds.items()
    }
    return Outcome(times, differences)


def geometric_mean(values: Sequence[float]) -> float:
    """Of ratios."""
    return statistics.geometric_mean(values)
