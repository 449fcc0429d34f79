"""scikit-learn's checks and tools, on the estimators and on sequences of unequal lengths.

What `test_estimators.py` holds of splitters and searches is not held again here.
"""

from __future__ import annotations

from contextlib import suppress
from itertools import cycle
from unittest import SkipTest

import numpy as np
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    StackingClassifier,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.experimental import enable_halving_search_cv  # noqa: F401  (allows the next import)
from sklearn.feature_selection import RFE, SequentialFeatureSelector
from sklearn.frozen import FrozenEstimator
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, get_scorer, get_scorer_names, r2_score
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    HalvingGridSearchCV,
    KFold,
    RandomizedSearchCV,
    StratifiedKFold,
    TunedThresholdClassifierCV,
    cross_val_predict,
    cross_val_score,
    cross_validate,
    learning_curve,
    train_test_split,
    validation_curve,
)
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier
from sklearn.multioutput import (
    ClassifierChain,
    MultiOutputClassifier,
    MultiOutputRegressor,
    RegressorChain,
)
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import (
    check_estimator,
    estimator_checks_generator,
    parametrize_with_checks,
)

from cbptt import (
    PerTimestep,
    Ragged,
    RNNClassifier,
    RNNRegressor,
    RNNSequenceClassifier,
    RNNSequenceRegressor,
    make_sequence_scorer,
)
from cbptt.engine.engine import PRODUCTS

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning"  # a few epochs are enough for every claim
)

ESTIMATORS = (RNNClassifier, RNNRegressor, RNNSequenceClassifier, RNNSequenceRegressor)
PER_SEQUENCE = (RNNClassifier, RNNRegressor)
every_estimator = pytest.mark.parametrize("estimator", ESTIMATORS)

# ---- scikit-learn's checks ----------------------------------------------------------------------

# Epochs enough for what the checks ask to be learned, and few enough for what they ask to be the
# same within 1e-7: on the noise of check_sample_weight_equivalence_on_dense_data Adam makes more
# than that of a rounding of 1e-16 in some 80 epochs, and L-BFGS in some 25.
QUICK = {
    RNNClassifier: {"hidden_layer_sizes": 8, "learning_rate_init": 0.01, "max_iter": 20},
    RNNRegressor: {"hidden_layer_sizes": 32, "learning_rate_init": 0.003, "max_iter": 30},
    RNNSequenceClassifier: {"hidden_layer_sizes": 8, "learning_rate_init": 0.01, "max_iter": 20},
    RNNSequenceRegressor: {"hidden_layer_sizes": 32, "learning_rate_init": 0.003, "max_iter": 60},
}
VARIANTS = (
    {"dtype": "float64"},
    {"solver": "sgd", "learning_rate_init": 0.05},
    {"solver": "rmsprop"},
    {"solver": "adamw"},
    {"learning_rate": "cosine"},
    {"learn_initial_state": True},
    {"missing": "mask"},
)
POOLED = ({"pooling": "mean"}, {"pooling": "max"})


@parametrize_with_checks(
    [
        RNNClassifier(),
        RNNRegressor(),
        RNNSequenceClassifier(max_iter=50),
        RNNSequenceRegressor(max_iter=60),
    ]
)
def test_scikit_learns_checks_pass(estimator, check):
    check(estimator)


@pytest.mark.parametrize(
    "model",
    [
        *(
            cls(**QUICK[cls] | variant)
            for cls, variant in zip(cycle(ESTIMATORS), VARIANTS, strict=False)
        ),
        *(cls(**QUICK[cls] | variant) for cls, variant in zip(PER_SEQUENCE, POOLED, strict=True)),
        RNNClassifier(solver="lbfgs", max_iter=20),
        RNNSequenceRegressor(solver="lbfgs", max_iter=50, alpha=1.0),
    ],
    ids=lambda model: " ".join(repr(model).split()),
)
def test_scikit_learns_checks_pass_with_other_parameters(model):
    check_estimator(model, on_skip=None)


def checks_of(estimator):
    """Name and check, of every check that scikit-learn has for the estimator."""
    return [(check.func.__name__, check) for _, check in estimator_checks_generator(estimator)]


ASK_FOR_FLOAT64 = {
    "check_sample_weight_equivalence_on_dense_data": "two orders of a sum agree within 1e-7",
    "check_methods_subset_invariance": "predictions alone and in a batch agree within 1e-7",
    "check_regressor_multioutput": "predictions are float64, by name",
}
if PRODUCTS == "blas":  # whose sums may go another way for another place in the batch
    ASK_FOR_FLOAT64["check_methods_sample_order_invariance"] = "two orders agree within 1e-7"


