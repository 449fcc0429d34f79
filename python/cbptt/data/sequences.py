"""Sequences: the forms a user may pass, and the one flat form everything computes on.

The axis order is (sequence, time, variable) throughout. A set of sequences is stored as one
buffer of all their steps, (steps, D), and n + 1 offsets: sequence i is the rows from offsets[i] to
offsets[i + 1]. Nothing is padded and no step is masked, so T of the lecture may differ from one
sequence to the next.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from numbers import Real
from typing import Any, Literal, TypeAlias, overload

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from cbptt.data.times import Times, read_index

__all__ = [
    "Ragged",
    "Sequences",
    "cast_finite",
    "check_sequences",
    "column_labels",
    "date_columns",
    "find_frame",
    "finite_rule",
    "flatten_steps",
    "from_channels_first",
    "read_array",
    "read_ragged",
    "spell",
]

Array: TypeAlias = NDArray[Any]
Offsets: TypeAlias = NDArray[np.intp]
Form: TypeAlias = Literal["list", "ragged", "3d", "2d"]

# What any count may be: a BLAS with 32-bit integers takes no larger dimension.
MAX_COUNT = 2**31 - 1

_NUMBERS = "biuf"  # dtype.kind of features: bool, integer, floating
_LABELS = "biufU"  # dtype.kind of what may stand beside the steps: numbers or text
# How the names of dtypes of times begin, in NumPy, pandas and Arrow.
_TEMPORAL = ("datetime64", "timedelta64", "period[", "timestamp", "date", "time", "duration")
_EACH = "every sequence must be (n_timesteps, n_features)"
_IN_ORDER = "the rows are steps in the order of time, as sort_index() makes them"
_WHOLE = (
    "expected a list of (n_timesteps, n_features) arrays, an array of shape (n_sequences, "
    "n_timesteps, n_features) or (n_sequences, n_timesteps), or a cbptt.Ragged"
)


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Ragged:
    """Sequences of unequal lengths in one flat buffer.

    It can be indexed like a list of arrays, and like an array whose first axis is the sequences,
    so that scikit-learn's splitters and searches cut it without making a list of it.

    Parameters
    ----------
    values : (steps, D) or (steps,) ndarray
        Every step of every sequence, one sequence after the other: features, targets or labels.
        C-contiguous, of any dtype but object. It is not copied: the attribute is a view.
    offsets : (n + 1,) array of int
        Sequence i is ``values[offsets[i]:offsets[i + 1]]``. Strictly increasing from 0 to steps.
        The attribute is a read-only copy.

    Raises
    ------
    TypeError, ValueError
        If values or offsets are not as described.

    See Also
    --------
    Ragged.from_sequences, Ragged.from_padded, Ragged.from_flat

    Examples
    --------
    >>> import numpy as np
    >>> from cbptt.data.sequences import Ragged
    >>> X = Ragged.from_sequences([np.zeros((3, 2)), np.ones((5, 2))])
    >>> X
    Ragged(n=2, steps=8, features=2, lengths 3..5, float64)
    >>> X[1].shape
    (5, 2)
    """

    values: Array
    offsets: Offsets

    def __post_init__(self) -> None:
        values, offsets = self.values, np.array(self.offsets)
        if not isinstance(values, np.ndarray) or isinstance(values, np.ma.MaskedArray):
            raise TypeError(
                f"Ragged got values of type {type(values).__name__}; expected an ndarray. "
                "Ragged.from_sequences and Ragged.from_flat convert other data."
            )
        if values.dtype.hasobject:
            raise TypeError(f"Ragged got values of dtype {values.dtype}; expected no objects.")
        if values.ndim not in (1, 2) or not values.flags.c_contiguous:
            raise ValueError(
                f"Ragged got values of shape {values.shape} and strides {values.strides}; expected "
                "(steps, D) or (steps,), C-contiguous. np.ascontiguousarray makes it so."
            )
        if offsets.ndim != 1 or offsets.dtype.kind not in "iu":
            raise TypeError(
                f"Ragged got offsets of dtype {offsets.dtype} and shape {offsets.shape}; expected "
                "integers of shape (n_sequences + 1,)."
            )
        object.__setattr__(self, "values", np.asarray(values).view())
        object.__setattr__(self, "offsets", _checked_offsets(offsets, len(values), "Ragged"))

    def __setstate__(self, state: list[Any]) -> None:
        """Check what a pickle or a copy brings as anything else."""
        checked = Ragged(*state)
        object.__setattr__(self, "values", checked.values)
        object.__setattr__(self, "offsets", checked.offsets)

    @classmethod
    def from_sequences(cls, sequences: Iterable[ArrayLike]) -> Ragged:
        """Copy separate sequences into one buffer.

        Parameters
        ----------
        sequences : iterable of (T_i, D) or (T_i,) arrays
            Numbers or text. The dtype is the one NumPy's concatenation gives.

        Raises
        ------
        TypeError, ValueError
            If there is no sequence, or one has no steps or another number of features, or the dates
            in the index of a data frame go back.
        """
        reader, given = _Reader("Ragged.from_sequences", "sequences"), list(sequences)
        values, offsets, _ = reader.read(given)
        reader.times(given)
        return cls(np.ascontiguousarray(values), offsets)

    @classmethod
    def from_padded(
        cls,
        X: ArrayLike,
        lengths: ArrayLike | None = None,
        *,
        side: Literal["right", "left"] = "right",
        mask: ArrayLike | None = None,
    ) -> Ragged:
        """Cut the padding off sequences that were made equally long.

        Parameters
        ----------
        X : (n, T, D) or (n, T) array
            Sequences of T steps, some of which are padding.
        lengths : (n,) array of int, optional
            Valid steps of each sequence, 1 to T. By default the steps at the side of a sequence
            whose features are all NaN are padding; a NaN anywhere else is kept.
        side : {"right", "left"}, default="right"
            Where the padding stands: after the last step of a sequence, or before its first step,
            as `pad_sequences` of Keras puts it by default.
        mask : (n, T) array of bool, or of 0 and 1, optional
            True for each valid step, as the mask of Keras and the attention mask of Hugging Face.
            Steps are cut wherever they stand; lengths and side are not used.

        Raises
        ------
        TypeError, ValueError
            If a length is not in 1 to T, the mask does not fit X, or a sequence has no valid step.

        Warns
        -----
        UserWarning
            If the steps that are cut do not look like padding, because they hold several values
            other than NaN; or if nothing is cut, but NaN pads the other side, or 0 pads either.

        Examples
        --------
        >>> from cbptt import Ragged
        >>> padded = [[0, 0, 7], [4, 5, 6]]  # 0 stands before the steps
        >>> Ragged.from_padded(padded, lengths=[1, 3], side="left").to_list()
        [array([7]), array([4, 5, 6])]
        >>> Ragged.from_padded(padded, mask=[[0, 0, 1], [1, 1, 1]]).lengths
        array([1, 3])
        """
        reader = _Reader("Ragged.from_padded")
        reader.check_axes(X)
        padded = reader.array(X, (2, 3))
        if side not in ("right", "left"):
            raise ValueError(f"{reader.caller} got side={spell(side)}; expected 'right' or 'left'.")
        is_found = lengths is None and mask is None
        if mask is not None:
            if lengths is not None:
                raise ValueError(f"{reader.caller} got lengths and mask; expected one of them.")
            valid = reader.mask(mask, padded.shape[:2])
        else:
            if lengths is None:
                lengths = _valid_steps(padded == padded, side)  # NaN alone differs from itself
            lengths = reader.lengths(lengths, longest=padded.shape[1])
            if len(lengths) != len(padded):
                raise ValueError(
                    f"{reader.caller} got {len(lengths)} lengths for {len(padded)} sequences; "
                    "expected one length for each."
                )
            valid = _at_side(lengths, padded.shape[1], side)
        if not valid.all():
            _warn_of_cut(padded[~valid], reader.caller)
        elif is_found:
            _warn_of_kept(padded, side, reader.caller)
        return cls(padded[valid], _offsets(valid.sum(axis=1)))

    @classmethod
    def from_flat(cls, X: ArrayLike, lengths: ArrayLike) -> Ragged:
        """Take sequences that already lie one after the other, with the length of each.

        Parameters
        ----------
        X : (steps, D) or (steps,) array
            Every step of every sequence. Not copied where it is a C-contiguous array.
        lengths : (n,) array of int
            Steps of each sequence, at least 1, steps in all.

        Raises
        ------
        TypeError, ValueError
            If a length is below 1, or the lengths do not add up to steps.
        """
        reader = _Reader("Ragged.from_flat")
        values = np.ascontiguousarray(reader.array(X, (1, 2)))
        offsets = _offsets(reader.lengths(lengths, longest=len(values)))
        if offsets[-1] != len(values):
            raise ValueError(
                f"Ragged.from_flat got lengths that add up to {offsets[-1]}, but X has "
                f"{len(values)} steps; the lengths must share out every step."
            )
        return cls(values, offsets)

    @property
    def lengths(self) -> Offsets:
        """(n,) ndarray: steps of each sequence."""
        return np.diff(self.offsets)

    @property
    def n_steps(self) -> int:
        """Steps of all sequences together."""
        return len(self.values)

    @property
    def shape(self) -> tuple[int | None, ...]:
        """(n, None, D), or (n, None) where a step is a single value."""
        return (len(self), None, *self.values.shape[1:])

    @property
    def dtype(self) -> np.dtype[Any]:
        """Dtype of the values."""
        return self.values.dtype

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __iter__(self) -> Iterator[Array]:
        return (self.values[start:stop] for start, stop in pairwise(self.offsets.tolist()))

    def __repr__(self) -> str:
        features = [f"features={D}" for D in self.values.shape[1:]]
        lengths = [f"lengths {self.lengths.min()}..{self.lengths.max()}"] if len(self) else []
        parts = [f"n={len(self)}", f"steps={self.n_steps}", *features, *lengths, str(self.dtype)]
        return f"Ragged({', '.join(parts)})"

    @overload
    def __getitem__(self, key: int | np.integer[Any]) -> Array: ...
    @overload
    def __getitem__(self, key: slice | Sequence[int] | Array) -> Ragged: ...
    @overload
    def __getitem__(self, key: tuple[Any, Any]) -> Array | Ragged: ...
    def __getitem__(self, key: Any) -> Array | Ragged:
        """Sequence i as a view; a slice, mask or index array as another Ragged.

        A slice of step 1 shares the buffer, everything else is copied into a new one.
        """
        n = len(self)
        if isinstance(key, tuple) and len(key) == 2 and key[1] is Ellipsis:
            key = key[0]  # scikit-learn indexes whatever has a shape by X[key, ...]
        if isinstance(key, (int, np.integer)):
            i = int(key)  # a small NumPy integer may not hold n
            if not -n <= i < n:
                raise IndexError(f"Ragged of {n} sequences has no sequence {i}.")
            return self.values[self.offsets[i % n] : self.offsets[i % n + 1]]
        if isinstance(key, slice) and key.step in (None, 1):
            first, last, _ = key.indices(n)
            offsets = self.offsets[first : max(first, last) + 1]
            return Ragged(self.values[offsets[0] : offsets[-1]], offsets - offsets[0])
        index = np.arange(n)[key]
        if index.ndim != 1:
            raise IndexError(
                f"Ragged got an index of {index.ndim} dimensions; "
                "expected an int, a slice, a mask or a 1-D array of int."
            )
        lengths = self.lengths[index]
        offsets = _offsets(lengths)
        # row r of chosen sequence j is row r - offsets[j] of its source
        rows = np.arange(offsets[-1]) + np.repeat(self.offsets[index] - offsets[:-1], lengths)
        return Ragged(self.values.take(rows, axis=0), offsets)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> Array:
        """(n,) object ndarray of the sequences, each a view."""
        if dtype is not None and np.dtype(dtype) != object:
            raise TypeError(
                f"Ragged cannot become an array of {np.dtype(dtype)}, as its sequences may differ "
                "in length; use to_padded(), to_list() or values."
            )
        if copy is False:
            raise ValueError("Ragged cannot become an array of objects without a copy.")
        return np.fromiter(self, dtype=object, count=len(self))

    def astype(self, dtype: DTypeLike) -> Ragged:
        """The same sequences with values of another dtype; shares the buffer if it is this one."""
        return Ragged(self.values.astype(dtype, copy=False), self.offsets)

    def to_list(self) -> list[Array]:
        """List of (T_i, D) or (T_i,) views, one for each sequence."""
        return list(self)

    def to_padded(
        self, fill_value: Any = np.nan, *, side: Literal["right", "left"] = "right"
    ) -> Array:
        """Sequences padded to the longest.

        Parameters
        ----------
        fill_value : scalar, default=nan
            The padding. The dtype is widened where it cannot hold it: integers padded with NaN
            become floats. Text needs a text here.
        side : {"right", "left"}, default="right"
            Put the padding after the last step of a sequence, or before its first step.

        Returns
        -------
        (n, T_max, D) or (n, T_max) ndarray
        """
        if isinstance(fill_value, str) != (self.dtype.kind == "U"):
            raise TypeError(
                f"Ragged.to_padded got fill_value={fill_value!r} for values of dtype {self.dtype}; "
                "expected text to pad text and a number to pad numbers."
            )
        # a plain number widens the dtype only as far as it must, a text to its own length
        fill = np.asarray(fill_value) if isinstance(fill_value, str) else fill_value
        if side not in ("right", "left"):
            raise ValueError(
                f"Ragged.to_padded got side={spell(side)}; expected 'right' or 'left'."
            )
        T = int(self.lengths.max(initial=0))
        shape = (len(self), T, *self.values.shape[1:])
        padded = np.full(shape, fill, np.result_type(self.dtype, fill))
        padded[_at_side(self.lengths, T, side)] = self.values
        return padded


@dataclass(frozen=True, eq=False)
class Sequences:
    """Checked sequences: what `check_sequences` makes of a user's X.

    Attributes
    ----------
    values : (steps, D) ndarray of float32 or float64
        Every step of every sequence; finite, or NaN where that was allowed; C-contiguous, aligned,
        native-endian; maybe read-only.
    offsets : (n + 1,) ndarray of intp
        Sequence i is ``values[offsets[i]:offsets[i + 1]]``; a read-only copy.
    form : {"list", "ragged", "3d", "2d"}
        The form the user chose, which outputs mirror.
    times : tuple of n Times or None, or empty
        The dates in the index of each data frame of a list.
    """

    values: Array
    offsets: Offsets
    form: Form
    times: tuple[Times | None, ...] = ()

    def __post_init__(self) -> None:
        offsets = _checked_offsets(np.asarray(self.offsets), len(self.values), "Sequences")
        object.__setattr__(self, "offsets", offsets)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Check what a pickle or a copy brings as anything else."""
        self.__dict__.update(vars(Sequences(**state)))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def n_steps(self) -> int:
        """Steps of all sequences together."""
        return len(self.values)

    @property
    def n_features(self) -> int:
        """Variables of a step, D."""
        return int(self.values.shape[1])

    @property
    def lengths(self) -> Offsets:
        """(n,) ndarray: steps of each sequence."""
        return np.diff(self.offsets)

    def shape_like(self, values: Array) -> Array | Ragged:
        """Give values of every step the form the sequences came in.

        Parameters
        ----------
        values : (steps, C) or (steps,) ndarray

        Returns
        -------
        (n, T, C) or (n, T) ndarray, Ragged, or (n,) object ndarray of (T_i, C) or (T_i,) views
            For the forms "3d" and "2d", "ragged", and "list".
        """
        if len(values) != self.n_steps:
            raise ValueError(f"shape_like got {len(values)} steps; expected {self.n_steps}.")
        if self.form in ("2d", "3d"):
            n = len(self)
            return values.reshape(n, self.n_steps // n, *values.shape[1:])
        ragged = Ragged(np.ascontiguousarray(values), self.offsets)
        return ragged if self.form == "ragged" else np.asarray(ragged)


def from_channels_first(X: Any) -> Any:
    """Turn (sequence, variable, time), the order of sktime and aeon, into our axis order.

    Parameters
    ----------
    X : (n, D, T) array, or list of (D, T_i) arrays

    Returns
    -------
    (n, T, D) ndarray, or list of (T_i, D) ndarrays
        Views where X holds arrays.

    Raises
    ------
    TypeError, ValueError
        If X is not as described. The order of the axes itself cannot be checked.
    """
    reader = _Reader(
        "from_channels_first",
        each="every sequence must be (n_features, n_timesteps)",
        whole="expected an (n_sequences, n_features, n_timesteps) array or a list of "
        "(n_features, n_timesteps) arrays",
    )
    X = reader.container(X)
    if isinstance(X, list):
        return [reader.array(item, (2,), i).T for i, item in enumerate(X)]
    return reader.array(X, (3,)).swapaxes(1, 2)


def check_sequences(
    X: Any,
    *,
    caller: str,
    dtype: DTypeLike | Literal["auto"] = "auto",
    name: str = "X",
    n_features: int | None = None,
    allow_nan: bool = False,
) -> Sequences:
    """Read sequences in any accepted form, or say what is wrong with them.

    Parameters
    ----------
    X : list, tuple or 1-D object array of (T_i, D) or (T_i,); (n, T, D) or (n, T) array; Ragged
        (T_i,) and (n, T) are sequences of one variable; plain nested lists of equally many numbers
        are an (n, T) array. Not copied where it is an array or a Ragged of the result's dtype,
        C-contiguous and aligned.
    caller : str
        Who asks: every error begins with it.
    dtype : {"auto", float32, float64}, default="auto"
        "auto" is float32 where NumPy's common dtype of all sequences is float32, else float64.
    name : str, default="X"
        What errors call X.
    n_features : int, optional
        Required number of variables D. A 2-D array of one column is refused then, as it is more
        likely one sequence than many sequences of one step.
    allow_nan : bool, default=False
        Let NaN stand, for whoever fills it in. Infinity is refused either way.

    Returns
    -------
    Sequences

    Raises
    ------
    TypeError
        If X or a sequence is not array-like, is a scalar, sparse or masked.
    ValueError
        If a shape or a dtype is wrong, a sequence has no steps, a value is not finite, or the dates
        in the index of a data frame go back.
    """
    reader = _Reader(caller, name, _NUMBERS)
    values, offsets, form = reader.read(X)
    values = values.reshape(len(values), -1)
    D = values.shape[1]
    if n_features is not None:
        reader.check_features(D, n_features, offsets, form)
    if isinstance(dtype, str) and dtype == "auto":
        dtype = np.float32 if values.dtype.str[1:] == "f4" else np.float64
    if np.dtype(dtype) not in (np.float32, np.float64):
        raise ValueError(f"{caller} got dtype={dtype!r}; expected 'auto', float32 or float64.")
    checked = reader.finite(values, offsets, np.dtype(dtype), allow_nan)
    return Sequences(checked, offsets, form, reader.times(X))


def read_ragged(X: Any, *, caller: str, name: str) -> Ragged:
    """Read sequences of numbers or text in any accepted form, whatever the numbers are.

    Parameters
    ----------
    X : list, tuple or 1-D object array of (T_i, D) or (T_i,); (n, T, D) or (n, T) array; Ragged
        A Ragged is returned as it is.
    caller, name : str
        Who asks, and what errors call X.

    Returns
    -------
    Ragged
        With values of (steps, D), or (steps,) where a step of X is a single value. It may hold NaN
        and infinity.

    Raises
    ------
    TypeError, ValueError
        If X is not as described, holds no sequence, or one without steps.
    """
    if isinstance(X, Ragged) and len(X):
        return X
    values, offsets, _ = _Reader(caller, name).read(X)
    return Ragged(np.ascontiguousarray(values), offsets)


def flatten_steps(
    Y: Any,
    sequences: Sequences,
    *,
    caller: str,
    name: str = "Y",
    dtype: DTypeLike | None = None,
) -> Array:
    """Read one value, or one row of values, for every step of `sequences`.

    Parameters
    ----------
    Y : list, tuple or 1-D object array of (T_i,) or (T_i, K); (n, T) or (n, T, K) array; Ragged
        Numbers, booleans or text, with the lengths of `sequences`.
    sequences : Sequences
        What Y belongs to.
    caller : str
        Who asks: every error begins with it.
    name : str, default="Y"
        What errors call Y.
    dtype : dtype, optional
        Dtype of the result, of the same kind or a wider one. By default the one NumPy finds.

    Returns
    -------
    (steps,) or (steps, K) ndarray
        C-contiguous; a view where Y is an array or a Ragged of this dtype. It may hold NaN, as
        unlabelled steps do.

    Raises
    ------
    TypeError
        If Y or an item is not array-like, is a scalar or masked, or cannot be cast to dtype.
    ValueError
        If a shape, a dtype or a length is wrong, or the times of a data frame are not those of X.
    """
    reader = _Reader(
        caller,
        name,
        each=f"every {name}[i] must hold one value, or one row of values, for each step of X[i]",
        whole="expected a list of arrays as long as the sequences, an (n_sequences, n_timesteps) "
        "or (n_sequences, n_timesteps, n_outputs) array, or a cbptt.Ragged",
        column="output",
    )
    values, offsets, _ = reader.read(Y)
    if len(offsets) != len(sequences.offsets):
        got = f"with {len(offsets) - 1} sequences, but X has {len(sequences)}"
        raise reader.error(ValueError, got)
    lengths, expected = np.diff(offsets), sequences.lengths
    if (odd := np.flatnonzero(lengths != expected)).size:
        i = int(odd[0])
        raise reader.error(ValueError, f"with {lengths[i]} steps, but X[{i}] has {expected[i]}", i)
    for i, (x, y) in enumerate(zip(sequences.times, reader.times(Y), strict=False)):
        if x is not None and y is not None:
            k = y.first_difference(x) if x.kind == y.kind else 0
            if k is not None:
                got = f"with the time {y.spell(k)} at step {k}, where X[{i}] has {x.spell(k)}"
                raise reader.error(ValueError, got, i, "their times must be the same")
    target = np.dtype(dtype) if dtype is not None else values.dtype.newbyteorder("=")
    if not np.can_cast(values.dtype, target, "same_kind"):
        got = f"of dtype {values.dtype}, which cannot be cast to {target}"
        raise reader.error(TypeError, got)
    with np.errstate(over="ignore"):
        return np.require(values, target, ["C", "A"])


def read_array(
    value: Any,
    *,
    caller: str,
    name: str,
    ndims: tuple[int, ...],
    expected: str,
    text: bool = False,
) -> Array:
    """Read one plain array of numbers, or, with text, also of labels.

    Parameters
    ----------
    value : array-like
    caller, name : str
        Who asks, and what errors call the value.
    ndims : tuple of int
        Numbers of dimensions that it may have.
    expected : str
        What an error says that it must be.
    text : bool, default=False
        Whether it may hold text.

    Raises
    ------
    TypeError, ValueError
        If it is no array-like, is masked or sparse, or has another shape or kind of values.
    """
    reader = _Reader(caller, name, _LABELS if text else _NUMBERS, each=expected, whole=expected)
    return reader.array(value, ndims)


def column_labels(item: Any) -> tuple[Any, ...] | None:
    """Return the labels of a data frame's columns; None for anything else."""
    if type(item) is np.ndarray:
        return None
    labels = getattr(item, "column_names", None)  # of a table of Arrow's
    if labels is None:
        labels = getattr(item, "columns", None)
    return None if labels is None or callable(labels) else tuple(labels)


def find_frame(X: Any) -> Any:
    """Return X itself if it is a data frame, else the first one among its items, if any."""
    if isinstance(X, (list, tuple)) or (isinstance(X, np.ndarray) and X.dtype == object):
        return next((item for item in X if column_labels(item) is not None), None)
    return None if column_labels(X) is None else X


def spell(value: Any) -> str:
    """Spell a value that was not expected, in a few words even if it is a large array."""
    if shape := getattr(value, "shape", ()):
        kind = "array" if isinstance(value, np.ndarray) else type(value).__name__
        return f"{kind} of shape {shape}"
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:60]}... of type {type(value).__name__}"


