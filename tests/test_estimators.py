"""The four estimators: what they learn, what they return, and that they are scikit-learn's kind."""

import copy
import pickle
import re
import warnings

import joblib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from processes import output_of
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    cross_val_predict,
    cross_val_score,
    train_test_split,
)
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from cbptt import (
    Ragged,
    RNNClassifier,
    RNNRegressor,
    RNNSequenceClassifier,
    RNNSequenceRegressor,
    training,
)

ESTIMATORS = (RNNClassifier, RNNRegressor, RNNSequenceClassifier, RNNSequenceRegressor)
OVER_STEPS = (RNNSequenceClassifier, RNNSequenceRegressor)
LENGTHS = (3, 5, 1, 4, 2, 6, 3, 4)
STILL = 1e-300  # a learning rate that changes no weight

every_estimator = pytest.mark.parametrize("estimator", ESTIMATORS)
every_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])
may_stop_early = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning"  # a few epochs are enough for the claim
)


def sequences(lengths=LENGTHS, D=2, seed=0):
    """Sequences of normal numbers."""
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(T, D)) for T in lengths]


def targets(estimator, X):
    """Targets that fit the estimator: of each sequence or step, real or of two classes."""
    if estimator in OVER_STEPS:
        numbers = [np.cumsum(x[:, 0]) for x in X]
        return [y > 0 for y in numbers] if estimator is RNNSequenceClassifier else numbers
    numbers = np.array([x[:, 0].sum() for x in X])
    return numbers > 0 if estimator is RNNClassifier else numbers


def fitted(model, X, y):
    """The model after fit, whether its loss has ceased to fall or not."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(X, y)


def small(estimator, **parameters):
    return estimator(4, **({"max_iter": 3, "random_state": 0} | parameters))


def flat(predictions):
    """Predictions for steps, one after the other; those for sequences as they are."""
    return np.concatenate(list(predictions)) if predictions[0].ndim else np.asarray(predictions)


def weights_of(model):
    return model.network_.theta


def weights_at_start(estimator, X, y, **parameters):
    return weights_of(fitted(small(estimator, **parameters, learning_rate_init=STILL), X, y))


def boxed(items):
    """1-D object array of the items."""
    array = np.empty(len(items), dtype=object)
    for i, item in enumerate(items):
        array[i] = item
    return array


def assert_same_model(actual, expected):
    """Both have the same fitted attributes, to the last bit."""
    names = {name for name in vars(expected) if name.endswith("_")}
    assert {name for name in vars(actual) if name.endswith("_")} == names
    for name in names - {"network_"}:
        assert_array_equal(getattr(actual, name), getattr(expected, name), err_msg=name)
    assert repr(actual.network_) == repr(expected.network_)
    assert_array_equal(weights_of(actual), weights_of(expected), strict=True)


# ---- learning -----------------------------------------------------------------------------------


def first_step_decides(n, seed):
    """The sign of the first step's first variable is the class; whatever follows is noise."""
    rng = np.random.default_rng(seed)
    X = [rng.normal(size=(T, 2)) for T in rng.integers(4, 9, n)]
    y = rng.choice(["down", "up"], n)
    for x, label in zip(X, y, strict=True):
        x[0, 0] = 2.0 if label == "up" else -2.0
    return X, y


def test_a_class_that_an_early_step_decides_is_learned():
    X, y = first_step_decides(150, seed=0)
    model = RNNClassifier(16, learning_rate_init=0.02, tol=1e-3, random_state=0).fit(X, y)
    X_new, y_new = first_step_decides(100, seed=1)
    assert model.score(X_new, y_new) > 0.95
    without_the_first_step = [x[1:] for x in X_new]
    assert model.score(without_the_first_step, y_new) < 0.7


def test_two_numbers_of_a_sequence_are_learned():
    def first_and_sum(n, seed):
        rng = np.random.default_rng(seed)
        X = [rng.uniform(-1, 1, T) for T in rng.integers(3, 6, n)]
        return X, np.array([[x[0], x.sum()] for x in X])

    model = RNNRegressor(16, learning_rate_init=0.02, random_state=0).fit(*first_and_sum(200, 0))
    assert model.score(*first_and_sum(50, seed=1)) > 0.9


def test_running_sums_are_learned():
    def running_sums(n, seed):
        rng = np.random.default_rng(seed)
        X = [rng.uniform(-1, 1, T) for T in rng.integers(5, 12, n)]
        return X, [np.cumsum(x) for x in X]

    model = RNNSequenceRegressor(16, learning_rate_init=0.02, random_state=0)
    assert model.fit(*running_sums(60, seed=0)).score(*running_sums(30, seed=1)) > 0.9


def test_the_parity_of_the_last_two_bits_is_learned():
    def parities(n, seed):
        rng = np.random.default_rng(seed)
        X = [rng.integers(0, 2, T) for T in rng.integers(5, 12, n)]
        return X, [x ^ np.append(0, x[:-1]) for x in X]

    model = RNNSequenceClassifier(16, learning_rate_init=0.02, tol=1e-3, random_state=0)
    assert model.fit(*parities(60, seed=0)).score(*parities(30, seed=1)) == 1


# ---- forms --------------------------------------------------------------------------------------

EQUAL = np.stack(sequences((4, 4, 4)))  # (3, 4, 2)
FORMS = {
    "list": list,
    "tuple": tuple,
    "lists": lambda X: X.tolist(),
    "objects": boxed,
    "ragged": Ragged.from_sequences,
    "3d": np.array,
}
every_form = pytest.mark.parametrize("form", FORMS)


