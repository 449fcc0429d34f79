"""Classifiers: a class, or several labels, for each sequence, or for each step."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Self, Unpack

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils import Tags
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets

from cbptt.data.reading import finite_rule, read_array, spell
from cbptt.data.sequences import Sequences
from cbptt.engine.results import Shard
from cbptt.estimators._base import BaseRNN, Labels, partial_fit_available
from cbptt.estimators._generation import Generating
from cbptt.estimators._parameters import CONSTRAINTS, Parameters, documented
from cbptt.estimators._targets import (
    POOLING_CONSTRAINT,
    TargetPerSequence,
    TargetPerStep,
    steps_like,
)

_CONSTRAINTS = CONSTRAINTS | {"class_weight": [dict, StrOptions({"balanced"}), None]}


class _Classifier(ClassifierMixin, BaseRNN):  # type: ignore[misc]
    """A softmax over classes, or, for several labels at once, a logistic output for each."""

    class_weight: Any
    missing_label: Any = None
    classes_: NDArray[Any]
    _is_multilabel: bool

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls._of_targets = ("classes_", "_is_multilabel", *getattr(cls, "_of_places", ()))

    @partial_fit_available  # type: ignore[untyped-decorator]
    def partial_fit(
        self, X: Any, y: Any, *, classes: Any = None, sample_weight: Any = None
    ) -> Self:
        """Train one epoch more, on these sequences; begin with the first call.

        Parameters
        ----------
        X, y, sample_weight : as in `fit`; the weights by name, as scikit-learn's estimators differ
            in the order of what follows y
        classes : (n_classes,) array-like, default=None
            All classes that will come; needed in the first call, but for several labels at once.

        Returns
        -------
        self : fitted estimator

        Raises
        ------
        ValueError, TypeError
            As `fit`; without classes in the first call, or with others in a later one.
        """
        known: dict[str, Any] = {"_needs_classes": True}
        if classes is not None:
            known = {"classes_": self._read_classes(classes)}
            if hasattr(self, "classes_") and not np.array_equal(self.classes_, known["classes_"]):
                raise ValueError(
                    f"{type(self).__name__} got classes={spell(classes)}, which is not the "
                    f"same as on the last call to partial_fit, was: {spell(self.classes_)}."
                )
        if self.class_weight == "balanced":
            raise ValueError(
                f"{type(self).__name__}.partial_fit does not support class_weight='balanced', as "
                f"it does not see all targets; pass a dict, or sample_weight."
            )
        return self._partial_fit(X, y, sample_weight, known)

    def _read_classes(self, classes: Any) -> NDArray[Any]:
        """(n_classes,) classes, sorted and each of them once."""
        name = type(self).__name__
        expected = "expected a list or array of at least one class, all of them labels of one kind"
        labels = read_array(
            classes, caller=name, name="classes", ndims=(1,), expected=expected, text=True
        )
        if len(labels) == 0:
            raise ValueError(f"{name} got 0 classes; {expected}.")
        if labels.dtype.kind == "f" and not np.isfinite(labels).all():
            i = int(np.isfinite(labels).argmin())
            raise ValueError(f"{name} got classes[{i}] = {labels[i]}; classes must be finite.")
        return np.unique(labels)

    def _read_targets(
        self, y: Any, sequences: Sequences, sample_weight: Any, known: dict[str, Any]
    ) -> Labels:
        flat, learned = self._flatten(y, sequences, known, numeric=False)
        weights = self._weigh(sample_weight, sequences, learned)
        used = (weights != 0) & self._is_labelled(flat)
        self._check_used(used)
        weights = np.where(used, weights, 0)
        if known.get("_is_multilabel", flat.ndim == 2):
            self._check_indicators(flat, used, sequences, learned)
            if self.class_weight is not None:
                raise ValueError(
                    f"{type(self).__name__} got class_weight={self.class_weight!r} with several "
                    f"labels at once; expected None: weigh the targets by sample_weight."
                )
            n_outputs = flat.shape[1]
            # of dtype object, as scikit-learn's scorers read two plain integers as the classes of
            # one label, and drop the probabilities of the first
            numbers = np.arange(n_outputs).astype(object)
            learned |= {"classes_": numbers, "_is_multilabel": True}
            flat = np.where(used[:, None], flat, 0)
            even = np.ones_like(weights)
            return Labels(flat, weights, even, n_outputs, "logistic", "log_loss", learned)

        self._check_labels(flat, used, sequences, learned)
        classes = known.get("classes_")
        if classes is None:
            if "_needs_classes" in known:
                raise ValueError(
                    f"{type(self).__name__}.partial_fit got no classes, which must be passed on "
                    f"the first call, as later ones may bring others."
                )
            classes = np.unique(flat[used])
        encoded = self._encode(flat, used, classes, sequences, learned)
        shares = self._share_out(weights, sequences, learned)
        emphasis = self._class_weights(classes, encoded, shares)[encoded]
        learned |= {"classes_": classes, "_is_multilabel": False}
        stratify = encoded if self._readout != "every" else None
        n_classes = len(classes)
        return Labels(
            encoded, weights, emphasis, n_classes, "softmax", "log_loss", learned, stratify
        )

    def _is_labelled(self, flat: NDArray[Any]) -> NDArray[np.bool_]:
        """(R,) whether a label is not `missing_label`."""
        missing = self.missing_label
        if missing is None:
            return np.ones(len(flat), np.bool_)
        is_missing = (flat != flat) if missing != missing else (flat == missing)
        is_missing = np.broadcast_to(is_missing, flat.shape).reshape(len(flat), -1)
        return np.asarray(~is_missing.all(axis=1))

    def _check_labels(
        self,
        flat: NDArray[Any],
        used: NDArray[np.bool_],
        sequences: Sequences,
        form: Mapping[str, Any],
    ) -> None:
        name = type(self).__name__
        if flat.ndim != 1:
            raise ValueError(
                f"{name} got y with labels of shape {flat.shape[1:]}; expected one label per "
                f"{'step' if self._readout == 'every' else 'sequence'}."
            )
        if flat.dtype.kind == "f":
            bad = used & ~np.isfinite(flat)
            if bad.any():
                place = self._spell(int(np.argmax(bad)), sequences, form)
                raise ValueError(
                    f"{name} got y{place}: Input y contains NaN or infinity; labels must be finite."
                )
        check_classification_targets(flat[used])

    def _check_indicators(
        self,
        flat: NDArray[Any],
        used: NDArray[np.bool_],
        sequences: Sequences,
        form: Mapping[str, Any],
    ) -> None:
        name = type(self).__name__
        if flat.ndim != 2:
            raise ValueError(f"{name} got y with one label each; expected a row of 0 and 1 each.")
        bad = used[:, None] & ~np.isin(flat, (0, 1))
        if bad.any():
            row, column = np.argwhere(bad)[0]
            place = self._spell(row, sequences, form)
            value = flat[row, column]
            why = "Input y contains NaN" if value != value else "Unknown label type"
            raise ValueError(
                f"{name} got y{place} with {value} in column {column}, of rows of {flat.shape[1]} "
                f"values. {why}: expected one label each, or rows of 0 and 1 that say which labels "
                f"hold."
            )

    def _encode(
        self,
        flat: NDArray[Any],
        used: NDArray[np.bool_],
        classes: NDArray[Any],
        sequences: Sequences,
        form: Mapping[str, Any],
    ) -> NDArray[np.intp]:
        """(R,) the number of each label's class, 0 where there is none."""
        places = np.searchsorted(classes, flat).clip(0, len(classes) - 1)
        unknown = used & (classes[places] != flat)
        if unknown.any():
            first = int(np.argmax(unknown))
            place = self._spell(first, sequences, form)
            raise ValueError(
                f"{type(self).__name__} got y{place} = {flat[first]!r}, which is none of the "
                f"classes {spell(classes)}; warm_start, partial_fit and validation_data need those "
                f"of the first fit."
            )
        return np.where(used, places, 0)

    def _class_weights(
        self, classes: NDArray[Any], encoded: NDArray[np.intp], weights: NDArray[np.floating]
    ) -> NDArray[np.float64]:
        """(n_classes,) the weight of each class; "balanced" counts weights, not labels."""
        if self.class_weight is None:
            return np.ones(len(classes))
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
                f"{type(self).__name__} got class_weight={self.class_weight!r}; "
                f"{finite_rule(products, weights.dtype, rule)}."
            )
        return each

    def _check_learned(self) -> None:
        super()._check_learned()
        if np.shape(self.classes_) != (self.n_outputs_,):
            raise ValueError(
                f"{type(self).__name__} has classes_ of shape {np.shape(self.classes_)}, which "
                f"does not fit its network_ of {self.n_outputs_} outputs; expected both as fit "
                f"left them. Fit again."
            )

    def _score_outputs(
        self, outputs: NDArray[np.floating], shard: Shard, learned: Mapping[str, Any]
    ) -> float:
        told = self._told(np.arange(len(outputs)), shard.sequences, learned)
        outputs = outputs[told]
        weights = self._told_weights(shard.targets.weights, shard.sequences, learned)
        if not np.isfinite(outputs[weights != 0]).all():
            return math.nan  # there is no most probable class
        if len(shard.targets.labels):
            right = np.argmax(outputs, axis=1) == shard.targets.labels[told]
        else:
            right = ((outputs > 0.5) == (shard.targets.values[told] > 0.5)).all(axis=1)
        return float(np.average(right, weights=weights.astype(np.float64)))

    # ---- predict ------------------------------------------------------------------------------

    def _classes_of(self, outputs: NDArray[np.floating]) -> NDArray[Any]:
        if self._is_multilabel:
            return (outputs > 0.5).astype(np.intp)
        return np.asarray(self.classes_[np.argmax(outputs, axis=1)])

    def predict(self, X: Any) -> Any:
        """Return the most probable class.

        Parameters
        ----------
        X : sequences, in any form that `fit` takes

        Returns
        -------
        y : (n,) ndarray of classes; or one for each step, (n, T) for an array X, and for ragged X a
            1-D object array of (T_i,) ndarrays
            For several labels at once rows of 0 and 1, (n, K) and so on.

        Raises
        ------
        ValueError
            Where a probability is NaN: no class is the most probable one.
        """
        model = self._snapshot()
        outputs, sequences = model._outputs(X, finite=True)
        return model._shape(model._classes_of(outputs), sequences)

    def predict_proba(self, X: Any) -> Any:
        """Return the probability of each class.

        Parameters
        ----------
        X : sequences, in any form that `fit` takes

        Returns
        -------
        p : (n, n_classes) ndarray; or a row for each step, (n, T, n_classes) for an array X, and
            for ragged X a 1-D object array of (T_i, n_classes) ndarrays
            Columns in the order of `classes_`. For several labels at once the probability of each,
            which need not add up to 1.

        Warns
        -----
        RuntimeWarning
            Where a probability is NaN, as the network's states or parameters are not finite.
        """
        model = self._snapshot()
        outputs, sequences = model._outputs(X, finite=False)
        return model._shape(outputs, sequences)

    def predict_log_proba(self, X: Any) -> Any:
        """Return the logarithm of what `predict_proba` returns, in the same form."""
        model = self._snapshot()
        outputs, sequences = model._outputs(X, finite=False)
        with np.errstate(divide="ignore"):
            return model._shape(np.log(outputs), sequences)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy: the fraction of targets predicted correctly.

        With several labels at once, all labels of a target must be correct. Unlabelled steps do not
        count.

        Parameters
        ----------
        X : sequences, in any form that `fit` takes
        y : targets, as in `fit`
        sample_weight : (n,) per sequence, or one per target, default 1
            Where it is 0 the target is not read.

        Raises
        ------
        ValueError
            Where a probability is NaN, as in `predict`.
        """
        return self._snapshot()._score(X, y, sample_weight)

    def _score(self, X: Any, y: Any, sample_weight: Any) -> float:
        outputs, sequences = self._outputs(X, finite=True)
        form = vars(self)
        flat, _ = self._flatten(y, sequences, self._known_targets(), numeric=False)
        weights = self._weigh(sample_weight, sequences, form)
        used = (weights != 0) & self._is_labelled(flat)
        self._check_used(used)
        classes = self._classes_of(outputs)
        if self._is_multilabel:
            self._check_indicators(flat, used, sequences, form)
            if flat.shape != classes.shape:
                raise ValueError(
                    f"{type(self).__name__} got y with rows of {flat.shape[1]} values; expected "
                    f"{classes.shape[1]}, as in fit."
                )
        else:
            self._check_labels(flat, used, sequences, form)
            if (flat.dtype.kind == "U") != (self.classes_.dtype.kind == "U"):
                raise ValueError(
                    f"{type(self).__name__} got y of dtype {flat.dtype}; expected labels of the "
                    f"type of its classes, {spell(self.classes_)}."
                )
        true, predicted, weights, used = (
            self._told(values, sequences, form) for values in (flat, classes, weights, used)
        )
        return float(accuracy_score(true[used], predicted[used], sample_weight=weights[used]))


@documented(BaseRNN.__init__)
class RNNClassifier(TargetPerSequence, _Classifier):
    """Recurrent network classifier for sequences.

    A softmax layer is applied to the hidden state after the last step of a sequence, or to its
    pooled hidden states (`pooling`). The categorical log loss is minimised by exact backpropagation
    through time (the lecture, "BPTT"). If y has rows of 0 and 1, several labels at once, each label
    has a logistic output and the binary log loss, summed over labels.

    Parameters
    ----------
    <parameters>
    class_weight : dict, "balanced" or None, default=None
        Weight of each class, 1 for classes missing in a dict; "balanced" weights the classes so
        that all count equally: (sum of weights) / (n_classes * sum of the class's weights).
    pooling : {"last", "mean", "max"}, default="last"
        The input of the output layer: the hidden state after the last step of a sequence, the mean
        of its hidden states, or the largest value of each unit.

    Attributes
    ----------
    classes_ : (n_classes,) ndarray
        The classes, sorted; for several labels at once their numbers, of dtype object.
    <attributes>

    See Also
    --------
    RNNSequenceClassifier : A class for each step.

    Examples
    --------
    >>> import numpy as np
    >>> from cbptt import RNNClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = [rng.normal(size=(length, 2)) + side for side in (-1, 1) for length in range(3, 13)]
    >>> y = ["low"] * 10 + ["high"] * 10
    >>> model = RNNClassifier(8, max_iter=100, learning_rate_init=0.03, tol=0.01, random_state=0)
    >>> model.fit(X, y).predict(X[8:12])
    array(['low', 'low', 'high', 'high'], dtype='<U4')

    Two labels at once, each of which may hold: is the mean of a variable above zero?

    >>> both = [x.mean(axis=0) > 0 for x in X]
    >>> model.fit(X, both).predict(X[8:12]).shape
    (4, 2)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = _CONSTRAINTS | {
        "pooling": POOLING_CONSTRAINT
    }

    def __init__(
        self,
        hidden_layer_sizes: Any = 64,
        *,
        class_weight: dict[Any, float] | str | None = None,
        pooling: str = "last",
        **parameters: Unpack[Parameters],
    ) -> None:
        super().__init__(hidden_layer_sizes, **parameters)
        self.class_weight = class_weight
        self.pooling = pooling

    def predict_proba(self, X: Any, *, at: str = "end") -> Any:
        """Return the probability of each class.

        Parameters
        ----------
        X : sequences, in any form that `fit` takes
        at : {"end", "every"}, default="end"
            After the last step of a sequence; or after each step, from the steps up to it.

        Returns
        -------
        p : (n, n_classes) ndarray; with "every" (n, T, n_classes) for an array X, and for ragged X
            a 1-D object array of (T_i, n_classes) ndarrays
            Columns in the order of `classes_`. For several labels at once the probability of each,
            which need not add up to 1.

        Raises
        ------
        ValueError
            With "every" where pooling is not "last".
        """
        if at == "end":
            return super().predict_proba(X)
        if at != "every":
            raise ValueError(
                f"{type(self).__name__}.predict_proba got at={at!r}; expected 'end' or 'every'."
            )
        model = self._snapshot()
        sequences = model._read(X)
        network = model._network_of_steps().with_readout("every")
        outputs = network.outputs(sequences, model._n_threads())
        model._check_outputs(outputs, sequences, "every", finite=False)
        return steps_like(sequences, outputs)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


@documented(BaseRNN.__init__)
class RNNSequenceClassifier(Generating, TargetPerStep, _Classifier, auto_wrap_output_keys=None):
    """Recurrent network classifier for the steps of sequences.

    A softmax layer is applied to the hidden state of every step, as in the lecture. The categorical
    log loss, summed over steps, is minimised by exact backpropagation through time. If y has rows
    of 0 and 1 at each step, several labels at once, each label has a logistic output.

    If y has one class for each sequence, it is used as the target of every step; the steps share
    the weight of the sequence, and the prediction is that after the last step (target replication,
    Lipton, Kale, Elkan & Wetzel 2016).

    If y is the next symbol of each step, `sample` generates sequences of symbols.

    Parameters
    ----------
    <parameters>
    class_weight : dict, "balanced" or None, default=None
        Weight of each class, 1 for classes missing in a dict; "balanced" weights the classes so
        that all count equally: (sum of weights) / (n_classes * sum of the class's weights), over
        labelled steps.
    missing_label : int, float, str or None, default=None
        A step with this label is unlabelled: it has no loss and does not count in `score`. It has
        the same kind as the labels, for example -1 for integers or "" for text; for floats it may
        be NaN.

    Attributes
    ----------
    classes_ : (n_classes,) ndarray
        The classes, sorted; for several labels at once their numbers, of dtype object.
    <attributes>

    See Also
    --------
    RNNClassifier : One class for each sequence.

    Examples
    --------
    Was the input of the step before above zero?

    >>> import numpy as np
    >>> from cbptt import RNNSequenceClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = [rng.normal(size=length) for length in range(5, 35)]
    >>> y = [np.append(False, x[:-1] > 0) for x in X]
    >>> model = RNNSequenceClassifier(8, learning_rate_init=0.05, tol=0.01, random_state=0)
    >>> model.fit(X, y).score(X, y) > 0.9
    True

    The first step has no step before it, and can be left unlabelled:

    >>> y = [np.append(-1, x[:-1] > 0) for x in X]
    >>> model.set_params(missing_label=-1).fit(X, y).classes_
    array([0, 1])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = _CONSTRAINTS | {
        "missing_label": [int, float, str, np.integer, np.floating, None]
    }

    def __init__(
        self,
        hidden_layer_sizes: Any = 64,
        *,
        class_weight: dict[Any, float] | str | None = None,
        missing_label: float | str | None = None,
        **parameters: Unpack[Parameters],
    ) -> None:
        super().__init__(hidden_layer_sizes, **parameters)
        self.class_weight = class_weight
        self.missing_label = missing_label