@every_estimator
def test_scikit_learns_checks_pass_in_float32_but_those_that_ask_for_float64(estimator):
    model = estimator(**QUICK[estimator], dtype="float32")
    for name, check in checks_of(model):
        if name not in ASK_FOR_FLOAT64:
            with suppress(SkipTest):  # where SCIPY_ARRAY_API is not set, for instance
                check(model)


def test_what_is_left_out_in_float32_are_checks_that_there_are():
    assert ASK_FOR_FLOAT64.keys() <= {name for name, _ in checks_of(RNNRegressor())}


@pytest.mark.parametrize(
    ("estimator", "mlp", "n_checks"),
    [
        (RNNClassifier, MLPClassifier, 73),
        (RNNRegressor, MLPRegressor, 66),
        (RNNSequenceClassifier, MLPClassifier, 69),
        (RNNSequenceRegressor, MLPRegressor, 65),
    ],
)
def test_no_tag_silences_a_check(estimator, mlp, n_checks):
    checks = checks_of(estimator())
    if hasattr(estimator, "set_callbacks"):  # scikit-learn 1.9, of which the number is, or newer
        assert len(checks) >= n_checks
    missing = {name for name, _ in checks_of(mlp())} - {name for name, _ in checks}
    missing -= {"check_sample_weight_equivalence_on_sparse_data"}  # X is never sparse
    if estimator is RNNSequenceClassifier:  # of a table of labels, each column is a step
        missing = {name for name in missing if "multilabel" not in name}
    assert missing == set()


@every_estimator
@pytest.mark.parametrize("missing", ["error", "mask"])
def test_the_tags_say_what_is_taken(estimator, missing):
    tags = get_tags(estimator(missing=missing))
    assert (tags.input_tags.two_d_array, tags.input_tags.three_d_array) == (True, True)
    assert not tags.input_tags.sparse
    assert tags.input_tags.allow_nan == (missing == "mask")
    assert not tags.non_deterministic
    assert not tags.no_validation
    assert not tags._skip_test
    assert tags.target_tags.required
    assert tags.target_tags.multi_output == (estimator is RNNRegressor)
    if tags.classifier_tags is not None:
        assert tags.classifier_tags.multi_class
        assert tags.classifier_tags.multi_label == (estimator is RNNClassifier)
        assert not tags.classifier_tags.poor_score
    else:
        assert not tags.regressor_tags.poor_score


@pytest.mark.parametrize("dtype", ["auto", "float32", "float64"])
def test_the_tags_say_which_precision_is_preserved(dtype):
    preserved = get_tags(RNNClassifier(dtype=dtype)).transformer_tags.preserves_dtype
    assert preserved == (["float64", "float32"] if dtype == "auto" else [dtype])


# ---- sequences, and models that are quick -------------------------------------------------------

LENGTHS = (3, 5, 2, 4, 6, 3, 4, 5, 2, 3, 4, 5)
N = len(LENGTHS)


def make_sequences():
    """Twelve sequences of two variables, every other one of which begins high."""
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(T, 2)) for T in LENGTHS]
    for i, x in enumerate(X):
        x[0, 0] = (-1) ** i * 2
    return X


def boxed(items):
    """1-D object array of the items."""
    array = np.empty(len(items), dtype=object)
    for i, item in enumerate(items):
        array[i] = item
    return array


X_LIST = make_sequences()
X_RAGGED = Ragged.from_sequences(X_LIST)
FIRST_TWO = np.array([x[:2, 0] for x in X_LIST])  # (12, 2)
Y = np.array(["high", "low"] * 6)
Y3 = np.array(["a", "b", "c"] * 4)
Y_TWICE = np.column_stack([Y == "high", Y3 == "a"]).astype(int)
NUMBERS = np.array([x[:, 0].sum() for x in X_LIST])
STEPS = [np.cumsum(x[:, 0]) for x in X_LIST]
STEP_LABELS = [steps > 0 for steps in STEPS]

every_form = pytest.mark.parametrize("X", [X_LIST, X_RAGGED], ids=["list", "Ragged"])


def small(estimator, **parameters):
    """A model that learns in five epochs which sequences begin high."""
    return estimator(
        **{"hidden_layer_sizes": 4, "learning_rate_init": 0.1, "max_iter": 5, "random_state": 0}
        | parameters
    )


def classifier(**parameters):
    return small(RNNClassifier, **parameters)


def regressor(**parameters):
    return small(RNNRegressor, **parameters)


def targets_for(estimator):
    return {
        RNNClassifier: Y,
        RNNRegressor: NUMBERS,
        RNNSequenceClassifier: STEP_LABELS,
        RNNSequenceRegressor: STEPS,
    }[estimator]


