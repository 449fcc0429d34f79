"""Benchmarks of cbptt beside other libraries; see README.md beside this file.

python benchmarks/bench.py STUDY [options]; --help lists the studies
"""

from __future__ import annotations

import argparse
import shlex
import sys
from argparse import ArgumentTypeError
from pathlib import Path

from calibration import calibrate
from report import Report
from shapes import N_GATES
from studies import (
    against,
    calls,
    cells,
    fit,
    intervals,
    kernels,
    lengths,
    live,
    long,
    memory,
    predict,
    recompute,
    threads,
    versions,
)

STUDIES = {
    "shapes": (against, "every library on ten shapes"),
    "awkward": (against, "every library on sizes that fit no tile"),
    "cells": (cells, "every library on GRU and LSTM, two layers, both directions"),
    "ragged": (lengths, "sequences of unequal lengths, beside PyTorch packed and padded"),
    "fit": (fit, "a whole fit, beside a loop in PyTorch"),
    "threads": (threads, "two threads, quiet and beside a busy program"),
    "kernels": (kernels, "the kernels alone, part by part"),
    "memory": (memory, "what a training step allocates"),
    "predict": (predict, "outputs of a large set"),
    "recompute": (recompute, "exact gradients of long sequences with some states kept"),
    "calls": (calls, "what a public call adds to its compiled part"),
    "live": (live, "one step of live sequences, beside PyTorch and ONNX Runtime"),
    "long": (long, "a million steps by truncated BPTT: time and memory"),
    "versions": (versions, "this version and another one: time and bits"),
    "intervals": (intervals, "how often the intervals of forecasts hold what comes"),
}
IN_ONE_PRECISION = ("fit", "long", "intervals")
UNTIMED = ("intervals",)
UNCALIBRATED = (*UNTIMED, "versions")
WITH_SHAPES = (
    "shapes",
    "awkward",
    "calls",
    "cells",
    "ragged",
    "threads",
    "kernels",
    "memory",
    "versions",
)
WITH_THREADS = ("shapes", "awkward", "cells", "ragged")
WITH_CELLS = ("cells", "fit", "threads", "memory", "recompute", "live")


def cells_of(names: str) -> list[str]:
    """Read the names of cells."""
    found = names.split(",")
    for name in found:
        if name not in N_GATES:
            raise ArgumentTypeError(f"no cell is called {name!r}; there are {', '.join(N_GATES)}")
    return found


def parser() -> argparse.ArgumentParser:
    """Return the command line's."""
    top = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = top.add_subparsers(dest="what", required=True)
    for name, (study, what) in STUDIES.items():
        command = commands.add_parser(name, help=what, description=what)
        if name not in UNTIMED:
            command.add_argument("--rounds", type=int, default=7)
            command.add_argument(
                "--seconds", type=float, default=0.2, help="of calls in a round, at least"
            )
        command.add_argument("--out", type=Path, help="keep the text here, and the numbers beside")
        if name not in IN_ONE_PRECISION:
            command.add_argument("--dtype", choices=("float32", "float64"), default="float32")
        if name in WITH_SHAPES:
            command.add_argument("--shapes", default="*", help="names or patterns: tiny,deep*")
        if name in WITH_CELLS:
            default = "lstm,gru" if name == "cells" else "rnn"
            command.add_argument("--cells", type=cells_of, default=default, help="rnn,gru,lstm")
        if name in WITH_THREADS:
            command.add_argument("--threads", type=int, choices=(1, 2), default=1)
        study.add_options(command)
    return top


def main() -> None:
    """Calibrate, then run the study."""
    options = parser().parse_args()
    settings = {name: str(value) for name, value in vars(options).items() if name != "out"}
    with Report(options.out) as report:
        report.raw |= {"what": options.what, "options": settings}
        report.line(shlex.join(["python", "benchmarks/bench.py", *sys.argv[1:]]))
        if options.what not in UNCALIBRATED:
            calibrate(report, options.rounds, options.seconds)
        if options.what not in (*UNCALIBRATED, "memory"):
            report.line(
                f"Times are medians over {options.rounds} interleaved rounds; of a round, the "
                f"median of the calls of {options.seconds} s."
            )
        STUDIES[options.what][0].run(report, options)


if __name__ == "__main__":
    main()
