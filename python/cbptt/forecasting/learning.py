"""Networks trained on series: the forecaster's own, and a second one that calibrates intervals."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from cbptt.data.ragged import Ragged
from cbptt.estimators import RNNSequenceRegressor
from cbptt.estimators._notices import Notice
from cbptt.estimators._run import train
from cbptt.estimators._task import prepare
from cbptt.forecasting.framing import Frame, Prepared, check_lengths, prepare_series
from cbptt.forecasting.intervals import Calibration, calibrate, n_held_back
from cbptt.forecasting.scaling import fit_scale
from cbptt.forecasting.series import SeriesSet
from cbptt.network import RNN


@dataclass(frozen=True, eq=False)
class Trained:
    """A network, and what it was trained on.

    Attributes
    ----------
    frame : how series become inputs and targets.
    prepared : the series, as the network sees them.
    inputs, targets : of all steps that have the lags before them.
    regressor : the fit of the network.
    notices : what the user is to be warned of.
    """

    frame: Frame
    prepared: list[Prepared]
    inputs: Ragged
    targets: Ragged
    regressor: RNNSequenceRegressor
    notices: list[Notice]

    @property
    def spread(self) -> NDArray[np.float64]:
        """(n, d) by which each series was divided."""
        return np.stack([p.scale.spread for p in self.prepared])


@dataclass(frozen=True, eq=False)
class Calibrated:
    """The fit of the second network and its errors, as `calibrate_intervals` returns them.

    Attributes
    ----------
    regressor : RNNSequenceRegressor, or None where all series are too short for it.
    calibration : Calibration
    notices : what the user is to be warned of.
    """

    regressor: RNNSequenceRegressor | None
    calibration: Calibration
    notices: list[Notice]


def train_network(
    series: SeriesSet,
    exogenous: SeriesSet | None,
    frame: Frame,
    parameters: Mapping[str, Any],
    before: RNNSequenceRegressor | None,
    *,
    caller: str,
) -> Trained:
    """Scale series and train a network on them.

    Parameters
    ----------
    series : SeriesSet
    exogenous : SeriesSet or None
    frame : Frame
        Without scales, which are found here.
    parameters : mapping
        Of training, by name.
    before : RNNSequenceRegressor or None
        The fit to go on from; it is not changed.
    caller : str
        What errors call the forecaster.
    """
    if exogenous is not None:
        rows = np.concatenate(exogenous.values)
        rounding = np.finfo(exogenous.dtype).eps / 2 * np.abs(rows).max(axis=0)
        with np.errstate(over="ignore", invalid="ignore"):
            frame = replace(frame, exogenous=fit_scale(rows, frame.scaling, rounding))
    check_lengths(series, frame, "y", caller=caller, targets=1)
    prepared = prepare_series(series, exogenous, frame, "y", caller=caller)
    if series.single:
        frame = replace(frame, own=prepared[0].scale)
    dtype = frame.dtype
    inputs = Ragged.from_sequences([frame.inputs(p) for p in prepared]).astype(dtype)
    targets = Ragged.from_sequences([p.steps[frame.past :] for p in prepared]).astype(dtype)

    regressor = _regressor_for(inputs, targets, parameters, before, caller)
    X, y, validation_data = inputs, targets, None
    if regressor.early_stopping:
        X, y, validation_data = _hold_out(inputs, targets, series, regressor, caller)
    # its notices concern an X that a user passed, and this one is made from the series
    task = prepare(regressor, X, y, None, validation_data)
    learned, notices = train(regressor, task)
    regressor._install(learned)
    return Trained(frame, prepared, inputs, targets, regressor, notices)


def calibrate_intervals(
    series: SeriesSet,
    exogenous: SeriesSet | None,
    frame: Frame,
    spread: NDArray[np.float64],
    parameters: Mapping[str, Any],
    before: RNNSequenceRegressor | None,
    *,
    caller: str,
) -> Calibrated:
    """Train a network without the latest steps, and see how well it forecasts them.

    Parameters
    ----------
    series, exogenous, frame, parameters, before, caller : as in `train_network`
    spread : (n, d) ndarray
        The units of the errors.
    """
    long, cuts = [], []
    for i, values in enumerate(series):
        n_steps = len(values) - frame.lost - frame.past
        n_later = n_held_back(n_steps)
        n_validated = 0
        if parameters["early_stopping"]:
            n_validated = _n_held_out(n_steps - n_later, parameters["validation_fraction"])
        if n_steps - n_later > n_validated:
            long.append(i)
            cuts.append(len(values) - n_later)
    if not long:
        return Calibrated(None, Calibration.without_errors(series.n_variables), [])

    series = series.take(long)
    heads, known = series.cut(cuts), None
    if exogenous is not None:
        exogenous = exogenous.take(long)
        known = exogenous.cut(cuts)
    parameters = {**parameters, "verbose": False}
    second = train_network(heads, known, frame, parameters, before, caller=caller)
    calibration = calibrate(
        series,
        exogenous,
        cuts=cuts,
        heads=second.prepared,
        frame=second.frame,
        network=second.regressor.network_,
        spread=spread[long],
    )
    # the first network has already warned of convergence
    others = [n for n in second.notices if n.category is not ConvergenceWarning]
    return Calibrated(second.regressor, calibration, others)


def _regressor_for(
    inputs: Ragged,
    targets: Ragged,
    parameters: Mapping[str, Any],
    before: RNNSequenceRegressor | None,
    caller: str,
) -> RNNSequenceRegressor:
    """Return what trains a network: a new one, or one that goes on from a fit."""
    if before is None:
        regressor = RNNSequenceRegressor(**parameters)
    else:
        old: RNN = before.network_
        sizes = (inputs.values.shape[1], targets.values.shape[1], inputs.values.dtype)
        if sizes != (old.n_inputs, old.n_outputs, old.dtype):
            raise ValueError(
                f"{caller} cannot go on from the fit before, whose network was {old!r}; set "
                f"warm_start=False, or leave lags, the variables and the precision as they were."
            )
        # fit puts new attributes in the place of old ones, and changes none
        regressor = copy.copy(before).set_params(**parameters)
    regressor._caller = caller
    return regressor


def _n_held_out(n_steps: int, fraction: float) -> int:
    """How many of the steps of a series early stopping holds out."""
    return max(2, math.ceil(fraction * n_steps))


def _hold_out(
    inputs: Ragged,
    targets: Ragged,
    series: SeriesSet,
    regressor: RNNSequenceRegressor,
    caller: str,
) -> tuple[Ragged, Ragged, tuple[Ragged, Ragged]]:
    """Cut the tail off each series: inputs and targets of the heads, and validation_data.

    The latter are whole series whose heads have no targets, so that the states reach the tails.
    """
    fraction = regressor.validation_fraction
    n_held_out = [_n_held_out(T, fraction) for T in inputs.lengths]
    for i, (n, T) in enumerate(zip(n_held_out, inputs.lengths, strict=True)):
        if n >= T:
            raise ValueError(
                f"{caller} got {series.name('y', i)} with {T} steps to learn, of which "
                f"early_stopping would hold out {n} by validation_fraction={fraction}, so that "
                f"none is left; set early_stopping=False, or give more steps.{series.hint('y')}"
            )
    heads = [
        Ragged.from_sequences([s[:-n] for s, n in zip(whole, n_held_out, strict=True)])
        for whole in (inputs, targets)
    ]
    tails = targets.values.copy()
    for first, last, n in zip(targets.offsets, targets.offsets[1:], n_held_out, strict=False):
        tails[first : last - n] = np.nan
    return heads[0], heads[1], (inputs, Ragged(tails, targets.offsets))
