"""What the package refuses: every error tells the item at fault and what was expected."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning, NotFittedError

from cbptt import (
    RNN,
    Ragged,
    RNNClassifier,
    RNNForecaster,
    RNNRegressor,
    RNNSequenceClassifier,
    RNNSequenceRegressor,
)

ESTIMATORS = (RNNClassifier, RNNRegressor, RNNSequenceClassifier, RNNSequenceRegressor)
LENGTHS = (3, 2, 4)
LABELS = [0, 1, 1]
STEP_LABELS = [[0, 0, 1], [1, 0], [0, 1, 0, 1]]
TOO_SHORT = [[0, 0, 1], [1], [0, 1, 0, 1]]
TOO_LONG = [[0, 0, 1], [1, 0, 1], [0, 1, 0, 1]]
TEXTS = [list("aba"), list("ab"), list("abab")]


def sequences(dtype: str = "float64") -> list[Any]:
    """Three sequences of 3, 2 and 4 steps of two variables."""
    return [np.full((T, 2), T / 4, dtype) for T in LENGTHS]


def with_odd(value: Any) -> list[Any]:
    """Labels of every step, with the value at step 1 of the item 1."""
    return [[0, 0, 1], [1, value], [0, 1, 0, 1]]


def half_a_row(value: Any) -> list[Any]:
    """Two numbers for each step, with the value as the second one at step 1 of the item 1."""
    rows = [np.zeros((T, 2)) for T in LENGTHS]
    rows[1][1, 1] = value
    return rows


def rows_of(n: int, value: Any = 0.0) -> list[Any]:
    """A row of n values for each step."""
    return [np.full((T, n), value) for T in LENGTHS]


def boxed(*items: Any) -> Any:
    """1-D object array of the items, whatever they are."""
    array = np.empty(len(items), dtype=object)
    for i, item in enumerate(items):
        array[i] = item
    return array


def targets_for(estimator: type) -> Any:
    return STEP_LABELS if "Sequence" in estimator.__name__ else LABELS


@pytest.fixture(scope="module")
def fitted() -> dict[type, Any]:
    """Each estimator, fitted on sequences of two variables."""
    models = {}
    for estimator in ESTIMATORS:
        model = estimator(3, max_iter=1, random_state=0)
        with pytest.warns(ConvergenceWarning):
            models[estimator] = model.fit(sequences(), targets_for(estimator))
    return models


def assert_refused(call: Callable[[], Any], error: Any, *told: str) -> None:
    """The call raises the error, with a message that holds every one of the patterns."""
    with pytest.raises(error) as caught:
        call()
    message = str(caught.value)
    for pattern in told:
        assert re.search(pattern, message, re.DOTALL), f"no {pattern!r} in: {message}"


def at_step_1_of_1(name: str) -> str:
    """A pattern for the place of `with_odd`: name[1][1], or step 1 of name[1]."""
    return rf"\b{name}\[1\](\[1\]|.*\bstep 1\b)"


# ---- X ------------------------------------------------------------------------------------------

A_LIST = r"expected a list of \(n_timesteps, n_features\) arrays"
EVERY_SEQUENCE = r"every sequence must be \(n_timesteps, n_features\)"
REAL = "every value must be a real number"
FINITE = "every value must be finite"

good = np.ones((2, 2))
with_nan = np.array([[1.0, 2.0], [3.0, np.nan]])
with_inf = np.array([[1.0, 2.0], [-np.inf, 4.0]])

BAD_X: list[tuple[str, Any, Any, str, str]] = [
    # what, X, the error, the item, the expectation
    ("nothing", None, TypeError, "X of type NoneType", A_LIST),
    ("a number", 3.0, TypeError, "X of type float", A_LIST),
    ("a 0-D array", np.array(3.0), TypeError, r"X of type ndarray and shape \(\)", A_LIST),
    ("text", "abc", TypeError, "X of type str", A_LIST),
    ("a dict", {0: good}, TypeError, "X of type dict", A_LIST),
    ("a set", {1.0, 2.0}, TypeError, "X of type set", A_LIST),
    ("a generator", (x for x in [good]), TypeError, "X of type generator", r"Pass list\(X\)"),
    ("an object", object(), TypeError, "X of type object", A_LIST),
    ("a sparse matrix", sparse.csr_array(good), TypeError, "X as a sparse", r"its \.toarray\(\)"),
    ("a masked array", np.ma.ones((2, 3, 2)), TypeError, "X as a masked", r"\.filled\(value\)"),
    ("no sequence", [], ValueError, "X with 0 sequences", "expected at least one"),
    ("no row", np.empty((0, 3, 2)), ValueError, "X with 0 sequences", "expected at least one"),
    ("a flat array", np.ones(5), ValueError, r"X .* shape \(5,\)", r"X\[None, :\]"),
    ("four axes", np.ones((1, 2, 2, 2)), ValueError, r"X .* shape \(1, 2, 2, 2\)", A_LIST),
    ("no step", np.empty((3, 0, 2)), ValueError, r"X\[0\] with 0 steps", "at least one step"),
    ("no variable", np.empty((3, 2, 0)), ValueError, "X with 0 features", EVERY_SEQUENCE),
    ("complex", np.ones((2, 3, 2)) * 1j, ValueError, "X of dtype complex128", REAL),
    ("dates", np.ones((2, 3, 2), "M8[s]"), ValueError, r"X of dtype datetime64\[s\]", REAL),
    ("records", np.ones((2, 2), [("a", "f8")]), ValueError, "X of dtype .*'a'", REAL),
    ("numbers as text", np.full((2, 3, 2), "1"), ValueError, "X of dtype <U1", REAL),
    ("ragged text", Ragged(np.array([["a", "b"]]), [0, 1]), ValueError, "X of dtype <U1", REAL),
    ("objects", boxed(object(), object()), TypeError, r"X\[0\] of type object", EVERY_SEQUENCE),
    ("an empty item", [good, np.empty((0, 2))], ValueError, r"X\[1\] with 0 steps", "at least one"),
    ("an empty list", [good, []], ValueError, r"X\[1\] with 0 steps", "at least one"),
    (
        "another D",
        [good] * 17 + [np.ones((2, 3))],
        ValueError,
        r"X\[17\] with 3 features, but X\[0\] has 2",
        EVERY_SEQUENCE,
    ),
    ("a number among", [good, 1.0], TypeError, r"X\[1\] of type float", EVERY_SEQUENCE),
    ("nothing among", [good, None], TypeError, r"X\[1\] of type NoneType", EVERY_SEQUENCE),
    ("text among", [good, "ab"], TypeError, r"X\[1\] of type str", EVERY_SEQUENCE),
    ("a dict among", [good, {}], TypeError, r"X\[1\] of type dict", EVERY_SEQUENCE),
    ("3-D among", [good, good[None]], ValueError, r"X\[1\] .* \(1, 2, 2\)", EVERY_SEQUENCE),
    ("1-D among", [good, good[0]], ValueError, r"X\[1\] with 1 features", EVERY_SEQUENCE),
    ("torn rows", [good, [[1, 2], [3]]], ValueError, r"X\[1\] that is no array", EVERY_SEQUENCE),
    ("sparse among", [good, sparse.csr_array(good)], TypeError, r"X\[1\] as a sp", r"\.toarray"),
    ("masked among", [good, np.ma.array(good)], TypeError, r"X\[1\] as a masked", r"\.filled"),
    ("complex among", [good, good * 1j], ValueError, r"X\[1\] of dtype complex128", REAL),
    ("dates among", [good, good.astype("M8[D]")], ValueError, r"X\[1\] of dtype datetime64", REAL),
    ("letters among", [good, [["a", "b"]]], ValueError, r"X\[1\] of dtype <U1", REAL),
    ("boxes", [good, np.array([[1.0, {}]], object)], TypeError, r"X\[1\] of dtype object", REAL),
    ("NaN", [good, with_nan], ValueError, r"X\[1\] with NaN at step 1, feature 1", FINITE),
    ("inf", [good, with_inf], ValueError, r"X\[1\] with inf at step 1, feature 0", FINITE),
    ("NaN in 3-D", with_nan[None], ValueError, r"X\[0\] with NaN at step 1, feature 1", FINITE),
    ("NaN padding", [with_nan], ValueError, r"X\[0\] with NaN", r"Ragged\.from_padded\(X\)"),
]


def fit(estimator: type) -> Callable[[dict[type, Any], Any], Any]:
    return lambda fitted, X: estimator(3).fit(X, targets_for(estimator))


def predict(estimator: type) -> Callable[[dict[type, Any], Any], Any]:
    return lambda fitted, X: fitted[estimator].predict(X)


READERS: dict[str, Callable[[dict[type, Any], Any], Any]] = {
    **{f"{estimator.__name__}.fit": fit(estimator) for estimator in ESTIMATORS},
    **{f"{estimator.__name__}.predict": predict(estimator) for estimator in ESTIMATORS},
    "RNN.forward": lambda fitted, X: RNN(2, 3, 1).forward(X),
    "RNN.loss": lambda fitted, X: RNN(2, 3, 1).loss(X, STEP_LABELS),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    ("X", "error", "item", "expectation"), [row[1:] for row in BAD_X], ids=[r[0] for r in BAD_X]
)
def test_bad_sequences_are_refused(
    fitted: dict[type, Any],
    reader: str,
    X: Any,
    error: Any,
    item: str,
    expectation: str,
) -> None:
    who = reader.partition(".")[0]
    assert_refused(lambda: READERS[reader](fitted, X), error, f"^{who} got {item}", expectation)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_another_number_of_variables_than_fitted_is_refused(
    fitted: dict[type, Any], estimator: type
) -> None:
    for X in (np.ones((2, 4, 3)), [np.ones((4, 3))], Ragged.from_flat(np.ones((4, 3)), [3, 1])):
        told = f"^{estimator.__name__} got X with 3 features", r"expected n_features=2"
        assert_refused(lambda X=X: fitted[estimator].predict(X), ValueError, *told)
    told = f"^{estimator.__name__} got X with 1 features", r"expected n_features=2"
    assert_refused(lambda: fitted[estimator].predict(np.ones((2, 4))), ValueError, *told)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_another_number_of_columns_than_fitted_is_refused(estimator: type) -> None:
    X = np.ones((4, 3))
    y = np.eye(4, 3, dtype=int) if "Sequence" in estimator.__name__ else [0, 1, 0, 1]
    with pytest.warns(ConvergenceWarning):
        model = estimator(3, max_iter=1).fit(X, y)
    told = "^X has 5 features", f"{estimator.__name__} is expecting 3 features as input"
    assert_refused(lambda: model.predict(np.ones((2, 5))), ValueError, *told)
    told = f"^{estimator.__name__} got .* 2 features", "fitted on sequences of one variable"
    assert_refused(lambda: model.predict(np.ones((2, 3, 2))), ValueError, *told)


def test_values_too_large_for_the_fitted_precision_are_refused() -> None:
    with pytest.warns(ConvergenceWarning):
        model = RNNRegressor(3, max_iter=1).fit(sequences("float32"), LABELS)
    X = [good, good * 1e300]
    told = r"^RNNRegressor got X\[1\] with inf at step 0, feature 0", "too large for float32"
    assert_refused(lambda: model.predict(X), ValueError, *told)


# ---- y of the estimators ------------------------------------------------------------------------

PER_SEQUENCE = "(expected )?one (label|target) per sequence"
PER_STEP = r"every y\[i\] must hold one value, or one row of values, for each step of X\[i\]"
ONE_KIND = "every value must be a real number, or every one text|one kind"
NUMBERS = "numbers"


HAS_1_STEP = r"y\[1\] with 1 steps, but X\[1\] has 2"
HAS_3_STEPS = r"y\[1\] with 3 steps, but X\[1\] has 2"
EITHER = (TypeError, ValueError)

BAD_LABELS: list[tuple[str, Any, Any, str, str]] = [
    # what, y of RNNClassifier, the error, the item, the expectation
    ("nothing", None, ValueError, "y is None", PER_SEQUENCE),
    ("too few", [0, 1], ValueError, "2 targets in y for 3 sequences", PER_SEQUENCE),
    ("none", [], ValueError, "0 targets in y for 3 sequences", PER_SEQUENCE),
    ("a number", 1, TypeError, "y of type int", PER_SEQUENCE),
    ("text", "abc", TypeError, "y of type str", PER_SEQUENCE),
    ("a dict", {}, TypeError, "y of type dict", PER_SEQUENCE),
    ("sparse", sparse.csr_array([[1], [0], [1]]), TypeError, "y as a sparse", r"its \.toarray\(\)"),
    ("masked", np.ma.array([0, 1, 1]), TypeError, "y as a masked", "its mask would be lost"),
    ("two columns", np.eye(3, 2, dtype=int) + 1, ValueError, "rows of 2 values", "one label each"),
    ("NaN", [0, 1, np.nan], ValueError, r"y\[2\]", "NaN|finite"),
    ("inf", [0, 1, np.inf], ValueError, r"y\[2\]", "infinite|finite"),
    ("NaN in a row", [[0, 1], [1, np.nan], [0, 0]], ValueError, r"y\[1\] with nan", "column 1"),
    ("inf in a row", [[0, 1], [np.inf, 1], [0, 0]], ValueError, r"y\[1\] with inf", "column 0"),
    ("continuous", [0.1, 0.2, 0.7], ValueError, "continuous", "discrete classes"),
    ("complex", [1j, 2, 3], ValueError, "y of dtype complex128", ONE_KIND),
    ("per step", STEP_LABELS, ValueError, "y that is no array", PER_SEQUENCE),
    ("a gap", ["a", None, "b"], ValueError, r"y .*: y\[1\] is of type NoneType", ONE_KIND),
    ("a mix", boxed("a", 1, "b"), ValueError, r"y .*: y\[1\] is of type int", ONE_KIND),
    ("text last", boxed(0, 1, "b"), ValueError, r"y .*: y\[2\] is of type str", ONE_KIND),
    ("no kind", [None] * 3, ValueError, r"y .*: y\[0\] is of type NoneType", ONE_KIND),
    (
        "a row",
        [list("ab"), ["a", 0], list("ba")],
        ValueError,
        r"y .*: y\[1\]\[1\] is of type",
        "int",
    ),
]

BAD_NUMBERS: list[tuple[str, Any, Any, str, str]] = [
    # what, y of RNNRegressor, the error, the item, the expectation
    ("nothing", None, ValueError, "y is None", PER_SEQUENCE),
    ("too few", [0, 1], ValueError, "2 targets in y for 3 sequences", PER_SEQUENCE),
    ("a number", 1.0, TypeError, "y of type float", PER_SEQUENCE),
    ("NaN", [0, np.nan, 1], ValueError, r"y\[1\] = \[?nan", "targets must be finite"),
    ("inf", [0, 1, -np.inf], ValueError, r"y\[2\] = \[?-inf", "targets must be finite"),
    ("text", list("abc"), ValueError, "y of dtype <U1", REAL),
    ("complex", [1j, 2, 3], ValueError, "y of dtype complex128", REAL),
    ("dates", np.ones(3, "M8[D]"), ValueError, "y of dtype datetime64", REAL),
    ("masked", np.ma.ones(3), TypeError, "y as a masked array", "its mask would be lost"),
    ("a dict", {}, TypeError, "y of type dict", PER_SEQUENCE),
    ("a gap", [1.0, "a", None], ValueError, "y of dtype object", REAL),
    ("sparse", sparse.csr_array(np.eye(3)), TypeError, "y as a sparse", r"its \.toarray\(\)"),
    ("per step", STEP_LABELS, ValueError, "y that is no array", PER_SEQUENCE),
    ("matrices", np.ones((3, 2, 2)), ValueError, r"y .* shape \(3, 2, 2\)", PER_SEQUENCE),
    ("no column", np.ones((3, 0)), ValueError, "y with 0 outputs", "expected at least one"),
]

BAD_STEP_LABELS: list[tuple[str, Any, Any, str, str]] = [
    # what, y of RNNSequenceClassifier, the error, the item, the expectation
    ("nothing", None, ValueError, "y is None", "one target per step"),
    ("too few", STEP_LABELS[:2], ValueError, "y with 2 sequences, but X has 3", PER_STEP),
    ("a step too few", TOO_SHORT, ValueError, HAS_1_STEP, PER_STEP),
    ("flat", np.zeros(9, int), ValueError, "9 targets in y for 3 sequences", PER_SEQUENCE),
    ("two columns", rows_of(2, 2), ValueError, "rows of 2 values", "one label each"),
    ("NaN", with_odd(np.nan), ValueError, at_step_1_of_1("y"), "finite|NaN"),
    ("half a row", half_a_row(np.nan), ValueError, r"y\[1\]\[1\] with nan in column 1", "0 and 1"),
    ("a row of NaN", rows_of(2, np.nan), ValueError, r"y\[0\]\[0\] with nan in column 0", "NaN"),
    ("continuous", with_odd(0.5), ValueError, "continuous", "discrete classes"),
    ("a gap", [["a", None, "b"], *TEXTS[1:]], ValueError, r"y\[0\] .*: y\[0\]\[1\] is", "NoneType"),
    ("a mix", [TEXTS[0], [1, 2], TEXTS[2]], EITHER, r"\by\b(\[[01]\])?", ONE_KIND),
    ("masked", [np.ma.array(y) for y in STEP_LABELS], TypeError, r"y\[0\] as a masked", "mask"),
    ("a dict", {}, TypeError, "y of type dict", "expected a list"),
    ("complex", rows_of(1, 1j), ValueError, r"y\[0\] of dtype complex128", REAL),
]

BAD_STEP_NUMBERS: list[tuple[str, Any, Any, str, str]] = [
    # what, y of RNNSequenceRegressor, the error, the item, the expectation
    ("nothing", None, ValueError, "y is None", "one target per step"),
    ("too many", [*STEP_LABELS, [1]], ValueError, "y with 4 sequences, but X has 3", PER_STEP),
    ("a step too many", TOO_LONG, ValueError, HAS_3_STEPS, PER_STEP),
    ("half a row", half_a_row(np.nan), ValueError, at_step_1_of_1("y"), "finite"),
    ("inf", with_odd(np.inf), ValueError, at_step_1_of_1("y"), "finite"),
    ("text", TEXTS, TypeError, "y of dtype <U1", NUMBERS),
    ("no column", rows_of(0), ValueError, "y with 0 outputs", PER_STEP),
    (
        "matrices",
        [np.ones((T, 2, 2)) for T in LENGTHS],
        ValueError,
        r"y\[0\] .* shape \(3, 2, 2\)",
        PER_STEP,
    ),
    (
        "another number of targets",
        [np.ones((3, 2)), np.ones((2, 1)), np.ones((4, 2))],
        ValueError,
        r"y\[1\] with 1 outputs, but y\[0\] has 2",
        PER_STEP,
    ),
]

BAD_Y = [
    (estimator, *row)
    for estimator, rows in zip(
        ESTIMATORS, (BAD_LABELS, BAD_NUMBERS, BAD_STEP_LABELS, BAD_STEP_NUMBERS), strict=True
    )
    for row in rows
]


@pytest.mark.parametrize(
    ("estimator", "y", "error", "item", "expectation"),
    [(row[0], *row[2:]) for row in BAD_Y],
    ids=[f"{row[0].__name__}-{row[1]}" for row in BAD_Y],
)
def test_bad_targets_are_refused(
    estimator: type, y: Any, error: Any, item: str, expectation: str
) -> None:
    assert_refused(lambda: estimator(3).fit(sequences(), y), error, item, expectation)


@pytest.mark.parametrize(
    ("estimator", "y", "item"),
    [
        (RNNRegressor, [0.0, 1.0, 1e300], r"y\[2\]"),
        (RNNSequenceRegressor, with_odd(1e300), at_step_1_of_1("y")),
    ],
)
def test_targets_too_large_for_the_precision_are_refused(
    estimator: type, y: Any, item: str
) -> None:
    X = sequences("float32")
    assert_refused(lambda: estimator(3).fit(X, y), ValueError, item, "finite")


@pytest.mark.parametrize(
    ("estimator", "y", "error", "item", "expectation"),
    [
        (RNNClassifier, [0, 1], ValueError, "2 targets in y for 3 sequences", PER_SEQUENCE),
        (RNNRegressor, [0, 1], ValueError, "2 targets in y for 3 sequences", PER_SEQUENCE),
        (RNNClassifier, list("aab"), ValueError, "y of dtype <U1", "type of its classes"),
        (RNNSequenceClassifier, STEP_LABELS[:2], ValueError, "y with 2 sequences", PER_STEP),
        (RNNSequenceRegressor, STEP_LABELS[:2], ValueError, "y with 2 sequences", PER_STEP),
        (RNNSequenceClassifier, None, TypeError, "y of type NoneType", "expected a list"),
        (RNNSequenceRegressor, None, TypeError, "y of type NoneType", "expected a list"),
        (
            RNNSequenceRegressor,
            with_odd(np.inf),
            ValueError,
            at_step_1_of_1("y"),
            "finite",
        ),
    ],
)
def test_bad_targets_of_a_score_are_refused(
    fitted: dict[type, Any],
    estimator: type,
    y: Any,
    error: Any,
    item: str,
    expectation: str,
) -> None:
    assert_refused(lambda: fitted[estimator].score(sequences(), y), error, item, expectation)


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("method", ["predict", "predict_proba", "predict_log_proba", "score"])
def test_nothing_can_be_asked_before_fit(estimator: type, method: str) -> None:
    model = estimator(3)
    arguments = [sequences()] + [targets_for(estimator)] * (method == "score")
    if not hasattr(estimator, method):
        assert "predict_" in method
        return
    told = f"{estimator.__name__} instance is not fitted yet", "Call 'fit'"
    assert_refused(lambda: getattr(model, method)(*arguments), NotFittedError, *told)


# ---- parameters of the estimators ---------------------------------------------------------------

SIZES = r"expected an integer of at least 1 and at most 2147483647, or one for each layer"

BAD_PARAMETERS: list[tuple[str, Any, str]] = [
    # parameter, value, the expectation
    ("hidden_layer_sizes", 0, r"an int in the range \[1, inf\) or an array-like"),
    ("hidden_layer_sizes", "a", r"an int in the range \[1, inf\) or an array-like"),
    ("hidden_layer_sizes", 2.5, r"an int in the range \[1, inf\) or an array-like"),
    ("hidden_layer_sizes", (8, 0), SIZES),
    ("hidden_layer_sizes", (8, 2.5), SIZES),
    ("hidden_layer_sizes", (), SIZES),
    ("hidden_layer_sizes", (0,), SIZES),
    ("hidden_layer_sizes", ("a",), SIZES),
    ("hidden_layer_sizes", True, SIZES),
    ("hidden_layer_sizes", 2**31, r"an integer of at least 1 and at most 2147483647"),
    ("hidden_layer_sizes", (2**63,), r"an integer of at least 1 and at most 2147483647"),
    ("hidden_layer_sizes", 2**64, r"an integer of at least 1 and at most 2147483647"),
    ("hidden_layer_sizes", [[1], [1, 2]], SIZES),
    ("cell", "elman", r"a str among \{.*'lstm'.*\}"),
    ("bidirectional", "both", "an instance of 'bool'"),
    ("forget_bias", np.nan, r"a float in the range"),
    ("forget_bias", "open", r"a float in the range"),
    ("activation", "sine", r"a str among \{.*'tanh'.*\}"),
    ("solver", "newton", r"a str among \{.*'adam'.*\}"),
    ("alpha", -1, r"a float in the range \[0\.0, inf\)"),
    ("alpha", np.nan, r"a float in the range \[0\.0, inf\)"),
    ("alpha", 10**400, r"a float in the range \[0\.0, inf\)"),
    ("batch_size", 0, r"a str among \{'auto'\} or an int in the range \[1, inf\)"),
    ("batch_size", 1.5, r"a str among \{'auto'\} or an int in the range \[1, inf\)"),
    ("batch_size", "all", r"a str among \{'auto'\} or an int in the range \[1, inf\)"),
    ("learning_rate", "linear", r"a str among \{.*'cosine'.*\}"),
    ("power_t", -1, r"a float in the range \[0\.0, inf\)"),
    ("warm_start", "yes", "an instance of 'bool'"),
    ("early_stopping", 1.5, "an instance of 'bool'"),
    ("validation_fraction", 1.0, r"a float in the range \(0\.0, 1\.0\)"),
    ("rho", 1.0, r"a float in the range \[0\.0, 1\.0\)"),
    ("max_fun", 0, r"an int in the range \[1, inf\)"),
    ("dropout", 1.0, r"a float in the range \[0\.0, 1\.0\)"),
    ("recurrent_dropout", -0.5, r"a float in the range \[0\.0, 1\.0\)"),
    ("learn_initial_state", "yes", "an instance of 'bool'"),
    ("bptt_steps", 0, r"an int in the range \[1, inf\) or None"),
    ("bptt_stride", 1.5, r"an int in the range \[1, inf\) or None"),
    ("bptt_streams", "yes", "an instance of 'bool'"),
    ("checkpoint", 0, r"an int in the range \[1, inf\), a str among {'auto'} or None"),
    ("checkpoint", "sqrt", r"an int in the range \[1, inf\), a str among {'auto'} or None"),
    ("missing", "mean", r"a str among \{.*'mask'.*\}"),
    ("learning_rate_init", -1, r"a float in the range \(0\.0, inf\)"),
    ("learning_rate_init", 0, r"a float in the range \(0\.0, inf\)"),
    ("learning_rate_init", np.inf, r"a float in the range \(0\.0, inf\)"),
    ("max_iter", 0, r"an int in the range \[1, inf\)"),
    ("max_iter", 10.0, r"an int in the range \[1, inf\)"),
    ("shuffle", "yes", "an instance of 'bool'"),
    ("random_state", -1, r"an int in the range \[0, 4294967295\]"),
    ("random_state", "seed", r"an int in the range \[0, 4294967295\]"),
    ("tol", -1e-3, r"a float in the range \[0\.0, inf\)"),
    ("verbose", -1, r"an int in the range \[0, inf\)"),
    ("momentum", 1.5, r"a float in the range \[0\.0, 1\.0\]"),
    ("nesterovs_momentum", "no", "an instance of 'bool'"),
    ("beta_1", 1.0, r"a float in the range \[0\.0, 1\.0\)"),
    ("beta_2", -0.1, r"a float in the range \[0\.0, 1\.0\)"),
    ("epsilon", 0, r"a float in the range \(0\.0, inf\)"),
    ("n_iter_no_change", 0, r"an int in the range \[1, inf\)"),
    ("max_grad_norm", -1, r"a float in the range \(0\.0, inf\) or None"),
    ("max_grad_norm", 0, r"a float in the range \(0\.0, inf\) or None"),
    ("init", "zeros", r"a str among \{.*'orthogonal'.*\}"),
    ("dtype", "int8", r"a str among \{.*'float32'.*\}"),
    ("dtype", np.float32, r"a str among \{.*'float32'.*\}"),
    ("n_jobs", 0, r"an int in the range \[1, inf\), an int in the range \(-inf, -1\] or None"),
    ("n_jobs", 1.5, r"an int in the range \[1, inf\), an int in the range \(-inf, -1\] or None"),
]


class Own(RNNClassifier):
    """An estimator of the user's."""


