"""The Santa Fe laser: the next value told, and a hundred steps foretold.

Series A of the competition that Weigend & Gershenfeld (1994), Time series prediction, report: the
first 1000 values are for training, and the 100 that follow are to be continued. Beside a recurrent
network that is trained throughout stands an echo state network, whose readout alone is fitted, with
as many units and the same inputs; it is made by reservoirpy, where that is installed.
"""

from __future__ import annotations

import io
import statistics
import time
from collections.abc import Callable, Sequence
from importlib import metadata
from importlib.util import find_spec
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from cbptt import RNNForecaster
from real import spelled, to_the_end
from real.wheels import read_data
from report import Report

Floats = NDArray[np.float64]

N_UNITS = 100
N_TRAIN = 1000
N_NEXT = 1000  # steps after it, of which each is told from those before
HORIZON = 100
WASHOUT = 50  # first states that the readout of an echo state network is not fitted on
N_SEEDS, QUICK_SEEDS = 10, 2
SEARCH_SEEDS = 2
N_ECHOES, QUICK_ECHOES = 300, 5

NETWORKS: list[dict[str, Any]] = [
    parameters | {"init": init}
    for parameters in (
        *({"solver": "lbfgs", "alpha": alpha, "max_iter": 500} for alpha in (0.0001, 0.001, 0.01)),
        {"bptt_streams": True, "batch_size": 4, "learning_rate_init": 0.003} | to_the_end(1000),
    )
    for init in ("orthogonal", "uniform")
]
QUICK_NETWORKS = [{"solver": "lbfgs", "alpha": alpha, "max_iter": 50} for alpha in (0.001, 0.01)]


class Fold(NamedTuple):
    """Stretches of the training set: fitted on one, judged on another; see `judge`."""

    fitted: slice
    heard: slice
    n_before: int
    starts: range


FOLDS = (
    Fold(slice(300, 1000), slice(0, 300), 50, range(50, 201, 25)),
    Fold(slice(0, 800), slice(0, 1000), 800, range(800, 901, 25)),
)


class Forecaster(Protocol):
    """What learns a series (T,) of mean 0 and variance 1, and tells of it."""

    def fit(self, series: Floats) -> None:
        """Learn."""

    def told(self, series: Floats) -> Floats:
        """Return (T - 1,): what is told of each value from those before it, the first aside."""

    def continued(self, series: Floats, starts: Sequence[int]) -> Floats:
        """Return (n, HORIZON): a forecast from each start on, in which all before it is known."""


class Network:
    """A recurrent network that is trained to tell the next value."""

    def __init__(self, parameters: dict[str, Any], seed: int) -> None:
        self.model = RNNForecaster(
            N_UNITS, scaling=None, early_stopping=False, **parameters, random_state=seed
        )

    def fit(self, series: Floats) -> None:
        """Train all weights."""
        self.model.fit(series)

    def told(self, series: Floats) -> Floats:
        """Read all values but the last."""
        return np.asarray(self.model.network_.forward(series[None, :-1, None]).output[0, :, 0])

    def continued(self, series: Floats, starts: Sequence[int]) -> Floats:
        """Listen up to each start, then to oneself."""
        return np.asarray(self.model.predict(HORIZON, context=[series[:start] for start in starts]))


class Echo:
    """An echo state network: random weights, and a readout by ridge regression."""

    def __init__(self, parameters: dict[str, Any], seed: int) -> None:
        from reservoirpy.mat_gen import bernoulli, zeros
        from reservoirpy.nodes import Reservoir, Ridge

        reservoir = dict(parameters)
        ridge, bias = reservoir.pop("ridge"), reservoir.pop("bias")
        reservoir["bias"] = bernoulli(input_scaling=bias) if bias else zeros
        self.model = Reservoir(N_UNITS, **reservoir, seed=seed) >> Ridge(ridge)

    def fit(self, series: Floats) -> None:
        """Fit the readout."""
        self.model.fit(series[:-1, None], series[1:, None], warmup=WASHOUT)

    def told(self, series: Floats) -> Floats:
        """Read all values but the last."""
        self.model.reset()
        return np.asarray(self.model.run(series[:-1, None])[:, 0])

    def continued(self, series: Floats, starts: Sequence[int]) -> Floats:
        """Listen anew up to each start, then to oneself."""
        ahead = np.empty((len(starts), HORIZON))
        for row, start in zip(ahead, starts, strict=True):
            self.model.reset()
            value = self.model.run(series[:start, None])[-1]
            for h in range(HORIZON):
                row[h] = value[0]
                value = self.model.step(value)
        return ahead


class Judged(NamedTuple):
    """How well one forecaster foretells what comes after its training set.

    Attributes
    ----------
    next_value : normalised mean squared error of the next value told
    forecast : the same of the first forecast
    forecasts : the same of all forecasts together
    first : (HORIZON,) the first forecast, in units of the series
    seconds : of the fit
    """

    next_value: float
    forecast: float
    forecasts: float
    first: list[float]
    seconds: float


def nmse(told: Floats, true: Floats) -> float:
    """Return the mean squared error over the variance of the targets; infinite if not finite."""
    with np.errstate(over="ignore", invalid="ignore"):
        error = float(np.mean((told - true) ** 2) / np.var(true))
    return error if np.isfinite(error) else float("inf")


