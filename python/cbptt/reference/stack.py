"""Networks of cells in several layers and both directions: forward, and back.

The layers are composed: a layer reads what the layer below puts out at each step, the lowest one
reads the inputs, and the output layer reads the uppermost one. Of two directions a layer puts out
both, side by side; the reverse one is the same cell on the steps in reverse order. The arithmetic
of a step is in `cbptt.reference.cells`, losses and output functions are in
`cbptt.reference.functions`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from cbptt.reference.calculus import sum_of_deltas
from cbptt.reference.cells import CELLS, GATES, STATES, Layer
from cbptt.reference.functions import (
    ACTIVATIONS,
    OUTPUTS,
    canonical_derivative,
    is_canonical,
    loss_pair,
    one_of,
    row_times_output_jacobian,
)
from cbptt.reference.network import READOUTS, checked_inputs, largest, target_and_weight

Array: TypeAlias = npt.NDArray[Any]
Scalar: TypeAlias = Any  # a NumPy scalar: real, or complex under the complex step


# ----------------------------------------------------------- forward


@dataclass(frozen=True, eq=False)
class StackForward:
    """Every quantity of the forward pass.

    Attributes
    ----------
    x : (T, B, D) array
        Inputs.
    h0 : (B, S) array
        States before the first steps: for each layer and direction h, and of an LSTM c behind it.
    steps : dict of str to dict of str to (T, B, M) array
        For each layer and direction, by the suffix of its parameters' names, the quantities of its
        steps by their names in `ElmanStep`, `GruStep` or `LstmStep`. Row t belongs to step t of the
        sequence, also in the reverse direction.
    hidden : (T, B, M) array
        What the uppermost layer puts out; of two directions (T, B, 2 M).
    a2, h2 : (T, B, K) arrays, or (B, K) unless ``readout="every"``
        Output pre-activations and outputs.
    state : (B, S) array
        States after the last steps, laid out as `h0`.
    """

    x: Array
    h0: Array
    steps: dict[str, dict[str, Array]]
    hidden: Array
    a2: Array
    h2: Array
    state: Array


def stack_forward(
    parameters: Mapping[str, npt.ArrayLike],
    x: npt.ArrayLike,
    h0: npt.ArrayLike | None = None,
    *,
    cell: str = "rnn",
    activation: str = "tanh",
    output_activation: str = "softmax",
    readout: str = "every",
    input_mask: npt.ArrayLike | None = None,
    recurrent_mask: npt.ArrayLike | None = None,
) -> StackForward:
    """The forward pass of a network of cells.

    Parameters
    ----------
    parameters : mapping of str to array
        ``weight_ih`` (G M, D), ``weight_hh`` (G M, M), ``bias_h`` (G M,), for a GRU ``bias_hn``
        (M,), with G gates in the order of `GATES`; ``weight_ho`` (K, M) and ``bias_o`` (K,). Of
        several layers or two directions the names of the former end in ``_l0``, ``_l0_reverse``,
        ``_l1`` and so on, and ``weight_ho`` is (K, 2 M) for two directions.
        An ``initial_state`` (S,) is the first state of each sequence where `h0` is not given.
    x : (T, B, D) array
        Inputs, T >= 1.
    h0 : (B, S) array, default=None
        States before the first steps: for each layer and direction h, and of an LSTM c behind it.
        In the reverse direction this is the state before step T. None is ``initial_state`` if
        there is one, and zeros otherwise.
    cell : {"rnn", "gru", "lstm"}, default="rnn"
    activation : str, default="tanh"
        Hidden function of the cell "rnn", one of `ACTIVATIONS`.
    output_activation : str, default="softmax"
        Output function, one of `OUTPUTS`.
    readout : {"every", "last", "mean", "max"}, default="every"
        Outputs at every step, or one: of the mean of what the uppermost layer puts out, of the
        largest value of each unit, or of the last states. The last state of the reverse direction
        is that of step 1.
    input_mask : (B, I) array, default=None
        What the inputs of the layers are multiplied by at each step: D columns, then those of each
        layer above. None is 1.
    recurrent_mask : (B, U) array, default=None
        What h(t-1) is multiplied by on its way into W11: the M columns of each layer and
        direction. None is 1.

    Returns
    -------
    forward : StackForward

    Raises
    ------
    ValueError
        If a name or a shape is not as above.

    Examples
    --------
    >>> import cbptt
    >>> network = cbptt.RNN(2, (4, 3), 1, cell="lstm", bidirectional=True, random_state=0)
    >>> X = np.random.default_rng(0).normal(size=(5, 2))
    >>> result = stack_forward(
    ...     network.parameters, X[:, np.newaxis], cell="lstm", output_activation="identity"
    ... )
    >>> list(result.steps)
    ['_l0', '_l0_reverse', '_l1', '_l1_reverse']
    >>> np.allclose(result.h2[:, 0], network.forward([X]).output[0])
    True
    """
    network = _read_network(
        parameters, x, h0, cell, activation, output_activation, input_mask, recurrent_mask
    )
    return _forward(network, readout)


def _forward(network: _Network, readout: str) -> StackForward:
    one_of(READOUTS, readout, "readout")
    y = network.x
    steps: dict[str, dict[str, Array]] = {}
    final: list[Array] = []
    for tracks in network.layers:
        y_below, y_tracks = y * tracks[0].mask, []
        for track in tracks:
            state = tuple(network.h0[:, columns] for columns in track.states)
            steps[track.suffix] = found = _run(network.cell, track, y_below, state)
            y_tracks.append(found["h"])
            final += [found[name][0 if track.reverse else -1] for name in STATES[network.cell]]
        # y(t) = the h(t) of both directions, side by side
        y = np.concatenate(y_tracks, axis=-1)

    # a2(t) = W1 y(t) + b1
    # h2(t) = f(a2(t))
    a2 = _read_out(y, readout, network.M_forward) @ network.W1.T + network.b1
    return StackForward(
        x=network.x,
        h0=network.h0,
        steps=steps,
        hidden=y,
        a2=a2,
        h2=OUTPUTS[network.output_activation](a2),
        state=np.concatenate(final, axis=-1),
    )


def stack_loss(
    parameters: Mapping[str, npt.ArrayLike],
    x: npt.ArrayLike,
    target: npt.ArrayLike,
    weight: npt.ArrayLike | None = None,
    h0: npt.ArrayLike | None = None,
    *,
    loss: str = "log_loss",
    output_activation: str = "softmax",
    **choices: Any,
) -> Scalar:
    """The loss L, a sum over steps and sequences of weight times loss.

    Parameters
    ----------
    parameters, x, h0, output_activation
        As in `stack_forward`.
    target : (T, B, K) array, or (B, K) unless ``readout="every"``
        Targets, for a class its one-hot row.
    weight : (T, B) array, or (B,) unless ``readout="every"``, default=ones
        A step with weight 0 is unlabelled: its target is not read.
    loss : {"log_loss", "squared_error"}, default="log_loss"
        See `LOSSES`.
    **choices
        Further ones of `stack_forward`: cell, activation, readout and masks.

    Returns
    -------
    loss : scalar

    Raises
    ------
    ValueError
        If a name or a shape is not as above, or the loss does not go with the output function.
    """
    pair = loss_pair(loss, output_activation)
    outcome = stack_forward(parameters, x, h0, output_activation=output_activation, **choices)
    target, weight = target_and_weight(outcome.h2, target, weight)
    return np.sum(weight * pair.value(outcome.a2, outcome.h2, target))


# ----------------------------------------------------------- back


@dataclass(frozen=True, eq=False)
class StackBptt:
    """The loss and its derivatives.

    Attributes
    ----------
    loss : scalar
        L.
    forward : StackForward
        What the forward pass computed.
    da2 : (T, B, K) array, or (B, K) unless ``readout="every"``
        nabla_{a2(t)} L.
    deltas : dict of str to dict of str to array
        For each layer and direction, by the suffix of its parameters' names: ``"dh"`` (T, B, M) is
        nabla_{h(t)} L; for an LSTM ``"dc"`` (T, B, M) is the part of nabla_{c(t)} L that comes from
        the step behind; ``"inward"`` and ``"recurrent"`` (T, B, G M) are as in `Deltas`.
    gradients : dict of str to array
        By the parameters' names, in their shapes; besides them ``"h0"`` (B, S), with respect to the
        states before the first steps, and ``"X"`` (T, B, D), with respect to the inputs. The
        gradient of an ``initial_state`` is zero where states are given.
    """

    loss: Scalar
    forward: StackForward
    da2: Array
    deltas: dict[str, dict[str, Array]]
    gradients: dict[str, Array]


def stack_bptt(
    parameters: Mapping[str, npt.ArrayLike],
    x: npt.ArrayLike,
    target: npt.ArrayLike,
    weight: npt.ArrayLike | None = None,
    h0: npt.ArrayLike | None = None,
    *,
    cell: str = "rnn",
    activation: str = "tanh",
    output_activation: str = "softmax",
    loss: str = "log_loss",
    readout: str = "every",
    input_mask: npt.ArrayLike | None = None,
    recurrent_mask: npt.ArrayLike | None = None,
) -> StackBptt:
    """Backpropagation through time, and through the layers: the loss, the deltas and the gradients.

    Parameters
    ----------
    parameters, x, h0, cell, activation, output_activation, readout, input_mask, recurrent_mask
        As in `stack_forward`.
    target, weight, loss
        As in `stack_loss`.

    Returns
    -------
    bptt : StackBptt

    Raises
    ------
    ValueError
        If a name or a shape is not as above, or the loss does not go with the output function.

    Examples
    --------
    >>> import cbptt
    >>> network = cbptt.RNN(2, 3, 1, cell="gru", random_state=0)
    >>> X, Y = np.ones((5, 2)), np.zeros((5, 1))
    >>> result = stack_bptt(
    ...     network.parameters, X[:, np.newaxis], Y[:, np.newaxis], cell="gru",
    ...     output_activation="identity", loss="squared_error",
    ... )
    >>> _, compiled = network.loss_and_gradients([X], [Y], reduction="sum")
    >>> all(np.allclose(result.gradients[name], compiled[name]) for name in compiled)
    True
    """
    pair = loss_pair(loss, output_activation)
    network = _read_network(
        parameters, x, h0, cell, activation, output_activation, input_mask, recurrent_mask
    )
    outcome = _forward(network, readout)
    y, a2, h2, M = outcome.hidden, outcome.a2, outcome.h2, network.M_forward
    target, weight = target_and_weight(h2, target, weight)

    # nabla_{a2(t)} L = nabla_{h2(t)} L  nabla_{a2(t)} h2(t)
    if is_canonical("auto", loss, output_activation):
        da2 = canonical_derivative(h2, target, output_activation)
    else:
        da2 = row_times_output_jacobian(pair.derivative(h2, target), h2, output_activation)
    da2 = weight[..., np.newaxis] * da2
    # nabla_{y(t)} L = nabla_{a2(t)} L W1, the way through a2(t)
    dy = _read_out_back(da2 @ network.W1, y, readout, M)

    gradients: dict[str, Array] = {
        # nabla_{W1} L = sum_t y(t) nabla_{a2(t)} L
        "weight_ho": _sum_of_products(_read_out(y, readout, M), da2).T,
        # nabla_{b1} L = sum_t nabla_{a2(t)} L
        "bias_o": sum_of_deltas(da2)[0],
    }
    deltas: dict[str, dict[str, Array]] = {}
    dh0 = np.zeros_like(outcome.h0, dtype=da2.dtype)
    for tracks in reversed(network.layers):
        dy_below: Any = 0
        for d, track in enumerate(tracks):
            steps, suffix, M = outcome.steps[track.suffix], track.suffix, track.M
            # forward: y(t) = the h(t) of both directions, side by side
            dh = dy[..., d * M : (d + 1) * M]
            found, dstate = _run_back(cell, track, steps, dh)
            deltas[suffix] = found
            for columns, part in zip(track.states, dstate, strict=True):
                dh0[:, columns] = part
            inward, recurrent = found["inward"], found["recurrent"]
            # nabla_{W0} L = sum_t x(t) nabla_{a(t)} L
            gradients[f"weight_ih{suffix}"] = _sum_of_products(steps["x"], inward).T
            # nabla_{W11} L = sum_t m h(t-1) nabla_{a(t)} L
            gradients[f"weight_hh{suffix}"] = _sum_of_products(steps["mh"], recurrent).T
            # nabla_{b0} L = sum_t nabla_{a(t)} L
            gradients[f"bias_h{suffix}"] = sum_of_deltas(inward)[0]
            if cell == "gru":
                # nabla_{bhn} L = sum_t nabla_{q(t)} L
                gradients[f"bias_hn{suffix}"] = sum_of_deltas(recurrent)[0, 2 * M :]
            # nabla_{x(t)} L = nabla_{a(t)} L W0, the sum over the directions
            dy_below = dy_below + inward @ track.layer.W0
        # forward: the layer reads y(t) of the layer below times its mask
        dy = dy_below * tracks[0].mask
    if "initial_state" in parameters:
        # forward: the first state of each sequence is the same
        start = sum_of_deltas(dh0)[0]
        gradients["initial_state"] = start if h0 is None else np.zeros_like(start)
    gradients = {name: gradients[name] for name in parameters} | {"h0": dh0, "X": dy}
    return StackBptt(
        loss=np.sum(weight * pair.value(a2, h2, target)),
        forward=outcome,
        da2=da2,
        deltas=deltas,
        gradients=gradients,
    )


# ----------------------------------------------------------- a layer in one direction


class _Track(NamedTuple):
    """A layer in one direction."""

    layer: Layer
    suffix: str
    reverse: bool
    mask: Array  # (B, D) of its inputs
    states: tuple[slice, ...]  # the columns of h, and of c, in h0

    @property
    def M(self) -> int:
        return int(self.layer.W11.shape[1])


def _run(cell: str, track: _Track, x: Array, state: tuple[Array, ...]) -> dict[str, Array]:
    """The quantities of all steps (T, B, M), by name."""
    order = range(len(x))
    steps = {}
    for t in reversed(order) if track.reverse else order:
        steps[t] = step = CELLS[cell].step(track.layer, x[t], *state)
        state = tuple(getattr(step, name) for name in STATES[cell])
    return {name: np.stack([getattr(steps[t], name) for t in order]) for name in step._fields}


def _run_back(
    cell: str, track: _Track, steps: dict[str, Array], dy: Array
) -> tuple[dict[str, Array], tuple[Array, ...]]:
    """The deltas of all steps, by name, and nabla L with respect to the state before the first."""
    Step, _, step_back = CELLS[cell]
    order = range(len(dy))
    dstate = tuple(np.zeros_like(dy[0]) for _ in STATES[cell])  # not required when t = T
    found: dict[int, dict[str, Array]] = {}
    for t in order if track.reverse else reversed(order):
        # nabla_{h(t)} L: the way up, through y(t), and the way through step t+1
        dstate = (dy[t] + dstate[0], *dstate[1:])
        deltas = step_back(track.layer, Step(*(steps[name][t] for name in Step._fields)), *dstate)
        found[t] = {f"d{name}": part for name, part in zip(STATES[cell], dstate, strict=True)}
        found[t] |= {"inward": deltas.inward, "recurrent": deltas.recurrent}
        dstate = deltas.state
    return {name: np.stack([found[t][name] for t in order]) for name in found[0]}, dstate


# ----------------------------------------------------------- readouts


def _read_out(y: Array, readout: str, M: int) -> Array:
    """What the output layer reads: y(t) of every step, or one row for each sequence.

    M is the number of units of the forward direction; they come first in y(t).
    """
    if readout == "every":
        return y
    if readout == "mean":
        return np.asarray(y.mean(axis=0))
    if readout == "max":
        return np.asarray(np.take_along_axis(y, largest(y), axis=0)[0])
    # step T; of the reverse direction step 1, which it reaches last
    return np.concatenate([y[-1, :, :M], y[0, :, M:]], axis=-1)


def _read_out_back(dread: Array, y: Array, readout: str, M: int) -> Array:
    """nabla_{y(t)} L, from nabla L with respect to what the output layer reads."""
    if readout == "every":
        return dread
    # forward: y.mean(axis=0)
    if readout == "mean":
        return np.repeat(dread[np.newaxis] / len(y), len(y), axis=0)
    dy = np.zeros(y.shape, dread.dtype)
    # forward: the largest value of each unit
    if readout == "max":
        np.put_along_axis(dy, largest(y), dread[np.newaxis], axis=0)
        return dy
    # forward: step T; of the reverse direction step 1
    dy[-1, :, :M] = dread[:, :M]
    dy[0, :, M:] = dread[:, M:]
    return dy


def _sum_of_products(columns: Array, rows: Array) -> Array:
    """(n, m) the sum over steps and sequences of a column times a row."""
    return columns.reshape(-1, columns.shape[-1]).T @ rows.reshape(-1, rows.shape[-1])


# ----------------------------------------------------------- shapes and names


class _Network(NamedTuple):
    """Checked arguments, in one type."""

    x: Array
    h0: Array
    cell: str
    layers: list[list[_Track]]  # of each layer the directions
    W1: Array
    b1: Array
    output_activation: str

    @property
    def M_forward(self) -> int:
        """Units of the uppermost layer in the forward direction."""
        return self.layers[-1][0].M


def _read_network(
    parameters: Mapping[str, npt.ArrayLike],
    x: npt.ArrayLike,
    h0: npt.ArrayLike | None,
    cell: str,
    activation: str,
    output_activation: str,
    input_mask: npt.ArrayLike | None,
    recurrent_mask: npt.ArrayLike | None,
) -> _Network:
    """Check the arguments, and sort them by layers and directions."""
    one_of(CELLS, cell, "cell")
    one_of(ACTIVATIONS, activation, "activation")
    one_of(OUTPUTS, output_activation, "output_activation")
    x = checked_inputs(x)
    B = x.shape[1]
    arrays = {name: np.asarray(array) for name, array in parameters.items()}
    suffixes = _suffixes(arrays)
    shapes = _shapes(arrays, suffixes, cell, x.shape[2])
    n_states, U, inputs = len(STATES[cell]), 0, 0  # all units, and the inputs of all layers
    for of_layer in suffixes:
        U += len(of_layer) * shapes[f"weight_hh{of_layer[0]}"][1]
        inputs += shapes[f"weight_ih{of_layer[0]}"][1]
    if "initial_state" in arrays:
        shapes["initial_state"] = (n_states * U,)
    if set(arrays) != set(shapes):
        raise ValueError(
            f"parameters are {', '.join(arrays)}, but with cell={cell!r} must be "
            f"{', '.join(shapes)}."
        )
    if h0 is None and "initial_state" in arrays:
        h0 = np.repeat(arrays["initial_state"][np.newaxis], B, axis=0)
    shapes |= {"h0": (B, n_states * U), "input_mask": (B, inputs), "recurrent_mask": (B, U)}
    for name, given, default in (
        ("h0", h0, np.zeros),
        ("input_mask", input_mask, np.ones),
        ("recurrent_mask", recurrent_mask, np.ones),
    ):
        arrays[name] = default(shapes[name], np.float32) if given is None else np.asarray(given)
    for name, shape in shapes.items():
        if arrays[name].shape != shape:
            raise ValueError(
                f"{name} has shape {arrays[name].shape}, but must have {shape} with cell={cell!r}, "
                f"x of shape {x.shape} and the other parameters as they are."
            )
    dtype = np.result_type(np.float32, x, *arrays.values())
    arrays = {name: array.astype(dtype) for name, array in arrays.items()}

    layers, column, unit, first = [], 0, 0, 0  # where masks and states begin
    for of_layer in suffixes:
        D = shapes[f"weight_ih{of_layer[0]}"][1]
        tracks = []
        for suffix in of_layer:
            M = shapes[f"weight_hh{suffix}"][1]
            layer = Layer(
                W0=arrays[f"weight_ih{suffix}"],
                W11=arrays[f"weight_hh{suffix}"],
                b0=arrays[f"bias_h{suffix}"],
                bhn=arrays.get(f"bias_hn{suffix}", np.empty(0, dtype)),
                m=arrays["recurrent_mask"][:, unit : unit + M],
                f=ACTIVATIONS[activation],
            )
            tracks.append(
                _Track(
                    layer,
                    suffix,
                    reverse=suffix.endswith("_reverse"),
                    mask=arrays["input_mask"][:, column : column + D],
                    states=tuple(slice(i, i + M) for i in range(first, first + n_states * M, M)),
                )
            )
            unit, first = unit + M, first + n_states * M
        layers.append(tracks)
        column += D
    return _Network(
        x.astype(dtype),
        arrays["h0"],
        cell,
        layers,
        arrays["weight_ho"],
        arrays["bias_o"],
        output_activation,
    )


def _suffixes(arrays: Mapping[str, Array]) -> list[list[str]]:
    """The suffixes of the parameters' names, of each layer those of its directions."""
    if "weight_ih" in arrays:
        return [[""]]
    directions = ["", "_reverse"] if "weight_ih_l0_reverse" in arrays else [""]
    n_layers = next(i for i in count() if f"weight_ih_l{i}" not in arrays)
    if n_layers == 0:
        raise ValueError("parameters lack weight_ih, or of several layers weight_ih_l0 and so on.")
    return [[f"_l{i}{direction}" for direction in directions] for i in range(n_layers)]


def _shapes(
    arrays: Mapping[str, Array], suffixes: list[list[str]], cell: str, D: int
) -> dict[str, tuple[int, ...]]:
    """The shapes that the parameters must have, by their names."""
    shapes: dict[str, tuple[int, ...]] = {}
    G = len(GATES[cell])
    for of_layer in suffixes:
        rows = arrays[f"weight_ih{of_layer[0]}"].shape[:1]
        M = rows[0] // G if rows else 0
        for suffix in of_layer:
            shapes[f"weight_ih{suffix}"] = (G * M, D)
            shapes[f"weight_hh{suffix}"] = (G * M, M)
            shapes[f"bias_h{suffix}"] = (G * M,)
            if cell == "gru":
                shapes[f"bias_hn{suffix}"] = (M,)
        D = len(of_layer) * M
    K = arrays["bias_o"].size if "bias_o" in arrays else 0
    return shapes | {"weight_ho": (K, D), "bias_o": (K,)}
