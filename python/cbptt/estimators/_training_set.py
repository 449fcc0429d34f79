"""The sequences and labels of a fit: those that are used, held out, and cut into streams."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from cbptt.data.ragged import Ragged
from cbptt.data.sequences import Sequences
from cbptt.estimators._missing import mean_of_steps
from cbptt.estimators._targets import Labels, check_any_target

Index = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """Sequences with their labels.

    Attributes
    ----------
    sequences : Sequences
    labels : Labels
    per_step : bool
        Whether there is a target for each step, rather than for each sequence.
    """

    sequences: Sequences
    labels: Labels
    per_step: bool

    def used(self, *, caller: str) -> Index:
        """Return the sequences with a weight in training, which is as without the others.

        Raises
        ------
        ValueError
            If there is none.
        """
        used = self.labels.training_weights != 0
        check_any_target(used, caller)
        if self.per_step:
            used = np.logical_or.reduceat(used, self.sequences.offsets[:-1])
        return np.flatnonzero(used)

    def take(self, index: Index) -> TrainingSet:
        """Return some of the sequences, given by rising numbers, or all of them in any order."""
        sequences, labels = self.sequences, self.labels
        if np.array_equal(index, np.arange(len(sequences))):
            return self
        ragged = Ragged(sequences.values, sequences.offsets)[index]
        rows = index
        if self.per_step:
            rows = Ragged(np.arange(sequences.n_steps), sequences.offsets)[index].values
        chosen = replace(
            labels,
            flat=labels.flat[rows],
            weights=labels.weights[rows],
            training_weights=labels.training_weights[rows],
            stratify=None if labels.stratify is None else labels.stratify[index],
        )
        sequences = replace(sequences, values=ragged.values, offsets=ragged.offsets, times=())
        return replace(self, sequences=sequences, labels=chosen)

    def mean_of_steps(self) -> NDArray[np.float64]:
        """Return the mean of each variable (D,), in which steps weigh as their targets do."""
        weights = self.labels.weights
        if not self.per_step:
            weights = np.repeat(weights, self.sequences.lengths)
        return mean_of_steps(self.sequences, weights)

    def hold_out(
        self, used: Index, fraction: float, rng: np.random.Generator
    ) -> tuple[Index, Index]:
        """Return the sequences to train on, and those to hold out, of those that are used.

        Raises
        ------
        ValueError
            If fewer than 2 would be held out, or all.
        """
        n = len(used)
        n_held_out = math.ceil(fraction * n)
        if n_held_out < 2 or n_held_out == n:
            raise ValueError(
                f"The validation set is too small, or all there is: validation_fraction="
                f"{fraction} of {n} sequences is {n_held_out}; change it, or give more sequences, "
                f"or validation_data."
            )
        stratify = self.labels.stratify
        if stratify is not None:
            stratify = stratify[used]
            sizes = np.bincount(stratify, minlength=self.labels.n_outputs)
            if sizes.min() < 2 or min(n_held_out, n - n_held_out) < len(sizes):
                stratify = None  # there are too few to have some of each class on both sides
        train, held_out = train_test_split(
            used,
            test_size=n_held_out,
            random_state=int(rng.integers(2**31)),
            stratify=stratify,
        )
        return train, held_out


def cut_streams(sequences: Sequences, batch_size: int, shortest: int) -> Sequences:
    """Cut sequences into about as many pieces as a mini-batch takes.

    Parameters
    ----------
    sequences : Sequences
    batch_size : int
        Sequences of a mini-batch.
    shortest : int
        Steps that a piece has at least, unless a whole sequence is shorter.
    """
    lengths = sequences.lengths
    share = min(batch_size, sequences.n_steps) * lengths / sequences.n_steps
    n_pieces = np.minimum(np.maximum(1, np.rint(share)), lengths // shortest)
    cuts = [
        np.linspace(first, last, int(max(1, n)), endpoint=False).astype(np.intp)
        for first, last, n in zip(
            sequences.offsets[:-1], sequences.offsets[1:], n_pieces, strict=True
        )
    ]
    offsets = np.concatenate([*cuts, sequences.offsets[-1:]])
    return replace(sequences, offsets=offsets, times=())