@pytest.mark.parametrize("estimator", [*ESTIMATORS, RNNForecaster, Own])
def test_a_misspelt_parameter_names_the_class_that_has_none(estimator: type) -> None:
    patterns = f"^{estimator.__name__}.* 'learning_rate_int'; did you mean 'learning_rate_init'"
    assert_refused(lambda: estimator(learning_rate_int=0.1), TypeError, patterns)
    patterns = f"^{estimator.__name__}.* 'xyz'; {estimator.__name__}.*get_params"
    assert_refused(lambda: estimator(3, xyz=1), TypeError, patterns)


def test_targets_that_do_not_fit_are_known_as_those_of_validation_data() -> None:
    def fit(*validation_data: Any) -> Any:
        return RNNClassifier(3).fit(sequences(), LABELS, validation_data=validation_data)

    patterns = r"y\[1\]: Input y contains NaN", r"y and sample_weight are validation_data\[1:\]"
    assert_refused(lambda: fit(sequences(), [0, np.nan, 1]), ValueError, *patterns)
    patterns = "y of dtype object", r"y and sample_weight are validation_data\[1:\]"
    assert_refused(lambda: fit(sequences(), ["a", None, "b"]), ValueError, *patterns)


@pytest.mark.parametrize("estimator", [RNNSequenceClassifier, RNNSequenceRegressor])
def test_a_target_taught_at_each_step_is_named_as_that_of_a_sequence(estimator: type) -> None:
    with pytest.warns(ConvergenceWarning):
        model = estimator(3, max_iter=1).fit(sequences(), LABELS)
    for method in (model.fit, model.score):
        call = partial(method, sequences(), [0, 1, np.inf])
        assert_refused(call, ValueError, r"y\[2\][: ]")


