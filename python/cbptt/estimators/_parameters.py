"""The parameters that all estimators share, and what the parameters of an estimator are.

A parameter is declared once, as a field of a dataclass: its name, type, default, allowed values and
documentation. From the fields come `__init__`, scikit-learn's constraints, and the section
"Parameters" of the docstring.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from functools import wraps
from inspect import cleandoc, signature
from numbers import Integral, Real
from operator import index
from textwrap import indent
from typing import Any, TypeVar, cast, dataclass_transform

import numpy as np
from sklearn.utils._param_validation import Hidden, Interval, StrOptions

from cbptt.data.integers import is_integer
from cbptt.estimators._attributes import ATTRIBUTES
from cbptt.losses import ACTIVATIONS
from cbptt.parameters import CELLS, INITIALISATIONS

SOLVERS = ("adam", "adamw", "sgd", "rmsprop", "adagrad", "lbfgs")
SCHEDULES = ("constant", "invscaling", "adaptive", "cosine")

Class = TypeVar("Class", bound=type)


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
OPEN_SHARE = Interval(Real, 0, 1, closed="neither")


def parameter(
    *, default: Any, allowed: list[Any], kind: str, doc: str, kw_only: bool = True
) -> Any:
    """Declare a parameter of an estimator.

    Parameters
    ----------
    default : the value where none is given
    allowed : list of scikit-learn's constraints, of which a value must satisfy one
    kind : str
        What a value is, as in the docstring: ``name : kind, default=default``.
    doc : str
        What the parameter does, the lines below.
    kw_only : bool, default=True
        Whether it must be passed by name.
    """
    return field(
        default=default, kw_only=kw_only, metadata={"allowed": allowed, "kind": kind, "doc": doc}
    )


@dataclass_transform(eq_default=False, kw_only_default=True, field_specifiers=(parameter,))
def with_parameters(*, attributes: Mapping[str, str] = ATTRIBUTES) -> Callable[[Class], Class]:
    """Decorator of an estimator, whose fields, made by `parameter`, become its parameters.

    The class gets an `__init__` that stores them, and `_parameter_constraints`. In its docstring
    the line "<parameters>" becomes their documentation, and "<attributes>" that of `attributes`.

    Parameters
    ----------
    attributes : mapping of str to str
        Name of a learned attribute to its documentation.
    """

    def complete(cls: Class) -> Class:
        doc = cls.__doc__  # which a dataclass without one makes up
        made: Any = dataclass(kw_only=True, eq=False, repr=False, match_args=False)(cls)
        made.__init__ = _explaining(made.__init__)
        declared = fields(made)
        made._parameter_constraints = {f.name: f.metadata["allowed"] for f in declared}
        sections = {
            "<parameters>": _listed({f.name: _described(f) for f in declared}),
            "<attributes>": _listed(attributes),
        }
        for mark, text in sections.items():
            doc = doc and cleandoc(doc).replace(mark, text)  # None with python -OO
        made.__doc__ = doc
        return cast(Class, made)

    return complete


def parameter_names(cls: type) -> list[str]:
    """Return the names of a class's parameters, in the order of its signature."""
    return [f.name for f in fields(cls)]


def _described(declared: Any) -> str:
    """The documentation of a field: what it is, and below it what it does."""
    default = declared.default
    spelled = json.dumps(default) if isinstance(default, str) else repr(default)
    return f"{declared.metadata['kind']}, default={spelled}\n{declared.metadata['doc']}"


def _listed(entries: Mapping[str, str]) -> str:
    """The entries of a section of a docstring: ``name : kind``, and the indented rest."""
    lines = []
    for name, text in entries.items():
        kind, _, rest = text.partition("\n")
        lines += [f"{name} : {kind}", indent(cleandoc(rest), "    ")]
    return "\n".join(lines)


def _explaining(init: Callable[..., None]) -> Callable[..., None]:
    """An `__init__` that names the parameter which may be meant by one that there is not."""
    declared = signature(init)

    @wraps(init)
    def explained(self: Any, *args: Any, **parameters: Any) -> None:
        unknown = parameters.keys() - declared.parameters.keys()
        if unknown:
            raise TypeError(_unknown_parameter(type(self), min(unknown)))
        init(self, *args, **parameters)

    # scikit-learn reads the signature in every fit; this saves working it out each time.
    cast(Any, explained).__signature__ = declared
    return explained


