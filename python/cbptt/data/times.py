"""Times in the forms that data frames hold: what orders them.

A column of times may hold numbers, dates, durations, periods or text. Its order is that of an array
of numbers, datetimes or durations, which `read_times` makes of it. Text has an order only where it
can be read without a guess: 04/02/2024 is a day of April or of February.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from numbers import Real
from string import ascii_lowercase, ascii_uppercase
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "WITHOUT_TIMES",
    "Times",
    "check_one_level",
    "read_index",
    "read_labels",
    "read_times",
]

Array: TypeAlias = NDArray[Any]


WITHOUT_TIMES = "If the rows are right as they are, pass arrays, which have no times."
_NOT_A_TIME = np.iinfo(np.int64).min  # NaT as an integer


@dataclass(frozen=True, eq=False)
class Times:
    """What orders times.

    Attributes
    ----------
    values : (n,) ndarray of numbers, datetime64 or timedelta64; or of objects
        In the order of the times; with a time zone they are UTC, and periods are their first
        moments. Objects are labels without an order.
    clock : (n,) ndarray of datetime64, or None
        What the clocks of the time zone show, where there is one.
    """

    values: Array
    clock: Array | None = None

    def __len__(self) -> int:
        return len(self.values)

    def __add__(self, later: Times) -> Times:
        """Put later times behind these."""
        values = np.concatenate([self.values, later.values])
        if self.clock is None or later.clock is None:
            return Times(values)
        return Times(values, np.concatenate([self.clock, later.clock]))

    def spell(self, k: int) -> str:
        """Spell time k as a user would, on the clock of its time zone."""
        shown = self.values if self.clock is None else self.clock
        if shown.dtype.kind == "M" and not np.isnat(shown[k]):
            return str(np.datetime_as_string(shown[k], unit="auto"))
        return str(shown[k].astype("m8[us]").item() if shown.dtype.kind == "m" else shown[k])

    @property
    def kind(self) -> str:
        """Return what they are, for errors."""
        if self.values.dtype.kind == "M":
            return f"times with{'out' if self.clock is None else ''} a time zone"
        return {"O": "labels", "m": "durations"}.get(self.values.dtype.kind, "numbers")

    def says_of(self, other: Times) -> bool:
        """Whether both can be compared.

        An index that was not given is 0, 1, 2 and so on, and says nothing except of integers that
        are others.
        """
        by_default = [times._counts_from_0() for times in (self, other)]
        if not any(by_default):
            return True
        integers = all(times.values.dtype.kind in "iu" for times in (self, other))
        return integers and not all(by_default)

    def _counts_from_0(self) -> bool:
        is_integer = self.values.dtype.kind in "iu"
        return is_integer and bool((self.values == np.arange(len(self))).all())

    def first_difference(self, other: Times) -> int | None:
        """Return the first place where other times of the same kind and number differ."""
        same = self.values == other.values
        if "f" in (self.values.dtype.kind, other.values.dtype.kind):
            same = np.abs(self.values - other.values) <= _rounding(other.values)
        return None if same.all() else int(same.argmin())

    def find_fall(self) -> str | None:
        """Return what an error says of the first time that is missing, or not after the last."""
        if self.kind == "labels":
            falls = np.array([k for k, v in enumerate(self.values) if v is None or v != v], int)
        else:
            falls = np.flatnonzero(~(self.values[1:] > self.values[:-1])) + 1
        if not falls.size:
            return None
        k = int(falls[0])
        before = f", after {self.spell(k - 1)}" if k else ""
        return (
            f"a time index that does not rise: {self.spell(k)} at step {k}{before}; expected each "
            f"time once and the latest last, as sort_index() of pandas makes it, or "
            f"groupby(level=0).mean() where times are repeated. {WITHOUT_TIMES}"
        )

    def find_gap(self) -> str | None:
        """Return what a warning says of times that are not known to rise by equal steps."""
        if self.kind == "labels":
            return (
                f"are labels whose order is not known, as {self.spell(0)!r}, so they are not "
                f"checked. Convert them, as pandas.to_datetime does. {WITHOUT_TIMES}"
            )
        if self.is_regular():
            return None
        k = int(np.diff(self.values).argmax())
        return (
            f"are not equally far apart: {self.spell(k + 1)} follows {self.spell(k)}. Every row is "
            f"read as the next step; put in what is missing and fill it, as "
            f"asfreq(...).interpolate() of pandas does. {WITHOUT_TIMES}"
        )

    def is_regular(self) -> bool:
        """Whether rising times are equally far apart, in time or in the calendar."""
        if self.kind == "labels":
            return True
        clocks = [self.values] if self.clock is None else [self.values, self.clock]
        return any(_is_regular(clock) for clock in clocks)

    def is_followed_by(self, later: Times) -> bool:
        """Whether later times go on from these: as regularly, or with steps that are no wider."""
        both = self + later
        if both.kind == "labels":
            return True
        if both.find_fall() is not None:
            return False
        if self.is_regular():
            return both.is_regular()
        return bool(np.diff(both.values).max() <= np.diff(self.values).max())


def read_times(given: Array | Sequence[Any]) -> Times:
    """Find the order of times, none of which is missing.

    Parameters
    ----------
    given : (n,) ndarray, or sequence of n objects
        Numbers, datetimes, dates, times of day, durations, periods of pandas of one frequency; or
        text: integers, ISO 8601 as "2024-01-28" or "2024-01-28 08:30+01:00", years with months or
        quarters as "2024-01" or "2024-Q1", hours with minutes as "8:30", or letters counted from a.

    Raises
    ------
    TypeError
        If these are no times, or of several kinds.
    ValueError
        If the order of text is not known, or a number is not finite or a date in disguise.
    """
    if not isinstance(given, np.ndarray) or given.dtype.kind not in "iufmM":
        times = _read_objects(list(given))
    else:
        times = Times(given)
    values = times.values
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise ValueError(f"the number {values[~np.isfinite(values)][0]}")
    if values.dtype == np.int64 and (values == _NOT_A_TIME).any():
        raise ValueError(f"the number {_NOT_A_TIME}, which stands for a missing date")
    if values.dtype.kind in "iu" and _are_days_first(values):
        raise ValueError(f"the number {given[0]}, which looks like a date with its year last")
    return times


def check_one_level(item: Any, *, caller: str, name: str) -> None:
    """Refuse a MultiIndex where the rows are to be the steps of one series.

    Raises
    ------
    ValueError
    """
    if getattr(getattr(item, "index", None), "nlevels", 1) > 1:
        raise ValueError(
            f"{caller} got {name} with a MultiIndex, whose rows may belong to several series; pass "
            f"a list of them, as [part.droplevel(0) for _, part in {name}.groupby(level=0)]."
        )


def read_index(item: Any) -> Times | None:
    """Read what a data frame knows of the times of its rows; None where it knows nothing.

    Parameters
    ----------
    item : object
        The index of pandas' data frames and Series, one level of it, is read.
    """
    index: Any = getattr(item, "index", None)
    if getattr(index, "nlevels", 0) != 1:
        return None
    if getattr(index, "tz", None) is not None:
        return Times(index.tz_convert(None).to_numpy(), index.tz_localize(None).to_numpy())
    if hasattr(index, "to_timestamp"):
        index = index.to_timestamp()
    return read_labels(index.to_numpy())


def read_labels(labels: Array | list[Any]) -> Times:
    """Read times as `read_times` does; labels that are none, or are missing, stay objects."""
    try:
        return read_times(labels)
    except (TypeError, ValueError):
        return Times(np.asarray(labels, object))


# ---- regular steps ------------------------------------------------------------------------------


def _is_regular(values: Array) -> bool:
    """Whether rising values are equally far apart: in size, in working days or in months.

    A month is from one day to the same day, or from its first or last day, or working day.
    """
    steps = np.diff(values)
    if len(steps) < 2:
        return True
    if values.dtype.kind == "f":
        return bool((np.abs(steps - steps[0]) <= _rounding(values)).all())
    if (steps == steps[0]).all():
        return True
    if values.dtype.kind != "M":
        return False
    months, days = values.astype("M8[M]"), values.astype("M8[D]")
    if not _is_constant(values - days):
        return False
    if np.is_busday(days).all() and _is_constant(np.busday_count(days[:-1], days[1:])):
        return True
    starts, ends = (m.astype("M8[D]") for m in (months, months + np.timedelta64(1, "M")))
    same_days = (
        starts + (days[0] - starts[0]),
        ends - np.timedelta64(1, "D"),
        np.busday_offset(starts, 0, roll="forward"),
        np.busday_offset(ends, -1, roll="forward"),
    )
    return _is_constant(np.diff(months)) and any((days == day).all() for day in same_days)


def _rounding(values: Array) -> float:
    """How far apart numbers may be that differ by the rounding of a few operations."""
    return 8.0 * float(np.spacing(np.abs(values).max()))


def _is_constant(values: Array) -> bool:
    return bool((values == values[0]).all())


# ---- objects ------------------------------------------------------------------------------------


def _read_objects(given: list[Any]) -> Times:
    for belong, read in _FORMS:
        if all(map(belong, given)):
            return Times(read(given), *([_clocks(given)] if belong is _is_zoned else []))
    if all(isinstance(value, str) for value in given):
        return _read_text(given)
    first = given[0]
    other = next((value for value in given if type(value) is not type(first)), None)
    if other is None:
        raise TypeError(f"{first!r} of type {type(first).__name__}")
    raise TypeError(f"values of several kinds, such as {first!r} and {other!r}")


def _is_number(value: Any) -> bool:
    return isinstance(value, (Real, Decimal)) and not isinstance(value, bool)


def _is_zoned(value: Any) -> bool:
    return isinstance(value, datetime) and value.tzinfo is not None


def _is_datetime(value: Any) -> bool:
    return isinstance(value, datetime) and value.tzinfo is None


def _is_date(value: Any) -> bool:
    return isinstance(value, date) and not isinstance(value, datetime)


def _is_time_of_day(value: Any) -> bool:
    return isinstance(value, time) and value.tzinfo is None


def _is_period(value: Any) -> bool:
    return type(value).__name__ == "Period" and hasattr(value, "start_time")


def _read_numbers(given: list[Any]) -> Array:
    array = np.array(given)  # integers stay exact
    return array if array.dtype.kind in "iuf" else array.astype(np.float64)


def _read_zoned(given: list[datetime]) -> Array:
    return np.array([value.astimezone(UTC).replace(tzinfo=None) for value in given], "M8[us]")


def _clocks(given: list[datetime]) -> Array:
    return np.array([value.replace(tzinfo=None) for value in given], "M8[us]")


def _read_times_of_day(given: list[time]) -> Array:
    seconds = [(t.hour * 60 + t.minute) * 60 + t.second for t in given]
    return np.array(
        [s * 10**6 + t.microsecond for s, t in zip(seconds, given, strict=True)], "m8[us]"
    )


def _read_periods(given: list[Any]) -> Array:
    if len({value.freqstr for value in given}) > 1:
        raise TypeError("periods of several frequencies")
    return np.array([value.start_time.to_datetime64() for value in given])


# What belongs to each form of objects, and what its order is.
_FORMS: list[tuple[Callable[[Any], bool], Callable[[list[Any]], Array]]] = [
    (_is_number, _read_numbers),
    (_is_zoned, _read_zoned),
    (_is_datetime, lambda given: np.array(given, "M8[us]")),
    (_is_date, lambda given: np.array(given, "M8[D]")),
    (_is_time_of_day, _read_times_of_day),
    (lambda value: isinstance(value, timedelta), lambda given: np.array(given, "m8[us]")),
    (_is_period, _read_periods),
]

# ---- text ---------------------------------------------------------------------------------------

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_MONTH = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")
_QUARTER = re.compile(r"([0-9]{4})-?Q([1-4])")
_CLOCK = re.compile(r"([0-9]{1,6}):([0-5][0-9])(?::([0-5][0-9](?:\.[0-9]+)?))?")
# Integers that may be dates: a day, a month and a year of two digits, or a month and a year.
_YEAR_AND_MONTH = re.compile(r"(19|20)[0-9]{2}(0[1-9]|1[0-2])")
_DAY, _OF_MONTH = "(0[1-9]|[12][0-9]|3[01])", "(0[1-9]|1[0-2])"
_SIX_DIGITS = re.compile(
    f"({_DAY}{_OF_MONTH}|{_OF_MONTH}{_DAY})[0-9]{{2}}|{_OF_MONTH}(19|20)[0-9]{{2}}"
)
_YEAR_AND_SLASH = re.compile(r"[0-9]{4}/")


def _read_text(given: list[str]) -> Times:
    if all(map(_INTEGER.fullmatch, given)):
        is_year_first = all(map(_YEAR_AND_MONTH.fullmatch, given))
        if all(map(_SIX_DIGITS.fullmatch, given)) and not is_year_first:
            raise ValueError(f"text such as {given[0]!r}, whose order is not known")
        return Times(np.array(list(map(int, given))))
    if all(map(_MONTH.fullmatch, given)):
        return Times(np.array(given, "M8[M]"))
    if all(quarters := list(map(_QUARTER.fullmatch, given))):
        months = [f"{q[1]}-{3 * int(q[2]) - 2:02}" for q in quarters if q]
        return Times(np.array(months, "M8[M]"))
    clocks = list(map(_CLOCK.fullmatch, given))
    if all(clocks) and len({value.count(":") for value in given}) == 1:
        fields = [(int(c[1]), int(c[2]), float(c[3] or 0)) for c in clocks if c]
        return Times(
            np.array([timedelta(hours=h, minutes=m, seconds=s) for h, m, s in fields], "m8[us]")
        )
    if all(len(value) == 1 for value in given):
        letters = "".join(sorted(set(given)))
        for alphabet in (ascii_lowercase, ascii_uppercase):
            if alphabet.startswith(letters):
                return Times(np.array([alphabet.index(value) for value in given]))
    moments = list(map(_read_iso, given))
    if all(map(_is_zoned, moments)) or all(map(_is_datetime, moments)):
        return _read_objects(moments)
    for value, moment in zip(given, moments, strict=True):
        if moment is None:
            raise ValueError(f"text such as {value!r}, whose order is not known")
    raise ValueError("text with an offset from UTC beside text without one")


def _read_iso(value: str) -> datetime | None:
    if _YEAR_AND_SLASH.match(value):
        value = value.replace("/", "-")
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        return None


def _are_days_first(values: Array) -> bool:
    """Whether integers are dates such as 28012024: two numbers up to 31 and a year."""
    values = values.astype(np.int64)
    first, second, year = values // 10**6, values // 10**4 % 100, values % 10**4
    days = (first >= 1) & (first <= 31) & (second >= 1) & (second <= 31)
    return bool((days & (year >= 1900) & (year < 2100)).all())
