"""Temporal exclusive or: structure that only a memory can find.

J. L. Elman, "Finding structure in time", Cognitive Science 14 (1990) 179-211: in a stream of bits
every third bit is the exclusive or of the two before it, and the others are random. A network sees
one bit at a time and predicts the next. Only the third can be known, and only by remembering two
bits, so the squared error should fall at every third step and stay at 1/4, that of the best guess
1/2, everywhere else. Here, as there, 3000 bits train the network; the error is that of other bits.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cbptt import RNNSequenceRegressor

N_SEQUENCES, N_STEPS = 50, 60


def make_temporal_xor(
    n_sequences: int, n_steps: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Bits 0 and 1, (n_sequences, n_steps): two random ones, their exclusive or, and so on."""
    random = rng.integers(0, 2, size=(n_sequences, n_steps // 3, 2))
    exclusive_or = random[..., :1] ^ random[..., 1:]
    bits = np.concatenate([random, exclusive_or], axis=2)
    return bits.reshape(n_sequences, n_steps).astype(np.float64)


def main() -> None:
    rng = np.random.default_rng(0)
    train = make_temporal_xor(N_SEQUENCES, N_STEPS, rng)
    test = make_temporal_xor(400, N_STEPS, rng)
    print(
        f"{train.size} bits to train, the first: {''.join(f'{bit:.0f}' for bit in train[0, :30])}"
    )

    model = RNNSequenceRegressor(
        8,
        learning_rate_init=0.02,
        batch_size=5,
        max_iter=500,
        tol=1e-5,
        n_iter_no_change=20,
        random_state=0,
    )
    model.fit(train[:, :-1], train[:, 1:])
    print(f"{model.hidden_layer_sizes} hidden units, {model.n_iter_} epochs")

    error = (model.predict(test[:, :-1]) - test[:, 1:]) ** 2  # (400, 59), of bits 2 to 60
    predicted = np.arange(2, N_STEPS + 1)
    print(f"\nmean squared error of the prediction of a bit, {len(test)} sequences")
    for bit, value in zip(predicted[:12], error.mean(axis=0), strict=False):
        print(f"bit {bit:2}  {value:.3f}  {'#' * round(160 * value)}")

    print("\nmean squared error by position in the triple, all bits")
    for position, kind in enumerate(("random", "random", "exclusive or"), start=1):
        chosen = (predicted - 1) % 3 + 1 == position
        print(f"position {position} ({kind}): {error[:, chosen].mean():.4f}")


if __name__ == "__main__":
    main()
