import numpy as np
from numpy.typing import NDArray

def take_sgd_step(
    theta: NDArray[np.floating],
    velocity: NDArray[np.floating],
    gradient: NDArray[np.floating],
    learning_rate: float,
    momentum: float,
    nesterov: bool,
) -> None: ...
def take_adam_step(
    theta: NDArray[np.floating],
    m: NDArray[np.floating],
    v: NDArray[np.floating],
    gradient: NDArray[np.floating],
    learning_rate: float,
    beta_1: float,
    beta_2: float,
    epsilon: float,
    step: int,
) -> None: ...
def take_rmsprop_step(
    theta: NDArray[np.floating],
    v: NDArray[np.floating],
    gradient: NDArray[np.floating],
    learning_rate: float,
    rho: float,
    epsilon: float,
) -> None: ...
def take_adagrad_step(
    theta: NDArray[np.floating],
    v: NDArray[np.floating],
    gradient: NDArray[np.floating],
    learning_rate: float,
    epsilon: float,
) -> None: ...
