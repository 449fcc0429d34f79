"""One target for each sequence, or one for each step: how they are read, and given back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import column_or_1d

from cbptt.data.ragged import Ragged
from cbptt.data.sequences import Sequences
from cbptt.losses import POOLINGS, flatten_targets, flatten_weights, spell_place

POOLING_CONSTRAINT = [StrOptions(set(POOLINGS))]


class TargetPerSequence:
    """For estimators with one target for each sequence; `pooling` says what is read for it."""

    pooling: str
    _of_places: ClassVar[tuple[str, ...]] = ()

    @property
    def _readout(self) -> str:
        return self.pooling

    @property
    def _states(self) -> str:
        return self.pooling

    def _flatten(
        self, y: Any, sequences: Sequences, known: dict[str, Any], *, numeric: bool
    ) -> tuple[NDArray[Any], dict[str, Any]]:
        """(n,) or (n, K) targets, and what was learned of their form."""
        name = type(self).__name__
        flat = flatten_targets(y, sequences, "last", name="y", caller=name, numeric=numeric)
        return _as_column(flat, warn=True), {}

    def _told(
        self, values: NDArray[Any], sequences: Sequences, form: Mapping[str, Any]
    ) -> NDArray[Any]:
        """Of the values of all outputs those that are returned: (n, ...)."""
        return values

    def _shape(self, values: NDArray[Any], sequences: Sequences) -> Any:
        """Give the values of all outputs the form in which they are predicted."""
        return values

    def _weigh(
        self, sample_weight: Any, sequences: Sequences, form: Mapping[str, Any]
    ) -> NDArray[np.floating]:
        """(n,) weights of the targets."""
        return flatten_weights(sample_weight, sequences, "last", caller=type(self).__name__)

    def _share_out(
        self, weights: NDArray[np.floating], sequences: Sequences, form: Mapping[str, Any]
    ) -> NDArray[np.floating]:
        """(n,) the same weights, in training."""
        return weights

    def _told_weights(
        self, weights: NDArray[np.floating], sequences: Sequences, form: Mapping[str, Any]
    ) -> NDArray[np.floating]:
        """Of the weights in training those of the targets that are told."""
        return weights

    def _spell(self, row: int, sequences: Sequences, form: Mapping[str, Any]) -> str:
        """Return the place of a target, as y is indexed."""
        return spell_place(row, sequences, "last")


class TargetPerStep:
    """For estimators with one target for each step.

    If they are fitted on one target for each sequence, it is used as the target of every step, and
    told after the last one: target replication (Lipton, Kale, Elkan & Wetzel 2016, Learning to
    diagnose with LSTM recurrent neural networks).
    """

    _replicates: bool
    _of_places: ClassVar[tuple[str, ...]] = ("_replicates",)

    @property
    def _readout(self) -> str:
        return "every"

    @property
    def _states(self) -> str:
        return "last" if self._replicates else "all"

    def _flatten(
        self, y: Any, sequences: Sequences, known: dict[str, Any], *, numeric: bool
    ) -> tuple[NDArray[Any], dict[str, Any]]:
        """(steps,) or (steps, K) targets, and what was learned of their form."""
        name = type(self).__name__
        replicates = known.get("_replicates")
        if replicates is None:
            replicates = _are_of_sequences(y, sequences)
        readout = "last" if replicates else "every"
        flat = flatten_targets(y, sequences, readout, name="y", caller=name, numeric=numeric)
        flat = _as_column(flat, warn=replicates)
        if replicates and flat.ndim != 1:
            raise ValueError(
                f"{name} got y with targets of shape {flat.shape[1:]} for whole sequences; "
                f"expected a single one for each sequence, or targets for each step."
            )
        if replicates:
            flat = np.repeat(flat, sequences.lengths)
        return flat, {"_replicates": replicates}

    def _told(
        self, values: NDArray[Any], sequences: Sequences, form: Mapping[str, Any]
    ) -> NDArray[Any]:
        """Of the values of all steps those that are returned: (n, ...) or (steps, ...)."""
        return values[sequences.offsets[1:] - 1] if form["_replicates"] else values

    def _shape(self, values: NDArray[Any], sequences: Sequences) -> Any:
        """Give the values of all steps the form in which they are predicted."""
        told = self._told(values, sequences, vars(self))
        return told if self._replicates else steps_like(sequences, told)

    def _weigh(
        self, sample_weight: Any, sequences: Sequences, form: Mapping[str, Any]
    ) -> NDArray[np.floating]:
        """(steps,) weights of the targets, whose form is as `_flatten` found it."""
        name = type(self).__name__
        if not form["_replicates"]:
            return flatten_weights(sample_weight, sequences, "every", caller=name)
        weights = flatten_weights(sample_weight, sequences, "last", caller=name)
        return np.repeat(weights, sequences.lengths)

    def _share_out(
        self, weights: NDArray[np.floating], sequences: Sequences, form: Mapping[str, Any]
    ) -> NDArray[np.floating]:
        """(steps,) weights in training: steps share that of a target of the whole sequence."""
        if not form["_replicates"]:
            return weights
        return weights / np.repeat(sequences.lengths, sequences.lengths)

    def _told_weights(
        self, weights: NDArray[np.floating], sequences: Sequences, form: Mapping[str, Any]
    ) -> NDArray[np.floating]:
        """The weights of the returned targets, undivided, from the weights in training."""
        told = self._told(weights, sequences, form)
        return told * sequences.lengths if form["_replicates"] else told

    def _spell(self, row: int, sequences: Sequences, form: Mapping[str, Any]) -> str:
        """Return the place of a step's target, as y is indexed."""
        if not form["_replicates"]:
            return spell_place(row, sequences, "every")
        i = int(np.searchsorted(sequences.offsets, row, side="right")) - 1
        return spell_place(i, sequences, "last")


def steps_like(sequences: Sequences, values: NDArray[Any]) -> Any:
    """Mirror X: an array for an array, and for anything ragged a 1-D object array of arrays.

    scikit-learn concatenates the predictions of its folds, which a list or a Ragged would not
    survive.
    """
    mirrored = sequences.shape_like(values)
    return np.asarray(mirrored) if sequences.form == "ragged" else mirrored


def _as_column(flat: NDArray[Any], *, warn: bool) -> NDArray[Any]:
    """(R,) where there is one target each."""
    if flat.ndim == 2 and flat.shape[1] == 1:
        return np.asarray(column_or_1d(flat, warn=warn))
    return flat


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
