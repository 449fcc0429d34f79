"""Training: epochs of mini-batches of whole sequences, in compiled code."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cbptt import _bptt
from cbptt.losses import Targets
from cbptt.network import RNN
from cbptt.optimizers import Optimizer
from cbptt.sequences import Sequences
from cbptt.threads import in_team, one_blas_thread

__all__ = ["Epoch", "Trainer"]

# Compiled code hands control back about so often, so that Ctrl-C and other threads are heard.
SECONDS_BETWEEN_RETURNS = 0.05


@dataclass(frozen=True)
class Epoch:
    """What one pass over the data gave.

    Attributes
    ----------
    loss : mean over the total weight, each mini-batch at the parameters it met, penalty included.
    grad_norm : mean over the mini-batches of the gradient's norm before clipping.
    n_steps : optimiser steps taken.
    n_clipped : steps whose gradient was clipped.
    finite : False where a loss or gradient was not finite, which ends the epoch without a step, or
        a weight is not.
    """

    loss: float
    grad_norm: float
    n_steps: int
    n_clipped: int
    finite: bool


@dataclass
class Trainer:
    """Trains a network on sequences, one epoch at a time.

    Parameters
    ----------
    network : RNN
        Its theta is changed in place.
    sequences : Sequences
        In the network's precision.
    targets : Targets
    optimizer : Adam or Sgd
    batch_size : int
        Sequences per mini-batch.
    alpha : float
        L2 penalty: alpha / 2 times the squared norm of the weights (not the biases) is added to
        the sum of the losses of each mini-batch, before it is divided by the total weight.
    max_grad_norm : float
        A gradient of larger Euclidean norm is scaled down to it (Pascanu, Mikolov & Bengio 2013);
        infinity never clips.
    shuffle : bool
        Draw a new order of the sequences for each epoch.
    rng : numpy.random.Generator
        Source of the orders.
    n_threads : int, default=1
        Threads that may take part in a mini-batch; the results are the same bits for any number.
    """

    network: RNN
    sequences: Sequences
    targets: Targets
    optimizer: Optimizer
    batch_size: int
    alpha: float
    max_grad_norm: float
    shuffle: bool
    rng: np.random.Generator
    n_threads: int = 1
    n_steps_taken: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        theta = self.network.theta
        self._moments = np.zeros_like(theta), np.zeros_like(theta)
        self._nothing = np.empty((0, 0), theta.dtype)
        self._batches_per_call = 1
        self._scratch = self.network.scratch(self.sequences, self.batch_size, self.n_threads)

    def epoch(self) -> Epoch:
        """Pass over the data once."""
        n = len(self.sequences)
        order = self.rng.permutation(n) if self.shuffle else np.arange(n)
        sums = np.zeros(5)
        finite = True
        first = 0
        with one_blas_thread(self.network._core.uses_blas):
            while first < n and finite:
                part = order[first : first + self._batches_per_call * self.batch_size]
                started = time.perf_counter()
                *part_sums, finite = self._train(part.astype(np.intp, copy=False))
                self._adapt(time.perf_counter() - started)
                sums += part_sums
                first += len(part)
        loss, weight, norm, n_clipped, n_steps = sums
        return Epoch(
            loss=float(loss / weight) if n_steps else np.nan,
            grad_norm=float(norm / n_steps) if n_steps else np.nan,
            n_steps=int(n_steps),
            n_clipped=int(n_clipped),
            finite=finite and bool(np.isfinite(self.network.theta).all()),
        )

    def _adapt(self, seconds: float) -> None:
        """Aim the next call at SECONDS_BETWEEN_RETURNS. The results do not depend on the cuts."""
        if seconds < SECONDS_BETWEEN_RETURNS / 2:
            self._batches_per_call *= 2
        elif seconds > SECONDS_BETWEEN_RETURNS:
            self._batches_per_call = max(1, self._batches_per_call // 2)

    def _train(self, part: NDArray[np.intp]) -> tuple[float, float, float, int, int, bool]:
        network, optimizer, scratch = self.network, self.optimizer, self._scratch
        sums = in_team(
            scratch.n_threads,
            lambda team, thread: _bptt.train(
                team,
                thread,
                network._core,
                scratch.plan,
                scratch.arrays,
                network.theta,
                *self._moments,
                self._nothing,
                self._nothing,
                self.sequences.values,
                self.sequences.offsets,
                self._nothing,
                self.targets.values,
                self.targets.labels,
                self.targets.weights,
                part,
                self.batch_size,
                _bptt.SOLVERS[optimizer.solver],
                network.layout.n_weights,
                self.alpha,
                self.max_grad_norm,
                optimizer.learning_rate,
                optimizer.momentum,
                optimizer.nesterov,
                optimizer.beta_1,
                optimizer.beta_2,
                optimizer.epsilon,
                self.n_steps_taken,
            ),
            network._core.uses_blas,
        )
        self.n_steps_taken += sums[4]
        return sums
