"""What the four estimators share: parameters, the training loop, and reading X."""

from __future__ import annotations

import os
import warnings
from abc import ABCMeta, abstractmethod
from numbers import Integral, Real
from typing import Any, ClassVar, Self, TypeVar

import numpy as np
from joblib import effective_n_jobs
from joblib.parallel import get_active_backend
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from cbptt.losses import ACTIVATIONS, Targets, flatten_weights
from cbptt.network import RNN
from cbptt.optimizers import Adam, Optimizer, Sgd
from cbptt.parameters import INITIALISATIONS
from cbptt.sequences import Sequences, check_sequences
from cbptt.training import Epoch, Trainer

# The parameters and learned attributes that every estimator has, for the class docstrings.
_PARAMETERS = """hidden_layer_sizes : int or sequence of one int, default=64
        Number of hidden units, the lecture's M.
    activation : {"tanh", "relu", "logistic", "identity"}, default="tanh"
        Hidden activation.
    solver : {"adam", "sgd"}, default="adam"
        Adam (Kingma & Ba 2015), or stochastic gradient descent with momentum.
    alpha : float, default=0.0001
        L2 penalty: each mini-batch minimises (sum of losses + alpha / 2 * squared norm of the
        weights) / (number of targets). Biases are not penalised.
    batch_size : int or "auto", default="auto"
        Sequences per mini-batch; "auto" is min(32, n_sequences).
    learning_rate_init : float, default=0.001
        Step size of the solver.
    max_iter : int, default=200
        Largest number of epochs.
    shuffle : bool, default=True
        Draw a new order of the sequences in each epoch.
    random_state : int, RandomState or None, default=None
        Source of the starting values and of the orders; an int gives the same bits every time,
        whatever the number of threads.
    tol : float, default=1e-4
        Training stops when the loss has not fallen by at least tol for more than n_iter_no_change
        epochs.
    verbose : bool or int, default=False
        Print the loss of each epoch.
    momentum : float in [0, 1], default=0.9
        Momentum of solver="sgd".
    nesterovs_momentum : bool, default=True
        Nesterov's form of it, for solver="sgd".
    beta_1, beta_2 : float in [0, 1), default=0.9, 0.999
        Decay of the first and second moment, for solver="adam".
    epsilon : float, default=1e-8
        Keeps the step finite, for solver="adam".
    n_iter_no_change : int, default=10
        See tol.
    max_grad_norm : float or None, default=1.0
        Gradients of larger Euclidean norm are scaled down to it (Pascanu, Mikolov & Bengio 2013);
        None never clips.
    init : {"orthogonal", "uniform", "identity"}, default="orthogonal"
        Starting values: orthogonal recurrent and Glorot input weights; PyTorch's uniform ones; or
        the identity as recurrent weights (Le, Jaitly & Hinton 2015), meant for relu.
    dtype : {"auto", "float32", "float64"}, default="auto"
        Precision of training and prediction; "auto" is float32 where all of X is, else float64.
    n_jobs : int or None, default=None
        Threads that share out the sequences of a mini-batch, and of a prediction. None is 1, unless
        in a `joblib.parallel_config` context; -1 is all processors. Never more than
        OMP_NUM_THREADS, where that is set, as joblib does in its processes, and 1 in its threads.
        Small mini-batches are left to one thread. Results are the same bits for any number."""
_ATTRIBUTES = """network_ : RNN
        The fitted network; its `parameters` are the weights by name.
    n_features_in_ : int
        Number of variables D of a step; for two-dimensional X its number of columns.
    n_outputs_ : int
        Number of outputs K.
    out_activation_ : str
        The output function.
    n_iter_ : int
        Epochs run.
    loss_ : float
        Loss of the last epoch: the mean over targets, penalty included.
    best_loss_ : float
        Smallest loss of an epoch.
    loss_curve_ : list of n_iter_ floats
        Loss of each epoch.
    grad_norm_curve_ : list of n_iter_ floats
        Mean norm of the gradients of each epoch, before clipping.
    clip_rate_ : float
        Share of the mini-batches whose gradient was clipped."""

Estimator = TypeVar("Estimator", bound=type)


def documented(cls: Estimator) -> Estimator:
    """Fill the shared parameters and attributes into a class docstring."""
    assert cls.__doc__ is not None
    cls.__doc__ = cls.__doc__.replace("<parameters>", _PARAMETERS).replace(
        "<attributes>", _ATTRIBUTES
    )
    return cls


