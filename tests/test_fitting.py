"""How the estimators train: schedules, early stopping, going on, L-BFGS, labels, states, NaN."""

from __future__ import annotations

import copy
import math
import pickle
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score, log_loss, r2_score
from sklearn.neural_network import MLPClassifier

from cbptt import (
    Ragged,
    RNNClassifier,
    RNNRegressor,
    RNNSequenceClassifier,
    RNNSequenceRegressor,
    reference,
    training,
)
from cbptt.engine.engine import Engine
from cbptt.estimators._fitting import Schedule
from cbptt.estimators._number_targets import NumberTargets

ESTIMATORS = (RNNClassifier, RNNRegressor, RNNSequenceClassifier, RNNSequenceRegressor)
CLASSIFIERS = (RNNClassifier, RNNSequenceClassifier)
STOCHASTIC = ("adam", "adamw", "sgd", "rmsprop", "adagrad")
every_estimator = pytest.mark.parametrize("estimator", ESTIMATORS)
every_classifier = pytest.mark.parametrize("estimator", CLASSIFIERS)

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning"  # a few epochs are enough for most claims
)


def make_data(estimator, n=24, seed=0, D=2):
    """Ragged sequences; their sums, or the running ones, are above 0, or are to be told."""
    rng = np.random.default_rng(seed)
    X = [rng.normal(size=(T, D)) for T in rng.integers(2, 7, n)]
    if estimator in (RNNSequenceClassifier, RNNSequenceRegressor):
        sums = [np.cumsum(x[:, 0]) for x in X]
        return X, [s > 0 for s in sums] if estimator is RNNSequenceClassifier else sums
    sums = np.array([x[:, 0].sum() for x in X])
    return X, sums > 0 if estimator is RNNClassifier else sums


def small(estimator, **parameters):
    return estimator(5, **({"max_iter": 4, "random_state": 0} | parameters))


def theta_of(model):
    return model.network_.theta


def flat(y):
    return np.concatenate(list(y)) if np.ndim(y[0]) else np.asarray(y)


# ---- learning rates ----------------------------------------------------------------------------


def rates_of(monkeypatch, model, X, y):
    """The learning rates of the epochs of a fit."""
    rates = []
    epoch = training.Trainer.epoch

    def recorded(self, rate):
        rates.append(rate)
        return epoch(self, rate)

    monkeypatch.setattr(training.Trainer, "epoch", recorded)
    model.fit(X, y)
    return rates


@pytest.mark.parametrize(
    ("kind", "rate"),
    [
        ("constant", lambda t, n: 0.1),
        ("invscaling", lambda t, n: 0.1 / (t * n + 1) ** 0.3),
        ("cosine", lambda t, n: 0.1 * (1 + math.cos(math.pi * t / 5)) / 2),
    ],
)
@pytest.mark.parametrize("solver", STOCHASTIC)
def test_the_learning_rate_follows_its_schedule(kind, rate, solver, monkeypatch):
    X, y = make_data(RNNRegressor)
    model = small(
        RNNRegressor, solver=solver, learning_rate=kind, learning_rate_init=0.1, power_t=0.3,
        max_iter=5, n_iter_no_change=9,
    )  # fmt: skip
    expected = [rate(t, len(X)) for t in range(5)]
    assert_allclose(rates_of(monkeypatch, model, X, y), expected, rtol=1e-14)
    assert model.t_ == 5 * len(X)


def test_an_adaptive_rate_is_a_fifth_of_it_whenever_training_would_stop(monkeypatch, capsys):
    X, y = make_data(RNNRegressor)
    model = small(
        RNNRegressor, learning_rate="adaptive", learning_rate_init=1e-3, tol=1e9,
        n_iter_no_change=2, max_iter=100, verbose=True,
    )  # fmt: skip
    rates = rates_of(monkeypatch, model, X, y)
    # the first epoch has nothing to be compared with; then three without progress each time
    steps = [4, 3, 3, 3, 3, 3]
    expected = np.repeat(1e-3 / 5.0 ** np.arange(6), steps)
    assert_allclose(rates, expected, rtol=1e-12)
    assert rates[-1] <= 1e-6 < rates[-4]
    assert capsys.readouterr().out.count("Setting learning rate to") == 5


