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


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Limit every BLAS of the process to one thread; the last to leave restores what was.

    Entering is counted under a lock, so that callers in several threads neither restore too early
    nor leave the limit behind.
    """
    global _depth
    libraries = blas_libraries()
    with _lock:
        if _depth == 0:
            _before[:] = [library.get_num_threads() for library in libraries]
            for library in libraries:
                library.set_num_threads(1)
        _depth += 1
    try:
        yield
    finally:
        with _lock:
            _depth -= 1
            if _depth == 0:
                for library, n_threads in zip(libraries, _before, strict=True):
                    library.set_num_threads(n_threads)
