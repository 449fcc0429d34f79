"""Windows of long series: every step where it belongs, nothing from another series."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from cbptt import Ragged, RNNRegressor, make_windows


@given(
    n_steps=st.integers(1, 12),
    tail=st.sampled_from([(), (1,), (3,)]),
    length=st.integers(1, 6),
    stride=st.integers(1, 4),
    horizon=st.integers(0, 3),
)
def test_a_window_holds_the_steps_from_its_start_and_its_target_those_after(
    n_steps, tail, length, stride, horizon
):
    series = np.arange(n_steps * int(np.prod(tail))).reshape(n_steps, *tail)
    starts = range(0, n_steps - length - horizon + 1, stride)
    if not starts:
        with pytest.raises(ValueError, match=f"^make_windows got series with {n_steps} steps"):
            make_windows(series, length, stride, horizon)
        return
    result = make_windows(series, length, stride, horizon)
    X, y = result if horizon else (result, None)
    windows = [series[s : s + length].reshape(length, -1) for s in starts]
    assert_array_equal(X, np.stack(windows), strict=True)
    if y is not None:
        after = [series[s + length : s + length + horizon] for s in starts]
        assert_array_equal(y, np.stack(after), strict=True)


@pytest.mark.parametrize("tail", [(), (2,)])
def test_windows_of_one_series_are_views_that_cannot_be_written(tail):
    series = np.zeros((9, *tail))
    for part in make_windows(series, 3, horizon=2):
        assert np.shares_memory(part, series)
        with pytest.raises(ValueError, match="read-only"):
            part[0] = 1


several = [np.arange(4.0), np.arange(10.0, 15.0)]


def boxed():
    array = np.empty(2, object)
    array[:] = several
    return array


@pytest.mark.parametrize(
    "series",
    [several, tuple(several), boxed(), Ragged.from_sequences(several)],
    ids=["list", "tuple", "object array", "Ragged"],
)
def test_no_window_crosses_from_one_series_to_the_next(series):
    X, y = make_windows(series, 2, horizon=1)
    assert_array_equal(X[:, :, 0], [[0, 1], [1, 2], [10, 11], [11, 12], [12, 13]])
    assert_array_equal(y, [[2], [3], [12], [13], [14]])


def test_three_dimensions_are_several_series_and_two_are_one():
    cube = np.arange(24.0).reshape(2, 6, 2)
    assert_array_equal(make_windows(cube, 4), make_windows(list(cube), 4), strict=True)
    assert make_windows(cube[0], 4).shape == (3, 4, 2)
    assert make_windows(cube[:1], 4).shape == (3, 4, 2)


@pytest.mark.parametrize("dtype", ["f4", "i2", "?", "U3"])
def test_windows_keep_the_dtype(dtype):
    series = np.array([0, 1, 1, 0]).astype(dtype)
    assert make_windows(series, 2).dtype == series.dtype
    assert make_windows([series], 2).dtype == series.dtype


def test_a_series_of_text_in_an_object_array_is_one_series():
    labels = np.array(["a", "b", "c"], object)
    assert_array_equal(make_windows(labels, 2)[:, :, 0], [["a", "b"], ["b", "c"]])


def test_nan_may_stand_in_a_series():
    assert np.isnan(make_windows([0.0, np.nan, 1.0] * np.ones(3), 2)).sum() == 2


def test_a_data_frame_is_one_series_and_a_column_of_it_too():
    import pandas as pd

    frame = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [4.0, 5.0, 6.0]}, index=[7, 8, 9])
    assert_array_equal(make_windows(frame, 2), make_windows(frame.to_numpy(), 2))
    assert_array_equal(make_windows(frame["a"], 2), make_windows(np.arange(1.0, 4.0), 2))


@pytest.mark.parametrize(
    ("series", "options", "error", "message"),
    [
        (
            np.zeros(5),
            {"length": 4, "horizon": 3},
            ValueError,
            "series with 5 steps, but a window of 4 steps and a horizon of 3 needs 7; leave",
        ),
        ([np.zeros(5), np.zeros(2)], {"length": 3}, ValueError, r"series\[1\] with 2 steps, but a"),
        (
            [np.zeros(5), np.zeros((5, 2))],
            {"length": 3},
            ValueError,
            r"series\[1\] with 2 features",
        ),
        ([], {"length": 3}, ValueError, "series with 0 sequences"),
        (Ragged.from_sequences(several)[:0], {"length": 3}, ValueError, "series with 0 sequences"),
        (np.zeros(0), {"length": 1}, ValueError, "series with 0 steps"),
        ([1.0, 2.0, 3.0], {"length": 2}, TypeError, r"series\[0\] of type float"),
        (np.zeros((2, 2, 2, 2)), {"length": 2}, ValueError, r"shape \(2, 2, 2, 2\)"),
        (np.ma.zeros(5), {"length": 2}, TypeError, "series as a masked array"),
        (iter([1.0]), {"length": 2}, TypeError, r"Pass list\(series\)"),
        (np.zeros(5), {"length": 0}, ValueError, "length=0; expected an int from 1 up"),
        (
            np.zeros(5),
            {"length": 2, "stride": 0},
            ValueError,
            "stride=0; expected an int",
        ),
        (
            np.zeros(5),
            {"length": 2, "horizon": -1},
            ValueError,
            "horizon=-1; expected an int from 0",
        ),
        (np.zeros(5), {"length": 2.0}, TypeError, r"length=2\.0; expected an int"),
    ],
)
def test_what_cannot_be_cut_is_named(series, options, error, message):
    with pytest.raises(error, match=f"^make_windows got.*{message}"):
        make_windows(series, **options)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_an_estimator_learns_from_windows_as_they_are():
    series = np.sin(np.arange(60) / 3)
    X, y = make_windows(series, 8, horizon=2)
    model = RNNRegressor(8, learning_rate_init=0.02, max_iter=80, random_state=0).fit(X, y)
    assert model.predict(X).shape == (51, 2)
    assert model.score(X, y) > 0.9
