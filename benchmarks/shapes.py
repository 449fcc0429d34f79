"""The problems that are timed, and their data: shapes, awkward sizes, unequal lengths, cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

import cbptt
from cbptt.datasets import load_japanese_vowels

Array = NDArray[Any]
N_GATES = {"rnn": 1, "gru": 3, "lstm": 4}


@dataclass(frozen=True)
class Problem:
    """Sequences of given lengths, D inputs, M hidden units, K outputs.

    With K > 1 the targets are classes and the loss is the cross-entropy of softmax; with K = 1 they
    are numbers and it is half the squared error. Either is summed over the targets. The recurrent
    layers have M units each, and as many in the other direction if `bidirectional`.
    """

    name: str
    lengths: tuple[int, ...]
    D: int
    M: int
    K: int
    readout: str
    what: str
    cell: str = "rnn"
    n_layers: int = 1
    bidirectional: bool = False

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
    def is_lecture(self) -> bool:
        """Whether the network is the lecture's: plain cells, one layer, one direction."""
        return self.cell == "rnn" and self.n_layers == 1 and not self.bidirectional

    @property
    def n_directions(self) -> int:
        """1 or 2."""
        return 2 if self.bidirectional else 1

    @property
    def width(self) -> int:
        """Numbers that a layer passes on at each step."""
        return self.M * self.n_directions

    @property
    def suffixes(self) -> list[list[str]]:
        """What the names of parameters end with, of each layer, of each direction."""
        if self.n_layers == self.n_directions == 1:
            return [[""]]
        ways = ("", "_reverse")[: self.n_directions]
        return [[f"_l{layer}{way}" for way in ways] for layer in range(self.n_layers)]

    @property
    def training_flops(self) -> int:
        """Multiplications and additions of the products of one training step, no dL/dx."""
        G, M, inputs = N_GATES[self.cell], self.M, (self.n_layers - 1) * self.width
        layers = self.n_layers * 6 * M + 4 * self.D + 6 * inputs  # the upper ones have a dL/dx
        return (
            self.n_directions * self.N * G * M * layers + 6 * self.n_targets * self.width * self.K
        )

    @property
    def forward_flops(self) -> int:
        """Those of the forward pass."""
        G, M, inputs = N_GATES[self.cell], self.M, (self.n_layers - 1) * self.width
        layers = self.n_layers * 2 * M + 2 * self.D + 2 * inputs
        return (
            self.n_directions * self.N * G * M * layers + 2 * self.n_targets * self.width * self.K
        )

    def data(self, dtype: DTypeLike) -> tuple[Array, Array]:
        """Return X (N, D), one sequence after the other, and a target for each row that is read."""
        rng = np.random.default_rng(0)
        X = rng.normal(size=(self.N, self.D)).astype(dtype)
        if self.K > 1:
            return X, rng.integers(0, self.K, self.n_targets)
        # the mean is not 0, so that the gradient of the output bias is more than rounding errors
        return X, rng.normal(1, size=self.n_targets).astype(dtype)

    def network(self, dtype: str) -> cbptt.RNN:
        """Return the network whose parameters every library starts from.

        What is as in the lecture is not passed, as an older version may not know it.
        """
        more: dict[str, Any] = {}
        if not self.is_lecture:
            more = {"cell": self.cell, "bidirectional": self.bidirectional}
        network = cbptt.RNN(
            self.D,
            self.M if self.n_layers == 1 else (self.M,) * self.n_layers,
            self.K,
            output_activation="softmax" if self.K > 1 else "identity",
            loss="log_loss" if self.K > 1 else "squared_error",
            readout=self.readout,
            dtype=dtype,
            random_state=0,
            **more,
        )
        if self.cell == "gru":  # which starts from 0, and would hide an error here
            rng = np.random.default_rng(1)
            for name, view in network.parameters.items():
                if name.startswith("bias_hn"):
                    view += rng.normal(scale=0.1, size=view.shape)
        return network

    def split(self, rows: Array) -> list[Array]:
        """Cut rows in the order of X into sequences."""
        return np.split(rows, np.cumsum(self.lengths)[:-1])

    def time_major(self, rows: Array) -> Array:
        """Turn (N, ...) rows of equally long sequences into (T, B, ...)."""
        return np.ascontiguousarray(rows.reshape(self.B, self.T, *rows.shape[1:]).swapaxes(0, 1))

    def padded(self, rows: Array) -> Array:
        """Turn (N, ...) rows of sequences of any lengths into (T, B, ...), padded by 0."""
        padded = np.zeros((self.T, self.B, *rows.shape[1:]), rows.dtype)
        for i, sequence in enumerate(self.split(rows)):
            padded[: len(sequence), i] = sequence
        return padded

    @property
    def last_steps(self) -> tuple[Array, Array]:
        """Index, in (T, B, ...), the last step of every sequence."""
        return np.array(self.lengths) - 1, np.arange(self.B)

    @property
    def backwards(self) -> tuple[Array, Array]:
        """Index (T, B, ...) so that every sequence is reversed and padding stays behind it."""
        t, lengths = np.arange(self.T)[:, None], np.array(self.lengths)
        return np.where(t < lengths, lengths - 1 - t, t), np.arange(self.B)

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
        names = ("name", "readout", "what", "cell", "n_layers", "bidirectional")
        return sizes | {name: getattr(self, name) for name in names}


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


