"""What stands beside the estimators: transformers of steps, and scorers of steps."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin, clone
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA, IncrementalPCA
from sklearn.exceptions import NotFittedError, UnsetMetadataPassedError
from sklearn.feature_selection import SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.inspection import permutation_importance
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    coverage_error,
    f1_score,
    log_loss,
    max_error,
    mean_absolute_error,
    mean_squared_error,
    r2_score,
    roc_auc_score,
)
from sklearn.model_selection import (
    GridSearchCV,
    cross_val_predict,
    cross_val_score,
    cross_validate,
    train_test_split,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    MinMaxScaler,
    Normalizer,
    OneHotEncoder,
    PolynomialFeatures,
    StandardScaler,
    TargetEncoder,
)
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks

from cbptt import (
    PerSequence,
    PerTimestep,
    Ragged,
    RNNClassifier,
    RNNRegressor,
    RNNSequenceClassifier,
    RNNSequenceRegressor,
    make_sequence_scorer,
)
from cbptt.testing import sequence_estimator_checks

LENGTHS = (3, 5, 2, 4, 6, 3, 4, 5, 2, 3, 4, 5)
may_stop_early = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning"  # a few epochs are enough for the claim
)


def sequences(lengths=LENGTHS, D=3, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(5, 3, size=(T, D)) for T in lengths]


def boxed(items):
    """1-D object array of the items."""
    array = np.empty(len(items), dtype=object)
    for i, item in enumerate(items):
        array[i] = item
    return array


X_LIST = sequences()
STEPS = np.concatenate(X_LIST)
Y_STEPS = [x[:, 0] > 5 for x in X_LIST]
Y_WHOLE = np.array([x[:, 0].mean() > 5 for x in X_LIST])
RAGGED_FORMS = {
    "list": X_LIST,
    "tuple": tuple(X_LIST),
    "object array": boxed(X_LIST),
    "Ragged": Ragged.from_sequences(X_LIST),
}
every_ragged_form = pytest.mark.parametrize("X", RAGGED_FORMS.values(), ids=RAGGED_FORMS.keys())


def split(steps, lengths=LENGTHS):
    return np.split(steps, np.cumsum(lengths)[:-1])


def assert_same_sequences(actual, expected):
    assert len(actual) == len(expected)
    for ours, theirs in zip(actual, expected, strict=True):
        assert_array_equal(ours, theirs, strict=True)


# ---- PerTimestep: the transformer of the stacked steps ------------------------------------------


@parametrize_with_checks([PerTimestep(StandardScaler()), PerTimestep(PCA(1))])
def test_scikit_learns_checks_pass(estimator, check):
    check(estimator)


@pytest.mark.parametrize(
    "transformer",
    [
        StandardScaler(),
        MinMaxScaler(),
        Normalizer(),
        PCA(2),
        PolynomialFeatures(2),
        KBinsDiscretizer(3, encode="ordinal"),
        make_pipeline(StandardScaler(), PCA(1)),
        ColumnTransformer([("scaled", StandardScaler(), [0]), ("kept", "passthrough", [2])]),
    ],
    ids=lambda transformer: type(transformer).__name__,
)
@every_ragged_form
def test_steps_become_what_the_transformer_makes_of_them_stacked(transformer, X):
    expected = clone(transformer).fit(STEPS).transform(STEPS)
    model = PerTimestep(transformer)
    assert_same_sequences(model.fit(X).transform(X), split(expected))
    assert_same_sequences(model.fit_transform(X), split(clone(transformer).fit_transform(STEPS)))
    assert model.n_features_in_ == 3


@every_ragged_form
def test_ragged_gives_ragged_and_lists_give_object_arrays(X):
    result = PerTimestep(StandardScaler()).fit_transform(X)
    if isinstance(X, Ragged):
        assert isinstance(result, Ragged)
    else:
        assert isinstance(result, np.ndarray)
        assert (result.shape, result.dtype) == ((len(LENGTHS),), object)


def test_equal_lengths_in_a_list_are_still_an_object_array():
    result = PerTimestep(StandardScaler()).fit_transform(sequences([4, 4]))
    assert (result.shape, result.dtype) == ((2,), object)


def test_an_array_gives_an_array():
    cube = np.random.default_rng(0).normal(size=(5, 4, 3))
    result = PerTimestep(PCA(2)).fit_transform(cube)
    assert_array_equal(result, PCA(2).fit_transform(cube.reshape(20, 3)).reshape(5, 4, 2))


def test_two_dimensions_are_steps_of_one_variable():
    X = np.random.default_rng(0).normal(size=(5, 4))
    model = PerTimestep(StandardScaler())
    assert_allclose(model.fit_transform(X), (X - X.mean()) / X.std())
    assert model.n_features_in_ == 4
    assert_array_equal(model.transform(X[:, :, None])[:, :, 0], model.transform(X))
    assert_array_equal(model.transform([X[0, :2]])[0][:, 0], model.transform(X)[0, :2])
    assert PerTimestep(PolynomialFeatures(2)).fit_transform(X).shape == (5, 4, 3)


def test_steps_of_single_values_become_rows_of_one():
    result = PerTimestep(StandardScaler()).fit_transform([[1.0, 2.0], [3.0]])
    assert [x.shape for x in result] == [(2, 1), (1, 1)]


def test_the_number_of_variables_must_be_that_of_fit():
    model = PerTimestep(StandardScaler()).fit(X_LIST)
    with pytest.raises(ValueError, match="X with 2 features, but expected n_features=3"):
        model.transform([x[:, :2] for x in X_LIST])
    model.fit(np.zeros((3, 4)))
    with pytest.raises(ValueError, match=r"X has 3 features, but PerTimestep is expecting 4 feat"):
        model.transform(np.zeros((3, 3)))
    with pytest.raises(ValueError, match="X with 3 features, but expected n_features=1"):
        model.transform(X_LIST)


@pytest.mark.parametrize("X", [*RAGGED_FORMS.values(), STEPS[:44].reshape(11, 4, 3), STEPS])
@pytest.mark.parametrize("transformer", [StandardScaler(), KBinsDiscretizer(3)], ids=repr)
@pytest.mark.filterwarnings("ignore:Feature .* is constant")
def test_the_inverse_gives_back_the_form(X, transformer):
    model = PerTimestep(transformer).fit(X)
    back = model.inverse_transform(model.transform(X))
    assert type(back) is (type(X) if isinstance(X, Ragged) else np.ndarray)
    if isinstance(transformer, StandardScaler):
        for ours, theirs in zip(back, X, strict=True):
            assert_allclose(ours, theirs)
    else:
        assert [np.shape(x) for x in back] == [np.shape(x) for x in X]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_dtype_is_the_transformers(dtype):
    X = [x.astype(dtype) for x in X_LIST]
    assert PerTimestep(StandardScaler()).fit_transform(X)[0].dtype == dtype


def test_sparse_results_are_made_dense():
    X = np.array([[0, 1, 2], [2, 1, 0]])
    assert sparse.issparse(OneHotEncoder().fit_transform(X.reshape(-1, 1)))
    assert_array_equal(PerTimestep(OneHotEncoder()).fit_transform(X), np.eye(3)[X])


@pytest.mark.parametrize("config", ["pandas", "polars"])
def test_the_configured_output_changes_nothing(config):
    expected = PerTimestep(StandardScaler()).fit_transform(X_LIST)
    with sklearn.config_context(transform_output=config):
        assert_same_sequences(PerTimestep(StandardScaler()).fit_transform(X_LIST), expected)
    framed = PerTimestep(StandardScaler().set_output(transform=config))
    assert_same_sequences(framed.fit_transform(X_LIST), expected)
    assert not hasattr(framed, "set_output")


def test_the_parameter_is_cloned_and_never_fitted():
    scaler = StandardScaler()
    model = PerTimestep(scaler).fit(X_LIST)
    assert model.transformer is scaler
    assert isinstance(model.transformer_, StandardScaler)
    assert not hasattr(scaler, "mean_")
    with pytest.raises(NotFittedError):
        clone(model).transform(X_LIST)


def test_a_failed_fit_leaves_nothing_fitted():
    model = PerTimestep(PCA(9))
    with pytest.raises(ValueError, match="n_components=9"):
        model.fit(X_LIST)
    with pytest.raises(NotFittedError):
        model.transform(X_LIST)


def test_a_transformer_that_has_no_such_method_has_none_here():
    model = PerTimestep(Normalizer())
    assert not hasattr(model, "partial_fit")
    assert not hasattr(model, "inverse_transform")
    assert hasattr(PerTimestep(StandardScaler()), "partial_fit")
    assert hasattr(PerTimestep(StandardScaler()), "inverse_transform")
    assert not hasattr(PerTimestep(FunctionTransformer()), "partial_fit")


def test_parts_one_after_the_other_fit_as_the_whole_does():
    model = PerTimestep(StandardScaler()).partial_fit(X_LIST[:4]).partial_fit(X_LIST[4:])
    assert_allclose(model.transformer_.mean_, STEPS.mean(axis=0))
    with pytest.raises(ValueError, match="X with 2 features, but expected n_features=3"):
        model.partial_fit([x[:, :2] for x in X_LIST])
    both = PerTimestep(IncrementalPCA(2)).partial_fit(X_LIST)
    assert both.transform(RAGGED_FORMS["Ragged"]).shape == (len(LENGTHS), None, 2)


def test_names_are_those_of_the_columns_of_a_step():
    model = PerTimestep(PolynomialFeatures(2, include_bias=False)).fit(sequences(D=2))
    expected = ["x0", "x1", "x0^2", "x0 x1", "x1^2"]
    assert model.get_feature_names_out().tolist() == expected
    assert model.get_feature_names_out(["a", "b"]).tolist()[3] == "a b"


# ---- PerTimestep: NaN, weights and targets ------------------------------------------------------


def with_gaps():
    X = [x.copy() for x in X_LIST]
    X[0][1, 2] = X[3][0, 0] = np.nan
    return X


@pytest.mark.parametrize(
    "transformer",
    [
        SimpleImputer(),
        make_pipeline(SimpleImputer(), PCA(2)),
        FunctionTransformer(np.nan_to_num),
    ],
    ids=lambda transformer: type(transformer).__name__,
)
def test_nan_is_filled_in_by_a_transformer_that_does(transformer):
    X = with_gaps()
    expected = clone(transformer).fit_transform(np.concatenate(X))
    assert np.isfinite(expected).all()
    assert_same_sequences(PerTimestep(transformer).fit_transform(X), split(expected))


def test_nan_stays_where_the_transformer_leaves_it():
    result = PerTimestep(StandardScaler()).fit_transform(with_gaps())
    assert np.isnan(result[0][1, 2])
    assert sum(np.isnan(x).sum() for x in result) == 2


def test_nan_is_refused_by_a_transformer_that_does_not_take_it():
    with pytest.raises(ValueError, match="PCA does not accept missing values"):
        PerTimestep(PCA()).fit(with_gaps())


def test_infinity_is_refused_with_its_place():
    with pytest.raises(ValueError, match=r"^PerTimestep got X\[1\] with inf at step 0, feature 1"):
        PerTimestep(SimpleImputer()).fit([[[0.0, 1.0]], [[np.nan, np.inf]]])


def test_tags_are_the_transformers():
    assert get_tags(PerTimestep(SimpleImputer())).input_tags.allow_nan
    assert not get_tags(PerTimestep(PCA())).input_tags.allow_nan
    assert get_tags(PerTimestep(PCA())).input_tags.three_d_array
    assert not get_tags(PerTimestep(OneHotEncoder())).input_tags.sparse
    assert get_tags(PerTimestep(TargetEncoder())).target_tags.required


WEIGHTS = np.arange(12.0)
WEIGHTS_OF_STEPS = [np.arange(T) + 1.0 for T in LENGTHS]


@pytest.mark.parametrize(
    ("weights", "flat"),
    [
        (WEIGHTS, np.repeat(WEIGHTS, LENGTHS)),
        (WEIGHTS_OF_STEPS, np.concatenate(WEIGHTS_OF_STEPS)),
        (Ragged.from_sequences(WEIGHTS_OF_STEPS), np.concatenate(WEIGHTS_OF_STEPS)),
    ],
)
def test_weights_are_those_of_steps(weights, flat):
    expected = np.average(STEPS, axis=0, weights=flat)
    model = PerTimestep(StandardScaler())
    assert_allclose(model.fit(X_LIST, sample_weight=weights).transformer_.mean_, expected)
    model.fit_transform(X_LIST, sample_weight=weights)
    assert_allclose(model.transformer_.mean_, expected)
    nested = PerTimestep(make_pipeline(StandardScaler()))
    nested.fit(X_LIST, standardscaler__sample_weight=weights)
    assert_allclose(nested.transformer_[0].mean_, expected)


def test_weights_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match=r"^PerTimestep got 3 weights in sample_weight for 12"):
        PerTimestep(StandardScaler()).fit(X_LIST, sample_weight=np.ones(3))


def test_weights_are_routed_to_the_transformer_that_asks_for_them():
    with sklearn.config_context(enable_metadata_routing=True):
        scaler = StandardScaler().set_fit_request(sample_weight="w")
        model = make_pipeline(PerTimestep(scaler), PerTimestep(PCA(1)))
        model.fit(X_LIST, w=WEIGHTS)
        expected = np.average(STEPS, axis=0, weights=np.repeat(WEIGHTS, LENGTHS))
        assert_allclose(model[0].transformer_.mean_, expected)
        with pytest.raises(UnsetMetadataPassedError, match="StandardScaler"):
            PerTimestep(StandardScaler()).fit(X_LIST, sample_weight=WEIGHTS)


@pytest.mark.parametrize(
    ("y", "flat"),
    [
        (Y_STEPS, np.concatenate(Y_STEPS)),
        (Ragged.from_sequences(Y_STEPS), np.concatenate(Y_STEPS)),
        (Y_WHOLE, np.repeat(Y_WHOLE, LENGTHS)),
        (np.where(Y_WHOLE, "high", "low").astype(object), np.repeat(Y_WHOLE, LENGTHS)),
    ],
    ids=["of steps", "of steps, Ragged", "of sequences", "text of sequences"],
)
def test_supervised_transformers_learn_from_targets_of_steps(y, flat):
    expected = SelectKBest(k=1).fit_transform(STEPS, flat)
    assert_same_sequences(PerTimestep(SelectKBest(k=1)).fit_transform(X_LIST, y), split(expected))


def test_targets_may_be_vectors_of_sequences_or_arrays_of_steps():
    seen = []

    class Witness(TransformerMixin, BaseEstimator):
        def fit(self, X, y=None):
            seen.append(y)
            return self

        def transform(self, X):
            return X

    vectors = np.arange(24.0).reshape(12, 2)
    PerTimestep(Witness()).fit(X_LIST, vectors)
    assert_array_equal(seen.pop(), np.repeat(vectors, LENGTHS, axis=0))
    cube = np.zeros((3, 4, 2))
    PerTimestep(Witness()).fit(cube, np.arange(12).reshape(3, 4))
    assert_array_equal(seen.pop(), np.arange(12))
    PerTimestep(Witness()).fit(cube)
    assert seen.pop() is None


class Doubler(BaseEstimator):
    """Without a fit_transform."""

    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def transform(self, X):
        return 2 * X


class CrossFitter(Doubler):
    """Gives other values for what it is fitted on, as TargetEncoder does."""

    def fit_transform(self, X, y=None):
        return -self.fit(X).transform(X)


def test_a_fit_transform_of_its_own_is_called_where_there_is_one():
    assert_same_sequences(PerTimestep(Doubler()).fit_transform(X_LIST), split(2 * STEPS))
    model = PerTimestep(CrossFitter())
    assert_same_sequences(model.fit_transform(X_LIST), split(-2 * STEPS))
    assert_same_sequences(model.transform(X_LIST), split(2 * STEPS))


@pytest.mark.parametrize(
    ("transformer", "error", "message"),
    [
        ("scaler", ValueError, "The 'transformer' parameter of PerTimestep must be"),
        (
            FunctionTransformer(lambda X: X[::2]),
            ValueError,
            r"shape \(23, 3\) and dtype float64 from FunctionTransformer\.fit_tr.* for 46 steps",
        ),
        (FunctionTransformer(lambda X: X[:, 0]), ValueError, r"expected a row .*\(46, n_columns\)"),
        (FunctionTransformer(lambda X: X.astype(str)), ValueError, "dtype <U.* from FunctionTr"),
    ],
)
def test_what_is_no_transformer_of_steps_is_named(transformer, error, message):
    with pytest.raises(error, match=message):
        PerTimestep(transformer).fit_transform(X_LIST)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.ones(5), "5 targets in y for 12 sequences in X; expected targets of each sequence"),
        (Y_STEPS[:-1], "y with 11 sequences, but X has 12"),
        ([*Y_STEPS[:-1], [True]], r"y\[11\] with 1 steps, but X\[11\] has 5"),
        (Y_STEPS[0], "3 targets in y for 12 sequences"),
    ],
)
def test_targets_that_do_not_fit_are_named(y, message):
    with pytest.raises(ValueError, match=f"^PerTimestep got {message}"):
        PerTimestep(StandardScaler()).fit(X_LIST, y)


# ---- PerTimestep and functions along time -------------------------------------------------------


def along_time(function, **arguments):
    return FunctionTransformer(function, kw_args={"axis": 0} | arguments)


@pytest.mark.parametrize(
    "transformer",
    [
        along_time(np.cumsum),
        along_time(np.diff, prepend=0),
        along_time(np.flip),
        along_time(np.roll, shift=-1),  # changes the last step of the first sequence alone
        FunctionTransformer(lambda X: X - X.mean(axis=0)),
        make_pipeline(StandardScaler(), along_time(np.cumsum)),
    ],
)
@pytest.mark.parametrize("X", [X_LIST, np.stack([x[:2] for x in X_LIST])], ids=["list", "3-D"])
def test_a_transformer_that_mixes_sequences_warns(transformer, X):
    name = type(transformer).__name__
    with pytest.warns(UserWarning, match=f"PerTimestep got {name}.* mixes .*cbptt.PerSequence"):
        PerTimestep(transformer).fit(X)
    with pytest.warns(UserWarning, match="mixes") as caught:
        PerTimestep(transformer).fit_transform(X)
    assert caught[0].filename == __file__


def test_a_transformer_of_random_values_is_not_said_to_mix_sequences():
    noise = FunctionTransformer(lambda X: X + np.random.default_rng().normal(size=X.shape))
    PerTimestep(noise).fit(X_LIST)
    PerTimestep(along_time(np.cumsum)).fit(X_LIST[:1])  # there is nothing to mix


# ---- PerSequence --------------------------------------------------------------------------------


class RunningSum(FunctionTransformer):
    """Sums along time; its name, unlike that of a function, is the same in every process."""

    def __init__(self):
        super().__init__(np.cumsum, kw_args={"axis": 0})


@parametrize_with_checks([PerSequence(StandardScaler()), PerSequence(RunningSum())])
def test_scikit_learns_checks_pass_for_each_sequence(estimator, check):
    check(estimator)


@pytest.mark.parametrize(
    ("model", "left_out"),
    [
        (PerSequence(along_time(np.cumsum)), set()),
        # all steps of a sequence are scaled by its mean
        (PerSequence(StandardScaler()), {"check_no_knowledge_of_the_future"}),
    ],
)
def test_the_checks_of_sequences_pass_for_each_sequence(model, left_out):
    # (n, T) stays (n, T), and processes take seconds to start
    left_out = left_out | {"check_form_2d_array", "check_other_process"}
    checks = dict(sequence_estimator_checks(model))
    assert left_out <= checks.keys()
    for name, check in checks.items():
        if name not in left_out:
            check(model)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@every_ragged_form
def test_each_sequence_is_transformed_by_itself(X, dtype):
    X = X.astype(dtype) if isinstance(X, Ragged) else [x.astype(dtype) for x in X]
    for transformer in (StandardScaler(), along_time(np.cumsum), Doubler()):
        expected = [clone(transformer).fit(x).transform(x) for x in X]
        model = PerSequence(transformer)
        result = model.fit_transform(X)
        assert isinstance(result, Ragged if isinstance(X, Ragged) else np.ndarray)
        assert_same_sequences(result, expected)
        assert_same_sequences(model.fit(X[:1]).transform(X), expected)
        assert result[0].dtype == dtype


@every_ragged_form
def test_sequences_may_become_shorter(X):
    change = PerSequence(along_time(np.diff))
    result = change.fit_transform(X)
    assert_same_sequences(result, [np.diff(x, axis=0) for x in X])
    assert type(result) is (Ragged if isinstance(X, Ragged) else np.ndarray)
    labels = [x[1:, 0] > 5 for x in X]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = make_pipeline(change, RNNSequenceClassifier(3, max_iter=1)).fit(X, labels)
    assert [len(steps) for steps in model.predict(X)] == [T - 1 for T in LENGTHS]


def test_arrays_stay_arrays_where_lengths_stay_equal():
    cube = STEPS[:44].reshape(11, 4, 3)
    change = PerSequence(along_time(np.diff))
    assert_array_equal(change.fit_transform(cube), np.diff(cube, axis=1))
    assert_array_equal(change.fit_transform(cube[:, :, 0]), np.diff(cube[:, :, 0], axis=1))
    assert change.n_features_in_ == 4
    assert PerSequence(PolynomialFeatures(2)).fit_transform(cube[:, :, 0]).shape == (11, 4, 3)
    positive = PerSequence(FunctionTransformer(lambda x: x[x[:, 0] > 4]))
    kept = positive.fit_transform(np.array([[5.0, 6.0], [5.0, 0.0]]))
    assert_same_sequences(kept, [np.array([[5.0], [6.0]]), np.array([[5.0]])])


def test_columns_for_each_sequence_have_names():
    model = PerSequence(PolynomialFeatures(2, include_bias=False)).fit(sequences(D=2))
    assert model.get_feature_names_out().tolist() == ["x0", "x1", "x0^2", "x0 x1", "x1^2"]
    frames = [pd.DataFrame(x, columns=["pulse", "heat"]) for x in sequences(D=2)]
    for wrap in (PerSequence, PerTimestep):
        names = wrap(StandardScaler()).fit(frames).get_feature_names_out()
        assert names.tolist() == ["pulse", "heat"]
    assert not hasattr(PerSequence(along_time(np.cumsum)), "get_feature_names_out")


@pytest.mark.parametrize("config", ["pandas", "polars"])
def test_for_each_sequence_the_configured_output_changes_nothing(config):
    scaler = StandardScaler()
    expected = [scaler.fit_transform(x) for x in X_LIST]
    with sklearn.config_context(transform_output=config):
        model = PerSequence(StandardScaler())
        assert_same_sequences(model.fit_transform(X_LIST), expected)
    assert not hasattr(model, "set_output")


def test_what_is_fitted_for_each_sequence_can_be_cloned_and_pickled():
    model = PerSequence(StandardScaler()).fit(X_LIST)
    expected = model.transform(X_LIST)
    assert_same_sequences(pickle.loads(pickle.dumps(model)).transform(X_LIST), expected)
    assert not hasattr(model.transformer, "mean_")
    with pytest.raises(NotFittedError):
        clone(model).transform(X_LIST)
    search = GridSearchCV(
        make_pipeline(model, RNNClassifier(3, max_iter=1, random_state=0)),
        {"persequence__transformer__with_std": [True, False]},
        cv=2,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert len(search.fit(X_LIST, Y_WHOLE).predict(X_LIST)) == len(X_LIST)


def test_missing_values_are_left_to_the_transformer_of_each_sequence():
    result = PerSequence(SimpleImputer()).fit_transform(with_gaps())
    expected = np.nanmean(with_gaps()[0][:, 2])
    assert result[0][1, 2] == expected  # the mean of this sequence alone


@pytest.mark.parametrize(
    ("transformer", "X", "message"),
    [
        (PCA(2), [*X_LIST, np.ones((1, 3))], r"got X\[12\] with 1 steps, .*n_components=2"),
        (along_time(np.diff), [[1.0, 2.0], [3.0]], r"X\[1\] with 1 steps, .*shape \(0, 1\)"),
        (OneHotEncoder(), [[1, 2, 3], [1, 2]], r"2 columns .* for X\[1\], but 3 for X\[0\]"),
        (FunctionTransformer(lambda x: x[:, 0]), X_LIST, r"X\[0\] .*at least one row of numbers"),
        (FunctionTransformer(lambda x: x.astype(str)), X_LIST, r"X\[0\] .* dtype <U"),
        ("scaler", X_LIST, "The 'transformer' parameter of PerSequence must be"),
        (StandardScaler(), [np.array([[np.inf]])], r"X\[0\] with inf at step 0"),
    ],
)
def test_a_sequence_that_cannot_be_transformed_is_named_in_fit(transformer, X, message):
    for method in ("fit", "fit_transform"):
        with pytest.raises(ValueError, match=message):
            getattr(PerSequence(transformer), method)(X)


def test_for_each_sequence_the_number_of_variables_must_be_that_of_fit():
    model = PerSequence(StandardScaler()).fit(X_LIST)
    with pytest.raises(ValueError, match="X with 2 features, but expected n_features=3"):
        model.transform([x[:, :2] for x in X_LIST])
    model.fit(np.zeros((3, 4)))
    with pytest.raises(ValueError, match=r"X has 3 features, but PerSequence is expecting 4 feat"):
        model.transform(np.zeros((3, 3)))


# ---- PerTimestep: within scikit-learn -----------------------------------------------------------


def scaled(estimator, **parameters):
    network = estimator(4, **({"max_iter": 3, "random_state": 0} | parameters))
    return make_pipeline(PerTimestep(StandardScaler()), network)


@may_stop_early
@every_ragged_form
def test_a_pipeline_is_the_network_on_scaled_sequences(X):
    scaled_by_hand = split((STEPS - STEPS.mean(axis=0)) / STEPS.std(axis=0))
    network = RNNClassifier(4, max_iter=3, random_state=0).fit(scaled_by_hand, Y_WHOLE)
    model = scaled(RNNClassifier).fit(X, Y_WHOLE)
    assert_allclose(
        model.predict_proba(X), network.predict_proba(scaled_by_hand), rtol=1e-10, atol=1e-12
    )
    assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), model.predict(X))


@may_stop_early
@pytest.mark.parametrize("form", ["list", "Ragged"])
def test_a_grid_search_reaches_the_parameters_of_the_transformer(form):
    grid = {"pertimestep__transformer__with_mean": [True, False]}
    X, model = RAGGED_FORMS[form], scaled(RNNClassifier)
    search = GridSearchCV(model, grid, cv=2).fit(X, Y_WHOLE)
    for parameters, score in zip(
        search.cv_results_["params"], search.cv_results_["mean_test_score"], strict=True
    ):
        by_hand = cross_val_score(clone(model).set_params(**parameters), X, Y_WHOLE, cv=2)
        assert score == pytest.approx(by_hand.mean())
    fitted = search.best_estimator_[0].transformer_
    assert fitted.with_mean is search.best_params_["pertimestep__transformer__with_mean"]


@may_stop_early
@every_ragged_form
def test_what_comes_out_can_be_split_and_predicted_in_folds(X):
    result = PerTimestep(StandardScaler()).fit_transform(X)
    train, test, y_train, _ = train_test_split(result, Y_WHOLE, random_state=0, test_size=4)
    assert (len(train), len(test), len(y_train)) == (8, 4, 8)
    assert isinstance(train, type(result))
    predicted = cross_val_predict(scaled(RNNSequenceClassifier), result, Y_STEPS, cv=2)
    assert [len(y) for y in predicted] == list(LENGTHS)


# ---- scorers ------------------------------------------------------------------------------------


class Oracle(ClassifierMixin, BaseEstimator):
    """Tells what it was given, whatever X is: so that scores can be computed by hand."""

    def __init__(self, output, classes=(0, 1), missing_label=None):
        self.output = output
        self.classes = classes
        self.missing_label = missing_label

    @property
    def classes_(self):
        return np.array(self.classes)

    def fit(self, X, y):
        self.fitted_ = True
        return self

    def predict(self, X):
        return self.output

    predict_proba = decision_function = predict


def ragged(steps, lengths=(2, 3)):
    return boxed(np.split(np.asarray(steps), np.cumsum(lengths)[:-1]))


TRUE, TOLD = [0, 1, 1, 0, 1], [0, 1, 0, 0, 1]


@pytest.mark.parametrize(
    ("y", "told"),
    [
        ([[0, 1], [1, 0, 1]], ragged(TOLD)),
        (ragged(TRUE), ragged(TOLD)),
        (Ragged.from_flat(TRUE, [2, 3]), Ragged.from_flat(TOLD, [2, 3])),
        (np.array([TRUE]), np.array([TOLD])),
        (np.array(TRUE)[:, None], np.array(TOLD)[:, None]),
    ],
)
def test_a_score_is_the_metric_of_all_steps(y, told):
    scorer = make_sequence_scorer(f1_score)
    assert scorer(Oracle(told), None, y) == f1_score(TRUE, TOLD)


def test_arguments_and_sign_go_with_the_metric():
    scorer = make_sequence_scorer(f1_score, average="macro", greater_is_better=False)
    assert scorer(Oracle(ragged(TOLD)), None, ragged(TRUE)) == -f1_score(
        TRUE, TOLD, average="macro"
    )


@pytest.mark.parametrize(
    ("weights", "flat"),
    [([1, 3], [1, 1, 3, 3, 3]), ([[1, 2], [3, 4, 5]], [1, 2, 3, 4, 5])],
)
def test_weights_of_sequences_or_steps_reach_the_metric(weights, flat):
    scorer = make_sequence_scorer(accuracy_score)
    expected = accuracy_score(TRUE, TOLD, sample_weight=flat)
    assert scorer(Oracle(ragged(TOLD)), None, ragged(TRUE), sample_weight=weights) == expected


def test_steps_of_weight_zero_are_not_looked_at():
    told, true = ragged([1.0, np.nan, 3.0, 4.0, 7.0]), ragged([1.0, 2.0, 3.0, 5.0, 7.0])
    scorer = make_sequence_scorer(mean_squared_error)
    assert scorer(Oracle(told), None, true, sample_weight=[[1, 0], [1, 1, 1]]) == 0.25


def test_steps_without_a_target_are_left_out():
    true, told = ragged([1.0, np.nan, 3.0, 5.0, np.nan]), ragged([1.0, 2.0, 3.0, 4.0, 7.0])
    assert make_sequence_scorer(max_error)(Oracle(told), None, true) == 1.0
    scorer = make_sequence_scorer(mean_squared_error)
    weighted = scorer(Oracle(told), None, true, sample_weight=[1, 2])
    assert weighted == mean_squared_error([1, 3, 5], [1, 3, 4], sample_weight=[1, 2, 2])


def test_a_step_counts_where_any_of_its_targets_is_there():
    true = ragged([[1.0, 2.0], [np.nan, np.nan]], (1, 1))
    told = ragged([[1.0, 3.0], [5.0, 5.0]], (1, 1))
    scorer = make_sequence_scorer(mean_absolute_error)
    assert scorer(Oracle(told), None, true) == 0.5
    true[1][0, 0] = 5.0  # what a metric does of NaN is its own affair
    with pytest.raises(ValueError, match="NaN"):
        scorer(Oracle(told), None, true)


@pytest.mark.parametrize("wrap", [lambda model: model, make_pipeline])
@pytest.mark.parametrize(
    ("true", "missing"), [([0, -1, 1, 0, -1], -1), (["a", "", "b", "a", ""], "")]
)
def test_the_estimators_missing_label_marks_steps_without_a_target(wrap, true, missing):
    a, b = true[0], true[2]
    model = wrap(Oracle(ragged([a, a, b, b, b]), (a, b), missing_label=missing)).fit([], [])
    assert make_sequence_scorer(accuracy_score)(model, None, ragged(true)) == pytest.approx(2 / 3)


def test_of_two_probabilities_the_metric_gets_that_of_the_positive_class():
    p = np.array([0.1, 0.6, 0.8, 0.3, 0.4])
    model = Oracle(ragged(np.column_stack([1 - p, p])))
    true = ragged(TRUE)
    auc = make_sequence_scorer(roc_auc_score, response_method="predict_proba")
    assert auc(model, None, true) == roc_auc_score(TRUE, p)
    loss = make_sequence_scorer(log_loss, response_method="predict_proba", greater_is_better=False)
    assert loss(model, None, true) == pytest.approx(-log_loss(TRUE, p))

    def mean_of(y_true, y_score, pos_label):
        return np.mean(y_score)

    first = make_sequence_scorer(mean_of, response_method="predict_proba", pos_label=0)
    assert first(model, None, true) == pytest.approx(np.mean(1 - p))


def test_a_positive_class_is_one_of_two():
    p = np.array([0.1, 0.6, 0.8, 0.3, 0.4])
    model = Oracle(ragged(p))  # one number for each step: the decision for class 1
    how = {"response_method": "decision_function"}
    true = ragged(TRUE)

    def mean_of(y_true, y_score, pos_label):
        return np.mean(y_score)

    for label, expected in ((1, p.mean()), (0, -p.mean())):
        score = make_sequence_scorer(mean_of, pos_label=label, **how)(model, None, true)
        assert score == pytest.approx(expected)
    with pytest.raises(ValueError, match=r"got pos_label=2, which is none of the classes"):
        make_sequence_scorer(mean_of, pos_label=2, **how)(model, None, true)


@pytest.mark.parametrize("K", [2, 3])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_of_several_labels_at_once_the_metric_gets_all_probabilities(K, dtype):
    rng = np.random.default_rng(0)
    p, true = rng.random((5, K)).astype(dtype), np.eye(5, K, dtype=int)
    model = Oracle(ragged(p), classes=range(K))
    for metric in (roc_auc_score, average_precision_score, coverage_error):
        scorer = make_sequence_scorer(metric, response_method="predict_proba")
        assert scorer(model, None, ragged(true)) == metric(true, p), metric.__name__


@pytest.mark.parametrize(
    ("known", "true", "classes"),
    [
        ((0, 1, 2), [0, 1, 1, 0, 1], [0, 1, 2]),  # absent from y
        ((0, 1), [0, 2, 1, 0, 1], [0, 1, 2]),  # absent from what was fitted on
        ((0, 2), [0, 1, 1, 0, 1], [0, 1, 2]),
        ((0, 1), [1, 1, 1, 1, 1], [0, 1]),
        ((1,), [0, 1, 1, 0, 1], [0, 1]),
    ],
)
def test_a_class_may_be_absent_from_a_fold(known, true, classes):
    p = np.random.default_rng(0).dirichlet(np.ones(len(known)), size=5)
    whole = np.zeros((5, len(classes)))
    whole[:, np.isin(classes, known)] = p
    for names in (np.arange(3), np.array(["a", "b", "c"])):
        model = Oracle(ragged(p), classes=names[list(known)])
        loss = make_sequence_scorer(log_loss, response_method="predict_proba")
        found = loss(model, None, ragged(names[true]))
        assert found == pytest.approx(log_loss(names[true], whole, labels=names[classes]))


def test_one_probability_for_each_step_is_taken_as_it_is():
    p = [0.1, 0.6, 0.8, 0.3, 0.4]
    auc = make_sequence_scorer(roc_auc_score, response_method="predict_proba")
    assert auc(Oracle(ragged(p)), None, ragged(TRUE)) == roc_auc_score(TRUE, p)


def test_labels_of_another_type_than_the_classes_are_refused():
    model = Oracle(ragged(np.full((5, 2), 0.5)))
    loss = make_sequence_scorer(log_loss, response_method="predict_proba")
    with pytest.raises(ValueError, match=r"got y of dtype <U1; expected labels of the type of"):
        loss(model, None, ragged(list("ababa")))


def test_probabilities_of_sequences_are_not_those_of_steps():
    model = Oracle(np.full((2, 3), 0.5), classes=range(3))
    auc = make_sequence_scorer(roc_auc_score, response_method="predict_proba")
    with pytest.raises(TypeError, match="predict_proba gives one value for each sequence"):
        auc(model, None, np.eye(2, 3))


def test_of_three_probabilities_the_metric_gets_all():
    rng = np.random.default_rng(0)
    p = rng.dirichlet([1, 1, 1], size=5)
    model = Oracle(ragged(p), classes=(0, 1, 2))
    loss = make_sequence_scorer(log_loss, response_method="predict_proba", labels=[0, 1, 2])
    assert loss(model, None, ragged([0, 2, 1, 0, 1])) == log_loss(
        [0, 2, 1, 0, 1], p, labels=[0, 1, 2]
    )


@may_stop_early
def test_the_default_score_of_an_estimator_is_that_of_its_metric():
    X, y = X_LIST, [x[:, :2].cumsum(axis=0) for x in X_LIST]
    regressor = RNNSequenceRegressor(4, max_iter=3, random_state=0).fit(X, y)
    r2 = make_sequence_scorer(r2_score)
    assert r2(regressor, X, y) == pytest.approx(regressor.score(X, y))
    classifier = RNNSequenceClassifier(4, max_iter=3, random_state=0).fit(X, Y_STEPS)
    accuracy = make_sequence_scorer(accuracy_score)
    assert accuracy(classifier, X, Y_STEPS) == pytest.approx(classifier.score(X, Y_STEPS))
    assert accuracy(classifier, X, Y_STEPS, WEIGHTS_OF_STEPS) == pytest.approx(
        classifier.score(X, Y_STEPS, WEIGHTS_OF_STEPS)
    )


@may_stop_early
@every_ragged_form
@pytest.mark.parametrize("y", [Y_STEPS, Ragged.from_sequences(Y_STEPS)], ids=["list", "Ragged"])
def test_scorers_score_in_folds(X, y):
    model = scaled(RNNSequenceClassifier)
    scores = cross_val_score(model, X, y, scoring=make_sequence_scorer(accuracy_score), cv=3)
    assert_array_equal(scores, cross_val_score(model, X, y, cv=3))


@may_stop_early
@pytest.mark.parametrize("form", ["list", "Ragged"])
def test_a_grid_search_over_processes_takes_several_scorers(form):
    scoring = {
        "f1": make_sequence_scorer(f1_score, average="macro"),
        "loss": make_sequence_scorer(
            log_loss, response_method="predict_proba", greater_is_better=False
        ),
    }
    grid = {
        "pertimestep__transformer__with_std": [True, False],
        "rnnsequenceclassifier__max_iter": [1, 3],
    }
    options = {"scoring": scoring, "refit": "loss", "cv": 2}
    model = scaled(RNNSequenceClassifier)
    one = GridSearchCV(model, grid, **options).fit(RAGGED_FORMS[form], Y_STEPS)
    two = GridSearchCV(model, grid, n_jobs=2, **options).fit(RAGGED_FORMS[form], Y_STEPS)
    for name in ("mean_test_f1", "mean_test_loss"):
        assert_array_equal(two.cv_results_[name], one.cv_results_[name])
    assert (one.cv_results_["mean_test_loss"] < 0).all()
    assert two.score(RAGGED_FORMS[form], Y_STEPS) == scoring["loss"](
        two.best_estimator_, X_LIST, Y_STEPS
    )


@may_stop_early
def test_scorers_tell_which_step_of_equal_lengths_is_important():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 3))
    Y = np.repeat(X[:, :1], 3, axis=1)  # the first step is to be told at each
    model = RNNSequenceRegressor(8, learning_rate_init=0.02, random_state=0, max_iter=60).fit(X, Y)
    importance = permutation_importance(
        model, X, Y, scoring=make_sequence_scorer(r2_score), n_repeats=2, random_state=0
    )
    assert importance.importances_mean.argmax() == 0


@may_stop_early
def test_weights_are_routed_to_a_scorer_that_asks_for_them():
    X, y, weights = X_LIST, Y_STEPS, WEIGHTS_OF_STEPS
    model = RNNSequenceClassifier(4, max_iter=3, random_state=0)
    options = {"cv": 2, "params": {"w": weights}, "return_estimator": True}
    with sklearn.config_context(enable_metadata_routing=True):
        scorer = make_sequence_scorer(accuracy_score).set_score_request(sample_weight="w")
        result = cross_validate(model, X, y, scoring=scorer, **options)
    halves = [slice(0, 6), slice(6, 12)]
    for half, fold, score in zip(halves, result["estimator"], result["test_score"], strict=True):
        assert score == pytest.approx(fold.score(X[half], y[half], weights[half]))


def test_a_scorer_asks_for_no_weights_by_itself():
    scorer = make_sequence_scorer(accuracy_score)
    assert scorer.get_metadata_routing().score.requests == {"sample_weight": None}
    scorer.set_score_request(sample_weight=True)
    assert scorer.get_metadata_routing().score.requests == {"sample_weight": True}


def test_a_scorer_is_told_as_it_was_made_and_pickles():
    loss = make_sequence_scorer(log_loss, response_method="predict_proba", greater_is_better=False)
    assert repr(loss) == (
        "make_sequence_scorer(log_loss, response_method='predict_proba', greater_is_better=False)"
    )
    f1 = make_sequence_scorer(f1_score, average="macro")
    again = pickle.loads(pickle.dumps(f1))
    assert repr(again) == repr(f1) == "make_sequence_scorer(f1_score, average='macro')"
    assert again(Oracle(ragged(TOLD)), None, ragged(TRUE)) == f1(
        Oracle(ragged(TOLD)), None, ragged(TRUE)
    )


@may_stop_early
def test_an_estimator_with_a_prediction_for_each_sequence_is_refused():
    model = RNNRegressor(2, max_iter=1).fit(X_LIST, WEIGHTS)
    with pytest.raises(TypeError, match=r"a RNNRegressor whose predict gives one.*make_scorer"):
        make_sequence_scorer(r2_score)(model, X_LIST, WEIGHTS)


@pytest.mark.parametrize(
    ("y", "weights", "error", "message"),
    [
        ([[0, 1]], None, ValueError, "y with 1 sequences, but X has 2"),
        ([[0, 1], [1, 0]], None, ValueError, r"y\[1\] with 2 steps, but X\[1\] has 3"),
        ([0, 1], None, TypeError, r"y\[0\] of type int"),
        (ragged(TRUE), [1, 1, 1], ValueError, "3 weights in sample_weight for 2 sequences"),
        (ragged(TRUE), [1, -1], ValueError, r"sample_weight\[1\]\[0\] = -1"),
        (ragged(TRUE), [0, 0], ValueError, "no step to score: each has weight 0 or no target"),
        (ragged([np.nan] * 5), None, ValueError, "no step to score"),
    ],
)
def test_what_cannot_be_scored_is_named(y, weights, error, message):
    with pytest.raises(error, match=rf"^make_sequence_scorer\(accuracy_score\) got .*{message}"):
        make_sequence_scorer(accuracy_score)(Oracle(ragged(TOLD)), None, y, weights)


def test_a_scorer_is_made_of_a_function_and_a_method_that_there_is():
    with pytest.raises(TypeError, match="score_func='accuracy'; expected a function such as"):
        make_sequence_scorer("accuracy")
    with pytest.raises(ValueError, match="response_method='transform'; expected one of"):
        make_sequence_scorer(accuracy_score, response_method="transform")
