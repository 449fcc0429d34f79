"""Keras on JAX: SimpleRNN and Dense, called without state under jit and value_and_grad; float32."""

from __future__ import annotations

import os
from typing import Any

os.environ["KERAS_BACKEND"] = "jax"

import jax
import keras
import numpy as np

from engines.scan import loss_sum
from shapes import Problem

NAMES = ("weight_ih", "weight_hh", "bias_h", "weight_ho", "bias_o")


class Model:
    """A sequential model, sequence-major as Keras has it."""

    def __init__(self, problem: Problem, dtype: str, n_threads: int) -> None:
        X, Y = problem.data(dtype)
        target = np.eye(problem.K, dtype=dtype)[Y] if problem.K > 1 else Y[:, None]
        every = problem.readout == "every"
        self.problem = problem
        self.model = keras.Sequential(
            [
                keras.Input((problem.T, problem.D), batch_size=problem.B),
                keras.layers.SimpleRNN(problem.M, return_sequences=every),
                keras.layers.Dense(problem.K),
            ]
        )
        parameters = problem.network(dtype).parameters
        # Keras keeps its weights transposed, in this same order
        self.model.set_weights([parameters[name].T for name in NAMES])
        self.variables = [variable.value for variable in self.model.trainable_variables]
        self.fixed = [variable.value for variable in self.model.non_trainable_variables]
        self.x = jax.device_put(X.reshape(problem.B, problem.T, problem.D))
        places = (problem.B, problem.T) if every else (problem.B,)
        self.target = jax.device_put(target.reshape(*places, problem.K))
        self.loss_and_gradients = jax.jit(jax.value_and_grad(self.loss))
        self.outputs = jax.jit(self.output)

    def logits(self, variables: list[jax.Array], x: jax.Array) -> jax.Array:
        """a2 of the steps that are read."""
        return self.model.stateless_call(variables, self.fixed, x, training=True)[0]

    def loss(self, variables: list[jax.Array], x: jax.Array, target: jax.Array) -> jax.Array:
        """The loss, summed over the targets."""
        return loss_sum(self.logits(variables, x), target)

    def output(self, variables: list[jax.Array], x: jax.Array) -> jax.Array:
        """h2."""
        z = self.logits(variables, x)
        return jax.nn.softmax(z) if self.problem.K > 1 else z

    def step(self) -> Any:
        """Loss and gradients."""
        return jax.block_until_ready(self.loss_and_gradients(self.variables, self.x, self.target))

    def forward(self) -> jax.Array:
        """Outputs."""
        return jax.block_until_ready(self.outputs(self.variables, self.x))

    def computed(self) -> dict[str, Any]:
        """Loss, gradients, outputs."""
        loss, gradients = self.step()
        by_name = {n: np.asarray(g).T for n, g in zip(NAMES, gradients, strict=True)}
        output = np.asarray(self.forward()).reshape(-1, self.problem.K)
        return {"loss": float(loss), **by_name, "output": output}
