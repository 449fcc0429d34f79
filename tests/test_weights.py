"""The laws of sample_weight, for all four estimators on sequences of unequal lengths.

`test_network.py` holds them of the loss and its gradient; here a whole fit obeys them.
"""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import accuracy_score, r2_score

from cbptt import (
    Ragged,
    RNNClassifier,
    RNNRegressor,
    RNNSequenceClassifier,
    RNNSequenceRegressor,
)
from cbptt.network import RNN

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning"  # a few epochs are enough for every claim
)

ESTIMATORS = (RNNClassifier, RNNRegressor, RNNSequenceClassifier, RNNSequenceRegressor)
PER_SEQUENCE = (RNNClassifier, RNNRegressor)
PER_STEP = (RNNSequenceClassifier, RNNSequenceRegressor)
CLASSIFIERS = (RNNClassifier, RNNSequenceClassifier)

every_estimator = pytest.mark.parametrize("estimator", ESTIMATORS)
every_step_estimator = pytest.mark.parametrize("estimator", PER_STEP)
every_classifier = pytest.mark.parametrize("estimator", CLASSIFIERS)

# All sequences at once, in their order: what is summed up differs by rounding and nothing else.
AT_ONCE = {"batch_size": 100, "shuffle": False}
LBFGS = {"solver": "lbfgs", "max_iter": 12}  # few enough not to make much of a rounding
MINI_BATCHES = {"batch_size": 2, "shuffle": True}
every_descent = pytest.mark.parametrize("how", [AT_ONCE, LBFGS], ids=["adam", "lbfgs"])
every_training = pytest.mark.parametrize(
    "how",
    [AT_ONCE, LBFGS, MINI_BATCHES, MINI_BATCHES | {"solver": "sgd", "dropout": 0.2}],
    ids=["adam", "lbfgs", "mini-batches", "sgd with dropout"],
)

LENGTHS = (3, 5, 1, 4, 2, 6)
N = len(LENGTHS)
rng = np.random.default_rng(0)
X = [rng.normal(size=(T, 2)) for T in LENGTHS]
STEPS = [np.cumsum(x[:, 0]) for x in X]
TARGETS = {
    RNNClassifier: np.array([0, 1, 2, 1, 0, 1]),
    RNNRegressor: np.array([x.sum() for x in X]),
    RNNSequenceClassifier: [np.digitize(steps, [-0.5, 0.5]) for steps in STEPS],
    RNNSequenceRegressor: STEPS,
}
WEIGHTS = np.array([1.0, 2.0, 0.5, 3.0, 1.5, 0.25])
WEIGHTS_OF_STEPS = [rng.uniform(0.5, 2, size=T) for T in LENGTHS]


def fitted(estimator, X, y, sample_weight=None, **parameters):
    """A small model after 20 epochs."""
    quick = {"learning_rate_init": 0.01, "max_iter": 20, "tol": 0.0, "random_state": 0}
    model = estimator(3, **quick | parameters)
    return model.fit(X, y, sample_weight)


def pick(items, index):
    return [items[i] for i in index]


def assert_same_bits(actual, expected):
    """All that is learned is the same."""
    names = {name for name in vars(expected) if name.endswith("_")} - {"network_"}
    assert {name for name in vars(actual) if name.endswith("_")} - {"network_"} == names
    for name in names:
        assert_array_equal(getattr(actual, name), getattr(expected, name), err_msg=name)
    assert_array_equal(actual.network_.theta, expected.network_.theta, strict=True)


def assert_close(actual, expected):
    """The weights and the losses are the same up to rounding."""
    assert_allclose(actual.network_.theta, expected.network_.theta, rtol=1e-9, atol=1e-9)
    assert_allclose(actual.loss_curve_, expected.loss_curve_, rtol=1e-9)


def assert_learns_otherwise(actual, expected):
    """So that a law does not hold because weights are not looked at."""
    assert abs(actual.network_.theta - expected.network_.theta).max() > 1e-4


