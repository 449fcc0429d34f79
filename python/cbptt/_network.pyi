from typing_extensions import disjoint_base

READOUTS: dict[str, int]

@disjoint_base
class Network:
    state_width: int
    uses_blas: bool
    def __new__(
        cls,
        sizes: tuple[int, int, int],
        P: int,
        places: dict[str, int],
        codes: tuple[int, int, int, int],
        itemsize: int,
        own: bool,
    ) -> Network: ...
