"""Rules that the documentation states in a sentence, and no other test holds."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import KFold, cross_val_score

from cbptt import (
    RNNClassifier,
    RNNRegressor,
    RNNSequenceClassifier,
    RNNSequenceRegressor,
    training,
)
from cbptt.estimators._fitting import Schedule
from cbptt.estimators._number_targets import NumberTargets

RNG = np.random.default_rng(0)
X = [RNG.normal(size=(T, 2)) for T in RNG.integers(3, 8, 20)]
HOLES = [np.where(RNG.random(x.shape) < 0.3, np.nan, x) for x in X]
Y = np.arange(20) % 2
NUMBERS = np.array([x.mean() for x in X])
STEPS = [(x[:, 0] > 0).astype(int) for x in X]
ESTIMATORS = {
    RNNClassifier: Y,
    RNNRegressor: NUMBERS,
    RNNSequenceClassifier: STEPS,
    RNNSequenceRegressor: [x[:, 0] for x in X],
}
every_estimator = pytest.mark.parametrize("estimator", ESTIMATORS)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def small(estimator: Any, **parameters: Any) -> Any:
    return estimator(4, **({"max_iter": 3, "random_state": 0} | parameters))


def theta_of(model: Any) -> Any:
    return model.network_.theta


# ---- X, y and weights ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dtypes", "precision"),
    [
        (["f4", "f4"], "float32"),
        (["f4", "i1"], "float32"),
        (["f4", "i4"], "float64"),
        (["f4", "f8"], "float64"),
        (["i8", "?"], "float64"),
    ],
)
def test_the_precision_is_the_common_type_of_all_sequences(
    dtypes: list[str], precision: str
) -> None:
    mixed = [np.ones((3, 2), dtype) for dtype in dtypes]
    assert small(RNNRegressor).fit(mixed, [0, 1]).network_.dtype == precision


def test_labels_may_be_whole_numbers_in_floats() -> None:
    model = small(RNNClassifier).fit(X, Y + 1.0)
    assert model.classes_.tolist() == [1.0, 2.0]


def test_a_target_of_weight_zero_may_be_nan() -> None:
    weights = np.r_[0, np.ones(19)]
    for estimator, y in ((RNNRegressor, NUMBERS), (RNNClassifier, Y.astype(float))):
        holes = np.r_[np.nan, y[1:]]
        with pytest.raises(ValueError, match=r"y\[0\].*NaN"):
            small(estimator).fit(X, holes)
        expected = small(estimator).fit(X[1:], y[1:])
        assert_array_equal(theta_of(small(estimator).fit(X, holes, weights)), theta_of(expected))


def test_nan_for_a_sequence_is_no_target_of_its_steps() -> None:
    model = small(RNNSequenceRegressor).fit(X, np.r_[np.nan, NUMBERS[1:]])
    expected = small(RNNSequenceRegressor).fit(X[1:], NUMBERS[1:])
    assert_array_equal(theta_of(model), theta_of(expected))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_sequence_counts_alike_where_its_target_is_taught_at_each_step(dtype: str) -> None:
    at_once = {"solver": "lbfgs", "dtype": dtype}
    shared = small(RNNSequenceRegressor, **at_once).fit(X, NUMBERS)
    by_hand = small(RNNSequenceRegressor, **at_once).fit(
        X,
        [np.full(len(x), y) for x, y in zip(X, NUMBERS, strict=True)],
        [np.full(len(x), 1 / len(x)) for x in X],
    )
    assert theta_of(shared) == pytest.approx(theta_of(by_hand), rel=1e-4)


@every_estimator
def test_sequences_of_weight_zero_are_not_in_the_means_of_missing_values(estimator: Any) -> None:
    y, weights = ESTIMATORS[estimator], np.r_[np.zeros(5), np.ones(15)]
    model = small(estimator, missing="mask").fit(HOLES, y, weights)
    expected = small(estimator, missing="mask").fit(HOLES[5:], y[5:])
    for found, same in zip(model.predict(HOLES), expected.predict(HOLES), strict=True):
        assert_array_equal(found, same)


def test_several_labels_at_once_need_no_classes_in_partial_fit() -> None:
    model = small(RNNClassifier).partial_fit(X, np.column_stack([Y, 1 - Y]))
    assert model.partial_fit(X, np.column_stack([Y, Y])).n_iter_ == 2


def test_accuracy_of_steps_is_read_by_scikit_learn_as_the_table_says() -> None:
    cube = np.stack([x[:3] for x in X])
    binary, numbers = (cube[:, :, 0] > 0).astype(int), cube.cumsum(axis=1)[:, :, 0]
    folds = KFold(2)

    def pairs(model: Any, y: Any) -> list[Any]:
        return [(y[b], model.fit(cube[a], y[a]).predict(cube[b])) for a, b in folds.split(cube)]

    model = small(RNNSequenceClassifier)
    scores = cross_val_score(model, cube, binary, scoring="accuracy", cv=folds)
    expected = [(p == y).all(axis=1).mean() for y, p in pairs(model, binary)]
    assert scores.tolist() == expected == [accuracy_score(*pair) for pair in pairs(model, binary)]
    with pytest.warns(UserWarning, match="Scoring failed"):
        scores = cross_val_score(model, X, STEPS, scoring="accuracy", cv=folds)
    assert np.isnan(scores).all()

    model = small(RNNSequenceRegressor)
    scores = cross_val_score(model, cube, numbers, scoring="r2", cv=folds)
    by_step = [np.mean([r2_score(*s) for s in zip(y.T, p.T, strict=True)])
               for y, p in pairs(model, numbers)]  # fmt: skip
    assert scores == pytest.approx(by_step)


# ---- what is counted ----------------------------------------------------------------------------


def test_epochs_are_counted_from_the_last_fit_and_sequences_from_the_first() -> None:
    model = small(RNNRegressor, warm_start=True).fit(X, NUMBERS)
    model.fit(X, NUMBERS)
    assert (model.n_iter_, model.t_, len(model.loss_curve_)) == (3, 6 * 20, 6)
    model.partial_fit(X, NUMBERS).partial_fit(X[:5], NUMBERS[:5])
    assert (model.n_iter_, model.t_, len(model.loss_curve_)) == (5, 7 * 20 + 5, 8)
    model.set_params(solver="lbfgs").fit(X, NUMBERS)
    assert (model.n_iter_, model.t_) == (3, 10 * 20 + 5)


def test_the_clip_rate_counts_steps_of_the_solver() -> None:
    x = RNG.normal(size=(1, 40, 2))
    model = small(RNNSequenceRegressor, bptt_steps=10, max_iter=1, max_grad_norm=1e-9)
    # one mini-batch of four windows, of which the last has no target and takes no step
    y = np.where(np.arange(40) < 30, x[:, :, 0], np.nan)
    model.fit(x, y)
    assert model.clip_rate_ == 1


def test_streams_leave_short_sequences_whole() -> None:
    lengths = (80, 3, 4)
    series = [RNG.normal(size=(T, 1)) for T in lengths]
    model = small(RNNSequenceRegressor, bptt_steps=10, bptt_streams=True, batch_size=4, max_iter=1)
    assert model.fit(series, [x[:, 0] for x in series]).t_ == 4 + 2


# ---- learning rates -----------------------------------------------------------------------------


def test_inverse_scaling_divides_the_rate_by_14_after_200_sequences() -> None:
    assert 0.1 / Schedule("invscaling", 0.1, 0.5, 10).rate(1, 200) == pytest.approx(14, abs=0.5)


def test_an_adaptive_rate_is_constant_in_partial_fit() -> None:
    plain, adaptive = (
        small(RNNRegressor, learning_rate=kind, tol=1e9, n_iter_no_change=1)
        for kind in ("constant", "adaptive")
    )
    for _ in range(5):
        plain.partial_fit(X, NUMBERS)
        adaptive.partial_fit(X, NUMBERS)
    assert_array_equal(theta_of(adaptive), theta_of(plain))


# ---- held-out sequences and the end of training -------------------------------------------------


@every_estimator
def test_early_stopping_is_for_lbfgs_too(estimator: Any) -> None:
    y = ESTIMATORS[estimator]
    options = {"solver": "lbfgs", "max_iter": 60, "n_iter_no_change": 2, "tol": 1e-9}
    model = small(estimator, early_stopping=True, **options)
    model.fit(X[:12], y[:12], validation_data=(X[12:], y[12:]))
    assert model.best_validation_score_ == max(model.validation_scores_)
    assert model.score(X[12:], y[12:]) == pytest.approx(model.best_validation_score_)
    assert model.n_iter_ < 60


def test_no_unit_is_dropped_of_held_out_sequences() -> None:
    model = small(RNNRegressor, dropout=0.5, recurrent_dropout=0.5)
    model.fit(X[:12], NUMBERS[:12], validation_data=(X[12:], NUMBERS[12:]))
    loss = model.network_.loss(X[12:], NUMBERS[12:])
    assert model.validation_loss_curve_[-1] == pytest.approx(loss, rel=1e-12)


def test_ctrl_c_keeps_the_best_weights_where_training_stops_early(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scores = iter([0.1, 0.3, 0.2])
    epoch = training.Trainer.epoch

    def interrupted(self: Any, rate: float) -> Any:
        if scores.__length_hint__() == 0:
            raise KeyboardInterrupt
        return epoch(self, rate)

    monkeypatch.setattr(training.Trainer, "epoch", interrupted)
    monkeypatch.setattr(NumberTargets, "score_held_out", lambda *args: next(scores))
    model = small(RNNRegressor, early_stopping=True, max_iter=9)
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        model.fit(X, NUMBERS, validation_data=(X, NUMBERS))
    monkeypatch.undo()
    assert_array_equal(theta_of(model), theta_of(small(RNNRegressor, max_iter=2).fit(X, NUMBERS)))


# ---- what is learned ----------------------------------------------------------------------------


def test_weights_in_the_layout_of_mlp_are_those_of_the_network() -> None:
    model = small(RNNClassifier).fit(X, Y)
    assert (model.n_outputs_, model.n_layers_, model.out_activation_) == (2, 3, "softmax")
    model.coefs_[0][:] = 0
    model.intercepts_[1][:] = [5, -5]
    model.coefs_[1][:] = 0
    assert not model.network_.parameters["weight_ih"].any()
    assert model.predict(X).tolist() == [0] * 20


def test_a_warm_start_takes_data_of_fewer_classes() -> None:
    model = small(RNNClassifier, warm_start=True).fit(X, np.arange(20) % 3)
    assert model.fit(X, Y).classes_.tolist() == [0, 1, 2]


@pytest.mark.skipif(not hasattr(RNNClassifier, "set_callbacks"), reason="scikit-learn before 1.9")
def test_partial_fit_calls_no_callbacks() -> None:
    class Broken:
        def setup(self, *args: Any) -> None:
            raise AssertionError

        on_fit_task_begin = on_fit_task_end = teardown = setup

    model = small(RNNRegressor).set_callbacks(Broken())
    assert model.partial_fit(X, NUMBERS).n_iter_ == 1


# ---- the table of warnings ----------------------------------------------------------------------


def interrupt(*args: Any) -> Any:
    raise KeyboardInterrupt


def interrupted_fit() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training.Trainer, "epoch", interrupt)
        small(RNNRegressor).fit(X, NUMBERS)


def beyond_cosine() -> None:
    model = small(RNNRegressor, learning_rate="cosine", max_iter=1)
    model.partial_fit(X, NUMBERS).partial_fit(X, NUMBERS)


CAUSES: dict[str, Callable[[], Any]] = {
    "Maximum iterations (200) reached": lambda: small(RNNRegressor, max_iter=200, tol=0.0,
                                                      n_iter_no_change=300).fit(X[:2], [0.0, 1.0]),
    "the loss, its gradient or a weight": lambda: small(RNNRegressor).fit(X, NUMBERS * 1e200),
    "The validation score was NaN": lambda: small(RNNRegressor).fit(
        X, NUMBERS, validation_data=(X[:1], NUMBERS[:1])
    ),
    "lbfgs stopped after": lambda: small(RNNRegressor, solver="lbfgs").fit(X, NUMBERS),
    "Training interrupted": interrupted_fit,
    "The learning rate is 0": beyond_cosine,
    "got X[...] with NaN": lambda: small(RNNRegressor).fit(HOLES, NUMBERS),
    "reads a 2-D X as": lambda: small(RNNRegressor).fit(np.ones((20, 2)), NUMBERS),
    "The validation set is too small": lambda: small(RNNRegressor, early_stopping=True).fit(
        X[:3], NUMBERS[:3]
    ),
    "partial_fit got no classes": lambda: small(RNNClassifier).partial_fit(X, Y),
}  # fmt: skip


def test_the_table_of_warnings_quotes_them() -> None:
    text = (Path(__file__).parents[1] / "docs" / "parameters.md").read_text(encoding="utf-8")
    table = text.partition("| warning or error |")[2].partition("\n\n")[0].splitlines()[2:]
    quoted = [row.split("`")[1] for row in table]
    assert len(quoted) == len(CAUSES)
    for message, (start, cause) in zip(quoted, CAUSES.items(), strict=True):
        assert message.startswith(start)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                cause()
                messages = [str(w.message) for w in caught]
            except ValueError as error:
                messages = [str(error)]
        pattern = ".*".join(map(re.escape, message.split("...")))
        assert any(re.search(pattern, text, re.DOTALL) for text in messages), (message, messages)