def test_the_schedules_are_those_of_mlp():
    from sklearn.neural_network._stochastic_optimizers import SGDOptimizer

    theirs = SGDOptimizer([np.zeros(1)], 0.1, "invscaling", 0.9, True, 0.4)
    ours = Schedule("invscaling", 0.1, 0.4, 10)
    for n_seen in (7, 14, 21):
        theirs.iteration_ends(n_seen)
        assert ours.rate(1, n_seen) == pytest.approx(theirs.learning_rate, rel=1e-14)

    theirs = SGDOptimizer([np.zeros(1)], 1e-5, "adaptive")
    ours = Schedule("adaptive", 1e-5, 0.4, 10)
    for _ in range(4):
        assert ours.lower() is not theirs.trigger_stopping("", verbose=False)
        assert ours.rate(1, 1) == pytest.approx(theirs.learning_rate, rel=1e-14)


@every_estimator
@pytest.mark.parametrize("solver", [*STOCHASTIC, "lbfgs"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_solver_lets_the_loss_fall(solver, dtype, estimator):
    X, y = make_data(estimator)
    model = small(estimator, solver=solver, learning_rate_init=0.01, max_iter=10, dtype=dtype)
    losses = model.fit(X, y).loss_curve_
    assert losses[-1] < losses[0]
    assert model.network_.dtype == dtype
    assert len(losses) == model.n_iter_ == len(model.grad_norm_curve_)


# ---- held-out sequences ------------------------------------------------------------------------


@every_estimator
def test_early_stopping_restores_the_weights_of_the_best_score(estimator):
    X, y = make_data(estimator, n=40)
    X_val, y_val = make_data(estimator, n=30, seed=1)
    model = small(
        estimator, early_stopping=True, n_iter_no_change=3, max_iter=60, learning_rate_init=0.05,
        tol=0,
    )  # fmt: skip
    model.fit(X, y, validation_data=(X_val, y_val))
    scores = model.validation_scores_
    assert len(scores) == len(model.validation_loss_curve_) == model.n_iter_ < 60
    assert model.best_validation_score_ == max(scores) > scores[-1] - 1e-12
    assert model.score(X_val, y_val) == pytest.approx(max(scores), rel=1e-9)
    assert model.best_loss_ is None


@every_estimator
def test_the_validation_curve_is_the_loss_on_the_held_out_sequences(estimator):
    X, y = make_data(estimator)
    X_val, y_val = make_data(estimator, n=9, seed=1)
    weight = np.arange(1.0, 10)
    model = small(estimator, max_iter=3).fit(X, y, validation_data=(X_val, y_val, weight))
    encoded = [np.asarray(v, int) for v in y_val] if estimator in CLASSIFIERS else y_val
    encoded = np.array(encoded) if estimator is RNNClassifier else encoded
    expected = model.network_.loss(X_val, encoded, weight)
    assert model.validation_loss_curve_[-1] == pytest.approx(expected, rel=1e-12)
    score = model.score(X_val, y_val, weight)
    assert model.validation_scores_[-1] == pytest.approx(score, rel=1e-9)


@pytest.mark.parametrize("class_weight", ["balanced", {True: 5.0}])
@every_classifier
def test_held_out_sequences_are_scored_without_class_weights(class_weight, estimator):
    X, y = make_data(estimator)
    X_val, y_val = make_data(estimator, seed=1)
    model = small(estimator, class_weight=class_weight)
    model.fit(X, y, validation_data=(X_val, y_val))
    encoded = [np.asarray(v, int) for v in y_val]
    encoded = np.array(encoded) if estimator is RNNClassifier else encoded
    assert model.validation_loss_curve_[-1] == pytest.approx(model.network_.loss(X_val, encoded))
    assert model.validation_scores_[-1] == pytest.approx(model.score(X_val, y_val))


@every_estimator
def test_validation_data_alone_only_watches(estimator):
    X, y = make_data(estimator)
    alone, watched = small(estimator), small(estimator)
    alone.fit(X, y)
    watched.fit(X, y, validation_data=make_data(estimator, seed=1))
    assert_array_equal(theta_of(watched), theta_of(alone))
    assert alone.validation_scores_ is alone.validation_loss_curve_ is None


@every_estimator
def test_a_fraction_is_held_out_and_not_trained_on(estimator, monkeypatch):
    X, y = make_data(estimator, n=40)
    trained = []
    init = training.Trainer.__post_init__

    def recorded(self):
        trained.append(self.sequences)
        init(self)

    monkeypatch.setattr(training.Trainer, "__post_init__", recorded)
    model = small(estimator, early_stopping=True, validation_fraction=0.25).fit(X, y)
    assert len(trained[0]) == 30
    assert len(model.validation_scores_) == model.n_iter_
    assert model.t_ == 30 * model.n_iter_


def test_a_fraction_is_drawn_from_each_class_alike(monkeypatch):
    X = [np.full((3, 1), float(i)) for i in range(40)]
    y = np.array(["a"] * 30 + ["b"] * 10)
    held_out = []
    evaluate = Engine.evaluate
    monkeypatch.setattr(
        Engine, "evaluate", lambda *args: held_out.append(args[1]) or evaluate(*args)
    )
    small(RNNClassifier, early_stopping=True, validation_fraction=0.2).fit(X, y)
    labels = held_out[0].targets.labels
    assert np.bincount(labels).tolist() == [6, 2]


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize(
    ("estimator", "held_out", "dtype"),
    [
        (RNNRegressor, lambda X, y: (X[:1], y[:1]), "float32"),
        (RNNRegressor, lambda X, y: (X[:1], y[:1]), "float64"),
        (RNNRegressor, lambda X, y: (X[:5], np.r_[y[:4], 1e200]), "float64"),
        (RNNRegressor, lambda X, y: (X[:5], y[:5], [0, 0, 1, 0, 0]), "float32"),
        (RNNSequenceRegressor, lambda X, y: ([X[0][:1]], [y[0][:1]]), "float64"),
    ],
)
def test_without_a_score_the_last_weights_are_kept(estimator, held_out, dtype, solver):
    X, y = make_data(estimator)
    options = {"solver": solver, "dtype": dtype, "max_iter": 3, "tol": 0.0}
    model = small(estimator, early_stopping=True, **options)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, y, validation_data=held_out(X, y))
    found = [
        w for w in caught if "score was NaN or infinite in 3 of 3 iterations" in str(w.message)
    ]
    assert len(found) == 1
    assert {w.category for w in caught} == {ConvergenceWarning}
    assert_array_equal(theta_of(model), theta_of(small(estimator, **options).fit(X, y)))
    assert np.isnan(model.validation_scores_).all()
    assert np.isnan(model.best_validation_score_)


@every_estimator
def test_outputs_that_overflow_have_no_score(estimator):
    X, y = make_data(estimator)
    X_val = [np.full((9, 2), 3e38) for _ in X]  # whose sums are infinite in float32
    y_val = y
    if estimator in (RNNSequenceClassifier, RNNSequenceRegressor):
        y_val = [np.resize(labels, 9) for labels in y]
    model = small(
        estimator, activation="identity", dtype="float32", early_stopping=True, max_iter=3
    )
    with pytest.warns(ConvergenceWarning, match="score was NaN or infinite in 3 of 3 iterations"):
        model.fit(X, y, validation_data=(X_val, y_val))
    assert np.isnan(model.validation_scores_).all()
    assert model.n_iter_ == 3


@pytest.mark.parametrize("bad", [np.nan, -np.inf, np.inf])
def test_a_score_that_is_no_number_is_worse_than_any(bad, monkeypatch):
    scores = iter([bad, bad, -9.0, bad, -7.0, -8.0, bad, bad, 0.0])
    monkeypatch.setattr(NumberTargets, "score_held_out", lambda *args: next(scores))
    X, y = make_data(RNNRegressor)
    model = small(RNNRegressor, early_stopping=True, n_iter_no_change=2, max_iter=9)
    with pytest.warns(ConvergenceWarning, match="infinite in 5 of 8 iterations"):
        model.fit(X, y, validation_data=(X, y))
    assert model.n_iter_ == 8  # the first two and the last three are without progress
    assert model.best_validation_score_ == -7
    monkeypatch.undo()
    assert_array_equal(theta_of(model), theta_of(small(RNNRegressor, max_iter=5).fit(X, y)))


def test_a_score_in_float32_is_computed_in_double_precision():
    X, y = make_data(RNNRegressor)
    y_val = 1e30 * y  # whose squares are infinite in float32
    model = small(RNNRegressor, dtype="float32").fit(X, y, validation_data=(X, y_val))
    assert model.validation_scores_[-1] == pytest.approx(model.score(X, y_val), rel=1e-6)


def test_the_best_score_after_a_warm_start_is_that_of_the_weights():
    X, y = make_data(RNNRegressor)
    model = small(RNNRegressor, early_stopping=True, warm_start=True)
    first = model.fit(X, y, validation_data=(X, y)).best_validation_score_
    worse = [x[::-1] for x in X]  # another question, of which less is known
    model.fit(X, y, validation_data=(worse, 3 * y))
    assert model.best_validation_score_ == pytest.approx(model.score(worse, 3 * y), rel=1e-12)
    assert model.best_validation_score_ < first == max(model.validation_scores_)


def test_an_interrupted_first_epoch_keeps_its_weights(monkeypatch):
    X, y = make_data(RNNRegressor)
    epoch = training.Trainer.epoch

    def interrupted(self, rate):
        epoch(self, rate)
        raise KeyboardInterrupt

    monkeypatch.setattr(training.Trainer, "epoch", interrupted)
    model = small(RNNRegressor, early_stopping=True)
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        model.fit(X, y, validation_data=(X, y))
    monkeypatch.undo()
    assert_array_equal(theta_of(model), theta_of(small(RNNRegressor, max_iter=1).fit(X, y)))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("nothing", r"validation_data of type str; expected a tuple \(X, y\)"),
        (([np.ones((2, 2))],), "validation_data of type tuple"),
        (([np.ones((2, 3))], [True]), r"validation_data\[0\] with 3 features"),
        (([np.ones((2, 2))], ["no"]), "none of the classes|cannot compare|'no'"),
    ],
)
def test_bad_validation_data_is_refused(data, message):
    X, y = make_data(RNNClassifier)
    with pytest.raises((ValueError, TypeError), match=message):
        small(RNNClassifier).fit(X, y, validation_data=data)


