"""Any transformer of scikit-learn, applied to the steps of sequences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from sklearn import get_config
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.utils import Tags, get_tags
from sklearn.utils._param_validation import HasMethods
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from cbptt.losses import flatten_weights
from cbptt.sequences import Sequences, check_sequences, flatten_steps, read_array

Method = TypeVar("Method", bound=Callable[..., Any])


def _inner_has(method: str) -> Callable[[Method], Method]:
    """Decorator of a method that there is only where the transformer has it."""

    def check(self: PerTimestep) -> bool:
        getattr(getattr(self, "transformer_", self.transformer), method)
        return True

    decorator: Callable[[Method], Method] = available_if(check)
    return decorator


class PerTimestep(  # type: ignore[call-arg]
    TransformerMixin,  # type: ignore[misc]
    BaseEstimator,  # type: ignore[misc]
    auto_wrap_output_keys=None,
):
    """Apply a transformer to the steps of sequences, whatever their lengths.

    The steps of all sequences are stacked to (steps, D), on which the transformer is fitted and
    which it transforms, row by row; the result is cut into sequences again. So a scaler, a
    projection, an imputer or a pipeline of them stands before a recurrent network, within one
    Pipeline.

    Parameters
    ----------
    transformer : transformer
        Anything with fit and transform that gives a row for each row, such as StandardScaler,
        PCA, SimpleImputer, or a Pipeline. It is cloned and never changed.

    Attributes
    ----------
    transformer_ : transformer
        The clone, fitted on the steps.
    n_features_in_ : int
        Number of variables D of a step; for two-dimensional X its number of columns.

    See Also
    --------
    RNNClassifier, RNNSequenceClassifier, RNNRegressor, RNNSequenceRegressor

    Notes
    -----
    What comes out has the form of what goes in, with C columns for the D variables of a step:

    ============================================  ==============================================
    X                                             result
    ============================================  ==============================================
    list, tuple or 1-D object array of            1-D object array of (T_i, C) arrays, which
    (T_i, D) or (T_i,) arrays                     scikit-learn can cut and concatenate
    Ragged                                        Ragged, values of (steps, C)
    (n, T, D) array                               (n, T, C) array
    (n, T) array, T steps of one variable         (n, T) array if C is 1, else (n, T, C)
    ============================================  ==============================================

    Sparse results are made dense, as a network reads every number anyway. NaN in X is left to the
    transformer, which fills it in or refuses it.

    Sequences are no data frame, so there is no `set_output`, and scikit-learn's configuration
    ``transform_output`` changes nothing here. `get_feature_names_out` tells the names of the
    columns of a step.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from cbptt import PerTimestep, RNNClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = [1000 + rng.normal(size=(T, 2)) + side for side in (-1, 1) for T in range(3, 13)]
    >>> y = ["low"] * 10 + ["high"] * 10
    >>> network = RNNClassifier(8, max_iter=100, learning_rate_init=0.03, tol=0.01, random_state=0)
    >>> model = make_pipeline(PerTimestep(StandardScaler()), network).fit(X, y)
    >>> model.predict(X[8:12])
    array(['low', 'low', 'high', 'high'], dtype='<U4')
    >>> model[0].transformer_.mean_.round()
    array([1000., 1000.])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "transformer": [HasMethods(["fit", "transform"])]
    }

    def __init__(self, transformer: Any) -> None:
        self.transformer = transformer

    # ---- fit ----------------------------------------------------------------------------------

    def fit(self, X: Any, y: Any = None, **fit_params: Any) -> Self:
        """Fit a clone of the transformer on the steps of all sequences.

        Parameters
        ----------
        X : list, tuple or 1-D object array of (T_i, D) or (T_i,); (n, T, D); (n, T); or Ragged
            The sequences. NaN is left to the transformer; infinity is refused.
        y : None, targets of each step in the forms of X, or (n,) or (n, K) of each sequence
            For transformers that learn from targets, which are told a sequence's target at each
            of its steps. (n, K) targets are read as those of steps where every sequence has K.
        **fit_params
            Arguments of the transformer's fit. Those called ``sample_weight``, within a Pipeline
            ``step__sample_weight``, are (n,) per sequence or one per step.

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError
            Where X, y or a weight does not fit; the message names it. Whatever the transformer
            raises.
        """
        self._validate_params()
        sequences = self._read(X)
        transformer = clone(self.transformer)
        self._apply(transformer, "fit", sequences, y, fit_params)
        return self._learn(transformer, sequences)

    def fit_transform(self, X: Any, y: Any = None, **fit_params: Any) -> Any:
        """Fit, and transform the same sequences.

        Where the transformer has a fit_transform of its own, which may differ from fit and then
        transform, this is what is called.

        Parameters
        ----------
        X, y, **fit_params
            As in `fit`.

        Returns
        -------
        sequences in the form of X
        """
        if not hasattr(self.transformer, "fit_transform"):
            return self.fit(X, y, **fit_params).transform(X)
        self._validate_params()
        sequences = self._read(X)
        transformer = clone(self.transformer)
        result = self._apply(transformer, "fit_transform", sequences, y, fit_params)
        self._learn(transformer, sequences)
        return self._shaped(sequences, result, "fit_transform", as_columns=sequences.form == "2d")

    @_inner_has("partial_fit")
    def partial_fit(self, X: Any, y: Any = None, **fit_params: Any) -> Self:
        """Go on fitting with more sequences; only where the transformer has a partial_fit.

        Parameters
        ----------
        X, y, **fit_params
            As in `fit`, with the same number of variables each time.

        Returns
        -------
        self
        """
        self._validate_params()
        is_first = not hasattr(self, "transformer_")
        sequences = self._read(X) if is_first else self._read_alike(X)
        transformer = clone(self.transformer) if is_first else self.transformer_
        self._apply(transformer, "partial_fit", sequences, y, fit_params)
        return self._learn(transformer, sequences) if is_first else self

    # ---- transform ----------------------------------------------------------------------------

    def transform(self, X: Any) -> Any:
        """Transform every step.

        Parameters
        ----------
        X : sequences, in any form that `fit` takes, with as many variables as in `fit`
            After a fit on an (n, T) array, an array of two dimensions must have T columns again.

        Returns
        -------
        sequences in the form of X

        Raises
        ------
        NotFittedError
            Before fit.
        TypeError, ValueError
            Where X does not fit, or the transformer does not give a row of numbers for each step.
        """
        check_is_fitted(self)
        sequences = self._read_alike(X)
        result = self.transformer_.transform(sequences.values)
        return self._shaped(sequences, result, "transform", as_columns=sequences.form == "2d")

    @_inner_has("inverse_transform")
    def inverse_transform(self, X: Any) -> Any:
        """Take every step back; only where the transformer has an inverse_transform.

        Parameters
        ----------
        X : sequences as `transform` gives them

        Returns
        -------
        sequences in the form of X, but (n, T) for (n, T, C) after a fit on an (n, T) array
        """
        check_is_fitted(self)
        sequences = self._read(X)
        result = self.transformer_.inverse_transform(sequences.values)
        as_columns = sequences.form == "2d" or (sequences.form == "3d" and self._read_columns)
        return self._shaped(sequences, result, "inverse_transform", as_columns)

    @_inner_has("get_feature_names_out")
    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """Return the names of the C columns of a step, as the transformer tells them.

        Parameters
        ----------
        input_features : (D,) array-like of str, optional
            Names of the D variables of a step, by default x0, x1 and so on.

        Returns
        -------
        (C,) ndarray of str
        """
        check_is_fitted(self)
        names: NDArray[Any] = self.transformer_.get_feature_names_out(input_features)
        return names

    # ---- what scikit-learn asks for -----------------------------------------------------------

    def get_metadata_routing(self) -> MetadataRouter:
        """Return how metadata such as weights reach the transformer."""
        methods = MethodMapping()
        for method in ("fit", "fit_transform", "partial_fit"):
            methods.add(caller=method, callee=method)
        router = MetadataRouter(owner=self)
        return router.add(transformer=self.transformer, method_mapping=methods)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        inner = get_tags(self.transformer)
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = inner.input_tags.allow_nan
        tags.input_tags.positive_only = inner.input_tags.positive_only
        tags.target_tags.required = inner.target_tags.required
        tags.non_deterministic = inner.non_deterministic
        if inner.transformer_tags is not None:
            tags.transformer_tags.preserves_dtype = inner.transformer_tags.preserves_dtype
        return tags

    # ---- steps in, steps out ------------------------------------------------------------------

    def _read(self, X: Any, n_features: int | None = None) -> Sequences:
        name = type(self).__name__
        return check_sequences(X, caller=name, n_features=n_features, allow_nan=True)

    def _read_alike(self, X: Any) -> Sequences:
        """Read X, which must have the variables that it had in fit."""
        sequences = self._read(X, 1 if self._read_columns else self.n_features_in_)
        n_columns = sequences.n_steps // len(sequences)
        if self._read_columns and sequences.form == "2d" and n_columns != self.n_features_in_:
            raise ValueError(
                f"X has {n_columns} features, but {type(self).__name__} is expecting "
                f"{self.n_features_in_} features as input. For sequences of other lengths pass a "
                f"list of arrays."
            )
        return sequences

    def _learn(self, transformer: Any, sequences: Sequences) -> Self:
        self.transformer_ = transformer
        self._read_columns = sequences.form == "2d"
        self.n_features_in_ = (
            sequences.n_steps // len(sequences) if self._read_columns else sequences.n_features
        )
        return self

    def _apply(
        self, transformer: Any, method: str, sequences: Sequences, y: Any, params: dict[str, Any]
    ) -> Any:
        """Call a method of the transformer that fits it, with everything laid out in steps."""
        if get_config()["enable_metadata_routing"]:
            params = process_routing(self, method, **params).transformer[method]
        name = type(self).__name__
        flat = {
            key: flatten_weights(value, sequences, "every", caller=name)
            if key.rpartition("__")[2] == "sample_weight" and value is not None
            else value
            for key, value in params.items()
        }
        targets = None if y is None else _targets_of_steps(y, sequences, name)
        return getattr(transformer, method)(sequences.values, targets, **flat)

    def _shaped(self, sequences: Sequences, result: Any, method: str, as_columns: bool) -> Any:
        """Check what the transformer has made of the steps, and give it the form of X."""
        values = np.asarray(result.toarray() if hasattr(result, "toarray") else result)
        wrong_shape = values.ndim != 2 or len(values) != sequences.n_steps
        if wrong_shape or values.dtype.kind not in "biuf":
            raise ValueError(
                f"{type(self).__name__} got an array of shape {values.shape} and dtype "
                f"{values.dtype} from {type(self.transformer_).__name__}.{method} for "
                f"{sequences.n_steps} steps; expected a row of numbers for each, "
                f"({sequences.n_steps}, n_columns)."
            )
        return sequences.shape_like(values[:, 0] if as_columns and values.shape[1] == 1 else values)


def _targets_of_steps(y: Any, sequences: Sequences, caller: str) -> NDArray[Any]:
    """(steps,) or (steps, K) from targets of each step, or from those of each sequence."""
    if not _are_of_sequences(y, sequences):
        return flatten_steps(y, sequences, caller=caller, name="y")
    expected = "expected targets of each sequence, (n,) or (n, n_targets), or of each step"
    flat = read_array(y, caller=caller, name="y", ndims=(1, 2), expected=expected, text=True)
    if len(flat) != len(sequences):
        raise ValueError(
            f"{caller} got {len(flat)} targets in y for {len(sequences)} sequences in X; "
            f"{expected}."
        )
    return np.repeat(flat, sequences.lengths, axis=0)


def _are_of_sequences(y: Any, sequences: Sequences) -> bool:
    """Whether y tells of sequences rather than of their steps, by its shape."""
    try:
        array = np.asarray(y)
    except ValueError:  # lists of unequal lengths
        return False
    if array.ndim == 1:
        return array.size > 0 and np.ndim(array[0]) == 0
    return array.ndim == 2 and bool((sequences.lengths != array.shape[1]).any())