@pytest.mark.parametrize(
    ("classes", "error", "item"),
    [
        (["a", None], ValueError, "classes of dtype object"),
        ([0, 1, np.nan], ValueError, r"classes\[2\] = nan"),
        ([], ValueError, "0 classes"),
        ("ab", TypeError, "classes of type str"),
        ({0, 1}, TypeError, "classes of type set"),
        ([[0, 1]], ValueError, r"classes .*shape \(1, 2\)"),
    ],
)
def test_classes_that_are_no_labels_are_refused(classes: Any, error: Any, item: str) -> None:
    model = RNNClassifier(3)
    call = partial(model.partial_fit, sequences(), LABELS, classes=classes)
    assert_refused(call, error, f"^RNNClassifier got {item}")


@pytest.mark.parametrize("weight", [-1, np.nan, np.inf, None])
def test_a_weight_of_a_class_that_is_no_weight_is_refused(weight: Any) -> None:
    model = RNNClassifier(3, class_weight={0: weight})
    patterns = "^RNNClassifier got class_weight={0: ", NOT_NEGATIVE
    assert_refused(lambda: model.fit(sequences(), LABELS), ValueError, *patterns)


@pytest.mark.parametrize(("dtype", "weight"), [("float32", 1e39), ("float64", 1e300)])
def test_weights_of_classes_that_leave_the_range_are_refused(dtype: str, weight: float) -> None:
    model = RNNClassifier(3, class_weight={0: weight}, dtype=dtype)
    each = 1.0 if dtype == "float32" else 1e9
    call = partial(model.fit, sequences(), LABELS, np.full(3, each))
    assert_refused(call, ValueError, "^RNNClassifier got class_weight={0: ")


