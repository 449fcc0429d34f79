"""Labels of any kind are classes, and probabilities belong to them."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

from cbptt.testing.cases import (
    Case,
    error_of,
    outputs_of,
)
from cbptt.testing.registry import (
    check,
    classifier,
    with_probabilities,
)


def _check_labels(case: Case, labels: list[Any]) -> None:
    """The classes are the labels, sorted, and every method returns these and no other."""
    model = case.fit(case.X, case.labels(labels))
    assert_array_equal(model.classes_, sorted(labels), err_msg=f"{case.name}.classes_")
    outputs = outputs_of(model, case.X)
    for output in outputs["predict"]:
        others = np.setdiff1d(output, labels)
        assert not others.size, f"{case.name}.predict gave {others}, which is not among {labels}."
    for i, output in enumerate(outputs.get("predict_proba", [])):
        shape = (*outputs["predict"][i].shape, len(labels))
        assert output.shape == shape, f"{case.name}.predict_proba gave {output.shape}, not {shape}."


@check(classifier)
def check_string_labels(case: Case) -> None:
    """Labels may be text, of which classes_ and the predictions consist."""
    _check_labels(case, ["yes", "no", "perhaps"])


@check(classifier)
def check_integer_labels(case: Case) -> None:
    """Labels may be any integers, of which classes_ and the predictions consist."""
    _check_labels(case, [5, -3, 12])


@check(classifier)
def check_two_classes(case: Case) -> None:
    """Two classes have a column of probabilities each."""
    _check_labels(case, [True, False])


@check(classifier)
def check_one_class(case: Case) -> None:
    """One class alone is predicted everywhere, or refused with an error that names classes."""
    y = case.labels(["only"])
    error = error_of(partial(case.fit, case.X, y))
    if isinstance(error, ValueError):
        assert re.search("class|label", str(error)), f"{case.name} refused one class: {error}"
        return
    outputs = outputs_of(case.fit(case.X, y), case.X)
    for output in outputs["predict"]:
        assert (output == "only").all(), f"{case.name}.predict gave {output} for one class."
    for output in outputs.get("predict_proba", []):
        assert_allclose(
            output, np.ones((*output.shape[:-1], 1)), err_msg=f"{case.name}.predict_proba"
        )


@check(with_probabilities)
def check_predict_is_argmax(case: Case) -> None:
    """The predicted class is the most probable one."""
    model = case.fit(case.X, case.labels([0, 1, 2]))
    outputs = outputs_of(model, case.X)
    for output, probabilities in zip(outputs["predict"], outputs["predict_proba"], strict=True):
        most_probable = model.classes_[probabilities.argmax(axis=-1)]
        assert_array_equal(output, most_probable, err_msg=f"{case.name}.predict is not the argmax.")


@check(with_probabilities)
def check_probabilities(case: Case) -> None:
    """Probabilities lie between 0 and 1, and those of all classes sum to 1."""
    model = case.fit(case.X, case.labels([0, 1, 2]))
    for output in outputs_of(model, case.X)["predict_proba"]:
        assert ((output >= 0) & (output <= 1)).all(), f"{case.name}.predict_proba gave {output}."
        assert_allclose(output.sum(axis=-1), 1, rtol=1e-6, err_msg=f"{case.name}.predict_proba")
