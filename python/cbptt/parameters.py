"""Parameters: one flat vector theta, its named views, and how it starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from types import MappingProxyType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from cbptt.engine.threads import one_blas_thread

__all__ = ["INITIALISATIONS", "Layout", "elman_layout", "initialise"]

INITIALISATIONS = ("orthogonal", "uniform", "identity")


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
        return {
            name: vector[offset : offset + prod(shape)].reshape(shape)
            for name, (offset, shape) in self.entries.items()
        }


def elman_layout(
    n_inputs: int, hidden_size: int, n_outputs: int, learn_initial_state: bool = False
) -> Layout:
    """Lay out the lecture's five arrays: W0 (M, D), W11 (M, M), b0 (M,), W1 (K, M), b1 (K,).

    Where it is learned, h_0 of every sequence comes behind them: initial_state (M,).
    """
    initial_state = {"initial_state": (hidden_size,)} if learn_initial_state else {}
    return Layout.of(
        weights={
            "weight_ih": (hidden_size, n_inputs),
            "weight_hh": (hidden_size, hidden_size),
            "weight_ho": (n_outputs, hidden_size),
        },
        biases={"bias_h": (hidden_size,), "bias_o": (n_outputs,), **initial_state},
        names=("weight_ih", "weight_hh", "bias_h", "weight_ho", "bias_o", *initial_state),
    )


def initialise(
    parameters: Mapping[str, NDArray[np.floating]], init: str, rng: np.random.Generator
) -> None:
    """Fill the parameters with starting values, the same for both precisions up to rounding.

    Parameters
    ----------
    parameters : named arrays, filled in place.
    init : {"orthogonal", "uniform", "identity"}
        "orthogonal": W11 a random orthogonal matrix (Saxe, McClelland & Ganguli 2014), W0 and W1
        uniform with variance 2 / (fan_in + fan_out) (Glorot & Bengio 2010), biases 0.
        "uniform": everything uniform in +-1/sqrt(M), as PyTorch starts nn.RNN and nn.Linear.
        "identity": W11 the identity, W0 and W1 normal with standard deviation 0.001, biases 0
        (Le, Jaitly & Hinton 2015, meant for relu).
        An initial state that is learned starts from 0 with each of them.
    rng : the generator that is drawn from.
    """
    hidden_size = len(parameters["bias_h"])
    for name, array in parameters.items():
        if name == "initial_state":
            array[...] = 0
        elif init == "uniform":
            bound = 1 / np.sqrt(hidden_size)
            array[...] = rng.uniform(-bound, bound, array.shape)
        elif name.startswith("bias"):
            array[...] = 0
        elif name == "weight_hh":
            array[...] = (
                _orthogonal(hidden_size, rng) if init == "orthogonal" else np.eye(hidden_size)
            )
        elif init == "orthogonal":
            bound = np.sqrt(6 / sum(array.shape))
            array[...] = rng.uniform(-bound, bound, array.shape)
        else:
            array[...] = rng.normal(0, 0.001, array.shape)


def _orthogonal(size: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw from the uniform distribution over orthogonal matrices (Mezzadri 2007)."""
    with one_blas_thread():
        q, r = np.linalg.qr(rng.normal(size=(size, size)))
    return np.asarray(q * np.where(np.diagonal(r) < 0, -1, 1))
