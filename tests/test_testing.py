"""The common checks: our estimators pass them, and each check fails where its claim is broken."""

from __future__ import annotations

import copy
import re
import time
import uuid

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, TransformerMixin
from sklearn.exceptions import EstimatorCheckFailedWarning
from sklearn.metrics import accuracy_score, r2_score
from sklearn.pipeline import make_pipeline
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from cbptt import (
    Ragged,
    RNNClassifier,
    RNNRegressor,
    RNNSequenceClassifier,
    RNNSequenceRegressor,
    testing,
)
from cbptt.data.sequences import check_sequences, flatten_steps
from cbptt.testing import (
    check_sequence_estimator,
    parametrize_with_sequence_checks,
    sequence_estimator_checks,
)

ALL_CHECKS = {
    name
    for name in dir(testing)
    if name.startswith("check_") and name != "check_sequence_estimator"
}


OURS = (RNNClassifier, RNNRegressor, RNNSequenceClassifier, RNNSequenceRegressor)


@parametrize_with_sequence_checks([estimator(8) for estimator in OURS])
def test_our_estimators_pass_the_common_checks(estimator, check):
    check(estimator)


# one of sequences and one of steps, one of labels and one of numbers
@parametrize_with_sequence_checks(
    [estimator(8, dtype="float32") for estimator in (RNNClassifier, RNNSequenceRegressor)]
)
def test_our_estimators_pass_the_common_checks_in_float32(estimator, check):
    check(estimator)


# ---- estimators by other hands ------------------------------------------------------------------


class RunningMeans(BaseEstimator):
    """Linear in the mean of the steps so far: ridge regression towards a random start."""

    def __init__(self, alpha=1.0, random_state=None):
        self.alpha = alpha
        self.random_state = random_state

    def fit(self, X, y=None, sample_weight=None):
        sequences = self._read(X)
        table, learned = self._encode(y, sequences)
        weight = self._weigh(sample_weight, sequences)[:, None]
        features = self._features(sequences)
        start = self._start((features.shape[1], table.shape[1]))
        gram = features.T @ (weight * features) + self.alpha * np.eye(len(start))
        self.coef_ = np.linalg.solve(gram, features.T @ (weight * table) + self.alpha * start)
        self.n_features_in_ = sequences.n_features
        for name, value in learned.items():
            setattr(self, name, value)
        return self

    def _read(self, X, n_features=None):
        return check_sequences(X, caller=type(self).__name__, n_features=n_features)

    def _read_again(self, X):
        check_is_fitted(self)
        return self._read(X, self.n_features_in_)

    def _means(self, x):
        return np.cumsum(x, axis=0) / np.arange(1, len(x) + 1)[:, None]

    def _start(self, shape):
        return check_random_state(self.random_state).normal(size=shape)

    def _scores(self, sequences):
        return self._features(sequences) @ self.coef_


class OverSequences:
    """One target for each sequence."""

    def _features(self, sequences):
        last = [self._means(x)[-1] for x in Ragged(sequences.values, sequences.offsets)]
        return np.column_stack([last, np.ones(len(last))])

    def _rows(self, y, sequences):
        if y is None:
            raise ValueError("y is None; expected a target for each sequence.")
        rows = np.asarray(y)
        if len(rows) != len(sequences):
            raise ValueError(f"got {len(rows)} targets in y for {len(sequences)} sequences.")
        return rows

    def _weigh(self, weight, sequences):
        checked = np.ones(len(sequences)) if weight is None else np.asarray(weight, dtype=float)
        if checked.shape != (len(sequences),):
            raise ValueError(f"got sample_weight of shape {checked.shape}.")
        if not (np.isfinite(checked).all() and checked.min() >= 0 and checked.any()):
            raise ValueError("got a sample_weight that is negative, not finite, or 0 throughout.")
        return checked

    def _shape(self, values, sequences):
        return values


