"""How series become inputs and targets of a network, and from where forecasts go on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbptt.network import RNN
from cbptt.sequences import Ragged, Sequences
from cbptt.series import Scale, SeriesSet, difference, fit_scale

Array = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Prepared:
    """A series as the network sees it, and the way back.

    Attributes
    ----------
    steps : (T - lost, d) differenced and scaled.
    known : (T - lost, e) scaled exogenous variables of these steps.
    scale : of the differences.
    ends : list of (p, d), from `difference`.
    """

    steps: NDArray[np.float64]
    known: NDArray[np.float64]
    scale: Scale
    ends: list[NDArray[np.float64]]


@dataclass(frozen=True, eq=False)
class Frame:
    """How series become inputs and targets.

    Attributes
    ----------
    lags : (l,) steps back.
    periods : of the differences.
    scaling : the kind of scale.
    own : the scale of the one series that was fitted on; None where each has its own.
    exogenous : the scale of the exogenous variables; None where there are none.
    dtype : precision of the network.
    """

    lags: NDArray[np.intp]
    periods: tuple[int, ...]
    scaling: str | None
    own: Scale | None
    exogenous: Scale | None
    dtype: np.dtype[Any]

    @property
    def lost(self) -> int:
        """Steps that differences take."""
        return sum(self.periods)

    @property
    def past(self) -> int:
        """Steps that the inputs of a step reach back."""
        return int(self.lags.max())

    def prepare(
        self, series: NDArray[np.float64], known: NDArray[np.float64] | None, eps: float
    ) -> Prepared:
        """Difference and scale a series (T, d) of numbers of relative precision eps."""
        with np.errstate(over="ignore", invalid="ignore"):
            steps, ends = difference(series, self.periods)
            scale = self.own
            if scale is None:
                # k differences of rounded numbers are off by up to 2^k half units of rounding
                rounding = 2.0 ** (len(self.periods) - 1) * eps * np.abs(series).max(axis=0)
                scale = fit_scale(steps, self.scaling, rounding)
            scaled = scale.apply(steps)
        if known is None or self.exogenous is None:
            return Prepared(scaled, np.empty((len(steps), 0)), scale, ends)
        return Prepared(scaled, self.exogenous.apply(known[self.lost :]), scale, ends)

    def inputs(self, prepared: Prepared) -> NDArray[np.float64]:
        """(T - lost - past, D) inputs of all steps that have the lags before them."""
        steps, first = prepared.steps, self.past
        lagged = [steps[first - lag : len(steps) - lag] for lag in self.lags]
        return np.concatenate([*lagged, prepared.known[first:]], axis=1)


@dataclass(frozen=True, eq=False)
class Origins:
    """All that a forecast needs of the n series before it.

    Attributes
    ----------
    past : (n, P, d) the last steps, as the network sees them.
    states : (n, M) after all steps.
    center, spread : (n, d) of their scales.
    ends : list of (n, p, d), from `difference`.
    single, flat : the form of the series, which forecasts mirror.
    """

    past: Array
    states: Array
    center: NDArray[np.float64]
    spread: NDArray[np.float64]
    ends: list[NDArray[np.float64]]
    single: bool
    flat: bool

    def __len__(self) -> int:
        return len(self.past)

    def take(self, rows: Any) -> Origins:
        """Some of them, or some several times."""
        return Origins(
            self.past[rows],
            self.states[rows],
            self.center[rows],
            self.spread[rows],
            [end[rows] for end in self.ends],
            self.single,
            self.flat,
        )

    def mirror(self, values: Array) -> Array:
        """Give (n, ..., d) values the form of the series."""
        values = values[..., 0] if self.flat else values
        return values[0] if self.single else values


def check_lengths(series: SeriesSet, frame: Frame, name: str, *, caller: str, targets: int) -> None:
    """Refuse series that are shorter than differences, lags and so many targets take.

    Raises
    ------
    ValueError
    """
    needed = frame.lost + frame.past + targets
    for i, values in enumerate(series):
        if len(values) < needed:
            told = " and a step to learn" if targets else ""
            raise ValueError(
                f"{caller} got {series.name(name, i)} with {len(values)} steps, but differences of "
                f"{frame.lost} steps, lags of {frame.past}{told} take {needed}; give more steps, "
                f"or set smaller lags and differences.{series.hint(name)}"
            )


def prepare_series(
    series: SeriesSet, exogenous: SeriesSet | None, frame: Frame, name: str, *, caller: str
) -> list[Prepared]:
    """Difference and scale series, and make sure that the precision can still hold them."""
    eps = float(np.finfo(series.dtype).eps)
    prepared = []
    for i, values in enumerate(series):
        one = frame.prepare(values, None if exogenous is None else exogenous.values[i], eps)
        with np.errstate(over="ignore"):
            seen = [part.astype(frame.dtype) for part in (one.steps, one.known)]
        for scale, part, what in (
            (one.scale, seen[0], "values"),
            (frame.exogenous, seen[1], "exogenous variables"),
        ):
            spread = 0.0 if scale is None else scale.spread
            if not (np.isfinite(part).all() and np.isfinite(spread).all()):
                raise ValueError(
                    f"{caller} got {series.name(name, i)} with {what} that are too large for "
                    f"{frame.dtype} to compute with; divide them by their size first."
                )
        prepared.append(one)
    return prepared


def find_origins(
    series: SeriesSet, prepared: Sequence[Prepared], frame: Frame, network: RNN
) -> Origins:
    """Run the network over series, and keep what their continuation needs."""
    inputs = [frame.inputs(p).astype(frame.dtype) for p in prepared]
    states = network.start(len(inputs))
    longer = [i for i, rows in enumerate(inputs) if len(rows)]
    if longer:
        ragged = Ragged.from_sequences([inputs[i] for i in longer])
        states[longer] = network.states(Sequences(ragged.values, ragged.offsets, "list"))[1]
    return Origins(
        np.stack([p.steps[-frame.past :] for p in prepared]).astype(frame.dtype),
        states,
        np.stack([p.scale.center for p in prepared]),
        np.stack([p.scale.spread for p in prepared]),
        [np.stack(ends) for ends in zip(*(p.ends for p in prepared), strict=True)],
        series.single,
        series.flat,
    )