def test_a_score_of_other_rows_than_fitted_names_how_many_are_expected() -> None:
    rows = [[0, 1], [1, 0], [1, 1]]
    with pytest.warns(ConvergenceWarning):
        model = RNNClassifier(3, max_iter=1).fit(sequences(), rows)
    patterns = "y with rows of 3 values", "expected 2, as in fit"
    assert_refused(lambda: model.score(sequences(), np.eye(3)), ValueError, *patterns)


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize(
    ("name", "value", "expectation"),
    BAD_PARAMETERS,
    ids=[f"{name}={str(value)[:30]}" for name, value, _ in BAD_PARAMETERS],
)
def test_bad_parameters_are_refused(
    estimator: type, name: str, value: Any, expectation: str
) -> None:
    model = estimator(**{name: value})
    told = estimator.__name__, f"{name}(=|' parameter)", re.escape(repr(value)), expectation
    assert_refused(lambda: model.fit(sequences(), targets_for(estimator)), ValueError, *told)


OWN_PARAMETERS: list[tuple[type, str, Any, str]] = [
    (RNNClassifier, "pooling", "sum", r"a str among \{.*'mean'.*\}"),
    (RNNRegressor, "pooling", None, r"a str among \{.*'mean'.*\}"),
    (RNNClassifier, "class_weight", "equal", r"'dict', a str among \{'balanced'\}"),
    (RNNSequenceClassifier, "class_weight", 2.0, r"'dict', a str among \{'balanced'\}"),
    (RNNSequenceClassifier, "missing_label", [0], "an instance of 'int'"),
]


