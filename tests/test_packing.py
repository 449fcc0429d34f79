"""Batches of any lengths, in any order: each sequence is read and written where it lies.

A network that adds up its inputs, W0 = W11 = 1 and the identity, has running sums as its states.
Those of small integers are exact, so a row that is taken from elsewhere changes a number.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

import cbptt
from cbptt._arrays import set_inputs, want_predictions, want_states
from cbptt._train import Memory, Task, predict
from cbptt.engine.threads import in_team

some_lengths = st.lists(st.integers(1, 9), min_size=1, max_size=12)
DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])


def adder(dtype, readout="every"):
    net = cbptt.RNN(1, 1, 1, activation="identity", readout=readout, dtype=dtype)
    net.theta[:] = 0
    for name in ("weight_ih", "weight_hh", "weight_ho"):
        net.parameters[name][:] = 1
    return net


def offsets_of(lengths):
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.intp)


def run(net, values, starts, stops, ids, carry=0):
    """States of all steps, of the last ones, and of those after `carry`, of a batch of `ids`."""
    task, n = Task(net.engine.core, Memory(1)), len(starts)
    hidden, final, carried = (np.full((m, 1), -1, net.dtype) for m in (len(values), n, n))
    nothing = np.empty((0, 0), net.dtype)
    values = np.asarray(values, net.dtype)[:, np.newaxis]
    set_inputs(task, values, np.array(starts, np.intp), np.array(stops, np.intp), nothing)
    want_predictions(task, hidden, nothing, final, False)
    want_states(task, carried, carry)
    in_team(1, task, lambda team: predict(team, task, net.theta, np.array(ids, np.intp)))
    return hidden[:, 0], final[:, 0], carried[:, 0]


def running_sums(values, starts, stops, ids, carry=0):
    """The same, a sequence at a time."""
    hidden, final, carried = (np.full(m, -1) for m in (len(values), len(starts), len(starts)))
    for i in ids:
        sums = np.cumsum(values[starts[i] : stops[i]])
        hidden[starts[i] : stops[i]] = sums
        final[i] = sums[-1]
        if 0 < carry <= len(sums):
            carried[i] = sums[carry - 1]
    return hidden, final, carried


@DTYPES
def test_three_sequences_by_hand(dtype):
    values = [1, 2, 3, 4, 5, 6, 7, 8]
    hidden, final, carried = run(adder(dtype), values, [0, 2, 6], [2, 6, 8], [0, 1, 2], carry=3)
    assert_array_equal(hidden, [1, 3, 3, 7, 12, 18, 7, 15])
    assert_array_equal(final, [3, 18, 15])
    assert_array_equal(carried, [-1, 12, -1])


@DTYPES
@given(some_lengths, st.data())
def test_a_batch_reads_and_writes_its_sequences_and_no_others(dtype, lengths, data):
    ids = data.draw(st.permutations(range(len(lengths))))[: data.draw(st.integers(1, len(lengths)))]
    carry = data.draw(st.integers(0, 10))
    values = np.arange(1, sum(lengths) + 1)
    offsets = offsets_of(lengths)
    places = values, offsets[:-1], offsets[1:], ids, carry
    for found, expected in zip(run(adder(dtype), *places), running_sums(*places), strict=True):
        assert_array_equal(found, expected)


@DTYPES
@given(some_lengths, st.data())
def test_a_window_reads_and_writes_its_steps_and_no_others(dtype, lengths, data):
    offsets = offsets_of(lengths)
    starts = offsets[:-1] + [data.draw(st.integers(0, n - 1)) for n in lengths]
    stops = np.array(
        [data.draw(st.integers(a + 1, b)) for a, b in zip(starts, offsets[1:], strict=True)]
    )
    places = np.arange(1, sum(lengths) + 1), starts, stops, range(len(lengths))
    for found, expected in zip(run(adder(dtype), *places), running_sums(*places), strict=True):
        assert_array_equal(found, expected)


@DTYPES
@pytest.mark.parametrize("n", [1, 5, 200])
def test_equal_lengths_are_packed_as_any_others(n, dtype):
    offsets = offsets_of([3] * n)
    places = np.arange(1, 3 * n + 1), offsets[:-1], offsets[1:], range(n), 2
    for found, expected in zip(run(adder(dtype), *places), running_sums(*places), strict=True):
        assert_array_equal(found, expected)


@DTYPES
@pytest.mark.parametrize("readout", ["last", "mean", "max"])
@given(some_lengths)
def test_a_readout_of_whole_sequences_stands_in_the_row_of_the_sequence(readout, dtype, lengths):
    X = [np.arange(n, dtype=float)[:, np.newaxis] - i for i, n in enumerate(lengths)]
    of_sums = {"last": lambda h: h[-1], "mean": np.mean, "max": np.max}[readout]
    expected = [of_sums(np.cumsum(x)) for x in X]
    found = adder(dtype, readout).forward(X).output
    np.testing.assert_allclose(np.concatenate(list(found)), expected, rtol=1e-6)