@pytest.mark.parametrize(("n", "fraction"), [(10, 0.1), (3, 0.9)])
def test_too_few_to_hold_out_are_refused(n, fraction):
    X, y = make_data(RNNRegressor, n=n)
    model = small(RNNRegressor, early_stopping=True, validation_fraction=fraction)
    with pytest.raises(ValueError, match="validation set is too small"):
        model.fit(X, y)


# ---- going on ----------------------------------------------------------------------------------


@every_estimator
def test_a_warm_start_begins_where_the_fit_before_ended(estimator):
    X, y = make_data(estimator)
    model = small(estimator, warm_start=True, learning_rate_init=0.01).fit(X, y)
    first = list(model.loss_curve_)
    before = copy.deepcopy(model.network_)
    model.fit(X, y)
    assert model.n_iter_ == 4
    assert model.loss_curve_[:4] == first
    assert len(model.loss_curve_) == 8
    assert model.loss_curve_[4] < first[0]
    assert model.t_ == 8 * len(X)
    assert not np.array_equal(theta_of(model), before.theta)

    still = small(estimator, warm_start=True, learning_rate_init=0.01).fit(X, y)
    still.set_params(learning_rate_init=1e-300)
    assert_array_equal(theta_of(still.fit(X, y)), before.theta)


@every_estimator
@pytest.mark.parametrize(
    "change", [{"hidden_layer_sizes": 6}, {"learn_initial_state": True}], ids=str
)
def test_a_warm_start_of_another_network_is_refused(change, estimator):
    X, y = make_data(estimator)
    model = small(estimator, warm_start=True).fit(X, y)
    before = theta_of(model).copy()
    with pytest.raises(ValueError, match="cannot go on from the fit before"):
        model.set_params(**change).fit(X, y)
    assert_array_equal(theta_of(model), before)


