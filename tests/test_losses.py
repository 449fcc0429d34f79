"""Losses and their deltas against the NumPy reference, and what a target may be."""

from __future__ import annotations

import re

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import cbptt
from cbptt import reference
from cbptt._kernels import FUNCTIONS
from cbptt._losses import LOSSES, evaluate
from cbptt.losses import PAIRS

R, K = 6, 4
ALL_PAIRS = [(loss, output) for loss, outputs in PAIRS.items() for output in outputs]
CANONICAL = sorted(reference.CANONICAL)
LOSS_AND_OUTPUT = pytest.mark.parametrize(("loss", "output"), ALL_PAIRS)
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def make_rows(output, dtype=np.float64):
    """Pre-activations away from the kink of relu, probabilities as targets, weights with a 0."""
    rng = np.random.default_rng(0)
    a2 = rng.uniform(0.1, 2, size=(R, K)) * rng.choice([-1, 1], size=(R, K))
    target = rng.uniform(0.1, 0.9, size=(R, K))
    if output == "softmax":
        target /= target.sum(axis=1, keepdims=True)
    weight = np.array([1, 2, 0, 0.5, 1, 3])
    return a2.astype(dtype), target.astype(dtype), weight.astype(dtype)


def evaluated(a2, target, weight, loss, output):
    """The loss, h2 and the delta w dL/da2."""
    h2, delta = a2.copy(), target.copy()
    total = evaluate(h2, delta, weight, FUNCTIONS[output], LOSSES[loss])
    return total, h2, delta


def row_losses(a2, target, loss, output):
    """(R,) unweighted losses by the reference."""
    return reference.LOSSES[loss][output].value(a2, reference.OUTPUTS[output](a2), target)


# ---- values -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("dtype", "rtol"), [(np.float64, 1e-13), (np.float32, 1e-5)])
@LOSS_AND_OUTPUT
def test_loss_output_and_delta_are_those_of_the_reference(loss, output, dtype, rtol):
    a2, target, weight = make_rows(output, dtype)
    exact, t = a2.astype(np.float64), target.astype(np.float64)

    def weighted(z):
        return np.sum(weight * row_losses(z, t, loss, output))

    total, h2, delta = evaluated(a2, target, weight, loss, output)
    assert_allclose(total, weighted(exact), rtol=rtol)
    assert_allclose(h2, reference.OUTPUTS[output](exact), rtol=rtol)
    expected = reference.complex_step(weighted, exact)
    assert_allclose(delta, expected, rtol=rtol, atol=rtol * np.abs(expected).max())


@pytest.mark.parametrize(("loss", "output"), CANONICAL)
def test_the_canonical_delta_is_weighted_output_minus_target(loss, output):
    a2, target, weight = make_rows(output)
    _, h2, delta = evaluated(a2, target, weight, loss, output)
    assert_array_equal(delta, (h2 - target) * weight[:, np.newaxis])


@pytest.mark.parametrize(("loss", "output"), sorted(set(ALL_PAIRS) - set(CANONICAL)))
def test_there_is_no_shortcut_where_none_holds(loss, output):
    a2, target, weight = make_rows(output)
    _, h2, delta = evaluated(a2, target, weight, loss, output)
    assert not np.allclose(delta, (h2 - target) * weight[:, np.newaxis])


@DTYPES
@LOSS_AND_OUTPUT
def test_loss_and_delta_are_linear_in_the_weight(loss, output, dtype):
    a2, target, weight = make_rows(output, dtype)
    total, _, delta = evaluated(a2, target, weight, loss, output)
    doubled, _, twice_delta = evaluated(a2, target, 2 * weight, loss, output)
    assert doubled == 2 * total
    assert_array_equal(twice_delta, 2 * delta)


@DTYPES
@LOSS_AND_OUTPUT
@pytest.mark.parametrize("junk", [np.nan, np.inf, -1e30])
def test_a_row_of_weight_zero_contributes_exactly_nothing(junk, loss, output, dtype):
    a2, target, weight = make_rows(output, dtype)
    used = weight != 0
    target[~used] = junk
    total, h2, delta = evaluated(a2, target, weight, loss, output)
    alone = evaluated(a2[used], target[used], weight[used], loss, output)
    assert total == alone[0]
    assert_array_equal(delta[used], alone[2])
    assert_array_equal(delta[~used], 0)
    assert_allclose(h2, reference.OUTPUTS[output](a2), rtol=1e-5)


