"""The network against the complex step on the NumPy reference, and the laws that it keeps."""

from __future__ import annotations

import copy
import pickle
import weakref
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import cbptt
from cbptt import Ragged, losses, reference
from cbptt.data.sequences import Sequences
from cbptt.engine.engine import Engine
from cbptt.engine.results import Dropout, Shard
from cbptt.losses import ACTIVATIONS, PAIRS
from cbptt.parameters import INITIALISATIONS

D, M, K = 2, 3, 3
RAGGED, ONE = (4, 1, 3, 1), (4,)
PARAMETERS = ("weight_ih", "weight_hh", "bias_h", "weight_ho", "bias_o")
LOSS_AND_OUTPUT = [(loss, output) for loss, outputs in PAIRS.items() for output in outputs]
READOUTS = pytest.mark.parametrize("readout", losses.READOUTS)
EVERY_NETWORK = [
    pytest.param(activation, output, loss, readout, id=f"{activation}-{output}-{loss}-{readout}")
    for activation in ACTIVATIONS
    for loss, output in LOSS_AND_OUTPUT
    for readout in losses.READOUTS
]


# ---- problems, and the reference's view of them ------------------------------------------------


@dataclass(frozen=True)
class Problem:
    """A network, sequences, and all that its loss may depend on."""

    net: cbptt.RNN
    X: list
    Y: list
    weight: list
    h0: np.ndarray

    def loss(self, reduction="sum"):
        return self.net.loss(self.X, self.Y, self.weight, reduction, self.h0)

    def loss_and_gradients(self, reduction="sum"):
        arguments = self.X, self.Y, self.weight, reduction, self.h0
        return self.net.loss_and_gradients(*arguments, inputs=True)

    def sequence(self, i, **changed):
        """What the reference takes for sequence i, a batch of one; parameters, x or h0 changed."""
        parameters = self.net.parameters | {n: changed[n] for n in PARAMETERS if n in changed}
        axis = 1 if self.net.readout == "every" else 0
        target, weight = (np.expand_dims(a[i], axis) for a in (self.Y, self.weight))
        x = changed.get("x", self.X[i])[:, np.newaxis]
        return parameters, x, target, weight, changed.get("h0", self.h0[i])[np.newaxis]

    @property
    def functions(self):
        net = self.net
        names = {"activation": net.activation, "output_activation": net.output_activation}
        return names | {"loss": net.loss_name, "readout": net.readout}

    def sequence_loss(self, i, **changed):
        return reference.loss(*self.sequence(i, **changed), **self.functions)

    def bptt(self, i):
        return reference.bptt(*self.sequence(i), **self.functions)

    def reference_loss(self, **changed):
        return sum(self.sequence_loss(i, **changed) for i in range(len(self.X)))

    def complex_step(self):
        """Every gradient by the complex step: of a parameter for the sum over the sequences."""
        step, n = reference.complex_step, range(len(self.X))
        gradients = {
            name: step(lambda z, name=name: self.reference_loss(**{name: z}), array)
            for name, array in self.net.parameters.items()
        }
        gradients["h0"] = np.array(
            [step(lambda z, i=i: self.sequence_loss(i, h0=z), self.h0[i]) for i in n]
        )
        gradients["X"] = np.concatenate(
            [step(lambda z, i=i: self.sequence_loss(i, x=z), self.X[i]) for i in n]
        )
        return gradients


def make_targets(rng, readout, output, lengths, K):
    """Targets (K,) and weights of every step or sequence; some weights are 0."""
    shape = [(T,) for T in lengths] if readout == "every" else [()] * len(lengths)
    Y = [rng.uniform(0.1, 0.9, size=(*s, K)) for s in shape]
    if output == "softmax":
        Y = [y / y.sum(axis=-1, keepdims=True) for y in Y]
    weight = [rng.uniform(0.5, 2, size=s) for s in shape]
    if readout == "every":
        weight[0][1:2] = 0
    elif len(weight) > 1:
        weight[1] = np.array(0.0)
    return Y, weight


def make_problem(
    activation="tanh",
    output="softmax",
    loss="log_loss",
    readout="every",
    lengths=RAGGED,
    *,
    sizes=(D, M, K),
    seed=0,
):
    rng = np.random.default_rng(seed)
    net = cbptt.RNN(
        *sizes,
        activation=activation,
        output_activation=output,
        loss=loss,
        readout=readout,
        random_state=rng,
    )
    net.theta = rng.normal(scale=0.6, size=net.theta.shape)
    X = [rng.normal(size=(T, sizes[0])) for T in lengths]
    Y, weight = make_targets(rng, readout, output, lengths, sizes[2])
    return Problem(net, X, Y, weight, rng.uniform(-0.5, 0.5, size=(len(lengths), sizes[1])))


def away_from_kinks(activation, output, loss, readout, lengths):
    """The first problem whose relu inputs are clear of 0 and nowhere all on the dead side."""
    for seed in range(1000):
        problem = make_problem(activation, output, loss, readout, lengths, seed=seed)
        kinked = []
        for i in range(len(lengths)):
            forward = problem.bptt(i).forward
            kinked += [forward.a1] * (activation == "relu") + [forward.a2] * (output == "relu")
        if all(np.abs(a).min() > 0.01 and (a.max(axis=-1) > 0).all() for a in kinked):
            return problem
    raise AssertionError("no seed gives a problem away from the kinks")


