import numpy as np
from numpy.typing import NDArray
from typing_extensions import disjoint_base

@disjoint_base
class Team:
    n_threads: int
    closed: int
    task: object
    def __new__(cls, n_threads: int, task: object = None) -> Team: ...
    def close(self) -> None: ...

def share_out(team: Team, thread: int, n_phases: int, done_by: NDArray[np.longlong]) -> None: ...
