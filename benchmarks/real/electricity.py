"""The demand for electricity in England and Wales, a day ahead, beside models of statsmodels.

Half-hourly values of twelve weeks of the year 2000 (Taylor 2003, Short-term electricity demand
forecasting using double seasonal exponential smoothing). The network is chosen by backtests that
end with the eighth week; all are then judged on the last four, from one origin a day. What comes
from statsmodels is fitted anew every day, the networks every week.
"""

from __future__ import annotations

import ast
import statistics
import time
import warnings
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import ParameterGrid

from cbptt import RNNForecaster, backtest
from cbptt.backtesting import Backtest
from real import spelled, to_the_end
from real.wheels import read_data
from report import Report

Floats = NDArray[np.float64]

DAY, WEEK = 48, 7 * 48
FITTED, CHOSEN_BY = 6 * WEEK, 8 * WEEK
QUICK_TEST = 8 * WEEK + 4 * DAY
N_HARMONICS = 3  # of the day and of the week
N_EPOCHS, QUICK_EPOCHS = 1000, 30
N_SEEDS, QUICK_SEEDS = 5, 2

COMMON = {
    "differences": 1,
    "early_stopping": False,
    "bptt_steps": 50,
    "bptt_streams": True,
    "learning_rate_init": 0.003,
}
GRID = {
    "lags": [[1, DAY, WEEK], [1, 2, 3, DAY, WEEK]],
    "hidden_layer_sizes": [32, 64],
    "recurrent_dropout": [0.0, 0.2],
}
QUICK_GRID = {"lags": [[1, DAY, WEEK]], "hidden_layer_sizes": [16]}


def demand() -> Floats:
    """(4032,) megawatts, the first ones on a Monday after midnight.

    pmdarima carries the numbers as a list in a function's text, which is read and not run.
    """
    text = read_data("pmdarima", "2.1.1", "pmdarima/datasets/taylor.py").decode()
    lists = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.List)]
    longest = max(lists, key=lambda node: len(node.elts))
    return np.array(ast.literal_eval(longest), np.float64)


def calendar(n_steps: int) -> Floats:
    """(T, 12): sines and cosines of the time of the day and of the week, known ahead."""
    t = 2 * np.pi * np.arange(n_steps)
    waves = [k * t / period for period in (DAY, WEEK) for k in range(1, N_HARMONICS + 1)]
    return np.stack([f(wave) for wave in waves for f in (np.sin, np.cos)], axis=1)


class Committee:
    """Several networks, which differ in their random_state; they tell the mean."""

    def __init__(self, members: list[RNNForecaster]) -> None:
        self._members = members

    def fit(self, y: Floats, X: Floats) -> None:
        """Train each of them."""
        for member in self._members:
            member.fit(y, X)

    def predict(self, horizon: int, X_future: Floats, **context: Floats) -> Floats:
        """Return the mean of their forecasts."""
        return np.mean([m.predict(horizon, X_future, **context) for m in self._members], axis=0)


# ---- statsmodels ----------------------------------------------------------------------------