def flat(gradient):
    """One array, also of a gradient in the form of a list of sequences."""
    return np.concatenate(list(gradient)) if gradient.dtype == object else gradient


def relative_error(actual, expected):
    """Largest difference, relative to the largest entry."""
    actual = flat(actual)
    assert actual.shape == expected.shape
    return np.abs(actual - expected).max() / np.abs(expected).max()


# ---- the derivatives --------------------------------------------------------------------------


@pytest.mark.parametrize("lengths", [RAGGED, ONE], ids=["ragged", "one"])
@pytest.mark.parametrize(("activation", "output", "loss", "readout"), EVERY_NETWORK)
def test_loss_and_gradients_of_every_network_are_those_of_the_complex_step(
    activation, output, loss, readout, lengths
):
    problem = away_from_kinks(activation, output, loss, readout, lengths)
    actual_loss, gradients = problem.loss_and_gradients()
    assert_allclose(actual_loss, problem.reference_loss(), rtol=1e-13)
    assert_allclose(problem.loss(), actual_loss, rtol=1e-14)  # summed in another order

    expected = problem.complex_step()
    assert tuple(gradients) == (*PARAMETERS, "h0", "X")
    for name, array in expected.items():
        assert np.abs(array).max() > 1e-6, name
        assert relative_error(gradients[name], array) <= 1e-13, name


@pytest.mark.parametrize(("activation", "output", "loss", "readout"), EVERY_NETWORK)
def test_float32_agrees_with_float64(activation, output, loss, readout):
    problem = away_from_kinks(activation, output, loss, readout, RAGGED)
    single = replace(problem, net=problem.net.astype("float32"))
    exact_loss, exact = problem.loss_and_gradients()
    actual_loss, gradients = single.loss_and_gradients()
    assert_allclose(actual_loss, exact_loss, rtol=1e-5)
    for name, array in exact.items():
        assert flat(gradients[name]).dtype == np.float32
        assert relative_error(gradients[name], flat(array)) <= 1e-5, name


@READOUTS
def test_derivatives_are_those_of_the_lecture_in_its_layout(readout):
    problem = make_problem(readout=readout)
    parts = [problem.bptt(i) for i in range(len(problem.X))]
    actual = problem.net.derivatives(problem.X, problem.Y, problem.weight, problem.h0)
    for name, shape in {
        "W1": (M, K),
        "b1": (1, K),
        "W11": (M, M),
        "W0": (D, M),
        "b0": (1, M),
    }.items():
        assert getattr(actual, name).shape == shape
        expected = sum(getattr(part, name) for part in parts)
        assert relative_error(getattr(actual, name), expected) <= 1e-13, name


@READOUTS
def test_forward_is_that_of_the_reference(readout):
    problem = make_problem(readout=readout)
    forward = problem.net.forward(problem.X, problem.h0)
    for i in range(len(problem.X)):
        expected = problem.bptt(i).forward
        h2 = expected.h2[:, 0] if readout == "every" else expected.h2[0]
        assert_allclose(forward.hidden[i], expected.h1[:, 0], rtol=1e-13)
        assert_allclose(forward.output[i], h2, rtol=1e-13)
        assert_allclose(forward.state[i], expected.h1[-1, 0], rtol=1e-13)


# Layer sizes at and beside the widths of registers, tiles and blocks; then each function.
SIZES = [
    *((5, M, 3, "tanh") for M in (1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 65, 100, 130, 400)),
    *((D, 24, K, "tanh") for D, K in ((1, 1), (8, 16), (67, 131), (300, 2))),
    *((5, 33, 3, activation) for activation in ACTIVATIONS),
]


@cache
def sized_problem(D, M, K, activation):
    """A problem of these sizes, without weights, and what the reference makes of it."""
    # sequences of 1 to T steps: every number of rows up to T stands at some step
    T = 24
    lengths = range(1, T + 1)
    rng = np.random.default_rng(0)
    net = cbptt.RNN(D, M, K, activation=activation, random_state=0)
    net.theta += rng.normal(scale=0.3 / np.sqrt(M), size=net.theta.shape)
    X = [rng.normal(size=(n, D)) for n in lengths]
    Y = [rng.normal(size=(n, K)) for n in lengths]
    h0 = rng.uniform(-0.5, 0.5, size=(T, M))

    # as a padded batch whose padding has weight 0
    valid = np.arange(T)[:, np.newaxis] < np.array(lengths)
    x, target = np.zeros((T, T, D)), np.zeros((T, T, K))
    for b, n in enumerate(lengths):
        x[:n, b], target[:n, b] = X[b], Y[b]
    functions = {"output_activation": "identity", "loss": "squared_error", "activation": activation}
    result = reference.bptt(net.parameters, x, target, valid.astype(float), h0, **functions)
    gradients = result.gradients
    gradients["X"] = gradients["X"].swapaxes(0, 1)[valid.T]
    return net, X, Y, h0, result.loss, gradients


@pytest.mark.parametrize("products", ["kernels", "blas"])
@pytest.mark.parametrize(("dtype", "bound"), [("float64", 1e-13), ("float32", 1e-5)])
@pytest.mark.parametrize(("D", "M", "K", "activation"), SIZES)
def test_networks_of_every_size_are_those_of_the_reference(
    D, M, K, activation, dtype, bound, products, monkeypatch
):
    monkeypatch.setattr("cbptt.engine.engine.PRODUCTS", products)
    net, X, Y, h0, expected_loss, expected = sized_problem(D, M, K, activation)
    loss, gradients = net.astype(dtype).loss_and_gradients(
        X, Y, reduction="sum", h0=h0, inputs=True
    )
    assert_allclose(loss, expected_loss, rtol=bound)
    for name, array in expected.items():
        assert relative_error(gradients[name], array) <= bound, name


