"""Calls with plain arrays: the same results, checks and errors as for arrays that are read."""

from __future__ import annotations

import pickle
import sys
import threading
import warnings
import weakref
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import cbptt
from cbptt import Ragged, RNNClassifier
from cbptt._arrays import (
    release_call,
    replace_inputs,
    replace_labels,
    replace_targets,
    set_inputs,
    set_targets,
)
from cbptt._packing import all_finite
from cbptt._team import Team
from cbptt._train import Memory, Task, compute_gradient
from cbptt.data.sequences import check_sequences
from cbptt.engine import engine as engine_module
from cbptt.losses import PAIRS

N, T, D, M, K = 3, 5, 2, 4, 3
DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])
READOUTS = pytest.mark.parametrize("readout", ["every", "last"])
PAIRED = [(output, loss) for loss, outputs in PAIRS.items() for output in outputs]


def net_of(dtype: Any = "float32", n_outputs: int = K, **given: Any) -> cbptt.RNN:
    return cbptt.RNN(D, M, n_outputs, dtype=dtype, random_state=0, **given)


def inputs(dtype: Any, shape: tuple[int, ...] = (N, T, D)) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(dtype)


def targets(net: cbptt.RNN) -> np.ndarray:
    rng = np.random.default_rng(1)
    lead = (N, T) if net.readout == "every" else (N,)
    if net.output_activation == "softmax" and net.loss_name == "log_loss":
        return rng.integers(0, K, lead)
    values = rng.random((*lead, net.n_outputs))
    if net.output_activation == "softmax":
        values /= values.sum(axis=-1, keepdims=True)
    return values.astype(net.dtype)


def results_of(net: cbptt.RNN, X: Any, Y: Any) -> list[np.ndarray]:
    """Everything that a network computes of plain arrays, and of arrays that it must read."""
    loss, gradients = net.loss_and_gradients(X, Y)
    total, sums = net.loss_and_gradients(X, Y, reduction="sum")
    found = net.forward(X)
    flat = [np.concatenate([np.reshape(a, -1) for a in found.hidden])]
    flat += [np.concatenate([np.reshape(a, -1) for a in found.output]), found.state]
    return [np.float64(loss), *gradients.values(), np.float64(total), *sums.values(), *flat]


@DTYPES
@READOUTS
@pytest.mark.parametrize(("output", "loss"), PAIRED)
@pytest.mark.parametrize("n_outputs", [1, K])
def test_plain_arrays_give_the_same_bits_as_those_that_are_read(
    dtype, readout, output, loss, n_outputs
):
    K = 3 if output == "softmax" else n_outputs
    net = net_of(dtype, K, output_activation=output, loss=loss, readout=readout)
    X, Y = inputs(dtype), targets(net)
    # lists of arrays that are not contiguous are never plain
    read_X = [np.asfortranarray(x) for x in X]
    read_Y = [y.tolist() for y in Y] if readout == "every" else Y.tolist()
    for plain, read in zip(results_of(net, X, Y), results_of(net, read_X, read_Y), strict=True):
        assert_array_equal(plain, read)
    if K == 1:
        for plain, read in zip(results_of(net, X, Y[..., 0]), results_of(net, X, Y), strict=True):
            assert_array_equal(plain, read)


@DTYPES
@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_so_they_do_with_every_cell_and_both_directions(dtype, cell):
    net = net_of(dtype, cell=cell, bidirectional=True)
    X, Y = inputs(dtype), targets(net)
    read = [np.asfortranarray(x) for x in X]
    for plain, other in zip(results_of(net, X, Y), results_of(net, read, list(Y)), strict=True):
        assert_array_equal(plain, other)


def test_plain_arrays_are_not_read(monkeypatch):
    """Else the tests above compare a path with itself."""
    net = net_of()
    X, Y = inputs("float32"), targets(net)
    monkeypatch.setattr(net, "_checked", None)
    net.loss_and_gradients(X, Y)
    net.forward(X)
    with pytest.raises(TypeError):
        net.forward(list(X))


