import numpy as np
from numpy.typing import NDArray
from typing_extensions import disjoint_base

SOLVERS: dict[str, int]

@disjoint_base
class Update:
    def __new__(
        cls,
        solver: str,
        n_weights: int,
        alpha: float,
        max_grad_norm: float,
        momentum: float,
        nesterov: bool,
        beta_1: float,
        beta_2: float,
        epsilon: float,
        decay: float,
    ) -> Update: ...

def update(
    theta: NDArray[np.floating],
    moment_1: NDArray[np.floating],
    moment_2: NDArray[np.floating],
    gradient: NDArray[np.floating],
    weight_sum: float,
    u: Update,
    learning_rate: float,
    step: int,
) -> tuple[bool, float, bool, float]: ...
