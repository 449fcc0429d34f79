"""Recomputation: with some of the states kept, and the others computed again, the same bits."""

from __future__ import annotations

import numpy as np
import pytest
from combinations import pairwise
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

import cbptt
from cbptt import losses
from cbptt.engine import engine
from cbptt.engine.results import Dropout
from cbptt.engine.truncation import Truncation

PRECISIONS = ["float32", "float64"]
DTYPES = pytest.mark.parametrize("dtype", PRECISIONS)
READOUTS = pytest.mark.parametrize("readout", losses.READOUTS)

# One chunk of steps, many, and chunks of a single step; few sequences, whose inputs are not folded
# into the recurrence, and many; all products by kernels, or some by BLAS.
SIZES = [
    # D, M, K, lengths
    (1, 1, 1, [1]),
    (3, 17, 2, [900, 400, 3]),
    (2, 9, 1, [300, 1, 280, 199, 40, 120, 300] * 2),
    (2, 5, 3, [6] * 500),
    (257, 24, 5, [300, 250]),
    (9, 390, 3, [150, 120, 250]),
]


def make_net(D, M, K, readout="every", dtype="float64", **options):
    chosen = {"output_activation": "softmax", "loss": "log_loss"} if K > 1 else {}
    return cbptt.RNN(D, M, K, readout=readout, dtype=dtype, random_state=0, **chosen | options)


def make_shard(net, lengths, seed=0, h0=False):
    rng, K = np.random.default_rng(seed), net.n_outputs
    X = [rng.normal(size=(length, net.n_inputs)) for length in lengths]
    places = lengths if net.readout == "every" else [()] * len(lengths)
    Y = [rng.integers(K, size=place) if K > 1 else rng.normal(size=place) for place in places]
    states = rng.normal(size=(len(lengths), net.hidden_size)) if h0 else None
    return net.shard(X, Y if net.readout == "every" else np.array(Y), None, states)


def run(net, shard, checkpoint, dropout=None, n_threads=1):
    return net.engine.gradient(
        shard, n_threads, inputs=True, dropout=dropout, checkpoint=checkpoint
    )


def assert_same(actual, expected):
    assert actual.loss_sum == expected.loss_sum
    for name in ("gradient", "dh0", "dx"):
        assert_array_equal(getattr(actual, name), getattr(expected, name), err_msg=name)


@pytest.mark.parametrize(
    ("sizes", "readout", "checkpoint", "dtype"),
    pairwise(SIZES, losses.READOUTS, [1, 70, "auto"], PRECISIONS),
)
def test_recomputed_states_give_the_same_bits(sizes, readout, checkpoint, dtype):
    *widths, lengths = sizes
    net = make_net(*widths, readout, dtype)
    shard = make_shard(net, lengths)
    assert_same(run(net, shard, checkpoint), run(net, shard, None))


@pytest.mark.parametrize("checkpoint", [500, 10**6, 2**62, 2**70])
def test_so_they_do_for_distances_beyond_the_last_step(checkpoint):
    net = make_net(3, 17, 2)
    shard = make_shard(net, [500, 400, 3])
    assert_same(run(net, shard, checkpoint), run(net, shard, None))


@READOUTS
@DTYPES
@pytest.mark.parametrize("products", ["kernels", "blas"])
@pytest.mark.parametrize("learned", [False, True])
def test_so_they_do_with_dropout_initial_states_and_blas(
    dtype, readout, products, learned, monkeypatch
):
    monkeypatch.setattr(engine, "PRODUCTS", products)
    net, lengths = make_net(2, 9, 3, readout, dtype, learn_initial_state=learned), [400, 390, 120]
    shard, rng = make_shard(net, lengths, h0=not learned), np.random.default_rng(1)
    dropout = Dropout(*(rng.integers(2, size=(3, n)).astype(net.dtype) * 2 for n in (2, 9)))
    expected = run(net, shard, None, dropout)
    assert_same(run(net, shard, 1, dropout), expected)
    assert_same(run(net, shard, "auto", dropout), expected)
    assert not np.array_equal(expected.gradient, run(net, shard, None).gradient)


@given(
    st.lists(st.integers(1, 500), min_size=1, max_size=20),
    st.integers(1, 400),
    st.sampled_from(losses.READOUTS),
)
@settings(max_examples=60, deadline=None)
def test_so_they_do_for_any_lengths(lengths, checkpoint, readout):
    net = make_net(1, 3, 2, readout)
    shard = make_shard(net, lengths)
    assert_same(run(net, shard, checkpoint), run(net, shard, None))


@pytest.mark.parametrize("n_threads", [1, 2, 4])
def test_so_they_do_for_any_number_of_threads(n_threads):
    net = make_net(3, 40, 4)
    shard = make_shard(net, [500, 300] * 40)
    found = run(net, shard, "auto", n_threads=n_threads)
    assert_same(found, run(net, shard, None))


@pytest.mark.parametrize("readout", ["every", "last"])
def test_so_they_do_in_windows_whose_states_are_carried(readout):
    net = make_net(2, 5, 3, readout)
    shard, truncation = make_shard(net, [1500, 700, 1200]), Truncation(600, 450)
    expected = net.engine.gradient(shard, truncation=truncation)
    found = net.engine.gradient(shard, truncation=truncation, checkpoint=20)
    assert found.loss_sum == expected.loss_sum
    assert_array_equal(found.gradient, expected.gradient)


@pytest.mark.parametrize("options", [{}, {"recurrent_dropout": 0.2, "bptt_steps": 300}])
def test_a_fit_is_the_same(options):
    rng = np.random.default_rng(0)
    X, y = [rng.normal(size=(length, 2)) for length in (500, 800, 350)], [0.1, 0.2, 0.4]
    fits = [
        cbptt.RNNRegressor(8, max_iter=5, random_state=0, tol=0, checkpoint=checkpoint, **options)
        for checkpoint in (None, "auto")
    ]
    with pytest.warns(UserWarning, match="Maximum iterations"):
        thetas = [model.fit(X, y).network_.theta for model in fits]
    assert_array_equal(*thetas)
    assert fits[0].loss_curve_ == fits[1].loss_curve_


def test_the_gradients_of_a_call_are_the_same():
    net, rng = make_net(2, 6, 1), np.random.default_rng(0)
    X, Y = rng.normal(size=(2, 900, 2)), rng.normal(size=(2, 900))
    expected = net.loss_and_gradients(X, Y)
    found = net.loss_and_gradients(X, Y, checkpoint="auto")
    assert found[0] == expected[0]
    for name, array in expected[1].items():
        assert_array_equal(found[1][name], array)


@pytest.mark.parametrize("checkpoint", [0, -1, True, 1.5, "sqrt", [1]])
def test_what_is_no_distance_is_refused(checkpoint):
    net = make_net(1, 2, 1)
    with pytest.raises(ValueError, match=r"RNN got checkpoint=.* expected None, 'auto' or an int"):
        net.loss_and_gradients([[[1.0]]], [[1.0]], checkpoint=checkpoint)