class OverSteps(OverSequences):
    """One target for each step."""

    def _features(self, sequences):
        means = [self._means(x) for x in Ragged(sequences.values, sequences.offsets)]
        return np.column_stack([np.concatenate(means), np.ones(sequences.n_steps)])

    def _rows(self, y, sequences):
        if y is None:
            raise ValueError("y is None; expected a target for each step.")
        return flatten_steps(y, sequences, caller=type(self).__name__, name="y")

    def _weigh(self, weight, sequences):
        if weight is not None and np.ndim(next(iter(weight))) == 1:
            return flatten_steps(weight, sequences, caller="weights", name="sample_weight")
        return np.repeat(super()._weigh(weight, sequences), sequences.lengths)

    def _shape(self, values, sequences):
        shaped = sequences.shape_like(values)
        return np.asarray(shaped) if isinstance(shaped, Ragged) else shaped


class MeansRegressor(RegressorMixin, RunningMeans):
    def _encode(self, y, sequences):
        rows = self._rows(y, sequences).astype(float)
        return rows.reshape(len(rows), -1), {"flat_": rows.ndim == 1}

    def predict(self, X):
        sequences = self._read_again(X)
        scores = self._scores(sequences)
        return self._shape(scores[:, 0] if self.flat_ else scores, sequences)

    def score(self, X, y):
        sequences = self._read_again(X)
        return r2_score(self._rows(y, sequences), self._scores(sequences))


class MeansClassifier(ClassifierMixin, RunningMeans):
    def _encode(self, y, sequences):
        classes, codes = np.unique(self._rows(y, sequences), return_inverse=True)
        return np.eye(len(classes))[codes], {"classes_": classes}

    def _probabilities(self, sequences):
        exponentials = np.exp(self._scores(sequences))
        return exponentials / exponentials.sum(axis=1, keepdims=True)

    def _labels(self, sequences):
        return self.classes_[self._scores(sequences).argmax(axis=1)]

    def predict(self, X):
        sequences = self._read_again(X)
        return self._shape(self._labels(sequences), sequences)

    def predict_proba(self, X):
        sequences = self._read_again(X)
        return self._shape(self._probabilities(sequences), sequences)

    def score(self, X, y):
        sequences = self._read_again(X)
        return accuracy_score(self._rows(y, sequences), self._labels(sequences))


class SequenceRegressor(OverSequences, MeansRegressor):
    pass


class SequenceClassifier(OverSequences, MeansClassifier):
    pass


class StepRegressor(OverSteps, MeansRegressor):
    pass


class StepClassifier(OverSteps, MeansClassifier):
    pass


class Centred(TransformerMixin, BaseEstimator):
    """Takes the mean of all steps that were seen in fit off every step."""

    def fit(self, X, y=None):
        sequences = check_sequences(X, caller="Centred")
        self.mean_ = sequences.values.mean(axis=0)
        self.n_features_in_ = sequences.n_features
        return self

    def transform(self, X):
        check_is_fitted(self)
        sequences = check_sequences(X, caller="Centred", n_features=self.n_features_in_)
        return sequences.shape_like(sequences.values - self.mean_)


SOUND = [SequenceRegressor(), SequenceClassifier(), StepRegressor(), StepClassifier(), Centred()]


@parametrize_with_sequence_checks(SOUND)
def test_sound_estimators_by_other_hands_pass_too(estimator, check):
    check(estimator)


@parametrize_with_sequence_checks(
    [make_pipeline(Centred(), RNNSequenceClassifier(8))],
    expected_failed_checks=lambda pipeline: {
        "check_refused_fit": "the first step is fitted before the second one can refuse anything"
    },
)
def test_a_pipeline_of_sequence_estimators_passes_too(estimator, check):
    check(estimator)


def test_targets_of_each_step_are_told_from_targets_of_each_sequence():
    over_steps = {
        type(estimator).__name__
        for estimator in [*SOUND, RNNRegressor(8), RNNSequenceRegressor(8)]
        if "check_no_knowledge_of_the_future" in dict(sequence_estimator_checks(estimator))
    }
    assert over_steps == {"StepRegressor", "StepClassifier", "Centred", "RNNSequenceRegressor"}


# ---- broken estimators --------------------------------------------------------------------------

BROKEN = []  # (estimator, name of a check that it fails)


def fails(*names):
    """Note which checks the class below fails."""

    def note(cls):
        assert set(names) <= ALL_CHECKS
        BROKEN.extend((cls(), name) for name in names)
        return cls

    return note


# forms


