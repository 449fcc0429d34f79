"""Three cells, one step at a time: the lecture's network, the GRU and the LSTM; forward, and back.

A cell replaces the lecture's h1(t) = tanh(a1(t)); the output layer stays. Its gates have matrices
of one shape, which lie one below the other in ``weight_ih`` (W0), ``weight_hh`` (W11) and
``bias_h`` (b0), in the order of `GATES`; W0r, W11r and b0r are the blocks of the gate r, and so on.
docs/cells.md derives the equations.

Each function that goes back quotes the forward line that it reverses. A derivative with respect to
a row of numbers is a row. m, the mask of recurrent dropout, is 1 without dropout.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from cbptt.reference.functions import ACTIVATIONS, Activation

Array: TypeAlias = npt.NDArray[Any]

GATES: Mapping[str, tuple[str, ...]] = {
    "rnn": ("a",),
    "gru": ("r", "z", "n"),
    "lstm": ("i", "f", "g", "o"),
}
"""Blocks of M rows in the matrices of a cell, in their order."""

STATES: Mapping[str, tuple[str, ...]] = {"rnn": ("h",), "gru": ("h",), "lstm": ("h", "c")}
"""What a cell hands on to its next step."""

LOGISTIC, TANH = ACTIVATIONS["logistic"], ACTIVATIONS["tanh"]


@dataclass(frozen=True, eq=False)
class Layer:
    """The parameters of a layer in one direction, and its mask.

    Attributes
    ----------
    W0 : (G M, D) array
        From the inputs into the G gates.
    W11 : (G M, M) array
        From the hidden units of the step before into the gates.
    b0 : (G M,) array
    bhn : (M,) array
        The GRU's second bias of its gate n; of other cells it is empty.
    m : (B, M) array
        The mask of recurrent dropout.
    f : Activation
        Hidden function of the cell "rnn".
    """

    W0: Array
    W11: Array
    b0: Array
    bhn: Array
    m: Array
    f: Activation = TANH


class Deltas(NamedTuple):
    """What a step back returns.

    Attributes
    ----------
    inward : (B, G M) array
        nabla L with respect to what W0 and b0 add to.
    recurrent : (B, G M) array
        nabla L with respect to what W11 adds to: the same except in a GRU.
    state : tuple of (B, M) arrays
        nabla L with respect to the state before the step, through this step.
    """

    inward: Array
    recurrent: Array
    state: tuple[Array, ...]


# ----------------------------------------------------------- the lecture's network


class ElmanStep(NamedTuple):
    """A step of the cell "rnn". All are (B, M) arrays, x is (B, D)."""

    x: Array
    mh: Array  # m h(t-1), what W11 reads
    h: Array


def elman_step(layer: Layer, x: Array, h_prev: Array) -> ElmanStep:
    """One step of the lecture's network."""
    mh = layer.m * h_prev
    # a(t) = W0 x(t) + W11 m h(t-1) + b0
    a = x @ layer.W0.T + mh @ layer.W11.T + layer.b0
    # h(t) = f(a(t))
    return ElmanStep(x, mh, layer.f.function(a))


def elman_step_back(layer: Layer, step: ElmanStep, dh: Array) -> Deltas:
    """One step back; dh is nabla_{h(t)} L, from above and from step t+1."""
    # forward: h(t) = f(a(t))
    da = dh * layer.f.derivative(step.h)
    # forward: a(t) = W0 x(t) + W11 m h(t-1) + b0
    # nabla_{h(t-1)} L = nabla_{a(t)} L W11 m
    return Deltas(da, da, (da @ layer.W11 * layer.m,))


# ----------------------------------------------------------- GRU (Cho et al. 2014)


class GruStep(NamedTuple):
    """A step of the GRU. All are (B, M) arrays, x is (B, D)."""

    x: Array
    mh: Array  # m h(t-1), what W11 reads
    h_prev: Array
    r: Array
    z: Array
    q: Array
    n: Array
    h: Array


def gru_step(layer: Layer, x: Array, h_prev: Array) -> GruStep:
    """One step of a GRU, whose reset gate multiplies after the product with W11."""
    mh = layer.m * h_prev
    x_r, x_z, x_n = np.split(x @ layer.W0.T + layer.b0, 3, axis=-1)
    h_r, h_z, h_n = np.split(mh @ layer.W11.T, 3, axis=-1)
    # r(t) = logistic(W0r x(t) + W11r m h(t-1) + b0r)
    r = LOGISTIC.function(x_r + h_r)
    # z(t) = logistic(W0z x(t) + W11z m h(t-1) + b0z)
    z = LOGISTIC.function(x_z + h_z)
    # q(t) = W11n m h(t-1) + bhn
    q = h_n + layer.bhn
    # n(t) = tanh(W0n x(t) + b0n + r(t) q(t))
    n = TANH.function(x_n + r * q)
    # h(t) = (1 - z(t)) n(t) + z(t) h(t-1)
    h = (1 - z) * n + z * h_prev
    return GruStep(x, mh, h_prev, r, z, q, n, h)