def _turned(name: str) -> str:
    return f"cbptt.from_channels_first({name}) takes (n_features, n_timesteps)"


def _n_levels(frame: Any, axis: str) -> int:
    """Levels of the labels of an axis, 1 for anything but a MultiIndex."""
    return int(getattr(getattr(frame, axis, None), "nlevels", 1))


def finite_rule(given: Any, dtype: np.dtype[Any], rule: str = "every value must be finite") -> str:
    """Return the rule that numbers break which dtype cannot hold.

    Parameters
    ----------
    given : number or array, before the cast to dtype
    dtype : float32 or float64
    rule : str, default="every value must be finite"
        The rule for all but finite numbers that are too large.
    """
    if not np.isfinite(given).all() or (np.abs(given) <= np.finfo(dtype).max).all():
        return rule
    advice = f"the largest finite {dtype} is {np.finfo(dtype).max:.2g}; scale the values"
    return advice + (", or use dtype='float64'" if dtype == np.float32 else "")


def cast_finite(values: Array, dtype: np.dtype[Any], *, caller: str, name: str) -> Array:
    """Return numbers as contiguous, aligned memory of a precision, all of them finite.

    Raises
    ------
    ValueError
        If one is not finite, or beyond the range of the precision.
    """
    with np.errstate(over="ignore"):
        cast = np.require(values, dtype, ["C", "A"])
    bad = ~np.isfinite(cast)
    if bad.any():
        given = values[bad]
        reason = f", as {given[0]} is too large for {dtype}" if np.isfinite(given).all() else ""
        rule = finite_rule(given, dtype)
        raise ValueError(f"{caller} got NaN or infinity in {name}{reason}; {rule}.")
    return cast


