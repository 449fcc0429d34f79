"""Forecasts: the network fed by hand, brought back to the series by hand, and what is refused."""

from __future__ import annotations

import pickle
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit, cross_val_score

from cbptt import RNN, Ragged, RNNForecaster, RNNSequenceRegressor
from cbptt.forecasting.intervals import Calibration, _errors, _n_effective
from cbptt.forecasting.scaling import difference, fit_scale, integrate
from cbptt.forecasting.series import read_series
from cbptt.forecasting.settings import WINDOW

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

DTYPES = ("float32", "float64")
LENGTHS = (30, 45, 38)
QUICK = {"max_iter": 3, "random_state": 0, "early_stopping": False}


def tolerance(dtype: str) -> float:
    return 1e-10 if dtype == "float64" else 2e-4


def wave(T: int = 60, d: int | None = None, seed: int = 0) -> np.ndarray:
    """A noisy sine, (T,) or (T, d), far from 0 and in units of its own."""
    rng = np.random.default_rng(seed)
    t = np.arange(T)[:, None] + np.arange(d or 1)
    y = 50 + 8 * np.sin(2 * np.pi * t / 12) + rng.normal(size=t.shape)
    return y if d else y[:, 0]


def waves(d: int | None = None) -> list[np.ndarray]:
    return [wave(T, d, seed) * (1 + seed) for seed, T in enumerate(LENGTHS)]


def calendar(T: int, e: int = 2) -> np.ndarray:
    """(T, e) known variables, in large units."""
    return 100 * np.cos(np.arange(T)[:, None] / 5 + np.arange(e))


def quick(units: int = 5, **parameters: Any) -> RNNForecaster:
    return RNNForecaster(units, **QUICK | parameters)


# ---- the forecast -------------------------------------------------------------------------------


def differenced(y: np.ndarray, periods: list[int]) -> np.ndarray:
    for p in periods:
        y = y[p:] - y[:-p]
    return y


def by_hand(
    network: RNN,
    y: np.ndarray,
    horizon: int,
    lags: list[int],
    periods: list[int],
    scale: tuple[np.ndarray, np.ndarray],
    X: np.ndarray,
    X_future: np.ndarray,
) -> np.ndarray:
    """(H, d) forecast of y (T, d): `forward` over the past, then a step at a time.

    X : (T, e) and X_future (H, e), as the network is to see them.
    """
    center, spread = scale
    steps = list((differenced(y, periods) - center) / spread)
    known = [*X[sum(periods) :], *X_future]
    T, first = len(steps), max(lags)
    h = None
    for t in range(first, T + horizon):
        x = np.concatenate([*(steps[t - lag] for lag in lags), known[t]])
        told = network.forward(x[None, None], h)
        h = told.state
        if t >= T:
            steps.append(told.output[0, 0])
    series = [y]
    for p in periods:
        series.append(differenced(series[-1], [p]))
    values = np.array(steps[T:]) * spread + center
    for p, before in zip(periods[::-1], series[-2::-1], strict=True):
        longer = list(before)
        for value in values:
            longer.append(longer[-p] + value)
        values = np.array(longer[len(before) :])
    return values


