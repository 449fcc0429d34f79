"""The small problem that every check fits an estimator to, and its comparisons."""

from __future__ import annotations

import copy
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Literal, TypeAlias

import joblib
import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from sklearn.base import clone, is_classifier
from sklearn.exceptions import ConvergenceWarning

from cbptt.data.ragged import Ragged

Array: TypeAlias = NDArray[Any]
Targets: TypeAlias = Literal["auto", "sequence", "step"]
Outputs: TypeAlias = dict[str, list[Array]]

LENGTHS = (3, 5, 1, 4, 2, 6, 3, 4, 7, 2, 5, 3)
ODD = 7  # index of the sequence that is made wrong: a number that has no other meaning in an error
_MAX_ITER = 5

ROUNDING = 1e-12  # the same model, whose sums may be added up in another order
ROUNDING_SINGLE = 1e-5  # the same, for outputs in float32
LEARNING = 1e-6  # two fits that should learn the same
SINGLE = 1e-3  # two fits, one of them in float32

_METHODS = ("predict", "predict_proba", "predict_log_proba", "decision_function", "transform")


class Case:
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
        self.per_step = kind_of_targets(estimator_orig, targets) == "step"
        for parameter, value in self.estimator.get_params().items():
            last_name = parameter.rpartition("__")[2]
            if last_name == "random_state":
                self.estimator.set_params(**{parameter: 0})
            elif last_name == "max_iter" and value is not None:
                self.estimator.set_params(**{parameter: min(value, _MAX_ITER)})
        self.X = make_sequences(LENGTHS)
        self.equal = np.stack(make_sequences([4] * len(LENGTHS)))
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
            places = [np.arange(i, i + T) % len(classes) for i, T in enumerate(LENGTHS)]
            return [np.asarray(classes)[place] for place in places]
        return np.asarray(classes)[np.arange(len(LENGTHS)) % len(classes)]

    def fit(self, X: Any = None, y: Any = None, **fit_params: Any) -> Any:
        """Fit a clone, by default on X and y of the case."""
        with few_iterations():
            return clone(self.estimator).fit(
                self.X if X is None else X, self.y if y is None else y, **fit_params
            )

    def assert_same(self, actual: Outputs, expected: Outputs, what: str, tol: float = 0.0) -> None:
        """All methods return the same: to the last bit, or within tol, relative or absolute."""
        assert actual.keys() == expected.keys(), f"{self.name}: {what}: other methods."
        for method, output in expected.items():
            assert len(actual[method]) == len(output), (
                f"{self.name}.{method}: {what}: other length."
            )
            for i, (ours, theirs) in enumerate(zip(actual[method], output, strict=True)):
                where = f"{self.name}.{method} differs for sequence {i}: {what}."
                assert ours.shape == theirs.shape, f"{where} {ours.shape} and {theirs.shape}."
                if not tol or theirs.dtype.kind != "f":
                    assert_array_equal(ours, theirs, err_msg=where)
                    continue
                single = min(ours.itemsize, theirs.itemsize) <= 4
                within = max(tol, ROUNDING_SINGLE) if single else tol
                assert_allclose(ours, theirs, rtol=within, atol=within, err_msg=where)

    def assert_learns_the_same(
        self, X: Any, y: Any, X_plain: Any, y_plain: Any, what: str, tol: float = LEARNING
    ) -> None:
        """Fit on (X, y) and predictions of X are those of the same data in another form."""
        expected = outputs_of(self.fit(X_plain, y_plain), X_plain)
        self.assert_same(outputs_of(self.fit(X, y), X), expected, what, tol)

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
        assert parameters_of(copied) == parameters_of(model), (
            f"{self.name}: {what} has other parameters."
        )
        self.assert_same(outputs_of(copied, self.X), outputs_of(model, self.X), what)

    def assert_refuses(self, call: Callable[[], Any], what: str, *words: str) -> None:
        """The call raises ValueError or TypeError, with a message that has all the words."""
        error = error_of(call)
        assert error is not None, f"{self.name} accepted {what}."
        if not isinstance(error, ValueError | TypeError):
            raise AssertionError(
                f"{self.name} met {what} with {error!r}; expected a ValueError or TypeError."
            ) from error
        for word in words:
            assert re.search(rf"\b({word})\b", str(error)), (
                f"{self.name} refused {what}, without naming {word!r}: {error}"
            )

    def assert_refuses_sequences(self, X: Any, y: Any, what: str, *words: str) -> None:
        """Fit and every method of a fitted estimator refuse X, with all the words."""
        self.assert_refuses(lambda: self.fit(X, y), f"{what} in fit", *words)
        model = self.fit()
        for method in methods_of(model):
            call = partial(getattr(model, method), X)
            self.assert_refuses(call, f"{what} in {method}", *words)

    def assert_refuses_odd_sequence(self, x: Any, what: str, y: Any = None) -> None:
        """X with x in one place is refused, and the error names the place."""
        X, y = with_odd(self.X, x), self.y if y is None else y
        self.assert_refuses_sequences(X, y, what, "X", str(ODD))


