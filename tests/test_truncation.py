"""Truncated backpropagation through time: windows, carried states, and whose gradient it is."""

from __future__ import annotations

import sys
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import cbptt
from cbptt import reference
from cbptt.data.sequences import check_sequences
from cbptt.engine.truncation import Truncation, check_truncation
from cbptt.optimizers import Adam, Sgd

D, M, K = 2, 4, 3
LENGTHS = (7, 3, 12, 1, 8)
NAMES = ("weight_ih", "weight_hh", "bias_h", "weight_ho", "bias_o")
every_length = st.lists(st.integers(1, 15), min_size=1, max_size=5)


def make_net(readout="every", dtype="float64", **options):
    return cbptt.RNN(
        D, M, K, output_activation="softmax", loss="log_loss", readout=readout, dtype=dtype,
        random_state=0, **options,
    )  # fmt: skip


def make_data(lengths=LENGTHS, readout="every", seed=0):
    rng = np.random.default_rng(seed)
    X = [rng.normal(size=(T, D)) for T in lengths]
    places = [(T,) for T in lengths] if readout == "every" else [()] * len(lengths)
    Y = [rng.integers(K, size=place) for place in places]
    weight = [rng.uniform(0.5, 2, size=place) for place in places]
    if readout != "every":
        return X, np.array(Y), np.array(weight)
    return X, Y, weight


def windows_of(lengths, steps, stride):
    sequences = check_sequences([np.zeros((T, 1)) for T in lengths], caller="test")
    return sequences, list(Truncation(steps, stride).windows(sequences, np.arange(len(lengths))))


# ---- windows -----------------------------------------------------------------------------------


@given(every_length, st.integers(1, 9), st.integers(1, 9))
def test_every_loss_belongs_to_one_window_which_reaches_back_as_far_as_asked(lengths, a, b):
    stride, steps = sorted((a, b))
    sequences, windows = windows_of(lengths, steps, stride)
    seen = np.concatenate([window.rows for window in windows])
    assert sorted(seen) == list(range(sequences.n_steps))
    for window in windows:
        for i in window.ids:
            first, last = sequences.offsets[i : i + 2]
            begin, end, counts = window.starts[i], window.stops[i], window.losses_from[i]
            assert first <= begin <= counts < end <= last
            assert end - begin <= steps
            assert end - counts <= stride
            assert end == last or begin == max(first, end - steps)
            assert window.is_first == (begin == first)


@given(every_length, st.integers(1, 9), st.integers(1, 9))
def test_a_window_begins_where_the_one_before_left_a_state(lengths, a, b):
    stride, steps = sorted((a, b))
    _, windows = windows_of(lengths, steps, stride)
    for before, after in pairwise(windows):
        assert set(after.ids) <= set(before.ids)
        for i in after.ids:
            assert after.starts[i] == before.starts[i] + before.carry
            assert before.carry <= before.stops[i] - before.starts[i]


# ---- gradients ---------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("readout", ["every", "last"])
@pytest.mark.parametrize("steps", [12, 13, 1000, sys.maxsize, 2**70])
def test_a_window_of_all_steps_is_full_bptt_to_the_last_bit(steps, readout, dtype):
    net, data = make_net(readout, dtype), make_data(readout=readout)
    loss, gradients = net.loss_and_gradients(*data)
    cut_loss, cut = net.loss_and_gradients(*data, bptt_steps=steps)
    assert cut_loss == loss
    assert tuple(cut) == NAMES
    for name in NAMES:
        assert_array_equal(cut[name], gradients[name], err_msg=name, strict=True)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("n", "T", "units"), [(16, 150, 128), (24, 120, 100), (17, 140, 128)])
def test_so_it_is_for_batches_of_several_parts(n, T, units, dtype):
    # operations for two parts, each of fewer rows than a part of the whole batch would have
    net, rng = cbptt.RNN(2, units, 1, dtype=dtype, random_state=0), np.random.default_rng(0)
    shard = net.shard(rng.normal(size=(n, T, 2)), rng.normal(size=(n, T)))
    engine = net.engine
    whole, cut = engine.gradient(shard), engine.gradient(shard, truncation=Truncation(T, T))
    assert cut.loss_sum == whole.loss_sum
    assert_array_equal(cut.gradient, whole.gradient)


