"""Estimators with every cell, several layers and both directions: checks and companions."""

from __future__ import annotations

import pickle
from itertools import cycle, product

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import check_estimator

from cbptt import (
    RNNClassifier,
    RNNForecaster,
    RNNRegressor,
    RNNSequenceClassifier,
    RNNSequenceRegressor,
)
from cbptt.parameters import CELLS
from cbptt.testing import check_sequence_estimator

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

ESTIMATORS = (RNNClassifier, RNNSequenceClassifier, RNNRegressor, RNNSequenceRegressor)
SHAPES = (
    {"hidden_layer_sizes": 24},
    {"hidden_layer_sizes": (24, 16)},
    {"hidden_layer_sizes": 16, "bidirectional": True},
)
# A few epochs: in more of them Adam amplifies the rounding of weighted sums on noise.
QUICK = {
    RNNClassifier: {"learning_rate_init": 0.005, "max_iter": 25},
    RNNSequenceClassifier: {"learning_rate_init": 0.005, "max_iter": 25},
    RNNRegressor: {"learning_rate_init": 0.01, "max_iter": 40},
    RNNSequenceRegressor: {"learning_rate_init": 0.015, "max_iter": 40},
}
# Two layers of LSTM need larger steps to learn that much in as few epochs.
QUICKER = {"hidden_layer_sizes": (32, 32), "learning_rate_init": 0.03, "max_iter": 30}
# All of them with every estimator: python tests/test_estimator_cells.py
VARIANTS = list(product(CELLS, SHAPES))[1:]  # the first one is the default


def with_cell(estimator, cell, shape):
    parameters = {"cell": cell, "random_state": 0, **shape, **QUICK[estimator]}
    if estimator is RNNSequenceRegressor and cell == "lstm" and shape is SHAPES[1]:
        parameters |= QUICKER
    return estimator(**parameters)


@pytest.mark.parametrize(
    "model",
    [with_cell(cls, *variant) for cls, variant in zip(cycle(ESTIMATORS), VARIANTS, strict=False)],
    ids=lambda model: " ".join(repr(model).split()),
)
def test_common_checks_pass_with_every_cell(model):
    check_estimator(model, on_skip=None)
    check_sequence_estimator(model)


# ---- steps, states, features --------------------------------------------------------------------


def make_data(n=12, D=3, seed=0):
    rng = np.random.default_rng(seed)
    X = [rng.normal(size=(T, D)) for T in (1, 9, 4, 7, 2, 6, 5, 3, 8, 1, 4, 6)[:n]]
    return X, [x.cumsum(axis=0)[:, 0] for x in X]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cell", CELLS)
def test_steps_predict_what_the_whole_sequence_predicts(cell, dtype):
    X, Y = make_data()
    model = RNNSequenceRegressor((8, 5), cell=cell, dtype=dtype, max_iter=2, random_state=0)
    model.fit(X, Y)
    expected, tolerance = model.predict(X), 1e-5 if dtype == "float32" else 1e-13
    state = model.start(2)
    assert state.shape == (2, model.network_.state_width)
    for t in range(4):
        y, state = model.step(np.stack([X[1][t], X[2][t]]), state)
        assert_allclose(y, [expected[1][t], expected[2][t]], rtol=0, atol=tolerance)
    rest, _ = model.step_many([X[1][4:]], state[:1])
    assert_allclose(rest[0], expected[1][4:], rtol=0, atol=tolerance)


@pytest.mark.parametrize(("cell", "shape"), VARIANTS)
def test_features_are_the_states_of_the_uppermost_layer(cell, shape):
    X, Y = make_data()
    model = with_cell(RNNSequenceRegressor, cell, shape).set_params(max_iter=1).fit(X, Y)
    all_states = model.transform(X, states="all")
    width = all_states[0].shape[1]
    assert len(model.get_feature_names_out()) == width
    assert_array_equal(all_states[1], model.network_.forward(X).hidden[1])
    M = width // 2 if model.bidirectional else width
    last = model.transform(X, states="last")
    for states, row in zip(all_states, last, strict=True):
        assert_array_equal(states[-1, :M], row[:M])
        assert_array_equal(states[0, M:], row[M:])  # the reverse direction ends at the first step


@pytest.mark.parametrize("cell", CELLS)
def test_two_directions_refuse_by_name_what_goes_step_by_step(cell):
    X, Y = make_data()
    model = RNNSequenceRegressor(4, cell=cell, bidirectional=True, max_iter=1).fit(X, Y)
    labels = RNNSequenceClassifier(4, cell=cell, bidirectional=True, max_iter=1)
    labels.fit(X, [y > 0 for y in Y])
    series = np.sin(np.arange(60.0))
    for call in (
        lambda: model.start(1),
        lambda: model.step(X[0][:1], np.zeros((1, 8))),
        lambda: model.step_many(X, np.zeros((12, 8))),
        lambda: model.network_.live(),
        lambda: labels.sample(3, [True]),
        lambda: RNNSequenceRegressor(4, bidirectional=True, bptt_steps=3).fit(X, Y),
        lambda: RNNForecaster(bidirectional=True).fit(series),
    ):
        with pytest.raises(ValueError, match="bidirectional=False"):
            call()


