"""The closed edge: nothing assigned, unpickled, shared or passed reaches past an array."""

from __future__ import annotations

import copy
import pickle
import signal
import threading
import warnings
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.preprocessing import StandardScaler

from cbptt import (
    RNN,
    PerTimestep,
    RNNClassifier,
    RNNForecaster,
    RNNRegressor,
    RNNSequenceClassifier,
    RNNSequenceRegressor,
    _bptt,
    _live,
    _losses,
    _optimizers,
    _packing,
    _plan,
    _rollout,
    _team,
)
from cbptt.data.ragged import Ragged
from cbptt.data.sequences import Sequences, check_sequences
from cbptt.engine.results import Dropout
from cbptt.engine.truncation import Truncation
from cbptt.forecasting import forecaster
from cbptt.forecasting.learning import train_network
from cbptt.network import Shard
from cbptt.optimizers import Adam, Moments
from cbptt.training import Trainer

DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])
D, M, K = 2, 3, 4
X = [np.ones((3, D)), np.full((5, D), 0.5), np.zeros((1, D))]
Y = [np.array([0, 1, 3]), np.array([2, 0, 1, 2, 3]), np.array([1])]

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def make_net(dtype="float64", readout="every", units=M, **options):
    options = {"output_activation": "softmax", "loss": "log_loss", "random_state": 0} | options
    return RNN(D, units, K, readout=readout, dtype=dtype, **options)


def fitted(estimator=RNNClassifier, units=4, D=D, dtype="float64", n_classes=2, **options):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(12, 5, D)).astype(dtype)
    y = np.arange(12) % n_classes
    if estimator in (RNNSequenceClassifier, RNNSequenceRegressor):
        y = np.repeat(y[:, None], 5, axis=1)
    return estimator(units, max_iter=2, random_state=0, **options).fit(X, y), X, y


# ---- what a network is made of -------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        *("n_inputs", "hidden_size", "n_outputs", "activation", "output_activation", "loss_name"),
        *("readout", "dtype", "layout", "parameters"),
    ],
)
def test_the_description_of_a_network_cannot_be_assigned(name):
    net = make_net()
    with pytest.raises(AttributeError, match=name):
        setattr(net, name, 1)
    with pytest.raises((AttributeError, TypeError)):
        net.layout.entries["weight_hh"] = (0, (1000, 1000))
    with pytest.raises(AttributeError):
        net.layout.n_weights = 10**9


@DTYPES
def test_parameters_keep_their_place_and_their_shape(dtype):
    net = make_net(dtype)
    loss = net.loss(X, Y)
    theta, weight = net.theta, net.parameters["weight_hh"]
    for array in (theta, theta.base, weight):
        with pytest.raises((ValueError, BufferError, AttributeError)):
            array.resize((10**6,), refcheck=False)
    with warnings.catch_warnings():  # NumPy is going to give up shapes that are assigned
        warnings.simplefilter("ignore")
        theta.shape = (1, -1)
        weight.shape = (-1,)
    assert net.theta.shape == (net.layout.size,)
    assert net.parameters["weight_hh"].shape == (M, M)
    assert net.loss(X, Y) == loss


@DTYPES
def test_a_pickled_network_is_itself_and_a_copy_is_independent(dtype):
    net = make_net(dtype, learn_initial_state=True)
    for other in (pickle.loads(pickle.dumps(net)), copy.copy(net), copy.deepcopy(net)):
        assert repr(other) == repr(net)
        assert_array_equal(other.theta, net.theta)
        assert not np.shares_memory(other.theta, net.theta)
        assert other.loss(X, Y) == net.loss(X, Y)


@pytest.mark.parametrize(
    "change",
    [
        lambda state: state["architecture"].update(hidden_size=1000),
        lambda state: state["architecture"].update(n_inputs=1),
        lambda state: state["architecture"].update(readout="nowhere"),
        lambda state: state["architecture"].update(dtype="float32"),
        lambda state: state["architecture"].update(learn_initial_state=True),
        lambda state: state["architecture"].pop("loss"),
        lambda state: state.pop("theta"),
        lambda state: state.update(theta=state["theta"][:-1]),
        lambda state: state.update(theta=state["theta"][None]),
        lambda state: state.update(theta=state["theta"].astype("i8")),
        lambda state: state.update(theta="theta"),
        lambda state: state.update(architecture=None),
    ],
)
def test_a_pickle_with_altered_sizes_is_refused(change):
    state = make_net().__getstate__()
    change(state)
    with pytest.raises(ValueError, match="RNN got"):
        RNN.__new__(RNN).__setstate__(state)


