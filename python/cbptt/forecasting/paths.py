"""Forecasts that leave the range of numbers, and paths: forecasts with noise at each step."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbptt.data.integers import read_integer
from cbptt.estimators._notices import Notice
from cbptt.forecasting.framing import Frame, Origins, continue_origins
from cbptt.network import RNN

Array = NDArray[np.floating]

METHODS = ("bootstrap", "gaussian")


def check_paths(n_paths: Any, method: Any, *, caller: str) -> None:
    """Check how many paths are to be drawn, and how.

    Raises
    ------
    TypeError, ValueError
    """
    read_integer(n_paths, caller=caller, name="n_paths")
    if not isinstance(method, str) or method not in METHODS:
        raise ValueError(f"{caller} got method={method!r}; expected one of {METHODS}.")


def scaled_residuals(residuals: NDArray[Any], origins: Origins) -> NDArray[np.float64]:
    """Return the residuals of all series as the network sees them, (R, d).

    Parameters
    ----------
    residuals : (R,) or (R, d) ndarray, or for several series (n,) object ndarray of such
    origins : Origins
        Of the same series.
    """
    each = [residuals] if origins.single else list(residuals)
    d = origins.spread.shape[1]
    return np.concatenate(
        [r.reshape(-1, d) / spread for r, spread in zip(each, origins.spread, strict=True)]
    )


def draw_paths(
    origins: Origins,
    known: Array,
    frame: Frame,
    network: RNN,
    residuals: NDArray[np.float64],
    *,
    n_paths: int,
    method: str,
    rng: np.random.Generator,
) -> Array:
    """Return paths from each origin, (n, n_paths, H, d).

    Parameters
    ----------
    origins : Origins
    known : (n, H, e) ndarray
        Exogenous variables, as the network sees them.
    frame : Frame
    network : RNN
    residuals : (R, d) ndarray
        As the network sees them; the noise is drawn from them, once they are centred.
    n_paths : int
    method : {"bootstrap", "gaussian"}
    rng : Generator
    """
    residuals = residuals - residuals.mean(axis=0)
    R, d = residuals.shape
    rows, horizon = np.repeat(np.arange(len(origins)), n_paths), known.shape[1]
    if method == "bootstrap":
        noise = residuals[rng.integers(R, size=(len(rows), horizon))]
    else:
        moments, axes = np.linalg.eigh(residuals.T @ residuals / R)
        root = axes * np.sqrt(np.maximum(moments, 0))
        noise = rng.normal(size=(len(rows), horizon, d)) @ root.T
    paths = continue_origins(origins.take(rows), known[rows], frame, network, noise)
    return paths.reshape(len(origins), n_paths, horizon, d)


def notices_of_growth(forecast: Array, network: RNN, *, caller: str) -> list[Notice]:
    """Return a warning of forecasts (..., H, d) that are NaN from some step on, if any is."""
    good = np.isfinite(forecast).all(axis=-1).reshape(-1, forecast.shape[-2])
    if good.all():
        return []
    n, n_good, first = len(good), int(good[:, -1].sum()), int(good.sum(axis=1).min())
    those = (
        f"the forecast leaves the range of {network.dtype} at step {first} and is"
        if n == 1
        else f"{n - n_good} of {n} forecasts or paths leave the range of {network.dtype}, the "
        f"first one at step {first}, and are"
    )
    remedy = (
        "divide y by its size first"
        if network.activation in ("tanh", "logistic")
        else f"fit with activation='tanh', which is bounded, and not {network.activation!r}"
    )
    message = (
        f"{caller}: {those} NaN from there on: the network's predictions grow from step to step. "
        f"Request fewer steps, or {remedy}."
    )
    return [Notice(message, RuntimeWarning)]