@DTYPES
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 1, -1])
def test_a_value_that_is_not_finite_is_refused_by_name(dtype, value, place):
    net = net_of(dtype)
    X, Y = inputs(dtype), targets(net)
    X.reshape(-1)[place] = value
    where = rf"X\[{2 if place == -1 else 0}\] with (NaN|inf)"
    with pytest.raises(ValueError, match=where):
        net.loss_and_gradients(X, Y)
    with pytest.raises(ValueError, match=where):
        net.forward(X)
    X = inputs(dtype)
    Y.reshape(-1)[place] = value
    with pytest.raises(ValueError, match=r"RNN got Y\[.*targets must be finite"):
        net.loss_and_gradients(X, Y)
    # the call before left nothing behind
    assert np.isfinite(net.loss_and_gradients(X, targets(net))[0])


@READOUTS
@pytest.mark.parametrize("label", [-1, K, np.iinfo(np.intp).min, np.iinfo(np.intp).max])
def test_a_label_that_is_no_class_is_refused_by_name(readout, label):
    net = net_of(output_activation="softmax", loss="log_loss", readout=readout)
    X, Y = inputs("float32"), targets(net)
    Y.reshape(-1)[-1] = label
    with pytest.raises(ValueError, match="classes must be integers from 0 to 2"):
        net.loss_and_gradients(X, Y)


@DTYPES
@pytest.mark.parametrize("value", [-0.1, 1.1])
def test_a_target_that_is_no_probability_is_refused_by_name(dtype, value):
    net = net_of(dtype, output_activation="logistic", loss="log_loss")
    X, Y = inputs(dtype), targets(net)
    Y[1, 2, 0] = value
    with pytest.raises(ValueError, match=r"RNN got Y\[1\].*probabilities in \[0, 1\]"):
        net.loss_and_gradients(X, Y)


@pytest.mark.parametrize(
    ("shape", "of_Y"),
    [((N, T, D + 1), (N, T, K)), ((0, T, D), (0, T, K)), ((N, 0, D), (N, 0, K))]
    + [((N, T, D), other) for other in [(N, T), (N, T, K + 1), (N + 1, T, K), (N, T - 1, K)]],
)
def test_arrays_of_other_shapes_are_refused(shape, of_Y):
    net = net_of()
    with pytest.raises(ValueError, match="RNN got"):
        net.loss_and_gradients(np.zeros(shape, "f"), np.zeros(of_Y, "f"))


def test_other_arrays_of_the_same_values_are_read():
    """Of another dtype, byte order, alignment or memory order, or read-only."""
    net = net_of("float64")
    X, Y = np.round(inputs("float64") * 8), np.round(targets(net) * 8)
    expected = net.loss_and_gradients(X, Y)[1]
    shifted = np.empty(X.nbytes + 1, np.uint8)[1:].view("f8").reshape(X.shape)
    shifted[...] = X
    locked = X.copy()
    locked.flags.writeable = False
    for other in (
        X.astype("f"),
        X.astype(">f8"),
        X.astype(int),
        np.asfortranarray(X),
        shifted,
        locked,
        X[::1].view(type("Own", (np.ndarray,), {})),
    ):
        found = net.loss_and_gradients(other, Y)[1]
        for name, gradient in expected.items():
            assert_array_equal(found[name], gradient)


def test_nothing_of_a_call_is_kept():
    net = net_of()
    X, Y = inputs("float32"), targets(net)
    net.loss_and_gradients(X, Y)
    net.forward(X)
    references = sys.getrefcount(X), sys.getrefcount(Y)
    copies = X.copy(), Y.copy()
    net.loss_and_gradients(*copies)
    net.forward(copies[0])
    gone = weakref.ref(copies[0]), weakref.ref(copies[1])
    del copies
    assert [reference() for reference in gone] == [None, None]
    assert (sys.getrefcount(X), sys.getrefcount(Y)) == references


def test_results_of_a_call_are_not_overwritten_by_the_next():
    net = net_of()
    X, Y = inputs("float32"), targets(net)
    _, gradients = net.loss_and_gradients(X, Y)
    found = net.forward(X)
    kept = [*(g.copy() for g in gradients.values()), found.hidden.copy(), found.output.copy()]
    net.loss_and_gradients(X[::-1].copy(), Y)
    net.forward(-X)
    for now, before in zip([*gradients.values(), found.hidden, found.output], kept, strict=True):
        assert_array_equal(now, before)


