"""Times of series: steps that contradict each other are refused, and gaps are warned of."""

from __future__ import annotations

import datetime
import pickle
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, ShuffleSplit, TimeSeriesSplit, cross_val_score

from cbptt import Ragged, RNNForecaster, RNNSequenceRegressor, backtest, make_windows
from cbptt.backtesting import mase, rmse, seasonal_naive
from cbptt.data.sequences import check_sequences

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
T = 20
values, known = np.sin(np.arange(40.0)), np.cos(np.arange(40.0))


@contextmanager
def no_warning() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def forecaster() -> RNNForecaster:
    return RNNForecaster(2, max_iter=1, early_stopping=False, random_state=0)


def dates(freq: str, zone: str | None = None, start: str = "2024-01-31") -> pd.DatetimeIndex:
    return pd.date_range(start, periods=40, freq=freq, tz=zone)


INDICES = {
    "days": dates("D"),
    "days across the clock's change": dates("D", "Europe/Berlin", "2024-03-20"),
    "hours across the clock's change": dates("h", "Europe/Berlin", "2024-03-30"),
    "firsts of months": dates("MS"),
    "lasts of quarters": dates("QE"),
    "months from the 15th": dates("MS") + pd.Timedelta("14D"),
    "last working days": dates("BME"),
    "working days": dates("B"),
    "weeks": dates("W"),
    "periods": pd.period_range("2024-01", periods=40, freq="M"),
    "durations": pd.timedelta_range("1h", periods=40, freq="h"),
    "dates": pd.Index([day.date() for day in dates("D")]),
    "text": pd.Index(dates("D").strftime("%Y-%m-%d")),
    "integers": pd.RangeIndex(3, 123, 3),
    "floats": pd.Index(np.arange(40) / 10),
    "seconds since 1970": pd.Index(1.7e9 + 0.1 * np.arange(40)),
    "polars": pl.Series([day.date() for day in dates("D")]),
    "polars with a zone": pl.Series(list(dates("D", start="2024-03-20"))).dt.replace_time_zone(
        "Europe/Berlin"
    ),
}
indices = pytest.mark.parametrize("index", INDICES.values(), ids=INDICES)


def cut(index: Any, rows: Any, column: np.ndarray = known) -> Any:
    """Return rows of a table with that index, or with that column of times."""
    if isinstance(index, pl.Series):
        return pl.DataFrame({"t": index, "x": column})[rows]
    return pd.DataFrame({"x": column}, index=index).iloc[rows]


def y_of(index: Any, rows: Any = slice(T)) -> Any:
    return cut(index, rows, values[: len(index)])


@indices
def test_times_that_go_together_change_no_number(index: Any) -> None:
    with no_warning():
        fitted = pickle.loads(pickle.dumps(forecaster().fit(y_of(index), cut(index, slice(T)))))
        future = cut(index, slice(T, T + 3))
        told = fitted.predict(3, future)
        score = fitted.score(y_of(index, slice(T, T + 3)), future)
        later = fitted.predict(2, cut(index, slice(9, 11)), context=y_of(index, slice(2, 9)),
                               X_context=cut(index, slice(2, 9)))  # fmt: skip
    plain = forecaster().fit(values[:T, None], known[:T])
    np.testing.assert_array_equal(told, plain.predict(3, known[T : T + 3]))
    assert score == plain.score(values[T : T + 3, None], known[T : T + 3])
    np.testing.assert_array_equal(
        later, plain.predict(2, known[9:11], context=values[2:9, None], X_context=known[2:9])
    )


@pytest.mark.parametrize("zone", [None, "Europe/Berlin"])
@pytest.mark.parametrize("library", ["pandas", "nullable", "arrow"])
def test_a_column_of_times_is_read_as_an_index_is(library: str, zone: str | None) -> None:
    index = dates("h", zone, "2024-03-30")
    if library != "pandas":
        pa = pytest.importorskip("pyarrow")

    def table(rows: Any, column: np.ndarray) -> Any:
        frame = pd.DataFrame({"t": index, "x": column}).iloc[rows]
        if library == "arrow":
            return pa.table({"t": pa.array(frame["t"]), "x": frame["x"].to_numpy()})
        return frame.convert_dtypes(dtype_backend="pyarrow") if library == "nullable" else frame

    past, back = slice(T), slice(T - 1, None, -1)
    fitted = forecaster().fit(table(past, values), table(past, known))
    plain = forecaster().fit(values[:T, None], known[:T, None])
    expected = plain.predict(2, known[T : T + 2, None])
    np.testing.assert_array_equal(fitted.predict(2, table(slice(T, T + 2), known)), expected)
    with pytest.raises(ValueError, match=r"X with the time .* at step 0, where y has 2024-03-30"):
        forecaster().fit(table(past, values), table(back, known))
    with pytest.raises(ValueError, match=r"got X_future with the times .* the fitted y ends at"):
        fitted.predict(2, table(slice(T + 1, T + 3), known))


