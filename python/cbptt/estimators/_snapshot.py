"""What an estimator learns, installed at once, and read at once."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from sklearn.utils.validation import check_is_fitted


class Snapshot:
    """For estimators whose learned attributes belong together.

    `fit` computes everything first and installs it in one assignment: after Ctrl-C or an error, and
    for another thread, there is the model of before or the new one. A method works on a copy of the
    attributes, so that it reads those of one model, whatever another thread fits meanwhile.
    """

    # Attributes that a fit takes away if it does not learn them.
    _of_some_fits: ClassVar[tuple[str, ...]] = ("feature_names_in_", "_stepping")

    # What errors call the estimator where it works for another one; None is its own name.
    _caller: str | None = None

    @property
    def _name(self) -> str:
        """What errors call the estimator."""
        return self._caller or type(self).__name__

    def _copied(self) -> Self:
        """Return an estimator of the same attributes; it does not follow changes of this one."""
        copied = object.__new__(type(self))
        copied.__dict__ = dict(vars(self))
        return copied

    def _snapshot(self) -> Self:
        """Return the fitted estimator as it is now, checked."""
        model = self._copied()
        if "n_features_in_" not in vars(model):  # the quick answer to most
            check_is_fitted(model)
        model._check_learned()
        return model

    def _check_learned(self) -> None:
        """Refuse learned attributes that do not belong together."""

    def _install(self, learned: dict[str, Any]) -> Self:
        """Put what was learned in the place of what was learned before."""
        kept = dict(vars(self))
        for name in self._of_some_fits:
            kept.pop(name, None)
        self.__dict__ = kept | learned
        return self
