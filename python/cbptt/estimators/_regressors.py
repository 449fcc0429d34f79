"""Regressors: real targets for each sequence, or for each step."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils.validation import column_or_1d

from cbptt.estimators._base import BaseRNN, documented, steps_like
from cbptt.losses import flatten_targets, flatten_weights
from cbptt.sequences import Sequences


class _LinearRNN(RegressorMixin, BaseRNN):  # type: ignore[misc]
    _output_activation = "identity"
    _loss = "squared_error"

    def _encode(self, y: Any, sequences: Sequences) -> tuple[NDArray[Any], int, dict[str, Any]]:
        flat = flatten_targets(y, sequences, self._readout, name="y", caller=type(self).__name__)
        if flat.ndim == 2 and flat.shape[1] == 1:
            flat = column_or_1d(flat, warn=self._readout == "last")
        if flat.shape[1:] == (0,):
            raise ValueError(f"{type(self).__name__} got y with 0 outputs; expected at least one.")
        return flat, 1 if flat.ndim == 1 else flat.shape[1], {"_flat_targets": flat.ndim == 1}

    def _predictions(self, X: Any) -> tuple[NDArray[np.floating], Sequences]:
        """Return predictions (R,) or (R, K), as y was in fit, in the order of X's flat buffer."""
        output, sequences = self._outputs(X)
        return (output[:, 0] if self._flat_targets else output), sequences

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the coefficient of determination R^2 over all targets, averaged over outputs.

        Parameters
        ----------
        X : sequences, in any form that `fit` takes
        y : targets, one per sequence or one per step, as in `fit`
        sample_weight : (n,) per sequence, or one per target, default 1
            Where it is 0 the target is not read.
        """
        predictions, sequences = self._predictions(X)
        name, readout = type(self).__name__, self._readout
        true = flatten_targets(y, sequences, readout, name="y", caller=name)
        weights = flatten_weights(sample_weight, sequences, readout, caller=name)
        self.network_.check_targets(true, weights, sequences, name="y", caller=name)
        used = weights != 0
        return float(r2_score(true[used], predictions[used], sample_weight=weights[used]))


@documented
class RNNRegressor(_LinearRNN):
    """Recurrent network that predicts numbers for a sequence.

    The hidden state after a sequence's own last step goes through a linear map; half the squared
    error is minimised by exact backpropagation through time (the lecture, "BPTT").

    Parameters
    ----------
    <parameters>

    Attributes
    ----------
    <attributes>

    See Also
    --------
    RNNSequenceRegressor : Numbers for each step.

    Examples
    --------
    The mean of a sequence:

    >>> import numpy as np
    >>> from cbptt import RNNRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = [rng.normal(size=length) + rng.normal() for length in rng.integers(5, 15, 100)]
    >>> y = [x.mean() for x in X]
    >>> model = RNNRegressor(16, learning_rate_init=0.01, random_state=0)
    >>> model.fit(X, y).score(X, y) > 0.9
    True
    """

    _readout = "last"

    def predict(self, X: Any) -> NDArray[np.floating]:
        """Predict the targets of each sequence.

        Parameters
        ----------
        X : sequences, in any form that `fit` takes

        Returns
        -------
        y : (n,) or (n, n_outputs) ndarray, as y was in `fit`
        """
        return self._predictions(X)[0]


@documented
class RNNSequenceRegressor(_LinearRNN):
    """Recurrent network that predicts numbers at each step of a sequence.

    The hidden state of every step goes through a linear map, as in the lecture; half the squared
    error, summed over steps, is minimised by exact backpropagation through time.

    Parameters
    ----------
    <parameters>

    Attributes
    ----------
    <attributes>

    See Also
    --------
    RNNRegressor : Numbers for each sequence.

    Examples
    --------
    The running mean of the last two steps:

    >>> import numpy as np
    >>> from cbptt import RNNSequenceRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(50, 20))
    >>> y = (X + np.roll(X, 1, axis=1)) / 2
    >>> y[:, 0] = X[:, 0] / 2
    >>> model = RNNSequenceRegressor(16, learning_rate_init=0.01, random_state=0)
    >>> model.fit(X, y).score(X, y) > 0.9
    True
    """

    _readout = "every"

    def predict(self, X: Any) -> Any:
        """Predict the targets of each step.

        Parameters
        ----------
        X : sequences, in any form that `fit` takes

        Returns
        -------
        y : (n, T) or (n, T, n_outputs) ndarray for an array X; for ragged X a 1-D object array of
            (T_i,) or (T_i, n_outputs) ndarrays
        """
        predictions, sequences = self._predictions(X)
        return steps_like(sequences, predictions)
