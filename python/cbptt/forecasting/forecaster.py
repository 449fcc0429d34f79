"""The forecaster: a network that predicts the next step of a series, and continues from there."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import Tags
from sklearn.utils.metadata_routing import UNUSED

from cbptt.data.ragged import Ragged
from cbptt.data.sequences import Sequences
from cbptt.estimators._attributes import ATTRIBUTES
from cbptt.estimators._notices import Notice, warn_all
from cbptt.estimators._parameters import with_parameters
from cbptt.estimators._random import make_generator
from cbptt.forecasting.framing import continue_origins, find_origins
from cbptt.forecasting.intervals import (
    Calibration,
    calibrated_interval,
    check_coverage,
    simulated_interval,
)
from cbptt.forecasting.learning import Calibrated, Trained, calibrate_intervals, train_network
from cbptt.forecasting.paths import (
    check_paths,
    draw_paths,
    notices_of_growth,
    scaled_residuals,
)
from cbptt.forecasting.scaling import in_units_of, naive_error
from cbptt.forecasting.series import SeriesSet, read_exogenous, read_series
from cbptt.forecasting.settings import ForecasterParameters
from cbptt.forecasting.splits import shuffles_time
from cbptt.forecasting.starting import Fitted, Start, check_times
from cbptt.network import RNN

Array = NDArray[np.floating]

# What the forecaster reports of its network's fit.
_OF_TRAINING = (
    "network_",
    "n_iter_",
    "t_",
    "loss_",
    "best_loss_",
    "loss_curve_",
    "grad_norm_curve_",
    "clip_rate_",
    "validation_loss_curve_",
    "validation_scores_",
    "best_validation_score_",
)


@with_parameters(attributes={name: ATTRIBUTES[name] for name in _OF_TRAINING})
class RNNForecaster(ForecasterParameters, BaseEstimator):  # type: ignore[misc]
    """Recurrent network forecaster for series.

    It is trained to predict each step from the observed values of earlier steps and from the
    exogenous variables of the step itself (teacher forcing, Williams & Zipser 1989). To forecast,
    it runs over the whole past, and then feeds its predictions back as inputs. Unlike with the
    other estimators, the first argument of `fit` is y, so that scikit-learn's cross-validation
    splits the series: ``cross_val_score(forecaster, y, X, cv=TimeSeriesSplit(5))``.

    Parameters
    ----------
    <parameters>

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

    __metadata_request__predict: ClassVar[dict[str, str]] = {
        "horizon": UNUSED,
        "X_future": UNUSED,
        "context": UNUSED,
        "X_context": UNUSED,
    }

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
        series, exogenous, notices = self._read(y, X)
        warn_all(notices, stacklevel=2)
        earlier = self._copied() if self.warm_start else None
        frame = self._frame_of(series, exogenous)
        parameters = self._parameters_of_network(frame)
        before = getattr(earlier, "_regressor", None)
        trained = train_network(series, exogenous, frame, parameters, before, caller=self._name)
        warn_all(trained.notices, stacklevel=2)
        second = Calibrated(None, Calibration.without_errors(series.n_variables), [])
        if not trained.regressor._was_interrupted:
            second = calibrate_intervals(
                series,
                exogenous,
                frame,
                trained.spread,
                parameters,
                getattr(earlier, "_second", None),
                caller=self._name,
            )
        warn_all(second.notices, stacklevel=2)
        return self._install(self._learned(series, exogenous, trained, second))

    def _read(self, y: Any, X: Any) -> tuple[SeriesSet, SeriesSet | None, list[Notice]]:
        """Read the series and the exogenous variables to train on."""
        series = read_series(y, caller=self._name)
        if shuffles_time(self):
            text = (
                f"{self._name} got a split whose test does not follow the steps of training, but "
                "a forecast continues these; use cv=TimeSeriesSplit(), without a gap."
            )
            notices = [Notice(text)]
        else:
            notices = check_times(series, "y", caller=self._name)
        exogenous = None
        if X is not None:
            exogenous = read_exogenous(X, series, caller=self._name)
        return series, exogenous, notices

    def _learned(
        self, series: SeriesSet, exogenous: SeriesSet | None, trained: Trained, second: Calibrated
    ) -> dict[str, Any]:
        """All attributes of the fit."""
        regressor, inputs = trained.regressor, trained.inputs
        network = regressor.network_
        outputs = network.engine.predict(Sequences(inputs.values, inputs.offsets, "ragged")).outputs
        residuals = trained.targets.values - outputs
        residuals = residuals * np.repeat(trained.spread, inputs.lengths, axis=0)
        residuals = np.ascontiguousarray(residuals)
        ragged = Ragged(residuals[:, 0].copy() if series.flat else residuals, inputs.offsets)
        return {name: getattr(regressor, name) for name in _OF_TRAINING} | {
            "_regressor": regressor,
            "n_features_in_": series.n_variables,
            "n_exogenous_": 0 if exogenous is None else exogenous.n_variables,
            "residuals_": ragged[0] if series.single else np.asarray(ragged),
            "_calibration": second.calibration,
            "_second": second.regressor if self.warm_start else None,
            "_columns": {
                "y": series.columns,
                "X": None if exogenous is None else exogenous.columns,
            },
            "_times": series.times,
            "_frame": trained.frame,
            "_origins": find_origins(series, trained.prepared, trained.frame, network),
            "_naive_errors": np.array([naive_error(values) for values in series]),
        }

    # ---- what was learned ---------------------------------------------------------------------

    @property
    def calibration_errors_(self) -> Array:
        """Errors that intervals rest on: (E, H) or (E, H, d)."""
        errors: Array = self._calibration.errors
        return errors[..., 0] if self._origins.flat else errors

    @property
    def bias_correction_(self) -> bool:
        """Whether intervals follow the errors before their origin."""
        return bool(self._calibration.corrected)

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

    def _fitted(self) -> Fitted:
        """What later series must agree with."""
        return Fitted(
            caller=self._name,
            frame=self._frame,
            network=self.network_,
            origins=self._origins,
            times=self._times,
            n_variables=self.n_features_in_,
            n_exogenous=self.n_exogenous_,
            columns=self._columns,
        )

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
        start = model._fitted().start(horizon, X_future, context, X_context)
        forecast = continue_origins(start.origins, start.known, model._frame, model.network_)
        growth = notices_of_growth(forecast, model.network_, caller=self._name)
        warn_all(start.notices + growth, stacklevel=2)
        return start.origins.mirror(forecast)

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
        check_paths(n_paths, method, caller=self._name)
        start = model._fitted().start(horizon, X_future, context, X_context)
        rng = make_generator(random_state, self._name)
        paths = model._paths(start, n_paths, method, rng)
        growth = notices_of_growth(paths, model.network_, caller=self._name)
        warn_all(start.notices + growth, stacklevel=2)
        return start.origins.mirror(paths)

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
        check_coverage(coverage, caller=self._name)
        check_paths(n_paths, method, caller=self._name)
        model = self._snapshot()
        start = model._fitted().start(horizon, X_future, context, X_context)
        calibration: Calibration = model._calibration
        rng = make_generator(random_state, self._name)
        paths, notices = None, list(start.notices)
        if start.known.shape[1] > calibration.horizon:
            paths = model._paths(start, n_paths, method, rng)
            notices += notices_of_growth(paths, model.network_, caller=self._name)
        if paths is not None and calibration.horizon == 0:
            text = (
                f"{self._name} was fitted on too few steps to calibrate intervals, or its fit was "
                f"interrupted; this one is the middle share of simulated paths and may be too "
                f"narrow. Fit on more steps, to the end."
            )
            notices.append(Notice(text))
            lower, upper = simulated_interval(paths, coverage)
        else:
            forecast = continue_origins(start.origins, start.known, model._frame, model.network_)
            if paths is None or np.isfinite(paths).all():  # else there is a warning already
                notices += notices_of_growth(forecast, model.network_, caller=self._name)
            lower, upper = calibrated_interval(
                start.origins,
                start.known,
                model._frame,
                model.network_,
                calibration,
                coverage,
                forecast=forecast,
                paths=paths,
            )
        warn_all(notices, stacklevel=2)
        with np.errstate(over="ignore"):
            ends = [end.astype(model._frame.dtype) for end in (lower, upper)]
        return np.stack([start.origins.mirror(end) for end in ends], axis=-1)

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
        model = self._snapshot()
        series, starts = model._fitted().read_later(y, X, check_times=not shuffled)
        errors, notices = [], []
        for values, start, unit in zip(series, starts, model._naive_errors, strict=True):
            forecast = continue_origins(start.origins, start.known, model._frame, model.network_)
            notices += start.notices
            notices += notices_of_growth(forecast, model.network_, caller=self._name)
            errors.append(in_units_of(np.abs(values - forecast[0]), unit).mean())
        warn_all(notices, stacklevel=2)
        return -float(np.mean(errors))

    def _paths(self, start: Start, n_paths: int, method: str, rng: np.random.Generator) -> Array:
        """(n, n_paths, H, d) paths from each origin."""
        return draw_paths(
            start.origins,
            start.known,
            self._frame,
            self.network_,
            scaled_residuals(self.residuals_, self._origins),
            n_paths=n_paths,
            method=method,
            rng=rng,
        )

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.one_d_array = True
        tags.target_tags.required = False
        return tags
