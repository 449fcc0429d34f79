"""Common checks for scikit-learn estimators on sequences, whoever has written them.

scikit-learn's `check_estimator` feeds an estimator with tables. These checks feed it with
sequences of unequal lengths, in every form that this package reads, and ask what its users take
for granted: that a neighbour in the batch, padding, or the memory a number lies in do not matter,
that a copy of a model is the model, that splitters and searches work, and that what is wrong with
X is told by its index.

Every check is a function ``check_...(name, estimator_orig, targets="auto")``: the name is for
messages, the estimator is cloned and never changed, and a claim that does not hold is an
AssertionError, unless the estimator itself raises. Parameters named random_state are set to 0, and
those named max_iter to 5 at most.
"""

from __future__ import annotations

import copy
import pickle
import re
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias

import joblib
import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.exceptions import (
    ConvergenceWarning,
    EstimatorCheckFailedWarning,
    NotFittedError,
)
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    cross_val_predict,
    cross_val_score,
    train_test_split,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import get_tags
from sklearn.utils.validation import has_fit_parameter

from cbptt.data.ragged import Ragged

__all__ = [
    "check_sequence_estimator",
    "parametrize_with_sequence_checks",
    "sequence_estimator_checks",
]

Array: TypeAlias = NDArray[Any]
Targets: TypeAlias = Literal["auto", "sequence", "step"]
Outputs: TypeAlias = dict[str, list[Array]]
Check: TypeAlias = Callable[..., None]

_LENGTHS = (3, 5, 1, 4, 2, 6, 3, 4, 7, 2, 5, 3)
_ODD = 7  # index of the sequence that is made wrong: a number that messages tell for nothing else
_MAX_ITER = 5

_ROUNDING = 1e-12  # the same model, whose sums may be added up in another order
_ROUNDING_SINGLE = 1e-5  # likewise, where it tells numbers in float32
_LEARNING = 1e-6  # two fits, likewise
_SINGLE = 1e-3  # two fits, one of them in float32

_METHODS = ("predict", "predict_proba", "predict_log_proba", "decision_function", "transform")


