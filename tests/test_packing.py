"""Laws of the packed layout: longest sequence first, the rows of one step contiguous."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from cbptt import _packing

some_lengths = st.lists(st.integers(1, 9), min_size=1, max_size=12)


class Packing(NamedTuple):
    """Where each step of a batch lies: longest sequence first, the rows of one step contiguous."""

    order: np.ndarray  # (B,) sequences, longest first
    batch_sizes: np.ndarray  # (T,) sequences alive at each step
    rows: np.ndarray  # (N,) for each packed row, its row in the flat buffer
    ends: np.ndarray  # (B,) the packed row of each sequence's last step
    n_rows: int


def pack(offsets):
    n, longest = len(offsets) - 1, int(np.diff(offsets).max())
    sizes = (n, longest, offsets[-1], n)
    arrays = [np.full(size, -1, np.intp) for size in sizes]
    n_rows = _packing.layout(*arrays, np.arange(n, dtype=np.intp), offsets[:-1], offsets[1:])
    return Packing(*arrays, n_rows)


def offsets_of(lengths):
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.intp)


def starts(batch_sizes):
    """Packed row at which each step begins."""
    return np.cumsum(batch_sizes) - batch_sizes


def test_three_sequences_by_hand():
    # a: flat rows 0 1, b: 2 3 4 5, c: 6 7;  b is the longest, a stands before c
    packing = pack(offsets_of([2, 4, 2]))
    assert_array_equal(packing.order, [1, 0, 2])
    assert_array_equal(packing.batch_sizes, [3, 3, 1, 1])
    assert_array_equal(packing.rows, [2, 0, 6, 3, 1, 7, 4, 5])
    assert_array_equal(packing.ends, [7, 4, 5])
    assert packing.n_rows == 8


@given(some_lengths)
def test_every_step_has_exactly_one_row(lengths):
    packing = pack(offsets_of(lengths))
    assert packing.n_rows == sum(lengths)
    assert_array_equal(np.sort(packing.rows), np.arange(sum(lengths)))


@given(some_lengths)
def test_batch_sizes_count_the_sequences_alive_and_never_grow(lengths):
    sizes = pack(offsets_of(lengths)).batch_sizes
    assert len(sizes) == max(lengths)
    assert_array_equal(sizes, [sum(n > t for n in lengths) for t in range(max(lengths))])
    assert (np.diff(sizes) <= 0).all()
    assert sizes.sum() == sum(lengths)


@given(some_lengths)
def test_row_i_of_step_t_is_step_t_of_the_ith_sequence_in_order(lengths):
    offsets = offsets_of(lengths)
    packing = pack(offsets)
    first = starts(packing.batch_sizes)
    for t, n_alive in enumerate(packing.batch_sizes):
        rows = packing.rows[first[t] : first[t] + n_alive]
        assert_array_equal(rows, offsets[packing.order[:n_alive]] + t)


@given(some_lengths)
def test_the_longest_come_first_and_equal_lengths_keep_their_order(lengths):
    by_length = sorted(range(len(lengths)), key=lambda i: -lengths[i])  # Python's sort is stable
    assert_array_equal(pack(offsets_of(lengths)).order, by_length)


@given(some_lengths)
def test_ends_are_the_rows_of_the_last_steps(lengths):
    offsets = offsets_of(lengths)
    packing = pack(offsets)
    assert_array_equal(packing.rows[packing.ends], offsets[packing.order + 1] - 1)


def lay_out(ids, offsets):
    """Order, batch_sizes, rows and ends of the sequences `ids`, as a mini-batch has them."""
    lengths = np.diff(offsets)[ids]
    B, T, N = len(ids), lengths.max(), lengths.sum()
    parts = [np.full(n, -1, np.intp) for n in (B, T, N, B)]
    n_rows = _packing.layout(*parts, np.array(ids, np.intp), offsets[:-1], offsets[1:])
    assert n_rows == N
    return parts


@given(some_lengths, st.data())
def test_a_mini_batch_is_the_packing_of_its_sequences_alone(lengths, data):
    ids = data.draw(st.permutations(range(len(lengths))))[: data.draw(st.integers(1, len(lengths)))]
    offsets = offsets_of(lengths)
    order, batch_sizes, rows, ends = lay_out(ids, offsets)

    alone = pack(offsets_of([lengths[i] for i in ids]))
    flat_rows = np.concatenate([np.arange(offsets[i], offsets[i + 1]) for i in ids])
    assert_array_equal(order, np.array(ids)[alone.order])
    assert_array_equal(batch_sizes, alone.batch_sizes)
    assert_array_equal(rows, flat_rows[alone.rows])
    assert_array_equal(ends, alone.ends)


@pytest.mark.parametrize("n", [1, 5])
def test_equal_lengths_are_packed_as_the_transpose(n):
    T = 3
    packing = pack(offsets_of([T] * n))
    assert_array_equal(packing.rows, np.arange(n * T).reshape(n, T).T.ravel())
    assert_array_equal(packing.ends, np.arange(n) + (T - 1) * n)
