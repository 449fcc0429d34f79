from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbptt._plan import Network, Plan
from cbptt._team import Team

SOLVERS: dict[str, int]

def forward(
    team: Team,
    thread: int,
    net: Network,
    plan: Plan,
    scratch: dict[str, NDArray[Any]],
    hidden: NDArray[np.floating],
    outputs: NDArray[np.floating],
    final: NDArray[np.floating],
    theta: NDArray[np.floating],
    values: NDArray[np.floating],
    starts: NDArray[np.intp],
    stops: NDArray[np.intp],
    h0: NDArray[np.floating],
    sequences: NDArray[np.intp],
    activated: bool,
) -> None: ...
def train(
    team: Team,
    thread: int,
    net: Network,
    plan: Plan,
    scratch: dict[str, NDArray[Any]],
    theta: NDArray[np.floating],
    moment_1: NDArray[np.floating],
    moment_2: NDArray[np.floating],
    dh0: NDArray[np.floating],
    dx: NDArray[np.floating],
    values: NDArray[np.floating],
    starts: NDArray[np.intp],
    stops: NDArray[np.intp],
    h0: NDArray[np.floating],
    input_masks: NDArray[np.floating],
    masks: NDArray[np.floating],
    carried: NDArray[np.floating],
    carry: int,
    targets: NDArray[np.floating],
    labels: NDArray[np.intp],
    weights: NDArray[np.floating],
    totals: NDArray[np.float64],
    sequences: NDArray[np.intp],
    batch_size: int,
    solver: int,
    n_weights: int = 0,
    alpha: float = 0,
    max_grad_norm: float = 0,
    learning_rate: float = 0,
    momentum: float = 0,
    nesterov: bool = False,
    beta_1: float = 0,
    beta_2: float = 0,
    epsilon: float = 0,
    decay: float = 0,
    step: int = 0,
) -> bool: ...
