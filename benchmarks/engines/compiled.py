"""cbptt: the public call, which checks its arguments, and the same without the checks."""

from __future__ import annotations

from typing import Any

from cbptt import Ragged
from shapes import Array, Problem


class Compiled:
    """The network of this package."""

    def __init__(self, problem: Problem, dtype: str, n_threads: int) -> None:
        X, Y = problem.data(dtype)
        targets = problem.split(Y) if problem.readout == "every" else Y
        self.network = problem.network(dtype)
        self.shard = self.network.shard(Ragged.from_flat(X, problem.lengths), targets)
        self.n_threads = n_threads
        self.X: Any = self.shard.sequences
        self.Y: Any = targets

    def step(self) -> Any:
        """Loss and gradients of checked sequences."""
        return self.network.engine.gradient(self.shard, self.n_threads)

    def forward(self) -> Array:
        """Outputs of checked sequences."""
        return self.network.engine.predict(
            self.shard.sequences, n_threads=self.n_threads
        ).outputs

    def computed(self) -> dict[str, Any]:
        """Loss, gradients, outputs."""
        result = self.step()
        gradients = self.network.layout.views(result.gradient)
        return {"loss": result.loss_sum, **gradients, "output": self.forward()}