def _unknown_parameter(cls: type, name: str) -> str:
    """Say that a class has no such parameter, and which one may be meant."""
    close = get_close_matches(name, signature(cls).parameters, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"{cls.__name__}().get_params() has all."
    return f"{cls.__name__}.__init__() got an unexpected keyword argument {name!r}; {hint}"


@with_parameters()
class TrainingParameters:
    """The parameters of training, which every estimator has."""

    hidden_layer_sizes: Any = parameter(
        default=64,
        kw_only=False,
        allowed=[AT_LEAST_1, "array-like", READ_IN_FIT],
        kind="int or sequence of ints",
        doc="""
        Number of hidden units, the lecture's M; a sequence has the units of each layer, the lowest
        first.
        """,
    )
    cell: str = parameter(
        default="rnn",
        allowed=[StrOptions(set(CELLS))],
        kind='{"rnn", "gru", "lstm"}',
        doc="""
        What a layer is made of: the lecture's tanh units; the GRU (Cho et al. 2014), in PyTorch's
        form; or the LSTM (Hochreiter & Schmidhuber 1997; Gers et al. 2000), without peepholes.
        """,
    )
    bidirectional: bool = parameter(
        default=False,
        allowed=["boolean"],
        kind="bool",
        doc="""
        Let each layer also run from the last step to the first (Schuster & Paliwal 1997). It then
        reads whole sequences: it cannot step, generate, forecast or be trained in windows.
        """,
    )
    activation: str = parameter(
        default="tanh",
        allowed=[StrOptions(set(ACTIVATIONS))],
        kind='{"tanh", "relu", "logistic", "identity"}',
        doc='Hidden activation of the cell "rnn"; others have logistic gates and tanh.',
    )
    solver: str = parameter(
        default="adam",
        allowed=[StrOptions(set(SOLVERS))],
        kind='{"adam", "adamw", "sgd", "rmsprop", "adagrad", "lbfgs"}',
        doc="""
        Adam (Kingma & Ba 2015), the same with decoupled weight decay (Loshchilov & Hutter 2019),
        stochastic gradient descent with momentum, RMSprop (Tieleman & Hinton 2012), AdaGrad (Duchi,
        Hazan & Singer 2011); or L-BFGS (Byrd, Lu, Nocedal & Zhu 1995), which uses all sequences at
        once, in double precision, has no learning rate and no random mini-batches: for small data.
        """,
    )
    alpha: float = parameter(
        default=0.0001,
        allowed=[_NOT_NEGATIVE],
        kind="float",
        doc="""
        L2 penalty: each mini-batch minimises (sum of losses + alpha / 2 * squared norm of the
        weights) / (sum of the targets' weights). Biases are not penalised. With solver="adamw" it
        is not part of the loss; each step multiplies the weights by 1 - learning rate * alpha.
        """,
    )
    batch_size: int | str = parameter(
        default="auto",
        allowed=[StrOptions({"auto"}), AT_LEAST_1],
        kind='int or "auto"',
        doc='Sequences per mini-batch; "auto" is min(32, n_sequences). Not for "lbfgs".',
    )
    learning_rate: str = parameter(
        default="constant",
        allowed=[StrOptions(set(SCHEDULES))],
        kind='{"constant", "invscaling", "adaptive", "cosine"}',
        doc="""
        Step size of an epoch. "constant": learning_rate_init. "invscaling": learning_rate_init /
        (t_ + 1) ** power_t, where t_ is the number of sequences seen. "adaptive":
        learning_rate_init, divided by 5 whenever training would stop because of tol, until it is
        1e-6. "cosine": half a cosine, from learning_rate_init to 0 at max_iter. `partial_fit` never
        stops because of tol. Not for "lbfgs".
        """,
    )
    learning_rate_init: float = parameter(
        default=0.001,
        allowed=[_POSITIVE],
        kind="float",
        doc="Initial step size.",
    )
    power_t: float = parameter(
        default=0.5,
        allowed=[_NOT_NEGATIVE],
        kind="float",
        doc='Exponent of learning_rate="invscaling".',
    )
    max_iter: int = parameter(
        default=200,
        allowed=[AT_LEAST_1],
        kind="int",
        doc='Largest number of epochs, or of iterations of "lbfgs".',
    )
    shuffle: bool = parameter(
        default=True,
        allowed=["boolean"],
        kind="bool",
        doc="Draw a new order of the sequences in each epoch.",
    )
    random_state: int | np.random.RandomState | None = parameter(
        default=None,
        allowed=["random_state"],
        kind="int, RandomState or None",
        doc="""
        Determines the initial weights, the order of sequences, dropout and what is held out; an int
        gives bitwise identical results every time, for any number of threads.
        """,
    )
    tol: float = parameter(
        default=1e-4,
        allowed=[_NOT_NEGATIVE],
        kind="float",
        doc="""
        Training stops when the loss (with early_stopping the validation score) has not improved by
        at least tol for more than n_iter_no_change epochs; "lbfgs" stops when no entry of the
        gradient is larger than tol, or the loss no longer falls.
        """,
    )
    verbose: bool | int = parameter(
        default=False,
        allowed=["verbose"],
        kind="bool or int",
        doc="Print the loss of each epoch.",
    )
    warm_start: bool = parameter(
        default=False,
        allowed=["boolean"],
        kind="bool",
        doc="""
        Let `fit` start with the weights of the previous fit, instead of new ones; the optimiser is
        new in both cases.
        """,
    )
    momentum: float = parameter(
        default=0.9,
        allowed=[Interval(Real, 0, 1, closed="both")],
        kind="float in [0, 1]",
        doc='Momentum of solver="sgd".',
    )
    nesterovs_momentum: bool = parameter(
        default=True,
        allowed=["boolean"],
        kind="bool",
        doc="""Nesterov's form of it, for solver="sgd".""",
    )
    early_stopping: bool = parameter(
        default=False,
        allowed=["boolean"],
        kind="bool",
        doc="""
        Stop when the score on held-out sequences no longer improves, and restore the weights of the
        best epoch. The held-out sequences are validation_data if passed to `fit`, else a fraction
        of the sequences. A score that is NaN or infinite counts as worse than any number; if no
        epoch has a finite score, the last weights are kept.
        """,
    )
    validation_fraction: float = parameter(
        default=0.1,
        allowed=[OPEN_SHARE],
        kind="float in (0, 1)",
        doc="""
        Fraction of the sequences to hold out. With one label for each sequence the split is
        stratified, if there are enough sequences.
        """,
    )
    beta_1: float = parameter(
        default=0.9,
        allowed=[_SHARE],
        kind="float in [0, 1)",
        doc='Decay of the first moment, for "adam" and "adamw".',
    )
    beta_2: float = parameter(
        default=0.999,
        allowed=[_SHARE],
        kind="float in [0, 1)",
        doc='Decay of the second moment, for "adam" and "adamw".',
    )
    epsilon: float = parameter(
        default=1e-8,
        allowed=[_POSITIVE],
        kind="float",
        doc='Keeps the step finite, for all solvers but "sgd" and "lbfgs".',
    )
    rho: float = parameter(
        default=0.9,
        allowed=[_SHARE],
        kind="float in [0, 1)",
        doc='Decay of the mean square of the gradient, for "rmsprop".',
    )
    n_iter_no_change: int = parameter(
        default=10,
        allowed=[AT_LEAST_1],
        kind="int",
        doc="See tol.",
    )
    max_fun: int = parameter(
        default=15000,
        allowed=[AT_LEAST_1],
        kind="int",
        doc='Most evaluations of the loss, for "lbfgs".',
    )
    max_grad_norm: float | None = parameter(
        default=1.0,
        allowed=[_POSITIVE, None],
        kind="float or None",
        doc="""
        Gradients of larger Euclidean norm are scaled down to this norm (Pascanu, Mikolov & Bengio
        2013); None never clips. Not for "lbfgs".
        """,
    )
    dropout: float = parameter(
        default=0.0,
        allowed=[_SHARE],
        kind="float in [0, 1)",
        doc="""
        Fraction of the inputs of every layer that are dropped in training. They are drawn for each
        sequence and epoch, and are the same at all steps of a sequence (Gal & Ghahramani 2016), as
        with Keras' dropout of a layer; PyTorch's nn.LSTM drops other values at each step, and only
        between layers. Not for "lbfgs".
        """,
    )
    recurrent_dropout: float = parameter(
        default=0.0,
        allowed=[_SHARE],
        kind="float in [0, 1)",
        doc="""
        Fraction of the hidden states of every layer that are dropped on their way to the next step,
        in training.
        They are drawn as those of `dropout` are. Not for "lbfgs".
        """,
    )
    learn_initial_state: bool = parameter(
        default=False,
        allowed=["boolean"],
        kind="bool",
        doc="Learn the hidden state before the first step; otherwise it is 0.",
    )
    bptt_steps: int | None = parameter(
        default=None,
        allowed=[AT_LEAST_1, None],
        kind="int or None",
        doc="""
        Let gradients flow back through at most this many steps (truncated BPTT, Williams & Peng
        1990). Each mini-batch is processed in windows of this many steps, with a step of the solver
        after each; the hidden states are carried from window to window, and are reset for the next
        sequences. Memory grows with the window and not with the sequences. With one target for each
        sequence, gradients flow only through its last window. None is the exact gradient.
        """,
    )
    bptt_stride: int | None = parameter(
        default=None,
        allowed=[AT_LEAST_1, None],
        kind="int or None",
        doc="""
        Steps from the beginning of a window to that of the next, at most bptt_steps; None is
        bptt_steps. With fewer, windows overlap, and more losses flow back further.
        """,
    )
    bptt_streams: bool = parameter(
        default=False,
        allowed=["boolean"],
        kind="bool",
        doc="""
        Cut long sequences into about batch_size pieces that are processed together, as language
        models do. Each piece starts from the initial state. For a few very long sequences with
        targets per step.
        """,
    )
    checkpoint: int | str | None = parameter(
        default=None,
        allowed=[AT_LEAST_1, StrOptions({"auto"}), None],
        kind='int, "auto" or None',
        doc="""
        Keep only the hidden states of every k-th step, with k = checkpoint, or sqrt(T) for "auto",
        and compute those between them again in the backward pass (Chen et al. 2016; Gruslys et al.
        2016). Results are bitwise identical and need less memory, for long sequences and exact
        gradients. k is rounded to whole chunks of a few hundred rows. None keeps all.
        """,
    )
    init: str = parameter(
        default="orthogonal",
        allowed=[StrOptions(set(INITIALISATIONS))],
        kind='{"orthogonal", "uniform", "identity"}',
        doc="""
        Initial weights. "orthogonal": orthogonal recurrent weights and Glorot input weights.
        "uniform": as in PyTorch. "identity": the identity as recurrent weights (Le, Jaitly & Hinton
        2015), meant for relu, and for the cell "rnn" only.
        """,
    )
    forget_bias: float = parameter(
        default=1.0,
        allowed=[_Floats(Real, None, None, closed="neither")],
        kind="float",
        doc="""
        Is added to the initial biases of the gates that keep the state, which are open then: the
        forget gates of an LSTM (Gers et al. 2000; Jozefowicz et al. 2015) and the update gates of a
        GRU. Larger values help with longer lags.
        """,
    )
    missing: str = parameter(
        default="error",
        allowed=[StrOptions({"error", "mask"})],
        kind='{"error", "mask"}',
        doc="""
        How NaN in X is read. "error": as an error. "mask": as a missing value. It is replaced by
        the variable's mean over the training steps (0 after scaling), weighted as their targets
        are, and the network gets one more input for each variable, 1 where the value is missing and
        0 elsewhere. NaN that pads short sequences is not missing: remove it by
        `Ragged.from_padded`.
        """,
    )
    dtype: str = parameter(
        default="auto",
        allowed=[StrOptions({"auto", "float32", "float64"})],
        kind='{"auto", "float32", "float64"}',
        doc="""
        Precision of training and prediction; "auto" is float32 if that is NumPy's common type of
        all sequences, else float64.
        """,
    )
    n_jobs: int | None = parameter(
        default=None,
        allowed=[AT_LEAST_1, _Integers(Integral, None, -1, closed="right"), None],
        kind="int or None",
        doc="""
        Number of threads that share the sequences of a mini-batch, or of a prediction. None is 1,
        unless in a `joblib.parallel_config` context; -1 is all processors. If OMP_NUM_THREADS is
        set, as joblib does in its processes, it is the largest number; in joblib's threads the
        number is 1. Small mini-batches are processed by one thread. Results are bitwise identical
        for any number.
        """,
    )
