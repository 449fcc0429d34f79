"""cbptt: sequences with their targets, run in memory asked for once, as in a fit."""

from __future__ import annotations

from typing import Any

from cbptt import Ragged
from cbptt.network import ShardResult
from shapes import Array, Problem


class Compiled:
    """The network of this package."""

    def __init__(self, problem: Problem, dtype: str, n_threads: int) -> None:
        X, Y = problem.data(dtype)
        targets = problem.split(Y) if problem.readout == "every" else Y
        self.network = problem.network(dtype)
        self.shard = self.network.shard(Ragged.from_flat(X, problem.lengths), targets)
        sequences = self.shard.sequences
        self.scratch = self.network.scratch(sequences, n_threads=n_threads)
        self.forward_scratch = self.network.forward_scratch(sequences, n_threads)
        self.n_threads = n_threads

    def step(self) -> ShardResult:
        """Loss and gradients, in scratch."""
        return self.network.run(self.shard, self.scratch, self.n_threads)

    def forward(self) -> Array:
        """Outputs, in scratch."""
        return self.network.run_forward(self.shard, self.forward_scratch, self.n_threads)

    def computed(self) -> dict[str, Any]:
        """Loss, gradients, outputs."""
        result = self.step()
        gradients = self.network.layout.views(result.gradient.copy())
        return {"loss": result.loss_sum, **gradients, "output": self.forward()}
