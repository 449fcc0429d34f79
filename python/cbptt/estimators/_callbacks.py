"""scikit-learn's callbacks (from 1.9, experimental), where there are any."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks

    FRAMES_OF_FIT = 1  # of the wrapper around fit, between it and its caller
except ImportError:  # before 1.9

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Nothing to support."""

    def with_callbacks(method: Any) -> Any:
        """Leave the method as it is."""
        return method

    FRAMES_OF_FIT = 0


__all__ = ["FRAMES_OF_FIT", "CallbackSupportMixin", "Progress", "with_callbacks"]


class Progress:
    """Calls the callbacks of an estimator: a task for its fit, and in it one for each epoch.

    Parameters
    ----------
    estimator : of which `set_callbacks` was called.
    X, y, sample_weight : what fit was given.
    attributes : returns all that has been learned so far, of which callbacks make an estimator.
    """

    def __init__(
        self,
        estimator: Any,
        X: Any,
        y: Any,
        sample_weight: Any,
        attributes: Callable[[], dict[str, Any]],
    ) -> None:
        metadata = {} if sample_weight is None else {"sample_weight": sample_weight}
        self._about = {"estimator": estimator, "X": X, "y": y, "metadata": metadata}
        self._attributes = attributes
        self._fit = estimator._init_callback_context(max_subtasks=estimator.max_iter)
        self._fit.call_on_fit_task_begin(**self._about)
        self._begin()

    def _begin(self) -> None:
        self._is_open = True
        self._epoch = self._fit.subcontext(task_name="epoch")
        self._epoch.call_on_fit_task_begin(**self._about)

    def after(self, n_iter: int) -> bool:
        """Report the end of an epoch; return whether a callback requests to stop."""
        stop = self._epoch.call_on_fit_task_end(
            **self._about, reconstruction_attributes=self._attributes
        )
        self._is_open = False
        if n_iter < self._about["estimator"].max_iter and not stop:
            self._begin()
        return bool(stop)

    def end(self) -> None:
        """Report the end of the fit."""
        if self._is_open:  # an epoch that was not run, or not to its end
            self._epoch.call_on_fit_task_end(estimator=self._about["estimator"])
        self._fit.call_on_fit_task_end(**self._about, reconstruction_attributes=self._attributes)
