"""The forecaster: a network that tells the next step of a series, and goes on from what it told."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Sequence
from numbers import Integral
from typing import Any, ClassVar, Self, Unpack

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import Tags
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metadata_routing import UNUSED
from sklearn.utils.validation import check_is_fitted

from cbptt.estimators._base import _frames_below_caller
from cbptt.estimators._frames import (
    Frame,
    Origins,
    check_lengths,
    find_origins,
    prepare_series,
)
from cbptt.estimators._parameters import (
    CONSTRAINTS,
    SharedParameters,
    TrainingParameters,
    documented,
    make_generator,
)
from cbptt.estimators._regressors import RNNSequenceRegressor
from cbptt.estimators._splits import shuffles_time
from cbptt.network import RNN
from cbptt.rollout import continue_series
from cbptt.sequences import Ragged, Sequences
from cbptt.series import (
    SeriesSet,
    check_columns,
    check_count,
    check_integer,
    check_order,
    find_break,
    find_gap,
    fit_scale,
    in_units_of,
    integrate,
    naive_error,
    read_exogenous,
    read_integers,
    read_series,
)
from cbptt.times import Times

Array = NDArray[np.floating]

# What bptt_steps="auto" comes to.
WINDOW = 25
METHODS = ("bootstrap", "gaussian")
_AT_LEAST_1 = Interval(Integral, 1, None, closed="left")
# What the forecaster tells of its network's fit.
_OF_TRAINING = (
    *("network_", "n_iter_", "t_", "loss_", "best_loss_", "loss_curve_", "grad_norm_curve_"),
    *("clip_rate_", "validation_loss_curve_", "validation_scores_", "best_validation_score_"),
)


class _Regressor(RNNSequenceRegressor, auto_wrap_output_keys=None):
    """The network's fit; what it complains of, it does in the name of the forecaster."""


_Regressor.__name__ = "RNNForecaster"


