"""What transformers of sequences share: one of tables inside, reading X, names of columns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags, get_tags
from sklearn.utils._param_validation import HasMethods
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from cbptt.data.sequences import Sequences, check_sequences
from cbptt.estimators._forms import learn_form, read_alike
from cbptt.estimators._snapshot import Snapshot

Method = TypeVar("Method", bound=Callable[..., Any])


def inner_has(method: str) -> Callable[[Method], Method]:
    """Decorator of a method that there is only where the transformer has it."""

    def check(self: OfSequences) -> bool:
        getattr(getattr(self, "transformer_", self.transformer), method)
        return True

    decorator: Callable[[Method], Method] = available_if(check)
    return decorator


class OfSequences(  # type: ignore[call-arg]
    Snapshot,
    TransformerMixin,  # type: ignore[misc]
    BaseEstimator,  # type: ignore[misc]
    auto_wrap_output_keys=None,
):
    """A transformer of tables within one of sequences: reading X, and shaping the result."""

    transformer_: Any
    n_features_in_: int
    _read_columns: bool

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "transformer": [HasMethods(["fit", "transform"])]
    }

    def __init__(self, transformer: Any) -> None:
        self.transformer = transformer

    def _read(self, X: Any) -> Sequences:
        return check_sequences(X, caller=self._name, allow_nan=True)

    def _read_alike(self, X: Any) -> Sequences:
        """Read X, which must have the variables that it had in fit."""
        return read_alike(X, vars(self), estimator=self, allow_nan=True)

    def _learn(self, transformer: Any, X: Any, sequences: Sequences) -> Self:
        learned = learn_form(X, sequences, estimator=self)
        return self._install(learned | {"transformer_": transformer})

    @inner_has("get_feature_names_out")
    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """Return the names of the C columns of a step, as the transformer gives them.

        Parameters
        ----------
        input_features : (D,) array-like of str, optional
            Names of the D variables of a step, by default those of the data frames in `fit`, else
            x0, x1 and so on.

        Returns
        -------
        (C,) ndarray of str
        """
        check_is_fitted(self)
        if input_features is None and not self._read_columns:
            input_features = getattr(self, "feature_names_in_", None)
        names: NDArray[Any] = self.transformer_.get_feature_names_out(input_features)
        return names

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        inner = get_tags(self.transformer)
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = inner.input_tags.allow_nan or inner.no_validation
        tags.input_tags.positive_only = inner.input_tags.positive_only
        tags.no_validation = inner.no_validation
        tags.non_deterministic = inner.non_deterministic
        if inner.transformer_tags is not None:
            tags.transformer_tags.preserves_dtype = inner.transformer_tags.preserves_dtype
        return tags


def dense(result: Any) -> NDArray[Any]:
    """What a transformer returns, as an array."""
    return np.asarray(result.toarray() if hasattr(result, "toarray") else result)
