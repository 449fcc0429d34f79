"""Outputs of a large set: time per step and memory, beside the compiled forward pass alone."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

import numpy as np

from cbptt.sequences import check_sequences
from race import Times
from report import Report
from shapes import SHAPES, Array, Problem, equal
from studies.memory import peak
from workers import Worker

BATCH = 32
TIMED = {
    "outputs": "RNN.outputs of all sequences",
    "whole": "run_forward of all rows at once",
    "batches": f"run_forward of {BATCH} sequences at a time",
}


def large(n_sequences: int) -> Problem:
    """Return the shape `vowels` with more sequences."""
    shape = next(shape for shape in SHAPES if shape.name == "vowels")
    return equal("predict", n_sequences, shape.T, shape.D, shape.M, shape.K, shape.readout)


class Prediction:
    """A network and a large set."""

    def __init__(self, n_sequences: int, dtype: str) -> None:
        problem = large(n_sequences)
        values, Y = problem.data(dtype)
        X = values.reshape(problem.B, problem.T, problem.D)
        self.network = network = problem.network(dtype)
        self.sequences = check_sequences(X, caller="predict", dtype=dtype)
        self.shard = network.shard(X, Y)
        self.scratch = network.scratch(problem.B, problem.N)
        parts = [slice(i, i + BATCH) for i in range(0, problem.B, BATCH)]
        self.shards = [network.shard(X[part], Y[part]) for part in parts]
        self.small = network.scratch(BATCH, BATCH * problem.T)

    def outputs(self) -> Array:
        """What an estimator's predict calls."""
        return self.network.outputs(self.sequences)

    def whole(self) -> Array:
        """Packed beforehand, in memory asked for once."""
        return self.network.run_forward(self.shard, self.scratch)

    def batches(self) -> None:
        """The same in mini-batches, whose states stay in cache."""
        for shard in self.shards:
            self.network.run_forward(shard, self.small)

    def difference(self) -> float:
        """Return by how much the two ways' outputs differ at most."""
        order = self.shard.packing.order
        return float(np.abs(self.outputs()[order] - self.whole()).max())

    def peak(self) -> int:
        """Return the bytes that outputs() has allocated at most."""
        return peak(self.outputs)


def add_options(parser: ArgumentParser) -> None:
    """Add the size of the set."""
    parser.add_argument("--sequences", type=int, default=20_000)


def run(report: Report, options: Namespace) -> None:
    """Time the outputs and the forward passes in turn."""
    problem = large(options.sequences)
    report.line(
        f"{problem.B} sequences of {problem.T} steps, D {problem.D}, M {problem.M}, K {problem.K}; "
        f"{options.dtype}, one thread"
    )
    rounds: dict[str, list[float]] = {name: [] for name in TIMED}
    arguments = options.sequences, options.dtype
    with Worker("predict", "studies.predict:Prediction", arguments) as worker:
        difference, most = worker.call("difference"), worker.call("peak")
        worker.call("batches")
        for _ in range(options.rounds):
            for name, values in rounds.items():
                values.append(worker.seconds(name, options.seconds))
    report.raw["problem"] = problem.described()
    report.raw |= {"seconds": rounds, "difference": difference, "peak": most}
    if not difference <= 1e-5:
        raise SystemExit(f"outputs and run_forward differ by {difference:.1e}")
    fastest = {name: Times(tuple(values)) for name, values in rounds.items()}
    ours = fastest["outputs"].median
    for name, what in TIMED.items():
        times = fastest[name]
        per_step = [1e9 * t / problem.N for t in (times.median, times.least, times.greatest)]
        report.line(
            f"{what:40} {per_step[0]:8.1f} ns a step ({per_step[1]:.1f} to {per_step[2]:.1f})"
            + (f", outputs takes {ours / times.median:.2f} times that" if name != "outputs" else "")
        )
    numbers = most / np.dtype(options.dtype).itemsize
    report.line(
        f"outputs allocates at most {most / 1e6:.1f} MB: {numbers / (problem.N * problem.M):.2f} "
        f"x N x M numbers, {numbers / (problem.N * problem.D):.2f} times X"
    )