def _is_table(X: Any) -> bool:
    """Whether X is nested plain lists that are the rows of a table: numbers, equally many."""
    return (
        all(isinstance(row, (list, tuple)) and len(row) > 0 for row in X)
        and len({len(row) for row in X}) == 1
        and all(isinstance(value, (Real, np.bool_)) for row in X for value in row)
    )


def _find_odd(array: Array) -> tuple[tuple[int, ...], Any] | None:
    """Return the first object that is not of the kind of most, text or numbers, and its index."""
    kinds: tuple[Any, ...] = (str, (Real, np.bool_))
    most = max(kinds, key=lambda kind: sum(isinstance(value, kind) for value in array.flat))
    odd = (pair for pair in np.ndenumerate(array) if not isinstance(pair[1], most))
    return next(odd, None)


def date_columns(item: Any) -> list[Any]:
    """Return the columns of times of a data frame of pandas, polars or Arrow.

    NumPy makes objects or numbers of them: days or microseconds since 1970.
    """
    schema: Any = getattr(item, "schema", None)  # of polars and Arrow
    if schema is None:
        schema = getattr(item, "dtypes", None)  # of pandas
    if hasattr(schema, "types"):
        columns = zip(schema.names, schema.types, strict=True)
    elif hasattr(schema, "items"):
        columns = schema.items()
    else:
        return []
    return [name for name, dtype in columns if _is_temporal(dtype)]


