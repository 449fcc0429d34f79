import numpy as np
from numpy.typing import NDArray
from typing_extensions import disjoint_base

from cbptt._network import Network

@disjoint_base
class Arrays:
    def __new__(cls, network: Network, *_: object, **__: object) -> Arrays: ...

def set_inputs(
    arrays: Arrays,
    values: NDArray[np.floating],
    starts: NDArray[np.intp],
    stops: NDArray[np.intp],
    h0: NDArray[np.floating],
) -> None: ...
def set_targets(
    arrays: Arrays,
    targets: NDArray[np.floating],
    labels: NDArray[np.intp],
    weights: NDArray[np.floating],
) -> None: ...
def set_masks(
    arrays: Arrays, inputs: NDArray[np.floating], recurrent: NDArray[np.floating]
) -> None: ...
def want_states(arrays: Arrays, carried: NDArray[np.floating], carry: int) -> None: ...
def want_derivatives(
    arrays: Arrays, dh0: NDArray[np.floating], dx: NDArray[np.floating]
) -> None: ...
def want_predictions(
    arrays: Arrays,
    hidden: NDArray[np.floating],
    predictions: NDArray[np.floating],
    final: NDArray[np.floating],
    activated: bool,
) -> None: ...
def replace_inputs(arrays: Arrays, values: NDArray[np.floating]) -> bool: ...
def replace_targets(arrays: Arrays, targets: NDArray[np.floating]) -> bool: ...
def replace_labels(arrays: Arrays, labels: NDArray[np.intp]) -> bool: ...
def release_call(arrays: Arrays) -> None: ...
