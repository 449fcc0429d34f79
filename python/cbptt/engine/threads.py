"""Threads of our own, and BLAS at one while they run.

`in_team` lets several threads take part in one compiled call. A product that a BLAS splits over its
threads is summed in an order that depends on their number, and so in its last bits do the results:
inside `one_blas_thread` every product has one thread.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import cache
from typing import Any, Protocol, TypeVar

from cbptt._team import Team

__all__ = ["blas_libraries", "in_team", "n_processors", "one_blas_thread"]

Result = TypeVar("Result")


class Task(Protocol):
    """What the threads of a team share the items of."""

    def help(self, team: Team, thread: int) -> None:
        """Take part until the team is closed."""
        ...


_lock = threading.RLock()
_depth = 0
_before: dict[int, int] = {}
_pool: ThreadPoolExecutor | None = None
_pool_size = 0


def n_processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def in_team(
    n_threads: int, task: Task, lead: Callable[[Team], Result], uses_blas: bool = False
) -> Result:
    """Call lead(team) while other threads help with the task; return its result.

    If the task uses BLAS, the caller stands inside `one_blas_thread`, and the helpers enter it.

    The caller does not depend on the helpers: one that starts too late finds the team closed. They
    come from a pool that is kept, as starting a thread takes longer than a small batch; a fork
    leaves them behind, and the child starts its own.

    Parameters
    ----------
    n_threads : int
        Threads of the team, the caller included.
    task : has help(team, thread), which takes part until the team is closed.
    lead : what the caller does.
    uses_blas : bool, default=False
    """
    team = Team(n_threads, task)
    try:
        if n_threads > 1:
            pool = _helpers(n_threads - 1)
            with suppress(RuntimeError):  # the interpreter is shutting down: no helper starts
                for thread in range(1, n_threads):
                    pool.submit(_help, task, team, thread, uses_blas)
        return lead(team)
    finally:
        team.close()


def _help(task: Task, team: Team, thread: int, uses_blas: bool) -> None:
    if not team.closed:  # too late: the limits of BLAS have been restored
        with one_blas_thread(uses_blas):
            task.help(team, thread)


def _helpers(n: int) -> ThreadPoolExecutor:
    """The pool, with n threads at least."""
    global _pool, _pool_size
    with _lock:
        if _pool is None or _pool_size < n:
            _pool, _pool_size = ThreadPoolExecutor(n, thread_name_prefix="cbptt"), n
        return _pool


def _after_fork() -> None:
    """The child of a fork has none of the parent's threads, and no lock that they held.

    The limits that they had set remain, as no thread is left that restores them.
    """
    global _lock, _pool
    _lock, _pool = threading.RLock(), None


if hasattr(os, "register_at_fork"):
    # No other thread sets limits meanwhile: the child would wait for OpenBLAS' own lock for ever.
    os.register_at_fork(
        before=lambda: _lock.acquire(),
        after_in_parent=lambda: _lock.release(),
        after_in_child=_after_fork,
    )


@cache
def blas_libraries() -> list[Any]:
    """The BLAS libraries loaded in this process, as threadpoolctl's controllers."""
    import scipy.linalg.cython_blas  # noqa: F401  (loads the library whose products we use)
    from threadpoolctl import ThreadpoolController

    controllers = ThreadpoolController().lib_controllers
    return [library for library in controllers if library.user_api == "blas"]


@cache
def _by_owner() -> tuple[list[Any], list[Any]]:
    """The libraries with a limit for each calling thread, and those with one for the process."""
    own: list[Any] = []
    shared: list[Any] = []
    for library in blas_libraries():
        is_openmp = getattr(library, "threading_layer", None) == "openmp"
        (own if is_openmp else shared).append(library)
    return own, shared


def _set_num_threads(library: Any, n_threads: int) -> None:
    """Set the limit from whatever thread.

    threadpoolctl 3.8 lets one thread at a time control OpenBLAS and silently ignores the others;
    what `one_blas_thread` counts needs no such owner, so it goes to the setter below.
    """
    getattr(library, "_real_set_num_threads", library.set_num_threads)(n_threads)


def one_blas_thread(needed: bool = True) -> AbstractContextManager[None]:
    """Limit every BLAS of the process to one thread, see `_limited`; or not, where none is used."""
    return _limited() if needed else nullcontext()


@contextmanager
def _limited() -> Iterator[None]:
    """Limit every BLAS of the process to one thread; the last to leave restores what was.

    Entering is counted under a lock, so that callers in several threads neither restore too early
    nor leave the limit behind; an interrupt may come anywhere. A BLAS on OpenMP has a limit for
    each calling thread, which is set and restored there.
    """
    global _depth
    own, shared = _by_owner()
    own_before = [library.get_num_threads() for library in own]
    is_counted = False
    try:
        for library in own:
            _set_num_threads(library, 1)
        with _lock:
            _depth += 1
            is_counted = True
            for i, library in enumerate(shared):
                n_threads = library.get_num_threads()
                if n_threads != 1:  # also where somebody else has set it since
                    _before[i] = n_threads
                    _set_num_threads(library, 1)
        yield
    finally:
        if is_counted:
            with _lock:
                _depth -= 1
                if _depth == 0:
                    for i, n_threads in _before.items():
                        _set_num_threads(shared[i], n_threads)
                    _before.clear()
        for library, n_threads in zip(own, own_before, strict=True):
            _set_num_threads(library, n_threads)
