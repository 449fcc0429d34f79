"""Results do not depend on the number of threads, and BLAS gets back the number that it had."""

from __future__ import annotations

import hashlib
import os
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from combinations import pairwise
from joblib import Parallel, delayed, effective_n_jobs, parallel_config
from numpy.testing import assert_array_equal
from processes import output_of
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

import cbptt
from cbptt._arrays import set_inputs, set_targets, want_predictions
from cbptt._team import Team
from cbptt._train import Memory, Task, compute_gradient, predict
from cbptt.engine import threads
from cbptt.engine.threads import blas_libraries, in_team, one_blas_thread
from cbptt.optimizers import Adam

LIMIT = 600  # seconds to wait for another thread: only what hangs is later


def thread_counts():
    return [library.get_num_threads() for library in blas_libraries()]


@pytest.fixture(autouse=True)
def three_blas_threads():
    """A number that is neither 1 nor, on most machines, the default."""
    with threadpool_limits(3, "blas"):
        yield


# ---- the limit --------------------------------------------------------------------------------


def test_there_is_a_blas_to_limit():
    assert len(thread_counts()) >= 1
    assert set(thread_counts()) == {3}


def test_the_limit_is_one_thread_inside_and_what_was_before_outside():
    with one_blas_thread():
        assert set(thread_counts()) == {1}
    assert set(thread_counts()) == {3}


def test_only_the_outermost_of_nested_limits_restores():
    with one_blas_thread():
        with one_blas_thread():
            assert set(thread_counts()) == {1}
        assert set(thread_counts()) == {1}
    assert set(thread_counts()) == {3}


def test_an_error_inside_restores():
    with pytest.raises(KeyError), one_blas_thread():
        raise KeyError
    assert set(thread_counts()) == {3}


@pytest.mark.parametrize("n_calls", range(1, 9))
def test_an_interrupt_at_any_call_leaves_no_limit_behind(n_calls, monkeypatch):
    left = n_calls

    def interrupted(method):
        def call(*args):
            nonlocal left
            result = method(*args)
            left -= 1
            if left == 0:
                raise KeyboardInterrupt
            return result

        return call

    with monkeypatch.context() as patch:
        patch.setattr(threads, "_set_num_threads", interrupted(threads._set_num_threads))
        for kind in {type(library) for library in blas_libraries()}:
            patch.setattr(kind, "get_num_threads", interrupted(kind.get_num_threads))
        try:
            with one_blas_thread():
                pass
        except KeyboardInterrupt:
            pass
    with one_blas_thread():  # what an interrupt kept from being restored is restored here
        assert set(thread_counts()) == {1}
    assert set(thread_counts()) == {3}


def test_the_last_thread_to_leave_restores():
    first_is_in, second_is_in, first_is_out = (threading.Event() for _ in range(3))
    seen = {}

    def first():
        with one_blas_thread():
            first_is_in.set()
            assert second_is_in.wait(LIMIT)
        seen["after the first left"] = set(thread_counts())
        first_is_out.set()

    def second():
        assert first_is_in.wait(LIMIT)
        with one_blas_thread():
            second_is_in.set()
            assert first_is_out.wait(LIMIT)
            seen["while the second stayed"] = set(thread_counts())

    with ThreadPoolExecutor(2) as pool:
        for future in [pool.submit(first), pool.submit(second)]:
            future.result()
    assert seen == {"after the first left": {1}, "while the second stayed": {1}}
    assert set(thread_counts()) == {3}


def test_many_threads_that_come_and_go_leave_no_limit_behind():
    start = threading.Barrier(8)

    def come_and_go():
        start.wait(LIMIT)
        for _ in range(200):
            with one_blas_thread():
                assert set(thread_counts()) == {1}

    with ThreadPoolExecutor(8) as pool:
        for future in [pool.submit(come_and_go) for _ in range(8)]:
            future.result()
    assert set(thread_counts()) == {3}


# ---- who asks for it --------------------------------------------------------------------------


def make_net(dtype="float64", hidden_size=200):
    return cbptt.RNN(
        13,
        hidden_size,
        9,
        output_activation="softmax",
        loss="log_loss",
        readout="last",
        dtype=dtype,
        random_state=0,
    )


