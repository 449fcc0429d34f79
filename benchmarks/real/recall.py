"""Delayed recall: a cue at the first step, noise after it, and which cue it was at the end.

Besides the accuracy it shows how the gradient flows: the mean norm of dL/dh(t), at the start and
after training.
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import cbptt
from cbptt import RNNClassifier
from cbptt.parameters import CELLS
from report import Report

N_CUES, N_NOISY = 4, 16  # the inputs of the cue, one-hot at the first step, and those of noise
N_TRAIN, N_TEST, QUICK_TRAIN = 2000, 1000, 200
N_SEEDS = 3
# The defaults of RNNClassifier, and what the longer lag needs.
CHANGES: dict[int, dict[str, Any]] = {60: {}, 200: {"forget_bias": 4.0}}
QUICK_CHANGES: dict[int, dict[str, Any]] = {10: {"max_iter": 25}}
N_FLOW = 50  # sequences that the gradient is averaged over


class Recalled(NamedTuple):
    """A fit.

    Attributes
    ----------
    train, test : accuracies
    epochs, seconds : until it stopped; seconds of the processor
    """

    train: float
    test: float
    epochs: int
    seconds: float


def draw(n: int, T: int, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Draw sequences (n, T, 20), normal noise in the last inputs of every step, and their cues."""
    y = rng.integers(N_CUES, size=n)
    X = np.zeros((n, T, N_CUES + N_NOISY), np.float32)
    X[np.arange(n), 0, y] = 1
    X[:, :, N_CUES:] = rng.normal(size=(n, T, N_NOISY))
    return X, y


def flow(network: cbptt.RNN, X: NDArray[np.float32], y: NDArray[np.intp]) -> list[float]:
    """Return the mean over sequences of the norm of dL/dh(t), t = 1 to T - 1, of one layer.

    The state after step t is the initial state of the steps after it, so dL/dh(t) is the exact
    gradient of their loss in h0. Of an LSTM h and c are taken together.
    """
    norms = []
    state = np.zeros((len(X), network.state_width), network.dtype)
    for t in range(X.shape[1] - 1):
        state = network.forward(X[:, t : t + 1], state).state
        _, gradients = network.loss_and_gradients(
            X[:, t + 1 :], y, h0=state, inputs=True, reduction="sum"
        )
        squares = np.square(gradients["h0"], dtype=np.float64)  # of float32 they underflow
        norms.append(float(np.sqrt(squares.sum(axis=1)).mean()))
    return norms


def run(report: Report, quick: bool) -> None:
    """Train each cell for each lag from several random_state; print accuracies."""
    n_train, n_seeds = (QUICK_TRAIN, 1) if quick else (N_TRAIN, N_SEEDS)
    report.line(
        f"delayed recall: one of {N_CUES} cues at the first step, {N_NOISY} inputs of noise, "
        f"{n_train} sequences to train, {N_TEST} to test, float32, one thread"
    )
    report.line(
        f"RNNClassifier with defaults and what is named; of {n_seeds} random_state; chance is "
        f"{1 / N_CUES:.2f}; seconds of the processor"
    )
    report.raw |= {"fits": {}, "flow": {}}
    for T, changes in (QUICK_CHANGES if quick else CHANGES).items():
        X, y = draw(n_train, T, np.random.default_rng([T, 0]))
        X_test, y_test = draw(N_TEST, T, np.random.default_rng([T, 1]))
        named = ", ".join(f"{name}={value!r}" for name, value in changes.items()) or "defaults"
        report.line()
        columns = "".join(f"{name:>20}" for name in Recalled._fields)
        report.line(f"{f'T = {T}: {named}':24}{columns}")
        for cell in CELLS:
            fits = []
            for seed in range(n_seeds):
                model = RNNClassifier(cell=cell, random_state=seed, **changes)
                started = time.process_time()
                model.fit(X, y)
                seconds = time.process_time() - started
                fits.append(
                    Recalled(model.score(X, y), model.score(X_test, y_test), model.n_iter_, seconds)
                )
                if seed == 0:
                    start = RNNClassifier(cell=cell, random_state=seed, **changes)
                    start.set_params(max_iter=1, learning_rate_init=1e-30).fit(X, y)
                    report.raw["flow"].setdefault(str(T), {})[cell] = {
                        "start": flow(start.network_, X_test[:N_FLOW], y_test[:N_FLOW]),
                        "trained": flow(model.network_, X_test[:N_FLOW], y_test[:N_FLOW]),
                    }
            report.raw["fits"].setdefault(str(T), {})[cell] = [fit._asdict() for fit in fits]
            report.line(f"{cell:24}" + "".join(f"{each(v):>20}" for v in zip(*fits, strict=True)))
        for when in ("start", "trained"):
            flows = report.raw["flow"][str(T)]
            shares = ", ".join(
                f"{cell} {norms[when][0] / norms[when][-1]:.1e}" for cell, norms in flows.items()
            )
            report.line(f"norm of dL/dh(1) / norm of dL/dh(T-1), {when}: {shares}")


def each(values: tuple[float, ...]) -> str:
    """Return the numbers, of each random_state one."""
    return " ".join(f"{value:.{3 if max(values) <= 1 else 0}f}" for value in values)
