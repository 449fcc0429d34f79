"""Where forecasts begin: a fitted forecaster's arguments, read and checked against its fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbptt.data.integers import read_integer
from cbptt.data.times import Times
from cbptt.estimators._notices import Notice
from cbptt.forecasting.framing import Frame, Origins, check_lengths, find_origins, prepare_series
from cbptt.forecasting.series import (
    SeriesSet,
    check_columns,
    check_count,
    check_order,
    find_break,
    find_gap,
    read_exogenous,
    read_series,
)
from cbptt.network import RNN

Array = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Start:
    """Where forecasts begin, and what is known of their steps.

    Attributes
    ----------
    origins : Origins
        Of n series.
    known : (n, H, e) ndarray
        Exogenous variables of the steps, as the network sees them.
    notices : list of Notice
        What the user is to be warned of.
    """

    origins: Origins
    known: Array
    notices: list[Notice]


@dataclass(frozen=True, eq=False)
class Fitted:
    """A fit of a forecaster, with which what comes later must agree.

    Attributes
    ----------
    caller : str
        What errors call the forecaster.
    frame : Frame
    network : RNN
    origins : Origins
        At the ends of the fitted series.
    times : list of Times or None
        Those of the fitted series.
    n_variables, n_exogenous : int
    columns : dict
        The names of both, by "y" and "X"; None where they have none.
    """

    caller: str
    frame: Frame
    network: RNN
    origins: Origins
    times: Sequence[Times | None]
    n_variables: int
    n_exogenous: int
    columns: Mapping[str, tuple[str, ...] | None]

    def start(self, horizon: Any, X_future: Any, context: Any, X_context: Any) -> Start:
        """Read the arguments of `RNNForecaster.predict`.

        Raises
        ------
        TypeError, ValueError
            If one is not valid, or does not agree with the fit.
        """
        caller = self.caller
        horizon = read_integer(horizon, caller=caller, name="horizon")
        origins, times = self.origins, self.times
        notices: list[Notice] = []
        if context is not None:
            series, notices = self._read_context(context)
            origins, times = self._find_origins(series, X_context), series.times
        elif X_context is not None:
            raise ValueError(
                f"{caller} got X_context without context; expected both, or neither to go on from "
                f"the fitted series."
            )
        self._check_given(X_future, "X_future")
        if X_future is None:
            return Start(origins, self._scaled(None, len(origins), horizon), notices)
        future = read_series(
            X_future, caller=caller, name="X_future", single=origins.single, letter="e"
        )
        of = "fit" if context is None else "context"
        check_count(future, len(origins), "X_future", of, caller=caller)
        self._check_exogenous(future, "X_future")
        for i, x in enumerate(future):
            if len(x) != horizon:
                raise ValueError(
                    f"{caller} got {future.name('X_future', i)} with {len(x)} steps, but "
                    f"horizon={horizon}; expected a row for each step to forecast."
                )
        past = "the fitted y" if context is None else "context"
        if broken := find_break(future, times, "X_future", past, caller=caller):
            raise ValueError(broken)
        check_order(future, "X_future", caller=caller)
        return Start(origins, self._scaled(future.values, len(origins), horizon), notices)

    def read_later(self, y: Any, X: Any, *, check_times: bool) -> tuple[SeriesSet, list[Start]]:
        """Read the steps that follow the fitted series.

        Parameters
        ----------
        y, X : as in `RNNForecaster.score`
        check_times : bool
            Whether to warn where the times of y do not follow the fitted ones.

        Returns
        -------
        series : SeriesSet
        starts : list of Start, of one series each

        Raises
        ------
        TypeError, ValueError
            As `start`.
        """
        caller, origins = self.caller, self.origins
        series = read_series(y, caller=caller, single=origins.single)
        check_count(series, len(origins), "y", "fit", caller=caller)
        self._check_variables(series, "y")
        notices = []
        if check_times:
            broken = find_break(series, self.times, "y", "the fitted y", caller=caller)
            if broken:
                text = f"{broken} The score is that of other steps than the forecast's."
                notices = [Notice(text)]
        exogenous = self._read_exogenous(X, series, "X", "y")
        starts = []
        for i, values in enumerate(series):
            future = None if exogenous is None else [exogenous.values[i]]
            known = self._scaled(future, 1, len(values))
            starts.append(Start(origins.take([i]), known, notices if i == 0 else []))
        return series, starts

    # ---- the parts ----------------------------------------------------------------------------

    def _read_context(self, context: Any) -> tuple[SeriesSet, list[Notice]]:
        series = read_series(context, caller=self.caller, name="context")
        notices = check_times(series, "context", caller=self.caller)
        self._check_variables(series, "context")
        check_lengths(series, self.frame, "context", caller=self.caller, targets=0)
        return series, notices

    def _find_origins(self, series: SeriesSet, X_context: Any) -> Origins:
        exogenous = self._read_exogenous(X_context, series, "X_context", "context")
        prepared = prepare_series(series, exogenous, self.frame, "context", caller=self.caller)
        return find_origins(series, prepared, self.frame, self.network)

    def _read_exogenous(self, X: Any, series: SeriesSet, name: str, of: str) -> SeriesSet | None:
        """Read exogenous variables of series, given where there were some in fit."""
        self._check_given(X, name)
        if X is None:
            return None
        exogenous = read_exogenous(X, series, caller=self.caller, name=name, of=of)
        self._check_exogenous(exogenous, name)
        return exogenous

    def _check_variables(self, series: SeriesSet, name: str) -> None:
        if series.n_variables != self.n_variables:
            raise ValueError(
                f"{self.caller} got {name} with {series.n_variables} variables, but was fitted on "
                f"series of {self.n_variables}; expected the same variables."
            )
        self._check_columns(series, name, "y")

    def _check_given(self, X: Any, name: str) -> None:
        """Exogenous variables are given where there were some in fit, and only there."""
        if (X is None) != (self.n_exogenous == 0):
            got = f"no {name}" if X is None else name
            had = "with" if X is None else "without"
            order = " fit takes the series first: fit(y, X)." if X is None else ""
            raise ValueError(
                f"{self.caller} got {got}, but was fitted {had} exogenous variables X; expected "
                f"{'them' if X is None else 'none'} here too.{order}"
            )

    def _check_exogenous(self, exogenous: SeriesSet, name: str) -> None:
        if exogenous.n_variables != self.n_exogenous:
            raise ValueError(
                f"{self.caller} got {name} with {exogenous.n_variables} variables, but was fitted "
                f"with {self.n_exogenous}; expected the same exogenous variables."
            )
        self._check_columns(exogenous, name, "X")

    def _check_columns(self, given: SeriesSet, name: str, of: str) -> None:
        who, has = f"{self.caller} got {name}", f"the {of} of fit had"
        check_columns(given.columns, self.columns[of], who, has)

    def _scaled(self, future: list[NDArray[np.float64]] | None, n: int, horizon: int) -> Array:
        """(n, H, e) exogenous variables as the network sees them."""
        scale = self.frame.exogenous
        if future is None or scale is None:
            return np.empty((n, horizon, 0), self.frame.dtype)
        return np.stack([scale.apply(x) for x in future]).astype(self.frame.dtype)


def check_times(series: SeriesSet, name: str, *, caller: str) -> list[Notice]:
    """Refuse steps out of order; return a warning where a step may be missing between two.

    Raises
    ------
    ValueError
    """
    check_order(series, name, caller=caller)
    gap = find_gap(series, name)
    return [Notice(f"{caller}: {gap}")] if gap else []
