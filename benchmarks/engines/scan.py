"""JAX: lax.scan under jit, differentiated by value_and_grad.

The input product of all steps stands outside the scan. Sequences of unequal lengths are padded, and
the states after their last steps gathered; for the reverse direction each is reversed by itself.
"""

from __future__ import annotations

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from shapes import Problem

Parameters = dict[str, jax.Array]


def loss_sum(z: jax.Array, target: jax.Array) -> jax.Array:
    """Cross-entropy of softmax, or half the squared error; target is one-hot, or (..., 1)."""
    if z.shape[-1] == 1:
        return jnp.sum((z - target) ** 2) / 2
    return jnp.sum(jax.nn.logsumexp(z, axis=-1)) - jnp.sum(z * target)


def rnn(state: tuple[jax.Array], a: jax.Array, product: jax.Array) -> tuple[jax.Array]:
    """Return the state after a step; a is the input's part, the product W11 h's."""
    return (jnp.tanh(a + product),)


def gru(state: tuple[jax.Array], a: jax.Array, product: jax.Array) -> tuple[jax.Array]:
    """Return the same of gates r, z, n; the product has the bias of n."""
    (h,) = state
    (a_r, a_z, a_n), (p_r, p_z, p_n) = (jnp.split(part, 3, axis=1) for part in (a, product))
    r, z = jax.nn.sigmoid(a_r + p_r), jax.nn.sigmoid(a_z + p_z)
    n = jnp.tanh(a_n + r * p_n)
    return (n + z * (h - n),)


def lstm(
    state: tuple[jax.Array, jax.Array], a: jax.Array, product: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Return the same of gates i, f, g, o."""
    i, f, g, o = jnp.split(a + product, 4, axis=1)
    c = jax.nn.sigmoid(f) * state[1] + jax.nn.sigmoid(i) * jnp.tanh(g)
    return jax.nn.sigmoid(o) * jnp.tanh(c), c


CELLS: dict[str, Any] = {"rnn": rnn, "gru": gru, "lstm": lstm}


class Scan:
    """A scan over time; a subclass says how many steps are unrolled."""

    unroll: ClassVar[int]

    def __init__(self, problem: Problem, dtype: str, n_threads: int) -> None:
        jax.config.update("jax_enable_x64", dtype == "float64")
        X, Y = problem.data(dtype)
        target = np.eye(problem.K, dtype=dtype)[Y] if problem.K > 1 else Y[:, None]
        self.problem = problem
        self.every = problem.readout == "every"
        assert not (problem.is_ragged and self.every), "the loss would count padding"
        self.x = jax.device_put(problem.padded(X))
        self.target = jax.device_put(problem.time_major_targets(target))
        self.parameters = jax.device_put(dict(problem.network(dtype).parameters))
        self.loss_and_gradients = jax.jit(jax.value_and_grad(self.loss))
        self.outputs = jax.jit(self.output)

    def track(
        self, parameters: Parameters, suffix: str, x: jax.Array, top: bool
    ) -> tuple[jax.Array | None, jax.Array | None]:
        """Return the states of a layer in one direction, and those after the last steps.

        Of the topmost layer either is None if it is not read.
        """
        problem = self.problem
        reverse = suffix.endswith("_reverse")
        gathered, whole = problem.is_ragged, self.every or not top
        flipped = reverse and problem.is_ragged
        if flipped:
            x = x[problem.backwards]
        weight_hh = parameters[f"weight_hh{suffix}"].T
        bias = None
        if problem.cell == "gru":
            zeros = jnp.zeros(2 * problem.M, x.dtype)
            bias = jnp.concatenate([zeros, parameters[f"bias_hn{suffix}"]])

        def advance(state: Any, a_t: jax.Array) -> tuple[Any, jax.Array | None]:
            product = state[0] @ weight_hh
            state = CELLS[problem.cell](state, a_t, product if bias is None else product + bias)
            return state, state[0] if whole or gathered else None

        a = x @ parameters[f"weight_ih{suffix}"].T + parameters[f"bias_h{suffix}"]
        zero = jnp.zeros((problem.B, problem.M), x.dtype)
        state = (zero, zero) if problem.cell == "lstm" else (zero,)
        (h_last, *_), h = jax.lax.scan(
            advance, state, a, unroll=self.unroll, reverse=reverse and not flipped
        )
        if not whole:
            return None, h[problem.last_steps] if gathered else h_last
        return h[problem.backwards] if flipped else h, None

    def logits(self, parameters: Parameters, x: jax.Array) -> jax.Array:
        """a2 of the steps that are read."""
        for layer, suffixes in enumerate(self.problem.suffixes):
            top = layer == self.problem.n_layers - 1
            found = [self.track(parameters, suffix, x, top) for suffix in suffixes]
            h, h_last = zip(*found, strict=True)
            x = jnp.concatenate(h_last if h[0] is None else h, axis=-1)
        return x @ parameters["weight_ho"].T + parameters["bias_o"]

    def loss(self, parameters: Parameters, x: jax.Array, target: jax.Array) -> jax.Array:
        """The loss, summed over the targets."""
        return loss_sum(self.logits(parameters, x), target)

    def output(self, parameters: Parameters, x: jax.Array) -> jax.Array:
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
