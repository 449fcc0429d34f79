"""JAX: lax.scan under jit, differentiated by value_and_grad.

The input product of all steps stands outside the scan.
"""

from __future__ import annotations

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from shapes import Problem


def loss_sum(z: jax.Array, target: jax.Array) -> jax.Array:
    """Cross-entropy of softmax, or half the squared error; target is one-hot, or (..., 1)."""
    if z.shape[-1] == 1:
        return jnp.sum((z - target) ** 2) / 2
    return jnp.sum(jax.nn.logsumexp(z, axis=-1)) - jnp.sum(z * target)


class Scan:
    """A scan over time; a subclass says how many steps are unrolled."""

    unroll: ClassVar[int]

    def __init__(self, problem: Problem, dtype: str, n_threads: int) -> None:
        jax.config.update("jax_enable_x64", dtype == "float64")
        X, Y = problem.data(dtype)
        target = np.eye(problem.K, dtype=dtype)[Y] if problem.K > 1 else Y[:, None]
        self.problem = problem
        self.x = jax.device_put(problem.time_major(X))
        self.target = jax.device_put(problem.time_major_targets(target))
        self.parameters = jax.device_put(dict(problem.network(dtype).parameters))
        self.loss_and_gradients = jax.jit(jax.value_and_grad(self.loss))
        self.outputs = jax.jit(self.output)

    def logits(self, parameters: dict[str, jax.Array], x: jax.Array) -> jax.Array:
        """a2 of the steps that are read."""
        every = self.problem.readout == "every"

        def advance(h: jax.Array, a_t: jax.Array) -> tuple[jax.Array, jax.Array | None]:
            h = jnp.tanh(a_t + h @ parameters["weight_hh"].T)
            return h, h if every else None

        a = x @ parameters["weight_ih"].T + parameters["bias_h"]
        h0 = jnp.zeros((self.problem.B, self.problem.M), x.dtype)
        h_last, h = jax.lax.scan(advance, h0, a, unroll=self.unroll)
        return (h if every else h_last) @ parameters["weight_ho"].T + parameters["bias_o"]

    def loss(self, parameters: dict[str, jax.Array], x: jax.Array, target: jax.Array) -> jax.Array:
        """The loss, summed over the targets."""
        return loss_sum(self.logits(parameters, x), target)

    def output(self, parameters: dict[str, jax.Array], x: jax.Array) -> jax.Array:
        """h2."""
        z = self.logits(parameters, x)
        return jax.nn.softmax(z) if self.problem.K > 1 else z

    def step(self) -> Any:
        """Loss and gradients."""
        return jax.block_until_ready(self.loss_and_gradients(self.parameters, self.x, self.target))

    def forward(self) -> jax.Array:
        """Outputs."""
        return jax.block_until_ready(self.outputs(self.parameters, self.x))

    def computed(self) -> dict[str, Any]:
        """Loss, gradients, outputs."""
        loss, gradients = self.step()
        gradients = {name: np.asarray(array) for name, array in gradients.items()}
        output = self.problem.rows(np.asarray(self.forward()))
        return {"loss": float(loss), **gradients, "output": output}


class Rolled(Scan):
    """One step at a time."""

    unroll = 1


class Unrolled(Scan):
    """Eight steps at a time."""

    unroll = 8