def assert_mirrors(predictions, form, expected):
    """(n, T, ...) for an array, else an object array of (T_i, ...) arrays, with the values."""
    if form == "3d":
        assert predictions.dtype == expected.dtype
    else:
        assert predictions.dtype == object
        assert predictions.shape == (len(expected),)
    for ours, theirs in zip(predictions, expected, strict=True):
        assert_array_equal(ours, theirs, strict=True)


@every_form
def test_labels_of_steps_mirror_the_form_of_x(form):
    y = (EQUAL[:, :, 0] > 0).astype(int)
    model = fitted(small(RNNSequenceClassifier), EQUAL, y)
    X = FORMS[form](EQUAL)
    assert model.predict(EQUAL).shape == (3, 4)
    assert model.predict_proba(EQUAL).shape == (3, 4, 2)
    assert_mirrors(model.predict(X), form, model.predict(EQUAL))
    assert_mirrors(model.predict_proba(X), form, model.predict_proba(EQUAL))


@every_form
@pytest.mark.parametrize("tail", [(), (3,)])
def test_numbers_of_steps_mirror_the_form_of_x(form, tail):
    model = fitted(small(RNNSequenceRegressor), EQUAL, np.ones((3, 4, *tail)))
    assert model.predict(EQUAL).shape == (3, 4, *tail)
    assert_mirrors(model.predict(FORMS[form](EQUAL)), form, model.predict(EQUAL))


@every_form
def test_predictions_for_sequences_are_one_array_for_every_form(form):
    X = FORMS[form](EQUAL)
    for estimator, y, shape in (
        (RNNClassifier, ["a", "b", "a"], (3,)),
        (RNNRegressor, [1.0, 2.0, 0.0], (3,)),
        (RNNRegressor, np.ones((3, 2)), (3, 2)),
    ):
        model = fitted(small(estimator), EQUAL, y)
        predictions = model.predict(X)
        assert predictions.shape == shape
        assert predictions.dtype != object
        assert_array_equal(predictions, model.predict(EQUAL), strict=True)


@every_estimator
@every_form
def test_every_form_is_learned_from_alike(estimator, form):
    y = targets(estimator, EQUAL)
    model = fitted(small(estimator), FORMS[form](EQUAL), y)
    assert_same_model(model, fitted(small(estimator), EQUAL, y))


@pytest.mark.parametrize("estimator", OVER_STEPS)
@pytest.mark.parametrize("form", ["list", "objects", "ragged", "array"])
def test_every_form_of_targets_is_learned_from_alike(estimator, form):
    X = [x[:, :1] for x in EQUAL]
    y = np.stack(targets(estimator, X))
    make = {"array": np.array} | FORMS
    assert_same_model(fitted(small(estimator), X, make[form](y)), fitted(small(estimator), X, y))


def test_a_table_is_sequences_of_one_variable():
    X = EQUAL[:, :, 0]
    y = X > 0
    table = fitted(small(RNNSequenceClassifier), X, y)
    assert table.predict(X).shape == (3, 4)
    assert table.n_features_in_ == 4
    listed = fitted(small(RNNSequenceClassifier), list(X), y)
    assert listed.n_features_in_ == 1
    assert_array_equal(weights_of(table), weights_of(listed))
    assert_mirrors(table.predict(list(X)), "list", table.predict(X))


@every_estimator
def test_n_features_in_is_the_number_of_variables(estimator):
    for D in (1, 3):
        X = sequences(D=D)
        assert fitted(small(estimator), X, targets(estimator, X)).n_features_in_ == D


@every_estimator
def test_a_fitted_table_may_be_followed_by_sequences_of_other_lengths(estimator):
    X = EQUAL[:, :, 0]
    model = fitted(small(estimator), X, targets(estimator, EQUAL))
    short, long = np.ones(2), np.ones(9)
    predictions = model.predict([short, long])
    lengths = [2, 9] if estimator in OVER_STEPS else [1, 1]
    assert [np.size(y) for y in predictions] == lengths
    with pytest.raises(ValueError, match=r"X has 9 features, but .* is expecting 4 features"):
        model.predict(long[None])


def test_regression_targets_in_one_column_are_predicted_as_plain_numbers():
    X = sequences()
    y = targets(RNNSequenceRegressor, X)
    columns = fitted(small(RNNSequenceRegressor), X, [steps[:, None] for steps in y])
    assert_same_model(columns, fitted(small(RNNSequenceRegressor), X, y))
    assert columns.predict(X)[0].shape == (3,)


# ---- labels -------------------------------------------------------------------------------------

LABELS = [
    (["no", "yes"], "U3"),
    (["a", "perhaps", "nay"], "U7"),
    ([False, True], "?"),
    ([-3, 7, 0], "i8"),
    ([1.0, -2.0], "f8"),
    (np.array([5, 3], "i1"), "i1"),
    (boxed(["b", "a"]), None),  # text in boxes may leave them
]
every_label = pytest.mark.parametrize(
    ("labels", "dtype"), LABELS, ids=[str(list(row[0])) for row in LABELS]
)


@every_label
def test_sequences_may_have_any_labels(labels, dtype):
    """Sequences around 0, 1, 2: their classes are easily told."""
    codes = np.arange(30) % len(labels)
    y = np.asarray(labels)[codes]
    X = [x / 4 + code for x, code in zip(sequences([3, 4] * 15), codes, strict=True)]
    model = RNNClassifier(8, learning_rate_init=0.05, tol=0.01, random_state=0).fit(X, y)
    assert_array_equal(model.classes_, sorted(labels))
    assert_array_equal(model.predict(X), y)
    if dtype is not None:
        assert model.classes_.dtype == model.predict(X).dtype == np.dtype(dtype)
    probabilities = model.predict_proba(X)
    assert probabilities.shape == (30, len(labels))
    for column, label in enumerate(sorted(labels)):
        assert (probabilities[y == label, column] > 0.5).all()
    assert_allclose(probabilities.sum(axis=1), 1)
    assert_allclose(np.exp(model.predict_log_proba(X)), probabilities)


