"""Whole fits of the Japanese Vowels, beside the same loop in PyTorch; one thread, float32."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from contextlib import ExitStack
from typing import Any

from engines import installed
from fitting import BATCH, LEARNING_RATE, MAX_NORM, UNITS
from race import Times
from report import Report
from workers import Worker

FITS = {
    "RNNClassifier": "fitting.estimator:Vowels",
    "PyTorch loop": "fitting.loop:Loop",
    "RNNClassifier, noise": "fitting.estimator:Noise",
}


def add_options(parser: ArgumentParser) -> None:
    """Add the number of epochs."""
    parser.add_argument("--epochs", type=int, default=60)


def run(report: Report, options: Namespace) -> None:
    """Time the fits; print the accuracies, and the share spent outside compiled code."""
    report.line(
        f"Japanese Vowels, standardised: {options.epochs} epochs, {UNITS} units, mini-batches of "
        f"{BATCH}, Adam at {LEARNING_RATE}, gradients clipped at {MAX_NORM}; one thread, float32"
    )
    report.raw["fits"] = {}
    for cell in options.cells:
        report.line(f"cell {cell}")
        report.raw["fits"][cell] = run_cell(report, options, cell)


def run_cell(report: Report, options: Namespace, cell: str) -> dict[str, Any]:
    """Time the fits of a cell, in turn."""
    rounds: dict[str, list[float]] = {}
    shares: dict[str, list[float]] = {}
    accuracies: dict[str, float] = {}
    with ExitStack() as stack:
        workers = {
            name: stack.enter_context(Worker(name, path, (options.epochs, cell)))
            for name, path in FITS.items()
            if name != "PyTorch loop" or installed("torch")
        }
        for name, worker in workers.items():
            if name.endswith("noise"):
                worker.call("fit")
            else:
                accuracies[name] = worker.call("accuracy")
        for _ in range(options.rounds):
            for name, worker in workers.items():
                rounds.setdefault(name, []).append(worker.seconds("fit", options.seconds))
                if name.startswith("RNNClassifier"):
                    shares.setdefault(name, []).append(worker.call("outside"))

    times = {name: Times(tuple(values)) for name, values in rounds.items()}
    ours = times["RNNClassifier"].median
    for name, accuracy in accuracies.items():
        fit = times[name]
        report.line(
            f"{name:14} {fit.median:7.3f} s ({fit.least:.3f} to {fit.greatest:.3f}), "
            f"{fit.median / ours:6.2f}x, test accuracy {accuracy:.3f}"
        )
    report.line("share of fit spent outside the compiled mini-batches:")
    for name, what in (
        ("RNNClassifier", "Japanese Vowels"),
        ("RNNClassifier, noise", "noise in the shape of `vowels`, 20 mini-batches an epoch"),
    ):
        share = Times(tuple(shares[name]))
        report.line(
            f"  {share.median:6.2%} ({share.least:.2%} to {share.greatest:.2%}) {what}, "
            f"fit {times[name].median:.3f} s"
        )
    return {"seconds": rounds, "accuracy": accuracies, "outside": shares}
