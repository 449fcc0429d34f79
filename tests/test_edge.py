"""The closed edge: nothing assigned, unpickled, shared or passed reaches past an array."""

from __future__ import annotations

import copy
import pickle
import signal
import threading
import warnings
from contextlib import suppress
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
    _arrays,
    _live,
    _losses,
    _network,
    _optimizers,
    _rollout,
    _team,
    _train,
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
        shard = Shard(sequences, net.shard(X[:2], Y[:2]).targets)
        for call in (
            lambda s=sequences: net.engine.predict(s),
            lambda s=shard: net.engine.evaluate(s),
            lambda s=shard: net.engine.gradient(s),
        ):
            with pytest.raises(ValueError, match="RNN got sequences with values of shape"):
                call()


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
        for options in ({}, {"inputs": True}, {"checkpoint": 1}):
            with pytest.raises(ValueError, match="compiled code got"):
                net.engine.gradient(bad, **options)
    unread = wrong(shard, labels=np.full_like(labels, K), weights=np.zeros_like(weights))
    assert net.engine.gradient(unread).loss_sum == 0


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
            net.engine.gradient(shard, dropout=masks)


def make_trainer(net, **options):
    shard = net.shard(X * 8, Y * 8)
    return Trainer(
        net, shard.sequences, shard.targets, Adam(0.01), rng=np.random.default_rng(0),
        **{"batch_size": 4} | options,
    )  # fmt: skip


@pytest.mark.parametrize("truncation", [None, Truncation(2, 2)])
def test_a_batch_size_may_be_changed_between_epochs_and_is_checked_in_each(truncation):
    trainers = [make_trainer(make_net(), truncation=truncation) for _ in range(2)]
    for trainer, sizes in zip(trainers, ((4, 24), (4, 10**12)), strict=True):
        for trainer.batch_size in sizes:
            assert trainer.epoch().finite
    assert_array_equal(*(trainer.network.theta for trainer in trainers))
    for trainer.batch_size in (0, -1):
        with pytest.raises(ValueError, match="batch_size"):
            trainer.epoch()


@DTYPES
def test_moments_of_another_network_are_refused(dtype):
    net = make_net(dtype)
    trainer = make_trainer(net, moments=Moments.zeros_like(net.theta[:-1]))
    with pytest.raises(ValueError, match="moment_1"):
        trainer.epoch()


def test_one_trainer_cannot_be_used_by_two_threads_at_once():
    trainer = make_trainer(make_net(units=64), batch_size=2)
    over, problems = threading.Event(), []

    def train():
        while not over.is_set():
            try:
                trainer.epoch()
            except RuntimeError as error:
                problems.append(str(error))

    worker = threading.Thread(target=train)
    worker.start()
    try:
        while not problems:
            try:
                trainer.epoch()
            except RuntimeError as error:
                problems.append(str(error))
    finally:
        over.set()
        worker.join()
    assert all("that another thread is using" in problem for problem in problems)
    assert trainer.epoch().finite


# ---- compiled functions --------------------------------------------------------------------------


