"""The lecture "Backpropagation Through Time" in NumPy, equation by equation.

This is the program to read with the lecture open, to test faster programs against and to time them
against. It needs NumPy only. Products are merged over time wherever time does not couple, so that
only the two recurrences walk through t.

Layout
------
Arrays are time-major, as the lecture's index t comes first, and a row is one of the lecture's
column vectors transposed. ``parameters`` maps names to arrays:

============= ============= ================================================
lecture       shape         name
============= ============= ================================================
W0, b0        (M, D), (M,)  ``weight_ih``, ``bias_h``
W11           (M, M)        ``weight_hh``; row i: what comes into unit i
W1, b1        (K, M), (K,)  ``weight_ho``, ``bias_o``
h0(t) = x_t   (T, B, D)     ``x``
a1(t), h1(t)  (T, B, M)     ``a1``, ``h1``
a2(t), h2(t)  (T, B, K)     ``a2``, ``h2``; (B, K) unless ``readout="every"``
h1(0)         (B, M)        ``h0``
============= ============= ================================================

Mind the one clash of names: the lecture's h0(t) is the input, called ``x`` here, and the argument
``h0`` is the hidden state before the first step, the lecture's h1(0).

A derivative has the lecture's layout: that of a scalar with respect to a column vector is a row,
and with respect to a matrix it has the transposed shape ("Matrix and Vector Calculus").

Types
-----
Results have NumPy's common type of everything given, so that float32 stays float32 if parameters,
inputs, targets and weights all have it. Everything also works, unchanged, on complex128: nothing
takes an absolute value or a conjugate, and comparisons look at real parts. That is what
`complex_step` needs.

Ragged sequences
----------------
There are no masks. The loss of a ragged batch, and each of its derivatives, is the sum over its
sequences, each with B = 1; or, for ``readout="every"``, that of the batch padded at the end with
any finite numbers whose steps have weight 0.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = [
    "ACTIVATIONS",
    "CANONICAL",
    "LOSSES",
    "OUTPUTS",
    "Activation",
    "Bptt",
    "Forward",
    "Loss",
    "bptt",
    "complex_step",
    "forward",
    "inner_product_derivative",
    "linear_map_derivative",
    "loss",
    "one_hot",
    "output_jacobian",
    "product_derivative",
    "quadratic_form_derivative",
    "row_times_output_jacobian",
    "row_times_tensor",
]

Array: TypeAlias = npt.NDArray[Any]
Scalar: TypeAlias = Any  # a NumPy scalar: real, or complex under the complex step


# ----------------------------------------------------------- Background: Matrix and Vector Calculus


def inner_product_derivative(y: npt.ArrayLike) -> Array:
    """Derivative of the scalar y'x with respect to x, for every x.

    Parameters
    ----------
    y : (d,) array

    Returns
    -------
    derivative : (1, d) array
        The lecture's nabla_x(y'x) = nabla_x(x'y) = y'.
    """
    return np.asarray(y)[np.newaxis, :]


def linear_map_derivative(matrix: npt.ArrayLike) -> Array:
    """Derivative of the vector Mx with respect to x, for every x.

    Parameters
    ----------
    matrix : (k, d) array

    Returns
    -------
    derivative : (k, d) array
        The lecture's nabla_x(Mx) = M.
    """
    return np.asarray(matrix)


def quadratic_form_derivative(x: npt.ArrayLike, matrix: npt.ArrayLike) -> Array:
    """Derivative of the scalar x'Ax with respect to x.

    Parameters
    ----------
    x : (d,) array
    matrix : (d, d) array
        A, which need not be symmetric.

    Returns
    -------
    derivative : (1, d) array
        The lecture's nabla_x(x'Ax) = x'(A' + A); for symmetric A this is 2(Ax)'.
    """
    a = np.asarray(matrix)
    derivative: Array = np.asarray(x)[np.newaxis, :] @ (a.T + a)
    return derivative


# ----------------------------------------------------------- Detour: nabla_W L(Wx)


def product_derivative(x: npt.ArrayLike, K: int) -> Array:
    """Derivative of the vector y = Wx with respect to the (K, M) matrix W, for every W.

    Parameters
    ----------
    x : (M,) array
    K : int
        Rows of W.

    Returns
    -------
    derivative : (K, M, K) array
        The lecture's K x (M x K) tensor nabla_W y. Slice k is nabla_W y_k: x in column k, zeros
        elsewhere, as y_k = sum_m W_km x_m knows row k of W alone.
    """
    x = np.asarray(x)
    tensor = np.zeros((K, x.size, K), x.dtype)
    for k in range(K):
        tensor[k, :, k] = x
    return tensor


def row_times_tensor(v: npt.ArrayLike, tensor: npt.ArrayLike) -> Array:
    """Product of a 1-D array and a 3-D tensor, sum_k v_k tensor_k.

    With v = nabla_y L and tensor = nabla_W y it is the lecture's

        nabla_W L = nabla_y L  nabla_W y = x (nabla_y L),    (M x K) = (1 x K) (K x (M x K)).

    Parameters
    ----------
    v : (K,) array
    tensor : (K, M, K) array

    Returns
    -------
    product : (M, K) array
    """
    return np.tensordot(np.asarray(v), np.asarray(tensor), axes=1)


# ----------------------------------------------------------- f: scalar and vector activations


class Activation(NamedTuple):
    """A scalar activation function and its derivative."""

    function: Callable[[Array], Array]  # h = f(a)
    derivative: Callable[[Array], Array]  # f'(a), written in terms of h


def _relu(a: Array) -> Array:
    return np.where(a.real <= 0, 0, a)  # in this order a NaN stays one


def _logistic(a: Array) -> Array:
    # 1 / (1 + e^-a) = e^a / (1 + e^a): with the exponent that is never positive nothing overflows
    negative = a.real <= 0
    e = np.exp(np.where(negative, a, -a))
    h: Array = np.where(negative, e, 1) / (1 + e)
    return h


def _softmax(a: Array) -> Array:
    e = np.exp(a - a.real.max(axis=-1, keepdims=True))
    h: Array = e / e.sum(axis=-1, keepdims=True)
    return h


ACTIVATIONS: Mapping[str, Activation] = {
    "tanh": Activation(np.tanh, lambda h: 1 - h * h),
    "relu": Activation(_relu, lambda h: (h.real > 0).astype(h.dtype)),
    "logistic": Activation(_logistic, lambda h: h * (1 - h)),
    "identity": Activation(np.copy, np.ones_like),
}

OUTPUTS: Mapping[str, Callable[[Array], Array]] = {
    "identity": np.copy,
    "logistic": _logistic,
    "tanh": np.tanh,
    "relu": _relu,
    "softmax": _softmax,
}


def output_jacobian(y: npt.ArrayLike, name: str) -> Array:
    """The Jacobian matrix nabla_{a2} h2 of an output function (BPTT, "nabla_{a2(t)} L").

    Parameters
    ----------
    y : (..., K) array
        Outputs h2.
    name : str
        One of `OUTPUTS`.

    Returns
    -------
    jacobian : (..., K, K) array
        Row i, column j holds the derivative of h2_i with respect to a2_j: "diagonal for scalar
        activation functions, dense for vector activation functions (softmax)".

    Raises
    ------
    ValueError
        If there is no output function of that name.
    """
    _one_of(OUTPUTS, name, "output_activation")
    y = np.asarray(y)
    unit = np.eye(y.shape[-1], dtype=y.dtype)
    jacobian: Array
    if name == "softmax":
        # d h_i / d a_j = h_i (delta_ij - h_j), the matrix diag(h) - h h'
        jacobian = y[..., :, np.newaxis] * (unit - y[..., np.newaxis, :])
    else:
        # d h_i / d a_j = delta_ij f'(a_i)
        jacobian = ACTIVATIONS[name].derivative(y)[..., np.newaxis] * unit
    return jacobian


def row_times_output_jacobian(row: npt.ArrayLike, y: npt.ArrayLike, name: str) -> Array:
    """``row @ output_jacobian(y, name)`` for every step, without building the matrices.

    Parameters
    ----------
    row : (..., K) array
        nabla_{h2} L.
    y : (..., K) array
        Outputs h2.
    name : str
        One of `OUTPUTS`.

    Returns
    -------
    product : (..., K) array
        nabla_{a2} L = nabla_{h2} L  nabla_{a2} h2 (BPTT, "nabla_{a2(t)} L").

    Raises
    ------
    ValueError
        If there is no output function of that name.
    """
    _one_of(OUTPUTS, name, "output_activation")
    row, y = np.asarray(row), np.asarray(y)
    product: Array
    if name == "softmax":
        # v (diag(h) - h h') has the entries (v_j - v h) h_j
        product = (row - np.sum(row * y, axis=-1, keepdims=True)) * y
    else:
        # v diag(f') has the entries v_j f'_j
        product = row * ACTIVATIONS[name].derivative(y)
    return product


# ----------------------------------------------------------- L: losses of one step


class Loss(NamedTuple):
    """The loss of each step, and its derivative with respect to the step's outputs."""

    value: Callable[[Array, Array, Array], Array]  # (a2, h2, target) -> (...,)
    derivative: Callable[[Array, Array], Array]  # (h2, target) -> (..., K), nabla_{h2} L