@LOSS_AND_OUTPUT
def test_a_nan_is_seen_in_the_loss(loss, output):
    a2, target, weight = make_rows(output)
    a2[1, 2] = np.nan
    total, h2, _ = evaluated(a2, target, weight, loss, output)
    assert np.isnan(total)
    assert np.isnan(h2[1, 2])


def test_a_float32_loss_is_summed_in_double():
    n = 100_000
    a2, target = np.zeros((n, 1), np.float32), np.full((n, 1), 0.1, np.float32)
    total, _, _ = evaluated(a2, target, np.ones(n, np.float32), "squared_error", "identity")
    assert_allclose(total, n * float(np.float32(0.1)) ** 2 / 2, rtol=1e-11)


# ---- far out ----------------------------------------------------------------------------------


@DTYPES
def test_softmax_log_loss_is_exact_at_logits_of_ten_thousand(dtype):
    a2 = np.array([[1e4, -1e4], [1e4, -1e4], [-1e4, -1e4]], dtype)
    target = np.array([[1, 0], [0, 1], [0, 1]], dtype)
    losses = []
    for r in range(3):
        loss, h2, delta = evaluated(
            a2[r : r + 1], target[r : r + 1], np.ones(1, dtype), "log_loss", "softmax"
        )
        losses.append(loss)
        assert_array_equal(delta, h2 - target[r])
        assert np.isfinite(delta).all()
    assert_allclose(losses, [0, 2e4, np.log(2)], rtol=1e-7)


@DTYPES
@pytest.mark.parametrize(
    ("logit", "target", "loss", "delta"),
    [
        (1e4, 1, 0, 0),
        (1e4, 0, 1e4, 1),
        (-1e4, 0, 0, 0),
        (-1e4, 1, 1e4, -1),
        (1e4, 0.25, 7500, 0.75),
    ],
)
def test_logistic_log_loss_is_exact_at_logits_of_ten_thousand(logit, target, loss, delta, dtype):
    a2, t = np.array([[logit]], dtype), np.array([[target]], dtype)
    total, h2, d = evaluated(a2, t, np.ones(1, dtype), "log_loss", "logistic")
    assert (total, h2[0, 0], d[0, 0]) == (loss, logit > 0, delta)


@DTYPES
@pytest.mark.parametrize("output", ["logistic", "tanh", "softmax"])
def test_squared_error_of_bounded_outputs_is_finite_at_ten_thousand(output, dtype):
    a2 = np.array([[1e4, -1e4, 0], [-1e4, -1e4, 1e4]], dtype)
    target = np.array([[0, 1, 0], [1, 0, 0]], dtype)
    total, _, delta = evaluated(a2, target, np.ones(2, dtype), "squared_error", output)
    h2 = reference.OUTPUTS[output](a2.astype(np.float64))
    assert_allclose(total, ((h2 - target) ** 2).sum() / 2, rtol=1e-6)
    assert np.isfinite(delta).all()


@DTYPES
@pytest.mark.parametrize("output", reference.OUTPUTS)
def test_output_functions_are_those_of_the_reference(output, dtype):
    a2 = np.array([[0.5, -1.5, 3, 0], [1e4, -1e4, 1e4, 0], [-1e4, -1e4, -1e4, -1e4]], dtype)
    net = cbptt.RNN(K, K, K, activation="identity", output_activation=output, dtype=dtype)
    net.theta[:] = 0
    for name in ("weight_ih", "weight_ho"):
        net.parameters[name][:] = np.eye(K)
    h2 = net.forward(a2[:, np.newaxis]).output[:, 0]
    expected = reference.OUTPUTS[output](a2.astype(np.float64))
    assert_allclose(h2, expected, rtol=8 * np.finfo(dtype).eps)
    if output == "softmax":
        assert_allclose(h2.sum(axis=1), 1, rtol=4 * np.finfo(dtype).eps)


