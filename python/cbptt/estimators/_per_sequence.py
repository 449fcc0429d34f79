"""Any transformer of scikit-learn, applied to each sequence on its own."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from cbptt.data.ragged import Ragged
from cbptt.data.sequences import Sequences
from cbptt.estimators._of_sequences import OfSequences, dense


class PerSequence(OfSequences, auto_wrap_output_keys=None):  # type: ignore[call-arg]
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
        name = self._name
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
            values = dense(transformer.fit_transform(x))
        else:
            values = dense(transformer.fit(x).transform(x))
        if values.ndim != 2 or 0 in values.shape or values.dtype.kind not in "biuf":
            raise ValueError(
                f"{type(transformer).__name__} returned an array of shape {values.shape} and dtype "
                f"{values.dtype}; expected at least one row of numbers, (n_timesteps, n_columns)."
            )
        return values
