"""The next value of noisy sines of unequal length, period and phase.

Shows regression at every step of ragged sequences: y is x one step later. Each sequence has a
period of its own, from 10 to 30 steps, which the network must find out while it reads; so its error
falls along the sequence. It is compared with persistence (the next value is the present one) and
with the best linear prediction from the last 10 values. No prediction can do better than the noise.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cbptt import RNNSequenceRegressor

NOISE = 0.1
ORDER = 10

Values = NDArray[np.float64]


def make_sines(n_sequences: int, rng: np.random.Generator) -> list[Values]:
    """Noisy sines, each (T_i,), of 31 to 91 steps."""
    sines = []
    for length in rng.integers(31, 92, size=n_sequences):
        period, phase = rng.uniform(10, 30), rng.uniform(0, 2 * np.pi)
        clean = np.sin(2 * np.pi * np.arange(length) / period + phase)
        sines.append(clean + NOISE * rng.normal(size=length))
    return sines


def inputs_and_targets(sines: list[Values]) -> tuple[list[Values], list[Values]]:
    """Every value but the last, and every value but the first."""
    return [sine[:-1] for sine in sines], [sine[1:] for sine in sines]


def windows(sines: list[Values]) -> tuple[Values, Values]:
    """ORDER values in a row, (n, ORDER), and the value after them, (n,)."""
    cut = [np.lib.stride_tricks.sliding_window_view(sine, ORDER + 1) for sine in sines]
    rows = np.concatenate(cut)
    return rows[:, :-1], rows[:, -1]


def mean_square(errors: list[Values]) -> float:
    return float(np.mean(np.concatenate(errors) ** 2))


def main() -> None:
    rng = np.random.default_rng(0)
    train, test = make_sines(100, rng), make_sines(100, rng)
    X_train, y_train = inputs_and_targets(train)
    X_test, y_test = inputs_and_targets(test)
    lengths = [len(x) for x in X_train]
    print(f"{len(train)} sines of {min(lengths)} to {max(lengths)} steps to train, as many to test")

    model = RNNSequenceRegressor(
        32, learning_rate_init=0.005, max_iter=500, tol=1e-5, random_state=0
    )
    model.fit(X_train, y_train)
    print(f"{model.hidden_layer_sizes} hidden units, {model.n_iter_} epochs")

    past, following = windows(train)
    coefficients = np.linalg.lstsq(past, following, rcond=None)[0]
    past, following = windows(test)
    network = [y - p for y, p in zip(y_test, model.predict(X_test), strict=True)]
    persistence = [y - x for x, y in zip(X_test, y_test, strict=True)]
    errors = {
        "persistence": [error[ORDER - 1 :] for error in persistence],
        f"linear, last {ORDER} values": [following - past @ coefficients],
        "recurrent network": [error[ORDER - 1 :] for error in network],
    }
    print(f"\nmean squared error of the next value, on the test sines from step {ORDER}")
    for name, error in errors.items():
        print(f"{name + ':':24} {mean_square(error):.4f}")
    print(f"{'noise:':24} {NOISE**2:.4f}")

    print("\nthe network's, by how much it has read")
    for first, last in ((1, 5), (6, 10), (11, 20), (21, None)):
        steps = f"steps {first} to {last}:" if last else f"from step {first}:"
        print(f"{steps:24} {mean_square([error[first - 1 : last] for error in network]):.4f}")
    print(f"\nR^2 on the test sines: {model.score(X_test, y_test):.3f}")


if __name__ == "__main__":
    main()
