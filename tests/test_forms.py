"""Forms of X that are likely to be misread: refused, or warned of, with the right call."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler

import cbptt
from cbptt import (
    RNN,
    PerSequence,
    PerTimestep,
    Ragged,
    RNNClassifier,
    RNNForecaster,
    RNNRegressor,
    RNNSequenceClassifier,
    RNNSequenceRegressor,
    make_windows,
)
from cbptt.data.frames import find_frame
from cbptt.data.reading import spell
from cbptt.data.sequences import check_sequences, flatten_steps

pd = pytest.importorskip("pandas")
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])
LENGTHS = (3, 5, 4, 6)
Y = np.array([0, 1, 0, 1])
rng = np.random.default_rng(0)


def sequences(D, dtype=np.float64):
    return [rng.normal(size=(T, D)).astype(dtype) for T in LENGTHS]


def small(estimator=RNNClassifier, **parameters):
    return estimator(3, max_iter=1, random_state=0, **parameters)


def silent(call):
    """What the call returns, which warns of nothing but too few iterations."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ConvergenceWarning)
        return call()


# ---- a lone sequence ----------------------------------------------------------------------------


@DTYPES
@pytest.mark.parametrize("form", [list, Ragged.from_sequences])
def test_a_lone_sequence_of_one_variable_is_refused_by_what_was_fitted_on_sequences(form, dtype):
    X = sequences(1, dtype)
    network = RNN(1, 2, 1, dtype=dtype)
    calls = [
        small().fit(form(X), Y).predict,
        small(RNNSequenceRegressor).fit(form(X), [x[:, 0] for x in X]).predict,
        PerTimestep(StandardScaler()).fit(form(X)).transform,
        network.forward,
    ]
    message = r"shape \(5, 1\), which may be one sequence of 5 steps or 5 of one step; \[X\] is one"
    for call in calls:
        for lone in (X[1], X[1].tolist(), pd.DataFrame(X[1])):
            with pytest.raises(ValueError, match=message):
                call(lone)
        call([X[1]])
        call(np.reshape(X[1], (5, 1, 1)))
    assert len(calls[0](np.ones((4, 7)))) == 4  # 4 sequences of 7 steps, as documented
    assert len(calls[0]([[0.5]])) == 1  # the same in either reading


@pytest.mark.parametrize(
    "lone", [np.ones((5, 2)), list(np.ones((5, 2))), pd.DataFrame(np.ones((5, 2)))]
)
def test_the_error_for_a_lone_sequence_of_more_variables_says_how_to_pass_it(lone):
    model = small().fit(sequences(2), Y)
    with pytest.raises(ValueError, match=r"expected n_features=2; .*\[X\] is one sequence of 5"):
        model.predict(lone)
    with pytest.raises(ValueError, match=r"expected n_features=2; [^\[]*$"):
        model.predict(np.ones((5, 3)))


def test_sequences_of_variables_are_refused_by_what_was_fitted_on_a_table_of_them():
    model = small().fit(np.ones((4, 3)), Y)
    with pytest.raises(ValueError, match=r"rows of a 2-D array. One sequence of 3 .* as \[X\]"):
        model.predict(sequences(3))


@pytest.mark.parametrize("estimator", [RNNClassifier, RNNSequenceClassifier, RNNSequenceRegressor])
@pytest.mark.parametrize("D", [1, 2])
def test_a_fit_on_a_table_of_one_or_two_columns_warns(estimator, D):
    X, y = rng.normal(size=(40, D)), np.arange(40) % 2
    words = rf"^{estimator.__name__} reads a 2-D X as 40 sequences of {D} step.*pass \[X\] .*from_f"
    with pytest.warns(UserWarning, match=words) as caught:
        model = small(estimator).fit(X, y)
    assert caught[0].filename == __file__
    silent(lambda: model.predict(X))


def test_a_target_for_each_row_of_a_table_warns_where_targets_are_of_steps():
    X, y = rng.normal(size=(40, 5)), np.arange(40) % 2
    with pytest.warns(UserWarning, match="reads a 2-D X as 40 sequences of 5 steps"):
        small(RNNSequenceClassifier).fit(X, y)
    silent(lambda: small(RNNSequenceClassifier).fit(X[:, :, None], y))  # a target is replicated
    silent(lambda: small(RNNSequenceRegressor).fit(X, X))
    silent(lambda: small(RNNClassifier).fit(X, y))