def scale_of(y: np.ndarray, kind: str | None) -> tuple[np.ndarray, np.ndarray]:
    if kind is None:
        return np.zeros(y.shape[1]), np.ones(y.shape[1])
    if kind == "minmax":
        return y.min(0), y.max(0) - y.min(0)
    return y.mean(0), y.std(0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scaling", ["standard", "minmax", None])
@pytest.mark.parametrize(
    ("lags", "periods", "d", "e"),
    [(1, [], None, 0), (3, [1], None, 2), ([1, 2, 6], [1, 4], 2, 1), ([4], [3], 3, 0)],
)
def test_a_forecast_is_the_network_fed_with_what_it_told(
    dtype: str, scaling: str | None, lags: Any, periods: list[int], d: int | None, e: int
) -> None:
    y, H = (wave(40, d) / 10).astype(dtype), 9
    X, X_future = calendar(49, e)[:40].astype(dtype), calendar(49, e)[40:].astype(dtype)
    model = quick(lags=lags, differences=periods or None, scaling=scaling)
    model.fit(y, X if e else None)
    told = model.predict(H, X_future if e else None)
    assert told.dtype == model.network_.dtype == dtype
    assert told.shape == (H, d) if d else (H,)

    table, X, X_future = (a.astype(np.float64) for a in (y.reshape(40, -1), X, X_future))
    center, spread = scale_of(X, scaling) if e else (0, 1)
    expected = by_hand(
        model.network_,
        table,
        H,
        list(range(1, lags + 1)) if isinstance(lags, int) else lags,
        periods,
        scale_of(differenced(table, periods), scaling),
        (X - center) / spread,
        (X_future - center) / spread,
    )
    assert_allclose(told.reshape(H, -1), expected, rtol=0, atol=20 * tolerance(dtype))


@pytest.mark.parametrize("d", [None, 2])
def test_each_of_several_series_is_scaled_by_its_own_values(d: int | None) -> None:
    series, X = waves(d), [calendar(T, 1) for T in LENGTHS]
    model = quick(lags=2, differences=1).fit(series, X)
    future = np.stack([calendar(50, 1)[:4]] * 3)
    told = model.predict(4, future)
    center, spread = scale_of(np.concatenate(X), "standard")
    for i, y in enumerate(series):
        table = y.reshape(len(y), -1)
        scale = scale_of(differenced(table, [1]), "standard")
        exogenous = (X[i] - center) / spread, (future[i] - center) / spread
        expected = by_hand(model.network_, table, 4, [1, 2], [1], scale, *exogenous)
        assert_allclose(told[i].reshape(4, -1), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("several", [False, True])
def test_the_context_that_was_fitted_on_gives_the_same_bits(dtype: str, several: bool) -> None:
    y = [a.astype(dtype) for a in waves()] if several else wave().astype(dtype)
    model = quick(lags=[1, 3], differences=2).fit(y)
    assert_array_equal(model.predict(7), model.predict(7, context=y))
    same = {"random_state": 3, "n_paths": 4}
    assert_array_equal(model.simulate(7, **same), model.simulate(7, context=y, **same))
    interval = model.predict_interval(7, **same)
    assert_array_equal(interval, model.predict_interval(7, context=y, **same))


@pytest.mark.parametrize("differences", [None, 1, [1, 5]])
def test_a_shorter_horizon_is_the_beginning_of_a_longer_one(differences: Any) -> None:
    model = quick(lags=2, differences=differences).fit(waves(2))
    assert_array_equal(model.predict(17)[:, :6], model.predict(6))


def test_a_forecaster_of_one_series_keeps_its_scale_for_a_context() -> None:
    y, other = wave(), 5 * wave(30, seed=1)
    model = quick().fit(y)
    nothing = np.empty((30, 0)), np.empty((3, 0))
    scale = scale_of(y[:, None], "standard")
    expected = by_hand(model.network_, other[:, None], 3, [1], [], scale, *nothing)[:, 0]
    assert_allclose(model.predict(3, context=other), expected, rtol=1e-12)
    assert_allclose(model.predict(3, context=[other, y])[0], expected, rtol=1e-12)


def test_the_shortest_context_has_the_lags_and_no_step_more() -> None:
    model = quick(lags=2, differences=[1, 3], scaling=None).fit(wave())
    nothing, scale = (np.empty((6, 0)), np.empty((4, 0))), scale_of(np.empty((0, 1)), None)
    y = wave(6, seed=2)
    expected = by_hand(model.network_, y[:, None], 4, [1, 2], [1, 3], scale, *nothing)[:, 0]
    assert_allclose(model.predict(4, context=y), expected, rtol=1e-12)
    both = model.predict(4, context=[y, wave(20)])
    assert_allclose(both, [expected, model.predict(4, context=wave(20))], rtol=1e-12)


@pytest.mark.parametrize("learned", [False, True])
def test_a_context_begins_with_the_state_that_was_learned(learned: bool) -> None:
    model = quick(lags=1, learn_initial_state=learned, learning_rate_init=0.1).fit(wave())
    state = model.network_.parameters.get("initial_state", np.zeros(5))
    assert bool(state.any()) is learned
    z = (wave(1) - wave().mean()) / wave().std()
    expected = model.network_.forward(z[None, None], state[None]).output[0, 0]
    told = (model.predict(1, context=wave(1)) - wave().mean()) / wave().std()
    assert_allclose(told, expected, rtol=1e-9)


@pytest.mark.parametrize("differences", [None, 1])
@pytest.mark.parametrize("scaling", ["standard", "minmax"])
def test_a_shifted_and_stretched_series_has_a_shifted_and_stretched_forecast(
    differences: Any, scaling: str
) -> None:
    y = wave(d=2)
    a, b = np.array([0.3, 1e4]), np.array([-70.0, 5.0])
    model = quick(scaling=scaling, differences=differences, max_iter=20)
    told = clone(model).fit(y).predict(8)
    assert_allclose(clone(model).fit(a * y + b).predict(8), a * told + b, rtol=1e-7)


def test_the_order_of_the_series_does_not_matter() -> None:
    series, order = waves(), [2, 0, 1]
    mixed = [series[i] for i in order]
    model = RNNForecaster(4, **QUICK | {"lags": 2, "solver": "lbfgs", "max_iter": 20})
    told = clone(model).fit(series).predict(5)
    assert_allclose(clone(model).fit(mixed).predict(5), told[order], rtol=1e-4)
    fitted = model.fit(series)
    assert_allclose(fitted.predict(5, context=mixed), told[order], rtol=1e-12)


def test_the_forms_of_series_mean_the_same() -> None:
    y, X = wave(40), calendar(45)
    told = quick().fit(y, X[:40]).predict(5, X[40:])
    frame, later = pd.DataFrame(X[:40]), pl.DataFrame(X[40:])
    for form in (y.tolist(), pd.Series(y), pl.Series(y), y.astype(object), tuple(y)):
        assert_array_equal(quick().fit(form, frame).predict(5, later), told)
    column = quick().fit(pd.DataFrame({"sales": y}), X[:40].tolist()).predict(5, X[40:])
    assert_array_equal(column, told[:, None])

    series = waves()
    told = quick().fit(series).predict(5)
    boxed = np.empty(3, object)
    boxed[:] = series
    for several in (tuple(series), boxed, Ragged.from_sequences(series)):
        assert_array_equal(quick().fit(several).predict(5), told)
    assert_array_equal(quick().fit([s.tolist() for s in series]).predict(5), told)
    columns = [s[:, None] for s in series]
    assert_array_equal(quick().fit(columns).predict(5), told[..., None])


def test_a_list_of_one_series_has_an_axis_of_series() -> None:
    assert_array_equal(quick().fit([wave()]).predict(3), quick().fit(wave()).predict(3)[None])


def test_a_constant_variable_is_shifted_and_not_divided() -> None:
    y = np.stack([wave(), np.full(60, 0.1)], axis=1)
    model = quick(solver="lbfgs", max_iter=100, alpha=0).fit(y)
    assert (model._origins.center[0, 1], model._origins.spread[0, 1]) == (0.1, 1.0)
    assert_allclose(model.predict(5)[:, 1], 0.1, atol=0.1)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("differences", [1, [1, 7]])
def test_what_rounding_leaves_of_a_straight_line_is_not_blown_up(
    dtype: str, differences: Any
) -> None:
    trend = (0.1 * np.arange(60) + 3).astype(dtype)
    assert np.ptp(difference(trend[:, None].astype("f8"), [1])[0]) > 0
    model = quick(differences=differences, solver="lbfgs", max_iter=50).fit(trend)
    assert_array_equal(model._origins.spread, [[1.0]])
    told = model.predict(5, context=trend)
    assert_allclose(told, 0.1 * np.arange(60, 65) + 3, rtol=1e-3)
    bent = np.where(np.arange(60) % 2, trend, trend * (1 + 1e-4)).astype(dtype)  # no rounding
    assert quick(differences=differences).fit(bent)._origins.spread < 0.01


# ---- series -------------------------------------------------------------------------------------


@pytest.mark.parametrize("periods", [(), (1,), (4,), (1, 1), (1, 12), (12, 5, 1)])
@pytest.mark.parametrize("H", [1, 4, 31])
def test_differences_are_undone_exactly(periods: tuple[int, ...], H: int) -> None:
    y = np.random.default_rng(0).integers(-999, 999, size=(40 + H, 2)).astype(np.float64)
    _, ends = difference(y[:40], periods)
    later = difference(y, periods)[0][-H:]
    again = integrate(later[None], [end[None] for end in ends], periods)
    assert_array_equal(again[0], y[40:])


def test_a_difference_is_the_step_minus_the_one_a_period_before() -> None:
    steps, ends = difference(np.array([[1.0], [4.0], [9.0], [16.0]]), (1, 2))
    assert_array_equal(steps, [[4.0]])  # 3, 5, 7, and then 7 - 3
    assert_array_equal(ends[0], [[16.0]])
    assert_array_equal(ends[1], [[5.0], [7.0]])


def test_a_scale_is_of_each_variable_and_1_where_it_is_constant() -> None:
    values = np.array([[1.0, 5.0], [3.0, 5.0]])
    scale = fit_scale(values, "standard")
    assert_array_equal(scale.apply(values), [[-1.0, 0.0], [1.0, 0.0]])
    assert_array_equal(fit_scale(values, "minmax").apply(values), [[0.0, 0.0], [1.0, 0.0]])
    assert_array_equal(fit_scale(values, None).apply(values), values)
    assert_array_equal(fit_scale(values, "standard", rounding=1.0).spread, [1.0, 1.0])


def test_series_are_float32_where_all_of_them_are() -> None:
    single, double = np.ones(3, np.float32), np.ones(4)
    assert read_series([single, single], caller="f").dtype == np.float32
    assert read_series([single, double], caller="f").dtype == np.float64
    assert quick().fit(wave().astype("f4"), calendar(60)).network_.dtype == np.float64


# ---- training -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "options",
    [{}, {"solver": "lbfgs"}, {"bptt_streams": True}, {"bptt_steps": None, "alpha": 0.1}],
    ids=repr,
)
def test_training_is_that_of_the_regressor_on_true_values(
    dtype: str, options: dict[str, Any]
) -> None:
    series = [a.astype(dtype) for a in waves(2)]
    model = quick(lags=[1, 3], **options).fit(series)
    scaled = [(a - a.mean(0)) / a.std(0) for a in (s.astype(np.float64) for s in series)]
    X = [np.hstack([z[2:-1], z[:-3]]).astype(dtype) for z in scaled]
    y = [z[3:].astype(dtype) for z in scaled]
    steps = {"bptt_steps": None if "solver" in options else WINDOW}
    alone = RNNSequenceRegressor(5, max_iter=3, random_state=0, **steps | options).fit(X, y)
    assert_array_equal(model.network_.theta, alone.network_.theta)
    assert model.loss_curve_ == alone.loss_curve_
    assert (model.n_iter_, model.t_) == (3, 9)

    for i, residuals in enumerate(model.residuals_):
        told = model.network_.forward([X[i]]).output[0] * series[i].std(0) + series[i].mean(0)
        assert_allclose(residuals, series[i][3:] - told, rtol=0, atol=100 * tolerance(dtype))


def test_residuals_are_in_the_units_of_the_series_through_differences() -> None:
    y = wave()
    model = quick(lags=2, differences=[1, 12]).fit(y)
    assert model.residuals_.shape == (60 - 13 - 2,)
    assert model.n_features_in_ == 1
    told = [model.predict(1, context=y[:t])[0] for t in range(15, 60)]
    assert_allclose(model.residuals_, y[15:] - told, rtol=0, atol=1e-9)


def test_the_residuals_of_the_held_out_tail_are_among_the_residuals() -> None:
    y = wave()
    model = quick(early_stopping=True, validation_fraction=0.25).fit(y)
    assert model.residuals_.shape == (59,)
    forecasts = [model.predict(1, context=y[:t])[0] for t in range(44, 60)]
    assert_allclose(model.residuals_[-16:], y[44:] - forecasts, rtol=0, atol=1e-9)


def test_the_tail_of_each_series_is_held_out_and_not_trained_on() -> None:
    options = {"early_stopping": True, "scaling": None, "validation_fraction": 0.25}
    series = [y / 50 - 1 for y in waves()]
    others = [np.concatenate([y[:-7], y[-7:] + 3]) for y in series]
    model, other = (quick(lags=2, **options).fit(s) for s in (series, others))
    assert_array_equal(model.network_.theta, other.network_.theta)
    assert model.validation_scores_ != other.validation_scores_
    changed = [np.concatenate([y[:-12], y[-12:] + 3]) for y in series]  # of which 11 are held out
    assert (quick(lags=2, **options).fit(changed).network_.theta != model.network_.theta).any()


def test_the_weights_of_the_epoch_that_forecasts_the_tail_best_are_kept() -> None:
    y = wave(80)
    model = quick(early_stopping=True, max_iter=30, learning_rate_init=0.05).fit(y)
    z = (y - y.mean()) / y.std()
    told = model.network_.forward(z[None, :-1, None]).output[0, -8:, 0]
    assert model.best_validation_score_ == pytest.approx(r2_score(z[-8:], told), rel=1e-9)
    assert model.best_validation_score_ == max(model.validation_scores_)
    assert len(model.validation_loss_curve_) == model.n_iter_


def test_training_goes_on_with_warm_start() -> None:
    y = wave()
    model = quick(warm_start=True).fit(y)
    first, loss = model.network_.theta.copy(), model.loss_curve_[-1]
    model.fit(y)
    assert (first != model.network_.theta).any()
    assert len(model.loss_curve_) == 6
    assert model.loss_curve_[3] < loss
    with pytest.raises(ValueError, match=r"^RNNForecaster cannot go on .* warm_start=False"):
        model.set_params(lags=2).fit(y)


def test_few_steps_of_many_inputs_are_not_taken_for_another_form_of_sequences(
    recwarn: pytest.WarningsRecorder,
) -> None:
    quick(lags=8).fit([wave(9, d=2), wave(9, d=2, seed=1)])
    quick(lags=12).fit([wave(16, seed=i) for i in range(3)])
    assert {w.category for w in recwarn} == {ConvergenceWarning}


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_defaults_beat_the_naive_forecasts(dtype: str) -> None:
    """Of a noisy sine of some hundred steps: the last value, and that of the season before."""
    y = np.sin(2 * np.pi * np.arange(400) / 20)
    y = (y + np.random.default_rng(0).normal(scale=0.1, size=400)).astype(dtype)
    errors = np.zeros(3)
    for T in (320, 340, 360):
        told = RNNForecaster(random_state=0).fit(y[:T]).predict(20)
        for i, forecast in enumerate((told, y[T - 20 : T], y[T - 1])):
            errors[i] += abs(forecast - y[T : T + 20]).mean()
    assert errors[0] < errors[1] < errors[2]


# ---- paths and intervals ------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["bootstrap", "gaussian"])
@pytest.mark.parametrize("several", [False, True])
def test_paths_without_residuals_are_the_forecast(method: str, several: bool) -> None:
    model = quick(lags=2, differences=1).fit(waves(2) if several else wave(d=2))
    if several:
        for residuals in model.residuals_:
            residuals[:] = 0
    else:
        model.residuals_[:] = 0
    paths = model.simulate(6, 3, method=method)
    told = model.predict(6)
    assert paths.shape == ((3, 3, 6, 2) if several else (3, 6, 2))
    assert_allclose(paths, np.broadcast_to(np.expand_dims(told, -3), paths.shape), rtol=1e-12)


@pytest.mark.parametrize("method", ["bootstrap", "gaussian"])
def test_the_same_seed_gives_the_same_paths(method: str) -> None:
    model = quick().fit(wave())
    one = model.simulate(5, 10, method=method, random_state=1)
    assert_array_equal(one, model.simulate(5, 10, method=method, random_state=1))
    assert (one != model.simulate(5, 10, method=method, random_state=2)).any()
    interval = model.predict_interval(5, method=method, n_paths=50, random_state=1)
    again = model.predict_interval(5, method=method, n_paths=50, random_state=1)
    assert_array_equal(interval, again)


def test_what_is_drawn_first_is_a_residual_of_all_variables_together() -> None:
    model = quick(differences=1).fit(wave(d=2))
    drawn = model.simulate(1, 200, random_state=0)[:, 0] - model.predict(1)[0]
    centred = model.residuals_ - model.residuals_.mean(axis=0)
    apart = np.abs(drawn[:, None] - centred).max(axis=-1)
    assert apart.min(axis=1).max() < 1e-9
    assert len(np.unique(apart.argmin(axis=1))) > 40


def test_normal_paths_have_the_moments_of_the_linear_recursion() -> None:
    """h_t = W0 y_{t-1} + W11 h_{t-1} + b0 and y_t = W1 h_t + b1 + e_t, by powers of its matrix."""
    y = wave(80, d=2)
    model = RNNForecaster(3, activation="identity", solver="lbfgs", max_iter=15, random_state=0)
    model.fit(y)
    W0, W11, W1 = (
        model.network_.parameters[name] for name in ("weight_ih", "weight_hh", "weight_ho")
    )
    step = np.block([[W11, W0], [W1 @ W11, W1 @ W0]])
    e = (model.residuals_ - model.residuals_.mean(0)) / y.std(0)
    noise, covariance = e.T @ e / len(e), np.zeros((2, 2))
    paths = model.simulate(6, 40_000, method="gaussian", random_state=0)
    error = paths.std(0) / 200
    assert (np.abs(paths.mean(0) - model.predict(6)) < 4.5 * error).all()
    for h in range(6):
        response = np.linalg.matrix_power(step, h)[3:, 3:]
        covariance = covariance + response @ noise @ response.T
        found = np.cov(paths[:, h] / y.std(0), rowvar=False)
        scale = np.sqrt(np.outer(covariance.diagonal(), covariance.diagonal()))
        assert_allclose(found / scale, covariance / scale, atol=0.03)


@pytest.mark.parametrize("method", ["bootstrap", "gaussian"])
@pytest.mark.parametrize("coverage", [0.5, 0.9])
def test_an_interval_holds_the_share_that_it_should(method: str, coverage: float) -> None:
    """Of an AR(1) series, learned from one and tried on others."""
    rng = np.random.default_rng(0)
    y, others = rng.normal(size=(1, 3000)), rng.normal(size=(800, 65))
    for series in (y, others):
        for t in range(1, series.shape[1]):
            series[:, t] += 0.8 * series[:, t - 1]
    model = RNNForecaster(2, activation="identity", solver="lbfgs", random_state=0).fit(y[0])
    past, future = list(others[:, 30:60]), others[:, 60:]
    told = model.predict_interval(
        5, coverage, context=past, method=method, n_paths=400, random_state=0
    )
    assert told.shape == (800, 5, 2)
    inside = (told[..., 0] <= future) & (future <= told[..., 1])
    assert_allclose(inside.mean(axis=0), coverage, atol=0.06)
    assert_allclose(inside.mean(), coverage, atol=0.03)


@pytest.mark.parametrize("method", ["bootstrap", "gaussian"])
def test_what_residuals_have_in_common_does_not_make_paths_drift(method: str) -> None:
    model = quick(differences=1).fit(wave(d=2))
    paths = model.simulate(9, 5, method=method, random_state=0)
    model.residuals_ += [3.0, -40.0]
    again = model.simulate(9, 5, method=method, random_state=0)
    assert_allclose(again, paths, rtol=0, atol=1e-9)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("d", "several", "options"),
    [
        (None, False, {}),
        (2, False, {"differences": [1, 3], "lags": [1, 4]}),
        (None, True, {"scaling": "minmax", "lags": [1, 12], "solver": "lbfgs", "max_iter": 60}),
    ],
)
def test_calibration_errors_are_of_a_fit_without_the_latest_fifth(
    dtype: str, d: int | None, several: bool, options: dict[str, Any]
) -> None:
    """Of its forecasts from each origin in that fifth; each series by the scale of its head."""
    series = [y.astype(dtype) for y in waves(d)] if several else [wave(59, d).astype(dtype)]
    X = [calendar(len(y)) for y in series]
    model = quick(dtype=dtype, **options)
    model = model.fit(series, X) if several else model.fit(series[0], X[0])
    lost = sum(np.atleast_1d(options.get("differences", 0))) + np.max(options.get("lags", 1))
    cuts = [len(y) - -(-(len(y) - lost) // 5) for y in series]
    H = max(len(y) - cut for y, cut in zip(series, cuts, strict=True)) // 2
    heads = [y[:cut] for y, cut in zip(series, cuts, strict=True)]
    known = [x[:cut] for x, cut in zip(X, cuts, strict=True)]
    second = quick(dtype=dtype, **options)
    second = second.fit(heads, known) if several else second.fit(heads[0], known[0])

    errors = []
    for i, (y, x, cut) in enumerate(zip(series, X, cuts, strict=True)):
        alone = second
        if several:  # a forecaster of one series keeps its scale for a context
            alone = quick(dtype=dtype, **options).fit(heads[i], x[:cut])
            alone.network_.theta = second.network_.theta
            alone._frame = replace(alone._frame, exogenous=second._frame.exogenous)
        table = y.reshape(len(y), -1).astype("f8")
        for origin in range(cut, len(y)):
            h = min(H, len(y) - origin)
            forecast = alone.predict(
                h, x[origin : origin + h], context=y[:origin], X_context=x[:origin]
            )
            error = np.full((H, table.shape[1]), np.nan)
            error[:h] = table[origin : origin + h] - forecast.reshape(h, -1)
            errors.append(error / model._origins.spread[i])
    expected = np.array(errors) if d else np.array(errors)[..., 0]
    assert not model.bias_correction_
    assert_allclose(model.calibration_errors_, expected, rtol=0, atol=50 * tolerance(dtype))


def test_half_an_interval_is_the_error_that_the_next_one_exceeds_as_rarely_as_it_should() -> None:
    errors = np.arange(1.0, 10)[:, None, None]

    def quantile(coverage: float, n_effective: float = 9) -> float:
        calibration = Calibration(errors, np.array([[n_effective]]), False)
        return float(calibration.half_widths(coverage)[0, 0])

    for coverage in (0.1, 0.5, 0.8, 0.9):  # of 9 exchangeable errors, the one of rank 10 coverage
        assert quantile(coverage) == pytest.approx(10 * coverage)
    stretched = 9 * 2.262157 / 1.833113  # Student's t of 9 degrees, in tables: 0.975, 0.95
    assert quantile(0.95) == pytest.approx(stretched, rel=1e-6)
    assert quantile(0.64, 4) == pytest.approx(9 * 0.8)  # rank 5 coverage of 4, so 9/4 of that
    assert np.isfinite(quantile(np.nextafter(1, 0)))
    errors[8] = np.inf
    assert quantile(0.8) == 8
    assert np.isinf(quantile(0.9))


def test_a_forecast_that_left_the_range_of_numbers_is_an_infinite_error() -> None:
    actual, forecast = np.array([1.0, 1, np.nan]), np.array([3.0, np.nan, np.nan])
    assert_array_equal(_errors(actual, forecast), [-2.0, np.inf, np.nan])


def test_errors_that_share_steps_count_for_fewer() -> None:
    """Sums over 8 steps have the correlations 1 - k/8: n / (1 + 4/3 sum of their squares)."""
    e = np.random.default_rng(0).normal(size=4007)
    sums = np.lib.stride_tricks.sliding_window_view(e, 8).sum(axis=1)
    single = np.stack([e[:4000]] * 8, axis=1)[..., None]
    assert_allclose(_n_effective(single, [4000], 1)[:, 0], 4000, rtol=0.03)
    several = np.stack([sums] * 8, axis=1)[..., None]
    found = _n_effective(several, [1000] * 4, 1)[:, 0]
    expected = 1 + 4 / 3 * np.cumsum([0, *(1 - np.arange(1, 8) / 8) ** 2])
    assert_allclose(found, 4000 / expected, rtol=0.1)
    thinned = _n_effective(several[::4], [250] * 4, 4)[:, 0]  # only every 4th origin
    assert_allclose(thinned[-1], 1000 / (1 + 4 / 3 * 0.5**2), rtol=0.1)


@pytest.mark.parametrize("dtype", DTYPES)
def test_an_interval_covers_what_a_network_that_knows_its_series_by_heart_cannot_forecast(
    dtype: str,
) -> None:
    rng = np.random.default_rng(0)
    noise, others = rng.normal(size=160).astype(dtype), rng.normal(size=(300, 36)).astype(dtype)
    model = RNNForecaster(
        40, lags=12, early_stopping=False, solver="lbfgs", alpha=0, max_iter=150, random_state=0
    ).fit(noise)
    assert model.residuals_.std() < 0.2
    interval = model.predict_interval(6, 0.8, context=list(others[:, :30]))
    future = others[:, 30:]
    inside = (interval[..., 0] <= future) & (future <= interval[..., 1])
    assert 0.7 < inside.mean() < 0.93


@pytest.mark.parametrize("d", [None, 2])
@pytest.mark.parametrize("several", [False, True])
def test_a_larger_coverage_gives_a_wider_interval_about_the_forecast(
    d: int | None, several: bool
) -> None:
    model = quick(lags=2).fit(waves(d) if several else wave(d=d))
    H = model.calibration_errors_.shape[1] + 5
    forecast, before = model.predict(H), None
    for coverage in (1e-9, 0.3, 0.8, 0.9, 0.99, 1 - 1e-12):
        interval = model.predict_interval(H, coverage, n_paths=50, random_state=0)
        assert interval.shape == (*forecast.shape, 2)
        assert (interval[..., 0] <= forecast).all()
        assert (forecast <= interval[..., 1]).all()
        if before is not None:
            assert (interval[..., 0] <= before[..., 0]).all()
            assert (interval[..., 1] >= before[..., 1]).all()
        before = interval


def test_an_interval_has_nothing_random_in_it_up_to_the_horizon_of_its_errors() -> None:
    model = quick().fit(wave(80))
    H = model.calibration_errors_.shape[1]
    assert_array_equal(model.predict_interval(H), model.predict_interval(H, n_paths=3))
    longer = model.predict_interval(H + 2, random_state=1)
    assert_array_equal(longer[:H], model.predict_interval(H))
    assert_array_equal(longer, model.predict_interval(H + 2, random_state=1))


def test_an_interval_grows_as_paths_do_behind_the_horizon_of_its_errors() -> None:
    model = quick(differences=1).fit(wave(80))
    H = model.calibration_errors_.shape[1]
    interval = model.predict_interval(H + 9, n_paths=200, random_state=0)
    deviation = model.simulate(H + 9, 200, random_state=0).std(axis=0)
    widths = interval[:, 1] - interval[:, 0]
    assert_allclose(widths[H:] / widths[H - 1], deviation[H:] / deviation[H - 1], rtol=1e-9)
    assert widths[-1] > 1.2 * widths[H - 1]


@pytest.mark.parametrize("dtype", DTYPES)
def test_intervals_follow_a_level_that_is_beyond_what_was_seen(dtype: str) -> None:
    """A rise, which tanh units do not go on with: the corrected forecast has them in the middle."""
    rng = np.random.default_rng(0)
    y = (0.1 * np.arange(312) + rng.normal(size=312)).astype(dtype)
    model = RNNForecaster(16, random_state=0).fit(y[:300])
    assert model.bias_correction_
    interval, forecast = model.predict_interval(12), model.predict(12)
    assert forecast[-1] < y[300:].mean() - 1
    bias = 0.15 * 0.85 ** np.arange(64) @ model.residuals_[:-65:-1]
    longer = list(y[:300])
    for _ in range(12):
        longer.append(model.predict(1, context=np.array(longer, dtype))[0] + bias)
    center, rtol = np.array(longer[300:], np.float64), tolerance(dtype)
    widths = model._calibration.half_widths(0.9)[:12, 0] * y[:300].std()
    assert_allclose(interval[:, 1], center + widths, rtol=rtol)
    assert_allclose(interval[:, 0], np.minimum(center - widths, forecast), rtol=rtol)
    assert ((interval[:, 0] <= y[300:]) & (y[300:] <= interval[:, 1])).mean() > 0.7
    assert (interval[:, 1] - forecast > 2 * (forecast - interval[:, 0])).mean() > 0.7
    assert not RNNForecaster(16, differences=1, random_state=0).fit(y[:300]).bias_correction_


@pytest.mark.parametrize("d", [None, 2])
@pytest.mark.parametrize("several", [False, True])
def test_too_few_steps_to_calibrate_give_the_middle_of_paths_and_a_warning(
    d: int | None, several: bool
) -> None:
    y = [wave(4, d), wave(4, d)] if several else wave(4, d)
    model = RNNForecaster(3, max_iter=3, random_state=0).fit(y)
    assert model.calibration_errors_.shape == ((0, 0, d) if d else (0, 0))
    assert model.bias_correction_ is False
    with pytest.warns(UserWarning, match=r"^RNNForecaster was fitted on too few steps") as seen:
        interval = model.predict_interval(4, 0.8, n_paths=30, random_state=5)
    assert {w.filename for w in seen} == {__file__}
    paths = model.simulate(4, 30, random_state=5)
    lower, upper = np.quantile(paths, [0.1, 0.9], axis=int(several))
    assert_allclose(interval, np.stack([lower, upper], axis=-1), rtol=1e-12)


def test_series_that_are_too_short_are_left_out_of_calibration() -> None:
    model = RNNForecaster(3, max_iter=3, random_state=0).fit([wave(4), wave(40)])
    assert model.calibration_errors_.shape == (8, 4)
    assert model.predict_interval(4).shape == (2, 4, 2)


def test_the_second_network_is_silent_and_goes_on_with_warm_start(
    capsys: pytest.CaptureFixture[str],
) -> None:
    model = quick(warm_start=True, verbose=True).fit(wave())
    assert capsys.readouterr().out.count("Iteration 1,") == 1
    first = model.calibration_errors_
    model.fit(wave())
    assert len(model._second.loss_curve_) == 6
    assert (model.calibration_errors_ != first).any()


# ---- scikit-learn -------------------------------------------------------------------------------


def test_a_score_is_minus_the_scaled_error_of_the_continuation() -> None:
    y, X = wave(50, d=2), calendar(50)
    model = quick().fit(y[:40], X[:40])
    errors = abs(model.predict(10, X[40:]) - y[40:]) / abs(np.diff(y[:40], axis=0)).mean(0)
    assert model.score(y[40:], X[40:]) == pytest.approx(-errors.mean())

    series = waves()
    model = quick().fit([s[:-i] for i, s in enumerate(series, 3)])
    each = [
        abs(model.predict(i)[k] - s[-i:]).mean() / abs(np.diff(s[:-i])).mean()
        for k, (i, s) in enumerate(zip((3, 4, 5), series, strict=True))
    ]
    ends = [s[-i:] for i, s in enumerate(series, 3)]
    assert model.score(ends) == pytest.approx(-np.mean(each))


@pytest.mark.parametrize("with_X", [False, True])
def test_cross_validation_cuts_the_series(with_X: bool) -> None:
    y, X, folds = wave(), calendar(60) if with_X else None, TimeSeriesSplit(4)
    scores = cross_val_score(quick(), y, X, cv=folds, error_score="raise")
    for score, (train, test) in zip(scores, folds.split(y), strict=True):
        model = quick().fit(y[train], X[train] if with_X else None)
        assert score == model.score(y[test], X[test] if with_X else None)


def test_a_grid_search_chooses_lags_and_then_forecasts() -> None:
    y, grid = wave(), {"lags": [1, [1, 4]], "differences": [None, 12]}
    search = GridSearchCV(quick(), grid, cv=TimeSeriesSplit(2), error_score="raise").fit(y)
    assert len(search.cv_results_["params"]) == 4
    assert_array_equal(search.predict(5), clone(quick()).set_params(**search.best_params_).fit(
        y
    ).predict(5))  # fmt: skip


def test_it_is_an_estimator_as_others_are() -> None:
    model = quick(lags=[1, 2], alpha=0.5)
    assert re.sub(r"\s+", " ", repr(model)) == (
        "RNNForecaster(alpha=0.5, early_stopping=False, hidden_layer_sizes=5, lags=[1, 2], "
        "max_iter=3, random_state=0)"
    )
    assert clone(model).get_params() == model.get_params()
    regressor = RNNSequenceRegressor().get_params()
    own = {"lags", "differences", "scaling"}
    assert set(RNNForecaster().get_params()) == {*regressor, *own}
    assert RNNForecaster().get_params() == regressor | {
        "lags": 1, "differences": None, "scaling": "standard", "bptt_steps": "auto",
        "early_stopping": True
    }  # fmt: skip
    assert model.set_params(lags=3) is model
    with pytest.raises(TypeError, match="unexpected keyword argument 'lag'"):
        RNNForecaster(lag=3)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_pickled_forecaster_tells_the_same_and_goes_on(dtype: str) -> None:
    model = quick(differences=1, warm_start=True).fit([a.astype(dtype) for a in waves()])
    again = pickle.loads(pickle.dumps(model))
    assert_array_equal(again.predict(4), model.predict(4))
    assert_array_equal(again.simulate(4, 5, random_state=0), model.simulate(4, 5, random_state=0))
    assert_array_equal(again.predict_interval(3), model.predict_interval(3))
    other = [waves()[0].astype(dtype)]
    assert_array_equal(again.fit(other).predict(2), model.fit(other).predict(2))


def test_a_fit_that_fails_leaves_what_was_there() -> None:
    model = quick(lags=2).fit(wave(), calendar(60))
    before = pickle.dumps(vars(model))
    for y, X in (([1.0, np.nan] * 20, None), (wave(), calendar(59)), (wave(2), calendar(2))):
        with pytest.raises(ValueError, match=r"^RNNForecaster got"):
            model.fit(y, X)
    assert pickle.dumps(vars(model)) == before
    model.set_params(hidden_layer_sizes=(3, 0))
    with pytest.raises(ValueError, match=r"^RNNForecaster got hidden_layer_sizes"):
        model.fit(wave(d=2))
    assert model.predict(3, calendar(3)).shape == (3,)


def test_parameters_that_change_after_fit_do_not_change_forecasts() -> None:
    model = quick(lags=2, differences=1).fit(wave())
    told = model.predict(5, context=wave(20))
    model.set_params(lags=1, differences=None, scaling=None)
    assert_array_equal(model.predict(5, context=wave(20)), told)


def test_columns_of_arrow_are_compared_by_name() -> None:
    table = pytest.importorskip("pyarrow").table
    y = table({"load": wave(), "price": wave(seed=1)})
    with pytest.raises(ValueError, match=r"y\[1\] with columns \['price', 'load'\], but y\[0\]"):
        quick().fit([y, y.select(["price", "load"])])


def test_columns_of_data_frames_must_be_those_of_fit() -> None:
    frame = pd.DataFrame(wave(d=2), columns=["load", "price"])
    known = pl.DataFrame(calendar(60), schema=["day", "year"], orient="row")
    model = quick().fit(frame, known)
    swapped, other = frame[["price", "load"]], known[["year", "day"]]
    told = r"columns \['price', 'load'\], but the y of fit had \['load', 'price'\]; expected the"
    with pytest.raises(ValueError, match=f"^RNNForecaster got context with {told} same columns in"):
        model.predict(2, known[:2], context=swapped, X_context=known)
    with pytest.raises(ValueError, match=f"^RNNForecaster got y with {told}"):
        model.score(swapped, known)
    told = r"columns \['year', 'day'\], but the X of fit had \['day', 'year'\]"
    with pytest.raises(ValueError, match=f"^RNNForecaster got X_future with {told}"):
        model.predict(2, other[:2])
    with pytest.raises(ValueError, match=f"^RNNForecaster got X_context with {told}"):
        model.predict(2, known[:2], context=frame, X_context=other)
    with pytest.raises(
        ValueError, match=r"^RNNForecaster got y\[2\] with columns .*, but y\[1\] has \['load'"
    ):
        quick().fit([wave(d=2), frame, swapped])

    forecast = model.predict(2, known[:2])
    assert_array_equal(
        model.predict(2, known.to_numpy()[:2], context=frame, X_context=known), forecast
    )
    model.fit(wave(d=2))
    assert model.predict(2, context=swapped).shape == (2, 2)  # no names to go by
    numbered = pd.DataFrame(wave(d=2))
    assert model.fit(numbered).predict(2, context=frame).shape == (2, 2)


# ---- forecasts that grow ------------------------------------------------------------------------


def growing(dtype: str, activation: str = "identity", **parameters: Any) -> RNNForecaster:
    """A forecaster whose network makes 3 of each 2."""
    model = quick(1, dtype=dtype, activation=activation, scaling=None, **parameters).fit(wave())
    model.network_.theta[:] = 0
    model.network_.parameters["weight_ih"][:] = 1.5
    model.network_.parameters["weight_ho"][:] = 1
    model.residuals_[:] = 0
    return model


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", ["identity", "relu"])
def test_a_forecast_that_leaves_the_range_of_numbers_is_told(dtype: str, activation: str) -> None:
    model = growing(dtype, activation)
    last = int(np.log(np.finfo(dtype).max) / np.log(1.5))
    context = [[1.0, 1.0], [1.5, 1.5], [1e-9, 1e-9]]
    told = f"^RNNForecaster: 2 of 3 forecasts or paths leave the range of {dtype}, the first one at"
    with pytest.warns(RuntimeWarning, match=f"{told} step {last - 1}, .*activation='tanh'") as seen:
        forecast = model.predict(last + 1, context=context)
    assert {w.filename for w in seen} == {__file__}
    assert len(seen) == 1
    exact = np.array(context)[:, -1:] * 1.5 ** np.arange(1, last)
    assert_allclose(forecast[:, : last - 1], exact, rtol=1e-3)
    assert_array_equal(np.isnan(forecast).sum(axis=1), [1, 2, 0])
    assert np.isfinite(forecast).sum() == forecast.size - 3


def test_paths_intervals_and_scores_of_a_growing_forecast_are_nan_and_told() -> None:
    model = growing("float32", differences=1)
    steps = 300
    one = r"^RNNForecaster: the forecast leaves the range of float32 at step \d+ and is NaN"
    with pytest.warns(RuntimeWarning, match=one):
        forecast = model.predict(steps)
    good = np.isfinite(forecast)
    assert 100 < good.sum() < steps
    assert good[: good.sum()].all()
    with pytest.warns(RuntimeWarning, match=r"^RNNForecaster: 4 of 4 forecasts or paths") as seen:
        paths = model.simulate(steps, 4, random_state=0)
    assert len(seen) == 1
    with pytest.warns(RuntimeWarning, match=r"^RNNForecaster: 4 of 4 ") as seen:
        interval = model.predict_interval(steps, n_paths=4, random_state=0)
    assert len(seen) == 1
    assert_array_equal(np.isfinite(paths), np.tile(good, (4, 1)))
    assert_array_equal(np.isfinite(interval), np.stack([good, good], axis=1))
    with pytest.warns(RuntimeWarning, match=one):
        assert np.isnan(model.score(np.ones(steps)))


def test_a_bounded_network_is_not_the_cause_of_too_large_forecasts() -> None:
    y = np.float32(3e38) * np.sin(np.arange(60, dtype="f4"))
    model = quick(scaling="minmax", differences=1).fit(y / 4)
    model.network_.parameters["bias_o"][:] += 9
    with pytest.warns(RuntimeWarning, match="float32 at step .*or divide y by its size first"):
        model.predict(50)


# ---- what is refused ----------------------------------------------------------------------------

TOO_LARGE = 1e200 * np.array([1.0, -1.0] * 10)

BAD_SERIES: list[tuple[str, Any, Any, str]] = [
    ("nothing", None, TypeError, "y of type NoneType .*expected .*steps of one series"),
    ("a number", 3.0, TypeError, "y of type float"),
    ("text", "abc", TypeError, "y of type str"),
    ("texts", np.array(["a", "b"]), ValueError, "y of dtype <U1.*real number"),
    ("dates", np.ones(9, "M8[D]"), ValueError, r"y of dtype datetime64\[D\].*real number"),
    ("complex", np.ones(9) * 1j, ValueError, "y of dtype complex128"),
    ("no series", [], ValueError, "y with 0 series; expected a list"),
    ("no step", np.empty(0), ValueError, "y with 0 steps; expected"),
    ("no variable", np.empty((9, 0)), ValueError, "y with 0 variables"),
    ("an empty one", [wave(), []], ValueError, r"y\[1\] with 0 steps"),
    ("cubic", np.ones((3, 9, 1)), ValueError, r"y .*shape \(3, 9, 1\).*list\(y\)"),
    ("a number among", [wave(), 1.0], TypeError, r"y\[1\] of type float"),
    ("a cube among", [wave(), np.ones((2, 2, 2))], ValueError, r"y\[1\] .*\(2, 2, 2\)"),
    ("another d", [wave(), wave(d=2)], ValueError, r"y\[1\] with 2 variables, but y\[0\] has 1"),
    ("NaN", [1.0, np.nan, 2.0], ValueError, "y with NaN at step 1, variable 0; .*fill it in"),
    ("inf", [wave(), [0.0, 1.0, np.inf]], ValueError, r"y\[1\] with infinity at step 2"),
    ("masked", np.ma.ones(9), TypeError, "y as a masked array"),
    ("short", [1.0], ValueError, "y with 1 steps, but .* take 2; give more steps"),
    ("short among", [wave(), [1.0]], ValueError, r"y\[1\] with 1 steps.*differences\.$"),
    (
        "rows",
        [[1.0, 2.0]] * 9,
        ValueError,
        r"y\[0\] with 1 steps to learn.* np.asarray\(y\) is one of 9 steps of 2 variables",
    ),
    ("column", [[1.0]] * 9, ValueError, r"y\[0\] with 1 steps, .* one of 9 steps of 1 var"),
    ("too large", TOO_LARGE, ValueError, "y with values that are too large for float64"),
]


@pytest.mark.parametrize(
    ("y", "error", "told"), [row[1:] for row in BAD_SERIES], ids=[row[0] for row in BAD_SERIES]
)
def test_bad_series_are_refused(y: Any, error: Any, told: str) -> None:
    with pytest.raises(error, match=f"(?s)^RNNForecaster got {told}"):
        RNNForecaster(3).fit(y)


BAD_EXOGENOUS: list[tuple[str, Any, Any, str]] = [
    ("short", wave(), calendar(59), "X with 59 steps, but y has 60; expected a row for each"),
    ("one for several", waves(), calendar(30), "3 in y|30 series in X"),
    ("too few", waves(), [calendar(30)] * 2, "2 series in X, but 3 in y"),
    ("short among", waves(), [calendar(30)] * 3, r"X\[1\] with 30 steps, but y\[1\] has 45"),
    ("several for one", wave(), [calendar(60)] * 2, r"X .*shape \(2, 60, 2\)"),
    ("NaN", wave(), np.full(60, np.nan), "X with NaN at step 0, variable 0"),
]


@pytest.mark.parametrize(
    ("y", "X", "told"), [row[1:] for row in BAD_EXOGENOUS], ids=[row[0] for row in BAD_EXOGENOUS]
)
def test_bad_exogenous_variables_are_refused(y: Any, X: Any, told: str) -> None:
    with pytest.raises(ValueError, match=f"(?s)^RNNForecaster got .*({told})"):
        RNNForecaster(3).fit(y, X)


BAD_PARAMETERS: list[tuple[dict[str, Any], Any, str]] = [
    ({"lags": 0}, ValueError, "'lags' parameter of RNNForecaster"),
    ({"lags": 1.5}, ValueError, "'lags' parameter of RNNForecaster"),
    ({"lags": []}, ValueError, r"RNNForecaster got lags=\[\]; expected at least one"),
    (
        {"lags": 2**63},
        ValueError,
        "lags=9223372036854775808; expected an int from 1 up to 2147483647",
    ),
    (
        {"lags": [1, 2**64]},
        ValueError,
        r"lags\[1\]=1844.*; expected an int from 1 up to 2147483647",
    ),
    ({"differences": 2**31}, ValueError, "differences=2147483648; expected an int from 1 up to"),
    ({"lags": [1, 0]}, ValueError, r"RNNForecaster got lags\[1\]=0; expected an int from 1"),
    ({"lags": [1, 2.0]}, TypeError, r"RNNForecaster got lags\[1\]=2.0; expected an int"),
    ({"lags": [2, 2]}, ValueError, r"RNNForecaster got lags=\[2, 2\]; expected each lag once"),
    ({"lags": [[1], [2]]}, TypeError, r"RNNForecaster got lags\[0\]=\[1\]"),
    ({"differences": 0}, ValueError, "'differences' parameter of RNNForecaster"),
    ({"differences": "1"}, ValueError, "'differences' parameter of RNNForecaster"),
    ({"differences": [1, -1]}, ValueError, r"RNNForecaster got differences\[1\]=-1"),
    ({"differences": True}, TypeError, "RNNForecaster got differences=True; expected an int"),
    ({"lags": True}, TypeError, "RNNForecaster got lags=True; expected an int"),
    ({"differences": 60}, ValueError, "y with 60 steps, but differences of 60 steps"),
    ({"lags": 59, "differences": 1}, ValueError, "lags of 59 and a step to learn take 61"),
    ({"scaling": "robust"}, ValueError, "'scaling' parameter of RNNForecaster"),
    ({"missing": "mask"}, ValueError, "'missing' parameter of RNNForecaster"),
    ({"bptt_steps": "all"}, ValueError, "'bptt_steps' parameter of RNNForecaster"),
    ({"bptt_stride": 26}, ValueError, "RNNForecaster got bptt_stride=26 with bptt_steps=25"),
    ({"solver": "lbfgs", "bptt_steps": 9}, ValueError, "RNNForecaster got bptt_steps=9"),
    ({"hidden_layer_sizes": (3, 0)}, ValueError, "RNNForecaster got hidden_layer_sizes"),
    ({"early_stopping": True, "lags": 58}, ValueError, "y with 2 steps to learn, .*hold out 2"),
]


@pytest.mark.parametrize(("parameters", "error", "told"), BAD_PARAMETERS, ids=repr)
def test_bad_parameters_are_refused(parameters: dict[str, Any], error: Any, told: str) -> None:
    with pytest.raises(error, match=told):
        RNNForecaster(**{"hidden_layer_sizes": 3} | parameters).fit(wave())


@pytest.fixture(scope="module")
def plain() -> RNNForecaster:
    with pytest.warns(ConvergenceWarning):
        return quick(lags=3, differences=2).fit(wave(d=2))


@pytest.fixture(scope="module")
def with_exogenous() -> RNNForecaster:
    with pytest.warns(ConvergenceWarning):
        return quick().fit(waves(), [calendar(T) for T in LENGTHS])


@pytest.mark.parametrize(
    ("call", "error", "told"),
    [
        (lambda m: m.predict(0), ValueError, "horizon=0; expected an int from 1 up"),
        (
            lambda m: m.predict(2**63),
            ValueError,
            "horizon=92.*; expected an int from 1 up to 2147483647",
        ),
        (
            lambda m: m.simulate(3, 2**31),
            ValueError,
            "n_paths=21.*; expected an int from 1 up to 21",
        ),
        (lambda m: m.predict(2.0), TypeError, "horizon=2.0; expected an int"),
        (lambda m: m.predict(True), TypeError, "horizon=True; expected an int"),
        (lambda m: m.predict(wave()), TypeError, "horizon=array"),
        (lambda m: m.predict(3, calendar(3)), ValueError, "X_future, but was fitted without"),
        (lambda m: m.predict(3, X_context=calendar(3)), ValueError, "X_context without context"),
        (
            lambda m: m.predict(3, context=wave(d=2), X_context=calendar(60)),
            ValueError,
            "X_context, but was fitted without",
        ),
        (lambda m: m.predict(3, context=wave()), ValueError, "context with 1 variables.* of 2"),
        (
            lambda m: m.predict(3, context=wave(4, d=2)),
            ValueError,
            "context with 4 steps, but differences of 2 steps, lags of 3 take 5",
        ),
        (
            lambda m: m.predict(3, context=[wave(9, d=2), wave(4, d=2)]),
            ValueError,
            r"context\[1\] with 4 steps",
        ),
        (
            lambda m: m.predict(3, context=np.full((9, 2), np.inf)),
            ValueError,
            "context with infinity at step 0, variable 0",
        ),
        (lambda m: m.predict(3, context=[]), ValueError, "context with 0 series"),
        (lambda m: m.simulate(3, 0), ValueError, "n_paths=0; expected an int from 1 up"),
        (lambda m: m.simulate(3, 1.5), TypeError, "n_paths=1.5"),
        (lambda m: m.simulate(3, method="normal"), ValueError, "method='normal'; .*'gaussian'"),
        (lambda m: m.simulate(3, method=wave()), ValueError, "method=array.*expected one of"),
        (lambda m: m.simulate(3, random_state="a"), ValueError, "random_state='a'; expected None"),
        (
            lambda m: m.predict_interval(3, random_state=np.random.default_rng(0)),
            ValueError,
            r"random_state=Generator\(PCG64\) .*; expected None, an int from 0 up or a numpy",
        ),
        (lambda m: m.predict_interval(3, 1.0), ValueError, "coverage=1.0; expected a number betw"),
        (lambda m: m.predict_interval(3, 0), ValueError, "coverage=0; expected"),
        (lambda m: m.predict_interval(3, 95), ValueError, "coverage=95; expected"),
        (lambda m: m.predict_interval(3, "0.9"), ValueError, "coverage='0.9'; expected"),
        (lambda m: m.predict_interval(3, n_paths=-1), ValueError, "n_paths=-1"),
        (lambda m: m.score(wave()), ValueError, "y with 1 variables.* of 2"),
        (lambda m: m.score(wave(d=2), calendar(60)), ValueError, "X, but was fitted without"),
        (lambda m: m.score([wave(d=2)] * 2), ValueError, r"y .*shape \(2, 60, 2\)"),
    ],
)
def test_bad_calls_are_refused(plain: RNNForecaster, call: Any, error: Any, told: str) -> None:
    with pytest.raises(error, match=f"(?s)^RNNForecaster got .*{told}"):
        call(plain)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda m: m.predict(3), "no X_future, but was fitted with exogenous"),
        (lambda m: m.predict(3, calendar(3)), "X_future with 1 variables.* with 2"),
        (lambda m: m.predict(3, np.ones((2, 3, 2))), "2 series in X_future, but 3 in fit"),
        (lambda m: m.predict(3, np.ones((3, 3, 1))), "X_future with 1 variables.* with 2"),
        (lambda m: m.predict(3, np.ones((3, 4, 2))), r"X_future\[0\] with 4 steps, but horizon=3"),
        (lambda m: m.predict(3, [calendar(3)] * 2 + [calendar(2)]), r"X_future\[2\] with 2 steps"),
        (lambda m: m.predict(3, np.full((3, 3, 2), np.nan)), r"X_future\[0\] with NaN at step 0"),
        (lambda m: m.predict(3, calendar(3), context=wave()), "no X_context, but was fitted with"),
        (
            lambda m: m.predict(3, calendar(3), context=wave(), X_context=calendar(59)),
            "X_context with 59 steps, but context has 60",
        ),
        (
            lambda m: m.predict(3, [calendar(3)] * 2, context=[wave()], X_context=[calendar(60)]),
            "2 series in X_future, but 1 in context",
        ),
        (lambda m: m.score(waves()), "no X, but was fitted with"),
        (lambda m: m.score(waves()[:2]), "2 series in y, but 3 in fit"),
        (
            lambda m: m.score(waves(), [calendar(T, 1) for T in LENGTHS]),
            "X with 1 variables, but was fitted with 2",
        ),
    ],
)
def test_bad_calls_with_exogenous_variables_are_refused(
    with_exogenous: RNNForecaster, call: Any, told: str
) -> None:
    with pytest.raises(ValueError, match=f"(?s)^RNNForecaster got .*({told})"):
        call(with_exogenous)