# ---- containers ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda r: pickle.loads(pickle.dumps(r))]
)
def test_copies_of_a_ragged_have_offsets_that_cannot_be_written_to(copied):
    ragged = copied(Ragged.from_sequences(X))
    assert [x.tolist() for x in ragged] == [x.tolist() for x in X]
    for offsets in (ragged.offsets, ragged[:2].offsets, ragged[[1, 0]].offsets):
        with pytest.raises(ValueError, match="read-only"):
            offsets[0] = 1
        with pytest.raises(ValueError, match="WRITEABLE"):
            offsets.flags.writeable = True


@pytest.mark.parametrize("offsets", [[0, 10**6], [0, 3, 2, 9], [0, -1, 9], [1, 9], [0, 9, 9]])
@pytest.mark.parametrize("kind", [Ragged, Sequences])
def test_offsets_that_do_not_rise_to_the_end_are_refused_from_a_pickle_too(kind, offsets):
    values, offsets = np.zeros((9, D)), np.array(offsets)
    if kind is Ragged:
        made, state = Ragged.from_sequences(X), [values, offsets]
    else:
        made = check_sequences(X, caller="test")
        state = {"values": values, "offsets": offsets, "form": "list"}
    before = made.offsets
    with pytest.raises(ValueError, match=f"{kind.__name__} got"):
        made.__setstate__(state)
    assert made.offsets is before
    with pytest.raises(ValueError, match=f"{kind.__name__} got"):
        replace(made, values=values, offsets=offsets)


def test_an_array_whose_shape_is_changed_behind_a_ragged_is_refused_or_read_as_before():
    values = np.arange(18.0).reshape(9, 2)
    ragged = Ragged(values, [0, 4, 9])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        values.shape = (3, 6)
        assert [x.shape for x in ragged] == [(4, 2), (5, 2)]
        ragged.values.shape = (3, 6)
    with pytest.raises(ValueError, match=r"expected them to run from 0 to 3|offsets"):
        check_sequences(ragged, caller="test")


# ---- what a network is given ---------------------------------------------------------------------


def sequences_of(width, dtype="float64"):
    return check_sequences([np.ones((4, width)), np.ones((2, width))], dtype=dtype, caller="test")


@DTYPES
def test_sequences_of_another_width_or_precision_are_refused(dtype):
    net = make_net(dtype)
    other = "float64" if dtype is np.float32 else "float32"
    for sequences in (sequences_of(D + 1, dtype), sequences_of(1, dtype), sequences_of(D, other)):
        for call in (net.outputs, net.states, lambda s: net.continued(s, net.start(2))):
            with pytest.raises(ValueError, match="RNN got sequences with values of shape"):
                call(sequences)


def wrong(shard, **changes):
    return Shard(shard.sequences, replace(shard.targets, **changes), shard.h0)


@DTYPES
@pytest.mark.parametrize("readout", ["every", "last", "mean"])
def test_targets_of_a_shard_that_do_not_belong_to_its_sequences_are_refused(readout, dtype):
    net = make_net(dtype, readout)
    shard = net.shard(X, Y if readout == "every" else [0, 1, 2])
    labels, weights = shard.targets.labels, shard.targets.weights
    nothing = np.empty((0, K), dtype)
    for bad in (
        wrong(shard, labels=labels[:-1]),
        wrong(shard, weights=weights[:-1]),
        wrong(shard, labels=np.full_like(labels, K)),
        wrong(shard, labels=np.full_like(labels, -(10**12))),
        wrong(shard, labels=labels[:0], values=np.zeros((2, K), dtype)),
        wrong(shard, labels=labels[:0], values=np.zeros((len(weights), K + 1), dtype)),
        wrong(shard, labels=labels[:0], values=nothing),
        replace(shard, h0=np.zeros((2, M), dtype)),
        replace(shard, h0=np.zeros((3, M + 1), dtype)),
    ):
        with pytest.raises(ValueError, match="compiled code got"):
            net.run(bad)
    unread = wrong(shard, labels=np.full_like(labels, K), weights=np.zeros_like(weights))
    assert net.run(unread).loss_sum == 0


