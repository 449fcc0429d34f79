"""Series to be forecast: read and checked.

A series is (T, d): T steps of d variables, the latest one last.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbptt.data.frames import column_labels, date_columns
from cbptt.data.ragged import Ragged
from cbptt.data.reading import read_array
from cbptt.data.times import (
    WITHOUT_TIMES,
    Times,
    check_one_level,
    read_index,
    read_labels,
    read_times,
)

__all__ = [
    "SeriesSet",
    "check_columns",
    "check_count",
    "check_order",
    "check_same_times",
    "find_break",
    "find_gap",
    "read_exogenous",
    "read_series",
]

Array = NDArray[np.float64]

_ONE = "expected (T,) or (T, {d}) numbers, the steps of one series"


@dataclass(frozen=True, eq=False)
class SeriesSet:
    """Checked series.

    Attributes
    ----------
    values : list of (T_i, d) ndarrays of float64
        Finite.
    single : bool
        Whether one series was given, rather than several.
    flat : bool
        Whether its steps were plain numbers.
    dtype : numpy dtype
        float32 where all of them were, else float64.
    columns : (d,) tuple of str, or None
        The names of the variables, where data frames have them.
    times : list of n Times or None
        The times of the steps, where a series has them: an index of pandas, or a time column.
    """

    values: list[Array]
    single: bool
    flat: bool
    dtype: np.dtype[Any]
    columns: tuple[str, ...] | None = None
    times: Sequence[Times | None] = ()

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Iterator[Array]:
        return iter(self.values)

    @property
    def n_variables(self) -> int:
        """Variables of a step, d."""
        return int(self.values[0].shape[1])

    def take(self, which: Sequence[int]) -> SeriesSet:
        """Return some of the series, without their times."""
        return replace(self, values=[self.values[i] for i in which], times=())

    def cut(self, ends: Sequence[int]) -> SeriesSet:
        """Return the first steps of each series, without their times."""
        values = [v[:end] for v, end in zip(self, ends, strict=True)]
        return replace(self, values=values, times=())

    def name(self, name: str, i: int) -> str:
        """Return what errors call series i."""
        return name if self.single else f"{name}[{i}]"

    def hint(self, name: str) -> str:
        """Return what errors of too few steps say of lists that may be the rows of one series."""
        if self.single or not self.flat or len({*map(len, self.values)}) > 1:
            return ""
        n, d = len(self), len(self.values[0])
        return (
            f" A list of lists is a series in each: np.asarray({name}) is one of {n} steps of {d} "
            f"variables."
        )


def read_series(
    y: Any, *, caller: str, name: str = "y", single: bool | None = None, letter: str = "d"
) -> SeriesSet:
    """Read one series or several.

    Parameters
    ----------
    y : (T,) or (T, d) array or data frame, or list of numbers: one series. List, tuple or 1-D
        object array of such, or Ragged: several
    caller, name : str
        What errors call the function that was called, and y.
    single : bool, default=None
        What it must be. By default it follows from the form. With False an array holds a series in
        each item of its first axis.
    letter : str, default="d"
        What errors call the number of variables.

    Raises
    ------
    TypeError, ValueError
        If it is no array of numbers, has no steps or no variables, or another number of them than
        the first one, or a value is NaN or infinite; if data frames differ in their columns.
    """
    one = _ONE.format(d=letter)
    if single is None:
        single = _is_single(y)
    check_one_level(y, caller=caller, name=name)
    if single:
        cubic = getattr(y, "ndim", 0) == 3
        several = f", or a list of such series: list({name})" if cubic else ""
        y, times = _split_times(y)
        given, all_times = (y,), (times,)
        items = [read_array(y, caller=caller, name=name, ndims=(1, 2), expected=one + several)]
    else:
        expected = f"expected a list of (T,) or (T, {letter}) arrays, one for each series"
        if isinstance(y, np.ndarray) and y.dtype == object and y.ndim == 1:
            y = list(y)
        if not isinstance(y, (list, tuple, Ragged)):
            y = read_array(y, caller=caller, name=name, ndims=(2, 3), expected=expected)
        if not len(y):
            raise ValueError(f"{caller} got {name} with 0 series; {expected}.")
        given, all_times = zip(*map(_split_times, y), strict=True)
        items = [
            read_array(item, caller=caller, name=f"{name}[{i}]", ndims=(1, 2), expected=one)
            for i, item in enumerate(given)
        ]
    flat = all(item.ndim == 1 for item in items)
    dtype = np.dtype("f4" if all(item.dtype.str[1:] == "f4" for item in items) else "f8")
    with np.errstate(over="ignore"):
        columns = [item[:, None] if item.ndim == 1 else item for item in items]
        tables = [np.ascontiguousarray(table, np.float64) for table in columns]
    names = [_columns(item) for item in given]
    named = next((i for i, columns in enumerate(names) if columns), 0)
    series = SeriesSet(tables, single, flat, dtype, names[named], all_times)
    for i, table in enumerate(tables):
        who = f"{caller} got {series.name(name, i)}"
        if 0 in table.shape:
            what = "steps" if len(table) == 0 else "variables"
            raise ValueError(f"{who} with 0 {what}; {one}.")
        if table.shape[1] != series.n_variables:
            raise ValueError(
                f"{who} with {table.shape[1]} variables, but {series.name(name, 0)} has "
                f"{series.n_variables}; all series must have the same variables."
            )
        check_columns(names[i], series.columns, who, f"{series.name(name, named)} has")
        if not np.isfinite(table).all():
            step, variable = divmod(int(np.isfinite(table).argmin()), table.shape[1])
            value = "NaN" if np.isnan(table[step, variable]) else "infinity"
            raise ValueError(
                f"{who} with {value} at step {step}, variable {variable}; every value must be "
                f"finite: fill it in, or cut the series there."
            )
    return series


def _is_single(y: Any) -> bool:
    """Whether it is one table of numbers, rather than several series."""
    if isinstance(y, Ragged):
        return False
    if isinstance(y, (list, tuple)):
        return len(y) > 0 and not hasattr(y[0], "__len__")
    if isinstance(y, np.ndarray) and y.dtype == object and y.ndim == 1 and y.size:
        return not hasattr(y[0], "__len__")
    return True


def _split_times(item: Any) -> tuple[Any, Times | None]:
    """Take the times off a series: those of its index, or of its only column of dates."""
    if hasattr(item, "to_native"):  # of narwhals, which shows no index
        item = item.to_native()
    dates, times = date_columns(item), read_index(item)
    if len(dates) != 1 or (times is not None and times.values.dtype.kind == "M"):
        return item, times
    if hasattr(item, "set_index"):  # of pandas
        return item.drop(columns=dates), read_index(item.set_index(dates[0]))
    return item.drop(dates), _column_times(item[dates[0]])


def _column_times(column: Any) -> Times:
    """Read a column of times of polars or Arrow."""
    array = column.to_numpy()
    if hasattr(column, "to_pylist"):  # of Arrow
        if getattr(column.type, "tz", None) is None or column.null_count:
            return read_labels(column.to_pylist() if array.dtype == object else array)
        return Times(array, read_times(column.to_pylist()).clock)
    if getattr(column.dtype, "time_zone", None) is None:
        return read_labels(column.to_list() if array.dtype == object else array)
    clock = column.dt.replace_time_zone(None).to_numpy()
    return Times(column.dt.convert_time_zone("UTC").to_numpy(), clock)


def _columns(item: Any) -> tuple[str, ...] | None:
    """The names of a data frame's columns; None of anything else, or where one is no text."""
    names = column_labels(item)
    return names if names and all(isinstance(name, str) for name in names) else None


