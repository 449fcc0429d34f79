"""Output functions and losses: which go together, and what a target of theirs may be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbptt._kernels import FUNCTIONS
from cbptt.data.reading import finite_rule, read_array
from cbptt.data.sequences import Sequences, flatten_steps

__all__ = [
    "ACTIVATIONS",
    "OUTPUT_ACTIVATIONS",
    "PAIRS",
    "POOLINGS",
    "READOUTS",
    "Targets",
    "check_pair",
    "check_targets",
    "flatten_targets",
    "flatten_weights",
    "spell_place",
]

# The names that users pass. Their codes are in the compiled modules; tests/test_names.py compares
# them with these, with the reference and with the docstrings.
ACTIVATIONS = ("tanh", "relu", "logistic", "identity")
OUTPUT_ACTIVATIONS = tuple(FUNCTIONS)
READOUTS = ("every", "last", "mean", "max")
POOLINGS = READOUTS[1:]  # one row of states for each sequence
PAIRS = {
    "squared_error": OUTPUT_ACTIVATIONS,
    "log_loss": ("softmax", "logistic"),
}


def check_pair(output_activation: str, loss: str, caller: str) -> None:
    """Raise ValueError where the loss is not defined for what the output function returns."""
    if output_activation not in PAIRS[loss]:
        raise ValueError(
            f"{caller} got output_activation={output_activation!r} with loss={loss!r}, which needs "
            f"probabilities; use one of {PAIRS[loss]}, or loss='squared_error'."
        )


@dataclass(frozen=True)
class Targets:
    """What the outputs are to become: one row per labelled place, in the order of the flat buffer.

    Attributes
    ----------
    labels : (R,) classes, or empty where the targets are vectors. -1 where the weight is 0.
    values : (R, K) vectors, or (0, K) where the targets are classes. 0 where the weight is 0.
    weights : (R,) the weight of each row; 0 marks a row without a target.
    """

    labels: NDArray[np.intp]
    values: NDArray[np.floating]
    weights: NDArray[np.floating]

    def dense(self) -> NDArray[np.floating]:
        """Return all targets as vectors (R, K), a copy."""
        if len(self.labels) == 0:
            return self.values.copy()
        dense = np.zeros((len(self.labels), self.values.shape[1]), self.values.dtype)
        labelled = np.flatnonzero(self.labels >= 0)
        dense[labelled, self.labels[labelled]] = 1
        return dense


def flatten_targets(
    Y: Any,
    sequences: Sequences,
    readout: str,
    *,
    name: str,
    caller: str,
    numeric: bool = True,
) -> NDArray[Any]:
    """Return one target per readout: (steps,) or (steps, K) for "every", else (n,) or (n, K).

    Raises
    ------
    ValueError, TypeError
        Where Y is no array, holds something else than numbers though it must (numeric), or has
        another number of targets than X has sequences or steps.
    """
    if readout == "every":
        flat = flatten_steps(Y, sequences, name=name, caller=caller)
        if numeric and flat.dtype.kind not in "biuf":
            raise TypeError(f"{caller} got {name} of dtype {flat.dtype}; targets must be numbers.")
    else:
        flat = read_array(
            Y,
            caller=caller,
            name=name,
            ndims=(1, 2),
            expected="expected one target per sequence",
            text=not numeric,
        )
        if len(flat) != len(sequences):
            hint = " Each row of a 2-D X is a sequence; for rows that are steps pass [X], or "
            hint += "cbptt.Ragged.from_flat(X, lengths)."
            raise ValueError(
                f"{caller} got {len(flat)} targets in {name} for {len(sequences)} sequences in X; "
                f"expected one target per sequence.{hint if sequences.form == '2d' else ''}"
            )
    return flat


def check_targets(
    flat: NDArray[Any],
    weights: NDArray[np.floating],
    sequences: Sequences,
    *,
    n_outputs: int,
    output_activation: str,
    loss: str,
    readout: str,
    name: str,
    caller: str,
) -> Targets:
    """Check targets against what the loss takes.

    Parameters
    ----------
    flat : (R,) or (R, K) from `flatten_targets`
        Classes (integers) for softmax; n_outputs numbers each for any output function, or plain
        numbers where n_outputs is 1.
    weights : (R,) from `flatten_weights`
        A place with weight 0 is unlabelled, and whatever its target holds is never read.

    Raises
    ------
    ValueError
        Naming the first target that does not fit, and what was expected.
    """
    used = weights != 0

    def refuse(bad: Any, rule: str) -> None:
        if bad.any():
            first = int(np.argmax(bad))
            place = spell_place(first, sequences, readout)
            raise ValueError(f"{caller} got {name}{place} = {flat[first]}; {rule}.")

    if output_activation == "softmax" and flat.ndim == 1 and flat.dtype.kind in "biu":
        # compared as they are given: a cast could turn a large unsigned label into a class
        outside = used & ((flat < 0) | (flat >= n_outputs))
        refuse(outside, f"classes must be integers from 0 to {n_outputs - 1}")
        labels = np.full(len(flat), -1, np.intp)
        labels[used] = flat[used]
        return Targets(labels, np.empty((0, n_outputs), weights.dtype), weights)

    if flat.ndim == 1 and n_outputs == 1:
        flat = flat[:, None]
    if flat.ndim != 2 or flat.shape[1] != n_outputs:
        classes = "an integer class or " if output_activation == "softmax" else ""
        raise ValueError(
            f"{caller} got {name} with targets of shape {flat.shape[1:]} and dtype {flat.dtype}; "
            f"expected {classes}shape ({n_outputs},) each."
        )
    with np.errstate(over="ignore"):
        values = np.zeros(flat.shape, weights.dtype)  # in C order, whatever that of flat
        values[used] = flat[used]
    bad = ~np.isfinite(values).all(axis=1)
    refuse(bad, finite_rule(flat[bad][:1], weights.dtype, "targets must be finite"))
    if loss == "log_loss":
        refuse(((values < 0) | (values > 1)).any(axis=1), "log_loss needs probabilities in [0, 1]")
        if output_activation == "softmax":
            off = np.abs(values.sum(axis=1, dtype=np.float64) - 1) > 1e-5
            refuse(used & off, "the probabilities of a softmax target must sum to 1")
    return Targets(np.empty(0, np.intp), values, weights)


def flatten_weights(
    sample_weight: Any, sequences: Sequences, readout: str, *, caller: str
) -> NDArray[np.floating]:
    """Return one weight per target: (steps,) with readout "every", else (n,).

    Parameters
    ----------
    sample_weight : None, (n,) one per sequence, or, with readout "every", one per step

    Raises
    ------
    ValueError
        Where a weight is negative or not finite, or their number does not fit.
    """
    dtype = sequences.values.dtype
    n_targets = sequences.n_steps if readout == "every" else len(sequences)
    if sample_weight is None:
        return np.ones(n_targets, dtype)
    expected = "expected one weight per sequence"
    if readout == "every" and _holds_arrays(sample_weight):
        flat = flatten_steps(sample_weight, sequences, name="sample_weight", caller=caller)
        if flat.ndim != 1 or flat.dtype.kind not in "biuf":
            raise ValueError(
                f"{caller} got sample_weight of dtype {flat.dtype} with {flat.shape[1:]} weights "
                f"per step; expected one number per step."
            )
    else:
        flat = read_array(
            sample_weight, caller=caller, name="sample_weight", ndims=(1,), expected=expected
        )
        if len(flat) != len(sequences):
            raise ValueError(
                f"{caller} got {len(flat)} weights in sample_weight for {len(sequences)} sequences "
                f"in X; {expected}."
            )
        if readout == "every":
            flat = np.repeat(flat, sequences.lengths)
    with np.errstate(over="ignore"):
        weights = flat.astype(dtype)
    bad = ~(np.isfinite(weights) & (weights >= 0))
    if bad.any():
        first = int(np.argmax(bad))
        place = spell_place(first, sequences, readout)
        rule = finite_rule(flat[first], weights.dtype, "weights must be finite and not negative")
        raise ValueError(f"{caller} got sample_weight{place} = {flat[first]}; {rule}.")
    return weights


def _holds_arrays(values: Any) -> bool:
    """Whether the first of some values is itself a sequence of values."""
    try:
        return np.ndim(next(iter(values))) > 0
    except (TypeError, ValueError, StopIteration):
        return False


def spell_place(row: int, sequences: Sequences, readout: str) -> str:
    """Spell a flat row as the user indexes it: [sequence], or [sequence][step]."""
    if readout != "every":
        return f"[{row}]"
    i = int(np.searchsorted(sequences.offsets, row, side="right")) - 1
    return f"[{i}][{row - sequences.offsets[i]}]"