@fails(
    "check_form_tuple",
    "check_form_object_array",
    "check_form_ragged",
    "check_form_3d_array",
    "check_form_2d_array",
    "check_form_at_predict",
    "check_padding_cut_off",
    "check_train_test_split",
    "check_cross_val_score",
    "check_cross_val_predict",
    "check_grid_search",
    "check_pipeline",
)
class ReadsListsOnly(SequenceRegressor):
    def _read(self, X, n_features=None):
        if not isinstance(X, list):
            raise TypeError("X must be a list.")
        return super()._read(X, n_features)


@fails("check_form_nested_lists")
class WantsArrays(SequenceRegressor):
    def _read(self, X, n_features=None):
        if any(isinstance(x, list) for x in X):
            raise TypeError("a sequence must be an array.")
        return super()._read(X, n_features)


@fails("check_form_one_variable")
class WantsTwoAxes(SequenceRegressor):
    def _read(self, X, n_features=None):
        if any(np.ndim(x) != 2 for x in X):
            raise ValueError("a sequence must have two axes.")
        return super()._read(X, n_features)


@fails("check_form_of_targets")
class WantsListsOfTargets(StepRegressor):
    def _rows(self, y, sequences):
        if not isinstance(y, list):
            raise TypeError("y must be a list.")
        return super()._rows(y, sequences)


@fails("check_steps_of_an_array", "check_steps_of_ragged")
class ReturnsLists(StepRegressor):
    def predict(self, X):
        return list(super().predict(X))


@fails("check_one_output_per_sequence")
class ReturnsAColumn(SequenceRegressor):
    def predict(self, X):
        return super().predict(X)[:, None]


@fails("check_dtype_of_predictions")
class ReturnsIntegers(SequenceRegressor):
    def predict(self, X):
        return super().predict(X).astype(int)


@fails("check_one_output_per_sequence")
class ReturnsBoxedLabels(SequenceClassifier):
    def predict(self, X):
        return super().predict(X).astype(object)


@fails("check_several_targets")
class TellsTheFirstTargetOnly(StepRegressor):
    def predict(self, X):
        sequences = self._read_again(X)
        return self._shape(self._scores(sequences)[:, 0], sequences)


@fails("check_n_features_in")
class CountsSequences(SequenceRegressor):
    def fit(self, X, y=None, sample_weight=None):
        super().fit(X, y, sample_weight)
        self.n_features_in_ = len(X)
        return self

    def _read_again(self, X):
        return self._read(X)


# independence


@fails("check_order_of_sequences")
class ForgetsToSortBack(SequenceRegressor):
    def predict(self, X):
        sequences = self._read_again(X)
        return super().predict(X)[np.argsort(sequences.lengths, kind="stable")]


@fails("check_alone_or_in_a_batch")
class StandardisesTheBatch(StepRegressor):
    def _features(self, sequences):
        features = super()._features(sequences)
        return features - features.mean(axis=0)


@fails("check_longer_neighbour")
class PadsWithZeros(SequenceRegressor):
    def _features(self, sequences):
        features = super()._features(sequences)
        return features * (sequences.lengths / sequences.lengths.max())[:, None]


@fails("check_no_knowledge_of_the_future")
class KnowsTheFuture(StepRegressor):
    def _means(self, x):
        return np.broadcast_to(x.mean(axis=0), x.shape)


# memory


@fails(
    "check_fortran_order",
    "check_negative_strides",
    "check_gaps_in_memory",
    "check_broadcast",
    "check_unaligned",
    "check_big_endian",
    "check_float16",
    "check_integers",
    "check_booleans",
    "check_read_only",
    "check_memory_map",
)
class WantsPlainMemory(SequenceRegressor):
    """As compiled code without const does that is called without a conversion."""

    def _read(self, X, n_features=None):
        for x in X:
            flags = x.flags
            plain = flags.c_contiguous and flags.aligned and flags.writeable
            if not plain or x.dtype.str not in ("<f8", "<f4"):
                raise ValueError("Buffer dtype mismatch, expected 'double'")
        return super()._read(X, n_features)


@fails("check_fortran_order")
class ReadsInTheOrderOfMemory(SequenceRegressor):
    def _read(self, X, n_features=None):
        return super()._read([x.ravel("K").reshape(x.shape) for x in X], n_features)