@pytest.mark.parametrize(("readout", "n"), [("every", 16), ("last", 24)])
def test_a_window_of_fewer_parts_than_its_batch_is_the_sum_of_its_sequences(readout, n):
    # so many sequences fall into two parts, forward and back or forward only; without one, into one
    rng, lengths = np.random.default_rng(0), [650] + [1300] * (n - 1)
    net = cbptt.RNN(1, 40, 1, readout=readout, random_state=0)
    X = [rng.normal(size=(T, 1)) for T in lengths]
    Y = [rng.normal(size=T) for T in lengths] if readout == "every" else rng.normal(size=n)
    _, found = net.loss_and_gradients(X, Y, reduction="sum", bptt_steps=650)
    alone = [
        net.loss_and_gradients(X[i : i + 1], Y[i : i + 1], reduction="sum", bptt_steps=650)[1]
        for i in range(n)
    ]
    for name in NAMES:
        expected = sum(gradients[name] for gradients in alone)
        assert_allclose(found[name], expected, rtol=0, atol=1e-12 * np.abs(expected).max())


@pytest.mark.parametrize("products", ["kernels", "blas"])
@pytest.mark.parametrize(("steps", "stride"), [(3, 3), (4, 1), (4, 3), (1, 1), (5, 2)])
def test_the_gradient_is_the_sum_over_windows_that_begin_from_states_held_fast(
    steps, stride, products, monkeypatch
):
    monkeypatch.setattr("cbptt.engine.engine.PRODUCTS", products)
    net, (X, Y, weight) = make_net(), make_data()
    hidden = net.forward(X).hidden

    def loss_of(parameters):
        total = 0
        for x, y, w, h in zip(X, Y, weight, hidden, strict=True):
            for done in range(0, len(x), stride):
                end = min(len(x), done + stride)
                begin = max(0, done + stride - steps)
                counts = np.where(np.arange(begin, end) >= done, w[begin:end], 0)
                total = total + reference.loss(
                    parameters,
                    x[begin:end, np.newaxis],
                    reference.one_hot(y[begin:end, np.newaxis], K),
                    counts[:, np.newaxis],
                    h[begin - 1 : begin] if begin else None,
                )
        return total

    loss, gradients = net.loss_and_gradients(
        X, Y, weight, "sum", bptt_steps=steps, bptt_stride=stride
    )
    parameters = dict(net.parameters)
    assert_allclose(loss, loss_of(parameters), rtol=1e-13)
    for name in NAMES:
        expected = reference.complex_step(
            lambda z, name=name: loss_of(parameters | {name: z}), parameters[name]
        )
        assert_allclose(gradients[name], expected, rtol=1e-11, atol=1e-13, err_msg=name)


@pytest.mark.parametrize("steps", [1, 3, 8])
def test_the_loss_of_a_last_step_flows_back_through_so_many_steps(steps):
    net, (X, Y, weight) = make_net("last"), make_data(readout="last")
    hidden = net.forward(X).hidden

    def loss_of(parameters):
        total = 0
        for x, y, w, h in zip(X, Y, weight, hidden, strict=True):
            begin = max(0, len(x) - steps)
            total = total + reference.loss(
                parameters, x[begin:, np.newaxis], reference.one_hot([y], K), [w],
                h[begin - 1 : begin] if begin else None, readout="last",
            )  # fmt: skip
        return total

    loss, gradients = net.loss_and_gradients(X, Y, weight, "sum", bptt_steps=steps)
    parameters = dict(net.parameters)
    assert_allclose(loss, loss_of(parameters), rtol=1e-13)
    for name in NAMES:
        expected = reference.complex_step(
            lambda z, name=name: loss_of(parameters | {name: z}), parameters[name]
        )
        assert_allclose(gradients[name], expected, rtol=1e-11, atol=1e-13, err_msg=name)


@given(every_length, st.integers(1, 6), st.integers(1, 6))
def test_the_loss_is_that_of_the_whole_sequences(lengths, a, b):
    stride, steps = sorted((a, b))
    net, data = make_net(), make_data(lengths)
    loss, _ = net.loss_and_gradients(*data, "sum", bptt_steps=steps, bptt_stride=stride)
    assert_allclose(loss, net.loss(*data, "sum"), rtol=1e-12)


