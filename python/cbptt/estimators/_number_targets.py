"""Numbers as targets: a linear output, and half the squared error."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import r2_score

from cbptt.data.sequences import Sequences
from cbptt.engine.results import Shard
from cbptt.estimators._targets import (
    Array,
    GivenTargets,
    Labels,
    TargetForm,
    TargetKind,
)


@dataclass(frozen=True)
class NumberTargets(TargetKind):
    """One number, or K numbers, for each sequence or each step.

    A step whose numbers are all NaN has no target.
    """

    numeric: ClassVar[bool] = True

    def read(
        self, y: Any, sequences: Sequences, sample_weight: Any, known: TargetForm | None
    ) -> Labels:
        """Check numbers and their weights; they are as many as in the first fit."""
        given = self._read_given(y, sequences, sample_weight, known)
        self._check_finite(given)
        n_columns = None if given.flat.ndim == 1 else given.flat.shape[1]
        n_outputs = n_columns or 1
        if known is not None and n_columns != known.n_columns:
            raise ValueError(
                f"{self.caller} got y with {n_outputs} outputs; expected {known.n_columns or 1}, "
                f"as in the first fit."
            )
        form = TargetForm(given.places.replicated, n_columns, squeezed=n_columns is None)
        weights = given.places.share(given.weights, sequences)
        return Labels(
            flat=given.flat,
            weights=weights,
            training_weights=weights,
            n_outputs=n_outputs,
            output_activation="identity",
            loss="squared_error",
            form=form,
        )

    def predict(self, outputs: Array, form: TargetForm) -> Array:
        """Return the outputs, in the form of the targets: (R,) or (R, K)."""
        return outputs[:, 0] if form.squeezed else outputs

    def score(
        self, outputs: Array, y: Any, sequences: Sequences, sample_weight: Any, form: TargetForm
    ) -> float:
        """Return R^2 over all targets, averaged over outputs."""
        given = self._read_given(y, sequences, sample_weight, form)
        numbers = self.predict(outputs, form)
        if given.flat.shape != numbers.shape:
            raise ValueError(
                f"{self.caller} got y with targets of shape {given.flat.shape[1:]}; expected "
                f"{numbers.shape[1:]}, as in fit."
            )
        self._check_finite(given)
        true, predicted, weights, used = (
            given.places.predicted(values, sequences)
            for values in (given.flat, numbers, given.weights, given.used)
        )
        return float(r2_score(true[used], predicted[used], sample_weight=weights[used]))

    def score_held_out(self, outputs: Array, held_out: Shard, form: TargetForm) -> float:
        """Return R^2; NaN for fewer than two targets, or outputs that are not finite."""
        places, sequences = self.places(form), held_out.sequences
        rows = places.predicted(np.arange(len(outputs)), sequences)
        weights = places.predicted_weights(held_out.targets.weights, sequences)
        used = weights != 0
        weights = weights[used].astype(np.float64)
        # as in `score`, where targets are read in double precision
        true = held_out.targets.values[rows][used].astype(np.float64)
        predicted = outputs[rows][used].astype(np.float64)
        if len(true) < 2 or not np.isfinite(predicted).all():
            return math.nan  # R^2 is not defined
        with np.errstate(over="ignore", invalid="ignore"):
            return float(r2_score(true, predicted, sample_weight=weights))

    # ---- checks -------------------------------------------------------------------------------

    def _is_labelled(self, flat: NDArray[Any]) -> NDArray[np.bool_]:
        if self.readout != "every" or flat.dtype.kind != "f":
            return np.ones(len(flat), np.bool_)
        return np.asarray(~np.isnan(flat).reshape(len(flat), -1).all(axis=1))

    def _check_finite(self, given: GivenTargets) -> None:
        flat = given.flat
        if flat.dtype.kind != "f":
            return
        bad = given.used & ~np.isfinite(flat).reshape(len(flat), -1).all(axis=1)
        if bad.any():
            first = int(np.argmax(bad))
            raise ValueError(
                f"{self.caller} got y{given.spell(first)} = {flat[first]}; targets must be finite. "
                f"Input y contains NaN or infinity."
            )
