from typing_extensions import disjoint_base

@disjoint_base
class Team:
    n_threads: int
    closed: int
    task: object
    def __new__(cls, n_threads: int, task: object = None) -> Team: ...
    def close(self) -> None: ...