def gru_step_back(layer: Layer, step: GruStep, dh: Array) -> Deltas:
    """One step back; dh is nabla_{h(t)} L, from above and from step t+1."""
    _, _, h_prev, r, z, q, n, _ = step
    # forward: h(t) = (1 - z(t)) n(t) + z(t) h(t-1)
    dz = dh * (h_prev - n)
    dn = dh * (1 - z)
    # forward: n(t) = tanh(an(t)) with an(t) = W0n x(t) + b0n + r(t) q(t)
    dan = dn * TANH.derivative(n)
    dr = dan * q
    dq = dan * r
    # forward: r(t) = logistic(ar(t)),  z(t) = logistic(az(t))
    dar = dr * LOGISTIC.derivative(r)
    daz = dz * LOGISTIC.derivative(z)

    inward = np.concatenate([dar, daz, dan], axis=-1)
    recurrent = np.concatenate([dar, daz, dq], axis=-1)
    # forward: ar(t), az(t), q(t) add W11 m h(t-1), and h(t) adds z(t) h(t-1)
    # nabla_{h(t-1)} L = nabla_{ar(t), az(t), q(t)} L W11 m + nabla_{h(t)} L z(t)
    dh_prev = recurrent @ layer.W11 * layer.m + dh * z
    return Deltas(inward, recurrent, (dh_prev,))


# ----------------------------------------------------------- LSTM (Gers et al. 2000)


class LstmStep(NamedTuple):
    """A step of the LSTM. All are (B, M) arrays, x is (B, D)."""

    x: Array
    mh: Array  # m h(t-1), what W11 reads
    c_prev: Array
    i: Array
    f: Array
    g: Array
    o: Array
    c: Array
    h: Array


def lstm_step(layer: Layer, x: Array, h_prev: Array, c_prev: Array) -> LstmStep:
    """One step of an LSTM without peepholes."""
    mh = layer.m * h_prev
    # a(t) = W0 x(t) + W11 m h(t-1) + b0, of the four gates one below the other
    ai, af, ag, ao = np.split(x @ layer.W0.T + mh @ layer.W11.T + layer.b0, 4, axis=-1)
    # i(t) = logistic(ai(t)),  f(t) = logistic(af(t)),  g(t) = tanh(ag(t)),  o(t) = logistic(ao(t))
    i, f, o = LOGISTIC.function(ai), LOGISTIC.function(af), LOGISTIC.function(ao)
    g = TANH.function(ag)
    # c(t) = f(t) c(t-1) + i(t) g(t)
    c = f * c_prev + i * g
    # h(t) = o(t) tanh(c(t))
    h = o * TANH.function(c)
    return LstmStep(x, mh, c_prev, i, f, g, o, c, h)


def lstm_step_back(layer: Layer, step: LstmStep, dh: Array, dc_next: Array) -> Deltas:
    """One step back; dh is nabla_{h(t)} L, and dc_next the part of nabla_{c(t)} L from step t+1."""
    _, _, c_prev, i, f, g, o, c, _ = step
    tanh_c = TANH.function(c)
    # forward: h(t) = o(t) tanh(c(t)),  c(t+1) = f(t+1) c(t) + ...
    # nabla_{c(t)} L = nabla_{h(t)} L o(t) (1 - tanh^2 c(t)) + nabla_{c(t+1)} L f(t+1)
    dc = dh * o * TANH.derivative(tanh_c) + dc_next
    do = dh * tanh_c
    # forward: c(t) = f(t) c(t-1) + i(t) g(t)
    di, df, dg = dc * g, dc * c_prev, dc * i
    # forward: i(t) = logistic(ai(t)),  f(t) = logistic(af(t)),  g(t) = tanh(ag(t)), ...
    dai = di * LOGISTIC.derivative(i)
    daf = df * LOGISTIC.derivative(f)
    dag = dg * TANH.derivative(g)
    dao = do * LOGISTIC.derivative(o)

    da = np.concatenate([dai, daf, dag, dao], axis=-1)
    # forward: a(t) = W0 x(t) + W11 m h(t-1) + b0,  c(t) = f(t) c(t-1) + ...
    # nabla_{h(t-1)} L = nabla_{a(t)} L W11 m, and to c(t-1) goes nabla_{c(t)} L f(t)
    return Deltas(da, da, (da @ layer.W11 * layer.m, dc * f))


# ----------------------------------------------------------- names


class Cell(NamedTuple):
    """The quantities of a cell's step, and its two functions."""

    Step: type[Any]
    step: Callable[..., Any]  # (layer, x, *state) -> the quantities of the step
    step_back: Callable[..., Deltas]  # (layer, step, *dstate) -> Deltas


CELLS: Mapping[str, Cell] = {
    "rnn": Cell(ElmanStep, elman_step, elman_step_back),
    "gru": Cell(GruStep, gru_step, gru_step_back),
    "lstm": Cell(LstmStep, lstm_step, lstm_step_back),
}
