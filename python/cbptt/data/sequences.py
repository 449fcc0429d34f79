"""Sequences: what `check_sequences` makes of any form that a user may pass.

A list of arrays, an array of two or three axes and a Ragged all become one buffer of steps and its
offsets, checked, on which everything else computes; and what belongs to the steps, such as targets
and weights, is read beside them.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Literal, Self, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

from cbptt._packing import all_finite
from cbptt.data.ragged import Offsets, Ragged, checked_offsets, locked, offsets_of
from cbptt.data.reading import NUMBERS, Form, Lengths, Reader, as_memory, is_plain
from cbptt.data.times import Times

__all__ = [
    "Sequences",
    "check_sequences",
    "flatten_steps",
    "from_channels_first",
    "read_ragged",
]

Array: TypeAlias = NDArray[Any]

_DTYPES = (np.float32, np.float64, "float32", "float64")


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
        offsets = checked_offsets(np.asarray(self.offsets), len(self.values), "Sequences")
        object.__setattr__(self, "offsets", offsets)

    @classmethod
    def known(cls, values: Array, offsets: Offsets, form: Form) -> Self:
        """Return sequences that are known to be as described, without dates."""
        sequences = cls.__new__(cls)
        times = (None,) * (len(offsets) - 1) if form == "list" else ()
        sequences.__dict__.update(values=values, offsets=offsets, form=form, times=times)
        return sequences

    def __getstate__(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

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

    @cached_property
    def lengths(self) -> Offsets:
        """(n,) ndarray: steps of each sequence; read-only."""
        lengths = self.offsets[1:] - self.offsets[:-1]
        lengths.flags.writeable = False
        return lengths

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
        ragged = Ragged.of_checked_offsets(np.ascontiguousarray(values), self.offsets)
        return ragged if self.form == "ragged" else np.asarray(ragged)


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
        Allow NaN, which the caller replaces. Infinity is refused either way.

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
    if (plain := _read_plain(X, dtype, n_features)) is not None:
        return plain
    reader = Reader(caller, name, NUMBERS)
    values, lengths, form = _read(reader, X)
    values = values.reshape(len(values), -1)
    D = values.shape[1]
    if n_features is not None:
        reader.check_features(D, n_features, lengths, form)
    if isinstance(dtype, str) and dtype == "auto":
        dtype = np.float32 if values.dtype.str[1:] == "f4" else np.float64
    if np.dtype(dtype) not in (np.float32, np.float64):
        raise ValueError(f"{caller} got dtype={dtype!r}; expected 'auto', float32 or float64.")
    checked = reader.finite(values, lengths, np.dtype(dtype), allow_nan)
    return Sequences(checked, offsets_of(lengths), form, reader.times(X))


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
    values, lengths, _ = _read(Reader(caller, name), X)
    return Ragged(np.ascontiguousarray(values), offsets_of(lengths))


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
    reader = Reader(
        caller,
        name,
        each=f"every {name}[i] must hold one value, or one row of values, for each step of X[i]",
        whole="expected a list of arrays as long as the sequences, an (n_sequences, n_timesteps) "
        "or (n_sequences, n_timesteps, n_outputs) array, or a cbptt.Ragged",
        column="output",
    )
    values, lengths, _ = _read(reader, Y)
    if len(lengths) != len(sequences):
        got = f"with {len(lengths)} sequences, but X has {len(sequences)}"
        raise reader.error(ValueError, got)
    expected = sequences.lengths
    if (odd := lengths != expected).any():
        i = int(odd.argmax())
        raise reader.error(ValueError, f"with {lengths[i]} steps, but X[{i}] has {expected[i]}", i)
    for i, (x, y) in enumerate(zip(sequences.times, reader.times(Y), strict=False)):
        if x is not None and y is not None:
            k = y.first_difference(x) if x.kind == y.kind else 0
            if k is not None:
                got = f"with the time {y.spell(k)} at step {k}, where X[{i}] has {x.spell(k)}"
                raise reader.error(ValueError, got, i, "their times must be the same")
    target = values.dtype if values.dtype.isnative else values.dtype.newbyteorder("=")
    if dtype is not None:
        target = np.dtype(dtype)
    if not np.can_cast(values.dtype, target, "same_kind"):
        got = f"of dtype {values.dtype}, which cannot be cast to {target}"
        raise reader.error(TypeError, got)
    with np.errstate(over="ignore"):
        return as_memory(values, target)


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
    reader = Reader(
        "from_channels_first",
        each="every sequence must be (n_features, n_timesteps)",
        whole="expected an (n_sequences, n_features, n_timesteps) array or a list of "
        "(n_features, n_timesteps) arrays",
    )
    X = reader.container(X)
    if isinstance(X, list):
        return [reader.array(item, (2,), i).T for i, item in enumerate(X)]
    return reader.array(X, (3,)).swapaxes(1, 2)


def _read_plain(
    X: Any, dtype: DTypeLike | Literal["auto"], n_features: int | None
) -> Sequences | None:
    """Read arrays that the compiled code takes as they are; None for anything else.

    They are an array (n, T, D), a Ragged, or a list of (T_i, D). What is found is the same as by a
    reader, which takes longer than a small network to compute its outputs.
    """
    form: Form
    items: list[Any]
    if type(X) is list:
        form, items = "list", X
    elif isinstance(X, Ragged):
        form, items = "ragged", [X.values]
    else:
        form, items = "3d", [X]
    if not items or type(items[0]) is not np.ndarray:
        return None
    shape, ndim = items[0].shape, 3 if form == "3d" else 2
    if isinstance(dtype, str) and dtype == "auto":
        dtype = np.float32 if items[0].dtype == np.float32 else np.float64
    if len(shape) != ndim or dtype not in _DTYPES:
        return None
    dtype, D = np.dtype(dtype), n_features or shape[-1]
    for item in items:
        if not is_plain(item, dtype) or item.ndim != ndim or item.shape[-1] != D:
            return None

    if form == "list":
        values = X[0] if len(X) == 1 else np.concatenate(X)
        offsets = locked(offsets_of([len(x) for x in X]))
    elif form == "ragged":
        values, offsets = X.values, X.offsets
        if offsets[-1] != len(values):  # the shape of an array can be changed in place
            return None
    else:
        values = X.reshape(-1, D)
        offsets = locked(np.arange(0, len(values) + 1, shape[1]))
    if not all_finite(values.reshape(-1)):
        return None
    # a view, as the shape of a user's array can be changed in place
    return Sequences.known(values.view(), offsets, form)


def _read(reader: Reader, X: Any) -> tuple[Array, Lengths, Form]:
    """What the reader finds in X, which may be a Ragged."""
    if isinstance(X, Ragged):
        return reader.gather([reader.array(X.values, (1, 2))], X.lengths, "ragged")
    return reader.read(X)
