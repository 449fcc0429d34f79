"""The steps of the optimisers against plain transcriptions of the papers."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from cbptt._optimizers import SOLVERS, Update, update

P = 37
PRECISIONS = pytest.mark.parametrize(("dtype", "rtol"), [(np.float64, 1e-13), (np.float32, 2e-5)])


def step(
    solver, theta, first, second, gradient, eta, t=1, *, momentum=0.0, nesterov=False, beta_1=0.0,
    beta_2=0.0, epsilon=0.0,
):  # fmt: skip
    """Update theta and the moments by a gradient, without penalty, clipping and decay."""
    chosen = Update(
        solver, 0, 0.0, np.inf, momentum, nesterov, beta_1, beta_2, epsilon, 0.0
    )  # fmt: skip
    finite, norm, clipped, penalty = update(theta, first, second, gradient, 1.0, chosen, eta, t)
    assert (finite, clipped, penalty) == (True, False, 0)
    assert_allclose(norm, np.linalg.norm(gradient.astype(float)), rtol=1e-6)


class Valley:
    """f(theta) = 1/2 sum_i c_i (theta_i - m_i)^2, whose gradient depends on where it is taken."""

    def __init__(self):
        rng = np.random.default_rng(0)
        self.curvature = rng.uniform(0.5, 3, P)
        self.minimum = rng.normal(size=P)
        self.start = rng.normal(size=P)

    def gradient(self, theta):
        return self.curvature * (theta - self.minimum)


@PRECISIONS
@pytest.mark.parametrize("mu", [0.0, 0.9, 1.0])
def test_momentum_is_that_of_polyak(mu, dtype, rtol):
    # Sutskever et al. (2013), equations 1 and 2
    f, eta = Valley(), 0.05
    theta, velocity, unused = f.start.astype(dtype), *np.zeros((2, P), dtype)
    expected, v = f.start.copy(), np.zeros(P)
    for _ in range(6):
        g = f.gradient(theta).astype(dtype)
        step("sgd", theta, velocity, unused, g, eta, momentum=mu)
        v = mu * v - eta * f.gradient(expected)
        expected = expected + v
        assert_allclose(theta, expected, rtol=rtol, atol=rtol)
        assert_allclose(velocity, v, rtol=rtol, atol=rtol)


@PRECISIONS
@pytest.mark.parametrize("mu", [0.0, 0.9, 1.0])
def test_nesterov_momentum_is_that_of_the_paper_seen_from_the_looked_ahead_point(mu, dtype, rtol):
    # Sutskever et al. (2013), equations 3 and 4, take the gradient at theta + mu v. Where the
    # gradient is taken is what a network calls its parameters, so ours are theta + mu v.
    f, eta = Valley(), 0.05
    ours, velocity, unused = f.start.astype(dtype), *np.zeros((2, P), dtype)
    theta, v = f.start.copy(), np.zeros(P)
    for _ in range(6):
        g = f.gradient(ours).astype(dtype)
        step("sgd", ours, velocity, unused, g, eta, momentum=mu, nesterov=True)
        v = mu * v - eta * f.gradient(theta + mu * v)
        theta = theta + v
        assert_allclose(ours, theta + mu * v, rtol=rtol, atol=rtol)
        assert_allclose(velocity, v, rtol=rtol, atol=rtol)


@PRECISIONS
@pytest.mark.parametrize(
    ("beta_1", "beta_2", "epsilon"),
    [(0.9, 0.999, 1e-8), (0.0, 0.0, 1e-3), (0.5, 0.7, 0.1), (0.99, 0.9999, 1e-8)],
)
def test_adam_is_algorithm_1_of_the_paper(beta_1, beta_2, epsilon, dtype, rtol):
    # Kingma & Ba (2015), algorithm 1
    f, eta = Valley(), 0.01
    theta, m, v = f.start.astype(dtype), np.zeros(P, dtype), np.zeros(P, dtype)
    expected, first, second = f.start.copy(), np.zeros(P), np.zeros(P)
    for t in range(1, 9):
        g = f.gradient(theta).astype(dtype)
        step("adam", theta, m, v, g, eta, t, beta_1=beta_1, beta_2=beta_2, epsilon=epsilon)
        g = f.gradient(expected)
        first = beta_1 * first + (1 - beta_1) * g
        second = beta_2 * second + (1 - beta_2) * g**2
        corrected_1 = first / (1 - beta_1**t)
        corrected_2 = second / (1 - beta_2**t)
        expected = expected - eta * corrected_1 / (np.sqrt(corrected_2) + epsilon)
        assert_allclose(theta, expected, rtol=rtol, atol=rtol)
        assert_allclose(m, first, rtol=rtol, atol=rtol)
        assert_allclose(v, second, rtol=rtol, atol=rtol)


@PRECISIONS
def test_the_first_step_of_adam_has_the_length_of_the_learning_rate(dtype, rtol):
    g = np.array([1e-3, -5, 2e4], dtype)
    theta, m, v = np.zeros((3, 3), dtype)
    step("adam", theta, m, v, g, 0.25, beta_1=0.9, beta_2=0.999, epsilon=1e-30)
    assert_allclose(theta, [-0.25, 0.25, -0.25], rtol=rtol)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_without_a_gradient_nothing_moves(dtype, solver):
    start = np.random.default_rng(0).normal(size=P).astype(dtype)
    theta, moments, zero = start.copy(), np.zeros((2, P), dtype), np.zeros(P, dtype)
    step(solver, theta, *moments, zero, 0.1, momentum=0.9, beta_1=0.9, beta_2=0.999, epsilon=1e-8)
    assert_array_equal(theta, start)
    assert not moments.any()


@PRECISIONS
def test_adamw_shrinks_the_weights_apart_from_the_gradient_and_not_the_biases(dtype, rtol):
    # Loshchilov & Hutter (2019), algorithm 2: without a gradient theta -= eta lambda theta
    theta, moments, zero = np.ones(P, dtype), np.zeros((2, P), dtype), np.zeros(P, dtype)
    chosen = Update("adamw", P - 5, 0.0, np.inf, 0.0, False, 0.9, 0.999, 1e-8, 0.5)
    update(theta, *moments, zero, 1.0, chosen, 0.1, 1)
    assert_allclose(theta, [*[0.95] * (P - 5), *[1] * 5], rtol=rtol)


@PRECISIONS
def test_the_gradient_is_divided_by_the_weight_penalised_and_clipped_before_the_step(dtype, rtol):
    theta, gradient = np.array([3, -1, 2], dtype), np.array([4, 8, 6], dtype)
    chosen = Update("sgd", 2, 2.0, 2.5, 0.0, False, 0.0, 0.0, 0.0, 0.0)
    finite, norm, clipped, penalty = update(
        theta, *np.zeros((2, 3), dtype), gradient, 2.0, chosen, 1.0, 1
    )
    # ([4, 8] + 2 [3, -1]) / 2 = [5, 3], and 6 / 2 = 3
    assert (finite, clipped) == (True, True)
    assert_allclose([norm, penalty], [np.sqrt(43), 10], rtol=rtol)
    assert_allclose(gradient, np.array([5, 3, 3]) * 2.5 / np.sqrt(43), rtol=rtol)
    assert_allclose(theta, np.array([3, -1, 2]) - gradient, rtol=rtol)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_gradient_that_is_not_finite_moves_nothing(dtype, bad, solver):
    theta, moments = np.ones(3, dtype), np.ones((2, 3), dtype)
    chosen = Update(solver, 3, 0.0, np.inf, 0.9, True, 0.9, 0.9, 1e-8, 0.1)
    assert not update(theta, *moments, np.array([1, bad, 1], dtype), 1.0, chosen, 0.1, 1)[0]
    assert (theta == 1).all()
    assert (moments == 1).all()


@PRECISIONS
@pytest.mark.parametrize(("rho", "epsilon"), [(0.9, 1e-8), (0.0, 0.1)])
def test_rmsprop_divides_by_the_root_of_the_mean_square(rho, epsilon, dtype, rtol):
    # Tieleman & Hinton (2012), lecture 6.5
    f, eta = Valley(), 0.05
    theta, v, unused = f.start.astype(dtype), *np.zeros((2, P), dtype)
    expected, mean_square = f.start.copy(), np.zeros(P)
    for _ in range(6):
        g = f.gradient(theta).astype(dtype)
        step("rmsprop", theta, unused, v, g, eta, beta_2=rho, epsilon=epsilon)
        g = f.gradient(expected)
        mean_square = rho * mean_square + (1 - rho) * g**2
        expected = expected - eta * g / (np.sqrt(mean_square) + epsilon)
        assert_allclose(theta, expected, rtol=rtol, atol=rtol)
        assert_allclose(v, mean_square, rtol=10 * rtol, atol=rtol)


@PRECISIONS
@pytest.mark.parametrize("epsilon", [1e-8, 0.1])
def test_adagrad_divides_by_the_root_of_the_sum_of_squares(epsilon, dtype, rtol):
    # Duchi, Hazan & Singer (2011), the diagonal form
    f, eta = Valley(), 0.5
    theta, v, unused = f.start.astype(dtype), *np.zeros((2, P), dtype)
    expected, total = f.start.copy(), np.zeros(P)
    for _ in range(6):
        g = f.gradient(theta).astype(dtype)
        step("adagrad", theta, unused, v, g, eta, epsilon=epsilon)
        g = f.gradient(expected)
        total = total + g**2
        expected = expected - eta * g / (np.sqrt(total) + epsilon)
        assert_allclose(theta, expected, rtol=rtol, atol=rtol)
        assert_allclose(v, total, rtol=10 * rtol, atol=rtol)
