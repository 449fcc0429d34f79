"""Tables: from the long form, a row for each step, to sequences, and back.

Data frames are read through narwhals, so pandas, polars and others are the same here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from numbers import Real
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cbptt.data.ragged import Ragged
from cbptt.data.sequences import read_ragged
from cbptt.data.times import read_index, read_times

__all__ = ["LongData", "from_long", "to_long"]

Array: TypeAlias = NDArray[Any]


@dataclass(frozen=True, eq=False)
class LongData:
    """What `from_long` makes of a table: everything in the order of the sequences in X.

    Attributes
    ----------
    X : Ragged
        The features, values of (steps, D).
    y : None, (n,) or (n, K) ndarray, or Ragged of (steps,) or (steps, K)
        The targets: none, of each sequence, or of each step.
    ids : dict of str to (n,) ndarray or Series of the frame's library
        The id columns, a value for each sequence. A Series where NumPy has no such dtype, as for
        times with a time zone and for categories.
    times : Ragged of (steps,), or None
        The time column; with a time zone it is UTC, and a period is its first moment. `to_long`
        makes the column of it that the frame had, with its time zone.
    feature_names : tuple of D str
        The names of the features, in the order of X's columns.
    """

    X: Ragged
    y: Array | Ragged | None
    ids: dict[str, Any]
    times: Ragged | None
    feature_names: tuple[str, ...]


def from_long(
    frame: Any,
    *,
    id: str | Sequence[str],
    time: str | None = None,
    features: str | Sequence[str] | None = None,
    target: str | Sequence[str] | None = None,
    target_per: Literal["sequence", "step"] = "sequence",
) -> LongData:
    """Read sequences from a long table: a row for each step, grouped by id and ordered by time.

    Parameters
    ----------
    frame : DataFrame of pandas, polars, or another library that narwhals reads eagerly
        No column is read from an index: ``reset_index()`` turns it into columns.
    id : str or sequence of str
        Column or columns that identify the sequences. Sequences are in the order in which their ids
        first appear.
    time : str, optional
        Column that orders the steps of a sequence: numbers, dates with or without a time of day,
        times of day, durations, periods of pandas, or ordered categories. Text is read if it has
        only one meaning: integers, ISO 8601 as "2024-01-28" or "2024-01-28 08:30+01:00", "2024-01",
        "2024-Q1", "8:30", and letters counted from a; all other text is an error. By default the
        rows are in order already.
    features : str or sequence of str, optional
        Columns of numbers or booleans, the variables of X. By default all columns of numbers, of
        any dtype, that are neither id, time nor target; booleans are not among them.
    target : str or sequence of str, optional
        Column or columns of numbers, booleans or text. A single name gives one value for each
        target, a sequence of K names gives K.
    target_per : {"sequence", "step"}, default="sequence"
        Whether a target belongs to a sequence, with the same value in each of its rows, or to a
        step.

    Returns
    -------
    LongData
        With X, y, ids, times and feature_names. A missing number is NaN in X and y.

    Raises
    ------
    ImportError
        If narwhals is not installed.
    TypeError
        If frame is no table that narwhals reads, or the values of a column do not suit its part.
    ValueError
        If the frame has no rows, a column is not there, an id, a time or a text is missing, the
        order of times is not known, a time occurs twice in a sequence, two ids differ in type
        alone, a target differs within a sequence that it should belong to; or if, without time, an
        index of dates is not in order.

    See Also
    --------
    to_long : The inverse.

    Examples
    --------
    >>> import polars as pl
    >>> from cbptt import from_long
    >>> visits = pl.DataFrame(
    ...     {
    ...         "patient": ["b", "b", "a", "b", "a"],
    ...         "day": [2, 1, 1, 5, 3],
    ...         "pulse": [71.0, 70.0, 64.0, 75.0, 66.0],
    ...         "ill": [True, True, False, True, False],
    ...     }
    ... )
    >>> data = from_long(visits, id="patient", time="day", target="ill")
    >>> data.X
    Ragged(n=2, steps=5, features=1, lengths 2..3, float64)
    >>> data.X[0].ravel(), data.times[0]
    (array([70., 71., 75.]), array([1, 2, 5]))
    >>> data.y
    array([ True, False])
    >>> data.ids["patient"].tolist()
    ['b', 'a']
    """
    if target_per not in ("sequence", "step"):
        raise ValueError(f"{_FROM} got target_per={target_per!r}; expected 'sequence' or 'step'.")
    table = _Table.read(frame)
    ids = _names(id)
    targets = [] if target is None else _names(target)
    if features is None:
        features = table.numeric(but={*ids, *targets, time})
    table.check_columns("id", ids)
    table.check_columns("time", [] if time is None else [time])
    table.check_columns("features", names := _names(features))
    table.check_columns("target", targets)

    keys = table.keys(ids)
    places: dict[Any, int] = {}
    codes = np.array([places.setdefault(key, len(places)) for key in keys])
    moments = np.zeros(len(codes)) if time is None else table.moments(time)
    order = np.lexsort((moments, codes))  # stable
    X = Ragged.from_flat(table.features(names)[order], lengths=np.bincount(codes))

    times = None
    if time is None:
        table.check_index(order, X.offsets, list(places))
    else:
        times = table.times(time, moments, order, X.offsets)
        _check_no_moment_twice(Ragged(moments[order], X.offsets), times, list(places), time)
    y: Array | Ragged | None = None
    if targets:
        flat = table.targets(targets)[order]
        y = Ragged(flat[:, 0].copy() if isinstance(target, str) else flat, X.offsets)
        if target_per == "sequence":
            y = _one_for_each(y, list(places), targets)
    return LongData(
        X=X,
        y=y,
        ids={name: _take(table.frame[name], order[X.offsets[:-1]]) for name in ids},
        times=times,
        feature_names=tuple(names),
    )


def to_long(columns: Mapping[str, Any], *, ids: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Convert values of steps to the long form, a row for each, for a data frame of any library.

    Parameters
    ----------
    columns : mapping of str to sequences
        Under the name of each column, its values: a list, tuple or 1-D object array of (T_i,) or
        (T_i, K) arrays, an (n, T) or (n, T, K) array, or a Ragged. K values of a step give the
        columns name_0 to name_{K-1}. All have the same lengths.
    ids : mapping of str to (n,) array-like, optional
        Identifies the sequences, as `LongData.ids`. By default {"sequence": 0 to n - 1}.

    Returns
    -------
    dict of str to (steps,) ndarray, or Series of a data frame's library
        First the ids, repeated for each step, then the columns. Ids and the times of `from_long`
        whose dtype NumPy does not have, such as times with a time zone, are Series, so that the
        result can be joined with the frame that they came from.

    Raises
    ------
    TypeError, ValueError
        If there are no columns, one has other lengths than the first, the ids are not one for each
        sequence, or two columns would have one name.

    Examples
    --------
    >>> import polars as pl
    >>> from cbptt import to_long
    >>> predictions = [[0.1, 0.2], [0.9]]
    >>> days = [[1, 2], [1]]
    >>> table = to_long({"day": days, "risk": predictions}, ids={"patient": ["b", "a"]})
    >>> pl.DataFrame(table).rows()
    [('b', 1, 0.1), ('b', 2, 0.2), ('a', 1, 0.9)]
    """
    read = {name: read_ragged(X, caller=_TO, name=name) for name, X in columns.items()}
    if not read:
        raise ValueError(f"{_TO} got no columns; expected at least one, as {{'prediction': y}}.")
    first_name, first = next(iter(read.items()))
    for name, ragged in read.items():
        if not np.array_equal(ragged.offsets, first.offsets):
            raise ValueError(
                f"{_TO} got {name!r} with other lengths than {first_name!r}; every column must "
                "have a value for each step of the same sequences."
            )
    if ids is None:
        ids = {"sequence": np.arange(len(first))}
    parts: list[tuple[str, Any]] = []
    for name, values in ids.items():
        array = np.asarray(values)
        if array.shape != (len(first),):
            raise ValueError(
                f"{_TO} got id {name!r} of shape {array.shape} for {len(first)} sequences; "
                "expected one for each."
            )
        rows = np.repeat(np.arange(len(first)), first.lengths)
        series = _as_series(values)
        parts.append((name, array[rows] if series is None else _take(series, rows)))
    for name, ragged in read.items():
        if isinstance(ragged, _KeptTimes):
            parts.append((name, ragged.column))
        elif ragged.values.ndim == 1:
            parts.append((name, ragged.values))
        else:
            parts.extend((f"{name}_{k}", values) for k, values in enumerate(ragged.values.T))
    table = dict(parts)
    if len(table) < len(parts):
        names = [name for name, _ in parts]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{_TO} would make two columns {twice!r}; give one another name.")
    return table