def test_bias_gradients_of_float32_are_summed_in_double():
    # with W1 = 0 every delta is -0.1f, so the exact sum is known; float32 sums would lose digits
    net = cbptt.RNN(1, 1, 1, dtype="float32", random_state=0)
    net.theta = np.zeros(5)
    n = 200_000
    _, gradients = net.loss_and_gradients(
        np.ones((2, n // 2)), np.full((2, n // 2), 0.1), reduction="sum"
    )
    assert gradients["bias_o"][0] == np.float32(-n * float(np.float32(0.1)))


# ---- check_gradients --------------------------------------------------------------------------


@READOUTS
@pytest.mark.parametrize(("loss", "output"), LOSS_AND_OUTPUT)
def test_check_gradients_finds_a_right_network_right(loss, output, readout):
    problem = away_from_kinks("tanh", output, loss, readout, RAGGED)
    arguments = (problem.X, problem.Y, problem.weight, problem.h0)
    errors = problem.net.check_gradients(*arguments)
    assert set(errors) == set(PARAMETERS)
    assert max(errors.values()) <= 1e-7
    assert max(problem.net.astype("float32").check_gradients(*arguments).values()) <= 1e-4


@pytest.mark.parametrize("name", PARAMETERS)
def test_check_gradients_finds_a_wrong_gradient(name, monkeypatch):
    right = Engine.gradient

    def wrong(engine, shard, **options):
        result = right(engine, shard, **options)
        gradient = engine.architecture.layout.views(result.gradient)[name]
        gradient.flat[0] += 1e-3 * np.abs(gradient).max()
        return result

    monkeypatch.setattr(Engine, "gradient", wrong)
    problem = make_problem()
    errors = problem.net.check_gradients(problem.X, problem.Y)
    assert 2e-4 < errors.pop(name) < 2e-3
    assert max(errors.values()) <= 1e-7


def test_a_gradient_that_is_nan_is_no_right_one(monkeypatch):
    problem = make_problem()
    monkeypatch.setattr(
        cbptt.RNN,
        "loss_and_gradients",
        lambda *args: (0.0, {n: p * np.nan for n, p in problem.net.parameters.items()}),
    )
    assert np.isnan(list(problem.net.check_gradients(problem.X, problem.Y).values())).all()


def test_check_gradients_leaves_the_parameters_as_they_were():
    problem = make_problem()
    theta = problem.net.theta.copy()
    problem.net.check_gradients(problem.X, problem.Y)
    assert_array_equal(problem.net.theta, theta)


def test_check_gradients_looks_at_no_more_entries_than_asked(monkeypatch):
    problem = make_problem()
    calls = []
    loss = cbptt.RNN.loss

    def counted(net, *arguments):
        calls.append(net)
        return loss(net, *arguments)

    monkeypatch.setattr(cbptt.RNN, "loss", counted)
    problem.net.check_gradients(problem.X, problem.Y, max_entries=2)
    assert len(calls) == 2 * 2 * len(PARAMETERS)


# ---- reductions and weights -------------------------------------------------------------------


@READOUTS
def test_the_mean_is_the_sum_over_the_total_weight(readout):
    problem = make_problem(readout=readout)
    total = sum(float(np.sum(w)) for w in problem.weight)
    mean, mean_gradients = problem.loss_and_gradients("mean")
    loss, gradients = problem.loss_and_gradients("sum")
    assert_allclose(problem.loss("mean"), mean, rtol=1e-14)
    assert_allclose(mean, loss / total, rtol=1e-14)
    for name, gradient in gradients.items():
        assert_allclose(flat(mean_gradients[name]), flat(gradient) / total, rtol=1e-13)


@READOUTS
def test_no_weight_is_weight_one(readout):
    problem = make_problem(readout=readout)
    ones = [np.ones_like(w) for w in problem.weight]
    net, X, Y = problem.net, problem.X, problem.Y
    assert net.loss(X, Y) == net.loss(X, Y, ones) == net.loss(X, Y, np.ones(len(X)))


@READOUTS
def test_without_any_weight_there_is_a_sum_and_no_mean(readout):
    problem = make_problem(readout=readout)
    net, X, Y = problem.net, problem.X, problem.Y
    loss, gradients = net.loss_and_gradients(X, Y, np.zeros(len(X)), "sum")
    assert loss == 0
    assert not any(flat(gradient).any() for gradient in gradients.values())
    with pytest.raises(ValueError, match="total weight of 0 in sample_weight"):
        net.loss(X, Y, np.zeros(len(X)))


def test_an_unknown_reduction_is_refused():
    problem = make_problem()
    with pytest.raises(ValueError, match="reduction='max'; expected 'mean' or 'sum'"):
        problem.loss("max")


@READOUTS
def test_weight_two_is_the_sequence_twice_and_weight_zero_is_without_it(readout):
    problem = make_problem(readout=readout)
    net, X, Y = problem.net, problem.X, problem.Y
    loss, gradients = net.loss_and_gradients(X, Y, [2, 1, 0, 1], inputs=True)
    twice = [0, 0, 1, 3]
    other_loss, other = net.loss_and_gradients([X[i] for i in twice], [Y[i] for i in twice])
    assert_allclose(loss, other_loss, rtol=1e-14)
    for name in PARAMETERS:
        assert relative_error(gradients[name], other[name]) <= 1e-13
    assert not gradients["X"][2].any()
    assert not gradients["h0"][2].any()


# ---- laws -------------------------------------------------------------------------------------

some_lengths = st.lists(st.integers(1, 9), min_size=1, max_size=7)
WIDE = (2, 37, 3)


def wide_problem(readout, lengths, seed=0):
    return make_problem(readout=readout, lengths=lengths, sizes=WIDE, seed=seed)


def assert_near(actual, expected):
    assert np.abs(actual - expected).max() <= 1e-12 * max(1, np.abs(expected).max())


@READOUTS
@given(some_lengths)
def test_a_sequence_does_not_know_its_neighbours(readout, lengths):
    problem = wide_problem(readout, lengths)
    together = problem.net.forward(problem.X, problem.h0)
    for i, x in enumerate(problem.X):
        alone = problem.net.forward([x], problem.h0[i : i + 1])
        assert_near(together.hidden[i], alone.hidden[0])
        assert_near(together.output[i], alone.output[0])
        assert_near(together.state[i], alone.state[0])


@READOUTS
@given(some_lengths, st.randoms(use_true_random=False))
def test_the_order_of_the_sequences_does_not_matter(readout, lengths, random):
    problem = wide_problem(readout, lengths)
    order = list(range(len(lengths)))
    random.shuffle(order)
    reordered = Problem(
        problem.net,
        *([part[i] for i in order] for part in (problem.X, problem.Y, problem.weight)),
        problem.h0[order],
    )
    (loss, gradients), (other_loss, other) = (
        problem.loss_and_gradients(),
        reordered.loss_and_gradients(),
    )
    assert_near(other_loss, loss)
    for name in PARAMETERS:
        assert_near(other[name], gradients[name])
    for j, i in enumerate(order):
        assert_near(other["X"][j], gradients["X"][i])
        assert_near(other["h0"][j], gradients["h0"][i])


@given(some_lengths)
def test_a_ragged_batch_is_the_batch_padded_with_weight_zero(lengths):
    problem = wide_problem("every", lengths)
    T = max(lengths)
    padded = replace(
        problem,
        X=Ragged.from_sequences(problem.X).to_padded(1e3),
        Y=Ragged.from_sequences([y.ravel() for y in problem.Y]).to_padded(np.nan).reshape(-1, T, 3),
        weight=Ragged.from_sequences(problem.weight).to_padded(0),
    )
    (loss, gradients), (padded_loss, other) = (
        problem.loss_and_gradients(),
        padded.loss_and_gradients(),
    )
    assert_near(padded_loss, loss)
    for name in (*PARAMETERS, "h0"):
        assert_near(other[name], gradients[name])
    for i, n in enumerate(lengths):
        assert_near(other["X"][i, :n], gradients["X"][i])
        assert not other["X"][i, n:].any()


@READOUTS
@given(some_lengths, st.integers(0, 7))
def test_a_batch_is_the_sum_of_its_shards(readout, lengths, cut):
    problem = wide_problem(readout, lengths)
    parts = [slice(None, cut), slice(cut, None)] if 0 < cut < len(lengths) else [slice(None)]

    def run(part):
        X, Y, weight = problem.X[part], problem.Y[part], problem.weight[part]
        return problem.net.engine.gradient(problem.net.shard(X, Y, weight, problem.h0[part]))

    whole, shards = run(slice(None)), [run(part) for part in parts]
    assert_near(sum(shard.loss_sum for shard in shards), whole.loss_sum)
    assert_near(sum(shard.weight_sum for shard in shards), whole.weight_sum)
    assert_near(sum(shard.gradient for shard in shards), whole.gradient)


@pytest.mark.parametrize("readout", ["every", "last"])
@given(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)), min_size=1, max_size=5))
def test_a_sequence_may_be_continued_from_its_state(readout, lengths):
    problem = wide_problem(readout, [a + b for a, b in lengths])
    net, X, h0 = problem.net, problem.X, problem.h0
    whole = net.forward(X, h0)
    before = net.forward([x[:a] for x, (a, _) in zip(X, lengths, strict=True)], h0)
    after = net.forward([x[a:] for x, (a, _) in zip(X, lengths, strict=True)], before.state)
    assert_near(after.state, whole.state)
    for i, (a, _) in enumerate(lengths):
        assert_near(before.hidden[i], whole.hidden[i][:a])
        assert_near(after.hidden[i], whole.hidden[i][a:])
        outputs = whole.output[i][a:] if readout == "every" else whole.output[i]
        assert_near(after.output[i], outputs)


