"""Sequences at the edge: what is accepted, what is not copied, what is refused."""

from __future__ import annotations

import pickle
from collections import namedtuple

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.model_selection import KFold, cross_val_predict, train_test_split

from cbptt.data.ragged import Ragged
from cbptt.data.sequences import (
    Sequences,
    check_sequences,
    flatten_steps,
    from_channels_first,
    read_ragged,
)


def steps(T, D=2, start=0):
    """(T, D) float64 array that counts from start."""
    return np.arange(start, start + T * D, dtype=np.float64).reshape(T, D)


def three():
    """Sequences of 2, 1 and 3 steps of two variables."""
    return [steps(2), steps(1, start=10), steps(3, start=20)]


def check(X, **options):
    return check_sequences(X, caller="RNN", **options)


def boxed(*items):
    """1-D object array of the items, whatever they are."""
    array = np.empty(len(items), dtype=object)
    for i, item in enumerate(items):
        array[i] = item
    return array


def assert_same_sequences(actual, expected):
    assert len(actual) == len(expected)
    for ours, theirs in zip(actual, expected, strict=True):
        assert_array_equal(ours, theirs, strict=True)


class Frame:
    """A table that only knows how to become an array, as data frames do."""

    def __init__(self, data):
        self.data = data

    def __array__(self, dtype=None, copy=None):
        return np.array(self.data, dtype=dtype)


Point = namedtuple("Point", ["first", "second"])


# Ragged: one buffer


@pytest.mark.parametrize(
    ("values", "offsets", "error", "message"),
    [
        ([[1.0]], [0, 1], TypeError, "values of type list; expected an ndarray"),
        (np.ma.array([[1.0]]), [0, 1], TypeError, "values of type MaskedArray"),
        (np.array([None]), [0, 1], TypeError, "dtype object; expected no objects"),
        (np.zeros((2, 2, 2)), [0, 2], ValueError, r"shape \(2, 2, 2\)"),
        (np.array(1.0), [0, 1], ValueError, r"shape \(\)"),
        (np.zeros((2, 3)).T, [0, 3], ValueError, "C-contiguous. np.ascontiguousarray"),
        (np.zeros(3), [0.0, 3.0], TypeError, "offsets of dtype float64"),
        (np.zeros(3), [[0, 3]], TypeError, r"offsets of dtype int64 and shape \(1, 2\)"),
        (np.zeros(3), np.empty(0, int), ValueError, "run from 0 to 3"),
        (np.zeros(3), [1, 3], ValueError, "run from 0 to 3"),
        (np.zeros(3), [0, 2], ValueError, "run from 0 to 3"),
        (np.zeros(3), [0, 2, 2, 3], ValueError, "sequence 1 with 0 steps"),
        (np.zeros(3), [0, 2, 1, 3], ValueError, "sequence 1 with -1 steps"),
        (np.zeros(3), np.array([0, 2**64 - 1, 3], np.uint64), ValueError, "sequence 0 with -1"),
    ],
)
def test_ragged_refuses_what_is_no_buffer_with_offsets(values, offsets, error, message):
    with pytest.raises(error, match=message):
        Ragged(values, offsets)


def test_ragged_tells_its_sizes():
    X = Ragged.from_sequences(three())
    assert len(X) == 3
    assert X.n_steps == 6
    assert X.shape == (3, None, 2)
    assert X.dtype == np.float64
    assert_array_equal(X.lengths, [2, 1, 3])
    assert_array_equal(X.offsets, np.array([0, 2, 3, 6], np.intp), strict=True)
    assert repr(X) == "Ragged(n=3, steps=6, features=2, lengths 1..3, float64)"


def test_ragged_of_single_values_has_no_feature_axis():
    y = Ragged.from_sequences([["a", "b"], ["ccc"]])
    assert y.shape == (2, None)
    assert repr(y) == "Ragged(n=2, steps=3, lengths 1..2, <U3)"
    assert repr(y[:0]) == "Ragged(n=0, steps=0, <U3)"


def test_ragged_cannot_be_reassigned():
    values, offsets = steps(3), np.array([0, 3])
    X = Ragged(values, offsets)
    with pytest.raises(AttributeError):
        X.values = values
    with pytest.raises(ValueError, match="read-only"):
        X.offsets[0] = 1
    offsets[0] = 7
    assert X.offsets[0] == 0


def test_ragged_compares_by_identity():
    X = Ragged.from_sequences(three())
    same_content = Ragged.from_sequences(three())
    assert X in [X]
    assert X not in [same_content]
    assert {X: 1}[X] == 1


lengths_and_key = st.lists(st.integers(1, 4), min_size=1, max_size=6).flatmap(
    lambda lengths: st.tuples(
        st.just(lengths),
        st.one_of(
            st.slices(len(lengths)),
            st.lists(st.integers(-len(lengths), len(lengths) - 1), max_size=8),
            st.lists(st.booleans(), min_size=len(lengths), max_size=len(lengths)),
        ),
    )
)


