"""Whole fits: the Japanese Vowels by the estimator and by a loop in PyTorch, with one recipe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbptt.datasets import load_japanese_vowels

UNITS = 64
BATCH = 32
LEARNING_RATE = 0.004
MAX_NORM = 1.0


@dataclass(frozen=True)
class Utterances:
    """Standardised sequences, float32, with classes from 0 up."""

    X_train: list[NDArray[np.float32]]
    y_train: NDArray[Any]
    X_test: list[NDArray[np.float32]]
    y_test: NDArray[Any]


def utterances() -> Utterances:
    """Load the Japanese Vowels, scaled by the training set's mean and deviation."""
    vowels = load_japanese_vowels()
    frames = vowels.X_train.values
    mean, scale = frames.mean(axis=0), frames.std(axis=0)
    return Utterances(
        X_train=[(x - mean) / scale for x in vowels.X_train],
        y_train=vowels.y_train - 1,
        X_test=[(x - mean) / scale for x in vowels.X_test],
        y_test=vowels.y_test - 1,
    )
