import numpy as np
from numpy.typing import NDArray
from typing_extensions import disjoint_base

from cbptt._arrays import Arrays
from cbptt._network import Network
from cbptt._optimizers import Update
from cbptt._team import Team

@disjoint_base
class Memory:
    n_threads: int
    nbytes: int
    def __new__(cls, n_threads: int) -> Memory: ...

@disjoint_base
class Task(Arrays):
    def __new__(cls, network: Network, memory: Memory, checkpoint: int = 0) -> Task: ...
    def help(self, team: Team, thread: int) -> None: ...

def predict(team: Team, task: Task, theta: NDArray[np.floating], ids: NDArray[np.intp]) -> None: ...
def compute_gradient(
    team: Team,
    task: Task,
    gradient: NDArray[np.floating],
    theta: NDArray[np.floating],
    ids: NDArray[np.intp],
) -> tuple[float, float]: ...
def train(
    team: Team,
    task: Task,
    theta: NDArray[np.floating],
    moment_1: NDArray[np.floating],
    moment_2: NDArray[np.floating],
    gradient: NDArray[np.floating],
    totals: NDArray[np.float64],
    ids: NDArray[np.intp],
    batch_size: int,
    update: Update,
    learning_rate: float,
    n_updates: int,
) -> bool: ...