# ---- targets ----------------------------------------------------------------------------------

X = [np.zeros((2, 1)), np.zeros((3, 1))]


def network(output="identity", loss="squared_error", readout="last", K=3):
    return cbptt.RNN(1, 2, K, output_activation=output, loss=loss, readout=readout, random_state=0)


@pytest.mark.parametrize("output", ["identity", "tanh", "relu"])
def test_log_loss_is_refused_for_outputs_that_are_no_probabilities(output):
    message = (
        f"RNN got output_activation='{output}' with loss='log_loss', which needs probabilities"
    )
    with pytest.raises(ValueError, match=message):
        network(output, "log_loss")


SOFTMAX = {"output": "softmax", "loss": "log_loss"}
LOGISTIC = {"output": "logistic", "loss": "log_loss"}


@pytest.mark.parametrize(
    ("choices", "Y", "message"),
    [
        (SOFTMAX, [0, 3], "Y[1] = 3; classes must be integers from 0 to 2"),
        (SOFTMAX, [-1, 0], "Y[0] = -1; classes must be integers from 0 to 2"),
        (SOFTMAX, [0.0, 1.0], "expected an integer class or shape (3,)"),
        (SOFTMAX, [[1, 0], [0, 1]], "expected an integer class or shape (3,)"),
        (SOFTMAX, [[1, 0, 0], [0.5, 0.5, 0.5]], "must sum to 1"),
        (SOFTMAX, [[1, 0, 0], [1.5, -0.5, 0]], "needs probabilities in [0, 1]"),
        (SOFTMAX, [[1, 0, 0], [np.nan, 0, 1]], "targets must be finite"),
        (LOGISTIC, [[0, 1, 1.1], [0, 0, 0]], "needs probabilities in [0, 1]"),
        (LOGISTIC, [0, 1], "expected shape (3,)"),
        ({}, [[0, 0, np.inf], [0, 0, 0]], "targets must be finite"),
        ({}, [[0, 0, 0], [0, 0, np.nan]], "Y[1] = [ 0.  0. nan]; targets must be"),
        ({}, [[0, 0], [0, 0]], "expected shape (3,)"),
        (
            {"readout": "every", **SOFTMAX},
            [[0, 1], [2, 0, 7]],
            "Y[1][2] = 7; classes must be integers from 0 to 2",
        ),
    ],
)
def test_targets_that_do_not_fit_are_named(choices, Y, message):
    net = network(**choices)
    for call in (net.loss, net.loss_and_gradients, net.derivatives):
        with pytest.raises(ValueError, match=r"^RNN got .*" + re.escape(message)):
            call(X, Y)


@pytest.mark.parametrize("loss", ["log_loss", "squared_error"])
@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint8, np.int64, np.uint64])
def test_classes_are_their_one_hot_vectors_whatever_their_integer_type(dtype, loss):
    net = network("softmax", loss)
    labels = np.array([0, 1], dtype)
    assert net.loss(X, labels) == net.loss(X, reference.one_hot([0, 1], 3))


def test_numbers_stand_for_vectors_of_one_entry():
    net = network(K=1)
    assert net.loss(X, [0.5, 2]) == net.loss(X, [[0.5], [2]])


@pytest.mark.parametrize("Y", [[0, -7], [0, 99], [[1, 0, 0], [np.nan] * 3], [[1, 0, 0], [9, 9, 9]]])
def test_whatever_the_target_of_a_sequence_of_weight_zero_holds_is_not_read(Y):
    net = network("softmax", "log_loss")
    assert net.loss(X, Y, [2, 0]) == net.loss(X[:1], [0])


@pytest.mark.parametrize("junk", [np.nan, np.inf, 1e300])
def test_whatever_the_target_of_a_step_of_weight_zero_holds_is_not_read(junk):
    net = network(readout="every", K=1)
    Y, weight = [[0.5, junk], [junk, 2, 1]], [[1, 0], [0, 3, 1]]
    filled = [[0.5, 0], [0, 2, 1]]
    assert net.loss(X, Y, weight) == net.loss(X, filled, weight)


