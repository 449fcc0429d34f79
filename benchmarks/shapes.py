"""The ten shapes that every benchmark runs, and their data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike, NDArray


@dataclass(frozen=True)
class Shape:
    """B sequences of T steps, D inputs, M hidden units, K outputs."""

    name: str
    B: int
    T: int
    D: int
    M: int
    K: int
    readout: str
    what: str

    @property
    def n_targets(self) -> int:
        """Rows that an output is computed for."""
        return self.B * self.T if self.readout == "every" else self.B

    @property
    def training_flops(self) -> int:
        """Multiplications and additions of the products of one training step, no dL/dx."""
        return self.B * self.T * (6 * self.M**2 + 4 * self.D * self.M) + (
            6 * self.n_targets * self.M * self.K
        )

    @property
    def forward_flops(self) -> int:
        """Those of the forward pass."""
        return self.B * self.T * (2 * self.M**2 + 2 * self.D * self.M) + (
            2 * self.n_targets * self.M * self.K
        )

    def data(self, dtype: DTypeLike) -> tuple[NDArray[np.floating], NDArray[np.generic]]:
        """Return X (B, T, D) and Y: classes where K > 1, else numbers; per step or per sequence."""
        rng = np.random.default_rng(0)
        X = rng.normal(size=(self.B, self.T, self.D)).astype(dtype)
        places = (self.B, self.T) if self.readout == "every" else (self.B,)
        if self.K > 1:
            return X, rng.integers(0, self.K, places)
        return X, rng.normal(size=places).astype(dtype)


SHAPES = [
    Shape("minchar", 1, 25, 65, 100, 65, "every", "Karpathy's min-char-rnn"),
    Shape("tiny", 32, 50, 1, 16, 1, "last", "a small series"),
    Shape("vowels", 32, 29, 12, 64, 9, "last", "a mini-batch of Japanese vowels, equal lengths"),
    Shape("adding", 50, 200, 2, 128, 1, "last", "the adding problem"),
    Shape("seqmnist", 100, 784, 1, 128, 10, "last", "digits pixel by pixel"),
    Shape("char", 64, 100, 65, 256, 65, "every", "a character model"),
    Shape("medium", 64, 200, 32, 128, 8, "every", "a tagger"),
    Shape("large", 128, 100, 128, 512, 32, "last", "a wide classifier"),
    Shape("deepbench16", 16, 50, 1760, 1760, 10, "last", "Baidu DeepBench"),
    Shape("deepbench64", 64, 50, 1760, 1760, 10, "last", "Baidu DeepBench"),
]
