"""A long series, as a memory map, trained by truncated BPTT: its time, and the memory it takes."""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
import warnings
from argparse import ArgumentParser, Namespace
from pathlib import Path

import numpy as np

from report import Report

UNITS, STEPS = 64, 100


def add_options(parser: ArgumentParser) -> None:
    """How long it is."""
    parser.add_argument("--steps", type=int, default=1_000_000, help="of the series")


def peak() -> float:
    """Return the most memory that this process has held at a time, in MB.

    On Linux as the kernel tells of this program alone: getrusage also counts what the process held
    before the program was started in it.
    """
    status = Path("/proc/self/status")
    if status.exists():
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(lines["VmHWM"].split()[0]) / 1e3
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def fit(path: str, n_steps: int, bptt_steps: int) -> None:
    """Fit one epoch in a process of its own; print what it took."""
    from sklearn.exceptions import ConvergenceWarning

    from cbptt import RNNSequenceRegressor

    series = np.memmap(path, np.float32, "r", shape=(n_steps + 1,))
    X, y = series[None, :-1, None], series[None, 1:]
    model = RNNSequenceRegressor(
        UNITS, bptt_steps=bptt_steps, bptt_streams=True, max_iter=1, random_state=0
    )
    before, started = peak(), time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # one epoch is meant
        model.fit(X, y)
    print(time.perf_counter() - started, before, peak(), model.loss_)


def run(report: Report, options: Namespace) -> None:
    """Print the time of an epoch, and the memory before it and at most."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "series"
        rng = np.random.default_rng(0)
        t = np.arange(options.steps + 1, dtype=np.float32)
        (np.sin(t * 0.3) + rng.normal(scale=0.1, size=len(t))).astype(np.float32).tofile(path)
        code = f"from studies.long import fit; fit({str(path)!r}, {options.steps}, {STEPS})"
        told = subprocess.run(
            [sys.executable, "-c", code],
            cwd=Path(__file__).parents[1],
            check=True,
            capture_output=True,
            text=True,
        )
    seconds, before, most, loss = map(float, told.stdout.split())
    report.raw |= {"seconds": seconds, "MB before": before, "MB at most": most, "loss": loss}
    report.line(
        f"{options.steps} steps of one variable, {UNITS} units, windows of {STEPS}, 32 streams: an "
        f"epoch in {seconds:.1f} s,"
    )
    report.line(
        f"loss {loss:.5f}; the process held {before:.0f} MB before fit and {most:.0f} MB at most"
    )
