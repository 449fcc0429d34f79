"""The NumPy reference, `cbptt.reference`: a loop over time, products merged over time around it."""

from __future__ import annotations

from typing import Any

from cbptt import reference
from shapes import Problem


class Lecture:
    """The lecture in NumPy, time-major."""

    def __init__(self, problem: Problem, dtype: str, n_threads: int) -> None:
        X, Y = problem.data(dtype)
        network = problem.network(dtype)
        target = reference.one_hot(Y, problem.K, dtype) if problem.K > 1 else Y[:, None]
        self.problem = problem
        self.x = problem.time_major(X)
        self.target = problem.time_major_targets(target)
        self.parameters = {name: array.copy() for name, array in network.parameters.items()}
        self.names = {
            "output_activation": network.output_activation,
            "readout": network.readout,
        }
        self.loss_name = network.loss_name

    def step(self) -> reference.Bptt:
        """Loss and derivatives, with every quantity between."""
        return reference.bptt(
            self.parameters, self.x, self.target, loss=self.loss_name, **self.names
        )

    def forward(self) -> reference.Forward:
        """States and outputs."""
        return reference.forward(self.parameters, self.x, **self.names)

    def computed(self) -> dict[str, Any]:
        """Loss, gradients, outputs."""
        result = self.step()
        return {
            "loss": result.loss,
            "weight_ih": result.W0.T,
            "weight_hh": result.W11.T,
            "bias_h": result.b0[0],
            "weight_ho": result.W1.T,
            "bias_o": result.b1[0],
            "output": self.problem.rows(self.forward().h2),
        }