@fails("check_float32")
class ReturnsTooEarlyInFloat32(SequenceRegressor):
    def _means(self, x):
        return np.zeros_like(x) if x.dtype == np.float32 else super()._means(x)


@fails("check_inputs_unchanged", "check_read_only", "check_memory_map")
class WritesToX(SequenceRegressor):
    def _read(self, X, n_features=None):
        for x in X:
            x *= 2
        return super()._read(X, n_features)


@fails("check_inputs_unchanged")
class SortsY(SequenceRegressor):
    def fit(self, X, y=None, sample_weight=None):
        super().fit(X, y, sample_weight)
        if isinstance(y, np.ndarray):
            y.sort()
        return self


@fails("check_inputs_not_kept")
class LearnsAtPredict(SequenceRegressor):
    def fit(self, X, y=None, sample_weight=None):
        self.X_, self.y_ = X, y
        return super().fit(X, y, sample_weight)

    def predict(self, X):
        if hasattr(self, "X_"):
            super().fit(self.X_, self.y_)
        return super().predict(X)


# models


@fails("check_pickle", "check_deepcopy", "check_joblib_file")
class LosesItsCoefficients(SequenceRegressor):
    def __getstate__(self):
        state = super().__getstate__().copy()
        if "coef_" in state:
            state["coef_"] = np.zeros_like(state["coef_"])
        return state


@fails("check_deepcopy")
class SharesItsCoefficients(SequenceRegressor):
    def fit(self, X, y=None, sample_weight=None):
        before = getattr(self, "coef_", None)
        super().fit(X, y, sample_weight)
        if before is not None and before.shape == self.coef_.shape:
            before[...] = self.coef_
            self.coef_ = before
        return self

    def __deepcopy__(self, memo):
        return copy.copy(self)


@fails("check_clone")
class ClonesWhatItLearned(SequenceRegressor):
    def __sklearn_clone__(self):
        return copy.deepcopy(self)


@fails("check_fit_returns_self")
class ReturnsACopyOfItself(SequenceRegressor):
    def fit(self, X, y=None, sample_weight=None):
        return copy.copy(super().fit(X, y, sample_weight))


@fails("check_fit_twice", "check_global_random_state")
class ForgetsToSeed(SequenceRegressor):
    def _start(self, shape):
        return np.random.normal(size=shape)  # noqa: NPY002


@fails("check_fit_twice", "check_refit_forgets")
class GoesOnWhereItWas(SequenceRegressor):
    def _start(self, shape):
        return super()._start(shape) + np.mean(getattr(self, "coef_", 0.0))


@fails("check_parameters_unchanged")
class ChangesItsParameters(SequenceRegressor):
    def fit(self, X, y=None, sample_weight=None):
        super().fit(X, y, sample_weight)
        self.alpha = 2 * self.alpha
        return self


@fails("check_set_params")
class SetsAndReturnsNothing(SequenceRegressor):
    def set_params(self, **parameters):
        super().set_params(**parameters)


@fails("check_nothing_learned_before_fit", "check_not_fitted")
class HasCoefficientsFromTheStart(SequenceRegressor):
    def __init__(self, alpha=1.0, random_state=None):
        super().__init__(alpha, random_state)
        self.coef_ = None


@fails("check_predict_twice")
class DriftsWithEachQuestion(SequenceRegressor):
    def predict(self, X):
        told = super().predict(X)
        self.coef_ = self.coef_ + 1e-3
        return told


_COEFFICIENTS = {}


@fails("check_other_process")
class KeepsItsCoefficientsElsewhere(SequenceRegressor):
    def fit(self, X, y=None, sample_weight=None):
        super().fit(X, y, sample_weight)
        self.key_ = uuid.uuid4().hex
        _COEFFICIENTS[self.key_] = self.coef_
        return self

    def _scores(self, sequences):
        return self._features(sequences) @ _COEFFICIENTS[self.key_]


@fails("check_threads")
class SharesItsScratch(SequenceRegressor):
    def _scores(self, sequences):
        self._scratch = sequences
        time.sleep(0.001)  # while others write to it
        return super()._scores(self._scratch)


