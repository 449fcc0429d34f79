"""cbptt: the public call, which reads and checks its arguments, and the same without the checks."""

from __future__ import annotations

from typing import Any

import numpy as np

from cbptt import Ragged
from shapes import Array, Problem


class Public:
    """The network of this package, called with the arrays of a user."""

    def __init__(self, problem: Problem, dtype: str, n_threads: int) -> None:
        X, Y = problem.data(dtype)
        self.problem, self.n_threads = problem, n_threads
        self.network = problem.network(dtype)
        self.X: Any = Ragged.from_flat(X, problem.lengths)
        self.Y: Any = problem.split(Y) if problem.readout == "every" else Y
        if not problem.is_ragged:
            self.X = X.reshape(problem.B, problem.T, problem.D)
            if problem.readout == "every":
                self.Y = Y.reshape(problem.B, problem.T)

    def step(self) -> Any:
        """Loss and gradients."""
        if self.n_threads == 1:
            return self.network.loss_and_gradients(self.X, self.Y, reduction="sum")
        # a network's own calls have one thread; an estimator checks, and passes its threads on
        result = self.network.engine.gradient(self.network.shard(self.X, self.Y), self.n_threads)
        return result.loss_sum, self.network.layout.views(result.gradient)

    def forward(self) -> Any:
        """Outputs."""
        if self.n_threads == 1:
            return self.network.forward(self.X).output
        sequences = self.network.shard(self.X, self.Y).sequences
        return self.network.engine.predict(sequences, n_threads=self.n_threads).outputs

    def computed(self) -> dict[str, Any]:
        """Loss, gradients, outputs."""
        loss, gradients = self.step()
        output = self.forward()
        output = output.values if isinstance(output, Ragged) else np.asarray(output)
        return {"loss": loss, **gradients, "output": output.reshape(-1, self.problem.K)}


class Prepared(Public):
    """The same on sequences and targets that were checked beforehand."""

    def __init__(self, problem: Problem, dtype: str, n_threads: int) -> None:
        super().__init__(problem, dtype, n_threads)
        self.shard = self.network.shard(self.X, self.Y)

    def step(self) -> tuple[float, Any]:
        """Loss and gradients of checked sequences."""
        result = self.network.engine.gradient(self.shard, self.n_threads)
        return result.loss_sum, self.network.layout.views(result.gradient)

    def forward(self) -> Array:
        """Outputs of checked sequences."""
        return self.network.engine.predict(self.shard.sequences, n_threads=self.n_threads).outputs
