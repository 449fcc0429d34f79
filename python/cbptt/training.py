"""Training: epochs of mini-batches of whole sequences, in compiled code; and L-BFGS."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cbptt._optimizers import Update
from cbptt._train import Memory
from cbptt.data.sequences import Sequences
from cbptt.engine.batches import Batches
from cbptt.engine.engine import steps_between
from cbptt.engine.results import Dropout, Shard
from cbptt.engine.threads import one_blas_thread
from cbptt.engine.truncation import Truncation
from cbptt.losses import Targets
from cbptt.network import RNN
from cbptt.optimizers import Moments, Optimizer

__all__ = ["Descent", "Epoch", "Trainer", "minimise"]

# Compiled code returns about this often, so that other threads can run.
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
    optimizer : Optimizer
    batch_size : int
        Sequences per mini-batch.
    alpha : float, default=0.0
        L2 penalty: alpha / 2 times the squared norm of the weights (not the biases) is added to
        the sum of the losses of each mini-batch, before it is divided by the total weight.
    max_grad_norm : float, default=inf
        A gradient of larger Euclidean norm is scaled down to it (Pascanu, Mikolov & Bengio 2013).
    shuffle : bool, default=True
        Draw a new order of the sequences for each epoch.
    rng : numpy.random.Generator
        Source of the orders and of what is dropped.
    dropout, recurrent_dropout : float in [0, 1), default=0.0
        Shares of the inputs of every layer, and of the hidden states on their way into W11, that
        are dropped: others for each sequence and epoch, the same at all steps (see `Dropout`).
    moments : Moments, optional
        To go on from what an earlier trainer's optimiser remembers; it is changed in place.
    truncation : Truncation, optional
        Run each mini-batch in windows, with a step after each (see `cbptt.engine.truncation`).
    checkpoint : int, "auto" or None, default=None
        Which states are kept for the way back, see `RNN.loss_and_gradients`.
    n_threads : int, default=1
        Threads that may take part in a mini-batch; the results are the same bits for any number.
    """

    network: RNN
    sequences: Sequences
    targets: Targets
    optimizer: Optimizer
    batch_size: int
    rng: np.random.Generator
    alpha: float = 0.0
    max_grad_norm: float = np.inf
    shuffle: bool = True
    dropout: float = 0.0
    recurrent_dropout: float = 0.0
    moments: Moments | None = None
    truncation: Truncation | None = None
    checkpoint: int | str | None = None
    n_threads: int = 1
    _batches_per_call: int = field(default=1, init=False)

    def __post_init__(self) -> None:
        network, n = self.network, len(self.sequences)
        if self.moments is None:
            self.moments = Moments.zeros_like(network.theta)
        architecture = network.engine.architecture
        sizes = (
            architecture.input_width if self.dropout else 0,
            architecture.unit_width if self.recurrent_dropout else 0,
        )
        self._masks = Dropout(*(np.empty((n if M else 0, M), network.dtype) for M in sizes))
        engine = network.engine
        self._batches = Batches(
            engine.core,
            Memory(self.n_threads),
            Shard(self.sequences, self.targets),
            every=network.readout == "every",
            dropout=self._masks,
            checkpoint=steps_between(self.checkpoint, self.sequences),
            truncation=self.truncation,
            uses_blas=engine.core.uses_blas,
        )
        self._gradient = np.empty_like(network.theta)
        o = self.optimizer
        self._update = Update(
            o.solver,
            network.layout.n_weights,
            self.alpha,
            self.max_grad_norm,
            o.momentum,
            o.nesterov,
            o.beta_1,
            o.beta_2,
            o.epsilon,
            o.decay,
        )

    def epoch(self, learning_rate: float | None = None) -> Epoch:
        """Pass over the data once, with another learning rate than the optimiser's, if given."""
        n, optimizer = len(self.sequences), self.optimizer
        if self.batch_size < 1:
            raise ValueError(f"Trainer got batch_size={self.batch_size}; expected at least 1.")
        assert self.moments is not None
        if learning_rate is None:
            learning_rate = optimizer.learning_rate
        theta, moments = self.network.theta, self.moments
        order = self.rng.permutation(n) if self.shuffle else np.arange(n)
        totals = np.zeros(5)
        finite = True
        first = 0
        with one_blas_thread(self.network.engine.core.uses_blas):
            while first < n and finite:
                part = order[first : first + self._batches_per_call * self.batch_size]
                self._draw(part)
                started = time.perf_counter()
                finite = self._batches.train(
                    theta,
                    moments,
                    self._gradient,
                    totals,
                    part,
                    self.batch_size,
                    self._update,
                    learning_rate,
                )
                self._adapt(time.perf_counter() - started)
                first += len(part)
        total, weight, norm, n_clipped, n_steps = totals
        loss = float(total / weight) if n_steps else np.nan
        return Epoch(
            loss=loss,
            grad_norm=float(norm / n_steps) if n_steps else np.nan,
            n_steps=int(n_steps),
            n_clipped=int(n_clipped),
            finite=finite and not np.isinf(loss) and bool(np.isfinite(self.network.theta).all()),
        )

    def gradient(self) -> tuple[float, NDArray[np.float64]]:
        """Return the mean loss over all targets, penalty included, and its gradient (P,)."""
        network, n = self.network, len(self.sequences)
        total = weight = 0.0
        gradient = np.zeros(network.layout.size)
        with one_blas_thread(network.engine.core.uses_blas):
            for first in range(0, n, self.batch_size):
                part = np.arange(first, min(n, first + self.batch_size))
                loss, of_part = self._batches.gradient(self._gradient, network.theta, part)
                gradient += self._gradient
                total += loss
                weight += of_part
        weights = network.theta[: network.layout.n_weights]
        gradient[: len(weights)] += self.alpha * weights
        total += self.alpha / 2 * float(weights @ weights)
        return float(total / weight), gradient / weight

    def _draw(self, part: NDArray[np.intp]) -> None:
        """Draw what is dropped of the sequences that come next: a row for each, in their order."""
        inputs, recurrent = self._masks.inputs, self._masks.recurrent
        if inputs.size or recurrent.size:
            drawn = self.rng.random((len(part), inputs.shape[1] + recurrent.shape[1]))
            for masks, rate, of in (
                (inputs, self.dropout, drawn[:, : inputs.shape[1]]),
                (recurrent, self.recurrent_dropout, drawn[:, inputs.shape[1] :]),
            ):
                if masks.size:
                    masks[part] = (of >= rate) / (1 - rate)

    def _adapt(self, seconds: float) -> None:
        """Aim the next call at SECONDS_BETWEEN_RETURNS. The results do not depend on the cuts."""
        n_batches = -(-len(self.sequences) // self.batch_size)
        if seconds < SECONDS_BETWEEN_RETURNS / 2:
            self._batches_per_call = min(2 * self._batches_per_call, n_batches)
        elif seconds > SECONDS_BETWEEN_RETURNS:
            self._batches_per_call = max(1, self._batches_per_call // 2)


@dataclass(frozen=True)
class Descent:
    """Where L-BFGS ended.

    Attributes
    ----------
    converged : whether it stopped by itself.
    message : why it stopped, in SciPy's words.
    """

    converged: bool
    message: str


def minimise(
    trainer: Trainer,
    *,
    max_iter: int,
    max_fun: int,
    tol: float,
    after: Callable[[Epoch], bool],
) -> Descent:
    """Minimise the loss over all data by L-BFGS (Byrd, Lu, Nocedal & Zhu 1995), as in SciPy.

    Parameters
    ----------
    trainer : Trainer
        Of a network in float64, whose theta is changed in place: to the last iterate.
    max_iter, max_fun : int
        Most iterations, and most evaluations of loss and gradient.
    tol : float
        Stops where no entry of the gradient is larger.
    after : callable
        Called after each iteration, with theta at the iterate; returns whether to stop.
    """
    from scipy.optimize import OptimizeResult, minimize

    network = trainer.network
    start = network.theta.copy()
    norm = np.nan

    def objective(theta: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        nonlocal norm
        network.theta[:] = theta
        loss, gradient = trainer.gradient()
        with np.errstate(over="ignore"):
            norm = float(np.linalg.norm(gradient))
        return loss, gradient

    def iterated(intermediate_result: OptimizeResult) -> None:
        # the iterate is where the line search ended, so that the last norm is its gradient's
        network.theta[:] = intermediate_result.x
        loss = float(intermediate_result.fun)
        finite = bool(np.isfinite(loss) and np.isfinite(network.theta).all())
        if after(Epoch(loss, norm, n_steps=1, n_clipped=0, finite=finite)):
            raise StopIteration

    options = {"maxiter": max_iter, "maxfun": max_fun, "gtol": tol}
    with one_blas_thread():  # SciPy's vectors are short; and their sums do not depend on threads
        result = minimize(
            objective, start, method="L-BFGS-B", jac=True, callback=iterated, options=options
        )
    network.theta[:] = result.x
    return Descent(bool(result.success) or result.status == 99, str(result.message))
