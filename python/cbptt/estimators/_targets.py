"""What the targets of an estimator are: the contract that every kind of target fulfils."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import column_or_1d

from cbptt.data.ragged import Ragged
from cbptt.data.sequences import Sequences
from cbptt.engine.results import Shard
from cbptt.losses import flatten_targets, flatten_weights, spell_place

Array = NDArray[np.floating]


@dataclass(frozen=True)
class Places:
    """Which outputs of the network have targets, and which of them are returned as predictions.

    A network has R outputs for the sequences of X, in the order of X's flat buffer. P of them are
    predictions, in the order of y:

    ================  ==========  =====  =====  ====================================
    readout           replicated  R      P      y
    ================  ==========  =====  =====  ====================================
    last, mean, max   False       n      n      a target for each sequence
    every             False       steps  steps  a target for each step
    every             True        steps  n      a target for each sequence
    ================  ==========  =====  =====  ====================================

    Attributes
    ----------
    readout : {"last", "mean", "max", "every"}
        Which hidden states an output reads; with "every" there is an output for each step.
    replicated : bool
        Whether the target of a sequence is used as that of each of its steps, which share its
        weight, and the prediction is that after the last step: target replication (Lipton, Kale,
        Elkan & Wetzel 2016, Learning to diagnose with LSTM recurrent neural networks).
    """

    readout: str
    replicated: bool = False

    @property
    def per_step(self) -> bool:
        """Whether there is an output for each step."""
        return self.readout == "every"

    @property
    def states(self) -> str:
        """Which hidden states `transform` returns by default."""
        if self.replicated:
            return "last"
        return "all" if self.per_step else self.readout

    @property
    def _readout_of_y(self) -> str:
        """The readout that has as many outputs as y has targets."""
        return "last" if self.replicated else self.readout

    def flatten(self, y: Any, sequences: Sequences, *, numeric: bool, caller: str) -> NDArray[Any]:
        """Return a target for each output: (R,), or (R, K) for targets of several values."""
        flat = flatten_targets(
            y, sequences, self._readout_of_y, name="y", caller=caller, numeric=numeric
        )
        if flat.ndim == 2 and flat.shape[1] == 1:
            flat = np.asarray(column_or_1d(flat, warn=not self.per_step or self.replicated))
        if not self.replicated:
            return flat
        if flat.ndim != 1:
            raise ValueError(
                f"{caller} got y with targets of shape {flat.shape[1:]} for whole sequences; "
                f"expected a single one for each sequence, or targets for each step."
            )
        return np.repeat(flat, sequences.lengths)

    def weigh(self, sample_weight: Any, sequences: Sequences, *, caller: str) -> Array:
        """Return the weight of the target of each output, (R,)."""
        weights = flatten_weights(sample_weight, sequences, self._readout_of_y, caller=caller)
        return np.repeat(weights, sequences.lengths) if self.replicated else weights

    def share(self, weights: Array, sequences: Sequences) -> Array:
        """Return the weights (R,) in training: steps share that of a replicated target."""
        if not self.replicated:
            return weights
        return weights / np.repeat(sequences.lengths, sequences.lengths)

    def predicted(self, values: NDArray[Any], sequences: Sequences) -> NDArray[Any]:
        """Return the values (P, ...) that belong to predictions, of the values (R, ...)."""
        return values[sequences.offsets[1:] - 1] if self.replicated else values

    def predicted_weights(self, shares: Array, sequences: Sequences) -> Array:
        """Return the weights (P,) of the predictions' targets: undo `share`."""
        weights = self.predicted(shares, sequences)
        return weights * sequences.lengths if self.replicated else weights

    def shape(self, values: NDArray[Any], sequences: Sequences) -> Any:
        """Return the predictions among the values (R, ...) in the form that mirrors X."""
        predicted = self.predicted(values, sequences)
        if not self.per_step or self.replicated:
            return predicted
        return steps_like(sequences, predicted)

    def spell(self, row: int, sequences: Sequences) -> str:
        """Return the place of a target as y is indexed: [sequence] or [sequence][step]."""
        if self.replicated:
            row = int(np.searchsorted(sequences.offsets, row, side="right")) - 1
        return spell_place(row, sequences, self._readout_of_y)


@dataclass(frozen=True, eq=False)
class TargetForm:
    """What is learned of y, and a later y must agree with.

    Attributes
    ----------
    replicated : bool
        Whether an estimator of steps was fitted on one target for each sequence.
    n_columns : int or None
        Values K of each target; None where a target is a plain value.
    squeezed : bool
        Whether an output is predicted as a plain number, and not as a row of K numbers.
    classes : (n_classes,) ndarray or None
        The classes, sorted; None for numbers.
    """

    replicated: bool
    n_columns: int | None
    squeezed: bool = False
    classes: NDArray[Any] | None = None


@dataclass(frozen=True, eq=False)
class GivenTargets:
    """Targets and weights of sequences, flattened, before their values are checked.

    Attributes
    ----------
    sequences : Sequences
    places : Places
    flat : (R,) or (R, K) ndarray
    weights : (R,) ndarray
        0 where there is no target.
    used : (R,) ndarray of bool
        Where there is a target, and its weight is not 0. Other targets are never looked at.
    """

    sequences: Sequences
    places: Places
    flat: NDArray[Any]
    weights: Array
    used: NDArray[np.bool_]

    def spell(self, row: int) -> str:
        """Return the place of a target, as y is indexed."""
        return self.places.spell(row, self.sequences)


