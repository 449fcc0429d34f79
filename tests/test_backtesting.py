"""Backtests: a loop by hand, no step of the future told, and metrics by numbers on paper."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import cbptt
from cbptt import RNNForecaster, backtest
from cbptt.backtesting import mase, rmse, seasonal_naive, smape

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def wave(T: int = 60, d: int | None = None, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    t = np.arange(T)[:, None] + np.arange(d or 1)
    y = 50 + 8 * np.sin(2 * np.pi * t / 12) + rng.normal(size=t.shape)
    return y if d else y[:, 0]


def quick(**parameters: Any) -> RNNForecaster:
    return RNNForecaster(
        5, **{"max_iter": 3, "random_state": 0, "early_stopping": False} | parameters
    )


class Naive:
    """The seasonal-naive forecast of one series, as others would write it: without get_params."""

    def __init__(self, season: int = 1) -> None:
        self.season = season

    def fit(self, y: np.ndarray) -> None:
        assert not hasattr(self, "y")
        self.y = y

    def predict(self, horizon: int) -> np.ndarray:
        return np.array([self.y[-self.season :][h % self.season] for h in range(horizon)])


class Witness:
    """Tells what it saw last, and writes down all it is given."""

    def __init__(self, calls: list[Any]) -> None:
        self.calls = calls

    def __deepcopy__(self, memo: Any) -> Witness:
        return Witness(self.calls)

    def fit(self, y: Any, X: Any = None) -> None:
        self.y = y
        self.calls.append(("fit", y, X))

    def predict(
        self, horizon: int, X_future: Any = None, *, context: Any = None, X_context: Any = None
    ) -> np.ndarray:
        self.calls.append(("predict", context, X_context, X_future))
        seen = self.y if context is None else context
        if isinstance(seen, list):
            return np.stack([np.repeat(s[-1:], horizon, axis=0) for s in seen])
        return np.repeat(seen[-1:], horizon, axis=0)


# ---- metrics ------------------------------------------------------------------------------------


def test_mase_is_the_error_over_that_of_the_naive_forecast_within_the_past() -> None:
    past = [1.0, 3.0, 2.0, 6.0]  # steps 2, 1, 4; at two steps 1, 3
    assert mase([5.0, 8.0], [4.0, 4.0], past) == pytest.approx(2.5 / (7 / 3))
    assert mase([5.0, 8.0], [4.0, 4.0], past, season_length=2) == pytest.approx(2.5 / 2)
    two = np.stack([past, np.array(past) * 10], axis=1)
    true, told = np.array([[5.0, 50.0]]), np.array([[4.0, 43.0]])
    assert mase(true, told, two) == pytest.approx((1 + 0.7) / 2 / (7 / 3))


def test_mase_of_a_constant_past_is_0_or_infinite() -> None:
    assert mase([5.0], [5.0], [5.0, 5.0]) == 0
    assert mase([5.0], [5.1], [5.0, 5.0]) == np.inf


def test_smape_is_of_each_step_by_the_sizes_of_both() -> None:
    assert smape([100.0], [110.0]) == pytest.approx(200 * 10 / 210)
    assert smape([0.0, 2.0, -2.0], [0.0, 0.0, 2.0]) == pytest.approx((0 + 200 + 200) / 3)


def test_rmse_is_the_root_of_the_mean_square() -> None:
    assert rmse([[1.0, 2.0], [3.0, 4.0]], [[1.0, 2.0], [3.0, 8.0]]) == 2.0


@pytest.mark.parametrize("size", [2.0**-700, 1.0, 2.0**1000])
def test_rmse_of_numbers_whose_squares_are_out_of_range_is_right(size: float) -> None:
    assert rmse([6 * size, 8 * size], [0.0, 0.0]) == np.sqrt(50) * size
    assert rmse([0.0, size], [0.0, size]) == 0.0


class TellsNothing:
    """Tells NaN of the second step, and infinity of the third."""

    def fit(self, y: Any) -> None:
        pass

    def predict(self, horizon: int) -> np.ndarray:
        return np.array([1.0, np.nan, np.inf])


def test_what_is_no_number_in_a_forecast_is_none_in_its_scores() -> None:
    found = backtest(TellsNothing(), wave(20), horizon=3, refit=True)
    assert np.isnan([found.scores.mase, found.scores.smape, found.scores.rmse]).all()
    for by_step in (found.scores.mase_by_step, found.scores.rmse_by_step):
        assert np.isfinite(by_step[0])
        assert_array_equal(by_step[1:], [np.nan, np.inf])
    assert np.isfinite(found.naive_scores.rmse)


@pytest.mark.parametrize("season", [1, 3, 5])
@pytest.mark.parametrize("d", [None, 2])
def test_the_seasonal_naive_forecast_is_the_latest_value_of_that_season(
    season: int, d: int | None
) -> None:
    y = wave(20, d)
    told = seasonal_naive(y, 12, season)
    for h in range(12):
        latest = max(t for t in range(20) if (t - (20 + h)) % season == 0)
        assert_array_equal(told[h], y[latest])


@pytest.mark.parametrize(
    ("call", "error", "told"),
    [
        (lambda: mase([1.0], [1.0, 2.0], [1.0, 2.0]), ValueError, "mase got y_pred of 2 steps"),
        (lambda: mase([1.0], [1.0], [1.0]), ValueError, "mase got season_length=1, .*at most 0"),
        (lambda: mase([1.0], [1.0], [1.0, 2.0], 2), ValueError, "season_length=2, .*at most 1"),
        (lambda: mase([1.0], [1.0], np.ones((3, 2))), ValueError, "y_train with 2 variables"),
        (lambda: mase([np.nan], [1.0], [1.0, 2.0]), ValueError, "mase got y_true with NaN"),
        (lambda: smape([1.0], [np.inf]), ValueError, "smape got y_pred with infinity at step 0"),
        (lambda: rmse([[1.0]], [[1.0, 2.0]]), ValueError, "rmse got y_pred of 1 steps of 2"),
        (lambda: rmse("a", [1.0]), TypeError, "rmse got y_true of type str"),
        (lambda: seasonal_naive([1.0], 0), ValueError, "seasonal_naive got horizon=0"),
        (lambda: seasonal_naive([1.0], 2, 2), ValueError, "season_length=2, .*at most 1"),
        (lambda: seasonal_naive([1.0], 2, 1.0), TypeError, "season_length=1.0; expected an int"),
    ],
)
def test_bad_arguments_of_metrics_are_refused(call: Any, error: Any, told: str) -> None:
    with pytest.raises(error, match=told):
        call()


# ---- backtests ----------------------------------------------------------------------------------


@pytest.mark.parametrize("refit", [False, True, 2])
@pytest.mark.parametrize("with_X", [False, True])
@pytest.mark.parametrize("d", [None, 2])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_backtest_is_a_loop_over_origins(refit: Any, with_X: bool, d: Any, dtype: str) -> None:
    y, X = wave(60, d).astype(dtype), np.cos(np.arange(60)).astype(dtype)
    found = backtest(
        quick(), y, horizon=4, X=X if with_X else None, min_train=40, stride=6, refit=refit
    )
    assert_array_equal(found.origins, [40, 46, 52])
    assert_array_equal(found.series, [0, 0, 0])
    models = [quick().fit(y[:o], X[:o] if with_X else None) for o in (40, 46, 52)]
    used = {False: [0, 0, 0], True: [0, 1, 2], 2: [0, 0, 2]}[refit]
    for row, (origin, i) in enumerate(zip((40, 46, 52), used, strict=True)):
        arguments = [4, X[origin : origin + 4]] if with_X else [4]
        context = {"context": y[:origin]} | ({"X_context": X[:origin]} if with_X else {})
        told = models[i].predict(*arguments, **context)
        assert_array_equal(found.forecasts[row], told)
        assert_array_equal(found.actual[row], y[origin : origin + 4])
        assert_array_equal(found.naive_forecasts[row], np.repeat(y[origin - 1 : origin], 4, axis=0))


@pytest.mark.parametrize("d", [None, 2])
def test_scores_are_the_metrics_of_all_rows_and_of_each_step(d: int | None) -> None:
    y = wave(60, d)
    found = backtest(quick(), y, horizon=3, min_train=41, season_length=12)
    for told, scores in (
        (found.forecasts, found.scores),
        (found.naive_forecasts, found.naive_scores),
    ):
        rows = list(zip(found.actual, told, [y[:o] for o in found.origins], strict=True))
        assert scores.mase == pytest.approx(np.mean([mase(*row, 12) for row in rows]))
        assert scores.smape == pytest.approx(np.mean([smape(*row[:2]) for row in rows]))
        assert scores.rmse == pytest.approx(np.sqrt(np.square(found.actual - told).mean()))
        for h in range(3):
            step = [(a[h : h + 1], f[h : h + 1], past) for a, f, past in rows]
            assert scores.mase_by_step[h] == pytest.approx(np.mean([mase(*s, 12) for s in step]))
            assert scores.smape_by_step[h] == pytest.approx(np.mean([smape(*s[:2]) for s in step]))
            squared = np.square([a - f for a, f, _ in step])
            assert scores.rmse_by_step[h] == pytest.approx(np.sqrt(squared.mean()))


@pytest.mark.parametrize("season", [1, 12])
def test_the_naive_forecaster_is_as_good_as_the_naive_forecast(season: int) -> None:
    y, model = wave(), Naive(season)
    found = backtest(model, y, horizon=5, min_train=30, refit=True, season_length=season)
    assert not hasattr(model, "y")
    assert_array_equal(found.forecasts, found.naive_forecasts)
    assert found.scores.mase == found.naive_scores.mase
    by_definition = [
        np.abs(y[o : o + 5] - np.resize(y[o - season : o], 5)).mean()
        / np.abs(y[season:o] - y[: o - season]).mean()
        for o in range(30, 56, 5)
    ]
    assert found.naive_scores.mase == pytest.approx(np.mean(by_definition))


@pytest.mark.parametrize("refit", [False, True])
def test_no_step_from_the_origin_on_is_told(refit: bool) -> None:
    y, X, calls = np.arange(20.0), np.arange(20.0) + 100, []
    found = backtest(Witness(calls), y, horizon=2, X=X, min_train=10, stride=5, refit=refit)
    assert_array_equal(found.forecasts, [[9, 9], [14, 14]])
    fits = [call for call in calls if call[0] == "fit"]
    told = [call for call in calls if call[0] == "predict"]
    assert len(fits) == (2 if refit else 1)
    for (_, past, known), T in zip(fits, (10, 15), strict=False):
        assert_array_equal(past, y[:T])
        assert_array_equal(known, X[:T])
    assert_array_equal([call[3] for call in told], [X[10:12], X[15:17]])
    assert told[0][1:3] == (None, None)
    if not refit:
        assert_array_equal(told[1][1], y[:15])
        assert_array_equal(told[1][2], X[:15])


def test_what_a_forecaster_writes_into_its_arrays_does_not_matter() -> None:
    class Careless(Naive):
        def predict(self, horizon: int) -> np.ndarray:
            told = super().predict(horizon)
            self.y[:] = 0
            return told

    y = wave()
    before = y.copy()
    careful, careless = (
        backtest(model, y, horizon=5, refit=True) for model in (Naive(), Careless())
    )
    assert_array_equal(y, before)
    assert careless.scores.mase == careful.scores.mase


@pytest.mark.parametrize("refit", [False, True])
def test_series_that_end_earlier_have_fewer_origins(refit: bool) -> None:
    series = [wave(30), wave(41, seed=1), wave(36, seed=2)]
    found = backtest(quick(), series, horizon=5, min_train=25, refit=refit)
    rows = [(0, 25), (1, 25), (2, 25), (1, 30), (2, 30), (1, 35)]
    assert list(zip(found.series, found.origins, strict=True)) == rows
    first = quick().fit([s[:25] for s in series])
    assert_array_equal(found.forecasts[:3], first.predict(5))
    later = [series[1][:30], series[2][:30]]
    told = quick().fit(later).predict(5) if refit else first.predict(5, context=later)
    assert_array_equal(found.forecasts[3:5], told)
    errors = [
        mase(found.actual[k], found.forecasts[k], series[i][:o]) for k, (i, o) in enumerate(rows)
    ]
    assert found.scores.mase == pytest.approx(np.mean(errors))


def test_several_series_have_exogenous_variables_each() -> None:
    series = [wave(30, 2), wave(33, 2, seed=1)]
    X = [np.sin(np.arange(len(s)))[:, None] for s in series]
    found = backtest(quick(), series, horizon=2, X=X, min_train=28, stride=3)
    model = quick().fit([s[:28] for s in series], [x[:28] for x in X])
    assert_array_equal(found.forecasts[:2], model.predict(2, [x[28:30] for x in X]))
    told = model.predict(2, [X[1][31:]], context=[series[1][:31]], X_context=[X[1][:31]])
    assert_array_equal(found.forecasts[2:], told)


def test_half_of_the_shortest_series_comes_before_the_first_origin() -> None:
    found = backtest(Naive(), wave(21), horizon=5, refit=True)
    assert_array_equal(found.origins, [10, 15])
    found = backtest(Naive(), wave(21), horizon=5, refit=True, season_length=12)
    assert_array_equal(found.origins, [13])
    assert cbptt.backtest is backtest


def test_the_forecaster_stays_as_it_is() -> None:
    model = quick().fit(wave(30))
    before = model.predict(3)
    backtest(model, wave(40, seed=1), horizon=3)
    assert_array_equal(model.predict(3), before)


class Odd(Naive):
    def predict(self, horizon: int) -> Any:
        return super().predict(horizon)[:, None]


@pytest.mark.parametrize(
    ("options", "error", "told"),
    [
        ({"horizon": 0}, ValueError, "horizon=0; expected an int from 1 up"),
        ({"horizon": 2.5}, TypeError, "horizon=2.5; expected an int"),
        ({"stride": 2**63}, ValueError, "stride=92.*; expected an int from 1 up to 2147483647"),
        ({"stride": 0}, ValueError, "stride=0; expected an int from 1 up"),
        ({"refit": -1}, ValueError, "refit=-1; expected an int from 1 up"),
        ({"refit": "yes"}, TypeError, "refit='yes'; expected an int"),
        ({"season_length": 0}, ValueError, "season_length=0"),
        ({"min_train": 1}, ValueError, "min_train=1; expected an int from 2 up"),
        ({"min_train": 4, "season_length": 4}, ValueError, "min_train=4 .*expected at least 5"),
        ({"min_train": 19}, ValueError, "y with 20 steps, but min_train=19 and horizon=2 take 21"),
        ({"y": [wave(20), wave(9)], "min_train": 8}, ValueError, r"y\[1\] with 9 steps, but"),
        ({"y": np.r_[wave(20), np.nan]}, ValueError, "y with NaN at step 20"),
        ({"y": None}, TypeError, "y of type NoneType"),
        ({"X": np.ones(19)}, ValueError, "X with 19 steps, but y has 20"),
        ({"y": [wave(20)] * 2, "X": [np.ones(20)]}, ValueError, "1 series in X, but 2 in y"),
        (
            {"forecaster": Naive(), "refit": False},
            TypeError,
            "refit=False with Naive, .*refit=True",
        ),
        ({"forecaster": Naive(), "refit": 3}, TypeError, "refit=3 with Naive"),
        ({"forecaster": Naive}, TypeError, "a forecaster <class .*Naive.*expected an object"),
        ({"forecaster": 3}, TypeError, "a forecaster 3; expected an object with fit"),
        ({"forecaster": Odd(), "refit": True}, ValueError, r"Odd.predict .*\(2, 1\).*\(2,\)"),
    ],
)
def test_bad_backtests_are_refused(options: dict[str, Any], error: Any, told: str) -> None:
    arguments = {"forecaster": quick(), "y": wave(20), "horizon": 2} | options
    with pytest.raises(error, match=f"^backtest got .*{told}"):
        backtest(**arguments)
