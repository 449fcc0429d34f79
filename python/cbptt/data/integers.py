"""Integers that a user passes as a number of things: one rule for all of them."""

from __future__ import annotations

from operator import index
from typing import Any

from cbptt.data.reading import spell

__all__ = ["MAX_COUNT", "NotIntegerError", "is_integer", "read_integer", "read_integers"]

# What any count may be: a BLAS with 32-bit integers takes no larger dimension.
MAX_COUNT = 2**31 - 1


class NotIntegerError(TypeError, ValueError):
    """A value is no integer; as scikit-learn's errors of parameters, it is of both kinds."""


def is_integer(value: Any) -> bool:
    """Whether a value is an integer of any library, which has `__index__`, and no boolean."""
    if isinstance(value, bool) or "bool" in str(getattr(value, "dtype", "")):
        return False
    try:
        index(value)
    except TypeError:
        return False
    return True


def read_integer(
    value: Any,
    *,
    caller: str,
    name: str,
    least: int = 1,
    most: int | None = MAX_COUNT,
    other: str = "",
) -> int:
    """Return an integer of any library as an int, or say what is wrong with it.

    Parameters
    ----------
    value : object
        An integer is what has `__index__`, such as an int, a NumPy integer or an array of no
        dimension. A boolean is none.
    caller, name : str
        What errors call the function and its parameter.
    least, most : int
        The range, both included. None is no limit.
    other : str, default=""
        What else the caller takes, for errors: "None", for instance.

    Raises
    ------
    NotIntegerError
        If it is no integer. It is a TypeError and a ValueError.
    ValueError
        If it is out of the range.
    """
    limit = "" if most is None else f" to {most}"
    expected = f"expected {other and f'{other} or '}an int from {least} up{limit}"
    if not is_integer(value):
        raise NotIntegerError(f"{caller} got {name}={spell(value)}; {expected}.")
    number = index(value)
    if number < least or (most is not None and number > most):
        raise ValueError(f"{caller} got {name}={spell(number)}; {expected}.")
    return number


def read_integers(value: Any, *, caller: str, name: str) -> list[int]:
    """Return the integers from 1 up that a sequence holds.

    Raises
    ------
    NotIntegerError, TypeError, ValueError
        If it is no sequence of integers, is empty, or holds one that is too small or too large.
    """
    if not isinstance(value, (list, tuple, range)) and getattr(value, "ndim", 0) != 1:
        raise TypeError(f"{caller} got {name}={spell(value)}; expected an int or a list of ints.")
    if not len(value):
        raise ValueError(f"{caller} got {name}={value!r}; expected at least one int.")
    return [read_integer(v, caller=caller, name=f"{name}[{i}]") for i, v in enumerate(value)]