def test_a_change_of_the_parameters_is_followed():
    net = net_of()
    X, Y = inputs("float32"), targets(net)
    net.loss_and_gradients(X, Y)
    net.theta[:] = 0
    assert_array_equal(net.forward(X).hidden, 0)
    assert_array_equal(pickle.loads(pickle.dumps(net)).forward(X).hidden, 0)


def test_threads_may_call_the_same_network():
    net = net_of("float64")
    problems = []

    def call(seed):
        rng = np.random.default_rng(seed)
        for n in rng.integers(1, 4, 60):
            X = rng.normal(size=(n, T, D))
            Y = rng.normal(size=(n, T, K))
            loss = net.loss_and_gradients(X, Y)[0]
            read = net.loss_and_gradients(list(map(np.asfortranarray, X)), list(Y))[0]
            hidden = net.forward(X).hidden
            if loss != read or hidden.shape != (n, T, M):
                problems.append((loss, read))

    workers = [threading.Thread(target=call, args=(seed,)) for seed in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert problems == []


def test_where_blas_computes_arrays_are_read(monkeypatch):
    """BLAS must be limited to one thread, which the other path does."""
    monkeypatch.setattr(engine_module, "PRODUCTS", "blas")
    net = net_of()
    X, Y = inputs("float32"), targets(net)
    assert net.engine.gradient_of_arrays(X, Y) is None
    assert net.engine.predict_arrays(X) is None
    assert np.isfinite(net.loss_and_gradients(X, Y)[0])


# ---- the reading of X ----------------------------------------------------------------------------


def made_unplain(X):
    """The same values in arrays that are no plain ones, which must be read."""
    if isinstance(X, Ragged):
        return Ragged(X.values.astype(X.values.dtype.newbyteorder()), X.offsets)
    return np.asfortranarray(X) if isinstance(X, np.ndarray) else [np.asfortranarray(x) for x in X]


@DTYPES
@pytest.mark.parametrize("name", ["3d", "list", "list of one", "ragged"])
def test_arrays_that_are_not_read_become_the_same_sequences(dtype, name):
    X = inputs(dtype)
    X = {
        "3d": X,
        "list": [X[0], X[1][:2], X[2]],
        "list of one": [X[0]],
        "ragged": Ragged.from_sequences([X[0], X[1][:2]]),
    }[name]
    read = check_sequences(made_unplain(X), caller="test")
    plain = check_sequences(X, caller="test")
    assert vars(plain).keys() == vars(read).keys()
    assert_array_equal(plain.values, read.values)
    assert_array_equal(plain.offsets, read.offsets)
    assert_array_equal(plain.lengths, read.lengths)
    assert (plain.form, plain.times) == (read.form, read.times)
    assert plain.values.dtype == read.values.dtype == np.dtype(dtype)
    assert plain.offsets.dtype == read.offsets.dtype
    with pytest.raises(ValueError, match="cannot set WRITEABLE"):
        plain.offsets.flags.writeable = True
    again = pickle.loads(pickle.dumps(plain))
    assert_array_equal(again.offsets, plain.offsets)


@pytest.mark.parametrize("name", ["list of one", "ragged"])
def test_a_shape_that_is_changed_in_place_leaves_the_sequences_as_they_were(name):
    array = np.arange(6.0).reshape(3, 2)
    X = [array] if name == "list of one" else Ragged(array, [0, 1, 3])
    sequences = check_sequences(X, caller="test")
    changed = array if name == "list of one" else X.values
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of NumPy from 2.5 on
        changed.shape = (2, 3)
    assert sequences.values.shape == (3, 2)


@pytest.mark.parametrize("values", [np.array(["a", 1, None], object), np.zeros((3, 2, 2))])
def test_values_that_no_ragged_can_have_are_refused(values):
    sequences = check_sequences(Ragged(np.zeros((3, 2)), [0, 1, 3]), caller="test")
    with pytest.raises((TypeError, ValueError), match="Ragged got values"):
        sequences.shape_like(values)


@pytest.mark.parametrize(
    "X",
    [
        [np.zeros((2, 3)), np.zeros((2, 4))],
        [np.zeros((2, 3)), np.zeros((0, 3))],
        [np.zeros((2, 3)), np.zeros((1, 2, 3))],
        [np.zeros((2, 3)), None],
        [np.zeros(())],
        [],
        np.zeros((0, 2, 3)),
        np.zeros((1, 2, 0)),
    ],
    ids=["columns", "empty", "axes", "nothing", "scalar", "none", "no sequence", "no variable"],
)
def test_what_is_no_sequence_is_refused_as_before(X):
    with pytest.raises((ValueError, TypeError), match="test got X"):
        check_sequences(X, caller="test")


@DTYPES
@pytest.mark.parametrize("n", [*range(70), 1000])
def test_every_place_is_looked_at_for_values_that_are_not_finite(dtype, n):
    x = np.full(n, np.finfo(dtype).max, dtype)
    x[::2] *= -1
    assert all_finite(x)
    for i in range(n):
        for value in (np.nan, np.inf, -np.inf):
            kept, x[i] = x[i], value
            assert not all_finite(x)
            x[i] = kept


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_an_estimator_predicts_the_same_of_plain_arrays():
    X = inputs("float64", (12, T, D))
    model = RNNClassifier(4, max_iter=5, tol=0, random_state=0).fit(X, np.arange(12) % 2)
    expected = model.predict_proba(np.asfortranarray(X))
    assert_array_equal(model.predict_proba(X), expected)
    assert_array_equal(model.predict_proba(list(X)), expected)


# ---- the boundary of the compiled code -----------------------------------------------------------


def prepared(dtype: Any = np.float64) -> tuple[Task, np.ndarray, np.ndarray]:
    net = net_of(np.dtype(dtype).name)
    task, nothing = Task(net.engine.core, Memory(1)), np.empty((0, 0), dtype)
    offsets = np.arange(0, N * T + 1, T)
    set_inputs(task, np.zeros((N * T, D), dtype), offsets[:-1], offsets[1:], nothing)
    set_targets(task, np.zeros((N * T, K), dtype), np.empty(0, np.intp), np.ones(N * T, dtype))
    return task, net.theta, np.arange(N)


@DTYPES
def test_values_of_other_shapes_or_another_precision_are_refused(dtype):
    other = np.float32 if dtype == "float64" else np.float64
    task, _, _ = prepared(dtype)
    for call in [
        lambda: replace_inputs(task, np.zeros((N * T - 1, D), dtype)),
        lambda: replace_inputs(task, np.zeros((N * T, D + 1), dtype)),
        lambda: replace_inputs(task, np.zeros((N * T, D), other)),
        lambda: replace_targets(task, np.zeros((N * T, K + 1), dtype)),
        lambda: replace_targets(task, np.zeros((N * T + 1, K), dtype)),
        lambda: replace_targets(task, np.zeros((N * T, K), other)),
        lambda: replace_labels(task, np.zeros(N * T + 1, np.intp)),
        lambda: replace_labels(task, np.zeros(0, np.intp)),
    ]:
        with pytest.raises(ValueError, match="cbptt's compiled code got"):
            call()


def test_a_task_without_values_does_not_run():
    task, theta, ids = prepared()
    gradient = np.empty_like(theta)
    release_call(task)
    with pytest.raises(ValueError, match="without inputs"):
        compute_gradient(Team(1, task), task, gradient, theta, ids)
    with pytest.raises(ValueError, match="without inputs"):
        replace_labels(task, np.zeros(N * T, np.intp))
    assert replace_inputs(task, np.zeros((N * T, D)))
    with pytest.raises(ValueError, match="without targets"):
        compute_gradient(Team(1, task), task, gradient, theta, ids)
    assert replace_targets(task, np.zeros((N * T, K)))
    compute_gradient(Team(1, task), task, gradient, theta, ids)
    fresh = Task(net_of("float64").engine.core, Memory(1))
    with pytest.raises(ValueError, match="cbptt's compiled code got"):
        replace_inputs(fresh, np.zeros((N * T, D)))
    with pytest.raises(ValueError, match="cbptt's compiled code got"):
        replace_inputs(fresh, np.zeros((0, D)))
    with pytest.raises(ValueError, match="without inputs"):
        replace_targets(fresh, np.zeros((N * T, K)))
