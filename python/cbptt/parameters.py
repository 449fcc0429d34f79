"""Parameters: one flat vector theta, its named views, and how it starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod
from types import MappingProxyType
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from cbptt.engine.threads import one_blas_thread

__all__ = [
    "CELLS",
    "INITIALISATIONS",
    "N_STATES",
    "Layout",
    "Track",
    "initialise",
    "network_layout",
]

INITIALISATIONS = ("orthogonal", "uniform", "identity")
N_GATES = {"rnn": 1, "gru": 3, "lstm": 4}  # blocks of M rows in the matrices of a cell
N_STATES = {"rnn": 1, "gru": 1, "lstm": 2}  # rows of M numbers of its state
CELLS = tuple(N_GATES)


@dataclass(frozen=True)
class Layout:
    """Where each named array lies in theta.

    Attributes
    ----------
    entries : name to (offset, shape).
    size : length of theta.
    n_weights : length of its part that is penalised.
    """

    entries: Mapping[str, tuple[int, tuple[int, ...]]]
    size: int
    n_weights: int

    @classmethod
    def of(
        cls,
        weights: Mapping[str, tuple[int, ...]],
        biases: Mapping[str, tuple[int, ...]],
        names: tuple[str, ...],
    ) -> Self:
        """Lay arrays out one after the other.

        Parameters
        ----------
        weights : name to shape of the arrays that the L2 penalty reaches; they come first in theta.
        biases : name to shape of those that it leaves alone.
        names : the order in which the views are listed.
        """
        offset = 0
        entries = {}
        for name, shape in (*weights.items(), *biases.items()):
            entries[name] = (offset, shape)
            offset += prod(shape)
        n_weights = sum(prod(shape) for shape in weights.values())
        return cls(MappingProxyType({name: entries[name] for name in names}), offset, n_weights)

    def views(self, vector: NDArray[np.floating]) -> dict[str, NDArray[np.floating]]:
        """Name the parts of a vector laid out like theta, without copying."""
        return {name: vector[place].reshape(shape) for name, place, shape in self._places}

    @cached_property
    def _places(self) -> list[tuple[str, slice, tuple[int, ...]]]:
        return [
            (name, slice(offset, offset + prod(shape)), shape)
            for name, (offset, shape) in self.entries.items()
        ]


@dataclass(frozen=True)
class Track:
    """A recurrent layer in one direction.

    Attributes
    ----------
    layer : int, 0 is the lowest
    reverse : whether it runs from the last step to the first.
    n_inputs, hidden_size : int, D and M
    suffix : str
        What its parameters' names end with: PyTorch's "_l0", "_l1_reverse" and so on; nothing in a
        network of one layer and one direction.
    """

    layer: int
    reverse: bool
    n_inputs: int
    hidden_size: int
    suffix: str

    def shapes(self, cell: str) -> dict[str, tuple[int, ...]]:
        """Return the shapes of its parameters, by their names without the suffix."""
        G, M = N_GATES[cell], self.hidden_size
        shapes: dict[str, tuple[int, ...]] = {
            "weight_ih": (G * M, self.n_inputs),
            "weight_hh": (G * M, M),
            "bias_h": (G * M,),
        }
        return shapes | {"bias_hn": (M,)} if cell == "gru" else shapes


class Described(Protocol):
    """What a layout is computed from, see `cbptt.architecture.Architecture`."""

    @property
    def cell(self) -> str:
        """Name of the cell."""
        ...

    @property
    def tracks(self) -> tuple[Track, ...]:
        """Each layer in each direction."""
        ...

    @property
    def n_outputs(self) -> int:
        """K."""
        ...

    @property
    def output_width(self) -> int:
        """What the output layer reads."""
        ...

    @property
    def state_width(self) -> int:
        """Numbers of a state."""
        ...

    @property
    def learn_initial_state(self) -> bool:
        """Whether the first state is a parameter."""
        ...


def network_layout(network: Described) -> Layout:
    """Lay out the parameters of a network in theta, weights before biases.

    Of one layer and one direction: W0 (G M, D), W11 (G M, M), W1 (K, M), b0 (G M,), for a GRU b_hn
    (M,), b1 (K,), with G gates, one below the other in PyTorch's order (r, z, n; i, f, g, o). If it
    is learned, the state before the first steps comes behind them: initial_state (state_width,).
    """
    shapes = {
        f"{name}{track.suffix}": shape
        for track in network.tracks
        for name, shape in track.shapes(network.cell).items()
    }
    shapes["weight_ho"] = (network.n_outputs, network.output_width)
    shapes["bias_o"] = (network.n_outputs,)
    if network.learn_initial_state:
        shapes["initial_state"] = (network.state_width,)
    return Layout.of(
        weights={name: shape for name, shape in shapes.items() if name.startswith("weight")},
        biases={name: shape for name, shape in shapes.items() if not name.startswith("weight")},
        names=tuple(shapes),
    )


def initialise(
    parameters: Mapping[str, NDArray[np.floating]],
    init: str,
    rng: np.random.Generator,
    *,
    forget_bias: float | None = None,
) -> None:
    """Fill the parameters with starting values, the same for both precisions up to rounding.

    Parameters
    ----------
    parameters : named arrays, filled in place.
    init : {"orthogonal", "uniform", "identity"}
        "orthogonal": W11 a random orthogonal matrix (Saxe, McClelland & Ganguli 2014), one for
        each gate, W0 and W1 uniform with variance 2 / (fan_in + fan_out) (Glorot & Bengio 2010), of
        each gate, biases 0.
        "uniform": everything uniform in +-1/sqrt(M), as PyTorch starts its layers.
        "identity": W11 the identity, W0 and W1 normal with standard deviation 0.001, biases 0
        (Le, Jaitly & Hinton 2015, meant for relu).
        An initial state that is learned starts from 0 with each of them.
    rng : the generator that is drawn from.
    forget_bias : float, default=None
        Is added to the biases of the gates that keep the state: an LSTM's forget gates (Gers,
        Schmidhuber & Cummins 2000; Jozefowicz, Zaremba & Sutskever 2015) and a GRU's update gates.
        None for the cell "rnn", which has no gates.
    """
    hidden_size = 1
    for name, array in parameters.items():
        if name.startswith("weight_ih"):
            hidden_size = parameters[name.replace("_ih", "_hh")].shape[1]
        if name == "initial_state":
            array[...] = 0
        elif init == "uniform":
            bound = 1 / np.sqrt(hidden_size)
            array[...] = rng.uniform(-bound, bound, array.shape)
        elif name.startswith("bias"):
            array[...] = 0
        elif name.startswith("weight_hh"):
            for gate in _gates(array, hidden_size):
                gate[...] = (
                    _orthogonal(hidden_size, rng) if init == "orthogonal" else np.eye(hidden_size)
                )
        elif init == "orthogonal":
            size = len(array) if name == "weight_ho" else hidden_size
            bound = np.sqrt(6 / (size + array.shape[1]))
            array[...] = rng.uniform(-bound, bound, array.shape)
        else:
            array[...] = rng.normal(0, 0.001, array.shape)
        if forget_bias is not None and name.startswith("bias_h") and "bias_hn" not in name:
            _gates(array, hidden_size)[1][...] += forget_bias  # f of i, f, g, o; z of r, z, n


def _gates(array: NDArray[np.floating], hidden_size: int) -> list[NDArray[np.floating]]:
    """Return views of the gates, which lie one below the other."""
    return [array[i : i + hidden_size] for i in range(0, len(array), hidden_size)]


def _orthogonal(size: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw from the uniform distribution over orthogonal matrices (Mezzadri 2007)."""
    with one_blas_thread():
        q, r = np.linalg.qr(rng.normal(size=(size, size)))
    return np.asarray(q * np.where(np.diagonal(r) < 0, -1, 1))