class BaseRNN(BaseEstimator, metaclass=ABCMeta):  # type: ignore[misc]
    """Base of the estimators; a subclass says what a target is."""

    _readout: ClassVar[str]
    _output_activation: ClassVar[str]
    _loss: ClassVar[str]

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "hidden_layer_sizes": [Interval(Integral, 1, None, closed="left"), "array-like"],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "solver": [StrOptions({"adam", "sgd"})],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose"],
        "momentum": [Interval(Real, 0, 1, closed="both")],
        "nesterovs_momentum": ["boolean"],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "max_grad_norm": [Interval(Real, 0, None, closed="neither"), None],
        "init": [StrOptions(set(INITIALISATIONS))],
        "dtype": [StrOptions({"auto", "float32", "float64"})],
        "n_jobs": [
            Interval(Integral, 1, None, closed="left"),
            Interval(Integral, None, -1, closed="right"),
            None,
        ],
    }

    def __init__(
        self,
        hidden_layer_sizes: Any = 64,
        *,
        activation: str = "tanh",
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate_init: float = 0.001,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: int | np.random.RandomState | None = None,
        tol: float = 1e-4,
        verbose: bool | int = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: int = 10,
        max_grad_norm: float | None = 1.0,
        init: str = "orthogonal",
        dtype: str = "auto",
        n_jobs: int | None = None,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate_init = learning_rate_init
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_grad_norm = max_grad_norm
        self.init = init
        self.dtype = dtype
        self.n_jobs = n_jobs

    # ---- what a subclass says of its targets --------------------------------------------------

    @abstractmethod
    def _encode(self, y: Any, sequences: Sequences) -> tuple[NDArray[Any], int, dict[str, Any]]:
        """Check y; return the targets, flat, their K, and the attributes learned from them."""

    # ---- fit ----------------------------------------------------------------------------------

    def fit(self, X: Any, y: Any) -> Self:
        """Train on sequences.

        Parameters
        ----------
        X : list, tuple or 1-D object array of (T_i, D) arrays; (n, T, D); (n, T); or Ragged
            The sequences. A 2-D array is n sequences of one variable and equal length.
        y : targets, one per sequence or one per step, as the class says

        Returns
        -------
        self : fitted estimator

        Raises
        ------
        ValueError, TypeError
            Where a parameter, a sequence or a target does not fit; the message names it.

        Warns
        -----
        ConvergenceWarning
            When max_iter epochs pass without convergence, or the loss ceases to be finite.
        """
        self._validate_params()
        name = type(self).__name__
        if y is None:
            raise ValueError(
                f"{name} requires y to be passed, but the target y is None; expected one target "
                f"per {'step' if self._readout == 'every' else 'sequence'}."
            )
        sequences = check_sequences(X, dtype=self.dtype, caller=name)
        flat, n_outputs, learned = self._encode(y, sequences)
        rng = np.random.default_rng(check_random_state(self.random_state).randint(2**31))
        network = RNN(
            sequences.n_features,
            self._hidden_size(),
            n_outputs,
            activation=self.activation,
            output_activation=self._output_activation,
            loss=self._loss,
            readout=self._readout,
            init=self.init,
            dtype=sequences.values.dtype,
            random_state=rng,
        )
        weights = flatten_weights(None, sequences, self._readout, caller=name)
        targets = network.check_targets(flat, weights, sequences, name="y", caller=name)
        epochs = self._train(network, sequences, targets, rng)

        for attribute, value in learned.items():
            setattr(self, attribute, value)
        self.network_ = network
        self.n_outputs_ = n_outputs
        self.out_activation_ = self._output_activation
        self.n_iter_ = len(epochs)
        self.loss_curve_ = [epoch.loss for epoch in epochs]
        self.grad_norm_curve_ = [epoch.grad_norm for epoch in epochs]
        steps = sum(epoch.n_steps for epoch in epochs)
        self.clip_rate_ = sum(epoch.n_clipped for epoch in epochs) / max(steps, 1)
        self.loss_ = self.loss_curve_[-1] if epochs else np.inf
        self.best_loss_ = min((loss for loss in self.loss_curve_ if loss == loss), default=np.inf)
        self._read_columns = sequences.form == "2d"
        self.n_features_in_ = (
            sequences.n_steps // len(sequences) if self._read_columns else (sequences.n_features)
        )
        return self

    def _hidden_size(self) -> int:
        try:
            sizes = np.atleast_1d(np.asarray(self.hidden_layer_sizes))
        except ValueError:  # nested lists of unequal lengths
            sizes = np.empty(0)
        if sizes.shape != (1,) or sizes.dtype.kind not in "iu" or sizes[0] < 1:
            raise ValueError(
                f"{type(self).__name__} got hidden_layer_sizes={self.hidden_layer_sizes!r}; the "
                f"network has one hidden layer, so expected one integer of at least 1, as 64 or "
                f"(64,)."
            )
        return int(sizes[0])

    def _n_threads(self) -> int:
        """What n_jobs comes to, here and now."""
        n_threads = int(effective_n_jobs(self.n_jobs))
        granted = os.environ.get("OMP_NUM_THREADS", "")
        if granted.isdigit() and int(granted) > 0:
            return min(n_threads, int(granted))
        # A job of joblib's is told its share by the variable; in a thread there is none to share.
        is_job = get_active_backend()[0].nesting_level > 0
        return 1 if is_job else n_threads

    def _optimizer(self) -> Optimizer:
        if self.solver == "sgd":
            return Sgd(self.learning_rate_init, self.momentum, self.nesterovs_momentum)
        return Adam(
            self.learning_rate_init,
            beta_1=self.beta_1,
            beta_2=self.beta_2,
            epsilon=self.epsilon,
        )

    def _train(
        self, network: RNN, sequences: Sequences, targets: Targets, rng: np.random.Generator
    ) -> list[Epoch]:
        """Run epochs until the loss ceases to fall, max_iter is reached, or Ctrl-C is pressed."""
        n = len(sequences)
        trainer = Trainer(
            network,
            sequences,
            targets,
            self._optimizer(),
            batch_size=min(32 if self.batch_size == "auto" else int(self.batch_size), n),
            alpha=self.alpha,
            max_grad_norm=np.inf if self.max_grad_norm is None else self.max_grad_norm,
            shuffle=self.shuffle,
            rng=rng,
            n_threads=self._n_threads(),
        )
        epochs: list[Epoch] = []
        best_loss = np.inf
        best_theta = network.theta.copy()
        n_without_progress = 0
        try:
            for iteration in range(1, self.max_iter + 1):
                theta = network.theta.copy()
                epoch = trainer.epoch()
                epochs.append(epoch)
                if not epoch.finite:
                    network.theta = best_theta
                    warnings.warn(
                        f"Training stopped in iteration {iteration}: the loss, its gradient or a "
                        f"weight is no longer finite. The weights that the best iteration began "
                        f"with are restored. Scale X, or lower learning_rate_init or "
                        f"max_grad_norm.",
                        ConvergenceWarning,
                        stacklevel=3,
                    )
                    return epochs
                if self.verbose:
                    print(f"Iteration {iteration}, loss = {epoch.loss:.8f}")
                if epoch.loss > best_loss - self.tol:
                    n_without_progress += 1
                else:
                    n_without_progress = 0
                if epoch.loss < best_loss:
                    best_loss, best_theta = epoch.loss, theta
                if n_without_progress > self.n_iter_no_change:
                    if self.verbose:
                        print(
                            f"Training loss did not improve more than tol={self.tol:f} for "
                            f"{self.n_iter_no_change} consecutive epochs. Stopping."
                        )
                    return epochs
        except KeyboardInterrupt:
            warnings.warn("Training interrupted by user.", stacklevel=3)
            return epochs
        warnings.warn(
            f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) reached and the "
            f"optimization hasn't converged yet.",
            ConvergenceWarning,
            stacklevel=3,
        )
        return epochs

    # ---- predict ------------------------------------------------------------------------------

    def _outputs(self, X: Any) -> tuple[NDArray[np.floating], Sequences]:
        """Return the network's outputs (R, K) for X, in the order of X's flat buffer."""
        check_is_fitted(self)
        name = type(self).__name__
        network: RNN = self.network_
        n_features = None if self._read_columns else network.n_inputs
        sequences = check_sequences(X, dtype=network.dtype, caller=name, n_features=n_features)
        if self._read_columns:
            n_columns = sequences.n_steps // len(sequences)
            if sequences.form == "2d" and n_columns != self.n_features_in_:
                raise ValueError(
                    f"X has {n_columns} features, but {name} is expecting {self.n_features_in_} "
                    f"features as input. For sequences of other lengths pass a list of arrays."
                )
            if sequences.n_features != network.n_inputs:
                raise ValueError(
                    f"{name} got sequences with {sequences.n_features} features, but was fitted "
                    f"on sequences of one variable."
                )
        return network.outputs(sequences, self._n_threads()), sequences


def steps_like(sequences: Sequences, values: NDArray[Any]) -> Any:
    """Mirror X: an array for an array, and for anything ragged a 1-D object array of arrays.

    scikit-learn concatenates the predictions of its folds, which a list or a Ragged would not
    survive.
    """
    mirrored = sequences.shape_like(values)
    return np.asarray(mirrored) if sequences.form == "ragged" else mirrored