# ---- weights of sequences -----------------------------------------------------------------------


@every_estimator
@every_training
def test_weight_one_is_no_weight(estimator, how):
    y = TARGETS[estimator]
    expected = fitted(estimator, X, y, **how)
    assert_same_bits(fitted(estimator, X, y, np.ones(N), **how), expected)
    assert_same_bits(fitted(estimator, X, y, [1] * N, **how), expected)


@every_estimator
@every_descent
def test_weight_two_is_the_sequence_twice(estimator, how):
    y = TARGETS[estimator]
    twice = fitted(
        estimator, pick(X, [0, 1, 2, 3, 4, 5, 1, 3]), pick(y, [0, 1, 2, 3, 4, 5, 1, 3]), **how
    )
    weighted = fitted(estimator, X, y, [1, 2, 1, 2, 1, 1], **how)
    assert_close(weighted, twice)
    assert_learns_otherwise(weighted, fitted(estimator, X, y, **how))


@every_estimator
@every_training
def test_weight_zero_is_without_the_sequence(estimator, how):
    y = TARGETS[estimator]
    without = fitted(estimator, pick(X, [0, 2, 3, 5]), pick(y, [0, 2, 3, 5]), **how)
    assert_same_bits(fitted(estimator, X, y, [1, 0, 1, 1, 0, 1], **how), without)


@every_estimator
def test_a_target_of_weight_zero_is_not_looked_at(estimator):
    y = list(TARGETS[estimator])
    without = fitted(estimator, pick(X, [0, 2, 3, 4, 5]), pick(y, [0, 2, 3, 4, 5]))
    if estimator in CLASSIFIERS:
        y[1] = y[1] + 100  # a class of its own
    else:
        y[1] = y[1] * np.nan
    assert_same_bits(fitted(estimator, X, y, [1, 0, 1, 1, 1, 1]), without)


@every_estimator
def test_weights_go_with_their_sequences_into_mini_batches(estimator):
    """An epoch of three mini-batches is an epoch of each of them."""
    y = TARGETS[estimator]
    model = fitted(estimator, X, y, WEIGHTS, **MINI_BATCHES | {"shuffle": False}, max_iter=1)
    apart = estimator(3, learning_rate_init=0.01, random_state=0)
    options = {"classes": [0, 1, 2]} if estimator in CLASSIFIERS else {}
    for pair in ([0, 1], [2, 3], [4, 5]):
        part = pick(X, pair), pick(y, pair)
        apart.partial_fit(*part, sample_weight=WEIGHTS[pair], **options)
    assert_array_equal(model.network_.theta, apart.network_.theta)


@every_estimator
@every_descent
def test_the_unit_of_weights_does_not_matter_without_a_penalty(estimator, how):
    y = TARGETS[estimator]
    model = fitted(estimator, X, y, WEIGHTS, **how, alpha=0.0)
    assert_same_bits(fitted(estimator, X, y, 4 * WEIGHTS, **how, alpha=0.0), model)
    assert_close(fitted(estimator, X, y, 3 * WEIGHTS, **how, alpha=0.0), model)


@every_estimator
@every_descent
def test_the_penalty_is_weighed_against_the_sum_of_weights(estimator, how):
    y = TARGETS[estimator]
    model = fitted(estimator, X, y, WEIGHTS, **how, alpha=0.1)
    assert_same_bits(fitted(estimator, X, y, 4 * WEIGHTS, **how, alpha=0.4), model)
    assert_learns_otherwise(fitted(estimator, X, y, 4 * WEIGHTS, **how, alpha=0.1), model)


@every_estimator
@pytest.mark.parametrize("form", [list, tuple, np.asarray])
def test_weights_may_be_in_any_form(estimator, form):
    y = TARGETS[estimator]
    expected = fitted(estimator, X, y, WEIGHTS)
    assert_same_bits(fitted(estimator, X, y, form(WEIGHTS)), expected)