def pick(items, index):
    """Some of the items of a list."""
    return [items[i] for i in index]


def flat(predictions):
    """Predictions for steps, one after the other; those for sequences as they are."""
    return np.concatenate(list(predictions)) if predictions[0].ndim else np.asarray(predictions)


# ---- splitters and searches ---------------------------------------------------------------------


@every_form
def test_a_stratified_split_shares_out_the_classes(X):
    X_train, X_test, y_train, y_test = train_test_split(
        X, Y, test_size=4, stratify=Y, random_state=0
    )
    assert sorted(y_test) == ["high", "high", "low", "low"]
    assert type(X_train) is type(X_test) is type(X)
    assert [x[0, 0] > 0 for x in X_train] == [label == "high" for label in y_train]
    assert [x[0, 0] > 0 for x in X_test] == [label == "high" for label in y_test]


@every_form
def test_groups_are_kept_together_by_the_splitters(X):
    folds = GroupKFold(3)
    groups = np.repeat(np.arange(6), 2)
    scores = cross_val_score(classifier(), X, Y, groups=groups, cv=folds)
    for score, (train, test) in zip(scores, folds.split(X, Y, groups), strict=True):
        model = classifier().fit(pick(X_LIST, train), Y[train])
        assert score == model.score(pick(X_LIST, test), Y[test])


@every_form
def test_the_metrics_of_scikit_learn_score_classes_of_sequences(X):
    metrics = ["accuracy", "f1_macro", "neg_log_loss", "roc_auc"]
    scores = cross_validate(classifier(max_iter=30), X, Y, cv=2, scoring=metrics)
    assert scores["test_accuracy"].min() == scores["test_f1_macro"].min() == 1
    assert scores["test_roc_auc"].min() == 1
    assert scores["test_neg_log_loss"].max() < 0


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")  # of metrics
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "make_y",
    [
        lambda noisy: noisy[:, 0] > 0,
        lambda noisy: noisy[:, :3].argmax(axis=1),
        lambda noisy: 1 * (noisy[:, :2] > 0),
        lambda noisy: 1 * (noisy[:, :3] > 0),
    ],
    ids=["two classes", "three classes", "two labels at once", "three labels at once"],
)
def test_the_scorers_of_scikit_learn_are_their_metrics_of_our_predictions(make_y, dtype):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 5))
    y = make_y(X + rng.normal(size=X.shape))
    model = small(RNNClassifier, dtype=dtype).fit(X, y)
    n_compared = 0
    for name in get_scorer_names():
        scorer = get_scorer(name)
        methods = scorer._response_method
        method = next(
            (m for m in ([methods] if isinstance(methods, str) else methods) if hasattr(model, m)),
            "predict",
        )
        predicted = getattr(model, method)(X)
        if method == "predict_proba" and y.ndim == 1 and predicted.shape[1] == 2:
            predicted = predicted[:, 1]
        try:
            expected = scorer._sign * scorer._score_func(y, predicted, **scorer._kwargs)
        except (ValueError, TypeError):  # a metric of something else
            continue
        assert scorer(model, X, y) == pytest.approx(expected, rel=1e-12, nan_ok=True), name
        n_compared += 1
    assert n_compared > 15


@every_form
def test_probabilities_of_ragged_steps_are_refused_by_cross_val_predict(X):
    """It numbers the classes of y itself, and does not look for them in arrays of steps."""
    model = small(RNNSequenceClassifier)
    for y in (STEP_LABELS, boxed(STEP_LABELS)):
        with pytest.raises((TypeError, ValueError), match=r"uniformly|inhomogeneous"):
            cross_val_predict(model, X, y, cv=2, method="predict_proba")
    told = cross_val_predict(model, X, STEP_LABELS, cv=2)
    assert [len(steps) for steps in told] == list(LENGTHS)


@every_estimator
@every_form
@pytest.mark.parametrize("search", [GridSearchCV, RandomizedSearchCV])
def test_a_search_in_processes_finds_what_one_in_this_process_finds(estimator, X, search):
    options = {"cv": KFold(2)} | ({"n_iter": 2} if search is RandomizedSearchCV else {})
    values = {"learning_rate_init": [1e-300, 0.1]}
    y = targets_for(estimator)
    here = search(small(estimator), values, **options).fit(X, y)
    there = search(small(estimator), values, **options, n_jobs=2).fit(X, y)
    for name in ("split0_test_score", "split1_test_score"):
        assert_array_equal(there.cv_results_[name], here.cv_results_[name])
    assert_array_equal(flat(there.predict(X)), flat(here.predict(X)))