@documented(
    TrainingParameters.__init__,
    without=(
        *("coefs_", "recurrent_coefs_", "intercepts_", "feature_names_in_"),
        *("n_outputs_", "n_layers_", "out_activation_"),
    ),
)
class RNNForecaster(TrainingParameters, BaseEstimator):  # type: ignore[misc]
    """Recurrent network that continues series.

    It is trained to tell each step from some of the steps before it, their true values, and from
    the exogenous variables of the step itself (teacher forcing, Williams & Zipser 1989). To
    forecast, it runs over the whole past and then goes on from what it told itself. Unlike those of
    the other estimators the first argument of `fit` is y, so that scikit-learn's cross-validation
    cuts the series: ``cross_val_score(forecaster, y, X, cv=TimeSeriesSplit(5))``.

    Parameters
    ----------
    <parameters>
    early_stopping : bool, default=True
        Stop when the one-step forecasts of the held-out tails cease to improve (by R^2), and
        restore the weights of the best epoch: some hundred steps are soon learned by heart. The
        tails are not trained on; the states that enter them come from the steps before.
    validation_fraction : float in (0, 1), default=0.1
        The share of its steps that is the tail of each series; at least 2 steps are.
    missing : "error"
        NaN in a series is an error.
    bptt_steps : int, None or "auto", default="auto"
        Let a gradient flow back through so many steps at the most, with a step of the solver after
        each window of so many steps; the hidden states are carried from window to window. A
        single series is a single mini-batch, so the exact gradient, which None stands for, gives
        one step of the solver for each epoch; "auto" is 25, for some tens of them where there are
        some hundred steps, and None with solver="lbfgs". Something that has to be learned must show
        within a window, or be within the lags.
    dtype : {"auto", "float32", "float64"}, default="auto"
        Precision of the network and of the forecasts; "auto" is float32 where all of y and X are,
        else float64. Differences and scales are computed in float64.
    lags : int or list of ints, default=1
        Which steps before a step the network is told: the last so many, or those so many steps
        before, as [1, 2, 24].
    differences : None, int or list of ints, default=None
        Train on y_t - y_{t-p} instead of y_t: 1 for a series without a level of its own, the
        length of a season for one with a strong season, [1, 12] for one after the other. Forecasts
        are of y again.
    scaling : {"standard", "minmax", None}, default="standard"
        Bring each variable of a series to mean 0 and deviation 1, or to 0 and 1 as its smallest and
        largest value, after differences; constant ones are only shifted. A forecaster of one
        series keeps its scale for any context; one of several scales each series, and each
        context, by its own values. Exogenous variables are scaled likewise, those of all series
        by one scale.

    Attributes
    ----------
    <attributes>
    n_features_in_ : int
        Number of variables d of the series.
    n_exogenous_ : int
        Number of exogenous variables e.
    residuals_ : (R,) or (R, d) ndarray, or for several series (n,) object ndarray of such
        y_t minus its one-step forecast, for each step that has all lags before it, in the units of
        y. The tail that early stopping holds out is among these steps.

    See Also
    --------
    cbptt.backtest : How well a forecaster would have done at many origins.
    RNNSequenceRegressor : Any numbers for each step.

    Notes
    -----
    The residuals are those of the steps that were learned from: a network that has learned them by
    heart leaves small ones, and then intervals are too narrow. `cbptt.backtest` tells.

    Examples
    --------
    >>> import numpy as np
    >>> from cbptt import RNNForecaster
    >>> t = np.arange(300)
    >>> y = 10 + np.sin(2 * np.pi * t / 20)
    >>> forecaster = RNNForecaster(16, lags=2, random_state=0).fit(y[:280])
    >>> bool(abs(forecaster.predict(20) - y[280:]).max() < 0.2)
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = CONSTRAINTS | {
        "bptt_steps": [StrOptions({"auto"}), *CONSTRAINTS["bptt_steps"]],
        "missing": [StrOptions({"error"})],
        "lags": [_AT_LEAST_1, "array-like"],
        "differences": [None, _AT_LEAST_1, "array-like"],
        "scaling": [None, StrOptions({"standard", "minmax"})],
    }
    __metadata_request__predict: ClassVar[dict[str, str]] = {
        "horizon": UNUSED,
        "X_future": UNUSED,
        "context": UNUSED,
        "X_context": UNUSED,
    }

    def __init__(
        self,
        hidden_layer_sizes: Any = 64,
        *,
        lags: Any = 1,
        differences: Any = None,
        scaling: str | None = "standard",
        early_stopping: bool = True,
        bptt_steps: int | str | None = "auto",
        **parameters: Unpack[SharedParameters],
    ) -> None:
        super().__init__(hidden_layer_sizes, early_stopping=early_stopping, **parameters)
        self.lags = lags
        self.differences = differences
        self.scaling = scaling
        self.bptt_steps: int | str | None = bptt_steps  # type: ignore[assignment]

    # ---- fit ----------------------------------------------------------------------------------

    def fit(self, y: Any, X: Any = None) -> Self:
        """Train on one series or on several.

        Parameters
        ----------
        y : (T,) or (T, d) array, or a list of them
            A series, or several, of the same variables and of any lengths.
        X : (T, e) or (T,) array, or a list of them, default=None
            Exogenous variables that are known ahead, as the calendar is: row t is an input of
            step t. Where both y and X have times, as an index of dates, these must be the same.

        Returns
        -------
        self : fitted estimator

        Raises
        ------
        ValueError, TypeError
            Where a parameter or a series does not fit, one is too short, the times of y go back,
            or X has others; the message names it, and what was learned before stays as it was.

        Warns
        -----
        ConvergenceWarning, UserWarning
            As `RNNSequenceRegressor.fit` does.
        UserWarning
            Where the times of y are not equally far apart, or a split of scikit-learn's
            cross-validation tests other steps than those that follow y.
        """
        self._validate_params()
        lags, periods = self._lags(), self._periods()
        series = read_series(y, caller=self._name)
        if shuffles_time(self):
            self._warn(
                f"{self._name} got a split whose test does not follow the steps of training, but "
                "a forecast continues these; use cv=TimeSeriesSplit(), without a gap."
            )
        else:
            self._check_times(series, "y")
        exogenous = None
        if X is not None:
            exogenous = self._read_exogenous(X, series, name="X", of="y")
        dtype = np.dtype(self.dtype if self.dtype != "auto" else series.dtype)
        if self.dtype == "auto" and exogenous is not None:
            dtype = np.result_type(dtype, exogenous.dtype)

        scale = None
        if exogenous is not None:
            rows = np.concatenate(exogenous.values)
            rounding = np.finfo(exogenous.dtype).eps / 2 * np.abs(rows).max(axis=0)
            with np.errstate(over="ignore", invalid="ignore"):
                scale = fit_scale(rows, self.scaling, rounding)
        frame = Frame(lags, periods, self.scaling, None, scale, dtype)
        check_lengths(series, frame, "y", caller=self._name, targets=1)
        prepared = prepare_series(series, exogenous, frame, "y", caller=self._name)
        if series.single:
            frame = Frame(lags, periods, self.scaling, prepared[0].scale, scale, dtype)
        inputs = Ragged.from_sequences([frame.inputs(p) for p in prepared]).astype(dtype)
        targets = Ragged.from_sequences([p.steps[frame.past :] for p in prepared]).astype(dtype)

        regressor = self._regressor_for(inputs, series.n_variables, frame)
        if self.early_stopping:
            *heads, validation_data = self._hold_out(inputs, targets, series)
            regressor.fit(*heads, validation_data=validation_data)
        else:
            regressor.fit(inputs, targets)
        network = regressor.network_

        outputs = network.outputs(Sequences(inputs.values, inputs.offsets, "ragged"))
        spreads = np.repeat([p.scale.spread for p in prepared], inputs.lengths, axis=0)
        residuals = np.ascontiguousarray((targets.values - outputs) * spreads)
        ragged = Ragged(residuals[:, 0].copy() if series.flat else residuals, inputs.offsets)

        self._regressor = regressor
        for name in _OF_TRAINING:
            setattr(self, name, getattr(regressor, name))
        self.n_features_in_ = series.n_variables
        self.n_exogenous_ = 0 if exogenous is None else exogenous.n_variables
        self.residuals_ = ragged[0] if series.single else np.asarray(ragged)
        self._columns = {
            "y": series.columns,
            "X": None if exogenous is None else exogenous.columns,
        }
        self._times = series.times
        self._frame = frame
        self._origins = find_origins(series, prepared, frame, network)
        self._naive_errors = np.array([naive_error(values) for values in series])
        return self

    def _lags(self) -> NDArray[np.intp]:
        """(l,) which steps before a step are told."""
        if isinstance(self.lags, Integral):
            last = check_integer(self.lags, caller=self._name, name="lags")
            return np.arange(1, last + 1, dtype=np.intp)
        lags = read_integers(self.lags, caller=self._name, name="lags")
        if len(set(lags)) < len(lags):
            raise ValueError(f"{self._name} got lags={self.lags!r}; expected each lag once.")
        return np.array(lags, np.intp)

    def _periods(self) -> tuple[int, ...]:
        """The periods of the differences, in the order in which they are taken."""
        if self.differences is None:
            return ()
        if isinstance(self.differences, Integral):
            return (check_integer(self.differences, caller=self._name, name="differences"),)
        return tuple(read_integers(self.differences, caller=self._name, name="differences"))

    @property
    def _name(self) -> str:
        return type(self).__name__

    def _regressor_for(self, inputs: Ragged, n_variables: int, frame: Frame) -> _Regressor:
        """Return what trains the network: a new one, or with warm_start what goes on."""
        parameters = {name: getattr(self, name) for name in CONSTRAINTS}
        if self.bptt_steps == "auto":
            parameters["bptt_steps"] = None if self.solver == "lbfgs" else WINDOW
        parameters["dtype"] = frame.dtype.name
        if not (self.warm_start and hasattr(self, "_regressor")):
            return _Regressor(**parameters)
        before: RNN = self.network_
        sizes = (inputs.values.shape[1], n_variables, frame.dtype)
        if sizes != (before.n_inputs, before.n_outputs, before.dtype):
            raise ValueError(
                f"{self._name} cannot go on from the fit before, whose network was {before!r}; set "
                f"warm_start=False, or leave lags, the variables and the precision as they were."
            )
        # fit puts new attributes in the place of old ones, and changes none
        return copy.copy(self._regressor).set_params(**parameters)  # type: ignore[no-any-return]

    def _hold_out(
        self, inputs: Ragged, targets: Ragged, series: SeriesSet
    ) -> tuple[Ragged, Ragged, Any]:
        """Cut the tail off each series: inputs and targets of the heads, and validation_data.

        The latter are whole series whose heads have no targets, so that the states reach the tails.
        """
        n_held_out = [max(2, math.ceil(self.validation_fraction * T)) for T in inputs.lengths]
        for i, (n, T) in enumerate(zip(n_held_out, inputs.lengths, strict=True)):
            if n >= T:
                raise ValueError(
                    f"{self._name} got {series.name('y', i)} with {T} steps to learn, of which "
                    f"early_stopping would hold out {n} by validation_fraction="
                    f"{self.validation_fraction}, so that none is left; set early_stopping=False, "
                    f"or give more steps.{series.hint('y')}"
                )
        heads = [
            Ragged.from_sequences([s[:-n] for s, n in zip(whole, n_held_out, strict=True)])
            for whole in (inputs, targets)
        ]
        tails = targets.values.copy()
        for first, last, n in zip(targets.offsets, targets.offsets[1:], n_held_out, strict=False):
            tails[first : last - n] = np.nan
        return heads[0], heads[1], (inputs, Ragged(tails, targets.offsets))

    def _check_times(self, series: SeriesSet, name: str) -> None:
        """Refuse steps out of order, and warn where a step may be missing between two."""
        check_order(series, name, caller=self._name)
        if gap := find_gap(series, name):
            self._warn(f"{self._name}: {gap}")

    def _warn(self, message: str) -> None:
        warnings.warn(message, UserWarning, stacklevel=_frames_below_caller())

    def _read_exogenous(self, X: Any, series: SeriesSet, *, name: str, of: str) -> SeriesSet:
        return read_exogenous(X, series, caller=self._name, name=name, of=of)

    # ---- forecasts ----------------------------------------------------------------------------

    def predict(
        self, horizon: int, X_future: Any = None, *, context: Any = None, X_context: Any = None
    ) -> Array:
        """Forecast the steps after the fitted series, or after others.

        Parameters
        ----------
        horizon : int
            Number of steps H.
        X_future : (H, e) or (H,) array; for several series a list, or (n, H, e), default=None
            The exogenous variables of these steps; needed where `fit` had X. Where it has times,
            they must follow those of y.
        context : (T,) or (T, d) array, or a list of them, default=None
            Series to continue, in place of the fitted ones. At least as many steps as the
            differences add up to and the largest lag; the network runs over all of them.
        X_context : (T, e) or (T,) array, or a list of them, default=None
            The exogenous variables of the context.

        Returns
        -------
        forecast : (H,) or (H, d) ndarray; for a list of series (n, H) or (n, H, d)

        Raises
        ------
        ValueError, TypeError
            Where an argument does not fit; the message names it.

        Warns
        -----
        RuntimeWarning
            Where a forecast leaves the range of its precision, as one of a network with relu may;
            it is NaN from that step on.
        """
        horizon, origins, known = self._begin(horizon, X_future, context, X_context)
        return origins.mirror(self._continue(origins, known))

    def simulate(
        self,
        horizon: int,
        n_paths: int = 100,
        *,
        X_future: Any = None,
        context: Any = None,
        X_context: Any = None,
        method: str = "bootstrap",
        random_state: int | np.random.RandomState | None = None,
    ) -> Array:
        """Draw paths that the series may take.

        At each step a residual of the fit, of all variables together, is added to what the network
        predicts, and the sum goes into the steps that follow. Residuals are centred first, so that
        paths do not drift.

        Parameters
        ----------
        horizon : int
            Number of steps H.
        n_paths : int, default=100
        X_future, context, X_context : as in `predict`
        method : {"bootstrap", "gaussian"}, default="bootstrap"
            Draw from the centred residuals, with replacement; or from the normal distribution of
            mean 0 and their covariance. Both after scaling, so that those of one series serve for
            another.
        random_state : int, RandomState or None, default=None
            An int gives the same paths every time.

        Returns
        -------
        paths : (n_paths, H) or (n_paths, H, d) ndarray; for a list of series with n in front

        Raises
        ------
        ValueError, TypeError
            Where an argument does not fit; the message names it.

        Warns
        -----
        RuntimeWarning
            Where a path leaves the range of its precision; it is NaN from that step on.
        """
        origins, paths = self._paths(
            horizon, n_paths, X_future, context, X_context, method, random_state
        )
        return origins.mirror(paths)

    def predict_interval(
        self,
        horizon: int,
        coverage: float = 0.9,
        *,
        X_future: Any = None,
        context: Any = None,
        X_context: Any = None,
        n_paths: int = 1000,
        method: str = "bootstrap",
        random_state: int | np.random.RandomState | None = None,
    ) -> Array:
        """Tell between which values each step will lie.

        Parameters
        ----------
        horizon : int
            Number of steps H.
        coverage : float in (0, 1), default=0.9
            The share of the paths of `simulate` that lie between, at each step by itself; as many
            lie below as above.
        X_future, context, X_context : as in `predict`
        n_paths, method, random_state : as in `simulate`

        Returns
        -------
        interval : (H, 2) or (H, d, 2) ndarray; for a list of series with n in front
            The lower and the upper end, on the last axis, as `conf_int` of statsmodels has them.

        Raises
        ------
        ValueError, TypeError
            Where an argument does not fit; the message names it.

        Warns
        -----
        RuntimeWarning
            Where a path leaves the range of its precision; the interval is NaN from that step on.
        """
        number = isinstance(coverage, (float, int, np.floating)) and not isinstance(coverage, bool)
        if not number or not 0 < coverage < 1:
            raise ValueError(
                f"{self._name} got coverage={coverage!r}; expected a number between 0 and 1, "
                f"as 0.9."
            )
        origins, paths = self._paths(
            horizon, n_paths, X_future, context, X_context, method, random_state
        )
        outside = (1 - coverage) / 2
        ends = np.quantile(paths, [outside, 1 - outside], axis=1).astype(paths.dtype, copy=False)
        return np.stack([origins.mirror(end) for end in ends], axis=-1)

    def score(self, y: Any, X: Any = None) -> float:
        """Return how well the continuation of the fitted series is forecast.

        It is minus the mean absolute scaled error (MASE, Hyndman & Koehler 2006): the error of each
        variable is divided by the mean absolute error that the naive forecast, the value before,
        has within its fitted series. -1 is as good as the latter at one step; larger is better. For
        several series it is the mean of theirs.

        Parameters
        ----------
        y : (H,) or (H, d) array, or a list of as many as were fitted on
            The steps that follow the fitted ones.
        X : (H, e) or (H,) array, or a list of them, default=None
            The exogenous variables of these steps.

        Returns
        -------
        score : float

        Raises
        ------
        ValueError, TypeError
            Where y or X does not fit; the message names it.

        Warns
        -----
        RuntimeWarning
            Where a forecast leaves the range of its precision; the score is NaN then.
        UserWarning
            Where the times of y do not follow those of the fitted series.
        """
        check_is_fitted(self)
        origins: Origins = self._origins
        series = read_series(y, caller=self._name, single=origins.single)
        check_count(series, len(origins), "y", "fit", caller=self._name)
        self._check_variables(series, "y")
        if not shuffles_time(self):  # of which fit has warned
            broken = find_break(series, self._times, "y", "the fitted y", caller=self._name)
            if broken:
                self._warn(f"{broken} The score is that of other steps than the forecast's.")
        exogenous = None
        self._check_given(X, "X")
        if X is not None:
            exogenous = self._read_exogenous(X, series, name="X", of="y")
            self._check_exogenous(exogenous, "X")
        errors = []
        for i, values in enumerate(series):
            known = self._scaled(
                None if exogenous is None else [exogenous.values[i]], 1, len(values)
            )
            told = self._continue(origins.take([i]), known)[0]
            errors.append(in_units_of(np.abs(values - told), self._naive_errors[i]).mean())
        return -float(np.mean(errors))

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.one_d_array = True
        tags.target_tags.required = False
        return tags

    # ---- forecasts: the parts -----------------------------------------------------------------

    def _begin(
        self, horizon: Any, X_future: Any, context: Any, X_context: Any
    ) -> tuple[int, Origins, Array]:
        """Check all arguments: H, where forecasts begin, and what is known of their steps."""
        check_is_fitted(self)
        horizon = check_integer(horizon, caller=self._name, name="horizon")
        origins: Origins = self._origins
        times = self._times
        if context is not None:
            origins, times = self._read_context(context, X_context)
        elif X_context is not None:
            raise ValueError(
                f"{self._name} got X_context without context; expected both, or neither to go on "
                f"from the fitted series."
            )
        self._check_given(X_future, "X_future")
        if X_future is None:
            return horizon, origins, self._scaled(None, len(origins), horizon)
        future = read_series(
            X_future, caller=self._name, name="X_future", single=origins.single, letter="e"
        )
        of = "fit" if context is None else "context"
        check_count(future, len(origins), "X_future", of, caller=self._name)
        self._check_exogenous(future, "X_future")
        for i, x in enumerate(future):
            if len(x) != horizon:
                raise ValueError(
                    f"{self._name} got {future.name('X_future', i)} with {len(x)} steps, but "
                    f"horizon={horizon}; expected a row for each step to forecast."
                )
        past = "the fitted y" if context is None else "context"
        if broken := find_break(future, times, "X_future", past, caller=self._name):
            raise ValueError(broken)
        return horizon, origins, self._scaled(future.values, len(origins), horizon)

    def _read_context(self, context: Any, X_context: Any) -> tuple[Origins, Sequence[Times | None]]:
        series = read_series(context, caller=self._name, name="context")
        self._check_times(series, "context")
        self._check_variables(series, "context")
        check_lengths(series, self._frame, "context", caller=self._name, targets=0)
        self._check_given(X_context, "X_context")
        exogenous = None
        if X_context is not None:
            exogenous = self._read_exogenous(X_context, series, name="X_context", of="context")
            self._check_exogenous(exogenous, "X_context")
        prepared = prepare_series(series, exogenous, self._frame, "context", caller=self._name)
        return find_origins(series, prepared, self._frame, self.network_), series.times

    def _check_variables(self, series: SeriesSet, name: str) -> None:
        if series.n_variables != self.n_features_in_:
            raise ValueError(
                f"{self._name} got {name} with {series.n_variables} variables, but was fitted on "
                f"series of {self.n_features_in_}; expected the same variables."
            )
        self._check_columns(series, name, "y")

    def _check_given(self, X: Any, name: str) -> None:
        """Exogenous variables are given where there were some in fit, and only there."""
        if (X is None) != (self.n_exogenous_ == 0):
            got = f"no {name}" if X is None else name
            had = "with" if X is None else "without"
            raise ValueError(
                f"{self._name} got {got}, but was fitted {had} exogenous variables X; expected "
                f"{'them' if X is None else 'none'} here too."
            )

    def _check_exogenous(self, exogenous: SeriesSet, name: str) -> None:
        if exogenous.n_variables != self.n_exogenous_:
            raise ValueError(
                f"{self._name} got {name} with {exogenous.n_variables} variables, but was fitted "
                f"with {self.n_exogenous_}; expected the same exogenous variables."
            )
        self._check_columns(exogenous, name, "X")

    def _check_columns(self, given: SeriesSet, name: str, of: str) -> None:
        who, has = f"{self._name} got {name}", f"the {of} of fit had"
        check_columns(given.columns, self._columns[of], who, has)

    def _scaled(self, future: list[NDArray[np.float64]] | None, n: int, horizon: int) -> Array:
        """(n, H, e) exogenous variables as the network sees them."""
        scale = self._frame.exogenous
        if future is None or scale is None:
            return np.empty((n, horizon, 0), self._frame.dtype)
        return np.stack([scale.apply(x) for x in future]).astype(self._frame.dtype)

    def _continue(self, origins: Origins, known: Array, noise: Array | None = None) -> Array:
        """(n, H, d) forecasts in the units of the series, NaN once they are out of range."""
        frame: Frame = self._frame
        steps = continue_series(
            self.network_, origins.past, origins.states, known, frame.lags, noise
        )
        with np.errstate(over="ignore", invalid="ignore"):
            values = steps * origins.spread[:, None] + origins.center[:, None]
            told = integrate(values, origins.ends, frame.periods).astype(frame.dtype, copy=False)
        good = np.logical_and.accumulate(np.isfinite(told).all(axis=2), axis=1)
        if not good.all():
            told[~good] = np.nan
            self._warn_of_growth(good)
        return told

    def _warn_of_growth(self, good: NDArray[np.bool_]) -> None:
        """Tell of forecasts (n, H) that are good up to some step only."""
        n, n_good, first = len(good), int(good[:, -1].sum()), int(good.sum(axis=1).min())
        network: RNN = self.network_
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
        warnings.warn(
            f"{self._name}: {those} NaN from there on: what the network tells grows from step to "
            f"step. Ask for fewer steps, or {remedy}.",
            RuntimeWarning,
            stacklevel=_frames_below_caller(),
        )

    def _paths(
        self,
        horizon: Any,
        n_paths: Any,
        X_future: Any,
        context: Any,
        X_context: Any,
        method: Any,
        random_state: Any,
    ) -> tuple[Origins, Array]:
        """Where paths begin, and sample paths (n, n_paths, H, d)."""
        n_paths = check_integer(n_paths, caller=self._name, name="n_paths")
        if not isinstance(method, str) or method not in METHODS:
            raise ValueError(f"{self._name} got method={method!r}; expected one of {METHODS}.")
        horizon, origins, known = self._begin(horizon, X_future, context, X_context)
        rng = make_generator(random_state, self._name)
        residuals = self._scaled_residuals()
        residuals -= residuals.mean(axis=0)
        R, d = residuals.shape
        rows = np.repeat(np.arange(len(origins)), n_paths)
        if method == "bootstrap":
            noise = residuals[rng.integers(R, size=(len(rows), horizon))]
        else:
            moments, axes = np.linalg.eigh(residuals.T @ residuals / R)
            root = axes * np.sqrt(np.maximum(moments, 0))
            noise = rng.normal(size=(len(rows), horizon, d)) @ root.T
        paths = self._continue(origins.take(rows), known[rows], noise)
        return origins, paths.reshape(len(origins), n_paths, horizon, d)

    def _scaled_residuals(self) -> NDArray[np.float64]:
        """(R, d) residuals of all series, as the network sees them."""
        origins: Origins = self._origins
        each = [self.residuals_] if origins.single else list(self.residuals_)
        d = self.n_features_in_
        return np.concatenate(
            [r.reshape(-1, d) / spread for r, spread in zip(each, origins.spread, strict=True)]
        )