@every_estimator
def test_weights_hold_in_a_single_epoch_of_partial_fit(estimator):
    def partly(X, y, sample_weight=None):
        model = estimator(3, random_state=0, **AT_ONCE)
        options = {"classes": [0, 1, 2]} if estimator in CLASSIFIERS else {}
        for _ in range(3):
            model.partial_fit(X, y, sample_weight=sample_weight, **options)
        return model

    y = TARGETS[estimator]
    some = [0, 2, 3, 5]
    assert_same_bits(partly(X, y, np.ones(N)), partly(X, y))
    assert_same_bits(partly(X, y, [1, 0, 1, 1, 0, 1]), partly(pick(X, some), pick(y, some)))
    twice = partly([*X, X[1]], [*y, y[1]])
    assert_close(partly(X, y, [1, 2, 1, 1, 1, 1]), twice)


@every_estimator
@every_descent
def test_the_mean_that_stands_for_missing_values_is_weighted_too(estimator, how):
    gaps = [x.copy() for x in X]
    gaps[0][1, 0] = gaps[1][2, 1] = gaps[3][0, 0] = gaps[5][5, 1] = np.nan
    y = TARGETS[estimator]
    how = how | {"missing": "mask"}
    some = [0, 2, 3, 5]
    without = fitted(estimator, pick(gaps, some), pick(y, some), **how)
    assert_same_bits(fitted(estimator, gaps, y, [1, 0, 1, 1, 0, 1], **how), without)
    twice = fitted(estimator, [*gaps, gaps[1]], [*y, y[1]], **how)
    assert_close(fitted(estimator, gaps, y, [1, 2, 1, 1, 1, 1], **how), twice)


# ---- weights of steps ---------------------------------------------------------------------------


def spread(weights):
    """Each sequence's weight, at all of its steps."""
    return [np.full(T, weight) for T, weight in zip(LENGTHS, weights, strict=True)]


@every_step_estimator
@every_training
def test_the_weight_of_a_sequence_is_that_of_its_steps(estimator, how):
    y = TARGETS[estimator]
    expected = fitted(estimator, X, y, WEIGHTS, **how)
    assert_same_bits(fitted(estimator, X, y, spread(WEIGHTS), **how), expected)
    assert_same_bits(
        fitted(estimator, X, y, Ragged.from_sequences(spread(WEIGHTS)), **how), expected
    )


@every_step_estimator
@every_descent
def test_weight_zero_at_the_end_is_the_sequence_cut_there(estimator, how):
    """A step knows of no later one."""
    y = TARGETS[estimator]
    kept = [2, 5, 1, 1, 2, 4]
    weights = [np.where(np.arange(T) < end, 1.0, 0.0) for T, end in zip(LENGTHS, kept, strict=True)]
    cut_X, cut_y = ([v[:end] for v, end in zip(part, kept, strict=True)] for part in (X, y))
    assert_close(fitted(estimator, X, y, weights, **how), fitted(estimator, cut_X, cut_y, **how))


@every_step_estimator
@every_training
def test_a_sequence_whose_steps_all_weigh_nothing_is_not_there(estimator, how):
    y = TARGETS[estimator]
    without = fitted(estimator, X[1:], y[1:], WEIGHTS_OF_STEPS[1:], **how)
    weights = [np.zeros(LENGTHS[0]), *WEIGHTS_OF_STEPS[1:]]
    assert_same_bits(fitted(estimator, X, y, weights, **how), without)


def with_gaps(steps, value):
    """Targets of steps, some of which are the value; and weights that are 0 there."""
    gaps = [np.arange(T) % 3 == 1 for T in LENGTHS]
    targets = [np.where(gap, value, y) for gap, y in zip(gaps, steps, strict=True)]
    return targets, [np.where(gap, 0.0, w) for gap, w in zip(gaps, WEIGHTS_OF_STEPS, strict=True)]


@every_training
def test_a_step_whose_target_is_nan_has_weight_zero(how):
    y, weights = with_gaps(STEPS, np.nan)
    expected = fitted(RNNSequenceRegressor, X, STEPS, weights, **how)
    assert_same_bits(fitted(RNNSequenceRegressor, X, y, WEIGHTS_OF_STEPS, **how), expected)