def test_sequences_of_one_step_each_warn():
    series = rng.normal(size=(6, 1))
    for X in (list(series), Ragged.from_sequences(list(series))):
        with pytest.warns(UserWarning, match=r"X as 6 sequences of 1 step .*pass \[X\] if it is o"):
            small(RNNRegressor).fit(X, np.arange(6))
    for D in (1, 2):
        with pytest.warns(UserWarning, match=r"6 sequences of 1 step .*X\.swapaxes\(0, 1\) if "):
            small(RNNRegressor).fit(np.ones((6, 1, D)), np.arange(6))
    model = silent(lambda: small(RNNRegressor).fit([series], [1.0]))
    with pytest.warns(UserWarning, match="RNNRegressor reads X as 6 sequences of 1 step") as caught:
        model.predict(list(series))
    assert caught[0].filename == __file__
    silent(lambda: model.predict(np.reshape(series, (6, 1, 1))))
    silent(lambda: small(RNNRegressor).fit([series[:1]], [1.0]))


@DTYPES
def test_a_table_whose_rows_hardly_change_warns(dtype):
    level = np.array([0, 40, 0, 20])
    walk = (np.cumsum(rng.normal(size=(60, 4)), axis=0) + level).astype(dtype)
    y = np.arange(60) % 2
    with pytest.warns(UserWarning, match="reads a 2-D X as 60 sequences of 4 steps of one vari"):
        small().fit(walk, y)
    profiles = np.sin(np.arange(12) / 2) + rng.normal(scale=0.1, size=(60, 12))
    for X in (profiles, rng.normal(size=(60, 4)), make_windows(walk[:, 1], 12)[:, :, 0]):
        silent(lambda X=X: small().fit(X, y[: len(X)]))


def test_lengths_in_the_place_of_targets_are_named():
    with pytest.raises(ValueError, match=r"2 targets in y for 9 seq.*from_flat\(X, lengths\)\.$"):
        small().fit(np.ones((9, 3)), [4, 5])
    with pytest.raises(ValueError, match=r"expected one target per sequence\.$"):
        small().fit(sequences(2), [0, 1])


def test_rows_that_are_labelled_by_time_warn():
    for index in (pd.date_range("2024", periods=6), pd.period_range("2024", periods=6)):
        frame = pd.DataFrame(rng.normal(size=(6, 3)), index=index)
        with pytest.warns(UserWarning, match="reads a 2-D X as 6 sequences of 3 steps"):
            model = small(RNNRegressor).fit(frame, np.arange(6))
        silent(lambda model=model, frame=frame: model.predict(frame))
        silent(lambda frame=frame: small(RNNRegressor).fit([frame], [1.0]))


# ---- channels first -----------------------------------------------------------------------------


@DTYPES
@pytest.mark.parametrize("D", [1, 2, 3])
def test_a_fit_on_channels_first_warns(D, dtype):
    waves = np.sin(np.arange(30) / 4 + rng.uniform(0, 6, size=(8, D, 1))).astype(dtype)
    y = np.arange(8) % 2
    for X in (waves, list(waves)):
        with pytest.warns(UserWarning, match=f"8 sequences of {D} step.* of 30 .*from_channels_fi"):
            small().fit(X, y)
        model = silent(lambda X=X: small().fit(cbptt.from_channels_first(X), y))
        with pytest.raises(ValueError, match=rf"n_features={D}; .*from_channels_first\(X\)"):
            model.predict(X)


def test_more_variables_than_steps_do_not_warn_by_themselves():
    symbols = np.eye(20)[rng.integers(20, size=(8, 5))]
    for X in (symbols, rng.normal(size=(8, 5, 20)), np.ones((8, 3, 5))):
        silent(lambda X=X: small().fit(X, np.arange(8) % 2))


def test_unequal_sequences_with_channels_first_are_named():
    X = [x.T for x in sequences(2)]
    with pytest.raises(ValueError, match=r"X\[1\] with 5 features.*from_channels_first\(X\)"):
        small().fit(X, Y)
    with pytest.raises(ValueError, match=r"n_features\)\.$"):  # one odd sequence is no other order
        small().fit([np.ones((2, 2)), np.ones((2, 2)), np.ones((2, 3))], Y[:3])


# ---- labels of axes -----------------------------------------------------------------------------