def test_a_learned_initial_state_is_reached_from_the_first_windows_alone():
    net = make_net(learn_initial_state=True)
    net.parameters["initial_state"][...] = 0.3
    X, Y, weight = make_data()
    firsts = [[part[:4] for part in parts] for parts in (X, Y, weight)]
    _, expected = net.loss_and_gradients(*firsts, "sum")
    _, gradients = net.loss_and_gradients(X, Y, weight, "sum", bptt_steps=4)
    assert_allclose(gradients["initial_state"], expected["initial_state"], rtol=1e-12)


def test_initial_states_that_are_given_begin_the_first_windows():
    net, (X, Y, weight) = make_net(), make_data()
    h0 = np.random.default_rng(3).uniform(-0.5, 0.5, size=(len(X), M))
    loss, _ = net.loss_and_gradients(X, Y, weight, "sum", h0, bptt_steps=3)
    assert_allclose(loss, net.loss(X, Y, weight, "sum", h0), rtol=1e-13)


# ---- training ----------------------------------------------------------------------------------


@pytest.mark.parametrize("readout", ["every", "last"])
def test_training_in_one_window_is_training_as_ever(readout, make_trainer):
    X, Y, weight = make_data(readout=readout)
    theta = []
    for truncation in (None, Truncation(50, 50)):
        trainer = make_trainer(
            make_net(readout), X, Y, Adam(0.05), weight, batch_size=2, truncation=truncation
        )
        for _ in range(3):
            trainer.epoch()
        theta.append(trainer.network.theta)
    assert_array_equal(*theta)


def test_a_step_is_taken_after_each_window_from_the_state_that_was_carried(make_trainer):
    net, (X, Y, weight) = make_net(), make_data([10, 6])
    truncation = Truncation(3, 3)
    trainer = make_trainer(net, X, Y, Sgd(0.1, 0.0), weight, batch_size=2, truncation=truncation)

    plain, state, losses, weights = make_net(), None, 0.0, 0.0
    for done in range(0, 10, 3):
        part = [i for i in range(2) if len(X[i]) > done]
        cut = [[values[i][done : done + 3] for i in part] for values in (X, Y, weight)]
        h0 = None if state is None else np.array([state[i] for i in part])
        shard = plain.shard(*cut, h0)
        result = plain.engine.gradient(shard)
        state = dict(zip(part, plain.forward(cut[0], h0).state, strict=True))
        losses, weights = losses + result.loss_sum, weights + result.weight_sum
        plain.theta = plain.theta - 0.1 * result.gradient / result.weight_sum

    epoch = trainer.epoch()
    assert epoch.n_steps == trainer.moments.n_steps == 4
    assert_allclose(epoch.loss, losses / weights, rtol=1e-12)
    assert_allclose(net.theta, plain.theta, rtol=1e-11)


def test_a_batch_does_not_depend_on_the_batches_before_it(make_trainer):
    X, Y, weight = make_data([9, 8, 7, 9, 6], "last")
    gradients = []
    for batches in ([[4], [0, 1, 2, 3]], [[0, 1, 2, 3]]):
        net = make_net("last")
        trainer = make_trainer(
            net, X, Y, Sgd(0.1, 0.0), weight, batch_size=4, truncation=Truncation(2, 2)
        )
        gradient = np.empty_like(net.theta)
        for ids in batches:
            trainer._batches.gradient(gradient, net.theta, np.array(ids))
        gradients.append(gradient)
    assert_array_equal(*gradients)


# ---- estimators ---------------------------------------------------------------------------------

ESTIMATORS = (
    cbptt.RNNClassifier,
    cbptt.RNNRegressor,
    cbptt.RNNSequenceClassifier,
    cbptt.RNNSequenceRegressor,
)
a_few_epochs = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def make_targets(estimator, X):
    sums = [np.cumsum(x[:, 0]) for x in X]
    if estimator in ESTIMATORS[:2]:
        sums = np.array([s[-1] for s in sums])
        return sums > 0 if estimator is cbptt.RNNClassifier else sums
    return [s > 0 for s in sums] if estimator is cbptt.RNNSequenceClassifier else sums