@every_label
def test_steps_may_have_any_labels(labels, dtype):
    """The label of a step is told by its value."""
    codes = [np.arange(i, i + T) % len(labels) for i, T in enumerate([3, 4] * 10)]
    X = [np.eye(len(labels))[code] for code in codes]
    y = [np.asarray(labels)[code] for code in codes]
    model = RNNSequenceClassifier(8, learning_rate_init=0.05, tol=0.01, random_state=0).fit(X, y)
    assert_array_equal(model.classes_, sorted(labels))
    predictions, probabilities = model.predict(X), model.predict_proba(X)
    for i, expected in enumerate(y):
        assert_array_equal(predictions[i], expected)
        columns = np.searchsorted(model.classes_, expected)
        assert (probabilities[i][np.arange(len(expected)), columns] > 0.5).all()


def test_one_class_alone_is_predicted_everywhere():
    X = sequences()
    model = fitted(small(RNNClassifier), X, ["only"] * len(X))
    assert_array_equal(model.predict(X), ["only"] * len(X))
    assert_array_equal(model.predict_proba(X), np.ones((len(X), 1)))


# ---- the first steps of training, by hand -------------------------------------------------------


def first_step(estimator, X, y, **parameters):
    """Weights before and after one full-batch step, the network before it, and the model."""
    parameters = {"alpha": 0.0, "max_grad_norm": None, "max_iter": 1} | parameters
    before = fitted(small(estimator, **parameters | {"learning_rate_init": STILL}), X, y)
    after = fitted(small(estimator, **parameters), X, y)
    return weights_of(before), weights_of(after), before.network_, after


def encoded(estimator, y):
    """What the network takes for y: classes from 0."""
    if estimator is RNNSequenceClassifier:
        return [steps.astype(int) for steps in y]
    return y.astype(int) if estimator is RNNClassifier else y


def gradient_of(network, X, y):
    """The gradient of the mean loss, laid out like theta."""
    _, gradients = network.loss_and_gradients(X, y)
    flat_gradient = np.empty_like(network.theta)
    for name, view in network.layout.views(flat_gradient).items():
        view[...] = gradients[name]
    return flat_gradient


@every_estimator
@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_goes_against_the_gradient(estimator, nesterov):
    X = sequences()
    y = targets(estimator, X)
    before, after, network, _ = first_step(
        estimator,
        X,
        y,
        solver="sgd",
        learning_rate_init=0.1,
        momentum=0.5,
        nesterovs_momentum=nesterov,
    )
    gradient = gradient_of(network, X, encoded(estimator, y))
    factor = 1.5 if nesterov else 1.0  # Nesterov looks ahead along the momentum
    assert_allclose(after - before, -0.1 * factor * gradient, rtol=1e-9, atol=1e-15)


@every_estimator
def test_the_first_step_of_adam_has_the_length_of_the_learning_rate(estimator):
    X = sequences()
    y = targets(estimator, X)
    before, after, network, _ = first_step(estimator, X, y, learning_rate_init=0.1)
    gradient = gradient_of(network, X, encoded(estimator, y))
    assert np.abs(gradient).max() > 1e-3
    assert_allclose(after - before, -0.1 * gradient / (np.abs(gradient) + 1e-8), rtol=1e-6)


@every_estimator
def test_the_penalty_shrinks_the_weights_and_not_the_biases(estimator):
    X = sequences()
    y = targets(estimator, X)
    step = {"solver": "sgd", "momentum": 0.0, "learning_rate_init": 0.1}
    before, free, network, _ = first_step(estimator, X, y, **step)
    _, penalised, _, _ = first_step(estimator, X, y, **step, alpha=3.0)
    n_targets = sum(LENGTHS) if estimator in OVER_STEPS else len(LENGTHS)
    differences = network.layout.views(penalised - free)
    for name, weight in network.layout.views(before).items():
        expected = 0.0 if name.startswith("bias") else -0.1 * 3.0 * weight / n_targets
        assert_allclose(differences[name], np.broadcast_to(expected, weight.shape), atol=1e-15)


@every_estimator
def test_a_large_gradient_is_scaled_down_to_max_grad_norm(estimator):
    X = sequences()
    y = targets(estimator, X)
    step = {"solver": "sgd", "momentum": 0.0, "learning_rate_init": 0.1}
    before, after, network, model = first_step(estimator, X, y, **step, max_grad_norm=1e-3)
    gradient = gradient_of(network, X, encoded(estimator, y))
    length = np.linalg.norm(gradient)
    assert length > 1e-3
    assert_allclose(after - before, -0.1 * 1e-3 * gradient / length, rtol=1e-9, atol=1e-15)
    assert_allclose(model.grad_norm_curve_, [length])
    assert model.clip_rate_ == 1

    _, _, _, unclipped = first_step(estimator, X, y, **step, max_grad_norm=2 * length)
    assert unclipped.clip_rate_ == 0
    assert_allclose(unclipped.grad_norm_curve_, [length])


@every_estimator
def test_clip_rate_is_the_share_of_the_batches_above_max_grad_norm(estimator):
    X = sequences()
    y = targets(estimator, X)
    still = {"learning_rate_init": STILL, "alpha": 0.0, "batch_size": 3, "shuffle": False}
    network = fitted(small(estimator, **still), X, y).network_
    classes = encoded(estimator, y)
    lengths = [
        np.linalg.norm(gradient_of(network, X[batch], classes[batch]))
        for batch in (slice(0, 3), slice(3, 6), slice(6, 8))
    ]
    largest_but_one = sorted(lengths)[1]
    model = fitted(small(estimator, **still, max_grad_norm=largest_but_one * 1.001), X, y)
    assert model.clip_rate_ == pytest.approx(1 / 3)
    assert_allclose(model.grad_norm_curve_, [np.mean(lengths)] * 3)


