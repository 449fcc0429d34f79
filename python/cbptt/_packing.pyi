import numpy as np
from numpy.typing import NDArray

def layout(
    order: NDArray[np.intp],
    batch_sizes: NDArray[np.intp],
    rows: NDArray[np.intp],
    ends: NDArray[np.intp],
    ids: NDArray[np.intp],
    starts: NDArray[np.intp],
    stops: NDArray[np.intp],
) -> int: ...
