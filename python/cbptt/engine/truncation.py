"""Truncated backpropagation through time: windows of steps, and the states between them.

Williams & Peng (1990), An efficient gradient-based algorithm for on-line training of recurrent
network trajectories, BPTT(h; h'): every h' steps (`stride`) the losses of these steps are
propagated back, through h steps (`steps`) at the most. The state is carried from window to window
of a sequence, and no gradient with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cbptt.data.integers import read_integer
from cbptt.data.sequences import Sequences

__all__ = ["Truncation", "Window", "check_truncation"]

Rows = NDArray[np.intp]

# Steps: more than any sequence has, and places in the flat buffer may be added to them.
MOST = int(np.iinfo(np.intp).max) // 4


@dataclass(frozen=True)
class Window:
    """Some steps of sequences that are not over yet.

    Attributes
    ----------
    ids : (B,) which sequences.
    starts, stops : (n,) the rows of the flat buffer where the window of each begins and ends.
    losses_from : (n,) the row from which losses count.
    is_first : whether it begins where the sequences do, and not from a carried state.
    carry : the number of its steps after which the next window begins; 0 if both begin together.
    """

    ids: Rows
    starts: Rows
    stops: Rows
    losses_from: Rows
    is_first: bool
    carry: int = 0

    @property
    def rows(self) -> Rows:
        """Rows of the flat buffer whose losses count."""
        first = self.losses_from[self.ids]
        lengths = self.stops[self.ids] - first
        ends = np.cumsum(lengths)
        return np.asarray(np.arange(ends[-1]) + np.repeat(first - (ends - lengths), lengths))


@dataclass(frozen=True)
class Truncation:
    """How far a gradient flows, and how often it is taken.

    Parameters
    ----------
    steps : int
        k2, the steps of a window.
    stride : int
        k1, the steps from a window to the next; at most `steps`.
    """

    steps: int
    stride: int

    @property
    def overlaps(self) -> bool:
        """Whether windows have steps in common."""
        return self.stride < self.steps

    def windows(self, sequences: Sequences, ids: Rows) -> Iterator[Window]:
        """Walk through some of the sequences together, all from their beginnings."""
        first, last = sequences.offsets[:-1], sequences.offsets[1:]
        lengths = sequences.lengths[ids]
        for done in range(0, int(lengths.max()), self.stride):
            end = done + self.stride
            begin, begin_next = (max(0, e - self.steps) for e in (end, end + self.stride))
            yield Window(
                ids[lengths > done],
                first + begin,
                np.minimum(first + end, last),
                first + done,
                is_first=begin == 0,
                carry=begin_next - begin,
            )

    def before_last(self, lengths: Rows) -> Rows:
        """Return how many steps come before each sequence's last window."""
        return np.maximum(lengths - self.steps, 0)


def check_truncation(
    steps: int | None,
    stride: int | None,
    *,
    readout: str,
    learn_initial_state: bool,
    bidirectional: bool = False,
    caller: str,
) -> Truncation | None:
    """Check how far a gradient is to flow, against the network it is to flow through.

    Parameters
    ----------
    steps : int or None
        None is all the way.
    stride : int or None
        None is `steps`.
    readout, learn_initial_state, bidirectional : of the network
    caller : who asks: every error begins with it.

    Raises
    ------
    ValueError
        For numbers below 1, a stride that is larger than the window or has none, and networks whose
        loss needs all states, or the first one, in one window.
    """
    steps, stride = (
        value
        if value is None
        else read_integer(value, caller=caller, name=name, most=None, other="None")
        for name, value in (("bptt_steps", steps), ("bptt_stride", stride))
    )
    if steps is None:
        if stride is not None:
            raise ValueError(
                f"{caller} got bptt_stride={stride} with bptt_steps=None; expected a number of "
                f"steps for bptt_steps too."
            )
        return None
    stride = steps if stride is None else stride
    if stride > steps:
        raise ValueError(
            f"{caller} got bptt_stride={stride} with bptt_steps={steps}; a window must reach back "
            f"to the one before, so expected at most {steps}."
        )
    if bidirectional:
        raise ValueError(
            f"{caller} got bptt_steps={steps} with bidirectional=True, whose reverse direction "
            f"begins at the end of a sequence, and not of a window; expected bptt_steps=None, or "
            f"bidirectional=False."
        )
    if readout in ("mean", "max"):
        raise ValueError(
            f"{caller} got bptt_steps={steps} with a readout of the {readout} of all states, whose "
            f"loss is known after the last step only; expected bptt_steps=None, or the readout "
            f"'last'."
        )
    if readout == "last" and learn_initial_state:
        raise ValueError(
            f"{caller} got bptt_steps={steps} with learn_initial_state=True and one target for "
            f"each sequence, whose gradient does not reach its first step; expected "
            f"bptt_steps=None, or learn_initial_state=False."
        )
    return Truncation(min(int(steps), MOST), min(int(stride), MOST))
