"""The run of a fit: from a task to everything that is learned."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from operator import index
from typing import TYPE_CHECKING, Any

import numpy as np

from cbptt.estimators._callbacks import Progress
from cbptt.estimators._fitting import Fitting, History, Schedule
from cbptt.estimators._notices import Notice
from cbptt.estimators._solver import make_trainer
from cbptt.estimators._task import Task
from cbptt.training import Trainer

if TYPE_CHECKING:
    from cbptt.estimators._base import BaseRNN


def train(estimator: BaseRNN, task: Task) -> tuple[dict[str, Any], list[Notice]]:
    """Return all that is learned, and what the user is to be warned of."""
    moments, history, n_before, n_seen = None, History(), 0, 0
    if task.before is not None:
        history, n_seen = task.before._history.copy(), task.before.t_
        if task.incremental:
            moments, n_before = copy.deepcopy(task.before._moments), task.before.n_iter_
    network, held_out = task.network, task.held_out
    trainer = make_trainer(estimator, network, task.shard, task.rng, moments, task.truncation)
    fitting = _fitting(estimator, trainer, history, task, n_before, n_seen)

    def attributes() -> dict[str, Any]:
        """All that is learned, from the network as it stands."""
        return task.learned | {
            "network_": network.astype(task.dtype),
            "n_layers_": 2 + np.size(network.hidden_size),
            "out_activation_": task.labels.output_activation,
            "n_iter_": n_before + fitting.n_iter,
            "t_": fitting.n_seen,
            "_moments": trainer.moments,
            "_rng": task.rng,
            "_history": history,
            "_was_interrupted": fitting.interrupted,
            **_curves(estimator, history, None if held_out is None else fitting.best_score),
        }

    with _progress(estimator, task, attributes) as fitting.report:
        if task.incremental:
            fitting.one_epoch()
        elif estimator.solver == "lbfgs":
            fitting.descend(index(estimator.max_iter), index(estimator.max_fun))
        else:
            fitting.epochs(index(estimator.max_iter))
    return attributes(), fitting.notices


def _fitting(
    estimator: BaseRNN, trainer: Trainer, history: History, task: Task, n_before: int, n_seen: int
) -> Fitting:
    held_out = task.held_out

    def validate() -> tuple[float, float]:
        assert held_out is not None
        loss, outputs = trainer.network.engine.evaluate(held_out, trainer.n_threads)
        score = task.targets.score_held_out(outputs, held_out, task.labels.form)
        return loss / held_out.weight_sum, score

    schedule = Schedule(
        kind=estimator.learning_rate,
        first=estimator.learning_rate_init,
        power=estimator.power_t,
        n_epochs=index(estimator.max_iter),
    )
    return Fitting(
        trainer,
        schedule,
        history,
        n_before=n_before,
        n_seen=n_seen,
        tol=estimator.tol,
        n_iter_no_change=index(estimator.n_iter_no_change),
        early_stopping=estimator.early_stopping,
        validate=None if held_out is None else validate,
        report=None,
        verbose=bool(estimator.verbose),
    )


@contextmanager
def _progress(estimator: BaseRNN, task: Task, attributes: Any) -> Iterator[Any]:
    """Call scikit-learn's callbacks for the fit; yield what calls them after each epoch."""
    if task.incremental or not hasattr(estimator, "_skl_callbacks"):
        yield None
        return
    progress = Progress(estimator, **task.given, attributes=attributes)
    yield progress.after
    progress.end()


def _curves(estimator: BaseRNN, history: History, best_score: float | None) -> dict[str, Any]:
    """best_score : the best of this fit on held-out sequences; None where there are none."""
    losses, validated = history.losses, best_score is not None
    finite = [loss for loss in losses if loss == loss]
    return {
        "loss_curve_": list(losses),
        "grad_norm_curve_": list(history.grad_norms),
        "clip_rate_": history.n_clipped / max(history.n_steps, 1),
        "loss_": losses[-1] if losses else np.inf,
        "best_loss_": None if estimator.early_stopping else min(finite, default=np.inf),
        "validation_loss_curve_": list(history.validation_losses) if validated else None,
        "validation_scores_": list(history.validation_scores) if validated else None,
        "best_validation_score_": np.nan if best_score == -np.inf else best_score,
    }
