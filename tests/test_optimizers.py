"""The steps of the optimisers against plain transcriptions of the papers."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from cbptt._optimizers import (
    take_adagrad_step,
    take_adam_step,
    take_rmsprop_step,
    take_sgd_step,
)

P = 37
PRECISIONS = pytest.mark.parametrize(("dtype", "rtol"), [(np.float64, 1e-13), (np.float32, 2e-5)])


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
    theta, velocity = f.start.astype(dtype), np.zeros(P, dtype)
    expected, v = f.start.copy(), np.zeros(P)
    for _ in range(6):
        take_sgd_step(theta, velocity, f.gradient(theta).astype(dtype), eta, mu, False)
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
    ours, velocity = f.start.astype(dtype), np.zeros(P, dtype)
    theta, v = f.start.copy(), np.zeros(P)
    for _ in range(6):
        take_sgd_step(ours, velocity, f.gradient(ours).astype(dtype), eta, mu, True)
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
        take_adam_step(theta, m, v, g, eta, beta_1, beta_2, epsilon, t)
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
    take_adam_step(theta, m, v, g, 0.25, 0.9, 0.999, 1e-30, 1)
    assert_allclose(theta, [-0.25, 0.25, -0.25], rtol=rtol)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_without_a_gradient_nothing_moves(dtype):
    start = np.random.default_rng(0).normal(size=P).astype(dtype)
    zero = np.zeros(P, dtype)
    theta = start.copy()
    take_adam_step(theta, zero.copy(), zero.copy(), zero, 0.1, 0.9, 0.999, 1e-8, 1)
    take_sgd_step(theta, zero.copy(), zero, 0.1, 0.9, True)
    assert_array_equal(theta, start)


def test_a_gradient_may_be_read_only():
    g = np.ones(3)
    g.flags.writeable = False
    theta, m, v = np.zeros((3, 3))
    take_adam_step(theta, m, v, g, 0.1, 0.9, 0.999, 1e-8, 1)
    assert (theta < 0).all()
    before = theta.copy()
    take_sgd_step(theta, m, g, 0.1, 0.9, True)
    assert (theta < before).all()


@PRECISIONS
@pytest.mark.parametrize(("rho", "epsilon"), [(0.9, 1e-8), (0.0, 0.1)])
def test_rmsprop_divides_by_the_root_of_the_mean_square(rho, epsilon, dtype, rtol):
    # Tieleman & Hinton (2012), lecture 6.5
    f, eta = Valley(), 0.05
    theta, v = f.start.astype(dtype), np.zeros(P, dtype)
    expected, mean_square = f.start.copy(), np.zeros(P)
    for _ in range(6):
        take_rmsprop_step(theta, v, f.gradient(theta).astype(dtype), eta, rho, epsilon)
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
    theta, v = f.start.astype(dtype), np.zeros(P, dtype)
    expected, total = f.start.copy(), np.zeros(P)
    for _ in range(6):
        take_adagrad_step(theta, v, f.gradient(theta).astype(dtype), eta, epsilon)
        g = f.gradient(expected)
        total = total + g**2
        expected = expected - eta * g / (np.sqrt(total) + epsilon)
        assert_allclose(theta, expected, rtol=rtol, atol=rtol)
        assert_allclose(v, total, rtol=10 * rtol, atol=rtol)