@given(lengths_and_key, st.sampled_from([(), (1,), (3,)]), st.booleans(), st.booleans())
def test_ragged_is_cut_like_a_list_of_arrays(lengths_and_key, tail, as_array, with_ellipsis):
    lengths, key = lengths_and_key
    values = np.arange(sum(lengths) * int(np.prod(tail))).reshape(sum(lengths), *tail)
    sequences = np.split(values, np.cumsum(lengths)[:-1])
    X = Ragged.from_flat(values, lengths)

    if isinstance(key, slice):
        expected = sequences[key]
    elif key and isinstance(key[0], bool):
        expected = [s for s, chosen in zip(sequences, key, strict=True) if chosen]
    else:
        expected = [sequences[i] for i in key]
    if as_array and isinstance(key, list):
        key = np.array(key, dtype=None if key else np.intp)
    cut = X[key, ...] if with_ellipsis else X[key]

    assert isinstance(cut, Ragged)
    assert_same_sequences(cut, expected)


@pytest.mark.parametrize("i", [0, 2, -1, -3, np.int8(1), np.uint64(2)])
def test_an_int_gives_the_sequence_itself(i):
    X = Ragged.from_sequences(three())
    for sequence in (X[i], X[i, ...]):
        assert_array_equal(sequence, three()[i], strict=True)
        assert np.shares_memory(sequence, X.values)


def test_a_narrow_numpy_int_reaches_every_sequence():
    X = Ragged.from_flat(np.arange(200), np.ones(200, int))
    assert_array_equal(X[np.int8(-1)], [199])


@pytest.mark.parametrize(
    "key",
    [
        3,
        -4,
        [0, 3],
        [True, False],
        1.0,
        "a",
        None,
        [[0, 1]],
        (0, 1),
        (slice(None), 0),
        np.array(1),
    ],
    ids=repr,
)
def test_an_index_that_names_no_sequence_is_an_index_error(key):
    with pytest.raises(IndexError):
        Ragged.from_sequences(three())[key]


def test_a_slice_of_step_one_and_iteration_share_the_buffer():
    X = Ragged.from_sequences(three())
    cut = X[1:]
    assert np.shares_memory(cut.values, X.values)
    assert_array_equal(cut.offsets, [0, 1, 4])
    assert all(np.shares_memory(sequence, X.values) for sequence in X)
    assert not np.shares_memory(X[::2].values, X.values)
    assert not np.shares_memory(X[[0, 1]].values, X.values)


def test_more_steps_than_a_32_bit_integer_can_be_cut():
    values = np.empty((2**33, 0), np.float32)  # no variables: no memory
    X = Ragged(values, [0, 2**32, 2**33 - 1, 2**33])
    assert_array_equal(X[1:].offsets, [0, 2**32 - 1, 2**32])
    assert len(X[1]) == 2**32 - 1
    assert X.n_steps == 2**33


def test_ragged_becomes_an_object_array_of_views():
    X = Ragged.from_sequences([steps(2), steps(2, start=4)])  # equal lengths must not collapse
    array = np.asarray(X)
    assert array.shape == (2,)
    assert array.dtype == object
    assert_same_sequences(array, X.to_list())
    assert np.shares_memory(array[1], X.values)
    assert np.asarray(X, dtype=object).shape == (2,)
    assert np.asarray(X[:0]).shape == (0,)
    with pytest.raises(TypeError, match=r"cannot become an array of float64.*to_padded"):
        np.asarray(X, dtype=np.float64)
    with pytest.raises(ValueError, match="without a copy"):
        X.__array__(copy=False)


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_pickle_is_an_identity(protocol):
    X = Ragged.from_sequences(three())
    back = pickle.loads(pickle.dumps(X, protocol))
    assert_same_sequences(back, X)
    assert_array_equal(back.offsets, X.offsets, strict=True)


def test_astype_converts_values_only():
    X = Ragged.from_sequences(three())
    narrow = X.astype(np.float32)
    assert_same_sequences(narrow, [sequence.astype(np.float32) for sequence in three()])
    assert np.shares_memory(X.astype(np.float64).values, X.values)


# Ragged: makers


def test_from_sequences_reads_any_iterable_into_a_buffer_of_its_own():
    source = three()
    for sequences in (source, tuple(source), iter(source), boxed(*source)):
        X = Ragged.from_sequences(sequences)
        assert_same_sequences(X, three())
        assert not np.shares_memory(X.values, source[0])
    alone = Ragged.from_sequences(source[:1])
    assert not np.shares_memory(alone.values, source[0])


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_sequences_that_lie_by_columns_are_joined_by_rows(dtype):
    expected = [x.astype(dtype) for x in three()]
    for odd in (np.asfortranarray, pd.DataFrame, pl.DataFrame):
        assert_same_sequences(Ragged.from_sequences(map(odd, expected)), expected)


@given(st.lists(st.integers(1, 5), min_size=1, max_size=5), st.sampled_from([(), (1,), (2,)]))
def test_padding_and_cutting_the_padding_off_is_an_identity(lengths, tail):
    values = np.arange(sum(lengths) * int(np.prod(tail)), dtype=np.float32)
    X = Ragged.from_flat(values.reshape(-1, *tail), lengths)
    padded = X.to_padded()
    assert padded.shape == (len(lengths), max(lengths), *tail)
    assert padded.dtype == np.float32
    assert_same_sequences(Ragged.from_padded(padded), X)
    assert_same_sequences(Ragged.from_padded(X.to_padded(-1), lengths=lengths), X)


def test_no_sequences_have_no_padding():
    nothing = Ragged.from_sequences(three())[:0]
    assert nothing.to_padded().shape == (0, 0, 2)
    assert len(Ragged.from_padded(nothing.to_padded())) == 0


