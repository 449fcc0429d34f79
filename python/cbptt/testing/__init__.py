"""Common checks for scikit-learn estimators on sequences, of this package and of others.

scikit-learn's `check_estimator` feeds an estimator with tables. These checks feed it with
sequences of unequal lengths, in every form that this package reads, and check what its users rely
on: that the outputs of a sequence do not depend on its neighbours in the batch, on padding or on
memory layout, that a copy of a model is the model, that splitters and searches work, and that an
error has the index of the sequence that is wrong.

Every check is a function ``check_...(name, estimator_orig, targets="auto")``: the name is for
messages, the estimator is cloned and never changed, and a claim that does not hold is an
AssertionError, unless the estimator itself raises. Parameters named random_state are set to 0, and
those named max_iter to 5 at most.
"""

from __future__ import annotations

from importlib import import_module

from cbptt.testing.registry import CHECKS, Check
from cbptt.testing.running import (
    check_sequence_estimator,
    parametrize_with_sequence_checks,
    sequence_estimator_checks,
)

__all__ = [
    "check_sequence_estimator",
    "parametrize_with_sequence_checks",
    "sequence_estimator_checks",
]

# Each module adds its checks to the list, in this order, when it is imported.
for _topic in ("forms", "independence", "memory", "models", "tools", "errors", "weights", "labels"):
    import_module(f"cbptt.testing.{_topic}")


def __getattr__(name: str) -> Check:
    if name not in CHECKS:
        raise AttributeError(f"module 'cbptt.testing' has no attribute {name!r}")
    return CHECKS[name].check


def __dir__() -> list[str]:
    return sorted({*globals(), *CHECKS})
