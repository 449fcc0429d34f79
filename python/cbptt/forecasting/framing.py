"""How series become inputs and targets of a network, and where forecasts begin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbptt.data.ragged import Ragged
from cbptt.data.sequences import Sequences
from cbptt.forecasting.scaling import Scale, difference, fit_scale, integrate
from cbptt.forecasting.series import SeriesSet
from cbptt.network import RNN
from cbptt.rollout import continue_series

Array = NDArray[np.floating]

# The bias before an origin is a mean of one-step errors whose weights fall by this share per step.
GAIN = 0.15
# Steps after which these weights are below a hundredth of a per cent.
_MEMORY = 64


@dataclass(frozen=True, eq=False)
class Prepared:
    """A series as the network sees it.

    Attributes
    ----------
    steps : (T - lost, d) differenced and scaled.
    known : (T - lost, e) scaled exogenous variables of these steps.
    scale : of the differences.
    """

    steps: NDArray[np.float64]
    known: NDArray[np.float64]
    scale: Scale


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
            steps, _ = difference(series, self.periods)
            scale = self.own
            if scale is None:
                # k differences of rounded numbers are off by up to 2^k half units of rounding
                rounding = 2.0 ** (len(self.periods) - 1) * eps * np.abs(series).max(axis=0)
                scale = fit_scale(steps, self.scaling, rounding)
            scaled = scale.apply(steps)
        if known is None or self.exogenous is None:
            return Prepared(scaled, np.empty((len(steps), 0)), scale)
        return Prepared(scaled, self.exogenous.apply(known[self.lost :]), scale)

    def inputs(self, prepared: Prepared) -> NDArray[np.float64]:
        """(T - lost - past, D) inputs of all steps that have the lags before them."""
        steps, first = prepared.steps, self.past
        lagged = [steps[first - lag : len(steps) - lag] for lag in self.lags]
        return np.concatenate([*lagged, prepared.known[first:]], axis=1)


@dataclass(frozen=True, eq=False)
class Origins:
    """All that forecasts need of the series before their n origins.

    Attributes
    ----------
    past : (n, P, d) the last steps, as the network sees them.
    states : (n, M) after all steps.
    bias : (n, d) by how much one-step forecasts were too low of late, as the network sees it.
    center, spread : (n, d) of their scales.
    ends : list of (n, p, d), from `difference`.
    single, flat : the form of the series, which forecasts mirror.
    """

    past: Array
    states: Array
    bias: NDArray[np.float64]
    center: NDArray[np.float64]
    spread: NDArray[np.float64]
    ends: list[NDArray[np.float64]]
    single: bool
    flat: bool

    def __len__(self) -> int:
        return len(self.past)

    def take(self, rows: Any) -> Origins:
        """Some of them, or some several times."""
        taken = {f.name: getattr(self, f.name) for f in fields(self)}
        for name in ("past", "states", "bias", "center", "spread"):
            taken[name] = taken[name][rows]
        return Origins(**taken | {"ends": [end[rows] for end in self.ends]})

    def mirror(self, values: Array) -> Array:
        """Give (n, ..., d) values the form of the series."""
        values = values[..., 0] if self.flat else values
        return values[0] if self.single else values


def check_lengths(series: SeriesSet, frame: Frame, name: str, *, caller: str, targets: int) -> None:
    """Refuse series that are shorter than differences, lags and targets need.

    Raises
    ------
    ValueError
    """
    needed = frame.lost + frame.past + targets
    for i, values in enumerate(series):
        if len(values) < needed:
            more = " and a step to learn" if targets else ""
            raise ValueError(
                f"{caller} got {series.name(name, i)} with {len(values)} steps, but differences of "
                f"{frame.lost} steps, lags of {frame.past}{more} take {needed}; give more steps, "
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
    series: SeriesSet,
    prepared: Sequence[Prepared],
    frame: Frame,
    network: RNN,
    at: Sequence[Sequence[int]] | None = None,
) -> Origins:
    """Run the network over series, and keep what their continuation needs.

    at : for each series, how many of its steps are before each origin; by default all of them, at
        one origin.
    """
    if at is None:
        at = [[len(values)] for values in series]
    inputs = [frame.inputs(p).astype(frame.dtype) for p in prepared]
    starts = np.cumsum([0, *map(len, inputs)])
    longer = [rows for rows in inputs if len(rows)]
    targets = np.concatenate([p.steps[frame.past :] for p in prepared])
    errors = targets
    if longer:
        errors = targets - network.forward(Ragged.from_sequences(longer)).output.values

    states = states_after(
        network, inputs, [[o - frame.lost - frame.past for o in origins] for origins in at]
    )
    bias = np.zeros((len(states), targets.shape[1]))
    past, ends = [], []
    of: list[Scale] = []
    for i, origins in enumerate(at):
        first = int(starts[i])
        for origin in origins:
            step, n = origin - frame.lost, len(of)
            end = first + step - frame.past
            if end > first:
                latest = errors[max(first, end - _MEMORY) : end][::-1]
                bias[n] = GAIN * (1 - GAIN) ** np.arange(len(latest)) @ latest
            past.append(prepared[i].steps[step - frame.past : step])
            ends.append(difference(series.values[i][step:origin], frame.periods)[1])
            of.append(prepared[i].scale)
    return Origins(
        np.stack(past).astype(frame.dtype),
        states,
        bias,
        np.stack([scale.center for scale in of]),
        np.stack([scale.spread for scale in of]),
        [np.stack(each) for each in zip(*ends, strict=True)],
        series.single,
        series.flat,
    )


def states_after(
    network: RNN, inputs: Sequence[Array], counts: Sequence[Sequence[int]]
) -> NDArray[np.floating]:
    """Return the states after some numbers of steps of each sequence.

    Parameters
    ----------
    network : RNN
    inputs : (T_i, D) array for each sequence
    counts : ints for each sequence, at most T_i; below 1 is the state before the first step

    Returns
    -------
    states : (n, state_width) array, sequence after sequence
    """
    engine = network.engine
    found = [{0: engine.start(1)[0]} for _ in inputs]
    # each sequence piece by piece, from one number of steps that is wanted to the next
    cuts = [sorted({max(0, count) for count in each} | {0}) for each in counts]
    for k in range(1, max(map(len, cuts))):
        which = [i for i, each in enumerate(cuts) if len(each) > k]
        pieces = [inputs[i][cuts[i][k - 1] : cuts[i][k]] for i in which]
        read = Ragged.from_sequences(pieces)
        before = np.stack([found[i][cuts[i][k - 1]] for i in which])
        sequences = Sequences(np.ascontiguousarray(read.values), read.offsets, "ragged")
        after = engine.predict(sequences, before, states=True).final
        for i, state in zip(which, after, strict=True):
            found[i][cuts[i][k]] = state
    return np.stack([found[i][max(0, count)] for i, each in enumerate(counts) for count in each])


def continue_origins(
    origins: Origins, known: Array, frame: Frame, network: RNN, noise: Array | None = None
) -> Array:
    """(n, H, d) forecasts in the units of the series, NaN once they are out of range.

    known : (n, H, e) exogenous variables, as the network sees them.
    noise : (n, H, d) is added to what the network predicts of each step, as the network sees it.
    """
    steps = continue_series(network, origins.past, origins.states, known, frame.lags, noise)
    with np.errstate(over="ignore", invalid="ignore"):
        values = steps * origins.spread[:, None] + origins.center[:, None]
        series = integrate(values, origins.ends, frame.periods).astype(frame.dtype, copy=False)
    good = np.logical_and.accumulate(np.isfinite(series).all(axis=2), axis=1)
    series[~good] = np.nan
    return series


def correct_bias(origins: Origins, horizon: int) -> NDArray[np.float64]:
    """(n, H, d) noise that continues the bias before the origins."""
    return np.repeat(origins.bias[:, None], horizon, axis=1)
