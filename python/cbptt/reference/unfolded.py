"""The lecture's "RNN Unfolded in Time": a network whose every step has parameters of its own.

A matrix W of a recurrent network affects the loss through a(t) at each t, as all steps share it.
Give each step a copy W(t), and the copy affects the loss through a(t) alone. All copies are W, so
dW(t)/dW = 1, and by the multivariate chain rule the derivative with respect to W is the sum over t
of those with respect to the copies.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from cbptt.reference.functions import loss_pair
from cbptt.reference.network import PARAMETERS, checked_inputs, forward, target_and_weight

Array: TypeAlias = npt.NDArray[Any]
Scalar: TypeAlias = Any


def unfold(parameters: Mapping[str, npt.ArrayLike], T: int) -> dict[str, Array]:
    """Give every step a copy of each parameter.

    Parameters
    ----------
    parameters : mapping of str to array
        As in `forward`.
    T : int
        Number of steps.

    Returns
    -------
    copies : dict of str to array
        ``weight_ih`` (T, M, D), ``weight_hh`` (T, M, M), ``bias_h`` (T, M), ``weight_ho`` (T, K, M)
        and ``bias_o`` (T, K).
    """
    return {
        name: np.repeat(np.asarray(parameter)[np.newaxis], T, axis=0)
        for name, parameter in parameters.items()
    }


def unfolded_loss(
    copies: Mapping[str, npt.ArrayLike],
    x: npt.ArrayLike,
    target: npt.ArrayLike,
    weight: npt.ArrayLike | None = None,
    h0: npt.ArrayLike | None = None,
    *,
    activation: str = "tanh",
    output_activation: str = "softmax",
    loss: str = "log_loss",
) -> Scalar:
    """The loss of the network unfolded in time, L(a(1)(W(1)), a(2)(W(2)), ..., a(T)(W(T))).

    Where all copies are equal, this is `loss`. Its derivatives with respect to the copies are
    `Bptt.terms`, transposed.

    Parameters
    ----------
    copies : mapping of str to array
        Parameters with a first axis of T steps, as `unfold` makes them.
    x, target, weight, h0, activation, output_activation, loss
        As in `loss`, with an output at every step.

    Returns
    -------
    loss : scalar

    Raises
    ------
    ValueError
        If a name or a shape is not as above, or the loss does not go with the output function.

    Examples
    --------
    W11 affects the loss through a1(t) at each t, and the five ways add up:

    >>> from cbptt.reference import bptt, complex_step, one_hot
    >>> rng = np.random.default_rng(0)
    >>> parameters = {"weight_ih": rng.normal(size=(3, 2)), "weight_hh": rng.normal(size=(3, 3)),
    ...               "bias_h": np.zeros(3), "weight_ho": np.eye(3), "bias_o": np.zeros(3)}
    >>> x, target = rng.normal(size=(5, 1, 2)), one_hot([[0], [1], [2], [1], [0]], 3)
    >>> copies = unfold(parameters, 5)
    >>> each_way = complex_step(
    ...     lambda W11: unfolded_loss(copies | {"weight_hh": W11}, x, target), copies["weight_hh"]
    ... )
    >>> each_way.shape
    (5, 3, 3)
    >>> np.allclose(each_way.sum(axis=0).T, bptt(parameters, x, target).W11)
    True
    """
    pair = loss_pair(loss, output_activation)
    x = checked_inputs(x)
    own = {name: np.asarray(copies[name]) for name in PARAMETERS if name in copies}
    for name, array in own.items():
        if array.shape[:1] != (len(x),):
            raise ValueError(
                f"{name} has shape {array.shape} and x has shape {x.shape}; the first axis of both "
                "must be the T steps, see unfold."
            )

    a2, h2, h_prev = [], [], h0
    for t in range(len(x)):
        # one step, with parameters of its own, from the state that the step before left
        step = forward(
            {name: array[t] for name, array in own.items()},
            x[t : t + 1],
            h_prev,
            activation=activation,
            output_activation=output_activation,
        )
        a2.append(step.a2)
        h2.append(step.h2)
        h_prev = step.h1[0]
    outputs = np.concatenate(h2)
    target, weight = target_and_weight(outputs, target, weight)
    return np.sum(weight * pair.value(np.concatenate(a2), outputs, target))
