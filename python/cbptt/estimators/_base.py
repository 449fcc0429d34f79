"""What the four estimators share: fit, reading X, and hidden states as features."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.metadata_routing import UNUSED
from sklearn.utils.metaestimators import available_if

from cbptt.data.reading import spell
from cbptt.data.sequences import Sequences
from cbptt.estimators._callbacks import FRAMES_OF_FIT, CallbackSupportMixin, with_callbacks
from cbptt.estimators._forms import likely_lone, read_alike
from cbptt.estimators._missing import indicate
from cbptt.estimators._notices import Notice, warn_all
from cbptt.estimators._parameters import TrainingParameters
from cbptt.estimators._run import train
from cbptt.estimators._solver import count_threads
from cbptt.estimators._streaming import Streaming
from cbptt.estimators._targets import TargetForm, TargetKind, steps_like
from cbptt.estimators._task import prepare
from cbptt.losses import POOLINGS, spell_place
from cbptt.network import RNN

STATES = (*POOLINGS, "all")


def _is_stochastic(estimator: BaseRNN) -> bool:
    if estimator.solver == "lbfgs":
        raise AttributeError(
            "partial_fit is only available for stochastic optimizers; lbfgs takes all sequences "
            "at once."
        )
    return True


partial_fit_available = available_if(_is_stochastic)


class BaseRNN(
    TrainingParameters,
    Streaming,
    CallbackSupportMixin,  # type: ignore[misc]
    ClassNamePrefixFeaturesOutMixin,  # type: ignore[misc]
    TransformerMixin,  # type: ignore[misc]
    BaseEstimator,  # type: ignore[misc]
    metaclass=ABCMeta,
):
    """Base of the estimators; a subclass says what a target is, by `_targets`."""

    _target_form: TargetForm

    @property
    @abstractmethod
    def _targets(self) -> TargetKind:
        """The kind of targets, with the parameters that concern them."""

    @property
    def _form(self) -> TargetForm:
        """What was learned of y."""
        return self._target_form

    # ---- fit ----------------------------------------------------------------------------------

    @with_callbacks  # type: ignore[untyped-decorator]
    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, *, validation_data: Any = None
    ) -> Self:
        """Train on sequences.

        Parameters
        ----------
        X : list, tuple or 1-D object array of (T_i, D) arrays; (n, T, D); (n, T); or Ragged
            The sequences. A 2-D array, a data frame, or plain nested lists of equal length are n
            sequences of one variable and equal length.
        y : targets, one per sequence or one per step, depending on the class
        sample_weight : (n,) one per sequence or, for targets per step, one per step, default 1
            Weight 0 has the same effect as no target, weight 2 as the target twice.
        validation_data : (X, y) or (X, y, sample_weight), default=None
            Held-out sequences: their loss and score after each epoch, without penalty and class
            weights, are in validation_loss_curve_ and validation_scores_. With early_stopping=True
            the scores decide when training stops.

        Returns
        -------
        self : fitted estimator

        Raises
        ------
        ValueError, TypeError
            Where a parameter, a sequence or a target does not fit; the message names it, and what
            was learned before stays as it was.

        Warns
        -----
        ConvergenceWarning
            When max_iter epochs pass without convergence (but with learning_rate="cosine"), the
            loss is no longer finite, or a score on held-out sequences is not.
        UserWarning
            When Ctrl-C ends training; the weights until then are kept, with early_stopping the best
            of them. Where X is likely to be misread: as sequences of one or two steps, or with the
            axes of variables and steps exchanged; the message names what to pass instead.
        """
        stacklevel = 2 + FRAMES_OF_FIT
        return self._fit(X, y, sample_weight, validation_data, stacklevel=stacklevel)

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        validation_data: Any = None,
        *,
        targets: TargetKind | None = None,
        incremental: bool = False,
        stacklevel: int,
    ) -> Self:
        """Read everything, train, and install what is learned.

        targets : the kind of targets, where it is not as `_targets` says.
        incremental : whether to train one epoch more, rather than anew.
        stacklevel : as of `warnings.warn`, where 1 is the caller of this method.
        """
        task = prepare(
            self, X, y, sample_weight, validation_data, targets=targets, incremental=incremental
        )
        warn_all(task.notices, stacklevel=1 + stacklevel)
        learned, notices = train(self, task)
        warn_all(notices, stacklevel=1 + stacklevel)
        return self._install(learned)

    def _partial_fit(
        self, X: Any, y: Any, sample_weight: Any, targets: TargetKind, *, stacklevel: int
    ) -> Self:
        """As `_fit`, for one epoch more."""
        if self.early_stopping:
            raise ValueError(
                f"{self._name}.partial_fit does not support early_stopping=True, as it is one "
                f"epoch; set early_stopping=False, and stop when your own validation score stops "
                f"improving."
            )
        return self._fit(
            X, y, sample_weight, targets=targets, incremental=True, stacklevel=1 + stacklevel
        )

    # ---- what was learned ---------------------------------------------------------------------

    @property
    def coefs_(self) -> list[NDArray[np.floating]]:
        """[W0' (D, G M) of each layer and direction, W1' (M, K)], as in MLPClassifier."""
        return [weight.T for weight in self._parameters_like("weight_ih", "weight_ho")]

    @property
    def recurrent_coefs_(self) -> list[NDArray[np.floating]]:
        """[W11' (M, G M) of each layer and direction]."""
        return [weight.T for weight in self._parameters_like("weight_hh")]

    @property
    def intercepts_(self) -> list[NDArray[np.floating]]:
        """[b0 (G M,) of each layer and direction, b1 (K,)]; behind a GRU's b0 its bias_hn (M,)."""
        return self._parameters_like("bias")

    def _parameters_like(self, *starts: str) -> list[NDArray[np.floating]]:
        """Return the parameters whose names start so, in the order of the network."""
        return [p for name, p in self.network_.parameters.items() if name.startswith(starts)]

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = self.missing == "mask"
        if tags.transformer_tags is not None:
            both = ["float64", "float32"]
            tags.transformer_tags.preserves_dtype = both if self.dtype == "auto" else [self.dtype]
        return tags

    # ---- predict ------------------------------------------------------------------------------

    def _check_learned(self) -> None:
        """Refuse learned attributes that were changed, and do not belong together any more."""
        name, network = self._name, self.network_
        if not isinstance(network, RNN):
            raise TypeError(
                f"{name} got network_ of type {type(network).__name__}; expected a cbptt.RNN."
            )
        D = 1 if self._read_columns else self.n_features_in_
        fill_shape = None if self._fill is None else np.shape(self._fill)
        n_inputs = D if fill_shape is None else 2 * D
        if network.n_inputs != n_inputs or fill_shape not in (None, (D,)):
            raise ValueError(
                f"{name} has n_features_in_={self.n_features_in_}, which does not fit its "
                f"network_ of {network.n_inputs} inputs; expected both as fit left them. Fit again."
            )
        if network.n_outputs != self.n_outputs_:
            raise ValueError(
                f"{name} has n_outputs_={self.n_outputs_}, which does not fit its network_ of "
                f"{network.n_outputs} outputs; expected both as fit left them. Fit again."
            )
        per_step = self._targets.readout == "every"
        if (network.readout == "every") != per_step or (
            network.output_activation != self.out_activation_
        ):
            raise ValueError(
                f"{name} has network_ with readout={network.readout!r} and output_activation="
                f"{network.output_activation!r}; expected {'' if per_step else 'not '}'every' and "
                f"{self.out_activation_!r}, as fit left them. Fit again."
            )

    def _n_threads(self) -> int:
        return count_threads(self.n_jobs)

    def _read(self, X: Any, *, stacklevel: int) -> Sequences:
        """Check X against what was fitted on.

        stacklevel : of warnings, as of `warnings.warn`, where 1 is the caller of this method.
        """
        sequences, notices = self._read_alike(X, self.network_, vars(self), "X")
        warn_all(notices, stacklevel=1 + stacklevel)
        return sequences

    def _read_alike(
        self, X: Any, network: RNN, learned: Mapping[str, Any], name: str
    ) -> tuple[Sequences, list[Notice]]:
        """Check X against what is learned, and return it as the network reads it."""
        fill = learned["_fill"]
        sequences = read_alike(
            X,
            learned,
            estimator=self,
            name=name,
            dtype=network.dtype,
            allow_nan=fill is not None,
        )
        misread = likely_lone(sequences) if sequences.form == "list" else None
        return indicate(sequences, fill), self._notices_of_misreading(misread)

    def _notices_of_misreading(self, misread: str | None) -> list[Notice]:
        """Return a warning that X is likely misread, where it is."""
        return [] if misread is None else [Notice(f"{self._name} reads {misread}.")]

    def _outputs(
        self, X: Any, *, finite: bool, network: RNN | None = None
    ) -> tuple[NDArray[np.floating], Sequences]:
        """Return the network's outputs (R, K) for X, in the order of X's flat buffer.

        Called by public methods only: warnings are given at the line that called those.

        finite : whether outputs that are not finite are an error, or a warning.
        network : by default the fitted one.
        """
        sequences = self._read(X, stacklevel=3)
        network = self.network_ if network is None else network
        n_threads = self._n_threads() if len(sequences) > 1 else 1
        outputs = network.engine.predict(sequences, n_threads=n_threads).outputs
        notices = self._notices_of_range(outputs, sequences, network.readout)
        if finite and notices:
            raise ValueError(notices[0].message)
        warn_all(notices, stacklevel=3)
        return outputs, sequences

    def _notices_of_range(
        self, values: NDArray[np.floating], sequences: Sequences, readout: str
    ) -> list[Notice]:
        """Return a warning of outputs or states that are not finite, where there are some."""
        good = np.isfinite(values)
        if good.all():
            return []
        place = spell_place(int(np.argmin(good.all(axis=1))), sequences, readout)
        message = (
            f"{self._name} computed NaN or infinity for X{place}: its states or outputs leave the "
            f"range of {values.dtype}, or its parameters are not finite. Scale X, or fit with "
            f"activation='tanh', whose states are bounded."
        )
        return [Notice(message, RuntimeWarning)]

    def _predictions(self, outputs: NDArray[np.floating]) -> NDArray[Any]:
        """Return the prediction of each output: (R,) or (R, K)."""
        return self._targets.predict(outputs, self._form)

    def _shape(self, values: NDArray[Any], sequences: Sequences) -> Any:
        """Return the predictions among the values (R, ...) of all outputs, in the form of X."""
        return self._targets.places(self._form).shape(values, sequences)

    # ---- transform ----------------------------------------------------------------------------

    @property
    def _n_features_out(self) -> int:
        return self.network_.engine.architecture.output_width

    __metadata_request__transform: ClassVar[dict[str, str]] = {"states": UNUSED}  # no metadata

    def transform(self, X: Any, states: str | None = None) -> Any:
        """Return the hidden states h1 of the uppermost layer, as features for whatever comes next.

        Of a bidirectional network they are the states of both directions, side by side, and "last"
        is each direction's state after the last step that it runs: the reverse one ends at a
        sequence's first step.

        Parameters
        ----------
        X : sequences, in any form that `fit` takes
        states : {"last", "mean", "max", "all"}, default=None
            The state after a sequence's own last step; the mean of its states, or the largest value
            of each unit; or the states of all steps. By default what the outputs read.

        Returns
        -------
        h : (n, M) ndarray; with "all" (n, T, M) for an array X, and for ragged X a 1-D object array
            of (T_i, M) ndarrays

        Raises
        ------
        ValueError, TypeError
            Where X or states does not fit.

        Warns
        -----
        RuntimeWarning
            Where a state is not finite.
        """
        # scikit-learn wraps this method for set_output: one frame more
        model = self._snapshot()
        sequences = model._read(X, stacklevel=3)
        states = model._targets.places(model._form).states if states is None else states
        if not isinstance(states, str) or states not in STATES:
            raise ValueError(
                f"{self._name}.transform got states={spell(states)}; expected one of {STATES}."
            )
        found = model.network_.engine.predict(sequences, states=True, n_threads=model._n_threads())
        hidden, final = found.hidden, found.final
        warn_all(model._notices_of_range(hidden, sequences, "every"), stacklevel=3)
        if states == "last":
            return model.network_.engine.architecture.last_of(final)
        if states == "all":
            return steps_like(sequences, hidden)
        first = sequences.offsets[:-1]
        if states == "max":
            return np.maximum.reduceat(hidden, first, axis=0)
        sums = np.add.reduceat(hidden, first, axis=0, dtype=np.float64)
        return (sums / sequences.lengths[:, None]).astype(hidden.dtype)
