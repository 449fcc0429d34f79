"""Reading what a user passes: plain arrays of numbers or text, and errors that explain.

An error names the caller, the item by its index, what was expected and what to do. The axis order
is (sequence, time, variable) throughout.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from cbptt._packing import all_finite
from cbptt.data.frames import column_labels, date_columns, is_nullable_float32, n_levels
from cbptt.data.times import Times, read_index

__all__ = [
    "NUMBERS",
    "Reader",
    "as_memory",
    "cast_finite",
    "finite_rule",
    "is_plain",
    "read_array",
    "spell",
]

Array: TypeAlias = NDArray[Any]
Lengths: TypeAlias = NDArray[np.intp]
Form: TypeAlias = Literal["list", "ragged", "3d", "2d"]

NUMBERS = "biuf"  # dtype.kind of features: bool, integer, floating
_LABELS = "biufU"  # dtype.kind of what may stand beside the steps: numbers or text
_EACH = "every sequence must be (n_timesteps, n_features)"
_IN_ORDER = "the rows are steps in the order of time, as sort_index() makes them"
_WHOLE = (
    "expected a list of (n_timesteps, n_features) arrays, an array of shape (n_sequences, "
    "n_timesteps, n_features) or (n_sequences, n_timesteps), or a cbptt.Ragged"
)


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
    reader = Reader(caller, name, _LABELS if text else NUMBERS, each=expected, whole=expected)
    return reader.array(value, ndims)


def cast_finite(values: Array, dtype: np.dtype[Any], *, caller: str, name: str) -> Array:
    """Return numbers as contiguous, aligned memory of a precision, all of them finite.

    Raises
    ------
    ValueError
        If one is not finite, or beyond the range of the precision.
    """
    with np.errstate(over="ignore"):
        cast = as_memory(values, dtype)
    bad = ~np.isfinite(cast)
    if bad.any():
        given = values[bad]
        reason = f", as {given[0]} is too large for {dtype}" if np.isfinite(given).all() else ""
        rule = finite_rule(given, dtype)
        raise ValueError(f"{caller} got NaN or infinity in {name}{reason}; {rule}.")
    return cast


def is_plain(array: Any, dtype: np.dtype[Any]) -> bool:
    """Whether compiled code of a dtype reads an argument as it is; it is not empty then."""
    if type(array) is not np.ndarray or array.dtype != dtype:
        return False
    flags = array.flags
    return flags.c_contiguous and flags.aligned and array.size > 0


def as_memory(values: Array, dtype: np.dtype[Any]) -> Array:
    """Return values as the compiled code reads them: contiguous, aligned, of a precision."""
    if values.dtype == dtype and values.flags.carray:  # the quick answer to most
        return values
    return np.require(values, dtype, ["C", "A"])


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


def spell(value: Any) -> str:
    """Spell a value that was not expected, in a few words even if it is a large array."""
    if shape := getattr(value, "shape", ()):
        kind = "array" if isinstance(value, np.ndarray) else type(value).__name__
        return f"{kind} of shape {shape}"
    try:
        text = repr(value)
    except Exception:  # of an int with thousands of digits, say
        return f"a value of type {type(value).__name__}"
    return text if len(text) <= 80 else f"{text[:60]}... of type {type(value).__name__}"


@dataclass(frozen=True)
class Reader:
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
        """An error of what item i, or X itself, is, with what to do about it."""
        return kind(f"{self.caller} got {self._where(i)} {got}; {advice or self.each}.")

    def _where(self, i: int | None) -> str:
        return self.name if i is None else f"{self.name}[{i}]"

    @property
    def _every_value(self) -> str:
        wanted = "a real number" if self.kinds == NUMBERS else "a real number, or every one text"
        return f"every value must be {wanted}"

    def read(self, X: Any) -> tuple[Array, Lengths, Form]:
        """Values (steps,) or (steps, D), lengths and form of a list or an array of sequences."""
        form: Form
        if isinstance(X := self.container(X), list):
            self._check_columns(X)
            parts = [self.array(item, (1, 2), i) for i, item in enumerate(X)]
            lengths, form = np.array(list(map(len, parts)), dtype=np.intp), "list"
        else:
            array = self.array(X, (2, 3))
            n, T = array.shape[:2]
            parts, lengths = [array.reshape(n * T, *array.shape[2:])], np.full(n, T)
            form = "2d" if array.ndim == 2 else "3d"
        return self.gather(parts, lengths, form)

    def gather(
        self, parts: list[Array], lengths: Lengths, form: Form
    ) -> tuple[Array, Lengths, Form]:
        """Values of all parts, of sequences that must have steps and variables."""
        if not len(lengths):
            raise self.error(ValueError, "with 0 sequences", advice="expected at least one")
        if form == "2d" and not lengths.any():
            shape = (len(lengths), 0)
            got = f"with 0 {self.column}(s) (shape={shape}) while a minimum of 1 is required"
            advice = "the columns of a two-dimensional array are its steps"
            raise self.error(ValueError, got, advice=advice)  # in scikit-learn's own words
        if not lengths.all():
            advice = "every sequence must have at least one step; leave empty ones out"
            raise self.error(ValueError, "with 0 steps", int(lengths.argmin()), advice)
        values = self._join(parts) if form == "list" else parts[0]
        if 0 in values.shape:
            raise self.error(ValueError, f"with 0 {self.column}s")
        return values, lengths, form

    def check_features(self, D: int, expected: int, lengths: Lengths, form: Form) -> None:
        """Refuse sequences of another number of variables, and what may be a lone sequence."""
        n, X = len(lengths), self.name
        if form == "2d" and expected == lengths[0] == 1 < n:
            advice = f"[{X}] is one sequence, np.reshape({X}, ({n}, 1, 1)) is {n} sequences"
            got = f"of shape ({n}, 1), which may be one sequence of {n} steps or {n} of one step"
            raise self.error(ValueError, got, advice=advice)
        if expected == D:
            return
        advice = f"every sequence must be (n_timesteps, {expected})"
        if (lengths == expected).all():
            lone = f", so that [{X}] is one sequence of {n} steps"
            advice += lone if D == 1 and form != "3d" else f". {_turned(X)}"
        got = f"with {D} features, but expected n_features={expected}"
        raise self.error(ValueError, got, advice=advice)

    def container(self, X: Any) -> Array | list[Any]:
        """X as a list of sequences or as one array."""
        if type(X) is np.ndarray and X.dtype.kind in self.kinds and X.ndim > 1:
            return X  # nothing about it can be misread
        if type(X) is not list:
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

    def lengths(self, lengths: ArrayLike, longest: int) -> Lengths:
        """(n,) lengths, each from 1 to longest."""
        rule = "expected an integer for each sequence"
        reader = Reader(self.caller, "lengths", each=rule, whole=rule)
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
        reader = Reader(self.caller, "mask", each=rule, whole=rule)
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
        self, values: Array, lengths: Lengths, dtype: np.dtype[Any], allow_nan: bool
    ) -> Array:
        """`values` as contiguous, aligned memory of `dtype`, finite, or NaN where allowed."""
        given = values
        with np.errstate(over="ignore", invalid="ignore"):
            values = as_memory(values, dtype)
        if all_finite(values.reshape(-1)):
            return values
        finite = ~np.isinf(values) if allow_nan else np.isfinite(values)
        finite = finite.reshape(len(values), -1)
        if finite.all():
            return values
        step, d = divmod(int(finite.argmin()), finite.shape[1])
        i = int(np.searchsorted(np.cumsum(lengths), step, side="right"))
        step_of_i = step - int(lengths[:i].sum())
        where = f"at step {step_of_i}"
        if values.ndim == 2:
            where += f", {self.column} {d}"
        value = given.reshape(len(given), -1)[step, d]
        if np.isnan(value):
            is_front = step_of_i == 0 and np.isnan(given[step]).all()
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
        if i is None and n_levels(item, "index") > 1:
            advice = (
                "a row of a data frame is a sequence. For a row for each step use "
                f"cbptt.from_long({self.name}.reset_index(), id=..., time=...), else "
                f"{self.name}.to_numpy()"
            )
            raise self.error(ValueError, "with a MultiIndex of rows", advice=advice)
        if i is None and n_levels(item, "columns") > 1:
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
        if len(items) == 1:
            return items[0]
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
            if array.dtype.kind == "O" and is_nullable_float32(item):
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
            if plain.dtype.kind == "O" and self.kinds == NUMBERS:
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


def _turned(name: str) -> str:
    return f"cbptt.from_channels_first({name}) takes (n_features, n_timesteps)"


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