def check_columns(
    columns: tuple[str, ...] | None, known: tuple[str, ...] | None, who: str, has: str
) -> None:
    """Make sure that columns are the known ones in their order, if both have names.

    Parameters
    ----------
    columns, known : (d,) tuple of str, or None
    who, has : str
        The beginning of an error, and what has the known ones, as in "backtest got y[1]" and
        "y[0] has".

    Raises
    ------
    ValueError
        If they differ.
    """
    if columns is not None and known is not None and columns != known:
        raise ValueError(
            f"{who} with columns {list(columns)}, but {has} {list(known)}; expected the same "
            f"columns in the same order."
        )


def check_count(given: SeriesSet, n: int, name: str, of: str, *, caller: str) -> None:
    """Refuse another number of series in `name` than the n that are in `of`.

    Raises
    ------
    ValueError
    """
    if len(given) != n:
        raise ValueError(
            f"{caller} got {len(given)} series in {name}, but {n} in {of}; expected one for each."
        )


def read_exogenous(
    X: Any, series: SeriesSet, *, caller: str, name: str = "X", of: str = "y"
) -> SeriesSet:
    """Read exogenous variables, a row for each step of the series.

    Parameters
    ----------
    X : what `read_series` takes, in the form of the series
    series : SeriesSet
    caller, name, of : str
        What errors call the function that was called, X and the series.

    Raises
    ------
    TypeError, ValueError
        As `read_series`; or for another number of series, or of steps of one.
    """
    known = read_series(X, caller=caller, name=name, single=series.single, letter="e")
    check_count(known, len(series), name, of, caller=caller)
    for i, (x, values) in enumerate(zip(known, series, strict=True)):
        if len(x) != len(values):
            raise ValueError(
                f"{caller} got {known.name(name, i)} with {len(x)} steps, but "
                f"{series.name(of, i)} has {len(values)}; expected a row for each of its steps."
            )
    check_same_times(known, series, name, of, caller=caller)
    return known


