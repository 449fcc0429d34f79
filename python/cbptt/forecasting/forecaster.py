"""The forecaster: a network that tells the next step of a series, and goes on from what it told."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self, Unpack

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import Tags
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.metadata_routing import UNUSED

from cbptt.data.integers import is_integer, read_integer, read_integers
from cbptt.data.ragged import Ragged
from cbptt.data.sequences import Sequences
from cbptt.data.times import Times
from cbptt.estimators._base import _frames_below_caller
from cbptt.estimators._parameters import (
    AT_LEAST_1,
    CONSTRAINTS,
    READ_IN_FIT,
    SharedParameters,
    TrainingParameters,
    documented,
    make_generator,
)
from cbptt.estimators._regressors import RNNSequenceRegressor
from cbptt.estimators._snapshot import Snapshot
from cbptt.forecasting.framing import (
    Frame,
    Origins,
    Prepared,
    check_lengths,
    continue_origins,
    correct_bias,
    find_origins,
    prepare_series,
)
from cbptt.forecasting.intervals import Calibration, calibrate, n_held_back
from cbptt.forecasting.series import (
    SeriesSet,
    check_columns,
    check_count,
    check_order,
    find_break,
    find_gap,
    fit_scale,
    in_units_of,
    naive_error,
    read_exogenous,
    read_series,
)
from cbptt.forecasting.splits import shuffles_time
from cbptt.network import RNN

Array = NDArray[np.floating]

# What bptt_steps="auto" comes to.
WINDOW = 25
METHODS = ("bootstrap", "gaussian")
# What the forecaster tells of its network's fit.
_OF_TRAINING = (
    *("network_", "n_iter_", "t_", "loss_", "best_loss_", "loss_curve_", "grad_norm_curve_"),
    *("clip_rate_", "validation_loss_curve_", "validation_scores_", "best_validation_score_"),
)


class _Regressor(RNNSequenceRegressor, auto_wrap_output_keys=None):
    """The network's fit; what it complains of, it does in the name of the forecaster."""

    def _warn_of_misreading(self, X: Any, sequences: Sequences, replicates: bool) -> None:
        """The forecaster made X of the series, so there is no other reading."""


_Regressor.__name__ = "RNNForecaster"


@dataclass(frozen=True, eq=False)
class _Trained:
    """A network, and what it was trained on.

    Attributes
    ----------
    frame : how series become inputs and targets.
    prepared : the series, as the network sees them.
    inputs, targets : of all steps that have the lags before them.
    regressor : the fit of the network.
    """

    frame: Frame
    prepared: list[Prepared]
    inputs: Ragged
    targets: Ragged
    regressor: _Regressor


