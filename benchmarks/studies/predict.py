"""Outputs of a large set: time per step and memory, beside the compiled forward pass alone."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

import numpy as np

from cbptt.data.sequences import check_sequences
from race import Times
from report import Report
from shapes import SHAPES, Array, Problem, equal
from studies.memory import peak, work_memory
from workers import Worker

TIMED = {
    "one_thread": "Engine.predict, one thread",
    "two_threads": "Engine.predict, two threads",
    "forward": "RNN.forward, which gives the hidden states too",
}


def large(n_sequences: int) -> Problem:
    """Return the shape `vowels` with more sequences."""
    shape = next(shape for shape in SHAPES if shape.name == "vowels")
    return equal("predict", n_sequences, shape.T, shape.D, shape.M, shape.K, shape.readout)


class Prediction:
    """A network and a large set."""

    def __init__(self, n_sequences: int, dtype: str) -> None:
        problem = large(n_sequences)
        values, _ = problem.data(dtype)
        self.X = values.reshape(problem.B, problem.T, problem.D)
        self.network = problem.network(dtype)
        self.sequences = check_sequences(self.X, caller="predict", dtype=dtype)

    def one_thread(self) -> Array:
        """What an estimator's predict calls."""
        return self.network.engine.predict(self.sequences).outputs

    def two_threads(self) -> Array:
        """The same with n_jobs=2."""
        return self.network.engine.predict(self.sequences, n_threads=2).outputs

    def forward(self) -> Array:
        """Everything that a forward pass computes."""
        return self.network.forward(self.X).output

    def difference(self) -> float:
        """Return by how much the ways' outputs differ at most."""
        expected = self.forward()
        found = self.one_thread(), self.two_threads()
        return float(max(np.abs(outputs - expected).max() for outputs in found))

    def peak(self) -> int:
        """Return the bytes that one_thread has allocated at most."""
        call = work_memory(self.network, lambda network: network.engine.predict(self.sequences))
        return peak(self.one_thread) + call


def add_options(parser: ArgumentParser) -> None:
    """Add the size of the set."""
    parser.add_argument("--sequences", type=int, default=20_000)


def run(report: Report, options: Namespace) -> None:
    """Time the outputs and the forward passes in turn."""
    problem = large(options.sequences)
    report.line(
        f"{problem.B} sequences of {problem.T} steps, D {problem.D}, M {problem.M}, K {problem.K}; "
        f"{options.dtype}"
    )
    rounds: dict[str, list[float]] = {name: [] for name in TIMED}
    arguments = options.sequences, options.dtype
    with Worker("predict", "studies.predict:Prediction", arguments, n_threads=2) as worker:
        difference, most = worker.call("difference"), worker.call("peak")
        for _ in range(options.rounds):
            for name, values in rounds.items():
                values.append(worker.seconds(name, options.seconds))
    report.raw["problem"] = problem.described()
    report.raw |= {"seconds": rounds, "difference": difference, "peak": most}
    if not difference <= 1e-5:
        raise SystemExit(f"the ways differ by {difference:.1e}")
    found = {name: Times(tuple(values)) for name, values in rounds.items()}
    for name, what in TIMED.items():
        times = found[name]
        per_step = [1e9 * t / problem.N for t in (times.median, times.least, times.greatest)]
        report.line(
            f"{what:46} {per_step[0]:7.1f} ns a step ({per_step[1]:.1f} to {per_step[2]:.1f})"
        )
    numbers = most / np.dtype(options.dtype).itemsize
    report.line(
        f"Engine.predict allocates at most {most / 1e6:.1f} MB: "
        f"{numbers / (problem.N * problem.M):.3f} x N x M numbers, "
        f"{numbers / (problem.N * problem.D):.2f} times X"
    )