@pytest.mark.parametrize("library", ["polars", "arrow"])
@pytest.mark.parametrize("time", [datetime.datetime(2024, 1, 1), datetime.time(1)], ids=str)
def test_a_time_that_is_missing_in_a_column_of_times_is_named(library: str, time: Any) -> None:
    columns = {"t": [time] * 5 + [None] + [time] * 14, "x": values[:T]}
    arrow = pytest.importorskip("pyarrow").table if library == "arrow" else None
    columns["t"][:5] = [time.replace(minute=i) for i in range(5)]
    with pytest.raises(ValueError, match=r"^RNNForecaster got y .* not rise: (NaT|None) at step 5"):
        forecaster().fit(arrow(columns) if arrow else pl.DataFrame(columns))


@indices
def test_exogenous_variables_of_other_times_are_refused(index: Any) -> None:
    y = y_of(index)
    fitted = forecaster().fit(y, cut(index, slice(T)))
    late, descending = [*range(1, T + 1)], [*range(T)][::-1]
    for X in (cut(index, late), cut(index, descending)):
        with pytest.raises(ValueError, match=r"^RNNForecaster got X with the time .* where y has"):
            forecaster().fit(y, X)
        with pytest.raises(ValueError, match=r"^backtest got X with the time .* where y has"):
            backtest(forecaster(), y, horizon=2, X=X)
        with pytest.raises(ValueError, match=r"got X_context with the time .* where context has"):
            fitted.predict(1, cut(index, [T]), context=y, X_context=X)
    with pytest.raises(ValueError, match=r"got X with the time .* where y has"):
        fitted.score(y_of(index, [T]), cut(index, [T + 1]))


@indices
def test_steps_that_do_not_follow_are_refused(index: Any) -> None:
    fitted = forecaster().fit(y_of(index), cut(index, slice(T)))
    late, early, gap, back = [T + 1, T + 2], [T - 1, T], [T, T + 2], [T + 1, T]
    for rows in (late, [T + 14, T + 15], [0, 1], early, gap, back, [T, T]):
        future = cut(index, rows)
        with pytest.raises(
            ValueError, match=r"got X_future with the times .* the fitted y ends at"
        ):
            fitted.predict(2, future)
        with pytest.warns(UserWarning, match=r"got y with the times .* the fitted y ends at"):
            fitted.score(y_of(index, rows), future)
    follows = cut(index, [T, T + 1])
    with pytest.raises(ValueError, match=r"got X_future with the times .* but context ends at"):
        fitted.predict(2, follows, context=y_of(index, [0, 1]), X_context=cut(index, [0, 1]))
    for call in (fitted.predict_interval, fitted.simulate):
        with pytest.raises(
            ValueError, match=r"got X_future with the times .* the fitted y ends at"
        ):
            call(2, X_future=cut(index, late))


@indices
def test_series_whose_times_go_back_or_are_repeated_are_refused(index: Any) -> None:
    for rows in (range(T)[::-1], [*range(9), *range(8, T)]):
        y = y_of(index, list(rows))
        for call in (
            lambda y: forecaster().fit(y),
            lambda y: forecaster().fit(values).predict(1, context=y),
            lambda y: backtest(forecaster(), y, horizon=2),
            lambda y: seasonal_naive(y, 2),
            lambda y: mase([[1.0]], [[1.0]], y),
        ):
            with pytest.raises(
                ValueError, match=r"got (y|context|y_train) with a time index that does not rise"
            ):
                call(y)


@indices
def test_a_step_that_is_missing_is_warned_of(index: Any) -> None:
    rows = [*range(8), *range(9, T)]
    y, X = y_of(index, rows), cut(index, rows)
    with pytest.warns(
        UserWarning, match=r"^RNNForecaster: the times of y are not equally far"
    ) as told:
        fitted = forecaster().fit(y, X)
    assert told[0].filename == __file__
    assert fitted.predict(1, cut(index, [T])).shape == (1, 1)
    with pytest.raises(ValueError, match=r"the fitted y ends at"):
        fitted.predict(2, cut(index, [T + 14, T + 15]))
    with pytest.warns(UserWarning, match=r"^backtest: the times of y") as told:
        backtest(forecaster(), y, horizon=5)
    assert told[0].filename == __file__


def test_an_index_that_was_not_given_says_nothing() -> None:
    y, X, future = pd.Series(values[:T]), pd.Series(known[:T]), pd.Series(known[:3])
    dated = y.set_axis(dates("D")[:T])
    for series, exogenous in [
        (y, X),
        (dated, X),
        (y, X.set_axis(dates("D")[:T])),
        (dated, known[:T]),
    ]:
        fitted = forecaster().fit(series, exogenous)
        assert fitted.predict(3, future).shape == (3,)
        assert fitted.score(future, future) < 0


