"""Missing values: the mean of the variable in their place, and inputs that mark them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cbptt.data.sequences import Sequences


def mean_of_steps(sequences: Sequences, weights: NDArray[np.floating]) -> NDArray[np.float64]:
    """(D,) the mean of each variable over the steps that have it; 0 for one that no step has.

    weights : (steps,) of which the mean is taken.
    """
    # sums, and no products of BLAS, whose bits would depend on its threads
    there = np.where(np.isnan(sequences.values), 0, weights[:, None])
    totals = there.sum(axis=0, dtype=np.float64)
    sums = (there * np.nan_to_num(sequences.values)).sum(axis=0, dtype=np.float64)
    return np.asarray(sums / np.where(totals > 0, totals, 1))


def indicate(sequences: Sequences, fill: NDArray[np.float64] | None) -> Sequences:
    """Put `fill` (D,) in the place of NaN, and add D variables that are 1 there and 0 elsewhere.

    Without `fill` the sequences stay as they are.
    """
    if fill is None:
        return sequences
    missing = np.isnan(sequences.values)
    filled = np.where(missing, fill, sequences.values)
    return replace(sequences, values=np.hstack([filled, missing], dtype=sequences.values.dtype))
