import numpy as np
from numpy.typing import NDArray
from typing_extensions import disjoint_base

READOUTS: dict[str, int]

@disjoint_base
class Network:
    packed_size: int
    sums_size: int
    packed_gaps: list[int]
    uses_blas: bool
    def __new__(
        cls,
        D: int,
        M: int,
        K: int,
        P: int,
        places: dict[str, int],
        f: int,
        f_out: int,
        loss: int,
        readout: int,
        itemsize: int,
        own: bool,
    ) -> Network: ...

@disjoint_base
class Plan:
    n_parts: int
    n_rows: int
    block_size: int
    index_size: int
    order_size: int
    block_gaps: list[int]
    index_gaps: list[int]
    def __new__(
        cls,
        net: Network,
        lengths: NDArray[np.intp],
        ragged: bool,
        batch_size: int,
        keeps_states: bool,
        masked: bool = False,
        checkpoint: int = 0,
        any_size: bool = False,
    ) -> Plan: ...

def guard(blocks: NDArray[np.uint8], gaps: list[int]) -> None: ...