@pytest.mark.parametrize(("estimator", "name", "value", "expectation"), OWN_PARAMETERS)
def test_bad_parameters_of_one_estimator_are_refused(
    estimator: type, name: str, value: Any, expectation: str
) -> None:
    model = estimator(**{name: value})
    told = estimator.__name__, f"{name}(=|' parameter)", re.escape(repr(value)), expectation
    assert_refused(lambda: model.fit(sequences(), targets_for(estimator)), ValueError, *told)


def test_every_parameter_has_a_bad_value_in_the_table() -> None:
    shared = {name for name, _, _ in BAD_PARAMETERS}
    for estimator in ESTIMATORS:
        own = {name for one, name, _, _ in OWN_PARAMETERS if one is estimator}
        assert shared | own == set(estimator().get_params())


# ---- RNN ----------------------------------------------------------------------------------------

AT_LEAST_1 = "an int from 1 up"
EITHER_FLOAT = "expected float32 or float64"

BAD_NETWORKS: list[tuple[dict[str, Any], Any, str, str]] = [
    ({"n_inputs": 0}, ValueError, "n_inputs=0", AT_LEAST_1),
    ({"hidden_size": 2**31 - 1}, ValueError, ".*hidden_size=2147483647", "memory can hold"),
    ({"hidden_size": -1}, ValueError, "hidden_size=-1", AT_LEAST_1),
    ({"n_outputs": 1.5}, ValueError, r"n_outputs=1\.5", AT_LEAST_1),
    ({"n_inputs": True}, ValueError, "n_inputs=True", AT_LEAST_1),
    ({"hidden_size": "a"}, ValueError, "hidden_size='a'", AT_LEAST_1),
    ({"activation": "sine"}, ValueError, "activation='sine'", r"one of \('tanh', "),
    ({"activation": "softmax"}, ValueError, "activation='softmax'", r"one of \('tanh', "),
    ({"activation": None}, ValueError, "activation=None", r"one of \('tanh', "),
    ({"output_activation": "max"}, ValueError, "output_activation='max'", "'softmax'"),
    ({"loss": "hinge"}, ValueError, "loss='hinge'", r"one of \('squared_error', 'log_loss'\)"),
    ({"loss": "log_loss"}, ValueError, "output_activation='identity'", "'softmax', 'logistic'"),
    ({"readout": "sum"}, ValueError, "readout='sum'", r"one of \('every', 'last', 'mean', 'max'\)"),
    ({"init": "zeros"}, ValueError, "init='zeros'", "'orthogonal'"),
    ({"dtype": "int8"}, ValueError, "dtype='int8'", EITHER_FLOAT),
    ({"dtype": "half"}, ValueError, "dtype='half'", EITHER_FLOAT),
    ({"dtype": "nonsense"}, ValueError, "dtype='nonsense'", EITHER_FLOAT),
    ({"random_state": "a"}, ValueError, "random_state='a'", "expected None, an integer"),
    ({"random_state": -1}, ValueError, "random_state=-1", "expected None, an integer"),
]


