"""Any form of X and y is learned from alike, and outputs have the form of X."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.utils import get_tags

from cbptt.data.ragged import Ragged
from cbptt.testing.cases import (
    FORMS,
    LENGTHS,
    ROUNDING,
    Case,
    boxed,
    methods_of,
    outputs_of,
)
from cbptt.testing.registry import (
    check,
    needs_fit,
    per_sequence,
    per_step,
    predictor,
    regressor,
)


def _check_form(case: Case, make: Callable[[Any], Any], what: str) -> None:
    case.assert_learns_the_same(make(case.X), case.y, case.X, case.y, what)


@check()
def check_form_tuple(case: Case) -> None:
    """A tuple of sequences is learned from like a list."""
    _check_form(case, tuple, "tuple")


@check()
def check_form_object_array(case: Case) -> None:
    """A 1-D object array of sequences is learned from like a list."""
    _check_form(case, boxed, "object array")


@check()
def check_form_ragged(case: Case) -> None:
    """A Ragged is learned from like a list."""
    _check_form(case, Ragged.from_sequences, "Ragged")


@check()
def check_form_nested_lists(case: Case) -> None:
    """Lists of lists of numbers are learned from like a list of arrays."""
    lists = [x.tolist() for x in case.X]
    y = [steps.tolist() for steps in case.y] if case.per_step else case.y.tolist()
    case.assert_learns_the_same(lists, y, case.X, case.y, "nested lists")


@check()
def check_form_3d_array(case: Case) -> None:
    """A 3-D array is learned from like the list of its sequences."""
    y = case.equal_y
    case.assert_learns_the_same(case.equal, y, list(case.equal), y, "3-D array")


@check()
def check_form_2d_array(case: Case) -> None:
    """A 2-D array is learned from like sequences of one variable, as (T, 1) arrays."""
    X = case.equal[:, :, 0]
    columns = list(case.equal[:, :, :1])
    case.assert_learns_the_same(X, case.equal_y, columns, case.equal_y, "2-D array")
    nested = X.tolist()
    case.assert_learns_the_same(nested, case.equal_y, columns, case.equal_y, "2-D as lists")


@check()
def check_form_one_variable(case: Case) -> None:
    """A sequence of one variable may be (T,) or (T, 1)."""
    columns = [x[:, :1] for x in case.X]
    flat = [x[:, 0] for x in case.X]
    for what, make in FORMS.items():
        case.assert_learns_the_same(make(flat), case.y, columns, case.y, f"{what} of (T,)")
    case.assert_learns_the_same([x.tolist() for x in flat], case.y, columns, case.y, "lists of T")


@check()
def check_form_at_predict(case: Case) -> None:
    """What was fitted on one form predicts the same for every other form."""
    for fitted_on, fit_form in FORMS.items():
        model = case.fit(fit_form(case.equal), case.equal_y)
        expected = outputs_of(model, fit_form(case.equal))
        forms: dict[str, Callable[[Any], Any]] = {**FORMS, "3-D array": np.array}
        for form, make in forms.items():
            what = f"{form}, fitted on {fitted_on}"
            case.assert_same(outputs_of(model, make(case.equal)), expected, what, ROUNDING)


@check(predictor)
def check_form_of_targets(case: Case) -> None:
    """Targets are learned from alike in every form."""
    X, y = case.equal, case.equal_y
    forms: dict[str, Callable[[Any], Any]] = {"list": list, "array": np.array}
    if case.per_step:
        forms |= {"object array": boxed, "Ragged": Ragged.from_sequences}
        forms |= {"lists": lambda y: [steps.tolist() for steps in y]}
    for what, make in forms.items():
        case.assert_learns_the_same(X, make(y), X, y, f"targets as {what}")


@check(predictor, per_step)
def check_steps_of_an_array(case: Case) -> None:
    """Predictions for the steps of an (n, T, D) array are an (n, T) array."""
    name = case.name
    n, T, _ = case.equal.shape
    model = case.fit(case.equal, case.equal_y)
    for method in methods_of(model):
        output = getattr(model, method)(case.equal)
        assert isinstance(output, np.ndarray), f"{name}.{method} gave {type(output)} for an array."
        assert output.dtype != object, f"{name}.{method} gave an object array for an array."
        assert output.shape[:2] == (n, T), (
            f"{name}.{method} gave shape {output.shape} for ({n}, {T})."
        )
    assert model.predict(case.equal).shape == (n, T), f"{name}.predict did not give (n, T)."


@check(predictor, per_step)
def check_steps_of_ragged(case: Case) -> None:
    """Predictions for the steps of ragged sequences are a 1-D object array of arrays as long."""
    model = case.fit()
    for form, make in FORMS.items():
        for method in methods_of(model):
            output = getattr(model, method)(make(case.X))
            what = f"{case.name}.{method} gave {type(output).__name__} for {form}"
            assert isinstance(output, np.ndarray), f"{what}; expected an object array."
            assert output.dtype == object, f"{what} of {output.dtype}; expected objects."
            assert output.shape == (len(case.X),), f"{what} of shape {output.shape}."
            lengths = tuple(len(steps) for steps in output)
            assert lengths == LENGTHS, f"{what} of lengths {lengths}; expected {LENGTHS}."
        assert all(steps.ndim == 1 for steps in model.predict(make(case.X))), (
            f"{case.name}.predict did not give (T_i,) arrays for {form}."
        )


@check(predictor, per_sequence)
def check_one_output_per_sequence(case: Case) -> None:
    """Predictions for n sequences are one array (n,), and probabilities (n, n_classes)."""
    name = case.name
    model = case.fit()
    for form, make in FORMS.items():
        for method in methods_of(model):
            output = getattr(model, method)(make(case.X))
            assert isinstance(output, np.ndarray), (
                f"{name}.{method} gave {type(output)} for {form}."
            )
            assert output.dtype != object, f"{name}.{method} gave an object array for {form}."
            shape = (len(case.X), len(model.classes_)) if "proba" in method else (len(case.X),)
            assert output.shape[: len(shape)] == shape, (
                f"{name}.{method} gave shape {output.shape}."
            )
        shape = model.predict(make(case.X)).shape
        assert shape == (len(case.X),), f"{name}.predict gave shape {shape} for {form}."


@check(predictor)
def check_dtype_of_predictions(case: Case) -> None:
    """Numbers and probabilities are floating, and labels have the dtype of classes_."""
    model = case.fit()
    for method, outputs in outputs_of(model, case.X).items():
        for output in outputs:
            dtype = output.dtype
            if method == "predict" and is_classifier(model):
                assert dtype == model.classes_.dtype, f"{case.name}.predict gave labels of {dtype}."
            else:
                assert dtype.kind == "f", f"{case.name}.{method} gave {dtype}; expected floats."


@check(regressor)
def check_several_targets(case: Case) -> None:
    """K targets come back as K columns; an estimator that takes one only raises ValueError."""
    name = case.name
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
    shapes = [np.shape(output) for output in predictions]
    expected = [np.shape(row) for row in columns]
    assert shapes == expected, f"{name}.predict gave {shapes} for targets of {expected}."
    if case.per_step:
        output = model.predict(case.equal)
        shape = (*case.equal.shape[:2], 3)
        assert np.shape(output) == shape, f"{name}.predict gave {np.shape(output)}, not {shape}."


@check(needs_fit)
def check_n_features_in(case: Case) -> None:
    """n_features_in_ is the number of variables of a step, and there only after fit."""
    name = case.name
    assert not hasattr(case.estimator, "n_features_in_"), f"{name} has it before fit."
    for what, make in FORMS.items():
        assert case.fit(make(case.X)).n_features_in_ == 2, f"{name} fitted on {what} of 2."
    one = case.fit([x[:, 0] for x in case.X])
    assert one.n_features_in_ == 1, f"{name} fitted on (T,) sequences."
    assert case.fit(case.equal, case.equal_y).n_features_in_ == 2, f"{name} fitted on 3-D of 2."