def test_padding_widens_the_dtype_only_as_far_as_it_must():
    y = Ragged.from_sequences([[1, 2], [3]])
    assert_array_equal(y.to_padded(), [[1.0, 2.0], [3.0, np.nan]])
    assert_array_equal(y.to_padded(-1), np.array([[1, 2], [3, -1]]), strict=True)
    tags = Ragged.from_sequences([["a", "b"], ["c"]])
    assert_array_equal(tags.to_padded("PAD"), [["a", "b"], ["c", "PAD"]])
    with pytest.raises(TypeError, match="fill_value=nan for values of dtype <U1"):
        tags.to_padded()
    with pytest.raises(TypeError, match="fill_value='PAD' for values of dtype int64"):
        y.to_padded("PAD")


def test_only_trailing_steps_without_any_value_are_padding():
    nan = np.nan
    X = np.array(
        [[[nan, 1], [nan, nan], [2, nan], [nan, nan]], [[nan, nan], [1, 1], [2, 2], [3, 3]]]
    )
    cut = Ragged.from_padded(X)
    assert_same_sequences(cut, [X[0, :3], X[1]])
    with pytest.raises(ValueError, match=r"X\[0\] with NaN at step 0, feature 0"):
        check(cut)


def test_integers_without_lengths_have_no_padding():
    assert_array_equal(Ragged.from_padded([[1, 0], [2, 0]]).lengths, [2, 2])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("tail", [(), (2,)])
def test_padding_may_stand_before_the_steps(tail, dtype):
    X = Ragged.from_flat(
        np.arange(6 * int(np.prod(tail)), dtype=dtype).reshape(6, *tail), [1, 3, 2]
    )
    padded = X.to_padded(-1, side="left")
    assert_array_equal(padded[0, :2], np.full((2, *tail), -1))
    assert_array_equal(padded[0, 2], X[0][0])
    assert_same_sequences(Ragged.from_padded(padded, X.lengths, side="left"), X)
    assert_same_sequences(Ragged.from_padded(X.to_padded(side="left"), side="left"), X)


def test_a_mask_names_the_valid_steps_wherever_they_stand():
    X = np.array([[0, 1, 2], [3, 0, 4], [5, 6, 7]])
    expected = [[1, 2], [3, 4], [5, 6, 7]]
    nullable = pd.DataFrame(X != 0, dtype="boolean")
    for mask in (X != 0, (X != 0).astype(np.uint8), (X != 0).astype(float), nullable):
        assert [x.tolist() for x in Ragged.from_padded(X, mask=mask)] == expected
    steps = Ragged.from_padded(np.stack([X, -X], axis=2), mask=X != 0)
    assert_array_equal(steps[1], [[3, -3], [4, -4]])


@pytest.mark.parametrize(
    ("X", "options", "message"),
    [
        ([[0, 0, 7], [4, 5, 6]], {"lengths": [1, 3]}, None),  # the 0 and 7 that are cut
        ([[7, 8, 0], [4, 5, 6]], {"lengths": [1, 3], "side": "left"}, None),
        ([[7, 8, 9], [4, 5, 6]], {"mask": [[1, 0, 0], [1, 1, 1]]}, None),
        ([["a", "b", ""], ["c", "d", "e"]], {"lengths": [1, 3]}, None),
        ([[np.nan, 1], [2, 3]], {}, "NaN at the left of sequences only; side='left' cuts it off"),
        ([[1, np.nan], [2, 3]], {"side": "left"}, "NaN at the right .*side='right'"),
        ([[1, 2, 0], [2, 3, 4]], {}, r"no NaN .* 0 at the right of X\[0\]; .* pass lengths"),
        ([[5, 6], [0, 4]], {"side": "left"}, r"0 at the left of X\[1\]"),
        ([[0, 0, 7], [4, 5, 6]], {}, r"0 at the left of X\[0\]; .* pass lengths and side='left'"),
    ],
)
def test_what_is_cut_and_is_no_padding_is_warned_of(X, options, message):
    different = r"cuts steps off that hold different values.* set side;.* mask"
    with pytest.warns(UserWarning, match=message or different) as caught:
        Ragged.from_padded(X, **options)
    assert caught[0].filename == __file__
    assert len(caught) == 1


def test_padding_may_be_any_one_value_or_nan():
    for fill in (0, -1, np.nan):
        Ragged.from_padded([[1, fill, fill], [2, 3, fill], [4, 5, 6]], lengths=[1, 2, 3])
    both = np.array([[[1, 1], [0, np.nan]], [[2, 2], [3, 3]]])  # one value in each variable
    assert_array_equal(Ragged.from_padded(both, [1, 2]).lengths, [1, 2])
    assert_array_equal(Ragged.from_padded([[1, 0], [0, 2]], [2, 2]).lengths, [2, 2])