@pytest.mark.parametrize("name", ["predict", "simulate", "predict_interval", "score"])
def test_nothing_is_told_before_fit(name: str) -> None:
    argument = wave() if name == "score" else 3
    with pytest.raises(NotFittedError, match="RNNForecaster instance is not fitted"):
        getattr(RNNForecaster(), name)(argument)


def test_nothing_here_is_refused_for_another_reason(
    plain: RNNForecaster, with_exogenous: RNNForecaster
) -> None:
    assert plain.predict(3, context=wave(5, d=2)).shape == (3, 2)
    assert plain.predict_interval(3, 0.95, n_paths=5).shape == (3, 2, 2)
    assert with_exogenous.predict(3, np.ones((3, 3, 2))).shape == (3, 3)
    told = with_exogenous.predict(3, calendar(3), context=wave(), X_context=calendar(60))
    assert told.shape == (3,)


def test_a_warning_of_training_is_told_where_fit_was_called() -> None:
    with pytest.warns(ConvergenceWarning, match=re.escape("Maximum iterations (3)")) as caught:
        quick().fit(wave())
    assert [w.filename for w in caught] == [__file__]


@pytest.mark.parametrize("name", ["RNNForecaster", "Mine"])
def test_an_error_of_training_names_the_class_that_is_fitted(name: str) -> None:
    forecaster = RNNForecaster if name == "RNNForecaster" else type(name, (RNNForecaster,), {})
    with pytest.raises(ValueError, match=rf"^{name} got hidden_layer_sizes=\(2, 0\)"):
        forecaster((2, 0)).fit(wave())
    with pytest.raises(ValueError, match=f"^{name} got bptt_streams=True; .* a number of steps"):
        forecaster(2, bptt_streams=True, bptt_steps=None).fit(wave())