@every_estimator
@every_form
def test_a_halving_search_may_spend_epochs(estimator, X):
    search = HalvingGridSearchCV(
        small(estimator),
        {"learning_rate_init": [1e-300, 1e-200, 0.1]},
        resource="max_iter",
        max_resources=18,
        min_resources=6,
        cv=2,
    )
    search.fit(X, targets_for(estimator))
    assert search.best_params_ == {"learning_rate_init": 0.1, "max_iter": 18}
    assert search.n_resources_ == [6, 18]


@every_form
def test_a_halving_search_may_spend_sequences(X):
    grid = {"learning_rate_init": [1e-300, 0.1]}
    folds = StratifiedKFold(2)
    search = HalvingGridSearchCV(
        classifier(), grid, min_resources=6, factor=2, cv=folds, random_state=0
    )
    search.fit(X, Y)
    assert search.best_params_ == {"learning_rate_init": 0.1}
    assert search.n_resources_ == [6, 12]


@every_estimator
@every_form
def test_a_learning_curve_is_the_score_of_the_first_sequences(estimator, X):
    y = targets_for(estimator)
    folds = KFold(2)
    sizes, train_scores, test_scores = learning_curve(
        small(estimator), X, y, cv=folds, train_sizes=[3, 6]
    )
    assert list(sizes) == [3, 6]
    for fold, (train, test) in enumerate(folds.split(X_LIST)):
        for i, size in enumerate(sizes):
            first = train[:size]
            model = small(estimator).fit(pick(X_LIST, first), pick(y, first))
            assert train_scores[i, fold] == model.score(pick(X_LIST, first), pick(y, first))
            assert test_scores[i, fold] == model.score(pick(X_LIST, test), pick(y, test))


@every_form
def test_a_learning_curve_may_go_on_from_the_sequences_before(X):
    folds = KFold(2)
    _, _, test_scores = learning_curve(
        classifier(), X, Y, cv=folds, train_sizes=[3, 6], exploit_incremental_learning=True
    )
    for fold, (train, test) in enumerate(folds.split(X_LIST)):
        model = classifier()
        for i, part in enumerate((train[:3], train[3:])):
            model.partial_fit(pick(X_LIST, part), Y[part], classes=["high", "low"])
            assert test_scores[i, fold] == model.score(pick(X_LIST, test), Y[test])


@every_estimator
@every_form
def test_a_validation_curve_is_the_score_of_each_value(estimator, X):
    y = targets_for(estimator)
    _, test_scores = validation_curve(
        small(estimator), X, y, param_name="max_iter", param_range=[1, 4], cv=KFold(2)
    )
    for scores, max_iter in zip(test_scores, [1, 4], strict=True):
        model = small(estimator, max_iter=max_iter)
        assert_array_equal(scores, cross_val_score(model, X_LIST, y, cv=KFold(2)))


# ---- models of models ---------------------------------------------------------------------------


@every_form
def test_states_of_a_classifier_are_features_for_the_next_model(X):
    pipeline = make_pipeline(classifier(), LogisticRegression()).fit(X, Y)
    states = classifier().fit(X_LIST, Y).transform(X_LIST)
    assert_array_equal(pipeline.predict(X), LogisticRegression().fit(states, Y).predict(states))
    two = make_union(classifier(), classifier(random_state=1)).fit(X, Y)
    assert_array_equal(two.transform(X)[:, :4], states)


@every_form
def test_transformed_targets_are_told_in_their_own_unit(X):
    model = TransformedTargetRegressor(regressor(), transformer=StandardScaler()).fit(X, NUMBERS)
    mean, scale = NUMBERS.mean(), NUMBERS.std()
    inner = regressor().fit(X_LIST, (NUMBERS - mean) / scale)
    assert_allclose(model.predict(X), inner.predict(X_LIST) * scale + mean, rtol=1e-12)


@every_form
def test_transformed_targets_of_ragged_steps_are_refused(X):
    model = TransformedTargetRegressor(
        small(RNNSequenceRegressor), func=np.negative, inverse_func=np.negative, check_inverse=False
    )
    with pytest.raises(ValueError, match="setting an array element with a sequence"):
        model.fit(X, STEPS)
    equal = np.cumsum(FIRST_TWO, axis=1)
    told = small(RNNSequenceRegressor).fit(FIRST_TWO, -equal).predict(FIRST_TWO)
    assert_array_equal(model.fit(FIRST_TWO, equal).predict(FIRST_TWO), -told)


MEMBERS = [
    ("adam", classifier()),
    ("sgd", classifier(solver="sgd")),
    ("short", classifier(max_iter=1)),
]


