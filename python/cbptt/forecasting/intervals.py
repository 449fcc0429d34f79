"""How wide the intervals of forecasts are: errors on steps that were not learned from.

A second network is trained without the latest steps of each series and forecasts them from every
origin among them. A quantile of its absolute errors, for each step of the horizon separately, is
half the width of an interval there: split conformal prediction, as in Stankeviciute, Alaa & van der
Schaar 2021, Conformal time-series forecasting. They have many series and one origin in each. Here
there may be one series and many origins, whose errors overlap, so fewer of them count.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbptt.forecasting.framing import (
    Frame,
    Origins,
    Prepared,
    continue_origins,
    correct_bias,
    find_origins,
)
from cbptt.forecasting.series import SeriesSet
from cbptt.network import RNN

Array = NDArray[np.float64]

# The second network is not trained on the last of this many parts of a series.
PARTS = 5
# At most this many origins, and steps of the horizon from each.
ORIGINS, HORIZON = 1000, 100
# Intervals are corrected by the bias if that makes forecasts better by this fraction.
BETTER = 0.05


def n_held_back(n_steps: int) -> int:
    """Return how many of the steps of a series the second network is not trained on."""
    return -(-n_steps // PARTS)


@dataclass(frozen=True, eq=False)
class Calibration:
    """Errors of forecasts of steps that were not learned from.

    Attributes
    ----------
    errors : (E, H, d) a row for each origin; NaN for steps after the end of the series.
    n_effective : (H, d) how many independent errors are as good as these.
    corrected : whether they are errors of forecasts corrected by the bias before their origin.
    """

    errors: Array
    n_effective: Array
    corrected: bool

    @classmethod
    def without_errors(cls, n_variables: int) -> Calibration:
        """Return that of series that are too short."""
        return cls(np.empty((0, 0, n_variables)), np.empty((0, n_variables)), False)

    @property
    def horizon(self) -> int:
        """H."""
        return int(self.errors.shape[1])

    def half_widths(self, coverage: float) -> Array:
        """Return (H, d) what the next absolute error exceeds with probability 1 - coverage.

        Of n exchangeable errors that is the one of rank (n + 1) coverage (Vovk, Gammerman & Shafer
        2005). Where that rank is above n, the largest error is stretched as the quantiles of
        Student's t with n degrees of freedom are.
        """
        n, ordered = (~np.isnan(self.errors)).sum(axis=0), np.sort(np.abs(self.errors), axis=0)
        level = coverage * (1 + 1 / self.n_effective)
        rank = np.clip(np.minimum(level, 1) * n - 1, 0, n - 1)
        low, high = (
            np.take_along_axis(ordered, end(rank).astype(np.intp)[None], axis=0)[0]
            for end in (np.floor, np.ceil)
        )
        part = rank - np.floor(rank)
        with np.errstate(invalid="ignore"):  # 0 times infinity
            widths = np.where(part > 0, low * (1 - part) + high * part, low)
        largest = self.n_effective / (self.n_effective + 1)  # the coverage of the largest error
        stretch = _student(coverage, self.n_effective) / _student(largest, self.n_effective)
        return np.asarray(np.where(level > 1, widths * stretch, widths))


def calibrate(
    series: SeriesSet,
    exogenous: SeriesSet | None,
    cuts: Sequence[int],
    heads: Sequence[Prepared],
    frame: Frame,
    network: RNN,
    spread: Array,
) -> Calibration:
    """Forecast the later steps of series from each of them.

    cuts, heads : how many steps of each series the network was trained on, and what it saw of them.
    frame, network : of that training.
    spread : (n, d) the units of the errors.
    """
    d, lengths = series.n_variables, [len(values) for values in series]
    eps = float(np.finfo(series.dtype).eps)
    prepared = [
        replace(frame, own=head.scale).prepare(
            values, None if exogenous is None else exogenous.values[i], eps
        )
        for i, (values, head) in enumerate(zip(series, heads, strict=True))
    ]
    with np.errstate(over="ignore"):
        seen = [part.astype(frame.dtype) for p in prepared for part in (p.steps, p.known)]
    if not all(np.isfinite(part).all() for part in seen):  # far beyond what the head's scale is for
        return Calibration.without_errors(d)

    at, stride = _choose_origins(cuts, lengths)
    origins = find_origins(series, prepared, frame, network, at)
    horizon = min(HORIZON, max(1, max(T - cut for T, cut in zip(lengths, cuts, strict=True)) // 2))
    actual = np.full((len(origins), horizon, d), np.nan)
    known = np.zeros((len(origins), horizon, prepared[0].known.shape[1]), frame.dtype)
    pairs = [(i, origin) for i, chosen in enumerate(at) for origin in chosen]
    for row, (i, origin) in enumerate(pairs):
        later = series.values[i][origin : origin + horizon]
        actual[row, : len(later)] = later
        known[row, : len(later)] = prepared[i].known[origin - frame.lost :][:horizon]
    unit = spread[[i for i, _ in pairs]][:, None]
    plain, corrected = (
        _errors(actual, continue_origins(origins, known, frame, network, noise)) / unit
        for noise in (None, correct_bias(origins, horizon))
    )
    n_seen = int((~np.isnan(plain)).any(axis=(0, 2)).sum())
    plain, corrected = plain[:, :n_seen], corrected[:, :n_seen]
    better = _is_better(corrected, plain)
    errors = corrected if better else plain
    return Calibration(errors, _n_effective(errors, list(map(len, at)), stride), better)


def calibrated_interval(
    origins: Origins,
    known: NDArray[np.floating],
    frame: Frame,
    network: RNN,
    calibration: Calibration,
    coverage: float,
    *,
    forecast: NDArray[np.floating],
    paths: NDArray[np.floating] | None,
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Return the lower and the upper ends, (n, H, d), of intervals of a calibrated forecaster.

    Parameters
    ----------
    origins : Origins
    known : (n, H, e) ndarray
        Exogenous variables, as the network sees them.
    frame : Frame
    network : RNN
    calibration : Calibration
    coverage : float
    forecast : (n, H, d) ndarray
        What `predict` returns, which is always within.
    paths : (n, n_paths, H, d) ndarray, or None
        Needed where H is beyond the horizon of the calibration.
    """
    H = known.shape[1]
    widths = calibration.half_widths(coverage)[:H] * origins.spread[:, None]
    if paths is not None:
        with np.errstate(over="ignore", invalid="ignore"):
            deviation = paths[:, :, calibration.horizon - 1 :].std(axis=1, dtype=np.float64)
            first, later = deviation[:, :1], deviation[:, 1:]
            growth = np.divide(later, first, out=np.ones_like(later), where=first != 0)
        widths = np.concatenate([widths, widths[:, -1:] * growth], axis=1)
    center = forecast
    if calibration.corrected:
        center = continue_origins(origins, known, frame, network, correct_bias(origins, H))
    return np.minimum(center - widths, forecast), np.maximum(center + widths, forecast)