@pytest.mark.parametrize(
    ("arguments", "error", "item", "expectation"),
    BAD_NETWORKS,
    ids=[str(row[0]) for row in BAD_NETWORKS],
)
def test_bad_networks_are_refused(
    arguments: dict[str, Any], error: Any, item: str, expectation: str
) -> None:
    good_arguments: dict[str, Any] = {"n_inputs": 2, "hidden_size": 3, "n_outputs": 1}
    assert_refused(
        lambda: RNN(**(good_arguments | arguments)), error, f"^RNN got {item}", expectation
    )


def test_a_network_is_cast_to_the_two_precisions_only() -> None:
    net = RNN(2, 3, 1)
    for dtype in ("int8", "complex128"):
        told = f"RNN .*{dtype}", EITHER_FLOAT
        assert_refused(lambda dtype=dtype: net.astype(dtype), ValueError, *told)


@pytest.mark.parametrize(
    "theta", [np.zeros(3), np.zeros((22, 1)), 0.0], ids=["too short", "a column", "a number"]
)
def test_parameters_of_another_shape_are_refused(theta: Any) -> None:
    net = RNN(2, 3, 1)
    told = f"got theta of .*shape {re.escape(str(np.shape(theta)))}", r"expected shape \(22,\)"
    assert_refused(lambda: setattr(net, "theta", theta), EITHER, *told)


