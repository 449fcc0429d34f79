"""Regressors: numbers for each sequence, or for each step."""

from __future__ import annotations

from typing import Any, Self

from sklearn.base import RegressorMixin
from sklearn.utils import Tags
from sklearn.utils._param_validation import StrOptions

from cbptt.estimators._base import BaseRNN, partial_fit_available
from cbptt.estimators._number_targets import NumberTargets
from cbptt.estimators._parameters import parameter, with_parameters
from cbptt.losses import POOLINGS


class _Regressor(RegressorMixin, BaseRNN):  # type: ignore[misc]
    """A linear output, and half the squared error."""

    @partial_fit_available  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train one epoch more, on these sequences; begin with the first call.

        Parameters
        ----------
        X, y, sample_weight : as in `fit`

        Returns
        -------
        self : fitted estimator
        """
        return self._partial_fit(X, y, sample_weight, self._targets, stacklevel=2)

    def predict(self, X: Any) -> Any:
        """Predict the targets.

        Parameters
        ----------
        X : sequences, in any form that `fit` takes

        Returns
        -------
        y : (n,) ndarray, (n, K) where y had K numbers each; or one for each step, (n, T) or
            (n, T, K) for an array X, and for ragged X a 1-D object array of (T_i,) or (T_i, K)

        Warns
        -----
        RuntimeWarning
            Where a prediction is not finite, as the network's states or parameters are not.
        """
        model = self._snapshot()
        outputs, sequences = model._outputs(X, finite=False)
        return model._shape(model._predictions(outputs), sequences)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the coefficient of determination R^2 over all targets, averaged over outputs.

        Parameters
        ----------
        X : sequences, in any form that `fit` takes
        y : targets, as in `fit`
        sample_weight : (n,) per sequence, or one per target, default 1
            Where it is 0 the target is not read.

        Raises
        ------
        ValueError
            Where a prediction is not finite.
        """
        model = self._snapshot()
        outputs, sequences = model._outputs(X, finite=True)
        return model._targets.score(outputs, y, sequences, sample_weight, model._form)


@with_parameters()
class RNNRegressor(_Regressor):
    """Recurrent network regressor for sequences.

    A linear layer is applied to the hidden state after the last step of a sequence, or to its
    pooled hidden states (`pooling`). Half the squared error is minimised by exact backpropagation
    through time (the lecture, "BPTT").

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

    pooling: str = parameter(
        default="last",
        allowed=[StrOptions(set(POOLINGS))],
        kind='{"last", "mean", "max"}',
        doc="""
        The input of the output layer: the hidden state after the last step of a sequence, the mean
        of its hidden states, or the largest value of each unit.
        """,
    )

    @property
    def _targets(self) -> NumberTargets:
        return NumberTargets(self._name, self.pooling)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


@with_parameters()
class RNNSequenceRegressor(_Regressor, auto_wrap_output_keys=None):  # type: ignore[call-arg]
    """Recurrent network regressor for the steps of sequences.

    A linear layer is applied to the hidden state of every step, as in the lecture. Half the squared
    error, summed over steps, is minimised by exact backpropagation through time. A step whose
    target numbers are all NaN is unlabelled: it has no loss.

    If y has one number for each sequence, it is used as the target of every step; the steps share
    the weight of the sequence, and the prediction is that after the last step (target replication,
    Lipton, Kale, Elkan & Wetzel 2016). NaN means a sequence without a target.

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
    >>> y[:, 0] = np.nan  # the first step has none before it
    >>> model = RNNSequenceRegressor(16, learning_rate_init=0.01, random_state=0)
    >>> model.fit(X, y).score(X, y) > 0.9
    True
    """

    @property
    def _targets(self) -> NumberTargets:
        return NumberTargets(self._name, "every")
