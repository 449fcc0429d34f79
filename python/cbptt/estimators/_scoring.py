"""Scores of predictions for every step, by any metric of scikit-learn."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.metadata_routing import MetadataRequest

from cbptt.data.sequences import Sequences, flatten_steps, read_ragged
from cbptt.losses import flatten_weights

_METHODS = ("predict", "predict_proba", "decision_function")


def make_sequence_scorer(
    score_func: Callable[..., Any],
    *,
    response_method: str = "predict",
    greater_is_better: bool = True,
    **kwargs: Any,
) -> SequenceScorer:
    """Make a scorer for targets of every step from a metric for plain targets.

    Like scikit-learn's `make_scorer`, but for `RNNSequenceClassifier` and `RNNSequenceRegressor`:
    the steps of all sequences are concatenated and passed to the metric, with equal weights unless
    others are given.

    Parameters
    ----------
    score_func : callable
        A metric ``score_func(y_true, y_pred, **kwargs)``, as `sklearn.metrics` has them.
    response_method : {"predict", "predict_proba", "decision_function"}, default="predict"
        The estimator's method that computes y_pred. As in scikit-learn, the metric gets one column
        of two classes: that of ``pos_label`` if this is among kwargs, else the second. Several
        labels at once keep all columns. A class that occurs only in y_true has probability 0, and a
        metric with a parameter ``labels`` gets all classes, so that a class may be absent from a
        fold.
    greater_is_better : bool, default=True
        False for a loss, whose negative the scorer returns.
    **kwargs
        Further arguments of the metric, such as ``average="macro"``.

    Returns
    -------
    SequenceScorer
        For ``scoring`` in `cross_val_score`, `GridSearchCV` and similar tools.

    Raises
    ------
    TypeError
        If score_func cannot be called: pass the metric's function rather than its name.
    ValueError
        If response_method is none of the three.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.metrics import f1_score
    >>> from cbptt import RNNSequenceClassifier, make_sequence_scorer
    >>> rng = np.random.default_rng(0)
    >>> X = [rng.normal(size=length) for length in range(5, 35)]
    >>> y = [np.append(False, x[:-1] > 0) for x in X]  # was the step before above zero?
    >>> model = RNNSequenceClassifier(8, learning_rate_init=0.05, tol=0.01, random_state=0)
    >>> f1 = make_sequence_scorer(f1_score, average="macro")
    >>> f1
    make_sequence_scorer(f1_score, average='macro')
    >>> f1(model.fit(X, y), X, y) > 0.9
    True
    """
    if not callable(score_func):
        raise TypeError(
            f"make_sequence_scorer got score_func={score_func!r}; expected a function such as "
            "sklearn.metrics.accuracy_score."
        )
    if response_method not in _METHODS:
        raise ValueError(
            f"make_sequence_scorer got response_method={response_method!r}; expected one of "
            f"{_METHODS}."
        )
    return SequenceScorer(score_func, response_method, greater_is_better, kwargs)


class SequenceScorer:
    """A scorer for targets of every step, as returned by `make_sequence_scorer`."""

    def __init__(
        self,
        score_func: Callable[..., Any],
        response_method: str,
        greater_is_better: bool,
        kwargs: dict[str, Any],
    ) -> None:
        self._score_func = score_func
        self._response_method = response_method
        self._greater_is_better = greater_is_better
        self._kwargs = kwargs
        self._weight_request: bool | str | None = None

    def __call__(self, estimator: Any, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Score an estimator's predictions for X.

        Parameters
        ----------
        estimator : fitted estimator, with one prediction for each step
        X : sequences, in any form that the estimator takes
        y : targets of each step: a list or 1-D object array of (T_i,) or (T_i, K), an (n, T) or
            (n, T, K) array, or a Ragged
            A step has no target where y is NaN, in all of K columns, or what the estimator's
            parameter ``missing_label`` says, if there is one. Such steps are left out.
        sample_weight : (n,) per sequence, or one per step, default 1
            Steps of weight 0 are left out, and the metric is given the other weights.

        Returns
        -------
        float
            The metric's value, negative for a loss.

        Raises
        ------
        TypeError, ValueError
            If the predictions are not of steps, y or the weights do not fit them, or no step is
            left.
        """
        name = repr(self)
        output = getattr(estimator, self._response_method)(X)
        ndim = output.ndim if isinstance(output, np.ndarray) and output.dtype != object else 3
        if ndim <= (2 if self._response_method == "predict_proba" else 1):
            raise TypeError(
                f"{name} got a {type(estimator).__name__} whose {self._response_method} gives one "
                "value for each sequence; expected one for each step. For the former there is "
                "sklearn.metrics.make_scorer."
            )
        predictions = read_ragged(output, caller=name, name=self._response_method)
        # the values of X are not looked at, which a pipeline may read in ways of its own
        steps = Sequences(np.empty((predictions.n_steps, 0)), predictions.offsets, "ragged")
        y_true = flatten_steps(y, steps, caller=name, name="y")
        weights = flatten_weights(sample_weight, steps, "every", caller=name)

        used = (weights != 0) & _labelled(y_true, estimator)
        if not used.any():
            raise ValueError(
                f"{name} got no step to score: each has weight 0 or no target; expected at least "
                "one."
            )
        y_true, y_pred, options = y_true[used], predictions.values[used], self._kwargs
        if y_true.ndim == 2 and y_true.shape[1] == 1:
            y_true = y_true[:, 0]
        columns = self._response_method != "predict" and y_pred.ndim == 2
        signed = self._response_method == "decision_function" and "pos_label" in options
        if y_true.ndim == 1 and (columns or signed):
            y_pred, options = self._of_classes(y_true, y_pred, np.asarray(estimator.classes_))
        if sample_weight is not None:
            options = options | {"sample_weight": weights[used]}
        score = float(self._score_func(y_true, y_pred, **options))
        return score if self._greater_is_better else -score

    def _of_classes(
        self, y_true: NDArray[Any], y_pred: NDArray[Any], known: NDArray[Any]
    ) -> tuple[NDArray[Any], dict[str, Any]]:
        """Return what the metric is given for one class at each step: y_pred, and its options.

        y_true : (R,)
        y_pred : (R, n_classes); or (R,), the decision between two classes
        known : (n_classes,) the estimator's classes, sorted
        """
        options, classes = self._kwargs, known
        if (y_true.dtype.kind in "OU") != (known.dtype.kind in "OU"):
            raise ValueError(
                f"{self!r} got y of dtype {y_true.dtype}; expected labels of the type of the "
                f"estimator's classes, {known!r}."
            )
        if self._response_method == "predict_proba":
            classes = np.union1d(known, y_true)
            every = np.zeros((len(y_pred), len(classes)), y_pred.dtype)
            every[:, np.searchsorted(classes, known)] = y_pred
            y_pred = every
            if _takes_labels(self._score_func):
                options = {"labels": classes} | options
        if len(classes) != 2:
            return y_pred, options
        positive = self._kwargs.get("pos_label", classes[1])
        if positive not in classes:
            raise ValueError(
                f"{self!r} got pos_label={positive!r}, which is none of the classes {classes!r}."
            )
        if y_pred.ndim == 2:
            return y_pred[:, list(classes).index(positive)], options
        return (-y_pred if positive == classes[0] else y_pred), options

    def set_score_request(self, *, sample_weight: bool | str | None) -> Self:
        """Say whether weights are passed to this scorer, where metadata routing is enabled.

        Parameters
        ----------
        sample_weight : bool, str or None
            Whether to pass it, or the name to pass it from, or None to raise an error where it is
            given; see scikit-learn's guide to metadata routing.

        Returns
        -------
        self
        """
        self._weight_request = sample_weight
        return self

    def get_metadata_routing(self) -> MetadataRequest:
        """Return what `set_score_request` has set, in the form that scikit-learn needs."""
        request = MetadataRequest(owner=self)
        request.score.add_request(param="sample_weight", alias=self._weight_request)
        return request

    def __repr__(self) -> str:
        parts = [getattr(self._score_func, "__name__", repr(self._score_func))]
        if self._response_method != "predict":
            parts.append(f"response_method={self._response_method!r}")
        if not self._greater_is_better:
            parts.append("greater_is_better=False")
        parts.extend(f"{name}={value!r}" for name, value in self._kwargs.items())
        return f"make_sequence_scorer({', '.join(parts)})"


def _takes_labels(score_func: Callable[..., Any]) -> bool:
    """Whether a metric can be given the classes."""
    try:
        return "labels" in signature(score_func).parameters
    except ValueError:  # of a compiled function that does not say
        return False


def _labelled(y: NDArray[Any], estimator: Any) -> NDArray[np.bool_]:
    """(steps,) whether there is a target."""
    missing = y != y  # NaN alone differs from itself
    for name, value in estimator.get_params().items():
        if name.rpartition("__")[2] == "missing_label" and value is not None:
            missing |= y == value
    missing = missing.reshape(len(y), -1).all(axis=1)
    labelled: NDArray[np.bool_] = ~missing
    return labelled