@every_classifier
def test_a_warm_start_with_a_class_more_is_refused(estimator):
    X, y = make_data(estimator)
    y = [np.asarray(v, int) for v in y]
    model = small(estimator, warm_start=True).fit(X, y)
    y[3] = y[3] + 7
    with pytest.raises(ValueError, match=r"y\[3\].* = .*none of the classes"):
        model.fit(X, y)


@every_estimator
@pytest.mark.parametrize("solver", STOCHASTIC)
def test_partial_fits_are_the_epochs_of_a_fit(solver, estimator):
    X, y = make_data(estimator)
    whole = small(estimator, solver=solver, batch_size=7).fit(X, y)
    parts = small(estimator, solver=solver, batch_size=7)
    first = {"classes": [False, True]} if estimator in CLASSIFIERS else {}
    for epoch in range(4):
        if epoch == 2:  # and an estimator that was stored goes on
            parts = pickle.loads(pickle.dumps(parts))
        assert parts.partial_fit(X, y, **first) is parts
        first = {}
    assert_array_equal(theta_of(parts), theta_of(whole))
    assert parts.loss_curve_ == whole.loss_curve_
    assert (parts.n_iter_, parts.t_) == (whole.n_iter_, whole.t_)


@every_classifier
def test_classes_that_come_later_are_told_from_the_first_partial_fit_on(estimator):
    X, y = make_data(estimator)
    model = small(estimator)
    y = (
        np.where(y, "up", "down")
        if estimator is RNNClassifier
        else [np.where(v, "up", "down") for v in y]
    )
    model.partial_fit(X, y, classes=["up", "down", "still"])
    assert model.classes_.tolist() == ["down", "still", "up"]
    assert model.n_outputs_ == 3
    with pytest.raises(ValueError, match="not the same as on the last call"):
        model.partial_fit(X, y, classes=["up", "down"])
    with pytest.raises(ValueError, match="none of the classes"):
        model.partial_fit(X[:1], [np.full(np.shape(y[0]), "left").tolist()])