class Compiled:
    """Every compiled entry point with arrays that belong together, of which some may be changed."""

    def __init__(self, dtype, readout="every"):
        self.net = make_net(dtype, readout)
        self.dtype, self.core = np.dtype(dtype), self.net.engine.core
        self.live = self.net.live()
        self.rows = 9 if readout == "every" else 3
        self.task = self.make_task()

    def zeros(self, *shape):
        return np.zeros(shape, self.dtype)

    def make_task(self, ready=True, n_threads=1):
        task = _train.Task(self.core, _train.Memory(n_threads))
        if ready:
            self.set_inputs(task)
            self.set_targets(task)
        return task

    def arrays(self, given, **good):
        """Arrays of zeros of these shapes, or of those that are given."""
        given = good | given
        return [self.zeros(*v) if isinstance(v, tuple) else v for v in given.values()]

    def set_inputs(self, task=None, starts=(0, 3, 8), stops=(3, 8, 9), **given):
        values, h0 = self.arrays(given, values=(9, D), h0=(0, 0))
        starts, stops = (np.array(offsets, np.intp) for offsets in (starts, stops))
        _arrays.set_inputs(task or self.task, values, starts, stops, h0)

    def set_targets(self, task=None, labels=None, **given):
        targets, weights = self.arrays(given, targets=(0, 0), weights=(self.rows,))
        weights = weights + self.dtype.type(1)
        labels = np.zeros(self.rows, np.intp) if labels is None else np.array(labels, np.intp)
        _arrays.set_targets(task or self.task, targets, labels, weights)

    def set_masks(self, **given):
        _arrays.set_masks(self.task, *self.arrays(given, inputs=(3, D), recurrent=(3, M)))

    def want_states(self, carry=1, **given):
        _arrays.want_states(self.task, *self.arrays(given, carried=(3, M)), carry)

    def want_derivatives(self, **given):
        _arrays.want_derivatives(self.task, *self.arrays(given, dh0=(3, M), dx=(9, D)))

    def want_predictions(self, **given):
        arrays = self.arrays(given, hidden=(9, M), predictions=(self.rows, K), final=(3, M))
        _arrays.want_predictions(self.task, *arrays, True)

    def predict(self, task=None, team=None, ids=(0, 2, 1), **given):
        task = task or self.task
        (theta,) = self.arrays(given, theta=(self.net.layout.size,))
        _train.predict(team or _team.Team(1, task), task, theta, np.array(ids, np.intp))

    def compute_gradient(self, task=None, team=None, ids=(0, 2, 1), **given):
        task, P = task or self.task, self.net.layout.size
        arrays = self.arrays(given, gradient=(P,), theta=(P,))
        team = team or _team.Team(1, task)
        return _train.compute_gradient(team, task, *arrays, np.array(ids, np.intp))

    def train(self, task=None, team=None, ids=(0, 2, 1), totals=5, batch_size=2, n_weights=4,
              **given):  # fmt: skip
        task, P = task or self.task, self.net.layout.size
        arrays = self.arrays(given, theta=(P,), moment_1=(P,), moment_2=(P,), gradient=(P,))
        return _train.train(
            team or _team.Team(1, task), task, *arrays, np.zeros(totals), np.array(ids, np.intp),
            batch_size, sgd(n_weights), 0.1, 0,
        )  # fmt: skip

    def update(self, n_weights=2, **given):
        arrays = self.arrays(given, theta=(3,), moment_1=(3,), moment_2=(3,), gradient=(3,))
        return _optimizers.update(*arrays, 1.0, sgd(n_weights), 0.1, 1)

    def evaluate(self, f=0, loss=0, **given):
        return _losses.evaluate(*self.arrays(given, z=(2, K), dz=(2, K), weight=(2,)), f, loss)

    def forecast(self, lags=(), past=2, first=0, end=3, **given):
        good = {"series": (2, 5, K), "states": (2, M), "known": (2, 3, D), "noise": (0, 0, 0)}
        lags = np.array(lags, np.intp)
        _rollout.forecast(*self.arrays(given, **good), lags, past, first, end, self.live)

    def sample(self, symbols=(2, 3), uniforms=(2, 3), **given):
        arrays = self.arrays(given, states=(2, M), inputs=(2, D), encoding=(K, D))
        symbols, uniforms = np.zeros(symbols, np.intp), np.zeros(uniforms)
        _rollout.sample(symbols, *arrays, uniforms, 1.0, self.live)


def sgd(n_weights):
    return _optimizers.Update("sgd", n_weights, 0.0, 1.0, 0.9, True, 0.0, 0.0, 0.0, 0.0)