@DTYPES
def test_dropout_masks_of_other_sizes_are_refused(dtype):
    net = make_net(dtype)
    shard = net.shard(X, Y)
    nothing = np.empty((0, 0), dtype)
    for masks in (
        Dropout(nothing, np.ones((2, M), dtype)),
        Dropout(nothing, np.ones((3, M - 1), dtype)),
        Dropout(np.ones((2, D), dtype), nothing),
        Dropout(np.ones((3, D + 1), dtype), nothing),
    ):
        with pytest.raises(ValueError, match="dropout masks of"):
            net.run(shard, dropout=masks)


@DTYPES
def test_scratch_that_was_changed_is_refused(dtype):
    net = make_net(dtype)
    shard = net.shard(X, Y)
    for name in ("packed", "blocks", "indices", "sums", "batch_order", "gradients", "losses"):
        scratch = net.scratch(shard.sequences)
        array = scratch.arrays[name]
        scratch.arrays[name] = np.ascontiguousarray(array[..., :-1])
        with pytest.raises(ValueError, match=name):
            net.run(shard, scratch)
    scratch = net.scratch(shard.sequences)
    short = _plan.Plan(net._core, np.array([1]), False, 1, True)
    with pytest.raises(ValueError, match="compiled code got"):
        net.run(shard, replace(scratch, plan=short))


def test_a_batch_that_its_plan_has_no_room_for_is_refused():
    net = make_net()
    shard = net.shard(X, Y)
    small = net.shard(X[:1], Y[:1])
    scratch = net.scratch(small.sequences)
    scratch = replace(scratch, sequences=shard.sequences, batch_size=len(X))
    scratch.arrays["everyone"] = np.arange(3)
    with pytest.raises(ValueError, match="larger than its work memory"):
        net.run(shard, scratch)
    forward = replace(net.forward_scratch(small.sequences), sequences=shard.sequences, batch_size=3)
    forward.arrays["everyone"] = np.arange(3)
    with pytest.raises(ValueError, match="larger than its work memory"):
        net.run_forward(shard, forward)


def make_trainer(net, **options):
    shard = net.shard(X * 8, Y * 8)
    return Trainer(
        net, shard.sequences, shard.targets, Adam(0.01), rng=np.random.default_rng(0),
        **{"batch_size": 4} | options,
    )  # fmt: skip


@pytest.mark.parametrize("size", [0, -1, 24, 10**12])
@pytest.mark.parametrize("truncation", [None, Truncation(2, 2)])
def test_a_batch_size_that_is_changed_after_the_memory_was_allocated_is_refused(size, truncation):
    trainer = make_trainer(make_net(), truncation=truncation)
    trainer.batch_size = size
    trainer._batches_per_call = 10
    with pytest.raises(ValueError, match=r"batch_size|a batch"):
        trainer.epoch()


@DTYPES
def test_moments_of_another_network_are_refused(dtype):
    net = make_net(dtype)
    trainer = make_trainer(net, moments=Moments.zeros_like(net.theta[:-1]))
    with pytest.raises(ValueError, match="moment_1"):
        trainer.epoch()


def test_one_trainer_cannot_be_used_by_two_threads_at_once():
    trainer = make_trainer(make_net(units=64), batch_size=2)
    theta = trainer.network.theta.copy()
    trainer._scratch.acquire()
    with pytest.raises(RuntimeError, match="another thread"):
        trainer.epoch()
    trainer._scratch.release()
    assert_array_equal(trainer.network.theta, theta)
    assert trainer.epoch().finite


# ---- compiled functions --------------------------------------------------------------------------


