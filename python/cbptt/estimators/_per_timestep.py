"""Any transformer of scikit-learn, applied to the steps of sequences."""

from __future__ import annotations

import copy
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn import get_config
from sklearn.base import clone
from sklearn.utils import Tags, get_tags
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing

from cbptt.data.reading import read_array
from cbptt.data.sequences import Sequences, flatten_steps
from cbptt.estimators._notices import Notice, warn_all
from cbptt.estimators._of_sequences import OfSequences, dense, inner_has
from cbptt.losses import flatten_weights

# Steps of a sequence that are looked at to see whether a transformer mixes sequences.
_SAMPLE = 50


class PerTimestep(OfSequences, auto_wrap_output_keys=None):  # type: ignore[call-arg]
    """Apply a transformer to the steps of sequences, whatever their lengths.

    The steps of all sequences are stacked to (steps, D), on which the transformer is fitted and
    which it transforms, row by row; the result is cut into sequences again. So a scaler, a
    projection, an imputer or a pipeline of them can be used before a recurrent network, within one
    Pipeline.

    The transformer must transform each row separately, because the last step of one sequence is
    followed by the first step of the next. A function along time (differences, cumulative sums,
    lags, moving averages) would mix sequences: use `PerSequence` for it.

    Parameters
    ----------
    transformer : transformer
        Any object with fit and transform that returns one row for each row, such as StandardScaler,
        PCA, SimpleImputer, or a Pipeline. It is cloned and never changed.

    Attributes
    ----------
    transformer_ : transformer
        The clone, fitted on the steps.
    n_features_in_ : int
        Number of variables D of a step; for two-dimensional X its number of columns.
    feature_names_in_ : (n_features_in_,) ndarray of str
        Names of the columns, where X is a data frame or a list of data frames.

    See Also
    --------
    PerSequence : For functions along time, and scaling within each sequence.
    RNNClassifier, RNNSequenceClassifier, RNNRegressor, RNNSequenceRegressor

    Notes
    -----
    The result has the form of X, with C columns for the D variables of a step:

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
    ``transform_output`` changes nothing here. `get_feature_names_out` returns the names of the
    columns of a step.

    `fit` transforms some steps of the first two sequences together and alone, and warns if the
    values differ.

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

    # ---- fit ----------------------------------------------------------------------------------

    def fit(self, X: Any, y: Any = None, **fit_params: Any) -> Self:
        """Fit a clone of the transformer on the steps of all sequences.

        Parameters
        ----------
        X : list, tuple or 1-D object array of (T_i, D) or (T_i,); (n, T, D); (n, T); or Ragged
            The sequences. NaN is left to the transformer; infinity is refused.
        y : None, targets of each step in the forms of X, or (n,) or (n, K) of each sequence
            For transformers that learn from targets. The target of a sequence is used for each of
            its steps. (n, K) targets are read as those of steps if every sequence has K steps.
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

        Warns
        -----
        UserWarning
            If the transformer mixes steps of different sequences.
        """
        return self._fit(X, y, fit_params, stacklevel=2)

    def fit_transform(self, X: Any, y: Any = None, **fit_params: Any) -> Any:
        """Fit, and transform the same sequences.

        If the transformer has a fit_transform, it is called, since it may differ from fit followed
        by transform.

        Parameters
        ----------
        X, y, **fit_params
            As in `fit`.

        Returns
        -------
        sequences in the form of X
        """
        if not hasattr(self.transformer, "fit_transform"):
            return self._fit(X, y, fit_params, stacklevel=2).transform(X)
        self._validate_params()
        sequences = self._read(X)
        transformer = clone(self.transformer)
        result = self._apply(transformer, "fit_transform", sequences, y, fit_params)
        self._learn(transformer, X, sequences)
        self._warn_if_mixing(sequences, stacklevel=2)
        return self._shaped(sequences, result, "fit_transform", as_columns=sequences.form == "2d")

    @inner_has("partial_fit")
    def partial_fit(self, X: Any, y: Any = None, **fit_params: Any) -> Self:
        """Continue fitting with more sequences; only if the transformer has a partial_fit.

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
        # a copy, so that an error leaves what was learned before
        transformer = clone(self.transformer) if is_first else copy.deepcopy(self.transformer_)
        self._apply(transformer, "partial_fit", sequences, y, fit_params)
        if is_first:
            self._learn(transformer, X, sequences)
            self._warn_if_mixing(sequences, stacklevel=2)
        self.transformer_ = transformer
        return self

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
        model = self._snapshot()
        sequences = model._read_alike(X)
        result = model.transformer_.transform(sequences.values)
        return model._shaped(sequences, result, "transform", as_columns=sequences.form == "2d")

    @inner_has("inverse_transform")
    def inverse_transform(self, X: Any) -> Any:
        """Take every step back; only where the transformer has an inverse_transform.

        Parameters
        ----------
        X : sequences as `transform` gives them

        Returns
        -------
        sequences in the form of X, but (n, T) for (n, T, C) after a fit on an (n, T) array
        """
        model = self._snapshot()
        sequences = model._read(X)
        result = model.transformer_.inverse_transform(sequences.values)
        as_columns = sequences.form == "2d" or (sequences.form == "3d" and model._read_columns)
        return model._shaped(sequences, result, "inverse_transform", as_columns)

    # ---- what scikit-learn needs --------------------------------------------------------------

    def get_metadata_routing(self) -> MetadataRouter:
        """Return how metadata such as weights reach the transformer."""
        methods = MethodMapping()
        for method in ("fit", "fit_transform", "partial_fit"):
            methods.add(caller=method, callee=method)
        router = MetadataRouter(owner=self)
        return router.add(transformer=self.transformer, method_mapping=methods)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = get_tags(self.transformer).target_tags.required
        return tags

    # ---- steps in, steps out ------------------------------------------------------------------

    def _warn_if_mixing(self, sequences: Sequences, *, stacklevel: int) -> None:
        """Warn where the fitted transformer mixes steps of different sequences.

        stacklevel : as of `warnings.warn`, where 1 is the caller of this method.
        """
        if _mixes_sequences(self.transformer_, sequences):
            message = (
                f"{self._name} got {type(self.transformer_).__name__}, which returns other values "
                f"for two sequences together than for each alone, so it mixes steps of different "
                f"sequences. cbptt.PerSequence applies it to each sequence by itself."
            )
            warn_all([Notice(message)], stacklevel=1 + stacklevel)

    def _fit(self, X: Any, y: Any, fit_params: dict[str, Any], *, stacklevel: int) -> Self:
        """As `fit`; stacklevel is as in `_warn_if_mixing`."""
        self._validate_params()
        sequences = self._read(X)
        transformer = clone(self.transformer)
        self._apply(transformer, "fit", sequences, y, fit_params)
        self._learn(transformer, X, sequences)
        self._warn_if_mixing(sequences, stacklevel=1 + stacklevel)
        return self

    def _apply(
        self, transformer: Any, method: str, sequences: Sequences, y: Any, params: dict[str, Any]
    ) -> Any:
        """Call a method of the transformer that fits it, with everything laid out in steps."""
        if get_config()["enable_metadata_routing"]:
            params = process_routing(self, method, **params).transformer[method]
        name = self._name
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
        values = dense(result)
        wrong_shape = values.ndim != 2 or len(values) != sequences.n_steps
        if wrong_shape or values.dtype.kind not in "biuf":
            raise ValueError(
                f"{self._name} got an array of shape {values.shape} and dtype "
                f"{values.dtype} from {type(self.transformer_).__name__}.{method} for "
                f"{sequences.n_steps} steps; expected a row of numbers for each, "
                f"({sequences.n_steps}, n_columns). cbptt.PerSequence takes functions along time."
            )
        return sequences.shape_like(values[:, 0] if as_columns and values.shape[1] == 1 else values)


