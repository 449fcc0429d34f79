"""An epoch of compiled training against a plain loop of mini-batches."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import cbptt
from cbptt import losses
from cbptt.engine.results import Dropout
from cbptt.optimizers import AdaGrad, Adam, AdamW, Moments, RmsProp, Sgd
from cbptt.training import minimise

D, M, K = 2, 5, 3
LENGTHS = (4, 1, 6, 3, 3, 1, 5)  # in mini-batches of 3: 3 + 3 + 1
READOUTS = pytest.mark.parametrize("readout", losses.READOUTS)


def make_net(readout="every", targets="labels", dtype="float64", **choices):
    pair = {"output_activation": "softmax", "loss": "log_loss"} if targets == "labels" else {}
    return cbptt.RNN(D, M, K, readout=readout, dtype=dtype, random_state=0, **pair | choices)


def make_data(readout, targets, lengths=LENGTHS):
    """Ragged sequences with targets; weights of 0 among others, and none at all in 3, 4 and 5."""
    rng = np.random.default_rng(1)
    X = [rng.normal(size=(T, D)) for T in lengths]
    shapes = [(T,) for T in lengths] if readout == "every" else [()] * len(lengths)
    if targets == "labels":
        Y = [rng.integers(K, size=s) for s in shapes]
    else:
        Y = [rng.normal(size=(*s, K)) for s in shapes]
    weight = [rng.uniform(0.5, 2, size=s) for s in shapes]
    weight[1] = np.zeros(shapes[1])
    return X, Y, weight


class NumpySgd:
    def __init__(self, chosen, size):
        self.chosen, self.velocity = chosen, np.zeros(size)

    def step(self, gradient):
        mu, eta = self.chosen.momentum, self.chosen.learning_rate
        self.velocity = mu * self.velocity - eta * gradient
        return mu * self.velocity - eta * gradient if self.chosen.nesterov else self.velocity


class NumpyAdam:
    def __init__(self, chosen, size):
        self.chosen, self.m, self.v, self.t = chosen, np.zeros(size), np.zeros(size), 0

    def step(self, gradient):
        c = self.chosen
        self.t += 1
        self.m = c.beta_1 * self.m + (1 - c.beta_1) * gradient
        self.v = c.beta_2 * self.v + (1 - c.beta_2) * gradient**2
        m, v = self.m / (1 - c.beta_1**self.t), self.v / (1 - c.beta_2**self.t)
        return -c.learning_rate * m / (np.sqrt(v) + c.epsilon)


class NumpyRmsProp:
    def __init__(self, chosen, size):
        self.chosen, self.v = chosen, np.zeros(size)

    def step(self, gradient):
        c = self.chosen
        self.v = c.beta_2 * self.v + (1 - c.beta_2) * gradient**2
        return -c.learning_rate * gradient / (np.sqrt(self.v) + c.epsilon)


class NumpyAdaGrad(NumpyRmsProp):
    def step(self, gradient):
        self.v = self.v + gradient**2
        return -self.chosen.learning_rate * gradient / (np.sqrt(self.v) + self.chosen.epsilon)


NUMPY = {"adam": NumpyAdam, "adamw": NumpyAdam, "sgd": NumpySgd, "rmsprop": NumpyRmsProp}
NUMPY["adagrad"] = NumpyAdaGrad


class PlainLoop:
    """What the trainer does, in Python on Engine.gradient: one mini-batch after the other."""

    def __init__(self, net, X, Y, weight, optimizer, *, batch_size, alpha, max_grad_norm):
        self.net, self.data = net, (X, Y, weight)
        self.batch_size, self.alpha, self.max_grad_norm = batch_size, alpha, max_grad_norm
        self.decay = optimizer.learning_rate * optimizer.decay
        self.optimizer = NUMPY[optimizer.solver](optimizer, net.theta.size)

    def epoch(self, order=None):
        """Return loss, mean norm of the gradients, their number, and how many were clipped."""
        net = self.net
        loss_sum, weight_sum, norms = 0, 0, []
        order = range(len(LENGTHS)) if order is None else order
        for first in range(0, len(LENGTHS), self.batch_size):
            batch = order[first : first + self.batch_size]
            X, Y, weight = ([part[i] for i in batch] for part in self.data)
            if not any(np.any(w) for w in weight):
                continue
            result = net.engine.gradient(net.shard(X, Y, weight))
            gradient = result.gradient.copy()
            loss_sum += result.loss_sum
            for name, view in net.layout.views(gradient).items():
                if name.startswith("weight"):
                    view += self.alpha * net.parameters[name]
                    loss_sum += self.alpha / 2 * np.sum(net.parameters[name] ** 2)
            gradient /= result.weight_sum
            weight_sum += result.weight_sum
            norms.append(np.linalg.norm(gradient))
            gradient *= min(1, self.max_grad_norm / norms[-1])
            for name, view in net.parameters.items():
                if name.startswith("weight"):
                    view -= self.decay * view
            net.theta += self.optimizer.step(gradient)
        n_clipped = sum(norm > self.max_grad_norm for norm in norms)
        return loss_sum / weight_sum, np.mean(norms), len(norms), n_clipped


OPTIMIZERS = {
    "adam": Adam(0.05),
    "adam, other constants": Adam(0.02, beta_1=0.5, beta_2=0.9, epsilon=0.1),
    "adamw": AdamW(0.05, decay=0.5),
    "rmsprop": RmsProp(0.02, beta_2=0.7),
    "adagrad": AdaGrad(0.1),
    "nesterov": Sgd(0.1),
    "momentum": Sgd(0.1, 0.8, nesterov=False),
    "plain": Sgd(0.1, 0.0, nesterov=False),
}


def both(make_trainer, optimizer, readout, targets, *, batch_size=3, alpha=0.3, max_grad_norm=0.7):
    """A trainer and the plain loop, each with a network of its own, on the same data."""
    X, Y, weight = make_data(readout, targets)
    options = {"batch_size": batch_size, "alpha": alpha, "max_grad_norm": max_grad_norm}
    trainer = make_trainer(make_net(readout, targets), X, Y, optimizer, weight, **options)
    return trainer, PlainLoop(make_net(readout, targets), X, Y, weight, optimizer, **options)


def assert_same_epoch(epoch, expected):
    loss, norm, n_steps, n_clipped = expected
    assert epoch.finite
    assert_allclose([epoch.loss, epoch.grad_norm], [loss, norm], rtol=1e-12)
    assert (epoch.n_steps, epoch.n_clipped) == (n_steps, n_clipped)


# ---- the loop ---------------------------------------------------------------------------------


@pytest.mark.parametrize("targets", ["labels", "vectors"])
@READOUTS
@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_epochs_are_those_of_a_plain_loop(optimizer, readout, targets, make_trainer):
    trainer, loop = both(make_trainer, optimizer, readout, targets)
    for _ in range(3):
        assert_same_epoch(trainer.epoch(), loop.epoch())
        assert_allclose(trainer.network.theta, loop.net.theta, rtol=1e-12, atol=1e-13)
    assert trainer.moments.n_steps == 9


@pytest.mark.parametrize("batch_size", [1, 2, 7, 100])
def test_mini_batches_of_every_size_are_those_of_a_plain_loop(batch_size, make_trainer):
    trainer, loop = both(make_trainer, Adam(0.05), "last", "labels", batch_size=batch_size)
    assert_same_epoch(trainer.epoch(), loop.epoch())
    assert_allclose(trainer.network.theta, loop.net.theta, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(("max_grad_norm", "n_clipped"), [(np.inf, 0), (1e-3, 1)])
def test_gradients_are_clipped_to_the_largest_norm(max_grad_norm, n_clipped, make_trainer):
    # one plain step of length learning_rate times gradient
    sgd = Sgd(0.5, 0.0, nesterov=False)
    trainer, _ = both(
        make_trainer, sgd, "every", "labels", batch_size=7, max_grad_norm=max_grad_norm
    )
    before = trainer.network.theta.copy()
    epoch = trainer.epoch()
    length = np.linalg.norm(trainer.network.theta - before)
    assert epoch.n_clipped == n_clipped
    assert_allclose(length, 0.5 * min(epoch.grad_norm, max_grad_norm), rtol=1e-12)


def test_the_penalty_reaches_weights_and_not_biases(make_trainer):
    # where the loss is flat, a step of 1 / alpha takes every weight to 0
    net = make_net(targets="vectors")
    for name, value in {"bias_h": 0.5, "weight_ho": 0, "bias_o": 2}.items():
        net.parameters[name][...] = value
    trainer = make_trainer(
        net, [np.ones((1, D))], [[[2, 2, 2]]], Sgd(0.25, 0.0), batch_size=1, alpha=4.0
    )
    squares = sum(np.sum(net.parameters[name] ** 2) for name in ("weight_ih", "weight_hh"))
    assert_allclose(trainer.epoch().loss, 2 * squares, rtol=1e-14)
    for name, value in {"weight_ih": 0, "weight_hh": 0, "bias_h": 0.5, "bias_o": 2}.items():
        assert_array_equal(net.parameters[name], value)


@READOUTS
@pytest.mark.parametrize("optimizer", [Adam(0.05), Sgd(0.1)])
def test_float32_trains_as_float64_does(optimizer, readout, make_trainer):
    X, Y, weight = make_data(readout, "labels")
    theta = {}
    for dtype in ("float32", "float64"):
        net = make_net(readout, dtype=dtype)
        trainer = make_trainer(net, X, Y, optimizer, weight, batch_size=3, max_grad_norm=1.0)
        for _ in range(3):
            trainer.epoch()
        theta[dtype] = net.theta
    assert theta["float32"].dtype == np.float32
    assert_allclose(theta["float32"], theta["float64"], rtol=1e-3, atol=1e-4)


def test_a_mini_batch_without_labels_takes_no_step(make_trainer):
    X, Y, weight = make_data("last", "labels")
    weight[3:6] = [np.zeros(())] * 3
    trainer = make_trainer(make_net("last"), X, Y, Adam(), weight, batch_size=3, alpha=1.0)
    epoch = trainer.epoch()
    assert epoch.finite
    assert epoch.n_steps == trainer.moments.n_steps == 2


def test_an_epoch_without_any_label_changes_nothing_and_has_no_loss(make_trainer):
    X, Y, _ = make_data("last", "labels")
    net = make_net("last")
    theta = net.theta.copy()
    epoch = make_trainer(net, X, Y, Adam(), np.zeros(7), batch_size=3, alpha=1.0).epoch()
    assert np.isnan(epoch.loss)
    assert_array_equal(net.theta, theta)


# ---- learning rates, moments, dropout ---------------------------------------------------------


def test_the_learning_rate_of_an_epoch_is_the_one_given(make_trainer):
    sgd = Sgd(0.5, 0.0, nesterov=False)
    lengths = []
    for rate in (None, 0.5, 0.125):
        trainer, _ = both(make_trainer, sgd, "every", "labels", batch_size=7, max_grad_norm=np.inf)
        before = trainer.network.theta.copy()
        trainer.epoch(rate)
        lengths.append(np.linalg.norm(trainer.network.theta - before))
    assert lengths[0] == lengths[1]
    assert_allclose(lengths[2], lengths[0] / 4, rtol=1e-12)


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_a_trainer_goes_on_from_the_moments_of_another(optimizer, make_trainer):
    X, Y, weight = make_data("last", "labels")
    net, other = make_net("last"), make_net("last")
    whole = make_trainer(net, X, Y, optimizer, weight, batch_size=3)
    moments = Moments.zeros_like(other.theta)
    for _ in range(3):
        whole.epoch()
        make_trainer(other, X, Y, optimizer, weight, batch_size=3, moments=moments).epoch()
    assert moments.n_steps == whole.moments.n_steps == 9
    assert_array_equal(other.theta, net.theta)


@READOUTS
@pytest.mark.parametrize(("dropout", "recurrent_dropout"), [(0.5, 0), (0, 0.25), (0.3, 0.6)])
def test_an_epoch_under_dropout_is_a_step_along_the_gradient_of_the_drawn_masks(
    dropout, recurrent_dropout, readout, make_trainer
):
    X, Y, weight = make_data(readout, "labels")
    net, n = make_net(readout), len(X)
    # one row for each sequence, in order: inputs first, then hidden states
    rng = np.random.default_rng(7)
    sizes = [D * (dropout > 0), M * (recurrent_dropout > 0)]
    drawn = np.split(rng.random((n, sum(sizes))), [sizes[0]], axis=1)
    masks = Dropout(
        *(
            (part >= rate) / (1 - rate) if rate else np.empty((0, 0))
            for part, rate in zip(drawn, (dropout, recurrent_dropout), strict=True)
        )
    )
    result = net.engine.gradient(net.shard(X, Y, weight), dropout=masks)
    expected = net.theta - 0.5 * result.gradient / result.weight_sum
    trainer = make_trainer(
        net, X, Y, Sgd(0.5, 0.0), weight, batch_size=n, seed=7, dropout=dropout,
        recurrent_dropout=recurrent_dropout,
    )  # fmt: skip
    epoch = trainer.epoch()
    assert_allclose(epoch.loss, result.loss_sum / result.weight_sum, rtol=1e-13)
    assert_allclose(net.theta, expected, rtol=1e-12, atol=1e-14)


def test_what_is_dropped_does_not_depend_on_the_cuts_between_calls(make_trainer):
    X, Y, weight = make_data("last", "labels")
    theta = []
    for batches_per_call in (1, 8):
        trainer = make_trainer(
            make_net("last"), X, Y, Adam(0.05), weight, batch_size=2, shuffle=True,
            dropout=0.2, recurrent_dropout=0.5,
        )  # fmt: skip
        trainer._adapt = lambda seconds: None
        trainer._batches_per_call = batches_per_call
        for _ in range(3):
            trainer.epoch()
        theta.append(trainer.network.theta)
    assert_array_equal(*theta)


# ---- all sequences at once --------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [2, 7])
@READOUTS
def test_the_gradient_of_all_data_is_that_of_the_mean_loss_and_the_penalty(
    readout, batch_size, make_trainer
):
    X, Y, weight = make_data(readout, "labels")
    net = make_net(readout)
    trainer = make_trainer(net, X, Y, Adam(), weight, batch_size=batch_size, alpha=0.3)
    loss, gradient = trainer.gradient()

    result = net.engine.gradient(net.shard(X, Y, weight))
    expected = result.gradient.copy()
    squares = 0
    for name, view in net.layout.views(expected).items():
        if name.startswith("weight"):
            view += 0.3 * net.parameters[name]
            squares += np.sum(net.parameters[name] ** 2)
    assert_allclose(loss, (result.loss_sum + 0.15 * squares) / result.weight_sum, rtol=1e-13)
    assert_allclose(gradient, expected / result.weight_sum, rtol=1e-11, atol=1e-15)


def test_lbfgs_finds_the_least_squares_solution_of_a_linear_network(make_trainer):
    # with W11 = 0 kept at 0 by one step, identity and K = 1 the loss is that of linear regression
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 1, 3)), rng.normal(size=40)
    net = cbptt.RNN(3, 4, 1, activation="identity", readout="last", random_state=0)
    trainer = make_trainer(net, X, y, Adam(), batch_size=16)
    losses = []
    end = minimise(
        trainer, max_iter=500, max_fun=5000, tol=1e-9,
        after=lambda epoch: losses.append(epoch.loss),
    )  # fmt: skip
    design = np.column_stack([X[:, 0], np.ones(40)])
    residual = y - design @ np.linalg.lstsq(design, y)[0]
    assert end.converged
    assert_allclose(losses[-1], np.mean(residual**2) / 2, rtol=1e-9)
    assert_allclose(trainer.gradient()[0], losses[-1], rtol=1e-12)
    assert sorted(losses, reverse=True) == losses


def test_lbfgs_stops_where_it_is_told_to_and_stays_at_that_iterate(make_trainer):
    X, Y, weight = make_data("last", "labels")
    net = make_net("last")
    trainer = make_trainer(net, X, Y, Adam(), weight, batch_size=7)
    seen = []

    def after(epoch):
        seen.append(net.theta.copy())
        assert_allclose(epoch.grad_norm, np.linalg.norm(trainer.gradient()[1]), rtol=1e-9)
        return len(seen) == 3

    minimise(trainer, max_iter=50, max_fun=500, tol=0.0, after=after)
    assert len(seen) == 3
    assert_array_equal(net.theta, seen[-1])


@pytest.mark.parametrize(("limit", "most"), [("max_iter", 2), ("max_fun", 5)])
def test_lbfgs_says_that_a_limit_ended_it(limit, most, make_trainer):
    X, Y, weight = make_data("last", "labels")
    trainer = make_trainer(make_net("last"), X, Y, Adam(), weight, batch_size=7)
    limits = {"max_iter": 100, "max_fun": 1000} | {limit: most}
    end = minimise(trainer, **limits, tol=0.0, after=lambda epoch: False)
    assert not end.converged
    assert "LIMIT" in end.message


# ---- order, and cuts between calls -------------------------------------------------------------


def test_a_shuffled_epoch_visits_the_sequences_in_an_order_drawn_from_rng(make_trainer):
    X, Y, weight = make_data("every", "labels")
    options = {"batch_size": 3, "alpha": 0.3, "max_grad_norm": 0.7}
    trainer = make_trainer(make_net(), X, Y, Adam(0.05), weight, shuffle=True, seed=5, **options)
    loop = PlainLoop(make_net(), X, Y, weight, Adam(0.05), **options)
    rng = np.random.default_rng(5)
    for _ in range(2):
        assert_same_epoch(trainer.epoch(), loop.epoch(rng.permutation(7)))
        assert_allclose(trainer.network.theta, loop.net.theta, rtol=1e-12, atol=1e-13)


def test_the_order_is_that_of_the_sequences_unless_shuffled(make_trainer):
    X, Y, weight = make_data("every", "labels")

    def theta(**options):
        net = make_net()
        trainer = make_trainer(net, X, Y, Sgd(0.1), weight, batch_size=1, **options)
        trainer.epoch()
        return net.theta

    assert_array_equal(theta(seed=1), theta(seed=2))
    assert_array_equal(theta(seed=1, shuffle=True), theta(seed=1, shuffle=True))
    assert not np.array_equal(theta(seed=1, shuffle=True), theta(seed=2, shuffle=True))


@READOUTS
@pytest.mark.parametrize("optimizer", [Adam(0.05), Sgd(0.1)])
def test_the_cuts_between_compiled_calls_do_not_change_the_bits(optimizer, readout, make_trainer):
    def theta(batches_per_call):
        trainer, _ = both(make_trainer, optimizer, readout, "labels", batch_size=2)
        trainer._batches_per_call = batches_per_call
        trainer._adapt = lambda seconds: None
        for _ in range(2):
            assert trainer.epoch().n_steps == 4
        return trainer.network.theta

    expected = theta(1000)
    for batches_per_call in (1, 2, 3):
        assert_array_equal(theta(batches_per_call), expected)


def test_compiled_calls_grow_while_they_are_short_and_shrink_when_they_are_long(make_trainer):
    trainer, _ = both(make_trainer, Adam(), "last", "labels", batch_size=1)
    n = len(trainer.sequences)
    for expected in (2, 4, n, n):  # no more than there are in an epoch
        trainer._adapt(0.001)
        assert trainer._batches_per_call == expected
    for _ in range(20):
        trainer._adapt(10.0)
    assert trainer._batches_per_call == 1


@READOUTS
def test_training_reads_only_what_it_is_given(readout, make_trainer):
    X, Y, weight = make_data(readout, "labels")
    flat = np.concatenate(X)
    flat.flags.writeable = False
    net = make_net(readout)
    ragged = cbptt.Ragged.from_flat(flat, LENGTHS)
    before = net.theta.copy()
    assert make_trainer(net, ragged, Y, Adam(), weight, batch_size=3).epoch().finite
    assert not np.array_equal(net.theta, before)
    assert_array_equal(flat, np.concatenate(X))


# ---- numbers that are not finite ---------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", [Adam(0.05), Sgd(0.1)])
def test_a_loss_that_is_not_finite_ends_the_epoch_before_its_step(optimizer, dtype, make_trainer):
    # the second of two mini-batches overflows; the step of the first is kept
    largest = float(np.finfo(dtype).max) / 4
    X = [np.ones((2, D)), np.full((2, D), largest)]
    Y = [np.ones((2, K)), np.ones((2, K))]

    def trained(n):
        net = make_net(targets="vectors", activation="identity", dtype=dtype)
        return net, make_trainer(net, X[:n], Y[:n], optimizer, batch_size=1)

    net, trainer = trained(2)
    first_only, first_trainer = trained(1)
    assert not trainer.epoch().finite
    assert first_trainer.epoch().finite
    assert np.isfinite(net.theta).all()
    assert_array_equal(net.theta, first_only.theta)
    assert trainer.moments.n_steps == 1


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("learning_rate", [5.0, 1e5, 1e30])
def test_divergence_is_told_by_the_epoch_that_meets_it(learning_rate, dtype, make_trainer):
    X, Y, _ = make_data("every", "vectors")
    net = make_net(targets="vectors", activation="identity", dtype=dtype)
    trainer = make_trainer(net, X, Y, Sgd(learning_rate), batch_size=3)
    for _ in range(60):
        epoch = trainer.epoch()
        if not epoch.finite:
            break
        assert np.isfinite(epoch.loss)
        assert np.isfinite(net.theta).all()
    assert not epoch.finite


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_step_that_leaves_the_finite_numbers_is_told_by_its_epoch(dtype, make_trainer):
    # loss and gradient are finite, the learning rate times the gradient is not
    X, Y, _ = make_data("every", "vectors")
    largest = float(np.finfo(dtype).max)
    net = make_net(targets="vectors", dtype=dtype)
    trainer = make_trainer(net, X, Y, Sgd(largest, 0.0), batch_size=7, alpha=1e3)
    epoch = trainer.epoch()
    assert np.isfinite([epoch.loss, epoch.grad_norm]).all()
    assert not epoch.finite


def test_a_gradient_whose_square_overflows_takes_no_step(make_trainer):
    # Adam's second moment would be infinite, and the entry would never move again.
    net = make_net("last", "vectors", "float32")
    X, _, _ = make_data("last", "vectors")
    before = net.theta.copy()
    far = np.full((len(X), K), 1e19)
    trainer = make_trainer(net, X, far, Adam(), batch_size=len(X))
    assert np.isfinite(net.loss_and_gradients(X, far)[1]["bias_o"]).all()
    assert not trainer.epoch().finite
    assert_array_equal(net.theta, before)
