"""One rule for every number of things: an integer of any library, and no boolean."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_equal

from cbptt import (
    RNN,
    RNNForecaster,
    RNNSequenceClassifier,
    RNNSequenceRegressor,
    backtest,
    make_windows,
)
from cbptt.backtesting import mase, seasonal_naive
from cbptt.data.integers import read_integer


class Three:
    """An integer that is neither Python's nor NumPy's."""

    def __index__(self) -> int:
        return 3


class Last:
    """Forecasts the last value."""

    def fit(self, y: Any) -> Last:
        self.last = y[-1]
        return self

    def predict(self, horizon: int, context: Any = None) -> Any:
        return np.full(horizon, self.last if context is None else context[-1])


SERIES = np.sin(np.arange(30.0))
X = np.arange(24.0).reshape(2, 12, 1) / 24
QUICK: dict[str, Any] = {"tol": 1e9, "n_iter_no_change": 1, "random_state": 0}
REGRESSOR = RNNSequenceRegressor(2, **QUICK).fit(X, X[:, :, 0])
TEXT = np.arange(10) % 2
SPEAKER = RNNSequenceClassifier(2, **QUICK).fit([np.eye(2)[TEXT[:-1]]], [TEXT[1:]])
FORECASTER = RNNForecaster(2, lags=2, **QUICK).fit(SERIES)


def sizes(**given: Any) -> Any:
    return RNN(**({"n_inputs": 1, "hidden_size": 2, "n_outputs": 1} | given)).theta.size


def gradients(**given: Any) -> Any:
    net = RNN(1, 2, 1, random_state=0)
    return net.loss_and_gradients([np.arange(8.0)], [np.ones(8)], **given)[1]["weight_hh"]


def learned(**given: Any) -> Any:
    given = {"hidden_layer_sizes": 2} | QUICK | given
    return RNNSequenceRegressor(**given).fit(X, X[:, :, 0]).predict(X)


def forecast(**given: Any) -> Any:
    given = {"hidden_layer_sizes": 2, "lags": 2} | QUICK | given
    return RNNForecaster(**given).fit(SERIES).predict(2)


def scores(**given: Any) -> Any:
    return backtest(Last(), SERIES, **({"horizon": 2, "min_train": 20} | given)).scores.rmse


# The function and its parameter, as errors name them, and a call with a value of the parameter.
CALLS: dict[str, Callable[[Any], Any]] = {
    "RNN n_inputs": lambda n: sizes(n_inputs=n),
    "RNN hidden_size": lambda n: sizes(hidden_size=n),
    "RNN n_outputs": lambda n: sizes(n_outputs=n),
    "RNN bptt_steps": lambda n: gradients(bptt_steps=n),
    "RNN bptt_stride": lambda n: gradients(bptt_steps=5, bptt_stride=n),
    "RNN checkpoint": lambda n: gradients(checkpoint=n),
    "make_windows length": lambda n: make_windows(SERIES, n),
    "make_windows stride": lambda n: make_windows(SERIES, 5, stride=n),
    "make_windows horizon": lambda n: make_windows(SERIES, 5, horizon=n)[1],
    "mase season_length": lambda n: mase([1.0], [2.0], SERIES, n),
    "seasonal_naive horizon": lambda n: seasonal_naive(SERIES, n),
    "seasonal_naive season_length": lambda n: seasonal_naive(SERIES, 2, n),
    "backtest horizon": lambda n: scores(horizon=n),
    "backtest stride": lambda n: scores(stride=n),
    "backtest min_train": lambda n: scores(min_train=n),
    "backtest season_length": lambda n: scores(season_length=n),
    "backtest refit": lambda n: scores(refit=n),
    "RNNSequenceRegressor.start n": REGRESSOR.start,
    "RNNSequenceClassifier.sample n_steps": lambda n: SPEAKER.sample(n, [0], temperature=0),
    "RNNForecaster horizon": FORECASTER.predict,
    "RNNForecaster n_paths": lambda n: FORECASTER.simulate(2, n, random_state=0).shape,
    "RNNForecaster lags": lambda n: forecast(lags=n),
    "RNNForecaster lags[1]": lambda n: forecast(lags=[1, n]),
    "RNNForecaster differences": lambda n: forecast(differences=n),
    "RNNForecaster max_iter": lambda n: forecast(max_iter=n),
    "RNNSequenceRegressor hidden_layer_sizes": lambda n: learned(hidden_layer_sizes=n),
    "RNNSequenceRegressor hidden_layer_sizes of one": lambda n: learned(hidden_layer_sizes=(n,)),
    "RNNSequenceRegressor batch_size": lambda n: learned(batch_size=n),
    "RNNSequenceRegressor max_iter": lambda n: learned(max_iter=n),
    "RNNSequenceRegressor n_iter_no_change": lambda n: learned(n_iter_no_change=n),
    "RNNSequenceRegressor max_fun": lambda n: learned(max_fun=n, solver="lbfgs"),
    "RNNSequenceRegressor bptt_steps": lambda n: learned(bptt_steps=n),
    "RNNSequenceRegressor bptt_stride": lambda n: learned(bptt_steps=5, bptt_stride=n),
    "RNNSequenceRegressor checkpoint": lambda n: learned(checkpoint=n),
    "RNNSequenceRegressor n_jobs": lambda n: learned(n_jobs=n),
}

# booleans mean something else here
FLAGS = {"backtest refit"}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("call", CALLS)
def test_an_integer_of_any_library_is_as_good_as_an_int(call: str) -> None:
    expected = CALLS[call](3)
    for value in (np.int8(3), np.uint64(3), np.array(3), Three()):
        assert_equal(CALLS[call](value), expected)


@pytest.mark.parametrize("call", CALLS)
def test_what_is_no_integer_is_refused_with_the_name_of_the_parameter(call: str) -> None:
    caller, name = call.split(" ", 1)
    flags = () if call in FLAGS else (True, np.True_, np.array(True))
    for value in (*flags, 3.0, np.float64(3), "3", [[3]], 0 if "horizon" not in name else -1):
        with pytest.raises((TypeError, ValueError), match=f"{caller.partition('.')[0]}") as caught:
            CALLS[call](value)
        assert name.split(" ")[0] in str(caught.value)
        assert "int" in str(caught.value), str(caught.value)


@pytest.mark.parametrize("value", [True, np.False_, np.array([3]), 3.0, None, 1j])
def test_what_is_no_integer_is_an_error_of_type_and_of_value(value: Any) -> None:
    for kind in (TypeError, ValueError):
        with pytest.raises(kind, match=r"^f got n=.*; expected an int from 1 up to 2147483647\.$"):
            read_integer(value, caller="f", name="n")


def test_an_integer_out_of_range_is_an_error_of_value_alone() -> None:
    for value in (0, -1, 2**31, 10**5000):  # Python spells no number of 5000 digits
        with pytest.raises(ValueError, match=r"^f got n=.*; expected an int from 1") as caught:
            read_integer(value, caller="f", name="n")
        assert not isinstance(caught.value, TypeError)


def test_a_range_may_begin_at_0_and_have_no_end() -> None:
    assert read_integer(0, caller="f", name="n", least=0) == 0
    assert read_integer(2**70, caller="f", name="n", most=None) == 2**70