def test_a_multiindex_is_refused_with_the_call_that_reads_it():
    index = pd.MultiIndex.from_product([["a", "b"], range(3)], names=["id", "day"])
    frame = pd.DataFrame({"x": np.arange(6.0), "z": 1.0}, index=index)
    fits = (lambda X: small().fit(X, Y), small().fit(sequences(2), Y).predict)
    for call in (*fits, Ragged.from_padded):
        with pytest.raises(ValueError, match=r"MultiIndex of rows.*from_long\(X\.reset_index\(\)"):
            call(frame)
        with pytest.raises(ValueError, match=r"MultiIndex of columns.*to_numpy\(\)\.reshape"):
            call(frame.unstack())
    groups = [group for _, group in frame.groupby(level="id")]
    assert len(silent(lambda: small().fit(groups, [0, 1])).predict(groups)) == 2


class Named:
    """An array with names of axes, as xarray has them."""

    def __init__(self, values, *dims):
        self.values, self.dims = values, dims

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.values, dtype=dtype)


def test_axes_that_are_named_must_be_in_order():
    good = Named(np.ones((4, 3, 2)), "patient", "time", "variable")
    assert len(check_sequences(good, caller="RNN")) == 4
    bad = [
        (Named(np.ones((4, 2, 3)), "patient", "variable", "time"), r"order of the axes is \(seq"),
        (Named(np.ones((3, 2)), "time", "variable"), r"\[X\] is one sequence"),
        ([Named(np.ones((2, 3)), "variable", "time")], r"X\[0\] .* \(time, variable\)"),
    ]
    for X, message in bad:
        with pytest.raises(ValueError, match=message):
            check_sequences(X, caller="RNN")


def test_frames_whose_times_fall_are_refused():
    index = pd.date_range("2024", periods=3)
    good = pd.DataFrame(np.ones((3, 2)), index=index)
    check_sequences([good, good], caller="RNN")
    check_sequences([good, good.reset_index(drop=True)[::-1]], caller="RNN")  # no times
    with pytest.raises(ValueError, match=r"X\[1\] with a time index that does not rise"):
        check_sequences([good, good[::-1]], caller="RNN")
    with pytest.raises(ValueError, match="make_windows got series"):
        make_windows(good[::-1], 2)


# ---- names of columns, in lists of frames -------------------------------------------------------

every_library = pytest.mark.parametrize("library", ["pandas", "polars"])


def frames_of(library, X, names=("pulse", "heat")):
    make = pytest.importorskip(library).DataFrame
    return [make(dict(zip(names, x.T, strict=True))) for x in X]


def swapped(frames):
    return [frame[["heat", "pulse"]] for frame in frames]


@DTYPES
@every_library
def test_columns_of_frames_are_compared_by_name(library, dtype):
    X = sequences(2, dtype)
    frames = frames_of(library, X)
    models = [
        (small().fit(frames, Y), "predict"),
        (small(RNNSequenceRegressor).fit(frames, [x[:, 0] for x in X]), "transform"),
        (PerTimestep(StandardScaler()).fit(frames), "transform"),
        (PerSequence(StandardScaler()).fit(frames), "transform"),
    ]
    for model, name in models:
        method = getattr(model, name)
        assert model.feature_names_in_.tolist() == ["pulse", "heat"]
        assert model.n_features_in_ == 2
        silent(lambda method=method: method(frames))
        silent(lambda method=method: method(tuple(frames[:1])))
        with pytest.raises(ValueError, match="same order as they were in fit"):
            method(swapped(frames))
        with pytest.raises(ValueError, match="unseen at fit time:\n- cold"):
            method(frames_of(library, X, ("pulse", "cold")))
        message = rf"X does not have valid .*{type(model).__name__} was fitted with feature names"
        for nameless in (X, Ragged.from_sequences(X), np.ones((2, 3, 2))):
            with pytest.warns(UserWarning, match=message):
                method(nameless)


@every_library
def test_columns_of_frames_in_one_list_must_be_the_same(library):
    frames = frames_of(library, sequences(2))
    mixed = [*frames[:3], *swapped(frames[3:])]
    message = r"\[3\] with 'heat' in column 0, where \w+\[0\] has 'pulse'; all data frames must"
    X = check_sequences(frames, caller="RNN")
    calls = [
        lambda: small().fit(mixed, Y),
        lambda: small().fit(frames, Y).predict(mixed),
        lambda: RNN(2, 2, 1).forward(mixed),
        lambda: Ragged.from_sequences(mixed),
        lambda: make_windows(mixed, 2),
        lambda: flatten_steps(mixed, X, caller="RNN"),
        lambda: PerTimestep(StandardScaler()).fit(mixed),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=message):
            call()
    numbered = [pd.DataFrame(x) for x in sequences(2)]  # labels that are no text
    with pytest.raises(ValueError, match=r"X\[1\] with 1 in column 0, where X\[0\] has 0"):
        small().fit([numbered[0], numbered[1][[1, 0]]], Y[:2])


