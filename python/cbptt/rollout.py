"""A network that goes on from its own outputs: series continued, symbols drawn."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cbptt import _rollout
from cbptt.network import RNN

__all__ = ["continue_series", "draw_symbols"]

Array = NDArray[np.floating]

# Steps of all sequences together between two looks at signals, some ten milliseconds.
ROWS_PER_CALL = 1 << 14


def continue_series(
    network: RNN,
    past: Array,
    states: Array,
    known: Array,
    lags: NDArray[np.intp],
    noise: Array | None = None,
) -> Array:
    """Let a network continue series from its own predictions.

    Parameters
    ----------
    network : RNN
        Of K outputs, and K len(lags) + E inputs: the values at these lags, and what is known
        of a step.
    past : (n, P, K) array
        The steps before, P at least the largest lag.
    states : (n, M) array
        The states after all inputs of the past.
    known : (n, H, E) array
        What is known of the H steps to come; E may be 0.
    lags : (l,) array of ints from 1 up
    noise : (n, H, K) array, default=None
        Is added to the output of each step, and so enters the inputs of those that follow.

    Returns
    -------
    series : (n, H, K) array
    """
    dtype, (n, P, K), H = network.dtype, past.shape, known.shape[1]
    series = np.empty((n, P + H, K), dtype)
    series[:, :P] = past
    states = np.array(states, dtype, order="C")
    known = np.require(known, dtype, ["C", "A"])
    noise = np.empty((0, 0, 0), dtype) if noise is None else np.require(noise, dtype, ["C", "A"])
    lags = np.require(lags, np.intp, ["C", "A"])
    live = network.live()
    steps = max(1, ROWS_PER_CALL // n)
    for first in range(0, H, steps):
        end = min(H, first + steps)
        _rollout.forecast(series, states, known, noise, lags, P, first, end, live)
    return series[:, P:]


def draw_symbols(
    network: RNN,
    inputs: Array,
    states: Array,
    encoding: Array,
    n_steps: int,
    temperature: float,
    rng: np.random.Generator,
) -> NDArray[np.intp]:
    """Let a network draw symbols, each from the probabilities after the one before.

    Parameters
    ----------
    network : RNN
        Of classes: with softmax, or of two, with one logistic output.
    inputs : (n, D) array
        The encoding of the symbols that the first ones follow.
    states : (n, M) array
        The states before the step of `inputs`.
    encoding : (classes, D) array
        What each class is as an input.
    n_steps : int
    temperature : float
        Divides a2 before probabilities are made of it: below 1 the probable becomes more probable,
        and 0 takes the most probable class.
    rng : numpy.random.Generator

    Returns
    -------
    symbols : (n, n_steps) array of indices of classes
        -1 where a2 has left the range of numbers, as it may where states are not bounded.
    """
    dtype, n = network.dtype, len(inputs)
    symbols = np.empty((n, n_steps), np.intp)
    inputs, states = (np.array(given, dtype, order="C") for given in (inputs, states))
    encoding = np.require(encoding, dtype, ["C", "A"])
    uniforms = rng.random((n, n_steps))
    live = network.live()
    steps = max(1, ROWS_PER_CALL // n)
    for first in range(0, n_steps, steps):
        part = np.empty((n, min(steps, n_steps - first)), np.intp)
        drawn = np.ascontiguousarray(uniforms[:, first : first + steps])
        _rollout.sample(part, states, inputs, encoding, drawn, temperature, live)
        symbols[:, first : first + steps] = part
    return symbols