P = make_net().layout.size
REFUSED = {
    "set_inputs": [
        {"values": (9, D + 1)}, {"values": (8, D)}, {"values": (0, D)}, {"starts": (0, 3)},
        {"stops": (3, 8)}, {"h0": (2, M)}, {"h0": (3, M + 1)}, {"h0": (3, 0)},
        {"starts": (0, 3), "stops": (3, 9)}, {"starts": (), "stops": ()},
    ],
    "set_targets": [
        {"targets": (8, K)}, {"targets": (9, K - 1)}, {"targets": (0, 0), "labels": ()},
        {"labels": (0,) * 8}, {"weights": (8,)}, {"weights": (0,)},
    ],
    "set_masks": [
        {"inputs": (2, D)}, {"inputs": (3, D + 1)}, {"inputs": (9, D)}, {"recurrent": (4, M)},
        {"recurrent": (3, M - 1)},
    ],
    "want_states": [{"carried": (2, M)}, {"carried": (3, M + 1)}, {"carry": -1}],
    "want_derivatives": [{"dh0": (4, M)}, {"dh0": (3, 1)}, {"dx": (8, D)}, {"dx": (9, D - 1)}],
    "want_predictions": [
        {"hidden": (8, M)}, {"hidden": (9, M + 1)}, {"predictions": (3, K)},
        {"predictions": (9, K - 1)}, {"final": (2, M)}, {"final": (3, M + 1)},
    ],
    "predict": [{"theta": (P - 1,)}, {"ids": (3,)}, {"ids": (-1,)}, {"ids": (0, 10**18)}],
    "compute_gradient": [
        {"theta": (P + 1,)}, {"gradient": (P - 1,)}, {"ids": (0, 3)}, {"ids": (-(10**18),)},
        {"gradient": (0,), "ids": ()},
    ],
    "train": [
        {"theta": (P - 1,)}, {"moment_1": (P - 1,)}, {"moment_2": (P + 1,)}, {"gradient": (1,)},
        {"totals": 4}, {"batch_size": 0}, {"batch_size": -1}, {"n_weights": P + 1}, {"ids": (3,)},
    ],
    "update": [
        {"moment_1": (2,)}, {"moment_2": (4,)}, {"gradient": (2,)}, {"theta": (4,)},
        {"n_weights": 4},
    ],
    "evaluate": [
        {"dz": (2, K - 1)}, {"dz": (1, K)}, {"weight": (1,)}, {"z": (0, K), "dz": (0, K)},
        {"f": 5}, {"f": -1}, {"loss": 2}, {"loss": 1},
    ],
    "forecast": [
        {"series": (2, 4, K)}, {"series": (3, 5, K)}, {"series": (2, 5, K - 1)},
        {"states": (1, M)}, {"states": (2, M + 1)}, {"known": (2, 3, D + 1)}, {"known": (1, 3, D)},
        {"noise": (2, 2, K)}, {"noise": (1, 3, K)}, {"lags": (1,)}, {"past": 4}, {"end": 4},
        {"first": -1}, {"first": 3, "end": 2}, {"past": -4, "known": (2, 9, D), "end": 9},
        {"past": 2**63 - 1},
        {"series": (0, 5, K), "states": (0, M), "known": (0, 3, D)},
    ],
    "sample": [
        {"symbols": (2, 4)}, {"symbols": (3, 3)}, {"states": (1, M)}, {"states": (2, M + 1)},
        {"inputs": (2, D - 1)}, {"encoding": (K - 1, D)}, {"encoding": (K, D + 1)},
        {"uniforms": (2, 2)},
        {"symbols": (0, 3), "states": (0, M), "inputs": (0, D), "uniforms": (0, 3)},
    ],
}  # fmt: skip


@DTYPES
@pytest.mark.parametrize("name", REFUSED)
def test_compiled_functions_refuse_arrays_that_do_not_belong_together(name, dtype):
    call = getattr(Compiled(dtype), name)
    call()
    for change in REFUSED[name]:
        with pytest.raises(ValueError, match="compiled code got"):
            call(**change)
    call()


@DTYPES
@pytest.mark.parametrize("name", REFUSED)
def test_compiled_functions_refuse_another_precision(name, dtype):
    compiled = Compiled(dtype)
    compiled.dtype = np.dtype("float32" if dtype is np.float64 else "float64")
    mixed = {
        "update": {"gradient": np.zeros(3, dtype)},
        "evaluate": {"dz": np.zeros((2, K), dtype)},
    }
    with pytest.raises(ValueError, match=r"compiled code got|Buffer dtype mismatch"):
        getattr(compiled, name)(**mixed.get(name, {}))  # these two have no network to compare with