@dataclass(frozen=True, eq=False)
class Labels:
    """Targets as the network is trained on them, in the order of X's flat buffer.

    Attributes
    ----------
    flat : (R,) ndarray of class numbers or of numbers, or (R, K) ndarray
    weights : (R,) ndarray
        Weights in validation; 0 where there is no target.
    training_weights : (R,) ndarray
        Weights in training: the same, times those of the classes.
    n_outputs : int
        Outputs K that the network has for them.
    output_activation, loss : str
        What the network has for them.
    form : TargetForm
    stratify : (n,) ndarray of ints, or None
        Held-out sequences are drawn with the same proportions of these.
    """

    flat: NDArray[Any]
    weights: Array
    training_weights: Array
    n_outputs: int
    output_activation: str
    loss: str
    form: TargetForm
    stratify: NDArray[np.intp] | None = None


@dataclass(frozen=True)
class TargetKind(ABC):
    """The contract of a kind of target: how y is read, and how outputs become predictions.

    An estimator holds one, `BaseRNN._targets`, with the parameters that concern targets; it keeps
    no data. What it learns of y is a `TargetForm`, which the estimator stores and passes back. In
    the shapes, n are sequences; R, P and K are as in `Places` and `TargetForm`.

    Implementations are `ClassTargets` and `NumberTargets`.

    Attributes
    ----------
    numeric : bool
        Whether targets must be numbers, for all estimators of this kind.
    caller : str
        What errors call the estimator.
    readout : {"last", "mean", "max", "every"}
        Which hidden states the outputs read; "every" for targets of steps.
    """

    numeric: ClassVar[bool]
    caller: str
    readout: str

    # ---- what a kind says ---------------------------------------------------------------------

    @abstractmethod
    def read(
        self, y: Any, sequences: Sequences, sample_weight: Any, known: TargetForm | None
    ) -> Labels:
        """Check y and its weights.

        Parameters
        ----------
        y : targets as the user passed them
        sequences : Sequences
            X, already read.
        sample_weight : weights as the user passed them, or None
        known : TargetForm or None
            What an earlier y had; None in a first fit.

        Raises
        ------
        ValueError, TypeError
            If a target or weight is not valid, there is no target at all, or y differs from what
            is known.
        """

    @abstractmethod
    def predict(self, outputs: Array, form: TargetForm) -> NDArray[Any]:
        """Return the prediction of each output.

        Parameters
        ----------
        outputs : (R, K) ndarray

        Returns
        -------
        (R,) ndarray, or (R, K) for targets of several values
        """

    @abstractmethod
    def score(
        self, outputs: Array, y: Any, sequences: Sequences, sample_weight: Any, form: TargetForm
    ) -> float:
        """Check y and its weights, and score the outputs (R, K) by them."""

    @abstractmethod
    def score_held_out(self, outputs: Array, held_out: Shard, form: TargetForm) -> float:
        """Return the same score by targets (R,) that were read before; NaN if it is not defined."""

    @abstractmethod
    def _is_labelled(self, flat: NDArray[Any]) -> NDArray[np.bool_]:
        """Return whether a target is one, (R,), of targets (R,) or (R, K)."""

    # ---- what all kinds share -----------------------------------------------------------------

    def places(self, form: TargetForm) -> Places:
        """Return which outputs have targets, and which are predictions."""
        return Places(self.readout, form.replicated)

    def _read_given(
        self, y: Any, sequences: Sequences, sample_weight: Any, known: TargetForm | None
    ) -> GivenTargets:
        """Flatten y and its weights, and find where there are targets.

        Raises
        ------
        ValueError
            If there is none.
        """
        replicated = self.readout == "every" and (
            _are_of_sequences(y, sequences) if known is None else known.replicated
        )
        places = Places(self.readout, replicated)
        flat = places.flatten(y, sequences, numeric=self.numeric, caller=self.caller)
        if flat.shape[1:] == (0,):
            raise ValueError(f"{self.caller} got y with 0 outputs; expected at least one.")
        weights = places.weigh(sample_weight, sequences, caller=self.caller)
        used = (weights != 0) & self._is_labelled(flat)
        check_any_target(used, self.caller)
        return GivenTargets(sequences, places, flat, np.where(used, weights, 0), used)


def check_any_target(weights: NDArray[Any], caller: str) -> None:
    """Raise ValueError if no weight is other than 0."""
    if not weights.any():
        raise ValueError(
            f"{caller} got no target to learn from: every weight in sample_weight is zero, or no "
            f"target is labelled; expected at least one."
        )


def steps_like(sequences: Sequences, values: NDArray[Any]) -> Any:
    """Mirror X: an array for an array, and for anything ragged a 1-D object array of arrays.

    scikit-learn concatenates the predictions of its folds, which a list or a Ragged would not
    survive.
    """
    mirrored = sequences.shape_like(values)
    return np.asarray(mirrored) if sequences.form == "ragged" else mirrored


def _are_of_sequences(y: Any, sequences: Sequences) -> bool:
    """Whether y is one target for each sequence: plain values, or a column of them."""
    if isinstance(y, Ragged):
        return False
    if isinstance(y, (list, tuple)):
        return len(y) > 0 and np.ndim(y[0]) == 0
    try:
        array = np.asarray(y)
    except (TypeError, ValueError):
        return False
    if array.ndim == 1:
        return array.size > 0 and np.ndim(array[0]) == 0
    return array.ndim == 2 and array.shape[1] == 1 and bool((sequences.lengths != 1).any())
