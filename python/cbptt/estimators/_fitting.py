"""The epochs of a fit: the learning rate of each, when to stop, and which weights to keep."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from cbptt.estimators._notices import Notice
from cbptt.network import RNN
from cbptt.training import Descent, Epoch, Trainer, minimise

LOWEST_RATE = 1e-6  # below it learning_rate="adaptive" gives up, as in MLPClassifier


@dataclass
class Schedule:
    """The learning rate of each epoch.

    Parameters
    ----------
    kind : {"constant", "invscaling", "adaptive", "cosine"}
    first : the rate to begin with.
    power : exponent of "invscaling".
    n_epochs : where "cosine" ends.
    """

    kind: str
    first: float
    power: float
    n_epochs: int
    lowered: float = 1.0

    def rate(self, epoch: int, n_seen: int) -> float:
        """Return the rate of an epoch, counted from 0, after n_seen sequences."""
        if self.kind == "invscaling":
            return float(self.first * float(n_seen + 1) ** -self.power)  # 0 where that underflows
        if self.kind == "cosine":
            return self.first * (1 + math.cos(math.pi * min(1, epoch / self.n_epochs))) / 2
        return self.first * self.lowered

    def lower(self) -> bool:
        """Continue with a fifth of the rate, if it is not too small; return whether to continue."""
        if self.kind != "adaptive" or self.first * self.lowered <= LOWEST_RATE:
            return False
        self.lowered /= 5
        return True


@dataclass
class History:
    """What the epochs gave; an estimator that is trained further extends its own."""

    losses: list[float] = field(default_factory=list)
    grad_norms: list[float] = field(default_factory=list)
    validation_losses: list[float] = field(default_factory=list)
    validation_scores: list[float] = field(default_factory=list)
    n_steps: int = 0
    n_clipped: int = 0

    def copy(self) -> History:
        """Return a history that can be extended while this one stays as it is."""
        return replace(
            self,
            losses=self.losses[:],
            grad_norms=self.grad_norms[:],
            validation_losses=self.validation_losses[:],
            validation_scores=self.validation_scores[:],
        )


@dataclass
class Fitting:
    """Runs the epochs of one fit.

    Parameters
    ----------
    trainer : Trainer
    schedule : Schedule
    history : History
        Is added to.
    n_before : epochs that the schedule takes for done.
    n_seen : sequences seen before.
    tol, n_iter_no_change : when the loss, or with early_stopping the score, has stopped improving.
    early_stopping : whether the score on held-out sequences decides, and on the weights too.
    validate : returns loss and score on held-out sequences; or None.
    report : called at the end of each epoch, returns whether to stop; or None.
    verbose : whether to print.

    Attributes
    ----------
    n_iter : epochs run.
    interrupted : whether Ctrl-C ended it.
    best_score : the largest score on held-out sequences; -inf where none was finite.
    notices : what the user is to be warned of once the fit is done.
    """

    trainer: Trainer
    schedule: Schedule
    history: History
    n_before: int
    n_seen: int
    tol: float
    n_iter_no_change: int
    early_stopping: bool
    validate: Callable[[], tuple[float, float]] | None
    report: Callable[[int], bool] | None
    verbose: bool
    n_iter: int = field(default=0, init=False)
    interrupted: bool = field(default=False, init=False)
    best_loss: float = field(default=np.inf, init=False)
    best_score: float = field(default=-np.inf, init=False)

    def __post_init__(self) -> None:
        self.notices: list[Notice] = []
        self._n_without_progress = 0
        self._n_without_score = 0
        self._best_theta = self.network.theta.copy()

    @property
    def network(self) -> RNN:
        """What is trained."""
        return self.trainer.network

    def epochs(self, max_iter: int) -> None:
        """Train by mini-batches, for at most max_iter epochs."""
        try:
            while not (stopped := self._epoch()) and self.n_iter < max_iter:
                pass
            if not stopped and self.schedule.kind != "cosine":  # whose rate is 0 at max_iter
                self._notify(
                    f"Stochastic Optimizer: Maximum iterations ({max_iter}) reached and the "
                    f"optimization hasn't converged yet."
                )
        except KeyboardInterrupt:
            self._was_interrupted()
        self._end()

    def one_epoch(self) -> None:
        """Train by mini-batches for one epoch, whatever comes of it."""
        if self._rate() == 0:
            message = (
                f"The learning rate is 0 after {self.n_before} epochs of learning_rate="
                f"{self.schedule.kind!r}, so partial_fit learns nothing. Set a larger max_iter, "
                f"or another learning_rate."
            )
            self.notices.append(Notice(message))
        try:
            self._epoch()
        except KeyboardInterrupt:
            self._was_interrupted()
        self._end()

    def descend(self, max_iter: int, max_fun: int) -> None:
        """Train on all sequences at once, by L-BFGS."""
        iterate = self.network.theta.copy()

        def after(epoch: Epoch) -> bool:
            iterate[:] = self.network.theta
            return self._after(epoch, iterate.copy(), descent=True)

        try:
            end = minimise(
                self.trainer,
                max_iter=max_iter,
                max_fun=max_fun,
                tol=self.tol,
                after=after,
            )
        except KeyboardInterrupt:
            self.network.theta = iterate  # and not what the line search was trying
            self._was_interrupted()
            end = Descent(True, "")
        if not end.converged:
            self._notify(
                f"lbfgs stopped after {self.n_iter} iterations without converging: {end.message} "
                f"Increase max_iter or max_fun, or scale X and the targets."
            )
        self._end()

    def _epoch(self) -> bool:
        theta = self.network.theta.copy()
        return self._after(self.trainer.epoch(self._rate()), theta)

    def _rate(self) -> float:
        return self.schedule.rate(self.n_before + self.n_iter, self.n_seen)

    def _after(self, epoch: Epoch, theta: NDArray[np.floating], *, descent: bool = False) -> bool:
        """Take an epoch down and decide whether to stop.

        theta : the weights that the loss of the epoch belongs to.
        descent : L-BFGS itself decides, unless there are held-out sequences to ask.
        """
        history = self.history
        self.n_iter += 1
        self.n_seen += len(self.trainer.sequences)
        history.losses.append(epoch.loss)
        history.grad_norms.append(epoch.grad_norm)
        history.n_steps += epoch.n_steps
        history.n_clipped += epoch.n_clipped
        if not epoch.finite:
            self._restore()
            restored = "starting weights" if self.n_iter == 1 else "best weights until then"
            self._notify(
                f"Training stopped in iteration {self.n_iter}: the loss, its gradient or a weight "
                f"is no longer finite. The {restored} are restored. Scale the data, or lower "
                f"learning_rate_init or max_grad_norm."
            )
            return True
        if self.verbose:
            print(f"Iteration {self.n_iter}, loss = {epoch.loss:.8f}")
        if self.validate is not None:
            loss, score = self.validate()
            history.validation_losses.append(loss)
            history.validation_scores.append(score)
            if self.verbose:
                print(f"Validation score: {score:f}")
        self._judge(epoch.loss, theta)
        stopped = self.report is not None and self.report(self.n_iter)
        if descent and not self.early_stopping:
            return stopped
        return stopped or self._has_converged()

    def _judge(self, loss: float, theta: NDArray[np.floating]) -> None:
        """Count the epochs without progress, and remember the best weights.

        A score that is NaN or infinite is worse than any number. Until there is a number no epoch
        is better than the last one.
        """
        progress = loss <= self.best_loss - self.tol
        if loss < self.best_loss and not self.early_stopping:
            self._best_theta = theta
        self.best_loss = min(self.best_loss, loss)
        if self.validate is not None:
            score = self.history.validation_scores[-1]
            is_number = math.isfinite(score)
            if self.early_stopping:
                progress = is_number and score >= self.best_score + self.tol
                if not self._has_score or (is_number and score > self.best_score):
                    self._best_theta = self.network.theta.copy()
            if is_number:
                self.best_score = max(self.best_score, score)
            self._n_without_score += not is_number
        self._n_without_progress = 0 if progress else self._n_without_progress + 1

    @property
    def _has_score(self) -> bool:
        """Whether the score of any epoch was a number."""
        return self.best_score > -np.inf

    def _has_converged(self) -> bool:
        if self._n_without_progress <= self.n_iter_no_change:
            return False
        what = "Validation score" if self.early_stopping else "Training loss"
        why = (
            f"{what} did not improve more than tol={self.tol:f} for {self.n_iter_no_change} "
            f"consecutive epochs."
        )
        if self.schedule.lower():
            self._n_without_progress = 0
            if self.verbose:
                print(f"{why} Setting learning rate to {self._rate():f}")
            return False
        if self.verbose:
            print(f"{why} Stopping.")
        return True

    def _end(self) -> None:
        """Leave the best weights behind, if a score says which, or if the last cannot be used."""
        knows_best = self.early_stopping and self._has_score
        if knows_best or not np.isfinite(self.network.theta).all():
            self._restore()
        if self._n_without_score:
            unknown = self.early_stopping and not self._has_score
            kept = " The weights of the last iteration are kept." if unknown else ""
            self._notify(
                f"The validation score was NaN or infinite in {self._n_without_score} of "
                f"{self.n_iter} iterations, which counts as worse than any number.{kept} Hold out "
                f"at least two targets, and scale the data."
            )

    def _was_interrupted(self) -> None:
        self.interrupted = True
        self.notices.append(Notice("Training interrupted by user."))

    def _notify(self, message: str) -> None:
        self.notices.append(Notice(message, ConvergenceWarning))

    def _restore(self) -> None:
        self.network.theta = self._best_theta