@every_form
def test_a_soft_vote_is_the_mean_of_the_probabilities(X):
    vote = VotingClassifier(MEMBERS, voting="soft").fit(X, Y)
    alone = [clone(member).fit(X_LIST, Y).predict_proba(X_LIST) for _, member in MEMBERS]
    assert_allclose(vote.predict_proba(X), np.mean(alone, axis=0), rtol=1e-15)


@every_form
def test_a_hard_vote_is_that_of_the_majority(X):
    vote = VotingClassifier(MEMBERS).fit(X, Y)
    high = [clone(member).fit(X_LIST, Y).predict(X_LIST) == "high" for _, member in MEMBERS]
    assert_array_equal(vote.predict(X) == "high", np.sum(high, axis=0) >= 2)


@every_form
def test_a_vote_over_numbers_is_their_mean(X):
    members = [("a", regressor()), ("b", regressor(random_state=1))]
    told = VotingRegressor(members).fit(X, NUMBERS).predict(X)
    alone = [member.fit(X_LIST, NUMBERS).predict(X_LIST) for _, member in members]
    assert_allclose(told, np.mean(alone, axis=0), rtol=1e-15)


@every_form
def test_a_stack_learns_from_the_predictions_of_folds(X):
    folds = KFold(2)
    stack = StackingClassifier(MEMBERS, LogisticRegression(), cv=folds).fit(X, Y)
    ahead = [
        cross_val_predict(clone(member), X_LIST, Y, cv=folds, method="predict_proba")[:, 1]
        for _, member in MEMBERS
    ]
    final = LogisticRegression().fit(np.column_stack(ahead), Y)
    assert_allclose(stack.final_estimator_.coef_, final.coef_, rtol=1e-10)
    assert_allclose(stack.predict_proba(X), final.predict_proba(stack.transform(X)), rtol=1e-10)


@every_form
def test_calibration_fits_a_model_for_each_fold(X):
    folds = StratifiedKFold(2)
    model = CalibratedClassifierCV(classifier(), cv=folds).fit(X, Y)
    for member, (train, _) in zip(model.calibrated_classifiers_, folds.split(Y, Y), strict=True):
        alone = classifier().fit(pick(X_LIST, train), Y[train])
        assert_array_equal(member.estimator.predict_proba(X), alone.predict_proba(X_LIST))
    assert_allclose(model.predict_proba(X).sum(axis=1), 1)


@every_form
def test_calibration_of_a_fitted_model_keeps_its_order(X):
    fitted = classifier(max_iter=30).fit(X, Y)
    model = CalibratedClassifierCV(FrozenEstimator(fitted)).fit(X, Y)
    assert_array_equal(
        np.argsort(model.predict_proba(X)[:, 1]), np.argsort(fitted.predict_proba(X)[:, 1])
    )


@every_form
def test_a_threshold_may_be_tuned(X):
    model = TunedThresholdClassifierCV(classifier(max_iter=30), cv=2).fit(X, Y)
    high = model.estimator_.predict_proba(X_LIST)[:, 1] < model.best_threshold_
    assert_array_equal(model.predict(X) == "high", high)


@every_form
def test_one_against_the_rest_fits_a_model_for_each_class(X):
    model = OneVsRestClassifier(classifier()).fit(X, Y3)
    alone = [
        classifier().fit(X_LIST, np.equal(Y3, label).astype(int)).predict_proba(X_LIST)[:, 1]
        for label in "abc"
    ]
    assert_allclose(model.predict_proba(X), (alone / np.sum(alone, axis=0)).T, rtol=1e-12)


@every_form
def test_several_targets_may_have_a_model_each(X):
    labels = MultiOutputClassifier(classifier()).fit(X, Y_TWICE).predict(X)
    numbers = MultiOutputRegressor(regressor()).fit(X, np.column_stack([NUMBERS, -NUMBERS]))
    assert_array_equal(labels[:, 1], classifier().fit(X_LIST, Y_TWICE[:, 1]).predict(X_LIST))
    assert_array_equal(numbers.predict(X)[:, 1], regressor().fit(X_LIST, -NUMBERS).predict(X_LIST))


# ---- what reads a table, and no sequences -------------------------------------------------------