@every_training
@pytest.mark.parametrize("missing_label", [-1, np.nan])
def test_a_step_without_a_label_has_weight_zero(how, missing_label):
    labels = TARGETS[RNNSequenceClassifier]
    y, weights = with_gaps(labels, missing_label)
    expected = fitted(RNNSequenceClassifier, X, labels, weights, **how)
    model = fitted(
        RNNSequenceClassifier, X, y, WEIGHTS_OF_STEPS, **how, missing_label=missing_label
    )
    assert_same_bits(model, expected)


@every_estimator
@every_training
def test_padding_that_is_cut_off_changes_nothing(estimator, how):
    y = TARGETS[estimator]
    padded = Ragged.from_padded(Ragged.from_sequences(X).to_padded())
    assert_same_bits(
        fitted(estimator, padded, y, WEIGHTS, **how), fitted(estimator, X, y, WEIGHTS, **how)
    )


@every_step_estimator
@every_descent
def test_padding_of_weight_zero_changes_nothing(estimator, how):
    y = TARGETS[estimator]
    padded = [Ragged.from_sequences(part).to_padded(0) for part in (X, y, WEIGHTS_OF_STEPS)]
    assert_close(
        fitted(estimator, *padded, **how), fitted(estimator, X, y, WEIGHTS_OF_STEPS, **how)
    )


# ---- weights of classes -------------------------------------------------------------------------

OF_CLASSES = {0: 0.5, 2: 3.0}  # and 1 for class 1, which is not named


def weights_of_labels(labels):
    return np.array([OF_CLASSES.get(label, 1.0) for label in labels])


@every_classifier
@every_training
def test_weights_of_classes_are_weights_of_targets(estimator, how):
    labels = TARGETS[estimator]
    if estimator is RNNClassifier:
        alone, given, both = weights_of_labels(labels), WEIGHTS, weights_of_labels(labels) * WEIGHTS
    else:
        alone, given = [weights_of_labels(steps) for steps in labels], WEIGHTS_OF_STEPS
        both = [a * b for a, b in zip(alone, given, strict=True)]
    model = fitted(estimator, X, labels, class_weight=OF_CLASSES, **how)
    assert_same_bits(model, fitted(estimator, X, labels, alone, **how))
    model = fitted(estimator, X, labels, given, class_weight=OF_CLASSES, **how)
    assert_same_bits(model, fitted(estimator, X, labels, both, **how))


def balance(labels, weights):
    """(n,) n / (k * count) of the class of each label, where weights count."""
    classes = np.unique(labels[weights > 0])
    share = {c: weights.sum() / (len(classes) * weights[labels == c].sum()) for c in classes}
    return np.array([share.get(label, 0.0) for label in labels])


@every_descent
@pytest.mark.parametrize("weights", [np.ones(N), WEIGHTS, np.array([1.0, 0, 1, 2, 1, 1])])
def test_balanced_classes_of_sequences_weigh_the_same(how, weights):
    labels = TARGETS[RNNClassifier]
    model = fitted(RNNClassifier, X, labels, weights, class_weight="balanced", **how)
    by_hand = fitted(RNNClassifier, X, labels, weights * balance(labels, weights), **how)
    assert_close(model, by_hand)
    assert_learns_otherwise(model, fitted(RNNClassifier, X, labels, weights, **how))


@every_descent
def test_balanced_classes_of_steps_weigh_the_same_over_labelled_steps(how):
    labels, counted = with_gaps(TARGETS[RNNSequenceClassifier], -1)
    flat = np.concatenate(counted) * balance(np.concatenate(labels), np.concatenate(counted))
    options = how | {"missing_label": -1}
    by_hand = Ragged.from_flat(flat, LENGTHS)
    expected = fitted(RNNSequenceClassifier, X, labels, by_hand, **options)
    options |= {"class_weight": "balanced"}
    assert_close(fitted(RNNSequenceClassifier, X, labels, WEIGHTS_OF_STEPS, **options), expected)


