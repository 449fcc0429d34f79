"""Exact gradients of long sequences: keeping all hidden states, and keeping some of them."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from dataclasses import replace
from functools import partial
from itertools import product

import numpy as np

import cbptt
from race import Times
from report import Report
from shapes import Array, equal
from studies.memory import work_memory
from workers import Worker

WAYS = {"all": None, "some": "auto"}  # by the checkpoint of each
SIZES = ((4, 64), (8, 64), (8, 128), (32, 128), (8, 256))  # sequences, hidden units


class Gradients:
    """A network and long sequences with a target at every step."""

    def __init__(self, n_sequences: int, n_steps: int, units: int, dtype: str, cell: str) -> None:
        plain = equal("recompute", n_sequences, n_steps, 8, units, 8, "every")
        problem = replace(plain, cell=cell)
        X, Y = problem.data(dtype)
        self.network = problem.network(dtype)
        shape = n_sequences, n_steps
        self.shard = self.network.shard(X.reshape(*shape, 8), Y.reshape(shape))

    def gradient(self, way: str, network: cbptt.RNN | None = None) -> Array:
        """Compute the gradient."""
        engine = (network or self.network).engine
        return engine.gradient(self.shard, checkpoint=WAYS[way]).gradient

    def all(self) -> Array:
        """Keep the states of all steps."""
        return self.gradient("all")

    def some(self) -> Array:
        """Keep every sqrt(T)-th."""
        return self.gradient("some")

    def same(self) -> bool:
        """Return whether the gradients are the same bits."""
        return bool(np.array_equal(*(self.gradient(way) for way in WAYS)))

    def memory(self) -> dict[str, int]:
        """Return the bytes of work memory of each way."""
        return {way: work_memory(self.network, partial(self.gradient, way)) for way in WAYS}


def add_options(parser: ArgumentParser) -> None:
    """How long the sequences are."""
    parser.add_argument("--steps", type=int, default=10_000)


def run(report: Report, options: Namespace) -> None:
    """Print memory and time of both ways, for networks and batches of some sizes."""
    report.line(
        f"Loss and gradient of sequences of {options.steps} steps, 8 inputs, 8 outputs, "
        f"{options.dtype}, one thread, and the work memory of a call; gradients are the same bits."
    )
    report.line(
        f"{'cell':4} {'sequences':>9} {'units':>5} {'all, MB':>8} {'some, MB':>9} {'ratio':>6} "
        f"{'all, s':>8} {'some, s':>8} {'ratio':>6}"
    )
    results = report.raw["problems"] = []
    for cell, (n, units) in product(options.cells, SIZES):
        arguments = n, options.steps, units, options.dtype, cell
        with Worker("recompute", "studies.recompute:Gradients", arguments, n_threads=1) as worker:
            if not worker.call("same"):
                raise SystemExit("the gradients differ")
            memory = worker.call("memory")
            rounds: dict[str, list[float]] = {way: [] for way in WAYS}
            for _ in range(options.rounds):
                for way, values in rounds.items():
                    values.append(worker.seconds(way, options.seconds))
        times = {way: Times(tuple(values)) for way, values in rounds.items()}
        most = {way: n_bytes / 1e6 for way, n_bytes in memory.items()}
        results.append(
            {"cell": cell, "sequences": n, "units": units, "bytes": memory, "seconds": rounds}
        )
        report.line(
            f"{cell:4} {n:9} {units:5} {most['all']:8.1f} {most['some']:9.2f} "
            f"{most['some'] / most['all']:6.3f} {times['all'].median:8.3f} "
            f"{times['some'].median:8.3f} {times['some'].median / times['all'].median:6.2f}"
        )