@every_classifier
def test_the_first_partial_fit_needs_classes(estimator):
    with pytest.raises(ValueError, match="must be passed on the first call"):
        small(estimator).partial_fit(*make_data(estimator))


@every_estimator
def test_partial_fit_is_for_solvers_of_mini_batches_and_without_early_stopping(estimator):
    X, y = make_data(estimator)
    assert not hasattr(estimator(solver="lbfgs"), "partial_fit")
    with pytest.raises(AttributeError) as refusal:
        _ = estimator(solver="lbfgs").partial_fit
    assert "only available for stochastic" in str(refusal.value.__cause__)
    first = {"classes": [False, True]} if estimator in CLASSIFIERS else {}
    with pytest.raises(ValueError, match=r"not support early_stopping=True.*early_stopping=False"):
        estimator(early_stopping=True).partial_fit(X, y, **first)


def test_partial_fit_says_so_where_the_rate_has_come_to_0():
    X, y = make_data(RNNRegressor)
    model = small(RNNRegressor, learning_rate="cosine", max_iter=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        model.partial_fit(X, y).partial_fit(X, y)
    before = theta_of(model).copy()
    with pytest.warns(UserWarning, match=r"0 after 2 epochs of learning_rate='cosine'.*max_iter"):
        model.partial_fit(X, y)
    assert_array_equal(theta_of(model), before)
    model.set_params(max_iter=9).partial_fit(X, y)
    assert not np.array_equal(theta_of(model), before)


def test_a_rate_that_falls_below_every_number_is_0():
    assert Schedule("invscaling", 0.1, 1e6, 10).rate(1, 7) == 0


# ---- L-BFGS ------------------------------------------------------------------------------------


@every_estimator
def test_lbfgs_gives_the_same_bits_whatever_the_seed_of_the_order(estimator):
    X, y = make_data(estimator)
    model = small(estimator, solver="lbfgs", max_iter=5).fit(X, y)
    again = small(estimator, solver="lbfgs", max_iter=5, shuffle=False, batch_size=3).fit(X, y)
    assert_array_equal(theta_of(again), theta_of(model))


@every_estimator
def test_lbfgs_stops_at_a_flat_place(estimator):
    X, y = make_data(estimator, n=8)
    model = small(estimator, solver="lbfgs", alpha=1.0, max_iter=1000, tol=1e-5)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        model.fit(X, y)
    assert model.n_iter_ < 1000
    assert model.grad_norm_curve_[-1] < 1e-3


@pytest.mark.parametrize(
    ("limits", "what"), [({"max_iter": 2}, "ITERATIONS"), ({"max_fun": 3}, "EVALUATIONS|F")]
)
def test_lbfgs_warns_where_a_limit_ended_it(limits, what):
    X, y = make_data(RNNRegressor)
    with pytest.warns(
        ConvergenceWarning, match=f"lbfgs stopped after .*({what}).*Increase max_iter"
    ):
        small(RNNRegressor, solver="lbfgs", **limits).fit(X, y)


def test_lbfgs_in_float32_trains_in_double_precision():
    X, y = make_data(RNNRegressor)
    single, double = (
        small(RNNRegressor, solver="lbfgs", dtype=dtype, max_iter=20).fit(X, y)
        for dtype in ("float32", "float64")
    )
    assert theta_of(single).dtype == np.float32
    assert single.loss_curve_ == pytest.approx(double.loss_curve_, rel=1e-3)


# ---- several labels at once --------------------------------------------------------------------


def labels_of(X, per_step):
    """Two labels: is the running sum of each variable above 0?"""
    sums = [np.cumsum(x, axis=0) > 0 for x in X]
    return sums if per_step else np.array([s[-1] for s in sums])


@every_classifier
def test_several_labels_at_once_are_learned(estimator):
    X, _ = make_data(estimator, n=60)
    y = [v.astype(int) for v in labels_of(X, estimator is RNNSequenceClassifier)]
    y = y if estimator is RNNSequenceClassifier else np.array(y)
    model = estimator(16, learning_rate_init=0.02, max_iter=100, random_state=0).fit(X, y)
    assert model.out_activation_ == "logistic"
    assert model.classes_.tolist() == [0, 1]
    assert model.score(X, y) > 0.9

    told, probabilities = flat(model.predict(X)), flat(model.predict_proba(X))
    assert told.shape == probabilities.shape == flat(y).shape
    assert_array_equal(told, probabilities > 0.5)
    assert model.score(X, y) == accuracy_score(flat(y), told)
    assert_allclose(np.exp(flat(model.predict_log_proba(X))), probabilities, rtol=1e-12)


def test_the_loss_of_several_labels_is_the_sum_of_their_log_losses():
    X, _ = make_data(RNNClassifier)
    y = labels_of(X, per_step=False)
    model = small(RNNClassifier, alpha=0, learning_rate_init=1e-300, max_iter=1).fit(X, y)
    p = model.predict_proba(X)
    expected = sum(log_loss(y[:, k], p[:, k]) for k in range(2))
    assert model.loss_ == pytest.approx(expected, rel=1e-12)


def test_early_stopping_scores_several_labels_by_their_subset_accuracy():
    X, _ = make_data(RNNClassifier, n=40)
    X_val, _ = make_data(RNNClassifier, n=30, seed=3)
    y, y_val = labels_of(X, per_step=False), labels_of(X_val, per_step=False)
    model = small(RNNClassifier, early_stopping=True).fit(X, y, validation_data=(X_val, y_val))
    assert model.best_validation_score_ == pytest.approx(model.score(X_val, y_val))


# ---- readouts and states -----------------------------------------------------------------------


@pytest.mark.parametrize("estimator", [RNNClassifier, RNNRegressor])
@pytest.mark.parametrize("pooling", ["last", "mean", "max"])
def test_the_readout_is_pooled_as_asked(pooling, estimator):
    X, y = make_data(estimator)
    model = small(estimator, pooling=pooling).fit(X, y)
    net = model.network_
    assert net.readout == pooling
    states = model.transform(X)
    assert_array_equal(states, model.transform(X, states=pooling))
    z = states @ net.parameters["weight_ho"].T + net.parameters["bias_o"]
    if estimator is RNNClassifier:
        assert_allclose(model.predict_proba(X), reference.OUTPUTS["softmax"](z), rtol=1e-12)
    else:
        assert_allclose(model.predict(X), z[:, 0], rtol=1e-12)


def test_a_mean_of_noise_is_learned_better_by_its_own_pooling():
    # the class is the mean of long noise: what a last state has forgotten, the mean of all keeps
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=200)
    X = [rng.normal(size=(50, 1)) + (label - 0.5) for label in y]
    fitted = {
        pooling: RNNClassifier(
            8, pooling=pooling, learning_rate_init=0.02, max_iter=15, random_state=0
        ).fit(X[:100], y[:100])
        for pooling in ("last", "mean")
    }
    scores = {pooling: model.score(X[100:], y[100:]) for pooling, model in fitted.items()}
    assert scores["mean"] > max(0.9, scores["last"])