@every_classifier
@pytest.mark.parametrize("class_weight", ["balanced", {0: 2.0}])
def test_classes_are_not_weighed_with_several_labels_at_once(estimator, class_weight):
    y = [[0, 1], [1, 0], [1, 1], [0, 0], [0, 1], [1, 0]]
    if estimator is RNNSequenceClassifier:
        y = [np.tile(row, (T, 1)) for row, T in zip(y, LENGTHS, strict=True)]
    with pytest.raises(ValueError, match=r"class_weight=.* several labels.*by sample_weight"):
        fitted(estimator, X, y, class_weight=class_weight)


# ---- one target for each sequence, taught at each step ------------------------------------------


@every_step_estimator
@every_training
@pytest.mark.parametrize("weights", [None, WEIGHTS, [1, 0, 1, 1, 0, 1]], ids=["1", "w", "0"])
def test_a_target_of_a_sequence_is_shared_out_over_its_steps(estimator, how, weights):
    y = TARGETS[RNNClassifier if estimator is RNNSequenceClassifier else RNNRegressor]
    repeated = spread(y)
    shares = spread(np.divide(np.ones(N) if weights is None else weights, LENGTHS))
    whole = fitted(estimator, X, y, weights, **how)
    steps = fitted(estimator, X, repeated, shares, **how)
    assert_array_equal(whole.network_.theta, steps.network_.theta)
    assert whole.loss_curve_ == steps.loss_curve_
    assert_array_equal(whole.predict(X), [told[-1] for told in steps.predict(X)])


def test_balanced_classes_of_replicated_targets_count_sequences():
    labels = TARGETS[RNNClassifier]
    model = fitted(RNNSequenceClassifier, X, labels, WEIGHTS, class_weight="balanced", **AT_ONCE)
    weights = WEIGHTS * balance(labels, WEIGHTS)
    assert_close(model, fitted(RNNSequenceClassifier, X, labels, weights, **AT_ONCE))


@every_step_estimator
def test_a_replicated_target_is_scored_after_the_last_step(estimator):
    y = TARGETS[RNNClassifier if estimator is RNNSequenceClassifier else RNNRegressor]
    metric = accuracy_score if estimator is RNNSequenceClassifier else r2_score
    model = estimator(3, max_iter=3, random_state=0)
    model.fit(X, y, WEIGHTS, validation_data=(X, y, WEIGHTS))
    told = model.predict(X)
    weighted = metric(y, told, sample_weight=WEIGHTS)
    assert model.score(X, y) == pytest.approx(metric(y, told), rel=1e-12)
    assert model.score(X, y, WEIGHTS) == pytest.approx(weighted, rel=1e-12)
    assert model.validation_scores_[-1] == pytest.approx(weighted, rel=1e-12)


# ---- held-out sequences, and scores -------------------------------------------------------------

LONG = 30  # sequences, of which a tenth is three


def many():
    """Thirty sequences, and weights that are 0 for every third one."""
    draw = np.random.default_rng(1)
    X = [draw.normal(size=(T, 2)) for T in draw.integers(1, 6, LONG)]
    weights = np.where(np.arange(LONG) % 3 == 0, 0.0, draw.uniform(0.5, 2, LONG))
    return X, weights


def targets_of_many(estimator, X):
    steps = [np.cumsum(x[:, 0]) for x in X]
    if estimator in CLASSIFIERS:
        steps = [(y > 0).astype(int) for y in steps]
    return steps if estimator in PER_STEP else np.array([y[-1] for y in steps])


@every_estimator
def test_sequences_of_weight_zero_are_not_held_out(estimator):
    X, weights = many()
    y = targets_of_many(estimator, X)
    used = np.flatnonzero(weights)
    stopping = {"early_stopping": True, "n_iter_no_change": 3, "validation_fraction": 0.2}
    model = fitted(estimator, X, y, weights, **stopping)
    expected = fitted(estimator, pick(X, used), pick(y, used), weights[used], **stopping)
    assert_same_bits(model, expected)
    assert len(model.validation_scores_) == model.n_iter_


