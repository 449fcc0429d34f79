"""What a network takes and gives, by name."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbptt.data.sequences import Sequences
from cbptt.losses import Targets

__all__ = ["Derivatives", "Dropout", "Forward", "Shard", "ShardResult"]

Array = NDArray[np.floating]


@dataclass(frozen=True)
class Forward:
    """What the network computed of X.

    Attributes
    ----------
    hidden : (T_i, M) per sequence, in X's form: h1(t), the hidden states of the uppermost layer; of
        two directions (T_i, 2 M).
    output : h2(t): (T_i, K) per sequence, in X's form, with readout "every"; else (n, K).
    state : (n, state_width) each sequence's final states, of all layers; hand it on as h0 to
        continue the sequence.
    """

    hidden: Any
    output: Any
    state: Array


@dataclass(frozen=True)
class Derivatives:
    """The five derivatives of the lecture, in its layout: the transposes of the gradients.

    Attributes
    ----------
    W1 : (M, K) derivative number 1, sum over t of h1(t) dL/da2(t).
    b1 : (1, K) derivative number 2, sum over t of dL/da2(t).
    W11 : (M, M) derivative number 3, sum over t of h1(t-1) dL/da1(t).
    W0 : (D, M) derivative number 4, sum over t of h0(t) dL/da1(t).
    b0 : (1, M) derivative number 5, sum over t of dL/da1(t).
    """

    W1: Array
    b1: Array
    W11: Array
    W0: Array
    b0: Array


@dataclass(frozen=True)
class Shard:
    """Sequences with their targets, checked: what `Engine.gradient` takes.

    Attributes
    ----------
    sequences : n sequences.
    targets : one for each step of theirs with readout "every", else for each of them.
    h0 : (n, state_width) initial states; None is 0, or the state that is learned.
    """

    sequences: Sequences
    targets: Targets
    h0: Array | None = None

    @cached_property
    def weight_sum(self) -> float:
        """The total weight, by which "mean" divides."""
        return float(self.targets.weights.sum(dtype=np.float64))


@dataclass(frozen=True)
class Dropout:
    """Masks of a pass over sequences: one for each, the same at each of its steps.

    Gal & Ghahramani (2016), A theoretically grounded application of dropout in recurrent neural
    networks. An entry is 0 where a value is dropped, and 1 / (1 - rate) elsewhere.

    Attributes
    ----------
    inputs : (n, input_width) what the inputs of every layer are multiplied by: the D columns of
        x_t, and behind them those of each layer above; or (0, 0).
    recurrent : (n, unit_width) what h_{t-1} of every layer and direction is multiplied by on its
        way into W11; or (0, 0). Outputs read h as it is.
    """

    inputs: Array
    recurrent: Array


@dataclass(frozen=True)
class ShardResult:
    """A plain sum over the sequences of a shard.

    Attributes
    ----------
    loss_sum, weight_sum : floats.
    gradient : (P,) laid out like theta.
    dh0 : (n, state_width) derivative by the initial states; (0, M) unless it was wanted.
    dx : (steps, D) derivative by the inputs; (0, D) unless it was wanted.
    """

    loss_sum: float
    weight_sum: float
    gradient: Array
    dh0: Array
    dx: Array
