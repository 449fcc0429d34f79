"""Memory asked for once: nothing is read or written beside it, whatever batches are run in it."""

from __future__ import annotations

import numpy as np
import pytest
from combinations import pairwise

import cbptt
from cbptt import losses, network
from cbptt.engine.batches import Batches, Step
from cbptt.engine.results import Dropout
from cbptt.engine.threads import one_blas_thread
from cbptt.engine.truncation import Truncation
from cbptt.optimizers import Adam, Moments

GUARD = 1 << 14  # bytes on either side of an array
PRECISIONS = ["float32", "float64"]
DTYPES = pytest.mark.parametrize("dtype", PRECISIONS)

# Kernels for all products, or BLAS for those of many units, inputs or outputs.
SIZES = [(3, 17, 2), (2, 400, 1), (300, 8, 3), (4, 6, 290)]
PRODUCTS = [(sizes, products) for sizes in SIZES for products in ("kernels", "blas")]
LENGTHS = {
    "equal": [60] * 5,
    "ragged, but not their windows": [68, 48, 98, 30, 70, 71, 90, 98],
    "ragged": [68, 3, 98, 30],
    "few long ones": [900, 700, 1],
    "many": [5, 9, 2] * 40,
}
CHECKPOINT = {"few long ones": 1}


class Guarded:
    """The arrays of a scratch, moved between guards of known bytes."""

    def __init__(self, scratch):
        self.scratch, self.memory = scratch, {}
        rng = np.random.default_rng(0)
        for name, array in scratch.arrays.items():
            memory = rng.integers(0, 256, array.nbytes + 2 * GUARD + 64, np.uint8)
            first = GUARD - (memory.ctypes.data + GUARD) % 64 + 64
            place = memory[first : first + array.nbytes]
            if name == "everyone":  # all others are written before they are read
                place[:] = array.view(np.uint8)
            scratch.arrays[name] = place.view(array.dtype).reshape(array.shape)
            self.memory[name] = memory, first, first + array.nbytes, memory.copy()
        scratch.guard()

    def assert_whole(self):
        for name, (memory, first, end, before) in self.memory.items():
            np.testing.assert_array_equal(memory[:first], before[:first], err_msg=f"before {name}")
            np.testing.assert_array_equal(memory[end:], before[end:], err_msg=f"behind {name}")


def make(D, M, K, lengths, readout, dtype):
    rng = np.random.default_rng(1)
    chosen = {"output_activation": "softmax", "loss": "log_loss"} if K > 1 else {}
    net = cbptt.RNN(D, M, K, readout=readout, dtype=dtype, random_state=0, **chosen)
    X = [rng.normal(size=(length, D)) for length in lengths]
    places = lengths if readout == "every" else [()] * len(lengths)
    Y = [rng.integers(K, size=place) if K > 1 else rng.normal(size=place) for place in places]
    return net, net.shard(X, Y if readout == "every" else np.array(Y))


def train(net, shard, scratch, batch_size, masks, truncation):
    """Run batches of the sequences in an order that is not theirs, with a step after each."""
    moments = Moments.zeros_like(net.theta)
    step = Step(Adam(1e-3), moments, 1e-3, net.layout.n_weights, 0.0, np.inf)
    ids = np.random.default_rng(2).permutation(len(shard.sequences))
    batches = Batches(
        *(net._core, net.theta, shard, scratch, masks, 2, truncation),
        every=net.readout == "every",
    )
    with one_blas_thread(True):
        assert batches.run(ids, batch_size, np.zeros(5), step)
    assert np.isfinite(net.theta).all()