_FROM = "from_long"
_TO = "to_long"


def _names(names: str | Sequence[str]) -> list[str]:
    return [names] if isinstance(names, str) else list(names)


def _spell(key: tuple[Any, ...]) -> str:
    """An id as the user wrote it: alone, or as a tuple where it has several columns."""
    return repr(key[0] if len(key) == 1 else key)


def _check_no_moment_twice(
    moments: Ragged, times: Ragged, keys: list[tuple[Any, ...]], time: str
) -> None:
    """Refuse a moment that a sequence has twice; those of a sequence are sorted."""
    same = moments.values[1:] == moments.values[:-1]
    same[moments.offsets[1:-1] - 1] = False  # the last step of one sequence, the first of the next
    if same.any():
        row = int(same.argmax())
        i = int(np.searchsorted(times.offsets, row, side="right")) - 1
        raise ValueError(
            f"{_FROM} got the {time} {times.values[row]} twice for id {_spell(keys[i])}; expected "
            "each time once in a sequence. Aggregate such rows, or add a column that differs to "
            "id."
        )


def _one_for_each(y: Ragged, keys: list[tuple[Any, ...]], names: list[str]) -> Array:
    """(n,) or (n, K): the value that all steps of a sequence share."""
    first = np.repeat(y.values[y.offsets[:-1]], y.lengths, axis=0)
    both_missing = (first != first) & (y.values != y.values)  # NaN alone differs from itself
    differs = ((y.values != first) & ~both_missing).reshape(y.n_steps, -1)
    if differs.any():
        row, k = divmod(int(differs.argmax()), differs.shape[1])
        i = int(np.searchsorted(y.offsets, row, side="right")) - 1
        values = y.values.reshape(y.n_steps, -1)[:, k]
        raise ValueError(
            f"{_FROM} got {names[k]} {values[y.offsets[i]]} and {values[row]} for id "
            f"{_spell(keys[i])}; with target_per='sequence' a target must be the same in every row "
            "of a sequence. target_per='step' takes one for each step."
        )
    return y.values[y.offsets[:-1]]


