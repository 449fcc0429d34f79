"""Mini-batches of sequences, run forward and back, and a step of an optimiser after each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbptt import _bptt
from cbptt._plan import Network
from cbptt.engine.results import Dropout, Shard
from cbptt.engine.scratch import Scratch, make_scratch
from cbptt.engine.threads import in_team
from cbptt.engine.truncation import Truncation, Window
from cbptt.optimizers import Moments, Optimizer

__all__ = ["Batches", "Step"]

Array = NDArray[np.floating]
Rows = NDArray[np.intp]


@dataclass(frozen=True)
class Step:
    """What an optimiser makes of the gradient of a mini-batch.

    Attributes
    ----------
    optimizer : Optimizer
    moments : what it remembers, changed in place.
    learning_rate : float
    n_weights : so many entries of theta, from the first, are penalised.
    alpha, max_grad_norm : see `Trainer`.
    """

    optimizer: Optimizer
    moments: Moments
    learning_rate: float
    n_weights: int
    alpha: float
    max_grad_norm: float


@dataclass
class Batches:
    """Runs batches of the sequences of a shard; the caller stands inside `one_blas_thread`.

    Parameters
    ----------
    network : as the compiled code sees it.
    theta : (P,) its parameters, which steps change in place.
    shard : Shard
    scratch : Scratch
    dropout : Dropout
        Its masks may be filled anew between calls.
    n_threads : threads that may take part.
    truncation : Truncation, default=None
        Windows to run a batch in, with a step after each; the scratch is of their length. Where
        there is one target for each sequence, only its last window is gone back through.
    every : whether there is a target for each step.
    uses_blas : whether the others must leave BLAS at one thread too.
    """

    network: Network
    theta: Array
    shard: Shard
    scratch: Scratch
    dropout: Dropout
    n_threads: int
    truncation: Truncation | None = None
    every: bool = True
    uses_blas: bool = True

    def __post_init__(self) -> None:
        sequences, weights = self.shard.sequences, self.shard.targets.weights
        self._starts, self._stops = sequences.offsets[:-1], sequences.offsets[1:]
        self._nothing = np.empty((0, 0), self.theta.dtype)
        if self.truncation is not None:
            shape = len(sequences), self.shard.h0.shape[1]
            self._carried = np.empty(shape, self.theta.dtype)
            overlaps = self.every and self.truncation.overlaps
            self._some_weights = np.zeros_like(weights) if overlaps else weights
            self.gradient_sum = np.zeros(self.theta.shape)
            if not self.every:
                self._before = self.truncation.before_last(sequences.lengths)

    def run(
        self,
        ids: Rows,
        size: int,
        totals: NDArray[np.float64],
        step: Step | None = None,
        dh0: Array | None = None,
        dx: Array | None = None,
    ) -> bool:
        """Run batches of so many sequences each, one after the other.

        Parameters
        ----------
        ids : (m,) which sequences.
        size : sequences of a batch.
        totals : (5,) to which is added: loss, penalty included; weight; norm of the gradient before
            clipping; steps that were clipped; steps.
        step : Step, default=None
            Without it theta stays, and the gradient of the last batch is left in the scratch; of
            all windows, where there are such, their sum in `gradient_sum`.
        dh0, dx : (n, M), (steps, D), default=None
            Where the derivatives by the initial states and the inputs are left.

        Returns
        -------
        finite : bool
            False where a loss or gradient is not finite, which ends it without a step.
        """
        self.scratch.acquire()
        try:
            if self.truncation is None:
                return self._run(ids, size, totals, step, dh0, dx)
            return self._run_windows(ids, size, totals, step, self.truncation)
        finally:
            self.scratch.release()

    def _run_windows(
        self,
        ids: Rows,
        size: int,
        totals: NDArray[np.float64],
        step: Step | None,
        truncation: Truncation,
    ) -> bool:
        for first in range(0, len(ids), size):
            batch = ids[first : first + size]
            if not self.every:
                windows = iter([self._last_window(batch, size)])
            else:
                windows = truncation.windows(self.shard.sequences, batch)
            for window in windows:
                if not self._run_window(window, totals, step):
                    return False
        return True

    def _last_window(self, ids: Rows, size: int) -> Window:
        """Run a batch of at most so many sequences forward to where their last window begins."""
        h0, starts = self.shard.h0, self._starts
        self._carried[ids] = h0[ids] if len(h0) else 0
        longer = ids[self._before[ids] > 0]
        if len(longer):
            if not hasattr(self, "_forward_scratch"):
                self._make_forward_scratch(size)
            nothing, scratch = self._nothing, self._forward_scratch
            in_team(
                min(self.n_threads, scratch.n_threads),
                lambda team, thread: _bptt.forward(
                    team,
                    thread,
                    self.network,
                    scratch.plan,
                    scratch.arrays,
                    nothing,
                    self._outputs,
                    self._carried,
                    self.theta,
                    self.shard.sequences.values,
                    starts,
                    starts + self._before,
                    h0,
                    longer,
                    False,
                ),
                self.uses_blas,
            )
        begins = starts + self._before
        return Window(ids, begins, self._stops, begins, is_first=False)

    def _make_forward_scratch(self, size: int) -> None:
        sequences, targets = self.shard.sequences, self.shard.targets
        self._outputs = np.empty((len(sequences), targets.values.shape[1]), self.theta.dtype)
        self._forward_scratch = make_scratch(
            self.network,
            len(self.theta),
            sequences,
            size,
            self.n_threads,
            self.theta.dtype,
            backward=False,
            lengths=np.maximum(self._before, 1),
        )

    def _run_window(self, window: Window, totals: NDArray[np.float64], step: Step | None) -> bool:
        weights = self.shard.targets.weights
        rows = window.rows if self._some_weights is not weights else None
        if rows is not None:  # the losses of the other steps are those of earlier windows
            self._some_weights[rows] = weights[rows]
        finite = self._run(window.ids, len(window.ids), totals, step, window=window)
        if rows is not None:
            self._some_weights[rows] = 0
        if step is None:
            self.gradient_sum += self.scratch.gradient
        return finite

    def _run(
        self,
        ids: Rows,
        size: int,
        totals: NDArray[np.float64],
        step: Step | None,
        dh0: Array | None = None,
        dx: Array | None = None,
        window: Window | None = None,
    ) -> bool:
        nothing, targets, theta = self._nothing, self.shard.targets, self.theta
        starts, stops, weights = self._starts, self._stops, targets.weights
        h0, carried, carry = self.shard.h0, nothing, 0
        how: tuple[Any, ...]
        if window is not None:
            starts, stops, weights = window.starts, window.stops, self._some_weights
            h0 = h0 if window.is_first else self._carried
            carried, carry = (self._carried, window.carry) if window.carry else (nothing, 0)
        if step is None:
            solver, moments, how = "none", Moments(theta, theta), ()
        else:
            o, moments, solver = step.optimizer, step.moments, step.optimizer.solver
            how = (
                *(step.n_weights, step.alpha, step.max_grad_norm, step.learning_rate),
                *(o.momentum, o.nesterov, o.beta_1, o.beta_2, o.epsilon, o.decay, moments.n_steps),
            )
        n_steps = totals[4]
        finite = in_team(
            min(self.n_threads, self.scratch.n_threads),
            lambda team, thread: _bptt.train(
                team,
                thread,
                self.network,
                self.scratch.plan,
                self.scratch.arrays,
                theta,
                moments.first,
                moments.second,
                nothing if dh0 is None else dh0,
                nothing if dx is None else dx,
                self.shard.sequences.values,
                starts,
                stops,
                h0,
                self.dropout.inputs,
                self.dropout.recurrent,
                carried,
                carry,
                targets.values,
                targets.labels,
                weights,
                totals,
                ids,
                size,
                _bptt.SOLVERS[solver],
                *how,
            ),
            self.uses_blas,
        )
        moments.n_steps += int(totals[4] - n_steps)
        return finite
