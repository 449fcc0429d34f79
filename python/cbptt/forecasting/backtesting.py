"""Backtests: how well a forecaster would have done at many origins, and the naive forecast too."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from inspect import signature
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbptt.data.integers import read_integer
from cbptt.forecasting.scaling import in_units_of, naive_error
from cbptt.forecasting.series import (
    SeriesSet,
    check_order,
    check_same_times,
    find_gap,
    read_exogenous,
    read_series,
)

__all__ = ["Backtest", "Scores", "backtest", "mase", "rmse", "seasonal_naive", "smape"]

Array = NDArray[np.float64]

_CALLER = "backtest"


@dataclass(frozen=True, eq=False)
class Scores:
    """Errors of forecasts; smaller is better.

    NaN or infinite where a forecast is.

    Attributes
    ----------
    mase, smape, rmse : float
        Over all forecasts, steps and variables, as the functions of these names compute them.
    mase_by_step, smape_by_step, rmse_by_step : (H,) ndarrays
        The same for each step of the horizon separately.
    """

    mase: float
    smape: float
    rmse: float
    mase_by_step: Array
    smape_by_step: Array
    rmse_by_step: Array


@dataclass(frozen=True, eq=False)
class Backtest:
    """Results of a backtest, with a row for each series and origin.

    Attributes
    ----------
    origins : (r,) ndarray of int
        How many steps of the series came before the forecast.
    series : (r,) ndarray of int
        Which series; 0 where there is one.
    forecasts, naive_forecasts, actual : (r, H) or (r, H, d) ndarrays
        The forecasts of the forecaster, the seasonal-naive forecasts, and the actual values.
    scores, naive_scores : Scores
        Of the forecaster, and of the seasonal-naive forecast of the same steps.
    """

    origins: NDArray[np.intp]
    series: NDArray[np.intp]
    forecasts: Array
    naive_forecasts: Array
    actual: Array
    scores: Scores
    naive_scores: Scores


# ---- metrics ------------------------------------------------------------------------------------


def mase(y_true: Any, y_pred: Any, y_train: Any, season_length: int = 1) -> float:
    """Return the mean absolute scaled error.

    The absolute error is divided by the mean absolute error that the seasonal-naive forecast has
    within y_train, for each variable separately (Hyndman & Koehler 2006, Another look at measures
    of forecast accuracy, International Journal of Forecasting 22). Where the latter is 0, no error
    counts as 0 and any other as infinite.

    Parameters
    ----------
    y_true, y_pred : (H,) or (H, d) array
        What came, and its forecast.
    y_train : (T,) or (T, d) array
        The series before, of more than season_length steps.
    season_length : int, default=1
        Steps of a season; 1 is the naive forecast by the value before.

    Raises
    ------
    ValueError, TypeError
        Where an array or a number does not fit; the message names it.

    Examples
    --------
    >>> from cbptt.backtesting import mase
    >>> mase([5.0, 7.0], [4.0, 4.0], y_train=[1.0, 3.0, 4.0, 3.0])  # mean of 1, 3 over 4/3
    1.5
    """
    true, forecast = _read_pair(y_true, y_pred, "mase")
    train = _read_past(y_train, "y_train", "mase").values[0]
    if train.shape[1] != true.shape[1]:
        raise ValueError(
            f"mase got y_train with {train.shape[1]} variables, but y_true has {true.shape[1]}; "
            f"expected the same variables."
        )
    season_length = _check_season(season_length, len(train) - 1, "mase", "y_train")
    return float(in_units_of(np.abs(true - forecast), naive_error(train, season_length)).mean())


def smape(y_true: Any, y_pred: Any) -> float:
    """Return the symmetric mean absolute percentage error, from 0 to 200.

    It is the mean of 200 |y - f| / (|y| + |f|), as in the M4 competition (Makridakis, Spiliotis &
    Assimakopoulos 2020); 0 for a 0 that is forecast as 0.

    Parameters
    ----------
    y_true, y_pred : (H,) or (H, d) array
        What came, and its forecast.

    Raises
    ------
    ValueError, TypeError
        Where an array does not fit; the message names it.

    Examples
    --------
    >>> from cbptt.backtesting import smape
    >>> smape([1.0, 0.0], [3.0, 0.0])  # mean of 100, 0
    50.0
    """
    true, forecast = _read_pair(y_true, y_pred, "smape")
    return float(_percentages(true, forecast).mean())


def rmse(y_true: Any, y_pred: Any) -> float:
    """Return the root of the mean squared error.

    Parameters
    ----------
    y_true, y_pred : (H,) or (H, d) array
        What came, and its forecast.

    Raises
    ------
    ValueError, TypeError
        Where an array does not fit; the message names it.

    Examples
    --------
    >>> from cbptt.backtesting import rmse
    >>> rmse([1.0, 2.0], [1.0, 4.0]) == 2**0.5
    True
    """
    true, forecast = _read_pair(y_true, y_pred, "rmse")
    return float(_root_mean_square(true - forecast))


def seasonal_naive(y: Any, horizon: int, season_length: int = 1) -> Array:
    """Forecast each step by the latest known value of the same season.

    Parameters
    ----------
    y : (T,) or (T, d) array
        The series before, of at least a season.
    horizon : int
        Number of steps H.
    season_length : int, default=1
        Steps of a season; with 1 the last value is the forecast of all steps.

    Returns
    -------
    forecast : (H,) or (H, d) ndarray

    Raises
    ------
    ValueError, TypeError
        Where an argument does not fit; the message names it.

    Examples
    --------
    >>> from cbptt.backtesting import seasonal_naive
    >>> seasonal_naive([1.0, 2.0, 3.0, 4.0], horizon=3, season_length=2)
    array([3., 4., 3.])
    """
    series = _read_past(y, "y", "seasonal_naive")
    horizon = read_integer(horizon, caller="seasonal_naive", name="horizon")
    season_length = _check_season(season_length, len(series.values[0]), "seasonal_naive", "y")
    forecast = _last_season(series.values[0], horizon, season_length)
    return forecast[:, 0] if series.flat else forecast


def _last_season(series: Array, horizon: int, season_length: int) -> Array:
    """(H, d): the last season, over and over."""
    return np.asarray(series[len(series) - season_length + np.arange(horizon) % season_length])


def _percentages(true: Array, forecast: Array) -> Array:
    """200 |y - f| / (|y| + |f|), and 0 for 0/0."""
    return in_units_of(200 * np.abs(true - forecast), np.abs(true) + np.abs(forecast))


def _root_mean_square(errors: Array, axis: tuple[int, ...] | None = None) -> Array:
    """The root of the mean square over axes, by powers of two whose squares stay in range."""
    exponent = np.frexp(np.abs(errors).max(axis=axis, keepdims=True))[1]
    squares = np.square(np.ldexp(errors, -exponent))
    mean = squares.mean(axis=axis, keepdims=True)
    return np.asarray(np.ldexp(np.sqrt(mean), exponent).squeeze())


def _read_past(values: Any, name: str, caller: str) -> SeriesSet:
    """Read one series, whose latest step is the last."""
    series = read_series(values, caller=caller, name=name, single=True)
    check_order(series, name, caller=caller)
    return series


def _read_pair(y_true: Any, y_pred: Any, caller: str) -> tuple[Array, Array]:
    read = [
        read_series(values, caller=caller, name=name, single=True)
        for values, name in ((y_true, "y_true"), (y_pred, "y_pred"))
    ]
    true, forecast = (series.values[0] for series in read)
    if true.shape != forecast.shape:
        raise ValueError(
            f"{caller} got y_pred of {len(forecast)} steps of {forecast.shape[1]} variables, but "
            f"y_true of {len(true)} of {true.shape[1]}; expected the same."
        )
    check_same_times(read[1], read[0], "y_pred", "y_true", caller=caller)
    return true, forecast


def _check_season(season_length: Any, longest: int, caller: str, name: str) -> int:
    """A season of at most this many steps."""
    length = read_integer(season_length, caller=caller, name="season_length")
    if length > longest:
        raise ValueError(
            f"{caller} got season_length={length}, for which {name} has too few steps; expected at "
            f"most {longest}, or more steps."
        )
    return length


# ---- backtest -----------------------------------------------------------------------------------


def backtest(
    forecaster: Any,
    y: Any,
    *,
    horizon: int,
    X: Any = None,
    min_train: int | None = None,
    stride: int | None = None,
    refit: bool | int = False,
    season_length: int = 1,
) -> Backtest:
    """Forecast a series from many origins, each time from the steps before only.

    The first origin is after min_train steps, the next ones follow at every stride, as long as the
    horizon after them is within the series (rolling origin, Tashman 2000).

    Parameters
    ----------
    forecaster : object with fit(y[, X]) and predict(horizon[, X_future])
        Is copied, by scikit-learn's `clone` where it has get_params, and stays as it is. Without
        refit=True its predict must also take context and X_context, as that of `RNNForecaster`.
    y : (T,) or (T, d) array, or a list of them
        A series, or several of any lengths. The forecaster is given ndarrays, or lists of them.
    horizon : int
        Steps of each forecast, H.
    X : (T, e) or (T,) array, or a list of them, default=None
        Exogenous variables; predict is given those of the steps that it forecasts.
    min_train : int, default=None
        Steps before the first origin, at least 2, and more than season_length; by default half of
        the shortest series.
    stride : int, default=None
        Steps from an origin to the next; by default the horizon.
    refit : bool or int, default=False
        False fits once, on the first min_train steps; at later origins only the context changes.
        True fits again at each origin; a number k, at every k-th origin.
    season_length : int, default=1
        Season of the naive forecast to compare with, and of the scale of MASE, which is computed
        from the steps before each origin.

    Returns
    -------
    Backtest

    Raises
    ------
    ValueError, TypeError
        If an argument does not fit, the times of y decrease or repeat, X has other times, or
        predict returns another shape; the message names it.

    Warns
    -----
    UserWarning
        If the times in an index of y are not equally spaced.

    Examples
    --------
    >>> import numpy as np
    >>> from cbptt import RNNForecaster, backtest
    >>> y = np.sin(np.arange(200) * 0.5)
    >>> found = backtest(RNNForecaster(16, lags=2, random_state=0), y, horizon=5, min_train=150)
    >>> found.origins
    array([150, 155, 160, 165, 170, 175, 180, 185, 190, 195])
    >>> found.scores.rmse < found.naive_scores.rmse
    True
    """
    horizon, season_length = (
        read_integer(value, caller=_CALLER, name=name)
        for name, value in (("horizon", horizon), ("season_length", season_length))
    )
    stride = read_integer(horizon if stride is None else stride, caller=_CALLER, name="stride")
    every = _check_refit(refit, forecaster)
    series = read_series(y, caller=_CALLER)
    check_order(series, "y", caller=_CALLER)
    if gap := find_gap(series, "y"):
        warnings.warn(f"{_CALLER}: {gap}", UserWarning, stacklevel=2)
    known = None if X is None else read_exogenous(X, series, caller=_CALLER)
    first = _check_min_train(min_train, series, horizon, season_length)
    origins = range(first, max(map(len, series)) - horizon + 1, stride)
    rows, forecast = _forecast_all(forecaster, series, known, origins, horizon, every)

    index, at = np.array(rows, np.intp).T
    parts = [(series.values[i][:origin], series.values[i][origin:]) for i, origin in rows]
    actual = np.stack([after[:horizon] for _, after in parts])
    naive = np.stack([_last_season(before, horizon, season_length) for before, _ in parts])
    units = np.stack([naive_error(before, season_length) for before, _ in parts])[:, None]

    def mirror(values: Array) -> Array:
        return values[..., 0] if series.flat else values

    return Backtest(
        origins=at,
        series=index,
        forecasts=mirror(forecast),
        naive_forecasts=mirror(naive),
        actual=mirror(actual),
        scores=_scores(actual, forecast, units),
        naive_scores=_scores(actual, naive, units),
    )


def _check_min_train(min_train: Any, series: SeriesSet, horizon: int, season_length: int) -> int:
    """The steps before the first origin, in all series."""
    shortest = min(map(len, series))
    if min_train is None:
        min_train = max(shortest // 2, season_length + 1)
    n_steps = read_integer(min_train, caller=_CALLER, name="min_train", least=2)
    if n_steps <= season_length:
        raise ValueError(
            f"{_CALLER} got min_train={n_steps} with season_length={season_length}; expected at "
            f"least {season_length + 1}, as the scale of MASE takes more than a season."
        )
    if n_steps + horizon > shortest:
        i = int(np.argmin(list(map(len, series))))
        raise ValueError(
            f"{_CALLER} got {series.name('y', i)} with {shortest} steps, but min_train={n_steps} "
            f"and horizon={horizon} take {n_steps + horizon}; give more steps, leave it out, or "
            f"set a smaller min_train."
        )
    return n_steps


def _forecast_all(
    forecaster: Any,
    series: SeriesSet,
    known: SeriesSet | None,
    origins: range,
    horizon: int,
    every: int,
) -> tuple[list[tuple[int, int]], Array]:
    """Forecast from all origins; return series and origin of each forecast, and (r, H, d) them.

    known : the exogenous variables.
    every : at every how many origins the forecaster is fitted again; 0 for the first one only.
    """
    rows: list[tuple[int, int]] = []
    forecasts = []
    fitted = None
    for turn, origin in enumerate(origins):
        there = [i for i, values in enumerate(series) if origin + horizon <= len(values)]
        past, past_known, future = _cut(series, known, there, origin, horizon)
        context: dict[str, Any] = {}
        if fitted is None or (every and turn % every == 0):
            fitted = _copy(forecaster)
            fitted.fit(past) if known is None else fitted.fit(past, past_known)
        else:
            context = {"context": past}
            if known is not None:
                context["X_context"] = past_known
        if known is None:
            forecast = fitted.predict(horizon, **context)
        else:
            forecast = fitted.predict(horizon, future, **context)
        forecasts.append(_check_forecast(forecast, series, len(there), horizon, forecaster))
        rows += [(i, origin) for i in there]
    return rows, np.concatenate(forecasts)


def _scores(actual: Array, forecast: Array, units: Array) -> Scores:
    """Errors of forecasts (r, H, d), with the units (r, 1, d) of MASE."""
    scaled = in_units_of(np.abs(actual - forecast), units)
    errors, percent = actual - forecast, _percentages(actual, forecast)
    return Scores(
        mase=float(scaled.mean()),
        smape=float(percent.mean()),
        rmse=float(_root_mean_square(errors)),
        mase_by_step=scaled.mean(axis=(0, 2)),
        smape_by_step=percent.mean(axis=(0, 2)),
        rmse_by_step=np.ravel(_root_mean_square(errors, axis=(0, 2))),
    )


def _check_refit(refit: Any, forecaster: Any) -> int:
    """Return at each how-manyeth origin to fit, 0 for the first alone."""
    for method in ("fit", "predict"):
        if isinstance(forecaster, type) or not hasattr(forecaster, method):
            raise TypeError(
                f"{_CALLER} got a forecaster {forecaster!r}; expected an object with fit(y) and "
                f"predict(horizon)."
            )
    every = int(refit) if isinstance(refit, (bool, np.bool_)) else refit
    every = read_integer(every, caller=_CALLER, name="refit", least=0 if every is not refit else 1)
    if every != 1:
        parameters = signature(forecaster.predict).parameters
        takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
        if "context" not in parameters and not takes_any:
            raise TypeError(
                f"{_CALLER} got refit={refit!r} with {type(forecaster).__name__}, whose predict "
                f"takes no context to go on from; expected refit=True."
            )
    return every


def _cut(
    series: SeriesSet, known: SeriesSet | None, there: list[int], origin: int, horizon: int
) -> Iterator[Any]:
    """Yield the series until the origin, their exogenous variables, and those of the horizon."""
    span = slice(0, origin), slice(origin, origin + horizon)
    for whole, steps in ((series, span[0]), (known, span[0]), (known, span[1])):
        if whole is None:
            yield None
            continue
        parts = [whole.values[i][steps].astype(whole.dtype) for i in there]
        parts = [part[:, 0] for part in parts] if whole.flat else parts
        yield parts[0] if series.single else parts


def _copy(forecaster: Any) -> Any:
    """Return a forecaster as it was before any fit, as far as this is known."""
    if hasattr(forecaster, "get_params"):
        from sklearn.base import clone

        return clone(forecaster)
    return copy.deepcopy(forecaster)


def _check_forecast(
    forecast: Any, series: SeriesSet, n: int, horizon: int, forecaster: Any
) -> Array:
    """(n, H, d) what predict gave."""
    shape: tuple[int, ...] = (horizon,) if series.flat else (horizon, series.n_variables)
    shape = shape if series.single else (n, *shape)
    array = np.asarray(forecast)
    if array.shape != shape or array.dtype.kind not in "biuf":
        raise ValueError(
            f"{_CALLER} got from {type(forecaster).__name__}.predict an array of shape "
            f"{array.shape} and dtype {array.dtype}; expected numbers of shape {shape}."
        )
    return np.asarray(array.reshape(n, horizon, series.n_variables), np.float64)
