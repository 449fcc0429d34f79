"""Processes that each hold one thing to time; many are alive, and one works at a time."""

from __future__ import annotations

import gc
import importlib
import multiprocessing
import os
import statistics
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Self

# A library's idle threads may spin for 0.1 s after its work.
PAUSE = 0.25


def last_cpu() -> int:
    """The CPU that whatever has one thread is pinned to."""
    return max(os.sched_getaffinity(0))


@contextmanager
def surroundings(n_threads: int, cpus: set[int] | None) -> Iterator[None]:
    """What a process started here inherits: its CPUs, and what libraries read on import."""
    variables = {f"{name}_NUM_THREADS": str(n_threads) for name in ("OMP", "MKL", "OPENBLAS")}
    variables["TF_CPP_MIN_LOG_LEVEL"] = "2"
    if n_threads == 1:
        variables["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    before, cpus_before = dict(os.environ), os.sched_getaffinity(0)
    os.environ.update(variables)
    os.sched_setaffinity(0, cpus or cpus_before)
    try:
        yield
    finally:
        os.sched_setaffinity(0, cpus_before)
        for name in variables:
            if name in before:
                os.environ[name] = before[name]
            else:
                del os.environ[name]


def seconds(function: Callable[[], object], at_least: float) -> float:
    """Return the median of the times of single calls, over `at_least` seconds of calls."""
    durations: list[float] = []
    gc.collect()
    gc.disable()
    started = now = time.perf_counter()
    while not durations or now - started < at_least:
        before = now
        function()
        now = time.perf_counter()
        durations.append(now - before)
    gc.enable()
    return statistics.median(durations)


def serve(pipe: Connection, path: str, arguments: tuple[Any, ...]) -> None:
    """Make an object; then call its methods, or time them, until None comes."""
    try:
        module, name = path.split(":")
        served = getattr(importlib.import_module(module), name)(*arguments)
        pipe.send((True, None))
        while (request := pipe.recv()) is not None:
            method, at_least = request
            function = getattr(served, method)
            pipe.send((True, function() if at_least is None else seconds(function, at_least)))
    except Exception:
        pipe.send((False, traceback.format_exc()))


class Worker:
    """An object in a fresh process.

    Parameters
    ----------
    label : what errors call it.
    path : its class, as `module:Class`.
    arguments : what the class is called with.
    n_threads : how many threads libraries may take. With one, the process is pinned.
    cpus : where it may run; by default on the last CPU with one thread, else anywhere.
    """

    def __init__(
        self,
        label: str,
        path: str,
        arguments: tuple[Any, ...] = (),
        n_threads: int = 1,
        cpus: set[int] | None = None,
    ) -> None:
        self.label, self.n_threads = label, n_threads
        if cpus is None and n_threads == 1:
            cpus = {last_cpu()}
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        with surroundings(n_threads, cpus):
            self._process = context.Process(
                target=serve, args=(theirs, path, arguments), daemon=True
            )
            self._process.start()
        theirs.close()
        self._answer()

    def _answer(self) -> Any:
        try:
            good, answer = self._pipe.recv()
        except EOFError:
            self._process.join()
            raise SystemExit(
                f"{self.label}: its process died, exit code {self._process.exitcode}"
            ) from None
        if not good:
            raise SystemExit(f"{self.label} failed:\n{answer.rstrip()}")
        return answer

    def call(self, method: str) -> Any:
        """Return what a method returns."""
        self._pipe.send((method, None))
        return self._answer()

    def seconds(self, method: str, at_least: float) -> float:
        """Return the median time of a method's calls."""
        self._pipe.send((method, at_least))
        answer: float = self._answer()
        if self.n_threads > 1:
            time.sleep(PAUSE)
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(BrokenPipeError):  # of a process that failed
            self._pipe.send(None)
        self._process.join(10)
        if self._process.is_alive():
            self._process.terminate()
