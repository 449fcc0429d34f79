"""BLAS at one thread while compiled code runs.

A product that a BLAS splits over its threads is summed in an order that depends on their number,
and so in its last bits do the results. Inside `one_blas_thread` every product has one thread.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

_lock = threading.Lock()
_depth = 0
_before: list[int] = []


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


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Limit every BLAS of the process to one thread; the last to leave restores what was.

    Entering is counted under a lock, so that callers in several threads neither restore too early
    nor leave the limit behind. A BLAS on OpenMP has a limit for each calling thread, which is set
    and restored there.
    """
    global _depth
    own, shared = _by_owner()
    own_before = [library.get_num_threads() for library in own]
    for library in own:
        _set_num_threads(library, 1)
    with _lock:
        if _depth == 0:
            _before[:] = [library.get_num_threads() for library in shared]
            for library in shared:
                _set_num_threads(library, 1)
        _depth += 1
    try:
        yield
    finally:
        with _lock:
            _depth -= 1
            if _depth == 0:
                for library, n_threads in zip(shared, _before, strict=True):
                    _set_num_threads(library, n_threads)
        for library, n_threads in zip(own, own_before, strict=True):
            _set_num_threads(library, n_threads)
