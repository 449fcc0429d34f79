import numpy as np
from numpy.typing import NDArray

from cbptt._live import Live

def forecast(
    series: NDArray[np.floating],
    states: NDArray[np.floating],
    known: NDArray[np.floating],
    noise: NDArray[np.floating],
    lags: NDArray[np.intp],
    past: int,
    first: int,
    end: int,
    live: Live,
) -> None: ...
def sample(
    symbols: NDArray[np.intp],
    states: NDArray[np.floating],
    inputs: NDArray[np.floating],
    encoding: NDArray[np.floating],
    uniforms: NDArray[np.float64],
    temperature: float,
    live: Live,
) -> None: ...
