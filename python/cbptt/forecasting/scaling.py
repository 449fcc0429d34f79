"""Differences, scales and errors of series.

A series is (T, d): T steps of d variables, the latest one last. What is done to it before training
is undone in the forecast, in the opposite order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Scale",
    "difference",
    "fit_scale",
    "in_units_of",
    "integrate",
    "naive_error",
]

Array = NDArray[np.float64]

# ---- differences --------------------------------------------------------------------------------


def difference(series: Array, periods: Sequence[int]) -> tuple[Array, list[Array]]:
    """Take differences y_t - y_{t-p}, one period after the other.

    Parameters
    ----------
    series : (T, d) array
        Of more steps than the periods add up to.
    periods : ints from 1 up

    Returns
    -------
    differences : (T - sum of periods, d) ndarray
    ends : list of (p, d) ndarrays
        For each period the last p steps of what it was taken of, from which `integrate` goes on.
    """
    ends = []
    for period in periods:
        ends.append(series[-period:].copy())
        series = series[period:] - series[:-period]
    return series, ends


def integrate(differences: Array, ends: Sequence[Array], periods: Sequence[int]) -> Array:
    """Undo differences, for steps that follow those of which they were taken.

    Parameters
    ----------
    differences : (n, H, d) array
    ends : list of (n, p, d) arrays, in the order of `difference`
    periods : ints from 1 up

    Returns
    -------
    series : (n, H, d) ndarray
    """
    n, H, d = differences.shape
    for period, end in zip(reversed(periods), reversed(ends), strict=True):
        # y_t = y_{t-p} + difference_t: running sums over steps that are p apart, behind the end
        turns = 1 + -(-H // period)
        steps = np.zeros((n, turns * period, d))
        steps[:, :period] = end
        steps[:, period : period + H] = differences
        sums = steps.reshape(n, turns, period, d).cumsum(axis=1)
        differences = sums.reshape(n, turns * period, d)[:, period : period + H]
    return differences


# ---- scale --------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Scale:
    """(values - center) / spread, for each variable.

    Attributes
    ----------
    center, spread : (d,) ndarrays
        The spread of a constant variable is 1.
    """

    center: Array
    spread: Array

    def apply(self, values: Array) -> Array:
        """Return (T, d) values scaled."""
        return np.asarray((values - self.center) / self.spread)


def fit_scale(values: Array, kind: str | None, rounding: Array | float = 0.0) -> Scale:
    """Find the scale of values.

    Parameters
    ----------
    values : (T, d) array
    kind : {"standard", "minmax", None}
        Mean and standard deviation, smallest value and range, or 0 and 1.
    rounding : (d,) array or float, default=0.0
        A spread up to this comes of rounding alone: the variable is constant.
    """
    d = values.shape[1]
    if kind is None:
        return Scale(np.zeros(d), np.ones(d))
    lowest, highest = values.min(axis=0), values.max(axis=0)
    if kind == "standard":
        center, spread = values.mean(axis=0), values.std(axis=0)
        center = np.where(lowest == highest, lowest, center)
    else:
        center, spread = lowest, highest - lowest
    constant = (lowest == highest) | (spread <= rounding)
    return Scale(center, np.where(constant, 1.0, spread))


# ---- errors -------------------------------------------------------------------------------------


def naive_error(series: Array, season_length: int = 1) -> Array:
    """Return the mean absolute error of the seasonal-naive forecast within a series.

    Parameters
    ----------
    series : (T, d) array
        Of more steps than a season.
    season_length : int, default=1

    Returns
    -------
    error : (d,) ndarray
    """
    return np.asarray(np.abs(series[season_length:] - series[:-season_length]).mean(axis=0))


def in_units_of(errors: Array, unit: Array) -> Array:
    """Divide errors (..., d) by units (..., d); by a unit of 0, 0 is 0, all else inf."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(errors == 0, 0.0, errors / unit))