@a_few_epochs
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_an_estimator_whose_windows_hold_everything_is_the_plain_one(estimator):
    X, _, _ = make_data()
    y = make_targets(estimator, X)
    plain, windowed = (
        estimator(5, max_iter=4, random_state=0, batch_size=2, bptt_steps=steps).fit(X, y)
        for steps in (None, 12)
    )
    assert_array_equal(windowed.network_.theta, plain.network_.theta)
    assert windowed.loss_curve_ == plain.loss_curve_


@a_few_epochs
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_an_estimator_learns_from_windows(estimator):
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(T, D)) for T in rng.integers(20, 60, 30)]
    X = [x + np.sign(x[:1]) for x in X]
    y = [np.sign(x.mean()) for x in X]
    y = (
        y
        if estimator in ESTIMATORS[:2]
        else [np.full(len(x), v) for x, v in zip(X, y, strict=True)]
    )
    model = estimator(
        8, max_iter=30, random_state=0, learning_rate_init=0.01, bptt_steps=8, bptt_stride=5
    )
    losses = model.fit(X, y).loss_curve_
    assert losses[-1] < 0.6 * losses[0]


@a_few_epochs
def test_one_long_series_is_cut_into_streams():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1, 1_000))
    y = np.roll(x, 1, axis=1)
    model = cbptt.RNNSequenceRegressor(
        16, batch_size=8, bptt_steps=20, bptt_streams=True, learning_rate_init=0.01, max_iter=60,
        random_state=0,
    ).fit(x, y)  # fmt: skip
    assert model.t_ == 8 * model.n_iter_
    assert model.score(x, y) > 0.9
    # pieces are a window long at least
    short = cbptt.RNNSequenceRegressor(4, bptt_steps=400, bptt_streams=True, max_iter=1)
    assert short.fit(x, y).t_ == 2
    assert short.set_params(batch_size=2**63).fit(x, y).t_ == 2


@pytest.mark.parametrize(
    ("estimator", "options", "message"),
    [
        (ESTIMATORS[0], {"bptt_streams": True, "bptt_steps": 5}, "expected targets for each step"),
        (ESTIMATORS[2], {"bptt_streams": True}, "a number of steps for bptt_steps"),
        (ESTIMATORS[2], {"bptt_steps": 5, "solver": "lbfgs"}, "needs the exact gradient"),
        (ESTIMATORS[0], {"bptt_steps": 5, "pooling": "mean"}, "mean of all states"),
        (ESTIMATORS[3], {"bptt_steps": 5, "bptt_stride": 9}, "at most 5"),
    ],
)
def test_an_estimator_refuses_a_truncation_that_does_not_fit(estimator, options, message):
    X, _, _ = make_data()
    with pytest.raises(ValueError, match=f"^{estimator.__name__} got .*{message}"):
        estimator(4, **options).fit(X, make_targets(estimator, X))


# ---- bad input ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("steps", "stride", "readout", "learn", "message"),
    [
        (0, None, "every", False, "bptt_steps=0; expected None or an int from 1 up"),
        (2.5, None, "every", False, r"bptt_steps=2\.5"),
        (True, None, "every", False, "bptt_steps=True"),
        (5, 0, "every", False, "bptt_stride=0"),
        (5, 6, "every", False, "bptt_stride=6 with bptt_steps=5; .*at most 5"),
        (None, 5, "every", False, "bptt_stride=5 with bptt_steps=None"),
        (5, None, "mean", False, ".*mean of all states"),
        (5, None, "max", False, ".*max of all states"),
        (5, None, "last", True, ".*learn_initial_state=True and one target"),
    ],
)
def test_a_truncation_that_does_not_fit_is_refused(steps, stride, readout, learn, message):
    with pytest.raises(ValueError, match=f"^RNN got {message}"):
        check_truncation(steps, stride, readout=readout, learn_initial_state=learn, caller="RNN")
    net = make_net(readout, learn_initial_state=learn)
    with pytest.raises(ValueError, match=f"^RNN got {message}"):
        net.loss_and_gradients(*make_data(readout=readout), bptt_steps=steps, bptt_stride=stride)
