"""Memory that batches of a network are run in, asked for once."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from math import isqrt, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbptt._plan import Network, Plan, guard
from cbptt.data.integers import read_integer
from cbptt.data.sequences import Sequences

__all__ = ["Scratch", "check_checkpoint", "make_scratch"]

LINE = 64  # bytes of a line of the cache, at which every array begins
LEAST = 1024  # bytes: fewer, guards within, NumPy would keep for the next array


@dataclass(frozen=True)
class Scratch:
    """Memory for batches of some sequences, overwritten by each of them.

    Attributes
    ----------
    network : whose batches, as the compiled code sees it.
    sequences : those that batches are drawn from; None while the scratch is kept for later.
    batch_size : sequences of a batch.
    backward : whether batches go forward and back, or forward only.
    masked : whether there is room for dropout in the recurrence.
    plan : how batches are cut, and where things lie in a block.
    n_threads : threads there is memory for.
    arrays : by name: packed, the parameters as the products want them; blocks, indices and sums,
        a row for each thread; batch_order; everyone, all sequences in their order; and, for the way
        back, gradients and losses, a row for each shard. The first row of gradients becomes that of
        the batch.
    """

    network: Network
    sequences: Sequences | None
    batch_size: int
    backward: bool
    masked: bool
    plan: Plan
    n_threads: int
    arrays: dict[str, NDArray[Any]]
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def acquire(self) -> None:
        """Keep the memory to one call, until `release`.

        Raises
        ------
        RuntimeError
            Where another thread is running a batch in it.
        """
        if not self._lock.acquire(blocking=False):
            raise RuntimeError(
                "RNN got scratch that another thread is using; expected one for each thread."
            )

    def release(self) -> None:
        """Let others use the memory again."""
        self._lock.release()

    def check(
        self, network: Network, sequences: Sequences, *, backward: bool, masked: bool = False
    ) -> None:
        """Refuse memory that was measured for something else than all these sequences at once."""
        if (
            self.network is not network
            or self.sequences is not sequences
            or self.batch_size != len(sequences)
            or self.backward is not backward
            or (masked and not self.masked)
        ):
            raise ValueError(
                "RNN got scratch that was asked for by another network, for other sequences, for "
                "smaller batches, for another direction or without room for dropout; ask "
                "RNN.scratch (forward and back) or RNN.forward_scratch with the shard's own "
                "sequences."
            )

    def guard(self) -> None:
        """Forbid access to what lies between arrays, in a build with AddressSanitizer."""
        gaps = {
            "packed": self.network.packed_gaps,
            "blocks": self.plan.block_gaps,
            "indices": self.plan.index_gaps,
        }
        for name, places in gaps.items():
            if places:
                guard(np.atleast_2d(self.arrays[name]).view(np.uint8), places)

    @property
    def gradient(self) -> NDArray[np.floating]:
        """(P,) where the gradient of a batch is left."""
        gradient: NDArray[np.floating] = self.arrays["gradients"][0]
        return gradient


def make_scratch(
    network: Network,
    n_parameters: int,
    sequences: Sequences,
    batch_size: int,
    n_threads: int,
    dtype: np.dtype[Any],
    *,
    backward: bool,
    masked: bool = False,
    lengths: NDArray[np.intp] | None = None,
    checkpoint: int | str | None = None,
) -> Scratch:
    """Ask for the memory of batches.

    Parameters
    ----------
    network : as the compiled code sees it.
    n_parameters : int, P
    sequences : those that batches are drawn from.
    batch_size : sequences of a batch.
    n_threads : threads that may take part; fewer do where a batch has fewer parts.
    dtype : precision.
    backward : whether batches go forward and back, or forward only.
    masked : whether there is to be room for dropout in the recurrence.
    lengths : (n,) steps of each sequence that are run at a time, in batches of which some sequences
        may be missing; by default all, in batches that are full but for the last one.
    checkpoint : of so many steps, the states before one are kept; or "auto", or None: of all.
    """
    longest_first = np.sort(sequences.lengths if lengths is None else lengths)[::-1].copy()
    T = int(longest_first[0])
    if checkpoint == "auto":  # rounded up: a state of every sqrt(T) steps, and so many of them
        checkpoint = isqrt(T - 1) + 1
    # windows of one length end in shorter ones where the whole sequences differ
    ragged = bool((sequences.lengths != sequences.lengths[0]).any())
    plan = Plan(
        network,
        longest_first,
        ragged,
        batch_size,
        backward,
        masked,
        checkpoint=min(int(checkpoint or 0), T),
        any_size=lengths is not None,
    )
    n_threads = max(1, min(n_threads, plan.n_parts))
    arrays = {
        "packed": aligned((network.packed_size,), dtype),
        "blocks": aligned((n_threads, plan.block_size), dtype),
        "indices": aligned((n_threads, plan.index_size), np.dtype(np.intp)),
        "sums": np.empty((n_threads, network.sums_size)),
        "batch_order": np.empty(plan.order_size, np.intp),
        "everyone": np.arange(len(sequences)),
    }
    if backward:
        arrays["gradients"] = aligned((plan.n_parts, n_parameters), dtype)
        arrays["losses"] = np.empty((plan.n_parts, 2))
    scratch = Scratch(network, sequences, batch_size, backward, masked, plan, n_threads, arrays)
    scratch.guard()
    return scratch


def check_checkpoint(checkpoint: int | str | None, caller: str) -> None:
    """Check which states are to be kept for the way back.

    Raises
    ------
    ValueError
        For anything but None, "auto" and integers from 1 up.
    """
    if checkpoint is None or (isinstance(checkpoint, str) and checkpoint == "auto"):
        return
    read_integer(checkpoint, caller=caller, name="checkpoint", most=None, other="None, 'auto'")


def aligned(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Ask for an array whose first entry lies at the beginning of a line of the cache."""
    n_bytes = prod(shape) * dtype.itemsize
    memory = np.empty(max(n_bytes + LINE, LEAST), np.uint8)
    first = -memory.ctypes.data % LINE
    return memory[first : first + n_bytes].view(dtype).reshape(shape)