@pytest.mark.parametrize(
    ("dtype", "value"), [("float64", np.nan), ("float64", -np.inf), ("float32", 1e300)]
)
def test_parameters_that_are_not_finite_are_refused(dtype: str, value: float) -> None:
    net = RNN(2, 3, 1, dtype=dtype, random_state=0)
    before = net.theta.copy()
    theta = np.ones(22)
    theta[5] = value
    assert_refused(lambda: setattr(net, "theta", theta), ValueError, "^RNN got .*theta", "finite")
    assert np.array_equal(net.theta, before)


def tagger() -> RNN:
    return RNN(2, 3, 2, output_activation="softmax", loss="log_loss")


def per_step() -> RNN:
    return RNN(2, 3, 1)


def per_sequence() -> RNN:
    return RNN(2, 3, 1, readout="last")


STEP_1_OF_1 = at_step_1_of_1("Y")
A_STEP_TOO_FEW = r"Y\[1\] with 1 steps, but X\[1\] has 2"
ONE_TARGET = "one target per sequence"

BAD_TARGETS: list[tuple[Callable[[], RNN], str, Any, Any, str, str]] = [
    # network, what, Y, the error, the item, the expectation
    (tagger, "a class too high", with_odd(2), ValueError, STEP_1_OF_1, "integers from 0 to 1"),
    (tagger, "a class too low", with_odd(-1), ValueError, STEP_1_OF_1, "integers from 0 to 1"),
    (tagger, "classes as floats", with_odd(0.0), ValueError, "Y .* float64", "an integer class"),
    (tagger, "no distribution", rows_of(2, 0.6), ValueError, r"0\.6.* in Y|Y\[0\]", "sum to 1"),
    (tagger, "no probability", rows_of(2, 1.5), ValueError, r"1\.5.* in Y|Y\[0\]", r"\[0, 1\]"),
    (tagger, "another K", rows_of(3), ValueError, r"Y .* shape \(3,\)", r"shape \(2,\)"),
    (tagger, "text", TEXTS, TypeError, "Y of dtype <U1", NUMBERS),
    (per_step, "nothing", None, TypeError, "Y of type NoneType", "expected a list"),
    (per_step, "a step too few", TOO_SHORT, ValueError, A_STEP_TOO_FEW, "each step"),
    (per_step, "too few", STEP_LABELS[:2], ValueError, "Y with 2 sequences", "each step"),
    (per_step, "per sequence", LABELS, TypeError, r"Y\[0\] of type int", "each step"),
    (per_step, "NaN", with_odd(np.nan), ValueError, STEP_1_OF_1, "finite"),
    (per_sequence, "nothing", None, TypeError, "Y of type NoneType", ONE_TARGET),
    (per_sequence, "too few", [0, 1], ValueError, "2 targets in Y for 3 sequences", ONE_TARGET),
    (per_sequence, "NaN", [0, np.nan, 1], ValueError, r"Y\[1\]", "targets must be finite"),
    (per_sequence, "two columns", np.ones((3, 2)), ValueError, r"Y .* \(2,\)", r"shape \(1,\)"),
    (per_sequence, "complex", [1j, 1, 2], ValueError, "Y of dtype complex128", REAL),
    (per_sequence, "masked", np.ma.ones(3), TypeError, "Y as a masked array", "mask would be lost"),
    (per_sequence, "per step", STEP_LABELS, ValueError, "Y that is no array", ONE_TARGET),
]


@pytest.mark.parametrize(
    ("network", "Y", "error", "item", "expectation"),
    [(row[0], *row[2:]) for row in BAD_TARGETS],
    ids=[f"{row[0].__name__}-{row[1]}" for row in BAD_TARGETS],
)
def test_bad_targets_of_a_network_are_refused(
    network: Callable[[], RNN], Y: Any, error: Any, item: str, expectation: str
) -> None:
    told = "^RNN got ", item, expectation
    assert_refused(lambda: network().loss(sequences(), Y), error, *told)
    assert_refused(lambda: network().loss_and_gradients(sequences(), Y), error, *told)


# ---- sample_weight ------------------------------------------------------------------------------

NOT_NEGATIVE = "finite and not negative"
PLACE_2 = r"sample_weight\[2\]"
ONE_WEIGHT = "expected one weight per sequence"

STEP_OF_WEIGHT = at_step_1_of_1("sample_weight")

BAD_STEP_WEIGHTS: list[tuple[str, Any, Any, str, str]] = [
    # what, sample_weight of steps, the error, the item, the expectation
    ("too few", [1, 1], ValueError, "2 weights in sample_weight for 3 sequences", ONE_WEIGHT),
    ("negative", [1, 1, -1], ValueError, PLACE_2, NOT_NEGATIVE),
    ("NaN", [1, 1, np.nan], ValueError, PLACE_2, NOT_NEGATIVE),
    ("inf", [1, 1, np.inf], ValueError, PLACE_2, NOT_NEGATIVE),
    ("masked", np.ma.ones(3), TypeError, "sample_weight as a masked array", "mask"),
    ("a number", 2.0, TypeError, "sample_weight of type float", ONE_WEIGHT),
    ("text", "abc", TypeError, "sample_weight of type str", ONE_WEIGHT),
    ("a step too few", TOO_SHORT, ValueError, r"sample_weight\[1\] with 1 steps", "each step"),
    ("a negative step", with_odd(-1), ValueError, STEP_OF_WEIGHT, "not negative"),
    ("a step of NaN", with_odd(np.nan), ValueError, STEP_OF_WEIGHT, "finite"),
    ("two per step", rows_of(2), ValueError, r"sample_weight .*\b2\b.* per step", "expected one"),
]
STEP_WEIGHTS = pytest.mark.parametrize(
    ("weight", "error", "item", "expectation"),
    [row[1:] for row in BAD_STEP_WEIGHTS],
    ids=[row[0] for row in BAD_STEP_WEIGHTS],
)