def _squared_error(a2: Array, h2: Array, target: Array) -> Array:
    value: Array = np.sum((h2 - target) ** 2, axis=-1) / 2
    return value


def _categorical_log_loss(a2: Array, h2: Array, target: Array) -> Array:
    # -sum_k t_k log y_k with log y_k = a_k - log sum_j e^a_j
    top = a2.real.max(axis=-1, keepdims=True)
    log_sum = top + np.log(np.exp(a2 - top).sum(axis=-1, keepdims=True))
    value: Array = np.sum(target * (log_sum - a2), axis=-1)
    return value


def _binary_log_loss(a2: Array, h2: Array, target: Array) -> Array:
    # -sum_k (t_k log y_k + (1 - t_k) log(1 - y_k)) = sum_k log(1 + e^a_k) - t_k a_k
    negative = a2.real <= 0
    softplus = np.where(negative, 0, a2) + np.log1p(np.exp(np.where(negative, a2, -a2)))
    value: Array = np.sum(softplus - target * a2, axis=-1)
    return value


def _ratio(target: Array, y: Array) -> Array:
    """The quotient target / y, and 0 for a zero target even where y has rounded to 0."""
    out = np.zeros(y.shape, np.result_type(target, y))
    return np.divide(target, y, out=out, where=target != 0)


