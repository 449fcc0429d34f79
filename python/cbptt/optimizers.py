"""What a step of an optimiser needs besides the gradient, and what it remembers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["AdaGrad", "Adam", "AdamW", "Moments", "Optimizer", "RmsProp", "Sgd"]


@dataclass
class Moments:
    """What an optimiser remembers of the steps that it has taken.

    Attributes
    ----------
    first : (P,) first moments of Adam, or the velocity of SGD.
    second : (P,) second moments of Adam, mean squares of RMSprop, sums of squares of AdaGrad.
    n_steps : steps taken.
    """

    first: NDArray[np.floating]
    second: NDArray[np.floating]
    n_steps: int = 0

    @classmethod
    def zeros_like(cls, theta: NDArray[np.floating]) -> Moments:
        """Nothing is remembered yet."""
        return cls(np.zeros_like(theta), np.zeros_like(theta))


@dataclass(frozen=True)
class Optimizer:
    """What a step depends on; fields that a solver does not have keep their neutral values."""

    learning_rate: float = 0.001
    momentum: float = 0.0
    nesterov: bool = False
    beta_1: float = 0.0
    beta_2: float = 0.0
    epsilon: float = 0.0
    decay: float = 0.0

    solver = ""


@dataclass(frozen=True)
class Adam(Optimizer):
    """Adam (Kingma & Ba 2015).

    Parameters
    ----------
    learning_rate : float, default=0.001
    beta_1, beta_2 : float in [0, 1), default=0.9, 0.999
        Decay of the two moments.
    epsilon : float, default=1e-8
    """

    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8

    solver = "adam"


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019).

    Parameters
    ----------
    learning_rate, beta_1, beta_2, epsilon : as Adam
    decay : float, default=0.01
        Each step shrinks the weights, and not the biases, by learning_rate * decay of themselves.
    """

    decay: float = 0.01

    solver = "adamw"


@dataclass(frozen=True)
class RmsProp(Optimizer):
    """RMSprop (Tieleman & Hinton 2012).

    Parameters
    ----------
    learning_rate : float, default=0.001
    beta_2 : float in [0, 1), default=0.9
        Decay of the mean square, rho.
    epsilon : float, default=1e-8
    """

    beta_2: float = 0.9
    epsilon: float = 1e-8

    solver = "rmsprop"


@dataclass(frozen=True)
class AdaGrad(Optimizer):
    """AdaGrad (Duchi, Hazan & Singer 2011).

    Parameters
    ----------
    learning_rate : float, default=0.001
    epsilon : float, default=1e-8
    """

    epsilon: float = 1e-8

    solver = "adagrad"


@dataclass(frozen=True)
class Sgd(Optimizer):
    """Stochastic gradient descent with momentum (Sutskever et al. 2013).

    Parameters
    ----------
    learning_rate : float, default=0.001
    momentum : float in [0, 1], default=0.9
    nesterov : bool, default=True
        Look ahead along the momentum.
    """

    momentum: float = 0.9
    nesterov: bool = True

    solver = "sgd"
