"""Work memory: as much as the batch at hand takes, kept between calls, and nothing beside it.

In a checked build (see `cbptt._arena.CHECKED`) a guard lies behind each array and is compared after
each part, so that the second half of this file also shows that no array is too small: its batches
use all of them. `tools/mutate_memory.py` halves one after the other and expects a failure here.
"""

from __future__ import annotations

import threading
import weakref
from itertools import pairwise, product

import numpy as np
import pytest
from combinations import pairwise as pairs_of
from numpy.testing import assert_allclose
from processes import output_of

import cbptt
from cbptt._rollout import forecast, sample
from cbptt._train import Memory
from cbptt.engine import engine
from cbptt.engine.batches import Batches
from cbptt.engine.results import Dropout
from cbptt.engine.threads import one_blas_thread
from cbptt.engine.truncation import Truncation
from cbptt.losses import READOUTS
from cbptt.parameters import CELLS

DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])
CLOSE = {"float32": 2e-4, "float64": 1e-11}


def make_net(D, M, K, readout="every", dtype="float64", **options):
    chosen = {"output_activation": "softmax", "loss": "log_loss"} if K > 1 else {}
    return cbptt.RNN(D, M, K, readout=readout, dtype=dtype, random_state=0, **chosen | options)


def make_shard(net, lengths):
    rng, K = np.random.default_rng(0), net.n_outputs
    X = [rng.normal(size=(T, net.n_inputs)) for T in lengths]
    places = lengths if net.readout == "every" else [()] * len(lengths)
    Y = [rng.integers(K, size=place) if K > 1 else rng.normal(size=place) for place in places]
    return net.shard(X, Y if net.readout == "every" else np.array(Y))


def kept(net, n_threads=1):
    """Bytes of the work memory that a network keeps for its next call."""
    with net.engine.memory(n_threads) as memory:
        return memory.nbytes


def needed(net, shard, **options):
    """Bytes that a network takes for a gradient."""
    net = net.astype(net.dtype)
    net.engine.gradient(shard, **options)
    return kept(net)


def run_batches(net, shard, memory, batches, **options):
    """Run mini-batches of a shard one after the other in one memory."""
    runs = Batches(net.engine.core, memory, shard, every=net.readout == "every", **options)
    gradient = np.empty_like(net.theta)
    with one_blas_thread(net.engine.core.uses_blas):
        for ids in batches:
            runs.gradient(gradient, net.theta, np.array(ids))
    return memory.nbytes


# ---- as much as the batch takes ------------------------------------------------------------------


@pytest.mark.parametrize("n_threads", [1, 2])
@DTYPES
def test_a_second_call_takes_no_more_than_the_first(dtype, n_threads):
    net = make_net(3, 20, 2, dtype=dtype)
    shard = make_shard(net, [400, 30, 7] * 30)
    calls = {
        "gradient": lambda: net.engine.gradient(shard, n_threads),
        "inputs": lambda: net.engine.gradient(shard, n_threads, inputs=True),
        "checkpoint": lambda: net.engine.gradient(shard, n_threads, checkpoint="auto"),
        "predict": lambda: net.engine.predict(shard.sequences, states=True, n_threads=n_threads),
        "evaluate": lambda: net.engine.evaluate(shard, n_threads),
    }
    for call in calls.values():
        call()
    before = kept(net, n_threads)
    for call in calls.values():
        call()
    if n_threads == 1:  # else a thread may take a part that another one took before
        assert kept(net, n_threads) == before
    assert before <= kept(net, n_threads) <= 2 * before


@pytest.mark.parametrize("readout", READOUTS)
@DTYPES
def test_memory_grows_to_what_the_largest_batch_takes_and_no_further(dtype, readout):
    net = make_net(3, 20, 2, readout, dtype)
    shard = make_shard(net, [300, 9, 9, 9, 200, 40])
    sizes, memory = [], Memory(1)
    assert memory.nbytes == 0
    for ids in ([1], [1, 2, 3], range(6), [0, 4], [1]):
        sizes.append(run_batches(net, shard, memory, [ids]))
    assert sizes[0] < sizes[1] < sizes[2]
    assert sizes[2:] == [sizes[2]] * 3
    for ids, size in (([1], sizes[0]), ([1, 2, 3], sizes[1]), (range(6), sizes[2])):
        assert run_batches(net, shard, Memory(1), [ids]) == size