@documented(
    TrainingParameters.__init__,
    without=(
        *("coefs_", "recurrent_coefs_", "intercepts_", "feature_names_in_"),
        *("n_outputs_", "n_layers_", "out_activation_"),
    ),
)
class RNNForecaster(TrainingParameters, Snapshot, BaseEstimator):  # type: ignore[misc]
    """Recurrent network forecaster for series.

    It is trained to predict each step from the observed values of earlier steps and from the
    exogenous variables of the step itself (teacher forcing, Williams & Zipser 1989). To forecast,
    it runs over the whole past, and then feeds its predictions back as inputs. Unlike with the
    other estimators, the first argument of `fit` is y, so that scikit-learn's cross-validation
    splits the series: ``cross_val_score(forecaster, y, X, cv=TimeSeriesSplit(5))``.

    Parameters
    ----------
    <parameters>
    early_stopping : bool, default=True
        Stop when the one-step forecasts of the held-out last steps no longer improve (by R^2), and
        restore the weights of the best epoch, as a network soon overfits a few hundred steps. The
        held-out steps are not used for training; their initial states come from the steps before.
    validation_fraction : float in (0, 1), default=0.1
        Fraction of the steps of each series that is held out at its end; at least 2 steps.
    missing : "error"
        NaN in a series is an error.
    bptt_steps : int, None or "auto", default="auto"
        Let gradients flow back through at most this many steps, with a step of the solver after
        each window of this many steps; the hidden states are carried from window to window. None is
        the exact gradient. A single series is a single mini-batch, so None gives one step of the
        solver for each epoch. "auto" is 25, and None with solver="lbfgs". A dependency must be
        visible within a window, or within the lags, to be learned.
    dtype : {"auto", "float32", "float64"}, default="auto"
        Precision of the network and of the forecasts; "auto" is float32 if all of y and X are
        float32, else float64. Differences and scales are computed in float64.
    lags : int or list of ints, default=1
        Which earlier values are inputs: an int k means the last k steps; a list such as [1, 2, 24]
        means the values 1, 2 and 24 steps before.
    differences : None, int or list of ints, default=None
        Train on y_t - y_{t-p} instead of y_t. Use 1 for a series that drifts, the length of a
        season for a strong season, and [1, 12] for both differences in turn. Forecasts are in the
        units of y.
    scaling : {"standard", "minmax", None}, default="standard"
        Scale each variable of a series, after differences: to mean 0 and standard deviation 1, or
        to the range from 0 to 1. Constant variables are only shifted. A forecaster fitted on one
        series keeps its scale for any context; one fitted on several scales each series, and each
        context, by its own values. Exogenous variables are scaled in the same way, with one scale
        for all series.

    Attributes
    ----------
    <attributes>
    n_features_in_ : int
        Number of variables d of the series.
    n_exogenous_ : int
        Number of exogenous variables e.
    residuals_ : (R,) or (R, d) ndarray, or for several series (n,) object ndarray of such
        y_t minus its one-step forecast, for each step that has all lags before it, in the units of
        y. The steps that early stopping holds out are included.
    calibration_errors_ : (E, H) or (E, H, d) ndarray
        Errors from which `predict_interval` computes intervals: of forecasts of up to H steps from
        E origins, by a second network that was not trained on the steps after them. They are
        divided by the spread that `scaling` found in the series. NaN where the series ends before.
        (0, 0) or (0, 0, d) if all series are too short for such a network.
    bias_correction_ : bool
        Whether intervals are corrected by the errors before their origin, see Notes; then
        `calibration_errors_` are the errors of corrected forecasts.

    See Also
    --------
    cbptt.backtest : Errors of a forecaster from many origins.
    RNNSequenceRegressor : Any numbers for each step.

    Notes
    -----
    `fit` trains a second network without the latest fifth of each series, and forecasts that fifth
    from every origin in it, or from a thousand of them. `predict_interval` adds quantiles of these
    errors to forecasts and subtracts them, for each step separately: split conformal prediction
    over rolling origins (Stankeviciute, Alaa & van der Schaar 2021). As forecasts from origins near
    each other have errors in common, the quantile is one of a smaller sample, whose size is
    estimated from the autocorrelations of the errors. So `fit` takes about 1.8 times as long as the
    training of the network alone.

    Outside its training range, a network may have about the same error for many steps. This bias is
    estimated by a mean of the errors before an origin, with weights that fall by 15 per cent with
    each step back. If adding the bias to the output at each step improves forecasts of the latest
    fifth by at least 5 per cent, intervals are centred on such a corrected forecast, and are
    widened to contain the forecast of `predict` too. `predict` itself does not change.

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
        "lags": [AT_LEAST_1, "array-like", READ_IN_FIT],
        "differences": [None, AT_LEAST_1, "array-like", READ_IN_FIT],
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
            Exogenous variables that are known ahead, such as calendar features: row t is an input
            of step t. If both y and X have times, such as an index of dates, these must be the
            same.

        Returns
        -------
        self : fitted estimator

        Raises
        ------
        ValueError, TypeError
            If a parameter or a series is not valid, a series is too short, the times of y decrease
            or repeat, or X has others; the message names it, and what was learned before stays as
            it was.

        Warns
        -----
        ConvergenceWarning, UserWarning
            As `RNNSequenceRegressor.fit` does.
        UserWarning
            If the times of y are not equally spaced, or a split of scikit-learn's cross-validation
            tests other steps than those that follow y.
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

        earlier = self._copied() if self.warm_start else None
        before: _Regressor | None = getattr(earlier, "_regressor", None)
        frame = Frame(lags, periods, self.scaling, None, None, dtype)
        trained = self._train(series, exogenous, frame, before)
        network = trained.regressor.network_

        inputs, targets = trained.inputs, trained.targets
        outputs = network.outputs(Sequences(inputs.values, inputs.offsets, "ragged"))
        spread = np.stack([p.scale.spread for p in trained.prepared])
        residuals = (targets.values - outputs) * np.repeat(spread, inputs.lengths, axis=0)
        residuals = np.ascontiguousarray(residuals)
        ragged = Ragged(residuals[:, 0].copy() if series.flat else residuals, inputs.offsets)
        second, calibration = None, Calibration.without_errors(series.n_variables)
        if not trained.regressor._was_interrupted:
            before = getattr(earlier, "_second", None)
            second, calibration = self._calibrate(series, exogenous, frame, spread, before)
        origins = find_origins(series, trained.prepared, trained.frame, network)

        learned = {name: getattr(trained.regressor, name) for name in _OF_TRAINING}
        learned |= {
            "_regressor": trained.regressor,
            "n_features_in_": series.n_variables,
            "n_exogenous_": 0 if exogenous is None else exogenous.n_variables,
            "residuals_": ragged[0] if series.single else np.asarray(ragged),
            "_calibration": calibration,
            "_second": second if self.warm_start else None,
            "_columns": {
                "y": series.columns,
                "X": None if exogenous is None else exogenous.columns,
            },
            "_times": series.times,
            "_frame": trained.frame,
            "_origins": origins,
            "_naive_errors": np.array([naive_error(values) for values in series]),
        }
        return self._install(learned)

    def _train(
        self,
        series: SeriesSet,
        exogenous: SeriesSet | None,
        frame: Frame,
        before: _Regressor | None,
        **parameters: Any,
    ) -> _Trained:
        """Scale series and train a network on them.

        frame : without scales, which are found here.
        before : the fit to go on from, if any.
        parameters : take the place of the forecaster's own.
        """
        if exogenous is not None:
            rows = np.concatenate(exogenous.values)
            rounding = np.finfo(exogenous.dtype).eps / 2 * np.abs(rows).max(axis=0)
            with np.errstate(over="ignore", invalid="ignore"):
                frame = replace(frame, exogenous=fit_scale(rows, self.scaling, rounding))
        check_lengths(series, frame, "y", caller=self._name, targets=1)
        prepared = prepare_series(series, exogenous, frame, "y", caller=self._name)
        if series.single:
            frame = replace(frame, own=prepared[0].scale)
        dtype = frame.dtype
        inputs = Ragged.from_sequences([frame.inputs(p) for p in prepared]).astype(dtype)
        targets = Ragged.from_sequences([p.steps[frame.past :] for p in prepared]).astype(dtype)

        regressor = self._regressor_for(inputs, series.n_variables, frame, before)
        regressor.set_params(**parameters)
        if self.early_stopping:
            *heads, validation_data = self._hold_out(inputs, targets, series)
            regressor.fit(*heads, validation_data=validation_data)
        else:
            regressor.fit(inputs, targets)
        return _Trained(frame, prepared, inputs, targets, regressor)

    def _calibrate(
        self,
        series: SeriesSet,
        exogenous: SeriesSet | None,
        frame: Frame,
        spread: NDArray[np.float64],
        before: _Regressor | None,
    ) -> tuple[_Regressor | None, Calibration]:
        """Train a network without the latest steps, and see how well it forecasts them.

        frame : without scales.
        spread : (n, d) the units of the errors.
        before : the fit to go on from, if any.

        Returns the fit of that network, or None where all series are too short, and its errors.
        """
        long, cuts = [], []
        for i, values in enumerate(series):
            n_steps = len(values) - frame.lost - frame.past
            n_later = n_held_back(n_steps)
            n_validated = self._n_held_out(n_steps - n_later) if self.early_stopping else 0
            if n_steps - n_later > n_validated:
                long.append(i)
                cuts.append(len(values) - n_later)
        if not long:
            return None, Calibration.without_errors(series.n_variables)

        series = series.take(long)
        heads, known = series.cut(cuts), None
        if exogenous is not None:
            exogenous = exogenous.take(long)
            known = exogenous.cut(cuts)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the first network has warned
            second = self._train(heads, known, frame, before, verbose=False)
        network = second.regressor.network_
        return second.regressor, calibrate(
            series, exogenous, cuts, second.prepared, second.frame, network, spread[long]
        )

    def _lags(self) -> NDArray[np.intp]:
        """(l,) which steps before a step are told."""
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

    @property
    def calibration_errors_(self) -> Array:
        """Errors that intervals rest on: (E, H) or (E, H, d)."""
        errors: Array = self._calibration.errors
        return errors[..., 0] if self._origins.flat else errors

    @property
    def bias_correction_(self) -> bool:
        """Whether intervals follow the errors before their origin."""
        return bool(self._calibration.corrected)

    @property
    def _name(self) -> str:
        return type(self).__name__

    def _regressor_for(
        self, inputs: Ragged, n_variables: int, frame: Frame, fitted: _Regressor | None
    ) -> _Regressor:
        """Return what trains a network: a new one, or one that goes on from a fit."""
        parameters = {name: getattr(self, name) for name in CONSTRAINTS}
        if self.bptt_steps == "auto":
            parameters["bptt_steps"] = None if self.solver == "lbfgs" else WINDOW
        parameters["dtype"] = frame.dtype.name
        if fitted is None:
            return _Regressor(**parameters)
        before: RNN = fitted.network_
        sizes = (inputs.values.shape[1], n_variables, frame.dtype)
        if sizes != (before.n_inputs, before.n_outputs, before.dtype):
            raise ValueError(
                f"{self._name} cannot go on from the fit before, whose network was {before!r}; set "
                f"warm_start=False, or leave lags, the variables and the precision as they were."
            )
        # fit puts new attributes in the place of old ones, and changes none
        return copy.copy(fitted).set_params(**parameters)  # type: ignore[no-any-return]

    def _n_held_out(self, n_steps: int) -> int:
        """How many of the steps of a series early stopping holds out."""
        return max(2, math.ceil(self.validation_fraction * n_steps))

    def _hold_out(
        self, inputs: Ragged, targets: Ragged, series: SeriesSet
    ) -> tuple[Ragged, Ragged, Any]:
        """Cut the tail off each series: inputs and targets of the heads, and validation_data.

        The latter are whole series whose heads have no targets, so that the states reach the tails.
        """
        n_held_out = [self._n_held_out(T) for T in inputs.lengths]
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

    def _check_learned(self) -> None:
        """Refuse learned attributes that were changed, and do not belong together any more."""
        network, d, e = self.network_, self.n_features_in_, self.n_exogenous_
        if not isinstance(network, RNN):
            raise TypeError(
                f"{self._name} got network_ of type {type(network).__name__}; expected a cbptt.RNN."
            )
        n_inputs = d * len(self._frame.lags) + e
        if (network.n_inputs, network.n_outputs) != (n_inputs, d):
            raise ValueError(
                f"{self._name} has n_features_in_={d} and n_exogenous_={e}, which do not fit its "
                f"network_ of {network.n_inputs} inputs and {network.n_outputs} outputs; expected "
                f"all as fit left them. Fit again."
            )
        if network.output_activation != "identity":
            raise ValueError(
                f"{self._name} has network_ with output_activation={network.output_activation!r}; "
                f"expected 'identity', as fit left it. Fit again."
            )

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
            Series to forecast, instead of the fitted ones. They need at least as many steps as the
            sum of the differences and the largest lag; the network runs over all steps.
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
            If a forecast overflows, as one of a network with relu may; it is NaN from that step on.
        """
        model = self._snapshot()
        horizon, origins, known = model._begin(horizon, X_future, context, X_context)
        return origins.mirror(model._continue(origins, known))

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
        """Draw possible future paths of the series.

        At each step a residual of the fit, of all variables together, is added to the prediction of
        the network, and the sum is an input of the steps that follow. Residuals are centred first,
        so that paths do not drift. They are residuals of training steps, so paths spread less than
        the series will: for intervals use `predict_interval`, which is calibrated.

        Parameters
        ----------
        horizon : int
            Number of steps H.
        n_paths : int, default=100
        X_future, context, X_context : as in `predict`
        method : {"bootstrap", "gaussian"}, default="bootstrap"
            Draw from the centred residuals, with replacement; or from the normal distribution of
            mean 0 and their covariance. Both are used after scaling, so that residuals of one
            series can be used for another.
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
        model = self._snapshot()
        model._check_paths(n_paths, method)
        horizon, origins, known = model._begin(horizon, X_future, context, X_context)
        rng = make_generator(random_state, self._name)
        return origins.mirror(model._paths(origins, known, n_paths, method, rng))

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
        """Return an interval for each future step.

        The interval is the forecast plus and minus a quantile of the errors that forecasts of as
        many steps had on the latest fifth of the fitted series, by a network that was not trained
        on it: see Notes of the class. The forecast of `predict` always lies within. Nothing is
        random up to the horizon H of `calibration_errors_`; beyond it the interval grows in
        proportion to the spread of simulated paths.

        Parameters
        ----------
        horizon : int
            Number of steps H.
        coverage : float in (0, 1), default=0.9
            The probability that a step lies in its interval, for each step and variable separately.
            A larger coverage never gives a narrower interval.
        X_future, context, X_context : as in `predict`
        n_paths, method, random_state : as in `simulate`; n_paths is 1000 by default
            For the paths of steps beyond the horizon of `calibration_errors_`.

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
            Where a forecast or a path leaves the range of its precision; the interval is NaN from
            that step on.
        UserWarning
            If the fitted series are too short for `calibration_errors_`. The interval then consists
            of quantiles of simulated paths, and may be too narrow.
        """
        number = isinstance(coverage, (float, int, np.floating)) and not isinstance(coverage, bool)
        if not number or not 0 < coverage < 1:
            raise ValueError(
                f"{self._name} got coverage={coverage!r}; expected a number between 0 and 1, "
                f"as 0.9."
            )
        model = self._snapshot()
        model._check_paths(n_paths, method)
        horizon, origins, known = model._begin(horizon, X_future, context, X_context)
        rng = make_generator(random_state, self._name)
        calibration: Calibration = model._calibration
        paths = None
        if horizon > calibration.horizon:
            paths = model._paths(origins, known, n_paths, method, rng)
        if paths is not None and calibration.horizon == 0:
            self._warn(
                f"{self._name} was fitted on too few steps to calibrate intervals, or its fit was "
                f"interrupted; this one is the middle share of simulated paths and may be too "
                f"narrow. Fit on more steps, to the end."
            )
            outside = (1 - coverage) / 2
            lower, upper = np.quantile(paths, [outside, 1 - outside], axis=1)
        else:
            lower, upper = model._calibrated(origins, known, coverage, paths)
        with np.errstate(over="ignore"):
            ends = [end.astype(model._frame.dtype) for end in (lower, upper)]
        return np.stack([origins.mirror(end) for end in ends], axis=-1)

    def score(self, y: Any, X: Any = None) -> float:
        """Return the score of the forecast of the steps after the fitted series.

        The score is minus the mean absolute scaled error (MASE, Hyndman & Koehler 2006): the error
        of each variable is divided by the mean absolute error, within its fitted series, of the
        naive forecast, which repeats the last value. Larger is better; -1 is as good as the naive
        forecast of one step. For several series it is the mean of their scores.

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
        shuffled = shuffles_time(self)  # of which fit has warned
        return self._snapshot()._score(y, X, shuffled)

    def _score(self, y: Any, X: Any, shuffled: bool) -> float:
        origins: Origins = self._origins
        series = read_series(y, caller=self._name, single=origins.single)
        check_count(series, len(origins), "y", "fit", caller=self._name)
        self._check_variables(series, "y")
        if not shuffled:
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
        horizon = read_integer(horizon, caller=self._name, name="horizon")
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
        check_order(future, "X_future", caller=self._name)
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
            order = " fit takes the series first: fit(y, X)." if X is None else ""
            raise ValueError(
                f"{self._name} got {got}, but was fitted {had} exogenous variables X; expected "
                f"{'them' if X is None else 'none'} here too.{order}"
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

    def _continue(
        self, origins: Origins, known: Array, noise: Array | None = None, *, warn: bool = True
    ) -> Array:
        """(n, H, d) forecasts in the units of the series, NaN once they are out of range."""
        forecast = continue_origins(origins, known, self._frame, self.network_, noise)
        good = np.asarray(np.isfinite(forecast).all(axis=2))
        if warn and not good.all():
            self._warn_of_growth(good)
        return forecast

    def _warn_of_growth(self, good: NDArray[np.bool_]) -> None:
        """Warn of forecasts (n, H) that are finite up to some step only."""
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

    def _check_paths(self, n_paths: Any, method: Any) -> None:
        read_integer(n_paths, caller=self._name, name="n_paths")
        if not isinstance(method, str) or method not in METHODS:
            raise ValueError(f"{self._name} got method={method!r}; expected one of {METHODS}.")

    def _paths(
        self, origins: Origins, known: Array, n_paths: int, method: str, rng: np.random.Generator
    ) -> Array:
        """(n, n_paths, H, d) paths from each origin."""
        residuals = self._scaled_residuals()
        residuals -= residuals.mean(axis=0)
        R, d = residuals.shape
        rows, horizon = np.repeat(np.arange(len(origins)), n_paths), known.shape[1]
        if method == "bootstrap":
            noise = residuals[rng.integers(R, size=(len(rows), horizon))]
        else:
            moments, axes = np.linalg.eigh(residuals.T @ residuals / R)
            root = axes * np.sqrt(np.maximum(moments, 0))
            noise = rng.normal(size=(len(rows), horizon, d)) @ root.T
        paths = self._continue(origins.take(rows), known[rows], noise)
        return paths.reshape(len(origins), n_paths, horizon, d)

    def _calibrated(
        self, origins: Origins, known: Array, coverage: float, paths: Array | None
    ) -> tuple[Array, Array]:
        """(n, H, d) lower and upper ends; paths (n, n_paths, H, d) where H is beyond the errors."""
        calibration: Calibration = self._calibration
        H = known.shape[1]
        widths = calibration.half_widths(coverage)[:H] * origins.spread[:, None]
        if paths is not None:
            with np.errstate(over="ignore", invalid="ignore"):
                deviation = paths[:, :, calibration.horizon - 1 :].std(axis=1, dtype=np.float64)
                first, later = deviation[:, :1], deviation[:, 1:]
                growth = np.divide(later, first, out=np.ones_like(later), where=first != 0)
            widths = np.concatenate([widths, widths[:, -1:] * growth], axis=1)
        warned = paths is not None and not np.isfinite(paths).all()
        forecast = center = self._continue(origins, known, warn=not warned)
        if calibration.corrected:
            center = self._continue(origins, known, correct_bias(origins, H), warn=False)
        # the forecast itself is always within
        return np.minimum(center - widths, forecast), np.maximum(center + widths, forecast)

    def _scaled_residuals(self) -> NDArray[np.float64]:
        """(R, d) residuals of all series, as the network sees them."""
        origins: Origins = self._origins
        each = [self.residuals_] if origins.single else list(self.residuals_)
        d = self.n_features_in_
        return np.concatenate(
            [r.reshape(-1, d) / spread for r, spread in zip(each, origins.spread, strict=True)]
        )
