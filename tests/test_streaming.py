"""Live sequences: a step at a time is the whole sequence, and states are plain arrays."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import NotFittedError

import cbptt
from cbptt import RNNClassifier, RNNRegressor, RNNSequenceClassifier, RNNSequenceRegressor
from cbptt.engine import engine

ESTIMATORS = (RNNClassifier, RNNRegressor, RNNSequenceClassifier, RNNSequenceRegressor)
PER_STEP = ESTIMATORS[2:]
CLASSIFIERS = (RNNClassifier, RNNSequenceClassifier)
every_estimator = pytest.mark.parametrize("estimator", ESTIMATORS)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

N, T, D = 7, 5, 3


def make_data(seed=0, D=D):
    return np.random.default_rng(seed).normal(size=(N, T, D))


def targets_of(estimator, X):
    sums = np.cumsum(np.nan_to_num(X[:, :, 0]), axis=1)
    sums = sums if estimator in PER_STEP else sums[:, -1]
    return sums > 0 if estimator in CLASSIFIERS else sums


def fitted(estimator, X=None, units=6, **options):
    X = make_data() if X is None else X
    return estimator(units, **{"max_iter": 3, "random_state": 0} | options).fit(
        X, targets_of(estimator, X)
    )


def told(model, X):
    return model.predict_proba(X) if type(model) in CLASSIFIERS else model.predict(X)


def walk(model, X, state=None):
    """Outputs of each step (n, T, ...), and the state after the last."""
    state = model.start(len(X)) if state is None else state
    outputs = []
    for t in range(X.shape[1]):
        y, state = model.step(np.ascontiguousarray(X[:, t]), state)
        outputs.append(y)
    return np.stack(outputs, axis=1), state


# ---- networks -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("M", [1, 16, 33, 64, 400])
@pytest.mark.parametrize("n", [1, 2, 6, 9])
def test_steps_of_a_network_are_its_forward_pass(n, M, dtype):
    net = cbptt.RNN(D, M, 4, output_activation="softmax", loss="log_loss", dtype=dtype,
                    random_state=0)  # fmt: skip
    X = make_data()[:1].repeat(n, axis=0) + np.arange(n)[:, None, None]
    X = X.astype(dtype)
    live, h = net.live(), net.engine.start(n)
    forward = net.forward(X)
    for t in range(T):
        out, h = live.step(np.ascontiguousarray(X[:, t]), h)
        assert out.dtype == h.dtype == dtype
        assert_allclose(h, forward.hidden[:, t], rtol=0, atol=1e-5 if dtype == "float32" else 1e-13)
        assert_allclose(
            out, forward.output[:, t], rtol=0, atol=1e-5 if dtype == "float32" else 1e-13
        )
    if (
        n >= 6 and engine.PRODUCTS == "kernels"
    ):  # then W0 x_t joins the recurrent product step by step in both
        assert_array_equal(h, forward.state)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numbers_too_small_to_be_normal_are_zeros_as_in_the_forward_pass(dtype):
    net = cbptt.RNN(1, 6, 2, activation="identity", dtype=dtype, random_state=0)
    net.theta *= 1e-3
    h = np.full((6, 6), np.finfo(dtype).tiny, dtype)
    out, state = net.live().step(np.zeros((6, 1), dtype), h)
    forward = net.forward(np.zeros((6, 1, 1)), h)
    assert_array_equal(state, forward.state)
    assert_array_equal(out, forward.output[:, 0])
    assert not state.any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_step_follows_parameters_that_are_changed_in_place(dtype):
    net = cbptt.RNN(D, 5, 2, dtype=dtype, random_state=0)
    live, x, h = net.live(), np.ones((1, D), dtype), net.engine.start(1)
    before = live.step(x, h)[0]
    held = net.theta  # a view that was taken before the step, and is written to after it
    held[:] /= 2
    halved = live.step(x, h)[0]
    assert_array_equal(halved, net.live().step(x, h)[0])
    assert not np.array_equal(halved, before)
    net.parameters["bias_o"][:] = 3
    assert_array_equal(live.step(x, h)[0], net.live().step(x, h)[0])
    assert not np.array_equal(live.step(x, h)[0], halved)


@pytest.mark.parametrize(
    ("x", "h"),
    [
        (np.ones((2, D)), np.ones((1, 5))),
        (np.ones((1, D + 1)), np.ones((1, 5))),
        (np.ones((1, D)), np.ones((1, 6))),
        (np.ones(D), np.ones((1, 5))),
        (np.ones((1, D), np.float32), np.ones((1, 5))),
        (np.ones((1, D), np.int64), np.ones((1, 5))),
        (np.ones((1, D)).astype(">f8"), np.ones((1, 5))),
        (np.ones((D, 4)).T, np.ones((4, 5))),
        (np.full((1, D), np.nan), np.ones((1, 5))),
        (np.ones((1, D)), np.full((1, 5), np.inf)),
        (np.empty((0, D)), np.empty((0, 5))),
        ([[1.0] * D], np.ones((1, 5))),
        (None, None),
    ],
)
def test_what_compiled_steps_cannot_take_is_left_to_their_caller(x, h):
    assert cbptt.RNN(D, 5, 2).live().step(x, h) is None


def test_read_only_arrays_are_taken_and_nothing_given_is_changed():
    live, x, h = cbptt.RNN(D, 5, 2).live(), np.ones((2, D)), np.full((2, 5), 0.5)
    x.flags.writeable = h.flags.writeable = False
    out, h_new = live.step(x, h)
    assert out.flags.writeable
    assert h_new is not h
    assert_array_equal(h, 0.5)


# ---- estimators ---------------------------------------------------------------------------------


@every_estimator
@pytest.mark.parametrize(
    "options", [{}, {"learn_initial_state": True}, {"dtype": "float32"}], ids=str
)
def test_steps_of_an_estimator_are_its_predictions(options, estimator):
    model = fitted(estimator, **options)
    X = make_data(1).astype(model.network_.dtype)
    outputs, state = walk(model, X)
    tolerance = 1e-5 if "dtype" in options else 1e-12
    expected = told(model, X)
    assert_allclose(
        outputs if estimator in PER_STEP else outputs[:, -1], expected, rtol=0, atol=tolerance
    )
    assert_allclose(state, model.transform(X, "last"), rtol=0, atol=tolerance)


@every_estimator
def test_a_block_of_steps_is_so_many_steps(estimator):
    model, X = fitted(estimator), make_data(2)
    outputs, state = walk(model, X)
    first, between = model.step_many(X[:, :2], model.start(N))
    rest, last = model.step_many(X[:, 2:], between)
    assert_allclose(np.concatenate([first, rest], axis=1), outputs, rtol=0, atol=1e-12)
    assert_allclose(last, state, rtol=0, atol=1e-12)

    ragged = [x[:length] for x, length in zip(X, (1, 5, 3, 2, 4, 5, 1), strict=True)]
    blocks, states = model.step_many(ragged, model.start(N))
    assert blocks.dtype == object
    for i, x in enumerate(ragged):
        alone, end = walk(model, x[None])
        assert_allclose(blocks[i], alone[0], rtol=0, atol=1e-12)
        assert_allclose(states[i], end[0], rtol=0, atol=1e-12)


@every_estimator
def test_states_can_be_stored_cut_and_joined(estimator):
    model, X = fitted(estimator), make_data(3)
    whole, _ = walk(model, X)
    _, state = walk(model, X[:, :2])
    state = pickle.loads(pickle.dumps(state))
    model = pickle.loads(pickle.dumps(model))
    for part in (slice(0, 3), slice(3, N)):
        outputs, _ = walk(model, X[part, 2:], state[part])
        assert_allclose(outputs, whole[part, 2:], rtol=0, atol=1e-12)


@every_estimator
def test_a_sequence_that_is_reset_begins_anew(estimator):
    model, X = fitted(estimator, learn_initial_state=True), make_data(4)
    _, state = walk(model, X)
    anew = model.reset(state, [1, 4])
    outputs, _ = walk(model, X, anew)
    fresh, _ = walk(model, X)
    gone_on, _ = walk(model, X, state)
    for i in range(N):
        assert_allclose(outputs[i], (fresh if i in (1, 4) else gone_on)[i], rtol=0, atol=1e-12)


@pytest.mark.parametrize("rows", [[5], [-6], [0.5], "a", [True, False]])
def test_rows_to_reset_that_are_not_there_are_named(rows):
    model = RNNClassifier(2, max_iter=1, random_state=0).fit(np.zeros((4, 3, 1)), [0, 1, 0, 1])
    with pytest.raises(IndexError, match=r"RNNClassifier\.reset got rows=.* for 5 sequences; exp"):
        model.reset(model.start(5), rows)


@every_estimator
def test_steps_follow_a_refit(estimator):
    model, X = fitted(estimator), make_data(5)
    walk(model, X)
    model.set_params(random_state=1).fit(X, targets_of(estimator, X))
    outputs, _ = walk(model, X)
    expected = told(model, X)
    assert_allclose(
        outputs if estimator in PER_STEP else outputs[:, -1], expected, rtol=0, atol=1e-12
    )


def test_a_missing_value_of_a_step_is_masked_like_that_of_a_sequence():
    X = np.where(np.random.default_rng(0).random((N, T, D)) < 0.3, np.nan, make_data())
    model = fitted(RNNSequenceRegressor, X, missing="mask")
    assert_allclose(walk(model, X)[0], model.predict(X), rtol=0, atol=1e-12)


def test_inputs_that_are_the_network_s_own_are_refused_at_every_step():
    # (n, 2 D): values and which of them are missing, as the network reads them
    X = make_data()
    X[0, 0, 0] = np.nan
    model = fitted(RNNSequenceRegressor, X, missing="mask")
    state = model.start(1)
    for _ in range(2):
        with pytest.raises(ValueError, match=rf"got x of shape \(1, {2 * D}\); expected"):
            model.step(np.ones((1, 2 * D)), state)
        model.step(np.ones((1, D)), state)


def test_a_state_too_large_for_the_precision_is_refused_by_the_error_alone():
    X = make_data().astype(np.float32)
    model = fitted(RNNRegressor, X)
    state = np.full(model.start(1).shape, 1e300)
    with pytest.raises(ValueError, match="got NaN or infinity in state"):
        model.step(X[:1, 0], state)


def test_any_numbers_are_taken_if_not_as_quickly():
    model = fitted(RNNRegressor)
    x, state = [[1, 2, 3], [4, 5, 6]], model.start(2)
    expected = model.step(np.array(x, float), state)
    for form in (x, np.array(x), np.array(x, ">f4"), np.asfortranarray(np.array(x, float))):
        for actual, wanted in zip(model.step(form, state.tolist()), expected, strict=True):
            assert_array_equal(actual, wanted)


def test_one_variable_may_come_without_an_axis():
    X = make_data(D=1)[:, :, 0]
    model = RNNSequenceRegressor(4, max_iter=2, random_state=0).fit(X, X)
    outputs, state = [], model.start(N)
    for t in range(T):
        y, state = model.step(X[:, t], state)
        outputs.append(y)
    assert_allclose(np.stack(outputs, axis=1), model.predict(X), rtol=0, atol=1e-12)


def test_steps_may_be_taken_in_several_threads():
    model, X = fitted(RNNRegressor, units=64), make_data(6)
    expected, _ = walk(model, X)
    with ThreadPoolExecutor(4) as pool:
        for outputs, _ in pool.map(lambda _: walk(model, X), range(40)):
            assert_array_equal(outputs, expected)


# ---- probabilities on the way -----------------------------------------------------------------


@pytest.mark.parametrize("form", ["array", "list"])
def test_probabilities_at_every_step_are_those_of_the_sequences_that_end_there(form):
    model, X = fitted(RNNClassifier), make_data(7)
    given = X if form == "array" else [x[: i % T + 1] for i, x in enumerate(X)]
    on_the_way = model.predict_proba(given, at="every")
    for i, x in enumerate(given):
        for t in range(len(x)):
            expected = model.predict_proba(x[None, : t + 1])[0]
            assert_allclose(on_the_way[i][t], expected, rtol=0, atol=1e-12)
    if form == "array":
        assert_allclose(on_the_way[:, -1], model.predict_proba(X), rtol=0, atol=1e-12)


# ---- bad input ----------------------------------------------------------------------------------


@every_estimator
def test_nothing_is_live_before_fit(estimator):
    for ask in (
        lambda m: m.start(),
        lambda m: m.step(np.ones((1, D)), np.ones((1, 4))),
        lambda m: m.step_many(make_data(), np.ones((N, 4))),
    ):
        with pytest.raises(NotFittedError):
            ask(estimator(4))


@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_a_pooled_readout_cannot_go_on_from_a_state(pooling):
    model = fitted(RNNClassifier, pooling=pooling)
    for ask in (
        lambda: model.start(),
        lambda: model.step(np.ones((1, D)), np.ones((1, 6))),
        lambda: model.predict_proba(make_data(), at="every"),
    ):
        with pytest.raises(ValueError, match=f"pooling='{pooling}' reads all states"):
            ask()


@pytest.mark.parametrize(
    ("x", "state", "message"),
    [
        (np.ones((2, D + 1)), np.ones((2, 6)), r"x of shape \(2, 4\); expected shape \(n, 3\)"),
        (np.ones(D), np.ones((1, 6)), r"x of shape \(3,\)"),
        (np.ones((0, D)), np.ones((0, 6)), r"x of shape \(0, 3\)"),
        (np.ones((2, D)), np.ones((3, 6)), r"state of shape \(3, 6\); expected shape \(2, 6\)"),
        (np.ones((2, D)), np.ones((2, 5)), r"state of shape \(2, 5\); expected shape \(2, 6\)"),
        (np.ones((2, D)), np.full((2, 6), np.nan), "NaN or infinity in state"),
        (np.full((2, D), np.nan), np.ones((2, 6)), r"x\[0\] with NaN"),
        ([["a"] * D] * 2, np.ones((2, 6)), "x of dtype"),
        (np.ones((2, D)), "state", "state of"),
    ],
)
def test_bad_steps_are_refused(x, state, message):
    with pytest.raises((ValueError, TypeError), match=f"^RNNRegressor got {message}"):
        fitted(RNNRegressor).step(x, state)


@pytest.mark.parametrize("n", [0, -1, 1.5, True, "all", 2**63])
def test_what_is_no_number_of_sequences_is_refused(n):
    with pytest.raises(ValueError, match="an int from 1 up to 2147483647"):
        fitted(RNNRegressor).start(n)


def test_unknown_places_of_probabilities_are_refused():
    with pytest.raises(ValueError, match="at='start'; expected 'end' or 'every'"):
        fitted(RNNClassifier).predict_proba(make_data(), at="start")
