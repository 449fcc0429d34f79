"""The contract of targets: which outputs have one, which are predictions, which weights count."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from cbptt import (
    RNNClassifier,
    RNNRegressor,
    RNNSequenceClassifier,
    RNNSequenceRegressor,
)
from cbptt.data.sequences import Sequences
from cbptt.estimators._class_targets import ClassTargets
from cbptt.estimators._number_targets import NumberTargets
from cbptt.estimators._targets import Places, TargetKind

ESTIMATORS = [RNNClassifier, RNNRegressor, RNNSequenceClassifier, RNNSequenceRegressor]
LENGTHS = np.array([2, 1, 3])
PER_SEQUENCE = np.array([10.0, 20.0, 30.0])
PER_STEP = np.arange(6.0)
# Places, y, the targets of the outputs, the predictions among outputs 0 to R - 1, and a place.
CASES = {
    "sequence": (Places("mean"), PER_SEQUENCE, [10, 20, 30], [0, 1, 2], "[2]"),
    "step": (Places("every"), PER_STEP, range(6), range(6), "[1][0]"),
    "replicated": (Places("every", True), PER_SEQUENCE, [10, 10, 20, 30, 30, 30], [1, 2, 5], "[1]"),
}
every_place = pytest.mark.parametrize("case", CASES)
every_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])


def sequences(dtype: str = "float64") -> Sequences:
    return Sequences(np.ones((6, 1), dtype), np.array([0, 2, 3, 6]), "list")


@every_place
def test_each_output_has_the_target_that_its_place_says(case: str) -> None:
    places, y, targets, predicted, place = CASES[case]
    given = np.split(y, [2, 3]) if case == "step" else y
    flat = places.flatten(given, sequences(), numeric=True, caller="test")
    assert_array_equal(flat, targets)
    assert_array_equal(places.predicted(np.arange(len(flat)), sequences()), predicted)
    assert places.spell(2, sequences()) == place


@every_place
@every_dtype
def test_the_weights_of_predictions_undo_the_shares_of_training(case: str, dtype: str) -> None:
    places, x = CASES[case][0], sequences(dtype)
    weights = places.weigh([0.5, 2.0, 0.0], x, caller="test")
    shares = places.share(weights, x)
    assert weights.dtype == dtype
    expected = [0.5, 0.5, 2, 0, 0, 0] if case == "step" else [0.5, 2, 0]
    assert_allclose(places.predicted_weights(shares, x), expected, rtol=1e-6)
    if case == "replicated":  # the steps of a sequence share its weight
        assert_allclose(np.add.reduceat(shares, [0, 2, 3]), expected, rtol=1e-6)


@every_dtype
def test_class_weights_count_in_training_and_not_in_validation(dtype: str) -> None:
    kind = ClassTargets("test", "last", class_weight={"a": 3.0, "b": 0.5})
    labels = kind.read(["a", "b", "a"], sequences(dtype), [1, 2, 0], None)
    assert_array_equal(labels.weights, [1, 2, 0])
    assert_array_equal(labels.training_weights, [3, 1, 0])
    assert labels.weights.dtype == dtype


def test_a_later_y_must_have_the_form_of_the_first_one() -> None:
    kind = NumberTargets("test", "every")
    known = kind.read([1.0, 2.0, 3.0], sequences(), None, None).form
    assert known.replicated
    steps = np.split(PER_STEP, [2, 3])
    with pytest.raises(ValueError, match="test got 6 targets in y for 3"):
        kind.read(np.concatenate(steps), sequences(), None, known)
    pairs = np.ones((3, 2))
    form = NumberTargets("test", "last").read(pairs, sequences(), None, None).form
    with pytest.raises(ValueError, match="test got y with 1 outputs; expected 2"):
        NumberTargets("test", "last").read(PER_SEQUENCE, sequences(), None, form)


@pytest.mark.parametrize("kind", [ClassTargets, NumberTargets])
def test_targets_without_columns_are_refused_by_every_kind(kind: type[TargetKind]) -> None:
    parameters = {"class_weight": None} if kind is ClassTargets else {}
    with pytest.raises(ValueError, match="test got y with 0 outputs; expected at least one"):
        kind("test", "last", **parameters).read(np.ones((3, 0)), sequences(), None, None)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_an_estimator_asks_its_kind_of_targets_alone(estimator: type) -> None:
    kind = estimator()._targets
    assert isinstance(kind, TargetKind)
    assert kind.caller == estimator.__name__
    asked = {name for name, _ in inspect.getmembers(TargetKind, inspect.isfunction)}
    shared = {name for name in vars(estimator) if not name.startswith("__")} & asked
    assert shared <= {"predict", "score"}  # which are public methods of estimators too
    assert inspect.isabstract(TargetKind)
    assert not inspect.isabstract(type(kind))