NINE = ("tiny", "online", "vowels", "ragged", "adding", "medium", "char", "large", "seqmnist")
THREE = ("vowels", "ragged", "medium")  # with two layers and with two directions too


def lengths_of_vowels() -> Array:
    """Return those of all utterances of the Japanese Vowels: 7 to 29."""
    vowels = load_japanese_vowels()
    return np.concatenate([vowels.X_train.lengths, vowels.X_test.lengths])


def ragged() -> list[tuple[Problem, Problem]]:
    """Sequences of unequal lengths, each with as many of equal length and, nearly, the same total.

    The lengths are drawn from those of the Japanese Vowels, from 1 to 58 uniformly, and from a
    geometric law of mean 15 cut off at 120.
    """
    of_vowels = lengths_of_vowels()
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


def of_cell(cell: str) -> list[Problem]:
    """Return the nine shapes of a cell; then some with two layers, and with two directions.

    They are as in SHAPES, but `online` is a single sequence, `ragged` is `vowels` with lengths
    drawn from those of the Japanese Vowels, and `large` has half the batch.
    """
    plain = {shape.name: shape for shape in SHAPES}
    lengths = np.random.default_rng(0).choice(lengths_of_vowels(), plain["vowels"].B)
    plain |= {
        "online": equal("online", 1, 100, 32, 64, 8, "every", "a single sequence"),
        "ragged": replace(
            plain["vowels"],
            name="ragged",
            lengths=tuple(map(int, lengths)),
            what="a mini-batch of Japanese vowels",
        ),
        "large": replace(plain["large"], lengths=plain["large"].lengths[:64]),
    }
    nine = [replace(plain[name], cell=cell) for name in NINE]
    deeper = [replace(p, name=f"{p.name}-2-layers", n_layers=2) for p in nine if p.name in THREE]
    both = [
        replace(p, name=f"{p.name}-2-ways", bidirectional=True) for p in nine if p.name in THREE
    ]
    return [*nine, *deeper, *both]


def shapes_of(cells: Sequence[str], patterns: str) -> list[Problem]:
    """Return the shapes of some cells that match the patterns; their names begin with the cell.

    Those of the cell "rnn" are SHAPES, under their own names.
    """
    problems = []
    for cell in cells:
        if cell == "rnn":
            problems += chosen(SHAPES, patterns)
        else:
            problems += with_cell(chosen(of_cell(cell), patterns))
    return problems


def with_cell(problems: Sequence[Problem]) -> list[Problem]:
    """Name the cell in the names."""
    return [replace(problem, name=f"{problem.cell} {problem.name}") for problem in problems]


def chosen(problems: Sequence[Problem], patterns: str) -> list[Problem]:
    """Return those whose names match one of the patterns, such as `tiny,deep*`."""
    wanted = patterns.split(",")
    for pattern in wanted:
        if not any(fnmatch(problem.name, pattern) for problem in problems):
            names = ", ".join(problem.name for problem in problems)
            raise SystemExit(f"no shape is called {pattern!r}; there are {names}")
    return [p for p in problems if any(fnmatch(p.name, pattern) for pattern in wanted)]
