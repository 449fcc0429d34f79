"""The parameters that every estimator has: their constraints, their texts, their signature."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Collection
from difflib import get_close_matches
from inspect import cleandoc, signature
from numbers import Integral, Real
from operator import index
from typing import Any, TypedDict, TypeVar

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Hidden, Interval, StrOptions

from cbptt.data.integers import is_integer
from cbptt.losses import ACTIVATIONS
from cbptt.parameters import INITIALISATIONS

SOLVERS = ("adam", "adamw", "sgd", "rmsprop", "adagrad", "lbfgs")
SCHEDULES = ("constant", "invscaling", "adaptive", "cosine")


class _Floats(Interval):  # type: ignore[misc]
    """An interval of the numbers that are floats: an int may be larger than all of them."""

    def is_satisfied_by(self, val: Any) -> bool:
        """Whether the value is in the interval, and a float or the size of one."""
        return bool(super().is_satisfied_by(val) and val <= sys.float_info.max)


class _Integers(Interval):  # type: ignore[misc]
    """An interval of the integers of any library, and not of booleans."""

    def is_satisfied_by(self, val: Any) -> bool:
        """Whether the value is in the interval, and an integer."""
        return is_integer(val) and bool(super().is_satisfied_by(index(val)))


AT_LEAST_1 = _Integers(Integral, 1, None, closed="left")
# What the error of the parameter's own reader explains better.
READ_IN_FIT = Hidden("boolean")
_NOT_NEGATIVE = _Floats(Real, 0, None, closed="left")
_POSITIVE = _Floats(Real, 0, None, closed="neither")
_SHARE = Interval(Real, 0, 1, closed="left")

CONSTRAINTS: dict[str, list[Any]] = {
    "hidden_layer_sizes": [AT_LEAST_1, "array-like", READ_IN_FIT],
    "activation": [StrOptions(set(ACTIVATIONS))],
    "solver": [StrOptions(set(SOLVERS))],
    "alpha": [_NOT_NEGATIVE],
    "batch_size": [StrOptions({"auto"}), AT_LEAST_1],
    "learning_rate": [StrOptions(set(SCHEDULES))],
    "learning_rate_init": [_POSITIVE],
    "power_t": [_NOT_NEGATIVE],
    "max_iter": [AT_LEAST_1],
    "shuffle": ["boolean"],
    "random_state": ["random_state"],
    "tol": [_NOT_NEGATIVE],
    "verbose": ["verbose"],
    "warm_start": ["boolean"],
    "momentum": [Interval(Real, 0, 1, closed="both")],
    "nesterovs_momentum": ["boolean"],
    "early_stopping": ["boolean"],
    "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
    "beta_1": [_SHARE],
    "beta_2": [_SHARE],
    "epsilon": [_POSITIVE],
    "rho": [_SHARE],
    "n_iter_no_change": [AT_LEAST_1],
    "max_fun": [AT_LEAST_1],
    "max_grad_norm": [_POSITIVE, None],
    "dropout": [_SHARE],
    "recurrent_dropout": [_SHARE],
    "learn_initial_state": ["boolean"],
    "bptt_steps": [AT_LEAST_1, None],
    "bptt_stride": [AT_LEAST_1, None],
    "checkpoint": [AT_LEAST_1, StrOptions({"auto"}), None],
    "bptt_streams": ["boolean"],
    "init": [StrOptions(set(INITIALISATIONS))],
    "missing": [StrOptions({"error", "mask"})],
    "dtype": [StrOptions({"auto", "float32", "float64"})],
    "n_jobs": [AT_LEAST_1, _Integers(Integral, None, -1, closed="right"), None],
}


class SharedParameters(TypedDict, total=False):
    """The types of the parameters whose defaults are the same in every estimator."""

    activation: str
    solver: str
    alpha: float
    batch_size: int | str
    learning_rate: str
    learning_rate_init: float
    power_t: float
    max_iter: int
    shuffle: bool
    random_state: int | np.random.RandomState | None
    tol: float
    verbose: bool | int
    warm_start: bool
    momentum: float
    nesterovs_momentum: bool
    validation_fraction: float
    beta_1: float
    beta_2: float
    epsilon: float
    rho: float
    n_iter_no_change: int
    max_fun: int
    max_grad_norm: float | None
    dropout: float
    recurrent_dropout: float
    learn_initial_state: bool
    bptt_stride: int | None
    bptt_streams: bool
    checkpoint: int | str | None
    init: str
    missing: str
    dtype: str
    n_jobs: int | None


class Parameters(SharedParameters, total=False):
    """The types of the parameters but the first, for those who write a call."""

    early_stopping: bool
    bptt_steps: int | None


class TrainingParameters:
    """A class that has them stores each under its own name, as scikit-learn requires."""

    def __init__(
        self,
        hidden_layer_sizes: Any = 64,
        *,
        activation: str = "tanh",
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: int | np.random.RandomState | None = None,
        tol: float = 1e-4,
        verbose: bool | int = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        rho: float = 0.9,
        n_iter_no_change: int = 10,
        max_fun: int = 15000,
        max_grad_norm: float | None = 1.0,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        learn_initial_state: bool = False,
        bptt_steps: int | None = None,
        bptt_stride: int | None = None,
        bptt_streams: bool = False,
        checkpoint: int | str | None = None,
        init: str = "orthogonal",
        missing: str = "error",
        dtype: str = "auto",
        n_jobs: int | None = None,
        **unknown: object,
    ) -> None:
        if unknown:
            raise TypeError(_unknown_parameter(type(self), next(iter(unknown))))
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.rho = rho
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.max_grad_norm = max_grad_norm
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.learn_initial_state = learn_initial_state
        self.bptt_steps = bptt_steps
        self.bptt_stride = bptt_stride
        self.bptt_streams = bptt_streams
        self.checkpoint = checkpoint
        self.init = init
        self.missing = missing
        self.dtype = dtype
        self.n_jobs = n_jobs


def _unknown_parameter(cls: type, name: str) -> str:
    """Say that a class has no such parameter, and which one may be meant."""
    close = get_close_matches(name, signature(cls).parameters, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"{cls.__name__}().get_params() has all."
    return f"{cls.__name__}.__init__() got an unexpected keyword argument {name!r}; {hint}"


# The texts, for the class docstrings.
_PARAMETERS = """hidden_layer_sizes : int or sequence of one int, default=64
        Number of hidden units, the lecture's M.
    activation : {"tanh", "relu", "logistic", "identity"}, default="tanh"
        Hidden activation.
    solver : {"adam", "adamw", "sgd", "rmsprop", "adagrad", "lbfgs"}, default="adam"
        Adam (Kingma & Ba 2015), the same with decoupled weight decay (Loshchilov & Hutter 2019),
        stochastic gradient descent with momentum, RMSprop (Tieleman & Hinton 2012), AdaGrad (Duchi,
        Hazan & Singer 2011); or L-BFGS (Byrd, Lu, Nocedal & Zhu 1995), which uses all sequences at
        once, in double precision, has no learning rate and no random mini-batches: for small data.
    alpha : float, default=0.0001
        L2 penalty: each mini-batch minimises (sum of losses + alpha / 2 * squared norm of the
        weights) / (sum of the targets' weights). Biases are not penalised. With solver="adamw" it
        is not part of the loss; each step multiplies the weights by 1 - learning rate * alpha.
    batch_size : int or "auto", default="auto"
        Sequences per mini-batch; "auto" is min(32, n_sequences). Not for "lbfgs".
    learning_rate : {"constant", "invscaling", "adaptive", "cosine"}, default="constant"
        Step size of an epoch. "constant": learning_rate_init. "invscaling": learning_rate_init /
        (t_ + 1) ** power_t, where t_ is the number of sequences seen. "adaptive":
        learning_rate_init, divided by 5 whenever training would stop because of tol, until it is
        1e-6. "cosine": half a cosine, from learning_rate_init to 0 at max_iter. `partial_fit` never
        stops because of tol. Not for "lbfgs".
    learning_rate_init : float, default=0.001
        Initial step size.
    power_t : float, default=0.5
        Exponent of learning_rate="invscaling".
    max_iter : int, default=200
        Largest number of epochs, or of iterations of "lbfgs".
    shuffle : bool, default=True
        Draw a new order of the sequences in each epoch.
    random_state : int, RandomState or None, default=None
        Determines the initial weights, the order of sequences, dropout and what is held out; an int
        gives bitwise identical results every time, for any number of threads.
    tol : float, default=1e-4
        Training stops when the loss (with early_stopping the validation score) has not improved by
        at least tol for more than n_iter_no_change epochs; "lbfgs" stops when no entry of the
        gradient is larger than tol, or the loss no longer falls.
    verbose : bool or int, default=False
        Print the loss of each epoch.
    warm_start : bool, default=False
        Let `fit` start with the weights of the previous fit, instead of new ones; the optimiser is
        new in both cases.
    momentum : float in [0, 1], default=0.9
        Momentum of solver="sgd".
    nesterovs_momentum : bool, default=True
        Nesterov's form of it, for solver="sgd".
    early_stopping : bool, default=False
        Stop when the score on held-out sequences no longer improves, and restore the weights of the
        best epoch. The held-out sequences are validation_data if passed to `fit`, else a fraction
        of the sequences. A score that is NaN or infinite counts as worse than any number; if no
        epoch has a finite score, the last weights are kept.
    validation_fraction : float in (0, 1), default=0.1
        Fraction of the sequences to hold out. With one label for each sequence the split is
        stratified, if there are enough sequences.
    beta_1, beta_2 : float in [0, 1), default=0.9, 0.999
        Decay of the first and second moment, for "adam" and "adamw".
    epsilon : float, default=1e-8
        Keeps the step finite, for all solvers but "sgd" and "lbfgs".
    rho : float in [0, 1), default=0.9
        Decay of the mean square of the gradient, for "rmsprop".
    n_iter_no_change : int, default=10
        See tol.
    max_fun : int, default=15000
        Most evaluations of the loss, for "lbfgs".
    max_grad_norm : float or None, default=1.0
        Gradients of larger Euclidean norm are scaled down to this norm (Pascanu, Mikolov & Bengio
        2013); None never clips. Not for "lbfgs".
    dropout, recurrent_dropout : float in [0, 1), default=0.0
        Fraction of the inputs, and of the hidden states on their way to the next step, that are
        dropped in training. They are drawn for each sequence and epoch, and are the same at all
        steps of a sequence (Gal & Ghahramani 2016). Not for "lbfgs".
    learn_initial_state : bool, default=False
        Learn the hidden state before the first step; otherwise it is 0.
    bptt_steps : int or None, default=None
        Let gradients flow back through at most this many steps (truncated BPTT, Williams & Peng
        1990). Each mini-batch is processed in windows of this many steps, with a step of the solver
        after each; the hidden states are carried from window to window, and are reset for the next
        sequences. Memory grows with the window and not with the sequences. With one target for each
        sequence, gradients flow only through its last window. None is the exact gradient.
    bptt_stride : int or None, default=None
        Steps from the beginning of a window to that of the next, at most bptt_steps; None is
        bptt_steps. With fewer, windows overlap, and more losses flow back further.
    bptt_streams : bool, default=False
        Cut long sequences into about batch_size pieces that are processed together, as language
        models do. Each piece starts from the initial state. For a few very long sequences with
        targets per step.
    checkpoint : int, "auto" or None, default=None
        Keep only the hidden states of every k-th step, with k = checkpoint, or sqrt(T) for "auto",
        and compute those between them again in the backward pass (Chen et al. 2016; Gruslys et al.
        2016). Results are bitwise identical and need less memory, for long sequences and exact
        gradients. k is rounded to whole chunks of a few hundred rows. None keeps all.
    init : {"orthogonal", "uniform", "identity"}, default="orthogonal"
        Initial weights. "orthogonal": orthogonal recurrent weights and Glorot input weights.
        "uniform": as in PyTorch. "identity": the identity as recurrent weights (Le, Jaitly & Hinton
        2015), meant for relu.
    missing : {"error", "mask"}, default="error"
        How NaN in X is read. "error": as an error. "mask": as a missing value. It is replaced by
        the variable's mean over the training steps (0 after scaling), weighted as their targets
        are, and the network gets one more input for each variable, 1 where the value is missing and
        0 elsewhere. NaN that pads short sequences is not missing: remove it by
        `Ragged.from_padded`.
    dtype : {"auto", "float32", "float64"}, default="auto"
        Precision of training and prediction; "auto" is float32 if that is NumPy's common type of
        all sequences, else float64.
    n_jobs : int or None, default=None
        Number of threads that share the sequences of a mini-batch, or of a prediction. None is 1,
        unless in a `joblib.parallel_config` context; -1 is all processors. If OMP_NUM_THREADS is
        set, as joblib does in its processes, it is the largest number; in joblib's threads the
        number is 1. Small mini-batches are processed by one thread. Results are bitwise identical
        for any number."""
_ATTRIBUTES = """network_ : RNN
        The fitted network; its `parameters` are the weights by name.
    coefs_, recurrent_coefs_, intercepts_ : lists of ndarrays
        The same weights in the layout of MLPClassifier, which transposes them: [W0' (D, M), W1' (M,
        K)], [W11' (M, M)] and [b0 (M,), b1 (K,)].
    n_features_in_ : int
        Number of variables D of a step; for two-dimensional X its number of columns.
    feature_names_in_ : (n_features_in_,) ndarray of str
        Names of the columns, if X was a data frame, or a list of data frames, with names.
    n_outputs_ : int
        Number of outputs K.
    n_layers_ : int
        3: inputs, hidden units, outputs.
    out_activation_ : str
        The output function.
    n_iter_ : int
        Epochs of the last `fit`, or iterations of "lbfgs", and of the calls of `partial_fit` after
        it.
    t_ : int
        Sequences seen in training, including those of fits before a warm start.
    loss_ : float
        Loss of the last epoch: the mean over targets, penalty included.
    best_loss_ : float or None
        Smallest loss of an epoch; None with early_stopping.
    loss_curve_ : list of floats
        Loss of each epoch.
    grad_norm_curve_ : list of floats
        Mean norm of the gradients of each epoch, before clipping.
    clip_rate_ : float
        Fraction of the solver's steps whose gradient was clipped.
    validation_loss_curve_, validation_scores_ : lists of floats, or None
        Loss, without penalty and class weights, and score on the held-out sequences after each
        epoch; None where there are none.
    best_validation_score_ : float or None
        The largest of the scores of the last fit, which with early_stopping is the score of the
        fitted weights. NaN if none is finite."""

Estimator = TypeVar("Estimator", bound=type)


def make_generator(
    random_state: int | np.random.RandomState | None, caller: str
) -> np.random.Generator:
    """Return a generator for a method's random_state, which is checked.

    Raises
    ------
    ValueError
        If it is none; the message begins with the caller.
    """
    try:
        seed = check_random_state(random_state).randint(2**31)
    except ValueError:
        raise ValueError(
            f"{caller} got random_state={random_state!r}; expected None, an int from 0 up or a "
            f"numpy.random.RandomState."
        ) from None
    return np.random.default_rng(seed)


def documented(
    base: Callable[..., None], *, without: Collection[str] = ()
) -> Callable[[Estimator], Estimator]:
    """Decorator that writes what all share into the docstring and the signature of a class.

    scikit-learn, and help, read the parameters from the signature of __init__. So a class spells
    its own, and hands the others, ``**parameters``, on to the __init__ of its base. Texts that its
    docstring has already stay as they are.

    Parameters
    ----------
    base : the __init__ that takes the others.
    without : attributes that the class does not have.
    """

    def complete(cls: Estimator) -> Estimator:
        if cls.__doc__ is not None:  # python -OO takes it away
            cls.__doc__ = _completed(cls.__doc__, without)
        init: Any = cls.__init__  # type: ignore[misc]
        own = signature(init)
        parameters = {**signature(base).parameters, **own.parameters}
        named = [p for p in parameters.values() if p.kind is not p.VAR_KEYWORD]
        init.__signature__ = own.replace(parameters=named)
        return cls

    return complete


def _completed(doc: str, without: Collection[str]) -> str:
    """The docstring with the shared entries that it has not itself, and without indentation."""
    doc = cleandoc(doc)  # as Python itself does from 3.13 on
    told = {*_names_told(doc), *without}
    for mark, texts in (("<parameters>", _PARAMETERS), ("<attributes>", _ATTRIBUTES)):
        entries = re.split(r"\n(?=\S)", cleandoc(texts))
        rest = [entry for entry in entries if not told.intersection(_names_told(entry))]
        doc = doc.replace(mark, "\n".join(rest))
    return doc


def _names_told(text: str) -> list[str]:
    """The names before the colons of a docstring's entries."""
    heads = re.findall(r"^(\w+(?:, \w+)*) : ", text, re.MULTILINE)
    return [name for head in heads for name in head.split(", ")]