@every_estimator
def test_held_out_sequences_are_scored_with_their_weights(estimator):
    X, weights = many()
    y = targets_of_many(estimator, X)
    aside = (X[20:], y[20:], weights[20:])
    model = estimator(3, max_iter=3, random_state=0)
    model.fit(X[:20], y[:20], weights[:20], validation_data=aside)
    assert model.validation_scores_[-1] == pytest.approx(model.score(*aside), rel=1e-12)
    loss = model.network_.loss(*aside)
    assert model.validation_loss_curve_[-1] == pytest.approx(loss, rel=1e-12)


@every_estimator
def test_a_score_knows_weight_two_and_weight_zero(estimator):
    y = TARGETS[estimator]
    model = fitted(estimator, X, y)
    index = [0, 2, 2, 3, 4, 5]
    expected = model.score(pick(X, index), pick(y, index))
    assert model.score(X, y, [1, 0, 2, 1, 1, 1]) == pytest.approx(expected, rel=1e-12)
    assert model.score(X, y, np.ones(N)) == model.score(X, y)


# ---- the gradient -------------------------------------------------------------------------------


@pytest.mark.parametrize("readout", ["last", "mean", "max", "every"])
def test_the_gradient_is_linear_in_the_weights(readout):
    net = RNN(2, 3, 1, readout=readout, random_state=0)
    y = [steps[:, None] for steps in STEPS] if readout == "every" else TARGETS[RNNRegressor]
    first, second = (
        (WEIGHTS_OF_STEPS, spread(WEIGHTS)) if readout == "every" else (WEIGHTS, WEIGHTS[::-1])
    )
    both = [2 * a + 5 * b for a, b in zip(first, second, strict=True)]
    (loss, total), (loss_1, one), (loss_2, two) = (
        net.loss_and_gradients(X, y, weights, reduction="sum") for weights in (both, first, second)
    )
    assert loss == pytest.approx(2 * loss_1 + 5 * loss_2, rel=1e-12)
    for name in net.parameters:
        assert_allclose(total[name], 2 * one[name] + 5 * two[name], rtol=1e-10, atol=1e-12)


# ---- what is refused ----------------------------------------------------------------------------


@every_estimator
@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([0] * N, "no target to learn from: every weight in sample_weight is zero"),
        ([1, 1, -1, 1, 1, 1], r"sample_weight\[2\].*-1"),
        ([1, np.nan, 1, 1, 1, 1], r"sample_weight\[1\].*(?i:nan|finite)"),
        ([1, np.inf, 1, 1, 1, 1], r"sample_weight\[1\].*(?i:inf|finite)"),
        ([1, 1], "2 weights in sample_weight for 6 sequences"),
        (np.ones((N, 2)), "sample_weight"),
    ],
    ids=["all zero", "negative", "NaN", "infinite", "too few", "two each"],
)
def test_a_fit_refuses_weights_that_make_no_sense(estimator, weights, message):
    with pytest.raises(ValueError, match=rf"^{estimator.__name__} got .*{message}"):
        fitted(estimator, X, TARGETS[estimator], weights)


@every_step_estimator
def test_weights_of_steps_must_be_as_many_as_steps(estimator):
    short = [*WEIGHTS_OF_STEPS[:5], np.ones(2)]
    with pytest.raises(ValueError, match=r"sample_weight\[5\] with 2 steps, but X\[5\] has 6"):
        fitted(estimator, X, TARGETS[estimator], short)


@pytest.mark.parametrize("estimator", PER_SEQUENCE)
def test_targets_of_sequences_have_no_weights_of_steps(estimator):
    with pytest.raises(ValueError, match="expected one weight per sequence"):
        fitted(estimator, X, TARGETS[estimator], WEIGHTS_OF_STEPS)
