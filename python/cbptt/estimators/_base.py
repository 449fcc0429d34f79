"""What the four estimators share: parameters, fit, and reading X."""

from __future__ import annotations

import copy
import math
import os
import sys
import warnings
from abc import ABCMeta, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from operator import index
from typing import Any, ClassVar, Self

import numpy as np
from joblib import effective_n_jobs
from joblib.parallel import get_active_backend
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.model_selection import train_test_split
from sklearn.utils import Tags, check_random_state
from sklearn.utils.metadata_routing import UNUSED
from sklearn.utils.metaestimators import available_if

from cbptt.data.integers import MAX_COUNT, read_integer
from cbptt.data.ragged import Ragged
from cbptt.data.reading import spell
from cbptt.data.sequences import Sequences, check_sequences
from cbptt.engine.results import Shard
from cbptt.engine.truncation import Truncation, check_truncation
from cbptt.estimators._callbacks import CallbackSupportMixin, Progress, with_callbacks
from cbptt.estimators._fitting import Fitting, History, Schedule
from cbptt.estimators._forms import (
    learn_form,
    likely_lone,
    likely_misreading,
    read_alike,
)
from cbptt.estimators._missing import indicate, mean_of_steps
from cbptt.estimators._parameters import CONSTRAINTS, TrainingParameters
from cbptt.estimators._streaming import Streaming
from cbptt.estimators._targets import steps_like
from cbptt.losses import POOLINGS, spell_place
from cbptt.network import RNN
from cbptt.optimizers import AdaGrad, Adam, AdamW, Moments, Optimizer, RmsProp, Sgd
from cbptt.training import Trainer

# Sequences whose gradient L-BFGS computes at a time.
FULL_BATCH = 256
STATES = (*POOLINGS, "all")
# What is learned of X, and a later X must agree with.
_OF_X = ("_read_columns", "n_features_in_", "feature_names_in_", "_fill")


@dataclass(frozen=True)
class Labels:
    """What y comes to, in the order of X's flat buffer.

    Attributes
    ----------
    flat : (R,) classes by number or plain numbers, or (R, K) vectors.
    weights : (R,) weight of each; 0 where there is no target.
    emphasis : (R,) by what training multiplies them, and validation does not: class weights.
    n_outputs : K.
    output_activation, loss : what the network is to have for them.
    learned : the attributes that the estimator learns from y.
    stratify : (n,) what held-out sequences are drawn alike of; or None.
    """

    flat: NDArray[Any]
    weights: NDArray[np.floating]
    emphasis: NDArray[np.floating]
    n_outputs: int
    output_activation: str
    loss: str
    learned: dict[str, Any]
    stratify: NDArray[Any] | None = None


def _is_stochastic(estimator: BaseRNN) -> bool:
    if estimator.solver == "lbfgs":
        raise AttributeError(
            "partial_fit is only available for stochastic optimizers; lbfgs takes all sequences "
            "at once."
        )
    return True


