"""Any transformer of scikit-learn, applied to the steps of sequences, or to each sequence."""

from __future__ import annotations

import copy
import warnings
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

from cbptt.data.ragged import Ragged
from cbptt.data.reading import read_array
from cbptt.data.sequences import Sequences, check_sequences, flatten_steps
from cbptt.estimators._forms import learn_form, read_alike
from cbptt.estimators._snapshot import Snapshot
from cbptt.losses import flatten_weights

Method = TypeVar("Method", bound=Callable[..., Any])

# Steps of a sequence that are looked at to see whether a transformer mixes sequences.
_SAMPLE = 50


def _inner_has(method: str) -> Callable[[Method], Method]:
    """Decorator of a method that there is only where the transformer has it."""

    def check(self: _OfSequences) -> bool:
        getattr(getattr(self, "transformer_", self.transformer), method)
        return True

    decorator: Callable[[Method], Method] = available_if(check)
    return decorator


class _OfSequences(  # type: ignore[call-arg]
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
        return check_sequences(X, caller=type(self).__name__, allow_nan=True)

    def _read_alike(self, X: Any) -> Sequences:
        """Read X, which must have the variables that it had in fit."""
        return read_alike(X, vars(self), caller=type(self).__name__, allow_nan=True)

    def _learn(self, transformer: Any, X: Any, sequences: Sequences) -> Self:
        learned = learn_form(X, sequences, caller=type(self).__name__)
        return self._install(learned | {"transformer_": transformer})

    @_inner_has("get_feature_names_out")
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


class PerTimestep(_OfSequences, auto_wrap_output_keys=None):  # type: ignore[call-arg]
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
        self._validate_params()
        sequences = self._read(X)
        transformer = clone(self.transformer)
        self._apply(transformer, "fit", sequences, y, fit_params)
        return self._learn(transformer, X, sequences)

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
            return self.fit(X, y, **fit_params).transform(X)
        self._validate_params()
        sequences = self._read(X)
        transformer = clone(self.transformer)
        result = self._apply(transformer, "fit_transform", sequences, y, fit_params)
        self._learn(transformer, X, sequences)
        return self._shaped(sequences, result, "fit_transform", as_columns=sequences.form == "2d")

    @_inner_has("partial_fit")
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
            return self._learn(transformer, X, sequences)
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

    def _learn(self, transformer: Any, X: Any, sequences: Sequences) -> Self:
        super()._learn(transformer, X, sequences)
        if _mixes_sequences(transformer, sequences):
            warnings.warn(
                f"{type(self).__name__} got {type(transformer).__name__}, which returns other "
                f"values for two sequences together than for each alone, so it mixes steps of "
                f"different sequences. cbptt.PerSequence applies it to each sequence by itself.",
                UserWarning,
                stacklevel=3,
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
        values = _dense(result)
        wrong_shape = values.ndim != 2 or len(values) != sequences.n_steps
        if wrong_shape or values.dtype.kind not in "biuf":
            raise ValueError(
                f"{type(self).__name__} got an array of shape {values.shape} and dtype "
                f"{values.dtype} from {type(self.transformer_).__name__}.{method} for "
                f"{sequences.n_steps} steps; expected a row of numbers for each, "
                f"({sequences.n_steps}, n_columns). cbptt.PerSequence takes functions along time."
            )
        return sequences.shape_like(values[:, 0] if as_columns and values.shape[1] == 1 else values)


class PerSequence(_OfSequences, auto_wrap_output_keys=None):  # type: ignore[call-arg]
    """Apply a transformer to each sequence on its own.

    A clone of the transformer is fitted on the steps of one sequence, (T_i, D), and transforms
    them. So functions along time can be used before a recurrent network (differences, cumulative
    sums, lags, moving averages), and scaling within each sequence. Nothing is learned from other
    sequences.

    Parameters
    ----------
    transformer : transformer
        Anything with fit and transform, such as ``FunctionTransformer(np.cumsum,
        kw_args={"axis": 0})`` or StandardScaler. It is cloned and never changed. It may return
        another number of steps, but at least one, and the same number of columns for every
        sequence.

    Attributes
    ----------
    transformer_ : transformer
        A clone, fitted on the first sequence of `fit`. It gives the names of columns and does not
        transform anything.
    n_features_in_ : int
        Number of variables D of a step; for two-dimensional X its number of columns.
    feature_names_in_ : (n_features_in_,) ndarray of str
        Names of the columns, where X is a data frame or a list of data frames.

    See Also
    --------
    PerTimestep : Learns from the steps of all sequences, and transforms each step separately.

    Notes
    -----
    The result has the form of X, as in `PerTimestep`. An array whose sequences become unequally
    long is a 1-D object array of (T_i, C) arrays.

    Targets and weights of steps are not changed. Where the transformer drops steps, drop those of
    y as well, or keep the length: ``np.diff(x, axis=0, prepend=x[:1])``.

    A transformer that uses a whole sequence, such as StandardScaler, lets later steps influence
    earlier ones: predictions from the first steps of a sequence differ from those for the same
    steps in the whole sequence.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.preprocessing import FunctionTransformer, StandardScaler
    >>> from cbptt import PerSequence
    >>> X = [[1.0, 2.0, 4.0], [30.0, 20.0]]
    >>> change = PerSequence(FunctionTransformer(np.diff, kw_args={"axis": 0}))
    >>> [x.ravel().tolist() for x in change.fit_transform(X)]
    [[1.0, 2.0], [-10.0]]
    >>> scaled = PerSequence(StandardScaler()).fit_transform(X)
    >>> [x.std().round(6).item() for x in scaled]
    [1.0, 1.0]
    """

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the number of variables and their names; their values are not used.

        Every sequence is transformed once, so that errors of the transformer are raised here.

        Parameters
        ----------
        X : list, tuple or 1-D object array of (T_i, D) or (T_i,); (n, T, D); (n, T); or Ragged
            The sequences. NaN is left to the transformer; infinity is refused.
        y : ignored

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError
            As in `transform`.
        """
        self.fit_transform(X)
        return self

    def fit_transform(self, X: Any, y: Any = None) -> Any:
        """Fit, and transform the same sequences.

        Parameters
        ----------
        X, y
            As in `fit`.

        Returns
        -------
        sequences in the form of X
        """
        self._validate_params()
        sequences = self._read(X)
        result = self._transformed(sequences)
        first = clone(self.transformer).fit(sequences.values[: sequences.offsets[1]])
        self._learn(first, X, sequences)
        return result

    def transform(self, X: Any) -> Any:
        """Transform each sequence by a clone of the transformer that is fitted on it.

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
            Where X does not fit, or the transformer does not return at least one row of numbers
            for a sequence, or another number of columns than for the first one.
        """
        model = self._snapshot()
        return model._transformed(model._read_alike(X))

    def _transformed(self, sequences: Sequences) -> Any:
        name = type(self).__name__
        parts = []
        for i, x in enumerate(Ragged(sequences.values, sequences.offsets)):
            try:
                parts.append(self._transformed_alone(x))
            except (TypeError, ValueError) as cause:
                kind = TypeError if isinstance(cause, TypeError) else ValueError
                where = f"X[{i}] with {len(x)} steps"
                raise kind(f"{name} got {where}, which is not transformed: {cause}") from cause
            if parts[i].shape[1] != parts[0].shape[1]:
                raise ValueError(
                    f"{name} got {parts[i].shape[1]} columns from "
                    f"{type(self.transformer).__name__} for X[{i}], but {parts[0].shape[1]} for "
                    f"X[0]; expected the same number for every sequence."
                )
        values, lengths = np.concatenate(parts), [len(part) for part in parts]
        form = sequences.form
        if form in ("2d", "3d") and len(set(lengths)) > 1:
            form = "list"
        if form == "2d" and values.shape[1] == 1:
            values = values[:, 0]
        return Sequences(values, np.cumsum([0, *lengths]), form).shape_like(values)

    def _transformed_alone(self, x: NDArray[Any]) -> NDArray[Any]:
        """(T', C) what a clone of the transformer makes of one sequence."""
        transformer = clone(self.transformer)
        if hasattr(transformer, "fit_transform"):
            values = _dense(transformer.fit_transform(x))
        else:
            values = _dense(transformer.fit(x).transform(x))
        if values.ndim != 2 or 0 in values.shape or values.dtype.kind not in "biuf":
            raise ValueError(
                f"{type(transformer).__name__} returned an array of shape {values.shape} and dtype "
                f"{values.dtype}; expected at least one row of numbers, (n_timesteps, n_columns)."
            )
        return values


def _dense(result: Any) -> NDArray[Any]:
    """What a transformer returns, as an array."""
    return np.asarray(result.toarray() if hasattr(result, "toarray") else result)


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
        together, again = (_dense(transformer.transform(np.concatenate(parts))) for _ in range(2))
        alone = np.concatenate([_dense(transformer.transform(part)) for part in parts])
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