@pytest.mark.parametrize("name", REFUSED)
def test_compiled_functions_refuse_none(name):
    compiled = Compiled("float64")
    if name in ("forecast", "sample"):
        compiled.live = None
        with pytest.raises(TypeError, match="NoneType"):
            getattr(compiled, name)()
        return
    given = next(key for change in REFUSED[name] for key in change if key in ARRAYS)
    with pytest.raises(TypeError, match=r"No matching signature|must not be None"):
        getattr(compiled, name)(**{given: None})


ARRAYS = {
    *("values", "targets", "inputs", "recurrent", "carried", "dh0", "hidden", "theta", "moment_1"),
    *("dz", "series", "states"),
}


@DTYPES
@pytest.mark.parametrize(
    "offsets",
    [
        {"starts": (-1, 3, 8)}, {"stops": (3, 8, 10)}, {"stops": (3, 3, 9)}, {"stops": (3, 2, 9)},
        {"starts": (0, 3, 9)}, {"starts": (0, 3, 10**18)}, {"stops": (3, 8, -(10**18))},
    ],
)  # fmt: skip
def test_sequences_that_do_not_lie_in_their_values_are_refused_by_each_batch(offsets, dtype):
    compiled = Compiled(dtype)
    compiled.set_inputs(**offsets)
    for call in (compiled.predict, compiled.compute_gradient, compiled.train):
        with pytest.raises(ValueError, match="do not lie in their 9 steps"):
            call()


def test_a_batch_reads_its_offsets_once():
    # the states of one part are written to where the offsets of the next one stood
    n = 128
    net = RNN(1, 1, 1, random_state=0)
    task, nothing = _train.Task(net.engine.core, _train.Memory(1)), np.empty((0, 0))
    values, starts = np.random.default_rng(0).normal(size=(n, 1)), np.arange(n)[::-1].copy()
    stops = starts + 1
    expected = net.forward(values[:, np.newaxis]).hidden[:, 0]
    _arrays.set_inputs(task, values, starts, stops, nothing)
    hidden = starts.view(np.float64)[:, np.newaxis]
    _arrays.want_predictions(task, hidden, nothing, nothing, False)
    _train.predict(_team.Team(1, task), task, net.theta, np.arange(n))
    assert_array_equal(hidden, expected)


@DTYPES
@pytest.mark.parametrize("readout", ["every", "last", "mean", "max"])
@pytest.mark.parametrize("label", [-1, K, 10**18, -(10**18)])
def test_a_label_that_is_no_class_is_refused_by_each_batch_that_has_it(label, readout, dtype):
    compiled = Compiled(dtype, readout)
    labels = np.zeros(compiled.rows, np.intp)
    labels[-1] = label  # of the last sequence
    compiled.set_targets(labels=labels)
    for call in (compiled.compute_gradient, compiled.train):
        with pytest.raises(ValueError, match=f"got the label {label}; expected 0 to {K - 1}"):
            call()
        call(ids=(0, 1))
    compiled.predict()


@DTYPES
def test_a_task_without_inputs_or_targets_is_refused(dtype):
    compiled = Compiled(dtype)
    compiled.task = compiled.make_task(ready=False)
    for name in ("set_targets", "set_masks", "want_states", "want_derivatives", "want_predictions",
                 "predict", "compute_gradient", "train"):  # fmt: skip
        with pytest.raises(ValueError, match="task without inputs"):
            getattr(compiled, name)()
    compiled.set_inputs()
    for call in (compiled.compute_gradient, compiled.train):
        with pytest.raises(ValueError, match="task without targets"):
            call()
    compiled.predict()


def test_a_team_of_another_task_or_with_more_threads_than_memory_is_refused():
    compiled = Compiled("float64")
    other = compiled.make_task()
    for call in (compiled.predict, compiled.compute_gradient, compiled.train):
        for team in (_team.Team(1), _team.Team(1, other)):
            with pytest.raises(ValueError, match="team of another task"):
                call(team=team)
        with pytest.raises(ValueError, match="a team of 2 threads; expected at most 1"):
            call(team=_team.Team(2, compiled.task))
    with pytest.raises(TypeError):
        _train.Task.help(compiled.task, None, 1)


