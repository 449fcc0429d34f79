from typing import Any

import numpy as np
from numpy.typing import NDArray

SOLVERS: dict[str, int]

def forward(
    states: NDArray[np.floating],
    h_read: NDArray[np.floating],
    z: NDArray[np.floating],
    packed_hh: NDArray[np.floating],
    packed_ih: NDArray[np.floating],
    x: NDArray[np.floating],
    parameters: dict[str, NDArray[np.floating]],
    batch_sizes: NDArray[np.intp],
    ends: NDArray[np.intp],
    f: int,
    last: bool,
) -> None: ...
def loss_and_gradients(
    dh0: NDArray[np.floating],
    da: NDArray[np.floating],
    z: NDArray[np.floating],
    dz: NDArray[np.floating],
    states: NDArray[np.floating],
    h_read: NDArray[np.floating],
    dh_read: NDArray[np.floating],
    packed_hh: NDArray[np.floating],
    packed_ih: NDArray[np.floating],
    chunk: NDArray[np.floating],
    x: NDArray[np.floating],
    weight: NDArray[np.floating],
    gradients: dict[str, NDArray[np.floating]],
    parameters: dict[str, NDArray[np.floating]],
    batch_sizes: NDArray[np.intp],
    ends: NDArray[np.intp],
    f: int,
    f_out: int,
    loss: int,
    last: bool,
) -> float: ...
def input_gradient(
    dx: NDArray[np.floating],
    da: NDArray[np.floating],
    weight_ih: NDArray[np.floating],
) -> None: ...
def train(
    theta: NDArray[np.floating],
    gradient: NDArray[np.floating],
    moment_1: NDArray[np.floating],
    moment_2: NDArray[np.floating],
    parameters: dict[str, NDArray[np.floating]],
    gradients: dict[str, NDArray[np.floating]],
    scratch: dict[str, NDArray[Any]],
    values: NDArray[np.floating],
    offsets: NDArray[np.intp],
    targets: NDArray[np.floating],
    labels: NDArray[np.intp],
    weights: NDArray[np.floating],
    sequences: NDArray[np.intp],
    batch_size: int,
    f: int,
    f_out: int,
    loss: int,
    last: bool,
    n_weights: int,
    alpha: float,
    max_grad_norm: float,
    solver: int,
    learning_rate: float,
    momentum: float,
    nesterov: bool,
    beta_1: float,
    beta_2: float,
    epsilon: float,
    step: int,
) -> tuple[float, float, float, int, int, bool]: ...
