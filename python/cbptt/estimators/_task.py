"""What a fit starts from: data, labels and a network, read, checked and divided."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from cbptt.data.sequences import Sequences, check_sequences
from cbptt.engine.results import Shard
from cbptt.engine.truncation import Truncation
from cbptt.estimators._forms import learn_form, likely_misreading
from cbptt.estimators._missing import indicate
from cbptt.estimators._notices import Notice
from cbptt.estimators._solver import batch_size_of, check_cell, hidden_size_of, truncation_of
from cbptt.estimators._targets import Labels, TargetForm, TargetKind
from cbptt.estimators._training_set import TrainingSet, cut_streams
from cbptt.network import RNN

if TYPE_CHECKING:
    from cbptt.estimators._base import BaseRNN

# What is learned of X, and a later X must agree with.
_OF_X = ("_read_columns", "n_features_in_", "feature_names_in_", "_fill")


@dataclass(eq=False)
class Task:
    """All that a fit starts from, read and checked.

    Attributes
    ----------
    given : dict
        X, y and sample_weight as the user passed them.
    targets : TargetKind
    learned : dict
        The attributes that are known before training.
    labels : Labels
    network : RNN
        What is trained.
    dtype : numpy dtype
        Precision of the network once it is trained.
    rng : Generator
    truncation : Truncation or None
    before : BaseRNN or None
        The fit that this one goes on from.
    incremental : bool
        Whether it is a single epoch of `partial_fit`.
    notices : list of Notice
        What the user is to be warned of before training.
    shard : Shard
        What the network is trained on.
    held_out : Shard or None
        What it is scored on after each epoch.
    """

    given: dict[str, Any]
    targets: TargetKind
    learned: dict[str, Any]
    labels: Labels
    network: RNN
    dtype: np.dtype[Any]
    rng: np.random.Generator
    truncation: Truncation | None
    before: BaseRNN | None
    incremental: bool
    notices: list[Notice]
    shard: Shard = field(init=False)
    held_out: Shard | None = field(default=None, init=False)


def prepare(
    estimator: BaseRNN,
    X: Any,
    y: Any,
    sample_weight: Any,
    validation_data: Any = None,
    *,
    targets: TargetKind | None = None,
    incremental: bool = False,
) -> Task:
    """Check everything that is given; the estimator itself stays as it is."""
    estimator._validate_params()
    targets = estimator._targets if targets is None else targets
    check_cell(estimator, caller=estimator._name)
    truncation = truncation_of(estimator, targets.readout, caller=estimator._name)
    before = _fit_before(estimator, incremental)
    if y is None:
        raise ValueError(
            f"{estimator._name} requires y to be passed, but the target y is None; expected one "
            f"target per {'step' if targets.readout == 'every' else 'sequence'}."
        )
    known: TargetForm | None = None
    notices: list[Notice] = []
    if before is None:
        sequences, learned = _read_first(estimator, X)
    else:
        known = before._form
        sequences, learned, notices = _read_again(before, X)
    labels = targets.read(y, sequences, sample_weight, known)
    learned |= {"_target_form": labels.form, "n_outputs_": labels.n_outputs}
    if labels.form.classes is not None:
        learned["classes_"] = labels.form.classes
    data = TrainingSet(sequences, labels, per_step=targets.readout == "every")
    used = data.used(caller=estimator._name)
    if before is None:
        misread = likely_misreading(X, sequences, replicates=labels.form.replicated)
        notices += estimator._notices_of_misreading(misread)
        learned["_fill"] = data.take(used).mean_of_steps() if estimator.missing == "mask" else None
        data = replace(data, sequences=indicate(sequences, learned["_fill"]))
    rng = _generator(estimator, before)
    network = _network(estimator, data, targets.readout, rng, before)
    task = Task(
        given={"X": X, "y": y, "sample_weight": sample_weight},
        targets=targets,
        learned=learned,
        labels=labels,
        network=network.astype(np.float64) if estimator.solver == "lbfgs" else network,
        dtype=network.dtype,
        rng=rng,
        truncation=truncation,
        before=before,
        incremental=incremental,
        notices=notices,
    )
    _divide(estimator, task, data, used, validation_data)
    return task


def _divide(
    estimator: BaseRNN, task: Task, data: TrainingSet, used: NDArray[np.intp], validation_data: Any
) -> None:
    """Complete a task by what is trained on, and what is held out."""
    network = task.network
    if validation_data is not None:
        task.held_out = _read_validation(estimator, validation_data, task)
    elif estimator.early_stopping:
        used, others = data.hold_out(used, estimator.validation_fraction, task.rng)
        apart = data.take(others)
        task.held_out = _shard(estimator, network, apart, apart.labels.weights)
    data = data.take(used)
    task.shard = _shard(estimator, network, data, data.labels.training_weights)
    if estimator.bptt_streams and task.truncation is not None:
        shortest = task.truncation.steps
        streams = cut_streams(task.shard.sequences, batch_size_of(estimator), shortest)
        task.shard = replace(task.shard, sequences=streams)


def _fit_before(estimator: BaseRNN, incremental: bool) -> BaseRNN | None:
    """Return the fit to go on from, as it is now; None for a first one."""
    if not (incremental or estimator.warm_start):
        return None
    before = estimator._copied()
    return before if hasattr(before, "network_") else None


def _read_first(estimator: BaseRNN, X: Any) -> tuple[Sequences, dict[str, Any]]:
    """Check X, and learn from it what a later X must agree with."""
    allow_nan, caller = estimator.missing == "mask", estimator._name
    sequences = check_sequences(X, dtype=estimator.dtype, caller=caller, allow_nan=allow_nan)
    return sequences, learn_form(X, sequences, estimator=estimator)


def _read_again(before: BaseRNN, X: Any) -> tuple[Sequences, dict[str, Any], list[Notice]]:
    """Check X against what was fitted on, and return that too."""
    before._check_learned()
    sequences, notices = before._read_alike(X, before.network_, vars(before), "X")
    learned = {name: getattr(before, name) for name in _OF_X if hasattr(before, name)}
    return sequences, learned, notices


def _read_validation(estimator: BaseRNN, data: Any, task: Task) -> Shard:
    """Check held-out sequences that were given."""
    if not isinstance(data, (tuple, list)) or len(data) not in (2, 3):
        raise ValueError(
            f"{estimator._name} got validation_data of type {type(data).__name__}; expected a "
            f"tuple (X, y) or (X, y, sample_weight)."
        )
    X, y, sample_weight = (*data, None)[:3]
    sequences, notices = estimator._read_alike(X, task.network, task.learned, "validation_data[0]")
    task.notices.extend(notices)
    try:
        labels = task.targets.read(y, sequences, sample_weight, task.labels.form)
    except (ValueError, TypeError) as error:
        where = "Here y and sample_weight are validation_data[1:]."
        raise type(error)(f"{error} {where}") from error
    held_out = TrainingSet(sequences, labels, per_step=task.targets.readout == "every")
    return _shard(estimator, task.network, held_out, labels.weights, "validation_data[1]")


def _shard(
    estimator: BaseRNN,
    network: RNN,
    data: TrainingSet,
    weights: NDArray[np.floating],
    name: str = "y",
) -> Shard:
    """Return sequences and targets in the precision of the network."""
    values = data.sequences.values.astype(network.dtype, copy=False)
    sequences = replace(data.sequences, values=values)
    weights = weights.astype(network.dtype, copy=False)
    targets = network.check_targets(
        data.labels.flat, weights, sequences, name=name, caller=estimator._name
    )
    return Shard(sequences, targets)


def _generator(estimator: BaseRNN, before: BaseRNN | None) -> np.random.Generator:
    if before is not None:
        rng: np.random.Generator = copy.deepcopy(before._rng)
        return rng
    return np.random.default_rng(check_random_state(estimator.random_state).randint(2**31))


def _network(
    estimator: BaseRNN,
    data: TrainingSet,
    readout: str,
    rng: np.random.Generator,
    before: BaseRNN | None,
) -> RNN:
    """Return a network to train: a new one, or a copy of the one of before."""
    network = RNN(
        data.sequences.n_features,
        hidden_size_of(estimator, caller=estimator._name),
        data.labels.n_outputs,
        cell=estimator.cell,
        bidirectional=bool(estimator.bidirectional),
        activation=estimator.activation,
        output_activation=data.labels.output_activation,
        loss=data.labels.loss,
        readout=readout,
        learn_initial_state=estimator.learn_initial_state,
        init=estimator.init if before is None else "uniform",  # the cheapest: it is overwritten
        forget_bias=estimator.forget_bias,
        dtype=data.sequences.values.dtype,
        random_state=rng if before is None else np.random.default_rng(0),
    )
    if before is not None:
        old: RNN = before.network_
        if old.cell != network.cell or old.layout.entries != network.layout.entries:
            raise ValueError(
                f"{estimator._name} cannot go on from the fit before, whose network was {old!r}; "
                f"set warm_start=False, or leave hidden_layer_sizes, cell, bidirectional, "
                f"learn_initial_state and the number of outputs as they were."
            )
        network.theta = old.theta
    return network
