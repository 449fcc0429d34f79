"""What runs checked sequences through a network: predictions, losses and gradients."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import isqrt
from operator import index
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from cbptt._arrays import set_inputs, want_predictions
from cbptt._kernels import FUNCTIONS
from cbptt._live import Live, Parameters
from cbptt._losses import LOSSES, evaluate
from cbptt._network import CELLS, READOUTS, Network
from cbptt._train import Memory, Task, predict
from cbptt.architecture import Architecture, check_blas_size
from cbptt.data.integers import read_integer
from cbptt.data.reading import is_plain
from cbptt.data.sequences import Sequences
from cbptt.engine.batches import Batches
from cbptt.engine.blocks import Block
from cbptt.engine.results import Dropout, Shard, ShardResult
from cbptt.engine.threads import in_team, one_blas_thread
from cbptt.engine.truncation import Truncation

__all__ = ["Engine", "Predicted", "check_checkpoint"]

Array = NDArray[np.floating]
Result = TypeVar("Result")

# What computes the products of the recurrence and of its derivatives: the package's own kernels, or
# BLAS.
PRODUCTS = os.environ.get("CBPTT_PRODUCTS", "kernels")
if PRODUCTS not in ("kernels", "blas"):
    raise ImportError(f"CBPTT_PRODUCTS={PRODUCTS!r} is unknown; set it to kernels or blas")


class Predicted(NamedTuple):
    """What a network computes of sequences.

    Attributes
    ----------
    hidden : (steps, M) h1 of every step; (0, M) unless it was wanted.
    outputs : (steps, K) with readout "every", else (n, K): h2, or a2.
    final : (n, M) the states after the last steps; (0, M) unless they were wanted.
    """

    hidden: Array
    outputs: Array
    final: Array


class Engine:
    """Runs checked sequences through a network.

    Parameters
    ----------
    architecture : Architecture
    parameters : Parameters
        Of the network; each call reads the values that they have then.

    Attributes
    ----------
    architecture, parameters : as passed to the constructor
    core : Network
        The architecture as the compiled code sees it.
    """

    def __init__(self, architecture: Architecture, parameters: Parameters) -> None:
        self.architecture, self.parameters = architecture, parameters
        offsets = {name: offset for name, (offset, _) in architecture.layout.entries.items()}
        places = [
            {name: offsets.pop(f"{name}{track.suffix}") for name in track.shapes(architecture.cell)}
            for track in architecture.tracks
        ]
        self.core = Network(
            CELLS[architecture.cell],
            (architecture.n_inputs, architecture.hidden_sizes, architecture.n_outputs),
            architecture.bidirectional,
            architecture.layout.size,
            [*places, offsets],
            (
                FUNCTIONS[architecture.activation],
                FUNCTIONS[architecture.output_activation],
                LOSSES[architecture.loss],
                READOUTS[architecture.readout],
            ),
            architecture.dtype.itemsize,
            PRODUCTS == "kernels",
        )
        self._every = architecture.readout == "every"
        self._nothing = np.empty((0, 0), architecture.dtype)
        self._idle: list[tuple[Memory, Block | None]] = []

    # ---- forward ------------------------------------------------------------------------------

    def predict(
        self,
        sequences: Sequences,
        h0: Array | None = None,
        *,
        states: bool = False,
        activated: bool = True,
        n_threads: int = 1,
    ) -> Predicted:
        """Run sequences forward.

        The work memory grows with a chunk of a few hundred steps.

        Parameters
        ----------
        sequences : Sequences
        h0 : (n, M) array, default=None
            The states before the first steps; None is 0, or the state that is learned.
        states : bool, default=False
            Whether the states are wanted, and not only the outputs.
        activated : bool, default=True
            Whether outputs are h2, else a2.
        n_threads : int, default=1
        """
        self._check(sequences)
        own, n, steps = self.architecture, len(sequences), sequences.n_steps
        hidden = np.empty((steps if states else 0, own.output_width), own.dtype)
        outputs = np.empty((steps if self._every else n, own.n_outputs), own.dtype)
        final = np.empty((n if states else 0, own.state_width), own.dtype)
        offsets, theta = sequences.offsets, self.parameters.theta
        with self.memory(n_threads) as memory, one_blas_thread(self.core.uses_blas):
            task = Task(self.core, memory)
            h0 = self._nothing if h0 is None else h0
            set_inputs(task, sequences.values, offsets[:-1], offsets[1:], h0)
            want_predictions(task, hidden, outputs, final, activated)
            everyone = np.arange(n)
            in_team(
                memory.n_threads,
                task,
                lambda team: predict(team, task, theta, everyone),
                self.core.uses_blas,
            )
        return Predicted(hidden, outputs, final)

    def evaluate(self, shard: Shard, n_threads: int = 1) -> tuple[float, Array]:
        """Return the loss summed over sequences, and their outputs h2 as `predict` does."""
        own, targets = self.architecture, shard.targets
        z = self.predict(shard.sequences, shard.h0, activated=False, n_threads=n_threads).outputs
        f_out, loss = FUNCTIONS[own.output_activation], LOSSES[own.loss]
        return evaluate(z, targets.dense(), targets.weights, f_out, loss), z

    # ---- live sequences -----------------------------------------------------------------------

    def start(self, n: int) -> Array:
        """Return the states (n, M) before the first step: 0, or what is learned."""
        own = self.architecture
        states = np.zeros((n, own.state_width), own.dtype)
        if own.learn_initial_state:
            states[:] = own.layout.views(self.parameters.theta)["initial_state"]
        return states

    def live(self) -> Live:
        """Return what takes one step of sequences at a time, see `RNN.live`."""
        return Live(self.core, self.parameters, np.empty, self.architecture.dtype)

    # ---- loss and gradient --------------------------------------------------------------------

    def gradient(
        self,
        shard: Shard,
        n_threads: int = 1,
        *,
        inputs: bool = False,
        dropout: Dropout | None = None,
        checkpoint: int | str | None = None,
        truncation: Truncation | None = None,
    ) -> ShardResult:
        """Run sequences forward and back.

        Parameters
        ----------
        shard : Shard
        n_threads : int, default=1
            Threads that may take part; the result is the same bits for any number.
        inputs : bool, default=False
            Whether the derivatives by the inputs and by the initial states are wanted.
        dropout : Dropout, default=None
            Masks to run with.
        checkpoint : int, "auto" or None, default=None
            See `RNN.loss_and_gradients`.
        truncation : Truncation, default=None
            From `check_truncation`; not together with `inputs`.

        Returns
        -------
        ShardResult
            The loss and the gradient as plain sums over the sequences: those of a batch are the
            sums of its parts'.
        """
        sequences = shard.sequences
        self._check(sequences)
        own, n = self.architecture, len(sequences)
        dh0 = np.empty((n if inputs else 0, own.state_width), own.dtype)
        dx = np.empty((sequences.n_steps if inputs else 0, own.n_inputs), own.dtype)
        gradient = np.empty(own.layout.size, own.dtype)
        uses_blas = self.core.uses_blas or inputs
        with self.memory(n_threads) as memory, one_blas_thread(uses_blas):
            batches = Batches(
                self.core,
                memory,
                shard,
                every=self._every,
                dropout=dropout,
                checkpoint=steps_between(checkpoint, sequences),
                truncation=truncation,
                uses_blas=uses_blas,
            )
            if inputs:
                batches.want(dh0, dx)
            theta = self.parameters.theta
            loss_sum, _ = batches.gradient(gradient, theta, np.arange(n))
        return ShardResult(loss_sum, shard.weight_sum, gradient, dh0, dx)

    # ---- plain arrays -------------------------------------------------------------------------

    def gradient_of_arrays(self, X: Any, Y: Any) -> tuple[float, float, Array] | None:
        """Run arrays forward and back whose values alone need a check.

        Parameters
        ----------
        X : (n, T, D) array
        Y : (n, T) or (n,) classes, or (n, T, K) or (n, K) values, as the readout needs; the last
            axis may be missing where K is 1.

        Returns
        -------
        loss_sum, weight_sum, gradient (P,), as `gradient` computes them; or None, for arguments of
        any other kind, and for values that are to be refused.
        """
        return self._with_block(X, lambda block, theta: block.gradient(theta, X, Y))

    def predict_arrays(self, X: Any) -> Predicted | None:
        """Run an array (n, T, D) forward whose values alone need a check.

        Returns
        -------
        As `predict`, states included and with n and T as two axes; or None, as
        `gradient_of_arrays`.
        """
        found = self._with_block(X, lambda block, theta: block.predict(theta, X))
        return found and Predicted(*found)

    def _with_block(self, X: Any, run: Callable[[Block, Array], Result]) -> Result | None:
        own = self.architecture
        if self.core.uses_blas or not is_plain(X, own.dtype):
            return None
        if X.ndim != 3 or X.shape[2] != own.n_inputs:
            return None
        memory, block = self._take(1)
        try:
            if block is None or block.shape != X.shape:
                block = Block(own, self.core, memory, X)
            return run(block, self.parameters.theta)
        finally:
            self._idle.append((memory, block))

    # ---- work memory --------------------------------------------------------------------------

    @contextmanager
    def memory(self, n_threads: int) -> Iterator[Memory]:
        """Lend work memory that is kept between calls.

        It grows to what the largest call needs, and is freed with the network. A call in another
        thread meanwhile gets memory of its own.
        """
        memory, block = self._take(n_threads)
        try:
            yield memory
        finally:
            self._idle.append((memory, block))

    def _take(self, n_threads: int) -> tuple[Memory, Block | None]:
        """Take work memory that no call uses, and the block that was last prepared to use it."""
        try:
            memory, block = self._idle.pop()
        except IndexError:
            return Memory(n_threads), None
        return (memory, block) if memory.n_threads == n_threads else (Memory(n_threads), None)

    # ---- the edge -----------------------------------------------------------------------------

    def _check(self, sequences: Sequences) -> None:
        """Refuse checked sequences that are those of another network."""
        values, own = sequences.values, self.architecture
        if values.shape[1:] != (own.n_inputs,) or values.dtype != own.dtype:
            raise ValueError(
                f"RNN got sequences with values of shape {values.shape} and dtype {values.dtype}; "
                f"expected (steps, {own.n_inputs}) and {own.dtype}, as n_inputs and dtype say."
            )
        check_blas_size(sequences.n_steps, f"X with {sequences.n_steps} steps in all")


def check_checkpoint(checkpoint: Any, caller: str) -> None:
    """Check which states are to be kept for the backward pass.

    Raises
    ------
    ValueError
        For anything but None, "auto" and integers from 1 up.
    """
    if checkpoint is None or (isinstance(checkpoint, str) and checkpoint == "auto"):
        return
    read_integer(checkpoint, caller=caller, name="checkpoint", most=None, other="None, 'auto'")


def steps_between(checkpoint: int | str | None, sequences: Sequences) -> int:
    """Return the steps of a segment; 0 keeps the states of all steps."""
    if checkpoint is None:
        return 0
    T = int(sequences.lengths.max())
    if isinstance(
        checkpoint, str
    ):  # "auto", rounded up: the states of every sqrt(T) steps, and sqrt(T) of them
        return isqrt(T - 1) + 1
    return min(index(checkpoint), T)