# ---- running the checks -------------------------------------------------------------------------


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
        Whether it learns and tells one value for each sequence, or one for each step. "auto" fits
        it once on targets of each step: if one comes back for each, it is "step".
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
    kind = _kind_of_targets(estimator, targets)
    return [
        (check.__name__, partial(check, name, targets=kind))
        for check, applies in _CHECKS
        if applies(estimator, kind)
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


# ---- which checks apply -------------------------------------------------------------------------

Applies: TypeAlias = Callable[[Any, Targets], bool]

_CHECKS: list[tuple[Check, Applies]] = []


def _always(estimator: Any, targets: Targets) -> bool:
    return True


def _per_step(estimator: Any, targets: Targets) -> bool:
    return targets == "step"


def _per_sequence(estimator: Any, targets: Targets) -> bool:
    return targets == "sequence"


def _predictor(estimator: Any, targets: Targets) -> bool:
    return bool(is_classifier(estimator) or is_regressor(estimator))


def _regressor(estimator: Any, targets: Targets) -> bool:
    return bool(is_regressor(estimator))


def _classifier(estimator: Any, targets: Targets) -> bool:
    return bool(is_classifier(estimator))


def _with_probabilities(estimator: Any, targets: Targets) -> bool:
    return _classifier(estimator, targets) and hasattr(estimator, "predict_proba")


def _seeded(estimator: Any, targets: Targets) -> bool:
    return any(name.rpartition("__")[2] == "random_state" for name in estimator.get_params())


def _needs_fit(estimator: Any, targets: Targets) -> bool:
    return bool(get_tags(estimator).requires_fit)


def _needs_targets(estimator: Any, targets: Targets) -> bool:
    return bool(get_tags(estimator).target_tags.required)


def _refuses_nan(estimator: Any, targets: Targets) -> bool:
    return not get_tags(estimator).input_tags.allow_nan


def _weighted(estimator: Any, targets: Targets) -> bool:
    return bool(has_fit_parameter(estimator, "sample_weight"))


def _applies_to(*conditions: Applies) -> Callable[[Check], Check]:
    """Add a check to the list, for the estimators that meet all conditions."""

    def register(check: Check) -> Check:
        _CHECKS.append((check, lambda *asked: all(condition(*asked) for condition in conditions)))
        return check

    return register


def _kind_of_targets(estimator: Any, targets: Targets) -> Targets:
    """What targets="auto" comes to."""
    if targets not in ("auto", "sequence", "step"):
        raise ValueError(f"targets={targets!r}; expected 'auto', 'sequence' or 'step'.")
    if targets != "auto":
        return targets
    case = _Case(type(estimator).__name__, estimator, "step")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            told = next(iter(_outputs(case.fit(), case.X).values()))
    except Exception:  # whatever it raises, it did not learn a target for each step
        return "sequence"
    lengths = [step_outputs.shape[:1] for step_outputs in told]
    return "step" if lengths == [(T,) for T in _LENGTHS] else "sequence"


# ---- a small problem ----------------------------------------------------------------------------


class _Case:
    """An estimator and a small problem for it, whose sequences are few enough for one batch.

    Attributes
    ----------
    estimator : a clone, with a seed and few iterations
    X : list of 12 (T_i, 2) arrays, of which the odd ones lie higher than the even ones
    equal : (12, 4, 2) array
    y, equal_y : targets of X and of equal
    """

    def __init__(self, name: str, estimator_orig: Any, targets: Targets) -> None:
        self.name = name
        self.estimator = clone(estimator_orig)
        self.per_step = _kind_of_targets(estimator_orig, targets) == "step"
        for parameter, value in self.estimator.get_params().items():
            last_name = parameter.rpartition("__")[2]
            if last_name == "random_state":
                self.estimator.set_params(**{parameter: 0})
            elif last_name == "max_iter" and value is not None:
                self.estimator.set_params(**{parameter: min(value, _MAX_ITER)})
        self.X = _sequences(_LENGTHS)
        self.equal = np.stack(_sequences([4] * len(_LENGTHS)))
        self.y = self.targets(self.X)
        self.equal_y = self.targets(self.equal)

    def targets(self, X: Any) -> Any:
        """List of (T_i,) targets for steps, or (n,) targets for sequences: sums, or their signs."""
        sums = [np.cumsum(np.asarray(x).reshape(len(x), -1)[:, 0]) for x in X]
        if is_classifier(self.estimator):
            sums = [(steps > 0).astype(int) for steps in sums]
        return sums if self.per_step else np.array([steps[-1] for steps in sums])

    def labels(self, classes: Sequence[Any]) -> Any:
        """Targets of X in which the classes take turns."""
        if self.per_step:
            places = [np.arange(i, i + T) % len(classes) for i, T in enumerate(_LENGTHS)]
            return [np.asarray(classes)[place] for place in places]
        return np.asarray(classes)[np.arange(len(_LENGTHS)) % len(classes)]

    def fit(self, X: Any = None, y: Any = None, **fit_params: Any) -> Any:
        """Fit a clone, by default on X and y of the case."""
        with _few_iterations():
            return clone(self.estimator).fit(
                self.X if X is None else X, self.y if y is None else y, **fit_params
            )

    def assert_same(self, actual: Outputs, expected: Outputs, what: str, tol: float = 0.0) -> None:
        """All methods tell the same: to the last bit, or within tol, relative or absolute."""
        assert actual.keys() == expected.keys(), f"{self.name}: {what}: other methods."
        for method, told in expected.items():
            assert len(actual[method]) == len(told), f"{self.name}.{method}: {what}: other length."
            for i, (ours, theirs) in enumerate(zip(actual[method], told, strict=True)):
                where = f"{self.name}.{method} differs for sequence {i}: {what}."
                assert ours.shape == theirs.shape, f"{where} {ours.shape} and {theirs.shape}."
                if not tol or theirs.dtype.kind != "f":
                    assert_array_equal(ours, theirs, err_msg=where)
                    continue
                single = min(ours.itemsize, theirs.itemsize) <= 4
                within = max(tol, _ROUNDING_SINGLE) if single else tol
                assert_allclose(ours, theirs, rtol=within, atol=within, err_msg=where)

    def assert_learns_the_same(
        self, X: Any, y: Any, X_plain: Any, y_plain: Any, what: str, tol: float = _LEARNING
    ) -> None:
        """Fit on (X, y) and predictions of X are those of the same data in another form."""
        expected = _outputs(self.fit(X_plain, y_plain), X_plain)
        self.assert_same(_outputs(self.fit(X, y), X), expected, what, tol)

    def assert_layout_does_not_matter(self, make: Callable[[Array], Array], what: str) -> None:
        """Arrays that make lays out are learned from like plain copies: as a list, and as 3-D."""
        made = [make(x) for x in self.X]
        plain = [np.array(x, dtype=np.float64, order="C") for x in made]
        self.assert_learns_the_same(made, self.y, plain, self.y, f"list of {what}")
        equal = make(self.equal)
        plain_equal = np.array(equal, dtype=np.float64, order="C")
        what = f"3-D array, {what}"
        self.assert_learns_the_same(equal, self.equal_y, plain_equal, self.equal_y, what)

    def assert_same_model(self, copied: Any, model: Any, what: str) -> None:
        """Both have the same parameters and predict the same bits."""
        assert _parameters(copied) == _parameters(model), (
            f"{self.name}: {what} has other parameters."
        )
        self.assert_same(_outputs(copied, self.X), _outputs(model, self.X), what)

    def assert_refuses(self, call: Callable[[], Any], what: str, *words: str) -> None:
        """The call raises ValueError or TypeError, with a message that has all the words."""
        error = _error_of(call)
        assert error is not None, f"{self.name} accepted {what}."
        if not isinstance(error, ValueError | TypeError):
            raise AssertionError(
                f"{self.name} met {what} with {error!r}; expected a ValueError or TypeError."
            ) from error
        for word in words:
            assert re.search(rf"\b({word})\b", str(error)), (
                f"{self.name} refused {what}, without telling {word!r}: {error}"
            )

    def assert_refuses_sequences(self, X: Any, y: Any, what: str, *words: str) -> None:
        """Neither fit nor a method of a fitted estimator takes X, and the message tells why."""
        self.assert_refuses(lambda: self.fit(X, y), f"{what} in fit", *words)
        model = self.fit()
        for method in _methods(model):
            call = partial(getattr(model, method), X)
            self.assert_refuses(call, f"{what} in {method}", *words)

    def assert_refuses_odd_sequence(self, x: Any, what: str, y: Any = None) -> None:
        """X with x in one place is refused, and the message tells the place."""
        X, y = _with_odd(self.X, x), self.y if y is None else y
        self.assert_refuses_sequences(X, y, what, "X", str(_ODD))


def _sequences(lengths: Sequence[int], n_features: int = 2, seed: int = 0) -> list[Array]:
    rng = np.random.default_rng(seed)
    return [
        rng.normal(size=(T, n_features)) + (1.5 if i % 2 else -1.5) for i, T in enumerate(lengths)
    ]


def _boxed(items: Sequence[Any]) -> Array:
    """(n,) object array of the items, whatever they are."""
    array = np.empty(len(items), dtype=object)
    for i, item in enumerate(items):
        array[i] = item
    return array


def _take(y: Any, index: Sequence[int] | Array) -> Any:
    """Some targets: of a list a list, of an array an array."""
    return [y[i] for i in index] if isinstance(y, list) else y[np.asarray(index)]


def _with_odd(items: Any, odd: Any) -> Any:
    """A copy of the items with another one in one place."""
    changed = copy.deepcopy(items)
    changed[_ODD] = odd
    return changed


def _error_of(call: Callable[[], Any]) -> Exception | None:
    """What the call raises, if anything."""
    try:
        call()
    except Exception as error:
        return error
    return None


def _methods(model: Any) -> list[str]:
    return [method for method in _METHODS if hasattr(model, method)]


def _outputs(model: Any, X: Any) -> Outputs:
    """What each method tells of each sequence."""
    return {
        method: [np.asarray(told) for told in getattr(model, method)(X)]
        for method in _methods(model)
    }


def _part(outputs: Outputs, index: Sequence[int]) -> Outputs:
    """The outputs of some sequences."""
    return {method: [told[i] for i in index] for method, told in outputs.items()}


@contextmanager
def _few_iterations() -> Iterator[None]:
    """Ignore that training stops early, which is not what is checked."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


# ---- forms of X and y ---------------------------------------------------------------------------

_FORMS: dict[str, Callable[[Any], Any]] = {
    "list": list,
    "tuple": tuple,
    "object array": _boxed,
    "Ragged": Ragged.from_sequences,
}


def _check_form(
    name: str, estimator_orig: Any, targets: Targets, make: Callable[[Any], Any], what: str
) -> None:
    case = _Case(name, estimator_orig, targets)
    case.assert_learns_the_same(make(case.X), case.y, case.X, case.y, what)


@_applies_to(_always)
def check_form_tuple(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """A tuple of sequences is learned from like a list."""
    _check_form(name, estimator_orig, targets, tuple, "tuple")


@_applies_to(_always)
def check_form_object_array(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """A 1-D object array of sequences is learned from like a list."""
    _check_form(name, estimator_orig, targets, _boxed, "object array")


@_applies_to(_always)
def check_form_ragged(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """A Ragged is learned from like a list."""
    _check_form(name, estimator_orig, targets, Ragged.from_sequences, "Ragged")


@_applies_to(_always)
def check_form_nested_lists(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """Lists of lists of numbers are learned from like a list of arrays."""
    case = _Case(name, estimator_orig, targets)
    lists = [x.tolist() for x in case.X]
    y = [steps.tolist() for steps in case.y] if case.per_step else case.y.tolist()
    case.assert_learns_the_same(lists, y, case.X, case.y, "nested lists")


@_applies_to(_always)
def check_form_3d_array(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """A 3-D array is learned from like the list of its sequences."""
    case = _Case(name, estimator_orig, targets)
    y = case.equal_y
    case.assert_learns_the_same(case.equal, y, list(case.equal), y, "3-D array")


@_applies_to(_always)
def check_form_2d_array(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """A 2-D array is learned from like sequences of one variable, as (T, 1) arrays."""
    case = _Case(name, estimator_orig, targets)
    X = case.equal[:, :, 0]
    columns = list(case.equal[:, :, :1])
    case.assert_learns_the_same(X, case.equal_y, columns, case.equal_y, "2-D array")
    nested = X.tolist()
    case.assert_learns_the_same(nested, case.equal_y, columns, case.equal_y, "2-D as lists")


@_applies_to(_always)
def check_form_one_variable(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """A sequence of one variable may be (T,) or (T, 1)."""
    case = _Case(name, estimator_orig, targets)
    columns = [x[:, :1] for x in case.X]
    flat = [x[:, 0] for x in case.X]
    for what, make in _FORMS.items():
        case.assert_learns_the_same(make(flat), case.y, columns, case.y, f"{what} of (T,)")
    case.assert_learns_the_same([x.tolist() for x in flat], case.y, columns, case.y, "lists of T")


@_applies_to(_always)
def check_form_at_predict(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """What was fitted on one form predicts the same for every other form."""
    case = _Case(name, estimator_orig, targets)
    for fitted_on, fit_form in _FORMS.items():
        model = case.fit(fit_form(case.equal), case.equal_y)
        expected = _outputs(model, fit_form(case.equal))
        forms: dict[str, Callable[[Any], Any]] = {**_FORMS, "3-D array": np.array}
        for form, make in forms.items():
            what = f"{form}, fitted on {fitted_on}"
            case.assert_same(_outputs(model, make(case.equal)), expected, what, _ROUNDING)


@_applies_to(_predictor)
def check_form_of_targets(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """Targets are learned from alike in every form."""
    case = _Case(name, estimator_orig, targets)
    X, y = case.equal, case.equal_y
    forms: dict[str, Callable[[Any], Any]] = {"list": list, "array": np.array}
    if case.per_step:
        forms |= {"object array": _boxed, "Ragged": Ragged.from_sequences}
        forms |= {"lists": lambda y: [steps.tolist() for steps in y]}
    for what, make in forms.items():
        case.assert_learns_the_same(X, make(y), X, y, f"targets as {what}")


@_applies_to(_predictor, _per_step)
def check_steps_of_an_array(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """Predictions for the steps of an (n, T, D) array are an (n, T) array."""
    case = _Case(name, estimator_orig, targets)
    n, T, _ = case.equal.shape
    model = case.fit(case.equal, case.equal_y)
    for method in _methods(model):
        told = getattr(model, method)(case.equal)
        assert isinstance(told, np.ndarray), f"{name}.{method} gave {type(told)} for an array."
        assert told.dtype != object, f"{name}.{method} gave an object array for an array."
        assert told.shape[:2] == (n, T), f"{name}.{method} gave shape {told.shape} for ({n}, {T})."
    assert model.predict(case.equal).shape == (n, T), f"{name}.predict did not give (n, T)."


@_applies_to(_predictor, _per_step)
def check_steps_of_ragged(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """Predictions for the steps of ragged sequences are a 1-D object array of arrays as long."""
    case = _Case(name, estimator_orig, targets)
    model = case.fit()
    for form, make in _FORMS.items():
        for method in _methods(model):
            told = getattr(model, method)(make(case.X))
            what = f"{name}.{method} gave {type(told).__name__} for {form}"
            assert isinstance(told, np.ndarray), f"{what}; expected an object array."
            assert told.dtype == object, f"{what} of {told.dtype}; expected objects."
            assert told.shape == (len(case.X),), f"{what} of shape {told.shape}."
            lengths = tuple(len(steps) for steps in told)
            assert lengths == _LENGTHS, f"{what} of lengths {lengths}; expected {_LENGTHS}."
        assert all(steps.ndim == 1 for steps in model.predict(make(case.X))), (
            f"{name}.predict did not give (T_i,) arrays for {form}."
        )


@_applies_to(_predictor, _per_sequence)
def check_one_output_per_sequence(
    name: str, estimator_orig: Any, targets: Targets = "auto"
) -> None:
    """Predictions for n sequences are one array (n,), and probabilities (n, n_classes)."""
    case = _Case(name, estimator_orig, targets)
    model = case.fit()
    for form, make in _FORMS.items():
        for method in _methods(model):
            told = getattr(model, method)(make(case.X))
            assert isinstance(told, np.ndarray), f"{name}.{method} gave {type(told)} for {form}."
            assert told.dtype != object, f"{name}.{method} gave an object array for {form}."
            shape = (len(case.X), len(model.classes_)) if "proba" in method else (len(case.X),)
            assert told.shape[: len(shape)] == shape, f"{name}.{method} gave shape {told.shape}."
        shape = model.predict(make(case.X)).shape
        assert shape == (len(case.X),), f"{name}.predict gave shape {shape} for {form}."


@_applies_to(_predictor)
def check_dtype_of_predictions(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """Numbers and probabilities are floating, and labels have the dtype of classes_."""
    case = _Case(name, estimator_orig, targets)
    model = case.fit()
    for method, told in _outputs(model, case.X).items():
        for told_of_one in told:
            dtype = told_of_one.dtype
            if method == "predict" and is_classifier(model):
                assert dtype == model.classes_.dtype, f"{name}.predict gave labels of {dtype}."
            else:
                assert dtype.kind == "f", f"{name}.{method} gave {dtype}; expected floats."


@_applies_to(_regressor)
def check_several_targets(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """K targets come back as K columns; an estimator that takes one only raises ValueError."""
    case = _Case(name, estimator_orig, targets)
    columns: Any
    if case.per_step:
        columns = [np.column_stack([steps, -steps, steps + 1]) for steps in case.y]
    else:
        columns = np.column_stack([case.y, -case.y, case.y + 1])
    try:
        model = case.fit(case.X, columns)
    except ValueError:
        multi_output = get_tags(case.estimator).target_tags.multi_output
        assert not multi_output, f"{name} has the tag multi_output, and refused several targets."
        return
    predictions = model.predict(case.X)
    shapes = [np.shape(told) for told in predictions]
    expected = [np.shape(row) for row in columns]
    assert shapes == expected, f"{name}.predict gave {shapes} for targets of {expected}."
    if case.per_step:
        told = model.predict(case.equal)
        shape = (*case.equal.shape[:2], 3)
        assert np.shape(told) == shape, f"{name}.predict gave {np.shape(told)}, not {shape}."


@_applies_to(_needs_fit)
def check_n_features_in(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """n_features_in_ is the number of variables of a step, and there only after fit."""
    case = _Case(name, estimator_orig, targets)
    assert not hasattr(case.estimator, "n_features_in_"), f"{name} has it before fit."
    for what, make in _FORMS.items():
        assert case.fit(make(case.X)).n_features_in_ == 2, f"{name} fitted on {what} of 2."
    one = case.fit([x[:, 0] for x in case.X])
    assert one.n_features_in_ == 1, f"{name} fitted on (T,) sequences."
    assert case.fit(case.equal, case.equal_y).n_features_in_ == 2, f"{name} fitted on 3-D of 2."


# ---- independence of the sequences --------------------------------------------------------------


@_applies_to(_always)
def check_order_of_sequences(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """Sequences in another order are told the same of."""
    case = _Case(name, estimator_orig, targets)
    model = case.fit()
    order = np.random.default_rng(0).permutation(len(case.X))
    told = _outputs(model, [case.X[i] for i in order])
    expected = _part(_outputs(model, case.X), list(order))
    case.assert_same(told, expected, "in another order", _ROUNDING)


@_applies_to(_always)
def check_alone_or_in_a_batch(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """A sequence alone is told the same of as among others."""
    case = _Case(name, estimator_orig, targets)
    model = case.fit()
    among_others = _outputs(model, case.X)
    for i, x in enumerate(case.X):
        what = f"alone, it was X[{i}]"
        case.assert_same(_outputs(model, [x]), _part(among_others, [i]), what, _ROUNDING)


@_applies_to(_always)
def check_longer_neighbour(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """Sequences beside a much longer one of larger values are told the same of."""
    case = _Case(name, estimator_orig, targets)
    model = case.fit()
    longer = 10 * _sequences([50])[0]
    told = _part(_outputs(model, [*case.X, longer]), range(len(case.X)))
    case.assert_same(told, _outputs(model, case.X), "beside a longer one", _ROUNDING)


@_applies_to(_always)
def check_padding_cut_off(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """Sequences that were padded with NaN, and cut by Ragged.from_padded, are as before."""
    case = _Case(name, estimator_orig, targets)
    padded = Ragged.from_sequences(case.X).to_padded()
    assert np.isnan(padded).any()
    cut = Ragged.from_padded(padded)
    case.assert_learns_the_same(cut, case.y, case.X, case.y, "padded and cut")


@_applies_to(_per_step)
def check_no_knowledge_of_the_future(
    name: str, estimator_orig: Any, targets: Targets = "auto"
) -> None:
    """What is told of a step depends on the steps up to it, and on none after it."""
    case = _Case(name, estimator_orig, targets)
    model = case.fit()
    told = _outputs(model, [x[: len(x) // 2 + 1] for x in case.X])
    halves = {
        method: [steps[: len(x) // 2 + 1] for steps, x in zip(whole, case.X, strict=True)]
        for method, whole in _outputs(model, case.X).items()
    }
    case.assert_same(told, halves, "without the later half", _ROUNDING)
    changed = [np.concatenate([x[: len(x) // 2 + 1], -x[len(x) // 2 + 1 :]]) for x in case.X]
    other_future = {
        method: [steps[: len(x) // 2 + 1] for steps, x in zip(whole, case.X, strict=True)]
        for method, whole in _outputs(model, changed).items()
    }
    case.assert_same(other_future, halves, "with another later half", _ROUNDING)


# ---- memory -------------------------------------------------------------------------------------


def _read_only(array: Any) -> Array:
    protected = np.array(array)
    protected.flags.writeable = False
    return protected


def _unaligned(array: Array) -> Array:
    buffer = np.empty(array.nbytes + 1, np.uint8)
    shifted = buffer[1:].view(array.dtype).reshape(array.shape)
    shifted[...] = array
    return shifted


@_applies_to(_always)
def check_read_only(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """Read-only X and y are learned from like others."""
    case = _Case(name, estimator_orig, targets)
    case.y = [_read_only(steps) for steps in case.y] if case.per_step else _read_only(case.y)
    case.assert_layout_does_not_matter(_read_only, "read-only memory")
    ragged = Ragged.from_sequences(case.X)
    ragged.values.flags.writeable = False
    case.assert_learns_the_same(ragged, case.y, case.X, case.y, "read-only Ragged")


@_applies_to(_always)
def check_fortran_order(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """Arrays in Fortran order are learned from like others."""
    case = _Case(name, estimator_orig, targets)
    case.assert_layout_does_not_matter(np.asfortranarray, "Fortran order")


@_applies_to(_always)
def check_negative_strides(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """Arrays that run backwards through their memory are learned from like others."""
    case = _Case(name, estimator_orig, targets)
    case.assert_layout_does_not_matter(lambda x: x[::-1, ::-1], "negative strides")


@_applies_to(_always)
def check_gaps_in_memory(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """Arrays that leave out every other number of their memory are learned from like others."""
    case = _Case(name, estimator_orig, targets)
    case.assert_layout_does_not_matter(lambda x: np.repeat(x, 2, axis=-1)[..., ::2], "gaps")


@_applies_to(_always)
def check_broadcast(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """Arrays that repeat one number of their memory are learned from like others."""
    case = _Case(name, estimator_orig, targets)
    case.assert_layout_does_not_matter(
        lambda x: np.broadcast_to(x[..., :1], x.shape), "broadcast memory"
    )


@_applies_to(_always)
def check_unaligned(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """Unaligned arrays are learned from like others."""
    case = _Case(name, estimator_orig, targets)
    case.assert_layout_does_not_matter(_unaligned, "unaligned memory")


@_applies_to(_always)
def check_big_endian(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """Big-endian numbers are learned from like others."""
    case = _Case(name, estimator_orig, targets)
    case.assert_layout_does_not_matter(lambda x: x.astype(">f8"), "big-endian numbers")


@_applies_to(_always)
def check_float16(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """Numbers in float16 are learned from like the same numbers in float64."""
    case = _Case(name, estimator_orig, targets)
    case.assert_layout_does_not_matter(lambda x: x.astype(np.float16), "float16")


@_applies_to(_always)
def check_integers(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """Integers, wide and narrow, are learned from like the same numbers in float64."""
    case = _Case(name, estimator_orig, targets)
    case.assert_layout_does_not_matter(lambda x: np.rint(4 * x).astype(np.int64), "int64")
    case.assert_layout_does_not_matter(lambda x: np.rint(4 * x).astype(np.int8), "int8")


@_applies_to(_always)
def check_booleans(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """False and True are learned from like 0 and 1."""
    case = _Case(name, estimator_orig, targets)
    case.assert_layout_does_not_matter(lambda x: x > 0, "booleans")


@_applies_to(_always)
def check_memory_map(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """Memory-mapped files are learned from like memory."""
    case = _Case(name, estimator_orig, targets)
    # a file that is mapped cannot be removed everywhere
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory:
        path = Path(directory) / "X.npy"
        np.save(path, case.equal)
        mapped = np.load(path, mmap_mode="r")
        assert isinstance(mapped, np.memmap)
        for what, X in {"3-D": mapped, "list": list(mapped)}.items():
            case.assert_learns_the_same(
                X, case.equal_y, case.equal, case.equal_y, f"{what}, memory-mapped"
            )
        del mapped, X


@_applies_to(_always)
def check_float32(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """Numbers in float32 are learned from nearly like the same numbers in float64."""
    case = _Case(name, estimator_orig, targets)
    X = [x.astype(np.float32) for x in case.X]
    single = _outputs(case.fit(X), X)
    double = _outputs(case.fit([x.astype(np.float64) for x in X]), X)
    if "predict_proba" in double:  # labels may change where two classes are about as probable
        single.pop("predict")
        double.pop("predict")
    case.assert_same(single, double, "float32", _SINGLE)


@_applies_to(_always)
def check_inputs_unchanged(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """Nothing is written to X or y, by no method."""
    case = _Case(name, estimator_orig, targets)
    for what, (X, y) in _writable(case).items():
        X_before, y_before = copy.deepcopy((X, y))
        model = case.fit(X, y)
        _outputs(model, X)
        if hasattr(model, "score"):
            model.score(X, y)
        for given, now, before in (("X", X, X_before), ("y", y, y_before)):
            for i, (item_now, item_before) in enumerate(zip(now, before, strict=True)):
                message = f"{name} changed {given}[{i}], {given} being {what}."
                assert_array_equal(item_now, item_before, err_msg=message)


@_applies_to(_always)
def check_inputs_not_kept(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """Writing to X and y after fit changes no prediction."""
    case = _Case(name, estimator_orig, targets)
    for what, (X, y) in _writable(case).items():
        model = case.fit(X, y)
        expected = _outputs(model, case.X)
        for values in (X.values if isinstance(X, Ragged) else X, y):
            for i in range(len(values)):
                values[i] *= 0
        case.assert_same(_outputs(model, case.X), expected, f"after {what} was set to 0")


def _writable(case: _Case) -> dict[str, tuple[Any, Any]]:
    """Copies of X and y that an estimator has no need to convert."""
    return {
        "a list": (copy.deepcopy(case.X), copy.deepcopy(case.y)),
        "a 3-D array": (case.equal.copy(), np.array(case.equal_y)),
        "a Ragged": (Ragged.from_sequences(case.X), copy.deepcopy(case.y)),
    }


# ---- models -------------------------------------------------------------------------------------


@_applies_to(_always)
def check_pickle(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """A pickled model is the same model."""
    case = _Case(name, estimator_orig, targets)
    model = case.fit()
    case.assert_same_model(pickle.loads(pickle.dumps(model)), model, "pickle")


@_applies_to(_always)
def check_deepcopy(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """A deep copy is the same model, and stays it when the original is fitted again."""
    case = _Case(name, estimator_orig, targets)
    model = case.fit()
    copied = copy.deepcopy(model)
    case.assert_same_model(copied, model, "deep copy")
    expected = _outputs(copied, case.X)
    with _few_iterations():
        model.fit([-x for x in case.X], case.y)
    case.assert_same(_outputs(copied, case.X), expected, "deep copy after another fit")


@_applies_to(_always)
def check_joblib_file(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """A model that joblib wrote and read is the same model, also on memory maps."""
    case = _Case(name, estimator_orig, targets)
    model = case.fit()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory:
        path = Path(directory) / "model.joblib"
        joblib.dump(model, path)
        for mmap_mode in (None, "r"):
            copied = joblib.load(path, mmap_mode=mmap_mode)
            case.assert_same_model(copied, model, f"joblib file, mmap_mode={mmap_mode}")
            del copied


@_applies_to(_always)
def check_clone(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """A clone of a model has its parameters, nothing learned, and learns the same."""
    case = _Case(name, estimator_orig, targets)
    model = case.fit()
    cloned = clone(model)
    assert _parameters(cloned) == _parameters(model), f"{name}: a clone has other parameters."
    assert not _learned(cloned), f"{name}: a clone has {_learned(cloned)}."
    with _few_iterations():
        case.assert_same_model(cloned.fit(case.X, case.y), model, "clone, fitted")


@_applies_to(_always)
def check_fit_returns_self(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """`fit` returns the estimator itself."""
    case = _Case(name, estimator_orig, targets)
    with _few_iterations():
        assert case.estimator.fit(case.X, case.y) is case.estimator, f"{name}.fit gave another."


@_applies_to(_always)
def check_fit_twice(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """A second fit on the same data gives the same bits, and so does another estimator."""
    case = _Case(name, estimator_orig, targets)
    model = case.fit()
    expected = _outputs(model, case.X)
    case.assert_same(_outputs(case.fit(), case.X), expected, "another estimator")
    with _few_iterations():
        model.fit(case.X, case.y)
    case.assert_same(_outputs(model, case.X), expected, "a second fit")


@_applies_to(_always)
def check_refit_forgets(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """A fit on other data, with other variables, gives the bits that it gives alone."""
    case = _Case(name, estimator_orig, targets)
    model = case.fit()
    other = _sequences(_LENGTHS[::-1], n_features=3, seed=1)
    other_y = case.targets(other)
    if is_classifier(model):
        other_y = [steps + 5 for steps in other_y] if case.per_step else other_y + 5
    expected = _outputs(case.fit(other, other_y), other)
    with _few_iterations():
        model.fit(other, other_y)
    case.assert_same(_outputs(model, other), expected, "after another fit")


@_applies_to(_seeded)
def check_global_random_state(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """With a seed, NumPy's global random state is neither read nor moved on."""
    case = _Case(name, estimator_orig, targets)
    before = np.random.get_state()  # noqa: NPY002
    try:
        told = []
        for seed in (1, 2):
            np.random.seed(seed)  # noqa: NPY002
            state = joblib.hash(np.random.get_state())  # noqa: NPY002
            model = case.fit()
            told.append(_outputs(model, case.X))
            after = joblib.hash(np.random.get_state())  # noqa: NPY002
            assert after == state, f"{name} drew from NumPy's global random state."
    finally:
        np.random.set_state(before)  # noqa: NPY002
    case.assert_same(told[0], told[1], "another global random state")


@_applies_to(_always)
def check_parameters_unchanged(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """`fit` and the other methods leave the parameters as they are."""
    case = _Case(name, estimator_orig, targets)
    before = _parameters(case.estimator)
    with _few_iterations():
        _outputs(case.estimator.fit(case.X, case.y), case.X)
    assert _parameters(case.estimator) == before, f"{name} changed its parameters."


@_applies_to(_always)
def check_set_params(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """`set_params` with what `get_params` gave returns the estimator, which is as before."""
    case = _Case(name, estimator_orig, targets)
    parameters = case.estimator.get_params(deep=False)
    copied = clone(case.estimator)
    assert copied.set_params(**parameters) is copied, f"{name}.set_params gave another."
    after = copied.get_params(deep=False)
    assert after.keys() == parameters.keys(), f"{name} has other parameters after set_params."
    for parameter, value in parameters.items():
        assert after[parameter] is value, f"{name}.set_params stored another {parameter}."


@_applies_to(_always)
def check_nothing_learned_before_fit(
    name: str, estimator_orig: Any, targets: Targets = "auto"
) -> None:
    """Before fit there is no attribute whose name ends in an underscore."""
    case = _Case(name, estimator_orig, targets)
    assert not _learned(case.estimator), f"{name} has {_learned(case.estimator)} before fit."


@_applies_to(_needs_fit)
def check_not_fitted(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """Before fit every method raises NotFittedError."""
    case = _Case(name, estimator_orig, targets)
    calls = {
        method: partial(getattr(case.estimator, method), case.X)
        for method in _methods(case.estimator)
    }
    if hasattr(case.estimator, "score"):
        calls["score"] = partial(case.estimator.score, case.X, case.y)
    for method, call in calls.items():
        error = _error_of(call)
        if not isinstance(error, NotFittedError):
            met = "no error" if error is None else repr(error)
            raise AssertionError(
                f"{name}.{method} before fit: {met}; expected NotFittedError."
            ) from error


@_applies_to(_always)
def check_predict_twice(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """A model tells the same bits again, whatever it was asked meanwhile."""
    case = _Case(name, estimator_orig, targets)
    model = case.fit()
    expected = _outputs(model, case.X)
    _outputs(model, [-10 * x for x in case.X[:3]])
    case.assert_same(_outputs(model, case.X), expected, "asked again")


@_applies_to(_always)
def check_other_process(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """A model tells the same bits in another process."""
    case = _Case(name, estimator_orig, targets)
    model = case.fit()
    parts = [case.X[:5], case.X[5:]]
    tasks = [joblib.delayed(_outputs)(model, part) for part in parts]
    told = joblib.Parallel(n_jobs=2, backend="loky")(tasks)
    for part, outputs in zip(parts, told, strict=True):
        case.assert_same(outputs, _outputs(model, part), "in another process")


@_applies_to(_always)
def check_threads(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """A model that four threads ask at a time tells each the bits that it tells one."""
    case = _Case(name, estimator_orig, targets)
    model = case.fit()
    parts = [case.X[i % 8 : i % 8 + 4] for i in range(16)]
    with ThreadPoolExecutor(4) as threads:
        told = list(threads.map(partial(_outputs, model), parts))
    for part, outputs in zip(parts, told, strict=True):
        case.assert_same(outputs, _outputs(model, part), "asked by four threads")


def _parameters(estimator: Any) -> str:
    """A hash of all parameters, without what estimators among them may have learned."""
    return str(joblib.hash(clone(estimator).get_params()))


def _learned(estimator: Any) -> list[str]:
    """Attributes that scikit-learn takes for learned ones."""
    return [name for name in vars(estimator) if name.endswith("_") and not name.startswith("_")]


# ---- scikit-learn's tools -----------------------------------------------------------------------

_FOLDS = KFold(3)


def _fold_models(case: _Case) -> list[tuple[Any, Array]]:
    """For each fold a model, fitted on lists, and the indices of the sequences left out."""
    return [
        (case.fit([case.X[i] for i in train], _take(case.y, train)), test)
        for train, test in _FOLDS.split(case.X)
    ]


@_applies_to(_always)
def check_train_test_split(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """What train_test_split makes of every form is learned from like the same list."""
    case = _Case(name, estimator_orig, targets)
    indices = np.arange(len(case.X))
    for form, make in _FORMS.items():
        X_train, X_test, y_train, _, train, test = train_test_split(
            make(case.X), case.y, indices, random_state=0
        )
        model = case.fit([case.X[i] for i in train], _take(case.y, train))
        expected = _outputs(model, [case.X[i] for i in test])
        told = _outputs(case.fit(X_train, y_train), X_test)
        case.assert_same(told, expected, f"{form}, split", _LEARNING)


@_applies_to(_predictor)
def check_cross_val_score(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """cross_val_score gives the scores of the folds, for a list and for a Ragged."""
    case = _Case(name, estimator_orig, targets)
    expected = [
        model.score([case.X[i] for i in test], _take(case.y, test))
        for model, test in _fold_models(case)
    ]
    for form in ("list", "Ragged"):
        X = _FORMS[form](case.X)
        with _few_iterations():
            scores = cross_val_score(case.estimator, X, case.y, cv=_FOLDS, error_score="raise")
        what = f"{name}: cross_val_score for {form}"
        assert_allclose(scores, expected, rtol=_LEARNING, atol=_LEARNING, err_msg=what)


@_applies_to(_predictor)
def check_cross_val_predict(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """cross_val_predict gives the predictions of the folds, for a list and for a Ragged."""
    case = _Case(name, estimator_orig, targets)
    expected: list[Any] = [None] * len(case.X)
    for model, test in _fold_models(case):
        for i, told in zip(test, model.predict([case.X[i] for i in test]), strict=True):
            expected[i] = np.asarray(told)
    for form in ("list", "Ragged"):
        X = _FORMS[form](case.X)
        with _few_iterations():
            predictions = cross_val_predict(case.estimator, X, case.y, cv=_FOLDS)
        outputs = {"predict": [np.asarray(told) for told in predictions]}
        what = f"cross_val_predict for {form}"
        case.assert_same(outputs, {"predict": expected}, what, _LEARNING)


@_applies_to(_predictor)
def check_grid_search(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """GridSearchCV on a Ragged ends with the model of a fit on a list."""
    case = _Case(name, estimator_orig, targets)
    first_parameter = list(case.estimator.get_params(deep=False).items())[:1]
    grid = {parameter: [value] for parameter, value in first_parameter}
    search = GridSearchCV(case.estimator, grid, cv=_FOLDS, error_score="raise")
    with _few_iterations():
        search.fit(Ragged.from_sequences(case.X), case.y)
    assert np.isfinite(search.best_score_), f"{name}: best_score_ is {search.best_score_}."
    expected = _outputs(case.fit(), case.X)
    case.assert_same(_outputs(search.best_estimator_, case.X), expected, "GridSearchCV", _LEARNING)
    predictions = {"predict": [np.asarray(told) for told in search.predict(case.X)]}
    expected = {"predict": expected["predict"]}
    case.assert_same(predictions, expected, "GridSearchCV.predict", _LEARNING)


@_applies_to(_always)
def check_pipeline(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """A pipeline with a step that changes nothing tells what the estimator tells alone."""
    case = _Case(name, estimator_orig, targets)
    expected = _outputs(case.fit(), case.X)
    for form in ("list", "Ragged"):
        X = _FORMS[form](case.X)
        pipeline = make_pipeline(FunctionTransformer(), clone(case.estimator))
        with _few_iterations():
            pipeline.fit(X, case.y)
        case.assert_same(_outputs(pipeline, X), expected, f"pipeline on {form}", _LEARNING)


# ---- bad input ----------------------------------------------------------------------------------


@_applies_to(_always)
def check_no_sequences(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """X without sequences is refused."""
    case = _Case(name, estimator_orig, targets)
    case.assert_refuses_sequences([], case.y[:0], "an empty list", "X")
    case.assert_refuses_sequences(case.equal[:0], case.y[:0], "an empty array", "X")


@_applies_to(_always)
def check_no_steps(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """A sequence without steps is refused, and told by its index."""
    case = _Case(name, estimator_orig, targets)
    y = _with_odd(case.y, case.y[_ODD][:0]) if case.per_step else case.y
    case.assert_refuses_odd_sequence(np.empty((0, 2)), "a sequence of 0 steps", y)


@_applies_to(_always)
def check_unequal_features(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """A sequence with another number of variables is refused, and told by its index."""
    case = _Case(name, estimator_orig, targets)
    odd = np.ones((_LENGTHS[_ODD], 3))
    case.assert_refuses_odd_sequence(odd, "a sequence of 3 variables among those of 2")


@_applies_to(_refuses_nan)
def check_nan(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """NaN is refused, and told by the index of its sequence, unless the tags allow it."""
    case = _Case(name, estimator_orig, targets)
    odd = case.X[_ODD].copy()
    odd[1, 1] = np.nan
    case.assert_refuses_odd_sequence(odd, "NaN")


@_applies_to(_always)
def check_infinity(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """Infinity is refused, and told by the index of its sequence."""
    case = _Case(name, estimator_orig, targets)
    for value in (np.inf, -np.inf):
        odd = case.X[_ODD].copy()
        odd[1, 1] = value
        case.assert_refuses_odd_sequence(odd, f"{value}")


@_applies_to(_always)
def check_text(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """Text in place of numbers is refused, and told by the index of its sequence."""
    case = _Case(name, estimator_orig, targets)
    odd = np.full((_LENGTHS[_ODD], 2), "1")
    case.assert_refuses_odd_sequence(odd, "text")


@_applies_to(_always)
def check_masked_array(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """A masked array is refused rather than read without its mask."""
    case = _Case(name, estimator_orig, targets)
    odd = np.ma.masked_greater(case.X[_ODD], 0)
    case.assert_refuses_odd_sequence(odd, "a masked array")
    masked = np.ma.masked_greater(case.equal, 0)
    case.assert_refuses_sequences(masked, case.equal_y, "a masked 3-D array", "X")


@_applies_to(_always)
def check_sparse(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """Sparse data are refused."""
    from scipy import sparse

    case = _Case(name, estimator_orig, targets)
    case.assert_refuses_odd_sequence(sparse.csr_array(case.X[_ODD]), "a sparse sequence")
    table = sparse.csr_array(case.equal[:, :, 0])
    case.assert_refuses_sequences(table, case.equal_y, "a sparse array", "X")


@_applies_to(_always)
def check_1d_array(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """A plain 1-D array, which may be one sequence or many, is refused."""
    case = _Case(name, estimator_orig, targets)
    case.assert_refuses_sequences(case.equal[:, 0, 0], case.equal_y, "a 1-D array", "X")


@_applies_to(_always)
def check_4d_array(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """An array of four axes is refused, and so is a sequence of three."""
    case = _Case(name, estimator_orig, targets)
    case.assert_refuses_sequences(case.equal[..., None], case.equal_y, "a 4-D array", "X")
    case.assert_refuses_odd_sequence(case.X[_ODD][None], "a 3-D sequence")


@_applies_to(_needs_fit)
def check_features_at_predict(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """Sequences with another number of variables than in fit are refused by every method."""
    case = _Case(name, estimator_orig, targets)
    model = case.fit()
    for form, make in _FORMS.items():
        for n_features in (1, 3):
            X = make(_sequences(_LENGTHS, n_features))
            for method in _methods(model):
                what = f"{form} of {n_features} variables, fitted on 2, in {method}"
                call = partial(getattr(model, method), X)
                case.assert_refuses(call, what, "X|sequences?", str(n_features))


@_applies_to(_predictor)
def check_number_of_targets(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """Fewer or more targets than sequences are refused, and both numbers are told."""
    case = _Case(name, estimator_orig, targets)
    n = len(case.X)
    for index in (range(n - 1), [*range(n), 0]):
        y = _take(case.y, list(index))
        what = f"{len(y)} targets for {n} sequences"
        case.assert_refuses(partial(case.fit, case.X, y), what, str(len(y)), str(n))


@_applies_to(_needs_targets)
def check_no_targets(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """y=None is refused where targets are needed."""
    case = _Case(name, estimator_orig, targets)
    case.assert_refuses(lambda: case.estimator.fit(case.X, None), "y=None", "y")


@_applies_to(_predictor, _per_step)
def check_steps_of_targets(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """Fewer or more targets than steps in one sequence are refused, and told by its index."""
    case = _Case(name, estimator_orig, targets)
    steps = case.y[_ODD]
    for odd in (steps[:-1], np.append(steps, steps[-1])):
        what = f"{len(odd)} targets for a sequence of {len(steps)} steps"
        y = _with_odd(case.y, odd)
        case.assert_refuses(partial(case.fit, case.X, y), what, "y|X", str(_ODD))


@_applies_to(_always)
def check_refused_fit(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """A fit that raises leaves the earlier model as it was."""
    case = _Case(name, estimator_orig, targets)
    model = case.fit()
    expected = _outputs(model, case.X)
    other = _sequences(_LENGTHS, n_features=3, seed=1)
    bad = {"X": (_with_odd(other, np.ones((4, 5))), case.y)}
    if _predictor(model, targets):
        bad["y"] = (other, _take(case.y, range(len(case.X) - 1)))
    for what, (X, y) in bad.items():
        case.assert_refuses(partial(model.fit, X, y), f"bad {what}")
        case.assert_same(_outputs(model, case.X), expected, f"after a fit with bad {what}")


# ---- sample_weight ------------------------------------------------------------------------------


@_applies_to(_weighted)
def check_weights_of_one(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """Weights of 1 are as no weights."""
    case = _Case(name, estimator_orig, targets)
    expected = _outputs(case.fit(), case.X)
    ones = np.ones(len(case.X))
    for what, weight in {"an array": ones, "a list": ones.tolist(), "None": None}.items():
        told = _outputs(case.fit(sample_weight=weight), case.X)
        case.assert_same(told, expected, f"weights of 1 as {what}", _LEARNING)


@_applies_to(_weighted, _predictor, _per_step)
def check_step_weights_of_one(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """Weights of 1 for every step are as no weights."""
    case = _Case(name, estimator_orig, targets)
    expected = _outputs(case.fit(), case.X)
    ones = [np.ones(T) for T in _LENGTHS]
    for form, make in _FORMS.items():
        told = _outputs(case.fit(sample_weight=make(ones)), case.X)
        case.assert_same(told, expected, f"step weights of 1 as {form}", _LEARNING)


@_applies_to(_weighted)
def check_weight_zero(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """A sequence of weight 0 is as one that is not there."""
    case = _Case(name, estimator_orig, targets)
    X = _with_odd(case.X, -case.X[_ODD])  # its target is wrong: to learn from it would show
    weight = _with_odd(np.ones(len(X)), 0)
    others = np.flatnonzero(weight)
    expected = _outputs(case.fit([X[i] for i in others], _take(case.y, others)), case.X)
    told = _outputs(case.fit(X, case.y, sample_weight=weight), case.X)
    case.assert_same(told, expected, "a weight of 0", _LEARNING)


@_applies_to(_weighted)
def check_weight_two(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """A sequence of weight 2 is as the sequence twice, where a batch holds 13 sequences."""
    case = _Case(name, estimator_orig, targets)
    X = _with_odd(case.X, -case.X[_ODD])
    twice = [*range(len(X)), _ODD]
    weight = _with_odd(np.ones(len(X)), 2)
    expected = _outputs(case.fit([X[i] for i in twice], _take(case.y, twice)), case.X)
    told = _outputs(case.fit(X, case.y, sample_weight=weight), case.X)
    case.assert_same(told, expected, "a weight of 2", _LEARNING)


@_applies_to(_weighted)
def check_weights_all_zero(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """Weights that are all 0 are refused."""
    _check_bad_weights(name, estimator_orig, targets, np.zeros(len(_LENGTHS)))


@_applies_to(_weighted)
def check_weight_negative(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """A negative weight is refused."""
    weight = _with_odd(np.ones(len(_LENGTHS)), -1)
    _check_bad_weights(name, estimator_orig, targets, weight)


@_applies_to(_weighted)
def check_weight_nan(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """A weight of NaN or infinity is refused."""
    for value in (np.nan, np.inf):
        weight = _with_odd(np.ones(len(_LENGTHS)), value)
        _check_bad_weights(name, estimator_orig, targets, weight)


@_applies_to(_weighted)
def check_number_of_weights(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """Fewer or more weights than sequences are refused."""
    for n in (len(_LENGTHS) - 1, len(_LENGTHS) + 1):
        _check_bad_weights(name, estimator_orig, targets, np.ones(n))


def _check_bad_weights(name: str, estimator_orig: Any, targets: Targets, weight: Array) -> None:
    case = _Case(name, estimator_orig, targets)
    what = f"sample_weight={weight}"
    case.assert_refuses(lambda: case.fit(sample_weight=weight), what, "sample_weight|weights?")


# ---- classifiers --------------------------------------------------------------------------------


def _check_labels(name: str, estimator_orig: Any, targets: Targets, labels: list[Any]) -> None:
    """The classes are the labels, sorted, and every method tells of them and of no other."""
    case = _Case(name, estimator_orig, targets)
    model = case.fit(case.X, case.labels(labels))
    assert_array_equal(model.classes_, sorted(labels), err_msg=f"{name}.classes_")
    outputs = _outputs(model, case.X)
    for told in outputs["predict"]:
        others = np.setdiff1d(told, labels)
        assert not others.size, f"{name}.predict gave {others}, which is not among {labels}."
    for i, told in enumerate(outputs.get("predict_proba", [])):
        shape = (*outputs["predict"][i].shape, len(labels))
        assert told.shape == shape, f"{name}.predict_proba gave {told.shape}, not {shape}."


@_applies_to(_classifier)
def check_string_labels(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """Labels may be text, of which classes_ and the predictions consist."""
    _check_labels(name, estimator_orig, targets, ["yes", "no", "perhaps"])


@_applies_to(_classifier)
def check_integer_labels(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """Labels may be any integers, of which classes_ and the predictions consist."""
    _check_labels(name, estimator_orig, targets, [5, -3, 12])


@_applies_to(_classifier)
def check_two_classes(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """Two classes have a column of probabilities each."""
    _check_labels(name, estimator_orig, targets, [True, False])


@_applies_to(_classifier)
def check_one_class(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """One class alone is predicted everywhere, or refused with a message that tells of classes."""
    case = _Case(name, estimator_orig, targets)
    y = case.labels(["only"])
    error = _error_of(partial(case.fit, case.X, y))
    if isinstance(error, ValueError):
        assert re.search("class|label", str(error)), f"{name} refused one class: {error}"
        return
    outputs = _outputs(case.fit(case.X, y), case.X)
    for told in outputs["predict"]:
        assert (told == "only").all(), f"{name}.predict gave {told} for one class."
    for told in outputs.get("predict_proba", []):
        assert_allclose(told, np.ones((*told.shape[:-1], 1)), err_msg=f"{name}.predict_proba")


@_applies_to(_with_probabilities)
def check_predict_is_argmax(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """The predicted class is the most probable one."""
    case = _Case(name, estimator_orig, targets)
    model = case.fit(case.X, case.labels([0, 1, 2]))
    outputs = _outputs(model, case.X)
    for told, probabilities in zip(outputs["predict"], outputs["predict_proba"], strict=True):
        most_probable = model.classes_[probabilities.argmax(axis=-1)]
        assert_array_equal(told, most_probable, err_msg=f"{name}.predict is not the argmax.")


@_applies_to(_with_probabilities)
def check_probabilities(name: str, estimator_orig: Any, targets: Targets = "auto") -> None:
    """Probabilities lie between 0 and 1, and those of all classes sum to 1."""
    case = _Case(name, estimator_orig, targets)
    model = case.fit(case.X, case.labels([0, 1, 2]))
    for told in _outputs(model, case.X)["predict_proba"]:
        assert ((told >= 0) & (told <= 1)).all(), f"{name}.predict_proba gave {told}."
        assert_allclose(told.sum(axis=-1), 1, rtol=1e-6, err_msg=f"{name}.predict_proba")
