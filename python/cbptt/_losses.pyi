import numpy as np
from numpy.typing import NDArray

LOSSES: dict[str, int]

def evaluate(
    z: NDArray[np.floating],
    dz: NDArray[np.floating],
    weight: NDArray[np.floating],
    f: int,
    loss: int,
) -> float: ...
