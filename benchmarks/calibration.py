"""The machine and what it gives: printed at the head of every report."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata, util
from pathlib import Path
from queue import SimpleQueue
from shutil import which
from threading import Thread
from typing import Any

from cbptt.config import versions
from cbptt.engine.threads import blas_libraries
from engines import PRODUCTS
from engines.product import FLOPS
from report import Report
from workers import Worker

PEERS = ("torch", "jax", "jaxlib", "onnx", "onnxruntime", "keras")
SIBLINGS = Path("/sys/devices/system/cpu/cpu0/topology/thread_siblings_list")
N_HANDOVERS = 2000


def handover(hand: Callable[[], object]) -> float:
    """Return the median time of an empty task's way to a waiting thread and back."""
    durations = []
    for _ in range(N_HANDOVERS):
        started = time.perf_counter()
        hand()
        durations.append(time.perf_counter() - started)
    return statistics.median(durations)


class Probe:
    """What is best asked in a process of its own."""

    def blas(self) -> dict[str, str]:
        """Return the architecture that each BLAS of the process has chosen, by its owner."""
        infos = [library.info() for library in blas_libraries()]
        return {
            Path(info["filepath"]).parent.name.split(".")[0]: (
                f"{info['internal_api']} {info.get('version')} ({info.get('architecture')})"
            )
            for info in infos
        }

    def torch(self) -> str:
        """Return the instruction set that torch has chosen."""
        import torch

        return torch.backends.cpu.get_cpu_capability()

    def queues(self) -> float:
        """Return the cost of fork and join over two queues."""
        there: SimpleQueue[bool] = SimpleQueue()
        back: SimpleQueue[bool] = SimpleQueue()

        def answer() -> None:
            while there.get():
                back.put(True)

        thread = Thread(target=answer, daemon=True)
        thread.start()

        def hand() -> None:
            there.put(True)
            back.get()

        cost = handover(hand)
        there.put(False)
        thread.join()
        return cost

    def futures(self) -> float:
        """Return the cost of fork and join over an executor."""
        with ThreadPoolExecutor(1) as executor:
            return handover(lambda: executor.submit(int).result())


def peaks(n_rounds: int, at_least: float) -> dict[str, list[float]]:
    """Return the rate in each round of the matrix product, and of multiply-adds in registers."""
    rates: dict[str, list[float]] = {}
    for prefix, dtype in (("s", "float32"), ("d", "float64")):
        for owner, product in PRODUCTS.items():
            if not all(util.find_spec(package) for package in product.packages):
                continue
            for n_threads in (1, 2):
                label = f"{prefix}gemm by {owner}, {n_threads} thread{'s' * (n_threads > 1)}"
                with Worker(label, product.path, (None, dtype, n_threads), n_threads) as worker:
                    worker.call("step")
                    durations = [worker.seconds("step", at_least) for _ in range(n_rounds)]
                rates[label] = [FLOPS / duration for duration in durations]
        if which("cc") is None:
            continue
        for n_threads in (1, 2):
            label = f"{dtype} multiply-adds, {n_threads} thread{'s' * (n_threads > 1)}"
            path, arguments = "multiply_add:MultiplyAdd", (dtype, n_threads)
            with Worker(label, path, arguments, n_threads) as worker:
                flops = worker.call("step")
                durations = [worker.seconds("step", at_least) for _ in range(n_rounds)]
            rates[label] = [flops / duration for duration in durations]
    return rates


def calibrate(report: Report, n_rounds: int, at_least: float) -> None:
    """Print and keep versions, choices of the libraries, peaks, and the cost of a thread."""
    installed = [name for name in PEERS if util.find_spec(name)]
    machine: dict[str, Any] = versions() | {name: metadata.version(name) for name in installed}
    with Worker("probe", "calibration:Probe", n_threads=2) as probe:
        machine |= {f"{owner}'s blas": blas for owner, blas in probe.call("blas").items()}
        if "torch" in installed:
            machine["torch's kernels"] = probe.call("torch")
        costs = {name: probe.call(name) for name in ("queues", "futures")}
    if SIBLINGS.exists():
        machine["threads of core 0"] = f"cpu {SIBLINGS.read_text(encoding='utf-8').strip()}"
    rates = peaks(n_rounds, at_least)
    report.raw["machine"] = machine
    report.raw["calibration"] = {"flops per second": rates, "fork and join, seconds": costs}

    width = max(map(len, [*machine, *rates]))
    for name, value in machine.items():
        report.line(f"{name:>{width}}: {value}")
    for label, values in rates.items():
        middle, low, high = (f(values) / 1e9 for f in (statistics.median, min, max))
        report.line(f"{label:>{width}}: {middle:.1f} GFLOP/s ({low:.1f} to {high:.1f})")
    report.line(
        f"{'fork and join':>{width}}: {1e6 * costs['queues']:.1f} us over queues, "
        f"{1e6 * costs['futures']:.1f} us over concurrent.futures"
    )
    report.line()