@DTYPES
def test_compiled_functions_refuse_arrays_that_do_not_belong_together(dtype):
    net = make_net(dtype)
    core, team = net._core, _team.Team(1)
    packed = np.zeros(_live.packed_size(core), dtype)
    scratch = np.zeros(_rollout.scratch_size(core, 2), dtype)
    zeros = np.zeros

    def forecast(series=(2, 5, K), states=(2, M), known=(2, 3, 0), noise=(0, 0, 0), lags=(1,),
                 past=2, end=3, packed=packed, scratch=scratch, D=K):  # fmt: skip
        core = RNN(D, M, K, dtype=dtype, random_state=0)._core
        packed = zeros(_live.packed_size(core), dtype) if packed is None else packed
        arrays = [zeros(shape, dtype) for shape in (series, states, known, noise)]
        _rollout.forecast(*arrays, np.array(lags, np.intp), past, 0, end, packed, scratch, core)

    def sample(symbols=(2, 3), states=(2, M), inputs=(2, D), encoding=(K, D), uniforms=(2, 3)):
        arrays = [zeros(shape, dtype) for shape in (states, inputs, encoding)]
        _rollout.sample(
            zeros(symbols, np.intp), *arrays, zeros(uniforms), 1.0, packed, scratch, core
        )

    big = {"packed": None, "scratch": zeros(2 * (2 * 16 + 16 + K) * 4, dtype)}
    core_4 = RNN(K, M, K, dtype=dtype)._core
    good = {"packed": None, "scratch": zeros(_rollout.scratch_size(core_4, 2), dtype)}
    forecast(**good)
    for change in (
        {"series": (2, 4, K)}, {"series": (3, 5, K)}, {"series": (2, 5, K - 1)},
        {"states": (1, M)}, {"states": (2, M + 1)}, {"known": (2, 3, 1)}, {"known": (1, 3, 0)},
        {"noise": (2, 2, K)}, {"noise": (1, 3, K)}, {"lags": (3,)}, {"lags": (0,)},
        {"lags": (1, 2)}, {"past": 4}, {"end": 4}, {"packed": packed[:-1]},
        {"scratch": scratch[:9]},
        {"series": (0, 5, K), "states": (0, M), "known": (0, 3, 0)} | big,
    ):  # fmt: skip
        with pytest.raises(ValueError, match="compiled code got"):
            forecast(**good | change)
    no_lags = {"lags": (), "known": (2, 9, K), "past": -4, "end": 9}
    with pytest.raises(ValueError, match="behind -4"):
        forecast(**good | no_lags)
    sample()
    for change in (
        {"symbols": (2, 4)}, {"symbols": (3, 3)}, {"states": (1, M)}, {"inputs": (2, D - 1)},
        {"encoding": (K - 1, D)}, {"encoding": (K, D + 1)}, {"uniforms": (2, 2)},
    ):  # fmt: skip
        with pytest.raises(ValueError, match="compiled code got"):
            sample(**change)

    with pytest.raises(ValueError, match="sizes"):
        _live.pack(packed[:-1], net.theta, core)
    with pytest.raises(ValueError, match="sizes"):
        _live.pack(packed, net.theta[1:], core)
    with pytest.raises(ValueError, match="parameters"):
        _live.Live(core, make_net(dtype, units=M + 1)._parameters, np.empty, np.dtype(dtype))
    with pytest.raises(ValueError, match="compiled code got"):
        _losses.evaluate(
            zeros((2, K), dtype), zeros((2, K - 1), dtype), zeros(2, dtype), 0, 0, True
        )
    with pytest.raises(ValueError, match="compiled code got"):
        _losses.evaluate(zeros((2, K), dtype), zeros((2, K), dtype), zeros(1, dtype), 0, 0, True)
    theta, short = zeros(3, dtype), zeros(2, dtype)
    with pytest.raises(ValueError, match="compiled code got"):
        _optimizers.take_adam_step(theta, theta, theta, short, 0.1, 0.9, 0.9, 1e-8, 1)
    with pytest.raises(ValueError, match="compiled code got"):
        _optimizers.take_sgd_step(theta, short, theta, 0.1, 0.9, True)
    with pytest.raises(ValueError, match="thread 1"):
        _team.share_out(team, 1, 1, zeros((2, 1), np.longlong))