_HALF_SQUARE = Loss(_squared_error, lambda h2, target: h2 - target)
_CATEGORICAL = Loss(_categorical_log_loss, lambda h2, target: -_ratio(target, h2))
_BINARY = Loss(_binary_log_loss, lambda h2, target: _ratio(1 - target, 1 - h2) - _ratio(target, h2))

READOUTS = ("every", "last", "mean", "max")
LOSSES: Mapping[str, Mapping[str, Loss]] = {
    "squared_error": dict.fromkeys(OUTPUTS, _HALF_SQUARE),
    "log_loss": {"softmax": _CATEGORICAL, "logistic": _BINARY},
}
"""``LOSSES[loss][output_activation]``: a pair that is absent is not defined."""

CANONICAL: frozenset[tuple[str, str]] = frozenset(
    {("squared_error", "identity"), ("log_loss", "softmax"), ("log_loss", "logistic")}
)
"""Pairs (loss, output_activation) whose Jacobian cancels: nabla_{a2} L = (h2 - target)'."""


def _canonical_derivative(h2: Array, target: Array, output_activation: str) -> Array:
    """nabla_{a2} L of the pairs in `CANONICAL`."""
    if output_activation == "softmax":
        # every term -t_k log h2_k brings t_k h2', and the t_k of a distribution add up to 1
        h2 = h2 * target.sum(axis=-1, keepdims=True)
    derivative: Array = h2 - target
    return derivative


def one_hot(labels: npt.ArrayLike, K: int, dtype: npt.DTypeLike = np.float64) -> Array:
    """Dense targets for class labels.

    Parameters
    ----------
    labels : (...) array of int
        Classes 0 to K - 1.
    K : int
        Number of classes.
    dtype : dtype, default=float64

    Returns
    -------
    target : (..., K) array
        1 at each label, 0 elsewhere.

    Raises
    ------
    ValueError
        If a label is not an integer from 0 to K - 1.
    """
    labels = np.asarray(labels)
    hits = labels[..., np.newaxis] == np.arange(K)
    if not hits.any(axis=-1).all():
        wrong = labels[~hits.any(axis=-1)].flat[0]
        raise ValueError(
            f"one_hot got the label {wrong}, but labels must be integers from 0 to {K - 1}; "
            "give a step without a label any class and weight 0."
        )
    target: Array = hits.astype(dtype)
    return target