def simulated_interval(
    paths: NDArray[np.floating], coverage: float
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Return the ends (n, H, d) between which the middle share of paths (n, n_paths, H, d) lies."""
    outside = (1 - coverage) / 2
    lower, upper = np.quantile(paths, [outside, 1 - outside], axis=1)
    return lower, upper


def check_coverage(coverage: Any, *, caller: str) -> None:
    """Refuse what is not a number between 0 and 1.

    Raises
    ------
    ValueError
    """
    number = isinstance(coverage, (float, int, np.floating)) and not isinstance(coverage, bool)
    if not number or not 0 < coverage < 1:
        raise ValueError(
            f"{caller} got coverage={coverage!r}; expected a number between 0 and 1, as 0.9."
        )


def _choose_origins(cuts: Sequence[int], lengths: Sequence[int]) -> tuple[list[list[int]], int]:
    """Return for each series some origins from its cut on, and their distance."""
    at: list[list[int]] = []
    stride = -(-(sum(lengths) - sum(cuts)) // ORIGINS)
    first = 0
    for cut, T in zip(cuts, lengths, strict=True):
        at.append(list(range(cut + -first % stride, T, stride)))
        first += T - cut
    return at, stride


def _errors(actual: Array, forecast: NDArray[np.floating]) -> Array:
    """(E, H, d) infinite where the forecast is out of range."""
    errors = actual - forecast
    return np.where(np.isnan(forecast) & ~np.isnan(actual), np.inf, errors)


def _is_better(errors: Array, others: Array) -> bool:
    """Whether root mean squares of errors are smaller, in the geometric mean of steps."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        one, other = (np.sqrt(np.nanmean(np.square(e), axis=0)) for e in (errors, others))
        ratios = np.where(one == other, 0.0, np.log(one / other))
    return bool(ratios.mean() < math.log1p(-BETTER))


def _n_effective(errors: Array, counts: Sequence[int], stride: int) -> Array:
    """(H, d) how many independent errors would determine a quantile as well.

    Forecasts of h steps from origins less than h steps apart share steps, and so errors. Where two
    normal errors have the correlation r, whether they exceed a quantile has one of about 2/3 r^2,
    for coverages of 0.8 to 0.95. Chance alone gives r^2 = 1 / n, which is taken off.

    counts, stride : the origins of each series, and their distance.
    """
    H, d = errors.shape[1:]
    n = (~np.isnan(errors)).sum(axis=0)
    finite = np.where(np.isfinite(errors), errors, 0.0)
    largest = np.abs(finite).max(axis=0)
    x = np.zeros((len(counts), max(counts), H, d))
    each = np.arange(max(counts)) < np.array(counts)[:, None]
    x[each] = np.divide(finite, largest, out=finite, where=largest > 0)
    squares = np.square(x).sum(axis=(0, 1))
    shared = np.zeros((H, d))
    for lag in range(1, min(max(counts), -(-H // stride))):
        products = (x[:, lag:] * x[:, :-lag]).sum(axis=(0, 1))
        r = np.divide(products, squares, out=np.zeros((H, d)), where=squares > 0)
        overlap = np.arange(1, H + 1)[:, None] > lag * stride
        shared += np.where(overlap, 2 / 3 * (np.square(r) - 1 / n), 0)
    return np.asarray(np.maximum(n / (1 + 2 * np.maximum(shared, 0)), 1))


def _student(coverage: float | Array, n: Array) -> Array:
    """What the absolute value of Student's t exceeds with probability 1 - coverage."""
    from scipy.special import stdtrit

    return -np.asarray(stdtrit(n, (1 - coverage) / 2))