@READOUTS
@given(st.lists(st.integers(1, 9), min_size=1, max_size=5))
def test_the_outputs_read_what_the_readout_says_of_the_states(readout, lengths):
    problem = wide_problem(readout, lengths)
    net = problem.net
    run = net.forward(problem.X, problem.h0)
    weight, bias = net.parameters["weight_ho"], net.parameters["bias_o"]
    for hidden, output in zip(run.hidden, run.output, strict=True):
        read = {
            "every": hidden,
            "last": hidden[-1],
            "mean": hidden.mean(axis=0),
            "max": hidden.max(axis=0),
        }[readout]
        assert_near(output, reference.OUTPUTS["softmax"](read @ weight.T + bias))


# ---- an initial state that is learned ---------------------------------------------------------


@READOUTS
@pytest.mark.parametrize("products", ["kernels", "blas"])
def test_the_gradient_of_a_learned_initial_state_is_the_sum_over_the_sequences(
    readout, products, monkeypatch
):
    monkeypatch.setattr("cbptt.engine.engine.PRODUCTS", products)
    problem = make_problem(readout=readout)
    net = cbptt.RNN(
        D, M, K, output_activation="softmax", loss="log_loss", readout=readout,
        learn_initial_state=True, random_state=0,
    )  # fmt: skip
    state = np.array([0.3, -0.2, 0.1])
    net.theta = np.concatenate([problem.net.theta, state])
    arguments = problem.X, problem.Y, problem.weight
    assert_array_equal(net.parameters["initial_state"], state)

    everyone = np.tile(state, (len(problem.X), 1))
    loss, gradients = net.loss_and_gradients(*arguments)
    expected_loss, expected = problem.net.loss_and_gradients(*arguments, h0=everyone, inputs=True)
    assert_allclose(loss, expected_loss, rtol=1e-14)
    assert_allclose(gradients.pop("initial_state"), expected["h0"].sum(axis=0), rtol=1e-13)
    for name, gradient in gradients.items():
        assert_allclose(flat(gradient), flat(expected[name]), rtol=1e-13, err_msg=name)
    assert max(net.check_gradients(*arguments).values()) <= 1e-7


