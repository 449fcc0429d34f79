"""The checks that apply to an estimator: run, listed, or as tests of pytest."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

from sklearn.exceptions import EstimatorCheckFailedWarning

from cbptt.testing.cases import Targets, kind_of_targets
from cbptt.testing.registry import CHECKS


def check_sequence_estimator(
    estimator: Any,
    *,
    targets: Targets = "auto",
    expected_failed_checks: dict[str, str] | None = None,
    on_fail: Literal["raise", "warn"] | None = "raise",
) -> list[dict[str, Any]]:
    """Run all checks that apply to an estimator on sequences.

    It is to sequences what `sklearn.utils.estimator_checks.check_estimator` is to tables.

    Parameters
    ----------
    estimator : estimator object
        A classifier, a regressor or a transformer. It is cloned and not changed.
    targets : {"auto", "sequence", "step"}, default="auto"
        Whether it learns and predicts one value for each sequence, or one for each step. "auto"
        fits it once on targets of each step: if it predicts one for each, it is "step".
    expected_failed_checks : dict of check name to reason, optional
        Checks that may fail. A model that reads sequences in both directions, for instance, cannot
        pass `check_no_knowledge_of_the_future`.
    on_fail : {"raise", "warn"} or None, default="raise"
        Raise what the first failing check raises, or run all and give an
        `EstimatorCheckFailedWarning` for each that fails, or no warning.

    Returns
    -------
    list of dict
        For each check "estimator", "check_name", "exception" (None if it passed), "status"
        ("passed", "failed" or "xfail"), "expected_to_fail" and "expected_to_fail_reason".

    Raises
    ------
    TypeError
        If estimator is a class.
    Exception
        What the first failing check raises, with on_fail="raise".

    See Also
    --------
    parametrize_with_sequence_checks : The same checks as tests of pytest.

    Examples
    --------
    >>> from cbptt import RNNClassifier
    >>> from cbptt.testing import check_sequence_estimator
    >>> results = check_sequence_estimator(RNNClassifier(8))
    >>> {result["status"] for result in results}
    {'passed'}
    """
    if on_fail not in ("raise", "warn", None):
        raise ValueError(f"on_fail={on_fail!r}; expected 'raise', 'warn' or None.")
    expected = expected_failed_checks or {}
    results = []
    for check_name, check in sequence_estimator_checks(estimator, targets=targets):
        result = {
            "estimator": estimator,
            "check_name": check_name,
            "exception": None,
            "status": "passed",
            "expected_to_fail": check_name in expected,
            "expected_to_fail_reason": expected.get(check_name, "Check is not expected to fail"),
        }
        try:
            check(estimator)
        except Exception as exception:
            result["exception"] = exception
            result["status"] = "xfail" if check_name in expected else "failed"
            if on_fail == "raise" and check_name not in expected:
                raise
            if on_fail == "warn":
                warnings.warn(EstimatorCheckFailedWarning(**result), stacklevel=2)
        results.append(result)
    return results


def sequence_estimator_checks(
    estimator: Any, *, targets: Targets = "auto"
) -> list[tuple[str, Callable[[Any], None]]]:
    """List the checks that apply to an estimator.

    Parameters
    ----------
    estimator : estimator object
    targets : {"auto", "sequence", "step"}, default="auto"
        As in `check_sequence_estimator`.

    Returns
    -------
    list of (check name, check)
        Each check is called with the estimator.

    Raises
    ------
    TypeError
        If estimator is a class.

    Examples
    --------
    >>> from cbptt import RNNRegressor
    >>> from cbptt.testing import sequence_estimator_checks
    >>> checks = dict(sequence_estimator_checks(RNNRegressor(8)))
    >>> "check_form_ragged" in checks, "check_string_labels" in checks
    (True, False)
    >>> checks["check_form_ragged"](RNNRegressor(8))
    """
    if isinstance(estimator, type):
        raise TypeError(f"got the class {estimator.__name__}; expected an instance of it.")
    name = type(estimator).__name__
    kind = kind_of_targets(estimator, targets)
    return [
        (check_name, partial(registered.check, name, targets=kind))
        for check_name, registered in CHECKS.items()
        if registered.applies(estimator, kind)
    ]


def parametrize_with_sequence_checks(
    estimators: Sequence[Any],
    *,
    targets: Targets = "auto",
    expected_failed_checks: Callable[[Any], dict[str, str]] | None = None,
) -> Any:
    """Make a test of pytest run once for each estimator and each check that applies to it.

    Parameters
    ----------
    estimators : sequence of estimator objects
    targets : {"auto", "sequence", "step"}, default="auto"
        As in `check_sequence_estimator`, the same for all estimators.
    expected_failed_checks : callable, optional
        Takes an estimator and returns a dict of check name to reason; these tests are marked xfail.

    Returns
    -------
    pytest.mark.parametrize
        For a test with the arguments estimator and check.

    Examples
    --------
    >>> from cbptt import RNNClassifier, RNNRegressor
    >>> from cbptt.testing import parametrize_with_sequence_checks
    >>> @parametrize_with_sequence_checks([RNNClassifier(8), RNNRegressor(8)])
    ... def test_estimators_on_sequences(estimator, check):
    ...     check(estimator)
    """
    import pytest

    parameters = []
    for estimator in estimators:
        expected = expected_failed_checks(estimator) if expected_failed_checks else {}
        for check_name, check in sequence_estimator_checks(estimator, targets=targets):
            marks = []
            if check_name in expected:
                marks.append(pytest.mark.xfail(reason=expected[check_name]))
            test_id = f"{type(estimator).__name__}-{check_name}"
            parameters.append(pytest.param(estimator, check, id=test_id, marks=marks))
    return pytest.mark.parametrize(("estimator", "check"), parameters)
