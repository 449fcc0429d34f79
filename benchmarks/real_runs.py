"""Real tasks, from the data to the accuracy; see README.md beside this file.

python benchmarks/real_runs.py TASK [--quick] [--out FILE]; --help lists the tasks
"""

from __future__ import annotations

import argparse
import shlex
import sys
import warnings
from importlib import import_module
from pathlib import Path

from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from cbptt.config import versions
from report import Report

TASKS = {
    "vowels": "Japanese Vowels: a grid search over a pipeline",
    "digits": "spoken digits, beside a loop in PyTorch",
    "stress": "the stress of each vowel of English words",
    "rows": "images of digits row by row, beside MLPClassifier",
    "characters": "a text character by character, beside min-char-rnn and a loop in PyTorch",
    "adding": "two marked numbers of a long sequence, by full and by truncated BPTT",
    "laser": "an intensity of a laser, foretold; beside an echo state network",
    "electricity": "the demand for electricity a day ahead, beside models of statsmodels",
    "cells": "all of these and four sets of an archive with every cell, in one table",
    "recall": "a cue that is recalled after 60 and 200 noisy steps; where gradients flow",
}


def main() -> None:
    """Print the machine, then run the task asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="task", required=True)
    for name, what in TASKS.items():
        command = commands.add_parser(name, help=what, description=what)
        command.add_argument("--quick", action="store_true", help="only whether it runs")
        command.add_argument("--out", type=Path, help="keep the text here, and the numbers beside")
        if name == "cells":
            command.add_argument("--tasks", help="only these rows: vowels,adding", default="")
            command.add_argument("--cell", help="only these columns: rnn,bi-lstm", default="")
    options = parser.parse_args()

    warnings.simplefilter("ignore", ConvergenceWarning)  # the epochs are meant to run out
    with Report(options.out) as report, threadpool_limits(1):
        machine = versions()
        report.raw |= {"task": options.task, "quick": options.quick, "machine": machine}
        report.line(shlex.join(["python", "benchmarks/real_runs.py", *sys.argv[1:]]))
        width = max(map(len, machine))
        for name, value in machine.items():
            report.line(f"{name:>{width}}: {value}")
        report.line()
        chosen = {
            name: tuple(filter(None, vars(options)[name].split(",")))
            for name in ("tasks", "cell")
            if name in options
        }
        import_module(f"real.{options.task}").run(report, options.quick, **chosen)


if __name__ == "__main__":
    main()