# ---- times --------------------------------------------------------------------------------------


def check_order(series: SeriesSet, name: str, *, caller: str) -> None:
    """Refuse series whose times do not rise from step to step.

    Raises
    ------
    ValueError
    """
    for i, times in enumerate(series.times):
        _check_rise(times, series.name(name, i), caller=caller)


def _check_rise(times: Times | None, name: str, *, caller: str) -> None:
    if times is not None and (fall := times.find_fall()):
        raise ValueError(f"{caller} got {name} with {fall}")


def check_same_times(
    given: SeriesSet, series: SeriesSet, name: str, of: str, *, caller: str
) -> None:
    """Refuse rows whose times are not those of the steps that they belong to.

    Where the steps have no times to compare with, those of the rows must rise.

    Raises
    ------
    ValueError
    """
    for i, (times, known) in enumerate(zip(given.times, series.times, strict=True)):
        if times is None or known is None or not times.says_of(known):
            _check_rise(times, given.name(name, i), caller=caller)
            continue
        who = f"{caller} got {given.name(name, i)}"
        _check_kind(times, known, who, series.name(of, i))
        k = times.first_difference(known)
        if k is not None:
            raise ValueError(
                f"{who} with the time {times.spell(k)} at step {k}, where {series.name(of, i)} has "
                f"{known.spell(k)}; expected the same times, as "
                f"{given.name(name, i)}.reindex({series.name(of, i)}.index) of pandas makes them. "
                f"{WITHOUT_TIMES}"
            )


def find_break(
    given: SeriesSet, past: Sequence[Times | None], name: str, of: str, *, caller: str
) -> str | None:
    """Return what an error says of the first rows whose times do not go on from those of the past.

    Raises
    ------
    ValueError
        If their times cannot be compared.
    """
    for i, (times, known) in enumerate(zip(given.times, past, strict=True)):
        if times is None or known is None or not times.says_of(known):
            continue
        who = f"{caller} got {given.name(name, i)}"
        _check_kind(times, known, who, given.name(of, i))
        if not known.is_followed_by(times):
            return (
                f"{who} with the times {times.spell(0)} to {times.spell(-1)}, but "
                f"{given.name(of, i)} ends at {known.spell(-1)}; expected the steps that follow. "
                f"{WITHOUT_TIMES}"
            )
    return None


def _check_kind(times: Times, known: Times, who: str, of: str) -> None:
    if times.kind != known.kind:
        raise ValueError(
            f"{who} with {times.kind}, but {of} has {known.kind}; expected the same in both. "
            f"{WITHOUT_TIMES}"
        )


def find_gap(series: SeriesSet, name: str) -> str | None:
    """Return what a warning says of the first series whose times are not equally far apart."""
    for i, times in enumerate(series.times):
        if times is not None and (gap := times.find_gap()):
            return f"the times of {series.name(name, i)} {gap}"
    return None