@pytest.mark.parametrize(
    ("sizes_products", "readout", "lengths", "masked", "dtype"),
    pairwise(PRODUCTS, losses.READOUTS, list(LENGTHS), [False, True], PRECISIONS),
)
def test_training_stays_within_its_memory(
    sizes_products, readout, lengths, masked, dtype, monkeypatch
):
    (D, M, K), products = sizes_products
    monkeypatch.setattr(network, "PRODUCTS", products)
    net, shard = make(D, M, K, LENGTHS[lengths], readout, dtype)
    n = len(shard.sequences)
    masks = Dropout(*(np.ones((n if masked else 0, size), net.dtype) for size in (D, M)))
    windows = [None] if readout in ("mean", "max") else [None, Truncation(25, 25)]
    if readout == "every":
        windows.append(Truncation(30, 20))
    for truncation in windows:
        for checkpoint in (None, CHECKPOINT.get(lengths, "auto")):
            scratch = net.scratch(
                *(shard.sequences, min(n, 3), 2),
                masked=masked,
                truncation=truncation,
                checkpoint=checkpoint,
            )
            guarded = Guarded(scratch)
            train(net, shard, scratch, min(n, 3), masks, truncation)
            guarded.assert_whole()


@pytest.mark.parametrize(
    ("sizes", "readout", "lengths", "dtype"),
    pairwise(SIZES, losses.READOUTS, list(LENGTHS), PRECISIONS),
)
def test_all_at_once_and_prediction_stay_within_theirs(sizes, readout, lengths, dtype):
    net, shard = make(*sizes, LENGTHS[lengths], readout, dtype)
    for checkpoint in (None, "auto"):
        scratch = net.scratch(shard.sequences, None, 2, checkpoint=checkpoint)
        guarded = Guarded(scratch)
        net.run(shard, scratch, 2, inputs=True)
        guarded.assert_whole()
    scratch = net.forward_scratch(shard.sequences, 2)
    guarded = Guarded(scratch)
    net.run_forward(shard, scratch, 2)
    guarded.assert_whole()


@pytest.mark.parametrize("readout", ["every", "last"])
@pytest.mark.parametrize("checkpoint", [None, "auto"])
@DTYPES
def test_so_do_windows_that_fall_into_fewer_parts_than_the_batch(
    dtype, checkpoint, readout, monkeypatch
):
    # 16 sequences fall into two parts of 8; when one of them is over, the others are one part
    monkeypatch.setattr(network, "PRODUCTS", "kernels")  # with BLAS, parts are larger
    net, shard = make(1, 40, 1, [650] + [1300] * 15, readout, dtype)
    truncation, masks = (
        Truncation(650, 650),
        Dropout(*(np.ones((0, n), net.dtype) for n in (1, 40))),
    )
    scratch = net.scratch(shard.sequences, 16, 2, truncation=truncation, checkpoint=checkpoint)
    assert scratch.plan.n_parts == 2
    assert scratch.plan.n_rows >= 15 * 650  # else what follows may end in a crash
    guarded = Guarded(scratch)
    train(net, shard, scratch, 16, masks, truncation)
    guarded.assert_whole()


@DTYPES
def test_so_does_the_way_to_last_windows_that_falls_into_fewer_parts(dtype, monkeypatch):
    # forward, 24 sequences are two parts; one of them has no steps before its last window
    monkeypatch.setattr(network, "PRODUCTS", "kernels")  # with BLAS, parts are larger
    net, shard = make(1, 40, 1, [650] + [1300] * 23, "last", dtype)
    truncation, masks = (
        Truncation(650, 650),
        Dropout(*(np.ones((0, n), net.dtype) for n in (1, 40))),
    )
    scratch = net.scratch(shard.sequences, 24, 2, truncation=truncation)
    batches = Batches(net._core, net.theta, shard, scratch, masks, 2, truncation, every=False)
    batches._make_forward_scratch(24)
    assert batches._forward_scratch.plan.n_parts == 2
    assert batches._forward_scratch.plan.n_rows >= 23 * 650
    guarded = Guarded(batches._forward_scratch)
    with one_blas_thread(True):
        assert batches.run(np.arange(24), 24, np.zeros(5))
    guarded.assert_whole()


def test_a_write_beside_is_found():
    net, shard = make(2, 3, 1, [4, 2], "every", "float64")
    scratch = net.scratch(shard.sequences)
    guarded = Guarded(scratch)
    guarded.assert_whole()
    memory, _, end, _ = guarded.memory["blocks"]
    memory[end] ^= 1
    with pytest.raises(AssertionError, match="behind blocks"):
        guarded.assert_whole()