def test_a_batch_of_short_sequences_takes_little_whatever_stands_beside_them():
    net = make_net(2, 30, 1)
    shard = make_shard(net, [20_000, *[10] * 20])
    short = run_batches(net, shard, Memory(1), [range(1, 21)])
    assert short < run_batches(net, shard, Memory(1), [range(21)]) / 20
    assert short == needed(net, make_shard(net, [10] * 20))


@pytest.mark.parametrize("readout", ["every", "mean"])
@pytest.mark.parametrize("lengths", [[60] * 40, list(range(1, 121)) * 2], ids=["equal", "ragged"])
@DTYPES
def test_a_gradient_keeps_the_states_of_a_batch_and_little_else(dtype, lengths, readout):
    D, M, K = 4, 112, 5
    net = make_net(D, M, K, readout, dtype)
    N, itemsize = sum(lengths), net.theta.itemsize
    copy_of_x = N * D * itemsize
    of_theta = 4 * net.theta.nbytes  # the matrices packed for both ways, and gradients of parts
    size = needed(net, make_shard(net, lengths))
    assert size < 2.3 * N * M * itemsize + copy_of_x + of_theta


@DTYPES
@pytest.mark.parametrize("n", [4, 8])
def test_ten_thousand_steps_take_a_tenth_of_the_memory_with_checkpoints(n, dtype, monkeypatch):
    monkeypatch.setattr(engine, "PRODUCTS", "kernels")  # BLAS has larger chunks
    net = make_net(4, 64, 1, "last", dtype)
    shard = make_shard(net, [10_000] * n)
    assert needed(net, shard, checkpoint="auto") < needed(net, shard) / 10


@pytest.mark.parametrize("readout", ["every", "last"])
def test_memory_is_as_large_as_a_window_and_not_as_a_sequence(readout):
    net = make_net(2, 4, 3, readout)
    small, large = (
        needed(net, make_shard(net, [T]), truncation=Truncation(50, 50)) for T in (1_000, 10_000)
    )
    # on the way to a last window, a few integers for each step
    assert large - small <= (1.1 * 4 * 8 * 9_000 if readout == "last" else 0)


@pytest.mark.parametrize("readout", READOUTS)
@DTYPES
def test_prediction_takes_the_memory_of_a_chunk_and_places(dtype, readout):
    net = make_net(2, 64, 3, readout, dtype)
    sizes = []
    for n, T in ((500, 50), (4000, 50), (500, 400)):
        shard = make_shard(net, [T] * n)
        fresh = net.astype(dtype)
        fresh.engine.predict(shard.sequences)
        sizes.append(kept(fresh))
    states = 500 * 50 * 64 * net.theta.itemsize
    assert sizes[0] < states / 2
    assert sizes[1] - sizes[0] <= 1.25 * 4 * 8 * 3500  # where sequences lie, and their order
    assert sizes[2] - sizes[0] <= 1.25 * 8 * 64 * 350  # the places of the rows of 64 sequences


# ---- who uses it ---------------------------------------------------------------------------------


def test_a_network_keeps_its_memory_between_calls_and_frees_it_with_itself(monkeypatch):
    class Kept(Memory):
        pass

    monkeypatch.setattr(engine, "Memory", Kept)
    net = make_net(2, 5, 1)
    shard = make_shard(net, [4, 3])
    net.engine.gradient(shard)
    with net.engine.memory(1) as memory:
        first = weakref.ref(memory)
    net.engine.predict(shard.sequences)
    with net.engine.memory(1) as memory:
        assert memory is first()
    del memory, net
    assert first() is None


def test_memory_of_another_number_of_threads_is_allocated_anew():
    net = make_net(2, 5, 1)
    with net.engine.memory(1) as one, net.engine.memory(2) as two:
        assert (one.n_threads, two.n_threads) == (1, 2)
    with pytest.raises(ValueError, match="n_threads=0"):
        Memory(0)


def test_a_call_meanwhile_gets_memory_of_its_own():
    net = make_net(2, 5, 1)
    with net.engine.memory(1) as first, net.engine.memory(1) as second:
        assert first is not second


def test_an_error_returns_the_memory():
    net = make_net(2, 5, 1)
    with pytest.raises(KeyError), net.engine.memory(1) as lent:
        raise KeyError
    with net.engine.memory(1) as memory:
        assert memory is lent


def test_two_threads_cannot_use_one_memory_at_once():
    net, memory, over = make_net(2, 300, 1, "last"), Memory(1), threading.Event()
    shard, problems = make_shard(net, [400] * 4), []

    def work():
        while not over.is_set():
            try:
                run_batches(net, shard, memory, [range(4)])
            except RuntimeError as error:  # the other one came first
                problems.append(str(error))

    worker = threading.Thread(target=work)
    worker.start()
    try:
        while not problems:
            try:
                run_batches(net, shard, memory, [range(4)])
            except RuntimeError as error:
                problems.append(str(error))
    finally:
        over.set()
        worker.join()
    assert all("that another thread is using" in problem for problem in problems)