@STEP_WEIGHTS
def test_bad_weights_of_steps_are_refused(
    weight: Any, error: Any, item: str, expectation: str
) -> None:
    told = "^RNN got", item, expectation
    assert_refused(lambda: per_step().loss(sequences(), STEP_LABELS, weight), error, *told)


@STEP_WEIGHTS
@pytest.mark.parametrize("estimator", [RNNSequenceClassifier, RNNSequenceRegressor])
def test_bad_weights_of_a_score_over_steps_are_refused(
    fitted: dict[type, Any],
    estimator: type,
    weight: Any,
    error: Any,
    item: str,
    expectation: str,
) -> None:
    told = f"^{estimator.__name__} got", item, expectation
    model = fitted[estimator]
    assert_refused(lambda: model.score(sequences(), STEP_LABELS, weight), error, *told)


@pytest.mark.parametrize(
    ("weight", "error", "item", "expectation"),
    [
        ([1, 1], ValueError, "2 weights in sample_weight for 3 sequences", ONE_WEIGHT),
        ([1, 1, -1], ValueError, PLACE_2, NOT_NEGATIVE),
        ([1, 1, np.nan], ValueError, PLACE_2, NOT_NEGATIVE),
        (np.ma.ones(3), TypeError, "sample_weight as a masked array", "mask would be lost"),
        ("abc", TypeError, "sample_weight of type str", ONE_WEIGHT),
        (np.ones((3, 2)), ValueError, r"sample_weight .* shape \(3, 2\)", ONE_WEIGHT),
        (STEP_LABELS, ValueError, "sample_weight that is no array", ONE_WEIGHT),
    ],
    ids=["too few", "negative", "NaN", "masked", "text", "two columns", "per step"],
)
def test_bad_weights_of_sequences_are_refused(
    weight: Any, error: Any, item: str, expectation: str
) -> None:
    told = "^RNN got", item, expectation
    assert_refused(lambda: per_sequence().loss(sequences(), LABELS, weight), error, *told)


@pytest.mark.parametrize("estimator", [RNNClassifier, RNNRegressor])
@pytest.mark.parametrize(
    ("weight", "item", "expectation"),
    [
        ([1, 1], "2 weights in sample_weight for 3 sequences", ONE_WEIGHT),
        ([1, 1, np.nan], r"sample_weight\[2\]", "finite"),
        (np.ones((3, 2)), r"sample_weight .* shape \(3, 2\)", ONE_WEIGHT),
    ],
    ids=["too few", "NaN", "two columns"],
)
def test_bad_weights_of_a_score_over_sequences_are_refused(
    fitted: dict[type, Any], estimator: type, weight: Any, item: str, expectation: str
) -> None:
    model = fitted[estimator]
    told = item, expectation
    assert_refused(lambda: model.score(sequences(), LABELS, weight), ValueError, *told)


def test_there_is_no_mean_over_no_weight() -> None:
    net, nothing = per_step(), np.zeros(3)
    told = "total weight of 0 in sample_weight", "reduction='sum'"
    assert_refused(lambda: net.loss(sequences(), STEP_LABELS, nothing), ValueError, *told)
    assert net.loss(sequences(), STEP_LABELS, nothing, reduction="sum") == 0


def test_a_weight_too_large_for_the_precision_is_refused() -> None:
    net = RNN(2, 3, 1, dtype="float32")
    weight = [1.0, 1.0, 1e300]
    told = PLACE_2, "finite"
    assert_refused(lambda: net.loss(sequences(), STEP_LABELS, weight), ValueError, *told)


@pytest.mark.parametrize(
    ("h0", "error", "item", "expectation"),
    [
        (np.zeros((2, 3)), ValueError, r"h0 of shape \(2, 3\)", r"expected shape \(3, 3\)"),
        (np.zeros((3, 2)), ValueError, r"h0 of shape \(3, 2\)", r"expected shape \(3, 3\)"),
        (np.full((3, 3), np.nan), ValueError, "NaN or infinity in h0", "finite"),
        ("abc", TypeError, "h0 of type str", r"expected shape \(3, 3\)"),
        (np.ones((3, 3)) * 1j, ValueError, "h0 of dtype complex128", REAL),
        (np.ma.zeros((3, 3)), TypeError, "h0 as a masked array", "mask would be lost"),
        (sparse.csr_array(np.eye(3)), TypeError, "h0 as a sparse array", "toarray"),
    ],
    ids=["too few", "another M", "NaN", "text", "complex", "masked", "sparse"],
)
def test_bad_initial_states_are_refused(h0: Any, error: Any, item: str, expectation: str) -> None:
    told = "^RNN got", item, expectation
    assert_refused(lambda: per_step().forward(sequences(), h0), error, *told)
    assert_refused(lambda: per_step().loss(sequences(), STEP_LABELS, h0=h0), error, *told)


def test_an_unknown_reduction_is_refused() -> None:
    told = "reduction='max'", "expected 'mean' or 'sum'"
    call = per_step().loss
    assert_refused(lambda: call(sequences(), STEP_LABELS, reduction="max"), ValueError, *told)


def test_nothing_here_is_refused_for_another_reason(fitted: dict[type, Any]) -> None:
    for estimator, model in fitted.items():
        assert len(model.predict(sequences())) == 3
        assert np.isfinite(model.score(sequences(), targets_for(estimator)))
    for network in (tagger, per_step):
        assert np.isfinite(network().loss(sequences(), STEP_LABELS, [1, 0, 2]))
    assert np.isfinite(per_sequence().loss(sequences(), LABELS, [1, 0, 2], h0=np.zeros((3, 3))))