def test_none_is_no_argument_of_compiled_functions():
    net = make_net()
    core, theta, lengths = net._core, net.theta, np.array([3])
    packed = np.zeros(_live.packed_size(core))
    for call in (
        lambda: _plan.Plan(None, lengths, False, 1, True),
        lambda: _plan.Plan(core, None, False, 1, True),
        lambda: _live.Live(None, net._parameters, np.empty, net.dtype),
        lambda: _live.Live(core, None, np.empty, net.dtype),
        lambda: _live.pack(packed, theta, None),
        lambda: _live.packed_size(None),
        lambda: _rollout.scratch_size(None, 2),
        lambda: _optimizers.take_sgd_step(theta, None, theta, 0.1, 0.9, True),
        lambda: _packing.layout(*[None] * 7),
        lambda: _team.share_out(None, 0, 1, np.zeros((1, 1), np.longlong)),
    ):
        with pytest.raises(TypeError, match=r"NoneType|None"):
            call()


@DTYPES
@pytest.mark.parametrize("empty", [lambda *_: np.empty((1, 1)), lambda s, _: np.empty(s, "u1")])
def test_live_steps_do_not_write_beyond_the_arrays_that_they_are_given(empty, dtype):
    net = make_net(dtype)
    live = _live.Live(net._core, net._parameters, empty, net.dtype)
    with pytest.raises(ValueError, match="compiled code got"):
        live.step(np.zeros((9, D), dtype), np.zeros((9, M), dtype))


@DTYPES
@pytest.mark.parametrize("readout", ["every", "last"])
def test_work_memory_of_equal_sequences_has_no_room_for_unequal_ones(readout, dtype):
    net = RNN(D, 400, 1, readout=readout, dtype=dtype, random_state=0)  # BLAS takes its products
    equal, unequal = (
        net.shard(
            [np.ones((T, D)) for T in lengths], [[0] * T if net._every else 0 for T in lengths]
        )
        for lengths in ([9, 9], [9, 8])
    )
    scratch = replace(net.scratch(equal.sequences), sequences=unequal.sequences)
    with pytest.raises(ValueError, match="compiled code got a batch"):
        net.run(unequal, scratch)


def test_plans_and_packings_of_impossible_sizes_are_refused():
    core = make_net()._core
    ints = lambda *values: np.array(values, np.intp)  # noqa: E731
    for lengths, size in (
        (ints(), 1),
        (ints(3), 0),
        (ints(3), 2),
        (ints(1, 3), 1),
        (ints(3, 0), 1),
    ):
        with pytest.raises(ValueError, match=r"batches of|lengths must"):
            _plan.Plan(core, lengths, False, size, True)
    places = {"weight_ih": 0, "weight_hh": 0, "bias_h": 0, "weight_ho": 0, "bias_o": 0}
    for sizes in ((0, 1, 1, 9), (1, 2, 1, 3), (2**31, 1, 1, 2**40), (1, 1, 1, 0)):
        with pytest.raises(ValueError, match=r"a network of|lies outside"):
            _plan.Network(*sizes, places, 0, 0, 0, 0, 8, True)
    with pytest.raises(TypeError):
        _plan.Network.__new__(_plan.Network)
    with pytest.raises(TypeError):
        _plan.Plan.__new__(_plan.Plan)
    for ids, stops in ((ints(2), ints(1, 2)), (ints(-1), ints(1, 2)), (ints(0), ints(0, 2))):
        room = [np.zeros(9, np.intp) for _ in range(4)]
        with pytest.raises(ValueError, match="do not belong together"):
            _packing.layout(*room, ids, ints(0, 1), stops)
    with pytest.raises(ValueError, match="expected batch_sizes"):
        _packing.layout(*[np.zeros(1, np.intp)] * 4, ints(0), ints(0), ints(5))


