"""If only one file runs, this one."""

from __future__ import annotations

import importlib.metadata

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import cbptt
from cbptt import reference


def six_sequences():
    """Six short sequences; "up" those that begin above zero."""
    first = np.array([1.0, -1.0, 0.8, -0.9, 1.2, -1.1])
    X = [np.append(start, [0.0] * (1 + i % 3)) for i, start in enumerate(first)]
    return X, np.where(first > 0, "up", "down")


def make_classifier():
    return cbptt.RNNClassifier(
        8, learning_rate_init=0.05, max_iter=500, tol=0.01, n_iter_no_change=5, random_state=0
    )


def test_the_version_is_that_of_the_installed_package():
    assert cbptt.__version__ == importlib.metadata.version("cbptt")


@pytest.mark.parametrize(("dtype", "rtol"), [("float64", 1e-12), ("float32", 1e-4)])
def test_gradients_of_a_ragged_batch_are_those_of_the_complex_step(dtype, rtol):
    D, M, K = 2, 3, 2
    rng = np.random.default_rng(0)
    net = cbptt.RNN(
        D, M, K, output_activation="softmax", loss="log_loss", dtype=dtype, random_state=0
    )
    X = [rng.normal(size=(T, D)).astype(dtype) for T in (3, 1, 5)]
    Y = [rng.integers(K, size=len(x)) for x in X]
    loss, gradients = net.loss_and_gradients(X, Y, reduction="sum")

    # the loss of a ragged batch is the sum over its sequences, each a batch of one
    parameters = {name: array.astype(np.float64) for name, array in net.parameters.items()}
    batches = [
        (x[:, np.newaxis].astype(np.float64), reference.one_hot(y, K)[:, np.newaxis])
        for x, y in zip(X, Y, strict=True)
    ]

    def loss_of(changed):
        return sum(reference.loss(parameters | changed, x, target) for x, target in batches)

    assert_allclose(loss, loss_of({}), rtol=rtol)
    for name, array in parameters.items():
        expected = reference.complex_step(lambda z, name=name: loss_of({name: z}), array)
        assert_allclose(gradients[name], expected, rtol=rtol, atol=rtol, err_msg=name)


def test_a_classifier_remembers_the_first_step():
    X, y = six_sequences()
    model = make_classifier().fit(X, y)
    assert_array_equal(model.predict(X), y)
    assert_array_equal(model.classes_, ["down", "up"])
    assert_allclose(model.predict_proba(X).sum(axis=1), 1)


def test_the_same_seed_gives_the_same_bits():
    X, y = six_sequences()
    first, second = (make_classifier().fit(X, y) for _ in range(2))
    assert_array_equal(first.network_.theta, second.network_.theta)
    assert first.loss_curve_ == second.loss_curve_