@every_estimator
def test_transform_gives_the_hidden_states_of_the_network(estimator):
    X, y = make_data(estimator)
    model = small(estimator).fit(X, y)
    forward = model.network_.forward(X)
    for states, expected in {
        "last": forward.state,
        "mean": np.array([h.mean(axis=0) for h in forward.hidden]),
        "max": np.array([h.max(axis=0) for h in forward.hidden]),
    }.items():
        assert_allclose(model.transform(X, states), expected, rtol=1e-13, err_msg=states)
    everything = model.transform(X, "all")
    assert everything.dtype == object
    assert_array_equal(np.concatenate(list(everything)), np.concatenate(list(forward.hidden)))
    per_step = estimator in (RNNSequenceClassifier, RNNSequenceRegressor)
    assert_array_equal(flat(model.transform(X)), flat(everything if per_step else forward.state))


def test_features_are_named_after_the_estimator():
    X, y = make_data(RNNClassifier)
    names = small(RNNClassifier).fit(X, y).get_feature_names_out()
    assert names.tolist() == [f"rnnclassifier{i}" for i in range(5)]


def test_unknown_states_are_refused():
    X, y = make_data(RNNClassifier)
    with pytest.raises(ValueError, match="states='first'; expected one of"):
        small(RNNClassifier).fit(X, y).transform(X, "first")