WITHOUT_MEMORY = """
import resource
import numpy as np
import cbptt
wide, long = cbptt.RNN(1, 2400, 1, random_state=0), cbptt.RNN(1, 300, 1, random_state=0)
X, Y = np.zeros((1, 100_000, 1)), np.zeros((1, 100_000))
few = np.zeros((1, 2, 1)), np.zeros((1, 2))
before = long.loss_and_gradients(*few)
with open("/proc/self/statm") as file:
    size = int(file.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + 32_000_000, resource.RLIM_INFINITY))
for call in (
    lambda: long.loss_and_gradients(X, Y),
    lambda: wide.forward(few[0]),
    lambda: wide.live(),
):
    try:
        call()
    except MemoryError as error:
        print("refused:", error)
again = long.loss_and_gradients(*few)
assert again[0] == before[0]
assert all((again[1][name] == before[1][name]).all() for name in before[1])
"""


def test_memory_that_is_not_there_is_a_memory_error_and_the_next_call_works():
    pytest.importorskip("resource")
    said = output_of("-c", WITHOUT_MEMORY, OPENBLAS_NUM_THREADS="1")
    assert said.count("refused:") == 3
    assert said.count("cbptt could not allocate the work memory of a batch") == 2


# ---- nothing beside it ---------------------------------------------------------------------------

# Kernels for all products; BLAS for those of many units, inputs or outputs.
SIZES = {"kernels": (3, 17, 2), "units": (2, 400, 1), "inputs": (300, 9, 3), "outputs": (4, 9, 290)}
RAGGED, FEW_LONG = [70, 3, 98, 30, 98, 40, 71], [450, 450, 2]


def drop(net, n, rng):
    architecture = net.engine.architecture
    sizes = architecture.input_width, architecture.unit_width
    return Dropout(*(rng.integers(2, size=(n, size)).astype(net.dtype) for size in sizes))


def assert_sum_of_sequences(net, shard, result, masks=None):
    """A batch is the sum of its sequences, each with the memory that it alone takes."""
    total, loss_sum = np.zeros(net.theta.shape), 0.0
    offsets, targets = shard.sequences.offsets, shard.targets.dense()
    for i, (first, end) in enumerate(pairwise(offsets)):
        Y = [targets[first:end]] if net.readout == "every" else targets[i : i + 1]
        alone = net.with_readout(net.readout)
        one = alone.shard([shard.sequences.values[first:end]], Y)
        dropout = None if masks is None else Dropout(*(part[i : i + 1] for part in masks))
        found = alone.engine.gradient(one, dropout=dropout)
        total += found.gradient
        loss_sum += found.loss_sum
    close = CLOSE[net.dtype.name]
    assert_allclose(result.loss_sum, loss_sum, rtol=close)
    assert_allclose(result.gradient, total, rtol=0, atol=close * np.abs(total).max())


EVERY_SIZE = list(product(SIZES, READOUTS))


@DTYPES
@pytest.mark.parametrize(("size", "readout"), EVERY_SIZE)
def test_batches_stay_within_their_memory(size, readout, dtype):
    net = make_net(*SIZES[size], readout, dtype, learn_initial_state=True)
    rng = np.random.default_rng(1)
    for lengths in (RAGGED, FEW_LONG):
        shard = make_shard(net, lengths)
        masks = drop(net, len(lengths), rng)
        found = net.engine.gradient(shard, inputs=True, dropout=masks, checkpoint="auto")
        assert np.isfinite(found.dx).all()
        assert_sum_of_sequences(net, shard, found, (masks.inputs, masks.recurrent))
        found = net.engine.gradient(shard)
        assert_sum_of_sequences(net, shard, found)
        assert_allclose(net.engine.evaluate(shard)[0], found.loss_sum, rtol=CLOSE[dtype])
        assert np.isfinite(net.engine.predict(shard.sequences, states=True).hidden).all()


