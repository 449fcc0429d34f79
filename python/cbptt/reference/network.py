"""The lecture's network, "BPTT" to "Summary": forward, and back through space and time.

Products are merged over time wherever time does not couple, so that only the two recurrences walk
through t.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from cbptt.reference.calculus import sum_of_deltas
from cbptt.reference.functions import (
    ACTIVATIONS,
    OUTPUTS,
    canonical_derivative,
    is_canonical,
    loss_pair,
    one_of,
    row_times_output_jacobian,
)

Array: TypeAlias = npt.NDArray[Any]
Scalar: TypeAlias = Any  # a NumPy scalar: real, or complex under the complex step

READOUTS = ("every", "last", "mean", "max")
PARAMETERS = ("weight_ih", "weight_hh", "bias_h", "weight_ho", "bias_o")


# ----------------------------------------------------------- BPTT: the network forward


@dataclass(frozen=True, eq=False)
class Forward:
    """Every quantity of the forward pass.

    Attributes
    ----------
    x : (T, B, D) array
        Inputs, the lecture's h0(t).
    h0 : (B, M) array
        Hidden state before the first step, h1(0).
    a1, h1 : (T, B, M) arrays
        Hidden pre-activations and hidden states.
    a2, h2 : (T, B, K) arrays, or (B, K) unless ``readout="every"``
        Output pre-activations and outputs.
    """

    x: Array
    h0: Array
    a1: Array
    h1: Array
    a2: Array
    h2: Array


def forward(
    parameters: Mapping[str, npt.ArrayLike],
    x: npt.ArrayLike,
    h0: npt.ArrayLike | None = None,
    *,
    activation: str = "tanh",
    output_activation: str = "softmax",
    readout: str = "every",
) -> Forward:
    """The forward pass (BPTT, the four equations of "Derivative number 1").

    Parameters
    ----------
    parameters : mapping of str to array
        ``weight_ih`` (M, D), ``weight_hh`` (M, M), ``bias_h`` (M,), ``weight_ho`` (K, M) and
        ``bias_o`` (K,).
    x : (T, B, D) array
        Inputs, T >= 1.
    h0 : (B, M) array, default=zeros
        Hidden state before the first step.
    activation : str, default="tanh"
        Hidden function, one of `ACTIVATIONS`.
    output_activation : str, default="softmax"
        Output function, one of `OUTPUTS`.
    readout : {"every", "last", "mean", "max"}, default="every"
        Outputs at every step, as in the lecture, or one: of the state at step T, of the mean of
        the states, or of the largest value of each unit.

    Returns
    -------
    forward : Forward

    Raises
    ------
    ValueError
        If a name or a shape is not as above.
    """
    one_of(ACTIVATIONS, activation, "activation")
    one_of(OUTPUTS, output_activation, "output_activation")
    one_of(READOUTS, readout, "readout")
    x = checked_inputs(x)
    W0, W11, b0, W1, b1 = _arrays(parameters)
    (T, B, D), M = x.shape, len(W11)
    if W0.shape[1] != D:
        raise ValueError(f"x has {D} inputs in each step, but weight_ih has shape {W0.shape}.")
    h0 = np.zeros((B, M), np.float32) if h0 is None else np.asarray(h0)
    if h0.shape != (B, M):
        raise ValueError(f"h0 has shape {h0.shape}, but must be (B, M) = {(B, M)}.")
    dtype = np.result_type(np.float32, x, h0, W0, W11, b0, W1, b1)
    h0 = h0.astype(dtype)

    # a1(t) = W0 h0(t) + W11 h1(t-1) + b0
    # h1(t) = f(a1(t)), in the lecture tanh(a1(t))
    a1 = (_rows(x) @ W0.T + b0).astype(dtype, copy=False).reshape(T, B, M)
    h1 = np.empty_like(a1)
    f = ACTIVATIONS[activation].function
    h_prev = h0
    for t in range(T):
        a1_t = a1[t]
        a1_t += h_prev @ W11.T
        h1[t] = h_prev = f(a1_t)

    # a2(t) = W1 h1(t) + b1
    # h2(t) = f(a2(t))
    h1_read = _read(h1, readout)
    a2 = (_rows(h1_read) @ W1.T + b1).reshape(*h1_read.shape[:-1], len(b1))
    h2 = OUTPUTS[output_activation](a2)
    return Forward(x=x.astype(dtype), h0=h0, a1=a1, h1=h1, a2=a2, h2=h2)


def loss(
    parameters: Mapping[str, npt.ArrayLike],
    x: npt.ArrayLike,
    target: npt.ArrayLike,
    weight: npt.ArrayLike | None = None,
    h0: npt.ArrayLike | None = None,
    *,
    activation: str = "tanh",
    output_activation: str = "softmax",
    loss: str = "log_loss",
    readout: str = "every",
) -> Scalar:
    """The loss L, a sum over steps and sequences of weight times loss.

    Parameters
    ----------
    parameters, x, h0, activation, output_activation, readout
        As in `forward`.
    target : (T, B, K) array, or (B, K) unless ``readout="every"``
        Wanted outputs. Class labels become targets through `one_hot`.
    weight : (T, B) array, or (B,) unless ``readout="every"``, default=ones
        Weight of each step. A step of weight 0 is unlabelled: it contributes exactly nothing
        whatever its target, NaN included.
    loss : {"log_loss", "squared_error"}, default="log_loss"
        ``"squared_error"``: half the squared distance, summed over outputs; goes with every output
        function. ``"log_loss"``: with softmax -sum_k t_k log y_k, with logistic the binary
        -t_k log y_k - (1 - t_k) log(1 - y_k) summed over outputs; computed from a2, so that it is
        finite however sure and wrong the network is.

    Returns
    -------
    loss : scalar

    Raises
    ------
    ValueError
        If a name or a shape is not as above, or the loss does not go with the output function.
    """
    pair = loss_pair(loss, output_activation)
    outcome = forward(
        parameters,
        x,
        h0,
        activation=activation,
        output_activation=output_activation,
        readout=readout,
    )
    target, weight = target_and_weight(outcome.h2, target, weight)
    return np.sum(weight * pair.value(outcome.a2, outcome.h2, target))


# ----------------------------------------------------------- BPTT: the derivatives


@dataclass(frozen=True, eq=False)
class Bptt:
    """The loss and every derivative of it, in the lecture's layout.

    Attributes
    ----------
    loss : scalar
        L.
    forward : Forward
        What the forward pass computed.
    da2 : (T, B, K) array, or (B, K) unless ``readout="every"``
        nabla_{a2(t)} L.
    dh1, da1 : (T, B, M) arrays
        nabla_{h1(t)} L and nabla_{a1(t)} L.
    W1 : (M, K) array
        Derivative number 1.
    b1 : (1, K) array
        Derivative number 2.
    W11 : (M, M) array
        Derivative number 3.
    W0 : (D, M) array
        Derivative number 4.
    b0 : (1, M) array
        Derivative number 5.
    h0 : (B, M) array
        Derivative with respect to the initial state h1(0), a row for each sequence.
    x : (T, B, D) array
        Derivative with respect to the inputs, a row for each step; computed on first use,
        as training does not need it.
    weight_ih : (M, D) array
        A copy of the parameter W0, which `x` needs.
    """

    loss: Scalar
    forward: Forward
    da2: Array
    dh1: Array
    da1: Array
    W1: Array
    b1: Array
    W11: Array
    W0: Array
    b0: Array
    h0: Array
    weight_ih: Array

    @cached_property
    def x(self) -> Array:
        # the input h0(t) affects the loss through a1(t) alone, and nabla_{h0(t)} a1(t) = W0:
        # nabla_{h0(t)} L = nabla_{a1(t)} L W0                              (1 x D) = (1 x M)(M x D)
        D = self.weight_ih.shape[1]
        return (_rows(self.da1) @ self.weight_ih).reshape(*self.da1.shape[:-1], D)

    @property
    def terms(self) -> dict[str, Array]:
        """The terms of the five sums over t, in the lecture's layout.

        Term t is the way through a2(t) alone, or a1(t) alone: the derivative with respect to the
        copy of the matrix, or the bias, that step t has in the network unfolded in time
        (`unfolded_loss`).

        Returns
        -------
        terms : dict of str to array
            ``"W1"`` (T, M, K), ``"b1"`` (T, 1, K), ``"W11"`` (T, M, M), ``"W0"`` (T, D, M) and
            ``"b0"`` (T, 1, M), each summed over the batch; ``"W1"`` and ``"b1"`` have one term
            unless ``readout="every"``. Their sums over the first axis are the derivatives.
        """
        x, h0, h1 = self.forward.x, self.forward.h0, self.forward.h1
        h1_before = np.concatenate([h0[np.newaxis], h1[:-1]])
        every = self.da2.ndim == 3
        # a column times a row, summed over the batch:                      (M x K) = (M x 1)(1 x K)
        return {
            "W1": h1.mT @ self.da2 if every else self.W1[np.newaxis],
            "b1": self.da2.sum(axis=-2, keepdims=True) if every else self.b1[np.newaxis],
            "W11": h1_before.mT @ self.da1,
            "W0": x.mT @ self.da1,
            "b0": self.da1.sum(axis=-2, keepdims=True),
        }

    @property
    def gradients(self) -> dict[str, Array]:
        """Gradients by the parameters' names, in their shapes; ``"h0"`` and ``"X"`` besides.

        "All 5 derivatives will be transposed to obtain the gradients used in gradient descent."
        """
        return {
            "weight_ih": self.W0.T,
            "weight_hh": self.W11.T,
            "bias_h": self.b0[0],
            "weight_ho": self.W1.T,
            "bias_o": self.b1[0],
            "h0": self.h0,
            "X": self.x,
        }


def bptt(
    parameters: Mapping[str, npt.ArrayLike],
    x: npt.ArrayLike,
    target: npt.ArrayLike,
    weight: npt.ArrayLike | None = None,
    h0: npt.ArrayLike | None = None,
    *,
    activation: str = "tanh",
    output_activation: str = "softmax",
    loss: str = "log_loss",
    readout: str = "every",
    jacobian: str = "auto",
) -> Bptt:
    """Backpropagation through time: the loss, the deltas and the five derivatives.

    Parameters
    ----------
    parameters, x, target, weight, h0, activation, output_activation, loss, readout
        As in `loss`.
    jacobian : {"auto", "general", "canonical"}, default="auto"
        The way to nabla_{a2(t)} L. ``"general"`` is the lecture's: nabla_{h2(t)} L times the
        Jacobian of the output function. With the log loss it divides by outputs, and is not
        finite where an output that the target asks for has rounded to 0. ``"canonical"``
        is h2 - target, which the product comes to for the pairs in `CANONICAL` (with softmax
        h2 sum_k t_k - target, which is the same where a target sums to 1). ``"auto"`` is canonical
        for those and general for the others.

    Returns
    -------
    bptt : Bptt

    Raises
    ------
    ValueError
        If a name or a shape is not as above, the loss does not go with the output function, or
        ``jacobian="canonical"`` does not hold for the two.
    """
    pair = loss_pair(loss, output_activation)
    canonical = is_canonical(jacobian, loss, output_activation)
    outcome = forward(
        parameters,
        x,
        h0,
        activation=activation,
        output_activation=output_activation,
        readout=readout,
    )
    x, h0, h1, a2, h2 = outcome.x, outcome.h0, outcome.h1, outcome.a2, outcome.h2
    target, weight = target_and_weight(h2, target, weight)
    W0, W11, _, W1, _ = _arrays(parameters)
    T = len(h1)

    # BPTT, nabla_{a2(t)} L
    # nabla_{a2(t)} L = nabla_{h2(t)} L  nabla_{a2(t)} h2(t)                (1 x K) = (1 x K)(K x K)
    if canonical:
        da2 = canonical_derivative(h2, target, output_activation)
    else:
        dh2 = pair.derivative(h2, target)
        da2 = row_times_output_jacobian(dh2, h2, output_activation)
    da2 = weight[..., np.newaxis] * da2

    # BPTT, nabla_{h1(t)} L: first the way through a2(t), for all steps at once
    # nabla_{a2(t)} L W1                                                    (1 x M) = (1 x K)(K x M)
    h1_read = _read(h1, readout)
    dh1_read = (_rows(da2) @ W1).reshape(h1_read.shape)
    if readout == "every":
        dh1 = dh1_read
    elif readout == "mean":
        dh1 = np.repeat(dh1_read[np.newaxis] / T, T, axis=0)
    else:
        dh1 = np.zeros(h1.shape, da2.dtype)
        step = largest(h1) if readout == "max" else np.full((1, *h1_read.shape), T - 1)
        np.put_along_axis(dh1, step, dh1_read[np.newaxis], axis=0)

    # BPTT, nabla_{a1(t)} L: a scalar f has a diagonal Jacobian, kept as a row of slopes
    slope = ACTIVATIONS[activation].derivative(h1)
    da1 = np.empty_like(dh1)
    for t in reversed(range(T)):
        dh1_t = dh1[t]
        # nabla_{h1(t)} L = nabla_{a2(t)} L W1 + nabla_{a1(t+1)} L W11      (1 x M) = (1 x M)(M x M)
        if t < T - 1:  # "Not required when t = T"
            dh1_t += da1[t + 1] @ W11
        # nabla_{a1(t)} L = nabla_{h1(t)} L  nabla_{a1(t)} h1(t)            (1 x M) = (1 x M)(M x M)
        np.multiply(dh1_t, slope[t], out=da1[t])

    return Bptt(
        loss=np.sum(weight * pair.value(a2, h2, target)),
        forward=outcome,
        da2=da2,
        dh1=dh1,
        da1=da1,
        # BPTT, Derivative number 1
        # nabla_{W1} L = sum_{t=T}^1 h1(t) nabla_{a2(t)} L                  (M x K) = (M x 1)(1 x K)
        W1=_rows(h1_read).T @ _rows(da2),
        # BPTT, Derivative number 2
        # nabla_{b1} L = sum_{t=T}^1 nabla_{a2(t)} L                        (1 x K)
        b1=sum_of_deltas(da2),
        # BPTT, Derivative number 3
        # nabla_{W11} L = sum_{t=T}^1 h1(t-1) nabla_{a1(t)} L               (M x M) = (M x 1)(1 x M)
        W11=_rows(h1[:-1]).T @ _rows(da1[1:]) + h0.T @ da1[0],
        # BPTT, Derivative number 4
        # nabla_{W0} L = sum_{t=T}^1 h0(t) nabla_{a1(t)} L                  (D x M) = (D x 1)(1 x M)
        W0=_rows(x).T @ _rows(da1),
        # BPTT, Derivative number 5
        # nabla_{b0} L = sum_{t=T}^1 nabla_{a1(t)} L                        (1 x M)
        b0=sum_of_deltas(da1),
        # h1(0) affects the loss through a1(1) alone
        # nabla_{h1(0)} L = nabla_{a1(1)} L W11                             (1 x M) = (1 x M)(M x M)
        h0=da1[0] @ W11,
        weight_ih=W0.copy(),
    )


# ----------------------------------------------------------- shapes and names


def _read(h1: Array, readout: str) -> Array:
    """The states (T, B, M) that outputs read: all of them, or (B, M)."""
    if readout == "every":
        return h1
    if readout == "mean":
        return np.asarray(h1.mean(axis=0))
    if readout == "last":
        return np.asarray(h1[-1])
    return np.asarray(np.take_along_axis(h1, largest(h1), axis=0)[0])


def largest(h1: Array) -> npt.NDArray[np.intp]:
    """(1, B, M) the step at which each unit is largest, the last of such steps."""
    return np.asarray(len(h1) - 1 - np.argmax(h1[::-1].real, axis=0, keepdims=True))


def _rows(array: Array) -> Array:
    """(T, B, n) -> (T B, n): steps and sequences merged; (B, n) stays as it is."""
    return array.reshape(-1, array.shape[-1])


def checked_inputs(x: npt.ArrayLike) -> Array:
    """The inputs as an array, with its number of axes checked."""
    x = np.asarray(x)
    if x.ndim != 3 or x.shape[0] == 0:
        raise ValueError(f"x has shape {x.shape}, but must be (T, B, D) with T >= 1 steps.")
    return x


def _arrays(parameters: Mapping[str, npt.ArrayLike]) -> tuple[Array, Array, Array, Array, Array]:
    """W0, W11, b0, W1, b1, with their shapes checked."""
    missing = [name for name in PARAMETERS if name not in parameters]
    if missing:
        raise ValueError(
            f"parameters lack {', '.join(missing)}; all of {', '.join(PARAMETERS)} needed."
        )
    W0, W11, b0, W1, b1 = (np.asarray(parameters[name]) for name in PARAMETERS)
    shapes = tuple(array.shape for array in (W0, W11, b0, W1, b1))
    M, D, K = b0.size, W0.shape[-1] if W0.ndim else 0, b1.size
    expected = ((M, D), (M, M), (M,), (K, M), (K,))
    for name, shape, wanted in zip(PARAMETERS, shapes, expected, strict=True):
        if shape != wanted:
            raise ValueError(
                f"{name} has shape {shape}, but with {M} hidden units (bias_h) and {K} outputs "
                f"(bias_o) it must have {wanted}."
            )
    return W0, W11, b0, W1, b1


def target_and_weight(
    h2: Array, target: npt.ArrayLike, weight: npt.ArrayLike | None
) -> tuple[Array, Array]:
    """Target and weight with their shapes checked; an unlabelled step is its own target."""
    target = np.asarray(target)
    if target.shape != h2.shape:
        raise ValueError(f"target has shape {target.shape}, but the outputs have {h2.shape}.")
    if weight is None:
        return target, np.ones(h2.shape[:-1], h2.real.dtype)
    weight = np.asarray(weight)
    if weight.shape != h2.shape[:-1]:
        raise ValueError(
            f"weight has shape {weight.shape}, but must be {h2.shape[:-1]}, a number for each step "
            "with an output."
        )
    return np.where((weight == 0)[..., np.newaxis], h2, target), weight