def test_initial_states_that_are_given_stand_in_for_the_learned_one():
    net = cbptt.RNN(D, M, K, learn_initial_state=True, random_state=0)
    problem = make_problem(output="identity", loss="squared_error")
    net.theta = np.concatenate([problem.net.theta, np.ones(M)])
    _, gradients = net.loss_and_gradients(problem.X, problem.Y, h0=problem.h0)
    _, expected = problem.net.loss_and_gradients(problem.X, problem.Y, h0=problem.h0)
    assert_array_equal(gradients["initial_state"], np.zeros(M))
    assert_array_equal(gradients["weight_hh"], expected["weight_hh"])


@pytest.mark.parametrize("init", INITIALISATIONS)
def test_a_learned_initial_state_starts_from_0_and_draws_nothing(init):
    plain, learned = (
        cbptt.RNN(D, M, K, init=init, learn_initial_state=learn, random_state=0)
        for learn in (False, True)
    )
    assert_array_equal(learned.theta, [*plain.theta, *np.zeros(M)])


# ---- dropout ----------------------------------------------------------------------------------


def dropped_loss(parameters, problem, masks):
    """a_t = W0 (m x_t) + W11 (m' h_{t-1}) + b0, written out; the loss is softmax's log loss."""
    W0, W11, b0, W1, b1 = (parameters[name] for name in PARAMETERS)
    readout = problem.net.readout
    total = 0
    for i, x in enumerate(problem.X):
        h, hidden = problem.h0[i], []
        for x_t in x:
            h = np.tanh(W0 @ (masks.inputs[i] * x_t) + W11 @ (masks.recurrent[i] * h) + b0)
            hidden.append(h)
        hidden = np.array(hidden)
        largest = hidden.real.argmax(axis=0)
        read = {
            "every": hidden,
            "last": hidden[-1:],
            "mean": hidden.mean(axis=0, keepdims=True),
            "max": hidden[largest, np.arange(M)][np.newaxis],
        }[readout]
        z = read @ W1.T + b1
        z = z - z.real.max(axis=1, keepdims=True)
        losses = np.log(np.exp(z).sum(axis=1)) - (problem.Y[i] * z).reshape(len(z), -1).sum(axis=1)
        total = total + np.sum(np.asarray(problem.weight[i]) * losses)
    return total


def make_masks(n, rng, dtype="float64"):
    inputs, recurrent = (
        (rng.random((n, size)) >= 0.4).astype(dtype) / dtype_of(dtype)(0.6) for size in (D, M)
    )
    recurrent[:, 0] = 1 / 0.6  # so that something comes through
    return Dropout(inputs, recurrent)


def dtype_of(name):
    return np.dtype(name).type


@READOUTS
@pytest.mark.parametrize(("dtype", "bound"), [("float64", 1e-13), ("float32", 1e-5)])
@pytest.mark.parametrize("products", ["kernels", "blas"])
@pytest.mark.parametrize("lengths", [RAGGED, (4, 1, 3, 3, 2, 4, 4, 1)], ids=["few", "folded"])
def test_gradients_under_dropout_are_those_of_the_complex_step(
    lengths, products, dtype, bound, readout, monkeypatch
):
    monkeypatch.setattr("cbptt.engine.engine.PRODUCTS", products)
    problem = make_problem(readout=readout, lengths=lengths)
    masks = make_masks(len(lengths), np.random.default_rng(5), dtype)
    net = problem.net.astype(dtype)
    shard = net.shard(problem.X, problem.Y, problem.weight, problem.h0)
    result = net.engine.gradient(shard, dropout=masks, inputs=True)
    parameters = dict(problem.net.parameters)
    assert_allclose(result.loss_sum, dropped_loss(parameters, problem, masks), rtol=bound)

    found = net.layout.views(result.gradient) | {"X": result.dx, "h0": result.dh0}
    for name in PARAMETERS:
        expected = reference.complex_step(
            lambda z, name=name: dropped_loss(parameters | {name: z}, problem, masks),
            parameters[name],
        )
        assert relative_error(found[name], expected) <= bound, name
    expected = reference.complex_step(
        lambda z: dropped_loss(parameters, replace(problem, h0=z), masks), problem.h0
    )
    assert relative_error(found["h0"], expected) <= bound
    first = reference.complex_step(
        lambda z: dropped_loss(parameters, replace(problem, X=[z, *problem.X[1:]]), masks),
        problem.X[0],
    )
    assert relative_error(found["X"][: len(first)], first) <= bound