def _is_temporal(dtype: Any) -> bool:
    """Whether a dtype of any library is that of dates, durations, times of day or periods."""
    if hasattr(dtype, "is_temporal"):
        return bool(dtype.is_temporal())
    return str(dtype).startswith(_TEMPORAL)


def _is_missing(array: Array) -> NDArray[np.bool_]:
    """Which objects stand for no value: None, and NA of pandas, which need not be installed."""
    is_missing = np.frompyfunc(lambda v: v is None or type(v).__name__ == "NAType", 1, 1)
    return np.asarray(is_missing(array), dtype=np.bool_)


def _integer_dtype(items: list[Array]) -> DTypeLike | None:
    """Return int64 for signed integers beside uint64, of which NumPy would make floats."""
    kinds = {item.dtype.kind for item in items}
    if not {"i", "u"} <= kinds <= {"b", "i", "u"} or np.result_type(*items).kind != "f":
        return None
    is_held = all(item.max(initial=0) <= np.iinfo(np.int64).max for item in items)
    return np.int64 if is_held else None


def _is_nullable_float32(item: Any) -> bool:
    """Whether pandas stores it as float32 with NA, of which NumPy makes objects."""
    dtypes = item.dtypes if hasattr(item, "columns") else [getattr(item, "dtype", None)]
    return all(getattr(dtype, "numpy_dtype", None) == np.float32 for dtype in dtypes)