@every_estimator
def test_an_initial_state_is_learned_where_asked_for(estimator):
    X, y = make_data(estimator)
    model = small(estimator, learn_initial_state=True).fit(X, y)
    assert np.abs(model.network_.parameters["initial_state"]).min() > 0
    assert "initial_state" not in small(estimator).fit(X, y).network_.parameters
    learned = model.network_.parameters["initial_state"]
    h0 = np.tile(learned, (len(X), 1))
    assert_array_equal(
        flat(model.network_.forward(X).output), flat(model.network_.forward(X, h0).output)
    )


@every_estimator
def test_the_weights_are_there_in_the_layout_of_mlp(estimator):
    X, y = make_data(estimator)
    model = small(estimator).fit(X, y)
    net = model.network_
    assert [w.shape for w in model.coefs_] == [(2, 5), (5, net.n_outputs)]
    assert [b.shape for b in model.intercepts_] == [(5,), (net.n_outputs,)]
    assert_array_equal(model.recurrent_coefs_[0], net.parameters["weight_hh"].T)
    assert model.n_layers_ == 3
    assert not hasattr(small(estimator), "coefs_")


# ---- dropout -----------------------------------------------------------------------------------


@every_estimator
def test_dropout_changes_training_and_not_prediction(estimator):
    X, y = make_data(estimator)
    plain, dropped, again = (
        small(estimator, dropout=rate, recurrent_dropout=rate).fit(X, y) for rate in (0, 0.3, 0.3)
    )
    assert not np.array_equal(theta_of(dropped), theta_of(plain))
    assert_array_equal(theta_of(dropped), theta_of(again))
    first, second = (flat(dropped.predict(X)) for _ in range(2))
    assert_array_equal(first, second)


def test_dropout_gives_the_same_bits_for_any_number_of_threads():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(64, 20, 4)), rng.integers(3, size=64)
    one, two = (
        RNNClassifier(
            96, dropout=0.2, recurrent_dropout=0.2, batch_size=64, max_iter=2, n_jobs=n,
            random_state=0,
        ).fit(X, y)
        for n in (1, 2)
    )  # fmt: skip
    assert_array_equal(theta_of(one), theta_of(two))


# ---- missing values ----------------------------------------------------------------------------


def with_gaps(X, share=0.2, seed=5):
    rng = np.random.default_rng(seed)
    return [np.where(rng.random(x.shape) < share, np.nan, x) for x in X]


@every_estimator
def test_a_missing_value_is_the_mean_and_an_indicator(estimator):
    X, y = make_data(estimator)
    X = with_gaps(X)
    mean = np.nanmean(np.concatenate(X), axis=0)
    by_hand = [np.hstack([np.where(np.isnan(x), mean, x), np.isnan(x)]) for x in X]
    model = small(estimator, missing="mask").fit(X, y)
    expected = small(estimator).fit(by_hand, y)
    assert_allclose(theta_of(model), theta_of(expected), rtol=1e-10, atol=1e-14)
    assert model.n_features_in_ == 2
    assert model.network_.n_inputs == 4

    other = with_gaps(make_data(estimator, seed=9)[0], share=0.5)
    by_hand = [np.hstack([np.where(np.isnan(x), mean, x), np.isnan(x)]) for x in other]
    assert_allclose(
        flat(model.predict_proba(other) if estimator in CLASSIFIERS else model.predict(other)),
        flat(
            expected.predict_proba(by_hand)
            if estimator in CLASSIFIERS
            else expected.predict(by_hand)
        ),
        rtol=1e-9,
    )


@every_estimator
def test_missing_values_are_refused_unless_they_are_to_be_masked(estimator):
    X, y = make_data(estimator)
    model = small(estimator).fit(X, y)
    with pytest.raises(ValueError, match=r"X\[\d+\] with NaN"):
        small(estimator).fit(with_gaps(X), y)
    with pytest.raises(ValueError, match=r"X\[\d+\] with NaN"):
        model.predict(with_gaps(X))
    X[2][0, 0] = np.inf
    with pytest.raises(ValueError, match=r"X\[2\] with inf"):
        small(estimator, missing="mask").fit(X, y)