# what is bad


@fails(
    "check_no_sequences",
    "check_no_steps",
    "check_unequal_features",
    "check_nan",
    "check_infinity",
    "check_text",
    "check_masked_array",
    "check_sparse",
    "check_1d_array",
    "check_4d_array",
    "check_features_at_predict",
    "check_number_of_targets",
    "check_no_targets",
    "check_weights_all_zero",
    "check_weight_negative",
    "check_weight_nan",
    "check_number_of_weights",
)
class TakesAnything(SequenceRegressor):
    """Makes something of whatever is given, which nobody has asked for."""

    def _read(self, X, n_features=None):
        if hasattr(X, "toarray"):
            X = X.toarray()
        sequences = [self._number(x) for x in X] or [np.zeros((1, 2))]
        return super()._read(sequences)

    def _number(self, x):
        if hasattr(x, "toarray"):
            x = x.toarray()
        x = np.nan_to_num(np.array(x, dtype=float), posinf=0, neginf=0)
        x = x.reshape(-1, x.shape[-1]) if x.ndim else x.reshape(1, 1)
        return np.resize(x, (max(len(x), 1), 2))

    def _rows(self, y, sequences):
        return np.resize(0.0 if y is None else y, len(sequences))

    def _weigh(self, weight, sequences):
        weight = 1.0 if weight is None else np.abs(np.nan_to_num(weight, posinf=0)) + 1e-9
        return np.resize(weight, len(sequences))


@fails("check_steps_of_targets")
class StretchesTheTargets(StepRegressor):
    def _rows(self, y, sequences):
        if y is None or len(y) != len(sequences):
            return super()._rows(y, sequences)
        stretched = [np.resize(steps, T) for steps, T in zip(y, sequences.lengths, strict=True)]
        return super()._rows(stretched, sequences)


@fails("check_nan", "check_infinity", "check_unequal_features", "check_no_steps")
class TellsNothing(SequenceRegressor):
    def _read(self, X, n_features=None):
        try:
            return super()._read(X, n_features)
        except ValueError:
            raise ValueError("X is bad.") from None


@fails("check_nan", "check_no_sequences", "check_4d_array")
class StumblesInside(SequenceRegressor):
    def _read(self, X, n_features=None):
        try:
            return super()._read(X, n_features)
        except ValueError:
            raise IndexError("index 1 is out of bounds") from None


@fails("check_refused_fit")
class ForgetsBeforeItReads(SequenceRegressor):
    def fit(self, X, y=None, sample_weight=None):
        if hasattr(self, "coef_"):
            self.coef_[...] = 0
        return super().fit(X, y, sample_weight)


# weights


@fails("check_weight_zero", "check_weight_two", "check_weights_all_zero", "check_weight_negative")
class IgnoresWeights(SequenceRegressor):
    def _weigh(self, weight, sequences):
        return super()._weigh(None, sequences)


@fails("check_weights_of_one", "check_step_weights_of_one")
class HalvesWeights(StepRegressor):
    def _weigh(self, weight, sequences):
        return super()._weigh(weight, sequences) / (1 if weight is None else 2)


# classes


@fails("check_string_labels", "check_integer_labels")
class TellsCodes(SequenceClassifier):
    def _labels(self, sequences):
        return self._scores(sequences).argmax(axis=1)


@fails("check_two_classes")
class HasOneColumnForTwoClasses(StepClassifier):
    def _probabilities(self, sequences):
        probabilities = super()._probabilities(sequences)
        return probabilities[:, 1] if probabilities.shape[1] == 2 else probabilities


@fails("check_one_class")
class InventsASecondClass(SequenceClassifier):
    def _probabilities(self, sequences):
        probabilities = super()._probabilities(sequences)
        return np.hstack([probabilities, 0 * probabilities][: 3 - probabilities.shape[1]])


@fails("check_predict_is_argmax")
class TellsTheLeastProbable(StepClassifier):
    def _labels(self, sequences):
        return self.classes_[self._scores(sequences).argmin(axis=1)]


@fails("check_probabilities")
class ForgetsToDivide(StepClassifier):
    def _probabilities(self, sequences):
        return np.exp(self._scores(sequences))