# Cells, layers and directions: whatever a track, a stack or a head may have.
STACKS = {
    "gru": {"cell": "gru"},
    "lstm": {"cell": "lstm"},
    "lstm of BLAS": {"cell": "lstm", "n_outputs": 290},
    "gru of BLAS": {"cell": "gru", "hidden_size": 400},
    "layers": {"hidden_size": (9, 17)},
    "layers of gru": {"cell": "gru", "hidden_size": (17, 9)},
    "directions": {"bidirectional": True},
    "directions and layers of lstm": {
        "cell": "lstm",
        "bidirectional": True,
        "hidden_size": (9, 17),
    },
    "wide below narrow": {"hidden_size": (65, 3), "bidirectional": True, "cell": "gru"},
}


@pytest.mark.parametrize(
    ("stack", "readout", "dtype"),
    pairs_of(list(STACKS), READOUTS, ("float32", "float64")),
)
def test_cells_layers_and_directions_stay_within_their_memory(stack, readout, dtype):
    sizes = {"n_inputs": 3, "hidden_size": 17, "n_outputs": 2, **STACKS[stack]}
    shape = sizes.pop("n_inputs"), sizes.pop("hidden_size"), sizes.pop("n_outputs")
    net = make_net(*shape, readout, dtype, learn_initial_state=True, **sizes)
    rng = np.random.default_rng(1)
    for lengths in (RAGGED, [150, 150, 2]):
        shard = make_shard(net, lengths)
        masks = drop(net, len(lengths), rng)
        found = net.engine.gradient(shard, inputs=True, dropout=masks, checkpoint="auto")
        assert np.isfinite(found.dx).all()
        assert_sum_of_sequences(net, shard, found, (masks.inputs, masks.recurrent))
        found = net.engine.gradient(shard)
        assert_sum_of_sequences(net, shard, found)
        assert_allclose(net.engine.evaluate(shard)[0], found.loss_sum, rtol=CLOSE[dtype])
        assert np.isfinite(net.engine.predict(shard.sequences, states=True).hidden).all()


@DTYPES
@pytest.mark.parametrize("n_threads", [1, 2])
def test_several_parts_stay_within_their_memory(n_threads, dtype):
    # a batch with this many operations is cut into two parts
    net = make_net(1, 260, 1, "last", dtype)
    shard = make_shard(net, [16] * 16)
    assert_sum_of_sequences(net, shard, net.engine.gradient(shard, n_threads))


@DTYPES
@pytest.mark.parametrize("readout", ["every", "last"])
def test_windows_stay_within_their_memory(readout, dtype):
    net = make_net(3, 17, 2, readout, dtype)
    shard = make_shard(net, RAGGED)
    found = net.engine.gradient(shard, truncation=Truncation(25, 20))
    whole = net.engine.evaluate(shard)[0]
    assert_allclose(found.loss_sum, whole, rtol=CLOSE[dtype])


@DTYPES
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("n", [1, 9, 60])
def test_live_steps_stay_within_their_memory(n, cell, dtype):
    net = make_net(70, (33, 5) if n == 9 else 33, 40, "last", dtype, cell=cell)
    x = np.random.default_rng(0).normal(size=(n, 70)).astype(dtype)
    forward = net.forward(x[:, np.newaxis])
    out, h = net.live().step(x, net.engine.start(n))
    assert_allclose(out, forward.output, atol=1e-5 if dtype == "float32" else 1e-13)
    assert_allclose(h, forward.state, atol=1e-5 if dtype == "float32" else 1e-13)


@DTYPES
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("n", [1, 9])
def test_rollouts_stay_within_their_memory(n, cell, dtype):
    K, M, T = 40, 33, 3
    options = {"output_activation": "identity", "loss": "squared_error"}
    net = make_net(K, M, K, dtype=dtype, cell=cell, **options)
    series, states = np.zeros((n, 1 + T, K), dtype), net.engine.start(n)
    nothing = np.empty((0, 0, 0), dtype)
    forecast(
        series, states, np.empty((n, T, 0), dtype), nothing, np.array([1]), 1, 0, T, net.live()
    )
    forward = net.forward(series[:, :T])
    assert_allclose(series[:, 1:], forward.output, atol=1e-5 if dtype == "float32" else 1e-13)
    assert_allclose(states, forward.state, atol=1e-5 if dtype == "float32" else 1e-13)

    net = make_net(K, M, K, dtype=dtype, cell=cell)
    inputs, states = np.zeros((n, K), dtype), net.engine.start(n)
    symbols = np.empty((n, T), np.intp)
    sample(symbols, states, inputs, np.eye(K, dtype=dtype), np.zeros((n, T)), 0.0, net.live())
    X = np.concatenate([np.zeros((n, 1, K)), np.eye(K)[symbols[:, :-1]]], axis=1)
    assert (net.forward(X).output.argmax(axis=2) == symbols).all()
