"""Regressors: numbers for each sequence, or for each step."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Self, Unpack

import numpy as np
from numpy.typing import NDArray
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils import Tags

from cbptt.data.sequences import Sequences
from cbptt.engine.results import Shard
from cbptt.estimators._base import BaseRNN, Labels, partial_fit_available
from cbptt.estimators._parameters import CONSTRAINTS, Parameters, documented
from cbptt.estimators._targets import POOLING_CONSTRAINT, TargetPerSequence, TargetPerStep


class _Regressor(RegressorMixin, BaseRNN):  # type: ignore[misc]
    """A linear output, and half the squared error."""

    _flat_targets: bool
    _tells_outputs = False

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls._of_targets = ("_flat_targets", "n_outputs_", *getattr(cls, "_of_places", ()))

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
        return self._partial_fit(X, y, sample_weight, {})

    def _read_targets(
        self, y: Any, sequences: Sequences, sample_weight: Any, known: dict[str, Any]
    ) -> Labels:
        name = type(self).__name__
        flat, learned = self._flatten(y, sequences, known, numeric=True)
        if flat.shape[1:] == (0,):
            raise ValueError(f"{name} got y with 0 outputs; expected at least one.")
        weights = self._weigh(sample_weight, sequences, learned)
        used = (weights != 0) & self._is_labelled(flat)
        self._check_finite(flat, used, sequences, learned)
        n_outputs = 1 if flat.ndim == 1 else flat.shape[1]
        if known and (flat.ndim == 1, n_outputs) != (known["_flat_targets"], known["n_outputs_"]):
            raise ValueError(
                f"{name} got y with {n_outputs} outputs; expected {known['n_outputs_']}, as in the "
                f"first fit."
            )
        learned |= {"_flat_targets": flat.ndim == 1, "n_outputs_": n_outputs}
        weights = np.where(used, weights, 0)
        even = np.ones_like(weights)
        return Labels(flat, weights, even, n_outputs, "identity", "squared_error", learned)

    def _is_labelled(self, flat: NDArray[Any]) -> NDArray[np.bool_]:
        """(R,) whether there is a target: a step whose numbers are all NaN has none."""
        if self._readout != "every" or flat.dtype.kind != "f":
            return np.ones(len(flat), np.bool_)
        return np.asarray(~np.isnan(flat).reshape(len(flat), -1).all(axis=1))

    def _check_finite(
        self,
        flat: NDArray[Any],
        used: NDArray[np.bool_],
        sequences: Sequences,
        form: Mapping[str, Any],
    ) -> None:
        if flat.dtype.kind != "f":
            return
        bad = used & ~np.isfinite(flat).reshape(len(flat), -1).all(axis=1)
        if bad.any():
            first = int(np.argmax(bad))
            place = self._spell(first, sequences, form)
            raise ValueError(
                f"{type(self).__name__} got y{place} = {flat[first]}; targets must be finite. "
                f"Input y contains NaN or infinity."
            )

    def _score_outputs(
        self, outputs: NDArray[np.floating], shard: Shard, learned: Mapping[str, Any]
    ) -> float:
        told = self._told(np.arange(len(outputs)), shard.sequences, learned)
        weights = self._told_weights(shard.targets.weights, shard.sequences, learned)
        used = weights != 0
        weights = weights[used].astype(np.float64)
        # as in `score`, where targets are read in double precision
        true = shard.targets.values[told][used].astype(np.float64)
        predicted = outputs[told][used].astype(np.float64)
        if len(true) < 2 or not np.isfinite(predicted).all():
            return math.nan  # R^2 is not defined
        with np.errstate(over="ignore", invalid="ignore"):
            return float(r2_score(true, predicted, sample_weight=weights))

    # ---- predict ------------------------------------------------------------------------------

    def _numbers(self, outputs: NDArray[np.floating]) -> NDArray[np.floating]:
        """(R,) or (R, K) predictions, as y was in fit."""
        return outputs[:, 0] if self._flat_targets else outputs

    def _tell(self, outputs: NDArray[np.floating]) -> NDArray[np.floating]:
        return self._numbers(outputs)

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
        return model._shape(model._numbers(outputs), sequences)

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
        return self._snapshot()._score(X, y, sample_weight)

    def _score(self, X: Any, y: Any, sample_weight: Any) -> float:
        outputs, sequences = self._outputs(X, finite=True)
        form = vars(self)
        flat, _ = self._flatten(y, sequences, self._known_targets(), numeric=True)
        weights = self._weigh(sample_weight, sequences, form)
        numbers = self._numbers(outputs)
        if flat.shape != numbers.shape:
            raise ValueError(
                f"{type(self).__name__} got y with targets of shape {flat.shape[1:]}; expected "
                f"{numbers.shape[1:]}, as in fit."
            )
        used = (weights != 0) & self._is_labelled(flat)
        self._check_used(used)
        self._check_finite(flat, used, sequences, form)
        true, predicted, weights, used = (
            self._told(values, sequences, form) for values in (flat, numbers, weights, used)
        )
        return float(r2_score(true[used], predicted[used], sample_weight=weights[used]))


@documented(BaseRNN.__init__)
class RNNRegressor(TargetPerSequence, _Regressor):
    """Recurrent network regressor for sequences.

    A linear layer is applied to the hidden state after the last step of a sequence, or to its
    pooled hidden states (`pooling`). Half the squared error is minimised by exact backpropagation
    through time (the lecture, "BPTT").

    Parameters
    ----------
    <parameters>
    pooling : {"last", "mean", "max"}, default="last"
        The input of the output layer: the hidden state after the last step of a sequence, the mean
        of its hidden states, or the largest value of each unit.

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

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = CONSTRAINTS | {
        "pooling": POOLING_CONSTRAINT
    }

    def __init__(
        self,
        hidden_layer_sizes: Any = 64,
        *,
        pooling: str = "last",
        **parameters: Unpack[Parameters],
    ) -> None:
        super().__init__(hidden_layer_sizes, **parameters)
        self.pooling = pooling

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


@documented(BaseRNN.__init__)
class RNNSequenceRegressor(TargetPerStep, _Regressor, auto_wrap_output_keys=None):
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

    def __init__(self, hidden_layer_sizes: Any = 64, **parameters: Unpack[Parameters]) -> None:
        super().__init__(hidden_layer_sizes, **parameters)