def test_a_call_into_the_compiled_batches_compares_the_sequences():
    net = make_net()
    shard = net.shard(X, Y)
    scratch = net.scratch(shard.sequences)
    sequences, targets = shard.sequences, shard.targets
    nothing = np.empty((0, 0))

    def train(ids=(0, 1, 2), starts=(0, 3, 8), stops=(3, 8, 9), thread=0):
        _bptt.train(
            _team.Team(1), thread, net._core, scratch.plan, scratch.arrays, net.theta, net.theta,
            net.theta, nothing, nothing, sequences.values, np.array(starts), np.array(stops),
            np.empty((0, M)), nothing, nothing, nothing, 0, targets.values, targets.labels,
            targets.weights, np.zeros(5), np.array(ids, np.intp), 3, _bptt.SOLVERS["none"],
        )  # fmt: skip

    train()
    train(ids=())
    for change in (
        {"ids": (0, 3)}, {"ids": (-1,)}, {"starts": (-1, 3, 8)}, {"stops": (3, 8, 10)},
        {"stops": (3, 3, 9)}, {"stops": (3, 8)}, {"thread": 1}, {"thread": -1},
        {"starts": (0, 0, 0), "stops": (9, 9, 9)},
    ):  # fmt: skip
        with pytest.raises(ValueError, match="compiled code got"):
            train(**change)


# ---- estimators ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "estimator", [RNNClassifier, RNNRegressor, RNNSequenceClassifier, RNNSequenceRegressor]
)
def test_learned_attributes_that_were_changed_are_refused(estimator):
    model, X, y = fitted(estimator)
    changes = {
        "n_features_in_": 1, "n_outputs_": 7, "network_": RNN(5, 4, model.n_outputs_),
        "_fill": np.zeros(3),
    }  # fmt: skip
    if hasattr(model, "classes_"):
        changes["classes_"] = np.arange(9)
    changes = [*changes.items()]
    if hasattr(model, "classes_"):
        changes.append(("classes_", model.classes_[:, None]))
    for name, value in changes:
        for altered in (copy.copy(model), pickle.loads(pickle.dumps(model))):
            setattr(altered, name, value)
            for call in (
                lambda m: m.predict(X), lambda m: m.transform(X), lambda m: m.score(X, y),
                lambda m: m.start(2), lambda m: m.step_many(X, np.zeros((12, 4))),
                lambda m: m.set_params(warm_start=True).fit(X, y),
            ):  # fmt: skip
                with pytest.raises(ValueError, match="Fit again"):
                    call(altered)


@pytest.mark.parametrize("estimator", [RNNClassifier, RNNSequenceClassifier])
def test_predictions_of_one_thread_are_of_one_model_while_another_refits(estimator):
    model, X, y = fitted(estimator)
    _, X_other, y_other = fitted(estimator, units=9, D=5, n_classes=3)
    expected = model.predict(X).tolist()
    stop, problems = threading.Event(), []

    def predict():
        while not stop.is_set():
            try:
                if model.predict(X).tolist() != expected:
                    problems.append("predictions of another model")
            except ValueError as error:
                if "features" not in str(error):  # the model of five features, as a whole
                    problems.append(repr(error))

    thread = threading.Thread(target=predict)
    thread.start()
    try:
        for _ in range(15):
            model.fit(X_other, y_other)
            model.fit(X, y)
    finally:
        stop.set()
        thread.join()
    assert not problems


@pytest.mark.parametrize(
    "estimator", [RNNClassifier, RNNRegressor, RNNSequenceClassifier, RNNSequenceRegressor]
)
def test_a_network_that_was_assigned_must_read_and_compute_what_the_estimator_does(estimator):
    model, X, y = fitted(estimator)
    per_step = estimator in (RNNSequenceClassifier, RNNSequenceRegressor)
    good = {
        "readout": "every" if per_step else "last",
        "output_activation": model.out_activation_,
        "random_state": 1,
    }
    expected = model.predict(X).shape
    model.network_ = RNN(D, 4, model.n_outputs_, **good)
    assert model.predict(X).shape == expected
    for change in (
        {"readout": "last" if per_step else "every"},
        {"output_activation": "tanh"},
    ):
        model.network_ = RNN(D, 4, model.n_outputs_, **good | change)
        for call in (model.predict, model.transform, lambda X: model.score(X, y)):
            with pytest.raises(ValueError, match="Fit again"):
                call(X)