@pytest.mark.parametrize(
    ("estimator", "name"),
    BROKEN,
    ids=[f"{type(estimator).__name__}-{name}" for estimator, name in BROKEN],
)
def test_what_is_broken_fails_the_check_of_its_claim(estimator, name):
    base = type(estimator).__bases__[0]
    dict(sequence_estimator_checks(base()))[name](base())
    check = getattr(testing, name)
    # RuntimeError: attributes that change while another thread lists them
    with pytest.raises((AssertionError, ValueError, TypeError, KeyError, RuntimeError)):
        check(type(estimator).__name__, estimator)


def test_every_check_can_fail():
    assert {name for _, name in BROKEN} == ALL_CHECKS


# ---- running them -------------------------------------------------------------------------------


def test_the_results_tell_each_check():
    estimator = ReturnsIntegers()
    results = check_sequence_estimator(estimator, on_fail=None)
    assert [result["check_name"] for result in results] == [
        name for name, _ in sequence_estimator_checks(estimator)
    ]
    assert all(result["estimator"] is estimator for result in results)
    failed = {result["check_name"]: result for result in results if result["status"] == "failed"}
    assert "check_dtype_of_predictions" in failed
    assert "expected floats" in str(failed["check_dtype_of_predictions"]["exception"])
    assert {result["exception"] for result in results if result["status"] == "passed"} == {None}


def test_the_first_failure_is_raised_unless_a_warning_is_asked_for():
    with pytest.raises(AssertionError, match=r"ReturnsIntegers\.predict gave int64"):
        check_sequence_estimator(ReturnsIntegers())
    with pytest.warns(EstimatorCheckFailedWarning, match="check_dtype_of_predictions"):
        check_sequence_estimator(ReturnsIntegers(), on_fail="warn")


def test_a_failure_that_was_expected_is_none():
    reason = {"check_no_knowledge_of_the_future": "reads a sequence as a whole"}
    results = check_sequence_estimator(KnowsTheFuture(), expected_failed_checks=reason)
    unusual = [result for result in results if result["status"] != "passed"]
    assert [(result["check_name"], result["status"]) for result in unusual] == [
        ("check_no_knowledge_of_the_future", "xfail")
    ]
    assert unusual[0]["expected_to_fail_reason"] == "reads a sequence as a whole"


def test_the_estimator_itself_is_neither_fitted_nor_set():
    estimator = RNNRegressor(8, random_state=3, max_iter=100)
    check_sequence_estimator(estimator)
    assert vars(estimator) == vars(RNNRegressor(8, random_state=3, max_iter=100))


def test_the_kind_of_targets_may_be_told():
    names = {name for name, _ in sequence_estimator_checks(StepRegressor(), targets="sequence")}
    assert "check_one_output_per_sequence" in names
    assert "check_steps_of_ragged" not in names


def test_checks_are_those_of_the_kind_of_estimator():
    regressor, classifier, transformer = (
        {name for name, _ in sequence_estimator_checks(estimator)}
        for estimator in (SequenceRegressor(), SequenceClassifier(), Centred())
    )
    assert "check_several_targets" in regressor - classifier - transformer
    assert "check_string_labels" in classifier - regressor - transformer
    assert "check_weight_zero" in (regressor & classifier) - transformer
    assert "check_form_ragged" in regressor & classifier & transformer


@pytest.mark.parametrize("run", [check_sequence_estimator, sequence_estimator_checks])
def test_a_class_is_refused_and_so_is_an_unknown_kind_of_targets(run):
    with pytest.raises(TypeError, match="RNNRegressor; expected an instance"):
        run(RNNRegressor)
    with pytest.raises(ValueError, match="targets='steps'; expected 'auto'"):
        run(RNNRegressor(), targets="steps")


def test_an_unknown_way_to_fail_is_refused():
    with pytest.raises(ValueError, match="on_fail='print'; expected 'raise'"):
        check_sequence_estimator(RNNRegressor(), on_fail="print")


def test_a_check_states_its_claim_in_one_line():
    claims = {name: getattr(testing, name).__doc__ for name in sorted(ALL_CHECKS)}
    assert {name: text for name, text in claims.items() if not re.fullmatch(r".+\.", text)} == {}