@dataclass(frozen=True, eq=False, repr=False)
class _KeptTimes(Ragged):
    """Times, and the column of a data frame that they were read from, for the way back."""

    column: Any  # (steps,) Series of the frame's library

    def __setstate__(self, state: list[Any]) -> None:
        *ragged, column = state
        object.__setattr__(self, "column", column)
        super().__setstate__(ragged)

    def __getitem__(self, key: Any) -> Any:
        rows = Ragged(np.arange(self.n_steps), self.offsets)[key]
        if not isinstance(rows, Ragged):
            return self.values[rows]
        column = _take_native(_as_series(self.column), rows.values)
        return _KeptTimes(self.values[rows.values], rows.offsets, column)


def _as_series(values: Any) -> Any:
    """Wrap a Series of any library for narwhals; None for anything else."""
    try:
        import narwhals
    except ImportError:
        return None
    series = narwhals.from_native(values, series_only=True, pass_through=True)
    return series if isinstance(series, narwhals.Series) else None


def _take(series: Any, rows: Array) -> Any:
    """Rows of a narwhals.Series: an array where NumPy has its dtype, else one of its library."""
    array = series.to_numpy()
    return array[rows] if _fits_numpy(series, array) else _take_native(series, rows)


def _take_native(series: Any, rows: Array) -> Any:
    """Rows of a narwhals.Series as a Series of its library, without an index of its own."""
    import narwhals

    return narwhals.maybe_reset_index(series[rows]).to_native()


