from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import disjoint_base

from cbptt._network import Network

@disjoint_base
class Parameters:
    theta: NDArray[np.floating]
    def __new__(cls, theta: NDArray[np.floating]) -> Parameters: ...
    def share(self) -> NDArray[np.floating]: ...

@disjoint_base
class Live:
    def __new__(
        cls,
        net: Network,
        parameters: Parameters,
        empty: Callable[..., NDArray[Any]],
        dtype: np.dtype[Any],
    ) -> Live: ...
    def step(self, x: Any, h: Any) -> tuple[NDArray[np.floating], NDArray[np.floating]] | None: ...
