"""The Japanese Vowels against what the Machine Learning Repository publishes of them."""

from __future__ import annotations

import numpy as np
from numpy.testing import assert_array_equal

from cbptt import Ragged
from cbptt.datasets import load_japanese_vowels


def test_speakers_have_the_published_numbers_of_utterances():
    vowels = load_japanese_vowels()
    labels, counts = np.unique(vowels.y_train, return_counts=True)
    assert_array_equal(labels, range(1, 10))
    assert_array_equal(counts, [30] * 9)
    labels, counts = np.unique(vowels.y_test, return_counts=True)
    assert_array_equal(labels, range(1, 10))
    assert_array_equal(counts, [31, 35, 88, 44, 29, 24, 40, 50, 29])


def test_speakers_stand_in_the_published_order():
    vowels = load_japanese_vowels()
    assert_array_equal(vowels.y_train, np.sort(vowels.y_train))
    assert_array_equal(vowels.y_test, np.sort(vowels.y_test))


def test_utterances_are_ragged_float32_sequences_of_7_to_29_frames():
    vowels = load_japanese_vowels()
    for X, n in ((vowels.X_train, 270), (vowels.X_test, 370)):
        assert isinstance(X, Ragged)
        assert X.shape == (n, None, 12)
        assert X.dtype == np.float32
        assert X.lengths.min() == 7
        assert np.isfinite(X.values).all()
    assert vowels.X_test.lengths.max() == 29


def test_the_first_frame_is_the_first_line_of_the_published_file():
    line = (
        "1.860936 -0.207383 0.261557 -0.214562 -0.171253 -0.118167 -0.277557 0.025668 0.126701 "
        "-0.306756 -0.213076 0.088728"
    )
    first = load_japanese_vowels().X_train[0]
    assert_array_equal(first[0], np.array(line.split(), dtype=np.float32))


def test_names_belong_to_columns_and_labels():
    vowels = load_japanese_vowels()
    assert vowels.feature_names == [f"cepstrum {i}" for i in range(1, 13)]
    assert [vowels.target_names[y - 1] for y in (1, 9)] == ["speaker 1", "speaker 9"]
    assert vowels.y_train.dtype.kind == "i"


def test_description_tells_source_licence_and_changes():
    text = " ".join(load_japanese_vowels().DESCR.split())
    for told in (
        "Multidimensional curve classification using passing-through regions",
        "Pattern Recognition Letters 20 (1999) 1103-1111",
        "UCI Machine Learning Repository",
        "CC BY 4.0",
        "What was changed",
        "float32",
    ):
        assert told in text


def test_a_change_to_the_data_does_not_reach_the_next_load():
    vowels = load_japanese_vowels()
    before = vowels.X_train.values[0, 0].item()
    vowels.X_train.values[:] = 0
    assert load_japanese_vowels().X_train.values[0, 0] == before
