"""Ragged: sequences of unequal lengths in one flat buffer, and the way from and to padding.

A set of sequences is one buffer of all their steps, (steps, D), and n + 1 offsets: sequence i is
the rows from offsets[i] to offsets[i + 1]. Nothing is padded and no step is masked, so T of the
lecture may differ from one sequence to the next.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, TypeAlias, overload

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from cbptt.data.reading import Reader, spell

__all__ = ["Ragged", "checked_offsets", "locked", "offsets_of"]

Array: TypeAlias = NDArray[Any]
Offsets: TypeAlias = NDArray[np.intp]


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
    >>> from cbptt import Ragged
    >>> X = Ragged.from_sequences([np.zeros((3, 2)), np.ones((5, 2))])
    >>> X
    Ragged(n=2, steps=8, features=2, lengths 3..5, float64)
    >>> X[1].shape
    (5, 2)
    """

    values: Array
    offsets: Offsets

    def __post_init__(self) -> None:
        values, offsets = _checked_values(self.values), np.array(self.offsets)
        if offsets.ndim != 1 or offsets.dtype.kind not in "iu":
            raise TypeError(
                f"Ragged got offsets of dtype {offsets.dtype} and shape {offsets.shape}; expected "
                "integers of shape (n_sequences + 1,)."
            )
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "offsets", checked_offsets(offsets, len(values), "Ragged"))

    @classmethod
    def of_checked_offsets(cls, values: Array, offsets: Offsets) -> Ragged:
        """Return sequences whose offsets are those of checked ones, of as many steps as values."""
        ragged = object.__new__(cls)
        object.__setattr__(ragged, "values", _checked_values(values))
        object.__setattr__(ragged, "offsets", offsets)
        return ragged

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
        reader, given = Reader("Ragged.from_sequences", "sequences"), list(sequences)
        values, lengths, _ = reader.read(given)
        reader.times(given)
        if len(given) == 1:
            values = values.copy()  # several have been copied already
        return cls(np.ascontiguousarray(values), offsets_of(lengths))

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
        reader = Reader("Ragged.from_padded")
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
        return cls(padded[valid], offsets_of(valid.sum(axis=1)))

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
        reader = Reader("Ragged.from_flat")
        values = np.ascontiguousarray(reader.array(X, (1, 2)))
        offsets = offsets_of(reader.lengths(lengths, longest=len(values)))
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
        offsets = offsets_of(lengths)
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


def _checked_values(values: Any) -> Array:
    """Return a view of what can be the values of a Ragged, or say why it cannot."""
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
    return np.asarray(values).view()


def offsets_of(lengths: Offsets | Sequence[int]) -> Offsets:
    """(n + 1,) running sum of the lengths, from 0."""
    offsets = np.zeros(len(lengths) + 1, dtype=np.intp)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def locked(offsets: Offsets) -> Offsets:
    """Return a copy that cannot be written to: bytes, whose arrays cannot be made writable."""
    memory = offsets.tobytes()
    return np.frombuffer(memory, np.intp) if memory else np.empty(0, np.intp)


def checked_offsets(offsets: Array, n_steps: int, caller: str) -> Offsets:
    """Return a copy of offsets that cannot be written to, or say why they are none."""
    offsets = locked(offsets.astype(np.intp, copy=False))
    if not (len(offsets) and offsets[0] == 0 and offsets[-1] == n_steps):
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