HALF_LABELLED = np.where(np.arange(N) < 6, np.arange(N) % 2, -1)
OF_TABLES = {
    "OneVsOneClassifier": (OneVsOneClassifier(classifier()), Y3),
    "BaggingClassifier": (BaggingClassifier(classifier(), 2), Y),
    "AdaBoostClassifier": (AdaBoostClassifier(classifier(), n_estimators=2), Y),
    "SelfTrainingClassifier": (SelfTrainingClassifier(classifier()), HALF_LABELLED),
    "ClassifierChain": (ClassifierChain(classifier()), Y_TWICE),
    "RegressorChain": (RegressorChain(regressor()), np.column_stack([NUMBERS, -NUMBERS])),
    "StackingClassifier": (StackingClassifier(MEMBERS, cv=2, passthrough=True), Y),
    "RFE": (RFE(classifier(), importance_getter=lambda model: abs(model.coefs_[0][:, 0])), Y),
    "SequentialFeatureSelector": (SequentialFeatureSelector(classifier(), cv=2), Y),
}
of_tables = pytest.mark.parametrize(("model", "y"), OF_TABLES.values(), ids=OF_TABLES.keys())


@of_tables
@every_form
def test_tools_that_handle_columns_refuse_sequences(model, y, X):
    with pytest.raises(ValueError, match=r"setting an array element|Expected 2D|same number of di"):
        clone(model).fit(X, y)


@of_tables
def test_tools_that_handle_columns_take_equal_lengths_as_a_table(model, y):
    fitted = clone(model).fit(FIRST_TWO, y)
    if hasattr(fitted, "get_support"):
        assert fitted.get_support().sum() == 1
    else:
        assert len(fitted.predict(FIRST_TWO)) == N


def sequences_at(numbers, X):
    """The sequences of the given numbers, a column of them."""
    return X[np.ravel(numbers).astype(int)]


@pytest.mark.parametrize(
    ("wrap", "y"),
    [
        (lambda model: OneVsOneClassifier(model), Y3),
        (lambda model: BaggingClassifier(model, 3, random_state=0), Y),
        (lambda model: SelfTrainingClassifier(model), HALF_LABELLED),
    ],
    ids=["OneVsOneClassifier", "BaggingClassifier", "SelfTrainingClassifier"],
)
def test_tools_that_handle_rows_may_be_given_the_numbers_of_sequences(wrap, y):
    numbers = np.arange(N)[:, None]
    look_up = FunctionTransformer(sequences_at, kw_args={"X": X_RAGGED})
    model = wrap(make_pipeline(look_up, classifier(max_iter=30))).fit(numbers, y)
    assert len(model.predict(numbers)) == N
    if y is Y:
        assert model.score(numbers, Y) == 1


def test_the_importance_of_a_step_is_that_of_its_column():
    model = classifier(max_iter=30).fit(FIRST_TWO, Y)
    found = permutation_importance(model, FIRST_TWO, Y, n_repeats=5, random_state=0)
    assert found.importances_mean[0] > 0.2
    assert found.importances_mean[0] > 2 * found.importances_mean[1]


@pytest.mark.parametrize("X", [X_LIST, X_RAGGED, FIRST_TWO[:, :, None]])
def test_permutation_importance_is_for_tables(X):
    model = classifier().fit(X, Y)
    with pytest.raises(ValueError, match=r"array element|Expected 2D|dim 3"):
        permutation_importance(model, X, Y)


# ---- frames -------------------------------------------------------------------------------------

every_library = pytest.mark.parametrize("library", ["pandas", "polars"])


SKLEARN = tuple(int(part) for part in sklearn.__version__.split(".")[:2])


def frame_of(library, values, names):
    if library == "polars" and SKLEARN < (1, 9):
        pytest.skip("scikit-learn reads the names of polars' columns from 1.9 on")
    return pytest.importorskip(library).DataFrame(dict(zip(names, values.T, strict=True)))


@every_estimator
@every_library
def test_names_of_columns_are_learned_and_asked_for_again(estimator, library):
    X = frame_of(library, FIRST_TWO, ["first", "second"])
    y = targets_for(estimator)
    if estimator not in PER_SEQUENCE:
        y = np.array([steps[:2] for steps in y])
    model = small(estimator).fit(X, y)
    assert_array_equal(model.feature_names_in_, ["first", "second"])
    assert_array_equal(model.predict(X), small(estimator).fit(FIRST_TWO, y).predict(FIRST_TWO))
    with pytest.raises(ValueError, match="unseen at fit time:\n- third"):
        model.predict(frame_of(library, FIRST_TWO, ["first", "third"]))
    with pytest.raises(ValueError, match="must be in the same order"):
        model.predict(frame_of(library, FIRST_TWO[:, ::-1], ["second", "first"]))
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        model.predict(FIRST_TWO)


def test_names_of_columns_are_forgotten_by_the_next_fit():
    model = classifier().fit(frame_of("pandas", FIRST_TWO, ["first", "second"]), Y)
    assert not hasattr(model.fit(X_LIST, Y), "feature_names_in_")