# ----------------------------------------------------------- BPTT: the network forward


@dataclass(frozen=True, eq=False)
class Forward:
    """Every quantity of the forward pass.

    Attributes
    ----------
    h0 : (B, M) array
        Hidden state before the first step, h1(0).
    a1, h1 : (T, B, M) arrays
        Hidden pre-activations and hidden states.
    a2, h2 : (T, B, K) arrays, or (B, K) unless ``readout="every"``
        Output pre-activations and outputs.
    """

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
    _one_of(ACTIVATIONS, activation, "activation")
    _one_of(OUTPUTS, output_activation, "output_activation")
    _one_of(READOUTS, readout, "readout")
    x = np.asarray(x)
    if x.ndim != 3 or x.shape[0] == 0:
        raise ValueError(f"x has shape {x.shape}, but must be (T, B, D) with T >= 1 steps.")
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
    return Forward(h0=h0, a1=a1, h1=h1, a2=a2, h2=h2)


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
    pair = _loss_pair(loss, output_activation)
    outcome = forward(
        parameters,
        x,
        h0,
        activation=activation,
        output_activation=output_activation,
        readout=readout,
    )
    target, weight = _labels(outcome.h2, target, weight)
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
        Derivative with respect to the inputs, a row for each step; computed when first asked for,
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
    pair = _loss_pair(loss, output_activation)
    canonical = _is_canonical(jacobian, loss, output_activation)
    outcome = forward(
        parameters,
        x,
        h0,
        activation=activation,
        output_activation=output_activation,
        readout=readout,
    )
    x = np.asarray(x)
    h0, h1, a2, h2 = outcome.h0, outcome.h1, outcome.a2, outcome.h2
    target, weight = _labels(h2, target, weight)
    W0, W11, _, W1, _ = _arrays(parameters)
    T = len(h1)

    # BPTT, nabla_{a2(t)} L
    # nabla_{a2(t)} L = nabla_{h2(t)} L  nabla_{a2(t)} h2(t)                (1 x K) = (1 x K)(K x K)
    if canonical:
        da2 = _canonical_derivative(h2, target, output_activation)
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
        step = _largest(h1) if readout == "max" else np.full((1, *h1_read.shape), T - 1)
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
        b1=_rows(da2).sum(axis=0, keepdims=True),
        # BPTT, Derivative number 3
        # nabla_{W11} L = sum_{t=T}^1 h1(t-1) nabla_{a1(t)} L               (M x M) = (M x 1)(1 x M)
        W11=_rows(h1[:-1]).T @ _rows(da1[1:]) + h0.T @ da1[0],
        # BPTT, Derivative number 4
        # nabla_{W0} L = sum_{t=T}^1 h0(t) nabla_{a1(t)} L                  (D x M) = (D x 1)(1 x M)
        W0=_rows(x).T @ _rows(da1),
        # BPTT, Derivative number 5
        # nabla_{b0} L = sum_{t=T}^1 nabla_{a1(t)} L                        (1 x M)
        b0=_rows(da1).sum(axis=0, keepdims=True),
        # h1(0) affects the loss through a1(1) alone
        # nabla_{h1(0)} L = nabla_{a1(1)} L W11                             (1 x M) = (1 x M)(M x M)
        h0=da1[0] @ W11,
        weight_ih=W0.copy(),
    )


# ----------------------------------------------------------- derivatives without the chain rule


