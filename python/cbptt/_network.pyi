from typing_extensions import disjoint_base

CELLS: dict[str, int]
READOUTS: dict[str, int]

@disjoint_base
class Network:
    state_width: int
    unit_width: int
    input_width: int
    uses_blas: bool
    def __new__(
        cls,
        cell: int,
        sizes: tuple[int, tuple[int, ...], int],
        bidirectional: bool,
        P: int,
        places: list[dict[str, int]],
        codes: tuple[int, int, int, int],
        itemsize: int,
        own: bool,
    ) -> Network: ...