def judge(
    forecaster: Forecaster,
    train: Floats,
    heard: Floats,
    n_before: int,
    starts: Sequence[int],
) -> Judged:
    """Fit a forecaster and let it hear another stretch, both scaled as the training set asks for.

    heard : of which the first n_before values are not asked for, since there is little before them;
        forecasts begin at each of the starts.
    """
    mean, deviation = train.mean(), train.std()
    scaled = (heard - mean) / deviation
    started = time.perf_counter()
    forecaster.fit((train - mean) / deviation)
    seconds = time.perf_counter() - started
    told, ahead = forecaster.told(scaled), forecaster.continued(scaled, starts)
    true = np.stack([scaled[start : start + HORIZON] for start in starts])
    return Judged(
        nmse(told[n_before - 1 :], scaled[n_before:]),
        nmse(ahead[0], true[0]),
        nmse(ahead, true),
        (ahead[0] * deviation + mean).tolist(),
        seconds,
    )


def echoes(n: int) -> list[dict[str, Any]]:
    """Draw parameters of echo state networks, from ranges that are wide in each direction."""
    rng = np.random.default_rng(0)

    def between(low: float, high: float) -> float:
        return float(f"{np.exp(rng.uniform(np.log(low), np.log(high))):.3g}")

    return [
        {
            "sr": between(0.1, 2),
            "lr": between(0.1, 1),
            "input_scaling": between(0.05, 5),
            "input_connectivity": float(rng.choice([0.1, 1.0])),
            "rc_connectivity": float(rng.choice([0.1, 1.0])),
            "bias": float(rng.choice([0.0, 0.1, 1.0])),
            "ridge": between(1e-9, 10),
        }
        for _ in range(n)
    ]


def chosen(
    make: Callable[[dict[str, Any], int], Forecaster],
    candidates: Sequence[dict[str, Any]],
    train: Floats,
    n_seeds: int,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what tells the next value best, and what forecasts best, where it was not fitted.

    Judged by means over folds, seeds and beginnings, all of them within the training set. The laser
    collapses in one fold and gains in the other.
    """
    next_values, forecasts = [], []
    for parameters in candidates:
        runs = [
            judge(make(parameters, seed), train[fold.fitted], train[fold.heard], *fold[2:])
            for fold in FOLDS
            for seed in range(n_seeds)
        ]
        next_values.append(statistics.mean(run.next_value for run in runs))
        forecasts.append(statistics.mean(run.forecasts for run in runs))
    best = [int(np.nanargmin(errors)) for errors in (next_values, forecasts)]
    return candidates[best[0]], candidates[best[1]]


def spread(values: Sequence[float]) -> str:
    """Return the median, of an even number the lower one, the least and the largest value."""
    return f"{statistics.median_low(values):.4f} ({min(values):.4f} to {max(values):.4f})"


def read_laser() -> Floats:
    """Return the series, (10093,) of counts from 0 to 255."""
    file = read_data("reservoirpy", "0.4.2", "reservoirpy/datasets/santafe_laser.npy")
    return np.load(io.BytesIO(file)).ravel().astype(np.float64)


def run(report: Report, quick: bool) -> None:
    """Choose parameters, fit from several seeds, and print errors of what is foretold."""
    series = read_laser()
    n_seeds, search_seeds = (QUICK_SEEDS, 1) if quick else (N_SEEDS, SEARCH_SEEDS)
    makers: dict[str, tuple[Any, list[dict[str, Any]]]] = {
        "RNNForecaster": (Network, QUICK_NETWORKS if quick else NETWORKS)
    }
    if find_spec("reservoirpy") is not None:
        makers["reservoirpy"] = (Echo, echoes(QUICK_ECHOES if quick else N_ECHOES))
        report.line(f"reservoirpy {metadata.version('reservoirpy')}")
    else:
        report.line("no echo state network: `pip install reservoirpy` for it")
    report.line(
        f"Santa Fe laser: {N_TRAIN} steps to train; {N_UNITS} units, the value before as the only "
        f"input; one thread, float64"
    )
    report.line(
        f"errors are normalised by the variance of their targets; of {n_seeds} random_state the "
        f"median, least and largest"
    )
    report.raw |= {
        "true": series[N_TRAIN - HORIZON : N_TRAIN + HORIZON].tolist(),
        "horizon": HORIZON,
        "forecasters": {},
    }
    heard = series[: N_TRAIN + N_NEXT]
    starts = range(N_TRAIN, len(heard), HORIZON)
    for name, (make, candidates) in makers.items():
        started = time.perf_counter()
        best = chosen(make, candidates, series[:N_TRAIN], search_seeds)
        seconds = time.perf_counter() - started
        report.line()
        report.line(f"{name}, of {len(candidates)} candidates, {seconds:.0f} s")
        judged = {
            task: [
                judge(make(parameters, seed), series[:N_TRAIN], heard, N_TRAIN, starts)
                for seed in range(n_seeds)
            ]
            for task, parameters in zip(("next", "forecast"), best, strict=True)
        }
        report.raw["forecasters"][name] = {
            "chosen": dict(zip(judged, best, strict=True)),
            "search seconds": seconds,
            **{task: [run._asdict() for run in runs] for task, runs in judged.items()},
        }
        report.line(f"  to tell the next value: {spelled(best[0])}")
        report.line(f"  to forecast: {spelled(best[1])}")
        tell, ahead = judged["next"], judged["forecast"]
        first = spread([run.forecast for run in ahead])
        later = spread([run.forecasts for run in ahead])
        fits = statistics.mean(run.seconds for run in ahead)
        report.line(f"  next value of {N_NEXT} steps: {spread([run.next_value for run in tell])}")
        report.line(f"  forecast of {HORIZON} steps, {N_TRAIN + 1} and on: {first}")
        report.line(f"  all {len(starts)} such forecasts, {HORIZON} steps apart: {later}")
        report.line(f"  a fit to forecast: {fits:.2f} s")