def test_the_five_derivatives_are_those_of_the_lectures_network_only():
    X, Y = make_data()
    for parameters in ({"cell": "gru"}, {"bidirectional": True}, {"hidden_layer_sizes": (3, 2)}):
        model = RNNSequenceRegressor(**{"hidden_layer_sizes": 3, "max_iter": 1, **parameters})
        network = model.fit(X, Y).network_
        with pytest.raises(ValueError, match="the lecture's network"):
            network.derivatives(X, [y[:, None] for y in Y])


def test_the_weights_of_every_layer_and_direction_are_listed():
    X, Y = make_data()
    shape = {"hidden_layer_sizes": (6, 5), "bidirectional": True, "max_iter": 1}
    model = RNNSequenceRegressor(**shape, cell="gru").fit(X, Y)
    first, second = [(3, 18)] * 2, [(12, 15)] * 2
    assert [w.shape for w in model.coefs_] == [*first, *second, (10, 1)]
    assert [w.shape for w in model.recurrent_coefs_] == [(6, 18)] * 2 + [(5, 15)] * 2
    biases = [(18,), (6,)] * 2 + [(15,), (5,)] * 2
    assert [b.shape for b in model.intercepts_] == [*biases, (1,)]
    assert model.n_layers_ == 4
    assert np.shares_memory(model.coefs_[0], model.network_.parameters["weight_ih_l0"])


# ---- searches, pickles, warm start --------------------------------------------------------------


def test_a_grid_search_compares_cells_layers_and_directions():
    X, Y = make_data()
    y = [float(Y_i[-1]) for Y_i in Y]
    grid = {
        "cell": list(CELLS),
        "hidden_layer_sizes": [4, (4, 3)],
        "bidirectional": [False, True],
    }
    search = GridSearchCV(RNNRegressor(max_iter=1, random_state=0), grid, cv=2).fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@pytest.mark.parametrize(("cell", "shape"), VARIANTS)
def test_a_pickle_predicts_the_same_bits(cell, shape):
    X, Y = make_data()
    model = with_cell(RNNSequenceRegressor, cell, shape).set_params(max_iter=1).fit(X, Y)
    copy = pickle.loads(pickle.dumps(model))
    for expected, found in zip(model.predict(X), copy.predict(X), strict=True):
        assert_array_equal(expected, found)
    assert copy.network_.cell == cell


def test_a_warm_start_refuses_another_cell_of_the_same_sizes():
    X, Y = make_data()
    model = RNNSequenceRegressor(4, cell="rnn", max_iter=1, warm_start=True).fit(X, Y)
    with pytest.raises(ValueError, match="cannot go on from the fit before"):
        model.set_params(cell="lstm").fit(X, Y)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("parameters", [{"activation": "relu"}, {"init": "identity"}])
def test_what_only_the_plain_cell_has_is_refused_by_name(cell, parameters):
    X, Y = make_data()
    ((name, value),) = parameters.items()
    with pytest.raises(ValueError, match=f"^RNNSequenceRegressor got {name}={value!r} with cell"):
        RNNSequenceRegressor(4, cell=cell, **parameters).fit(X, Y)


@pytest.mark.parametrize(
    ("cell", "gates"), [("rnn", [0.0]), ("gru", [0.0, 2.0, 0.0]), ("lstm", [0.0, 2.0, 0.0, 0.0])]
)
def test_the_gates_that_keep_the_state_begin_open(cell, gates):
    X, Y = make_data()
    model = RNNSequenceRegressor(
        5, cell=cell, forget_bias=2.0, max_iter=1, learning_rate_init=1e-12, random_state=0
    ).fit(X, Y)
    parameters = model.network_.parameters
    assert_allclose(parameters["bias_h"], np.repeat(gates, 5), atol=1e-9)
    assert_allclose(parameters.get("bias_hn", 0), 0, atol=1e-9)


@pytest.mark.parametrize("cell", CELLS)
def test_forecasts_go_on_from_the_whole_state(cell):
    series = np.sin(np.arange(120.0) / 3)
    model = RNNForecaster((6, 5), cell=cell, max_iter=2, random_state=0).fit(series)
    first, rest = model.predict(3), model.predict(6)
    assert_array_equal(first, rest[:3])


if __name__ == "__main__":
    for estimator, variant in product(ESTIMATORS, VARIANTS):
        print(estimator.__name__, *variant, flush=True)
        check_estimator(with_cell(estimator, *variant), on_skip=None)
        check_sequence_estimator(with_cell(estimator, *variant))
