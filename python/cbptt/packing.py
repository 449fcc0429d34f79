"""The packed layout of a batch: what the kernels see of ragged sequences."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cbptt import _packing

__all__ = ["Packing", "pack"]

Indices = NDArray[np.intp]


@dataclass(frozen=True)
class Packing:
    """Where each step of a batch lies: longest sequence first, the rows of one step contiguous.

    Attributes
    ----------
    order : (B,) sequences, longest first; equal lengths keep their order.
    batch_sizes : (T,) number of sequences alive at each step; row i of step t belongs to order[i].
    rows : (N,) for each packed row, its row in the flat buffer of the sequences.
    ends : (B,) for each sequence of `order`, the packed row of its last step.
    """

    order: Indices
    batch_sizes: Indices
    rows: Indices
    ends: Indices

    @property
    def n_sequences(self) -> int:
        """B."""
        return len(self.order)

    @property
    def n_rows(self) -> int:
        """N, the sum of the lengths."""
        return len(self.rows)


def pack(offsets: Indices) -> Packing:
    """Lay out all the sequences of a flat buffer.

    Parameters
    ----------
    offsets : (n + 1,) where each sequence begins in the flat buffer; strictly increasing.
    """
    n = len(offsets) - 1
    longest = int(np.diff(offsets).max())
    packing = Packing(
        order=np.empty(n, np.intp),
        batch_sizes=np.empty(longest, np.intp),
        rows=np.empty(offsets[-1], np.intp),
        ends=np.empty(n, np.intp),
    )
    _packing.layout(
        packing.order,
        packing.batch_sizes,
        packing.rows,
        packing.ends,
        np.empty(longest + 1, np.intp),
        np.arange(n, dtype=np.intp),
        offsets,
    )
    return packing