def test_dropout_of_nothing_is_no_dropout():
    problem = make_problem()
    shard = problem.net.shard(problem.X, problem.Y, problem.weight, problem.h0)
    ones = Dropout(np.ones((len(RAGGED), D)), np.ones((len(RAGGED), M)))
    engine = problem.net.engine
    expected, found = engine.gradient(shard), engine.gradient(shard, dropout=ones)
    assert_allclose(found.gradient, expected.gradient, rtol=1e-13)


# ---- forms of X -------------------------------------------------------------------------------


def boxed(items):
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array


def big_endian(x):
    return x.astype(">f8")


def read_only(x):
    x = x.copy()
    x.flags.writeable = False
    return x


def quarters(lengths, D):
    """Sequences of multiples of 1/4, which every float type holds exactly."""
    rng = np.random.default_rng(0)
    return [rng.integers(-8, 9, size=(T, D)) / 4 for T in lengths]


def assert_same_as_list(net, X, form):
    """The same bits from X in this form as from a list of arrays."""
    T = np.array([len(x) for x in X])
    Y = np.zeros(T.sum(), np.intp) if net.readout == "every" else np.zeros(len(X), np.intp)
    Y = np.split(Y, np.cumsum(T)[:-1]) if net.readout == "every" else Y
    expected, actual = net.forward(X), net.forward(form)
    for i in range(len(X)):
        assert_array_equal(actual.hidden[i], expected.hidden[i])
        assert_array_equal(actual.output[i], expected.output[i])
    assert_array_equal(actual.state, expected.state)
    (loss, gradients), (other_loss, other) = (
        net.loss_and_gradients(X, Y, inputs=True),
        net.loss_and_gradients(form, Y, inputs=True),
    )
    assert other_loss == loss
    for name in (*PARAMETERS, "h0"):
        assert_array_equal(other[name], gradients[name])
    for i in range(len(X)):
        assert_array_equal(np.reshape(other["X"][i], (T[i], -1)), gradients["X"][i])


@READOUTS
@pytest.mark.parametrize(
    "form",
    [
        tuple,
        boxed,
        Ragged.from_sequences,
        lambda X: [x.tolist() for x in X],
        lambda X: [np.asfortranarray(x) for x in X],
        lambda X: [x[::-1].copy()[::-1] for x in X],
        lambda X: [big_endian(x) for x in X],
        lambda X: [read_only(x) for x in X],
        lambda X: [x.astype(np.float32) for x in X],
        lambda X: [x.astype(np.float16) for x in X],
        lambda X: [X[0].astype(np.float32), *X[1:]],
    ],
    ids=[
        *["tuple", "object array", "Ragged", "nested lists", "Fortran order", "reversed strides"],
        *["big-endian", "read-only", "float32", "float16", "mixed"],
    ],
)
def test_ragged_sequences_in_any_form_give_the_same_bits(form, readout):
    net = make_problem(readout=readout).net
    X = quarters((4, 1, 3), D)
    assert_same_as_list(net, X, form(X))


@READOUTS
@pytest.mark.parametrize(
    "form",
    [
        np.stack,
        lambda X: np.asfortranarray(np.stack(X)),
        lambda X: read_only(np.stack(X)),
        lambda X: np.stack(X).tolist(),
        lambda X: cbptt.from_channels_first(np.stack(X).transpose(0, 2, 1)),
        boxed,
    ],
    ids=["3-D", "Fortran order", "read-only", "nested lists", "channels first", "object array"],
)
def test_equally_long_sequences_in_any_form_give_the_same_bits(form, readout):
    net = make_problem(readout=readout).net
    X = quarters((3, 3), 2)
    assert_same_as_list(net, X, form(X))


@READOUTS
@pytest.mark.parametrize(
    "form",
    [lambda X: np.stack(X)[:, :, 0], lambda X: [x[:, 0] for x in X], np.stack],
    ids=["2-D", "list of 1-D", "3-D"],
)
def test_sequences_of_one_variable_in_any_form_give_the_same_bits(form, readout):
    net = make_problem(readout=readout, sizes=(1, M, K)).net
    X = quarters((3, 3), 1)
    assert_same_as_list(net, X, form(X))


