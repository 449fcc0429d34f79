"""From an estimator's parameters to what trains its network."""

from __future__ import annotations

import os
from operator import index

import numpy as np
from joblib import effective_n_jobs
from joblib.parallel import get_active_backend

from cbptt.data.integers import MAX_COUNT, read_integer
from cbptt.data.reading import spell
from cbptt.engine.results import Shard
from cbptt.engine.truncation import Truncation, check_truncation
from cbptt.estimators._parameters import TrainingParameters
from cbptt.network import RNN
from cbptt.optimizers import AdaGrad, Adam, AdamW, Moments, Optimizer, RmsProp, Sgd
from cbptt.training import Trainer

# Sequences whose gradient L-BFGS computes at a time.
FULL_BATCH = 256


def make_optimizer(parameters: TrainingParameters) -> Optimizer:
    """Return the step of the stochastic solver; that of "lbfgs" is never taken."""
    p, rate = parameters, parameters.learning_rate_init
    if p.solver in ("adam", "adamw"):
        adam = Adam(rate, beta_1=p.beta_1, beta_2=p.beta_2, epsilon=p.epsilon)
        return adam if p.solver == "adam" else AdamW(**vars(adam) | {"decay": p.alpha})
    if p.solver == "rmsprop":
        return RmsProp(rate, beta_2=p.rho, epsilon=p.epsilon)
    if p.solver == "adagrad":
        return AdaGrad(rate, epsilon=p.epsilon)
    return Sgd(rate, p.momentum, p.nesterovs_momentum)


def make_trainer(
    parameters: TrainingParameters,
    network: RNN,
    shard: Shard,
    rng: np.random.Generator,
    moments: Moments | None,
    truncation: Truncation | None,
) -> Trainer:
    """Return what runs epochs of training on a shard."""
    p, stochastic = parameters, parameters.solver != "lbfgs"
    batch_size = batch_size_of(p) if stochastic else FULL_BATCH
    return Trainer(
        network,
        shard.sequences,
        shard.targets,
        make_optimizer(p),
        batch_size=min(batch_size, len(shard.sequences)),
        rng=rng,
        alpha=0 if p.solver == "adamw" else p.alpha,
        max_grad_norm=np.inf if p.max_grad_norm is None else p.max_grad_norm,
        shuffle=p.shuffle,
        dropout=p.dropout if stochastic else 0,
        recurrent_dropout=p.recurrent_dropout if stochastic else 0,
        moments=moments,
        truncation=truncation,
        checkpoint=p.checkpoint,
        n_threads=count_threads(p.n_jobs),
    )


def batch_size_of(parameters: TrainingParameters) -> int:
    """Return the sequences of a mini-batch."""
    batch_size = parameters.batch_size
    return 32 if isinstance(batch_size, str) else index(batch_size)


def hidden_size_of(parameters: TrainingParameters, *, caller: str) -> tuple[int, ...]:
    """Return the units of each layer.

    Raises
    ------
    ValueError
        If hidden_layer_sizes is no integer of at least 1, and no sequence of some.
    """
    sizes = np.asarray(parameters.hidden_layer_sizes, dtype=object)
    try:
        if sizes.ndim > 1 or sizes.size == 0:
            raise ValueError
        return tuple(
            read_integer(size, caller=caller, name="hidden_layer_sizes")
            for size in np.atleast_1d(sizes)
        )
    except (TypeError, ValueError):
        raise ValueError(
            f"{caller} got hidden_layer_sizes={spell(parameters.hidden_layer_sizes)}; expected an "
            f"integer of at least 1 and at most {MAX_COUNT}, or one for each layer, as 64 or "
            f"(64, 32)."
        ) from None


def check_cell(parameters: TrainingParameters, *, caller: str) -> None:
    """Refuse what a cell with gates does not have.

    Raises
    ------
    ValueError
        For another activation than "tanh", or init="identity", with a cell that is not "rnn".
    """
    p = parameters
    if p.cell != "rnn" and p.activation != "tanh":
        raise ValueError(
            f"{caller} got activation={p.activation!r} with cell={p.cell!r}, whose gates are "
            f"logistic and whose states are tanh; expected activation='tanh', or cell='rnn'."
        )
    if p.cell != "rnn" and p.init == "identity":
        raise ValueError(
            f"{caller} got init='identity' with cell={p.cell!r}; expected 'orthogonal' or "
            f"'uniform', or cell='rnn'."
        )


def truncation_of(
    parameters: TrainingParameters, readout: str, *, caller: str
) -> Truncation | None:
    """Return the windows of truncated BPTT; None for the exact gradient.

    Raises
    ------
    ValueError
        If bptt_steps, bptt_stride or bptt_streams does not go with the other parameters.
    """
    p = parameters
    if p.bptt_steps is not None and p.solver == "lbfgs":
        raise ValueError(
            f"{caller} got bptt_steps={p.bptt_steps} with solver='lbfgs', which needs the exact "
            f"gradient; expected bptt_steps=None, or another solver."
        )
    if p.bptt_streams and (p.bptt_steps is None or readout != "every"):
        raise ValueError(
            f"{caller} got bptt_streams=True; expected targets for each step, and a number of "
            f"steps for bptt_steps."
        )
    return check_truncation(
        p.bptt_steps,
        p.bptt_stride,
        readout=readout,
        learn_initial_state=p.learn_initial_state,
        bidirectional=bool(p.bidirectional),
        caller=caller,
    )


def count_threads(n_jobs: int | None) -> int:
    """Return what n_jobs comes to, here and now."""
    n_threads = int(effective_n_jobs(None if n_jobs is None else index(n_jobs)))
    granted = os.environ.get("OMP_NUM_THREADS", "")
    if granted.isdigit() and int(granted) > 0:
        return min(n_threads, int(granted))
    # joblib sets the variable for its processes; its threads have no further threads to share.
    is_job = get_active_backend()[0].nesting_level > 0
    return 1 if is_job else n_threads