class BaseRNN(
    TrainingParameters,
    Streaming,
    CallbackSupportMixin,  # type: ignore[misc]
    ClassNamePrefixFeaturesOutMixin,  # type: ignore[misc]
    TransformerMixin,  # type: ignore[misc]
    BaseEstimator,  # type: ignore[misc]
    metaclass=ABCMeta,
):
    """Base of the estimators; a subclass says what a target is."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = CONSTRAINTS

    # ---- what a subclass says of its targets --------------------------------------------------

    @property
    @abstractmethod
    def _readout(self) -> str:
        """Which hidden states the outputs read."""

    @abstractmethod
    def _read_targets(
        self, y: Any, sequences: Sequences, sample_weight: Any, known: dict[str, Any]
    ) -> Labels:
        """Check y and its weights.

        known : what was learned of targets before, and must not change; empty in a first fit.
        """

    @abstractmethod
    def _spell(self, row: int, sequences: Sequences, form: Mapping[str, Any]) -> str:
        """Return the place of a target, as y is indexed; `form` is what was learned of y."""

    @abstractmethod
    def _share_out(
        self, weights: NDArray[np.floating], sequences: Sequences, form: Mapping[str, Any]
    ) -> NDArray[np.floating]:
        """Return the weights of targets as training takes them."""

    @abstractmethod
    def _score_outputs(
        self, outputs: NDArray[np.floating], shard: Shard, learned: Mapping[str, Any]
    ) -> float:
        """Score the network's outputs as `score` would, once `learned` is; NaN if there is none."""

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
        return self._install(self._fit(X, y, sample_weight, validation_data))

    def _partial_fit(self, X: Any, y: Any, sample_weight: Any, known: dict[str, Any]) -> Self:
        if self.early_stopping:
            raise ValueError(
                f"{type(self).__name__}.partial_fit does not support early_stopping=True, as it is "
                f"one epoch; set early_stopping=False, and stop when your own validation score "
                f"stops improving."
            )
        return self._install(self._fit(X, y, sample_weight, None, incremental=True, known=known))

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        validation_data: Any,
        *,
        incremental: bool = False,
        known: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Train, and return all that is learned; the estimator itself stays as it is."""
        self._validate_params()
        truncation = self._truncation()
        before = self._copied() if incremental or self.warm_start else None
        if not hasattr(before, "network_"):
            before = None
        if before is not None:
            known = before._known_targets()
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None; "
                f"expected one target per {'step' if self._readout == 'every' else 'sequence'}."
            )

        sequences, learned = self._read_first(X) if before is None else before._read_again(X)
        labels = self._label(sequences, y, sample_weight, known or {})
        learned |= labels.learned
        if before is None:
            self._warn_of_misreading(X, sequences, learned.get("_replicates", False))
        self._check_used(labels.weights * labels.emphasis)
        data, labels = _used_only(sequences, labels, self._readout)
        if before is None:
            learned["_fill"] = self._mean_of_steps(data, labels)
            data = indicate(data, learned["_fill"])
        rng = self._generator(before)
        network = self._network(data, labels, rng, before)
        precision = network.dtype
        if self.solver == "lbfgs":
            network, data = network.astype(np.float64), _astype(data, np.float64)

        held_out = None
        if validation_data is not None:
            held_out = self._read_validation(validation_data, network, learned)
        elif self.early_stopping:
            data, labels, held_out = self._hold_out(data, labels, network, rng)
        labels = replace(labels, weights=labels.weights * labels.emphasis)
        if self.bptt_streams and truncation is not None:
            data = self._streams(data, truncation.steps)
        shard = self._shard(network, data, labels, "y")

        moments, history, n_before, n_seen = None, History(), 0, 0
        if before is not None:
            history, n_seen = copy.deepcopy(before._history), before.t_
            if incremental:
                moments, n_before = copy.deepcopy(before._moments), before.n_iter_
        trainer = self._trainer(network, shard, rng, moments, truncation)
        fitting = self._fitting(trainer, history, held_out, learned, n_before, n_seen)

        def attributes() -> dict[str, Any]:
            """All that is learned, from the network as it stands."""
            return learned | {
                "network_": network.astype(precision),
                "n_outputs_": labels.n_outputs,
                "n_layers_": 3,
                "out_activation_": labels.output_activation,
                "n_iter_": n_before + fitting.n_iter,
                "t_": fitting.n_seen,
                "_moments": trainer.moments,
                "_rng": rng,
                "_history": history,
                "_was_interrupted": fitting.interrupted,
                **self._curves(history, None if held_out is None else fitting.best_score),
            }

        with self._progress(X, y, sample_weight, attributes, incremental) as fitting.report:
            if incremental:
                fitting.one_epoch()
            elif self.solver == "lbfgs":
                fitting.descend(index(self.max_iter), index(self.max_fun))
            else:
                fitting.epochs(index(self.max_iter))

        for category, message in fitting.complaints:
            warnings.warn(message, category, stacklevel=_frames_below_caller())
        return attributes()

    # ---- fit: the data ------------------------------------------------------------------------

    def _warn_of_misreading(self, X: Any, sequences: Sequences, replicates: bool) -> None:
        """Warn where another reading of X is more likely than the one that is used."""
        if (misread := likely_misreading(X, sequences, replicates=replicates)) is not None:
            name = type(self).__name__
            warnings.warn(f"{name} reads {misread}.", stacklevel=_frames_below_caller())

    def _read_first(self, X: Any) -> tuple[Sequences, dict[str, Any]]:
        """Check X, and learn from it what a later X must agree with."""
        name = type(self).__name__
        allow_nan = self.missing == "mask"
        sequences = check_sequences(X, dtype=self.dtype, caller=name, allow_nan=allow_nan)
        return sequences, learn_form(X, sequences, caller=name)

    def _mean_of_steps(self, sequences: Sequences, labels: Labels) -> NDArray[np.float64] | None:
        """(D,) what becomes of missing values, if any may be: steps weigh as their targets do."""
        if self.missing != "mask":
            return None
        weights = labels.weights
        if self._readout != "every":
            weights = np.repeat(weights, sequences.lengths)
        return mean_of_steps(sequences, weights)

    def _read_again(self, X: Any) -> tuple[Sequences, dict[str, Any]]:
        self._check_learned()
        return self._read(X), {name: getattr(self, name) for name in _OF_X if hasattr(self, name)}

    def _label(
        self, sequences: Sequences, y: Any, sample_weight: Any, known: dict[str, Any]
    ) -> Labels:
        labels = self._read_targets(y, sequences, sample_weight, known)
        self._check_used(labels.weights)
        weights = self._share_out(labels.weights, sequences, labels.learned)
        return replace(labels, weights=weights)

    def _check_used(self, used: NDArray[Any]) -> None:
        if not used.any():
            raise ValueError(
                f"{type(self).__name__} got no target to learn from: every weight in sample_weight "
                f"is zero, or no target is labelled; expected at least one."
            )

    def _shard(self, network: RNN, sequences: Sequences, labels: Labels, name: str) -> Shard:
        weights = labels.weights.astype(network.dtype, copy=False)
        targets = network.check_targets(
            labels.flat, weights, sequences, name=name, caller=type(self).__name__
        )
        return Shard(sequences, targets, network.no_states)

    def _read_validation(self, data: Any, network: RNN, learned: dict[str, Any]) -> Shard:
        """Check held-out sequences that were given."""
        name = type(self).__name__
        if not isinstance(data, (tuple, list)) or len(data) not in (2, 3):
            raise ValueError(
                f"{name} got validation_data of type {type(data).__name__}; expected a tuple "
                f"(X, y) or (X, y, sample_weight)."
            )
        X, y, sample_weight = (*data, None)[:3]
        sequences = self._check_like(X, network, learned, "validation_data[0]")
        known = {n: v for n, v in learned.items() if n in self._of_targets}
        try:
            labels = self._label(sequences, y, sample_weight, known)
        except (ValueError, TypeError) as error:
            where = "Here y and sample_weight are validation_data[1:]."
            raise type(error)(f"{error} {where}") from error
        return self._shard(network, sequences, labels, "validation_data[1]")

    def _hold_out(
        self, sequences: Sequences, labels: Labels, network: RNN, rng: np.random.Generator
    ) -> tuple[Sequences, Labels, Shard]:
        """Set a share of the sequences apart."""
        n = len(sequences)
        n_held_out = math.ceil(self.validation_fraction * n)
        if n_held_out < 2 or n_held_out == n:
            raise ValueError(
                f"The validation set is too small, or all there is: validation_fraction="
                f"{self.validation_fraction} of {n} sequences is {n_held_out}; change it, or give "
                f"more sequences, or validation_data."
            )
        stratify = labels.stratify
        if stratify is not None:
            sizes = np.bincount(stratify, minlength=labels.n_outputs)
            if sizes.min() < 2 or min(n_held_out, n - n_held_out) < len(sizes):
                stratify = None  # there are too few to have some of each class on both sides
        train, held_out = train_test_split(
            np.arange(n),
            test_size=n_held_out,
            random_state=int(rng.integers(2**31)),
            stratify=stratify,
        )
        aside = self._shard(network, *_take(sequences, labels, held_out, self._readout), "y")
        return *_take(sequences, labels, train, self._readout), aside

    def _streams(self, sequences: Sequences, shortest: int) -> Sequences:
        """Cut sequences into about as many pieces as a mini-batch takes, of a window at least."""
        lengths = sequences.lengths
        share = min(self._batch_size(), sequences.n_steps) * lengths / sequences.n_steps
        n_pieces = np.minimum(np.maximum(1, np.rint(share)), lengths // shortest)
        cuts = [
            np.linspace(first, last, int(max(1, n)), endpoint=False).astype(np.intp)
            for first, last, n in zip(
                sequences.offsets[:-1], sequences.offsets[1:], n_pieces, strict=True
            )
        ]
        offsets = np.concatenate([*cuts, sequences.offsets[-1:]])
        return replace(sequences, offsets=offsets, times=())

    # ---- fit: the parts -----------------------------------------------------------------------

    def _truncation(self) -> Truncation | None:
        name = type(self).__name__
        if self.bptt_steps is not None and self.solver == "lbfgs":
            raise ValueError(
                f"{name} got bptt_steps={self.bptt_steps} with solver='lbfgs', which needs the "
                f"exact gradient; expected bptt_steps=None, or another solver."
            )
        if self.bptt_streams and (self.bptt_steps is None or self._readout != "every"):
            raise ValueError(
                f"{name} got bptt_streams=True; expected targets for each step, and a number of "
                f"steps for bptt_steps."
            )
        return check_truncation(
            self.bptt_steps,
            self.bptt_stride,
            readout=self._readout,
            learn_initial_state=self.learn_initial_state,
            caller=name,
        )

    def _batch_size(self) -> int:
        return 32 if isinstance(self.batch_size, str) else index(self.batch_size)

    def _generator(self, before: BaseRNN | None) -> np.random.Generator:
        if before is not None:
            rng: np.random.Generator = copy.deepcopy(before._rng)
            return rng
        return np.random.default_rng(check_random_state(self.random_state).randint(2**31))

    def _network(
        self,
        sequences: Sequences,
        labels: Labels,
        rng: np.random.Generator,
        before: BaseRNN | None,
    ) -> RNN:
        """Return a network to train: a new one, or a copy of the one of before."""
        network = RNN(
            sequences.n_features,
            self._hidden_size(),
            labels.n_outputs,
            activation=self.activation,
            output_activation=labels.output_activation,
            loss=labels.loss,
            readout=self._readout,
            learn_initial_state=self.learn_initial_state,
            init=self.init,
            dtype=sequences.values.dtype,
            random_state=rng if before is None else np.random.default_rng(0),
        )
        if before is not None:
            old: RNN = before.network_
            if old.layout.entries != network.layout.entries:
                raise ValueError(
                    f"{type(self).__name__} cannot go on from the fit before, whose network was "
                    f"{old!r}; set warm_start=False, or leave hidden_layer_sizes, "
                    f"learn_initial_state and the number of outputs as they were."
                )
            network.theta = old.theta
        return network

    def _hidden_size(self) -> int:
        name, sizes = type(self).__name__, np.asarray(self.hidden_layer_sizes, dtype=object)
        try:
            (size,) = np.atleast_1d(sizes)
            return read_integer(size, caller=name, name="hidden_layer_sizes")
        except (TypeError, ValueError):
            raise ValueError(
                f"{name} got hidden_layer_sizes={spell(self.hidden_layer_sizes)}; the network has "
                f"one hidden layer, so expected one integer of at least 1 and at most {MAX_COUNT}, "
                f"as 64 or (64,)."
            ) from None

    def _n_threads(self) -> int:
        """What n_jobs comes to, here and now."""
        n_jobs = self.n_jobs if self.n_jobs is None else index(self.n_jobs)
        n_threads = int(effective_n_jobs(n_jobs))
        granted = os.environ.get("OMP_NUM_THREADS", "")
        if granted.isdigit() and int(granted) > 0:
            return min(n_threads, int(granted))
        # joblib sets the variable for its processes; its threads have no further threads to share.
        is_job = get_active_backend()[0].nesting_level > 0
        return 1 if is_job else n_threads

    def _optimizer(self) -> Optimizer:
        rate = self.learning_rate_init
        if self.solver in ("adam", "adamw"):
            adam = Adam(rate, beta_1=self.beta_1, beta_2=self.beta_2, epsilon=self.epsilon)
            return adam if self.solver == "adam" else AdamW(**vars(adam) | {"decay": self.alpha})
        if self.solver == "rmsprop":
            return RmsProp(rate, beta_2=self.rho, epsilon=self.epsilon)
        if self.solver == "adagrad":
            return AdaGrad(rate, epsilon=self.epsilon)
        return Sgd(rate, self.momentum, self.nesterovs_momentum)

    def _trainer(
        self,
        network: RNN,
        shard: Shard,
        rng: np.random.Generator,
        moments: Moments | None,
        truncation: Truncation | None,
    ) -> Trainer:
        stochastic = self.solver != "lbfgs"
        n = len(shard.sequences)
        return Trainer(
            network,
            shard.sequences,
            shard.targets,
            self._optimizer(),
            batch_size=min(self._batch_size() if stochastic else FULL_BATCH, n),
            rng=rng,
            alpha=0 if self.solver == "adamw" else self.alpha,
            max_grad_norm=np.inf if self.max_grad_norm is None else self.max_grad_norm,
            shuffle=self.shuffle,
            dropout=self.dropout if stochastic else 0,
            recurrent_dropout=self.recurrent_dropout if stochastic else 0,
            moments=moments,
            truncation=truncation,
            checkpoint=self.checkpoint,
            n_threads=self._n_threads(),
        )

    def _fitting(
        self,
        trainer: Trainer,
        history: History,
        held_out: Shard | None,
        learned: Mapping[str, Any],
        n_before: int,
        n_seen: int,
    ) -> Fitting:
        def validate() -> tuple[float, float]:
            assert held_out is not None
            loss, outputs = trainer.network.evaluate(held_out, trainer.n_threads)
            score = self._score_outputs(outputs, held_out, learned)
            return loss / held_out.weight_sum, score

        return Fitting(
            trainer,
            Schedule(
                self.learning_rate, self.learning_rate_init, self.power_t, index(self.max_iter)
            ),
            history,
            n_before=n_before,
            n_seen=n_seen,
            tol=self.tol,
            n_iter_no_change=index(self.n_iter_no_change),
            early_stopping=self.early_stopping,
            validate=None if held_out is None else validate,
            report=None,
            verbose=bool(self.verbose),
        )

    @contextmanager
    def _progress(
        self, X: Any, y: Any, sample_weight: Any, attributes: Any, incremental: bool
    ) -> Iterator[Any]:
        """Call scikit-learn's callbacks for the fit; yield what calls them after each epoch."""
        if incremental or not hasattr(self, "_skl_callbacks"):
            yield None
            return
        progress = Progress(self, X, y, sample_weight, attributes)
        yield progress.after
        progress.end()

    def _curves(self, history: History, best_score: float | None) -> dict[str, Any]:
        """best_score : the best of this fit on held-out sequences; None where there are none."""
        losses, validated = history.losses, best_score is not None
        finite = [loss for loss in losses if loss == loss]
        return {
            "loss_curve_": list(losses),
            "grad_norm_curve_": list(history.grad_norms),
            "clip_rate_": history.n_clipped / max(history.n_steps, 1),
            "loss_": losses[-1] if losses else np.inf,
            "best_loss_": None if self.early_stopping else min(finite, default=np.inf),
            "validation_loss_curve_": list(history.validation_losses) if validated else None,
            "validation_scores_": list(history.validation_scores) if validated else None,
            "best_validation_score_": np.nan if best_score == -np.inf else best_score,
        }

    # ---- what was learned ---------------------------------------------------------------------

    _of_targets: ClassVar[tuple[str, ...]] = ()

    def _known_targets(self) -> dict[str, Any]:
        """What was learned of targets, and a later y must agree with."""
        return {name: getattr(self, name) for name in self._of_targets}

    @property
    def coefs_(self) -> list[NDArray[np.floating]]:
        """[W0' (D, M), W1' (M, K)], as MLPClassifier lays them out."""
        return [self.network_.parameters[name].T for name in ("weight_ih", "weight_ho")]

    @property
    def recurrent_coefs_(self) -> list[NDArray[np.floating]]:
        """[W11' (M, M)]."""
        return [self.network_.parameters["weight_hh"].T]

    @property
    def intercepts_(self) -> list[NDArray[np.floating]]:
        """[b0 (M,), b1 (K,)]."""
        return [self.network_.parameters[name] for name in ("bias_h", "bias_o")]

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
        name, network = type(self).__name__, self.network_
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
        reads_every = self._readout == "every"
        if (network.readout == "every") != reads_every or (
            network.output_activation != self.out_activation_
        ):
            raise ValueError(
                f"{name} has network_ with readout={network.readout!r} and output_activation="
                f"{network.output_activation!r}; expected {'' if reads_every else 'not '}'every' "
                f"and {self.out_activation_!r}, as fit left them. Fit again."
            )

    def _read(self, X: Any) -> Sequences:
        """Check X against what was fitted on."""
        return self._check_like(X, self.network_, dict(vars(self)), "X")

    def _check_like(self, X: Any, network: RNN, learned: dict[str, Any], name: str) -> Sequences:
        fill = learned["_fill"]
        sequences = read_alike(
            X,
            learned,
            caller=type(self).__name__,
            name=name,
            dtype=network.dtype,
            allow_nan=fill is not None,
        )
        misread = likely_lone(sequences) if sequences.form == "list" else None
        if misread is not None:
            name = type(self).__name__
            warnings.warn(f"{name} reads {misread}.", stacklevel=_frames_below_caller())
        return indicate(sequences, fill)

    def _outputs(self, X: Any, *, finite: bool) -> tuple[NDArray[np.floating], Sequences]:
        """Return the network's outputs (R, K) for X, in the order of X's flat buffer.

        finite : whether outputs that are not finite are an error, or a warning.
        """
        sequences = self._read(X)
        outputs = self.network_.outputs(sequences, self._n_threads())
        self._check_outputs(outputs, sequences, self.network_.readout, finite=finite)
        return outputs, sequences

    def _check_outputs(
        self, values: NDArray[np.floating], sequences: Sequences, readout: str, *, finite: bool
    ) -> None:
        """Warn of outputs or states that are not finite, or refuse them."""
        good = np.isfinite(values)
        if good.all():
            return
        place = spell_place(int(np.argmin(good.all(axis=1))), sequences, readout)
        message = (
            f"{type(self).__name__} computed NaN or infinity for X{place}: its states or outputs "
            f"leave the range of {values.dtype}, or its parameters are not finite. Scale X, or fit "
            f"with activation='tanh', whose states are bounded."
        )
        if finite:
            raise ValueError(message)
        warnings.warn(message, RuntimeWarning, stacklevel=_frames_below_caller())

    # ---- transform ----------------------------------------------------------------------------

    @property
    def _n_features_out(self) -> int:
        return int(self.network_.hidden_size)

    @property
    @abstractmethod
    def _states(self) -> str:
        """What `transform` gives where nothing is said."""

    __metadata_request__transform: ClassVar[dict[str, str]] = {"states": UNUSED}  # no metadata

    def transform(self, X: Any, states: str | None = None) -> Any:
        """Return the hidden states h1, as features for whatever comes next.

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
        model = self._snapshot()
        sequences = model._read(X)
        states = model._states if states is None else states
        if not isinstance(states, str) or states not in STATES:
            raise ValueError(
                f"{type(self).__name__}.transform got states={spell(states)}; expected one of "
                f"{STATES}."
            )
        hidden, final = model.network_.states(sequences, model._n_threads())
        model._check_outputs(hidden, sequences, "every", finite=False)
        if states == "last":
            return final
        if states == "all":
            return steps_like(sequences, hidden)
        first = sequences.offsets[:-1]
        if states == "max":
            return np.maximum.reduceat(hidden, first, axis=0)
        sums = np.add.reduceat(hidden, first, axis=0, dtype=np.float64)
        return (sums / sequences.lengths[:, None]).astype(hidden.dtype)


def _take(
    sequences: Sequences, labels: Labels, index: NDArray[np.intp], readout: str
) -> tuple[Sequences, Labels]:
    """Some of the sequences, with their labels."""
    ragged = Ragged(sequences.values, sequences.offsets)[index]
    rows = index
    if readout == "every":
        rows = Ragged(np.arange(sequences.n_steps), sequences.offsets)[index].values
    chosen = replace(
        labels,
        flat=labels.flat[rows],
        weights=labels.weights[rows],
        emphasis=labels.emphasis[rows],
        stratify=None if labels.stratify is None else labels.stratify[index],
    )
    return replace(sequences, values=ragged.values, offsets=ragged.offsets, times=()), chosen


def _used_only(sequences: Sequences, labels: Labels, readout: str) -> tuple[Sequences, Labels]:
    """Leave out the sequences that have no weight at all, so that training is as without them."""
    used = labels.weights * labels.emphasis != 0
    if readout == "every":
        used = np.logical_or.reduceat(used, sequences.offsets[:-1])
    if used.all():
        return sequences, labels
    return _take(sequences, labels, np.flatnonzero(used), readout)


def _astype(sequences: Sequences, dtype: Any) -> Sequences:
    return replace(sequences, values=sequences.values.astype(dtype, copy=False))


def _frames_below_caller() -> int:
    """How many frames of the call stack belong to the call of a public method."""
    frame, depth = sys._getframe(1), 1
    ours = ("cbptt.", CallbackSupportMixin.__module__)
    while frame.f_back is not None and str(frame.f_globals.get("__name__")).startswith(ours):
        frame, depth = frame.f_back, depth + 1
    return depth


partial_fit_available = available_if(_is_stochastic)
