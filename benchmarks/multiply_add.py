"""The rate of multiply-adds in registers, which no program passes."""

from __future__ import annotations

import ctypes
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

SOURCE = Path(__file__).with_suffix(".c")
N_ROUNDS = 200_000


class MultiplyAdd:
    """The loop of multiply_add.c, compiled for this processor, in as many threads as wanted."""

    def __init__(self, dtype: str, n_threads: int) -> None:
        self.n_threads = n_threads
        self.number = {"float32": ctypes.c_float, "float64": ctypes.c_double}[dtype]
        with TemporaryDirectory() as folder:
            library = Path(folder) / "multiply_add.so"
            options = ["-O2", "-march=native", "-ffp-contract=fast", "-shared", "-fPIC"]
            subprocess.run(["cc", *options, "-o", library, SOURCE], check=True)
            self.loop = getattr(ctypes.CDLL(str(library)), f"multiply_add_{dtype}")
        self.loop.argtypes = [ctypes.c_long, ctypes.POINTER(self.number)]
        self.loop.restype = ctypes.c_double
        self.executor = ThreadPoolExecutor(n_threads)

    def one(self, _: int) -> float:
        """Run one thread's share."""
        operations: float = self.loop(N_ROUNDS, ctypes.byref(self.number(0)))
        return operations

    def step(self) -> float:
        """Run, and return how many operations it was."""
        return sum(self.executor.map(self.one, range(self.n_threads)))
