"""The kernels alone, part by part; the multiply-adds of the report's head are their bound."""

from __future__ import annotations

import ctypes
import re
import subprocess
from argparse import ArgumentParser, Namespace
from pathlib import Path
from tempfile import TemporaryDirectory

from report import Report
from shapes import SHAPES, Problem, chosen

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "src" / "cbptt" / "kernels"
PARTS = ("forward", "backward", "derivatives")
INSTRUCTION_SETS = ("base", "avx2", "avx512")
MOST_SHARD = 16  # sequences of a shard, where the shape has as many


def found_in(path: str, pattern: str) -> str:
    """Return what one of the package's sources says."""
    text = (ROOT / path).read_text(encoding="utf-8")
    match = re.search(pattern, text)
    if match is None:
        raise SystemExit(f"{path} has no text {pattern}")
    return match[1]


def build_options(isa: str) -> list[str]:
    """Return the options that the package's kernels are compiled with, and their chunk."""
    flags = found_in("CMakeLists.txt", r"set\(kernel_flags ([^)]*)\)").split()
    flags += found_in("CMakeLists.txt", rf'set\(isa_flags_{isa} "?([^")]*)"?\)').split()
    chunk = found_in("src/cbptt/_cut.pyx", r"\bCHUNK = (\d+)")
    return [*flags, f"-DCHUNK={chunk}"]


class Kernels:
    """The kernels compiled from their sources, with the loops of kernels.c around them."""

    def __init__(self, dtype: str, isa: str) -> None:
        bits = {"float32": 32, "float64": 64}[dtype]
        names = ("activations", "products", "set", "tile", "transposed")
        sources = [SOURCES / f"{name}.c" for name in names]
        options = ["-std=gnu11", "-shared", "-fPIC", *build_options(isa)]
        options += [f"-DCBPTT_ISA={isa}", f"-DCBPTT_BITS={bits}", f"-I{SOURCES}"]
        with TemporaryDirectory() as folder:
            library = Path(folder) / "kernels.so"
            own = Path(__file__).parents[1] / "kernels.c"
            subprocess.run(["cc", *options, "-o", library, own, *sources, "-lm"], check=True)
            self.loop = ctypes.CDLL(str(library)).kernels_round
        self.loop.argtypes = [
            ctypes.POINTER(ctypes.c_double),
            *[ctypes.c_ssize_t] * 4,
            ctypes.c_int,
        ]
        self.loop.restype = None

    def rates(self, problem: Problem, n_rounds: int) -> dict[str, float]:
        """Return the operations per second of each part, of the quietest round."""
        B, T, D, M = min(problem.B, MOST_SHARD), problem.T, problem.D, problem.M
        seconds = (ctypes.c_double * 3)(9, 9, 9)
        self.loop(seconds, B, T, D, M, n_rounds)
        N = B * T
        operations = (2 * N * M * (M + D), 2 * N * M * M, 2 * N * M * (M + D))
        return {part: n / s for part, n, s in zip(PARTS, operations, seconds, strict=True)}


def add_options(parser: ArgumentParser) -> None:
    """Add the instruction set."""
    parser.add_argument("--isa", choices=INSTRUCTION_SETS, default="avx2")


def run(report: Report, options: Namespace) -> None:
    """Print the rates of the three parts on a shard of each shape."""
    report.line(f"GFLOP/s of the {options.isa} kernels on one shard, {options.dtype}, one thread:")
    report.line("the quietest of the rounds. Steps with the packing of their matrices, tanh and")
    report.line("its slope included; derivatives with the packing of their chunks.")
    report.line(
        f"{'shape':12} {'B':>3} {'T':>4} {'D':>5} {'M':>5}" + "".join(f"{p:>13}" for p in PARTS)
    )
    results = report.raw["problems"] = []
    kernels = Kernels(options.dtype, options.isa)
    for problem in chosen(SHAPES, options.shapes):
        flops = 6 * min(problem.B, MOST_SHARD) * problem.T * problem.M * (problem.M + problem.D)
        n_rounds = max(3, int(options.rounds * options.seconds * 5e10 / flops))
        rates = kernels.rates(problem, n_rounds)
        results.append({"problem": problem.described(), "rates": rates})
        report.line(
            f"{problem.name:12} {min(problem.B, MOST_SHARD):3} {problem.T:4} {problem.D:5} "
            f"{problem.M:5}" + "".join(f"{rates[part] / 1e9:13.1f}" for part in PARTS)
        )
