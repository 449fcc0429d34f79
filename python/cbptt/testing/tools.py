"""scikit-learn's splitters, searches and pipelines take sequences."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    cross_val_predict,
    cross_val_score,
    train_test_split,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from cbptt.data.ragged import Ragged
from cbptt.testing.cases import (
    FORMS,
    LEARNING,
    Case,
    few_iterations,
    outputs_of,
    take,
)
from cbptt.testing.registry import (
    check,
    predictor,
)

Array: TypeAlias = NDArray[Any]


_FOLDS = KFold(3)


def _fold_models(case: Case) -> list[tuple[Any, Array]]:
    """For each fold a model, fitted on lists, and the indices of the sequences left out."""
    return [
        (case.fit([case.X[i] for i in train], take(case.y, train)), test)
        for train, test in _FOLDS.split(case.X)
    ]


@check()
def check_train_test_split(case: Case) -> None:
    """What train_test_split makes of every form is learned from like the same list."""
    indices = np.arange(len(case.X))
    for form, make in FORMS.items():
        X_train, X_test, y_train, _, train, test = train_test_split(
            make(case.X), case.y, indices, random_state=0
        )
        model = case.fit([case.X[i] for i in train], take(case.y, train))
        expected = outputs_of(model, [case.X[i] for i in test])
        output = outputs_of(case.fit(X_train, y_train), X_test)
        case.assert_same(output, expected, f"{form}, split", LEARNING)


@check(predictor)
def check_cross_val_score(case: Case) -> None:
    """cross_val_score gives the scores of the folds, for a list and for a Ragged."""
    expected = [
        model.score([case.X[i] for i in test], take(case.y, test))
        for model, test in _fold_models(case)
    ]
    for form in ("list", "Ragged"):
        X = FORMS[form](case.X)
        with few_iterations():
            scores = cross_val_score(case.estimator, X, case.y, cv=_FOLDS, error_score="raise")
        what = f"{case.name}: cross_val_score for {form}"
        assert_allclose(scores, expected, rtol=LEARNING, atol=LEARNING, err_msg=what)


@check(predictor)
def check_cross_val_predict(case: Case) -> None:
    """cross_val_predict gives the predictions of the folds, for a list and for a Ragged."""
    expected: list[Any] = [None] * len(case.X)
    for model, test in _fold_models(case):
        for i, output in zip(test, model.predict([case.X[i] for i in test]), strict=True):
            expected[i] = np.asarray(output)
    for form in ("list", "Ragged"):
        X = FORMS[form](case.X)
        with few_iterations():
            predictions = cross_val_predict(case.estimator, X, case.y, cv=_FOLDS)
        outputs = {"predict": [np.asarray(output) for output in predictions]}
        what = f"cross_val_predict for {form}"
        case.assert_same(outputs, {"predict": expected}, what, LEARNING)


@check(predictor)
def check_grid_search(case: Case) -> None:
    """GridSearchCV on a Ragged ends with the model of a fit on a list."""
    first_parameter = list(case.estimator.get_params(deep=False).items())[:1]
    grid = {parameter: [value] for parameter, value in first_parameter}
    search = GridSearchCV(case.estimator, grid, cv=_FOLDS, error_score="raise")
    with few_iterations():
        search.fit(Ragged.from_sequences(case.X), case.y)
    assert np.isfinite(search.best_score_), f"{case.name}: best_score_ is {search.best_score_}."
    expected = outputs_of(case.fit(), case.X)
    case.assert_same(outputs_of(search.best_estimator_, case.X), expected, "GridSearchCV", LEARNING)
    predictions = {"predict": [np.asarray(output) for output in search.predict(case.X)]}
    expected = {"predict": expected["predict"]}
    case.assert_same(predictions, expected, "GridSearchCV.predict", LEARNING)


@check()
def check_pipeline(case: Case) -> None:
    """A pipeline with a step that changes nothing returns what the estimator returns alone."""
    expected = outputs_of(case.fit(), case.X)
    for form in ("list", "Ragged"):
        X = FORMS[form](case.X)
        pipeline = make_pipeline(FunctionTransformer(), clone(case.estimator))
        with few_iterations():
            pipeline.fit(X, case.y)
        case.assert_same(outputs_of(pipeline, X), expected, f"pipeline on {form}", LEARNING)