def test_a_helper_that_the_team_does_not_have_is_refused():
    compiled = Compiled("float64")
    task = compiled.make_task(n_threads=2)
    team = _team.Team(2, task)
    for thread in (0, 2, -1, 10**9):
        with pytest.raises(ValueError, match=f"got helper {thread} of a team"):
            task.help(team, thread)
    for other in (_team.Team(2, compiled.task), _team.Team(3, task)):
        with pytest.raises(ValueError, match="got helper 1 of a team"):
            task.help(other, 1)


def test_no_two_helpers_have_the_same_number():
    compiled = Compiled("float64")
    task = compiled.make_task(n_threads=2)
    team, refused = _team.Team(2, task), threading.Semaphore(0)

    def help_team():
        try:
            task.help(team, 1)
        except ValueError:
            refused.release()

    helpers = [threading.Thread(target=help_team) for _ in range(3)]
    for helper in helpers:
        helper.start()
    for _ in range(2):  # of three, which wait until the team is closed
        refused.acquire()
    team.close()
    for helper in helpers:
        helper.join()
    assert not refused.acquire(blocking=False)


class Busy(Compiled):
    """Batches of some milliseconds, which another thread runs all the time."""

    def __init__(self):
        self.dtype, self.rows = np.dtype("float64"), 3
        self.net = make_net(units=300, readout="last")
        self.core = self.net.engine.core
        self.values, self.offsets = self.zeros(1200, D), np.arange(0, 1201, 400)
        self.task = self.make_task()

    def set_inputs(self, task=None):
        task, nothing = task or self.task, np.empty((0, 0))
        _arrays.set_inputs(task, self.values, self.offsets[:-1], self.offsets[1:], nothing)

    def run(self, over):
        while not over.is_set():
            with suppress(RuntimeError):  # the test's own thread came first
                self.predict()


def test_a_team_that_a_signal_has_stopped_is_refused():
    busy = Busy()
    team = _team.Team(1, busy.task)

    def interrupt(*_):
        raise KeyboardInterrupt

    def predict_until_interrupted():
        while True:
            busy.predict(team=team)

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        with pytest.raises(KeyboardInterrupt):
            predict_until_interrupted()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    try:
        busy.predict(team=team)  # the signal came between two batches
    except ValueError as error:
        assert "a stopped one" in str(error)  # noqa: PT017
    busy.predict()


def test_nothing_of_a_task_is_changed_while_a_batch_runs():
    busy, over = Busy(), threading.Event()
    task, z = busy.task, busy.zeros
    calls = [
        busy.set_inputs,
        busy.set_targets,
        lambda: _arrays.set_masks(task, z(3, D), z(3, 300)),
        lambda: _arrays.want_states(task, z(3, 300), 1),
        lambda: _arrays.want_derivatives(task, z(3, 300), z(1200, D)),
        lambda: _arrays.want_predictions(task, z(1200, 300), z(3, K), z(3, 300), False),
        busy.predict,
        busy.compute_gradient,
        busy.train,
    ]
    worker = threading.Thread(target=busy.run, args=(over,))
    worker.start()
    try:
        for call in calls:
            refused = ""
            while not refused:
                try:
                    call()
                except RuntimeError as error:
                    refused = str(error)
            assert "that another thread is using" in refused
    finally:
        over.set()
        worker.join()


