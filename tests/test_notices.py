"""A warning is given at the line that called the public method, whichever method it was."""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.preprocessing import FunctionTransformer

import cbptt
from cbptt import (
    PerTimestep,
    RNNClassifier,
    RNNForecaster,
    RNNRegressor,
    RNNSequenceClassifier,
    RNNSequenceRegressor,
    backtest,
)

PACKAGE = Path(cbptt.__file__).parent
ESTIMATORS = [RNNClassifier, RNNRegressor, RNNSequenceClassifier, RNNSequenceRegressor]
CLASSIFIERS = [RNNClassifier, RNNSequenceClassifier]
LONE = [np.ones((1, 1))] * 4  # likely one sequence of 4 steps
X = [np.ones((3, 1)), np.zeros((4, 1)), np.ones((2, 1)), np.zeros((3, 1))]
Y = [0, 1, 0, 1]


def assert_here(call: Callable[[], Any], words: str, n: int = 1) -> None:
    """Some warnings with these words are given, all of them at the line of the call."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    seen = [w for w in caught if words in str(w.message)]
    assert len(seen) == n
    line = inspect.getsourcelines(call)[1]
    assert {(w.filename, w.lineno) for w in seen} == {(__file__, line)}


def quietly(call: Callable[[], Any]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return call()


def small(estimator: type, **parameters: Any) -> Any:
    return estimator(2, max_iter=1, random_state=0, **parameters)


@pytest.fixture(params=ESTIMATORS)
def fitted(request: pytest.FixtureRequest) -> Any:
    return quietly(lambda: small(request.param).fit(X, Y))


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_a_warning_of_training_is_where_the_fit_was_called(estimator: type) -> None:
    model = small(estimator)
    assert_here(lambda: model.fit(X, Y), "Maximum iterations")
    assert_here(lambda: model.fit(LONE, Y), "reads X as")
    assert_here(lambda: model.fit(X, Y, validation_data=(LONE, Y)), "reads X as")
    model = small(estimator, learning_rate="cosine")
    classes = {"classes": [0, 1]} if estimator in CLASSIFIERS else {}
    assert_here(lambda: model.partial_fit(LONE, Y, **classes), "reads X as")
    assert_here(lambda: model.partial_fit(X, Y), "learning rate is 0")
    assert_here(lambda: model.partial_fit(LONE, Y), "reads X as")


def test_a_warning_of_a_prediction_is_where_it_was_called(fitted: Any) -> None:
    state = fitted.start(4)
    assert_here(lambda: fitted.predict(LONE), "reads X as")
    assert_here(lambda: fitted.score(LONE, Y), "reads X as")
    assert_here(lambda: fitted.transform(LONE), "reads X as")
    assert_here(lambda: fitted.step_many(LONE, state), "reads X as")
    if type(fitted) in CLASSIFIERS:
        assert_here(lambda: fitted.predict_proba(LONE), "reads X as")
        assert_here(lambda: fitted.predict_log_proba(LONE), "reads X as")
    if type(fitted) is RNNClassifier:
        assert_here(lambda: fitted.predict_proba(LONE, at="every"), "reads X as")


def test_a_warning_of_values_out_of_range_is_where_they_were_computed(fitted: Any) -> None:
    state = fitted.start(4)
    fitted.network_.theta[:] = np.nan
    assert_here(lambda: fitted.transform(X), "NaN or infinity")
    assert_here(lambda: fitted.step_many(X, state), "NaN or infinity")
    if type(fitted) in CLASSIFIERS:
        assert_here(lambda: fitted.predict_proba(X), "NaN or infinity")
        assert_here(lambda: fitted.predict_log_proba(X), "NaN or infinity")
    else:
        assert_here(lambda: fitted.predict(X), "NaN or infinity")
    if type(fitted) is RNNClassifier:
        assert_here(lambda: fitted.predict_proba(X, at="every"), "NaN or infinity")


def test_a_warning_of_mixed_sequences_is_where_the_transformer_was_fitted() -> None:
    class WithoutFitTransform(BaseEstimator):
        def fit(self, X: Any, y: Any = None) -> Any:
            return self

        partial_fit = fit

        def transform(self, X: Any) -> Any:
            return np.cumsum(X, axis=0)

    mixed = [np.ones((3, 1)), 2 * np.ones((3, 1))]
    cumulated = PerTimestep(FunctionTransformer(np.cumsum, kw_args={"axis": 0}))
    assert_here(lambda: cumulated.fit(mixed), "mixes steps")
    assert_here(lambda: cumulated.fit_transform(mixed), "mixes steps")
    plain = PerTimestep(WithoutFitTransform())
    assert_here(lambda: plain.fit_transform(mixed), "mixes steps")
    assert_here(lambda: clone(plain).partial_fit(mixed), "mixes steps")


def test_a_warning_of_a_forecaster_is_where_it_was_called() -> None:
    days = pd.date_range("2024-01-01", periods=60).delete(30)
    broken = pd.Series(np.sin(np.arange(59.0)), index=days)
    model = RNNForecaster(2, max_iter=1, random_state=0)
    assert_here(lambda: model.fit(broken), "RNNForecaster: the times of y")
    assert_here(lambda: model.fit(broken), "Maximum iterations")
    assert_here(lambda: model.predict(2, context=broken), "the times of context")
    assert_here(lambda: model.simulate(2, 3, context=broken), "the times of context")
    assert_here(lambda: model.predict_interval(2, context=broken), "the times of context")
    assert_here(lambda: model.score(broken), "other steps than the forecast's")
    assert_here(lambda: backtest(model, broken, horizon=9, min_train=50), "backtest: the times of")
    short = quietly(lambda: model.fit(np.arange(4.0)))
    assert_here(lambda: short.predict_interval(1), "too few steps")


def test_a_warning_of_growing_forecasts_is_where_they_were_computed() -> None:
    model = RNNForecaster(1, max_iter=1, activation="identity", scaling=None, random_state=0)
    y = np.sin(np.arange(60.0))
    quietly(lambda: model.fit(y))
    model.network_.theta[:] = 0
    model.network_.parameters["weight_ih"][:] = 9
    model.network_.parameters["weight_ho"][:] = 9
    steps = np.ones(400)
    assert_here(lambda: model.predict(400), "leaves the range")
    assert_here(lambda: model.simulate(400, 2, random_state=0), "leave the range")
    assert_here(lambda: model.predict_interval(400, n_paths=2, random_state=0), "leave the range")
    assert_here(lambda: model.score(steps), "leaves the range")


def test_no_module_looks_at_the_stack_to_place_a_warning() -> None:
    stack = re.compile(r"_getframe|currentframe|inspect\.stack|f_back")
    readers = [path.name for path in PACKAGE.rglob("*.py") if stack.search(path.read_text("utf-8"))]
    assert readers == ["splits.py"]  # the split of scikit-learn stands nowhere else