def test_exogenous_variables_whose_times_go_back_are_refused_where_y_has_none() -> None:
    back = slice(T - 1, None, -1)
    model = forecaster().fit(values[:T], known[:T])
    for index in (dates("D"), INDICES["polars"]):
        X = cut(index, back)
        for name, call in [
            ("X", lambda X=X: forecaster().fit(values[:T], X)),
            ("X", lambda X=X: model.score(values[:T], X)),
            ("X", lambda X=X: backtest(forecaster(), values[:T], horizon=2, X=X)),
            ("X_future", lambda X=X: model.predict(T, X)),
            ("X_context", lambda X=X: model.predict(1, [0.0], context=values[:T], X_context=X)),
        ]:
            with pytest.raises(ValueError, match=f"got {name} with a time index that does not ri"):
                call()


@pytest.mark.filterwarnings("ignore:.*labels whose order is not known")
@pytest.mark.parametrize(
    ("y_index", "X_index", "message"),
    [
        (dates("D"), dates("D", "UTC"), "X with times with a time zone, but y has times without"),
        (dates("D", "UTC"), dates("D"), "X with times without a time zone, but y has times with"),
        (dates("D"), pd.RangeIndex(1, 41), "X with numbers, but y has times"),
        (pd.RangeIndex(40), pd.RangeIndex(1, 41), "X with the time 1 at step 0, where y has 0"),
        (pd.RangeIndex(40), pd.RangeIndex(39, -1, -1), "the time 39 at step 0, where y has 0"),
        (
            pd.period_range("2024-01", periods=40, freq="M"),
            pd.period_range("2024-01-01", periods=40, freq="D"),
            "X with the time 2024-01-02 at step 1, where y has 2024-02-01",
        ),
        (
            pd.Index(dates("D").strftime("%d/%m/%Y")),
            pd.Index(dates("D").strftime("%d/%m/%Y")[::-1]),
            "X with the time 10/03/2024 at step 0, where y has 31/01/2024",
        ),
    ],
)
def test_indices_of_other_kinds_or_frequencies_are_refused(
    y_index: pd.Index, X_index: pd.Index, message: str
) -> None:
    with pytest.raises(ValueError, match=f"^RNNForecaster got .*{message}"):
        forecaster().fit(y_of(y_index), cut(X_index, slice(T)))


def test_the_same_moments_in_another_form_are_the_same() -> None:
    y = y_of(dates("D", "Europe/Berlin", "2024-03-20"))
    forecaster().fit(y, cut(y.index.tz_convert("UTC"), slice(T), known[:T]))
    months = pd.period_range("2024-01", periods=T, freq="M")
    forecaster().fit(
        y_of(dates("MS")).set_axis(months), cut(months.to_timestamp(), slice(T), known[:T])
    )
    days = dates("D").as_unit("s")
    forecaster().fit(y_of(days), cut(INDICES["polars"], slice(T)))


def test_each_of_several_series_has_times_of_its_own() -> None:
    first, second = dates("D"), dates("MS")
    series = [y_of(first)["x"], y_of(second)["x"]]
    fitted = forecaster().fit(series, [cut(first, slice(T)), cut(second, slice(T))])
    assert fitted.predict(1, [cut(first, [T]), cut(second, [T])]).shape == (2, 1)
    with pytest.raises(ValueError, match=r"X_future\[1\] .*, but the fitted y\[1\] ends at"):
        fitted.predict(1, [cut(first, [T]), cut(first, [T])])
    with pytest.raises(ValueError, match=r"X\[1\] with the time .* where y\[1\] has"):
        forecaster().fit(series, [cut(first, slice(T))] * 2)


def test_a_series_with_a_multiindex_may_be_several() -> None:
    index = pd.MultiIndex.from_product([["a", "b"], range(10)])
    with pytest.raises(ValueError, match=r"got y with a MultiIndex, .* pass a list of them"):
        forecaster().fit(pd.Series(values[:T], index=index))


def test_metrics_compare_values_of_the_same_times() -> None:
    y = y_of(dates("D"))["x"]
    assert rmse(y[:5], y[:5]) == rmse(y[:5], values[:5]) == rmse(y[:5], pd.Series(values[:5])) == 0
    with pytest.raises(ValueError, match=r"^rmse got y_pred with the time .*, where y_true has"):
        rmse(y[:5], y[1:6])