# ---- weights ----------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [-1.0, np.nan, np.inf])
@pytest.mark.parametrize("readout", ["last", "every"])
def test_weights_that_are_negative_or_not_finite_are_named(readout, bad):
    net = network(readout=readout, K=1)
    Y = [0, 0] if readout == "last" else [[0, 0], [0, 0, 0]]
    with pytest.raises(ValueError, match=rf"sample_weight\[1\].* = {bad}; weights must be finite"):
        net.loss(X, Y, [1, bad])


@pytest.mark.parametrize(
    ("readout", "weight"),
    [
        ("last", [1, 1, 1]),
        ("every", [1, 1, 1]),
        ("last", [[1, 1], [1, 1, 1]]),
        ("every", [[1, 1], [1, 1]]),
        ("every", [np.ones((2, 2)), np.ones((3, 2))]),
    ],
)
def test_weights_of_another_number_than_targets_are_refused(readout, weight):
    net = network(readout=readout, K=1)
    Y = [0, 0] if readout == "last" else [[0, 0], [0, 0, 0]]
    with pytest.raises(ValueError, match=r"^RNN got .*sample_weight"):
        net.loss(X, Y, weight)


def test_a_weight_too_large_for_float32_is_refused():
    net = network(K=1).astype(np.float32)
    with pytest.raises(ValueError, match=r"sample_weight\[0\]"):
        net.loss(X, [0, 0], [1e300, 1])


def test_masked_weights_are_refused_as_their_mask_would_be_lost():
    with pytest.raises(TypeError, match="mask"):
        network(K=1).loss(X, [0, 0], np.ma.array([1, 2], mask=[0, 1]))


def test_a_target_too_large_for_float32_is_named():
    net = network(K=1).astype(np.float32)
    with pytest.raises(ValueError, match=r"Y\[0\] = .*largest finite float32 is 3.4e\+38; scale"):
        net.loss(X, [1e300, 0])


# ---- kinds and memory of targets -----------------------------------------------------------------


@DTYPES
@pytest.mark.parametrize("kind", ["bool", "int8", "uint8", "uint16", "uint64", ">i4"])
def test_integers_of_any_kind_are_the_same_targets_and_weights(kind, dtype):
    net = cbptt.RNN(
        *(2, 3, 2), output_activation="softmax", loss="log_loss", dtype=dtype, random_state=0
    )
    X = [np.ones((3, 2)), np.ones((2, 2))]
    Y, weight = [np.array([0, 1, 1]), np.array([1, 0])], np.array([1, 0])
    loss, gradients = net.loss_and_gradients(X, Y, weight)
    found, found_gradients = net.loss_and_gradients(
        X, [y.astype(kind) for y in Y], weight.astype(kind)
    )
    assert found == loss
    assert_array_equal(found_gradients["weight_hh"], gradients["weight_hh"])


@pytest.mark.parametrize("label", [2**63, 2**64 - 1, 2**64 - 2**32, 3])
def test_an_unsigned_label_out_of_range_is_refused_and_not_wrapped(label):
    net = cbptt.RNN(1, 2, 3, output_activation="softmax", loss="log_loss", random_state=0)
    with pytest.raises(ValueError, match=re.escape(f"Y[0][0] = {label}")):
        net.loss([[0.0]], [np.array([label], np.uint64)])


@DTYPES
@pytest.mark.parametrize("output", ["identity", "logistic"])
def test_targets_may_lie_in_any_order_of_memory(output, dtype):
    net = cbptt.RNN(2, 3, 2, output_activation=output, readout="last", dtype=dtype, random_state=0)
    X, Y = np.ones((3, 4, 2)), np.arange(6.0).reshape(3, 2)
    loss = net.loss(X, Y)
    for other in (np.asfortranarray(Y), np.repeat(Y, 2, axis=0)[::2], Y[::-1].copy()[::-1]):
        assert net.loss(X, other) == loss
        assert net.loss_and_gradients(X, other)[0] == net.loss_and_gradients(X, Y)[0]
