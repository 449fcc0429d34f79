"""Batches of sequences: the loss and gradient of one, or an update after each of several."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from cbptt._arrays import (
    set_inputs,
    set_masks,
    set_targets,
    want_derivatives,
    want_predictions,
    want_states,
)
from cbptt._network import Network
from cbptt._optimizers import Update
from cbptt._train import Memory, Task, compute_gradient, predict, train
from cbptt.engine.results import Dropout, Shard
from cbptt.engine.threads import in_team
from cbptt.engine.truncation import Truncation, Window
from cbptt.optimizers import Moments

__all__ = ["Batches"]

Array = NDArray[np.floating]
Rows = NDArray[np.intp]


class Batches:
    """Batches of the sequences of a shard; the caller stands inside `one_blas_thread`.

    Parameters
    ----------
    network : as the compiled code sees it.
    memory : Memory
        The work memory; the number of its threads is how many may take part.
    shard : Shard
    every : bool
        Whether there is a target for each step.
    dropout : Dropout, default=None
        Its masks may be filled anew between batches.
    checkpoint : int, default=0
        Steps of a segment, of which only the first state is kept; 0 keeps all.
    truncation : Truncation, default=None
        Windows to run a batch in, with an update after each. With one target for each sequence,
        the gradient flows through its last window only.
    uses_blas : bool, default=True
        Whether the helpers must leave BLAS at one thread too.
    """

    def __init__(
        self,
        network: Network,
        memory: Memory,
        shard: Shard,
        *,
        every: bool,
        dropout: Dropout | None = None,
        checkpoint: int = 0,
        truncation: Truncation | None = None,
        uses_blas: bool = True,
    ) -> None:
        self._network, self._memory, self._shard = network, memory, shard
        self._every, self._truncation, self._uses_blas = every, truncation, uses_blas
        sequences, targets = shard.sequences, shard.targets
        self._starts, self._stops = sequences.offsets[:-1], sequences.offsets[1:]
        self._weights = targets.weights
        nothing = np.empty((0, 0), sequences.values.dtype)
        self._h0 = nothing if shard.h0 is None else shard.h0
        if truncation is not None:
            shape = len(sequences), network.state_width
            self._carried = np.empty(shape, sequences.values.dtype)
            if every and truncation.overlaps:
                # the weights of the window at hand, in which losses of earlier ones do not count
                self._weights = np.zeros_like(targets.weights)
            if not every:
                self._before = truncation.before_last(sequences.lengths)
        self._task = Task(network, memory, checkpoint)
        set_inputs(self._task, sequences.values, self._starts, self._stops, self._h0)
        set_targets(self._task, targets.values, targets.labels, self._weights)
        if dropout is not None:
            set_masks(self._task, dropout.inputs, dropout.recurrent)

    def want(self, dh0: Array, dx: Array) -> None:
        """Set where the derivatives by initial states (n, M) and inputs (steps, D) are left."""
        want_derivatives(self._task, dh0, dx)

    # ---- all steps at once --------------------------------------------------------------------

    def gradient(self, gradient: Array, theta: Array, ids: Rows) -> tuple[float, float]:
        """Compute the gradient of the summed loss of a batch, or of the sum over its windows.

        Parameters
        ----------
        gradient : (P,) overwritten
        theta : (P,)
        ids : (m,) the sequences of the batch

        Returns
        -------
        loss_sum, weight_sum : floats
        """
        if self._truncation is None:
            return self._gradient(gradient, theta, ids)
        total = np.zeros(len(gradient))
        loss_sum = weight_sum = 0.0
        for window in self._windows(theta, ids, self._truncation):
            loss, weight = self._gradient(gradient, theta, window.ids)
            total += gradient
            loss_sum += loss
            weight_sum += weight
        gradient[:] = total
        return loss_sum, weight_sum

    def train(
        self,
        theta: Array,
        moments: Moments,
        gradient: Array,
        totals: NDArray[np.float64],
        ids: Rows,
        size: int,
        update: Update,
        learning_rate: float,
    ) -> bool:
        """Update theta after each batch, or after each window of a batch.

        Parameters
        ----------
        theta : (P,) changed in place
        moments : Moments, changed in place
        gradient : (P,) overwritten
        totals : (5,) to which is added: loss, penalty included; weight; norm of the gradient before
            clipping; updates that were clipped; updates.
        ids : (m,) the sequences, batch after batch
        size : sequences of a batch.
        update : Update
        learning_rate : float

        Returns
        -------
        finite : bool
            False if a loss or gradient is not finite; its update is not made, and training ends.
        """
        arrays = theta, moments, gradient, totals
        if self._truncation is None:
            return self._train(*arrays, ids, size, update, learning_rate)
        for first in range(0, len(ids), size):
            for window in self._windows(theta, ids[first : first + size], self._truncation):
                n = len(window.ids)
                if not self._train(*arrays, window.ids, n, update, learning_rate):
                    return False
        return True

    def _gradient(self, gradient: Array, theta: Array, ids: Rows) -> tuple[float, float]:
        return in_team(
            self._memory.n_threads,
            self._task,
            lambda team: compute_gradient(team, self._task, gradient, theta, ids),
            self._uses_blas,
        )

    def _train(
        self,
        theta: Array,
        moments: Moments,
        gradient: Array,
        totals: NDArray[np.float64],
        ids: Rows,
        size: int,
        update: Update,
        learning_rate: float,
    ) -> bool:
        before = totals[4]
        finite = in_team(
            self._memory.n_threads,
            self._task,
            lambda team: train(
                team,
                self._task,
                theta,
                moments.first,
                moments.second,
                gradient,
                totals,
                ids,
                size,
                update,
                learning_rate,
                moments.n_steps,
            ),
            self._uses_blas,
        )
        moments.n_steps += int(totals[4] - before)
        return finite

    # ---- windows of steps ---------------------------------------------------------------------

    def _windows(self, theta: Array, ids: Rows, truncation: Truncation) -> Iterator[Window]:
        """Walk through the windows of a batch, each made ready to be run."""
        if not self._every:
            windows = iter([self._last_window(theta, ids)])
        else:
            windows = truncation.windows(self._shard.sequences, ids)
        nothing = self._carried[:0]
        for window in windows:
            h0 = self._h0 if window.is_first else self._carried
            set_inputs(self._task, self._shard.sequences.values, window.starts, window.stops, h0)
            want_states(self._task, self._carried if window.carry else nothing, window.carry)
            if self._weights is self._shard.targets.weights:
                yield window
                continue
            rows = window.rows
            self._weights[rows] = self._shard.targets.weights[rows]
            try:
                yield window
            finally:  # in the windows behind it these losses do not count
                self._weights[rows] = 0

    def _last_window(self, theta: Array, ids: Rows) -> Window:
        """Run a batch forward to where the last window of each sequence begins."""
        h0, begins = self._h0, self._starts + self._before
        self._carried[ids] = h0[ids] if len(h0) else 0
        longer = ids[self._before[ids] > 0]
        if len(longer):
            nothing = self._carried[:0]
            task = Task(self._network, self._memory)
            set_inputs(task, self._shard.sequences.values, self._starts, begins, h0)
            want_predictions(task, nothing, nothing, self._carried, False)
            in_team(
                self._memory.n_threads,
                task,
                lambda team: predict(team, task, theta, longer),
                self._uses_blas,
            )
        return Window(ids, begins, self._stops, begins, is_first=False)
