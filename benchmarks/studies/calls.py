"""What a public call adds to its compiled part, and `predict` of one sequence.

Where a batch is small, reading and checking the arguments may take longer than computing. The
compiled part is the same batch in a task that was prepared before; `MLPClassifier.predict` of one
row is what scikit-learn itself takes for a call.
"""

from __future__ import annotations

import statistics
import time
import warnings
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

import cbptt
from cbptt._arrays import set_inputs, set_targets, want_predictions
from cbptt._team import Team
from cbptt._train import Memory, Task, compute_gradient, predict
from engines.compiled import Public
from report import Report
from shapes import SHAPES, Problem, chosen

COMPARED = {
    "loss_and_gradients": "gradients, compiled",
    "forward": "forward, compiled",
    "predict of an array": "MLPClassifier.predict",
    "predict of a list": "MLPClassifier.predict",
}
CALLS = 50  # before the clock is looked at
T, D, M, K = 29, 12, 64, 9  # of the sequence that is predicted: the shape `vowels`


def add_options(parser: ArgumentParser) -> None:
    """None."""


def compiled_parts(public: Public) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Return the gradient and the forward pass of a prepared task, without the caller's results."""
    network, problem = public.network, public.problem
    shard = network.shard(public.X, public.Y)
    sequences, targets, theta = shard.sequences, shard.targets, network.theta
    nothing = np.empty((0, 0), network.dtype)
    ids, gradient = np.arange(problem.B), np.empty_like(theta)
    offsets = sequences.offsets

    def prepared() -> Task:
        task = Task(network.engine.core, Memory(1))
        set_inputs(task, sequences.values, offsets[:-1], offsets[1:], nothing)
        return task

    back, forth = prepared(), prepared()
    set_targets(back, targets.values, targets.labels, targets.weights)
    want_predictions(
        forth,
        np.empty((problem.N, problem.M), network.dtype),
        np.empty((problem.n_targets, problem.K), network.dtype),
        np.empty((problem.B, network.state_width), network.dtype),
        True,
    )

    def step() -> None:
        compute_gradient(Team(1, back), back, gradient, theta, ids)

    def forward() -> None:
        predict(Team(1, forth), forth, theta, ids)

    return step, forward


def calls_of(problem: Problem, dtype: str) -> dict[str, Callable[[], Any]]:
    """Name to call, each public one before its compiled part."""
    public = Public(problem, dtype, 1)
    step, forward = compiled_parts(public)
    network, X, Y = public.network, public.X, public.Y
    return {
        "loss_and_gradients": lambda: network.loss_and_gradients(X, Y),
        "gradients, compiled": step,
        "forward": lambda: network.forward(X),
        "forward, compiled": forward,
    }


def predictions(dtype: str) -> dict[str, Callable[[], Any]]:
    """Name to prediction of one sequence, and of one row by scikit-learn's network."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(32, T, D)).astype(dtype), np.arange(32) % K
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = cbptt.RNNClassifier(M, max_iter=2, dtype=dtype, random_state=0).fit(X, y)
        peer = MLPClassifier(M, max_iter=2, random_state=0).fit(X[:, 0], y)
    one, listed, row = X[:1], [X[0]], X[:1, 0]
    return {
        "predict of an array": lambda: model.predict(one),
        "predict of a list": lambda: model.predict(listed),
        "MLPClassifier.predict": lambda: peer.predict(row),
    }


def timed(call: Callable[[], Any], seconds: float) -> float:
    """Return the seconds of a call: the median over blocks of calls."""
    times = []
    ends = time.perf_counter() + seconds
    while time.perf_counter() < ends:
        started = time.perf_counter()
        for _ in range(CALLS):
            call()
        times.append((time.perf_counter() - started) / CALLS)
    return statistics.median(times)


def run(report: Report, options: Namespace) -> None:
    """Print microseconds of each call, and its ratio to the one that it is compared with."""
    names = "minchar,tiny,vowels" if options.shapes == "*" else options.shapes
    problems = chosen(SHAPES, names)
    calls = {problem.name: calls_of(problem, options.dtype) for problem in problems}
    calls["one sequence"] = predictions(options.dtype)
    rounds: dict[str, dict[str, list[float]]] = {
        where: {name: [] for name in its} for where, its in calls.items()
    }
    for _ in range(options.rounds):
        for where, its in calls.items():
            for name, call in its.items():
                rounds[where][name].append(timed(call, options.seconds))
    report.raw["seconds"] = rounds
    report.line(f"One thread, {options.dtype}:")
    for where, its in rounds.items():
        medians = {name: statistics.median(times) for name, times in its.items()}
        for name, median in medians.items():
            ratio = ""
            if name in COMPARED:
                ratio = f" {median / medians[COMPARED[name]]:6.2f}x {COMPARED[name]}"
            report.line(f"{where:12} {name:24} {1e6 * median:8.1f} us{ratio}")