@READOUTS
def test_outputs_and_gradients_mirror_the_form_of_X(readout):
    net = make_problem(readout=readout).net
    array = np.zeros((2, 3, D))
    ragged = Ragged.from_flat(np.zeros((5, D)), [4, 1])
    every = readout == "every"

    forward = net.forward(array)
    assert forward.hidden.shape == (2, 3, M)
    assert forward.output.shape == ((2, 3, K) if every else (2, K))
    assert forward.state.shape == (2, M)

    forward = net.forward(ragged)
    assert isinstance(forward.hidden, Ragged)
    assert forward.hidden.shape == (2, None, M)
    assert forward.output.shape == ((2, None, K) if every else (2, K))

    forward = net.forward(list(ragged))
    assert forward.hidden.dtype == object
    assert [h.shape for h in forward.hidden] == [(4, M), (1, M)]
    assert [y.shape for y in forward.output] == ([(4, K), (1, K)] if every else [(K,), (K,)])

    Y = np.zeros((2, 3), int) if every else [0, 0]
    by_inputs = partial(net.loss_and_gradients, inputs=True)
    assert by_inputs(array, Y)[1]["X"].shape == (2, 3, D)
    Y = [np.zeros(4, int), np.zeros(1, int)] if every else [0, 0]
    assert by_inputs(ragged, Y)[1]["X"].shape == (2, None, D)
    assert [g.shape for g in by_inputs(list(ragged), Y)[1]["X"]] == [(4, D), (1, D)]


def test_what_is_given_is_not_changed():
    problem = make_problem()
    before = copy.deepcopy(problem)
    problem.loss_and_gradients()
    problem.net.forward(problem.X, problem.h0)
    for ours, theirs in zip(problem.X, before.X, strict=True):
        assert_array_equal(ours, theirs)
    for ours, theirs in zip(problem.Y, before.Y, strict=True):
        assert_array_equal(ours, theirs)
    assert_array_equal(problem.h0, before.h0)
    assert_array_equal(problem.net.theta, before.net.theta)


# ---- parameters -------------------------------------------------------------------------------


def test_parameters_are_views_that_share_out_theta():
    net = cbptt.RNN(D, M, K, random_state=0)
    shapes = {name: view.shape for name, view in net.parameters.items()}
    assert shapes == {
        "weight_ih": (M, D),
        "weight_hh": (M, M),
        "bias_h": (M,),
        "weight_ho": (K, M),
        "bias_o": (K,),
    }
    for i, view in enumerate(net.parameters.values()):
        view[...] = i
    counts = [np.count_nonzero(net.theta == i) for i in range(5)]
    assert counts == [M * D, M * M, M, K * M, K]


def test_writing_into_a_parameter_changes_what_the_network_computes():
    net = cbptt.RNN(1, 1, 1, random_state=0)
    for name, value in {
        "weight_ih": 0.5,
        "weight_hh": -0.75,
        "bias_h": 0.1,
        "weight_ho": 2,
        "bias_o": -0.3,
    }.items():
        net.parameters[name][...] = value
    h_1 = np.tanh(0.5 * 1 + 0.1)
    h_2 = np.tanh(0.5 * -2 - 0.75 * h_1 + 0.1)
    assert_allclose(net.forward([[1, -2]]).output[0], [[2 * h_1 - 0.3], [2 * h_2 - 0.3]])


def test_the_mapping_of_parameters_cannot_be_changed():
    net = cbptt.RNN(D, M, K, random_state=0)
    with pytest.raises(TypeError):
        net.parameters["bias_h"] = np.zeros(M)
    with pytest.raises(TypeError):
        del net.parameters["bias_h"]


def test_assigning_theta_copies_the_values_in():
    net = cbptt.RNN(D, M, K, random_state=0)
    theta, view = net.theta, net.parameters["weight_hh"]
    values = np.arange(theta.size, dtype=float)
    net.theta = values
    values[:] = -1
    assert np.shares_memory(net.theta, theta)
    assert_array_equal(theta, np.arange(theta.size))
    assert_array_equal(view, net.parameters["weight_hh"])
    assert np.shares_memory(view, net.theta)


def test_astype_is_an_independent_copy_in_the_other_precision():
    net = cbptt.RNN(D, M, K, activation="relu", readout="last", random_state=0)
    single = net.astype("float32")
    assert (single.dtype, single.theta.dtype) == (np.float32, np.float32)
    assert repr(single) == repr(net).replace("float64", "float32")
    assert_array_equal(single.theta, net.theta.astype(np.float32))
    single.parameters["bias_h"][:] = 7
    assert not net.parameters["bias_h"].any()
    same = net.astype("float64")
    same.theta = np.zeros(net.theta.size)
    assert net.theta.any()


@pytest.mark.parametrize("dtype", ["int64", "float16", "complex128", "longdouble"])
def test_astype_takes_the_two_precisions_only(dtype):
    with pytest.raises(ValueError, match="expected float32 or float64"):
        cbptt.RNN(D, M, K, random_state=0).astype(dtype)


def pickled(net):
    return pickle.loads(pickle.dumps(net))