def complex_step(
    function: Callable[[Array], Scalar], argument: npt.ArrayLike, step: float = 1e-30
) -> Array:
    """Exact derivative of a real function of an array, from complex arithmetic.

    f(x + i s) = f(x) + i s f'(x) + O(s^2), so the imaginary part over s is f'(x): no difference is
    taken, nothing cancels, and s can be so small that s^2 is nothing.

    Parameters
    ----------
    function : callable
        Takes a complex array of the shape of `argument` and returns a scalar. It must be analytic
        and real on real arrays: no absolute value, no conjugate.
    argument : (...) array of real numbers
        Where to take the derivative.
    step : float, default=1e-30
        s.

    Returns
    -------
    derivative : (...) array
        Derivative with respect to each entry, in the shape of `argument`.

    Raises
    ------
    TypeError
        If `function` returns a real number for a complex array: it drops the imaginary part.

    References
    ----------
    W. Squire and G. Trapp, "Using complex variables to estimate derivatives of real functions",
    SIAM Review 40 (1998), 110-112.
    """
    argument = np.asarray(argument)
    derivative = np.empty(argument.shape)
    for index in np.ndindex(argument.shape):
        shifted = argument.astype(np.complex128)
        shifted[index] += 1j * step
        value = function(shifted)
        if not np.iscomplexobj(value):
            raise TypeError(
                f"function returned {value!r} for a complex array, but must return a complex "
                "number; look for a cast to a real type in it."
            )
        derivative[index] = value.imag / step
    return derivative


# ----------------------------------------------------------- shapes and names


def _read(h1: Array, readout: str) -> Array:
    """The states (T, B, M) that outputs read: all of them, or (B, M)."""
    if readout == "every":
        return h1
    if readout == "mean":
        return np.asarray(h1.mean(axis=0))
    if readout == "last":
        return np.asarray(h1[-1])
    return np.asarray(np.take_along_axis(h1, _largest(h1), axis=0)[0])


def _largest(h1: Array) -> npt.NDArray[np.intp]:
    """(1, B, M) the step at which each unit is largest, the last of such steps."""
    return np.asarray(len(h1) - 1 - np.argmax(h1[::-1].real, axis=0, keepdims=True))


def _rows(array: Array) -> Array:
    """(T, B, n) -> (T B, n): steps and sequences merged; (B, n) stays as it is."""
    return array.reshape(-1, array.shape[-1])


def _arrays(parameters: Mapping[str, npt.ArrayLike]) -> tuple[Array, Array, Array, Array, Array]:
    """W0, W11, b0, W1, b1, with their shapes checked."""
    names = ("weight_ih", "weight_hh", "bias_h", "weight_ho", "bias_o")
    missing = [name for name in names if name not in parameters]
    if missing:
        raise ValueError(f"parameters lack {', '.join(missing)}; all of {', '.join(names)} needed.")
    W0, W11, b0, W1, b1 = (np.asarray(parameters[name]) for name in names)
    shapes = tuple(array.shape for array in (W0, W11, b0, W1, b1))
    M, D, K = b0.size, W0.shape[-1] if W0.ndim else 0, b1.size
    expected = ((M, D), (M, M), (M,), (K, M), (K,))
    for name, shape, wanted in zip(names, shapes, expected, strict=True):
        if shape != wanted:
            raise ValueError(
                f"{name} has shape {shape}, but with {M} hidden units (bias_h) and {K} outputs "
                f"(bias_o) it must have {wanted}."
            )
    return W0, W11, b0, W1, b1


def _labels(h2: Array, target: npt.ArrayLike, weight: npt.ArrayLike | None) -> tuple[Array, Array]:
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


def _one_of(choices: Collection[str], name: str, argument: str) -> None:
    if name not in choices:
        raise ValueError(f"{argument}={name!r} is not known; choose one of {', '.join(choices)}.")


def _loss_pair(loss: str, output_activation: str) -> Loss:
    _one_of(LOSSES, loss, "loss")
    _one_of(OUTPUTS, output_activation, "output_activation")
    pairs = LOSSES[loss]
    if output_activation not in pairs:
        raise ValueError(
            f"loss={loss!r} does not go with output_activation={output_activation!r}; "
            f"choose one of {', '.join(pairs)}."
        )
    return pairs[output_activation]


def _is_canonical(jacobian: str, loss: str, output_activation: str) -> bool:
    _one_of(("auto", "general", "canonical"), jacobian, "jacobian")
    holds = (loss, output_activation) in CANONICAL
    if jacobian == "canonical" and not holds:
        raise ValueError(
            f"jacobian='canonical' does not hold for loss={loss!r} with "
            f"output_activation={output_activation!r}; choose 'general' or 'auto'."
        )
    return holds and jacobian != "general"