def _at_side(lengths: Offsets, T: int, side: str) -> NDArray[np.bool_]:
    """(n, T) True for the valid steps of sequences that are padded at that side."""
    steps = np.arange(T) if side == "right" else np.arange(T)[::-1]
    return np.asarray(steps < lengths[:, None])


def _valid_steps(valid: NDArray[np.bool_], side: str) -> Offsets:
    """(n,) steps of each sequence but those at the side where nothing is valid."""
    of_steps = np.asarray(valid if valid.ndim == 2 else valid.any(axis=2))
    of_steps = of_steps if side == "right" else of_steps[:, ::-1]
    lengths = np.where(of_steps, np.arange(1, valid.shape[1] + 1), 0).max(axis=1, initial=0)
    return np.asarray(lengths, dtype=np.intp)


def _warn_of_cut(cut: Array, caller: str) -> None:
    """Warn where steps that are cut hold several values, which padding does not."""
    cut = cut.reshape(len(cut), -1)
    present = cut == cut  # all but NaN
    first = cut[present.argmax(axis=0), np.arange(cut.shape[1])]
    if ((cut != first) & present).any():
        warnings.warn(
            f"{caller} cuts steps off that hold different values, where padding holds one value "
            "or NaN. If the padding stands at the other side, set side; if it stands anywhere "
            "else, pass mask, which is True for valid steps.",
            UserWarning,
            stacklevel=3,
        )


