"""Fits repeat, and copies, files, threads and processes have the same model."""

from __future__ import annotations

import copy
import pickle
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import joblib
import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError

from cbptt.testing.cases import (
    LENGTHS,
    Case,
    error_of,
    few_iterations,
    learned_of,
    make_sequences,
    methods_of,
    outputs_of,
    parameters_of,
)
from cbptt.testing.registry import (
    check,
    needs_fit,
    seeded,
)


@check()
def check_pickle(case: Case) -> None:
    """A pickled model is the same model."""
    model = case.fit()
    case.assert_same_model(pickle.loads(pickle.dumps(model)), model, "pickle")


@check()
def check_deepcopy(case: Case) -> None:
    """A deep copy is the same model, and stays it when the original is fitted again."""
    model = case.fit()
    copied = copy.deepcopy(model)
    case.assert_same_model(copied, model, "deep copy")
    expected = outputs_of(copied, case.X)
    with few_iterations():
        model.fit([-x for x in case.X], case.y)
    case.assert_same(outputs_of(copied, case.X), expected, "deep copy after another fit")


@check()
def check_joblib_file(case: Case) -> None:
    """A model that joblib wrote and read is the same model, also on memory maps."""
    model = case.fit()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory:
        path = Path(directory) / "model.joblib"
        joblib.dump(model, path)
        for mmap_mode in (None, "r"):
            copied = joblib.load(path, mmap_mode=mmap_mode)
            case.assert_same_model(copied, model, f"joblib file, mmap_mode={mmap_mode}")
            del copied


@check()
def check_clone(case: Case) -> None:
    """A clone of a model has its parameters, nothing learned, and learns the same."""
    model = case.fit()
    cloned = clone(model)
    assert parameters_of(cloned) == parameters_of(model), (
        f"{case.name}: a clone has other parameters."
    )
    assert not learned_of(cloned), f"{case.name}: a clone has {learned_of(cloned)}."
    with few_iterations():
        case.assert_same_model(cloned.fit(case.X, case.y), model, "clone, fitted")


@check()
def check_fit_returns_self(case: Case) -> None:
    """`fit` returns the estimator itself."""
    with few_iterations():
        assert case.estimator.fit(case.X, case.y) is case.estimator, (
            f"{case.name}.fit gave another."
        )


@check()
def check_fit_twice(case: Case) -> None:
    """A second fit on the same data gives the same bits, and so does another estimator."""
    model = case.fit()
    expected = outputs_of(model, case.X)
    case.assert_same(outputs_of(case.fit(), case.X), expected, "another estimator")
    with few_iterations():
        model.fit(case.X, case.y)
    case.assert_same(outputs_of(model, case.X), expected, "a second fit")


@check()
def check_refit_forgets(case: Case) -> None:
    """A fit on other data, with other variables, gives the bits that it gives alone."""
    model = case.fit()
    other = make_sequences(LENGTHS[::-1], n_features=3, seed=1)
    other_y = case.targets(other)
    if is_classifier(model):
        other_y = [steps + 5 for steps in other_y] if case.per_step else other_y + 5
    expected = outputs_of(case.fit(other, other_y), other)
    with few_iterations():
        model.fit(other, other_y)
    case.assert_same(outputs_of(model, other), expected, "after another fit")


@check(seeded)
def check_global_random_state(case: Case) -> None:
    """With a seed, NumPy's global random state is neither read nor moved on."""
    before = np.random.get_state()  # noqa: NPY002
    try:
        results = []
        for seed in (1, 2):
            np.random.seed(seed)  # noqa: NPY002
            state = joblib.hash(np.random.get_state())  # noqa: NPY002
            model = case.fit()
            results.append(outputs_of(model, case.X))
            after = joblib.hash(np.random.get_state())  # noqa: NPY002
            assert after == state, f"{case.name} drew from NumPy's global random state."
    finally:
        np.random.set_state(before)  # noqa: NPY002
    case.assert_same(results[0], results[1], "another global random state")


@check()
def check_parameters_unchanged(case: Case) -> None:
    """`fit` and the other methods leave the parameters as they are."""
    before = parameters_of(case.estimator)
    with few_iterations():
        outputs_of(case.estimator.fit(case.X, case.y), case.X)
    assert parameters_of(case.estimator) == before, f"{case.name} changed its parameters."


@check()
def check_set_params(case: Case) -> None:
    """`set_params` with what `get_params` gave returns the estimator, which is as before."""
    parameters = case.estimator.get_params(deep=False)
    copied = clone(case.estimator)
    assert copied.set_params(**parameters) is copied, f"{case.name}.set_params gave another."
    after = copied.get_params(deep=False)
    assert after.keys() == parameters.keys(), f"{case.name} has other parameters after set_params."
    for parameter, value in parameters.items():
        assert after[parameter] is value, f"{case.name}.set_params stored another {parameter}."


@check()
def check_nothing_learned_before_fit(case: Case) -> None:
    """Before fit there is no attribute whose name ends in an underscore."""
    assert not learned_of(case.estimator), (
        f"{case.name} has {learned_of(case.estimator)} before fit."
    )


@check(needs_fit)
def check_not_fitted(case: Case) -> None:
    """Before fit every method raises NotFittedError."""
    calls = {
        method: partial(getattr(case.estimator, method), case.X)
        for method in methods_of(case.estimator)
    }
    if hasattr(case.estimator, "score"):
        calls["score"] = partial(case.estimator.score, case.X, case.y)
    for method, call in calls.items():
        error = error_of(call)
        if not isinstance(error, NotFittedError):
            met = "no error" if error is None else repr(error)
            raise AssertionError(
                f"{case.name}.{method} before fit: {met}; expected NotFittedError."
            ) from error


@check()
def check_predict_twice(case: Case) -> None:
    """A model returns the same bits again after predictions for other sequences."""
    model = case.fit()
    expected = outputs_of(model, case.X)
    outputs_of(model, [-10 * x for x in case.X[:3]])
    case.assert_same(outputs_of(model, case.X), expected, "predicted again")


@check()
def check_other_process(case: Case) -> None:
    """A model returns the same bits in another process."""
    model = case.fit()
    parts = [case.X[:5], case.X[5:]]
    tasks = [joblib.delayed(outputs_of)(model, part) for part in parts]
    results = joblib.Parallel(n_jobs=2, backend="loky")(tasks)
    for part, outputs in zip(parts, results, strict=True):
        case.assert_same(outputs, outputs_of(model, part), "in another process")


@check()
def check_threads(case: Case) -> None:
    """A model that four threads use at a time returns the bits that it returns to one."""
    model = case.fit()
    parts = [case.X[i % 8 : i % 8 + 4] for i in range(16)]
    with ThreadPoolExecutor(4) as threads:
        results = list(threads.map(partial(outputs_of, model), parts))
    for part, outputs in zip(parts, results, strict=True):
        case.assert_same(outputs, outputs_of(model, part), "in four threads")