def test_a_variable_that_is_never_there_is_0():
    X, y = make_data(RNNRegressor)
    for x in X:
        x[:, 1] = np.nan
    model = small(RNNRegressor, missing="mask").fit(X, y)
    assert np.isfinite(model.predict(X)).all()
    filled = [np.column_stack([x[:, 0], 0 * x[:, 0]]) for x in X]
    hand = [np.hstack([x, np.tile([0.0, 1.0], (len(x), 1))]) for x in filled]
    assert_array_equal(theta_of(model), theta_of(small(RNNRegressor).fit(hand, y)))


# ---- one target for each sequence, taught at each step -----------------------------------------


@pytest.mark.parametrize("estimator", [RNNSequenceClassifier, RNNSequenceRegressor])
@pytest.mark.parametrize("form", [list, Ragged.from_sequences])
def test_a_target_of_a_sequence_is_told_after_its_last_step(form, estimator):
    one = RNNClassifier if estimator is RNNSequenceClassifier else RNNRegressor
    X, y = make_data(one)
    model = small(estimator).fit(form(X), y)
    told = model.predict(form(X))
    assert told.shape == (len(X),)
    at_each_step = model.network_.forward(X).output
    last = np.array([output[-1] for output in at_each_step])
    if estimator is RNNSequenceClassifier:
        assert_array_equal(told, model.classes_[last.argmax(axis=1)])
        assert_array_equal(model.predict_proba(X), last)
        assert model.score(X, y) == accuracy_score(y, told)
    else:
        assert_array_equal(told, last[:, 0])
        assert model.score(X, y) == r2_score(y, told)
    assert model.transform(X).shape == (len(X), 5)


# ---- what goes wrong ---------------------------------------------------------------------------


@every_estimator
def test_a_fitted_model_never_holds_what_is_not_finite(estimator):
    X, y = make_data(estimator)
    for solver in (*STOCHASTIC, "lbfgs"):
        model = small(
            estimator, solver=solver, learning_rate_init=1e20, max_grad_norm=None, max_iter=20,
            activation="identity",
        )  # fmt: skip
        assert np.isfinite(theta_of(model.fit(X, y))).all(), solver


def test_an_interrupted_lbfgs_keeps_its_last_iterate(monkeypatch):
    X, y = make_data(RNNRegressor)
    gradient = training.Trainer.gradient
    calls = iter(range(12))

    def interrupted(self):
        if next(calls, None) is None:
            raise KeyboardInterrupt
        return gradient(self)

    monkeypatch.setattr(training.Trainer, "gradient", interrupted)
    model = small(RNNRegressor, solver="lbfgs", max_iter=100)
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        model.fit(X, y)
    assert 0 < model.n_iter_ < 12
    monkeypatch.undo()
    whole = small(RNNRegressor, solver="lbfgs", max_iter=model.n_iter_).fit(X, y)
    assert model.loss_curve_ == whole.loss_curve_
    assert_array_equal(theta_of(model), theta_of(whole))


def test_an_interrupted_partial_fit_warns_and_keeps_what_it_has(monkeypatch):
    X, y = make_data(RNNRegressor)
    model = small(RNNRegressor).partial_fit(X, y)
    before = theta_of(model).copy()

    def interrupted(self, rate):
        raise KeyboardInterrupt

    monkeypatch.setattr(training.Trainer, "epoch", interrupted)
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        model.partial_fit(X, y)
    assert_array_equal(theta_of(model), before)


def test_early_stopping_prints_in_the_words_of_mlp(capsys):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 3)), rng.integers(2, size=40)
    options = {
        "early_stopping": True, "n_iter_no_change": 2, "tol": 10.0, "verbose": True,
        "random_state": 0,
    }  # fmt: skip
    MLPClassifier(4, **options).fit(X, y)
    theirs = capsys.readouterr().out.splitlines()
    RNNClassifier(4, **options).fit(X, y)
    ours = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in ours] == [line.split()[0] for line in theirs]
    assert ours[-1] == theirs[-1]


def test_a_cosine_that_has_come_to_its_end_is_no_reason_to_warn():
    X, y = make_data(RNNRegressor)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        assert small(RNNRegressor, learning_rate="cosine").fit(X, y).n_iter_ == 4
