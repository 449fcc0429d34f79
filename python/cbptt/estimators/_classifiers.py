"""Classifiers: a class for each sequence, or for each step."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from cbptt.estimators._base import BaseRNN, documented, steps_like
from cbptt.losses import flatten_targets, flatten_weights, spell_place
from cbptt.sequences import Sequences


class _SoftmaxRNN(ClassifierMixin, BaseRNN):  # type: ignore[misc]
    _output_activation = "softmax"
    _loss = "log_loss"

    def _encode(self, y: Any, sequences: Sequences) -> tuple[NDArray[Any], int, dict[str, Any]]:
        classes, encoded = np.unique(self._labels(y, sequences), return_inverse=True)
        return encoded, len(classes), {"classes_": classes}

    def _labels(self, y: Any, sequences: Sequences) -> NDArray[Any]:
        """Check y; return its labels (R,), in the order of X's flat buffer."""
        name = type(self).__name__
        labels = flatten_targets(y, sequences, self._readout, name="y", caller=name, numeric=False)
        if labels.ndim == 2 and labels.shape[1] == 1:
            labels = column_or_1d(labels, warn=True)
        if labels.ndim != 1:
            raise ValueError(
                f"{name} got y with labels of shape {labels.shape[1:]}; expected one label per "
                f"{'step' if self._readout == 'every' else 'sequence'}."
            )
        if labels.dtype.kind == "f" and not np.isfinite(labels).all():
            place = spell_place(int(np.argmin(np.isfinite(labels))), sequences, self._readout)
            raise ValueError(f"{name} got y{place} that is NaN or infinite; expected a label.")
        check_classification_targets(labels)
        return labels

    def _classes_of(self, X: Any) -> tuple[NDArray[Any], Sequences]:
        """Return the most probable class of each output, in the order of X's flat buffer."""
        output, sequences = self._outputs(X)
        return self.classes_[np.argmax(output, axis=1)], sequences

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy: the share of the targets whose class is told rightly.

        Parameters
        ----------
        X : sequences, in any form that `fit` takes
        y : classes, one per sequence or one per step, as in `fit`
        sample_weight : (n,) per sequence, or one per target, default 1
        """
        classes, sequences = self._classes_of(X)
        true = self._labels(y, sequences)
        name = type(self).__name__
        weights = flatten_weights(sample_weight, sequences, self._readout, caller=name)
        return float(accuracy_score(true, classes, sample_weight=weights))


@documented
class RNNClassifier(_SoftmaxRNN):
    """Recurrent network that tells the class of a sequence.

    The hidden state after a sequence's own last step goes through a softmax; the categorical
    log loss is minimised by exact backpropagation through time (the lecture, "BPTT").

    Parameters
    ----------
    <parameters>

    Attributes
    ----------
    classes_ : (n_classes,) ndarray
        The classes, sorted.
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
    """

    _readout = "last"

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the most probable class of each sequence.

        Parameters
        ----------
        X : sequences, in any form that `fit` takes

        Returns
        -------
        y : (n,) ndarray of classes
        """
        return self._classes_of(X)[0]

    def predict_proba(self, X: Any) -> NDArray[np.floating]:
        """Return the probability of each class, told after each sequence's last step.

        Parameters
        ----------
        X : sequences, in any form that `fit` takes

        Returns
        -------
        p : (n, n_classes) ndarray, columns in the order of `classes_`
        """
        return self._outputs(X)[0]

    def predict_log_proba(self, X: Any) -> NDArray[np.floating]:
        """Return the logarithm of `predict_proba`, (n, n_classes)."""
        with np.errstate(divide="ignore"):
            logarithm: NDArray[np.floating] = np.log(self.predict_proba(X))
        return logarithm


@documented
class RNNSequenceClassifier(_SoftmaxRNN):
    """Recurrent network that tells a class at each step of a sequence.

    The hidden state of every step goes through a softmax, as in the lecture; the categorical log
    loss, summed over steps, is minimised by exact backpropagation through time.

    Parameters
    ----------
    <parameters>

    Attributes
    ----------
    classes_ : (n_classes,) ndarray
        The classes, sorted.
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
    """

    _readout = "every"

    def predict(self, X: Any) -> Any:
        """Return the most probable class of each step.

        Parameters
        ----------
        X : sequences, in any form that `fit` takes

        Returns
        -------
        y : (n, T) ndarray for an array X; for ragged X a 1-D object array of (T_i,) ndarrays
        """
        classes, sequences = self._classes_of(X)
        return steps_like(sequences, classes)

    def predict_proba(self, X: Any) -> Any:
        """Return the probability of each class at each step.

        Parameters
        ----------
        X : sequences, in any form that `fit` takes

        Returns
        -------
        p : (n, T, n_classes) ndarray for an array X; for ragged X a 1-D object array of
            (T_i, n_classes) ndarrays; columns in the order of `classes_`
        """
        output, sequences = self._outputs(X)
        return steps_like(sequences, output)
