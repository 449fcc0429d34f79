"""What the lecture calls f and L: activations with their Jacobian matrices, and losses."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]


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
        activation functions, dense for vector activation functions (softmax)". For K = 1 it is
        the 1 x 1 Jacobian matrix, the dy/dx of a function of one number.

    Raises
    ------
    ValueError
        If there is no output function of that name.
    """
    one_of(OUTPUTS, name, "output_activation")
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
    one_of(OUTPUTS, name, "output_activation")
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

LOSSES: Mapping[str, Mapping[str, Loss]] = {
    "squared_error": dict.fromkeys(OUTPUTS, _HALF_SQUARE),
    "log_loss": {"softmax": _CATEGORICAL, "logistic": _BINARY},
}
"""``LOSSES[loss][output_activation]``: a pair that is absent is not defined."""

CANONICAL: frozenset[tuple[str, str]] = frozenset(
    {("squared_error", "identity"), ("log_loss", "softmax"), ("log_loss", "logistic")}
)
"""Pairs (loss, output_activation) whose Jacobian cancels: nabla_{a2} L = (h2 - target)'."""


def canonical_derivative(h2: Array, target: Array, output_activation: str) -> Array:
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


# ----------------------------------------------------------- names


def one_of(choices: Collection[str], name: str, argument: str) -> None:
    """Refuse a name that is not among the choices."""
    if name not in choices:
        raise ValueError(f"{argument}={name!r} is not known; choose one of {', '.join(choices)}.")


def loss_pair(loss: str, output_activation: str) -> Loss:
    """The loss for these outputs, or a ValueError where the two do not go together."""
    one_of(LOSSES, loss, "loss")
    one_of(OUTPUTS, output_activation, "output_activation")
    pairs = LOSSES[loss]
    if output_activation not in pairs:
        raise ValueError(
            f"loss={loss!r} does not go with output_activation={output_activation!r}; "
            f"choose one of {', '.join(pairs)}."
        )
    return pairs[output_activation]


def is_canonical(jacobian: str, loss: str, output_activation: str) -> bool:
    """Whether nabla_{a2} L is taken as h2 - target; a ValueError where that does not hold."""
    one_of(("auto", "general", "canonical"), jacobian, "jacobian")
    holds = (loss, output_activation) in CANONICAL
    if jacobian == "canonical" and not holds:
        raise ValueError(
            f"jacobian='canonical' does not hold for loss={loss!r} with "
            f"output_activation={output_activation!r}; choose 'general' or 'auto'."
        )
    return holds and jacobian != "general"