def _fits_numpy(series: Any, array: Array) -> bool:
    """Whether a column made of its array can be joined with the series itself."""
    dtype = type(series.dtype).__name__
    if str(getattr(series.to_native(), "type", None)) == "large_string":
        return False  # Arrow makes string of text from NumPy, and does not join the two
    if array.dtype.kind == "O":
        return dtype in ("Object", "String")
    if array.dtype.kind in "mM" and series.implementation.is_pandas_like():
        return isinstance(series.to_native().dtype, np.dtype)
    return dtype not in ("Categorical", "Enum") and not getattr(series.dtype, "time_zone", None)


def _is_number(value: Any) -> bool:
    return isinstance(value, (Real, Decimal))


def _is_text(array: Array) -> bool:
    return array.dtype.kind in "OU" and all(isinstance(value, str) for value in array)


@dataclass(frozen=True)
class _Table:
    """A data frame, read column by column as NumPy arrays fit for their part."""

    frame: Any  # narwhals.DataFrame
    dtypes: Any  # narwhals.Schema

    @classmethod
    def read(cls, frame: Any) -> _Table:
        try:
            import narwhals
        except ImportError as cause:
            raise ImportError(
                f"{_FROM} needs narwhals, which could not be imported ({cause}); "
                f'install it with: pip install "cbptt[frames]"'
            ) from cause
        try:
            table = narwhals.from_native(frame, eager_only=True)
        except TypeError as cause:
            raise TypeError(
                f"{_FROM} got frame of type {type(frame).__name__}; expected a DataFrame of "
                "pandas, polars or another library that narwhals reads. Collect a lazy one first."
            ) from cause
        if not len(table):
            raise ValueError(f"{_FROM} got frame with 0 rows; expected at least one.")
        return cls(table, table.schema)

    def numeric(self, but: set[str | None]) -> list[str]:
        """Names of the columns of numbers but some."""
        return [name for name in self.dtypes if name not in but and self._is_numeric(name)]

    def _is_numeric(self, name: str) -> bool:
        kind = type(self.dtypes[name]).__name__
        if kind not in ("Object", "Unknown"):
            return bool(self.dtypes[name].is_numeric())
        array = self.column(name)
        if array.dtype != object:
            return array.dtype.kind in "iufc"
        values = array[~self._missing(name)].tolist()
        numbers = [v for v in values if _is_number(v) and not isinstance(v, bool)]
        others = [v for v in values if not _is_number(v)]
        if numbers and others:
            raise TypeError(
                f"{_FROM} got {name!r} with numbers and other values, such as {numbers[0]!r} and "
                f"{others[0]!r}; make numbers of all of them, or name the features."
            )
        return bool(numbers)

    def check_columns(self, part: str, names: list[str]) -> None:
        if not names and part in ("id", "features"):
            rule = "name at least one column" if part == "id" else "name them, as none is numeric"
            raise ValueError(f"{_FROM} got no {part}; {rule}.")
        for name in names:
            if name not in self.dtypes:
                index = getattr(self.frame.to_native(), "index", None)
                kind, levels = type(index).__name__, getattr(index, "names", ())
                hint = " Its index is not read: frame.reset_index() makes columns of it."
                is_likely = kind.endswith("Index") and kind != "RangeIndex"
                hint = hint if is_likely or name in levels else ""
                raise ValueError(
                    f"{_FROM} got {part} {name!r}, which is no column of frame; its columns are "
                    f"{', '.join(map(repr, self.dtypes))}.{hint}"
                )

    def column(self, name: str) -> Array:
        array: Array = self.frame[name].to_numpy()
        return array

    def keys(self, names: list[str]) -> list[tuple[Any, ...]]:
        """The id of each row."""
        columns = []
        for name in names:
            self._check_complete(name, "an id")
            columns.append(values := self.frame[name].to_list())
            spelled: dict[str, Any] = {}
            for value in set(values):
                other = spelled.setdefault(str(value), value)
                if other != value:
                    raise ValueError(
                        f"{_FROM} got the id {name!r} with {other!r} and {value!r}, which differ "
                        "in type alone; make text or numbers of all of them."
                    )
        return list(zip(*columns, strict=True))

    def moments(self, name: str) -> Array:
        """What orders the times of the rows."""
        self._check_complete(name, "a time")
        series, array = self.frame[name], self.column(name)
        native = series.to_native()
        if type(series.dtype).__name__ == "Enum" and hasattr(native, "to_physical"):
            return native.to_physical().to_numpy()  # type: ignore[no-any-return]
        if getattr(getattr(native, "dtype", None), "ordered", False):
            return native.cat.codes.to_numpy()  # type: ignore[no-any-return]
        try:
            return read_times(array if array.dtype.kind in "iufmM" else series.to_list()).values
        except (TypeError, ValueError, OverflowError) as cause:
            fixes = (
                f"pandas.to_datetime(frame[{name!r}], format=...) makes dates of text, and "
                "pandas.to_numeric numbers"
            )
            if self.frame.implementation.is_polars():
                column = f"pl.col({name!r})"
                fixes = f"{column}.str.to_datetime(format) makes dates of text, and .cast numbers"
            raise type(cause)(
                f"{_FROM} got the time {name!r} with {cause}; a time must be a number, a date, "
                f"text in ISO 8601 as '2024-01-28', or an ordered category. {fixes}."
            ) from cause

    def times(self, name: str, moments: Array, order: Array, offsets: Array) -> Ragged:
        """The times of the rows in that order, which come back as the column was."""
        series, array = self.frame[name], self.column(name)
        if _is_text(array):
            values = array.astype(np.str_)
        else:
            values = moments if array.dtype == object else array
        if values is not moments and _fits_numpy(series, array):
            return Ragged(values[order], offsets)
        return _KeptTimes(values[order], offsets, _take_native(series, order))

    def check_index(self, order: Array, offsets: Array, keys: list[tuple[Any, ...]]) -> None:
        """Without times, refuse an index of dates that go back within a sequence."""
        times = read_index(self.frame.to_native())
        if times is None or times.values.dtype.kind != "M":
            return
        moments = times.values[order]
        back = moments[1:] < moments[:-1]
        back[offsets[1:-1] - 1] = False
        if back.any():
            i = int(np.searchsorted(offsets, back.argmax(), side="right")) - 1
            raise ValueError(
                f"{_FROM} got no time, but an index of dates that go back for id "
                f"{_spell(keys[i])}; pass frame.reset_index() and the name of the index as time, "
                "or sort by it."
            )

    def features(self, names: list[str]) -> Array:
        """(rows, D) values of the features."""
        rule = "a feature must be a number; encode categories first"
        return np.column_stack([self._plain(name, "biuf", rule) for name in names])

    def targets(self, names: list[str]) -> Array:
        """(rows, K) values of the targets."""
        rule = "a target must be a number, a boolean or text"
        columns = [self._plain(name, "biufU", rule) for name in names]
        if len({column.dtype.kind == "U" for column in columns}) == 2:
            raise TypeError(
                f"{_FROM} got targets of text beside numbers; encode the text, or read them in "
                "two calls."
            )
        return np.column_stack(columns)

    def _missing(self, name: str) -> NDArray[np.bool_]:
        """Which rows have no value; libraries differ in whether NaN is one."""
        array = self.column(name)
        null: NDArray[np.bool_] = self.frame[name].is_null().to_numpy()
        return null | (array != array) if array.dtype.kind == "f" else null

    def _check_complete(self, name: str, part: str) -> None:
        if (missing := self._missing(name)).any():
            raise ValueError(
                f"{_FROM} got frame without {name!r} in row {missing.argmax()}; every row must "
                f"have {part}. Fill it in, or leave the row out."
            )

    def _plain(self, name: str, kinds: str, rule: str) -> Array:
        """A column without objects: text as text, numbers that are not NumPy's as floats."""
        array = self.column(name)
        if array.dtype == object:
            missing = self._missing(name)
            present = array[~missing].tolist()
            if all(map(_is_number, present)):
                array = np.array(present)
                if missing.any() or array.dtype.kind not in kinds:
                    array = np.full(len(missing), np.nan)
                    array[~missing] = present
            elif all(isinstance(value, str) for value in present):
                self._check_complete(name, "a text")
                array = array.astype(np.str_)
        if array.dtype.kind not in kinds:
            raise TypeError(f"{_FROM} got {name!r} of dtype {self.dtypes[name]}; {rule}.")
        return array