@every_estimator
@pytest.mark.parametrize("batch_size", [3, 8])
def test_the_loss_curve_is_the_mean_over_targets_and_the_penalty(estimator, batch_size):
    X = sequences()
    y = targets(estimator, X)
    model = fitted(
        small(estimator, learning_rate_init=STILL, batch_size=batch_size, alpha=0.5), X, y
    )
    network = model.network_
    n_targets = sum(LENGTHS) if estimator in OVER_STEPS else len(LENGTHS)
    squares = sum(np.sum(w**2) for name, w in network.parameters.items() if "weight" in name)
    n_batches = -(-len(X) // batch_size)  # each mini-batch has the penalty
    expected = network.loss(X, encoded(estimator, y)) + n_batches * 0.25 * squares / n_targets
    assert_allclose(model.loss_curve_, [expected] * 3)


# ---- training -----------------------------------------------------------------------------------


@every_estimator
@every_dtype
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_training_reduces_the_loss(estimator, dtype, solver):
    X = sequences()
    model = fitted(
        small(estimator, solver=solver, dtype=dtype, learning_rate_init=0.05, max_iter=60),
        X,
        targets(estimator, X),
    )
    assert model.loss_ < 0.5 * model.loss_curve_[0]


@every_estimator
def test_the_curves_tell_each_epoch(estimator):
    X = sequences()
    with pytest.warns(ConvergenceWarning) as record:
        model = small(estimator, max_iter=5).fit(X, targets(estimator, X))
    assert re.search(r"Maximum iterations \(5\) reached", str(record[0].message))
    assert record[0].filename == __file__
    assert model.n_iter_ == len(model.loss_curve_) == len(model.grad_norm_curve_) == 5
    assert model.loss_ == model.loss_curve_[-1]
    assert model.best_loss_ == min(model.loss_curve_)
    assert 0 <= model.clip_rate_ <= 1


@pytest.mark.parametrize("patience", [1, 4])
def test_training_stops_when_mlp_would(patience):
    """With weights that stand still, the stop depends on tol and n_iter_no_change alone."""
    parameters = {"learning_rate_init": STILL, "n_iter_no_change": patience, "random_state": 0}
    X = EQUAL[:, :, 0]
    y = [0, 1, 1]
    model = RNNClassifier(4, **parameters).fit(X, y)
    assert model.n_iter_ == MLPClassifier(4, **parameters).fit(X, y).n_iter_


def test_training_goes_on_while_the_loss_falls_by_tol():
    X, y = first_step_decides(20, seed=0)
    parameters = {"max_iter": 40, "n_iter_no_change": 2, "learning_rate_init": 0.01}
    patient = fitted(small(RNNClassifier, tol=0.0, **parameters), X, y)
    assert patient.n_iter_ == 40
    falls = -np.diff(patient.loss_curve_)
    assert (falls > 0).all()
    hasty = RNNClassifier(4, random_state=0, **parameters | {"tol": 10.0}).fit(X, y)
    assert hasty.n_iter_ == 4  # the first epoch has no loss before it, the next three fail
    assert_array_equal(hasty.loss_curve_, patient.loss_curve_[:4])


@pytest.mark.parametrize("verbose", [True, 1])
def test_verbose_prints_one_line_an_epoch(capsys, verbose):
    X = sequences()
    model = fitted(small(RNNRegressor, verbose=verbose), X, targets(RNNRegressor, X))
    lines = capsys.readouterr().out.splitlines()
    expected = [f"Iteration {i}, loss = {x:.8f}" for i, x in enumerate(model.loss_curve_, 1)]
    assert lines == expected
    assert len(lines) == 3


def test_verbose_tells_why_training_stopped_in_the_words_of_mlp(capsys):
    parameters = {
        "learning_rate_init": STILL,
        "n_iter_no_change": 2,
        "random_state": 0,
        "verbose": True,
    }
    X = EQUAL[:, :, 0]
    said = []
    for model in (RNNClassifier(4, **parameters), MLPClassifier(4, **parameters)):
        model.fit(X, [0, 1, 1])
        said.append(re.sub(r"loss = [\d.]+", "loss = ...", capsys.readouterr().out))
    assert said[0] == said[1]


def test_nothing_is_printed_unless_asked_for(capfd):
    X = sequences()
    fitted(small(RNNRegressor), X, targets(RNNRegressor, X))
    assert capfd.readouterr() == ("", "")


@every_estimator
@pytest.mark.parametrize(("n", "size"), [(5, 5), (40, 32)])
def test_batch_size_auto_is_at_most_32_sequences(estimator, n, size):
    X = sequences([1 + i % 4 for i in range(n)])
    y = targets(estimator, X)
    auto = fitted(small(estimator), X, y)
    assert_same_model(auto, fitted(small(estimator, batch_size=size), X, y))
    other = fitted(small(estimator, batch_size=size - 1), X, y)
    assert (weights_of(auto) != weights_of(other)).any()


def test_a_batch_larger_than_the_data_is_all_of_it():
    X = sequences()
    y = targets(RNNRegressor, X)
    assert_same_model(
        fitted(small(RNNRegressor, batch_size=1000), X, y),
        fitted(small(RNNRegressor, batch_size=len(X)), X, y),
    )


def test_without_shuffle_the_sequences_come_in_their_order():
    X = sequences()
    y = targets(RNNRegressor, X)
    step = {"solver": "sgd", "momentum": 0.0, "batch_size": 1, "max_iter": 1, "shuffle": False}
    model = fitted(small(RNNRegressor, **step, alpha=0.0), X, y)
    network = copy.deepcopy(model.network_)
    network.theta = weights_at_start(RNNRegressor, X, y, shuffle=False)
    for x, target in zip(X, y, strict=True):
        gradient = gradient_of(network, [x], [target])
        gradient *= min(1.0, 1.0 / np.linalg.norm(gradient))  # max_grad_norm=1.0
        network.theta = network.theta - 0.001 * gradient
    assert_allclose(weights_of(model), network.theta, rtol=1e-10)
    shuffled = fitted(small(RNNRegressor, **step | {"shuffle": True}), X, y)
    assert (weights_of(shuffled) != weights_of(model)).any()


# ---- seeds --------------------------------------------------------------------------------------


@every_estimator
@every_dtype
def test_the_same_seed_gives_the_same_bits(estimator, dtype):
    X = sequences()
    y = targets(estimator, X)
    model = fitted(small(estimator, batch_size=3, dtype=dtype), X, y)
    assert_same_model(fitted(clone(model), X, y), model)


@every_estimator
def test_another_seed_starts_from_other_weights(estimator):
    X = sequences()
    y = targets(estimator, X)
    first, second = (weights_at_start(estimator, X, y, random_state=seed) for seed in (0, 1))
    assert (first[: first.size // 2] != second[: first.size // 2]).all()


def test_a_random_state_is_drawn_from():
    X = sequences()
    y = targets(RNNRegressor, X)
    source = np.random.RandomState(0)
    model = small(RNNRegressor, random_state=source)
    first, second = (weights_of(fitted(model, X, y)) for _ in range(2))
    assert (first != second).any()
    again = small(RNNRegressor, random_state=np.random.RandomState(0))
    assert_array_equal(weights_of(fitted(again, X, y)), first)


def test_a_seed_leaves_the_global_state_alone_and_none_draws_from_it():
    X = sequences()
    y = targets(RNNRegressor, X)
    state = np.random.get_state()  # noqa: NPY002
    try:
        np.random.seed(0)  # noqa: NPY002
        fitted(small(RNNRegressor, random_state=0), X, y)
        assert np.random.get_state()[2] == np.random.RandomState(0).get_state()[2]  # noqa: NPY002
        first = weights_of(fitted(small(RNNRegressor, random_state=None), X, y))
        np.random.seed(0)  # noqa: NPY002
        second = weights_of(fitted(small(RNNRegressor, random_state=None), X, y))
        assert_array_equal(first, second)
    finally:
        np.random.set_state(state)  # noqa: NPY002


# ---- precision ----------------------------------------------------------------------------------


@every_estimator
@pytest.mark.parametrize(
    ("given", "asked", "expected"),
    [
        ("f4", "auto", "f4"),
        ("f8", "auto", "f8"),
        ("i8", "auto", "f8"),
        ("f2", "auto", "f8"),
        ("f4", "float64", "f8"),
        ("f8", "float32", "f4"),
        ("i8", "float32", "f4"),
    ],
)
def test_the_precision_is_that_of_x_or_that_asked_for(estimator, given, asked, expected):
    X = [np.round(4 * x).astype(given) for x in sequences()]
    model = fitted(small(estimator, dtype=asked), X, targets(estimator, X))
    assert model.network_.dtype == weights_of(model).dtype == np.dtype(expected)
    X64 = [x.astype("f8") for x in X]
    if is_regressor(model):
        assert flat(model.predict(X64)).dtype == np.dtype(expected)
    else:
        assert np.concatenate(list(model.predict_proba(X64))).dtype == np.dtype(expected)


@every_estimator
def test_both_precisions_learn_the_same_up_to_rounding(estimator):
    X = sequences()
    y = targets(estimator, X)
    single, double = (fitted(small(estimator, dtype=d), X, y) for d in ("float32", "float64"))
    assert_allclose(single.loss_curve_, double.loss_curve_, rtol=1e-4)
    assert_allclose(weights_of(single), weights_of(double), rtol=1e-3, atol=1e-4)


# ---- copies -------------------------------------------------------------------------------------


def by_joblib(model, directory):
    joblib.dump(model, directory / "model.joblib")
    return joblib.load(directory / "model.joblib")


@every_estimator
@pytest.mark.parametrize(
    "way",
    [
        lambda model, directory: pickle.loads(pickle.dumps(model)),
        lambda model, directory: copy.copy(model),
        lambda model, directory: copy.deepcopy(model),
        by_joblib,
    ],
    ids=["pickle", "copy", "deepcopy", "joblib"],
)
def test_a_copy_is_the_same_model(estimator, way, tmp_path):
    X = sequences()
    model = fitted(small(estimator), X, targets(estimator, X))
    other = way(model, tmp_path)
    assert_same_model(other, model)
    assert_array_equal(flat(other.predict(X)), flat(model.predict(X)), strict=True)
    assert other.get_params() == model.get_params()
    other.network_.parameters["bias_o"][:] = 7  # still a view into theta
    assert (weights_of(other) == 7).any()


@every_estimator
def test_a_deep_copy_shares_no_weights(estimator):
    X = sequences()
    model = fitted(small(estimator), X, targets(estimator, X))
    weights = weights_of(model).copy()
    other = copy.deepcopy(model)
    other.network_.theta = np.zeros_like(weights)
    assert_array_equal(weights_of(model), weights)


@every_estimator
def test_a_clone_has_the_parameters_and_nothing_learned(estimator):
    X = sequences()
    model = fitted(small(estimator, alpha=0.5, init="uniform"), X, targets(estimator, X))
    other = clone(model)
    assert other.get_params() == model.get_params()
    assert [name for name in vars(other) if name.endswith("_")] == []
    with pytest.raises(NotFittedError):
        other.predict(X)


@every_estimator
def test_parameters_can_be_read_and_set(estimator):
    model = estimator((5,), alpha=0.5)
    assert model.get_params()["hidden_layer_sizes"] == (5,)
    assert model.set_params(hidden_layer_sizes=7, max_iter=2) is model
    X = sequences()
    assert fitted(model, X, targets(estimator, X)).network_.hidden_size == 7
    assert model.n_iter_ == 2
    with pytest.raises(ValueError, match="Invalid parameter 'n_layers'"):
        model.set_params(n_layers=2)


@every_estimator
def test_the_docstring_lists_the_parameters_and_what_is_learned(estimator):
    X = sequences()
    model = fitted(small(estimator), X, targets(estimator, X))
    _, _, rest = estimator.__doc__.partition("Parameters\n")
    parameters, _, rest = rest.partition("Attributes\n")
    attributes = rest.partition("See Also\n")[0]

    def names(section):
        listed = re.findall(r"^([\w, ]+) : ", section, re.MULTILINE)
        return [name for line in listed for name in line.split(", ")]

    assert sorted(names(parameters)) == sorted(model.get_params())
    learned = [name for name in vars(model) if name.endswith("_") and not name.startswith("_")]
    learned += ["coefs_", "recurrent_coefs_", "intercepts_", "feature_names_in_"]
    assert sorted(names(attributes)) == sorted(learned)


def test_estimators_need_no_docstrings():
    code = "import cbptt; print(cbptt.RNNClassifier.__doc__, cbptt.RNNForecaster(3))"
    assert output_of("-OO", "-c", code) == "None RNNForecaster(hidden_layer_sizes=3)\n"


# ---- scikit-learn's tools -----------------------------------------------------------------------

CONTAINERS = {"list": list, "ragged": Ragged.from_sequences, "objects": boxed}
every_container = pytest.mark.parametrize("container", CONTAINERS)


@every_estimator
@every_container
@may_stop_early
def test_cross_validation_cuts_sequences(estimator, container):
    X = sequences()
    y = targets(estimator, X)
    folds = KFold(4)
    scores = cross_val_score(small(estimator), CONTAINERS[container](X), y, cv=folds)
    for score, (train, test) in zip(scores, folds.split(X), strict=True):
        model = small(estimator).fit([X[i] for i in train], [y[i] for i in train])
        assert score == model.score([X[i] for i in test], [y[i] for i in test])


@every_estimator
@every_container
@may_stop_early
def test_cross_validated_predictions_are_those_of_the_folds(estimator, container):
    X = sequences()
    y = targets(estimator, X)
    folds = KFold(4)
    predictions = cross_val_predict(small(estimator), CONTAINERS[container](X), y, cv=folds)
    assert len(predictions) == len(X)
    if estimator in OVER_STEPS:
        assert predictions.dtype == object
        assert [len(steps) for steps in predictions] == list(LENGTHS)
    for train, test in folds.split(X):
        model = small(estimator).fit([X[i] for i in train], [y[i] for i in train])
        expected = model.predict([X[i] for i in test])
        for i, steps in zip(test, expected, strict=True):
            assert_array_equal(predictions[i], steps)


@may_stop_early
def test_cross_validated_probabilities_have_a_column_for_each_class():
    X, y = first_step_decides(40, seed=0)
    model = RNNClassifier(16, learning_rate_init=0.05, max_iter=60, random_state=0)
    for form in CONTAINERS.values():
        p = cross_val_predict(model, form(X), y, method="predict_proba", cv=2)
        assert p.shape == (40, 2)
        assert accuracy_score(y, np.array(["down", "up"])[p.argmax(axis=1)]) > 0.8


@every_estimator
@every_container
@may_stop_early
def test_a_grid_search_finds_the_learning_rate_that_learns(estimator, container):
    X = sequences(LENGTHS * 3)
    y = targets(estimator, X)
    grid = {"learning_rate_init": [STILL, 0.03]}
    search = GridSearchCV(small(estimator, max_iter=40), grid, cv=2)
    search.fit(CONTAINERS[container](X), y)
    assert search.best_params_ == {"learning_rate_init": 0.03}
    assert_array_equal(flat(search.predict(X)), flat(search.best_estimator_.predict(X)))
    assert search.n_features_in_ == 2


@every_estimator
@every_container
def test_train_test_split_keeps_sequences_and_targets_together(estimator, container):
    X = sequences()
    y = targets(estimator, X)
    parts = train_test_split(CONTAINERS[container](X), y, random_state=0)
    by_hand = train_test_split(X, y, random_state=0)
    model = fitted(small(estimator), parts[0], parts[2])
    assert_same_model(model, fitted(small(estimator), by_hand[0], by_hand[2]))
    assert np.isfinite(model.score(parts[1], parts[3]))


def halved(X):
    return [x / 2 for x in X]


@every_estimator
def test_a_pipeline_transforms_sequences_first(estimator):
    X = sequences()
    y = targets(estimator, X)
    pipeline = fitted(make_pipeline(FunctionTransformer(halved), small(estimator)), X, y)
    alone = fitted(small(estimator), halved(X), y)
    assert_same_model(pipeline[-1], alone)
    assert_array_equal(flat(pipeline.predict(X)), flat(alone.predict(halved(X))))


def test_scikit_learn_knows_classifiers_from_regressors():
    assert [is_classifier(estimator()) for estimator in ESTIMATORS] == [True, False, True, False]
    assert [is_regressor(estimator()) for estimator in ESTIMATORS] == [False, True, False, True]


# ---- inputs and refits --------------------------------------------------------------------------


def protected(array):
    array = np.array(array)
    array.flags.writeable = False
    return array


@every_estimator
@every_dtype
def test_read_only_inputs_work_and_stay_as_they_are(estimator, dtype):
    X = [protected(x.astype(dtype)) for x in sequences()]
    y = targets(estimator, X)
    y = [protected(steps) for steps in y] if estimator in OVER_STEPS else protected(y)
    X_before, y_before = copy.deepcopy((X, y))
    model = fitted(small(estimator), X, y)
    model.predict(X)
    model.score(X, y)
    for now, before in ((X, X_before), (y, y_before)):
        assert all(np.array_equal(a, b) for a, b in zip(now, before, strict=True))


@every_estimator
@every_dtype
def test_memory_maps_are_learned_from_like_memory(estimator, dtype, tmp_path):
    X = EQUAL.astype(dtype)
    y = np.asarray(targets(estimator, X))
    joblib.dump((X, y), tmp_path / "data")
    X_mapped, y_mapped = joblib.load(tmp_path / "data", mmap_mode="r")
    assert isinstance(X_mapped, np.memmap)
    model = fitted(small(estimator), X_mapped, y_mapped)
    assert_same_model(model, fitted(small(estimator), X, y))
    assert_array_equal(model.predict(X_mapped), model.predict(X))
    ragged = Ragged(X_mapped.reshape(12, 2), [0, 4, 8, 12])
    assert_array_equal(flat(model.predict(ragged)), flat(model.predict(X)))


@every_estimator
def test_writable_inputs_stay_as_they_are(estimator):
    X, before = EQUAL.copy(), EQUAL.copy()
    y = np.asarray(targets(estimator, X))
    y_before = y.copy()
    fitted(small(estimator), X, y).predict(X)
    assert_array_equal(X, before)
    assert_array_equal(y, y_before)


@every_estimator
def test_changing_the_data_after_fit_changes_no_prediction(estimator):
    X = EQUAL.copy()
    y = np.asarray(targets(estimator, X))
    model = fitted(small(estimator), X, y)
    expected = np.array(model.predict(EQUAL))
    X[...] = 0
    y[...] = 0
    assert_array_equal(model.predict(EQUAL), expected)


@every_estimator
def test_a_refit_replaces_all_that_was_learned(estimator):
    first = EQUAL[:, :, 0]
    second = sequences(D=3, seed=1)
    y = targets(estimator, second)
    model = fitted(small(estimator), first, targets(estimator, EQUAL))
    assert_same_model(fitted(model, second, y), fitted(small(estimator), second, y))
    assert fitted(model, first, targets(estimator, EQUAL)).n_features_in_ == 4


def test_a_refit_replaces_classes_and_the_shape_of_targets():
    X = sequences()
    model = small(RNNClassifier)
    fitted(model, X, ["a", "b"] * 4)
    assert_array_equal(fitted(model, X, [3, 1, 2, 1] * 2).classes_, [1, 2, 3])
    model = small(RNNRegressor)
    assert fitted(model, X, np.ones((8, 2))).predict(X).shape == (8, 2)
    assert fitted(model, X, np.ones(8)).predict(X).shape == (8,)


def test_fit_returns_the_estimator_itself():
    model = small(RNNRegressor)
    X = sequences()
    assert fitted(model, X, targets(RNNRegressor, X)) is model


@every_estimator
@pytest.mark.parametrize("trouble", ["X", "y", "parameter", "memory", "warning"])
def test_a_fit_that_raises_leaves_the_earlier_one_untouched(estimator, trouble, monkeypatch):
    X = sequences()
    y = targets(estimator, X)
    model = fitted(small(estimator), X, y)
    before, weights = dict(vars(model)), weights_of(model).copy()
    error = {"memory": MemoryError, "warning": ConvergenceWarning}.get(trouble, ValueError)

    other = sequences(D=3, seed=1)
    other_y = targets(estimator, other)
    if trouble == "X":
        other[-1] = np.ones((2, 2))
    elif trouble == "y":
        other_y = other_y[:-1]
    elif trouble == "parameter":
        model.alpha = before["alpha"] = -1
    elif trouble == "memory":

        def fail(self, rate):
            raise MemoryError

        monkeypatch.setattr(training.Trainer, "epoch", fail)
    with pytest.raises(error):
        model.fit(other, other_y)

    assert vars(model).keys() == before.keys()
    assert all(vars(model)[name] is value for name, value in before.items())
    assert_array_equal(weights_of(model), weights)
    assert len(model.predict(X)) == len(X)


def test_a_first_fit_that_raises_leaves_no_trace():
    model = small(RNNClassifier)
    with pytest.raises(ValueError, match="for 8 sequences in X"):
        model.fit(sequences(), [0, 1])
    assert [name for name in vars(model) if name.endswith("_")] == []
    with pytest.raises(NotFittedError):
        model.predict(sequences())


# ---- score --------------------------------------------------------------------------------------


@pytest.mark.parametrize("estimator", OVER_STEPS)
@pytest.mark.parametrize("weights", ["none", "sequences", "steps", "ragged steps"])
def test_a_score_over_steps_is_the_metric_of_all_steps(estimator, weights):
    X = sequences()
    y = targets(estimator, X)
    model = fitted(small(estimator), X, y)
    rng = np.random.default_rng(1)
    per_sequence = rng.uniform(0, 2, len(X))
    per_step = [rng.uniform(0, 2, T) for T in LENGTHS]
    given, per_row = {
        "none": (None, None),
        "sequences": (per_sequence, np.repeat(per_sequence, LENGTHS)),
        "steps": (per_step, np.concatenate(per_step)),
        "ragged steps": (Ragged.from_sequences(per_step), np.concatenate(per_step)),
    }[weights]
    metric = accuracy_score if estimator is RNNSequenceClassifier else r2_score
    expected = metric(np.concatenate(y), flat(model.predict(X)), sample_weight=per_row)
    assert model.score(X, y, sample_weight=given) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("estimator", [RNNClassifier, RNNRegressor])
def test_a_score_over_sequences_is_that_of_scikit_learn(estimator):
    X = sequences()
    y = targets(estimator, X)
    model = fitted(small(estimator), X, y)
    metric = accuracy_score if estimator is RNNClassifier else r2_score
    weight = np.arange(8.0)
    told = model.predict(X)
    assert model.score(X, y) == pytest.approx(metric(y, told), rel=1e-12)
    assert model.score(X, y, weight) == pytest.approx(
        metric(y, told, sample_weight=weight), rel=1e-12
    )


def test_a_score_over_several_outputs_is_their_mean():
    X = sequences()
    y = [np.column_stack([np.cumsum(x[:, 0]), x[:, 1]]) for x in X]
    model = fitted(small(RNNSequenceRegressor), X, y)
    expected = r2_score(np.concatenate(y), flat(model.predict(X)))
    assert model.score(X, y) == pytest.approx(expected, rel=1e-12)


# ---- trouble ------------------------------------------------------------------------------------


@every_estimator
@every_dtype
@pytest.mark.parametrize(("solver", "rate"), [("sgd", 1e3), ("adam", 1e37)])
def test_a_diverging_fit_warns_and_keeps_a_network_that_predicts(estimator, dtype, solver, rate):
    X = sequences()
    y = targets(estimator, X)
    model = small(
        estimator,
        activation="identity",
        solver=solver,
        learning_rate_init=rate,
        max_grad_norm=None,
        alpha=0.0,
        max_iter=50,
        dtype=dtype,
    )
    with pytest.warns(ConvergenceWarning, match="no longer finite.*learning_rate_init") as record:
        model.fit(X, y)
    assert [warning.filename for warning in record] == [__file__]
    assert model.n_iter_ < 50
    assert model.n_iter_ == len(model.loss_curve_)
    assert np.isfinite(weights_of(model)).all()
    kept = model.network_.loss(X, encoded(estimator, y))
    assert kept == pytest.approx(model.best_loss_, rel=1e-6)
    outputs = model.predict(X) if is_regressor(model) else model.predict_proba(X)
    assert np.isfinite(np.concatenate([np.ravel(y) for y in outputs])).all()


def test_best_loss_and_clip_rate_leave_out_an_epoch_without_a_step():
    X = sequences()
    model = small(RNNRegressor, activation="identity", learning_rate_init=1e37, max_iter=50)
    with pytest.warns(ConvergenceWarning, match="no longer finite"):
        model.fit(X, targets(RNNRegressor, X))
    assert np.isfinite(model.loss_curve_[0])
    assert model.best_loss_ == np.nanmin(model.loss_curve_)
    assert 0 <= model.clip_rate_ <= 1


def test_a_fit_that_cannot_take_a_step_keeps_the_weights_of_the_start():
    X = sequences()
    y = np.full(len(X), 1e200)  # its square is infinite
    model = small(RNNRegressor)
    with pytest.warns(ConvergenceWarning, match="iteration 1: .*no longer finite"):
        model.fit(X, y)
    start = weights_at_start(RNNRegressor, X, np.ones(len(X)))
    assert_allclose(weights_of(model), start, rtol=0, atol=1e-200)
    assert np.isfinite(model.predict(X)).all()


def fit_and_return(model, X, y):
    """Fit; an interrupt that fit lets through fails the test, and does not end the run."""
    try:
        assert model.fit(X, y) is model
    except KeyboardInterrupt:
        pytest.fail("fit did not catch the interrupt")


@every_estimator
@pytest.mark.parametrize("n_whole_epochs", [0, 2])
def test_an_interrupted_fit_warns_and_keeps_what_it_has(estimator, n_whole_epochs, monkeypatch):
    X = sequences()
    y = targets(estimator, X)
    expected = fitted(small(estimator, max_iter=max(n_whole_epochs, 1)), X, y)
    weights = weights_of(expected) if n_whole_epochs else weights_at_start(estimator, X, y)
    epochs = iter(range(n_whole_epochs))
    epoch = training.Trainer.epoch

    def interrupted(self, *rate):
        if next(epochs, None) is None:
            raise KeyboardInterrupt
        return epoch(self, *rate)

    monkeypatch.setattr(training.Trainer, "epoch", interrupted)
    model = small(estimator, max_iter=50)
    with pytest.warns(UserWarning, match=r"^Training interrupted by user\.$") as record:
        fit_and_return(model, X, y)
    assert [warning.filename for warning in record] == [__file__]

    assert model.n_iter_ == n_whole_epochs
    assert model.loss_curve_ == expected.loss_curve_[:n_whole_epochs]
    assert_allclose(weights_of(model), weights, rtol=0, atol=1e-200)
    assert len(model.predict(X)) == len(X)
    assert np.isfinite(model.score(X, y))


def test_an_interrupted_estimator_can_be_fitted_again(monkeypatch):
    X = sequences()
    y = targets(RNNRegressor, X)
    model = small(RNNRegressor)

    def interrupted(self, rate):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(training.Trainer, "epoch", interrupted)
        with pytest.warns(UserWarning, match="interrupted"):
            fit_and_return(model, X, y)
    assert_same_model(fitted(model, X, y), fitted(small(RNNRegressor), X, y))