def _warn_of_kept(padded: Array, side: str, caller: str) -> None:
    """Warn where nothing is cut, but there is something that looks like padding."""
    T, other = padded.shape[1], "left" if side == "right" else "right"
    message = ""
    if (_valid_steps(padded == padded, other) < T).any():
        message = f"NaN at the {other} of sequences only; side={other!r} cuts it off"
    elif padded.dtype.kind != "U":
        # a single 0 before the steps is as likely a value
        for end, least, argument in ((side, 1, ""), (other, 2, f" and side={other!r}")):
            steps = _valid_steps(padded != 0, end)
            shorter = (steps > 0) & (steps <= T - least)
            if shorter.any() and (steps == T).any():
                where = f"the {end} of X[{int(shorter.argmax())}]"
                message = f"no NaN to cut off, but 0 at {where}; if it is padding, pass lengths"
                message += argument
    if message:
        warnings.warn(f"{caller} found {message}.", UserWarning, stacklevel=3)


def _offsets(lengths: Offsets) -> Offsets:
    """(n + 1,) running sum of the lengths, from 0."""
    offsets = np.zeros(len(lengths) + 1, dtype=np.intp)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def _checked_offsets(offsets: Array, n_steps: int, caller: str) -> Offsets:
    """Return a copy of offsets that cannot be written to, or say why they are none."""
    # in a buffer of bytes, whose arrays cannot be made writable again
    memory = offsets.astype(np.intp, copy=False).tobytes()
    offsets = np.frombuffer(memory, np.intp) if memory else np.empty(0, np.intp)
    if not (memory and offsets[0] == 0 and offsets[-1] == n_steps):
        raise ValueError(
            f"{caller} got offsets {offsets[:1]} .. {offsets[-1:]} for {n_steps} steps; "
            f"expected them to run from 0 to {n_steps}."
        )
    rises = offsets[1:] > offsets[:-1]
    if not rises.all():
        short = int(rises.argmin())
        raise ValueError(
            f"{caller} got a sequence {short} with {offsets[short + 1] - offsets[short]} steps; "
            "offsets must be strictly increasing, every sequence has at least one step."
        )
    return offsets