def test_frames_of_a_list_hold_steps_in_the_order_of_time() -> None:
    frames = [cut(dates("D"), slice(4)), cut(dates("h", "Europe/Berlin"), slice(6))]
    targets = [y_of(frame.index)["x"] for frame in frames]
    targets[1].index = targets[1].index.tz_convert("UTC")
    model = RNNSequenceRegressor(2, max_iter=1, random_state=0)
    model.fit(frames, targets).score(frames, targets)
    model.fit(frames, [target.reset_index(drop=True) for target in targets])
    back = [frames[0], frames[1][::-1]]
    with pytest.raises(ValueError, match=r"^RNNSequenceRegressor got X\[1\] with a time index"):
        model.fit(back, targets)
    with pytest.raises(ValueError, match=r"from_sequences got sequences\[1\] with a time index"):
        Ragged.from_sequences(back)
    for wrong in (y_of(dates("h", "UTC"), slice(1, 7))["x"], targets[1].tz_localize(None)):
        with pytest.raises(ValueError, match=r"got y\[1\] with the time .* where X\[1\] has"):
            model.fit(frames, [targets[0], wrong])


def test_windows_are_cut_from_rows_in_the_order_of_time() -> None:
    y = y_of(dates("D"))
    assert_same = np.testing.assert_array_equal
    assert_same(make_windows(y, 5), make_windows(values[:T, None], 5))
    with pytest.raises(
        ValueError, match=r"^make_windows got series with a time index that does not rise"
    ):
        make_windows(y[::-1], 5)
    with pytest.raises(
        ValueError, match=r"^make_windows got series\[1\] with a time index that does not rise"
    ):
        make_windows([y, y[::-1]], 5)
    with pytest.raises(ValueError, match=r"^make_windows got series with a MultiIndex"):
        make_windows(pd.concat({"a": y, "b": y}), 5)
    with pytest.warns(UserWarning, match=r"^make_windows: the times of series are not") as told:
        make_windows(y.drop(y.index[3]), 5)
    assert told[0].filename == __file__


@pytest.mark.parametrize("dates_of", [dict, lambda d: d | {"u": d["t"]}], ids=["one", "two"])
@pytest.mark.parametrize(
    "time",
    [
        datetime.date(2024, 1, 1),
        datetime.datetime(2024, 1, 1),
        datetime.time(1),
        datetime.timedelta(1),
    ],
)
@pytest.mark.parametrize("library", ["polars", "arrow"])
def test_columns_of_times_are_no_numbers(library: str, time: Any, dates_of: Any) -> None:
    columns = dates_of({"t": [time, time], "x": [1.0, 2]})
    arrow = pytest.importorskip("pyarrow").table if library == "arrow" else None
    frame = arrow(columns) if arrow else pl.DataFrame(columns)
    for read in (
        lambda X: check_sequences([X], caller="test"),
        lambda X: check_sequences(X, caller="test"),
        lambda X: Ragged.from_flat(X, [2]),
        lambda X: make_windows(X, 1),
    ):
        with pytest.raises(
            TypeError, match="with a column 't' of times; every value must be a real"
        ):
            read(frame)


# ---- cross-validation ---------------------------------------------------------------------------

forms = pytest.mark.parametrize(
    "y", [values, list(values), y_of(dates("D"), slice(40))["x"]], ids=["array", "list", "pandas"]
)


@forms
@pytest.mark.parametrize(
    "cv", [None, 2, ShuffleSplit(2, random_state=0), TimeSeriesSplit(2, gap=1)], ids=str
)
def test_a_split_that_shuffles_time_is_warned_of(y: Any, cv: Any) -> None:
    with pytest.warns(UserWarning, match=r"^RNNForecaster got a split .* cv=TimeSeriesSplit\(\)"):
        scores = cross_val_score(forecaster(), y, cv=cv)
    assert np.isfinite(scores).all()


@forms
@pytest.mark.parametrize("cv", [TimeSeriesSplit(2), TimeSeriesSplit(2, max_train_size=9)], ids=str)
def test_a_split_in_the_order_of_time_is_not_warned_of(y: Any, cv: Any) -> None:
    with no_warning():
        assert np.isfinite(cross_val_score(forecaster(), y, known, cv=cv)).all()
        GridSearchCV(forecaster(), {"lags": [1, 2]}, cv=cv).fit(y)


def test_the_split_of_an_estimator_around_it_is_another_ones() -> None:
    class Around(BaseEstimator):
        def fit(self, X: Any) -> Around:
            self.inner_ = forecaster().fit(values)
            return self

        def score(self, X: Any) -> float:
            return self.inner_.score(values[:3])

    with no_warning():
        cross_val_score(Around(), values)


def test_an_index_of_text_whose_order_is_not_known_is_warned_of():
    days = pd.date_range("2024-01-28", periods=30).strftime("%d/%m/%Y")
    with pytest.warns(UserWarning, match=r"labels whose order is not known, as '28/01/2024'"):
        RNNForecaster(2, max_iter=1).fit(pd.Series(np.arange(30.0), index=days))