def test_networks_tasks_and_memories_of_impossible_sizes_are_refused():
    layer, head = {"weight_ih": 0, "weight_hh": 1, "bias_h": 2}, {"weight_ho": 3, "bias_o": 4}
    good = {
        "cell": 0, "sizes": (1, (1,), 1), "bidirectional": False, "P": 5, "places": [layer, head],
        "codes": (0, 0, 0, 0), "itemsize": 8,
    }  # fmt: skip

    def network(**changed):
        return _network.Network(*(good | changed).values(), True)

    core = network()
    for change in (
        {"cell": 3}, {"cell": -1}, {"cell": 1}, {"cell": 2}, {"bidirectional": True},
        {"sizes": (0, (1,), 1)}, {"sizes": (1, (3,), 1)}, {"sizes": (2**31, (1,), 1), "P": 2**40},
        {"sizes": (1, (1,), -1)}, {"sizes": (1, (), 1)}, {"sizes": (1, (1, 1), 1)},
        {"P": 4}, {"P": 0}, {"P": -1}, {"itemsize": 2}, {"itemsize": 0},
        {"places": [layer | {"weight_hh": -1}, head]}, {"places": [layer, head | {"bias_o": 5}]},
        {"places": [layer, head | {"initial_state": 5}]}, {"places": [{"weight_ih": 0}, head]},
        {"places": [layer, head | {"initial_state": -1}]}, {"places": [layer]}, {"places": []},
        {"places": [layer | {"bias_hn": 0}, head]}, {"places": [layer, layer, head]},
        {"codes": (4, 0, 0, 0)}, {"codes": (-1, 0, 0, 0)}, {"codes": (0, 5, 0, 0)},
        {"codes": (0, 0, 2, 0)}, {"codes": (0, 0, 1, 0)}, {"codes": (0, 0, 0, 4)},
        {"codes": (0, 0, 0, -1)},
    ):  # fmt: skip
        with pytest.raises(ValueError, match=r"a network of|lies outside|places of"):
            network(**change)
    for call in (
        lambda: _train.Memory(0), lambda: _train.Memory(-1), lambda: _team.Team(0),
        lambda: _train.Task(core, _train.Memory(1), -1), lambda: sgd(-1),
        lambda: _optimizers.Update("none", 0, 0.0, 1.0, 0.9, True, 0.0, 0.0, 0.0, 0.0),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=r"n_threads|checkpoint|an update by"):
            call()
    kinds = _network.Network, _arrays.Arrays, _train.Task, _train.Memory, _team.Team, _live.Live
    for kind in kinds:
        with pytest.raises(TypeError):
            kind.__new__(kind)
    net = make_net()
    for call in (
        lambda: _train.Task(None, _train.Memory(1)), lambda: _train.Task(core, None),
        lambda: _arrays.Arrays(None),
        lambda: _live.Live(None, net._parameters, np.empty, net.dtype),
        lambda: _live.Live(core, None, np.empty, net.dtype),
    ):  # fmt: skip
        with pytest.raises(TypeError, match="NoneType"):
            call()


@DTYPES
def test_live_steps_take_the_parameters_of_their_network_only(dtype):
    net = make_net(dtype)
    other = "float64" if dtype is np.float32 else "float32"
    for parameters in (make_net(dtype, units=M + 1)._parameters, make_net(other)._parameters):
        with pytest.raises(ValueError, match="parameters are not those"):
            _live.Live(net.engine.core, parameters, np.empty, np.dtype(dtype))
    live = net.live()
    for x, h in (((2, D + 1), (2, M)), ((2, D), (2, M - 1)), ((2, D), (3, M)), ((2,), (2, M)),
                 ((0, D), (0, M)), ((2, D, 1), (2, M))):  # fmt: skip
        assert live.step(np.zeros(x, dtype), np.zeros(h, dtype)) is None
    assert live.step(np.zeros((2, D), other), np.zeros((2, M), dtype)) is None
    assert live.step(np.zeros((2, D), dtype), None) is None


@DTYPES
@pytest.mark.parametrize("empty", [lambda *_: np.empty((1, 1)), lambda s, _: np.empty(s, "u1")])
def test_live_steps_do_not_write_beyond_the_arrays_that_they_are_given(empty, dtype):
    net = make_net(dtype)
    live = _live.Live(net.engine.core, net._parameters, empty, net.dtype)
    with pytest.raises(ValueError, match="compiled code got"):
        live.step(np.zeros((9, D), dtype), np.zeros((9, M), dtype))


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