def make_data():
    """128 sequences of 10 steps: with 200 units, products that BLAS shares out over threads."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(128, 10, 13)), rng.integers(9, size=128)


def train(net, make_trainer, **options):
    options |= {"batch_size": 64, "alpha": 1e-4, "max_grad_norm": 1.0}
    trainer = make_trainer(net, *make_data(), Adam(), **options)
    for _ in range(2):
        trainer.epoch()


def gradient_of(net, **options):
    return net.loss_and_gradients(*make_data(), **options)[1]["weight_hh"]


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("cbptt.engine.engine.predict", lambda net, _: net.forward(make_data()[0])),
        ("cbptt.engine.engine.predict", lambda net, _: net.loss(*make_data())),
        ("cbptt.engine.batches.compute_gradient", lambda net, _: gradient_of(net)),
        ("cbptt.engine.batches.compute_gradient", lambda net, _: gradient_of(net, inputs=True)),
        ("cbptt.engine.batches.train", train),
        ("numpy.linalg.qr", lambda net, _: make_net()),
    ],
    ids=["forward", "loss", "gradient", "gradient by inputs", "epoch", "orthogonal start"],
)
def test_products_are_computed_with_one_blas_thread(name, call, make_trainer, monkeypatch):
    net, seen = make_net(hidden_size=400), []
    assert net.engine.core.uses_blas
    module, _, function = name.rpartition(".")
    original = getattr(sys.modules[module], function)

    def watched(*arguments):
        seen.extend(thread_counts())
        return original(*arguments)

    monkeypatch.setattr(name, watched)
    call(net, make_trainer)
    assert set(seen) == {1}
    assert set(thread_counts()) == {3}


# ---- the team ---------------------------------------------------------------------------------


class Run:
    """A task of 320 sequences of two steps, which prediction takes in parts of 64."""

    n = 320

    def __init__(self, n_threads, kind=Task):
        self.net = cbptt.RNN(1, 2, 1, random_state=0)
        self.outputs = np.empty((2 * self.n, 1))
        self.task = kind(self.net.engine.core, Memory(n_threads))
        self.ids, nothing = np.arange(self.n), np.empty((0, 0))
        X = np.random.default_rng(0).normal(size=(2 * self.n, 1))
        starts = 2 * self.ids
        set_inputs(self.task, X, starts, starts + 2, nothing)
        want_predictions(self.task, nothing, self.outputs, nothing, True)

    def lead(self, team):
        self.outputs[:] = np.nan
        predict(team, self.task, self.net.theta, self.ids)
        return self.outputs


@pytest.mark.parametrize("n_threads", [1, 2, 3, 8])
def test_every_part_is_run_whoever_comes(n_threads):
    alone, run = Run(1), Run(n_threads)
    expected = alone.lead(Team(1, alone.task))
    for _ in range(300):
        assert_array_equal(in_team(n_threads, run.task, run.lead), expected)


@pytest.mark.parametrize("n_threads", [1, 2, 3, 8])
def test_every_part_is_added_once(n_threads):
    # two parts of 8 sequences, and two slices of the gradient; with W1 = 0, dL/db1 counts sequences
    net, n, T = cbptt.RNN(1, 260, 1, readout="last", random_state=0), 16, 16
    net.parameters["weight_ho"][:] = 0
    task, nothing, ids = Task(net.engine.core, Memory(n_threads)), np.empty((0, 0)), np.arange(n)
    X, gradient = np.random.default_rng(0).normal(size=(n * T, 1)), np.empty(net.theta.shape)
    set_inputs(task, X, T * ids, T * ids + T, nothing)
    set_targets(task, np.ones((n, 1)), ids[:0], np.ones(n))
    for _ in range(20):
        sums = in_team(
            n_threads, task, lambda team: compute_gradient(team, task, gradient, net.theta, ids)
        )
        assert sums == (n / 2, n)
        assert net.layout.views(gradient)["bias_o"][0] == -n


def test_a_team_whose_others_never_come_does_its_work():
    run = Run(4)
    expected = run.lead(Team(4, run.task)).copy()
    team = Team(4, run.task)
    assert_array_equal(run.lead(team), expected)
    run.task.help(team, 2)  # comes too late, and is let go at once
    assert_array_equal(run.outputs, expected)


def test_a_limit_that_is_changed_meanwhile_is_set_again_by_the_next_to_enter():
    libraries = blas_libraries()
    with threadpool_limits(3):
        with one_blas_thread():
            for library in libraries:  # as another thread's caller may
                threads._set_num_threads(library, 2)
            with one_blas_thread():
                assert [library.get_num_threads() for library in libraries] == [1] * len(libraries)
        assert [library.get_num_threads() for library in libraries] == [2] * len(libraries)


class NoTask:
    """Nothing to help with."""

    def help(self, team, thread):
        pytest.fail("it took part")


def test_who_comes_to_a_closed_team_leaves_blas_alone(monkeypatch):
    monkeypatch.setattr(threads, "one_blas_thread", lambda needed: pytest.fail("BLAS was limited"))
    team = Team(2)
    team.close()
    threads._help(NoTask(), team, 1, True)


def test_an_error_of_the_leader_lets_the_others_go():
    came, went = threading.Event(), threading.Event()

    class Watched(Task):
        def help(self, team, thread):
            came.set()
            super().help(team, thread)
            went.set()

    def lead(team):
        assert came.wait(LIMIT)
        raise KeyError

    run = Run(2, Watched)
    with pytest.raises(KeyError):
        in_team(2, run.task, lead)
    assert went.wait(LIMIT)


def test_an_interrupt_while_the_others_are_called_lets_them_go(monkeypatch):
    teams = []

    class Pool:
        def submit(self, help, task, team, *args):
            teams.append(team)
            raise KeyboardInterrupt

    monkeypatch.setattr(threads, "_helpers", lambda n: Pool())
    with pytest.raises(KeyboardInterrupt):
        in_team(2, NoTask(), lambda team: None)
    assert teams[0].closed


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_waits_for_a_thread_that_sets_limits():
    is_setting, has_set = threading.Event(), threading.Event()

    def set_limits():
        with threads._lock:
            is_setting.set()
            time.sleep(0.05)
            has_set.set()

    thread = threading.Thread(target=set_limits)
    thread.start()
    is_setting.wait(LIMIT)
    child = os.fork()
    if child == 0:
        os._exit(0 if has_set.is_set() else 1)
    assert os.waitpid(child, 0)[1] == 0
    thread.join()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_the_child_of_a_fork_has_a_team_of_its_own():
    net, data = make_net(), make_data()
    expected = digest(net.engine.gradient(net.shard(*data), n_threads=2).gradient)
    child = os.fork()
    if child == 0:
        same = digest(net.engine.gradient(net.shard(*data), n_threads=2).gradient) == expected
        os._exit(0 if same else 1)
    assert os.waitpid(child, 0)[1] == 0


# ---- the same bits ----------------------------------------------------------------------------

# Enough work to be shared out: by the kernels alone, and with BLAS for what time does not couple.
SIZES = {"kernels": (13, 100, 9), "BLAS": (300, 200, 9), "wide": (13, 390, 9)}


def digests(shared, readout, dtype, n_threads):
    """Of everything that a shard gives, and of a forward pass."""
    D, M, K = SIZES[shared]
    net = cbptt.RNN(
        D,
        M,
        K,
        output_activation="softmax",
        loss="log_loss",
        readout=readout,
        dtype=dtype,
        random_state=0,
    )
    rng = np.random.default_rng(0)
    n = 140
    lengths = rng.integers(20, 60, size=n)
    X = [rng.normal(size=(length, D)) for length in lengths]
    Y = [rng.integers(K, size=length) for length in lengths]
    Y = Y if readout == "every" else rng.integers(K, size=n)
    shard = net.shard(X, Y, h0=rng.uniform(-1, 1, size=(n, M)))
    result = net.engine.gradient(shard, n_threads, inputs=True)
    arrays = [result.gradient, result.dh0, result.dx]
    arrays += net.engine.predict(shard.sequences, shard.h0, states=True, n_threads=n_threads)
    return [result.loss_sum, *map(digest, arrays)]


@pytest.mark.parametrize(
    ("shared", "readout", "dtype"),
    pairwise(list(SIZES), ["every", "last", "mean", "max"], ["float32", "float64"]),
)
def test_a_batch_gives_the_same_bits_for_any_number_of_threads(shared, readout, dtype):
    one = digests(shared, readout, dtype, 1)
    for n_threads in (2, 3, 8):
        assert digests(shared, readout, dtype, n_threads) == one


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_training_gives_the_same_bits_for_any_number_of_threads(dtype, make_trainer):
    results = set()
    for n_threads in (1, 2, 3, 4, 8):
        net = make_net(dtype)
        train(net, make_trainer, n_threads=n_threads, shuffle=True)
        results.add(digest(net.theta))
    assert len(results) == 1


def test_an_estimator_gives_the_same_bits_for_any_n_jobs():
    X, y = make_data()
    fits = set()
    for n_jobs in (None, 1, 2, 3, -1):
        model = cbptt.RNNClassifier(150, max_iter=2, tol=0, random_state=0, n_jobs=n_jobs)
        with pytest.warns(ConvergenceWarning):
            model.fit(X, y)
        fits.add((digest(model.network_.theta), digest(model.predict_proba(X))))
    assert len(fits) == 1


def test_n_jobs_means_what_scikit_learn_says(monkeypatch):
    def n_threads(n_jobs):
        return cbptt.RNNClassifier(n_jobs=n_jobs)._n_threads()

    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert (n_threads(None), n_threads(1), n_threads(3)) == (1, 1, 3)
    assert n_threads(-1) == effective_n_jobs(-1)
    with parallel_config("threading", n_jobs=2):
        assert (n_threads(None), n_threads(3)) == (2, 3)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert (n_threads(None), n_threads(3), n_threads(-1)) == (1, 1, 1)


def threads_within(_):
    return cbptt.RNNClassifier(n_jobs=-1)._n_threads()


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_jobs_of_joblib_do_not_take_more_processors_than_there_are(backend, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    n = effective_n_jobs(-1)
    within = Parallel(n_jobs=n, backend=backend)(delayed(threads_within)(i) for i in range(2 * n))
    assert within == [1] * (2 * n)


def digest(array):
    return hashlib.sha256(array.tobytes()).hexdigest()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_training_gives_the_same_bits_for_any_number_of_blas_threads(dtype, make_trainer):
    # from the orthogonal start on, whose QR factorisation is LAPACK's
    results = set()
    for n_threads in (1, 2, 4, 8):
        with threadpool_limits(n_threads, "blas"):
            net = make_net(dtype)
            start = digest(net.theta)
            train(net, make_trainer)
            results.add((start, digest(net.theta)))
    assert len(results) == 1


GRADIENT = """
import hashlib
import numpy as np
import cbptt
rng = np.random.default_rng(0)
X, Y = rng.normal(size=(64, 10, 13)), rng.normal(size=(64, 10, 9))
net = cbptt.RNN(13, 200, 9, random_state=0)
gradient = net.engine.gradient(net.shard(X, Y)).gradient
print(hashlib.sha256(net.theta.tobytes() + gradient.tobytes()).hexdigest())
"""


def test_starts_and_gradients_are_the_same_bits_whatever_openblas_num_threads():
    digests = set()
    for n_threads in "18":
        printed = output_of("-c", GRADIENT, OPENBLAS_NUM_THREADS=n_threads)
        digests.add(printed.split()[-1])
    assert len(digests) == 1


def test_one_network_may_be_run_by_several_threads_at_once():
    net, (X, Y) = make_net(), make_data()
    expected = net.forward(X).output
    loss, gradients = net.loss_and_gradients(X, Y)

    def run(_):
        actual_loss, actual = net.loss_and_gradients(X, Y)
        return net.forward(X).output, actual_loss, actual["weight_hh"]

    with ThreadPoolExecutor(4) as pool:
        for output, actual_loss, dweight_hh in pool.map(run, range(16)):
            assert_array_equal(output, expected)
            assert actual_loss == loss
            assert_array_equal(dweight_hh, gradients["weight_hh"])
    assert set(thread_counts()) == {3}


def test_several_networks_may_be_trained_at_once(make_trainer):
    def trained(seed):
        net = make_net()
        net.theta *= 1 + seed / 100
        train(net, make_trainer)
        return digest(net.theta)

    one_by_one = [trained(seed) for seed in range(6)]
    with ThreadPoolExecutor(3) as pool:
        at_once = list(pool.map(trained, range(6)))
    assert at_once == one_by_one
    assert len(set(at_once)) == 6


# ---- signals ----------------------------------------------------------------------------------


@pytest.fixture
def _ctrl_c_interrupts():
    """Python's handler, which is not there where SIGINT was ignored when Python started."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_ctrl_c_interrupts")
