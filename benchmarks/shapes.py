"""The problems that are timed, and their data: ten shapes, awkward sizes, unequal lengths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

import cbptt
from cbptt.datasets import load_japanese_vowels

Array = NDArray[Any]


@dataclass(frozen=True)
class Problem:
    """Sequences of given lengths, D inputs, M hidden units, K outputs.

    With K > 1 the targets are classes and the loss is the cross-entropy of softmax; with K = 1 they
    are numbers and it is half the squared error. Either is summed over the targets.
    """

    name: str
    lengths: tuple[int, ...]
    D: int
    M: int
    K: int
    readout: str
    what: str

    @property
    def B(self) -> int:
        """Sequences."""
        return len(self.lengths)

    @property
    def T(self) -> int:
        """Steps of the longest."""
        return max(self.lengths)

    @property
    def N(self) -> int:
        """Steps of all."""
        return sum(self.lengths)

    @property
    def is_ragged(self) -> bool:
        """Whether the lengths differ."""
        return self.N < self.B * self.T

    @property
    def n_targets(self) -> int:
        """Rows that an output is computed for."""
        return self.N if self.readout == "every" else self.B

    @property
    def training_flops(self) -> int:
        """Multiplications and additions of the products of one training step, no dL/dx."""
        return self.N * (6 * self.M**2 + 4 * self.D * self.M) + 6 * self.n_targets * self.M * self.K

    @property
    def forward_flops(self) -> int:
        """Those of the forward pass."""
        return self.N * (2 * self.M**2 + 2 * self.D * self.M) + 2 * self.n_targets * self.M * self.K

    def data(self, dtype: DTypeLike) -> tuple[Array, Array]:
        """Return X (N, D), one sequence after the other, and a target for each row that is read."""
        rng = np.random.default_rng(0)
        X = rng.normal(size=(self.N, self.D)).astype(dtype)
        if self.K > 1:
            return X, rng.integers(0, self.K, self.n_targets)
        return X, rng.normal(size=self.n_targets).astype(dtype)

    def network(self, dtype: str) -> cbptt.RNN:
        """Return the network whose parameters every library starts from."""
        return cbptt.RNN(
            self.D,
            self.M,
            self.K,
            output_activation="softmax" if self.K > 1 else "identity",
            loss="log_loss" if self.K > 1 else "squared_error",
            readout=self.readout,
            dtype=dtype,
            random_state=0,
        )

    def split(self, rows: Array) -> list[Array]:
        """Cut rows in the order of X into sequences."""
        return np.split(rows, np.cumsum(self.lengths)[:-1])

    def time_major(self, rows: Array) -> Array:
        """Turn (N, ...) rows of equally long sequences into (T, B, ...)."""
        return np.ascontiguousarray(rows.reshape(self.B, self.T, *rows.shape[1:]).swapaxes(0, 1))

    def time_major_targets(self, Y: Array) -> Array:
        """Turn the targets of equally long sequences into (T, B); (B,) of last steps stays."""
        return self.time_major(Y) if self.readout == "every" else Y

    def rows(self, output: Array) -> Array:
        """Turn outputs (T, B, K), or (B, K), back into rows in the order of X."""
        if self.readout == "every":
            output = output.reshape(self.T, self.B, self.K).swapaxes(0, 1)
        return output.reshape(-1, self.K)

    def described(self) -> dict[str, Any]:
        """Return the sizes by name."""
        sizes = {name: getattr(self, name) for name in "BTNDMK"}
        return {"name": self.name, **sizes, "readout": self.readout, "what": self.what}


def equal(
    name: str, B: int, T: int, D: int, M: int, K: int, readout: str, what: str = ""
) -> Problem:
    """B sequences of T steps."""
    return Problem(name, (T,) * B, D, M, K, readout, what)


SHAPES = [
    equal("minchar", 1, 25, 65, 100, 65, "every", "Karpathy's min-char-rnn"),
    equal("tiny", 32, 50, 1, 16, 1, "last", "a small series"),
    equal("vowels", 32, 29, 12, 64, 9, "last", "a mini-batch of Japanese vowels, equal lengths"),
    equal("adding", 50, 200, 2, 128, 1, "last", "the adding problem"),
    equal("seqmnist", 100, 784, 1, 128, 10, "last", "digits pixel by pixel"),
    equal("char", 64, 100, 65, 256, 65, "every", "a character model"),
    equal("medium", 64, 200, 32, 128, 8, "every", "a tagger"),
    equal("large", 128, 100, 128, 512, 32, "last", "a wide classifier"),
    equal("deepbench16", 16, 50, 1760, 1760, 10, "last", "Baidu DeepBench"),
    equal("deepbench64", 64, 50, 1760, 1760, 10, "last", "Baidu DeepBench"),
]

# One more than a power of two, and batches that fill no tile of rows.
AWKWARD = [
    equal(f"M{M}-B{B}", B, 50, 8, M, 4, "last")
    for M in (17, 33, 65, 129, 250)
    for B in (1, 2, 3, 5, 7, 13)
]


def ragged() -> list[tuple[Problem, Problem]]:
    """Sequences of unequal lengths, each with as many of equal length and, nearly, the same total.

    The lengths are drawn from those of the Japanese Vowels, from 1 to 58 uniformly, and from a
    geometric law of mean 15 cut off at 120.
    """
    vowels = load_japanese_vowels()
    of_vowels = np.concatenate([vowels.X_train.lengths, vowels.X_test.lengths])
    pairs = []
    for B, D, M, K, readout, what in (
        (32, 12, 64, 9, "last", "classifier"),
        (64, 32, 128, 8, "every", "tagger"),
    ):
        rng = np.random.default_rng(0)
        for law, lengths in (
            ("vowels", rng.choice(of_vowels, B)),
            ("uniform", rng.integers(1, 59, B)),
            ("geometric", np.minimum(rng.geometric(1 / 15, B), 120)),
        ):
            name = f"{what}-{law}"
            unequal = Problem(name, tuple(map(int, lengths)), D, M, K, readout, what)
            T = round(unequal.N / B)
            pairs.append((unequal, equal(f"{name}-equal", B, T, D, M, K, readout, what)))
    return pairs


def chosen(problems: Sequence[Problem], patterns: str) -> list[Problem]:
    """Return those whose names match one of the patterns, such as `tiny,deep*`."""
    wanted = patterns.split(",")
    for pattern in wanted:
        if not any(fnmatch(problem.name, pattern) for problem in problems):
            names = ", ".join(problem.name for problem in problems)
            raise SystemExit(f"no shape is called {pattern!r}; there are {names}")
    return [p for p in problems if any(fnmatch(p.name, pattern) for pattern in wanted)]