def make_sequences(lengths: Sequence[int], n_features: int = 2, seed: int = 0) -> list[Array]:
    """List of (T_i, D) arrays, of which the odd ones lie higher than the even ones."""
    rng = np.random.default_rng(seed)
    return [
        rng.normal(size=(T, n_features)) + (1.5 if i % 2 else -1.5) for i, T in enumerate(lengths)
    ]


def boxed(items: Sequence[Any]) -> Array:
    """(n,) object array of the items, whatever they are."""
    array = np.empty(len(items), dtype=object)
    for i, item in enumerate(items):
        array[i] = item
    return array


def take(y: Any, index: Sequence[int] | Array) -> Any:
    """Some targets: of a list a list, of an array an array."""
    return [y[i] for i in index] if isinstance(y, list) else y[np.asarray(index)]


def with_odd(items: Any, odd: Any) -> Any:
    """A copy of the items with another one in one place."""
    changed = copy.deepcopy(items)
    changed[ODD] = odd
    return changed


def error_of(call: Callable[[], Any]) -> Exception | None:
    """What the call raises, if anything."""
    try:
        call()
    except Exception as error:
        return error
    return None


def methods_of(model: Any) -> list[str]:
    """The names of the methods that give outputs."""
    return [method for method in _METHODS if hasattr(model, method)]


def outputs_of(model: Any, X: Any) -> Outputs:
    """The outputs of each method for each sequence."""
    return {
        method: [np.asarray(output) for output in getattr(model, method)(X)]
        for method in methods_of(model)
    }


def part_of(outputs: Outputs, index: Sequence[int]) -> Outputs:
    """The outputs of some sequences."""
    return {method: [output[i] for i in index] for method, output in outputs.items()}


@contextmanager
def few_iterations() -> Iterator[None]:
    """Ignore that training stops early, which is not what is checked."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def kind_of_targets(estimator: Any, targets: Targets) -> Targets:
    """What targets="auto" comes to."""
    if targets not in ("auto", "sequence", "step"):
        raise ValueError(f"targets={targets!r}; expected 'auto', 'sequence' or 'step'.")
    if targets != "auto":
        return targets
    case = Case(type(estimator).__name__, estimator, "step")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            output = next(iter(outputs_of(case.fit(), case.X).values()))
    except Exception:  # whatever it raises, it did not learn a target for each step
        return "sequence"
    lengths = [step_outputs.shape[:1] for step_outputs in output]
    return "step" if lengths == [(T,) for T in LENGTHS] else "sequence"


def parameters_of(estimator: Any) -> str:
    """A hash of all parameters, without what estimators among them may have learned."""
    return str(joblib.hash(clone(estimator).get_params()))


def learned_of(estimator: Any) -> list[str]:
    """Attributes that scikit-learn takes for learned ones."""
    return [name for name in vars(estimator) if name.endswith("_") and not name.startswith("_")]


FORMS: dict[str, Callable[[Any], Any]] = {
    "list": list,
    "tuple": tuple,
    "object array": boxed,
    "Ragged": Ragged.from_sequences,
}
