"""Rollouts: the compiled loop equals steps of the network fed by hand, and draws by probability."""

import numpy as np
import pytest

from cbptt import RNN
from cbptt.rollout import continue_series, draw_symbols

DTYPES = ("float32", "float64")
LAGS = np.array([1, 3])


def tolerance(dtype: str) -> float:
    return 1e-12 if dtype == "float64" else 1e-4


def forecaster(dtype: str, K: int = 2, E: int = 1, M: int = 7) -> RNN:
    return RNN(2 * K + E, M, K, dtype=dtype, random_state=0)


def by_hand(net: RNN, past, states, known, noise) -> np.ndarray:
    """The same by calls of `forward`, in the reference's precision: one step at a time."""
    series, h = past, states
    for t in range(known.shape[1]):
        x = np.concatenate([*(series[:, -lag] for lag in LAGS), known[:, t]], axis=1)
        told = net.forward(x[:, None], h)
        h = told.state
        y = told.output[:, 0] + noise[:, t]
        series = np.concatenate([series, y[:, None]], axis=1)
    return series[:, past.shape[1] :]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [1, 2, 7])
@pytest.mark.parametrize("E", [0, 1, 3])
def test_a_forecast_is_the_network_stepped_on_its_own_outputs(dtype: str, n: int, E: int) -> None:
    rng, net = np.random.default_rng(n), forecaster(dtype, E=E)
    past, states = rng.normal(size=(n, 5, 2)), rng.normal(size=(n, 7))
    known, noise = rng.normal(size=(n, 9, E)), rng.normal(size=(n, 9, 2))
    expected = by_hand(net, past, states, known, noise)
    before = states.copy()
    told = continue_series(net, past, states, known, LAGS, noise)
    assert told.dtype == net.dtype
    np.testing.assert_allclose(told, expected, rtol=0, atol=tolerance(dtype))
    np.testing.assert_array_equal(states, before)
    quiet = continue_series(net, past, states, known, LAGS)
    expected = by_hand(net, past, states, known, 0 * noise)
    np.testing.assert_allclose(quiet, expected, rtol=0, atol=tolerance(dtype))


@pytest.mark.parametrize("dtype", DTYPES)
def test_how_many_steps_a_call_takes_does_not_matter(
    dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng, net = np.random.default_rng(0), forecaster(dtype)
    past, states, known = rng.normal(size=(2, 3, 2)), np.zeros((2, 7)), rng.normal(size=(2, 10, 1))
    classes = RNN(3, 4, 3, output_activation="softmax", loss="log_loss", dtype=dtype)

    def both() -> tuple[np.ndarray, np.ndarray]:
        x, h, rng = np.eye(3)[:2], np.zeros((2, 4)), np.random.default_rng(1)
        drawn = draw_symbols(classes, x, h, np.eye(3), 10, 1.0, rng)
        return continue_series(net, past, states, known, LAGS), drawn

    whole = both()
    monkeypatch.setattr("cbptt.rollout.ROWS_PER_CALL", 6)
    for a, b in zip(whole, both(), strict=True):
        np.testing.assert_array_equal(a, b)


def classifier(K: int, dtype: str) -> RNN:
    """A network of K classes, whose symbols come as one-hot rows."""
    f_out, outputs = ("logistic", 1) if K == 2 else ("softmax", K)
    net = RNN(K, 6, outputs, output_activation=f_out, loss="log_loss", dtype=dtype, random_state=1)
    net.theta *= 3
    return net


def probabilities(outputs: np.ndarray, temperature: float) -> np.ndarray:
    """(..., classes), each raised to the power of 1 / temperature."""
    p = outputs.astype(np.float64)
    if p.shape[-1] == 1:
        p = np.concatenate([1 - p, p], axis=-1)
    p = p ** (1 / temperature)
    return p / p.sum(-1, keepdims=True)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("K", [2, 3, 40])
@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("n", [1, 7])
def test_symbols_are_drawn_by_the_probabilities_after_the_one_before(
    dtype: str, K: int, temperature: float, n: int
) -> None:
    net, T = classifier(K, dtype), 50
    first, h0 = np.eye(K)[np.arange(n) % K], np.random.default_rng(2).normal(size=(n, 6))
    drawn = draw_symbols(net, first, h0, np.eye(K), T, temperature, np.random.default_rng(3))
    x = np.concatenate([first[:, None], np.eye(K)[drawn[:, :-1]]], axis=1)
    cumulated = probabilities(net.forward(x, h0).output, temperature).cumsum(-1)
    u = np.random.default_rng(3).random((n, T))
    expected = (cumulated <= u[..., None]).sum(-1)
    agree = expected == drawn
    if dtype == "float64":
        assert agree.all()
    nearest = np.abs(cumulated - u[..., None]).min(-1)
    assert nearest[~agree].size == 0 or nearest[~agree].max() < 1e-5  # rounding of float32
    assert len(np.unique(drawn)) > 1


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("K", [2, 5])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_no_symbol_is_drawn_where_a2_is_not_finite(dtype: str, K: int, temperature: float) -> None:
    net = classifier(K, dtype)
    for value in (np.inf, -np.inf, np.nan):
        net.parameters["bias_o"][:] = 0
        net.parameters["bias_o"][-1] = value
        first, h0 = np.eye(K)[:1], np.zeros((1, 6))
        rng = np.random.default_rng(0)
        drawn = draw_symbols(net, first, h0, np.eye(K), 3, temperature, rng)
        np.testing.assert_array_equal(drawn, [[-1, -1, -1]])


@pytest.mark.parametrize("K", [2, 5])
def test_temperature_0_takes_the_most_probable_symbol(K: int) -> None:
    net, h0 = classifier(K, "float64"), np.zeros((1, 6))
    first = np.eye(K)[:1]
    drawn = draw_symbols(net, first, h0, np.eye(K), 30, 0.0, np.random.default_rng(0))
    x = np.concatenate([first[:, None], np.eye(K)[drawn[:, :-1]]], axis=1)
    expected = probabilities(net.forward(x, h0).output, 1.0).argmax(-1)
    np.testing.assert_array_equal(drawn, expected)