@every_library
def test_names_are_compared_in_all_that_comes_after_a_fit(library):
    frames = frames_of(library, sequences(2))
    order = "same order as they were in fit"
    with pytest.raises(ValueError, match=order):
        small().fit(frames, Y, validation_data=(swapped(frames), Y))
    model = small(warm_start=True).fit(frames, Y)
    state = model.start(3)
    calls = [
        lambda: model.score(swapped(frames), Y),
        lambda: model.fit(swapped(frames), Y),
        lambda: model.partial_fit(swapped(frames), Y),
        lambda: model.step_many(swapped(frames)[:3], state),
        lambda: model.step(swapped(frames)[0], state),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=order):
            call()
    assert_array_equal(model.step(frames[0], state)[0], model.step(np.array(frames[0]), state)[0])


def test_names_are_forgotten_by_the_next_fit_and_missed_by_sequences_with_names():
    X = sequences(2)
    frames = frames_of("pandas", X)
    for model, method in ((small(), "predict"), (PerTimestep(StandardScaler()), "transform")):
        model.fit(frames, Y).fit(X, Y)
        assert not hasattr(model, "feature_names_in_")
        with pytest.warns(UserWarning, match="X has feature names, but .* without feature names"):
            getattr(model, method)(frames)


def test_a_list_of_some_frames_and_some_arrays_warns():
    X = sequences(2)
    mixed = [*frames_of("pandas", X)[:3], X[3]]
    model = small()
    for call in (lambda: model.fit(mixed, Y), lambda: model.predict(mixed)):
        with pytest.warns(UserWarning, match="X does not have valid feature names, but RNNClass"):
            call()


def test_the_first_frame_of_a_list_gives_the_names():
    frame = pd.DataFrame({"a": [1.0]})
    assert find_frame([np.ones((1, 1)), frame]) is frame
    assert find_frame(frame) is frame
    for nameless in ([np.ones(2)], np.ones((2, 2)), [[1.0]], pd.Series([1.0])):
        assert find_frame(nameless) is None


# ---- messages -----------------------------------------------------------------------------------


def test_a_value_that_was_not_expected_is_spelled_in_a_few_words():
    assert spell(np.ones((40, 3))) == "array of shape (40, 3)"
    assert spell(pd.DataFrame(np.ones((40, 3)))) == "DataFrame of shape (40, 3)"
    assert spell("adam") == "'adam'"
    assert spell(list(range(100))).endswith("... of type list")
    assert len(spell("a" * 5000)) < 100


@pytest.mark.parametrize(
    "call",
    [
        lambda X: RNNForecaster(2, lags=1, max_iter=1).fit(np.sin(np.arange(30))).predict(X),
        lambda X: RNNForecaster(2, lags=X, max_iter=1).fit(np.sin(np.arange(30))),
        lambda X: small().fit(sequences(2), Y).predict(X),
        lambda X: small().fit(sequences(2), Y).transform(sequences(2), X),
        lambda X: small().fit(sequences(2), Y).start(X),
        lambda X: RNNClassifier(X).fit(sequences(2), Y),
        lambda X: make_windows(np.ones(9), X),
        lambda X: Ragged.from_padded(np.ones((2, 2)), side=X),
        lambda X: (
            small()
            .partial_fit(sequences(2), Y, classes=[0, 1])
            .partial_fit(sequences(2), Y, classes=X.ravel())
        ),
    ],
)
def test_an_array_in_the_wrong_place_is_not_printed(call):
    with pytest.raises((ValueError, TypeError)) as caught:
        call(rng.normal(size=(300, 3)))
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "call",
    [
        lambda: small(dtype="float32").fit([np.full((2, 1), 1e39)], [0]),
        lambda: small(RNNRegressor, dtype="float32").fit([np.ones((2, 1))], [1e39]),
        lambda: small(dtype="float32").fit(sequences(1), Y, [1, 1, 1, 1e39]),
        lambda: RNN(1, 2, 1, dtype="float32").forward([np.ones((2, 1))], [[1e39, 0]]),
        lambda: setattr(RNN(1, 1, 1, dtype="float32"), "theta", np.full(5, 1e39)),
    ],
)
def test_a_finite_number_beyond_float32_is_not_said_to_be_infinite(call):
    with pytest.raises(
        ValueError, match=r"largest finite float32 is 3\.4e\+38; scale .*float64"
    ) as caught:
        call()
    assert "must be finite" not in str(caught.value)
