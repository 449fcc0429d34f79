"""The list of checks, and the conditions on which each applies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, TypeAlias

from sklearn.base import is_classifier, is_regressor
from sklearn.utils import get_tags
from sklearn.utils.validation import has_fit_parameter

from cbptt.testing.cases import Case, Targets

Condition: TypeAlias = Callable[[Any, Targets], bool]


class Check(Protocol):
    """A check as it is called: on an estimator, whose name is for messages."""

    __name__: str

    def __call__(self, name: str, estimator_orig: Any, targets: Targets = "auto") -> None: ...


class Registered(NamedTuple):
    """A check, and the conditions that an estimator must meet."""

    check: Check
    conditions: tuple[Condition, ...]

    def applies(self, estimator: Any, targets: Targets) -> bool:
        """Whether the estimator, with these targets, meets all conditions."""
        return all(condition(estimator, targets) for condition in self.conditions)


CHECKS: dict[str, Registered] = {}


def check(*conditions: Condition) -> Callable[[Callable[[Case], None]], Check]:
    """Make a check of a claim about a case, and list it for estimators that meet all conditions."""

    def register(claim: Callable[[Case], None]) -> Check:
        def checked(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
            claim(Case(name, estimator_orig, targets))

        for attribute in ("__module__", "__name__", "__qualname__", "__doc__"):
            setattr(checked, attribute, getattr(claim, attribute))
        CHECKS[claim.__name__] = Registered(checked, conditions)
        return checked

    return register


def per_step(estimator: Any, targets: Targets) -> bool:
    """Whether it learns a target for each step."""
    return targets == "step"


def per_sequence(estimator: Any, targets: Targets) -> bool:
    """Whether it learns a target for each sequence."""
    return targets == "sequence"


def causal(estimator: Any, targets: Targets) -> bool:
    """Whether it reads a sequence from the first step on only: not with bidirectional=True."""
    parameters = estimator.get_params().items()
    return not any(name.rpartition("__")[2] == "bidirectional" and v for name, v in parameters)


def predictor(estimator: Any, targets: Targets) -> bool:
    """Whether it is a classifier or a regressor."""
    return bool(is_classifier(estimator) or is_regressor(estimator))


def regressor(estimator: Any, targets: Targets) -> bool:
    """Whether it is a regressor."""
    return bool(is_regressor(estimator))


def classifier(estimator: Any, targets: Targets) -> bool:
    """Whether it is a classifier."""
    return bool(is_classifier(estimator))


def with_probabilities(estimator: Any, targets: Targets) -> bool:
    """Whether it is a classifier that predicts probabilities."""
    return classifier(estimator, targets) and hasattr(estimator, "predict_proba")


def seeded(estimator: Any, targets: Targets) -> bool:
    """Whether a parameter is a random state, its own or that of an estimator in it."""
    return any(name.rpartition("__")[2] == "random_state" for name in estimator.get_params())


def needs_fit(estimator: Any, targets: Targets) -> bool:
    """Whether it must be fitted before its other methods."""
    return bool(get_tags(estimator).requires_fit)


def needs_targets(estimator: Any, targets: Targets) -> bool:
    """Whether fit needs y."""
    return bool(get_tags(estimator).target_tags.required)


def refuses_nan(estimator: Any, targets: Targets) -> bool:
    """Whether NaN in X is an error, by its tags."""
    return not get_tags(estimator).input_tags.allow_nan


def weighted(estimator: Any, targets: Targets) -> bool:
    """Whether fit takes sample_weight."""
    return bool(has_fit_parameter(estimator, "sample_weight"))
