"""The adding problem: two marked numbers of a long sequence, and their sum after its last step.

Hochreiter & Schmidhuber (1997), Long short-term memory; the starts are those that Le, Jaitly &
Hinton (2015), A simple way to initialize recurrent networks of rectified linear units, compare.
Each network has the same training time, whether its gradient goes back to the first step or through
the last window only.
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cbptt import RNNRegressor
from real import spelled
from report import Report

Floats = NDArray[np.float32]

STARTS: dict[str, dict[str, Any]] = {
    "tanh, orthogonal": {"activation": "tanh", "init": "orthogonal"},
    "relu, identity": {"activation": "relu", "init": "identity"},
}
# Chosen by full BPTT on sequences for validation, see README.md.
COMMON = {"hidden_layer_sizes": 64, "batch_size": 32, "max_grad_norm": 1.0, "alpha": 0}
RATES = {
    ("tanh, orthogonal", 100): 0.0003,
    ("relu, identity", 100): 0.001,
    ("tanh, orthogonal", 300): 0.0003,
    ("relu, identity", 300): 0.0003,
}
QUICK_RATE = 0.003
WINDOWS = (None, 50, 25)
QUICK_WINDOWS = (None, 5)
SECONDS = {100: 20.0, 300: 60.0}
QUICK_SECONDS = {20: 30.0}  # seldom reached
QUICK_EPOCHS = 120
EPOCH = 1000  # fresh sequences of each call of partial_fit
N_TEST = 2000
N_POINTS = 100  # of a curve
ALWAYS_ONE = 1 / 6  # the mean squared error of answering 1
SHARES = (0.1, 0.25, 0.5, 0.75, 1.0)  # of the training time, in the table


class Additions(NamedTuple):
    """Sequences, and what is to be answered.

    Attributes
    ----------
    X : (n, T, 2), of each step a number from 0 to 1, and whether it is marked
    y : (n,) the sum of the two that are
    second : (n,) the step of the second mark
    """

    X: Floats
    y: Floats
    second: NDArray[np.int64]


class Curve(NamedTuple):
    """What a fit had learned after so much of its training time.

    Attributes
    ----------
    seconds : of the processor for training until then; drawing sequences and testing are not in it
    epochs : calls of partial_fit until then
    errors : mean squared error on the test sequences
    inside, before : in the end, where the second mark lies inside the window, and before it;
        None where it never does
    clipped : share of mini-batches whose gradient was clipped
    """

    seconds: list[float]
    epochs: list[int]
    errors: list[float]
    inside: float | None
    before: float | None
    clipped: float

    def at(self, seconds: float) -> float:
        """Return the error last measured at that time; the first one, where none was yet."""
        return self.errors[max(0, int(np.searchsorted(self.seconds, seconds, side="right")) - 1)]


def draw(n: int, T: int, rng: np.random.Generator) -> Additions:
    """Draw sequences of T steps, an even number, with a mark in each half."""
    X = np.zeros((n, T, 2), np.float32)
    X[..., 0] = rng.random((n, T), np.float32)
    first, second = rng.integers(0, T // 2, n), rng.integers(T // 2, T, n)
    rows = np.arange(n)
    X[rows, first, 1] = X[rows, second, 1] = 1
    return Additions(X, X[rows, first, 0] + X[rows, second, 0], second)


def blind(T: int, window: int) -> float:
    """Return the least error of who sees the last `window` of T steps, and nothing before.

    An unseen number leaves its variance, 1/12. With a mark in each half, 2 (1 - window / T) of the
    two are unseen on average.
    """
    return (1 - window / T) / 6


def learn(
    model: RNNRegressor,
    T: int,
    seconds: float,
    most: float,
    test: Additions,
    rng: np.random.Generator,
) -> Curve:
    """Train on fresh sequences until the time or `most` epochs are over, testing now and then."""
    curve: dict[str, list[Any]] = {"seconds": [], "epochs": [], "errors": []}
    trained, n_epochs = 0.0, 0
    while trained < seconds and n_epochs < most:
        X, y, _ = draw(EPOCH, T, rng)
        started = time.process_time()
        model.partial_fit(X, y)
        trained += time.process_time() - started
        n_epochs += 1
        due = min(seconds, len(curve["errors"]) * seconds / N_POINTS)
        if trained >= due or n_epochs == most:
            squares = (model.predict(test.X) - test.y) ** 2
            point = trained, n_epochs, float(squares.mean())
            for values, value in zip(curve.values(), point, strict=True):
                values.append(value)
    seen = test.second >= T - (model.bptt_steps or T)
    inside, before = (float(squares[w].mean()) if w.any() else None for w in (seen, ~seen))
    return Curve(**curve, inside=inside, before=before, clipped=model.clip_rate_)


def name_of(window: int | None) -> str:
    """Return how far back the gradient goes."""
    return "full" if window is None else f"last {window} steps"


def run(report: Report, quick: bool) -> None:
    """Train each start by full and by truncated BPTT; print errors over time."""
    report.line(
        f"adding problem: mean squared error on {N_TEST} test sequences over training time, in "
        f"seconds of the processor; {EPOCH} fresh sequences an epoch, one thread, float32; "
        f"always 1: {ALWAYS_ONE:.3f}"
    )
    report.line(spelled(COMMON) + "; the learning rate stands behind the start")
    report.line(
        "inside, before: the error in the end, where the second mark lies inside the window, and "
        "before it; blind: the least error of who sees the window alone"
    )
    windows, most = (QUICK_WINDOWS, QUICK_EPOCHS) if quick else (WINDOWS, np.inf)
    fits: list[dict[str, Any]] = []
    report.raw |= {"always one": ALWAYS_ONE, "n_test": N_TEST, "fits": fits}
    for T, seconds in (QUICK_SECONDS if quick else SECONDS).items():
        head(report, T, seconds)
        test = draw(N_TEST, T, np.random.default_rng([T, 1]))
        for start, parameters in STARTS.items():
            rate = QUICK_RATE if quick else RATES[start, T]
            for window in windows:
                model = RNNRegressor(
                    **COMMON,
                    **parameters,
                    learning_rate_init=rate,
                    bptt_steps=window,
                    random_state=0,
                )
                curve = learn(model, T, seconds, most, test, np.random.default_rng([T, 0]))
                fits.append(
                    {"T": T, "start": start, "window": window, "rate": rate, **curve._asdict()}
                )
                line(report, f"{start}, {rate:g}", T, window, curve, seconds)


def head(report: Report, T: int, seconds: float) -> None:
    """Print what stands above the errors of a length."""
    times = "".join(f"{share * seconds:>7.3g} s" for share in SHARES)
    report.line()
    report.line(
        f"{f'T = {T}':<24} {'BPTT':14}{times} {'epochs':>7}"
        f" {'inside':>8} {'before':>8} {'blind':>7}"
    )


def line(
    report: Report, label: str, T: int, window: int | None, curve: Curve, seconds: float
) -> None:
    """Print the errors of a fit."""
    errors = "".join(f"{curve.at(share * seconds):9.4f}" for share in SHARES[:-1])
    text = f"{label:24} {name_of(window):14}{errors}{curve.errors[-1]:9.4f} {curve.epochs[-1]:7d}"
    if window is not None:
        parts = ("-" if part is None else f"{part:.4f}" for part in (curve.inside, curve.before))
        text += "".join(f" {part:>8}" for part in parts) + f" {blind(T, window):7.4f}"
    report.line(text)