def _mixes_sequences(transformer: Any, sequences: Sequences) -> bool:
    """Whether some steps of the first two sequences become other values together than alone."""
    if len(sequences) < 2:
        return False
    _, middle, end = sequences.offsets[:3]
    before, after = (
        sequences.values[max(0, middle - _SAMPLE) : middle],
        sequences.values[middle:end],
    )
    parts = before, after[:_SAMPLE]
    try:
        together, again = (dense(transformer.transform(np.concatenate(parts))) for _ in range(2))
        alone = np.concatenate([dense(transformer.transform(part)) for part in parts])
        scale = np.nan_to_num(np.abs(together)).max(initial=0)
        return (
            together.shape == alone.shape
            and np.array_equal(together, again, equal_nan=True)  # else it draws random numbers
            and not np.allclose(together, alone, rtol=1e-3, atol=1e-4 * scale, equal_nan=True)
        )
    except Exception:  # what is wrong is raised by transform itself
        return False


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
    """Whether y has targets of sequences and not of their steps, by its shape."""
    try:
        array = np.asarray(y)
    except ValueError:  # lists of unequal lengths
        return False
    if array.ndim == 1:
        return array.size > 0 and np.ndim(array[0]) == 0
    return array.ndim == 2 and bool((sequences.lengths != array.shape[1]).any())
