"""What a step of an optimiser needs besides the gradient."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Adam", "Optimizer", "Sgd"]


@dataclass(frozen=True)
class Optimizer:
    """A step's length; fields that a solver does not have keep their neutral values."""

    learning_rate: float = 0.001
    momentum: float = 0.0
    nesterov: bool = False
    beta_1: float = 0.0
    beta_2: float = 0.0
    epsilon: float = 0.0

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