def test_an_interrupt_leaves_the_old_model_or_the_new_one():
    model, X, y = fitted()
    wide = np.random.default_rng(0).normal(size=(12, 5, 5))
    labels = np.arange(12) % 3
    before = signal.signal(signal.SIGALRM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    try:
        for microseconds in range(200, 4000, 200):
            signal.setitimer(signal.ITIMER_REAL, microseconds / 1e6)
            try:
                model.fit(wide, labels)
                signal.setitimer(signal.ITIMER_REAL, 0)
            except (KeyboardInterrupt, UserWarning):
                signal.setitimer(signal.ITIMER_REAL, 0)
            assert (
                model.n_features_in_, len(model.classes_), model.network_.n_inputs, model.n_outputs_
            ) in {(2, 2, 2, 2), (5, 3, 5, 3)}  # fmt: skip
            model.fit(X, y)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_an_error_while_fitting_leaves_the_model_of_before():
    model, X, _ = fitted()
    expected = model.predict_proba(X)
    state = dict(vars(model))
    with pytest.raises(ValueError, match="y"):
        model.fit(np.ones((4, 5, 7)), [0, 1, 2, np.nan])
    assert vars(model) == state
    assert_array_equal(model.predict_proba(X), expected)


def test_a_step_follows_the_network_of_the_estimator():
    model, X, _ = fitted()
    x = np.ascontiguousarray(X[:, 0])
    first, state = model.step(x, model.start(12))
    model.network_.parameters["bias_o"][:] = [5, 0]
    second = model.step(x, model.start(12))[0]
    assert (second[:, 0] > first[:, 0]).all()
    assert_array_equal(second, model.predict_proba(X[:, :1], at="end"))
    model.network_ = RNN(
        *(D, 4, 2), output_activation="softmax", loss="log_loss", readout="last", random_state=9
    )
    assert_array_equal(model.step(x, state * 0)[0], model.predict_proba(X[:, :1]))
    model.network_ = RNN(D, 4, 3, output_activation="softmax", loss="log_loss", readout="last")
    with pytest.raises(ValueError, match="Fit again"):
        model.step(x, state)


# ---- numbers that are not finite -----------------------------------------------------------------


@DTYPES
def test_outputs_that_are_not_finite_are_an_error_for_classes_and_a_warning_for_numbers(dtype):
    large = np.finfo(dtype).max / 4
    for estimator in (RNNClassifier, RNNRegressor, RNNSequenceClassifier, RNNSequenceRegressor):
        model, X, y = fitted(estimator, dtype=dtype)
        model.network_.parameters["weight_ho"][:] = np.nan
        if hasattr(model, "predict_proba"):
            for call in (model.predict, lambda X, m=model, y=y: m.score(X, y)):
                with pytest.raises(ValueError, match=r"computed NaN or infinity for X\[0\]"):
                    call(X)
            calls = [model.predict_proba, model.predict_log_proba]
        else:
            with pytest.raises(ValueError, match=r"computed NaN or infinity for X\[0\]"):
                model.score(X, y)
            calls = [model.predict]
        calls += [lambda X, m=model: m.step(np.ascontiguousarray(X[:, 0]), m.start(12))]
        calls += [lambda X, m=model: m.step_many(X, m.start(12))]
        for call in calls:
            with pytest.warns(RuntimeWarning, match="computed NaN or infinity"):
                call(X)

    model, X, y = fitted(RNNRegressor, dtype=dtype, activation="relu")
    X = X.copy()
    X[3] = large
    model.network_.parameters["weight_ih"][:] = 8
    with pytest.warns(RuntimeWarning, match=r"for X\[3\]"):
        predicted = model.predict(X)
    assert_array_equal(np.isfinite(predicted), np.arange(12) != 3)
    with pytest.warns(RuntimeWarning, match=r"for X\[3\]"):
        model.transform(X)


@DTYPES
@pytest.mark.parametrize("solver", ["adam", "adamw", "rmsprop", "adagrad"])
@pytest.mark.parametrize("epsilon", [1e-320, 1e-46, 1e-40])
def test_a_denormal_epsilon_does_not_stop_training(epsilon, solver, dtype):
    X = np.random.default_rng(0).normal(size=(12, 5, 2)).astype(dtype)
    X[:, :, 1] = 0  # whose weights have no gradient: 0 / (0 + epsilon)
    y = np.arange(12) % 2
    model = RNNClassifier(
        3, solver=solver, epsilon=epsilon, alpha=0, max_iter=4, learning_rate_init=1e-3
    )
    assert model.fit(X, y).n_iter_ == 4
    assert np.isfinite(model.loss_curve_).all()


@DTYPES
def test_denormal_weights_do_not_stop_training(dtype):
    model, X, y = fitted(dtype=dtype, warm_start=True)
    y[:4] = 0  # so that even a network of zeros has a gradient
    model.network_.theta[:] = np.finfo(dtype).tiny / 8
    model.set_params(max_iter=3).fit(X, y)
    assert model.n_iter_ == 3
    assert np.isfinite(model.loss_curve_).all()
    assert np.abs(model.network_.theta).max() > 1e-4


# ---- memory of any alignment ---------------------------------------------------------------------


def misaligned(array):
    """The same numbers, one byte off the beginning of a number."""
    memory = np.zeros(array.nbytes + 1, np.uint8)
    moved = memory[1:].view(array.dtype).reshape(array.shape)
    moved[...] = array
    return moved


@DTYPES
def test_states_and_inputs_may_lie_anywhere_in_memory(dtype):
    model, X, _ = fitted(dtype=dtype)
    x, state = np.ascontiguousarray(X[:, 0]), np.full((12, 4), 0.5, dtype)
    for found, expected in zip(
        model.step(misaligned(x), misaligned(state)), model.step(x, state), strict=True
    ):
        assert_array_equal(found, expected)
    assert_array_equal(model.predict_proba(misaligned(X)), model.predict_proba(X))
    net = make_net(dtype)
    h0 = np.full((3, M), 0.5, dtype)
    assert net.loss(X[:3], [[0] * 5] * 3, h0=misaligned(h0)) == net.loss(
        X[:3], [[0] * 5] * 3, h0=h0
    )


# ---- forecasters and transformers ----------------------------------------------------------------


def test_a_forecaster_is_checked_and_installed_as_a_whole():
    y = np.sin(np.arange(60.0))
    model = RNNForecaster(4, lags=2, max_iter=2, random_state=0).fit(y)
    for name, value in (
        *(("n_features_in_", 2), ("n_exogenous_", 1), ("network_", RNN(1, 4, 1))),
        ("network_", RNN(2, 4, 1, output_activation="tanh")),
    ):
        altered = pickle.loads(pickle.dumps(model))
        setattr(altered, name, value)
        for call in (altered.predict, altered.simulate, altered.predict_interval):
            with pytest.raises(ValueError, match="Fit again"):
                call(3)
        with pytest.raises(ValueError, match="Fit again"):
            altered.score(y[:3])
    state = dict(vars(model))
    with pytest.raises(ValueError, match="y"):
        model.fit(np.full((60, 3), np.inf))
    assert vars(model) == state


def test_an_interrupted_forecaster_has_no_second_training(monkeypatch):
    def train_and_interrupt(*args, **kwargs):
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        return train_network(*args, **kwargs)

    monkeypatch.setattr(forecaster, "train_network", train_and_interrupt)
    monkeypatch.setattr(
        forecaster, "calibrate_intervals", lambda *_, **__: pytest.fail("a second training")
    )

    def interrupt(*_):
        raise KeyboardInterrupt

    y = np.sin(np.arange(2000.0))
    model = RNNForecaster(64, max_iter=10**6, early_stopping=False, tol=0, n_iter_no_change=10**6)
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with pytest.warns(UserWarning, match="interrupted by user"):
            model.fit(y)
    finally:
        signal.signal(signal.SIGALRM, before)
    with pytest.warns(UserWarning, match="too narrow"):
        assert model.predict_interval(3).shape == (3, 2)


def test_a_partial_fit_that_fails_leaves_the_transformer_of_before():
    class Careless(StandardScaler):
        def partial_fit(self, X, y=None, sample_weight=None):
            super().partial_fit(X)
            if len(X) > 9:
                raise MemoryError
            return self

    model = PerTimestep(Careless()).partial_fit(X)
    mean = model.transformer_.mean_.copy()
    with pytest.raises(MemoryError):
        model.partial_fit([np.full((20, D), 9.0)])
    assert_array_equal(model.transformer_.mean_, mean)
