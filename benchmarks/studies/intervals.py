"""How often the intervals of `RNNForecaster` hold what comes, and how wide they are.

Each series comes of a known process, so the probability that a step to come lies within an interval
is known exactly, given the past. Its mean over many series is the coverage.
"""

from __future__ import annotations

import warnings
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm
from sklearn.exceptions import ConvergenceWarning

from cbptt import RNNForecaster
from cbptt.config import versions
from report import Report

HORIZON = 12
LENGTHS = (250, 1000)
COVERAGES = {0.9: (0.87, 0.93), 0.8: (0.77, 0.83)}
BEFORE = 200  # steps until an autoregression has forgotten how it began


@dataclass(frozen=True)
class Drawn:
    """A series, and what is known of the steps after it.

    Attributes
    ----------
    past : (T,)
    future : (H,) the steps after it.
    mean, deviation : (H,) of the normal distributions of the future, given the past.
    """

    past: np.ndarray
    future: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray


def autoregression(
    rng: np.random.Generator, T: int, coefficients: tuple[float, ...], drift: float = 0.0
) -> Drawn:
    """y_t = drift + a_1 y_{t-1} + ... + a_p y_{t-p} + e_t, with e_t of deviation 1."""
    p, stationary = len(coefficients), drift == 0
    first = p + (BEFORE if stationary else 0)
    y, e = np.zeros(first + T + HORIZON), rng.normal(size=first + T + HORIZON)
    lagged = np.array(coefficients)[::-1]
    for t in range(p, len(y)):
        y[t] = drift + lagged @ y[t - p : t] + e[t]
    y = y[first:]
    mean, weights = list(y[:T]), [0.0] * (p - 1) + [1.0]
    for _ in range(HORIZON):
        mean.append(drift + lagged @ mean[-p:])
        weights.append(lagged @ weights[-p:])
    deviation = np.sqrt(np.cumsum(np.square(weights[p - 1 :][:HORIZON])))
    return Drawn(y[:T], y[T:], np.array(mean[T:]), deviation)


def season(rng: np.random.Generator, T: int) -> Drawn:
    """A sine of 12 steps and amplitude 3, and noise of deviation 1."""
    sine = 3 * np.sin(2 * np.pi * (rng.integers(12) + np.arange(T + HORIZON)) / 12)
    y = sine + rng.normal(size=T + HORIZON)
    return Drawn(y[:T], y[T:], sine[T:], np.ones(HORIZON))


def shift(rng: np.random.Generator, T: int) -> Drawn:
    """An autoregression whose level rises by 5 half-way through the past."""
    drawn = autoregression(rng, T, (0.5,))
    past = drawn.past + 5 * (np.arange(T) >= T // 2)
    return Drawn(past, drawn.future + 5, drawn.mean + 5, drawn.deviation)


PROCESSES: dict[str, Callable[[np.random.Generator, int], Drawn]] = {
    "AR(2), 1.2 and -0.5": lambda rng, T: autoregression(rng, T, (1.2, -0.5)),
    "AR(2), 0.6 and 0.3": lambda rng, T: autoregression(rng, T, (0.6, 0.3)),
    "random walk, drift 0.1": lambda rng, T: autoregression(rng, T, (1.0,), drift=0.1),
    "season of 12": season,
    "level shift": shift,
}


def add_options(parser: ArgumentParser) -> None:
    """Add how many series, and of which parameters."""
    parser.add_argument("--series", type=int, default=200, help="of each process and length")
    parser.add_argument(
        "--early-stopping", choices=("True", "False"), default="True", help="of the forecaster"
    )


def run(report: Report, options: Namespace) -> None:
    """Print the coverage of each step, and the width beside that of the true model."""
    report.raw["machine"] = found = versions()
    report.line(", ".join(f"{name} {found[name]}" for name in ("cbptt", "numpy", "kernels")))
    report.line(
        f"{options.series} series of each process and length; "
        f"RNNForecaster(early_stopping={options.early_stopping}, random_state=0)"
    )
    report.line(
        "coverage: the probability that the step lies within, the mean over the series, for steps "
        "1 to 12; se: the largest standard error of these means; hits: the share of steps that lay "
        "within; width: the mean width over that of the true model, of the steps with the least "
        "and the greatest"
    )
    report.raw["rows"] = []
    worst = {coverage: [1.0, 0.0] for coverage in COVERAGES}
    for T in LENGTHS:
        for name, process in PROCESSES.items():
            drawn = [process(np.random.default_rng([i, T]), T) for i in range(options.series)]
            intervals = [predict(one, options) for one in drawn]
            report.line()
            report.line(f"{name}, T = {T}")
            for coverage in COVERAGES:
                row = compare(drawn, [each[coverage] for each in intervals], coverage)
                report.raw["rows"].append({"process": name, "T": T, "coverage": coverage} | row)
                each = " ".join(f"{value:.3f}" for value in row["by step"])
                report.line(
                    f"  {coverage}: {each}  se {max(row['errors']):.3f}  hits {row['hits']:.3f}  "
                    f"width {min(row['widths']):.2f} to {max(row['widths']):.2f}"
                )
                worst[coverage][0] = min(worst[coverage][0], *row["by step"])
                worst[coverage][1] = max(worst[coverage][1], *row["by step"])
    report.line()
    for coverage, (least, greatest) in worst.items():
        low, high = COVERAGES[coverage]
        report.line(
            f"{coverage}: all steps of all rows from {least:.3f} to {greatest:.3f}; "
            f"aimed at {low} to {high}"
        )


def predict(drawn: Drawn, options: Namespace) -> dict[float, np.ndarray]:
    """Fit one series, and return the interval (H, 2) of each coverage."""
    forecaster = RNNForecaster(early_stopping=options.early_stopping == "True", random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        forecaster.fit(drawn.past)
    return {c: forecaster.predict_interval(HORIZON, c, random_state=0) for c in COVERAGES}


def compare(drawn: list[Drawn], intervals: list[np.ndarray], coverage: float) -> dict[str, object]:
    """Compare intervals with what is known of the future."""
    lower, upper = np.moveaxis(np.stack(intervals), -1, 0)
    mean, deviation, future = (
        np.stack([getattr(one, name) for one in drawn]) for name in ("mean", "deviation", "future")
    )
    inside = norm.cdf((upper - mean) / deviation) - norm.cdf((lower - mean) / deviation)
    oracle = 2 * norm.ppf((1 + coverage) / 2) * deviation
    return {
        "by step": inside.mean(axis=0).tolist(),
        "errors": (inside.std(axis=0, ddof=1) / np.sqrt(len(inside))).tolist(),
        "hits": float(((lower <= future) & (future <= upper)).mean()),
        "widths": ((upper - lower) / oracle).mean(axis=0).tolist(),
    }
