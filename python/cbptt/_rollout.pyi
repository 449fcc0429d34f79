import numpy as np
from numpy.typing import NDArray

from cbptt._plan import Network

def scratch_size(net: Network, n: int) -> int: ...
def forecast(
    series: NDArray[np.floating],
    states: NDArray[np.floating],
    known: NDArray[np.floating],
    noise: NDArray[np.floating],
    lags: NDArray[np.intp],
    past: int,
    first: int,
    end: int,
    packed: NDArray[np.floating],
    scratch: NDArray[np.floating],
    net: Network,
) -> None: ...
def sample(
    symbols: NDArray[np.intp],
    states: NDArray[np.floating],
    inputs: NDArray[np.floating],
    encoding: NDArray[np.floating],
    uniforms: NDArray[np.float64],
    temperature: float,
    packed: NDArray[np.floating],
    scratch: NDArray[np.floating],
    net: Network,
) -> None: ...