@every_library
def test_frames_go_through_searches(library):
    X = frame_of(library, FIRST_TWO, ["first", "second"])
    search = GridSearchCV(classifier(), {"learning_rate_init": [1e-300, 0.1]}, cv=2).fit(X, Y)
    assert search.best_params_ == {"learning_rate_init": 0.1}
    assert_array_equal(search.feature_names_in_, ["first", "second"])


@pytest.mark.parametrize("estimator", PER_SEQUENCE)
@every_library
@every_form
def test_states_are_a_frame_where_that_is_asked_for(estimator, library, X):
    expected = small(estimator).fit(X_LIST, targets_for(estimator)).transform(X_LIST)
    frame_type = pytest.importorskip(library).DataFrame
    model = small(estimator).set_output(transform=library)
    states = model.fit(X, targets_for(estimator)).transform(X)
    assert type(states) is frame_type
    assert list(states.columns) == [f"{estimator.__name__.lower()}{i}" for i in range(4)]
    assert list(states.columns) == list(model.get_feature_names_out())
    assert_array_equal(states.to_numpy(), expected)
    again = small(estimator).set_output(transform=library).fit_transform(X, targets_for(estimator))
    assert_array_equal(again.to_numpy(), expected)


def test_states_of_a_frame_keep_its_index():
    X = frame_of("pandas", FIRST_TWO, ["first", "second"]).set_index(np.arange(N) + 100)
    states = classifier().set_output(transform="pandas").fit(X, Y).transform(X)
    assert list(states.index) == list(X.index)


@pytest.mark.parametrize("estimator", [RNNSequenceClassifier, RNNSequenceRegressor])
def test_states_of_steps_are_never_a_frame(estimator):
    assert not hasattr(estimator(), "set_output")
    with sklearn.config_context(transform_output="pandas"):
        states = small(estimator).fit(X_LIST, targets_for(estimator)).transform(X_LIST)
    assert [h.shape for h in states] == [(T, 4) for T in LENGTHS]


# ---- metadata routing ---------------------------------------------------------------------------

WEIGHTS = np.arange(N) % 3 + 0.5
WEIGHTS_OF_STEPS = [np.arange(T) % 3 + 0.5 for T in LENGTHS]
WEIGHTED = [
    (RNNClassifier, WEIGHTS),
    (RNNRegressor, WEIGHTS),
    (RNNSequenceClassifier, WEIGHTS_OF_STEPS),
    (RNNSequenceRegressor, WEIGHTS_OF_STEPS),
]


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


@pytest.mark.usefixtures("routing")
@pytest.mark.parametrize(("estimator", "weights"), WEIGHTED)
@every_form
def test_weights_are_routed_through_a_pipeline(estimator, weights, X):
    y = targets_for(estimator)
    scaler = PerTimestep(StandardScaler().set_fit_request(sample_weight=False))
    asks = small(estimator).set_fit_request(sample_weight=True)
    pipeline = make_pipeline(scaler, asks).fit(X, y, sample_weight=weights)
    scaled = scaler.fit(X).transform(X)
    alone = small(estimator).fit(scaled, y, sample_weight=weights)
    assert_array_equal(pipeline[-1].network_.theta, alone.network_.theta)
    assert (alone.network_.theta != small(estimator).fit(scaled, y).network_.theta).any()


@pytest.mark.usefixtures("routing")
@pytest.mark.parametrize(("estimator", "weights"), WEIGHTED)
@every_form
def test_weights_are_routed_through_a_grid_search_and_cut_with_the_folds(estimator, weights, X):
    y = targets_for(estimator)
    folds = KFold(2)
    asks = (
        small(estimator).set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
    )
    search = GridSearchCV(asks, {"max_iter": [4]}, cv=folds).fit(X, y, sample_weight=weights)
    for fold, (train, test) in enumerate(folds.split(X_LIST)):
        part, aside = (
            [pick(items, index) for items in (X_LIST, y, weights)] for index in (train, test)
        )
        model = small(estimator, max_iter=4).fit(*part)
        assert search.cv_results_[f"split{fold}_test_score"][0] == model.score(*aside)


@pytest.mark.usefixtures("routing")
@every_estimator
def test_weights_that_nobody_has_asked_for_are_refused(estimator):
    search = GridSearchCV(small(estimator), {"max_iter": [4]}, cv=2)
    with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
        search.fit(X_LIST, targets_for(estimator), sample_weight=WEIGHTS)


def test_a_pipeline_hands_weights_on_by_the_name_of_its_step():
    pipeline = make_pipeline(PerTimestep(StandardScaler()), classifier())
    pipeline.fit(X_LIST, Y, rnnclassifier__sample_weight=WEIGHTS)
    alone = classifier().fit(pipeline[0].transform(X_LIST), Y, WEIGHTS)
    assert_array_equal(pipeline[-1].network_.theta, alone.network_.theta)


