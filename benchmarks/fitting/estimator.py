"""RNNClassifier, and how much of its time is spent outside the compiled mini-batches."""

from __future__ import annotations

import time
import warnings
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from cbptt import RNNClassifier
from cbptt.engine import batches
from fitting import BATCH, LEARNING_RATE, MAX_NORM, UNITS, utterances
from shapes import SHAPES

N_BATCHES = 20


class Fit(ABC):
    """Fits `n_epochs` epochs, neither more nor fewer."""

    def __init__(self, n_epochs: int, cell: str) -> None:
        warnings.simplefilter("ignore", ConvergenceWarning)  # the epochs are meant to run out
        self.model = RNNClassifier(
            UNITS,
            cell=cell,
            alpha=0,
            batch_size=BATCH,
            learning_rate_init=LEARNING_RATE,
            max_iter=n_epochs,
            tol=0,
            n_iter_no_change=n_epochs,
            max_grad_norm=MAX_NORM,
            random_state=0,
        )
        self.X, self.y = self.data()

    @abstractmethod
    def data(self) -> tuple[Any, Any]:
        """Return what is fitted."""

    def fit(self) -> None:
        """Train."""
        self.model.fit(self.X, self.y)

    def outside(self) -> float:
        """Fit once more; return the share of the time spent outside the compiled mini-batches."""
        train, inside = batches.train, 0.0

        def timed(*arguments: Any) -> Any:
            nonlocal inside
            started = time.perf_counter()
            sums = train(*arguments)
            inside += time.perf_counter() - started
            return sums

        batches.train = timed
        try:
            started = time.perf_counter()
            self.fit()
            total = time.perf_counter() - started
        finally:
            batches.train = train
        return 1 - inside / total


class Vowels(Fit):
    """The Japanese Vowels."""

    def data(self) -> tuple[Any, Any]:
        self.utterances = utterances()
        return self.utterances.X_train, self.utterances.y_train

    def accuracy(self) -> float:
        """Fit; return the accuracy on the test set."""
        self.fit()
        assert self.model.n_iter_ == self.model.max_iter
        return float(self.model.score(self.utterances.X_test, self.utterances.y_test))


class Noise(Fit):
    """Noise in the shape `vowels`: mini-batches of equal lengths."""

    def data(self) -> tuple[Any, Any]:
        shape = next(shape for shape in SHAPES if shape.name == "vowels")
        rng = np.random.default_rng(0)
        n = N_BATCHES * BATCH
        X = rng.normal(size=(n, shape.T, shape.D)).astype(np.float32)
        return X, rng.permutation(np.arange(n) % shape.K)
