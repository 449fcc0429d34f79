"""Classes as targets: a softmax over classes, or a logistic output for each of several labels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets

from cbptt.data.reading import finite_rule, read_array, spell
from cbptt.data.sequences import Sequences
from cbptt.engine.results import Shard
from cbptt.estimators._targets import (
    Array,
    GivenTargets,
    Labels,
    TargetForm,
    TargetKind,
)


@dataclass(frozen=True, eq=False)
class ClassTargets(TargetKind):
    """One class, or a row of 0 and 1 for several labels at once, for each sequence or each step.

    Attributes
    ----------
    class_weight : dict, "balanced" or None
    missing_label : label that means no target, or None
    all_classes : (n_classes,) ndarray or None
        The classes that may come, in the first call of `partial_fit`; None takes those of y.
    incremental : bool
        Whether other y will follow, so that all classes must be known.
    """

    numeric: ClassVar[bool] = False
    class_weight: Any
    missing_label: Any = None
    all_classes: NDArray[Any] | None = None
    incremental: bool = False

    def read(
        self, y: Any, sequences: Sequences, sample_weight: Any, known: TargetForm | None
    ) -> Labels:
        """Check labels and their weights; several labels at once have two-dimensional targets."""
        given = self._read_given(y, sequences, sample_weight, known)
        several = given.flat.ndim == 2 if known is None else known.n_columns is not None
        return self._read_indicators(given) if several else self._read_labels(given, known)

    def _read_indicators(self, given: GivenTargets) -> Labels:
        self._check_indicators(given)
        if self.class_weight is not None:
            raise ValueError(
                f"{self.caller} got class_weight={self.class_weight!r} with several labels at "
                f"once; expected None: weigh the targets by sample_weight."
            )
        n_outputs = given.flat.shape[1]
        # of dtype object, as scikit-learn's scorers read two plain integers as the classes of one
        # label, and drop the probabilities of the first
        classes = np.arange(n_outputs).astype(object)
        weights = given.places.share(given.weights, given.sequences)
        return Labels(
            flat=np.where(given.used[:, None], given.flat, 0),
            weights=weights,
            training_weights=weights,
            n_outputs=n_outputs,
            output_activation="logistic",
            loss="log_loss",
            form=TargetForm(given.places.replicated, n_outputs, classes=classes),
        )

    def _read_labels(self, given: GivenTargets, known: TargetForm | None) -> Labels:
        self._check_labels(given)
        classes = self.all_classes if known is None else known.classes
        if classes is None:
            if self.incremental:
                raise ValueError(
                    f"{self.caller}.partial_fit got no classes, which must be passed on the first "
                    f"call, as later ones may bring others."
                )
            classes = np.unique(given.flat[given.used])
        encoded = self._encode(given, classes)
        weights = training_weights = given.places.share(given.weights, given.sequences)
        if self.class_weight is not None:
            training_weights = weights * self._class_weights(classes, encoded, weights)[encoded]
        return Labels(
            flat=encoded,
            weights=weights,
            training_weights=training_weights,
            n_outputs=len(classes),
            output_activation="softmax",
            loss="log_loss",
            form=TargetForm(given.places.replicated, None, classes=classes),
            stratify=None if given.places.per_step else encoded,
        )

    def predict(self, outputs: Array, form: TargetForm) -> NDArray[Any]:
        """Return the most probable class, (R,); or which of several labels hold, (R, K) 0 and 1."""
        if form.n_columns is not None:
            return (outputs > 0.5).astype(np.intp)
        assert form.classes is not None
        return np.asarray(form.classes[np.argmax(outputs, axis=1)])

    def score(
        self, outputs: Array, y: Any, sequences: Sequences, sample_weight: Any, form: TargetForm
    ) -> float:
        """Return the fraction of targets predicted correctly."""
        given = self._read_given(y, sequences, sample_weight, form)
        predictions = self.predict(outputs, form)
        if form.n_columns is not None:
            self._check_indicators(given)
            if given.flat.shape != predictions.shape:
                raise ValueError(
                    f"{self.caller} got y with rows of {given.flat.shape[1]} values; expected "
                    f"{predictions.shape[1]}, as in fit."
                )
        else:
            assert form.classes is not None
            self._check_labels(given)
            if (given.flat.dtype.kind == "U") != (form.classes.dtype.kind == "U"):
                raise ValueError(
                    f"{self.caller} got y of dtype {given.flat.dtype}; expected labels of the type "
                    f"of its classes, {spell(form.classes)}."
                )
        true, predicted, weights, used = (
            given.places.predicted(values, sequences)
            for values in (given.flat, predictions, given.weights, given.used)
        )
        return float(accuracy_score(true[used], predicted[used], sample_weight=weights[used]))

    def score_held_out(self, outputs: Array, held_out: Shard, form: TargetForm) -> float:
        """Return the fraction of targets predicted correctly; NaN if an output is not finite."""
        places, sequences, targets = self.places(form), held_out.sequences, held_out.targets
        rows = places.predicted(np.arange(len(outputs)), sequences)
        outputs = outputs[rows]
        weights = places.predicted_weights(targets.weights, sequences)
        if not np.isfinite(outputs[weights != 0]).all():
            return math.nan  # there is no most probable class
        if len(targets.labels):
            right = np.argmax(outputs, axis=1) == targets.labels[rows]
        else:
            right = ((outputs > 0.5) == (targets.values[rows] > 0.5)).all(axis=1)
        return float(np.average(right, weights=weights.astype(np.float64)))

    # ---- checks -------------------------------------------------------------------------------

    def _is_labelled(self, flat: NDArray[Any]) -> NDArray[np.bool_]:
        missing = self.missing_label
        if missing is None:
            return np.ones(len(flat), np.bool_)
        is_missing = (flat != flat) if missing != missing else (flat == missing)
        is_missing = np.broadcast_to(is_missing, flat.shape).reshape(len(flat), -1)
        return np.asarray(~is_missing.all(axis=1))

    def _check_labels(self, given: GivenTargets) -> None:
        flat, used = given.flat, given.used
        if flat.ndim != 1:
            raise ValueError(
                f"{self.caller} got y with labels of shape {flat.shape[1:]}; expected one label "
                f"per {'step' if given.places.per_step else 'sequence'}."
            )
        if flat.dtype.kind == "f":
            bad = used & ~np.isfinite(flat)
            if bad.any():
                place = given.spell(int(np.argmax(bad)))
                raise ValueError(
                    f"{self.caller} got y{place}: Input y contains NaN or infinity; labels must be "
                    f"finite."
                )
        check_classification_targets(flat[used])

    def _check_indicators(self, given: GivenTargets) -> None:
        flat = given.flat
        if flat.ndim != 2:
            raise ValueError(
                f"{self.caller} got y with one label each; expected a row of 0 and 1 each."
            )
        bad = given.used[:, None] & ~np.isin(flat, (0, 1))
        if bad.any():
            row, column = np.argwhere(bad)[0]
            value = flat[row, column]
            why = "Input y contains NaN" if value != value else "Unknown label type"
            raise ValueError(
                f"{self.caller} got y{given.spell(row)} with {value} in column {column}, of rows "
                f"of {flat.shape[1]} values. {why}: expected one label each, or rows of 0 and 1 "
                f"that say which labels hold."
            )

    def _encode(self, given: GivenTargets, classes: NDArray[Any]) -> NDArray[np.intp]:
        """(R,) the number of each label's class, 0 where there is none."""
        flat, used = given.flat, given.used
        numbers = np.searchsorted(classes, flat).clip(0, len(classes) - 1)
        unknown = used & (classes[numbers] != flat)
        if unknown.any():
            first = int(np.argmax(unknown))
            raise ValueError(
                f"{self.caller} got y{given.spell(first)} = {flat[first]!r}, which is none of the "
                f"classes {spell(classes)}; warm_start, partial_fit and validation_data need those "
                f"of the first fit."
            )
        return np.where(used, numbers, 0)

    def _class_weights(
        self, classes: NDArray[Any], encoded: NDArray[np.intp], weights: Array
    ) -> NDArray[np.float64]:
        """(n_classes,) the weight of each class; "balanced" counts weights, not labels."""
        if isinstance(self.class_weight, str):
            counts = np.bincount(encoded, weights=weights, minlength=len(classes))
            there = counts > 0
            shares = counts.sum() / (there.sum() * np.where(there, counts, 1))
            return np.where(there, shares, 0)
        each = np.asarray(
            compute_class_weight(self.class_weight, classes=classes, y=classes), np.float64
        )
        with np.errstate(over="ignore", invalid="ignore"):
            products = each[encoded] * weights
        largest = np.finfo(weights.dtype).max
        if not ((each >= 0) & np.isfinite(each)).all() or not (products <= largest).all():
            rule = "weights must be finite and not negative"
            raise ValueError(
                f"{self.caller} got class_weight={self.class_weight!r}; "
                f"{finite_rule(products, weights.dtype, rule)}."
            )
        return each


def read_classes(classes: Any, *, caller: str) -> NDArray[Any]:
    """Return the classes that a user passed, (n_classes,), sorted and each of them once.

    Raises
    ------
    ValueError, TypeError
        If there is none, they are not of one kind, or one is not finite.
    """
    expected = "expected a list or array of at least one class, all of them labels of one kind"
    labels = read_array(
        classes, caller=caller, name="classes", ndims=(1,), expected=expected, text=True
    )
    if len(labels) == 0:
        raise ValueError(f"{caller} got 0 classes; {expected}.")
    if labels.dtype.kind == "f" and not np.isfinite(labels).all():
        i = int(np.isfinite(labels).argmin())
        raise ValueError(f"{caller} got classes[{i}] = {labels[i]}; classes must be finite.")
    return np.unique(labels)