# ---- callbacks ----------------------------------------------------------------------------------

with_callbacks = pytest.mark.skipif(
    not hasattr(RNNClassifier, "set_callbacks"), reason="scikit-learn has callbacks from 1.9 on"
)
METRICS = {
    RNNClassifier: accuracy_score,
    RNNRegressor: r2_score,
    RNNSequenceClassifier: accuracy_score,
    RNNSequenceRegressor: r2_score,
}


def scoring_for(estimator):
    if estimator in PER_SEQUENCE:
        return {RNNClassifier: "accuracy", RNNRegressor: "r2"}[estimator]
    return {"score": make_sequence_scorer(METRICS[estimator])}


class StopAfter:
    """A callback that asks to stop after some epochs, and takes down what it is told."""

    def __init__(self, n_epochs):
        self.n_epochs = n_epochs
        self.told = []

    def setup(self, estimator, context):
        self.told.append("setup")

    def on_fit_task_begin(self, estimator, context):
        self.told.append(f"begin {context.task_name}")

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        self.told.append(f"end {context.task_name}")
        return context.task_name == "epoch" and context.task_id + 1 == self.n_epochs

    def teardown(self, estimator, context):
        self.told.append("teardown")


@with_callbacks
@every_estimator
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_monitor_logs_the_score_of_every_epoch(estimator, solver):
    from sklearn.callback import ScoringMonitor

    y = targets_for(estimator)
    monitor = ScoringMonitor(scoring=scoring_for(estimator))
    model = small(estimator, solver=solver).set_callbacks(monitor).fit(X_RAGGED, y)
    name = scoring_for(estimator) if estimator in PER_SEQUENCE else "score"
    epochs = [row[name] for row in monitor.get_logs().data if row["task_name"] == "epoch"]
    assert len(epochs) == model.n_iter_ == 5
    for n_epochs, score in enumerate(epochs, start=1):
        alone = small(estimator, solver=solver, max_iter=n_epochs).fit(X_LIST, y)
        assert score == alone.score(X_LIST, y)
    assert epochs[-1] == model.score(X_LIST, y)


@with_callbacks
def test_a_monitor_scores_with_the_weights_of_fit():
    from sklearn.callback import ScoringMonitor

    monitor = ScoringMonitor(scoring="accuracy")
    model = classifier(max_iter=2).set_callbacks(monitor).fit(X_LIST, Y3, WEIGHTS)
    (row,) = [row for row in monitor.get_logs().data if row["task_name"] == "fit"]
    assert row["accuracy"] == model.score(X_LIST, Y3, WEIGHTS)
    assert row["accuracy"] != model.score(X_LIST, Y3)


@with_callbacks
@every_estimator
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_callback_may_stop_training(estimator, solver):
    y = targets_for(estimator)
    callback = StopAfter(2)
    model = small(estimator, solver=solver).set_callbacks(callback).fit(X_LIST, y)
    assert model.n_iter_ == len(model.loss_curve_) == 2
    assert callback.told == [
        *["setup", "begin fit"],
        *["begin epoch", "end epoch"] * 2,
        *["end fit", "teardown"],
    ]
    alone = small(estimator, solver=solver, max_iter=2).fit(X_LIST, y)
    assert_array_equal(model.network_.theta, alone.network_.theta)


@with_callbacks
@every_estimator
def test_callbacks_change_nothing_that_is_learned(estimator):
    y = targets_for(estimator)
    watched = small(estimator).set_callbacks(StopAfter(100)).fit(X_LIST, y)
    assert_array_equal(watched.network_.theta, small(estimator).fit(X_LIST, y).network_.theta)


@with_callbacks
def test_an_error_of_a_callback_leaves_nothing_fitted_and_nothing_open():
    class Fails(StopAfter):
        def on_fit_task_end(self, estimator, context):
            raise RuntimeError("told")

    callback = Fails(1)
    model = classifier().set_callbacks(callback)
    with pytest.raises(RuntimeError, match="told"):
        model.fit(X_LIST, Y)
    assert callback.told == ["setup", "begin fit", "begin epoch", "teardown"]
    assert not hasattr(model, "network_")


@with_callbacks
def test_a_progress_bar_shows_the_fit(capsys):
    pytest.importorskip("rich", reason="scikit-learn's progress bar is drawn by rich")
    from sklearn.callback import ProgressBar

    classifier().set_callbacks(ProgressBar()).fit(X_LIST, Y)
    assert "RNNClassifier - fit" in capsys.readouterr().out