@pytest.mark.parametrize("n_threads", [1, 2])
def test_ctrl_c_ends_a_mini_batch_before_its_end_and_takes_no_step(n_threads, make_trainer):
    # one mini-batch of a second or more, and the signal soon after it has begun
    rng = np.random.default_rng(0)
    X = rng.normal(size=(16, 8_000, 4)).astype(np.float32)
    net = cbptt.RNN(4, 400, 1, readout="last", dtype="float32", random_state=0)
    theta = net.theta.copy()
    trainer = make_trainer(net, X, np.zeros(16), Adam(), batch_size=16, n_threads=n_threads)
    sender = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT))
    sender.start()
    with pytest.raises(KeyboardInterrupt):
        trainer.epoch()
    sender.join()
    assert_array_equal(net.theta, theta)
    assert trainer.moments.n_steps == 0


def test_what_a_handler_of_a_signal_raises_comes_through(make_trainer):
    def handler(signum, frame):
        raise TimeoutError

    X, y = make_data()
    trainer = make_trainer(make_net(), X.repeat(100, axis=1), y, Adam(), batch_size=len(X))
    before = signal.signal(signal.SIGINT, handler)
    sender = threading.Timer(0.02, os.kill, (os.getpid(), signal.SIGINT))
    try:
        sender.start()
        with pytest.raises(TimeoutError):
            trainer.epoch()
        sender.join()
    finally:
        signal.signal(signal.SIGINT, before)


def test_training_installs_no_handler(make_trainer):
    before = signal.getsignal(signal.SIGINT)
    net, data = make_net(), make_data()
    make_trainer(net, *data[:2], Adam(), batch_size=4).epoch()
    assert signal.getsignal(signal.SIGINT) is before