@dataclass(frozen=True)
class _Reader:
    """Reads what users pass into plain arrays; errors name the caller, the item and the cure."""

    caller: str
    name: str = "X"
    kinds: str = _LABELS
    each: str = _EACH
    whole: str = _WHOLE
    column: str = "feature"

    def error(
        self,
        kind: type[TypeError] | type[ValueError],
        got: str,
        i: int | None = None,
        advice: str | None = None,
    ) -> Exception:
        return kind(f"{self.caller} got {self._where(i)} {got}; {advice or self.each}.")

    def _where(self, i: int | None) -> str:
        return self.name if i is None else f"{self.name}[{i}]"

    @property
    def _every_value(self) -> str:
        wanted = "a real number" if self.kinds == _NUMBERS else "a real number, or every one text"
        return f"every value must be {wanted}"

    def read(self, X: Any) -> tuple[Array, Offsets, Form]:
        """Values (steps,) or (steps, D), offsets and form of sequences that all have steps."""
        form: Form
        if isinstance(X, Ragged):
            parts, lengths, form = [self.array(X.values, (1, 2))], X.lengths, "ragged"
        elif isinstance(X := self.container(X), list):
            self._check_columns(X)
            parts = [self.array(item, (1, 2), i) for i, item in enumerate(X)]
            lengths, form = np.array(list(map(len, parts)), dtype=np.intp), "list"
        else:
            array = self.array(X, (2, 3))
            n, T = array.shape[:2]
            parts, lengths = [array.reshape(n * T, *array.shape[2:])], np.full(n, T)
            form = "2d" if array.ndim == 2 else "3d"
        if not len(lengths):
            raise self.error(ValueError, "with 0 sequences", advice="expected at least one")
        if form == "2d" and not lengths.any():
            got = f"with 0 {self.column}(s) (shape={array.shape}) while a minimum of 1 is required"
            advice = "the columns of a two-dimensional array are its steps"
            raise self.error(ValueError, got, advice=advice)  # in scikit-learn's own words
        if not lengths.all():
            advice = "every sequence must have at least one step; leave empty ones out"
            raise self.error(ValueError, "with 0 steps", int(lengths.argmin()), advice)
        values = self._join(parts) if form == "list" else parts[0]
        if 0 in values.shape:
            raise self.error(ValueError, f"with 0 {self.column}s")
        return values, _offsets(lengths), form

    def check_features(self, D: int, expected: int, offsets: Offsets, form: Form) -> None:
        """Refuse sequences of another number of variables, and what may be a lone sequence."""
        n, X = len(offsets) - 1, self.name
        if form == "2d" and expected == offsets[1] == 1 < n:
            advice = f"[{X}] is one sequence, np.reshape({X}, ({n}, 1, 1)) is {n} sequences"
            got = f"of shape ({n}, 1), which may be one sequence of {n} steps or {n} of one step"
            raise self.error(ValueError, got, advice=advice)
        if expected == D:
            return
        advice = f"every sequence must be (n_timesteps, {expected})"
        if (np.diff(offsets) == expected).all():
            lone = f", so that [{X}] is one sequence of {n} steps"
            advice += lone if D == 1 and form != "3d" else f". {_turned(X)}"
        got = f"with {D} features, but expected n_features={expected}"
        raise self.error(ValueError, got, advice=advice)

    def container(self, X: Any) -> Array | list[Any]:
        """X as a list of sequences or as one array."""
        self.check_axes(X)
        if not isinstance(X, (list, tuple)):
            if not any(hasattr(X, a) for a in ("__array__", "iloc", "tocsr")):
                advice = self.whole
                if isinstance(X, Mapping):
                    advice += f". Pass list({self.name}.values())"
                if isinstance(X, Iterator):
                    advice += f". Pass list({self.name}), as it is read more than once"
                raise self.error(TypeError, f"of type {type(X).__name__}", advice=advice)
            X = self._plain(X, None)
            if X.ndim != 1 or X.dtype.kind != "O":
                return X  # type: ignore[no-any-return]
        elif _is_table(X):
            return self._plain(X, None)
        return list(X)

    def array(self, item: Any, ndims: tuple[int, ...], i: int | None = None) -> Array:
        """One sequence, or all of them (i is None), as an array of accepted shape and kind."""
        array = item if type(item) is np.ndarray else self._plain(item, i)
        if array.ndim not in ndims:
            kind = ValueError if array.ndim else TypeError
            got = f"of type {type(item).__name__} and shape {array.shape}"
            advice = self.each if i is not None else self.whole
            if i is None and array.ndim == 1:
                advice += (
                    f". Reshape your data: {self.name}[None, :] is one sequence, "
                    f"{self.name}[:, None] is {len(array)} sequences of one step"
                )
            raise self.error(kind, got, i, advice)
        if array.dtype.kind == "O":
            array = self._unboxed(array, i)
        if array.dtype.kind not in self.kinds:
            complex_ = ". Complex data not supported" if array.dtype.kind == "c" else ""
            raise self.error(ValueError, f"of dtype {array.dtype}{complex_}", i, self._every_value)
        return array

    def lengths(self, lengths: ArrayLike, longest: int) -> Offsets:
        """(n,) lengths, each from 1 to longest."""
        rule = "expected an integer for each sequence"
        reader = _Reader(self.caller, "lengths", each=rule, whole=rule)
        checked = reader._plain(lengths, None)
        if checked.dtype.kind == "O":
            checked = reader._unboxed(checked, None)
        if checked.ndim == 1 and checked.dtype.kind == "f" and np.isnan(checked).any():
            raise reader.error(ValueError, "without a value", int(np.isnan(checked).argmax()))
        if checked.ndim != 1 or checked.dtype.kind not in "biu":
            raise TypeError(
                f"{self.caller} got lengths of dtype {checked.dtype} and shape {checked.shape}; "
                "expected integers of shape (n_sequences,)."
            )
        if (odd := np.flatnonzero((checked < 1) | (checked > longest))).size:
            got, advice = f"with {checked[odd[0]]} valid steps", f"expected 1 to {longest}"
            raise self.error(ValueError, got, int(odd[0]), advice)
        return checked.astype(np.intp)

    def times(self, X: Any) -> tuple[Times | None, ...]:
        """The dates in the index of each data frame of a list, which must not go back."""
        if not isinstance(X, (list, tuple)):
            return ()
        found = []
        for i, item in enumerate(X):
            times = None if type(item) is np.ndarray else read_index(item)
            if times is not None and times.values.dtype.kind != "M":
                times = None
            if times is not None and (times.values[1:] < times.values[:-1]).any():
                raise self.error(ValueError, "with a time index that does not rise", i, _IN_ORDER)
            found.append(times)
        return tuple(found)

    def mask(self, mask: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.bool_]:
        """(n, T) True for valid steps, of which every sequence has one."""
        rule = f"expected booleans, or 0 and 1, of shape {shape}"
        reader = _Reader(self.caller, "mask", each=rule, whole=rule)
        checked = reader._plain(mask, None)
        if checked.dtype.kind == "O":
            checked = reader._unboxed(checked, None)
        binary = checked.dtype.kind == "b" or (
            checked.dtype.kind in "iuf" and np.isin(checked, (0, 1)).all()
        )
        if checked.shape != shape or not binary:
            raise ValueError(
                f"{self.caller} got a mask of shape {checked.shape} and dtype {checked.dtype}; "
                f"{rule}."
            )
        valid = checked.astype(np.bool_)
        if (empty := np.flatnonzero(~valid.any(axis=1))).size:
            advice = "the mask must be True for at least one step of each sequence"
            raise self.error(ValueError, "with 0 valid steps", int(empty[0]), advice)
        return valid

    def finite(
        self, values: Array, offsets: Offsets, dtype: np.dtype[Any], allow_nan: bool
    ) -> Array:
        """`values` as contiguous, aligned memory of `dtype`, finite, or NaN where allowed."""
        given = values
        with np.errstate(over="ignore", invalid="ignore"):
            values = np.require(values, dtype, ["C", "A"])
            # a finite sum has finite terms; the terms are looked at only if it is not
            if dtype.kind != "f" or np.isfinite(values.sum()):
                return values
        finite = ~np.isinf(values) if allow_nan else np.isfinite(values)
        finite = finite.reshape(len(values), -1)
        if finite.all():
            return values
        step, d = divmod(int(finite.argmin()), finite.shape[1])
        i = int(np.searchsorted(offsets, step, side="right")) - 1
        where = f"at step {step - offsets[i]}"
        if values.ndim == 2:
            where += f", {self.column} {d}"
        value = given.reshape(len(given), -1)[step, d]
        if np.isnan(value):
            is_front = step == offsets[i] and np.isnan(given[step]).all()
            side, argument = ("front", ", side='left'") if is_front else ("end", "")
            advice = (
                f"every value must be finite. If NaN pads the {side} of shorter sequences, "
                f"cbptt.Ragged.from_padded({self.name}{argument}) cuts it off"
            )
            raise self.error(ValueError, f"with NaN {where}", i, advice)
        got = f"with inf {where}: "
        got += "infinite" if np.isinf(value) else f"{value} is too large for {dtype}"
        raise self.error(ValueError, got, i, finite_rule(value, dtype))

    def check_axes(self, item: Any, i: int | None = None) -> None:
        """Refuse axes whose labels contradict (sequence, time, variable)."""
        if i is None and _n_levels(item, "index") > 1:
            advice = (
                "a row of a data frame is a sequence. For a row for each step use "
                f"cbptt.from_long({self.name}.reset_index(), id=..., time=...), else "
                f"{self.name}.to_numpy()"
            )
            raise self.error(ValueError, "with a MultiIndex of rows", advice=advice)
        if i is None and _n_levels(item, "columns") > 1:
            advice = (
                "a column of a data frame is a step of one variable. For more variables pass "
                f"{self.name}.to_numpy().reshape(n_sequences, n_timesteps, n_features)"
            )
            raise self.error(ValueError, "with a MultiIndex of columns", advice=advice)
        dims = getattr(item, "dims", None)
        place = 1 if i is None else 0
        if isinstance(dims, tuple) and "time" in dims and dims.index("time") != place:
            order = "(sequence, time, variable)" if i is None else "(time, variable)"
            advice = f"the order of the axes is {order}"
            if i is None and len(dims) == 2 and dims[0] == "time":
                advice += f", and [{self.name}] is one sequence"
            raise self.error(ValueError, f"with axes {dims}", i, advice)

    def _check_columns(self, items: list[Any]) -> None:
        """Refuse data frames whose columns differ in name or order."""
        first: tuple[int, tuple[Any, ...]] | None = None
        for i, item in enumerate(items):
            if type(item) is np.ndarray:
                continue
            self.check_axes(item, i)
            labels = column_labels(item)
            if labels is None:
                continue
            first = first or (i, labels)
            if labels != first[1] and len(labels) == len(first[1]):
                k = next(k for k, label in enumerate(labels) if label != first[1][k])
                got = f"with {spell(labels[k])} in column {k}, where {self.name}[{first[0]}] has "
                advice = "all data frames must have the same columns in the same order"
                raise self.error(ValueError, got + spell(first[1][k]), i, advice)

    def _join(self, items: list[Array]) -> Array:
        """(steps,) where every item is 1-D, else (steps, D) with the 1-D ones as one column."""
        columns = [1 if item.ndim == 1 else item.shape[1] for item in items]
        for i, count in enumerate(columns):
            if count != columns[0]:
                got = f"with {count} {self.column}s, but {self.name}[0] has {columns[0]}"
                advice = self.each
                few_agree = 2 * max(map(columns.count, set(columns))) <= len(columns)
                if few_agree and len({len(item) for item in items}) == 1 and self.each == _EACH:
                    advice += f". {_turned(self.name)}"
                raise self.error(ValueError, got, i, advice)
        if len({item.dtype.kind == "U" for item in items}) == 2:
            raise self.error(ValueError, "with text and numbers", advice=self._every_value)
        if len({item.ndim for item in items}) == 2:
            items = [item.reshape(len(item), -1) for item in items]
        return np.concatenate(items, dtype=_integer_dtype(items))

    def _plain(self, item: Any, i: int | None) -> Array:
        """`item` as NumPy sees it, unless that would lose a mask or fail."""
        if hasattr(item, "tocsr"):
            advice = "sparse data is not supported, pass its .toarray()"
            raise self.error(TypeError, "as a sparse array", i, advice)
        if dates := date_columns(item):
            got = f"with a column {dates[0]!r} of times"
            raise self.error(TypeError, got, i, self._every_value)
        rows = item if isinstance(item, (list, tuple)) else [item]
        if any(isinstance(row, np.ma.MaskedArray) for row in rows):
            advice = "its mask would be lost: pass the valid steps, or .filled(value)"
            raise self.error(TypeError, "as a masked array", i, advice)
        try:
            array = np.asarray(item)
            if array.dtype.kind == "U" and isinstance(item, (list, tuple)):
                return np.asarray(item, dtype=object)  # NumPy would spell numbers beside text
            if array.dtype.kind == "O" and _is_nullable_float32(item):
                return self._unboxed(array, i).astype(np.float32)
            return array
        except (TypeError, ValueError, OverflowError, RuntimeError) as cause:
            kind = TypeError if isinstance(cause, TypeError) else ValueError
            advice = self.each if i is not None else self.whole
            raise self.error(kind, f"that is no array ({cause})", i, advice) from cause

    def _unboxed(self, array: Array, i: int | None) -> Array:
        """An array of objects as the numbers or the text that it holds; missing ones are NaN."""
        filled = array
        if not all(value is None for value in array.flat):  # those are no numbers for certain
            filled = np.where(_is_missing(array), np.nan, array)
        try:
            plain = np.array(filled.tolist()) if array.size else np.empty(array.shape)
            if plain.dtype.kind == "O" and self.kinds == _NUMBERS:
                plain = plain.astype(np.float64)
        except (TypeError, ValueError, OverflowError) as cause:
            kind = TypeError if isinstance(cause, TypeError) else ValueError
            got = f"of dtype object that is not numeric ({cause})"
            raise self.error(kind, got, i, self._every_value) from cause
        mixed = plain.dtype.kind == "U" and not all(isinstance(v, str) for v in array.flat)
        if plain.shape != array.shape or plain.dtype.kind == "O" or mixed:
            got = "of dtype object with values that are not of one kind"
            if odd := _find_odd(array):
                place, value = odd
                where = self._where(i) + "".join(f"[{k}]" for k in place)
                got += f": {where} is of type {type(value).__name__}"
            raise self.error(ValueError, got, i, self._every_value)
        return plain