class Fitted:
    """A model of statsmodels as something to backtest: fit, and predict a horizon."""

    def __init__(self, forecast: Callable[[Floats, int], Floats]) -> None:
        self._forecast = forecast

    def fit(self, y: Floats) -> None:
        """Keep the series; the model is fitted when the horizon is known."""
        self._y = y

    def predict(self, horizon: int) -> Floats:
        """Return the steps that follow."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what statsmodels says of its optimiser
            return self._forecast(self._y, horizon)


def smoothing(y: Floats, horizon: int) -> Floats:
    """ETS(A, N, A): exponential smoothing of the level and of the season of a week."""
    from statsmodels.tsa.holtwinters import ExponentialSmoothing

    model = ExponentialSmoothing(y, seasonal="add", seasonal_periods=WEEK)
    return np.asarray(model.fit().forecast(horizon))


def decomposed(y: Floats, horizon: int) -> Floats:
    """STL of a week, and an ARIMA of what is left."""
    from statsmodels.tsa.arima.model import ARIMA
    from statsmodels.tsa.forecasting.stl import STLForecast

    order = {"order": (2, 0, 1), "trend": "c"}
    return np.asarray(
        STLForecast(y, ARIMA, model_kwargs=order, period=WEEK).fit().forecast(horizon)
    )


def sarima(y: Floats, horizon: int) -> Floats:
    """SARIMA (2, 0, 2) (0, 1, 0) of a week: an ARMA of the differences to the week before."""
    from statsmodels.tsa.arima.model import ARIMA

    differences = y[WEEK:] - y[:-WEEK]
    told = ARIMA(differences, order=(2, 0, 2)).fit().forecast(horizon)
    return np.asarray(y[-WEEK:][:horizon] + told)


MODELS = {
    "ETS(A, N, A)": smoothing,
    "STL + ARIMA(2, 0, 1)": decomposed,
    "SARIMA(2, 0, 2)(0, 1, 0)": sarima,
}


# ---- the run --------------------------------------------------------------------------------


def run(report: Report, quick: bool) -> None:
    """Choose the network, then print the errors of all in the last four weeks."""
    y = demand()
    X = calendar(len(y))
    n_epochs, n_seeds = (QUICK_EPOCHS, QUICK_SEEDS) if quick else (N_EPOCHS, N_SEEDS)
    every_day = partial(backtest, horizon=DAY, stride=DAY, season_length=WEEK)
    report.line(
        f"Half-hourly demand for electricity, {len(y) // WEEK} weeks; a day ahead, every midnight"
    )

    def networks(parameters: dict[str, Any]) -> list[RNNForecaster]:
        training = COMMON | to_the_end(n_epochs) | parameters
        return [RNNForecaster(**training, random_state=seed) for seed in range(n_seeds)]

    def past(parameters: dict[str, Any]) -> float:
        seen = {"y": y[:CHOSEN_BY], "X": X[:CHOSEN_BY], "min_train": FITTED}
        found = [every_day(network, **seen) for network in networks(parameters)]
        return statistics.fmean(result.scores.mase for result in found)

    started = time.perf_counter()
    candidates = list(ParameterGrid(QUICK_GRID if quick else GRID))
    errors = [past(parameters) for parameters in candidates]
    seconds = time.perf_counter() - started
    best = candidates[int(np.nanargmin(errors))]
    report.line(
        f"of {len(candidates)} candidates the best in weeks 7 and 8, fitted on the six before: "
        f"{spelled(best)}"
    )
    report.line(f"({len(candidates) * n_seeds} fits and their backtests: {seconds:.1f} s)")

    last_weeks = partial(every_day, y=y[: QUICK_TEST if quick else len(y)], min_train=CHOSEN_BY)
    with_calendar = partial(last_weeks, X=X[: QUICK_TEST if quick else len(y)], refit=7)
    ways: dict[str, Callable[[], list[Backtest]]] = {
        "RNNForecaster": lambda: [with_calendar(network) for network in networks(best)],
        f"mean of {n_seeds} RNNForecaster": lambda: [with_calendar(Committee(networks(best)))],
    }
    if find_spec("statsmodels") is None:
        report.line("statsmodels is not installed: its models are left out")
    else:
        ways |= {
            name: lambda forecast=forecast: [last_weeks(Fitted(forecast), refit=True)]
            for name, forecast in MODELS.items()
        }
    found: dict[str, tuple[list[Backtest], float]] = {}
    for name, way in ways.items():
        started = time.perf_counter()
        results = way()
        found[name] = results, (time.perf_counter() - started) / len(results)

    test = dict[str, dict[str, Any]]()
    report.raw["electricity"] = {"best": best, "errors of candidates": errors, "test": test}
    report.line()
    report.line(f"{'':27} {'MASE':>6} {'sMAPE':>6} {'RMSE, MW':>9} {'seconds':>8}")
    ours = found["RNNForecaster"][0]
    rows = [("the same time a week before", [ours[0].naive_scores], 0.0)]
    rows += [(name, [r.scores for r in results], took) for name, (results, took) in found.items()]
    for name, scores, took in rows:
        mase, smape, rmse = (
            statistics.fmean(getattr(score, error) for score in scores)
            for error in ("mase", "smape", "rmse")
        )
        test[name] = {"mase": mase, "smape": smape, "rmse": rmse, "seconds": took}
        report.line(f"{name:27} {mase:6.3f} {smape:5.2f}% {rmse:9.0f} {took:8.1f}")
    each = test["RNNForecaster"]["each mase"] = [result.scores.mase for result in ours]
    report.line(
        f"{len(ours[0].origins)} origins. RNNForecaster: mean of {n_seeds} random_state, MASE "
        f"{min(each):.3f} to {max(each):.3f}."
    )
