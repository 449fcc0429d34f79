"""The NumPy reference against the lecture, hand-worked numbers and the complex step."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from cbptt import reference

Array = npt.NDArray[Any]

D, M, K = 2, 3, 2
PAIRS = [(loss, output) for loss, outputs in reference.LOSSES.items() for output in outputs]
EVERYTHING = ("weight_ih", "weight_hh", "bias_h", "weight_ho", "bias_o", "h0", "X")
SIZES = pytest.mark.parametrize(("T", "B"), [(1, 1), (1, 3), (4, 1), (4, 3)])
READOUTS = pytest.mark.parametrize("readout", reference.READOUTS)
LOSS_AND_OUTPUT = pytest.mark.parametrize(("loss", "output"), PAIRS)


@dataclass
class Problem:
    """A small network with data, and the choices that go with it."""

    arrays: dict[str, Array]
    target: Array
    weight: Array | None
    choices: dict[str, str] = field(default_factory=dict)

    def forward(self) -> reference.Forward:
        choices: dict[str, Any] = {k: v for k, v in self.choices.items() if k != "loss"}
        return reference.forward(self.arrays, self.arrays["X"], self.arrays["h0"], **choices)

    def loss(self) -> Any:
        a, choices = self.arrays, dict[str, Any](self.choices)
        return reference.loss(a, a["X"], self.target, self.weight, a["h0"], **choices)

    def bptt(self, jacobian: str = "auto") -> reference.Bptt:
        a, choices = self.arrays, self.choices | {"jacobian": jacobian}
        return reference.bptt(
            a, a["X"], self.target, self.weight, a["h0"], **dict[str, Any](choices)
        )

    def having(self, name: str, array: Array) -> Problem:
        return replace(self, arrays=self.arrays | {name: array})

    def complex_step(self, name: str) -> Array:
        return reference.complex_step(lambda z: self.having(name, z).loss(), self.arrays[name])


def make_problem(T: int, B: int, seed: int = 0, **choices: str) -> Problem:
    rng = np.random.default_rng(seed)
    arrays = {
        "weight_ih": rng.normal(size=(M, D)),
        "weight_hh": rng.normal(size=(M, M)) / 2,
        "bias_h": np.array([0.5, -0.2, 0.3]),
        "weight_ho": rng.normal(size=(K, M)),
        "bias_o": np.array([0.6, 0.2]),
        "h0": rng.uniform(-0.5, 0.5, size=(B, M)),
        "X": rng.normal(size=(T, B, D)),
    }
    steps = (T, B) if choices.get("readout", "every") == "every" else (B,)
    target = rng.uniform(0.1, 0.9, size=(*steps, K))
    if choices.get("output_activation", "softmax") == "softmax":
        target /= target.sum(axis=-1, keepdims=True)
    weight = rng.uniform(0.5, 2.0, size=steps)
    if weight.size > 1:
        weight.flat[1] = 0.0
    return Problem(arrays, target, weight, dict(choices))


def away_from_kinks(T: int, B: int, **choices: str) -> Problem:
    """The first problem whose ReLU inputs are all clear of 0 and not all on the dead side."""
    for seed in range(1000):
        problem = make_problem(T, B, seed, **choices)
        outcome = problem.forward()
        kinked = [outcome.a1] * (choices["activation"] == "relu")
        kinked += [outcome.a2] * (choices["output_activation"] == "relu")
        if all(np.abs(a).min() > 0.01 and (a.max(axis=-1) > 0).all() for a in kinked):
            return problem
    raise AssertionError("no seed gives a problem away from the kinks")


def component(function: Callable[[Array], Array], index: Any) -> Callable[[Array], Any]:
    return lambda z: function(z)[index]


def relative_error(actual: Array, expected: Array) -> float:
    assert actual.shape == expected.shape
    return float(np.abs(actual - expected).max() / np.abs(expected).max())


# --- the derivatives


@SIZES
@READOUTS
@LOSS_AND_OUTPUT
@pytest.mark.parametrize("activation", reference.ACTIVATIONS)
def test_all_derivatives_are_those_of_the_complex_step(
    activation: str, loss: str, output: str, readout: str, T: int, B: int
) -> None:
    problem = away_from_kinks(
        T, B, activation=activation, output_activation=output, loss=loss, readout=readout
    )
    gradients = problem.bptt().gradients
    assert tuple(gradients) == EVERYTHING
    for name in EVERYTHING:
        expected = problem.complex_step(name)
        assert np.abs(expected).max() > 1e-8
        assert relative_error(gradients[name], expected) < 1e-12, name


def test_the_five_derivatives_have_the_layout_of_the_lecture() -> None:
    result = make_problem(4, 3).bptt()
    assert result.W1.shape == (M, K)
    assert result.b1.shape == (1, K)
    assert result.W11.shape == (M, M)
    assert result.W0.shape == (D, M)
    assert result.b0.shape == (1, M)
    for name, derivative in {
        "weight_ho": result.W1,
        "bias_o": result.b1[0],
        "weight_hh": result.W11,
        "weight_ih": result.W0,
        "bias_h": result.b0[0],
        "h0": result.h0.T,
        "X": result.x.T,
    }.items():
        np.testing.assert_array_equal(result.gradients[name], derivative.T)


def test_the_five_derivatives_are_the_sums_of_the_lecture() -> None:
    # one sequence, column vectors, a Jacobian matrix and a tensor for every step
    T = 4
    problem = make_problem(T, 1, loss="squared_error", output_activation="softmax")
    problem.weight = None
    W0, W11, b0, W1, b1, start = (
        problem.arrays[name]
        for name in ("weight_ih", "weight_hh", "bias_h", "weight_ho", "bias_o", "h0")
    )
    inputs, target = problem.arrays["X"][:, 0], problem.target[:, 0]
    tensor, times = reference.product_derivative, reference.row_times_tensor

    h1, h2 = [start[0]], []
    for t in range(T):
        h1.append(np.tanh(W0 @ inputs[t] + W11 @ h1[t] + b0))
        e = np.exp(W1 @ h1[t + 1] + b1)
        h2.append(e / e.sum())

    dW1, db1, dW11 = np.zeros((M, K)), np.zeros(K), np.zeros((M, M))
    dW0, db0, da1_next = np.zeros((D, M)), np.zeros(M), np.zeros(M)
    for t in reversed(range(T)):
        da2 = (h2[t] - target[t]) @ (np.diag(h2[t]) - np.outer(h2[t], h2[t]))
        dh1 = da2 @ W1 + da1_next @ W11
        da1 = dh1 @ np.diag(1 - h1[t + 1] ** 2)
        dW1 += times(da2, tensor(h1[t + 1], K))
        db1 += da2 @ np.eye(K)
        dW11 += times(da1, tensor(h1[t], M))
        dW0 += times(da1, tensor(inputs[t], M))
        db0 += da1 @ np.eye(M)
        da1_next = da1

    result = problem.bptt()
    np.testing.assert_allclose(result.W1, dW1, rtol=1e-12)
    np.testing.assert_allclose(result.b1[0], db1, rtol=1e-12)
    np.testing.assert_allclose(result.W11, dW11, rtol=1e-12)
    np.testing.assert_allclose(result.W0, dW0, rtol=1e-12)
    np.testing.assert_allclose(result.b0[0], db0, rtol=1e-12)


def test_deltas_are_derivatives_with_respect_to_what_they_are_named_after() -> None:
    problem = make_problem(4, 3)
    weight, target, inputs = problem.weight, problem.target, problem.arrays["X"]
    assert weight is not None
    W0, W11, b0, W1, b1 = (
        problem.arrays[name] for name in ("weight_ih", "weight_hh", "bias_h", "weight_ho", "bias_o")
    )

    def loss_after_a2(a2: Array, t: int) -> Any:
        e = np.exp(a2)
        log_h2 = np.log(e / e.sum(axis=1, keepdims=True))
        return -np.sum(weight[t] * (target[t] * log_h2).sum(axis=1))

    def loss_after_h1(h1: Array, t: int) -> Any:
        of_this_step = loss_after_a2(h1 @ W1.T + b1, t)
        if t == 3:
            return of_this_step
        return of_this_step + loss_after_a1(inputs[t + 1] @ W0.T + h1 @ W11.T + b0, t + 1)

    def loss_after_a1(a1: Array, t: int) -> Any:
        return loss_after_h1(np.tanh(a1), t)

    result = problem.bptt()
    outcome = result.forward
    for t in range(4):
        for delta, loss_after, at in (
            (result.da2, loss_after_a2, outcome.a2),
            (result.dh1, loss_after_h1, outcome.h1),
            (result.da1, loss_after_a1, outcome.a1),
        ):
            expected = reference.complex_step(partial(loss_after, t=t), at[t])
            assert relative_error(delta[t], expected) < 1e-12


def test_a_hidden_state_affects_the_loss_through_its_output_and_through_the_next_step() -> None:
    problem = make_problem(4, 3)
    W1, W11 = problem.arrays["weight_ho"], problem.arrays["weight_hh"]
    result = problem.bptt()
    for t in range(4):
        ways = [(result.da2[t], W1)]
        if t < 3:
            ways.append((result.da1[t + 1], W11))
        assert relative_error(result.dh1[t], reference.chain_rule(*ways)) < 1e-14
        for b in range(3):
            jacobian = reference.output_jacobian(result.forward.h1[t, b], "tanh")
            da1 = reference.chain_rule((result.dh1[t, b], jacobian))
            assert relative_error(result.da1[t, b], da1) < 1e-14


def test_second_derivatives_by_the_complex_step_are_symmetric() -> None:
    # bptt itself runs on complex parameters, and d2L/da db = d2L/db da
    problem = make_problem(3, 2, output_activation="tanh", loss="squared_error")

    def slope(of: str, index: tuple[int, int], along: str) -> Array:
        return reference.complex_step(
            lambda z: problem.having(along, z).bptt().gradients[of][index], problem.arrays[along]
        )

    left = slope("weight_ho", (0, 1), "weight_hh")[2, 1]
    right = slope("weight_hh", (2, 1), "weight_ho")[0, 1]
    assert abs(left) > 1e-3
    assert left == pytest.approx(right, rel=1e-12)


# --- hand-worked numbers


def test_one_unit_and_two_steps_by_hand() -> None:
    w0, w11, b0, w1, b1, start = 0.5, -0.75, 0.1, 2.0, -0.3, 0.2
    x_1, x_2, t_1, t_2 = 1.0, -2.0, 0.4, 0.9

    h_1 = math.tanh(w0 * x_1 + w11 * start + b0)  # tanh(0.45)
    h_2 = math.tanh(w0 * x_2 + w11 * h_1 + b0)
    y_1 = w1 * h_1 + b1
    y_2 = w1 * h_2 + b1
    dz_1, dz_2 = y_1 - t_1, y_2 - t_2
    dh_2 = dz_2 * w1
    da_2 = dh_2 * (1 - h_2**2)
    dh_1 = dz_1 * w1 + da_2 * w11
    da_1 = dh_1 * (1 - h_1**2)

    result = reference.bptt(
        {
            "weight_ih": [[w0]],
            "weight_hh": [[w11]],
            "bias_h": [b0],
            "weight_ho": [[w1]],
            "bias_o": [b1],
        },
        [[[x_1]], [[x_2]]],
        [[[t_1]], [[t_2]]],
        h0=[[start]],
        output_activation="identity",
        loss="squared_error",
    )
    assert result.loss == pytest.approx((dz_1**2 + dz_2**2) / 2, rel=1e-14)
    for actual, expected in (
        (result.forward.h1, [h_1, h_2]),
        (result.forward.h2, [y_1, y_2]),
        (result.da2, [dz_1, dz_2]),
        (result.dh1, [dh_1, dh_2]),
        (result.da1, [da_1, da_2]),
        (result.W1, [h_1 * dz_1 + h_2 * dz_2]),
        (result.b1, [dz_1 + dz_2]),
        (result.W11, [start * da_1 + h_1 * da_2]),
        (result.W0, [x_1 * da_1 + x_2 * da_2]),
        (result.b0, [da_1 + da_2]),
        (result.h0, [da_1 * w11]),
        (result.x, [da_1 * w0, da_2 * w0]),
    ):
        np.testing.assert_allclose(actual.ravel(), expected, rtol=1e-13)


def test_the_initial_state_is_zero_unless_given() -> None:
    problem = make_problem(3, 2)
    arrays = problem.arrays
    implicit = reference.forward(arrays, arrays["X"])
    explicit = reference.forward(arrays, arrays["X"], np.zeros((2, M)))
    np.testing.assert_array_equal(implicit.h1, explicit.h1)
    np.testing.assert_array_equal(implicit.h0, np.zeros((2, M)))
    assert implicit.h0.dtype == explicit.h0.dtype == np.float64


def test_results_do_not_change_with_the_arrays_they_came_from() -> None:
    problem = make_problem(3, 2)
    arrays = problem.arrays
    expected = problem.bptt().x
    result = problem.bptt()
    start = arrays["h0"].copy()
    for name in ("weight_ih", "h0"):
        arrays[name] *= 2
    np.testing.assert_array_equal(result.x, expected)
    np.testing.assert_array_equal(result.forward.h0, start)


@LOSS_AND_OUTPUT
def test_losses_are_their_formulas(loss: str, output: str) -> None:
    problem = make_problem(2, 3, output_activation=output, loss=loss)
    y, t, w = problem.forward().h2, problem.target, problem.weight
    assert w is not None
    if loss == "squared_error":
        steps = ((y - t) ** 2).sum(axis=-1) / 2
    elif output == "softmax":
        steps = -(t * np.log(y)).sum(axis=-1)
    else:
        steps = -(t * np.log(y) + (1 - t) * np.log(1 - y)).sum(axis=-1)
    assert problem.loss() == pytest.approx(sum(w.ravel() * steps.ravel()), rel=1e-13)


def test_output_functions_are_their_formulas() -> None:
    a = np.array([[-1.5, 0.0, 2.0], [0.25, -3.0, -0.5]])
    for name, expected in {
        "identity": a,
        "logistic": 1 / (1 + np.exp(-a)),
        "tanh": (np.exp(a) - np.exp(-a)) / (np.exp(a) + np.exp(-a)),
        "relu": [[0.0, 0.0, 2.0], [0.25, 0.0, 0.0]],
        "softmax": np.exp(a) / np.exp(a).sum(axis=1, keepdims=True),
    }.items():
        np.testing.assert_allclose(reference.OUTPUTS[name](a), expected, rtol=1e-14)
        if name in reference.ACTIVATIONS:
            np.testing.assert_allclose(
                reference.ACTIVATIONS[name].function(a), expected, rtol=1e-14
            )


def test_one_step_read_last_is_one_step_read_every() -> None:
    every = make_problem(1, 3, readout="every")
    last = make_problem(1, 3, readout="last")
    last.target, last.weight = (
        every.target[0],
        every.weight[0] if every.weight is not None else None,
    )
    assert last.loss() == every.loss()
    for name in EVERYTHING:
        np.testing.assert_array_equal(last.bptt().gradients[name], every.bptt().gradients[name])


def test_reading_last_is_reading_every_with_weight_on_the_last_step_only() -> None:
    last = make_problem(4, 3, readout="last")
    assert last.weight is not None
    target, weight = np.full((4, 3, K), np.nan), np.zeros((4, 3))
    target[-1], weight[-1] = last.target, last.weight
    every = Problem(last.arrays, target, weight)
    assert last.loss() == pytest.approx(every.loss(), rel=1e-14)
    for name in EVERYTHING:
        np.testing.assert_allclose(
            last.bptt().gradients[name], every.bptt().gradients[name], rtol=1e-12, atol=1e-15
        )


# --- the output layer


@SIZES
@READOUTS
@pytest.mark.parametrize(("loss", "output"), sorted(reference.CANONICAL))
def test_the_canonical_shortcut_is_the_general_jacobian(
    loss: str, output: str, readout: str, T: int, B: int
) -> None:
    problem = make_problem(T, B, loss=loss, output_activation=output, readout=readout)
    general, canonical = problem.bptt("general"), problem.bptt("canonical")
    assert relative_error(general.da2, canonical.da2) < 1e-13
    for name in EVERYTHING:
        assert relative_error(general.gradients[name], canonical.gradients[name]) < 1e-13


@pytest.mark.parametrize(("loss", "output"), sorted(reference.CANONICAL))
def test_the_canonical_delta_is_output_minus_target(loss: str, output: str) -> None:
    problem = make_problem(2, 3, loss=loss, output_activation=output)
    problem.weight = None
    result = problem.bptt()
    np.testing.assert_allclose(result.da2, result.forward.h2 - problem.target, rtol=1e-13)


@pytest.mark.parametrize("jacobian", ["general", "canonical"])
def test_log_loss_needs_no_target_that_sums_to_one(jacobian: str) -> None:
    problem = make_problem(2, 3)
    problem.target = np.random.default_rng(1).normal(size=(2, 3, K))
    expected = problem.complex_step("bias_o")
    assert relative_error(problem.bptt(jacobian).gradients["bias_o"], expected) < 1e-12


@pytest.mark.parametrize("name", reference.OUTPUTS)
def test_the_jacobian_matrix_is_that_of_the_complex_step(name: str) -> None:
    a = np.array([0.5, -1.0, 2.0, 0.1])
    f = reference.OUTPUTS[name]
    expected = np.array([reference.complex_step(component(f, i), a) for i in range(4)])
    jacobian = reference.output_jacobian(f(a), name)
    assert relative_error(jacobian, expected) < 1e-14
    is_diagonal = np.array_equal(jacobian, np.diag(np.diag(jacobian)))
    assert is_diagonal == (name != "softmax")


@pytest.mark.parametrize("name", reference.OUTPUTS)
def test_a_row_times_the_jacobian_needs_no_matrix(name: str) -> None:
    rng = np.random.default_rng(0)
    y = reference.OUTPUTS[name](rng.normal(size=(2, 3, 4)))
    row = rng.normal(size=(2, 3, 4))
    jacobian = reference.output_jacobian(y, name)
    assert jacobian.shape == (2, 3, 4, 4)
    expected = (row[..., np.newaxis, :] @ jacobian)[..., 0, :]
    actual = reference.row_times_output_jacobian(row, y, name)
    np.testing.assert_allclose(actual, expected, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize(
    ("output", "target", "loss", "delta"),
    [
        ("softmax", [0.0, 1.0], 2e4, [1.0, -1.0]),  # sure and wrong
        ("softmax", [1.0, 0.0], 0.0, [0.0, 0.0]),  # sure and right
        ("logistic", [0.0, 1.0], 2e4, [1.0, -1.0]),
        ("logistic", [1.0, 0.0], 0.0, [0.0, 0.0]),
    ],
)
def test_log_loss_is_exact_at_logits_of_ten_thousand(
    output: str, target: list[float], loss: float, delta: list[float]
) -> None:
    problem = make_problem(1, 1, loss="log_loss", output_activation=output)
    problem.arrays |= {"weight_ho": np.zeros((K, M)), "bias_o": np.array([1e4, -1e4])}
    problem.target, problem.weight = np.array([[target]]), None
    with np.errstate(all="raise", under="ignore"):
        result = problem.bptt()
    assert problem.loss() == result.loss == loss
    np.testing.assert_array_equal(result.b1, [delta])
    expected = problem.complex_step("bias_o")
    np.testing.assert_array_equal(expected, delta)


@pytest.mark.parametrize("output", ["softmax", "logistic"])
def test_the_general_jacobian_of_the_log_loss_needs_the_outputs_that_the_target_asks_for(
    output: str,
) -> None:
    problem = make_problem(1, 1, loss="log_loss", output_activation=output)
    problem.arrays |= {"weight_ho": np.zeros((K, M)), "bias_o": np.array([1e4, -1e4])}
    problem.target, problem.weight = np.array([[[1.0, 0.0]]]), None
    with np.errstate(all="raise", under="ignore"):
        np.testing.assert_array_equal(problem.bptt("general").b1, [[0.0, 0.0]])
    problem.target = np.array([[[0.0, 1.0]]])
    with np.errstate(all="ignore"):
        assert not np.isfinite(problem.bptt("general").b1).any()


def test_relu_has_slope_zero_at_zero_and_keeps_nan() -> None:
    f, derivative = reference.ACTIVATIONS["relu"]
    a = np.array([0.0, np.nan])
    np.testing.assert_array_equal(f(a), a)
    assert derivative(f(a))[0] == 0
    assert reference.complex_step(lambda z: f(z)[0], a[:1]) == 0


# --- the network unfolded in time

FIVE = {
    "W1": "weight_ho",
    "b1": "bias_o",
    "W11": "weight_hh",
    "W0": "weight_ih",
    "b0": "bias_h",
}


def unfolded(problem: Problem) -> tuple[dict[str, Array], Callable[..., Any]]:
    """The copies of all steps, and the loss as a function of some of them."""
    arrays = dict(problem.arrays)
    x, h0 = arrays.pop("X"), arrays.pop("h0")
    copies = reference.unfold(arrays, len(x))

    def loss(**changed: Array) -> Any:
        return reference.unfolded_loss(
            copies | changed, x, problem.target, problem.weight, h0, **problem.choices
        )

    return copies, loss


@SIZES
@pytest.mark.parametrize(("symbol", "name"), FIVE.items())
def test_a_parameter_affects_the_loss_through_each_step_alone_and_the_steps_add_up(
    symbol: str, name: str, T: int, B: int
) -> None:
    problem = make_problem(T, B)
    copies, loss = unfolded(problem)
    each = reference.complex_step(lambda copy: loss(**{name: copy}), copies[name])
    each = each.mT if each.ndim == 3 else each[:, np.newaxis]  # the lecture's layout
    result = problem.bptt()
    assert relative_error(result.terms[symbol], each) < 1e-12
    assert relative_error(each.sum(axis=0), np.atleast_2d(problem.complex_step(name).T)) < 1e-12
    assert relative_error(each.sum(axis=0), getattr(result, symbol)) < 1e-12


def test_a_term_is_the_delta_of_its_step_times_the_tensor_of_its_step() -> None:
    problem = make_problem(4, 1)
    problem.weight = None
    result, start = problem.bptt(), problem.arrays["h0"]
    h1, da1, da2 = result.forward.h1[:, 0], result.da1[:, 0], result.da2[:, 0]
    h1_before, x = [start[0], *h1[:-1]], problem.arrays["X"][:, 0]
    times, tensor = reference.row_times_tensor, reference.product_derivative
    for t in range(4):
        for symbol, expected in {
            "W1": times(da2[t], tensor(h1[t], K)),
            "b1": da2[t : t + 1] @ reference.bias_derivative(K),
            "W11": times(da1[t], tensor(h1_before[t], M)),
            "W0": times(da1[t], tensor(x[t], M)),
            "b0": da1[t : t + 1] @ reference.bias_derivative(M),
        }.items():
            np.testing.assert_allclose(result.terms[symbol][t], expected, rtol=1e-14)


@READOUTS
def test_the_terms_add_up_to_the_derivatives_in_float32_and_float64(readout: str) -> None:
    problem = make_problem(4, 3, readout=readout)
    assert problem.weight is not None
    single = replace(
        problem,
        arrays={name: array.astype(np.float32) for name, array in problem.arrays.items()},
        target=problem.target.astype(np.float32),
        weight=problem.weight.astype(np.float32),
    )
    for dtype, result in ((np.float64, problem.bptt()), (np.float32, single.bptt())):
        for symbol, terms in result.terms.items():
            derivative = getattr(result, symbol)
            once = readout != "every" and symbol in ("W1", "b1")
            assert terms.shape == (1 if once else 4, *derivative.shape)
            assert terms.dtype == dtype
            assert relative_error(terms.sum(axis=0), derivative) < 10 * np.finfo(dtype).eps


@LOSS_AND_OUTPUT
def test_the_loss_of_the_unfolded_network_is_the_loss_where_all_copies_are_equal(
    loss: str, output: str
) -> None:
    problem = make_problem(4, 3, loss=loss, output_activation=output, activation="logistic")
    assert unfolded(problem)[1]() == pytest.approx(problem.loss(), rel=1e-14)
    for name, array in problem.arrays.items():
        problem.arrays[name] = array.astype(np.float32)
    problem.target, problem.weight = problem.target.astype(np.float32), None
    copies, unfolded_loss = unfolded(problem)
    assert {copy.dtype for copy in copies.values()} == {np.dtype(np.float32)}
    assert unfolded_loss().dtype == np.float32
    assert unfolded_loss() == pytest.approx(problem.loss(), rel=1e-6)


def test_a_copy_affects_the_outputs_of_its_own_step_or_of_no_earlier_one() -> None:
    # the influence diagram: W1 through a2(t) alone, W0 and W11 through a1(t) and all that follows
    problem = make_problem(4, 1)
    own, from_then_on = np.eye(4, dtype=bool), np.triu(np.ones((4, 4), bool))
    for name, expected in {
        "weight_ho": own,
        "bias_o": own,
        "weight_hh": from_then_on,
        "weight_ih": from_then_on,
        "bias_h": from_then_on,
    }.items():
        for step in range(4):
            problem.weight = np.eye(4)[step][:, np.newaxis]  # the loss of this step alone
            copies, loss = unfolded(problem)
            each = reference.complex_step(lambda c: loss(**{name: c}), copies[name])  # noqa: B023
            affected = np.any(each.reshape(4, -1) != 0, axis=1)
            np.testing.assert_array_equal(affected, expected[:, step])


def test_copies_may_be_changed_one_by_one() -> None:
    parameter = np.ones(2)
    copies = reference.unfold({"bias_o": parameter}, 3)
    copies["bias_o"][1] = 5
    np.testing.assert_array_equal(copies["bias_o"], [[1, 1], [5, 5], [1, 1]])
    np.testing.assert_array_equal(parameter, [1, 1])


def test_copies_of_other_steps_than_the_inputs_are_an_error() -> None:
    problem = make_problem(4, 2)
    _, loss = unfolded(problem)
    copies = reference.unfold({name: problem.arrays[name] for name in FIVE.values()}, 3)
    with pytest.raises(ValueError, match=r"bias_o has shape \(3, 2\) and x has shape \(4, 2, 2\)"):
        loss(bias_o=copies["bias_o"])
    with pytest.raises(ValueError, match=r"bias_o has shape \(\) and x"):
        loss(bias_o=np.array(1.0))
    del copies["bias_o"]
    x = problem.arrays["X"]
    with pytest.raises(ValueError, match="parameters lack bias_o"):
        reference.unfolded_loss(copies, x[:3], problem.target[:3])
    with pytest.raises(ValueError, match=r"x has shape \(0, 2, 2\)"):
        reference.unfolded_loss(copies, x[:0], problem.target[:0])
    copies = reference.unfold({name: problem.arrays[name] for name in FIVE.values()}, 3)
    with pytest.raises(ValueError, match=r"target has shape \(4, 2, 2\)"):
        reference.unfolded_loss(copies, x[:3], problem.target)


# --- weights, batches and padding


@READOUTS
@LOSS_AND_OUTPUT
@pytest.mark.parametrize("nothing", [np.nan, np.inf, 1e300])
def test_a_step_of_weight_zero_contributes_nothing_whatever_its_target(
    loss: str, output: str, readout: str, nothing: float
) -> None:
    problem = make_problem(3, 3, loss=loss, output_activation=output, readout=readout)
    assert problem.weight is not None
    unlabelled = problem.weight == 0
    assert unlabelled.any()
    before = problem.bptt("general")
    problem.target = np.where(unlabelled[..., np.newaxis], nothing, problem.target)
    for jacobian in ("general", "auto"):
        after = problem.bptt(jacobian)
        assert problem.loss() == after.loss == before.loss
        np.testing.assert_array_equal(after.da2[unlabelled], 0)
        for name in EVERYTHING:
            np.testing.assert_allclose(
                after.gradients[name], before.gradients[name], rtol=1e-12, atol=1e-14
            )


def test_the_derivative_in_a_weight_is_the_loss_of_its_step() -> None:
    problem = make_problem(2, 3)
    y, t, weight = problem.forward().h2, problem.target, problem.weight
    assert weight is not None

    def loss(w: Array) -> Any:
        arrays = problem.arrays
        return reference.loss(arrays, arrays["X"], t, w, arrays["h0"])

    actual = reference.complex_step(loss, weight)
    np.testing.assert_allclose(actual, -(t * np.log(y)).sum(axis=-1), rtol=1e-13)


def test_no_weight_is_weight_one() -> None:
    problem = make_problem(3, 2)
    problem.weight = None
    without = problem.bptt()
    problem.weight = np.ones((3, 2))
    with_ones = problem.bptt()
    assert without.loss == with_ones.loss
    np.testing.assert_array_equal(without.W11, with_ones.W11)


@LOSS_AND_OUTPUT
def test_a_ragged_batch_is_the_sum_of_its_sequences_and_the_batch_padded_with_weight_zero(
    loss: str, output: str
) -> None:
    lengths, T = [4, 1, 3], 4
    padded = make_problem(T, 3, loss=loss, output_activation=output)
    padded.weight = np.array([[1.0, 2.0, 0.5], [1.5, 0, 1], [1, 0, 0.25], [0.75, 0, 0]])
    padded.target[np.arange(T)[:, np.newaxis] >= lengths] = np.nan
    whole = padded.bptt()

    single: list[reference.Bptt] = []
    for b, length in enumerate(lengths):
        arrays = padded.arrays | {
            "X": padded.arrays["X"][:length, b : b + 1],
            "h0": padded.arrays["h0"][b : b + 1],
        }
        target, weight = (a[:length, b : b + 1] for a in (padded.target, padded.weight))
        single.append(Problem(arrays, target, weight, padded.choices).bptt())

    assert whole.loss == pytest.approx(sum(part.loss for part in single), rel=1e-13)
    for name in ("W1", "b1", "W11", "W0", "b0"):
        total = sum(getattr(part, name) for part in single)
        np.testing.assert_allclose(getattr(whole, name), total, rtol=1e-11, atol=1e-14)
    for b, (length, part) in enumerate(zip(lengths, single, strict=True)):
        np.testing.assert_allclose(whole.h0[b], part.h0[0], rtol=1e-11, atol=1e-15)
        np.testing.assert_allclose(whole.x[:length, b], part.x[:, 0], rtol=1e-11, atol=1e-15)
        np.testing.assert_array_equal(whole.x[length:, b], 0)


@READOUTS
@LOSS_AND_OUTPUT
@pytest.mark.parametrize("activation", reference.ACTIVATIONS)
def test_float32_stays_float32_and_agrees_with_float64(
    activation: str, loss: str, output: str, readout: str
) -> None:
    problem = away_from_kinks(
        4, 3, activation=activation, output_activation=output, loss=loss, readout=readout
    )
    exact = problem.bptt().gradients
    assert problem.weight is not None
    arrays = {name: array.astype(np.float32) for name, array in problem.arrays.items()}
    single = Problem(arrays, problem.target.astype(np.float32), problem.weight.astype(np.float32))
    single.choices = problem.choices
    for jacobian in ("auto", "general"):
        result = single.bptt(jacobian)
        assert result.loss.dtype == np.float32
        for name in EVERYTHING:
            assert result.gradients[name].dtype == np.float32
            assert relative_error(result.gradients[name], exact[name]) < 1e-3
    single.weight = None
    assert single.bptt().loss.dtype == single.bptt().W11.dtype == np.float32


# --- the detour and the background


def test_the_tensor_of_the_detour_is_the_one_printed_in_the_lecture() -> None:
    x_1, x_2, x_3, x_4 = 2.0, 3.0, 5.0, 7.0
    expected = [
        [[x_1, 0, 0], [x_2, 0, 0], [x_3, 0, 0], [x_4, 0, 0]],
        [[0, x_1, 0], [0, x_2, 0], [0, x_3, 0], [0, x_4, 0]],
        [[0, 0, x_1], [0, 0, x_2], [0, 0, x_3], [0, 0, x_4]],
    ]
    np.testing.assert_array_equal(reference.product_derivative([x_1, x_2, x_3, x_4], K=3), expected)


def test_the_slices_of_the_tensor_are_derivatives_in_the_transposed_layout() -> None:
    x, W = np.array([2.0, 3.0, 5.0, 7.0]), np.arange(12.0).reshape(3, 4)
    tensor = reference.product_derivative(x, K=3)
    for k in range(3):
        expected = reference.complex_step(component(lambda z: z @ x, k), W).T
        np.testing.assert_allclose(tensor[k], expected, rtol=1e-14)


def test_the_derivative_in_a_matrix_is_a_column_times_a_row() -> None:
    # nabla_W L(Wx) = nabla_y L nabla_W y = x (nabla_y L), for L(y) = sum_k sin(y_k)
    x = np.array([0.2, -0.3, 0.5, 0.7])
    W = np.random.default_rng(0).normal(size=(3, 4))
    dy = np.cos(W @ x)
    through_the_tensor = reference.row_times_tensor(dy, reference.product_derivative(x, K=3))
    np.testing.assert_allclose(through_the_tensor, np.outer(x, dy), rtol=1e-14)
    expected = reference.complex_step(lambda z: np.sin(z @ x).sum(), W).T
    np.testing.assert_allclose(through_the_tensor, expected, rtol=1e-13)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_statements_of_the_background_and_the_detour_keep_the_precision(dtype: type) -> None:
    x, A = np.ones(3, dtype), np.ones((3, 3), dtype)
    tensor = reference.product_derivative(x, K=2)
    for derivative in (
        reference.inner_product_derivative(x),
        reference.linear_map_derivative(A),
        reference.quadratic_form_derivative(x, A),
        tensor,
        reference.row_times_tensor(x[:2], tensor),
        reference.output_jacobian(x, "softmax"),
        reference.output_jacobian(x, "tanh"),
    ):
        assert derivative.dtype == dtype


def test_the_derivative_of_an_inner_product_is_the_other_vector_as_a_row() -> None:
    x, y = np.array([1.0, -2.0, 0.5]), np.array([3.0, 4.0, -1.0])
    derivative = reference.inner_product_derivative(y)
    np.testing.assert_array_equal(derivative, [[3.0, 4.0, -1.0]])
    np.testing.assert_allclose(derivative[0], reference.complex_step(lambda z: y @ z, x))


def test_the_derivative_of_a_linear_map_is_its_matrix() -> None:
    x, matrix = np.array([1.0, -2.0, 0.5]), np.array([[3.0, 4.0, -1.0], [0.0, 2.0, 6.0]])
    derivative = reference.linear_map_derivative(matrix)
    for i in range(2):
        expected = reference.complex_step(component(lambda z: matrix @ z, i), x)
        np.testing.assert_allclose(derivative[i], expected)


def test_the_derivative_of_a_quadratic_form_is_the_row_of_the_lecture() -> None:
    x, a = np.array([1.0, -2.0]), np.array([[1.0, 5.0], [-3.0, 2.0]])
    derivative = reference.quadratic_form_derivative(x, a)
    np.testing.assert_allclose(derivative, [[-2.0, -6.0]])  # [1 -2] [[2 2] [2 4]]
    np.testing.assert_allclose(derivative[0], reference.complex_step(lambda z: z @ a @ z, x))
    symmetric = a + a.T
    np.testing.assert_allclose(
        reference.quadratic_form_derivative(x, symmetric), [2 * symmetric @ x]
    )


X = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])


@pytest.mark.parametrize(
    ("function", "argument", "expected"),
    [
        # scalar by vector, y = x1 x2 x3: a row
        (lambda x: x[0] * x[1] * x[2], [2.0, 3.0, 5.0], [[15.0, 10.0, 6.0]]),
        # vector by scalar: a column
        (lambda x: np.stack([x, x**2, x**3]), 2.0, [[1.0], [4.0], [12.0]]),
        # vector by vector, y1 = x1 x2 and y2 = x2 x3: 2 x 3, dy_i/dx_j in row i, column j
        (lambda x: x[:2] * x[1:], [2.0, 3.0, 5.0], [[3.0, 2.0, 0.0], [0.0, 5.0, 3.0]]),
        # scalar by scalar: the 1 x 1 Jacobian
        (lambda x: x**3, 2.0, [[12.0]]),
        # scalar by matrix, y = sum_ij x_ij^2 / 2: transposed
        (lambda x: (x**2).sum() / 2, X, [[1.0, 4.0], [2.0, 5.0], [3.0, 6.0]]),
        # matrix by scalar: as the matrix lies
        (lambda x: x**2 * X, 2.0, [[4.0, 8.0, 12.0], [16.0, 20.0, 24.0]]),
        # vector by matrix, y = Wx: the tensor of the detour
        (lambda w: w @ [2.0, 3.0, 5.0], X, [[[2, 0], [3, 0], [5, 0]], [[0, 2], [0, 3], [0, 5]]]),
    ],
    ids=["row", "column", "Jacobian", "1 x 1", "transposed", "matrix", "tensor"],
)
def test_a_derivative_has_the_layout_of_the_lecture(
    function: Callable[[Array], Array], argument: Any, expected: Any
) -> None:
    actual = reference.derivative(function, argument)
    assert actual.shape == np.shape(expected)
    np.testing.assert_allclose(actual, expected, rtol=1e-14)
    single = reference.derivative(function, np.asarray(argument, np.float32))
    np.testing.assert_array_equal(single, actual)  # complex128 for any precision


@pytest.mark.parametrize(
    ("function", "argument"),
    [
        (lambda x: np.outer(x, x), [1.0, 2.0]),  # matrix by vector
        (lambda x: 2 * x, X),  # matrix by matrix
        (lambda x: x.sum(), np.ones((2, 2, 2))),
        (lambda x: x * np.ones((2, 2, 2)), 1.0),
    ],
)
def test_a_derivative_without_a_layout_in_the_lecture_is_refused(
    function: Callable[[Array], Array], argument: Any
) -> None:
    with pytest.raises(ValueError, match=r"of \d axes .* layouts only for .* use complex_step"):
        reference.derivative(function, argument)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_chain_rule_adds_up_the_ways(dtype: type) -> None:
    # f(u, v) = u sin(v) with u(x) = x^2 and v(x) = e^x
    x = dtype(0.5)
    u, v = x * x, np.exp(x)
    actual = reference.chain_rule((np.sin(v), 2 * x), (u * np.cos(v), np.exp(x)))
    assert actual.dtype == dtype
    expected = reference.derivative(lambda x: x**2 * np.sin(np.exp(x)), 0.5)
    np.testing.assert_allclose(actual, expected[0, 0], rtol=10 * np.finfo(dtype).eps)


def test_the_chain_rule_holds_for_vectors() -> None:
    # f(u, v) with u = Ax and v = Bx
    rng = np.random.default_rng(0)
    A, B, x = (rng.normal(size=size) for size in ((3, 2), (4, 2), 2))

    def f(u: Array, v: Array) -> Any:
        return np.sin(u).sum() * np.exp(v).sum()

    u, v = A @ x, B @ x
    actual = reference.chain_rule(
        (reference.derivative(lambda u: f(u, v), u), reference.linear_map_derivative(A)),
        (reference.derivative(lambda v: f(u, v), v), reference.linear_map_derivative(B)),
    )
    expected = reference.derivative(lambda x: f(A @ x, B @ x), x)
    assert relative_error(actual, expected) < 1e-13


def test_the_derivative_in_a_matrix_of_several_places_is_the_sum_over_the_places() -> None:
    # L = sum_k sin(a_k) e^c_k with a = Wx and c = Wy
    rng = np.random.default_rng(0)
    W, x, y = (rng.normal(size=size) for size in ((3, 2), 2, 2))
    a, c = W @ x, W @ y
    actual = reference.chain_rule(
        (np.cos(a) * np.exp(c), reference.product_derivative(x, 3)),
        (np.sin(a) * np.exp(c), reference.product_derivative(y, 3)),
    )
    expected = reference.derivative(lambda W: np.sum(np.sin(W @ x) * np.exp(W @ y)), W)
    assert relative_error(actual, expected) < 1e-13


@pytest.mark.parametrize(
    ("ways", "message"),
    [
        ([], "got no way"),
        ([([1.0, 2.0], [[1.0, 2.0, 3.0]])], r"ways\[0\] with the shapes \(2,\) and \(1, 3\)"),
        ([(1.0, 2.0), (3.0, [1.0])], r"ways\[1\] with the shapes \(\) and \(1,\)"),
        ([([1.0], [[1.0, 2.0]]), ([[1.0]], [[1.0, 2.0]])], r"ways\[1\] with a product of shape"),
    ],
)
def test_the_chain_rule_refuses_ways_that_do_not_fit(ways: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        reference.chain_rule(*ways)


@pytest.mark.parametrize("name", reference.ACTIVATIONS)
def test_in_one_dimension_the_slope_is_the_1_x_1_jacobian(name: str) -> None:
    x = 0.3
    slope = {
        "tanh": 1 / math.cosh(x) ** 2,
        "relu": 1.0,
        "logistic": 1 / (2 + math.exp(x) + math.exp(-x)),
        "identity": 1.0,
    }[name]
    f = reference.ACTIVATIONS[name].function
    for jacobian in (
        reference.derivative(f, x),
        reference.derivative(f, [x]),
        reference.output_jacobian(f(np.array([x])), name),
    ):
        np.testing.assert_allclose(jacobian, [[slope]], rtol=1e-14)


# --- biases


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_derivative_in_a_bias_is_the_identity(dtype: type) -> None:
    x, W, b = np.array([1.0, -2.0, 0.5]), np.arange(6.0).reshape(2, 3), np.array([3.0, 4.0])
    identity = reference.bias_derivative(2, dtype)
    assert identity.dtype == dtype
    np.testing.assert_array_equal(identity, [[1, 0], [0, 1]])
    np.testing.assert_allclose(identity, reference.derivative(lambda b: W @ x + b, b))


def test_in_a_feed_forward_network_a_bias_derivative_is_the_sum_of_deltas() -> None:
    rng = np.random.default_rng(0)
    x, target = rng.normal(size=(5, 2)), rng.normal(size=(5, 2))  # five samples
    W0, b0, W1, b1 = (rng.normal(size=size) for size in ((3, 2), 3, (2, 3), 2))

    def loss(b0: Array, b1: Array) -> Any:
        h1 = np.tanh(x @ W0.T + b0)
        return ((h1 @ W1.T + b1 - target) ** 2).sum() / 2

    h1 = np.tanh(x @ W0.T + b0)
    da2 = h1 @ W1.T + b1 - target
    da1 = (da2 @ W1) * (1 - h1**2)
    for deltas, of_bias, b in (
        (da1, lambda b0: loss(b0, b1), b0),
        (da2, lambda b1: loss(b0, b1), b1),
    ):
        actual = reference.sum_of_deltas(deltas)
        assert relative_error(actual, reference.derivative(of_bias, b)) < 1e-13


def test_in_a_convolutional_network_a_bias_derivative_is_the_sum_of_deltas() -> None:
    rng = np.random.default_rng(0)
    images, target = rng.normal(size=(2, 5, 6)), rng.normal(size=(2, 3))
    patches = np.lib.stride_tricks.sliding_window_view(images, (3, 2), axis=(1, 2))
    kernels, b0 = rng.normal(size=(4, 3, 2)), rng.normal(size=4)
    W1, b1 = rng.normal(size=(3, 4)), rng.normal(size=3)

    def hidden(b0: Array) -> Array:  # (images, rows, columns, 4 maps)
        return np.tanh(np.einsum("nrcij,kij->nrck", patches, kernels) + b0)

    def loss(b0: Array, b1: Array) -> Any:
        pooled = hidden(b0).mean(axis=(1, 2))
        return ((pooled @ W1.T + b1 - target) ** 2).sum() / 2

    h1 = hidden(b0)
    assert h1.shape == (2, 3, 5, 4)  # b0 is added at 15 positions of each image
    da2 = h1.mean(axis=(1, 2)) @ W1.T + b1 - target
    da1 = (da2 @ W1)[:, np.newaxis, np.newaxis] / 15 * (1 - h1**2)
    for deltas, of_bias, b in (
        (da1, lambda b0: loss(b0, b1), b0),
        (da2, lambda b1: loss(b0, b1), b1),
    ):
        actual = reference.sum_of_deltas(deltas)
        assert relative_error(actual, reference.derivative(of_bias, b)) < 1e-13


def test_in_a_recurrent_network_a_bias_derivative_is_the_sum_of_deltas() -> None:
    problem = make_problem(4, 3)
    result = problem.bptt()
    for deltas, name in ((result.da1, "bias_h"), (result.da2, "bias_o")):
        actual = reference.sum_of_deltas(deltas)
        assert relative_error(actual[0], problem.complex_step(name)) < 1e-13


def test_a_sum_of_deltas_keeps_float32_and_needs_an_axis() -> None:
    deltas = np.arange(12, dtype=np.float32).reshape(2, 3, 2)
    total = reference.sum_of_deltas(deltas)
    assert total.dtype == np.float32
    np.testing.assert_array_equal(total, [[30, 36]])
    np.testing.assert_array_equal(reference.sum_of_deltas([2.0, 3.0]), [[2.0, 3.0]])
    with pytest.raises(ValueError, match=r"deltas must be a \(\.\.\., K\) array"):
        reference.sum_of_deltas(2.0)


def test_the_complex_step_is_exact_where_a_difference_is_not() -> None:
    x = np.array([[0.1, 1.5, -2.0]])
    exact = np.exp(x) * (np.sin(x) + np.cos(x))
    actual = reference.complex_step(lambda z: (np.exp(z) * np.sin(z)).sum(), x)
    np.testing.assert_allclose(actual, exact, rtol=1e-15)
    difference = ((np.exp(x + 1e-8) * np.sin(x + 1e-8)) - np.exp(x) * np.sin(x)) / 1e-8
    assert np.abs(difference / exact - 1).max() > 1e-10


def test_the_complex_step_of_an_array_has_the_axes_of_the_value_first() -> None:
    x, W = np.array([1.0, 2.0, 3.0]), np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    np.testing.assert_array_equal(reference.complex_step(lambda x: W @ x, x), W)
    slopes = reference.complex_step(lambda W: W @ x, W)
    assert slopes.shape == (2, 2, 3)
    np.testing.assert_array_equal(slopes[0], [x, 0 * x])
    np.testing.assert_array_equal(slopes[1], [0 * x, x])


def test_the_complex_step_refuses_a_function_that_drops_the_imaginary_part() -> None:
    with pytest.raises(TypeError, match="must return a complex number"):
        reference.complex_step(lambda z: z.real.sum(), [1.0, 2.0])


# --- errors


@pytest.mark.parametrize("output", ["identity", "tanh", "relu"])
def test_log_loss_goes_with_probabilities_only(output: str) -> None:
    problem = make_problem(2, 1, loss="log_loss", output_activation=output)
    for call in (problem.loss, problem.bptt):
        with pytest.raises(ValueError, match=f"'log_loss' does not go with.*'{output}'"):
            call()


@pytest.mark.parametrize(("loss", "output"), sorted(set(PAIRS) - reference.CANONICAL))
def test_the_canonical_shortcut_is_refused_where_it_does_not_hold(loss: str, output: str) -> None:
    problem = make_problem(2, 1, loss=loss, output_activation=output)
    with pytest.raises(ValueError, match="jacobian='canonical' does not hold"):
        problem.bptt("canonical")


@pytest.mark.parametrize(
    "argument", ["activation", "output_activation", "loss", "readout", "jacobian"]
)
def test_an_unknown_name_is_answered_with_the_known_ones(argument: str) -> None:
    problem = make_problem(2, 1)
    arrays = problem.arrays
    choice: dict[str, Any] = {argument: "swish"}
    with pytest.raises(ValueError, match=f"{argument}='swish' is not known; choose one of "):
        reference.bptt(arrays, arrays["X"], problem.target, **choice)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("weight_ih", (M, D + 1)),
        ("weight_hh", (M, M + 1)),
        ("bias_h", (1,)),
        ("weight_ho", (K, M + 1)),
        ("bias_o", (1,)),
        ("h0", (1, M)),
        ("X", (0, 2, D)),
        ("X", (2, D)),
    ],
)
def test_a_wrong_shape_is_an_error_and_is_not_broadcast(name: str, shape: tuple[int, ...]) -> None:
    problem = make_problem(4, 2)
    with pytest.raises(ValueError, match="shape"):
        problem.having(name, np.ones(shape)).bptt()


def test_target_and_weight_are_not_broadcast() -> None:
    problem = make_problem(4, 2)
    arrays = problem.arrays
    with pytest.raises(ValueError, match=r"target has shape \(2, 2\), but .* \(4, 2, 2\)"):
        reference.loss(arrays, arrays["X"], problem.target[0])
    with pytest.raises(ValueError, match=r"weight has shape \(2,\), but must be \(4, 2\)"):
        reference.loss(arrays, arrays["X"], problem.target, np.ones(2))


def test_a_missing_parameter_is_named() -> None:
    arrays = make_problem(2, 1).arrays
    x = arrays.pop("X")
    del arrays["bias_o"]
    with pytest.raises(ValueError, match="parameters lack bias_o"):
        reference.forward(arrays, x)


def test_one_hot_has_its_one_at_the_label() -> None:
    actual = reference.one_hot([[2, 0], [1, 1]], 3)
    expected = [[[0, 0, 1], [1, 0, 0]], [[0, 1, 0], [0, 1, 0]]]
    np.testing.assert_array_equal(actual, expected)
    assert actual.dtype == np.float64
    assert reference.one_hot([0], 2, np.float32).dtype == np.float32


@pytest.mark.parametrize("label", [-1, 3, 0.5])
def test_one_hot_refuses_what_is_not_a_label(label: float) -> None:
    with pytest.raises(ValueError, match=f"label {label}, but labels must be integers from 0 to 2"):
        reference.one_hot([0, label], 3)
