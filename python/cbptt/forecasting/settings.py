"""The forecaster's parameters, and what they come to for the series at hand."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils._param_validation import StrOptions

from cbptt.data.integers import is_integer, read_integer, read_integers
from cbptt.estimators._parameters import (
    AT_LEAST_1,
    OPEN_SHARE,
    READ_IN_FIT,
    TrainingParameters,
    parameter,
    parameter_names,
    with_parameters,
)
from cbptt.estimators._snapshot import Snapshot
from cbptt.forecasting.framing import Frame
from cbptt.forecasting.series import SeriesSet

# What bptt_steps="auto" comes to.
WINDOW = 25


@with_parameters()
class ForecasterParameters(TrainingParameters, Snapshot):
    """The parameters of training, some with other values, and those of forecasts."""

    early_stopping: bool = parameter(
        default=True,
        allowed=["boolean"],
        kind="bool",
        doc="""
        Stop when the one-step forecasts of the held-out last steps no longer improve (by R^2), and
        restore the weights of the best epoch, as a network soon overfits a few hundred steps. The
        held-out steps are not used for training; their initial states come from the steps before.
        """,
    )
    validation_fraction: float = parameter(
        default=0.1,
        allowed=[OPEN_SHARE],
        kind="float in (0, 1)",
        doc="Fraction of the steps of each series that is held out at its end; at least 2 steps.",
    )
    bptt_steps: int | str | None = parameter(  # type: ignore[assignment]
        default="auto",
        allowed=[AT_LEAST_1, StrOptions({"auto"}), None],
        kind='int, None or "auto"',
        doc="""
        Let gradients flow back through at most this many steps, with a step of the solver after
        each window of this many steps; the hidden states are carried from window to window. None is
        the exact gradient. A single series is a single mini-batch, so None gives one step of the
        solver for each epoch. "auto" is 25, and None with solver="lbfgs". A dependency must be
        visible within a window, or within the lags, to be learned.
        """,
    )
    missing: str = parameter(
        default="error",
        allowed=[StrOptions({"error"})],
        kind='"error"',
        doc="NaN in a series is an error.",
    )
    dtype: str = parameter(
        default="auto",
        allowed=[StrOptions({"auto", "float32", "float64"})],
        kind='{"auto", "float32", "float64"}',
        doc="""
        Precision of the network and of the forecasts; "auto" is float32 if all of y and X are
        float32, else float64. Differences and scales are computed in float64.
        """,
    )
    lags: Any = parameter(
        default=1,
        allowed=[AT_LEAST_1, "array-like", READ_IN_FIT],
        kind="int or list of ints",
        doc="""
        Which earlier values are inputs: an int k means the last k steps; a list such as [1, 2, 24]
        means the values 1, 2 and 24 steps before.
        """,
    )
    differences: Any = parameter(
        default=None,
        allowed=[None, AT_LEAST_1, "array-like", READ_IN_FIT],
        kind="None, int or list of ints",
        doc="""
        Train on y_t - y_{t-p} instead of y_t. Use 1 for a series that drifts, the length of a
        season for a strong season, and [1, 12] for both differences in turn. Forecasts are in the
        units of y.
        """,
    )
    scaling: str | None = parameter(
        default="standard",
        allowed=[None, StrOptions({"standard", "minmax"})],
        kind='{"standard", "minmax", None}',
        doc="""
        Scale each variable of a series, after differences: to mean 0 and standard deviation 1, or
        to the range from 0 to 1. Constant variables are only shifted. A forecaster fitted on one
        series keeps its scale for any context; one fitted on several scales each series, and each
        context, by its own values. Exogenous variables are scaled in the same way, with one scale
        for all series.
        """,
    )

    def _frame_of(self, series: SeriesSet, exogenous: SeriesSet | None) -> Frame:
        """How series become inputs and targets, still without scales."""
        dtype = np.dtype(series.dtype if self.dtype == "auto" else self.dtype)
        if self.dtype == "auto" and exogenous is not None:
            dtype = np.result_type(dtype, exogenous.dtype)
        return Frame(
            lags=self._lags(),
            periods=self._periods(),
            scaling=self.scaling,
            own=None,
            exogenous=None,
            dtype=dtype,
        )

    def _lags(self) -> NDArray[np.intp]:
        """(l,) which earlier steps are inputs of a step."""
        if is_integer(self.lags):
            last = read_integer(self.lags, caller=self._name, name="lags")
            return np.arange(1, last + 1, dtype=np.intp)
        lags = read_integers(self.lags, caller=self._name, name="lags")
        if len(set(lags)) < len(lags):
            raise ValueError(f"{self._name} got lags={self.lags!r}; expected each lag once.")
        return np.array(lags, np.intp)

    def _periods(self) -> tuple[int, ...]:
        """The periods of the differences, in the order in which they are taken."""
        if self.differences is None:
            return ()
        if is_integer(self.differences):
            return (read_integer(self.differences, caller=self._name, name="differences"),)
        return tuple(read_integers(self.differences, caller=self._name, name="differences"))

    def _parameters_of_network(self, frame: Frame) -> dict[str, Any]:
        """The parameters of the estimator that trains the network."""
        parameters = {name: getattr(self, name) for name in parameter_names(TrainingParameters)}
        if self.bidirectional:
            raise ValueError(
                f"{self._name} cannot forecast with bidirectional=True, as the reverse direction "
                f"begins at the end of a series; use bidirectional=False."
            )
        if self.bptt_steps == "auto":
            parameters["bptt_steps"] = None if self.solver == "lbfgs" else WINDOW
        return parameters | {"dtype": frame.dtype.name}