def test_from_flat_shares_a_contiguous_array():
    values = steps(5)
    X = Ragged.from_flat(values, lengths=np.array([2, 3], np.uint8))
    assert np.shares_memory(X.values, values)
    assert_same_sequences(X, [values[:2], values[2:]])


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Ragged.from_sequences([]), ValueError, "with 0 sequences"),
        (lambda: Ragged.from_sequences("ab"), TypeError, r"sequences\[0\] of type str"),
        (lambda: Ragged.from_sequences([[1], []]), ValueError, r"sequences\[1\] with 0 steps"),
        (lambda: Ragged.from_sequences(np.ma.ones((2, 3))), TypeError, "as a masked array"),
        (lambda: Ragged.from_flat(steps(3), [1, 1]), ValueError, "add up to 2, but X has 3 steps"),
        (lambda: Ragged.from_flat(steps(3), [3, 0]), ValueError, r"X\[1\] with 0 valid steps"),
        (lambda: Ragged.from_flat(steps(3), [4, -1]), ValueError, "4 valid steps; expected 1 to 3"),
        (lambda: Ragged.from_flat(steps(3), [3.0]), TypeError, "lengths of dtype float64"),
        (lambda: Ragged.from_flat(steps(3), 3), TypeError, r"shape \(\); expected integers"),
        (lambda: Ragged.from_padded(steps(2), [3, 1]), ValueError, "expected 1 to 2"),
        (lambda: Ragged.from_padded(steps(2), [1]), ValueError, "1 lengths for 2 sequences"),
        (lambda: Ragged.from_padded([[1, np.nan], [np.nan] * 2]), ValueError, r"X\[1\] with 0"),
        (lambda: Ragged.from_padded(np.ma.ones((2, 3))), TypeError, "as a masked array"),
        (
            lambda: Ragged.from_padded(steps(2), side="pre"),
            ValueError,
            "side='pre'; expected 'right'",
        ),
        (lambda: Ragged.from_padded(steps(2), [1, 1], mask=[[1, 0]]), ValueError, "one of them"),
        (
            lambda: Ragged.from_padded(steps(2), mask=[[1, 0]]),
            ValueError,
            r"mask of shape \(1, 2\)",
        ),
        (lambda: Ragged.from_padded([[1, 2]], mask=[[1, 2]]), ValueError, "booleans, or 0 and 1"),
        (lambda: Ragged.from_padded([[1], [2]], mask=[[1], [0]]), ValueError, r"X\[1\] with 0 val"),
        (lambda: Ragged.from_padded([[1]], mask=["a"]), ValueError, "expected booleans"),
        (lambda: Ragged.from_padded([[1]], mask=[[1], []]), ValueError, "got mask that is no arr"),
        (lambda: Ragged.from_sequences([[1]]).to_padded(side=0), ValueError, "side=0; expected"),
        (lambda: Ragged.from_padded(np.ones(3)), ValueError, r"shape \(3,\)"),
        (lambda: from_channels_first(np.ones((2, 3))), ValueError, "n_features, n_timesteps"),
        (lambda: from_channels_first([np.ones(3)]), ValueError, r"\(n_features, n_timesteps\)"),
        (lambda: from_channels_first("X"), TypeError, "of type str"),
        (lambda: from_channels_first(np.ma.ones((1, 2, 3))), TypeError, "as a masked array"),
    ],
)
def test_makers_say_what_is_wrong(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_channels_first_is_turned_round_without_a_copy():
    X = np.arange(24).reshape(2, 3, 4)
    turned = from_channels_first(X)
    assert_array_equal(turned, np.transpose(X, (0, 2, 1)), strict=True)
    assert np.shares_memory(turned, X)
    ragged = [X[0], X[1, :, :2]]
    for sequences in (ragged, tuple(ragged), boxed(*ragged)):
        turned = from_channels_first(sequences)
        assert isinstance(turned, list)
        assert_same_sequences(turned, [X[0].T, X[1, :, :2].T])


# scikit-learn


def test_train_test_split_cuts_ragged_as_it_cuts_a_list():
    sequences = [steps(T, start=10 * T) for T in (3, 1, 2, 5, 4)]
    y = np.arange(5)
    ours = train_test_split(Ragged.from_sequences(sequences), y, random_state=0)
    theirs = train_test_split(sequences, y, random_state=0)
    assert all(isinstance(part, Ragged) for part in ours[:2])
    for part, expected in zip(ours, theirs, strict=True):
        assert_same_sequences(part, expected)


def test_kfold_counts_sequences_and_not_steps():
    X = Ragged.from_sequences(three())
    test_folds = [X[test] for _, test in KFold(3).split(X)]
    assert_same_sequences([fold[0] for fold in test_folds], three())


class FirstValues(BaseEstimator):
    """Predicts the first variable of every step."""

    def fit(self, X, y=None):
        return self

    def predict(self, X):
        sequences = check(X)
        return sequences.shape_like(sequences.values[:, 0])


@pytest.mark.parametrize("form", [list, Ragged.from_sequences])
def test_cross_val_predict_keeps_the_lengths(form):
    predicted = cross_val_predict(FirstValues(), form(three()), cv=3)
    assert_same_sequences(predicted, [sequence[:, 0] for sequence in three()])


# check_sequences: what is accepted


@pytest.mark.parametrize(
    ("X", "form"),
    [
        (three(), "list"),
        (tuple(three()), "list"),
        (boxed(*three()), "list"),
        ([sequence.tolist() for sequence in three()], "list"),
        ([Frame(sequence) for sequence in three()], "list"),
        (Frame(boxed(*three())), "list"),
        (Ragged.from_sequences(three()), "ragged"),
    ],
)
def test_every_ragged_form_gives_the_same_steps(X, form):
    sequences = check(X)
    assert_array_equal(sequences.values, np.concatenate(three()), strict=True)
    assert_array_equal(sequences.offsets, np.array([0, 2, 3, 6], np.intp), strict=True)
    assert_array_equal(sequences.lengths, [2, 1, 3])
    assert sequences.form == form
    assert (len(sequences), sequences.n_steps, sequences.n_features) == (3, 6, 2)


cube = np.arange(24.0).reshape(2, 4, 3)


@pytest.mark.parametrize(
    ("X", "form"),
    [
        (cube, "3d"),
        (cube.astype(object), "3d"),
        (Frame(cube), "3d"),
        (list(cube), "list"),
        (cube.tolist(), "list"),
    ],
)
def test_every_form_of_equal_lengths_gives_the_same_steps(X, form):
    sequences = check(X)
    assert_array_equal(sequences.values, cube.reshape(8, 3), strict=True)
    assert_array_equal(sequences.offsets, np.array([0, 4, 8], np.intp), strict=True)
    assert sequences.form == form


@pytest.mark.parametrize(
    ("X", "form"),
    [
        (steps(2, 3), "2d"),
        (Frame(steps(2, 3)), "2d"),
        (steps(2, 3).tolist(), "2d"),
        (list(steps(2, 3)), "list"),
        ([steps(1, 3)[0], steps(3, 1, start=3)], "list"),
        ([Point(0.0, 1.0)], "2d"),
        ([[0.0, 1.0], [2.0]], "list"),
        (Ragged.from_flat(np.arange(6.0), [3, 3]), "ragged"),
    ],
)
def test_two_axes_are_sequences_of_one_variable(X, form):
    sequences = check(X)
    n_steps = sequences.n_steps
    assert_array_equal(sequences.values, np.arange(float(n_steps))[:, None], strict=True)
    assert sequences.form == form


def unaligned(array):
    """A copy that begins one byte past an aligned address."""
    memory = np.empty(array.nbytes + 1, np.uint8)[1:]
    copy = memory.view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


odd_arrays = pytest.mark.parametrize(
    "odd",
    [
        np.asfortranarray,
        lambda a: np.flip(np.flip(a).copy()),
        lambda a: np.repeat(a, 2, axis=-1)[..., ::2],
        lambda a: a.astype(">f8"),
        lambda a: a.astype(">f4"),
        lambda a: a.astype(np.float16),
        lambda a: a.astype(np.longdouble),
        lambda a: a.astype(np.int8),
        lambda a: a.astype(np.uint64),
        lambda a: a.astype(object),
        lambda a: a.astype(int).astype(object),
        unaligned,
        read_only,
    ],
    ids=[
        "fortran",
        "negative strides",
        "strided",
        "big-endian",
        "big-endian float32",
        "float16",
        "longdouble",
        "int8",
        "uint64",
        "objects",
        "int objects",
        "unaligned",
        "read-only",
    ],
)


@odd_arrays
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("plain", [cube, cube[0]], ids=["3d", "2d"])
def test_an_odd_array_gives_the_values_of_the_plain_one(odd, dtype, plain):
    array = odd(plain)
    expected = check(plain, dtype=dtype).values
    for X in (array, list(array), boxed(*array)):
        values = check(X, dtype=dtype).values
        assert_array_equal(values, expected, strict=True)
        assert values.flags.c_contiguous
        assert values.flags.aligned
        assert values.dtype.isnative


def test_booleans_are_zeros_and_ones():
    assert_array_equal(check([[True, False]]).values, [[1.0], [0.0]])


def test_a_broadcast_view_is_read_at_its_full_size():
    X = np.broadcast_to(np.array([1.0, 2.0]), (3, 4, 2))
    assert_array_equal(check(X).values, np.tile([1.0, 2.0], (12, 1)), strict=True)


def test_overlapping_windows_are_read_as_they_look():
    windows = np.lib.stride_tricks.sliding_window_view(np.arange(4.0), 2)
    assert_array_equal(check(windows).values[:, 0], [0, 1, 1, 2, 2, 3])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("protect", [np.array, read_only])
def test_a_proper_array_is_not_copied(dtype, protect):
    X = protect(cube.astype(dtype))
    assert np.shares_memory(check(X).values, X)
    flat = protect(steps(2, 3).astype(dtype))
    assert np.shares_memory(check(flat).values, flat)
    ragged = Ragged.from_flat(X.reshape(8, 3), [3, 5])
    assert np.shares_memory(check(ragged).values, X)


@pytest.mark.parametrize(
    ("dtypes", "expected"),
    [
        (["f4", "f4"], "f4"),
        (["f4", ">f4"], "f4"),
        (["f4", "f8"], "f8"),
        (["f4", "i8"], "f8"),
        (["f2", "f2"], "f8"),
        (["?", "?"], "f8"),
        (["g", "f4"], "f8"),
    ],
)
def test_float32_stays_and_everything_else_becomes_float64(dtypes, expected):
    X = [np.ones((2, 1), dtype) for dtype in dtypes]
    assert check(X).values.dtype == expected
    assert check(X, dtype=np.float32).values.dtype == np.float32
    assert check(X, dtype="float64").values.dtype == np.float64


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_sum_that_overflows_is_no_infinity(dtype):
    X = np.full((1, 4, 1), np.finfo(dtype).max, dtype)
    assert_array_equal(check(X).values, X[0])


# check_sequences: what is refused

real = "every value must be a real number"
good = steps(2)

hostile_inputs = [
    # no container of sequences
    ("abc", TypeError, r"^RNN got X of type str; expected a list of \(n_timesteps, n_features\)"),
    (b"abc", TypeError, "^RNN got X of type bytes"),
    ({0: good}, TypeError, r"^RNN got X of type dict.* Pass list\(X\.values\(\)\)\.$"),
    ({1.0, 2.0}, TypeError, "^RNN got X of type set"),
    (None, TypeError, "^RNN got X of type NoneType"),
    (3, TypeError, "^RNN got X of type int"),
    (3.0, TypeError, "^RNN got X of type float"),
    (np.float64(3), TypeError, r"^RNN got X of type .* and shape \(\)"),
    (np.array(3.0), TypeError, r"^RNN got X of type ndarray and shape \(\)"),
    ((s for s in [good]), TypeError, r"^RNN got X of type generator.*Pass list\(X\)"),
    # nothing there
    ([], ValueError, "^RNN got X with 0 sequences; expected at least one"),
    (np.empty(0, object), ValueError, "with 0 sequences"),
    (np.empty((0, 3, 2)), ValueError, "with 0 sequences"),
    (Ragged(np.empty((0, 2)), [0]), ValueError, "with 0 sequences"),
    ([good, np.empty((0, 2))], ValueError, r"^RNN got X\[1\] with 0 steps"),
    ([good, np.empty((0, 2), object)], ValueError, r"^RNN got X\[1\] with 0 steps"),
    ([good, []], ValueError, r"^RNN got X\[1\] with 0 steps"),
    (np.empty((3, 0, 2)), ValueError, r"^RNN got X\[0\] with 0 steps"),
    (np.empty((3, 0)), ValueError, r"^RNN got X with 0 feature\(s\) \(shape=\(3, 0\)\)"),
    (np.empty((3, 2, 0)), ValueError, "^RNN got X with 0 features"),
    ([np.empty((2, 0))], ValueError, "^RNN got X with 0 features"),
    # another shape
    (
        [good] * 17 + [steps(2, 3)],
        ValueError,
        r"^RNN got X\[17\] with 3 features, but X\[0\] has 2; "
        r"every sequence must be \(n_timesteps, n_features\)\.$",
    ),
    ([good, good[:, 0]], ValueError, r"X\[1\] with 1 features, but X\[0\] has 2"),
    (np.ones(5), ValueError, r"Reshape your data: X\[None, :\].*X\[:, None\] is 5 sequences"),
    (np.ones((2, 2, 2, 2)), ValueError, r"shape \(2, 2, 2, 2\); expected a list"),
    ([1.0, 2.0], TypeError, r"^RNN got X\[0\] of type float and shape \(\)"),
    (boxed(1.0, 2.0), TypeError, r"^RNN got X\[0\] of type float and shape \(\)"),
    ([good, cube], ValueError, r"^RNN got X\[1\] of type ndarray and shape \(2, 4, 3\)"),
    ([good, [[1, 2], [3]]], ValueError, r"^RNN got X\[1\] that is no array.*; every sequence"),
    (Frame([[1, 2], [3]]), ValueError, "^RNN got X that is no array.*; expected a list"),
    # another kind of value
    ([good, None], TypeError, r"^RNN got X\[1\] of type NoneType"),
    ([good, "abc"], TypeError, r"^RNN got X\[1\] of type str"),
    ([good, {}], TypeError, r"^RNN got X\[1\] of type dict"),
    ([good, [["a", "b"]]], ValueError, rf"^RNN got X\[1\] of dtype <U1; {real}"),
    (np.array([["1", "2"]]), ValueError, f"^RNN got X of dtype <U1; {real}"),
    (np.array([["1", "2"]], object), ValueError, "of dtype <U1"),
    (np.array([[b"1"]]), ValueError, r"of dtype \|S1"),
    (np.array([[1, "2"]], object), ValueError, "values that are not of one kind"),
    (np.array([[1.0, {}]], object), TypeError, "argument must be a string or a real number"),
    ([good, np.array([1.0, {}], object)], TypeError, r"X\[1\] of dtype object"),
    (np.array([[10**400]], object), ValueError, "int too large to convert to float"),
    ([[10**400]], ValueError, r"^RNN got X .*int too large to convert to float"),
    ([Ragged.from_sequences(three())], ValueError, r"X\[0\] of dtype object"),
    (cube * 1j, ValueError, "complex128. Complex data not supported"),
    ([good, good * 1j], ValueError, r"X\[1\] of dtype complex128. Complex data not supported"),
    (np.array([[1.0, 1j]], object), ValueError, "Complex data not supported"),
    (cube.astype("M8[s]"), ValueError, r"of dtype datetime64\[s\]"),
    ([good, good.astype("m8[s]")], ValueError, r"X\[1\] of dtype timedelta64\[s\]"),
    ([[np.datetime64("2020")]], ValueError, r"X\[0\] of dtype datetime64"),
    (np.zeros((2, 2), [("a", "f8")]), ValueError, r"of dtype \[\('a', '<f8'\)\]"),
    (Ragged(np.array(["a"]), [0, 1]), ValueError, "of dtype <U1"),
    # a mask or zeros that would be lost
    (np.ma.array(cube), TypeError, "^RNN got X as a masked array; its mask would be lost"),
    ([good, np.ma.array(good)], TypeError, r"^RNN got X\[1\] as a masked array"),
    ([good, list(np.ma.array(good))], TypeError, r"^RNN got X\[1\] as a masked array"),
    (sparse.csr_array(good), TypeError, r"^RNN got X as a sparse array.*\.toarray\(\)"),
    ([good, sparse.coo_array(good)], TypeError, r"^RNN got X\[1\] as a sparse array"),
    # no finite number
    (
        [good, np.array([[1.0, 2.0], [3.0, np.nan]])],
        ValueError,
        r"^RNN got X\[1\] with NaN at step 1, feature 1; .*cbptt\.Ragged\.from_padded\(X\)",
    ),
    (np.array([[1.0, 2.0], [3.0, np.nan]]), ValueError, r"X\[1\] with NaN at step 1, feature 0"),
    (np.array([[1.0, None]], object), ValueError, r"X\[0\] with NaN at step 1"),
    ([good, np.full((2, 2), np.nan)], ValueError, r"X\[1\] with NaN at step 0, feature 0"),
    ([good, good + np.inf], ValueError, r"X\[1\] with inf at step 0, feature 0: infinite"),
    ([[np.inf, -np.inf]], ValueError, r"X\[0\] with inf at step 0, feature 0"),
    (Ragged.from_flat([0.0, 1.0, np.inf], [2, 1]), ValueError, r"X\[1\] with inf at step 0"),
]


@pytest.mark.parametrize(("X", "error", "message"), hostile_inputs)
def test_hostile_input_is_named_in_one_clear_error(X, error, message):
    with pytest.raises(error, match=message):
        check(X)


def test_a_value_too_large_for_float32_is_refused():
    X = [good, np.array([[0.0, 0.0], [0.0, 1e300]])]
    with pytest.raises(
        ValueError, match=r"X\[1\] with inf at step 1, feature 1: 1e\+300 is too large for float32"
    ) as caught:
        check(X, dtype=np.float32)
    assert "must be finite" not in str(caught.value)
    assert check(X).values[3, 1] == 1e300


def test_another_number_of_features_than_expected_is_refused():
    message = r"^RNN got X with 2 features, but expected n_features=3; .*\(n_timesteps, 3\)"
    with pytest.raises(ValueError, match=message):
        check(three(), n_features=3)
    assert check(three(), n_features=2).n_features == 2


def test_nan_may_stand_where_it_is_allowed():
    X = [good, np.array([[np.nan, 1.0], [2.0, np.nan]])]
    assert_array_equal(check(X, allow_nan=True).values, np.concatenate(X), strict=True)


@pytest.mark.parametrize("X", [[[np.nan, 0.0, np.inf]], [[-np.inf, np.nan, 0.0]]])
def test_infinity_is_refused_where_nan_is_allowed(X):
    with pytest.raises(ValueError, match=r"^RNN got X\[0\] with inf at step"):
        check(X, allow_nan=True)


@pytest.mark.parametrize("form", [list, tuple, Ragged.from_sequences, np.asarray])
@pytest.mark.parametrize("items", [[["a", "bb"], ["c", "d"]], [[np.nan, 1], [np.inf, 2]]])
def test_ragged_is_read_from_any_form_and_any_values(form, items):
    read = read_ragged(form(items), caller="RNN", name="X")
    assert isinstance(read, Ragged)
    assert_same_sequences(read, [np.asarray(item) for item in np.asarray(items)])


def test_a_ragged_is_read_without_a_copy_unless_it_is_empty():
    X = Ragged.from_sequences(three())
    assert read_ragged(X, caller="RNN", name="X") is X
    with pytest.raises(ValueError, match=r"^RNN got X with 0 sequences"):
        read_ragged(X[:0], caller="RNN", name="X")


def test_errors_use_the_name_that_the_caller_gave():
    with pytest.raises(ValueError, match=r"^Scaler got X_test\[0\] with 0 steps"):
        check_sequences([[]], caller="Scaler", name="X_test")


def test_only_the_two_float_dtypes_can_be_asked_for():
    with pytest.raises(ValueError, match="expected 'auto', float32 or float64"):
        check(three(), dtype=np.int64)


# shape_like


@pytest.mark.parametrize("tail", [(), (1,), (4,)])
def test_output_mirrors_an_array(tail):
    values = np.arange(8 * int(np.prod(tail))).reshape(8, *tail)
    for X in (cube, cube[:, :, 0]):
        output = check(X).shape_like(values)
        assert_array_equal(output, values.reshape(2, 4, *tail), strict=True)
        assert np.shares_memory(output, values)


@pytest.mark.parametrize("tail", [(), (1,), (4,)])
@pytest.mark.parametrize("lengths", [[2, 1, 3], [2, 2, 2]])
def test_output_mirrors_ragged_and_list(tail, lengths):
    values = np.arange(6 * int(np.prod(tail))).reshape(6, *tail)
    expected = np.split(values, np.cumsum(lengths)[:-1])
    X = Ragged.from_flat(steps(6), lengths)

    ragged = check(X).shape_like(values)
    assert isinstance(ragged, Ragged)
    assert_same_sequences(ragged, expected)
    assert np.shares_memory(ragged.values, values)

    listed = check(X.to_list()).shape_like(values)
    assert listed.shape == (3,)
    assert listed.dtype == object
    assert_same_sequences(listed, expected)
    assert np.shares_memory(listed[2], values)


def test_outputs_of_no_columns_keep_their_form():
    assert check(cube).shape_like(np.empty((8, 0))).shape == (2, 4, 0)


def test_shape_like_wants_every_step():
    with pytest.raises(ValueError, match="got 7 steps; expected 8"):
        check(cube).shape_like(np.empty((7, 2)))


# flatten_steps


def flatten(Y, X, **options):
    return flatten_steps(Y, check(X), caller="RNN", **options)


@pytest.mark.parametrize(
    "Y",
    [
        [[1, 2], [3], [4, 5, 6]],
        ([1, 2], (3,), np.array([4, 5, 6])),
        boxed([1, 2], [3], [4, 5, 6]),
        [np.array([1, 2], object), [3], [4, 5, 6]],
        Ragged.from_flat([1, 2, 3, 4, 5, 6], [2, 1, 3]),
    ],
)
def test_every_form_of_targets_gives_one_value_per_step(Y):
    assert_array_equal(flatten(Y, three()), np.arange(1, 7), strict=True)


@pytest.mark.parametrize("X", [cube, list(cube), cube[:, :, 0], Ragged.from_sequences(cube)])
@pytest.mark.parametrize("tail", [(), (2,)])
def test_targets_in_an_array_are_not_copied(X, tail):
    Y = np.arange(8 * int(np.prod(tail))).reshape(2, 4, *tail)
    flat = flatten(Y, X)
    assert_array_equal(flat, Y.reshape(8, *tail), strict=True)
    assert np.shares_memory(flat, Y)


@pytest.mark.parametrize(
    ("Y", "dtype"),
    [
        ([["a", "bb"], ["a"], ["a", "a", "a"]], "<U2"),
        ([np.array(["a", "bb"], object), ["a"], ["a", "a", "a"]], "<U2"),
        ([[True, False], [True], [True] * 3], "?"),
        ([[1, 2], [0.5], [1, 2, 3]], "f8"),
        ([np.array([1, 2], "i1"), np.array([1], "i1"), np.array([1, 2, 3], "i1")], "i1"),
        ([np.array([1, 2], ">i4"), np.array([1], ">i4"), np.array([1, 2, 3], ">i4")], "=i4"),
        ([np.array([1, 2], "u8"), np.array([-1], "i1"), np.array([1, 2, 3], "i8")], "i8"),
    ],
)
def test_labels_keep_the_dtype_numpy_finds(Y, dtype):
    flat = flatten(Y, three())
    assert flat.dtype == np.dtype(dtype)
    assert flat.dtype.isnative
    assert_array_equal(flat, np.concatenate([np.asarray(y) for y in Y]))


@odd_arrays
def test_odd_targets_give_the_values_of_the_plain_ones(odd):
    flat = flatten(odd(cube), cube, dtype=np.float32)
    assert_array_equal(flat, cube.reshape(8, 3).astype(np.float32), strict=True)
    assert flat.flags.c_contiguous
    assert flat.flags.aligned


@pytest.mark.parametrize(
    ("Y", "error", "message"),
    [
        (
            [[1, 2], [3], [4, 5]],
            ValueError,
            r"^RNN got Y\[2\] with 2 steps, but X\[2\] has 3; every Y\[i\] must hold one value",
        ),
        ([[1, 2], [3]], ValueError, "^RNN got Y with 2 sequences, but X has 3"),
        (np.ones((3, 2)), ValueError, r"Y\[1\] with 2 steps, but X\[1\] has 1"),
        (np.ones((4, 2, 1)), ValueError, "Y with 4 sequences, but X has 3"),
        (np.ones(6), ValueError, r"^RNN got Y of type ndarray and shape \(6,\); expected a list"),
        ([0, 1, 1], TypeError, r"^RNN got Y\[0\] of type int and shape \(\); every Y\[i\]"),
        ("abc", TypeError, "^RNN got Y of type str"),
        ([[1, 2], [], [4, 5, 6]], ValueError, r"Y\[1\] with 0 steps"),
        ([[[1]] * 2, [[1, 2]], [[1]] * 3], ValueError, r"Y\[1\] with 2 outputs, but Y\[0\] has 1"),
        (np.ma.ones((3, 2)), TypeError, "^RNN got Y as a masked array"),
        ([[1, 2], np.ma.ones(1), [1, 2, 3]], TypeError, r"Y\[1\] as a masked array"),
        ([[1, 2], np.array([None]), [1, 2, 3]], ValueError, r"Y\[1\] of dtype object"),
        ([np.array(["a", np.nan], object), [3], [1, 2, 3]], ValueError, r"Y\[0\].*not of one kind"),
        ([np.array(["a", 1], object), [3], [1, 2, 3]], ValueError, r"Y\[0\].*or every one text"),
        ([[1j, 2], [3], [1, 2, 3]], ValueError, r"Y\[0\].*Complex data not supported"),
        ([[b"a", b"b"], [b"c"], [b"d"] * 3], ValueError, r"Y\[0\] of dtype \|S1"),
    ],
)
def test_targets_that_do_not_match_are_named(Y, error, message):
    with pytest.raises(error, match=message):
        flatten(Y, three())


@pytest.mark.parametrize(
    ("Y", "dtype", "message"),
    [
        ([["1", "2"], ["3"], ["4", "5", "6"]], np.float64, "dtype <U1, which cannot be cast to f"),
        ([[1.5, 2], [3], [4, 5, 6]], np.intp, "dtype float64, which cannot be cast to int64"),
    ],
)
def test_targets_are_not_cast_to_another_kind(Y, dtype, message):
    with pytest.raises(TypeError, match=message):
        flatten(Y, three(), dtype=dtype)


def test_targets_of_unlabelled_steps_may_be_nan():
    flat = flatten([[1, 2], [np.nan], [1, 2, 3]], three())
    np.testing.assert_array_equal(flat, [1, 2, np.nan, 1, 2, 3])


def test_sequences_cannot_be_reassigned():
    sequences = check(three())
    assert isinstance(sequences, Sequences)
    with pytest.raises(AttributeError):
        sequences.form = "3d"
