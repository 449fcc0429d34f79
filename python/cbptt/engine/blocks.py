"""Calls with plain arrays: what those of one shape need is prepared once.

A call on a small batch takes some microseconds of computing, so that reading its arguments takes
longer. An array of the network's dtype that is C-contiguous and has a shape that fits needs no
reading: its values are checked in compiled code. Whatever else a user passes is left to
`cbptt.data`, which reads it or says what is wrong.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbptt._arrays import (
    release_call,
    replace_inputs,
    replace_labels,
    replace_targets,
    set_inputs,
    set_targets,
    want_predictions,
)
from cbptt._network import Network
from cbptt._team import Team
from cbptt._train import Memory, Task, compute_gradient, predict
from cbptt.architecture import Architecture, check_blas_size
from cbptt.data.reading import is_plain

__all__ = ["Block"]

Array = NDArray[np.floating]


class Block:
    """n sequences of T steps each, with values that change from call to call.

    Parameters
    ----------
    architecture : Architecture
    core : Network
        The architecture as the compiled code sees it; it uses no BLAS.
    memory : Memory
        Work memory, which no other call uses during one of the block.
    X : (n, T, D) array
        Of which only the shape is kept.

    Attributes
    ----------
    shape : (n, T, D)
    """

    def __init__(self, architecture: Architecture, core: Network, memory: Memory, X: Array) -> None:
        n, T, D = X.shape
        check_blas_size(n * T, f"X with {n * T} steps in all")
        self.shape = X.shape
        self._architecture = own = architecture
        self._every = own.readout == "every"
        self._of_targets = X.shape[:2] if self._every else X.shape[:1]
        self._classes = own.output_activation == "softmax"
        self._everyone = np.arange(n)
        nothing = np.empty((0, 0), own.dtype)
        self._task = Task(core, memory)
        starts = np.arange(0, n * T, T)
        set_inputs(self._task, X.reshape(n * T, D), starts, starts + T, nothing)
        weights = np.ones(self._of_targets, own.dtype).reshape(-1)
        set_targets(self._task, nothing, np.zeros(len(weights), np.intp), weights)
        release_call(self._task)

    def gradient(self, theta: Array, X: Array, Y: Any) -> tuple[float, float, Array] | None:
        """Compute the loss and gradient, summed over the sequences.

        Parameters
        ----------
        theta : (P,)
        X : (n, T, D) array that is plain
        Y : targets

        Returns
        -------
        loss_sum, weight_sum, gradient (P,); or None, if X or Y must be read or refused.
        """
        task = self._task
        try:
            if not (self._take_inputs(X) and self._take_targets(Y)):
                return None
            gradient = np.empty(len(theta), theta.dtype)
            alone = Team(1, task)
            loss, weight = compute_gradient(alone, task, gradient, theta, self._everyone)
            return loss, weight, gradient
        finally:
            release_call(task)

    def predict(self, theta: Array, X: Array) -> tuple[Array, Array, Array] | None:
        """Compute the hidden states, the outputs and the final states.

        Parameters
        ----------
        theta : (P,)
        X : (n, T, D) array that is plain

        Returns
        -------
        hidden (n, T, M), outputs (n, T, K) or (n, K), final (n, state_width); or None, if X must be
        refused.
        """
        task, own, (n, T, _) = self._task, self._architecture, X.shape
        try:
            if not self._take_inputs(X):
                return None
            hidden = np.empty((n * T, own.output_width), own.dtype)
            outputs = np.empty((n * T if self._every else n, own.n_outputs), own.dtype)
            final = np.empty((n, own.state_width), own.dtype)
            want_predictions(task, hidden, outputs, final, True)
            predict(Team(1, task), task, theta, self._everyone)
        finally:
            release_call(task)
        if self._every:
            outputs = outputs.reshape(n, T, -1)
        return hidden.reshape(n, T, -1), outputs, final

    def _take_inputs(self, X: Array) -> bool:
        return replace_inputs(self._task, X.reshape(-1, self.shape[2]))

    def _take_targets(self, Y: Any) -> bool:
        shape, K = self._of_targets, self._architecture.n_outputs
        if self._classes:
            is_labels = is_plain(Y, np.dtype(np.intp)) and Y.shape == shape
            return is_labels and replace_labels(self._task, Y.reshape(-1))
        if not is_plain(Y, self._architecture.dtype):
            return False
        if Y.shape != (*shape, K) and not (K == 1 and Y.shape == shape):
            return False
        return replace_targets(self._task, Y.reshape(-1, K))