@pytest.mark.parametrize("duplicate", [pickled, copy.deepcopy], ids=["pickle", "deepcopy"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_duplicate_is_the_same_network_and_independent(duplicate, dtype):
    problem = make_problem(readout="last")
    net = problem.net.astype(dtype)
    theta = net.theta.copy()
    other = duplicate(net)
    assert repr(other) == repr(net)
    assert_array_equal(other.theta, theta, strict=True)
    assert other.loss(problem.X, problem.Y) == net.loss(problem.X, problem.Y)
    other.parameters["weight_hh"][:] = 0
    assert np.count_nonzero(other.theta == 0) == M * M
    assert_array_equal(net.theta, theta)


# ---- starting values --------------------------------------------------------------------------


@pytest.mark.parametrize("M", [1, 2, 50])
def test_orthogonal_start_is_orthogonal_with_glorot_weights_and_no_bias(M):
    parameters = cbptt.RNN(7, M, 4, init="orthogonal", random_state=0).parameters
    W11 = parameters["weight_hh"]
    assert_allclose(W11.T @ W11, np.eye(M), atol=1e-14)
    for name in ("weight_ih", "weight_ho"):
        array = parameters[name]
        bound = np.sqrt(6 / sum(array.shape))
        assert np.abs(array).max() <= bound
        assert np.abs(array).max() > 0.6 * bound
    assert not parameters["bias_h"].any()
    assert not parameters["bias_o"].any()


def test_orthogonal_start_prefers_no_direction():
    # an uncorrected QR factor has one sign in its corner, and this mean is near -0.64
    corners = [cbptt.RNN(1, 2, 1, random_state=s).parameters["weight_hh"][0, 0] for s in range(300)]
    assert abs(np.mean(corners)) < 0.15


def test_uniform_start_is_that_of_pytorch():
    theta = cbptt.RNN(7, 25, 4, init="uniform", random_state=0).theta
    bound = 1 / np.sqrt(25)
    assert 0.99 * bound < np.abs(theta).max() <= bound
    assert_allclose(theta.std(), bound / np.sqrt(3), rtol=0.1)
    assert all(view.any() for view in cbptt.RNN(7, 25, 4, init="uniform").parameters.values())


def test_identity_start_remembers_its_state():
    parameters = cbptt.RNN(30, 20, 30, init="identity", random_state=0).parameters
    assert_array_equal(parameters["weight_hh"], np.eye(20))
    for name in ("weight_ih", "weight_ho"):
        assert_allclose(parameters[name].std(), 0.001, rtol=0.1)
    assert not parameters["bias_h"].any()
    assert not parameters["bias_o"].any()


INITS = pytest.mark.parametrize("init", ["orthogonal", "uniform", "identity"])


@INITS
def test_the_same_seed_starts_from_the_same_bits(init):
    def start(seed):
        return cbptt.RNN(D, M, K, init=init, random_state=seed).theta

    assert_array_equal(start(3), start(3))
    assert_array_equal(start(3), start(np.random.default_rng(3)))
    assert not np.array_equal(start(3), start(4))
    assert not np.array_equal(start(None), start(None))


@INITS
def test_both_precisions_start_from_the_same_numbers(init):
    double = cbptt.RNN(D, M, K, init=init, random_state=0)
    single = cbptt.RNN(D, M, K, init=init, random_state=0, dtype="float32")
    assert_array_equal(single.theta, double.astype("float32").theta, strict=True)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_repr_tells_what_the_network_is(activation):
    net = cbptt.RNN(D, M, K, activation=activation, readout="last", dtype="float32")
    again = eval(repr(net), {"RNN": cbptt.RNN})
    assert repr(again) == repr(net)
    assert again.activation == activation


ENDLESS = Sequences(np.broadcast_to(0.0, (2**31, 1)), np.array([0, 2**31]), "list")


@pytest.mark.parametrize(
    ("call", "what"),
    [
        (lambda net: cbptt.RNN(2**31, 1, 1), f"n_inputs={2**31}"),
        (lambda net: net.engine.predict(ENDLESS), f"X with {2**31} steps in all"),
        (
            lambda net: net.engine.gradient(Shard(ENDLESS, net.shard([[0.0]], [[0.0]]).targets)),
            f"X with {2**31} steps in all",
        ),
    ],
    ids=["n_inputs", "predict", "gradient"],
)
def test_sizes_beyond_the_integers_of_blas_are_refused_before_memory_is_allocated(call, what):
    with pytest.raises(ValueError, match=rf"^RNN got {what}; BLAS takes at most 2147483647"):
        call(cbptt.RNN(1, 1, 1))


# ---- work memory between calls -------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_later_call_leaves_the_results_of_an_earlier_one(dtype):
    net = cbptt.RNN(D, M, K, dtype=dtype, random_state=0)
    rng = np.random.default_rng(0)
    (X, Y), (X_2, Y_2) = ((rng.normal(size=(3, 4, D)), rng.normal(size=(3, 4, K))) for _ in "12")
    _, gradients = net.loss_and_gradients(X, Y, inputs=True)
    run = net.forward(X)
    before = [gradients["weight_hh"].copy(), gradients["X"].copy(), run.output.copy()]
    net.loss_and_gradients(X_2, Y_2, inputs=True)
    net.forward(X_2)
    for found, expected in zip(
        [gradients["weight_hh"], gradients["X"], run.output], before, strict=True
    ):
        assert_array_equal(found, expected)
    assert_array_equal(net.loss_and_gradients(X, Y)[1]["weight_hh"], before[0])


def test_a_network_keeps_work_memory_and_not_the_sequences():
    net = cbptt.RNN(D, M, K, random_state=0)
    X = np.ones((3, 4, D))
    kept_alive = weakref.ref(X)
    net.loss_and_gradients(X, np.ones((3, 4, K)))
    net.forward(X)
    del X
    assert kept_alive() is None


def test_calls_in_several_threads_have_work_memory_of_their_own():
    net = cbptt.RNN(D, M, K, random_state=0)
    rng = np.random.default_rng(0)
    data = [(rng.normal(size=(2, 50, D)), rng.normal(size=(2, 50, K))) for _ in range(4)]
    expected = [net.loss(X, Y) for X, Y in data]
    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(net.loss_and_gradients, *data[i % 4]) for i in range(200)]
        for i, call in enumerate(calls):
            assert_allclose(call.result()[0], expected[i % 4], rtol=1e-12)
